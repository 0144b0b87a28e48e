package clean

import "github.com/monedula/monedula/record"

// keeper decides which records of a batch remain. It implements record.Keeper.
type keeper struct {
	m              *OffsetMap
	control        bool // the batch holds a marker
	keepTombstones bool

	kinds   []kind // of the records seen
	keys    []Key  // of the same records
	invalid int64  // records without a key
}

// kind is what decides about a record besides its key.
type kind uint8

const (
	remains kind = iota // whatever its key is
	keyless
	tombstone
	value
)

// begin begins with a batch.
func (k *keeper) begin(m *OffsetMap, control, keepTombstones bool) {
	k.m, k.control, k.keepTombstones = m, control, keepTombstones
	k.kinds, k.keys, k.invalid = k.kinds[:0], k.keys[:0], 0
}

func (k *keeper) See(r *record.Record) {
	kind, key := value, Key{}
	switch {
	case k.control || r.Offset > k.m.Latest():
		kind = remains
	case r.Key == nil:
		kind = keyless
		k.invalid++
	default:
		key = k.m.Key(r.Key, r.Offset)
		if r.Value == nil {
			kind = tombstone
		}
	}
	k.kinds, k.keys = append(k.kinds, kind), append(k.keys, key)
}

func (k *keeper) Keep(kept []uint64) {
	for n, kind := range k.kinds {
		if n%fetched == 0 {
			k.m.fetch(k.keys[n:])
		}
		if k.keeps(kind, k.keys[n]) {
			kept[n/64] |= 1 << (n % 64)
		}
	}
	k.kinds, k.keys = k.kinds[:0], k.keys[:0]
}

func (k *keeper) keeps(kind kind, key Key) bool {
	switch {
	case kind == remains:
		return true
	case kind == keyless, kind == tombstone && !k.keepTombstones:
		return false
	}
	return key.Offset >= k.m.get(key.slot)
}
