package clean

import (
	"fmt"
	"math"
	"testing"

	"github.com/monedula/monedula/record"
)

// segments returns segments of 100 bytes at the bases; the last one is active.
func segments(bases ...record.Offset) (all []Segment) {
	for i, base := range bases {
		all = append(all, Segment{Base: base, Size: 100, LargestMs: int64(1000 * (i + 1)), FirstMs: int64(1000*i + 1)})
	}
	return all
}

func TestThePartToCleanFollowsTheRulesOfKafka(t *testing.T) {
	all := Log{Segments: segments(0, 10, 20, 30, 40), LastStable: 45, End: 45, Checkpoint: record.NoOffset, MaxLagMs: math.MaxInt64}
	for _, c := range []struct {
		name   string
		change func(*Log)
		want   Plan
	}{
		{"a new log", func(*Log) {}, Plan{FirstDirty: 0, FirstUncleanable: 40, CleanableBytes: 400}},
		{"a later cleaning", func(l *Log) { l.Checkpoint = 20 }, Plan{FirstDirty: 20, FirstUncleanable: 40, CleanBytes: 200, CleanableBytes: 200}},
		{"a map that was full within a segment", func(l *Log) { l.Checkpoint = 25 }, Plan{FirstDirty: 25, FirstUncleanable: 40, CleanBytes: 300, CleanableBytes: 200}},
		{"nothing since the last cleaning", func(l *Log) { l.Checkpoint = 40 }, Plan{FirstDirty: 40, FirstUncleanable: 40, CleanBytes: 400}},
		{"cleaned within the active segment", func(l *Log) { l.Checkpoint = 43 }, Plan{FirstDirty: 43, FirstUncleanable: 40, CleanBytes: 500}},
		{"an open transaction", func(l *Log) { l.LastStable = 25 }, Plan{FirstDirty: 0, FirstUncleanable: 20, CleanableBytes: 200}},
		{"an open transaction from the beginning", func(l *Log) { l.LastStable = 5 }, Plan{FirstDirty: 0, FirstUncleanable: 0}},
		{"a last stable offset below the clean part", func(l *Log) { l.LastStable, l.Checkpoint = 5, 20 },
			Plan{FirstDirty: 20, FirstUncleanable: 20, CleanBytes: 200}},
		{"the checkpoint is below the start", func(l *Log) { l.Start, l.Checkpoint = 15, 10 },
			Plan{FirstDirty: 15, FirstUncleanable: 40, CleanBytes: 200, CleanableBytes: 300, Reset: BelowStart}},
		{"the checkpoint is above the end", func(l *Log) { l.Checkpoint = 46 }, Plan{FirstDirty: 0, FirstUncleanable: 40, CleanableBytes: 400, Reset: AboveEnd}},
		{"records younger than min.compaction.lag.ms", func(l *Log) { l.MinLagMs = 7000 }, Plan{FirstDirty: 0, FirstUncleanable: 30, CleanableBytes: 300}},
		{"only dirty segments have a lag", func(l *Log) { l.MinLagMs, l.Checkpoint = 9500, 30 },
			Plan{FirstDirty: 30, FirstUncleanable: 30, CleanBytes: 300}},
		{"records older than max.compaction.lag.ms", func(l *Log) { l.MaxLagMs, l.Checkpoint = 7000, 20 },
			Plan{FirstDirty: 20, FirstUncleanable: 40, CleanBytes: 200, CleanableBytes: 200, DelayMs: 999}},
		{"only the active segment is old", func(l *Log) { l.MaxLagMs, l.Checkpoint = 1, 40 }, Plan{FirstDirty: 40, FirstUncleanable: 40, CleanBytes: 400}},
		{"no timestamps", func(l *Log) {
			l.MaxLagMs, l.Segments = 1, segments(0, 10)
			l.Segments[0].FirstMs = -1
		}, Plan{FirstDirty: 0, FirstUncleanable: 10, CleanableBytes: 100}},
	} {
		l := all
		l.Segments = append([]Segment(nil), all.Segments...)
		c.change(&l)
		if got := l.Plan(10_000); got != c.want {
			t.Errorf("%s: %+v instead of %+v", c.name, got, c.want)
		}
	}
}

func TestACleaningIsDueByRatioOrAge(t *testing.T) {
	for _, c := range []struct {
		clean, cleanable, delay int64
		ratio                   float64
		want                    bool
	}{
		{100, 101, 0, 0.5, true}, {100, 100, 0, 0.5, false}, {0, 1, 0, 0.99, true}, {1000, 1, 1, 0.5, true},
		{1000, 0, 1, 0.5, false}, {0, 0, 0, 0, false}, {100, 1, 0, 0, true},
	} {
		if got := (Plan{CleanBytes: c.clean, CleanableBytes: c.cleanable, DelayMs: c.delay}).Due(c.ratio); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestSegmentsAreGroupedUpToTheLimits(t *testing.T) {
	far := record.Offset(math.MaxInt32)
	limits := Limits{SegmentBytes: 250, IndexBytes: 100}
	for _, c := range []struct {
		name     string
		segments []Segment
		want     string
	}{
		{"none", nil, "[]"},
		{"by size", segments(0, 10, 20, 30, 40), "[[0 2] [2 4] [4 5]]"},
		{"a segment above the limit stays alone", []Segment{{Base: 0, Size: 300}, {Base: 1, Size: 1}}, "[[0 1] [1 2]]"},
		{"by the size of the offset index", []Segment{{Base: 0, OffsetIndexSize: 60}, {Base: 1, OffsetIndexSize: 60}}, "[[0 1] [1 2]]"},
		{"by the size of the time index", []Segment{{Base: 0, TimeIndexSize: 60}, {Base: 1, TimeIndexSize: 60}}, "[[0 1] [1 2]]"},
		{"by the distance of offsets", []Segment{{Base: 0, Size: 1}, {Base: 10, Size: 1}, {Base: far + 1, Size: 1}}, "[[0 2] [2 3]]"},
		{"an empty segment has no offsets", []Segment{{Base: 0, Size: 1}, {Base: far + 10}}, "[[0 2]]"},
	} {
		if got := fmt.Sprint(Groups(c.segments, limits, far+20)); got != c.want {
			t.Errorf("%s: %s instead of %s", c.name, got, c.want)
		}
	}
}
