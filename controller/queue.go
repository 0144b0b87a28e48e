package controller

import (
	"sync"
	"time"
)

// queue is the Agenda of a running Controller. Events leave it in the order in which they were put.
// It has no size limit because Put must never block.
type queue struct {
	mu     sync.Mutex // guards the fields below
	events []queued
	closed bool
	timers map[*time.Timer]struct{} // timers that have not fired
	wake   chan struct{}            // holds a token if next has something to check
}

type queued struct {
	event   Event
	put     time.Time
	started chan struct{} // closed when the event is taken; nil if no caller waits for that
}

func newQueue() *queue {
	return &queue{timers: map[*time.Timer]struct{}{}, wake: make(chan struct{}, 1)}
}

// Put appends an event. After close it answers the event instead.
func (q *queue) Put(e Event) {
	if !q.add(queued{event: e}) {
		Preempt(e)
	}
}

func (q *queue) add(item queued) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	item.put = time.Now()
	q.events = append(q.events, item)
	q.signalLocked()
	return true
}

func (q *queue) signalLocked() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next waits for an event and takes it from the queue. It also returns how long the event was
// queued. It returns false once the queue is closed.
func (q *queue) next() (e Event, waited time.Duration, ok bool) {
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return nil, 0, false
		}
		if len(q.events) > 0 {
			item := q.events[0]
			q.events[0] = queued{}
			q.events = q.events[1:]
			q.mu.Unlock()
			if item.started != nil {
				close(item.started)
			}
			return item.event, time.Since(item.put), true
		}
		q.events = nil // frees the array of the taken events
		q.mu.Unlock()
		<-q.wake
	}
}

// clearAndPut drops all events, answers those with a waiting caller, and appends e. The channel is
// closed when e is taken from the queue, or immediately if the queue is closed.
func (q *queue) clearAndPut(e Event) (started <-chan struct{}) {
	item := queued{event: e, put: time.Now(), started: make(chan struct{})}
	q.mu.Lock()
	dropped := q.events
	q.events = nil
	if q.closed {
		close(item.started)
	} else {
		q.events = []queued{item}
		q.signalLocked()
	}
	q.mu.Unlock()
	preemptAll(dropped)
	return item.started
}

// close drops and answers all events. next returns false from now on.
func (q *queue) close() {
	q.CancelTimers()
	q.mu.Lock()
	q.closed = true
	dropped := q.events
	q.events = nil
	q.signalLocked()
	q.mu.Unlock()
	preemptAll(dropped)
}

func preemptAll(items []queued) {
	for _, item := range items {
		if item.started != nil {
			close(item.started)
		}
		Preempt(item.event)
	}
}

func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events)
}

// PutAfter appends an event after d. It drops the event if the queue is closed.
func (q *queue) PutAfter(d time.Duration, e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		q.mu.Lock()
		_, due := q.timers[timer]
		delete(q.timers, timer)
		q.mu.Unlock()
		if due {
			q.Put(e)
		}
	})
	q.timers[timer] = struct{}{}
}

// CancelTimers drops the events that PutAfter has not delivered yet.
func (q *queue) CancelTimers() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for timer := range q.timers {
		timer.Stop()
	}
	clear(q.timers)
}
