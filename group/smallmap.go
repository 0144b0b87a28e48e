package group

import "iter"

// smallMapMax is the maximum number of entries in the list of a smallMap.
const smallMapMax = 8

// smallMap is a map that usually has few entries. Up to smallMapMax of them are kept in a list,
// which takes a third of a map's memory; more are kept in a map. A broker may have very many
// groups, nearly all of them small. The zero smallMap is empty.
type smallMap[K comparable, V any] struct {
	list []smallMapEntry[K, V]
	more map[K]V // nil until the list is full
}

type smallMapEntry[K comparable, V any] struct {
	key   K
	value V
}

// smallMapOf returns a smallMap with the entries of m. The caller must not use m again.
func smallMapOf[K comparable, V any](m map[K]V) smallMap[K, V] {
	if len(m) > smallMapMax {
		return smallMap[K, V]{more: m}
	}
	f := smallMap[K, V]{list: make([]smallMapEntry[K, V], 0, len(m))}
	for k, v := range m {
		f.list = append(f.list, smallMapEntry[K, V]{k, v})
	}
	return f
}

func (f *smallMap[K, V]) size() int { return len(f.list) + len(f.more) }

func (f *smallMap[K, V]) at(k K) int {
	for i := range f.list {
		if f.list[i].key == k {
			return i
		}
	}
	return -1
}

func (f *smallMap[K, V]) get(k K) (v V, known bool) {
	if f.more != nil {
		v, known = f.more[k]
		return v, known
	}
	if i := f.at(k); i >= 0 {
		return f.list[i].value, true
	}
	return v, false
}

// of returns the value of the key, or the zero value if it is missing.
func (f *smallMap[K, V]) of(k K) V {
	v, _ := f.get(k)
	return v
}

func (f *smallMap[K, V]) put(k K, v V) {
	if f.more == nil {
		if i := f.at(k); i >= 0 {
			f.list[i].value = v
			return
		}
		if len(f.list) < smallMapMax {
			f.list = append(f.list, smallMapEntry[K, V]{k, v})
			return
		}
		f.more = make(map[K]V, 2*smallMapMax)
		for _, e := range f.list {
			f.more[e.key] = e.value
		}
		f.list = nil
	}
	f.more[k] = v
}

func (f *smallMap[K, V]) remove(k K) {
	if f.more != nil {
		delete(f.more, k)
		return
	}
	if i := f.at(k); i >= 0 {
		last := len(f.list) - 1
		f.list[i] = f.list[last]
		f.list[last] = smallMapEntry[K, V]{}
		f.list = f.list[:last]
	}
}

// all returns all entries in no particular order. The map must not change during the iteration.
func (f *smallMap[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i := range f.list {
			if !yield(f.list[i].key, f.list[i].value) {
				return
			}
		}
		for k, v := range f.more {
			if !yield(k, v) {
				return
			}
		}
	}
}
