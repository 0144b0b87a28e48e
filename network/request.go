// Package network is the socket server: listeners, connections, framing,
// answers in order, and zero-copy writing of file runs.
//
// Every connection has one goroutine, which reads a frame, has it served,
// writes the answer and reads the next. Only while a Produce waits for other
// replicas (Response.Deferred) there is a second one, which writes the answers
// in order while the first one may serve further Produce requests.
package network

import (
	"net"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
)

// Peer is the far end of a connection; fields set at accept, the software
// names by ApiVersions v3+. Only Serve may change it.
type Peer struct {
	ID              string // local:port-remote:port-n, as Kafka names connections
	Listener        string // listener name, such as PLAINTEXT
	Addr            net.Addr
	Principal       string // User:ANONYMOUS on PLAINTEXT
	SoftwareName    string
	SoftwareVersion string
	Privileged      bool // came in over the control-plane or inter-broker listener
}

// Host returns the peer's address without the port, as Kafka's quotas, ACLs
// and group descriptions show it.
func (p *Peer) Host() string { return hostOf(p.Addr) }

// Request is one frame with its header parsed. Body aliases a pooled buffer
// and may be used until Serve has returned (for a Deferred response: until
// Serve returned, not later); what is kept longer is copied.
type Request struct {
	protocol.RequestHeader
	Body     []byte
	Size     int // the frame's size
	Peer     *Peer
	Received time.Time
	// Label and Waited are for Config.Observe; a handler may set them. Label is a
	// finer name than the key's, such as FetchFollower; Waited is the part of the
	// service in which the answer waited for other brokers or for records to come.
	Label  string
	Waited time.Duration
	// Done is closed when the server stops or the connection is known to be
	// lost; who waits for long watches it. A peer that goes away silently while
	// a request waits is only noticed when the answer is written, as in Kafka.
	Done <-chan struct{}
}

// Response is what to write. A Response without runs and without Deferred,
// Close or Err must set NoAnswer (Produce acks=0).
type Response struct {
	Runs     []Run // header and body; the server puts the size before them
	NoAnswer bool
	Close    bool // close the connection (after writing Runs, if any)
	// Err, when set, closes the connection for a request that cannot be answered,
	// such as one that does not parse: counted as a bad frame and logged, in
	// bounded numbers.
	Err      error
	Throttle time.Duration // answer at once, then do not read for so long (KIP-219)
	Release  func()        // called once after writing or dropping; may be nil
	// Deferred, when set, makes the response later: the server calls it once, in
	// a goroutine of the connection, and it blocks until the answer is there or
	// Request.Done is closed. Only a Produce that waits for replicas uses it: the
	// server may meanwhile read and serve a following Produce. All other handlers
	// block in Serve.
	Deferred func() Response
}

// Refuse returns the Response that closes the connection because of err.
func Refuse(err error) Response { return Response{Err: err, Close: true} }

// Bytes returns the Response that writes b: response header and body.
func Bytes(b []byte) Response { return Response{Runs: []Run{{Bytes: b}}} }

// Run is a piece of an answer: bytes, or a piece of a file.
type Run struct {
	Bytes    []byte
	File     vfs.File
	Position int64
	Length   int64
}

// Splice appends to runs the answer made of head, cut at cuts, with the file
// runs between the pieces: what protocol.FetchResponse.AppendTo returns. A nil
// entry of files (File and Bytes nil) leaves its place empty; len(files) must
// be len(cuts).
func Splice(runs []Run, head []byte, cuts []int, files []Run) []Run {
	from := 0
	for i, cut := range cuts {
		runs = append(runs, Run{Bytes: head[from:cut:cut]}, files[i])
		from = cut
	}
	return append(runs, Run{Bytes: head[from:]})
}

// Handler serves requests. A panic in it is recovered: logged, counted, and
// the connection closed. Unknown versions are the handler's to refuse, with
// Response.Close or, for ApiVersions, with an answer.
type Handler interface{ Serve(*Request) Response }

// HandlerFunc is a function as a Handler.
type HandlerFunc func(*Request) Response

// Serve calls f.
func (f HandlerFunc) Serve(r *Request) Response { return f(r) }
