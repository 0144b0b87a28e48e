package clean

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/monedula/monedula/record"
)

func TestAnOffsetMapHoldsTheLatestOffsetOfEachKey(t *testing.T) {
	m := NewOffsetMap(1<<20, 0.9)
	want := map[string]record.Offset{}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		key := fmt.Sprint("key ", r.IntN(30_000))
		if !m.Put([]byte(key), record.Offset(i)) {
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
	if got, want := m.Utilization(), float64(len(want))/(1<<20/slotSize); got < want-0.01 || got > want+0.01 {
		t.Errorf("utilization %f instead of %f", got, want)
	}
}

func TestAnOffsetMapTakesNoMoreMemoryThanItsKeysNeed(t *testing.T) {
	m := NewOffsetMap(1<<40, 0.9)
	if len(m.slots) > 32<<10 {
		t.Errorf("an empty map has %d bytes", len(m.slots))
	}
	for i := range 10_000 {
		m.Put(fmt.Append(nil, i), record.Offset(i))
	}
	if len(m.slots) > 3*10_000*slotSize {
		t.Errorf("a map of 10,000 keys has %d bytes", len(m.slots))
	}
}

func TestAFullOffsetMapRefusesKeysAndStaysWithinItsSize(t *testing.T) {
	for slots := 1; slots < 4000; slots = slots*3/2 + 1 {
		for _, load := range []float64{0.5, 0.9, 1, 0, 7} {
			m := NewOffsetMap(int64(slots)*slotSize, load)
			n := 0
			for m.Put(fmt.Append(nil, n), record.Offset(n)) {
				n++
			}
			if most := max(int(float64(slots)*min(max(load, 0.01), 1)), 1); n != most {
				t.Errorf("%d slots of which %f may be used take %d keys instead of %d", slots, load, n, most)
			}
			if len(m.slots) > (slots+2)*slotSize {
				t.Errorf("%d slots became %d", slots, len(m.slots)/slotSize)
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
