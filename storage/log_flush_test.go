package storage

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// duringSync runs a step once, during the next sync (or other operation) of a file whose name ends
// with a suffix. The step's error becomes that of the operation.
type duringSync struct {
	mu     sync.Mutex // guards the fields below
	kind   vfs.OpKind
	suffix string
	step   func() error
}

func (d *duringSync) fs(base vfs.FS) vfs.FS {
	return vfs.Intercept(base, func(op vfs.Op) error {
		d.mu.Lock()
		step := d.step
		if step == nil || op.Kind != d.kind || !strings.HasSuffix(op.Name, d.suffix) {
			d.mu.Unlock()
			return nil
		}
		d.step = nil
		d.mu.Unlock()
		return step()
	})
}

func (d *duringSync) next(kind vfs.OpKind, suffix string, step func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kind, d.suffix, d.step = kind, suffix, step
}

// unlessItWaits starts f and returns a channel with its result. It returns once f has ended, or
// after ample time for that: f is expected to wait.
func unlessItWaits(f func() error) chan error {
	done := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		done <- f()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(50 * time.Millisecond):
	}
	return done
}

// sizeAfterPowerCut returns the size of a file if the power fails now, -1 if the file is missing
// then.
func sizeAfterPowerCut(mem *vfs.Mem, name string) int64 {
	info, err := mem.CrashClone(vfs.SyncedOnly, 0).Stat(name)
	if err != nil {
		return -1
	}
	return info.Size()
}

func TestAFlushWaitsForAnotherThatIsSyncingTheSameSegment(t *testing.T) {
	mem, disk := vfs.NewMem(), &duringSync{}
	h := start(t, disk.fs(mem))
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "first")
	appendValues(t, l, 1, "second")
	var second chan error
	disk.next(vfs.OpSync, logSuffix, func() error {
		second = unlessItWaits(func() error {
			err := l.Flush()
			if got := sizeAfterPowerCut(mem, segmentName(0, logSuffix)); got != l.Size() {
				t.Errorf("the second flush ended with %d of %d bytes on disk", got, l.Size())
			}
			return err
		})
		if p := l.RecoveryPoint(); p != 0 {
			t.Errorf("the recovery point is %d while the records are being synced", p)
		}
		return nil
	})
	noError(t, l.Flush())
	noError(t, <-second)
	wantEqual(t, "recovery point", l.RecoveryPoint(), 2)
}

func TestAFlushDoesNotSucceedAfterAFailedOne(t *testing.T) {
	disk := &duringSync{}
	h := start(t, disk.fs(vfs.NewMem()))
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "lost")
	var second chan error
	disk.next(vfs.OpSync, logSuffix, func() error {
		second = unlessItWaits(l.Flush)
		return errCrashed // the system reports it only once
	})
	wantError(t, l.Flush(), protocol.KafkaStorageError)
	wantError(t, <-second, protocol.KafkaStorageError)
	if !l.positions.active().unsynced.pending() {
		t.Error("after a failed sync the segment counts as durable")
	}
	wantEqual(t, "recovery point", l.RecoveryPoint(), 0)
}

func TestTheRecoveryPointStaysBelowASegmentThatIsStillBeingSynced(t *testing.T) {
	mem, disk := vfs.NewMem(), &duringSync{}
	h := start(t, disk.fs(mem))
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "in the first segment")
	var second chan error
	disk.next(vfs.OpSync, segmentName(0, logSuffix), func() error {
		appendValues(t, l, 1, "in the second segment")
		noError(t, l.Roll())
		second = unlessItWaits(l.Flush)
		if p := l.RecoveryPoint(); p != 0 {
			t.Errorf("the recovery point is %d while the first segment is being synced", p)
		}
		return nil
	})
	noError(t, l.Roll())
	waitUntil(t, "both segments are flushed", func() bool { return l.RecoveryPoint() == 2 })
	noError(t, <-second)
}

func TestWithFlushMessagesAnAppendReturnsOnceItsRecordIsDurable(t *testing.T) {
	c := testTopic()
	c.FlushMessages = 1
	first := func(t *testing.T) []byte { return batch(t, idempotent(9, 0, 0), values(1, "first")...) }
	for name, second := range map[string]func(t *testing.T) []byte{
		"another producer":               func(t *testing.T) []byte { return batch(t, record.Defaults(), values(1, "second")...) },
		"a producer that sends it again": first,
	} {
		t.Run(name, func(t *testing.T) {
			mem, disk := vfs.NewMem(), &duringSync{}
			h := start(t, disk.fs(mem))
			l := h.log(t, c)
			send := func(set []byte) error {
				_, err := l.AppendAsLeader(Append{Records: set, BatchRequired: true})
				if got := sizeAfterPowerCut(mem, segmentName(0, logSuffix)); got < int64(len(set)) {
					t.Errorf("answered with %d bytes on disk", got)
				}
				return err
			}
			set := second(t)
			var answer chan error
			disk.next(vfs.OpCreate, leaderEpochFile+tempSuffix, func() error { // before the first sync
				answer = unlessItWaits(func() error { return send(set) })
				disk.next(vfs.OpSync, logSuffix, func() error {
					select {
					case err := <-answer:
						answer <- err
					case <-time.After(50 * time.Millisecond): // it waits
					}
					return nil
				})
				return nil
			})
			noError(t, send(first(t)))
			noError(t, <-answer)
		})
	}
}

func TestAMoveBetweenDirectoriesKeepsDurableRecords(t *testing.T) {
	mem, disk := vfs.NewMem(), &duringSync{}
	m := loadedManager(t, disk.fs(mem), "/data", "/other")
	defer m.Close()
	noError(t, m.PreferDir(partition0, "/data"))
	l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	for range 5 {
		appendValues(t, l, 1, "durable")
	}
	noError(t, l.Flush())
	future, err := m.CreateFuture(partition0, "/other")
	noError(t, err)
	_, err = future.AppendAsFollower(readBytes(t, l, Read{Offset: 0, MaxBytes: 1 << 20}), 0)
	noError(t, err)
	var moved chan error
	disk.next(vfs.OpSync, future.Path()+"/"+offsetFileName(0, logSuffix), func() error { // the sync of the roll
		moved = unlessItWaits(func() error {
			if err := m.SettleFuture(partition0); err != nil {
				return err
			}
			done, err := m.ReplaceWithFuture(partition0)
			if !done {
				t.Errorf("not replaced: %v", err)
			}
			err = errors.Join(err, m.SettleMove(partition0))
			if got := sizeAfterPowerCut(mem, "/other/t-0/"+offsetFileName(0, logSuffix)); got != l.Size() {
				t.Errorf("replaced with %d of %d bytes on disk", got, l.Size())
			}
			return err
		})
		return nil
	})
	noError(t, future.Roll())
	waitUntil(t, "the roll's flush has run", func() bool {
		disk.mu.Lock()
		defer disk.mu.Unlock()
		return disk.step == nil
	})
	m.dirs[1].background.wait()
	noError(t, <-moved)
}

func TestAFailedSyncIsAnErrorEvenIfAnotherSegmentIsRemovedMeanwhile(t *testing.T) {
	disk := &duringSync{}
	h := start(t, disk.fs(vfs.NewMem()))
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "old")
	noError(t, l.Roll())
	waitUntil(t, "the roll is flushed", func() bool { return l.RecoveryPoint() == 1 })
	appendValues(t, l, 1, "new")
	disk.next(vfs.OpSync, segmentName(1, logSuffix), func() error {
		noError(t, l.IncrementLogStart(1))
		_, err := l.DeleteOldSegments()
		noError(t, err)
		return errCrashed
	})
	wantError(t, l.Flush(), protocol.KafkaStorageError)
	wantEqual(t, "online", h.Dirs()[0].Online, false)
	wantEqual(t, "recovery point", l.RecoveryPoint(), 1)
}

func TestAFlushContinuesWithoutASegmentThatIsRemovedMeanwhile(t *testing.T) {
	mem, disk := vfs.NewMem(), &duringSync{}
	h := start(t, disk.fs(mem))
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "old")
	h.dirs[0].background.wait()
	noError(t, l.Roll())
	h.dirs[0].background.wait()
	appendValues(t, l, 1, "new")
	l.positions.v.segments[0].unsynced.note()
	disk.next(vfs.OpSync, segmentName(0, logSuffix), func() error {
		noError(t, l.IncrementLogStart(1))
		_, err := l.DeleteOldSegments()
		noError(t, err)
		return errCrashed
	})
	noError(t, l.Flush())
	wantEqual(t, "recovery point", l.RecoveryPoint(), 2)
	wantEqual(t, "bytes on disk", sizeAfterPowerCut(mem, segmentName(1, logSuffix)), l.Size())
}

func TestAFlushOvertakenByATruncationDoesNotRaiseTheRecoveryPoint(t *testing.T) {
	disk := &duringSync{}
	h := start(t, disk.fs(vfs.NewMem()))
	l := h.log(t, testTopic())
	for range 3 {
		appendValues(t, l, 1, "cut")
	}
	disk.next(vfs.OpSync, logSuffix, func() error {
		_, err := l.TruncateTo(1)
		noError(t, err)
		appendValues(t, l, 1, "another record, not synced yet")
		return nil
	})
	noError(t, l.Flush())
	if p := l.RecoveryPoint(); p > 1 {
		t.Errorf("recovery point %d", p)
	}
}

// A flush that waited for its turn, like that of a roll in the background, may find the log cut
// below its offset and filled again.
func TestAFlushBegunBeforeATruncationCountsOnlyTheRecordsItFinds(t *testing.T) {
	disk := &duringSync{}
	h := start(t, disk.fs(vfs.NewMem()))
	l := h.log(t, testTopic())
	for range 5 {
		appendValues(t, l, 1, "cut")
	}
	upTo := l.Offsets().LogEnd
	_, err := l.TruncateTo(1)
	noError(t, err)
	appendValues(t, l, 1, "another record")
	found := l.Offsets().LogEnd
	disk.next(vfs.OpSync, logSuffix, func() error {
		appendValues(t, l, 1, "not synced yet")
		return nil
	})
	noError(t, l.flush(upTo, true))
	if p := l.RecoveryPoint(); p > found {
		t.Errorf("the recovery point is %d, but only records below %d are durable", p, found)
	}
}

// Names are synced because they are new, wherever the recovery point is.
func TestAFlushMakesTheNamesOfFilesDurable(t *testing.T) {
	for name, step := range map[string]struct {
		do   func(t *testing.T, l *Log)
		file string
	}{
		"of a log whose records were deleted before": {func(t *testing.T, l *Log) {
			noError(t, l.IncrementLogStart(2))
		}, segmentName(0, logSuffix)},
		"of a second segment in the same leader epoch": {func(t *testing.T, l *Log) {
			noError(t, l.Flush())
			noError(t, l.Roll())
			appendValues(t, l, 1, "in the second segment")
		}, segmentName(3, logSuffix)},
		"of the first aborted transaction in a segment that was flushed": {func(t *testing.T, l *Log) {
			const now = 1
			o := idempotent(9, 0, 0)
			o.Transactional = true
			_, err := l.AppendAsLeader(Append{Records: batch(t, o, values(now, "aborted")...)})
			noError(t, err)
			noError(t, l.Flush())
			set, err := record.EndTxnMarker(o, record.Abort, 0, now)
			noError(t, err)
			_, err = l.AppendAsLeader(Append{Records: set, Origin: record.FromCoordinator})
			noError(t, err)
		}, segmentName(0, txnIndexSuffix)},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			h := start(t, mem)
			l, err := h.GetOrCreate(partition0, metadata.TopicID{}, testTopic(), true)
			noError(t, err)
			appendValues(t, l, 1, "a", "b", "c")
			step.do(t, l)
			h.dirs[0].background.wait()
			noError(t, l.Flush())
			if size := sizeAfterPowerCut(mem, step.file); size <= 0 {
				t.Errorf("the recovery point is %d, but after a power failure the size of %s is %d", l.RecoveryPoint(), step.file, size)
			}
		})
	}
}

// Otherwise a power failure would bring back the truncated records and hide those flushed since.
func TestAFlushMakesTheRemovalOfTruncatedSegmentsDurable(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem)
	l := h.log(t, testTopic())
	for range 2 {
		appendValues(t, l, 1, "x", "y")
		noError(t, l.Roll())
	}
	noError(t, l.Flush())
	_, err := l.TruncateTo(0)
	noError(t, err)
	appendValues(t, l, 1, "z")
	noError(t, l.Flush())
	for _, base := range []record.Offset{2, 4} {
		if sizeAfterPowerCut(mem, segmentName(base, logSuffix)) >= 0 {
			t.Errorf("segment %d exists after a power failure", base)
		}
	}
}

// Bytes that a truncation cuts off the end of a segment do not come back after a flush, whether or
// not records were appended since.
func TestAFlushMakesACutDurable(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem)
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "x")
	size := sizeOnDisk(t, mem, segmentName(0, logSuffix))
	appendValues(t, l, 1, "y")
	noError(t, l.Flush())
	_, err := l.TruncateTo(1)
	noError(t, err)
	noError(t, l.Flush())
	wantEqual(t, "size after a power failure", sizeAfterPowerCut(mem, segmentName(0, logSuffix)), size)
}

// A killed process may have created files whose names were not yet durable.
func TestAFlushAfterAKillMakesFileNamesDurable(t *testing.T) {
	h := start(t, vfs.NewMem())
	appendValues(t, h.log(t, testTopic()), 1, "x")
	noError(t, h.log(t, testTopic()).Flush())
	h.eachDir((*logDir).checkpoint)
	next := h.crash(t)
	mem := next.config.FS.(*vfs.Mem)
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix} {
		noError(t, createEmpty(mem, segmentName(1, suffix)))
	}
	next.open(t)
	l := next.Log(partition0)
	appendValues(t, l, 1, "y")
	noError(t, l.Flush())
	if size := sizeAfterPowerCut(mem, segmentName(1, logSuffix)); size <= 0 {
		t.Errorf("the size of the segment is %d after a power failure", size)
	}
}

func sizeOnDisk(t *testing.T, fsys vfs.FS, name string) int64 {
	t.Helper()
	info, err := fsys.Stat(name)
	noError(t, err)
	return info.Size()
}

func TestTheSnapshotOfARollIsDurableAfterItsFlush(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem)
	l := h.log(t, testTopic())
	_, err := l.AppendAsLeader(Append{Records: batch(t, idempotent(9, 0, 0), values(1, "a")...)})
	noError(t, err)
	noError(t, l.Roll())
	waitUntil(t, "the roll is flushed", func() bool { return l.RecoveryPoint() == 1 })
	if size := sizeAfterPowerCut(mem, segmentName(1, snapshotSuffix)); size <= 0 {
		t.Errorf("the size of the snapshot is %d after a power failure", size)
	}
}

// A clean shutdown without a snapshot would mean that there were no producers.
func TestTheSnapshotOfACleanShutdownIsDurable(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem)
	l := h.log(t, testTopic())
	o := idempotent(9, 0, 0)
	o.Transactional = true
	_, err := l.AppendAsLeader(Append{Records: batch(t, o, values(h.clock.now().UnixMilli(), "a", "b")...)})
	noError(t, err)
	noError(t, l.Flush())
	noError(t, h.Close())
	next := start(t, mem.CrashClone(vfs.SyncedOnly, 1))
	l = next.Log(partition0)
	l.SetHighWatermark(2)
	wantEqual(t, "producers", len(l.Producers()), 1)
	wantEqual(t, "last stable offset", l.Offsets().LastStable, 0)
}

func TestACleanShutdownWaitsForAFlushInProgress(t *testing.T) {
	mem, disk := vfs.NewMem(), &duringSync{}
	h := start(t, disk.fs(mem))
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "a")
	size := l.Size()
	var stopped chan error
	disk.next(vfs.OpSync, logSuffix, func() error {
		stopped = unlessItWaits(h.Close)
		if clean := sizeAfterPowerCut(mem, "/data/"+cleanShutdownFile); clean >= 0 {
			t.Error("the directory is marked as cleanly shut down while a record is being synced")
		}
		return nil
	})
	_ = l.Flush() // an error if the shutdown came first
	noError(t, <-stopped)
	wantEqual(t, "bytes on disk", sizeAfterPowerCut(mem, segmentName(0, logSuffix)), size)
}

// Only a failure that a truncation or a move of the log's files explains is not one of the disk.
func TestFlushesFailOfOutdatedViewsOnlyAfterTheLogChanged(t *testing.T) {
	left, gone := &segment{}, &segment{}
	for _, c := range []struct {
		what               string
		failed             *segment
		err                error
		moves, truncations int64 // since the view was taken
		want               bool
	}{
		{"nothing changed", left, fs.ErrNotExist, 0, 0, false},
		{"moved", left, fs.ErrNotExist, 1, 0, true},
		{"truncated", left, errSegmentGone, 0, 1, true},
		{"both", nil, fs.ErrNotExist, 1, 1, true},
		{"a disk error after both", left, syscall.EIO, 1, 1, false},
		{"a disk error of a segment that left the log", gone, syscall.EIO, 0, 0, true},
	} {
		p := &positions{}
		p.v.segments = []*segment{left}
		v := p.load()
		p.v.moves += c.moves
		p.v.truncations += c.truncations
		wantEqual(t, c.what, v.outdated(c.failed, c.err), c.want)
	}
}
