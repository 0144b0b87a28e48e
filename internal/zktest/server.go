// Package zktest is a ZooKeeper server that runs inside the test process. It serves the data model
// of zkserver/tree to the clients of this code base, so that tests of single packages need no JVM.
// What depends on a real server, such as quorums and restarts, is tested with a real one.
package zktest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/monedula/monedula/zkserver/jute"
	zktree "github.com/monedula/monedula/zkserver/tree"
)

// Server is a running server.
type Server struct {
	listener net.Listener

	mu       sync.Mutex // guards the fields below; held while writing, so that events precede later responses
	tree     *zktree.Tree
	sessions map[int64]*session
	conns    map[net.Conn]bool // all connections
	down     bool              // connections are refused
	ended    bool
}

// session is the session of a client.
type session struct {
	conn net.Conn // nil while the client is not connected
	// heard is the last transaction before the latest request. since is its value at the start of
	// the connection: the client knows what happened before.
	heard, since int64
}

// tickTime is how often the server looks for sessions that have timed out.
const tickTime = 20 * time.Millisecond

// Start starts a server with no nodes, which ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{listener: listener, tree: zktree.New(), sessions: map[int64]*session{}, conns: map[net.Conn]bool{}}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer s.forget(conn)
				if s.accept(conn) {
					s.serve(conn)
				}
			})
		}
	})
	running.Go(func() {
		tick := time.NewTicker(tickTime)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.expireDue()
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() {
		listener.Close()
		close(stop)
		s.end()
		running.Wait()
	})
	return s
}

// accept reports whether the server still runs. If so, the server closes the connection when it
// ends.
func (s *Server) accept(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.conns[conn] = true
	}
	return !s.ended
}

func (s *Server) forget(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// end closes all connections.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for conn := range s.conns {
		conn.Close()
	}
}

// Address returns host:port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Expire ends all sessions, as if their clients had been cut off for too long, and closes their
// connections.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.sessions {
		s.endSession(id)
	}
}

// SetDown makes the server close all connections and refuse new ones, or serve again. While it is
// down, sessions can time out.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	if down {
		for conn := range s.conns {
			conn.Close()
		}
	}
}

// Get returns the data of a node.
func (s *Server) Get(path string) (data string, exists bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, _, exists := s.tree.Peek(path)
	return string(raw), exists
}

// Put creates or replaces a node, and creates its parents if they are missing. They belong to no
// client's session.
func (s *Server) Put(t testing.TB, path, data string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.tree.Open(now(), time.Hour.Milliseconds())
	do := func(op zktree.Op) error {
		_, events, err := s.tree.Do(session, now(), op)
		s.fire(events)
		return err
	}
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			_ = do(zktree.Create{Path: path[:i]})
		}
	}
	err := do(zktree.Create{Path: path, Data: []byte(data)})
	if err == zktree.NodeExists {
		err = do(zktree.Set{Path: path, Data: []byte(data), Version: zktree.AnyVersion})
	}
	s.fire(s.tree.End(session))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Delete removes a node without children.
func (s *Server) Delete(t testing.TB, path string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.tree.Open(now(), time.Hour.Milliseconds())
	_, events, err := s.tree.Do(session, now(), zktree.Delete{Path: path, Version: zktree.AnyVersion})
	s.fire(append(events, s.tree.End(session)...))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func now() int64 { return time.Now().UnixMilli() }

func (s *Server) expireDue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.tree.Due(now()) {
		s.endSession(id)
	}
}

// endSession ends a session and closes its connection. The caller must hold mu.
func (s *Server) endSession(id int64) {
	s.fire(s.tree.End(id))
	if conn := s.sessions[id].conn; conn != nil {
		conn.Close()
	}
	delete(s.sessions, id)
}

// fire sends events to the sessions that watch. The caller must hold mu.
func (s *Server) fire(events []zktree.Event) {
	for _, e := range events {
		if client := s.sessions[e.Session]; client != nil && client.conn != nil {
			_ = send(client.conn, &jute.ReplyHeader{Xid: jute.EventXid, Zxid: -1},
				&jute.WatcherEvent{Type: int32(e.Type), State: connectedState, Path: e.Path})
		}
	}
}

const connectedState = 3

// serve opens or continues a session and answers its requests.
func (s *Server) serve(conn net.Conn) {
	id, err := s.connect(conn)
	if err != nil {
		return
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if client := s.sessions[id]; client != nil && client.conn == conn {
			client.conn = nil
		}
	}()
	for {
		frame, err := readFrame(conn)
		if err != nil {
			return
		}
		if s.respond(conn, id, frame) != nil {
			return
		}
	}
}

func readFrame(conn net.Conn) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:])&(1<<24-1))
	_, err := io.ReadFull(conn, frame)
	return frame, err
}

var errEnd = errors.New("the connection ends")

func (s *Server) connect(conn net.Conn) (id int64, err error) {
	frame, err := readFrame(conn)
	if err != nil {
		return 0, err
	}
	var r jute.ConnectRequest
	if _, err := jute.Decode(frame, &r); err != nil {
		return 0, err
	}
	timeout := r.TimeOut
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return 0, errEnd
	}
	id = r.SessionID
	switch {
	case id == 0:
		id = s.tree.Open(now(), int64(timeout))
		s.sessions[id] = &session{}
	case s.tree.Heard(id, now()) != nil: // expired
		id, timeout = 0, 0
	}
	response := &jute.ConnectResponse{TimeOut: timeout, SessionID: id, Password: make([]byte, 16), Old: r.Old()}
	if err := send(conn, response); err != nil || id == 0 {
		return 0, errEnd
	}
	client := s.sessions[id]
	client.conn, client.since = conn, client.heard
	return id, nil
}
