package replication

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

func TestLeaderAloneAdvancesTheHighWatermarkAtOnce(t *testing.T) {
	b := alone(t)
	p := b.produce(-1, 3)
	if p.Partitions[0].Err != nil || p.Waits() {
		t.Fatalf("%v, waits %t", p.Partitions[0].Err, p.Waits())
	}
	if got := b.highWatermark(); got != 3 {
		t.Errorf("high watermark %d, want 3", got)
	}
}

// withFollower returns a leader in epoch 1 with broker 2 in sync.
func withFollower(t *testing.T) *testBroker {
	b := newTestBroker(t)
	b.know(ourID, 2, 3)
	b.lead(1, []int32{ourID, 2, 3}, ourID, 2)
	return b
}

func TestHighWatermarkFollowsTheInSyncFollower(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(5)
	b.fetch(0, asFollower(2))
	if got := b.highWatermark(); got != 0 {
		t.Errorf("after a fetch at 0: %d", got)
	}
	b.fetch(5, asFollower(2))
	if got := b.highWatermark(); got != 5 {
		t.Errorf("after a fetch at 5: %d", got)
	}
}

// At the end of a reassignment the controller first removes replicas from the assignment, and later
// from the in-sync replicas.
func TestHighWatermarkDoesNotMoveWhileAnInSyncReplicaIsUnassigned(t *testing.T) {
	b := withFollower(t)
	b.control(roleOf(0, ourID, 2, []int32{ourID, 3}, ourID, 2, 3))
	b.mustProduce(5)
	b.fetch(5, asFollower(3), inEpoch(2))
	if got := b.highWatermark(); got != 0 {
		t.Errorf("high watermark %d, although broker 2 is in sync and has nothing", got)
	}
	b.control(roleOf(0, ourID, 3, []int32{ourID, 3}, ourID, 3))
	b.fetch(5, asFollower(3), inEpoch(3))
	if got := b.highWatermark(); got != 5 {
		t.Errorf("high watermark %d after broker 2 left", got)
	}
}

func TestAcksAllWaitsForTheFollower(t *testing.T) {
	b := withFollower(t)
	p := b.produce(-1, 2)
	if !p.Waits() {
		t.Fatal("does not wait")
	}
	answered := b.waitFor(p)
	b.fetch(2, asFollower(2))
	within(t, "the produce's answer", answered)
	b.parked(0) // the registration was removed
	if part := &p.Partitions[0]; part.Err != nil || part.BaseOffset != 0 {
		t.Errorf("%v at %d", part.Err, part.BaseOffset)
	}
}

func TestOnlyAcksAllWaitsForTheFollower(t *testing.T) {
	b := withFollower(t)
	for _, acks := range []int16{0, 1} {
		p := b.produce(acks, 2)
		wantCode(t, "produce", p.Partitions[0].Err, protocol.None)
		if p.Waits() {
			t.Errorf("acks=%d waits for broker 2", acks)
		}
	}
}

func TestAcksAllTimesOutAndKeepsTheRecords(t *testing.T) {
	b := withFollower(t)
	p := b.produce(-1, 2)
	p.Timeout = time.Millisecond
	if !p.Waits() {
		t.Fatal("does not wait")
	}
	p.Wait()
	wantCode(t, "produce", p.Partitions[0].Err, protocol.RequestTimedOut)
	if p.Partitions[0].BaseOffset != 0 || b.partition().Log().Offsets().LogEnd != 2 {
		t.Error("the records or their offset are lost")
	}
}

func TestAcksAllEndsWhenLeadershipIsLost(t *testing.T) {
	b := withFollower(t)
	p := b.produce(-1, 2)
	if !p.Waits() {
		t.Fatal("does not wait")
	}
	answered := b.waitFor(p)
	if code := b.control(roleOf(0, 2, 2, []int32{ourID, 2}, 2)); code != protocol.None {
		t.Fatal(code)
	}
	within(t, "the produce's answer", answered)
	wantCode(t, "produce", p.Partitions[0].Err, protocol.NotLeaderOrFollower)
}

// In an epoch that this broker missed, another leader may have made the follower truncate its log, so
// the records count as replicated only after the follower's next fetch.
func TestAnEpochThatWasMissedMakesAFollowersProgressUnknown(t *testing.T) {
	for _, c := range []struct {
		epoch int32
		known bool
	}{{2, true}, {3, false}} {
		b := newTestBroker(t)
		b.know(ourID, 2, 3)
		b.lead(1, []int32{ourID, 2, 3}, ourID, 2, 3)
		b.mustProduce(2)
		b.fetch(2, asFollower(2)) // replica 3 does not fetch, so the records are not committed
		b.lead(c.epoch, []int32{ourID, 2, 3}, ourID, 2)
		if high := b.highWatermark(); (high == 2) != c.known {
			t.Errorf("epoch %d after 1: the high watermark is %d", c.epoch, high)
		}
		b.fetch(2, asFollower(2))
		if high := b.highWatermark(); high != 2 {
			t.Errorf("epoch %d after 1, after a fetch: the high watermark is %d", c.epoch, high)
		}
	}
}

// A fetch shows that a follower may join the in-sync replicas. Before they are changed, a change
// for another follower may become pending, or the follower may be removed from the assignment.
func TestAFollowerThatMayNoLongerJoinIsNotAdded(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(b *testBroker)
		id   int32
		want int // submitted changes
	}{
		{"may join", func(*testBroker) {}, 3, 1},
		{"a change is pending", func(b *testBroker) { b.partition().expand(3) }, 4, 1},
		{"is in sync already", func(b *testBroker) { b.partition().expand(3); b.isr.grant() }, 3, 1},
		{"is not assigned", func(*testBroker) {}, 5, 0},
		{"has died", func(b *testBroker) { b.know(ourID, 2, 4) }, 3, 0},
		{"has truncated", func(b *testBroker) {
			b.partition().followers.of(3).logEnd = 1
		}, 3, 0},
		{"the leader has changed", func(b *testBroker) { b.control(roleOf(0, 2, 2, []int32{ourID, 2, 3, 4}, ourID, 2)) }, 3, 0},
	} {
		b := newTestBroker(t)
		b.know(ourID, 2, 3, 4)
		b.lead(1, []int32{ourID, 2, 3, 4}, ourID, 2)
		b.mustProduce(2)
		b.fetch(2, asFollower(2))
		for _, id := range []int32{3, 4} {
			b.partition().followers.of(metadata.BrokerID(id)).logEnd = 2
		}
		c.do(b)
		b.partition().expand(metadata.BrokerID(c.id))
		if n := b.isr.count(); n != c.want {
			t.Errorf("%s: %d changes were submitted, want %d: %+v", c.what, n, c.want, b.isr.changes)
		}
		if s := b.partition().isr; s.pending() && !slices.Equal(s.proposed, []metadata.BrokerID{ourID, 2, 3}) {
			t.Errorf("%s: pending is %v", c.what, s.proposed)
		}
	}
}

func (b *testBroker) requireISR(n int32) {
	c := *b.topicDefaults()
	c.MinInSyncReplicas = n
	b.topics[testTopic] = &c
	b.logs.SetTopicConfig(testTopic, &c)
}

func TestTooFewInSyncReplicasRefuseOnlyAcksAll(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID, 2, 3)
	b.lead(1, []int32{ourID, 2, 3}, ourID)
	b.requireISR(2)
	p := b.produce(-1, 1)
	wantCode(t, "acks=-1", p.Partitions[0].Err, protocol.NotEnoughReplicas)
	if end := b.partition().Log().Offsets().LogEnd; end != 0 {
		t.Errorf("the refused records were appended: log end %d", end)
	}
	wantCode(t, "acks=1", b.produce(1, 1).Partitions[0].Err, protocol.None)
}

func TestMinISRIsCappedByTheReplicationFactor(t *testing.T) {
	b := alone(t)
	b.requireISR(3)
	wantCode(t, "acks=-1", b.produce(-1, 1).Partitions[0].Err, protocol.None)
}

func TestPitfallReplication31_HighWatermarkDoesNotMoveBelowMinISR(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID, 2, 3)
	b.lead(1, []int32{ourID, 2, 3}, ourID)
	b.requireISR(2)
	b.mustProduce(4)
	if got := b.highWatermark(); got != 0 {
		t.Errorf("high watermark %d with one of two needed replicas in sync, want 0", got)
	}
}

func TestNotEnoughReplicasAfterAppend(t *testing.T) {
	b := withFollower(t)
	p := b.produce(-1, 1)
	if !p.Waits() {
		t.Fatal("does not wait")
	}
	b.requireISR(3) // three replicas are assigned, two are in sync
	b.partition().Log().SetHighWatermark(1)
	if p.Waits() {
		t.Fatal("still waits")
	}
	wantCode(t, "produce", p.Partitions[0].Err, protocol.NotEnoughReplicasAfterAppend)
}

func TestFollowerThatCaughtUpJoins(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(2)
	b.fetch(2, asFollower(2))
	b.fetch(1, asFollower(3))
	if n := b.isr.count(); n != 0 {
		t.Fatalf("%d changes while the follower is behind the high watermark", n)
	}
	b.fetch(2, asFollower(3))
	c := b.isr.last(t)
	if !slices.Equal(c.ISR, []metadata.BrokerID{ourID, 2, 3}) || c.LeaderEpoch != 1 || c.PartitionEpoch != 1 || c.TopicID != testTopicID || c.ControllerEpoch != 1 {
		t.Errorf("%+v", c)
	}
	b.fetch(2, asFollower(3))
	if n := b.isr.count(); n != 1 {
		t.Errorf("%d changes submitted while one is pending", n)
	}
	if got := b.partition().State().ISR; !slices.Equal(got, []metadata.BrokerID{ourID, 2}) {
		t.Errorf("in-sync replicas before the answer: %v", got)
	}
	// While the change is pending, the larger set holds the high watermark back.
	b.mustProduce(1)
	b.fetch(3, asFollower(2))
	if got := b.highWatermark(); got != 2 {
		t.Errorf("high watermark %d with the joining follower at 2", got)
	}
	b.isr.grant()
	if s := b.partition().State(); !slices.Equal(s.ISR, []metadata.BrokerID{ourID, 2, 3}) || s.PartitionEpoch != 2 {
		t.Errorf("after the answer: %+v", s)
	}
}

func TestDeadFollowerDoesNotJoin(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID, 2)
	b.lead(1, []int32{ourID, 2, 3}, ourID, 2)
	b.fetch(0, asFollower(3))
	if n := b.isr.count(); n != 0 {
		t.Errorf("%d changes for a broker that is not alive", n)
	}
}

func TestRefusedChangeIsRevertedAndUnknownOneStaysPending(t *testing.T) {
	b := withFollower(t)
	b.fetch(0, asFollower(3))
	b.isr.answer(ISRAnswer{Err: protocol.IneligibleReplica})
	b.fetch(0, asFollower(3))
	if n := b.isr.count(); n != 2 {
		t.Fatalf("%d changes, want a second after the refusal", n)
	}
	b.isr.answer(ISRAnswer{Err: protocol.InvalidUpdateVersion})
	b.fetch(0, asFollower(3))
	if n := b.isr.count(); n != 2 {
		t.Errorf("%d changes: an unknown outcome must stay pending", n)
	}
	b.lead(2, []int32{ourID, 2, 3}, ourID, 2)
	b.fetch(0, asFollower(3))
	if n := b.isr.count(); n != 3 {
		t.Errorf("%d changes after a LeaderAndIsr, want 3", n)
	}
}

func TestChangeIsSentAgainAfterAnUnexpectedError(t *testing.T) {
	b := withFollower(t)
	b.fetch(0, asFollower(3))
	first := b.isr.last(t)
	b.isr.answer(ISRAnswer{Err: protocol.UnknownServerError})
	if n := b.isr.count(); n != 2 {
		t.Fatalf("%d changes", n)
	}
	if again := b.isr.last(t); !slices.Equal(again.ISR, first.ISR) || again.PartitionEpoch != first.PartitionEpoch {
		t.Errorf("sent %+v, then %+v", first, again)
	}
}

func TestAnswerToASupersededChangeIsIgnored(t *testing.T) {
	b := withFollower(t)
	b.fetch(0, asFollower(3))
	b.lead(2, []int32{ourID, 2, 3}, ourID, 2)
	b.isr.grant() // of epoch 1
	if s := b.partition().State(); !slices.Equal(s.ISR, []metadata.BrokerID{ourID, 2}) || s.PartitionEpoch != 2 {
		t.Errorf("%+v", s)
	}
}

// A LeaderAndIsr request replaces the pending change. Neither a refusal nor an unexpected error of
// that change may restore the old in-sync replicas or submit it again.
func TestRefusalOfASupersededChangeIsIgnored(t *testing.T) {
	for _, code := range []protocol.ErrorCode{protocol.IneligibleReplica, protocol.OperationNotAttempted, protocol.UnknownServerError} {
		b := withFollower(t)
		b.fetch(0, asFollower(3))
		b.lead(2, []int32{ourID, 2, 3}, ourID)
		b.isr.answer(ISRAnswer{Err: code})
		if s := b.partition().State(); !slices.Equal(s.ISR, []metadata.BrokerID{ourID}) || s.PartitionEpoch != 2 {
			t.Errorf("after %s: %+v", code.Name(), s)
		}
		if n := b.isr.count(); n != 1 {
			t.Errorf("after %s: %d changes submitted, want 1", code.Name(), n)
		}
	}
}

// The partition may have lost its log when the answer arrives: the replica was deleted, or the
// directory failed.
func TestAnAnswerForAPartitionThatLostItsLogIsIgnored(t *testing.T) {
	for name, end := range map[string]func(*testBroker){
		"deleted": func(b *testBroker) { b.stopReplica(0, int32(metadata.EpochDuringDelete), true) },
		"failed":  func(b *testBroker) { b.dirFailed(testDir) },
	} {
		b := withFollower(t)
		b.fetch(0, asFollower(3))
		p := b.partition()
		before := p.State().PartitionEpoch
		end(b)
		b.isr.grant()
		if s := p.State(); s.PartitionEpoch != before {
			t.Errorf("%s: the answer changed the partition to %+v", name, s)
		}
	}
}

// While the change of an earlier epoch is pending, a new one is refused as if the controller had
// not attempted it, and submitted again later.
func TestAChangeIsSubmittedAgainAfterAnEarlierOneIsAnswered(t *testing.T) {
	b := withFollower(t)
	b.fetch(0, asFollower(3))
	b.lead(2, []int32{ourID, 2, 3}, ourID, 2)
	b.fetch(0, asFollower(3))
	if p := b.partition(); b.isr.count() != 1 || p.isr.pending() || !slices.Equal(p.isr.maximal, []metadata.BrokerID{ourID, 2}) {
		t.Fatalf("%d changes queued, in-sync replicas %+v", b.isr.count(), p.isr)
	}
	b.isr.answer(ISRAnswer{Err: protocol.FencedLeaderEpoch}) // of epoch 1
	b.fetch(0, asFollower(3))
	if c := b.isr.last(t); b.isr.count() != 2 || c.LeaderEpoch != 2 || !slices.Equal(c.ISR, []metadata.BrokerID{ourID, 2, 3}) {
		t.Errorf("%d changes, the last %+v", b.isr.count(), c)
	}
}

// lagging returns a leader whose follower 3 is about to join the in-sync replicas, and whose
// followers' last fetches are older than the allowed lag.
func lagging(t *testing.T) *testBroker {
	b := withFollower(t)
	now := time.UnixMilli(1_700_000_000_000)
	b.cfg.Now = func() time.Time { return now }
	b.lead(2, []int32{ourID, 2, 3}, ourID, 2)
	b.fetch(0, asFollower(2), inEpoch(2))
	b.fetch(0, asFollower(3), inEpoch(2))
	if c := b.isr.last(t); !slices.Equal(c.ISR, []metadata.BrokerID{ourID, 2, 3}) {
		t.Fatalf("submitted %v", c.ISR)
	}
	b.mustProduce(1)
	now = now.Add(b.opts.LagMax + time.Millisecond)
	return b
}

func TestInSyncReplicasDoNotShrinkWhileAChangeIsPending(t *testing.T) {
	b := lagging(t)
	b.ShrinkISRs()
	if n := b.isr.count(); n != 1 {
		t.Errorf("%d changes submitted while one is pending", n)
	}
	if got := b.partition().isr.maximal; !slices.Equal(got, []metadata.BrokerID{ourID, 2, 3}) {
		t.Errorf("the high watermark depends on %v", got)
	}
	b.isr.grant()
	b.ShrinkISRs()
	if c := b.isr.last(t); b.isr.count() != 2 || !slices.Equal(c.ISR, []metadata.BrokerID{ourID}) {
		t.Errorf("after the answer: %d changes, the last to %v", b.isr.count(), c.ISR)
	}
}

// An append that hangs on a bad disk holds its partition's lock shared. The check for lagging
// replicas of all partitions must neither wait for it nor keep others from reading.
func TestHangingAppendsDoNotDelayTheCheckForLaggingReplicas(t *testing.T) {
	for what, role := range map[string]int32{"a leader without laggards": ourID, "a follower": 2} {
		b := withFollower(t)
		if code := b.control(roleOf(0, role, 2, []int32{ourID, 2, 3}, ourID, 2)); code != protocol.None {
			t.Fatal(code)
		}
		p := b.partition()
		p.mu.RLock()
		checked := make(chan struct{})
		go func() { b.ShrinkISRs(); close(checked) }()
		within(t, what, checked)
		p.mu.RUnlock()
	}
}

func TestAJoiningReplicaHoldsTheHighWatermarkBackHoweverFarItLags(t *testing.T) {
	b := lagging(t)
	b.fetch(1, asFollower(2), inEpoch(2))
	if got := b.highWatermark(); got != 0 {
		t.Errorf("high watermark %d: the controller may have added the follower at 0", got)
	}
}

// The leadership is lost and regained: the followers' positions in the earlier term do not count.
func TestFollowerProgressIsUnknownAtTheStartOfATerm(t *testing.T) {
	b, _ := ledBefore(t)
	b.mustProduce(5)
	b.fetch(3, asFollower(2), inEpoch(3))
	if code := b.control(roleOf(0, 2, 4, []int32{ourID, 2}, 2, ourID)); code != protocol.None {
		t.Fatal(code)
	}
	p := b.lead(5, []int32{ourID, 2}, ourID, 2)
	if got := p.followers.of(2); got.logEnd != record.NoOffset || got.logStart != record.NoOffset {
		t.Errorf("%+v", got)
	}
}

func TestARoleOfAnOlderPartitionEpochIsSkipped(t *testing.T) {
	b := withFollower(t)
	b.lead(5, []int32{ourID, 2, 3}, ourID, 2)
	for _, leader := range []int32{ourID, 2} {
		req := roleOf(0, leader, 6, []int32{ourID, 2, 3}, 2)
		req.TopicStates[0].PartitionStates[0].ZKVersion = 4
		if code := b.control(req); code != protocol.None {
			t.Fatal(code)
		}
		if s := b.partition().State(); !s.Leading || s.LeaderEpoch != 5 || !slices.Equal(s.ISR, []metadata.BrokerID{ourID, 2}) {
			t.Errorf("leader %d at partition epoch 4: %+v", leader, s)
		}
	}
	if code := b.control(roleOf(0, 2, 7, []int32{ourID, 2, 3}, 2)); code != protocol.None {
		t.Fatal(code)
	}
	req := roleOf(0, 3, 8, []int32{ourID, 2, 3}, 3)
	req.TopicStates[0].PartitionStates[0].ZKVersion = 6
	if code := b.control(req); code != protocol.None {
		t.Fatal(code)
	}
	if s := b.partition().State(); s.Leader != 2 || s.LeaderEpoch != 7 {
		t.Errorf("the follower at partition epoch 6: %+v", s)
	}
}

// The configuration is read when a log is opened, not for each change of leaders.
func TestALeaderThatHasItsLogNeedsNoConfiguration(t *testing.T) {
	b := withFollower(t)
	b.configErr = errors.New("ZooKeeper is unavailable")
	b.lead(2, []int32{ourID, 2, 3}, ourID, 2)
}

func TestPitfallReplication19_HighWatermarkMovesWhenAShrinkIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withFollower(t)
		p := b.produce(-1, 2)
		p.Timeout = time.Hour
		if !p.Waits() {
			t.Fatal("does not wait")
		}
		answered := b.waitFor(p)
		b.ShrinkISRs()
		if n := b.isr.count(); n != 0 {
			t.Fatalf("%d changes within the allowed lag", n)
		}
		time.Sleep(b.opts.LagMax + time.Millisecond) // virtual time
		b.ShrinkISRs()
		if c := b.isr.last(t); !slices.Equal(c.ISR, []metadata.BrokerID{ourID}) {
			t.Fatalf("submitted %v", c.ISR)
		}
		if got := b.highWatermark(); got != 0 {
			t.Errorf("high watermark %d before the shrink is confirmed", got)
		}
		b.isr.grant()
		within(t, "the produce's answer", answered)
		if p.Partitions[0].Err != nil || b.highWatermark() != 2 {
			t.Errorf("%v, high watermark %d", p.Partitions[0].Err, b.highWatermark())
		}
	})
}

func TestCaughtUpFollowersAreNotRemoved(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(1)
	b.fetch(1, asFollower(2))
	b.partition().shrink(b.now().Add(time.Hour))
	if n := b.isr.count(); n != 0 {
		t.Errorf("%d changes, want none", n)
	}
}

func TestPitfallReplication04_EpochIsKnownBeforeAnythingIsWritten(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(3)
	for epoch := int32(2); epoch <= 4; epoch++ {
		b.lead(epoch, []int32{ourID, 2, 3}, ourID, 2)
	}
	// An epoch without records is replaced by the next one, as in Kafka.
	for _, c := range []struct{ ask, epoch metadata.LeaderEpoch }{{1, 1}, {2, 1}, {3, 1}, {4, 4}} {
		epoch, end, err := b.EndOffsetForEpoch(testTopic, 0, 4, c.ask)
		if err != nil || epoch != c.epoch || end != 3 {
			t.Errorf("epoch %d: (%d, %d), %v; want (%d, 3)", c.ask, epoch, end, err, c.epoch)
		}
	}
}

func TestPitfallReplication03_WrongLeaderEpochIsRefusedAndChangesNothing(t *testing.T) {
	b := withFollower(t)
	b.lead(4, []int32{ourID, 2, 3}, ourID, 2)
	b.mustProduce(1)
	for epoch, want := range map[int32]protocol.ErrorCode{3: protocol.FencedLeaderEpoch, 5: protocol.UnknownLeaderEpoch, 4: protocol.None, -1: protocol.None} {
		f := b.fetch(0, inEpoch(metadata.LeaderEpoch(epoch)))
		if got := f.Partitions[0].Code; got != want {
			t.Errorf("fetch in epoch %d: %s, want %s", epoch, got, want)
		}
		_, _, err := b.EndOffsetForEpoch(testTopic, 0, metadata.LeaderEpoch(epoch), 4)
		wantCode(t, "OffsetForLeaderEpoch", err, want)
		_, err = b.ListOffset(OffsetAsk{Version: 9, ReplicaID: 2, Topic: testTopic, CurrentLeaderEpoch: metadata.LeaderEpoch(epoch), Timestamp: LatestOffset})
		wantCode(t, "ListOffsets", err, want)
	}
	b.fetch(1, asFollower(2), inEpoch(3))
	if got := b.highWatermark(); got != 0 {
		t.Errorf("a fenced follower's fetch moved the high watermark to %d", got)
	}
}

func TestAnUnassignedBrokerIsNotAReplica(t *testing.T) {
	b := withFollower(t)
	if code := b.fetch(0, asFollower(9)).Partitions[0].Code; code != protocol.NotLeaderOrFollower {
		t.Errorf("without an epoch: %s", code)
	}
	if code := b.fetch(0, asFollower(9), inEpoch(1)).Partitions[0].Code; code != protocol.UnknownLeaderEpoch {
		t.Errorf("with an epoch: %s", code)
	}
}

func TestDivergingFollowerIsNotifiedAndNotRecorded(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(3)
	b.lead(5, []int32{ourID, 2, 3}, ourID, 2)
	diverging := func(epoch int32) func(*Fetch) {
		return func(f *Fetch) { f.Partitions[0].LastFetchedEpoch = metadata.LeaderEpoch(epoch) }
	}
	f := b.fetch(5, asFollower(2), diverging(1))
	if p := &f.Partitions[0]; p.Code != protocol.None || !p.HasDiverged || p.Diverged != (protocol.EpochEndOffset{Epoch: 1, EndOffset: 3}) || p.Data.Length != 0 {
		t.Errorf("behind another leader: %+v", p)
	}
	f = b.fetch(3, asFollower(2), diverging(4))
	if p := &f.Partitions[0]; !p.HasDiverged || p.Diverged != (protocol.EpochEndOffset{Epoch: 1, EndOffset: 3}) {
		t.Errorf("an epoch that the leader never had: %+v", p)
	}
	if got := b.highWatermark(); got != 0 {
		t.Errorf("a diverging fetch moved the high watermark to %d", got)
	}
	if f = b.fetch(3, asFollower(2), diverging(1)); f.Partitions[0].HasDiverged {
		t.Error("a prefix of the leader's log counts as diverging")
	}
	if f = b.fetch(3, asFollower(2), diverging(9)); f.Partitions[0].Code != protocol.OffsetOutOfRange {
		t.Errorf("an epoch beyond the leader's: %s", f.Partitions[0].Code)
	}
}

func TestDeleteRecords(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(5)
	b.fetch(4, asFollower(2))
	run := func(d PartitionDelete, timeout time.Duration) PartitionDelete {
		list := []PartitionDelete{d}
		b.DeleteRecords(list, timeout, nil)
		return list[0]
	}
	for _, c := range []struct {
		d    PartitionDelete
		want protocol.ErrorCode
	}{
		{PartitionDelete{Topic: "__consumer_offsets"}, protocol.InvalidTopicException},
		{PartitionDelete{Topic: "nowhere"}, protocol.UnknownTopicOrPartition},
		{PartitionDelete{Topic: testTopic, Partition: 1}, protocol.NotLeaderOrFollower},
		{PartitionDelete{Topic: testTopic, Offset: 5}, protocol.OffsetOutOfRange},
		{PartitionDelete{Topic: testTopic, Offset: -2}, protocol.OffsetOutOfRange},
	} {
		got := run(c.d, 0)
		wantCode(t, c.d.Topic, got.Err, c.want)
		if got.LowWatermark != -1 {
			t.Errorf("%+v: low watermark %d", c.d, got.LowWatermark)
		}
	}
	late := run(PartitionDelete{Topic: testTopic, Offset: 2}, time.Millisecond)
	wantCode(t, "follower lags", late.Err, protocol.RequestTimedOut)
	if start := b.partition().Log().Offsets().LogStart; start != 2 {
		t.Errorf("log start %d, want 2", start)
	}
	result := make(chan PartitionDelete)
	go func() { result <- run(PartitionDelete{Topic: testTopic, Offset: -1}, waitTime) }()
	eventually(t, "the log start", func() bool { return b.partition().Log().Offsets().LogStart == 4 })
	at := func(id int32) func(*Fetch) {
		return func(f *Fetch) { f.ReplicaID = metadata.BrokerID(id); f.Partitions[0].LogStartOffset = 4 }
	}
	b.fetch(4, at(2))
	b.fetch(4, at(3))
	if got := within(t, "the deletion's answer", result); got.Err != nil || got.LowWatermark != 4 {
		t.Errorf("%v, low watermark %d", got.Err, got.LowWatermark)
	}
	c := *b.topicDefaults()
	c.CleanupDelete, c.CleanupCompact = false, true
	b.logs.SetTopicConfig(testTopic, &c)
	wantCode(t, "compacted topic", run(PartitionDelete{Topic: testTopic, Offset: 4}, 0).Err, protocol.PolicyViolation)
}

func TestOffsetsAreNotReturnedWhileTheHighWatermarkLagsBehindTheEpoch(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(4)
	b.lead(2, []int32{ourID, 2, 3}, ourID, 2) // starts at 4, high watermark 0
	ask := func(version int16, replica metadata.BrokerID, timestamp int64) (storage.TimestampedOffset, error) {
		return b.ListOffset(OffsetAsk{Version: version, ReplicaID: replica, Topic: testTopic, CurrentLeaderEpoch: -1, Timestamp: timestamp})
	}
	_, err := ask(5, consumerReplica, LatestOffset)
	wantCode(t, "latest, v5", err, protocol.OffsetNotAvailable)
	_, err = ask(4, consumerReplica, LatestOffset)
	wantCode(t, "latest, v4", err, protocol.LeaderNotAvailable)
	_, err = ask(7, consumerReplica, 0)
	wantCode(t, "by time", err, protocol.OffsetNotAvailable)
	if at, err := ask(7, consumerReplica, EarliestOffset); err != nil || at.Offset != 0 {
		t.Errorf("earliest: %+v, %v", at, err)
	}
	if at, err := ask(7, 2, LatestOffset); err != nil || at.Offset != 4 || at.LeaderEpoch != 2 {
		t.Errorf("latest for a follower: %+v, %v", at, err)
	}
	b.fetch(4, asFollower(2))
	if at, err := ask(7, consumerReplica, LatestOffset); err != nil || at.Offset != 4 {
		t.Errorf("caught up: %+v, %v", at, err)
	}
}

func TestListOffsetTimestamps(t *testing.T) {
	b := withFollower(t)
	b.mustProduce(3)
	b.fetch(2, asFollower(2))
	ask := func(version int16, timestamp int64, change ...func(*OffsetAsk)) (storage.TimestampedOffset, error) {
		a := OffsetAsk{Version: version, ReplicaID: consumerReplica, Topic: testTopic, CurrentLeaderEpoch: -1, Timestamp: timestamp}
		for _, f := range change {
			f(&a)
		}
		return b.ListOffset(a)
	}
	for _, c := range []struct {
		version   int16
		timestamp int64
		offset    record.Offset
		code      protocol.ErrorCode
	}{
		{1, LatestOffset, 2, 0}, {1, EarliestOffset, 0, 0}, {9, EarliestLocal, 0, 0}, {9, LatestTiered, -1, 0},
		{6, MaxTimestampOffset, -1, protocol.UnsupportedVersion}, {7, EarliestLocal, -1, protocol.UnsupportedVersion},
		{8, LatestTiered, -1, protocol.UnsupportedVersion}, {9, -6, -1, protocol.UnsupportedVersion},
		{9, 0, 0, 0}, {9, 1 << 60, -1, 0},
	} {
		at, err := ask(c.version, c.timestamp)
		wantCode(t, "ListOffsets", err, c.code)
		if at.Offset != c.offset {
			t.Errorf("v%d, timestamp %d: offset %d, want %d", c.version, c.timestamp, at.Offset, c.offset)
		}
	}
	at, err := ask(9, LatestOffset, func(a *OffsetAsk) { a.ReplicaID = debuggingReplica })
	if err != nil || at.Offset != 3 {
		t.Errorf("debugging consumer: %+v, %v", at, err)
	}
	_, err = ask(9, LatestOffset, func(a *OffsetAsk) { a.Topic = "nowhere" })
	wantCode(t, "unknown topic", err, protocol.UnknownTopicOrPartition)
	_, err = ask(9, LatestOffset, func(a *OffsetAsk) { a.Partition = 2 })
	wantCode(t, "led elsewhere", err, protocol.NotLeaderOrFollower)
}

// For a read_committed consumer a log ends at its first open transaction.
func TestListOffsetsOfReadCommittedEndBeforeAnOpenTransaction(t *testing.T) {
	b := withOpenTransaction(t)
	for _, c := range []struct {
		replica   metadata.BrokerID
		committed bool
		want      record.Offset
	}{{consumerReplica, true, 1}, {consumerReplica, false, 3}, {debuggingReplica, true, 3}, {2, true, 3}} {
		at, err := b.ListOffset(OffsetAsk{Version: 9, ReplicaID: c.replica, ReadCommitted: c.committed, Topic: testTopic,
			CurrentLeaderEpoch: -1, Timestamp: LatestOffset})
		if err != nil || at.Offset != c.want {
			t.Errorf("%+v: latest offset %d, %v", c, at.Offset, err)
		}
	}
}

func TestLegacyOffsetsHideOffsetsAboveTheHighWatermark(t *testing.T) {
	for _, c := range []struct{ all, want []record.Offset }{
		{[]record.Offset{9, 5, 0}, []record.Offset{6, 5, 0}},
		{[]record.Offset{6, 5, 0}, []record.Offset{6, 5, 0}},
		{[]record.Offset{9, 8, 7}, []record.Offset{6}},
		{nil, nil},
	} {
		if got := belowHighWatermark(c.all, 6); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.all, got, c.want)
		}
	}
	b := alone(t)
	b.mustProduce(3)
	got, err := b.LegacyOffsets(testTopic, 0, consumerReplica, LatestOffset, 5)
	if err != nil || !slices.Equal(got, []record.Offset{3, 0}) {
		t.Errorf("latest: %v, %v", got, err)
	}
}

func TestCoordinatorAppendsWithTheTopicsMinISR(t *testing.T) {
	b := withFollower(t)
	written, err := b.partition().AppendAsLeader(batch(t, 2), nil, 1)
	if err != nil || written.First != 0 || written.End != 2 {
		t.Errorf("%+v, %v", written, err)
	}
	wantCode(t, "no follower fetches", b.partition().AwaitReplicated(written, time.Millisecond, nil), protocol.RequestTimedOut)
	safe := make(chan error)
	go func() { safe <- b.partition().AwaitReplicated(written, waitTime, nil) }()
	b.parked(1)
	b.fetch(2, asFollower(2))
	if err := within(t, "replication", safe); err != nil {
		t.Errorf("replicated: %v", err)
	}
	b.parked(0)
	b.requireISR(3)
	_, err = b.partition().AppendAsLeader(batch(t, 2), nil, -1)
	wantCode(t, "acks=-1", err, protocol.NotEnoughReplicas)
}

// A leader whose epoch cannot be recorded does not lead. The logs of a directory that has just
// failed know of the failure before the Manager does.
func TestALeaderWhoseEpochIsNotRecordedDoesNotLead(t *testing.T) {
	var fail atomic.Bool
	fs := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if fail.Load() && op.Kind == vfs.OpWrite {
			return errors.New("broken disk")
		}
		return nil
	})
	b := newTestBrokerOn(t, fs, []string{testDir, otherDir})
	b.know(ourID)
	b.lead(1, []int32{ourID}, ourID)
	b.logs.OnDirFailure(func(string) {})
	fail.Store(true)
	wantCode(t, "produce", b.produce(1, 1).Partitions[0].Err, protocol.KafkaStorageError)
	req := roleOf(0, ourID, 2, []int32{ourID}, ourID)
	req.TopicStates[0].TopicID = TopicID{} // from an old controller: there is no id to check first
	if code := b.control(req); code != protocol.KafkaStorageError {
		t.Errorf("becoming leader: %s", code.Name())
	}
	if _, err := b.Partition(testTopic, 0); protocol.CodeOf(err) != protocol.KafkaStorageError {
		t.Errorf("the partition is served: %v", err)
	}
	fail.Store(false)
}
