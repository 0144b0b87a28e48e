package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
)

// A real MirrorMaker 2 with exactly-once support mirrors a topic from one of our brokers, or from a
// real one, to a cluster of ours. Its processes and brokers on both sides are killed, and the
// coordinators move. The mirror has each committed record of the original once and in its order, and
// the offsets of a group are translated to those of the same records.
func TestMirrorMakerCopiesEachRecordOnce(t *testing.T) {
	var originals []string
	if testkit.FullMatrices() {
		originals = []string{"ours", "3.9.1"}
	}
	for _, kind := range originals {
		t.Run("from "+kind, func(t *testing.T) { playMirror(t, kind) })
	}
}

var mirrorFaults = []struct {
	name   string
	strike func(*mirrorRun)
}{
	{"kill -9 of a process of MirrorMaker", (*mirrorRun).killMirrorMaker},
	{"kill -9 of the transaction coordinator", func(m *mirrorRun) { m.killBroker(m.transactionCoordinator()) }},
	{"kill -9 of the original's broker", func(m *mirrorRun) {
		m.original.members[0].process().Kill()
		m.original.restart(m.original.members[0])
	}},
	{"a move of all coordinators", func(m *mirrorRun) { m.moveCoordinators() }},
	{"kill -9 of a process of MirrorMaker and of the transaction coordinator", func(m *mirrorRun) {
		b := m.transactionCoordinator()
		b.process().Kill()
		m.killMirrorMaker()
		m.restart(b)
	}},
	{"a leader of the mirror stopped cleanly", func(m *mirrorRun) { m.stopBroker(m.leaderOf(mirrorTopic, 0)) }},
	{"the transaction coordinator asleep for longer than its session", func(m *mirrorRun) { m.pauseBroker(m.transactionCoordinator()) }},
}

func playMirror(t *testing.T, kind string) {
	log := timedLog(t)
	m := newMirrorRun(t, kind)
	log("the clusters run")
	m.startMirrorMaker()
	m.startMirrorMaker()
	m.awaitProgress()
	log("%s", m)
	for _, fault := range mirrorFaults {
		fault.strike(m)
		m.awaitProgress()
		m.awaitAllInSync()
		m.commitAndCompare(false)
		log("%s: %s", fault.name, m)
	}
	m.feed.stop()
	m.awaitProgress()
	m.commitAndCompare(true)
	want := readCommittedRecords(t, m.original.members[0], "in", mirrorPartitions)
	for _, b := range m.members {
		for p, got := range readCommittedRecords(t, b, mirrorTopic, mirrorPartitions) {
			if difference := firstDifference(mirrorLines(got), mirrorLines(want[p])); difference != "" {
				t.Errorf("%s-%d of %s differs from the original: %s", mirrorTopic, p, b, difference)
			}
		}
	}
	for _, p := range m.processes {
		if !p.Stop(time.Minute) {
			t.Errorf("%s did not stop:\n%s", p.Name, ending(p.Output()))
		}
	}
	m.awaitSameBytes(mirrorTopic, mirrorPartitions, m.members...)
	m.checkHealthy()
	log("verified %s", m)
}

const (
	mirrorTopic      = "a.in"
	mirrorPartitions = 3
	mirrorGroup      = "readers"
)

// mirrorLines formats records without their offsets.
func mirrorLines(records []*kgo.Record) (lines []string) {
	for _, r := range records {
		_, line, _ := strings.Cut(recordLine(r), " ")
		lines = append(lines, line)
	}
	return lines
}

// mirrorRun is a cluster of three of our brokers to which MirrorMaker mirrors another one.
type mirrorRun struct {
	*exactlyOnce
	original  *cluster // of one broker
	jars      *testkit.Kafka
	started   int
	processes []*testkit.Process
	feed      *transactionFeed
	written   *committedReader // of the original
	mirrored  *committedReader
}

func newMirrorRun(t *testing.T, kind string) *mirrorRun {
	t.Helper()
	m := &mirrorRun{
		jars:        testkit.RealKafka(t, "3.9.1").With(t, "connect"),
		original:    newCluster(t, append(slices.Clone(quick), "auto.create.topics.enable=false", "group.initial.rebalance.delay.ms=0", "offsets.topic.num.partitions=2", "transaction.state.log.num.partitions=2", "offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1"), kind),
		exactlyOnce: newExactlyOnce(t, []string{"ours", "ours", "ours"}, "a-mm2-", map[string]int32{}),
	}
	m.original.createTopic("in", [][]int32{{1}, {1}, {1}}, "retention.ms=-1")
	m.feed = startTransactionFeed(t, m.original, "in", mirrorPartitions)
	m.written = readCommittedTopics(t, m.original.patient(), "in")
	return m
}

func (m *mirrorRun) String() string {
	return fmt.Sprintf("%d records, %d mirrored", m.written.count(), m.mirrored.count())
}

// startMirrorMaker starts one more process of MirrorMaker.
func (m *mirrorRun) startMirrorMaker() {
	m.t.Helper()
	m.started++
	properties := testkit.WriteFile(m.t, "mm2.properties", strings.Join([]string{
		"clusters=a,b",
		"a.bootstrap.servers=" + strings.Join(m.original.addresses(), ","),
		"b.bootstrap.servers=" + strings.Join(m.addresses(), ","),
		"a->b.enabled=true", "a->b.topics=in", "a->b.groups=" + mirrorGroup, "b->a.enabled=false",
		"replication.factor=3", "checkpoints.topic.replication.factor=3", "heartbeats.topic.replication.factor=3", "offset-syncs.topic.replication.factor=1",
		"config.storage.replication.factor=3", "offset.storage.replication.factor=3", "status.storage.replication.factor=3",
		"a.consumer.isolation.level=" + committed,
		"b.exactly.once.source.support=enabled", "dedicated.mode.enable.internal.rest=true",
		fmt.Sprintf("listeners=http://127.0.0.1:%d", testkit.FreePort(m.t)),
		"sync.group.offsets.enabled=true", "sync.group.offsets.interval.seconds=1", "emit.checkpoints.interval.seconds=1", "offset.lag.max=0",
		"refresh.topics.interval.seconds=5", "refresh.groups.interval.seconds=2", "tasks.max=3",
		"b.session.timeout.ms=4000", "b.heartbeat.interval.ms=500", "b.scheduled.rebalance.max.delay.ms=0", "b.offset.flush.interval.ms=1000",
		"a.metadata.max.age.ms=5000", "b.metadata.max.age.ms=5000",
		"plugin.discovery=service_load",
	}, "\n")+"\n")
	m.processes = append(m.processes, startApplication(m.t, fmt.Sprintf("MirrorMaker %d", m.started),
		m.jars.Command(m.t, "-Xmx384m", "org.apache.kafka.connect.mirror.MirrorMaker", properties, "--clusters", "b")))
	if m.topics[mirrorTopic] == 0 { // MirrorMaker creates it
		m.awaitMetadata("the topic "+mirrorTopic, func(resp *kmsg.MetadataResponse) bool {
			return slices.ContainsFunc(resp.Topics, func(rt kmsg.MetadataResponseTopic) bool {
				return *rt.Topic == mirrorTopic && len(rt.Partitions) == mirrorPartitions
			})
		})
		m.topics[mirrorTopic] = mirrorPartitions
		m.mirrored = readCommittedTopics(m.t, m.patient(), mirrorTopic)
	}
}

func (m *mirrorRun) killMirrorMaker() {
	m.t.Helper()
	m.processes[0].Kill()
	m.processes = m.processes[1:]
	m.startMirrorMaker()
}

// awaitProgress waits until as many records are mirrored as the original has now.
func (m *mirrorRun) awaitProgress() {
	m.t.Helper()
	n := m.feed.count()
	testkit.Eventually(m.t, 3*time.Minute, fmt.Sprintf("%d records to be written", n), func() bool { return m.written.count() >= n })
	n = m.written.count()
	testkit.Eventually(m.t, 3*time.Minute, fmt.Sprintf("%d records to be mirrored", n), func() bool {
		checkRunning(m.t, m.processes...)
		return m.mirrored.count() >= n
	})
}

// commitAndCompare commits the end of the original as the position of the group, waits until the
// group has offsets in the mirror, and compares the numbers of records before both positions. The
// position in the mirror must not be later. At the end, when nothing more is written, it must become
// the same.
func (m *mirrorRun) commitAndCompare(atEnd bool) {
	m.t.Helper()
	original := m.before(m.original.members[0], "in", m.commit())
	m.t.Logf("the group has read %v records of the original", original)
	var mirror [mirrorPartitions]int
	if !within(2*time.Minute, func() bool {
		offsets := m.offsets(m.cluster, mirrorTopic)
		if offsets == nil {
			return false
		}
		mirror = m.before(m.members[0], mirrorTopic, offsets)
		for p := range mirror {
			if mirror[p] > original[p] {
				m.t.Fatalf("the group's position in the mirror skips records of partition %d: %v of %v", p, mirror, original)
			}
		}
		return !atEnd || mirror == original
	}) {
		m.t.Fatalf("the group's position in the mirror: %v of %v records", mirror, original)
	}
	m.t.Logf("and %v of the mirror", mirror)
}

// commit commits the last stable offsets of the original for the group, and returns them.
func (m *mirrorRun) commit() (offsets map[int32]int64) {
	m.t.Helper()
	m.original.admin(func(ctx context.Context, client *kgo.Client) error {
		admin := kadm.NewClient(client)
		listed, err := admin.ListCommittedOffsets(ctx, "in")
		if err != nil {
			return err
		}
		offsets = map[int32]int64{}
		listed.Each(func(o kadm.ListedOffset) { offsets[o.Partition] = o.Offset })
		return admin.CommitAllOffsets(ctx, mirrorGroup, listed.Offsets())
	})
	return offsets
}

// offsets returns the group's offsets in a cluster, nil if a partition has none.
func (m *mirrorRun) offsets(c *cluster, topic string) map[int32]int64 {
	m.t.Helper()
	offsets := map[int32]int64{}
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		fetched, err := kadm.NewClient(client).FetchOffsets(ctx, mirrorGroup)
		fetched.Each(func(o kadm.OffsetResponse) {
			if o.Topic == topic {
				offsets[o.Partition] = o.At
			}
		})
		return err
	})
	if len(offsets) < mirrorPartitions {
		return nil
	}
	return offsets
}

// before returns how many committed records each partition has before an offset.
func (m *mirrorRun) before(b *member, topic string, offsets map[int32]int64) (n [mirrorPartitions]int) {
	m.t.Helper()
	for p, records := range readCommittedRecords(m.t, b, topic, mirrorPartitions) {
		for _, r := range records {
			if r.Offset < offsets[int32(p)] {
				n[p]++
			}
		}
	}
	return n
}

// transactionFeed writes records in transactions, of which it aborts each fourth.
type transactionFeed struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu        sync.Mutex // guards committed
	committed int        // records that are certainly committed
}

func startTransactionFeed(t testing.TB, c *cluster, topic string, partitions int32) *transactionFeed {
	ctx, cancel := context.WithCancel(background())
	f := &transactionFeed{cancel: cancel}
	f.done.Go(func() {
		for n := 0; ctx.Err() == nil; {
			client, err := kgo.NewClient(c.patient(kgo.TransactionalID("feed"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProduceRequestTimeout(4*time.Second))...)
			if err != nil {
				t.Error(err)
				return
			}
			for err == nil && ctx.Err() == nil {
				err = f.transaction(ctx, client, topic, partitions, n)
				n++
			}
			client.Close()
		}
	})
	t.Cleanup(f.stop)
	return f
}

// transaction writes and ends one transaction.
func (f *transactionFeed) transaction(ctx context.Context, client *kgo.Client, topic string, partitions int32, n int) error {
	const size = 10
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	var records []*kgo.Record
	for i := range size {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Key: fmt.Append(nil, n), Value: fmt.Append(nil, n, "-", i),
			Headers: []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, n)}}})
	}
	err := client.ProduceSync(background(), records...).FirstErr()
	commit := err == nil && n%4 != 3
	if ended := client.EndTransaction(background(), kgo.TransactionEndTry(commit)); err != nil || ended != nil {
		return fmt.Errorf("transaction %d: %v, %v", n, err, ended)
	}
	if commit {
		f.mu.Lock()
		f.committed += size
		f.mu.Unlock()
	}
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
	return nil
}

func (f *transactionFeed) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.committed
}

// stop ends the transactions.
func (f *transactionFeed) stop() {
	f.cancel()
	f.done.Wait()
}
