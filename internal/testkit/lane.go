package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Lane is a TCP proxy in front of a port of a Node, in the Node's namespace: a link that can be
// slow and lossy. A TCP connection does not survive lost bytes, so a loss discards the data that
// was to be forwarded and closes the connection on both sides.
type Lane struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	delayMax atomic.Int64 // longest delay of a piece of data in each direction, in nanoseconds
	loss     atomic.Int64 // how many of a million pieces of data are lost

	mu     sync.Mutex // guards the fields below
	conns  map[net.Conn]bool
	closed bool
}

// NewLane listens on one port of the Node and forwards to another one until the test ends.
func NewLane(t testing.TB, node *Node, port, target int) *Lane {
	t.Helper()
	listener, err := node.Listen(port)
	if err != nil {
		t.Fatalf("listen in the namespace of %s: %v", node.Name, err)
	}
	l := &Lane{target: fmt.Sprintf("%s:%d", node.IP, target), listener: listener, conns: map[net.Conn]bool{}}
	l.wg.Go(l.accept)
	t.Cleanup(l.close)
	return l
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
	out, err := net.DialTimeout("tcp4", l.target, 5*time.Second)
	if err != nil {
		return
	}
	defer out.Close()
	if !l.add(in, out) {
		return
	}
	defer l.remove(in, out)
	var both sync.WaitGroup
	both.Go(func() { l.forward(in, out) })
	both.Go(func() { l.forward(out, in) })
	both.Wait()
}

// forward copies data from one connection to the other until either is closed.
func (l *Lane) forward(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if most := l.delayMax.Load(); most > 0 {
				<-time.After(time.Duration(rand.Int64N(most)))
			}
			if rand.Int64N(1e6) < l.loss.Load() {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
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
	l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for c := range l.conns {
		c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}
