package zkclient

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
)

func TestAnEndedSessionDialsNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	s := &session{dead: make(chan struct{})}
	conn, err := s.dial("tcp", l.Addr().String(), time.Second, 1)
	must(t, err)
	conn.Close()
	close(s.dead)
	if _, err := s.dial("tcp", l.Addr().String(), time.Second, 1); !errors.Is(err, ErrSessionExpired) {
		t.Errorf("error %v", err)
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

func TestLossesOfTheConnectionAreDistinguishedFromAnswers(t *testing.T) {
	for _, c := range []struct {
		err  error
		lost bool
	}{
		{zk.ErrConnectionClosed, true}, {zk.ErrNoServer, true}, {zk.ErrClosing, true}, {zk.ErrSessionMoved, true},
		{io.EOF, true}, {net.ErrClosed, true}, {os.ErrDeadlineExceeded, true}, {syscall.ECONNRESET, true}, {syscall.EPIPE, true},
		{&net.OpError{Op: "read", Err: errors.New("broken")}, true},
		{zk.ErrNoNode, false}, {zk.ErrNodeExists, false}, {zk.ErrBadVersion, false}, {zk.ErrNotEmpty, false},
		{zk.ErrSessionExpired, false}, {zk.ErrAPIError, false}, {nil, false},
	} {
		if got := connectionLost(c.err); got != c.lost {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// A request whose connection was lost waits until the session is connected again.
func TestAwaitConnectedWaitsWhileTheSessionIsDisconnected(t *testing.T) {
	s := &session{conn: &scripted{}, dead: make(chan struct{}), connected: make(chan struct{})}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for i, c := range []struct {
		state     zk.State
		connected bool
	}{
		{zk.StateConnecting, false}, {zk.StateHasSession, true}, {zk.StateHasSession, true}, {zk.StateDisconnected, false},
		{zk.StateConnecting, false}, {zk.StateHasSession, true},
	} {
		s.observe(zk.Event{Type: zk.EventSession, State: c.state})
		if c.connected {
			must(t, s.awaitConnected(t.Context()))
			continue
		}
		for range 20 { // if both were ready, either could be chosen
			if err := s.awaitConnected(canceled); err == nil {
				t.Fatalf("%d: connected after %v", i, c.state)
			}
		}
	}
}
