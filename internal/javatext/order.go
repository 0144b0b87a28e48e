package javatext

import (
	"cmp"
	"math/bits"
	"slices"
)

// defaultSlots is the initial size of a hash table.
const defaultSlots = 16

// A bin with more keys than crowded doubles a table of fewer than treeSlots slots. In larger tables
// Java turns it into a tree.
const (
	crowded   = 8
	treeSlots = 64
)

// HashMapOrder returns keys in the iteration order of a java.util.HashMap or HashSet.
func HashMapOrder[K any](keys []K, hash func(K) int32) []K {
	return hashMapOrder(keys, hash, defaultSlots)
}

// SizedHashMapOrder returns keys in the iteration order of a HashMap that was created with their
// number as its initial capacity.
func SizedHashMapOrder[K any](keys []K, hash func(K) int32) []K {
	return hashMapOrder(keys, hash, tableSize(len(keys)))
}

// HashMapCopyOrder returns keys in the iteration order of a HashMap that was created with their
// number as its initial capacity and filled from a HashMap of the default capacity.
func HashMapCopyOrder[K any](keys []K, hash func(K) int32) []K {
	return SizedHashMapOrder(HashMapOrder(keys, hash), hash)
}

// tableSize returns the smallest power of two that is not below n.
func tableSize(n int) int { return 1 << bits.Len(uint(max(n, 1)-1)) }

// hashMapOrder inserts keys into a HashMap with a number of slots. Growing keeps the order within a
// slot, so only the final number of slots counts.
func hashMapOrder[K any](keys []K, hash func(K) int32, slots int) []K {
	entries := make([]entry[K], 0, len(keys))
	count := make(map[uint32]int, len(keys)) // keys by slot
	grow := func() {
		slots *= 2
		clear(count)
		for _, e := range entries {
			count[e.slot(slots)]++
		}
	}
	for _, e := range entriesOf(keys, hash) {
		entries = append(entries, e)
		count[e.slot(slots)]++
		if count[e.slot(slots)] > crowded && slots < treeSlots {
			grow()
		}
		if len(entries) > slots*3/4 {
			grow()
		}
	}
	slices.SortStableFunc(entries, func(a, b entry[K]) int { return cmp.Compare(a.slot(slots), b.slot(slots)) })
	return keysOf(entries)
}

// PropertiesOrder returns keys in the iteration order of a java.util.Properties, which is a
// ConcurrentHashMap. Unlike a HashMap it may reverse keys of one slot when it grows.
func PropertiesOrder(keys []string) []string {
	bins := make([][]entry[string], defaultSlots)
	grow := func() {
		larger := make([][]entry[string], 2*len(bins))
		for i, bin := range bins {
			larger[i], larger[i+len(bins)] = split(bin, uint32(len(bins)))
		}
		bins = larger
	}
	for i, e := range entriesOf(keys, StringHash) {
		slot := e.slot(len(bins))
		bins[slot] = append(bins[slot], e)
		if len(bins[slot]) > crowded && len(bins) < treeSlots {
			// The table is made large enough for three times its slots.
			for enough := 4 * len(bins); len(bins)*3/4 < enough; {
				grow()
			}
		}
		if i+1 >= len(bins)*3/4 {
			grow()
		}
	}
	return keysOf(slices.Concat(bins...))
}

// split divides a bin of a ConcurrentHashMap by a bit of the hash. The last entries that stay
// together keep their order; those before them are put in front of them one by one, and so are
// reversed.
func split[K any](bin []entry[K], bit uint32) (low, high []entry[K]) {
	last := max(len(bin)-1, 0) // start of the entries that stay together
	for last > 0 && bin[last-1].hash&bit == bin[last].hash&bit {
		last--
	}
	for i := last - 1; i >= 0; i-- {
		if bin[i].hash&bit == 0 {
			low = append(low, bin[i])
		} else {
			high = append(high, bin[i])
		}
	}
	if last < len(bin) && bin[last].hash&bit == 0 {
		return append(low, bin[last:]...), high
	}
	return low, append(high, bin[last:]...)
}

// MutableOrder returns keys in the iteration order of a mutable HashMap or HashSet of Scala: by
// slot, and by hash within a slot.
func MutableOrder[K any](keys []K, hash func(K) int32) []K {
	slots := defaultSlots
	for len(keys) >= slots*3/4 {
		slots *= 2
	}
	entries := entriesOf(keys, hash)
	slices.SortStableFunc(entries, func(a, b entry[K]) int {
		return cmp.Or(cmp.Compare(a.slot(slots), b.slot(slots)), cmp.Compare(int32(a.hash), int32(b.hash)))
	})
	return keysOf(entries)
}

// smallSet is the number of elements up to which Scala's immutable sets and maps have no hash table.
const smallSet = 4

// ImmutableOrder returns keys in the iteration order of an immutable Map or Set of Scala. Up to four
// keys stay in the order of insertion. More are in a trie with 32 branches a node: a node's keys
// come first, in the order of the lowest five bits of their hashes, then its branches, in the order
// of the bits that their keys share.
func ImmutableOrder[K any](keys []K, hash func(K) int32) []K {
	if len(keys) <= smallSet {
		return slices.Clone(keys)
	}
	return keysOf(trieOrder(entriesOf(keys, func(k K) int32 { return scrambled(hash(k)) }), 0))
}

func trieOrder[K any](entries []entry[K], shift int) []entry[K] {
	if shift >= 32 { // equal hashes
		return entries
	}
	var branches [32][]entry[K]
	for _, e := range entries {
		at := e.code >> shift & 31
		branches[at] = append(branches[at], e)
	}
	ordered := make([]entry[K], 0, len(entries))
	for _, b := range branches {
		if len(b) == 1 {
			ordered = append(ordered, b[0])
		}
	}
	for _, b := range branches {
		if len(b) > 1 {
			ordered = append(ordered, trieOrder(b, shift+5)...)
		}
	}
	return ordered
}

// scrambled spreads a hash code over all bits, as Scala does for its tries.
func scrambled(code int32) int32 {
	h := uint32(code)
	h += ^(h << 9)
	h ^= h >> 14
	h += h << 4
	return int32(h ^ h>>10)
}

// entry is a key in a hash table.
type entry[K any] struct {
	key  K
	code uint32 // the hash code
	hash uint32 // the hash code with its upper half folded into the lower one; its end is the slot
}

func (e entry[K]) slot(slots int) uint32 { return e.hash & uint32(slots-1) }

func entriesOf[K any](keys []K, hash func(K) int32) []entry[K] {
	entries := make([]entry[K], len(keys))
	for i, k := range keys {
		code := uint32(hash(k))
		entries[i] = entry[K]{k, code, code ^ code>>16}
	}
	return entries
}

func keysOf[K any](entries []entry[K]) []K {
	keys := make([]K, len(entries))
	for i, e := range entries {
		keys[i] = e.key
	}
	return keys
}
