package zkserver

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
)

// startMem starts a server whose files are in memory.
func startMem(t testing.TB, change func(*Config)) *Server {
	t.Helper()
	c := DefaultConfig()
	c.FS, c.DataDir, c.Host, c.Port = vfs.NewMem(), "/data", "127.0.0.1", 0
	c.Words["*"] = true
	c.Log = func(level Level, format string, args ...any) {
		if level != Info {
			t.Logf(format, args...)
		}
	}
	if change != nil {
		change(c)
	}
	s, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// exchange is a request, as it is sent, and how its response is read.
type exchange struct {
	op   jute.Op
	body []byte
	what string
}

// generator makes random requests of one session.
type generator struct {
	random *rand.Rand
	root   string
	newest bool // with what 3.8 does differently from 3.9
}

func (g *generator) pick(from ...string) string { return from[g.random.IntN(len(from))] }

// path returns a path whose nodes are watched in the standard way.
func (g *generator) path() string {
	path := g.root
	for range 1 + g.random.IntN(2) {
		path += "/" + g.pick("a", "b", "c", "s-")
	}
	return path
}

// watched returns a path that is watched persistently. Releases before 3.9 differ in what several
// kinds of watches on one path do.
func (g *generator) watched() string { return g.root + g.pick("/p", "/r", "/p/x", "/r/x", "/r/x/y") }

func (g *generator) version() int32 { return int32(g.random.IntN(4)) - 1 }

func (g *generator) data() []byte {
	switch g.random.IntN(4) {
	case 0:
		return nil
	case 1:
		return []byte{}
	}
	return fmt.Append(nil, "data ", g.random.IntN(100))
}

func (g *generator) acl() []jute.ACL {
	entry := func(perms int32, scheme, id string) jute.ACL {
		return jute.ACL{Perms: perms, ID: jute.ID{Scheme: scheme, ID: id}}
	}
	return [][]jute.ACL{openACL, openACL, {entry(31, "auth", "")}, {entry(1, "world", "anyone"), entry(31, "digest", "bob:x")}, {}, {entry(31, "sasl", "x")},
		{entry(31, "ip", "127.0.0.1")}, {entry(15, "ip", "127.0.0.0/8"), entry(16, "ip", "10.0.0.0/8")}, {entry(31, "ip", "10.0.0.0/40")}, {entry(31, "world", "x")},
		{openACL[0], openACL[0]}, {entry(1, "digest", "bob:x:y")}, {entry(9, "world", "anyone")}}[g.random.IntN(13)]
}

// create returns a request that creates a node, with ordinary or invalid arguments.
func (g *generator) create(path string) (jute.Op, jute.Record) {
	r := jute.CreateRequest{Path: path, Data: g.data(), ACL: openACL, Flags: g.random.Int32N(4)}
	if strings.Contains(path, "/acl") {
		r.ACL = g.acl()
	}
	switch g.random.IntN(12) {
	case 0:
		r.Path = g.pick("", "x", "x/y", "/", path+"/", path+"//x", path+"/.", path+"/..", path+"/\u0085", path+"/\x00")
	case 1:
		return jute.OpCreateTTL, &jute.CreateTTLRequest{CreateRequest: jute.CreateRequest{Path: path, ACL: openACL, Flags: 5 + g.random.Int32N(2)}, TTL: g.random.Int64N(3)*500_000 - 1}
	case 2:
		r.Flags = jute.Container
		return jute.OpCreateContainer, &r
	case 3:
		r.Flags = 7 + g.random.Int32N(2)
	}
	if g.random.IntN(2) == 0 {
		return jute.OpCreate2, &r
	}
	return jute.OpCreate, &r
}

// write returns a request that changes the tree.
func (g *generator) write() (jute.Op, jute.Record) {
	path := g.path()
	switch g.random.IntN(6) {
	case 0:
		path = g.watched()
	case 1:
		path = g.root + g.pick("/acl", "/acl/x", "/acl2", "/acl2/x")
	}
	switch n := g.random.IntN(10); {
	case n < 5:
		return g.create(path)
	case n < 7:
		return jute.OpDelete, &jute.PathVersionRequest{Path: path, Version: g.version()}
	case n < 9:
		return jute.OpSetData, &jute.SetDataRequest{Path: path, Data: g.data(), Version: g.version()}
	}
	r := jute.SetACLRequest{Path: path, ACL: openACL, Version: g.version()}
	if strings.Contains(path, "/acl") {
		r.ACL = g.acl()
	}
	return jute.OpSetACL, &r
}

func (g *generator) multi() *jute.MultiRequest {
	r := &jute.MultiRequest{}
	for range g.random.IntN(5) {
		op, body := g.write()
		if create, ok := body.(*jute.CreateRequest); ok && create.Flags > jute.EphemeralSequential && op != jute.OpCreateContainer {
			create.Flags = 0
		}
		switch op {
		case jute.OpCreate2: // answered as OpCreate before 3.9
			if !g.newest {
				op = jute.OpCreate
			}
		case jute.OpSetACL:
			op, body = jute.OpCheck, &jute.PathVersionRequest{Path: g.path(), Version: g.version()}
		case jute.OpCreateTTL: // an invalid time ends the connection of 3.8
			body.(*jute.CreateTTLRequest).TTL = 1_000_000
		}
		r.Ops = append(r.Ops, jute.MultiOp{Type: op, Body: body})
	}
	return r
}

func (g *generator) anyPath() string {
	if g.random.IntN(5) == 0 {
		return g.root + g.pick("/acl", "/acl/x", "/p", "/r", "/missing", "")
	}
	return g.path()
}

// next returns the next request.
func (g *generator) next() (jute.Op, jute.Record) {
	switch n := g.random.IntN(100); {
	case n < 40:
		return g.write()
	case n < 50:
		return jute.OpMulti, g.multi()
	case n < 70:
		op := []jute.Op{jute.OpExists, jute.OpGetData, jute.OpGetChildren, jute.OpGetChildren2}[g.random.IntN(4)]
		path := g.anyPath()
		return op, &jute.PathWatchRequest{Path: path, Watch: g.random.IntN(2) == 0 && (g.newest || !strings.ContainsAny(strings.TrimPrefix(path, g.root), "lpr"))}
	case n < 80:
		op := []jute.Op{jute.OpGetACL, jute.OpGetAllChildrenNumber, jute.OpGetEphemerals, jute.OpSync}[g.random.IntN(4)]
		return op, &jute.PathRequest{Path: g.anyPath()}
	case n < 84:
		r := &jute.MultiRequest{}
		for range g.random.IntN(4) {
			op := []jute.Op{jute.OpGetData, jute.OpGetChildren}[g.random.IntN(2)]
			r.Ops = append(r.Ops, jute.MultiOp{Type: op, Body: &jute.PathWatchRequest{Path: g.anyPath()}})
		}
		return jute.OpMultiRead, r
	case n < 87:
		mode := g.random.Int32N(2)
		if g.newest && g.random.IntN(2) == 0 {
			return jute.OpAddWatch, &jute.PathNumberRequest{Path: g.path(), Number: mode}
		}
		return jute.OpAddWatch, &jute.PathNumberRequest{Path: g.root + []string{"/p", "/r"}[mode], Number: mode}
	case n < 92:
		op := []jute.Op{jute.OpCheckWatches, jute.OpRemoveWatches}[g.random.IntN(2)]
		return op, &jute.PathNumberRequest{Path: g.path(), Number: 1 + g.random.Int32N(3)}
	case n < 95:
		w := jute.SetWatches{RelativeZxid: g.random.Int64N(1000), Data: []string{g.path()}, Exist: []string{g.path()}, Child: []string{g.path()}}
		if g.random.IntN(2) == 0 {
			return jute.OpSetWatches, &w
		}
		return jute.OpSetWatches2, &jute.SetWatches2{SetWatches: w, Persistent: []string{g.root + "/p"}, PersistentRecursive: []string{g.root + "/r"}}
	case n < 97:
		return jute.OpWhoAmI, nil
	case n < 98:
		return jute.OpReconfig, &jute.ReconfigRequest{}
	}
	return jute.OpPing, nil
}

// history returns random requests.
func history(seed uint64, n int, newest bool) (all []exchange) {
	g := &generator{newest: newest, random: rand.New(rand.NewPCG(seed, 5)), root: fmt.Sprintf("/h%d", seed)}
	add := func(op jute.Op, body jute.Record) {
		e := exchange{op: op, what: fmt.Sprintf("%v(%d) %+v", op, op, body)}
		if body != nil {
			e.body = jute.Append(nil, body)
		}
		// A malformed write takes a zxid, as in 3.8, but not in 3.9.
		if g.random.IntN(60) == 0 && len(e.body) > 0 && (!newest || writeRequest(op) == nil) {
			e.body = e.body[:g.random.IntN(len(e.body))]
			e.what += fmt.Sprintf(" cut to %d bytes", len(e.body))
		}
		all = append(all, e)
	}
	all = append(all, exchange{op: jute.OpCreate, what: "the root", body: jute.Append(nil, &jute.CreateRequest{Path: g.root, ACL: openACL})})
	for range n {
		add(g.next())
	}
	all = append(all, exchange{op: jute.OpSync, what: "the end", body: jute.Append(nil, &jute.PathRequest{Path: "/"})})
	return all
}

// play sends all requests without waiting, and returns the frames that answer them. Only the answer to
// a SetACL is awaited: until it is applied, Apache ZooKeeper checks later requests with the old ACL.
func play(t *testing.T, address string, all []exchange, authenticated bool) (answers []answer, session int64) {
	t.Helper()
	c := connectRaw(t, address)
	if authenticated {
		c.must(jute.OpAuth, &jute.AuthPacket{Scheme: "digest", Auth: []byte("alice:1")}, nil)
	}
	applied := make(chan struct{}, 1)
	go func() {
		for i, e := range all {
			xid := int32(i + 1)
			if e.op == jute.OpPing {
				xid = jute.PingXid
			}
			c.sendRaw(append(jute.Append(nil, &jute.RequestHeader{Xid: xid, Type: e.op}), e.body...))
			if e.op == jute.OpSetACL {
				<-applied
			}
		}
	}()
	for {
		a, err := c.read()
		if err != nil {
			t.Fatalf("after %d answers: %v", len(answers), err)
		}
		answers = append(answers, a)
		if xid := a.header.Xid; xid > 0 && all[xid-1].op == jute.OpSetACL {
			applied <- struct{}{}
		}
		if a.header.Xid == int32(len(all)) {
			c.must(jute.OpCloseSession, nil, nil) // it would take a zxid when it expires, during a later history
			return answers, c.session
		}
	}
}

// normalizer removes from an answer what differs between servers: zxids become relative, times
// disappear, and the session has the number 1.
type normalizer struct {
	base, session int64
	all           []exchange
	newest        bool // events have the zxid of their change, which older releases do not send
}

func (n *normalizer) stat(s *jute.Stat) {
	for _, zxid := range []*int64{&s.Czxid, &s.Mzxid, &s.Pzxid} {
		if *zxid -= n.base; *zxid < 0 {
			*zxid = -1
		}
	}
	s.Ctime, s.Mtime = 0, 0
	if s.EphemeralOwner == n.session {
		s.EphemeralOwner = 1
	}
}

// normal returns what an answer says.
func (n *normalizer) normal(t *testing.T, a answer) string {
	t.Helper()
	h := a.header
	if h.Zxid > 0 {
		h.Zxid -= n.base
	}
	if a.event() && !n.newest {
		h.Zxid = -1
	}
	var body jute.Record
	switch {
	case a.event():
		body = &jute.WatcherEvent{}
	case h.Xid > 0 && len(a.body) > 0:
		body = responseOf(n.all[h.Xid-1].op)
	}
	if body == nil {
		return fmt.Sprintf("%+v %x", h, a.body)
	}
	if rest, err := jute.Decode(a.body, body); err != nil || len(rest) > 0 {
		t.Errorf("%T of %+v: %d bytes are left, %v", body, h, len(rest), err)
	}
	n.record(body)
	return fmt.Sprintf("%+v %s", h, show(body))
}

func (n *normalizer) record(body jute.Record) {
	switch r := body.(type) {
	case *jute.Stat:
		n.stat(r)
	case *jute.Create2Response:
		n.stat(&r.Stat)
	case *jute.GetDataResponse:
		n.stat(&r.Stat)
	case *jute.GetACLResponse:
		n.stat(&r.Stat)
	case *jute.GetChildren2Response:
		n.stat(&r.Stat)
		slices.Sort(r.Children)
	case *jute.PathsResponse:
		slices.Sort(r.Paths)
	case *jute.WhoAmIResponse:
		slices.SortFunc(r.ClientInfo, func(a, b jute.ID) int { return strings.Compare(a.Scheme, b.Scheme) })
	case *jute.MultiResponse:
		for i := range r.Results {
			if r.Results[i].Body != nil {
				n.record(r.Results[i].Body)
			}
		}
	}
}

// show writes a record with the values behind its pointers.
func show(r jute.Record) string {
	if multi, ok := r.(*jute.MultiResponse); ok {
		text := "multi"
		for _, result := range multi.Results {
			text += fmt.Sprintf(" [%d %d", result.Type, result.Err)
			if result.Body != nil {
				text += " " + show(result.Body)
			}
			text += "]"
		}
		return text
	}
	return fmt.Sprintf("%+v", reflect.ValueOf(r).Elem().Interface())
}

func responseOf(op jute.Op) jute.Record {
	switch op {
	case jute.OpCreate, jute.OpSync:
		return &jute.PathRequest{}
	case jute.OpCreate2, jute.OpCreateContainer, jute.OpCreateTTL:
		return &jute.Create2Response{}
	case jute.OpExists, jute.OpSetData, jute.OpSetACL:
		return &jute.Stat{}
	case jute.OpGetData:
		return &jute.GetDataResponse{}
	case jute.OpGetACL:
		return &jute.GetACLResponse{}
	case jute.OpGetChildren, jute.OpGetEphemerals:
		return &jute.PathsResponse{}
	case jute.OpGetChildren2:
		return &jute.GetChildren2Response{}
	case jute.OpGetAllChildrenNumber, jute.OpAddWatch:
		return &jute.NumberResponse{}
	case jute.OpMulti, jute.OpMultiRead:
		return &jute.MultiResponse{}
	case jute.OpWhoAmI:
		return &jute.WhoAmIResponse{}
	}
	return nil
}

// TestAllRequestsAreAnsweredAsByARealZooKeeper sends the same random requests, valid ones and others,
// to the embedded server and to Apache ZooKeeper, and compares all responses and events, in their
// order.
func TestAllRequestsAreAnsweredAsByARealZooKeeper(t *testing.T) {
	for name, release := range testkit.ZooKeeperReleases(t) {
		t.Run(name, func(t *testing.T) { compareRequests(t, release, name != "installed") })
	}
}

func compareRequests(t *testing.T, release testkit.ZooKeeperRelease, newest bool) {
	histories, requests := uint64(2), 400
	if testkit.FullMatrices() {
		histories, requests = 100, 3000
	}
	t.Setenv("KAFKA_OPTS", "-Dznode.container.checkIntervalMs=1000000000") // the deletions would take zxids
	real := release.New(t, "extendedTypesEnabled=true", "enforceQuota=true")
	ours := startMem(t, func(c *Config) { c.TTLNodes, c.Quotas, c.ExpireNodesMs = true, true, 1_000_000_000 })
	compareQuotas(t, real.Address(), ours.Address())
	compareMonitored(t, real.Address(), ours.Address(), newest)
	for seed := range histories {
		all := history(seed, requests, newest)
		theirs, theirSession := play(t, real.Address(), all, seed%2 == 1)
		got, session := play(t, ours.Address(), all, seed%2 == 1)
		first := func(answers []answer) int64 { return answers[0].header.Zxid - 1 }
		n, m := &normalizer{first(got), session, all, newest}, &normalizer{first(theirs), theirSession, all, newest}
		for i := range min(len(got), len(theirs)) {
			a, b := n.normal(t, got[i]), m.normal(t, theirs[i])
			if a == b {
				continue
			}
			what := "an event"
			for j := i; j < len(theirs); j++ {
				if xid := theirs[j].header.Xid; xid > 0 {
					what = all[xid-1].what
					break
				}
			}
			t.Fatalf("seed %d, %s:\n  got  %s\n  want %s", seed, what, a, b)
		}
		if len(got) != len(theirs) {
			t.Fatalf("seed %d: %d answers, want %d", seed, len(got), len(theirs))
		}
	}
}
