package zkclient

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// Without the end of its session a stopped broker would stay registered.
func TestCloseDeletesTheEphemeralNodesOfTheSession(t *testing.T) {
	connect := testkit.ZooKeeper(t)
	ctx, s, other := background(t), openClient(t, connect), openClient(t, connect)
	must(t, s.CreateEphemeral(ctx, "/e", nil))
	deleted := make(chan struct{})
	other.WatchNode("/e", NodeWatch{Deleted: func() { close(deleted) }})
	if exists, err := other.Exists(ctx, "/e"); !exists || err != nil {
		t.Fatal(exists, err)
	}
	s.Close()
	select {
	case <-deleted:
	case <-ctx.Done():
		t.Error("the node of a closed client still exists")
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

// Close waits for hooks, so it ends the session whose connection they wait for.
func TestCloseEndsTheOperationsOfHooks(t *testing.T) {
	s, _, p := openThroughProxy(t)
	ctx := background(t)
	entered, result := make(chan struct{}), make(chan error, 1)
	s.AddSessionListener(SessionListener{After: func() {
		p.SetCut(true)
		close(entered)
		result <- s.Create(ctx, "/topics", nil)
	}})
	p.ExpireSession(t)
	<-entered
	s.Close()
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("operation of a hook: %v", err)
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
