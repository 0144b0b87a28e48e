package topics

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
)

// A broker that stops while it is asked, such as the controller, is asked again or replaced.
func TestTopicsAreDescribedAlthoughBrokersStop(t *testing.T) {
	cluster := toolreplay.Cluster{Brokers: []int32{0, 1}, Topics: map[string][]toolreplay.Partition{
		"t": {{Leader: 0, Replicas: []int32{0, 1}, ISR: []int32{0, 1}}, {Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}}}}
	failures := map[int16]int{kmsg.DescribeConfigs.Int16(): 1, kmsg.ListPartitionReassignments.Int16(): 2}
	answer := func(req kmsg.Request) kmsg.Response {
		if failures[req.Key()] > 0 {
			failures[req.Key()]--
			return nil
		}
		switch req := req.(type) {
		case *kmsg.MetadataRequest:
			return cluster.Metadata(req)
		case *kmsg.DescribeConfigsRequest:
			resp := kmsg.NewPtrDescribeConfigsResponse()
			resp.Resources = []kmsg.DescribeConfigsResponseResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t"}}
			return resp
		case *kmsg.ListPartitionReassignmentsRequest:
			resp := kmsg.NewPtrListPartitionReassignmentsResponse()
			resp.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{{Topic: "t", Partitions: []kmsg.ListPartitionReassignmentsResponseTopicPartition{
				{Partition: 1, Replicas: []int32{1, 0}, AddingReplicas: []int32{0}}}}}
			return resp
		}
		return nil
	}
	const want = "[out] Topic: t\tPartitionCount: 2\tReplicationFactor: 2\tConfigs:\n" +
		"[out] \tTopic: t\tPartition: 0\tLeader: 0\tReplicas: 0,1\tIsr: 0,1\tElr: N/A\tLastKnownElr: N/A\n" +
		"[out] \tTopic: t\tPartition: 1\tLeader: 1\tReplicas: 1\tIsr: 1\tAdding Replicas: 0\tRemoving Replicas: \tElr: N/A\tLastKnownElr: N/A\n" +
		"[err]\n[exit] 0\n"
	have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: "--bootstrap-server {B} --describe --topic t", Alone: true}, nil, answer)
	if have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
}
