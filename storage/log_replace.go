package storage

import (
	"errors"
	"slices"

	"github.com/monedula/monedula/record"
)

// replacing is the error text of a replacement of segments.
const replacing = "Error while replacing segments of %s in dir %s"

// createCleaned creates the files of a segment that a cleaning writes, with the suffix .cleaned.
func (l *Log) createCleaned(base record.Offset) (*segment, error) {
	l.mu.Lock() // the directory is not renamed meanwhile
	defer l.mu.Unlock()
	if err := l.check(); err != nil {
		return nil, err
	}
	s := newSegment(l.env, l.Path(), base, l.Config())
	if err := s.createCleaned(); err != nil {
		s.drop()
		return nil, err
	}
	return s, nil
}

func (s *segment) createCleaned() (err error) {
	for _, f := range s.files() {
		f.suffix += cleanedSuffix
		if err := ignoreMissing(s.env.fs.Remove(f.name())); err != nil {
			return err
		}
	}
	if err := s.createFiles(); err != nil {
		return err
	}
	s.unfinished = true
	s.file, err = s.log.hold(true)
	return err
}

// discardCleaned removes the files of cleaned segments that are not used. If the log was closed, its
// directory is about to be deleted or will be tidied up by the next start.
func (l *Log) discardCleaned(cleaned []*segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range slices.Backward(cleaned) { // see publishSwap
		if l.check() == nil {
			files := s.files()
			for _, f := range slices.Backward(files[:]) {
				if err := ignoreMissing(l.env.fs.Remove(f.name())); err != nil {
					l.log().Warnf("Removing %s: %v", f.name(), err)
				}
			}
			if i > 0 {
				if err := l.env.fs.SyncDir(l.Path()); err != nil {
					l.log().Warnf("Removing cleaned segments: %v", err)
				}
			}
		}
		s.drop()
	}
}

// replaceSegments replaces neighbouring segments with cleaned ones, of which the first has the base
// of the first source, and whose files are complete and durable. The renames are in an order from
// which finishSwaps, or a real broker, restores either the old segments or the new ones after a
// crash: first the new files become .swap files, then the old ones are deleted, then the new ones
// get their names. It holds truncating, because a truncation between the first and the last step
// could be undone by a crash, but mu only for moments. If the sources have left the log, for example
// by retention, or the log is moving, the error is errCleaningAborted, and the log is unchanged.
func (l *Log) replaceSegments(cleaned, sources []*segment) error {
	l.truncating.Lock()
	defer l.truncating.Unlock()
	if err := l.beginSwap(cleaned, sources); err != nil {
		return err
	}
	if err := l.publishSwap(cleaned, sources); err != nil {
		return errors.Join(err, l.env.fs.SyncDir(l.Path())) // before a move begins to copy; see CreateFuture
	}
	for _, s := range sources[1:] {
		if err := l.deleteReplaced(s); err != nil {
			return err
		}
	}
	if err := l.endSwap(cleaned); err != nil {
		return err
	}
	return l.env.fs.SyncDir(l.Path())
}

// beginSwap gives the new files the suffix .swap, from the last segment to the first, and makes that
// durable. From then on a crash ends with the new segments.
func (l *Log) beginSwap(cleaned, sources []*segment) error {
	for _, s := range slices.Backward(cleaned) {
		l.mu.Lock()
		err := l.holds(sources)
		if err == nil {
			err = l.renameSegment(s, swapSuffix)
		}
		l.mu.Unlock()
		if err != nil {
			return err
		}
		if err := l.env.fs.SyncDir(l.Path()); err != nil {
			return err
		}
	}
	return nil
}

// holds returns nil if the log is open, is not moving, and has the segments, none of which is the
// active one. If the log is open, the error is errCleaningAborted. The caller must hold mu.
func (l *Log) holds(sources []*segment) error {
	if err := l.check(); err != nil {
		return err
	}
	if l.moving.Load() {
		return errCleaningAborted
	}
	v := l.positions.load()
	i := slices.Index(v.segments, sources[0])
	if i < 0 || i+len(sources) >= len(v.segments) || !slices.Equal(v.segments[i:i+len(sources)], sources) {
		return errCleaningAborted
	}
	return nil
}

// publishSwap puts the new segments into the log, and sets aside the old one with the base of the
// first.
func (l *Log) publishSwap(cleaned, sources []*segment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.holds(sources); err != nil {
		if l.check() == nil {
			// A .cleaned file at or below a .swap file makes a start remove both.
			err = errors.Join(err, cleaned[0].log.rename(logSuffix+cleanedSuffix))
		}
		return err
	}
	return l.change(replacing, func() error {
		p := &l.positions
		p.mu.Lock()
		i := slices.Index(p.v.segments, sources[0])
		segments := slices.Clone(p.v.segments)
		p.v.segments = slices.Replace(segments, i, i+len(sources), cleaned...)
		p.v.replacements++
		p.mu.Unlock()
		if err := l.markDeleted(sources[0]); err != nil {
			return err
		}
		l.removeLater(sources[0])
		return nil
	})
}

// deleteReplaced deletes the files of a segment that is no longer in the log, and the producer
// snapshot at its base. It makes that durable, because finishSwaps keeps segments that begin above the
// end of the new ones: a value could return from one of them if its tombstone, in a later one, does
// not.
func (l *Log) deleteReplaced(s *segment) error {
	l.mu.Lock()
	err := l.check()
	if err == nil {
		err = l.change(replacing, func() error { return l.deleteSegments([]*segment{s}) })
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.env.fs.SyncDir(l.Path())
}

// endSwap gives the new files their names.
func (l *Log) endSwap(cleaned []*segment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(); err != nil {
		return err
	}
	v := l.positions.load()
	for _, s := range cleaned {
		if !slices.Contains(v.segments, s) {
			continue // retention has deleted it, under whatever name
		}
		if err := l.change(replacing, func() error { return l.renameSegment(s, "") }); err != nil {
			return err
		}
	}
	return nil
}
