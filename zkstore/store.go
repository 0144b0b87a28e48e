// Package zkstore is the only package that uses ZooKeeper. It manages sessions, the path and JSON
// of each znode, watches, and writes fenced by the controller epoch.
//
//	session.go      one session and its connection
//	store.go        a store and its successive sessions
//	operations.go   single operations with retries
//	fenced.go       writes fenced by the controller epoch
//	watch.go        watches and their handlers
//	paths.go, json.go, decode.go    layout of the znodes: pure functions
//	steppable.go    a store without goroutines, for simulations
//
// The other files have the operations on one kind of znode each.
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

// Config is the configuration of a Store.
type Config struct {
	Connect           string        // zookeeper.connect: h1:p1,h2:p2/chroot
	SessionTimeout    time.Duration // zookeeper.session.timeout.ms; 0 means 18 s
	ConnectionTimeout time.Duration // zookeeper.connection.timeout.ms; 0 means SessionTimeout
	MaxInFlight       int           // zookeeper.max.in.flight.requests; 0 means 10
	SecureACL         bool          // zookeeper.set.acl
	CreateChroot      bool          // create a missing chroot: true for brokers, false for tools
	Name              string        // prefix of log lines; "" means "Kafka server"
	Logger            *logrus.Logger
	Observer          Observer         // may be nil
	Now               func() time.Time // clock for timestamps in znodes; nil means time.Now
}

// Observer receives the events that Kafka counts in its metrics SessionExpireListener and
// ZooKeeperClientMetrics. Its methods must not block.
type Observer interface {
	// ZooKeeperEvent reports a change of the connection's state by Kafka's name: SyncConnected,
	// Disconnected, Expired or AuthFailed.
	ZooKeeperEvent(name string)
	// ZooKeeperRequest reports the latency of an answered request.
	ZooKeeperRequest(latency time.Duration)
}

type unobserved struct{}

func (unobserved) ZooKeeperEvent(string)          {}
func (unobserved) ZooKeeperRequest(time.Duration) {}

// Store is a client of a ZooKeeper ensemble with successive sessions. Operations are retried after
// a loss of the connection until the session expires. An operation bound to an old session never
// runs under a new one (see BindSession).
//
// A store has two goroutines: run opens the successive sessions, and events.run calls watch
// handlers. The client library has further ones.
type Store struct {
	cfg       Config
	servers   []string
	chroot    string
	log       *logrus.Entry // kafka.zookeeper.ZooKeeperClient
	kafkaLog  *logrus.Entry // kafka.zk.KafkaZkClient
	inFlight  chan struct{} // one token per outstanding request
	steppable bool          // run requests in the caller's goroutine; see Steppable
	events    *eventQueue
	done      chan struct{} // closed when Close begins
	once      sync.Once
	wg        sync.WaitGroup // run and events.run

	mu           sync.Mutex    // guards the fields below; no hook or handler is called with it held
	current      *session      // nil between two sessions
	changed      chan struct{} // closed and replaced when current is set
	callingAfter bool          // run is calling the After hooks, so it cannot open another session
	listeners    []SessionListener
	registered   int64 // id of the session in which this store last registered its broker
	handlers     handlers
}

// SessionListener has hooks for the loss of a session. Before is called after the session has
// expired and before a new one is opened; After is called once the new one is open. Either may be
// nil. The store's session goroutine calls them without holding locks, in the order of
// AddSessionListener.
//
// Before must not wait for an operation of the store. If the new session is lost during After, its
// operations fail with ErrSessionExpired and both hooks are called again.
type SessionListener struct {
	Before func()
	After  func()
}

// Open connects within ConnectionTimeout, creates the chroot if cfg.CreateChroot is set, and
// returns the store. It returns a *ConnectionTimeoutError if no server could be reached in time.
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

// createChroot creates the chroot, in a separate session, if it does not exist. The permission to
// create it is needed only in that case.
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

// connect opens the first session within ConnectionTimeout.
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

// Close ends the session, which deletes its ephemeral nodes at once. It waits for running handlers
// and listeners, so they must not call it.
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

// run waits for the end of each session, calls the Before hooks, opens the next session, and calls
// the After hooks.
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

// callAfter calls the After hooks. If the new session is lost in the meantime, operations of the
// hooks fail, because the next session is opened only after all hooks have returned.
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

// reconnect opens the next session and retries without limit. It returns nil once the store is
// closed.
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

// AddSessionListener adds l, whose hooks are called for each later session loss.
func (s *Store) AddSessionListener(l SessionListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, l)
}

// State returns the state of the connection as named by ZooKeeper's Java client: CONNECTED,
// CONNECTING, AUTH_FAILED or CLOSED. It is the value of Kafka's SessionState metric.
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

// SessionID returns the id of the open session, 0 if there is none.
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

// BindSession returns a context whose operations are bound to the session that is open now. Once
// that session has expired, they return ErrSessionExpired, even if a new session is open. An
// operation with an unbound context belongs to the session that is open when it starts, and waits
// for one if there is none.
func (s *Store) BindSession(ctx context.Context) context.Context {
	s.mu.Lock()
	sess := s.current
	s.mu.Unlock()
	return context.WithValue(ctx, sessionKey{}, sess)
}

// bind binds a compound operation to one session, in which all its requests run.
func (s *Store) bind(ctx context.Context) (context.Context, *session, error) {
	sess, err := s.session(ctx)
	if err != nil {
		return nil, nil, err
	}
	return context.WithValue(ctx, sessionKey{}, sess), sess, nil
}

// session returns the session to which an operation with this context belongs. It waits for one if
// ctx is not bound and there is none.
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

// onEvent handles an event of sess. It is called in the client library's goroutines.
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
