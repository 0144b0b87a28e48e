package controller

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// alterPartition is the AlterPartition request (AlterIsr before 3.2): a leader
// asks for another in-sync set. Version 0 and 1 name topics, from 2 on they have
// their ids; 1 adds the recovery state; 3 gives members with broker epochs, which
// count for nothing here.
type alterPartition struct {
	req  *kmsg.AlterPartitionRequest
	done func(*kmsg.AlterPartitionResponse)
}

func (alterPartition) String() string { return "AlterPartitionReceived" }
func (e alterPartition) preempt()     { e.fail(protocol.NotController) }

func (e alterPartition) fail(code protocol.ErrorCode) {
	resp := e.req.ResponseKind().(*kmsg.AlterPartitionResponse)
	resp.ErrorCode = int16(code)
	e.done(resp)
}

func (e alterPartition) process(m *Machine) error {
	if !m.Active() {
		e.preempt()
		return nil
	}
	broker, known := m.c.brokers[e.req.BrokerID]
	if !known || broker.Epoch != e.req.BrokerEpoch {
		m.log.Infof("Ignoring AlterPartition due to stale broker epoch %d of broker %d (registered: %t, its epoch %d)", e.req.BrokerEpoch, e.req.BrokerID, known, broker.Epoch)
		e.fail(protocol.StaleBrokerEpoch)
		return nil
	}
	a := m.newAlteration(e.req)
	if err := m.applyAlteration(a); err != nil {
		m.log.Errorf("Error when processing AlterPartition of broker %d: %v", e.req.BrokerID, err)
		e.fail(protocol.UnknownServerError)
		return err
	}
	m.sendUpdateMetadata(m.c.registeredIDs(), sortedPartitions(a.wanted)...)
	e.done(a.response(m.c))
	return m.completeAltered(a)
}

// alteration is one AlterPartition request on its way.
type alteration struct {
	req     *kmsg.AlterPartitionRequest
	unknown []kmsg.AlterPartitionRequestTopic // topics whose id nobody knows
	wanted  map[TopicPartition]zkstore.PartitionState
	results map[TopicPartition]alterationResult
}

// alterationResult is a partition's state now, or why it was refused.
type alterationResult struct {
	state zkstore.PartitionState
	code  protocol.ErrorCode
}

func (m *Machine) newAlteration(req *kmsg.AlterPartitionRequest) *alteration {
	a := &alteration{req: req, wanted: map[TopicPartition]zkstore.PartitionState{}, results: map[TopicPartition]alterationResult{}}
	for _, t := range req.Topics {
		name := t.Topic
		if req.Version >= 2 {
			var known bool
			if name, known = m.c.names[t.TopicID]; !known {
				a.unknown = append(a.unknown, t)
				continue
			}
		}
		for _, p := range t.Partitions {
			s := zkstore.PartitionState{Leader: req.BrokerID, LeaderEpoch: p.LeaderEpoch, ISR: p.NewISR,
				Recovering: p.LeaderRecoveryState == 1, Version: p.PartitionEpoch}
			if req.Version >= 3 {
				s.ISR = nil
				for _, member := range p.NewEpochISR {
					s.ISR = append(s.ISR, member.BrokerID)
				}
			}
			a.wanted[TopicPartition{Topic: name, Partition: p.Partition}] = s
		}
	}
	return a
}

// applyAlteration decides on each partition and writes what is accepted.
func (m *Machine) applyAlteration(a *alteration) error {
	accepted := map[TopicPartition]zkstore.PartitionState{}
	for _, tp := range sortedPartitions(a.wanted) {
		current, wanted := m.c.leadership(tp), a.wanted[tp]
		if current == nil {
			a.results[tp] = alterationResult{code: protocol.UnknownTopicOrPartition}
			continue
		}
		// A set of more members than there are brokers is refused by the first of them.
		wanted.ISR = wanted.ISR[:min(len(wanted.ISR), max(len(m.c.brokers), len(current.ISR))+1)]
		code, unchanged := judgeAlteration(*current, wanted, m.c.live, a.req.Version)
		switch {
		case unchanged:
			a.results[tp] = alterationResult{state: *current}
		case code != protocol.None:
			m.log.Infof("Rejecting AlterPartition from node %d for %s with %s: wanted %s, have %s", a.req.BrokerID, partitionName(tp), code, stateText(wanted), stateText(*current))
			a.results[tp] = alterationResult{code: code}
		default:
			wanted.ControllerEpoch = m.c.epoch
			accepted[tp] = wanted
		}
	}
	conflicts, err := m.writeStates(accepted, func(tp TopicPartition, o electionOutcome) {
		if o.err != nil {
			m.log.Errorf("Failed to update ISR for partition %s: %v", partitionName(tp), o.err)
			a.results[tp] = alterationResult{code: codeOfStore(o.err)}
			return
		}
		a.results[tp] = alterationResult{state: o.state}
	})
	for _, tp := range conflicts {
		m.log.Infof("Failed to update ISR to %s for partition %s, bad ZK version.", stateText(accepted[tp]), partitionName(tp))
		a.results[tp] = alterationResult{code: protocol.InvalidUpdateVersion}
	}
	return err
}

// judgeAlteration is the order of checks on one partition. A greater epoch than
// mine means that I am the stale one (KAFKA-14154); a repeated request whose
// answer was lost succeeds, and is told from a stale one before the partition
// epoch is compared (KAFKA-14144); members that are not live, or shut down, are
// refused (KAFKA-14140). With unchanged the answer is the current state, and
// nothing is written.
func judgeAlteration(current, wanted zkstore.PartitionState, live func(int32) bool, version int16) (code protocol.ErrorCode, unchanged bool) {
	switch {
	case wanted.Version > current.Version || wanted.LeaderEpoch > current.LeaderEpoch:
		return protocol.NotController, false
	case wanted.LeaderEpoch < current.LeaderEpoch:
		return protocol.FencedLeaderEpoch, false
	case wanted.Leader == current.Leader && wanted.Recovering == current.Recovering && slices.Equal(wanted.ISR, current.ISR):
		return protocol.None, true
	case wanted.Version < current.Version:
		return protocol.InvalidUpdateVersion, false
	case wanted.Recovering && (len(wanted.ISR) > 1 || !current.Recovering):
		return protocol.InvalidRequest, false
	case slices.ContainsFunc(wanted.ISR, func(id int32) bool { return !live(id) }), hasDuplicates(wanted.ISR):
		switch {
		case version >= 2:
			return protocol.IneligibleReplica, false
		case version == 1:
			return protocol.OperationNotAttempted, false
		}
		// A leader of 2.8 keeps its change in flight for ever after any error;
		// told the state as it is, it commits that and asks again when the
		// member has fetched again.
		return protocol.None, true
	}
	return protocol.None, false
}

func codeOfStore(err error) protocol.ErrorCode {
	if errors.Is(err, zkstore.ErrNoNode) {
		return protocol.UnknownTopicOrPartition
	}
	return protocol.UnknownServerError
}

func (a *alteration) response(c *controllerContext) *kmsg.AlterPartitionResponse {
	resp := a.req.ResponseKind().(*kmsg.AlterPartitionResponse)
	for _, t := range a.unknown {
		topic := kmsg.NewAlterPartitionResponseTopic()
		topic.TopidID = t.TopicID
		for _, p := range t.Partitions {
			partition := kmsg.NewAlterPartitionResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, int16(protocol.UnknownTopicID)
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	for tps := sortedPartitions(a.results); len(tps) > 0; {
		topic := kmsg.NewAlterPartitionResponseTopic()
		topic.Topic, topic.TopidID = tps[0].Topic, c.topicID(tps[0].Topic)
		for len(tps) > 0 && tps[0].Topic == topic.Topic {
			topic.Partitions = append(topic.Partitions, a.results[tps[0]].partition(tps[0].Partition))
			tps = tps[1:]
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (r alterationResult) partition(index int32) kmsg.AlterPartitionResponseTopicPartition {
	p := kmsg.NewAlterPartitionResponseTopicPartition()
	p.Partition, p.ErrorCode = index, int16(r.code)
	if r.code != protocol.None {
		return p
	}
	p.LeaderID, p.LeaderEpoch, p.ISR, p.PartitionEpoch = r.state.Leader, r.state.LeaderEpoch, r.state.ISR, r.state.Version
	if r.state.Recovering {
		p.LeaderRecoveryState = 1
	}
	return p
}

// completeAltered ends reassignments whose target is in sync now.
func (m *Machine) completeAltered(a *alteration) error {
	for _, tp := range sortedPartitions(a.results) {
		if a.results[tp].code != protocol.None || !m.c.reassigning[tp] {
			continue
		}
		if err := m.maybeCompleteReassignment(tp); err != nil {
			if fatal(err) {
				return err
			}
			m.log.Errorf("Error completing reassignment of partition %s: %v", partitionName(tp), err)
		}
	}
	return nil
}
