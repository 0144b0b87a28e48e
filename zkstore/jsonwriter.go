package zkstore

import (
	"cmp"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// objectWriter writes one JSON object without spaces. Like Kafka's JSON library, it escapes only
// quotes, backslashes and control characters.
type objectWriter struct {
	buf   []byte
	comma bool
}

func (w *objectWriter) bytes() []byte {
	out := make([]byte, 0, len(w.buf)+2)
	out = append(out, '{')
	out = append(out, w.buf...)
	return append(out, '}')
}

// key begins a member of the object. The next call must write its value.
func (w *objectWriter) key(name string) *objectWriter {
	if w.comma {
		w.buf = append(w.buf, ',')
	}
	w.comma = true
	w.string(name)
	w.buf = append(w.buf, ':')
	return w
}

func (w *objectWriter) int(n int64)       { w.buf = strconv.AppendInt(w.buf, n, 10) }
func (w *objectWriter) raw(value string)  { w.buf = append(w.buf, value...) }
func (w *objectWriter) string(str string) { w.buf = appendJSONString(w.buf, str) }

func (w *objectWriter) int32s(list []int32) {
	w.list(len(list), func(w *objectWriter, i int) { w.int(int64(list[i])) })
}

func (w *objectWriter) object(members func(w *objectWriter)) {
	w.buf = append(w.buf, '{')
	w.comma = false
	members(w)
	w.buf = append(w.buf, '}')
	w.comma = true
}

func (w *objectWriter) list(n int, element func(w *objectWriter, i int)) {
	w.buf = append(w.buf, '[')
	for i := range n {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		element(w, i)
	}
	w.buf = append(w.buf, ']')
	w.comma = true
}

func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:]) // invalid UTF-8 becomes U+FFFD
			dst = utf8.AppendRune(dst, r)
			i += size - 1
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// javaHash returns the value of Java's String.hashCode.
func javaHash(s string) uint32 {
	var h uint32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + uint32(unit)
	}
	return h
}

// ScalaMapOrder returns keys in the iteration order of a mutable.HashMap of Scala 2.13: by slot,
// and by hash within a slot. The table has 16 slots at first, and doubles before it is three
// quarters full.
func ScalaMapOrder(keys []string) []string {
	slots := 16
	for len(keys) >= slots*3/4 {
		slots *= 2
	}
	return hashOrder(keys, uint32(slots), true)
}

// javaPropertiesOrder returns keys in the iteration order of a java.util.Properties, which is a
// ConcurrentHashMap: by slot, and by insertion within a slot. The given order is taken as the order
// of insertion.
func javaPropertiesOrder(keys []string) []string {
	slots := 16
	for len(keys) >= slots*3/4 {
		slots *= 2
	}
	return hashOrder(keys, uint32(slots), false)
}

func hashOrder(keys []string, slots uint32, hashWithinSlot bool) []string {
	type entry struct {
		key        string
		slot, hash uint32
	}
	entries := make([]entry, len(keys))
	for i, key := range keys {
		h := javaHash(key)
		h ^= h >> 16
		entries[i] = entry{key, h & (slots - 1), h}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		if a.slot != b.slot || !hashWithinSlot {
			return cmp.Compare(a.slot, b.slot)
		}
		return cmp.Compare(int32(a.hash), int32(b.hash))
	})
	ordered := make([]string, len(keys))
	for i, e := range entries {
		ordered[i] = e.key
	}
	return ordered
}
