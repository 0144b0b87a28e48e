package javatext

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Join formats items with a separator between them.
func Join[T any](items []T, separator string) string {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteString(separator)
		}
		fmt.Fprint(&b, item)
	}
	return b.String()
}

// List formats items like a java.util.List: [0, 1].
func List[T any](items []T) string { return "[" + Join(items, ", ") + "]" }

// Collection formats items like a Scala collection named kind: ArrayBuffer(0, 1).
func Collection[T any](kind string, items []T) string { return kind + "(" + Join(items, ", ") + ")" }

// ImmutableSet formats items like an immutable Scala Set into which they were inserted in this
// order: Set(0, 1), or, if there are more than four, HashSet in the order of their hashes.
func ImmutableSet[T any](items []T, hash func(T) int32) string {
	kind := "Set"
	if len(items) > smallSet {
		kind = "HashSet"
	}
	return Collection(kind, ImmutableOrder(items, hash))
}

// MutableSet formats items like a mutable Scala HashSet.
func MutableSet[T any](items []T, hash func(T) int32) string {
	return Collection("HashSet", MutableOrder(items, hash))
}

// Some formats a value like a Scala Option that has one.
func Some(value any) string { return fmt.Sprintf("Some(%v)", value) }

// None is the text of a Scala Option without a value.
const None = "None"

// UUID formats an id, such as that of a topic, like Kafka's Uuid: URL-safe base64 without padding.
func UUID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseUUID parses the text of an id.
func ParseUUID(text string) (id [16]byte, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("%q is not 16 bytes in base64url", text)
	}
	return [16]byte(raw), nil
}

// Double formats a number like Java's Double.toString: 1.0, 1.5E10, NaN.
func Double(v float64) string { return float(v, 64) }

// Float formats a number like Java's Float.toString.
func Float(v float32) string { return float(float64(v), 32) }

func float(v float64, bits int) string {
	switch {
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	case math.IsNaN(v):
		return "NaN"
	}
	exponent := ""
	text := strconv.FormatFloat(v, 'f', -1, bits)
	if size := math.Abs(v); size != 0 && (size < 1e-3 || size >= 1e7) {
		text, exponent, _ = strings.Cut(strconv.FormatFloat(v, 'e', -1, bits), "e")
		if !strings.Contains(text, ".") { // Java prints at least two digits, the nearest ones
			text, exponent, _ = strings.Cut(strconv.FormatFloat(v, 'e', 1, bits), "e")
		}
		n, _ := strconv.Atoi(exponent)
		exponent = "E" + strconv.Itoa(n)
	}
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text + exponent
}

// Length returns the length that s has as a Java string: its number of UTF-16 code units.
func Length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// Decode converts UTF-8 to a string as Java's String does. Each incomplete sequence, each byte that
// cannot be part of a sequence, and each surrogate becomes U+FFFD.
func Decode(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var text strings.Builder
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			size = malformed(b)
		}
		text.WriteRune(r)
		b = b[size:]
	}
	return text.String()
}

// malformed returns the number of invalid bytes at the start of b that Java replaces with one
// U+FFFD.
func malformed(b []byte) int {
	continues := func(i int) bool { return i < len(b) && b[i]&0xc0 == 0x80 }
	if !continues(1) {
		return 1
	}
	switch first, second := b[0], b[1]; {
	case first < 0xe0, first == 0xe0 && second < 0xa0, first == 0xf0 && second < 0x90, first == 0xf4 && second >= 0x90, first > 0xf4:
		return 1
	case continues(2): // a surrogate, or three bytes of four
		return 3
	}
	return 2
}
