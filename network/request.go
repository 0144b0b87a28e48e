// Package network is the socket server. It has listeners and connections, reads frames, writes
// responses in order, and sends ranges of files without copying them.
//
// Each connection has one goroutine, which reads a frame, lets the handler serve it, writes the
// response and reads the next frame. Only while a Produce request waits for other replicas
// (Response.Deferred) does it have a second goroutine, which writes the responses in order.
// Meanwhile the first one may serve further Produce requests.
package network

import (
	"net"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
)

// Peer is the remote end of a connection. Its fields are set at accept, the software names by
// ApiVersions v3 and later. Only Serve may change it.
type Peer struct {
	ID              string // local:port-remote:port-n, as Kafka names connections
	Listener        string // listener name, such as PLAINTEXT
	Addr            net.Addr
	Principal       string // User:ANONYMOUS on PLAINTEXT
	SoftwareName    string
	SoftwareVersion string
	Privileged      bool // connected to the control-plane or inter-broker listener
}

// Host returns the peer's address without the port, as Kafka shows it in quotas, ACLs and group
// descriptions.
func (p *Peer) Host() string { return hostOf(p.Addr) }

// Request is one frame with its header parsed. Body aliases a pooled buffer and is valid until
// Serve returns, even for a Deferred response. A handler must copy what it keeps longer.
type Request struct {
	protocol.RequestHeader
	Body     []byte
	Size     int // size of the frame in bytes
	Peer     *Peer
	Received time.Time
	// Label, Waited and Conversion are for Config.Observe; a handler may set them. Label is a more
	// specific name than that of the key, such as FetchFollower. Waited is the part of the serving
	// time in which the request waited for other brokers or for records to arrive.
	Label      string
	Waited     time.Duration
	Conversion Conversion
	// Done is closed when the server stops or the connection is known to be lost. Handlers that
	// wait must watch it. A peer that goes away silently while a request waits is noticed only when
	// the response is written, as in Kafka.
	Done <-chan struct{}
}

// Conversion is what a request spent on converting records between formats or codecs.
type Conversion struct {
	Time  time.Duration
	Bytes int64 // of the memory for the result
}

// Add adds a conversion that took a time and whose result has a number of bytes.
func (c *Conversion) Add(took time.Duration, bytes int) {
	c.Time += took
	c.Bytes += int64(bytes)
}

// Response describes what to write. A Response without Runs, Deferred, Close and Err must set
// NoAnswer (Produce with acks=0).
type Response struct {
	Runs     []Run // header and body; the server writes the size field before them
	NoAnswer bool
	Close    bool // close the connection (after writing Runs, if any)
	// Err, if not nil, closes the connection because of a request that cannot be answered, such as
	// one that cannot be parsed. It is counted as a bad frame and logged; the number of log lines
	// is limited.
	Err      error
	Throttle time.Duration // respond at once, then read nothing for this time (KIP-219)
	Release  func()        // called once after writing or dropping; may be nil
	// Deferred, if not nil, returns the response later. The server calls it once, in a goroutine of
	// the connection. It blocks until the response is complete or Request.Done is closed. Only a
	// Produce request that waits for replicas uses it; meanwhile the server may read and serve
	// another Produce request. All other handlers block in Serve.
	Deferred func() Response
}

// Refuse returns a Response that closes the connection because of err.
func Refuse(err error) Response { return Response{Err: err, Close: true} }

// Bytes returns a Response that writes b, which is the response header and body.
func Bytes(b []byte) Response { return Response{Runs: []Run{{Bytes: b}}} }

// Run is a part of a response: bytes, or a range of a file.
type Run struct {
	Bytes    []byte
	File     vfs.File
	Position int64
	Length   int64
}

// Splice appends to runs a response that consists of head, split at cuts, and of the file runs in
// between, as protocol.FetchResponse.AppendTo returns them. For an entry of files with neither File
// nor Bytes nothing is inserted. files must be as long as cuts.
func Splice(runs []Run, head []byte, cuts []int, files []Run) []Run {
	from := 0
	for i, cut := range cuts {
		runs = append(runs, Run{Bytes: head[from:cut:cut]}, files[i])
		from = cut
	}
	return append(runs, Run{Bytes: head[from:]})
}

// Handler serves requests. If it panics, the server recovers, logs and counts the panic, and closes
// the connection. The handler must refuse unknown versions, with Response.Close or, for
// ApiVersions, with a response.
type Handler interface{ Serve(*Request) Response }

// HandlerFunc makes a function a Handler.
type HandlerFunc func(*Request) Response

// Serve calls f.
func (f HandlerFunc) Serve(r *Request) Response { return f(r) }
