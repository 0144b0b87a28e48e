package storage

import "os"

// Flush makes everything below the log end durable.
func (l *Log) Flush() error {
	if err := l.check(); err != nil {
		return err
	}
	return l.flush(l.Offsets().LogEnd, true)
}

// flushRolled makes durable what a roll left behind: the segments below the new
// one's base, and the producer snapshot taken there.
func (l *Log) flushRolled(base int64, snapshot string) {
	if l.check() != nil {
		return
	}
	if snapshot != "" {
		if err := l.syncFile(snapshot); err != nil {
			l.ioError("Error while flushing producer state snapshot for %s in dir %s", err)
			return
		}
	}
	if err := l.flush(base, false); err != nil {
		l.log().Debugf("flush up to %d: %v", base, err)
	}
}

func (l *Log) syncFile(name string) error {
	f, err := l.env.fs.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return ignoreMissing(err)
	}
	defer f.Close()
	return f.Sync()
}

// flush syncs the segments that hold offsets from the recovery point up to
// upTo, whose own segment counts only when inclusive, and then raises the
// recovery point to upTo. No lock is held while files are synced.
func (l *Log) flush(upTo int64, inclusive bool) error {
	l.positions.mu.Lock()
	v, from := l.positions.v, l.positions.recoveryPoint
	l.positions.mu.Unlock()
	// lastFlush also counts a flush that finds nothing to do.
	l.lastFlush.Store(l.env.now())
	if upTo < from {
		return nil
	}
	if err := l.syncSegments(&v, from, upTo, inclusive); err != nil {
		if l.changedSince(&v) || l.closed.Load() {
			return nil // what was to be flushed is gone
		}
		return l.ioError("Error while flushing log for %s in dir %s", err)
	}
	p := &l.positions
	p.mu.Lock()
	defer p.mu.Unlock()
	// After a truncation offsets below upTo may be new ones, not synced yet.
	if p.v.truncations == v.truncations && upTo > p.recoveryPoint {
		p.recoveryPoint = min(upTo, p.v.LogEnd)
	}
	return nil
}

func (l *Log) syncSegments(v *view, from, upTo int64, inclusive bool) error {
	if err := l.epochs.flush(); err != nil {
		return err
	}
	newNames := false
	// The segment before counts too: if it was flushed to its end and then
	// rolled, the roll has still changed its indexes.
	for i := max(v.floor(from)-1, 0); i < len(v.segments); i++ {
		s := v.segments[i]
		if s.base > upTo || s.base == upTo && !inclusive {
			break
		}
		if !s.dirty.Load() {
			continue
		}
		newNames = newNames || s.base >= from
		p, err := l.pin(v, s)
		if err != nil {
			return err
		}
		err = s.sync()
		p.release()
		if err != nil {
			return err
		}
	}
	if newNames && l.isNew.Swap(false) {
		// The name of the log's own directory was not made durable at its creation.
		if err := l.env.fs.SyncDir(l.dir.path); err != nil {
			l.isNew.Store(true)
			return err
		}
	}
	if newNames {
		return l.env.fs.SyncDir(l.Path())
	}
	return nil
}
