package integration

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// chaos is a cluster of our brokers into which random faults are injected.
type chaos struct {
	*lab
	random *rand.Rand
	down   []*member // killed or stopped; started again at the end of the round
	asleep []*member // paused with SIGSTOP
}

// faultKind is the kind of a fault. Only faults of different kinds may be combined.
type faultKind int

const (
	calm    faultKind = iota // no fault, but an operation on a healthy cluster
	process                  // of brokers
	disks                    // also of brokers, so not combined with process
	links
	keepers // of ZooKeeper servers
)

type fault struct {
	name   string
	kind   faultKind
	strike func()
}

// faults returns every fault that a round can choose. recover undoes what a strike leaves behind.
func (c *chaos) faults() []fault {
	keeperNodes := c.quorum.Nodes
	cutOff := func(m *member) { c.net.Part(only(m.node()), c.othersNodes(m)) }
	return []fault{
		{"the controller moves", calm, func() { _ = c.tree.conn.Delete(c.tree.path("/controller"), -1) }},
		{"preferred leaders are elected", calm, c.electPreferred},
		{"replicas are reassigned", calm, c.shuffle},

		{"one broker is killed", process, func() { c.kill(1) }},
		{"two brokers are killed", process, func() { c.kill(2) }},
		{"all brokers are killed", process, func() { c.kill(3) }},
		{"the controller is killed", process, func() { c.killThis(c.someController()) }},
		{"the controller is killed, and so is the next one", process, c.killTwoControllers},
		{"a broker sleeps", process, func() { c.sleep(c.any()) }},
		{"two brokers sleep", process, func() { m := c.any(); c.sleep(m); c.sleep(c.others(m)[c.random.IntN(2)]) }},
		{"the controller sleeps", process, func() { c.sleep(c.someController()) }},
		{"a broker stops cleanly", process, func() { m := c.any(); m.stop(); c.down = append(c.down, m) }},

		{"one of a broker's two log directories is full", disks, func() { c.disks[c.any()][c.random.IntN(2)].fill() }},
		{"one of a broker's two log directories fails", disks, func() { c.disks[c.any()][c.random.IntN(2)].breakDir() }},
		{"the disks of a broker are full", disks, func() { m := c.any(); c.disks[m][0].fill(); c.disks[m][1].fill() }},
		{"the disks of the controller are full", disks, func() { m := c.someController(); c.disks[m][0].fill(); c.disks[m][1].fill() }},

		{"a broker is cut off from the others", links, func() { cutOff(c.any()) }},
		{"the controller is cut off from the others", links, func() { cutOff(c.someController()) }},
		{"two brokers are cut off from each other", links, func() { m := c.any(); c.net.Part(only(m.node()), c.othersNodes(m)[:1]) }},
		{"a broker does not hear another", links, func() { m := c.any(); c.cutOneWay(c.othersNodes(m)[:1], only(m.node())) }},
		{"a broker does not hear the others", links, func() { m := c.any(); c.cutOneWay(c.othersNodes(m), only(m.node())) }},
		{"a broker is not heard by the others", links, func() { m := c.any(); c.cutOneWay(only(m.node()), c.othersNodes(m)) }},
		{"a broker is cut off from ZooKeeper", links, func() { c.net.Part(only(c.any().node()), keeperNodes) }},
		{"a broker does not hear ZooKeeper", links, func() { c.cutOneWay(keeperNodes, only(c.any().node())) }},
		{"a broker is not heard by ZooKeeper", links, func() { c.cutOneWay(only(c.any().node()), keeperNodes) }},
		{"the controller is cut off from ZooKeeper", links, func() { c.net.Part(only(c.someController().node()), keeperNodes) }},
		{"the controller does not hear ZooKeeper", links, func() { c.cutOneWay(keeperNodes, only(c.someController().node())) }},
		{"a broker is cut off from one ZooKeeper", links, func() { c.net.Part(only(c.any().node()), only(keeperNodes[c.random.IntN(3)])) }},
		{"all brokers are cut off from ZooKeeper", links, func() {
			for _, m := range c.members {
				c.net.Part(only(m.node()), keeperNodes)
			}
		}},
		{"the link to a broker is slow and lossy", links, func() { impair(c.brokerLanes[c.random.IntN(3):][:1], 200*time.Millisecond, 0.03) }},
		{"the links to all brokers are slow and lossy", links, func() { impair(c.brokerLanes, 50*time.Millisecond, 0.01) }},
		{"the links to ZooKeeper are slow and lossy", links, func() { impair(c.keeperLanes, 300*time.Millisecond, 0.03) }},

		{"a ZooKeeper is killed", keepers, func() { c.killKeepers(c.random.IntN(3)) }},
		{"the ZooKeeper that leads is killed", keepers, func() { c.killKeepers(c.quorum.Leader(c.t)) }},
		{"two ZooKeepers are killed", keepers, func() { c.killKeepers(c.random.Perm(3)[:2]...) }},
		{"all ZooKeepers are killed", keepers, func() { c.killKeepers(0, 1, 2) }},
		{"the ZooKeeper that leads sleeps", keepers, func() { c.pauseKeepers(c.quorum.Leader(c.t)) }},
		{"all ZooKeepers sleep", keepers, func() { c.pauseKeepers(0, 1, 2) }},
		{"the ZooKeeper that leads is cut off from the others", keepers, func() {
			leader := c.quorum.Leader(c.t)
			c.net.Part(only(keeperNodes[leader]), slices.Delete(slices.Clone(keeperNodes), leader, leader+1))
		}},
	}
}

// TestChaos injects random faults into a cluster for MONEDULA_CHAOS_DURATION (default 30s) while a
// producer writes. MONEDULA_CHAOS_SEED selects the sequence of faults; the default is a new seed.
// After every round of one or two faults, every acknowledged record must exist exactly once and in
// order, the replicas must have the same bytes, and writing must continue.
func TestChaos(t *testing.T) {
	duration, seed := chaosParameters(t, 30*time.Second)
	if !testkit.Alone(t) {
		return
	}
	t.Logf("MONEDULA_CHAOS_SEED=%d", seed)
	c := &chaos{lab: newLab(t, append(quick, "leader.imbalance.check.interval.seconds=5")...), random: rand.New(rand.NewPCG(seed, 0))}
	c.createTopic("load", [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 3, 2}}, "min.insync.replicas=2", "segment.bytes=262144")
	c.awaitInSync("load", clusterPartitions, c.ids()...)
	watch := watchLeaders(t, c.addresses()...)
	l := c.startLoad(t, "load", clusterPartitions, 250)
	l.awaitProgress(30 * time.Second)

	d := newFaultDeck(c.random, c.faults())
	for end := time.Now().Add(duration); time.Now().Before(end); {
		began := time.Now()
		round, what := d.draw()
		t.Logf("%s %s", began.Format(time.TimeOnly), what)
		for _, f := range round {
			f.strike()
			c.wait(3 * time.Second)
		}
		c.wait(6 * time.Second)
		c.recover()
		c.awaitInSync("load", clusterPartitions, c.ids()...)
		l.awaitProgress(60 * time.Second)
		l.whileIdle(func() {
			l.verifySoFar(c.any().address())
			c.awaitSameBytes("load", clusterPartitions, c.members...)
		})
		if t.Failed() {
			t.Fatalf("after %s", what)
		}
		t.Logf("%.1f s; %s", time.Since(began).Seconds(), l)
	}
	l.stop()
	watch.stop(t)
	c.checkHealthy()
	l.verify(c.any().address())
	c.awaitIdentical("load", clusterPartitions, c.members...)
	if duration <= 5*time.Minute {
		c.compareDumps() // after longer runs the dumps are too large to be worth comparing
	}
	d.report(t)
	t.Log(l)
}

// chaosParameters returns the values of MONEDULA_CHAOS_DURATION and MONEDULA_CHAOS_SEED, or the given
// duration and a new seed.
func chaosParameters(t testing.TB, duration time.Duration) (time.Duration, uint64) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MONEDULA_CHAOS_DURATION"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("MONEDULA_CHAOS_DURATION: %v", err)
		}
	}
	if text := os.Getenv("MONEDULA_CHAOS_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("MONEDULA_CHAOS_SEED: %v", err)
		}
	}
	return duration, seed
}

// faultDeck chooses faults at random, each once before any is repeated.
type faultDeck struct {
	random *rand.Rand
	faults []fault
	left   []int          // indexes of the faults that are chosen next
	struck map[string]int // how often each fault was chosen
}

func newFaultDeck(random *rand.Rand, faults []fault) *faultDeck {
	return &faultDeck{random: random, faults: faults, struck: map[string]int{}}
}

// draw chooses one or two faults for a round, and describes them.
func (d *faultDeck) draw() (round []fault, what string) {
	if len(d.left) == 0 {
		d.left = d.random.Perm(len(d.faults))
	}
	first := d.faults[d.left[0]]
	d.left = d.left[1:]
	round, what = []fault{first}, first.name
	d.struck[first.name]++
	if second := d.faults[d.random.IntN(len(d.faults))]; d.random.IntN(2) == 0 && mayFollow(first.kind, second.kind) {
		round, what = append(round, second), what+", then "+second.name
		d.struck[second.name]++
	}
	return round, what
}

// report logs how often each fault was chosen.
func (d *faultDeck) report(t testing.TB) {
	t.Helper()
	total := 0
	for _, name := range slices.Sorted(maps.Keys(d.struck)) {
		t.Logf("%3d x %s", d.struck[name], name)
		total += d.struck[name]
	}
	t.Logf("%d faults of %d kinds", total, len(d.struck))
}

// mayFollow reports whether a fault of the second kind may be injected while one of the first kind
// lasts.
func mayFollow(first, second faultKind) bool {
	broker := func(k faultKind) bool { return k == process || k == disks }
	return second != calm && first != second && !(broker(first) && broker(second))
}

func (c *chaos) any() *member { return c.members[c.random.IntN(len(c.members))] }

// someController returns the controller, or any broker if none is elected within five seconds.
func (c *chaos) someController() *member {
	id := int32(-1)
	if !within(5*time.Second, func() bool { id = c.controllerID(); return id >= 0 }) {
		return c.any()
	}
	return c.member(id)
}

// wait waits for a random time below the given maximum, while a fault lasts.
func (c *chaos) wait(most time.Duration) {
	<-time.After(time.Duration(c.random.Int64N(int64(most))))
}

func (c *chaos) kill(n int) {
	for _, i := range c.random.Perm(len(c.members))[:n] {
		c.killThis(c.members[i])
	}
}

func (c *chaos) killThis(m *member) {
	m.process().Kill()
	c.down = append(c.down, m)
}

func (c *chaos) killTwoControllers() {
	first := c.someController()
	c.killThis(first)
	next := func() bool { id := c.controllerID(); return id >= 0 && id != first.id }
	if within(10*time.Second, next) {
		c.killThis(c.member(c.controllerID()))
	}
}

func (c *chaos) sleep(m *member) {
	m.process().Signal(sigStop)
	c.asleep = append(c.asleep, m)
	c.wait(5 * time.Second)
}

// recover repairs links and disks, resumes paused brokers, and restarts all at once the brokers
// that were killed or had a bad disk.
func (c *chaos) recover() {
	c.t.Helper()
	c.healLinks()
	for _, m := range c.asleep {
		m.process().Signal(sigCont)
	}
	for _, m := range c.members {
		if slices.ContainsFunc(c.disks[m], (*disk).failed) {
			c.stopSomehow(m)
			c.down = append(c.down, m)
		}
		for _, d := range c.disks[m] {
			d.repair()
		}
	}
	for _, m := range c.down {
		m.earlierOutput += m.process().Output() + "\n"
		m.ours.launch()
	}
	for _, m := range c.down {
		if err := m.process().AwaitOutput(startedLine, time.Minute); err != nil {
			c.t.Fatal(err)
		}
	}
	c.asleep, c.down = nil, nil
}

// stopSomehow kills a broker or stops it cleanly. The broker may have exited already.
func (c *chaos) stopSomehow(m *member) {
	c.t.Helper()
	select {
	case <-m.process().Ended():
		if code := m.process().ExitCode(); code != 1 {
			c.t.Errorf("%s ended with exit code %d; its output:\n%s", m, code, ending(m.process().Output()))
		}
		return
	default:
	}
	if c.random.IntN(2) == 0 {
		m.process().Kill()
	} else {
		m.stop()
	}
}

// killKeepers kills ZooKeeper servers and starts them again after a random time.
func (c *chaos) killKeepers(which ...int) {
	c.t.Helper()
	for _, i := range which {
		c.quorum.Servers[i].Kill()
	}
	c.wait(4 * time.Second)
	if err := c.quorum.Restart(which...); err != nil {
		c.t.Fatal(err)
	}
	c.awaitKeeper()
}

// pauseKeepers pauses ZooKeeper servers for a random time.
func (c *chaos) pauseKeepers(which ...int) {
	c.t.Helper()
	for _, i := range which {
		c.quorum.Servers[i].Pause()
	}
	c.wait(6 * time.Second)
	for _, i := range which {
		c.quorum.Servers[i].Resume()
	}
	c.awaitKeeper()
}

// awaitKeeper waits until the test's own ZooKeeper session is connected again.
func (c *chaos) awaitKeeper() {
	c.t.Helper()
	testkit.Eventually(c.t, time.Minute, "a session of the test's own", func() bool {
		_, _, err := c.tree.conn.Exists(c.tree.path("/brokers"))
		return err == nil
	})
}

func (c *chaos) electPreferred() {
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		_, err := kadm.NewClient(client).ElectLeaders(ctx, kadm.ElectPreferredReplica, nil)
		return err
	})
}

// shuffle reassigns a partition to the same replicas in a random order.
func (c *chaos) shuffle() {
	partition, order := int32(c.random.IntN(clusterPartitions)), c.random.Perm(len(c.members))
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign("load", partition, []int32{c.members[order[0]].id, c.members[order[1]].id, c.members[order[2]].id})
		_, err := kadm.NewClient(client).AlterPartitionAssignments(ctx, req)
		return err
	})
}
