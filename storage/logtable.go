package storage

import (
	"maps"
	"slices"
	"sync"
)

// logTable holds the logs of a Manager by partition: current ones, and future ones that are being
// filled to replace them. The costs of creating a log, deleting one and configuring a topic do not
// depend on the number of other logs.
type logTable struct {
	mu      sync.RWMutex // guards the fields below
	current map[TopicPartition]*Log
	future  map[TopicPartition]*Log
	topics  map[string][]*Log // current and future, by topic
	counts  map[*logDir]int   // of current and future logs
	// unserved holds logs that exist on disk but are not served; see unservedLog.
	unserved map[logKey]*unservedLog
}

func newLogTable() logTable {
	return logTable{current: map[TopicPartition]*Log{}, future: map[TopicPartition]*Log{}, topics: map[string][]*Log{}, counts: map[*logDir]int{}}
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

// put adds a log and returns the one that it replaces.
func (t *logTable) put(l *Log, future bool) *Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.removeLocked(l.tp, future)
	t.addLocked(l, future)
	return old
}

func (t *logTable) remove(tp TopicPartition, future bool) *Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.removeLocked(tp, future)
}

// promote makes a future log the current one and returns the one it replaces.
func (t *logTable) promote(l *Log) *Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.removeLocked(l.tp, false)
	t.removeLocked(l.tp, true)
	t.addLocked(l, false)
	return old
}

func (t *logTable) addLocked(l *Log, future bool) {
	t.of(future)[l.tp] = l
	t.noteMoveLocked(l.tp)
	t.topics[l.tp.Topic] = append(t.topics[l.tp.Topic], l)
	t.counts[l.dir]++
}

func (t *logTable) removeLocked(tp TopicPartition, future bool) *Log {
	l := t.of(future)[tp]
	if l == nil {
		return nil
	}
	delete(t.of(future), tp)
	t.noteMoveLocked(tp)
	t.counts[l.dir]--
	logs := t.topics[tp.Topic]
	last := len(logs) - 1
	logs[slices.Index(logs, l)] = logs[last]
	logs[last] = nil
	if last == 0 {
		delete(t.topics, tp.Topic)
	} else {
		t.topics[tp.Topic] = logs[:last]
	}
	return l
}

// noteMoveLocked sets whether the current log is moving.
func (t *logTable) noteMoveLocked(tp TopicPartition) {
	if l := t.current[tp]; l != nil {
		l.moving.Store(t.future[tp] != nil)
	}
}

func (t *logTable) list(future bool) []*Log {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Values(t.of(future)))
}

// ofTopic returns the logs of a topic, current and future.
func (t *logTable) ofTopic(topic string) []*Log {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Clone(t.topics[topic])
}

// inDir returns all logs of a directory, current and future.
func (t *logTable) inDir(d *logDir) []*Log {
	t.mu.RLock()
	defer t.mu.RUnlock()
	logs := make([]*Log, 0, t.counts[d])
	for _, m := range [...]map[TopicPartition]*Log{t.current, t.future} {
		for _, l := range m {
			if l.dir == d {
				logs = append(logs, l)
			}
		}
	}
	return logs
}

// count returns the number of logs of a directory, current and future.
func (t *logTable) count(d *logDir) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.counts[d]
}

// removeDir removes all logs of a directory.
func (t *logTable) removeDir(d *logDir) (current, future []*Log) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.unserved, func(_ logKey, u *unservedLog) bool { return u.dir == d })
	return t.removeDirLocked(d, false), t.removeDirLocked(d, true)
}

func (t *logTable) removeDirLocked(d *logDir, future bool) (removed []*Log) {
	for tp, l := range t.of(future) {
		if l.dir == d {
			removed = append(removed, t.removeLocked(tp, future))
		}
	}
	return removed
}
