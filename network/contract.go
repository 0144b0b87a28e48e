// Package network is the socket server: listeners, connections, framing,
// answers in order, and zero-copy writing of file runs.
package network

import (
	"net"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
)

// Peer is the far end of a connection; fields set at accept, the software
// names by ApiVersions v3+.
type Peer struct {
	ID              string // local:port-remote:port-n, as Kafka names connections
	Listener        string // listener name, such as PLAINTEXT
	Addr            net.Addr
	Principal       string // User:ANONYMOUS on PLAINTEXT
	SoftwareName    string
	SoftwareVersion string
	Privileged      bool // came in over the control-plane or inter-broker listener
}

// Request is one frame with its header parsed. Body aliases a pooled buffer
// and may be used until Serve has returned (for a Deferred response: until
// Serve returned, not later); what is kept longer is copied.
type Request struct {
	protocol.RequestHeader
	Body     []byte
	Size     int // the frame's size
	Peer     *Peer
	Received time.Time
	// Done is closed when the connection is lost or the server stops; who waits for long watches it.
	Done <-chan struct{}
}

// Response is what to write. The zero Response with Close unset and no runs
// and NoAnswer set writes nothing (Produce acks=0).
type Response struct {
	Runs     []Run // header and body; the server puts the size before them
	NoAnswer bool
	Close    bool          // close the connection (after writing Runs, if any)
	Throttle time.Duration // answer at once, then do not read for so long
	Release  func()        // called once after writing or dropping
	// Deferred, when set, makes the response later: the server calls it once, in
	// the connection's goroutine or its writer's, and it blocks until the answer
	// is there. Only a Produce that waits for replicas uses it: the server may
	// meanwhile read and serve a following Produce. All other handlers block in Serve.
	Deferred func() Response
}

// Run is a piece of an answer: bytes, or a piece of a file.
type Run struct {
	Bytes    []byte
	File     vfs.File
	Position int64
	Length   int64
}

// Handler serves requests. A panic in it is recovered: logged, counted, and
// the connection closed.
type Handler interface{ Serve(*Request) Response }
