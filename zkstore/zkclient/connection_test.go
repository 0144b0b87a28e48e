package zkclient

import (
	"encoding/binary"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// recorder keeps what is written.
type recorder struct {
	net.Conn
	packets [][]byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.packets = append(r.packets, append([]byte(nil), b...))
	return len(b), nil
}

// packet returns a packet with two numbers of four bytes and one of eight.
func packet(first, second int32, third int64) []byte {
	b := binary.BigEndian.AppendUint32(nil, 20)
	b = binary.BigEndian.AppendUint32(b, uint32(first))
	b = binary.BigEndian.AppendUint32(b, uint32(second))
	return append(binary.BigEndian.AppendUint64(b, uint64(third)), 1, 2, 3, 4)
}

func TestSetWatchesNamesTheTransactionOfTheHandshake(t *testing.T) {
	handshake := binary.BigEndian.AppendUint32(nil, 44)
	handshake = binary.BigEndian.AppendUint32(handshake, 0)
	handshake = append(binary.BigEndian.AppendUint64(handshake, 7), make([]byte, 32)...)
	var out recorder
	c := &connection{Conn: &out, longest: time.Second}
	setWatches := packet(1, opSetWatches, 9)
	for _, p := range [][]byte{handshake, packet(2, 4, 9), setWatches, packet(3, opSetWatches, 6)} {
		if n, err := c.Write(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	for i, want := range [][]byte{handshake, packet(2, 4, 9), packet(1, opSetWatches, 7), packet(3, opSetWatches, 7)} {
		if string(out.packets[i]) != string(want) {
			t.Errorf("packet %d: %x, want %x", i, out.packets[i], want)
		}
	}
	if string(setWatches) != string(packet(1, opSetWatches, 9)) {
		t.Error("the caller's packet changed")
	}
}

func TestDeadlinesAreAtMostOneReadTimeoutAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &connection{longest: time.Minute}
		now := time.Now()
		for asked, want := range map[time.Time]time.Duration{
			{}:                      time.Minute,
			now.Add(time.Second):    time.Second,
			now.Add(10 * time.Hour): time.Minute,
			now.Add(-time.Second):   -time.Second,
		} {
			if got := c.limit(asked); !got.Equal(now.Add(want)) {
				t.Errorf("asked for %v: %v from now, want %v", asked, got.Sub(now), want)
			}
		}
	})
}
