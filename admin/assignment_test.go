package admin

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

func brokers(ids ...metadata.BrokerID) []Broker {
	var list []Broker
	for _, id := range ids {
		list = append(list, Broker{ID: id})
	}
	return list
}

func racked(pairs ...any) []Broker {
	var list []Broker
	for i := 0; i < len(pairs); i += 2 {
		rack := pairs[i+1].(string)
		list = append(list, Broker{ID: metadata.BrokerID(pairs[i].(int)), Rack: &rack})
	}
	return list
}

func TestAssignmentMatchesRealClusters(t *testing.T) {
	threeRacked := racked(0, "ra", 1, "rb", 1001, "ra")
	for _, tc := range []struct {
		name                 string
		brokers              []Broker
		partitions, replicas int
		at                   Placement
		want                 [][]metadata.BrokerID
	}{
		{"3.9.1 rack aware, events.v1 from 4 to 6", threeRacked, 2, 2, Placement{FirstPartition: 4}, [][]metadata.BrokerID{{1, 1001}, {1001, 1}}},
		{"3.9.1 rack aware, doomed", threeRacked, 2, 3, Placement{Start: 1}, [][]metadata.BrokerID{{1, 1001, 0}, {1001, 1, 0}}},
		{"2.8.2, events.v1 created", brokers(1001, 1, 0), 4, 2, Placement{}, [][]metadata.BrokerID{{1001, 1}, {1, 0}, {0, 1001}, {1001, 0}}},
		{"2.8.2, events.v1 from 4 to 6", brokers(0, 1, 1001), 2, 2, Placement{FirstPartition: 4, Start: 2, Shift: 2}, [][]metadata.BrokerID{{0, 1}, {1, 1001}}},
		{"Kafka's own comment: 10 partitions, 5 brokers, 3 replicas", brokers(0, 1, 2, 3, 4), 10, 3, Placement{},
			[][]metadata.BrokerID{{0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 0}, {4, 0, 1}, {0, 2, 3}, {1, 3, 4}, {2, 4, 0}, {3, 0, 1}, {4, 1, 2}}},
		{"Kafka's own comment: 6 brokers in 3 racks", racked(0, "rack1", 1, "rack3", 2, "rack3", 3, "rack2", 4, "rack2", 5, "rack1"), 7, 3, Placement{},
			[][]metadata.BrokerID{{0, 3, 1}, {3, 1, 5}, {1, 5, 4}, {5, 4, 2}, {4, 2, 0}, {2, 0, 3}, {0, 4, 2}}},
		{"racks of one and three brokers", racked(0, "a", 1, "b", 2, "b", 3, "b"), 4, 2, Placement{}, [][]metadata.BrokerID{{0, 1}, {1, 0}, {2, 0}, {3, 0}}},
		{"one broker", brokers(7), 3, 1, Placement{}, [][]metadata.BrokerID{{7}, {7}, {7}}},
	} {
		got, err := AssignReplicas(tc.brokers, tc.partitions, tc.replicas, tc.at)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got %v %v\nwant %v", tc.name, got, err, tc.want)
		}
	}
}

func TestAssignmentRefusesImpossibleCounts(t *testing.T) {
	for _, tc := range []struct {
		partitions, replicas int
		code                 protocol.ErrorCode
		text                 string
	}{
		{0, 1, protocol.InvalidPartitions, "Number of partitions must be larger than 0."},
		{1, 0, protocol.InvalidReplicationFactor, "Replication factor must be larger than 0."},
		{1, 9, protocol.InvalidReplicationFactor, "Replication factor: 9 larger than available brokers: 2."},
		{math.MaxInt32, 9, protocol.InvalidReplicationFactor, "Replication factor: 9 larger than available brokers: 2."},
		{math.MaxInt32, 2, protocol.InvalidPartitions, "Number of partitions: 2147483647 is more than the 104755 that a topic's node in ZooKeeper can hold."},
		{math.MaxInt, 1, protocol.InvalidPartitions, "Number of partitions: 9223372036854775807 is more than the 130944 that a topic's node in ZooKeeper can hold."},
	} {
		_, err := AssignReplicas(brokers(0, 1), tc.partitions, tc.replicas, Placement{})
		if protocol.CodeOf(err) != tc.code || err.Error() != tc.text {
			t.Errorf("%d×%d: %v", tc.partitions, tc.replicas, err)
		}
	}
	if err := CheckCounts(2, 104755, 2); err != nil {
		t.Errorf("the largest count for a node: %v", err)
	}
	mixed := append(racked(0, "a"), Broker{ID: 1})
	if _, err := AssignReplicas(mixed, 1, 1, Placement{}); protocol.CodeOf(err) != protocol.UnknownServerError {
		t.Errorf("brokers with and without racks: %v", err)
	}
}

func TestReplicasOfAPartitionGoToDifferentBrokers(t *testing.T) {
	for n := 1; n <= 5; n++ {
		for r := 1; r <= n; r++ {
			for start := range n {
				list, err := AssignReplicas(brokers(3, 1, 4, 5, 9)[:n], 13, r, Placement{Start: start, Shift: n - 1 - start})
				if err != nil {
					t.Fatal(err)
				}
				for p, replicas := range list {
					if len(replicas) != r || hasDuplicates(replicas) {
						t.Errorf("%d brokers, %d replicas: partition %d on %v", n, r, p, replicas)
					}
				}
			}
		}
	}
}

func TestTopicNames(t *testing.T) {
	long := string(make([]byte, 250))
	for name, reason := range map[string]string{
		"":          "the empty string is not allowed",
		".":         "'.' is not allowed",
		"..":        "'..' is not allowed",
		"bad topic": "'bad topic' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		"ä":         "'ä' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		long:        "the length of '" + long + "' is longer than the max allowed length 249",
	} {
		err := ValidateTopicName(name)
		if protocol.CodeOf(err) != protocol.InvalidTopicException || err.Error() != "Topic name is invalid: "+reason {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"a", "...", "A-Z_09.x", "__consumer_offsets", strings.Repeat("n", 249)} {
		if err := ValidateTopicName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if !Collide("a.b_c", "a_b.c") || Collide("a-b", "a_b") || !MayCollide("a.b") || MayCollide("a-b") {
		t.Error("collisions are not detected as expected")
	}
}
