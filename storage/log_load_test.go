package storage

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// crash returns a host, not opened yet, on the files that a killed process leaves.
func (h *host) crash(t testing.TB) *host {
	t.Helper()
	h.env.schedule.close()
	h.dirs[0].background.wait()
	h.dirs[0].small.wait()
	mem := h.config.FS.(*vfs.Mem).CrashClone(vfs.Everything, 0)
	c := h.config
	c.FS = mem
	next := &host{config: c, clock: h.clock, lines: h.lines}
	return next
}

// segmentName returns the path of a file of the test's partition.
func segmentName(base record.Offset, suffix string) string {
	return "/data/t-0/" + offsetFileName(base, suffix)
}

func edit(t testing.TB, fsys vfs.FS, name string, change func([]byte) []byte) {
	t.Helper()
	b := change([]byte(fileContent(t, fsys, name)))
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	noError(t, err)
	_, err = f.WriteAt(b, 0)
	noError(t, err)
	noError(t, f.Close())
}

func TestRecoveryCutsDamageAndEverythingAfterIt(t *testing.T) {
	for name, tt := range map[string]struct {
		damage func(t *testing.T, fsys vfs.FS)
		left   record.Offset // log end
	}{
		"none": {func(*testing.T, vfs.FS) {}, 12},
		"torn tail": {func(t *testing.T, fsys vfs.FS) {
			edit(t, fsys, segmentName(8, logSuffix), func(b []byte) []byte { return b[:len(b)-7] })
		}, 11},
		"zeros after the end": {func(t *testing.T, fsys vfs.FS) {
			edit(t, fsys, segmentName(8, logSuffix), func(b []byte) []byte { return append(b, make([]byte, 4000)...) })
		}, 12},
		"flipped bit in the middle segment": {func(t *testing.T, fsys vfs.FS) {
			edit(t, fsys, segmentName(4, logSuffix), func(b []byte) []byte { b[len(b)-1] ^= 4; return b })
		}, 7},
		"missing indexes": {func(t *testing.T, fsys vfs.FS) {
			for _, s := range []string{indexSuffix, timeIndexSuffix} {
				noError(t, fsys.Remove(segmentName(4, s)))
			}
		}, 12},
		"garbage in an index": {func(t *testing.T, fsys vfs.FS) {
			edit(t, fsys, segmentName(0, indexSuffix), func(b []byte) []byte { return []byte("nonsense nonsens") })
		}, 12},
		"offsets going backwards": {func(t *testing.T, fsys vfs.FS) {
			edit(t, fsys, segmentName(8, logSuffix), func(b []byte) []byte {
				first := record.Batch(b).Size()
				return slices.Concat(b[first:], b[:first])
			})
		}, 8},
		"deleted, cleaned and foreign files": {func(t *testing.T, fsys vfs.FS) {
			for _, n := range []string{"00000000000000000000.log.deleted", "00000000000000000004.log.cleaned", "leader-epoch-checkpoint.tmp", "notes.txt"} {
				edit(t, withFile(t, fsys, "/data/t-0/"+n), "/data/t-0/"+n, func([]byte) []byte { return []byte("x") })
			}
		}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			c := testTopic()
			c.IndexIntervalBytes = 50
			l, h := newLog(t, c)
			for i := range 3 {
				fill(t, l, 4, 40, 1)
				if i < 2 {
					noError(t, l.Roll())
				}
			}
			// According to the checkpoint nothing was flushed.
			next := h.crash(t)
			tt.damage(t, next.config.FS)
			next.open(t)
			l = next.Log(partition0)
			wantEqual(t, "log end", l.Offsets().LogEnd, tt.left)
			got := all(t, l, 0)
			wantEqual(t, "records", record.Offset(len(got)), tt.left)
			info := appendValues(t, l, 1, "after")
			wantEqual(t, "next offset", info.FirstOffset, tt.left)
			next.restart(t)
			wantEqual(t, "log end after a clean restart", next.Log(partition0).Offsets().LogEnd, tt.left+1)
			if d := next.dirs[0]; !d.cleanAtStart {
				t.Error("the clean shutdown wrote no marker")
			}
		})
	}
}

func withFile(t *testing.T, fsys vfs.FS, name string) vfs.FS {
	noError(t, createEmpty(fsys, name))
	return fsys
}

func TestSegmentsBelowTheRecoveryPointAreNotRead(t *testing.T) {
	l, h := newLog(t, testTopic())
	fill(t, l, 4, 40, 1)
	noError(t, l.Roll())
	fill(t, l, 4, 40, 1)
	waitUntil(t, "the first segment is flushed", func() bool { return l.RecoveryPoint() == 4 })
	h.dirs[0].checkpoints.writeRecoveryPoints()
	next := h.crash(t)
	edit(t, next.config.FS, segmentName(0, logSuffix), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	next.open(t)
	wantEqual(t, "log end", next.Log(partition0).Offsets().LogEnd, 8)
	if strings.Contains(next.lines.String(), "Recovering unflushed segment 0.") || !strings.Contains(next.lines.String(), "Recovering unflushed segment 4. 0/1 recovered for t-0.") {
		t.Errorf("%s", next.lines)
	}
}

// All replicas may crash at once while a producer has five batches in flight, which it then sends
// again.
func TestAProducersLastBatchesAreRememberedAfterACrash(t *testing.T) {
	for name, rolledBefore := range map[string]int32{"in one segment": -1, "in two segments": 3} {
		t.Run(name, func(t *testing.T) {
			l, h := newLog(t, testTopic())
			send := func(l *Log, sequence int32) AppendInfo {
				info, err := l.AppendAsLeader(Append{Records: batch(t, idempotent(9, 0, sequence), values(h.clock.now().UnixMilli(), "a")...)})
				noError(t, err)
				return info
			}
			for i := range int32(6) {
				if i == rolledBefore {
					noError(t, l.Roll())
				}
				send(l, i)
			}
			next := h.crash(t)
			next.open(t)
			l = next.Log(partition0)
			for i := int32(1); i < 6; i++ {
				if info := send(l, i); !info.Duplicate || info.FirstOffset != record.Offset(i) {
					t.Errorf("batch %d, sent again: %+v", i, info)
				}
			}
			wantEqual(t, "next offset", send(l, 6).FirstOffset, 6)
			_, err := l.TruncateTo(5)
			noError(t, err)
			for i := int32(2); i < 5; i++ {
				if info := send(l, i); !info.Duplicate || info.FirstOffset != record.Offset(i) {
					t.Errorf("batch %d, sent again after a truncation: %+v", i, info)
				}
			}
			wantEqual(t, "next offset", send(l, 5).FirstOffset, 5)
		})
	}
}

func TestRecoveryFindsEpochsThatTheFileLacks(t *testing.T) {
	l, h := newLog(t, testTopic())
	for _, epoch := range []int32{0, 2, 2, 5} {
		_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "a")...), LeaderEpoch: metadata.LeaderEpoch(epoch)})
		noError(t, err)
	}
	next := h.crash(t)
	edit(t, next.config.FS, "/data/t-0/"+leaderEpochFile, func([]byte) []byte { return nil })
	next.open(t)
	wantEqual(t, "epochs", fmt.Sprint(next.Log(partition0).epochs.list()), "[{0 0} {2 1} {5 3}]")
}

// A crash between the renames of a compaction leaves the old segments and all of the .swap files.
func TestInterruptedSwapIsFinished(t *testing.T) {
	l, h := newLog(t, testTopic())
	for range 3 {
		fill(t, l, 4, 40, 1)
		noError(t, l.Roll())
	}
	next := h.crash(t)
	fsys := next.config.FS
	merged := fileContent(t, fsys, segmentName(0, logSuffix)) + fileContent(t, fsys, segmentName(4, logSuffix))
	swap := segmentName(0, logSuffix) + swapSuffix
	edit(t, withFile(t, fsys, swap), swap, func([]byte) []byte { return []byte(merged) })
	next.open(t)
	l = next.Log(partition0)
	wantEqual(t, "segments", l.SegmentCount(), 3)
	wantEqual(t, "records", len(all(t, l, 0)), 12)
}

func TestInterruptedSplitIsUndone(t *testing.T) {
	l, h := newLog(t, testTopic())
	fill(t, l, 4, 40, 1)
	next := h.crash(t)
	for _, name := range []string{segmentName(0, logSuffix) + cleanedSuffix, segmentName(2, logSuffix) + swapSuffix} {
		edit(t, withFile(t, next.config.FS, name), name, func([]byte) []byte { return []byte("half of it") })
	}
	next.open(t)
	l = next.Log(partition0)
	wantEqual(t, "segments", l.SegmentCount(), 1)
	wantEqual(t, "records", len(all(t, l, 0)), 4)
}

// Old brokers could merge more than 2^31 offsets into one file (KAFKA-6264).
func TestOverflowedSegmentsAreSplit(t *testing.T) {
	l, h := newLog(t, testTopic())
	fill(t, l, 2, 40, 1)
	next := h.crash(t)
	edit(t, next.config.FS, segmentName(0, logSuffix), func(b []byte) []byte {
		for _, base := range []record.Offset{1 << 31, 1<<31 + 5, 1 << 33} {
			o := record.Defaults()
			o.BaseOffset = base
			b = append(b, batch(t, o, values(1, "far")...)...)
		}
		return b
	})
	next.open(t)
	l = next.Log(partition0)
	wantEqual(t, "segments", l.SegmentCount(), 3)
	wantEqual(t, "log end", l.Offsets().LogEnd, 1<<33+1)
	wantEqual(t, "records", len(all(t, l, 0)), 5)
}

func TestADamagedCheckpointNumberMakesRecoveryCheckEverything(t *testing.T) {
	l, h := newLog(t, testTopic())
	fill(t, l, 4, 40, 1)
	noError(t, l.Flush())
	h.dirs[0].checkpoints.writeRecoveryPoints()
	next := h.crash(t)
	edit(t, next.config.FS, "/data/"+recoveryPointFile, func([]byte) []byte { return []byte("0\n1\nt 0 x\n") })
	next.open(t)
	wantEqual(t, "records", len(all(t, next.Log(partition0), 0)), 4)
}

// Wherever the machine stops, everything below the checkpointed recovery point survives, no served
// record is damaged, and offsets have no gap.
func TestACrashAnywhereLosesNothingDurable(t *testing.T) {
	c := testTopic()
	c.SegmentBytes, c.IndexIntervalBytes, c.FileDeleteDelayMs = 600, 100, 0
	run := func(h *host) {
		l, err := h.GetOrCreate(partition0, [16]byte{1}, c, true)
		if err != nil {
			return
		}
		for i := range 12 {
			set := batch(t, idempotent(9, 0, int32(i)), values(h.clock.now().UnixMilli(), fmt.Sprint("value ", i, strings.Repeat(".", 100)))...)
			if _, err := l.AppendAsLeader(Append{Records: set}); err != nil {
				return
			}
			l.SetHighWatermark(l.Offsets().LogEnd)
			if i == 5 {
				if l.Flush() != nil {
					return
				}
				h.dirs[0].checkpoints.writeRecoveryPoints()
			}
		}
		if l.IncrementLogStart(4) != nil {
			return
		}
		l.DeleteOldSegments()
		l.TruncateTo(10)
		h.Close()
	}
	for n, done := 1, false; !done; n += 1 + n/40 {
		mem := vfs.NewMem()
		var seen atomic.Int64
		fsys := vfs.Intercept(mem, func(op vfs.Op) error {
			if op.Kind.Changes() {
				seen.Add(1)
			}
			if seen.Load() >= int64(n) {
				return os.ErrDeadlineExceeded
			}
			return nil
		})
		config, clock, lines := testConfig(fsys, "/data")
		config.Defaults = c
		m, err := NewManager(config)
		if err == nil && m.Load(t.Context()) == nil {
			run(&host{Manager: m, config: config, clock: clock, lines: lines})
		}
		if m != nil {
			m.env.schedule.close()
			m.dirs[0].background.wait()
		}
		done = seen.Load() < int64(n)
		for _, s := range []struct {
			survival vfs.Survival
			seeds    uint64
		}{{vfs.SyncedOnly, 1}, {vfs.Everything, 1}, {vfs.Random, 3}} {
			for seed := range s.seeds {
				lookAfterCrash(t, fmt.Sprintf("operation %d, survival %d, seed %d", n, s.survival, seed), mem.CrashClone(s.survival, seed), c, done)
			}
		}
		if t.Failed() {
			return
		}
	}
}
