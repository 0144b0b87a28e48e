package replication

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/storage"
)

func TestTrafficCountsClientsAndFollowers(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(2)
	b.mustProduce(3)
	size := b.partition().Log().Size()
	b.fetch(0, asFollower(2)).Finish()
	b.fetch(5, asFollower(2)).Finish()
	b.fetch(0).Finish()
	all, topics := b.Traffic()
	want := TrafficCounts{MessagesIn: 5, BytesIn: size, BytesOut: size, ReplicationBytesOut: size, ProduceRequests: 2, FetchRequests: 3}
	if topics[b.partition().ID().Topic] != want || all != want {
		t.Errorf("counted %+v for the topic and %+v in total, want %+v", topics, all, want)
	}
}

func TestTrafficOfADeletedTopicStaysInTheSum(t *testing.T) {
	b := alone(t)
	b.mustProduce(2)
	id := b.partition().ID()
	b.hosted.remove(id)
	all, topics := b.Traffic()
	if all.MessagesIn != 2 || len(topics) != 0 {
		t.Errorf("counted %d messages in total, topics %v", all.MessagesIn, topics)
	}
	b.fetch(0)
	if all, _ := b.Traffic(); all.FetchRequests != 1 {
		t.Errorf("%d fetch requests, want the one for a partition not hosted here", all.FetchRequests)
	}
}

func TestTrafficCountsBatchesThatAreTooLarge(t *testing.T) {
	b := alone(t)
	small, err := testSettings(t).Topic(map[string]string{"max.message.bytes": "70"})
	if err != nil {
		t.Fatal(err)
	}
	b.partition().Log().SetConfig(small)
	p := b.produce(1, 100)
	wantCode(t, "a large batch", p.Partitions[0].Err, protocol.MessageTooLarge)
	all, _ := b.Traffic()
	if all.BytesRejected < 100 || all.BytesIn != 0 || all.FailedProduceRequests != 0 || all.ProduceRequests != 1 {
		t.Errorf("counted %+v", all)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	f := &Fetch{ReplicaID: -1, Partitions: []PartitionFetch{{partition: &Partition{traffic: &traffic{}}, Data: storage.Data{Length: 10}}}}
	if n := testing.AllocsPerRun(100, f.sent); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestInSyncChangesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withFollower(t)
		b.mustProduce(2)
		time.Sleep(b.opts.LagMax + time.Millisecond) // virtual time
		b.ShrinkISRs()
		b.isr.answer(ISRAnswer{Err: protocol.OperationNotAttempted})
		b.ShrinkISRs()
		b.isr.grant()
		b.fetch(2, asFollower(2))
		b.isr.grant()
		if got, want := b.ISRCounts(), (ISRCounts{Shrinks: 1, Expands: 1, Failed: 1}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})
}

func TestTrafficCountsReplicatedRecords(t *testing.T) {
	b, p := followerOf2(t)
	if _, err := p.appendFetched(batch(t, 3, at(0, 3)), 0, 3, 3, 0); err != nil {
		t.Fatal(err)
	}
	all, _ := b.Traffic()
	if want := (TrafficCounts{ReplicationBytesIn: p.Log().Size()}); all != want {
		t.Errorf("counted %+v, want %+v", all, want)
	}
}
