package integration

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
)

// workload writes to a broker, ours or a real one, and remembers what it wrote.
type workload struct {
	t     testing.TB
	lines map[string][]string // topic -> the lines a reader must get
	round int
}

// workloadTopics are topics with one partition. Each produces a different kind of log.
var workloadTopics = map[string]map[string]string{
	"codec-none": {}, "codec-gzip": {}, "codec-snappy": {}, "codec-lz4": {}, "codec-zstd": {},
	"segments":   {"segment.bytes": "2048", "segment.index.bytes": "240", "index.interval.bytes": "256"},
	"idempotent": {"segment.bytes": "4096"},
	"logappend":  {"message.timestamp.type": "LogAppendTime", "compression.type": "gzip"},
	"recoded":    {"compression.type": "zstd"},
	"old-v0":     {}, "old-v1": {},
	"old-gzip": {"compression.type": "lz4"},
	// Each broker begins to compact it when it starts.
	"compacted": {"cleanup.policy": "compact", "segment.bytes": "2048", "min.cleanable.dirty.ratio": "0.01"},
}

func workloadNames() []string {
	var names []string
	for name := range workloadTopics {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (w *workload) create(address string) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	for name, configs := range workloadTopics {
		values := map[string]*string{"retention.ms": kmsg.StringPtr("-1")} // the records are years old
		for k, v := range configs {
			values[k] = &v
		}
		if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, 1, values, name); err != nil {
			w.t.Fatalf("create %s: %v", name, err)
		}
	}
}

// write appends one more round to every topic. If stoppedNext is set, the broker will be stopped
// cleanly next, and write also moves the start of a log. Before a kill it does not, because log
// start offsets are checkpointed only from time to time and a kill may lose them.
func (w *workload) write(address string, stoppedNext bool) {
	w.t.Helper()
	w.round++
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		w.send(address, "codec-"+codecs[i], 60, 20, kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(codec))
		w.send(address, "logappend", 10, 10, kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(codec))
		w.send(address, "recoded", 10, 10, kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(codec))
	}
	w.send(address, "segments", 60, 1, kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	w.send(address, "idempotent", 40, 1)
	w.send(address, "compacted", 60, 1)
	w.sendOld(address, "old-v0", 0)
	w.sendOld(address, "old-v1", 1)
	w.sendOld(address, "old-gzip", 1)
	if stoppedNext {
		w.deleteBefore(address, "segments", int64(w.round*60-35))
	}
}

// send produces n records in batches of batch records. They cover everything a record can hold:
// null and empty keys and values, repeated and null headers, timestamps that go backwards.
func (w *workload) send(address, topic string, n, batch int, opts ...kgo.Opt) {
	w.t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(address), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond))...)
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 60*time.Second)
	defer cancel()
	for from := 0; from < n; from += batch {
		var records []*kgo.Record
		for i := from; i < from+batch; i++ {
			records = append(records, w.record(topic, i))
		}
		results := client.ProduceSync(ctx, records...)
		if err := results.FirstErr(); err != nil {
			w.t.Fatalf("produce to %s of %s: %v", topic, address, err)
		}
		for _, r := range results {
			w.lines[topic] = append(w.lines[topic], recordLine(r.Record))
		}
	}
}

func (w *workload) record(topic string, i int) *kgo.Record {
	r := &kgo.Record{Topic: topic, Timestamp: time.UnixMilli(1700000000000 + int64(w.round)*100000 + int64(i)*10 - int64(i%10/9)*500)}
	if i%5 != 0 || topic == "compacted" {
		r.Key = []byte(fmt.Sprintf("key-%d", i))
	}
	if i%7 != 6 {
		r.Value = []byte(strings.Repeat(fmt.Sprintf("value-%d-%d ", w.round, i), i%9))
	}
	if i%3 == 0 {
		r.Headers = []kgo.RecordHeader{{Key: "h1", Value: []byte("v")}, {Key: "h-null"}, {Key: "h1", Value: []byte{}}}
	}
	return r
}

// sendOld produces messages of an old format, which the broker stores as batches.
func (w *workload) sendOld(address, topic string, magic int8) {
	w.t.Helper()
	const n = 5
	l := link(w.t, address)
	var base int64
	testkit.Eventually(w.t, 20*time.Second, "an old produce to "+topic, func() bool {
		resp, err := l.Do(background(), produceRequest(topic, 0, messageSet(magic, n), int16(magic)))
		if err != nil {
			w.t.Fatal(err)
		}
		p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		base = p.BaseOffset
		return p.ErrorCode == 0
	})
	for i := range n {
		timestamp := 1700000000000 + int64(i)
		if magic == 0 {
			timestamp = -1
		}
		w.lines[topic] = append(w.lines[topic], fmt.Sprintf("offset=%d timestamp=%d headers=[] key=1:k value=2:v%d", base+int64(i), timestamp, i))
	}
}

func (w *workload) deleteBefore(address, topic string, offset int64) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, offset, -1)
	answers, err := kadm.NewClient(client).DeleteRecords(ctx, offsets)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		w.t.Fatalf("delete records of %s before %d: %v", topic, offset, err)
	}
	var kept []string
	for _, line := range w.lines[topic] {
		var o int64
		if _, err := fmt.Sscanf(line, "offset=%d", &o); err != nil {
			w.t.Fatal(err)
		}
		if o >= offset {
			kept = append(kept, line)
		}
	}
	w.lines[topic] = kept
}

// check reads everything back at both isolation levels.
func (w *workload) check(when, address string) {
	w.t.Helper()
	for _, level := range []string{uncommitted, committed} {
		served := readPartitions(w.t, address, level, workloadNames()...)
		for _, topic := range workloadNames() {
			have, want := served[topic], w.lines[topic]
			switch topic {
			case "logappend":
				have, want = withoutTimestamps(have), withoutTimestamps(want)
			case "compacted":
				have, want = latestOfEachKey(have), latestOfEachKey(want)
			}
			if d := firstDifference(have, want); d != "" {
				w.t.Fatalf("%s, %s of %s: %s", when, level, topic, d)
			}
		}
	}
}

var keyField = regexp.MustCompile(`key=\S+`)

// latestOfEachKey returns the last line of each key, in order.
func latestOfEachKey(lines []string) []string {
	last := map[string]int{}
	for i, line := range lines {
		last[keyField.FindString(line)] = i
	}
	var latest []string
	for i, line := range lines {
		if last[keyField.FindString(line)] == i {
			latest = append(latest, line)
		}
	}
	return latest
}

var timestampField = regexp.MustCompile(`timestamp=-?\d+`)

func withoutTimestamps(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = timestampField.ReplaceAllString(line, "timestamp=*")
	}
	return out
}

// One log directory moves from our broker to a real one and back, after orderly stops and after
// kills. Each broker serves everything that was written before and continues with the transactions
// that it finds, and the real dump tool finds no error in what ours wrote.
func TestOurLogDirectoriesAndARealBrokersAreInterchangeable(t *testing.T) {
	t.Run("3.9.1", func(t *testing.T) { interchange(t, "3.9.1", "3.9") })
	if testkit.FullMatrices() {
		t.Run("2.8.2", func(t *testing.T) { interchange(t, "2.8.2", "2.8") })
	}
}

func interchange(t *testing.T, release, protocol string) {
	extra := append(slices.Clone(takeoverProperties), "inter.broker.protocol.version="+protocol)
	ours := newBroker(t, options{extra: extra})
	z := openTree(t, ours.zookeeper)
	w := &workload{t: t, lines: map[string][]string{}}
	k := newTakeovers(t, z, ours.address(), 4)
	next := func(after string) {
		t.Helper()
		w.check(after, ours.address())
		if testkit.FullMatrices() {
			k.compareTools(release != "2.8.2" || k.round%2 == 0)
		}
		k.resume()
	}

	ours.start()
	w.create(ours.address())
	k.create()
	w.write(ours.address(), true)
	w.check("ours, as written", ours.address())
	k.prepare()
	ours.stop()
	checkDumps(t, ours.dir, true)

	real := testkit.RealKafka(t, release).Broker(t, 0, ours.zookeeper, ours.dir,
		append(slices.Clone(extra), fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", ours.port), "zookeeper.session.timeout.ms=6000")...)
	next("the real one, after ours stopped")
	if !strings.Contains(real.Output(), "since clean shutdown file was found") {
		t.Errorf("the real broker did not recognize our directory as cleanly shut down")
	}
	complaints(t, real)
	w.write(ours.address(), true)
	k.prepare()
	realServer{real, t}.stop()

	ours.start()
	next("ours, after the real one stopped")
	w.write(ours.address(), false)
	k.prepare()
	ours.Kill()
	checkDumps(t, ours.dir, false)

	z.awaitGone("/brokers/ids/0", 30*time.Second)
	z.awaitGone("/controller", 30*time.Second)
	real.Start()
	next("the real one, after ours was killed")
	complaints(t, real)
	w.write(ours.address(), false)
	k.prepare()
	real.Kill()

	ours.start("log.cleaner.backoff.ms=100")
	next("ours, after the real one was killed")
	w.write(ours.address(), true)
	w.check("ours, after another round", ours.address())
	testkit.Eventually(t, time.Minute, "the compacted topic to shrink", func() bool {
		return len(readPartitions(t, ours.address(), uncommitted, "compacted")["compacted"]) < len(w.lines["compacted"])
	})
	ours.stop()
	checkDumps(t, ours.dir, true)
}

// complaints fails the test if a real broker found an error in the directory.
func complaints(t testing.TB, real *testkit.RealBroker) {
	t.Helper()
	for _, line := range strings.Split(real.Output(), "\n") {
		lower := strings.ToLower(line)
		if (strings.Contains(line, "] WARN ") || strings.Contains(line, "] ERROR ")) && strings.Contains(lower, "log") && strings.Contains(line, "kafka.log") ||
			strings.Contains(lower, "corrupt") {
			t.Errorf("the real broker logged: %s", line)
		}
	}
}

// checkDumps reads every file that a stopped broker left with the real tool and with ours, and
// compares the outputs. It reads indexes only after a clean stop: after a kill they end in unused
// space, which the tool also reports as an error in a real broker's files.
func checkDumps(t testing.TB, dir string, orderly bool) {
	t.Helper()
	kafka := testkit.RealKafka(t, "3.9.1")
	dump := func(args ...string) {
		t.Helper()
		out, errs, code := kafka.Run(t, "kafka.tools.DumpLogSegments", args...)
		if code != 0 || errs != "" {
			t.Errorf("DumpLogSegments %s: exit code %d\n%s", args[0], code, errs)
		}
		if i := strings.Index(out, "isvalid: false"); i >= 0 {
			t.Errorf("a batch is not valid:\n%s", out[max(0, i-400):i+20])
		}
		for _, bad := range []string{"Found ", "Mismatches", "bytes corruption", "Misaligned"} {
			if i := strings.Index(out, bad); i >= 0 {
				t.Errorf("DumpLogSegments reported an error:\n%s", out[i:min(len(out), i+300)])
			}
		}
		ours, errs, code := run(t, "kafka-dump-log", args...)
		if code != 0 || errs != "" {
			t.Errorf("kafka-dump-log %s: exit code %d\n%s", args[0], code, errs)
		}
		if d := firstDifference(strings.Split(ours, "\n"), strings.Split(out, "\n")); d != "" {
			t.Errorf("our dump of the same files differs: %s", d)
		}
	}
	dump("--print-data-log", "--deep-iteration", "--files", strings.Join(filesOf(t, dir, "log", "snapshot"), ","))
	if orderly {
		indexes := strings.Join(filesOf(t, dir, "index", "timeindex"), ",")
		dump("--verify-index-only", "--files", indexes)
		dump("--index-sanity-check", "--files", indexes)
	}
}

// filesOf returns the segment files of all partitions that have one of the endings.
func filesOf(t testing.TB, dir string, endings ...string) []string {
	t.Helper()
	var all []string
	for _, ending := range endings {
		files, err := filepath.Glob(filepath.Join(dir, "*-*", "*."+ending))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, files...)
	}
	if len(all) == 0 {
		t.Fatalf("no files *.%s below %s", endings[0], dir)
	}
	sort.Strings(all)
	return all
}
