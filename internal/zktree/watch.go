package zktree

import (
	"maps"
	"slices"
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

// watches has the ids of the sessions that watch a node, by path.
type watches map[string]map[int64]bool

func (w watches) add(path string, session int64) {
	if w[path] == nil {
		w[path] = map[int64]bool{}
	}
	w[path][session] = true
}

// take removes the watches of a path and returns the ids of their sessions, sorted.
func (w watches) take(path string) []int64 {
	sessions := slices.Sorted(maps.Keys(w[path]))
	delete(w, path)
	return sessions
}

// drop removes all watches of a session.
func (w watches) drop(session int64) {
	for path, sessions := range w {
		delete(sessions, session)
		if len(sessions) == 0 {
			delete(w, path)
		}
	}
}

// nodeChange is a change of a node, which may fire watches when its transaction is committed.
type nodeChange struct {
	what EventType
	path string
}

func (c *change) note(what EventType, path string) { c.done = append(c.done, nodeChange{what, path}) }

// commit fires the watches on the changed nodes, in the order of the changes.
func (c *change) commit() (fired []Event) {
	fire := func(w watches, path string, what EventType, except []int64) []int64 {
		sessions := w.take(path)
		for _, id := range sessions {
			if !slices.Contains(except, id) {
				fired = append(fired, Event{Session: id, Type: what, Path: path})
			}
		}
		return sessions
	}
	for _, h := range c.done {
		notified := fire(c.t.data, h.path, h.what, nil)
		if h.what == NodeDataChanged {
			continue
		}
		if h.what == NodeDeleted { // a session that watches both the node and its children gets one event
			fire(c.t.child, h.path, h.what, notified)
		}
		parent, _ := split(h.path)
		fire(c.t.child, parent, NodeChildrenChanged, nil)
	}
	return fired
}
