package storage

import (
	"fmt"
	"strings"
	"time"

	"github.com/monedula/monedula/protocol"
)

// A log moves to another directory by a future log there: it is filled as a
// follower's is, and once it has all that the current one has, its directory
// gets the plain name and the old one is set aside, in this order. A crash
// between the two renames leaves two plain directories with the same records;
// no broker, a real one neither, starts on them before one was removed by hand.
//
// The new name is made durable without a lock that readers or controllers need
// (settleMove). Until then the log is read, but neither appended to nor truncated:
// a power cut may bring the old log back.

// CheckDir is nil for a live directory; see PreferDir for its errors.
func (m *Manager) CheckDir(dir string) error {
	_, err := m.dir(dir)
	return err
}

// CreateFuture makes the future log of the partition in dir, or returns the one
// that is there already. nil without an error: the current log is in dir. A
// future log in another directory is an error, and so is any offline directory,
// since it may hold one (KAFKA_STORAGE_ERROR).
func (m *Manager) CreateFuture(tp TopicPartition, dir string) (*Log, error) {
	d, err := m.dir(dir)
	if err != nil {
		return nil, err
	}
	if l := m.logs.get(tp, false); l != nil {
		if err := l.settleMove(); err != nil { // dir may still have the log that l has replaced
			return nil, err
		}
	}
	m.creation.Lock()
	defer m.creation.Unlock()
	current := m.logs.get(tp, false)
	switch {
	case current == nil:
		return nil, protocol.Errorf(protocol.ReplicaNotAvailable, "There is no log of %s to be moved", currentDirName(tp))
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
		return nil, protocol.Errorf(protocol.KafkaStorageError, "The move of %s to %s is not on disk yet", currentDirName(tp), current.dir.path)
	}
	if offline := m.offlineDirs(); len(offline) > 0 {
		return nil, protocol.Errorf(protocol.KafkaStorageError,
			"Can not create log for %s because log directories %s are offline", currentDirName(tp), strings.Join(offline, ","))
	}
	l, err := m.create(tp, []*logDir{d}, futureDir, current.Config())
	if err != nil {
		return nil, err
	}
	m.places.mu.Lock()
	delete(m.places.preferred, tp)
	m.places.mu.Unlock()
	return l, l.AssignTopicID(current.TopicID())
}

// SettleFuture makes durable in the future log what is durable in the current
// one, so that the replacement loses nothing of it.
func (m *Manager) SettleFuture(tp TopicPartition) error {
	current, future := m.logs.get(tp, false), m.logs.get(tp, true)
	if current == nil || future == nil {
		return futureGone(tp)
	}
	if future.RecoveryPoint() >= current.RecoveryPoint() {
		return nil
	}
	if err := future.Flush(); err != nil {
		return err
	}
	m.checkpointRecoveryPoints(future.dir)
	return future.check()
}

func futureGone(tp TopicPartition) error {
	return protocol.Errorf(protocol.KafkaStorageError, "The current or the future replica for %s is offline", currentDirName(tp))
}

// ReplaceWithFuture makes the future log the current one, and deletes the old
// one in the background. done reports whether it did: not if the future log lacks
// records, or durable ones (SettleFuture). The caller keeps appends and
// truncations away from both logs. Nothing is synced here: SettleMove is to follow.
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
		// The present leader's epoch has no records yet.
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
		cause: fmt.Errorf("was replaced by that in %s, which has failed", future.dir.path)})
	future.replaced.Store(current)
	m.logs.promote(future)
	current.abandon()
	m.log.Infof("The current replica is successfully replaced with the future replica for %s", currentDirName(tp))
	return true, future.AdoptLogStart(at.LogStart)
}

// SettleMove makes the replacement of the partition's log durable (ReplaceWithFuture),
// or is tried again in the background if it finds no file descriptor. The caller
// holds no lock that others wait for.
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

// settleMove makes the name of a log that has replaced another one durable, and
// then sets the other one aside. Without an error it is done; a failure of the
// other log's directory is none.
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
		err = m.syncDir(old.dir)
	}
	if err != nil && old.dir.check() == nil {
		return err
	}
	m.logs.takeUnserved(logKey{l.tp, false})
	l.replaced.Store(nil)
	for _, d := range [...]*logDir{old.dir, l.dir} {
		m.env.schedule.after(0, d.background, func() { m.checkpointDir(d) })
	}
	return nil
}

// settleMove waits until a log that has replaced another one is sure of its name.
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
