package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// follow appends a batch in a leader's epoch, as a follower does.
func follow(t testing.TB, l *Log, epoch int32, vs ...string) {
	t.Helper()
	base := l.Offsets().LogEnd
	b := record.Batch(batch(t, record.Defaults(), values(1, vs...)...))
	b.SetLastOffset(base + record.Offset(len(vs)) - 1)
	b.SetPartitionLeaderEpoch(metadata.LeaderEpoch(epoch))
	_, err := l.AppendAsFollower(b, metadata.LeaderEpoch(epoch))
	noError(t, err)
}

// fives fills n segments with five records each.
func fives(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		if i > 0 {
			noError(t, l.Roll())
		}
		for range 5 {
			appendValues(t, l, 1, fmt.Sprint(l.Offsets().LogEnd))
		}
	}
}

// A leader that trusted the file would not see that a follower has other records (KIP-101,
// KIP-279).
func TestRecoveryTakesLeaderEpochsFromTheBatches(t *testing.T) {
	h := start(t, vfs.NewMem())
	l := h.log(t, testTopic())
	follow(t, l, 3, "a", "b", "c", "d", "e")
	follow(t, l, 5, "cut", "cut", "cut", "cut", "cut")
	noError(t, l.epochs.flush())
	h.dirs[0].small.run(func() { <-t.Context().Done() }) // keeps the file from being written again
	stale := fileContent(t, h.config.FS, "/data/t-0/"+leaderEpochFile)
	_, err := l.TruncateTo(5)
	noError(t, err)
	follow(t, l, 4, "f", "g", "h", "i", "j")
	follow(t, l, 6, "k")
	image := h.config.FS.(*vfs.Mem).CrashClone(vfs.Everything, 0)
	edit(t, image, "/data/t-0/"+leaderEpochFile, func([]byte) []byte { return []byte(stale) })
	l = start(t, image).Log(partition0)
	wantEqual(t, "epochs", fmt.Sprint(l.epochs.list()), fmt.Sprint([]epochEntry{{3, 0}, {4, 5}, {6, 10}}))
	epoch, end := l.EndOffsetForEpoch(5)
	wantEqual(t, "epoch at or below 5", epoch, 4)
	wantEqual(t, "its end", end, 10)
}

// The segment that holds the recovery point is read from its base on. If its records are copied from a
// compacted log, the batches show neither where an epoch began nor the epochs without batches.
func TestRecoveryKeepsLeaderEpochsBelowTheRecoveryPoint(t *testing.T) {
	h := start(t, vfs.NewMem())
	l := h.log(t, testTopic())
	compactedEpochs(t, l)
	noError(t, l.Flush())
	h.eachDir((*logDir).checkpoint)
	follow(t, l, 6, "lost the start of its epoch")
	next := h.crash(t)
	next.open(t)
	wantEqual(t, "epochs", fmt.Sprint(next.Log(partition0).epochs.list()), fmt.Sprint(append(compactedEntries, epochEntry{6, 12})))
}

// compactedEntries are the leader epochs of a log by compactedEpochs.
var compactedEntries = []epochEntry{{3, 0}, {4, 5}, {5, 7}}

// compactedEpochs fills a log up to offset 12. It lacks all batches of epoch 4 and the first ones of
// epoch 5, as after compaction.
func compactedEpochs(t testing.TB, l *Log) {
	t.Helper()
	follow(t, l, 3, "a", "b", "c", "d", "e")
	noError(t, l.AssignEpochStart(4, 5))
	noError(t, l.AssignEpochStart(5, 7))
	b := record.Batch(batch(t, record.Defaults(), values(1, "k", "l")...))
	b.SetLastOffset(11)
	b.SetPartitionLeaderEpoch(5)
	_, err := l.AppendAsFollower(b, 5)
	noError(t, err)
}

// Kafka does not check below the recovery point either. The other logs of the directory, and the
// records around the damage, are served.
func TestDamageBelowTheRecoveryPointIsLeftToReaders(t *testing.T) {
	h := start(t, vfs.NewMem())
	l := h.log(t, testTopic())
	for range 3 {
		appendValues(t, l, 1, "x")
	}
	size := l.Size() / 3
	noError(t, l.Roll())
	appendValues(t, l, 9, "y")
	noError(t, l.Flush())
	h.eachDir((*logDir).checkpoint)
	next := h.crash(t)
	edit(t, next.config.FS, segmentName(0, logSuffix), func(b []byte) []byte {
		copy(b[2*size+8:], []byte{0, 0, 0, 1}) // the size of the third batch
		return b
	})
	next.open(t)
	l = next.Log(partition0)
	if l == nil {
		t.Fatalf("the log is not loaded\n%s", h.lines)
	}
	wantEqual(t, "log end", l.Offsets().LogEnd, 4)
	wantEqual(t, "after the damage", fmt.Sprint(all(t, l, 3)), "[3=y]")
	if got := l.Size(); got <= 3*size {
		t.Errorf("the log has %d bytes, want more than before", got)
	}
}

// A start takes the log end from the batches after the last index entry. If that entry is damaged,
// the log must not end early, or new records would get the offsets of existing ones. A damaged entry
// of an older segment costs no more than the reads that need it.
func TestADamagedIndexEntryDoesNotShortenTheLog(t *testing.T) {
	for name, position := range map[string]uint32{"beyond the end": 1 << 20, "within a batch": 7, "negative": 1 << 31} {
		for _, rolled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, rolled=%v", name, rolled), func(t *testing.T) {
				h := start(t, vfs.NewMem())
				c := testTopic()
				c.IndexIntervalBytes = 1
				l := h.log(t, c)
				for range 3 {
					appendValues(t, l, 1, "x")
				}
				if rolled {
					noError(t, l.Roll())
					appendValues(t, l, 1, "x")
				}
				noError(t, h.Close())
				edit(t, h.config.FS, segmentName(0, indexSuffix), func(b []byte) []byte {
					binary.BigEndian.PutUint32(b[len(b)-4:], position)
					return b
				})
				h.open(t)
				if l = h.Log(partition0); l == nil {
					t.Fatalf("the log is not loaded\n%s", h.lines)
				}
				if !rolled {
					wantEqual(t, "log end", l.Offsets().LogEnd, 3)
					wantEqual(t, "records", fmt.Sprint(all(t, l, 0)), "[0=x 1=x 2=x]")
					return
				}
				wantEqual(t, "log end", l.Offsets().LogEnd, 4)
				data, err := l.Read(Read{Offset: 2, MaxBytes: 1000})
				if err != nil && !errors.Is(err, protocol.CorruptMessage) {
					t.Errorf("read: %v", err)
				}
				data.Release()
				wantEqual(t, "online directories", len(h.dirs.online()), 1)
				wantEqual(t, "later records", fmt.Sprint(all(t, l, 3)), "[3=x]")
			})
		}
	}
}

func TestATruncationOverDamageIsCompleted(t *testing.T) {
	l, h := newLog(t, testTopic())
	for range 3 {
		appendValues(t, l, 1, "x")
	}
	size := l.Size() / 3
	noError(t, l.Roll())
	appendValues(t, l, 9, "y", "z")
	noError(t, l.Flush())
	edit(t, h.config.FS, segmentName(0, logSuffix), func(b []byte) []byte {
		copy(b[2*size+8:], []byte{0, 0, 0, 1})
		return b
	})
	_, err := l.TruncateTo(3)
	noError(t, err)
	appendValues(t, l, 9, "another")
	wantEqual(t, "log end", l.Offsets().LogEnd, 4)
}

// A power failure may keep the name of a segment, but not the cut of the one before it.
func TestTheFirstOfTwoOverlappingSegmentsIsKept(t *testing.T) {
	for name, checkpointed := range map[string]bool{"the recovery point is lost": false, "the recovery point is after the first": true} {
		t.Run(name, func(t *testing.T) {
			h := start(t, vfs.NewMem())
			l := h.log(t, testTopic())
			fives(t, l, 2)
			noError(t, l.Flush())
			if checkpointed {
				h.eachDir((*logDir).checkpoint)
			}
			next := h.crash(t)
			for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix} {
				noError(t, createEmpty(next.config.FS, segmentName(8, suffix)))
			}
			next.open(t)
			wantEqual(t, "log end", next.Log(partition0).Offsets().LogEnd, 10)
		})
	}
}

// All segments after damage are deleted, even if no offset is missing between them, with Kafka's
// log line.
func TestSegmentsAfterDamageAreDeleted(t *testing.T) {
	h := start(t, vfs.NewMem())
	fives(t, h.log(t, testTopic()), 2)
	next := h.crash(t)
	edit(t, next.config.FS, segmentName(0, logSuffix), func(b []byte) []byte { return append(b, "incomplete batch"...) })
	next.open(t)
	wantEqual(t, "log end", next.Log(partition0).Offsets().LogEnd, 5)
	if line := "Corruption found in segment 0, truncating to offset 5"; !strings.Contains(next.lines.String(), line) {
		t.Errorf("no line %q in\n%s", line, next.lines)
	}
}

// The newest segments are removed first, and the recovery point is lowered before that.
func TestATruncationInterruptedByACrashLeavesNoGap(t *testing.T) {
	mem := vfs.NewMem()
	var images []*vfs.Mem
	watching := false
	h := start(t, vfs.Intercept(mem, func(op vfs.Op) error {
		if watching && op.Kind.Changes() {
			images = append(images, mem.CrashClone(vfs.Everything, 0), mem.CrashClone(vfs.SyncedOnly, 0))
		}
		return nil
	}))
	l := h.log(t, testTopic())
	fives(t, l, 4)
	h.dirs[0].background.wait()
	noError(t, l.Flush())
	h.eachDir((*logDir).checkpoint)
	watching = true
	_, err := l.TruncateTo(3)
	watching = false
	noError(t, err)
	for i, image := range images {
		l := start(t, image).Log(partition0)
		o := l.Offsets()
		if got := all(t, l, 0); record.Offset(len(got)) != o.LogEnd || o.LogEnd < 3 {
			t.Errorf("image %d: %d records in %+v", i, len(got), o)
		}
	}
}

// If the recovery point is lost, all segments are recovered, including those that were compacted
// before the topic's policy was changed.
func TestGapsOfACompactedLogSurviveADamagedCheckpoint(t *testing.T) {
	h := start(t, vfs.NewMem())
	l := h.log(t, testTopic())
	fives(t, l, 3)
	h.dirs[0].background.wait()
	noError(t, l.Flush())
	h.eachDir((*logDir).checkpoint)
	next := h.crash(t)
	for _, suffix := range segmentSuffixes[:3] { // as if all its records had been compacted away
		noError(t, next.config.FS.Remove(segmentName(5, suffix)))
	}
	edit(t, next.config.FS, "/data/"+recoveryPointFile, func([]byte) []byte { return []byte("0\n1\nt 0 x\n") })
	next.open(t)
	l = next.Log(partition0)
	wantEqual(t, "log end", l.Offsets().LogEnd, 15)
	wantEqual(t, "records", len(all(t, l, 0)), 10)
}

// A snapshot of offsets that were truncated may be back after a power failure.
func TestRecoveryRewritesSnapshotsAboveTheRecoveryPoint(t *testing.T) {
	h := start(t, vfs.NewMem())
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "a")
	_, err := l.AppendAsLeader(Append{Records: batch(t, idempotent(9, 0, 0), values(h.clock.now().UnixMilli(), "b")...)})
	noError(t, err)
	noError(t, l.Roll())
	appendValues(t, l, 1, "c")
	next := h.crash(t)
	stale := producerEntry{producerID: 77, epoch: 1, coordinatorEpoch: -1, lastTimestamp: h.clock.now().UnixMilli(), txnFirstOffset: 0}
	edit(t, next.config.FS, segmentName(2, snapshotSuffix), func([]byte) []byte {
		return encodeSnapshot(map[int64]*producerEntry{77: &stale})
	})
	next.open(t)
	l = next.Log(partition0)
	producers := l.Producers()
	if len(producers) != 1 || producers[0].ProducerID != 9 {
		t.Errorf("producers %+v", producers)
	}
	l.SetHighWatermark(3)
	wantEqual(t, "last stable offset", l.Offsets().LastStable, 3)
}

// DeleteRecords makes nothing durable: if a power failure undoes it, torn segments must be
// recovered.
func TestTheLogStartDoesNotRaiseTheRecoveryPoint(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem)
	l := h.log(t, testTopic())
	fives(t, l, 1)
	noError(t, l.IncrementLogStart(5))
	wantEqual(t, "recovery point", l.RecoveryPoint(), 0)
	noError(t, l.names.settle(func() error { return mem.SyncDir("/data/t-0") }))
	noError(t, mem.SyncDir("/data"))
	h.eachDir(func(d *logDir) { d.checkpoints.writeRecoveryPoints() })
	for seed := range uint64(30) {
		l := start(t, mem.CrashClone(vfs.Random, seed)).Log(partition0)
		if got := record.Offset(len(all(t, l, 0))); got != l.Offsets().LogEnd {
			t.Errorf("seed %d: %d records in %+v", seed, got, l.Offsets())
		}
	}
}

// With an empty index every later lookup by time would end in the segment, as it does in Kafka.
func TestALostTimeIndexIsRebuilt(t *testing.T) {
	for name, restart := range map[string]func(t *testing.T, h *host) *host{
		"after a clean shutdown": func(t *testing.T, h *host) *host {
			noError(t, h.Close())
			return h
		},
		"after a crash": func(t *testing.T, h *host) *host { return h.crash(t) },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, vfs.NewMem())
			l := h.log(t, testTopic())
			for i := range int64(4) {
				appendValues(t, l, 1000+i, "x")
				if i == 1 {
					noError(t, l.Roll())
				}
			}
			noError(t, l.Flush())
			h.eachDir((*logDir).checkpoint)
			next := restart(t, h)
			noError(t, next.config.FS.Remove(segmentName(0, timeIndexSuffix)))
			next.open(t)
			for i := range record.Offset(4) {
				found, err := next.Log(partition0).OffsetForTime(int64(1000 + i))
				noError(t, err)
				wantEqual(t, fmt.Sprint("offset for ", 1000+i), found.Offset, i)
			}
		})
	}
}

// If an empty segment were removed and the power failed before the next one's name is durable, the
// log's end would be lost.
func TestARollOfAnEmptySegmentChangesNoFile(t *testing.T) {
	mem := vfs.NewMem()
	h := start(t, mem, func(c *ManagerConfig) { c.Later = func(time.Duration, func()) {} })
	l := h.log(t, testTopic())
	noError(t, l.TruncateFullyAndStartAt(40, -1))
	noError(t, l.Flush())
	noError(t, l.Roll())
	for seed := range uint64(10) {
		wantEqual(t, "log end", start(t, mem.CrashClone(vfs.Random, seed)).Log(partition0).Offsets().LogEnd, 40)
	}
}

// A killed process leaves records that only the page cache holds. The first flush after the recovery
// must make them durable, although nothing was appended since.
func TestRecoveredRecordsAreSyncedByTheNextFlush(t *testing.T) {
	h := start(t, vfs.NewMem())
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "a")
	noError(t, l.Flush())
	h.eachDir((*logDir).checkpoint)
	appendValues(t, l, 1, "b")
	next := h.crash(t)
	next.open(t)
	l = next.Log(partition0)
	wantEqual(t, "log end", l.Offsets().LogEnd, 2)
	noError(t, l.Flush())
	next.eachDir((*logDir).checkpoint)
	image := next.config.FS.(*vfs.Mem).CrashClone(vfs.SyncedOnly, 0)
	wantEqual(t, "records", fmt.Sprint(all(t, start(t, image).Log(partition0), 0)), "[0=a 1=b]")
}

// A cut made by recovery may be undone by a power failure, so the next recovery must begin there
// too.
func TestACutByRecoveryIsRepeatedAfterAPowerFailure(t *testing.T) {
	h := start(t, vfs.NewMem())
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "a")
	noError(t, l.Flush())
	h.eachDir((*logDir).checkpoint)
	next := h.crash(t)
	edit(t, next.config.FS, segmentName(0, logSuffix), func(b []byte) []byte {
		damaged := bytes.Clone(b)
		damaged[7], damaged[len(b)-1] = 1, ^b[len(b)-1] // at offset 1, with another checksum
		return append(b, damaged...)
	})
	f, err := next.config.FS.OpenFile(segmentName(0, logSuffix), os.O_RDWR, 0)
	noError(t, err)
	noError(t, f.Sync())
	noError(t, f.Close())
	next.open(t)
	l = next.Log(partition0)
	noError(t, l.Roll())
	noError(t, next.config.FS.SyncDir("/data/t-0"))
	next.eachDir((*logDir).checkpoint)
	image := next.config.FS.(*vfs.Mem).CrashClone(vfs.SyncedOnly, 0)
	l = start(t, image).Log(partition0)
	wantEqual(t, "records", fmt.Sprint(all(t, l, 0)), "[0=a]")
	for _, s := range l.positions.v.segments {
		next, err := s.nextOffset()
		noError(t, err)
		wantEqual(t, filepath.Base(s.log.name())+" ends at", next, 1)
	}
}

// The positions of the last batches are kept in memory only for segments that are appended to, not
// for the many that a start has checked.
func TestRecoveryKeepsNoBatchPositionsInMemory(t *testing.T) {
	h := start(t, vfs.NewMem())
	fives(t, h.log(t, testTopic()), 3)
	next := h.crash(t)
	next.open(t)
	l := next.Log(partition0)
	wantEqual(t, "records", len(all(t, l, 0)), 15)
	for _, s := range l.positions.load().segments {
		if s.tail.batches != nil {
			t.Errorf("%s keeps %d batches in memory", s.log.name(), len(s.tail.batches))
		}
	}
}

// Segment files were deleted by hand: the remaining ones end below the log start.
func TestALogThatEndsBelowItsLogStartBecomesEmpty(t *testing.T) {
	l, h := newLog(t, testTopic())
	appendValues(t, l, 1, "a", "b")
	noError(t, h.Close())
	noError(t, writeOffsetCheckpoint(h.config.FS, "/data/"+logStartFile, map[TopicPartition]record.Offset{partition0: 5}))
	h.open(t)
	l = h.Log(partition0)
	wantEqual(t, "offsets", l.Offsets(), Offsets{LogStart: 5, HighWatermark: 5, LastStable: 5, LogEnd: 5})
	appendValues(t, l, 1, "c")
	wantEqual(t, "records", len(all(t, l, 5)), 1)
}
