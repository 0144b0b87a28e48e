package zkclient

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-zookeeper/zk"
)

// A watch is armed by a read and fires once. Handlers stay registered across sessions, but an armed
// watch belongs to one session.

// NodeWatch has the functions to call when a node is created or deleted or its data changes. nil
// functions are skipped. Changed is also called after each new session, since events may have been
// missed.
type NodeWatch struct{ Created, Deleted, Changed func() }

// handlers are guarded by Client.mu.
type handlers struct {
	node     map[string]NodeWatch
	children map[string]func()
}

// WatchChildren registers changed as the handler for changes of the children of path. Methods that
// list the children arm the watch. changed is also called after each new session. A path has one
// handler; a later call replaces it. The handler runs in the client's event goroutine and must only
// enqueue work.
func (c *Client) WatchChildren(path string, changed func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers.children[path] = changed
}

// UnwatchChildren removes the handler. A watch that is still armed has no effect.
func (c *Client) UnwatchChildren(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.handlers.children, path)
}

// WatchNode registers w for path. Arm and reads of the node's data arm it. Its functions run in the
// client's event goroutine and must only enqueue work.
func (c *Client) WatchNode(path string, w NodeWatch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers.node[path] = w
}

// UnwatchNode removes the handler. A watch that is still armed has no effect.
func (c *Client) UnwatchNode(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.handlers.node, path)
}

func (c *Client) watched(key watchKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if key.children {
		_, ok := c.handlers.children[key.path]
		return ok
	}
	_, ok := c.handlers.node[key.path]
	return ok
}

// onNodeEvent marks the watch as fired and queues a call of its handler. The handler is looked up
// only when the call runs.
func (c *Client) onNodeEvent(sess *session, e zk.Event) {
	path := strings.TrimPrefix(e.Path, c.chroot)
	if path == "" {
		path = "/"
	}
	switch e.Type {
	case zk.EventNodeChildrenChanged:
		sess.watches.fired(watchKey{path, true})
		c.events.add(func() { c.callChildren(path) })
	case zk.EventNodeDeleted: // fires a watch of the children too
		sess.watches.fired(watchKey{path, true})
		fallthrough
	case zk.EventNodeCreated, zk.EventNodeDataChanged:
		sess.watches.fired(watchKey{path, false})
		c.events.add(func() { c.callNode(path, e.Type) })
	}
}

func (c *Client) callChildren(path string) {
	c.mu.Lock()
	changed := c.handlers.children[path]
	c.mu.Unlock()
	if changed != nil {
		changed()
	}
}

func (c *Client) callNode(path string, event zk.EventType) {
	c.mu.Lock()
	w := c.handlers.node[path]
	c.mu.Unlock()
	call := w.Changed
	switch event {
	case zk.EventNodeCreated:
		call = w.Created
	case zk.EventNodeDeleted:
		call = w.Deleted
	}
	if call != nil {
		call()
	}
}

// fireAll queues a call of each handler. It is used after a new session.
func (c *Client) fireAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(c.handlers.children)) {
		c.events.add(func() { c.callChildren(path) })
	}
	for _, path := range slices.Sorted(maps.Keys(c.handlers.node)) {
		c.events.add(func() { c.callNode(path, zk.EventNodeDataChanged) })
	}
}

// watchKey is a watch on a node's data and existence, or on its children.
type watchKey struct {
	path     string
	children bool
}

// watchTable records which watches of a session are armed. It prevents a second read from arming a
// watch again, since the client library keeps a channel for each arming.
type watchTable struct {
	mu    sync.Mutex // guards marks
	marks map[watchKey]*watchMark
}

// watchMark exists while a watch is armed or being armed.
type watchMark struct {
	armed   bool
	arming  int  // number of reads in progress that arm the watch
	tripped bool // the watch fired during arming reads; it is unknown which of them had armed it
}

// begin must be called before a read of a watched path. It reports whether the read must arm the
// watch. If so, the caller must call end after the read.
func (t *watchTable) begin(key watchKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.marks == nil {
		t.marks = map[watchKey]*watchMark{}
	}
	m := t.marks[key]
	if m == nil {
		m = &watchMark{}
		t.marks[key] = m
	}
	if m.armed {
		return false
	}
	m.arming++
	return true
}

// end must be called after an arming read. armed reports whether the read armed the watch.
func (t *watchTable) end(key watchKey, armed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.marks[key]
	m.arming--
	m.armed = m.armed || armed && !m.tripped
	if m.arming == 0 {
		m.tripped = false
		if !m.armed {
			delete(t.marks, key)
		}
	}
}

func (t *watchTable) fired(key watchKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.marks[key]
	if m == nil {
		return
	}
	m.armed = false
	if m.arming > 0 {
		m.tripped = true
		return
	}
	delete(t.marks, key)
}

// eventQueue calls functions in order, in one goroutine. It has no size limit, because the client
// library's goroutines that add to it must never block.
type eventQueue struct {
	mu     sync.Mutex // guards calls and closed
	calls  []func()
	wake   chan struct{} // holds a token if calls is not empty or the queue is closed
	closed bool
}

func newEventQueue() *eventQueue { return &eventQueue{wake: make(chan struct{}, 1)} }

func (q *eventQueue) add(call func()) {
	q.mu.Lock()
	if !q.closed {
		q.calls = append(q.calls, call)
	}
	q.mu.Unlock()
	q.signal()
}

func (q *eventQueue) close() {
	q.mu.Lock()
	q.closed, q.calls = true, nil
	q.mu.Unlock()
	q.signal()
}

func (q *eventQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *eventQueue) run() {
	for range q.wake {
		if !q.callAll() {
			return
		}
	}
}

// callAll calls the queued functions. It returns false once the queue is closed.
func (q *eventQueue) callAll() bool {
	q.mu.Lock()
	calls, closed := q.calls, q.closed
	q.calls = nil
	q.mu.Unlock()
	if closed {
		return false
	}
	for _, call := range calls {
		call()
	}
	return true
}
