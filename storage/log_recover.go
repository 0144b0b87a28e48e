package storage

import (
	"errors"
	"io"
	"slices"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// recover checks the segments above the recovery point after an unclean shutdown, ensures that the
// log has a segment, and returns the log's end.
func (ld *loader) recover() (logEnd record.Offset, err error) {
	if !ld.clean {
		if err := ld.recoverUnflushed(); err != nil {
			return 0, err
		}
	}
	if n := len(ld.segments); n > 0 {
		if logEnd, err = ld.endOf(ld.segments[n-1]); err != nil {
			return 0, err
		}
		if logEnd >= ld.logStart {
			return logEnd, nil
		}
		ld.log.Warnf("Deleting all segments because logEndOffset (%d) is smaller than logStartOffset %d. This could happen if segment files were deleted from the file system.", logEnd, ld.logStart)
		if err := ld.deleteFrom(0); err != nil {
			return 0, err
		}
		if err := ld.l.epochs.clear(); err != nil {
			return 0, err
		}
		if err := ld.l.producers.truncateFullyAndStartAt(ld.logStart); err != nil {
			return 0, err
		}
		ld.clean = false
	}
	s, err := ld.l.createSegment(ld.logStart)
	if err != nil {
		return 0, err
	}
	ld.segments = append(ld.segments, s)
	return ld.logStart, nil
}

// endOf returns the offset after the segment's last batch. If the end is damaged although the log
// was closed cleanly, it is repaired as after a crash.
func (ld *loader) endOf(s *segment) (record.Offset, error) {
	next, err := s.nextOffset()
	if err == nil || !isProtocolError(err) {
		return next, err
	}
	ld.log.Warnf("Found invalid messages at the end of %s, recovering it: %v", s.log.name(), err)
	if _, err := ld.recoverSegment(s); err != nil {
		return 0, err
	}
	return s.nextOffset()
}

// recoverUnflushed recovers the segments from the one that holds the recovery point on. It removes
// all segments after the first one that had to be cut. The leader epochs recorded for offsets above
// the recovery point may belong to records that were truncated, so they are replaced by those of
// the batches.
func (ld *loader) recoverUnflushed() error {
	first := 0
	for i, s := range ld.segments {
		if s.base <= ld.recoveryPoint {
			first = i
		}
	}
	if first > 0 {
		overlaps, err := ld.completeLastFlushed(first - 1)
		if err != nil {
			return err
		}
		if overlaps {
			first--
		}
	}
	if len(ld.segments) > 0 {
		ld.l.epochs.truncateFromStart(ld.segments[0].base)
		ld.l.epochs.truncateFromEnd(ld.recoveryPoint)
		ld.renewEpochs = true
	}
	unflushed := len(ld.segments) - first
	for i := 0; i < unflushed; i++ {
		ld.remaining(unflushed - i)
		s := ld.segments[first+i]
		ld.log.Infof("Recovering unflushed segment %d. %d/%d recovered for %s.", s.base, i, unflushed, ld.l.name)
		truncated, err := ld.recoverSegment(s)
		if err != nil {
			return err
		}
		next, err := s.nextOffset()
		if err != nil {
			return err
		}
		switch {
		case truncated > 0:
			ld.log.Warnf("Corruption found in segment %d, truncating to offset %d", s.base, next)
		case ld.overlaps(first+i, next):
			ld.log.Warnf("Segment %d ends at offset %d but the next one begins at %d: its truncation was not yet on disk. Truncating to offset %d", s.base, next, ld.segments[first+i+1].base, next)
		case ld.lost(first+i, next):
			ld.log.Warnf("Segment %d ends at offset %d but the next one begins at %d: the records between them were not yet on disk. Truncating to offset %d", s.base, next, ld.segments[first+i+1].base, next)
		default:
			continue
		}
		// The cut is not durable yet, so the next recovery begins here as well.
		ld.recoveryPoint = min(ld.recoveryPoint, s.base)
		if err := ld.deleteFrom(first + i + 1); err != nil {
			return err
		}
		break
	}
	ld.remaining(0)
	return nil
}

// completeLastFlushed prepares the last segment below the recovery point, and reports whether it
// overlaps with the next one. It reads no more of the segment than needed: damage below the
// recovery point was not caused by the crash, and is left for readers to find.
func (ld *loader) completeLastFlushed(i int) (overlaps bool, err error) {
	s := ld.segments[i]
	if err = s.completeIndexes(); err == nil {
		var next record.Offset
		next, err = s.nextOffset()
		overlaps = ld.overlaps(i, next)
	}
	if isProtocolError(err) {
		ld.log.Warnf("Found invalid messages in %s below the recovery point %d: %v", s.log.name(), ld.recoveryPoint, err)
		return false, nil
	}
	return overlaps, err
}

// completeIndexes ends the indexes of the last segment below the recovery point as its roll did. If
// the segment had been flushed to its end before it was rolled, a crash may have undone the roll's
// changes to the indexes.
func (s *segment) completeIndexes() error {
	s.unsynced.note()
	if err := s.reloadLargest(); err != nil {
		return err
	}
	return errors.Join(s.noteLargest(), s.index.trim(), s.times.trim())
}

// overlaps reports whether segment i, which ends at next, reaches into the segment after it. If so,
// the later segment was begun after a truncation that did not reach the disk, so nothing in it was
// flushed, or it was itself truncated.
func (ld *loader) overlaps(i int, next record.Offset) bool {
	return i+1 < len(ld.segments) && next > ld.segments[i+1].base
}

// lost reports whether records are missing between segment i, which ends at next, and the segment
// after it: the files of a rolled segment may reach the disk after those of its successor. Keeping
// the successor would leave a gap that no replica could fill. Compaction leaves gaps on purpose.
func (ld *loader) lost(i int, next record.Offset) bool {
	if i+1 == len(ld.segments) || ld.config.CleanupCompact {
		return false
	}
	if ld.damagedPoints {
		return false // everything is being recovered, including what was compacted under an earlier cleanup policy
	}
	gap := ld.segments[i+1].base - next
	return gap > 0 && gap <= largestGapJoined
}

// deleteFrom removes the segments from index i on from the log.
func (ld *loader) deleteFrom(i int) error {
	removed := slices.Clone(ld.segments[i:])
	ld.segments = ld.segments[:i]
	if len(removed) == 0 {
		return nil
	}
	slices.Reverse(removed)
	ld.log.Infof("Deleting segments as part of log recovery: %s", segmentList(removed))
	return ld.l.deleteSegments(removed)
}

// recoverSegment checks every batch of a segment, truncates the file after the last valid one,
// rebuilds the indexes, and writes a producer snapshot at its end. It returns the number of bytes
// cut.
func (ld *loader) recoverSegment(s *segment) (truncated int64, err error) {
	ld.l.names.note() // indexes and the snapshot may be newly created
	state, err := ld.newState()
	if err != nil {
		return 0, err
	}
	r := stateRebuild{state: state, segments: ld.segments, logStart: ld.logStart, upTo: s.base,
		magic: ld.config.Magic, sync: true, env: ld.env, log: ld.stateLog}
	if err := r.run(); err != nil {
		return 0, err
	}
	if ld.recovered != nil {
		state.recall(ld.recovered.entries)
	}
	truncated, err = s.recover(state, ld.l, ld.config, ld.log, ld.renewEpochs)
	if errors.Is(err, errInvalidOffset) {
		// Offsets that go backwards (KAFKA-3919): nothing in the segment can be trusted.
		ld.log.Warnf("Found invalid offset during recovery. Deleting the corrupt segment and creating an empty one with starting offset %d", s.base)
		truncated = s.size.Load()
		return truncated, s.cut(s.base, 0, ld.env.now())
	}
	if err != nil {
		return 0, err
	}
	ld.recovered = state
	_, err = state.takeSnapshot(true)
	return truncated, err
}

// recover does the part of recoverSegment that concerns only the segment.
func (s *segment) recover(state *producerState, l *Log, c *settings.Topic, log kafkalog.Prefixed, renewEpochs bool) (truncated int64, err error) {
	s.unsynced.note() // an earlier run wrote the records, but did not sync them
	size, interval := recoveredIndexes(s.size.Load(), c)
	if err := errors.Join(s.index.reset(size), s.times.reset(size), s.txns.reset()); err != nil {
		return 0, err
	}
	s.setLargest(timestampOffset{record.NoTimestamp, s.base})
	f, err := s.log.acquire()
	if err != nil {
		return 0, err
	}
	defer f.release()
	valid, err := s.recoverBatches(f, state, l, interval, renewEpochs)
	if err != nil {
		if !isProtocolError(err) {
			return 0, err
		}
		log.Warnf("Found invalid messages in log segment %s at byte offset %d. %v", s.log.name(), valid, err)
	}
	truncated = s.size.Load() - valid
	if truncated > 0 {
		if err := f.Truncate(valid); err != nil {
			return 0, err
		}
		s.size.Store(valid)
	}
	s.sinceIndexed = 0
	s.tail.clear()
	if err := s.noteLargest(); err != nil {
		return 0, err
	}
	return truncated, errors.Join(s.index.trim(), s.times.trim())
}

// recoveredIndexes returns the maximum size in bytes of each index of a recovered segment, and the
// number of bytes of the log between two entries. The topic's configuration may have changed since
// the segment was written: with indexes that are too small for the segment, every lookup would read
// most of it.
func recoveredIndexes(segmentBytes int64, c *settings.Topic) (size int32, interval int64) {
	size = max(c.SegmentIndexBytes, 10<<20) // the default of segment.index.bytes
	return size, max(int64(c.IndexIntervalBytes), segmentBytes/int64(size/timeEntrySize-1))
}

// recoverBatches reads the batches and returns the position where the valid ones end; a protocol
// error describes the damage found there. With renewEpochs it records the epochs of all batches,
// otherwise only those later than all known ones.
func (s *segment) recoverBatches(file io.ReaderAt, state *producerState, l *Log, interval int64, renewEpochs bool) (valid int64, err error) {
	var scan batchScan
	scan.begin(file, 0, s.size.Load(), true, &s.env.buffers)
	defer scan.close()
	var update producerAppend
	lines, indexed := l.log(), int64(0)
	for {
		b, at, err := scan.next()
		if err != nil || b == nil {
			return at, err
		}
		if err := s.env.stopped(); err != nil {
			return at, err
		}
		if err := b.Validate(); err != nil {
			return at, err
		}
		if outOfReach(s.base, b) {
			return at, &overflowError{s}
		}
		due := at-indexed > interval
		if err := s.noteBatch(b, at, due); err != nil {
			return at, err
		}
		if due {
			indexed = at
		}
		if b.Magic() < 2 {
			if renewEpochs {
				l.epochs.clearUnsynced()
			}
			continue
		}
		e := b.PartitionLeaderEpoch()
		if e > l.epochs.latestEpoch() || renewEpochs && e >= 0 && e != l.epochs.epochForOffset(b.BaseOffset()) {
			l.epochs.assignUnsynced(e, b.BaseOffset())
		}
		if err := replay(state, &update, b, s, lines); err != nil {
			return at, err
		}
		state.setMapEnd(b.NextOffset())
	}
}
