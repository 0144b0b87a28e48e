package tools

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/protocol"
)

// resetOffset is what auto.offset.reset says; it is latest by default.
func resetOffset(policy string) (kgo.Offset, error) {
	switch policy {
	case "", "latest":
		return kgo.NewOffset().AtEnd(), nil
	case "earliest":
		return kgo.NewOffset().AtStart(), nil
	case "none":
		return kgo.NoResetOffset(), nil
	}
	return kgo.Offset{}, configError(fmt.Sprintf("Invalid value %s for configuration auto.offset.reset: String must be one of: latest, earliest, none", policy))
}

// goneTopics returns the topics of which the brokers no longer know the id: they
// were deleted, and maybe created again. The client keeps to the topic that it
// began with, so each is to be purged and added again, which begins with its
// first records by auto.offset.reset. warn is called for each partition.
func goneTopics(fetches kgo.Fetches, warn func(topic string, partition int32)) []string {
	var topics []string
	seen := map[string]bool{}
	fetches.EachError(func(topic string, partition int32, err error) {
		if !errors.Is(err, kerr.UnknownTopicID) {
			return
		}
		warn(topic, partition)
		if !seen[topic] {
			seen[topic] = true
			topics = append(topics, topic)
		}
	})
	return topics
}

// warnGone warns as the original's client does of a partition whose topic was
// deleted; client is how the log names it.
func warnGone(env *Env, client, topic string, partition int32) {
	env.logger("org.apache.kafka.clients.consumer.internals.FetchCollector").
		Warnf("[%s] Received unknown topic or partition error in fetch for partition %s-%d", client, topic, partition)
}

// refuseUnset ends a member of a group, without a reset of offsets, to which
// partitions without a committed offset are assigned.
func refuseUnset(fail func(error)) kgo.GroupOpt {
	return kgo.AdjustFetchOffsetsFn(func(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
		unset := map[topicPartition]bool{}
		for topic, partitions := range offsets {
			for n, offset := range partitions {
				if offset.EpochOffset().Offset < 0 {
					unset[topicPartition{topic, n}] = true
				}
			}
		}
		if len(unset) == 0 {
			return offsets, nil
		}
		err := noOffset(joinedPartitions(sortedPartitions(unset), ", "))
		fail(err)
		return nil, err
	})
}

func noOffset(partitions string) error {
	return javaError{"org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
		"Undefined offset with no reset policy for partitions: [" + partitions + "]"}
}

// fetchGoesOn reports whether a consumer continues after an error of a fetch:
// after one that is tried again, and where the log lost the consumer's offset,
// which is reset then.
func fetchGoesOn(err error) bool {
	var lost *kgo.ErrDataLoss
	return errors.As(err, &lost) || protocol.CodeOf(fromKgo(err)).Retriable()
}
