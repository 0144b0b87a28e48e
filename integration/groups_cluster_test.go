package integration

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// The coordinator of a group is killed, paused for too long, and stopped cleanly. Another broker,
// ours or a real one, takes over the group with its offsets and its members.
func TestAnotherBrokerTakesOverTheGroup(t *testing.T) {
	if testkit.FullMatrices() {
		t.Run("ours", func(t *testing.T) { moveCoordinator(t, "3.9", "ours", "ours", "ours") })
	}
	t.Run("ours and real ones", func(t *testing.T) { moveCoordinator(t, "2.8", "ours", "3.9.1", "2.8.2") })
}

func moveCoordinator(t *testing.T, protocol string, kinds ...string) {
	c := newCluster(t, append([]string{"offsets.topic.replication.factor=3", "offsets.topic.num.partitions=4", "group.initial.rebalance.delay.ms=0",
		"inter.broker.protocol.version=" + protocol}, quick...), kinds...)
	c.createTopic("load", [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 3, 2}}, "min.insync.replicas=2")
	c.awaitInSync("load", clusterPartitions, c.ids()...)
	seeds := c.addresses()
	one := newMemberAt(t, seeds, "g", "load", kgo.SessionTimeout(30*time.Second))
	two := newMemberAt(t, seeds, "g", "load", kgo.SessionTimeout(30*time.Second))
	testkit.Eventually(t, 60*time.Second, "two members to share", func() bool { return share(clusterPartitions, 2, one, two) })
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	coordinator := func() *member {
		var found *member
		testkit.Eventually(t, 60*time.Second, "a coordinator", func() bool {
			ctx, cancel := context.WithTimeout(background(), 5*time.Second)
			defer cancel()
			for _, f := range admin.FindGroupCoordinators(ctx, "g") {
				if f.Err == nil {
					found = c.member(f.NodeID)
					return true
				}
			}
			return false
		})
		return found
	}
	sent, last := 0, int64(0)
	makeProgress := func(what string) {
		t.Helper()
		fillAt(t, seeds, "load", sent, 100)
		sent += 100
		testkit.Eventually(t, 90*time.Second, "every record to be committed after "+what, func() bool {
			ctx, cancel := context.WithTimeout(background(), 5*time.Second)
			defer cancel()
			offsets, err := admin.FetchOffsets(ctx, "g")
			if err != nil || offsets.Error() != nil {
				return false
			}
			sum := int64(0)
			for _, o := range offsets["load"] {
				sum += o.At
			}
			if sum < last {
				t.Errorf("after %s the committed offsets went back from %d to %d", what, last, sum)
			}
			last = sum
			return sum == int64(sent)
		})
		testkit.Eventually(t, 60*time.Second, "two members to share after "+what, func() bool { return share(clusterPartitions, 2, one, two) })
	}
	makeProgress("the start")
	for _, event := range []struct {
		name   string
		strike func(*member)
	}{{"kill -9", c.killAndRestart}, {"a long sleep", c.sleepThroughSession}, {"an orderly stop", c.stopAndRestart}} {
		m := coordinator()
		t.Logf("%s of %s", event.name, m)
		event.strike(m)
		makeProgress(event.name)
		c.awaitInSync("load", clusterPartitions, c.ids()...)
	}
	if n := one.records() + two.records(); n < sent {
		t.Errorf("the members have read %d records of %d", n, sent)
	}
}
