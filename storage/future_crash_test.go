package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// The replacement of a log by its future log is stopped before each operation that changes the
// disk. After a crash there, one or both directories hold everything durable. A crash between the
// two renames leaves two directories with the plain name; then the start fails with an error and
// changes nothing, as with a real broker. All this also holds if the log is used or closed before
// its new name is durable.
func TestACrashDuringTheReplacementByAFutureLogLosesNothing(t *testing.T) {
	for name, then := range afterReplacement {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { crashDuringReplacement(t, then) })
		})
	}
}

// afterReplacement are the first steps with a log that has just replaced another.
var afterReplacement = map[string]func(t *testing.T, l *Log, f *floor) error{
	"none":   nil,
	"flush":  func(_ *testing.T, l *Log, _ *floor) error { return l.Flush() },
	"append": appendMoved,
	"append and flush": func(t *testing.T, l *Log, f *floor) error {
		err := errors.Join(appendMoved(t, l, f), l.Flush())
		f.set(27, 27)
		return err
	},
	"follower append": func(t *testing.T, l *Log, f *floor) error {
		_, err := l.AppendAsFollower(at(t, 26, "value 26"), 0)
		f.set(20, 27)
		return err
	},
	"truncation": func(_ *testing.T, l *Log, f *floor) error {
		f.set(10, 10)
		_, err := l.TruncateTo(10)
		return err
	},
}

func appendMoved(t *testing.T, l *Log, f *floor) error {
	_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(27, "value 26")...)})
	f.set(20, 27)
	return err
}

// floor holds how many of a log's records must survive: durable of them a power failure, acked of
// them a kill of the process.
type floor struct {
	mu             sync.Mutex // guards the fields below
	durable, acked int
}

func (f *floor) set(durable, acked int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.durable, f.acked = durable, acked
}

func (f *floor) get() (durable, acked int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.durable, f.acked
}

func crashDuringReplacement(t *testing.T, then func(*testing.T, *Log, *floor) error) {
	const durable, records = 20, 26
	stops, refused := 0, 0
	for n := 1; ; n++ {
		mem, kept := vfs.NewMem(), &floor{durable: durable, acked: records}
		fsys, cut := cutPower(mem, n, kept)
		step := func(l *Log) error { return then(t, l, kept) }
		if then == nil {
			step = nil
		}
		moveOnce(t, fsys, durable, records, cut.begin, step)
		if len(cut.images) == 0 {
			break
		}
		stops++
		for i, image := range cut.images {
			least := cut.durable
			if i == 1 {
				least = cut.acked
			}
			err := lookAtMoved(image, least, records+1)
			if isFatal(err) && strings.Contains(err.Error(), "Duplicate log directories for t-0 are found in both") {
				refused++
				err = eachAlone(image, least, records+1)
			}
			if err != nil {
				t.Errorf("stopped before operation %d, image %d: %v", n, i, err)
			}
		}
	}
	if stops < 5 || refused == 0 {
		t.Errorf("%d stops, %d of them left two plain directories: want at least 5 and 1", stops, refused)
	}
	t.Logf("%d stops, %d starts rejected because of two plain directories", stops, refused)
}

// powerCut holds the states of the disk that a crash before one of the operations that change the
// disk may leave.
type powerCut struct {
	mu     sync.Mutex // guards the fields below: many operations run in the background
	begun  bool
	left   int        // operations before the crash, counted from begin
	images []*vfs.Mem // empty if there were fewer operations; the second image is that of a killed process

	durable, acked int // from the floor at that moment
}

// cutPower returns mem with a power failure before the n-th operation after begin.
func cutPower(mem *vfs.Mem, n int, kept *floor) (vfs.FS, *powerCut) {
	c := &powerCut{left: n}
	return vfs.Intercept(mem, func(op vfs.Op) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.begun || !op.Kind.Changes() {
			return nil
		}
		if c.left--; c.left == 0 {
			c.durable, c.acked = kept.get()
			for i, survival := range []vfs.Survival{vfs.SyncedOnly, vfs.Everything, vfs.Random, vfs.Random, vfs.Random} {
				c.images = append(c.images, mem.CrashClone(survival, uint64(n*10+i)))
			}
		}
		return nil
	}), c
}

func (c *powerCut) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
}

// moveOnce creates a log in /a whose first records are durable, copies it to a future log in /b,
// and replaces the log with the future log. If then is nil, begin is called before the future log
// is created. Otherwise begin is called before the replacement, and then before the replacement is
// settled.
func moveOnce(t *testing.T, fsys vfs.FS, durable, records int, begin func(), then func(*Log) error) {
	t.Helper()
	m := loadedManager(t, fsys, "/a", "/b")
	defer quiesce(m)
	l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	for i := range records {
		if i == durable {
			noError(t, l.Flush())
			l.dir.checkpoints.writeRecoveryPoints()
		}
		appendValues(t, l, int64(i+1), fmt.Sprintf("value %d", i))
	}
	if then == nil {
		begin()
	}
	future, err := m.CreateFuture(partition0, "/b")
	noError(t, err)
	_, err = future.AppendAsFollower(readBytes(t, l, Read{Offset: 0, MaxBytes: 1 << 20}), 0)
	noError(t, err)
	noError(t, m.SettleFuture(partition0))
	if then != nil {
		begin()
	}
	if done, err := m.ReplaceWithFuture(partition0); !done || err != nil {
		t.Fatal(done, err)
	}
	if then != nil {
		noError(t, then(future))
	}
	noError(t, m.SettleMove(partition0))
	l.dir.checkpoint()
	future.dir.checkpoint()
}

func loadedManager(t *testing.T, fsys vfs.FS, dirs ...string) *Manager {
	t.Helper()
	config, _, _ := testConfig(fsys, dirs...)
	m, err := NewManager(config)
	noError(t, err)
	noError(t, m.Load(t.Context()))
	return m
}

// lookAtMoved starts a broker on the image and reads the log.
func lookAtMoved(image *vfs.Mem, durable, records int) error {
	config, _, _ := testConfig(image, "/a", "/b")
	m, err := NewManager(config)
	if err != nil {
		return err
	}
	defer quiesce(m)
	if err := m.Load(context.Background()); err != nil {
		return err
	}
	if offline := m.dirs.offlinePaths(); len(offline) > 0 {
		return fmt.Errorf("offline: %v", offline)
	}
	l := m.Log(partition0)
	if l == nil {
		return errors.New("the log is gone")
	}
	f, err := serve(l)
	if err != nil {
		return err
	}
	for i := range max(durable, int(f.LogEnd)) {
		if got, want := f.values[record.Offset(i)], fmt.Sprintf("value %d", i); got != want {
			return fmt.Errorf("at %d: %q, the log in %s ends at %d", i, got, l.Dir(), f.LogEnd)
		}
	}
	if f.LogEnd > record.Offset(records) {
		return fmt.Errorf("the log ends at %d", f.LogEnd)
	}
	return nil
}

// eachAlone checks that each of the two directories with the plain name has all records.
func eachAlone(image *vfs.Mem, durable, records int) error {
	for _, dir := range []string{"/a", "/b"} {
		other := image.CrashClone(vfs.Everything, 0)
		if err := other.RemoveAll(dir + "/" + currentDirName(partition0)); err != nil {
			return err
		}
		if err := lookAtMoved(other, durable, records); err != nil {
			return fmt.Errorf("without the one in %s: %w", dir, err)
		}
	}
	return nil
}

// The disk of the new directory hangs when the new name is made durable. Only operations whose
// result a power failure could undo wait for it.
func TestTheEndOfAMoveDelaysOnlyChangesOfTheLog(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, m *Manager, l *Log) error{
		"append": func(t *testing.T, _ *Manager, l *Log) error {
			_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "x")...)})
			return err
		},
		"follower append": func(t *testing.T, _ *Manager, l *Log) error {
			_, err := l.AppendAsFollower(at(t, 1, "x"), 0)
			return err
		},
		"truncation":      func(_ *testing.T, _ *Manager, l *Log) error { _, err := l.TruncateTo(0); return err },
		"full truncation": func(_ *testing.T, _ *Manager, l *Log) error { return l.TruncateFullyAndStartAt(5, -1) },
		"move back": func(_ *testing.T, m *Manager, _ *Log) error {
			_, err := m.CreateFuture(partition0, "/a")
			return err
		},
		"deletion": func(_ *testing.T, m *Manager, _ *Log) error { return m.Delete(partition0, false) },
		"deletion of many": func(_ *testing.T, m *Manager, _ *Log) error {
			return errors.Join(m.DeleteAll([]TopicPartition{partition0})...)
		},
		"a clean shutdown":  func(_ *testing.T, m *Manager, _ *Log) error { return m.Close() },
		"the move's worker": func(_ *testing.T, m *Manager, _ *Log) error { return m.SettleMove(partition0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hung atomic.Bool
				disk := make(chan struct{}) // closed to let the disk respond again
				mem := vfs.NewMem()
				m := loadedManager(t, vfs.Intercept(mem, func(op vfs.Op) error {
					if hung.Load() && op.Kind == vfs.OpSyncDir && op.Name == "/b" {
						<-disk
					}
					return nil
				}), "/a", "/b")
				defer m.Close()
				l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
				noError(t, err)
				appendValues(t, l, 1, "value")
				future, err := m.CreateFuture(partition0, "/b")
				noError(t, err)
				_, err = future.AppendAsFollower(readBytes(t, l, Read{MaxBytes: 1 << 20}), 0)
				noError(t, err)
				noError(t, m.SettleFuture(partition0))
				synctest.Wait()
				hung.Store(true)
				done, err := m.ReplaceWithFuture(partition0)
				noError(t, err)
				wantEqual(t, "replaced", done, true)
				l = m.Log(partition0)
				result := make(chan error, 1)
				go func() { result <- change(t, m, l) }()
				synctest.Wait()
				wantEqual(t, "changes that did not wait", len(result), 0)
				wantEqual(t, "records", len(all(t, l, 0)), 1)
				l.SetHighWatermark(1)
				noError(t, l.AssignEpochStart(3, 1))
				m.dirs[0].checkpoint()
				if name != "a clean shutdown" && !strings.HasPrefix(name, "deletion") {
					_, err = m.GetOrCreate(tpOf("another", 0), metadata.TopicID{2}, testTopic(), true)
					noError(t, err)
				}
				hung.Store(false)
				close(disk)
				noError(t, <-result)
				wantEqual(t, "directories of the log in /a", plainOf(t, mem, "/a"), 0)
			})
		})
	}
}

// plainOf counts the directories of partition0's current log in a log directory after a power
// failure.
func plainOf(t *testing.T, mem *vfs.Mem, dir string) (n int) {
	for _, name := range dirNames(t, mem.CrashClone(vfs.SyncedOnly, 0), dir) {
		if name == currentDirName(partition0) {
			n++
		}
	}
	return n
}

// The batches of a compacted log do not show where each leader epoch began, so its copy takes the
// epochs from it, durably before it replaces the log. Otherwise a replica with records of an older
// epoch that were never committed would not be asked to truncate them.
func TestAFutureLogHasTheLeaderEpochsOfItsLog(t *testing.T) {
	mem := vfs.NewMem()
	m := loadedManager(t, mem, "/a", "/b")
	l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	compactedEpochs(t, l)
	noError(t, l.Flush())
	future, err := m.CreateFuture(partition0, "/b")
	noError(t, err)
	_, err = future.AppendAsFollower(readBytes(t, l, Read{MaxBytes: 1 << 20}), 5)
	noError(t, err)
	noError(t, m.SettleFuture(partition0)) // as for a replacement that does not happen
	noError(t, l.AssignEpochStart(6, 12))
	m.CopyEpochs(partition0)
	wantEqual(t, "epochs of the future log", fmt.Sprint(future.epochs.list()), fmt.Sprint(compactedEntries))
	noError(t, m.SettleFuture(partition0))
	if done, err := m.ReplaceWithFuture(partition0); !done || err != nil {
		t.Fatal(done, err)
	}
	wantEqual(t, "epochs", fmt.Sprint(future.epochs.list()), fmt.Sprint(append(compactedEntries, epochEntry{6, 12})))
	image := mem.CrashClone(vfs.Everything, 0)
	noError(t, m.SettleMove(partition0))
	noError(t, m.Close())
	noError(t, image.RemoveAll("/a/t-0")) // the broker does not start with both
	m = loadedManager(t, image, "/a", "/b")
	wantEqual(t, "epochs after a crash", fmt.Sprint(m.Log(partition0).epochs.list()), fmt.Sprint(compactedEntries))
	noError(t, m.Close())
}

// A log that was replaced keeps its entries in the checkpoints until it is certain that it cannot
// come back.
func TestAReplacedLogStaysInTheCheckpointsUntilItIsSetAside(t *testing.T) {
	mem := vfs.NewMem()
	m := loadedManager(t, mem, "/a", "/b")
	defer m.Close()
	l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	appendValues(t, l, 1, "a", "b", "c")
	l.SetHighWatermark(3)
	noError(t, l.IncrementLogStart(2))
	noError(t, l.Flush())
	l.dir.checkpoint()
	future, err := m.CreateFuture(partition0, "/b")
	noError(t, err)
	noError(t, future.TruncateFullyAndStartAt(2, 2))
	_, err = future.AppendAsFollower(at(t, 2, "c"), 0)
	noError(t, err)
	noError(t, m.SettleFuture(partition0))
	done, err := m.ReplaceWithFuture(partition0)
	noError(t, err)
	wantEqual(t, "replaced", done, true)
	l.dir.checkpoint()
	l.dir.checkpoints.lowerAll()
	for name, want := range map[string]record.Offset{recoveryPointFile: 3, logStartFile: 2} {
		wantEqual(t, name, l.dir.checkpoints.offset(name, partition0), want)
	}
	noError(t, m.SettleMove(partition0))
	l.dir.checkpoint()
	for _, name := range []string{recoveryPointFile, logStartFile} {
		wantEqual(t, name+" later", l.dir.checkpoints.offset(name, partition0), -1)
	}
}

// If the directory of the replaced log fails before that log is set aside, the log returns with the
// directory. So the partition is not deleted before: a later topic of the same name could not be
// created.
func TestADeletionIsNotCompleteWhileAReplacedLogMayReturn(t *testing.T) {
	for _, all := range []bool{false, true} {
		var failing atomic.Bool
		mem := vfs.NewMem()
		m := loadedManager(t, vfs.Intercept(mem, func(op vfs.Op) error {
			if failing.Load() && strings.HasPrefix(op.Name, "/a") {
				return syscall.EIO
			}
			return nil
		}), "/a", "/b")
		l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
		noError(t, err)
		_, err = m.CreateFuture(partition0, "/b")
		noError(t, err)
		noError(t, m.SettleFuture(partition0))
		done, err := m.ReplaceWithFuture(partition0)
		noError(t, err)
		wantEqual(t, "replaced", done, true)
		failing.Store(true)
		noError(t, m.SettleMove(partition0))
		deletion := func() error {
			if all {
				return m.DeleteAll([]TopicPartition{partition0})[0]
			}
			return m.Delete(partition0, false)
		}
		wantError(t, deletion(), protocol.KafkaStorageError)
		wantEqual(t, "directories of the log in /b", plainOf(t, mem, "/b"), 0)
		wantError(t, deletion(), protocol.KafkaStorageError)
		_ = m.Close() // /a is offline
		m = loadedManager(t, mem, "/a", "/b")
		wantEqual(t, "the log is in", m.Log(partition0).Dir(), l.Dir())
		noError(t, deletion())
		noError(t, m.Close())
		wantEqual(t, "directories of the log in /a", plainOf(t, mem, "/a"), 0)
	}
}

// Without a free file descriptor, neither the new name nor the removal of the old one can be made
// durable. Requests that wait for this fail, and the move is settled later.
func TestAMoveWithoutAFileDescriptorIsSettledLater(t *testing.T) {
	for _, dir := range []string{"/a", "/b"} {
		t.Run(dir, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var none atomic.Bool
				mem := vfs.NewMem()
				m := loadedManager(t, vfs.Intercept(mem, func(op vfs.Op) error {
					if none.Load() && op.Kind == vfs.OpSyncDir && op.Name == dir {
						return syscall.EMFILE
					}
					return nil
				}), "/a", "/b")
				l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
				noError(t, err)
				appendValues(t, l, 1, "value")
				future, err := m.CreateFuture(partition0, "/b")
				noError(t, err)
				_, err = future.AppendAsFollower(readBytes(t, l, Read{MaxBytes: 1 << 20}), 0)
				noError(t, err)
				noError(t, m.SettleFuture(partition0))
				synctest.Wait()
				none.Store(true)
				done, err := m.ReplaceWithFuture(partition0)
				noError(t, err)
				wantEqual(t, "replaced", done, true)
				wantError(t, m.SettleMove(partition0), ErrTooManyFiles)
				_, err = future.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "x")...)})
				wantError(t, err, ErrTooManyFiles)
				time.Sleep(90 * time.Second) // the move is tried again, and files are deleted
				none.Store(false)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				wantEqual(t, "directories of the log in /a", plainOf(t, mem, "/a"), 0)
				wantEqual(t, "directories of the log in /b", plainOf(t, mem, "/b"), 1)
				wantEqual(t, "directories offline", len(m.dirs.offlinePaths()), 0)
				appendValues(t, future, 1, "x")
				noError(t, m.Close())
			})
		})
	}
}

// A clean shutdown that cannot settle a move does not mark the old directory as clean, because its
// log was not closed.
func TestAShutdownThatCannotSettleAMoveLeavesTheOldDirectoryToRecovery(t *testing.T) {
	var none atomic.Bool
	mem := vfs.NewMem()
	m := loadedManager(t, vfs.Intercept(mem, func(op vfs.Op) error {
		if none.Load() && op.Kind == vfs.OpSyncDir && op.Name == "/b" {
			return syscall.EMFILE
		}
		return nil
	}), "/a", "/b")
	l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	appendValues(t, l, 1, "value")
	future, err := m.CreateFuture(partition0, "/b")
	noError(t, err)
	_, err = future.AppendAsFollower(readBytes(t, l, Read{MaxBytes: 1 << 20}), 0)
	noError(t, err)
	noError(t, m.SettleFuture(partition0))
	done, err := m.ReplaceWithFuture(partition0)
	noError(t, err)
	wantEqual(t, "replaced", done, true)
	none.Store(true)
	noError(t, m.Close())
	if _, err := mem.Stat("/a/" + cleanShutdownFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old directory is marked as cleanly shut down: %v", err)
	}
}

// A background goroutine may be about to write a topic id or leader epochs when the log's directory
// is renamed. This is common with an empty log, because it is replaced soon after its future log
// was created. Here writing the files also takes a long time.
func TestSmallFilesWrittenDuringTheReplacementLeaveTheDirectoriesOnline(t *testing.T) {
	fsys := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpRename && strings.HasSuffix(op.Name, tempSuffix) && strings.Contains(op.Name, "/t-0") {
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	m := loadedManager(t, fsys, "/a", "/b")
	defer m.Close()
	l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	for round := range 20 {
		noError(t, l.AssignEpochStart(metadata.LeaderEpoch(round), 0))
		l.flushEpochsLater(0)
		future, err := m.CreateFuture(partition0, []string{"/b", "/a"}[round%2])
		noError(t, err)
		noError(t, m.SettleFuture(partition0))
		if done, err := m.ReplaceWithFuture(partition0); !done || err != nil {
			t.Fatalf("round %d: %v, %v", round, done, err)
		}
		if round%2 == 0 { // otherwise the next round waits for it
			noError(t, m.SettleMove(partition0))
		}
		l = future
		l.flushEpochsLater(0)
	}
	waitUntil(t, "the topic id is in its file", func() bool { return !l.topicID.pending.Load() })
	noError(t, l.epochs.flush())
	if offline := m.dirs.offlinePaths(); len(offline) > 0 {
		t.Errorf("offline: %v", offline)
	}
	for name, want := range map[string]string{partitionMetadataFile: "version: 0\n", leaderEpochFile: "0\n1\n19 0\n"} {
		if got := fileContent(t, fsys, l.file(name)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
