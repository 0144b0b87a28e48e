package storage

import (
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/monedula/monedula/record"
)

// dirCheckpoints are the four checkpoint files of a log directory: the recovery points, log starts
// and high watermarks of its logs, and the offsets up to which they are cleaned.
type dirCheckpoints struct {
	dir  *logDir
	logs *logTable

	mu sync.Mutex // one writer of the files at a time; guards the fields below
	// files holds the content of the files, by name. The maps never change.
	files map[string]map[TopicPartition]record.Offset
	// highWatermarks describes the last write of the high watermarks.
	highWatermarks struct {
		write int64 // the number of the write; 0 for none in this run
		logs  int   // the number of logs written
	}
}

// read takes the content of the files, by name, as it was read from disk.
func (c *dirCheckpoints) read(files map[string]map[TopicPartition]record.Offset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files = files
}

// offset returns the offset that one of the files holds for a partition, -1 if it has none.
func (c *dirCheckpoints) offset(name string, tp TopicPartition) record.Offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	if offset, named := c.files[name][tp]; named {
		return offset
	}
	return -1
}

// writeRecoveryPoints writes the recovery points of the directory's logs.
func (c *dirCheckpoints) writeRecoveryPoints() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dir.check() != nil {
		return
	}
	logs := c.logs.inDir(c.dir)
	offsets := make(map[TopicPartition]record.Offset, len(logs))
	for _, l := range logs {
		offsets[l.tp] = l.RecoveryPoint()
	}
	c.logs.eachUnserved(c.dir, func(tp TopicPartition, u *unservedLog) { offsets[tp] = u.recoveryPoint })
	if err := c.write(recoveryPointFile, offsets); err != nil {
		c.dir.fail("Disk error while writing recovery offsets checkpoint in directory "+c.dir.path, err)
	}
}

// writeLogStarts writes the log starts of the directory's logs, except those implied by the name of
// the first segment. Such an exception requires that the name is durable: if the file were lost,
// the log would start at 0 again.
func (c *dirCheckpoints) writeLogStarts() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dir.check() != nil {
		return
	}
	offsets := make(map[TopicPartition]record.Offset)
	for _, l := range c.logs.inDir(c.dir) {
		v := l.positions.load()
		if v.LogStart > v.segments[0].base || v.LogStart > 0 && l.names.pending() { // evaluate in this order
			offsets[l.tp] = v.LogStart
		}
	}
	c.logs.eachUnserved(c.dir, func(tp TopicPartition, u *unservedLog) { offsets[tp] = u.logStart })
	if err := c.write(logStartFile, offsets); err != nil {
		c.dir.fail("Disk error while writing log start offsets checkpoint in directory "+c.dir.path, err)
	}
}

// writeHighWatermarks writes the high watermarks of logs, which must be in the directory, and
// removes all other entries. It writes nothing if the file already holds exactly these.
func (c *dirCheckpoints) writeHighWatermarks(logs []*Log) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.dir.check(); err != nil {
		return err
	}
	if !c.highWatermarksMoved(logs) {
		return nil
	}
	offsets := make(map[TopicPartition]record.Offset, len(logs))
	for _, l := range logs {
		offsets[l.tp] = l.Offsets().HighWatermark
	}
	if err := c.write(highWatermarkFile, offsets); err != nil {
		return c.dir.fail("Error while writing to high watermark file in directory "+c.dir.path, err)
	}
	c.highWatermarks.write++
	c.highWatermarks.logs = len(logs)
	for _, l := range logs {
		l.checkpointedHigh = highWatermarkWrite{c.highWatermarks.write, offsets[l.tp]}
	}
	return nil
}

// writeCleaned records that a log, which must be in the directory, is clean up to an offset. It does
// nothing if the log was truncated since: truncations is the view's count when the cleaning began.
func (c *dirCheckpoints) writeCleaned(l *Log, offset record.Offset, truncations int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := l.positions.load()
	limit, known := c.limit(l.tp, cleanerOffsetFile)
	if !known || v.truncations != truncations || l.check() != nil {
		return
	}
	offset = min(offset, limit)
	if old, named := c.files[cleanerOffsetFile][l.tp]; named && old == offset {
		return
	}
	offsets := maps.Clone(c.files[cleanerOffsetFile])
	if offsets == nil {
		offsets = map[TopicPartition]record.Offset{}
	}
	offsets[l.tp] = offset
	if err := c.write(cleanerOffsetFile, offsets); err != nil {
		c.dir.fail("Failed to access checkpoint file "+c.dir.file(cleanerOffsetFile)+" in dir "+c.dir.path, err)
	}
}

// highWatermarkWrite is a log's high watermark in one write of its directory's checkpoint.
type highWatermarkWrite struct {
	write int64
	high  record.Offset
}

// highWatermarksMoved reports whether the last write was of other logs, or of other high
// watermarks. The caller must hold mu.
func (c *dirCheckpoints) highWatermarksMoved(logs []*Log) bool {
	last := c.highWatermarks
	return len(logs) != last.logs || slices.ContainsFunc(logs, func(l *Log) bool {
		return l.checkpointedHigh != highWatermarkWrite{last.write, l.Offsets().HighWatermark}
	})
}

// write replaces one of the files. The caller must hold mu.
func (c *dirCheckpoints) write(name string, offsets map[TopicPartition]record.Offset) error {
	if err := writeOffsetCheckpoint(c.dir.fs, c.dir.file(name), offsets); err != nil {
		return err
	}
	c.files[name] = offsets
	return nil
}

// lower lowers, at once, the entries of some partitions that are above the current state of their
// logs, and removes the entries of partitions without a log. An entry of a deleted or truncated log
// must not be applied to other records at the same offsets: after a crash, recovery would skip
// records that were never synced, or take the log for lost.
func (c *dirCheckpoints) lower(tps ...TopicPartition) { c.lowerTo(tps, c.limit) }

// lowerTo lowers the entries of some partitions to the limits that of returns, and removes an entry
// whose limit is not known.
func (c *dirCheckpoints) lowerTo(tps []TopicPartition, of func(tp TopicPartition, name string) (limit record.Offset, known bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dir.check() != nil {
		return
	}
	for _, name := range [...]string{recoveryPointFile, logStartFile, highWatermarkFile, cleanerOffsetFile} {
		lowered := map[TopicPartition]record.Offset(nil)
		for _, tp := range tps {
			offset, named := c.files[name][tp]
			limit, known := of(tp, name)
			if !named || known && offset <= limit {
				continue
			}
			if lowered == nil {
				lowered = maps.Clone(c.files[name])
			}
			if lowered[tp] = limit; !known {
				delete(lowered, tp)
			}
		}
		if lowered == nil {
			continue
		}
		if err := c.write(name, lowered); err != nil {
			c.dir.fail("Disk error while writing "+name+" in directory "+c.dir.path, err)
			return
		}
		if name == highWatermarkFile {
			c.highWatermarks.write++ // makes the next checkpoint of high watermarks write all of them again
		}
	}
}

// limit returns the highest offset that a file may hold for a partition; known is false if the
// directory has no log of the partition.
func (c *dirCheckpoints) limit(tp TopicPartition, name string) (limit record.Offset, known bool) {
	if c.logs.isUnserved(tp, c.dir) {
		return math.MaxInt64, true
	}
	l := c.logs.get(tp, false)
	if l == nil || l.dir != c.dir {
		l = c.logs.get(tp, true)
	}
	if l == nil || l.dir != c.dir {
		return 0, false
	}
	switch o := l.Offsets(); name {
	case recoveryPointFile:
		return l.RecoveryPoint(), true
	case logStartFile:
		return o.LogStart, true
	case cleanerOffsetFile:
		v := l.positions.load()
		return v.active().base, true
	default:
		return o.LogEnd, true
	}
}

// lowerAll calls lower for all partitions in the files.
func (c *dirCheckpoints) lowerAll() {
	named := map[TopicPartition]struct{}{}
	c.mu.Lock()
	for _, offsets := range c.files {
		for tp := range offsets {
			named[tp] = struct{}{}
		}
	}
	c.mu.Unlock()
	c.lower(slices.Collect(maps.Keys(named))...)
}
