package storage

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// goldenTopics reads the topic configurations of the golden broker.
func goldenTopics(t *testing.T, file string, base func() *settings.Topic) map[string]*settings.Topic {
	topics := map[string]*settings.Topic{}
	lines := bufio.NewScanner(bytes.NewReader(golden.Read(t, "logdir-3.9.1/how/"+file)))
	for lines.Scan() {
		path, value, _ := strings.Cut(lines.Text(), " ")
		name, ok := strings.CutPrefix(path, "/config/topics/")
		if !ok {
			continue
		}
		var stored struct{ Config map[string]string }
		if err := json.Unmarshal([]byte(value), &stored); err != nil {
			t.Fatal(err)
		}
		c := base()
		number := func(key string, to *int32) {
			if v, ok := stored.Config[key]; ok {
				n, err := strconv.Atoi(v)
				if err != nil {
					t.Fatal(err)
				}
				*to = int32(n)
			}
		}
		number("segment.bytes", &c.SegmentBytes)
		number("segment.index.bytes", &c.SegmentIndexBytes)
		number("index.interval.bytes", &c.IndexIntervalBytes)
		if v, ok := stored.Config["cleanup.policy"]; ok {
			c.CleanupCompact, c.CleanupDelete = strings.Contains(v, "compact"), strings.Contains(v, "delete")
		}
		if strings.HasPrefix(name, "fmt-0.9.0") {
			c.Magic = 0
		} else if strings.HasPrefix(name, "fmt-0.10.2") {
			c.Magic = 1
		}
		topics[name] = c
	}
	return topics
}

// goldenConfig returns the configuration of the broker that wrote the golden directories, at a
// later time.
func goldenConfig(t *testing.T, dir, clusterID, znodes string) (ManagerConfig, *lineBuffer) {
	c, clock, lines := testConfig(vfs.OS(), dir)
	clock.set(time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC))
	c.ClusterID = clusterID
	c.RecoveryThreads = 4
	topics := goldenTopics(t, znodes, testTopic)
	c.TopicConfig = func(topic string) *settings.Topic { return topics[topic] }
	return c, lines
}

// startAndStop runs the storage part of a broker's start and clean shutdown on the directory.
func startAndStop(t *testing.T, c ManagerConfig) {
	t.Helper()
	m, err := NewManager(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Like replication, take the high watermarks from the checkpoint, lead alone, and write them at
	// the end.
	for _, l := range m.Logs() {
		l.SetHighWatermark(l.Offsets().LogEnd)
	}
	if err := m.CheckpointHighWatermarks(m.Dirs()[0].Path, m.Logs()); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// A real 3.9.1 broker turns crash/ into clean/: it cuts off 100 torn bytes and a batch with a
// flipped bit, rebuilds and trims indexes, and writes snapshots.
func TestGoldenCrashRecoversToTheBytesOfARealBroker(t *testing.T) {
	for _, from := range []string{"crash", "clean"} {
		t.Run(from, func(t *testing.T) {
			dir := t.TempDir()
			golden.Copy(t, "logdir-3.9.1/"+from, dir)
			c, lines := goldenConfig(t, dir, "0sgbqu-pRSaA02ZiJbjctA", "znodes.txt")
			startAndStop(t, c)
			compareTrees(t, tree(t, golden.Path(t, "logdir-3.9.1/clean")), tree(t, dir))
			if t.Failed() {
				t.Log(lines)
			}
		})
	}
}

func TestGoldenOldFormatsStayUnchanged(t *testing.T) {
	dir := t.TempDir()
	golden.Copy(t, "logdir-3.9.1/oldformat", dir)
	c, _ := goldenConfig(t, dir, "R1vRwYlESfuyQ_6vPTH6Bw", "znodes-old.txt")
	startAndStop(t, c)
	compareTrees(t, tree(t, golden.Path(t, "logdir-3.9.1/oldformat")), tree(t, dir))
}

// compareTrees compares directories byte for byte, except for the order of lines in checkpoints and
// of entries in snapshots, as the golden README allows.
func compareTrees(t *testing.T, want, got map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[name]
		switch w := want[name]; {
		case !ok:
			t.Errorf("%s is missing", name)
		case strings.HasSuffix(name, "-checkpoint") && !strings.HasPrefix(filepath.Base(name), "leader"):
			if w, g := linesInOrder(w), linesInOrder(g); w != g {
				t.Errorf("%s:\n%s\nwant\n%s", name, g, w)
			}
		case strings.HasSuffix(name, snapshotSuffix):
			if w, g := snapshotContent(t, w), snapshotContent(t, g); w != g {
				t.Errorf("%s: %s, want %s", name, g, w)
			}
		case w != g:
			t.Errorf("%s differs: %d bytes, want %d\n%x\n%x", name, len(g), len(w), lastBytes(g), lastBytes(w))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is unexpected", name)
		}
	}
}

func lastBytes(s string) string { return s[max(len(s)-48, 0):] }

func linesInOrder(s string) string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func snapshotContent(t *testing.T, s string) string {
	entries, err := decodeSnapshot([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	text := make([]string, len(entries))
	for i, e := range entries {
		b, _ := json.Marshal([]any{e.producerID, e.epoch, e.lastSequence(), e.lastTimestamp, e.coordinatorEpoch, e.txnFirstOffset})
		text[i] = string(b)
	}
	slices.Sort(text)
	return strings.Join(text, " ")
}

// The records of every golden log can be read, in every format.
func TestGoldenLogsAreReadWhole(t *testing.T) {
	counts := map[string]int{"codec-none": 60, "codec-gzip": 60, "codec-snappy": 60, "codec-lz4": 60, "codec-zstd": 60, "segments": 34,
		"logappend": 30, "idempotent": 40, "txn": 38, "compacted": 77, "compacted-txn": 21}
	old := map[string]int{"fmt-0.9.0-none": 40, "fmt-0.9.0-gzip": 40, "fmt-0.9.0-snappy": 40, "fmt-0.9.0-lz4": 40,
		"fmt-0.10.2-none": 40, "fmt-0.10.2-gzip": 40, "fmt-0.10.2-snappy": 40, "fmt-0.10.2-lz4": 40, "fmt-0.10.2-logappend": 16}
	for _, c := range []struct {
		tree, cluster, znodes string
		counts                map[string]int
	}{{"clean", "0sgbqu-pRSaA02ZiJbjctA", "znodes.txt", counts}, {"oldformat", "R1vRwYlESfuyQ_6vPTH6Bw", "znodes-old.txt", old}} {
		dir := t.TempDir()
		golden.Copy(t, "logdir-3.9.1/"+c.tree, dir)
		config, _ := goldenConfig(t, dir, c.cluster, c.znodes)
		m, err := NewManager(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		if err := m.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for topic, want := range c.counts {
			l := m.Log(TopicPartition{Topic: topic})
			if got := countData(t, l); got != want {
				t.Errorf("%s has %d records, want %d", topic, got, want)
			}
		}
	}
}

// countData counts the records other than transaction markers.
func countData(t *testing.T, l *Log) int {
	n := 0
	o := l.Offsets()
	for from := o.LogStart; from < o.LogEnd; {
		set := readBytes(t, l, Read{Offset: from, MaxBytes: math.MaxInt32})
		if len(set) == 0 {
			break
		}
		for len(set) > 0 {
			b, rest, err := record.Next(set)
			if err != nil || b == nil {
				t.Fatal(err)
			}
			if !b.IsControl() {
				if err := b.Each(func(r *record.Record) error {
					if r.Offset >= o.LogStart {
						n++
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			set, from = rest, b.NextOffset()
		}
	}
	return n
}
