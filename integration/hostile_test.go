package integration

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/protocol"
)

// frame returns a request with its size, header and body.
func frame(key, version int16, flexible bool, body []byte) []byte {
	head := binary.BigEndian.AppendUint16(nil, uint16(key))
	head = binary.BigEndian.AppendUint16(head, uint16(version))
	head = binary.BigEndian.AppendUint32(head, 1)
	head = append(head, 0, 1, 'p')
	if flexible {
		head = append(head, 0)
	}
	return sized(append(head, body...))
}

func sized(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reaction sends bytes on a new connection and returns what comes back: the answers in hex, then
// how the connection ended.
func reaction(t testing.TB, address string, send []byte, answers, shown int) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
	if _, err := conn.Write(send); err != nil {
		return "closed"
	}
	var out []string
	for range answers {
		head := make([]byte, 4)
		_, err := io.ReadFull(conn, head)
		if err == nil {
			body := make([]byte, binary.BigEndian.Uint32(head))
			if _, err = io.ReadFull(conn, body); err == nil {
				out = append(out, fmt.Sprintf("%x", body[:min(len(body), shown)]))
				continue
			}
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return strings.Join(append(out, "silence"), " ")
		}
		return strings.Join(append(out, "closed"), " ")
	}
	return strings.Join(out, " ")
}

// Odd requests, most of them from testdata/golden/raw-probes-3.9.1.txt, get the same reaction from
// our broker and from a real one.
func TestOddRequestsAreTreatedAsByARealBroker(t *testing.T) {
	ours := startBroker(t, options{})
	real := testkit.RealKafka(t, "3.9.1").Broker(t, 0, testkit.ZooKeeper(t), "")
	for _, address := range []string{ours.address(), real.Address()} {
		must(t, "kafka-topics", "--bootstrap-server", address, "--create", "--topic", "t1", "--partitions", "1", "--replication-factor", "1")
		awaitLeader(t, address, "t1")
	}
	missing := deviatingKeys(t)
	apiVersions := unhex(t, "03 6c 6d 02 31 00") // name "lm", version "1", tags
	whole := 1 << 20
	for _, c := range []struct {
		name    string
		send    []byte
		answers int
		shown   int // number of bytes of each answer to compare
	}{
		{"unknown key", frame(999, 0, false, nil), 1, whole},
		{"negative key", frame(-1, 0, false, nil), 1, whole},
		{"Metadata v99", frame(3, 99, true, nil), 1, whole},
		{"Metadata v-1", frame(3, -1, false, nil), 1, whole},
		{"DescribeQuorum", frame(55, 0, true, []byte{1, 0}), 1, whole},
		{"Vote", frame(52, 0, true, []byte{1, 0}), 1, whole},
		{"ApiVersions v3, empty name", frame(18, 3, true, unhex(t, "01 02 31 00")), 1, whole},
		{"ApiVersions v3, bad name", frame(18, 3, true, unhex(t, "03 20 21 02 31 00")), 1, whole},
		{"ApiVersions v3", frame(18, 3, true, apiVersions), 1, 6},
		{"ApiVersions v99", frame(18, 99, true, apiVersions), 1, 6},
		{"ApiVersions v0", frame(18, 0, false, nil), 1, 6},
		{"ApiVersions v0, trailing bytes", frame(18, 0, false, []byte{1, 2, 3}), 1, 6},
		{"ApiVersions v3, cut short", frame(18, 3, true, apiVersions[:2]), 1, whole},
		{"ApiVersions v3, no header tags", frame(18, 3, false, nil), 1, whole},
		{"size above the limit", unhex(t, "7f ff ff ff 00 12 00 00"), 1, whole},
		{"negative size", unhex(t, "ff ff ff ff 00 12 00 00"), 1, whole},
		{"size 0", unhex(t, "00 00 00 00"), 1, whole},
		{"size 1", unhex(t, "00 00 00 01 00"), 1, whole},
		{"size 8, header cut short", unhex(t, "00 00 00 08 00 12 00 00 00 00 00 01"), 1, whole},
		{"client id longer than the frame", sized(unhex(t, "00 12 00 00 00 00 00 01 7f ff 61")), 1, whole},
		{"client id of length -2", sized(unhex(t, "00 12 00 00 00 00 00 01 ff fe")), 1, 6},
		{"null client id", sized(unhex(t, "00 12 00 00 00 00 00 01 ff ff")), 1, 6},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 1, whole},
		{"SaslHandshake v1", frame(17, 1, false, unhex(t, "00 05 50 4c 41 49 4e")), 1, whole},
		{"SaslAuthenticate v2", frame(36, 2, true, unhex(t, "02 61 00")), 1, whole},
		{"Produce v3, acks 5", frame(0, 3, false, unhex(t, "ff ff 00 05 00 00 03 e8 00 00 00 01 00 02 74 31 00 00 00 01 00 00 00 00 00 00 00 02 61 62")), 1, whole},
		{"Produce v3, acks 0, garbage", frame(0, 3, false, unhex(t, "ff ff 00 00 00 00 03 e8 00 00 00 01 00 02 74 31 00 00 00 01 00 00 00 00 00 00 00 02 61 62")), 1, whole},
		{"Produce v3, acks 1, garbage", frame(0, 3, false, unhex(t, "ff ff 00 01 00 00 03 e8 00 00 00 01 00 02 74 31 00 00 00 01 00 00 00 00 00 00 00 02 61 62")), 1, whole},
		{"Produce v3, a billion topics", frame(0, 3, false, unhex(t, "ff ff 00 01 00 00 03 e8 3f ff ff ff")), 1, whole},
		{"Fetch v4, out of range", frame(1, 4, false, unhex(t, "ff ff ff ff 00 00 00 64 00 00 00 01 00 10 00 00 00 00 00 00 01 00 02 74 31 00 00 00 01 00 00 00 00 00 00 00 00 00 00 03 e7 00 10 00 00")), 1, whole},
		{"Fetch v4, negative array", frame(1, 4, false, unhex(t, "ff ff ff ff 00 00 00 64 00 00 00 01 00 10 00 00 00 ff ff ff fe")), 1, whole},
		{"Metadata v9, a billion topics", frame(3, 9, true, unhex(t, "ff ff ff ff 03")), 1, whole},
		{"ControlledShutdown v0", sized(unhex(t, "00 07 00 00 00 00 00 01 00 00 00 4d")), 1, whole},
		{"UpdateFeatures v1", frame(57, 1, true, unhex(t, "00 00 03 e8 01 00 00")), 1, whole},
		{"two in one packet", append(frame(18, 0, false, nil), frame(18, 0, false, nil)...), 2, 6},
		{"a good one, then a bad one", append(frame(18, 0, false, nil), frame(999, 0, false, nil)...), 2, 6},
	} {
		if len(c.send) >= 6 && missing[protocol.APIKey(int16(binary.BigEndian.Uint16(c.send[4:]))).String()] {
			continue
		}
		have, want := reaction(t, ours.address(), c.send, c.answers, c.shown), reaction(t, real.Address(), c.send, c.answers, c.shown)
		if have != want {
			t.Errorf("%s: ours %q, real %q", c.name, have, want)
		}
	}
	ours.servesAgain("after")
	ours.unharmed()
}

func awaitLeader(t testing.TB, address, topic string) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, "a leader of "+topic, func() bool {
		_, code := produceRaw(t, address, topic, batchOf(1))
		return code == protocol.None
	})
}

// produceRaw sends record bytes unchanged and returns the partition's error code. answered is false
// if the connection was closed.
func produceRaw(t testing.TB, address, topic string, records []byte) (answered bool, code protocol.ErrorCode) {
	t.Helper()
	req := produceRequest(topic, 0, records, 8)
	resp, err := link(t, address).Do(background(), req)
	if err != nil {
		return false, protocol.None
	}
	return true, protocol.ErrorCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}

// unharmed fails the test if the broker panicked.
func (b *broker) unharmed() {
	b.t.Helper()
	out := b.Output()
	for _, bad := range []string{"goroutine ", "panic", "runtime error", "fatal error"} {
		if i := strings.Index(out, bad); i >= 0 {
			b.t.Errorf("the broker's output contains %q:\n%s", bad, out[max(0, i-500):min(len(out), i+1500)])
		}
	}
}

// memory returns a memory size from the broker's /proc status, e.g. VmRSS, in bytes.
func (b *broker) memory(field string) int64 {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.Cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	m := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		b.t.Fatalf("no %s in %s", field, text)
	}
	kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kb << 10
}

// growth runs f and returns how many bytes the broker's memory grew at its peak.
func (b *broker) growth(f func()) int64 {
	b.t.Helper()
	before := b.memory("VmRSS")
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", b.Cmd.Process.Pid), []byte("5"), 0); err != nil { // resets the peak
		b.t.Fatal(err)
	}
	f()
	return b.memory("VmHWM") - before
}

const memoryBound = 64 << 20

// openSockets counts the broker's sockets: connections, its listener, and the connection to
// ZooKeeper.
func (b *broker) openSockets() int {
	b.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", b.Cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.t.Fatal(err)
	}
	sockets := 0
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(target, "socket:") {
			sockets++
		}
	}
	return sockets
}

// wireRequests returns the request bodies of the golden vectors, as frames.
func wireRequests(t testing.TB) [][]byte {
	t.Helper()
	var frames [][]byte
	for _, v := range golden.WireVectors(t) {
		if v.Response || len(v.Body) == 0 {
			continue
		}
		flexible := protocol.APIKey(v.Key).RequestHeaderVersion(v.Version) >= 2
		frames = append(frames, frame(v.Key, v.Version, flexible, v.Body))
	}
	if len(frames) < 1000 {
		t.Fatalf("only %d requests in the golden vectors", len(frames))
	}
	return frames
}

// commands are the requests that could do real damage if a changed frame happens to be valid: they
// take leaderships away, fence the controller or change the configuration. hostileFrame always cuts
// them short.
var commands = map[int16]bool{4: true, 5: true, 6: true, 7: true, 33: true, 44: true, 56: true, 67: true}

// hostileFrame makes a bad frame from a good one.
func hostileFrame(random *rand.Rand, good [][]byte) []byte {
	f := bytes.Clone(good[random.Intn(len(good))])
	key := int16(binary.BigEndian.Uint16(f[4:]))
	switch kind := random.Intn(5); {
	case kind == 0: // random bytes
		f = make([]byte, random.Intn(300))
		random.Read(f)
		return sized(f)
	case kind == 1 || commands[key]: // cut short, with the size of the rest
		f = f[4 : 4+random.Intn(len(f)-4)]
		return sized(f)
	case kind == 2: // cut short, with the size of the whole frame
		return f[:random.Intn(len(f))]
	case kind == 3: // a few bytes changed in the body
		for range 1 + random.Intn(4) {
			f[min(len(f)-1, 15+random.Intn(len(f)))] = byte(random.Int())
		}
		return f
	default: // another version, so that the body means something else
		binary.BigEndian.PutUint16(f[6:], uint16(random.Intn(20)-1))
		return f
	}
}

func TestThousandsOfBadFramesDoNoHarm(t *testing.T) {
	b := startBroker(t, options{extra: []string{"delete.topic.enable=false", "auto.create.topics.enable=false"}})
	b.createTopic("kept", 1)
	b.produce("kept", "1", "2")
	good := wireRequests(t)
	lines, sockets := b.complaints(), b.openSockets()
	began := time.Now()
	const frames, atOnce = 6000, 8
	growth := b.growth(func() {
		done := make(chan error, atOnce)
		for worker := range atOnce {
			random := rand.New(rand.NewSource(int64(worker)))
			go func() {
				var err error
				for i := 0; i < frames/atOnce && err == nil; i++ {
					err = throw(b.address(), hostileFrame(random, good))
				}
				done <- err
			}()
		}
		for range atOnce {
			if err := <-done; err != nil {
				t.Errorf("the broker is not reachable: %v", err)
			}
		}
	})
	if growth > memoryBound {
		t.Errorf("memory rose by %d MiB", growth>>20)
	}
	most := 300 + 12*int(time.Since(began)/time.Second)
	if n := b.complaints() - lines; n > most {
		t.Errorf("%d bad frames caused %d log lines, more than %d", frames, n, most)
	}
	testkit.Eventually(t, 20*time.Second, "the broker to close the connections", func() bool { return b.openSockets() <= sockets+20 })
	b.servesAgain("after")
	if got := strings.Join(b.consume("kept", 2), " "); got != "1 2" {
		t.Errorf("the topic holds %q", got)
	}
	b.unharmed()
}

// complaints counts the broker's log lines except the INFO lines of ordinary work. A bad frame may
// cause ordinary work too: a request for a coordinator creates its topic.
func (b *broker) complaints() int {
	b.t.Helper()
	out := b.Output()
	return strings.Count(out, "\n") - strings.Count(out, "] INFO ") + strings.Count(out, "INFO Closing socket")
}

// throw sends a frame, closes its sending side, and waits until the broker closes the connection.
// Only a refused connection is an error.
func throw(address string, f []byte) error {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = conn.Write(f)
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
	return nil
}

func TestAnnouncedSizesAllocateNoMemory(t *testing.T) {
	b := startBroker(t, options{})
	growth := b.growth(func() {
		announcement := append(binary.BigEndian.AppendUint32(nil, 100<<20), unhex(t, "00 00 00 08 00 00 00 01 00 01")...)
		var conns []net.Conn
		for range 1000 {
			conn, err := net.DialTimeout("tcp", b.address(), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(announcement); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		b.servesAgain("meanwhile")
		for _, conn := range conns {
			conn.Close()
		}
	})
	if growth > memoryBound {
		t.Errorf("memory rose by %d MiB", growth>>20)
	}
	b.unharmed()
}

// batchAround returns a v2 batch of count records around a payload, with a correct checksum.
func batchAround(codec int16, count uint32, payload []byte) []byte {
	b := make([]byte, 61, 61+len(payload))
	binary.BigEndian.PutUint32(b[8:], uint32(49+len(payload)))
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], uint16(codec))
	binary.BigEndian.PutUint32(b[23:], count-1)
	binary.BigEndian.PutUint64(b[27:], 1700000000000)
	binary.BigEndian.PutUint64(b[35:], 1700000000000)
	for i := 43; i < 57; i++ {
		b[i] = 0xff // no producer
	}
	binary.BigEndian.PutUint32(b[57:], count)
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// recordOfZeros writes one record whose value is n zeros.
func recordOfZeros(w io.Writer, n int) error {
	head := []byte{0, 0, 0, 1}                 // attributes, deltas, null key
	head = binary.AppendVarint(head, int64(n)) // the length of the value
	size := binary.AppendVarint(nil, int64(len(head)+n+1))
	if _, err := w.Write(append(size, head...)); err != nil {
		return err
	}
	for zeros := make([]byte, 1<<20); n > 0; n -= min(n, len(zeros)) {
		if _, err := w.Write(zeros[:min(n, len(zeros))]); err != nil {
			return err
		}
	}
	_, err := w.Write([]byte{0}) // no headers
	return err
}

// bomb returns one compressed record of n zeros.
func bomb(t testing.TB, n int, compress func(w io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := compress(&out)
	if err == nil {
		err = recordOfZeros(w, n)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCompressionBombsTakeNoMemory(t *testing.T) {
	b := startBroker(t, options{})
	bombs := []struct {
		name    string
		codec   int16
		payload []byte
	}{
		{"gzip", 1, bomb(t, 900<<20, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestCompression) })},
		{"lz4", 3, bomb(t, 200<<20, func(w io.Writer) (io.WriteCloser, error) {
			z := lz4.NewWriter(w)
			return z, z.Apply(lz4.BlockSizeOption(lz4.Block4Mb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1))
		})},
		{"zstd", 4, bomb(t, 2000<<20, func(w io.Writer) (io.WriteCloser, error) {
			return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		})},
		{"snappy that announces 4 GiB", 2, unhex(t, "ff ff ff ff 0f 00 00")},
		{"zstd with a window of 2 TiB", 4, unhex(t, "28 b5 2f fd 00 f8 03 00 10 61")},
		{"lz4 with a content size of 2^60", 3, unhex(t, "04 22 4d 18 68 70 00 00 00 00 00 00 00 10 00 ff ff ff 00")},
	}
	for _, topic := range []string{"as-sent", "recompressed"} {
		configs := []string{"compression.type=producer"}
		if topic == "recompressed" {
			configs = []string{"compression.type=lz4"}
		}
		b.createTopic(topic, 1, configs...)
		awaitLeader(t, b.address(), topic)
		for _, c := range bombs {
			if len(c.payload) > 1<<20 {
				t.Fatalf("%s: %d bytes do not fit into a batch", c.name, len(c.payload))
			}
			growth := b.growth(func() {
				answered, code := produceRaw(t, b.address(), topic, batchAround(c.codec, 1, c.payload))
				t.Logf("%s, %s: answered %t, %s", c.name, topic, answered, code.Name())
			})
			if growth > memoryBound {
				t.Errorf("%s, %s: memory rose by %d MiB", c.name, topic, growth>>20)
			}
		}
	}
	// Fetches in the old format convert the stored bombs.
	growth := b.growth(func() {
		s := &side{address: b.address()}
		req := fetchRequest(s, "as-sent", 0, 0, 2)
		_, _ = link(t, b.address()).Do(background(), req)
	})
	if growth > memoryBound {
		t.Errorf("a fetch in the old format: memory rose by %d MiB", growth>>20)
	}
	b.servesAgain("after")
	b.unharmed()
}

// Damaged batches, and batches that lie about their producer, get the same error code from our broker
// as from a real one.
func TestDamagedBatchesAreRefusedAsByARealBroker(t *testing.T) {
	ours := startBroker(t, options{})
	real := testkit.RealKafka(t, "3.9.1").Broker(t, 0, testkit.ZooKeeper(t), "")
	for _, address := range []string{ours.address(), real.Address()} {
		must(t, "kafka-topics", "--bootstrap-server", address, "--create", "--topic", "t", "--partitions", "1", "--replication-factor", "1")
		awaitLeader(t, address, "t")
	}
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(batchOf(3))) }
	recrc := func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
		return b
	}
	from := func(producer int64, epoch int16, sequence int32) []byte {
		return change(func(b []byte) []byte {
			binary.BigEndian.PutUint64(b[43:], uint64(producer))
			binary.BigEndian.PutUint16(b[51:], uint16(epoch))
			binary.BigEndian.PutUint32(b[53:], uint32(sequence))
			return recrc(b)
		})
	}
	for _, c := range []struct {
		name    string
		records []byte
	}{
		{"wrong CRC", change(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
		{"cut short", change(func(b []byte) []byte { return b[:len(b)-3] })},
		{"a header only", change(func(b []byte) []byte { return b[:61] })},
		{"length 0", change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 0); return b })},
		{"negative length", change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 0xffffffff); return b })},
		{"length beyond the set", change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 1<<30); return b })},
		{"magic 3", change(func(b []byte) []byte { b[16] = 3; return recrc(b) })},
		{"magic -1", change(func(b []byte) []byte { b[16] = 0xff; return recrc(b) })},
		{"codec 5", change(func(b []byte) []byte { b[22] = 5; return recrc(b) })},
		{"2 billion records", change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[57:], 2_000_000_000); return recrc(b) })},
		{"count and last offset delta disagree", change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[23:], 7); return recrc(b) })},
		{"no records", change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[57:], 0); return recrc(b) })},
		{"negative count", change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[57:], 0xffffffff); return recrc(b) })},
		{"base offset not 0", change(func(b []byte) []byte { b[7] = 9; return b })},
		{"a control batch", change(func(b []byte) []byte { b[22] |= 0x20; return recrc(b) })},
		{"garbage after the header", change(func(b []byte) []byte { copy(b[61:], "\xff\xff\xff\xff\xff\xff\xff"); return recrc(b) })},
		{"two batches", append(batchOf(1), batchOf(1)...)},
		{"a batch and a half", append(batchOf(1), batchOf(1)[:30]...)},
		{"invalid gzip", batchAround(1, 1, []byte("garbage"))},
		{"invalid snappy", batchAround(2, 1, []byte("garbage"))},
		{"invalid lz4", batchAround(3, 1, []byte("garbage"))},
		{"invalid zstd", batchAround(4, 1, []byte("garbage"))},
		{"empty gzip", batchAround(1, 1, nil)},
		{"transactional without a producer", change(func(b []byte) []byte { b[22] |= 0x10; return recrc(b) })},
		{"an unknown producer that begins in the middle", from(5, 0, 7)},
		{"its next batch", from(5, 0, 10)},
		{"its last batch again", from(5, 0, 10)},
		{"an earlier batch again", from(5, 0, 0)},
		{"a gap", from(5, 0, 14)},
		{"a newer epoch that does not begin at 0", from(5, 3, 13)},
		{"a newer epoch", from(5, 3, 0)},
		{"an older epoch", from(5, 2, 3)},
		{"the highest epoch", from(5, 32767, 0)},
		{"an epoch after the highest one", from(5, -32768, 0)},
		{"a producer without an epoch", from(6, -1, 0)},
		{"a producer without a sequence", from(6, 0, -1)},
		{"a negative sequence", from(6, 0, -7)},
		{"a negative producer", from(-7, 0, 0)},
		{"the highest producer, with sequences that wrap", from(1<<63-1, 0, 1<<31-2)},
		{"its next batch after the wrap", from(1<<63-1, 0, 1)},
		{"an epoch without a producer", from(-1, 3, 0)},
		{"a sequence without a producer", from(-1, -1, 5)},
	} {
		haveAnswer, have := produceRaw(t, ours.address(), "t", c.records)
		wantAnswer, want := produceRaw(t, real.Address(), "t", c.records)
		if haveAnswer != wantAnswer || have != want {
			t.Errorf("%s: ours answered %t %s, the real one %t %s", c.name, haveAnswer, have.Name(), wantAnswer, want.Name())
		}
	}
	ours.servesAgain("after")
	ours.unharmed()
}
