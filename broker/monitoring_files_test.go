package broker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

// monitoringFile reads a file of config/monitoring.
func monitoringFile(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(), "config", "monitoring", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// metricName matches the metrics of a broker in expressions and documents.
var metricName = regexp.MustCompile(`\b(?:kafka|monedula|process|go)_[a-z0-9_]+[a-z0-9]\b`)

// exportsWhatTheFilesName checks that the brokers export every metric that the alert rules, the dashboard and
// docs/monitoring.md name. Names with a label value are checked without it; names of files and
// labels do not match metricName.
func (p *monitoredPair) exportsWhatTheFilesName() {
	p.t.Helper()
	series := map[string]bool{}
	for _, b := range p.brokers {
		for name := range seriesOf(p.t, b) {
			series[regexp.MustCompile(`\{.*`).ReplaceAllString(name, "")] = true
		}
	}
	manual, err := os.ReadFile(filepath.Join(testkit.Root(), "docs", "monitoring.md"))
	if err != nil {
		p.t.Fatal(err)
	}
	for file, text := range map[string]string{
		"alerts.yml": monitoringFile(p.t, "alerts.yml"), "grafana-dashboard.json": monitoringFile(p.t, "grafana-dashboard.json"),
		"alerts_test.yml": monitoringFile(p.t, "alerts_test.yml"), "monitoring.md": string(manual),
	} {
		names := metricName.FindAllString(text, -1)
		if len(names) < 20 {
			p.t.Errorf("%s names only %d metrics", file, len(names))
		}
		for _, name := range names {
			if !series[name] && !rarelyExported.MatchString(name) {
				p.t.Errorf("%s names %s, which no broker exports", file, name)
			}
		}
	}
}

// rarelyExported are metrics of events that TestMetricsMoveWhenTheirEventsHappen does not cause.
var rarelyExported = regexp.MustCompile("torecover$|uncleanable_partition$")

func TestTheDashboardIsWellFormed(t *testing.T) {
	type target struct {
		Expr, RefID string
	}
	type position struct{ X, Y, W, H int }
	var dashboard struct {
		Title, UID    string
		SchemaVersion int
		Panels        []struct {
			ID          int
			Type, Title string
			GridPos     position
			Targets     []target
			Datasource  struct{ UID string }
		}
		Templating struct {
			List []struct{ Name, Type string }
		}
	}
	if err := json.Unmarshal([]byte(monitoringFile(t, "grafana-dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range dashboard.Templating.List {
		variables[v.Name] = true
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q: the id occurs twice or the title is empty", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q is outside the grid or covers %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" && (len(p.Targets) == 0 || p.Datasource.UID != "${datasource}") {
			t.Errorf("panel %q has %d targets, data source %s", p.Title, len(p.Targets), p.Datasource.UID)
		}
		for _, target := range p.Targets {
			for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !variables[m[1]] {
					t.Errorf("panel %q uses the variable %s, which does not exist", p.Title, m[1])
				}
			}
		}
	}
	if len(ids) < 30 || dashboard.UID == "" || dashboard.SchemaVersion == 0 {
		t.Errorf("%d panels, uid %q, version %d of the schema", len(ids), dashboard.UID, dashboard.SchemaVersion)
	}
}
