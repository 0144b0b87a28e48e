package settings

import (
	"slices"
	"strings"
	"unicode/utf16"
)

// Some messages that clients see print a Scala set of keys. Its order is that
// of a Java hash table, which is reproduced here.

// scalaSet writes names as Scala's toString does: small sets by their kind,
// those of more than four elements always as HashSet.
func scalaSet(kind string, names []string) string {
	if len(names) > 4 {
		kind = "HashSet"
	}
	return kind + "(" + strings.Join(names, ", ") + ")"
}

// javaOrder sorts names as a java.util.Properties lists them.
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

// javaHash is Java's String.hashCode.
func javaHash(s string) uint32 {
	var h uint32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + uint32(unit)
	}
	return h
}
