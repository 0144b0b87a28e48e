package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/protocol"
)

// OffsetDelete deletes committed offsets of topics that no member of the group
// is subscribed to.
//
// Version 0.
func OffsetDelete(groups *group.Coordinator, cache Metadata) Handler {
	h := Handler{Key: protocol.OffsetDelete, Min: 0, Max: 0}
	return Typed(h, func(c *Call, req *kmsg.OffsetDeleteRequest) (kmsg.Response, error) {
		if err := c.requireGroup(kmsg.ACLOperationDelete, req.Group); err != nil {
			return nil, err
		}
		resp := kmsg.NewPtrOffsetDeleteResponse()
		resp.Topics = make([]kmsg.OffsetDeleteResponseTopic, len(req.Topics))
		var pending pendingCodes
		var deleted []group.TopicPartition
		cluster := cache.Snapshot()
		for i := range req.Topics {
			asked, t := &req.Topics[i], &resp.Topics[i]
			t.Topic, t.Partitions = asked.Topic, make([]kmsg.OffsetDeleteResponseTopicPartition, len(asked.Partitions))
			for j, p := range asked.Partitions {
				t.Partitions[j].Partition = p.Partition
				if pending.add(c.checkCommitted(cluster, asked.Topic, p.Partition), &t.Partitions[j].ErrorCode) {
					deleted = append(deleted, group.TopicPartition{Topic: asked.Topic, Partition: p.Partition})
				}
			}
		}
		codes, code := groups.DeleteOffsets(req.Group, deleted)
		if code != protocol.None {
			return nil, code
		}
		pending.settle(codes)
		return resp, nil
	})
}
