package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// requestBuilder builds control requests with the versions that inter.broker.protocol.version
// determines. Old versions differ in structure: LeaderAndIsr 0-1 and UpdateMetadata 0-4 list
// partitions without grouping them by topic, and StopReplica 0-2 has one delete flag for the whole
// request.
type requestBuilder struct {
	id       metadata.BrokerID // broker id of the controller
	listener string            // of the endpoints of live leaders
	versions versions
}

// outgoing is one request for one broker.
type outgoing struct {
	broker metadata.BrokerID
	req    kmsg.Request
	remove map[TopicPartition]bool // StopReplica: the replicas it deletes
}

// requests returns the requests of a batch in the order in which they are sent.
func (rb requestBuilder) requests(b *batch) []outgoing {
	var out []outgoing
	for _, id := range recipients(b.c, b.leaderAndISR) {
		out = append(out, outgoing{broker: id, req: rb.leaderAndISR(b.c, id, b.leaderAndISR[id])})
	}
	if b.updateMetadata {
		out = append(out, rb.updateMetadata(b)...)
	}
	for _, id := range recipients(b.c, b.stopReplica) {
		out = append(out, rb.stopReplica(b.c, id, b.stopReplica[id])...)
	}
	return out
}

func (rb requestBuilder) leaderAndISR(c *controllerContext, broker metadata.BrokerID, entries map[TopicPartition]leaderAndISREntry) *kmsg.LeaderAndISRRequest {
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version = rb.versions.leaderAndISR
	req.ControllerID, req.ControllerEpoch = int32(rb.id), int32(c.epoch)
	req.BrokerEpoch = c.brokers[broker].Epoch
	leaders := map[metadata.BrokerID]bool{}
	for _, tp := range sortedPartitions(entries) {
		e := entries[tp]
		leaders[e.state.Leader] = true
		p := rb.leaderAndISRPartition(tp, e)
		if req.Version <= 1 {
			req.PartitionStates = append(req.PartitionStates, p)
			continue
		}
		if n := len(req.TopicStates); n == 0 || req.TopicStates[n-1].Topic != tp.Topic {
			t := kmsg.NewLeaderAndISRRequestTopicState()
			t.Topic, t.TopicID = tp.Topic, c.topicID(tp.Topic)
			req.TopicStates = append(req.TopicStates, t)
		}
		t := &req.TopicStates[len(req.TopicStates)-1]
		t.PartitionStates = append(t.PartitionStates, p)
	}
	for _, id := range recipients(c, leaders) {
		endpoint, _ := endpointOf(c.brokers[id], rb.listener)
		l := kmsg.NewLeaderAndISRRequestLiveLeader()
		l.BrokerID, l.Host, l.Port = int32(id), endpoint.Host, endpoint.Port
		req.LiveLeaders = append(req.LiveLeaders, l)
	}
	return req
}

func (rb requestBuilder) leaderAndISRPartition(tp TopicPartition, e leaderAndISREntry) kmsg.LeaderAndISRRequestTopicPartition {
	p := kmsg.NewLeaderAndISRRequestTopicPartition()
	p.Topic, p.Partition = tp.Topic, tp.Partition
	p.ControllerEpoch, p.Leader, p.LeaderEpoch = int32(e.state.ControllerEpoch), int32(e.state.Leader), int32(e.state.LeaderEpoch)
	p.ISR, p.ZKVersion = metadata.Int32s(e.state.ISR), int32(e.state.Version)
	p.Replicas = metadata.Int32s(e.assignment.Replicas)
	p.AddingReplicas, p.RemovingReplicas = metadata.Int32s(e.assignment.Adding), metadata.Int32s(e.assignment.Removing)
	p.IsNew = e.isNew
	if rb.versions.recovery && e.state.Recovering {
		p.LeaderRecoveryState = 1
	}
	return p
}

// updateMetadata returns one request per broker. The requests differ only in the broker epoch and
// share all other data.
func (rb requestBuilder) updateMetadata(b *batch) []outgoing {
	shared := kmsg.NewUpdateMetadataRequest()
	shared.Version = rb.versions.updateMetadata
	shared.ControllerID, shared.ControllerEpoch = int32(rb.id), int32(b.c.epoch)
	for _, tp := range sortedPartitions(b.updatePartitions) {
		s := b.c.leadership(tp)
		if s == nil {
			continue
		}
		p := updateMetadataPartition(b.c, tp, *s)
		if shared.Version <= 4 {
			shared.PartitionStates = append(shared.PartitionStates, p)
			continue
		}
		if n := len(shared.TopicStates); n == 0 || shared.TopicStates[n-1].Topic != tp.Topic {
			t := kmsg.NewUpdateMetadataRequestTopicState()
			t.Topic, t.TopicID = tp.Topic, b.c.topicID(tp.Topic)
			shared.TopicStates = append(shared.TopicStates, t)
		}
		t := &shared.TopicStates[len(shared.TopicStates)-1]
		t.PartitionStates = append(t.PartitionStates, p)
	}
	for _, id := range b.c.registeredIDs() {
		shared.LiveBrokers = append(shared.LiveBrokers, liveBroker(b.c.brokers[id], shared.Version))
	}
	var out []outgoing
	for _, id := range b.updateRecipients() {
		req := shared
		req.BrokerEpoch = b.c.brokers[id].Epoch
		out = append(out, outgoing{broker: id, req: &req})
	}
	return out
}

func updateMetadataPartition(c *controllerContext, tp TopicPartition, s zkstore.PartitionState) kmsg.UpdateMetadataRequestTopicPartition {
	p := kmsg.NewUpdateMetadataRequestTopicPartition()
	p.Topic, p.Partition = tp.Topic, tp.Partition
	p.ControllerEpoch, p.Leader, p.LeaderEpoch = int32(s.ControllerEpoch), int32(s.Leader), int32(s.LeaderEpoch)
	p.ISR, p.ZKVersion = metadata.Int32s(s.ISR), int32(s.Version)
	if c.queuedForDeletion(tp.Topic) {
		p.Leader, p.LeaderEpoch, p.ZKVersion = int32(metadata.LeaderDuringDelete), 0, 0
	}
	replicas := c.assignment(tp).Replicas
	p.Replicas = metadata.Int32s(replicas)
	p.OfflineReplicas = metadata.Int32s(filter(replicas, func(id metadata.BrokerID) bool { return !c.replicaOnline(id, tp) }))
	return p
}

func liveBroker(b zkstore.BrokerInfo, version int16) kmsg.UpdateMetadataRequestLiveBroker {
	l := kmsg.NewUpdateMetadataRequestLiveBroker()
	l.ID, l.Rack = int32(b.ID), b.Rack
	if version == 0 { // one endpoint, PLAINTEXT
		endpoint, _ := endpointOf(b, "PLAINTEXT")
		l.Host, l.Port = endpoint.Host, endpoint.Port
		return l
	}
	for _, endpoint := range b.Endpoints {
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.Host, e.Port = endpoint.Host, endpoint.Port
		e.ListenerName, e.SecurityProtocol = endpoint.Listener, endpoint.SecurityProtocol
		l.Endpoints = append(l.Endpoints, e)
	}
	return l
}

func (rb requestBuilder) stopReplica(c *controllerContext, broker metadata.BrokerID, entries map[TopicPartition]stopReplicaEntry) []outgoing {
	if rb.versions.stopReplica >= 3 {
		return []outgoing{rb.stopReplicaRequest(c, broker, entries, false, sortedPartitions(entries))}
	}
	var out []outgoing
	for _, remove := range []bool{true, false} {
		var tps []TopicPartition
		for _, tp := range sortedPartitions(entries) {
			if entries[tp].remove == remove {
				tps = append(tps, tp)
			}
		}
		if len(tps) > 0 {
			out = append(out, rb.stopReplicaRequest(c, broker, entries, remove, tps))
		}
	}
	return out
}

func (rb requestBuilder) stopReplicaRequest(c *controllerContext, broker metadata.BrokerID, entries map[TopicPartition]stopReplicaEntry, remove bool, tps []TopicPartition) outgoing {
	req := kmsg.NewPtrStopReplicaRequest()
	req.Version = rb.versions.stopReplica
	req.ControllerID, req.ControllerEpoch = int32(rb.id), int32(c.epoch)
	req.BrokerEpoch = c.brokers[broker].Epoch
	req.DeletePartitions = remove
	removed := map[TopicPartition]bool{}
	for _, tp := range tps {
		e := entries[tp]
		if e.remove {
			removed[tp] = true
		}
		if n := len(req.Topics); req.Version == 0 || n == 0 || req.Topics[n-1].Topic != tp.Topic {
			t := kmsg.NewStopReplicaRequestTopic()
			t.Topic, t.Partition = tp.Topic, tp.Partition
			req.Topics = append(req.Topics, t)
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, tp.Partition)
		s := kmsg.NewStopReplicaRequestTopicPartitionState()
		s.Partition, s.LeaderEpoch, s.Delete = tp.Partition, int32(e.leaderEpoch), e.remove
		t.PartitionStates = append(t.PartitionStates, s)
	}
	return outgoing{broker: broker, req: req, remove: removed}
}

func endpointOf(b zkstore.BrokerInfo, listener string) (metadata.Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return metadata.Endpoint{Port: -1}, false
}
