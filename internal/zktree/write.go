package zktree

import (
	"fmt"
	"slices"
	"strings"
)

// Op is one write: Create, Delete, Set, SetACL or, within a multi, Check.
type Op interface {
	// do changes the tree, or changes nothing and returns an error. undo reverts the change.
	do(c *change) (r Result, undo func(), err error)
}

// Create creates a node. Nil Data is null. If Sequential is set, the number of children that the
// parent ever had is appended to the path, with ten digits.
type Create struct {
	Path       string
	Data       []byte
	ACL        []byte
	Ephemeral  bool
	Sequential bool
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
	ACL     []byte
	Version int32
}

// Check fails unless a node's version matches.
type Check struct {
	Path    string
	Version int32
}

// Result is the result of an operation.
type Result struct {
	Code Code
	Path string // of a Create: the path of the node
	Stat Stat   // of a Set or SetACL
}

// change is a running transaction.
type change struct {
	t       *Tree
	session int64
	nowMs   int64
	done    []nodeChange
}

// Do runs one operation of a session and returns the events that it fires. The error, if any, is a
// Code. As in ZooKeeper, a failed operation also takes a zxid.
func (t *Tree) Do(session, nowMs int64, op Op) (Result, []Event, error) {
	if err := t.alive(session); err != nil {
		return Result{Code: SessionExpired}, nil, err
	}
	t.zxid++
	c := &change{t: t, session: session, nowMs: nowMs}
	r, _, err := op.do(c)
	if err != nil {
		return Result{Code: codeOf(err)}, nil, err
	}
	return r, c.commit(), nil
}

// Multi runs all operations under one zxid, or none. If one fails, the error is its Code, the
// results of the operations before it are OK although they have no effect, and the results of those
// after it are RuntimeInconsistency.
func (t *Tree) Multi(session, nowMs int64, ops ...Op) ([]Result, []Event, error) {
	if err := t.alive(session); err != nil {
		return nil, nil, err
	}
	t.zxid++
	c := &change{t: t, session: session, nowMs: nowMs}
	results := make([]Result, len(ops))
	var undo []func()
	for i, op := range ops {
		r, back, err := op.do(c)
		if err == nil {
			results[i] = r
			undo = append(undo, back)
			continue
		}
		for _, back := range slices.Backward(undo) {
			back()
		}
		for j := range results {
			results[j] = Result{}
			if j > i {
				results[j].Code = RuntimeInconsistency
			}
		}
		results[i].Code = codeOf(err)
		return results, nil, err
	}
	return results, c.commit(), nil
}

func codeOf(err error) Code {
	if code, ok := err.(Code); ok {
		return code
	}
	return RuntimeInconsistency
}

func nothing() {}

func (o Create) do(c *change) (Result, func(), error) {
	if !strings.HasPrefix(o.Path, "/") {
		return Result{}, nil, BadArguments
	}
	parentPath, _ := split(o.Path)
	parent := c.t.nodes[parentPath]
	if parent == nil {
		return Result{}, nil, NoNode
	}
	path := o.Path
	if o.Sequential {
		path = fmt.Sprintf("%s%010d", path, parent.created)
	}
	switch {
	case !validPath(path):
		return Result{}, nil, BadArguments
	case c.t.nodes[path] != nil:
		return Result{}, nil, NodeExists
	case parent.ephemeralOwner != 0:
		return Result{}, nil, NoChildrenForEphemerals
	}
	n := &node{data: slices.Clone(o.Data), acl: o.ACL, czxid: c.t.zxid, mzxid: c.t.zxid, pzxid: c.t.zxid,
		ctime: c.nowMs, mtime: c.nowMs, children: map[string]bool{}}
	if o.Ephemeral {
		n.ephemeralOwner = c.session
	}
	pzxid := parent.pzxid
	parent.created++
	parent.pzxid = c.t.zxid
	c.t.link(path, n)
	c.note(NodeCreated, path)
	return Result{Path: path}, func() {
		c.t.unlink(path, n)
		parent.created--
		parent.pzxid = pzxid
	}, nil
}

func (o Delete) do(c *change) (Result, func(), error) {
	if slices.Contains(reserved, o.Path) || !strings.HasPrefix(o.Path, "/") {
		return Result{}, nil, BadArguments
	}
	n, err := c.expect(o.Path, o.Version, versionOf)
	switch {
	case err != nil:
		return Result{}, nil, err
	case len(n.children) > 0:
		return Result{}, nil, NotEmpty
	}
	return Result{}, c.remove(o.Path, n), nil
}

// remove deletes a node, which must not have children.
func (c *change) remove(path string, n *node) (undo func()) {
	parentPath, _ := split(path)
	parent := c.t.nodes[parentPath]
	pzxid := parent.pzxid
	c.t.unlink(path, n)
	parent.pzxid = c.t.zxid
	c.note(NodeDeleted, path)
	return func() {
		c.t.link(path, n)
		parent.pzxid = pzxid
	}
}

// expect returns the node at the path if its version matches. of returns the version to compare:
// that of the data or of the ACL.
func (c *change) expect(path string, version int32, of func(*node) int32) (*node, error) {
	n := c.t.nodes[path]
	switch {
	case n == nil:
		return nil, NoNode
	case version != AnyVersion && version != of(n):
		return nil, BadVersion
	}
	return n, nil
}

func versionOf(n *node) int32    { return n.version }
func aclVersionOf(n *node) int32 { return n.aversion }

func (o Set) do(c *change) (Result, func(), error) {
	n, err := c.expect(o.Path, o.Version, versionOf)
	if err != nil {
		return Result{}, nil, err
	}
	was := *n
	n.data, n.mzxid, n.mtime = slices.Clone(o.Data), c.t.zxid, c.nowMs
	n.version++
	c.note(NodeDataChanged, o.Path)
	return Result{Stat: n.stat()}, func() { *n = was }, nil
}

func (o SetACL) do(c *change) (Result, func(), error) {
	n, err := c.expect(o.Path, o.Version, aclVersionOf)
	if err != nil {
		return Result{}, nil, err
	}
	was := *n
	n.acl = o.ACL
	n.aversion++
	return Result{Stat: n.stat()}, func() { *n = was }, nil
}

func (o Check) do(c *change) (Result, func(), error) {
	_, err := c.expect(o.Path, o.Version, versionOf)
	if err != nil {
		return Result{}, nil, err
	}
	return Result{}, nothing, nil
}

func (t *Tree) link(path string, n *node) {
	parent, name := split(path)
	t.nodes[path] = n
	t.nodes[parent].children[name] = true
	if s := t.sessions[n.ephemeralOwner]; s != nil {
		s.ephemerals[path] = true
	}
}

func (t *Tree) unlink(path string, n *node) {
	parent, name := split(path)
	delete(t.nodes, path)
	delete(t.nodes[parent].children, name)
	if s := t.sessions[n.ephemeralOwner]; s != nil {
		delete(s.ephemerals, path)
	}
}

// validPath reports whether path is a valid path of a node.
func validPath(path string) bool {
	if path == "/" {
		return true
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
