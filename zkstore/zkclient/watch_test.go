package zkclient

import (
	"slices"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

func TestAWatchIsArmedByOneReadUntilItFires(t *testing.T) {
	var table watchTable
	key := watchKey{"/a", false}
	arm := func() bool {
		if !table.begin(key) {
			return false
		}
		table.end(key, true)
		return true
	}
	if !arm() || arm() {
		t.Error("the first read must arm the watch, and the second must not")
	}
	table.fired(key)
	if !arm() || arm() {
		t.Error("after the watch fired, one read must arm it")
	}
	table.fired(watchKey{"/a", true})
	if arm() {
		t.Error("firing the children watch must not affect the node watch")
	}
}

func TestAWatchThatFiresWhileBeingArmedIsArmedAgain(t *testing.T) {
	var table watchTable
	key := watchKey{"/a", true}
	if !table.begin(key) {
		t.Fatal("the read must arm the watch")
	}
	table.fired(key) // the event arrived between the answer and end
	table.end(key, true)
	if !table.begin(key) {
		t.Error("it is unknown whether the watch is armed, so the next read must arm it")
	}
	table.end(key, false) // that read failed
	if !table.begin(key) {
		t.Error("a failed read has armed no watch, so the next read must arm it")
	}
	table.end(key, true)
	if len(table.marks) != 1 {
		t.Errorf("%d marks", len(table.marks))
	}
	table.fired(key)
	if len(table.marks) != 0 {
		t.Error("the mark of a fired watch is left")
	}
}

func TestAWatchThatFiresDuringASecondArmingReadIsArmedAgain(t *testing.T) {
	var table watchTable
	key := watchKey{"/a", false}
	for range 2 { // two reads at the same time
		if !table.begin(key) {
			t.Fatal("both reads must arm the watch")
		}
	}
	table.end(key, true)
	table.fired(key)
	if !table.begin(key) {
		t.Error("a watch that has fired counts as armed")
	}
	table.end(key, false)
	table.end(key, false) // the second read failed
	if len(table.marks) != 0 {
		t.Error("a mark is left")
	}
}

func TestTheRootOfAChrootIsWatched(t *testing.T) {
	ctx, s := background(t), openClient(t, testkit.ZooKeeper(t))
	changed := make(chan struct{}, 10)
	s.WatchChildren("/", func() { changed <- struct{}{} })
	for _, path := range []string{"/a", "/b"} { // the second one is noticed only if the first event is
		must(t, second(s.Children(ctx, "/", true)))
		must(t, s.EnsurePath(ctx, path))
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("the handler was not called for %s", path)
		}
	}
}

func TestAllHandlersAreCalledAfterANewSession(t *testing.T) {
	s, _ := begun(t, &scripted{})
	var called []string
	note := func(what string) func() { return func() { called = append(called, what) } }
	s.WatchChildren("/b", note("children of b"))
	s.WatchChildren("/a", note("children of a"))
	s.WatchNode("/n", NodeWatch{Created: note("created"), Deleted: note("deleted"), Changed: note("n")})
	s.WatchNode("/m", NodeWatch{Created: note("created")})
	s.FireAll()
	if want := []string{"children of a", "children of b", "n"}; !slices.Equal(called, want) {
		t.Errorf("called: %v, want %v", called, want)
	}
}

// When a node is deleted, ZooKeeper removes the watch of its children and notifies the client only
// of the deletion.
func TestChildrenOfADeletedNodeAreWatchedAgain(t *testing.T) {
	ctx, s := background(t), openClient(t, testkit.ZooKeeper(t))
	must(t, s.EnsurePath(ctx, "/a"))
	changed, deleted := make(chan struct{}, 10), make(chan struct{}, 1)
	s.WatchChildren("/a", func() { changed <- struct{}{} })
	s.WatchNode("/a", NodeWatch{Deleted: func() { deleted <- struct{}{} }})
	must(t, second(s.Children(ctx, "/a", true)))
	must(t, second(s.Exists(ctx, "/a")))
	must(t, s.Remove(ctx, "/a"))
	<-deleted
	must(t, s.EnsurePath(ctx, "/a"))
	must(t, second(s.Children(ctx, "/a", true)))
	must(t, s.EnsurePath(ctx, "/a/x"))
	select {
	case <-changed:
	case <-ctx.Done():
		t.Error("the handler was not called for a new child")
	}
}
