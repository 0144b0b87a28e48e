package zkstore

import (
	"github.com/go-zookeeper/zk"
)

// Conn is what a session uses of the client library's connection; *zk.Conn is
// one.
type Conn interface {
	Get(path string) ([]byte, *zk.Stat, error)
	GetW(path string) ([]byte, *zk.Stat, <-chan zk.Event, error)
	Exists(path string) (bool, *zk.Stat, error)
	ExistsW(path string) (bool, *zk.Stat, <-chan zk.Event, error)
	Children(path string) ([]string, *zk.Stat, error)
	ChildrenW(path string) ([]string, *zk.Stat, <-chan zk.Event, error)
	Create(path string, data []byte, flags int32, acl []zk.ACL) (string, error)
	Set(path string, data []byte, version int32) (*zk.Stat, error)
	Delete(path string, version int32) error
	Multi(ops ...any) ([]zk.MultiResponse, error)
	SessionID() int64
	Close()
}

// Driven is a Store without goroutines: its requests run in the caller's, one
// after the other, and its owner says when sessions begin and end and which
// watches fired. A simulation runs the operations of this room over a tree of
// its own with it. Contexts must be bound (BindSession): nothing waits for a
// session.
type Driven struct{ *Store }

// NewDriven returns a store without a session.
func NewDriven(cfg Config) *Driven {
	cfg.setDefaults()
	s := newStore(cfg, nil, "")
	s.driven = true
	return &Driven{s}
}

// Begin opens a session on the connection.
func (d *Driven) Begin(conn Conn) {
	sess := &session{conn: conn, id: conn.SessionID(), dead: make(chan struct{}), state: zk.StateHasSession, connected: make(chan struct{})}
	close(sess.connected)
	d.publish(sess)
}

// Lost ends the session: its operations answer ErrSessionExpired from now on.
func (d *Driven) Lost() {
	d.mu.Lock()
	sess := d.current
	d.mu.Unlock()
	d.unpublish()
	if sess != nil {
		sess.mu.Lock()
		sess.endLocked()
		sess.mu.Unlock()
	}
}

// FireAll calls all handlers, as after any new session: nobody knows what was
// missed.
func (d *Driven) FireAll() {
	d.fireAll()
	d.events.callAll()
}

// Fired calls the handler of a watch of the present session that fired.
func (d *Driven) Fired(what zk.EventType, path string) {
	d.mu.Lock()
	sess := d.current
	d.mu.Unlock()
	if sess != nil {
		d.onNodeEvent(sess, zk.Event{Type: what, Path: path})
		d.events.callAll()
	}
}
