package storage

import (
	"fmt"

	"github.com/monedula/monedula/protocol"
)

// unloadedLog is a log that could not be loaded for a reason other than the
// disk: its own data or state is damaged beyond recovery, or an error of logic.
// The other logs of the directory are served. Its files stay as they are until
// the next start, so no other log takes its place meanwhile and the checkpoints
// keep what they have of it.
type unloadedLog struct {
	dir                     *logDir
	path                    string
	recoveryPoint, logStart int64 // as checkpointed, 0 when unknown
	cause                   error
}

// logKey names a log of the table.
type logKey struct {
	tp     TopicPartition
	future bool
}

// setUnloaded notes a log that could not be loaded.
func (t *logTable) setUnloaded(key logKey, u *unloadedLog) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unloaded == nil {
		t.unloaded = map[logKey]*unloadedLog{}
	}
	t.unloaded[key] = u
}

// takeUnloaded takes out a log that could not be loaded; nil where there is none.
func (t *logTable) takeUnloaded(key logKey) *unloadedLog {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.unloaded[key]
	delete(t.unloaded, key)
	return u
}

// checkLoaded is a KAFKA_STORAGE_ERROR for a log that could not be loaded.
func (t *logTable) checkLoaded(tp TopicPartition, future bool) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if u := t.unloaded[logKey{tp, future}]; u != nil {
		return protocol.Errorf(protocol.KafkaStorageError, "The log of %s in %s could not be loaded at the start of the broker: %v", currentDirName(tp), u.path, u.cause)
	}
	return nil
}

// isUnloaded reports whether a log of the partition in the directory could not
// be loaded.
func (t *logTable) isUnloaded(tp TopicPartition, d *logDir) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, future := range [...]bool{false, true} {
		if u := t.unloaded[logKey{tp, future}]; u != nil && u.dir == d {
			return true
		}
	}
	return false
}

// eachUnloaded calls f for the logs of a directory that could not be loaded.
func (t *logTable) eachUnloaded(d *logDir, f func(tp TopicPartition, u *unloadedLog)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for key, u := range t.unloaded {
		if u.dir == d {
			f(key.tp, u)
		}
	}
}

// discardUnloaded moves the files of a deleted log that could not be loaded
// aside, to be removed later; nothing is done where there is none. The caller
// must hold creation.
func (m *Manager) discardUnloaded(tp TopicPartition, future bool) error {
	u := m.logs.takeUnloaded(logKey{tp, future})
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
	m.log.Infof("Log for partition %s, which could not be loaded, is renamed to %s and is scheduled for deletion", currentDirName(tp), path)
	m.removeDirLater(u.dir, path, tp)
	return nil
}
