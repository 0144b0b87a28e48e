package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/transaction"
)

// Transactional ids move from our coordinator to a real one and back in each of their states. Their
// producers notice nothing, decided transactions are completed by the next coordinator, and
// consumers read exactly what was committed.
func TestTransactionalIDsMoveBetweenCoordinatorsInEachState(t *testing.T) {
	t.Run("3.9.1", func(t *testing.T) { moveTransactionalIDs(t, "3.9.1", "3.9") })
	if testkit.FullMatrices() {
		t.Run("2.8.2", func(t *testing.T) { moveTransactionalIDs(t, "2.8.2", "2.8") })
	}
}

func moveTransactionalIDs(t *testing.T, release, protocol string) {
	extra := append(mixedCluster{protocol: protocol}.properties(), "offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1")
	c := newCluster(t, extra, "ours", release, "ours")
	c.makeController(c.member(1))
	c.createTopic("__transaction_state", [][]int32{{1, 2}}, "cleanup.policy=compact")
	c.createTopic("out", [][]int32{{1, 2}, {2, 1}})
	c.createTopic("held", [][]int32{{3}})
	p := &travellers{cluster: c, producers: map[string]*traveller{}}
	moves := []int32{2, 1}
	if testkit.FullMatrices() {
		moves = []int32{2, 1, 2, 1}
	}
	for round, to := range moves {
		p.prepare(round)
		if crash := testkit.FullMatrices() && round >= 2; crash {
			former := c.others(c.member(to))[0]
			former.process().Kill()
			c.awaitState("__transaction_state", 0, "another leader", func(s partitionState) bool { return s.Leader == to })
			c.restart(former)
		} else {
			c.leadFirst("__transaction_state", 0, to, 3-to)
		}
		t.Logf("round %d is coordinated by %s", round, c.member(to))
		p.proceed(round)
	}
	for _, m := range c.members[:2] {
		p.check(m)
	}
	c.awaitIdentical("__transaction_state", 1, c.members[0], c.members[1])
	c.awaitIdentical("out", 2, c.members[0], c.members[1])
	c.checkHealthy()
}

// travellers are the producers whose transactional ids move.
type travellers struct {
	*cluster
	producers map[string]*traveller
	committed []string
}

// traveller is a producer with its open transaction.
type traveller struct {
	client *kgo.Client
	open   []string
}

// producer returns the producer of the kind in the round.
func (p *travellers) producer(kind string, round int) *traveller {
	p.t.Helper()
	id := fmt.Sprint(kind, "-", round)
	if p.producers[id] == nil {
		client, err := kgo.NewClient(p.patient(kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(10*time.Minute),
			kgo.ProduceRequestTimeout(4*time.Second), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(client.Close)
		p.producers[id] = &traveller{client: client}
	}
	return p.producers[id]
}

// write begins a transaction if none is open and writes a value to each of the partitions.
func (p *travellers) write(kind string, round int, partitions ...string) {
	p.t.Helper()
	x := p.producer(kind, round)
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if x.open == nil {
		if err := x.client.BeginTransaction(); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, tp := range partitions {
		topic, partition := splitPartition(tp)
		value := fmt.Sprintf("%s-%d-%s-%d", kind, round, tp, len(p.committed)+len(x.open))
		if err := x.client.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)}).FirstErr(); err != nil {
			p.t.Fatalf("%s to %s: %v", value, tp, err)
		}
		x.open = append(x.open, value)
	}
}

func (p *travellers) end(kind string, round int, commit bool) {
	p.t.Helper()
	x := p.producer(kind, round)
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := x.client.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		p.t.Fatalf("end of the transaction of %v: %v", x.open, err)
	}
	if commit {
		p.committed = append(p.committed, x.open...)
	}
	x.open = nil
}

// prepare brings an id into each state. The broker that leads topic "held" is down afterwards, so
// two decided transactions cannot be completed.
func (p *travellers) prepare(round int) {
	p.t.Helper()
	if _, _, err := p.producer("empty", round).client.ProducerID(background()); err != nil {
		p.t.Fatal(err)
	}
	p.write("ongoing", round, "out-0", "out-1")
	for _, kind := range []string{"committed", "aborted"} {
		p.write(kind, round, "out-0", "out-1")
		p.end(kind, round, kind == "committed")
	}
	for _, kind := range []string{"committing", "aborting"} {
		p.write(kind, round, "out-1", "held-0")
	}
	p.member(3).process().Kill()
	p.awaitState("held", 0, "no leader", func(s partitionState) bool { return s.Leader == -1 })
	for _, kind := range []string{"committing", "aborting"} {
		p.end(kind, round, kind == "committing")
	}
	p.awaitStates(round, map[string]transaction.State{"empty": transaction.Empty, "ongoing": transaction.Ongoing,
		"committing": transaction.PrepareCommit, "aborting": transaction.PrepareAbort, "committed": transaction.CompleteCommit, "aborted": transaction.CompleteAbort})
}

// proceed continues with each id on the next coordinator.
func (p *travellers) proceed(round int) {
	p.t.Helper()
	p.write("empty", round, "out-0", "out-1")
	p.end("empty", round, true)
	p.write("ongoing", round, "out-1")
	p.end("ongoing", round, true)
	p.write("committed", round, "out-0")
	p.end("committed", round, false)
	p.write("aborted", round, "out-0")
	p.end("aborted", round, true)
	want := map[string]transaction.State{"empty": transaction.CompleteCommit, "ongoing": transaction.CompleteCommit,
		"committing": transaction.PrepareCommit, "aborting": transaction.PrepareAbort, "committed": transaction.CompleteAbort, "aborted": transaction.CompleteCommit}
	p.awaitStates(round, want)
	p.restart(p.member(3))
	want["committing"], want["aborting"] = transaction.CompleteCommit, transaction.CompleteAbort
	p.awaitStates(round, want)
	for _, kind := range []string{"committing", "aborting"} {
		p.write(kind, round, "held-0", "out-0")
		p.end(kind, round, kind == "aborting")
	}
	want["committing"], want["aborting"] = transaction.CompleteAbort, transaction.CompleteCommit
	p.awaitStates(round, want)
}

// awaitStates waits until the last records of the round's ids have these states.
func (p *travellers) awaitStates(round int, want map[string]transaction.State) {
	p.t.Helper()
	var have map[string]transaction.State
	if !within(time.Minute, func() bool {
		have = p.states(fmt.Sprint("-", round))
		return maps.Equal(have, want)
	}) {
		p.t.Fatalf("not within a minute: the states are %v, want %v", have, want)
	}
}

// states returns the states of the ids with the suffix.
func (p *travellers) states(suffix string) map[string]transaction.State {
	p.t.Helper()
	found := map[string]transaction.State{}
	for id, state := range storedStates(p.t, p.patient()) {
		if kind, ok := strings.CutSuffix(id, suffix); ok {
			found[kind] = state
		}
	}
	return found
}

// storedStates reads the last state of each transactional id from partition 0 of
// __transaction_state.
func storedStates(t testing.TB, opts []kgo.Opt) map[string]transaction.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	client, err := kgo.NewClient(append(opts, kgo.FetchMaxWait(50*time.Millisecond), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		"__transaction_state": {0: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	states := map[string]transaction.State{}
	for end := int64(1); end > 0; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("reading __transaction_state: %v", err)
		}
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			for _, r := range f.Records {
				var key kmsg.TxnMetadataKey
				var value kmsg.TxnMetadataValue
				if key.ReadFrom(r.Key) != nil || value.ReadFrom(r.Value) != nil {
					t.Fatalf("an unreadable record at offset %d", r.Offset)
				}
				states[key.TransactionalID] = transaction.State(value.State)
				if r.Offset+1 >= f.HighWatermark {
					end = 0
				}
			}
		})
	}
	return states
}

// completed returns the state of a transactional id whose transaction has ended.
func completed(commit bool) transaction.State {
	if commit {
		return transaction.CompleteCommit
	}
	return transaction.CompleteAbort
}

// check reads both topics through a member, committed records only.
func (p *travellers) check(m *member) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	start := kgo.NewOffset().AtStart()
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(m.address()), kgo.FetchMaxWait(100*time.Millisecond), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"out": {0: start, 1: start}, "held": {0: start}}))...)
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	var got []string
	for len(got) < len(p.committed) {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			p.t.Errorf("only %d of %d committed records are readable through %s", len(got), len(p.committed), m)
			break
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	slices.Sort(got)
	if d := firstDifference(got, slices.Sorted(slices.Values(p.committed))); d != "" {
		p.t.Errorf("through %s: %s", m, d)
	}
}
