package integration

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

var compactionOutput = flag.String("compaction.output", "",
	"directory to which tests copy compacted topics and what a real broker made of them (storage/testdata/compaction)")

// compactedTopics builds compacted topics in a log directory. Their batches are appended as a
// follower appends them, so they may have any format, offsets and producers.
type compactedTopics struct {
	t    testing.TB
	m    *storage.Manager
	dir  string
	now  int64 // ms; records are of the hour before
	rand *rand.Rand

	topics []string // sorted
	ids    map[string]string
	config map[string]map[string]string
	from   map[string]int64 // where the dirty part begins, if not at 0

	log   *storage.Log // of the current topic
	next  record.Offset
	stamp int64
}

const compactedCluster = "Y29tcGFjdGVkLXRvcGljcw"

// newCompactedTopics returns a builder that has no topic yet.
func newCompactedTopics(t testing.TB, dir string, now int64) *compactedTopics {
	t.Helper()
	o := storage.DefaultOptions()
	o.ProducerExpirationMs = 1<<31 - 1
	config := topicConfig(t, nil)
	m, err := storage.NewManager(storage.ManagerConfig{FS: vfs.OS(), Dirs: []string{dir}, Log: kafkalog.Discard(), BrokerID: 7, ClusterID: compactedCluster,
		Defaults: config, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &compactedTopics{t: t, m: m, dir: dir, now: now, rand: rand.New(rand.NewPCG(12, 1)), ids: map[string]string{},
		config: map[string]map[string]string{}, from: map[string]int64{}}
}

func buildCompactedTopics(t testing.TB, dir string, now int64) *compactedTopics {
	t.Helper()
	c := newCompactedTopics(t, dir, now)
	for codec := record.None; codec <= record.Zstd; codec++ {
		c.keyed("keyed-v2-"+codec.String(), 2, codec, record.CreateTime)
		if codec < record.Zstd {
			c.keyed("keyed-v1-"+codec.String(), 1, codec, record.CreateTime)
			c.keyed("keyed-v0-"+codec.String(), 0, codec, record.CreateTime)
		}
	}
	c.keyed("append-time-v2", 2, record.Gzip, record.LogAppendTime)
	c.keyed("append-time-v1", 1, record.Gzip, record.LogAppendTime)
	c.idempotent()
	c.transactions()
	c.horizons()
	c.close()
	return c
}

// topicConfig returns the configuration of a topic with Kafka's defaults.
func topicConfig(t testing.TB, overrides map[string]string) *settings.Topic {
	t.Helper()
	broker, err := settings.FromMap(map[string]string{"zookeeper.connect": "localhost:1"})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := broker.Topic(overrides)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

// begin begins a topic.
func (c *compactedTopics) begin(name string, config map[string]string) {
	c.t.Helper()
	all := map[string]string{"cleanup.policy": "compact", "segment.bytes": "3000", "index.interval.bytes": "300", "min.cleanable.dirty.ratio": "0.0"}
	for k, v := range config {
		all[k] = v
	}
	id := [16]byte{byte(len(c.topics)) + 1, 1}
	var err error
	if c.log, err = c.m.GetOrCreate(storage.TopicPartition{Topic: name}, id, topicConfig(c.t, all), true); err != nil {
		c.t.Fatal(err)
	}
	c.topics, c.config[name] = append(c.topics, name), all
	c.next, c.stamp = 0, c.now-3_600_000
}

// options returns those of a batch at the end of the log.
func (c *compactedTopics) options(magic int8, codec record.Codec) record.Options {
	o := record.Defaults()
	o.Magic, o.Codec, o.BaseOffset, o.LeaderEpoch = magic, codec, c.next, 0
	return o
}

// add appends a batch with n records, of which the builder makes each.
func (c *compactedTopics) add(o record.Options, n int, fill func(b *record.Builder, i int) error) {
	c.t.Helper()
	if o.TimestampType == record.LogAppendTime {
		o.LogAppendTime = c.stamp
	}
	b := record.NewBuilder(o)
	for i := range n {
		if err := fill(b, i); err != nil {
			c.t.Fatal(err)
		}
	}
	set, err := b.Build()
	c.append(set, err)
}

func (c *compactedTopics) append(set []byte, err error) {
	c.t.Helper()
	if err == nil {
		_, err = c.log.AppendAsFollower(set, 0)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.stamp += 1000
	c.next = c.log.Offsets().LogEnd
}

// random adds a record with one of some keys. One in eight is a tombstone.
func (c *compactedTopics) random(b *record.Builder, keys int, headers bool) error {
	key, value := []byte(fmt.Sprintf("key-%d", c.rand.IntN(keys))), []byte(strings.Repeat("value ", c.rand.IntN(12)))
	if c.rand.IntN(8) == 0 {
		value = nil
	}
	var h []record.Header
	if headers && c.rand.IntN(3) == 0 {
		h = []record.Header{{Key: []byte("h"), Value: []byte("1")}, {Key: []byte("null")}}
	}
	return b.Append(c.stamp+int64(c.rand.IntN(500)), key, value, h...)
}

// keyed has records of some keys in batches of various sizes, some without a key, over several
// segments of which the first two count as clean.
func (c *compactedTopics) keyed(name string, magic int8, codec record.Codec, typ record.TimestampType) {
	c.begin(name, map[string]string{"delete.retention.ms": "100000"})
	for batch := range 60 {
		o := c.options(magic, codec)
		o.TimestampType = typ
		n := 1 + c.rand.IntN(5)
		c.add(o, n, func(b *record.Builder, i int) error {
			if batch%20 == 7 && i == 0 {
				return b.Append(c.stamp, nil, []byte("no key"))
			}
			return c.random(b, 25, magic == 2)
		})
		if c.next > 30 && c.from[name] == 0 {
			c.roll()
			c.from[name] = int64(c.next)
		}
	}
	c.end()
}

// end makes everything cleanable except for a last record.
func (c *compactedTopics) end() {
	c.roll()
	c.add(c.options(2, record.None), 1, func(b *record.Builder, _ int) error { return b.Append(c.stamp, []byte("last"), []byte("v")) })
	c.log.SetHighWatermark(c.next)
}

func (c *compactedTopics) roll() {
	c.t.Helper()
	if err := c.log.Roll(); err != nil {
		c.t.Fatal(err)
	}
}

// idempotent has batches of producers whose records are all overwritten later.
func (c *compactedTopics) idempotent() {
	c.begin("idempotent", nil)
	sequences := map[int64]int32{}
	for i := range 80 {
		o := c.options(2, record.Codec(i%5))
		o.ProducerID, o.ProducerEpoch = int64(10+c.rand.IntN(4)), 3
		if i > 60 {
			o.ProducerID = 20 // the last batches of the others lose all their records
		}
		o.BaseSequence = sequences[o.ProducerID]
		n := 1 + c.rand.IntN(4)
		sequences[o.ProducerID] += int32(n)
		c.add(o, n, func(b *record.Builder, _ int) error { return c.random(b, 6, true) })
	}
	c.end()
}

// transactions has committed and aborted transactions, interleaved and over several segments, some
// of which lose all their records, and an open one at the end.
func (c *compactedTopics) transactions() {
	c.begin("transactions", nil)
	type producer struct {
		open     int // batches left in the transaction; 0: none is open
		sequence int32
	}
	producers := map[int64]*producer{30: {}, 31: {}, 32: {}, 33: {}}
	for range 150 {
		id := int64(30 + c.rand.IntN(len(producers)))
		p := producers[id]
		o := c.options(2, record.Codec(c.rand.IntN(5)))
		o.ProducerID, o.ProducerEpoch, o.Transactional = id, 1, true
		if p.open == 1 {
			p.open = 0
			marker, err := record.EndTxnMarker(o, record.ControlType(c.rand.IntN(2)), 5, c.stamp)
			c.append(marker, err)
			continue
		}
		if p.open == 0 {
			p.open = 2 + c.rand.IntN(4)
		} else {
			p.open--
		}
		n := 1 + c.rand.IntN(3)
		o.BaseSequence = p.sequence
		p.sequence += int32(n)
		c.add(o, n, func(b *record.Builder, _ int) error { return c.random(b, 8, false) })
	}
	for _, id := range []int64{30, 31, 33} {
		o := c.options(2, record.None)
		o.ProducerID, o.ProducerEpoch = id, 1
		marker, err := record.EndTxnMarker(o, record.Commit, 5, c.stamp)
		c.append(marker, err)
	}
	if producers[32].open == 0 {
		o := c.options(2, record.None)
		o.ProducerID, o.ProducerEpoch, o.Transactional, o.BaseSequence = 32, 1, true, producers[32].sequence
		c.add(o, 1, func(b *record.Builder, _ int) error { return c.random(b, 8, false) })
	}
	for range 30 {
		c.add(c.options(2, record.None), 2, func(b *record.Builder, _ int) error { return c.random(b, 8, false) })
	}
	c.end()
}

// horizons has tombstones and markers with delete horizons, past and future, and emptied batches, as
// earlier cleanings leave them.
func (c *compactedTopics) horizons() {
	c.begin("horizons", nil)
	for i := range 40 {
		o := c.options(2, record.Codec(i%5))
		o.HasDeleteHorizon, o.DeleteHorizonMs = true, c.now-1000
		if i%3 == 0 {
			o.DeleteHorizonMs = c.now + 24*3_600_000
		}
		switch {
		case i%7 == 3:
			o.ProducerID, o.ProducerEpoch, o.BaseSequence = 40, 0, int32(i)
			c.append(record.EmptyBatch(o, c.next+2, c.stamp), nil)
		case i%7 == 5:
			o.ProducerID, o.ProducerEpoch = 41, 0
			marker, err := record.EndTxnMarker(o, record.ControlType(i%2), 5, c.stamp)
			c.append(marker, err)
		default:
			c.add(o, 3, func(b *record.Builder, _ int) error { return c.random(b, 60, false) })
		}
		c.next += record.Offset(c.rand.IntN(3)) // gaps
	}
	c.end()
}

// close stops the broker, gives the segments different modification times, and writes
// the cleaner's checkpoint.
func (c *compactedTopics) close() {
	c.t.Helper()
	sort.Strings(c.topics)
	var lines []string
	for _, topic := range c.topics {
		if from := c.from[topic]; from > 0 {
			lines = append(lines, fmt.Sprintf("%s 0 %d\n", topic, from))
		}
	}
	if err := c.m.CheckpointHighWatermarks(c.dir, c.m.Logs()); err != nil {
		c.t.Fatal(err)
	}
	if err := c.m.Close(); err != nil {
		c.t.Fatal(err)
	}
	file := fmt.Sprintf("0\n%d\n%s", len(lines), strings.Join(lines, ""))
	if err := os.WriteFile(filepath.Join(c.dir, "cleaner-offset-checkpoint"), []byte(file), 0o644); err != nil {
		c.t.Fatal(err)
	}
	setSegmentTimes(c.t, c.dir, c.now)
}

// setSegmentTimes sets the modification time of each segment to ten seconds before now for each
// offset that its base is below 1000.
func setSegmentTimes(t testing.TB, dir string, now int64) {
	t.Helper()
	for _, file := range filesOf(t, dir, "log") {
		base, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(file), ".log"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		at := time.UnixMilli(now - (1000-base)*10_000)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// createNodes creates the znodes of the cluster and the topics.
func (c *compactedTopics) createNodes(z *tree) {
	c.t.Helper()
	z.create("/cluster", nil)
	z.create("/cluster/id", []byte(`{"version":"1","id":"`+compactedCluster+`"}`))
	for _, path := range []string{"/brokers", "/brokers/topics", "/config", "/config/topics"} {
		z.create(path, nil)
	}
	for _, topic := range c.topics {
		text, err := os.ReadFile(filepath.Join(c.dir, topic+"-0", "partition.metadata"))
		if err != nil {
			c.t.Fatal(err)
		}
		_, id, _ := strings.Cut(string(text), "topic_id: ")
		config, err := json.Marshal(map[string]any{"version": 1, "config": c.config[topic]})
		if err != nil {
			c.t.Fatal(err)
		}
		z.create("/brokers/topics/"+topic, []byte(fmt.Sprintf(`{"partitions":{"0":[7]},"topic_id":"%s","adding_replicas":{},"removing_replicas":{},"version":3}`, id)))
		z.create("/config/topics/"+topic, config)
	}
}

// cleanedUpTo returns the cleaner's checkpoint of a stopped or running broker.
func cleanedUpTo(t testing.TB, dir string) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "cleaner-offset-checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	offsets := map[string]int64{}
	for _, line := range strings.Split(string(text), "\n")[min(2, strings.Count(string(text), "\n")):] {
		if f := strings.Fields(line); len(f) == 3 {
			offsets[f[0]], _ = strconv.ParseInt(f[2], 10, 64)
		}
	}
	return offsets
}

// awaitCleaned waits until the dirty part of every topic begins at its active segment, or at its
// last stable offset.
func (c *compactedTopics) awaitCleaned(dir string, limit time.Duration) map[string]int64 {
	c.t.Helper()
	var done map[string]int64
	testkit.Eventually(c.t, limit, "the cleaning of all topics", func() bool {
		done = cleanedUpTo(c.t, dir)
		for _, topic := range c.topics {
			if done[topic] <= c.from[topic] {
				return false
			}
		}
		return true
	})
	return done
}

var cleanerProperties = []string{"log.cleaner.backoff.ms=100", "log.initial.task.delay.ms=100000", "producer.id.expiration.ms=2147483647",
	"transaction.abort.timed.out.transaction.cleanup.interval.ms=2147483647", "auto.create.topics.enable=false", "log.retention.ms=-1"}

func TestCompactionLeavesWhatARealBrokerLeaves(t *testing.T) {
	before := filepath.Join(t.TempDir(), "before")
	now := time.Now().UnixMilli()
	c := buildCompactedTopics(t, before, now)
	left, figures := map[string]string{}, map[string][]string{}
	for _, s := range starters {
		connect, dir := testkit.ZooKeeper(t), copyTree(t, before)
		c.createNodes(openTree(t, connect))
		broker := s.start(t, 7, connect, dir, cleanerProperties...)
		c.awaitCleaned(dir, 60*time.Second)
		broker.stop()
		left[s.name], figures[s.name] = dir, cleanerFigures(cleanerLog(t, broker))
	}
	for _, topic := range c.topics {
		compareCleaned(t, topic, filepath.Join(left["ours"], topic+"-0"), filepath.Join(left["real"], topic+"-0"), now)
	}
	if d := firstDifference(figures["ours"], figures["real"]); d != "" || len(figures["ours"]) < len(c.topics) {
		t.Errorf("the figures of %d cleanings differ: %s", len(figures["ours"]), d)
	}
	if ours, real := cleanedUpTo(t, left["ours"]), cleanedUpTo(t, left["real"]); fmt.Sprint(ours) != fmt.Sprint(real) {
		t.Errorf("the checkpoints are %v, those of the real broker %v", ours, real)
	}
	if *compactionOutput != "" {
		c.save(*compactionOutput, before, left["real"])
	}
}

// cleanerLog returns the lines of a broker's cleaner.
func cleanerLog(t testing.TB, s server) string {
	t.Helper()
	switch s := s.(type) {
	case realServer:
		return s.Output()
	case *broker:
		text, err := os.ReadFile(filepath.Join(s.logs, "log-cleaner.log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return ""
}

// cleanerFigures returns the figures that a broker logged after each cleaning, sorted, except for
// times and compressed sizes.
func cleanerFigures(output string) []string {
	var all []string
	for _, entry := range strings.Split(output, "] INFO [kafka-log-cleaner-thread-0]: \n")[1:] {
		lines := strings.Split(entry, "\n")
		if len(lines) < 8 {
			continue
		}
		_, fewer, _ := strings.Cut(lines[7], "% size reduction ")
		all = append(all, strings.Join([]string{lines[0], lines[3], lines[5], lines[6], fewer}, "\n"))
	}
	sort.Strings(all)
	return all
}

// save copies the input and the real broker's output, and the configurations of the topics.
func (c *compactedTopics) save(to, before, after string) {
	c.t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		c.t.Fatal(err)
	}
	for name, from := range map[string]string{"before": before, "after": after} {
		pack := exec.Command("tar", "-czf", filepath.Join(to, name+".tar.gz"), "--exclude=*.deleted", "--owner=0", "--group=0", "-C", from, ".")
		if out, err := pack.CombinedOutput(); err != nil {
			c.t.Fatalf("tar: %v: %s", err, out)
		}
	}
	config, err := json.MarshalIndent(c.config, "", " ")
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "topics.json"), append(config, '\n'), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// storedBatch is a batch in a file of a partition.
type storedBatch struct {
	file string
	record.Batch
}

// readBatches returns the batches of a partition directory.
func readBatches(t testing.TB, dir string) (all []storedBatch) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, file := range files {
		set, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range record.Batches(set) {
			if err == nil {
				err = b.Validate()
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, storedBatch{filepath.Base(file), b})
		}
	}
	return all
}

// compareCleaned compares the batches of two partitions that were cleaned at about the same time,
// after now. Delete horizons that the cleanings have set differ by the time between them.
func compareCleaned(t testing.TB, topic, ours, real string, now int64) {
	t.Helper()
	have, want := readBatches(t, ours), readBatches(t, real)
	for i := range max(len(have), len(want)) {
		if i >= len(have) || i >= len(want) {
			t.Errorf("%s: %d batches instead of %d", topic, len(have), len(want))
			return
		}
		if h, w := describeBatch(t, have[i], now), describeBatch(t, want[i], now); h != w {
			t.Errorf("%s: batch %d differs\nours %s\nreal %s", topic, i, h, w)
			return
		}
		if a, b := have[i], want[i]; a.Codec() == record.None && !a.HasDeleteHorizon() && !bytes.Equal(a.Batch, b.Batch) {
			t.Errorf("%s: the bytes of batch %d differ", topic, i)
		}
	}
	files := func(dir, suffix string) (names []string) {
		all, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
		for _, f := range all {
			names = append(names, filepath.Base(f))
		}
		return names
	}
	for _, suffix := range []string{".log", ".index", ".timeindex", ".txnindex", ".snapshot"} {
		if h, w := files(ours, suffix), files(real, suffix); !slices.Equal(h, w) {
			t.Errorf("%s: files %v instead of %v", topic, h, w)
		}
	}
	for _, f := range files(real, ".txnindex") {
		h, _ := os.ReadFile(filepath.Join(ours, f))
		w, _ := os.ReadFile(filepath.Join(real, f))
		if !bytes.Equal(h, w) {
			t.Errorf("%s: %s is %x instead of %x", topic, f, h, w)
		}
	}
	for _, f := range files(real, ".log") {
		h, err1 := os.Stat(filepath.Join(ours, f))
		w, err2 := os.Stat(filepath.Join(real, f))
		if err1 != nil || err2 != nil || h.ModTime().UnixMilli() != w.ModTime().UnixMilli() {
			t.Errorf("%s: the modification time of %s is %v instead of %v", topic, f, h.ModTime(), w.ModTime())
		}
	}
}

// describeBatch returns all fields and records of a batch.
func describeBatch(t testing.TB, b storedBatch, now int64) string {
	t.Helper()
	base := b.BaseTimestamp()
	horizon, has := b.DeleteHorizonMs()
	if has && horizon >= now && horizon != now+24*3_600_000 {
		base = -2
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s base %d last %d magic %d attributes %x epoch %d base timestamp %d max %d producer %d/%d sequence %d count %d",
		b.file, b.BaseOffset(), b.LastOffset(), b.Magic(), b.Attributes(), b.PartitionLeaderEpoch(), base, b.MaxTimestamp(),
		b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.Count())
	if err := b.Each(func(r *record.Record) error {
		fmt.Fprintf(&s, "\n  %d %d %q %q %v %q", r.Offset, r.Timestamp, r.Key, r.Value, r.Value == nil, r.Headers)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// tableOf returns the latest value of each key of the topics, as a broker serves it.
func tableOf(t testing.TB, address string, topics []string) map[string]string {
	t.Helper()
	table := map[string]string{}
	for topic, lines := range readPartitions(t, address, committed, topics...) {
		for _, line := range lines {
			_, rest, _ := strings.Cut(line, " key=")
			key, value, _ := strings.Cut(rest, " value=")
			if key == "null" {
				continue
			}
			if value == "null" {
				delete(table, topic+" "+key)
			} else {
				table[topic+" "+key] = value
			}
		}
	}
	return table
}

// awaitHalfCleaned waits until a broker has written part of a cleaned segment.
func awaitHalfCleaned(t testing.TB, dir string) {
	t.Helper()
	testkit.Eventually(t, 60*time.Second, "a cleaning in progress", func() bool {
		files, err := filepath.Glob(filepath.Join(dir, "*-0", "*.cleaned"))
		return err == nil && len(files) > 0 && len(cleanedUpTo(t, dir)) > 0
	})
}

// Our broker and a real one are killed in the middle of a cleaning, and the other one continues.
func TestAnInterruptedCleaningContinuesOnARealBrokerAndBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kafka-logs")
	c := buildCompactedTopics(t, dir, time.Now().UnixMilli())
	connect := testkit.ZooKeeper(t)
	z := openTree(t, connect)
	c.createNodes(z)
	readable := slices.DeleteFunc(slices.Clone(c.topics), func(topic string) bool { return topic == "keyed-v0-lz4" }) // see brokenLZ4
	with := func(more ...string) []string { return append(slices.Clone(cleanerProperties), more...) }
	gone := func() {
		z.awaitGone("/brokers/ids/7", 60*time.Second)
		z.awaitGone("/controller", 60*time.Second)
	}

	ours := startBroker(t, options{id: 7, zookeeper: connect, dir: dir, extra: with("log.cleaner.enable=false")})
	want := tableOf(t, ours.address(), readable)
	ours.stop()
	ours = startBroker(t, options{id: 7, zookeeper: connect, dir: dir, extra: with("log.cleaner.io.max.bytes.per.second=3000")})
	awaitHalfCleaned(t, dir)
	ours.Kill()
	gone()

	real := testkit.RealKafka(t, "3.9.1").Broker(t, 7, connect, dir, with("log.cleaner.io.max.bytes.per.second=3000", "zookeeper.session.timeout.ms=3000")...)
	compareTables(t, "the real broker, after ours was killed", tableOf(t, real.Address(), readable), want)
	awaitHalfCleaned(t, dir)
	real.Kill()
	gone()

	ours = startBroker(t, options{id: 7, zookeeper: connect, dir: dir, extra: with()})
	compareTables(t, "ours, after the real broker was killed", tableOf(t, ours.address(), readable), want)
	c.awaitCleaned(dir, 60*time.Second)
	compareTables(t, "ours, after all was cleaned", tableOf(t, ours.address(), readable), want)
	ours.stop()
	for _, ending := range []string{"cleaned", "swap"} {
		if files, err := filepath.Glob(filepath.Join(dir, "*-0", "*."+ending)); err != nil || len(files) > 0 {
			t.Errorf("%v are left", files)
		}
	}
}

func compareTables(t testing.TB, when string, have, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if have[key] != value {
			t.Errorf("%s: %s has %q instead of %q", when, key, have[key], value)
		}
	}
	for key := range have {
		if _, wanted := want[key]; !wanted {
			t.Errorf("%s: %s is back with %q", when, key, have[key])
		}
	}
	if len(want) < 100 {
		t.Fatalf("%s: only %d keys", when, len(want))
	}
}

func adminOf(t testing.TB, address string) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(address))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// Commits are compacted: the offsets topic shrinks, and a restarted broker loads the latest offsets.
func TestTheOffsetsTopicShrinks(t *testing.T) {
	b := startBroker(t, options{extra: []string{"offsets.topic.num.partitions=1", "offsets.topic.segment.bytes=20000",
		"log.cleaner.backoff.ms=50", "log.cleaner.min.cleanable.ratio=0.01", "log.cleaner.max.compaction.lag.ms=1000"}})
	b.createTopic("t", 3)
	admin := adminOf(t, b.address())
	commit := func(offset int64) {
		t.Helper()
		offsets := kadm.Offsets{}
		for p := range int32(3) {
			offsets.AddOffset("t", p, offset+int64(p), -1)
		}
		if err := admin.CommitAllOffsets(background(), "g", offsets); err != nil {
			t.Fatal(err)
		}
	}
	const commits = 800
	for i := range int64(commits) {
		commit(i)
	}
	size := func() (total int64) {
		for _, file := range filesOf(t, b.dir, "log") {
			if info, err := os.Stat(file); err == nil && strings.Contains(file, "__consumer_offsets-0") {
				total += info.Size()
			}
		}
		return total
	}
	testkit.Eventually(t, 60*time.Second, "an offsets topic of less than 45,000 bytes", func() bool { return size() < 45_000 })
	b.stop()
	b.start()
	admin = adminOf(t, b.address())
	var fetched kadm.OffsetResponses
	testkit.Eventually(t, 60*time.Second, "the offsets of the group", func() bool {
		var err error
		fetched, err = admin.FetchOffsets(background(), "g")
		return err == nil && fetched.Ok()
	})
	for p := range int32(3) {
		if o, _ := fetched.Lookup("t", p); o.At != commits-1+int64(p) {
			t.Errorf("partition %d: offset %d", p, o.At)
		}
	}
}
