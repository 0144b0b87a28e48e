package coordinator

import (
	"testing"
	"time"
)

// The goroutine that waits for the first deadline is woken only if another one becomes the first.
func TestOnlyANewFirstDeadlineWakesTheTimers(t *testing.T) {
	all := NewTimers[*Alarm]()
	a, b := &Alarm{}, &Alarm{}
	for i, c := range []struct {
		e     *Alarm
		at    time.Duration
		wakes bool
	}{{a, 2, true}, {b, 3, false}, {b, 1, true}, {a, 4, false}, {b, 2, true}} {
		all.set(c.e, c.at*time.Second)
		woken := false
		select {
		case <-all.changed:
			woken = true
		default:
		}
		if woken != c.wakes {
			t.Errorf("step %d: woken %t, want %t", i, woken, c.wakes)
		}
	}
}
