package tree

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestTheTreeAnswersAsARealZooKeeperDoes runs random histories of several sessions on the tree and
// on an Apache ZooKeeper, and compares all results: codes, paths, data, stats with zxids and
// versions, the results of multis, and the events.
func TestTheTreeAnswersAsARealZooKeeperDoes(t *testing.T) {
	for name, release := range testkit.ZooKeeperReleases(t) {
		t.Run(name, func(t *testing.T) { compareWith(t, release) })
	}
}

func compareWith(t *testing.T, release testkit.ZooKeeperRelease) {
	histories, steps := 4, 300
	if testkit.FullMatrices() {
		histories, steps = 60, 1000
	}
	server := release.New(t)
	h := &history{t: t, server: server, tree: New()}
	defer h.closeAll()
	for seed := range histories {
		h.random = rand.New(rand.NewPCG(uint64(seed), 7))
		h.root = fmt.Sprintf("/h%d", seed)
		h.say = func(format string, args ...any) {
			h.log = append(h.log, fmt.Sprintf("seed %d: ", seed)+fmt.Sprintf(format, args...))
		}
		for len(h.clients) < 3 {
			h.open()
		}
		h.write(h.clients[0], Create{Path: h.root, ACL: OpenACL})
		for range steps {
			h.step()
			if t.Failed() {
				t.Fatalf("the last operations:\n%s", strings.Join(h.log[max(0, len(h.log)-12):], "\n"))
			}
		}
		h.edgeCases()
		h.compareAll()
	}
}

// edgeCases runs operations that random histories do not contain: deletions of reserved nodes,
// invalid paths, and sessions that set both kinds of watches on a node.
func (h *history) edgeCases() {
	c := h.clients[0]
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/quota"} {
		h.multiOf(c, Delete{Path: path, Version: AnyVersion})
	}
	for _, path := range []string{"x", "", h.root + "/", h.root + "//x", h.root + "/./x", h.root + "/..", h.root + "/a\x01b", h.root + "/a\u0085b", h.root + "/a\uf000b", h.root + "/a\ufff0b", h.root + "/a\U0001f600b"} {
		h.multiOf(c, Create{Path: path})
		h.multiOf(c, Create{Path: path, Sequential: true})
		h.multiOf(c, Delete{Path: path, Version: AnyVersion})
	}
	both := h.root + "/both"
	h.write(c, Create{Path: both, ACL: OpenACL})
	for _, watcher := range h.clients {
		h.watch(watcher, both)
	}
	h.write(c, Delete{Path: both, Version: AnyVersion})
}

// watch sets a data watch and a child watch on a node.
func (h *history) watch(c *client, path string) {
	_, _, oursErr := h.tree.Get(c.id, path, true)
	_, _, _, err := c.conn.GetW(path)
	h.compareCode("get "+path, err, oursErr)
	_, _, oursErr = h.tree.Children(c.id, path, true)
	_, _, _, err = c.conn.ChildrenW(path)
	h.compareCode("children "+path, err, oursErr)
}

// history is a run of operations on the tree and on the server.
type history struct {
	t       *testing.T
	server  *testkit.Ensemble
	tree    *Tree
	random  *rand.Rand
	root    string
	clients []*client
	base    int64 // the server's zxid when the tree's is 0
	paths   []string
	log     []string
	say     func(format string, args ...any)
}

// client is a session of the tree and of the server.
type client struct {
	conn   *zk.Conn
	id     int64 // in the tree
	events []Event

	mu   sync.Mutex
	seen []Event // from the server
}

func (c *client) take() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = nil
	return seen
}

func (h *history) open() {
	c := &client{}
	connected := make(chan struct{})
	var once sync.Once
	conn, _, err := zk.Connect([]string{h.server.Address()}, 30*time.Second, zk.WithLogInfo(false), zk.WithEventCallback(func(e zk.Event) {
		switch {
		case e.Type == zk.EventSession && e.State == zk.StateHasSession:
			once.Do(func() { close(connected) })
		case e.Type > 0 && e.State == zk.StateConnected || e.Type > 0 && e.Err == nil && e.Type <= 4:
			c.mu.Lock()
			c.seen = append(c.seen, Event{Type: EventType(e.Type), Path: e.Path})
			c.mu.Unlock()
		}
	}))
	if err != nil {
		h.t.Fatal(err)
	}
	select {
	case <-connected:
	case <-time.After(30 * time.Second):
		h.t.Fatal("no session within 30 s")
	}
	c.conn = conn
	c.id = h.tree.Open(0, 30_000)
	h.clients = append(h.clients, c)
}

func (h *history) closeAll() {
	for _, c := range h.clients {
		c.conn.Close()
	}
}

// close ends a session on both sides and opens another one.
func (h *history) close(i int) {
	c := h.clients[i]
	h.say("session %d ends", c.id)
	c.conn.Close()
	h.clients = slices.Delete(h.clients, i, i+1)
	h.fired(h.tree.End(c.id))
	h.compareEvents()
	h.open()
}

func (h *history) fired(events []Event) {
	for _, e := range events {
		for _, c := range h.clients {
			if c.id == e.Session {
				c.events = append(c.events, Event{Type: e.Type, Path: e.Path})
			}
		}
	}
}

// compareEvents compares the events of every session. It first sends a read, whose result arrives
// after all earlier events.
func (h *history) compareEvents() {
	for _, c := range h.clients {
		if _, _, err := c.conn.Exists("/"); err != nil {
			h.t.Fatalf("Exists /: %v", err)
		}
		real, ours := c.take(), c.events
		c.events = nil
		sortEvents(real)
		sortEvents(ours)
		if !slices.Equal(real, ours) {
			h.t.Errorf("session %d got the events %v, from the tree %v", c.id, real, ours)
		}
	}
}

// sortEvents sorts events, since the nodes of an ended session are deleted in no particular order.
func sortEvents(events []Event) {
	slices.SortFunc(events, func(a, b Event) int {
		return strings.Compare(fmt.Sprint(a.Path, a.Type), fmt.Sprint(b.Path, b.Type))
	})
}

var codes = map[error]Code{
	zk.ErrNoNode: NoNode, zk.ErrBadVersion: BadVersion, zk.ErrNodeExists: NodeExists, zk.ErrNotEmpty: NotEmpty,
	zk.ErrNoChildrenForEphemerals: NoChildrenForEphemerals, zk.ErrBadArguments: BadArguments,
}

func codeOfReal(err error) Code {
	if err == nil {
		return OK
	}
	for known, code := range codes {
		if errors.Is(err, known) {
			return code
		}
	}
	return RuntimeInconsistency // an unknown error for the client library
}

func (h *history) compareCode(what string, real, ours error) bool {
	if r, o := codeOfReal(real), CodeOf(ours); r != o {
		h.t.Errorf("%s: %v (%v), from the tree %v", what, r, real, o)
	}
	return real == nil && ours == nil
}

// compareStat compares all fields except times. Zxids are compared relative to base, and owners by
// their sessions.
func (h *history) compareStat(what string, real *zk.Stat, ours Stat) {
	if h.base == 0 {
		h.base = real.Mzxid - ours.Mzxid
	}
	got := Stat{Czxid: real.Czxid - h.base, Mzxid: real.Mzxid - h.base, Pzxid: real.Pzxid - h.base,
		Version: real.Version, Cversion: real.Cversion, Aversion: real.Aversion,
		EphemeralOwner: real.EphemeralOwner, DataLength: real.DataLength, NumChildren: real.NumChildren}
	for _, c := range h.clients {
		if real.EphemeralOwner == c.conn.SessionID() {
			got.EphemeralOwner = c.id
		}
	}
	ours.Ctime, ours.Mtime = 0, 0
	if got != ours {
		h.t.Errorf("%s: stat %+v, from the tree %+v", what, got, ours)
	}
}

func (h *history) step() {
	c := h.clients[h.random.IntN(len(h.clients))]
	switch n := h.random.IntN(100); {
	case n < 12:
		h.get(c)
	case n < 24:
		h.exists(c)
	case n < 34:
		h.children(c)
	case n < 74:
		h.write(c, h.op())
	case n < 97:
		h.multi(c)
	default:
		h.close(h.random.IntN(len(h.clients)))
	}
}

// path returns the root of the history or a path that was used before.
func (h *history) path() string {
	if len(h.paths) == 0 || h.random.IntN(12) == 0 {
		return h.root
	}
	path := h.paths[h.random.IntN(len(h.paths))]
	if !strings.HasPrefix(path, h.root) {
		return h.root
	}
	return path
}

// newPath returns a path below an existing one and keeps it for path.
func (h *history) newPath() string {
	parent := h.path()
	if strings.Count(parent, "/") > 4 {
		parent = h.root
	}
	path := parent + "/" + string(rune('a'+h.random.IntN(5)))
	h.paths = append(h.paths, path)
	if len(h.paths) > 12 {
		h.paths = h.paths[1:]
	}
	return path
}

func (h *history) version() int32 {
	if h.random.IntN(3) > 0 {
		return AnyVersion
	}
	return int32(h.random.IntN(3))
}

func (h *history) bytes() []byte {
	switch h.random.IntN(4) {
	case 0:
		return nil
	case 1:
		return []byte{}
	}
	return []byte(fmt.Sprint("data ", h.random.IntN(100)))
}

func (h *history) op() Op {
	switch n := h.random.IntN(10); {
	case n < 5:
		return Create{Path: h.newPath(), Data: h.bytes(), ACL: OpenACL, Ephemeral: h.random.IntN(3) == 0, Sequential: h.random.IntN(4) == 0}
	case n < 7:
		return Delete{Path: h.path(), Version: h.version()}
	case n < 9:
		return Set{Path: h.path(), Data: h.bytes(), Version: h.version()}
	default:
		return SetACL{Path: h.path(), ACL: OpenACL, Version: h.version()}
	}
}

func flags(o Create) (f int32) {
	if o.Ephemeral {
		f |= zk.FlagEphemeral
	}
	if o.Sequential {
		f |= zk.FlagSequence
	}
	return f
}

func (h *history) write(c *client, op Op) {
	h.say("session %d: %#v", c.id, op)
	ours, events, oursErr := h.tree.Do(c.id, 0, op)
	h.fired(events)
	var err error
	var stat *zk.Stat
	switch o := op.(type) {
	case Create:
		var path string
		path, err = c.conn.Create(o.Path, o.Data, flags(o), zk.WorldACL(zk.PermAll))
		if err == nil {
			h.paths = append(h.paths, path)
		}
		if err == nil && oursErr == nil && path != ours.Path {
			h.t.Errorf("%#v: %s, from the tree %s", op, path, ours.Path)
		}
	case Delete:
		err = c.conn.Delete(o.Path, o.Version)
	case Set:
		stat, err = c.conn.Set(o.Path, o.Data, o.Version)
	case SetACL:
		stat, err = c.conn.SetACL(o.Path, zk.WorldACL(zk.PermAll), o.Version)
	}
	if h.compareCode(fmt.Sprintf("%#v", op), err, oursErr) && stat != nil {
		h.compareStat(fmt.Sprintf("%#v", op), stat, ours.Stat)
	}
	h.compareEvents()
}

func (h *history) multi(c *client) {
	var ops []Op
	for range 1 + h.random.IntN(5) {
		op := h.op()
		if o, ok := op.(SetACL); ok { // the client library has no SetACL in multis
			op = Check{Path: o.Path, Version: o.Version}
		}
		ops = append(ops, op)
	}
	h.multiOf(c, ops...)
}

func (h *history) multiOf(c *client, ops ...Op) {
	var request []any
	for _, op := range ops {
		switch o := op.(type) {
		case Create:
			request = append(request, &zk.CreateRequest{Path: o.Path, Data: o.Data, Acl: zk.WorldACL(zk.PermAll), Flags: flags(o)})
		case Delete:
			request = append(request, &zk.DeleteRequest{Path: o.Path, Version: o.Version})
		case Set:
			request = append(request, &zk.SetDataRequest{Path: o.Path, Data: o.Data, Version: o.Version})
		case Check:
			request = append(request, &zk.CheckVersionRequest{Path: o.Path, Version: o.Version})
		}
	}
	h.say("session %d: multi %#v", c.id, ops)
	ours, events, oursErr := h.tree.Multi(c.id, 0, ops...)
	h.fired(events)
	real, err := c.conn.Multi(request...)
	h.compareCode("multi", err, oursErr)
	if len(real) != len(ours) {
		h.t.Fatalf("multi of %d operations: %d results, from the tree %d", len(ops), len(real), len(ours))
	}
	for i := range real {
		what := fmt.Sprintf("operation %d of the multi", i)
		var code error
		if ours[i].Code != OK {
			code = ours[i].Code
		}
		if !h.compareCode(what, real[i].Error, code) || err != nil {
			continue
		}
		if real[i].String != ours[i].Path {
			h.t.Errorf("%s: %s, from the tree %s", what, real[i].String, ours[i].Path)
		}
		if real[i].Stat != nil {
			h.compareStat(what, real[i].Stat, ours[i].Stat)
		}
	}
	h.compareEvents()
}

func (h *history) get(c *client) {
	path, watch := h.path(), h.random.IntN(2) == 0
	h.say("session %d: get %s, watch %t", c.id, path, watch)
	data, ours, oursErr := h.tree.Get(c.id, path, watch)
	var real []byte
	var stat *zk.Stat
	var err error
	if watch {
		real, stat, _, err = c.conn.GetW(path)
	} else {
		real, stat, err = c.conn.Get(path)
	}
	if h.compareCode("get "+path, err, oursErr) {
		h.compareStat("get "+path, stat, ours)
		if !slices.Equal(real, data) || (real == nil) != (data == nil) {
			h.t.Errorf("get %s: %q (null: %t), from the tree %q (null: %t)", path, real, real == nil, data, data == nil)
		}
	}
}

func (h *history) exists(c *client) {
	path, watch := h.path(), h.random.IntN(2) == 0
	if h.random.IntN(3) == 0 {
		path = h.newPath()
	}
	h.say("session %d: exists %s, watch %t", c.id, path, watch)
	ours, oursErr := h.tree.Exists(c.id, path, watch)
	var found bool
	var stat *zk.Stat
	var err error
	if watch {
		found, stat, _, err = c.conn.ExistsW(path)
	} else {
		found, stat, err = c.conn.Exists(path)
	}
	if err == nil && !found {
		err = zk.ErrNoNode // the client library returns no error for a missing node
	}
	if h.compareCode("exists "+path, err, oursErr) {
		h.compareStat("exists "+path, stat, ours)
	}
}

func (h *history) children(c *client) {
	path, watch := h.path(), h.random.IntN(2) == 0
	h.say("session %d: children %s, watch %t", c.id, path, watch)
	ours, oursStat, oursErr := h.tree.Children(c.id, path, watch)
	var real []string
	var stat *zk.Stat
	var err error
	if watch {
		real, stat, _, err = c.conn.ChildrenW(path)
	} else {
		real, stat, err = c.conn.Children(path)
	}
	if h.compareCode("children "+path, err, oursErr) {
		slices.Sort(real)
		if !slices.Equal(real, ours) {
			h.t.Errorf("children of %s: %v, from the tree %v", path, real, ours)
		}
		h.compareStat("children "+path, stat, oursStat)
	}
}

// compareAll compares all nodes at the end of a history.
func (h *history) compareAll() {
	conn := h.clients[0].conn
	for _, path := range h.tree.Paths() {
		data, stat, err := conn.Get(path)
		if err != nil {
			h.t.Fatalf("%s exists in the tree only: %v", path, err)
		}
		ours, oursStat, _ := h.tree.Peek(path)
		if !slices.Equal(data, ours) {
			h.t.Errorf("%s: %q, from the tree %q", path, data, ours)
		}
		h.compareStat(path, stat, oursStat)
	}
	for _, path := range []string{"/", "/zookeeper"} {
		_, stat, err := conn.Exists(path)
		if err != nil {
			h.t.Fatal(err)
		}
		_, ours, _ := h.tree.Peek(path)
		stat.Czxid, stat.Mzxid = ours.Czxid+h.base, ours.Mzxid+h.base
		if path == "/zookeeper" {
			stat.Pzxid = ours.Pzxid + h.base // 0 on a fresh server
		}
		h.compareStat(path, stat, ours)
	}
}

func TestASilentSessionIsDueAndItsNodesAreDeleted(t *testing.T) {
	tr := New()
	a, b := tr.Open(0, 6000), tr.Open(0, 6000)
	if _, _, err := tr.Do(a, 0, Create{Path: "/e", Ephemeral: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Exists(b, "/e", true); err != nil {
		t.Fatal(err)
	}
	if err := tr.Heard(b, 5000); err != nil {
		t.Fatal(err)
	}
	if due := tr.Due(6000); !slices.Equal(due, []int64{a}) {
		t.Fatalf("due: %v, want %d", due, a)
	}
	if fired := tr.End(a); !slices.Equal(fired, []Event{{Session: b, Type: NodeDeleted, Path: "/e"}}) {
		t.Errorf("fired: %v", fired)
	}
	if err := tr.Heard(a, 6001); err != SessionExpired {
		t.Errorf("Heard for an ended session: %v", err)
	}
	if _, _, err := tr.Do(a, 6001, Create{Path: "/f"}); err != SessionExpired {
		t.Errorf("a write in an ended session: %v", err)
	}
	if len(tr.Paths()) != 0 {
		t.Errorf("remaining nodes: %v", tr.Paths())
	}
}

// An ended session gets no events, and its watches are removed.
func TestWatchesEndWithTheirSession(t *testing.T) {
	tr := New()
	a, b := tr.Open(0, 6000), tr.Open(0, 6000)
	if _, _, err := tr.Do(b, 0, Create{Path: "/n"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tr.Get(a, "/n", true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tr.Children(a, "/", true); err != nil {
		t.Fatal(err)
	}
	tr.End(a)
	_, fired, err := tr.Do(b, 0, Delete{Path: "/n", Version: AnyVersion})
	if err != nil || len(fired) > 0 {
		t.Errorf("fired: %v, %v", fired, err)
	}
	if tr.WatchCount() > 0 {
		t.Errorf("remaining watches: %v, %v", tr.data, tr.child)
	}
}
