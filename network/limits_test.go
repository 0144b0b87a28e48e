package network

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/memnet"
	"github.com/monedula/monedula/protocol"
)

// lateListener calls late after a connection was admitted and before the server knows it: the first
// thing that then happens to a connection is a question for its local address.
type lateListener struct {
	net.Listener
	late func()
}

func (l lateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return lateConn{c, l.late}, nil
}

type lateConn struct {
	net.Conn
	late func()
}

func (c lateConn) LocalAddr() net.Addr {
	c.late()
	return c.Conn.LocalAddr()
}

// A connection may be admitted just before the server stops or its listener is removed, and become
// known only after these have closed the known connections.
func TestAConnectionAcceptedDuringTheEndIsClosed(t *testing.T) {
	for name, end := range map[string]func(*Server){
		"the server stops":        func(s *Server) { go s.StopProcessing(context.Background()); synctest.Wait() },
		"the listener is removed": func(s *Server) { s.RemoveListener("PLAINTEXT") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s *Server
				l := memnet.Listen("memory:9092")
				var once sync.Once
				ended := make(chan struct{})
				late := lateListener{l, func() { once.Do(func() { end(s); close(ended) }) }}
				s, err := NewServer(Config{Listeners: []Listener{{Name: "PLAINTEXT", Listen: func(string) (net.Listener, error) { return late, nil }}}})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Bind(); err != nil {
					t.Fatal(err)
				}
				s.Start(echo)
				c, err := l.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				<-ended
				synctest.Wait()
				if n := s.openConnections(); n != 0 {
					t.Errorf("%d connections stay open", n)
				}
				c.Close()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// inMemory runs a server with a listener in memory inside a synctest bubble.
func inMemory(t *testing.T, cfg Config, h Handler) (*Server, func() net.Conn, func()) {
	t.Helper()
	l := memnet.Listen("memory:9092")
	cfg.Listeners = []Listener{{Name: "PLAINTEXT", Listen: func(string) (net.Listener, error) { return l, nil }}}
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(); err != nil {
		t.Fatal(err)
	}
	s.Start(h)
	dial := func() net.Conn {
		c, err := l.Dial(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	stop := func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	return s, dial, stop
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial, stop := inMemory(t, Config{IdleTimeout: 10 * time.Minute}, echo)
		defer stop()
		quiet, busy := dial(), dial()
		for range 15 {
			write(t, busy, frame(protocol.Metadata, 1, 1, nil))
			if _, _, err := readAnswer(busy); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n := s.Stats(); n.ClosedIdle != 1 || n.Connections != 1 {
			t.Fatalf("%+v", n)
		}
		if _, err := quiet.Read(make([]byte, 1)); err == nil {
			t.Fatal("the idle connection is open")
		}
		write(t, busy, frame(protocol.Metadata, 1, 2, nil))
		if id, _ := answerOf(t, busy); id != 2 {
			t.Fatal("the busy connection was closed")
		}
	})
}

func TestWithoutATimeoutIdleConnectionsStayOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial, stop := inMemory(t, Config{}, echo)
		defer stop()
		defer dial().Close()
		time.Sleep(24 * time.Hour) // virtual time
		if n := s.Stats(); n.ClosedIdle != 0 || n.Connections != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// An idle connection is closed soon after the timeout, whether that is short or long.
func TestIdleConnectionsAreClosedSoonAfterTheTimeout(t *testing.T) {
	for timeout, late := range map[time.Duration]time.Duration{
		time.Second: watchEveryAtLeast, 10 * time.Second: 500 * time.Millisecond, time.Hour: watchEveryAtMost,
	} {
		synctest.Test(t, func(t *testing.T) {
			s, dial, stop := inMemory(t, Config{IdleTimeout: timeout}, echo)
			defer stop()
			defer dial().Close()
			time.Sleep(timeout) // virtual time
			if n := s.Stats(); n.ClosedIdle != 0 {
				t.Errorf("closed before %v", timeout)
			}
			time.Sleep(late + time.Millisecond)
			if n := s.Stats(); n.ClosedIdle != 1 {
				t.Errorf("open %v after the timeout of %v", late, timeout)
			}
		})
	}
}

// Buffers are dropped once they have been unused from one trim to the next, however often idle
// connections are looked for.
func TestUnusedBuffersAreDroppedAfterAMinute(t *testing.T) {
	for _, idle := range []time.Duration{0, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s, _, stop := inMemory(t, Config{IdleTimeout: idle}, echo)
			defer stop()
			s.buffers.Put(s.buffers.Get(100_000))
			time.Sleep(2*watchEveryAtMost - time.Second) // virtual time
			if s.buffers.Kept() == 0 {
				t.Errorf("idle timeout %v: nothing is kept after %v", idle, 2*watchEveryAtMost-time.Second)
			}
			time.Sleep(2 * time.Second)
			if n := s.buffers.Kept(); n != 0 {
				t.Errorf("idle timeout %v: %d bytes are kept after %v", idle, n, 2*watchEveryAtMost+time.Second)
			}
		})
	}
}

func TestARequestInProgressKeepsItsConnectionOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial, stop := inMemory(t, Config{IdleTimeout: time.Minute}, HandlerFunc(func(r *Request) Response {
			select {
			case <-time.After(time.Hour):
			case <-r.Done:
			}
			return reply(r)
		}))
		defer stop()
		c := dial()
		write(t, c, frame(protocol.JoinGroup, 1, 1, nil))
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if n := s.Stats(); n.ClosedIdle != 0 {
			t.Fatalf("%+v", n)
		}
		time.Sleep(time.Minute)
		if id, _ := answerOf(t, c); id != 1 {
			t.Fatal("no answer")
		}
	})
}

func TestAPeerThatDoesNotReadItsResponseIsClosedAsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial, stop := inMemory(t, Config{IdleTimeout: time.Minute}, echo)
		defer stop()
		c := dial()
		write(t, c, frame(protocol.Metadata, 1, 1, make([]byte, 50)))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := s.Stats(); n.ClosedIdle != 1 || n.Connections != 0 {
			t.Fatalf("%+v", n)
		}
	})
}

func TestAThrottledRequestIsAnsweredAtOnceAndTheNextIsReadLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial, stop := inMemory(t, Config{}, HandlerFunc(func(r *Request) Response {
			resp := reply(r)
			if r.CorrelationID == 1 {
				resp.Throttle = time.Minute
			}
			return resp
		}))
		defer stop()
		c := dial()
		started := time.Now()
		write(t, c, frame(protocol.Metadata, 1, 1, nil))
		answerOf(t, c)
		if waited := time.Since(started); waited != 0 {
			t.Fatalf("the throttled answer took %v", waited)
		}
		go func() { _, _ = c.Write(frame(protocol.Metadata, 1, 2, nil)) }()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if n := s.Stats().Requests; n != 1 {
			t.Fatal("the second request was read too early")
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if id, _ := answerOf(t, c); id != 2 || time.Since(started) != time.Minute {
			t.Fatalf("answer %d after %v", id, time.Since(started))
		}
	})
}

func TestAThrottleDoesNotDelayTheResponsesThatFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, dial, stop := inMemory(t, Config{}, HandlerFunc(func(r *Request) Response {
			answer := reply(r)
			answer.Throttle = time.Minute
			return Response{Deferred: func() Response { <-release; return answer }}
		}))
		defer stop()
		c := dial()
		write(t, c, frame(protocol.Produce, 3, 1, nil))
		write(t, c, frame(protocol.Produce, 3, 2, nil))
		synctest.Wait()
		started := time.Now()
		close(release)
		answerOf(t, c)
		if id, _ := answerOf(t, c); id != 2 || time.Since(started) != 0 {
			t.Fatalf("answer %d after %v", id, time.Since(started))
		}
		go func() { _, _ = c.Write(frame(protocol.Produce, 3, 3, nil)) }()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		served := func() (n int) {
			s.each(func(c *conn) { n = int(c.inHand.Load()) })
			return n
		}
		if c := s.Stats().Requests; c > 3 || served() > 1 {
			t.Fatalf("%d requests", c)
		}
		if s.Stats().BytesOut != 16 {
			t.Fatal("the third request was served during the throttle")
		}
		time.Sleep(time.Second)
		if id, _ := answerOf(t, c); id != 3 {
			t.Fatal("not served after the throttle")
		}
	})
}

func TestShutdownEndsAThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial, stop := inMemory(t, Config{}, HandlerFunc(func(r *Request) Response {
			resp := reply(r)
			resp.Throttle = time.Hour
			return resp
		}))
		c := dial()
		write(t, c, frame(protocol.Metadata, 1, 1, nil))
		answerOf(t, c)
		started := time.Now()
		stop()
		if time.Since(started) != 0 {
			t.Fatalf("took %v", time.Since(started))
		}
	})
}

func TestAPeerThatDoesNotReadItsResponseDoesNotDelayTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial, _ := inMemory(t, Config{}, echo)
		silent := dial()
		write(t, silent, frame(protocol.Metadata, 1, 1, make([]byte, 50)))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*stalledAfter {
			t.Errorf("the stop took %v", took)
		}
	})
}

// If a bad frame follows a request, the response to the request is sent before the connection is
// closed.
func TestPendingResponsesAreSentBeforeABadFrameClosesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		_, dial, stop := inMemory(t, Config{}, HandlerFunc(func(r *Request) Response {
			answer := reply(r)
			return Response{Deferred: func() Response { <-release; return answer }}
		}))
		defer stop()
		c := dial()
		write(t, c, frame(protocol.Produce, 3, 1, nil))
		bad := frame(protocol.Produce, 3, 2, nil)
		bad[4], bad[5] = 0x7f, 0xff // an API key that does not exist
		write(t, c, bad)
		synctest.Wait()
		close(release)
		if id, _ := answerOf(t, c); id != 1 {
			t.Fatalf("answer %d", id)
		}
		if !closed(t, c) {
			t.Error("the connection is open after the bad frame")
		}
	})
}

func TestAHandlerThatNeverReturnsIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, dial, _ := inMemory(t, Config{}, HandlerFunc(func(r *Request) Response {
			<-release
			return reply(r)
		}))
		write(t, dial(), frame(protocol.Metadata, 1, 1, nil))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "1 connections still have a request") {
			t.Errorf("error %v", err)
		}
		close(release)
	})
}

func TestConnectionsAboveTheLimitOfAnAddressAreRefused(t *testing.T) {
	var log logBuffer
	s := start(t, Config{Log: logTo(&log), MaxConnectionsPerIP: AtMost(2)}, echo)
	first := dial(t, s)
	dial(t, s)
	eventually(t, "two connections", func() bool { return s.Stats().Connections == 2 })
	if !closed(t, dial(t, s)) {
		t.Fatal("a third connection is open")
	}
	if log.count("Rejected connection from /127.0.0.1, address already has the configured maximum of 2 connections.") != 1 || s.Stats().RefusedPerIP != 1 {
		t.Fatalf("log:\n%s", log.String())
	}
	first.Close()
	eventually(t, "one connection", func() bool { return s.Stats().Connections == 1 })
	c := dial(t, s)
	write(t, c, frame(protocol.Metadata, 1, 4, nil))
	if id, _ := answerOf(t, c); id != 4 {
		t.Fatal("no connection is accepted after another one ended")
	}
}

func TestAnAddressMayHaveItsOwnLimit(t *testing.T) {
	s := start(t, Config{MaxConnectionsPerIP: AtMost(100), MaxConnectionsPerIPOverrides: map[string]int{"localhost": 0}}, echo)
	if !closed(t, dial(t, s)) {
		t.Fatal("a connection of a forbidden address was accepted")
	}
	_, err := NewServer(Config{MaxConnectionsPerIPOverrides: map[string]int{"no.such.host.invalid": 1}})
	if err == nil || !strings.Contains(err.Error(), "max.connections.per.ip.overrides") {
		t.Fatalf("error %v", err)
	}
}

func TestNewConnectionsWaitAtTheLimitOfTheBroker(t *testing.T) {
	s := start(t, Config{MaxConnections: AtMost(1)}, echo)
	first, second := dial(t, s), dial(t, s)
	write(t, first, frame(protocol.Metadata, 1, 1, nil))
	answerOf(t, first)
	write(t, second, frame(protocol.Metadata, 1, 2, nil))
	if s.Stats().Connections != 1 {
		t.Fatal("both are served")
	}
	first.Close()
	if id, _ := answerOf(t, second); id != 2 {
		t.Fatal("the waiting connection was not served")
	}
}

// A connection that waits to be admitted is closed when its listener is removed or the server
// stops, and is never counted as open.
func TestConnectionsThatWaitAreClosedWithTheirListener(t *testing.T) {
	for name, end := range map[string]func(*Server){
		"removed": func(s *Server) { s.RemoveListener("PLAINTEXT") },
		"stopped": func(s *Server) { _ = s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dial, stop := inMemory(t, Config{MaxConnections: AtMost(0)}, echo)
				defer stop()
				waiting := dial()
				synctest.Wait()
				end(s)
				if _, err := waiting.Read(make([]byte, 1)); err == nil {
					t.Error("the connection is open")
				}
				synctest.Wait()
				if n := s.Stats(); n.Accepted != 0 || n.RefusedPerIP != 0 || n.Connections != 0 {
					t.Errorf("%+v", n)
				}
			})
		})
	}
}

func TestAnOverrideAppliesToEveryAddressOfAHost(t *testing.T) {
	got, err := overridesByAddress(map[string]int{"127.0.0.1": 5, "0:0:0:0:0:0:0:1": 0, "::ffff:10.0.0.1": 7})
	want := map[string]Limit{"127.0.0.1": AtMost(5), "::1": AtMost(0), "10.0.0.1": AtMost(7)}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
}

func TestAtTheLimitIdleConnectionsAreClosedForOtherBrokers(t *testing.T) {
	s := start(t, Config{MaxConnections: AtMost(1), Listeners: []Listener{
		{Name: "PLAINTEXT", Host: "127.0.0.1"}, {Name: "INTERNAL", Host: "127.0.0.1", InterBroker: true, Privileged: true}}}, echo)
	client := dial(t, s)
	write(t, client, frame(protocol.Metadata, 1, 1, nil))
	answerOf(t, client)
	broker, err := net.Dial("tcp", s.Addr("INTERNAL").String())
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	write(t, broker, frame(protocol.Metadata, 1, 2, nil))
	if id, _ := answerOf(t, broker); id != 2 || !closed(t, client) || s.Stats().Evicted != 1 {
		t.Fatalf("%+v", s.Stats())
	}
	if n := s.ConnectionCounts(); n["INTERNAL"] != 1 || n["PLAINTEXT"] != 0 {
		t.Fatalf("%v", n)
	}
}

// crowd opens n connections to a listener in memory, sends one request on each, and returns how
// many the server admitted. It must run in a synctest bubble.
func crowd(t *testing.T, s *Server, l *memnet.Listener, n int) int64 {
	t.Helper()
	before := s.Stats().Requests
	for range n {
		go func() {
			c, err := l.Dial(t.Context())
			if err != nil {
				return // the limit of the listener is reached
			}
			if _, err := c.Write(frame(protocol.Metadata, 1, 1, nil)); err != nil {
				return // refused
			}
			_, _, _ = readAnswer(c)
			<-t.Context().Done()
			c.Close()
		}()
	}
	synctest.Wait()
	return s.Stats().Requests - before
}

func TestALimitOfZeroAdmitsNoConnection(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		own  Limit // of the listener
		want int64
	}{
		{"no limit", Config{}, Limit{}, 3},
		{"max.connections", Config{MaxConnections: AtMost(0)}, Limit{}, 0},
		{"max.connections.per.ip", Config{MaxConnectionsPerIP: AtMost(0)}, Limit{}, 0},
		{"listener.name.X.max.connections", Config{}, AtMost(0), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := memnet.Listen("memory:9092")
				c.cfg.Listeners = []Listener{{Name: "PLAINTEXT", MaxConnections: c.own, Listen: func(string) (net.Listener, error) { return l, nil }}}
				s := start(t, c.cfg, echo)
				if n := crowd(t, s, l, 3); n != c.want {
					t.Errorf("%d connections were served, want %d", n, c.want)
				}
			})
		})
	}
}

// As in Kafka (ConnectionQuotas.protectedListener), the inter-broker listener admits connections
// above the limit of the broker only if there is another listener.
func TestTheInterBrokerListenerIsProtectedOnlyWithAnotherListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brokers, clients := memnet.Listen("memory:9092"), memnet.Listen("memory:9093")
		s := start(t, Config{MaxConnections: AtMost(2), Listeners: []Listener{
			{Name: "INTERNAL", InterBroker: true, Privileged: true, Listen: func(string) (net.Listener, error) { return brokers, nil }}}}, echo)
		if n := crowd(t, s, brokers, 6); n != 2 {
			t.Fatalf("%d connections of the only listener were served, want 2", n)
		}
		if err := s.AddListener(Listener{Name: "PLAINTEXT", Listen: func(string) (net.Listener, error) { return clients, nil }}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := s.Stats().Connections; n != 6 {
			t.Fatalf("%d connections are open with another listener, want all 6", n)
		}
		if n := crowd(t, s, clients, 2); n != 0 {
			t.Fatalf("%d connections of the other listener were served above the limit", n)
		}
		s.RemoveListener("PLAINTEXT")
		if n := crowd(t, s, brokers, 2); n != 0 {
			t.Errorf("%d connections were served after the other listener had gone, want none", n)
		}
	})
}

func TestTheErrorOfBindNamesThePortInUse(t *testing.T) {
	taken := start(t, Config{}, echo)
	port := taken.Port("PLAINTEXT")
	s, err := NewServer(Config{Listeners: []Listener{{Name: "FREE", Host: "127.0.0.1"}, {Name: "PLAINTEXT", Host: "127.0.0.1", Port: port}}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Bind()
	var bind *BindError
	if !errors.As(err, &bind) || err.Error() != "Socket server failed to bind to 127.0.0.1:"+portText(port)+": Address already in use." {
		t.Fatalf("error %v", err)
	}
	if c, err := net.Dial("tcp", s.Addr("FREE").String()); err == nil {
		c.Close()
		t.Fatal("the other listener stayed open")
	}
}

func portText(port int) string {
	_, text, _ := net.SplitHostPort((&net.TCPAddr{Port: port}).String())
	return text
}

func TestPeersConnectBeforeProcessingStarts(t *testing.T) {
	var log logBuffer
	s, err := NewServer(Config{NodeID: 3, Log: logTo(&log), Listeners: []Listener{{Name: "PLAINTEXT", Host: "127.0.0.1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(); err != nil {
		t.Fatal(err)
	}
	c := dial(t, s)
	write(t, c, frame(protocol.Metadata, 1, 8, nil))
	if s.Stats().Accepted != 0 {
		t.Fatal("accepted before Start")
	}
	s.Start(echo)
	defer func() { _ = s.Shutdown(context.Background()) }()
	if id, _ := answerOf(t, c); id != 8 {
		t.Fatal("not served after Start")
	}
	for _, line := range []string{
		"INFO [SocketServer listenerType=ZK_BROKER, nodeId=3] Created data-plane acceptor and processors for endpoint : ListenerName(PLAINTEXT) (kafka.network.SocketServer)",
		"INFO [SocketServer listenerType=ZK_BROKER, nodeId=3] Enabling request processing. (kafka.network.SocketServer)",
		"INFO Awaiting socket connections on 127.0.0.1:" + portText(s.Port("PLAINTEXT")) + ". (kafka.network.DataPlaneAcceptor)",
	} {
		if log.count(line) != 1 {
			t.Errorf("log has no %q:\n%s", line, log.String())
		}
	}
}

func TestListenersHaveTheirOwnNamesAndPeers(t *testing.T) {
	peers := make(chan *Peer, 2)
	s := start(t, Config{Listeners: []Listener{{Name: "PLAINTEXT", Host: "127.0.0.1"}, {Name: "SIX", Host: "::1", Privileged: true}}},
		HandlerFunc(func(r *Request) Response { peers <- r.Peer; return reply(r) }))
	for _, want := range []struct {
		name, host string
		privileged bool
	}{{"PLAINTEXT", "127.0.0.1", false}, {"SIX", "::1", true}} {
		c, err := net.Dial("tcp", s.Addr(want.name).String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		write(t, c, frame(protocol.Metadata, 1, 1, nil))
		answerOf(t, c)
		p := <-peers
		if p.Listener != want.name || p.Host() != want.host || p.Privileged != want.privileged || p.Principal != "User:ANONYMOUS" ||
			!strings.HasPrefix(p.ID, c.RemoteAddr().String()+"-"+c.LocalAddr().String()+"-") {
			t.Errorf("peer %+v", p)
		}
	}
}

func TestAListenerMayIdentifyThePeer(t *testing.T) {
	refuse := errors.New("who are you")
	s := start(t, Config{Listeners: []Listener{{Name: "PLAINTEXT", Host: "127.0.0.1", Open: func(c net.Conn, p *Peer) (net.Conn, error) {
		b := make([]byte, 1)
		if _, err := c.Read(b); err != nil || b[0] != 'x' {
			return nil, refuse
		}
		p.Principal = "User:x"
		return struct{ net.Conn }{c}, nil // no longer a *net.TCPConn, as with TLS
	}}}}, HandlerFunc(func(r *Request) Response {
		resp := reply(r)
		resp.Runs = append(resp.Runs, Run{Bytes: []byte(r.Peer.Principal)}, Run{Bytes: make([]byte, 100_000)})
		return resp
	}))
	c := dial(t, s)
	write(t, c, append([]byte("x"), frame(protocol.Metadata, 1, 1, nil)...))
	if _, got := answerOf(t, c); len(got) != 100_006 || string(got[:6]) != "User:x" {
		t.Fatalf("%d bytes", len(got))
	}
	bad := dial(t, s)
	write(t, bad, []byte("y"))
	if !closed(t, bad) {
		t.Fatal("an unknown peer was accepted")
	}
}

// disguisedConn is a connection whose bytes are changed in transit, as those of TLS are.
type disguisedConn struct{ net.Conn }

func (c disguisedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	copy(p, disguised(p[:n]))
	return n, err
}

func (c disguisedConn) Write(p []byte) (int, error) { return c.Conn.Write(disguised(p)) }

func disguised(p []byte) []byte {
	out := make([]byte, len(p))
	for i := range p {
		out[i] = p[i] ^ 0x5a
	}
	return out
}

func TestRequestsAndResponsesPassThroughTheConnectionOfOpen(t *testing.T) {
	s := start(t, Config{Listeners: []Listener{{Name: "PLAINTEXT", Host: "127.0.0.1", Open: func(c net.Conn, _ *Peer) (net.Conn, error) {
		return disguisedConn{c}, nil
	}}}}, fileHandler(numbered(t)))
	c := disguisedConn{dial(t, s)}
	for i, pieces := range [][]piece{nil, {{5, 100}}, {{5, 100}, {7, 3 * gatherSize}, {9, 10}}} {
		ask(t, c, int32(i), pieces...)
		want := expected(pieces...)
		if id, got := answerOf(t, c); id != int32(i) || !bytes.Equal(got, want) {
			t.Fatalf("answer %d of %d bytes, want %d", id, len(got), len(want))
		}
	}
}

// The times in metrics and in the request log are made of these parts.
func TestTheTimingOfARequestHasAllItsParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := map[int32]Timing{}
		_, dial, stop := inMemory(t, Config{Observe: func(r *Request, timing Timing) { got[r.CorrelationID] = timing }},
			HandlerFunc(func(r *Request) Response {
				resp := reply(r)
				if r.CorrelationID == 1 {
					time.Sleep(time.Second)
					return Response{Deferred: func() Response { time.Sleep(5 * time.Second); return resp }}
				}
				time.Sleep(2 * time.Second)
				resp.Throttle = time.Minute
				return resp
			}))
		c := dial()
		write(t, c, frame(protocol.Produce, 3, 1, nil))
		write(t, c, frame(protocol.Produce, 3, 2, nil)) // is read after 1 s and responds after 3 s
		time.Sleep(9 * time.Second)
		answerOf(t, c) // waited since 6 s
		time.Sleep(2 * time.Second)
		answerOf(t, c)
		stop()
		for id, want := range map[int32]Timing{
			1: {Serve: 6 * time.Second, Send: 4 * time.Second, Sent: 8},
			2: {Serve: 2 * time.Second, Queued: 7 * time.Second, Send: 2 * time.Second, Sent: 8, Throttle: time.Minute},
		} {
			if got[id] != want {
				t.Errorf("request %d: %+v, want %+v", id, got[id], want)
			}
		}
	})
}
