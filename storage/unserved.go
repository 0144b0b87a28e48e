package storage

import (
	"fmt"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// unservedLog is a log whose files are kept although it is not served: no other log replaces it,
// and the checkpoints keep its entries. Either it could not be loaded for a reason other than the
// disk, such as damage beyond recovery, and waits for the next start; or the name of the log that
// has replaced it is not durable yet (see Manager.settleMove).
type unservedLog struct {
	dir                     *logDir
	path                    string
	recoveryPoint, logStart record.Offset // as checkpointed, 0 if unknown
	cause                   error         // why it is not served
}

// logKey identifies a log in the table.
type logKey struct {
	tp     TopicPartition
	future bool
}

// setUnserved adds a log that is not served.
func (t *logTable) setUnserved(key logKey, u *unservedLog) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unserved == nil {
		t.unserved = map[logKey]*unservedLog{}
	}
	t.unserved[key] = u
}

// takeUnserved removes and returns a log that is not served, nil if there is none.
func (t *logTable) takeUnserved(key logKey) *unservedLog {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.unserved[key]
	delete(t.unserved, key)
	return u
}

// checkServed returns a KAFKA_STORAGE_ERROR for a log that is not served.
func (t *logTable) checkServed(tp TopicPartition, future bool) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if u := t.unserved[logKey{tp, future}]; u != nil {
		return protocol.Errorf(protocol.KafkaStorageError, "The log of %s in %s %v", currentDirName(tp), u.path, u.cause)
	}
	return nil
}

// isUnserved reports whether the directory has a log of the partition that is not served.
func (t *logTable) isUnserved(tp TopicPartition, d *logDir) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, future := range [...]bool{false, true} {
		if u := t.unserved[logKey{tp, future}]; u != nil && u.dir == d {
			return true
		}
	}
	return false
}

// eachUnserved calls f for the logs of a directory that are not served.
func (t *logTable) eachUnserved(d *logDir, f func(tp TopicPartition, u *unservedLog)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for key, u := range t.unserved {
		if u.dir == d {
			f(key.tp, u)
		}
	}
}

// discardUnserved renames the files of a deleted log that is not served, to be removed later; it
// does nothing if there is no such log. The caller must hold creation.
func (m *Manager) discardUnserved(tp TopicPartition, future bool) error {
	u := m.logs.takeUnserved(logKey{tp, future})
	if u == nil {
		return nil
	}
	path := u.dir.file(uniqueDirName(tp, deletedDir, m.config.UniqueID()))
	err := u.dir.check()
	if err == nil {
		err = m.config.FS.Rename(u.path, path)
	}
	if err == nil {
		err = m.config.FS.SyncDir(u.dir.path)
	}
	if err != nil {
		return u.dir.fail(fmt.Sprintf("Error while renaming dir for %s in log dir %s", currentDirName(tp), u.dir.path), err)
	}
	m.log.Infof("Log for partition %s, which was not served, is renamed to %s and is scheduled for deletion", currentDirName(tp), path)
	m.removeDirLater(u.dir, path, tp)
	return nil
}
