package zkserver

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
)

// look returns what a server has at the paths, as text, and the ephemeral nodes of the client.
func look(c *rawClient, paths []string) (seen []string) {
	c.t.Helper()
	for _, path := range paths {
		var data jute.GetDataResponse
		if a, _ := c.call(jute.OpGetData, &jute.PathWatchRequest{Path: path}); a.header.Err != 0 {
			seen = append(seen, fmt.Sprintf("%s: error %d", path, a.header.Err))
			continue
		}
		c.must(jute.OpGetData, &jute.PathWatchRequest{Path: path}, &data)
		var acl jute.GetACLResponse
		c.must(jute.OpGetACL, &jute.PathRequest{Path: path}, &acl)
		seen = append(seen, fmt.Sprintf("%s: %q (null: %t) %+v %+v", path, data.Data, data.Data == nil, data.Stat, acl.ACL))
	}
	var own jute.PathsResponse
	c.must(jute.OpGetEphemerals, &jute.PathRequest{}, &own)
	return append(seen, fmt.Sprint(own.Paths))
}

// fill writes nodes of all kinds below a root.
func fill(c *rawClient, root string) (paths []string) {
	c.t.Helper()
	c.must(jute.OpAuth, &jute.AuthPacket{Scheme: "digest", Auth: []byte("alice:1")}, nil)
	c.create(root, 0)
	create := func(op jute.Op, name string, r jute.CreateRequest) {
		r.Path = root + name
		c.must(op, &r, nil)
		paths = append(paths, r.Path)
	}
	create(jute.OpCreate, "/null", jute.CreateRequest{ACL: openACL})
	create(jute.OpCreate, "/empty", jute.CreateRequest{Data: []byte{}, ACL: openACL})
	create(jute.OpCreate, "/large", jute.CreateRequest{Data: make([]byte, 100_000), ACL: openACL})
	create(jute.OpCreate2, "/owned", jute.CreateRequest{ACL: []jute.ACL{{Perms: 31, ID: jute.ID{Scheme: "auth"}}}})
	create(jute.OpCreate, "/e", jute.CreateRequest{ACL: openACL, Flags: jute.Ephemeral})
	create(jute.OpCreateContainer, "/container", jute.CreateRequest{ACL: openACL, Flags: jute.Container})
	create(jute.OpCreate, "/container/child", jute.CreateRequest{ACL: openACL})
	c.create(root+"/s-", jute.PersistentSequential)
	c.must(jute.OpSetData, &jute.SetDataRequest{Path: root + "/empty", Data: []byte("set"), Version: 0}, nil)
	c.must(jute.OpSetACL, &jute.SetACLRequest{Path: root + "/null", ACL: []jute.ACL{{Perms: 1, ID: jute.ID{Scheme: "world", ID: "anyone"}}}, Version: 0}, nil)
	c.must(jute.OpMulti, &jute.MultiRequest{Ops: []jute.MultiOp{{Type: jute.OpCreate, Body: &jute.CreateRequest{Path: root + "/m", ACL: openACL}},
		{Type: jute.OpSetData, Body: &jute.SetDataRequest{Path: root + "/m", Data: []byte("m"), Version: 0}}}}, nil)
	_, _ = c.call(jute.OpMulti, &jute.MultiRequest{Ops: []jute.MultiOp{{Type: jute.OpCreate, Body: &jute.CreateRequest{Path: root + "/failed", ACL: openACL}},
		{Type: jute.OpCheck, Body: &jute.PathVersionRequest{Path: root + "/failed", Version: 5}}}})
	_, _ = c.call(jute.OpDelete, &jute.PathVersionRequest{Path: root + "/missing"})
	return append(paths, root, root+"/m", root+"/failed", root+"/s-0000000007", "/", "/zookeeper/config")
}

// continueOn connects to the session of another server.
func continueOn(t *testing.T, address string, before *rawClient) *rawClient {
	t.Helper()
	c := dialRaw(t, address)
	if !c.connect(jute.ConnectRequest{TimeOut: 30_000, SessionID: before.session, Password: before.password}) {
		t.Fatal("the session is lost")
	}
	c.must(jute.OpAuth, &jute.AuthPacket{Scheme: "digest", Auth: []byte("alice:1")}, nil)
	return c
}

// Apache ZooKeeper continues with the files of the embedded server, and the embedded server with
// those of Apache ZooKeeper, which is killed. Nodes with all their metadata, ACLs, and sessions are
// the same.
func TestApacheZooKeeperAndTheEmbeddedServerContinueWithEachOthersFiles(t *testing.T) {
	for name, release := range testkit.ZooKeeperReleases(t) {
		t.Run(name, func(t *testing.T) { continueEachOther(t, release) })
	}
}

func continueEachOther(t *testing.T, release testkit.ZooKeeperRelease) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	embedded := func() *Server {
		return startMem(t, func(c *Config) { c.FS, c.DataDir, c.SnapCount = vfs.OS(), data, 12 })
	}
	s := embedded()
	c := connectRaw(t, s.Address())
	paths := fill(c, "/ours")
	want := look(c, paths)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	real, err := release.Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(real.Kill)
	c = continueOn(t, real.Address(), c)
	if got := look(c, paths); !reflect.DeepEqual(got, want) {
		t.Errorf("Apache ZooKeeper has\n%q, want\n%q", got, want)
	}
	paths = append(paths, fill(c, "/theirs")...)
	want = look(c, paths)
	real.Kill()
	s = embedded()
	c = continueOn(t, s.Address(), c)
	if got := look(c, paths); !reflect.DeepEqual(got, want) {
		t.Errorf("the embedded server has\n%q, want\n%q", got, want)
	}
	c.create("/last", 0)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := real.Restart(); err != nil {
		t.Fatal(err)
	}
	if c = continueOn(t, real.Address(), c); !c.exists("/last") {
		t.Error("Apache ZooKeeper has lost a node that the embedded server wrote after it")
	}
	if entries, err := os.ReadDir(filepath.Join(data, "version-2")); err != nil || len(entries) < 4 {
		t.Errorf("%v, %v", entries, err)
	}
}
