package storage

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// unpack unpacks an archive of testdata with the modification times of its files.
func unpack(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Open(filepath.Join("testdata", name))
	noError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	noError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return dir
		}
		noError(t, err)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			noError(t, os.MkdirAll(path, 0o755))
			continue
		}
		data, err := io.ReadAll(r)
		noError(t, err)
		noError(t, os.WriteFile(path, data, 0o644))
		noError(t, os.Chtimes(path, h.ModTime, h.ModTime))
	}
}

// filedBatch is a batch and the name of its file.
type filedBatch struct {
	file string
	record.Batch
}

func batchesIn(t testing.TB, dir string) (all []filedBatch) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	noError(t, err)
	slices.Sort(files)
	for _, file := range files {
		for b, err := range record.Batches(mustRead(t, file)) {
			noError(t, err)
			noError(t, b.Validate())
			all = append(all, filedBatch{filepath.Base(file), b})
		}
	}
	return all
}

// String returns the header, without what depends on how well the records are compressed, and the
// records.
func (b filedBatch) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s base %d last %d magic %d attributes %x epoch %d base timestamp %d max %d producer %d/%d sequence %d count %d",
		b.file, b.BaseOffset(), b.LastOffset(), b.Magic(), b.Attributes(), b.PartitionLeaderEpoch(), b.BaseTimestamp(), b.MaxTimestamp(),
		b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.Count())
	err := b.Each(func(r *record.Record) error {
		fmt.Fprintf(&s, "\n  %d %d %q %q %v %q", r.Offset, r.Timestamp, r.Key, r.Value, r.Value == nil, r.Headers)
		return nil
	})
	if err != nil {
		fmt.Fprint(&s, err)
	}
	return s.String()
}

// cleanedAt returns when a real broker cleaned a topic: the delete horizons that it set are
// delete.retention.ms later.
func cleanedAt(before, after []filedBatch, c *settings.Topic) (time.Time, bool) {
	known := map[int64]bool{}
	for _, b := range before {
		if h, has := b.DeleteHorizonMs(); has {
			known[h] = true
		}
	}
	for _, b := range after {
		if h, has := b.DeleteHorizonMs(); has && !known[h] {
			return time.UnixMilli(h - c.DeleteRetentionMs), true
		}
	}
	return time.Time{}, false
}

func TestCleanedTopicsEqualThoseOfARealBroker(t *testing.T) {
	dir, after := unpack(t, "compaction/before.tar.gz"), unpack(t, "compaction/after.tar.gz")
	var overrides map[string]map[string]string
	noError(t, json.Unmarshal(mustRead(t, "testdata/compaction/topics.json"), &overrides))
	broker, err := settings.FromMap(map[string]string{"zookeeper.connect": "localhost:1"})
	noError(t, err)
	h := start(t, vfs.OS(), func(c *ManagerConfig) {
		c.Dirs, c.ClusterID = []string{dir}, "Y29tcGFjdGVkLXRvcGljcw"
		c.TopicConfig = func(topic string) *settings.Topic {
			config, err := broker.Topic(overrides[topic])
			noError(t, err)
			return config
		}
		now := newClock()
		now.set(time.UnixMilli(1796046103691)) // when the directory was made, so that no producer expires
		c.Now = now.now
	})
	for topic := range overrides {
		if h.Log(TopicPartition{Topic: topic}) == nil {
			t.Fatalf("there is no log of %s in %v", topic, h.Logs())
		}
	}
	for _, l := range sortedByName(h.Logs()) {
		t.Run(l.tp.Topic, func(t *testing.T) {
			l.SetHighWatermark(l.Offsets().LogEnd)
			want := batchesIn(t, filepath.Join(after, l.name))
			at, set := cleanedAt(batchesIn(t, l.Path()), want, l.Config())
			if !set {
				at = h.config.Now()
			}
			p, ok := h.cleaner.plan(l, at.UnixMilli())
			if !ok || !p.Due(l.Config().MinCleanableDirtyRatio) {
				t.Fatalf("no cleaning is due: %+v", p)
			}
			h.env.now = at.UnixMilli
			if err := h.thread().clean(l, p); err != nil {
				t.Fatal(err)
			}
			compareBatches(t, batchesIn(t, l.Path()), want)
			compareFiles(t, l.Path(), filepath.Join(after, l.name))
			compareTimes(t, l.Path(), filepath.Join(after, l.name))
		})
	}
	if have, want := mustRead(t, filepath.Join(dir, cleanerOffsetFile)), mustRead(t, filepath.Join(after, cleanerOffsetFile)); !sameLines(have, want) {
		t.Errorf("checkpoint\n%s\nof the real broker\n%s", have, want)
	}
}

// compareBatches compares batches with those of a real broker. Compressed bytes may differ.
func compareBatches(t *testing.T, have, want []filedBatch) {
	t.Helper()
	for i := range max(len(have), len(want)) {
		switch {
		case i >= len(have) || i >= len(want):
			t.Fatalf("%d batches instead of %d", len(have), len(want))
		case have[i].String() != want[i].String():
			t.Fatalf("batch %d is\n%v\nthat of the real broker\n%v", i, have[i], want[i])
		case have[i].Codec() == record.None && !bytes.Equal(have[i].Batch, want[i].Batch):
			t.Errorf("batch %d has other bytes", i)
		}
	}
}

// goldenCleaned are the ends of the compacted topics in the golden directories.
var goldenCleaned = map[string]record.Offset{"compacted": 200, "compacted-txn": 84, "__transaction_state": 74}

// The compacted logs of a real broker that was stopped cleanly, and of one that was killed, become
// those that a real broker makes of them. An empty last segment makes all others cleanable.
func TestGoldenLogsAreCleanedToWhatARealBrokerLeaves(t *testing.T) {
	for _, from := range []string{"clean", "crash"} {
		t.Run(from, func(t *testing.T) {
			dir, after := t.TempDir(), unpack(t, "compaction/golden-"+from+".tar.gz")
			golden.Copy(t, "logdir-3.9.1/"+from, dir)
			config, _ := goldenConfig(t, dir, "0sgbqu-pRSaA02ZiJbjctA", "znodes.txt")
			at := map[string]time.Time{}
			for topic, end := range goldenCleaned {
				name, set := filepath.Join(dir, topic+"-0"), false
				if at[topic], set = cleanedAt(batchesIn(t, name), batchesIn(t, filepath.Join(after, topic+"-0")), config.TopicConfig(topic)); !set {
					at[topic] = time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC)
				}
				noError(t, os.WriteFile(segmentPath(name, end, logSuffix), nil, 0o644))
			}
			config.Now = func() time.Time { return at["compacted"] } // late enough for the producers to expire
			h := &host{config: config}
			h.open(t)
			for topic, end := range goldenCleaned {
				l := h.Log(TopicPartition{Topic: topic})
				l.SetHighWatermark(end)
				h.env.now = at[topic].UnixMilli
				p, ok := h.cleaner.plan(l, h.env.now())
				if !ok || p.FirstUncleanable != end || !p.Due(l.Config().MinCleanableDirtyRatio) {
					t.Fatalf("%s: no cleaning is due: %+v", topic, p)
				}
				noError(t, h.thread().clean(l, p))
				compareBatches(t, batchesIn(t, l.Path()), batchesIn(t, filepath.Join(after, l.name)))
				compareFiles(t, l.Path(), filepath.Join(after, l.name))
			}
			if have, want := mustRead(t, filepath.Join(dir, cleanerOffsetFile)), mustRead(t, filepath.Join(after, cleanerOffsetFile)); !sameLines(have, want) {
				t.Errorf("checkpoint\n%s\nof the real broker\n%s", have, want)
			}
		})
	}
}

func sameLines(a, b []byte) bool {
	lines := func(text []byte) []string {
		l := strings.Split(string(text), "\n")
		slices.Sort(l)
		return l
	}
	return slices.Equal(lines(a), lines(b))
}

// compareTimes compares the modification times of the segments.
func compareTimes(t *testing.T, ours, real string) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(real, "*"+logSuffix))
	noError(t, err)
	for _, w := range segments {
		f := filepath.Join(ours, filepath.Base(w))
		a, err := os.Stat(f)
		noError(t, err)
		b, err := os.Stat(w)
		noError(t, err)
		if a.ModTime().Unix() != b.ModTime().Unix() {
			t.Errorf("%s was modified at %v instead of %v", f, a.ModTime(), b.ModTime())
		}
	}
}

// compareFiles compares the names of the files and the transaction indexes.
func compareFiles(t *testing.T, ours, real string) {
	t.Helper()
	for _, suffix := range append(segmentSuffixes[:], snapshotSuffix) {
		wanted, err := filepath.Glob(filepath.Join(real, "*"+suffix))
		noError(t, err)
		have, err := filepath.Glob(filepath.Join(ours, "*"+suffix))
		noError(t, err)
		if suffix == snapshotSuffix {
			wanted = wanted[:len(wanted)-1] // written at the stop
		}
		if len(have) < len(wanted) {
			t.Errorf("%d files *%s instead of %d", len(have), suffix, len(wanted))
		}
		for _, w := range wanted {
			f := filepath.Join(ours, filepath.Base(w))
			if suffix == txnIndexSuffix && !bytes.Equal(mustRead(t, f), mustRead(t, w)) {
				t.Errorf("%s is %x instead of %x", f, mustRead(t, f), mustRead(t, w))
			}
			_, err := os.Stat(f)
			noError(t, err)
		}
	}
}
