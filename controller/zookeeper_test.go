package controller

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// wireBroker is a minimal broker with its own controller. Other controllers see a znode and a port
// that answers control requests.
type wireBroker struct {
	t          *testing.T
	id         metadata.BrokerID
	store      *zkstore.Store
	controller *Controller
	listener   net.Listener

	mu       sync.Mutex // guards lines
	lines    []string
	metadata *metadata.Cache
	log      logBuffer
}

// logBuffer collects a broker's log, which is printed if the test fails.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func startWireBroker(t *testing.T, connect string, id metadata.BrokerID) *wireBroker {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store, err := zkstore.Open(ctx, zkstore.Config{Connect: connect, SessionTimeout: 6 * time.Second, CreateChroot: true, Logger: kafkalog.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	b := &wireBroker{t: t, id: id, store: store, listener: listener, metadata: metadata.NewCache()}
	if err := store.CreateStartupPaths(ctx); err != nil {
		t.Fatal(err)
	}
	register := func(ctx context.Context) error {
		_, err := store.RegisterBroker(ctx, zkstore.BrokerInfo{ID: id, JMXPort: -1, Endpoints: []metadata.Endpoint{
			{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: int32(listener.Addr().(*net.TCPAddr).Port)}}})
		return err
	}
	if err := register(ctx); err != nil {
		t.Fatal(err)
	}
	go b.accept()
	b.controller, err = New(Config{BrokerID: id, InterBrokerListener: "PLAINTEXT", IBP: "3.9", DeleteTopics: true, Register: register, Logger: kafkalog.New(&b.log)}, store)
	if err != nil {
		t.Fatal(err)
	}
	store.AddSessionListener(zkstore.SessionListener{Before: b.controller.BeforeNewSession, After: b.controller.AfterNewSession})
	b.controller.Start()
	t.Cleanup(b.stop)
	return b
}

func (b *wireBroker) stop() {
	b.controller.Stop()
	b.store.Close()
	b.listener.Close()
}

func (b *wireBroker) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.serve(conn)
	}
}

func (b *wireBroker) serve(conn net.Conn) {
	defer conn.Close()
	h := &harness{}
	for {
		req, correlation, err := readRequest(conn)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.lines = append(b.lines, requestLines(req)...)
		if update, ok := req.(*kmsg.UpdateMetadataRequest); ok {
			b.metadata.Apply(update)
		}
		b.mu.Unlock()
		if err := writeResponse(conn, correlation, b.answer(h, req)); err != nil {
			return
		}
	}
}

// answer passes requests of brokers to the controller, and answers all others itself.
func (b *wireBroker) answer(h *harness, req kmsg.Request) kmsg.Response {
	answers := make(chan kmsg.Response, 1)
	switch req := req.(type) {
	case *kmsg.ApiVersionsRequest:
		resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
		for key, version := range map[protocol.APIKey]int16{protocol.ApiVersions: 3, protocol.ControlledShutdown: 3, protocol.AlterPartition: 3, protocol.AllocateProducerIds: 0} {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MaxVersion = int16(key), version
			resp.ApiKeys = append(resp.ApiKeys, k)
		}
		return resp
	case *kmsg.AlterPartitionRequest:
		b.controller.AlterPartition(req, func(resp *kmsg.AlterPartitionResponse) { answers <- resp })
	case *kmsg.ControlledShutdownRequest:
		resp := req.ResponseKind().(*kmsg.ControlledShutdownResponse)
		b.controller.ControlledShutdown(metadata.BrokerID(req.BrokerID), req.BrokerEpoch, func(remaining []TopicPartition, err error) {
			resp.ErrorCode = int16(protocol.CodeOf(err))
			for _, tp := range remaining {
				p := kmsg.NewControlledShutdownResponsePartitionsRemaining()
				p.Topic, p.Partition = tp.Topic, tp.Partition
				resp.PartitionsRemaining = append(resp.PartitionsRemaining, p)
			}
			answers <- resp
		})
	case *kmsg.AllocateProducerIDsRequest:
		resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
		b.controller.AllocateProducerIDs(metadata.BrokerID(req.BrokerID), req.BrokerEpoch, func(start int64, count int32, err error) {
			resp.ErrorCode, resp.ProducerIDStart, resp.ProducerIDLen = int16(protocol.CodeOf(err)), start, count
			answers <- resp
		})
	default:
		return h.respond(b.id, req)
	}
	return <-answers
}

func (b *wireBroker) received(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(strings.Join(b.lines, "\n"), text)
}

func (b *wireBroker) awaitReceived(text string) {
	b.t.Helper()
	defer func() {
		if b.t.Failed() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.t.Logf("broker %d received:\n%s\nits log:\n%s", b.id, strings.Join(b.lines, "\n"), &b.log)
		}
	}()
	testkit.Eventually(b.t, 15*time.Second, fmt.Sprintf("broker %d receives %q", b.id, text), func() bool { return b.received(text) })
}

// nodes returns the data of root and all nodes below it, by path.
func nodes(t *testing.T, store *zkstore.Store, root string) map[string]string {
	t.Helper()
	dump, err := store.Dump(context.Background(), root)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, n := range dump {
		found[n.Path] = string(n.Data)
	}
	return found
}

func TestAClusterOnARealZooKeeper(t *testing.T) {
	ctx := context.Background()
	connect := testkit.ZooKeeper(t)
	first := startWireBroker(t, connect, 0)
	testkit.Eventually(t, 10*time.Second, "broker 0 is elected", first.controller.IsActive)
	second, third := startWireBroker(t, connect, 1), startWireBroker(t, connect, 2)
	third.awaitReceived("brokers=0,1,2")

	// Create a topic as a broker does for a client.
	if err := third.store.CreateTopic(ctx, topicNode("orders", replicas(0, 1), replicas(1, 2), replicas(2, 0))); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*wireBroker{first, second, third} {
		testkit.Eventually(t, 10*time.Second, "all brokers know the leaders", func() bool {
			s := b.metadata.Snapshot()
			return s.ControllerID == 0 && s.Partition("orders", 2) != nil && s.Partition("orders", 2).Leader == 2
		})
	}
	tree := nodes(t, first.store, "/brokers/topics/orders")
	if got, want := tree["/brokers/topics/orders/partitions/1/state"], `{"controller_epoch":1,"leader":1,"version":1,"leader_epoch":0,"isr":[1,2]}`; got != want {
		t.Errorf("state: %s, want %s", got, want)
	}

	// Stop the controller, which is also the leader of orders-0.
	first.stop()
	testkit.Eventually(t, 15*time.Second, "another broker is elected", func() bool { return second.controller.IsActive() || third.controller.IsActive() })
	second.awaitReceived("orders-0 leader=1 epoch=2 isr=1 v2 replicas=0,1")
	active := second
	if third.controller.IsActive() {
		active = third
	}
	if active.controller.Epoch() != 2 {
		t.Errorf("epoch %d", active.controller.Epoch())
	}

	// Send a request to the broker that is not the controller, and to the one that is.
	for _, b := range []*wireBroker{second, third} {
		answer := make(chan *kmsg.AlterPartitionResponse, 1)
		req := kmsg.NewPtrAlterPartitionRequest()
		req.Version, req.BrokerID = 3, 99
		b.controller.AlterPartition(req, func(r *kmsg.AlterPartitionResponse) { answer <- r })
		want := "NOT_CONTROLLER"
		if b == active {
			want = "STALE_BROKER_EPOCH"
		}
		if got := codeName((<-answer).ErrorCode); got != want {
			t.Errorf("broker %d answers %s, want %s", b.id, got, want)
		}
	}

	// Restart the broker, which gets its replicas. Then delete the topic from all brokers.
	back := startWireBroker(t, connect, 0)
	back.awaitReceived("orders-0 leader=1")
	if err := back.store.CreateTopicDeletion(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Logf("the controller's log:\n%s", &active.log)
		}
	}()
	testkit.Eventually(t, 15*time.Second, "the topic's nodes are deleted", func() bool {
		topics, err := back.store.TopicNames(ctx)
		marked, markErr := back.store.TopicMarkedForDeletion(ctx, "orders")
		return err == nil && markErr == nil && len(topics) == 0 && !marked
	})
	back.awaitReceived("orders-0 epoch=-2 delete")
	if len(back.metadata.Snapshot().Topics) != 0 {
		t.Errorf("still known: %v", back.metadata.Snapshot().Topics)
	}
	stats, err := active.controller.Stats(ctx)
	if err != nil || stats.ActiveBrokers != 3 || stats.Topics != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestAControllerContinuesAfterARestartOfZooKeeper(t *testing.T) {
	ctx := context.Background()
	zk := testkit.NewZooKeeper(t)
	b := startWireBroker(t, zk.Address()+"/c", 0)
	testkit.Eventually(t, 10*time.Second, "broker 0 is elected", b.controller.IsActive)
	zk.Kill()
	if err := zk.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := b.store.CreateTopic(ctx, topicNode("t", replicas(0))); err != nil {
		t.Fatal(err)
	}
	b.awaitReceived("t-0 leader=0 epoch=0 isr=0 v0 replicas=0 new")
}

// Invalid data in all kinds of nodes that the controller reads does not stop it.
func TestInvalidNodesDoNotStopTheController(t *testing.T) {
	ctx := context.Background()
	connect := testkit.ZooKeeper(t)
	b := startWireBroker(t, connect, 0)
	testkit.Eventually(t, 10*time.Second, "broker 0 is elected", b.controller.IsActive)
	if err := b.store.CreateTopic(ctx, topicNode("good", replicas(0))); err != nil {
		t.Fatal(err)
	}
	b.awaitReceived("good-0 leader=0")
	for path, data := range map[string]string{
		"/brokers/ids/7":                                       "{",
		"/brokers/topics/bad":                                  "not JSON",
		"/brokers/topics/null":                                 "",
		"/brokers/topics/half":                                 `{"version":3,"partitions":{"0":"x"}}`,
		"/admin/delete_topics/never-there":                     "garbage",
		"/admin/reassign_partitions":                           `{"version":1,"partitions":[{"topic":5}]}`,
		"/admin/preferred_replica_election":                    "}{",
		"/isr_change_notification/isr_change_0000000000":       "garbage",
		"/isr_change_notification/other":                       "garbage",
		"/log_dir_event_notification/log_dir_event_0000000000": `{"version":1,"broker":"x"}`,
	} {
		putNode(t, connect, path, data)
	}
	if err := b.store.CreateTopic(ctx, topicNode("after", replicas(0))); err != nil {
		t.Fatal(err)
	}
	b.awaitReceived("after-0 leader=0")
	// The next controller starts with the same nodes.
	b.stop()
	next := startWireBroker(t, connect, 0)
	testkit.Eventually(t, 10*time.Second, "broker 0 is elected again", next.controller.IsActive)
	next.awaitReceived("good-0 leader=0")
	if err := next.store.CreateTopic(ctx, topicNode("again", replicas(0))); err != nil {
		t.Fatal(err)
	}
	next.awaitReceived("again-0 leader=0")
	if !next.controller.IsActive() {
		t.Error("the next controller is not active")
	}
}

// putNode creates a node without the store, as an operator does with zkCli.sh.
func putNode(t *testing.T, connect, path, data string) {
	t.Helper()
	server, chroot, _ := strings.Cut(connect, "/")
	conn, events, err := zk.Connect([]string{server}, 5*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for event := range events {
		if event.State == zk.StateHasSession {
			break
		}
	}
	if _, err := conn.Create("/"+chroot+path, []byte(data), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
