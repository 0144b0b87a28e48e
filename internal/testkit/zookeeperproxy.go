package testkit

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// ZooKeeperProxy forwards connections to ZooKeeper and can drop connections and answers.
type ZooKeeperProxy struct {
	net.Listener
	server string

	mu    sync.Mutex // guards the fields below
	conns map[net.Conn]bool
	dials int    // number of connections accepted so far
	cut   bool   // refuse all connections
	lose  int32  // opcode whose next answer is dropped with its connection; 0 means none
	lost  int    // number of dropped answers
	last  []byte // the last answer to a connect request, with session id and password
}

// Opcodes of ZooKeeper's protocol.
const (
	ZooKeeperCreate  = 1
	ZooKeeperDelete  = 2
	ZooKeeperSetData = 5
	ZooKeeperMulti   = 14
)

// NewZooKeeperProxy starts a proxy in front of the server (host:port), which stops with the test.
// Addr is the address to connect to.
func NewZooKeeperProxy(t testing.TB, server string) *ZooKeeperProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &ZooKeeperProxy{Listener: l, server: server, conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		l.Close()
		p.DropAll()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *ZooKeeperProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.cut {
		p.mu.Unlock()
		return
	}
	p.conns[client], p.conns[server] = true, true
	p.dials++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, client)
		delete(p.conns, server)
		p.mu.Unlock()
	}()
	var opcodes sync.Map // of requests in progress, by xid
	go func() {
		defer server.Close()
		for first := true; ; first = false {
			frame, err := ReadZooKeeperPacket(client)
			if err != nil {
				return
			}
			if !first && len(frame) >= 12 {
				opcodes.Store(binary.BigEndian.Uint32(frame[4:]), int32(binary.BigEndian.Uint32(frame[8:])))
			}
			if _, err := server.Write(frame); err != nil {
				return
			}
		}
	}()
	for first := true; ; first = false {
		frame, err := ReadZooKeeperPacket(server)
		if err != nil {
			return
		}
		if first {
			p.mu.Lock()
			p.last = frame
			p.mu.Unlock()
		} else if op, ok := opcodes.LoadAndDelete(binary.BigEndian.Uint32(frame[4:])); ok && p.loses(op.(int32)) {
			return
		}
		if _, err := client.Write(frame); err != nil {
			return
		}
	}
}

// ReadZooKeeperPacket reads a request or an answer, including the four bytes of its length.
func ReadZooKeeperPacket(r io.Reader) ([]byte, error) {
	frame := make([]byte, 4)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}

func (p *ZooKeeperProxy) loses(op int32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose != op {
		return false
	}
	p.lose = 0
	p.lost++
	return true
}

// LoseNext drops the answer to the next request with the opcode, and its connection, after the
// server has executed the request.
func (p *ZooKeeperProxy) LoseNext(op int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = op
}

// AnswersLost returns the number of answers that were dropped.
func (p *ZooKeeperProxy) AnswersLost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// Accepted returns the number of connections that were accepted.
func (p *ZooKeeperProxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}

// SetCut drops all connections and refuses new ones while on is true.
func (p *ZooKeeperProxy) SetCut(on bool) {
	p.mu.Lock()
	p.cut = on
	p.mu.Unlock()
	if on {
		p.DropAll()
	}
}

// DropAll closes all connections.
func (p *ZooKeeperProxy) DropAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// ExpireSession ends the client's session: it opens a second connection with the session's id and
// password and closes the session through it. If the client reconnects first, the server ends the
// second connection instead. ExpireSession tries again until the session is closed.
func (p *ZooKeeperProxy) ExpireSession(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	answer := p.last // size 4, protocol 4, timeout 4, id 8, password 4+16
	p.mu.Unlock()
	for range 100 {
		if p.endSession(t, answer) {
			return
		}
	}
	t.Fatal("the client always reconnected before its session could be closed")
}

// endSession tries to close the session of a connect answer, and reports whether it is closed.
func (p *ZooKeeperProxy) endSession(t testing.TB, answer []byte) bool {
	t.Helper()
	c, err := net.Dial("tcp", p.server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := binary.BigEndian.AppendUint32(nil, 44)
	request = binary.BigEndian.AppendUint32(request, 0)
	request = binary.BigEndian.AppendUint64(request, 0) // last zxid seen
	request = append(request, answer[8:8+4+8+4+16]...)  // timeout, id, password
	if _, err := c.Write(request); err != nil {
		return false
	}
	connected, err := ReadZooKeeperPacket(c)
	if err != nil {
		return false
	}
	if binary.BigEndian.Uint64(connected[12:]) == 0 { // the session has ended
		return true
	}
	closing := []byte{0, 0, 0, 8, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf5} // xid 1, opcode -11
	if _, err := c.Write(closing); err != nil {
		return false
	}
	_, err = ReadZooKeeperPacket(c)
	return err == nil
}
