package storage

import (
	"fmt"
	"strings"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// A log is moved to another directory by means of a future log there, which is filled like a
// follower's. Once it has everything that the current log has, its directory gets the plain name
// and then the old one is set aside, in this order. A crash between the two renames leaves two
// plain directories with the same records. Like Kafka, a broker refuses to start in that state
// until one of them is removed by hand.
//
// The new name is made durable without a lock that readers or controllers need (settleMove). Until
// then the log can be read, but not appended to or truncated, because a power failure may bring the
// old log back.

// CheckDir returns nil for an online directory; see PreferDir for its errors.
func (m *Manager) CheckDir(dir string) error {
	_, err := m.dirs.at(dir)
	return err
}

// CreateFuture creates the future log of the partition in dir, or returns the existing one. The log
// is nil without an error if the current log is in dir. A future log in another directory is an
// error. So is any offline directory, since it may hold a future log (KAFKA_STORAGE_ERROR).
func (m *Manager) CreateFuture(tp TopicPartition, dir string) (*Log, error) {
	d, err := m.dirs.at(dir)
	if err != nil {
		return nil, err
	}
	if l := m.logs.get(tp, false); l != nil {
		if err := l.settleMove(); err != nil { // dir may still hold the log that l has replaced
			return nil, err
		}
	}
	m.creation.Lock()
	defer m.creation.Unlock()
	current := m.logs.get(tp, false)
	switch {
	case current == nil:
		return nil, protocol.Errorf(protocol.ReplicaNotAvailable, "There is no log of %s to move", currentDirName(tp))
	case current.dir == d:
		m.log.Infof("Current log directory %s is same as requested log dir %s. Skipping future replica creation.", d.path, dir)
		return nil, nil
	}
	if l := m.logs.get(tp, true); l != nil {
		if l.dir != d {
			return nil, protocol.Errorf(protocol.UnknownServerError, "The future log dir %s of %s is different from the requested log dir %s",
				l.dir.path, currentDirName(tp), dir)
		}
		return l, nil
	}
	if err := m.logs.checkServed(tp, true); err != nil {
		return nil, err
	}
	if current.replaced.Load() != nil {
		return nil, protocol.Errorf(protocol.KafkaStorageError, "The move of %s to %s is not durable yet", currentDirName(tp), current.dir.path)
	}
	if offline := m.dirs.offlinePaths(); len(offline) > 0 {
		return nil, protocol.Errorf(protocol.KafkaStorageError,
			"Can not create log for %s because log directories %s are offline", currentDirName(tp), strings.Join(offline, ","))
	}
	l, err := m.create(tp, []*logDir{d}, futureDir, current.Config())
	if err != nil {
		return nil, err
	}
	m.places.forget(tp)
	current.truncating.Lock() // a replacement that began before the log was moving is complete, or undone
	current.truncating.Unlock()
	l.settling.Lock()
	l.cleanedAtCopy = current.dir.checkpoints.offset(cleanerOffsetFile, tp)
	l.settling.Unlock()
	return l, l.AssignTopicID(current.TopicID())
}

// CopyEpochs gives the future log the leader epochs of the current one, up to its log end. Those of
// its batches are not enough: where the current log was compacted, an epoch may have lost its first
// records or all of them. The future log must be a prefix of the current one, and the caller must
// prevent truncations of both.
func (m *Manager) CopyEpochs(tp TopicPartition) {
	if current, future := m.logs.get(tp, false), m.logs.get(tp, true); current != nil && future != nil {
		future.epochs.copyFrom(current.epochs.list(), future.Offsets().LogEnd)
	}
}

// BeginsWith reports whether the log begins with the data of a future log, from the later of both log
// starts on. It does not if it was cleaned while the directory of the future log was away: the future
// log may then have a record without the tombstone that deleted it, or without the marker that
// aborted it. Only sizes are compared, because a cleaning that removes a record changes them. A future
// log that is longer than the log counts as its beginning.
func (l *Log) BeginsWith(future *Log) (bool, error) {
	ours, theirs := l.Offsets(), future.Offsets()
	from, to := max(ours.LogStart, theirs.LogStart), theirs.LogEnd
	if from >= to || to > ours.LogEnd {
		return true, nil
	}
	size, err := l.bytesBetween(from, to)
	if err != nil {
		return false, err
	}
	copied, err := future.bytesBetween(from, to)
	return size == copied, err
}

// bytesBetween returns the size of the batches from the one that holds offset from up to the one that
// holds offset to.
func (l *Log) bytesBetween(from, to record.Offset) (int64, error) {
	for {
		v := l.positions.load()
		upTo, err := v.bytesBefore(to)
		before := int64(0)
		if err == nil {
			before, err = v.bytesBefore(from)
		}
		if err == nil || !l.changedSince(&v) {
			return upTo - before, l.ioError("Error while comparing the sizes of %s in dir %s", err)
		}
	}
}

// bytesBefore returns the size of the batches before the one that holds the offset.
func (v *view) bytesBefore(offset record.Offset) (size int64, err error) {
	i := max(v.floor(offset), 0)
	for j := range i {
		size += v.end(j)
	}
	p, err := v.pin(v.segments[i])
	if err != nil {
		return 0, err
	}
	defer p.release()
	at, found, err := v.segments[i].translate(p.handle, offset, v.end(i))
	if found == 0 {
		at = v.end(i)
	}
	return size + at, err
}

// SettleFuture makes durable in the future log everything that is durable in the current one, so
// that the replacement loses nothing durable, and its leader epochs.
func (m *Manager) SettleFuture(tp TopicPartition) error {
	current, future := m.logs.get(tp, false), m.logs.get(tp, true)
	if current == nil || future == nil {
		return futureGone(tp)
	}
	if future.RecoveryPoint() >= current.RecoveryPoint() {
		return future.ioError("Error while writing leader epochs of %s in dir %s", future.epochs.flush())
	}
	if err := future.Flush(); err != nil {
		return err
	}
	future.dir.checkpoints.writeRecoveryPoints()
	return future.check()
}

func futureGone(tp TopicPartition) error {
	return protocol.Errorf(protocol.KafkaStorageError, "The current or the future replica for %s is offline", currentDirName(tp))
}

// ReplaceWithFuture makes the future log the current one, and deletes the old one in the
// background. done is false, and nothing changes, if the future log lacks records, or lacks durable
// ones (see SettleFuture). The caller must prevent appends to and truncations of both logs. Nothing
// is synced here: the caller must call SettleMove afterwards.
func (m *Manager) ReplaceWithFuture(tp TopicPartition) (done bool, err error) {
	m.creation.Lock()
	defer m.creation.Unlock()
	current, future := m.logs.get(tp, false), m.logs.get(tp, true)
	if current == nil || future == nil {
		return false, futureGone(tp)
	}
	at := current.Offsets()
	if future.Offsets().LogEnd != at.LogEnd || future.RecoveryPoint() < current.RecoveryPoint() {
		return false, nil
	}
	m.log.Infof("Attempting to replace current log %v with %v for %s", current, future, currentDirName(tp))
	if e, known := current.epochs.latest(); known && e.epoch > future.LeaderEpoch() {
		// The current leader's epoch has no records yet.
		if err := future.AssignEpochStart(e.epoch, e.startOffset); err != nil {
			return false, err
		}
	}
	if err := future.rename(currentDirName(tp)); err != nil {
		return false, err
	}
	future.SetHighWatermark(at.HighWatermark)
	future.future.Store(false)
	m.logs.setUnserved(logKey{tp, false}, &unservedLog{dir: current.dir, path: current.Path(), recoveryPoint: current.RecoveryPoint(), logStart: at.LogStart,
		cause: fmt.Errorf("was replaced by the one in %s, which has failed", future.dir.path)})
	future.replaced.Store(current)
	m.logs.promote(future)
	current.abandon()
	m.log.Infof("The current replica is successfully replaced with the future replica for %s", currentDirName(tp))
	return true, future.AdoptLogStart(at.LogStart)
}

// SettleMove makes the replacement of the partition's log durable (see ReplaceWithFuture). If it
// finds no free file descriptor, it tries again in the background. The caller must not hold a lock
// that others wait for.
func (m *Manager) SettleMove(tp TopicPartition) error {
	l := m.logs.get(tp, false)
	if l == nil {
		return futureGone(tp)
	}
	err := l.settleMove()
	if err != nil && l.check() == nil {
		m.env.schedule.after(time.Second, l.dir.background, func() { _ = m.SettleMove(tp) })
	}
	return err
}

// settleMove makes the name of a log that has replaced another one durable, and then sets the other
// one aside. It returns nil once both are done, even if the other log's directory fails. The other log
// may then return when the directory does, so the partition cannot be deleted completely before.
func (m *Manager) settleMove(l *Log) error {
	l.settling.Lock()
	defer l.settling.Unlock()
	old := l.replaced.Load()
	if old == nil {
		return nil
	}
	if err := l.settleName(); err != nil {
		return err
	}
	err := error(nil)
	if old.Path() == old.dir.file(currentDirName(l.tp)) {
		err = m.moveAside(old)
	}
	if err == nil {
		err = old.dir.syncNames()
	}
	if err != nil && old.dir.check() == nil {
		return err
	}
	m.logs.takeUnserved(logKey{l.tp, false})
	if err != nil {
		l.remains.Store(old.dir)
	}
	l.replaced.Store(nil)
	if l.cleanedAtCopy > 0 {
		l.dir.checkpoints.writeCleaned(l, l.cleanedAtCopy, 0)
	}
	m.env.schedule.after(0, old.dir.background, func() {
		old.dir.checkpoint()
		old.dir.checkpoints.lower(l.tp)
	})
	m.env.schedule.after(0, l.dir.background, l.dir.checkpoint)
	return nil
}

// settleMove makes the name of a log that has replaced another one durable.
func (l *Log) settleMove() error {
	if l.replaced.Load() == nil {
		return nil
	}
	return l.env.settleMove(l)
}

// settleName makes the name of the log's directory durable.
func (l *Log) settleName() error {
	if err := l.dir.check(); err != nil {
		return err
	}
	l.flushing.Lock()
	defer l.flushing.Unlock()
	return l.ioError("Error while renaming dir for %s in log dir %s", l.syncName())
}
