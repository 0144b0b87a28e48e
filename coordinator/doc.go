// Package coordinator is the runtime of the group and the transaction coordinator. Each of them keeps
// entries, which are groups or transactional ids, in the partitions of an internal topic. A broker
// coordinates the entries of the partitions that it leads.
//
// A Runtime loads the entries of a partition from its log when the broker becomes the leader, finds
// them while it leads, and drops them when it stops leading. It fences both changes by the leader
// epoch. It also runs the coordinator's goroutines and stops them. Timers call entries when their
// deadlines are due. What an entry is, and how records become entries, is up to the coordinator.
//
// Goroutines: one for each partition that is being loaded, of which a few read at the same time; one
// for each partition in which AfterReplicated waits for other replicas; those that the coordinator
// starts with Go and Every.
//
// Locks: a partition's lock is taken after the lock of an entry. Timers.mu, the lock of a partition's
// waiting appends and that of the goroutines are leaves.
package coordinator
