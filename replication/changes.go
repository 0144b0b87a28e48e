package replication

import (
	"sync"
	"sync/atomic"
)

// changeEntry is a member of a changeSet. It observes one Partition for its owner and lists the
// owner in the set after an event of the Partition.
type changeEntry[T any] struct {
	registration
	owner *T
	set   *changeSet[T]

	// seen has the events since the owner was last taken. It is changed with set.mu held.
	seen atomic.Uint32

	// Guarded by set.mu.
	listed bool
	next   *changeEntry[T]
}

// watch makes the entry observe all events of a partition.
func (c *changeEntry[T]) watch(l *waitList) {
	c.registration = registration{list: l, observer: c, interest: allEvents}
	l.add(&c.registration)
}

// unwatch ends watch. Without a watch it does nothing.
func (c *changeEntry[T]) unwatch() {
	if c.list != nil {
		c.list.remove(&c.registration)
		c.list = nil
	}
}

func (c *changeEntry[T]) happened(e event) {
	// An idle session sees the same events again and again, and appends must not pay for it. take
	// clears seen before its caller looks at the partition, so no event is lost.
	if event(c.seen.Load())&e == e {
		return
	}
	s := c.set
	s.mu.Lock()
	defer s.mu.Unlock()
	c.seen.Store(c.seen.Load() | uint32(e))
	if !c.listed {
		c.listed = true
		c.next, s.first = s.first, c
	}
	if s.waiter != nil && e&s.interest != 0 {
		s.waiter.notify()
	}
}

// changeSet collects the owners of entries whose partitions had events, so a reader of many
// partitions looks only at those. The zero changeSet is empty.
//
// mu is a leaf below a waitList's mu.
type changeSet[T any] struct {
	mu    sync.Mutex
	first *changeEntry[T] // guarded by mu, like the fields below
	// waiter is notified of events in interest; nil if no request is parked.
	waiter   *waiter
	interest event
}

// take removes one owner from the set and returns it, or nil if the set is empty. Later events list
// the owner again, so the caller must look at the partition after take.
func (s *changeSet[T]) take() *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.first
	if c == nil {
		return nil
	}
	s.first, c.next = c.next, nil
	c.listed = false
	c.seen.Store(0)
	return c.owner
}

// park makes w the waiter that is notified of events in interest. An earlier waiter is notified
// a last time and replaced.
func (s *changeSet[T]) park(w *waiter, interest event) {
	w.parkedIn = s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiter != nil {
		s.waiter.notify()
	}
	s.waiter, s.interest = w, interest
}

// unpark ends park unless another waiter has replaced w.
func (s *changeSet[T]) unpark(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiter == w {
		s.waiter = nil
	}
}

// notify notifies the parked waiter.
func (s *changeSet[T]) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiter != nil {
		s.waiter.notify()
	}
}
