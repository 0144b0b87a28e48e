package tools

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// topicPartition names a partition.
type topicPartition struct {
	topic     string
	partition int32
}

func (tp topicPartition) String() string { return fmt.Sprintf("%s-%d", tp.topic, tp.partition) }

func comparePartitions(a, b topicPartition) int {
	return cmp.Or(strings.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
}

// sortedPartitions returns the keys of m, sorted by topic and partition.
func sortedPartitions[V any](m map[topicPartition]V) []topicPartition {
	keys := make([]topicPartition, 0, len(m))
	for tp := range m {
		keys = append(keys, tp)
	}
	slices.SortFunc(keys, comparePartitions)
	return keys
}

// joinedPartitions formats partitions in the given order.
func joinedPartitions(partitions []topicPartition, separator string) string {
	texts := make([]string, len(partitions))
	for i, tp := range partitions {
		texts[i] = tp.String()
	}
	return strings.Join(texts, separator)
}

// duplicates returns the elements that list contains more than once, in the order of a Java
// HashSet.
func duplicates[K comparable](list []K, hash func(K) uint32) []K {
	seen, twice := map[K]bool{}, map[K]bool{}
	var found []K
	for _, k := range list {
		if seen[k] && !twice[k] {
			twice[k] = true
			found = append(found, k)
		}
		seen[k] = true
	}
	return hashOrder(found, hash)
}

// distinct returns list without repetitions.
func distinct[K comparable](list []K) []K {
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

// partitionHash is the hash code of TopicPartition in Kafka's client.
func partitionHash(tp topicPartition) uint32 {
	return 31*(31+uint32(tp.partition)) + stringHash(tp.topic)
}
