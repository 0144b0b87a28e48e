package network

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
)

func TestPipelinedRequestsAreServedOneByOneInOrder(t *testing.T) {
	var inHandler atomic.Int32
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response {
		if inHandler.Add(1) > 1 {
			t.Error("two requests of a connection are served at once")
		}
		defer inHandler.Add(-1)
		return reply(r)
	}))
	c := dial(t, s)
	var all []byte
	for i := range 300 {
		all = append(all, frame(protocol.Metadata, 1, int32(i), make([]byte, i*7))...)
	}
	go func() { _, _ = c.Write(all) }()
	for i := range 300 {
		if id, _ := answerOf(t, c); id != int32(i) {
			t.Fatalf("response %d is for request %d", i, id)
		}
	}
}

// A Produce request that follows a waiting one is served, and so appended, at once, but its
// response is sent later. No other request overtakes.
func TestAProduceIsServedWhileAnotherProduceWaits(t *testing.T) {
	served := make(chan int32, 10)
	release := make(chan struct{})
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response {
		served <- r.CorrelationID
		answer := reply(r)
		if r.CorrelationID == 1 {
			return Response{Deferred: func() Response { <-release; return answer }}
		}
		return answer
	}))
	c := dial(t, s)
	for id, key := range []protocol.APIKey{protocol.Produce, protocol.Produce, protocol.Produce, protocol.Metadata} {
		write(t, c, frame(key, 3, int32(id+1), bytes.Repeat([]byte{'x'}, 600)))
	}
	for want := range int32(3) {
		if got := <-served; got != want+1 {
			t.Fatalf("served %d, want %d", got, want+1)
		}
	}
	if n := s.Stats().BytesOut; n != 0 {
		t.Fatalf("%d bytes were sent before the first response", n)
	}
	select {
	case id := <-served:
		t.Fatalf("response %d was sent before it", id)
	default:
	}
	close(release)
	for want := range int32(4) {
		if id, _ := answerOf(t, c); id != want+1 {
			t.Fatalf("got the answer to %d, want %d", id, want+1)
		}
	}
	if id := <-served; id != 4 {
		t.Fatalf("served %d last", id)
	}
}

func TestManyDeferredResponsesStayInOrder(t *testing.T) {
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response {
		answer := reply(r)
		switch r.CorrelationID % 3 {
		case 0:
			return Response{Deferred: func() Response { return answer }}
		case 1:
			return Response{NoAnswer: true}
		}
		return answer
	}))
	c := dial(t, s)
	go func() {
		for i := range int32(3000) {
			if _, err := c.Write(frame(protocol.Produce, 3, i, nil)); err != nil {
				return
			}
		}
	}()
	for i := range int32(3000) {
		if i%3 == 1 {
			continue
		}
		if id, _ := answerOf(t, c); id != i {
			t.Fatalf("got the answer to %d, want %d", id, i)
		}
	}
}

func TestAHalfClosedPeerGetsItsDeferredResponse(t *testing.T) {
	release := make(chan struct{})
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response {
		answer := reply(r)
		return Response{Deferred: func() Response { <-release; return answer }}
	}))
	c := dial(t, s)
	write(t, c, frame(protocol.Produce, 3, 9, nil))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request to be served", func() bool { return s.Stats().Requests == 1 })
	close(release)
	if id, _ := answerOf(t, c); id != 9 {
		t.Fatalf("got the answer to %d", id)
	}
}

func TestReleaseIsCalledOnceForEveryResponse(t *testing.T) {
	var released, observed atomic.Int32
	response := func(r *Request) Response {
		resp := reply(r)
		resp.Release = func() { released.Add(1) }
		return resp
	}
	s := start(t, Config{Observe: func(r *Request, timing Timing) {
		if r.CorrelationID != 3 && timing.Sent != 8 {
			t.Errorf("%d bytes sent", timing.Sent)
		}
		observed.Add(1)
	}}, HandlerFunc(func(r *Request) Response {
		switch {
		case r.Key == protocol.Produce:
			return Response{Deferred: func() Response { return response(r) }}
		case r.CorrelationID == 3:
			return Response{Close: true, Release: func() { released.Add(1) }}
		}
		return response(r)
	}))
	c := dial(t, s)
	write(t, c, frame(protocol.Metadata, 1, 1, nil))
	write(t, c, frame(protocol.Produce, 3, 2, nil))
	write(t, c, frame(protocol.Metadata, 1, 3, nil))
	answerOf(t, c)
	answerOf(t, c)
	if !closed(t, c) {
		t.Fatal("Close left the connection open")
	}
	eventually(t, "three releases", func() bool { return released.Load() == 3 && observed.Load() == 3 })
}

func TestCloseWritesTheResponseFirst(t *testing.T) {
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response {
		resp := reply(r)
		resp.Close = true
		return resp
	}))
	c := dial(t, s)
	write(t, c, frame(protocol.Metadata, 1, 7, nil))
	if id, _ := answerOf(t, c); id != 7 || !closed(t, c) {
		t.Fatal("not answered and then closed")
	}
}

// A request is not served if it follows one whose response closes the connection, even if that
// response must wait for an earlier one.
func TestNothingIsServedAfterAResponseThatCloses(t *testing.T) {
	for name, last := range map[string]func(*Request) Response{
		"close": func(r *Request) Response {
			resp := reply(r)
			resp.Close = true
			return resp
		},
		"refuse": func(*Request) Response { return Refuse(errors.New("not readable")) },
		"panic":  func(*Request) Response { panic("no such thing") },
	} {
		t.Run(name, func(t *testing.T) {
			served, release := make(chan int32, 3), make(chan struct{})
			s := start(t, Config{}, HandlerFunc(func(r *Request) Response {
				served <- r.CorrelationID
				answer := reply(r)
				switch r.CorrelationID {
				case 1:
					return Response{Deferred: func() Response { <-release; return answer }}
				case 2:
					return last(r)
				}
				return answer
			}))
			c := dial(t, s)
			var all []byte
			for id := range int32(3) {
				all = append(all, frame(protocol.Produce, 3, id+1, nil)...)
			}
			write(t, c, all)
			for want := range int32(2) {
				if id := <-served; id != want+1 {
					t.Fatalf("served %d, want %d", id, want+1)
				}
			}
			close(release)
			if id, _ := answerOf(t, c); id != 1 {
				t.Fatalf("got the answer to %d", id)
			}
			if name == "close" {
				if id, _ := answerOf(t, c); id != 2 {
					t.Fatalf("got the answer to %d", id)
				}
			}
			if !closed(t, c) || len(served) != 0 || s.Stats().Requests != 2 {
				t.Fatalf("%d more requests were served: %+v", len(served), s.Stats())
			}
		})
	}
}

func TestShutdownLetsWaitingRequestsRespond(t *testing.T) {
	var log logBuffer
	waiting := make(chan struct{}, 2)
	s := start(t, Config{Log: logTo(&log)}, HandlerFunc(func(r *Request) Response {
		answer := reply(r)
		wait := func() Response { waiting <- struct{}{}; <-r.Done; return answer }
		if r.Key == protocol.Produce {
			return Response{Deferred: wait}
		}
		return wait()
	}))
	idle, fetch, produce := dial(t, s), dial(t, s), dial(t, s)
	write(t, fetch, frame(protocol.Fetch, 4, 1, nil))
	write(t, produce, frame(protocol.Produce, 3, 2, nil))
	<-waiting
	<-waiting
	eventually(t, "three connections", func() bool { return s.Stats().Connections == 3 })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if id, _ := answerOf(t, fetch); id != 1 {
		t.Fatal("a waiting Fetch was not answered")
	}
	if id, _ := answerOf(t, produce); id != 2 {
		t.Fatal("a waiting Produce was not answered")
	}
	if !closed(t, idle) || s.Stats().Connections != 0 {
		t.Fatal("connections are open")
	}
	for _, line := range []string{"[SocketServer listenerType=ZK_BROKER, nodeId=0] Stopping socket server request processors (kafka.network.SocketServer)", "Stopped socket server request processors", "Shutting down socket server", "Shutdown completed"} {
		if log.count(line) != 1 {
			t.Errorf("log has no %q", line)
		}
	}
}

func TestShutdownClosesConnectionsOfPeersThatDoNotRead(t *testing.T) {
	big := make([]byte, 64<<20)
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response { return Bytes(big) }))
	c := dial(t, s)
	write(t, c, frame(protocol.Metadata, 1, 1, nil))
	eventually(t, "the answer is being written", func() bool {
		n := false
		s.each(func(c *conn) { n = n || c.writing.Load() })
		return n
	})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestAConnectionNeedsOneGoroutine(t *testing.T) {
	release := make(chan struct{})
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response {
		answer := reply(r)
		if r.Key == protocol.Produce {
			return Response{Deferred: func() Response { <-release; return answer }}
		}
		return answer
	}))
	before := runtime.NumGoroutine()
	var conns []*net.TCPConn
	for range 50 {
		c := dial(t, s)
		write(t, c, frame(protocol.Metadata, 1, 1, nil))
		answerOf(t, c)
		conns = append(conns, c)
	}
	if n := runtime.NumGoroutine() - before; n > 55 {
		t.Fatalf("%d goroutines for 50 idle connections", n)
	}
	for _, c := range conns {
		write(t, c, frame(protocol.Produce, 3, 1, nil))
		write(t, c, frame(protocol.Produce, 3, 2, nil))
	}
	eventually(t, "all are served", func() bool { return s.Stats().Requests == 150 })
	if n := runtime.NumGoroutine() - before; n > 105 {
		t.Fatalf("%d goroutines for 50 connections with a Produce that waits", n)
	}
	close(release)
	for _, c := range conns {
		answerOf(t, c)
		answerOf(t, c)
	}
	eventually(t, "the second goroutines to end", func() bool { return runtime.NumGoroutine()-before <= 55 })
}
