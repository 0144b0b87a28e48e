package storage

import (
	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

// batchesRetained is how many of a producer's last batches are remembered to
// recognise a repeated one.
const batchesRetained = 5

// producerBatch is what is remembered of a batch.
type producerBatch struct {
	lastSequence int32
	offsetDelta  int32
	lastOffset   int64
	timestamp    int64 // the batch's largest
}

// firstOffset is the batch's base offset.
func (b producerBatch) firstOffset() int64 { return b.lastOffset - int64(b.offsetDelta) }

// firstSequence is the batch's base sequence.
func (b producerBatch) firstSequence() int32 { return decrementSequence(b.lastSequence, b.offsetDelta) }

// producerEntry is the state of one producer in one partition.
type producerEntry struct {
	producerID       int64
	epoch            int16 // -1: none known
	coordinatorEpoch int32 // -1: no marker seen
	lastTimestamp    int64 // of the last batch or marker; drives expiry
	txnFirstOffset   int64 // -1: no open transaction

	batches [batchesRetained]producerBatch // the first n, oldest first
	n       int
}

// lastSequence is the last batch's, -1 without one.
func (e *producerEntry) lastSequence() int32 { panic("unwritten") }

// completedTxn is a transaction whose marker has been appended.
type completedTxn struct {
	producerID  int64
	firstOffset int64
	lastOffset  int64 // of the marker
	aborted     bool
}

// producerState is what a log knows of the producers that write to it:
// sequences for deduplication, open transactions for the last stable offset,
// and the snapshot files that hold the state as of an offset. It is guarded by
// the log's lock.
type producerState struct {
	fs           vfs.FS
	log          *logrus.Entry
	tp           TopicPartition
	dir          string
	expirationMs int64 // producer.id.expiration.ms
}

// openProducerState returns an empty state and finds the snapshot files in the
// partition directory.
func openProducerState(fs vfs.FS, dir string, tp TopicPartition, expirationMs int64, log *logrus.Entry) (*producerState, error) {
	panic("unwritten")
}

// duplicate finds the remembered batch that b, from a client, repeats.
func (s *producerState) duplicate(b record.Batch) (producerBatch, bool) { panic("unwritten") }

// hasOpenTxn says whether the producer has a transaction open here.
func (s *producerState) hasOpenTxn(producerID int64) bool { panic("unwritten") }

// producerAppend gathers what the batches of one append do to the producers;
// nothing changes in the state until apply. It can be used again after begin.
//
//	u.begin(state, origin)
//	for each batch with a producer id { err = u.add(batch) }
//	... write ...
//	state.apply(&u)
//	for _, t := range u.completed { lso := state.lastStableAfter(t); ...txn index...; state.complete(t) }
//	state.setMapEnd(last offset + 1)
type producerAppend struct {
	completed []completedTxn
}

// begin empties u for an append of the given origin.
func (u *producerAppend) begin(s *producerState, origin record.Origin) { panic("unwritten") }

// add checks a batch that has a producer id (others it ignores) against the
// state and what was added before. Its errors are protocol codes:
// INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE,
// TRANSACTION_COORDINATOR_FENCED.
func (u *producerAppend) add(b record.Batch) error { panic("unwritten") }

// apply takes over what u gathered.
func (s *producerState) apply(u *producerAppend) { panic("unwritten") }

// lastStableAfter is the last stable offset that goes into the transaction
// index with t: the first offset of the oldest open transaction of another
// producer, else the one after the marker. To be called before complete(t).
func (s *producerState) lastStableAfter(t completedTxn) int64 { panic("unwritten") }

// complete moves t from the open transactions to those whose marker is not
// replicated yet.
func (s *producerState) complete(t completedTxn) { panic("unwritten") }

// firstUnstable is the first offset of the oldest transaction that is open, or
// whose marker is not below the high watermark; ok is false without one.
func (s *producerState) firstUnstable() (offset int64, ok bool) { panic("unwritten") }

// highWatermarkAdvanced forgets transactions whose marker lies below.
func (s *producerState) highWatermarkAdvanced(highWatermark int64) { panic("unwritten") }

// logStartAdvanced tells that nothing below the offset is in the log.
func (s *producerState) logStartAdvanced(logStart int64) { panic("unwritten") }

// mapEnd is the offset up to which (exclusive) the state has seen the log.
func (s *producerState) mapEnd() int64          { panic("unwritten") }
func (s *producerState) setMapEnd(offset int64) { panic("unwritten") }

// isEmpty says that no producer and no transaction is known.
func (s *producerState) isEmpty() bool { panic("unwritten") }

// producers lists the producers by id.
func (s *producerState) producers() []ProducerStatus { panic("unwritten") }

// producerCount is the number of producers.
func (s *producerState) producerCount() int { panic("unwritten") }

// oldestTxnTimestamp is the last timestamp of the producer with the oldest open
// transaction, -1 without one: a hanging transaction shows here.
func (s *producerState) oldestTxnTimestamp() int64 { panic("unwritten") }

// expire drops producers without open transaction that were last seen
// expirationMs before now (ms), or earlier.
func (s *producerState) expire(now int64) { panic("unwritten") }

// truncateAndReload makes the state one of a log [logStart, logEnd]: snapshots
// outside go, and unless the state ends at logEnd the newest remaining snapshot
// is loaded (without what has expired at now). The caller replays the log from
// mapEnd on.
func (s *producerState) truncateAndReload(logStart, logEnd, now int64) error { panic("unwritten") }

// truncateFullyAndStartAt drops the state and all snapshots.
func (s *producerState) truncateFullyAndStartAt(offset int64) error { panic("unwritten") }

// takeSnapshot writes the state to a snapshot file at mapEnd, unless there was
// none added since the last one; sync makes it durable. It returns the path, ""
// when none was written.
func (s *producerState) takeSnapshot(sync bool) (path string, err error) { panic("unwritten") }

// reloadSnapshots looks at the directory for snapshot files again.
func (s *producerState) reloadSnapshots() error { panic("unwritten") }

// removeStraySnapshots keeps the snapshots at the segments' base offsets and
// the newest other one if it is above them all.
func (s *producerState) removeStraySnapshots(bases []int64) error { panic("unwritten") }

// latestSnapshot and oldestSnapshot return a snapshot's offset; ok is false
// without one.
func (s *producerState) latestSnapshot() (offset int64, ok bool) { panic("unwritten") }
func (s *producerState) oldestSnapshot() (offset int64, ok bool) { panic("unwritten") }

// deleteSnapshotsBefore removes the snapshots below the offset.
func (s *producerState) deleteSnapshotsBefore(offset int64) error { panic("unwritten") }

// markSnapshotDeleted renames the snapshot at the offset to .deleted and
// returns its path then, "" when there is none.
func (s *producerState) markSnapshotDeleted(offset int64) (path string, err error) {
	panic("unwritten")
}

// snapshotPath is the path of the snapshot at the offset, "" when there is none.
func (s *producerState) snapshotPath(offset int64) string { panic("unwritten") }

// moved tells that the partition directory was renamed.
func (s *producerState) moved(dir string) { panic("unwritten") }

// incrementSequence adds to a sequence number, which goes from 2^31-1 to 0.
func incrementSequence(sequence, n int32) int32 {
	if sequence > maxSequence-n {
		return n - (maxSequence - sequence) - 1
	}
	return sequence + n
}

// decrementSequence subtracts from a sequence number.
func decrementSequence(sequence, n int32) int32 {
	if sequence < n {
		return maxSequence - (n - sequence) + 1
	}
	return sequence - n
}

const maxSequence = 1<<31 - 1
