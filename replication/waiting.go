package replication

import (
	"sync"
	"sync/atomic"
	"time"
)

// event is a set of things that happen to a partition and that a parked
// request may wait for.
type event uint8

const (
	// logEndMoved: records were appended; wakes followers' fetches.
	logEndMoved event = 1 << iota
	// highWatermarkMoved wakes consumers' fetches and produces with acks=all. The
	// last stable offset only ever moves together with the high watermark.
	highWatermarkMoved
	// lowWatermarkMoved: some replica's log start rose; wakes DeleteRecords.
	lowWatermarkMoved
	// stateChanged: role or epoch changed, or the partition went offline or away.
	// Every waiter looks again. A new in-sync set concerns waiters only by the high
	// watermark that it moves.
	stateChanged
	// offsetsMoved: any of the log's offsets may have moved. It wakes no request
	// by itself; sessions and fetchers look at the partition in their next round.
	offsetsMoved
	// followersChanged: a follower's log end moved, which a replica selector looks
	// at, or the in-sync replicas changed. It wakes no request either.
	followersChanged

	allEvents = ^event(0)
)

// observer is notified of events.
type observer interface{ happened(e event) }

// waitList is the observers of one partition: requests parked on it, and the fetch
// sessions and the fetcher that it is part of. Waking sets the one-slot channels
// of those concerned and lists the partition as changed, nothing else: the caller
// that makes progress never does the work of a waiter. The zero waitList is empty.
//
// Only a changeSet's mu is locked while mu is held; mu may be taken with any
// other lock held, a log's too.
type waitList struct {
	count atomic.Int32 // registrations; lets wake return without the lock

	mu   sync.Mutex
	head *registration // guarded by mu; the first of a doubly linked list
}

// registration is one observer in one partition's list.
type registration struct {
	list       *waitList
	observer   observer
	interest   event
	prev, next *registration
}

// wake has all that are interested in e look again.
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

// waiter is a request that waits: a one-slot channel and a timer, both reused.
type waiter struct {
	slot  chan struct{}
	timer *time.Timer
	regs  []registration // linked into lists while parked: never grown then
	// parkedIn is the changeSet that notifies the waiter; nil for none.
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
	default: // already told, has not looked yet
	}
}

// reset empties the waiter for n registrations.
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

// watch registers interest in a partition's events until stop. At most the n
// of reset may be registered.
func (w *waiter) watch(l *waitList, interest event) {
	w.regs = append(w.regs, registration{list: l, observer: w, interest: interest})
	l.add(&w.regs[len(w.regs)-1])
}

// stop ends all registrations.
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

// outcome says why a wait ended.
type outcome int8

const (
	satisfied outcome = iota // the condition holds
	expired                  // the time is up
	abandoned                // the connection is gone or the broker stops
)

// await blocks until ready says yes, for at most timeout. The caller has looked
// once before registering; await looks again first, so that nothing that
// happened in between is missed.
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

// pooledPartitions is the number of partitions up to which the memory of a request
// is kept for the next one: a large follower's, not a hostile client's.
const pooledPartitions = 1 << 14

// waiterPool hands out waiters. A nil value in the pool's place is made anew.
type waiterPool struct{ pool sync.Pool }

func (p *waiterPool) get(n int) *waiter {
	w, _ := p.pool.Get().(*waiter)
	if w == nil {
		w = newWaiter()
	}
	w.reset(n)
	return w
}

// put takes a waiter back, its registrations ended.
func (p *waiterPool) put(w *waiter) {
	w.stop()
	if cap(w.regs) > pooledPartitions {
		return
	}
	p.pool.Put(w)
}
