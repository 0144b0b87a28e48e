package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
)

// inRacks are the properties of brokers in two racks whose consumers read from a replica in their
// own rack. Brokers 1 and 3 are in one rack, 2 is in the other.
var inRacks = []string{"zookeeper.session.timeout.ms=6000", "replica.lag.time.max.ms=2000", "controlled.shutdown.retry.backoff.ms=500", "broker.rack={rack}", "inter.broker.protocol.version=3.9",
	"replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector", "unclean.leader.election.enable=false",
	"auto.leader.rebalance.enable=false"}

// Two of our brokers and a real one are in two racks. Replicas are spread over the racks, consumers
// read from the follower in their rack, and an out-of-sync replica becomes leader only if the topic
// or the cluster allows it.
func TestRacksAndUncleanElectionsInAMixedCluster(t *testing.T) {
	c := newCluster(t, inRacks, "ours", "ours", "3.9.1")
	t.Run("replicas are spread over racks", func(t *testing.T) { spreadOverRacks(t, c) })
	for i, r := range []struct {
		name             string
		leader, follower int32
	}{
		{"our follower serves reads for our leader", 1, 2},
		{"our follower serves reads for a real leader", 3, 2},
		{"a real follower serves reads for our leader", 2, 3},
	} {
		t.Run(r.name, func(t *testing.T) { readInRack(t, c, fmt.Sprint("racks-", i), r.leader, r.follower) })
	}
	type uncleanElection struct {
		name                       string
		controller, leader, behind int32
		ofAll                      bool
	}
	elections := []uncleanElection{{"for a topic, by a real controller", 3, 1, 2, false}}
	if testkit.FullMatrices() {
		elections = append(elections, uncleanElection{"for a topic, by our controller", 1, 3, 2, false})
	}
	elections = append(elections, uncleanElection{"for all brokers, by our controller", 2, 1, 3, true})
	for i, u := range elections {
		t.Run("unclean election "+u.name, func(t *testing.T) {
			topic := fmt.Sprint("unclean-", i)
			c.leaveBehind(t, topic, u.controller, u.leader, u.behind)
			if u.ofAll {
				c.member(u.controller).ours.set("", uncleanKey, "true")
			} else {
				c.setTopicConfig(c.member(u.controller), topic, uncleanKey, "true")
			}
			c.electedUncleanly(t, topic, u.leader, u.behind)
		})
	}
}

const uncleanKey = "unclean.leader.election.enable"

// spreadOverRacks creates topics while one of our brokers and while the real one is the controller.
// The replicas of each partition must be in different racks.
func spreadOverRacks(t *testing.T, c *cluster) {
	for _, m := range []*member{c.member(1), c.member(3)} {
		c.makeController(m) // the controller places the replicas of a new topic
		client, err := kgo.NewClient(kgo.SeedBrokers(m.address()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		admin := kadm.NewClient(client)
		topic := fmt.Sprint("spread-", m.id)
		ctx, cancel := context.WithTimeout(background(), 30*time.Second)
		defer cancel()
		if _, err := admin.CreateTopic(ctx, 8, 2, nil, topic); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, 20*time.Second, "the topic "+topic, func() bool {
			topics, err := admin.ListTopics(ctx, topic)
			if err != nil || len(topics[topic].Partitions) != 8 {
				return false
			}
			topics.EachPartition(func(p kadm.PartitionDetail) {
				if rackOf(p.Replicas[0]) == rackOf(p.Replicas[1]) {
					t.Errorf("%s-%d has its replicas %v in one rack", topic, p.Partition, p.Replicas)
				}
			})
			return true
		})
	}
}

// readsByBroker counts the bytes of Fetch answers by the broker that sent them.
type readsByBroker struct {
	mu    sync.Mutex
	bytes map[int32]int
}

// OnBrokerRead implements kgo.HookBrokerRead. The client calls it after it has read a response.
func (r *readsByBroker) OnBrokerRead(meta kgo.BrokerMetadata, key int16, bytes int, _, _ time.Duration, _ error) {
	if key == 1 {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bytes[meta.NodeID] += bytes
	}
}

// readInRack reads a topic with a consumer in the follower's rack. The follower must serve the
// existing records and those written later.
func readInRack(t *testing.T, c *cluster, topic string, leader, follower int32) {
	c.createTopic(topic, [][]int32{{leader, follower}})
	c.awaitInSync(topic, 1, leader, follower)
	const size = 400_000
	c.fillTopic(topic, size)
	reads := &readsByBroker{bytes: map[int32]int{}}
	client, err := kgo.NewClient(c.patient(kgo.Rack(rackOf(follower)), kgo.ConsumeTopics(topic), kgo.WithHooks(reads),
		kgo.FetchMaxWait(200*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	read := func(n int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(background(), 40*time.Second)
		defer cancel()
		for n > 0 {
			fetches := client.PollFetches(ctx)
			if ctx.Err() != nil {
				t.Fatalf("%d records were not received", n)
			}
			n -= fetches.NumRecords()
		}
	}
	read(size / 5000)
	c.fillTopic(topic, size)
	read(size / 5000)
	reads.mu.Lock()
	defer reads.mu.Unlock()
	if reads.bytes[follower] < 2*size || reads.bytes[leader] > size/2 {
		t.Errorf("bytes read by broker: %v; the follower in the consumer's rack is %d, the leader %d", reads.bytes, follower, leader)
	}
}

// leaveBehind leaves a topic with a dead leader and a live replica that is out of sync and must not
// lead. Both have the first 10 records, only the dead leader has the next 10.
func (c *cluster) leaveBehind(t *testing.T, topic string, controller, leader, behind int32) {
	c.makeController(c.member(controller))
	c.createTopic(topic, [][]int32{{leader, behind}})
	c.awaitInSync(topic, 1, leader, behind)
	c.fillTopic(topic, 50_000)
	c.member(behind).process().Kill()
	c.awaitState(topic, 0, "in-sync replicas without the second", func(s partitionState) bool { return slices.Equal(s.ISR, []int32{leader}) })
	c.fillTopic(topic, 50_000)
	c.member(leader).process().Kill()
	c.awaitState(topic, 0, "no leader", func(s partitionState) bool { return s.Leader == -1 })
	c.restart(c.member(behind))
	c.awaitMetadataOn(c.member(behind), "the other broker", func(resp *kmsg.MetadataResponse) bool { return len(resp.Brokers) == 2 })
	if s, _ := c.state(topic, 0); s.Leader != -1 || !slices.Equal(s.ISR, []int32{leader}) {
		t.Fatalf("an out-of-sync replica leads although that is not allowed: %+v", s)
	}
	if err := c.tryProduce(topic); err == nil {
		t.Error("a partition without a leader accepted a record")
	}
}

// electedUncleanly waits for the election that is now allowed. The old leader comes back and must
// truncate the records that only it had.
func (c *cluster) electedUncleanly(t *testing.T, topic string, leader, behind int32) {
	c.awaitState(topic, 0, "the second as the leader", func(s partitionState) bool { return s.Leader == behind && slices.Equal(s.ISR, []int32{behind}) })
	c.fillTopic(topic, 50_000)
	c.restart(c.member(leader))
	c.awaitInSync(topic, 1, leader, behind)
	c.awaitIdentical(topic, 1, c.member(leader), c.member(behind))
	read := readStored(t, c.member(behind).address(), topic, 1)[0]
	if len(read) != 20 || read[19].offset != 19 {
		t.Errorf("%d records are left; only the middle 10 of 30 must be lost", len(read))
	}
}

// tryProduce produces one record with a short delivery timeout.
func (c *cluster) tryProduce(topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.addresses()...), kgo.DefaultProduceTopic(topic),
		kgo.RecordDeliveryTimeout(2*time.Second), kgo.RecordRetries(3))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 10*time.Second)
	defer cancel()
	err = client.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr()
	return errors.Join(err, ctx.Err())
}
