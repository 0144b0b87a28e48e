package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/txnhistory"
)

// txnChaos is a cluster with faults, in which transactional producers append to topic "load" and
// copiers copy it to topic "copies", and the history of what they did. Each broker is reached through
// a lane, by clients and by other brokers, reaches ZooKeeper through another, and has two log
// directories.
type txnChaos struct {
	*cluster
	lanes        map[*member]*testkit.Lane
	keeperLanes  map[*member]*testkit.Lane
	dirs         map[*member][]string
	random       *rand.Rand         // for the faults
	down         []*member          // killed or stopped
	asleep       []*member          // paused with SIGSTOP
	broken       map[*member]string // the log directory that fails
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
	c := &txnChaos{cluster: &cluster{t: t}, lanes: map[*member]*testkit.Lane{}, keeperLanes: map[*member]*testkit.Lane{}, dirs: map[*member][]string{},
		broken: map[*member]string{}, random: rand.New(rand.NewPCG(seed, 0)), history: newTxnHistory(), committed: map[string]int{}}
	keeper := testkit.ZooKeeper(t)
	c.tree = openTree(t, keeper)
	for range 3 {
		c.addBroker(kind, keeper)
	}
	c.zookeeper = keeper
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

// addBroker starts a broker with its lanes and log directories. keeper is the address of ZooKeeper.
func (c *txnChaos) addBroker(kind, keeper string) {
	c.t.Helper()
	lane, keeperLane, dirs := testkit.NewLoopbackLane(c.t), testkit.NewLoopbackLane(c.t), []string{}
	for range 2 {
		dirs = append(dirs, filepath.Join(c.t.TempDir(), "kafka-logs"))
	}
	host, chroot, _ := strings.Cut(keeper, "/")
	_, port, _ := strings.Cut(host, ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		c.t.Fatal(err)
	}
	keeperLane.Forward(number)
	c.zookeeper = fmt.Sprintf("127.0.0.1:%d/%s", keeperLane.Port(), chroot)
	m := c.add(kind, slices.Concat(quick, offsetsProperties, []string{"log.dirs=" + strings.Join(dirs, ","),
		fmt.Sprintf("advertised.listeners=PLAINTEXT://127.0.0.1:%d", lane.Port()), "replica.high.watermark.checkpoint.interval.ms=1000",
		fmt.Sprint("transaction.state.log.num.partitions=", txnStatePartitions), "transaction.state.log.replication.factor=3",
		"transaction.state.log.min.isr=2", "transaction.abort.timed.out.transaction.cleanup.interval.ms=500"}))
	if c.lanes[m], c.keeperLanes[m], c.dirs[m] = lane, keeperLane, dirs; m.ours != nil {
		lane.Forward(m.ours.port)
	} else {
		lane.Forward(m.real.Port)
	}
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

// TestChaosOfTransactions injects random faults, one or two at a time, into a cluster for MONEDULA_CHAOS_DURATION (default
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
			c.strikeFor(duration)
			report := c.finish()
			t.Logf("transactions committed by each producer: %v; %s", c.committed, report)
			if n := len(report.Violations()); n > 0 {
				t.Errorf("%d violations", n)
			}
		})
	}
}
