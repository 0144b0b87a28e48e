package storage

import (
	"testing"
	"time"
)

// Kafka's scheduler repeats a task only if its period is above 0.
func TestATaskWithoutAPeriodRunsOnce(t *testing.T) {
	for _, c := range []struct {
		period time.Duration
		want   int
	}{{0, 1}, {-time.Millisecond, 1}, {time.Millisecond, 5}} {
		var due []func()
		s := newScheduler(func(_ time.Duration, f func()) { due = append(due, f) })
		runs := 0
		s.every(time.Second, c.period, nil, func() { runs++ })
		for range 5 {
			if len(due) > 0 {
				f := due[0]
				due = due[1:]
				f()
			}
		}
		if runs != c.want {
			t.Errorf("with a period of %v the task ran %d times, want %d", c.period, runs, c.want)
		}
	}
}
