package replication

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

const (
	testTopic  = "t"
	testDir    = "/data"
	otherDir   = "/data2"
	ourID      = 1
	brokerTime = 10 * time.Second // far longer than any test needs
	waitTime   = time.Hour        // MaxWait of requests; no test passes because a wait timed out
)

var testTopicID = TopicID{0xab, 1}

// testBroker is a Manager on a real storage.Manager in memory. Tests play the controller, the
// followers and the clients.
type testBroker struct {
	*Manager
	t        *testing.T
	fs       vfs.FS
	logs     *storage.Manager
	cluster  *metadata.Cache
	isr      *isrRecorder
	notified []string // notifications of the LeadershipListener
	epoch    int64    // this broker's epoch
	topics   map[string]*settings.Topic
	// configErr is the error of reading a topic's configuration, if set.
	configErr error
	// onConfig is called before each read of a topic's configuration, if set.
	onConfig func(topic string)
	// configRead is called after each read of a topic's configuration, if set.
	configRead func()
}

// isrRecorder is an ISRChanger whose answers come from the test.
type isrRecorder struct {
	mu      sync.Mutex
	pending []func(ISRAnswer)
	changes []ISRChange
}

func (r *isrRecorder) Submit(c ISRChange, done func(ISRAnswer)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) > 0 { // tests change only one partition, and like changeQueue this takes one change of it at a time
		return false
	}
	r.changes = append(r.changes, c)
	r.pending = append(r.pending, done)
	return true
}

// last returns the last submitted change.
func (r *isrRecorder) last(t *testing.T) ISRChange {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.changes) == 0 {
		t.Fatal("no change of the in-sync replicas was submitted")
	}
	return r.changes[len(r.changes)-1]
}

func (r *isrRecorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.changes)
}

// answer answers the oldest pending change.
func (r *isrRecorder) answer(a ISRAnswer) {
	r.mu.Lock()
	done := r.pending[0]
	r.pending = r.pending[1:]
	r.mu.Unlock()
	done(a)
}

// grant answers the oldest pending change with the requested replicas.
func (r *isrRecorder) grant() {
	r.mu.Lock()
	c := r.changes[len(r.changes)-len(r.pending)]
	r.mu.Unlock()
	r.answer(ISRAnswer{Leader: ourID, LeaderEpoch: c.LeaderEpoch, ISR: c.ISR, PartitionEpoch: c.PartitionEpoch + 1})
}

func (b *testBroker) TopicConfig(topic string) (*settings.Topic, error) {
	if b.onConfig != nil {
		b.onConfig(topic)
	}
	if b.configErr != nil {
		return nil, b.configErr
	}
	if b.configRead != nil {
		defer b.configRead()
	}
	if c := b.topics[topic]; c != nil {
		return c, nil
	}
	return b.topicDefaults(), nil
}

func (b *testBroker) BecameLeader(p TopicPartition, epoch metadata.LeaderEpoch) {
	b.notified = append(b.notified, fmt.Sprintf("lead %s %d", p, epoch))
}

func (b *testBroker) Resigned(p TopicPartition, epoch metadata.LeaderEpoch) {
	b.notified = append(b.notified, fmt.Sprintf("resign %s %d", p, epoch))
}

func testSettings(t testing.TB) *settings.Config {
	t.Helper()
	c, err := settings.FromMap(map[string]string{"broker.id": "1", "zookeeper.connect": "unused:2181", "log.dirs": testDir})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *testBroker) topicDefaults() *settings.Topic {
	c, err := testSettings(b.t).Topic(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// newTestBroker starts a broker on a new file system. change may modify the options first.
func newTestBroker(t *testing.T, change ...func(*Options)) *testBroker {
	return newTestBrokerOn(t, vfs.NewMem(), []string{testDir}, change...)
}

func newTestBrokerOn(t *testing.T, fs vfs.FS, dirs []string, change ...func(*Options)) *testBroker {
	t.Helper()
	b := &testBroker{t: t, fs: fs, cluster: metadata.NewCache(), isr: &isrRecorder{}, epoch: 100, topics: map[string]*settings.Topic{}}
	for _, dir := range dirs {
		if err := fs.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := storage.NewManager(storage.ManagerConfig{FS: fs, Dirs: dirs, Options: storage.DefaultOptions(),
		Log: kafkalog.Discard(), BrokerID: ourID, ClusterID: "cluster-of-the-test-22", Defaults: b.topicDefaults(),
		TopicConfig: func(topic string) *settings.Topic { c, _ := b.TopicConfig(topic); return c }})
	if err != nil {
		t.Fatal(err)
	}
	if err := logs.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.logs = logs
	options := DefaultOptions(ourID)
	for _, f := range change {
		f(&options)
	}
	b.Manager = NewManager(Config{Options: options, Logs: logs, Metadata: b.cluster, Topics: b, ISR: b.isr,
		Leaders: []LeadershipListener{b}, BrokerEpoch: func() int64 { return b.epoch }, Logger: kafkalog.Discard()})
	t.Cleanup(b.stop)
	return b
}

// stop closes the broker cleanly. A second call does nothing.
func (b *testBroker) stop() {
	if b.logs == nil {
		return
	}
	b.Close()
	if err := b.logs.Close(); err != nil {
		b.t.Errorf("closing the logs: %v", err)
	}
	b.logs = nil
}

// know sends the broker metadata with the live brokers and the topic.
func (b *testBroker) know(brokers ...int32) {
	b.t.Helper()
	if resp, _ := b.UpdateMetadata(metadataOf(3, brokers[0], brokers...), 1); resp.ErrorCode != 0 {
		b.t.Fatalf("UpdateMetadata: %s", protocol.ErrorCode(resp.ErrorCode))
	}
}

// metadataOf returns an UpdateMetadata request with live brokers, each of which has a replica of
// all partitions of the topic.
func metadataOf(partitions, leader int32, brokers ...int32) *kmsg.UpdateMetadataRequest {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 8, 1, 1, -1
	for _, id := range brokers {
		live := kmsg.NewUpdateMetadataRequestLiveBroker()
		live.ID = id
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.Host, e.Port, e.ListenerName = fmt.Sprintf("host%d", id), 9092, "PLAINTEXT"
		live.Endpoints = append(live.Endpoints, e)
		req.LiveBrokers = append(req.LiveBrokers, live)
	}
	topic := kmsg.NewUpdateMetadataRequestTopicState()
	topic.Topic, topic.TopicID = testTopic, testTopicID
	for i := range partitions {
		s := kmsg.NewUpdateMetadataRequestTopicPartition()
		s.Partition, s.Leader, s.Replicas, s.ISR = i, leader, brokers, brokers
		topic.PartitionStates = append(topic.PartitionStates, s)
	}
	req.TopicStates = append(req.TopicStates, topic)
	return req
}

// roleOf returns a LeaderAndIsr request for one partition.
func roleOf(partition, leader, leaderEpoch int32, replicas []int32, isr ...int32) *kmsg.LeaderAndISRRequest {
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 7, 1, 1, -1
	s := kmsg.NewLeaderAndISRRequestTopicPartition()
	s.Partition, s.ControllerEpoch, s.Leader, s.LeaderEpoch, s.ZKVersion = partition, 1, leader, leaderEpoch, leaderEpoch
	s.Replicas, s.ISR, s.IsNew = replicas, isr, true
	topic := kmsg.NewLeaderAndISRRequestTopicState()
	topic.Topic, topic.TopicID, topic.PartitionStates = testTopic, testTopicID, []kmsg.LeaderAndISRRequestTopicPartition{s}
	req.TopicStates = append(req.TopicStates, topic)
	return req
}

// takeRoles applies a LeaderAndIsr request and fails the test if a partition fails with an
// unexpected error.
func takeRoles(t testing.TB, m *Manager, req *kmsg.LeaderAndISRRequest) *kmsg.LeaderAndISRResponse {
	t.Helper()
	resp := m.BecomeLeaderOrFollower(req, 1)
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			if protocol.ErrorCode(p.ErrorCode) == protocol.UnknownServerError {
				t.Fatalf("LeaderAndIsr: partition %d failed", p.Partition)
			}
		}
	}
	return resp
}

// control sends a LeaderAndIsr request and returns the partition's code.
func (b *testBroker) control(req *kmsg.LeaderAndISRRequest) protocol.ErrorCode {
	b.t.Helper()
	resp := b.BecomeLeaderOrFollower(req, 1)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		b.t.Fatalf("LeaderAndIsr answers %+v", resp)
	}
	return protocol.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// lead makes the broker the leader of partition 0.
func (b *testBroker) lead(leaderEpoch int32, replicas []int32, isr ...int32) *Partition {
	b.t.Helper()
	if code := b.control(roleOf(0, ourID, leaderEpoch, replicas, isr...)); code != protocol.None {
		b.t.Fatalf("becoming leader: %s", code)
	}
	return b.partition()
}

func (b *testBroker) partition() *Partition {
	b.t.Helper()
	p, err := b.Partition(testTopic, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// alone returns a broker that leads partition 0 as its only replica.
func alone(t *testing.T) *testBroker {
	b := newTestBroker(t)
	b.know(ourID)
	b.lead(0, []int32{ourID}, ourID)
	return b
}

// withOpenTransaction returns the leader of a log of three records, the last two of which belong to
// an open transaction of producer 7.
func withOpenTransaction(t *testing.T) *testBroker {
	t.Helper()
	b := alone(t)
	b.mustProduce(1)
	p := b.NewProduce()
	p.Version, p.Acks = 9, 1
	p.Add(testTopic, 0, batch(t, 2, transactional(7)))
	p.Append()
	wantCode(t, "produce", p.Partitions[0].Err, protocol.None)
	return b
}

// batch returns a v2 batch of n records.
func batch(t testing.TB, n int, change ...func(*record.Options)) []byte {
	t.Helper()
	o := record.Defaults()
	for _, f := range change {
		f(&o)
	}
	w := record.NewBuilder(o)
	for i := range n {
		if err := w.Append(time.Now().UnixMilli(), nil, []byte(fmt.Sprintf("value %d", i))); err != nil {
			t.Fatal(err)
		}
	}
	set, err := w.Build()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// produce appends n records to partition 0 and does not wait.
func (b *testBroker) produce(acks int16, n int) *Produce {
	p := b.NewProduce()
	p.Version, p.Acks, p.Timeout = 9, acks, waitTime
	p.Add(testTopic, 0, batch(b.t, n))
	p.Append()
	return p
}

func (b *testBroker) mustProduce(n int) {
	b.t.Helper()
	p := b.produce(1, n)
	if err := p.Partitions[0].Err; err != nil {
		b.t.Fatalf("produce: %v", err)
	}
}

// waitFor starts the wait of a produce for its replicas. The channel is closed when the wait ends.
func (b *testBroker) waitFor(p *Produce) <-chan struct{} {
	b.t.Helper()
	answered := make(chan struct{})
	go func() { p.Wait(); close(answered) }()
	b.parked(1)
	return answered
}

// fetch fetches partition 0 as a consumer of the latest version. change may modify the fetch before
// it is read. It does not wait unless MaxWait is set.
func (b *testBroker) fetch(offset record.Offset, change ...func(*Fetch)) *Fetch {
	b.t.Helper()
	f := b.newFetch(offset, change...)
	f.Read()
	return f
}

func (b *testBroker) newFetch(offset record.Offset, change ...func(*Fetch)) *Fetch {
	b.t.Helper()
	f := b.NewFetch()
	f.Version, f.ReplicaID, f.ReplicaEpoch, f.SessionEpoch = 17, consumerReplica, -1, finalSessionEpoch
	f.MinBytes, f.MaxBytes = 1, 1<<30
	f.Client = ClientInfo{Listener: "PLAINTEXT"}
	f.Ask(PartitionAsk{Topic: testTopic, TopicID: testTopicID, FetchOffset: offset, LogStartOffset: -1, MaxBytes: 1 << 20,
		CurrentLeaderEpoch: -1, LastFetchedEpoch: -1})
	for _, c := range change {
		c(f)
	}
	if code := f.Begin(); code != protocol.None {
		b.t.Fatalf("fetch: %s", code)
	}
	b.t.Cleanup(func() { f.releaseData() })
	return f
}

// asFollower turns a fetch into that of a follower.
func asFollower(id metadata.BrokerID) func(*Fetch) {
	return func(f *Fetch) { f.ReplicaID = id; f.Partitions[0].LogStartOffset = 0 }
}

func inEpoch(epoch metadata.LeaderEpoch) func(*Fetch) {
	return func(f *Fetch) { f.Partitions[0].CurrentLeaderEpoch = epoch }
}

func (b *testBroker) highWatermark() record.Offset {
	return b.partition().Log().Offsets().HighWatermark
}

// offsets returns the offsets of the records in a fetch response.
func offsets(t *testing.T, p *PartitionFetch) []record.Offset {
	t.Helper()
	set := p.Converted
	if set == nil && p.Data.Length > 0 {
		set = make([]byte, p.Data.Length)
		if _, err := p.Data.File.ReadAt(set, p.Data.Position); err != nil {
			t.Fatal(err)
		}
	}
	var found []record.Offset
	for {
		b, rest, err := record.Next(set)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return found
		}
		if err := b.Each(func(r *record.Record) error { found = append(found, r.Offset); return nil }); err != nil {
			t.Fatal(err)
		}
		set = rest
	}
}

func wantCode(t *testing.T, what string, err error, want protocol.ErrorCode) {
	t.Helper()
	if got := protocol.CodeOf(err); got != want {
		t.Errorf("%s: %s (%v), want %s", what, got, err, want)
	}
}

// within receives a value that another goroutine sends in time.
func within[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	limit := time.NewTimer(brokerTime)
	defer limit.Stop()
	select {
	case v := <-from:
		return v
	case <-limit.C:
		t.Fatalf("%s: no value arrived", what)
	}
	var none T
	return none
}

// parked waits until n requests are parked on partition 0.
func (b *testBroker) parked(n int32) {
	b.t.Helper()
	eventually(b.t, fmt.Sprintf("%d parked requests", n), func() bool { return b.partition().waits.requests() == n })
}

// requests returns the number of parked requests among the observers.
func (l *waitList) requests() (n int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := l.head; r != nil; r = r.next {
		if _, is := r.observer.(*waiter); is {
			n++
		}
	}
	return n
}

// eventually waits for a condition that another goroutine makes true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(brokerTime)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}
