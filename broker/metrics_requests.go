package broker

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/metrics"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
)

// Requests outside these bounds are not counted, because clients could create any number of series
// with them.
const (
	measuredKeys     = 128
	measuredVersions = 32
	measuredCodes    = 256
)

// requestMetrics are kafka.network:type=RequestMetrics. The metrics of a request type are created
// at its first request and found by two array accesses after that.
type requestMetrics struct {
	registry  *metrics.Registry
	byKey     [measuredKeys]atomic.Pointer[requestTimes]
	consumers atomic.Pointer[requestTimes] // FetchConsumer
	followers atomic.Pointer[requestTimes] // FetchFollower
	errors    [measuredKeys]atomic.Pointer[errorCounters]
}

// errorCounters are ErrorsPerSec of one key by error code, which begin at -1.
type errorCounters [measuredCodes]atomic.Pointer[metrics.Counter]

// requestTimes are the metrics of one kind of request.
type requestTimes struct {
	name     string
	versions [measuredVersions]atomic.Pointer[metrics.Counter]

	total, local, remote, queued, send, throttle *metrics.Histogram
	bytes                                        *metrics.Histogram
	// conversions and temporary are nil for requests without records.
	conversions, temporary *metrics.Histogram
}

func newRequestMetrics(r *metrics.Registry) *requestMetrics { return &requestMetrics{registry: r} }

func requestMetric(name string) metrics.Name {
	return metrics.Name{Group: "kafka.network", Type: "RequestMetrics", Name: name}
}

// observe implements network.Config.Observe.
func (m *requestMetrics) observe(r *network.Request, t network.Timing) {
	if !r.Key.Known() || r.Key < 0 || r.Key >= measuredKeys || r.Version < 0 || r.Version >= measuredVersions {
		return
	}
	m.of(&m.byKey[r.Key], r.Key.String).add(m.registry, r, t)
	switch r.Label {
	case "FetchConsumer":
		m.of(&m.consumers, func() string { return "FetchConsumer" }).add(m.registry, r, t)
	case "FetchFollower":
		m.of(&m.followers, func() string { return "FetchFollower" }).add(m.registry, r, t)
	}
}

func (m *requestMetrics) of(slot *atomic.Pointer[requestTimes], name func() string) *requestTimes {
	if times := slot.Load(); times != nil {
		return times
	}
	request := name()
	durations := func(of string) *metrics.Histogram {
		return m.registry.Durations(requestMetric(of).With("request", request))
	}
	// If two goroutines create the same metrics, both get the same ones: the registry returns each
	// metric once. The counters by version are looked up in it too.
	times := &requestTimes{name: request,
		total: durations("TotalTimeMs"), local: durations("LocalTimeMs"), remote: durations("RemoteTimeMs"),
		queued: durations("ResponseQueueTimeMs"), send: durations("ResponseSendTimeMs"), throttle: durations("ThrottleTimeMs"),
		bytes: m.registry.Sizes(requestMetric("RequestBytes").With("request", request))}
	if strings.HasPrefix(request, "Fetch") || request == "Produce" {
		times.conversions = durations("MessageConversionsTimeMs")
		times.temporary = m.registry.Sizes(requestMetric("TemporaryMemoryBytes").With("request", request))
	}
	slot.CompareAndSwap(nil, times)
	return slot.Load()
}

func (q *requestTimes) add(registry *metrics.Registry, r *network.Request, t network.Timing) {
	slot := &q.versions[r.Version]
	count := slot.Load()
	if count == nil {
		count = registry.Counter(requestMetric("RequestsPerSec").With("request", q.name, "version", strconv.Itoa(int(r.Version))))
		slot.Store(count)
	}
	count.Inc(1)
	q.total.UpdateDuration(t.Serve + t.Queued + t.Send)
	q.local.UpdateDuration(t.Serve - r.Waited)
	q.remote.UpdateDuration(r.Waited)
	q.queued.UpdateDuration(t.Queued)
	q.send.UpdateDuration(t.Send)
	q.throttle.UpdateDuration(t.Throttle)
	q.bytes.Update(int64(r.Size))
	if q.conversions != nil {
		q.conversions.UpdateDuration(r.Conversion.Time)
		q.temporary.Update(r.Conversion.Bytes)
	}
}

// countErrors implements api.ErrorCounter.
func (m *requestMetrics) countErrors(key protocol.APIKey, code protocol.ErrorCode, n int64) {
	if !key.Known() || key < 0 || key >= measuredKeys || code < -1 || code >= measuredCodes-1 {
		return
	}
	codes := m.errors[key].Load()
	if codes == nil {
		m.errors[key].CompareAndSwap(nil, new(errorCounters))
		codes = m.errors[key].Load()
	}
	count := codes[code+1].Load()
	if count == nil {
		// If two goroutines create the counter, both get the same one.
		count = m.registry.Counter(requestMetric("ErrorsPerSec").With("request", key.String(), "error", code.Name()))
		codes[code+1].Store(count)
	}
	count.Inc(n)
}

// zookeeperMetrics are kafka.server:type=SessionExpireListener and ZooKeeperClientMetrics. zkstore
// reports the events.
type zookeeperMetrics struct {
	latency *metrics.Histogram
	events  map[string]*metrics.Counter // by event; read only
	state   atomic.Pointer[string]
}

func newZooKeeperMetrics(r *metrics.Registry) *zookeeperMetrics {
	listener := metrics.Name{Group: "kafka.server", Type: "SessionExpireListener"}
	m := &zookeeperMetrics{events: map[string]*metrics.Counter{},
		latency: r.Durations(metrics.Name{Group: "kafka.server", Type: "ZooKeeperClientMetrics", Name: "ZooKeeperRequestLatencyMs"})}
	for event, name := range map[string]string{"SyncConnected": "ZooKeeperSyncConnectsPerSec", "Disconnected": "ZooKeeperDisconnectsPerSec",
		"Expired": "ZooKeeperExpiresPerSec", "AuthFailed": "ZooKeeperAuthFailuresPerSec"} {
		m.events[event] = r.Counter(named(listener, name))
	}
	m.setState("CONNECTING")
	r.Collect(func(s *metrics.Scrape) {
		// A string in JMX. As a label it can be compared and displayed.
		s.Gauge(named(listener, "SessionState").With("state", *m.state.Load()), 1)
	})
	return m
}

func (m *zookeeperMetrics) setState(name string) { m.state.Store(&name) }

// ZooKeeperEvent implements zkstore.Observer.
func (m *zookeeperMetrics) ZooKeeperEvent(name string) {
	if c := m.events[name]; c != nil {
		c.Inc(1)
	}
	switch name {
	case "SyncConnected":
		m.setState("CONNECTED")
	case "Disconnected":
		m.setState("CONNECTING")
	case "Expired":
		m.setState("CLOSED")
	case "AuthFailed":
		m.setState("AUTH_FAILED")
	}
}

// ZooKeeperRequest implements zkstore.Observer.
func (m *zookeeperMetrics) ZooKeeperRequest(latency time.Duration) { m.latency.UpdateDuration(latency) }
