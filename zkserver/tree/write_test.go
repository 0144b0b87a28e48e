package tree

import (
	"reflect"
	"slices"
	"testing"

	"github.com/monedula/monedula/zkserver/jute"
)

// aclOf returns an ACL for one user.
func aclOf(user string) []jute.ACL {
	return []jute.ACL{{Perms: PermAll, ID: jute.ID{Scheme: "digest", ID: user + ":secret"}}}
}

// A failed multi changes nothing but the zxid, and its results only show which operation failed.
func TestAFailedMultiChangesNothing(t *testing.T) {
	tr := New()
	s := tr.Open(0, 6000)
	do := func(op Op) {
		t.Helper()
		if _, _, err := tr.Do(s, 1, op); err != nil {
			t.Fatal(err)
		}
	}
	do(Create{Path: "/a", Data: []byte("1"), ACL: aclOf("acl")})
	do(Create{Path: "/a/b"})
	do(Create{Path: "/e", Ephemeral: true})
	type seen struct {
		data []byte
		acl  []jute.ACL
		stat Stat
	}
	look := func() map[string]seen {
		all := map[string]seen{}
		for _, path := range append(tr.Paths(), "/") {
			data, stat, _ := tr.Peek(path)
			acl, _, _ := tr.ACL(s, path)
			all[path] = seen{data, acl, stat}
		}
		return all
	}
	if _, err := tr.Exists(s, "/a", true); err != nil {
		t.Fatal(err)
	}
	before, zxid := look(), tr.Zxid()
	results, fired, err := tr.Multi(s, 2,
		Set{Path: "/a", Data: []byte("2"), Version: 0}, SetACL{Path: "/a", ACL: aclOf("x"), Version: AnyVersion},
		Create{Path: "/a/s-", Sequential: true}, Create{Path: "/n", Ephemeral: true}, Delete{Path: "/a/b", Version: 0}, Delete{Path: "/e", Version: AnyVersion},
		Check{Path: "/a", Version: 7}, Set{Path: "/a", Version: AnyVersion})
	want := []Result{{}, {}, {}, {}, {}, {}, {Code: BadVersion}, {Code: RuntimeInconsistency}}
	if err != BadVersion || len(fired) != 0 || !reflect.DeepEqual(results, want) {
		t.Errorf("%v %v %v, want %v", results, fired, err, want)
	}
	if after := look(); !reflect.DeepEqual(after, before) || tr.Zxid() != zxid+1 {
		t.Errorf("zxid %d after %d\n%+v, want\n%+v", tr.Zxid(), zxid, after, before)
	}
	if r, _, err := tr.Do(s, 3, Create{Path: "/a/s-", Sequential: true}); err != nil || r.Path != "/a/s-0000000001" {
		t.Errorf("%v %v", r, err)
	}
	tr.End(s)
	if paths := tr.Paths(); !reflect.DeepEqual(paths, []string{"/a", "/a/b", "/a/s-0000000001"}) {
		t.Errorf("remaining nodes: %v", paths)
	}
}

func TestWritesAreRefused(t *testing.T) {
	tr := New()
	s := tr.Open(0, 6000)
	for _, path := range []string{"/a", "/a/b", "/p"} {
		if _, _, err := tr.Do(s, 0, Create{Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := tr.Do(s, 0, Create{Path: "/e", Ephemeral: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		op   Op
		want error
	}{
		{Create{Path: "a"}, BadArguments}, {Create{Path: ""}, BadArguments}, {Create{Path: "/a//b"}, NoNode}, {Create{Path: "/a/."}, BadArguments},
		{Create{Path: "/a/.."}, BadArguments}, {Create{Path: "/a/b/"}, BadArguments},
		{Create{Path: "/a/\x1f"}, BadArguments}, {Create{Path: "/a/\u007f"}, BadArguments}, {Create{Path: "/a/\u009f"}, BadArguments},
		{Create{Path: "/a/\uf8ff"}, BadArguments}, {Create{Path: "/a/\ufff0"}, BadArguments}, {Create{Path: "/a/\uffff"}, BadArguments}, {Create{Path: "/a/\U0001f600"}, BadArguments},
		{Create{Path: "/a/ "}, nil}, {Create{Path: "/a/~"}, nil}, {Create{Path: "/a/\u00a0"}, nil}, {Create{Path: "/a/\uf900"}, nil}, {Create{Path: "/a/\uffef"}, nil},
		{Create{Path: "/"}, NodeExists}, {Create{Path: "/p"}, NodeExists}, {Create{Path: "/n/c"}, NoNode}, {Create{Path: "/e/c"}, NoChildrenForEphemerals},
		{Delete{Path: "/a", Version: AnyVersion}, NotEmpty}, {Delete{Path: "/n", Version: AnyVersion}, NoNode}, {Delete{Path: "/p", Version: 1}, BadVersion},
		{Set{Path: "/n", Version: AnyVersion}, NoNode}, {Set{Path: "/p", Version: 1}, BadVersion}, {Set{Path: "/p", Version: 0}, nil}, {Set{Path: "/p", Version: 0}, BadVersion},
		{SetACL{Path: "/n", Version: AnyVersion}, NoNode}, {SetACL{Path: "/p", Version: 1}, BadVersion}, {SetACL{Path: "/p", Version: 0}, nil},
		{Delete{Path: "/p", Version: 1}, nil},
	} {
		r, _, err := tr.Do(s, 0, c.op)
		if err != c.want || c.want != nil && r.Code != c.want {
			t.Errorf("%+v: %v %v, want %v", c.op, r, err, c.want)
		}
	}
}

func TestAnACLIsReplaced(t *testing.T) {
	tr := New()
	s := tr.Open(0, 6000)
	for _, op := range []Op{Create{Path: "/a", ACL: aclOf("old")}, SetACL{Path: "/a", ACL: aclOf("new"), Version: 0}} {
		if _, _, err := tr.Do(s, 0, op); err != nil {
			t.Fatal(err)
		}
	}
	if acl, stat, err := tr.ACL(s, "/a"); !slices.Equal(acl, aclOf("new")) || stat.Aversion != 1 || stat.Version != 0 || err != nil {
		t.Errorf("%v, %+v, %v", acl, stat, err)
	}
}
