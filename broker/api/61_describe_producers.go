package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// DescribeProducers lists the active producers of partitions that this broker hosts.
// checkTopicName checks a topic's name; its error is the answer for each partition of the topic.
//
// Version 0.
func DescribeProducers(replicas *replication.Manager, checkTopicName func(string) error) Handler {
	h := Handler{Key: protocol.DescribeProducers, Min: 0, Max: 0, PerEntry: true, Unthrottled: true, Fail: completed(failDescribeProducers)}
	return Typed(h, func(c *Call, req *kmsg.DescribeProducersRequest) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
		for i := range req.Topics {
			asked := &req.Topics[i]
			t := kmsg.NewDescribeProducersResponseTopic()
			t.Topic = asked.Topic
			refused := checkTopicName(asked.Topic)
			switch {
			case refused != nil:
			case !c.Allows(kmsg.ACLOperationRead, kmsg.ACLResourceTypeTopic, asked.Topic):
				refused = protocol.TopicAuthorizationFailed
			default:
				cluster := replicas.Metadata()
				if cluster.Complete && cluster.Topics[asked.Topic] == nil {
					refused = protocol.UnknownTopicOrPartition
				}
			}
			for _, partition := range unique(asked.Partitions) {
				t.Partitions = append(t.Partitions, describeProducers(replicas, asked.Topic, partition, refused))
			}
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil
	})
}

// failDescribeProducers returns no messages.
func failDescribeProducers(_ *kmsg.DescribeProducersRequest, resp *kmsg.DescribeProducersResponse, _ error) {
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			t.Partitions[i].ErrorMessage = nil
		}
	}
}

func describeProducers(replicas *replication.Manager, topic string, partition int32, refused error) kmsg.DescribeProducersResponseTopicPartition {
	p := kmsg.NewDescribeProducersResponseTopicPartition()
	p.Partition = partition
	if refused != nil {
		p.ErrorCode, p.ErrorMessage = int16(protocol.CodeOf(refused)), protocol.MessageOf(refused)
		return p
	}
	producers, err := replicas.Producers(topic, partition)
	p.ErrorCode = int16(protocol.CodeOf(err))
	for _, s := range producers {
		a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		a.ProducerID, a.ProducerEpoch, a.LastSequence = s.ProducerID, int32(s.ProducerEpoch), s.LastSequence
		a.LastTimestamp, a.CoordinatorEpoch, a.CurrentTxnStartOffset = s.LastTimestamp, s.CoordinatorEpoch, int64(s.CurrentTxnFirstOffset)
		p.ActiveProducers = append(p.ActiveProducers, a)
	}
	return p
}
