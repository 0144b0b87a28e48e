package controller

import (
	"errors"
	"fmt"
	"slices"

	"github.com/monedula/monedula/zkstore"
)

// A partition's life:
//
//	NonExistent → New → Online ⇄ Offline → NonExistent
//
// New: it has replicas, no leadership yet. To Online it gets its first leader,
// the first live replica, with all live replicas in sync, and its znodes are
// created. Online: it has a leader. Offline: its leader is gone. From either it
// comes Online by an election, which is decided on the state just read from
// ZooKeeper, written only if that is still the state there, and tried again
// where it is not. Going Offline and NonExistent is a matter of memory only.
//
// An illegal step is logged and left out; the other partitions go on.
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

// predecessors are the states from which s may be entered.
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

// errStateChange marks a failure that lies in the partition's state, not in
// ZooKeeper: no replica may lead, or another controller was here.
var errStateChange = errors.New("state change failed")

func stateChangeFailed(format string, args ...any) error {
	return &stateChangeError{fmt.Sprintf(format, args...)}
}

type stateChangeError struct{ text string }

func (e *stateChangeError) Error() string        { return e.text }
func (e *stateChangeError) Is(target error) bool { return target == errStateChange }

// electionOutcome is what an election of one partition came to.
type electionOutcome struct {
	state zkstore.PartitionState
	err   error
}

// startPartitions gives all partitions their first state after a failover and
// tries to bring the leaderless ones online.
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

// triggerOnline tries to bring New and Offline partitions online, of topics
// that are accepted and not to be deleted.
func (m *Machine) triggerOnline(accept func(topic string) bool) (map[TopicPartition]electionOutcome, error) {
	tps := m.c.partitionsWhere(func(tp TopicPartition, p *partitionContext) bool {
		return (p.state == newPartition || p.state == offlinePartition) && accept(tp.Topic) && !m.c.queuedForDeletion(tp.Topic)
	})
	return m.movePartitions(tps, onlinePartition, electOffline)
}

// movePartitions takes partitions to a state, with a strategy where that is
// Online, and sends what follows from it. There is an outcome for each partition
// that an election was held for, and for each new one that failed; the error is fatal.
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

// initializePartitions creates the states of new partitions. Where a state node
// is there already, the partition stays New until a failover reads it. There is
// an outcome for each that failed.
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

// electLeaders holds elections until none is left that failed only because the
// state changed meanwhile. There is an outcome for each. What this controller
// knows of a state is as good as what it would read, as long as a leader can be
// elected by it: the write only succeeds if ZooKeeper still has that version.
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

// electKnown elects without reading the states, where a clean leader is found by
// what is known, and returns the other partitions.
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

// electOnce fills outcomes and returns the partitions to try again.
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

// readStates reads partition states; those whose node is absent or unreadable are left out.
func (m *Machine) readStates(tps []TopicPartition) (map[TopicPartition]zkstore.PartitionState, error) {
	return m.store.PartitionStates(m.ctx, tps)
}

// checkState refuses a state that is not there or that a later controller wrote.
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

// writeStates writes states where ZooKeeper still has the version they come
// from, keeps what was written, and reports each partition but those that
// changed meanwhile, which it returns.
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

// firstError returns the first error that there is.
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

// uncleanAllowed says by topic whether a replica out of sync may lead. Topic
// configurations are only read where no replica in sync is online; a topic whose
// configuration cannot be read has no unclean election.
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
		m.partitionLog.Errorf("Cannot read the configuration of topic %s, so it gets no unclean leader: %v", topic, unreadable[topic])
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
