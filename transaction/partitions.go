package transaction

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/protocol"
)

func comparePartitions(a, b TopicPartition) int {
	return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// byTopic yields the topics of sorted partitions, each with the indexes of its partitions.
func byTopic(partitions []TopicPartition) iter.Seq2[string, []int32] {
	return func(yield func(topic string, indexes []int32) bool) {
		indexes := make([]int32, len(partitions))
		from := 0
		for i, p := range partitions {
			indexes[i] = p.Partition
			if i+1 < len(partitions) && partitions[i+1].Topic == p.Topic {
				continue
			}
			if !yield(p.Topic, indexes[from:i+1]) {
				return
			}
			from = i + 1
		}
	}
}

func hashPartition(p TopicPartition) int32 { return javatext.PartitionHash(p.Topic, p.Partition) }

// AddPartitions adds partitions to the transaction, or begins one with them. Nothing is stored if it
// has them all. The slice is kept and may be reordered.
func (t *Transaction) AddPartitions(now time.Time, producer ProducerIDAndEpoch, partitions []TopicPartition, to chan<- Result) *Effects {
	e := &Effects{}
	if code := t.checkProducer(producer); code != protocol.None {
		return e.refuse(to, code)
	}
	if t.pending != nil || t.state.preparing() {
		return e.refuse(to, protocol.ConcurrentTransactions)
	}
	all := t.with(partitions)
	if t.state == Ongoing && len(all) == len(t.partitions) {
		return e.refuse(to, protocol.None)
	}
	next := t.next(Ongoing, now)
	next.partitions, next.to = all, to
	if t.state != Ongoing {
		next.startMs = next.updatedMs
	}
	return t.prepare(e, next)
}

// with returns the transaction's partitions with others added, sorted.
func (t *Transaction) with(added []TopicPartition) []TopicPartition {
	slices.SortFunc(added, comparePartitions)
	all := make([]TopicPartition, 0, len(t.partitions)+len(added))
	have := t.partitions
	for _, p := range added {
		for len(have) > 0 && comparePartitions(have[0], p) <= 0 {
			all, have = append(all, have[0]), have[1:]
		}
		if len(all) == 0 || all[len(all)-1] != p {
			all = append(all, p)
		}
	}
	return append(all, have...)
}

// Verify returns None if the partition belongs to the producer's open transaction, else the code for
// AddPartitionsToTxn with verify_only (KIP-890). A pending change does not matter: the log checks
// the producer's epoch again.
func (t *Transaction) Verify(producer ProducerIDAndEpoch, p TopicPartition) protocol.ErrorCode {
	if code := t.checkProducer(producer); code != protocol.None {
		return code
	}
	switch {
	case t.state.preparing():
		return protocol.ConcurrentTransactions
	case !t.has(p):
		return protocol.TransactionAbortable
	}
	return protocol.None
}
