package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
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

// replicaStates changes the states of replicas (Kafka's ReplicaStateMachine). The states themselves
// are in the controller's context.
type replicaStates struct {
	id          metadata.BrokerID // broker.id
	c           *controllerContext
	store       stateStore
	leaderships *leaderships
	dispatcher  *dispatcher
	log         kafkalog.Prefixed
	changes     *kafkalog.Prefixed
}

// start sets the first state of all replicas after a failover. It sends the leaderships to the
// online replicas and removes the others from the in-sync sets.
func (rs *replicaStates) start(ctx context.Context) error {
	rs.log.Infof("Initializing replica state")
	var online, offline []replicaID
	for _, r := range rs.c.replicasWhere(func(replicaID) bool { return true }) {
		if rs.c.replicaOnline(r.Broker, r.TopicPartition) {
			rs.c.setReplicaState(r, onlineReplica)
			online = append(online, r)
		} else {
			rs.c.setReplicaState(r, replicaDeletionIneligible)
			offline = append(offline, r)
		}
	}
	rs.log.Infof("Triggering online replica state changes")
	rs.enter(online, onlineReplica)
	rs.log.Infof("Triggering offline replica state changes")
	return rs.takeOffline(ctx, offline)
}

// enter changes the state of replicas to any but Offline and sends the resulting requests as one
// batch.
func (rs *replicaStates) enter(replicas []replicaID, to replicaState) {
	if len(replicas) == 0 {
		return
	}
	b, byBroker := newBatch(rs.c), replicasByBroker(replicas)
	for _, broker := range sortedKeys(byBroker) {
		rs.enterOf(b, broker, rs.legal(byBroker[broker], to), to)
	}
	rs.dispatcher.send(b)
}

func replicasByBroker(replicas []replicaID) map[metadata.BrokerID][]replicaID {
	byBroker := map[metadata.BrokerID][]replicaID{}
	for _, r := range replicas {
		byBroker[r.Broker] = append(byBroker[r.Broker], r)
	}
	return byBroker
}

func (rs *replicaStates) legal(replicas []replicaID, to replicaState) []replicaID {
	var legal []replicaID
	for _, r := range replicas {
		from := rs.c.replicaState(r)
		if slices.Contains(to.predecessors(), from) {
			legal = append(legal, r)
			continue
		}
		rs.logFailed(r, to, fmt.Errorf("replica %s should be in the %v states before moving to %s state. Instead it is in %s state",
			javatext.Join([]replicaID{r}, ","), to.predecessors(), to, from))
	}
	return legal
}

func (rs *replicaStates) enterOf(b *batch, broker metadata.BrokerID, replicas []replicaID, to replicaState) {
	switch to {
	case newReplica:
		rs.makeNew(b, replicas)
	case onlineReplica:
		rs.makeOnline(b, replicas)
	case replicaDeletionStarted:
		for _, r := range replicas {
			rs.set(r, to)
			b.addStopReplica([]metadata.BrokerID{broker}, r.TopicPartition, true)
		}
	case nonExistentReplica:
		for _, r := range replicas {
			rs.c.setAssignment(r.TopicPartition, withoutReplica(rs.c.assignment(r.TopicPartition), broker))
			rs.set(r, to)
		}
	default:
		for _, r := range replicas {
			rs.set(r, to)
		}
	}
}

func (rs *replicaStates) set(r replicaID, to replicaState) {
	rs.changes.Tracef("Changed state of replica %d for partition %s from %s to %s", r.Broker, r.TopicPartition, rs.c.replicaState(r), to)
	rs.c.setReplicaState(r, to)
}

func (rs *replicaStates) makeNew(b *batch, replicas []replicaID) {
	for _, r := range replicas {
		if s := rs.c.leadership(r.TopicPartition); s != nil {
			if s.Leader == r.Broker {
				rs.logFailed(r, newReplica, stateChangeFailed("Replica %d for partition %s cannot be moved to NewReplica state as it is being requested to become leader", r.Broker, r.TopicPartition.String()))
				continue
			}
			b.addLeaderAndISR([]metadata.BrokerID{r.Broker}, r.TopicPartition, *s, true)
		}
		rs.set(r, newReplica)
	}
}

func (rs *replicaStates) makeOnline(b *batch, replicas []replicaID) {
	for _, r := range replicas {
		if rs.c.replicaState(r) == newReplica {
			rs.ensureAssigned(r)
		} else if s := rs.c.leadership(r.TopicPartition); s != nil {
			b.addLeaderAndISR([]metadata.BrokerID{r.Broker}, r.TopicPartition, *s, false)
		}
		rs.set(r, onlineReplica)
	}
}

func (rs *replicaStates) ensureAssigned(r replicaID) {
	a := rs.c.assignment(r.TopicPartition)
	if !slices.Contains(a.Replicas, r.Broker) {
		rs.log.Errorf("Adding replica (%d) that is not part of the assignment %s", r.Broker, assignmentText(a))
		a.Replicas = append(slices.Clone(a.Replicas), r.Broker)
		rs.c.setAssignment(r.TopicPartition, a)
	}
}

// takeOffline stops replicas and removes them from the in-sync sets, broker by broker, and sends the
// resulting requests as one batch. A replica keeps its state if the in-sync set could not be
// changed. The error ends the whole event.
func (rs *replicaStates) takeOffline(ctx context.Context, replicas []replicaID) error {
	if len(replicas) == 0 {
		return nil
	}
	b, byBroker := newBatch(rs.c), replicasByBroker(replicas)
	for _, broker := range sortedKeys(byBroker) {
		if err := rs.takeOfflineOf(ctx, b, broker, rs.legal(byBroker[broker], offlineReplica)); err != nil {
			rs.log.Errorf("Error while moving some replicas to %s state: %v", offlineReplica, err)
			return err
		}
	}
	rs.dispatcher.send(b)
	return nil
}

func (rs *replicaStates) takeOfflineOf(ctx context.Context, b *batch, broker metadata.BrokerID, replicas []replicaID) error {
	var led []TopicPartition
	for _, r := range replicas {
		b.addStopReplica([]metadata.BrokerID{broker}, r.TopicPartition, false)
		if rs.c.leadership(r.TopicPartition) != nil {
			led = append(led, r.TopicPartition)
		}
	}
	left, err := rs.removeFromISR(ctx, broker, led)
	if err != nil {
		return err
	}
	for _, tp := range sortedPartitions(left) {
		rs.changes.Infof("Partition %s state changed to %s after removing replica %d from the ISR as part of transition to %s", tp, leadershipText(left[tp]), broker, offlineReplica)
		if !rs.c.queuedForDeletion(tp.Topic) {
			b.addLeaderAndISR(without(rs.c.assignment(tp).Replicas, []metadata.BrokerID{broker}), tp, left[tp], false)
		}
		rs.set(replicaID{tp, broker}, offlineReplica)
	}
	for _, r := range replicas {
		if rs.c.leadership(r.TopicPartition) == nil {
			b.addUpdateMetadataToAll(r.TopicPartition)
			rs.set(r, offlineReplica)
		}
	}
	return nil
}

// removeFromISR removes the broker from the in-sync sets of the partitions. It returns the states
// of all partitions whose in-sync set is now without the broker, including those that were without
// it before.
func (rs *replicaStates) removeFromISR(ctx context.Context, broker metadata.BrokerID, tps []TopicPartition) (map[TopicPartition]zkstore.PartitionState, error) {
	left := map[TopicPartition]zkstore.PartitionState{}
	rest, err := rs.removeFromKnownISR(ctx, broker, tps, left)
	if err != nil {
		return nil, err
	}
	for len(rest) > 0 {
		conflicts, err := rs.removeFromISROnce(ctx, broker, rest, left)
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
func (rs *replicaStates) removeFromKnownISR(ctx context.Context, broker metadata.BrokerID, tps []TopicPartition, left map[TopicPartition]zkstore.PartitionState) (rest []TopicPartition, err error) {
	shrunk := map[TopicPartition]zkstore.PartitionState{}
	for _, tp := range tps {
		s := rs.c.leadership(tp)
		if s == nil || s.ControllerEpoch > rs.c.epoch || !slices.Contains(s.ISR, broker) {
			rest = append(rest, tp)
			continue
		}
		next := withoutISRMember(*s, broker)
		next.ControllerEpoch = rs.c.epoch
		shrunk[tp] = next
	}
	conflicts, err := rs.leaderships.write(ctx, shrunk, func(tp TopicPartition, o electionOutcome) {
		switch {
		case errors.Is(o.err, zkstore.ErrNoNode):
			rest = append(rest, tp)
		case o.err != nil:
			rs.logFailed(replicaID{tp, broker}, offlineReplica, o.err)
		default:
			left[tp] = o.state
		}
	})
	return append(rest, conflicts...), err
}

func (rs *replicaStates) removeFromISROnce(ctx context.Context, broker metadata.BrokerID, tps []TopicPartition, left map[TopicPartition]zkstore.PartitionState) (conflicts []TopicPartition, err error) {
	states, err := rs.store.PartitionStates(ctx, tps)
	if err != nil {
		if fatal(err) {
			return nil, err
		}
		for _, tp := range tps {
			rs.logFailed(replicaID{tp, broker}, offlineReplica, err)
		}
		return nil, nil
	}
	shrunk := map[TopicPartition]zkstore.PartitionState{}
	for _, tp := range tps {
		s, known := states[tp]
		switch {
		case !known:
			if !rs.c.queuedForDeletion(tp.Topic) {
				rs.logFailed(replicaID{tp, broker}, offlineReplica, stateChangeFailed(
					"Failed to change state of replica %d for partition %s since the leader and isr path in zookeeper is empty", broker, tp.String()))
			}
		case s.ControllerEpoch > rs.c.epoch:
			rs.logFailed(replicaID{tp, broker}, offlineReplica, rs.leaderships.check(tp, s, true))
		case slices.Contains(s.ISR, broker):
			next := withoutISRMember(s, broker)
			next.ControllerEpoch = rs.c.epoch
			shrunk[tp] = next
		default:
			s.ControllerEpoch = rs.c.epoch
			rs.c.setLeadership(tp, s)
			left[tp] = s
		}
	}
	return rs.leaderships.write(ctx, shrunk, func(tp TopicPartition, o electionOutcome) {
		if o.err != nil {
			rs.logFailed(replicaID{tp, broker}, offlineReplica, o.err)
			return
		}
		left[tp] = o.state
	})
}

func (rs *replicaStates) logFailed(r replicaID, to replicaState, err error) {
	rs.changes.Failed(err, "Controller %d epoch %d initiated state change of replica %d for partition %s from %s to %s failed",
		rs.id, rs.c.epoch, r.Broker, r.TopicPartition.String(), rs.c.replicaState(r), to)
}
