package replication

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// This file lets a program without goroutines drive fetchers, moves, verifications and waiting
// requests step by step. The simulation does so: it has one goroutine and simulates time and network.

// Follower is a fetcher whose steps the caller drives; see Config.Follow.
type Follower struct{ fetcher *fetcher }

// Leader returns the id of the followed broker.
func (f *Follower) Leader() metadata.BrokerID { return f.fetcher.key.leader }

// Ended reports whether the fetcher is closed. If so, the caller must take no further step and drop
// outstanding responses.
func (f *Follower) Ended() bool { return f.fetcher.ctx.Err() != nil }

// Woken reports whether partitions were added since the last call. If so, a pause has ended.
func (f *Follower) Woken() bool {
	select {
	case <-f.fetcher.wakeup:
		return true
	default:
		return false
	}
}

// Next returns the request to send to the leader now and the function that takes its answer or the
// error. If there is no request, pause is the time to wait. If the leader is not known to be alive,
// the request fails at once with that error.
func (f *Follower) Next() (req kmsg.Request, answered func(kmsg.Response, error), pause time.Duration) {
	e, pause := f.fetcher.next(f.fetcher.m.now())
	if e == nil {
		return nil, nil, pause
	}
	if _, err := f.fetcher.leaderAddress(); err != nil {
		e.answered(nil, err)
		return nil, nil, time.Millisecond
	}
	return e.req, e.answered, 0
}

// Mover is a worker that moves logs between directories, whose steps the caller drives; see
// Config.Move.
type Mover struct{ worker *moveWorker }

// Step makes the next step of a move. If none may step now, pause is the time to wait. left is false
// if no move is left or the moves were ended; then the caller must make no further step.
func (m *Mover) Step() (pause time.Duration, left bool) {
	mr := m.worker.mr
	if mr.ctx.Err() != nil {
		return 0, false
	}
	wakeup, left := m.worker.step()
	if wakeup != nil {
		pause = mr.m.opts.FetchBackoff
	}
	return pause, left
}

// Parked is a request that waits for progress of partitions.
type Parked struct {
	m     *Manager
	w     *waiter
	ready func() bool
	fresh bool // not checked yet
}

// Woken reports whether an event that the request waits for has happened and the request is
// settled.
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

// Overslept reports whether the request is settled although nothing woke it. The caller calls it
// when the request's time limit has passed; true means that a wake-up is missing.
func (p *Parked) Overslept() bool {
	return len(p.w.slot) == 0 && p.ready()
}

func (m *Manager) parked(w *waiter, ready func() bool) *Parked {
	return &Parked{m: m, w: w, ready: ready, fresh: true}
}

func (p *Parked) end() { p.m.waiters.put(p.w) }

// Park begins the wait of a produce for which Waits returned true. Unpark ends it.
func (p *Produce) Park() *Parked { return p.m.parked(p.park(), p.settled) }

// Unpark ends the wait, after Woken returned true or because the time limit has passed.
func (p *Produce) Unpark(w *Parked) {
	w.end()
	p.timedOut() // settled partitions are not affected
}

// Begin does the first part of Append. It returns the transaction for whose partitions Finish needs
// the coordinator's answer, or nil.
func (p *Produce) Begin() *Transaction { return p.begin() }

// Finish does the rest of Append. refused are the partitions that the coordinator does not find in
// the transaction, with the codes for the client.
func (p *Produce) Finish(refused map[TopicPartition]protocol.ErrorCode) {
	p.verified(refused)
	p.appendAll()
}

// Begin does what Verify does, but does not wait: the channel gets the result.
func (v *Verifier) Begin(t *Transaction) <-chan map[TopicPartition]protocol.ErrorCode {
	answer, _ := v.begin(t)
	return answer
}

// postNext posts the next request of a queue, and the ones after it when it is answered. It is used
// only with VerifierConfig.Post.
func (v *Verifier) postNext(q *verifyQueue) {
	calls := v.take(q)
	if len(calls) == 0 {
		return
	}
	v.cfg.Post(q.link.Address(), verifyRequest(calls), func(resp kmsg.Response, err error) {
		v.settle(q, calls, resp, err)
		v.postNext(q)
	})
}

// Park does what Read does, but returns instead of waiting; nil means that the read is complete.
// Otherwise Unpark ends the wait.
func (f *Fetch) Park() *Parked {
	if f.readOnArrival() {
		return nil
	}
	return f.m.parked(f.park(), f.ready)
}

// Unpark reads again, after Woken returned true or because the time limit has passed.
func (f *Fetch) Unpark(w *Parked) {
	w.end()
	f.readAgain()
}
