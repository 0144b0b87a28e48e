package broker

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/settings"
)

func unstarted(t testing.TB, properties map[string]string) *Broker {
	t.Helper()
	all := map[string]string{"broker.id": "1", "zookeeper.connect": "127.0.0.1:1", "log.dirs": t.TempDir()}
	for k, v := range properties {
		all[k] = v
	}
	cfg, err := settings.FromMap(all)
	if err != nil {
		t.Fatal(err)
	}
	return New(cfg, kafkalog.Discard())
}

// getPage returns the status and the content of a page for monitoring.
func getPage(b *Broker, path string) (int, string) {
	answer := httptest.NewRecorder()
	b.monitoringPages().ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
	return answer.Code, answer.Body.String()
}

// report is the content of /live and /ready.
type report struct {
	Status, State string
	BrokerID      *int32 `json:"broker_id"`
	Checks        []struct{ Name, Status, Reason string }
}

func getReport(t *testing.T, b *Broker, path string) (int, report) {
	t.Helper()
	status, body := getPage(b, path)
	var r report
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%s: %v in %s", path, err, body)
	}
	return status, r
}

// down returns the names of the conditions that do not hold.
func (r *report) down() (names []string) {
	for _, c := range r.Checks {
		if c.Status != "UP" && c.Reason != "" {
			names = append(names, c.Name)
		}
	}
	return names
}

func TestABrokerIsReadyWhenAllConditionsHold(t *testing.T) {
	b := unstarted(t, nil)
	expect := func(what string, status int, state string, down ...string) {
		t.Helper()
		got, r := getReport(t, b, "/ready")
		if names := r.down(); got != status || r.State != state || len(names) != len(down) || len(r.Checks) != 4 {
			t.Errorf("%s: status %d, %+v; want %d, state %s, down %v", what, got, r, status, state, down)
			return
		}
		for i, name := range r.down() {
			if name != down[i] {
				t.Errorf("%s: %v are down, want %v", what, r.down(), down)
			}
		}
		if live, r := getReport(t, b, "/live"); live != http.StatusOK || r.Status != "UP" {
			t.Errorf("%s: not alive: %+v", what, r)
		}
	}
	expect("not started", 503, "not running", "logs", "registration", "metadata", "requests")
	b.metrics.become(stateRecovery)
	expect("logs are loaded", 503, "recovery", "logs", "registration", "metadata", "requests")
	b.health.loaded.Store(true)
	b.metrics.become(stateStarting)
	registered := true
	reports := func() bool { return registered }
	b.health.registered.Store(&reports)
	expect("registered", 503, "starting", "metadata", "requests")
	update := kmsg.NewPtrUpdateMetadataRequest()
	update.Version, update.ControllerID = 8, 1
	b.cache.Apply(update)
	b.cache.Confirm()
	b.health.brokerID.Store(&b.id.brokerID)
	b.metrics.become(stateRunning)
	expect("started", 200, "running")
	registered = false
	expect("the session is lost", 503, "running", "registration")
	registered = true
	b.metrics.become(stateControlledShutdown)
	expect("leaving", 503, "controlled shutdown", "requests")
	b.metrics.become(stateShuttingDown)
	expect("stopping", 503, "shutting down", "requests")
	b.cache.Doubt()
	b.metrics.become(stateRunning)
	expect("the metadata may be incomplete", 503, "running", "metadata")
}

func TestABrokerThatCannotContinueIsNotAlive(t *testing.T) {
	b := unstarted(t, nil)
	b.fail(errNoController)
	for _, path := range []string{"/live", "/healthz"} {
		if status, r := getReport(t, b, path); status != 503 || r.Status != "DOWN" || r.Checks[0].Reason != errNoController.Error() {
			t.Errorf("%s: status %d, %+v", path, status, r)
		}
	}
}

func TestProfilesAreServedOnlyIfEnabled(t *testing.T) {
	for enabled, want := range map[string]int{"": 404, "false": 404, "true": 200} {
		properties := map[string]string{}
		if enabled != "" {
			properties["monedula.pprof.enable"] = enabled
		}
		b := unstarted(t, properties)
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline"} {
			if status, _ := getPage(b, path); status != want {
				t.Errorf("monedula.pprof.enable=%s: %s has status %d, want %d", enabled, path, status, want)
			}
		}
	}
}
