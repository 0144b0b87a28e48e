// Package simulation runs a cluster in one goroutine: the controllers, the
// partitions, the followers, the logs and the ZooKeeper rooms of production, over a
// tree in the place of ZooKeeper, with time, the network and the disks in the
// hand of a seed. The same seed gives the same trace, byte for byte.
//
// What is production code: controller.Machine, zkstore with its retries and
// fences, replication.Manager with its followers, AlterPartition and parked
// requests, storage with recovery, every message encoded and decoded. What is
// not: sockets, the goroutines around these, and the queues of requests from
// the controller to brokers, whose contract is controller.Peers.
//
//	world.go      time, events, the trace, Run
//	zookeeper.go  a broker's connection to the tree
//	broker.go     a broker's life
//	control.go    its controller's queues
//	wire.go       the network, and the handlers of requests
//	producer.go   idempotent producers with acks=all
//	consumer.go   consumers of leaders and followers
//	check.go      what must hold
//	faults.go     what goes wrong
//	moves.go      reassignments and orderly stops
//	topics.go     a topic that is deleted and created anew
//	disks.go      log directories that fail
//	swarm.go      what a seed has go wrong
package simulation

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/monedula/monedula/zkserver/tree"
)

// Config says what to simulate.
type Config struct {
	Seed  uint64
	Chaos time.Duration // how long things go wrong, in the cluster's time; 0: 15 s
	Trace io.Writer     // gets a line per event; nil: nobody
	Logs  io.Writer     // gets the brokers' log lines; nil: nobody
	// Moves has replicas reassigned and brokers stopped in order, too.
	Moves bool
	// Topics has a topic deleted and created anew under its name, again and again.
	Topics bool
	// Disks has log directories fail, and come back empty or as they were.
	Disks bool
	// Timing has faults strike where they hurt most: right after a role changed, and
	// at the node of a controller whose session goes on.
	Timing bool
	// Consumers has records read back all the while.
	Consumers bool
}

// Result is what a run came to.
type Result struct {
	Err    error // the rule that was broken, with the time; nil: all held
	Events int
	Acked  int // batches
	Faults int
}

const (
	brokerCount    = 3
	partitionCount = 2 // of the topic that stays
	topicName      = "t"
	sessionTimeout = 3 * time.Second
	// settling is how long the cluster may take to recover once nothing goes wrong.
	settling = 60 * time.Second
	// mostEvents is far more than any run needs.
	mostEvents = 1_000_000
)

// epoch is the simulation's beginning of time.
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

	partitions int32 // that are watched; see tp
	topicsMade byte  // attempts to create the topic that comes and goes
	names      int   // unique names of directories given

	tree      *tree.Tree
	conns     map[int64]*zkConn
	brokers   []*broker
	producers []*producer
	consumers []*consumer
	check     *checker
	cut       map[[2]int32]time.Duration // from, to: until
	links     map[[2]int32]*int64        // the last control request handled, by from, to
}

// event is something due at a time; of two due at once the first made is first.
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
	w := &world{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 0x73696d)), tree: tree.New(),
		conns: map[int64]*zkConn{}, links: map[[2]int32]*int64{}, cut: map[[2]int32]time.Duration{}}
	w.partitions = partitionCount
	if cfg.Topics {
		w.partitions++
	}
	w.check = newChecker(w)
	w.run()
	return Result{Err: w.err, Events: w.count, Acked: w.acked, Faults: w.faults}
}

func (w *world) run() {
	defer func() {
		if reason := recover(); reason != nil {
			w.fail("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	for id := range int32(brokerCount) {
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

// after makes an event.
func (w *world) after(d time.Duration, run func()) {
	w.next++
	heap.Push(&w.queue, event{w.now + d, w.next, run})
}

// runUntil runs what is due up to a time. Events that wait for ZooKeeper run
// others inside of themselves.
func (w *world) runUntil(t time.Duration) {
	for w.err == nil && len(w.queue) > 0 && w.queue[0].at <= t {
		e := heap.Pop(&w.queue).(event)
		w.now = max(w.now, e.at)
		if w.count++; w.count > mostEvents {
			w.fail("%d events: the cluster runs in circles", w.count)
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

// chance is true in one of n cases.
func (w *world) chance(n int) bool { return w.random.IntN(n) == 0 }

func (w *world) say(format string, args ...any) {
	if w.cfg.Trace != nil {
		fmt.Fprintf(w.cfg.Trace, "%12.6f "+format+"\n", append([]any{w.now.Seconds()}, args...)...)
	}
}

// fail notes the first rule that was broken; nothing runs after it.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("seed %d, at %.6f s: %s", w.cfg.Seed, w.now.Seconds(), fmt.Sprintf(format, args...))
		w.say("BROKEN: %v", w.err)
	}
}
