package metrics

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	gometrics "github.com/rcrowley/go-metrics"
)

// Buckets are exponential, four per power of two, so a percentile is off by at most an eighth.
const (
	bucketBits     = 2
	bucketsPerStep = 1 << bucketBits
	buckets        = (63-bucketBits)*bucketsPerStep + bucketsPerStep
)

// bucketOf returns the bucket of a value. Negative values count as 0.
func bucketOf(v int64) int {
	if v < bucketsPerStep {
		return int(max(v, 0))
	}
	top := bits.Len64(uint64(v)) - 1
	return (top-bucketBits+1)<<bucketBits + int(v>>(top-bucketBits))&(bucketsPerStep-1)
}

// bucketStart returns the smallest value of a bucket.
func bucketStart(i int) float64 {
	if i < bucketsPerStep {
		return float64(i)
	}
	return math.Ldexp(float64(bucketsPerStep+i&(bucketsPerStep-1)), i>>bucketBits-1)
}

// window is the time that percentiles cover at least; they cover at most twice as much. Kafka's
// percentiles cover about the last five minutes and give the latest values the most weight.
const window = time.Minute

// Histogram is a distribution of numbers. Update costs three atomic operations.
type Histogram struct {
	name Name
	unit float64 // numbers are divided by it when shown: 1e6 shows nanoseconds as milliseconds

	counts   [buckets]atomic.Int64
	sum      atomic.Int64
	min, max atomic.Int64 // of all numbers; min is MaxInt64 if there are none

	mu     sync.Mutex // guards the fields below: the counts at the last two turns of the window
	turned time.Time
	newer  *distribution
	older  *distribution
}

var _ gometrics.Histogram = (*Histogram)(nil)

func newHistogram(n Name, unit float64) *Histogram {
	h := &Histogram{name: n, unit: unit}
	h.min.Store(math.MaxInt64)
	return h
}

// Update adds a number. Negative numbers count as 0.
func (h *Histogram) Update(v int64) {
	v = max(v, 0)
	h.counts[bucketOf(v)].Add(1)
	h.sum.Add(v)
	for old := h.max.Load(); v > old && !h.max.CompareAndSwap(old, v); {
		old = h.max.Load()
	}
	for old := h.min.Load(); v < old && !h.min.CompareAndSwap(old, v); {
		old = h.min.Load()
	}
}

// UpdateDuration adds a duration in nanoseconds.
func (h *Histogram) UpdateDuration(d time.Duration) { h.Update(int64(d)) }

// distribution is the count of each bucket.
type distribution [buckets]int64

func (h *Histogram) all() *distribution {
	d := &distribution{}
	for i := range h.counts {
		d[i] = h.counts[i].Load()
	}
	return d
}

// recent returns the numbers that were added within the window, or all numbers if there were none.
func (h *Histogram) recent(all *distribution, now time.Time) *distribution {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.turned.IsZero() || now.Sub(h.turned) >= window {
		h.older, h.newer, h.turned = h.newer, all, now
	}
	if h.older == nil {
		return all
	}
	d := &distribution{}
	for i := range all {
		d[i] = all[i] - h.older[i]
	}
	if d.count() == 0 {
		return all
	}
	return d
}

func (d *distribution) count() int64 {
	n := int64(0)
	for _, c := range d {
		n += c
	}
	return n
}

// percentile returns the number below which the share p, from 0 to 1, of all numbers lies, limited
// to the range from lowest to highest. It is 0 if there are no numbers.
func (d *distribution) percentile(p, lowest, highest float64) float64 {
	count := d.count()
	if count == 0 {
		return 0
	}
	rank, below := p*float64(count), 0.0
	for i, c := range d {
		if c == 0 || below+float64(c) < rank {
			below += float64(c)
			continue
		}
		start, end := bucketStart(i), bucketStart(i+1)
		if i < bucketsPerStep { // the bucket holds only one number
			end = start
		}
		return min(max(start+(end-start)*(rank-below)/float64(c), lowest), highest)
	}
	return highest
}

// spread returns the variance, taking each number for the middle of its bucket.
func (d *distribution) spread(mean float64) float64 {
	n, squares := 0.0, 0.0
	for i, c := range d {
		if c == 0 {
			continue
		}
		middle := bucketStart(i)
		if i >= bucketsPerStep {
			middle = (middle + bucketStart(i+1)) / 2
		}
		n += float64(c)
		squares += float64(c) * (middle - mean) * (middle - mean)
	}
	if n == 0 {
		return 0
	}
	return squares / n
}

// The methods below implement go-metrics' interface. They cover all numbers ever added, in the unit
// of Update.

// Count returns how many numbers were added.
func (h *Histogram) Count() int64 { return h.all().count() }

// Sum returns the sum of the numbers.
func (h *Histogram) Sum() int64 { return h.sum.Load() }

// Max returns the largest number, or 0 if there are none.
func (h *Histogram) Max() int64 { return h.max.Load() }

// Min returns the smallest number, or 0 if there are none.
func (h *Histogram) Min() int64 {
	if v := h.min.Load(); v != math.MaxInt64 {
		return v
	}
	return 0
}

// Mean returns the mean of the numbers, or 0 if there are none.
func (h *Histogram) Mean() float64 {
	if n := h.Count(); n > 0 {
		return float64(h.Sum()) / float64(n)
	}
	return 0
}

// Percentile returns the number below which the share p, from 0 to 1, of all numbers lies.
func (h *Histogram) Percentile(p float64) float64 { return h.Percentiles([]float64{p})[0] }

// Percentiles returns Percentile for several shares.
func (h *Histogram) Percentiles(shares []float64) []float64 {
	all := h.all()
	values := make([]float64, len(shares))
	for i, p := range shares {
		values[i] = all.percentile(p, float64(h.Min()), float64(h.Max()))
	}
	return values
}

// Variance returns the variance of the numbers, computed from the middles of their buckets.
func (h *Histogram) Variance() float64 { return h.all().spread(h.Mean()) }

// StdDev returns the square root of Variance.
func (h *Histogram) StdDev() float64 { return math.Sqrt(h.Variance()) }

// Clear removes all numbers.
func (h *Histogram) Clear() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
	h.sum.Store(0)
	h.max.Store(0)
	h.min.Store(math.MaxInt64)
	h.mu.Lock()
	h.turned, h.newer, h.older = time.Time{}, nil, nil
	h.mu.Unlock()
}

// Sample returns an empty sample, because single numbers are not kept.
func (h *Histogram) Sample() gometrics.Sample { return gometrics.NilSample{} }

// Snapshot returns a histogram that keeps the current values.
func (h *Histogram) Snapshot() gometrics.Histogram {
	now := newHistogram(h.name, h.unit)
	for i, c := range h.all() {
		now.counts[i].Store(c)
	}
	now.sum.Store(h.sum.Load())
	now.max.Store(h.max.Load())
	now.min.Store(h.min.Load())
	return now
}
