package replication

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

func TestLeaderAndIsrWithAStaleBrokerEpochIsRefusedAsAWhole(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	for epoch, want := range map[int64]protocol.ErrorCode{99: protocol.StaleBrokerEpoch, 100: protocol.None} {
		req := roleOf(0, ourID, int32(epoch), []int32{ourID}, ourID)
		req.BrokerEpoch = epoch
		resp := b.BecomeLeaderOrFollower(req, 1)
		if got := protocol.ErrorCode(resp.ErrorCode); got != want {
			t.Errorf("broker epoch %d: %s, want %s", epoch, got, want)
		}
		if got := protocol.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode); got != want {
			t.Errorf("broker epoch %d: partition %s, want %s", epoch, got, want)
		}
	}
}

func TestPitfallReplication28_RequestsWithAStaleBrokerEpochChangeNothing(t *testing.T) {
	b := newTestBroker(t)
	req := roleOf(0, ourID, 3, []int32{ourID}, ourID)
	req.BrokerEpoch = 99
	if code := b.control(req); code != protocol.StaleBrokerEpoch {
		t.Fatalf("answered %s", code)
	}
	if len(b.Partitions()) != 0 {
		t.Error("the partition is hosted after a request with a stale broker epoch")
	}
	stop := kmsg.NewPtrStopReplicaRequest()
	stop.Version, stop.ControllerEpoch, stop.BrokerEpoch = 4, 1, 99
	if resp := b.StopReplica(stop, 1); protocol.ErrorCode(resp.ErrorCode) != protocol.StaleBrokerEpoch || len(resp.Partitions) != 0 {
		t.Errorf("StopReplica answers %+v", resp)
	}
	update := kmsg.NewPtrUpdateMetadataRequest()
	update.Version, update.ControllerEpoch, update.BrokerEpoch, update.ControllerID = 8, 1, 99, 5
	if resp, _ := b.UpdateMetadata(update, 1); protocol.ErrorCode(resp.ErrorCode) != protocol.StaleBrokerEpoch || b.Metadata().ControllerID == 5 {
		t.Errorf("UpdateMetadata answers %+v", resp)
	}
	// A larger epoch passes: the controller may see the registration before the broker does.
	req.BrokerEpoch = 101
	if code := b.control(req); code != protocol.None {
		t.Errorf("a larger broker epoch: %s", code)
	}
}

func TestOldControllerIsRefusedByAllThreeRequests(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	req := roleOf(0, ourID, 1, []int32{ourID}, ourID)
	req.ControllerEpoch = 7
	if code := b.control(req); code != protocol.None {
		t.Fatal(code)
	}
	req = roleOf(0, ourID, 2, []int32{ourID}, ourID)
	req.ControllerEpoch = 6
	if code := b.control(req); code != protocol.StaleControllerEpoch {
		t.Errorf("LeaderAndIsr: %s", code)
	}
	stop := kmsg.NewPtrStopReplicaRequest()
	stop.Version, stop.ControllerEpoch, stop.BrokerEpoch = 4, 6, -1
	if resp := b.StopReplica(stop, 1); protocol.ErrorCode(resp.ErrorCode) != protocol.StaleControllerEpoch {
		t.Errorf("StopReplica: %d", resp.ErrorCode)
	}
	update := kmsg.NewPtrUpdateMetadataRequest()
	update.Version, update.ControllerEpoch, update.BrokerEpoch = 8, 6, -1
	if resp, _ := b.UpdateMetadata(update, 1); protocol.ErrorCode(resp.ErrorCode) != protocol.StaleControllerEpoch {
		t.Errorf("UpdateMetadata: %d", resp.ErrorCode)
	}
}

func TestLeaderAndIsrPerPartitionChecks(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID, 2)
	b.lead(5, []int32{ourID, 2}, ourID, 2)
	if code := b.control(roleOf(0, ourID, 4, []int32{ourID, 2}, ourID)); code != protocol.StaleControllerEpoch {
		t.Errorf("lower leader epoch: %s", code)
	}
	if code := b.control(roleOf(0, ourID, 5, []int32{ourID, 2}, ourID)); code != protocol.StaleControllerEpoch {
		t.Errorf("equal leader epoch: %s", code)
	}
	if got := b.partition().State().ISR; !slices.Equal(got, []metadata.BrokerID{ourID, 2}) {
		t.Errorf("the equal epoch changed the in-sync replicas to %v", got)
	}
	if code := b.control(roleOf(0, 2, 6, []int32{2, 3}, 2)); code != protocol.UnknownTopicOrPartition {
		t.Errorf("not among the replicas: %s", code)
	}
	other := roleOf(0, ourID, 9, []int32{ourID, 2}, ourID)
	other.TopicStates[0].TopicID = TopicID{0xee}
	if code := b.control(other); code != protocol.InconsistentTopicID {
		t.Errorf("another topic id with a newer epoch: %s", code)
	}
	older := roleOf(0, ourID, 8, []int32{ourID, 2}, ourID)
	older.TopicStates[0].PartitionStates[0].ZKVersion = 1
	if code := b.control(older); code != protocol.None {
		t.Errorf("older partition epoch: %s, want it to be skipped silently", code)
	}
	if got := b.partition().State().LeaderEpoch; got != 5 {
		t.Errorf("leader epoch %d after refused and skipped requests, want 5", got)
	}
}

// A tool dropped the topic's id while all brokers were down, so the controller has assigned another
// one. The log may belong to a deleted topic of the same name. It is not served and is kept
// unchanged until an operator writes its id back, as in Kafka.
func TestALogWithAnotherTopicIDIsKeptButNotServedAfterAStart(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	b.lead(1, []int32{ourID}, ourID)
	b.mustProduce(3)
	fs := b.fs
	b.stop()

	b = newTestBrokerOn(t, fs, []string{testDir})
	b.know(ourID)
	hook := &logtest.Hook{}
	b.stateLog.Logger.AddHook(hook)
	other := roleOf(0, ourID, 2, []int32{ourID}, ourID)
	other.TopicStates[0].TopicID = TopicID{0xee}
	if code := b.control(other); code != protocol.InconsistentTopicID || b.hosted.get(testTopic, 0) != nil {
		t.Errorf("another topic id: %s, hosted %t", code, b.hosted.get(testTopic, 0) != nil)
	}
	want := fmt.Sprintf("Topic ID in memory: %s does not match the topic ID for partition t-0 received: %s.", javatext.UUID(testTopicID), javatext.UUID(TopicID{0xee}))
	if !slices.ContainsFunc(hook.AllEntries(), func(e *logrus.Entry) bool { return e.Level == logrus.ErrorLevel && e.Message == want }) {
		t.Errorf("logged %v, want %q", hook.AllEntries(), want)
	}
	log := b.logs.Log(TopicPartition{Topic: testTopic})
	if log == nil || log.TopicID() != testTopicID || log.Offsets().LogEnd != 3 {
		t.Fatalf("the log has changed: %+v", log)
	}
	if p := b.lead(3, []int32{ourID}, ourID); p.Log().Offsets().LogEnd != 3 { // the id is written back
		t.Errorf("led with %d records, want 3", p.Log().Offsets().LogEnd)
	}
}

func TestATopicIDMayArriveInTheSameEpoch(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	req := roleOf(0, ourID, 1, []int32{ourID}, ourID)
	req.TopicStates[0].TopicID = TopicID{}
	if code := b.control(req); code != protocol.None {
		t.Fatal(code)
	}
	if code := b.control(roleOf(0, ourID, 1, []int32{ourID}, ourID)); code != protocol.None {
		t.Errorf("the same epoch with a topic id: %s", code)
	}
	if got := b.partition().Log().TopicID(); got != testTopicID {
		t.Errorf("topic id %x", got)
	}
	if code := b.control(req); code != protocol.StaleControllerEpoch {
		t.Errorf("the same epoch without an id, on the leader: %s", code)
	}
}

// A broker that no longer leads refuses records of clients, whatever acks they request.
func TestAFollowerRefusesRecordsOfClients(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID, 2)
	b.fetchers.close()
	p := b.lead(1, []int32{ourID, 2}, ourID)
	b.control(roleOf(0, 2, 2, []int32{ourID, 2}, 2))
	for _, acks := range []int16{0, 1, -1} {
		wantCode(t, fmt.Sprintf("acks=%d", acks), b.produce(acks, 1).Partitions[0].Err, protocol.NotLeaderOrFollower)
		_, err := p.AppendAsLeader(batch(t, 1), nil, acks)
		wantCode(t, fmt.Sprintf("a coordinator, acks=%d", acks), err, protocol.NotLeaderOrFollower)
	}
	if end := p.Log().Offsets().LogEnd; end != 0 {
		t.Errorf("the log ends at %d", end)
	}
}

func TestOldVersionsNameTopicsInTheResponse(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	for i, version := range []int16{0, 1, 2, 4} {
		req := kmsg.NewPtrLeaderAndISRRequest()
		req.Version, req.ControllerEpoch, req.BrokerEpoch = version, 1, -1
		states := roleOf(int32(i), ourID, 1, []int32{ourID}, ourID).TopicStates[0]
		if version < 2 {
			states.PartitionStates[0].Topic = testTopic
			req.PartitionStates = states.PartitionStates
		} else {
			states.TopicID = TopicID{}
			req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{states}
		}
		resp := b.BecomeLeaderOrFollower(req, 1)
		if len(resp.Partitions) != 1 || resp.Partitions[0].Topic != testTopic || resp.Partitions[0].Partition != int32(i) || resp.Partitions[0].ErrorCode != 0 {
			t.Errorf("v%d: %+v", version, resp)
		}
	}
}

func TestListenersAreNotifiedOfGainedAndLostLeadership(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID, 2)
	b.lead(1, []int32{ourID, 2}, ourID, 2)
	b.lead(2, []int32{ourID, 2}, ourID, 2) // led before: no notification
	if code := b.control(roleOf(0, 2, 3, []int32{ourID, 2}, ourID, 2)); code != protocol.None {
		t.Fatal(code)
	}
	b.lead(4, []int32{ourID, 2}, ourID, 2)
	b.stopReplica(0, int32(metadata.EpochDuringDelete), true)
	want := []string{"lead t-0 1", "resign t-0 3", "lead t-0 4", "resign t-0 -1"}
	if !slices.Equal(b.notified, want) {
		t.Errorf("notified of %v, want %v", b.notified, want)
	}
}

// stopReplica sends a StopReplica request for one partition.
func (b *testBroker) stopReplica(partition, leaderEpoch int32, del bool) protocol.ErrorCode {
	b.t.Helper()
	req := kmsg.NewPtrStopReplicaRequest()
	req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 4, 1, 1, -1
	s := kmsg.NewStopReplicaRequestTopicPartitionState()
	s.Partition, s.LeaderEpoch, s.Delete = partition, leaderEpoch, del
	topic := kmsg.NewStopReplicaRequestTopic()
	topic.Topic, topic.PartitionStates = testTopic, []kmsg.StopReplicaRequestTopicPartitionState{s}
	req.Topics = append(req.Topics, topic)
	resp := b.StopReplica(req, 1)
	if resp.ErrorCode != 0 || len(resp.Partitions) != 1 {
		b.t.Fatalf("StopReplica answers %+v", resp)
	}
	return protocol.ErrorCode(resp.Partitions[0].ErrorCode)
}

// A partition that is stopped, deleted or led here is no longer fetched. If it is stopped or
// deleted, it is no longer moved to another directory either.
func TestAStoppedOrLedPartitionIsNoLongerFetched(t *testing.T) {
	for what, end := range map[string]func(b *testBroker){
		"stopped": func(b *testBroker) { b.stopReplica(0, 5, false) },
		"deleted": func(b *testBroker) { b.stopReplica(0, int32(metadata.EpochDuringDelete), true) },
		"led":     func(b *testBroker) { b.lead(6, []int32{ourID, 2}, ourID, 2) },
	} {
		b := newTestBrokerOn(t, vfs.NewMem(), []string{testDir, otherDir})
		b.know(ourID, 2)
		b.holdMoves()
		if code := b.control(roleOf(0, 2, 5, []int32{ourID, 2}, ourID, 2)); code != protocol.None {
			t.Fatal(code)
		}
		if err := b.AlterLogDir(partition0, otherDir); err != nil {
			t.Fatal(err)
		}
		moves := func() int {
			b.mover.mu.Lock()
			defer b.mover.mu.Unlock()
			return len(b.mover.moves)
		}
		if fetched := b.FollowerLags(); len(fetched) != 1 || moves() != 1 {
			t.Fatalf("fetched: %v; %d moves", fetched, moves())
		}
		end(b)
		if fetched := b.FollowerLags(); len(fetched) != 0 {
			t.Errorf("%s: still fetches %v", what, fetched)
		}
		if what != "led" && moves() != 0 {
			t.Errorf("%s: still moves", what)
		}
	}
}

// A request names a partition twice, the second time with an earlier epoch. The epoch must not go
// back.
func TestAPartitionNamedTwiceIsLedInTheLaterEpoch(t *testing.T) {
	b := alone(t)
	b.mustProduce(2)
	req := roleOf(0, ourID, 5, []int32{ourID}, ourID)
	states := &req.TopicStates[0].PartitionStates
	*states = append(*states, (*states)[0])
	(*states)[1].LeaderEpoch = 4
	b.BecomeLeaderOrFollower(req, 1)
	if p := b.partition(); p.State().LeaderEpoch != 5 || p.Log().LeaderEpoch() != 5 {
		t.Errorf("epoch %d, in the log %d", p.State().LeaderEpoch, p.Log().LeaderEpoch())
	}
	b.mustProduce(1)
}

func TestStopReplicaChecksTheEpochAndDeletes(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	b.lead(5, []int32{ourID}, ourID)
	if code := b.stopReplica(0, 4, true); code != protocol.FencedLeaderEpoch {
		t.Errorf("lower epoch: %s", code)
	}
	if code := b.stopReplica(0, 5, false); code != protocol.None {
		t.Errorf("equal epoch: %s", code)
	}
	if s := b.partition().State(); !s.Leading || s.LeaderEpoch != 5 {
		t.Errorf("without delete the role changed: %+v", s)
	}
	if code := b.stopReplica(0, int32(metadata.NoLeaderEpoch), true); code != protocol.None {
		t.Errorf("no epoch: %s", code)
	}
	if _, err := b.Partition(testTopic, 0); protocol.CodeOf(err) != protocol.NotLeaderOrFollower {
		t.Errorf("after the deletion: %v", err)
	}
	if b.logs.Log(TopicPartition{Topic: testTopic}) != nil {
		t.Error("the log still exists")
	}
	if code := b.stopReplica(2, int32(metadata.EpochDuringDelete), true); code != protocol.None {
		t.Errorf("not hosted: %s", code)
	}
}

func TestStopReplicaDeletesALogWithoutARole(t *testing.T) {
	b := newTestBroker(t)
	if _, err := b.logs.GetOrCreate(TopicPartition{Topic: testTopic}, testTopicID, b.topicDefaults(), true); err != nil {
		t.Fatal(err)
	}
	if code := b.stopReplica(0, int32(metadata.EpochDuringDelete), true); code != protocol.None {
		t.Fatal(code)
	}
	if b.logs.Log(TopicPartition{Topic: testTopic}) != nil {
		t.Error("the log still exists")
	}
}

func TestFollowerWithoutALiveLeaderOnlyGetsALog(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	for _, leader := range []int32{2, int32(metadata.NoBroker)} {
		if code := b.control(roleOf(0, leader, 3, []int32{ourID, 2}, 2)); code != protocol.None {
			t.Errorf("leader %d: %s", leader, code)
		}
		s := b.partition().State()
		if s.LeaderEpoch != metadata.NoLeaderEpoch || s.Leader != metadata.NoBroker || b.partition().Log() == nil {
			t.Errorf("leader %d: %+v", leader, s)
		}
	}
	// The same request applies when the leader is alive.
	b.know(ourID, 2)
	if code := b.control(roleOf(0, 2, 3, []int32{ourID, 2}, 2)); code != protocol.None || b.partition().State().LeaderEpoch != 3 {
		t.Errorf("with a live leader: %s %+v", code, b.partition().State())
	}
}

func TestPitfallReplication13_HighWatermarkOfAPartitionWithoutLeaderIsCheckpointed(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	b.lead(0, []int32{ourID, 2}, ourID)
	b.mustProduce(3)
	b.stop()

	again := newTestBrokerOn(t, b.fs, []string{testDir})
	again.know(ourID)
	if code := again.control(roleOf(0, 2, 1, []int32{ourID, 2}, 2)); code != protocol.None {
		t.Fatal(code)
	}
	again.CheckpointHighWatermarks()
	read, err := again.logs.ReadHighWatermarks(testDir)
	if err != nil {
		t.Fatal(err)
	}
	if high := read[TopicPartition{Topic: testTopic}]; high != 3 {
		t.Errorf("the checkpoint has %d, want 3: %v", high, read)
	}
}

func TestCheckpointsAreNotWrittenBeforeTheFirstLeaderAndIsr(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	b.lead(0, []int32{ourID}, ourID)
	b.mustProduce(3)
	b.stop()
	again := newTestBrokerOn(t, b.fs, []string{testDir})
	again.stop()
	third := newTestBrokerOn(t, b.fs, []string{testDir})
	read, err := third.logs.ReadHighWatermarks(testDir)
	if err != nil || read[TopicPartition{Topic: testTopic}] != 3 {
		t.Errorf("a broker without roles wrote %v, %v", read, err)
	}
}

func TestCountsOfPartitionsByState(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID, 2, 3)
	b.requireISR(2)
	all := []int32{ourID, 2, 3}
	add := func(partition int32, change func(*kmsg.LeaderAndISRRequestTopicPartition), isr ...int32) {
		t.Helper()
		req := roleOf(partition, ourID, 1, all, isr...)
		if change != nil {
			change(&req.TopicStates[0].PartitionStates[0])
		}
		if code := b.control(req); code != protocol.None {
			t.Fatalf("partition %d: %s", partition, code)
		}
	}
	var want Counts
	for i, step := range []struct {
		what  string
		do    func()
		count func()
	}{
		{"a partition whose replicas are all in sync", func() { add(0, nil, 1, 2, 3) }, func() {}},
		{"one in-sync replica too few", func() { add(1, nil, 1) }, func() { want.UnderReplicated++; want.UnderMinISR++ }},
		{"just enough in-sync replicas", func() { add(2, nil, 2, 1) }, func() { want.UnderReplicated++; want.AtMinISR++ }},
		// KIP-352: the replica that a reassignment adds is not missing before it has caught up.
		{"a reassignment that adds a replica", func() {
			add(3, func(s *kmsg.LeaderAndISRRequestTopicPartition) { s.AddingReplicas = []int32{3} }, 1, 2)
		}, func() { want.Reassigning++; want.AtMinISR++ }},
		{"a reassignment that removes a replica", func() {
			add(4, func(s *kmsg.LeaderAndISRRequestTopicPartition) { s.RemovingReplicas = []int32{3} }, 1, 2, 3)
		}, func() { want.Reassigning++ }},
		{"a partition that another broker leads", func() {
			add(5, func(s *kmsg.LeaderAndISRRequestTopicPartition) { s.Leader, s.AddingReplicas = 2, []int32{3} }, 2)
		}, func() { want.Leaders-- }},
	} {
		step.do()
		want.Partitions, want.Leaders = i+1, want.Leaders+1
		step.count()
		if got := b.Counts(); got != want {
			t.Fatalf("with %s: %+v, want %+v", step.what, got, want)
		}
	}
	b.logFailed(TopicPartition{Topic: testTopic, Partition: 1})
	want.Offline, want.Leaders, want.UnderReplicated, want.UnderMinISR = 1, want.Leaders-1, want.UnderReplicated-1, 0
	if got := b.Counts(); got != want {
		t.Errorf("after a partition failed: %+v, want %+v", got, want)
	}
}

func TestFailedDirectoryTakesItsPartitionsOffline(t *testing.T) {
	b := alone(t)
	was := b.partition()
	b.dirFailed(testDir)
	_, err := b.Partition(testTopic, 0)
	wantCode(t, "lookup", err, protocol.KafkaStorageError)
	if code := b.control(roleOf(0, ourID, 9, []int32{ourID}, ourID)); code != protocol.KafkaStorageError {
		t.Errorf("LeaderAndIsr: %s", code)
	}
	if code := b.stopReplica(0, int32(metadata.EpochDuringDelete), true); code != protocol.KafkaStorageError {
		t.Errorf("StopReplica: %s", code)
	}
	if c := b.Counts(); c.Offline != 1 || c.Leaders != 0 {
		t.Errorf("%+v", c)
	}
	if p := b.produce(1, 1); protocol.CodeOf(p.Partitions[0].Err) != protocol.KafkaStorageError {
		t.Errorf("produce: %v", p.Partitions[0].Err)
	}
	_, err = was.AppendAsLeader(batch(t, 1), nil, 1)
	wantCode(t, "an append to a partition looked up before", err, protocol.KafkaStorageError)
}

// The high watermark of an empty log is its end, so the high watermarks of all partitions need not
// be read for each new one.
func TestANewPartitionDoesNotReadAllHighWatermarks(t *testing.T) {
	var reads atomic.Int32
	fs := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpOpen && strings.HasSuffix(op.Name, "replication-offset-checkpoint") {
			reads.Add(1)
		}
		return nil
	})
	b := newTestBrokerOn(t, fs, []string{testDir})
	b.know(ourID)
	reads.Store(0)
	for p := range int32(3) {
		if code := b.control(roleOf(p, ourID, 0, []int32{ourID}, ourID)); code != protocol.None {
			t.Fatal(code)
		}
	}
	if n := reads.Load(); n != 0 {
		t.Errorf("read %d times", n)
	}
}

// A log directory fails while a LeaderAndIsr request creates a log in it, or has just opened a log
// with records.
func TestADirectoryThatFailsDuringALeaderAndIsrTakesItsPartitionOffline(t *testing.T) {
	for _, tt := range []struct {
		leader int32
		at     string // file being opened when the directory fails
	}{{ourID, ".timeindex"}, {2, ".timeindex"}, {ourID, "replication-offset-checkpoint"}, {2, "replication-offset-checkpoint"}} {
		var armed, broken atomic.Bool
		var b *testBroker
		fs := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
			switch {
			case broken.Load() && op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, testDir+"/"):
				return syscall.EIO
			case (op.Kind == vfs.OpCreate || op.Kind == vfs.OpOpen) && strings.HasSuffix(op.Name, tt.at) && armed.CompareAndSwap(true, false):
				other := b.partition()
				broken.Store(true)
				_ = other.Log().Flush()
				eventually(t, "the removal of the directory's logs", func() bool { return b.logs.Log(other.id) == nil })
			}
			return nil
		})
		for _, before := range []bool{true, false} {
			b = newTestBrokerOn(t, fs, []string{testDir, testDir + "-2"})
			b.know(ourID, 2)
			for p := range int32(2) {
				if err := b.logs.PreferDir(TopicPartition{Topic: testTopic, Partition: p}, testDir); err != nil {
					t.Fatal(err)
				}
			}
			b.lead(0, []int32{ourID}, ourID)
			b.mustProduce(1)
			if !before || tt.at != "replication-offset-checkpoint" {
				break
			}
			// The file is read for a log with records from an earlier run of the broker.
			_ = b.control(roleOf(1, ourID, 2, []int32{ourID}, ourID))
			p := b.NewProduce()
			p.Version, p.Acks = 9, 1
			p.Add(testTopic, 1, batch(t, 1))
			p.Append()
			if err := p.Partitions[0].Err; err != nil {
				t.Fatal(err)
			}
			b.stop()
		}
		armed.Store(true)
		role := roleOf(1, tt.leader, 3, []int32{ourID, 2}, ourID, 2)
		_ = b.control(role)
		p := b.hosted.add(TopicPartition{Topic: testTopic, Partition: 1}, b.Manager)
		eventually(t, "the partition to be offline", p.offline)
		if code := b.control(role); code != protocol.KafkaStorageError {
			t.Errorf("leader %d, %s: second request: %s", tt.leader, tt.at, code)
		}
	}
}

// A change of a topic's configuration is announced after it was read for a new log and before the
// log is created.
func TestAConfigurationAnnouncedWhileALogIsCreatedTakesEffect(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	changed := *b.topicDefaults()
	changed.RetentionMs = 4711
	reads := 0
	b.configRead = func() {
		reads++
		b.logs.SetTopicConfig(testTopic, &changed)
	}
	b.lead(0, []int32{ourID}, ourID)
	if got := b.partition().Log().Config().RetentionMs; got != 4711 || reads != 1 {
		t.Errorf("retention.ms %d after %d reads", got, reads)
	}
}

// An unusable log takes only its own partition offline, and the controller is notified as for a
// failed directory.
func TestAFailedLogTakesItsPartitionOffline(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	b.lead(0, []int32{ourID}, ourID)
	if code := b.control(roleOf(1, ourID, 1, []int32{ourID}, ourID)); code != protocol.None {
		t.Fatal(code)
	}
	b.logFailed(TopicPartition{Topic: testTopic})
	_, err := b.Partition(testTopic, 0)
	wantCode(t, "lookup", err, protocol.KafkaStorageError)
	if code := b.control(roleOf(0, ourID, 9, []int32{ourID}, ourID)); code != protocol.KafkaStorageError {
		t.Errorf("LeaderAndIsr: %s", code)
	}
	if c := b.Counts(); c.Offline != 1 || c.Leaders != 1 {
		t.Errorf("%+v", c)
	}
}

// A directory fails between the checks of a LeaderAndIsr request and the role changes. Its
// partition is offline in the response too, and gets no log again.
func TestAPartitionThatGoesOfflineDuringALeaderAndIsrStaysOffline(t *testing.T) {
	for _, leader := range []int32{ourID, 2} {
		b := newTestBroker(t)
		b.know(ourID, 2)
		b.lead(0, []int32{ourID, 2}, ourID, 2)
		before := len(b.notified)
		req := roleOf(0, leader, 5, []int32{ourID, 2}, ourID, 2)
		for p := range int32(2) { // with several new logs the configurations are read first
			more := roleOf(p, leader, 5, []int32{ourID, 2}, ourID, 2).TopicStates[0]
			more.Topic, more.TopicID = "u", TopicID{0xcd}
			req.TopicStates = append(req.TopicStates, more)
		}
		b.onConfig = func(string) {
			b.onConfig = nil
			b.dirFailed(testDir)
		}
		code := protocol.ErrorCode(b.BecomeLeaderOrFollower(req, 1).Topics[0].Partitions[0].ErrorCode)
		p := b.hosted.get(testTopic, 0)
		if code != protocol.KafkaStorageError || !p.offline() || p.Log() != nil || p.State().Leading {
			t.Errorf("leader %d: answered %s; offline %t, %+v", leader, code, p.offline(), p.State())
		}
		if slices.Contains(b.notified[before:], "lead t-0 5") {
			t.Errorf("leader %d: notified of %v", leader, b.notified)
		}
	}
}

// A directory or a log fails while its partition is being deleted. The partition must not count as
// offline, so that the topic can be created again.
func TestAFailureDoesNotBringBackADeletedPartition(t *testing.T) {
	b := alone(t)
	p, failed := b.partition(), b.partitionsIn(testDir)
	if code := b.stopReplica(0, int32(metadata.EpochDuringDelete), true); code != protocol.None {
		t.Fatal(code)
	}
	b.takeOffline(failed)
	b.logFailed(TopicPartition{Topic: testTopic})
	if b.hosted.get(testTopic, 0) != nil {
		t.Error("the deleted partition is hosted again")
	}
	_, err := p.AppendAsLeader(batch(t, 1), nil, 1)
	wantCode(t, "an append to the deleted partition", err, protocol.NotLeaderOrFollower)
	b.lead(0, []int32{ourID}, ourID)
	b.mustProduce(1)
}

// The topic's configuration cannot be read while a broker becomes leader or follower. The partition
// keeps its old epoch, so the controller's next request with the same epoch applies (KAFKA-9769).
func TestPitfallController17_AFailureWhileBecomingLeaderKeepsTheOldEpoch(t *testing.T) {
	for _, leader := range []int32{ourID, 2} {
		b := newTestBroker(t)
		b.know(ourID, 2)
		b.configErr = errors.New("ZooKeeper is unavailable")
		if code := b.control(roleOf(0, leader, 5, []int32{ourID, 2}, ourID, 2)); code != protocol.UnknownServerError {
			t.Errorf("leader %d: %s although the configuration could not be read", leader, code)
		}
		if s := b.partition().State(); s.LeaderEpoch != metadata.NoLeaderEpoch || s.Leading || s.Leader != metadata.NoBroker {
			t.Errorf("leader %d: partially changed state: %+v", leader, s)
		}
		b.configErr = nil
		if code := b.control(roleOf(0, leader, 5, []int32{ourID, 2}, ourID, 2)); code != protocol.None {
			t.Errorf("leader %d: the same epoch again: %s", leader, code)
		}
		if s := b.partition().State(); s.LeaderEpoch != 5 || s.Leader != metadata.BrokerID(leader) {
			t.Errorf("leader %d: %+v", leader, s)
		}
	}
}

// A partition whose role change fails must not affect the other partitions of the request: they
// lead and follow, and the coordinators are notified of them.
func TestAFailedPartitionDoesNotAffectTheRolesOfOthers(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID, 2)
	b.onConfig = func(topic string) {
		b.configErr = nil
		if topic == "unreadable" {
			b.configErr = errors.New("no access to /config/topics/unreadable")
		}
	}
	req := roleOf(0, ourID, 5, []int32{ourID, 2}, ourID, 2)
	follows := roleOf(1, 2, 5, []int32{ourID, 2}, ourID, 2).TopicStates[0].PartitionStates[0]
	unreadable := req.TopicStates[0]
	unreadable.Topic, unreadable.TopicID = "unreadable", TopicID{0xcd}
	req.TopicStates[0].PartitionStates = append(req.TopicStates[0].PartitionStates, follows)
	unreadable.PartitionStates = req.TopicStates[0].PartitionStates
	req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{unreadable, req.TopicStates[0]}

	resp := b.BecomeLeaderOrFollower(req, 1)
	want := [][]protocol.ErrorCode{{protocol.UnknownServerError, protocol.UnknownServerError}, {protocol.None, protocol.None}}
	for i, topic := range resp.Topics {
		for j, p := range topic.Partitions {
			if code := protocol.ErrorCode(p.ErrorCode); code != want[i][j] {
				t.Errorf("topic %d, partition %d: %s, want %s", i, p.Partition, code, want[i][j])
			}
		}
	}
	if resp.ErrorCode != 0 || !slices.Equal(b.notified, []string{"lead t-0 5", "resign t-1 5"}) {
		t.Errorf("code %d; notified of %v", resp.ErrorCode, b.notified)
	}
	if follower := b.hosted.get(testTopic, 1).State(); follower.Leader != 2 || follower.LeaderEpoch != 5 {
		t.Errorf("the follower: %+v", follower)
	}
	b.onConfig, b.configErr = nil, nil
	for _, topic := range b.BecomeLeaderOrFollower(req, 2).Topics[:1] {
		for _, p := range topic.Partitions {
			if p.ErrorCode != 0 {
				t.Errorf("partition %d in the same epoch again: %s", p.Partition, protocol.ErrorCode(p.ErrorCode))
			}
		}
	}
}

// Lists with as many replicas and in-sync replicas as a request can have take time linear in their
// length. Quadratic work would take minutes.
func TestLongReplicaListsTakeLinearTime(t *testing.T) {
	b := newTestBroker(t)
	b.know(ourID)
	replicas := make([]int32, 0, 1<<18)
	for id := range int32(cap(replicas)) {
		replicas = append(replicas, id+ourID)
	}
	for epoch, list := range [][]int32{replicas, slices.Repeat([]int32{ourID, 7}, len(replicas)/2)} {
		if code := b.control(roleOf(0, ourID, int32(epoch), list, list...)); code != protocol.None {
			t.Fatal(code)
		}
		b.ShrinkISRs()
	}
	if s := b.partition().State(); len(s.ISR) != len(replicas) || !s.Leading {
		t.Errorf("leading %t, %d in sync", s.Leading, len(s.ISR))
	}
}

// While the first LeaderAndIsr request after the start is being applied, fewer partitions are
// hosted than the checkpoint contains. The checkpoint must not be replaced.
func TestHighWatermarksOfPartitionsNotYetHostedStayInTheCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := func(epoch int32) *kmsg.LeaderAndISRRequest {
			req := roleOf(0, ourID, epoch, []int32{ourID}, ourID)
			other := req.TopicStates[0]
			other.Topic, other.TopicID = "u", TopicID{0xcd}
			req.TopicStates = append(req.TopicStates, other)
			return req
		}
		b := newTestBroker(t)
		b.know(ourID)
		takeRoles(t, b.Manager, both(1))
		fs := b.fs
		b.stop()

		b = newTestBrokerOn(t, fs, []string{testDir})
		b.know(ourID)
		b.Start()
		saved := -1
		b.onConfig = func(topic string) {
			if topic != "u" || saved >= 0 {
				return
			}
			time.Sleep(2 * b.opts.CheckpointInterval) // virtual time: ZooKeeper is slow
			offsets, err := b.logs.ReadHighWatermarks(testDir)
			if err != nil {
				t.Error(err)
			}
			saved = len(offsets)
		}
		takeRoles(t, b.Manager, both(2))
		if saved != 2 {
			t.Errorf("%d high watermarks in the checkpoint with one partition hosted, want both", saved)
		}
	})
}

// Too many open files do not mean a broken disk. A partition whose log could not be created gets an
// error and is led with the next request.
func TestAPartitionThatLackedAFileDescriptorIsLedInTheNextEpoch(t *testing.T) {
	scarce := false
	fs := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if scarce && (op.Kind == vfs.OpOpen || op.Kind == vfs.OpCreate) && strings.Contains(op.Name, testTopic+"-0") {
			return syscall.EMFILE
		}
		return nil
	})
	b := newTestBrokerOn(t, fs, []string{testDir})
	b.know(ourID, 2)
	scarce = true
	if code := b.control(roleOf(0, ourID, 1, []int32{ourID, 2}, ourID)); code != protocol.KafkaStorageError {
		t.Errorf("answered %s, want KAFKA_STORAGE_ERROR", code.Name())
	}
	scarce = false
	if code := b.control(roleOf(0, ourID, 2, []int32{ourID, 2}, ourID)); code != protocol.None {
		t.Errorf("answered %s in the next epoch", code.Name())
	}
	if s := b.partition().State(); !s.Leading {
		t.Errorf("the partition is not led: %+v", s)
	}
}
