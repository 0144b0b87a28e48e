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
		var list committable
		cluster := cache.Snapshot()
		for i := range req.Topics {
			for _, p := range req.Topics[i].Partitions {
				id := group.TopicPartition{Topic: req.Topics[i].Topic, Partition: p.Partition}
				list.add(id, c.checkCommitted(cluster, id.Topic, id.Partition))
			}
		}
		codes, code := groups.DeleteOffsets(req.Group, list.partitions)
		if code != protocol.None {
			return nil, code
		}
		list.settle(codes)
		resp := kmsg.NewPtrOffsetDeleteResponse()
		for i := range req.Topics {
			t := kmsg.NewOffsetDeleteResponseTopic()
			t.Topic = req.Topics[i].Topic
			for _, asked := range req.Topics[i].Partitions {
				p := kmsg.NewOffsetDeleteResponseTopicPartition()
				p.Partition, p.ErrorCode = asked.Partition, list.next()
				t.Partitions = append(t.Partitions, p)
			}
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil
	})
}
