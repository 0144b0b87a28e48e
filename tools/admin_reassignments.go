package tools

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// reassignment is the running reassignment of a partition.
type reassignment struct{ replicas, adding, removing []int32 }

// reassignments returns the running reassignments of the given partitions, or of all partitions.
func (c *adminClient) reassignments(of []topicPartition) (map[topicPartition]reassignment, error) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = 30000
	if of == nil {
		req.Topics = nil
	} else {
		req.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
		for topic, partitions := range byTopic(of) {
			t := kmsg.NewListPartitionReassignmentsRequestTopic()
			t.Topic, t.Partitions = topic, partitions
			req.Topics = append(req.Topics, t)
		}
	}
	resp, err := c.call("listPartitionReassignments", controller, req, 0, func(r kmsg.Response) protocol.ErrorCode {
		return protocol.ErrorCode(r.(*kmsg.ListPartitionReassignmentsResponse).ErrorCode)
	})
	if err != nil {
		return nil, err
	}
	list := resp.(*kmsg.ListPartitionReassignmentsResponse)
	if list.ErrorCode != 0 {
		return nil, answered(list.ErrorCode, list.ErrorMessage)
	}
	running := map[topicPartition]reassignment{}
	for _, t := range list.Topics {
		for _, p := range t.Partitions {
			running[topicPartition{t.Topic, p.Partition}] = reassignment{p.Replicas, p.AddingReplicas, p.RemovingReplicas}
		}
	}
	return running, nil
}

func byTopic(partitions []topicPartition) map[string][]int32 {
	topics := map[string][]int32{}
	for _, tp := range partitions {
		topics[tp.topic] = append(topics[tp.topic], tp.partition)
	}
	return topics
}
