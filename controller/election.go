package controller

import (
	"slices"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// strategy is the reason for an election, which determines the rule by which the leader is chosen.
type strategy int8

const (
	electOffline            strategy = iota // the leader is offline; only in-sync replicas, unless the topic allows unclean elections
	electOfflineUnclean                     // the leader is offline; the administrator allows any live replica
	electReassign                           // the leader is not in the target of a reassignment
	electPreferred                          // the first assigned replica
	electControlledShutdown                 // the leader is shutting down
)

func (s strategy) String() string {
	switch s {
	case electOffline:
		return "OfflinePartitionLeaderElectionStrategy(false)"
	case electOfflineUnclean:
		return "OfflinePartitionLeaderElectionStrategy(true)"
	case electReassign:
		return "ReassignPartitionLeaderElectionStrategy"
	case electPreferred:
		return "PreferredReplicaPartitionLeaderElectionStrategy"
	default:
		return "ControlledShutdownPartitionLeaderElectionStrategy"
	}
}

// ballot is the input of the election of one partition's leader.
type ballot struct {
	assignment      zkstore.Assignment
	state           zkstore.PartitionState          // as ZooKeeper has it now
	online          func(id metadata.BrokerID) bool // the broker is live and can serve the partition
	onlineOrLeaving func(id metadata.BrokerID) bool // like online, but also true for brokers that are shutting down
	leaving         func(id metadata.BrokerID) bool // the broker is shutting down
	allowUnclean    bool                            // offline strategies: a replica out of sync may lead
	recovery        bool                            // mark a leader that was out of sync as recovering (since IBP 3.2-IV0)
}

// electLeader returns the new state of a partition, with the leader epoch increased by one, and the replicas that must
// be sent it. ok is false if no replica may lead. Among several candidates, the first in the order
// of the assignment wins.
func electLeader(s strategy, b ballot) (next zkstore.PartitionState, recipients []metadata.BrokerID, ok bool) {
	replicas := b.assignment.Replicas
	inSync := func(id metadata.BrokerID) bool { return slices.Contains(b.state.ISR, id) }
	next = nextEpoch(b.state)
	switch s {
	case electReassign:
		recipients = targetReplicas(b.assignment)
		next.Leader, ok = first(recipients, func(id metadata.BrokerID) bool { return b.online(id) && inSync(id) })
	case electPreferred:
		recipients = replicas
		if ok = len(replicas) > 0 && b.online(replicas[0]) && inSync(replicas[0]); ok {
			next.Leader = replicas[0]
		}
	case electControlledShutdown:
		recipients = filter(replicas, b.onlineOrLeaving)
		next.Leader, ok = first(recipients, func(id metadata.BrokerID) bool { return inSync(id) && !b.leaving(id) })
		next.ISR = filter(b.state.ISR, func(id metadata.BrokerID) bool { return !b.leaving(id) })
	default:
		recipients = filter(replicas, b.online)
		if next.Leader, ok = first(recipients, inSync); ok {
			next.ISR = filter(b.state.ISR, b.online)
		} else if b.allowUnclean && len(recipients) > 0 {
			ok = true
			next.Leader, next.ISR = recipients[0], recipients[:1:1]
			next.Recovering = b.state.Recovering || b.recovery
		}
	}
	return next, recipients, ok
}

// nextEpoch returns s with its leader epoch increased by one.
func nextEpoch(s zkstore.PartitionState) zkstore.PartitionState {
	s.LeaderEpoch++
	return s
}

// withoutISRMember returns the state after the replica on broker id went offline. If it was the
// leader, the partition has no leader. The last member of the in-sync set always stays.
func withoutISRMember(s zkstore.PartitionState, id metadata.BrokerID) zkstore.PartitionState {
	next := nextEpoch(s)
	if s.Leader == id {
		next.Leader = metadata.NoBroker
	}
	if len(s.ISR) > 1 {
		next.ISR = without(s.ISR, []metadata.BrokerID{id})
	}
	return next
}

// preferredCanLead reports whether a preferred election would succeed. a must have replicas.
func preferredCanLead(a zkstore.Assignment, isr []metadata.BrokerID, online func(id metadata.BrokerID) bool) bool {
	return online(a.Replicas[0]) && slices.Contains(isr, a.Replicas[0])
}

// unbalancedLeaders returns the partitions that are not led by their preferred broker, grouped by
// that broker. It includes only brokers for which more than percentage percent of the partitions
// that they should lead are led by other brokers or have no leader.
func unbalancedLeaders(c *controllerContext, percentage int32) map[metadata.BrokerID][]TopicPartition {
	total := map[metadata.BrokerID]int{}
	moved := map[metadata.BrokerID][]TopicPartition{}
	c.each(func(tp TopicPartition, p *partitionContext) {
		if len(p.assignment.Replicas) == 0 || c.queuedForDeletion(tp.Topic) {
			return
		}
		preferred := p.assignment.Replicas[0]
		total[preferred]++
		if p.leadership != nil && p.leadership.Leader != preferred {
			moved[preferred] = append(moved[preferred], tp)
		}
	})
	for broker, tps := range moved {
		if float64(len(tps))/float64(total[broker]) <= float64(percentage)/100 {
			delete(moved, broker)
		}
	}
	return moved
}

func first(ids []metadata.BrokerID, accept func(metadata.BrokerID) bool) (metadata.BrokerID, bool) {
	if i := slices.IndexFunc(ids, accept); i >= 0 {
		return ids[i], true
	}
	return metadata.NoBroker, false
}

func filter(ids []metadata.BrokerID, keep func(metadata.BrokerID) bool) []metadata.BrokerID {
	var kept []metadata.BrokerID
	for _, id := range ids {
		if keep(id) {
			kept = append(kept, id)
		}
	}
	return kept
}
