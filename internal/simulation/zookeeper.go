package simulation

import (
	"context"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	zktree "github.com/monedula/monedula/zkserver/tree"
	"github.com/monedula/monedula/zkstore/zkclient"
)

// zkConn is one ZooKeeper session of a broker. A request takes time, during which other events
// happen. Its connection may be lost before or after it took effect.
type zkConn struct {
	b       *broker
	life    int
	id      int64
	pending []zktree.Event // fired, but not delivered yet
}

var _ zkclient.Conn = (*zkConn)(nil)

func (b *broker) connect() *zkConn {
	c := &zkConn{b: b, life: b.life, id: b.w.tree.Open(b.w.now.Milliseconds(), sessionTimeout.Milliseconds())}
	b.w.conns[c.id] = c
	return c
}

func (w *world) fired(events []zktree.Event) {
	for _, e := range events {
		c := w.conns[e.Session]
		if c == nil {
			continue
		}
		c.pending = append(c.pending, e)
		w.after(w.between(0, 5*time.Millisecond), c.hear)
	}
}

// hear delivers the events that fired. The response to a request comes after them.
func (c *zkConn) hear() {
	if c.gone() || c.b.zkBlocked() {
		if !c.gone() && len(c.pending) > 0 {
			c.b.w.after(50*time.Millisecond, c.hear)
		}
		return
	}
	for len(c.pending) > 0 {
		e := c.pending[0]
		c.pending = c.pending[1:]
		c.b.w.say("broker %d hears of %s: event %d", c.b.id, e.Path, e.Type)
		c.b.sessions.Fire(zk.EventType(e.Type), e.Path)
	}
}

// gone reports whether the broker no longer uses this session.
func (c *zkConn) gone() bool { return c.b.life != c.life || c.b.conn != c }

// do runs one request.
func (c *zkConn) do(what, path string, change func() error) error {
	w := c.b.w
	w.runUntil(w.now + w.zkDelay())
	for !c.gone() && c.b.zkBlocked() && w.err == nil {
		w.runUntil(w.now + 20*time.Millisecond)
	}
	switch {
	case w.err != nil:
		return zk.ErrSessionExpired // the run is over: prevents retries
	case c.gone():
		return zk.ErrClosing
	case !w.tree.Alive(c.id):
		return zk.ErrSessionExpired
	case w.chaotic && w.chance(60):
		w.say("broker %d: %s %s is lost", c.b.id, what, path)
		return zk.ErrConnectionClosed
	}
	err := change()
	w.say("broker %d: %s %s: %v", c.b.id, what, path, err)
	lost := w.chaotic && w.chance(60)
	w.runUntil(w.now + w.zkDelay())
	for !c.gone() && c.b.zkBlocked() && w.err == nil {
		w.runUntil(w.now + 20*time.Millisecond)
	}
	switch {
	case w.err != nil:
		return zk.ErrSessionExpired
	case c.gone():
		return zk.ErrClosing
	}
	c.hear()
	if lost {
		w.say("broker %d: the answer to %s %s is lost", c.b.id, what, path)
		return zk.ErrConnectionClosed
	}
	return err
}

func (w *world) zkDelay() time.Duration {
	if w.chaotic && w.chance(30) {
		return w.between(0, 300*time.Millisecond)
	}
	return w.between(100*time.Microsecond, 2*time.Millisecond)
}

var zkErrors = map[error]error{zktree.NoNode: zk.ErrNoNode, zktree.BadVersion: zk.ErrBadVersion, zktree.NodeExists: zk.ErrNodeExists,
	zktree.NotEmpty: zk.ErrNotEmpty, zktree.NoChildrenForEphemerals: zk.ErrNoChildrenForEphemerals, zktree.SessionExpired: zk.ErrSessionExpired,
	zktree.BadArguments: zk.ErrBadArguments, zktree.RuntimeInconsistency: zk.ErrUnknown}

func zkError(err error) error {
	if err == nil {
		return nil
	}
	return zkErrors[err]
}

func zkStat(s zktree.Stat) *zk.Stat {
	return &zk.Stat{Czxid: s.Czxid, Mzxid: s.Mzxid, Pzxid: s.Pzxid, Ctime: s.Ctime, Mtime: s.Mtime, Version: s.Version, Cversion: s.Cversion,
		Aversion: s.Aversion, EphemeralOwner: s.EphemeralOwner, DataLength: s.DataLength, NumChildren: s.NumChildren}
}

func (c *zkConn) get(path string, watch bool) (data []byte, stat *zk.Stat, err error) {
	err = c.do("get", path, func() error {
		d, s, err := c.b.w.tree.Get(c.id, path, watch)
		data, stat = d, zkStat(s)
		return zkError(err)
	})
	return data, stat, err
}

func (c *zkConn) Get(path string) ([]byte, *zk.Stat, error) { return c.get(path, false) }

func (c *zkConn) GetW(path string) ([]byte, *zk.Stat, <-chan zk.Event, error) {
	data, stat, err := c.get(path, true)
	return data, stat, nil, err
}

func (c *zkConn) exists(path string, watch bool) (found bool, stat *zk.Stat, err error) {
	err = c.do("exists", path, func() error {
		s, err := c.b.w.tree.Exists(c.id, path, watch)
		found, stat = err == nil, zkStat(s)
		if err == zktree.NoNode {
			return nil
		}
		return zkError(err)
	})
	return found, stat, err
}

func (c *zkConn) Exists(path string) (bool, *zk.Stat, error) { return c.exists(path, false) }

func (c *zkConn) ExistsW(path string) (bool, *zk.Stat, <-chan zk.Event, error) {
	found, stat, err := c.exists(path, true)
	return found, stat, nil, err
}

func (c *zkConn) children(path string, watch bool) (names []string, stat *zk.Stat, err error) {
	err = c.do("children", path, func() error {
		n, s, err := c.b.w.tree.Children(c.id, path, watch)
		names, stat = n, zkStat(s)
		return zkError(err)
	})
	return names, stat, err
}

func (c *zkConn) Children(path string) ([]string, *zk.Stat, error) { return c.children(path, false) }

func (c *zkConn) ChildrenW(path string) ([]string, *zk.Stat, <-chan zk.Event, error) {
	names, stat, err := c.children(path, true)
	return names, stat, nil, err
}

func (c *zkConn) write(what, path string, op zktree.Op) (r zktree.Result, err error) {
	err = c.do(what, path, func() error {
		result, fired, err := c.b.w.tree.Do(c.id, c.b.w.now.Milliseconds(), op)
		r = result
		if err == nil {
			c.b.w.check.wrote(c, op)
		}
		c.b.w.fired(fired)
		return zkError(err)
	})
	return r, err
}

func createOf(path string, data []byte, flags int32) zktree.Create {
	return zktree.Create{Path: path, Data: data, Ephemeral: flags&zk.FlagEphemeral != 0, Sequential: flags&zk.FlagSequence != 0}
}

func (c *zkConn) Create(path string, data []byte, flags int32, _ []zk.ACL) (string, error) {
	r, err := c.write("create", path, createOf(path, data, flags))
	return r.Path, err
}

func (c *zkConn) Set(path string, data []byte, version int32) (*zk.Stat, error) {
	r, err := c.write("set", path, zktree.Set{Path: path, Data: data, Version: version})
	return zkStat(r.Stat), err
}

func (c *zkConn) Delete(path string, version int32) error {
	_, err := c.write("delete", path, zktree.Delete{Path: path, Version: version})
	return err
}

func (c *zkConn) Multi(requests ...any) (answers []zk.MultiResponse, err error) {
	var ops []zktree.Op
	var paths []string
	for _, request := range requests {
		switch r := request.(type) {
		case *zk.CreateRequest:
			ops, paths = append(ops, createOf(r.Path, r.Data, r.Flags)), append(paths, r.Path)
		case *zk.SetDataRequest:
			ops, paths = append(ops, zktree.Set{Path: r.Path, Data: r.Data, Version: r.Version}), append(paths, r.Path)
		case *zk.DeleteRequest:
			ops, paths = append(ops, zktree.Delete{Path: r.Path, Version: r.Version}), append(paths, r.Path)
		case *zk.CheckVersionRequest:
			ops, paths = append(ops, zktree.Check{Path: r.Path, Version: r.Version}), append(paths, r.Path)
		}
	}
	err = c.do("multi", strings.Join(paths, " "), func() error {
		results, fired, err := c.b.w.tree.Multi(c.id, c.b.w.now.Milliseconds(), ops...)
		answers = nil
		for i, r := range results {
			a := zk.MultiResponse{String: r.Path}
			if r.Code != zktree.OK {
				a.Error = zkError(r.Code)
			} else if _, set := ops[i].(zktree.Set); set && err == nil {
				a.Stat = zkStat(r.Stat)
			}
			answers = append(answers, a)
		}
		if err == nil {
			c.b.w.check.wrote(c, ops...)
		}
		c.b.w.fired(fired)
		return zkError(err)
	})
	if err == zk.ErrConnectionClosed || err == zk.ErrClosing {
		return nil, zk.ErrConnectionClosed
	}
	return answers, err
}

func (c *zkConn) SessionID() int64 { return c.id }
func (c *zkConn) Close()           {}

// tick sends the heartbeats of live sessions and ends expired ones, periodically.
func (w *world) tick() {
	now := w.now.Milliseconds()
	for _, b := range w.brokers {
		if b.conn != nil && !b.zkBlocked() && w.tree.Heard(b.conn.id, now) != nil {
			b.sessionLost()
		}
	}
	for _, id := range w.tree.Due(now) {
		w.say("session %d ends", id)
		w.fired(w.tree.End(id))
	}
	w.after(250*time.Millisecond, w.tick)
}

// bound returns a context bound to the broker's current session.
func (b *broker) bound() context.Context { return b.store.BindSession(context.Background()) }
