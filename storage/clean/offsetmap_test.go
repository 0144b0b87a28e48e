package clean

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/monedula/monedula/record"
)

func put(m *OffsetMap, key []byte, offset record.Offset) bool {
	return m.Put([]Key{m.Key(key, offset)})
}

func TestAnOffsetMapHoldsTheLatestOffsetOfEachKey(t *testing.T) {
	m := NewOffsetMap(1<<20, 0.9)
	want := map[string]record.Offset{}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		key := fmt.Sprint("key ", r.IntN(30_000))
		if !put(m, []byte(key), record.Offset(i)) {
			t.Fatalf("full after %d keys", len(want))
		}
		want[key] = record.Offset(i)
	}
	for key, offset := range want {
		if got := m.Get([]byte(key)); got != offset {
			t.Fatalf("%s is at %d instead of %d", key, got, offset)
		}
	}
	if got := m.Get([]byte("unknown")); got != record.NoOffset {
		t.Errorf("an unknown key is at %d", got)
	}
	if got, want := m.Utilization(), float64(len(want))/(1<<20/bytesPerKey); got < want-0.01 || got > want+0.01 {
		t.Errorf("utilization %f instead of %f", got, want)
	}
}

func TestAnOffsetMapTakesNoMoreMemoryThanItsKeysNeed(t *testing.T) {
	m := NewOffsetMap(1<<40, 0.9)
	if len(m.slots)*slotSize > 32<<10 {
		t.Errorf("an empty map has %d slots", len(m.slots))
	}
	for i := range 10_000 {
		put(m, fmt.Append(nil, i), record.Offset(i))
	}
	if len(m.slots) > 3*10_000 {
		t.Errorf("a map of 10,000 keys has %d slots", len(m.slots))
	}
}

func TestAFullOffsetMapRefusesKeysAndStaysWithinItsSize(t *testing.T) {
	for slots := 1; slots < 4000; slots = slots*3/2 + 1 {
		for _, load := range []float64{0.5, 0.9, 1, 0, 7} {
			m := NewOffsetMap(int64(slots)*bytesPerKey, load)
			n := 0
			for put(m, fmt.Append(nil, n), record.Offset(n)) {
				n++
			}
			if most := max(int(float64(slots)*min(max(load, 0.01), 1)), 1); n != most {
				t.Errorf("%d slots of which %f may be used take %d keys instead of %d", slots, load, n, most)
			}
			if len(m.slots)*slotSize > (slots+2)*bytesPerKey {
				t.Errorf("%d bytes became %d", slots*bytesPerKey, len(m.slots)*slotSize)
			}
			for i := range n {
				if m.Get(fmt.Append(nil, i)) != record.Offset(i) {
					t.Fatalf("key %d of %d is lost", i, n)
				}
			}
			if m.Get([]byte("unknown")) != record.NoOffset || m.Latest() != record.Offset(n-1) {
				t.Errorf("an unknown key is found, or the latest offset is %d", m.Latest())
			}
		}
	}
}

// Offsets are stored from the first one on, in 40 bits.
func TestAnOffsetMapIsFullWhereItsOffsetsEnd(t *testing.T) {
	const base = 1 << 50
	m := NewOffsetMap(1<<20, 0.9)
	if !put(m, []byte("a"), base) || !put(m, []byte("b"), base+1<<40-2) || put(m, []byte("a"), base+1<<40-1) {
		t.Error("the map does not end after 2^40-1 offsets")
	}
	if a, b := m.Get([]byte("a")), m.Get([]byte("b")); a != base || b != base+1<<40-2 {
		t.Errorf("keys are at %d and %d", a, b)
	}
}
