package client

import (
	"cmp"
	"slices"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
)

// TopicPartition names a partition.
type TopicPartition = metadata.TopicPartition

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

// Duplicates returns the elements that list contains more than once, in the order of a Java
// HashSet.
func Duplicates[K comparable](list []K, hash func(K) int32) []K {
	seen, twice := map[K]bool{}, map[K]bool{}
	var found []K
	for _, k := range list {
		if seen[k] && !twice[k] {
			twice[k] = true
			found = append(found, k)
		}
		seen[k] = true
	}
	return javatext.HashMapOrder(found, hash)
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

// PartitionHash returns the hash code of a partition in Kafka's client.
func PartitionHash(tp TopicPartition) int32 { return javatext.PartitionHash(tp.Topic, tp.Partition) }
