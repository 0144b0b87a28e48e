package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

// producedBy returns the options of a batch of a producer.
func producedBy(producer int64, transactional bool) record.Options {
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = producer, 0, 0, transactional
	return o
}

// abort appends the marker of an aborted transaction.
func abort(t testing.TB, l *Log, producer int64) {
	t.Helper()
	set, err := record.EndTxnMarker(producedBy(producer, true), record.Abort, 1, l.env.now())
	noError(t, err)
	_, err = l.AppendAsLeader(Append{Records: set, Origin: record.FromCoordinator})
	noError(t, err)
	l.SetHighWatermark(l.Offsets().LogEnd)
}

// compactedWithoutBackground is the configuration of a compacted log whose background work, such as
// syncing what a roll has left, is never done.
func compactedWithoutBackground(c *ManagerConfig) {
	c.Defaults = compactedTopic()
	c.Defaults.DeleteRetentionMs = 0
	c.Later = func(time.Duration, func()) {}
}

// A power failure takes the newest producer snapshot. An older one has an open transaction whose
// marker was cleaned away since, so no recovery may begin with it.
func TestNoRecoveryBeginsWithASnapshotBelowCleanedSegments(t *testing.T) {
	fsys := vfs.NewMem()
	h := start(t, fsys, compactedWithoutBackground)
	l := h.log(t, h.config.Defaults)
	putWith(t, l, producedBy(1, true), "k", "value")
	h.restart(t) // leaves a snapshot with the open transaction
	l = h.log(t, h.config.Defaults)
	abort(t, l, 1)
	putWith(t, l, producedBy(1, false), "k", "value") // the last batch of a producer would stay
	// The data goes, the marker gets its delete horizon, the marker goes.
	for range 4 {
		put(t, l, "k", "later")
		roll(t, l)
		h.clock.advance(time.Second)
		h.cleanAll(t)
	}
	eachBatch(t, l, func(b record.Batch) {
		if b.IsControl() && b.Count() > 0 {
			t.Fatalf("the marker at %d is still in the log", b.BaseOffset())
		}
	})
	l = start(t, fsys.CrashClone(vfs.SyncedOnly, 0), compactedWithoutBackground).Log(partition0)
	l.SetHighWatermark(l.Offsets().LogEnd)
	if at := l.Offsets(); at.LogEnd < 5 || at.LastStable != at.LogEnd {
		t.Errorf("after a power failure the log has %+v, producers %+v", at, l.Producers())
	}
}

// Without a snapshot after the cleaned segments, earlier ones are removed.
func TestSnapshotsBelowCleanedSegmentsAreRemovedIfNoLaterOneExists(t *testing.T) {
	l, _ := newLog(t, compactedTopic())
	for range 3 {
		put(t, l, "k", "value")
		roll(t, l)
	}
	l.dir.background.wait()
	noError(t, l.settleSnapshots(2))
	wantEqual(t, "with a snapshot at 2", fmt.Sprint(l.producers.snapshots), "[1 2 3]")
	noError(t, l.producers.removeSnapshot(2))
	noError(t, l.settleSnapshots(2))
	wantEqual(t, "without a snapshot at 2", fmt.Sprint(l.producers.snapshots), "[3]")
}

// A power failure must not take the marker because of which a cleaning has dropped data.
func TestTheMarkersThatACleaningObeysAreDurable(t *testing.T) {
	fsys := vfs.NewMem()
	h := start(t, fsys, compactedWithoutBackground)
	l := h.log(t, h.config.Defaults)
	putWith(t, l, producedBy(1, true), "k", "value")
	roll(t, l)
	abort(t, l, 1) // in the active segment, which is not cleaned
	h.cleanAll(t)
	l = start(t, fsys.CrashClone(vfs.SyncedOnly, 0), compactedWithoutBackground).Log(partition0)
	if at := l.Offsets(); at.LogEnd != 2 {
		t.Errorf("after a power failure the log has %+v; its data was aborted", at)
	}
}

// A cleaning keeps the last batch of a producer without records. It has the largest timestamp, but no
// record does, so none is found, as in Kafka. Lookups of smaller times find later segments.
func TestAnEmptiedBatchHasNoRecordToBeFoundByTime(t *testing.T) {
	l, h := newLog(t, compactedTopic())
	began := h.clock.now()
	h.clock.advance(time.Hour)
	putWith(t, l, producedBy(1, false), "k", "value")
	h.clock.set(began)
	put(t, l, "k", "later")
	roll(t, l)
	h.clock.advance(time.Minute)
	put(t, l, "last", "value")
	roll(t, l)
	h.cleanAll(t)
	wantEqual(t, "records", fmt.Sprint(offsetsOf(t, l)), "[1 2]")
	newest, err := l.OffsetOfMaxTimestamp()
	noError(t, err)
	wantEqual(t, "the largest timestamp", newest, notFound)
	found, err := l.OffsetForTime(began.Add(time.Second).UnixMilli())
	noError(t, err)
	wantEqual(t, "a lookup", found.Offset, 2)
}
