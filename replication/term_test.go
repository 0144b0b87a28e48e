package replication

import (
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// A wait for replication belongs to the term of this broker's leadership in which it began. A
// leadership that was lost and regained is a new term.

// ledBefore returns a broker that leads partition 0 in epoch 3, with broker 2 in sync.
func ledBefore(t *testing.T) (*testBroker, *Partition) {
	b := newTestBroker(t)
	b.know(2, ourID)
	b.fetchers.close()
	return b, b.lead(3, []int32{ourID, 2}, ourID, 2)
}

// loseLeadership makes broker 2, which lacks this broker's records, the leader and copies the given
// number of its records.
func (b *testBroker) loseLeadership(records int) {
	b.t.Helper()
	if code := b.control(roleOf(0, 2, 4, []int32{ourID, 2}, 2)); code != protocol.None {
		b.t.Fatal(code)
	}
	p := b.partition()
	if err := p.truncate(0, 4); err != nil {
		b.t.Fatal(err)
	}
	if records == 0 {
		return
	}
	if _, err := p.appendFetched(batch(b.t, records, at(0, 4)), 0, 4, record.Offset(records), 0); err != nil {
		b.t.Fatal(err)
	}
}

func TestAcksAllIsRefusedIfLeadershipWasLostAndRegained(t *testing.T) {
	b, _ := ledBefore(t)
	produce := b.produce(-1, 2)
	if !produce.Waits() {
		t.Fatal("does not wait")
	}
	// The response is delayed because an earlier produce on the same connection still waits.
	b.loseLeadership(2)
	b.lead(5, []int32{ourID, 2}, ourID, 2)
	if b.highWatermark() != 2 {
		t.Fatalf("high watermark %d", b.highWatermark())
	}
	if produce.Waits() {
		t.Fatal("still waits")
	}
	wantCode(t, "records that were truncated", produce.Partitions[0].Err, protocol.NotLeaderOrFollower)
}

func TestAcksAllHoldsInALaterEpochOfTheSameLeader(t *testing.T) {
	b, _ := ledBefore(t)
	produce := b.produce(-1, 2)
	if !produce.Waits() {
		t.Fatal("does not wait")
	}
	answered := b.waitFor(produce)
	b.lead(4, []int32{ourID, 2}, ourID, 2)
	b.fetch(2, asFollower(2), inEpoch(4))
	within(t, "the produce's answer", answered)
	wantCode(t, "records that stayed", produce.Partitions[0].Err, protocol.None)
}

func TestACoordinatorsRecordsAreNotSafeIfLeadershipWasLostAndRegained(t *testing.T) {
	b, p := ledBefore(t)
	written, err := p.AppendAsLeader(batch(t, 2), nil, -1)
	wantCode(t, "append", err, protocol.None)
	b.loseLeadership(2)
	p = b.lead(5, []int32{ourID, 2}, ourID, 2)
	wantCode(t, "after another leader", p.AwaitReplicated(written, waitTime, nil), protocol.NotLeaderOrFollower)

	written, err = p.AppendAsLeader(batch(t, 2), nil, -1)
	wantCode(t, "append", err, protocol.None)
	if code := b.stopReplica(0, int32(metadata.EpochDuringDelete), true); code != protocol.None {
		t.Fatal(code)
	}
	p = b.lead(0, []int32{ourID}, ourID)
	b.mustProduce(int(written.End))
	wantCode(t, "in a topic of the same name", p.AwaitReplicated(written, waitTime, nil), protocol.NotLeaderOrFollower)
}

func TestTheEndOfALogIsReplicatedInTheTermInWhichItWasRead(t *testing.T) {
	b, p := ledBefore(t)
	if _, err := p.AppendAsLeader(batch(t, 2), nil, -1); err != nil {
		t.Fatal(err)
	}
	end, err := EndOf(p)
	wantCode(t, "the end", err, protocol.None)
	wantCode(t, "before a follower has it", p.AwaitReplicated(end, 0, nil), protocol.RequestTimedOut)
	b.fetch(end.End, asFollower(2))
	wantCode(t, "when all replicas have it", p.AwaitReplicated(end, 0, nil), protocol.None)
	b.loseLeadership(2)
	if _, err := EndOf(p); err == nil {
		t.Error("a follower knows the end")
	}
	p = b.lead(5, []int32{ourID, 2}, ourID, 2)
	wantCode(t, "after another leader", p.AwaitReplicated(end, 0, nil), protocol.NotLeaderOrFollower)
}

// Coordinators hold a lock while they append, and take it to end the state of the term. If they
// were notified of the end of the term earlier, the controller's request would wait for a hanging
// disk twice, and a late append could get into the next term.
func TestListenersAreNotifiedOfLostLeadershipAfterItsLastAppend(t *testing.T) {
	for what, end := range map[string]func(b *testBroker){
		"another leader": func(b *testBroker) { b.control(roleOf(0, 2, 4, []int32{ourID, 2}, 2)) },
		"deleted":        func(b *testBroker) { b.stopReplica(0, int32(metadata.EpochDuringDelete), true) },
	} {
		hangs, release := make(chan struct{}), make(chan struct{})
		armed := false
		fs := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
			if armed && op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, ".log") {
				armed = false
				close(hangs)
				<-release
			}
			return nil
		})
		b := newTestBrokerOn(t, fs, []string{testDir})
		b.know(2, ourID)
		b.fetchers.close()
		p := b.lead(3, []int32{ourID, 2}, ourID, 2)
		armed = true
		set := batch(t, 1)
		appended := make(chan error, 1)
		go func() {
			_, err := p.AppendAsLeader(set, nil, 1)
			appended <- err
		}()
		within(t, "the write", hangs)
		before := len(b.notified)
		ended := make(chan struct{})
		go func() { end(b); close(ended) }()
		eventually(t, what+": the request", func() bool { // a waiting writer keeps readers out
			if p.mu.TryRLock() {
				p.mu.RUnlock()
				return false
			}
			return true
		})
		if len(b.notified) != before {
			t.Errorf("%s: notified of %v during an append", what, b.notified[before:])
		}
		close(release)
		wantCode(t, what+": the append before", within(t, "the append", appended), protocol.None)
		within(t, what, ended)
		if len(b.notified) != before+1 {
			t.Errorf("%s: notified of %v", what, b.notified[before:])
		}
		_, err := p.AppendAsLeader(set, nil, 1)
		wantCode(t, what+": an append after", err, protocol.NotLeaderOrFollower)
	}
}

func TestDeleteRecordsEndsWithTheLeadership(t *testing.T) {
	b, _ := ledBefore(t)
	b.mustProduce(2)
	b.fetch(2, asFollower(2), inEpoch(3))
	deletions := []PartitionDelete{{Topic: testTopic, Offset: 1}}
	answered := make(chan struct{})
	go func() { b.DeleteRecords(deletions, waitTime, nil); close(answered) }()
	b.parked(1)
	b.loseLeadership(0)
	within(t, "the deletion's answer", answered)
	wantCode(t, "deletion", deletions[0].Err, protocol.NotLeaderOrFollower)
	if deletions[0].LowWatermark != -1 {
		t.Errorf("low watermark %d", deletions[0].LowWatermark)
	}
}

func TestDeleteRecordsIsRefusedIfLeadershipWasLostAndRegained(t *testing.T) {
	b, _ := ledBefore(t)
	b.mustProduce(2)
	b.fetch(2, asFollower(2), inEpoch(3))
	d := PartitionDelete{Topic: testTopic, Offset: 1}
	wantCode(t, "deletion", b.startDelete(&d), protocol.None)
	d.waiting = true
	b.loseLeadership(2)
	b.lead(5, []int32{ourID, 2}, ourID, 2)
	b.fetch(2, inEpoch(5), func(f *Fetch) { f.ReplicaID, f.Partitions[0].LogStartOffset = 2, 1 })
	if !deletesSettled([]PartitionDelete{d}) {
		t.Error("the deletion still waits")
	}
}

func TestAFollowersFetchOfAnEarlierEpochDoesNotCount(t *testing.T) {
	b, p := ledBefore(t)
	b.mustProduce(5)
	f := b.newFetch(5, asFollower(2), inEpoch(3))
	want := &f.Partitions[0]
	if err := p.read(f, want, 1<<20, true); err != nil {
		t.Fatal(err)
	}
	b.loseLeadership(3)
	b.lead(5, []int32{ourID, 2}, ourID, 2)
	b.mustProduce(2)
	before := b.highWatermark()
	p.followerFetched(2, followerFetch{offset: want.FetchOffset, leaderEpoch: want.readEpoch, leaderEnd: want.leaderEnd, brokerEpoch: -1}, time.Now())
	if after := b.highWatermark(); after != before {
		t.Errorf("the high watermark went from %d to %d by a fetch of epoch 3", before, after)
	}
}

// The guard of a verified transaction ends with the transaction, whichever broker led the partition
// when the marker was written.
func TestAVerificationEndsWithItsTransactionUnderAnotherLeader(t *testing.T) {
	b, f := verifying(t, 5)
	b.fetchers.close()
	b.lead(3, []int32{ourID, 2}, ourID, 2)
	txn := &Transaction{ID: "tx", ProducerID: 7, Partitions: []TopicPartition{{Topic: testTopic}}}
	f.answer <- verdict(protocol.None)
	guard, err := b.VerifyTransaction(txn, nil)
	wantCode(t, "verification", err, protocol.None)
	b.loseLeadership(0)
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch, o.LeaderEpoch = 7, 0, 4
	marker, err := record.EndTxnMarker(o, record.Abort, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.partition().appendFetched(marker, 0, 4, 1, 0); err != nil {
		t.Fatal(err)
	}
	p := b.lead(5, []int32{ourID, 2}, ourID, 2)
	_, err = p.AppendAsLeader(batch(t, 1, transactional(7)), guard, -1)
	wantCode(t, "records of the aborted transaction", err, protocol.InvalidTxnState)
}
