package api

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/protocol"
)

// OffsetFetch returns the offsets that groups have committed.
//
// Versions 0 to 9. v0 reads from ZooKeeper. v2 adds null for all partitions and a code for the
// whole answer, v5 adds leader epochs, v6 is flexible, v7 can ask for stable offsets only, v8 for
// several groups. v9 is for the new group protocol.
func OffsetFetch(groups *group.Coordinator, classic ConsumerOffsets, cache Metadata) Handler {
	h := Handler{Key: protocol.OffsetFetch, Min: 0, Max: 9, PerEntry: true, Fail: completed(failOffsetFetch)}
	return Typed(h, func(c *Call, req *kmsg.OffsetFetchRequest) (kmsg.Response, error) {
		if req.Version >= 8 {
			resp := kmsg.NewPtrOffsetFetchResponse()
			full := map[string]bool{} // groups that are already answered with all their offsets
			for i := range req.Groups {
				if req.Groups[i].Topics == nil {
					if full[req.Groups[i].Group] {
						continue
					}
					full[req.Groups[i].Group] = true
				}
				resp.Groups = append(resp.Groups, fetchGroup(c, groups, &req.Groups[i], req.RequireStable))
			}
			return resp, nil
		}
		if err := c.requireGroup(kmsg.ACLOperationDescribe, req.Group); err != nil {
			return nil, err
		}
		if req.Version == 0 {
			return fetchClassic(c, classic, cache, req), nil
		}
		return fetchOne(c, groups, req)
	})
}

// failOffsetFetch sets the code of every partition in v0 and v1, of the whole answer in v2 to v7, and
// of every group from v8 on.
func failOffsetFetch(req *kmsg.OffsetFetchRequest, resp *kmsg.OffsetFetchResponse, _ error) {
	if req.Version >= 2 {
		resp.Topics = nil
	}
	for i := range resp.Groups {
		resp.Groups[i].Topics = nil
	}
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			t.Partitions[i].Offset, t.Partitions[i].Metadata = -1, new(string)
		}
	}
}

// fetchOne answers a request below v8, which names one group, by way of fetchGroup.
func fetchOne(c *Call, groups *group.Coordinator, req *kmsg.OffsetFetchRequest) (kmsg.Response, error) {
	asked := kmsg.NewOffsetFetchRequestGroup()
	asked.Group = req.Group
	if req.Topics != nil {
		asked.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for i := range req.Topics {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.Partitions = req.Topics[i].Topic, req.Topics[i].Partitions
		asked.Topics = append(asked.Topics, t)
	}
	g := fetchGroup(c, groups, &asked, req.RequireStable)
	if g.ErrorCode != 0 {
		return nil, protocol.ErrorCode(g.ErrorCode)
	}
	resp := kmsg.NewPtrOffsetFetchResponse()
	for i := range g.Topics {
		t := kmsg.NewOffsetFetchResponseTopic()
		t.Topic = g.Topics[i].Topic
		for _, from := range g.Topics[i].Partitions {
			p := kmsg.NewOffsetFetchResponseTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode = from.Partition, from.Offset, from.LeaderEpoch, from.Metadata, from.ErrorCode
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil
}

// fetchGroup answers for one group. Topics that the peer is not allowed to describe are answered
// with TOPIC_AUTHORIZATION_FAILED if the request names them, and left out otherwise.
func fetchGroup(c *Call, groups *group.Coordinator, asked *kmsg.OffsetFetchRequestGroup, stable bool) kmsg.OffsetFetchResponseGroup {
	g := kmsg.NewOffsetFetchResponseGroup()
	g.Group = asked.Group
	if !c.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeGroup, asked.Group) {
		g.ErrorCode = int16(protocol.GroupAuthorizationFailed)
		return g
	}
	var wanted []group.TopicPartition
	if asked.Topics != nil {
		wanted = []group.TopicPartition{}
	}
	var hidden []*kmsg.OffsetFetchRequestGroupTopic
	for i := range asked.Topics {
		t := &asked.Topics[i]
		if !c.mayDescribeTopic(t.Topic) {
			hidden = append(hidden, t)
			continue
		}
		wanted = slices.Grow(wanted, len(t.Partitions))
		for _, p := range t.Partitions {
			wanted = append(wanted, group.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	offsets, code := groups.Fetch(asked.Group, wanted, stable)
	if code != protocol.None {
		g.ErrorCode = int16(code)
		return g
	}
	if wanted == nil {
		offsets = slices.DeleteFunc(offsets, func(f group.Fetched) bool { return !c.mayDescribeTopic(f.Partition.Topic) })
	}
	g.Topics = fetchedTopics(offsets)
	for _, t := range hidden {
		topic := kmsg.NewOffsetFetchResponseGroupTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, fetchedPartition(group.Fetched{Partition: group.TopicPartition{Partition: p},
				Offset: group.CommittedOffset{Offset: -1, LeaderEpoch: -1}, Err: protocol.TopicAuthorizationFailed}))
		}
		g.Topics = append(g.Topics, topic)
	}
	return g
}

func (c *Call) mayDescribeTopic(topic string) bool {
	return c.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeTopic, topic)
}

// fetchedTopics groups the offsets by topic.
func fetchedTopics(offsets []group.Fetched) []kmsg.OffsetFetchResponseGroupTopic {
	slices.SortStableFunc(offsets, func(a, b group.Fetched) int { return strings.Compare(a.Partition.Topic, b.Partition.Topic) })
	topics := []kmsg.OffsetFetchResponseGroupTopic{}
	for _, o := range offsets {
		if n := len(topics); n == 0 || topics[n-1].Topic != o.Partition.Topic {
			t := kmsg.NewOffsetFetchResponseGroupTopic()
			t.Topic = o.Partition.Topic
			topics = append(topics, t)
		}
		t := &topics[len(topics)-1]
		t.Partitions = append(t.Partitions, fetchedPartition(o))
	}
	return topics
}

func fetchedPartition(f group.Fetched) kmsg.OffsetFetchResponseGroupTopicPartition {
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch = f.Partition.Partition, int64(f.Offset.Offset), int32(f.Offset.LeaderEpoch)
	p.Metadata, p.ErrorCode = &f.Offset.Metadata, int16(f.Err)
	return p
}

// fetchClassic reads the offsets from ZooKeeper. Missing offsets are answered with
// UNKNOWN_TOPIC_OR_PARTITION.
func fetchClassic(c *Call, classic ConsumerOffsets, cache Metadata, req *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	resp := kmsg.NewPtrOffsetFetchResponse()
	cluster := cache.Snapshot()
	for i := range req.Topics {
		t := kmsg.NewOffsetFetchResponseTopic()
		t.Topic = req.Topics[i].Topic
		for _, index := range req.Topics[i].Partitions {
			p := kmsg.NewOffsetFetchResponseTopicPartition()
			p.Partition, p.Offset, p.Metadata = index, -1, new(string)
			switch {
			case !c.mayDescribeTopic(t.Topic):
				p.ErrorCode = int16(protocol.TopicAuthorizationFailed)
			case cluster.Partition(t.Topic, index) == nil:
				p.ErrorCode = int16(missing(cluster, protocol.UnknownTopicOrPartition, protocol.CoordinatorLoadInProgress))
			default:
				offset, known, err := classic.ConsumerOffset(c.Context(), req.Group, group.TopicPartition{Topic: t.Topic, Partition: index})
				switch {
				case err != nil:
					p.ErrorCode = int16(protocol.CodeOf(err))
				case !known:
					p.ErrorCode = int16(protocol.UnknownTopicOrPartition)
				default:
					p.Offset = int64(offset)
				}
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}
