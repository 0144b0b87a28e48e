package coordinator

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The goroutine that waits for the first deadline is woken only if another one becomes the first.
func TestOnlyANewFirstDeadlineWakesTheTimers(t *testing.T) {
	all := NewTimers[*Alarm](time.Now)
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

// An entry is called at the earliest deadline that was set since it was called last.
func TestAnEntryIsCalledAtItsEarliestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, a := NewTimers[*Alarm](time.Now), &Alarm{}
		began := time.Now()
		for _, at := range []time.Duration{5, 2, 3} {
			all.Arm(a, began.Add(at*time.Second))
		}
		for _, want := range []time.Duration{2, 4} {
			wait := all.Due(func(*Alarm) { t.Errorf("called after %v", time.Since(began)) })
			time.Sleep(wait)
			calls := 0
			all.Due(func(a *Alarm) { calls++; a.Fired() })
			if at := time.Since(began); at != want*time.Second || calls != 1 {
				t.Errorf("%d calls after %v, want one after %v", calls, at, want*time.Second)
			}
			all.Arm(a, began.Add(4*time.Second))
		}
	})
}

// A deadline of the wall clock is due when that time is left, also after the clock was set.
func TestADeadlineIsDueInTimeAfterTheClockWasSet(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			all, a := NewTimers[*Alarm](time.Now), &Alarm{}
			all.wall = func() time.Time { return time.Now().Round(0).Add(step) }
			all.Arm(a, time.UnixMilli(all.wall().Add(time.Minute).UnixMilli()))
			if wait := all.Due(func(*Alarm) { t.Error("called at once") }); wait != time.Minute {
				t.Errorf("the clock was set by %v: the deadline in a minute is due in %v", step, wait)
			}
		})
	}
}

// A disarmed entry is not called, and the others are called in order.
func TestADisarmedEntryIsNotCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, began := NewTimers[*Alarm](time.Now), time.Now()
		alarms := make([]Alarm, 10)
		for i := range alarms {
			all.Arm(&alarms[i], began.Add(time.Duration(1+(i*7)%10)*time.Second))
		}
		for _, i := range []int{0, 4, 9} { // after 1, 9 and 4 seconds
			all.Disarm(&alarms[i])
			all.Disarm(&alarms[i])
		}
		all.Arm(&alarms[4], began.Add(20*time.Second))
		var called []time.Duration
		for wait := all.Due(func(*Alarm) {}); wait < time.Hour; wait = all.Due(func(*Alarm) { called = append(called, time.Since(began)/time.Second) }) {
			time.Sleep(wait)
		}
		if want := []time.Duration{2, 3, 5, 6, 7, 8, 10, 20}; !slices.Equal(called, want) {
			t.Errorf("called after %v seconds, want %v", []time.Duration(called), want)
		}
	})
}
