package controller

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// alterPartition is the AlterPartition request (AlterIsr before 3.2), by which a leader changes
// in-sync sets. Versions 0 and 1 have topic names, later ones topic ids. Version 1 adds the
// recovery state. Version 3 adds the broker epochs of members, which are ignored here.
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
	broker, known := m.c.brokers[metadata.BrokerID(e.req.BrokerID)]
	if !known || broker.Epoch != e.req.BrokerEpoch {
		m.log.Infof("Ignoring AlterPartition due to stale broker epoch %d of broker %d (registered: %t, its epoch %d)", e.req.BrokerEpoch, e.req.BrokerID, known, broker.Epoch)
		e.fail(protocol.StaleBrokerEpoch)
		return nil
	}
	a := newAlteration(m.c, e.req)
	if err := m.applyAlteration(a); err != nil {
		m.log.Errorf("Error when processing AlterPartition of broker %d: %v", e.req.BrokerID, err)
		e.fail(protocol.UnknownServerError)
		return err
	}
	m.dispatcher.updateMetadata(m.c.registeredIDs(), sortedPartitions(a.wanted)...)
	e.done(a.response(m.c))
	return m.completeAltered(a)
}

// alteration is the progress of one AlterPartition request.
type alteration struct {
	req     *kmsg.AlterPartitionRequest
	unknown []kmsg.AlterPartitionRequestTopic // topics with an unknown id
	wanted  map[TopicPartition]zkstore.PartitionState
	results map[TopicPartition]alterationResult
}

// alterationResult is a partition's state after the request, or the error code of its refusal.
type alterationResult struct {
	state zkstore.PartitionState
	code  protocol.ErrorCode
}

func newAlteration(c *controllerContext, req *kmsg.AlterPartitionRequest) *alteration {
	a := &alteration{req: req, wanted: map[TopicPartition]zkstore.PartitionState{}, results: map[TopicPartition]alterationResult{}}
	for _, t := range req.Topics {
		name := t.Topic
		if req.Version >= 2 {
			var known bool
			if name, known = c.names[t.TopicID]; !known {
				a.unknown = append(a.unknown, t)
				continue
			}
		}
		for _, p := range t.Partitions {
			s := zkstore.PartitionState{Leader: metadata.BrokerID(req.BrokerID), LeaderEpoch: metadata.LeaderEpoch(p.LeaderEpoch), ISR: metadata.BrokerIDs(p.NewISR),
				Recovering: p.LeaderRecoveryState == 1, Version: zkstore.Version(p.PartitionEpoch)}
			if req.Version >= 3 {
				s.ISR = nil
				for _, member := range p.NewEpochISR {
					s.ISR = append(s.ISR, metadata.BrokerID(member.BrokerID))
				}
			}
			a.wanted[TopicPartition{Topic: name, Partition: p.Partition}] = s
		}
	}
	return a
}

// applyAlteration checks each partition and writes the accepted states.
func (m *Machine) applyAlteration(a *alteration) error {
	accepted := map[TopicPartition]zkstore.PartitionState{}
	for _, tp := range sortedPartitions(a.wanted) {
		current, wanted := m.c.leadership(tp), a.wanted[tp]
		if current == nil {
			a.results[tp] = alterationResult{code: protocol.UnknownTopicOrPartition}
			continue
		}
		// Shorten a set with more members than can be valid: it is still refused, but at a bounded
		// cost.
		wanted.ISR = wanted.ISR[:min(len(wanted.ISR), max(len(m.c.brokers), len(current.ISR))+1)]
		code, unchanged := checkAlteration(*current, wanted, m.c.live, a.req.Version)
		switch {
		case unchanged:
			a.results[tp] = alterationResult{state: *current}
		case code != protocol.None:
			m.log.Infof("Rejecting AlterPartition from node %d for %s with %s: wanted %s, have %s", a.req.BrokerID, tp, code, stateText(wanted), stateText(*current))
			a.results[tp] = alterationResult{code: code}
		default:
			wanted.ControllerEpoch = m.c.epoch
			accepted[tp] = wanted
		}
	}
	conflicts, err := m.leaderships.write(m.ctx, accepted, func(tp TopicPartition, o electionOutcome) {
		if o.err != nil {
			m.log.Errorf("Failed to update ISR for partition %s: %v", tp, o.err)
			a.results[tp] = alterationResult{code: codeOfStore(o.err)}
			return
		}
		a.results[tp] = alterationResult{state: o.state}
	})
	for _, tp := range conflicts {
		m.log.Infof("Failed to update ISR to %s for partition %s, bad ZK version.", stateText(accepted[tp]), tp)
		a.results[tp] = alterationResult{code: protocol.InvalidUpdateVersion}
	}
	return err
}

// checkAlteration checks the state that a leader wants for one partition. If unchanged is true, the
// answer is the current state and nothing is written. The order of the checks matters:
//   - An epoch greater than the controller's means that this controller is stale (KAFKA-14154).
//   - A repeated request, whose first answer was lost, succeeds. It must be recognized before the
//     partition epochs are compared, because its partition epoch is stale (KAFKA-14144).
//   - Members that are not live, or that are shutting down, are refused (KAFKA-14140).
func checkAlteration(current, wanted zkstore.PartitionState, live func(metadata.BrokerID) bool, version int16) (code protocol.ErrorCode, unchanged bool) {
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
	case slices.ContainsFunc(wanted.ISR, func(id metadata.BrokerID) bool { return !live(id) }), hasDuplicates(wanted.ISR):
		switch {
		case version >= 2:
			return protocol.IneligibleReplica, false
		case version == 1:
			return protocol.OperationNotAttempted, false
		}
		// A leader of version 2.8 keeps its change in flight forever after any error. If it gets
		// the current state instead, it commits that, and asks again after the member's next fetch.
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
	p.LeaderID, p.LeaderEpoch, p.PartitionEpoch = int32(r.state.Leader), int32(r.state.LeaderEpoch), int32(r.state.Version)
	p.ISR = metadata.Int32s(r.state.ISR)
	if r.state.Recovering {
		p.LeaderRecoveryState = 1
	}
	return p
}

// completeAltered completes the reassignments whose target replicas are in sync now.
func (m *Machine) completeAltered(a *alteration) error {
	for _, tp := range sortedPartitions(a.results) {
		if a.results[tp].code != protocol.None || !m.c.reassigning[tp] {
			continue
		}
		if err := m.reassignments.maybeComplete(m.ctx, tp); err != nil {
			if fatal(err) {
				return err
			}
			m.log.Errorf("Error completing reassignment of partition %s: %v", tp, err)
		}
	}
	return nil
}
