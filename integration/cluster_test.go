package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// quick are broker properties that make failures noticed soon.
var quick = []string{"zookeeper.session.timeout.ms=3000", "replica.lag.time.max.ms=2000", "controlled.shutdown.retry.backoff.ms=500"}

const clusterPartitions = 4

// Three brokers fail one after the other while a producer writes: a leader and the controller are
// each killed, paused for longer than their session, and stopped cleanly.
func TestAClusterLosesNothingWhicheverBrokerFails(t *testing.T) {
	c := newCluster(t, quick, "ours", "ours", "ours")
	c.createTopic("load", [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 3, 2}}, "min.insync.replicas=2", "segment.bytes=1048576")
	c.awaitInSync("load", clusterPartitions, c.ids()...)
	watch := watchLeaders(t, c.addresses()...)
	l := c.startLoad(t, "load", clusterPartitions, 250)
	l.awaitProgress(30 * time.Second)

	notController := func(m *member) bool { return m != c.controller() }
	for _, event := range []struct {
		name   string
		victim func() *member
		strike func(m *member)
	}{
		{"kill -9 of a leader", func() *member { return c.leaderThat("load", notController) }, c.killAndRestart},
		{"kill -9 of the controller", c.controller, c.killAndRestart},
		{"a leader asleep for longer than its session", func() *member { return c.leaderThat("load", notController) }, c.sleepThroughSession},
		{"the controller asleep for longer than its session", c.controller, c.sleepThroughSession},
		{"a leader stopped cleanly", func() *member { return c.leaderThat("load", notController) }, c.stopAndRestart},
		{"the controller stopped cleanly", c.controller, c.stopAndRestart},
	} {
		began, m := time.Now(), event.victim()
		event.strike(m)
		c.awaitInSync("load", clusterPartitions, c.ids()...)
		l.awaitProgress(30 * time.Second)
		t.Logf("%s, %s: %.1f s; %s", event.name, m, time.Since(began).Seconds(), l)
	}
	l.stop()
	watch.stop(t)
	c.checkHealthy()
	for _, m := range c.members {
		l.verify(m.address())
	}
	c.awaitIdentical("load", clusterPartitions, c.members...)
	c.compareDumps()
	if out := must(t, "kafka-topics", append(c.members[0].ours.bootstrap(), "--describe", "--under-replicated-partitions")...); out != "" {
		t.Errorf("kafka-topics.sh --under-replicated-partitions printed:\n%s", out)
	}
}

// leaderThat returns a member that leads a partition of the topic and satisfies a condition.
func (c *cluster) leaderThat(topic string, holds func(*member) bool) *member {
	c.t.Helper()
	var found *member
	testkit.Eventually(c.t, 30*time.Second, "such a leader of "+topic, func() bool {
		for p := range int32(clusterPartitions) {
			if s, there := c.state(topic, p); there && s.Leader >= 0 {
				if m := c.member(s.Leader); holds(m) {
					found = m
					return true
				}
			}
		}
		return false
	})
	return found
}

// awaitLeftOut waits until a broker is in no in-sync set of topic "load".
func (c *cluster) awaitLeftOut(m *member) {
	c.t.Helper()
	for p := range int32(clusterPartitions) {
		c.awaitState("load", p, fmt.Sprintf("in-sync replicas without %s", m), func(s partitionState) bool {
			return s.Leader >= 0 && s.Leader != m.id && !slices.Contains(s.ISR, m.id)
		})
	}
}

func (c *cluster) killAndRestart(m *member) {
	c.t.Helper()
	m.process().Kill()
	c.awaitLeftOut(m)
	c.restart(m)
}

func (c *cluster) sleepThroughSession(m *member) {
	c.t.Helper()
	m.process().Signal(sigStop)
	c.tree.awaitGone(fmt.Sprintf("/brokers/ids/%d", m.id), 30*time.Second)
	c.awaitLeftOut(m)
	m.process().Signal(sigCont)
}

func (c *cluster) stopAndRestart(m *member) {
	c.t.Helper()
	m.stop()
	c.awaitLeftOut(m)
	c.restart(m)
}
