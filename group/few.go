package group

import "iter"

// fewMost is how many entries a few keeps in its list.
const fewMost = 8

// few is a map for what mostly has few entries: those are a list that is
// searched, which takes a third of a map's memory; more make it a map. The zero
// few is empty. A broker may have very many groups, nearly all of them small.
type few[K comparable, V any] struct {
	list []fewEntry[K, V]
	more map[K]V // nil until there were too many for the list
}

type fewEntry[K comparable, V any] struct {
	key   K
	value V
}

// fewOf takes over a map, which is not used any more.
func fewOf[K comparable, V any](m map[K]V) few[K, V] {
	if len(m) > fewMost {
		return few[K, V]{more: m}
	}
	f := few[K, V]{list: make([]fewEntry[K, V], 0, len(m))}
	for k, v := range m {
		f.list = append(f.list, fewEntry[K, V]{k, v})
	}
	return f
}

func (f *few[K, V]) size() int { return len(f.list) + len(f.more) }

func (f *few[K, V]) at(k K) int {
	for i := range f.list {
		if f.list[i].key == k {
			return i
		}
	}
	return -1
}

func (f *few[K, V]) get(k K) (v V, known bool) {
	if f.more != nil {
		v, known = f.more[k]
		return v, known
	}
	if i := f.at(k); i >= 0 {
		return f.list[i].value, true
	}
	return v, false
}

// of is get without saying whether there is an entry.
func (f *few[K, V]) of(k K) V {
	v, _ := f.get(k)
	return v
}

func (f *few[K, V]) put(k K, v V) {
	if f.more == nil {
		if i := f.at(k); i >= 0 {
			f.list[i].value = v
			return
		}
		if len(f.list) < fewMost {
			f.list = append(f.list, fewEntry[K, V]{k, v})
			return
		}
		f.more = make(map[K]V, 2*fewMost)
		for _, e := range f.list {
			f.more[e.key] = e.value
		}
		f.list = nil
	}
	f.more[k] = v
}

func (f *few[K, V]) remove(k K) {
	if f.more != nil {
		delete(f.more, k)
		return
	}
	if i := f.at(k); i >= 0 {
		last := len(f.list) - 1
		f.list[i] = f.list[last]
		f.list[last] = fewEntry[K, V]{}
		f.list = f.list[:last]
	}
}

// all is every entry, in no order; nothing may be changed meanwhile.
func (f *few[K, V]) all() iter.Seq2[K, V] {
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
