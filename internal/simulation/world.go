// Package simulation runs a cluster in one goroutine. It uses the controllers, partitions,
// followers, logs and ZooKeeper stores of the product, and a tree of znodes in memory instead of
// ZooKeeper. A seed determines what time, the network and the disks do. The same seed gives the
// same trace, byte for byte.
//
// The following is production code: controller.Machine, zkstore with its retries and fences,
// replication.Manager with its followers, moves, AlterPartition and parked requests, storage with
// recovery and cleaner, and the encoding and decoding of every message. The following is not:
// sockets, the goroutines around these parts, and the queues of requests from the controller to
// brokers, whose contract is controller.Peers.
//
//	world.go      time, events, the trace, Run
//	zookeeper.go  a broker's connection to the tree
//	broker.go     a broker's life
//	control.go    the queues of its controller
//	wire.go       the network, and the handlers of requests
//	producer.go   idempotent producers with acks=all
//	consumer.go   consumers of leaders and followers
//	check.go      the rules
//	faults.go     faults
//	moves.go      reassignments and controlled shutdowns
//	topics.go     a topic that is deleted and created again
//	disks.go      log directories that fail
//	compaction.go the cleaner
//	logmoves.go   moves between log directories
//	coordinator.go  transaction coordinators, and the requests to them
//	txnproducer.go  transactional producers
//	txnrules.go     the rules of transactions
//	swarm.go      faults chosen by the seed
//
// Transactions also have a simulation of their own, without brokers, in which coordinators move much
// more often:
//
//	transactions.go  coordinators, partitions and the network between them; RunTransactions
//	txnmember.go     transactional producers
//	txncheck.go      the rules
package simulation

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/monedula/monedula/internal/txnhistory"
	"github.com/monedula/monedula/metadata"
	zktree "github.com/monedula/monedula/zkserver/tree"
)

// Config configures a simulation.
type Config struct {
	Seed  uint64
	Chaos time.Duration // how long faults happen, in the cluster's time; 0: 15 s
	Trace io.Writer     // gets a line per event; may be nil
	Logs  io.Writer     // gets the brokers' log lines; may be nil
	// Moves also reassigns replicas and shuts brokers down cleanly.
	Moves bool
	// Topics deletes a topic and creates it again under its name, repeatedly.
	Topics bool
	// Disks makes log directories fail and come back empty or as they were.
	Disks bool
	// Timing also injects faults right after a role changed, and deletes the node of a controller
	// whose session continues.
	Timing bool
	// Consumers reads records back throughout the run.
	Consumers bool
	// Compaction compacts the topics.
	Compaction bool
	// LogMoves moves logs between the log directories of a broker.
	LogMoves bool
	// Transactions lets transactional producers write to a topic of their own.
	Transactions bool
}

// Result is the result of a run.
type Result struct {
	Err       error // the broken rule, with the time; nil if all rules held
	Events    int
	Acked     int // batches
	Faults    int
	Committed int // transactions
}

const (
	brokerCount    = 3
	partitionCount = 2 // of the permanent topic
	topicName      = "t"
	sessionTimeout = 3 * time.Second
	// settling is how long the cluster may take to recover after the last fault.
	settling = 60 * time.Second
	// mostEvents is the limit on the events of a run, far above what any run needs.
	mostEvents = 1_000_000
)

// epoch is the time at which the simulation begins.
var epoch = time.Unix(1_700_000_000, 0)

type world struct {
	cfg     Config
	random  *rand.Rand
	now     time.Duration
	queue   events
	next    int64
	count   int
	faults  int
	acked   int // batches
	err     error
	chaotic bool

	places      []int32        // of the partitions that are checked; see tp
	states      int32          // number of partitions of __transaction_state
	producerIDs int64          // number of producer ids handed out to transactional producers
	clients     []*txnProducer // all transactional producers that there were
	committed   int            // transactions
	txns        txnhistory.History
	topicsMade  byte // attempts to create the topic that is deleted and created again
	names       int  // number of unique directory names handed out

	tree      *zktree.Tree
	conns     map[int64]*zkConn
	brokers   []*broker
	producers []*producer
	consumers []*consumer
	check     *checker
	cut       map[[2]metadata.BrokerID]time.Duration // from, to: until when
	links     map[[2]metadata.BrokerID]*int64        // position of the last control request handled, by from, to
}

// event is a function that is due at a time. Events with the same time run in the order in which
// they were scheduled.
type event struct {
	at  time.Duration
	seq int64
	run func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// Run simulates one seed.
func Run(cfg Config) Result {
	if cfg.Chaos == 0 {
		cfg.Chaos = 15 * time.Second
	}
	w := &world{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 0x73696d)), tree: zktree.New(),
		conns: map[int64]*zkConn{}, links: map[[2]metadata.BrokerID]*int64{}, cut: map[[2]metadata.BrokerID]time.Duration{}}
	for p := range int32(partitionCount) {
		w.places = append(w.places, p)
	}
	if cfg.Topics {
		w.places = append(w.places, brief)
	}
	if cfg.Transactions {
		w.states = 1 + int32(cfg.Seed%maxStates)
		for p := firstData; p < firstState+w.states; p++ {
			w.places = append(w.places, p)
		}
	}
	w.check = newChecker(w)
	w.run()
	return Result{Err: w.err, Events: w.count, Acked: w.acked, Faults: w.faults, Committed: w.committed}
}

func (w *world) run() {
	defer func() {
		if reason := recover(); reason != nil {
			w.fail("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	for id := range metadata.BrokerID(brokerCount) {
		w.brokers = append(w.brokers, newBroker(w, id))
	}
	for _, b := range w.brokers {
		w.after(w.between(0, 50*time.Millisecond), b.boot)
	}
	w.after(0, w.tick)
	w.after(time.Second, w.createTopic)
	for p := range int32(partitionCount) {
		producer := newProducer(w, p)
		w.producers = append(w.producers, producer)
		w.after(2*time.Second, producer.produce)
	}
	if w.cfg.Consumers {
		for p := range int32(partitionCount) {
			w.consumers = append(w.consumers, newConsumer(w, p))
			w.after(2*time.Second, w.consumers[p].read)
		}
	}
	if w.cfg.Transactions {
		w.after(1100*time.Millisecond, w.beginTransactions)
	}
	if w.cfg.Topics {
		w.producers = append(w.producers, nil)
		w.after(1500*time.Millisecond, w.recycle)
	}
	w.after(3*time.Second, func() { w.chaotic = true; w.fault() })
	w.runUntil(3*time.Second + w.cfg.Chaos)
	w.heal()
	end := w.now + settling
	for w.err == nil && w.now < end {
		w.runUntil(w.now + 500*time.Millisecond)
		if w.settled() {
			w.check.final()
			return
		}
	}
	w.fail("the cluster did not recover within %v: %s", settling, w.state())
}

// after schedules an event.
func (w *world) after(d time.Duration, run func()) {
	w.next++
	heap.Push(&w.queue, event{w.now + d, w.next, run})
}

// runUntil runs the events that are due until t. An event that waits for ZooKeeper runs other
// events while it waits.
func (w *world) runUntil(t time.Duration) {
	for w.err == nil && len(w.queue) > 0 && w.queue[0].at <= t {
		e := heap.Pop(&w.queue).(event)
		w.now = max(w.now, e.at)
		if w.count++; w.count > mostEvents {
			w.fail("%d events: the cluster does not settle", w.count)
			return
		}
		e.run()
	}
	w.now = max(w.now, t)
}

func (w *world) clock() time.Time { return epoch.Add(w.now) }

func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.random.Int64N(int64(b-a)+1))
}

// chance returns true in one of n cases.
func (w *world) chance(n int) bool { return w.random.IntN(n) == 0 }

func (w *world) say(format string, args ...any) {
	if w.cfg.Trace != nil {
		fmt.Fprintf(w.cfg.Trace, "%12.6f "+format+"\n", append([]any{w.now.Seconds()}, args...)...)
	}
}

// fail records the first broken rule. No event runs after it.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("seed %d, at %.6f s: %s", w.cfg.Seed, w.now.Seconds(), fmt.Sprintf(format, args...))
		w.say("BROKEN: %v", w.err)
	}
}
