package storage

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

// batchesRetained is the number of a producer's last batches that are remembered to recognize a
// duplicate.
const batchesRetained = 5

// producerBatch is the remembered part of a batch.
type producerBatch struct {
	lastSequence int32
	offsetDelta  int32
	lastOffset   record.Offset
	timestamp    int64 // the largest in the batch
}

// firstOffset returns the batch's base offset.
func (b producerBatch) firstOffset() record.Offset {
	return b.lastOffset - record.Offset(b.offsetDelta)
}

// firstSequence returns the batch's base sequence.
func (b producerBatch) firstSequence() int32 { return decrementSequence(b.lastSequence, b.offsetDelta) }

// producerEntry is the state of one producer in one partition.
type producerEntry struct {
	producerID       int64
	epoch            int16         // -1 if not known
	coordinatorEpoch int32         // -1 if no marker was seen
	lastTimestamp    int64         // of the last batch or marker; determines expiry
	txnFirstOffset   record.Offset // -1 if no transaction is open

	batches [batchesRetained]producerBatch // the first n, oldest first
	n       int
}

// noProducer returns the state of an unknown producer.
func noProducer(id int64) producerEntry {
	return producerEntry{
		producerID: id, epoch: record.NoProducerEpoch, coordinatorEpoch: -1,
		lastTimestamp: record.NoTimestamp, txnFirstOffset: -1,
	}
}

// lastBatch returns the last batch; ok is false if there is none.
func (e *producerEntry) lastBatch() (b producerBatch, ok bool) {
	if e.n == 0 {
		return producerBatch{}, false
	}
	return e.batches[e.n-1], true
}

// lastSequence returns the last sequence of the last batch, -1 if there is none.
func (e *producerEntry) lastSequence() int32 {
	if b, ok := e.lastBatch(); ok {
		return b.lastSequence
	}
	return record.NoSequence
}

// setEpoch sets the epoch and drops the batches of another epoch.
func (e *producerEntry) setEpoch(epoch int16) {
	if e.epoch != epoch {
		e.epoch, e.n = epoch, 0
	}
}

// addBatch adds a batch and drops the oldest one if there are too many.
func (e *producerEntry) addBatch(b producerBatch) {
	if e.n == batchesRetained {
		copy(e.batches[:], e.batches[1:])
		e.n--
	}
	e.batches[e.n] = b
	e.n++
}

// recall prepends the batches that a former state of the same producer remembered before e's first.
// A snapshot file holds only the last batch.
func (e *producerEntry) recall(former *producerEntry) {
	if former.epoch != e.epoch || e.n == 0 {
		return
	}
	at := slices.Index(former.batches[:former.n], e.batches[0])
	earlier := former.batches[:max(at, 0)]
	taken := min(len(earlier), batchesRetained-e.n)
	copy(e.batches[taken:], e.batches[:e.n])
	copy(e.batches[:taken], earlier[len(earlier)-taken:])
	e.n += taken
}

// openTxn is a transaction without a marker, or with one that is not below the high watermark.
type openTxn struct {
	producerID  int64
	firstOffset record.Offset
	lastOffset  record.Offset // of the marker; -1 if there is none yet
}

// completedTxn is a transaction whose marker is being appended.
type completedTxn struct {
	producerID  int64
	firstOffset record.Offset
	lastOffset  record.Offset // of the marker
	aborted     bool
}

// producerState is the state of a log's producers: sequences for deduplication, open transactions
// for the last stable offset, and the snapshot files that hold the state at an offset. All of it is
// guarded by the log's lock. The caller passes the current time.
type producerState struct {
	fs           vfs.FS
	log          *logrus.Entry
	tp           TopicPartition
	dir          string
	expirationMs *atomic.Int64 // producer.id.expiration.ms

	entries map[int64]*producerEntry // nil until there is one
	// Both are in ascending order of firstOffset. ongoing are the transactions without a marker,
	// unreplicated those whose marker is not known to be replicated.
	ongoing, unreplicated []openTxn
	verifications         map[int64]*Verification // nil until there is one

	snapshots []record.Offset // offsets of the files, ascending
	end       record.Offset   // the state covers the log up to here
	snapEnd   record.Offset   // the value of end at the last snapshot
	content   unsynced
	names     *unsynced // of files in the directory; nil if the caller does not track them
}

// openProducerState returns an empty state that knows the snapshot files in the partition
// directory.
func openProducerState(fs vfs.FS, dir string, tp TopicPartition, expirationMs *atomic.Int64, log *logrus.Entry) (*producerState, error) {
	s := &producerState{
		fs: fs, dir: dir, tp: tp, expirationMs: expirationMs,
		log: kafkalog.For(log.Logger, "org.apache.kafka.storage.internals.log.ProducerStateManager"),
	}
	return s, s.reloadSnapshots()
}

// noteNames counts a change of the names of files in the directory.
func (s *producerState) noteNames() {
	if s.names != nil {
		s.names.note()
	}
}

// prefix returns the prefix of the log lines for this partition.
func (s *producerState) prefix() string {
	return fmt.Sprintf("[ProducerStateManager partition=%s-%d] ", s.tp.Topic, s.tp.Partition)
}

// duplicate returns the remembered batch that b, from a client, duplicates.
func (s *producerState) duplicate(b record.Batch) (producerBatch, bool) {
	e := s.entries[b.ProducerID()]
	if e == nil || e.epoch != b.ProducerEpoch() {
		return producerBatch{}, false
	}
	first, last := b.BaseSequence(), b.LastSequence()
	for _, old := range e.batches[:e.n] {
		if old.lastSequence == last && old.firstSequence() == first {
			return old, true
		}
	}
	return producerBatch{}, false
}

// recall adds the batches that a former state of the same log remembers before those known here. It
// lets a producer repeat all batches it had in flight, however the log was reloaded.
func (s *producerState) recall(former map[int64]*producerEntry) {
	for id, e := range s.entries {
		if f := former[id]; f != nil {
			e.recall(f)
		}
	}
}

// hasOpenTxn reports whether the producer has an open transaction in this log.
func (s *producerState) hasOpenTxn(producerID int64) bool {
	e := s.entries[producerID]
	return e != nil && e.txnFirstOffset >= 0
}

// apply applies the changes that u has collected.
func (s *producerState) apply(u *producerAppend) {
	for i := range u.updates {
		p := &u.updates[i]
		e := s.entries[p.next.producerID]
		if e == nil {
			e = new(producerEntry)
			*e = noProducer(p.next.producerID)
			s.put(e)
		}
		e.setEpoch(p.next.epoch)
		for _, b := range p.next.batches[:p.next.n] {
			e.addBatch(b)
		}
		e.coordinatorEpoch = p.next.coordinatorEpoch
		e.txnFirstOffset = p.next.txnFirstOffset
		e.lastTimestamp = p.next.lastTimestamp
		if p.transactional {
			delete(s.verifications, e.producerID)
		}
	}
	for _, t := range u.started {
		s.ongoing = insertTxn(s.ongoing, t)
	}
}

// put adds a producer.
func (s *producerState) put(e *producerEntry) {
	if s.entries == nil {
		s.entries = map[int64]*producerEntry{}
	}
	s.entries[e.producerID] = e
}

// insertTxn inserts t in order of first offset.
func insertTxn(txns []openTxn, t openTxn) []openTxn {
	i, _ := findTxn(txns, t.firstOffset)
	return slices.Insert(txns, i, t)
}

func findTxn(txns []openTxn, firstOffset record.Offset) (int, bool) {
	return slices.BinarySearchFunc(txns, firstOffset, func(t openTxn, first record.Offset) int {
		return cmp.Compare(t.firstOffset, first)
	})
}

// lastStableAfter returns the last stable offset for t's entry in the transaction index: the first
// offset of the oldest open transaction of another producer, or else the offset after the marker.
// It must be called before complete(t).
func (s *producerState) lastStableAfter(t completedTxn) record.Offset {
	for _, o := range s.ongoing {
		if o.producerID != t.producerID {
			return o.firstOffset
		}
	}
	return t.lastOffset + 1
}

// complete moves t from the open transactions to those whose marker is not replicated yet.
func (s *producerState) complete(t completedTxn) {
	i, ok := findTxn(s.ongoing, t.firstOffset)
	if !ok {
		return
	}
	done := s.ongoing[i]
	done.lastOffset = t.lastOffset
	s.ongoing = slices.Delete(s.ongoing, i, i+1)
	s.unreplicated = insertTxn(s.unreplicated, done)
}

// firstUnstable returns the first offset of the oldest transaction that is open, or whose marker is
// not below the high watermark; ok is false if there is none.
func (s *producerState) firstUnstable() (offset record.Offset, ok bool) {
	switch {
	case len(s.ongoing) == 0 && len(s.unreplicated) == 0:
		return -1, false
	case len(s.ongoing) == 0:
		return s.unreplicated[0].firstOffset, true
	case len(s.unreplicated) == 0:
		return s.ongoing[0].firstOffset, true
	default:
		return min(s.ongoing[0].firstOffset, s.unreplicated[0].firstOffset), true
	}
}

// highWatermarkAdvanced drops the transactions whose marker is below the high watermark.
func (s *producerState) highWatermarkAdvanced(highWatermark record.Offset) {
	s.unreplicated = slices.DeleteFunc(s.unreplicated, func(t openTxn) bool { return t.lastOffset < highWatermark })
}

// logStartAdvanced adapts the state to a log that begins at logStart.
func (s *producerState) logStartAdvanced(logStart record.Offset) {
	s.highWatermarkAdvanced(logStart)
	s.end = max(s.end, logStart)
	s.snapEnd = logStart
	if latest, ok := s.latestSnapshot(); ok {
		s.snapEnd = latest
	}
}

// mapEnd returns the offset (exclusive) up to which the state covers the log.
func (s *producerState) mapEnd() record.Offset { return s.end }

// setMapEnd sets the offset (exclusive) up to which the state covers the log.
func (s *producerState) setMapEnd(offset record.Offset) { s.end = offset }

// isEmpty reports whether there is no known producer and no transaction with an unreplicated
// marker.
func (s *producerState) isEmpty() bool { return len(s.entries) == 0 && len(s.unreplicated) == 0 }

// producers returns the producers, sorted by id.
func (s *producerState) producers() []ProducerStatus {
	list := make([]ProducerStatus, 0, len(s.entries))
	for _, e := range s.entries {
		list = append(list, ProducerStatus{
			ProducerID: e.producerID, ProducerEpoch: e.epoch, LastSequence: e.lastSequence(),
			LastTimestamp: e.lastTimestamp, CoordinatorEpoch: e.coordinatorEpoch,
			CurrentTxnFirstOffset: e.txnFirstOffset,
		})
	}
	slices.SortFunc(list, func(a, b ProducerStatus) int { return cmp.Compare(a.ProducerID, b.ProducerID) })
	return list
}

// oldestTxnTimestamp returns the last timestamp of the producer with the oldest open transaction,
// -1 if there is none. It reveals a hanging transaction.
func (s *producerState) oldestTxnTimestamp() int64 {
	if len(s.ongoing) > 0 {
		if e := s.entries[s.ongoing[0].producerID]; e != nil {
			return e.lastTimestamp
		}
	}
	return -1
}

// expired reports whether a producer without an open transaction was last seen expirationMs or more
// before now (ms). Timestamps are those of the records, so a producer of old CreateTime timestamps
// expires at once.
func (s *producerState) expired(e *producerEntry, now int64) bool {
	return e.txnFirstOffset < 0 && now-e.lastTimestamp >= s.expirationMs.Load()
}

// expire drops the producers that have expired at now (ms).
func (s *producerState) expire(now int64) {
	for id, e := range s.entries {
		if s.expired(e, now) {
			delete(s.entries, id)
		}
	}
	for id, v := range s.verifications {
		if now-v.startedMs >= s.expirationMs.Load() {
			delete(s.verifications, id)
		}
	}
}

// clear drops all producers and transactions.
func (s *producerState) clear() {
	clear(s.entries)
	s.ongoing, s.unreplicated = nil, nil
}

const maxSequence = 1<<31 - 1

// decrementSequence subtracts n from a sequence number. Numbers below 0 wrap around to 2^31-1.
func decrementSequence(sequence, n int32) int32 {
	if sequence < n {
		return maxSequence - (n - sequence) + 1
	}
	return sequence - n
}
