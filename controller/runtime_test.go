package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// probe is an event that calls run when it is processed, and gone when it is preempted.
type probe struct {
	run  func()
	gone func()
}

func (probe) String() string { return "Probe" }
func (p probe) process(*Machine) error {
	p.run()
	return nil
}
func (p probe) preempt() {
	if p.gone != nil {
		p.gone()
	}
}

func startController(t *testing.T) (*Controller, *fakeStore) {
	store := newFakeStore(func(string, ...any) {})
	c, err := New(Config{BrokerID: 0, InterBrokerListener: "PLAINTEXT", IBP: "3.9", DeleteTopics: true, Dial: refuse}, store)
	if err != nil {
		t.Fatal(err)
	}
	return c, store
}

func refuse(context.Context, string) (net.Conn, error) { return nil, errors.New("refused") }

func TestAPanicIsLoggedAndTheNextEventIsProcessed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := startController(t)
		c.Start()
		answered := false
		c.queue.Put(probe{run: func() { panic("on purpose") }, gone: func() { answered = true }})
		ran := false
		c.queue.Put(probe{run: func() { ran = true }})
		synctest.Wait()
		if !ran || !answered || !c.IsActive() {
			t.Errorf("next event processed: %t, event with a panic answered: %t, active: %t", ran, answered, c.IsActive())
		}
		c.Stop()
	})
}

func TestPitfallController06_QueuedRequestsAreAnsweredWhenTheSessionIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := startController(t)
		c.Start()
		synctest.Wait()
		busy := make(chan struct{})
		c.queue.Put(probe{run: func() { <-busy }})
		var codes []protocol.ErrorCode
		var mu sync.Mutex
		note := func(code protocol.ErrorCode) {
			mu.Lock()
			codes = append(codes, code)
			mu.Unlock()
		}
		c.AlterPartition(kmsg.NewPtrAlterPartitionRequest(), func(r *kmsg.AlterPartitionResponse) { note(protocol.ErrorCode(r.ErrorCode)) })
		c.AllocateProducerIDs(0, 1, func(_ int64, _ int32, err error) { note(protocol.CodeOf(err)) })
		c.ControlledShutdown(0, 1, func(_ []TopicPartition, err error) { note(protocol.CodeOf(err)) })
		c.ElectLeaders(nil, ElectPreferred, func(_ map[TopicPartition]ElectionResult, err error) { note(protocol.CodeOf(err)) })
		c.AlterPartitionReassignments(nil, func(_ map[TopicPartition]error, err error) { note(protocol.CodeOf(err)) })
		c.ListPartitionReassignments(nil, func(_ map[TopicPartition]zkstore.Assignment, err error) { note(protocol.CodeOf(err)) })
		c.UpdateFeatures(nil, false, time.Second, func(_ map[string]error, err error) { note(protocol.CodeOf(err)) })
		lost := make(chan struct{})
		go func() { c.BeforeNewSession(); close(lost) }()
		synctest.Wait()
		want := []protocol.ErrorCode{protocol.NotController, protocol.NotController, protocol.StaleControllerEpoch, protocol.NotController, protocol.NotController, protocol.NotController, protocol.NotController}
		if len(codes) != len(want) {
			t.Fatalf("answers: %v", codes)
		}
		for i := range want {
			if codes[i] != want[i] {
				t.Errorf("request %d: %s, want %s", i, codes[i], want[i])
			}
		}
		close(busy)
		<-lost
		synctest.Wait()
		if c.IsActive() {
			t.Error("still active after the session was lost")
		}
		c.Stop()
		c.AllocateProducerIDs(0, 1, func(_ int64, _ int32, err error) { note(protocol.CodeOf(err)) })
		if codes[len(codes)-1] != protocol.NotController || len(codes) != len(want)+1 {
			t.Errorf("after Stop: %v", codes)
		}
	})
}

func TestPitfallController05_ASessionIsLostWhileAnEventWaitsForZooKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, store := startController(t)
		c.Start()
		synctest.Wait()
		waited := make(chan error, 1)
		c.queue.Put(probe{run: func() { // like an operation without an answer
			<-c.m.ctx.Done()
			waited <- c.m.ctx.Err()
		}})
		synctest.Wait()
		c.BeforeNewSession() // would deadlock if it waited for the event
		if err := <-waited; err == nil {
			t.Error("the operation was not canceled")
		}
		synctest.Wait()
		store.controller = nil
		c.AfterNewSession()
		synctest.Wait()
		if !c.IsActive() || c.Epoch() != 2 {
			t.Errorf("active %t in epoch %d after the new session", c.IsActive(), c.Epoch())
		}
		c.Stop()
	})
}

func TestStopEndsAnEventThatIsAboutToWaitForZooKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := startController(t)
		c.Start()
		synctest.Wait()
		begun := make(chan struct{})
		c.queue.Put(probe{run: func() {
			close(begun)
			<-c.m.ctx.Done()  // canceled by Stop
			c.m.bindSession() // like the event after a new session
			<-c.m.ctx.Done()
		}})
		<-begun
		c.Stop()
		if c.IsActive() || c.ActiveControllerID() != metadata.NoBroker {
			t.Error("active after Stop")
		}
	})
}

func TestARegistrationThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore(func(string, ...any) {})
		tries := 0
		c, err := New(Config{InterBrokerListener: "PLAINTEXT", IBP: "3.9", Register: func(context.Context) error {
			if tries++; tries < 3 {
				return zkstore.ErrNodeExists
			}
			return nil
		}}, store)
		if err != nil {
			t.Fatal(err)
		}
		c.Start()
		synctest.Wait()
		c.BeforeNewSession()
		synctest.Wait()
		store.controller = nil
		c.AfterNewSession()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if tries != 3 || !c.IsActive() {
			t.Errorf("%d tries, active %t", tries, c.IsActive())
		}
		c.Stop()
	})
}

func TestTimersOfATermEndWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.PutAfter(time.Minute, probe{})
		q.PutAfter(time.Hour, probe{})
		time.Sleep(2 * time.Minute)
		if q.size() != 1 {
			t.Fatalf("%d events after two minutes", q.size())
		}
		q.CancelTimers()
		time.Sleep(2 * time.Hour)
		if q.size() != 1 {
			t.Errorf("a canceled timer fired")
		}
	})
}

func brokerInfo(id metadata.BrokerID, epoch int64) zkstore.BrokerInfo {
	return zkstore.BrokerInfo{ID: id, Epoch: epoch, Endpoints: []metadata.Endpoint{{Listener: "PLAINTEXT", Host: "host", Port: 9092}}}
}

// fakeBroker answers control requests over in-memory connections.
type fakeBroker struct {
	mu       sync.Mutex
	requests []kmsg.Request
	fail     int // how many requests to answer by closing the connection
	dials    int
}

func (b *fakeBroker) dial(context.Context, string) (net.Conn, error) {
	near, far := net.Pipe()
	b.mu.Lock()
	b.dials++
	b.mu.Unlock()
	go b.serve(far)
	return near, nil
}

func (b *fakeBroker) serve(conn net.Conn) {
	defer conn.Close()
	for {
		req, correlation, err := readRequest(conn)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.requests = append(b.requests, req)
		cut := b.fail > 0
		if cut {
			b.fail--
		}
		b.mu.Unlock()
		if cut {
			return
		}
		if err := writeResponse(conn, correlation, req.ResponseKind()); err != nil {
			return
		}
	}
}

func (b *fakeBroker) seen() []kmsg.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]kmsg.Request(nil), b.requests...)
}

func update(epoch int64) *kmsg.UpdateMetadataRequest {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.BrokerEpoch = 8, epoch
	return req
}

func TestASenderKeepsTheOrderAndSendsAgainUntilAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{fail: 2}
		s := newSenders(Config{InterBrokerListener: "PLAINTEXT", Dial: b.dial})
		s.Add(brokerInfo(1, 7))
		var answers []int64
		var mu sync.Mutex
		for i := range int64(5) {
			s.Send(1, update(i), func(kmsg.Response) {
				mu.Lock()
				answers = append(answers, i)
				mu.Unlock()
			})
		}
		time.Sleep(time.Second)
		mu.Lock()
		if len(answers) != 5 {
			t.Fatalf("answers: %v", answers)
		}
		mu.Unlock()
		var order []int64
		for _, req := range b.seen() {
			order = append(order, req.(*kmsg.UpdateMetadataRequest).BrokerEpoch)
		}
		want := []int64{0, 0, 0, 1, 2, 3, 4} // the first request is sent three times
		for i := range want {
			if i >= len(order) || order[i] != want[i] {
				t.Fatalf("sent %v, want %v", order, want)
			}
		}
		if b.dials != 3 {
			t.Errorf("%d connections", b.dials)
		}
		s.RemoveAll()
		s.wait()
	})
}

// A broker that accepts a connection and never answers delays only its own queue.
func TestABrokerThatHangsDelaysNoOtherBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := newSenders(Config{InterBrokerListener: "PLAINTEXT", RequestTimeout: time.Hour, Dial: func(ctx context.Context, address string) (net.Conn, error) {
			if address == "hangs:9092" {
				near, _ := net.Pipe()
				return near, nil
			}
			return b.dial(ctx, address)
		}})
		hangs := brokerInfo(1, 7)
		hangs.Endpoints[0].Host = "hangs"
		s.Add(hangs)
		s.Add(brokerInfo(2, 7))
		began := time.Now()
		for i := range int64(5) {
			s.Send(1, update(i), func(kmsg.Response) { t.Error("answered") })
			s.Send(2, update(i), nil)
		}
		synctest.Wait()
		if n := len(b.seen()); n != 5 || time.Since(began) != 0 {
			t.Errorf("after %v the other broker has %d of 5 requests", time.Since(began), n)
		}
		s.RemoveAll()
		s.wait()
	})
}

func TestPitfallController22_TheQueueOfARemovedBrokerIsNotSentToItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		var up, answered atomic.Bool
		dial := func(ctx context.Context, address string) (net.Conn, error) {
			if !up.Load() {
				return nil, errors.New("refused")
			}
			return b.dial(ctx, address)
		}
		s := newSenders(Config{InterBrokerListener: "PLAINTEXT", Dial: dial})
		s.Add(brokerInfo(1, 7))
		for range 3 {
			s.Send(1, update(7), func(kmsg.Response) { t.Error("answered") })
		}
		time.Sleep(time.Second) // all attempts fail
		s.Remove(1)
		s.Add(brokerInfo(1, 8))
		up.Store(true)
		s.Send(1, update(8), func(kmsg.Response) { answered.Store(true) })
		time.Sleep(time.Second)
		if seen := b.seen(); len(seen) != 1 || seen[0].(*kmsg.UpdateMetadataRequest).BrokerEpoch != 8 || !answered.Load() {
			t.Errorf("the successor got %d requests, answered: %t", len(seen), answered.Load())
		}
		s.RemoveAll()
		s.wait()
	})
}

// waiting is an event that waits for ZooKeeper, like the deletion of a topic.
type waiting struct{ begun chan struct{} }

func (waiting) String() string { return "Waiting" }
func (w waiting) process(m *Machine) error {
	close(w.begun)
	<-m.ctx.Done()
	return fmt.Errorf("delete /brokers/topics/t: %w", m.ctx.Err())
}

func TestAnEventEndedByTheBrokersStopIsNotLoggedAsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		c, err := New(Config{BrokerID: 0, InterBrokerListener: "PLAINTEXT", IBP: "3.9", Dial: refuse, Logger: kafkalog.New(&lines)}, newFakeStore(func(string, ...any) {}))
		if err != nil {
			t.Fatal(err)
		}
		c.Start()
		begun := make(chan struct{})
		c.queue.Put(waiting{begun})
		<-begun
		c.Stop()
		if text := lines.String(); strings.Contains(text, "ERROR") || !strings.Contains(text, "Event Waiting is abandoned because the broker is stopping") {
			t.Errorf("log:\n%s", text)
		}
	})
}

// stuckElection is a store whose elections wait for ZooKeeper until they are interrupted.
type stuckElection struct {
	Store
	begun chan struct{}
}

func (s stuckElection) Elect(ctx context.Context, _ metadata.BrokerID) (zkstore.ControllerEpochNode, error) {
	close(s.begun)
	<-ctx.Done()
	return zkstore.ControllerEpochNode{}, fmt.Errorf("elect /controller: %w", ctx.Err())
}

func TestAnElectionEndedByTheBrokersStopIsNotLoggedAsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		store := stuckElection{newFakeStore(func(string, ...any) {}), make(chan struct{})}
		c, err := New(Config{BrokerID: 0, InterBrokerListener: "PLAINTEXT", IBP: "3.9", Dial: refuse, Logger: kafkalog.New(&lines)}, store)
		if err != nil {
			t.Fatal(err)
		}
		c.Start()
		<-store.begun
		c.Stop()
		if text := lines.String(); strings.Contains(text, "ERROR") || !strings.Contains(text, "is abandoned because the broker is stopping") {
			t.Errorf("log:\n%s", text)
		}
	})
}
