package zkclient

import (
	"encoding/binary"
	"net"
	"slices"
	"time"
)

// connection corrects two properties of the client library.
//
// It limits all deadlines to one read timeout. The library itself would give a silent server ten
// read timeouts for the handshake, and clears the deadline during the handshake.
//
// It gives every SetWatches request the transaction that the handshake named. A client that
// continues its session sends SetWatches with the last transaction it saw, and the server fires the
// watches of nodes that changed later. The library takes that number while it already receives
// responses on the new connection. Their transactions may be later than a change that the client does
// not know, and the event of that change would be lost.
type connection struct {
	net.Conn
	longest time.Duration // the read timeout

	// Used by one goroutine at a time: the library's handshake comes before its requests.
	shaken   bool   // the handshake has been written
	lastSeen uint64 // the transaction in the handshake
}

func (c *connection) limit(t time.Time) time.Time {
	latest := time.Now().Add(c.longest)
	if t.IsZero() || t.After(latest) {
		return latest
	}
	return t
}

func (c *connection) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.limit(t)) }
func (c *connection) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.limit(t)) }

// The layouts of the two requests begin with the length of the packet in four bytes.
const (
	lastSeenAt = 4 + 4 // in a handshake, behind the protocol version

	opcodeAt       = 4 + 4 // in a request, behind its id
	setWatchesFrom = opcodeAt + 4
	opSetWatches   = 101
)

// Write sends one packet; the library writes each with one call.
func (c *connection) Write(packet []byte) (int, error) {
	switch {
	case !c.shaken && len(packet) >= lastSeenAt+8:
		c.shaken = true
		c.lastSeen = binary.BigEndian.Uint64(packet[lastSeenAt:])
	case c.shaken && len(packet) >= setWatchesFrom+8 && binary.BigEndian.Uint32(packet[opcodeAt:]) == opSetWatches:
		packet = slices.Clone(packet)
		binary.BigEndian.PutUint64(packet[setWatchesFrom:], c.lastSeen)
	}
	return c.Conn.Write(packet)
}
