package network

import (
	"net"
	"time"

	"github.com/sirupsen/logrus"
)

// Config configures a Server. Comments name the key of server.properties that sets a field.
type Config struct {
	NodeID    int32 // broker.id, for log lines
	Listeners []Listener
	// MaxRequestBytes is the largest accepted frame; 0 means DefaultMaxRequestBytes
	// (socket.request.max.bytes).
	MaxRequestBytes int32
	// SendBufferBytes and ReceiveBufferBytes are the sizes of the socket buffers; -1 and 0 leave
	// the choice to the operating system (socket.send.buffer.bytes, socket.receive.buffer.bytes).
	SendBufferBytes    int
	ReceiveBufferBytes int
	// Backlog is how many connections may wait to be accepted on a listener; 0 leaves the choice to
	// the operating system (socket.listen.backlog.size).
	Backlog int
	// MaxConnections limits the open connections of all listeners (max.connections). At the limit
	// new connections wait. If there are several listeners, a new connection on the inter-broker
	// listener instead closes an idle connection of another listener.
	MaxConnections Limit
	// MaxConnectionsPerIP limits the connections of a host without an override
	// (max.connections.per.ip). Connections above the limit are closed after accept.
	MaxConnectionsPerIP Limit
	// MaxConnectionsPerIPOverrides are limits by host name or address; 0 refuses all connections
	// (max.connections.per.ip.overrides).
	MaxConnectionsPerIPOverrides map[string]int
	// IdleTimeout is how long a connection may be inactive, or its peer may leave a response
	// unread, before the connection is closed; 0: forever (connections.max.idle.ms).
	IdleTimeout time.Duration
	// Buffers is the free list for frames; nil creates one for this server.
	Buffers *Buffers
	Log     *logrus.Logger
	// Observe, if not nil, is called for every request after its response was written or dropped.
	// It runs in a goroutine of the connection.
	Observe func(*Request, Timing)
}

// DefaultMaxRequestBytes is Kafka's default of socket.request.max.bytes.
const DefaultMaxRequestBytes = 104857600

// Listener describes one entry of the key listeners.
type Listener struct {
	Name     string // such as PLAINTEXT
	Protocol string // security protocol, for log lines; empty: same as Name
	Host     string // empty: all interfaces; an IPv6 address without brackets
	Port     int    // 0: any free port, see Server.Addr
	// Privileged marks the listener for the controller's requests: the control plane listener if
	// one is configured, otherwise the inter-broker listener.
	Privileged bool
	// ControlPlane marks the dedicated control plane listener, for log lines.
	ControlPlane bool
	// InterBroker marks the listener that still accepts connections at Config.MaxConnections if
	// there are several listeners.
	InterBroker bool
	// MaxConnections limits the open connections of this listener
	// (listener.name.X.max.connections).
	MaxConnections Limit
	// Listen opens the socket; nil: TCP. Tests use a network in memory.
	Listen func(address string) (net.Listener, error)
	// Open identifies the peer of an accepted connection. It may wrap the connection (TLS),
	// exchange frames on it and set peer.Principal (SASL). It runs in the connection's goroutine
	// before the first frame. An error closes the connection. If Open is nil, the connection is
	// used as it is, with User:ANONYMOUS.
	Open func(conn net.Conn, peer *Peer) (net.Conn, error)
}

// Timing is how long the phases of a request took.
type Timing struct {
	Serve    time.Duration // in Handler.Serve and Deferred
	Queued   time.Duration // waiting for earlier responses of the connection
	Send     time.Duration // writing the response
	Sent     int64         // bytes of the response, size field included; 0 without a response
	Throttle time.Duration
}

// Stats are the counters of a Server since it was created.
type Stats struct {
	Connections  int64 // open now
	Accepted     int64
	RefusedPerIP int64 // closed at accept for max.connections.per.ip
	ClosedIdle   int64
	// ClosedIdleControlPlane is the part of ClosedIdle on the control plane listener.
	ClosedIdleControlPlane int64
	Evicted                int64 // least recently used connections closed to admit another broker
	BadFrames              int64 // connections closed for a frame or header that cannot be parsed
	Panics                 int64 // handler panics
	Requests               int64
	Responses              int64
	BytesIn                int64
	BytesOut               int64
	SendfileRuns           int64 // file runs sent without copying
	SendfileCalls          int64
	CopiedFileBytes        int64 // file bytes that were read and written because sendfile was not used
	ShortFileRuns          int64 // connections closed because a file run ended early
}
