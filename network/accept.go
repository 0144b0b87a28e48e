package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// listen opens the socket of a listener.
func (s *Server) listen(l *Listener) (net.Listener, error) {
	address := net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
	listen := l.Listen
	if listen == nil {
		listen = s.listenTCP
	}
	socket, err := listen(address)
	if err != nil {
		return nil, &BindError{Host: l.hostText(), Port: l.Port, Err: err}
	}
	return socket, nil
}

func (s *Server) listenTCP(address string) (net.Listener, error) {
	cfg := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		// Accepted connections inherit the receive buffer of the listening socket. It must be set
		// before the handshake, which announces its size.
		return setReceiveBuffer(raw, s.cfg.ReceiveBufferBytes)
	}}
	socket, err := cfg.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	if raw, ok := socket.(syscall.Conn); ok {
		if err := setBacklog(raw, s.cfg.Backlog); err != nil {
			socket.Close()
			return nil, err
		}
	}
	return socket, nil
}

// BindError is the error for a listener whose socket could not be opened. Its text is Kafka's.
type BindError struct {
	Host string
	Port int
	Err  error
}

func (e *BindError) Error() string {
	return fmt.Sprintf("Socket server failed to bind to %s:%d: %s.", e.Host, e.Port, e.reason())
}

// Unwrap returns the cause.
func (e *BindError) Unwrap() error { return e.Err }

// reason returns the text of the system error in Java's spelling.
func (e *BindError) reason() string {
	var dns *net.DNSError
	if errors.As(e.Err, &dns) {
		return "Unresolved address"
	}
	text := e.Err.Error()
	var errno syscall.Errno
	if errors.As(e.Err, &errno) {
		text = errno.Error()
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// acceptPause is the delay after a failed accept, for example when file descriptors have run out.
const acceptPause = 50 * time.Millisecond

// accept accepts connections until the listener is closed.
func (s *Server) accept(l *boundListener) {
	for {
		accepted, err := l.socket.Accept()
		if err != nil {
			if isClosed(err) || s.stopping.Load() {
				return
			}
			s.badFrames.errorf(s.log, "%sError while accepting connection on listener %s: %v", s.prefix, l.Name, err)
			s.pause(acceptPause)
			continue
		}
		s.admit(l, accepted)
	}
}

// pause waits for d or until the server stops.
func (s *Server) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopped:
	}
}

// admit starts the goroutine of a new connection if the limits allow the connection.
func (s *Server) admit(l *boundListener, accepted net.Conn) {
	host := hostOf(accepted.RemoteAddr())
	err := s.limits.admit(l, host, func() { s.evictIdle(l) })
	var tooMany *tooManyError
	switch {
	case errors.As(err, &tooMany):
		s.stats.refusedPerIP.Add(1)
		s.badFrames.infof(s.log, "%s", tooMany)
		accepted.Close()
		return
	case err != nil:
		accepted.Close()
		return
	}
	s.stats.accepted.Add(1)
	c := s.newConn(l, accepted, host)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.running.Go(c.serve)
	if s.stopping.Load() || s.limits.isRemoved(l) { // both may have visited the connections before this one was added
		c.cut()
	}
}

func (s *Server) newConn(l *boundListener, accepted net.Conn, host string) *conn {
	if tcp, ok := accepted.(*net.TCPConn); ok && s.cfg.SendBufferBytes > 0 {
		// If this fails, the buffer only has another size.
		_ = tcp.SetWriteBuffer(s.cfg.SendBufferBytes)
	}
	c := &conn{server: s, listener: l, accepted: accepted, net: accepted, host: host,
		done: make(chan struct{})}
	c.peer = &Peer{ID: connectionID(accepted.LocalAddr(), accepted.RemoteAddr(), s.nextID.Add(1)-1), Listener: l.Name,
		Addr: accepted.RemoteAddr(), Principal: "User:ANONYMOUS", Privileged: l.Privileged}
	c.in = frameReader{conn: accepted, limit: int(s.cfg.MaxRequestBytes), buffers: s.buffers, reserved: &s.reserved, progress: c.touch}
	c.answers.init(c)
	c.touch()
	return c
}

// forget removes a connection from the server and from the limits.
func (s *Server) forget(c *conn) {
	c.answers.drain()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.limits.release(c.listener, c.host)
}

// evictIdle closes the connection that has been inactive longest, among those of other listeners
// without a request in progress. It lets brokers reach each other although the connection limit is
// reached.
func (s *Server) evictIdle(l *boundListener) {
	var victim *conn
	s.each(func(c *conn) {
		if c.listener != l && c.idle() && (victim == nil || c.lastActive.Load() < victim.lastActive.Load()) {
			victim = c
		}
	})
	if victim != nil {
		s.stats.evicted.Add(1)
		victim.cut()
	}
}

// Bounds for the interval at which idle connections are looked for.
const (
	watchEveryAtMost  = 30 * time.Second
	watchEveryAtLeast = 100 * time.Millisecond
)

// watch closes idle connections and frees unused buffers.
func (s *Server) watch() {
	every := watchEveryAtMost
	if s.cfg.IdleTimeout > 0 {
		every = min(max(s.cfg.IdleTimeout/20, watchEveryAtLeast), every)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	trimmed := time.Now()
	for {
		select {
		case <-s.stopped:
			return
		case now := <-ticker.C:
			if s.cfg.IdleTimeout > 0 {
				s.closeIdle(now)
			}
			if now.Sub(trimmed) >= watchEveryAtMost {
				s.buffers.Trim()
				trimmed = now
			}
		}
	}
}

// closeIdle closes connections that have waited longer than the idle timeout for a frame, or for
// their peer to read a response. There is no limit for a request in a handler.
func (s *Server) closeIdle(now time.Time) {
	oldest := now.Add(-s.cfg.IdleTimeout).UnixNano()
	s.each(func(c *conn) {
		if c.lastActive.Load() < oldest && (c.idle() || c.writing.Load()) {
			s.stats.closedIdle.Add(1)
			if c.listener.ControlPlane {
				s.stats.closedIdleControlPlane.Add(1)
			}
			s.selectorLog.Debugf("%sAbout to close the idle connection from %s due to being idle for %d millis",
				s.prefix, c.peer.ID, now.Sub(time.Unix(0, c.lastActive.Load())).Milliseconds())
			c.cut()
		}
	})
}
