package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
)

// mixedCluster is a cluster of our brokers and real ones, and the combinations that are tested on
// it: which broker is the controller, which leads, and which is killed.
type mixedCluster struct {
	name     string
	kinds    []string   // of the brokers 1, 2 and 3
	protocol string     // inter.broker.protocol.version of all
	sides    []int32    // the brokers that take these roles
	sample   []mixedRow // run without MONEDULA_TEST_ALL
}

type mixedRow struct{ controller, leader, victim int32 }

var mixedClusters = []mixedCluster{
	{"all three at 2.8", []string{"ours", "3.9.1", "2.8.2"}, "2.8", []int32{1, 2, 3},
		[]mixedRow{{1, 3, 2}, {3, 1, 3}}},
	{"3.9.1 at 3.9", []string{"ours", "3.9.1", "ours"}, "3.9", []int32{1, 2},
		[]mixedRow{{1, 2, 2}}},
	// Below 2.7-IV2, leaders write their in-sync sets to ZooKeeper.
	{"3.9.1 at 2.6", []string{"ours", "3.9.1", "ours"}, "2.6", []int32{1, 2},
		[]mixedRow{{2, 1, 1}}},
	{"2.8.2 at 2.8", []string{"ours", "2.8.2", "ours"}, "2.8", []int32{1, 2}, nil},
}

// rows returns all combinations of a cluster with MONEDULA_TEST_ALL, otherwise a sample.
func (m mixedCluster) rows() []mixedRow {
	if !testkit.FullMatrices() {
		return m.sample
	}
	var all []mixedRow
	for _, controller := range m.sides {
		for _, leader := range m.sides {
			for _, victim := range m.sides {
				all = append(all, mixedRow{controller, leader, victim})
			}
		}
	}
	return all
}

// properties shorten the time until failures are noticed. Sessions last longer than a member is
// paused while another becomes the controller, or while it falls behind.
func (m mixedCluster) properties() []string {
	return []string{"zookeeper.session.timeout.ms=6000", "replica.lag.time.max.ms=1500", "controlled.shutdown.retry.backoff.ms=500",
		"auto.leader.rebalance.enable=false", "inter.broker.protocol.version=" + m.protocol}
}

// Our brokers and real ones form one cluster. Whichever broker is the controller, leads or is
// killed, nothing is lost, and the logs are the same on all brokers.
func TestOurBrokersAndRealOnesFormOneCluster(t *testing.T) {
	for _, mixed := range mixedClusters {
		rows := mixed.rows()
		if len(rows) == 0 {
			continue
		}
		t.Run(mixed.name, func(t *testing.T) {
			c := newCluster(t, mixed.properties(), mixed.kinds...)
			pinInternalTopics(c)
			for i, row := range rows {
				name := fmt.Sprintf("controller %s, leader %s, killed %s", c.member(row.controller).kind, c.member(row.leader).kind, c.member(row.victim).kind)
				if !t.Run(name, func(t *testing.T) { playRow(t, c, row, fmt.Sprint("row-", i)) }) {
					t.Fatalf("the cluster is not used for more tests after %q failed", name)
				}
			}
			c.compareDumps()
		})
	}
}

// pinInternalTopics places the internal topics on a real broker, so that only a real broker
// coordinates groups and transactions.
func pinInternalTopics(c *cluster) {
	real := c.members[slices.IndexFunc(c.members, func(m *member) bool { return m.real != nil })]
	for _, topic := range []string{"__consumer_offsets", "__transaction_state"} {
		c.createTopic(topic, [][]int32{{real.id}}, "cleanup.policy=compact")
	}
}

func playRow(t *testing.T, c *cluster, row mixedRow, topic string) {
	whole := c.t
	c.t, c.tree.t = t, t
	defer func() { c.t, c.tree.t = whole, whole }()
	phase := timedLog(t)
	leader, victim := c.member(row.leader), c.member(row.victim)

	c.makeController(c.member(row.controller))
	replicas := []int32{leader.id}
	for _, m := range c.others(leader) {
		replicas = append(replicas, m.id)
	}
	c.createTopic(topic, [][]int32{replicas, {replicas[1], replicas[2], replicas[0]}}, "min.insync.replicas=2")
	c.awaitInSync(topic, 2, c.ids()...)
	watch := watchLeaders(t, c.addresses()...)
	l := c.startLoad(t, topic, 2, 250)
	l.awaitProgress(30 * time.Second)
	phase("written through all brokers")

	// Reassignment comes before any broker is paused: a real leader sends its request to the last
	// controller it knew, which could be the paused broker, and only then learns of the new one.
	c.moveAcross(row, topic+"-moved")
	phase("reassigned")
	c.reconfigure(topic + "-moved")
	phase("reconfigured")
	c.shrinkAndGrow(row, topic)
	l.awaitProgress(30 * time.Second)
	phase("in-sync replicas shrunk and grown")

	victim.process().Kill()
	for p := range int32(2) {
		c.awaitState(topic, p, fmt.Sprintf("in-sync replicas without %s", victim), func(s partitionState) bool {
			return s.Leader >= 0 && !slices.Contains(s.ISR, victim.id)
		})
	}
	l.awaitProgress(30 * time.Second)
	phase("written after the kill")
	c.restart(victim)
	c.awaitInSync(topic, 2, c.ids()...)
	l.awaitProgress(30 * time.Second)
	phase("all in sync again")

	l.stop()
	watch.stop(t)
	for _, m := range c.members {
		l.verify(m.address())
	}
	c.awaitIdentical(topic, 2, c.members...)
	c.checkHealthy()
	phase("verified; %s", l)
}

// shrinkAndGrow makes a follower that is not the controller fall behind. The leader must request
// its removal from the in-sync replicas, and its return later, from the controller.
func (c *cluster) shrinkAndGrow(row mixedRow, topic string) {
	c.t.Helper()
	at := slices.IndexFunc(c.members, func(m *member) bool { return m.id != row.controller && m.id != row.leader })
	slow := c.members[at]
	slow.process().Signal(sigStop)
	shrunk := within(5*time.Second, func() bool {
		s, _ := c.state(topic, 0)
		return len(s.ISR) == 2 && !slices.Contains(s.ISR, slow.id)
	})
	slow.process().Signal(sigCont)
	if s, _ := c.state(topic, 0); !shrunk || s.Leader != row.leader {
		c.t.Errorf("the leader %d did not have the in-sync replicas shrunk while %s was paused: %+v", row.leader, slow, s)
	}
	c.awaitInSync(topic, 2, c.ids()...)
	if c.stateNode(slow) == nil {
		c.t.Errorf("%s lost its session, so it was not the leader that had the in-sync replicas shrunk", slow)
	}
}

// stateNode returns the stat of a member's registration, or nil if it has none.
func (c *cluster) stateNode(m *member) any {
	if s := c.tree.stat(fmt.Sprintf("/brokers/ids/%d", m.id)); s != nil {
		return s
	}
	return nil
}

// moveAcross reassigns a partition from its leader to each of the others in turn, and back, under
// load.
func (c *cluster) moveAcross(row mixedRow, topic string) {
	c.t.Helper()
	c.createTopic(topic, [][]int32{{row.leader}}, "min.insync.replicas=1")
	l := c.startLoad(c.t, topic, 1, 250)
	l.awaitProgress(30 * time.Second)
	others := c.others(c.member(row.leader))
	c.reassign(topic, others[0].id)
	l.awaitProgress(30 * time.Second)
	c.reassign(topic, others[1].id, row.leader)
	l.awaitProgress(30 * time.Second)
	l.stop()
	l.verify(others[0].address())
	c.awaitIdentical(topic, 1, others[1], c.member(row.leader))
}

// reconfigure changes a topic's max.message.bytes through each member in turn, and waits until the
// leader applies it by refusing, or accepting, a large record.
func (c *cluster) reconfigure(topic string) {
	c.t.Helper()
	client, err := kgo.NewClient(c.patient(kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	large := &kgo.Record{Value: make([]byte, 2000)}
	for _, m := range c.members {
		for _, limit := range []string{"1000", "100000"} {
			c.setTopicConfig(m, topic, "max.message.bytes", limit)
			testkit.Eventually(c.t, 20*time.Second, fmt.Sprintf("max.message.bytes=%s of %s, set through %s, to take effect", limit, topic, m), func() bool {
				err := client.ProduceSync(ctx, large).FirstErr()
				return (limit == "1000") == errors.Is(err, kerr.MessageTooLarge) && (err == nil || errors.Is(err, kerr.MessageTooLarge))
			})
		}
	}
}

// setTopicConfig sets a key of a topic with a request to a member.
func (c *cluster) setTopicConfig(m *member, topic, key, value string) {
	c.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.SetVersion(1)
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value, config.Op = key, &value, kmsg.IncrementalAlterConfigOpSet
	resource.Configs = append(resource.Configs, config)
	req.Resources = append(req.Resources, resource)
	l := link(c.t, m.address())
	defer l.Close()
	resp, err := l.Do(background(), req)
	if err != nil {
		c.t.Fatal(err)
	}
	if r := resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0]; r.ErrorCode != 0 {
		c.t.Fatalf("set %s of %s through %s: error %d", key, topic, m, r.ErrorCode)
	}
}
