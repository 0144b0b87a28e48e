package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// LeaderElector elects leaders. It is implemented by *controller.Controller.
type LeaderElector interface {
	ElectLeaders(partitions []controller.TopicPartition, t controller.ElectionType,
		done func(results map[controller.TopicPartition]controller.ElectionResult, err error))
}

// ElectLeaders elects preferred leaders or, with the unclean election type, leaders that may be out
// of sync, and waits until this broker's metadata has them. Only the controller serves it.
//
// Versions 0 to 2. v0 elects preferred leaders only. If the request is for all partitions (null),
// the answer leaves out those that needed no election.
func ElectLeaders(elector LeaderElector, cache Metadata) Handler {
	h := &electLeaders{elector, cache}
	return Typed(Handler{Key: protocol.ElectLeaders, Min: 0, Max: 2, PerEntry: true}, h.answer)
}

type electLeaders struct {
	elector LeaderElector
	cache   Metadata
}

func (h *electLeaders) answer(c *Call, req *kmsg.ElectLeadersRequest) (kmsg.Response, error) {
	resp := kmsg.NewPtrElectLeadersResponse()
	resp.Topics = []kmsg.ElectLeadersResponseTopic{}
	results := map[controller.TopicPartition]error{}
	if !c.AllowsCluster(kmsg.ACLOperationAlter) {
		resp.ErrorCode = int16(protocol.ClusterAuthorizationFailed)
		for _, tp := range namedPartitions(req) {
			results[tp] = protocol.ClusterAuthorizationFailed
		}
	} else {
		partitions := namedPartitions(req)
		if req.Topics == nil {
			snapshot := h.cache.Snapshot()
			if !snapshot.Complete {
				return nil, protocol.NotController
			}
			partitions = allPartitions(snapshot)
		}
		var err error
		if results, err = h.elect(c, req, partitions); err != nil {
			return nil, err
		}
	}
	byTopic := map[string][]kmsg.ElectLeadersResponseTopicPartition{}
	for tp, err := range results {
		if req.Topics == nil && protocol.CodeOf(err) == protocol.ElectionNotNeeded {
			continue
		}
		p := kmsg.NewElectLeadersResponseTopicPartition()
		p.Partition = tp.Partition
		p.ErrorCode, p.ErrorMessage = codeAndText(err)
		if withoutMessage(err) {
			p.ErrorMessage = nil
		}
		byTopic[tp.Topic] = append(byTopic[tp.Topic], p)
	}
	for _, topic := range sortedKeys(byTopic) {
		t := kmsg.NewElectLeadersResponseTopic()
		t.Topic, t.Partitions = topic, byTopic[topic]
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil
}

// withoutMessage reports whether err is sent without a message: an error of the whole request, repeated
// for each partition, or REQUEST_TIMED_OUT.
func withoutMessage(err error) bool {
	code := protocol.CodeOf(err)
	return code == protocol.NotController || code == protocol.ClusterAuthorizationFailed || code == protocol.RequestTimedOut
}

// elect elects the leaders and waits until the metadata has them.
func (h *electLeaders) elect(c *Call, req *kmsg.ElectLeadersRequest, partitions []controller.TopicPartition) (map[controller.TopicPartition]error, error) {
	elected, refused, err := outcome(c.Context(), func(done func(map[controller.TopicPartition]controller.ElectionResult, error)) {
		h.elector.ElectLeaders(partitions, controller.ElectionType(req.ElectionType), done)
	})
	if err != nil {
		return nil, err
	}
	results := map[controller.TopicPartition]error{}
	if refused != nil {
		for _, tp := range partitions {
			results[tp] = protocol.CodeOf(refused)
		}
		return results, nil
	}
	expected := map[controller.TopicPartition]metadata.BrokerID{}
	for tp, r := range elected {
		if results[tp] = r.Err; r.Err == nil {
			expected[tp] = r.Leader
		}
	}
	c.await(forElections, h.cache, millis(max(0, req.TimeoutMillis)), func(s *metadata.Snapshot) bool {
		for tp, leader := range expected {
			if state := s.Partition(tp.Topic, tp.Partition); state != nil && state.Leader == leader {
				delete(expected, tp)
			}
		}
		return len(expected) == 0
	})
	for tp := range expected {
		results[tp] = protocol.RequestTimedOut
	}
	return results, nil
}

func namedPartitions(req *kmsg.ElectLeadersRequest) []controller.TopicPartition {
	var list []controller.TopicPartition
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			list = append(list, controller.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	return unique(list)
}

func allPartitions(s *metadata.Snapshot) []controller.TopicPartition {
	var list []controller.TopicPartition
	for _, name := range sortedKeys(s.Topics) {
		for _, p := range sortedKeys(s.Topics[name].Partitions) {
			list = append(list, controller.TopicPartition{Topic: name, Partition: p})
		}
	}
	return list
}
