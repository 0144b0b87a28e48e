package storage

import (
	"math"
	"slices"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// TruncateTo cuts the log so that it ends at offset. truncated is false if the log already ended at
// or before offset. The whole batch that holds offset is removed, so a gap may remain up to offset.
//
// A reader may still be sending pinned bytes that are cut. It must not see other bytes in their
// place, and the truncation must not wait for it. So if the segment that is cut is pinned, its file
// is shortened (the sender gets too few bytes and closes) but never written again, and the log
// continues in a new segment.
func (l *Log) TruncateTo(offset record.Offset) (truncated bool, err error) {
	if err := l.settleMove(); err != nil {
		return false, err
	}
	l.truncating.Lock()
	defer l.truncating.Unlock()
	t := truncation{l: l, offset: offset}
	t.begin()
	truncated, err = t.cut()
	l.positions.limitRecoveryPoint(math.MaxInt64)
	if err == nil && truncated && t.durable {
		// Recovery does not check anything below the recovery point, so the cut must be durable
		// before a segment begins at the offset.
		err = l.flush(offset, true)
	}
	if err != nil || !truncated {
		return truncated, err
	}
	return truncated, t.lowerCheckpoints()
}

// TruncateFullyAndStartAt removes all data, so that the log is empty and ends at offset. The log
// start becomes logStart, or offset if logStart is -1.
func (l *Log) TruncateFullyAndStartAt(offset, logStart record.Offset) error {
	if logStart < 0 {
		logStart = offset
	}
	if err := l.settleMove(); err != nil {
		return err
	}
	l.truncating.Lock()
	defer l.truncating.Unlock()
	t := truncation{l: l, offset: offset, logStart: logStart}
	t.begin()
	err := t.replaceAll()
	l.positions.limitRecoveryPoint(math.MaxInt64)
	if err != nil {
		return err
	}
	return t.lowerCheckpoints()
}

// truncation is one truncation of a log.
type truncation struct {
	l        *Log
	offset   record.Offset // the end of the log afterwards
	logStart record.Offset // the start of the log afterwards; set when it is known
	durable  bool          // the part to be cut, or its end, may be durable
}

// begin lowers the recovery point to the offset, in the checkpoint too, before anything is cut, so
// that recovery after a crash starts there. If that fails, the log is offline afterwards.
func (t *truncation) begin() {
	l := t.l
	if l.check() != nil || t.offset < 0 || t.offset >= l.Offsets().LogEnd {
		return
	}
	t.durable = l.positions.limitRecoveryPoint(t.offset) >= t.offset
	if points := l.dir.checkpoints.offset(recoveryPointFile, l.tp); points >= t.offset {
		t.durable = true
		if points > t.offset {
			l.dir.checkpoints.lower(l.tp)
		}
	}
}

// cut cuts the log at the offset, and reports whether it ended above.
func (t *truncation) cut() (truncated bool, err error) {
	l := t.l
	if t.offset < 0 {
		return false, protocol.Errorf(protocol.UnknownServerError, "Cannot truncate partition %s to a negative offset (%d).", l.name, t.offset)
	}
	if err := l.check(); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	truncated, err = t.cutLocked()
	return truncated, l.ioError(truncatingLog, err)
}

const (
	truncatingLog   = "Error while truncating log of %s in dir %s"
	truncatingFully = "Error while truncating the entire log for %s in dir %s"
)

// lowerCheckpoints corrects the checkpoints of a truncated log before other records get its
// offsets.
func (t *truncation) lowerCheckpoints() error {
	t.l.dir.checkpoints.lower(t.l.tp)
	return t.l.check()
}

func (t *truncation) cutLocked() (truncated bool, err error) {
	l, offset := t.l, t.offset
	v := l.positions.load()
	if offset >= v.LogEnd {
		l.log().Infof("Truncating to %d has no effect as the largest offset in the log is %d", offset, v.LogEnd-1)
		// An epoch that began at the log end and has no record must be removed too.
		l.epochs.truncateFromEnd(v.LogEnd)
		return false, nil
	}
	l.log().Infof("Truncating to offset %d", offset)
	if v.segments[0].base > offset {
		t.logStart = offset
		return true, t.replaceAllLocked()
	}
	i := v.floor(offset)
	f, err := v.segments[i].log.acquire() // held, so that the cut needs no other file descriptor
	if err != nil {
		return true, err
	}
	defer f.release()
	at, size, err := v.segments[i].translate(f, offset, v.end(i))
	if err != nil {
		return true, err
	}
	if size == 0 {
		at = v.end(i)
	}
	return true, l.change(truncatingLog, func() error {
		if err := t.cutSegments(&v, i, at, size != 0); err != nil {
			return err
		}
		l.epochs.truncateFromEnd(offset)
		t.logStart = min(offset, v.LogStart)
		if err := l.rebuildProducers(t.logStart, offset); err != nil {
			return err
		}
		t.settle()
		return nil
	})
}

// cutSegments removes the segments after segment i, which holds the offset, and cuts that one at
// position at. shortens reports whether there are batches from that position on.
func (t *truncation) cutSegments(v *view, i int, at int64, shortens bool) error {
	l, offset := t.l, t.offset
	keep, last := i+1, v.segments[i]
	removed := slices.Clone(v.segments[keep:])
	slices.Reverse(removed) // the newest goes first, so that a crash leaves no gap

	// The view that readers get is changed before the bytes are cut.
	p := &l.positions
	p.mu.Lock()
	p.v.segments = v.segments[:keep:keep]
	p.v.LogEnd, p.v.endPosition = offset, at
	p.v.truncations++
	p.v.HighWatermark = min(p.v.HighWatermark, offset)
	p.v.LastStable = min(p.v.LastStable, offset)
	p.v.LogStart = min(p.v.LogStart, offset)
	p.recoveryPoint = min(p.recoveryPoint, offset)
	p.moved()
	p.mu.Unlock()

	if err := l.deleteSegments(removed); err != nil {
		return err
	}
	if shortens && last.pinned() {
		return t.continueInNewSegment(last, at)
	}
	return last.cut(offset, at, l.env.now())
}

// continueInNewSegment cuts a segment that readers have pinned and starts another one after it, so
// that bytes they may be sending are never overwritten.
func (t *truncation) continueInNewSegment(last *segment, at int64) error {
	if at == 0 {
		return t.replaceActive(last.base)
	}
	if err := last.cut(t.offset, at, t.l.env.now()); err != nil {
		return err
	}
	base, err := last.nextOffset()
	if err != nil {
		return err
	}
	return t.l.addSegment(last, base)
}

// replaceActive replaces the active segment, whose files are deleted, with an empty segment at
// base, and makes the offset the end of the log.
func (t *truncation) replaceActive(base record.Offset) error {
	l := t.l
	v := l.positions.load()
	old := v.active()
	if err := l.markDeleted(old); err != nil {
		return err
	}
	s, err := l.createSegment(base)
	if err != nil {
		return err
	}
	p := &l.positions
	p.mu.Lock()
	segments := make([]*segment, 0, len(p.v.segments))
	segments = append(segments, p.v.segments[:len(p.v.segments)-1]...)
	p.v.segments = append(segments, s)
	p.v.endPosition, p.v.LogEnd = 0, t.offset
	p.v.truncations++
	p.moved()
	p.mu.Unlock()
	l.removeLater(old)
	return nil
}

// cut removes everything from the batch at position at, which holds offset.
func (s *segment) cut(offset record.Offset, at, now int64) error {
	defer s.unsynced.note()
	s.tail.clear()
	if err := s.index.truncateTo(offset); err != nil {
		return err
	}
	if err := s.times.truncateTo(offset); err != nil {
		return err
	}
	if err := s.txns.truncateTo(offset); err != nil {
		return err
	}
	f, err := s.log.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	if err := f.Truncate(at); err != nil {
		return err
	}
	s.preallocated = false
	s.size.Store(at)
	s.sinceIndexed = 0
	s.unfinished = true
	s.gapAtEnd = true // the batch that was cut may have begun below offset
	if at == 0 {
		s.created = now
		s.firstStamp, s.hasFirstStamp = 0, false
	}
	if err := s.reloadLargest(); !isProtocolError(err) {
		return err
	}
	return nil // damage further down is left for readers to find
}

// reloadLargest finds the largest timestamp again: that of the time index's last entry, or of a
// later batch. On damage in the .log it returns the error and sets the largest timestamp before it.
func (s *segment) reloadLargest() error {
	stamp, err := s.times.last()
	if err != nil {
		return err
	}
	from, err := s.index.lookup(stamp.offset)
	if err != nil {
		return err
	}
	f, err := s.log.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	var scan batchScan
	scan.begin(f, int64(from.position), s.size.Load(), false, &s.env.buffers)
	defer scan.close()
	for {
		b, _, err := scan.next()
		if err != nil || b == nil {
			s.setLargest(stamp)
			return err
		}
		if b.MaxTimestamp() > stamp.timestamp {
			stamp = timestampOffset{b.MaxTimestamp(), b.LastOffset()}
		}
	}
}

// replaceAll replaces all segments with an empty one at the offset.
func (t *truncation) replaceAll() error {
	l := t.l
	if err := l.check(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.replaceAllLocked()
}

func (t *truncation) replaceAllLocked() error { return t.l.change(truncatingFully, t.replaceSegments) }

// replaceSegments does the part of replaceAll that must not be interrupted.
func (t *truncation) replaceSegments() error {
	l, offset := t.l, t.offset
	v := l.positions.load()
	removed := slices.Clone(v.segments)
	slices.Reverse(removed) // as in cutSegments
	for _, s := range removed {
		if err := l.markDeleted(s); err != nil {
			return err
		}
	}
	s, err := l.createSegment(offset)
	if err != nil {
		return err
	}
	p := &l.positions
	p.mu.Lock()
	p.v.segments = []*segment{s}
	p.v.Offsets = Offsets{LogStart: t.logStart, HighWatermark: offset, LastStable: offset, LogEnd: offset}
	p.v.endPosition = 0
	p.v.truncations++
	p.firstUnstable = -1
	p.recoveryPoint = min(p.recoveryPoint, offset)
	p.moved()
	p.mu.Unlock()
	for _, s := range removed {
		l.log().Infof("Deleting segment %v as part of log truncation", s)
		l.removeLater(s)
	}
	l.epochs.clearUnsynced()
	if err := l.producers.truncateFullyAndStartAt(offset); err != nil {
		return err
	}
	return l.rebuildProducers(t.logStart, offset)
}

// settle updates the positions from the rebuilt producer state.
func (t *truncation) settle() {
	l := t.l
	p := &l.positions
	p.mu.Lock()
	p.v.LogStart = t.logStart
	high := p.v.HighWatermark
	p.mu.Unlock()
	// Everything that was replayed counts as not replicated, including markers below the high
	// watermark.
	l.producers.highWatermarkAdvanced(high)
	p.setFirstUnstable(l.producers.firstUnstable())
}
