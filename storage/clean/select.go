package clean

import (
	"math"
	"sort"

	"github.com/monedula/monedula/record"
)

// Segment is what the selection knows of a segment.
type Segment struct {
	Base record.Offset
	Size int64 // of the .log, in bytes
	// OffsetIndexSize and TimeIndexSize are the sizes of the indexes in bytes.
	OffsetIndexSize, TimeIndexSize int64
	// LargestMs is the largest timestamp of the segment, or the file's modification time without
	// timestamps. It is needed only with a min.compaction.lag.ms.
	LargestMs int64
	// FirstMs is the timestamp of the first batch, 0 or less for none. It is needed only with a
	// max.compaction.lag.ms.
	FirstMs int64
}

// Log is a snapshot of a log for which a cleaning may be due.
type Log struct {
	Segments           []Segment // in order; the last one is the active one, which is never cleaned
	Start, LastStable  record.Offset
	End                record.Offset
	Checkpoint         record.Offset // where the last cleaning ended, record.NoOffset if unknown
	MinLagMs, MaxLagMs int64         // min.compaction.lag.ms and max.compaction.lag.ms
}

// Plan describes a cleaning that may be due.
type Plan struct {
	// FirstDirty is where the dirty part begins, and FirstUncleanable the base of the first segment
	// that may not be cleaned.
	FirstDirty, FirstUncleanable record.Offset
	// CleanBytes and CleanableBytes are the sizes of the clean and of the cleanable dirty part.
	CleanBytes, CleanableBytes int64
	// DelayMs is by how much the oldest dirty record is older than max.compaction.lag.ms.
	DelayMs int64
	// Reset reports why the checkpoint could not be used.
	Reset Reset
}

// Reset is a reason to begin the dirty part at the start of the log.
type Reset int8

// The checkpoint is used, or lies below the start of the log, or above its end.
const (
	NoReset Reset = iota
	BelowStart
	AboveEnd
)

// Plan determines the cleaning of the log at a time in ms.
func (l *Log) Plan(now int64) Plan {
	p := Plan{FirstDirty: l.Checkpoint}
	switch {
	case l.Checkpoint == record.NoOffset:
		p.FirstDirty = l.Start
	case l.Checkpoint < l.Start:
		p.FirstDirty, p.Reset = l.Start, BelowStart
	case l.Checkpoint > l.End:
		p.FirstDirty, p.Reset = l.Start, AboveEnd
	}
	active := len(l.Segments) - 1
	dirty := max(l.floor(p.FirstDirty), 0)
	bound := min(l.LastStable, l.Segments[active].Base)
	for i := dirty; i < active && l.MinLagMs > 0; i++ {
		if l.Segments[i].LargestMs > now-l.MinLagMs {
			bound = min(bound, l.Segments[i].Base)
			break
		}
	}
	// Only whole segments are cleaned.
	end := active
	if bound = max(bound, p.FirstDirty); bound <= l.Segments[active].Base {
		end = min(max(l.floor(bound), 0), active)
	}
	p.FirstUncleanable = l.Segments[end].Base
	for i, s := range l.Segments {
		if s.Base < p.FirstDirty {
			p.CleanBytes += s.Size
		}
		if i >= min(dirty, end) && i < end {
			p.CleanableBytes += s.Size
		}
	}
	p.DelayMs = l.delay(dirty, active, now)
	return p
}

// floor returns the index of the last segment whose base is at or below offset, -1 for none.
func (l *Log) floor(offset record.Offset) int {
	return sort.Search(len(l.Segments), func(i int) bool { return l.Segments[i].Base > offset }) - 1
}

// delay returns by how much the oldest dirty record is older than max.compaction.lag.ms.
func (l *Log) delay(from, active int, now int64) int64 {
	earliest := int64(math.MaxInt64)
	for _, s := range l.Segments[min(from, active):active] {
		if s.FirstMs > 0 {
			earliest = min(earliest, s.FirstMs)
		}
	}
	until := now - max(l.MaxLagMs, 0)
	if earliest >= until {
		return 0
	}
	return until - earliest
}

// Ratio returns the dirty part's share of the bytes that a cleaning would read.
func (p Plan) Ratio() float64 {
	if p.CleanBytes+p.CleanableBytes == 0 {
		return 0
	}
	return float64(p.CleanableBytes) / float64(p.CleanBytes+p.CleanableBytes)
}

// Due reports whether the log must be cleaned: if its dirty part exceeds the ratio
// min.cleanable.dirty.ratio, or is older than max.compaction.lag.ms.
func (p Plan) Due(minRatio float64) bool {
	return p.CleanableBytes > 0 && (p.DelayMs > 0 || p.Ratio() > minRatio)
}

// Limits bound the segments that a cleaning writes.
type Limits struct {
	SegmentBytes, IndexBytes int64 // segment.bytes and segment.index.bytes
}

// Groups divides segments, which are cleaned together, into groups. The segments of a group become
// one. end is the first offset that may not be cleaned. The groups are ranges of indexes.
func Groups(segments []Segment, limit Limits, end record.Offset) [][2]int {
	var groups [][2]int
	for i := 0; i < len(segments); {
		sum := segments[i]
		j := i + 1
		for ; j < len(segments); j++ {
			s := segments[j]
			last := end - 1
			if j+1 < len(segments) {
				last = segments[j+1].Base - 1
			}
			if sum.Size+s.Size > limit.SegmentBytes || sum.OffsetIndexSize+s.OffsetIndexSize > limit.IndexBytes ||
				sum.TimeIndexSize+s.TimeIndexSize > limit.IndexBytes ||
				s.Size > 0 && last-segments[i].Base > math.MaxInt32 {
				break
			}
			sum.Size += s.Size
			sum.OffsetIndexSize += s.OffsetIndexSize
			sum.TimeIndexSize += s.TimeIndexSize
		}
		groups = append(groups, [2]int{i, j})
		i = j
	}
	return groups
}
