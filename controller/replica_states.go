package controller

import (
	"errors"
	"fmt"
	"slices"

	"github.com/monedula/monedula/zkstore"
)

// replicaState is the state of a replica in the controller:
//
//	NonExistent → New → Online ⇄ Offline → DeletionStarted → DeletionSuccessful → NonExistent
//	                     Offline, DeletionStarted → DeletionIneligible → Online, Offline
//
// The states mean:
//   - New: assigned but not serving yet. It is sent the leadership if there is one.
//   - Online: its broker is live. It is sent the leadership, unless it was New.
//   - Offline: it is sent a request to stop and is removed from the in-sync set in ZooKeeper. The
//     other replicas are sent the new in-sync set.
//   - DeletionStarted: it is sent a request to delete its data. The answer makes it
//     DeletionSuccessful or DeletionIneligible; a failure of its broker makes it
//     DeletionIneligible.
//   - NonExistent: it is removed from the assignment in memory.
//
// An illegal change is logged and skipped; it does not affect other replicas.
type replicaState int8

const (
	nonExistentReplica replicaState = iota
	newReplica
	onlineReplica
	offlineReplica
	replicaDeletionStarted
	replicaDeletionSuccessful
	replicaDeletionIneligible
)

func (s replicaState) String() string {
	return [...]string{"NonExistentReplica", "NewReplica", "OnlineReplica", "OfflineReplica",
		"ReplicaDeletionStarted", "ReplicaDeletionSuccessful", "ReplicaDeletionIneligible"}[s]
}

// predecessors returns the states from which s may be entered.
func (s replicaState) predecessors() []replicaState {
	switch s {
	case newReplica:
		return []replicaState{nonExistentReplica}
	case onlineReplica, offlineReplica:
		return []replicaState{newReplica, onlineReplica, offlineReplica, replicaDeletionIneligible}
	case replicaDeletionStarted:
		return []replicaState{offlineReplica}
	case replicaDeletionSuccessful:
		return []replicaState{replicaDeletionStarted}
	case replicaDeletionIneligible:
		return []replicaState{offlineReplica, replicaDeletionStarted}
	default:
		return []replicaState{replicaDeletionSuccessful}
	}
}

// startReplicas sets the first state of all replicas after a failover. It sends the leaderships to
// the online replicas and removes the others from the in-sync sets.
func (m *Machine) startReplicas() error {
	m.replicaLog.Infof("Initializing replica state")
	var online, offline []replicaID
	for _, r := range m.c.replicasWhere(func(replicaID) bool { return true }) {
		if m.c.replicaOnline(r.Broker, r.TopicPartition) {
			m.c.setReplicaState(r, onlineReplica)
			online = append(online, r)
		} else {
			m.c.setReplicaState(r, replicaDeletionIneligible)
			offline = append(offline, r)
		}
	}
	m.replicaLog.Infof("Triggering online replica state changes")
	if err := m.moveReplicas(online, onlineReplica); err != nil {
		return err
	}
	m.replicaLog.Infof("Triggering offline replica state changes")
	return m.moveReplicas(offline, offlineReplica)
}

// moveReplicas changes the state of replicas, broker by broker, and sends the resulting requests as
// one batch. The error ends the whole event.
func (m *Machine) moveReplicas(replicas []replicaID, to replicaState) error {
	if len(replicas) == 0 {
		return nil
	}
	byBroker := map[int32][]replicaID{}
	for _, r := range replicas {
		byBroker[r.Broker] = append(byBroker[r.Broker], r)
	}
	b := newBatch(m.c)
	for _, broker := range sortedKeys(byBroker) {
		if err := m.transitReplicas(b, broker, m.legalReplicas(byBroker[broker], to), to); err != nil {
			m.replicaLog.Errorf("Error while moving some replicas to %s state: %v", to, err)
			return err
		}
	}
	m.send(b)
	return nil
}

func (m *Machine) legalReplicas(replicas []replicaID, to replicaState) []replicaID {
	var legal []replicaID
	for _, r := range replicas {
		from := m.c.replicaState(r)
		if slices.Contains(to.predecessors(), from) {
			legal = append(legal, r)
			continue
		}
		m.logFailedReplica(r, to, fmt.Errorf("replica %s should be in the %v states before moving to %s state. Instead it is in %s state",
			joinReplicas([]replicaID{r}), to.predecessors(), to, from))
	}
	return legal
}

func (m *Machine) transitReplicas(b *batch, broker int32, replicas []replicaID, to replicaState) error {
	switch to {
	case offlineReplica:
		return m.takeOffline(b, broker, replicas)
	case newReplica:
		m.makeNew(b, replicas)
	case onlineReplica:
		m.makeOnline(b, replicas)
	case replicaDeletionStarted:
		for _, r := range replicas {
			m.enter(r, to)
			b.addStopReplica([]int32{broker}, r.TopicPartition, true)
		}
	case nonExistentReplica:
		for _, r := range replicas {
			m.c.setAssignment(r.TopicPartition, withoutReplica(m.c.assignment(r.TopicPartition), broker))
			m.enter(r, to)
		}
	default:
		for _, r := range replicas {
			m.enter(r, to)
		}
	}
	return nil
}

func (m *Machine) enter(r replicaID, to replicaState) {
	m.changes.Tracef("Changed state of replica %d for partition %s from %s to %s", r.Broker, partitionName(r.TopicPartition), m.c.replicaState(r), to)
	m.c.setReplicaState(r, to)
}

func (m *Machine) makeNew(b *batch, replicas []replicaID) {
	for _, r := range replicas {
		if s := m.c.leadership(r.TopicPartition); s != nil {
			if s.Leader == r.Broker {
				m.logFailedReplica(r, newReplica, stateChangeFailed("Replica %d for partition %s cannot be moved to NewReplica state as it is being requested to become leader", r.Broker, partitionName(r.TopicPartition)))
				continue
			}
			b.addLeaderAndISR([]int32{r.Broker}, r.TopicPartition, *s, true)
		}
		m.enter(r, newReplica)
	}
}

func (m *Machine) makeOnline(b *batch, replicas []replicaID) {
	for _, r := range replicas {
		if m.c.replicaState(r) == newReplica {
			m.ensureAssigned(r)
		} else if s := m.c.leadership(r.TopicPartition); s != nil {
			b.addLeaderAndISR([]int32{r.Broker}, r.TopicPartition, *s, false)
		}
		m.enter(r, onlineReplica)
	}
}

func (m *Machine) ensureAssigned(r replicaID) {
	a := m.c.assignment(r.TopicPartition)
	if !slices.Contains(a.Replicas, r.Broker) {
		m.replicaLog.Errorf("Adding replica (%d) that is not part of the assignment %s", r.Broker, assignmentText(a))
		a.Replicas = append(slices.Clone(a.Replicas), r.Broker)
		m.c.setAssignment(r.TopicPartition, a)
	}
}

// takeOffline stops replicas of one broker and removes them from the in-sync sets. A replica keeps
// its state if the in-sync set could not be changed.
func (m *Machine) takeOffline(b *batch, broker int32, replicas []replicaID) error {
	var led []TopicPartition
	for _, r := range replicas {
		b.addStopReplica([]int32{broker}, r.TopicPartition, false)
		if m.c.leadership(r.TopicPartition) != nil {
			led = append(led, r.TopicPartition)
		}
	}
	left, err := m.removeFromISR(broker, led)
	if err != nil {
		return err
	}
	for _, tp := range sortedPartitions(left) {
		m.changes.Infof("Partition %s state changed to %s after removing replica %d from the ISR as part of transition to %s", partitionName(tp), leadershipText(left[tp]), broker, offlineReplica)
		if !m.c.queuedForDeletion(tp.Topic) {
			b.addLeaderAndISR(without(m.c.assignment(tp).Replicas, []int32{broker}), tp, left[tp], false)
		}
		m.enter(replicaID{tp, broker}, offlineReplica)
	}
	for _, r := range replicas {
		if m.c.leadership(r.TopicPartition) == nil {
			b.addUpdateMetadataToAll(r.TopicPartition)
			m.enter(r, offlineReplica)
		}
	}
	return nil
}

// removeFromISR removes the broker from the in-sync sets of the partitions. It returns the states
// of all partitions whose in-sync set is now without the broker, including those that were without
// it before.
func (m *Machine) removeFromISR(broker int32, tps []TopicPartition) (map[TopicPartition]zkstore.PartitionState, error) {
	left := map[TopicPartition]zkstore.PartitionState{}
	rest, err := m.removeFromKnownISR(broker, tps, left)
	if err != nil {
		return nil, err
	}
	for len(rest) > 0 {
		conflicts, err := m.removeFromISROnce(broker, rest, left)
		if err != nil {
			return nil, err
		}
		rest = conflicts
	}
	return left, nil
}

// removeFromKnownISR does the same without reading the states, for partitions whose known in-sync
// set has the broker: the write succeeds only if ZooKeeper still has the same version. It returns
// the other partitions.
func (m *Machine) removeFromKnownISR(broker int32, tps []TopicPartition, left map[TopicPartition]zkstore.PartitionState) (rest []TopicPartition, err error) {
	shrunk := map[TopicPartition]zkstore.PartitionState{}
	for _, tp := range tps {
		s := m.c.leadership(tp)
		if s == nil || s.ControllerEpoch > m.c.epoch || !slices.Contains(s.ISR, broker) {
			rest = append(rest, tp)
			continue
		}
		next := withoutISRMember(*s, broker)
		next.ControllerEpoch = m.c.epoch
		shrunk[tp] = next
	}
	conflicts, err := m.writeStates(shrunk, func(tp TopicPartition, o electionOutcome) {
		switch {
		case errors.Is(o.err, zkstore.ErrNoNode):
			rest = append(rest, tp)
		case o.err != nil:
			m.logFailedReplica(replicaID{tp, broker}, offlineReplica, o.err)
		default:
			left[tp] = o.state
		}
	})
	return append(rest, conflicts...), err
}

func (m *Machine) removeFromISROnce(broker int32, tps []TopicPartition, left map[TopicPartition]zkstore.PartitionState) (conflicts []TopicPartition, err error) {
	states, err := m.readStates(tps)
	if err != nil {
		if fatal(err) {
			return nil, err
		}
		for _, tp := range tps {
			m.logFailedReplica(replicaID{tp, broker}, offlineReplica, err)
		}
		return nil, nil
	}
	shrunk := map[TopicPartition]zkstore.PartitionState{}
	for _, tp := range tps {
		s, known := states[tp]
		switch {
		case !known:
			if !m.c.queuedForDeletion(tp.Topic) {
				m.logFailedReplica(replicaID{tp, broker}, offlineReplica, stateChangeFailed(
					"Failed to change state of replica %d for partition %s since the leader and isr path in zookeeper is empty", broker, partitionName(tp)))
			}
		case s.ControllerEpoch > m.c.epoch:
			m.logFailedReplica(replicaID{tp, broker}, offlineReplica, m.checkState(tp, s, true))
		case slices.Contains(s.ISR, broker):
			next := withoutISRMember(s, broker)
			next.ControllerEpoch = m.c.epoch
			shrunk[tp] = next
		default:
			s.ControllerEpoch = m.c.epoch
			m.c.setLeadership(tp, s)
			left[tp] = s
		}
	}
	return m.writeStates(shrunk, func(tp TopicPartition, o electionOutcome) {
		if o.err != nil {
			m.logFailedReplica(replicaID{tp, broker}, offlineReplica, o.err)
			return
		}
		left[tp] = o.state
	})
}

func (m *Machine) logFailedReplica(r replicaID, to replicaState, err error) {
	m.changes.Failed(err, "Controller %d epoch %d initiated state change of replica %d for partition %s from %s to %s failed",
		m.cfg.BrokerID, m.c.epoch, r.Broker, partitionName(r.TopicPartition), m.c.replicaState(r), to)
}
