package group

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats has the values of Kafka's metrics kafka.server:type=group-coordinator-metrics and
// NumOffsets. Counts are since the start, times are of the last minute.
type Stats struct {
	Commits    int64 // offsets committed (offset-commit-count)
	Expired    int64 // offsets expired (offset-expiration-count)
	Deleted    int64 // offsets deleted by request (offset-deletion-count)
	Rebalances int64 // generations with an assignment (group-completed-rebalance-count)

	Offsets int // offsets currently kept (NumOffsets)

	Loads            int // partitions of the offsets topic loaded in the last 30 to 60 seconds
	LoadMax, LoadAvg time.Duration
}

// Stats returns the coordinator's metrics.
func (c *Coordinator) Stats() Stats {
	s := Stats{Commits: c.counts.commits.Load(), Expired: c.counts.expired.Load(), Deleted: c.counts.deleted.Load(), Rebalances: c.counts.rebalances.Load()}
	s.Loads, s.LoadMax, s.LoadAvg = c.counts.loads.of(time.Now())
	for _, e := range c.entries() {
		s.Offsets += e.shown.Load().offsets
	}
	return s
}

// counts are the counters of a coordinator.
type counts struct {
	commits, expired, deleted, rebalances atomic.Int64
	loads                                 loadTimes
}

// loadWindow is the length of one sample. Kafka's maxima and averages are over two samples.
const loadWindow = 30 * time.Second

// loadTimes records how long loads took, in two windows.
type loadTimes struct {
	mu      sync.Mutex // a leaf; guards windows
	windows [2]struct {
		began    time.Time
		n        int
		max, sum time.Duration
	}
}

func (l *loadTimes) add(now time.Time, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.windows[0].began) >= loadWindow {
		l.windows[1] = l.windows[0]
		l.windows[0].began, l.windows[0].n, l.windows[0].max, l.windows[0].sum = now, 0, 0, 0
	}
	w := &l.windows[0]
	w.n++
	w.max, w.sum = max(w.max, took), w.sum+took
}

// of returns the number, the maximum and the average of the loads in the windows that are not too
// old.
func (l *loadTimes) of(now time.Time) (n int, most, avg time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sum time.Duration
	for _, w := range l.windows {
		if now.Sub(w.began) < 2*loadWindow {
			n, most, sum = n+w.n, max(most, w.max), sum+w.sum
		}
	}
	if n > 0 {
		avg = sum / time.Duration(n)
	}
	return n, most, avg
}
