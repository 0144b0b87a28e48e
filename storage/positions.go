package storage

import (
	"errors"
	"io/fs"
	"slices"
	"sort"
	"sync"

	"github.com/monedula/monedula/record"
)

// view is a reader's view of a log: an immutable value, copied whole under positions.mu. There is
// at least one segment, and the segments are in order of base offset. The slice is never changed:
// roll, truncation and retention replace it.
//
// Always LogStart <= LastStable <= HighWatermark <= LogEnd.
type view struct {
	Offsets
	of       *positions // that the view was taken of
	segments []*segment
	// endPosition is the size of the last segment's data below LogEnd. Readers must take it from
	// here and not from the file, which may already be longer.
	endPosition int64
	// truncations counts the cuts that may have made bytes unreadable; see view.pin. moves counts
	// renames of the log's directory, and replacements those of segments by cleaned ones.
	truncations, moves, replacements int64
}

// positions guards a log's view. The mutex is held only to copy or replace the value, never during
// I/O; it may be taken while a log's mu is held.
type positions struct {
	mu sync.Mutex
	v  view
	// firstUnstable is the first offset of the oldest transaction that is open or whose marker is
	// not below the high watermark; -1 for none.
	firstUnstable record.Offset
	recoveryPoint record.Offset
	// recoveryLimit is the offset at which a truncation is about to cut: no flush raises the
	// recovery point above it.
	recoveryLimit record.Offset
	// observer is called with mu held whenever the offsets may have moved; nil for none. See
	// Log.Observe.
	observer func()
}

// limitRecoveryPoint sets recoveryLimit, lowers the recovery point to it, and returns the previous
// recovery point.
func (p *positions) limitRecoveryPoint(limit record.Offset) (before record.Offset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before = p.recoveryPoint
	p.recoveryLimit = limit
	p.recoveryPoint = min(before, limit)
	return before
}

func (p *positions) load() view {
	v, _ := p.loadUnflushed()
	return v
}

func (p *positions) offsets() Offsets {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.v.Offsets
}

// loadUnflushed returns the view together with the recovery point.
func (p *positions) loadUnflushed() (v view, recoveryPoint record.Offset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v = p.v
	v.of = p
	return v, p.recoveryPoint
}

// active returns the segment that is appended to. The caller must hold the log's mu.
func (p *positions) active() *segment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.v.active()
}

// publish makes an append visible to readers: its end and, atomically with it, the first offset of
// the transactions that hold back the last stable offset. It returns the number of offsets that are
// not flushed.
func (p *positions) publish(logEnd record.Offset, endPosition int64, firstUnstable record.Offset) (unflushed int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.v.LogEnd, p.v.endPosition = logEnd, endPosition
	p.firstUnstable = firstUnstable
	p.settle()
	return p.unflushedLocked()
}

// setFirstUnstable sets the first offset of the transactions that hold back the last stable offset;
// ok is false if there are none.
func (p *positions) setFirstUnstable(offset record.Offset, ok bool) {
	if !ok {
		offset = -1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.firstUnstable = offset
	p.settle()
}

// raiseRecoveryPoint records that everything below upTo is durable, unless the log was truncated in
// the meantime: offsets below upTo may then be new ones that are not synced yet. upTo is at most
// the end of the log that was synced.
func (p *positions) raiseRecoveryPoint(upTo record.Offset, truncations int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.v.truncations == truncations && upTo > p.recoveryPoint {
		p.recoveryPoint = max(p.recoveryPoint, min(upTo, p.v.LogEnd, p.recoveryLimit))
	}
}

// settle restores the order of the offsets after any of them moved, and reports
// the move to the observer. The caller must hold p.mu.
func (p *positions) settle() {
	v := &p.v
	v.HighWatermark = min(max(v.HighWatermark, v.LogStart), v.LogEnd)
	v.LastStable = v.HighWatermark
	if p.firstUnstable >= 0 {
		v.LastStable = min(max(p.firstUnstable, v.LogStart), v.HighWatermark)
	}
	p.recoveryPoint = min(p.recoveryPoint, v.LogEnd)
	p.moved()
}

// moved reports to the observer that the offsets may have moved. The caller
// must hold p.mu.
func (p *positions) moved() {
	if p.observer != nil {
		p.observer()
	}
}

// unflushed returns the number of offsets not known to be durable.
func (p *positions) unflushed() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unflushedLocked()
}

// unflushedLocked returns the number of offsets not known to be durable. The caller must hold p.mu.
func (p *positions) unflushedLocked() int64 {
	return int64(p.v.LogEnd - max(p.recoveryPoint, p.v.LogStart))
}

func (v *view) active() *segment { return v.segments[len(v.segments)-1] }

// pin pins a segment of the view, unless the log was cut since the view was taken.
func (v *view) pin(s *segment) (pin, error) {
	p, err := s.pin()
	if err != nil {
		return p, err
	}
	// A truncation first counts itself, then looks for pins. So either the truncation sees this
	// pin, or the pin sees the truncation here.
	v.of.mu.Lock()
	cut := v.of.v.truncations != v.truncations
	v.of.mu.Unlock()
	if cut {
		p.release()
		return p, errSegmentGone
	}
	return p, nil
}

// outdated reports whether an error of a flush is due to the outdated view and not to the disk: the
// segment that failed has left the log, or a file was opened under a name that it no longer has. An
// error of a segment that the log still has is never outdated, because the system reports a failed
// write only once.
func (v *view) outdated(failed *segment, err error) bool {
	now := v.of.load()
	if failed != nil && !slices.Contains(now.segments, failed) {
		return true
	}
	stale := errors.Is(err, errSegmentGone) || errors.Is(err, fs.ErrNotExist)
	return stale && (now.moves != v.moves || now.truncations != v.truncations)
}

// floor returns the index of the last segment whose base is at or below offset, -1 if there is
// none.
func (v *view) floor(offset record.Offset) int {
	return sort.Search(len(v.segments), func(i int) bool { return v.segments[i].base > offset }) - 1
}

// end returns the position after the last readable byte of segment i.
func (v *view) end(i int) int64 {
	if i == len(v.segments)-1 {
		return v.endPosition
	}
	return v.segments[i].size.Load()
}

// Bound returns the offset up to which a reader with the bound b may read.
func (o Offsets) Bound(b Bound) record.Offset {
	switch b {
	case UpToHighWatermark:
		return o.HighWatermark
	case UpToLastStable:
		return o.LastStable
	default:
		return o.LogEnd
	}
}
