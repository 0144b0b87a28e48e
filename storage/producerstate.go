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

// noProducer is the state of a producer of which nothing is known.
func noProducer(id int64) producerEntry {
	return producerEntry{
		producerID: id, epoch: record.NoProducerEpoch, coordinatorEpoch: -1,
		lastTimestamp: record.NoTimestamp, txnFirstOffset: -1,
	}
}

// lastBatch returns the last batch; ok is false without one.
func (e *producerEntry) lastBatch() (b producerBatch, ok bool) {
	if e.n == 0 {
		return producerBatch{}, false
	}
	return e.batches[e.n-1], true
}

// lastSequence is the last batch's, -1 without one.
func (e *producerEntry) lastSequence() int32 {
	if b, ok := e.lastBatch(); ok {
		return b.lastSequence
	}
	return record.NoSequence
}

// setEpoch takes over an epoch; another one makes the batches worthless.
func (e *producerEntry) setEpoch(epoch int16) {
	if e.epoch != epoch {
		e.epoch, e.n = epoch, 0
	}
}

// addBatch remembers a batch, and forgets the oldest where there are too many.
func (e *producerEntry) addBatch(b producerBatch) {
	if e.n == batchesRetained {
		copy(e.batches[:], e.batches[1:])
		e.n--
	}
	e.batches[e.n] = b
	e.n++
}

// recall prepends the batches that a former state of the same producer
// remembered before e's first. A snapshot file has the last batch only.
func (e *producerEntry) recall(former *producerEntry) {
	if former.epoch != e.epoch || e.n == 0 {
		return
	}
	at := slices.Index(former.batches[:former.n], e.batches[0])
	earlier := former.batches[:max(at, 0)]
	room := min(len(earlier), batchesRetained-e.n)
	copy(e.batches[room:], e.batches[:e.n])
	copy(e.batches[:room], earlier[len(earlier)-room:])
	e.n += room
}

// openTxn is a transaction whose marker is not below the high watermark.
type openTxn struct {
	producerID  int64
	firstOffset int64
	lastOffset  int64 // of the marker; -1 while there is none
}

// completedTxn is a transaction whose marker is being appended.
type completedTxn struct {
	producerID  int64
	firstOffset int64
	lastOffset  int64 // of the marker
	aborted     bool
}

// producerState is what a log knows of the producers that write to it:
// sequences for deduplication, open transactions for the last stable offset,
// and the snapshot files that hold the state as of an offset. All of it is
// guarded by the log's lock. Times are handed in.
type producerState struct {
	fs           vfs.FS
	log          *logrus.Entry
	tp           TopicPartition
	dir          string
	expirationMs *atomic.Int64 // producer.id.expiration.ms

	entries map[int64]*producerEntry // nil until there is one
	// Both by rising firstOffset: transactions without a marker, and those
	// whose marker is not known to be replicated.
	ongoing, unreplicated []openTxn
	verifications         map[int64]*Verification // nil until there is one

	snapshots []int64 // offsets of the files, rising
	end       int64   // the state has seen the log up to here
	snapEnd   int64   // end as of the last snapshot
	content   unsynced
	names     *unsynced // of files in the directory; nil if the caller does not care
}

// openProducerState returns an empty state and finds the snapshot files in the
// partition directory.
func openProducerState(fs vfs.FS, dir string, tp TopicPartition, expirationMs *atomic.Int64, log *logrus.Entry) (*producerState, error) {
	s := &producerState{
		fs: fs, dir: dir, tp: tp, expirationMs: expirationMs,
		log: kafkalog.For(log.Logger, "org.apache.kafka.storage.internals.log.ProducerStateManager"),
	}
	return s, s.reloadSnapshots()
}

// prefix starts the log lines of this partition.
func (s *producerState) prefix() string {
	return fmt.Sprintf("[ProducerStateManager partition=%s-%d] ", s.tp.Topic, s.tp.Partition)
}

// duplicate finds the remembered batch that b, from a client, repeats.
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

// recall adds what a former state of the same log remembered of the batches
// that lie before those known here, so that a producer may repeat all it had in
// flight, however the log was reloaded.
func (s *producerState) recall(former map[int64]*producerEntry) {
	for id, e := range s.entries {
		if f := former[id]; f != nil {
			e.recall(f)
		}
	}
}

// hasOpenTxn says whether the producer has a transaction open here.
func (s *producerState) hasOpenTxn(producerID int64) bool {
	e := s.entries[producerID]
	return e != nil && e.txnFirstOffset >= 0
}

// apply takes over what u gathered.
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

// put makes a producer known.
func (s *producerState) put(e *producerEntry) {
	if s.entries == nil {
		s.entries = map[int64]*producerEntry{}
	}
	s.entries[e.producerID] = e
}

// insertTxn keeps the order by first offset; new transactions come last.
func insertTxn(txns []openTxn, t openTxn) []openTxn {
	i, _ := findTxn(txns, t.firstOffset)
	return slices.Insert(txns, i, t)
}

func findTxn(txns []openTxn, firstOffset int64) (int, bool) {
	return slices.BinarySearchFunc(txns, firstOffset, func(t openTxn, first int64) int {
		return cmp.Compare(t.firstOffset, first)
	})
}

// lastStableAfter is the last stable offset that goes into the transaction
// index with t: the first offset of the oldest open transaction of another
// producer, else the one after the marker. To be called before complete(t).
func (s *producerState) lastStableAfter(t completedTxn) int64 {
	for _, o := range s.ongoing {
		if o.producerID != t.producerID {
			return o.firstOffset
		}
	}
	return t.lastOffset + 1
}

// complete moves t from the open transactions to those whose marker is not
// replicated yet.
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

// firstUnstable is the first offset of the oldest transaction that is open, or
// whose marker is not below the high watermark; ok is false without one.
func (s *producerState) firstUnstable() (offset int64, ok bool) {
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

// highWatermarkAdvanced forgets the transactions whose marker lies below it.
func (s *producerState) highWatermarkAdvanced(highWatermark int64) {
	s.unreplicated = slices.DeleteFunc(s.unreplicated, func(t openTxn) bool { return t.lastOffset < highWatermark })
}

// logStartAdvanced tells that nothing below the offset is in the log.
func (s *producerState) logStartAdvanced(logStart int64) {
	s.highWatermarkAdvanced(logStart)
	s.end = max(s.end, logStart)
	s.snapEnd = logStart
	if latest, ok := s.latestSnapshot(); ok {
		s.snapEnd = latest
	}
}

// mapEnd is the offset up to which (exclusive) the state has seen the log.
func (s *producerState) mapEnd() int64 { return s.end }

// setMapEnd tells that the state has seen the log up to offset (exclusive).
func (s *producerState) setMapEnd(offset int64) { s.end = offset }

// isEmpty says that no producer is known, nor a transaction whose marker is
// not replicated.
func (s *producerState) isEmpty() bool { return len(s.entries) == 0 && len(s.unreplicated) == 0 }

// producerCount is the number of producers.
func (s *producerState) producerCount() int { return len(s.entries) }

// producers lists the producers by id.
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

// oldestTxnTimestamp is the last timestamp of the producer with the oldest open
// transaction, -1 without one: a hanging transaction shows here.
func (s *producerState) oldestTxnTimestamp() int64 {
	if len(s.ongoing) > 0 {
		if e := s.entries[s.ongoing[0].producerID]; e != nil {
			return e.lastTimestamp
		}
	}
	return -1
}

// expired says whether a producer without an open transaction was last seen
// expirationMs before now (ms), or earlier. The timestamps are those of the
// records, so old CreateTime stamps are expired at once.
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

// clear forgets all producers and transactions.
func (s *producerState) clear() {
	clear(s.entries)
	s.ongoing, s.unreplicated = nil, nil
}

const maxSequence = 1<<31 - 1

// decrementSequence subtracts from a sequence number, below 0 from 2^31-1 on.
func decrementSequence(sequence, n int32) int32 {
	if sequence < n {
		return maxSequence - (n - sequence) + 1
	}
	return sequence - n
}
