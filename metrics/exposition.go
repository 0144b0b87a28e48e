package metrics

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type kind int8

const (
	gaugeKind kind = iota
	counterKind
	summaryKind
)

func (k kind) String() string { return [...]string{"gauge", "counter", "summary"}[k] }

// ContentType is the content type of the exposition.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Handler returns the HTTP handler that serves scrapes.
func (r *Registry) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var page bytes.Buffer
		r.Write(&page, time.Now())
		w.Header().Set("Content-Type", ContentType)
		w.Header().Set("Content-Length", strconv.Itoa(page.Len()))
		_, _ = w.Write(page.Bytes())
	})
}

// Write writes the current values of all metrics, sorted by name.
func (r *Registry) Write(w io.Writer, now time.Time) {
	s := &Scrape{families: map[family]*samples{}}
	r.metrics.Each(func(_ string, metric any) {
		switch m := metric.(type) {
		case *Counter:
			s.Counter(m.name, float64(m.Count()))
		case *Gauge:
			s.Gauge(m.name, m.Value())
		case *Histogram:
			s.histogram(m, now)
		}
	})
	r.mu.Lock()
	collectors := slices.Clone(r.collectors)
	r.mu.Unlock()
	for _, collect := range collectors {
		collect(s)
	}
	s.write(w)
}

// Scrape receives the values that collectors report.
type Scrape struct{ families map[family]*samples }

// samples are the lines of one family.
type samples struct {
	name  string // as exposed
	kind  kind
	help  string
	lines []line
}

type line struct {
	labels string // sort key of the output, and key of a series
	text   string // one line, or the lines of a summary
}

func (s *Scrape) of(n Name, k kind) *samples {
	key := n.family()
	f := s.families[key]
	if f == nil {
		f = &samples{name: key.exposed(k), kind: k, help: key.mbean()}
		s.families[key] = f
	}
	return f
}

// Gauge reports a value that may rise and fall.
func (s *Scrape) Gauge(n Name, value float64) {
	s.of(n, gaugeKind).add(n, formatFloat(value))
}

// Counter reports a number that only grows.
func (s *Scrape) Counter(n Name, value float64) {
	s.of(n, counterKind).add(n, formatFloat(value))
}

func (f *samples) add(n Name, value string) {
	labels := labelsOf(n.Tags, "")
	f.lines = append(f.lines, line{labels, f.name + braced(labels) + " " + value + "\n"})
}

// quantiles are the quantiles of a summary, in the spelling that the JMX exporter's rules derive
// from 50thPercentile to 999thPercentile.
var quantiles = [...]struct {
	label string
	share float64
}{{"0.50", 0.5}, {"0.75", 0.75}, {"0.95", 0.95}, {"0.98", 0.98}, {"0.99", 0.99}, {"0.999", 0.999}}

func (s *Scrape) histogram(h *Histogram, now time.Time) {
	f := s.of(h.name, summaryKind)
	all := h.all()
	recent := h.recent(all, now)
	var b strings.Builder
	for _, q := range quantiles {
		value := recent.percentile(q.share, float64(h.Min()), float64(h.Max()))
		b.WriteString(f.name + braced(labelsOf(h.name.Tags, q.label)) + " " + formatFloat(value/h.unit) + "\n")
	}
	labels := labelsOf(h.name.Tags, "")
	b.WriteString(f.name + "_sum" + braced(labels) + " " + formatFloat(float64(h.Sum())/h.unit) + "\n")
	b.WriteString(f.name + "_count" + braced(labels) + " " + strconv.FormatInt(all.count(), 10) + "\n")
	f.lines = append(f.lines, line{labels, b.String()})
}

func (s *Scrape) write(w io.Writer) {
	all := make([]*samples, 0, len(s.families))
	for _, f := range s.families {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *samples) int { return strings.Compare(a.name, b.name) })
	for _, f := range all {
		slices.SortStableFunc(f.lines, func(a, b line) int { return strings.Compare(a.labels, b.labels) })
		_, _ = io.WriteString(w, "# HELP "+f.name+" "+f.help+"\n# TYPE "+f.name+" "+f.kind.String()+"\n")
		for _, l := range f.lines {
			_, _ = io.WriteString(w, l.text)
		}
	}
}

// formatFloat formats a number without an exponent.
func formatFloat(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func braced(labels string) string {
	if labels == "" {
		return ""
	}
	return "{" + labels + "}"
}

var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// labelsOf formats tags as labels, followed by the quantile if it is not empty.
func labelsOf(tags []Tag, quantile string) string {
	var b strings.Builder
	add := func(key, value string) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		writeLabelName(&b, key)
		b.WriteString(`="`)
		_, _ = escaped.WriteString(&b, value)
		b.WriteByte('"')
	}
	for _, t := range tags {
		add(t.Key, t.Value)
	}
	if quantile != "" {
		add("quantile", quantile)
	}
	return b.String()
}

// writeLabelName keeps the case of the name, as the JMX exporter does: clientId.
func writeLabelName(b *strings.Builder, key string) {
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' && i > 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('_')
		}
	}
}
