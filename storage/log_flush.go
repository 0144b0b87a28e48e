package storage

import (
	"errors"
	"io/fs"
	"os"
	"slices"
)

// Flush makes everything below the log end durable.
func (l *Log) Flush() error {
	if err := l.check(); err != nil {
		return err
	}
	return l.flush(l.Offsets().LogEnd, true)
}

// flushRolled makes durable what a roll left unsynced: the segments below the new one's base, and
// the producer snapshot taken there.
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

// flush syncs the segments that hold offsets from the recovery point up to upTo, and then raises
// the recovery point to upTo. A segment whose base is upTo is synced only if inclusive. Flushes of
// a log run one after the other. No lock that an append needs is held while files are synced.
func (l *Log) flush(upTo int64, inclusive bool) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	for {
		if err := l.check(); err != nil {
			return err // also if the flush that this one waited for has failed
		}
		l.positions.mu.Lock()
		v, from := l.positions.v, l.positions.recoveryPoint
		l.positions.mu.Unlock()
		// lastFlush also counts a flush that finds nothing to do.
		l.lastFlush.Store(l.env.now())
		if upTo < from {
			return nil
		}
		failed, err := l.syncSegments(&v, from, upTo, inclusive)
		if err == nil {
			l.raiseRecoveryPoint(min(upTo, v.LogEnd), v.truncations)
			return nil
		}
		if !l.closed.Load() && !l.outdated(&v, failed, err) {
			return l.ioError("Error while flushing log for %s in dir %s", err)
		}
	}
}

// raiseRecoveryPoint records that everything below upTo is durable, unless the log was truncated in
// the meantime: offsets below upTo may then be new ones that are not synced yet. upTo is at most
// the end of the log that was synced.
func (l *Log) raiseRecoveryPoint(upTo, truncations int64) {
	p := &l.positions
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.v.truncations == truncations && upTo > p.recoveryPoint {
		p.recoveryPoint = max(p.recoveryPoint, min(upTo, p.v.LogEnd, p.recoveryLimit))
	}
}

// outdated reports whether an error of syncSegments is due to the outdated view and not to the
// disk: the segment has left the log, or a file was opened under a name that it no longer has. An
// error of a segment that the log still has is never outdated, because the system reports a failed
// write only once.
func (l *Log) outdated(v *view, failed *segment, err error) bool {
	now := l.positions.load()
	if failed != nil && !slices.Contains(now.segments, failed) {
		return true
	}
	stale := errors.Is(err, errSegmentGone) || errors.Is(err, fs.ErrNotExist)
	return stale && (now.moves != v.moves || now.truncations != v.truncations)
}

// syncSegments is the part of flush that waits for the disk. failed is the segment that an error is
// about, if any. The caller must hold flushing.
func (l *Log) syncSegments(v *view, from, upTo int64, inclusive bool) (failed *segment, err error) {
	if err := l.epochs.flush(); err != nil {
		return nil, err
	}
	// The previous segment is synced too: if it was flushed to its end before it was rolled, the
	// roll has changed its indexes since.
	for i := max(v.floor(from)-1, 0); i < len(v.segments); i++ {
		s := v.segments[i]
		if s.base > upTo || s.base == upTo && !inclusive {
			break
		}
		if !s.unsynced.pending() {
			continue
		}
		p, err := l.pin(v, s)
		if err != nil {
			return s, err
		}
		err = s.sync()
		p.release()
		if err != nil {
			return s, err
		}
	}
	if err := l.syncName(); err != nil {
		return nil, err
	}
	return nil, l.names.settle(func() error { return l.env.fs.SyncDir(l.Path()) })
}

// syncName makes the name of the partition directory durable. The caller must
// hold flushing.
func (l *Log) syncName() error {
	return l.dirName.settle(func() error { return l.env.fs.SyncDir(l.dir.path) })
}
