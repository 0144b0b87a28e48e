package client

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/tools/cli"
)

// Special times in ListOffsets requests.
const (
	LatestOffset   = -1
	EarliestOffset = -2
)

// Offsets returns the offset of every partition at a time in ms since 1970, or at a special time.
// The offset is -1 if there is none. It waits until the partitions have leaders.
func (a *Admin) Offsets(partitions []TopicPartition, when int64) (map[TopicPartition]record.Offset, error) {
	found := map[TopicPartition]record.Offset{}
	if len(partitions) == 0 {
		return found, nil
	}
	c, err := a.Begin("listOffsets(api=METADATA)")
	if err != nil {
		return nil, err
	}
	defer c.End()
	left := partitions
	for {
		byLeader, err := c.Leaders(left, false)
		if err != nil {
			return nil, err
		}
		for leader, of := range byLeader {
			if err := c.offsetsOf(leader, of, when, found); err != nil {
				return nil, err
			}
		}
		var missing []TopicPartition
		for _, tp := range left {
			if _, ok := found[tp]; !ok {
				missing = append(missing, tp)
			}
		}
		if left = missing; len(left) == 0 {
			return found, nil
		}
		if err := c.Again(); err != nil {
			return nil, err
		}
	}
}

// Leaders returns the partitions by leader. Partitions without a leader are omitted, and those of
// unknown topics too if mayBeUnknown is set.
func (c *Call) Leaders(partitions []TopicPartition, mayBeUnknown bool) (map[metadata.BrokerID][]TopicPartition, error) {
	wanted := map[TopicPartition]bool{}
	var topics []string
	asked := map[string]bool{}
	for _, tp := range partitions {
		wanted[tp] = true
		if !asked[tp.Topic] {
			topics, asked[tp.Topic] = append(topics, tp.Topic), true
		}
	}
	meta, err := c.Admin.Cluster().Metadata(c.Ctx, topics)
	if err != nil {
		return nil, nil
	}
	byLeader := map[metadata.BrokerID][]TopicPartition{}
	for _, t := range meta.Topics {
		if t.Topic == nil {
			continue
		}
		switch code := protocol.ErrorCode(t.ErrorCode); {
		case code == protocol.None || code == protocol.LeaderNotAvailable || code == protocol.BrokerNotAvailable:
		case code == protocol.UnknownTopicOrPartition && mayBeUnknown:
		default:
			return nil, c.topicError(*t.Topic, code, partitions)
		}
		for _, p := range t.Partitions {
			if tp := (TopicPartition{Topic: *t.Topic, Partition: p.Partition}); wanted[tp] && p.Leader >= 0 {
				leader := metadata.BrokerID(p.Leader)
				byLeader[leader] = append(byLeader[leader], tp)
			}
		}
	}
	return byLeader, nil
}

// topicError returns the admin client's error for the first partition of a topic that fails as a
// whole.
func (c *Call) topicError(topic string, code protocol.ErrorCode, partitions []TopicPartition) error {
	log := c.Admin.Env.Logger("org.apache.kafka.clients.admin.internals.PartitionLeaderStrategy").WithError(cli.AsException(code))
	format, line := "Failed to fetch metadata for partition %s due to unexpected error for topic `%s`", "unexpected error for topic %s in `Metadata` response"
	switch code {
	case protocol.UnknownTopicOrPartition:
		format, line = "Failed to fetch metadata for partition %s because metadata for topic `%s` could not be found", "unknown topic error for topic %s"
	case protocol.InvalidTopicException:
		format, line = "Failed to fetch metadata for partition %s due to invalid topic `%s`", "invalid topic error for topic %s in `Metadata` response"
	case protocol.TopicAuthorizationFailed:
		format, line = "Failed to fetch metadata for partition %s due to topic authorization failure", "authorization failure for topic %s in `Metadata` response"
	}
	log.Errorf("[AdminClient clientId=%s] Received "+line, c.Admin.ID, topic)
	for _, tp := range partitions {
		if tp.Topic != topic {
			continue
		}
		if code == protocol.TopicAuthorizationFailed {
			return protocol.Errorf(code, format, tp)
		}
		return protocol.Errorf(code, format, tp, topic)
	}
	return code
}

// offsetsOf asks one leader and adds its answers to found.
func (c *Call) offsetsOf(leader metadata.BrokerID, partitions []TopicPartition, when int64, found map[TopicPartition]record.Offset) error {
	link, err := c.Admin.Cluster().Broker(c.Ctx, leader)
	if err != nil {
		return nil
	}
	answer, err := link.Negotiated(c.Ctx, ListOffsetsRequest(partitions, when), 9)
	if errors.Is(err, protocol.UnsupportedVersion) {
		return err
	}
	if err != nil {
		return nil
	}
	for _, t := range answer.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			switch code := protocol.ErrorCode(p.ErrorCode); {
			case code == protocol.None:
				found[TopicPartition{Topic: t.Topic, Partition: p.Partition}] = record.Offset(p.Offset)
			case !code.Retriable():
				c.Admin.Env.Logger("org.apache.kafka.clients.admin.internals.ListOffsetsHandler").Errorf(
					"[AdminClient clientId=%s] ListOffsets request for topic partition %s failed due to an unexpected error %s",
					c.Admin.ID, TopicPartition{Topic: t.Topic, Partition: p.Partition}, code.Name())
				return code
			}
		}
	}
	return nil
}

// ListOffsetsRequest returns a request for the offsets of partitions at a time in ms since 1970, or at a
// special time.
func ListOffsetsRequest(partitions []TopicPartition, when int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	at := map[string]int{}
	for _, tp := range partitions {
		i, ok := at[tp.Topic]
		if !ok {
			i = len(req.Topics)
			at[tp.Topic] = i
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = tp.Topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = tp.Partition, when
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	return req
}

// PartitionsOf returns the partitions of topics, and the errors of topics that cannot be described.
func (a *Admin) PartitionsOf(topics []string) (map[string][]TopicPartition, map[string]error) {
	found, failed := map[string][]TopicPartition{}, map[string]error{}
	fail := func(err error) (map[string][]TopicPartition, map[string]error) {
		for _, t := range topics {
			failed[t] = err
		}
		return nil, failed
	}
	if len(topics) == 0 {
		return found, failed
	}
	c, err := a.Begin("listNodes")
	if err != nil {
		return fail(err)
	}
	defer c.End()
	c.Name = "describeTopics"
	meta, err := a.Cluster().Metadata(c.Ctx, topics)
	for ; err != nil; meta, err = a.Cluster().Metadata(c.Ctx, topics) {
		if e := c.Again(); e != nil {
			return fail(e)
		}
	}
	for _, t := range meta.Topics {
		switch {
		case t.Topic == nil:
		case t.ErrorCode != 0:
			failed[*t.Topic] = protocol.ErrorCode(t.ErrorCode)
		default:
			for _, p := range t.Partitions {
				found[*t.Topic] = append(found[*t.Topic], TopicPartition{Topic: *t.Topic, Partition: p.Partition})
			}
		}
	}
	return found, failed
}
