package tree

import (
	"maps"
	"slices"
)

// EventType is what happened to a watched node, numbered as on the wire.
type EventType int32

// The types of events.
const (
	NodeCreated         EventType = 1
	NodeDeleted         EventType = 2
	NodeDataChanged     EventType = 3
	NodeChildrenChanged EventType = 4
)

// Event is a watch that fired: the session hears of it before it sees any
// later state.
type Event struct {
	Session int64
	Type    EventType
	Path    string
}

// watches are the sessions that watch nodes, by path.
type watches map[string]map[int64]bool

func (w watches) add(path string, session int64) {
	if w[path] == nil {
		w[path] = map[int64]bool{}
	}
	w[path][session] = true
}

// take ends the watches of a path and lists whose they were.
func (w watches) take(path string) []int64 {
	sessions := slices.Sorted(maps.Keys(w[path]))
	delete(w, path)
	return sessions
}

func (w watches) drop(session int64) {
	for path, sessions := range w {
		delete(sessions, session)
		if len(sessions) == 0 {
			delete(w, path)
		}
	}
}

// happened is a change that may fire watches once its transaction is done.
type happened struct {
	what EventType
	path string
}

func (c *change) note(what EventType, path string) { c.done = append(c.done, happened{what, path}) }

// commit fires what the transaction's changes fire, in their order.
func (c *change) commit() (fired []Event) {
	fire := func(w watches, path string, what EventType, but []int64) []int64 {
		sessions := w.take(path)
		for _, id := range sessions {
			if !slices.Contains(but, id) {
				fired = append(fired, Event{Session: id, Type: what, Path: path})
			}
		}
		return sessions
	}
	for _, h := range c.done {
		told := fire(c.t.data, h.path, h.what, nil)
		if h.what == NodeDataChanged {
			continue
		}
		if h.what == NodeDeleted { // who watches both the node and its children is told once
			fire(c.t.child, h.path, h.what, told)
		}
		parent, _ := split(h.path)
		fire(c.t.child, parent, NodeChildrenChanged, nil)
	}
	return fired
}
