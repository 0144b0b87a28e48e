package storage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/record"
)

func TestTimeLookups(t *testing.T) {
	c := testTopic()
	c.IndexIntervalBytes = 100
	l, _ := newLog(t, c)
	// Offsets 0-2, 3-5, ... with rising stamps inside a batch; every fourth
	// batch is older than the one before.
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
	for _, tt := range []struct{ ts, offset, timestamp int64 }{
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

// A truncation makes a finished segment the active one again. The next append may
// not fit behind what is left, so that it rolls with nothing appended.
func TestTimesAreFoundAfterATruncationIntoAFinishedSegment(t *testing.T) {
	for _, pinned := range []bool{false, true} {
		c := testTopic()
		c.SegmentBytes = 3000
		l, h := newLog(t, c)
		stamp := func(offset int64) int64 { return 1_600_000_000_000 + offset*1000 }
		add := func(offset int64, size int) {
			t.Helper()
			appendValues(t, l, stamp(offset), strings.Repeat("x", size))
		}
		for offset := range int64(5) {
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
		for offset := int64(2); offset < 8; offset++ {
			add(offset, 1400) // does not fit behind 0 and 1
		}
		for _, when := range []string{"before", "after"} {
			for offset := range int64(8) {
				found, err := l.OffsetForTime(stamp(offset))
				noError(t, err)
				wantEqual(t, fmt.Sprintf("%s a restart, pinned %v: the record of time %d", when, pinned, offset), found.Offset, offset)
			}
			h.restart(t)
			l = h.Log(partition0)
		}
	}
}

func TestOffsetsBeforeATimeGoByModificationTimes(t *testing.T) {
	l, h := newLog(t, testTopic())
	for i := range 3 {
		fill(t, l, 2, 10, 1)
		name := l.Path() + "/" + offsetFileName(int64(2*i), logSuffix)
		noError(t, h.config.FS.Chtimes(name, time.UnixMilli(int64(i+1)*1000)))
		if i < 2 {
			noError(t, l.Roll())
		}
	}
	for _, tt := range []struct {
		ts   int64
		max  int
		want []int64
	}{
		{-1, 10, []int64{6, 4, 2, 0}}, {-1, 1, []int64{6}}, {-2, 5, []int64{0}},
		{999, 5, nil}, {2000, 5, []int64{2, 0}}, {2500, 1, []int64{2}}, {h.clock.now().UnixMilli(), 5, []int64{6, 4, 2, 0}},
	} {
		got, err := l.LegacyOffsetsBefore(tt.ts, tt.max)
		noError(t, err)
		if !slices.Equal(got, tt.want) {
			t.Errorf("before %d, at most %d: %v, want %v", tt.ts, tt.max, got, tt.want)
		}
	}
}
