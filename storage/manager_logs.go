package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// Log returns the partition's log, nil if no online directory has one.
func (m *Manager) Log(tp TopicPartition) *Log { return m.logs.get(tp, false) }

// FutureLog returns the partition's future log, nil if there is none.
func (m *Manager) FutureLog(tp TopicPartition) *Log { return m.logs.get(tp, true) }

// Logs returns all current logs of the online directories, in no particular order.
func (m *Manager) Logs() []*Log { return m.logs.list(false) }

// FutureLogs returns all future logs of the online directories, in no particular order.
func (m *Manager) FutureLogs() []*Log { return m.logs.list(true) }

// SetTopicConfig replaces the configuration of the topic's logs.
func (m *Manager) SetTopicConfig(topic string, c *settings.Topic) {
	m.announced.mu.Lock()
	defer m.announced.mu.Unlock()
	if m.announced.configs != nil {
		m.announced.configs[topic] = c
	}
	for _, l := range m.logs.ofTopic(topic) {
		l.SetConfig(c)
	}
}

// announced keeps the configurations that are set while logs are created.
type announced struct {
	mu      sync.Mutex                 // guards configs; held while logs are given a configuration
	configs map[string]*settings.Topic // the latest by topic; nil while none are kept
}

// KeepConfigs begins the creation of logs with configurations that the caller reads. A call of
// SetTopicConfig after the read and before the log exists does not reach the log, so settle, which
// ends the creation, applies the configurations set in the meantime. Only one creation may be in
// progress.
func (m *Manager) KeepConfigs() (settle func()) {
	m.announced.mu.Lock()
	defer m.announced.mu.Unlock()
	m.announced.configs = map[string]*settings.Topic{}
	return func() {
		m.announced.mu.Lock()
		defer m.announced.mu.Unlock()
		for topic, c := range m.announced.configs {
			for _, l := range m.logs.ofTopic(topic) {
				l.SetConfig(c)
			}
		}
		m.announced.configs = nil
	}
}

// GetOrCreate returns the partition's log, or creates it in the online directory with the fewest
// logs. While a directory is offline, a log is created only if isNew; otherwise the error is
// KAFKA_STORAGE_ERROR, since the offline directory may hold the log. A zero topicID leaves the
// log's id unchanged; an id other than the log's is INCONSISTENT_TOPIC_ID.
func (m *Manager) GetOrCreate(tp TopicPartition, topicID metadata.TopicID, c *settings.Topic, isNew bool) (*Log, error) {
	if l := m.logs.get(tp, false); l != nil {
		return l, l.AssignTopicID(topicID)
	}
	l, err := m.getOrMake(tp, c, isNew)
	if err != nil {
		return nil, err
	}
	return l, l.AssignTopicID(topicID)
}

// logsAtOnce is the number of logs created at the same time. Creating a log is mostly waiting for
// the file system.
const logsAtOnce = 16

// ManyAtOnce calls f for 0 to n-1, each call of which creates a log, and returns when all calls
// have returned. Several calls run at the same time, except in a simulation (ManagerConfig.Later).
func (m *Manager) ManyAtOnce(n int, f func(i int)) { m.env.schedule.inParallel(n, logsAtOnce, f) }

// getOrMake is like GetOrCreate, but does not look at the topic id.
func (m *Manager) getOrMake(tp TopicPartition, c *settings.Topic, isNew bool) (*Log, error) {
	m.creation.RLock()
	defer m.creation.RUnlock()
	dirs, others, err := m.places.reserve(tp, isNew)
	if others != nil {
		<-others
		if l := m.logs.get(tp, false); l != nil {
			return l, nil
		}
		return nil, protocol.Errorf(protocol.KafkaStorageError, "Can not create log for %s: a concurrent creation failed", currentDirName(tp))
	}
	if dirs == nil {
		return m.logs.get(tp, false), err
	}
	l, err := m.create(tp, dirs, currentDir, c)
	m.places.created(tp, err == nil)
	return l, err
}

// create creates a new log in the first of the directories that can take it. The caller must hold
// creation, at least for reading.
func (m *Manager) create(tp TopicPartition, dirs []*logDir, kind dirKind, c *settings.Topic) (*Log, error) {
	if m.closing.Load() {
		return nil, protocol.Errorf(protocol.KafkaStorageError, "Can not create log for %s: the broker is shutting down", currentDirName(tp))
	}
	var tried []error
	for _, d := range dirs {
		l, err := m.createIn(tp, d, kind, c)
		if err == nil {
			return l, nil
		}
		if d.check() == nil {
			return nil, err // the disk is not at fault, so another directory would not help
		}
		tried = append(tried, err)
	}
	if len(tried) == 1 {
		return nil, tried[0]
	}
	return nil, protocol.Errorf(protocol.KafkaStorageError, "No log directories available for %s: %v", currentDirName(tp), errors.Join(tried...))
}

func (m *Manager) createIn(tp TopicPartition, d *logDir, kind dirKind, c *settings.Topic) (*Log, error) {
	name := currentDirName(tp)
	if kind != currentDir {
		name = uniqueDirName(tp, kind, m.config.UniqueID())
	}
	if err := d.check(); err != nil {
		return nil, protocol.Errorf(protocol.KafkaStorageError, "Can not create log %s because log directory %s is offline", name, d.path)
	}
	what := fmt.Sprintf("Error while creating log for %s in dir %s", name, d.path)
	d.checkpoints.lower(tp) // entries of an earlier log that was moved away or deleted
	path := d.file(name)
	_, err := m.config.FS.Stat(path)
	absent := errors.Is(err, fs.ErrNotExist)
	undo := func(err error) error {
		err = d.fail(what, err)
		if absent && d.check() == nil {
			_ = m.config.FS.RemoveAll(path) // the next attempt may choose another directory
		}
		return err
	}
	if err := m.config.FS.MkdirAll(path, 0o755); err != nil {
		return nil, undo(err)
	}
	// The directory is new, or holds the remains of a creation that a crash interrupted. In both
	// cases nothing in it is known to be sound.
	l, err := openLog(d, m.env, path, tp, kind, c, loading{fresh: absent})
	if err != nil {
		return nil, undo(err)
	}
	m.logs.put(l, kind == futureDir)
	if err := d.check(); err != nil {
		// The directory has failed in the meantime; its logs may already have left the table.
		m.logs.remove(tp, kind == futureDir)
		l.abandon()
		return nil, err
	}
	m.log.Infof("Created log for partition %s in %s with properties %s", currentDirName(tp), path, overridesText(c.Overrides))
	return l, nil
}

// overridesText formats a topic's own configuration keys as Kafka does.
func overridesText(overrides map[string]string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, k := range slices.Sorted(maps.Keys(overrides)) {
		if i > 0 {
			b.WriteString(", ")
		}
		switch k {
		case settings.TopicCompressionType.Name, settings.TopicMessageFormatVersion.Name, settings.TopicMessageTimestampType.Name:
			fmt.Fprintf(&b, "%s=%q", k, overrides[k])
		default:
			b.WriteString(k + "=" + overrides[k])
		}
	}
	b.WriteByte('}')
	return b.String()
}

// PreferDir sets the directory in which the partition's log is to be created if it does not exist
// yet (AlterReplicaLogDirs). An unknown directory is LOG_DIR_NOT_FOUND, an offline one
// KAFKA_STORAGE_ERROR.
func (m *Manager) PreferDir(tp TopicPartition, dir string) error {
	d, err := m.dirs.at(dir)
	if err != nil {
		return err
	}
	m.places.prefer(tp, d)
	return nil
}

// Delete deletes the partition's log, or its future log: it is renamed at once and removed from
// disk after file.delete.delay.ms. It is not an error if there is no such log, unless it may be in
// an offline directory.
func (m *Manager) Delete(tp TopicPartition, future bool) error {
	m.creation.Lock()
	defer m.creation.Unlock()
	l, err := m.takeOut(tp, future)
	if l == nil {
		return err
	}
	if err := m.moveAside(l); err != nil {
		return err
	}
	if err := l.dir.syncNames(); err != nil {
		return err
	}
	l.dir.checkpoint()
	l.dir.checkpoints.lower(tp)
	return err
}

// DeleteAll deletes the logs of many partitions, future ones too, as Delete does, but makes the
// renames durable and writes the checkpoints only once per directory. The errors are in the order
// of tps.
func (m *Manager) DeleteAll(tps []TopicPartition) []error {
	m.creation.Lock()
	defer m.creation.Unlock()
	errs := make([]error, len(tps))
	touched := map[*logDir][]int{}
	for i, tp := range tps {
		current, err := m.takeOut(tp, false)
		errs[i] = err
		if err := m.discardUnserved(tp, true); err != nil {
			errs[i] = err
		}
		for _, l := range [...]*Log{m.logs.remove(tp, true), current} {
			if l == nil {
				continue
			}
			if err := m.moveAside(l); err != nil {
				errs[i] = err
			} else {
				touched[l.dir] = append(touched[l.dir], i)
			}
		}
	}
	for d, places := range touched {
		if err := d.syncNames(); err != nil {
			for _, i := range places {
				errs[i] = err
			}
			continue
		}
		d.checkpoint()
		deleted := make([]TopicPartition, len(places))
		for k, i := range places {
			deleted[k] = tps[i]
		}
		d.checkpoints.lower(deleted...)
	}
	return errs
}

// takeOut removes a log from the table and returns it, nil if there is none. If it also returns an
// error, the log that it has replaced was not deleted. The caller must hold creation.
func (m *Manager) takeOut(tp TopicPartition, future bool) (*Log, error) {
	if l := m.logs.get(tp, future); l != nil {
		if err := l.settleMove(); err != nil {
			return nil, err
		}
	}
	l := m.logs.remove(tp, future)
	if l != nil {
		if d := l.remains.Load(); d != nil {
			return l, protocol.Errorf(protocol.KafkaStorageError,
				"Failed to delete log for %s completely because its former log is in the offline directory %s", currentDirName(tp), d.path)
		}
		return l, nil
	}
	if l == nil {
		if err := m.discardUnserved(tp, future); err != nil {
			return nil, err
		}
		if offline := m.dirs.offlinePaths(); len(offline) > 0 {
			return nil, protocol.Errorf(protocol.KafkaStorageError,
				"Failed to delete log for %s because it may be in one of the offline directories %s", currentDirName(tp), strings.Join(offline, ","))
		}
	}
	return l, nil
}

// moveAside renames the directory of a log that has left the table, and removes it later. The
// caller must then sync the log directory and write its checkpoints.
func (m *Manager) moveAside(l *Log) error {
	if err := l.retire(uniqueDirName(l.tp, deletedDir, m.config.UniqueID())); err != nil {
		return err
	}
	m.log.Infof("Log for partition %s is renamed to %s and is scheduled for deletion", l.name, l.Path())
	m.removeDirLater(l.dir, l.Path(), l.tp)
	return nil
}
