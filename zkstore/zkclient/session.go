package zkclient

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/sirupsen/logrus"
)

// packetMax is the size of the largest packet that the client sends, in bytes; Kafka raises
// jute.maxbuffer of the client to 4 MiB. answerMax is the size of the largest packet that it
// accepts. Kafka has the same limit in both directions and therefore cannot list about ten thousand
// topics with long names.
const (
	packetMax = 4 << 20
	answerMax = 64 << 20
)

// session is one ZooKeeper session with its connection object, which is never used for a second
// session: once the server has reported the expiry, the session is over and its dialer refuses to
// connect.
type session struct {
	conn Conn
	dead chan struct{} // closed when the session is over, by expiry or by close

	mu        sync.Mutex    // guards the fields up to id
	over      bool          // dead is closed
	state     zk.State      // as last reported by the client library
	connected chan struct{} // closed while the session is connected
	id        int64         // 0 before the first connection

	watches  watchTable
	lastDial time.Time // only used by the client library's dialling goroutine
}

// dialSession starts connecting to the servers; awaitConnected waits for the connection. onEvent is
// called in the client library's goroutines and must not block.
func dialSession(servers []string, timeout time.Duration, log *logrus.Entry, onEvent func(*session, zk.Event)) (*session, error) {
	s := &session{dead: make(chan struct{}), state: zk.StateConnecting, connected: make(chan struct{})}
	dialer := func(network, address string, _ time.Duration) (net.Conn, error) {
		return s.dial(network, address, timeout, len(servers))
	}
	// The callback may run before Connect has returned the connection object.
	ready := make(chan struct{})
	conn, _, err := zk.Connect(servers, timeout,
		zk.WithDialer(dialer),
		zk.WithHostProvider(&hosts{over: s.isOver}),
		zk.WithLogger(warnLogger{log}),
		zk.WithLogInfo(false),
		zk.WithMaxBufferSize(answerMax),
		zk.WithMaxConnBufferSize(packetMax+64<<10),
		zk.WithEventCallback(func(e zk.Event) {
			<-ready
			s.observe(e)
			onEvent(s, e)
		}),
	)
	s.conn = conn
	close(ready)
	if err != nil {
		return nil, fmt.Errorf("zkstore: connect to %s: %w", strings.Join(servers, ","), err)
	}
	return s, nil
}

// observe updates the session's state for an event of the client library.
func (s *session) observe(e zk.Event) {
	if e.Type != zk.EventSession {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = e.State
	switch e.State {
	case zk.StateHasSession:
		s.id = s.conn.SessionID()
		s.setConnectedLocked(true)
	case zk.StateDisconnected, zk.StateConnecting:
		s.setConnectedLocked(false)
	case zk.StateExpired:
		s.endLocked()
	}
}

func (s *session) setConnectedLocked(connected bool) {
	open := false
	select {
	case <-s.connected:
		open = true
	default:
	}
	if connected && !open {
		close(s.connected)
	} else if !connected && open {
		s.connected = make(chan struct{})
	}
}

func (s *session) endLocked() {
	if !s.over {
		s.over = true
		close(s.dead)
	}
}

// close ends the session. If the server can be reached, it deletes the session's ephemeral nodes at
// once.
func (s *session) close() {
	s.mu.Lock()
	s.endLocked()
	s.mu.Unlock()
	s.conn.Close()
}

// abandon is like close, for a session that the server has ended. It does not wait, because the
// server need not be notified.
func (s *session) abandon() {
	s.mu.Lock()
	s.endLocked()
	s.mu.Unlock()
	go s.conn.Close()
}

func (s *session) isOver() bool {
	select {
	case <-s.dead:
		return true
	default:
		return false
	}
}

func (s *session) sessionID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// awaitConnected waits until the session is connected. It returns ErrSessionExpired if the session
// is over.
func (s *session) awaitConnected(ctx context.Context) error {
	s.mu.Lock()
	connected := s.connected
	s.mu.Unlock()
	select {
	case <-connected:
		return nil
	case <-s.dead:
		return ErrSessionExpired
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stateName returns the state as named by ZooKeeper's Java client.
func (s *session) stateName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case zk.StateHasSession:
		return "CONNECTED"
	case zk.StateAuthFailed:
		return "AUTH_FAILED"
	case zk.StateExpired:
		return "CLOSED"
	default:
		return "CONNECTING"
	}
}

// redialPause is the minimum time between two connection attempts, because a server may close
// connections as soon as they are open.
const redialPause = 100 * time.Millisecond

// dial opens a connection unless the session is over. It resolves host names each time.
func (s *session) dial(network, address string, sessionTimeout time.Duration, servers int) (net.Conn, error) {
	if wait := redialPause - time.Since(s.lastDial); wait > 0 {
		select {
		case <-time.After(wait):
		case <-s.dead:
		}
	}
	s.lastDial = time.Now()
	if s.isOver() {
		return nil, ErrSessionExpired
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(sessionTimeout/time.Duration(servers), time.Second))
	defer cancel()
	go func() {
		select {
		case <-s.dead:
			cancel()
		case <-ctx.Done():
		}
	}()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, longest: max(sessionTimeout*2/3, 100*time.Millisecond)}, nil
}

// quickRounds is the number of failed rounds over all servers after which the next round begins
// after redialPause, because a server that has just been started will serve soon. After that, the
// client library pauses for a second after each round.
const quickRounds = 10

// hosts returns the servers in turn, without resolving their names. Once the session is over, it
// makes the client library pause instead of connecting, until the connection is closed.
type hosts struct {
	over func() bool // reports whether the session is over

	mu       sync.Mutex // guards the fields below
	servers  []string   // already shuffled by the client library
	next     int
	failures int // dials since the last success
}

func (h *hosts) Init(servers []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers = servers
	return nil
}

func (h *hosts) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.servers)
}

func (h *hosts) Next() (server string, pause bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	server = h.servers[h.next]
	h.next = (h.next + 1) % len(h.servers)
	pause = h.over() || h.failures >= quickRounds*len(h.servers) && h.failures%len(h.servers) == 0
	h.failures++
	return server, pause
}

func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = 0
}

// warnLogger logs the client library's messages about failures.
type warnLogger struct{ log *logrus.Entry }

func (l warnLogger) Printf(format string, args ...any) {
	if format == handshakeFailed && len(args) == 1 && args[0] != zk.ErrSessionExpired {
		l.log.Infof("The server closed the connection before it opened a session (%v); it may be starting. Trying again", args[0])
		return
	}
	l.log.Warnf(strings.TrimSpace(format), args...)
}

// handshakeFailed is the client library's message for each connection that did not get a session.
// It has nothing to do with credentials.
const handshakeFailed = "authentication failed: %s"

// splitConnect splits zookeeper.connect into servers with ports and the chroot, "" if there is
// none.
func splitConnect(connect string) (servers []string, chroot string, err error) {
	list := connect
	if i := strings.IndexByte(connect, '/'); i >= 0 {
		list, chroot = connect[:i], strings.TrimRight(connect[i:], "/")
	}
	for _, server := range strings.Split(list, ",") {
		server = strings.TrimSpace(server)
		if server == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(strings.Trim(server, "[]"), "2181")
		}
		servers = append(servers, server)
	}
	if len(servers) == 0 {
		return nil, "", fmt.Errorf("zkstore: zookeeper.connect %q has no server; use the form host:port[,host:port...][/chroot]", connect)
	}
	if strings.Contains(chroot, "//") {
		return nil, "", fmt.Errorf("zkstore: zookeeper.connect %q: the chroot %q has an empty part", connect, chroot)
	}
	return servers, chroot, nil
}

func joinConnect(servers []string, chroot string) string {
	return strings.Join(servers, ",") + chroot
}
