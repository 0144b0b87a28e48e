package group

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

func testOptions() Options {
	return Options{Partitions: 1, Rules: Rules{InitialDelay: 0, MaxSize: 1000}, MinSessionMs: 6000, MaxSessionMs: 1800000, MaxMetadata: 4096,
		LoadBuffer: 5 << 20, Retention: 7 * 24 * time.Hour, RetentionCheck: 10 * time.Minute, CommitTimeout: 5 * time.Second, CommitAcks: -1,
		IBP: mustIBP("3.9"), ParallelLoads: 2}
}

func mustIBP(text string) settings.IBP {
	ibp, err := settings.ParseIBP(text)
	if err != nil {
		panic(err)
	}
	return ibp
}

// leading starts a coordinator that leads partition 0 and waits until the partition is loaded. It
// logs to the buffer.
func leading(t *testing.T, topic *topictest.Topic, o Options) (*Coordinator, *bytes.Buffer) {
	t.Helper()
	var lines bytes.Buffer
	log := kafkalog.Discard()
	log.SetOutput(&syncWriter{w: &lines})
	log.SetLevel(logrus.InfoLevel)
	c := NewCoordinator(Config{Options: o, Topic: topic, Logger: log})
	c.Start()
	c.BecameLeader(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 0)
	awaitLoaded(c)
	return c, &lines
}

type syncWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

func awaitLoaded(c *Coordinator) { awaitLoadedPartition(c, 0) }

func awaitLoadedPartition(c *Coordinator, partition int32) { c.rt.AwaitLoaded(partition) }

// readLog reads a log with a buffer of the size.
func readLog(l *loader, log coordinator.Log, size int) error {
	return coordinator.Read(log, size, func() bool { return true }, func(int) {}, l.Apply)
}

func joinAs(client string) JoinRequest {
	return JoinRequest{ClientID: client, ClientHost: "/127.0.0.1", RebalanceTimeoutMs: 60000, SessionTimeoutMs: 10000, ProtocolType: "consumer",
		Protocols: []Protocol{{"range", subscription("t")}}}
}

// member joins and syncs as the only member and returns its id.
func member(t *testing.T, c *Coordinator, group string) string {
	t.Helper()
	joined := c.Join(group, joinAs("a"), nil)
	if joined.Err != protocol.None {
		t.Fatal(joined.Err.Name())
	}
	synced := c.Sync(group, SyncRequest{MemberID: joined.MemberID, Generation: joined.Generation, Assignments: map[string][]byte{joined.MemberID: []byte("A")}}, nil)
	if synced.Err != protocol.None || string(synced.Assignment) != "A" {
		t.Fatalf("%s %q", synced.Err.Name(), synced.Assignment)
	}
	return joined.MemberID
}

func commitOf(topic string, partition int32, offset record.Offset) Commit {
	return Commit{TopicPartition{Topic: topic, Partition: partition}, CommittedOffset{Offset: offset, LeaderEpoch: -1, CommittedMs: time.Now().UnixMilli(), ExpiresMs: -1}}
}

func fetched(t *testing.T, c *Coordinator, group string) string {
	t.Helper()
	list, code := c.Fetch(group, nil, false)
	var texts []string
	for _, f := range list {
		texts = append(texts, fmt.Sprintf("%s=%d", name(f.Partition), f.Offset.Offset))
	}
	slices.Sort(texts)
	if code != protocol.None {
		texts = append(texts, code.Name())
	}
	return strings.Join(texts, " ")
}

func TestStoredGroupsAndOffsetsAreLoadedAfterTheNextElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		c, _ := leading(t, topic, testOptions())
		id := member(t, c, "g")
		if codes := c.Commit("g", CommitRequest{MemberID: id, Generation: 1, Commits: []Commit{commitOf("t", 0, 5), commitOf("t", 1, 6)}}); codes[0] != 0 || codes[1] != 0 {
			t.Fatal(codes)
		}
		c.Commit("simple", CommitRequest{Generation: -1, Commits: []Commit{commitOf("u", 0, 7)}})
		c.Commit("deleted", CommitRequest{Generation: -1, Commits: []Commit{commitOf("u", 0, 7)}})
		if code := c.Delete("deleted"); code != protocol.None {
			t.Error(code.Name())
		}
		partition := TopicPartition{Topic: metadata.GroupOffsetsTopic}
		c.Resigned(partition, 1)
		if got := fetched(t, c, "g"); got != "NOT_COORDINATOR" {
			t.Errorf("while another broker leads: %s", got)
		}
		c.BecameLeader(partition, 2)
		awaitLoaded(c)
		if got := fetched(t, c, "g"); got != "t-0=5 t-1=6" {
			t.Errorf("offsets of g: %s", got)
		}
		if got := fetched(t, c, "simple"); got != "u-0=7" {
			t.Errorf("offsets of simple: %s", got)
		}
		if code := c.Heartbeat("g", id, nil, 1); code != protocol.None {
			t.Errorf("heartbeat: %s", code.Name())
		}
		list, _ := c.List(nil, nil)
		if len(list) != 2 {
			t.Errorf("groups: %v", list)
		}
		if got := c.Sync("g", SyncRequest{MemberID: id, Generation: 1}, nil); string(got.Assignment) != "A" {
			t.Errorf("assignment %q, %s", got.Assignment, got.Err.Name())
		}
		c.Stop()
	})
}

func TestParkedRequestsAreSentToTheNextCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions()
		o.Rules.InitialDelay = time.Hour
		c, _ := leading(t, topictest.New(), o)
		answer := make(chan JoinResult, 1)
		go func() { answer <- c.Join("g", joinAs("a"), nil) }()
		synctest.Wait()
		c.Resigned(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 1)
		if r := <-answer; r.Err != protocol.NotCoordinator {
			t.Error(r.Err.Name())
		}
		c.Stop()
	})
}

func TestAnOldEpochChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := leading(t, topictest.New(), testOptions())
		partition := TopicPartition{Topic: metadata.GroupOffsetsTopic}
		c.Resigned(partition, 5)
		c.BecameLeader(partition, 4)
		awaitLoaded(c)
		if got := fetched(t, c, "g"); got != "NOT_COORDINATOR" {
			t.Errorf("elected in an old epoch: %s", got)
		}
		c.BecameLeader(partition, 6)
		awaitLoaded(c)
		c.Resigned(partition, 5)
		if got := fetched(t, c, "g"); got != "" {
			t.Errorf("resigned in an old epoch: %s", got)
		}
		c.Stop()
	})
}

func TestResponsesWhileGroupsAreLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		c, _ := leading(t, topic, testOptions())
		id := member(t, c, "g")
		partition := TopicPartition{Topic: metadata.GroupOffsetsTopic}
		c.Resigned(partition, 1)
		topic.Reading = make(chan struct{})
		c.BecameLeader(partition, 2)
		synctest.Wait()
		if got := fetched(t, c, "g"); got != "COORDINATOR_LOAD_IN_PROGRESS" {
			t.Error(got)
		}
		if code := c.Heartbeat("g", id, nil, 1); code != protocol.None {
			t.Errorf("heartbeat: %s", code.Name())
		}
		if r := c.Sync("g", SyncRequest{MemberID: id, Generation: 1}, nil); r.Err != protocol.RebalanceInProgress {
			t.Errorf("sync: %s", r.Err.Name())
		}
		if _, code := c.List(nil, nil); code != protocol.CoordinatorLoadInProgress {
			t.Errorf("list: %s", code.Name())
		}
		// The leadership is lost while the log is being read: what was read is dropped.
		c.Resigned(partition, 3)
		close(topic.Reading)
		synctest.Wait()
		if got := fetched(t, c, "g"); got != "NOT_COORDINATOR" {
			t.Error(got)
		}
		c.Stop()
	})
}

func TestNoLockIsHeldWhileWaitingForReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		c, _ := leading(t, topic, testOptions())
		id := member(t, c, "g")
		topic.Lock()
		topic.Hold = make(chan struct{})
		topic.Unlock()
		answer := make(chan []protocol.ErrorCode, 1)
		commit := func() {
			answer <- c.Commit("g", CommitRequest{MemberID: id, Generation: 1, Commits: []Commit{commitOf("t", 0, 5)}})
		}
		go commit()
		synctest.Wait()
		if code := c.Heartbeat("g", id, nil, 1); code != protocol.None {
			t.Errorf("heartbeat: %s", code.Name())
		}
		if list, _ := c.Fetch("g", []TopicPartition{{Topic: "t"}}, true); list[0].Err != protocol.UnstableOffsetCommit {
			t.Errorf("a pending commit is %s", list[0].Err.Name())
		}
		close(topic.Hold)
		if codes := <-answer; codes[0] != protocol.None {
			t.Error(codes[0].Name())
		}
		if got := fetched(t, c, "g"); got != "t-0=5" {
			t.Error(got)
		}
		topic.Lock()
		topic.Hold = make(chan struct{})
		topic.Unlock()
		go commit()
		if codes := <-answer; codes[0] != protocol.RequestTimedOut {
			t.Errorf("after 5 s: %s", codes[0].Name())
		}
		if list, _ := c.Fetch("g", []TopicPartition{{Topic: "t"}}, true); list[0].Err != protocol.None {
			t.Errorf("a failed commit is %s", list[0].Err.Name())
		}
		c.Stop()
	})
}

func TestFailedWritesAreAnsweredAsKafkaDoes(t *testing.T) {
	for err, want := range map[protocol.ErrorCode][2]protocol.ErrorCode{
		protocol.UnknownTopicOrPartition: {protocol.CoordinatorNotAvailable, protocol.CoordinatorNotAvailable},
		protocol.NotEnoughReplicas:       {protocol.CoordinatorNotAvailable, protocol.CoordinatorNotAvailable},
		protocol.NotLeaderOrFollower:     {protocol.NotCoordinator, protocol.NotCoordinator},
		protocol.KafkaStorageError:       {protocol.NotCoordinator, protocol.NotCoordinator},
		protocol.RequestTimedOut:         {protocol.RebalanceInProgress, protocol.RequestTimedOut},
		protocol.MessageTooLarge:         {protocol.UnknownServerError, protocol.InvalidCommitOffsetSize},
	} {
		t.Run(err.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				topic := topictest.New()
				c, _ := leading(t, topic, testOptions())
				topic.AppendErr = err
				codes := c.Commit("simple", CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", 0, 5)}})
				if codes[0] != want[1] {
					t.Errorf("a commit: %s, want %s", codes[0].Name(), want[1].Name())
				}
				joined := c.Join("g", joinAs("a"), nil)
				synced := c.Sync("g", SyncRequest{MemberID: joined.MemberID, Generation: joined.Generation}, nil)
				if synced.Err != want[0] {
					t.Errorf("a sync: %s, want %s", synced.Err.Name(), want[0].Name())
				}
				c.Stop()
			})
		})
	}
}

func TestTimersRemoveSilentMembersAndExpireOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		o := testOptions()
		o.Retention = time.Hour
		c, lines := leading(t, topic, o)
		id := member(t, c, "g")
		c.Commit("g", CommitRequest{MemberID: id, Generation: 1, Commits: []Commit{commitOf("t", 0, 5)}})
		time.Sleep(9 * time.Second)
		if code := c.Heartbeat("g", id, nil, 1); code != protocol.None {
			t.Fatal(code.Name())
		}
		time.Sleep(9 * time.Second)
		if d, _ := c.Describe("g"); d.State != "Stable" {
			t.Errorf("before the session's end: %s", d.State)
		}
		time.Sleep(2 * time.Second)
		if d, _ := c.Describe("g"); d.State != "Empty" {
			t.Errorf("after the session's end: %s", d.State)
		}
		time.Sleep(2 * time.Hour)
		if list, _ := c.List(nil, nil); len(list) != 0 {
			t.Errorf("after the retention: %v", list)
		}
		c.Resigned(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 1)
		c.BecameLeader(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 2)
		awaitLoaded(c)
		if list, _ := c.List(nil, nil); len(list) != 0 {
			t.Errorf("after loading the tombstones: %v", list)
		}
		c.Stop()
		for _, line := range []string{"has failed, removing it from the group", "Stabilized group g generation 1 (__consumer_offsets-0) with 1 members",
			"Removed 1 expired offsets", "Elected as the group coordinator for partition 0 in epoch 0"} {
			if !strings.Contains(lines.String(), line) {
				t.Errorf("no line %q in\n%s", line, lines)
			}
		}
	})
}

func TestOffsetsOfDeletedTopicsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := leading(t, topictest.New(), testOptions())
		c.Commit("g", CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", 0, 5), commitOf("u", 0, 5)}})
		c.PartitionsDeleted([]TopicPartition{{Topic: "t", Partition: 0}})
		if got := fetched(t, c, "g"); got != "u-0=5" {
			t.Error(got)
		}
		c.Stop()
	})
}

// endTxn appends the marker that ends a producer's transaction to partition 0.
func endTxn(t *testing.T, topic *topictest.Topic, producer int64, kind record.ControlType) {
	t.Helper()
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch = producer, 0
	marker, err := record.EndTxnMarker(o, kind, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topic.Append(0, marker, nil, -1); err != nil {
		t.Fatal(err)
	}
}

func TestTransactionalOffsetsAreValidOnceTheTransactionIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		c, _ := leading(t, topic, testOptions())
		txn := func(producer int64, offset record.Offset) {
			t.Helper()
			if codes := c.Commit("g", CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", 0, offset)}, Txn: &Txn{ProducerID: producer}}); codes[0] != protocol.None {
				t.Fatal(codes[0].Name())
			}
		}
		txn(1, 5)
		txn(2, 6)
		if got := fetched(t, c, "g"); got != "" {
			t.Errorf("before the end: %s", got)
		}
		c.TxnEnded(1, 0, true)
		c.TxnEnded(2, 0, false)
		if got := fetched(t, c, "g"); got != "t-0=5" {
			t.Errorf("after the end: %s", got)
		}
		// The same from the log: producer 3 commits, 4 aborts, the transaction of 5 stays open.
		txn(3, 7)
		txn(4, 8)
		txn(5, 9)
		for producer, kind := range map[int64]record.ControlType{3: record.Commit, 4: record.Abort} {
			endTxn(t, topic, producer, kind)
		}
		c.Resigned(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 1)
		c.BecameLeader(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 2)
		awaitLoaded(c)
		// The log has no markers for 1 and 2, so their transactions are still open.
		if got := fetched(t, c, "g"); got != "t-0=7" {
			t.Errorf("after loading: %s", got)
		}
		c.TxnEnded(5, 0, true)
		if got := fetched(t, c, "g"); got != "t-0=9" {
			t.Errorf("after the end of the open transaction: %s", got)
		}
		c.Stop()
	})
}

// If the transaction's coordinator refuses the verification, the producer gets the code and nothing
// is appended.
func TestUnverifiedTransactionalCommitsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		c, _ := leading(t, topic, testOptions())
		for refusal, want := range map[protocol.ErrorCode]protocol.ErrorCode{
			protocol.TransactionAbortable:     protocol.TransactionAbortable,
			protocol.InvalidTxnState:          protocol.InvalidTxnState,
			protocol.InvalidProducerIDMapping: protocol.InvalidProducerIDMapping,
			protocol.InvalidProducerEpoch:     protocol.InvalidProducerEpoch,
			protocol.NetworkException:         protocol.CoordinatorLoadInProgress,
			protocol.NotLeaderOrFollower:      protocol.NotCoordinator,
		} {
			topic.Refusal = refusal
			if codes := c.Commit("g", CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", 0, 1)}, Txn: &Txn{ProducerID: 1}}); codes[0] != want {
				t.Errorf("%s became %s, want %s", refusal.Name(), codes[0].Name(), want.Name())
			}
		}
		if end := topic.Ends[0]; end != 0 {
			t.Errorf("%d records were appended", end)
		}
		c.Stop()
	})
}

// A commit of an open transaction does not change the valid offset, makes the partition unstable
// (KIP-447) and keeps the group alive.
func TestOffsetsOfOpenTransactionsArePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := leading(t, topictest.New(), testOptions())
		commit := func(offset record.Offset, txn *Txn) {
			t.Helper()
			if codes := c.Commit("g", CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", 0, offset)}, Txn: txn}); codes[0] != protocol.None {
				t.Fatal(codes[0].Name())
			}
		}
		stable := func() protocol.ErrorCode {
			list, _ := c.Fetch("g", []TopicPartition{{Topic: "t"}}, true)
			return list[0].Err
		}
		commit(5, nil)
		commit(6, &Txn{ProducerID: 1})
		if got := fetched(t, c, "g"); got != "t-0=5" || stable() != protocol.UnstableOffsetCommit {
			t.Errorf("while open: %s, stable %s", got, stable().Name())
		}
		// The time is not that of a regular Clean, which would race with the following.
		time.Sleep(testOptions().Retention + testOptions().RetentionCheck*3/2)
		synctest.Wait()
		c.Clean()
		if list, _ := c.List(nil, nil); len(list) != 1 || fetched(t, c, "g") != "" {
			t.Errorf("after the retention: groups %v, offsets %s", list, fetched(t, c, "g"))
		}
		c.TxnEnded(1, 0, true)
		if got := fetched(t, c, "g"); got != "t-0=6" || stable() != protocol.None {
			t.Errorf("after the end: %s, stable %s", got, stable().Name())
		}
		commit(7, &Txn{ProducerID: 1})
		if code := c.Delete("g"); code != protocol.None {
			t.Errorf("delete: %s", code.Name())
		}
		c.TxnEnded(1, 0, true)
		if got := fetched(t, c, "g"); got != "" {
			t.Errorf("a deleted group has %s", got)
		}
		c.Stop()
	})
}

// A failed commit, and a load during which the leadership is lost, leave no group registered for
// the end of a transaction that may never end.
func TestNoGroupIsKeptForFailedCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		c, _ := leading(t, topic, testOptions())
		defer c.Stop()
		commit := func(producer int64, partition int32) protocol.ErrorCode {
			return c.Commit("g", CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", partition, 1)}, Txn: &Txn{ProducerID: producer}})[0]
		}
		if code := commit(1, 0); code != protocol.None {
			t.Fatal(code.Name())
		}
		topic.AppendErr = protocol.NotEnoughReplicas
		for _, producer := range []int64{1, 2} {
			if code := commit(producer, 1); code != protocol.CoordinatorNotAvailable {
				t.Fatal(code.Name())
			}
		}
		topic.AppendErr = nil
		if n := len(c.txns.groups); n != 1 || len(c.txns.groups[1]) != 1 {
			t.Errorf("groups are kept for %d producers, want only for the one whose commit did not fail", n)
		}
		partition := TopicPartition{Topic: metadata.GroupOffsetsTopic}
		c.Resigned(partition, 1)
		topic.Reading = make(chan struct{})
		c.BecameLeader(partition, 2)
		synctest.Wait()
		c.Resigned(partition, 3)
		close(topic.Reading)
		synctest.Wait()
		if n := len(c.txns.groups); n != 0 {
			t.Errorf("after the loss of the leadership groups are kept for %d producers", n)
		}
		c.BecameLeader(partition, 4)
		awaitLoaded(c)
		c.TxnEnded(1, 0, true)
		if got := fetched(t, c, "g"); got != "t-0=1" {
			t.Errorf("after loading and the end of the transaction: %s", got)
		}
	})
}

// An offsets topic that is deleted and created again starts with leader epoch 0.
func TestARecreatedOffsetsTopicIsCoordinated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := leading(t, topictest.New(), testOptions())
		defer c.Stop()
		partition := TopicPartition{Topic: metadata.GroupOffsetsTopic}
		c.Resigned(partition, 7)
		c.BecameLeader(partition, 8)
		awaitLoaded(c)
		c.Resigned(partition, -1) // deleted
		c.BecameLeader(partition, 0)
		awaitLoaded(c)
		if got := fetched(t, c, "g"); got != "" {
			t.Errorf("under the new topic: %s", got)
		}
	})
}

// A disk that stalls while one group's records are appended blocks that group only. It does not
// block lists, the deletion of topics, the deadlines of other groups or the end of the leadership
// of other partitions.
func TestASlowAppendBlocksItsGroupOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		o := testOptions()
		o.Partitions = 2
		c, _ := leading(t, topic, o)
		c.BecameLeader(TopicPartition{Topic: metadata.GroupOffsetsTopic, Partition: 1}, 0)
		synctest.Wait()
		slow, other := "a", "b"
		if c.PartitionFor(slow) == c.PartitionFor(other) {
			t.Fatal("both groups are in one partition")
		}
		for _, g := range []string{slow, other} {
			c.Commit(g, CommitRequest{Generation: -1, Commits: []Commit{commitOf("deleted", 0, 5), commitOf("kept", 0, 5)}})
		}
		member(t, c, other)
		stall := make(chan struct{})
		topic.Lock()
		topic.Stalled = map[int32]chan struct{}{c.PartitionFor(slow): stall}
		topic.Unlock()
		go c.Commit(slow, CommitRequest{Generation: -1, Commits: []Commit{commitOf("deleted", 1, 6), commitOf("kept", 1, 6)}})
		synctest.Wait()
		if list, code := c.List(nil, nil); len(list) != 2 || code != protocol.None {
			t.Errorf("list: %v, %s", list, code.Name())
		}
		if n := c.Stats().Offsets; n != 4 {
			t.Errorf("%d offsets", n)
		}
		time.Sleep(11 * time.Second) // of the fake clock
		synctest.Wait()
		if d, _ := c.Describe(other); d.State != "Empty" {
			t.Errorf("after the session's end the other group is %s", d.State)
		}
		c.PartitionsDeleted([]TopicPartition{{Topic: "deleted", Partition: 0}, {Topic: "deleted", Partition: 1}})
		if got := fetched(t, c, other); got != "kept-0=5" {
			t.Errorf("offsets of the other group: %s", got)
		}
		led := TopicPartition{Topic: metadata.GroupOffsetsTopic, Partition: c.PartitionFor(other)}
		for epoch := metadata.LeaderEpoch(1); epoch < 4; epoch += 2 {
			c.Resigned(led, epoch)
			if got := fetched(t, c, other); got != "NOT_COORDINATOR" {
				t.Errorf("after the end of the other partition's leadership: %s", got)
			}
			c.BecameLeader(led, epoch+1)
			awaitLoadedPartition(c, led.Partition)
			if got := fetched(t, c, other); got != "kept-0=5" {
				t.Errorf("offsets of the other group after its partition was loaded: %s", got)
			}
		}
		close(stall)
		synctest.Wait()
		if got := fetched(t, c, slow); got != "kept-0=5 kept-1=6" {
			t.Errorf("offsets of the group with the slow disk: %s", got)
		}
		// Offsets committed after the deletion belong to a new topic.
		c.Commit(slow, CommitRequest{Generation: -1, Commits: []Commit{commitOf("deleted", 0, 1)}})
		if got := fetched(t, c, slow); got != "deleted-0=1 kept-0=5 kept-1=6" {
			t.Errorf("offsets after the topic was created again: %s", got)
		}
		c.Stop()
	})
}

// A deadline is met even if a later one of the same group was set before.
func TestAnEarlierDeadlineIsMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions()
		o.Rules.InitialDelay = 3 * time.Second
		c, _ := leading(t, topictest.New(), o)
		defer c.Stop()
		pending := joinAs("p")
		pending.IDFirst, pending.SessionTimeoutMs = true, 45000
		if r := c.Join("g", pending, nil); r.Err != protocol.MemberIDRequired {
			t.Fatal(r.Err.Name())
		}
		began := time.Now()
		if r := c.Join("g", joinAs("a"), nil); r.Err != protocol.None || time.Since(began) != 3*time.Second {
			t.Errorf("%s after %v, want an answer after 3 s", r.Err.Name(), time.Since(began))
		}
	})
}

func TestSessionTimeoutsHaveLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := leading(t, topictest.New(), testOptions())
		defer c.Stop()
		for ms, want := range map[int32]protocol.ErrorCode{5999: protocol.InvalidSessionTimeout, 6000: protocol.None, 1800000: protocol.None, 1800001: protocol.InvalidSessionTimeout} {
			req := joinAs("a")
			req.SessionTimeoutMs = ms
			if r := c.Join(fmt.Sprint("g", ms), req, nil); r.Err != want {
				t.Errorf("%d ms: %s, want %s", ms, r.Err.Name(), want.Name())
			}
		}
	})
}

// The position of a transactional commit is that of its record, not of the transaction's marker. A
// plain commit between the two is newer.
func TestAPlainCommitAfterATransactionalOneIsValidAfterLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := topictest.New()
		c, _ := leading(t, topic, testOptions())
		defer c.Stop()
		commits := []CommitRequest{
			{Generation: -1, Commits: []Commit{commitOf("t", 0, 5)}, Txn: &Txn{ProducerID: 1}},
			{Generation: -1, Commits: []Commit{commitOf("t", 0, 9)}},
		}
		for _, commit := range commits {
			if codes := c.Commit("g", commit); codes[0] != protocol.None {
				t.Fatal(codes[0].Name())
			}
		}
		endTxn(t, topic, 1, record.Commit)
		c.Resigned(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 1)
		c.BecameLeader(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 2)
		awaitLoaded(c)
		if got := fetched(t, c, "g"); got != "t-0=9" {
			t.Errorf("after loading: %s", got)
		}
	})
}

func TestNoGroupIsCreatedInAPartitionThatIsNotOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := leading(t, topictest.New(), testOptions())
		c.Resigned(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 1)
		if e := c.findOrCreate("g"); e != nil {
			t.Error("a group was created in a partition that another broker leads")
		}
		c.Stop()
		if got := fetched(t, c, "g"); got != "COORDINATOR_NOT_AVAILABLE" {
			t.Errorf("after the stop: %s", got)
		}
	})
}

func TestOnlyTheCoordinatorDeletesAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := leading(t, topictest.New(), testOptions())
		defer c.Stop()
		c.Resigned(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 1)
		if code := c.Delete("g"); code != protocol.NotCoordinator {
			t.Errorf("delete: %s", code.Name())
		}
	})
}

// With offsets.commit.required.acks=1 a commit does not wait for other replicas.
func TestCommitsWaitForTheConfiguredAcks(t *testing.T) {
	for acks, want := range map[int16]protocol.ErrorCode{-1: protocol.RequestTimedOut, 1: protocol.None} {
		synctest.Test(t, func(t *testing.T) {
			topic := topictest.New()
			o := testOptions()
			o.CommitAcks = acks
			c, _ := leading(t, topic, o)
			defer c.Stop()
			topic.Hold = make(chan struct{})
			if code := c.Commit("g", CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", 0, 1)}})[0]; code != want {
				t.Errorf("acks %d: %s, want %s", acks, code.Name(), want.Name())
			}
		})
	}
}

// The length of metadata is counted in UTF-16 units, as in Kafka.
func TestMetadataMayBeAsLongAsConfigured(t *testing.T) {
	o := testOptions()
	o.MaxMetadata = 4
	c := NewCoordinator(Config{Options: o, Topic: topictest.New(), Logger: kafkalog.Discard()})
	for metadata, long := range map[string]bool{"": false, "abcd": false, "abcde": true, "\u00e4\u00e4\u00e4\u00e4": false, "\u00e4\u00e4\u00e4\u00e4\u00e4": true, "\U0001f600\U0001f600": false, "\U0001f600\U0001f600x": true} {
		if got := c.TooLong(metadata); got != long {
			t.Errorf("%q is too long: %v", metadata, got)
		}
	}
}

// Only the partition with the too long metadata is refused.
func TestTooLongMetadataIsNotCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions()
		o.MaxMetadata = 4
		c, _ := leading(t, topictest.New(), o)
		defer c.Stop()
		long := commitOf("t", 0, 1)
		long.Offset.Metadata = "abcde"
		codes := c.Commit("g", CommitRequest{Generation: -1, Commits: []Commit{long, commitOf("t", 1, 2)}})
		if want := []protocol.ErrorCode{protocol.OffsetMetadataTooLarge, protocol.None}; !slices.Equal(codes, want) {
			t.Errorf("codes %v, want %v", codes, want)
		}
		if got := fetched(t, c, "g"); got != "t-1=2" {
			t.Errorf("committed: %s", got)
		}
	})
}

// The offsets topic that a real broker wrote loads to the same groups with reads of any size.
func TestTheGoldenOffsetsTopicLoads(t *testing.T) {
	set, err := os.ReadFile(golden.Path(t, "logdir-3.9.1/clean/__consumer_offsets-0/00000000000000000000.log"))
	if err != nil {
		t.Fatal(err)
	}
	var want string
	for _, size := range []int{1, 100, 500, 5 << 20} {
		topic := topictest.New()
		topic.Logs[0] = set
		for rest := set; len(rest) > 0; {
			b, next, err := record.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			topic.Ends[0], rest = b.NextOffset(), next
		}
		l := newLoader(0, Rules{MaxSize: 10}, t.Logf, t.Errorf)
		if err := readLog(l, topic.Log(0), size); err != nil {
			t.Fatal(err)
		}
		var texts []string
		for id, g := range l.finish(time.Now()) {
			texts = append(texts, fmt.Sprintf("%s %s generation=%d members=%d type=%s", id, g.state, g.generation, g.members.size, g.protocolType))
			for p, o := range g.offsets.committed.all() {
				texts = append(texts, fmt.Sprintf("%s %s=%d %q epoch=%d", id, name(p), o.Offset, o.Metadata, o.LeaderEpoch))
			}
		}
		slices.Sort(texts)
		got := strings.Join(texts, "\n")
		if want == "" {
			want = got
			t.Log(got)
		}
		if got != want {
			t.Errorf("with reads of %d bytes:\n%s\nwith other sizes:\n%s", size, got, want)
		}
	}
	if want == "" {
		t.Error("no groups were loaded")
	}
}

func TestDamagedRecordsAreSkippedAndNamed(t *testing.T) {
	topic := topictest.New()
	good := func(partition int32) keyValue {
		return keyValue{appendOffsetKey(nil, "g", TopicPartition{Topic: "t", Partition: partition}), formats{3, 3}.appendOffset(nil, &CommittedOffset{Offset: 5, ExpiresMs: -1})}
	}
	later := kmsg.NewOffsetCommitValue()
	later.Version = valueVersionMax + 1
	laterValue := later.AppendTo(nil)
	if err := later.ReadFrom(laterValue); err != nil {
		t.Fatal("kmsg does not parse the value of a later version: ", err)
	}
	add := func(records ...keyValue) {
		b := record.NewBuilder(record.Defaults())
		for _, r := range records {
			if err := b.Append(1, r.key, r.value); err != nil {
				t.Fatal(err)
			}
		}
		batch, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := topic.Append(0, batch, nil, -1); err != nil {
			t.Fatal(err)
		}
	}
	add(good(0), keyValue{[]byte{0, 1, 0}, nil}, good(1))                             // a truncated key
	add(keyValue{nil, []byte("x")})                                                   // no key
	add(keyValue{good(2).key, laterValue})                                            // a value of an unknown version
	add(keyValue{good(2).key, []byte{0, 3, 0, 0}})                                    // a truncated value
	add(keyValue{appendGroupKey(nil, "g"), []byte{0, 3, 0, 1}})                       // a truncated group
	add(keyValue{[]byte{0, 3, 0, 1, 'x'}, []byte("of the new coordinator")}, good(3)) // a warning, no error
	var errs, warnings []string
	l := newLoader(0, Rules{MaxSize: 10}, func(f string, a ...any) { warnings = append(warnings, fmt.Sprintf(f, a...)) },
		func(f string, a ...any) { errs = append(errs, fmt.Sprintf(f, a...)) })
	if err := readLog(l, topic.Log(0), 1<<20); err != nil {
		t.Fatal(err)
	}
	g := l.finish(time.Now())["g"]
	if g == nil || g.offsets.committed.size() != 3 {
		t.Errorf("kept %+v, want three offsets", g)
	}
	for i, offset := range []int{1, 3, 4, 5, 6} {
		if i >= len(errs) || !strings.Contains(errs[i], fmt.Sprintf("Skipping the record at offset %d of __consumer_offsets-0:", offset)) {
			t.Errorf("no error names offset %d: %q", offset, errs)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "Unknown message key with version 3") {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestFormatsFollowTheProtocolVersion(t *testing.T) {
	for ibp, want := range map[string]formats{"0.10.0": {1, 0}, "2.0": {1, 1}, "2.1-IV0": {2, 2}, "2.2": {3, 2}, "2.3": {3, 3}, "3.9": {3, 3}} {
		if got := formatsOf(mustIBP(ibp)); got != want {
			t.Errorf("%s: %v, want %v", ibp, got, want)
		}
	}
}

func TestGroupsReadWhatTheyWriteInEveryFormat(t *testing.T) {
	instance := "i"
	g := New("g", Rules{MaxSize: 5}, time.UnixMilli(5))
	slot := make(chan JoinResult, 1)
	req := joinAs("a")
	req.InstanceID, req.NewMemberID = &instance, "a-1"
	g.Join(time.UnixMilli(6), req, slot)
	for version := int16(0); version <= 4; version++ {
		f := formats{offset: 3, group: version}
		s := g.store(assignment)
		s.assignments[0] = []byte("A")
		read, err := parseGroup("g", Rules{MaxSize: 5}, f.appendGroup(nil, g, s))
		if err != nil {
			t.Fatal(err)
		}
		m := read.members.first
		if read.generation != 1 || read.members.leader != "a-1" || *read.protocol != "range" || m.SessionTimeoutMs != 10000 || string(m.assignment) != "A" {
			t.Errorf("v%d: %+v", version, read)
		}
		rebalanceMs := int32(60000)
		if version == 0 { // members have only one timeout
			rebalanceMs = 10000
		}
		if version >= 3 != (m.InstanceID != nil) || version >= 2 != (read.stateSince == 6) || m.RebalanceTimeoutMs != rebalanceMs {
			t.Errorf("v%d: instance %v, since %d, rebalance %d", version, m.InstanceID, read.stateSince, m.RebalanceTimeoutMs)
		}
	}
}

// Many members join, sync and commit at the same time. Run it with -race.
func TestMembersInParallel(t *testing.T) {
	topic := topictest.New()
	o := testOptions()
	o.Rules.InitialDelay = 200 * time.Millisecond
	c, _ := leading(t, topic, o)
	defer c.Stop()
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	for i := range 40 {
		wg.Go(func() { errs <- participate(c, fmt.Sprint("g", i%2), fmt.Sprint("m", i)) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	for _, g := range []string{"g0", "g1"} {
		if d, _ := c.Describe(g); d.State != "Stable" || len(d.Members) != 20 {
			t.Errorf("%s: %s with %d members", g, d.State, len(d.Members))
		}
	}
}

// participate joins, syncs and commits until the group is stable with 20 members.
func participate(c *Coordinator, group, client string) error {
	req := joinAs(client)
	for range 100 {
		joined := c.Join(group, req, nil)
		if joined.Err != protocol.None {
			return errors.New(joined.Err.Name())
		}
		req.MemberID = joined.MemberID
		assignments := map[string][]byte{}
		for _, m := range joined.Members {
			assignments[m.ID] = []byte(m.ID)
		}
		synced := c.Sync(group, SyncRequest{MemberID: req.MemberID, Generation: joined.Generation, Assignments: assignments}, nil)
		if synced.Err == protocol.RebalanceInProgress || synced.Err == protocol.IllegalGeneration {
			continue
		}
		if synced.Err != protocol.None || string(synced.Assignment) != req.MemberID {
			return fmt.Errorf("%s: %s, assigned %q", req.MemberID, synced.Err.Name(), synced.Assignment)
		}
		code := c.Commit(group, CommitRequest{MemberID: req.MemberID, Generation: joined.Generation, Commits: []Commit{commitOf(client, 0, 1)}})[0]
		if d, _ := c.Describe(group); code == protocol.None && d.State == "Stable" && len(d.Members) == 20 {
			return nil
		}
	}
	return fmt.Errorf("%s: the group did not become stable", client)
}

func FuzzRecords(f *testing.F) {
	f.Add(appendOffsetKey(nil, "g", TopicPartition{Topic: "t"}), formats{3, 3}.appendOffset(nil, &CommittedOffset{Offset: 1, Metadata: "m", ExpiresMs: -1}))
	g := New("g", Rules{}, time.UnixMilli(1))
	f.Add(appendGroupKey(nil, "g"), formats{3, 3}.appendGroup(nil, g, g.store(emptyGroup)))
	f.Add([]byte{0, 2}, subscription("t,u"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		_, _ = parseKey(key)
		_, _ = parseOffset(value)
		if g, err := parseGroup("g", Rules{MaxSize: 1}, value); err == nil {
			g.Loaded(time.UnixMilli(1))
			g.describe()
		}
		_ = readSubscription(value, map[string]bool{})
	})
}
