package broker

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"github.com/monedula/monedula/metadata"
)

// health is what the liveness and the readiness page report. All its methods may be called at any
// time, also before the broker has started.
type health struct {
	state      *atomic.Int32 // a brokerState
	cache      *metadata.Cache
	loaded     atomic.Bool                       // the logs are loaded
	registered atomic.Pointer[func() bool]       // reports whether the open session has the broker's node; nil before the first registration
	failed     atomic.Pointer[string]            // why the broker cannot continue; nil: it can
	brokerID   atomic.Pointer[metadata.BrokerID] // nil while unknown
}

// healthReport is the content of a page.
type healthReport struct {
	ok       bool
	Status   string             `json:"status"` // UP or DOWN
	State    string             `json:"state"`
	BrokerID *metadata.BrokerID `json:"broker_id,omitempty"`
	Checks   []healthCheck      `json:"checks"`
}

// healthCheck is one condition. Reason is empty if it holds.
type healthCheck struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// live reports whether the process works. Only a restart helps if it does not. A broker that waits
// for ZooKeeper or loads its logs is alive: a restart would only make it begin again.
func (h *health) live() *healthReport {
	r := h.report()
	reason := ""
	if failed := h.failed.Load(); failed != nil {
		reason = *failed
	}
	r.check("process", reason)
	return r
}

// ready reports whether clients can use the broker: its logs are loaded, it is registered in
// ZooKeeper, it knows the cluster, and it serves requests and does not leave the cluster.
func (h *health) ready() *healthReport {
	r := h.report()
	reason := func(holds bool, otherwise string) string {
		if holds {
			return ""
		}
		return otherwise
	}
	r.check("logs", reason(h.loaded.Load(), "the logs are not loaded yet"))
	registered := h.registered.Load()
	r.check("registration", reason(registered != nil && (*registered)(), "the broker is not registered in ZooKeeper"))
	r.check("metadata", reason(h.cache.Snapshot().Complete, "the controller has not sent the metadata of the cluster yet"))
	switch state := brokerState(h.state.Load()); state {
	case stateRunning:
		r.check("requests", "")
	case stateControlledShutdown, stateShuttingDown, stateNotRunning:
		r.check("requests", "the broker is shutting down")
	default:
		r.check("requests", "the broker is starting")
	}
	return r
}

func (h *health) report() *healthReport {
	return &healthReport{ok: true, Status: "UP", State: brokerState(h.state.Load()).String(), BrokerID: h.brokerID.Load(), Checks: []healthCheck{}}
}

// check adds a condition, which holds if reason is empty.
func (r *healthReport) check(name, reason string) {
	c := healthCheck{Name: name, Status: "UP", Reason: reason}
	if reason != "" {
		c.Status, r.Status, r.ok = "DOWN", "DOWN", false
	}
	r.Checks = append(r.Checks, c)
}

// write answers with the report: status 200 if all conditions hold, otherwise 503.
func (r *healthReport) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !r.ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(r)
}
