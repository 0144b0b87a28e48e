package group

import (
	"container/heap"
	"sync"
	"time"
)

// timers calls groups when their deadlines are there: one goroutine and one
// heap with at most one place per group. Deadlines that move away cost nothing:
// the group is called at the old one and says when next.
type timers struct {
	began   time.Time  // what the times in the heap are counted from
	mu      sync.Mutex // a leaf; guards heap
	heap    timerHeap
	changed chan struct{} // one slot: the first deadline is another
}

// timer is a group's place in the heap.
type timer struct {
	at    time.Duration // since timers.began
	index int32         // where in is set
	in    bool          // it is in the heap
}

func (t *timers) init() { t.began, t.changed = time.Now(), make(chan struct{}, 1) }

// set has e called at the time, instead of when it was asked for before.
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

// run calls until done is closed.
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

// next takes out an entry that is due, or tells how long to wait.
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

// timerHeap has the earliest first.
type timerHeap []*entry

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].timer.at < h[j].timer.at }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timer.index, h[j].timer.index = int32(i), int32(j)
}

// Push is heap.Interface's.
func (h *timerHeap) Push(x any) {
	e := x.(*entry)
	e.timer.index, e.timer.in = int32(len(*h)), true
	*h = append(*h, e)
}

// Pop is heap.Interface's.
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.timer.in = false
	return e
}
