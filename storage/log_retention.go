package storage

import (
	"fmt"
	"slices"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// DeleteOldSegments applies retention now and returns the number of segments deleted.
func (l *Log) DeleteOldSegments() (n int, err error) {
	if err := l.check(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err = l.deleteOldSegmentsLocked()
	return n, l.ioError(deletingSegments, err)
}

const deletingSegments = "Error while deleting segments for %s in dir %s"

func (l *Log) deleteOldSegmentsLocked() (total int, err error) {
	rules := []retentionRule{belowLogStart}
	if c := l.Config(); c.CleanupDelete {
		rules = append(rules, overSize(l.Size(), c.RetentionBytes), overAge(l.env.now(), c.RetentionMs))
	}
	for _, rule := range rules {
		if rule == nil {
			continue
		}
		n, err := l.deleteByRule(rule)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// retentionRule reports whether segment i of the view may be deleted, and why. It is called from
// the oldest segment on, and not again after it has returned false.
type retentionRule func(v *view, i int) (remove bool, reason string, err error)

// belowLogStart allows the deletion of segments below the log start, which DeleteRecords or the
// leader has raised.
func belowLogStart(v *view, i int) (remove bool, reason string, err error) {
	if i+1 == len(v.segments) || v.segments[i+1].base > v.LogStart {
		return false, "", nil
	}
	return true, fmt.Sprintf("Deleting segments due to log start offset %d breach: %v", v.LogStart, v.segments[i]), nil
}

// overSize allows the deletion of segments as long as at least limit bytes (retention.bytes) of a
// log of the given size remain.
func overSize(size, limit int64) retentionRule {
	if limit < 0 {
		return nil
	}
	return func(v *view, i int) (bool, string, error) {
		n := v.end(i)
		if size-n < limit {
			return false, "", nil
		}
		size -= n
		return true, fmt.Sprintf("Deleting segment %v due to log retention size %d breach. Log size after deletion will be %d.", v.segments[i], limit, size), nil
	}
}

// overAge allows the deletion of segments whose largest timestamp, or modification time if no
// record has a timestamp, is older than limit (retention.ms) at time now, both in ms.
func overAge(now, limit int64) retentionRule {
	if limit < 0 {
		return nil
	}
	return func(v *view, i int) (bool, string, error) {
		s := v.segments[i]
		ms, recorded, err := s.largestTimestamp()
		if err != nil || now-ms <= limit {
			return false, "", err
		}
		basis := "last modified time of the segment"
		if recorded {
			basis = "largest record timestamp in the segment"
		}
		return true, fmt.Sprintf("Deleting segment %v due to log retention time %dms breach based on the %s", s, limit, basis), nil
	}
}

// deleteByRule deletes the oldest segments that the rule allows. A segment is deleted only if the
// high watermark is above all of it.
func (l *Log) deleteByRule(rule retentionRule) (int, error) {
	v := l.positions.load()
	n := 0
	for ; n < len(v.segments); n++ {
		last := n+1 == len(v.segments)
		end := v.LogEnd
		if !last {
			end = v.segments[n+1].base
		}
		if v.HighWatermark < end || last && v.end(n) == 0 {
			break
		}
		remove, reason, err := rule(&v, n)
		if err != nil {
			return 0, err
		}
		if !remove {
			break
		}
		l.log().Infof("%s", reason)
	}
	if n == 0 {
		return 0, nil
	}
	if n == len(v.segments) {
		// A log always has a segment.
		if err := l.rollLocked(0, -1); err != nil {
			return 0, err
		}
		v = l.positions.load()
	}
	return n, l.change(deletingSegments, func() error { return l.removeOldest(&v, n) })
}

// removeOldest removes the first n segments from the log.
func (l *Log) removeOldest(v *view, n int) error {
	removed := slices.Clone(v.segments[:n])
	p := &l.positions
	p.mu.Lock()
	p.v.segments = v.segments[n:]
	oldStart := p.v.LogStart
	p.v.LogStart = max(p.v.LogStart, v.segments[n].base)
	newStart := p.v.LogStart
	p.settle()
	p.mu.Unlock()
	if newStart > oldStart {
		l.noteLogStart(newStart, "segment deletion")
	}
	return l.deleteSegments(removed)
}

// noteLogStart passes a raised log start on to the epochs and the producer state. The caller must
// hold mu.
func (l *Log) noteLogStart(start record.Offset, reason string) {
	l.log().Infof("Incremented log start offset to %d due to %s", start, reason)
	l.epochs.truncateFromStart(start)
	l.producers.logStartAdvanced(start)
	l.positions.setFirstUnstable(l.producers.firstUnstable())
}

// IncrementLogStart raises the log start as DeleteRecords requests. An offset above the high
// watermark is OFFSET_OUT_OF_RANGE; one below the current log start has no effect. The next
// retention run deletes the files.
func (l *Log) IncrementLogStart(offset record.Offset) error {
	return l.raiseLogStart(offset, "client delete records request")
}

// AdoptLogStart raises the log start of a follower to that of its leader; see IncrementLogStart.
func (l *Log) AdoptLogStart(offset record.Offset) error {
	return l.raiseLogStart(offset, "leader offset increment")
}

func (l *Log) raiseLogStart(offset record.Offset, reason string) error {
	if err := l.check(); err != nil {
		return err
	}
	if o := l.Offsets(); offset <= o.LogStart && offset <= o.HighWatermark {
		return nil // the usual case for a follower, which calls this with every fetch
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.positions
	p.mu.Lock()
	high, raised := p.v.HighWatermark, offset > p.v.LogStart
	if raised && offset <= high {
		p.v.LogStart = offset
		p.settle()
	}
	p.mu.Unlock()
	if offset > high {
		return protocol.Errorf(protocol.OffsetOutOfRange,
			"Cannot increment the log start offset to %d of partition %s since it is larger than the high watermark %d", offset, l.name, high)
	}
	if !raised {
		return nil
	}
	return l.change("Exception while increasing log start offset for %s in dir %s", func() error {
		l.noteLogStart(offset, reason)
		return nil
	})
}

// SetHighWatermark moves the high watermark, clamped to [LogStart, LogEnd], and with it the last
// stable offset. It returns the new high watermark and reports whether it or the last stable offset
// moved.
func (l *Log) SetHighWatermark(offset record.Offset) (high record.Offset, moved bool) {
	p := &l.positions
	p.mu.Lock()
	before := p.v.Offsets
	p.v.HighWatermark = offset
	p.settle()
	after, unstable := p.v.Offsets, p.firstUnstable >= 0
	p.mu.Unlock()
	if unstable && after.HighWatermark > before.HighWatermark {
		l.mu.Lock()
		l.producers.highWatermarkAdvanced(l.Offsets().HighWatermark)
		p.setFirstUnstable(l.producers.firstUnstable())
		l.mu.Unlock()
		after = l.Offsets()
	}
	return after.HighWatermark, after.HighWatermark != before.HighWatermark || after.LastStable != before.LastStable
}
