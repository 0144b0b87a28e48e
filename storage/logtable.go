package storage

import (
	"maps"
	"sync"
)

// logTable is the logs of a Manager by partition: current ones, and future ones
// that are being filled to replace them.
type logTable struct {
	mu      sync.RWMutex // guards below
	current map[TopicPartition]*Log
	future  map[TopicPartition]*Log
	// unloaded are logs that exist on disk but could not be loaded; see unloadedLog.
	unloaded map[logKey]*unloadedLog
}

func newLogTable() logTable {
	return logTable{current: make(map[TopicPartition]*Log), future: make(map[TopicPartition]*Log)}
}

func (t *logTable) of(future bool) map[TopicPartition]*Log {
	if future {
		return t.future
	}
	return t.current
}

func (t *logTable) get(tp TopicPartition, future bool) *Log {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.of(future)[tp]
}

// put adds a log and returns the one that was there.
func (t *logTable) put(l *Log, future bool) *Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.of(future)[l.tp]
	t.of(future)[l.tp] = l
	return old
}

func (t *logTable) remove(tp TopicPartition, future bool) *Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.of(future)[tp]
	delete(t.of(future), tp)
	return l
}

// promote makes a future log the current one and returns the one it replaces.
func (t *logTable) promote(l *Log) *Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.current[l.tp]
	t.current[l.tp] = l
	delete(t.future, l.tp)
	return old
}

func (t *logTable) list(future bool) []*Log {
	t.mu.RLock()
	defer t.mu.RUnlock()
	logs := make([]*Log, 0, len(t.of(future)))
	for _, l := range t.of(future) {
		logs = append(logs, l)
	}
	return logs
}

// inDir lists all logs, current and future, of a directory.
func (t *logTable) inDir(d *logDir) []*Log {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var logs []*Log
	for _, m := range [...]map[TopicPartition]*Log{t.current, t.future} {
		for _, l := range m {
			if l.dir == d {
				logs = append(logs, l)
			}
		}
	}
	return logs
}

// removeDir takes out all logs of a directory.
func (t *logTable) removeDir(d *logDir) (current, future []*Log) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.unloaded, func(_ logKey, u *unloadedLog) bool { return u.dir == d })
	return removeFrom(t.current, d), removeFrom(t.future, d)
}

func removeFrom(m map[TopicPartition]*Log, d *logDir) (removed []*Log) {
	for tp, l := range m {
		if l.dir == d {
			removed = append(removed, l)
			delete(m, tp)
		}
	}
	return removed
}
