package storage

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

func TestAppendAssignsOffsetsAndEpochInPlaceAndServesTheSameBytes(t *testing.T) {
	l, _ := newLog(t, testTopic())
	set := batch(t, record.Defaults(), values(5, "a", "b", "c")...)
	appendValues(t, l, 1, "first")
	info, err := l.AppendAsLeader(Append{Records: set, LeaderEpoch: 7})
	noError(t, err)
	wantEqual(t, "first offset", info.FirstOffset, 1)
	wantEqual(t, "last offset", info.LastOffset, 3)
	wantEqual(t, "max timestamp", info.MaxTimestamp, 5)
	wantEqual(t, "records", info.Records, 3)
	wantEqual(t, "leader epoch", l.LeaderEpoch(), 7)
	got := readBytes(t, l, Read{Offset: 1, MaxBytes: 1000})
	if !bytes.Equal(got, set) {
		t.Error("the bytes served differ from those appended")
	}
	wantEqual(t, "stamped epoch", record.Batch(got).PartitionLeaderEpoch(), 7)
	if err := record.Batch(got).Validate(); err != nil {
		t.Error(err)
	}
}

func TestInvalidAppendsAreRejected(t *testing.T) {
	c := testTopic()
	c.MaxMessageBytes, c.SegmentBytes = 400, 300
	l, _ := newLog(t, c)
	large := batch(t, record.Defaults(), values(1, strings.Repeat("x", 500))...)
	middle := batch(t, record.Defaults(), values(1, strings.Repeat("x", 280))...)
	broken := batch(t, record.Defaults(), values(1, "x")...)
	broken[len(broken)-1] ^= 1
	for name, tt := range map[string]struct {
		set  []byte
		want protocol.ErrorCode
	}{
		"batch above max.message.bytes": {large, protocol.MessageTooLarge},
		"set above segment.bytes":       {middle, protocol.RecordListTooLarge},
		"bad checksum":                  {broken, protocol.CorruptMessage},
		"nothing":                       {nil, protocol.InvalidRecord},
		"incomplete batch":              {batch(t, record.Defaults(), values(1, "x")...)[:40], protocol.InvalidRecord},
	} {
		if _, err := l.AppendAsLeader(Append{Records: tt.set, BatchRequired: true}); protocol.CodeOf(err) != tt.want {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	wantEqual(t, "log end", l.Offsets().LogEnd, 0)
	if info := appendValues(t, l, 1, "still works"); info.FirstOffset != 0 {
		t.Errorf("first offset %d", info.FirstOffset)
	}
}

// idempotent returns the options of a producer's batch.
func idempotent(id int64, epoch int16, sequence int32) record.Options {
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = id, epoch, sequence
	return o
}

func TestDuplicatesReturnTheirOriginalOffsetsAlsoAfterARestart(t *testing.T) {
	l, h := newLog(t, testTopic())
	send := func(l *Log, sequence int32) (AppendInfo, error) {
		return l.AppendAsLeader(Append{Records: batch(t, idempotent(9, 0, sequence), values(h.clock.now().UnixMilli(), "a", "b")...)})
	}
	for i := int32(0); i < 6; i++ {
		if _, err := send(l, 2*i); err != nil {
			t.Fatal(err)
		}
	}
	for i := int32(1); i < 6; i++ { // the last five are remembered
		info, err := send(l, 2*i)
		noError(t, err)
		if !info.Duplicate || info.FirstOffset != record.Offset(2*i) || info.LastOffset != record.Offset(2*i)+1 {
			t.Errorf("batch %d: %+v", i, info)
		}
	}
	_, err := send(l, 0)
	wantError(t, err, protocol.OutOfOrderSequenceNumber)
	_, err = send(l, 14)
	wantError(t, err, protocol.OutOfOrderSequenceNumber)
	wantEqual(t, "log end", l.Offsets().LogEnd, 12)

	h.restart(t)
	l = h.Log(partition0)
	info, err := send(l, 10) // of the five batches only the last is in a snapshot
	noError(t, err)
	if !info.Duplicate || info.FirstOffset != 10 {
		t.Errorf("after the restart: %+v", info)
	}
	info, err = send(l, 12)
	noError(t, err)
	wantEqual(t, "next offset", info.FirstOffset, 12)
}

func TestLastStableOffsetStaysBelowOpenTransactionsAndTheirMarkers(t *testing.T) {
	l, h := newLog(t, testTopic())
	now := h.clock.now().UnixMilli()
	appendValues(t, l, now, "plain")
	o := idempotent(4, 0, 0)
	o.Transactional = true
	if _, err := l.AppendAsLeader(Append{Records: batch(t, o, values(now, "in a transaction")...)}); err != nil {
		t.Fatal(err)
	}
	l.SetHighWatermark(2)
	wantEqual(t, "stable while open", l.Offsets().LastStable, 1)
	marker, err := record.EndTxnMarker(o, record.Abort, 0, now)
	noError(t, err)
	_, err = l.AppendAsLeader(Append{Records: marker, Origin: record.FromCoordinator})
	noError(t, err)
	wantEqual(t, "stable while the marker is not replicated", l.Offsets().LastStable, 1)
	l.SetHighWatermark(3)
	wantEqual(t, "stable in the end", l.Offsets().LastStable, 3)

	data, err := l.Read(Read{Offset: 0, MaxBytes: 1 << 20, Bound: UpToLastStable, AbortedWanted: true})
	noError(t, err)
	defer data.Release()
	if !slices.Equal(data.Aborted, []AbortedTxn{{ProducerID: 4, FirstOffset: 1}}) {
		t.Errorf("aborted %v", data.Aborted)
	}
}

func TestFollowerAppendsBytesUnchanged(t *testing.T) {
	leader, _ := newLog(t, testTopic())
	leader.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "a")...), LeaderEpoch: 1})
	leader.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "b")...), LeaderEpoch: 3})
	leader.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "c")...), LeaderEpoch: 5})
	set := readBytes(t, leader, Read{Offset: 0, MaxBytes: 1 << 20})

	follower, _ := newLog(t, testTopic())
	info, err := follower.AppendAsFollower(slices.Clone(set), 3)
	noError(t, err)
	wantEqual(t, "last offset below the later epoch", info.LastOffset, 1)
	info, err = follower.AppendAsFollower(slices.Clone(set[info.Bytes:]), 5)
	noError(t, err)
	wantEqual(t, "last offset", info.LastOffset, 2)
	if got := readBytes(t, follower, Read{Offset: 0, MaxBytes: 1 << 20}); !bytes.Equal(got, set) {
		t.Error("the follower's bytes differ")
	}
	epoch, end := follower.EndOffsetForEpoch(4)
	wantEqual(t, "epoch", epoch, 3)
	wantEqual(t, "end of epoch", end, 2)
	if _, err := follower.AppendAsFollower(set, 5); err == nil || !strings.Contains(err.Error(), "less than the next offset 3") {
		t.Errorf("old offsets: %v", err)
	}
}

// A follower that does not know the leader's new epoch yet appends nothing, and fetches again.
func TestAFollowerAppendOfOnlyLaterEpochsIsEmpty(t *testing.T) {
	l, _ := newLog(t, testTopic())
	appendValues(t, l, 1, "a", "b", "c")
	l.SetHighWatermark(3)
	noError(t, l.IncrementLogStart(2))
	o := record.Defaults()
	o.BaseOffset, o.LeaderEpoch = 3, 5
	for name, set := range map[string][]byte{"a later epoch": batch(t, o, values(1, "d")...), "nothing": nil} {
		info, err := l.AppendAsFollower(set, 4)
		noError(t, err)
		wantEqual(t, name+": bytes", info.Bytes, 0)
		wantEqual(t, name+": log start in the answer", info.LogStartOffset, 2)
		wantEqual(t, name+": log end", l.Offsets().LogEnd, 3)
	}
}

func TestPitfallReplication15_NoAppendAfterAFailedWrite(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		mem := vfs.NewMem()
		var broken atomic.Bool
		fsys := vfs.Intercept(mem, func(op vfs.Op) error {
			if broken.Load() && op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, logSuffix) {
				return &vfs.ShortWrite{N: 10, Err: cause}
			}
			return nil
		})
		h := start(t, fsys)
		failed := make(chan string, 1)
		h.OnDirFailure(func(dir string) { failed <- dir })
		l := h.log(t, testTopic())
		appendValues(t, l, 1, "whole")
		size := l.Size()
		broken.Store(true)
		set := batch(t, record.Defaults(), values(1, "cut")...)
		_, err := l.AppendAsLeader(Append{Records: set})
		wantError(t, err, protocol.KafkaStorageError)
		broken.Store(false)
		_, err = l.AppendAsLeader(Append{Records: set})
		wantError(t, err, protocol.KafkaStorageError)
		select {
		case dir := <-failed:
			wantEqual(t, "failed directory", dir, "/data")
		case <-time.After(10 * time.Second):
			t.Fatal("the failure was not reported")
		}
		if h.Log(partition0) != nil || h.Dirs()[0].Online {
			t.Error("the directory is still in use")
		}
		wantEqual(t, "file size after the cut", fileSize(t, mem, "/data/t-0/00000000000000000000.log"), size)
		if !strings.Contains(h.lines.String(), cause.Error()) {
			t.Error("the log does not name the cause")
		}
	}
}

func TestAppendDoesNotAllocateInTheSteadyState(t *testing.T) {
	c := testTopic()
	c.IndexIntervalBytes = 1 << 30
	l, _ := newLog(t, c)
	fresh := batch(t, record.Defaults(), values(1, "a", "b", "c")...)
	set := make([]byte, len(fresh))
	appendValues(t, l, 1, "warm")
	allocs := testing.AllocsPerRun(200, func() {
		copy(set, fresh)
		if _, err := l.AppendAsLeader(Append{Records: set}); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1 { // the in-memory file grows now and then
		t.Errorf("%v allocations per append", allocs)
	}
}

func TestAnAppendFlushesAtFlushMessagesBeforeItReturns(t *testing.T) {
	c := testTopic()
	c.FlushMessages = 3
	l, h := newLog(t, c)
	appendValues(t, l, 1, "a", "b")
	wantEqual(t, "recovery point below flush.messages", l.RecoveryPoint(), 0)
	appendValues(t, l, 1, "c")
	wantEqual(t, "recovery point", l.RecoveryPoint(), 3)
	wantEqual(t, "size after a power failure", fileSize(t, h.config.FS.(*vfs.Mem).CrashClone(vfs.SyncedOnly, 0), segmentName(0, logSuffix)), l.Size())
}
