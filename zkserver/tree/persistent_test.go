package tree

import (
	"slices"
	"testing"

	"github.com/monedula/monedula/zkserver/jute"
)

// watched returns a tree with the nodes /a and /a/b, a session that watches and one that writes.
func watched(t *testing.T) (tr *Tree, watcher int64, do func(Op) []Event) {
	t.Helper()
	tr = New()
	watcher, writer := tr.Open(0, 6000), tr.Open(0, 6000)
	do = func(op Op) []Event {
		t.Helper()
		_, fired, err := tr.Do(writer, 0, op)
		if err != nil {
			t.Fatalf("%+v: %v", op, err)
		}
		return fired
	}
	do(Create{Path: "/a"})
	do(Create{Path: "/a/b"})
	return tr, watcher, do
}

func TestPersistentWatchesStay(t *testing.T) {
	for mode, want := range map[int32][]Event{
		jute.WatchPersistent: {{Type: NodeDataChanged, Path: "/a"}, {Type: NodeChildrenChanged, Path: "/a"}, {Type: NodeChildrenChanged, Path: "/a"},
			{Type: NodeChildrenChanged, Path: "/a"}, {Type: NodeDeleted, Path: "/a"}, {Type: NodeCreated, Path: "/a"}},
		jute.WatchPersistentRecursive: {{Type: NodeDataChanged, Path: "/a"}, {Type: NodeCreated, Path: "/a/c"}, {Type: NodeDataChanged, Path: "/a/b"},
			{Type: NodeDeleted, Path: "/a/c"}, {Type: NodeDeleted, Path: "/a/b"}, {Type: NodeDeleted, Path: "/a"}, {Type: NodeCreated, Path: "/a"}},
	} {
		tr, watcher, do := watched(t)
		if err := tr.AddWatch(watcher, "/a", mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tr.Get(watcher, "/a", true); err != nil { // fires together with the other one
			t.Fatal(err)
		}
		var fired []Event
		for _, op := range []Op{Set{Path: "/a", Version: AnyVersion}, Create{Path: "/a/c"}, Set{Path: "/a/b", Version: AnyVersion}, Create{Path: "/other"},
			Delete{Path: "/a/c", Version: AnyVersion}, Delete{Path: "/a/b", Version: AnyVersion}, Delete{Path: "/a", Version: AnyVersion}, Create{Path: "/a"}} {
			fired = append(fired, do(op)...)
		}
		for i := range want {
			want[i].Session = watcher
		}
		if !slices.Equal(fired, want) {
			t.Errorf("mode %d: %v, want %v", mode, fired, want)
		}
	}
}

func TestWatchesAreCheckedAndRemovedByKind(t *testing.T) {
	set := map[string]func(*Tree, int64) error{
		"data":       func(tr *Tree, s int64) error { _, _, err := tr.Get(s, "/a", true); return err },
		"children":   func(tr *Tree, s int64) error { _, _, err := tr.Children(s, "/a", true); return err },
		"persistent": func(tr *Tree, s int64) error { return tr.AddWatch(s, "/a", jute.WatchPersistent) },
		"recursive":  func(tr *Tree, s int64) error { return tr.AddWatch(s, "/a", jute.WatchPersistentRecursive) },
	}
	kinds := map[int32][]string{jute.WatchesOfChildren: {"children"}, jute.WatchesOfData: {"data"}, 4: {"persistent"}, 5: {"recursive"},
		jute.WatchesOfAnyKind: {"data", "children", "persistent", "recursive"}}
	for what, watch := range set {
		for kind, names := range kinds {
			tr, s, _ := watched(t)
			if err := watch(tr, s); err != nil {
				t.Fatal(err)
			}
			want := error(NoWatcher)
			if slices.Contains(names, what) {
				want = nil
			}
			before := tr.WatchCount()
			if err := tr.CheckWatches(s, "/a", kind); err != want || tr.WatchCount() != before {
				t.Errorf("check of kind %d with a watch of %s: %v, want %v", kind, what, err, want)
			}
			if err := tr.RemoveWatches(s, "/a", kind); err != want || (tr.WatchCount() == 0) != (want == nil) {
				t.Errorf("removal of kind %d with a watch of %s: %v, want %v; %d left", kind, what, err, want, tr.WatchCount())
			}
			if tr.WatchCount() == 0 && tr.data.recursive != 0 {
				t.Errorf("%d recursive watches are counted", tr.data.recursive)
			}
		}
	}
	tr, s, _ := watched(t)
	for _, err := range []error{tr.AddWatch(s, "/a", 7), tr.CheckWatches(s, "/a", 9), tr.RemoveWatches(s, "/a", 0)} {
		if err != MarshallingError {
			t.Errorf("unknown mode or kind: %v", err)
		}
	}
}

func TestWatchesOfAReconnectedClientFireForWhatItMissed(t *testing.T) {
	tr, watcher, do := watched(t)
	seen := tr.Zxid()
	do(Set{Path: "/a", Version: AnyVersion})
	do(Delete{Path: "/a/b", Version: AnyVersion})
	do(Create{Path: "/new"})
	do(Create{Path: "/same"})
	fired := tr.SetWatches(watcher, &jute.SetWatches2{SetWatches: jute.SetWatches{RelativeZxid: seen, Data: []string{"/a", "/a/b"}, Exist: []string{"/new", "/never"},
		Child: []string{"/a", "/a/b"}}, Persistent: []string{"/p"}, PersistentRecursive: []string{"/r"}})
	want := []Event{{watcher, NodeDataChanged, "/a"}, {watcher, NodeDeleted, "/a/b"}, {watcher, NodeCreated, "/new"}, {watcher, NodeChildrenChanged, "/a"}, {watcher, NodeDeleted, "/a/b"}}
	if !slices.Equal(fired, want) {
		t.Errorf("%v, want %v", fired, want)
	}
	if fired := tr.SetWatches(watcher, &jute.SetWatches2{SetWatches: jute.SetWatches{RelativeZxid: tr.Zxid(), Data: []string{"/same"}, Child: []string{"/a"}}}); len(fired) != 0 {
		t.Errorf("fired for nothing: %v", fired)
	}
	var later []Event
	for _, op := range []Op{Create{Path: "/never"}, Set{Path: "/same", Version: AnyVersion}, Create{Path: "/a/d"}, Create{Path: "/p"}, Create{Path: "/r"}, Create{Path: "/r/x"}} {
		later = append(later, do(op)...)
	}
	want = []Event{{watcher, NodeCreated, "/never"}, {watcher, NodeDataChanged, "/same"}, {watcher, NodeChildrenChanged, "/a"}, {watcher, NodeCreated, "/p"},
		{watcher, NodeCreated, "/r"}, {watcher, NodeCreated, "/r/x"}}
	if !slices.Equal(later, want) {
		t.Errorf("later %v, want %v", later, want)
	}
}

func TestContainersAndNodesWithATimeToLiveExpire(t *testing.T) {
	tr := New()
	s := tr.Open(0, 6000)
	do := func(nowMs int64, op Op) {
		t.Helper()
		if _, _, err := tr.Do(s, nowMs, op); err != nil {
			t.Fatalf("%+v: %v", op, err)
		}
	}
	do(0, Create{Path: "/c", Container: true})
	do(0, Create{Path: "/unused", Container: true})
	do(0, Create{Path: "/c/x"})
	do(0, Create{Path: "/t", TTLMs: 100})
	do(0, Create{Path: "/u", TTLMs: 100})
	do(0, Create{Path: "/u/x"})
	expired := func(nowMs int64, want ...string) {
		t.Helper()
		if got := tr.Expired(nowMs); !slices.Equal(got, want) {
			t.Errorf("at %d: %v, want %v", nowMs, got, want)
		}
	}
	expired(100)
	expired(101, "/t")
	do(50, Set{Path: "/t", Version: AnyVersion})
	expired(101)
	do(101, Delete{Path: "/c/x", Version: AnyVersion})
	expired(101, "/c")
	if err := tr.AddWatch(s, "/c", jute.WatchPersistent); err != nil {
		t.Fatal(err)
	}
	zxid := tr.Zxid()
	if fired := tr.Expire("/c", 102); !slices.Equal(fired, []Event{{s, NodeDeleted, "/c"}}) || tr.Zxid() != zxid+1 {
		t.Errorf("%v, zxid %d", fired, tr.Zxid())
	}
	if tr.Expire("/c", 102) != nil || tr.Expire("/u", 500) != nil || tr.Zxid() != zxid+1 {
		t.Error("a missing node or one with children expired")
	}
	expired(1000, "/t")
}
