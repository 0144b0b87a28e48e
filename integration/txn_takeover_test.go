package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/transaction"
)

// takeoverProperties are properties of the brokers that succeed one another.
var takeoverProperties = []string{"transaction.state.log.num.partitions=1", "offsets.topic.num.partitions=1",
	"transaction.abort.timed.out.transaction.cleanup.interval.ms=500"}

// Each topic has one partition. The slow producer writes only to the last one.
var takeoverTopics = []string{"shared-a", "shared-b", "alone"}

// slowTimeout is the timeout of the transactions that the successor aborts.
const slowTimeout = 5 * time.Second

// takeovers are transactions in all states on one broker. The broker is stopped, and another kind of
// broker continues with its directory, its port and its ZooKeeper, several times.
//
// An open transaction of each codec writes to both shared topics and has pending offsets; the others
// are named by what becomes of them.
type takeovers struct {
	t         testing.TB
	address   string
	link      *peerlink.Link
	round     int
	producers map[string]*takeoverProducer
	records   map[string][]*takeoverRecord // of each topic, in order
	committed map[string]int64             // the committed offset of each group
}

// takeoverProducer is a transactional producer. Its transactional id and its group have its name.
type takeoverProducer struct {
	client  *kgo.Client
	open    []*takeoverRecord
	pending int64 // the offset of its group in the open transaction; 0: none
}

// takeoverRecord is a record and what became of its transaction.
type takeoverRecord struct {
	topic string
	*kgo.Record
	ended, committed bool
}

// newTakeovers creates the topics whose partition has no leader, one for each round, before the
// first broker starts. Their only in-sync replica is a broker that does not exist.
func newTakeovers(t testing.TB, z *tree, address string, rounds int) *takeovers {
	t.Helper()
	for _, path := range []string{"/brokers", "/brokers/topics"} {
		z.create(path, nil)
	}
	for round := 1; round <= rounds; round++ {
		path := "/brokers/topics/" + heldTopic(round)
		z.create(path, []byte(`{"version":2,"partitions":{"0":[0,9]},"adding_replicas":{},"removing_replicas":{}}`))
		z.create(path+"/partitions", nil)
		z.create(path+"/partitions/0", nil)
		z.create(path+"/partitions/0/state", []byte(`{"controller_epoch":0,"leader":-1,"version":1,"leader_epoch":0,"isr":[9]}`))
	}
	return &takeovers{t: t, address: address, link: link(t, address), producers: map[string]*takeoverProducer{},
		records: map[string][]*takeoverRecord{}, committed: map[string]int64{}}
}

func heldTopic(round int) string { return fmt.Sprint("held-", round) }

// create creates the topics.
func (k *takeovers) create() {
	k.t.Helper()
	admin := adminOf(k.t, k.address)
	if _, err := admin.CreateTopics(background(), 1, 1, nil, takeoverTopics...); err != nil {
		k.t.Fatal(err)
	}
	for kind := range int8(2) {
		awaitCoordinator(&side{link: k.link}, kind)
	}
}

// producer returns the producer with the name, and creates it if it does not exist.
func (k *takeovers) producer(name string) *takeoverProducer {
	k.t.Helper()
	if k.producers[name] == nil {
		compression, timeout := kgo.NoCompression(), 10*time.Minute
		for i, codec := range codecs {
			if name == codec {
				compression = []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}[i]
			}
		}
		if name == "slow" {
			timeout = slowTimeout
		}
		client, err := kgo.NewClient(patient(kgo.SeedBrokers(k.address), kgo.TransactionalID(name), kgo.TransactionTimeout(timeout), kgo.UnknownTopicRetries(-1),
			kgo.ProduceRequestTimeout(4*time.Second), kgo.ProducerBatchCompression(compression))...)
		if err != nil {
			k.t.Fatal(err)
		}
		k.t.Cleanup(client.Close)
		k.producers[name] = &takeoverProducer{client: client}
	}
	return k.producers[name]
}

// write begins a transaction if none is open, and writes a batch of three records to each topic.
func (k *takeovers) write(name string, topics ...string) {
	k.t.Helper()
	x := k.producer(name)
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if x.open == nil {
		if err := x.client.BeginTransaction(); err != nil {
			k.t.Fatal(err)
		}
	}
	for _, topic := range topics {
		var batch []*kgo.Record
		for i := range 3 {
			value := strings.Repeat(fmt.Sprintf("%s-%d-%d-%d ", name, k.round, len(k.records[topic]), i), 5)
			batch = append(batch, &kgo.Record{Topic: topic, Value: []byte(value), Timestamp: time.UnixMilli(time.Now().UnixMilli())})
		}
		results := x.client.ProduceSync(ctx, batch...)
		if err := results.FirstErr(); err != nil {
			k.t.Fatalf("round %d: %s writes to %s: %v", k.round, name, topic, err)
		}
		for _, result := range results {
			r := &takeoverRecord{topic: topic, Record: result.Record}
			x.open, k.records[topic] = append(x.open, r), append(k.records[topic], r)
		}
	}
}

// end ends a transaction.
func (k *takeovers) end(name string, commit bool) {
	k.t.Helper()
	x := k.producers[name]
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := x.client.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		k.t.Fatalf("round %d: the end of the transaction of %s: %v", k.round, name, err)
	}
	k.ended(name, commit)
}

// ended remembers how a transaction ended.
func (k *takeovers) ended(name string, committed bool) {
	x := k.producers[name]
	for _, r := range x.open {
		r.ended, r.committed = true, committed
	}
	if committed && x.pending > 0 {
		k.committed[name] = x.pending
	}
	x.open, x.pending = nil, 0
}

// ask repeats a request until it is answered without an error.
func (k *takeovers) ask(what string, req kmsg.Request, code func(kmsg.Response) int16) {
	k.t.Helper()
	last := int16(-1)
	if !within(30*time.Second, func() bool {
		resp, err := k.link.Do(background(), req)
		if err == nil {
			last = code(resp)
		}
		return last == 0
	}) {
		k.t.Fatalf("round %d: %s: error %d", k.round, what, last)
	}
}

// commitOffset commits an offset of the producer's group in its transaction.
func (k *takeovers) commitOffset(name string, offset int64) {
	k.t.Helper()
	x := k.producers[name]
	id, epoch, err := x.client.ProducerID(background())
	if err != nil {
		k.t.Fatal(err)
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.Version, add.TransactionalID, add.Group, add.ProducerID, add.ProducerEpoch = 3, name, name, id, epoch
	k.ask("add offsets of "+name, add, func(r kmsg.Response) int16 { return r.(*kmsg.AddOffsetsToTxnResponse).ErrorCode })
	commit := txnCommitRequest(id, offset)
	commit.Version, commit.TransactionalID, commit.Group, commit.ProducerEpoch, commit.Topics[0].Topic = 3, name, name, epoch, takeoverTopics[0]
	k.ask("commit offsets of "+name, commit, func(r kmsg.Response) int16 {
		return r.(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
	})
	x.pending = offset
}

// addHeld adds the partition without a leader to a transaction, which thus cannot be completed.
func (k *takeovers) addHeld(name string) {
	k.t.Helper()
	id, epoch, err := k.producers[name].client.ProducerID(background())
	if err != nil {
		k.t.Fatal(err)
	}
	req := addPartitionsRequest(name, id, epoch, heldTopic(k.round), 0)
	req.Version = 3
	k.ask("add a partition without a leader", req, func(r kmsg.Response) int16 {
		return r.(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions[0].ErrorCode
	})
}

// prepare brings a transaction into each state. The broker is to be stopped next.
func (k *takeovers) prepare() {
	k.t.Helper()
	k.round++
	for _, commit := range []bool{true, false} {
		k.write("ended", "shared-a", "shared-b")
		k.end("ended", commit)
		k.awaitState("ended", completed(commit)) // the marker is below the open transactions, so readers at the last stable offset see it
	}
	for i, codec := range codecs {
		k.write(codec, "shared-a", "shared-b")
		k.commitOffset(codec, int64(100*k.round+i))
	}
	for i, name := range []string{"committing", "aborting"} {
		k.write(name, "shared-a")
		k.commitOffset(name, int64(100*k.round+10+i))
		k.addHeld(name)
		k.end(name, name == "committing")
	}
	k.write("fenced", "shared-b")
	k.check("before the stop")
	k.awaitStates("before the stop")
	k.write("slow", "alone")
}

// resume continues with each transaction on the next broker.
func (k *takeovers) resume() {
	k.t.Helper()
	k.check("after the start")
	for i, codec := range codecs {
		k.write(codec, "shared-b", "shared-a")
		k.end(codec, k.commits(i))
	}
	k.fence()
	k.awaitTimeout()
	k.awaitStates("with a partition that has no leader")
	k.lead(heldTopic(k.round))
	k.awaitStates("at the end")
	k.check("at the end")
}

// commits reports whether the transaction of the codec is committed in this round.
func (k *takeovers) commits(codec int) bool { return (k.round+codec)%2 == 0 }

// fence begins a transaction with the id of another producer, whose transaction is thereby aborted.
func (k *takeovers) fence() {
	k.t.Helper()
	former := k.producers["fenced"]
	k.ended("fenced", false)
	delete(k.producers, "fenced")
	k.write("fenced", "shared-a")
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := former.client.ProduceSync(ctx, &kgo.Record{Topic: "shared-b", Value: []byte("late")}).FirstErr(); err == nil {
		k.t.Errorf("round %d: the fenced producer still writes", k.round)
	}
	former.client.Close()
	k.end("fenced", true)
	delete(k.producers, "fenced")
}

// awaitTimeout waits until the transaction of the slow producer is aborted.
func (k *takeovers) awaitTimeout() {
	k.t.Helper()
	k.awaitState("slow", transaction.CompleteAbort)
	x := k.producers["slow"]
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := x.client.EndTransaction(ctx, kgo.TryCommit); err == nil {
		k.t.Errorf("round %d: a transaction was committed after its timeout", k.round)
	}
	k.ended("slow", false)
	x.client.Close()
	delete(k.producers, "slow")
}

// lead makes the broker the leader of a topic's partition, though it is not in sync.
func (k *takeovers) lead(topic string) {
	k.t.Helper()
	admin := adminOf(k.t, k.address)
	testkit.Eventually(k.t, 30*time.Second, topic+" to have a leader", func() bool {
		var set kadm.TopicsSet
		set.Add(topic, 0)
		_, err := admin.ElectLeaders(background(), kadm.ElectLiveReplica, set)
		if err != nil {
			return false
		}
		details, err := admin.ListTopics(background(), topic)
		return err == nil && details[topic].Partitions[0].Leader == 0
	})
}

// wanted returns the state that each transactional id must have, except for that of the slow producer.
// The decided transactions are complete once their last partition has a leader.
func (k *takeovers) wanted(complete bool) map[string]transaction.State {
	want := map[string]transaction.State{"ended": transaction.CompleteAbort, "committing": transaction.PrepareCommit, "aborting": transaction.PrepareAbort,
		"fenced": transaction.CompleteCommit}
	if complete {
		want["committing"], want["aborting"] = transaction.CompleteCommit, transaction.CompleteAbort
	}
	for name, x := range k.producers {
		if x.open != nil {
			want[name] = transaction.Ongoing
		}
	}
	for i, codec := range codecs {
		if k.producers[codec].open == nil {
			want[codec] = completed(k.commits(i))
		}
	}
	return want
}

// awaitStates waits until the last records of all ids but the slow one have the states that they must
// have.
func (k *takeovers) awaitStates(when string) {
	k.t.Helper()
	want := k.wanted(when == "at the end")
	var have map[string]transaction.State
	if !within(time.Minute, func() bool {
		have = storedStates(k.t, patient(kgo.SeedBrokers(k.address)))
		delete(have, "slow")
		return maps.Equal(have, want)
	}) {
		k.t.Fatalf("round %d, %s: the states are %v, want %v", k.round, when, have, want)
	}
}

// awaitState waits until the last record of an id has the state.
func (k *takeovers) awaitState(name string, state transaction.State) {
	k.t.Helper()
	testkit.Eventually(k.t, time.Minute, fmt.Sprintf("%s to be in state %s", name, state), func() bool {
		return storedStates(k.t, patient(kgo.SeedBrokers(k.address)))[name] == state
	})
}

// firstOpen returns the first offset of the open transactions of a topic, -1 if there is none.
func (k *takeovers) firstOpen(topic string) int64 {
	for _, r := range k.records[topic] {
		if !r.ended {
			return r.Offset
		}
	}
	return -1
}

// check compares what the broker serves with what was written: last stable offsets, records, open
// transactions of the partitions, and the offsets of groups, of which pending ones are not served.
func (k *takeovers) check(when string) {
	k.t.Helper()
	when = fmt.Sprintf("round %d, %s", k.round, when)
	stable := k.lastStable(when)
	all, visible := readPartitions(k.t, k.address, uncommitted, takeoverTopics...), readPartitions(k.t, k.address, committed, takeoverTopics...)
	for _, topic := range takeoverTopics {
		var wantAll, wantVisible []string
		for _, r := range k.records[topic] {
			wantAll = append(wantAll, recordLine(r.Record))
			if r.committed && r.Offset < stable[topic] {
				wantVisible = append(wantVisible, recordLine(r.Record))
			}
		}
		if d := firstDifference(all[topic], wantAll); d != "" {
			k.t.Fatalf("%s, read_uncommitted of %s: %s", when, topic, d)
		}
		if d := firstDifference(visible[topic], wantVisible); d != "" {
			k.t.Fatalf("%s, read_committed of %s: %s", when, topic, d)
		}
		k.checkProducers(when, topic)
	}
	for name, x := range k.producers {
		if x.pending > 0 {
			k.awaitOffset(when, name, true, protocol.UnstableOffsetCommit, 0)
		}
		if offset, has := k.committed[name]; has {
			k.awaitOffset(when, name, x.pending == 0, protocol.None, offset)
		}
	}
}

// lastStable waits until each topic has the last stable offset that it must have, and returns them.
func (k *takeovers) lastStable(when string) map[string]int64 {
	k.t.Helper()
	admin := adminOf(k.t, k.address)
	have, want := map[string]int64{}, map[string]int64{}
	if !within(30*time.Second, func() bool {
		stable, err := admin.ListCommittedOffsets(background(), takeoverTopics...)
		if err != nil || stable.Error() != nil {
			return false
		}
		ends, err := admin.ListEndOffsets(background(), takeoverTopics...)
		if err != nil || ends.Error() != nil {
			return false
		}
		for _, topic := range takeoverTopics {
			have[topic], want[topic] = stable[topic][0].Offset, k.firstOpen(topic)
			if want[topic] < 0 || topic == "alone" && have[topic] > want[topic] && strings.Contains(when, "start") { // it may have timed out
				want[topic] = ends[topic][0].Offset
			}
		}
		return maps.Equal(have, want)
	}) {
		k.t.Fatalf("%s: the last stable offsets are %v, want %v", when, have, want)
	}
	return have
}

// checkProducers compares the open transactions of a topic that the broker describes with those of
// the producers.
func (k *takeovers) checkProducers(when, topic string) {
	k.t.Helper()
	want := map[string]bool{}
	for name, x := range k.producers {
		first := slices.IndexFunc(x.open, func(r *takeoverRecord) bool { return r.topic == topic })
		if first < 0 || name == "slow" && strings.Contains(when, "start") {
			continue
		}
		id, epoch, err := x.client.ProducerID(background())
		if err != nil {
			k.t.Fatal(err)
		}
		want[fmt.Sprintf("producer %d of epoch %d since %d", id, epoch, x.open[first].Offset)] = true
	}
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	have := map[string]bool{}
	testkit.Eventually(k.t, 30*time.Second, fmt.Sprintf("%s: the open transactions %v of %s", when, slices.Sorted(maps.Keys(want)), topic), func() bool {
		resp, err := k.link.Do(background(), req)
		if err != nil {
			return false
		}
		clear(have)
		for _, p := range resp.(*kmsg.DescribeProducersResponse).Topics[0].Partitions[0].ActiveProducers {
			if p.CurrentTxnStartOffset >= 0 {
				have[fmt.Sprintf("producer %d of epoch %d since %d", p.ProducerID, p.ProducerEpoch, p.CurrentTxnStartOffset)] = true
			}
		}
		return topic == "alone" && strings.Contains(when, "start") || maps.Equal(have, want)
	})
}

// awaitOffset waits until a group has the code and the offset.
func (k *takeovers) awaitOffset(when, name string, stable bool, code protocol.ErrorCode, offset int64) {
	k.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group, req.RequireStable = 7, name, stable
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: takeoverTopics[0], Partitions: []int32{0}}}
	last := "no answer"
	if !within(30*time.Second, func() bool {
		resp, err := k.link.Do(background(), req)
		if err != nil || resp.(*kmsg.OffsetFetchResponse).ErrorCode != 0 {
			return false
		}
		p := resp.(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0]
		last = fmt.Sprintf("offset %d, error %d", p.Offset, p.ErrorCode)
		return protocol.ErrorCode(p.ErrorCode) == code && (p.Offset == offset || code != protocol.None)
	}) {
		k.t.Fatalf("%s: group %s has %s, want offset %d and %s", when, name, last, offset, code.Name())
	}
}

// compareTools compares what real tools print about the broker with what was written, and with what
// our tools print.
func (k *takeovers) compareTools(describes bool) {
	k.t.Helper()
	kafka := testkit.RealKafka(k.t, "3.9.1")
	const topic = "shared-a"
	out, errs, code := kafka.Run(k.t, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", k.address, "--topic", topic,
		"--isolation-level", "read_committed", "--partition", "0", "--offset", "earliest", "--timeout-ms", "20000")
	var want []string
	for _, r := range k.records[topic] {
		if r.committed && r.Offset < k.firstOpen(topic) {
			want = append(want, string(r.Value))
		}
	}
	if d := firstDifference(strings.Split(strings.TrimSuffix(out, "\n"), "\n"), want); code != 0 || d != "" {
		k.t.Errorf("round %d: the console consumer of %s: exit code %d, %s\n%s", k.round, topic, code, d, errs)
	}
	compare := func(class, script string, args ...string) {
		k.t.Helper()
		args = append([]string{"--bootstrap-server", k.address}, args...)
		real, errs, code := kafka.Run(k.t, class, args...)
		ours := must(k.t, script, args...)
		if d := firstDifference(sortedRows(ours), sortedRows(real)); code != 0 || d != "" {
			k.t.Errorf("round %d: %s %v: exit code %d, %s\n%s", k.round, script, args, code, d, errs)
		}
	}
	compare("org.apache.kafka.tools.GetOffsetShell", "kafka-get-offsets", "--topic-partitions", "shared-.*")
	const transactions = "org.apache.kafka.tools.TransactionsCommand"
	compare(transactions, "kafka-transactions", "describe-producers", "--topic", "shared-a", "--partition", "0")
	if describes {
		compare(transactions, "kafka-transactions", "list")
		compare(transactions, "kafka-transactions", "describe", "--transactional-id", "committing")
	}
}

// sortedRows returns the rows of a tool's table, sorted and without their alignment. How long a
// transaction has been open is left out.
func sortedRows(text string) []string {
	lines := strings.Split(text, "\n")
	rows := make([]string, len(lines))
	for i, line := range lines {
		fields := strings.Fields(line)
		if at := slices.Index(strings.Fields(lines[0]), "TransactionDurationMs"); at >= 0 && i > 0 && at < len(fields) {
			fields[at] = "*"
		}
		rows[i] = strings.Join(fields, " ")
	}
	slices.Sort(rows)
	return rows
}
