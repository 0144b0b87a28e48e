// Package metrics counts and measures under Kafka's names. It serves the result in Prometheus' text
// format, under the names that the common rules of the JMX exporter give, so existing dashboards
// work.
//
// A Registry belongs to one broker. Metrics on a hot path are looked up once and then updated only
// by atomic operations: no update allocates or takes a lock. Percentiles, and metrics that come and
// go with topics and partitions, are computed during a scrape. Prometheus computes the rates.
package metrics

import (
	"sync"
	"sync/atomic"

	gometrics "github.com/rcrowley/go-metrics"
)

// Registry holds a broker's metrics. It is safe for concurrent use.
type Registry struct {
	metrics gometrics.Registry // our Counter, Gauge and Histogram, by MBean name

	mu         sync.Mutex
	collectors []func(*Scrape) // guarded by mu
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{metrics: gometrics.NewRegistry()} }

// Counter returns the counter with the name and creates it if necessary. Kafka's meters (…PerSec)
// are counters.
func (r *Registry) Counter(n Name) *Counter {
	return r.metrics.GetOrRegister(n.MBean(), func() gometrics.Counter { return &Counter{name: n} }).(*Counter)
}

// Gauge registers a value that is computed at each scrape. value must be safe for concurrent use.
// If a gauge with the name exists, it is kept.
func (r *Registry) Gauge(n Name, value func() float64) {
	r.metrics.GetOrRegister(n.MBean(), func() gometrics.GaugeFloat64 { return &Gauge{name: n, value: value} })
}

// Durations returns the histogram with the name and creates it if necessary. It is updated with
// nanoseconds and shows milliseconds, like Kafka's …TimeMs.
func (r *Registry) Durations(n Name) *Histogram { return r.histogram(n, 1e6) }

// Sizes returns the histogram with the name and creates it if necessary. It shows the numbers as
// they are.
func (r *Registry) Sizes(n Name) *Histogram { return r.histogram(n, 1) }

func (r *Registry) histogram(n Name, unit float64) *Histogram {
	return r.metrics.GetOrRegister(n.MBean(), func() gometrics.Histogram { return newHistogram(n, unit) }).(*Histogram)
}

// Collect adds a function that reports the values of metrics that come and go, at each scrape. The
// function must be safe for concurrent use.
func (r *Registry) Collect(collector func(*Scrape)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collectors = append(r.collectors, collector)
}

// Len returns the number of registered metrics, without those of collectors.
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

// Dec subtracts n. Only go-metrics needs it.
func (c *Counter) Dec(n int64) { c.n.Add(-n) }

// Clear sets the counter to 0.
func (c *Counter) Clear() { c.n.Store(0) }

// Count returns the number.
func (c *Counter) Count() int64 { return c.n.Load() }

// Snapshot returns a counter that keeps the current number.
func (c *Counter) Snapshot() gometrics.Counter {
	now := &Counter{name: c.name}
	now.n.Store(c.Count())
	return now
}

// Gauge is a value that is computed on demand.
type Gauge struct {
	name  Name
	value func() float64
}

var _ gometrics.GaugeFloat64 = (*Gauge)(nil)

// Value computes the value.
func (g *Gauge) Value() float64 { return g.value() }

// Update does nothing, because the value is computed. Only go-metrics needs it.
func (g *Gauge) Update(float64) {}

// Snapshot returns a gauge that keeps the current value.
func (g *Gauge) Snapshot() gometrics.GaugeFloat64 {
	now := g.Value()
	return &Gauge{name: g.name, value: func() float64 { return now }}
}
