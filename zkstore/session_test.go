package zkstore

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
)

func TestPitfallController02_TheResultBehindALostAnswerIsReadFromTheNodes(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.CreateStartupPaths(ctx))
	tp := TopicPartition{Topic: "t"}
	state := PartitionState{ControllerEpoch: 1, Leader: 1, ISR: []int32{1}}
	var epoch ControllerEpoch
	for _, c := range []struct {
		name string
		op   int32
		run  func() error
	}{
		{"election", opMulti, func() (err error) {
			epoch, err = s.Elect(ctx, 1)
			if err == nil && epoch.Epoch != 1 {
				t.Errorf("epoch %+v", epoch)
			}
			return err
		}},
		{"registration", opMulti, func() error { return second(s.RegisterBroker(ctx, plaintext(1))) }},
		{"create", opCreate, func() error {
			return s.CreateTopic(ctx, TopicNode{Name: "t", Partitions: map[int32]Assignment{0: {Replicas: []int32{1}}}})
		}},
		{"fenced creates", opMulti, func() error {
			failed, err := s.CreatePartitionStates(ctx, epoch.Fence(), map[TopicPartition]PartitionState{tp: state})
			return errors.Join(err, failed[tp])
		}},
		{"fenced set", opMulti, func() error {
			written, failed, err := s.SetPartitionStates(ctx, epoch.Fence(), map[TopicPartition]PartitionState{tp: state})
			if written[tp] != 1 {
				t.Errorf("version %d", written[tp])
			}
			return errors.Join(err, failed[tp])
		}},
		{"conditional set", opSetData, func() error { return second(s.AllocateProducerIDBlock(ctx, 1)) }},
		{"fenced delete", opMulti, func() error { return s.DeleteTopic(ctx, epoch.Fence(), "t") }},
		{"delete", opDelete, func() error { return s.remove(ctx, ISRChangesPath) }},
	} {
		before := p.answersLost()
		p.loseNext(c.op)
		if err := c.run(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if p.answersLost() != before+1 {
			t.Errorf("%s: no answer was lost", c.name)
		}
	}
	if n, err := straight.readUnwatched(ctx, ControllerEpochPath); err != nil || string(n.data) != "1" {
		t.Errorf("controller epoch %q, %v: elected twice?", n.data, err)
	}
	if b, err := s.AllocateProducerIDBlock(ctx, 1); err != nil || b.Start != 1000 {
		t.Errorf("next block %+v, %v: the allocation with the lost answer should have got the first block", b, err)
	}
}

func TestAConflictAfterALostAnswerStaysAConflict(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.CreateStartupPaths(ctx))
	epoch, err := s.Elect(ctx, 1)
	must(t, err)
	one, two := TopicPartition{Topic: "t"}, TopicPartition{Topic: "t", Partition: 1}
	states := map[TopicPartition]PartitionState{one: {ISR: []int32{1}}, two: {ISR: []int32{1}}}
	must(t, straight.CreateTopic(ctx, TopicNode{Name: "t"}))
	failed, err := s.CreatePartitionStates(ctx, epoch.Fence(), states)
	if err != nil || len(failed) > 0 {
		t.Fatalf("%v, %v", failed, err)
	}
	_, err = straight.set(ctx, PartitionStatePath(two), []byte("{}"), 0)
	must(t, err)
	p.loseNext(opMulti)
	written, failed, err := s.SetPartitionStates(ctx, epoch.Fence(), states)
	if err != nil || written[one] != 1 || !errors.Is(failed[two], ErrBadVersion) || len(failed) != 1 {
		t.Errorf("written %v, failed %v, %v", written, failed, err)
	}
	p.loseNext(opMulti)
	if _, err := s.Elect(ctx, 2); !errors.Is(err, ErrControllerMoved) {
		t.Errorf("election after an earlier one of the same session with another id: %v", err)
	}
}

func TestOperationsSurviveALostConnection(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.CreateStartupPaths(ctx))
	id := s.SessionID()
	p.setCut(true)
	done := make(chan error, 1)
	go func() { done <- s.CreateTopic(ctx, TopicNode{Name: "t"}) }()
	p.setCut(false)
	must(t, <-done)
	if s.SessionID() != id {
		t.Error("the session changed")
	}
}

func TestWatchesSurviveAReconnect(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.CreateStartupPaths(ctx))
	rung := make(chan struct{}, 10)
	s.WatchChildren(TopicsPath, func() { rung <- struct{}{} })
	_, err := s.Topics(ctx)
	must(t, err)
	p.setCut(true)
	must(t, straight.CreateTopic(ctx, TopicNode{Name: "missed"})) // while s is disconnected
	p.setCut(false)
	<-rung
	if names, err := s.Topics(ctx); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	p.dropAll()
	must(t, straight.CreateTopic(ctx, TopicNode{Name: "second"}))
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
	must(t, s.CreateStartupPaths(ctx))
	firstEpoch, err := s.RegisterBroker(ctx, plaintext(1))
	must(t, err)
	first := s.SessionID()
	bound := s.BindSession(ctx)

	var steps trace
	again := make(chan struct{}, 1)
	s.WatchChildren(TopicsPath, func() { steps.add("children") })
	s.WatchNode(ControllerPath, NodeWatch{Changed: func() { again <- struct{}{} }})
	_, err = s.Topics(ctx)
	must(t, err)
	s.AddSessionListener(SessionListener{
		Before: func() {
			steps.add("before")
			if id := s.SessionID(); id != 0 {
				t.Errorf("session %x is open in Before", id)
			}
			if _, err := s.Topics(bound); !errors.Is(err, ErrSessionExpired) {
				t.Errorf("operation of the old session in Before: %v", err)
			}
		},
		After: func() {
			steps.add("after")
			if _, err := s.RegisterBroker(ctx, plaintext(1)); err != nil {
				t.Errorf("register in After: %v", err)
			}
		},
	})
	s.AddSessionListener(SessionListener{After: func() { steps.add("second") }})
	p.expireSession(t)
	<-again
	testkit.Eventually(t, 5*time.Second, "handlers are called in the new session", func() bool {
		return steps.String() == "before after second children"
	})
	if id := s.SessionID(); id == first || id == 0 {
		t.Errorf("session %x after %x", id, first)
	}
	if err := s.CreateTopic(bound, TopicNode{Name: "t"}); !errors.Is(err, ErrSessionExpired) {
		t.Errorf("operation of the old session in the new one: %v", err)
	}
	must(t, s.CreateTopic(ctx, TopicNode{Name: "t"}))
	info, owner, err := straight.BrokerNode(ctx, 1)
	if err != nil || info.Epoch <= firstEpoch || owner != s.SessionID() {
		t.Errorf("broker %+v of %x, %v", info, owner, err)
	}
}

func TestAnOperationInProgressFailsWhenItsSessionExpires(t *testing.T) {
	s, straight, p := openThroughProxy(t, func(c *Config) { c.SessionTimeout = 1500 * time.Millisecond })
	ctx := background(t)
	must(t, straight.CreateStartupPaths(ctx))
	_, err := s.RegisterBroker(ctx, plaintext(1))
	must(t, err)
	bound := s.BindSession(ctx)
	p.setCut(true)
	done := make(chan error, 1)
	go func() { done <- s.CreateTopic(bound, TopicNode{Name: "zombie"}) }()
	must(t, straight.AwaitBrokerGone(ctx, 1)) // the server has expired the session
	p.setCut(false)
	if err := <-done; !errors.Is(err, ErrSessionExpired) {
		t.Errorf("error %v", err)
	}
	// An unbound operation waits for the new session.
	must(t, s.CreateTopic(ctx, TopicNode{Name: "t"}))
	if names, err := straight.TopicNames(ctx); err != nil || strings.Join(names, " ") != "t" {
		t.Errorf("topics %v, %v", names, err)
	}
}

func TestPitfallController04_ANodeOfAFormerSessionOfTheStoreIsReplaced(t *testing.T) {
	ctx, connect := background(t), testkit.ZooKeeper(t)
	former, s := openStore(t, connect), openStore(t, connect)
	must(t, s.CreateStartupPaths(ctx))
	before, err := former.RegisterBroker(ctx, plaintext(1))
	must(t, err)
	s.mu.Lock()
	s.registered = former.SessionID() // as if s had registered the broker in that session and lost it
	s.mu.Unlock()
	after, err := s.RegisterBroker(ctx, plaintext(1))
	if err != nil || after <= before {
		t.Errorf("epoch %d after %d, %v", after, before, err)
	}
}

func TestCloseReturnsWhileDisconnected(t *testing.T) {
	s, _, p := openThroughProxy(t)
	ctx := background(t)
	p.setCut(true)
	done := make(chan error, 1)
	go func() { done <- s.CreateTopic(ctx, TopicNode{Name: "t"}) }()
	s.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("operation in progress: %v", err)
	}
}

func TestTheErrorForATooLargeNodeNamesTheSetting(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	err := s.create(ctx, TopicPath("huge"), make([]byte, 2<<20))
	if err == nil || !strings.Contains(err.Error(), "jute.maxbuffer") {
		t.Errorf("2 MiB: %v", err)
	}
	if err := s.create(ctx, TopicPath("huge"), make([]byte, 5<<20)); err == nil {
		t.Error("5 MiB: no error")
	}
	if _, err := s.Topics(ctx); err != nil {
		t.Errorf("later operation: %v", err)
	}
}

func TestASessionLossDuringAfterDoesNotBlock(t *testing.T) {
	s, straight, p := openThroughProxy(t)
	ctx := background(t)
	must(t, straight.CreateStartupPaths(ctx))
	results := make(chan error, 2)
	first := true
	s.AddSessionListener(SessionListener{After: func() {
		if first {
			first = false
			s.mu.Lock()
			current := s.current
			s.mu.Unlock()
			p.expireSession(t)
			<-current.dead
		}
		_, err := s.Topics(ctx)
		results <- err
	}})
	p.expireSession(t)
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

// answered returns the number of answered requests.
func (c *counter) answered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
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
	must(t, s.CreateStartupPaths(ctx))
	if seen.requests < len(startupPaths()) || s.State() != "CONNECTED" {
		t.Errorf("%d requests, state %s", seen.requests, s.State())
	}
	before := strings.Count(seen.String(), "Expired")
	p.expireSession(t)
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
	p := startProxy(t, z.Address())
	s := openStore(t, p.Addr().String(), func(c *Config) { c.SessionTimeout = 1500 * time.Millisecond })
	ctx := background(t)
	must(t, s.CreateStartupPaths(ctx))
	z.Pause() // the handshake of the next connection gets no answer either
	p.dropAll()
	done := make(chan error, 1)
	go func() { done <- s.CreateTopic(ctx, TopicNode{Name: "t"}) }()
	// The handshake is abandoned after two thirds of the session timeout and tried again. Ten read
	// timeouts would be ten seconds.
	start, dials := time.Now(), p.accepted()
	testkit.Eventually(t, 6*time.Second, "the client tries another connection", func() bool { return p.accepted() >= dials+2 })
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
	openStore(t, listener.Addr().String()+"/"+chroot, func(c *Config) { c.Logger = kafkalog.New(&lines) })
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
