package replication

import (
	"fmt"
	"sync/atomic"
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

// The cost of a round must depend on the changes and not on the number of partitions: each
// benchmark runs with one busy partition and 10, 1000 or 10,000 partitions in total.
var partitionCounts = []int{10, 1000, 10_000}

// sameConfig returns the same configuration for every topic.
type sameConfig struct{ topic *settings.Topic }

func (c sameConfig) TopicConfig(string) (*settings.Topic, error) { return c.topic, nil }

// hostOfMany is a Manager of one topic that leads all its partitions, or follows broker 2 in all of
// them.
type hostOfMany struct {
	*Manager
	follower    *Follower // nil while leading
	clock       time.Time
	isr         *isrRecorder
	logs        *storage.Manager
	checkpoints atomic.Int64 // number of writes of the high watermark checkpoint
}

func newHostOfMany(t testing.TB, partitions int, leader int32, change ...func(*Options)) *hostOfMany {
	t.Helper()
	fs := vfs.NewMem()
	_ = fs.MkdirAll(testDir, 0o755)
	config, err := testSettings(t).Topic(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &hostOfMany{clock: time.UnixMilli(1_700_000_000_000)}
	counted := vfs.Intercept(fs, func(op vfs.Op) error {
		if op.Kind == vfs.OpRename && op.Name == testDir+"/replication-offset-checkpoint.tmp" {
			b.checkpoints.Add(1)
		}
		return nil
	})
	logs, err := storage.NewManager(storage.ManagerConfig{FS: counted, Dirs: []string{testDir}, Options: storage.DefaultOptions(),
		Log: kafkalog.Discard(), BrokerID: ourID, ClusterID: "cluster-of-the-test-22", Defaults: config})
	if err != nil {
		t.Fatal(err)
	}
	if err := logs.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	options := DefaultOptions(ourID)
	for _, c := range change {
		c(&options)
	}
	b.isr, b.logs = &isrRecorder{}, logs
	b.Manager = NewManager(Config{Options: options, Logs: logs, Metadata: metadata.NewCache(), Topics: sameConfig{config}, ISR: b.isr,
		BrokerEpoch: func() int64 { return 100 }, Logger: kafkalog.Discard(), Now: func() time.Time { return b.clock },
		Follow: func(f *Follower) { b.follower = f }})
	t.Cleanup(func() { b.Close(); logs.Close() })
	b.assign(t, partitions, leader)
	return b
}

// assign sends the broker, as the controller would, the live brokers and the partitions that it and
// broker 2 have.
func (b *hostOfMany) assign(t testing.TB, partitions int, leader int32) {
	t.Helper()
	both := []int32{ourID, 2}
	b.UpdateMetadata(metadataOf(int32(partitions), leader, both...), 1)
	req := roleOf(0, leader, 1, both, both...)
	states := &req.TopicStates[0].PartitionStates
	*states = (*states)[:0]
	for i := range int32(partitions) {
		*states = append(*states, roleOf(i, leader, 1, both, both...).TopicStates[0].PartitionStates...)
	}
	takeRoles(t, b.Manager, req)
}

// sessionClient is the client of a fetch session on the topic's partitions.
type sessionClient struct {
	b         *hostOfMany
	replica   metadata.BrokerID // -1: consumer
	id, epoch int32
	busy      record.Offset // next offset of partition 0
	asked     record.Offset // offset of partition 0 in the session
}

// open creates the session with a full fetch and lets all partitions come to rest.
func (c *sessionClient) open(t testing.TB, partitions int) {
	t.Helper()
	f := c.fetch()
	for p := range int32(partitions) {
		f.Ask(c.ask(p, 0))
	}
	c.round(t, f)
	for range 3 {
		c.round(t, c.fetch())
	}
}

func (c *sessionClient) ask(partition int32, offset record.Offset) PartitionAsk {
	ask := PartitionAsk{Topic: testTopic, TopicID: testTopicID, Partition: partition, FetchOffset: offset, MaxBytes: 1 << 20,
		LogStartOffset: -1, CurrentLeaderEpoch: 1, LastFetchedEpoch: -1}
	if c.replica >= 0 {
		ask.LogStartOffset, ask.LastFetchedEpoch = 0, 1
	}
	return ask
}

// fetch returns the request of the next round.
func (c *sessionClient) fetch() *Fetch {
	f := c.b.NewFetch()
	f.Version, f.ReplicaID, f.ReplicaEpoch = 17, c.replica, -1
	f.SessionID, f.SessionEpoch = c.id, c.epoch
	f.MinBytes, f.MaxBytes, f.MaxWait = 1, 10<<20, time.Second
	if c.epoch > 0 && c.asked != c.busy {
		f.Ask(c.ask(0, c.busy))
		c.asked = c.busy
	}
	return f
}

// park starts a round that cannot be answered at once.
func (c *sessionClient) park(t testing.TB, f *Fetch) *Parked {
	t.Helper()
	if code := f.Begin(); code != protocol.None {
		t.Fatal(code)
	}
	w := f.Park()
	if w == nil {
		t.Fatal("the fetch was answered without waiting")
	}
	return w
}

// finish ends a round and handles its response.
func (c *sessionClient) finish(t testing.TB, f *Fetch) {
	t.Helper()
	id, code := f.Finish()
	if code != protocol.None {
		t.Fatal(code)
	}
	for i := range f.Partitions {
		if p := &f.Partitions[i]; p.Partition == 0 && p.RecordBytes() > 0 {
			c.busy = p.leaderEnd
		}
	}
	f.Release()
	c.id = id
	c.epoch++
}

// round runs one fetch, which times out if there is nothing new to send.
func (c *sessionClient) round(t testing.TB, f *Fetch) {
	t.Helper()
	if code := f.Begin(); code != protocol.None {
		t.Fatal(code)
	}
	if w := f.Park(); w != nil {
		f.Unpark(w)
	}
	c.finish(t, f)
}

// resting returns a leader of partitions with a follower's session in which all partitions are at
// rest.
func resting(t testing.TB, partitions int) (*hostOfMany, *sessionClient) {
	t.Helper()
	b := newHostOfMany(t, partitions, ourID)
	c := &sessionClient{b: b, replica: 2}
	c.open(t, partitions)
	return b, c
}

func TestARoundLooksOnlyAtChangedPartitions(t *testing.T) {
	const partitions = 100
	for _, replica := range []int32{2, -1} {
		b := newHostOfMany(t, partitions, ourID)
		follower := &sessionClient{b: b, replica: 2}
		follower.open(t, partitions)
		c := follower
		if replica < 0 {
			c = &sessionClient{b: b, replica: metadata.BrokerID(replica)}
			c.open(t, partitions)
		}
		f := c.fetch()
		w := c.park(t, f)
		if n := len(f.Partitions); n != 0 {
			t.Errorf("replica %d: a round without changes looks at %d partitions", replica, n)
		}
		p, _ := b.Partition(testTopic, 0)
		if _, err := p.AppendAsLeader(batch(t, 1), nil, 1); err != nil {
			t.Fatal(err)
		}
		if replica < 0 { // consumers see what the follower has
			follower.busy = 1
			follower.round(t, follower.fetch())
		}
		if !w.Woken() {
			t.Fatalf("replica %d: not woken", replica)
		}
		f.Unpark(w)
		if n := len(f.Partitions); n != 1 || f.Partitions[0].RecordBytes() == 0 {
			t.Errorf("replica %d: when woken, it looks at %d partitions: %+v", replica, n, f.Partitions)
		}
		c.finish(t, f)
	}
}

func TestARoundWithoutChangesDoesNotAllocate(t *testing.T) {
	_, c := resting(t, 100)
	if n := testing.AllocsPerRun(100, func() {
		f := c.fetch()
		f.MaxWait = 0
		if code := f.Begin(); code != protocol.None {
			t.Fatal(code)
		}
		f.Read()
		c.finish(t, f)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A follower that requested a partition during a long idle time was caught up until just now,
// although the rounds of its session left the partition out.
func TestTheFirstAppendAfterALongIdleTimeFindsTheFollowerInSync(t *testing.T) {
	const lagMax = 30 * time.Second
	pass := func(b *hostOfMany, c *sessionClient, d time.Duration) {
		for range int(d / (10 * time.Second)) {
			b.clock = b.clock.Add(10 * time.Second)
			c.round(t, c.fetch())
		}
	}
	b, c := resting(t, 3)
	pass(b, c, time.Hour)
	p, _ := b.Partition(testTopic, 0)
	if _, err := p.AppendAsLeader(batch(t, 1), nil, 1); err != nil {
		t.Fatal(err)
	}
	b.clock = b.clock.Add(lagMax - time.Second)
	b.ShrinkISRs()
	if n := b.isr.count(); n != 0 {
		t.Fatalf("the in-sync replicas shrink to %v", b.isr.last(t).ISR)
	}
	b.clock = b.clock.Add(2 * time.Second)
	b.ShrinkISRs()
	if got := b.isr.last(t); len(got.ISR) != 1 || got.Partition.Partition != 0 {
		t.Errorf("after the allowed lag: %+v", got)
	}
}

// A partition that the session no longer requests falls behind, however active the session is.
func TestRoundsDoNotKeepAForgottenPartitionInSync(t *testing.T) {
	b, c := resting(t, 3)
	f := c.fetch()
	f.Forget(testTopic, testTopicID, 0)
	c.round(t, f)
	for i := range int32(2) {
		p, _ := b.Partition(testTopic, i)
		if _, err := p.AppendAsLeader(batch(t, 1), nil, 1); err != nil {
			t.Fatal(err)
		}
	}
	f = c.fetch()
	f.Ask(c.ask(1, 1))
	for range 4 {
		c.round(t, f)
		b.clock = b.clock.Add(10 * time.Second)
		f = c.fetch()
	}
	f.Release()
	b.ShrinkISRs()
	if got := b.isr.last(t); b.isr.count() != 1 || got.Partition.Partition != 0 || len(got.ISR) != 1 {
		t.Errorf("%d changes, the last %+v", b.isr.count(), got)
	}
}

func TestAClosedSessionObservesNothing(t *testing.T) {
	b, c := resting(t, 3)
	f := c.fetch()
	w := c.park(t, f)
	last := &sessionClient{b: b, replica: 2, id: c.id}
	last.epoch = finalSessionEpoch
	g := last.fetch()
	g.Ask(c.ask(0, 0))
	if code := g.Begin(); code != protocol.None {
		t.Fatal(code)
	}
	g.Release()
	for i := range int32(3) {
		if p, _ := b.Partition(testTopic, i); p.waits.count.Load() != 0 {
			t.Errorf("partition %d has %d observers", i, p.waits.count.Load())
		}
	}
	if !w.Woken() {
		t.Error("the fetch parked in the session still waits")
	}
	f.Unpark(w)
	f.Release()
}

// BenchmarkLeaderRound measures a follower's fetch that finds nothing, parks, is woken by an append
// to one partition, and responds: everything a leader does for an acks=all produce except the
// network.
func BenchmarkLeaderRound(b *testing.B) {
	for _, n := range partitionCounts {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) {
			m := newHostOfMany(b, n, ourID)
			c := &sessionClient{b: m, replica: 2}
			c.open(b, n)
			leader, _ := m.Partition(testTopic, 0)
			set := batch(b, 1)
			b.ReportAllocs()
			for b.Loop() {
				f := c.fetch()
				w := c.park(b, f)
				if _, err := leader.AppendAsLeader(set, nil, 1); err != nil {
					b.Fatal(err)
				}
				if !w.Woken() {
					b.Fatal("not woken")
				}
				f.Unpark(w)
				c.finish(b, f)
			}
		})
	}
}

// answerOne returns a leader's response with one record for partition 0 at the offset.
func answerOne(t testing.TB, req *kmsg.FetchRequest, offset record.Offset) *kmsg.FetchResponse {
	t.Helper()
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	resp.Version, resp.SessionID = req.Version, 77
	topic := kmsg.NewFetchResponseTopic()
	topic.TopicID, topic.Topic = testTopicID, testTopic
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches, p.HighWatermark = batch(t, 1, at(offset, 1)), int64(offset)
	topic.Partitions = append(topic.Partitions, p)
	resp.Topics = append(resp.Topics, topic)
	return resp
}

// answerAll returns a response without records for all partitions of a full fetch.
func answerAll(req *kmsg.FetchRequest) *kmsg.FetchResponse {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	resp.Version, resp.SessionID = req.Version, 77
	for _, asked := range req.Topics {
		topic := kmsg.NewFetchResponseTopic()
		topic.TopicID, topic.Topic = asked.TopicID, asked.Topic
		for _, q := range asked.Partitions {
			p := kmsg.NewFetchResponseTopicPartition()
			p.Partition = q.Partition
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// startedFollower returns a follower of partitions with an established session.
func startedFollower(t testing.TB, partitions int) *hostOfMany {
	t.Helper()
	b := newHostOfMany(t, partitions, 2)
	for range 2 {
		req, answered, _ := b.follower.Next()
		answered(answerAll(req.(*kmsg.FetchRequest)), nil)
	}
	return b
}

func TestAFollowersRoundLooksOnlyAtChangedPartitions(t *testing.T) {
	b := startedFollower(t, 100)
	offset := record.Offset(0)
	for range 3 {
		req, answered, _ := b.follower.Next()
		fetch := req.(*kmsg.FetchRequest)
		asked := 0
		for _, topic := range fetch.Topics {
			asked += len(topic.Partitions)
		}
		if looked := len(b.follower.fetcher.active); looked != 0 || asked != int(min(offset, 1)) {
			t.Errorf("requests %d partitions and keeps looking at %d", asked, looked)
		}
		answered(answerOne(t, fetch, offset), nil)
		offset++
	}
}

// If a controller removes a replica from the in-sync replicas, the same leader begins a new epoch,
// and its session has nothing to send.
func TestAFollowersRoundLooksOnlyAtChangedPartitionsAfterANewEpoch(t *testing.T) {
	b := startedFollower(t, 10)
	for p := range int32(10) {
		takeRoles(t, b.Manager, roleOf(p, 2, 2, []int32{ourID, 2}, ourID, 2))
	}
	for range 2 {
		req, answered, _ := b.follower.Next()
		fetch := req.(*kmsg.FetchRequest)
		answered(answerAll(&kmsg.FetchRequest{Version: fetch.Version}), nil)
	}
	if looked := len(b.follower.fetcher.active); looked != 0 {
		t.Errorf("keeps looking at %d partitions", looked)
	}
}

// BenchmarkFollowerRound measures building a follower's request and applying a response with
// records for one partition.
func BenchmarkFollowerRound(b *testing.B) {
	for _, n := range partitionCounts {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) {
			m := startedFollower(b, n)
			offset := record.Offset(0)
			b.ReportAllocs()
			for b.Loop() {
				req, answered, _ := m.follower.Next()
				answered(answerOne(b, req.(*kmsg.FetchRequest), offset), nil)
				offset++
			}
		})
	}
}

// BenchmarkConsumerRound measures a consumer's round while a follower fetches too, both from all
// partitions: an append that the follower fetches and acknowledges, and that ends the consumer's
// parked fetch.
func BenchmarkConsumerRound(b *testing.B) {
	for _, n := range partitionCounts {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) {
			m, follower := resting(b, n)
			c := &sessionClient{b: m, replica: -1}
			c.open(b, n)
			p, _ := m.Partition(testTopic, 0)
			set := batch(b, 1)
			b.ReportAllocs()
			for b.Loop() {
				f := c.fetch()
				w := c.park(b, f)
				if _, err := p.AppendAsLeader(set, nil, 1); err != nil {
					b.Fatal(err)
				}
				for range 2 { // reads, then acknowledges
					follower.round(b, follower.fetch())
				}
				if !w.Woken() {
					b.Fatal("not woken")
				}
				f.Unpark(w)
				c.finish(b, f)
			}
		})
	}
}
