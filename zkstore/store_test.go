package zkstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore/zkclient"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func background(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func openStore(t *testing.T, connect string, change ...func(*Config)) *Store {
	t.Helper()
	cfg := Config{Connect: connect, SessionTimeout: 6 * time.Second, CreateChroot: true, Logger: kafkalog.Discard()}
	if testing.Verbose() {
		cfg.Logger = kafkalog.New(os.Stderr)
	}
	for _, c := range change {
		c(&cfg)
	}
	s, err := Open(background(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// openThroughProxy opens a store that connects through a proxy, and one that connects directly to
// the same chroot.
func openThroughProxy(t *testing.T, change ...func(*Config)) (s, straight *Store, p *testkit.ZooKeeperProxy) {
	t.Helper()
	connect := testkit.ZooKeeper(t)
	server, chroot, _ := strings.Cut(connect, "/")
	p = testkit.NewZooKeeperProxy(t, server)
	straight = openStore(t, connect)
	s = openStore(t, p.Addr().String()+"/"+chroot, change...)
	return s, straight, p
}

func plaintext(id metadata.BrokerID) BrokerInfo {
	return BrokerInfo{ID: id, JMXPort: -1, Endpoints: []metadata.Endpoint{{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: 24092}}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// counter is an Observer that counts answered requests.
type counter struct{ requests atomic.Int64 }

func (c *counter) ZooKeeperEvent(string)          {}
func (c *counter) ZooKeeperRequest(time.Duration) { c.requests.Add(1) }

// answered returns the number of answered requests.
func (c *counter) answered() int { return int(c.requests.Load()) }

func TestAFreshBrokerCreatesTheSameNodesAsKafka(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	_, err := s.CreateOrGetClusterID(ctx)
	must(t, err)
	_, err = s.RegisterBroker(ctx, plaintext(0))
	must(t, err)
	_, err = s.Elect(ctx, 0)
	must(t, err)
	must(t, s.CreateFeature(ctx, FeatureNode{JSONVersion: 2, Enabled: true}))

	have, err := s.Dump(ctx, "/")
	must(t, err)
	var want []goldenNode
	for _, n := range readGolden(t, "znodes-3.9.1-fresh-default.txt") {
		if !strings.HasPrefix(n.path, "/zookeeper") {
			want = append(want, n)
		}
	}
	if len(have) != len(want) {
		t.Errorf("%d nodes, want %d", len(have), len(want))
	}
	for i := range min(len(have), len(want)) {
		h, w := have[i], want[i]
		if h.Path != w.path || h.Ephemeral != w.ephemeral {
			t.Fatalf("have %s (ephemeral %t), want %s (ephemeral %t)", h.Path, h.Ephemeral, w.path, w.ephemeral)
		}
		if h.Path == "/" {
			continue // in the golden run, the server itself created this node
		}
		if (h.Data == nil) != (w.data == nil) {
			t.Errorf("%s: null %t, want %t", h.Path, h.Data == nil, w.data == nil)
		}
		if have, want := maskVariable(h.Data), maskVariable(w.data); have != want {
			t.Errorf("%s:\nhave %s\nwant %s", h.Path, have, want)
		}
	}
}

var variable = regexp.MustCompile(`"timestamp":"[0-9]{13}"|"id":"[A-Za-z0-9_-]{22}"`)

// maskVariable replaces values that differ between runs.
func maskVariable(data []byte) string { return variable.ReplaceAllString(string(data), "*") }

func TestRegistrationReturnsTheBrokerEpochAndWritesVersionOne(t *testing.T) {
	ctx, connect := background(t), testkit.ZooKeeper(t)
	s := openStore(t, connect)
	must(t, s.CreateStartupPaths(ctx))
	epoch, err := s.RegisterBroker(ctx, plaintext(5))
	must(t, err)
	info, owner, err := s.BrokerNode(ctx, 5)
	must(t, err)
	if info.Epoch != epoch || epoch <= 0 || owner != s.SessionID() {
		t.Errorf("epoch %d, node %+v of session %x, want %x", epoch, info, owner, s.SessionID())
	}
	if again, err := s.RegisterBroker(ctx, plaintext(5)); err != nil || again != epoch {
		t.Errorf("registering again in the same session: %d, %v", again, err)
	}
	changed := plaintext(5)
	changed.Endpoints[0].Port = 1
	must(t, s.UpdateBroker(ctx, changed))
	brokers, err := s.Brokers(ctx)
	must(t, err)
	if b := brokers[5]; b.Epoch != epoch || b.Endpoints[0].Port != 1 {
		t.Errorf("after an update: %+v", b)
	}
	other := openStore(t, connect)
	if _, err := other.RegisterBroker(ctx, plaintext(5)); !errors.Is(err, ErrNodeExists) {
		t.Errorf("another session registers the same id: %v", err)
	}
}

func TestPitfallController04_ANodeOfAFormerSessionOfTheStoreIsReplaced(t *testing.T) {
	ctx, connect := background(t), testkit.ZooKeeper(t)
	former, s := openStore(t, connect), openStore(t, connect)
	must(t, s.CreateStartupPaths(ctx))
	before, err := former.RegisterBroker(ctx, plaintext(1))
	must(t, err)
	s.mu.Lock()
	s.registered = former.SessionID() // as if s had registered the broker in that session and lost it
	s.mu.Unlock()
	after, err := s.RegisterBroker(ctx, plaintext(1))
	if err != nil || after <= before {
		t.Errorf("epoch %d after %d, %v", after, before, err)
	}
}

func TestAwaitBrokerGoneReturnsWhenTheNodeIsGone(t *testing.T) {
	ctx, connect := background(t), testkit.ZooKeeper(t)
	s := openStore(t, connect)
	must(t, s.CreateStartupPaths(ctx))
	must(t, s.AwaitBrokerGone(ctx, 1))
	other := openStore(t, connect)
	_, err := other.RegisterBroker(ctx, plaintext(1))
	must(t, err)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := s.AwaitBrokerGone(short, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while registered: %v", err)
	}
	gone := make(chan error, 1)
	go func() { gone <- s.AwaitBrokerGone(ctx, 1) }()
	other.Close()
	must(t, <-gone)
}

func TestBrokerIDsAreGeneratedAboveTheReservedOnes(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	for want := metadata.BrokerID(1001); want < 1004; want++ { // the first call creates the missing path
		if id, err := s.GenerateBrokerID(ctx, 1000); err != nil || id != want {
			t.Errorf("id %d, %v, want %d", id, err, want)
		}
	}
	n, err := s.nodes.ReadUnwatched(ctx, brokerSequencePath)
	must(t, err)
	if n.Data == nil {
		t.Error("/brokers/seqid is null after use, want empty")
	}
}

func TestOnlyOneClusterIDWins(t *testing.T) {
	connect := testkit.ZooKeeper(t)
	ctx, first := background(t), openStore(t, connect)
	if _, err := first.ClusterID(ctx); !errors.Is(err, ErrNoNode) {
		t.Errorf("before any broker: %v", err)
	}
	var wg sync.WaitGroup
	ids := make([]string, 4)
	for i := range ids {
		wg.Go(func() { ids[i], _ = first.CreateOrGetClusterID(ctx) })
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || len(id) != 22 {
			t.Errorf("ids %q", ids)
		}
	}
}

func TestProducerIDBlocksAreNeverAllocatedTwice(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			b, err := s.AllocateProducerIDBlock(ctx, 1)
			if err != nil || b.End != b.Start+999 {
				t.Errorf("%+v, %v", b, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[b.Start] {
				t.Errorf("block %d was allocated twice", b.Start)
			}
			seen[b.Start] = true
		})
	}
	wg.Wait()
	if !seen[0] || !seen[7000] {
		t.Errorf("blocks %v", seen)
	}
}

func TestOnlyOneBrokerIsElected(t *testing.T) {
	ctx, connect := background(t), testkit.ZooKeeper(t)
	one, two := openStore(t, connect), openStore(t, connect)
	epoch, err := one.Elect(ctx, 1)
	must(t, err)
	if epoch.Epoch != 1 || epoch.Version != 1 {
		t.Errorf("first epoch %+v", epoch)
	}
	if _, err := two.Elect(ctx, 2); !errors.Is(err, ErrControllerMoved) {
		t.Errorf("second election: %v", err)
	}
	c, exists, err := two.Controller(ctx)
	if err != nil || !exists || c.ID != 1 || c.KRaftEpoch != -1 {
		t.Errorf("controller %+v, %t, %v", c, exists, err)
	}
	deleted := make(chan struct{}, 1)
	two.WatchNode(ControllerPath, NodeWatch{Deleted: func() { deleted <- struct{}{} }})
	_, _, err = two.Controller(ctx)
	must(t, err)
	must(t, one.DeleteController(ctx, epoch.Fence()))
	<-deleted
	next, err := two.Elect(ctx, 2)
	must(t, err)
	if next.Epoch != 2 {
		t.Errorf("next epoch %+v", next)
	}
	for name, err := range map[string]error{
		"delete /controller": one.DeleteController(ctx, epoch.Fence()),
		"delete a topic":     one.DeleteTopic(ctx, epoch.Fence(), "t"),
		"write a state":      third(one.SetPartitionStates(ctx, epoch.Fence(), map[TopicPartition]PartitionState{{Topic: "t"}: {}})),
		"write a topic":      second(one.SetTopic(ctx, epoch.Fence(), TopicNode{Name: "t"})),
	} {
		if !errors.Is(err, ErrControllerMoved) {
			t.Errorf("the former controller may %s: %v", name, err)
		}
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

func TestTopicsAreWrittenReadAndDeleted(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	epoch, err := s.Elect(ctx, 1)
	must(t, err)
	topic := TopicNode{Name: "orders", ID: TopicID{1, 2, 3}, Partitions: map[int32]Assignment{
		0: {Replicas: []metadata.BrokerID{3, 1, 2}, Adding: []metadata.BrokerID{3}, Removing: []metadata.BrokerID{1}},
		1: {Replicas: []metadata.BrokerID{2, 1}},
	}}
	must(t, s.CreateTopic(ctx, topic))
	if err := s.CreateTopic(ctx, topic); !errors.Is(err, ErrNodeExists) {
		t.Errorf("created twice: %v", err)
	}
	read, err := s.TopicNode(ctx, "orders")
	if err != nil || !reflect.DeepEqual(read, topic) {
		t.Errorf("read %+v, %v", read, err)
	}
	topic.Partitions[2] = Assignment{Replicas: []metadata.BrokerID{1}}
	if v, err := s.SetTopic(ctx, epoch.Fence(), topic); err != nil || v != 1 {
		t.Errorf("version %d, %v", v, err)
	}
	if v, err := s.SetTopic(ctx, NoFence(), topic); err != nil || v != 2 {
		t.Errorf("version %d, %v", v, err)
	}
	topics, err := s.TopicNodes(ctx, []string{"orders", "none"})
	if err != nil || len(topics) != 1 || len(topics["orders"].Partitions) != 3 || topics["orders"].Version != 2 {
		t.Errorf("read many: %+v, %v", topics, err)
	}
	states := map[TopicPartition]PartitionState{}
	for p := range int32(3) {
		states[TopicPartition{Topic: "orders", Partition: p}] = PartitionState{ControllerEpoch: 1, Leader: 1, ISR: []metadata.BrokerID{1}}
	}
	failed, err := s.CreatePartitionStates(ctx, epoch.Fence(), states)
	if err != nil || len(failed) != 0 {
		t.Fatalf("failed %v, %v", failed, err)
	}
	tp, state := TopicPartition{Topic: "orders", Partition: 1}, PartitionState{ControllerEpoch: 1, Leader: 1, ISR: []metadata.BrokerID{1, 2}}
	for _, again := range []string{"written", "written already"} { // the second time, the version is stale
		if v, err := s.SetLeadersState(ctx, tp, state); err != nil || v != 1 {
			t.Errorf("%s: version %d, %v", again, v, err)
		}
	}
	state.ISR = []metadata.BrokerID{1}
	if _, err := s.SetLeadersState(ctx, tp, state); !errors.Is(err, ErrBadVersion) {
		t.Errorf("a state with a stale version: %v", err)
	}
	must(t, s.SetConfig(ctx, EntityTopics, "orders", map[string]string{"retention.ms": "1"}))
	must(t, s.CreateTopicDeletion(ctx, "orders"))
	if marked, err := s.TopicMarkedForDeletion(ctx, "orders"); err != nil || !marked {
		t.Errorf("marked %t, %v", marked, err)
	}
	must(t, s.DeleteTopic(ctx, epoch.Fence(), "orders"))
	for _, path := range []string{TopicPath("orders"), EntityPath(EntityTopics, "orders"), topicDeletionPath("orders")} {
		if exists, err := s.nodes.Exists(ctx, path); exists || err != nil {
			t.Errorf("%s still exists: %t, %v", path, exists, err)
		}
	}
	must(t, s.DeleteTopic(ctx, epoch.Fence(), "orders"))
}

func manyStates(n int) map[TopicPartition]PartitionState {
	states := make(map[TopicPartition]PartitionState, n)
	for p := range int32(n) {
		states[TopicPartition{Topic: "big", Partition: p}] = PartitionState{ControllerEpoch: 1, Leader: 1, ISR: []metadata.BrokerID{1, 2, 3}}
	}
	return states
}

func TestRestoreTopicFailsIfTheTopicWasWrittenSinceItWasRead(t *testing.T) {
	s := openStore(t, testkit.ZooKeeper(t))
	ctx := background(t)
	must(t, s.CreateStartupPaths(ctx))
	must(t, s.CreateTopic(ctx, TopicNode{Name: "t", Partitions: map[int32]Assignment{0: {Replicas: []metadata.BrokerID{1}}}}))
	read, err := s.TopicNode(ctx, "t")
	must(t, err)
	more := TopicNode{Name: "t", Partitions: map[int32]Assignment{0: {Replicas: []metadata.BrokerID{1}}, 1: {Replicas: []metadata.BrokerID{2}}}}
	must(t, second(s.SetTopic(ctx, NoFence(), more)))
	read.ID = TopicID{1}
	if err := s.RestoreTopic(ctx, NoFence(), read); !errors.Is(err, ErrBadVersion) {
		t.Errorf("over a newer write: %v", err)
	}
	read, err = s.TopicNode(ctx, "t")
	must(t, err)
	read.ID = TopicID{1}
	must(t, s.RestoreTopic(ctx, NoFence(), read))
	if now, err := s.TopicNode(ctx, "t"); err != nil || now.ID != read.ID || len(now.Partitions) != 2 {
		t.Errorf("%+v, %v", now, err)
	}
}

func TestOneConflictDoesNotAffectTheRestOfABatch(t *testing.T) {
	const count = 2000
	seen := &counter{}
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t), func(c *Config) { c.Observer = seen })
	must(t, s.CreateStartupPaths(ctx))
	epoch, err := s.Elect(ctx, 1)
	must(t, err)
	must(t, s.CreateTopic(ctx, TopicNode{Name: "big", Partitions: map[int32]Assignment{0: {Replicas: []metadata.BrokerID{1}}}}))
	states := manyStates(count)
	present := TopicPartition{Topic: "big", Partition: 17}
	must(t, s.nodes.CreateRecursive(ctx, PartitionStatePath(present), []byte("foreign")))
	failed, err := s.CreatePartitionStates(ctx, epoch.Fence(), states)
	if err != nil || len(failed) != 1 || !errors.Is(failed[present], ErrNodeExists) {
		t.Fatalf("create: failed %v, %v", failed, err)
	}

	changed, gone := TopicPartition{Topic: "big", Partition: 1000}, TopicPartition{Topic: "big", Partition: 1999}
	_, err = s.nodes.Set(ctx, PartitionStatePath(changed), encodePartitionState(states[changed]), AnyVersion)
	must(t, err)
	must(t, s.nodes.Remove(ctx, PartitionStatePath(gone)))
	before := seen.answered()
	written, failed, err := s.SetPartitionStates(ctx, epoch.Fence(), states)
	if n := seen.answered() - before; n > 60 { // failed batches are run again in halves
		t.Errorf("writing %d states with two conflicts took %d requests", count, n)
	}
	if err != nil || len(written) != count-2 || len(failed) != 2 ||
		!errors.Is(failed[changed], ErrBadVersion) || !errors.Is(failed[gone], ErrNoNode) {
		t.Fatalf("set: %d written, failed %v, %v", len(written), failed, err)
	}
	for tp, version := range written {
		if version != 1 {
			t.Fatalf("%v has version %d", tp, version)
		}
	}
	tps := sortedPartitions(states)
	read, err := s.PartitionStates(ctx, tps)
	if err != nil || len(read) != count-1 {
		t.Fatalf("%d states read, %v", len(read), err)
	}
	if state := read[changed]; state.Version != 1 || !reflect.DeepEqual(state.ISR, []metadata.BrokerID{1, 2, 3}) {
		t.Errorf("state %+v", state)
	}
	if names, err := s.nodes.Children(ctx, partitionsPath("big"), false); err != nil || len(names) != count {
		t.Errorf("%d children, %v", len(names), err)
	}
	must(t, s.DeleteTopic(ctx, epoch.Fence(), "big"))
}

func TestATopicIsDeletedWithFewRequestsWhateverNodesItHas(t *testing.T) {
	const count = 2000
	seen := &counter{}
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t), func(c *Config) { c.Observer = seen })
	must(t, s.CreateStartupPaths(ctx))
	epoch, err := s.Elect(ctx, 1)
	must(t, err)
	create := func() {
		must(t, s.CreateTopic(ctx, TopicNode{Name: "big", Partitions: map[int32]Assignment{0: {Replicas: []metadata.BrokerID{1}}}}))
		failed, err := s.CreatePartitionStates(ctx, epoch.Fence(), manyStates(count))
		if err != nil || len(failed) > 0 {
			t.Fatalf("create: failed %v, %v", failed, err)
		}
	}
	create()
	before := seen.answered()
	must(t, s.DeleteTopic(ctx, epoch.Fence(), "big"))
	if n := seen.answered() - before; n > 30 {
		t.Errorf("deleting %d partitions took %d requests", count, n)
	}
	create()
	foreign := PartitionStatePath(TopicPartition{Topic: "big", Partition: 17}) + "/of/another"
	must(t, s.nodes.CreateRecursive(ctx, foreign, nil))
	must(t, s.nodes.Remove(ctx, PartitionStatePath(TopicPartition{Topic: "big", Partition: 900})))
	must(t, s.DeleteTopic(ctx, epoch.Fence(), "big"))
	if exists, err := s.nodes.Exists(ctx, TopicPath("big")); exists || err != nil {
		t.Errorf("the topic still exists: %t, %v", exists, err)
	}
}

func TestPitfallController19_ListsBeyondAMegabyteAreRead(t *testing.T) {
	const count = 6000
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	long := strings.Repeat("x", 240)
	writes := make([]zkclient.Op, count)
	for i := range writes {
		path := TopicPath(fmt.Sprintf("%s%06d", long, i))
		writes[i] = zkclient.CreateOp(path, nil)
	}
	_, err := s.nodes.bulk(ctx, NoFence(), "create", writes)
	must(t, err)
	if names, err := s.Topics(ctx); err != nil || len(names) != count {
		t.Errorf("%d names, %v", len(names), err)
	}
}

func TestReadingTwiceArmsAWatchOnce(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	var rung atomic.Int32
	done := make(chan struct{}, 1)
	s.WatchChildren(TopicsPath, func() { rung.Add(1) })
	s.WatchNode(TopicPath("end"), NodeWatch{Created: func() { done <- struct{}{} }})
	for range 50 {
		_, err := s.Topics(ctx)
		must(t, err)
	}
	_, err := s.Arm(ctx, TopicPath("end"))
	must(t, err)
	must(t, s.CreateTopic(ctx, TopicNode{Name: "a"}))
	must(t, s.CreateTopic(ctx, TopicNode{Name: "end"})) // its event arrives after that of a
	<-done
	if n := rung.Load(); n != 1 {
		t.Errorf("%d calls for one armed watch", n)
	}
	s.UnwatchChildren(TopicsPath)
	_, err = s.Topics(ctx)
	must(t, err)
	s.WatchNode(TopicPath("end"), NodeWatch{Deleted: func() { done <- struct{}{} }})
	_, err = s.Arm(ctx, TopicPath("end"))
	must(t, err)
	must(t, s.CreateTopic(ctx, TopicNode{Name: "b"}))
	must(t, s.nodes.Remove(ctx, TopicPath("end")))
	<-done
	if n := rung.Load(); n != 1 {
		t.Errorf("%d calls, want none after the handler was removed", n)
	}
}

func TestToolsDoNotCreateTheChroot(t *testing.T) {
	ctx, connect := background(t), testkit.ZooKeeper(t)
	s := openStore(t, connect, func(c *Config) { c.CreateChroot = false })
	if _, err := s.Topics(ctx); err != nil {
		t.Errorf("listing below a missing chroot: %v", err)
	}
	err := s.CreateTopic(ctx, TopicNode{Name: "t"})
	if !errors.Is(err, ErrNoNode) || !strings.Contains(err.Error(), "chroot") {
		t.Errorf("creating below a missing chroot: %v", err)
	}
}

func TestClosingEndsTheSessionAndFailsOperations(t *testing.T) {
	ctx, connect := background(t), testkit.ZooKeeper(t)
	s, other := openStore(t, connect), openStore(t, connect)
	must(t, s.CreateStartupPaths(ctx))
	_, err := s.RegisterBroker(ctx, plaintext(1))
	must(t, err)
	start := time.Now()
	s.Close()
	must(t, other.AwaitBrokerGone(ctx, 1))
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("the node was deleted only after %v", took)
	}
	if _, err := s.Topics(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// logBuffer collects log lines. Loggers write to it from several goroutines.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// said returns the messages of one logger in order.
func (b *logBuffer) said(logger string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var messages []string
	for _, line := range strings.Split(b.text.String(), "\n") {
		if rest, ok := strings.CutSuffix(line, " ("+logger+")"); ok {
			if _, message, ok := strings.Cut(rest, "] "); ok {
				messages = append(messages, message)
			}
		}
	}
	return messages
}

func TestConnectionsAreLoggedAsInKafka(t *testing.T) {
	ctx, connect := background(t), testkit.ZooKeeper(t)
	server, _, _ := strings.Cut(connect, "/")
	var lines logBuffer
	s := openStore(t, connect, func(c *Config) { c.Logger = kafkalog.New(&lines) })
	must(t, s.CreateStartupPaths(ctx))
	epoch, err := s.RegisterBroker(ctx, plaintext(7))
	must(t, err)
	s.Close()
	client := "INFO [ZooKeeperClient Kafka server] "
	want := []string{
		client + "Initializing a new session to " + server + ".", client + "Waiting until connected.", client + "Connected.",
		client + "Closing.", client + "Closed.",
		client + "Initializing a new session to " + connect + ".", client + "Waiting until connected.", client + "Connected.",
		client + "Closing.", client + "Closed.",
	}
	if have := lines.said("kafka.zookeeper.ZooKeeperClient"); !reflect.DeepEqual(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
	registered := fmt.Sprintf("INFO Registered broker 7 at path /brokers/ids/7 with addresses: PLAINTEXT://127.0.0.1:24092, czxid (broker epoch): %d", epoch)
	if have := lines.said("kafka.zk.KafkaZkClient"); len(have) < 2 || have[0] != "INFO Creating /brokers/ids/7 (is it secure? false)" || have[len(have)-1] != registered {
		t.Errorf("have %q", have)
	}
}
