package tools

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// Special times in ListOffsets requests.
const (
	latestOffset   = -1
	earliestOffset = -2
)

// offsets returns the offset of every partition at a time in ms since 1970, or at a special time.
// The offset is -1 if there is none. It waits until the partitions have leaders.
func (a *adminClient) offsets(partitions []topicPartition, when int64) (map[topicPartition]int64, error) {
	found := map[topicPartition]int64{}
	if len(partitions) == 0 {
		return found, nil
	}
	c, err := a.begin("listOffsets(api=METADATA)")
	if err != nil {
		return nil, err
	}
	defer c.end()
	left := partitions
	for {
		byLeader, err := c.leaders(left)
		if err != nil {
			return nil, err
		}
		for leader, of := range byLeader {
			if err := c.offsetsOf(leader, of, when, found); err != nil {
				return nil, err
			}
		}
		var missing []topicPartition
		for _, tp := range left {
			if _, ok := found[tp]; !ok {
				missing = append(missing, tp)
			}
		}
		if left = missing; len(left) == 0 {
			return found, nil
		}
		if err := c.again(); err != nil {
			return nil, err
		}
	}
}

// leaders returns the partitions by leader. Partitions without a leader are omitted.
func (c *adminCall) leaders(partitions []topicPartition) (map[int32][]topicPartition, error) {
	wanted := map[topicPartition]bool{}
	var topics []string
	asked := map[string]bool{}
	for _, tp := range partitions {
		wanted[tp] = true
		if !asked[tp.topic] {
			topics, asked[tp.topic] = append(topics, tp.topic), true
		}
	}
	meta, err := c.admin.cluster().Metadata(c.ctx, topics)
	if err != nil {
		return nil, nil
	}
	byLeader := map[int32][]topicPartition{}
	for _, t := range meta.Topics {
		if t.Topic == nil {
			continue
		}
		switch code := protocol.ErrorCode(t.ErrorCode); code {
		case protocol.None, protocol.LeaderNotAvailable, protocol.BrokerNotAvailable:
		default:
			return nil, c.topicError(*t.Topic, code, partitions)
		}
		for _, p := range t.Partitions {
			if tp := (topicPartition{*t.Topic, p.Partition}); wanted[tp] && p.Leader >= 0 {
				byLeader[p.Leader] = append(byLeader[p.Leader], tp)
			}
		}
	}
	return byLeader, nil
}

// topicError returns the admin client's error for the first partition of a topic that fails as a
// whole.
func (c *adminCall) topicError(topic string, code protocol.ErrorCode, partitions []topicPartition) error {
	log := c.admin.env.logger("org.apache.kafka.clients.admin.internals.PartitionLeaderStrategy").WithError(asException(code))
	format, line := "Failed to fetch metadata for partition %s due to unexpected error for topic `%s`", "unexpected error"
	switch code {
	case protocol.UnknownTopicOrPartition:
		format, line = "Failed to fetch metadata for partition %s because metadata for topic `%s` could not be found", "unknown topic error"
	case protocol.InvalidTopicException:
		format, line = "Failed to fetch metadata for partition %s due to invalid topic `%s`", "invalid topic error"
	case protocol.TopicAuthorizationFailed:
		format, line = "Failed to fetch metadata for partition %s due to topic authorization failure", "authorization failure"
	}
	log.Errorf("[AdminClient clientId=adminclient-1] Received %s for topic %s", line, topic)
	for _, tp := range partitions {
		if tp.topic != topic {
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
func (c *adminCall) offsetsOf(leader int32, partitions []topicPartition, when int64, found map[topicPartition]int64) error {
	link, err := c.admin.cluster().Broker(c.ctx, leader)
	if err != nil {
		return nil
	}
	answer, err := link.Negotiated(c.ctx, listOffsetsRequest(partitions, when), 9)
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
				found[topicPartition{t.Topic, p.Partition}] = p.Offset
			case !code.Retriable():
				return code
			}
		}
	}
	return nil
}

func listOffsetsRequest(partitions []topicPartition, when int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	at := map[string]int{}
	for _, tp := range partitions {
		i, ok := at[tp.topic]
		if !ok {
			i = len(req.Topics)
			at[tp.topic] = i
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = tp.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = tp.partition, when
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	return req
}

// partitionsOf returns the partitions of topics, and the errors of topics that cannot be described.
func (a *adminClient) partitionsOf(topics []string) (map[string][]topicPartition, map[string]error) {
	found, failed := map[string][]topicPartition{}, map[string]error{}
	fail := func(err error) (map[string][]topicPartition, map[string]error) {
		for _, t := range topics {
			failed[t] = err
		}
		return nil, failed
	}
	if len(topics) == 0 {
		return found, failed
	}
	c, err := a.begin("listNodes")
	if err != nil {
		return fail(err)
	}
	defer c.end()
	c.name = "describeTopics"
	meta, err := a.cluster().Metadata(c.ctx, topics)
	for ; err != nil; meta, err = a.cluster().Metadata(c.ctx, topics) {
		if e := c.again(); e != nil {
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
				found[*t.Topic] = append(found[*t.Topic], topicPartition{*t.Topic, p.Partition})
			}
		}
	}
	return found, failed
}
