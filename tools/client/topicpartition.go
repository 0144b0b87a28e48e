package client

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/monedula/monedula/tools/cli"
)

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String returns "topic-partition".
func (tp TopicPartition) String() string { return fmt.Sprintf("%s-%d", tp.Topic, tp.Partition) }

// ComparePartitions orders partitions by topic and number.
func ComparePartitions(a, b TopicPartition) int {
	return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// SortedPartitions returns the keys of m, sorted by topic and partition.
func SortedPartitions[V any](m map[TopicPartition]V) []TopicPartition {
	keys := make([]TopicPartition, 0, len(m))
	for tp := range m {
		keys = append(keys, tp)
	}
	slices.SortFunc(keys, ComparePartitions)
	return keys
}

// JoinedPartitions formats partitions in the given order.
func JoinedPartitions(partitions []TopicPartition, separator string) string {
	texts := make([]string, len(partitions))
	for i, tp := range partitions {
		texts[i] = tp.String()
	}
	return strings.Join(texts, separator)
}

// Duplicates returns the elements that list contains more than once, in the order of a Java
// HashSet.
func Duplicates[K comparable](list []K, hash func(K) uint32) []K {
	seen, twice := map[K]bool{}, map[K]bool{}
	var found []K
	for _, k := range list {
		if seen[k] && !twice[k] {
			twice[k] = true
			found = append(found, k)
		}
		seen[k] = true
	}
	return cli.HashOrder(found, hash)
}

// Distinct returns list without repetitions.
func Distinct[K comparable](list []K) []K {
	seen := map[K]bool{}
	var out []K
	for _, k := range list {
		if !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}

// PartitionHash returns the hash code of TopicPartition in Kafka's client.
func PartitionHash(tp TopicPartition) uint32 {
	return 31*(31+uint32(tp.Partition)) + cli.StringHash(tp.Topic)
}
