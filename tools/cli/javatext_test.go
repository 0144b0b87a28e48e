package cli

import (
	"reflect"
	"slices"
	"testing"

	"github.com/monedula/monedula/settings"
)

// The expected orders are the iteration orders of Java's hash tables.
func TestKeysAreInTheOrderOfJavaHashTables(t *testing.T) {
	keys := HashOrder(settings.TopicKeys(), StringHash)
	keys = slices.DeleteFunc(keys, func(key string) bool {
		return !slices.Contains([]string{"flush.ms", "min.insync.replicas", "retention.ms"}, key)
	})
	if !reflect.DeepEqual(keys, []string{"min.insync.replicas", "flush.ms", "retention.ms"}) {
		t.Errorf("configurations are listed as %q", keys)
	}
	if have := CopyOrder([]string{"one", "placed", "strict"}, StringHash); !reflect.DeepEqual(have, []string{"strict", "placed", "one"}) {
		t.Errorf("a copied table lists %q", have)
	}
	if have := HashOrder([]int32{17, 1, 16, 0}, IntHash); !reflect.DeepEqual(have, []int32{16, 0, 17, 1}) {
		t.Errorf("numbers are listed as %v", have)
	}
}
