package coordinator

import (
	"container/heap"
	"sync"
	"time"
)

// Timers calls entries when their deadlines are due, with one heap that has at most one element for
// each entry. A deadline that is postponed costs nothing: the entry is called at the old deadline and
// then sets the new one. Create it with NewTimers.
type Timers[E Alarmed] struct {
	now     func() time.Time // the clock
	began   time.Time        // the times in the heap are relative to it
	wall    func() time.Time // the wall clock, which may be set while the program runs
	mu      sync.Mutex       // a leaf; guards heap
	heap    timerHeap[E]
	changed chan struct{} // one slot: the first deadline has changed
}

// Alarmed is an entry that embeds an Alarm.
type Alarmed interface{ alarm() *Alarm }

// Alarm is an entry's element of the heap of Timers.
type Alarm struct {
	set time.Duration // when it fires, since Timers.began; noAlarm: never; guarded by the entry's lock

	// The fields below are guarded by Timers.mu.
	at    time.Duration // since Timers.began
	index int32         // in the heap, if in is set
	in    bool          // it is in the heap
}

// noAlarm is the time of an alarm that is not set.
const noAlarm time.Duration = 0

func (a *Alarm) alarm() *Alarm { return a }

// Fired must be called, with the entry's lock, when the entry is called, before it is armed again.
func (a *Alarm) Fired() { a.set = noAlarm }

// NewTimers returns timers without entries. now is the clock, time.Now or that of a simulation.
func NewTimers[E Alarmed](now func() time.Time) *Timers[E] {
	return &Timers[E]{now: now, began: now(), wall: now, changed: make(chan struct{}, 1)}
}

// elapsed returns the time since the timers were made.
func (t *Timers[E]) elapsed() time.Duration { return t.now().Sub(t.began) }

// Arm makes sure that the entry is called at the deadline or earlier. The deadline may be a time of the
// wall clock, without a monotonic reading: it is due after the time that is left now, even if the
// clock was set since the timers were made. The caller must hold the entry's lock.
func (t *Timers[E]) Arm(e E, deadline time.Time) {
	at := max(t.elapsed()+deadline.Sub(t.wall()), noAlarm+1)
	a := e.alarm()
	if a.set != noAlarm && at >= a.set {
		return
	}
	a.set = at
	t.set(e, at)
}

// Disarm makes sure that the entry is not called before it is armed again, and is not kept in memory.
// The caller must hold the entry's lock.
func (t *Timers[E]) Disarm(e E) {
	a := e.alarm()
	a.set = noAlarm
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.in {
		heap.Remove(&t.heap, int(a.index))
	}
}

// set sets the timer of e, or moves it, to the given time.
func (t *Timers[E]) set(e E, at time.Duration) {
	t.mu.Lock()
	a := e.alarm()
	a.at = at
	if a.in {
		heap.Fix(&t.heap, int(a.index))
	} else {
		heap.Push(&t.heap, e)
	}
	first := a.index == 0
	t.mu.Unlock()
	if first {
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
}

// Run calls call for each entry whose deadline is due, until done is closed.
func (t *Timers[E]) Run(done <-chan struct{}, call func(E)) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		wait := t.Due(call)
		alarm.Reset(wait)
		select {
		case <-alarm.C:
		case <-t.changed:
		case <-done:
			return
		}
	}
}

// Due calls call for each entry whose deadline is due, and returns how long to wait for the next one.
func (t *Timers[E]) Due(call func(E)) (wait time.Duration) {
	for {
		e, wait, due := t.next(t.elapsed())
		if !due {
			return wait
		}
		call(e)
	}
}

// next removes and returns an entry that is due, or returns how long to wait for one.
func (t *Timers[E]) next(now time.Duration) (e E, wait time.Duration, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) == 0 {
		return e, time.Hour, false
	}
	if first := t.heap[0].alarm(); first.at > now {
		return e, first.at - now, false
	}
	return heap.Pop(&t.heap).(E), 0, true
}

// timerHeap is a heap with the earliest deadline first.
type timerHeap[E Alarmed] []E

func (h timerHeap[E]) Len() int           { return len(h) }
func (h timerHeap[E]) Less(i, j int) bool { return h[i].alarm().at < h[j].alarm().at }
func (h timerHeap[E]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].alarm().index, h[j].alarm().index = int32(i), int32(j)
}

// Push implements heap.Interface.
func (h *timerHeap[E]) Push(x any) {
	e := x.(E)
	a := e.alarm()
	a.index, a.in = int32(len(*h)), true
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *timerHeap[E]) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	var none E
	(*h)[last] = none
	*h = (*h)[:last]
	e.alarm().in = false
	return e
}
