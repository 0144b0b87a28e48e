package coordinator

import (
	"sync"
	"time"
)

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

// LoadTimes returns the number, the maximum and the average duration of the loads in the last 30 to
// 60 seconds.
func (r *Runtime[E]) LoadTimes() (n int, most, avg time.Duration) { return r.loadTimes.of(r.cfg.Now()) }
