package storage

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// overflowError names a segment that has offsets too far from its base (KAFKA-6264): compaction by
// old brokers could merge that much into one file. Such a segment is split when it is recovered, or
// when it is cleaned.
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

// outOfReach reports whether a batch is too far from the base offset of a segment to belong to it.
func outOfReach(base record.Offset, b record.Batch) bool {
	d := b.LastOffset() - base
	return d < 0 || d > math.MaxInt32
}

// split replaces an overflowed segment with several. The new files are complete and durable before
// they are renamed to .swap, from the last to the first, so that a crash leaves either the old
// segment or a set with which finishSwaps can replace it.
func (ld *loader) split(s *segment) error {
	modified, err := s.modified()
	if err != nil {
		return err
	}
	bases, err := ld.copyParts(s, time.UnixMilli(modified))
	if err != nil {
		return err
	}
	for _, base := range slices.Backward(bases) {
		name := segmentPath(ld.path, base, logSuffix)
		if err := ld.env.fs.Rename(name+cleanedSuffix, name+swapSuffix); err != nil {
			return err
		}
		if err := ld.env.fs.SyncDir(ld.path); err != nil {
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

// divider returns a function that divides the batches of an overflowed segment, which it must be
// called with one after another, into parts. It calls begin with the base of each part, and then add
// with each of its batches. The first part has the base of the segment, so that finishSwaps finds the
// files it replaces; it is empty if all batches are out of its reach.
func (s *segment) divider(begin func(base record.Offset) error, add func(record.Batch) error) func(record.Batch) error {
	base, first := s.base, true
	return func(b record.Batch) error {
		if first {
			first = false
			base = min(base, b.LastOffset())
			if err := begin(base); err != nil {
				return err
			}
		}
		if outOfReach(base, b) {
			base = b.BaseOffset()
			if err := begin(base); err != nil {
				return err
			}
		}
		return add(b)
	}
}

// copyParts writes the parts as .cleaned files and returns their base offsets. It writes no indexes;
// they are built when the parts are loaded.
func (ld *loader) copyParts(s *segment, modified time.Time) (bases []record.Offset, err error) {
	p, err := s.pin()
	if err != nil {
		return nil, err
	}
	defer p.release()
	var part *partWriter
	defer func() { err = errors.Join(err, part.finish(modified)) }()
	divide := s.divider(func(base record.Offset) (err error) {
		if err := part.finish(modified); err != nil {
			return err
		}
		part, err = ld.newPart(base)
		bases = append(bases, base)
		return err
	}, func(b record.Batch) error { return part.write(b) })
	var scan batchScan
	scan.begin(p.handle, 0, s.size.Load(), true, &ld.env.buffers)
	defer scan.close()
	for {
		b, at, err := scan.next()
		if err != nil || b == nil {
			return bases, err
		}
		if err := divide(b); err != nil {
			return nil, fmt.Errorf("copying the batch at position %d of %s: %w", at, s.log.name(), err)
		}
	}
}

// partWriter writes one part of a segment that is being split.
type partWriter struct {
	fs   vfs.FS
	file vfs.File // nil once finished
	size int64
}

func (ld *loader) newPart(base record.Offset) (*partWriter, error) {
	file, err := ld.env.fs.OpenFile(segmentPath(ld.path, base, logSuffix)+cleanedSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	return &partWriter{fs: ld.env.fs, file: file}, err
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

// split replaces an overflowed segment with several, so that they can be cleaned.
func (c *cleaning) split(s *segment) error {
	c.log.Infof("Splitting overflowed segment %v", s)
	if err := c.l.dir.reserveAll(record.FromReplication, s.size.Load()); err != nil {
		return err
	}
	parts, err := c.copyParts(s)
	return c.replace(err, parts, []*segment{s})
}

// copyParts writes the parts of an overflowed segment. It returns those that it created even if it
// fails.
func (c *cleaning) copyParts(s *segment) (parts []*segment, err error) {
	err = c.scan(s, 0, s.divider(func(base record.Offset) error {
		if n := len(parts); n == 0 && base < s.base || n > 0 && base <= parts[n-1].base {
			return protocol.Errorf(protocol.CorruptMessage, "the offsets do not increase")
		}
		if err := c.writeLast(parts); err != nil {
			return err
		}
		part, err := c.l.createCleaned(base)
		if err == nil {
			parts = append(parts, part)
		}
		return err
	}, func(b record.Batch) error {
		if c.out = append(c.out, b...); len(c.out) < c.chunk {
			return nil
		}
		return c.writeLast(parts)
	}))
	if err == nil {
		err = c.writeLast(parts)
	}
	if err != nil {
		return parts, err
	}
	aborted, err := s.txns.all()
	if err != nil {
		return parts, err
	}
	for _, t := range aborted {
		i := len(parts) - 1
		for i > 0 && parts[i].base > t.lastOffset {
			i--
		}
		if err := parts[i].txns.append(t); err != nil {
			return parts, err
		}
	}
	return parts, nil
}

// writeLast writes the batches that were copied to the last part.
func (c *cleaning) writeLast(parts []*segment) error {
	if len(parts) == 0 {
		return nil
	}
	return c.write(parts[len(parts)-1])
}
