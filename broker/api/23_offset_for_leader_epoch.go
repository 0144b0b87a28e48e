package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
)

// OffsetForLeaderEpoch returns the end offsets of leader epochs, to followers that truncate and to
// consumers that detect truncation.
//
// Versions 0 to 4. v1 adds the epoch found to the answer, v2 checks the epoch that the client
// knows, v3 adds the replica id, v4 is flexible. Only the leader answers.
func OffsetForLeaderEpoch(replicas *replication.Manager) Handler {
	h := Handler{Key: protocol.OffsetForLeaderEpoch, Min: 0, Max: 4, PerEntry: true, Unthrottled: true}
	return Typed(h, func(c *Call, req *kmsg.OffsetForLeaderEpochRequest) (kmsg.Response, error) {
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
					var found metadata.LeaderEpoch
					var end record.Offset
					found, end, err = replicas.EndOffsetForEpoch(asked.Topic, p.Partition,
						metadata.LeaderEpoch(p.CurrentLeaderEpoch), metadata.LeaderEpoch(p.LeaderEpoch))
					answer.LeaderEpoch, answer.EndOffset = int32(found), int64(end)
				}
				answer.ErrorCode = int16(protocol.CodeOf(err))
				t.Partitions = append(t.Partitions, answer)
			}
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil
	})
}
