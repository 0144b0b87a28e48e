package replication

import (
	"sync"
	"sync/atomic"
)

// changeEntry is a member of a changeSet: it observes one Partition for its owner,
// and lists the owner in the set once something happened to the Partition.
type changeEntry[T any] struct {
	registration
	owner *T
	set   *changeSet[T]

	// seen is the events since the owner was last taken; changed with set.mu held.
	seen atomic.Uint32

	// Guarded by set.mu.
	listed bool
	next   *changeEntry[T]
}

// watch has the entry observe all events of a partition's list.
func (c *changeEntry[T]) watch(l *waitList) {
	c.registration = registration{list: l, observer: c, interest: allEvents}
	l.add(&c.registration)
}

// unwatch ends watch; without one it does nothing.
func (c *changeEntry[T]) unwatch() {
	if c.list != nil {
		c.list.remove(&c.registration)
		c.list = nil
	}
}

func (c *changeEntry[T]) happened(e event) {
	// A session that no client uses any more sees the same events over and over, and
	// appends must not pay for it. What is seen is looked at after it was cleared.
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

// changeSet collects the owners of entries to whose partitions something
// happened, so that a reader of many partitions looks only at those. The zero
// changeSet is empty.
//
// mu is a leaf below a waitList's mu.
type changeSet[T any] struct {
	mu    sync.Mutex
	first *changeEntry[T] // guarded by mu, as all below
	// waiter is notified of events in interest; nil while no request is parked.
	waiter   *waiter
	interest event
}

// take takes one owner out of the set, nil when it is empty. What happens to the
// partition from now on lists the owner again: so look at the partition after.
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

// park has w notified of events in interest, in the place of an earlier waiter,
// which is notified for the last time.
func (s *changeSet[T]) park(w *waiter, interest event) {
	w.parkedIn = s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiter != nil {
		s.waiter.notify()
	}
	s.waiter, s.interest = w, interest
}

// unpark ends park, unless another waiter has taken the place.
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
