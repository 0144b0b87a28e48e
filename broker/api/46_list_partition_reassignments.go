package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// ReassignmentLister lists the running reassignments. It is implemented by *controller.Controller.
type ReassignmentLister interface {
	ListPartitionReassignments(partitions []controller.TopicPartition, done func(running map[controller.TopicPartition]zkstore.Assignment, err error))
}

// ListPartitionReassignments lists the running reassignments of the named partitions, or of all
// (null). Only the controller serves it.
//
// Version 0.
func ListPartitionReassignments(lister ReassignmentLister) Handler {
	h := Handler{Key: protocol.ListPartitionReassignments, Min: 0, Max: 0, PerEntry: true}
	return Typed(h, func(c *Call, req *kmsg.ListPartitionReassignmentsRequest) (kmsg.Response, error) {
		if err := c.requireCluster(kmsg.ACLOperationDescribe); err != nil {
			return nil, err
		}
		var partitions []controller.TopicPartition
		if req.Topics != nil {
			partitions = []controller.TopicPartition{}
			for _, t := range req.Topics {
				for _, p := range t.Partitions {
					partitions = append(partitions, controller.TopicPartition{Topic: t.Topic, Partition: p})
				}
			}
			partitions = unique(partitions)
		}
		running, refused, err := outcome(c.Context(), func(done func(map[controller.TopicPartition]zkstore.Assignment, error)) {
			lister.ListPartitionReassignments(partitions, done)
		})
		if err != nil {
			return nil, err
		}
		resp := kmsg.NewPtrListPartitionReassignmentsResponse()
		resp.ErrorMessage = kmsg.StringPtr("") // not null, even for success
		resp.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{}
		if refused != nil {
			resp.ErrorCode, resp.ErrorMessage = codeAndText(refused)
			return resp, nil
		}
		byTopic := map[string][]kmsg.ListPartitionReassignmentsResponseTopicPartition{}
		for tp, a := range running {
			p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			p.Partition, p.Replicas = tp.Partition, metadata.Int32s(a.Replicas)
			p.AddingReplicas, p.RemovingReplicas = metadata.Int32s(a.Adding), metadata.Int32s(a.Removing)
			byTopic[tp.Topic] = append(byTopic[tp.Topic], p)
		}
		for _, topic := range sortedKeys(byTopic) {
			t := kmsg.NewListPartitionReassignmentsResponseTopic()
			t.Topic, t.Partitions = topic, byTopic[topic]
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil
	})
}
