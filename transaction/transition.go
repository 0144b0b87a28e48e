package transaction

import (
	"fmt"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// reason is why a transition is made, if its state leaves that open.
type reason int8

const (
	requested  reason = iota // by the request that to answers
	initFence                // by InitProducerId during a transaction: the answer is an error
	timeoutEnd               // by the transaction's timeout
)

// Transition is a change of a transactional id: the values after it. It is stored as a record, or as
// a tombstone if the id expires.
type Transition struct {
	state          State
	reason         reason
	producerID     int64
	lastProducerID int64
	epoch          int16
	lastEpoch      int16
	timeoutMs      int32
	partitions     []TopicPartition
	startMs        int64
	updatedMs      int64

	to chan<- Result // the request that waits for the record; nil: none
}

// Tombstone reports whether the record has no value.
func (tr *Transition) Tombstone() bool { return tr.state == Dead }

// next returns a transition to the state that changes nothing else.
func (t *Transaction) next(s State, now time.Time) *Transition {
	return &Transition{state: s, producerID: t.producerID, lastProducerID: t.producerID, epoch: t.epoch, lastEpoch: t.lastEpoch,
		timeoutMs: t.timeoutMs, partitions: t.partitions, startMs: t.startMs, updatedMs: now.UnixMilli()}
}

// prepare makes a transition the pending one and lets the caller append it.
func (t *Transaction) prepare(e *Effects, next *Transition) *Effects {
	if t.pending != nil || !next.state.follows(t.state) {
		return t.impossible(e, next.to)
	}
	t.pending, e.Append = next, next
	return e
}

// apply makes the pending transition take effect.
func (t *Transaction) apply(tr *Transition) {
	t.pending = nil
	t.producerID, t.epoch, t.lastEpoch, t.timeoutMs = tr.producerID, tr.epoch, tr.lastEpoch, tr.timeoutMs
	if tr.state == Empty { // the time of the last transaction stays known in memory
		t.lastProducerID = tr.lastProducerID
	} else {
		t.startMs = tr.startMs
	}
	t.state, t.partitions, t.updatedMs = tr.state, tr.partitions, tr.updatedMs
}

// String returns the text that Kafka logs.
func (tr *Transition) String() string {
	return fmt.Sprintf("TxnTransitMetadata(producerId=%d, lastProducerId=%d, producerEpoch=%d, lastProducerEpoch=%d, txnTimeoutMs=%d, txnState=%s, topicPartitions=%s, txnStartTimestamp=%d, txnLastUpdateTimestamp=%d)",
		tr.producerID, tr.lastProducerID, tr.epoch, tr.lastEpoch, tr.timeoutMs, tr.state, javatext.ImmutableSet(tr.partitions, hashPartition), tr.startMs, tr.updatedMs)
}

// Appended passes the outcome of appending a transition: None if it is on all in-sync replicas, else
// the code of the append. If the partition was unloaded meanwhile the code is NOT_COORDINATOR.
func (t *Transaction) Appended(now time.Time, tr *Transition, code protocol.ErrorCode) *Effects {
	e := &Effects{}
	switch {
	case t.pending != tr:
		return e
	case code != protocol.None:
		return t.appendFailed(e, tr, code)
	}
	if tr.state == Dead {
		e.Remove = true // pending stays: the id is no longer usable
		return e
	}
	t.apply(tr)
	switch tr.state {
	case Empty:
		e.line(Info, CoordinatorLine, "Initialized transactionalId %s with producerId %d and producer epoch %d on partition %s-%d",
			t.ID, t.producerID, t.epoch, metadata.TransactionStateTopic, t.Home.Partition)
		e.answer(tr.to, Result{protocol.None, t.producerID, t.epoch})
	case Ongoing:
		e.refuse(tr.to, protocol.None)
	case PrepareCommit, PrepareAbort:
		t.decided(now, e, tr)
	case CompleteCommit, CompleteAbort:
	}
	return e
}

// coordinatorCode returns the code for clients if appending a record failed.
func coordinatorCode(code protocol.ErrorCode) protocol.ErrorCode {
	switch code {
	case protocol.UnknownTopicOrPartition, protocol.NotEnoughReplicas, protocol.NotEnoughReplicasAfterAppend, protocol.RequestTimedOut:
		return protocol.CoordinatorNotAvailable
	case protocol.NotLeaderOrFollower, protocol.KafkaStorageError:
		return protocol.NotCoordinator
	case protocol.MessageTooLarge, protocol.RecordListTooLarge:
		return protocol.UnknownServerError
	}
	return code
}

// appendFailed gives up the pending transition, except the completion of a transaction, which is
// tried again: its markers are already written.
func (t *Transaction) appendFailed(e *Effects, tr *Transition, appended protocol.ErrorCode) *Effects {
	code := coordinatorCode(appended)
	complete := tr.state == CompleteCommit || tr.state == CompleteAbort
	switch {
	case tr.state == Dead:
		t.pending = nil
		e.line(Warn, StateManagerLine, "Failed to remove expired transactionalId: %s from cache. Tombstone append error code: %s, pendingState: Some(Dead), producerEpoch: %d, expected producerEpoch: %d, coordinatorEpoch: %d, expected coordinatorEpoch: %d",
			t.ID, appended.Name(), t.epoch, tr.epoch, t.Home.Epoch, t.Home.Epoch)
		return e
	case complete && code == protocol.CoordinatorNotAvailable:
		e.line(Info, StateManagerLine, "TransactionalId %s append transaction log for %s transition failed due to %s, not resetting pending state %s but just returning the error in the callback to let the caller retry",
			t.ID, tr, code.Name(), t.pendingState())
		e.Append, e.Retry = tr, true
		return e
	}
	e.line(Info, StateManagerLine, "TransactionalId %s append transaction log for %s transition failed due to %s, resetting pending state from %s, aborting state transition and returning %s in the callback",
		t.ID, tr, code.Name(), t.pendingState(), code.Name())
	t.pending = nil
	switch tr.state {
	case Empty:
		e.line(Info, CoordinatorLine, "Returning %s error code to client for %s's InitProducerId request", code.Name(), t.ID)
	case PrepareCommit, PrepareAbort:
		t.undecided(e, tr, code)
	case CompleteCommit, CompleteAbort:
		if code == protocol.NotCoordinator {
			e.line(Info, MarkerLine, "No longer the coordinator for transactionalId: %s while trying to append to transaction log, skip writing to transaction log", t.ID)
		} else {
			e.line(Failure, MarkerLine, "Unexpected error %s while appending to transaction log for %s", code.Exception(), t.ID)
		}
	}
	return e.refuse(tr.to, code)
}
