package tools

import (
	"reflect"
	"slices"
	"testing"

	"github.com/monedula/monedula/settings"
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

func TestPairsAreSplitOutsideBrackets(t *testing.T) {
	have := splitOutsideBrackets("a=[x,y],b=1,c=[k=v,l=w],d=", ',')
	if want := []string{"a=[x,y]", "b=1", "c=[k=v,l=w]", "d="}; !reflect.DeepEqual(have, want) {
		t.Errorf("%q", have)
	}
	if have := splitOutsideBrackets("c=[k=v,l=w]", '='); !reflect.DeepEqual(have, []string{"c", "[k=v,l=w]"}) {
		t.Errorf("%q", have)
	}
}

// The expected orders are the iteration orders of Java's hash tables.
func TestKeysAreInTheOrderOfJavaHashTables(t *testing.T) {
	keys := hashOrder(settings.TopicKeys(), stringHash)
	keys = slices.DeleteFunc(keys, func(key string) bool {
		return !slices.Contains([]string{"flush.ms", "min.insync.replicas", "retention.ms"}, key)
	})
	if !reflect.DeepEqual(keys, []string{"min.insync.replicas", "flush.ms", "retention.ms"}) {
		t.Errorf("configurations are listed as %q", keys)
	}
	if have := copyOrder([]string{"one", "placed", "strict"}, stringHash); !reflect.DeepEqual(have, []string{"strict", "placed", "one"}) {
		t.Errorf("a copied table lists %q", have)
	}
	if have := hashOrder([]int32{17, 1, 16, 0}, intHash); !reflect.DeepEqual(have, []int32{16, 0, 17, 1}) {
		t.Errorf("numbers are listed as %v", have)
	}
}
