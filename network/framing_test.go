package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"

	"github.com/monedula/monedula/protocol"
)

func TestResponsesHaveTheIDAndBodyOfTheirRequests(t *testing.T) {
	s := start(t, Config{}, echo)
	c := dial(t, s)
	for i, size := range []int{0, 1, lookahead - 20, lookahead, firstStep, 100_000, 3 << 20} {
		body := bytes.Repeat([]byte{byte(i + 1)}, size)
		write(t, c, frame(protocol.ListOffsets, 1, int32(i), body))
		id, got := answerOf(t, c)
		if id != int32(i) || !bytes.Equal(got, body) {
			t.Fatalf("request %d of %d bytes: id %d and %d bytes came back", i, size, id, len(got))
		}
	}
	if n := s.Stats(); n.Requests != 7 || n.BytesOut == 0 || n.Connections != 1 {
		t.Fatalf("%+v", n)
	}
}

func TestAFrameMayArriveByteByByte(t *testing.T) {
	s := start(t, Config{}, echo)
	c := dial(t, s)
	p := append(frame(protocol.Metadata, 1, 1, []byte("abc")), frame(protocol.Metadata, 1, 2, []byte("de"))...)
	for i := range p {
		write(t, c, p[i:i+1])
	}
	if id, got := answerOf(t, c); id != 1 || string(got) != "abc" {
		t.Fatalf("%d %q", id, got)
	}
	if id, got := answerOf(t, c); id != 2 || string(got) != "de" {
		t.Fatalf("%d %q", id, got)
	}
}

// A real broker also closes the connection for these frames of golden/raw-probes-3.9.1.txt before a
// handler sees them.
func TestBadFramesCloseTheConnection(t *testing.T) {
	size := func(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	for _, c := range []struct {
		name  string
		bytes []byte
		log   string
	}{
		{"unknown key 999", frame(999, 0, 1, nil), "because of error: request header: unknown API key 999"},
		{"size > socket.request.max.bytes", size(104857601), "Invalid receive (size = 104857601 larger than 104857600)"},
		{"negative size", size(-1), "Invalid receive (size = -1)"},
		{"size 0", size(0), "request header: 0 bytes"},
		{"HTTP", []byte("GET / HTTP/1.1\r\n"), "Invalid receive (size = 1195725856 larger than 104857600)"},
		{"header cut in the client id", append(size(10), 0, 3, 0, 1, 0, 0, 0, 1, 0, 9), "request header of Metadata v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log logBuffer
			s := start(t, Config{Log: logTo(&log)}, HandlerFunc(func(*Request) Response {
				t.Error("the handler was called")
				return Response{}
			}))
			conn := dial(t, s)
			write(t, conn, c.bytes)
			if !closed(t, conn) {
				t.Fatal("the connection stays open")
			}
			eventually(t, "one log line", func() bool { return log.count(c.log) == 1 })
			if s.Stats().BadFrames != 1 {
				t.Fatalf("%+v", s.Stats())
			}
			write(t, dial(t, s), nil) // other connections are not affected
		})
	}
}

func TestARequestThatTheHandlerRefusesCountsAsABadFrame(t *testing.T) {
	var log logBuffer
	s := start(t, Config{Log: logTo(&log)}, HandlerFunc(func(r *Request) Response {
		return Refuse(errors.New("Metadata v99 is not served"))
	}))
	for range 100 {
		c := dial(t, s)
		write(t, c, frame(protocol.Metadata, 99, 1, []byte{0}))
		if !closed(t, c) {
			t.Fatal("the connection stays open")
		}
	}
	eventually(t, "all are counted", func() bool { return s.Stats().BadFrames == 100 })
	if n := log.count("because of error: Metadata v99 is not served (kafka.network.Processor)"); n == 0 || n > 50 {
		t.Fatalf("%d lines in the log:\n%s", n, log.String())
	}
}

// The buffer of a large frame is free again when its handler has returned, not only when the
// connection ends.
func TestTheBufferOfAServedFrameIsFree(t *testing.T) {
	s := start(t, Config{}, echo)
	c := dial(t, s)
	for id := range int32(3) {
		write(t, c, frame(protocol.Metadata, 1, id, make([]byte, 100_000)))
		if got, _ := answerOf(t, c); got != id {
			t.Fatalf("got the answer to %d, want %d", got, id)
		}
		if kept := s.buffers.Kept(); kept < 100_000 || kept > 200_000 {
			t.Errorf("after %d frames of 100,000 bytes, %d bytes are free", id+1, kept)
		}
	}
}

func TestAnIncompleteFrameClosesOnlyItsConnection(t *testing.T) {
	s := start(t, Config{}, echo)
	c := dial(t, s)
	p := frame(protocol.Metadata, 1, 1, make([]byte, 5000))
	write(t, c, p[:3000])
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if !closed(t, c) {
		t.Fatal("the connection stays open")
	}
	other := dial(t, s)
	write(t, other, p)
	if _, got := answerOf(t, other); len(got) != 5000 {
		t.Fatal("another connection was affected")
	}
}

func TestRandomBytesDoNotHarmTheServer(t *testing.T) {
	s := start(t, Config{MaxRequestBytes: 2000}, echo)
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		p := make([]byte, random.IntN(600))
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		if len(p) > 6 { // often make size and key plausible
			binary.BigEndian.PutUint32(p, uint32(random.IntN(700)))
			binary.BigEndian.PutUint16(p[4:], uint16(random.IntN(80)))
		}
		c := dial(t, s)
		write(t, c, p)
		c.Close()
	}
	eventually(t, "all connections have ended", func() bool { return s.Stats().Accepted >= 200 && s.Stats().Connections == 0 })
	c := dial(t, s)
	write(t, c, frame(protocol.Metadata, 1, 6, nil))
	if id, _ := answerOf(t, c); id != 6 || s.Stats().Panics != 0 {
		t.Fatalf("%+v", s.Stats())
	}
}

func TestManyBadFramesCauseFewLogLines(t *testing.T) {
	var log logBuffer
	s := start(t, Config{Log: logTo(&log)}, echo)
	for range 100 {
		c := dial(t, s)
		write(t, c, []byte{255, 255, 255, 255})
		closed(t, c)
	}
	eventually(t, "all are counted", func() bool { return s.Stats().BadFrames == 100 })
	if n := log.count("Invalid receive"); n == 0 || n > 50 {
		t.Fatalf("%d lines", n)
	}
}

func TestAPanicInAHandlerClosesOnlyItsConnection(t *testing.T) {
	var log logBuffer
	s := start(t, Config{Log: logTo(&log)}, HandlerFunc(func(r *Request) Response {
		switch r.Key {
		case protocol.Metadata:
			panic("no such thing")
		case protocol.Produce:
			return Response{Deferred: func() Response { panic("nor such a thing") }}
		}
		return reply(r)
	}))
	for _, key := range []protocol.APIKey{protocol.Metadata, protocol.Produce} {
		c := dial(t, s)
		write(t, c, frame(key, 1, 1, nil))
		if !closed(t, c) {
			t.Fatal("the connection stays open")
		}
	}
	c := dial(t, s)
	write(t, c, frame(protocol.ListOffsets, 1, 3, nil))
	if id, _ := answerOf(t, c); id != 3 {
		t.Fatal("another connection was affected")
	}
	if n := log.count("no response"); n != 0 {
		t.Errorf("%d lines about missing responses; the handlers panicked:\n%s", n, log.String())
	}
	if s.Stats().Panics != 2 || log.count("no such thing") != 1 || log.count("conn_test.go")+log.count("framing_test.go") == 0 {
		t.Fatalf("%d panics counted, log:\n%s", s.Stats().Panics, log.String())
	}
}

// A thousand connections that each announce 100 MB and send 10 bytes need less than 64 MB of
// memory.
func TestAnnouncedSizesAllocateNoMemory(t *testing.T) {
	s := start(t, Config{}, echo)
	announce := append(binary.BigEndian.AppendUint32(nil, 100<<20), "0123456789"...)
	before := heapInUse()
	var conns []net.Conn
	for range 1000 {
		c := dial(t, s)
		write(t, c, announce)
		conns = append(conns, c)
	}
	eventually(t, "all frames have begun", func() bool {
		n := 0
		s.each(func(c *conn) {
			if c.idle() && c.lastActive.Load() > 0 {
				n++
			}
		})
		return n == 1000
	})
	eventually(t, "the buffers have been allocated", func() bool { return heapInUse()-before > 1000*firstStep/2 })
	if grown := heapInUse() - before; grown > 64<<20 {
		t.Fatalf("1000 connections cost %d MiB", grown>>20)
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "all connections have ended", func() bool { return s.Stats().Connections == 0 })
	if n := s.reserved.bytes.Load(); n != 0 {
		t.Fatalf("%d bytes are still reserved", n)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

func TestLargeFramesArriveWithoutReservedMemory(t *testing.T) {
	s := start(t, Config{}, echo)
	s.reserved.bytes.Store(unfilledLimit)
	c := dial(t, s)
	body := bytes.Repeat([]byte("monedula"), 1<<17)
	go func() {
		// The response is as large as the request, so the client must read while it writes.
		_, _ = c.Write(frame(protocol.Metadata, 1, 1, body))
	}()
	if _, got := answerOf(t, c); !bytes.Equal(got, body) {
		t.Fatal("the frame changed on its way")
	}
	s.reserved.bytes.Store(0)
}

func TestBuffersAreReusedAndBounded(t *testing.T) {
	b := NewBuffers(1 << 20)
	for _, n := range []int{0, 1, 1024, 1025, 1280, 1281, 2047, 2048, 2049, 65536, 1<<20 + 70, 100 << 20} {
		index, size := class(n)
		if size < n || size > max(n, 819)*5/4+1 && n > 1024 {
			t.Errorf("class of %d is %d with size %d", n, index, size)
		}
		if again, same := class(size); again != index || same != size {
			t.Errorf("size %d of class %d is of class %d with size %d", size, index, again, same)
		}
	}
	p := b.Get(5000)
	b.Put(p[:10])
	if q := b.Get(4999); &q[0] != &p[0] {
		t.Error("a returned buffer was not reused")
	}
	for i := range 40 {
		b.Put(b.Get(100_000 + i*1000))
		b.Put(make([]byte, 100<<10))
	}
	if b.Kept() > 1<<20 {
		t.Errorf("%d bytes kept", b.Kept())
	}
	b.Put(make([]byte, 1<<20))
	b.Trim()
	b.Trim()
	if b.Kept() != 0 {
		t.Errorf("%d bytes kept after nothing was used", b.Kept())
	}
	b.Put(fmt.Appendf(nil, "a foreign slice of a size of its own%d", 1)[:0])
}

// packets is a connection on which each Read returns bytes of one packet only.
type packets struct {
	net.Conn
	left  [][]byte
	reads int
}

func (c *packets) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	c.reads++
	n := copy(p, c.left[0])
	if c.left[0] = c.left[0][n:]; len(c.left[0]) == 0 {
		c.left = c.left[1:]
	}
	return n, nil
}

// A connection with small requests costs one system call for each and no memory but its own.
func TestASmallFrameNeedsOneReadAndNoBuffer(t *testing.T) {
	var c packets
	sizes := []int{300, 300, 0, lookahead - 4, 1, lookahead - 4, 200}
	for i, size := range sizes {
		c.left = append(c.left, append(binary.BigEndian.AppendUint32(nil, uint32(size)), bytes.Repeat([]byte{byte(i)}, size)...))
	}
	buffers := NewBuffers(1 << 20)
	r := frameReader{conn: &c, limit: 4096, buffers: buffers, reserved: new(reservations), progress: func() {}}
	for i, size := range sizes {
		got, err := r.next()
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size)) {
			t.Fatalf("frame %d: %x, %v", i, got, err)
		}
		r.release()
		if c.reads != i+1 || buffers.Kept() != 0 {
			t.Errorf("%d reads for %d frames, %d bytes of buffers", c.reads, i+1, buffers.Kept())
		}
	}
}
