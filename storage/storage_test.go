package storage

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// testTopic returns a topic with Kafka's defaults, but without limits on the age of records.
func testTopic() *settings.Topic {
	return &settings.Topic{
		CleanupDelete: true, CompressionType: "producer", GzipLevel: -1, LZ4Level: 9, ZstdLevel: 3,
		DeleteRetentionMs: 86400000, FileDeleteDelayMs: 60000, FlushMessages: math.MaxInt64, FlushMs: math.MaxInt64,
		IndexIntervalBytes: 4096, MaxCompactionLagMs: math.MaxInt64, MaxMessageBytes: 1048588, Magic: 2,
		TimestampAfterMaxMs: math.MaxInt64, TimestampBeforeMaxMs: math.MaxInt64, TimestampType: "CreateTime",
		MinInSyncReplicas: 1, RetentionBytes: -1, RetentionMs: -1, SegmentBytes: 1 << 30, SegmentIndexBytes: 4096,
		SegmentMs: 7 * 24 * 3600 * 1000,
	}
}

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.UnixMilli(1700000000000)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// lineBuffer collects log lines.
type lineBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lineBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lineBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// host is a Manager together with the parts that tests inspect.
type host struct {
	*Manager
	config ManagerConfig
	clock  *clock
	lines  *lineBuffer
}

// testConfig returns a Manager's configuration for directories of a file system.
func testConfig(fsys vfs.FS, dirs ...string) (ManagerConfig, *clock, *lineBuffer) {
	lines, clock := &lineBuffer{}, newClock()
	o := DefaultOptions()
	o.ProducerExpirationMs = math.MaxInt32
	return ManagerConfig{FS: fsys, Dirs: dirs, Log: kafkalog.New(lines), BrokerID: 7, ClusterID: "cluster",
		Defaults: testTopic(), Now: clock.now, Options: o}, clock, lines
}

// start opens and loads a Manager on /data, which is closed at the end of the test.
func start(t testing.TB, fsys vfs.FS, change ...func(*ManagerConfig)) *host {
	t.Helper()
	c, clock, lines := testConfig(fsys, "/data")
	for _, f := range change {
		f(&c)
	}
	h := &host{config: c, clock: clock, lines: lines}
	h.open(t)
	return h
}

func (h *host) open(t testing.TB) {
	t.Helper()
	m, err := NewManager(h.config)
	if err != nil {
		t.Fatal(err)
	}
	h.Manager = m
	t.Cleanup(func() { m.Close() })
	if err := m.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// restart shuts the Manager down cleanly and opens another.
func (h *host) restart(t testing.TB) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h.open(t)
}

var partition0 = metadata.TopicPartition{Topic: "t", Partition: 0}

// log returns the log of partition 0 of topic t, created if necessary, with the configuration.
func (h *host) log(t testing.TB, c *settings.Topic) *Log {
	t.Helper()
	l, err := h.GetOrCreate(partition0, metadata.TopicID{1}, c, true)
	if err != nil {
		t.Fatal(err)
	}
	l.SetConfig(c)
	return l
}

// newLog returns a log in memory.
func newLog(t testing.TB, c *settings.Topic) (*Log, *host) {
	h := start(t, vfs.NewMem(), func(m *ManagerConfig) { m.Defaults = c })
	return h.log(t, c), h
}

// otherDir returns the one of the directories /data and /other that does not hold the log.
func otherDir(l *Log) string {
	if l.Dir() == "/data" {
		return "/other"
	}
	return "/data"
}

// rec is a record to be put into a batch.
type rec struct {
	key, value string
	timestamp  int64
}

// values returns records with the same timestamp.
func values(timestamp int64, values ...string) []rec {
	var rs []rec
	for _, v := range values {
		rs = append(rs, rec{"", v, timestamp})
	}
	return rs
}

// batch builds a client's batch.
func batch(t testing.TB, o record.Options, records ...rec) []byte {
	t.Helper()
	b := record.NewBuilder(o)
	for _, r := range records {
		if err := b.Append(r.timestamp, []byte(r.key), []byte(r.value)); err != nil {
			t.Fatal(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// appendValues appends one batch of the values as leader, in epoch 0, and raises the high watermark
// to the end.
func appendValues(t testing.TB, l *Log, timestamp int64, vs ...string) AppendInfo {
	t.Helper()
	info, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(timestamp, vs...)...), BatchRequired: true})
	if err != nil {
		t.Fatal(err)
	}
	l.SetHighWatermark(l.Offsets().LogEnd)
	return info
}

// fill appends n batches of one record of about size bytes each.
func fill(t testing.TB, l *Log, n, size int, timestamp int64) {
	t.Helper()
	for i := 0; i < n; i++ {
		appendValues(t, l, timestamp+int64(i), fmt.Sprintf("%d %s", l.Offsets().LogEnd, strings.Repeat("x", size)))
	}
}

// readBytes returns a copy of the bytes of one read.
func readBytes(t testing.TB, l *Log, r Read) []byte {
	t.Helper()
	data, err := l.Read(r)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Release()
	b := make([]byte, data.Length)
	if data.Length > 0 {
		if _, err := data.File.ReadAt(b, data.Position); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// all returns the records of a log from an offset to its end as offset=value.
func all(t testing.TB, l *Log, from record.Offset) []string {
	t.Helper()
	var found []string
	for end := l.Offsets().LogEnd; from < end; {
		set := readBytes(t, l, Read{Offset: from, MaxBytes: 1 << 20, MinOneMessage: true})
		next := from
		for len(set) > 0 {
			b, rest, err := record.Next(set)
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				break
			}
			if err := b.Validate(); err != nil {
				t.Fatal(err)
			}
			err = b.Each(func(r *record.Record) error {
				if r.Offset >= from {
					found = append(found, fmt.Sprintf("%d=%s", r.Offset, r.Value))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			next, set = b.NextOffset(), rest
		}
		if next == from {
			break
		}
		from = next
	}
	return found
}

// tree maps the files below a directory to their contents.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
