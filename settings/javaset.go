package settings

import (
	"slices"
	"strings"
	"unicode/utf16"
)

// Some messages to clients contain a Scala set of keys. Its order follows from Java's hash table,
// which is reproduced here.

// scalaSet formats names as Scala's toString does. Sets of more than four elements are always
// called HashSet, smaller ones by kind.
func scalaSet(kind string, names []string) string {
	if len(names) > 4 {
		kind = "HashSet"
	}
	return kind + "(" + strings.Join(names, ", ") + ")"
}

// javaOrder sorts names in the order of java.util.Properties.
func javaOrder(names []string) []string {
	size := uint32(16)
	for float64(len(names)) >= 0.75*float64(size) {
		size *= 2
	}
	bucket := func(name string) uint32 {
		h := javaHash(name)
		return (h ^ h>>16) & (size - 1)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := int(bucket(a)) - int(bucket(b)); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// javaHash returns Java's String.hashCode.
func javaHash(s string) uint32 {
	var h uint32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + uint32(unit)
	}
	return h
}
