package metrics

import (
	"sync"
	"time"
)

// Rate computes how fast a count grows, over the last one to two minutes. It is for the few metrics
// that Kafka exports as a rate only. The zero value is ready to use.
type Rate struct {
	mu           sync.Mutex // guards the fields below: the counts at the last two turns of the window
	newer, older sample
}

type sample struct {
	at    time.Time
	count int64
}

// PerSecond returns the rate, given the current count. It is 0 at the first call. A count that is
// smaller than before begins again.
func (r *Rate) PerSecond(count int64, now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if count < r.newer.count {
		r.newer, r.older = sample{}, sample{}
	}
	if r.newer.at.IsZero() || now.Sub(r.newer.at) >= window {
		r.older, r.newer = r.newer, sample{now, count}
	}
	from := r.older
	if from.at.IsZero() {
		from = r.newer
	}
	seconds := now.Sub(from.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(count-from.count) / seconds
}
