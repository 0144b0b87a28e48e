package clean

import (
	"hash/maphash"
	"math/bits"

	"github.com/monedula/monedula/record"
)

// bytesPerKey is how much of log.cleaner.dedupe.buffer.size a key takes in Kafka, which stores 16 bytes
// of the key's hash and 8 of the offset. It decides how many keys a map takes.
const bytesPerKey = 24

// slotSize is the size of a slot in bytes. Since it is less than bytesPerKey, a full map of the usual
// load factor 0.9 uses only 0.6 of the slots that fit into the same memory.
const slotSize = 16

// growLoad is the fraction of slots in use at which a map grows if it may. With more of them in use, a
// search visits many slots.
const growLoad = 0.75

// firstSlots is the number of slots of a new OffsetMap.
const firstSlots = 1 << 10

// offsetBits is the number of bits of a slot's offset. The rest of the word holds bits of the hash.
const offsetBits = 40

// slot is 64 bits of the key's hash, and a word of further bits of it above the key's offset, which
// counts from 1 at the map's base. The slot is free if that is 0.
type slot struct{ hash, rest uint64 }

func (s slot) offset() uint64 { return s.rest & (1<<offsetBits - 1) }

// OffsetMap holds the latest offset of each key of a log's dirty part. It stores hashes of 88 bits
// instead of keys, without pointers, and grows as needed up to a number of keys. Two keys with the
// same hash would count as one; since the hash has a random seed, no client can choose such keys.
type OffsetMap struct {
	seeds  [2]maphash.Seed
	slots  []slot
	count  int // keys
	limit  int // keys that fit before the table grows
	max    int // keys
	most   int // slots
	load   float64
	base   record.Offset // the first offset that was put
	latest record.Offset
	unused uint64 // what fetch has read
}

// NewOffsetMap returns a map for as many keys as Kafka's map of the given number of bytes takes if the
// fraction load of it is used. While the map grows, it takes up to half as many bytes again.
func NewOffsetMap(bytes int64, load float64) *OffsetMap {
	keys := max(bytes/bytesPerKey, 1)
	load = min(max(load, 0.01), 1)
	m := &OffsetMap{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, load: load, latest: record.NoOffset}
	m.max = max(int(float64(keys)*load), 1)
	m.most = max(int(bytes/slotSize), m.max+1) // at least one stays free, where the search for an unknown key ends
	m.resize(min(m.most, firstSlots))
	return m
}

// resize makes a table of n slots.
func (m *OffsetMap) resize(n int) {
	old := m.slots
	m.slots = make([]slot, n)
	m.limit = min(int(float64(n)*growLoad), m.max)
	if n == m.most {
		m.limit = m.max
	}
	for _, s := range old {
		if s.offset() != 0 {
			*m.slot(s) = s
		}
	}
}

// Key is the key of a record, hashed for an OffsetMap, with the record's offset.
type Key struct {
	slot   slot // without an offset
	Offset record.Offset
}

// Key returns the key of a record at an offset.
func (m *OffsetMap) Key(key []byte, offset record.Offset) Key {
	return Key{slot{maphash.Bytes(m.seeds[0], key), maphash.Bytes(m.seeds[1], key) << offsetBits}, offset}
}

// fetched is how many slots are fetched at once.
const fetched = 32

// fetch reads the slots of the next keys. Most slots of a large map are not in the processor's caches,
// and it can wait for many of them at the same time.
func (m *OffsetMap) fetch(keys []Key) {
	n, all := uint64(len(m.slots)), uint64(0)
	for _, k := range keys[:min(len(keys), fetched)] {
		i, _ := bits.Mul64(k.slot.hash, n)
		all |= m.slots[i].rest
	}
	m.unused = all
}

// slot returns the slot of a key, or the free one where it belongs.
func (m *OffsetMap) slot(key slot) *slot {
	n := uint64(len(m.slots))
	for i, _ := bits.Mul64(key.hash, n); ; { // a number below n, without a division
		s := &m.slots[i]
		if s.offset() == 0 || s.hash == key.hash && (s.rest^key.rest)>>offsetBits == 0 {
			return s
		}
		if i++; i == n {
			i = 0
		}
	}
}

// Put sets the offsets of keys, which must not be below earlier ones. Once the map is full, it changes
// nothing more and reports false.
func (m *OffsetMap) Put(keys []Key) bool {
	for i, k := range keys {
		if i%fetched == 0 {
			m.fetch(keys[i:])
		}
		if !m.put(k) {
			return false
		}
	}
	return true
}

func (m *OffsetMap) put(k Key) bool {
	if m.count == 0 {
		m.base = k.Offset
	}
	at := uint64(k.Offset-m.base) + 1
	if m.count >= m.max || at >= 1<<offsetBits {
		return false
	}
	s := m.slot(k.slot)
	if s.offset() == 0 {
		if m.count >= m.limit {
			m.resize(min(2*len(m.slots), m.most))
			s = m.slot(k.slot)
		}
		m.count++
	}
	*s = slot{k.slot.hash, k.slot.rest | at}
	m.latest = k.Offset
	return true
}

// Get returns the latest offset of a key, record.NoOffset if the map does not have it.
func (m *OffsetMap) Get(key []byte) record.Offset { return m.get(m.Key(key, 0).slot) }

func (m *OffsetMap) get(key slot) record.Offset {
	at := m.slot(key).offset()
	if at == 0 {
		return record.NoOffset
	}
	return m.base + record.Offset(at) - 1
}

// Latest returns the offset up to which the map knows the log, record.NoOffset if it knows nothing.
func (m *OffsetMap) Latest() record.Offset { return m.latest }

// SetLatest sets the offset up to which the map knows the log.
func (m *OffsetMap) SetLatest(offset record.Offset) { m.latest = offset }

// Utilization returns the fraction of the slots that the map may have which is in use.
func (m *OffsetMap) Utilization() float64 { return float64(m.count) / float64(m.max) * m.load }
