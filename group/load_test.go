package group

import (
	"errors"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/record"
)

// A batch that does not parse ends the load, since the start of the next batch is unknown. The
// error names the offset and the cause. The groups before the batch are loaded.
func TestABatchThatDoesNotParseEndsTheLoad(t *testing.T) {
	topic := topictest.New()
	good := func(partition int32) []byte {
		b := record.NewBuilder(record.Defaults())
		key := appendOffsetKey(nil, "g", TopicPartition{Topic: "t", Partition: partition})
		if err := b.Append(1, key, formats{3, 3}.appendOffset(nil, &CommittedOffset{Offset: 5, ExpiresMs: noExpiry})); err != nil {
			t.Fatal(err)
		}
		batch, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return batch
	}
	for partition := range int32(2) {
		if _, err := topic.Append(0, good(partition), nil, -1); err != nil {
			t.Fatal(err)
		}
	}
	bad := good(2)
	bad[8] = 0x80 // the length is negative
	_, _, cause := record.Next(bad)
	if cause == nil {
		t.Fatal("the damaged batch parses")
	}
	topic.Logs[0] = append(topic.Logs[0], bad...)
	topic.Ends[0]++
	for _, size := range []int{1, 1 << 20} {
		l := newLoader(0, Rules{MaxSize: 10}, t.Logf, t.Errorf)
		err := readLog(l, topic.Log(0), size)
		if err == nil || !strings.Contains(err.Error(), "the batch after offset 2 does not parse") || !errors.Is(err, cause) && !strings.Contains(err.Error(), cause.Error()) {
			t.Errorf("with reads of %d bytes: %v, want the cause %q", size, err, cause)
		}
		if n := len(l.groups["g"].offsets); n != 2 {
			t.Errorf("with reads of %d bytes: %d offsets before the damage, want 2", size, n)
		}
	}
}

// A control batch that compaction emptied does not show how its transaction ended, so it ends none.
func TestAnEmptiedControlBatchEndsNoTransaction(t *testing.T) {
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = 1, 0, 0, true
	data := record.NewBuilder(o)
	p := TopicPartition{Topic: "t"}
	l := newLoader(0, Rules{MaxSize: 10}, t.Logf, t.Errorf)
	if err := data.Append(1, appendOffsetKey(nil, "g", p), formats{3, 3}.appendOffset(nil, &CommittedOffset{Offset: 5, ExpiresMs: noExpiry})); err != nil {
		t.Fatal(err)
	}
	batch, err := data.Build()
	if err != nil {
		t.Fatal(err)
	}
	l.Apply(batch)
	o.Control, o.BaseSequence = true, record.NoSequence
	l.Apply(record.EmptyBatch(o, 1, 1))
	marker, err := record.EndTxnMarker(o, record.Commit, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	l.Apply(marker)
	if got := l.groups["g"].offsets[p]; got.Offset != 5 {
		t.Errorf("the committed offset is %d, want 5", got.Offset)
	}
}
