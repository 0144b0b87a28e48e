package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// chaos is a cluster of ours to which random things happen.
type chaos struct {
	*cluster
	keeper *testkit.Ensemble
	random *rand.Rand
	down   []*member // killed or stopped, to be started when the event ends
	asleep []*member
}

// TestChaos strikes a cluster at random for MONEDULA_CHAOS_DURATION (20s) from
// MONEDULA_CHAOS_SEED (a fresh one), while a producer writes: brokers are
// killed, also all at once, put to sleep and stopped, the controller moves,
// leaders are elected and replicas reassigned, ZooKeeper is killed or sleeps.
func TestChaos(t *testing.T) {
	duration, seed := 20*time.Second, uint64(time.Now().UnixNano())
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
	t.Logf("MONEDULA_CHAOS_SEED=%d", seed)
	keeper := testkit.NewZooKeeper(t)
	c := &chaos{cluster: newClusterOn(t, keeper.Address()+"/chaos", append(quick, "leader.imbalance.check.interval.seconds=5"), "ours", "ours", "ours"),
		keeper: keeper, random: rand.New(rand.NewPCG(seed, 0))}
	c.createTopic("load", [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 3, 2}}, "min.insync.replicas=2", "segment.bytes=262144")
	c.awaitInSync("load", clusterPartitions, c.ids()...)
	watch := watchLeaders(t, c.addresses()...)
	l := startLoad(t, "load", clusterPartitions, 250, c.addresses()...)
	l.awaitProgress(30 * time.Second)

	events := []struct {
		name   string
		strike func()
	}{
		{"kill one", func() { c.kill(1) }},
		{"kill two", func() { c.kill(2) }},
		{"kill all", func() { c.kill(3) }},
		{"kill the controller", func() { c.killThis(c.controller()) }},
		{"one sleeps", func() { c.sleep(c.any()) }},
		{"two sleep", func() { m := c.any(); c.sleep(m); c.sleep(c.others(m)[c.random.IntN(2)]) }},
		{"the controller sleeps", func() { c.sleep(c.controller()) }},
		{"one stops in order", func() { m := c.any(); m.stop(); c.down = append(c.down, m) }},
		{"the controller moves", func() { _ = c.tree.conn.Delete(c.tree.path("/controller"), -1) }},
		{"preferred leaders are elected", c.electPreferred},
		{"replicas are reassigned", c.shuffle},
		{"ZooKeeper is killed", func() { c.keeper.Kill(); c.wait(4 * time.Second); c.restartKeeper() }},
		{"ZooKeeper sleeps", func() { c.keeper.Pause(); c.wait(6 * time.Second); c.keeper.Resume(); c.awaitKeeper() }},
	}
	for end := time.Now().Add(duration); time.Now().Before(end); {
		began := time.Now()
		var names []string
		for n := 1 + c.random.IntN(2); n > 0; n-- {
			e := events[c.random.IntN(len(events))]
			if len(c.down)+len(c.asleep) > 0 && !strings.Contains(e.name, "ZooKeeper") {
				continue // the event before goes on
			}
			names = append(names, e.name)
			e.strike()
			c.wait(2 * time.Second)
		}
		c.recover()
		c.awaitInSync("load", clusterPartitions, c.ids()...)
		l.awaitProgress(60 * time.Second)
		t.Logf("%s: %.1f s; %s", strings.Join(names, ", then "), time.Since(began).Seconds(), l)
	}
	l.stop()
	watch.stop(t)
	c.checkHealthy()
	l.verify(c.any().address())
	c.awaitIdentical("load", clusterPartitions, c.members...)
	c.compareDumps()
}

func (c *chaos) any() *member { return c.members[c.random.IntN(len(c.members))] }

// wait lets a random time pass: that is what the faults last.
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

func (c *chaos) sleep(m *member) {
	m.process().Signal(sigStop)
	c.asleep = append(c.asleep, m)
	c.wait(5 * time.Second)
}

// recover starts what was killed, all at once, and wakes who sleeps.
func (c *chaos) recover() {
	c.t.Helper()
	for _, m := range c.asleep {
		m.process().Signal(sigCont)
	}
	for _, m := range c.down {
		m.past += m.process().Output() + "\n"
		m.ours.launch()
	}
	for _, m := range c.down {
		if err := m.process().AwaitOutput(startedLine, time.Minute); err != nil {
			c.t.Fatal(err)
		}
	}
	c.asleep, c.down = nil, nil
}

func (c *chaos) restartKeeper() {
	c.t.Helper()
	if err := c.keeper.Restart(); err != nil {
		c.t.Fatal(err)
	}
	c.awaitKeeper()
}

// awaitKeeper waits until the test itself is connected again.
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

// shuffle gives a partition its replicas in another order.
func (c *chaos) shuffle() {
	partition, order := int32(c.random.IntN(clusterPartitions)), c.random.Perm(len(c.members))
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign("load", partition, []int32{c.members[order[0]].id, c.members[order[1]].id, c.members[order[2]].id})
		_, err := kadm.NewClient(client).AlterPartitionAssignments(ctx, req)
		return err
	})
}
