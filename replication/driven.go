package replication

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a program without goroutines for them does with fetchers and with
// requests that wait: a simulation, which has one goroutine and its own idea of
// time and of the network.

// Follower is a fetcher whose steps somebody else takes; see Config.Follow.
type Follower struct{ f *fetcher }

// Leader is the broker that is followed.
func (x *Follower) Leader() int32 { return x.f.key.leader }

// Ended says that the fetcher is closed: no more steps are to be taken, and
// answers that are still to come are dropped.
func (x *Follower) Ended() bool { return x.f.ctx.Err() != nil }

// Woken says once that partitions came since it was last asked: a pause is over.
func (x *Follower) Woken() bool {
	select {
	case <-x.f.wakeup:
		return true
	default:
		return false
	}
}

// Next is the request to send to the leader now and what takes its answer or
// the error in its place; without a request, how long to pause. A leader that
// is not known to live is the request's error.
func (x *Follower) Next() (req kmsg.Request, answered func(kmsg.Response, error), pause time.Duration) {
	e, pause := x.f.next(x.f.m.now())
	if e == nil {
		return nil, nil, pause
	}
	if _, err := x.f.leaderAddress(); err != nil {
		e.answered(nil, err)
		return nil, nil, time.Millisecond
	}
	return e.req, e.answered, 0
}

// Parked is a request that waits for a partition's progress.
type Parked struct {
	m     *Manager
	w     *waiter
	ready func() bool
	fresh bool // not looked at yet
}

// Woken says whether something happened that the request was registered for
// and it is settled now.
func (p *Parked) Woken() bool {
	select {
	case <-p.w.slot:
	default:
		if !p.fresh {
			return false
		}
	}
	p.fresh = false
	return p.ready()
}

// Overslept reports whether the request is settled though nothing woke it. The
// program asks when its time is over: then a wake-up is missing somewhere.
func (p *Parked) Overslept() bool {
	return len(p.w.slot) == 0 && p.ready()
}

func (m *Manager) parked(w *waiter, ready func() bool) *Parked {
	return &Parked{m: m, w: w, ready: ready, fresh: true}
}

func (p *Parked) end() { p.m.waiters.put(p.w) }

// Park is Wait's beginning for a produce that Waits; Unpark its end.
func (p *Produce) Park() *Parked { return p.m.parked(p.park(), p.settled) }

// Unpark ends the waiting: after Woken said so, or because the time is over.
func (p *Produce) Unpark(w *Parked) {
	w.end()
	p.timedOut() // what is settled does not wait any more
}

// Park is Read, but returns where Read would wait; nil: it is done. Unpark ends
// the waiting.
func (f *Fetch) Park() *Parked {
	if f.readOnArrival() {
		return nil
	}
	return f.m.parked(f.park(), f.ready)
}

// Unpark reads again: after Woken said so, or because the time is over.
func (f *Fetch) Unpark(w *Parked) {
	w.end()
	f.readAgain()
}
