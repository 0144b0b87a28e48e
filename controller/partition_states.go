package controller

import (
	"errors"
	"fmt"
	"slices"

	"github.com/monedula/monedula/zkstore"
)

// partitionState is the state of a partition in the controller:
//
//	NonExistent → New → Online ⇄ Offline → NonExistent
//
// The states mean:
//   - New: it has replicas but no leadership. When it becomes Online, the first live replica
//     becomes its leader, all live replicas are in sync, and its znodes are created.
//   - Online: it has a leader.
//   - Offline: its leader is offline. An election brings it, or an Online partition that needs
//     another leader, to Online. The election is based on a state from ZooKeeper, is written only
//     if ZooKeeper still has the same version, and is repeated if not.
//
// Changes to Offline and NonExistent are only in memory. An illegal change is logged and skipped;
// it does not affect other partitions.
type partitionState int8

const (
	nonExistentPartition partitionState = iota
	newPartition
	onlinePartition
	offlinePartition
)

func (s partitionState) String() string {
	return [...]string{"NonExistentPartition", "NewPartition", "OnlinePartition", "OfflinePartition"}[s]
}

// predecessors returns the states from which s may be entered.
func (s partitionState) predecessors() []partitionState {
	switch s {
	case newPartition:
		return []partitionState{nonExistentPartition}
	case onlinePartition, offlinePartition:
		return []partitionState{newPartition, onlinePartition, offlinePartition}
	default:
		return []partitionState{offlinePartition}
	}
}

// errStateChange marks a failure caused by the partition's state and not by ZooKeeper: no replica
// may lead, or a later controller wrote the state.
var errStateChange = errors.New("state change failed")

func stateChangeFailed(format string, args ...any) error {
	return &stateChangeError{fmt.Sprintf(format, args...)}
}

type stateChangeError struct{ text string }

func (e *stateChangeError) Error() string        { return e.text }
func (e *stateChangeError) Is(target error) bool { return target == errStateChange }

// electionOutcome is the state that the election of one partition wrote, or its error.
type electionOutcome struct {
	state zkstore.PartitionState
	err   error
}

// startPartitions sets the first state of all partitions after a failover and tries to bring those
// without a leader online.
func (m *Machine) startPartitions() error {
	m.partitionLog.Infof("Initializing partition state")
	m.c.each(func(tp TopicPartition, p *partitionContext) {
		switch {
		case p.leadership == nil:
			p.state = newPartition
		case m.c.replicaOnline(p.leadership.Leader, tp):
			p.state = onlinePartition
		default:
			p.state = offlinePartition
		}
	})
	m.partitionLog.Infof("Triggering online partition state changes")
	_, err := m.triggerOnline(func(string) bool { return true })
	return err
}

// triggerOnline tries to bring New and Offline partitions online if accept returns true for their
// topic and the topic is not to be deleted.
func (m *Machine) triggerOnline(accept func(topic string) bool) (map[TopicPartition]electionOutcome, error) {
	tps := m.c.partitionsWhere(func(tp TopicPartition, p *partitionContext) bool {
		return (p.state == newPartition || p.state == offlinePartition) && accept(tp.Topic) && !m.c.queuedForDeletion(tp.Topic)
	})
	return m.movePartitions(tps, onlinePartition, electOffline)
}

// movePartitions changes the state of partitions and sends the resulting requests. The strategy s
// applies if to is Online. The result has an outcome for each partition that had an election, and
// for each New partition that failed. The error ends the whole event.
func (m *Machine) movePartitions(tps []TopicPartition, to partitionState, s strategy) (map[TopicPartition]electionOutcome, error) {
	if len(tps) == 0 {
		return nil, nil
	}
	b := newBatch(m.c)
	outcomes, err := m.transitPartitions(b, m.legalPartitions(tps, to), to, s)
	if err != nil {
		m.partitionLog.Errorf("Error while moving some partitions to %s state: %v", to, err)
		return outcomes, err
	}
	m.send(b)
	return outcomes, nil
}

func (m *Machine) legalPartitions(tps []TopicPartition, to partitionState) []TopicPartition {
	var legal []TopicPartition
	for _, tp := range tps {
		p := m.c.partition(tp)
		if p == nil {
			continue
		}
		if slices.Contains(to.predecessors(), p.state) {
			legal = append(legal, tp)
			continue
		}
		m.logFailedPartition(tp, p.state, to, fmt.Errorf("partition %s should be in one of %v states before moving to %s state. Instead it is in %s state",
			partitionName(tp), to.predecessors(), to, p.state))
	}
	return legal
}

func (m *Machine) transitPartitions(b *batch, tps []TopicPartition, to partitionState, s strategy) (map[TopicPartition]electionOutcome, error) {
	if to == onlinePartition {
		var fresh, known []TopicPartition
		for _, tp := range tps {
			if m.c.partition(tp).state == newPartition {
				fresh = append(fresh, tp)
			} else {
				known = append(known, tp)
			}
		}
		outcomes := map[TopicPartition]electionOutcome{}
		if err := m.initializePartitions(b, fresh, outcomes); err != nil {
			return nil, err
		}
		return outcomes, m.electLeaders(b, known, s, outcomes)
	}
	for _, tp := range tps {
		p := m.c.partition(tp)
		if to == newPartition {
			m.changes.Infof("Changed partition %s state from %s to %s with assigned replicas %s", partitionName(tp), p.state, to, joinIDs(p.assignment.Replicas))
		} else {
			m.changes.Tracef("Changed partition %s state from %s to %s", partitionName(tp), p.state, to)
		}
		p.state = to
	}
	return nil, nil
}

// initializePartitions creates the state znodes of new partitions and adds an outcome for each one
// that failed. If a state znode already exists, the partition stays New until a failover reads it.
func (m *Machine) initializePartitions(b *batch, tps []TopicPartition, outcomes map[TopicPartition]electionOutcome) error {
	fail := func(tp TopicPartition, err error) {
		outcomes[tp] = electionOutcome{err: err}
		m.logFailedPartition(tp, newPartition, onlinePartition, err)
	}
	states := map[TopicPartition]zkstore.PartitionState{}
	for _, tp := range tps {
		replicas := m.c.assignment(tp).Replicas
		live := filter(replicas, func(id int32) bool { return m.c.replicaOnline(id, tp) })
		if len(live) == 0 {
			fail(tp, stateChangeFailed(
				"Controller %d epoch %d encountered error during state change of partition %s from New to Online, assigned replicas are [%s], live brokers are [%s]. No assigned replica is alive.",
				m.cfg.BrokerID, m.c.epoch, partitionName(tp), joinIDs(replicas), scalaList("Set", m.c.liveIDs())))
			continue
		}
		states[tp] = zkstore.PartitionState{ControllerEpoch: m.c.epoch, Leader: live[0], ISR: live}
	}
	if len(states) == 0 {
		return nil
	}
	failed, err := m.store.CreatePartitionStates(m.ctx, m.c.fence(), states)
	if err != nil && fatal(err) {
		return err
	}
	for _, tp := range sortedPartitions(states) {
		if failure := errors.Join(err, failed[tp]); failure != nil {
			fail(tp, failure)
			continue
		}
		m.c.setLeadership(tp, states[tp])
		b.addLeaderAndISR(states[tp].ISR, tp, states[tp], true)
		m.becameOnline(tp)
	}
	return nil
}

func (m *Machine) becameOnline(tp TopicPartition) {
	p := m.c.partition(tp)
	m.changes.Infof("Changed partition %s from %s to %s with state %s", partitionName(tp), p.state, onlinePartition, stateText(*p.leadership))
	p.state = onlinePartition
}

// electLeaders elects leaders and adds an outcome for each partition. It repeats elections that
// failed only because the state changed in the meantime. The first attempt uses the states that the
// controller knows, without reading them: the write succeeds only if ZooKeeper still has the same
// version.
func (m *Machine) electLeaders(b *batch, tps []TopicPartition, s strategy, outcomes map[TopicPartition]electionOutcome) error {
	rest, err := m.electKnown(b, tps, s, outcomes)
	if err != nil {
		return err
	}
	for len(rest) > 0 {
		conflicts, err := m.electOnce(b, rest, s, outcomes)
		if err != nil {
			return err
		}
		if rest = conflicts; len(rest) > 0 {
			m.partitionLog.Infof("Retrying leader election with strategy %s for partitions %s", s, joinPartitions(rest))
		}
	}
	for _, tp := range tps {
		if o := outcomes[tp]; o.err != nil {
			m.logFailedPartition(tp, m.c.partition(tp).state, onlinePartition, o.err)
		} else {
			m.becameOnline(tp)
		}
	}
	return nil
}

// electKnown elects clean leaders from the known states, without reading them. It returns the
// partitions for which this is not possible.
func (m *Machine) electKnown(b *batch, tps []TopicPartition, s strategy, outcomes map[TopicPartition]electionOutcome) (rest []TopicPartition, err error) {
	elected := map[TopicPartition]zkstore.PartitionState{}
	recipients := map[TopicPartition][]int32{}
	for _, tp := range tps {
		state := m.c.leadership(tp)
		if state == nil || state.ControllerEpoch > m.c.epoch {
			rest = append(rest, tp)
			continue
		}
		next, to, ok := elect(s, m.ballot(tp, *state, false))
		if !ok {
			rest = append(rest, tp)
			continue
		}
		next.ControllerEpoch = m.c.epoch
		elected[tp], recipients[tp] = next, to
	}
	conflicts, err := m.writeStates(elected, func(tp TopicPartition, o electionOutcome) {
		if errors.Is(o.err, zkstore.ErrNoNode) {
			rest = append(rest, tp)
			return
		}
		outcomes[tp] = o
		if o.err == nil {
			b.addLeaderAndISR(recipients[tp], tp, o.state, false)
		}
	})
	return append(rest, conflicts...), err
}

// electOnce reads the states, elects leaders and adds outcomes. It returns the partitions to try
// again because their state changed in the meantime.
func (m *Machine) electOnce(b *batch, tps []TopicPartition, s strategy, outcomes map[TopicPartition]electionOutcome) (conflicts []TopicPartition, err error) {
	states, err := m.readStates(tps)
	if err != nil {
		if fatal(err) {
			return nil, err
		}
		for _, tp := range tps {
			outcomes[tp] = electionOutcome{err: err}
		}
		return nil, nil
	}
	unclean, err := m.uncleanAllowed(states, s)
	if err != nil {
		return nil, err
	}
	elected := map[TopicPartition]zkstore.PartitionState{}
	recipients := map[TopicPartition][]int32{}
	for _, tp := range tps {
		state, known := states[tp]
		if err := m.checkState(tp, state, known); err != nil {
			outcomes[tp] = electionOutcome{err: err}
			continue
		}
		next, to, ok := elect(s, m.ballot(tp, state, unclean[tp.Topic]))
		if !ok {
			outcomes[tp] = electionOutcome{err: stateChangeFailed("Failed to elect leader for partition %s under strategy %s", partitionName(tp), s)}
			continue
		}
		next.ControllerEpoch = m.c.epoch
		elected[tp], recipients[tp] = next, to
	}
	return m.writeStates(elected, func(tp TopicPartition, o electionOutcome) {
		outcomes[tp] = o
		if o.err != nil {
			return
		}
		b.addLeaderAndISR(recipients[tp], tp, o.state, false)
		if !slices.Contains(states[tp].ISR, o.state.Leader) {
			m.uncleanElections++
		}
	})
}

// readStates reads partition states. It omits partitions whose znode is missing or invalid.
func (m *Machine) readStates(tps []TopicPartition) (map[TopicPartition]zkstore.PartitionState, error) {
	return m.store.PartitionStates(m.ctx, tps)
}

// checkState returns an error if the state is missing (known is false) or a later controller wrote
// it.
func (m *Machine) checkState(tp TopicPartition, s zkstore.PartitionState, known bool) error {
	if !known {
		return stateChangeFailed("LeaderAndIsr information doesn't exist for partition %s in %s state", partitionName(tp), m.c.partition(tp).state)
	}
	if s.ControllerEpoch > m.c.epoch {
		return stateChangeFailed("Aborted leader election for partition %s since the LeaderAndIsr path was already written by another controller. "+
			"This probably means that the current controller %d went through a soft failure and another controller was elected with epoch %d.",
			partitionName(tp), m.cfg.BrokerID, s.ControllerEpoch)
	}
	return nil
}

// writeStates writes each state if ZooKeeper still has the version that the state is based on, and
// stores the written ones in the controller's context. It returns the partitions that changed in
// the meantime, and calls report for each of the others.
func (m *Machine) writeStates(states map[TopicPartition]zkstore.PartitionState, report func(TopicPartition, electionOutcome)) (conflicts []TopicPartition, err error) {
	if len(states) == 0 {
		return nil, nil
	}
	written, failed, err := m.store.SetPartitionStates(m.ctx, m.c.fence(), states)
	if err != nil && fatal(err) {
		return nil, err
	}
	for _, tp := range sortedPartitions(states) {
		state := states[tp]
		version, ok := written[tp]
		switch {
		case ok:
			state.Version = version
			m.c.setLeadership(tp, state)
			report(tp, electionOutcome{state: state})
		case errors.Is(failed[tp], zkstore.ErrBadVersion):
			conflicts = append(conflicts, tp)
		default:
			report(tp, electionOutcome{err: firstError(failed[tp], err)})
		}
	}
	return conflicts, nil
}

// firstError returns the first error that is not nil. There is always an error to return.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return errors.New("the state was not written")
}

func (m *Machine) ballot(tp TopicPartition, state zkstore.PartitionState, unclean bool) ballot {
	return ballot{
		assignment:      m.c.assignment(tp),
		state:           state,
		online:          func(id int32) bool { return m.c.replicaOnline(id, tp) },
		onlineOrLeaving: func(id int32) bool { return m.c.replicaOnlineOrLeaving(id, tp) },
		leaving:         func(id int32) bool { return m.c.shuttingDown[id] },
		allowUnclean:    unclean,
		recovery:        m.versions.recovery,
	}
}

const uncleanElectionKey = "unclean.leader.election.enable"

// uncleanAllowed reports for each topic whether a replica out of sync may lead. It reads the
// configuration of a topic only if a partition has no in-sync replica online. A topic with an
// unreadable configuration has no unclean elections.
func (m *Machine) uncleanAllowed(states map[TopicPartition]zkstore.PartitionState, s strategy) (map[string]bool, error) {
	allowed := map[string]bool{}
	if s != electOffline && s != electOfflineUnclean {
		return allowed, nil
	}
	ask := map[string]bool{}
	for tp, state := range states {
		if s == electOfflineUnclean {
			allowed[tp.Topic] = true
		} else if !slices.ContainsFunc(state.ISR, func(id int32) bool { return m.c.replicaOnline(id, tp) }) {
			ask[tp.Topic] = true
		}
	}
	if len(ask) == 0 {
		return allowed, nil
	}
	configs, unreadable, err := m.store.Configs(m.ctx, zkstore.EntityTopics, sortedKeys(ask))
	if err != nil {
		return nil, err
	}
	for _, topic := range sortedKeys(unreadable) {
		m.partitionLog.Errorf("Cannot read the configuration of topic %s; no unclean leader is elected for it: %v", topic, unreadable[topic])
	}
	for topic, config := range configs {
		allowed[topic] = m.unclean
		if value, set := config[uncleanElectionKey]; set {
			allowed[topic] = value == "true"
		}
	}
	return allowed, nil
}

func (m *Machine) logFailedPartition(tp TopicPartition, from, to partitionState, err error) {
	m.changes.Failed(err, "Controller %d epoch %d failed to change state for partition %s from %s to %s", m.cfg.BrokerID, m.c.epoch, partitionName(tp), from, to)
}
