// Package zktree is ZooKeeper's data model as a pure state machine: nodes with versions, sequence
// numbers, ephemeral nodes, one-shot watches, multis and sessions, as in Apache ZooKeeper 3.8. It
// has no clock, goroutines or network: the time is an argument, and the events of fired watches are
// returned. It is for simulations and tests only. A test compares it with a real ZooKeeper,
// operation by operation.
//
//	tree.go      nodes, reads, the state
//	write.go     operations and multis
//	session.go   sessions
//	watch.go     watches and events
//
// It does not have container and TTL nodes, recursive and persistent watches, or quotas. ACLs are
// stored but not checked.
package zktree

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Code is the number of a ZooKeeper error on the wire. OK is not an error.
type Code int32

// The codes that operations return.
const (
	OK                      Code = 0
	RuntimeInconsistency    Code = -2 // in a failed multi: an operation after the one that failed
	BadArguments            Code = -8
	NoNode                  Code = -101
	BadVersion              Code = -103
	NoChildrenForEphemerals Code = -108
	NodeExists              Code = -110
	NotEmpty                Code = -111
	SessionExpired          Code = -112
)

func (c Code) Error() string {
	switch c {
	case OK:
		return "OK"
	case RuntimeInconsistency:
		return "RUNTIMEINCONSISTENCY"
	case BadArguments:
		return "BADARGUMENTS"
	case NoNode:
		return "NONODE"
	case BadVersion:
		return "BADVERSION"
	case NoChildrenForEphemerals:
		return "NOCHILDRENFOREPHEMERALS"
	case NodeExists:
		return "NODEEXISTS"
	case NotEmpty:
		return "NOTEMPTY"
	case SessionExpired:
		return "SESSIONEXPIRED"
	}
	return fmt.Sprintf("code %d", int32(c))
}

// AnyVersion as the version of an operation matches every version.
const AnyVersion int32 = -1

// Stat is the metadata of a node. Times are in milliseconds. A zxid is the number of a change of
// the tree.
type Stat struct {
	Czxid, Mzxid, Pzxid         int64
	Ctime, Mtime                int64
	Version, Cversion, Aversion int32
	EphemeralOwner              int64 // the session's id, or 0 for a persistent node
	DataLength, NumChildren     int32
}

// node is a node of the tree. created counts all children that were ever created. It gives the
// sequence numbers and, together with the current number of children, the cversion.
type node struct {
	data           []byte // nil for null
	acl            []byte
	czxid, mzxid   int64
	pzxid          int64
	ctime, mtime   int64
	version        int32
	aversion       int32
	created        int32
	ephemeralOwner int64
	children       map[string]bool // the last parts of their paths
}

func (n *node) stat() Stat {
	return Stat{Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Cversion: 2*n.created - int32(len(n.children)), Aversion: n.aversion,
		EphemeralOwner: n.ephemeralOwner, DataLength: int32(len(n.data)), NumChildren: int32(len(n.children))}
}

// Tree is the state of a ZooKeeper server. It is not safe for concurrent use.
type Tree struct {
	zxid     int64 // of the last change or failed write
	nodes    map[string]*node
	sessions map[int64]*session
	lastID   int64
	data     watches // data watches, on the existence and data of nodes
	child    watches // child watches, on the children of nodes
}

// reserved are the nodes of a new server. They cannot be deleted.
var reserved = []string{"/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"}

// New returns the tree of a new server. The first change has the zxid 1.
func New() *Tree {
	t := &Tree{nodes: map[string]*node{}, sessions: map[int64]*session{}, data: watches{}, child: watches{}}
	for _, path := range reserved {
		t.nodes[path] = &node{data: []byte{}, children: map[string]bool{}}
		if path != "/" {
			parent, name := split(path)
			t.nodes[parent].children[name] = true
		}
	}
	return t
}

// Zxid returns the zxid of the last change or failed write.
func (t *Tree) Zxid() int64 { return t.zxid }

// split splits a path into its parent and its last part.
func split(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/", path[i+1:]
	}
	return path[:i], path[i+1:]
}

// Get returns the data and the Stat of a node, or NoNode. If watch is true and the node exists, it
// sets a data watch.
func (t *Tree) Get(session int64, path string, watch bool) ([]byte, Stat, error) {
	if err := t.alive(session); err != nil {
		return nil, Stat{}, err
	}
	n := t.nodes[path]
	if n == nil {
		return nil, Stat{}, NoNode
	}
	if watch {
		t.data.add(path, session)
	}
	return slices.Clone(n.data), n.stat(), nil
}

// Exists returns the Stat of a node, or NoNode. If watch is true it sets a data watch, even if the
// node does not exist: the watch fires when the node is created.
func (t *Tree) Exists(session int64, path string, watch bool) (Stat, error) {
	if err := t.alive(session); err != nil {
		return Stat{}, err
	}
	if watch {
		t.data.add(path, session)
	}
	n := t.nodes[path]
	if n == nil {
		return Stat{}, NoNode
	}
	return n.stat(), nil
}

// Children returns the last parts of the paths of a node's children, sorted, and the Stat of the
// node, or NoNode. If watch is true and the node exists, it sets a child watch.
func (t *Tree) Children(session int64, path string, watch bool) ([]string, Stat, error) {
	if err := t.alive(session); err != nil {
		return nil, Stat{}, err
	}
	n := t.nodes[path]
	if n == nil {
		return nil, Stat{}, NoNode
	}
	if watch {
		t.child.add(path, session)
	}
	return slices.Sorted(maps.Keys(n.children)), n.stat(), nil
}

// ACL returns the ACL of a node, as it was set, and the node's Stat, or NoNode.
func (t *Tree) ACL(session int64, path string) ([]byte, Stat, error) {
	if err := t.alive(session); err != nil {
		return nil, Stat{}, err
	}
	n := t.nodes[path]
	if n == nil {
		return nil, Stat{}, NoNode
	}
	return n.acl, n.stat(), nil
}

// Paths returns the sorted paths of all nodes, except those of a new server.
func (t *Tree) Paths() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(t.nodes)), func(path string) bool { return slices.Contains(reserved, path) })
}

// Peek reads a node without a session.
func (t *Tree) Peek(path string) (data []byte, stat Stat, exists bool) {
	n := t.nodes[path]
	if n == nil {
		return nil, Stat{}, false
	}
	return n.data, n.stat(), true
}
