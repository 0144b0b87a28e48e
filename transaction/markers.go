package transaction

import (
	"slices"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Markers are the markers of a decided transaction, one for each partition. A pointer identifies
// them: those of another load or transaction have another pointer.
type Markers struct {
	ProducerID       int64
	Epoch            int16
	CoordinatorEpoch metadata.LeaderEpoch
	Commit           bool
	Partitions       []TopicPartition // must not be changed
}

// MarkerOutcome is what the answer to a marker means for its transaction.
type MarkerOutcome int8

// The outcomes of a marker.
const (
	// MarkerWritten: the partition is done. Logs in an old format have no transactions.
	MarkerWritten MarkerOutcome = iota
	// MarkerRetried: find the leader again and repeat.
	MarkerRetried
	// MarkerAbandoned: another coordinator, or another epoch of the producer, is responsible now.
	// No more markers of the transaction are sent.
	MarkerAbandoned
)

// OutcomeOf returns the outcome of a marker that was answered with the code. A code that Kafka does
// not expect ends its sender; here the marker is repeated, because a transaction without it would
// block its partition without limit.
func OutcomeOf(code protocol.ErrorCode) MarkerOutcome {
	switch code {
	case protocol.None, protocol.UnsupportedForMessageFormat, protocol.UnsupportedVersion:
		return MarkerWritten
	case protocol.InvalidProducerEpoch, protocol.TransactionCoordinatorFenced:
		return MarkerAbandoned
	}
	return MarkerRetried
}

// complete begins the completion of a decided transaction: the markers are to be written, and then
// the pending Complete state is stored. Without partitions it is stored at once.
func (t *Transaction) complete(now time.Time, e *Effects) {
	next := t.next(t.state.completed(), now)
	next.partitions = nil
	t.fenceFailed = false
	t.pending = next
	if len(t.partitions) == 0 {
		e.Append = next
		return
	}
	t.markers = &Markers{ProducerID: t.producerID, Epoch: t.epoch, CoordinatorEpoch: t.Home.Epoch, Commit: t.state == PrepareCommit, Partitions: t.partitions}
	e.Markers = t.markers
}

// MarkersWritten passes partitions that have their marker or no longer exist. After the last one the
// completion is stored. Markers other than the current ones have no effect.
func (t *Transaction) MarkersWritten(m *Markers, partitions []TopicPartition) *Effects {
	e := &Effects{}
	if m != t.markers {
		return e
	}
	done := slices.SortedFunc(slices.Values(partitions), comparePartitions)
	t.partitions = slices.DeleteFunc(slices.Clone(t.partitions), func(p TopicPartition) bool {
		_, found := slices.BinarySearchFunc(done, p, comparePartitions)
		return found
	})
	if len(t.partitions) == 0 {
		t.partitions, t.markers, e.Append = nil, nil, t.pending
	}
	return e
}

// MarkersAbandoned gives up the current markers. The transaction stays in its Prepare state until it
// is loaded again.
func (t *Transaction) MarkersAbandoned(m *Markers) {
	if m == t.markers {
		t.markers = nil
	}
}

// Loaded must be called once all records of the partition are read. A decided transaction is
// completed: its markers are written again, which does no harm.
func (t *Transaction) Loaded(now time.Time) *Effects {
	e := &Effects{}
	if t.state.preparing() {
		t.complete(now, e)
		e.line(Info, StateManagerLine, "Sending txn markers for TransactionalIdCoordinatorEpochAndTransitMetadata(%s,%d,%s,%s,%s) after loading partition %d",
			t.ID, t.Home.Epoch, t.state.result(), t, t.pending, t.Home.Partition)
	}
	return e
}
