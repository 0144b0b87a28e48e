package protocol

import (
	"math"
	"testing"
)

func TestUnsignedVarintsHave32Bits(t *testing.T) {
	for _, c := range []struct {
		src  []byte
		want uint32
		ok   bool
	}{
		{[]byte{0}, 0, true}, {[]byte{0x7f}, 127, true}, {[]byte{0x80, 1}, 128, true},
		{[]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, math.MaxUint32, true},
		{[]byte{0x80, 0x80, 0x80, 0x80, 0}, 0, true},
		{[]byte{0xff, 0xff, 0xff, 0xff, 0x1f}, 0, false},
		{[]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}, 0, false},
		{nil, 0, false}, {[]byte{0x80}, 0, false},
	} {
		r := newReader(c.src)
		if got := r.uvarint(); got != c.want || (r.err == nil) != c.ok || len(r.src) > 0 {
			t.Errorf("% x: %d, %v, %d bytes left; want %d, accepted %t", c.src, got, r.err, len(r.src), c.want, c.ok)
		}
	}
}
