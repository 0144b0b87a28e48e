package txnlog

import (
	"path/filepath"
)

// Purge deletes all but the newest snapshots, and the logs that no kept snapshot needs. At least one
// snapshot is kept.
func (s *Store) Purge(keep int) error {
	snapshots, err := s.list(s.snaps, snapshotPrefix)
	if err != nil {
		return err
	}
	logs, err := s.list(s.logs, logPrefix)
	if err != nil {
		return err
	}
	oldest := max(0, len(snapshots)-max(keep, 1))
	if len(snapshots) == 0 {
		return nil
	}
	for _, n := range snapshots[:oldest] {
		if err := s.fs.Remove(filepath.Join(s.snaps, n.name)); err != nil {
			return err
		}
	}
	// A log is needed if the next one begins after the first transaction that the snapshot lacks.
	for i, n := range logs {
		if i+1 < len(logs) && logs[i+1].zxid <= snapshots[oldest].zxid+1 {
			if err := s.fs.Remove(filepath.Join(s.logs, n.name)); err != nil {
				return err
			}
		}
	}
	return nil
}
