package network

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/memnet"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
)

// Responses of any runs arrive complete and in order. The sizes are close to the bounds at which
// runs are collected, written directly, or sent from the file.
func TestResponsesOfAnyRunsArriveComplete(t *testing.T) {
	f := numbered(t)
	sizes := []int{0, 1, 7, 1000, inlineFileRun - 1, inlineFileRun, inlineFileRun + 1, gatherSize/2 - 1, gatherSize / 2, gatherSize/2 + 1,
		gatherSize - 8, gatherSize - 1, gatherSize, gatherSize + 1, 2*gatherSize + 3, 5 * gatherSize}
	for name, file := range map[string]vfs.File{"file": f, "memory": memoryFile{f}} {
		random := rand.New(rand.NewPCG(1, 2))
		var want [][]byte
		var plans [][]Run
		for range 150 {
			var plan []Run
			var content []byte
			for range random.IntN(7) {
				size := sizes[random.IntN(len(sizes))]
				p := random.Int64N(1 << 20)
				b := numbers(p, int64(size))
				content = append(content, b...)
				if random.IntN(2) == 0 {
					plan = append(plan, Run{Bytes: b})
				} else {
					plan = append(plan, Run{File: file, Position: p, Length: int64(size)})
				}
			}
			plans, want = append(plans, plan), append(want, content)
		}
		s := start(t, Config{SendBufferBytes: 1 << 20}, HandlerFunc(func(r *Request) Response {
			resp := reply(r)
			resp.Runs = append(resp.Runs, plans[r.CorrelationID]...)
			return resp
		}))
		c := dial(t, s)
		var bytesOut int64
		for i := range want {
			write(t, c, frame(protocol.Fetch, 4, int32(i), nil))
			if id, got := answerOf(t, c); id != int32(i) || !bytes.Equal(got, want[i]) {
				t.Fatalf("%s: answer %d of %d bytes, want %d, of %+v", name, id, len(got), len(want[i]), plans[i])
			}
			bytesOut += int64(len(want[i])) + 8
		}
		eventually(t, "all bytes are counted", func() bool { return s.Stats().BytesOut == bytesOut })
	}
}

// writesConn is a connection that records the sizes of its writes.
type writesConn struct {
	net.Conn
	sizes []int
}

func (c *writesConn) Write(p []byte) (int, error) {
	c.sizes = append(c.sizes, len(p))
	return len(p), nil
}

// The parts of a response up to gatherSize are written together.
func TestSmallPartsAreWrittenTogether(t *testing.T) {
	f := numbered(t)
	file := func(n int64) Run { return Run{File: f, Length: n} }
	part := func(n int) Run { return Run{Bytes: make([]byte, n)} }
	for name, c := range map[string]struct {
		runs []Run
		want []int
	}{
		"one part":                             {[]Run{part(10)}, []int{14}},
		"parts of bytes and of a file":         {[]Run{part(10), file(100), part(20), file(inlineFileRun)}, []int{4 + 130 + inlineFileRun}},
		"bytes that fill the buffer":           {[]Run{part(gatherSize - 14), part(10)}, []int{gatherSize}},
		"part of a file that fills the buffer": {[]Run{part(gatherSize - 4 - inlineFileRun), file(inlineFileRun)}, []int{gatherSize}},
		"a full buffer and empty parts":        {[]Run{part(gatherSize - 4), {}, file(0), part(0)}, []int{gatherSize}},
		"a byte too much":                      {[]Run{part(gatherSize - 14), part(11)}, []int{gatherSize - 10, 11}},
		"a byte of a file too much":            {[]Run{part(gatherSize - 4 - 99), file(100)}, []int{gatherSize - 99, 100}},
		"half a buffer that does not fit":      {[]Run{part(gatherSize / 2), part(gatherSize / 2)}, []int{4 + gatherSize/2, gatherSize / 2}},
	} {
		s, err := NewServer(Config{})
		if err != nil {
			t.Fatal(err)
		}
		var written writesConn
		conn := &conn{server: s, net: &written}
		if _, err := conn.writeAnswer(c.runs); err != nil || !slices.Equal(written.sizes, c.want) {
			t.Errorf("%s: writes of %v bytes, want %v, %v", name, written.sizes, c.want, err)
		}
	}
}

// brokenConn is a connection on which the write after good ones fails.
type brokenConn struct {
	writesConn
	good int
}

func (c *brokenConn) Write(p []byte) (int, error) {
	n, err := c.writesConn.Write(p)
	if len(c.sizes) == c.good+1 {
		return 0, io.ErrShortWrite
	}
	return n, err
}

// Nothing of a response is written after a failed write: the peer would take it for the missing
// bytes.
func TestAResponseEndsWithItsFirstFailedWrite(t *testing.T) {
	f := memoryFile{numbered(t)}
	part, file := Run{Bytes: make([]byte, gatherSize/2-1)}, Run{File: f, Length: inlineFileRun}
	runs := []Run{part, part, part, file, file, file, file, part, {Bytes: make([]byte, 2*gatherSize)}, part,
		{File: f, Length: 5 * gatherSize}, part}
	s, err := NewServer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	var all writesConn
	if _, err := (&conn{server: s, net: &all}).writeAnswer(runs); err != nil {
		t.Fatal(err)
	}
	for good := range all.sizes {
		broken := brokenConn{good: good}
		sent, err := (&conn{server: s, net: &broken}).writeAnswer(runs)
		var want int64
		for _, n := range all.sizes[:good] {
			want += int64(n)
		}
		if !errors.Is(err, io.ErrShortWrite) || len(broken.sizes) != good+1 || sent != want {
			t.Errorf("write %d of %d fails: %d writes, %d bytes sent, want %d, %v", good+1, len(all.sizes), len(broken.sizes), sent, want, err)
		}
	}
}

func TestAResponseTooLargeForAFrameClosesTheConnection(t *testing.T) {
	var log logBuffer
	f := numbered(t)
	s := start(t, Config{Log: logTo(&log)}, HandlerFunc(func(*Request) Response {
		return Response{Runs: []Run{{File: f, Length: 1 << 31}}}
	}))
	c := dial(t, s)
	write(t, c, frame(protocol.Fetch, 4, 1, nil))
	if !closed(t, c) {
		t.Error("a response was sent")
	}
	eventually(t, "a log line", func() bool { return log.count("is too large for a frame") == 1 })
}

// failingListener returns errors for its first connections, as without free file descriptors.
type failingListener struct {
	net.Listener
	fails atomic.Int32
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.fails.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// A lack of file descriptors is temporary: after a pause the server accepts connections again.
func TestAFailedAcceptIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &failingListener{Listener: memnet.Listen("memory:9092")}
		l.fails.Store(3)
		var log logBuffer
		s := start(t, Config{Log: logTo(&log), Listeners: []Listener{{Name: "PLAINTEXT", Listen: func(string) (net.Listener, error) { return l, nil }}}}, echo)
		began := time.Now()
		c, err := l.Listener.(*memnet.Listener).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		write(t, c, frame(protocol.Metadata, 1, 4, nil))
		if id, _ := answerOf(t, c); id != 4 || time.Since(began) != 3*acceptPause {
			t.Errorf("answer %d after %v", id, time.Since(began))
		}
		if n := log.count("Error while accepting connection on listener PLAINTEXT"); n != 3 || s.Stats().Accepted != 1 {
			t.Errorf("%d lines, %+v", n, s.Stats())
		}
	})
}

// A stop does not wait for the pause after a failed accept.
func TestAStopEndsThePauseAfterAFailedAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &failingListener{Listener: memnet.Listen("memory:9092")}
		l.fails.Store(1 << 30)
		s := start(t, Config{Listeners: []Listener{{Name: "PLAINTEXT", Listen: func(string) (net.Listener, error) { return l, nil }}}}, echo)
		synctest.Wait()
		began := time.Now()
		if err := s.Shutdown(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestAPanicInReleaseClosesOnlyItsConnection(t *testing.T) {
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response {
		resp := reply(r)
		if r.CorrelationID == 1 {
			resp.Release = func() { panic("released twice") }
		}
		return resp
	}))
	c := dial(t, s)
	write(t, c, frame(protocol.Metadata, 1, 1, nil))
	if id, _ := answerOf(t, c); id != 1 || !closed(t, c) {
		t.Fatal("not answered and then closed")
	}
	c = dial(t, s)
	write(t, c, frame(protocol.Metadata, 1, 2, nil))
	if id, _ := answerOf(t, c); id != 2 || s.Stats().Panics != 1 {
		t.Fatalf("answer %d, %+v", id, s.Stats())
	}
}

// If a handler returns no response although one is due, the connection is closed.
func TestAMissingResponseClosesTheConnection(t *testing.T) {
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response { return Response{NoAnswer: r.CorrelationID == 1} }))
	c := dial(t, s)
	write(t, c, append(frame(protocol.Produce, 3, 1, nil), frame(protocol.Produce, 3, 2, nil)...))
	if !closed(t, c) || s.Stats().Requests != 2 {
		t.Fatalf("%+v", s.Stats())
	}
}

func TestUnknownListenersHaveNoAddress(t *testing.T) {
	s := start(t, Config{}, echo)
	s.RemoveListener("NO_SUCH")
	if s.Addr("NO_SUCH") != nil || s.Port("NO_SUCH") != 0 || s.Port("PLAINTEXT") == 0 {
		t.Errorf("%v %d", s.Addr("NO_SUCH"), s.Port("PLAINTEXT"))
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.AddListener(Listener{Name: "LATE", Host: "127.0.0.1"}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the stop: %v", err)
	}
}

func TestHostsOfAddresses(t *testing.T) {
	for want, address := range map[string]net.Addr{
		"":          nil,
		"127.0.0.1": &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5},
		"::1":       &net.TCPAddr{IP: net.IPv6loopback, Port: 5},
		"/tmp/s":    &net.UnixAddr{Name: "/tmp/s"},
	} {
		if got := (&Peer{Addr: address}).Host(); got != want {
			t.Errorf("%v: %q, want %q", address, got, want)
		}
	}
}

func TestTenLinesPerSecondAreLoggedAboutBadPeers(t *testing.T) {
	var q quietLog
	now := time.Unix(1000, 0)
	for i := range 25 {
		if ok, suppressed := q.take(now); ok != (i < linesPerSecond) || suppressed != 0 {
			t.Fatalf("line %d: %t, %d", i, ok, suppressed)
		}
	}
	if ok, suppressed := q.take(now.Add(time.Second)); !ok || suppressed != 25-linesPerSecond {
		t.Errorf("in the next second: %t, %d", ok, suppressed)
	}
	if ok, suppressed := q.take(now.Add(time.Second)); !ok || suppressed != 0 {
		t.Errorf("after the count was reported: %t, %d", ok, suppressed)
	}
}
