// Package zkstore is the only room that knows ZooKeeper: the session and its
// loss, every znode's path and JSON, watches, and writes fenced by the
// controller epoch.
//
// Files: session.go is one session and its connection, store.go the succession
// of sessions, operations.go the retried single operations, fenced.go writes
// guarded by the controller epoch, watch.go the handlers; paths.go and json.go
// are the layout, pure; driven.go is a store without goroutines, for simulations;
// the others are the operations by subject.
package zkstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/sirupsen/logrus"
)

// Config says how to reach the ensemble.
type Config struct {
	Connect           string        // h1:p1,h2:p2/chroot, as zookeeper.connect
	SessionTimeout    time.Duration // zookeeper.session.timeout.ms, 0: 18 s
	ConnectionTimeout time.Duration // zookeeper.connection.timeout.ms, 0: SessionTimeout
	MaxInFlight       int           // zookeeper.max.in.flight.requests, 0: 10
	SecureACL         bool          // zookeeper.set.acl
	CreateChroot      bool          // brokers do, tools do not
	Name              string        // in log lines, "Kafka server" where empty
	Logger            *logrus.Logger
	Observer          Observer         // nil: nobody measures
	Now               func() time.Time // the clock of timestamps in nodes, time.Now where nil
}

// Observer is told what Kafka has meters for (SessionExpireListener and
// ZooKeeperClientMetrics). Its methods must not block.
type Observer interface {
	// ZooKeeperEvent is a change of the connection, in Kafka's words:
	// SyncConnected, Disconnected, Expired, AuthFailed.
	ZooKeeperEvent(name string)
	// ZooKeeperRequest is how long an answered request took.
	ZooKeeperRequest(latency time.Duration)
}

type unobserved struct{}

func (unobserved) ZooKeeperEvent(string)          {}
func (unobserved) ZooKeeperRequest(time.Duration) {}

// Store is one client of the ensemble over successive sessions. Operations
// retry connection loss until the session is lost; they never run under a new
// session if they were meant for an old one (see BindSession).
//
// Goroutines: one for the succession of sessions (run), one that calls watch
// handlers (events.run), and those of the client library.
type Store struct {
	cfg      Config
	servers  []string
	chroot   string
	log      *logrus.Entry // kafka.zookeeper.ZooKeeperClient
	kafkaLog *logrus.Entry // kafka.zk.KafkaZkClient
	inFlight chan struct{} // one token per outstanding request
	driven   bool          // requests run in the caller's goroutine; see Driven
	events   *eventQueue
	done     chan struct{} // closed when Close begins
	once     sync.Once
	wg       sync.WaitGroup // run and events.run

	mu           sync.Mutex    // guards what follows; nothing is called with it held
	current      *session      // nil between two sessions
	changed      chan struct{} // closed and replaced when current is set
	callingAfter bool          // run is in the After hooks, so it cannot open another session
	listeners    []SessionListener
	registered   int64 // the session under which this store registered its broker
	handlers     handlers
}

// SessionListener is told of session loss. Before runs when the session has
// expired, before a new one is opened, After once it is open; both in the
// store's session goroutine, outside all locks, in the order of AddSessionListener.
// Either may be nil. No operation of the store may be awaited in Before; in
// After operations fail with ErrSessionExpired if that session is lost too,
// and both hooks are called again.
type SessionListener struct {
	Before func()
	After  func()
}

// Open connects within ConnectionTimeout, creates the chroot if asked, and
// returns the store; the error text is Kafka's "Timed out waiting for
// connection while in state: CONNECTING".
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg.setDefaults()
	servers, chroot, err := splitConnect(cfg.Connect)
	if err != nil {
		return nil, err
	}
	s := newStore(cfg, servers, chroot)
	if chroot != "" && cfg.CreateChroot {
		if err := s.createChroot(ctx); err != nil {
			return nil, err
		}
	}
	sess, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	s.publish(sess)
	s.wg.Go(s.run)
	s.wg.Go(s.events.run)
	return s, nil
}

func (cfg *Config) setDefaults() {
	if cfg.SessionTimeout <= 0 {
		cfg.SessionTimeout = 18 * time.Second
	}
	if cfg.ConnectionTimeout <= 0 {
		cfg.ConnectionTimeout = cfg.SessionTimeout
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = 10
	}
	if cfg.Name == "" {
		cfg.Name = "Kafka server"
	}
	if cfg.Observer == nil {
		cfg.Observer = unobserved{}
	}
	if cfg.Logger == nil {
		cfg.Logger = kafkalog.Discard()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
}

func newStore(cfg Config, servers []string, chroot string) *Store {
	return &Store{
		cfg:      cfg,
		servers:  servers,
		chroot:   chroot,
		log:      kafkalog.For(cfg.Logger, "kafka.zookeeper.ZooKeeperClient"),
		kafkaLog: kafkalog.For(cfg.Logger, "kafka.zk.KafkaZkClient"),
		inFlight: make(chan struct{}, cfg.MaxInFlight),
		events:   newEventQueue(),
		done:     make(chan struct{}),
		changed:  make(chan struct{}),
		handlers: handlers{node: map[string]NodeWatch{}, children: map[string]func(){}},
	}
}

// createChroot makes sure of the chroot in a session of its own. Permission to
// create is only needed where it does not exist.
func (s *Store) createChroot(ctx context.Context) error {
	root := newStore(s.cfg, s.servers, "")
	sess, err := root.connect(ctx)
	if err != nil {
		return err
	}
	root.publish(sess)
	defer root.Close()
	exists, err := root.exists(ctx, s.chroot)
	if err != nil || exists {
		return err
	}
	if err := root.ensurePath(ctx, s.chroot); err != nil {
		return fmt.Errorf("create the chroot of zookeeper.connect: %w", err)
	}
	return nil
}

// connect opens a first session within ConnectionTimeout.
func (s *Store) connect(ctx context.Context) (*session, error) {
	sess, err := s.dial()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.ConnectionTimeout, errConnectionTimeout)
	defer cancel()
	s.say("Waiting until connected.")
	if err := sess.awaitConnected(ctx); err != nil {
		state := sess.stateName()
		sess.close()
		if context.Cause(ctx) == errConnectionTimeout {
			return nil, &ConnectionTimeoutError{State: state, Connect: s.cfg.Connect, After: s.cfg.ConnectionTimeout}
		}
		return nil, err
	}
	s.say("Connected.")
	return sess, nil
}

func (s *Store) dial() (*session, error) {
	s.say(fmt.Sprintf("Initializing a new session to %s.", joinConnect(s.servers, s.chroot)))
	return dialSession(s.servers, s.cfg.SessionTimeout, kafkalog.For(s.cfg.Logger, "org.apache.zookeeper.ClientCnxn"), s.onEvent)
}

func (s *Store) say(text string) { s.log.Infof("[ZooKeeperClient %s] %s", s.cfg.Name, text) }

// Close ends the session, which drops the ephemeral nodes at once. It waits for
// handlers and listeners that run, so none of them may call it.
func (s *Store) Close() {
	s.once.Do(func() {
		s.say("Closing.")
		close(s.done)
		s.mu.Lock()
		sess := s.current
		s.mu.Unlock()
		if sess != nil {
			sess.close()
		}
		s.events.close()
		s.wg.Wait()
		s.say("Closed.")
	})
}

// run follows the sessions: when one is over it runs the Before hooks, opens
// the next, and runs the After hooks.
func (s *Store) run() {
	for {
		s.mu.Lock()
		sess := s.current
		s.mu.Unlock()
		select {
		case <-sess.dead:
		case <-s.done:
			sess.close()
			return
		}
		if s.closing() {
			return
		}
		s.say("Session expired.")
		s.unpublish()
		sess.abandon()
		for _, l := range s.sessionListeners() {
			if l.Before != nil {
				l.Before()
			}
		}
		next := s.reconnect()
		if next == nil {
			return
		}
		s.publish(next)
		s.callAfter()
		s.fireAll()
	}
}

// callAfter runs the After hooks. If the new session is lost meanwhile their
// operations fail: the next session is only opened when they have returned.
func (s *Store) callAfter() {
	s.setCallingAfter(true)
	defer s.setCallingAfter(false)
	for _, l := range s.sessionListeners() {
		if l.After != nil {
			l.After()
		}
	}
}

func (s *Store) setCallingAfter(calling bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callingAfter = calling
}

// reconnect opens the next session, trying for ever; nil when the store is
// closed meanwhile.
func (s *Store) reconnect() *session {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-stop:
		}
	}()
	for {
		sess, err := s.dial()
		if err == nil {
			if err = sess.awaitConnected(ctx); err == nil {
				s.say("Connected.")
				return sess
			}
			sess.close()
		}
		if s.closing() {
			return nil
		}
		s.log.WithError(err).Infof("[ZooKeeperClient %s] Error when recreating ZooKeeper, retrying after a short sleep", s.cfg.Name)
		select {
		case <-time.After(time.Second):
		case <-s.done:
			return nil
		}
	}
}

func (s *Store) closing() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *Store) publish(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = sess
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Store) unpublish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
}

func (s *Store) sessionListeners() []SessionListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]SessionListener(nil), s.listeners...)
}

// AddSessionListener registers l for all later session losses.
func (s *Store) AddSessionListener(l SessionListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, l)
}

// State is the connection's state in the words of ZooKeeper's Java client:
// CONNECTED, CONNECTING, CLOSED, ... (Kafka's SessionState metric).
func (s *Store) State() string {
	s.mu.Lock()
	sess := s.current
	s.mu.Unlock()
	switch {
	case s.closing():
		return "CLOSED"
	case sess == nil:
		return "CONNECTING"
	}
	return sess.stateName()
}

// SessionID returns the id of the open session, 0 while there is none.
func (s *Store) SessionID() int64 {
	s.mu.Lock()
	sess := s.current
	s.mu.Unlock()
	if sess == nil {
		return 0
	}
	return sess.sessionID()
}

type sessionKey struct{}

// BindSession returns a context whose operations belong to the session that is
// open now: once that has expired they answer ErrSessionExpired, also after a
// new session is open. Operations with an unbound context belong to the
// session open when they start, and wait for one while there is none.
func (s *Store) BindSession(ctx context.Context) context.Context {
	s.mu.Lock()
	sess := s.current
	s.mu.Unlock()
	return context.WithValue(ctx, sessionKey{}, sess)
}

// bind fixes the session of a compound operation, so that all its parts run
// under one.
func (s *Store) bind(ctx context.Context) (context.Context, *session, error) {
	sess, err := s.session(ctx)
	if err != nil {
		return nil, nil, err
	}
	return context.WithValue(ctx, sessionKey{}, sess), sess, nil
}

// session returns the session an operation belongs to.
func (s *Store) session(ctx context.Context) (*session, error) {
	if bound, ok := ctx.Value(sessionKey{}).(*session); ok {
		if s.closing() {
			return nil, ErrClosed
		}
		if bound == nil || bound.isOver() {
			return nil, ErrSessionExpired
		}
		return bound, nil
	}
	for {
		s.mu.Lock()
		sess, changed, stuck := s.current, s.changed, s.callingAfter
		s.mu.Unlock()
		if s.closing() {
			return nil, ErrClosed
		}
		if sess != nil && !sess.isOver() {
			return sess, nil
		}
		if stuck {
			return nil, ErrSessionExpired
		}
		select {
		case <-changed:
		case <-s.done:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// onEvent runs in the client library's goroutines.
func (s *Store) onEvent(sess *session, e zk.Event) {
	if e.Type != zk.EventSession {
		s.onNodeEvent(sess, e)
		return
	}
	switch e.State {
	case zk.StateHasSession:
		s.cfg.Observer.ZooKeeperEvent("SyncConnected")
		kafkalog.For(s.cfg.Logger, "org.apache.zookeeper.ClientCnxn").
			Infof("Session establishment complete on server %s, session id = 0x%x", e.Server, sess.sessionID())
	case zk.StateDisconnected:
		s.cfg.Observer.ZooKeeperEvent("Disconnected")
	case zk.StateExpired:
		s.cfg.Observer.ZooKeeperEvent("Expired")
	case zk.StateAuthFailed:
		s.cfg.Observer.ZooKeeperEvent("AuthFailed")
	}
}
