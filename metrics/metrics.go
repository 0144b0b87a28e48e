// Package metrics counts and measures under Kafka's names and shows the result
// in the text format of Prometheus, with the names that the common rules of
// the JMX exporter give, so that existing dashboards fit.
//
// A Registry belongs to one broker. What is on a hot path is looked up once and
// then updated by atomic operations only: no update allocates or takes a lock.
// Percentiles, and all that comes and goes with topics and partitions, are
// computed when somebody scrapes; rates are left to Prometheus.
package metrics

import (
	"sync"
	"sync/atomic"

	gometrics "github.com/rcrowley/go-metrics"
)

// Registry holds a broker's metrics. Safe for concurrent use.
type Registry struct {
	metrics gometrics.Registry // our Counter, Gauge and Histogram, by MBean name

	mu         sync.Mutex
	collectors []func(*Scrape) // guarded by mu
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{metrics: gometrics.NewRegistry()} }

// Counter returns the counter of the name, made where there is none. Kafka's
// meters (…PerSec) are counters.
func (r *Registry) Counter(n Name) *Counter {
	return r.metrics.GetOrRegister(n.MBean(), func() gometrics.Counter { return &Counter{name: n} }).(*Counter)
}

// Gauge registers a value that is asked for at every scrape; value must be safe
// for concurrent use. A gauge of the name that is there already stays.
func (r *Registry) Gauge(n Name, value func() float64) {
	r.metrics.GetOrRegister(n.MBean(), func() gometrics.GaugeFloat64 { return &Gauge{name: n, value: value} })
}

// Durations returns the histogram of the name, made where there is none. It is
// updated with nanoseconds and shows milliseconds, as Kafka's …TimeMs do.
func (r *Registry) Durations(n Name) *Histogram { return r.histogram(n, 1e6) }

// Sizes returns the histogram of the name, made where there is none. It shows
// the numbers as they are.
func (r *Registry) Sizes(n Name) *Histogram { return r.histogram(n, 1) }

func (r *Registry) histogram(n Name, unit float64) *Histogram {
	return r.metrics.GetOrRegister(n.MBean(), func() gometrics.Histogram { return newHistogram(n, unit) }).(*Histogram)
}

// Collect adds a function that tells, at every scrape, the values of metrics
// that come and go. It must be safe for concurrent use.
func (r *Registry) Collect(collector func(*Scrape)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collectors = append(r.collectors, collector)
}

// Len is the number of registered metrics, those of collectors not counted.
func (r *Registry) Len() int {
	n := 0
	r.metrics.Each(func(string, any) { n++ })
	return n
}

// Counter is a number that only grows.
type Counter struct {
	name Name
	n    atomic.Int64
}

var _ gometrics.Counter = (*Counter)(nil)

// Inc adds n, which must not be negative.
func (c *Counter) Inc(n int64) { c.n.Add(n) }

// Dec takes n away; for go-metrics' sake.
func (c *Counter) Dec(n int64) { c.n.Add(-n) }

// Clear sets the counter to 0.
func (c *Counter) Clear() { c.n.Store(0) }

// Count is the number.
func (c *Counter) Count() int64 { return c.n.Load() }

// Snapshot returns a counter that stays at this moment's number.
func (c *Counter) Snapshot() gometrics.Counter {
	now := &Counter{name: c.name}
	now.n.Store(c.Count())
	return now
}

// Gauge is a value computed when it is asked for.
type Gauge struct {
	name  Name
	value func() float64
}

var _ gometrics.GaugeFloat64 = (*Gauge)(nil)

// Value computes the value.
func (g *Gauge) Value() float64 { return g.value() }

// Update does nothing: the value is computed. For go-metrics' sake.
func (g *Gauge) Update(float64) {}

// Snapshot returns a gauge that stays at this moment's value.
func (g *Gauge) Snapshot() gometrics.GaugeFloat64 {
	now := g.Value()
	return &Gauge{name: g.name, value: func() float64 { return now }}
}
