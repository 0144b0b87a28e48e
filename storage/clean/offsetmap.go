package clean

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/monedula/monedula/record"
)

// slotSize is the size of a slot of an OffsetMap in bytes: 16 of the key's hash and 8 of the
// offset. A slot whose offset field is 0 is free; the field holds the offset plus one.
const slotSize = 24

// firstSlots is the number of slots of a new OffsetMap.
const firstSlots = 1 << 10

// OffsetMap holds the latest offset of each key of a log's dirty part. It stores hashes of 128 bits
// instead of keys, without pointers, and grows as needed up to a number of keys. Two keys with the
// same hash would count as one; since the hash has a random seed, no client can choose such keys.
type OffsetMap struct {
	seeds  [2]maphash.Seed
	slots  []byte
	count  int // keys
	limit  int // keys that fit before the table grows
	max    int // keys
	load   float64
	latest record.Offset
}

// NewOffsetMap returns a map for as many keys as fit into the given number of bytes if the fraction
// load of the slots is used. While the map grows, it takes up to half as many bytes again.
func NewOffsetMap(bytes int64, load float64) *OffsetMap {
	slots := max(bytes/slotSize, 1)
	load = min(max(load, 0.01), 1)
	m := &OffsetMap{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, load: load, latest: record.NoOffset}
	m.max = max(int(float64(slots)*load), 1)
	m.resize(int(min(slots, firstSlots)))
	return m
}

// resize makes a table of n slots.
func (m *OffsetMap) resize(n int) {
	old := m.slots
	m.slots = make([]byte, n*slotSize)
	// At least one slot stays free, where the search for an unknown key ends.
	m.limit = min(max(int(float64(n)*m.load), 1), n-1, m.max)
	for ; len(old) > 0; old = old[slotSize:] {
		if binary.LittleEndian.Uint64(old[16:]) != 0 {
			copy(m.slot([2]uint64{binary.LittleEndian.Uint64(old), binary.LittleEndian.Uint64(old[8:])}), old[:slotSize])
		}
	}
}

func (m *OffsetMap) hash(key []byte) [2]uint64 {
	return [2]uint64{maphash.Bytes(m.seeds[0], key), maphash.Bytes(m.seeds[1], key)}
}

// slot returns the slot of a hash, or the free one where it belongs.
func (m *OffsetMap) slot(hash [2]uint64) []byte {
	n := uint64(len(m.slots) / slotSize)
	for i, _ := bits.Mul64(hash[0], n); ; { // a number below n, without a division
		s := m.slots[i*slotSize:][:slotSize:slotSize]
		if binary.LittleEndian.Uint64(s[16:]) == 0 ||
			binary.LittleEndian.Uint64(s) == hash[0] && binary.LittleEndian.Uint64(s[8:]) == hash[1] {
			return s
		}
		if i++; i == n {
			i = 0
		}
	}
}

// Put sets the offset of a key, which must not be below earlier ones. It reports false, and changes
// nothing, once the map is full.
func (m *OffsetMap) Put(key []byte, offset record.Offset) bool {
	if m.count >= m.max {
		return false
	}
	hash := m.hash(key)
	s := m.slot(hash)
	if binary.LittleEndian.Uint64(s[16:]) == 0 {
		if m.count >= m.limit {
			m.resize(m.grown())
			s = m.slot(hash)
		}
		m.count++
		binary.LittleEndian.PutUint64(s, hash[0])
		binary.LittleEndian.PutUint64(s[8:], hash[1])
	}
	binary.LittleEndian.PutUint64(s[16:], uint64(offset)+1)
	m.latest = offset
	return true
}

// grown returns the number of slots of the next larger table.
func (m *OffsetMap) grown() int {
	most := int(float64(m.max)/m.load) + 2 // at which max keys fit
	return min(2*len(m.slots)/slotSize+1, most)
}

// Get returns the latest offset of a key, record.NoOffset if the map does not have it.
func (m *OffsetMap) Get(key []byte) record.Offset {
	s := m.slot(m.hash(key))
	return record.Offset(binary.LittleEndian.Uint64(s[16:])) - 1
}

// Latest returns the offset up to which the map knows the log, record.NoOffset if it knows nothing.
func (m *OffsetMap) Latest() record.Offset { return m.latest }

// SetLatest sets the offset up to which the map knows the log.
func (m *OffsetMap) SetLatest(offset record.Offset) { m.latest = offset }

// Utilization returns the fraction of the slots that the map may have which is in use.
func (m *OffsetMap) Utilization() float64 { return float64(m.count) / float64(m.max) * m.load }
