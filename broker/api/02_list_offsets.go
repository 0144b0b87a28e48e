package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// ListOffsets finds offsets by timestamp.
//
// Versions 0 to 9. v0 answers with a list of segment base offsets, v1 with one offset and its
// timestamp. v2 adds read_committed, v4 leader epochs, v6 is flexible, v7 adds the maximum
// timestamp (-3), v8 the earliest local offset (-4), v9 the latest tiered offset (-5), which does
// not exist here.
func ListOffsets(replicas *replication.Manager) Handler {
	h := Handler{Key: protocol.ListOffsets, Min: 0, Max: 9, PerEntry: true}
	return Typed(h, func(c *Call, req *kmsg.ListOffsetsRequest) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		l := offsetLister{c: c, replicas: replicas, req: req, twice: duplicates(req), left: legacyOffsetsMax}
		for i := range req.Topics {
			resp.Topics = append(resp.Topics, l.topic(&req.Topics[i]))
		}
		return resp, nil
	})
}

type offsetLister struct {
	c        *Call
	replicas *replication.Manager
	req      *kmsg.ListOffsetsRequest
	twice    map[namedPartition]bool // partitions named more than once
	left     int32                   // the offsets that an answer of version 0 may still take
}

// legacyOffsetsMax bounds the offsets in one answer of version 0. Each mention of a partition in
// the request is answered with one offset for each of its segments.
const legacyOffsetsMax = 1 << 20

func (l *offsetLister) topic(asked *kmsg.ListOffsetsRequestTopic) kmsg.ListOffsetsResponseTopic {
	t := kmsg.NewListOffsetsResponseTopic()
	t.Topic = asked.Topic
	allowed := l.c.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeTopic, asked.Topic)
	for i := range asked.Partitions {
		p := &asked.Partitions[i]
		answer := kmsg.NewListOffsetsResponseTopicPartition()
		answer.Partition, answer.Timestamp, answer.Offset, answer.LeaderEpoch = p.Partition, -1, -1, -1
		err := error(protocol.TopicAuthorizationFailed)
		if allowed {
			err = l.partition(asked.Topic, p, &answer)
		}
		answer.ErrorCode = int16(protocol.CodeOf(err))
		t.Partitions = append(t.Partitions, answer)
	}
	return t
}

func (l *offsetLister) partition(topic string, p *kmsg.ListOffsetsRequestTopicPartition, answer *kmsg.ListOffsetsResponseTopicPartition) (err error) {
	if l.req.Version == 0 {
		if p.Timestamp < replication.EarliestOffset {
			return protocol.UnsupportedVersion
		}
		offsets, err := l.replicas.LegacyOffsets(topic, p.Partition, metadata.BrokerID(l.req.ReplicaID), p.Timestamp, min(p.MaxNumOffsets, l.left))
		for _, offset := range offsets {
			answer.OldStyleOffsets = append(answer.OldStyleOffsets, int64(offset))
		}
		l.left -= int32(len(offsets))
		return err
	}
	if l.twice[namedPartition{topic, p.Partition}] {
		return protocol.InvalidRequest
	}
	var found storage.TimestampedOffset
	found, err = l.replicas.ListOffset(replication.OffsetAsk{
		Version: l.req.Version, ReplicaID: metadata.BrokerID(l.req.ReplicaID), ReadCommitted: l.req.IsolationLevel == 1,
		Topic: topic, Partition: p.Partition, CurrentLeaderEpoch: metadata.LeaderEpoch(p.CurrentLeaderEpoch), Timestamp: p.Timestamp})
	if err != nil {
		return err
	}
	answer.Timestamp, answer.Offset = found.Timestamp, int64(found.Offset)
	if l.req.Version >= 4 {
		answer.LeaderEpoch = int32(found.LeaderEpoch)
	}
	return nil
}

// namedPartition identifies a partition within a request.
type namedPartition struct {
	topic     string
	partition int32
}

// duplicates returns the partitions that the request names more than once.
func duplicates(req *kmsg.ListOffsetsRequest) map[namedPartition]bool {
	seen := map[namedPartition]bool{}
	twice := map[namedPartition]bool{}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			key := namedPartition{req.Topics[i].Topic, req.Topics[i].Partitions[j].Partition}
			if seen[key] {
				twice[key] = true
			}
			seen[key] = true
		}
	}
	return twice
}
