package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// exactlyOnceProperties are properties of brokers whose clients' failures are noticed soon: dead
// members of groups and the open transactions of dead producers.
var exactlyOnceProperties = append(slices.Clone(quick), "min.insync.replicas=2",
	"offsets.topic.replication.factor=3", "offsets.topic.num.partitions=2", "group.initial.rebalance.delay.ms=0", "group.min.session.timeout.ms=1000",
	"transaction.state.log.replication.factor=3", "transaction.state.log.num.partitions=2", "transaction.state.log.min.isr=2",
	"transaction.abort.timed.out.transaction.cleanup.interval.ms=500", "auto.create.topics.enable=false")

const internalPartitions = 2 // of __consumer_offsets and of __transaction_state

// exactlyOnce is a cluster of three brokers with an application that writes in transactions.
type exactlyOnce struct {
	*cluster
	prefix string           // of the application's transactional ids
	topics map[string]int32 // the application's topics and how many partitions they have
}

// newExactlyOnce starts the brokers and creates the application's topics. more are further properties
// of the brokers.
func newExactlyOnce(t *testing.T, kinds []string, prefix string, topics map[string]int32, more ...string) *exactlyOnce {
	t.Helper()
	e := &exactlyOnce{cluster: newCluster(t, append(slices.Clone(exactlyOnceProperties), more...), kinds...), prefix: prefix, topics: topics}
	for topic, partitions := range topics {
		e.createTopic(topic, [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}}[:partitions])
	}
	return e
}

func (e *exactlyOnce) killBroker(m *member) {
	e.t.Helper()
	m.process().Kill()
	e.restart(m)
}

// stopBroker stops a broker cleanly and starts it again.
func (e *exactlyOnce) stopBroker(m *member) {
	e.t.Helper()
	m.stop()
	e.restart(m)
}

// pauseBroker pauses a broker for longer than its session lasts.
func (e *exactlyOnce) pauseBroker(m *member) {
	e.t.Helper()
	m.process().Signal(sigStop)
	e.tree.awaitGone(fmt.Sprintf("/brokers/ids/%d", m.id), 30*time.Second)
	m.process().Signal(sigCont)
}

// moveCoordinators makes another broker the leader of each partition of the coordinators' topics.
func (e *exactlyOnce) moveCoordinators() {
	e.t.Helper()
	for _, topic := range []string{"__transaction_state", "__consumer_offsets"} {
		for p := range int32(internalPartitions) {
			e.leadBy(topic, p, e.others(e.leaderOf(topic, p))[0].id)
		}
	}
}

// leaderOf waits until a partition has a leader, and returns it.
func (c *cluster) leaderOf(topic string, partition int32) *member {
	c.t.Helper()
	return c.member(c.awaitState(topic, partition, "a leader", func(s partitionState) bool { return s.Leader >= 0 }).Leader)
}

// transactionCoordinator waits until the application has an open transaction, and returns the
// broker that coordinates it.
func (e *exactlyOnce) transactionCoordinator() (found *member) {
	e.t.Helper()
	testkit.Eventually(e.t, time.Minute, "an open transaction of the application", func() bool {
		for _, m := range e.members {
			if openTransaction(e.t, m, e.prefix) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// openTransaction reports whether a broker coordinates an open transaction whose id has the
// prefix.
func openTransaction(t testing.TB, m *member, prefix string) bool {
	l := link(t, m.address())
	defer l.Close()
	req := kmsg.NewPtrListTransactionsRequest()
	req.SetVersion(0)
	req.StateFilters = []string{"Ongoing"}
	resp, err := l.Do(background(), req)
	return err == nil && slices.ContainsFunc(resp.(*kmsg.ListTransactionsResponse).TransactionStates, func(state kmsg.ListTransactionsResponseTransactionState) bool {
		return strings.HasPrefix(state.TransactionalID, prefix)
	})
}

// awaitAllInSync waits until all replicas of the application's and the coordinators' topics are in
// sync.
func (e *exactlyOnce) awaitAllInSync() {
	e.t.Helper()
	for topic, partitions := range e.topics {
		e.awaitInSync(topic, partitions, e.ids()...)
	}
	for _, topic := range []string{"__transaction_state", "__consumer_offsets"} {
		e.awaitInSync(topic, internalPartitions, e.ids()...)
	}
}

// startApplication starts a process of the application. Its output is kept if the test fails.
func startApplication(t testing.TB, name string, cmd *exec.Cmd) *testkit.Process {
	t.Helper()
	p, err := testkit.Start(name, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			file := filepath.Join(os.TempDir(), fmt.Sprintf("monedula-failed-application-%d-%d.log", os.Getpid(), p.Cmd.Process.Pid))
			_ = os.WriteFile(file, []byte(p.Output()), 0o644)
			t.Logf("the output of %s is in %s", p.Name, file)
		}
	})
	return p
}

// checkRunning fails the test if a process has ended.
func checkRunning(t testing.TB, processes ...*testkit.Process) {
	t.Helper()
	for _, p := range processes {
		select {
		case <-p.Ended():
			t.Fatalf("%s has ended:\n%s", p.Name, ending(p.Output()))
		default:
		}
	}
}

// committedReader reads topics with read_committed.
type committedReader struct {
	mu     sync.Mutex // guards the fields below
	total  int
	values map[string]map[string][]string // the values of each key of each topic in the order of the log
}

// readCommittedTopics starts to read topics from their beginning.
func readCommittedTopics(t testing.TB, opts []kgo.Opt, topics ...string) *committedReader {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	r := &committedReader{values: map[string]map[string][]string{}}
	for _, topic := range topics {
		r.values[topic] = map[string][]string{}
	}
	ctx, cancel := context.WithCancel(background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			client.PollFetches(ctx).EachRecord(r.add)
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
		client.Close()
	})
	return r
}

func (r *committedReader) add(record *kgo.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := r.values[record.Topic]
	keys[string(record.Key)] = append(keys[string(record.Key)], string(record.Value))
	r.total++
}

func (r *committedReader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// hasNumbers reports whether the numbers from one to before another are keys of a topic.
func (r *committedReader) hasNumbers(topic string, from, to int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := from; id < to; id++ {
		if len(r.values[topic][fmt.Sprint(id)]) == 0 {
			return false
		}
	}
	return true
}

// await waits until n records have been read.
func (r *committedReader) await(t testing.TB, n int) {
	t.Helper()
	if !within(2*time.Minute, func() bool { return r.count() >= n }) {
		t.Errorf("%d records, want %d", r.count(), n)
	}
}

// readCommittedRecords reads the partitions of a topic from a broker, from their start to their last
// stable offset.
func readCommittedRecords(t testing.TB, m *member, topic string, partitions int32) [][]*kgo.Record {
	t.Helper()
	starts := map[int32]kgo.Offset{}
	for p := range partitions {
		starts[p] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(m.address()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}), kgo.FetchMaxWait(100*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	ends := map[int32]int64{}
	listed, err := kadm.NewClient(client).ListCommittedOffsets(ctx, topic)
	if err = errors.Join(err, listed.Error()); err != nil {
		t.Fatalf("the last stable offsets of %s: %v", topic, err)
	}
	listed.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			ends[o.Partition] = o.Offset
		}
	})
	records := make([][]*kgo.Record, partitions)
	for len(ends) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("reading %s from %s did not reach the offsets %v", topic, m, ends)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records[r.Partition] = append(records[r.Partition], r)
			}
			if r.Offset >= ends[r.Partition]-1 {
				delete(ends, r.Partition)
			}
		})
	}
	return records
}

// numberFeed writes one record for each number from 0 to each of its topics.
type numberFeed struct {
	t      testing.TB
	client *kgo.Client
	topics []string
	cancel context.CancelFunc
	done   sync.WaitGroup
	began  time.Time

	mu   sync.Mutex // guards next and errs
	next int
	errs []error
}

// timestamp returns the timestamp of the records with a number. Event time is five times as fast as
// the feed, so results are spread over many windows.
func (f *numberFeed) timestamp(id int) time.Time {
	return f.began.Add(time.Duration(id) * 100 * time.Millisecond)
}

func startNumberFeed(t testing.TB, opts []kgo.Opt, topics []string, perSecond int) *numberFeed {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.ProduceRequestTimeout(4*time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(background())
	f := &numberFeed{t: t, client: client, topics: topics, cancel: cancel, began: time.Now().Truncate(time.Second)}
	f.done.Go(func() { f.write(ctx, time.Second/time.Duration(perSecond)) })
	t.Cleanup(func() {
		cancel()
		client.Close()
		f.done.Wait()
	})
	return f
}

func (f *numberFeed) write(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		id := f.next
		f.next++
		f.mu.Unlock()
		for _, topic := range f.topics {
			text := []byte(fmt.Sprint(id))
			f.client.Produce(background(), &kgo.Record{Topic: topic, Key: text, Value: text, Timestamp: f.timestamp(id)}, func(_ *kgo.Record, err error) {
				if err != nil {
					f.mu.Lock()
					f.errs = append(f.errs, err)
					f.mu.Unlock()
				}
			})
		}
	}
}

func (f *numberFeed) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

// stop waits until everything is written, and returns the number of records of each topic.
func (f *numberFeed) stop() int {
	f.t.Helper()
	f.cancel()
	f.done.Wait()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := errors.Join(append(f.errs, f.client.Flush(ctx))...); err != nil {
		f.t.Fatalf("writing the numbers: %v", err)
	}
	return f.next
}
