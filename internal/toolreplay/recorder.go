package toolreplay

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// proxy forwards connections to a broker. While into is set, it adds the responses that pass
// through, with their requests, to that recording.
type proxy struct {
	id       int32 // of the broker
	listener net.Listener

	mu     sync.Mutex // guards the fields below
	broker string     // its address; the broker starts after the proxy
	into   *recording // nil: nothing is recorded
}

func newProxy(t testing.TB, id int32) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	p := &proxy{id: id, listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.forward(conn)
		}
	}()
	return p
}

// record makes the proxy record into r, or, if r is nil, stop recording.
func (p *proxy) record(r *recording) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.into = r
}

// proxies holds the proxies of all brokers of a cluster.
type proxies []*proxy

func (all proxies) record(r *recording) {
	for _, p := range all {
		p.record(r)
	}
}

// serve sets the broker's address. Connections that arrive earlier are closed.
func (p *proxy) serve(broker string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broker = broker
}

func (p *proxy) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broker
}

func (p *proxy) target() *recording {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.into
}

func (p *proxy) forward(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", p.address())
	if err != nil {
		return
	}
	defer far.Close()
	var mu sync.Mutex
	pending := map[int32]kmsg.Request{} // without those that brokers send one another
	go func() {
		defer far.Close()
		for {
			frame, err := readFrame(near)
			if err != nil {
				return
			}
			if header, req, err := parseRequest(frame); err == nil && !betweenBrokers(&header, req) {
				mu.Lock()
				pending[header.CorrelationID] = req
				mu.Unlock()
			}
			if writeFrame(far, frame) != nil {
				return
			}
		}
	}()
	for {
		frame, err := readFrame(far)
		if err != nil {
			return
		}
		if len(frame) >= 4 {
			id := int32(frame[0])<<24 | int32(frame[1])<<16 | int32(frame[2])<<8 | int32(frame[3])
			mu.Lock()
			req := pending[id]
			delete(pending, id)
			mu.Unlock()
			p.observe(req, frame)
		}
		if writeFrame(near, frame) != nil {
			return
		}
	}
}

// observe records a response. It leaves out ApiVersions, which a peer answers itself.
func (p *proxy) observe(req kmsg.Request, frame []byte) {
	r := p.target()
	if r == nil || req == nil {
		return
	}
	if protocol.APIKey(req.Key()) == protocol.ApiVersions {
		return
	}
	_, body, err := protocol.ParseResponseHeader(frame, protocol.APIKey(req.Key()), req.GetVersion())
	if err != nil {
		return
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if resp.ReadFrom(body) == nil {
		r.add(p.id, req, resp)
	}
}

// betweenBrokers reports whether one broker sends req to another. Markers of transactions are also
// sent by tools; the client id of a broker is its number.
func betweenBrokers(header *protocol.RequestHeader, req kmsg.Request) bool {
	switch req := req.(type) {
	case *kmsg.LeaderAndISRRequest, *kmsg.StopReplicaRequest, *kmsg.UpdateMetadataRequest, *kmsg.ControlledShutdownRequest,
		*kmsg.AlterPartitionRequest, *kmsg.AllocateProducerIDsRequest:
		return true
	case *kmsg.WriteTxnMarkersRequest:
		_, err := strconv.Atoi(header.ClientIDOrEmpty())
		return err == nil
	case *kmsg.AddPartitionsToTxnRequest:
		return req.Version >= 4
	case *kmsg.FetchRequest:
		return req.ReplicaID >= 0 || req.ReplicaState.ID >= 0
	case *kmsg.OffsetForLeaderEpochRequest:
		return req.ReplicaID >= 0
	}
	return false
}

func writeFrame(out io.Writer, frame []byte) error {
	n := len(frame)
	_, err := out.Write(append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, frame...))
	return err
}
