package integration

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// interruptedCleaning is a partition directory whose cleaning a crash interrupts. Its segments begin
// at bases; the last one is active.
type interruptedCleaning struct {
	t     testing.TB
	dir   string
	bases []int64
}

// file returns the path of a segment's file.
func (c *interruptedCleaning) file(base int64, suffix string) string {
	return filepath.Join(c.dir, fmt.Sprintf("%020d%s", base, suffix))
}

func (c *interruptedCleaning) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// cleaned writes what a cleaning makes of the segments from index i to j, exclusively: every second
// batch, under the base of the first one. ending is added to the names of the files. Only the first
// share of the .log is written.
func (c *interruptedCleaning) cleaned(ending string, i, j int, share float64, indexes ...string) {
	c.t.Helper()
	var out []byte
	n := 0
	for _, base := range c.bases[i:j] {
		set, err := os.ReadFile(c.file(base, ".log"))
		c.check(err)
		for b, err := range record.Batches(set) {
			c.check(err)
			if n++; n%2 == 0 {
				out = append(out, b...)
			}
		}
	}
	c.check(os.WriteFile(c.file(c.bases[i], ".log"+ending), out[:int(share*float64(len(out)))], 0o644))
	for _, suffix := range indexes {
		c.check(os.WriteFile(c.file(c.bases[i], suffix+ending), nil, 0o644))
	}
}

// rename renames files of a segment from one ending to another.
func (c *interruptedCleaning) rename(i int, from, to string, suffixes ...string) {
	c.t.Helper()
	for _, suffix := range suffixes {
		c.check(os.Rename(c.file(c.bases[i], suffix+from), c.file(c.bases[i], suffix+to)))
	}
}

var segmentFiles = []string{".log", ".index", ".timeindex"}

// cleanerStates are states in which a crash leaves a directory, by name of a topic: those between the
// steps of a cleaning and of a split, and those of a crash that has lost some renames.
var cleanerStates = map[string]func(c *interruptedCleaning){
	"untouched":          func(*interruptedCleaning) {},
	"half-written":       func(c *interruptedCleaning) { c.cleaned(".cleaned", 0, 3, 0.5, ".index", ".timeindex") },
	"written":            func(c *interruptedCleaning) { c.cleaned(".cleaned", 0, 3, 1, ".index", ".timeindex") },
	"empty":              func(c *interruptedCleaning) { c.cleaned(".cleaned", 0, 3, 0, ".index", ".timeindex") },
	"log-renamed":        func(c *interruptedCleaning) { c.swapped(0, 3, ".log") },
	"log-index-renamed":  func(c *interruptedCleaning) { c.swapped(0, 3, ".log", ".index") },
	"swap":               func(c *interruptedCleaning) { c.swapped(0, 3, segmentFiles...) },
	"swap-later-group":   func(c *interruptedCleaning) { c.swapped(2, 4, segmentFiles...) },
	"swap-one":           func(c *interruptedCleaning) { c.swapped(1, 2, segmentFiles...) },
	"swap-empty":         func(c *interruptedCleaning) { c.cleaned(".swap", 0, 3, 0, ".index", ".timeindex") },
	"swap-log-only":      func(c *interruptedCleaning) { c.cleaned(".swap", 0, 3, 1) },
	"swap-without-index": func(c *interruptedCleaning) { c.cleaned(".swap", 0, 3, 1, ".timeindex") },
	"first-set-aside": func(c *interruptedCleaning) {
		c.swapped(0, 3, segmentFiles...)
		c.rename(0, "", ".deleted", segmentFiles...)
	},
	"first-half-set-aside": func(c *interruptedCleaning) {
		c.swapped(0, 3, segmentFiles...)
		c.rename(0, "", ".deleted", ".log")
	},
	"sources-deleted": func(c *interruptedCleaning) {
		c.swapped(0, 3, segmentFiles...)
		for i := range 3 {
			c.rename(i, "", ".deleted", segmentFiles...)
		}
	},
	"second-deleted": func(c *interruptedCleaning) {
		c.swapped(0, 3, segmentFiles...)
		c.rename(1, "", ".deleted", segmentFiles...)
	},
	"log-final": func(c *interruptedCleaning) { c.final(".log") },
	"log-index-final": func(c *interruptedCleaning) {
		c.final(".log", ".index")
	},
	"final": func(c *interruptedCleaning) { c.final(segmentFiles...) },
	"index-swap-alone": func(c *interruptedCleaning) {
		c.check(os.WriteFile(c.file(c.bases[0], ".index.swap"), nil, 0o644))
	},
	"two-groups": func(c *interruptedCleaning) {
		c.swapped(0, 2, segmentFiles...)
		c.cleaned(".cleaned", 2, 4, 0.5, ".index", ".timeindex")
	},
	"two-groups-reversed": func(c *interruptedCleaning) {
		c.cleaned(".cleaned", 0, 2, 1, ".index", ".timeindex")
		c.swapped(2, 4, segmentFiles...)
	},
	"two-swaps": func(c *interruptedCleaning) {
		c.swapped(0, 2, segmentFiles...)
		c.swapped(2, 4, segmentFiles...)
	},
}

// swapped writes cleaned files of segments i to j, of which those with the suffixes have the ending
// .swap and the others .cleaned.
func (c *interruptedCleaning) swapped(i, j int, suffixes ...string) {
	c.t.Helper()
	c.cleaned(".cleaned", i, j, 1, ".index", ".timeindex")
	c.rename(i, ".cleaned", ".swap", suffixes...)
}

// final writes cleaned files of the first three segments, which are deleted. Those with the suffixes
// have their last name.
func (c *interruptedCleaning) final(suffixes ...string) {
	c.t.Helper()
	c.swapped(0, 3, segmentFiles...)
	for i := range 3 {
		c.rename(i, "", ".deleted", segmentFiles...)
	}
	c.rename(0, ".swap", "", suffixes...)
}

// interruptedTopics builds a topic for each state.
func interruptedTopics(t testing.TB, dir string) *compactedTopics {
	t.Helper()
	c := newCompactedTopics(t, dir, time.Now().UnixMilli())
	for _, name := range slices.Sorted(maps.Keys(cleanerStates)) {
		c.begin(name, nil)
		for range 120 {
			c.add(c.options(2, record.None), 2, func(b *record.Builder, _ int) error { return c.random(b, 25, false) })
		}
		c.end()
	}
	c.close()
	for name, interrupt := range cleanerStates {
		p := &interruptedCleaning{t: t, dir: filepath.Join(dir, name+"-0")}
		files, err := filepath.Glob(filepath.Join(p.dir, "*.log"))
		p.check(err)
		slices.Sort(files)
		for _, file := range files {
			var base int64
			_, err := fmt.Sscanf(filepath.Base(file), "%d", &base)
			p.check(err)
			p.bases = append(p.bases, base)
		}
		if len(p.bases) < 5 {
			t.Fatalf("%s has segments %v", name, p.bases)
		}
		interrupt(p)
	}
	return c
}

// A real broker and ours find the same logs in each state in which an interrupted cleaning can leave
// a directory, and leave no file of it behind.
func TestInterruptedCleaningsEndAsOnARealBroker(t *testing.T) {
	variants := map[string]func(dir string) error{
		"flushed": func(dir string) error { return os.Remove(filepath.Join(dir, ".kafka_cleanshutdown")) },
	}
	if testkit.FullMatrices() {
		variants["clean"] = func(string) error { return nil }
		variants["not flushed"] = func(dir string) error {
			if err := os.Remove(filepath.Join(dir, ".kafka_cleanshutdown")); err != nil {
				return err
			}
			return os.Remove(filepath.Join(dir, "recovery-point-offset-checkpoint"))
		}
	}
	for name, prepare := range variants {
		t.Run(name, func(t *testing.T) {
			before := filepath.Join(t.TempDir(), "before")
			c := interruptedTopics(t, before)
			if err := prepare(before); err != nil {
				t.Fatal(err)
			}
			ours := copyTree(t, before)
			loadAndClose(t, ours)
			connect, real := testkit.ZooKeeper(t), copyTree(t, before)
			c.createNodes(openTree(t, connect))
			testkit.RealKafka(t, "3.9.1").Broker(t, 7, connect, real, append(slices.Clone(cleanerProperties), "log.cleaner.enable=false")...).Stop(time.Minute)
			for _, topic := range c.topics {
				compareLoaded(t, topic, filepath.Join(ours, topic+"-0"), filepath.Join(real, topic+"-0"))
			}
		})
	}
}

// loadAndClose starts and stops our storage on a directory.
func loadAndClose(t testing.TB, dir string) {
	t.Helper()
	m, err := storage.NewManager(storage.ManagerConfig{FS: vfs.OS(), Dirs: []string{dir}, Log: kafkalog.Discard(), BrokerID: 7,
		ClusterID: compactedCluster, Defaults: topicConfig(t, map[string]string{"cleanup.policy": "compact"}), Options: storage.DefaultOptions()})
	if err == nil {
		err = m.Load(t.Context())
	}
	if err == nil {
		err = m.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// compareLoaded compares the segments of two partitions and their batches.
func compareLoaded(t testing.TB, topic, ours, real string) {
	t.Helper()
	have, want := readBatches(t, ours), readBatches(t, real)
	if !slices.EqualFunc(have, want, func(a, b storedBatch) bool { return a.file == b.file && slices.Equal(a.Batch, b.Batch) }) {
		t.Errorf("%s: %d batches %v instead of %d %v", topic, len(have), placesOf(have), len(want), placesOf(want))
	}
	segments := func(dir string) (names []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if ending := filepath.Ext(e.Name()); ending == ".log" || ending == ".index" || ending == ".timeindex" || ending == ".cleaned" || ending == ".swap" {
				names = append(names, e.Name())
			}
		}
		return names
	}
	h, w := segments(ours), segments(real)
	if !slices.Equal(h, w) {
		t.Errorf("%s: files %v instead of %v", topic, h, w)
	}
	if slices.ContainsFunc(h, func(name string) bool { return strings.HasSuffix(name, ".cleaned") || strings.HasSuffix(name, ".swap") }) {
		t.Errorf("%s: files of the cleaning are left: %v", topic, h)
	}
}

// placesOf returns the files and offsets of batches.
func placesOf(batches []storedBatch) (places []string) {
	for _, b := range batches {
		places = append(places, fmt.Sprintf("%s:%d", strings.TrimLeft(b.file, "0"), b.BaseOffset()))
	}
	return places
}

// goldenCompacted are the compacted topics of the golden directories, and their ends.
var goldenCompacted = map[string]int64{"compacted": 200, "compacted-txn": 84, "__transaction_state": 74}

// The golden directories of a real broker, stopped cleanly and killed, are cleaned as the real broker
// cleans them. An empty last segment makes all others cleanable.
func TestGoldenDirectoriesAreCleanedAsByARealBroker(t *testing.T) {
	properties := slices.DeleteFunc(checkProperties(t), func(line string) bool { return strings.HasPrefix(line, "log.cleaner.enable=") })
	properties = append(properties, "log.cleaner.backoff.ms=100")
	for _, from := range []string{"clean", "crash"} {
		now := time.Now().UnixMilli()
		left := map[string]string{}
		for _, s := range starters {
			connect, dir := testkit.ZooKeeper(t), copyTree(t, golden.Path(t, "logdir-3.9.1/"+from))
			openTree(t, connect).createAll(golden.Path(t, "logdir-3.9.1/how/znodes.txt"))
			for topic, end := range goldenCompacted {
				name := filepath.Join(dir, topic+"-0", fmt.Sprintf("%020d.log", end))
				at := time.UnixMilli(now)
				if err := errors.Join(os.WriteFile(name, nil, 0o644), os.Chtimes(name, at, at)); err != nil {
					t.Fatal(err)
				}
			}
			broker := s.start(t, 7, connect, dir, properties...)
			testkit.Eventually(t, 60*time.Second, "the cleaning of the golden topics", func() bool {
				done := cleanedUpTo(t, dir)
				for topic, end := range goldenCompacted {
					if done[topic] != end {
						return false
					}
				}
				return true
			})
			broker.stop()
			left[s.name] = dir
		}
		for topic := range goldenCompacted {
			compareCleaned(t, from+" "+topic, filepath.Join(left["ours"], topic+"-0"), filepath.Join(left["real"], topic+"-0"), now)
		}
		if *compactionOutput != "" {
			pack := exec.Command("tar", "-czf", filepath.Join(*compactionOutput, "golden-"+from+".tar.gz"), "--exclude=*.deleted", "--owner=0", "--group=0",
				"-C", left["real"], "compacted-0", "compacted-txn-0", "__transaction_state-0", "cleaner-offset-checkpoint")
			if out, err := pack.CombinedOutput(); err != nil {
				t.Fatalf("tar: %v: %s", err, out)
			}
		}
	}
}
