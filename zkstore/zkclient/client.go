// Package zkclient is a client of a ZooKeeper ensemble. It opens one session after another, sends a
// request again until it is answered or its session has ended, and keeps watch handlers across
// sessions. It knows nothing about Kafka's znodes, which are the subject of package zkstore. Kafka
// divides the same work between ZooKeeperClient and KafkaZkClient.
//
//	client.go        a client and its successive sessions
//	session.go       one session and its connection
//	request.go       one request with retries; limits of its size
//	nodes.go         operations on nodes
//	transaction.go   transactions, in which all operations succeed or none
//	watch.go         watches and their handlers
//	steppable.go     a client without goroutines, for simulations
package zkclient

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
)

// Config is the configuration of a Client.
type Config struct {
	Connect           string        // zookeeper.connect: h1:p1,h2:p2/chroot
	SessionTimeout    time.Duration // zookeeper.session.timeout.ms; 0 means 18 s
	ConnectionTimeout time.Duration // zookeeper.connection.timeout.ms; 0 means SessionTimeout
	MaxInFlight       int           // zookeeper.max.in.flight.requests; 0 means 10
	CreateChroot      bool          // create a missing chroot: true for brokers, false for tools
	Name              string        // prefix of log lines; "" means "Kafka server"
	Logger            *logrus.Logger
	Observer          Observer                   // may be nil
	ACL               func(path string) []zk.ACL // of a new node; nil means that every client may do everything
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

// Client is a client of a ZooKeeper ensemble with successive sessions. Operations are retried after
// a loss of the connection until the session expires. An operation bound to an old session never
// runs under a new one (see BindSession).
//
// A client has two goroutines: run opens the successive sessions, and events.run calls watch
// handlers. The client library has further ones.
type Client struct {
	cfg       Config
	servers   []string
	chroot    string
	log       *logrus.Entry // kafka.zookeeper.ZooKeeperClient
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
	handlers     handlers
}

// SessionListener has hooks for the loss of a session. Before is called after the session has
// expired and before a new one is opened; After is called once the new one is open. Either may be
// nil. The client's session goroutine calls them without holding locks, in the order of
// AddSessionListener.
//
// Before must not wait for an operation of the client. If the new session is lost during After, its
// operations fail with ErrSessionExpired and both hooks are called again.
type SessionListener struct {
	Before func()
	After  func()
}

// Open connects within ConnectionTimeout, creates the chroot if cfg.CreateChroot is set, and
// returns the client. It returns a *ConnectionTimeoutError if no server could be reached in time.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	cfg.setDefaults()
	servers, chroot, err := splitConnect(cfg.Connect)
	if err != nil {
		return nil, err
	}
	c := newClient(cfg, servers, chroot)
	if chroot != "" && cfg.CreateChroot {
		if err := c.createChroot(ctx); err != nil {
			return nil, err
		}
	}
	sess, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	c.publish(sess)
	c.wg.Go(c.run)
	c.wg.Go(c.events.run)
	return c, nil
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
	if cfg.ACL == nil {
		cfg.ACL = func(string) []zk.ACL { return zk.WorldACL(zk.PermAll) }
	}
}

func newClient(cfg Config, servers []string, chroot string) *Client {
	return &Client{
		cfg:      cfg,
		servers:  servers,
		chroot:   chroot,
		log:      kafkalog.For(cfg.Logger, "kafka.zookeeper.ZooKeeperClient"),
		inFlight: make(chan struct{}, cfg.MaxInFlight),
		events:   newEventQueue(),
		done:     make(chan struct{}),
		changed:  make(chan struct{}),
		handlers: handlers{node: map[string]NodeWatch{}, children: map[string]func(){}},
	}
}

// createChroot creates the chroot, in a separate session, if it does not exist. The permission to
// create it is needed only in that case.
func (c *Client) createChroot(ctx context.Context) error {
	root := newClient(c.cfg, c.servers, "")
	sess, err := root.connect(ctx)
	if err != nil {
		return err
	}
	root.publish(sess)
	defer root.Close()
	nodes := NewNodes(root)
	exists, err := nodes.Exists(ctx, c.chroot)
	if err != nil || exists {
		return err
	}
	if err := nodes.EnsurePath(ctx, c.chroot); err != nil {
		return fmt.Errorf("create the chroot of zookeeper.connect: %w", err)
	}
	return nil
}

// connect opens the first session within ConnectionTimeout.
func (c *Client) connect(ctx context.Context) (*session, error) {
	sess, err := c.dial()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.ConnectionTimeout, errConnectionTimeout)
	defer cancel()
	c.say("Waiting until connected.")
	if err := sess.awaitConnected(ctx); err != nil {
		state := sess.stateName()
		sess.close()
		if context.Cause(ctx) == errConnectionTimeout {
			return nil, &ConnectionTimeoutError{State: state, Connect: c.cfg.Connect, After: c.cfg.ConnectionTimeout}
		}
		return nil, err
	}
	c.say("Connected.")
	return sess, nil
}

func (c *Client) dial() (*session, error) {
	c.say(fmt.Sprintf("Initializing a new session to %s.", joinConnect(c.servers, c.chroot)))
	return dialSession(c.servers, c.cfg.SessionTimeout, kafkalog.For(c.cfg.Logger, "org.apache.zookeeper.ClientCnxn"), c.onEvent)
}

func (c *Client) say(text string) { c.log.Infof("[ZooKeeperClient %s] %s", c.cfg.Name, text) }

// Close ends the session, which deletes its ephemeral nodes at once. It waits for running handlers
// and listeners, so they must not call it.
func (c *Client) Close() {
	c.once.Do(func() {
		c.say("Closing.")
		close(c.done)
		c.mu.Lock()
		sess := c.current
		c.mu.Unlock()
		if sess != nil {
			sess.close() // run may be in a hook, whose operations this ends
		}
		c.events.close()
		c.wg.Wait()
		c.say("Closed.")
	})
}

// run waits for the end of each session, calls the Before hooks, opens the next session, and calls
// the After hooks.
func (c *Client) run() {
	for {
		c.mu.Lock()
		sess := c.current
		c.mu.Unlock()
		select {
		case <-sess.dead:
		case <-c.done:
			sess.close()
			return
		}
		if c.closing() {
			return
		}
		c.say("Session expired.")
		c.unpublish()
		sess.abandon()
		for _, l := range c.sessionListeners() {
			if l.Before != nil {
				l.Before()
			}
		}
		next := c.reconnect()
		if next == nil {
			return
		}
		c.publish(next)
		c.callAfter()
		c.fireAll()
	}
}

// callAfter calls the After hooks. If the new session is lost in the meantime, operations of the
// hooks fail, because the next session is opened only after all hooks have returned.
func (c *Client) callAfter() {
	c.setCallingAfter(true)
	defer c.setCallingAfter(false)
	for _, l := range c.sessionListeners() {
		if l.After != nil {
			l.After()
		}
	}
}

func (c *Client) setCallingAfter(calling bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.callingAfter = calling
}

// reconnect opens the next session and retries without limit. It returns nil once the client is
// closed.
func (c *Client) reconnect() *session {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-c.done:
			cancel()
		case <-stop:
		}
	}()
	for {
		sess, err := c.dial()
		if err == nil {
			if err = sess.awaitConnected(ctx); err == nil {
				c.say("Connected.")
				return sess
			}
			sess.close()
		}
		if c.closing() {
			return nil
		}
		c.log.WithError(err).Infof("[ZooKeeperClient %s] Error when recreating ZooKeeper, retrying after a short sleep", c.cfg.Name)
		select {
		case <-time.After(time.Second):
		case <-c.done:
			return nil
		}
	}
}

func (c *Client) closing() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *Client) publish(sess *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = sess
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Client) unpublish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
}

func (c *Client) sessionListeners() []SessionListener {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]SessionListener(nil), c.listeners...)
}

// AddSessionListener adds l, whose hooks are called for each later session loss.
func (c *Client) AddSessionListener(l SessionListener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, l)
}

// State returns the state of the connection as named by ZooKeeper's Java client: CONNECTED,
// CONNECTING, AUTH_FAILED or CLOSED. It is the value of Kafka's SessionState metric.
func (c *Client) State() string {
	c.mu.Lock()
	sess := c.current
	c.mu.Unlock()
	switch {
	case c.closing():
		return "CLOSED"
	case sess == nil:
		return "CONNECTING"
	}
	return sess.stateName()
}

// SessionID returns the id of the open session, 0 if there is none.
func (c *Client) SessionID() int64 {
	c.mu.Lock()
	sess := c.current
	c.mu.Unlock()
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
func (c *Client) BindSession(ctx context.Context) context.Context {
	c.mu.Lock()
	sess := c.current
	c.mu.Unlock()
	return context.WithValue(ctx, sessionKey{}, sess)
}

// bind binds a compound operation to one session, in which all its requests run.
func (c *Client) bind(ctx context.Context) (context.Context, *session, error) {
	sess, err := c.session(ctx)
	if err != nil {
		return nil, nil, err
	}
	return context.WithValue(ctx, sessionKey{}, sess), sess, nil
}

// session returns the session to which an operation with this context belongs. It waits for one if
// ctx is not bound and there is none.
func (c *Client) session(ctx context.Context) (*session, error) {
	if bound, ok := ctx.Value(sessionKey{}).(*session); ok {
		if c.closing() {
			return nil, ErrClosed
		}
		if bound == nil || bound.isOver() {
			return nil, ErrSessionExpired
		}
		return bound, nil
	}
	for {
		c.mu.Lock()
		sess, changed, stuck := c.current, c.changed, c.callingAfter
		c.mu.Unlock()
		if c.closing() {
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
		case <-c.done:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// onEvent handles an event of sess. It is called in the client library's goroutines.
func (c *Client) onEvent(sess *session, e zk.Event) {
	if e.Type != zk.EventSession {
		c.onNodeEvent(sess, e)
		return
	}
	switch e.State {
	case zk.StateHasSession:
		c.cfg.Observer.ZooKeeperEvent("SyncConnected")
		kafkalog.For(c.cfg.Logger, "org.apache.zookeeper.ClientCnxn").
			Infof("Session establishment complete on server %s, session id = 0x%x", e.Server, sess.sessionID())
	case zk.StateDisconnected:
		c.cfg.Observer.ZooKeeperEvent("Disconnected")
	case zk.StateExpired:
		c.cfg.Observer.ZooKeeperEvent("Expired")
	case zk.StateAuthFailed:
		c.cfg.Observer.ZooKeeperEvent("AuthFailed")
	}
}
