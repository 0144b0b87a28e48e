package network

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
)

// osFile is a file of the operating system as a vfs.File.
type osFile struct{ *os.File }

func (f osFile) Preallocate(size int64) error { return f.Truncate(size) }

// memoryFile is a file without a descriptor.
type memoryFile struct{ vfs.File }

// numbered returns a file of 4 MiB that contains its own positions.
func numbered(t testing.TB) osFile {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "00000000000000000000.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(numbers(0, 4<<20)); err != nil {
		t.Fatal(err)
	}
	return osFile{f}
}

// numbers returns the content of a numbered file in a range.
func numbers(position, length int64) []byte {
	out := make([]byte, 0, length+16)
	for p := position &^ 7; int64(len(out)) < length+8; p += 8 {
		out = binary.BigEndian.AppendUint64(out, uint64(p))
	}
	return out[position&7:][:length]
}

// fileHandler responds with ranges of the file. The body of a request holds pairs of position and
// length, four bytes each. A byte '|' precedes each range.
func fileHandler(f vfs.File) Handler {
	return HandlerFunc(func(r *Request) Response {
		resp := reply(r)
		for p := r.Body; len(p) >= 8; p = p[8:] {
			resp.Runs = append(resp.Runs, Run{Bytes: []byte{'|'}},
				Run{File: f, Position: int64(binary.BigEndian.Uint32(p)), Length: int64(binary.BigEndian.Uint32(p[4:]))})
		}
		return resp
	})
}

type piece struct{ position, length int64 }

func ask(t testing.TB, c net.Conn, id int32, pieces ...piece) {
	t.Helper()
	var body []byte
	for _, p := range pieces {
		body = binary.BigEndian.AppendUint32(body, uint32(p.position))
		body = binary.BigEndian.AppendUint32(body, uint32(p.length))
	}
	write(t, c, frame(protocol.Fetch, 4, id, body))
}

func expected(pieces ...piece) []byte {
	var out []byte
	for _, p := range pieces {
		out = append(append(out, '|'), numbers(p.position, p.length)...)
	}
	return out
}

func TestLongFileRunsAreSentAndShortFileRunsCopied(t *testing.T) {
	f := numbered(t)
	for _, c := range []struct {
		name   string
		file   vfs.File
		pieces []piece
		runs   int64 // runs sent by sendfile
		copied int64
	}{
		{"1 kB", f, []piece{{100, 1000}}, 0, 1000},
		{"1 MiB", f, []piece{{12345, 1 << 20}}, 1, 0},
		{"alternating short and long", f, []piece{{5, 10}, {77, 100_000}, {1000, 8192}, {3, 0}, {2 << 20, 2 << 20}, {9, 1}}, 2, 8203},
		{"many short ones", f, []piece{{1, 8000}, {2, 8001}, {3, 8002}, {4, 8003}, {5, 8004}, {6, 8005}}, 0, 48015},
		{"a file in memory", memoryFile{f}, []piece{{7, 1 << 20}, {1, 10}}, 0, 1<<20 + 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, Config{SendBufferBytes: 102400}, fileHandler(c.file))
			conn := dial(t, s)
			ask(t, conn, 5, c.pieces...)
			id, got := answerOf(t, conn)
			if want := expected(c.pieces...); id != 5 || !bytes.Equal(got, want) {
				t.Fatalf("id %d and %d bytes, want %d", id, len(got), len(want))
			}
			sent := int64(len(got)) + 8
			eventually(t, "the answer is counted", func() bool { return s.Stats().BytesOut == sent })
			if n := s.Stats(); n.SendfileRuns != c.runs || n.CopiedFileBytes != c.copied {
				t.Fatalf("%d runs sent and %d bytes copied, want %d and %d", n.SendfileRuns, n.CopiedFileBytes, c.runs, c.copied)
			}
		})
	}
}

func TestALargeEnoughSocketBufferTakesAMebibyteInOneCall(t *testing.T) {
	s := start(t, Config{SendBufferBytes: 8 << 20}, fileHandler(numbered(t)))
	c := dial(t, s)
	ask(t, c, 1, piece{0, 1 << 20})
	answerOf(t, c)
	eventually(t, "the answer is counted", func() bool { return s.Stats().BytesOut > 1<<20 })
	// The kernel may limit the buffer (net.core.wmem_max) and then sends only as much as fits
	// first.
	if n := s.Stats(); n.SendfileRuns != 1 || n.SendfileCalls < 1 || n.SendfileCalls > 16 {
		t.Fatalf("%d calls for %d runs", n.SendfileCalls, n.SendfileRuns)
	}
}

func TestConcurrentReadersGetTheBytesTheyAskFor(t *testing.T) {
	s := start(t, Config{}, fileHandler(numbered(t)))
	var readers sync.WaitGroup
	for reader := range uint64(8) {
		c := dial(t, s)
		readers.Go(func() {
			random := rand.New(rand.NewPCG(reader, 1))
			for i := range int32(40) {
				p := piece{random.Int64N(3 << 20), random.Int64N(1 << 20)}
				q := piece{random.Int64N(4<<20 - 20_000), random.Int64N(20_000)}
				ask(t, c, i, p, q)
				id, got, err := readAnswer(c)
				if err != nil || id != i || !bytes.Equal(got, expected(p, q)) {
					t.Errorf("reader %d: wrong bytes for %v and %v (%v)", reader, p, q, err)
					return
				}
			}
		})
	}
	readers.Wait()
}

func TestAFileThatEndsEarlyClosesTheConnection(t *testing.T) {
	f := numbered(t)
	for name, p := range map[string]piece{"long": {4<<20 - 100_000, 200_000}, "short": {4<<20 - 100, 200}, "nothing": {5 << 20, 100_000}} {
		for kind, file := range map[string]vfs.File{"file": f, "memory": memoryFile{f}} {
			t.Run(name+" in "+kind, func(t *testing.T) {
				var log logBuffer
				s := start(t, Config{Log: logTo(&log)}, fileHandler(file))
				c := dial(t, s)
				ask(t, c, 1, p)
				if _, _, err := readAnswer(c); err == nil {
					t.Fatal("the response is complete")
				}
				eventually(t, "counted and logged", func() bool { return s.Stats().ShortFileRuns == 1 && log.count("file ended before") == 1 })
			})
		}
	}
}

// Neither Nagle's algorithm nor MSG_MORE may delay a response until the peer's delayed
// acknowledgement after 40 ms.
func TestNoResponseWaitsForAnAcknowledgement(t *testing.T) {
	s := start(t, Config{}, fileHandler(numbered(t)))
	c := dial(t, s)
	for _, pieces := range [][]piece{
		{{1, 100}},
		{{0, 10_000}},
		{{1, 20_001}, {5, 30_003}},
		{{1, 20_001}, {5, 3}},
		{{3, 100_000}, {5, 3}, {7, 9_000}},
	} {
		slow := 0
		for i := range int32(30) {
			started := time.Now()
			ask(t, c, i, pieces...)
			answerOf(t, c)
			if time.Since(started) > 35*time.Millisecond {
				slow++
			}
		}
		if slow > 15 { // a busy machine is slow sometimes, but a held-back packet is always slow
			t.Errorf("%v: %d of 30 answers took over 35 ms", pieces, slow)
		}
	}
}

// The Fetch response of an old version ends with records and an empty run.
func TestEmptyRunsAtTheEndDelayNothing(t *testing.T) {
	f := numbered(t)
	s := start(t, Config{}, HandlerFunc(func(r *Request) Response {
		resp := reply(r)
		if r.CorrelationID%2 == 0 {
			resp.Runs = append(resp.Runs, Run{Bytes: make([]byte, 50_001)})
		} else {
			resp.Runs = append(resp.Runs, Run{File: f, Length: 50_001})
		}
		resp.Runs = append(resp.Runs, Run{}, Run{File: f}, Run{Bytes: []byte{}})
		return resp
	}))
	c := dial(t, s)
	slow := 0
	for i := range int32(20) {
		started := time.Now()
		ask(t, c, i)
		if _, got := answerOf(t, c); len(got) != 50_001 {
			t.Fatalf("%d bytes", len(got))
		}
		if time.Since(started) > 35*time.Millisecond {
			slow++
		}
	}
	if slow > 5 {
		t.Errorf("%d of 20 answers took over 35 ms", slow)
	}
}

func TestSpliceKeepsTheOrderOfAllParts(t *testing.T) {
	head := []byte("aabbbcc")
	runs := Splice(nil, head, []int{2, 5}, []Run{{Bytes: []byte("11")}, {Bytes: []byte("222")}})
	var got []byte
	for _, r := range runs {
		got = append(got, r.Bytes...)
	}
	if string(got) != "aa11bbb222cc" || answerSize(runs) != 12 {
		t.Fatalf("%q", got)
	}
}

func BenchmarkSmallRequest(b *testing.B) {
	s := start(b, Config{}, echo)
	c := dial(b, s)
	request := frame(protocol.Metadata, 1, 1, make([]byte, 60))
	answer := make([]byte, 4+4+60)
	b.ReportAllocs()
	for b.Loop() {
		write(b, c, request)
		if _, err := readFullConn(c, answer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFetchOneMebibyte(b *testing.B) {
	s := start(b, Config{}, fileHandler(numbered(b)))
	c := dial(b, s)
	answer := make([]byte, 4+4+1+1<<20)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		ask(b, c, 1, piece{0, 1 << 20})
		if _, err := readFullConn(c, answer); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.Stats().SendfileCalls)/float64(b.N), "sendfile/op")
}

func BenchmarkProduceOneMebibyte(b *testing.B) {
	s := start(b, Config{}, HandlerFunc(reply))
	c := dial(b, s)
	request := frame(protocol.Produce, 3, 1, make([]byte, 1<<20))
	answer := make([]byte, 8)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		write(b, c, request)
		if _, err := readFullConn(c, answer); err != nil {
			b.Fatal(err)
		}
	}
}

func readFullConn(c net.Conn, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = c.Read(p[n:])
		n += m
	}
	return n, err
}
