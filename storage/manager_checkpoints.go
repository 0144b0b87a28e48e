package storage

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// isDamage reports whether an error is due to a checkpoint file's content and not to the disk.
func isDamage(err error) bool {
	return errors.Is(err, errMalformedCheckpoint) || errors.Is(err, errCheckpointNumber)
}

func isFatal(err error) bool {
	var f fatalError
	return errors.As(err, &f)
}

// checkpointRecoveryPoints writes the recovery points of a directory's logs.
func (m *Manager) checkpointRecoveryPoints(d *logDir) {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	if d.check() != nil {
		return
	}
	logs := m.logs.inDir(d)
	offsets := make(map[TopicPartition]record.Offset, len(logs))
	for _, l := range logs {
		offsets[l.tp] = l.RecoveryPoint()
	}
	m.logs.eachUnserved(d, func(tp TopicPartition, u *unservedLog) { offsets[tp] = u.recoveryPoint })
	if err := d.writeCheckpoint(recoveryPointFile, offsets); err != nil {
		d.fail("Disk error while writing recovery offsets checkpoint in directory "+d.path, err)
	}
}

// checkpointLogStarts writes the log starts of a directory's logs, except those implied by the name
// of the first segment. Such an exception requires that the name is durable: if the file were lost,
// the log would start at 0 again.
func (m *Manager) checkpointLogStarts(d *logDir) {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	if d.check() != nil {
		return
	}
	offsets := make(map[TopicPartition]record.Offset)
	for _, l := range m.logs.inDir(d) {
		v := l.positions.load()
		if v.LogStart > v.segments[0].base || v.LogStart > 0 && l.names.pending() { // evaluate in this order
			offsets[l.tp] = v.LogStart
		}
	}
	m.logs.eachUnserved(d, func(tp TopicPartition, u *unservedLog) { offsets[tp] = u.logStart })
	if err := d.writeCheckpoint(logStartFile, offsets); err != nil {
		d.fail("Disk error while writing log start offsets checkpoint in directory "+d.path, err)
	}
}

// writeCheckpoint replaces one of the directory's checkpoint files. The caller must hold
// checkpointMu.
func (d *logDir) writeCheckpoint(name string, offsets map[TopicPartition]record.Offset) error {
	if err := writeOffsetCheckpoint(d.fs, d.file(name), offsets); err != nil {
		return err
	}
	d.checkpoints[name] = offsets
	return nil
}

// checkpointed returns the offset that one of the directory's checkpoint files holds for a
// partition, -1 if it has none.
func (d *logDir) checkpointed(name string, tp TopicPartition) record.Offset {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	if offset, named := d.checkpoints[name][tp]; named {
		return offset
	}
	return -1
}

// lowerCheckpoints lowers, at once, the entries of some partitions in the directory's checkpoint
// files that are above the current state of their logs, and removes the entries of partitions
// without a log. An entry of a deleted or truncated log must not be applied to other records at the
// same offsets: after a crash, recovery would skip records that were never synced, or take the log
// for lost.
func (m *Manager) lowerCheckpoints(d *logDir, tps ...TopicPartition) {
	m.lowerTo(d, tps, func(tp TopicPartition, name string) (record.Offset, bool) { return m.checkpointLimit(d, tp, name) })
}

// ExpectTruncations lowers the checkpoints of logs that are about to be truncated to these offsets,
// in one write for each directory. It only saves time: a truncation below a checkpointed offset
// that was not announced here rewrites the file of its directory itself.
func (m *Manager) ExpectTruncations(offsets map[TopicPartition]record.Offset) {
	in := map[*logDir][]TopicPartition{}
	for tp := range offsets {
		if l := m.logs.get(tp, false); l != nil {
			in[l.dir] = append(in[l.dir], tp)
		}
	}
	for d, tps := range in {
		m.lowerTo(d, tps, func(tp TopicPartition, name string) (record.Offset, bool) {
			limit, known := m.checkpointLimit(d, tp, name)
			if known && name != logStartFile {
				limit = min(limit, max(offsets[tp], 0))
			}
			return limit, known
		})
	}
}

// lowerTo lowers the entries of some partitions in the directory's checkpoint files to the limits
// that of returns, and removes an entry whose limit is not known.
func (m *Manager) lowerTo(d *logDir, tps []TopicPartition, of func(tp TopicPartition, name string) (limit record.Offset, known bool)) {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	if d.check() != nil {
		return
	}
	for _, name := range [...]string{recoveryPointFile, logStartFile, highWatermarkFile} {
		lowered := map[TopicPartition]record.Offset(nil)
		for _, tp := range tps {
			offset, named := d.checkpoints[name][tp]
			limit, known := of(tp, name)
			if !named || known && offset <= limit {
				continue
			}
			if lowered == nil {
				lowered = maps.Clone(d.checkpoints[name])
			}
			if lowered[tp] = limit; !known {
				delete(lowered, tp)
			}
		}
		if lowered == nil {
			continue
		}
		if err := d.writeCheckpoint(name, lowered); err != nil {
			d.fail("Disk error while writing "+name+" in directory "+d.path, err)
			return
		}
		if name == highWatermarkFile {
			d.highWatermarks.write++ // makes the next checkpoint of high watermarks write all of them again
		}
	}
}

// checkpointLimit returns the highest offset that a checkpoint file may hold for a partition; known
// is false if the directory has no log of the partition.
func (m *Manager) checkpointLimit(d *logDir, tp TopicPartition, name string) (limit record.Offset, known bool) {
	if m.logs.isUnserved(tp, d) {
		return math.MaxInt64, true
	}
	l := m.logs.get(tp, false)
	if l == nil || l.dir != d {
		l = m.logs.get(tp, true)
	}
	if l == nil || l.dir != d {
		return 0, false
	}
	switch o := l.Offsets(); name {
	case recoveryPointFile:
		return l.RecoveryPoint(), true
	case logStartFile:
		return o.LogStart, true
	default:
		return o.LogEnd, true
	}
}

// lowerAllCheckpoints calls lowerCheckpoints for all partitions in the files.
func (m *Manager) lowerAllCheckpoints(d *logDir) {
	named := map[TopicPartition]struct{}{}
	d.checkpointMu.Lock()
	for _, offsets := range d.checkpoints {
		for tp := range offsets {
			named[tp] = struct{}{}
		}
	}
	d.checkpointMu.Unlock()
	m.lowerCheckpoints(d, slices.Collect(maps.Keys(named))...)
}

// ReadHighWatermarks reads the directory's replication-offset-checkpoint. A damaged file counts as
// empty.
func (m *Manager) ReadHighWatermarks(dir string) (map[TopicPartition]record.Offset, error) {
	d, err := m.dir(dir)
	if err != nil {
		return nil, err
	}
	offsets, err := readOffsetCheckpoint(m.config.FS, d.file(highWatermarkFile))
	if err != nil && isDamage(err) {
		m.log.Warnf("Error occurred while reading %s file of directory %s, resetting the high watermarks to 0: %v", highWatermarkFile, d.path, err)
		return nil, nil
	}
	if err != nil {
		return nil, d.fail("Error while reading checkpoint file "+d.file(highWatermarkFile), err)
	}
	return offsets, nil
}

// CheckpointHighWatermarks writes the high watermarks of logs, which must be in the directory, to
// its replication-offset-checkpoint, and removes all other entries. It writes nothing if the file
// already holds exactly these. An I/O error takes the directory offline.
func (m *Manager) CheckpointHighWatermarks(dir string, logs []*Log) error {
	d, err := m.dir(dir)
	if err != nil {
		return err
	}
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	if err := d.check(); err != nil {
		return err
	}
	if !d.highWatermarksMoved(logs) {
		return nil
	}
	offsets := make(map[TopicPartition]record.Offset, len(logs))
	for _, l := range logs {
		offsets[l.tp] = l.Offsets().HighWatermark
	}
	if err := d.writeCheckpoint(highWatermarkFile, offsets); err != nil {
		return d.fail("Error while writing to high watermark file in directory "+d.path, err)
	}
	d.highWatermarks.write++
	d.highWatermarks.logs = len(logs)
	for _, l := range logs {
		l.checkpointedHigh = highWatermarkWrite{d.highWatermarks.write, offsets[l.tp]}
	}
	return nil
}

// highWatermarkWrite is a log's high watermark in one write of its directory's checkpoint.
type highWatermarkWrite struct {
	write int64
	high  record.Offset
}

// highWatermarksMoved reports whether the last write was of other logs, or of other high
// watermarks. The caller must hold checkpointMu.
func (d *logDir) highWatermarksMoved(logs []*Log) bool {
	last := d.highWatermarks
	return len(logs) != last.logs || slices.ContainsFunc(logs, func(l *Log) bool {
		return l.checkpointedHigh != highWatermarkWrite{last.write, l.Offsets().HighWatermark}
	})
}

// dir returns the online directory with the given path. A directory that is not configured is
// LOG_DIR_NOT_FOUND, an offline one KAFKA_STORAGE_ERROR.
func (m *Manager) dir(path string) (*logDir, error) {
	for _, d := range m.dirs {
		if d.path == path {
			return d, d.check()
		}
	}
	return nil, protocol.Errorf(protocol.LogDirNotFound, "Log dir %s is not found in the config.", path)
}

// cleanStop ends the clean shutdown of a directory: it writes the final checkpoints and, if all
// logs are in order, the marker.
func (m *Manager) cleanStop(d *logDir) {
	if d.loaded || d.partlyLoaded {
		// Otherwise the files have entries of logs that this run has not seen.
		m.checkpointRecoveryPoints(d)
		m.checkpointLogStarts(d)
	}
	// A shutdown while logs were still being recovered must not write the marker unless the
	// previous shutdown was clean.
	if d.check() != nil || !d.cleanAtStart && !d.loaded {
		return
	}
	if err := writeCleanShutdown(m.config.FS, d.path); err != nil {
		m.log.Warnf("%v", fmt.Errorf("Writing the clean shutdown marker in %s: %w", d.path, err))
	}
}
