package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Reassigner moves replicas. It is implemented by *controller.Controller.
type Reassigner interface {
	AlterPartitionReassignments(targets map[controller.TopicPartition][]metadata.BrokerID, done func(results map[controller.TopicPartition]error, err error))
}

// AlterPartitionReassignments starts reassignments, or cancels them if replicas are null (KIP-455).
// Only the controller serves it.
//
// Version 0.
func AlterPartitionReassignments(reassigner Reassigner) Handler {
	h := Handler{Key: protocol.AlterPartitionReassignments, Min: 0, Max: 0, PerEntry: true}
	return Typed(h, func(c *Call, req *kmsg.AlterPartitionAssignmentsRequest) (kmsg.Response, error) {
		if err := c.requireCluster(kmsg.ACLOperationAlter); err != nil {
			return nil, err
		}
		targets := map[controller.TopicPartition][]metadata.BrokerID{}
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				targets[controller.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = metadata.BrokerIDs(p.Replicas)
			}
		}
		results, refused, err := outcome(c.Context(), func(done func(map[controller.TopicPartition]error, error)) {
			reassigner.AlterPartitionReassignments(targets, done)
		})
		if err != nil {
			return nil, err
		}
		resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
		resp.ErrorMessage = kmsg.StringPtr("") // not null, even for success
		resp.Topics = []kmsg.AlterPartitionAssignmentsResponseTopic{}
		if refused != nil {
			resp.ErrorCode, resp.ErrorMessage = codeAndText(refused)
			return resp, nil
		}
		byTopic := map[string][]kmsg.AlterPartitionAssignmentsResponseTopicPartition{}
		for tp, err := range results {
			p := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			p.Partition = tp.Partition
			p.ErrorCode, p.ErrorMessage = codeAndText(err)
			byTopic[tp.Topic] = append(byTopic[tp.Topic], p)
		}
		for _, topic := range sortedKeys(byTopic) {
			t := kmsg.NewAlterPartitionAssignmentsResponseTopic()
			t.Topic, t.Partitions = topic, byTopic[topic]
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil
	})
}
