package tree

import (
	"errors"
	"testing"
)

func TestAnEndedSessionReadsNothingAndItsWatchesAreRemoved(t *testing.T) {
	tree := New()
	ended, open := tree.Open(0, 1000), tree.Open(0, 1000)
	if _, _, err := tree.Do(open, 0, Create{Path: "/a"}); err != nil {
		t.Fatal(err)
	}
	for _, session := range []int64{ended, open} {
		if _, _, err := tree.Children(session, "/a", true); err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Exists(session, "/a/b", true); err != NoNode {
			t.Fatal(err)
		}
	}
	tree.End(ended)
	_, _, read := tree.Get(ended, "/a", false)
	_, exists := tree.Exists(ended, "/a", false)
	_, _, children := tree.Children(ended, "/a", false)
	_, _, acl := tree.ACL(ended, "/a")
	for what, err := range map[string]error{"Get": read, "Exists": exists, "Children": children, "ACL": acl} {
		if !errors.Is(err, SessionExpired) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, events, err := tree.Do(open, 0, Create{Path: "/a/b"})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 {
		t.Errorf("fired %+v, want the two watches of the open session", events)
	}
	for _, e := range events {
		if e.Session != open {
			t.Errorf("fired for an ended session: %+v", e)
		}
	}
}
