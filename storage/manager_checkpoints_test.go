package storage

import (
	"errors"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// checkpoints returns a partition's entries in the three checkpoint files of /data; -1 stands for
// no entry.
func checkpoints(t *testing.T, fsys vfs.FS) (recoveryPoint, logStart, highWatermark record.Offset) {
	t.Helper()
	var got []record.Offset
	for _, name := range []string{recoveryPointFile, logStartFile, highWatermarkFile} {
		offsets, err := readOffsetCheckpoint(fsys, "/data/"+name)
		noError(t, err)
		if offset, named := offsets[partition0]; named {
			got = append(got, offset)
		} else {
			got = append(got, -1)
		}
	}
	return got[0], got[1], got[2]
}

// checkpointed returns a log of 100 records with all three checkpoints written.
func checkpointed(t *testing.T, fsys vfs.FS) (*host, *Log) {
	h := start(t, fsys)
	l := h.log(t, testTopic())
	for range 100 {
		appendValues(t, l, 1, "of the first topic")
	}
	noError(t, l.IncrementLogStart(90))
	noError(t, l.Flush())
	h.eachDir((*logDir).checkpoint)
	noError(t, h.CheckpointHighWatermarks("/data", []*Log{l}))
	return h, l
}

func TestADeletionRemovesThePartitionFromTheCheckpoints(t *testing.T) {
	for name, remove := range map[string]func(h *host) error{
		"Delete":    func(h *host) error { return h.Delete(partition0, false) },
		"DeleteAll": func(h *host) error { return h.DeleteAll([]TopicPartition{partition0})[0] },
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			h, _ := checkpointed(t, mem)
			noError(t, remove(h))
			p, s, w := checkpoints(t, mem.CrashClone(vfs.SyncedOnly, 0))
			if p != -1 || s != -1 || w != -1 {
				t.Errorf("recovery point %d, log start %d, high watermark %d", p, s, w)
			}
		})
	}
}

// Wherever a crash interrupts the deletion, a topic of the same name begins at 0 and keeps the
// records flushed to it.
func TestATopicOfTheSameNameInheritsNoCheckpoint(t *testing.T) {
	mem := vfs.NewMem()
	var images []*vfs.Mem
	watching := false
	h, _ := checkpointed(t, vfs.Intercept(mem, func(op vfs.Op) error {
		if watching && op.Kind.Changes() {
			images = append(images, mem.CrashClone(vfs.Everything, 0))
		}
		return nil
	}))
	watching = true
	noError(t, h.Delete(partition0, false))
	watching = false
	for i, image := range images {
		next := start(t, image)
		if next.Log(partition0) != nil {
			continue // the deletion had not begun
		}
		l := next.log(t, testTopic())
		if p, s, w := checkpoints(t, image); p > 0 || s > 0 || w > 0 {
			t.Errorf("image %d: recovery point %d, log start %d, high watermark %d of the new topic", i, p, s, w)
		}
		for range 20 {
			appendValues(t, l, 1, "of the second topic")
		}
		noError(t, l.Flush())
		o := start(t, image.CrashClone(vfs.Everything, 0)).Log(partition0).Offsets()
		if o.LogStart != 0 || o.LogEnd != 20 {
			t.Errorf("image %d: after a crash the new topic has %+v", i, o)
		}
	}
	if len(images) == 0 {
		t.Error("no image")
	}
}

// A log that moved away leaves its entries until background work writes the files. A log that moves
// back in the meantime is another log.
func TestALogThatMovesBackInheritsNoCheckpoint(t *testing.T) {
	mem := vfs.NewMem()
	var later []func()
	h := start(t, mem, func(c *ManagerConfig) {
		c.Dirs = []string{"/data", "/other"}
		c.Later = func(_ time.Duration, f func()) { later = append(later, f) }
	})
	noError(t, h.PreferDir(partition0, "/data"))
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "a")
	noError(t, l.Flush())
	h.eachDir((*logDir).checkpoint)
	future, err := h.CreateFuture(partition0, "/other")
	noError(t, err)
	_, err = future.AppendAsFollower(readBytes(t, l, Read{MaxBytes: 1 << 20}), 0)
	noError(t, err)
	noError(t, h.SettleFuture(partition0))
	done, err := h.ReplaceWithFuture(partition0)
	noError(t, err)
	wantEqual(t, "replaced", done, true)
	_, err = h.CreateFuture(partition0, "/data")
	noError(t, err)
	if p, _, _ := checkpoints(t, mem); p > 0 {
		t.Errorf("the checkpoint has %d for an empty log", p)
	}
}

// After an unclean election thousands of logs may be truncated, and each truncation would rewrite
// the checkpoints of all logs.
func TestExpectedTruncationsShareOneWriteOfTheCheckpoints(t *testing.T) {
	const logs = 20
	var written atomic.Int64
	mem := vfs.NewMem()
	fsys := vfs.Intercept(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpRename && strings.HasSuffix(op.Name, "-checkpoint"+tempSuffix) && !strings.Contains(op.Name, leaderEpochFile) {
			written.Add(1)
		}
		return nil
	})
	h := start(t, fsys, func(c *ManagerConfig) { c.Later = func(time.Duration, func()) {} })
	offsets := map[TopicPartition]record.Offset{}
	var all []*Log
	for i := range int32(logs) {
		l, err := h.GetOrCreate(tpOf("t", i), metadata.TopicID{1}, testTopic(), true)
		noError(t, err)
		appendValues(t, l, 1, "a", "b")
		appendValues(t, l, 1, "c")
		l.SetHighWatermark(3)
		noError(t, l.Flush())
		all = append(all, l)
		offsets[l.tp] = 2
	}
	h.eachDir((*logDir).checkpoint)
	noError(t, h.CheckpointHighWatermarks("/data", all))
	written.Store(0)
	h.ExpectTruncations(offsets)
	for _, l := range all {
		_, err := l.TruncateTo(2)
		noError(t, err)
	}
	wantEqual(t, "writes of checkpoints", written.Load(), 2) // recovery points, high watermarks
	for _, name := range []string{recoveryPointFile, highWatermarkFile} {
		left, err := readOffsetCheckpoint(mem.CrashClone(vfs.SyncedOnly, 0), "/data/"+name)
		noError(t, err)
		wantEqual(t, "entries of "+name, len(left), logs)
		for tp, offset := range left {
			wantEqual(t, currentDirName(tp)+" in "+name, offset, 2)
		}
	}
}

func TestATruncationLowersAllCheckpoints(t *testing.T) {
	for name, tt := range map[string]struct {
		truncate func(l *Log) error
		want     record.Offset
	}{
		"to an offset": {func(l *Log) error { _, err := l.TruncateTo(95); return err }, 95},
		"fully":        {func(l *Log) error { return l.TruncateFullyAndStartAt(10, -1) }, 10},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			_, l := checkpointed(t, mem)
			noError(t, tt.truncate(l))
			p, s, w := checkpoints(t, mem.CrashClone(vfs.SyncedOnly, 0))
			if p != tt.want || s > tt.want || w > tt.want {
				t.Errorf("recovery point %d, log start %d, high watermark %d", p, s, w)
			}
		})
	}
}

func TestATruncationWaitsForACheckpointBeingWritten(t *testing.T) {
	mem, disk := vfs.NewMem(), &duringSync{}
	h := start(t, disk.fs(mem))
	l := h.log(t, testTopic())
	for range 10 {
		appendValues(t, l, 1, "x")
	}
	noError(t, l.Flush())
	var truncated chan error
	disk.next(vfs.OpCreate, recoveryPointFile+tempSuffix, func() error {
		truncated = unlessItWaits(func() error {
			_, err := l.TruncateTo(5)
			return err
		})
		return nil
	})
	h.eachDir(func(d *logDir) { d.checkpoints.writeRecoveryPoints() })
	noError(t, <-truncated)
	if p, _, _ := checkpoints(t, mem); p != 5 {
		t.Errorf("after the truncation the checkpoint has %d", p)
	}
}

// Recovery may find fewer records than the checkpoints imply.
func TestLoadingLowersCheckpoints(t *testing.T) {
	mem := vfs.NewMem()
	h, _ := checkpointed(t, mem)
	next := h.crash(t)
	edit(t, next.config.FS, segmentName(0, logSuffix), func(b []byte) []byte { return b[:len(b)-1] })
	next.open(t)
	wantEqual(t, "log end", next.Log(partition0).Offsets().LogEnd, 99)
	if p, s, w := checkpoints(t, next.config.FS); p > 99 || s != 90 || w > 99 {
		t.Errorf("recovery point %d, log start %d, high watermark %d", p, s, w)
	}
}

// A start relies on the checkpoint that it finds, so that checkpoint must be durable.
func TestACheckpointOfAKilledProcessIsDurableAfterTheStart(t *testing.T) {
	mem := vfs.NewMem()
	h, _ := checkpointed(t, mem)
	noError(t, writeFileSynced(mem, "/data/lowered", []byte("0\n1\nt 0 95\n")))
	noError(t, mem.Rename("/data/lowered", "/data/"+recoveryPointFile)) // the process is killed before it syncs the directory
	next := h.crash(t)
	next.open(t)
	p, _, _ := checkpoints(t, next.config.FS.(*vfs.Mem).CrashClone(vfs.SyncedOnly, 0))
	wantEqual(t, "recovery point after a power failure", p, 95)
}

// The marker means that nothing needs recovery. A directory whose load did not finish, or that
// failed, must not get it.
func TestOnlyAFullyLoadedOnlineDirectoryIsMarkedAsClean(t *testing.T) {
	mem := vfs.NewMem()
	h, _ := checkpointed(t, mem)
	for name, test := range map[string]func(t *testing.T, next *host){
		"not loaded": func(t *testing.T, next *host) {},
		"failed": func(t *testing.T, next *host) {
			noError(t, next.Load(t.Context()))
			next.dirs[0].takeOffline("test", errCrashed)
		},
	} {
		next := h.crash(t)
		m, err := NewManager(next.config)
		noError(t, err)
		next.Manager = m
		test(t, next)
		noError(t, m.Close())
		entries, err := next.config.FS.ReadDir("/data")
		noError(t, err)
		for _, e := range entries {
			if e.Name() == cleanShutdownFile {
				t.Errorf("%s: the directory is marked as cleanly shut down", name)
			}
		}
	}
}

// A directory whose last checkpoint could not be written is not marked either.
func TestADirectoryThatFailsAtItsLastCheckpointIsNotMarkedAsClean(t *testing.T) {
	mem := vfs.NewMem()
	var broken atomic.Bool
	h := start(t, vfs.Intercept(mem, func(op vfs.Op) error {
		if broken.Load() && op.Kind.Changes() && strings.Contains(op.Name, recoveryPointFile) {
			return syscall.EIO
		}
		return nil
	}))
	appendValues(t, h.log(t, testTopic()), 1, "x")
	broken.Store(true)
	noError(t, h.Close())
	if _, err := mem.Stat("/data/" + cleanShutdownFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the marker exists, or cannot be checked: %v", err)
	}
}

// If a log starts at the base of a segment that was just created, it starts there after a power
// failure too, although the segment's name was lost.
func TestALogStartIsCheckpointedUntilItsSegmentIsDurable(t *testing.T) {
	mem := vfs.NewMem()
	h, l := checkpointed(t, mem)
	noError(t, l.TruncateFullyAndStartAt(500, 500))
	h.eachDir((*logDir).checkpoint)
	h = start(t, mem.CrashClone(vfs.SyncedOnly, 0))
	if got := h.log(t, testTopic()).Offsets(); got.LogStart != 500 || got.LogEnd != 500 {
		t.Errorf("after a power failure: %+v", got)
	}
}
