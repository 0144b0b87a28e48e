package reassign

import (
	"reflect"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/tools/client"
)

func TestAReassignmentFileIsReadAndWritten(t *testing.T) {
	text := `{"version":1,"partitions":[{"topic":"a<b","partition":10,"replicas":[1,2],"log_dirs":["any","/d"]},{"topic":"a<b","partition":9,"replicas":[3]}]} rest`
	p, err := parsePlan(text)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[replica]string{{client.TopicPartition{Topic: "a<b", Partition: 10}, 2}: "/d"}; !reflect.DeepEqual(p.dirs, want) {
		t.Errorf("directories %v", p.dirs)
	}
	targets, err := p.executable()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":1,"partitions":[{"topic":"a<b","partition":9,"replicas":[3],"log_dirs":["any"]},{"topic":"a<b","partition":10,"replicas":[1,2],"log_dirs":["any","any"]}]}`
	if have := reassignmentJSON(targets); have != want {
		t.Errorf("written\n%s\nnot\n%s", have, want)
	}
}

// For a partition with a running move, the sources are those of that move. The destinations are the
// replicas that the target adds.
func TestThrottlesNameTheReplicasThatSendAndFetch(t *testing.T) {
	running := map[client.TopicPartition]client.Reassignment{
		{Topic: "t", Partition: 0}: {Replicas: []metadata.BrokerID{1, 2, 3}, Adding: []metadata.BrokerID{3}, Removing: []metadata.BrokerID{1}},
		{Topic: "u", Partition: 0}: {Replicas: []metadata.BrokerID{5, 6}, Adding: []metadata.BrokerID{6}},
	}
	targets := map[client.TopicPartition][]metadata.BrokerID{{Topic: "t", Partition: 0}: {2, 4}, {Topic: "t", Partition: 10}: {1, 2}}
	current := map[client.TopicPartition][]metadata.BrokerID{{Topic: "t", Partition: 0}: {1, 2, 3}, {Topic: "t", Partition: 10}: {1}}
	all := moves(running, targets, current)
	want := map[string][2]string{"t": {"0:1,0:2,10:1", "0:4,10:2"}, "u": {"0:5", "0:6"}}
	if have := throttles(all); !reflect.DeepEqual(have, want) {
		t.Errorf("throttles %v", have)
	}
	if have := moving(all); !reflect.DeepEqual(have, []metadata.BrokerID{1, 2, 4, 5, 6}) {
		t.Errorf("brokers %v", have)
	}
}
