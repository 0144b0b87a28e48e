// Package group is the consumer group coordinator: members share partitions,
// and offsets are kept in the topic __consumer_offsets.
//
// A Group is a pure state machine: steps are told the time and return Effects.
// The Coordinator holds the groups of the partitions of the offsets topic that
// this broker leads, carries the effects out, loads groups when it becomes
// leader of a partition and drops them when it is not any more.
//
// Goroutines: one for all deadlines and a short one for each that is due, one for
// the expiry of offsets, a short one for the offsets of deleted partitions, one
// for each partition that is being loaded (a few read at once), and one for each
// group record that waits for other replicas. JoinGroup and SyncGroup wait in
// their connection's goroutine on a one-slot channel.
//
// Locks, in the order in which they may be taken: entry.mu (one group; held
// while its records are appended, so that the log has them in the order in
// which they happened, but never while replicas are awaited; lists, statistics
// and the deletion of partitions do not take it), partition.mu,
// then one of the leaves timers.mu, txnGroups.mu and Coordinator.life.
package group
