package storage

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

func TestTimeLookups(t *testing.T) {
	c := testTopic()
	c.IndexIntervalBytes = 100
	l, _ := newLog(t, c)
	// Batches have offsets 0-2, 3-5, ... with increasing timestamps; every fourth batch is older
	// than the one before.
	for i := int64(0); i < 40; i++ {
		at := 1000 * (i + 1)
		if i%4 == 3 {
			at -= 2500
		}
		records := []rec{{"", "a", at}, {"", "b", at + 10}, {"", "c", at + 20}}
		_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), records...), LeaderEpoch: 3})
		noError(t, err)
		if i%10 == 9 {
			noError(t, l.Roll())
		}
	}
	l.SetHighWatermark(l.Offsets().LogEnd)
	for _, tt := range []struct {
		ts        int64
		offset    record.Offset
		timestamp int64
	}{
		{0, 0, 1000}, {1000, 0, 1000}, {1001, 1, 1010}, {1020, 2, 1020}, {1021, 3, 2000},
		{3021, 12, 5000}, // batch 3 goes back to 1500
		{39020, 116, 39020}, {39021, -1, -1},
	} {
		found, err := l.OffsetForTime(tt.ts)
		noError(t, err)
		if found.Offset != tt.offset || found.Timestamp != tt.timestamp {
			t.Errorf("time %d: %+v, want offset %d at %d", tt.ts, found, tt.offset, tt.timestamp)
		}
	}
	newest, err := l.OffsetOfMaxTimestamp()
	noError(t, err)
	wantEqual(t, "newest", newest, TimestampedOffset{39020, 116, 3})
	wantEqual(t, "earliest", l.EarliestOffset(), TimestampedOffset{-1, 0, 3})
	wantEqual(t, "latest", l.LatestOffset(UpToHighWatermark), TimestampedOffset{-1, 120, 3})
	noError(t, l.IncrementLogStart(10))
	found, err := l.OffsetForTime(0)
	noError(t, err)
	wantEqual(t, "from the log start", found.Offset, 10)
}

// A truncation makes a finished segment the active one again. If the next append does not fit after
// the remaining records, the segment rolls with nothing appended.
func TestLookupsByTimeWorkAfterATruncationIntoAFinishedSegment(t *testing.T) {
	for _, pinned := range []bool{false, true} {
		c := testTopic()
		c.SegmentBytes = 3000
		l, h := newLog(t, c)
		stamp := func(offset record.Offset) int64 { return 1_600_000_000_000 + int64(offset)*1000 }
		add := func(offset record.Offset, size int) {
			t.Helper()
			appendValues(t, l, stamp(offset), strings.Repeat("x", size))
		}
		for offset := range record.Offset(5) {
			add(offset, 900) // 0 to 2 fill the first segment
		}
		wantEqual(t, "segments", l.SegmentCount(), 2)
		if pinned { // the log then continues in another segment
			data, err := l.Read(Read{MaxBytes: 1 << 20})
			noError(t, err)
			defer data.Release()
		}
		_, err := l.TruncateTo(2)
		noError(t, err)
		for offset := record.Offset(2); offset < 8; offset++ {
			add(offset, 1400) // does not fit after 0 and 1
		}
		last, err := l.positions.load().segments[0].times.last()
		noError(t, err)
		wantEqual(t, "the last entry of the time index", last, timestampOffset{stamp(1), 1})
		for _, when := range []string{"before", "after"} {
			for offset := range record.Offset(8) {
				found, err := l.OffsetForTime(stamp(offset))
				noError(t, err)
				wantEqual(t, fmt.Sprintf("%s a restart, pinned %v: the record of time %d", when, pinned, offset), found.Offset, offset)
			}
			h.restart(t)
			l = h.Log(partition0)
		}
	}
}

// The largest timestamp is recorded before the append that brings it can be read.
func TestTheLargestTimestampIsFoundDuringAppends(t *testing.T) {
	mem := vfs.NewMem()
	var atIndexEntry func()
	fsys := vfs.Intercept(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, timeIndexSuffix) && atIndexEntry != nil {
			atIndexEntry()
		}
		return nil
	})
	c := testTopic()
	c.IndexIntervalBytes = 1
	h := start(t, fsys, func(m *ManagerConfig) { m.Defaults = c })
	l := h.log(t, c)
	fill(t, l, 2, 10, 1000)
	found := make(chan TimestampedOffset, 1)
	atIndexEntry = func() {
		atIndexEntry = nil
		done := make(chan struct{})
		go func() {
			defer close(done)
			o, err := l.OffsetOfMaxTimestamp()
			if err != nil {
				t.Error(err)
			}
			found <- o
		}()
		select {
		case <-done: // found without the append
		case <-time.After(50 * time.Millisecond): // waits for its end
		}
	}
	appendValues(t, l, 2000, "newest")
	wantEqual(t, "newest", <-found, TimestampedOffset{2000, 2, 0})
}

// With LogAppendTime all records of a batch have the same timestamp; the first one is returned.
func TestTheLargestTimestampIsThatOfTheFirstRecordOfItsBatch(t *testing.T) {
	c := testTopic()
	c.TimestampType = record.LogAppendTime.String()
	l, h := newLog(t, c)
	appendValues(t, l, 1, "a", "b", "c")
	h.clock.advance(time.Second)
	appendValues(t, l, 1, "d", "e", "f")
	found, err := l.OffsetOfMaxTimestamp()
	noError(t, err)
	wantEqual(t, "newest", found, TimestampedOffset{h.clock.now().UnixMilli(), 3, 0})
}

// A small batch may decompress to a very large size.
func TestALookupByTimeDoesNotBufferDecompressedRecords(t *testing.T) {
	l, _ := newLog(t, testTopic())
	o := record.Defaults()
	o.Codec = record.Gzip
	set := batch(t, o, rec{"", "small", 1000}, rec{"", strings.Repeat("\x00", 8<<20), 2000})
	_, err := l.AppendAsLeader(Append{Records: set, BatchRequired: true})
	noError(t, err)
	for ts, want := range map[int64]record.Offset{500: 0, 1000: 0, 1001: 1, 2001: -1} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		found, err := l.OffsetForTime(ts)
		runtime.ReadMemStats(&after)
		noError(t, err)
		wantEqual(t, "offset", found.Offset, want)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("the lookup of %d allocated %d bytes", ts, n)
		}
	}
}

// The time indexes of a cleanly closed log are lost, so the segments' largest timestamps are
// unknown.
func TestALookupByTimeDoesNotEndInASegmentWithoutATimeIndex(t *testing.T) {
	l, h := newLog(t, testTopic())
	for i := range int64(3) {
		fill(t, l, 2, 10, 1000+1000*i)
		noError(t, l.Roll())
	}
	noError(t, h.Close())
	for _, base := range []record.Offset{0, 2, 4} {
		edit(t, h.config.FS, segmentName(base, timeIndexSuffix), func([]byte) []byte { return nil })
	}
	h.open(t)
	for ts, want := range map[int64]record.Offset{1000: 0, 2000: 2, 3001: 5, 3002: -1} {
		found, err := h.Log(partition0).OffsetForTime(ts)
		noError(t, err)
		wantEqual(t, fmt.Sprint("at ", ts), found.Offset, want)
	}
}

func TestOffsetsBeforeATimeUseModificationTimes(t *testing.T) {
	l, h := newLog(t, testTopic())
	for i := range 3 {
		fill(t, l, 2, 10, 1)
		name := l.Path() + "/" + offsetFileName(record.Offset(2*i), logSuffix)
		noError(t, h.config.FS.Chtimes(name, time.UnixMilli(int64(i+1)*1000)))
		if i < 2 {
			noError(t, l.Roll())
		}
	}
	for _, tt := range []struct {
		ts   int64
		max  int
		want []record.Offset
	}{
		{-1, 10, []record.Offset{6, 4, 2, 0}}, {-1, 1, []record.Offset{6}}, {-2, 5, []record.Offset{0}},
		{-1, 0, nil}, {-2, 0, nil},
		{999, 5, nil}, {2000, 5, []record.Offset{2, 0}}, {2500, 1, []record.Offset{2}}, {h.clock.now().UnixMilli(), 5, []record.Offset{6, 4, 2, 0}},
	} {
		got, err := l.LegacyOffsetsBefore(tt.ts, tt.max)
		noError(t, err)
		if !slices.Equal(got, tt.want) {
			t.Errorf("before %d, at most %d: %v, want %v", tt.ts, tt.max, got, tt.want)
		}
	}
	for _, ts := range []int64{-1, -2, 5, 1 << 41} {
		for _, max := range []int{-1, math.MinInt32} {
			_, err := l.LegacyOffsetsBefore(ts, max)
			wantError(t, err, protocol.UnknownServerError)
		}
	}
}
