// Package transaction is the transaction coordinator. It knows, for each transactional id, the
// producer that uses it and the state of that producer's transaction, and keeps both in the topic
// __transaction_state.
//
// A Transaction is a pure state machine: each step is given the time and returns Effects. The
// Coordinator holds the transactional ids of those partitions of the topic that this broker leads, and
// carries out the effects: it appends records, sends markers to the leaders of the partitions of
// decided transactions, and answers requests. The coordinator.Runtime loads the ids of a partition
// when the broker becomes its leader and drops them when the broker stops leading it.
//
// Goroutines: those of coordinator.Runtime; one for transactions that time out and one for ids that
// expire; one for each broker to which markers are being sent; one while something is to be tried
// again. Requests wait in their connection's goroutine on a channel with one slot. No goroutine
// belongs to a single transactional id.
//
// Locks, in the order in which they may be taken: entry.mu, those of coordinator.Runtime, then
// markerSender.mu, which is a leaf. entry.mu guards one transactional id. It is held while its record
// is appended, so that no record is appended after the id was unloaded, but never while waiting for
// replicas. Tombstones are appended in batches with the locks of all their ids, which are of one
// partition.
package transaction
