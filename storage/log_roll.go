package storage

import (
	"fmt"
	"math"
	"time"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// rollReason holds the properties of an append that can make the active segment roll.
type rollReason struct {
	bytes        int64
	maxTimestamp int64 // of the records to append
	lastOffset   record.Offset
	now          int64
}

// mustRoll reports whether the append starts a new segment: if the segment or one of its indexes is
// full, if the segment is older than segment.ms by the timestamps of its records (by the clock if
// its first batch has none), or if the last offset would be too far from the base.
func (s *segment) mustRoll(c *settings.Topic, r rollReason) (bool, error) {
	size := s.size.Load()
	if size > int64(c.SegmentBytes)-r.bytes || r.lastOffset-s.base > math.MaxInt32 || s.misindexed {
		return true, nil
	}
	if full, err := s.indexFull(); full || err != nil {
		return full, err
	}
	if size == 0 {
		return false, nil
	}
	first, ok, err := s.firstTimestamp()
	if err != nil {
		return false, err
	}
	waited := r.now - s.created
	if ok && first >= 0 {
		waited = r.maxTimestamp - first
	}
	return waited > longestSegment(c)-s.jitter, nil
}

// longestSegment returns the age in ms at which a segment rolls.
func longestSegment(c *settings.Topic) int64 {
	if c.CleanupCompact {
		return min(c.SegmentMs, c.MaxCompactionLagMs)
	}
	return c.SegmentMs
}

// Roll starts a new segment at the log end.
func (l *Log) Roll() error {
	if err := l.check(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ioError("Error while rolling log segment for %s in dir %s", l.rollLocked(0, -1))
}

// rollLocked starts a new segment at the expected next offset or the log end, whichever is higher.
// last is the last offset that will be appended to it, -1 if that is not known. The caller must
// hold mu.
func (l *Log) rollLocked(expected, last record.Offset) error {
	start := time.Now()
	v := l.positions.load()
	active := v.active()
	base, err := l.rollBase(active, expected, v.LogEnd, last)
	if err != nil {
		return err
	}
	if base < active.base || base == active.base && active.size.Load() > 0 {
		return fmt.Errorf("trying to roll a new log segment for topic partition %s with start offset %d =max(provided offset = %d, LEO = %d) at or below the base of the active one %v",
			l.name, base, expected, v.LogEnd, active)
	}
	if base == active.base {
		l.log().Warnf("Trying to roll a new log segment with start offset %d =max(provided offset = %d, LEO = %d) while it already exists and is active with size 0.",
			base, expected, v.LogEnd)
		return nil // if the segment were removed and a crash came before another was created, the log's end would be lost
	}
	if err := l.addSegment(active, base); err != nil {
		return err
	}
	l.producers.setMapEnd(base)
	snapshot, err := l.producers.takeSnapshot(false)
	if err != nil {
		return err
	}
	l.log().Infof("Rolled new log segment at offset %d in %d ms.", base, time.Since(start).Milliseconds())
	l.env.schedule.after(0, l.dir.background, func() { l.flushRolled(base, snapshot) })
	return nil
}

// rollBase returns the base offset of a new segment after the active one: the expected next offset
// or the log end, whichever is higher, as in Kafka. The exception is a topic that is not compacted
// with a gap at that place, left by a truncation into a batch here or on the leader: there the
// segment begins at the start of the gap. A gap between segments therefore always means that
// records were lost, and recovery can detect it.
func (l *Log) rollBase(active *segment, expected, logEnd, last record.Offset) (record.Offset, error) {
	base := max(expected, logEnd)
	if l.Config().CleanupCompact || active.size.Load() == 0 || base == logEnd && !active.gapAtEnd {
		return base, nil
	}
	next, err := active.nextOffset()
	if err != nil || base-next > largestGapJoined || last-next > math.MaxInt32 {
		return base, err // too far apart for one segment
	}
	return next, nil
}

// largestGapJoined is the largest number of missing offsets with which a segment may begin.
const largestGapJoined = math.MaxInt32 / 2

// addSegment finishes the active segment and adds an empty one after it.
func (l *Log) addSegment(active *segment, base record.Offset) error {
	if err := l.removeLeftover(base); err != nil {
		return err
	}
	if err := active.finish(); err != nil {
		return err
	}
	s, err := l.createSegment(base)
	if err != nil {
		return err
	}
	p := &l.positions
	p.mu.Lock()
	defer p.mu.Unlock()
	p.v.segments = append(p.v.segments[:len(p.v.segments):len(p.v.segments)], s)
	p.v.endPosition = 0
	return nil
}

// createSegment creates a new, empty segment of the log. The caller must hold mu.
func (l *Log) createSegment(base record.Offset) (*segment, error) {
	defer l.names.note()
	return createSegment(l.env, l.Path(), base, l.Config())
}
