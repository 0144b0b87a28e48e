// Package tree is ZooKeeper's data model as a pure state machine, as in Apache ZooKeeper 3.9: nodes
// with versions, sequence numbers, ephemeral, container and TTL nodes, ACLs, watches, multis and
// sessions. It has no clock, goroutines, files or network: the time is an argument, the events of
// fired watches are returned, and Record gets the transactions that recreate the tree. The server
// runs on it, and so do simulations and tests. Tests compare it with a real ZooKeeper, operation by
// operation.
//
//	tree.go      nodes, reads, the state
//	write.go     operations: what each checks, and the transaction that it becomes
//	apply.go     transactions: how each changes the tree, also when a log is replayed
//	session.go   sessions
//	watch.go     watches and events
//	acl.go       who may do what
//	expiry.go    container and TTL nodes
//	quota.go     quotas of nodes
//	snapshot.go  the whole tree, to be saved and restored
package tree

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
)

// Code is the number of a ZooKeeper error on the wire. OK is not an error.
type Code int32

// The codes that operations and the server return.
const (
	OK                      Code = 0
	RuntimeInconsistency    Code = -2 // in a failed multi: an operation after the one that failed
	MarshallingError        Code = -5
	Unimplemented           Code = -6
	BadArguments            Code = -8
	NoNode                  Code = -101
	NoAuth                  Code = -102
	BadVersion              Code = -103
	NoChildrenForEphemerals Code = -108
	NodeExists              Code = -110
	NotEmpty                Code = -111
	SessionExpired          Code = -112
	InvalidACL              Code = -114
	AuthFailed              Code = -115
	NoWatcher               Code = -121
	ReconfigDisabled        Code = -123
	QuotaExceeded           Code = -125
)

var codeNames = map[Code]string{OK: "OK", RuntimeInconsistency: "RUNTIMEINCONSISTENCY", MarshallingError: "MARSHALLINGERROR",
	Unimplemented: "UNIMPLEMENTED", BadArguments: "BADARGUMENTS", NoNode: "NONODE", NoAuth: "NOAUTH", BadVersion: "BADVERSION",
	NoChildrenForEphemerals: "NOCHILDRENFOREPHEMERALS", NodeExists: "NODEEXISTS", NotEmpty: "NOTEMPTY", SessionExpired: "SESSIONEXPIRED",
	InvalidACL: "INVALIDACL", AuthFailed: "AUTHFAILED", NoWatcher: "NOWATCHER", ReconfigDisabled: "RECONFIGDISABLED", QuotaExceeded: "QUOTAEXCEEDED"}

func (c Code) Error() string {
	if name := codeNames[c]; name != "" {
		return name
	}
	return fmt.Sprintf("code %d", int32(c))
}

// CodeOf returns the code of an error of this package, or OK if there is none.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	if code, ok := err.(Code); ok {
		return code
	}
	return RuntimeInconsistency
}

// AnyVersion as the version of an operation matches every version.
const AnyVersion int32 = -1

// Stat is the metadata of a node. Times are in milliseconds. A zxid is the number of a change of
// the tree.
type Stat = jute.Stat

// node is a node of the tree. The Cversion of its saved Stat counts all children that were ever
// created. It gives the sequence numbers and, together with the current number of children, the
// cversion that clients see.
type node struct {
	data     []byte // nil for null; replaced, never changed
	acl      []jute.ACL
	saved    jute.StatPersisted
	children map[string]bool // the last parts of their paths
}

func (n *node) stat() Stat {
	s := n.saved
	if kindOf(s.EphemeralOwner) != ephemeral {
		s.EphemeralOwner = 0
	}
	return Stat{Czxid: s.Czxid, Mzxid: s.Mzxid, Pzxid: s.Pzxid, Ctime: s.Ctime, Mtime: s.Mtime,
		Version: s.Version, Cversion: 2*s.Cversion - int32(len(n.children)), Aversion: s.Aversion,
		EphemeralOwner: s.EphemeralOwner, DataLength: int32(len(n.data)), NumChildren: int32(len(n.children))}
}

// Tree is the state of a ZooKeeper server. It is not safe for concurrent use.
type Tree struct {
	// Record, if not nil, is called with each transaction, in the order of the zxids, before the
	// call that caused it returns. If the caller sets Time to the time of that call, Replay of the
	// transactions gives the same tree. Cxid is not set.
	Record func(header jute.TxnHeader, txn jute.Record)
	// TTLNodes permits nodes with a time to live.
	TTLNodes bool
	// EnforceQuotas makes writes fail that would exceed a hard limit of a quota.
	EnforceQuotas bool

	zxid     int64 // of the last change or failed write
	nodes    map[string]*node
	sessions map[int64]*session
	lastID   int64
	data     watches // data watches, on the existence and data of nodes
	child    watches // child watches, on the children of nodes
	expiring map[string]bool
}

// reserved are the nodes of a new server. They cannot be deleted.
var reserved = []string{"/", "/zookeeper", configPath, quotaPath}

const configPath = "/zookeeper/config"

func empty() *Tree {
	return &Tree{nodes: map[string]*node{}, sessions: map[int64]*session{}, data: newWatches(), child: newWatches(), expiring: map[string]bool{}}
}

// New returns the tree of a new server. The first change has the zxid 1.
func New() *Tree {
	t := empty()
	t.addReserved()
	return t
}

// addReserved creates the missing nodes of a new server.
func (t *Tree) addReserved() {
	for _, path := range reserved {
		if t.nodes[path] != nil {
			continue
		}
		n := &node{data: []byte{}, acl: OpenACL, children: map[string]bool{}}
		if path == configPath {
			n.acl, n.saved.Aversion = readACL, -1
		}
		t.nodes[path] = n
		if path != "/" {
			parent, name := split(path)
			t.nodes[parent].children[name] = true
		}
	}
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

// readable returns the node at the path if the session is alive and may read it.
func (t *Tree) readable(session int64, path string) (*node, error) {
	s, err := t.alive(session)
	if err != nil {
		return nil, err
	}
	n := t.nodes[path]
	if n == nil {
		return nil, NoNode
	}
	return n, s.permitted(n.acl, PermRead)
}

// Get returns the data and the Stat of a node, or NoNode. If watch is true and the node exists, it
// sets a data watch. The caller must not change the data.
func (t *Tree) Get(session int64, path string, watch bool) ([]byte, Stat, error) {
	n, err := t.readable(session, path)
	if err != nil {
		return nil, Stat{}, err
	}
	if watch {
		t.data.add(path, session, standard)
	}
	return n.data, n.stat(), nil
}

// Exists returns the Stat of a node, or NoNode. If watch is true it sets a data watch, even if the
// node does not exist: the watch fires when the node is created.
func (t *Tree) Exists(session int64, path string, watch bool) (Stat, error) {
	n, err := t.readable(session, path)
	switch {
	case strings.IndexByte(path, 0) >= 0:
		return Stat{}, BadArguments
	case err != nil && err != NoNode:
		return Stat{}, err
	}
	if watch {
		t.data.add(path, session, standard)
	}
	if err != nil {
		return Stat{}, err
	}
	return n.stat(), nil
}

// Children returns the last parts of the paths of a node's children, sorted, and the Stat of the
// node, or NoNode. If watch is true and the node exists, it sets a child watch.
func (t *Tree) Children(session int64, path string, watch bool) ([]string, Stat, error) {
	n, err := t.readable(session, path)
	if err != nil {
		return nil, Stat{}, err
	}
	if watch {
		t.child.add(path, session, standard)
	}
	return slices.Sorted(maps.Keys(n.children)), n.stat(), nil
}

// AllChildrenNumber returns the number of nodes below a node, or NoNode.
func (t *Tree) AllChildrenNumber(session int64, path string) (int, error) {
	if _, err := t.readable(session, path); err != nil {
		return 0, err
	}
	if path == "/" {
		return len(t.nodes) - 1, nil
	}
	n := 0
	for other := range t.nodes {
		if strings.HasPrefix(other, path) && strings.HasPrefix(other[len(path):], "/") {
			n++
		}
	}
	return n, nil
}

// Ephemerals returns the sorted paths of the session's ephemeral nodes that begin with prefix.
func (t *Tree) Ephemerals(session int64, prefix string) ([]string, error) {
	s, err := t.alive(session)
	if err != nil {
		return nil, err
	}
	paths := []string{}
	for path := range s.ephemerals {
		if strings.TrimSpace(prefix) == "" || strings.HasPrefix(path, prefix) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// ACL returns the ACL of a node and the node's Stat, or NoNode. A session that may not change the ACL
// gets no digests of passwords.
func (t *Tree) ACL(session int64, path string) ([]jute.ACL, Stat, error) {
	s, err := t.alive(session)
	if err != nil {
		return nil, Stat{}, err
	}
	n := t.nodes[path]
	switch {
	case n == nil:
		return nil, Stat{}, NoNode
	case s.permitted(n.acl, PermRead|PermAdmin) != nil:
		return nil, Stat{}, NoAuth
	case s.permitted(n.acl, PermAdmin) != nil:
		return withoutPasswords(n.acl), n.stat(), nil
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

// Count returns the number of nodes.
func (t *Tree) Count() int { return len(t.nodes) }

// Size is how large a tree is.
type Size struct {
	DataBytes  int // of paths and data
	Ephemerals int
}

// Size counts the bytes and the ephemeral nodes of the tree.
func (t *Tree) Size() Size {
	var size Size
	for path, n := range t.nodes {
		size.DataBytes += len(path) + len(n.data)
	}
	for _, s := range t.sessions {
		size.Ephemerals += len(s.ephemerals)
	}
	return size
}
