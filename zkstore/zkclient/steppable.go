package zkclient

import (
	"github.com/go-zookeeper/zk"
)

// Conn is the part of the client library's connection that a session uses. *zk.Conn implements it.
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

// Steppable is a Client without goroutines. Its requests run in the caller's goroutine, one at a
// time. Its owner determines when sessions begin and end and which watches fire. A simulation uses
// it to run operations on its own tree of nodes. Contexts must be bound (BindSession), since no
// operation waits for a session.
type Steppable struct{ *Client }

// NewSteppable returns a client without a session.
func NewSteppable(cfg Config) *Steppable {
	cfg.setDefaults()
	c := newClient(cfg, nil, "")
	c.steppable = true
	return &Steppable{c}
}

// Begin opens a session on the connection.
func (s *Steppable) Begin(conn Conn) {
	sess := &session{conn: conn, id: conn.SessionID(), dead: make(chan struct{}), state: zk.StateHasSession, connected: make(chan struct{})}
	close(sess.connected)
	s.publish(sess)
}

// End ends the session. Operations bound to it return ErrSessionExpired from now on.
func (s *Steppable) End() {
	s.mu.Lock()
	sess := s.current
	s.mu.Unlock()
	s.unpublish()
	if sess != nil {
		sess.mu.Lock()
		sess.endLocked()
		sess.mu.Unlock()
	}
}

// FireAll calls all handlers, as happens after each new session.
func (s *Steppable) FireAll() {
	s.fireAll()
	s.events.callAll()
}

// Fire calls the handler of a watch of the current session.
func (s *Steppable) Fire(what zk.EventType, path string) {
	s.mu.Lock()
	sess := s.current
	s.mu.Unlock()
	if sess != nil {
		s.onNodeEvent(sess, zk.Event{Type: what, Path: path})
		s.events.callAll()
	}
}
