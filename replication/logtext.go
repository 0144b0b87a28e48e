package replication

import (
	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
)

// leaderText formats the id of a leader like a Scala Option.
func leaderText(id metadata.BrokerID) string {
	if id < 0 {
		return javatext.None
	}
	return javatext.Some(id)
}

// topicIDText formats a topic id like a Scala Option.
func topicIDText(id TopicID) string {
	if id == (TopicID{}) {
		return javatext.None
	}
	return javatext.Some(javatext.UUID(id))
}

// partitionSet formats partitions like a mutable set of Scala.
func partitionSet(ids []TopicPartition) string {
	return javatext.MutableSet(ids, func(id TopicPartition) int32 { return javatext.PartitionHash(id.Topic, id.Partition) })
}
