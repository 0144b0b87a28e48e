package tree

import (
	"slices"

	"github.com/monedula/monedula/zkserver/jute"
)

// apply carries out one transaction, not a multi and not the start or end of a session. undo
// reverts it. A transaction that prepare returned does not fail. One that is replayed may fail: it
// may be part of the snapshot already, and then only those of its effects that are missing happen.
func (c *change) apply(kind jute.Op, txn jute.Record) (Result, func(), error) {
	switch o := txn.(type) {
	case *jute.CreateTxn:
		owner := int64(0)
		if o.Ephemeral {
			owner = c.session
		}
		return c.create(&jute.CreateContainerTxn{Path: o.Path, Data: o.Data, ACL: o.ACL, ParentCVersion: o.ParentCVersion}, owner)
	case *jute.CreateContainerTxn:
		return c.create(o, containerOwner)
	case *jute.CreateTTLTxn:
		return c.create(&o.CreateContainerTxn, ttlOwner(o.TTL))
	case *jute.DeleteTxn:
		return c.remove(o.Path)
	case *jute.SetDataTxn:
		return c.update(o.Path, NodeDataChanged, func(n *node) {
			n.data = o.Data
			n.saved.Version, n.saved.Mzxid, n.saved.Mtime = o.Version, c.zxid, c.nowMs
		})
	case *jute.SetACLTxn:
		return c.update(o.Path, 0, func(n *node) { n.acl, n.saved.Aversion = o.ACL, o.Version })
	case *jute.CheckVersionTxn:
		return Result{}, func() {}, nil
	}
	return Result{}, nil, MarshallingError
}

func (c *change) create(o *jute.CreateContainerTxn, owner int64) (Result, func(), error) {
	parentPath, _ := split(o.Path)
	parent := c.t.nodes[parentPath]
	if parent == nil {
		return Result{}, nil, NoNode
	}
	was := parent.saved
	if cversion := o.ParentCVersion; cversion == -1 || cversion > parent.saved.Cversion {
		parent.saved.Cversion, parent.saved.Pzxid = max(cversion, parent.saved.Cversion+1), c.zxid
	}
	if n := c.t.nodes[o.Path]; n != nil {
		n.acl = o.ACL
		return Result{}, nil, NodeExists
	}
	n := &node{data: o.Data, acl: o.ACL, children: map[string]bool{}, saved: jute.StatPersisted{
		Czxid: c.zxid, Mzxid: c.zxid, Pzxid: c.zxid, Ctime: c.nowMs, Mtime: c.nowMs, EphemeralOwner: owner}}
	c.t.link(o.Path, n)
	c.t.countNew(o.Path, n)
	c.done = append(c.done, nodeChange{NodeCreated, o.Path, n.acl, parent.acl})
	return Result{Path: o.Path, Stat: n.stat()}, func() {
		c.t.count(o.Path, -1, -len(n.data))
		c.t.unlink(o.Path, n)
		parent.saved = was
	}, nil
}

func (c *change) remove(path string) (Result, func(), error) {
	parentPath, _ := split(path)
	n, parent := c.t.nodes[path], c.t.nodes[parentPath]
	if parent == nil {
		return Result{}, nil, NoNode
	}
	was := parent.saved
	parent.saved.Pzxid = max(parent.saved.Pzxid, c.zxid)
	if n == nil {
		return Result{}, nil, NoNode
	}
	c.t.unlink(path, n)
	c.t.count(path, -1, -len(n.data))
	c.done = append(c.done, nodeChange{NodeDeleted, path, n.acl, parent.acl})
	return Result{}, func() {
		c.t.count(path, 1, len(n.data))
		c.t.link(path, n)
		parent.saved = was
	}, nil
}

// update changes a node that exists. what is the event, or 0 if there is none.
func (c *change) update(path string, what EventType, do func(*node)) (Result, func(), error) {
	n := c.t.nodes[path]
	if n == nil {
		return Result{}, nil, NoNode
	}
	was := *n
	do(n)
	c.t.count(path, 0, len(n.data)-len(was.data))
	if what != 0 {
		c.done = append(c.done, nodeChange{what: what, path: path, acl: n.acl})
	}
	return Result{Stat: n.stat()}, func() {
		c.t.count(path, 0, len(was.data)-len(n.data))
		n.data, n.acl, n.saved = was.data, was.acl, was.saved
	}, nil
}

// endSession deletes the nodes of the session and the session.
func (c *change) endSession(txn *jute.CloseSessionTxn) {
	c.t.Unwatch(c.session)
	paths := txn.Paths
	if s := c.t.sessions[c.session]; s != nil {
		for path := range s.ephemerals {
			if !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	for _, path := range paths {
		_, _, _ = c.remove(path)
	}
	delete(c.t.sessions, c.session)
}

func (t *Tree) link(path string, n *node) {
	parent, name := split(path)
	t.nodes[path] = n
	t.nodes[parent].children[name] = true
	t.own(path, n)
}

// own registers a node with its session, or as one that may expire.
func (t *Tree) own(path string, n *node) {
	switch kindOf(n.saved.EphemeralOwner) {
	case ephemeral:
		if s := t.sessions[n.saved.EphemeralOwner]; s != nil {
			s.ephemerals[path] = true
		}
	case container, ttl:
		t.expiring[path] = true
	}
}

func (t *Tree) unlink(path string, n *node) {
	parent, name := split(path)
	delete(t.nodes, path)
	delete(t.nodes[parent].children, name)
	delete(t.expiring, path)
	if s := t.sessions[n.saved.EphemeralOwner]; s != nil {
		delete(s.ephemerals, path)
	}
}

// Replay carries out a transaction that Record was called with, when a log is read. Transactions
// that the tree already contains change nothing. Loaded must be called after the last one.
func (t *Tree) Replay(h jute.TxnHeader, txn jute.Record) {
	t.zxid = max(t.zxid, h.Zxid)
	c := &change{t: t, session: h.ClientID, nowMs: h.Time, zxid: h.Zxid}
	switch o := txn.(type) {
	case *jute.CreateSessionTxn:
		if !t.Alive(h.ClientID) {
			t.addSession(h.ClientID, h.Time, int64(o.TimeOut))
		}
	case *jute.CloseSessionTxn:
		c.endSession(o)
	case *jute.MultiTxn:
		if slices.ContainsFunc(o.Txns, func(t jute.Txn) bool { return t.Type == jute.OpError }) {
			return
		}
		for _, part := range o.Txns {
			_, _, _ = c.apply(part.Type, part.Body)
		}
	case *jute.ErrorTxn:
	default:
		_, _, _ = c.apply(h.Type, txn)
	}
}

// Loaded finishes the reading of a snapshot and a log: it deletes the ephemeral nodes of sessions
// that do not exist, registers the others, and counts what quotas are about.
func (t *Tree) Loaded() {
	t.addReserved()
	for path, n := range t.nodes {
		if kindOf(n.saved.EphemeralOwner) == ephemeral && !t.Alive(n.saved.EphemeralOwner) {
			t.unlink(path, n)
		} else {
			t.own(path, n)
		}
	}
	for path := range t.nodes {
		if limited, found := quotaOf(path, limitsName); found {
			t.countAll(limited)
		}
	}
	for id := range t.sessions {
		t.lastID = max(t.lastID, id)
	}
}
