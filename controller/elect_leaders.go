package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// electionTrigger is the source of a request to elect leaders.
type electionTrigger int8

const (
	adminTriggered electionTrigger = iota // the ElectLeaders request
	zkTriggered                           // /admin/preferred_replica_election
	autoTriggered                         // the periodic check
)

func (t electionTrigger) String() string {
	return [...]string{"AdminClientTriggered", "ZkTriggered", "AutoTriggered"}[t]
}

func (t ElectionType) String() string {
	if t == ElectPreferred {
		return "PREFERRED"
	}
	return "UNCLEAN"
}

// electionRequest is the ElectLeaders request, or the creation of
// /admin/preferred_replica_election.
type electionRequest struct {
	partitions []TopicPartition // nil means all partitions, or those in the znode if zkTriggered
	type_      ElectionType
	trigger    electionTrigger
	done       func(map[TopicPartition]ElectionResult, error) // nil if no caller waits
}

func (electionRequest) String() string { return "ReplicaLeaderElection" }

func (e electionRequest) preempt() { e.answer(nil, protocol.NotController) }

func (e electionRequest) answer(results map[TopicPartition]ElectionResult, err error) {
	if e.done != nil {
		e.done(results, err)
	}
}

func (e electionRequest) process(m *Machine) error {
	if !m.Active() {
		e.preempt()
		return nil
	}
	tps, err := m.elections.partitionsOf(m.ctx, e)
	if err != nil || tps == nil { // only for an event of the znode, for which no caller waits
		return err
	}
	results, err := m.elections.run(m.ctx, e, tps)
	switch {
	case err == nil:
		e.answer(results, nil)
	case moved(err):
		e.preempt()
	default:
		e.answer(nil, protocol.UnknownServerError)
	}
	return err
}

// electionRequests holds the elections that clients, old tools and the periodic check request.
type electionRequests struct {
	c     *controllerContext
	store interface {
		preferredElectionStore
		watchStore
	}
	agenda     Agenda
	partitions *partitionStates
	log        kafkalog.Prefixed
}

// partitionsOf returns the partitions that e is about, nil if its znode does not exist.
func (er *electionRequests) partitionsOf(ctx context.Context, e electionRequest) ([]TopicPartition, error) {
	switch {
	case e.partitions != nil:
		return e.partitions, nil
	case e.trigger == adminTriggered:
		return append([]TopicPartition{}, er.c.partitionsWhere(func(TopicPartition, *partitionContext) bool { return true })...), nil
	}
	exists, err := er.store.Arm(ctx, zkstore.PreferredElectionPath)
	if err != nil || !exists {
		return nil, err
	}
	tps, err := er.store.PreferredElections(ctx)
	return append([]TopicPartition{}, tps...), err
}

// unknownLogged is the number of unknown partitions that are logged for one request, which may name
// millions.
const unknownLogged = 100

func (er *electionRequests) run(ctx context.Context, e electionRequest, tps []TopicPartition) (map[TopicPartition]ElectionResult, error) {
	results := map[TopicPartition]ElectionResult{}
	var electable []TopicPartition
	unknown := 0
	for _, tp := range tps {
		p := er.c.partition(tp)
		switch {
		case p == nil:
			if unknown++; unknown <= unknownLogged {
				er.log.Infof("Skipping replica leader election (%s) for partition %s by %s since it doesn't exist.", e.type_, tp, e.trigger)
			}
			results[tp] = ElectionResult{metadata.NoBroker, protocol.Errorf(protocol.UnknownTopicOrPartition, "The partition does not exist.")}
		case er.c.queuedForDeletion(tp.Topic):
			er.log.Warnf("Skipping replica leader election (%s) for partitions %s by %s since the respective topics are being deleted", e.type_, tp, e.trigger)
			results[tp] = ElectionResult{metadata.NoBroker, protocol.Errorf(protocol.InvalidTopicException, "The topic is being deleted")}
		case electionNeeded(er.c, p, e.type_):
			electable = append(electable, tp)
		case e.partitions != nil || e.trigger != adminTriggered:
			results[tp] = ElectionResult{p.leadership.Leader, protocol.ElectionNotNeeded}
		}
	}
	if unknown > unknownLogged {
		er.log.Infof("Skipping replica leader election (%s) by %s for %d more partitions since they don't exist.", e.type_, e.trigger, unknown-unknownLogged)
	}
	outcomes, err := er.electLeadersOf(ctx, electable, e.type_, e.trigger)
	if err != nil {
		return nil, err
	}
	for _, tp := range electable {
		results[tp] = er.result(tp, outcomes, e.type_)
	}
	return results, nil
}

func electionNeeded(c *controllerContext, p *partitionContext, t ElectionType) bool {
	switch {
	case p.leadership == nil:
		return true
	case t == ElectPreferred:
		return len(p.assignment.Replicas) > 0 && p.leadership.Leader != p.assignment.Replicas[0]
	default:
		return !c.live(p.leadership.Leader)
	}
}

// result converts the outcome of an election into the result for the caller. A new partition that
// came online without an election has no outcome; it counts as a success.
func (er *electionRequests) result(tp TopicPartition, outcomes map[TopicPartition]electionOutcome, t ElectionType) ElectionResult {
	o, held := outcomes[tp]
	if !held {
		if s := er.c.leadership(tp); s != nil && er.c.partition(tp).state == onlinePartition {
			return ElectionResult{Leader: s.Leader}
		}
		o.err = stateChangeFailed("Failed to elect leader for partition %s in %s state", tp.String(), er.c.partition(tp).state)
	}
	switch {
	case o.err == nil:
		return ElectionResult{Leader: o.state.Leader}
	case !errors.Is(o.err, errStateChange):
		return ElectionResult{metadata.NoBroker, protocol.UnknownServerError}
	case t == ElectPreferred:
		return ElectionResult{metadata.NoBroker, protocol.Errorf(protocol.PreferredLeaderNotAvailable, "%s", o.err)}
	default:
		return ElectionResult{metadata.NoBroker, protocol.Errorf(protocol.EligibleLeadersNotAvailable, "%s", o.err)}
	}
}

// electLeadersOf runs preferred or unclean elections. An unclean election not requested through the
// ElectLeaders API elects a replica out of sync only if the topic allows it.
func (er *electionRequests) electLeadersOf(ctx context.Context, tps []TopicPartition, t ElectionType, trigger electionTrigger) (map[TopicPartition]electionOutcome, error) {
	er.log.Infof("Starting replica leader election (%s) for partitions %s triggered by %s", t, javatext.Join(tps, ","), trigger)
	s := electPreferred
	if t == ElectUnclean {
		s = electOffline
		if trigger == adminTriggered {
			s = electOfflineUnclean
		}
	}
	outcomes, err := er.partitions.bringOnline(ctx, tps, s)
	if err != nil {
		return nil, err
	}
	if trigger == adminTriggered {
		return outcomes, nil
	}
	for _, tp := range sortedPartitions(outcomes) {
		if o := outcomes[tp]; o.err != nil {
			er.log.Errorf("Error completing replica leader election (%s) for partition %s: %v", t, tp, o.err)
		}
	}
	er.logPreferred(tps)
	if trigger == zkTriggered { // delete the znode whatever the results; look again, since a tool may recreate it in between
		if err := er.store.DeletePreferredElections(ctx, er.c.fence()); err != nil {
			if fatal(err) {
				return nil, err
			}
			er.log.Errorf("Error deleting %s: %v", zkstore.PreferredElectionPath, err)
		}
		er.agenda.Put(electionRequest{type_: ElectPreferred, trigger: zkTriggered})
	}
	return outcomes, nil
}

func (er *electionRequests) logPreferred(tps []TopicPartition) {
	for _, tp := range tps {
		p := er.c.partition(tp)
		if p == nil || p.leadership == nil || len(p.assignment.Replicas) == 0 {
			continue
		}
		if preferred := p.assignment.Replicas[0]; p.leadership.Leader == preferred {
			er.log.Infof("Partition %s completed preferred replica leader election. New leader is %d", tp, preferred)
		} else {
			er.log.Warnf("Partition %s failed to complete preferred replica leader election to %d. Leader is still %d", tp, preferred, p.leadership.Leader)
		}
	}
}

// resumePreferred runs, after a failover, the elections that an old tool requested from an earlier
// controller.
func (er *electionRequests) resumePreferred(ctx context.Context) error {
	asked, err := er.store.PreferredElections(ctx)
	if err != nil {
		return err
	}
	var done, skipped, pending []TopicPartition
	for _, tp := range asked {
		p := er.c.partition(tp)
		switch {
		case p == nil || len(p.assignment.Replicas) == 0 || p.leadership != nil && p.leadership.Leader == p.assignment.Replicas[0]:
			done = append(done, tp)
		case er.c.queuedForDeletion(tp.Topic):
			skipped = append(skipped, tp)
		default:
			pending = append(pending, tp)
		}
	}
	er.log.Infof("Partitions undergoing preferred replica election: %s", javatext.Join(asked, ","))
	er.log.Infof("Partitions that completed preferred replica election: %s", javatext.Join(done, ","))
	er.log.Infof("Skipping preferred replica election for partitions due to topic deletion: %s", javatext.Join(skipped, ","))
	er.log.Infof("Resuming preferred replica election for partitions: %s", javatext.Join(pending, ","))
	_, err = er.electLeadersOf(ctx, pending, ElectPreferred, zkTriggered)
	return err
}

// autoRebalance is the periodic check for partitions that are not led by their preferred replica.
// It belongs to the term with the given controller epoch; each term schedules its own checks.
type autoRebalance struct{ epoch metadata.ControllerEpoch }

func (autoRebalance) String() string { return "AutoPreferredReplicaLeaderElection" }

func (e autoRebalance) process(m *Machine) error {
	if !m.Active() || e.epoch != m.c.epoch {
		return nil
	}
	m.log.Infof("Processing automatic preferred replica leader election")
	defer m.agenda.PutAfter(m.cfg.ImbalanceInterval, e)
	unbalanced := unbalancedLeaders(m.c, m.cfg.ImbalancePercentage)
	for _, broker := range sortedKeys(unbalanced) {
		tps := slices.DeleteFunc(unbalanced[broker], func(tp TopicPartition) bool {
			online := func(id metadata.BrokerID) bool { return m.c.replicaOnline(id, tp) }
			return !preferredCanLead(m.c.assignment(tp), m.c.leadership(tp).ISR, online)
		})
		if _, err := m.elections.electLeadersOf(m.ctx, tps, ElectPreferred, autoTriggered); err != nil {
			return fmt.Errorf("rebalance leaders to broker %d: %w", broker, err)
		}
	}
	return nil
}

// uncleanElectionEnabled notifies that the default of unclean.leader.election.enable was changed.
type uncleanElectionEnabled struct{ enabled bool }

func (uncleanElectionEnabled) String() string { return "UncleanLeaderElectionEnable" }

func (e uncleanElectionEnabled) process(m *Machine) error {
	m.partitions.unclean = e.enabled
	if !m.Active() || !e.enabled {
		return nil
	}
	m.log.Infof("Unclean leader election has been enabled by default")
	_, err := m.partitions.triggerOnline(m.ctx, func(string) bool { return true })
	return err
}

// topicUncleanElectionEnabled notifies that unclean elections were enabled for one topic.
type topicUncleanElectionEnabled struct{ topic string }

func (topicUncleanElectionEnabled) String() string { return "TopicUncleanLeaderElectionEnable" }

func (e topicUncleanElectionEnabled) process(m *Machine) error {
	if !m.Active() {
		return nil
	}
	m.log.Infof("Unclean leader election has been enabled for topic %s", e.topic)
	_, err := m.partitions.triggerOnline(m.ctx, func(topic string) bool { return topic == e.topic })
	return err
}
