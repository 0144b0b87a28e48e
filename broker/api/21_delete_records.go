package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
)

// DeleteRecords raises the log start offset of partitions that this broker leads, and waits until
// their live followers have done so too.
//
// Versions 0 to 2; v2 flexible.
func DeleteRecords(replicas *replication.Manager) Handler {
	h := Handler{Key: protocol.DeleteRecords, Min: 0, Max: 2, PerEntry: true, Fail: completed(failDeleteRecords)}
	return Typed(h, func(c *Call, req *kmsg.DeleteRecordsRequest) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
		var deletes []replication.PartitionDelete
		for i := range req.Topics {
			t := &req.Topics[i]
			allowed := c.Allows(kmsg.ACLOperationDelete, kmsg.ACLResourceTypeTopic, t.Topic)
			for _, p := range t.Partitions {
				d := replication.PartitionDelete{Topic: t.Topic, Partition: p.Partition, Offset: record.Offset(p.Offset)}
				if !allowed {
					d.Err = protocol.TopicAuthorizationFailed
				} else if code := replicas.CheckKnown(t.Topic, p.Partition); code != protocol.None {
					d.Err = code
				}
				deletes = append(deletes, d)
			}
		}
		replicas.DeleteRecords(deletes, time.Duration(req.TimeoutMillis)*time.Millisecond, c.Done)
		for i := range req.Topics {
			t := kmsg.NewDeleteRecordsResponseTopic()
			t.Topic = req.Topics[i].Topic
			for range req.Topics[i].Partitions {
				d := &deletes[0]
				deletes = deletes[1:]
				p := kmsg.NewDeleteRecordsResponseTopicPartition()
				p.Partition, p.LowWatermark, p.ErrorCode = d.Partition, int64(d.LowWatermark), int16(protocol.CodeOf(d.Err))
				t.Partitions = append(t.Partitions, p)
			}
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil
	})
}

func failDeleteRecords(_ *kmsg.DeleteRecordsRequest, resp *kmsg.DeleteRecordsResponse, _ error) {
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			t.Partitions[i].LowWatermark = -1
		}
	}
}
