package partitions

import (
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/record"
)

// batches returns one v2 batch per value, starting at offset.
func batches(t *testing.T, offset record.Offset, values ...string) []byte {
	t.Helper()
	var set []byte
	for i, value := range values {
		o := record.Defaults()
		o.BaseOffset = offset + record.Offset(i)
		b := record.NewBuilder(o)
		if err := b.Append(1600000000000, nil, []byte(value)); err != nil {
			t.Fatal(err)
		}
		batch, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, batch...)
	}
	return set
}

func TestReplicasAreComparedBatchByBatch(t *testing.T) {
	abc := batches(t, 5, "a", "b", "c")
	for _, c := range []struct {
		name     string
		replicas []replicaData
		next     record.Offset
		words    []string // expected in the findings, in order
		ok       bool
	}{
		{"all match", []replicaData{{1, 8, abc}, {2, 8, abc}}, 8, nil, true},
		{"one is behind", []replicaData{{1, 8, abc}, {2, 7, batches(t, 5, "a", "b")}}, 7, nil, true},
		{"above a high watermark nothing is compared", []replicaData{{1, 8, abc}, {2, 6, batches(t, 5, "a", "x")}}, 6, nil, true},
		{"one did not answer", []replicaData{{1, 8, abc}, {2, 0, nil}}, 5, nil, true},
		{"one is missing", []replicaData{{1, 8, abc}}, 5, nil, true},
		{"contents differ", []replicaData{{1, 8, abc}, {2, 8, batches(t, 5, "a", "x", "c")}}, 8, []string{"unmatched checksum at offset 6; replica 1's checksum "}, true},
		{"offsets differ", []replicaData{{1, 8, abc}, {2, 9, batches(t, 6, "b", "c")}}, 5, []string{": replica 1's offset 5 doesn't match replica 2's offset 6"}, false},
		{"a cut batch at the end", []replicaData{{1, 8, abc}, {2, 8, abc[:len(abc)-3]}}, 7, nil, true},
	} {
		next, findings, ok := compareReplicas(5, c.replicas, 2)
		same := slices.EqualFunc(findings, c.words, strings.Contains)
		if next != c.next || ok != c.ok || !same {
			t.Errorf("%s: next %d, %q, %t; want %d, %q, %t", c.name, next, findings, ok, c.next, c.words, c.ok)
		}
	}
}
