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

// conn is one connection. Its goroutine runs serve and owns the fields that are neither atomic nor
// guarded by a lock.
type conn struct {
	server   *Server
	listener *boundListener
	accepted net.Conn        // as returned by Accept; closing it ends the connection
	net      net.Conn        // accepted, or what Listener.Open returned for it
	raw      syscall.RawConn // of a plain TCP connection, otherwise nil
	peer     *Peer
	host     string // the host that limits counts the connection for
	in       frameReader
	answers  answers

	done     chan struct{}
	doneOnce sync.Once

	lastActive atomic.Int64 // UnixNano of the last byte in or out
	inHand     atomic.Int32 // requests that were read and have not been finished
	writing    atomic.Bool
	mutedUntil atomic.Int64 // UnixNano; no request is served before this time
	software   atomic.Pointer[Software]
}

// touch records that bytes were read or written.
func (c *conn) touch() { c.lastActive.Store(time.Now().UnixNano()) }

// stop closes Request.Done: waiting handlers respond now, and no further frame is read.
func (c *conn) stop() { c.doneOnce.Do(func() { close(c.done) }) }

// cut closes the connection at once. Its goroutine ends with an error.
func (c *conn) cut() {
	c.stop()
	c.accepted.Close()
}

// idle reports whether the connection has no request in progress.
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

// open lets the listener identify the peer.
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

// readEnded handles the end of reading. A peer that closed only its sending side still receives the
// responses it waits for.
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

// handle serves one frame. It returns false if the connection must end.
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
	if header.Key == protocol.ApiVersions {
		c.noteSoftware()
	}
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

// waitUnmuted waits until the throttle time has passed. It returns false if the connection ended
// earlier.
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

// call lets the handler serve req or, if deferred is not nil, complete the response with deferred.
// A panic closes this connection only.
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

// finish writes a response, if there is one, and releases its resources. It returns false if the
// connection must end.
func (c *conn) finish(a answer) bool {
	defer c.inHand.Add(-1)
	if a.Err != nil {
		a.Close = true
		c.refuse(a.Err)
	}
	ok := c.write(&a)
	if a.Throttle > 0 {
		a.timing.Throttle = a.Throttle
		c.mutedUntil.Store(time.Now().Add(a.Throttle).UnixNano())
	}
	return c.release(&a) && ok && !a.Close && !c.server.stopping.Load()
}

// refuse counts and logs a frame because of which the connection is closed.
func (c *conn) refuse(err error) {
	c.server.stats.badFrames.Add(1)
	c.server.badFrames.errorf(c.server.processorLog, "Closing socket for %s because of error: %v", c.peer.ID, err)
}

// release releases the resources of a response and passes its timing to the observer. It returns
// false if either panicked.
func (c *conn) release(a *answer) (ok bool) {
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
			c.server.processorLog.Errorf("Closing socket for %s because of error: the handler of %s returned no response", c.peer.ID, a.req.Key)
		}
		return a.NoAnswer
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
		c.server.stats.responses.Add(1)
		return true
	}
	if errors.Is(err, errShortFile) {
		c.server.stats.shortFileRuns.Add(1)
	}
	if !disconnected(err) {
		c.server.badFrames.errorf(c.server.processorLog, "Closing socket for %s because of error: responding to %s: %v", c.peer.ID, a.req.Key, err)
	}
	return false
}

// disconnected reports whether err only means that the peer disconnected or that this broker closed
// the connection.
func disconnected(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// connectionID returns Kafka's name for a connection.
func connectionID(local, remote net.Addr, n int64) string {
	return fmt.Sprintf("%s-%s-%d", local, remote, n)
}
