package storage

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// segment is a part of a log: the .log file that starts with base, and its indexes. Only the holder
// of the log's mu changes it. All others must pin it first; its files close when the log has
// dropped it and the last pin is released.
//
// A pinned range of bytes never changes. An append only adds bytes after it. A truncation of a
// pinned segment cuts the file, and the log continues in a new segment (see Log.TruncateTo).
type segment struct {
	base record.Offset
	env  *environment

	log   *cachedFile
	index *offsetIndex
	times *timeIndex
	txns  *txnIndex

	// size is the number of bytes of data in the .log. The file itself may be longer while it is
	// preallocated.
	size atomic.Int64
	// pins counts the users. The log itself counts as one until it drops the segment.
	pins atomic.Int64

	// unsynced covers the content of the segment's files.
	unsynced unsynced

	// file is the .log, kept open from the first append until the segment is finished; nil before
	// and after.
	file          vfs.File
	preallocated  bool  // the .log is longer than size
	created       int64 // ms, when opened or emptied
	jitter        int64 // ms subtracted from segment.ms
	sinceIndexed  int64 // bytes since the last offset index entry
	unfinished    bool  // the time index may lack the entry of the largest timestamp
	misindexed    bool  // an index is damaged and gets no more entries
	gapAtEnd      bool  // a truncation into a batch left offsets without records
	firstStamp    int64 // max timestamp of the first batch; see firstTimestamp
	hasFirstStamp bool

	tail batchTail

	mu       sync.Mutex // guards the fields below, which lookups by time read
	stamp    timestampOffset
	hasStamp bool // if false, the time index's last entry holds the largest timestamp
}

// newSegment returns a segment without opening its files.
func newSegment(env *environment, dir string, base record.Offset, c *settings.Topic) *segment {
	stem := segmentPath(dir, base, "")
	s := &segment{
		base:    base,
		env:     env,
		log:     env.files.add(stem, logSuffix),
		index:   newOffsetIndex(env.files.add(stem, indexSuffix), base, c.SegmentIndexBytes),
		times:   newTimeIndex(env.files.add(stem, timeIndexSuffix), base, c.SegmentIndexBytes),
		txns:    newTxnIndex(env.files.add(stem, txnIndexSuffix), base),
		created: env.now(),
		stamp:   timestampOffset{record.NoTimestamp, base},
	}
	s.pins.Store(1)
	if limit := min(c.SegmentJitterMs, c.SegmentMs); limit > 0 {
		s.jitter = env.jitter(limit)
	}
	return s
}

// openSegment returns a segment of existing files.
func openSegment(env *environment, dir string, base record.Offset, c *settings.Topic) (*segment, error) {
	s := newSegment(env, dir, base, c)
	info, err := env.fs.Stat(s.log.name())
	if err != nil {
		return nil, err
	}
	if info.Size() > math.MaxInt32 {
		return nil, fmt.Errorf("the size of segment %s (%d) is larger than the maximum allowed segment size of %d", s.log.name(), info.Size(), math.MaxInt32)
	}
	s.size.Store(info.Size())
	return s, nil
}

// createSegment creates the files of a new, empty segment.
func createSegment(env *environment, dir string, base record.Offset, c *settings.Topic) (*segment, error) {
	s := newSegment(env, dir, base, c)
	if err := s.createFiles(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *segment) createFiles() error {
	s.unsynced.note()
	for _, f := range [...]*cachedFile{s.log, s.index.file, s.times.file} {
		if _, err := f.hold(true); err != nil {
			return err
		}
		f.unhold()
	}
	return nil
}

// activate prepares the segment for its first append: its files stay open and the indexes are
// preallocated. Until the first append, a partition uses no open file.
func (s *segment) activate(c *settings.Topic) error {
	if s.file != nil {
		return nil
	}
	file, err := s.log.hold(true)
	if err != nil {
		return err
	}
	defer s.unsynced.note()
	if err := s.index.activate(c.SegmentIndexBytes); err != nil {
		return err
	}
	if err := s.times.activate(c.SegmentIndexBytes); err != nil {
		return err
	}
	s.file = file
	s.unfinished = true
	if c.Preallocate && s.size.Load() == 0 {
		s.preallocated = true
		return file.Preallocate(int64(c.SegmentBytes))
	}
	return nil
}

// files returns the segment's files, whether they exist or not.
func (s *segment) files() [4]*cachedFile {
	return [...]*cachedFile{s.log, s.index.file, s.times.file, s.txns.file}
}

func segmentPath(dir string, base record.Offset, suffix string) string {
	return filepath.Join(dir, offsetFileName(base, suffix))
}

// errSegmentGone is returned by a pin of a segment that the log has dropped.
var errSegmentGone = errors.New("the segment was removed")

// pin keeps a segment's .log open and its bytes unchanged.
type pin struct {
	segment *segment
	handle  *fileHandle
}

func (s *segment) pin() (pin, error) {
	for {
		n := s.pins.Load()
		if n == 0 {
			return pin{}, errSegmentGone
		}
		if s.pins.CompareAndSwap(n, n+1) {
			break
		}
	}
	h, err := s.log.acquire()
	if err != nil {
		s.drop()
		return pin{}, err
	}
	return pin{s, h}, nil
}

func (p *pin) release() {
	if p.segment != nil {
		p.handle.release()
		p.segment.drop()
		*p = pin{}
	}
}

// drop ends one use; the last one closes the files.
func (s *segment) drop() {
	if s.pins.Add(-1) == 0 {
		s.unhold()
		for _, f := range s.files() {
			f.close()
		}
	}
}

// pinned reports whether the segment has users other than the log.
func (s *segment) pinned() bool { return s.pins.Load() > 1 }

// append writes whole batches at the end of an active segment and updates the indexes: a batch gets
// an entry if it starts more than index.interval.bytes after the last indexed one.
func (s *segment) append(set []byte, c *settings.Topic) error {
	defer s.unsynced.note()
	at := s.size.Load()
	if _, err := s.file.WriteAt(set, at); err != nil {
		// A partial batch must not remain: the next start would have to recover it.
		return errors.Join(err, s.file.Truncate(at))
	}
	s.size.Store(at + int64(len(set)))
	s.gapAtEnd = false
	for b, err := range record.Batches(set) {
		if err != nil {
			return err
		}
		due := s.sinceIndexed > int64(c.IndexIntervalBytes) && !s.misindexed
		if err := s.noteBatch(b, at, due); errors.Is(err, errInvalidOffset) {
			// The index is damaged: it has an entry above the log's end. The next append begins
			// another segment.
			s.env.logger.Warnf("Adding no further index entries to segment %s: %v", s.log.name(), err)
			s.misindexed = true
		} else if err != nil {
			return err
		}
		s.sinceIndexed += int64(len(b))
		at += int64(len(b))
	}
	return nil
}

// noteBatch updates the largest timestamp and the tail for a batch at a position and, if due, the
// indexes.
func (s *segment) noteBatch(b record.Batch, at int64, due bool) error {
	last := b.LastOffset()
	stamp, err := s.largest()
	if err != nil {
		return err
	}
	if t := b.MaxTimestamp(); t > stamp.timestamp {
		stamp = timestampOffset{t, last}
		s.setLargest(stamp)
	}
	if !s.hasFirstStamp {
		s.firstStamp, s.hasFirstStamp = b.MaxTimestamp(), true
	}
	s.tail.add(tailBatch{b.BaseOffset(), last, at, sizeOf(b)})
	if !due {
		return nil
	}
	// One append may bring more entries than an index can take. Batches without an entry are found
	// by scanning from the last entry.
	if full, err := s.indexFull(); full || err != nil {
		return err
	}
	s.sinceIndexed = 0
	if err := s.index.append(last, int32(at)); err != nil {
		return err
	}
	return s.times.maybeAppend(stamp.timestamp, stamp.offset, false)
}

// indexFull reports whether an index can take no more entries.
func (s *segment) indexFull() (bool, error) {
	if full, err := s.index.isFull(); full || err != nil {
		return full, err
	}
	return s.times.isFull()
}

// largest returns the largest timestamp in the segment, or timestamp -1 with the base offset if no
// record has one.
func (s *segment) largest() (timestampOffset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hasStamp {
		last, err := s.times.last()
		if err != nil {
			return s.stamp, err
		}
		s.stamp, s.hasStamp = last, true
	}
	return s.stamp, nil
}

func (s *segment) setLargest(t timestampOffset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stamp, s.hasStamp = t, true
}

// largestTimestamp returns the largest timestamp (ms), or the file's modification time if no record
// has one; recorded reports whether it is a record's.
func (s *segment) largestTimestamp() (ms int64, recorded bool, err error) {
	t, err := s.largest()
	if err != nil {
		return 0, false, err
	}
	if t.timestamp >= 0 {
		return t.timestamp, true, nil
	}
	ms, err = s.modified()
	return ms, false, err
}

// modified returns the .log's modification time in ms.
func (s *segment) modified() (int64, error) {
	info, err := s.env.fs.Stat(s.log.name())
	if err != nil {
		return 0, err
	}
	return info.ModTime().UnixMilli(), nil
}

// finish ends appending: the largest timestamp gets its index entry, and the files are cut to their
// true sizes. A segment that was finished and then truncated needs the entry again, although
// nothing was appended since.
func (s *segment) finish() error {
	if !s.unfinished {
		return nil // neither appended to nor cut since it was opened
	}
	defer s.unsynced.note()
	if err := s.noteLargest(); err != nil {
		return err
	}
	s.unfinished = false
	if s.file == nil {
		return nil
	}
	if err := errors.Join(s.index.deactivate(), s.times.deactivate()); err != nil {
		return err
	}
	if s.preallocated {
		s.preallocated = false
		if err := s.file.Truncate(s.size.Load()); err != nil {
			return err
		}
	}
	s.tail.clear()
	s.unhold()
	return nil
}

// unhold stops keeping the .log open.
func (s *segment) unhold() {
	if s.file != nil {
		s.file = nil
		s.log.unhold()
	}
}

// noteLargest makes the largest timestamp the time index's last entry.
func (s *segment) noteLargest() error {
	stamp, err := s.largest()
	if err != nil {
		return err
	}
	if s.misindexed {
		return nil
	}
	return s.times.maybeAppend(stamp.timestamp, stamp.offset, true)
}

// sync makes the segment's data and indexes durable. The caller must hold Log.flushing.
func (s *segment) sync() error { return s.unsynced.settle(s.syncFiles) }

func (s *segment) syncFiles() error {
	h, err := s.log.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	if err := h.Sync(); err != nil {
		return err
	}
	return errors.Join(s.index.sync(), s.times.sync(), s.txns.sync())
}

// String formats the segment as Kafka's log lines do.
func (s *segment) String() string {
	modified, _ := s.modified()
	stamp, _ := s.largest()
	return fmt.Sprintf("LogSegment(baseOffset=%d, size=%d, lastModifiedTime=%d, largestRecordTimestamp=%d)", s.base, s.size.Load(), modified, stamp.timestamp)
}
