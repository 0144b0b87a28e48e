package toolreplay

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/protocol"
)

// Peer is a listener that answers requests like a broker.
type Peer struct {
	t        testing.TB
	listener net.Listener
	answer   func(req kmsg.Request) kmsg.Response
	versions []kmsg.ApiVersionsResponseApiKey
	named    func(broker int32) (host string, port int32) // the addresses of brokers in responses

	mu    sync.Mutex // guards the fields below
	conns map[net.Conn]bool
	ended bool
}

// Serve starts a peer, which ends with the test. answer returns the response to a request, or nil
// to close the connection. Several connections may call it at the same time. The peer itself
// answers ApiVersions with the versions of a 3.9.1 broker, and replaces the addresses of brokers in
// all responses by its own.
func Serve(t testing.TB, answer func(req kmsg.Request) kmsg.Response) *Peer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Peer{t: t, listener: listener, answer: answer, versions: realVersions(t), conns: map[net.Conn]bool{}}
	p.named = func(int32) (string, int32) { return hostAndPort(listener.Addr()) }
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer p.forget(conn)
				if p.accept(conn) {
					p.serve(conn)
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.end()
		serving.Wait()
	})
	return p
}

func hostAndPort(address net.Addr) (host string, port int32) {
	tcp := address.(*net.TCPAddr)
	return tcp.IP.String(), int32(tcp.Port)
}

// accept reports whether the peer still runs. It then closes the connection when it ends.
func (p *Peer) accept(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.conns[conn] = true
	}
	return !p.ended
}

func (p *Peer) forget(conn net.Conn) {
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// end closes all connections.
func (p *Peer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for conn := range p.conns {
		conn.Close()
	}
}

// Address returns the host:port of the peer.
func (p *Peer) Address() string { return p.listener.Addr().String() }

func (p *Peer) serve(conn net.Conn) {
	for {
		frame, err := readFrame(conn)
		if err != nil {
			return
		}
		header, req, err := parseRequest(frame)
		if err != nil {
			p.t.Errorf("an unreadable request: %v", err)
			return
		}
		var resp kmsg.Response
		if header.Key == protocol.ApiVersions {
			versions := kmsg.NewPtrApiVersionsResponse()
			versions.ApiKeys = p.versions
			resp = versions
		} else if resp = p.answer(req); resp == nil {
			return
		}
		setAddresses(resp, p.named)
		resp.SetVersion(header.Version)
		out := protocol.AppendResponse(make([]byte, 4), header.CorrelationID, resp)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

func readFrame(in io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(size[:])
	if length > 100<<20 {
		return nil, errors.New("the frame is too large")
	}
	frame := make([]byte, length)
	_, err := io.ReadFull(in, frame)
	return frame, err
}

func parseRequest(frame []byte) (protocol.RequestHeader, kmsg.Request, error) {
	header, body, err := protocol.ParseRequestHeader(frame)
	if err != nil {
		return header, nil, err
	}
	req := kmsg.RequestForKey(int16(header.Key))
	if req == nil {
		return header, nil, errors.New("unknown key " + strconv.Itoa(int(header.Key)))
	}
	req.SetVersion(header.Version)
	return header, req, req.ReadFrom(body)
}

var versionLine = regexp.MustCompile(`(?m)^\t\w+\((\d+)\): (\d+)(?: to (\d+))? \[`)

// realVersions returns the APIs that a 3.9.1 broker offered.
func realVersions(t testing.TB) []kmsg.ApiVersionsResponseApiKey {
	t.Helper()
	var versions []kmsg.ApiVersionsResponseApiKey
	for _, m := range versionLine.FindAllSubmatch(golden.Read(t, "api-versions-zk-3.9.1.txt"), -1) {
		api := kmsg.NewApiVersionsResponseApiKey()
		number := func(text []byte) int16 {
			n, _ := strconv.Atoi(string(text))
			return int16(n)
		}
		api.ApiKey, api.MinVersion, api.MaxVersion = number(m[1]), number(m[2]), number(m[2])
		if m[3] != nil {
			api.MaxVersion = number(m[3])
		}
		versions = append(versions, api)
	}
	return versions
}
