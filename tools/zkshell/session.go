package zkshell

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/monedula/monedula/zkserver/jute"
)

// state is the state of a session, as the prompt shows it.
type state string

const (
	connecting        state = "CONNECTING"
	connected         state = "CONNECTED"
	connectedReadOnly state = "CONNECTEDREADONLY"
	closed            state = "CLOSED"
	authRefused       state = "AUTH_FAILED"
)

// session is a session with ZooKeeper. When it loses its connection, it connects again, to the next
// server, until the session expires. One goroutine makes requests, one at a time. Another one, which
// runs connections, delivers responses and events in the order of the server, so an event is
// delivered before the response to any later request.
type session struct {
	target
	readOnly bool
	deliver  func(event)
	warn     func(format string, args ...any)
	begun    sync.Once
	quit     chan struct{} // closed when the session is to end
	ended    chan struct{} // closed when it has ended

	mu        sync.Mutex // guards the fields below; held while writing to the connection
	state     state
	conn      net.Conn // nil if there is no connection that has been accepted
	timeoutMs int32    // wanted, then as negotiated
	id        int64
	password  []byte
	lastZxid  int64 // the last change that a response reported
	lastXid   int32
	current   *call // nil: none
	auths     []jute.AuthPacket
	watches   watches
	closing   bool // the server is asked to end the session
	abandoned bool // the program ends
}

// call is a request that waits for its response.
type call struct {
	xid      int32
	frame    []byte
	response jute.Record
	then     func(code) // called with the response, before later events are delivered; may be nil
	done     chan error
}

// newSession returns a session, which connects when it begins or gets a request. deliver is called with
// each event; it must not use the session.
func newSession(to target, timeoutMs int32, readOnly bool, deliver func(event), warn func(format string, args ...any)) *session {
	return &session{target: to, readOnly: readOnly, deliver: deliver, warn: warn, quit: make(chan struct{}), ended: make(chan struct{}),
		state: connecting, timeoutMs: timeoutMs, password: make([]byte, 16)}
}

// begin starts to connect, if the session has not done so yet.
func (s *session) begin() { s.begun.Do(func() { go s.run() }) }

// State returns the state.
func (s *session) State() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// alive reports whether the session may still answer requests.
func (s *session) alive() bool {
	now := s.State()
	return now != closed && now != authRefused
}

// do makes a request about a path and waits for the response. The error is a failure. then may be
// nil; see call.
func (s *session) do(op jute.Op, path string, request, response jute.Record, then func(code)) error {
	s.begin()
	c := &call{response: response, then: then, done: make(chan error, 1)}
	s.mu.Lock()
	switch s.state {
	case closed:
		s.mu.Unlock()
		return failure{sessionExpired, path}
	case authRefused:
		s.mu.Unlock()
		return failure{authFailed, path}
	}
	s.lastXid++
	c.xid = s.lastXid
	c.frame = jute.Frame(&jute.RequestHeader{Xid: c.xid, Type: op}, request)
	s.current = c
	s.write(c.frame)
	s.mu.Unlock()
	err := <-c.done
	if f, is := err.(failure); is {
		f.path = path
		return f
	}
	return err
}

// addAuth gives the session another identity, also on later connections. If there is a connection, it
// waits until the server has answered or the connection is lost.
func (s *session) addAuth(scheme string, auth []byte) {
	packet := jute.AuthPacket{Scheme: scheme, Auth: auth}
	c := &call{xid: jute.AuthXid, frame: jute.Frame(&jute.RequestHeader{Xid: jute.AuthXid, Type: jute.OpAuth}, &packet), done: make(chan error, 1)}
	s.mu.Lock()
	s.auths = append(s.auths, packet)
	if s.conn == nil {
		s.mu.Unlock()
		return
	}
	s.current = c
	s.write(c.frame)
	s.mu.Unlock()
	<-c.done
}

// watch notes a watch that the server has set. The function of a call calls it.
func (s *session) watch(kind watchKind, path string) { s.watchOnServer(kind, s.chroot.to(path)) }

// watchOnServer is like watch with a path of the server, which does not depend on the chroot.
func (s *session) watchOnServer(kind watchKind, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches.add(kind, path)
}

// watched reports whether a path has a watch of one of the kinds.
func (s *session) watched(kinds []watchKind, path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(kinds, func(kind watchKind) bool { return s.watches[kind][s.chroot.to(path)] })
}

// unwatch removes the watches of the kinds and delivers an event for each kind that existed. The
// function of a call calls it.
func (s *session) unwatch(kinds []watchKind, path string) {
	var events []string
	s.mu.Lock()
	now := "SyncConnected"
	if s.conn == nil {
		now = "Disconnected"
	}
	for _, kind := range kinds {
		if s.watches.remove(kind, s.chroot.to(path)) && !slices.Contains(events, removed[kind]) {
			events = append(events, removed[kind])
		}
	}
	s.mu.Unlock()
	for _, kind := range events {
		s.deliver(event{state: now, kind: kind, path: path})
	}
}

// close ends the session. It waits until the server has done so, or the connection is lost.
func (s *session) close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	_ = s.do(jute.OpCloseSession, "", &nothing{}, nil, nil)
	s.end()
}

// abandon ends the connection without an event and leaves the session to its timeout.
func (s *session) abandon() {
	s.mu.Lock()
	s.abandoned = true
	s.mu.Unlock()
	s.end()
}

// end ends the connection and waits until the goroutine that runs it has ended.
func (s *session) end() {
	s.begun.Do(func() { close(s.ended) })
	s.mu.Lock()
	if s.conn != nil {
		_ = s.conn.Close()
	}
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
	s.mu.Unlock()
	<-s.ended
}

// write sends a frame if there is a connection. The goroutine that reads notices an error. The caller
// must hold mu.
func (s *session) write(frame []byte) {
	if s.conn == nil {
		return
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(time.Duration(s.timeoutMs) * time.Millisecond))
	if _, err := s.conn.Write(frame); err != nil {
		_ = s.conn.Close()
	}
}

// The reasons why a session ends.
var (
	errExpired    = errors.New("the session has expired")
	errAuthFailed = errors.New("the server refused the authentication")
)

const retryPause = 200 * time.Millisecond // between connections

// run makes connections until the session ends.
func (s *session) run() {
	defer close(s.ended)
	for i := 0; ; i++ {
		server := s.servers[i%len(s.servers)]
		err := s.connection(server)
		if s.lost(server, err) {
			return
		}
		select {
		case <-s.quit:
			s.lost(server, nil)
			return
		case <-time.After(retryPause):
		}
	}
}

// lost handles the end of a connection, or a failed attempt to connect. It reports whether the
// session has ended.
func (s *session) lost(server string, err error) (ended bool) {
	s.mu.Lock()
	id, waiting := s.id, s.current
	if s.conn != nil {
		_ = s.conn.Close()
	}
	s.conn, s.current = nil, nil
	reason := connectionLoss
	happened, news := event{state: "Disconnected", kind: "None"}, s.state != connecting
	switch {
	case s.abandoned:
		s.state, news, ended = closed, false, true
	case s.closing:
		s.state, happened.state, news, ended = closed, "Closed", true, true
	case errors.Is(err, errExpired):
		s.state, happened.state, news, reason, ended = closed, "Expired", true, sessionExpired, true
	case errors.Is(err, errAuthFailed):
		s.state, happened.state, news, reason, ended = authRefused, "AuthFailed", true, authFailed, true
	default:
		s.state = connecting
	}
	warn := !s.closing && !s.abandoned
	s.mu.Unlock()
	if warn {
		s.warn("Session 0x%x for server %s: %v", uint64(id), server, err)
	}
	if news {
		s.deliver(happened)
	}
	if waiting != nil {
		waiting.finish(failure{code: reason})
	}
	return ended
}

func (c *call) finish(err error) {
	if c.then != nil {
		c.then(codeOf(err))
	}
	c.done <- err
}

// nothing is a record without fields.
type nothing struct{}

// Fields implements jute.Record.
func (*nothing) Fields(*jute.Codec) {}

// target is what a connect string names.
type target struct {
	servers []string // host:port, in the order in which they are tried
	chroot  chroot
}

// parseTarget parses host:port,host:port/chroot.
func parseTarget(text string) (target, error) {
	var t target
	hosts := text
	if at := strings.IndexByte(text, '/'); at >= 0 {
		hosts = text[:at]
		if root := text[at:]; root != "/" {
			if reason := invalidPath(root); reason != "" {
				return t, errors.New(reason)
			}
			t.chroot = chroot(root)
		}
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host = strings.TrimSpace(host); host == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), "2181")
		}
		t.servers = append(t.servers, host)
	}
	if len(t.servers) == 0 {
		return t, errors.New("A HostProvider may not be empty!")
	}
	return t, nil
}

// chroot is the path of the node that a client sees as the root, or empty.
type chroot string

// to returns the path on the server.
func (r chroot) to(path string) string {
	if r != "" && path == "/" {
		return string(r)
	}
	return string(r) + path
}

// from returns the path that the client sees.
func (r chroot) from(path string) string {
	rest, below := strings.CutPrefix(path, string(r))
	switch {
	case !below:
		return path
	case rest == "":
		return "/"
	}
	return rest
}

// invalidPath returns why a path is invalid, or an empty text.
func invalidPath(path string) string {
	switch {
	case path == "":
		return "Path length must be > 0"
	case path[0] != '/':
		return "Path must start with / character"
	case path == "/":
		return ""
	case strings.HasSuffix(path, "/"):
		return "Path must not end with / character"
	}
	at := 0 // in UTF-16 code units
	last := ' '
	name := ""
	for _, r := range path + "/" {
		reason := ""
		switch {
		case r == 0:
			reason = "null character not allowed @%d"
		case r == '/' && last == '/':
			reason = "empty node name specified @%d"
		case r == '/' && (name == "." || name == ".."):
			return fmt.Sprintf("Invalid path string %q caused by relative paths not allowed @%d", path, at-1)
		case r > 0 && r <= 0x1f || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0 && r <= 0xffff:
			reason = "invalid character @%d"
		}
		if reason != "" {
			return "Invalid path string \"" + path + "\" caused by " + fmt.Sprintf(reason, at)
		}
		if name += string(r); r == '/' {
			name = ""
		}
		if at++; r > 0xffff {
			at++
		}
		last = r
	}
	return ""
}
