package metrics

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	gometrics "github.com/rcrowley/go-metrics"
)

// Buckets are exponential, four to each power of two: a percentile is off by an
// eighth at most.
const (
	bucketBits     = 2
	bucketsPerStep = 1 << bucketBits
	buckets        = (63-bucketBits)*bucketsPerStep + bucketsPerStep
)

// bucketOf is the bucket of a value; negative ones count as 0.
func bucketOf(v int64) int {
	if v < bucketsPerStep {
		return int(max(v, 0))
	}
	top := bits.Len64(uint64(v)) - 1
	return (top-bucketBits+1)<<bucketBits + int(v>>(top-bucketBits))&(bucketsPerStep-1)
}

// bucketStart is the least value of a bucket.
func bucketStart(i int) float64 {
	if i < bucketsPerStep {
		return float64(i)
	}
	return math.Ldexp(float64(bucketsPerStep+i&(bucketsPerStep-1)), i>>bucketBits-1)
}

// window is the time that percentiles tell about: it and at most as much again.
// Kafka's are about the last five minutes, the latest counting most.
const window = time.Minute

// Histogram is a distribution of numbers. Update is three atomic operations.
type Histogram struct {
	name Name
	unit float64 // what is shown counts in it: 1e6 shows nanoseconds as milliseconds

	counts   [buckets]atomic.Int64
	sum      atomic.Int64
	min, max atomic.Int64 // of all; min is MaxInt64 while there is none

	mu     sync.Mutex // guards what follows: the counts at two turns of the window
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

// Update adds a number; negative ones count as 0.
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

// UpdateDuration is Update with nanoseconds.
func (h *Histogram) UpdateDuration(d time.Duration) { h.Update(int64(d)) }

// distribution is how many numbers each bucket has.
type distribution [buckets]int64

func (h *Histogram) all() *distribution {
	d := &distribution{}
	for i := range h.counts {
		d[i] = h.counts[i].Load()
	}
	return d
}

// recent is what came within the window, or all there ever was if nothing did.
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

// percentile is the number below which the share p, from 0 to 1, of all lies,
// but never outside of lowest and highest; 0 where there is none.
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
		if i < bucketsPerStep { // one number only
			end = start
		}
		return min(max(start+(end-start)*(rank-below)/float64(c), lowest), highest)
	}
	return highest
}

// spread is the variance, every number taken for the middle of its bucket.
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

// The rest are go-metrics' questions, about all numbers ever seen and in the
// unit of Update.

// Count is how many numbers came.
func (h *Histogram) Count() int64 { return h.all().count() }

// Sum is their sum.
func (h *Histogram) Sum() int64 { return h.sum.Load() }

// Max is the greatest, 0 where there is none.
func (h *Histogram) Max() int64 { return h.max.Load() }

// Min is the least, 0 where there is none.
func (h *Histogram) Min() int64 {
	if v := h.min.Load(); v != math.MaxInt64 {
		return v
	}
	return 0
}

// Mean is their mean, 0 where there is none.
func (h *Histogram) Mean() float64 {
	if n := h.Count(); n > 0 {
		return float64(h.Sum()) / float64(n)
	}
	return 0
}

// Percentile is the number below which the share p, from 0 to 1, of all lies.
func (h *Histogram) Percentile(p float64) float64 { return h.Percentiles([]float64{p})[0] }

// Percentiles is Percentile for several shares.
func (h *Histogram) Percentiles(shares []float64) []float64 {
	all := h.all()
	values := make([]float64, len(shares))
	for i, p := range shares {
		values[i] = all.percentile(p, float64(h.Min()), float64(h.Max()))
	}
	return values
}

// Variance is their variance, from the middles of the buckets.
func (h *Histogram) Variance() float64 { return h.all().spread(h.Mean()) }

// StdDev is the square root of Variance.
func (h *Histogram) StdDev() float64 { return math.Sqrt(h.Variance()) }

// Clear forgets all numbers.
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

// Sample is empty: no single numbers are kept.
func (h *Histogram) Sample() gometrics.Sample { return gometrics.NilSample{} }

// Snapshot returns a histogram that stays as it is at this moment.
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
