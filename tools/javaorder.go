package tools

import (
	"sort"
	"unicode/utf16"
)

// Some output lines list things in the order of a Java hash table. This file reproduces that order.

// hashOrder returns keys, given in insertion order, in the iteration order of a java.util.HashMap:
// by slot of a table that starts with 16 slots and doubles when it is more than three quarters
// full.
func hashOrder[K any](keys []K, hash func(K) uint32) []K {
	slots := 16
	for len(keys) > slots*3/4 {
		slots *= 2
	}
	return bySlot(keys, hash, uint32(slots))
}

// copyOrder returns keys in the iteration order of a HashMap that was created with their number as
// its size and filled from a HashMap of default size.
func copyOrder[K any](keys []K, hash func(K) uint32) []K {
	slots := 1
	for slots < len(keys) {
		slots *= 2
	}
	if len(keys) > slots*3/4 {
		slots *= 2
	}
	return bySlot(hashOrder(keys, hash), hash, uint32(slots))
}

// propertiesOrder returns names in the iteration order of a java.util.Properties. Its table grows
// one entry earlier than that of a HashMap.
func propertiesOrder(names []string) []string {
	slots := 16
	for len(names) >= slots*3/4 {
		slots *= 2
	}
	return bySlot(names, stringHash, uint32(slots))
}

func bySlot[K any](keys []K, hash func(K) uint32, slots uint32) []K {
	slot := func(k K) uint32 {
		h := hash(k)
		return (h ^ h>>16) & (slots - 1)
	}
	ordered := append([]K(nil), keys...)
	sort.SliceStable(ordered, func(i, j int) bool { return slot(ordered[i]) < slot(ordered[j]) })
	return ordered
}

// stringHash is Java's String.hashCode.
func stringHash(s string) uint32 {
	var h uint32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + uint32(unit)
	}
	return h
}

// intHash is Java's Integer.hashCode.
func intHash(n int32) uint32 { return uint32(n) }

// partitionHash is the hash code of TopicPartition in Kafka's client.
func partitionHash(tp topicPartition) uint32 {
	return 31*(31+uint32(tp.partition)) + stringHash(tp.topic)
}
