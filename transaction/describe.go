package transaction

import (
	"time"

	"github.com/monedula/monedula/protocol"
)

// Description describes a transactional id, as in DescribeTransactions.
type Description struct {
	State      State
	TimeoutMs  int32
	StartMs    int64 // when the last transaction began; -1: there was none
	ProducerID int64
	Epoch      int16
	Partitions []TopicPartition // sorted; must not be changed
}

// Describe describes the transactional id. The code of a dead one is TRANSACTIONAL_ID_NOT_FOUND.
func (t *Transaction) Describe() (Description, protocol.ErrorCode) {
	if t.state == Dead {
		return Description{}, protocol.TransactionalIDNotFound
	}
	return Description{t.state, t.timeoutMs, t.startMs, t.producerID, t.epoch, t.partitions}, protocol.None
}

// Listed is a transactional id, as in ListTransactions.
type Listed struct {
	ID         string
	ProducerID int64
	State      State
}

// Filter selects transactional ids for ListTransactions.
type Filter struct {
	ProducerIDs map[int64]bool // none: all
	// States are the selected states; nil: all. An empty map selects nothing.
	States map[State]bool
	// DurationMs selects ids whose last transaction began more than this long ago; below 0: all.
	// As in Kafka, an id that has had no transaction is selected.
	DurationMs int64
}

// List returns the id's entry in a list. ok is false if the filter leaves it out.
func (t *Transaction) List(now time.Time, f *Filter) (entry Listed, ok bool) {
	switch {
	case t.state == Dead,
		len(f.ProducerIDs) > 0 && !f.ProducerIDs[t.producerID],
		f.States != nil && !f.States[t.state],
		f.DurationMs >= 0 && now.UnixMilli()-t.startMs <= f.DurationMs:
		return Listed{}, false
	}
	return Listed{t.ID, t.producerID, t.state}, true
}
