package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
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

// reassignments runs the reassignments of partitions. The ongoing ones are in the controller's
// context.
type reassignments struct {
	watchISR bool // leaders change in-sync sets in ZooKeeper, without a request (before IBP 2.7-IV2)
	c        *controllerContext
	store    interface {
		reassignmentStore
		stateStore
		topicStore
		watchStore
	}
	agenda      Agenda
	leaderships *leaderships
	partitions  *partitionStates
	replicas    *replicaStates
	deletions   *topicDeletions
	dispatcher  *dispatcher
	log         kafkalog.Prefixed
	changes     *kafkalog.Prefixed
}

// reassign runs phase U, then A or B.
func (ra *reassignments) reassign(ctx context.Context, tp TopicPartition, a zkstore.Assignment) error {
	ra.deletions.markIneligible("topic reassignment in progress", tp.Topic)
	if err := ra.storeAssignment(ctx, tp, a); err != nil {
		return err
	}
	complete, err := ra.targetInSync(ctx, tp, a)
	if err != nil {
		return err
	}
	if !complete {
		return ra.begin(ctx, tp, a)
	}
	return ra.finish(ctx, tp, a)
}

// refuseDrops removes from plans, and returns with an error, the assignments that have no replica
// in sync, as when an ongoing reassignment is canceled or replaced while only replicas that it adds
// are in sync. Kafka before KRaft deletes these replicas, and with them acknowledged records, and
// leaves the partition without a leader.
func (ra *reassignments) refuseDrops(ctx context.Context, plans map[TopicPartition]zkstore.Assignment) (refused map[TopicPartition]error, err error) {
	dropped := map[TopicPartition][]metadata.BrokerID{}
	for tp, a := range plans {
		if ids := without(ra.c.assignment(tp).Replicas, a.Replicas); len(ids) > 0 {
			dropped[tp] = ids
		}
	}
	if len(dropped) == 0 {
		return nil, nil
	}
	tps := sortedPartitions(dropped)
	states, err := ra.store.PartitionStates(ctx, tps)
	if err != nil {
		return nil, err
	}
	refused = map[TopicPartition]error{}
	for _, tp := range tps {
		if isr := states[tp].ISR; len(isr) > 0 && subset(isr, dropped[tp]) {
			refused[tp] = protocol.Errorf(protocol.InvalidReplicaAssignment,
				"Unable to drop replicas %s of partition %s because no other replica is in sync.", javatext.Join(dropped[tp], ","), tp.String())
			ra.log.Warnf("Refusing reassignment of partition %s: %v", tp, refused[tp])
			delete(plans, tp)
		}
	}
	return refused, nil
}

// storeAssignment runs phase U.
func (ra *reassignments) storeAssignment(ctx context.Context, tp TopicPartition, a zkstore.Assignment) error {
	if current := ra.c.assignment(tp); !sameAssignment(current, a) {
		if err := ra.writeAssignment(ctx, tp, a); err != nil {
			return err
		}
		ra.c.setAssignment(tp, a)
		if err := ra.stopReplicas(ctx, tp, without(current.Replicas, a.Replicas)); err != nil {
			return err
		}
	}
	if ra.watchISR {
		ra.store.WatchNode(zkstore.PartitionStatePath(tp), zkstore.NodeWatch{Changed: func() { ra.agenda.Put(reassignmentISRChange{tp}) }})
	}
	ra.c.reassigning[tp] = true
	return nil
}

// targetInSync reports whether the target replicas are in sync according to ZooKeeper. Reading the
// state also arms its watch, if there is one.
func (ra *reassignments) targetInSync(ctx context.Context, tp TopicPartition, a zkstore.Assignment) (bool, error) {
	if !beingReassigned(a) {
		return true, nil
	}
	states, err := ra.store.PartitionStates(ctx, []TopicPartition{tp})
	if err != nil {
		return false, err
	}
	s, known := states[tp]
	return known && caughtUp(a, s.ISR), nil
}

// begin runs phase A.
func (ra *reassignments) begin(ctx context.Context, tp TopicPartition, a zkstore.Assignment) error {
	if err := ra.bumpLeaderEpoch(ctx, tp, a); err != nil {
		return err
	}
	for _, r := range replicasOf(tp, a.Adding) {
		ra.replicas.enter([]replicaID{r}, newReplica)
	}
	return nil
}

// finish runs phase B.
func (ra *reassignments) finish(ctx context.Context, tp TopicPartition, a zkstore.Assignment) error {
	ra.replicas.enter(replicasOf(tp, a.Adding), onlineReplica)
	done := zkstore.Assignment{Replicas: targetReplicas(a)}
	ra.c.setAssignment(tp, done)
	if err := ra.moveLeaderInto(ctx, tp, done); err != nil {
		return err
	}
	if err := ra.stopReplicas(ctx, tp, a.Removing); err != nil {
		return err
	}
	if err := ra.writeAssignment(ctx, tp, done); err != nil {
		return err
	}
	ra.unwatchState(tp)
	err := ra.dropFromNode(ctx, func(other TopicPartition, target []metadata.BrokerID) bool {
		return other == tp && slices.Equal(target, done.Replicas)
	})
	if err != nil {
		return err
	}
	delete(ra.c.reassigning, tp)
	ra.dispatcher.updateMetadata(ra.c.registeredIDs(), tp)
	return ra.deletions.resumeTopics(ctx, tp.Topic)
}

func (ra *reassignments) unwatchState(tp TopicPartition) {
	if ra.watchISR {
		ra.store.UnwatchNode(zkstore.PartitionStatePath(tp))
	}
}

// moveLeaderInto ensures that a live replica of the assignment leads, and sends the new assignment
// to all its replicas. It ignores a failed election.
func (ra *reassignments) moveLeaderInto(ctx context.Context, tp TopicPartition, a zkstore.Assignment) error {
	leadership := ra.c.leadership(tp)
	if leadership == nil {
		return fmt.Errorf("cannot complete the reassignment of partition %s: its leadership is unknown", tp)
	}
	leader := leadership.Leader
	switch {
	case !slices.Contains(a.Replicas, leader):
		ra.log.Infof("Leader %d for partition %s being reassigned, is not in the new list of replicas %s. Re-electing leader", leader, tp, javatext.Join(a.Replicas, ","))
	case ra.c.replicaOnline(leader, tp):
		ra.log.Infof("Leader %d for partition %s being reassigned, is already in the new list of replicas %s and is alive", leader, tp, javatext.Join(a.Replicas, ","))
		return ra.bumpLeaderEpoch(ctx, tp, a)
	default:
		ra.log.Infof("Leader %d for partition %s being reassigned, is already in the new list of replicas %s but is dead", leader, tp, javatext.Join(a.Replicas, ","))
	}
	_, err := ra.partitions.bringOnline(ctx, []TopicPartition{tp}, electReassign)
	return err
}

// bumpLeaderEpoch writes the next leader epoch and sends it to the replicas. It fences requests
// that are based on an older assignment.
func (ra *reassignments) bumpLeaderEpoch(ctx context.Context, tp TopicPartition, a zkstore.Assignment) error {
	s, err := ra.writeNextEpoch(ctx, tp)
	if err != nil {
		return err
	}
	b := newBatch(ra.c)
	b.addLeaderAndISR(originReplicas(a), tp, s, false)
	b.addLeaderAndISR(a.Adding, tp, s, true)
	ra.dispatcher.send(b)
	ra.changes.Infof("Sent LeaderAndIsr request %s with new replica assignment %s to leader %d for partition being reassigned %s",
		leadershipText(s), assignmentText(a), s.Leader, tp.String())
	return nil
}

func (ra *reassignments) writeNextEpoch(ctx context.Context, tp TopicPartition) (written zkstore.PartitionState, err error) {
	for {
		states, err := ra.store.PartitionStates(ctx, []TopicPartition{tp})
		if err != nil {
			return written, err
		}
		s, known := states[tp]
		if !known {
			return written, fmt.Errorf("cannot update the leader epoch of partition %s: its state is missing or invalid", tp)
		}
		if err := ra.leaderships.check(tp, s, true); err != nil {
			return written, err
		}
		next := nextEpoch(s)
		next.ControllerEpoch = ra.c.epoch
		var failure error
		conflicts, err := ra.leaderships.write(ctx, map[TopicPartition]zkstore.PartitionState{tp: next}, func(_ TopicPartition, o electionOutcome) {
			written, failure = o.state, o.err
		})
		if err != nil || failure != nil {
			return written, errors.Join(err, failure)
		}
		if len(conflicts) == 0 {
			ra.log.Infof("Updated leader epoch for partition %s to %d, zkVersion=%d", tp, written.LeaderEpoch, written.Version)
			return written, nil
		}
	}
}

// stopReplicas sends replicas requests to delete their data and removes them from the controller's
// state.
func (ra *reassignments) stopReplicas(ctx context.Context, tp TopicPartition, ids []metadata.BrokerID) error {
	replicas := replicasOf(tp, ids)
	if err := ra.replicas.takeOffline(ctx, replicas); err != nil {
		return err
	}
	for _, state := range []replicaState{replicaDeletionStarted, replicaDeletionSuccessful, nonExistentReplica} {
		ra.replicas.enter(replicas, state)
	}
	return nil
}

// writeAssignment writes one partition's assignment to the topic's znode.
func (ra *reassignments) writeAssignment(ctx context.Context, tp TopicPartition, a zkstore.Assignment) error {
	node := ra.c.topicNode(tp.Topic)
	node.Partitions[tp.Partition] = a
	if _, err := ra.store.SetTopic(ctx, ra.c.fence(), node); err != nil {
		return fmt.Errorf("update assignment of partition %s: %w", tp, err)
	}
	ra.log.Infof("Successfully updated assignment of partition %s to %s", tp, assignmentText(a))
	return nil
}

// resume runs again the ongoing reassignments for which accept returns true. An error of one
// partition does not affect the others, unless it is fatal.
func (ra *reassignments) resume(ctx context.Context, accept func(TopicPartition) bool) error {
	for _, tp := range sortedPartitions(ra.c.reassigning) {
		if !accept(tp) {
			continue
		}
		if err := ra.reassign(ctx, tp, ra.c.assignment(tp)); err != nil {
			if fatal(err) {
				return err
			}
			ra.log.Errorf("Error completing reassignment of partition %s: %v", tp, err)
		}
	}
	return nil
}

// resumeAll resumes reassignments after a failover: first those in the znode of old tools, then the
// other ongoing ones.
func (ra *reassignments) resumeAll(ctx context.Context) error {
	resumed, err := ra.processNode(ctx)
	if err != nil {
		return err
	}
	return ra.resume(ctx, func(tp TopicPartition) bool { return !resumed[tp] })
}

// maybeComplete completes a reassignment if its target replicas are in sync.
func (ra *reassignments) maybeComplete(ctx context.Context, tp TopicPartition) error {
	a := ra.c.assignment(tp)
	complete, err := ra.targetInSync(ctx, tp, a)
	if err != nil || !complete {
		return err
	}
	ra.log.Infof("Target replicas %s have all caught up with the leader for reassigning partition %s", javatext.Collection("List", targetReplicas(a)), tp)
	return ra.reassign(ctx, tp, a)
}

// reassignmentISRChange notifies that the state of a partition under reassignment changed in
// ZooKeeper, where leaders with an old protocol version write it themselves.
type reassignmentISRChange struct{ tp TopicPartition }

func (reassignmentISRChange) String() string { return "PartitionReassignmentIsrChange" }

func (e reassignmentISRChange) process(m *Machine) error {
	if !m.Active() || !m.c.reassigning[e.tp] {
		return nil
	}
	return m.reassignments.maybeComplete(m.ctx, e.tp)
}

// reassignAll starts the planned reassignments and returns the result of each, nil for success.
func (ra *reassignments) reassignAll(ctx context.Context, plans map[TopicPartition]zkstore.Assignment) (map[TopicPartition]error, error) {
	results := map[TopicPartition]error{}
	for _, tp := range sortedPartitions(plans) {
		if ra.c.queuedForDeletion(tp.Topic) || len(ra.c.assignment(tp).Replicas) == 0 {
			if ra.c.queuedForDeletion(tp.Topic) {
				ra.log.Infof("Skipping reassignment of %s since the topic is currently being deleted", tp)
			}
			results[tp] = protocol.Errorf(protocol.UnknownTopicOrPartition, "The partition does not exist.")
			continue
		}
		err := ra.reassign(ctx, tp, plans[tp])
		if err != nil && fatal(err) {
			ra.log.Infof("Failed completing reassignment of partition %s because controller has moved to another broker", tp)
			return results, err
		}
		if err != nil {
			ra.log.Errorf("Error completing reassignment of partition %s: %v", tp, err)
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
	_, err := m.reassignments.processNode(m.ctx)
	return err
}

// processNode starts the reassignments in /admin/reassign_partitions, arms the watch of this znode,
// and removes the failed entries from it. It returns the partitions whose reassignment was started.
// It does not check that the target brokers are live.
func (ra *reassignments) processNode(ctx context.Context) (map[TopicPartition]bool, error) {
	if exists, err := ra.store.Arm(ctx, zkstore.ReassignPartitionsPath); err != nil || !exists {
		return nil, err
	}
	targets, err := ra.store.PartitionReassignments(ctx)
	if err != nil {
		return nil, err
	}
	plans := map[TopicPartition]zkstore.Assignment{}
	for tp, target := range targets {
		if len(target) > 0 {
			plans[tp] = reassignTo(ra.c.assignment(tp), target)
		}
	}
	refused, err := ra.refuseDrops(ctx, plans)
	if err != nil {
		return nil, err
	}
	results, err := ra.reassignAll(ctx, plans)
	if err != nil {
		return nil, err
	}
	maps.Copy(results, refused)
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
		ra.log.Warnf("Failed reassignment through zk with the following errors: %v", results)
		err = ra.dropFromNode(ctx, func(tp TopicPartition, _ []metadata.BrokerID) bool { return failed[tp] })
	}
	return started, err
}

// dropFromNode removes entries from /admin/reassign_partitions and deletes the znode with the last
// entry. In that case it also queues the event again, because a tool may create the znode again in
// between.
func (ra *reassignments) dropFromNode(ctx context.Context, drop func(TopicPartition, []metadata.BrokerID) bool) error {
	exists, err := ra.store.Arm(ctx, zkstore.ReassignPartitionsPath)
	if err != nil || !exists {
		return err
	}
	targets, err := ra.store.PartitionReassignments(ctx)
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
	ra.log.Infof("Removing partitions %s from the list of reassigned partitions in zookeeper", javatext.Join(dropped, ","))
	if len(targets) == 0 {
		ra.log.Infof("No more partitions need to be reassigned. Deleting zk path %s", zkstore.ReassignPartitionsPath)
		ra.agenda.Put(zkReassignment{})
	}
	return ra.store.SetPartitionReassignments(ctx, ra.c.fence(), targets)
}

// alterReassignments is the AlterPartitionReassignments request.
type alterReassignments struct {
	targets map[TopicPartition][]metadata.BrokerID // a nil list cancels
	refused map[TopicPartition]error               // the partitions whose target failed checkTargetList
	done    func(map[TopicPartition]error, error)
}

func (alterReassignments) String() string { return "ApiPartitionReassignment" }
func (e alterReassignments) preempt()     { e.done(nil, protocol.NotController) }

func (e alterReassignments) process(m *Machine) error {
	if !m.Active() {
		e.preempt()
		return nil
	}
	results, err := m.reassignments.alter(m.ctx, e.targets, e.refused)
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

// alter carries out an AlterPartitionReassignments request; see alterReassignments for its fields.
func (ra *reassignments) alter(ctx context.Context, targets map[TopicPartition][]metadata.BrokerID, refused map[TopicPartition]error) (map[TopicPartition]error, error) {
	results := map[TopicPartition]error{}
	maps.Copy(results, refused)
	live := ra.c.liveIDs()
	plans := map[TopicPartition]zkstore.Assignment{}
	for tp, target := range targets {
		current := ra.c.assignment(tp)
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
	drops, err := ra.refuseDrops(ctx, plans)
	if err != nil {
		return nil, err
	}
	maps.Copy(results, drops)
	err = ra.dropFromNode(ctx, func(tp TopicPartition, _ []metadata.BrokerID) bool { _, planned := plans[tp]; return planned })
	if err != nil {
		return nil, err
	}
	started, err := ra.reassignAll(ctx, plans)
	if err != nil {
		return nil, err
	}
	maps.Copy(results, started)
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
