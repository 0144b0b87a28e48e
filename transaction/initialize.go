package transaction

import (
	"time"

	"github.com/monedula/monedula/protocol"
)

// ProducerIDAndEpoch identifies a producer.
type ProducerIDAndEpoch struct {
	ID    int64
	Epoch int16
}

// InitRequest is a request to initialize the producer of a transactional id.
type InitRequest struct {
	TimeoutMs int32 // of transactions
	// Expected are the id and epoch that the producer has (KIP-360); nil: none.
	Expected *ProducerIDAndEpoch
	// NewProducerID is -1, or the id that the caller allocated because of Effects.NeedProducerID.
	NewProducerID int64
}

// InitProducerID gives the producer its id and the next epoch. This fences former producers of the
// transactional id. An open transaction is aborted first: the answer is CONCURRENT_TRANSACTIONS, and
// the client tries again.
func (t *Transaction) InitProducerID(now time.Time, req InitRequest, to chan<- Result) *Effects {
	e := &Effects{}
	switch {
	case t.pending != nil:
		return e.refuse(to, protocol.ConcurrentTransactions)
	case req.Expected != nil && !t.mayBe(*req.Expected):
		return e.refuse(to, protocol.ProducerFenced)
	case t.state.preparing():
		return e.refuse(to, protocol.ConcurrentTransactions)
	case t.state == Ongoing:
		return t.fence(now, e, initFence, to)
	case !t.state.idle():
		return t.impossible(e, to)
	}
	next := t.next(Empty, now)
	next.timeoutMs, next.partitions, next.startMs, next.to = req.TimeoutMs, nil, noTime, to
	switch code := t.nextEpoch(e, next, req); {
	case e.NeedProducerID:
		return e
	case code != protocol.None:
		return e.refuse(to, code)
	}
	return t.prepare(e, next)
}

// mayBe reports whether the producer may be initialized again: it is the current one, or the one
// before a change of the producer id whose answer it did not get. The epoch of the current one is
// checked by nextEpoch. A new transactional id accepts any producer: the id may have expired.
func (t *Transaction) mayBe(p ProducerIDAndEpoch) bool {
	return t.epoch == noEpoch || p.ID == t.producerID || p.ID == t.lastProducerID && exhausted(p.Epoch)
}

// nextEpoch sets the producer id and the epoch of an initialization, or returns the code of its
// refusal.
func (t *Transaction) nextEpoch(e *Effects, next *Transition, req InitRequest) protocol.ErrorCode {
	given := req.Expected
	switch {
	case exhausted(t.epoch) && (given == nil || given.Epoch == t.epoch):
		if req.NewProducerID == noProducerID {
			e.NeedProducerID = true
			return protocol.None
		}
		next.producerID, next.epoch, next.lastEpoch = req.NewProducerID, 0, noEpoch
		if given != nil {
			next.lastEpoch = t.epoch
		}
	case exhausted(t.epoch):
		return protocol.UnknownServerError // Kafka fails with an IllegalStateException
	case given == nil:
		next.epoch, next.lastEpoch = t.epoch+1, noEpoch
	case t.epoch == noEpoch || given.Epoch == t.epoch:
		next.epoch, next.lastEpoch = t.epoch+1, t.epoch
	case given.Epoch == t.lastEpoch: // a repeated request: the same answer
	default:
		e.line(Info, MetadataLine, "Expected producer epoch %d does not match current producer epoch %d or previous producer epoch %d", given.Epoch, t.epoch, t.lastEpoch)
		return protocol.ProducerFenced
	}
	return protocol.None
}
