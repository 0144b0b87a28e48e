package network

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/monedula/monedula/protocol"
)

// conn is one connection. Its goroutine runs serve; the fields without a lock
// belong to it, but for those said to be atomic.
type conn struct {
	server   *Server
	listener *boundListener
	accepted net.Conn        // what Accept gave; closing it ends everything
	net      net.Conn        // accepted, or what Listener.Open made of it
	raw      syscall.RawConn // of a plain TCP connection, else nil
	peer     *Peer
	host     string // under which limits counts it
	in       frameReader
	answers  answers

	done     chan struct{}
	doneOnce sync.Once

	lastActive atomic.Int64 // UnixNano of the last byte in or out
	inHand     atomic.Int32 // requests read and not yet answered
	writing    atomic.Bool
	mutedUntil atomic.Int64 // UnixNano; nothing is served before
}

// touch notes that bytes moved.
func (c *conn) touch() { c.lastActive.Store(time.Now().UnixNano()) }

// stop closes Request.Done: who waits answers now, and nothing more is read.
func (c *conn) stop() { c.doneOnce.Do(func() { close(c.done) }) }

// cut ends the connection at once; its goroutine notices by an error.
func (c *conn) cut() {
	c.stop()
	c.accepted.Close()
}

// idle says whether no request is in hand.
func (c *conn) idle() bool { return c.inHand.Load() == 0 }

// serve runs the connection until it ends.
func (c *conn) serve() {
	defer c.server.forget(c)
	defer c.cut()
	if !c.open() {
		return
	}
	for c.waitUnmuted() {
		frame, err := c.in.next()
		if err != nil {
			c.readEnded(err)
			return
		}
		c.inHand.Add(1)
		if !c.handle(frame) {
			return
		}
	}
}

// open lets the listener find out who the peer is.
func (c *conn) open() bool {
	if c.listener.Open != nil {
		opened, err := c.listener.Open(c.accepted, c.peer)
		if err != nil {
			c.server.selectorLog.Infof("%sFailed authentication with /%s (channelId=%s) (%v)", c.server.prefix, c.host, c.peer.ID, err)
			return false
		}
		c.net = opened
	}
	c.in.conn = c.net
	if tcp, ok := c.net.(*net.TCPConn); ok {
		raw, err := tcp.SyscallConn()
		if err == nil {
			c.raw = raw
		}
	}
	return true
}

// readEnded handles the end of reading. A peer that only closed its sending
// side still gets the answers it waits for.
func (c *conn) readEnded(err error) {
	var bad *frameError
	if errors.As(err, &bad) {
		c.server.stats.badFrames.Add(1)
		c.server.badFrames.warnf(c.server.selectorLog, "%sUnexpected error from /%s (channelId=%s); closing connection: %v", c.server.prefix, c.host, c.peer.ID, bad)
	}
	if err == io.EOF {
		c.answers.drain()
	}
}

// handle serves one frame. It returns false when the connection is to end.
func (c *conn) handle(frame []byte) bool {
	c.server.stats.requests.Add(1)
	c.server.stats.bytesIn.Add(int64(len(frame)) + 4)
	header, body, err := protocol.ParseRequestHeader(frame)
	if err != nil {
		c.in.release()
		c.answers.drain()
		c.refuse(err)
		return false
	}
	if header.Key != protocol.Produce && !c.answers.drain() || !c.waitUnmuted() {
		c.in.release()
		return false
	}
	req := &Request{RequestHeader: header, Body: body, Size: len(frame), Peer: c.peer,
		Received: time.Unix(0, c.lastActive.Load()), Done: c.done}
	a := answer{req: req}
	started := time.Now()
	a.Response = c.call(req, nil)
	a.timing.Serve = time.Since(started)
	req.Body = nil
	c.in.release()
	if a.Deferred != nil || c.answers.pending() {
		ok := c.answers.add(a)
		if a.Close || a.Err != nil {
			c.answers.drain()
			return false
		}
		return ok
	}
	return c.finish(a)
}

// waitUnmuted waits out a throttle time. It returns false when the connection
// ended meanwhile.
func (c *conn) waitUnmuted() bool {
	until := c.mutedUntil.Load()
	if until == 0 {
		return true
	}
	timer := time.NewTimer(time.Until(time.Unix(0, until)))
	defer timer.Stop()
	select {
	case <-timer.C:
		c.mutedUntil.CompareAndSwap(until, 0)
		return true
	case <-c.done:
		return false
	}
}

// call has the handler serve req, or finish it by deferred; a panic costs the
// connection and nothing else.
func (c *conn) call(req *Request, deferred func() Response) (resp Response) {
	defer func() {
		if p := recover(); p != nil {
			c.panicked(req, p)
			resp = Response{Close: true}
		}
	}()
	if deferred != nil {
		return deferred()
	}
	return c.server.handler.Serve(req)
}

func (c *conn) panicked(req *Request, p any) {
	c.server.stats.panics.Add(1)
	c.server.processorLog.Errorf("Closing socket for %s because of error: the handler of %s panicked: %v\n%s", c.peer.ID, req.Key, p, debug.Stack())
}

// finish writes an answer (or not), and lets go of what it holds. It returns
// false when the connection is to end.
func (c *conn) finish(a answer) bool {
	defer c.inHand.Add(-1)
	if a.Err != nil {
		a.Close = true
		c.refuse(a.Err)
	}
	ok := c.write(&a)
	if ok && a.Throttle > 0 {
		a.timing.Throttle = a.Throttle
		c.mutedUntil.Store(time.Now().Add(a.Throttle).UnixNano())
	}
	return c.letGo(&a) && ok && !a.Close && !c.server.stopping.Load()
}

// refuse reports a frame for which the connection is closed.
func (c *conn) refuse(err error) {
	c.server.stats.badFrames.Add(1)
	c.server.badFrames.errorf(c.server.processorLog, "Closing socket for %s because of error: %v", c.peer.ID, err)
}

// letGo gives back what an answer holds and reports it. It returns false when
// that panicked.
func (c *conn) letGo(a *answer) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			c.panicked(a.req, p)
			ok = false
		}
	}()
	if a.Release != nil {
		a.Release()
	}
	if c.server.observe != nil {
		c.server.observe(a.req, a.timing)
	}
	return true
}

func (c *conn) write(a *answer) bool {
	if len(a.Runs) == 0 {
		if !a.NoAnswer && !a.Close {
			c.server.processorLog.Errorf("Closing socket for %s because of error: the handler of %s gave no answer", c.peer.ID, a.req.Key)
		}
		return a.NoAnswer || a.Close
	}
	started := time.Now()
	c.lastActive.Store(started.UnixNano())
	c.writing.Store(true)
	sent, err := c.writeAnswer(a.Runs)
	c.writing.Store(false)
	a.timing.Send = time.Since(started)
	a.timing.Sent = sent
	c.server.stats.bytesOut.Add(sent)
	if err == nil {
		return true
	}
	if errors.Is(err, errShortFile) {
		c.server.stats.shortFileRuns.Add(1)
	}
	if !disconnected(err) {
		c.server.badFrames.errorf(c.server.processorLog, "Closing socket for %s because of error: answering %s: %v", c.peer.ID, a.req.Key, err)
	}
	return false
}

// disconnected says whether err only means that the peer is gone, or that we
// closed the connection ourselves.
func disconnected(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// connectionID names a connection as Kafka does.
func connectionID(local, remote net.Addr, n int64) string {
	return fmt.Sprintf("%s-%s-%d", local, remote, n)
}
