package tree

import (
	"maps"
	"slices"

	"github.com/monedula/monedula/zkserver/jute"
)

// EventType is the kind of an event, with its number on the wire.
type EventType int32

// The types of events.
const (
	NodeCreated         EventType = 1
	NodeDeleted         EventType = 2
	NodeDataChanged     EventType = 3
	NodeChildrenChanged EventType = 4
)

// Event is a fired watch. It must reach the session before the result of any later read.
type Event struct {
	Session int64
	Type    EventType
	Path    string
}

// watchMode is a set of ways in which a session watches a path.
type watchMode int

const (
	standard   watchMode = 1 << iota // fires once
	persistent                       // stays
	recursive                        // stays, and also fires for the nodes below the path
	allModes   = standard | persistent | recursive
)

// watches has the sessions that watch a node, by path.
type watches struct {
	of        map[string]map[int64]watchMode
	recursive int // recursive watches
}

func newWatches() watches { return watches{of: map[string]map[int64]watchMode{}} }

func (w *watches) add(path string, session int64, mode watchMode) {
	w.set(path, session, w.of[path][session]|mode)
}

// set changes how a session watches a path.
func (w *watches) set(path string, session int64, mode watchMode) {
	w.recursive += int(mode&recursive-w.of[path][session]&recursive) / int(recursive)
	if mode != 0 {
		if w.of[path] == nil {
			w.of[path] = map[int64]watchMode{}
		}
		w.of[path][session] = mode
		return
	}
	delete(w.of[path], session)
	if len(w.of[path]) == 0 {
		delete(w.of, path)
	}
}

// take removes the standard watches of a path and returns the ids of the sessions that watch it in
// any way, or a node above it recursively, sorted.
func (w *watches) take(path string) []int64 {
	sessions := slices.Collect(maps.Keys(w.of[path]))
	for _, id := range sessions {
		w.set(path, id, w.of[path][id]&^standard)
	}
	for above := path; w.recursive > 0 && above != "/"; {
		above, _ = split(above)
		for id, mode := range w.of[above] {
			if mode&recursive != 0 && !slices.Contains(sessions, id) {
				sessions = append(sessions, id)
			}
		}
	}
	slices.Sort(sessions)
	return sessions
}

// drop removes all watches of a session.
func (w *watches) drop(session int64) {
	for path := range w.of {
		w.set(path, session, 0)
	}
}

// count returns the number of sessions, of paths, and of pairs of them.
func (w *watches) count() (sessions, paths, all int) {
	watching := map[int64]bool{}
	for _, of := range w.of {
		all += len(of)
		for id := range of {
			watching[id] = true
		}
	}
	return len(watching), len(w.of), all
}

// nodeChange is a change of a node, which may fire watches when its transaction is committed. acl
// is the one of the node, and parentACL the one of its parent.
type nodeChange struct {
	what           EventType
	path           string
	acl, parentACL []jute.ACL
}

// commit fires the watches on the changed nodes, in the order of the changes. A session gets no event
// of a node that it may not read.
func (c *change) commit() (fired []Event) {
	fire := func(w *watches, e Event, acl []jute.ACL, except []int64) []int64 {
		sessions := w.take(e.Path)
		for _, id := range sessions {
			e.Session = id
			if s := c.t.sessions[id]; s != nil && !slices.Contains(except, id) && s.permitted(acl, PermRead) == nil {
				fired = append(fired, e)
			}
		}
		return sessions
	}
	for _, h := range c.done {
		notified := fire(&c.t.data, Event{Type: h.what, Path: h.path}, h.acl, nil)
		if h.what == NodeDataChanged {
			continue
		}
		if h.what == NodeDeleted { // a session that watches both the node and its children gets one event
			fire(&c.t.child, Event{Type: h.what, Path: h.path}, h.acl, notified)
		}
		parent, _ := split(h.path)
		fire(&c.t.child, Event{Type: NodeChildrenChanged, Path: parent}, h.parentACL, nil)
	}
	return fired
}

// AddWatch adds a watch that stays after it fired, on a node, or on a node and all nodes below it.
// The node need not exist.
func (t *Tree) AddWatch(session int64, path string, mode int32) error {
	if _, err := t.alive(session); err != nil {
		return err
	}
	switch mode {
	case jute.WatchPersistent:
		t.data.add(path, session, persistent)
		t.child.add(path, session, persistent)
	case jute.WatchPersistentRecursive:
		t.data.add(path, session, recursive)
	default:
		return MarshallingError
	}
	return nil
}

// watchKinds are the watches that CheckWatches and RemoveWatches take together: of the data and of
// the children.
var watchKinds = map[int32]struct{ data, child watchMode }{
	jute.WatchesOfChildren: {0, standard},
	jute.WatchesOfData:     {standard, 0},
	jute.WatchesOfAnyKind:  {allModes, allModes},
	4:                      {persistent, persistent},
	5:                      {recursive, 0},
}

// CheckWatches returns NoWatcher unless the session has a watch of a kind on the path.
func (t *Tree) CheckWatches(session int64, path string, kind int32) error {
	return t.changeWatches(session, path, kind, false)
}

// RemoveWatches removes the session's watches of a kind on the path. It returns NoWatcher if there
// are none.
func (t *Tree) RemoveWatches(session int64, path string, kind int32) error {
	return t.changeWatches(session, path, kind, true)
}

func (t *Tree) changeWatches(session int64, path string, kind int32, remove bool) error {
	if _, err := t.alive(session); err != nil {
		return err
	}
	modes, known := watchKinds[kind]
	if !known {
		return MarshallingError
	}
	data, child := t.data.of[path][session], t.child.of[path][session]
	if data&modes.data == 0 && child&modes.child == 0 {
		return NoWatcher
	}
	if remove {
		t.data.set(path, session, data&^modes.data)
		t.child.set(path, session, child&^modes.child)
	}
	return nil
}

// SetWatches restores the watches of a client that has reconnected. It returns events for the nodes
// that have changed since the last zxid that the client has seen.
func (t *Tree) SetWatches(session int64, r *jute.SetWatches2) []Event {
	if !t.Alive(session) {
		return nil
	}
	var fired []Event
	for _, path := range r.Data {
		if n := t.nodes[path]; n == nil {
			fired = append(fired, Event{session, NodeDeleted, path})
		} else if n.saved.Mzxid > r.RelativeZxid {
			fired = append(fired, Event{session, NodeDataChanged, path})
		} else {
			t.data.add(path, session, standard)
		}
	}
	for _, path := range r.Exist {
		if t.nodes[path] != nil {
			fired = append(fired, Event{session, NodeCreated, path})
		} else {
			t.data.add(path, session, standard)
		}
	}
	for _, path := range r.Child {
		if n := t.nodes[path]; n == nil {
			fired = append(fired, Event{session, NodeDeleted, path})
		} else if n.saved.Pzxid > r.RelativeZxid {
			fired = append(fired, Event{session, NodeChildrenChanged, path})
		} else {
			t.child.add(path, session, standard)
		}
	}
	for _, path := range r.Persistent {
		_ = t.AddWatch(session, path, jute.WatchPersistent)
	}
	for _, path := range r.PersistentRecursive {
		_ = t.AddWatch(session, path, jute.WatchPersistentRecursive)
	}
	return fired
}

// Watched counts the watches on the data of nodes: the sessions that have any, the paths, and the
// watches. ZooKeeper's summaries leave out those on children.
func (t *Tree) Watched() (sessions, paths, all int) { return t.data.count() }

// WatchCount returns the number of watches of both kinds.
func (t *Tree) WatchCount() int {
	_, _, data := t.data.count()
	_, _, child := t.child.count()
	return data + child
}
