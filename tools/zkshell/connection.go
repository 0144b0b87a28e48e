package zkshell

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/monedula/monedula/zkserver/jute"
)

// mostBytes is the largest frame that is read. Servers limit what clients can store to less by
// default (jute.maxbuffer); lists of many children are larger.
const mostBytes = 256 << 20

// connection connects to a server and delivers what it sends until the connection is lost.
func (s *session) connection(server string) error {
	s.mu.Lock()
	limit := time.Duration(s.timeoutMs) * time.Millisecond
	request := jute.ConnectRequest{LastZxidSeen: s.lastZxid, TimeOut: s.timeoutMs, SessionID: s.id, Password: s.password, ReadOnly: s.readOnly}
	s.mu.Unlock()
	conn, err := net.DialTimeout("tcp", server, max(limit/time.Duration(len(s.servers)), time.Millisecond))
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // while the connection is not accepted, abandon cannot close it
		select {
		case <-s.quit:
			_ = conn.Close()
		case <-stop:
		}
	}()
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := conn.Write(jute.Frame(&request)); err != nil {
		return err
	}
	frame, err := readFrame(conn)
	if err != nil {
		return err
	}
	var response jute.ConnectResponse
	if _, err := jute.Decode(frame, &response); err != nil {
		return err
	}
	if response.TimeOut <= 0 {
		return errExpired
	}
	s.accepted(conn, &response)
	limit = time.Duration(response.TimeOut) * time.Millisecond
	go s.ping(limit/3, stop)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(limit * 2 / 3))
		frame, err := readFrame(conn)
		if err != nil {
			return err
		}
		if err := s.received(frame); err != nil {
			return err
		}
	}
}

// readFrame reads a length and the bytes after it. It allocates in proportion to what it receives.
func readFrame(from io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > mostBytes {
		return nil, fmt.Errorf("the server announced a packet of %d bytes", size)
	}
	var frame bytes.Buffer
	if _, err := io.CopyN(&frame, from, int64(size)); err != nil {
		return nil, err
	}
	return frame.Bytes(), nil
}

// accepted makes a connection usable: it delivers the event, and sends what the server must know and
// the request that waits.
func (s *session) accepted(conn net.Conn, response *jute.ConnectResponse) {
	happened := event{state: "SyncConnected", kind: "None"}
	now := connected
	if response.ReadOnly {
		happened.state, now = "ConnectedReadOnly", connectedReadOnly
	}
	s.deliver(happened)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.state, s.timeoutMs = conn, now, response.TimeOut
	s.id, s.password = response.SessionID, response.Password
	for i := range s.auths {
		s.write(jute.Frame(&jute.RequestHeader{Xid: jute.AuthXid, Type: jute.OpAuth}, &s.auths[i]))
	}
	if op, all := s.watches.restore(s.lastZxid); all != nil {
		s.write(jute.Frame(&jute.RequestHeader{Xid: jute.SetWatchesXid, Type: op}, all))
	}
	if s.current != nil {
		s.write(s.current.frame)
	}
}

// ping keeps the session alive.
func (s *session) ping(every time.Duration, stop <-chan struct{}) {
	ticks := time.NewTicker(max(every, time.Millisecond))
	defer ticks.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticks.C:
			s.mu.Lock()
			s.write(jute.Frame(&jute.RequestHeader{Xid: jute.PingXid, Type: jute.OpPing}))
			s.mu.Unlock()
		}
	}
}

// received handles a response or an event.
func (s *session) received(frame []byte) error {
	var header jute.ReplyHeader
	body, err := jute.Decode(frame, &header)
	if err != nil {
		return err
	}
	switch header.Xid {
	case jute.PingXid, jute.SetWatchesXid:
		return nil
	case jute.AuthXid:
		return s.authAnswered(code(header.Err))
	case jute.EventXid:
		return s.eventReceived(body)
	}
	s.mu.Lock()
	c := s.current
	if c == nil || c.xid != header.Xid {
		s.mu.Unlock()
		return fmt.Errorf("the server answered request %d, which was not sent", header.Xid)
	}
	s.current = nil
	if header.Zxid > 0 {
		s.lastZxid = header.Zxid
	}
	s.mu.Unlock()
	if header.Err != 0 {
		c.finish(failure{code: code(header.Err)})
		return nil
	}
	if c.response != nil {
		if _, err := jute.Decode(body, c.response); err != nil {
			c.finish(failure{code: connectionLoss})
			return err
		}
	}
	c.finish(nil)
	return nil
}

// authAnswered handles the answer to an identity: one that was just added, or one that is repeated on
// a new connection.
func (s *session) authAnswered(result code) error {
	if result == authFailed {
		return errAuthFailed
	}
	s.mu.Lock()
	c := s.current
	if c == nil || c.xid != jute.AuthXid {
		s.mu.Unlock()
		return nil
	}
	s.current = nil
	s.mu.Unlock()
	c.finish(nil)
	return nil
}

func (s *session) eventReceived(body []byte) error {
	var e jute.WatcherEvent
	if _, err := jute.Decode(body, &e); err != nil {
		return err
	}
	kind := eventKinds[e.Type]
	s.mu.Lock()
	fired := s.watches.fire(kind, e.Path)
	s.mu.Unlock()
	if fired {
		s.deliver(event{state: "SyncConnected", kind: kind, path: s.chroot.from(e.Path)})
	}
	return nil
}
