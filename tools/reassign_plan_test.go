package tools

import (
	"reflect"
	"testing"
)

func TestAReassignmentFileIsReadAndWritten(t *testing.T) {
	text := `{"version":1,"partitions":[{"topic":"a<b","partition":10,"replicas":[1,2],"log_dirs":["any","/d"]},{"topic":"a<b","partition":9,"replicas":[3]}]} rest`
	p, err := parsePlan(text)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[replica]string{{topicPartition{"a<b", 10}, 2}: "/d"}; !reflect.DeepEqual(p.dirs, want) {
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
	running := map[topicPartition]reassignment{
		{"t", 0}: {replicas: []int32{1, 2, 3}, adding: []int32{3}, removing: []int32{1}},
		{"u", 0}: {replicas: []int32{5, 6}, adding: []int32{6}},
	}
	targets := map[topicPartition][]int32{{"t", 0}: {2, 4}, {"t", 10}: {1, 2}}
	current := map[topicPartition][]int32{{"t", 0}: {1, 2, 3}, {"t", 10}: {1}}
	all := moves(running, targets, current)
	want := map[string][2]string{"t": {"0:1,0:2,10:1", "0:4,10:2"}, "u": {"0:5", "0:6"}}
	if have := throttles(all); !reflect.DeepEqual(have, want) {
		t.Errorf("throttles %v", have)
	}
	if have := moving(all); !reflect.DeepEqual(have, []int32{1, 2, 4, 5, 6}) {
		t.Errorf("brokers %v", have)
	}
}
