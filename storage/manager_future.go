package storage

import (
	"strings"

	"github.com/monedula/monedula/protocol"
)

// A log moves to another directory by a future log there: it is filled as a
// follower's is, and once it has all that the current one has, its directory
// gets the plain name and the old one is set aside, in this order. A crash
// between the two renames leaves two plain directories with the same records;
// no broker, a real one neither, starts on them before one was removed by hand.

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
	if err := m.logs.checkLoaded(tp, true); err != nil {
		return nil, err
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
// one in the background. It says whether it did: not where the future log lacks
// records, or durable ones (SettleFuture). The caller keeps appends and
// truncations away from both logs.
//
// Where done comes with an error, the old directory failed after the future log
// had taken over.
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
	m.logs.promote(future)
	if err := future.AdoptLogStart(at.LogStart); err != nil {
		return true, err
	}
	if err := m.setAside(current); err != nil {
		return true, err
	}
	m.env.schedule.after(0, current.dir.background, func() { m.checkpointDir(current.dir) })
	m.env.schedule.after(0, future.dir.background, func() { m.checkpointDir(future.dir) })
	m.log.Infof("The current replica is successfully replaced with the future replica for %s", currentDirName(tp))
	return true, nil
}
