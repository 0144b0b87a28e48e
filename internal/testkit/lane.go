package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Lane is a TCP proxy in front of a port of a Node, in the Node's namespace, or of 127.0.0.1: a link
// that can be slow and lossy, or cut for a while. A TCP connection does not survive lost bytes, so a
// loss discards the data that was to be forwarded and closes the connection on both sides.
type Lane struct {
	target   atomic.Pointer[string]
	listener net.Listener
	wg       sync.WaitGroup

	delayMax atomic.Int64 // longest delay of a piece of data in each direction, in nanoseconds
	loss     atomic.Int64 // how many of a million pieces of data are lost

	mu     sync.Mutex // guards the fields below
	conns  map[net.Conn]bool
	closed bool
	held   [2]*hold // of each Way; nil: nothing is held
	lost   []int16  // keys of the requests whose answers are lost
}

// Way is a direction through a Lane.
type Way int

// The directions: requests pass from clients to the Node, answers pass back.
const (
	Requests Way = iota
	Answers
)

// hold makes the data of some clients wait.
type hold struct {
	of   func(clientID string) bool
	over chan struct{} // closed when the hold ends
}

// NewLane listens on one port of the Node and forwards to another one until the test ends.
func NewLane(t testing.TB, node *Node, port, target int) *Lane {
	t.Helper()
	listener, err := node.Listen(port)
	if err != nil {
		t.Fatalf("listen in the namespace of %s: %v", node.Name, err)
	}
	return newLane(t, listener, fmt.Sprintf("%s:%d", node.IP, target))
}

// NewLoopbackLane listens on a free port of 127.0.0.1 until the test ends. Forward sets the port to
// which it forwards; until then it closes connections.
func NewLoopbackLane(t testing.TB) *Lane {
	t.Helper()
	listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", FreePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	return newLane(t, listener, "")
}

func newLane(t testing.TB, listener net.Listener, target string) *Lane {
	l := &Lane{listener: listener, conns: map[net.Conn]bool{}}
	l.target.Store(&target)
	l.wg.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

// Port returns the port on which the lane listens.
func (l *Lane) Port() int { return l.listener.Addr().(*net.TCPAddr).Port }

// Forward makes the lane forward new connections to a port of 127.0.0.1.
func (l *Lane) Forward(port int) {
	target := fmt.Sprintf("127.0.0.1:%d", port)
	l.target.Store(&target)
}

// Cut stops or resumes forwarding. As on a cut link, what was sent before and during the cut arrives
// late, after the sender may have given up, and connections stay open.
func (l *Lane) Cut(on bool) {
	var of func(string) bool
	if on {
		of = func(string) bool { return true }
	}
	l.Hold(Requests, of)
	l.Hold(Answers, of)
}

// Hold is like Cut for one direction and for the connections of some clients of Kafka's protocol: of
// is given the client id of a connection's first request. If of is nil, the direction is resumed.
func (l *Lane) Hold(way Way, of func(clientID string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if former := l.held[way]; former != nil {
		close(former.over)
	}
	if l.held[way] = nil; of != nil {
		l.held[way] = &hold{of, make(chan struct{})}
	}
}

// awaitLink waits while the data of a client is held.
func (l *Lane) awaitLink(way Way, clientID string) {
	for {
		l.mu.Lock()
		h := l.held[way]
		l.mu.Unlock()
		if h == nil || !h.of(clientID) {
			return
		}
		<-h.over
	}
}

// LoseAnswers loses all answers to requests with the given keys of Kafka's protocol, after they were
// handled. As every loss, it closes the connection. Without keys no more answers are lost.
func (l *Lane) LoseAnswers(keys ...int16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = keys
}

// loses reports whether the answers to requests with the key are lost.
func (l *Lane) loses(key int16) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.lost, key)
}

// Impair delays each piece of data by up to delayMax and loses the given share of pieces, from 0 to
// 1. Two zeros remove the impairment.
func (l *Lane) Impair(delayMax time.Duration, loss float64) {
	l.delayMax.Store(int64(delayMax))
	l.loss.Store(int64(loss * 1e6))
}

func (l *Lane) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.wg.Go(func() { l.serve(in) })
	}
}

func (l *Lane) serve(in net.Conn) {
	defer in.Close()
	out, err := net.DialTimeout("tcp4", *l.target.Load(), 5*time.Second)
	if err != nil {
		return
	}
	defer out.Close()
	if !l.add(in, out) {
		return
	}
	defer l.remove(in, out)
	var both sync.WaitGroup
	var calls calls
	both.Go(func() { l.forward(Requests, &calls, in, out) })
	both.Go(func() { l.forward(Answers, &calls, out, in) })
	both.Wait()
}

// forward copies data from one connection to the other until either is closed or data is lost.
func (l *Lane) forward(way Way, calls *calls, from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	var stream frames
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			lost := false
			if way == Requests {
				stream.scan(buf[:n], requestHead, calls.begin)
			} else {
				n, lost = stream.scan(buf[:n], answerHead, func(head []byte) bool { return !l.loses(calls.end(head)) })
			}
			if most := l.delayMax.Load(); most > 0 {
				<-time.After(time.Duration(rand.Int64N(most)))
			}
			if rand.Int64N(1e6) < l.loss.Load() {
				return
			}
			l.awaitLink(way, calls.clientID())
			if _, err := to.Write(buf[:n]); err != nil || lost {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (l *Lane) add(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		l.conns[c] = true
	}
	return !l.closed
}

func (l *Lane) remove(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		delete(l.conns, c)
	}
}

func (l *Lane) close() {
	l.Cut(false)
	l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for c := range l.conns {
		c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}
