package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

// ResetOffset converts a value of auto.offset.reset. The default is latest.
func ResetOffset(policy string) (kgo.Offset, error) {
	switch policy {
	case "", "latest":
		return kgo.NewOffset().AtEnd(), nil
	case "earliest":
		return kgo.NewOffset().AtStart(), nil
	case "none":
		return kgo.NoResetOffset(), nil
	}
	return kgo.Offset{}, ConfigError(fmt.Sprintf("Invalid value %s for configuration auto.offset.reset: String must be one of: latest, earliest, none", policy))
}

// GoneTopics returns the topics whose ids the brokers no longer know: they were deleted and
// possibly created again. The client keeps using the topic that it started with, so the caller must
// purge each topic and add it again. It then starts at the position that auto.offset.reset
// determines. warn is called for each partition.
func GoneTopics(fetches kgo.Fetches, warn func(topic string, partition int32)) []string {
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

// WarnGone logs Kafka's warning for a partition whose topic was deleted. client is its name in log
// lines.
func WarnGone(env *cli.Env, client, topic string, partition int32) {
	env.Logger("org.apache.kafka.clients.consumer.internals.FetchCollector").
		Warnf("[%s] Received unknown topic or partition error in fetch for partition %s-%d", client, topic, partition)
}

// RefuseUnset returns the option of a group member without an offset reset policy. If partitions
// without a committed offset are assigned to the member, it calls fail with the error of NoOffset,
// and the member reads nothing.
func RefuseUnset(fail func(error)) kgo.GroupOpt {
	return kgo.AdjustFetchOffsetsFn(func(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
		unset := map[TopicPartition]bool{}
		for topic, partitions := range offsets {
			for n, offset := range partitions {
				if offset.EpochOffset().Offset < 0 {
					unset[TopicPartition{Topic: topic, Partition: n}] = true
				}
			}
		}
		if len(unset) == 0 {
			return offsets, nil
		}
		err := NoOffset(javatext.Join(SortedPartitions(unset), ", "))
		fail(err)
		return nil, err
	})
}

// NoOffset returns the error of a consumer that has neither an offset for partitions, whose names
// are separated by commas, nor a reset policy.
func NoOffset(partitions string) error {
	return cli.NewJavaError("org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
		"Undefined offset with no reset policy for partitions: ["+partitions+"]")
}

// FetchContinues reports whether a consumer continues after a fetch returned err. It does so after
// retriable errors, and if the log lost the consumer's offset, which is then reset.
func FetchContinues(err error) bool {
	var lost *kgo.ErrDataLoss
	return errors.As(err, &lost) || protocol.CodeOf(FromKgo(err)).Retriable()
}

// PollRecords is the maximum number of records that the Java consumer returns at once
// (max.poll.records).
const PollRecords = 500
