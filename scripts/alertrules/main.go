// Command alertrules checks the files of config/monitoring with Prometheus' own parser and query
// engine: the syntax of the alert rules and of the dashboard's queries, and the unit tests of the
// rules, which are in the format of `promtool test rules`. It also requires that some test expects
// each alert to fire.
//
// It is a module of its own, so that the broker does not depend on Prometheus. promtool itself would
// be simpler to run, but needs the libraries of all clouds that Prometheus can discover.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/util/annotations"
	"go.yaml.in/yaml/v3"
)

// testFile is the content of a file for `promtool test rules`, as far as it is used here.
type testFile struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	Tests              []ruleTest     `yaml:"tests"`
}

type ruleTest struct {
	Name     string         `yaml:"name"`
	Interval model.Duration `yaml:"interval"`
	Input    []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Alerts []alertTest `yaml:"alert_rule_test"`
}

type alertTest struct {
	At    model.Duration `yaml:"eval_time"`
	Alert string         `yaml:"alertname"`
	Want  []alert        `yaml:"exp_alerts"`
}

// alert is an alert that fires.
type alert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

func (a alert) String() string { return fmt.Sprintf("%v %v", a.Labels, a.Annotations) }

var promQL = parser.NewParser(parser.Options{})

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: alertrules FOLDER")
		os.Exit(2)
	}
	problems := append(checkDashboard(filepath.Join(os.Args[1], "grafana-dashboard.json")), runTests(filepath.Join(os.Args[1], "alerts_test.yml"))...)
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// checkDashboard parses the queries of a dashboard. Variables of Grafana are replaced first.
func checkDashboard(file string) (problems []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return []string{err.Error()}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		return []string{fmt.Sprintf("%s: %v", file, err)}
	}
	variable := regexp.MustCompile(`\$\w+`)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			query := variable.ReplaceAllString(strings.ReplaceAll(target.Expr, "$__rate_interval", "1m"), "x")
			if _, err := promQL.ParseExpr(query); err != nil {
				problems = append(problems, fmt.Sprintf("%s: panel %q: %v", file, p.Title, err))
			}
		}
	}
	return problems
}

// runTests runs the tests of a file, whose rules are in files of the same folder.
func runTests(file string) (problems []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return []string{err.Error()}
	}
	var tests testFile
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&tests); err != nil {
		return []string{fmt.Sprintf("%s: %v", file, err)}
	}
	rules := map[string]rulefmt.Rule{}
	for _, name := range tests.RuleFiles {
		groups, errs := rulefmt.ParseFile(filepath.Join(filepath.Dir(file), name), false, model.LegacyValidation, promQL, slog.Default())
		for _, err := range errs {
			problems = append(problems, err.Error())
		}
		if len(errs) > 0 {
			return problems
		}
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				rules[r.Alert] = r
			}
		}
	}
	fired := map[string]bool{}
	for _, t := range tests.Tests {
		problems = append(problems, t.run(rules, time.Duration(tests.EvaluationInterval), fired)...)
	}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		if !fired[name] {
			problems = append(problems, fmt.Sprintf("%s: no test expects the alert %s to fire", file, name))
		}
	}
	return problems
}

func (t *ruleTest) run(rules map[string]rulefmt.Rule, every time.Duration, fired map[string]bool) (problems []string) {
	series, err := t.series()
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", t.Name, err)}
	}
	for _, a := range t.Alerts {
		rule, known := rules[a.Alert]
		if !known {
			problems = append(problems, fmt.Sprintf("%s: there is no rule %s", t.Name, a.Alert))
			continue
		}
		got, err := firing(rule, series, every, time.Duration(a.At))
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %s: %v", t.Name, a.Alert, err))
			continue
		}
		if g, w := texts(got), texts(a.Want); !slices.Equal(g, w) {
			problems = append(problems, fmt.Sprintf("%s: %s at %s:\n  fires  %s\n  wanted %s", t.Name, a.Alert, a.At, strings.Join(g, "\n         "), strings.Join(w, "\n         ")))
		}
		fired[a.Alert] = fired[a.Alert] || len(a.Want) > 0
	}
	return problems
}

func texts(alerts []alert) (list []string) {
	for _, a := range alerts {
		list = append(list, a.String())
	}
	slices.Sort(list)
	return list
}

// series returns the input series, whose first samples are at time 0.
func (t *ruleTest) series() (all []promql.Series, err error) {
	for _, in := range t.Input {
		name, values, err := promQL.ParseSeriesDesc(in.Series + " " + in.Values)
		if err != nil {
			return nil, err
		}
		s := promql.Series{Metric: name}
		for i, v := range values {
			if !v.Omitted {
				s.Floats = append(s.Floats, promql.FPoint{T: int64(i) * time.Duration(t.Interval).Milliseconds(), F: v.Value})
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// firing evaluates a rule from time 0 to a time, and returns the alerts that fire then.
func firing(rule rulefmt.Rule, series []promql.Series, every, until time.Duration) (alerts []alert, err error) {
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: promQL,
		EnableAtModifier: true, EnableNegativeOffset: true})
	since := map[uint64]time.Duration{} // by hash of the labels: when the alert became active
	for at := time.Duration(0); at <= until; at += every {
		query, err := engine.NewInstantQuery(context.Background(), queryable(series), promql.NewPrometheusQueryOpts(false, 0, nil), rule.Expr, time.UnixMilli(at.Milliseconds()))
		if err != nil {
			return nil, err
		}
		vector, err := query.Exec(context.Background()).Vector()
		if err != nil {
			return nil, err
		}
		active := map[uint64]time.Duration{}
		alerts = nil
		for _, sample := range vector {
			key := sample.Metric.Hash()
			began, was := since[key]
			if !was {
				began = at
			}
			active[key] = began
			if at-began >= time.Duration(rule.For) {
				a, err := describe(rule, sample, at)
				if err != nil {
					return nil, err
				}
				alerts = append(alerts, a)
			}
		}
		since = active
	}
	return alerts, nil
}

// describe returns the alert for a sample, with its texts expanded.
func describe(rule rulefmt.Rule, sample promql.Sample, at time.Duration) (alert, error) {
	a := alert{Labels: sample.Metric.Map(), Annotations: map[string]string{}}
	delete(a.Labels, labels.MetricName)
	data := template.AlertTemplateData(a.Labels, nil, "", sample)
	a.Labels = maps.Clone(a.Labels)
	maps.Copy(a.Labels, rule.Labels)
	for name, text := range rule.Annotations {
		const variables = "{{$labels := .Labels}}{{$value := .Value}}"
		expanded, err := template.NewTemplateExpander(context.Background(), variables+text, rule.Alert, data, model.Time(at.Milliseconds()), nil, &url.URL{}, nil).Expand()
		if err != nil {
			return a, err
		}
		a.Annotations[name] = expanded
	}
	return a, nil
}

// queryable returns a storage of given series.
func queryable(series []promql.Series) storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			set := &seriesSet{at: -1}
			for _, s := range series {
				if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Metric.Get(m.Name)) }) {
					set.series = append(set.series, promql.NewStorageSeries(s))
				}
			}
			return set
		}}}
}

// seriesSet iterates over series.
type seriesSet struct {
	series []storage.Series
	at     int
}

// Next moves to the next series and reports whether there is one.
func (s *seriesSet) Next() bool { s.at++; return s.at < len(s.series) }

// At returns the current series.
func (s *seriesSet) At() storage.Series { return s.series[s.at] }

// Err returns nil, because nothing can fail.
func (s *seriesSet) Err() error { return nil }

// Warnings returns none.
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
