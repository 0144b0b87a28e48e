package group

import (
	"container/heap"
	"sync"
	"time"
)

// timers calls groups when their deadlines are due, with one goroutine and one heap that has at
// most one element for each group. A deadline that is postponed costs nothing: the group is called
// at the old deadline and then sets the new one.
type timers struct {
	began   time.Time  // the times in the heap are relative to it
	mu      sync.Mutex // a leaf; guards heap
	heap    timerHeap
	changed chan struct{} // one slot: the first deadline has changed
}

// timer is a group's element of the heap.
type timer struct {
	at    time.Duration // since timers.began
	index int32         // in the heap, if in is set
	in    bool          // it is in the heap
}

func (t *timers) init() { t.began, t.changed = time.Now(), make(chan struct{}, 1) }

// set sets the timer of e, or moves it, to the given time.
func (t *timers) set(e *entry, at time.Duration) {
	t.mu.Lock()
	e.timer.at = at
	if e.timer.in {
		heap.Fix(&t.heap, int(e.timer.index))
	} else {
		heap.Push(&t.heap, e)
	}
	first := e.timer.index == 0
	t.mu.Unlock()
	if first {
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
}

// run calls call for each group whose deadline is due, until done is closed.
func (t *timers) run(done <-chan struct{}, call func(*entry)) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		e, wait := t.next(time.Since(t.began))
		if e != nil {
			call(e)
			continue
		}
		alarm.Reset(wait)
		select {
		case <-alarm.C:
		case <-t.changed:
		case <-done:
			return
		}
	}
}

// next removes and returns an entry that is due, or returns how long to wait for one.
func (t *timers) next(now time.Duration) (due *entry, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) == 0 {
		return nil, time.Hour
	}
	if first := t.heap[0]; first.timer.at > now {
		return nil, first.timer.at - now
	}
	return heap.Pop(&t.heap).(*entry), 0
}

// timerHeap is a heap with the earliest deadline first.
type timerHeap []*entry

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].timer.at < h[j].timer.at }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timer.index, h[j].timer.index = int32(i), int32(j)
}

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) {
	e := x.(*entry)
	e.timer.index, e.timer.in = int32(len(*h)), true
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.timer.in = false
	return e
}
