package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// A reassignment has three phases:
//   - U stores the new assignment in ZooKeeper and in memory, and stops replicas that are no longer
//     part of it.
//   - A runs while the target replicas are not in sync. It increases the leader epoch and sends it
//     to the original and the added replicas.
//   - B runs once the target replicas are in sync. The target becomes the assignment, a leader
//     outside the target is replaced, and removed replicas delete their data. Last, B writes the
//     final assignment to the topic's znode, so that a new controller resumes a reassignment whose
//     phase B was interrupted.

// reassign runs phase U, then A or B.
func (m *Machine) reassign(tp TopicPartition, a zkstore.Assignment) error {
	m.markIneligible("topic reassignment in progress", tp.Topic)
	if err := m.storeReassignment(tp, a); err != nil {
		return err
	}
	complete, err := m.reassignmentComplete(tp, a)
	if err != nil {
		return err
	}
	if !complete {
		return m.startReassignment(tp, a)
	}
	return m.finishReassignment(tp, a)
}

// checkDropped returns an error if the new assignment has no replica that is in sync, as when an
// ongoing reassignment is cancelled or replaced while only replicas that it adds are in sync. Kafka
// before KRaft deletes these replicas, and with them acknowledged records, and leaves the partition
// without a leader.
func (m *Machine) checkDropped(tp TopicPartition, a zkstore.Assignment) error {
	dropped := without(m.c.assignment(tp).Replicas, a.Replicas)
	if len(dropped) == 0 {
		return nil
	}
	states, err := m.store.PartitionStates(m.ctx, []TopicPartition{tp})
	if err != nil {
		return err
	}
	if isr := states[tp].ISR; len(isr) > 0 && subset(isr, dropped) {
		return protocol.Errorf(protocol.InvalidReplicaAssignment,
			"Unable to drop replicas %s of partition %s because no other replica is in sync.", joinIDs(dropped), partitionName(tp))
	}
	return nil
}

// storeReassignment is phase U.
func (m *Machine) storeReassignment(tp TopicPartition, a zkstore.Assignment) error {
	if current := m.c.assignment(tp); !sameAssignment(current, a) {
		if err := m.writeAssignment(tp, a); err != nil {
			return err
		}
		m.c.setAssignment(tp, a)
		if err := m.stopReplicas(tp, without(current.Replicas, a.Replicas)); err != nil {
			return err
		}
	}
	if !m.versions.alterPartition { // the leader changes the in-sync set in ZooKeeper, without a request
		m.store.WatchNode(zkstore.PartitionStatePath(tp), zkstore.NodeWatch{Changed: func() { m.agenda.Put(reassignmentISRChange{tp}) }})
	}
	m.c.reassigning[tp] = true
	return nil
}

// reassignmentComplete reports whether the target replicas are in sync according to ZooKeeper.
// Reading the state also arms its watch, if there is one.
func (m *Machine) reassignmentComplete(tp TopicPartition, a zkstore.Assignment) (bool, error) {
	if !beingReassigned(a) {
		return true, nil
	}
	states, err := m.store.PartitionStates(m.ctx, []TopicPartition{tp})
	if err != nil {
		return false, err
	}
	s, known := states[tp]
	return known && caughtUp(a, s.ISR), nil
}

// startReassignment is phase A.
func (m *Machine) startReassignment(tp TopicPartition, a zkstore.Assignment) error {
	if err := m.bumpLeaderEpoch(tp, a); err != nil {
		return err
	}
	for _, r := range replicasOf(tp, a.Adding) {
		if err := m.replicas.move(m.ctx, []replicaID{r}, newReplica); err != nil {
			return err
		}
	}
	return nil
}

// finishReassignment is phase B.
func (m *Machine) finishReassignment(tp TopicPartition, a zkstore.Assignment) error {
	if err := m.replicas.move(m.ctx, replicasOf(tp, a.Adding), onlineReplica); err != nil {
		return err
	}
	done := zkstore.Assignment{Replicas: targetReplicas(a)}
	m.c.setAssignment(tp, done)
	if err := m.moveLeaderInto(tp, done); err != nil {
		return err
	}
	if err := m.stopReplicas(tp, a.Removing); err != nil {
		return err
	}
	if err := m.writeAssignment(tp, done); err != nil {
		return err
	}
	m.unwatchState(tp)
	err := m.dropZKReassignments(func(other TopicPartition, target []int32) bool {
		return other == tp && slices.Equal(target, done.Replicas)
	})
	if err != nil {
		return err
	}
	delete(m.c.reassigning, tp)
	m.dispatcher.updateMetadata(m.c.registeredIDs(), tp)
	return m.resumeDeletionOf(tp.Topic)
}

func (m *Machine) unwatchState(tp TopicPartition) {
	if !m.versions.alterPartition {
		m.store.UnwatchNode(zkstore.PartitionStatePath(tp))
	}
}

// moveLeaderInto ensures that a live replica of the assignment leads, and sends the new assignment
// to all its replicas. It ignores a failed election.
func (m *Machine) moveLeaderInto(tp TopicPartition, a zkstore.Assignment) error {
	leadership := m.c.leadership(tp)
	if leadership == nil {
		return fmt.Errorf("cannot complete the reassignment of partition %s: its leadership is unknown", partitionName(tp))
	}
	leader := leadership.Leader
	switch {
	case !slices.Contains(a.Replicas, leader):
		m.log.Infof("Leader %d for partition %s being reassigned, is not in the new list of replicas %s. Re-electing leader", leader, partitionName(tp), joinIDs(a.Replicas))
	case m.c.replicaOnline(leader, tp):
		m.log.Infof("Leader %d for partition %s being reassigned, is already in the new list of replicas %s and is alive", leader, partitionName(tp), joinIDs(a.Replicas))
		return m.bumpLeaderEpoch(tp, a)
	default:
		m.log.Infof("Leader %d for partition %s being reassigned, is already in the new list of replicas %s but is dead", leader, partitionName(tp), joinIDs(a.Replicas))
	}
	_, err := m.partitions.move(m.ctx, []TopicPartition{tp}, onlinePartition, electReassign)
	return err
}

// bumpLeaderEpoch writes the next leader epoch and sends it to the replicas. It fences requests
// that are based on an older assignment.
func (m *Machine) bumpLeaderEpoch(tp TopicPartition, a zkstore.Assignment) error {
	s, err := m.writeNextEpoch(tp)
	if err != nil {
		return err
	}
	b := newBatch(m.c)
	b.addLeaderAndISR(originReplicas(a), tp, s, false)
	b.addLeaderAndISR(a.Adding, tp, s, true)
	m.dispatcher.send(b)
	m.changes.Infof("Sent LeaderAndIsr request %s with new replica assignment %s to leader %d for partition being reassigned %s",
		leadershipText(s), assignmentText(a), s.Leader, partitionName(tp))
	return nil
}

func (m *Machine) writeNextEpoch(tp TopicPartition) (written zkstore.PartitionState, err error) {
	for {
		states, err := m.store.PartitionStates(m.ctx, []TopicPartition{tp})
		if err != nil {
			return written, err
		}
		s, known := states[tp]
		if !known {
			return written, fmt.Errorf("cannot update the leader epoch of partition %s: its state is missing or invalid", partitionName(tp))
		}
		if err := m.leaderships.check(tp, s, true); err != nil {
			return written, err
		}
		next := nextEpoch(s)
		next.ControllerEpoch = m.c.epoch
		var failure error
		conflicts, err := m.leaderships.write(m.ctx, map[TopicPartition]zkstore.PartitionState{tp: next}, func(_ TopicPartition, o electionOutcome) {
			written, failure = o.state, o.err
		})
		if err != nil || failure != nil {
			return written, errors.Join(err, failure)
		}
		if len(conflicts) == 0 {
			m.log.Infof("Updated leader epoch for partition %s to %d, zkVersion=%d", partitionName(tp), written.LeaderEpoch, written.Version)
			return written, nil
		}
	}
}

// stopReplicas sends replicas requests to delete their data and removes them from the controller's
// state.
func (m *Machine) stopReplicas(tp TopicPartition, ids []int32) error {
	for _, state := range []replicaState{offlineReplica, replicaDeletionStarted, replicaDeletionSuccessful, nonExistentReplica} {
		if err := m.replicas.move(m.ctx, replicasOf(tp, ids), state); err != nil {
			return err
		}
	}
	return nil
}

// writeAssignment writes one partition's assignment to the topic's znode.
func (m *Machine) writeAssignment(tp TopicPartition, a zkstore.Assignment) error {
	node := m.topicNode(tp.Topic)
	node.Partitions[tp.Partition] = a
	if _, err := m.store.SetTopic(m.ctx, m.c.fence(), node); err != nil {
		return fmt.Errorf("update assignment of partition %s: %w", partitionName(tp), err)
	}
	m.log.Infof("Successfully updated assignment of partition %s to %s", partitionName(tp), assignmentText(a))
	return nil
}

// resumeReassignments runs again the ongoing reassignments for which accept returns true. An error
// of one partition does not affect the others, unless it is fatal.
func (m *Machine) resumeReassignments(accept func(TopicPartition) bool) error {
	for _, tp := range sortedPartitions(m.c.reassigning) {
		if !accept(tp) {
			continue
		}
		if err := m.reassign(tp, m.c.assignment(tp)); err != nil {
			if fatal(err) {
				return err
			}
			m.log.Errorf("Error completing reassignment of partition %s: %v", partitionName(tp), err)
		}
	}
	return nil
}

// resumeAllReassignments resumes reassignments after a failover: first those in the znode of old
// tools, then the other ongoing ones.
func (m *Machine) resumeAllReassignments() error {
	resumed, err := m.processZKReassignments()
	if err != nil {
		return err
	}
	return m.resumeReassignments(func(tp TopicPartition) bool { return !resumed[tp] })
}

// maybeCompleteReassignment completes a reassignment if its target replicas are in sync.
func (m *Machine) maybeCompleteReassignment(tp TopicPartition) error {
	a := m.c.assignment(tp)
	complete, err := m.reassignmentComplete(tp, a)
	if err != nil || !complete {
		return err
	}
	m.log.Infof("Target replicas %s have all caught up with the leader for reassigning partition %s", scalaList("List", targetReplicas(a)), partitionName(tp))
	return m.reassign(tp, a)
}

// reassignmentISRChange notifies that the state of a partition under reassignment changed in
// ZooKeeper, where leaders with an old protocol version write it themselves.
type reassignmentISRChange struct{ tp TopicPartition }

func (reassignmentISRChange) String() string { return "PartitionReassignmentIsrChange" }

func (e reassignmentISRChange) process(m *Machine) error {
	if !m.Active() || !m.c.reassigning[e.tp] {
		return nil
	}
	return m.maybeCompleteReassignment(e.tp)
}

// reassignAll starts the planned reassignments and returns the result of each, nil for success.
func (m *Machine) reassignAll(plans map[TopicPartition]zkstore.Assignment) (map[TopicPartition]error, error) {
	results := map[TopicPartition]error{}
	for _, tp := range sortedPartitions(plans) {
		if m.c.queuedForDeletion(tp.Topic) || len(m.c.assignment(tp).Replicas) == 0 {
			if m.c.queuedForDeletion(tp.Topic) {
				m.log.Infof("Skipping reassignment of %s since the topic is currently being deleted", partitionName(tp))
			}
			results[tp] = protocol.Errorf(protocol.UnknownTopicOrPartition, "The partition does not exist.")
			continue
		}
		err := m.checkDropped(tp, plans[tp])
		if errors.As(err, new(*protocol.Error)) {
			m.log.Warnf("Refusing reassignment of partition %s: %v", partitionName(tp), err)
			results[tp] = err
			continue
		}
		if err == nil {
			err = m.reassign(tp, plans[tp])
		}
		if err != nil && fatal(err) {
			m.log.Infof("Failed completing reassignment of partition %s because controller has moved to another broker", partitionName(tp))
			return results, err
		}
		if err != nil {
			m.log.Errorf("Error completing reassignment of partition %s: %v", partitionName(tp), err)
			err = protocol.UnknownServerError
		}
		results[tp] = err
	}
	return results, nil
}

// zkReassignment notifies that /admin/reassign_partitions was created.
type zkReassignment struct{}

func (zkReassignment) String() string { return "ZkPartitionReassignment" }

func (zkReassignment) process(m *Machine) error {
	if !m.Active() {
		return nil
	}
	_, err := m.processZKReassignments()
	return err
}

// processZKReassignments starts the reassignments in /admin/reassign_partitions, arms the watch of
// this znode, and removes the failed entries from it. It returns the partitions whose reassignment
// was started. It does not check that the target brokers are live.
func (m *Machine) processZKReassignments() (map[TopicPartition]bool, error) {
	if exists, err := m.store.Arm(m.ctx, zkstore.ReassignPartitionsPath); err != nil || !exists {
		return nil, err
	}
	targets, err := m.store.PartitionReassignments(m.ctx)
	if err != nil {
		return nil, err
	}
	plans := map[TopicPartition]zkstore.Assignment{}
	for tp, target := range targets {
		if len(target) > 0 {
			plans[tp] = reassignTo(m.c.assignment(tp), target)
		}
	}
	results, err := m.reassignAll(plans)
	if err != nil {
		return nil, err
	}
	started := map[TopicPartition]bool{}
	failed := map[TopicPartition]bool{}
	for tp := range targets {
		if result, tried := results[tp]; tried && result == nil {
			started[tp] = true
		} else {
			failed[tp] = true
		}
	}
	if len(failed) > 0 || len(targets) == 0 {
		m.log.Warnf("Failed reassignment through zk with the following errors: %v", results)
		err = m.dropZKReassignments(func(tp TopicPartition, _ []int32) bool { return failed[tp] })
	}
	return started, err
}

// dropZKReassignments removes entries from /admin/reassign_partitions and deletes the znode with
// the last entry. In that case it also queues the event again, because a tool may create the znode
// again in between.
func (m *Machine) dropZKReassignments(drop func(TopicPartition, []int32) bool) error {
	exists, err := m.store.Arm(m.ctx, zkstore.ReassignPartitionsPath)
	if err != nil || !exists {
		return err
	}
	targets, err := m.store.PartitionReassignments(m.ctx)
	if err != nil {
		return err
	}
	var dropped []TopicPartition
	for _, tp := range sortedPartitions(targets) {
		if drop(tp, targets[tp]) {
			dropped = append(dropped, tp)
		}
	}
	for _, tp := range dropped {
		delete(targets, tp)
	}
	if len(dropped) == 0 && len(targets) > 0 {
		return nil
	}
	m.log.Infof("Removing partitions %s from the list of reassigned partitions in zookeeper", joinPartitions(dropped))
	if len(targets) == 0 {
		m.log.Infof("No more partitions need to be reassigned. Deleting zk path %s", zkstore.ReassignPartitionsPath)
		m.agenda.Put(zkReassignment{})
	}
	return m.store.SetPartitionReassignments(m.ctx, m.c.fence(), targets)
}

// alterReassignments is the AlterPartitionReassignments request.
type alterReassignments struct {
	targets map[TopicPartition][]int32 // a nil list cancels
	refused map[TopicPartition]error   // the partitions whose target failed checkTargetList
	done    func(map[TopicPartition]error, error)
}

func (alterReassignments) String() string { return "ApiPartitionReassignment" }
func (e alterReassignments) preempt()     { e.done(nil, protocol.NotController) }

func (e alterReassignments) process(m *Machine) error {
	if !m.Active() {
		e.preempt()
		return nil
	}
	results, err := m.alterReassignments(e.targets, e.refused)
	if err != nil {
		if moved(err) {
			e.preempt()
		} else {
			e.done(nil, protocol.UnknownServerError)
		}
		return err
	}
	e.done(results, nil)
	return nil
}

func (m *Machine) alterReassignments(targets map[TopicPartition][]int32, refused map[TopicPartition]error) (map[TopicPartition]error, error) {
	results := map[TopicPartition]error{}
	maps.Copy(results, refused)
	live := m.c.liveIDs()
	plans := map[TopicPartition]zkstore.Assignment{}
	for tp, target := range targets {
		current := m.c.assignment(tp)
		if target != nil {
			if err := checkTargetBrokers(current, target, live); err != nil {
				results[tp] = err
				continue
			}
		}
		plan, ok := planReassignment(current, target, target == nil)
		if !ok {
			results[tp] = protocol.NoReassignmentInProgress
			continue
		}
		plans[tp] = plan
	}
	err := m.dropZKReassignments(func(tp TopicPartition, _ []int32) bool { _, planned := plans[tp]; return planned })
	if err != nil {
		return nil, err
	}
	started, err := m.reassignAll(plans)
	if err != nil {
		return nil, err
	}
	for tp, result := range started {
		results[tp] = result
	}
	return results, nil
}

// listReassignments is the ListPartitionReassignments request.
type listReassignments struct {
	partitions []TopicPartition // nil means all
	done       func(map[TopicPartition]zkstore.Assignment, error)
}

func (listReassignments) String() string { return "ListPartitionReassignments" }
func (e listReassignments) preempt()     { e.done(nil, protocol.NotController) }

func (e listReassignments) process(m *Machine) error {
	if !m.Active() {
		e.preempt()
		return nil
	}
	tps := e.partitions
	if tps == nil {
		tps = sortedPartitions(m.c.reassigning)
	}
	running := map[TopicPartition]zkstore.Assignment{}
	for _, tp := range tps {
		if a := m.c.assignment(tp); beingReassigned(a) {
			running[tp] = a
		}
	}
	e.done(running, nil)
	return nil
}
