package tree

import (
	"slices"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
)

// Snapshot is the state of a tree under one zxid, without watches. It shares the data and ACLs of
// nodes with the tree; both only read them.
type Snapshot struct {
	Zxid     int64
	Sessions map[int64]int64 // timeouts in ms by id
	Nodes    []SavedNode
}

// SavedNode is a node in a Snapshot.
type SavedNode struct {
	Path string
	Data []byte
	ACL  []jute.ACL
	Stat jute.StatPersisted
}

// Snapshot copies the state of the tree. The nodes are in no order.
func (t *Tree) Snapshot() *Snapshot {
	s := &Snapshot{Zxid: t.zxid, Sessions: make(map[int64]int64, len(t.sessions)), Nodes: make([]SavedNode, 0, len(t.nodes))}
	for id, open := range t.sessions {
		s.Sessions[id] = open.timeoutMs
	}
	for path, n := range t.nodes {
		s.Nodes = append(s.Nodes, SavedNode{Path: path, Data: n.data, ACL: n.acl, Stat: n.saved})
	}
	return s
}

// Sort sorts the nodes, which puts parents before their children.
func (s *Snapshot) Sort() {
	slices.SortFunc(s.Nodes, func(a, b SavedNode) int { return strings.Compare(a.Path, b.Path) })
}

// Restore returns the tree of a snapshot whose nodes are sorted. Loaded must be called after the
// transactions that follow the snapshot are replayed. It reports false if a node has no parent.
func Restore(s *Snapshot) (*Tree, bool) {
	t := empty()
	t.zxid = s.Zxid
	for id, timeoutMs := range s.Sessions {
		t.addSession(id, 0, timeoutMs)
	}
	for _, saved := range s.Nodes {
		n := &node{data: saved.Data, acl: saved.ACL, saved: saved.Stat, children: map[string]bool{}}
		parent, _ := split(saved.Path)
		switch {
		case saved.Path == "/":
			t.nodes["/"] = n
		case t.nodes[parent] == nil:
			return nil, false
		default:
			t.link(saved.Path, n)
		}
	}
	return t, t.nodes["/"] != nil
}
