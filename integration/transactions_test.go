package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/peerlink"
)

// A real broker coordinates transactions on partitions and group offsets that our brokers lead, and
// that move between ours and the real one during a transaction. Consumers of every kind read
// exactly what was committed, and the logs are the same on all brokers.
func TestTransactionsOfARealCoordinatorOnOurLeaders(t *testing.T) {
	t.Run("3.9.1", func(t *testing.T) { playTransactions(t, "3.9.1", "3.9") })
	if testkit.FullMatrices() {
		t.Run("2.8.2", func(t *testing.T) { playTransactions(t, "2.8.2", "2.8") })
	}
}

func playTransactions(t *testing.T, release, protocol string) {
	extra := append(mixedCluster{protocol: protocol}.properties(), "offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1",
		"group.initial.rebalance.delay.ms=0", "log.retention.ms=-1") // some records are years old
	c := newCluster(t, extra, "ours", release, "ours")
	c.createTopic("__transaction_state", [][]int32{{2}}, "cleanup.policy=compact")
	c.createTopic("__consumer_offsets", [][]int32{{1, 3, 2}}, "cleanup.policy=compact")
	for _, topic := range []string{"in", "out", "java"} {
		c.createTopic(topic, [][]int32{{1, 2, 3}, {3, 2, 1}}, "min.insync.replicas=2")
		c.awaitInSync(topic, 2, c.ids()...)
	}
	const copied = 600
	fillAt(t, c.addresses(), "in", 0, copied)
	copier := copyInTransactions(t, c)

	x := newTransactor(t, c, "x")
	x.end(true, "kept-0")
	moves := []int32{2, 1}
	if testkit.FullMatrices() {
		moves = []int32{2, 3, 2, 1}
	}
	for i, to := range moves {
		x.begin(fmt.Sprintf("first-%d", i))
		c.leadBy("out", 0, to)
		c.leadBy("__consumer_offsets", 0, to)
		x.end(i%2 == 1, fmt.Sprintf("second-%d", i))
		x.begin(fmt.Sprintf("third-%d", i))
		x.end(i%2 == 0, fmt.Sprintf("fourth-%d", i))
		t.Logf("out-0 and the group are led by %s", c.member(to))
	}
	<-copier.Ended()
	if code := copier.ExitCode(); code != 0 {
		t.Fatalf("the Java copier: exit code %d\n%s", code, ending(copier.Output()))
	}
	if sum := committedOffsets(t, c.member(1).address(), "copier", "in"); sum != copied {
		t.Errorf("the copier has committed %d offsets, want %d", sum, copied)
	}
	y := newTransactor(t, c, "y")
	x.begin("aborted-after-a-crash")
	y.begin("committed-after-a-crash")
	c.crashLeader("out", 1)
	x.end(false, "aborted-by-the-leader-that-came-back")
	y.end(true, "committed-by-the-leader-that-came-back")
	fenceLateProducer(t, c)
	x.end(true, lastRecord)
	x.finish("java", lastRecord)

	var want []string
	for i := range copied {
		want = append(want, fmt.Sprint("r", i))
	}
	for _, m := range c.members {
		checkCommitted(t, m, "out", slices.Concat(x.committed, y.committed))
		checkCommitted(t, m, "java", append(slices.Clone(want), lastRecord, lastRecord))
	}
	for _, topic := range []string{"out", "java", "late"} {
		c.awaitIdentical(topic, 2, c.members...)
		c.compareTxnIndexes(topic, 2)
	}
	c.awaitIdentical("__consumer_offsets", 1, c.members...)
	c.checkHealthy()
	c.compareDumps()
}

// copyInTransactions runs Kafka's own Java copier. It reads "in" as a group, writes to "java",
// commits its offsets in the transactions, and aborts some of them.
func copyInTransactions(t *testing.T, c *cluster) *testkit.Process {
	t.Helper()
	cmd := testkit.RealKafka(t, "3.9.1").Command(t, "-Xmx256m", "org.apache.kafka.tools.TransactionalMessageCopier",
		"--input-topic", "in", "--input-partition", "-1", "--output-topic", "java", "--broker-list", strings.Join(c.addresses(), ","),
		"--consumer-group", "copier", "--transaction-size", "20", "--transactional-id", "copier", "--enable-random-aborts",
		"--group-mode", "--use-group-metadata")
	copier, err := testkit.Start("the transactional copier", cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(copier.Kill)
	return copier
}

// lastRecord is the value that the last transaction writes to each partition of a topic.
const lastRecord = "last"

// transactor is a transactional producer that remembers what it committed.
type transactor struct {
	t         *testing.T
	client    *kgo.Client
	topic     string
	open      []string
	committed []string
}

func newTransactor(t *testing.T, c *cluster, id string) *transactor {
	t.Helper()
	client, err := kgo.NewClient(c.patient(kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProduceRequestTimeout(4*time.Second), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &transactor{t: t, client: client, topic: "out"}
}

// begin begins a transaction if none is open and writes the value to both partitions.
func (x *transactor) begin(value string) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if x.open == nil {
		if err := x.client.BeginTransaction(); err != nil {
			x.t.Fatal(err)
		}
	}
	for p := range int32(2) {
		if err := x.client.ProduceSync(ctx, &kgo.Record{Topic: x.topic, Partition: p, Value: []byte(value)}).FirstErr(); err != nil {
			x.t.Fatalf("%s to %s-%d: %v", value, x.topic, p, err)
		}
		x.open = append(x.open, value)
	}
}

// end writes the value too and ends the transaction.
func (x *transactor) end(commit bool, value string) {
	x.t.Helper()
	x.begin(value)
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := x.client.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		x.t.Fatalf("end of the transaction of %v: %v", x.open, err)
	}
	if commit {
		x.committed = append(x.committed, x.open...)
	}
	x.open = nil
}

// finish writes the last transaction to another topic.
func (x *transactor) finish(topic, value string) {
	x.t.Helper()
	committed := x.committed
	x.topic = topic
	x.end(true, value)
	x.topic, x.committed = "out", committed
}

// leadBy makes a member the preferred leader of a partition on all members, and then its leader.
func (c *cluster) leadBy(topic string, partition, id int32) {
	c.t.Helper()
	replicas := []int32{id}
	for _, m := range c.others(c.member(id)) {
		replicas = append(replicas, m.id)
	}
	c.leadFirst(topic, partition, replicas...)
}

// leadFirst makes the first of a partition's replicas its preferred leader and then its leader.
func (c *cluster) leadFirst(topic string, partition int32, replicas ...int32) {
	c.t.Helper()
	id := replicas[0]
	c.awaitState(topic, partition, "all in sync", func(s partitionState) bool { return len(s.ISR) == len(replicas) })
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign(topic, partition, replicas)
		admin := kadm.NewClient(client)
		resp, err := admin.AlterPartitionAssignments(ctx, req)
		if err == nil {
			err = resp.Error()
		}
		return err
	})
	testkit.Eventually(c.t, 30*time.Second, fmt.Sprintf("%s-%d to be led by %d", topic, partition, id), func() bool {
		c.admin(func(ctx context.Context, client *kgo.Client) error {
			var set kadm.TopicsSet
			set.Add(topic, partition)
			_, err := kadm.NewClient(client).ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
			return err
		})
		s, _ := c.state(topic, partition)
		return s.Leader == id
	})
}

// crashLeader kills a member while it leads, restarts it, and makes it the leader of the topic's
// first partition again. Its knowledge of open transactions is then what it rebuilt from its disk.
func (c *cluster) crashLeader(topic string, id int32) {
	c.t.Helper()
	m := c.member(id)
	c.leadBy(topic, 0, id)
	m.process().Kill()
	c.restart(m)
	c.awaitInSync(topic, 2, c.ids()...)
	c.leadBy(topic, 0, id)
}

// fenceLateProducer aborts a producer's transaction with a second producer that has the same
// transactional id. Our leader must then refuse the late records of the first one as a real leader
// does.
func fenceLateProducer(t *testing.T, c *cluster) {
	t.Helper()
	c.createTopic("late", [][]int32{{1, 2, 3}, {2, 1, 3}}, "min.insync.replicas=2")
	coordinator := link(t, c.member(2).address())
	initialize := func() (id int64, epoch int16) {
		t.Helper()
		testkit.Eventually(t, 30*time.Second, "the coordinator to return a producer id", func() bool {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.Version, req.TransactionalID, req.TransactionTimeoutMillis = 4, kmsg.StringPtr("late"), 60000
			resp, err := coordinator.Do(background(), req)
			if err != nil {
				t.Fatal(err)
			}
			answer := resp.(*kmsg.InitProducerIDResponse)
			id, epoch = answer.ProducerID, answer.ProducerEpoch
			return answer.ErrorCode == 0
		})
		return id, epoch
	}
	id, epoch := initialize()
	req := addPartitionsRequest("late", id, epoch, "late", 0, 1)
	req.Version = 3
	resp, err := coordinator.Do(background(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range resp.(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions {
		if p.ErrorCode != 0 {
			t.Fatalf("late-%d cannot be added to the transaction: error %d", p.Partition, p.ErrorCode)
		}
	}
	leaders := []*peerlink.Link{link(t, c.member(1).address()), coordinator}
	produce := func(what string, sequence int32, want int16) {
		t.Helper()
		for p, leader := range leaders {
			req := produceRequest("late", int32(p), transactionalBatch(id, epoch, sequence), 9)
			req.TransactionID = kmsg.StringPtr("late")
			resp, err := leader.Do(background(), req)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; got != want {
				t.Errorf("%s to late-%d, led by %s: error %d, want %d", what, p, c.member(int32(p+1)), got, want)
			}
		}
	}
	produce("a record", 0, 0)
	if next, bumped := initialize(); next == id && bumped <= epoch {
		t.Errorf("the next producer has epoch %d after %d", bumped, epoch)
	}
	const invalidProducerEpoch = 47
	produce("a late record", 1, invalidProducerEpoch)
	produce("a record sent again", 0, invalidProducerEpoch)
}

// checkCommitted reads a topic with read_committed through a member, with three clients, and
// compares what they read with what was committed.
func checkCommitted(t *testing.T, m *member, topic string, want []string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	check := func(who string, got []string) {
		t.Helper()
		slices.Sort(got)
		if difference := firstDifference(got, want); difference != "" {
			t.Errorf("%s through %s, %s: %d records, want %d: %s", topic, m, who, len(got), len(want), difference)
		}
	}
	check("franz-go", readCommitted(t, m.address(), topic))
	out, errs, code := testkit.Run(t, 60*time.Second, "", exec.Command("kcat", "-C", "-b", m.address(), "-t", topic, "-X", "isolation.level=read_committed",
		"-o", "beginning", "-e", "-q", "-f", "%s\n"))
	if code != 0 {
		t.Errorf("kcat: exit code %d\n%s", code, errs)
	}
	check("librdkafka", strings.Fields(out))
	if m.id != 1 || topic != "out" {
		return // once is enough for the JVM, which starts slowly
	}
	out, errs, code = testkit.RealKafka(t, "3.9.1").Run(t, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", m.address(), "--topic", topic,
		"--isolation-level", "read_committed", "--from-beginning", "--timeout-ms", "15000")
	if code != 0 {
		t.Errorf("ConsoleConsumer: exit code %d\n%s", code, errs)
	}
	check("Java", strings.Fields(out))
}

// readCommitted reads both partitions up to their last records.
func readCommitted(t *testing.T, address, topic string) (values []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(address), kgo.FetchMaxWait(100*time.Millisecond), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart(), 1: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for ends := 0; ends < 2; {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("reading %s through %s did not reach its end: %d records", topic, address, len(values))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			values = append(values, string(r.Value))
			if string(r.Value) == lastRecord {
				ends++
			}
		})
	}
	return values
}

// compareTxnIndexes compares the transaction indexes of all members. They must not be empty, except
// in the topic of the client that aborts at random.
func (c *cluster) compareTxnIndexes(topic string, partitions int32) {
	c.t.Helper()
	for p := range partitions {
		var first []byte
		for i, m := range c.members {
			var all []byte
			files, _ := filepath.Glob(filepath.Join(m.dir, fmt.Sprintf("%s-%d", topic, p), "*.txnindex"))
			slices.Sort(files)
			for _, file := range files {
				data, err := os.ReadFile(file)
				if err != nil {
					c.t.Fatal(err)
				}
				all = append(all, data...)
			}
			if i == 0 {
				first = all
			}
			if !bytes.Equal(all, first) {
				c.t.Errorf("the transaction indexes of %s-%d differ: %s has %d bytes, %s has %d", topic, p, m, len(all), c.members[0], len(first))
			}
			if len(all) == 0 && topic != "java" { // with random aborts, a partition may have none
				c.t.Errorf("the transaction index of %s-%d of %s is empty", topic, p, m)
			}
		}
	}
}
