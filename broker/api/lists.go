package api

import (
	"cmp"
	"maps"
	"slices"
)

// unique returns the elements in their order without duplicates. The result is never nil.
func unique[T comparable](list []T) []T {
	seen := map[T]bool{}
	out := make([]T, 0, len(list))
	for _, e := range list {
		if !seen[e] {
			seen[e] = true
			out = append(out, e)
		}
	}
	return out
}

// sortedKeys returns the keys of a map, ascending.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
