package transaction

import (
	"time"

	"github.com/monedula/monedula/protocol"
)

// EndTxn commits or aborts the transaction. It is answered when the decision is stored; the markers
// are written afterwards.
func (t *Transaction) EndTxn(now time.Time, producer ProducerIDAndEpoch, commit bool, to chan<- Result) *Effects {
	e := &Effects{}
	if code := t.checkProducer(producer); code != protocol.None {
		return e.refuse(to, code)
	}
	if t.pending != nil {
		return e.refuse(to, protocol.ConcurrentTransactions)
	}
	prepared := deciding(commit)
	switch t.state {
	case Ongoing:
		next := t.next(prepared, now)
		next.to = to
		return t.prepare(e, next)
	case prepared:
		return e.refuse(to, protocol.ConcurrentTransactions)
	case prepared.completed():
		return e.refuse(to, protocol.None)
	case Dead, PrepareEpochFence:
		return t.impossible(e, to)
	}
	return e.refuse(to, protocol.InvalidTxnState)
}

// fence increases the epoch, which refuses the producer from now on, and aborts its transaction.
func (t *Transaction) fence(now time.Time, e *Effects, why reason, to chan<- Result) *Effects {
	if !t.fenceFailed {
		if t.epoch == lastEpoch {
			e.line(Failure, CoordinatorLine, "Cannot fence the producer of transactionalId %s: its epoch %d is the highest possible", t.ID, t.epoch)
			return e.refuse(to, protocol.UnknownServerError)
		}
		t.epoch++
	}
	t.lastEpoch = noEpoch
	next := t.next(PrepareAbort, now)
	next.reason, next.to = why, to
	return t.prepare(e, next)
}

// decided answers the request and begins writing markers when the decision is stored.
func (t *Transaction) decided(now time.Time, e *Effects, tr *Transition) {
	switch tr.reason {
	case initFence:
		e.refuse(tr.to, protocol.ConcurrentTransactions)
	case timeoutEnd:
		e.line(Info, CoordinatorLine, "Completed rollback of ongoing transaction for transactionalId %s due to timeout", t.ID)
	default:
		e.refuse(tr.to, protocol.None)
	}
	t.complete(now, e)
}

// undecided reports that a decision could not be stored.
func (t *Transaction) undecided(e *Effects, tr *Transition, code protocol.ErrorCode) {
	e.line(Info, CoordinatorLine, "Aborting sending of transaction markers and returning %s error to client for %s's EndTransaction request of %s, since appending %s to transaction log with coordinator epoch %d failed",
		code.Name(), t.ID, tr.state.result(), tr, t.Home.Epoch)
	if tr.reason == requested {
		return
	}
	t.fenceFailed = true
	e.line(Warn, CoordinatorLine, "The coordinator failed to write an epoch fence transition for producer %s to the transaction log with error %s. The epoch was increased to %d but not returned to the client",
		t.ID, code.Name(), tr.epoch)
	if tr.reason == timeoutEnd {
		e.line(Warn, CoordinatorLine, "Rollback of ongoing transaction for transactionalId %s failed due to error %s", t.ID, code.Name())
	}
}
