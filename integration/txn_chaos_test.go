package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/txnhistory"
)

// txnChaos is a cluster with faults, in which transactional producers append to topic "load" and
// copiers copy it to topic "copies", and the history of what they did. Each broker is reached through
// a lane, by clients and by other brokers.
type txnChaos struct {
	*cluster
	lanes        map[*member]*testkit.Lane
	random       *rand.Rand // for the faults
	appenders    sync.WaitGroup
	clients      sync.WaitGroup  // the copiers and readers
	appending    context.Context // until the appenders are to end
	running      context.Context // until the other clients are to end
	end          context.CancelFunc
	endAppending context.CancelFunc

	mu        sync.Mutex // guards the fields below
	history   *txnhistory.History
	instances int            // producers so far
	committed map[string]int // transactions by transactional id
}

const (
	txnStatePartitions = 3
	copiesPartitions   = 2
	txnTimeout         = 8 * time.Second
	copyGroup          = "copy"
)

var (
	txnAppenders = []string{"append-0", "append-1", "append-2"}
	txnCopiers   = []string{"copy-0", "copy-1"}
)

// startTxnChaos starts three brokers of a kind, and the clients. The seed determines what the clients
// and the faults do, though not when.
func startTxnChaos(t *testing.T, kind string, seed uint64) *txnChaos {
	t.Helper()
	c := &txnChaos{cluster: &cluster{t: t, zookeeper: testkit.ZooKeeper(t)}, lanes: map[*member]*testkit.Lane{}, random: rand.New(rand.NewPCG(seed, 0)),
		history: newTxnHistory(), committed: map[string]int{}}
	c.tree = openTree(t, c.zookeeper)
	extra := slices.Concat(quick, offsetsProperties, []string{"transaction.state.log.replication.factor=3", "transaction.state.log.min.isr=2",
		fmt.Sprint("transaction.state.log.num.partitions=", txnStatePartitions), "transaction.abort.timed.out.transaction.cleanup.interval.ms=500"})
	for range 3 {
		lane := testkit.NewLoopbackLane(t)
		m := c.add(kind, slices.Concat(extra, []string{fmt.Sprintf("advertised.listeners=PLAINTEXT://127.0.0.1:%d", lane.Port())}))
		if c.lanes[m] = lane; m.ours != nil {
			lane.Forward(m.ours.port)
		} else {
			lane.Forward(m.real.Port)
		}
	}
	c.checkAtEnd()
	c.createTopic("load", [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 3, 2}}, "min.insync.replicas=2")
	c.createTopic("copies", [][]int32{{2, 3, 1}, {3, 1, 2}}, "min.insync.replicas=2")
	c.awaitInSync("load", clusterPartitions, c.ids()...)
	c.running, c.end = context.WithCancel(background())
	c.appending, c.endAppending = context.WithCancel(c.running)
	t.Cleanup(c.end)
	for i, id := range txnAppenders {
		random := rand.New(rand.NewPCG(seed, uint64(1+i)))
		c.appenders.Go(func() {
			for c.appending.Err() == nil {
				c.appendAs(id, random, 1<<30)
			}
		})
	}
	for i, id := range txnCopiers {
		random := rand.New(rand.NewPCG(seed, uint64(100+i)))
		c.clients.Go(func() {
			for c.running.Err() == nil {
				c.copyAs(id, random)
			}
		})
	}
	for _, level := range []kgo.IsolationLevel{kgo.ReadCommitted(), kgo.ReadUncommitted()} {
		c.clients.Go(func() { c.read(level) })
	}
	return c
}

func newTxnHistory() *txnhistory.History {
	return &txnhistory.History{Logs: map[txnhistory.Partition][]txnhistory.Entry{}, Groups: map[string]map[txnhistory.Partition]int64{}}
}

// awaitProgress waits until each transactional id has committed more.
func (c *txnChaos) awaitProgress(limit time.Duration) {
	c.t.Helper()
	count := func(id string) int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.committed[id]
	}
	before := map[string]int{}
	for _, id := range txnAppenders {
		before[id] = count(id)
	}
	copies := func() (n int) {
		for _, id := range txnCopiers {
			n += count(id)
		}
		return n
	}
	copied := copies()
	for _, id := range txnAppenders {
		testkit.Eventually(c.t, limit, id+" to commit more", func() bool { return count(id) >= before[id]+3 })
	}
	testkit.Eventually(c.t, limit, "the group to copy more", func() bool { return copies() >= copied+2 })
}

// faults returns the faults, of which each is over when its function returns.
func (c *txnChaos) faults() []fault {
	return []fault{
		{"the coordinator of a transactional id moves", calm, c.moveCoordinator},
		{"a coordinator is killed", process, func() { c.killAndRestart(c.coordinatorOf(c.someID())) }},
		{"a coordinator sleeps for less than its session", process, func() { c.nap(c.coordinatorOf(c.someID()), 2*time.Second) }},
		{"the lane to a coordinator is cut", links, func() { c.cutLane(c.coordinatorOf(c.someID())) }},
		{"a broker is killed", process, func() { c.killAndRestart(c.members[c.random.IntN(3)]) }},
		{"a coordinator sleeps for longer than its session", process, func() { c.sleepThroughSession(c.coordinatorOf(c.someID())) }},
		{"the lanes to all brokers are slow and lossy", links, func() {
			for _, lane := range c.lanes {
				lane.Impair(100*time.Millisecond, 0.02)
			}
			c.wait(6 * time.Second)
			for _, lane := range c.lanes {
				lane.Impair(0, 0)
			}
		}},
		{"the lane to a broker is cut", links, func() { c.cutLane(c.members[c.random.IntN(3)]) }},
	}
}

func (c *txnChaos) wait(most time.Duration) {
	<-time.After(time.Duration(c.random.Int64N(int64(most))))
}

func (c *txnChaos) someID() string {
	ids := slices.Concat(txnAppenders, txnCopiers)
	return ids[c.random.IntN(len(ids))]
}

// coordinatorOf returns the leader of the partition of a transactional id.
func (c *txnChaos) coordinatorOf(id string) *member {
	c.t.Helper()
	return c.leaderOf("__transaction_state", coordinator.HashPartition(id, txnStatePartitions))
}

func (c *txnChaos) moveCoordinator() {
	partition := coordinator.HashPartition(c.someID(), txnStatePartitions)
	order := c.random.Perm(3)
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign("__transaction_state", partition, []int32{c.members[order[0]].id, c.members[order[1]].id, c.members[order[2]].id})
		admin := kadm.NewClient(client)
		if _, err := admin.AlterPartitionAssignments(ctx, req); err != nil {
			return err
		}
		var set kadm.TopicsSet
		set.Add("__transaction_state", partition)
		_, err := admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
		return err
	})
}

// nap pauses a broker.
func (c *txnChaos) nap(m *member, d time.Duration) {
	m.process().Signal(sigStop)
	<-time.After(d)
	m.process().Signal(sigCont)
}

func (c *txnChaos) cutLane(m *member) {
	c.lanes[m].Cut(true)
	<-time.After(1500 * time.Millisecond)
	c.wait(2 * time.Second)
	c.lanes[m].Cut(false)
}

// finish ends the appenders, waits until everything is copied, ends the other clients, reads the
// logs, and checks the history.
func (c *txnChaos) finish() *txnhistory.Report {
	c.t.Helper()
	c.endAppending()
	c.appenders.Wait()
	c.awaitEnded("load", clusterPartitions)
	c.appendLast()
	if !within(time.Minute, c.allCopied) {
		c.t.Error("the group does not copy all records")
	}
	c.end()
	c.clients.Wait()
	c.awaitEnded("copies", copiesPartitions)
	c.history.Groups[copyGroup] = c.stableOffsets()
	c.readAll("load", clusterPartitions)
	c.readAll("copies", copiesPartitions)
	return txnhistory.Check(c.history)
}

// allCopied reports whether the group has committed the end of each partition.
func (c *txnChaos) allCopied() bool {
	offsets, stable := c.offsets()
	ends := c.endOffsets("load", false)
	for p := range int32(clusterPartitions) {
		end, _ := ends.Lookup("load", p)
		if offsets[txnhistory.Partition{Topic: "load", Index: p}] < end.Offset-1 { // a marker is the last entry
			return false
		}
	}
	return stable
}

// appendLast commits a record to each partition of "load", which is then the last one.
func (c *txnChaos) appendLast() {
	c.t.Helper()
	client, err := kgo.NewClient(c.lossy("last")...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	t := &txnhistory.Transaction{ID: "last", Instance: c.newInstance(), Outcome: txnhistory.Aborted}
	defer c.note(t)
	if err := client.BeginTransaction(); err != nil {
		c.t.Fatal(err)
	}
	for p := range clusterPartitions {
		c.write(client, t, p, txnhistory.Partition{Topic: "load", Index: int32(p)}, nil)
	}
	if !c.endTransaction(client, t, true) || t.Outcome != txnhistory.Committed {
		c.t.Error("the last transaction did not commit")
	}
}

// TestChaosOfTransactions injects random faults into a cluster for MONEDULA_CHAOS_DURATION (default
// 20s, with the full matrices 2m) while transactional producers, copiers and readers work, and then
// checks their history. MONEDULA_CHAOS_SEED selects what clients and faults do; the default is a new
// seed. MONEDULA_CHAOS_CLUSTER=3.9.1 runs a cluster of real brokers instead of ours; the full
// matrices run both with the same seed.
func TestChaosOfTransactions(t *testing.T) {
	usual, kinds := 20*time.Second, []string{"ours"}
	if testkit.FullMatrices() {
		usual, kinds = 2*time.Minute, append(kinds, "3.9.1")
	}
	if kind := os.Getenv("MONEDULA_CHAOS_CLUSTER"); kind != "" {
		kinds = []string{kind}
	}
	duration, seed := chaosParameters(t, usual)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Logf("MONEDULA_CHAOS_SEED=%d MONEDULA_CHAOS_CLUSTER=%s", seed, kind)
			c := startTxnChaos(t, kind, seed)
			c.awaitProgress(time.Minute)
			struck := c.strikeFor(duration)
			report := c.finish()
			t.Logf("%d faults; transactions committed by each producer: %v; %s", struck, c.committed, report)
			if n := len(report.Violations()); n > 0 {
				t.Errorf("%d violations", n)
			}
		})
	}
}

// strikeFor injects one fault after the other for some time, and waits after each until all clients
// make progress. It returns the number of faults.
func (c *txnChaos) strikeFor(duration time.Duration) (struck int) {
	c.t.Helper()
	faults := c.faults()
	var deck []int // each fault once before any is repeated
	for end := time.Now().Add(duration); time.Now().Before(end); struck++ {
		if len(deck) == 0 {
			deck = c.random.Perm(len(faults))
		}
		f, began := faults[deck[0]], time.Now()
		deck = deck[1:]
		f.strike()
		c.awaitInSync("load", clusterPartitions, c.ids()...)
		c.awaitProgress(time.Minute)
		c.t.Logf("%s %s: %.1f s", began.Format(time.TimeOnly), f.name, time.Since(began).Seconds())
	}
	return struck
}
