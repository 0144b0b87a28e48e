// Package group is the consumer group coordinator. The members of a group share partitions, and
// their offsets are kept in the topic __consumer_offsets.
//
// A Group is a pure state machine: each step is given the time and returns Effects. The Coordinator
// holds the groups of those partitions of the offsets topic that this broker leads, and carries out
// the effects.
//
// The coordinator.Runtime loads the groups of a partition when the broker becomes its leader and drops
// them when the broker stops leading it.
//
// Goroutines: those of coordinator.Runtime; one for all deadlines and a short-lived one for each that
// is due; one for the expiry of offsets; a short-lived one for the offsets of deleted partitions.
// JoinGroup and SyncGroup wait in their connection's goroutine on a channel with one slot.
//
// Locks, in the order in which they may be taken: entry.mu, those of coordinator.Runtime, then
// txnGroups.mu, which is a leaf. entry.mu guards one group. It is held while the group's records are
// appended, to keep them in the order of the steps, but never while waiting for replicas. Lists,
// statistics and the deletion of partitions do not take it.
package group
