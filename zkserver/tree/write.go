package tree

import (
	"fmt"
	"slices"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
)

// Op is one write: Create, Delete, Set, SetACL, DeleteExpired, Refused or, within a multi, Check.
type Op interface {
	// prepare checks the operation and returns the transaction that carries it out. It changes
	// nothing.
	prepare(c *change) (jute.Op, jute.Record, error)
}

// Create creates a node. Nil Data is null, and a nil ACL is OpenACL. If Sequential is set, the number
// of children that the parent ever had is appended to the path, with ten digits. At most one of
// Ephemeral, Container and TTLMs is set.
type Create struct {
	Path       string
	Data       []byte
	ACL        []jute.ACL
	Ephemeral  bool
	Sequential bool
	Container  bool  // deleted after its last child
	TTLMs      int64 // deleted if it has no children and is not changed for this time; 0: never
}

// Delete deletes a node that has no children, if its version matches.
type Delete struct {
	Path    string
	Version int32
}

// Set sets a node's data if its version matches.
type Set struct {
	Path    string
	Data    []byte
	Version int32
}

// SetACL sets a node's ACL if its aversion matches Version.
type SetACL struct {
	Path    string
	ACL     []jute.ACL
	Version int32
}

// Check fails unless a node's version matches.
type Check struct {
	Path    string
	Version int32
}

// Refused is an operation that fails with its code, because the request was invalid.
type Refused struct{ Code Code }

// Result is the result of an operation.
type Result struct {
	Code Code
	Path string // of a Create: the path of the node
	Stat Stat   // of a Create, Set or SetACL
}

// change is a running transaction.
type change struct {
	t       *Tree
	session int64
	nowMs   int64
	zxid    int64
	done    []nodeChange
}

// begin starts a transaction of a session under the next zxid.
func (t *Tree) begin(session, nowMs int64) *change {
	t.zxid++
	return &change{t: t, session: session, nowMs: nowMs, zxid: t.zxid}
}

// Do runs one operation of a session and returns the events that it fires. The error, if any, is a
// Code. As in ZooKeeper, a failed operation also takes a zxid.
func (t *Tree) Do(session, nowMs int64, op Op) (Result, []Event, error) {
	if _, err := t.alive(session); err != nil {
		return Result{Code: SessionExpired}, nil, err
	}
	c := t.begin(session, nowMs)
	r, _, txn, err := c.do(op)
	t.record(session, txn.Type, txn.Body)
	if err != nil {
		return Result{Code: r.Code}, nil, err
	}
	return r, c.commit(), nil
}

// do carries one operation out, or changes nothing and returns an error. It returns the transaction
// to record in both cases. undo reverts the change.
func (c *change) do(op Op) (r Result, undo func(), txn jute.Txn, err error) {
	kind, body, err := op.prepare(c)
	if err == nil {
		r, undo, err = c.apply(kind, body)
	}
	if err != nil {
		code := CodeOf(err)
		return Result{Code: code}, nil, jute.Txn{Type: jute.OpError, Body: &jute.ErrorTxn{Err: int32(code)}}, err
	}
	return r, undo, jute.Txn{Type: kind, Body: body}, nil
}

// Multi runs all operations under one zxid, or none. If one fails, the error is its Code, the
// results of the operations before it are OK although they have no effect, and the results of those
// after it are RuntimeInconsistency.
func (t *Tree) Multi(session, nowMs int64, ops ...Op) ([]Result, []Event, error) {
	if _, err := t.alive(session); err != nil {
		return nil, nil, err
	}
	c := t.begin(session, nowMs)
	results := make([]Result, len(ops))
	multi := &jute.MultiTxn{}
	defer func() { t.record(session, jute.OpMulti, multi) }()
	var undo []func()
	for i, op := range ops {
		r, back, txn, err := c.do(op)
		if err == nil {
			results[i] = r
			undo = append(undo, back)
			multi.Txns = append(multi.Txns, txn)
			continue
		}
		for _, back := range slices.Backward(undo) {
			back()
		}
		multi.Txns = nil
		for j := range results {
			results[j] = Result{}
			if j > i {
				results[j].Code = RuntimeInconsistency
			}
			if j == i {
				results[j].Code = CodeOf(err)
			}
			multi.Txns = append(multi.Txns, jute.Txn{Type: jute.OpError, Body: &jute.ErrorTxn{Err: int32(results[j].Code)}})
		}
		return results, nil, err
	}
	return results, c.commit(), nil
}

func (o Refused) prepare(*change) (jute.Op, jute.Record, error) { return 0, nil, o.Code }

func (o Create) prepare(c *change) (jute.Op, jute.Record, error) {
	if !strings.Contains(o.Path, "/") || strings.IndexByte(o.Path, 0) >= 0 {
		return 0, nil, BadArguments
	}
	s := c.t.sessions[c.session]
	acl, err := s.fixACL(o.ACL)
	if err != nil {
		return 0, nil, err
	}
	parent := c.t.nodes[o.Path[:strings.LastIndexByte(o.Path, '/')]]
	if strings.LastIndexByte(o.Path, '/') == 0 {
		parent = c.t.nodes["/"]
	}
	if parent == nil {
		return 0, nil, NoNode
	}
	if err := s.permitted(parent.acl, PermCreate); err != nil {
		return 0, nil, err
	}
	path := o.Path
	if o.Sequential {
		path = fmt.Sprintf("%s%010d", path, parent.saved.Cversion)
	}
	switch {
	case !validPath(path):
		return 0, nil, BadArguments
	case c.t.nodes[path] != nil:
		return 0, nil, NodeExists
	case kindOf(parent.saved.EphemeralOwner) == ephemeral:
		return 0, nil, NoChildrenForEphemerals
	}
	if err := c.t.withinQuota(path, 1, len(o.Data)); err != nil {
		return 0, nil, err
	}
	data, cversion := slices.Clone(o.Data), parent.saved.Cversion+1
	contained := jute.CreateContainerTxn{Path: path, Data: data, ACL: acl, ParentCVersion: cversion}
	switch {
	case o.Container:
		return jute.OpCreateContainer, &contained, nil
	case o.TTLMs > 0:
		return jute.OpCreateTTL, &jute.CreateTTLTxn{CreateContainerTxn: contained, TTL: o.TTLMs}, nil
	}
	return jute.OpCreate, &jute.CreateTxn{Path: path, Data: data, ACL: acl, Ephemeral: o.Ephemeral, ParentCVersion: cversion}, nil
}

func (o Delete) prepare(c *change) (jute.Op, jute.Record, error) {
	if slices.Contains(reserved, o.Path) || !strings.Contains(o.Path, "/") || strings.IndexByte(o.Path, 0) >= 0 {
		return 0, nil, BadArguments
	}
	parentPath, _ := split(o.Path)
	parent := c.t.nodes[parentPath]
	if parent == nil {
		return 0, nil, NoNode
	}
	if err := c.t.sessions[c.session].permitted(parent.acl, PermDelete); err != nil {
		return 0, nil, err
	}
	n := c.t.nodes[o.Path]
	switch {
	case n == nil:
		return 0, nil, NoNode
	case !versionMatches(o.Version, n.saved.Version):
		return 0, nil, BadVersion
	case len(n.children) > 0:
		return 0, nil, NotEmpty
	}
	return jute.OpDelete, &jute.DeleteTxn{Path: o.Path}, nil
}

// target returns the node that an operation is for. It returns BadArguments for an invalid path,
// NoNode, or NoAuth if the session does not have the permission.
func (c *change) target(path string, perm int32) (*node, error) {
	if !validPath(path) {
		return nil, BadArguments
	}
	n := c.t.nodes[path]
	if n == nil {
		return nil, NoNode
	}
	return n, c.t.sessions[c.session].permitted(n.acl, perm)
}

func versionMatches(expected, actual int32) bool { return expected == AnyVersion || expected == actual }

func (o Set) prepare(c *change) (jute.Op, jute.Record, error) {
	n, err := c.target(o.Path, PermWrite)
	if err == nil {
		err = c.t.withinQuota(o.Path, 0, len(o.Data)-len(n.data))
	}
	switch {
	case err != nil:
		return 0, nil, err
	case !versionMatches(o.Version, n.saved.Version):
		return 0, nil, BadVersion
	}
	return jute.OpSetData, &jute.SetDataTxn{Path: o.Path, Data: slices.Clone(o.Data), Version: n.saved.Version + 1}, nil
}

func (o SetACL) prepare(c *change) (jute.Op, jute.Record, error) {
	if !validPath(o.Path) {
		return 0, nil, BadArguments
	}
	acl, err := c.t.sessions[c.session].fixACL(o.ACL)
	if err != nil {
		return 0, nil, err
	}
	n, err := c.target(o.Path, PermAdmin)
	switch {
	case err != nil:
		return 0, nil, err
	case !versionMatches(o.Version, n.saved.Aversion):
		return 0, nil, BadVersion
	}
	return jute.OpSetACL, &jute.SetACLTxn{Path: o.Path, ACL: acl, Version: n.saved.Aversion + 1}, nil
}

func (o Check) prepare(c *change) (jute.Op, jute.Record, error) {
	n, err := c.target(o.Path, PermRead)
	switch {
	case err != nil:
		return 0, nil, err
	case !versionMatches(o.Version, n.saved.Version):
		return 0, nil, BadVersion
	}
	return jute.OpCheck, &jute.CheckVersionTxn{Path: o.Path, Version: n.saved.Version + 1}, nil
}

// validPath reports whether path is a valid path of a node.
func validPath(path string) bool {
	if path == "/" {
		return true
	}
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for _, part := range strings.Split(path[1:], "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(path, func(r rune) bool { // ZooKeeper sees runes above 0xffff as surrogates
		return r < 0x20 || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0
	})
}
