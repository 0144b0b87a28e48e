package storage

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// These are faults that Kafka's logs once had.

// Retention while the high watermark lags deletes nothing above it, so the log start never passes
// it (KAFKA-5634).
func TestPitfallReplication08_RetentionStopsAtTheHighWatermark(t *testing.T) {
	l, h := newLog(t, testTopic())
	h.clock.set(time.UnixMilli(1 << 40))
	for i := range 4 {
		if i > 0 {
			noError(t, l.Roll())
		}
		_, err := l.AppendAsFollower(at(t, record.Offset(2*i), "a", "b"), 0)
		noError(t, err)
	}
	c := testTopic()
	c.RetentionMs, c.RetentionBytes = 1, 1
	l.SetConfig(c)
	for _, step := range []struct{ high, start record.Offset }{{0, 0}, {3, 2}, {5, 4}, {8, 8}} {
		l.SetHighWatermark(step.high)
		_, err := l.DeleteOldSegments()
		noError(t, err)
		if o := l.Offsets(); o.LogStart != step.start || o.LogStart > o.HighWatermark {
			t.Errorf("with the high watermark at %d: %+v, want the log start at %d", step.high, o, step.start)
		}
	}
}

// at returns a batch of the leader with its final offsets.
func at(t *testing.T, base record.Offset, vs ...string) []byte {
	t.Helper()
	b := record.Batch(batch(t, record.Defaults(), values(1, vs...)...))
	b.SetLastOffset(base + record.Offset(len(vs)) - 1)
	b.SetPartitionLeaderEpoch(0)
	return b
}

// A read_committed reader that runs concurrently with appends, markers and an advancing high
// watermark never gets a byte above the last stable offset of that moment (KAFKA-9807, KAFKA-9835).
func TestPitfallReplication10_NoReadGoesAboveTheLastStableOffset(t *testing.T) {
	l, _ := newLog(t, testTopic())
	var wg sync.WaitGroup
	done := make(chan struct{})
	for _, bound := range []Bound{UpToLastStable, UpToHighWatermark} {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				before := l.Offsets()
				data, err := l.Read(Read{Offset: before.LogStart, MaxBytes: 1 << 20, MinOneMessage: true, Bound: bound})
				if err != nil {
					t.Error(err)
					return
				}
				set := make([]byte, data.Length)
				if data.Length > 0 {
					if _, err := data.File.ReadAt(set, data.Position); err != nil {
						t.Error(err)
					}
				}
				limit := data.Offsets.Bound(bound)
				data.Release()
				for len(set) > 0 {
					b, rest, err := record.Next(set)
					if err != nil || b == nil {
						break
					}
					if b.LastOffset() >= limit {
						t.Errorf("read offset %d, want only offsets below %d", b.LastOffset(), limit)
						return
					}
					set = rest
				}
			}
		})
	}
	for i := range int32(300) {
		o := idempotent(int64(i%3), 0, i/3)
		o.Transactional = true
		_, err := l.AppendAsLeader(Append{Records: batch(t, o, values(1, "v")...)})
		noError(t, err)
		l.SetHighWatermark(l.Offsets().LogEnd - 1)
		if i%2 == 0 {
			marker, err := record.EndTxnMarker(o, record.Commit, 0, 1)
			noError(t, err)
			_, err = l.AppendAsLeader(Append{Records: marker, Origin: record.FromCoordinator})
			noError(t, err)
			l.SetHighWatermark(l.Offsets().LogEnd)
		}
	}
	close(done)
	wg.Wait()
}

// A partition is deleted while its log is being flushed repeatedly. The directory is renamed during
// a flush, which is not a disk failure (KAFKA-15391).
func TestPitfallReplication22_ADeletionDuringAFlushIsNotADiskFailure(t *testing.T) {
	for range 20 {
		l, h := newLog(t, testTopic())
		var wg sync.WaitGroup
		started := make(chan struct{})
		wg.Go(func() {
			close(started)
			for i := range 50 {
				if _, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, fmt.Sprint(i))...)}); err != nil {
					return // the log has been deleted
				}
				_ = l.Flush()
			}
		})
		<-started
		noError(t, h.Delete(partition0, false))
		wg.Wait()
		for _, d := range h.Dirs() {
			if !d.Online {
				t.Fatalf("the directory %s went offline", d.Path)
			}
		}
		noError(t, h.Close())
	}
}

// A producer is remembered after retention has removed all its records (KAFKA-7190), even after a
// restart, and a marker counts as activity (KAFKA-9144).
func TestPitfallReplication24_ProducersOutliveTheirRecords(t *testing.T) {
	l, h := newLog(t, testTopic())
	now := h.clock.now().UnixMilli()
	o := idempotent(4, 0, 0)
	o.Transactional = true
	_, err := l.AppendAsLeader(Append{Records: batch(t, o, values(now, "a", "b")...)})
	noError(t, err)
	marker, err := record.EndTxnMarker(o, record.Commit, 0, now+1000)
	noError(t, err)
	_, err = l.AppendAsLeader(Append{Records: marker, Origin: record.FromCoordinator})
	noError(t, err)
	l.SetHighWatermark(3)
	noError(t, l.Roll())
	noError(t, l.IncrementLogStart(3))
	_, err = l.DeleteOldSegments()
	noError(t, err)
	look := func(l *Log, when string) {
		t.Helper()
		got := l.Producers()
		if len(got) != 1 || got[0].LastSequence != 1 || got[0].LastTimestamp != now+1000 {
			t.Errorf("%s: %+v", when, got)
		}
	}
	look(l, "after the deletion")
	appendValues(t, l, now, "of another client")
	h.restart(t)
	l = h.Log(partition0)
	look(l, "after a restart")
	next := idempotent(4, 0, 5)
	_, err = l.AppendAsLeader(Append{Records: batch(t, next, values(now, "gap")...)})
	wantEqual(t, "a gap in the sequence", protocol.CodeOf(err), protocol.OutOfOrderSequenceNumber)
}

// Loading keeps the snapshots of the segments, and does not read the whole log to rebuild the
// producer state (KAFKA-12520).
func TestPitfallReplication26_LoadingKeepsTheProducerSnapshots(t *testing.T) {
	l, h := newLog(t, testTopic())
	for i := range int32(4) {
		if i > 0 {
			noError(t, l.Roll())
		}
		_, err := l.AppendAsLeader(Append{Records: batch(t, idempotent(4, 0, i), values(h.clock.now().UnixMilli(), "v")...)})
		noError(t, err)
	}
	l.SetHighWatermark(4)
	snapshots := func() (found []string) {
		entries, err := h.config.FS.ReadDir("/data/t-0")
		noError(t, err)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".snapshot") {
				found = append(found, e.Name())
			}
		}
		return found
	}
	noError(t, h.Close())
	before := snapshots()
	h.open(t)
	if after := snapshots(); len(before) < 3 || !slices.Equal(before, after) {
		t.Errorf("snapshots before %v, after %v", before, after)
	}
	got := h.Log(partition0).Producers()
	if len(got) != 1 || got[0].LastSequence != 3 {
		t.Errorf("producers %+v", got)
	}
}

// The active segment is empty and has lost its index files: the log still loads after a clean
// shutdown and accepts appends (KAFKA-13603).
func TestPitfallReplication27_AnEmptyActiveSegmentWithoutIndexesLoads(t *testing.T) {
	l, h := newLog(t, testTopic())
	fill(t, l, 3, 20, 1)
	noError(t, l.Roll())
	noError(t, h.Close())
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		if err := h.config.FS.Remove(segmentName(3, suffix)); err != nil && !strings.Contains(err.Error(), "not exist") {
			t.Fatal(err)
		}
	}
	h.open(t)
	l = h.Log(partition0)
	wantEqual(t, "log end", l.Offsets().LogEnd, 3)
	wantEqual(t, "next offset", appendValues(t, l, 5, "next").FirstOffset, 3)
	h.restart(t)
	wantEqual(t, "records", len(all(t, h.Log(partition0), 0)), 4)
}

// If offsets go backwards at the end of a log after a crash, recovery cuts the log there and the
// start succeeds (KAFKA-3919). A truncation that leaves a segment empty does not make the next
// start fail (KAFKA-6492).
func TestPitfallReplication29_OffsetsThatGoBackwardsAreCut(t *testing.T) {
	c := testTopic()
	c.IndexIntervalBytes = 50 // as in Kafka, the fault is detected where an index entry is due
	l, h := newLog(t, c)
	fill(t, l, 4, 40, 1)
	noError(t, l.Roll())
	fill(t, l, 3, 40, 1)
	next := h.crash(t)
	edit(t, next.config.FS, segmentName(4, logSuffix), func(b []byte) []byte {
		first := record.Batch(b).Size()
		return slices.Concat(b[first:], b[:first])
	})
	next.open(t)
	l = next.Log(partition0)
	wantEqual(t, "log end", l.Offsets().LogEnd, 4)
	fill(t, l, 2, 40, 1)
	_, err := l.TruncateTo(4)
	noError(t, err)
	next.restart(t)
	l = next.Log(partition0)
	wantEqual(t, "log end after the truncation", l.Offsets().LogEnd, 4)
	wantEqual(t, "next offset", appendValues(t, l, 5, "next").FirstOffset, 4)
}
