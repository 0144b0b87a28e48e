package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// LeaderAndIsr makes this broker leader or follower of partitions, as the controller decides.
//
// Versions 0 to 7; the controller's inter.broker.protocol.version selects one. v2 adds the broker
// epoch, v4 is flexible, v5 adds topic ids, v6 the leader recovery state.
func LeaderAndIsr(replicas *replication.Manager) Handler {
	h := Handler{Key: protocol.LeaderAndIsr, Min: 0, Max: 7, Sender: Controller, PerEntry: true, Fail: completed(failLeaderAndIsr)}
	return Typed(h, func(c *Call, req *kmsg.LeaderAndISRRequest) (kmsg.Response, error) {
		if !c.AllowsCluster(kmsg.ACLOperationClusterAction) {
			return nil, protocol.ClusterAuthorizationFailed
		}
		return replicas.BecomeLeaderOrFollower(req, c.CorrelationID), nil
	})
}

// failLeaderAndIsr sets the code of each partition, whatever form the version gives to the request
// and to the answer.
func failLeaderAndIsr(req *kmsg.LeaderAndISRRequest, resp *kmsg.LeaderAndISRResponse, err error) {
	partition := func(topic string, index int32) kmsg.LeaderAndISRResponseTopicPartition {
		p := kmsg.NewLeaderAndISRResponseTopicPartition()
		p.Topic, p.Partition, p.ErrorCode = topic, index, int16(protocol.CodeOf(err))
		return p
	}
	for _, p := range req.PartitionStates {
		resp.Partitions = append(resp.Partitions, partition(p.Topic, p.Partition))
	}
	for _, t := range req.TopicStates {
		topic := kmsg.NewLeaderAndISRResponseTopic()
		topic.TopicID = t.TopicID
		for _, p := range t.PartitionStates {
			if req.Version < 5 {
				resp.Partitions = append(resp.Partitions, partition(t.Topic, p.Partition))
			}
			topic.Partitions = append(topic.Partitions, partition("", p.Partition))
		}
		resp.Topics = append(resp.Topics, topic)
	}
}
