// Package tree is ZooKeeper's data model as a pure state machine: nodes with
// their versions, sequence numbers, ephemeral nodes, one-shot watches, multis
// and sessions, as Apache ZooKeeper 3.8 has them. It has no clock, no goroutine
// and no network: the time is an argument, what a change fires is returned.
// It serves simulations and tests, never production; a test compares it with a
// real ZooKeeper, operation by operation.
//
//	tree.go      nodes, reads, the state
//	write.go     operations and multis
//	session.go   sessions and their ends
//	watch.go     watches and what fires them
//
// Left out: container and TTL nodes, recursive and persistent watches, quotas,
// and the meaning of ACLs, which are kept as given and never judged.
package tree

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Code is an error of ZooKeeper's, by its number on the wire. OK is not an
// error.
type Code int32

// The codes that the data model can answer with.
const (
	OK                      Code = 0
	RuntimeInconsistency    Code = -2 // in a failed multi: an operation behind the one that failed
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

// AnyVersion in place of a version is not compared.
const AnyVersion int32 = -1

// Stat is what ZooKeeper tells of a node. Times are milliseconds; zxids number
// the changes of the whole tree.
type Stat struct {
	Czxid, Mzxid, Pzxid         int64
	Ctime, Mtime                int64
	Version, Cversion, Aversion int32
	EphemeralOwner              int64 // the session's id, 0 of a persistent node
	DataLength, NumChildren     int32
}

// node is one node. created counts the children ever created, from which
// sequence numbers are taken and, with the number there are, the cversion.
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
	children       map[string]bool // last parts of names
}

func (n *node) stat() Stat {
	return Stat{Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Cversion: 2*n.created - int32(len(n.children)), Aversion: n.aversion,
		EphemeralOwner: n.ephemeralOwner, DataLength: int32(len(n.data)), NumChildren: int32(len(n.children))}
}

// Tree is the whole state of a ZooKeeper server. It is not safe for concurrent
// use.
type Tree struct {
	zxid     int64 // of the last change; failed writes count too
	nodes    map[string]*node
	sessions map[int64]*session
	lastID   int64
	data     watches // of nodes' existence and data
	child    watches // of nodes' children
}

// reserved are the nodes of a fresh server, which nobody may delete.
var reserved = []string{"/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"}

// New returns the tree of a fresh server. The first change has the zxid 1.
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

// Zxid is the number of the last change.
func (t *Tree) Zxid() int64 { return t.zxid }

// split cuts a path into its parent and its last part.
func split(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/", path[i+1:]
	}
	return path[:i], path[i+1:]
}

// Get reads a node; watch sets a data watch on it. NoNode sets none.
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

// Exists looks for a node; watch sets a data watch, also where it is absent
// (NoNode), to hear of its creation.
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

// Children lists a node's children, sorted; watch sets a child watch on it.
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

// ACL reads a node's ACL as it was given.
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

// Paths lists all nodes, sorted, but those a fresh server has.
func (t *Tree) Paths() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(t.nodes)), func(path string) bool { return slices.Contains(reserved, path) })
}

// Peek reads a node outside of any session, for who looks at the whole.
func (t *Tree) Peek(path string) (data []byte, stat Stat, exists bool) {
	n := t.nodes[path]
	if n == nil {
		return nil, Stat{}, false
	}
	return n.data, n.stat(), true
}
