package tree

import (
	"slices"
	"testing"

	"github.com/monedula/monedula/zkserver/jute"
)

var (
	alice = jute.ID{Scheme: "digest", ID: "alice:hash"}
	local = jute.ID{Scheme: "ip", ID: "10.1.2.3"}
)

// guarded returns a tree with the node /a whose ACL has one entry, a child /a/c, and a session with
// the identities.
func guarded(t *testing.T, entry jute.ACL, ids ...jute.ID) (*Tree, int64) {
	t.Helper()
	tr := New()
	root, s := tr.Open(0, 6000), tr.Open(0, 6000)
	for _, op := range []Op{Create{Path: "/a"}, Create{Path: "/a/c"}, SetACL{Path: "/a", ACL: []jute.ACL{entry}, Version: AnyVersion}} {
		if _, _, err := tr.Do(root, 0, op); err != nil {
			t.Fatal(err)
		}
	}
	tr.Identify(s, ids)
	return tr, s
}

func TestEachOperationNeedsItsPermission(t *testing.T) {
	do := func(op Op) func(*Tree, int64) error {
		return func(tr *Tree, s int64) error { _, _, err := tr.Do(s, 0, op); return err }
	}
	for _, c := range []struct {
		name  string
		perms int32
		try   func(*Tree, int64) error
	}{
		{"get", PermRead, func(tr *Tree, s int64) error { _, _, err := tr.Get(s, "/a", false); return err }},
		{"exists", PermRead, func(tr *Tree, s int64) error { _, err := tr.Exists(s, "/a", true); return err }},
		{"children", PermRead, func(tr *Tree, s int64) error { _, _, err := tr.Children(s, "/a", false); return err }},
		{"count", PermRead, func(tr *Tree, s int64) error { _, err := tr.AllChildrenNumber(s, "/a"); return err }},
		{"ACL", PermRead | PermAdmin, func(tr *Tree, s int64) error { _, _, err := tr.ACL(s, "/a"); return err }},
		{"set", PermWrite, do(Set{Path: "/a", Version: AnyVersion})},
		{"create", PermCreate, do(Create{Path: "/a/b"})},
		{"delete", PermDelete, do(Delete{Path: "/a/c", Version: AnyVersion})},
		{"set the ACL", PermAdmin, do(SetACL{Path: "/a", ACL: OpenACL, Version: AnyVersion})},
		{"check", PermRead, do(Check{Path: "/a", Version: AnyVersion})},
	} {
		for bit := PermRead; bit <= PermAdmin; bit <<= 1 {
			tr, s := guarded(t, jute.ACL{Perms: bit, ID: alice}, local, alice)
			want := error(NoAuth)
			if c.perms&bit != 0 {
				want = nil
			}
			if err := c.try(tr, s); err != want {
				t.Errorf("%s with permission %d: %v, want %v", c.name, bit, err, want)
			}
		}
	}
}

func TestIdentitiesMatchEntries(t *testing.T) {
	for _, c := range []struct {
		entry, id jute.ID
		want      bool
	}{
		{anyone, local, true}, {alice, alice, true}, {alice, jute.ID{Scheme: "digest", ID: "alice:other"}, false}, {alice, local, false},
		{local, local, true}, {jute.ID{Scheme: "ip", ID: "10.1.0.0/16"}, local, true}, {jute.ID{Scheme: "ip", ID: "10.2.0.0/16"}, local, false},
		{jute.ID{Scheme: "ip", ID: "0.0.0.0/0"}, local, true}, {jute.ID{Scheme: "ip", ID: "10.1.2.4"}, local, false},
		{alice, jute.ID{Scheme: "super", ID: ""}, true},
	} {
		tr, s := guarded(t, jute.ACL{Perms: PermRead, ID: c.entry}, c.id)
		if _, _, err := tr.Get(s, "/a", false); (err == nil) != c.want {
			t.Errorf("%v for %v: %v", c.id, c.entry, err)
		}
	}
}

func TestACLsAreChecked(t *testing.T) {
	tr := New()
	s := tr.Open(0, 6000)
	tr.Identify(s, []jute.ID{local, alice})
	id := func(scheme, id string) jute.ACL { return jute.ACL{Perms: PermAll, ID: jute.ID{Scheme: scheme, ID: id}} }
	for i, c := range []struct {
		acl, want []jute.ACL
	}{
		{[]jute.ACL{}, nil}, {[]jute.ACL{id("world", "everyone")}, nil}, {[]jute.ACL{id("sasl", "kafka")}, nil}, {[]jute.ACL{id("digest", "alice")}, nil},
		{[]jute.ACL{id("ip", "10.0.0.256")}, nil}, {[]jute.ACL{id("ip", "10.0.0.1/33")}, nil}, {[]jute.ACL{id("ip", "10.0.0.1/x")}, nil},
		{nil, OpenACL}, {OpenACL, OpenACL}, {[]jute.ACL{OpenACL[0], OpenACL[0]}, OpenACL}, {[]jute.ACL{id("ip", "10.0.0.0/8")}, []jute.ACL{id("ip", "10.0.0.0/8")}},
		{[]jute.ACL{id("auth", "")}, []jute.ACL{{Perms: PermAll, ID: alice}}},
	} {
		path := "/" + string(rune('a'+i))
		_, _, err := tr.Do(s, 0, Create{Path: path, ACL: c.acl})
		if c.want == nil {
			if err != InvalidACL {
				t.Errorf("%v: %v", c.acl, err)
			}
			continue
		}
		if got, _, getErr := tr.ACL(s, path); err != nil || getErr != nil && getErr != NoAuth || getErr == nil && !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, %v, %v, want %v", c.acl, got, err, getErr, c.want)
		}
	}
	tr.Identify(s, []jute.ID{local})
	if _, _, err := tr.Do(s, 0, Create{Path: "/z", ACL: []jute.ACL{id("auth", "")}}); err != InvalidACL {
		t.Errorf("auth without an identity: %v", err)
	}
}

func TestPasswordsAreHiddenFromSessionsThatMayNotChangeTheACL(t *testing.T) {
	tr, s := guarded(t, jute.ACL{Perms: PermRead | PermAdmin, ID: alice}, alice)
	if acl, _, err := tr.ACL(s, "/a"); err != nil || acl[0].ID.ID != "alice:hash" {
		t.Errorf("%v, %v", acl, err)
	}
	tr, s = guarded(t, jute.ACL{Perms: PermRead, ID: alice}, alice)
	if acl, _, err := tr.ACL(s, "/a"); err != nil || acl[0].ID.ID != "alice:x" {
		t.Errorf("%v, %v", acl, err)
	}
}

// A session gets no event of a node that it may not read.
func TestEventsNeedThePermissionToRead(t *testing.T) {
	tr, s := guarded(t, jute.ACL{Perms: PermWrite, ID: alice}, alice)
	if err := tr.AddWatch(s, "/a", jute.WatchPersistentRecursive); err != nil {
		t.Fatal(err)
	}
	if _, fired, err := tr.Do(s, 0, Set{Path: "/a", Version: AnyVersion}); err != nil || len(fired) != 0 {
		t.Errorf("%v, %v", fired, err)
	}
}
