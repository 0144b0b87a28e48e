package zkserver

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
)

func TestTimeoutsAreNegotiatedInTicks(t *testing.T) {
	s := startMem(t, func(c *Config) { c.TickTimeMs = 100 })
	for wanted, want := range map[int32]int32{1: 200, 1500: 1500, 60_000: 2000} {
		c := dialRaw(t, s.Address())
		if !c.connect(jute.ConnectRequest{TimeOut: wanted}) || c.timeout != want {
			t.Errorf("asked for %d, got %d, want %d", wanted, c.timeout, want)
		}
	}
}

func TestASessionMovesToTheConnectionThatKnowsItsPassword(t *testing.T) {
	s := startMem(t, nil)
	first := connectRaw(t, s.Address())
	first.create("/e", jute.Ephemeral)
	again := jute.ConnectRequest{TimeOut: 30_000, SessionID: first.session, Password: first.password}
	wrong := again
	wrong.Password = make([]byte, 16)
	if c := dialRaw(t, s.Address()); c.connect(wrong) || c.timeout != 0 {
		t.Error("connected with a wrong password")
	}
	second := dialRaw(t, s.Address())
	if !second.connect(again) || second.session != first.session {
		t.Fatal("not connected with the password")
	}
	if _, err := first.read(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the first connection: %v", err)
	}
	if !second.exists("/e") {
		t.Error("the node of the session is gone")
	}
	second.call(jute.OpCloseSession, nil)
	if third := dialRaw(t, s.Address()); third.connect(again) {
		t.Error("connected to a closed session")
	}
	if other := connectRaw(t, s.Address()); other.exists("/e") {
		t.Error("the node of the closed session remains")
	}
	ahead := jute.ConnectRequest{TimeOut: 30_000, LastZxidSeen: 1000}
	if c := dialRaw(t, s.Address()); c.connect(ahead) {
		t.Error("a client that has seen a later change is connected")
	}
}

// boxLink is a link that keeps what is sent.
type boxLink struct {
	sent     []byte
	finished bool
}

func (l *boxLink) send(b []byte) { l.sent = append(l.sent, b...) }
func (l *boxLink) finish()       { l.finished = true }

func TestASilentSessionExpiresAfterItsTimeout(t *testing.T) {
	s := startMem(t, nil)
	m := newMachine(s.config, s.machine.tree, 0)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	link := &boxLink{}
	c := &client{link: link, address: jute.ID{Scheme: "ip", ID: "127.0.0.1"}}
	m.opened(c)
	m.connect(c, jute.Append(nil, &jute.ConnectRequest{TimeOut: 6000}))
	m.aliveMs = 1000
	m.request(c, jute.Append(nil, &jute.RequestHeader{Xid: jute.PingXid, Type: jute.OpPing}))
	m.aliveMs = 6999
	m.nowMs += 1_000_000 // the clock is set
	m.tick()
	if !m.tree.Alive(c.session) {
		t.Fatal("expired too early")
	}
	m.aliveMs = 7000
	m.tick()
	if m.tree.Alive(c.session) || !c.ended {
		t.Error("not expired")
	}
	last := m.pending.frames[len(m.pending.frames)-1]
	if last.to != c || !last.last {
		t.Errorf("the connection is not closed: %+v", last)
	}
}

func TestWatchesEndWithTheConnection(t *testing.T) {
	s := startMem(t, nil)
	c := connectRaw(t, s.Address())
	c.create("/a", 0)
	c.must(jute.OpGetData, &jute.PathWatchRequest{Path: "/a", Watch: true}, nil)
	again := dialRaw(t, s.Address())
	if !again.connect(jute.ConnectRequest{TimeOut: 30_000, SessionID: c.session, Password: c.password}) {
		t.Fatal("not connected again")
	}
	if events := again.must(jute.OpSetData, &jute.SetDataRequest{Path: "/a", Version: -1}, nil); len(events) != 0 {
		t.Errorf("fired: %v", events)
	}
	events := again.must(jute.OpSetWatches, &jute.SetWatches{RelativeZxid: 2, Data: []string{"/a"}}, nil)
	if len(events) != 1 || events[0].Path != "/a" || events[0].Type != 3 {
		t.Errorf("after SetWatches: %v", events)
	}
}

func TestNodesAndSessionsSurviveARestart(t *testing.T) {
	mem := vfs.NewMem()
	s := startMem(t, func(c *Config) { c.FS, c.SnapCount = mem, 10 })
	c := connectRaw(t, s.Address())
	c.create("/e", jute.Ephemeral)
	for i := range 35 { // several snapshots
		c.create(fmt.Sprintf("/%d", i), 0)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = startMem(t, func(c *Config) { c.FS = mem })
	again := dialRaw(t, s.Address())
	if !again.connect(jute.ConnectRequest{TimeOut: 30_000, SessionID: c.session, Password: c.password}) {
		t.Fatal("the session is lost")
	}
	if !again.exists("/e") || !again.exists("/34") {
		t.Error("nodes are lost")
	}
	if entries, err := mem.ReadDir("/data/version-2"); err != nil || len(entries) < 5 {
		t.Errorf("files: %v, %v", entries, err)
	}
}

func TestSessionsOfAnEarlierProcessCanBeEnded(t *testing.T) {
	mem := vfs.NewMem()
	setup := func(c *Config) { c.FS = mem }
	s := startMem(t, setup)
	c := connectRaw(t, s.Address())
	c.create("/kept", jute.Persistent)
	c.create("/e", jute.Ephemeral)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = startMem(t, func(c *Config) {
		setup(c)
		c.EndSessions = true
	})
	if d := connectRaw(t, s.Address()); d.exists("/e") || !d.exists("/kept") {
		t.Error("the node of the old session remains, or another one is gone")
	}
	again := dialRaw(t, s.Address())
	if again.connect(jute.ConnectRequest{TimeOut: 30_000, SessionID: c.session, Password: c.password}) {
		t.Error("connected to the old session")
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if s = startMem(t, setup); connectRaw(t, s.Address()).exists("/e") {
		t.Error("the end of the session is not in the log")
	}
}

// If a transaction cannot be made durable, no client gets an answer that depends on it: neither the
// one that wrote nor one that reads.
func TestNothingIsAnsweredBeforeItIsDurable(t *testing.T) {
	var failing atomic.Bool
	reached := make(chan struct{})
	release := make(chan struct{})
	var once sync.Once
	fsys := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if !failing.Load() || op.Kind != vfs.OpSync {
			return nil
		}
		once.Do(func() { close(reached) })
		<-release
		return syscall.EIO
	})
	s := startMem(t, func(c *Config) { c.FS = fsys })
	writer, reader := connectRaw(t, s.Address()), connectRaw(t, s.Address())
	failing.Store(true)
	writer.sendRaw(jute.Append(nil, &jute.RequestHeader{Xid: 1, Type: jute.OpCreate}, &jute.CreateRequest{Path: "/a", ACL: openACL}))
	<-reached
	reader.sendRaw(jute.Append(nil, &jute.RequestHeader{Xid: 1, Type: jute.OpExists}, &jute.PathWatchRequest{Path: "/a"}))
	close(release)
	for what, c := range map[string]*rawClient{"writer": writer, "reader": reader} {
		if a, err := c.read(); err == nil {
			t.Errorf("the %s got %+v", what, a)
		}
	}
	select {
	case <-s.Ended():
	case <-time.After(time.Minute):
		t.Fatal("the server still runs")
	}
	if err := s.Stop(); !errors.Is(err, syscall.EIO) {
		t.Errorf("it ended with %v", err)
	}
}

func TestManyWritesShareOneSync(t *testing.T) {
	var syncs atomic.Int64
	fsys := vfs.Failing(vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			syncs.Add(1)
		}
		return nil
	}), vfs.Rule{Kinds: []vfs.OpKind{vfs.OpSync}, Delay: time.Millisecond})
	s := startMem(t, func(c *Config) { c.FS = fsys })
	const clients, writes = 20, 50
	var all sync.WaitGroup
	for i := range clients {
		c := connectRaw(t, s.Address())
		all.Go(func() {
			for j := range writes {
				c.sendRaw(jute.Append(nil, &jute.RequestHeader{Xid: int32(j), Type: jute.OpCreate}, &jute.CreateRequest{Path: fmt.Sprintf("/%d-%d", i, j), ACL: openACL}))
			}
			for j := range writes {
				if a, err := c.read(); err != nil || a.header.Xid != int32(j) || a.header.Err != 0 {
					t.Errorf("%+v, %v", a, err)
				}
			}
		})
	}
	all.Wait()
	if n := syncs.Load(); n > clients*writes/2 {
		t.Errorf("%d syncs for %d writes", n, clients*writes)
	}
}

// With forceSync=no, as in Apache ZooKeeper, writes do not wait for the disk.
func TestWritesWaitForTheDiskOnlyIfForceSyncIsSet(t *testing.T) {
	for _, forced := range []bool{true, false} {
		var syncs atomic.Int64
		fsys := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.Contains(op.Name, "log.") {
				syncs.Add(1)
			}
			return nil
		})
		s := startMem(t, func(c *Config) { c.FS, c.ForceSync = fsys, forced })
		connectRaw(t, s.Address()).create("/a", 0)
		if synced := syncs.Load() > 0; synced != forced {
			t.Errorf("forceSync %t: the log was synced %d times", forced, syncs.Load())
		}
	}
}

func TestLimitsCloseConnections(t *testing.T) {
	s := startMem(t, func(c *Config) { c.MaxClientCnxns, c.MaxBuffer = 2, 2000 })
	c := connectRaw(t, s.Address())
	second := connectRaw(t, s.Address())
	if third := dialRaw(t, s.Address()); third.connect(jute.ConnectRequest{TimeOut: 1}) {
		t.Error("a third connection is accepted")
	}
	c.create("/a", 0)
	c.sendRaw(make([]byte, 2001))
	if a, err := c.read(); err == nil {
		t.Errorf("a large frame is answered: %+v", a)
	}
	if !second.exists("/a") {
		t.Error("the other connection does not work")
	}
	for _, content := range [][]byte{{1}, jute.Append(nil, &jute.RequestHeader{Xid: 1, Type: 999}), jute.Append(nil, &jute.RequestHeader{Xid: 1, Type: jute.OpCheck})} {
		again := dialRaw(t, s.Address())
		for !again.connect(jute.ConnectRequest{TimeOut: 30_000}) { // until the server noticed that the last one is closed
			again = dialRaw(t, s.Address())
		}
		again.sendRaw(content)
		a, err := again.read()
		if err == nil {
			if a.header.Err != -6 {
				t.Errorf("%x: %+v", content, a)
			}
			_, err = again.read()
		}
		if err == nil {
			t.Errorf("%x: the connection stays open", content)
		}
	}
}

func TestFourLetterWordsAreAnswered(t *testing.T) {
	s := startMem(t, nil)
	c := connectRaw(t, s.Address())
	c.create("/e", jute.Ephemeral)
	c.must(jute.OpGetData, &jute.PathWatchRequest{Path: "/e", Watch: true}, nil)
	sid := fmt.Sprintf("0x%x", uint64(c.session))
	// A connection of an earlier word may still be counted.
	address := `/127\.0\.0\.1:\d+`
	summary := `Latency min/avg/max: \d+/\d+\.\d+/\d+\nReceived: \d+\nSent: \d+\nConnections: \d\nOutstanding: 0\nZxid: 0x2\nMode: standalone\nNode count: 6\n`
	date := `\w{3} \w{3} \d\d [\d:]{8} \w+ \d{4}`
	for word, want := range map[string]string{
		"ruok": `imok`,
		"isro": `rw`,
		"srvr": `Zookeeper version: 3\.9\S+\n` + summary,
		"stat": `Zookeeper version: 3\.9\S+\nClients:\n( ` + address + `\[[01]\]\(queued=0,recved=\d+,sent=\d+\)\n)+\n` + summary,
		"cons": `(?s).* ` + address + `\[1\]\(queued=0,recved=3,sent=3,sid=` + sid + `,lop=GETD,est=\d+,to=30000,lcxid=0x2,lzxid=0x2,lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+\)\n.*\n`,
		"conf": `clientPort=\d+\nsecureClientPort=-1\ndataDir=/data/version-2\ndataDirSize=\d+\ndataLogDir=/data/version-2\ndataLogSize=\d+\ntickTime=3000\nmaxClientCnxns=60\nminSessionTimeout=6000\nmaxSessionTimeout=60000\nclientPortListenBacklog=-1\nserverId=0\n`,
		"envi": `Environment:\nzookeeper\.version=3\.9\S+\nhost\.name=.*\nos\.name=linux\nos\.arch=\w+\n`,
		"wchs": `1 connections watching 1 paths\nTotal watches:1\n`,
		"dump": `SessionTracker dump:\nSession Sets \(1\)/\(1\):\n1 expire at ` + date + `:\n\t` + sid + `\nephemeral nodes dump:\nSessions with Ephemerals \(1\):\n` + sid + `:\n\t/e\n` +
			`Connections dump:\nConnections Sets \(\d\)/\(\d\):\n(?s).*ip: ` + address + ` sessionId: ` + sid + `\n.*`,
		"mntr": `zk_version\t3\.9\S+\nzk_server_state\tstandalone\n(zk_[a-z0-9_]+\t[\d.]+\n)+`,
	} {
		if got := say(t, s.Address(), word); !regexp.MustCompile(`^` + want + `$`).MatchString(got) {
			t.Errorf("%s: %s\nwant %s", word, got, want)
		}
	}
	silent := startMem(t, func(c *Config) { c.Words = map[string]bool{"ruok": true} })
	if got := say(t, silent.Address(), "mntr"); got != "mntr is not executed because it is not in the whitelist.\n" {
		t.Errorf("mntr: %q", got)
	}
	if say(t, silent.Address(), "ruok") != "imok" || !strings.Contains(say(t, silent.Address(), "srvr"), "Mode: standalone") {
		t.Error("a permitted word is not answered")
	}
}

func TestPropertiesAreRead(t *testing.T) {
	var lines []string
	parse := func(text string) (*Config, error) {
		lines = nil
		c := DefaultConfig()
		c.Log = func(_ Level, format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		return c, ParseConfig([]byte(text), c)
	}
	c, err := parse("dataDir=/d\nclientPort=2182\nclientPortAddress=127.0.0.1\ndataLogDir=/l\ntickTime=500\nmaxSessionTimeout=9000\nmaxClientCnxns=0\n" +
		"4lw.commands.whitelist=stat, ruok\nautopurge.purgeInterval=2\nforceSync=no\nznode.container.checkIntervalMs=7\nenforceQuota=true\nautopurge.snapRetainCount=5\nsnapCount=99\nextendedTypesEnabled=true\nzookeeper.preAllocSize=64\n")
	if err != nil || c.DataDir != "/d" || c.LogDir != "/l" || c.address() != "127.0.0.1:2182" || c.TickTimeMs != 500 || c.MinSessionTimeoutMs != 1000 || c.MaxSessionTimeoutMs != 9000 ||
		c.MaxClientCnxns != 0 || !c.Words["stat"] || !c.Words["ruok"] || c.PurgeHours != 2 || c.RetainSnapshots != 5 || c.SnapCount != 99 || !c.TTLNodes || c.PreallocateSize != 64<<10 || c.ForceSync || !c.Quotas || c.ExpireNodesMs != 7 || len(lines) != 0 {
		t.Errorf("%+v, %v, %q", c, err, lines)
	}
	if _, err := parse("dataDir=/d\nadmin.enableServer=false\nfoo=bar\n"); err != nil || len(lines) != 2 || !strings.Contains(lines[0], "admin.enableServer") || !strings.Contains(lines[1], "foo") {
		t.Errorf("%v, %q", err, lines)
	}
	for text, want := range map[string]string{"server.1=a:2888:3888\ndataDir=/d": "ensemble", "clientPort=2181": "dataDir is not set", "dataDir=/d\ntickTime=x": "tickTime",
		"dataDir=/d\nsecureClientPort=2281": "TLS", "dataDir=/d\nminSessionTimeout=10\nmaxSessionTimeout=5": "minSessionTimeout"} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := parse("server.1=a"); !errors.Is(err, ErrEnsemble) {
		t.Errorf("an ensemble: %v", err)
	}
}
