package transaction

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// TopicPartition names a partition.
type TopicPartition = metadata.TopicPartition

const (
	noProducerID = -1
	noEpoch      = -1
	noTime       = -1
	// lastEpoch is the highest epoch of a producer. Clients never get it: it is left for fencing
	// the producer that has the one before.
	lastEpoch = math.MaxInt16
)

// exhausted reports whether a producer with the epoch needs a new producer id to get another epoch.
func exhausted(epoch int16) bool { return epoch >= lastEpoch-1 }

// Home is where a transactional id is coordinated. It does not change: a new leader epoch loads new
// Transactions, also on a broker that led the partition before.
type Home struct {
	Partition int32 // of __transaction_state
	// Epoch is the coordinator epoch: the leader epoch of the partition.
	Epoch metadata.LeaderEpoch
}

// Transaction is the state of one transactional id, as a state machine without locks, clocks or
// I/O. Every step is given the time and returns Effects to carry out. A request that waits for a
// record is a channel with one slot in the pending transition; a step never sends on it.
//
// It behaves as Kafka 3.9.1. A change is appended first and takes effect when it is on all in-sync
// replicas; meanwhile other requests get CONCURRENT_TRANSACTIONS.
type Transaction struct {
	ID   string
	Home Home

	producerID int64
	// lastProducerID and lastEpoch are those before the last initialization. A producer that
	// repeats it with them (KIP-360) gets the same answer. They are not stored.
	lastProducerID int64
	epoch          int16 // -1 until the first initialization is stored
	lastEpoch      int16 // -1 after a bump that the producer did not ask for
	state          State
	// fenceFailed is set if the epoch was increased to fence the producer and the record could not
	// be stored. The next attempt uses the same epoch, which no producer has got.
	fenceFailed bool
	timeoutMs   int32

	// partitions are those of the transaction, sorted. In a Prepare state they are the ones whose
	// marker is not written yet. The slice is shared with transitions, so it is never changed.
	partitions []TopicPartition

	startMs   int64 // -1 until the first transaction begins; stays after its end
	updatedMs int64

	pending *Transition // the change that is being stored or, in a Prepare state, will be; nil: none
	markers *Markers    // being written; nil: none
}

// New returns a transactional id that is unknown so far, with a new producer id. Its first step must
// be InitProducerID.
func New(id string, home Home, producerID int64, timeoutMs int32, now time.Time) *Transaction {
	return &Transaction{ID: id, Home: home, producerID: producerID, lastProducerID: noProducerID, epoch: noEpoch, lastEpoch: noEpoch,
		timeoutMs: timeoutMs, startMs: noTime, updatedMs: now.UnixMilli()}
}

// State returns the state that is stored.
func (t *Transaction) State() State { return t.state }

// Pending reports whether a change is being stored or waits for markers.
func (t *Transaction) Pending() bool { return t.pending != nil }

// checkProducer returns the code for a request of the producer, or None.
func (t *Transaction) checkProducer(p ProducerIDAndEpoch) protocol.ErrorCode {
	switch {
	case p.ID != t.producerID:
		return protocol.InvalidProducerIDMapping
	case p.Epoch != t.epoch:
		return protocol.ProducerFenced
	}
	return protocol.None
}

// has reports whether the partition belongs to the transaction.
func (t *Transaction) has(p TopicPartition) bool {
	_, found := slices.BinarySearchFunc(t.partitions, p, comparePartitions)
	return found
}

// impossible refuses a request in a state that has no such step. Only a record that no broker
// writes leads to such a state.
func (t *Transaction) impossible(e *Effects, to chan<- Result) *Effects {
	e.line(Failure, CoordinatorLine, "Found transactionalId %s with state %s. This is illegal as we should never have transitioned to this state.", t.ID, t.state)
	return e.refuse(to, protocol.UnknownServerError)
}

// String returns the text that Kafka logs.
func (t *Transaction) String() string {
	return fmt.Sprintf("TransactionMetadata(transactionalId=%s, producerId=%d, producerEpoch=%d, txnTimeoutMs=%d, state=%s, pendingState=%s, topicPartitions=%s, txnStartTimestamp=%d, txnLastUpdateTimestamp=%d)",
		t.ID, t.producerID, t.epoch, t.timeoutMs, t.state, t.pendingState(), javatext.MutableSet(t.partitions, hashPartition), t.startMs, t.updatedMs)
}

// pendingState returns the pending state as Scala's Option.
func (t *Transaction) pendingState() string {
	if t.pending == nil {
		return "None"
	}
	return javatext.Some(t.pending.state)
}
