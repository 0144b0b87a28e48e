package client

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Reassignment is the running reassignment of a partition.
type Reassignment struct{ Replicas, Adding, Removing []metadata.BrokerID }

// Reassignments returns the running reassignments of the given partitions, or of all partitions.
func (c *Admin) Reassignments(of []TopicPartition) (map[TopicPartition]Reassignment, error) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = 30000
	if of == nil {
		req.Topics = nil
	} else {
		req.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
		for topic, partitions := range ByTopic(of) {
			t := kmsg.NewListPartitionReassignmentsRequestTopic()
			t.Topic, t.Partitions = topic, partitions
			req.Topics = append(req.Topics, t)
		}
	}
	resp, err := c.Send("listPartitionReassignments", Controller, req, 0, func(r kmsg.Response) protocol.ErrorCode {
		return protocol.ErrorCode(r.(*kmsg.ListPartitionReassignmentsResponse).ErrorCode)
	})
	if err != nil {
		return nil, err
	}
	list := resp.(*kmsg.ListPartitionReassignmentsResponse)
	if list.ErrorCode != 0 {
		return nil, AnswerError(list.ErrorCode, list.ErrorMessage)
	}
	running := map[TopicPartition]Reassignment{}
	for _, t := range list.Topics {
		for _, p := range t.Partitions {
			running[TopicPartition{Topic: t.Topic, Partition: p.Partition}] = Reassignment{Replicas: metadata.BrokerIDs(p.Replicas), Adding: metadata.BrokerIDs(p.AddingReplicas), Removing: metadata.BrokerIDs(p.RemovingReplicas)}
		}
	}
	return running, nil
}

// ByTopic groups partitions by topic.
func ByTopic(partitions []TopicPartition) map[string][]int32 {
	topics := map[string][]int32{}
	for _, tp := range partitions {
		topics[tp.Topic] = append(topics[tp.Topic], tp.Partition)
	}
	return topics
}
