package storage

import (
	"fmt"

	"github.com/monedula/monedula/record"
)

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
		d.checkpoints.lowerTo(tps, func(tp TopicPartition, name string) (record.Offset, bool) {
			limit, known := d.checkpoints.limit(tp, name)
			if known && name != logStartFile {
				limit = min(limit, max(offsets[tp], 0))
			}
			return limit, known
		})
	}
}

// ReadHighWatermarks reads the directory's replication-offset-checkpoint. A damaged file counts as
// empty.
func (m *Manager) ReadHighWatermarks(dir string) (map[TopicPartition]record.Offset, error) {
	d, err := m.dirs.at(dir)
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
	d, err := m.dirs.at(dir)
	if err != nil {
		return err
	}
	return d.checkpoints.writeHighWatermarks(logs)
}

// cleanStop ends the clean shutdown of a directory: it writes the final checkpoints and, if all
// logs are in order, the marker.
func (m *Manager) cleanStop(d *logDir) {
	if d.loaded || d.partlyLoaded {
		// Otherwise the files have entries of logs that this run has not seen.
		d.checkpoint()
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
