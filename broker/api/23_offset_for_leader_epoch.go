package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// OffsetForLeaderEpoch says where leader epochs end, for followers that truncate
// and for consumers that look for truncation.
//
// Versions 0 to 4. v1 answers with the epoch found; v2 checks the epoch the
// client knows; v3 replica id; v4 flexible. Only the leader answers.
func OffsetForLeaderEpoch(replicas *replication.Manager) Handler {
	return Typed(protocol.OffsetForLeaderEpoch, 0, 4, func(c *Call, req *kmsg.OffsetForLeaderEpochRequest) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		follower := c.AllowsCluster(kmsg.ACLOperationClusterAction)
		for i := range req.Topics {
			asked := &req.Topics[i]
			t := kmsg.NewOffsetForLeaderEpochResponseTopic()
			t.Topic = asked.Topic
			allowed := follower || c.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeTopic, asked.Topic)
			for _, p := range asked.Partitions {
				answer := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				answer.Partition, answer.LeaderEpoch, answer.EndOffset = p.Partition, -1, -1
				err := error(protocol.TopicAuthorizationFailed)
				if allowed {
					answer.LeaderEpoch, answer.EndOffset, err = replicas.EndOffsetForEpoch(asked.Topic, p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch)
				}
				answer.ErrorCode = int16(protocol.CodeOf(err))
				t.Partitions = append(t.Partitions, answer)
			}
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil
	})
}
