package integration

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/testkit"
)

// tree is a bare ZooKeeper session below a chroot. Tests use it to inspect the nodes that brokers
// wrote and to create nodes of their own.
type tree struct {
	t      testing.TB
	conn   *zk.Conn
	chroot string // "" or "/path"
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// openTree connects to "host:port/chroot"; several hosts are separated by commas. The chroot need
// not exist.
func openTree(t testing.TB, connect string) *tree {
	t.Helper()
	server, chroot, found := strings.Cut(connect, "/")
	if found {
		chroot = "/" + chroot
	}
	conn, _, err := zk.Connect(strings.Split(server, ","), 10*time.Second, zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &tree{t: t, conn: conn, chroot: chroot}
}

func (z *tree) path(path string) string {
	if path == "/" && z.chroot != "" {
		return z.chroot
	}
	return z.chroot + path
}

// create creates a persistent node, and the chroot if it is missing.
func (z *tree) create(path string, data []byte) {
	z.t.Helper()
	for i := 1; i <= len(z.chroot); i++ {
		if i == len(z.chroot) || z.chroot[i] == '/' {
			if _, err := z.conn.Create(z.chroot[:i], nil, 0, zk.WorldACL(zk.PermAll)); err != nil && err != zk.ErrNodeExists {
				z.t.Fatalf("create the chroot %s: %v", z.chroot[:i], err)
			}
		}
	}
	if _, err := z.conn.Create(z.path(path), data, 0, zk.WorldACL(zk.PermAll)); err != nil {
		z.t.Fatalf("create %s: %v", path, err)
	}
}

// createAll creates the nodes listed in a file, in order. Its lines are "path" or "path value".
func (z *tree) createAll(file string) {
	z.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		z.t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		path, value, hasValue := strings.Cut(line, " ")
		if hasValue {
			z.create(path, []byte(value))
		} else {
			z.create(path, nil)
		}
	}
}

// get returns a node's data and whether the node exists.
func (z *tree) get(path string) (data string, there bool) {
	z.t.Helper()
	var raw []byte
	err := z.patiently(func() (err error) {
		raw, _, err = z.conn.Get(z.path(path))
		return err
	})
	if err == zk.ErrNoNode {
		return "", false
	}
	if err != nil {
		z.t.Fatalf("read %s: %v", path, err)
	}
	return string(raw), true
}

// patiently repeats a request for up to a minute while ZooKeeper is unreachable.
func (z *tree) patiently(request func() error) error {
	var err error
	within(time.Minute, func() bool {
		err = request()
		return err == nil || err == zk.ErrNoNode || err == zk.ErrBadVersion || err == zk.ErrNodeExists
	})
	return err
}

// stat returns a node's stat, or nil if the node does not exist.
func (z *tree) stat(path string) *zk.Stat {
	z.t.Helper()
	var there bool
	var stat *zk.Stat
	err := z.patiently(func() (err error) {
		there, stat, err = z.conn.Exists(z.path(path))
		return err
	})
	if err != nil {
		z.t.Fatalf("stat of %s: %v", path, err)
	}
	if !there {
		return nil
	}
	return stat
}

// znode is one node of a dump.
type znode struct {
	path      string
	ephemeral bool
	null      bool // no data, as opposed to zero bytes
	data      string
	stat      *zk.Stat
}

// String returns the node as a line of the golden dumps.
func (n znode) String() string {
	data, ephemeral := n.data, 0
	switch {
	case n.null:
		data = "<null>"
	case n.data == "":
		data = "<empty>"
	}
	if n.ephemeral {
		ephemeral = 1
	}
	return fmt.Sprintf("%s\t%d\t%s", n.path, ephemeral, data)
}

// dump returns all nodes below the chroot, sorted by path.
func (z *tree) dump() []znode {
	z.t.Helper()
	var nodes []znode
	var walk func(path string)
	walk = func(path string) {
		raw, stat, err := z.conn.Get(z.path(path))
		if err == zk.ErrNoNode {
			return
		}
		if err != nil {
			z.t.Fatalf("read %s: %v", path, err)
		}
		nodes = append(nodes, znode{path: path, ephemeral: stat.EphemeralOwner != 0, null: raw == nil, data: string(raw), stat: stat})
		children, _, err := z.conn.Children(z.path(path))
		if err != nil && err != zk.ErrNoNode {
			z.t.Fatalf("list %s: %v", path, err)
		}
		for _, child := range children {
			walk(strings.TrimSuffix(path, "/") + "/" + child)
		}
	}
	walk("/")
	sort.Slice(nodes, func(i, j int) bool { return nodes[i].path < nodes[j].path })
	return nodes
}

// awaitGone waits until a node does not exist.
func (z *tree) awaitGone(path string, limit time.Duration) {
	z.t.Helper()
	testkit.Eventually(z.t, limit, path+" to be gone", func() bool { return z.stat(path) == nil })
}
