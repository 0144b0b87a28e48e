package storage

import (
	"time"

	"github.com/monedula/monedula/record"
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
func (l *Log) flushRolled(base record.Offset, snapshot string) {
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

// flush syncs the segments that hold offsets from the recovery point up to upTo, and then raises
// the recovery point to upTo. A segment whose base is upTo is synced only if inclusive. Flushes of
// a log run one after the other. No lock that an append needs is held while files are synced.
func (l *Log) flush(upTo record.Offset, inclusive bool) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	for {
		if err := l.check(); err != nil {
			return err // possibly of the flush that this one waited for
		}
		v, from := l.positions.loadUnflushed()
		// lastFlush also counts a flush that finds nothing to do.
		l.lastFlush.Store(l.env.now())
		if upTo < from {
			return nil
		}
		failed, err := l.syncSegments(&v, from, upTo, inclusive)
		if err == nil {
			l.positions.raiseRecoveryPoint(min(upTo, v.LogEnd), v.truncations)
			return nil
		}
		if !l.closed.Load() && !v.outdated(failed, err) {
			return l.ioError("Error while flushing log for %s in dir %s", err)
		}
	}
}

// syncSegments syncs the segments for flush. No other part of flush waits for the disk. failed is
// the segment that the error is about, or nil. The caller must hold flushing.
func (l *Log) syncSegments(v *view, from, upTo record.Offset, inclusive bool) (failed *segment, err error) {
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
		p, err := v.pin(s)
		if err != nil {
			return s, err
		}
		began := time.Now()
		err = s.sync()
		p.release()
		l.env.flushed(time.Since(began))
		if err != nil {
			return s, err
		}
	}
	if err := l.syncName(); err != nil {
		return nil, err
	}
	return nil, l.names.settle(func() error { return l.env.fs.SyncDir(l.Path()) })
}
