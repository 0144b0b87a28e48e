package zkshell

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
)

// event is what happened to the session or to a watched node.
type event struct {
	state string // of the session
	kind  string
	path  string // of the node; empty if the event is one of the session
}

// String returns the text that Apache ZooKeeper's shell prints.
func (e event) String() string {
	path := e.path
	if path == "" {
		path = "null"
	}
	return fmt.Sprintf("WatchedEvent state:%s type:%s path:%s", e.state, e.kind, path)
}

// eventKinds are the kinds of events of nodes by their numbers.
var eventKinds = map[int32]string{1: "NodeCreated", 2: "NodeDeleted", 3: "NodeDataChanged", 4: "NodeChildrenChanged"}

// watchKind is a kind of watch.
type watchKind int

const (
	dataWatch watchKind = iota
	existWatch
	childWatch
	persistentWatch
	recursiveWatch
	watchKinds
)

// watches are the watches of a session, by kind and path. There is one listener for all, so an event
// that fires several watches is delivered once.
type watches [watchKinds]map[string]bool

func (w *watches) add(kind watchKind, path string) {
	if w[kind] == nil {
		w[kind] = map[string]bool{}
	}
	w[kind][path] = true
}

// remove removes a watch and reports whether it existed.
func (w *watches) remove(kind watchKind, path string) bool {
	existed := w[kind][path]
	delete(w[kind], path)
	return existed
}

// fire removes the watches that an event ends and reports whether there is a watch for it.
func (w *watches) fire(kind, path string) bool {
	fired := w[persistentWatch][path] || w.recursive(path)
	ends := map[string][]watchKind{"NodeCreated": {dataWatch, existWatch}, "NodeDataChanged": {dataWatch, existWatch},
		"NodeChildrenChanged": {childWatch}, "NodeDeleted": {dataWatch, existWatch, childWatch}}
	for _, k := range ends[kind] {
		fired = w.remove(k, path) || fired
	}
	return fired
}

// recursive reports whether a node or one above it has a recursive watch.
func (w *watches) recursive(path string) bool {
	for ; !w[recursiveWatch][path]; path = parentOf(path) {
		if path == "/" {
			return false
		}
	}
	return true
}

// parentOf returns the path of a node's parent; that of the root's is the root.
func parentOf(path string) string {
	if at := strings.LastIndexByte(path, '/'); at > 0 {
		return path[:at]
	}
	return "/"
}

// restore returns the request that sets all watches on a new connection, or nil if there are none.
func (w *watches) restore(lastZxid int64) (jute.Op, jute.Record) {
	paths := func(kind watchKind) []string { return slices.Sorted(maps.Keys(w[kind])) }
	all := &jute.SetWatches2{SetWatches: jute.SetWatches{RelativeZxid: lastZxid, Data: paths(dataWatch), Exist: paths(existWatch), Child: paths(childWatch)},
		Persistent: paths(persistentWatch), PersistentRecursive: paths(recursiveWatch)}
	switch {
	case len(all.Persistent)+len(all.PersistentRecursive) > 0:
		return jute.OpSetWatches2, all
	case len(all.Data)+len(all.Exist)+len(all.Child) > 0: // also servers before 3.6 know this one
		return jute.OpSetWatches, &all.SetWatches
	}
	return 0, nil
}
