package tree

import (
	"slices"
	"testing"
)

// A change fires the watches on it once. A second change of the same kind fires nothing until the
// session sets a watch again.
func TestWatchesFireOnce(t *testing.T) {
	get := func(tr *Tree, s int64, path string) error { _, _, err := tr.Get(s, path, true); return err }
	exists := func(tr *Tree, s int64, path string) error { _, err := tr.Exists(s, path, true); return err }
	children := func(tr *Tree, s int64, path string) error { _, _, err := tr.Children(s, path, true); return err }
	set := Set{Path: "/a", Data: []byte("x"), Version: AnyVersion}
	for _, c := range []struct {
		name  string
		watch func(*Tree, int64, string) error
		path  string
		op    Op
		want  EventType // 0: no event
		again Op        // a change of the same kind
	}{
		{"data is set", get, "/a", set, NodeDataChanged, set},
		{"data of a node that exists is set", exists, "/a", set, NodeDataChanged, set},
		{"a child is created", get, "/a", Create{Path: "/a/c"}, 0, nil},
		{"the node is deleted", get, "/a/b", Delete{Path: "/a/b", Version: AnyVersion}, NodeDeleted, Create{Path: "/a/b"}},
		{"a missing node is created", exists, "/n", Create{Path: "/n"}, NodeCreated, Delete{Path: "/n", Version: AnyVersion}},
		{"a child of a listed node is created", children, "/a", Create{Path: "/a/c"}, NodeChildrenChanged, Create{Path: "/a/d"}},
		{"a child of a listed node is deleted", children, "/a", Delete{Path: "/a/b", Version: AnyVersion}, NodeChildrenChanged, Create{Path: "/a/b"}},
		{"the data of a listed node is set", children, "/a", set, 0, nil},
		{"a grandchild of a listed node is created", children, "/", Create{Path: "/a/c"}, 0, nil},
		{"a listed node is deleted", children, "/a/b", Delete{Path: "/a/b", Version: AnyVersion}, NodeDeleted, Create{Path: "/a/b"}},
		{"an ACL is set", get, "/a", SetACL{Path: "/a", Version: AnyVersion}, 0, nil},
	} {
		tr := New()
		watcher, writer := tr.Open(0, 6000), tr.Open(0, 6000)
		do := func(op Op) []Event {
			t.Helper()
			_, fired, err := tr.Do(writer, 0, op)
			if err != nil {
				t.Fatalf("%s: %+v: %v", c.name, op, err)
			}
			return fired
		}
		do(Create{Path: "/a"})
		do(Create{Path: "/a/b"})
		if err := c.watch(tr, watcher, c.path); err != nil && err != NoNode {
			t.Fatal(err)
		}
		var want []Event
		if c.want != 0 {
			want = []Event{{Session: watcher, Type: c.want, Path: c.path}}
		}
		if fired := do(c.op); !slices.Equal(fired, want) {
			t.Errorf("%s: fired %v, want %v", c.name, fired, want)
		}
		if c.again != nil {
			if fired := do(c.again); len(fired) != 0 {
				t.Errorf("%s: fired again: %v", c.name, fired)
			}
		}
	}
}

func TestReadingWithoutAWatchSetsNone(t *testing.T) {
	tr := New()
	s := tr.Open(0, 6000)
	if _, _, err := tr.Do(s, 0, Create{Path: "/a"}); err != nil {
		t.Fatal(err)
	}
	_, _, get := tr.Get(s, "/a", false)
	_, exists := tr.Exists(s, "/a", false)
	_, absent := tr.Exists(s, "/n", false)
	_, _, children := tr.Children(s, "/", false)
	if get != nil || exists != nil || absent != NoNode || children != nil || tr.WatchCount() != 0 {
		t.Errorf("%v %v %v %v: %v %v", get, exists, absent, children, tr.data, tr.child)
	}
}

func TestReadsOfAMissingNodeReturnNoNode(t *testing.T) {
	tr := New()
	s := tr.Open(0, 6000)
	_, _, get := tr.Get(s, "/n", true)
	_, exists := tr.Exists(s, "/n", false)
	_, _, children := tr.Children(s, "/n", true)
	_, _, acl := tr.ACL(s, "/n")
	for what, err := range map[string]error{"Get": get, "Exists": exists, "Children": children, "ACL": acl} {
		if err != NoNode {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, found := tr.Peek("/n"); found || tr.WatchCount() != 0 {
		t.Errorf("found %t, watches %v %v", found, tr.data, tr.child)
	}
}
