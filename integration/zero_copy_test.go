package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/record"
)

// fetched fetches up to max bytes of the topic's partition 0 from an offset and returns the number
// of bytes of records received.
func fetched(t testing.TB, address, topic string, offset int64, max int32) int {
	t.Helper()
	req := fetchRequest(&side{address: address}, topic, 0, offset, 11)
	req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = max, max
	resp, err := link(t, address).Do(background(), req)
	if err != nil {
		t.Fatal(err)
	}
	p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		t.Fatalf("fetch of %s from %d: error %d", topic, offset, p.ErrorCode)
	}
	return len(p.RecordBatches)
}

// batchOfSize returns a batch of one record with a value of n bytes.
func batchOfSize(t testing.TB, n int) []byte {
	t.Helper()
	b := record.NewBuilder(record.Defaults())
	if err := b.Append(1700000000000, nil, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// sendfileLine matches a sendfile call, or the second half of one that the trace interrupts with
// another thread's call.
var sendfileLine = regexp.MustCompile(`sendfile(?:\(| resumed>).* = (\d+)$`)

// A large fetch is sent from the file to the socket without being read into memory. For a small
// fetch, reading is cheaper. strace counts the system calls.
func TestOnlyLargeFetchesAreSentStraightFromTheFile(t *testing.T) {
	b := startBroker(t, options{extra: []string{"socket.send.buffer.bytes=-1", "message.max.bytes=2000000", "log.retention.ms=-1"}})
	b.createTopic("large", 1)
	b.createTopic("small", 1)
	awaitLeader(t, b.address(), "small")
	awaitLeader(t, b.address(), "large")
	first := len(batchOf(1))
	large := batchOfSize(t, 1<<20)
	if answered, code := produceRaw(t, b.address(), "large", large); !answered || code != 0 {
		t.Fatalf("produce: answered %t, %s", answered, code.Name())
	}

	trace := filepath.Join(t.TempDir(), "trace")
	strace, err := testkit.Start("strace", exec.Command("strace", "-f", "-o", trace, "-e", "trace=sendfile,write,writev,sendto,sendmsg", "-p", fmt.Sprint(b.Cmd.Process.Pid)))
	if err != nil {
		t.Fatal(err)
	}
	defer strace.Kill()
	if err := strace.AwaitOutput("attached", 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if n := fetched(t, b.address(), "small", 0, 1<<20); n != first {
			t.Fatalf("the small fetch got %d bytes, want %d", n, first)
		}
	}
	if n := fetched(t, b.address(), "large", 1, 2<<20); n != len(large) {
		t.Fatalf("the large fetch got %d bytes, want %d", n, len(large))
	}
	var calls, sent int
	testkit.Eventually(t, 20*time.Second, "the trace of the large fetch", func() bool {
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		calls, sent = 0, 0
		for _, line := range strings.Split(string(text), "\n") {
			if m := sendfileLine.FindStringSubmatch(line); m != nil {
				n, _ := strconv.Atoi(m[1])
				calls, sent = calls+1, sent+n
			}
		}
		return sent >= len(large)
	})
	if sent != len(large) {
		t.Errorf("sendfile sent %d bytes in %d calls; the one large fetch has %d bytes, the small ones none", sent, calls, len(large))
	}
	if calls > 8 {
		t.Errorf("1 MiB took %d calls of sendfile, want at most 8", calls)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)(?:write|writev|sendto|sendmsg)\(.* = (\d{5,})$`).FindAllStringSubmatch(string(text), -1) {
		t.Errorf("%s bytes were copied: %.120s", m[1], m[0])
	}
}

// An answer that waits for the acknowledgement of the previous packet takes 40 ms. Each round trip
// is compared with one to a bare echo server, measured alternately, so that a busy machine slows
// both.
func TestSmallAnswersDoNotWaitForAcknowledgements(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("t", 1)
	awaitLeader(t, b.address(), "t")
	echo := startEcho(t)
	l := link(t, b.address())
	const rounds = 1000
	took := map[string][]time.Duration{}
	timed := func(what string, f func() error) {
		began := time.Now()
		if err := f(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		took[what] = append(took[what], time.Since(began))
	}
	produce := produceRequest("t", 0, nil, 8)
	produce.Acks = 1
	fetch := fetchRequest(&side{}, "t", 0, 0, 11)
	fetch.MaxWaitMillis, fetch.MaxBytes, fetch.Topics[0].Partitions[0].PartitionMaxBytes = 0, 200, 200
	message := make([]byte, 200)
	for range rounds {
		timed("echo", func() error {
			if _, err := echo.Write(message); err != nil {
				return err
			}
			_, err := io.ReadFull(echo, message)
			return err
		})
		produce.Topics[0].Partitions[0].Records = batchOf(1)
		timed("produce", func() error { _, err := l.Do(background(), produce); return err })
		timed("fetch", func() error { _, err := l.Do(background(), fetch); return err })
	}
	at := func(what string, share float64) time.Duration {
		d := took[what]
		sort.Slice(d, func(i, j int) bool { return d[i] < d[j] })
		return d[int(share*float64(len(d)-1))]
	}
	for _, what := range []string{"produce", "fetch"} {
		for share, most := range map[float64]time.Duration{0.5: 60, 0.99: 120} {
			have, bare := at(what, share), at("echo", share)
			if have > most*bare {
				t.Errorf("%s: %v at %g %%, a bare echo %v: more than %d times as much", what, have, share*100, bare, most)
			}
			t.Logf("%s: %v at %g %%, a bare echo %v", what, have, share*100, bare)
		}
	}
}

// startEcho returns a connection to an echo server.
func startEcho(t testing.TB) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		if conn, err := l.Accept(); err == nil {
			defer conn.Close()
			_, _ = io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
