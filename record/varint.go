package record

import "math"

// badPosition is what the varint readers return as the next position if the bytes end within the
// number or the number is too long. Every later read from there also fails, so a parser needs to
// check only once.
const badPosition = math.MaxInt

// uvarintAt reads an unsigned varint of at most 5 bytes.
func uvarintAt(b []byte, at int) (v uint32, next int) {
	if uint(at) < uint(len(b)) && b[at] < 0x80 {
		return uint32(b[at]), at + 1
	}
	return uvarintSlow(b, at)
}

func uvarintSlow(b []byte, at int) (v uint32, next int) {
	for shift := 0; shift < 35 && at < len(b); shift += 7 {
		c := b[at]
		at++
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v, at
		}
	}
	return 0, badPosition
}

// varintBytesMax is the largest number of bytes of a 32-bit varint.
const varintBytesMax = 5

// varintAt reads a zig-zag varint, protobuf's sint32.
func varintAt(b []byte, at int) (v int32, next int) {
	u, next := uvarintAt(b, at)
	return int32(u>>1) ^ -int32(u&1), next
}

// varlongAt reads a zig-zag varint of at most 10 bytes, protobuf's sint64.
func varlongAt(b []byte, at int) (v int64, next int) {
	if uint(at) < uint(len(b)) && b[at] < 0x80 {
		u := int64(b[at])
		return u>>1 ^ -(u & 1), at + 1
	}
	return varlongSlow(b, at)
}

func varlongSlow(b []byte, at int) (v int64, next int) {
	var u uint64
	for shift := 0; shift < 70 && at < len(b); shift += 7 {
		c := b[at]
		at++
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), at
		}
	}
	return 0, badPosition
}

// skipAt skips n bytes, or none if n is negative (null).
func skipAt(b []byte, at int, n int32) (next int) {
	switch {
	case at > len(b):
		return badPosition
	case n <= 0:
		return at
	case int(n) > len(b)-at:
		return badPosition
	}
	return at + int(n)
}

func appendVarint(dst []byte, v int32) []byte {
	u := uint32(v<<1) ^ uint32(v>>31)
	for ; u >= 0x80; u >>= 7 {
		dst = append(dst, byte(u)|0x80)
	}
	return append(dst, byte(u))
}

func appendVarlong(dst []byte, v int64) []byte {
	u := uint64(v<<1) ^ uint64(v>>63)
	for ; u >= 0x80; u >>= 7 {
		dst = append(dst, byte(u)|0x80)
	}
	return append(dst, byte(u))
}

func sizeOfVarint(v int32) int { return sizeOfVarlong(int64(v)) }

func sizeOfVarlong(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
