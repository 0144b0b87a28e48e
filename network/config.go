package network

import (
	"net"
	"time"

	"github.com/sirupsen/logrus"
)

// Config is what a Server needs to know. The key of server.properties that
// gives a value stands behind it.
type Config struct {
	NodeID    int32 // broker.id, for log lines
	Listeners []Listener
	// MaxRequestBytes is the largest frame accepted; 0 means DefaultMaxRequestBytes (socket.request.max.bytes).
	MaxRequestBytes int32
	// SendBufferBytes and ReceiveBufferBytes size the socket buffers; -1 or 0
	// leave it to the operating system (socket.send.buffer.bytes, socket.receive.buffer.bytes).
	SendBufferBytes    int
	ReceiveBufferBytes int
	// Backlog is how many connections may wait to be accepted on a listener; 0
	// leaves it to the operating system (socket.listen.backlog.size).
	Backlog int
	// MaxConnections over all listeners (max.connections). At the limit new
	// connections wait; where there are other listeners, one on the inter-broker
	// listener makes an idle one of those close instead.
	MaxConnections Limit
	// MaxConnectionsPerIP for hosts without an override (max.connections.per.ip).
	// More are closed at accept.
	MaxConnectionsPerIP Limit
	// MaxConnectionsPerIPOverrides by host name or address; 0 refuses all
	// (max.connections.per.ip.overrides).
	MaxConnectionsPerIPOverrides map[string]int
	// IdleTimeout closes connections on which nothing happened for so long, and
	// those whose peer does not read its answer; 0: never (connections.max.idle.ms).
	IdleTimeout time.Duration
	// Buffers is where frames are read into; nil: a free list of its own.
	Buffers *Buffers
	Log     *logrus.Logger
	// Observe, if set, is told of every request after its answer was written
	// (or dropped). It is called in the connection's goroutines.
	Observe func(*Request, Timing)
}

// DefaultMaxRequestBytes is Kafka's default of socket.request.max.bytes.
const DefaultMaxRequestBytes = 104857600

// Listener describes one entry of listeners.
type Listener struct {
	Name     string // such as PLAINTEXT
	Protocol string // security protocol, for log lines; empty: the name
	Host     string // empty: all interfaces; an IPv6 address without brackets
	Port     int    // 0: any free one, see Server.Addr
	// Privileged marks the listener of the controller's requests: the control
	// plane listener if there is one, else the inter-broker listener.
	Privileged bool
	// ControlPlane marks the dedicated control plane listener, for log lines.
	ControlPlane bool
	// InterBroker marks the listener that keeps working at Config.MaxConnections
	// where there are others.
	InterBroker bool
	// MaxConnections on this listener (listener.name.X.max.connections).
	MaxConnections Limit
	// Listen opens the socket; nil: TCP. Tests hand in one in memory.
	Listen func(address string) (net.Listener, error)
	// Open turns an accepted connection into one whose peer is known: it may
	// wrap it (TLS), exchange frames on it and set peer.Principal (SASL). It
	// runs in the connection's goroutine before the first frame; an error closes
	// the connection. nil: the connection as it is, User:ANONYMOUS.
	Open func(conn net.Conn, peer *Peer) (net.Conn, error)
}

// Timing tells where a request's time went.
type Timing struct {
	Serve    time.Duration // in Handler.Serve and Deferred
	Queued   time.Duration // the answer's wait for earlier answers of its connection
	Send     time.Duration // writing the answer
	Sent     int64         // bytes of the answer, size field included; 0 for none
	Throttle time.Duration
}

// Stats are a Server's counters since its start.
type Stats struct {
	Connections     int64 // open now
	Accepted        int64
	RefusedPerIP    int64 // closed at accept for max.connections.per.ip
	ClosedIdle      int64
	ClosedForRoom   int64 // idle ones closed for an inter-broker connection
	BadFrames       int64 // connections closed for a frame or header that does not parse
	Panics          int64 // handler panics
	Requests        int64
	BytesIn         int64
	BytesOut        int64
	SendfileRuns    int64 // file runs sent without copying
	SendfileCalls   int64
	CopiedFileBytes int64 // file bytes that were read and written instead
	ShortFileRuns   int64 // connections closed since a file run ended early
}
