package zkconsumer

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/zkstore"
)

func text(owners map[TopicPartition]thread) string {
	var lines []string
	for tp, t := range owners {
		lines = append(lines, fmt.Sprintf("%s-%d %s", tp.Topic, tp.Partition, t))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func upTo(n int32) (all []int32) {
	for p := range n {
		all = append(all, p)
	}
	return all
}

func TestRangeAssignmentMatchesTheDocumentation(t *testing.T) {
	g := group{topics: map[string]map[string]int{"C1": {"t": 2}, "C2": {"t": 2, "u": 1}}, partitions: map[string][]int32{"t": upTo(5), "u": upTo(2)}}
	if got := text(g.assign(RangeAssignor, "C1")); got != "t-0 C1-0, t-1 C1-0, t-2 C1-1, t-3 C2-0, t-4 C2-1" {
		t.Error(got)
	}
	if got := text(g.assign(RangeAssignor, "C2")); !strings.HasSuffix(got, "u-0 C2-0, u-1 C2-0") {
		t.Error(got)
	}
	g.partitions["t"] = upTo(2) // fewer than threads
	if got := text(g.assign(RangeAssignor, "C1")); got != "t-0 C1-0, t-1 C1-1" {
		t.Error(got)
	}
	delete(g.partitions, "t") // does not exist yet
	if got := text(g.assign(RangeAssignor, "C1")); got != "" {
		t.Error(got)
	}
}

func TestRoundRobinOrdersPartitionsByHash(t *testing.T) {
	g := group{topics: map[string]map[string]int{"A": {"t": 1, "u": 1}, "B": {"t": 1}}, partitions: map[string][]int32{"t": upTo(3), "u": upTo(3)}}
	// Hashes of a letter, a dash and a digit increase with the letter, then with the digit.
	if got := text(g.assign(RoundRobinAssignor, "A")); got != "t-0 A-0, t-1 B-0, t-2 A-0, u-0 A-0, u-1 A-0, u-2 A-0" {
		t.Error(got)
	}
	if h := hashOf(TopicPartition{Topic: "cc", Partition: 12}); h != 94422702 {
		t.Errorf("hash %d", h)
	}
}

// In any group, every partition with a reader must have exactly one owner, the owner must read the
// topic, and all members must compute the same assignment.
func TestEveryPartitionHasOneOwner(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		g := group{topics: map[string]map[string]int{}, partitions: map[string][]int32{}}
		for i := range 1 + random.IntN(4) {
			g.topics[fmt.Sprint("m", i)] = map[string]int{}
		}
		for _, topic := range []string{"a", "b", "c"} {
			g.partitions[topic] = upTo(random.Int32N(9))
			for _, topics := range g.topics {
				if random.IntN(3) > 0 {
					topics[topic] = 1 + random.IntN(3)
				}
			}
		}
		for _, assignor := range []string{RangeAssignor, RoundRobinAssignor} {
			whole := map[TopicPartition]thread{}
			for member := range g.topics {
				for tp, owner := range g.assign(assignor, member) {
					if before, there := whole[tp]; there && before != owner {
						t.Fatalf("%s: %v belongs to %s and %s in %+v", assignor, tp, before, owner, g)
					}
					whole[tp] = owner
					if owner.number >= g.topics[owner.member][tp.Topic] {
						t.Fatalf("%s: %v belongs to %s, which does not read it, in %+v", assignor, tp, owner, g)
					}
				}
			}
			for topic, partitions := range g.partitions {
				for _, p := range partitions {
					if _, owned := whole[TopicPartition{Topic: topic, Partition: p}]; !owned && len(g.readers(topic)) > 0 {
						t.Fatalf("%s: %s-%d has no owner in %+v", assignor, topic, p, g)
					}
				}
			}
		}
	}
}

func TestPatternsAreParsedLikeInKafka(t *testing.T) {
	all := []string{"a", "ab", "b", "__consumer_offsets", "__transaction_state", "__mine"}
	for _, c := range []struct {
		pattern, raw string
		internal     bool
		want         string
	}{
		{zkstore.SubscribeWhitelist, "a", false, "a"},
		{zkstore.SubscribeWhitelist, ` "a, b" `, false, "a b"},
		{zkstore.SubscribeWhitelist, "'.*'", false, "__mine a ab b"},
		{zkstore.SubscribeWhitelist, ".*", true, "__consumer_offsets __mine __transaction_state a ab b"},
		{zkstore.SubscribeBlacklist, "a.*", false, "__mine b"},
	} {
		s, err := subscriptionOf(zkstore.ConsumerRegistration{Pattern: c.pattern, Subscription: map[string]int{tidyPattern(c.raw): 2}}, !c.internal)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(sortedTopics(s.of(all)), " "); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.pattern, c.raw, got, c.want)
		}
	}
	if _, err := subscriptionOf(zkstore.ConsumerRegistration{Pattern: zkstore.SubscribeWhitelist, Subscription: map[string]int{"a(": 1}}, true); err == nil {
		t.Error("the invalid pattern a( was accepted")
	}
}

func TestPropertiesMatchTheClassicConsumer(t *testing.T) {
	var c Config
	unknown, err := c.Properties(map[string]string{"group.id": "g", "zookeeper.connect": "z", "auto.commit.enable": "false", "zookeeper.sync.time.ms": "700",
		"fetch.message.max.bytes": "5", "exclude.internal.topics": "false", "offsets.storage": "KAFKA", "enable.auto.commit": "true", "bootstrap.servers": "x"})
	if err != nil || strings.Join(unknown, " ") != "bootstrap.servers enable.auto.commit" {
		t.Errorf("%v, %v", unknown, err)
	}
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	if c.Group != "g" || c.ClientID != "g" || !c.NoAutoCommit || c.RebalanceBackoff != 700*time.Millisecond || c.FetchMessageMax != 5 || !c.WithInternal ||
		c.OffsetsStorage != StorageKafka || c.AutoCommitInterval != time.Minute || c.RebalanceRetries != 4 || c.ConnectionTimeout != 6*time.Second {
		t.Errorf("%+v", c)
	}
	for key, value := range map[string]string{"group.id": "a b", "auto.offset.reset": "latest", "offsets.storage": "disk", "partition.assignment.strategy": "sticky",
		"fetch.min.bytes": "few", "auto.commit.enable": "yes", "socket.timeout.ms": "5", "client.id": "/"} {
		c := Config{Group: "g"}
		_, err := c.Properties(map[string]string{key: value})
		if err == nil {
			err = c.complete()
		}
		var refused *ConfigError
		if !errors.As(err, &refused) {
			t.Errorf("%s=%s: %v", key, value, err)
		}
	}
	for _, c := range []Config{{Group: "g"}, {Group: "g", Include: "a", Exclude: "b"}, {Group: "g", Topics: map[string]int{"t": 0}}, {Include: "a"}} {
		if err := c.complete(); err == nil {
			if _, err = c.registration(); err == nil {
				t.Errorf("%+v was accepted", c)
			}
		}
	}
	r, err := (&Config{Group: "g", Topics: map[string]int{"t": 2}}).registration()
	if err != nil || r.Pattern != zkstore.SubscribeStatic || !maps.Equal(r.Subscription, map[string]int{"t": 2}) {
		t.Errorf("%+v, %v", r, err)
	}
}
