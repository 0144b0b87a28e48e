package storage

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

// overflowError names a segment that has offsets too far from its base (KAFKA-6264): compaction by
// old brokers could merge that much into one file.
type overflowError struct{ segment *segment }

func (e *overflowError) Error() string {
	return fmt.Sprintf("Detected offset overflow in segment %s", e.segment.log.name())
}

// retryOverflow runs a step of the loading. If a segment overflows, it splits the segment, loads
// all segments again and repeats the step.
func (ld *loader) retryOverflow(f func() error) error {
	for {
		err := f()
		var overflow *overflowError
		if !errors.As(err, &overflow) {
			return err
		}
		ld.log.Infof("Caught segment overflow error: %v. Split segment and retry.", err)
		if err := ld.split(overflow.segment); err != nil {
			return err
		}
		if err := ld.loadSegments(); err != nil {
			return err
		}
	}
}

// split replaces an overflowed segment with several. The new files are complete and durable before
// they are renamed to .swap, from the last to the first, so that a crash leaves either the old
// segment or a set with which finishSwaps can replace it.
func (ld *loader) split(s *segment) error {
	f, err := s.log.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	modified, err := s.modified()
	if err != nil {
		return err
	}
	bases, err := ld.copyParts(s, f, time.UnixMilli(modified))
	if err != nil {
		return err
	}
	for _, base := range slices.Backward(bases) {
		name := segmentPath(ld.path, base, logSuffix)
		if err := ld.env.fs.Rename(name+cleanedSuffix, name+swapSuffix); err != nil {
			return err
		}
	}
	ld.segments = slices.DeleteFunc(ld.segments, func(o *segment) bool { return o == s })
	if err := ld.l.deleteSegments([]*segment{s}); err != nil {
		return err
	}
	for _, base := range bases {
		name := segmentPath(ld.path, base, logSuffix)
		if err := ld.env.fs.Rename(name+swapSuffix, name); err != nil {
			return err
		}
	}
	return ld.env.fs.SyncDir(ld.path)
}

// copyParts writes the parts as .cleaned files and returns their base offsets. It writes no
// indexes; they are built when the parts are loaded.
func (ld *loader) copyParts(s *segment, f *fileHandle, modified time.Time) (bases []record.Offset, err error) {
	var scan batchScan
	scan.begin(f, 0, s.size.Load(), true, &ld.env.buffers)
	defer scan.close()
	var part *partWriter
	defer func() { err = errors.Join(err, part.finish(modified)) }()
	for {
		b, at, err := scan.next()
		if err != nil || b == nil {
			return bases, err
		}
		if part == nil || b.LastOffset()-part.base > math.MaxInt32 {
			if err := part.finish(modified); err != nil {
				return nil, err
			}
			if part, err = ld.newPart(b); err != nil {
				return nil, err
			}
			bases = append(bases, part.base)
		}
		if err := part.write(b); err != nil {
			return nil, fmt.Errorf("copying the batch at position %d of %s: %w", at, s.log.name(), err)
		}
	}
}

// partWriter writes one part of a segment that is being split.
type partWriter struct {
	fs   vfs.FS
	base record.Offset
	file vfs.File // nil once finished
	size int64
}

func (ld *loader) newPart(first record.Batch) (*partWriter, error) {
	base := first.BaseOffset()
	file, err := ld.env.fs.OpenFile(segmentPath(ld.path, base, logSuffix)+cleanedSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	return &partWriter{fs: ld.env.fs, base: base, file: file}, err
}

func (p *partWriter) write(b record.Batch) error {
	_, err := p.file.WriteAt(b, p.size)
	p.size += int64(len(b))
	return err
}

// finish makes the part durable and gives it the modification time of the original segment.
func (p *partWriter) finish(modified time.Time) error {
	if p == nil || p.file == nil {
		return nil
	}
	err := errors.Join(p.file.Sync(), p.file.Close(), p.fs.Chtimes(p.file.Name(), modified))
	p.file = nil
	return err
}
