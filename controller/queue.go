package controller

import (
	"sync"
	"time"
)

// queue is the Agenda of a running Controller: events in the order in which
// they came, without a bound, since those who put them in must never wait.
type queue struct {
	mu     sync.Mutex // guards what follows
	events []queued
	closed bool
	timers map[*time.Timer]struct{} // not fired yet
	wake   chan struct{}            // has a token when there may be something to take
}

type queued struct {
	event   Event
	started chan struct{} // closed when it is taken; nil: nobody waits for that
}

func newQueue() *queue {
	return &queue{timers: map[*time.Timer]struct{}{}, wake: make(chan struct{}, 1)}
}

// Put appends an event. After close it is answered at once.
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

// next waits for an event and takes it; false once the queue is closed.
func (q *queue) next() (Event, bool) {
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return nil, false
		}
		if len(q.events) > 0 {
			item := q.events[0]
			q.events[0] = queued{}
			q.events = q.events[1:]
			q.mu.Unlock()
			if item.started != nil {
				close(item.started)
			}
			return item.event, true
		}
		q.events = nil // lets the taken ones go
		q.mu.Unlock()
		<-q.wake
	}
}

// clearAndPut drops all events, answers those that somebody waits for, and
// appends e; the channel is closed when e is taken, or at once after close.
func (q *queue) clearAndPut(e Event) (started <-chan struct{}) {
	item := queued{event: e, started: make(chan struct{})}
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

// close drops and answers all events and ends next.
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

// PutAfter appends an event when d has passed.
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

// CancelTimers drops what PutAfter has not delivered yet.
func (q *queue) CancelTimers() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for timer := range q.timers {
		timer.Stop()
	}
	clear(q.timers)
}
