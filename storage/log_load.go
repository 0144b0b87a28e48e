package storage

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// loading is what is known of a log before it is opened.
type loading struct {
	clean         bool  // the directory was closed in order
	recoveryPoint int64 // as checkpointed, 0 when unknown
	logStart      int64 // as checkpointed, 0 when unknown
	// remaining is told how many segments are still to be recovered.
	remaining func(n int)
}

// loader opens a log from the files in its directory.
type loader struct {
	loading
	l        *Log
	env      *environment
	path     string
	config   *settings.Topic
	log      logLines
	stateLog logLines   // of what rebuilds the producer state
	segments []*segment // in order of base offset
}

// openLog loads the log in a partition directory: what an interrupted cleaning
// left is finished or undone, damage above the recovery point is cut off after
// an unclean stop, and the state that is kept beside the records is rebuilt. An
// empty directory becomes a log that starts at the given log start.
func openLog(dir *logDir, env *environment, path string, tp TopicPartition, kind dirKind, c *settings.Topic, from loading) (*Log, error) {
	l := &Log{tp: tp, name: currentDirName(tp), dir: dir, env: env}
	l.log = newLogLines(env.logger, "kafka.log.UnifiedLog", fmt.Sprintf("[UnifiedLog partition=%s, dir=%s] ", l.name, dir.path))
	l.path.Store(&path)
	l.future.Store(kind == futureDir)
	l.config.Store(newLogConfig(l.name, c))
	l.lastFlush.Store(env.now())
	ld := &loader{loading: from, l: l, env: env, path: path, config: c}
	ident := fmt.Sprintf("[LogLoader partition=%s, dir=%s] ", l.name, dir.path)
	ld.log = newLogLines(env.logger, "kafka.log.LogLoader", ident)
	ld.stateLog = newLogLines(env.logger, "kafka.log.UnifiedLog$", ident)
	if ld.remaining == nil {
		ld.remaining = func(int) {}
	}
	if err := ld.load(); err != nil {
		for _, s := range ld.segments {
			s.drop()
		}
		return nil, err
	}
	return l, nil
}

func (ld *loader) load() error {
	if err := ld.openState(); err != nil {
		return err
	}
	if err := ld.finishSwaps(); err != nil {
		return err
	}
	if err := ld.retryOverflow(ld.loadSegments); err != nil {
		return err
	}
	logEnd := int64(0)
	err := ld.retryOverflow(func() (err error) {
		logEnd, err = ld.recover()
		return err
	})
	if err != nil {
		return err
	}
	return ld.settle(logEnd)
}

// openState opens what a log keeps beside its segments.
func (ld *loader) openState() (err error) {
	l := ld.l
	if ld.env.keepTopicIDs {
		l.topicID, err = readPartitionMetadata(ld.env.fs, ld.path)
	} else {
		err = removePartitionMetadata(ld.env.fs, ld.path)
	}
	if err != nil {
		return err
	}
	if ld.config.Magic < 2 {
		l.epochs = newUnfiledEpochCache()
		if err := ignoreMissing(ld.env.fs.Remove(filepath.Join(ld.path, leaderEpochFile))); err != nil {
			return err
		}
	} else if l.epochs, err = openEpochCache(ld.env.fs, ld.path); err != nil {
		return err
	}
	l.producers, err = ld.newState()
	return err
}

func (ld *loader) newState() (*producerState, error) {
	log := kafkalog.For(ld.env.logger, "org.apache.kafka.storage.internals.log.ProducerStateManager")
	return openProducerState(ld.env.fs, ld.path, ld.l.tp, ld.env.expirationMs, log)
}

// settle gives the loaded log its positions, epochs and producer state.
func (ld *loader) settle(logEnd int64) error {
	l := ld.l
	logStart := max(ld.logStart, ld.segments[0].base)
	l.epochs.truncateFromEnd(logEnd)
	// The checkpointed log start, not the segment's: 0 where there is none.
	l.epochs.truncateFromStart(ld.logStart)
	if err := l.epochs.flush(); err != nil {
		return err
	}
	bases := make([]int64, len(ld.segments))
	for i, s := range ld.segments {
		bases[i] = s.base
	}
	if err := l.producers.removeStraySnapshots(bases); err != nil {
		return err
	}
	if err := rebuildState(l.producers, ld.segments, logStart, logEnd, ld.config.Magic, ld.clean, ld.env, ld.stateLog); err != nil {
		return err
	}
	active := ld.segments[len(ld.segments)-1]
	p := &l.positions
	p.v = view{
		Offsets:     Offsets{LogStart: logStart, HighWatermark: logStart, LogEnd: logEnd},
		segments:    ld.segments,
		endPosition: active.size.Load(),
	}
	p.recoveryPoint = min(ld.recoveryPoint, logEnd)
	if ld.clean {
		p.recoveryPoint = logEnd
	}
	p.firstUnstable = -1
	l.updateFirstUnstable()
	return nil
}

// loadSegments opens all segments. One whose offset index is missing, or whose
// transaction index is damaged, is recovered.
func (ld *loader) loadSegments() error {
	for _, s := range ld.segments {
		s.drop()
	}
	ld.segments = nil
	names, err := ld.list()
	if err != nil {
		return err
	}
	for _, name := range names {
		base, suffix, ok := parseOffsetFileName(name)
		switch {
		case !ok:
		case suffix == indexSuffix || suffix == timeIndexSuffix || suffix == txnIndexSuffix:
			if !slices.Contains(names, offsetFileName(base, logSuffix)) {
				ld.log.Warnf("Found an orphaned index file %s, with no corresponding log file.", filepath.Join(ld.path, name))
				if err := ignoreMissing(ld.env.fs.Remove(filepath.Join(ld.path, name))); err != nil {
					return err
				}
			}
		case suffix == logSuffix:
			if err := ld.loadSegment(base, names); err != nil {
				return err
			}
		}
	}
	return nil
}

func (ld *loader) loadSegment(base int64, names []string) error {
	s, err := openSegment(ld.env, ld.path, base, ld.config)
	if err != nil {
		return err
	}
	ld.segments = append(ld.segments, s)
	slices.SortFunc(ld.segments, func(a, b *segment) int { return int(min(max(a.base-b.base, -1), 1)) })
	switch {
	case !slices.Contains(names, offsetFileName(base, indexSuffix)):
		if ld.clean || base < ld.recoveryPoint {
			ld.log.Errorf("Could not find offset index file corresponding to log file %s, recovering segment and rebuilding index files...", s.log.name())
		}
	case !slices.Contains(names, offsetFileName(base, timeIndexSuffix)):
		if err := s.times.resize(0); err != nil {
			return err
		}
		fallthrough
	default:
		err := s.txns.sanityCheck()
		if !errors.Is(err, errCorruptIndex) {
			return err
		}
		ld.log.Warnf("Found a corrupted index file corresponding to log file %s due to %v, recovering segment and rebuilding index files...", s.log.name(), err)
	}
	_, err = ld.recoverSegment(s)
	return err
}

// list names the files in the partition directory, sorted.
func (ld *loader) list() ([]string, error) {
	entries, err := ld.env.fs.ReadDir(ld.path)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// recover checks the segments above the recovery point after an unclean stop,
// makes sure that there is a segment, and returns the log's end.
func (ld *loader) recover() (logEnd int64, err error) {
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
	s, err := createSegment(ld.env, ld.path, ld.logStart, ld.config)
	if err != nil {
		return 0, err
	}
	ld.segments = append(ld.segments, s)
	return ld.logStart, nil
}

// endOf is the offset behind the segment's last batch. Damage there, although
// the directory was closed in order, is repaired like that of a crash.
func (ld *loader) endOf(s *segment) (int64, error) {
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

// recoverUnflushed recovers the segments from the one that holds the recovery
// point on. The first that had to be cut is the last that stays.
func (ld *loader) recoverUnflushed() error {
	first := 0
	for i, s := range ld.segments {
		if s.base <= ld.recoveryPoint {
			first = i
		}
	}
	unflushed := len(ld.segments) - first
	for _, s := range ld.segments[min(first, len(ld.segments)):] {
		s.dirty.Store(true) // an earlier life wrote, but did not sync it
	}
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
		case ld.lost(first+i, next):
			ld.log.Warnf("Segment %d ends at offset %d but the next one begins at %d: what lay between was not yet on disk. Truncating to offset %d", s.base, next, ld.segments[first+i+1].base, next)
		default:
			continue
		}
		if err := ld.deleteFrom(first + i + 1); err != nil {
			return err
		}
		break
	}
	ld.remaining(0)
	return nil
}

// lost says whether records are missing between segment i, which ends at next,
// and the one behind it: the files of a segment that was rolled may reach the
// disk after those of its successor. To keep the successor would leave a hole
// that no replica could fill. Compaction leaves holes by intent.
func (ld *loader) lost(i int, next int64) bool {
	if i+1 == len(ld.segments) || ld.config.CleanupCompact {
		return false
	}
	gap := ld.segments[i+1].base - next
	return gap > 0 && gap <= largestGapJoined
}

// deleteFrom takes the segments from index i on out of the log.
func (ld *loader) deleteFrom(i int) error {
	removed := slices.Clone(ld.segments[i:])
	ld.segments = ld.segments[:i]
	if len(removed) == 0 {
		return nil
	}
	ld.log.Infof("Deleting segments as part of log recovery: %s", segmentList(removed))
	return ld.l.deleteSegments(removed)
}

// recoverSegment checks every batch of a segment, cuts the file behind the last
// good one, rebuilds the indexes, and writes a producer snapshot at its end. It
// returns how many bytes were cut.
func (ld *loader) recoverSegment(s *segment) (truncated int64, err error) {
	state, err := ld.newState()
	if err != nil {
		return 0, err
	}
	if err := rebuildState(state, ld.segments, ld.logStart, s.base, ld.config.Magic, false, ld.env, ld.stateLog); err != nil {
		return 0, err
	}
	truncated, err = s.recover(state, ld.l, ld.config, ld.log)
	if errors.Is(err, errInvalidOffset) {
		// Offsets that go backwards (KAFKA-3919): nothing of it can be trusted.
		ld.log.Warnf("Found invalid offset during recovery. Deleting the corrupt segment and creating an empty one with starting offset %d", s.base)
		truncated = s.size.Load()
		return truncated, s.cut(s.base, 0, ld.env.now())
	}
	if err != nil {
		return 0, err
	}
	_, err = state.takeSnapshot(true)
	return truncated, err
}

// recover is the part of recoverSegment that concerns the segment alone.
func (s *segment) recover(state *producerState, l *Log, c *settings.Topic, log logLines) (truncated int64, err error) {
	s.dirty.Store(true)
	if err := errors.Join(s.index.reset(c.SegmentIndexBytes), s.times.reset(c.SegmentIndexBytes), s.txns.reset()); err != nil {
		return 0, err
	}
	s.setLargest(timestampOffset{record.NoTimestamp, s.base})
	f, err := s.log.acquire()
	if err != nil {
		return 0, err
	}
	defer f.release()
	valid, err := s.recoverBatches(f, state, l, int64(c.IndexIntervalBytes))
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

// recoverBatches walks the batches and returns where the good ones end; a
// protocol error says what is wrong there.
func (s *segment) recoverBatches(file io.ReaderAt, state *producerState, l *Log, interval int64) (valid int64, err error) {
	var scan batchScan
	scan.begin(file, 0, s.size.Load(), true, &s.env.buffers)
	defer scan.close()
	var update producerAppend
	indexed := int64(0)
	for {
		b, at, err := scan.next()
		if err != nil || b == nil {
			return at, err
		}
		if err := b.Validate(); err != nil {
			return at, err
		}
		if d := b.LastOffset() - s.base; d < 0 || d > math.MaxInt32 {
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
			continue
		}
		if e := b.PartitionLeaderEpoch(); e >= 0 && e > l.epochs.latestEpoch() {
			l.epochs.assignUnsynced(e, b.BaseOffset())
		}
		if err := replay(state, &update, b, s, l.log); err != nil {
			return at, err
		}
		state.setMapEnd(b.NextOffset())
	}
}

// finishSwaps removes temporary files, and ends a replacement of segments that
// a crash interrupted: a complete set of .swap files takes the place of the
// segments it was made of; an incomplete one (a .cleaned file is left) goes.
func (ld *loader) finishSwaps() error {
	names, err := ld.list()
	if err != nil {
		return err
	}
	swaps, err := ld.removeTemporary(names)
	if err != nil || len(swaps) == 0 {
		return err
	}
	first, next := int64(math.MaxInt64), int64(math.MinInt64)
	for _, name := range swaps {
		if strings.HasSuffix(name, logSuffix+swapSuffix) {
			base, _, _ := parseOffsetFileName(name)
			ld.log.Infof("Found log file %s from interrupted swap operation, which is recoverable from .swap files by renaming.", filepath.Join(ld.path, name))
			end, err := ld.swapEnd(base)
			if err != nil {
				return err
			}
			first, next = min(first, base), max(next, end)
		}
	}
	for _, name := range names {
		base, _, ok := parseOffsetFileName(name)
		if ok && base >= first && base < next && !strings.HasSuffix(name, swapSuffix) {
			ld.log.Infof("Deleting segment files %s that is compacted but has not been deleted yet.", name)
			if err := ignoreMissing(ld.env.fs.Remove(filepath.Join(ld.path, name))); err != nil {
				return err
			}
		}
	}
	for _, name := range swaps {
		from := filepath.Join(ld.path, name)
		ld.log.Infof("Recovering file %s by renaming from .swap files.", name)
		if err := ld.env.fs.Rename(from, strings.TrimSuffix(from, swapSuffix)); err != nil {
			return err
		}
	}
	return ld.env.fs.SyncDir(ld.path)
}

// removeTemporary removes .deleted and .cleaned files and the .swap files of an
// interrupted split; it returns the .swap files that stay.
func (ld *loader) removeTemporary(names []string) (swaps []string, err error) {
	firstCleaned := int64(math.MaxInt64)
	for _, name := range names {
		if base, _, ok := parseOffsetFileName(name); ok && strings.HasSuffix(name, cleanedSuffix) {
			firstCleaned = min(firstCleaned, base)
		}
	}
	for _, name := range names {
		base, _, ok := parseOffsetFileName(name)
		swap := ok && strings.HasSuffix(name, swapSuffix)
		if swap && base < firstCleaned {
			swaps = append(swaps, name)
		} else if swap || strings.HasSuffix(name, cleanedSuffix) || strings.HasSuffix(name, deletedSuffix) {
			ld.log.Debugf("Deleting stray temporary file %s", filepath.Join(ld.path, name))
			if err := ignoreMissing(ld.env.fs.Remove(filepath.Join(ld.path, name))); err != nil {
				return nil, err
			}
		}
	}
	return swaps, nil
}

// swapEnd is the offset behind the last batch of a .log.swap file.
func (ld *loader) swapEnd(base int64) (int64, error) {
	name := segmentPath(ld.path, base, logSuffix+swapSuffix)
	info, err := ld.env.fs.Stat(name)
	if err != nil {
		return 0, err
	}
	f, err := ld.env.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var scan batchScan
	scan.begin(f, 0, info.Size(), false, &ld.env.buffers)
	defer scan.close()
	next := base
	for {
		b, _, err := scan.next()
		if err != nil || b == nil {
			return next, err
		}
		next = b.NextOffset()
	}
}
