package network

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
)

// Server accepts connections on its listeners and lets a Handler serve their requests. Call Bind,
// Start, StopProcessing and Shutdown in this order.
//
// Goroutines: one accepts connections on each listener, one closes idle connections, and one serves
// each connection (two while a Deferred response is not complete). Locks: mu, limits.mu and the
// connections' answers.mu are never held together, except that mu may be locked while limits.mu is
// held.
type Server struct {
	cfg       Config
	limits    *limits
	buffers   *Buffers
	reserved  reservations
	stats     counters
	badFrames quietLog
	observe   func(*Request, Timing)
	handler   Handler

	prefix       string // prefix of log lines
	log          *logrus.Entry
	selectorLog  *logrus.Entry
	processorLog *logrus.Entry

	stopping atomic.Bool
	stopped  chan struct{}
	running  sync.WaitGroup // connections, accepting goroutines and watch
	nextID   atomic.Int64

	mu        sync.Mutex
	listeners []*boundListener   // guarded by mu
	conns     map[*conn]struct{} // guarded by mu
}

// counters are the running values of Stats.
type counters struct {
	accepted, refusedPerIP, closedIdle, evicted, badFrames, panics, requests       atomic.Int64
	bytesIn, bytesOut, sendfileRuns, sendfileCalls, copiedFileBytes, shortFileRuns atomic.Int64
	closedIdleControlPlane, responses                                              atomic.Int64
}

// boundListener is a Listener with its socket.
type boundListener struct {
	Listener
	socket  net.Listener
	removed bool // guarded by limits.mu, as is Listener.MaxConnections
}

// hostText returns the host as Kafka's log lines show it.
func (l *Listener) hostText() string {
	if l.Host == "" {
		return "0.0.0.0"
	}
	return l.Host
}

// NewServer checks cfg and returns a server that has not opened any sockets.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = kafkalog.Discard()
	}
	if cfg.MaxRequestBytes <= 0 {
		cfg.MaxRequestBytes = DefaultMaxRequestBytes
	}
	if cfg.Buffers == nil {
		cfg.Buffers = NewBuffers(DefaultBufferLimit)
	}
	limits, err := newLimits(&cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, limits: limits, buffers: cfg.Buffers, observe: cfg.Observe,
		prefix:       fmt.Sprintf("[SocketServer listenerType=ZK_BROKER, nodeId=%d] ", cfg.NodeID),
		log:          kafkalog.For(cfg.Log, "kafka.network.SocketServer"),
		selectorLog:  kafkalog.For(cfg.Log, "org.apache.kafka.common.network.Selector"),
		processorLog: kafkalog.For(cfg.Log, "kafka.network.Processor"),
		stopped:      make(chan struct{}), conns: map[*conn]struct{}{}}
	for _, l := range cfg.Listeners {
		s.listeners = append(s.listeners, &boundListener{Listener: l})
	}
	return s, nil
}

// Bind opens the sockets of all listeners, so that the start fails early if a port is in use. Peers
// can connect, but the server reads nothing before Start. After an error no socket is open.
func (s *Server) Bind() error {
	kafkalog.For(s.cfg.Log, "kafka.network.ConnectionQuotas").
		Infof("Updated connection-accept-rate max connection creation rate to %d", math.MaxInt32)
	for _, l := range s.allListeners() {
		if err := s.bind(l); err != nil {
			s.closeSockets()
			return err
		}
	}
	return nil
}

func (s *Server) bind(l *boundListener) error {
	socket, err := s.listen(&l.Listener)
	if err != nil {
		return err
	}
	s.mu.Lock()
	l.socket = socket
	s.mu.Unlock()
	if l.ControlPlane {
		s.log.Infof("%sCreated control-plane acceptor and processor for endpoint : ListenerName(%s)", s.prefix, l.Name)
	} else {
		s.log.Infof("%sCreated data-plane acceptor and processors for endpoint : ListenerName(%s)", s.prefix, l.Name)
	}
	return nil
}

func (s *Server) allListeners() []*boundListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.listeners)
}

func (s *Server) closeSockets() {
	for _, l := range s.allListeners() {
		if l.socket != nil {
			l.socket.Close()
		}
	}
}

// listener returns the bound listener with the name, or nil.
func (s *Server) listener(name string) *boundListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if l.Name == name && l.socket != nil {
			return l
		}
	}
	return nil
}

// Addr returns the address to which the listener is bound, or nil before Bind and for an unknown
// name.
func (s *Server) Addr(listener string) net.Addr {
	if l := s.listener(listener); l != nil {
		return l.socket.Addr()
	}
	return nil
}

// Port returns the TCP port to which the listener is bound, or 0 if it is not bound.
func (s *Server) Port(listener string) int {
	tcp, ok := s.Addr(listener).(*net.TCPAddr)
	if !ok {
		return 0
	}
	return tcp.Port
}

// Start starts accepting connections and serving requests.
func (s *Server) Start(h Handler) {
	s.handler = h
	s.log.Infof("%sEnabling request processing.", s.prefix)
	for _, l := range s.allListeners() {
		s.open(l)
	}
	s.running.Go(s.watch)
}

func (s *Server) open(l *boundListener) {
	acceptor := "kafka.network.DataPlaneAcceptor"
	if l.ControlPlane {
		acceptor = "kafka.network.ControlPlaneAcceptor"
	}
	kafkalog.For(s.cfg.Log, acceptor).Infof("Awaiting socket connections on %s.", net.JoinHostPort(l.hostText(), strconv.Itoa(s.Port(l.Name))))
	s.running.Go(func() { s.accept(l) })
}

// AddListener opens another listener after Start. It returns the error of the socket, or
// net.ErrClosed if the server stops.
func (s *Server) AddListener(l Listener) error {
	if s.stopping.Load() {
		return net.ErrClosed
	}
	s.log.Infof("%sAdding data-plane listeners for endpoints List(%s)", s.prefix, l.Name)
	b := &boundListener{Listener: l}
	if err := s.bind(b); err != nil {
		return err
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, b)
	s.mu.Unlock()
	s.limits.add()
	s.open(b)
	if s.stopping.Load() { // it may have closed the sockets before this one was added
		b.socket.Close()
	}
	return nil
}

// RemoveListener closes a listener and its connections.
func (s *Server) RemoveListener(name string) {
	b := s.listener(name)
	if b == nil {
		return
	}
	s.log.Infof("%sRemoving data-plane listeners for endpoints List(%s)", s.prefix, name)
	s.mu.Lock()
	s.listeners = slices.DeleteFunc(s.listeners, func(o *boundListener) bool { return o == b })
	s.mu.Unlock()
	b.socket.Close()
	s.limits.remove(b)
	s.each(func(c *conn) {
		if c.listener == b {
			c.stop()
			c.cut()
		}
	})
}

// StopProcessing closes the listeners and all idle connections, and closes Request.Done of the
// other connections. These may respond until ctx ends and are then closed. If handlers do not
// return even then, it returns an error. Further calls do nothing.
func (s *Server) StopProcessing(ctx context.Context) error {
	if s.stopping.Swap(true) {
		return nil
	}
	s.log.Infof("%sStopping socket server request processors", s.prefix)
	close(s.stopped)
	s.limits.stop()
	s.closeSockets()
	s.each(func(c *conn) {
		c.stop()
		if c.idle() {
			c.cut()
		}
	})
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	if !s.awaitAnswers(ctx, ended) {
		s.each((*conn).cut)
		if err := waitAWhile(ended); err != nil {
			return fmt.Errorf("stopping the socket server: %d connections still have a request in a handler: %w", s.openConnections(), err)
		}
	}
	s.log.Infof("%sStopped socket server request processors", s.prefix)
	return nil
}

// stalledAfter is how long, during the stop, a peer may read nothing of its response.
const stalledAfter = time.Second

// awaitAnswers waits until all connections have ended and reports whether they did before ctx
// ended. It closes connections whose peer does not read its response.
func (s *Server) awaitAnswers(ctx context.Context, ended <-chan struct{}) bool {
	look := time.NewTicker(stalledAfter / 4)
	defer look.Stop()
	for {
		select {
		case <-ended:
			return true
		case <-ctx.Done():
			return false
		case now := <-look.C:
			oldest := now.Add(-stalledAfter).UnixNano()
			s.each(func(c *conn) {
				if c.writing.Load() && c.lastActive.Load() <= oldest {
					c.cut()
				}
			})
		}
	}
}

// cutGrace is how long handlers have to return after their connections were closed.
const cutGrace = time.Second

func waitAWhile(ended <-chan struct{}) error {
	timer := time.NewTimer(cutGrace)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return context.DeadlineExceeded
	}
}

// Shutdown calls StopProcessing, which does nothing if it has been called before, and writes
// Kafka's last log lines.
func (s *Server) Shutdown(ctx context.Context) error {
	s.log.Infof("%sShutting down socket server", s.prefix)
	err := s.StopProcessing(ctx)
	s.log.Infof("%sShutdown completed", s.prefix)
	return err
}

// each calls f for every connection without holding a lock.
func (s *Server) each(f func(*conn)) {
	s.mu.Lock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}

func (s *Server) openConnections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Stats returns the current counters.
func (s *Server) Stats() Stats {
	n := &s.stats
	return Stats{Connections: int64(s.openConnections()), Accepted: n.accepted.Load(), RefusedPerIP: n.refusedPerIP.Load(),
		ClosedIdle: n.closedIdle.Load(), ClosedIdleControlPlane: n.closedIdleControlPlane.Load(), Responses: n.responses.Load(), Evicted: n.evicted.Load(), BadFrames: n.badFrames.Load(),
		Panics: n.panics.Load(), Requests: n.requests.Load(), BytesIn: n.bytesIn.Load(), BytesOut: n.bytesOut.Load(),
		SendfileRuns: n.sendfileRuns.Load(), SendfileCalls: n.sendfileCalls.Load(),
		CopiedFileBytes: n.copiedFileBytes.Load(), ShortFileRuns: n.shortFileRuns.Load()}
}

// ConnectionCounts returns the number of open connections by listener name.
func (s *Server) ConnectionCounts() map[string]int { return s.limits.counts() }

// hostOf returns an address without its port.
func hostOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// isClosed reports whether err comes from a closed listener.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
