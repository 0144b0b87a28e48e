package storage

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// threes appends n batches of three records each.
func threes(t *testing.T, l *Log, n int) {
	for i := 0; i < n; i++ {
		o := l.Offsets().LogEnd
		appendValues(t, l, int64(1000+o), fmt.Sprint("v", o), fmt.Sprint("v", o+1), fmt.Sprint("v", o+2))
	}
}

func TestTruncationCutsWholeBatchesAndLeavesAGap(t *testing.T) {
	l, h := newLog(t, testTopic())
	threes(t, l, 4)
	truncated, err := l.TruncateTo(7)
	noError(t, err)
	wantEqual(t, "truncated", truncated, true)
	wantEqual(t, "log end", l.Offsets().LogEnd, 7)
	wantEqual(t, "high watermark", l.Offsets().HighWatermark, 7)
	wantEqual(t, "records left", len(all(t, l, 0)), 6)
	info := appendValues(t, l, 1, "after")
	wantEqual(t, "next offset", info.FirstOffset, 7)
	if got := all(t, l, 0); got[len(got)-1] != "7=after" || got[5] != "5=v5" {
		t.Errorf("%v", got)
	}
	h.restart(t)
	wantEqual(t, "log end after a restart", h.Log(partition0).Offsets().LogEnd, 8)
}

func TestTruncationOverSegments(t *testing.T) {
	for _, tt := range []struct {
		to       record.Offset
		left     int
		segments int
	}{{36, 36, 4}, {35, 33, 4}, {30, 30, 4}, {29, 27, 3}, {9, 9, 1}, {1, 0, 1}, {0, 0, 1}} {
		l, h := newLog(t, testTopic())
		for range 3 {
			threes(t, l, 3)
			noError(t, l.Roll())
		}
		threes(t, l, 3)
		switch {
		case tt.to >= 30:
			tt.segments = 4
		case tt.to >= 27:
			tt.segments = 4
		}
		_, err := l.TruncateTo(tt.to)
		noError(t, err)
		wantEqual(t, fmt.Sprintf("records after a cut to %d", tt.to), len(all(t, l, 0)), tt.left)
		wantEqual(t, "log end", l.Offsets().LogEnd, tt.to)
		want := 1 + int(tt.to/9)
		wantEqual(t, fmt.Sprintf("segments after a cut to %d", tt.to), l.SegmentCount(), min(want, 4))
		info := appendValues(t, l, 1, "after")
		wantEqual(t, "next offset", info.FirstOffset, tt.to)
		h.restart(t)
		wantEqual(t, "records after a restart", len(all(t, h.Log(partition0), 0)), tt.left+1)
	}
}

func TestTruncationBelowTheFirstSegmentEmptiesTheLog(t *testing.T) {
	l, _ := newLog(t, testTopic())
	noError(t, l.TruncateFullyAndStartAt(100, -1))
	appendValues(t, l, 1, "a")
	_, err := l.TruncateTo(50)
	noError(t, err)
	wantEqual(t, "offsets", l.Offsets(), Offsets{50, 50, 50, 50})
	wantEqual(t, "next offset", appendValues(t, l, 1, "b").FirstOffset, 50)
	if got := all(t, l, 50); !slices.Equal(got, []string{"50=b"}) {
		t.Errorf("%v", got)
	}
}

// A follower may get a first batch that begins below the leader's log start (KAFKA-6975).
func TestTruncateFullyWithALaterLogStart(t *testing.T) {
	l, _ := newLog(t, testTopic())
	noError(t, l.TruncateFullyAndStartAt(10, 12))
	o := record.Defaults()
	o.BaseOffset, o.LeaderEpoch = 10, 1
	_, err := l.AppendAsFollower(batch(t, o, values(1, "a", "b", "c", "d")...), 1)
	noError(t, err)
	wantEqual(t, "log start", l.Offsets().LogStart, 12)
	wantEqual(t, "log end", l.Offsets().LogEnd, 14)
	if got := all(t, l, 12); !slices.Equal(got, []string{"12=c", "13=d"}) {
		t.Errorf("%v", got)
	}
}

func TestTruncationRevertsEpochsAndProducers(t *testing.T) {
	l, h := newLog(t, testTopic())
	now := h.clock.now().UnixMilli()
	for i, epoch := range []int32{1, 1, 4} {
		_, err := l.AppendAsLeader(Append{Records: batch(t, idempotent(9, 0, int32(i)), values(now, "a")...), LeaderEpoch: metadata.LeaderEpoch(epoch)})
		noError(t, err)
	}
	_, err := l.TruncateTo(2)
	noError(t, err)
	wantEqual(t, "epoch", l.LeaderEpoch(), 1)
	wantEqual(t, "last sequence", l.Producers()[0].LastSequence, 1)
	_, err = l.AppendAsLeader(Append{Records: batch(t, idempotent(9, 0, 2), values(now, "b")...), LeaderEpoch: 5})
	noError(t, err)
	noError(t, l.AssignEpochStart(7, 3))
	// An epoch without records is dropped even if no record is (KAFKA-10706).
	truncated, err := l.TruncateTo(3)
	noError(t, err)
	wantEqual(t, "truncated", truncated, false)
	wantEqual(t, "epoch", l.LeaderEpoch(), 5)
}

func TestTruncationLowersTheCheckpointedRecoveryPointAtOnce(t *testing.T) {
	l, h := newLog(t, testTopic())
	threes(t, l, 3)
	noError(t, l.Flush())
	h.dirs[0].checkpoints.writeRecoveryPoints()
	stored := func() record.Offset {
		offsets, err := readOffsetCheckpoint(h.config.FS, "/data/"+recoveryPointFile)
		noError(t, err)
		return offsets[partition0]
	}
	wantEqual(t, "checkpoint", stored(), 9)
	_, err := l.TruncateTo(3)
	noError(t, err)
	wantEqual(t, "recovery point", l.RecoveryPoint(), 3)
	wantEqual(t, "checkpoint after the truncation", stored(), 3)
}

// Records after a cut are not durable, even if the records before the cut were flushed.
func TestTruncationLowersHighWatermarkAndRecoveryPoint(t *testing.T) {
	for name, truncate := range map[string]func(l *Log) error{
		"within a segment":        func(l *Log) error { _, err := l.TruncateTo(12); return err },
		"below the first segment": func(l *Log) error { _, err := l.TruncateTo(4); return err },
		"fully":                   func(l *Log) error { return l.TruncateFullyAndStartAt(4, -1) },
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := newLog(t, testTopic())
			noError(t, l.TruncateFullyAndStartAt(10, -1))
			for range 5 {
				appendValues(t, l, 1, "x")
			}
			l.SetHighWatermark(15)
			noError(t, l.Flush())
			noError(t, truncate(l))
			end := l.Offsets().LogEnd
			wantEqual(t, "high watermark", l.Offsets().HighWatermark, end)
			for range 5 {
				appendValues(t, l, 1, "y")
			}
			if o := l.Offsets(); l.RecoveryPoint() > end {
				t.Errorf("recovery point %d, %+v after a truncation to %d", l.RecoveryPoint(), o, end)
			}
		})
	}
}

func TestPinnedBytesAreNeverOverwritten(t *testing.T) {
	for _, to := range []record.Offset{6, 0} {
		l, h := newLog(t, testTopic())
		threes(t, l, 4)
		before := readBytes(t, l, Read{Offset: 0, MaxBytes: 1 << 20})
		data, err := l.Read(Read{Offset: 0, MaxBytes: 1 << 20})
		noError(t, err)
		_, err = l.TruncateTo(to)
		noError(t, err)
		appendValues(t, l, 1, strings.Repeat("other bytes ", 100))
		b := make([]byte, data.Length)
		n, _ := data.File.ReadAt(b, data.Position)
		if string(b[:n]) != string(before[:n]) {
			t.Errorf("after a truncation to %d: pinned bytes changed", to)
		}
		data.Release()
		want := int(to) + 1
		wantEqual(t, "records", len(all(t, l, 0)), want)
		h.restart(t)
		wantEqual(t, "records after a restart", len(all(t, h.Log(partition0), 0)), want)
	}
}

// A view from before a truncation does not lead readers to the bytes that replaced those that were
// cut.
func TestAnEarlierViewPinsNothingAfterATruncation(t *testing.T) {
	l, _ := newLog(t, testTopic())
	threes(t, l, 4)
	before := l.positions.load()
	_, err := l.TruncateTo(6)
	noError(t, err)
	_, err = before.pin(before.active())
	wantError(t, err, errSegmentGone)
	wantEqual(t, "pinned", before.active().pinned(), false)
	now := l.positions.load()
	p, err := now.pin(now.active())
	noError(t, err)
	p.release()
}

// A transaction that ended below the high watermark does not hold back read_committed consumers
// again, not even on an idle partition.
func TestTheLastStableOffsetStaysAfterATruncation(t *testing.T) {
	l, h := newLog(t, testTopic())
	now := h.clock.now().UnixMilli()
	o := idempotent(4, 0, 0)
	o.Transactional = true
	_, err := l.AppendAsLeader(Append{Records: batch(t, o, values(now, "in a transaction")...)})
	noError(t, err)
	marker, err := record.EndTxnMarker(o, record.Commit, 0, now)
	noError(t, err)
	_, err = l.AppendAsLeader(Append{Records: marker, Origin: record.FromCoordinator})
	noError(t, err)
	appendValues(t, l, now, "plain")
	wantEqual(t, "last stable offset", l.Offsets().LastStable, 3)
	_, err = l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(now, "not replicated")...)})
	noError(t, err)
	_, err = l.TruncateTo(3)
	noError(t, err)
	wantEqual(t, "last stable offset after the truncation", l.Offsets().LastStable, 3)
	_, err = l.TruncateTo(2) // the marker is the last record
	noError(t, err)
	wantEqual(t, "last stable offset before the marker", l.Offsets().LastStable, 2)
	_, err = l.TruncateTo(1)
	noError(t, err)
	wantEqual(t, "last stable offset in the transaction", l.Offsets().LastStable, 0)
}

// A reader of the last segment keeps its bytes when the segment is truncated to nothing. The
// segments before it stay in the log.
func TestTruncatingAPinnedSegmentToNothingKeepsTheOthers(t *testing.T) {
	l, h := newLog(t, testTopic())
	for range 3 {
		fill(t, l, 2, 100, 1)
		noError(t, l.Roll())
	}
	fill(t, l, 2, 100, 1)
	before := all(t, l, 0)
	data, err := l.Read(Read{Offset: 6, MaxBytes: 1 << 20})
	noError(t, err)
	defer data.Release()
	held := make([]byte, data.Length)
	_, err = data.File.ReadAt(held, data.Position)
	noError(t, err)
	_, err = l.TruncateTo(6)
	noError(t, err)
	wantEqual(t, "segments", l.SegmentCount(), 4)
	appendValues(t, l, 1, "new")
	want := append(slices.Clone(before[:6]), "6=new")
	if got := all(t, l, 0); !slices.Equal(got, want) {
		t.Errorf("records %q, want %q", got, want)
	}
	again := make([]byte, len(held))
	_, err = data.File.ReadAt(again, data.Position)
	noError(t, err)
	if !bytes.Equal(again, held) {
		t.Error("the bytes of the reader changed")
	}
	h.restart(t)
	if got := all(t, h.Log(partition0), 0); !slices.Equal(got, want) {
		t.Errorf("records after a restart %q, want %q", got, want)
	}
}
