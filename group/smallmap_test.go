package group

import (
	"maps"
	"math/rand/v2"
	"testing"
)

func TestASmallMapBehavesLikeAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var f smallMap[int, int]
		want := map[int]int{}
		keys := 1 + random.IntN(3*smallMapMax)
		for step := range 200 {
			k := random.IntN(keys)
			if random.IntN(3) == 0 {
				f.remove(k)
				delete(want, k)
			} else {
				f.put(k, step)
				want[k] = step
			}
			v, known := f.get(k)
			wanted, has := want[k]
			if v != wanted || known != has || f.of(k) != wanted || f.size() != len(want) {
				t.Fatalf("key %d: value %d, known %t, size %d; want %d, %t, %d", k, v, known, f.size(), wanted, has, len(want))
			}
			if got := maps.Collect(f.all()); !maps.Equal(got, want) {
				t.Fatalf("entries %v, want %v", got, want)
			}
		}
		again := smallMapOf(maps.Clone(want))
		if got := maps.Collect(again.all()); !maps.Equal(got, want) {
			t.Fatalf("made from a map: %v, want %v", got, want)
		}
		if isMap := again.more != nil; isMap != (len(want) > smallMapMax) {
			t.Fatalf("%d entries from a map are kept in a map: %t", len(want), isMap)
		}
	}
}
