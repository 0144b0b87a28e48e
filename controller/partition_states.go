package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
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

// partitionStates changes the states of partitions and elects their leaders (Kafka's
// PartitionStateMachine). The states themselves are in the controller's context.
type partitionStates struct {
	id          metadata.BrokerID // broker.id
	recovery    bool              // mark a leader that was out of sync as recovering (since IBP 3.2-IV0)
	c           *controllerContext
	store       partitionStore
	leaderships *leaderships
	dispatcher  *dispatcher
	log         kafkalog.Prefixed
	changes     *kafkalog.Prefixed

	unclean          bool  // unclean.leader.election.enable, which may be changed dynamically
	uncleanElections int64 // since the start of the broker
}

// electionOutcome is the state that the election of one partition wrote, or its error.
type electionOutcome struct {
	state zkstore.PartitionState
	err   error
}

// start sets the first state of all partitions after a failover and tries to bring those without a
// leader online.
func (ps *partitionStates) start(ctx context.Context) error {
	ps.log.Infof("Initializing partition state")
	ps.c.each(func(tp TopicPartition, p *partitionContext) {
		switch {
		case p.leadership == nil:
			p.state = newPartition
		case ps.c.replicaOnline(p.leadership.Leader, tp):
			p.state = onlinePartition
		default:
			p.state = offlinePartition
		}
	})
	ps.log.Infof("Triggering online partition state changes")
	_, err := ps.triggerOnline(ctx, func(string) bool { return true })
	return err
}

// triggerOnline tries to bring New and Offline partitions online if accept returns true for their
// topic and the topic is not to be deleted.
func (ps *partitionStates) triggerOnline(ctx context.Context, accept func(topic string) bool) (map[TopicPartition]electionOutcome, error) {
	tps := ps.c.partitionsWhere(func(tp TopicPartition, p *partitionContext) bool {
		return (p.state == newPartition || p.state == offlinePartition) && accept(tp.Topic) && !ps.c.queuedForDeletion(tp.Topic)
	})
	return ps.bringOnline(ctx, tps, electOffline)
}

// bringOnline creates the states of New partitions, elects leaders of the others, and sends the
// resulting requests. The result has an outcome for each partition that had an election, and for
// each New partition that failed. The error ends the whole event.
func (ps *partitionStates) bringOnline(ctx context.Context, tps []TopicPartition, s strategy) (map[TopicPartition]electionOutcome, error) {
	if len(tps) == 0 {
		return nil, nil
	}
	var fresh, known []TopicPartition
	for _, tp := range ps.legal(tps, onlinePartition) {
		if ps.c.partition(tp).state == newPartition {
			fresh = append(fresh, tp)
		} else {
			known = append(known, tp)
		}
	}
	b, outcomes := newBatch(ps.c), map[TopicPartition]electionOutcome{}
	err := ps.initialize(ctx, b, fresh, outcomes)
	if err == nil {
		err = ps.electLeaders(ctx, b, known, s, outcomes)
	}
	if err != nil {
		ps.log.Errorf("Error while moving some partitions to %s state: %v", onlinePartition, err)
		return nil, err
	}
	ps.dispatcher.send(b)
	return outcomes, nil
}

// enter changes the state of partitions to New, Offline or NonExistent, which sends nothing.
func (ps *partitionStates) enter(tps []TopicPartition, to partitionState) {
	for _, tp := range ps.legal(tps, to) {
		p := ps.c.partition(tp)
		if to == newPartition {
			ps.changes.Infof("Changed partition %s state from %s to %s with assigned replicas %s", tp, p.state, to, javatext.Join(p.assignment.Replicas, ","))
		} else {
			ps.changes.Tracef("Changed partition %s state from %s to %s", tp, p.state, to)
		}
		p.state = to
	}
}

func (ps *partitionStates) legal(tps []TopicPartition, to partitionState) []TopicPartition {
	var legal []TopicPartition
	for _, tp := range tps {
		p := ps.c.partition(tp)
		if p == nil {
			continue
		}
		if slices.Contains(to.predecessors(), p.state) {
			legal = append(legal, tp)
			continue
		}
		ps.logFailed(tp, p.state, to, fmt.Errorf("partition %s should be in one of %v states before moving to %s state. Instead it is in %s state",
			tp.String(), to.predecessors(), to, p.state))
	}
	return legal
}

// initialize creates the state znodes of new partitions and adds an outcome for each one that
// failed. If a state znode already exists, the partition stays New until a failover reads it.
func (ps *partitionStates) initialize(ctx context.Context, b *batch, tps []TopicPartition, outcomes map[TopicPartition]electionOutcome) error {
	fail := func(tp TopicPartition, err error) {
		outcomes[tp] = electionOutcome{err: err}
		ps.logFailed(tp, newPartition, onlinePartition, err)
	}
	states := map[TopicPartition]zkstore.PartitionState{}
	for _, tp := range tps {
		replicas := ps.c.assignment(tp).Replicas
		live := filter(replicas, func(id metadata.BrokerID) bool { return ps.c.replicaOnline(id, tp) })
		if len(live) == 0 {
			fail(tp, stateChangeFailed(
				"Controller %d epoch %d encountered error during state change of partition %s from New to Online, assigned replicas are [%s], live brokers are [%s]. No assigned replica is alive.",
				ps.id, ps.c.epoch, tp.String(), javatext.Join(replicas, ","), liveText(ps.c.liveIDs())))
			continue
		}
		states[tp] = zkstore.PartitionState{ControllerEpoch: ps.c.epoch, Leader: live[0], ISR: live}
	}
	if len(states) == 0 {
		return nil
	}
	failed, err := ps.store.CreatePartitionStates(ctx, ps.c.fence(), states)
	if err != nil && fatal(err) {
		return err
	}
	for _, tp := range sortedPartitions(states) {
		if failure := errors.Join(err, failed[tp]); failure != nil {
			fail(tp, failure)
			continue
		}
		ps.c.setLeadership(tp, states[tp])
		b.addLeaderAndISR(states[tp].ISR, tp, states[tp], true)
		ps.becameOnline(tp)
	}
	return nil
}

func (ps *partitionStates) becameOnline(tp TopicPartition) {
	p := ps.c.partition(tp)
	ps.changes.Infof("Changed partition %s from %s to %s with state %s", tp, p.state, onlinePartition, stateText(*p.leadership))
	p.state = onlinePartition
}

// electLeaders elects leaders and adds an outcome for each partition. It repeats elections that
// failed only because the state changed in the meantime. The first attempt uses the states that the
// controller knows, without reading them: the write succeeds only if ZooKeeper still has the same
// version.
func (ps *partitionStates) electLeaders(ctx context.Context, b *batch, tps []TopicPartition, s strategy, outcomes map[TopicPartition]electionOutcome) error {
	rest, err := ps.electKnown(ctx, b, tps, s, outcomes)
	if err != nil {
		return err
	}
	for len(rest) > 0 {
		conflicts, err := ps.electOnce(ctx, b, rest, s, outcomes)
		if err != nil {
			return err
		}
		if rest = conflicts; len(rest) > 0 {
			ps.log.Infof("Retrying leader election with strategy %s for partitions %s", s, javatext.Join(rest, ","))
		}
	}
	for _, tp := range tps {
		if o := outcomes[tp]; o.err != nil {
			ps.logFailed(tp, ps.c.partition(tp).state, onlinePartition, o.err)
		} else {
			ps.becameOnline(tp)
		}
	}
	return nil
}

// electKnown elects clean leaders from the known states, without reading them. It returns the
// partitions for which this is not possible.
func (ps *partitionStates) electKnown(ctx context.Context, b *batch, tps []TopicPartition, s strategy, outcomes map[TopicPartition]electionOutcome) (rest []TopicPartition, err error) {
	elected := map[TopicPartition]zkstore.PartitionState{}
	recipients := map[TopicPartition][]metadata.BrokerID{}
	for _, tp := range tps {
		state := ps.c.leadership(tp)
		if state == nil || state.ControllerEpoch > ps.c.epoch {
			rest = append(rest, tp)
			continue
		}
		next, to, ok := electLeader(s, ps.ballot(tp, *state, false))
		if !ok {
			rest = append(rest, tp)
			continue
		}
		next.ControllerEpoch = ps.c.epoch
		elected[tp], recipients[tp] = next, to
	}
	conflicts, err := ps.leaderships.write(ctx, elected, func(tp TopicPartition, o electionOutcome) {
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
func (ps *partitionStates) electOnce(ctx context.Context, b *batch, tps []TopicPartition, s strategy, outcomes map[TopicPartition]electionOutcome) (conflicts []TopicPartition, err error) {
	states, err := ps.store.PartitionStates(ctx, tps)
	if err != nil {
		if fatal(err) {
			return nil, err
		}
		for _, tp := range tps {
			outcomes[tp] = electionOutcome{err: err}
		}
		return nil, nil
	}
	unclean, err := ps.uncleanAllowed(ctx, states, s)
	if err != nil {
		return nil, err
	}
	elected := map[TopicPartition]zkstore.PartitionState{}
	recipients := map[TopicPartition][]metadata.BrokerID{}
	for _, tp := range tps {
		state, known := states[tp]
		if err := ps.leaderships.check(tp, state, known); err != nil {
			outcomes[tp] = electionOutcome{err: err}
			continue
		}
		next, to, ok := electLeader(s, ps.ballot(tp, state, unclean[tp.Topic]))
		if !ok {
			outcomes[tp] = electionOutcome{err: stateChangeFailed("Failed to elect leader for partition %s under strategy %s", tp.String(), s)}
			continue
		}
		next.ControllerEpoch = ps.c.epoch
		elected[tp], recipients[tp] = next, to
	}
	return ps.leaderships.write(ctx, elected, func(tp TopicPartition, o electionOutcome) {
		outcomes[tp] = o
		if o.err != nil {
			return
		}
		b.addLeaderAndISR(recipients[tp], tp, o.state, false)
		if !slices.Contains(states[tp].ISR, o.state.Leader) {
			ps.uncleanElections++
		}
	})
}

func (ps *partitionStates) ballot(tp TopicPartition, state zkstore.PartitionState, unclean bool) ballot {
	return ballot{
		assignment:      ps.c.assignment(tp),
		state:           state,
		online:          func(id metadata.BrokerID) bool { return ps.c.replicaOnline(id, tp) },
		onlineOrLeaving: func(id metadata.BrokerID) bool { return ps.c.replicaOnlineOrLeaving(id, tp) },
		leaving:         func(id metadata.BrokerID) bool { return ps.c.shuttingDown[id] },
		allowUnclean:    unclean,
		recovery:        ps.recovery,
	}
}

var uncleanElectionKey = settings.TopicUncleanLeaderElectionEnable.Name

// uncleanAllowed reports for each topic whether a replica out of sync may lead. It reads the
// configuration of a topic only if a partition has no in-sync replica online. A topic with an
// unreadable configuration has no unclean elections.
func (ps *partitionStates) uncleanAllowed(ctx context.Context, states map[TopicPartition]zkstore.PartitionState, s strategy) (map[string]bool, error) {
	allowed := map[string]bool{}
	if s != electOffline && s != electOfflineUnclean {
		return allowed, nil
	}
	ask := map[string]bool{}
	for tp, state := range states {
		if s == electOfflineUnclean {
			allowed[tp.Topic] = true
		} else if !slices.ContainsFunc(state.ISR, func(id metadata.BrokerID) bool { return ps.c.replicaOnline(id, tp) }) {
			ask[tp.Topic] = true
		}
	}
	if len(ask) == 0 {
		return allowed, nil
	}
	configs, unreadable, err := ps.store.Configs(ctx, zkstore.EntityTopics, sortedKeys(ask))
	if err != nil {
		return nil, err
	}
	for _, topic := range sortedKeys(unreadable) {
		ps.log.Errorf("Cannot read the configuration of topic %s; no unclean leader is elected for it: %v", topic, unreadable[topic])
	}
	for topic, config := range configs {
		allowed[topic] = ps.unclean
		if value, set := config[uncleanElectionKey]; set {
			allowed[topic] = value == "true"
		}
	}
	return allowed, nil
}

func (ps *partitionStates) logFailed(tp TopicPartition, from, to partitionState, err error) {
	ps.changes.Failed(err, "Controller %d epoch %d failed to change state for partition %s from %s to %s", ps.id, ps.c.epoch, tp.String(), from, to)
}
