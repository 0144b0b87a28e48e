package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

func TestADirectoryOfAnotherBrokerOrClusterPreventsTheStart(t *testing.T) {
	mem := vfs.NewMem()
	start(t, mem).Close()
	for _, tt := range []struct {
		change func(*ManagerConfig)
		want   string
	}{
		{func(c *ManagerConfig) { c.ClusterID = "other" }, "Invalid cluster.id in: /data/meta.properties. Expected other, but read cluster"},
		{func(c *ManagerConfig) { c.BrokerID = 1 }, "Stored node id 7 doesn't match previous node id 1 in /data/meta.properties. If you moved your data, make sure your configured node id matches. If you intend to create a new node, you should remove all data in your data directories."},
		{func(c *ManagerConfig) { c.Dirs = []string{"/data", "/data/"} }, "Duplicate log directory found: /data, /data/"},
	} {
		c, _, _ := testConfig(mem, "/data")
		tt.change(&c)
		_, err := NewManager(c)
		wantEqual(t, "error", errText(err), tt.want)
	}
	id, cluster, err := StoredIdentity(mem, []string{"/data", "/new"})
	noError(t, err)
	wantEqual(t, "broker id", id, 7)
	wantEqual(t, "cluster id", cluster, "cluster")
}

func TestALockedDirectoryPreventsTheStart(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem)
	c, _, _ := testConfig(mem, "/data")
	_, err := NewManager(c)
	wantEqual(t, "error", errText(err), "Failed to acquire lock on file .lock in /data. A Kafka instance in another process or thread is using this directory.")
	noError(t, h.Close())
	if _, err := mem.Stat("/data/.lock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock file after a clean shutdown: %v", err)
	}
}

// A path that is not a directory, or cannot be accessed, is offline; the other directories are
// served.
func TestADirectoryThatCannotBeUsedIsOfflineFromTheStart(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(mem *vfs.Mem) error
		refused vfs.OpKind
		want    string // in the log
	}{
		"missing":        {func(*vfs.Mem) error { return nil }, "", ""},
		"existing":       {func(mem *vfs.Mem) error { return mem.MkdirAll("/more", 0o755) }, "", ""},
		"a file":         {func(mem *vfs.Mem) error { return writeFile(mem, "/more", nil) }, "", "/more is not a readable log directory."},
		"stat fails":     {func(mem *vfs.Mem) error { return mem.MkdirAll("/more", 0o755) }, vfs.OpStat, "refused"},
		"listing fails":  {func(mem *vfs.Mem) error { return mem.MkdirAll("/more", 0o755) }, vfs.OpReadDir, "refused"},
		"creation fails": {func(*vfs.Mem) error { return nil }, vfs.OpMkdir, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			noError(t, mem.MkdirAll("/data", 0o755))
			noError(t, tt.prepare(mem))
			c, _, lines := testConfig(vfs.Intercept(mem, func(op vfs.Op) error {
				if op.Kind == tt.refused && op.Name == "/more" {
					return errors.New("refused")
				}
				return nil
			}), "/data", "/more")
			m, err := NewManager(c)
			noError(t, err)
			defer m.Close()
			wantEqual(t, "offline", fmt.Sprint(m.dirs.offlinePaths()), map[bool]string{false: "[/more]", true: "[]"}[tt.want == ""])
			if log := lines.String(); !strings.Contains(log, tt.want) || strings.Contains(log, "Failed to create or validate") != (tt.want != "") {
				t.Errorf("no %q in\n%s", tt.want, log)
			}
		})
	}
}

func TestForeignAndDuplicateDirectoriesPreventTheStart(t *testing.T) {
	for name, tt := range map[string]struct {
		dirs []string
		want string
	}{
		"foreign":   {[]string{"/data/lost+found"}, "Found directory /data/lost+found, 'lost+found' is not in the form of topic-partition"},
		"duplicate": {[]string{"/data/t-0", "/more/t-0"}, "Duplicate log directories for t-0 are found in both "},
		"duplicate future": {[]string{"/data/t-0.0123456789abcdef0123456789abcdef-future", "/more/t-0.0123456789abcdef0123456789abcdef-future"},
			"Duplicate log directories found: /"},
	} {
		mem := vfs.NewMem()
		for _, d := range append(tt.dirs, "/data", "/more") {
			noError(t, mem.MkdirAll(d, 0o755))
		}
		c, _, _ := testConfig(mem, "/data", "/more")
		m, err := NewManager(c)
		noError(t, err)
		if err := m.Load(t.Context()); !strings.HasPrefix(errText(err), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		noError(t, m.Close())
	}
}

func tpOf(topic string, partition int32) TopicPartition {
	return metadata.TopicPartition{Topic: topic, Partition: partition}
}

func TestNewLogsGoToTheDirectoryWithTheFewest(t *testing.T) {
	h := start(t, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs = []string{"/a", "/b", "/c"} })
	noError(t, h.PreferDir(tpOf("p", 9), "/c"))
	counts := map[string]int{}
	for i := range int32(10) {
		l, err := h.GetOrCreate(tpOf("p", i), metadata.TopicID{1}, testTopic(), true)
		noError(t, err)
		counts[l.Dir()]++
		if i == 9 && l.Dir() != "/c" {
			t.Errorf("the preferred directory was not taken: %s", l.Dir())
		}
	}
	wantEqual(t, "spread", fmt.Sprint(counts), "map[/a:3 /b:3 /c:4]")
	wantError(t, h.PreferDir(tpOf("p", 0), "/nowhere"), protocol.LogDirNotFound)
	_, err := h.GetOrCreate(tpOf("p", 0), metadata.TopicID{2}, testTopic(), false)
	wantError(t, err, protocol.InconsistentTopicID)
}

func TestALogAskedForTwiceAtOnceIsCreatedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *host
		var armed atomic.Bool
		type result struct {
			log *Log
			err error
		}
		second := make(chan result, 1)
		h = start(t, vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
			if op.Kind == vfs.OpCreate && armed.CompareAndSwap(true, false) {
				go func() {
					l, err := h.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
					second <- result{l, err}
				}()
				synctest.Wait() // until the second caller waits for the first
			}
			return nil
		}))
		armed.Store(true)
		first, err := h.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
		noError(t, err)
		wantEqual(t, "result of the second caller", <-second, result{first, nil})
		wantEqual(t, "asked for during the creation", armed.Load(), false)
	})
}

// Brokers of Kafka before 2.8 do not know the file.
func TestTopicIDsAreNotKeptForOldBrokers(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem)
	h.log(t, testTopic())
	for _, keep := range []bool{true, false} {
		h.config.KeepTopicIDs = keep
		h.restart(t)
		kept := fileContent(t, mem, "/data/t-0/"+partitionMetadataFile) != "absent"
		wantEqual(t, "partition.metadata exists", kept, keep)
		if id := h.Log(partition0).TopicID(); (id == metadata.TopicID{1}) != keep {
			t.Errorf("kept %v: topic id %v", keep, id)
		}
	}
}

func TestAFailedDirectoryAffectsOnlyItsLogs(t *testing.T) {
	mem := vfs.NewMem()
	var broken atomic.Bool
	fsys := vfs.Intercept(mem, func(op vfs.Op) error {
		if broken.Load() && strings.HasPrefix(op.Name, "/b") {
			return syscall.EIO
		}
		return nil
	})
	h := start(t, fsys, func(c *ManagerConfig) { c.Dirs = []string{"/a", "/b"} })
	failed := make(chan string, 2)
	h.OnDirFailure(func(dir string) { failed <- dir })
	a, err := h.GetOrCreate(tpOf("p", 0), metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	b, err := h.GetOrCreate(tpOf("p", 1), metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	appendValues(t, a, 1, "x")
	appendValues(t, b, 1, "x")
	broken.Store(true)
	_, err = b.Read(Read{Offset: 0, MaxBytes: 10})
	noError(t, err) // found in memory, without using the disk
	wantError(t, b.Flush(), protocol.KafkaStorageError)
	wantEqual(t, "reported", <-failed, "/b")
	if h.Log(tpOf("p", 0)) != a || h.Log(tpOf("p", 1)) != nil {
		t.Error("the wrong logs are offline")
	}
	appendValues(t, a, 1, "still written")
	_, err = h.GetOrCreate(tpOf("p", 1), metadata.TopicID{1}, testTopic(), false)
	wantError(t, err, protocol.KafkaStorageError)
	_, err = h.GetOrCreate(tpOf("p", 2), metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	wantError(t, h.Delete(tpOf("p", 1), false), protocol.KafkaStorageError)
	wantError(t, h.CheckpointHighWatermarks("/b", nil), protocol.KafkaStorageError)
	noError(t, h.Close())
	if _, err := mem.Stat("/b/" + cleanShutdownFile); err == nil {
		t.Error("a failed directory was marked as cleanly shut down")
	}
}

func TestDeletedLogsAreSetAsideAndRemovedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		h := start(t, mem)
		l := h.log(t, testTopic())
		appendValues(t, l, 1, "x")
		data, err := l.Read(Read{Offset: 0, MaxBytes: 100})
		noError(t, err)
		noError(t, h.Delete(partition0, false))
		noError(t, h.Delete(partition0, false))
		wantError(t, l.Flush(), protocol.KafkaStorageError)
		names := dirNames(t, mem, "/data")
		if len(names) != 1 || !strings.HasPrefix(names[0], "t-0.") || !strings.HasSuffix(names[0], "-delete") {
			t.Errorf("directories: %v", names)
		}
		// The partition may be created again at once.
		wantEqual(t, "new log's end", h.log(t, testTopic()).Offsets().LogEnd, 0)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if names := dirNames(t, mem, "/data"); !slices.Equal(names, []string{"t-0"}) {
			t.Errorf("directories after the delay: %v", names)
		}
		b := make([]byte, data.Length)
		_, err = data.File.ReadAt(b, data.Position)
		noError(t, err)
		data.Release()
		noError(t, h.Close())
	})
}

func dirNames(t *testing.T, fsys vfs.FS, dir string) (names []string) {
	entries, err := fsys.ReadDir(dir)
	noError(t, err)
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestAFutureLogReplacesTheCurrentOne(t *testing.T) {
	h := start(t, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs = []string{"/a", "/b"} })
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "x", "y")
	future, err := h.CreateFuture(partition0, "/b")
	noError(t, err)
	wantEqual(t, "is future", future.IsFuture(), true)
	_, err = future.AppendAsFollower(readBytes(t, l, Read{Offset: 0, MaxBytes: 1000}), 0)
	noError(t, err)
	noError(t, h.SettleFuture(partition0))
	done, err := h.ReplaceWithFuture(partition0)
	noError(t, err)
	wantEqual(t, "replaced", done, true)
	now := h.Log(partition0)
	wantEqual(t, "directory", now.Path(), "/b/t-0")
	wantEqual(t, "offsets", now.Offsets(), Offsets{0, 2, 2, 2})
	appendValues(t, now, 1, "z")
	h.restart(t)
	wantEqual(t, "records", len(all(t, h.Log(partition0), 0)), 3)
}

// A future log is a beginning of its log wherever their segments and their starts are, and is none if it
// has a batch of another size.
func TestALogBeginsWithItsCopy(t *testing.T) {
	h := start(t, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs = []string{"/a", "/b"} })
	c := testTopic()
	c.SegmentBytes = 500
	l := h.log(t, c)
	future, err := h.CreateFuture(partition0, "/b")
	noError(t, err)
	begins := func(when string, want bool) {
		t.Helper()
		got, err := l.BeginsWith(future)
		noError(t, err)
		wantEqual(t, when, got, want)
	}
	begins("empty", true)
	for i := range 40 {
		appendValues(t, l, 1, make([]string, 1+i%4)...)
	}
	copied := 0
	eachBatch(t, l, func(b record.Batch) {
		if copied++; copied > 30 {
			return
		}
		_, err := future.AppendAsFollower(slices.Clone(b), 0)
		noError(t, err)
		begins(fmt.Sprintf("%d batches", copied), true)
		if copied%7 == 0 {
			roll(t, future)
		}
	})
	for _, start := range []record.Offset{1, 20, 21, 22, 50, 90} { // also in the middle of batches
		l.SetHighWatermark(l.Offsets().LogEnd)
		noError(t, l.IncrementLogStart(start))
		_, err := l.DeleteOldSegments()
		noError(t, err)
		begins(fmt.Sprintf("the log starts at %d", start), true)
	}
	_, err = future.TruncateTo(30)
	noError(t, err)
	begins("the copy ends below the log start", true)
	noError(t, future.TruncateFullyAndStartAt(90, 90))
	appendValues(t, future, 1, "longer than the value in the log", "", "")
	begins("another batch", false)
	_, err = l.TruncateTo(91)
	noError(t, err)
	begins("a copy that is longer", true)
}

func TestAnIncompleteFutureLogDoesNotReplaceTheCurrentOne(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, l, future *Log){
		"it lacks a record": func(t *testing.T, l, future *Log) {
			appendValues(t, l, 1, "z")
		},
		"it lacks a record, but all its records are durable": func(t *testing.T, l, future *Log) {
			appendValues(t, l, 1, "z")
			noError(t, future.Flush())
		},
		"records durable in the current log are not durable in it": func(t *testing.T, l, future *Log) {
			noError(t, l.Flush())
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs = []string{"/a", "/b"} })
			l := h.log(t, testTopic())
			appendValues(t, l, 1, "x", "y")
			future, err := h.CreateFuture(partition0, "/b")
			noError(t, err)
			_, err = future.AppendAsFollower(readBytes(t, l, Read{Offset: 0, MaxBytes: 1000}), 0)
			noError(t, err)
			prepare(t, l, future)
			done, err := h.ReplaceWithFuture(partition0)
			noError(t, err)
			wantEqual(t, "replaced", done, false)
			wantEqual(t, "directory", h.Log(partition0).Path(), "/a/t-0")
		})
	}
}

// Two directories of one partition after a power failure would prevent the broker from starting.
func TestTheDirectoryOfAReplacedLogIsSetAsideDurably(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem, func(c *ManagerConfig) {
		c.Dirs = []string{"/a", "/b"}
		c.Later = func(time.Duration, func()) {} // the checkpoints that follow are not written
	})
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "x")
	noError(t, l.Flush())
	future, err := h.CreateFuture(partition0, "/b")
	noError(t, err)
	_, err = future.AppendAsFollower(readBytes(t, l, Read{Offset: 0, MaxBytes: 1000}), 0)
	noError(t, err)
	noError(t, h.SettleFuture(partition0))
	done, err := h.ReplaceWithFuture(partition0)
	noError(t, err)
	wantEqual(t, "replaced", done, true)
	noError(t, h.SettleMove(partition0))
	after := mem.CrashClone(vfs.SyncedOnly, 0)
	if names := dirNames(t, after, "/a"); len(names) != 1 || !strings.HasSuffix(names[0], "-delete") {
		t.Errorf("the old directory is %q", names)
	}
	wantEqual(t, "the new directory", fmt.Sprint(dirNames(t, after, "/b")), "[t-0]")
}

// If the log came back after a power failure but the checkpoint had no entry for it, it would be
// recovered from 0 and served again.
func TestADeletionIsDurableBeforeItsCheckpointsAreWritten(t *testing.T) {
	mem := vfs.NewMem()
	deleting := false
	h := start(t, vfs.Intercept(mem, func(op vfs.Op) error {
		if deleting && op.Kind == vfs.OpCreate && strings.HasSuffix(op.Name, tempSuffix) {
			if names := dirNames(t, mem.CrashClone(vfs.SyncedOnly, 0), "/data"); slices.Contains(names, "t-0") {
				t.Errorf("%s is written while a power failure would bring back %q", op.Name, names)
			}
		}
		return nil
	}))
	appendValues(t, h.log(t, testTopic()), 1, "x")
	noError(t, h.Log(partition0).Flush())
	deleting = true
	noError(t, h.DeleteAll([]TopicPartition{partition0})[0])
	deleting = false
}

func TestPeriodicWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		c := testTopic()
		c.FlushMs, c.RetentionMs = 1000, 10*60*1000
		h := start(t, mem, func(m *ManagerConfig) {
			m.Defaults, m.Now = c, time.Now
			m.FlushCheck = 5 * time.Second
		})
		h.Start()
		l := h.log(t, c)
		appendValues(t, l, time.Now().UnixMilli(), "x")
		time.Sleep(40 * time.Second)
		synctest.Wait()
		wantEqual(t, "recovery point", l.RecoveryPoint(), 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		offsets, err := readOffsetCheckpoint(mem, "/data/"+recoveryPointFile)
		noError(t, err)
		wantEqual(t, "checkpoint", offsets[partition0], 1)
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		wantEqual(t, "log start after retention", l.Offsets().LogStart, 1)
		offsets, err = readOffsetCheckpoint(mem, "/data/"+logStartFile)
		noError(t, err)
		wantEqual(t, "log starts in the checkpoint", len(offsets), 0) // implied by the first segment
		noError(t, h.Close())
	})
}

func TestIdlePartitionsUseNoGoroutinesAndNoOpenFiles(t *testing.T) {
	var open atomic.Int64
	fsys := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if _, _, ok := parseOffsetFileName(filepath.Base(op.Name)); ok {
			switch op.Kind {
			case vfs.OpOpen, vfs.OpCreate:
				open.Add(1)
			case vfs.OpClose:
				open.Add(-1)
			}
		}
		return nil
	})
	h := start(t, fsys, func(c *ManagerConfig) { c.OpenFiles = 100 })
	h.Start()
	before := runtime.NumGoroutine()
	for i := range int32(500) {
		if _, err := h.GetOrCreate(tpOf("idle", i), metadata.TopicID{1}, testTopic(), true); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "the goroutines of the creations have ended", func() bool { return runtime.NumGoroutine() <= before })
	if n := open.Load(); n > 110 {
		t.Errorf("%d open files", n)
	}
	h.restart(t)
	wantEqual(t, "logs", len(h.Logs()), 500)
}

func TestLoadingLogsTheLinesOfKafka(t *testing.T) {
	h := start(t, vfs.NewMem())
	appendValues(t, h.log(t, testTopic()), 1, "x")
	h.restart(t)
	for _, line := range []string{
		"INFO Loading logs from log dirs ArrayBuffer(/data) (kafka.log.LogManager)",
		"INFO No logs found to be loaded in /data (kafka.log.LogManager)",
		"INFO Created log for partition t-0 in /data/t-0 with properties {} (kafka.log.LogManager)",
		"INFO Shutting down. (kafka.log.LogManager)",
		"INFO [ProducerStateManager partition=t-0] Wrote producer snapshot at offset 1 with 0 producer ids in ",
		"INFO Shutdown complete. (kafka.log.LogManager)",
		"INFO Skipping recovery of 1 logs from /data since clean shutdown file was found (kafka.log.LogManager)",
		"INFO [LogLoader partition=t-0, dir=/data] Loading producer state till offset 1 with message format version 2 (kafka.log.UnifiedLog$)",
		"(1/1 completed in /data) (kafka.log.LogManager)",
	} {
		if !strings.Contains(h.lines.String(), line) {
			t.Errorf("missing: %s", line)
		}
	}
	clean, unclean := `INFO Loaded 1 logs in \d+ms \(kafka`, `INFO Loaded 1 logs in \d+ms \(unclean log dirs = ArrayBuffer\(/data\)\) \(kafka`
	loaded := func(line string) bool { return regexp.MustCompile(line).MatchString(h.lines.String()) }
	if !loaded(clean) || loaded(unclean) {
		t.Error("no line after the load, or one of an unclean shutdown")
	}
	h.crash(t).open(t)
	if !loaded(unclean) {
		t.Error("no line after the load of an unclean directory")
	}
	if t.Failed() {
		t.Log(h.lines)
	}
}

func TestOptionsComeFromTheBrokersConfiguration(t *testing.T) {
	c, err := settings.FromMap(map[string]string{"zookeeper.connect": "localhost:2181"})
	noError(t, err)
	wantEqual(t, "defaults", OptionsOf(c), DefaultOptions())
	c, err = settings.FromMap(map[string]string{"zookeeper.connect": "localhost:2181", "inter.broker.protocol.version": "2.0",
		"num.recovery.threads.per.data.dir": "3", "log.retention.check.interval.ms": "7000"})
	noError(t, err)
	want := DefaultOptions()
	want.KeepTopicIDs, want.ZstdAllowed, want.RecoveryThreads, want.RetentionCheck = false, false, 3, 7*time.Second
	wantEqual(t, "options", OptionsOf(c), want)
}

func TestALogStartSurvivesAFailedStart(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem)
	l := h.log(t, testTopic())
	fill(t, l, 5, 10, 1)
	noError(t, l.IncrementLogStart(3))
	noError(t, h.Close())
	noError(t, mem.MkdirAll("/data/foreign", 0o755))
	m, err := NewManager(h.config)
	noError(t, err)
	if m.Load(t.Context()) == nil {
		t.Error("a foreign directory was accepted")
	}
	noError(t, m.Close())
	noError(t, mem.RemoveAll("/data/foreign"))
	h.open(t)
	wantEqual(t, "log start", h.Log(partition0).Offsets().LogStart, 3)
	wantEqual(t, "cleanly shut down before", h.dirs[0].cleanAtStart, true)
}

func TestManyLogsAreDeletedWithOneSyncOfTheirDirectory(t *testing.T) {
	var syncs atomic.Int32
	mem := vfs.NewMem()
	fsys := vfs.Intercept(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncDir && op.Name == "/data" {
			syncs.Add(1)
		}
		return nil
	})
	h := start(t, fsys)
	var tps []TopicPartition
	for i := range int32(50) {
		tps = append(tps, tpOf("p", i))
		_, err := h.GetOrCreate(tps[i], metadata.TopicID{1}, testTopic(), true)
		noError(t, err)
	}
	kept, err := h.GetOrCreate(tpOf("kept", 0), metadata.TopicID{2}, testTopic(), true)
	noError(t, err)
	appendValues(t, kept, 1, "x")
	noError(t, kept.Flush())
	syncs.Store(0)
	for i, err := range h.DeleteAll(append(tps, tpOf("none", 0))) {
		if err != nil {
			t.Errorf("partition %d: %v", i, err)
		}
	}
	// One for the renames, one for each of the two checkpoints.
	if got := syncs.Load(); got > 3 {
		t.Errorf("the directory was synced %d times", got)
	}
	// The renames survive a crash, and the checkpoint has only the remaining log.
	after := mem.CrashClone(vfs.SyncedOnly, 0)
	for _, name := range dirNames(t, after, "/data") {
		if name != "kept-0" && !strings.HasSuffix(name, "-delete") {
			t.Errorf("%s was not renamed", name)
		}
	}
	points, err := readOffsetCheckpoint(after, "/data/"+recoveryPointFile)
	noError(t, err)
	wantEqual(t, "recovery points", fmt.Sprint(points), fmt.Sprint(map[TopicPartition]int64{tpOf("kept", 0): 1}))
}

// The checkpoint of high watermarks is written if a high watermark moved, and if the set of logs
// changed, even if their number is the same.
func TestHighWatermarksAreWrittenWhenTheyChange(t *testing.T) {
	h := start(t, vfs.NewMem())
	logs := make([]*Log, 3)
	for i := range logs {
		l, err := h.GetOrCreate(tpOf("p", int32(i)), metadata.TopicID{1}, testTopic(), true)
		noError(t, err)
		appendValues(t, l, 1, "a")
		logs[i] = l
	}
	has := func(when string, want ...*Log) {
		t.Helper()
		noError(t, h.CheckpointHighWatermarks("/data", want))
		got, err := h.ReadHighWatermarks("/data")
		noError(t, err)
		wantEqual(t, "logs "+when, len(got), len(want))
		for _, l := range want {
			high, known := got[l.TopicPartition()]
			wantEqual(t, fmt.Sprint(l, " ", when), fmt.Sprint(high, known), fmt.Sprint(l.Offsets().HighWatermark, true))
		}
	}
	has("at first", logs[0], logs[1])
	logs[1].SetHighWatermark(1)
	has("after one moved", logs[0], logs[1])
	has("without one", logs[0])
	has("with that one alone", logs[1])
	has("with a new one instead", logs[2])
	noError(t, h.Close())
}

func TestADeletedLogIsKeptForTheDefaultDelayAtItsDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		h := start(t, mem, func(m *ManagerConfig) { m.Now = time.Now })
		h.log(t, testTopic())
		later := testTopic()
		later.FileDeleteDelayMs = 3_600_000
		h.SetDefaults(later)
		noError(t, h.Delete(partition0, false))
		for _, wait := range []struct {
			time.Duration
			left int
		}{{59 * time.Minute, 1}, {2 * time.Minute, 0}} {
			time.Sleep(wait.Duration)
			synctest.Wait()
			entries, err := mem.ReadDir("/data")
			noError(t, err)
			left := 0
			for _, e := range entries {
				if strings.HasSuffix(e.Name(), "-delete") {
					left++
				}
			}
			wantEqual(t, "directories of deleted logs", left, wait.left)
		}
		noError(t, h.Close())
	})
}

// However logs get their configuration, those with the same one share the append target derived
// from it.
func TestLogsShareTheAppendTargetOfTheirConfiguration(t *testing.T) {
	h, c := start(t, vfs.NewMem()), testTopic()
	var logs []*Log
	for p := range int32(3) {
		l, err := h.GetOrCreate(tpOf("p", p), metadata.TopicID{1}, c, true)
		noError(t, err)
		logs = append(logs, l)
	}
	shared := func(want *settings.Topic) {
		t.Helper()
		for _, l := range logs {
			if got := l.config.Load(); got.topic != want || got != logs[0].config.Load() {
				t.Errorf("%v has a configuration of its own", l)
			}
		}
	}
	shared(c)
	changed := testTopic()
	h.SetTopicConfig("p", changed)
	shared(changed)
	noError(t, h.Close())
}

func TestDirectoriesOfTwoClustersHaveNoIdentity(t *testing.T) {
	mem := vfs.NewMem()
	for dir, cluster := range map[string]string{"/a": "one", "/b": "another"} {
		noError(t, mem.MkdirAll(dir, 0o755))
		noError(t, writeMetaProperties(mem, dir, metaProperties{brokerID: 7, clusterID: cluster}, time.Unix(1, 0)))
	}
	if _, _, err := StoredIdentity(mem, []string{"/a", "/b"}); err == nil || !strings.Contains(err.Error(), "Invalid cluster.id in: /b/meta.properties. Expected one, but read another") {
		t.Errorf("error %v", err)
	}
}

func TestNoFutureLogIsCreatedWhileADirectoryThatMayHaveOneIsOffline(t *testing.T) {
	h := start(t, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs = []string{"/a", "/b", "/c"} })
	noError(t, h.PreferDir(partition0, "/a"))
	h.log(t, testTopic())
	_ = h.dirs[2].takeOffline("test", errors.New("disk failure"))
	_, err := h.CreateFuture(partition0, "/b")
	wantError(t, err, protocol.KafkaStorageError)
	wantEqual(t, "a future log", h.FutureLog(partition0) != nil, false)
}

func TestRecordsBelowTheLogStartAreNotRead(t *testing.T) {
	h := start(t, vfs.NewMem())
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "a", "b")
	appendValues(t, l, 1, "c")
	l.SetHighWatermark(3)
	noError(t, l.IncrementLogStart(2))
	_, err := l.Read(Read{Offset: 1, MaxBytes: 1000})
	wantError(t, err, protocol.OffsetOutOfRange)
}
