package replication

import (
	"sync"
	"sync/atomic"
	"time"
)

// event is a set of kinds of events of a partition that a parked request may wait for.
type event uint8

const (
	// logEndMoved: records were appended. It wakes the fetches of followers.
	logEndMoved event = 1 << iota
	// highWatermarkMoved wakes the fetches of consumers and produces with acks=all. The last stable
	// offset moves only together with the high watermark.
	highWatermarkMoved
	// lowWatermarkMoved: the log start of a replica rose. It wakes DeleteRecords.
	lowWatermarkMoved
	// stateChanged: the role or epoch changed, or the partition went offline or was deleted. Every
	// waiter checks again. A new in-sync set matters to waiters only through the high watermark.
	stateChanged
	// offsetsMoved: any of the log's offsets may have moved. It wakes no request; sessions and
	// fetchers look at the partition in their next round.
	offsetsMoved
	// followersChanged: the log end of a follower moved, which a replica selector uses, or the
	// in-sync replicas changed. It wakes no request either.
	followersChanged

	allEvents = ^event(0)
)

// observer is notified of events.
type observer interface{ happened(e event) }

// waitList is the list of observers of one partition: the requests parked on it, and the fetch
// sessions and the fetcher that contain it. Waking only fills the one-slot channels of the
// observers concerned and lists the partition as changed, so a caller that makes progress never
// does the work of a waiter. The zero waitList is empty.
//
// While mu is held, only a changeSet's mu is locked. mu may be taken with any other lock held,
// including a log's.
type waitList struct {
	count atomic.Int32 // number of registrations; lets wake return without the lock

	mu   sync.Mutex
	head *registration // guarded by mu; first element of a doubly linked list
}

// registration is one observer in the list of one partition.
type registration struct {
	list       *waitList
	observer   observer
	interest   event
	prev, next *registration
}

// wake notifies all observers that are interested in e.
func (l *waitList) wake(e event) {
	if e == 0 || l.count.Load() == 0 {
		return
	}
	l.mu.Lock()
	for r := l.head; r != nil; r = r.next {
		if concerned := r.interest & e; concerned != 0 {
			r.observer.happened(concerned)
		}
	}
	l.mu.Unlock()
}

func (l *waitList) add(r *registration) {
	l.mu.Lock()
	r.next = l.head
	if l.head != nil {
		l.head.prev = r
	}
	l.head = r
	l.count.Add(1)
	l.mu.Unlock()
}

func (l *waitList) remove(r *registration) {
	l.mu.Lock()
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		l.head = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
	l.count.Add(-1)
	l.mu.Unlock()
}

// waiter is a waiting request: a one-slot channel and a timer, both reused.
type waiter struct {
	slot  chan struct{}
	timer *time.Timer
	regs  []registration // linked into lists while parked, so never grown then
	// parkedIn is the changeSet that notifies the waiter, or nil.
	parkedIn interface{ unpark(*waiter) }
}

func newWaiter() *waiter {
	w := &waiter{slot: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	return w
}

func (w *waiter) happened(event) { w.notify() }

func (w *waiter) notify() {
	select {
	case w.slot <- struct{}{}:
	default: // already notified and not yet handled
	}
}

// reset clears the waiter and prepares it for n registrations.
func (w *waiter) reset(n int) {
	if cap(w.regs) < n {
		w.regs = make([]registration, 0, n)
	}
	w.regs = w.regs[:0]
	select {
	case <-w.slot:
	default:
	}
}

// watch registers interest in a partition's events until stop. At most the n registrations given to
// reset are allowed.
func (w *waiter) watch(l *waitList, interest event) {
	w.regs = append(w.regs, registration{list: l, observer: w, interest: interest})
	l.add(&w.regs[len(w.regs)-1])
}

// stop removes all registrations.
func (w *waiter) stop() {
	if w.parkedIn != nil {
		w.parkedIn.unpark(w)
		w.parkedIn = nil
	}
	for i := range w.regs {
		w.regs[i].list.remove(&w.regs[i])
	}
	clear(w.regs)
	w.regs = w.regs[:0]
}

// outcome is the reason why a wait ended.
type outcome int8

const (
	satisfied outcome = iota // the condition holds
	expired                  // the timeout has passed
	abandoned                // the connection is closed or the broker stops
)

// await blocks until ready returns true, for at most timeout. It calls ready first, because the
// condition may have become true between the caller's check and the registration.
func (w *waiter) await(timeout time.Duration, done <-chan struct{}, ready func() bool) outcome {
	w.timer.Reset(timeout)
	defer w.timer.Stop()
	for {
		if ready() {
			return satisfied
		}
		select {
		case <-w.slot:
		case <-w.timer.C:
			return expired
		case <-done:
			return abandoned
		}
	}
}

// pooledPartitions is the largest number of partitions for which a request's memory is kept for
// reuse. It is enough for a large follower, but limits what a hostile client can pin.
const pooledPartitions = 1 << 14

// waiterPool hands out waiters.
type waiterPool struct{ pool sync.Pool }

func (p *waiterPool) get(n int) *waiter {
	w, _ := p.pool.Get().(*waiter)
	if w == nil {
		w = newWaiter()
	}
	w.reset(n)
	return w
}

// put stops a waiter and returns it to the pool.
func (p *waiterPool) put(w *waiter) {
	w.stop()
	if cap(w.regs) > pooledPartitions {
		return
	}
	p.pool.Put(w)
}
