package zkclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func background(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// opened is a client with its operations.
type opened struct {
	*Client
	Nodes
}

func openClient(t *testing.T, connect string, change ...func(*Config)) opened {
	t.Helper()
	cfg := Config{Connect: connect, SessionTimeout: 6 * time.Second, CreateChroot: true, Logger: kafkalog.Discard()}
	if testing.Verbose() {
		cfg.Logger = kafkalog.New(os.Stderr)
	}
	for _, c := range change {
		c(&cfg)
	}
	client, err := Open(background(t), cfg)
	must(t, err)
	t.Cleanup(client.Close)
	return opened{client, NewNodes(client)}
}

// openThroughProxy opens a client that connects through a proxy, and one that connects directly to
// the same chroot.
func openThroughProxy(t *testing.T, change ...func(*Config)) (s, straight opened, p *testkit.ZooKeeperProxy) {
	t.Helper()
	connect := testkit.ZooKeeper(t)
	server, chroot, _ := strings.Cut(connect, "/")
	p = testkit.NewZooKeeperProxy(t, server)
	straight = openClient(t, connect)
	s = openClient(t, p.Addr().String()+"/"+chroot, change...)
	return s, straight, p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func second[A any](_ A, err error) error { return err }

func TestOperationsSurviveALostConnection(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.EnsurePath(ctx, "/topics"))
	id := s.SessionID()
	p.SetCut(true)
	done := make(chan error, 1)
	go func() { done <- s.Create(ctx, "/topics/t", nil) }()
	p.SetCut(false)
	must(t, <-done)
	if s.SessionID() != id {
		t.Error("the session changed")
	}
}

func TestWatchesSurviveAReconnect(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.EnsurePath(ctx, "/topics"))
	rung := make(chan struct{}, 10)
	s.WatchChildren("/topics", func() { rung <- struct{}{} })
	_, err := s.Children(ctx, "/topics", true)
	must(t, err)
	p.SetCut(true)
	must(t, straight.Create(ctx, "/topics/missed", nil)) // while s is disconnected
	p.SetCut(false)
	<-rung
	if names, err := s.Children(ctx, "/topics", true); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	p.DropAll()
	must(t, straight.Create(ctx, "/topics/second", nil))
	<-rung
}

// trace records steps in their order.
type trace struct {
	mu    sync.Mutex // guards steps
	steps []string
}

func (r *trace) add(step string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, step)
}

func (r *trace) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.steps, " ")
}

func TestAnExpiredSessionIsReplacedAndItsOperationsFail(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, s.EnsurePath(ctx, "/topics"))
	must(t, s.CreateEphemeral(ctx, "/member", nil))
	before, err := straight.Read(ctx, "/member")
	must(t, err)
	first := s.SessionID()
	bound := s.BindSession(ctx)

	var steps trace
	again := make(chan struct{}, 1)
	s.WatchChildren("/topics", func() { steps.add("children") })
	s.WatchNode("/other", NodeWatch{Changed: func() { again <- struct{}{} }})
	_, err = s.Children(ctx, "/topics", true)
	must(t, err)
	s.AddSessionListener(SessionListener{
		Before: func() {
			steps.add("before")
			if id := s.SessionID(); id != 0 {
				t.Errorf("session %x is open in Before", id)
			}
			if _, err := s.Children(bound, "/topics", true); !errors.Is(err, ErrSessionExpired) {
				t.Errorf("operation of the old session in Before: %v", err)
			}
		},
		After: func() {
			steps.add("after")
			if err := s.CreateEphemeral(ctx, "/member", nil); err != nil {
				t.Errorf("create in After: %v", err)
			}
		},
	})
	s.AddSessionListener(SessionListener{After: func() { steps.add("second") }})
	p.ExpireSession(t)
	<-again
	testkit.Eventually(t, 5*time.Second, "handlers are called in the new session", func() bool {
		return steps.String() == "before after second children"
	})
	if id := s.SessionID(); id == first || id == 0 {
		t.Errorf("session %x after %x", id, first)
	}
	if err := s.Create(bound, "/topics/t", nil); !errors.Is(err, ErrSessionExpired) {
		t.Errorf("operation of the old session in the new one: %v", err)
	}
	must(t, s.Create(ctx, "/topics/t", nil))
	after, err := straight.Read(ctx, "/member")
	if err != nil || after.Stat.Czxid <= before.Stat.Czxid || after.Stat.EphemeralOwner != s.SessionID() {
		t.Errorf("ephemeral node %+v, %v", after.Stat, err)
	}
}

func TestAnOperationInProgressFailsWhenItsSessionExpires(t *testing.T) {
	s, straight, p := openThroughProxy(t, func(c *Config) { c.SessionTimeout = 1500 * time.Millisecond })
	ctx := background(t)
	must(t, straight.EnsurePath(ctx, "/topics"))
	must(t, s.CreateEphemeral(ctx, "/member", nil))
	bound := s.BindSession(ctx)
	p.SetCut(true)
	done := make(chan error, 1)
	go func() { done <- s.Create(bound, "/topics/zombie", nil) }()
	must(t, straight.AwaitGone(ctx, "/member")) // the server has expired the session
	p.SetCut(false)
	if err := <-done; !errors.Is(err, ErrSessionExpired) {
		t.Errorf("error %v", err)
	}
	// An unbound operation waits for the new session.
	must(t, s.Create(ctx, "/topics/t", nil))
	if names, err := straight.Children(ctx, "/topics", false); err != nil || strings.Join(names, " ") != "t" {
		t.Errorf("topics %v, %v", names, err)
	}
}

func TestCloseReturnsWhileDisconnected(t *testing.T) {
	s, _, p := openThroughProxy(t)
	ctx := background(t)
	p.SetCut(true)
	done := make(chan error, 1)
	go func() { done <- s.Create(ctx, "/topics/t", nil) }()
	s.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("operation in progress: %v", err)
	}
}

func TestTheErrorForATooLargeNodeNamesTheSetting(t *testing.T) {
	ctx, s := background(t), openClient(t, testkit.ZooKeeper(t))
	must(t, s.EnsurePath(ctx, "/topics"))
	err := s.Create(ctx, "/topics/huge", make([]byte, 2<<20))
	if err == nil || !strings.Contains(err.Error(), "jute.maxbuffer") {
		t.Errorf("2 MiB: %v", err)
	}
	if err := s.Create(ctx, "/topics/huge", make([]byte, 5<<20)); err == nil {
		t.Error("5 MiB: no error")
	}
	if _, err := s.Children(ctx, "/topics", true); err != nil {
		t.Errorf("later operation: %v", err)
	}
}

func TestASessionLossDuringAfterDoesNotBlock(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.EnsurePath(ctx, "/topics"))
	results := make(chan error, 2)
	first := true
	s.AddSessionListener(SessionListener{After: func() {
		if first {
			first = false
			s.mu.Lock()
			current := s.current
			s.mu.Unlock()
			p.ExpireSession(t)
			<-current.dead
		}
		_, err := s.Children(ctx, "/topics", true)
		results <- err
	}})
	p.ExpireSession(t)
	if err := <-results; !errors.Is(err, ErrSessionExpired) {
		t.Errorf("operation in After when its session is lost: %v", err)
	}
	must(t, <-results)
}

// counter is an Observer that records events and counts requests.
type counter struct {
	mu       sync.Mutex // guards the fields below
	events   []string
	requests int
}

func (c *counter) ZooKeeperEvent(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, name)
}

func (c *counter) ZooKeeperRequest(time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
}

func (c *counter) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.events, " ")
}

func TestTheObserverIsNotifiedOfSessionsAndRequests(t *testing.T) {
	seen := &counter{}
	s, _, p := openThroughProxy(t, func(c *Config) { c.Observer = seen })
	ctx := background(t)
	must(t, s.EnsurePath(ctx, "/topics"))
	for range 10 {
		must(t, second(s.Exists(ctx, "/topics")))
	}
	if seen.requests < 10 || s.State() != "CONNECTED" {
		t.Errorf("%d requests, state %s", seen.requests, s.State())
	}
	before := strings.Count(seen.String(), "Expired")
	p.ExpireSession(t)
	testkit.Eventually(t, 10*time.Second, "the observer is notified of the expiry and the new session", func() bool {
		return strings.Count(seen.String(), "Expired") == before+1 && strings.HasSuffix(seen.String(), "SyncConnected") && s.State() == "CONNECTED"
	})
	s.Close()
	if s.State() != "CLOSED" {
		t.Errorf("state %s after Close", s.State())
	}
}

func TestTheObserverIsNotifiedOfEachChangeOfTheConnection(t *testing.T) {
	seen := &counter{}
	d := NewSteppable(Config{Observer: seen})
	for _, state := range []zk.State{zk.StateConnecting, zk.StateHasSession, zk.StateDisconnected, zk.StateExpired, zk.StateAuthFailed} {
		d.onEvent(&session{}, zk.Event{Type: zk.EventSession, State: state})
	}
	if events := seen.String(); events != "SyncConnected Disconnected Expired AuthFailed" {
		t.Errorf("events %s", events)
	}
}

func TestASilentServerDelaysTheHandshakeOnlyBriefly(t *testing.T) {
	z := testkit.NewZooKeeper(t)
	p := testkit.NewZooKeeperProxy(t, z.Address())
	s := openClient(t, p.Addr().String(), func(c *Config) { c.SessionTimeout = 1500 * time.Millisecond })
	ctx := background(t)
	must(t, s.EnsurePath(ctx, "/topics"))
	z.Pause() // the handshake of the next connection gets no answer either
	p.DropAll()
	done := make(chan error, 1)
	go func() { done <- s.Create(ctx, "/topics/t", nil) }()
	// The handshake is abandoned after two thirds of the session timeout and tried again. Ten read
	// timeouts would be ten seconds.
	start, dials := time.Now(), p.Accepted()
	testkit.Eventually(t, 6*time.Second, "the client tries another connection", func() bool { return p.Accepted() >= dials+2 })
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("dialled again after %v", took)
	}
	z.Resume()
	if err := <-done; err != nil && !errors.Is(err, ErrSessionExpired) {
		t.Errorf("after the server resumed: %v", err)
	}
}

// A server that has opened its port but does not serve yet drops each connection. This has nothing
// to do with credentials, and the client tries again without a pause.
func TestAServerThatDropsItsFirstConnectionsIsRetriedSoon(t *testing.T) {
	address, chroot, _ := strings.Cut(testkit.ZooKeeper(t), "/")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	const drops = 3
	go func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if n < drops {
				_ = conn.Close()
				continue
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				_ = conn.Close()
				return
			}
			go func() { _, _ = io.Copy(server, conn); _ = server.Close() }()
			go func() { _, _ = io.Copy(conn, server); _ = conn.Close() }()
		}
	}()
	var lines logBuffer
	began := time.Now()
	openClient(t, listener.Addr().String()+"/"+chroot, func(c *Config) { c.Logger = kafkalog.New(&lines) })
	if took := time.Since(began); took > drops*time.Second {
		t.Errorf("connected after %v", took)
	}
	said := lines.said("org.apache.zookeeper.ClientCnxn")
	if len(said) < drops || slices.ContainsFunc(said[:drops], func(line string) bool {
		return !strings.HasPrefix(line, "INFO The server closed the connection before it opened a session")
	}) {
		t.Errorf("logged %q", said)
	}
}

func TestTheClientLibraryPausesOnlyAfterManyRounds(t *testing.T) {
	over := false
	h := &hosts{over: func() bool { return over }}
	must(t, h.Init([]string{"a:1", "b:1"}))
	next := func() (paused int) {
		for range 2 * quickRounds {
			if _, pause := h.Next(); pause {
				paused++
			}
		}
		return paused
	}
	if n := next(); n != 0 {
		t.Errorf("%d pauses in the first %d rounds", n, quickRounds)
	}
	if n := next(); n != quickRounds {
		t.Errorf("%d pauses in the next %d rounds", n, quickRounds)
	}
	h.Connected()
	if n := next(); n != 0 {
		t.Errorf("%d pauses after a success", n)
	}
	h.Connected()
	over = true
	if _, pause := h.Next(); !pause {
		t.Error("no pause in an ended session")
	}
}

func TestConnectStringsAreSplit(t *testing.T) {
	for text, want := range map[string]struct {
		servers []string
		chroot  string
	}{
		"a:1":              {[]string{"a:1"}, ""},
		"a, b:2 ,":         {[]string{"a:2181", "b:2"}, ""},
		"a:1,b:2/kafka/x/": {[]string{"a:1", "b:2"}, "/kafka/x"},
		"[::1]:5/k":        {[]string{"[::1]:5"}, "/k"},
		"a:1/":             {[]string{"a:1"}, ""},
	} {
		servers, chroot, err := splitConnect(text)
		if err != nil || !reflect.DeepEqual(servers, want.servers) || chroot != want.chroot {
			t.Errorf("%q: %q, %q, %v", text, servers, chroot, err)
		}
	}
	for _, bad := range []string{"", "/chroot", ",", "a//b"} {
		if _, _, err := splitConnect(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestAnUnreachableServerIsReportedAsInKafka(t *testing.T) {
	connect := fmt.Sprintf("127.0.0.1:%d/x", testkit.FreePort(t))
	_, err := Open(background(t), Config{Connect: connect, ConnectionTimeout: 300 * time.Millisecond, Logger: kafkalog.Discard()})
	var timeout *ConnectionTimeoutError
	if err == nil || err.Error() != "Timed out waiting for connection while in state: CONNECTING" || !errors.As(err, &timeout) {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(timeout.Hint(), connect) {
		t.Errorf("the hint %q does not name %s", timeout.Hint(), connect)
	}
}

// The abandoned request still runs, so this test is meant for the race detector too.
func TestAnAbandonedMultiReturnsNoResults(t *testing.T) {
	ctx, s := background(t), openClient(t, testkit.ZooKeeper(t))
	must(t, s.EnsurePath(ctx, "/topics"))
	for range 200 {
		short, cancel := context.WithCancel(ctx)
		go cancel()
		stats, failed, _, err := s.Multi(short, "check", "/absent", CheckOp("/topics", AnyVersion), CheckOp("/absent", 0))
		switch {
		case errors.Is(err, context.Canceled) && (stats != nil || failed != -1):
			t.Fatalf("an abandoned request returned states %v, failed operation %d", stats, failed)
		case errors.Is(err, ErrNoNode) && failed != 1:
			t.Fatalf("operation %d failed: %v", failed, err)
		case err == nil:
			t.Fatal("a check of an absent node was answered without an error")
		}
	}
}

// logBuffer collects log lines. Loggers write to it from several goroutines.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// said returns the messages of one logger in order.
func (b *logBuffer) said(logger string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var messages []string
	for _, line := range strings.Split(b.text.String(), "\n") {
		if rest, ok := strings.CutSuffix(line, " ("+logger+")"); ok {
			if _, message, ok := strings.Cut(rest, "] "); ok {
				messages = append(messages, message)
			}
		}
	}
	return messages
}
