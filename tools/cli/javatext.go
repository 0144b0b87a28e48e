package cli

import (
	"encoding/base64"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// This file formats text like Java does. Some output lines list things in the order of a Java hash
// table.

// HashOrder returns keys, given in insertion order, in the iteration order of a java.util.HashMap:
// by slot of a table that starts with 16 slots and doubles when it is more than three quarters
// full.
func HashOrder[K any](keys []K, hash func(K) uint32) []K {
	slots := 16
	for len(keys) > slots*3/4 {
		slots *= 2
	}
	return bySlot(keys, hash, uint32(slots))
}

// CopyOrder returns keys in the iteration order of a HashMap that was created with their number as
// its size and filled from a HashMap of default size.
func CopyOrder[K any](keys []K, hash func(K) uint32) []K {
	slots := 1
	for slots < len(keys) {
		slots *= 2
	}
	if len(keys) > slots*3/4 {
		slots *= 2
	}
	return bySlot(HashOrder(keys, hash), hash, uint32(slots))
}

// PropertiesOrder returns names in the iteration order of a java.util.Properties. Its table grows
// one entry earlier than that of a HashMap.
func PropertiesOrder(names []string) []string {
	slots := 16
	for len(names) >= slots*3/4 {
		slots *= 2
	}
	return bySlot(names, StringHash, uint32(slots))
}

func bySlot[K any](keys []K, hash func(K) uint32, slots uint32) []K {
	slot := func(k K) uint32 {
		h := hash(k)
		return (h ^ h>>16) & (slots - 1)
	}
	ordered := append([]K(nil), keys...)
	sort.SliceStable(ordered, func(i, j int) bool { return slot(ordered[i]) < slot(ordered[j]) })
	return ordered
}

// StringHash returns Java's String.hashCode of s.
func StringHash(s string) uint32 {
	var h uint32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + uint32(unit)
	}
	return h
}

// IntHash returns Java's Integer.hashCode of n.
func IntHash(n int32) uint32 { return uint32(n) }

// JoinedIDs formats ids as "0,1,2".
func JoinedIDs(ids []int32) string { return JoinIDs(ids, ",") }

// BracketedIDs formats ids like a Java list, "[0, 1, 2]".
func BracketedIDs(ids []int32) string { return "[" + JoinIDs(ids, ", ") + "]" }

// JoinIDs formats ids with a separator between them.
func JoinIDs(ids []int32, separator string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, separator)
}

// TopicIDText formats a topic id like Java's Uuid.
func TopicIDText(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// JavaFloat prints a number as Java does: 1.0, 1.5E10, NaN.
func JavaFloat(v float64, bits int) string {
	switch {
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	abs := math.Abs(v)
	if abs != 0 && (abs < 1e-3 || abs >= 1e7) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', -1, bits), "e")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent)
		return mantissa + "E" + strconv.Itoa(n)
	}
	text := strconv.FormatFloat(v, 'f', -1, bits)
	if !strings.Contains(text, ".") && text != "NaN" {
		text += ".0"
	}
	return text
}

// JavaString converts bytes to text like Java does for UTF-8.
func JavaString(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
