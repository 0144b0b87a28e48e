package storage

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// ErrDiskLow is wrapped by the NOT_ENOUGH_REPLICAS of an append that was refused because the file
// system of the log directory is almost full. The append may be retried later; the log and its
// directory stay in use.
//
// The code is NOT_ENOUGH_REPLICAS because it promises that nothing was written, no client looks for
// another leader on it, and clients that retry at all retry it. KAFKA_STORAGE_ERROR is worse: some
// clients do not retry it, and others fetch the metadata with every attempt.
var ErrDiskLow = errors.New("too little free disk space")

// spaceShares are the divisors of the low watermark below which appends stop, by origin. Client
// records stop first. Followers stop while there is still space for what coordinators must write:
// committed offsets, and the markers that end transactions. When these stop as well, the rest is
// left for checkpoints, snapshots and indexes.
var spaceShares = [...]int64{record.FromClient: 1, record.FromReplication: 2, record.FromCoordinator: 4}

// spaceWatermarks returns the numbers of free bytes below which appends of one origin stop, and at
// which they continue.
func spaceWatermarks(low int64, o record.Origin) (stop, resume int64) {
	stop = low / spaceShares[o]
	return stop, stop + stop/4
}

// lowWatermark returns the low watermark of a volume of total bytes if configured is the value of
// monedula.disk.low.watermark.bytes. For -1 it is a hundredth of the volume, but at least 8 MiB and
// at most 1 GiB, and of a tiny volume an eighth.
func lowWatermark(configured, total int64) int64 {
	if configured >= 0 {
		return configured
	}
	return min(max(total/100, min(8<<20, total/8)), 1<<30)
}

// spaceSample is the free space of a file system at one moment.
type spaceSample struct {
	free  int64 // bytes
	low   int64 // the low watermark
	spent int64 // diskSpace.spent just before
}

// diskSpace decides which appends a log directory accepts. It knows the free space from the last
// sample and from what was appended since then, so an append makes no system call. Methods may be
// called concurrently.
type diskSpace struct {
	sample  atomic.Pointer[spaceSample] // nil: all appends are accepted
	spent   atomic.Int64                // bytes of all appends, including those in progress
	stopped [len(spaceShares)]atomic.Bool
}

// observe takes a sample of the free space and calls changed for each origin whose appends stop or
// continue. spent must be the value of d.spent before the space was measured, so that an append in
// between is counted twice rather than not at all.
func (d *diskSpace) observe(s spaceSample, changed func(o record.Origin, stopped bool)) {
	d.sample.Store(&s)
	for i := range d.stopped {
		o := record.Origin(i)
		stop, resume := spaceWatermarks(s.low, o)
		switch {
		case s.free < stop:
			if d.stopped[o].CompareAndSwap(false, true) {
				changed(o, true)
			}
		case s.free >= resume:
			if d.stopped[o].CompareAndSwap(true, false) {
				changed(o, false)
			}
		}
	}
}

// take accounts for an append of n bytes. It reports whether the append is accepted; if not,
// stops reports whether it is the first of its origin that is refused.
func (d *diskSpace) take(o record.Origin, n int64) (accepted, stops bool) {
	s := d.sample.Load()
	if s == nil {
		return true, false
	}
	if d.stopped[o].Load() {
		return false, false
	}
	before := d.spent.Add(n) - n
	stop, _ := spaceWatermarks(s.low, o)
	if s.free-(before-s.spent) >= stop {
		return true, false
	}
	d.spent.Add(-n)
	return false, d.stopped[o].CompareAndSwap(false, true)
}

// takeAll is like take, but requires that all n bytes are above the limit. A refusal does not stop
// the appends of the origin.
func (d *diskSpace) takeAll(o record.Origin, n int64) bool {
	if !d.fits(o, n) {
		return false
	}
	d.spent.Add(n)
	return true
}

// fits reports whether takeAll would accept n bytes.
func (d *diskSpace) fits(o record.Origin, n int64) bool {
	s := d.sample.Load()
	if s == nil {
		return true
	}
	stop, _ := spaceWatermarks(s.low, o)
	return !d.stopped[o].Load() && s.free-(d.spent.Load()-s.spent)-n >= stop
}

// refuses returns the origins whose appends are refused.
func (d *diskSpace) refuses() (origins []record.Origin) {
	for i := range d.stopped {
		if d.stopped[i].Load() {
			origins = append(origins, record.Origin(i))
		}
	}
	return origins
}

// stale reports whether enough was appended since the last sample to take a new one.
func (d *diskSpace) stale() bool {
	s := d.sample.Load()
	return s != nil && d.spent.Load()-s.spent > max(s.low/8, 1<<20)
}

// measureSpace measures the free space of the directory's file system. If it cannot be measured,
// the last sample stays valid.
func (d *logDir) measureSpace() {
	if d.lowWatermark == 0 || d.offline.Load() {
		return
	}
	d.measuring.Lock() // so that no older sample replaces a newer one
	defer d.measuring.Unlock()
	s := spaceSample{spent: d.space.spent.Load()}
	total, free, err := d.fs.Usage(d.path)
	if err != nil {
		d.log.Warnf("Cannot determine the free space of log directory %s: %v", d.path, err)
		return
	}
	s.free, s.low = free, lowWatermark(d.lowWatermark, total)
	d.space.observe(s, func(o record.Origin, stopped bool) { d.logSpace(&s, o, stopped) })
}

// reserve accounts for an append of n bytes, or refuses it with an error that wraps ErrDiskLow.
func (d *logDir) reserve(o record.Origin, n int) error {
	accepted, stops := d.space.take(o, int64(n))
	if accepted {
		if d.space.stale() && d.measureDue.CompareAndSwap(false, true) {
			d.later(func() {
				d.measureDue.Store(false)
				d.measureSpace()
			})
		}
		return nil
	}
	s := d.space.sample.Load()
	if stops {
		now := *s
		now.free -= d.space.spent.Load() - s.spent
		d.logSpace(&now, o, true)
	}
	_, resume := spaceWatermarks(s.low, o)
	return kindOf{protocol.Errorf(protocol.NotEnoughReplicas,
		"Log directory %s has too little free space. Appends continue when %d bytes are free.", d.path, resume), ErrDiskLow}
}

// spaceError reports that a log directory has too little free space for data of a size. It wraps
// ErrDiskLow.
type spaceError struct {
	dir   string
	bytes int64
}

func (e *spaceError) Error() string {
	return fmt.Sprintf("%v in log directory %s to write %d bytes", ErrDiskLow, e.dir, e.bytes)
}

func (e *spaceError) Unwrap() error { return ErrDiskLow }

// reserveAll accounts for n bytes that are written at once, or returns a spaceError if they would
// exceed the limit for appends of an origin.
func (d *logDir) reserveAll(o record.Origin, n int64) error {
	if d.space.takeAll(o, n) {
		return nil
	}
	return &spaceError{d.path, n}
}

// logSpace logs that appends of an origin stop or continue.
func (d *logDir) logSpace(s *spaceSample, o record.Origin, stopped bool) {
	effect := [...][2]string{
		record.FromClient:      {"Records from clients are accepted again.", "Records from clients are refused with NOT_ENOUGH_REPLICAS"},
		record.FromReplication: {"Replication to this directory continues.", "Replication to this directory pauses"},
		record.FromCoordinator: {"Records of coordinators are accepted again.", "Records of coordinators are refused"},
	}[o]
	stop, resume := spaceWatermarks(s.low, o)
	if !stopped {
		d.log.Infof("Log directory %s has %d bytes free. %s", d.path, s.free, effect[0])
		return
	}
	d.log.Warnf("Log directory %s has %d bytes free, fewer than %d. %s until %d bytes are free. Delete records, shorten the retention or enlarge the volume. "+
		"The limit follows from monedula.disk.low.watermark.bytes.", d.path, s.free, stop, effect[1], resume)
}

// HasSpaceFor reports whether appends of an origin are accepted, as far as the free space of the log
// directory is concerned.
func (l *Log) HasSpaceFor(o record.Origin) bool { return !l.dir.space.stopped[o].Load() }
