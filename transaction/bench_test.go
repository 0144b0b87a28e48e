package transaction

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// discardTopic accepts every append and stores nothing.
type discardTopic struct{ *topictest.Topic }

func (discardTopic) Append(int32, []byte, *storage.Verification, int16) (replication.Written, error) {
	return replication.Written{End: 1}, nil
}

// benchCoordinator returns a coordinator that leads partition 0. Its metadata has no topics, so
// markers count as written at once.
func benchCoordinator(b *testing.B, topic coordinator.Topic) *Coordinator {
	b.Helper()
	f := &fakeCluster{cache: metadata.NewCache()}
	f.announce(func(int32) int32 { return 1 }, 1)
	next := int64(0)
	c := NewCoordinator(Config{Options: testOptions(), Topic: topic, Metadata: f.cache, Logger: kafkalog.Discard(),
		NextProducerID: func(context.Context) (int64, error) { next++; return next, nil }})
	c.Start()
	b.Cleanup(c.Stop)
	c.BecameLeader(TopicPartition{Topic: metadata.TransactionStateTopic}, 0)
	c.rt.AwaitLoaded(0)
	return c
}

// BenchmarkTransaction begins a transaction with one partition and commits it, without the marker.
func BenchmarkTransaction(b *testing.B) {
	c := benchCoordinator(b, discardTopic{topictest.New()})
	ctx := context.Background()
	r := c.InitProducerID(ctx, "x", 60_000, nil)
	p := ProducerIDAndEpoch{r.ProducerID, r.Epoch}
	b.ReportAllocs()
	for b.Loop() {
		add := c.AddPartitions(ctx, "x", p, []TopicPartition{{Topic: "deleted", Partition: 1}})
		if end := c.EndTxn(ctx, "x", p, true); add != protocol.None || end != protocol.None {
			b.Fatal(add.Name(), end.Name())
		}
	}
}

// BenchmarkIDHeap reports the heap bytes that each transactional id takes.
func BenchmarkIDHeap(b *testing.B) {
	const ids = 100_000
	heapSize := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		c := benchCoordinator(b, discardTopic{topictest.New()})
		before := heapSize()
		for i := range ids {
			if r := c.InitProducerID(context.Background(), fmt.Sprint("transactional-id-", i), 60_000, nil); r.Code != protocol.None {
				b.Fatal(r.Code.Name())
			}
		}
		b.ReportMetric(float64(heapSize()-before)/ids, "B/id")
	}
}

// BenchmarkLoad loads the records of 100,000 transactional ids, each with five records of one
// transaction.
func BenchmarkLoad(b *testing.B) {
	const ids = 100_000
	topic := topictest.New()
	var log []byte
	offset := record.Offset(0)
	for i := range ids {
		txn := &Transaction{ID: fmt.Sprint("transactional-id-", i)}
		for _, s := range []State{Empty, Ongoing, Ongoing, PrepareCommit, CompleteCommit} {
			o := record.Defaults()
			o.BaseOffset = offset
			builder := record.NewBuilder(o)
			tr := &Transition{state: s, producerID: int64(i), timeoutMs: 60_000, startMs: 5, updatedMs: 5}
			if s == Ongoing || s == PrepareCommit {
				tr.partitions = []TopicPartition{{Topic: "t", Partition: 1}}
			}
			if err := builder.Append(1, txn.AppendKey(nil), tr.AppendValue(nil)); err != nil {
				b.Fatal(err)
			}
			set, err := builder.Build()
			if err != nil {
				b.Fatal(err)
			}
			log, offset = append(log, set...), offset+1
		}
	}
	c := benchCoordinator(b, topic)
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		l := c.newLoad(0, 1)
		for batch, err := range record.Batches(log) {
			if err != nil {
				b.Fatal(err)
			}
			l.Apply(batch)
		}
		entries := l.Entries(nil)
		if len(entries) != ids {
			b.Fatal(len(entries))
		}
		loaded := make([]*entry, 0, ids)
		for _, e := range entries {
			loaded = append(loaded, e)
		}
		l.Published(loaded, coordinator.Term{Began: time.Now()})
	}
	b.ReportMetric(ids*float64(b.N)/b.Elapsed().Seconds(), "ids/s")
}
