package storage

import (
	"fmt"
	"slices"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// producerAppend collects the changes that the batches of one append make to the producers; the
// state does not change until apply. begin makes it ready for another append.
//
//	u.begin(state, origin)
//	duplicate, found, err := u.addAll(set, append)
//	... write ...
//	err = u.apply(segment, last offset + 1)
type producerAppend struct {
	completed []completedTxn // transactions that the added markers complete

	state   *producerState
	origin  record.Origin
	updates []producerUpdate
	byID    map[int64]int // index into updates; used once there are more than linearMax
	started []openTxn     // transactions that the batches begin
}

// producerUpdate holds the changes of an append to one producer.
type producerUpdate struct {
	known producerEntry // the state before the append
	// next is the state after the append. Its batches are only those of the append.
	next          producerEntry
	transactional bool
}

// begin resets u for an append of the given origin.
func (u *producerAppend) begin(s *producerState, origin record.Origin) {
	u.state, u.origin = s, origin
	u.updates, u.completed, u.started = u.updates[:0], u.completed[:0], u.started[:0]
	clear(u.byID)
}

// addAll adds the batches of a set that have a producer id. It returns the batch that the set
// duplicates, if any.
func (u *producerAppend) addAll(set []byte, a *Append) (duplicate producerBatch, found bool, err error) {
	for b, err := range record.Batches(set) {
		if err != nil {
			return duplicate, false, err
		}
		if !b.HasProducerID() {
			continue
		}
		if a.Origin == record.FromClient {
			if duplicate, found := u.state.duplicate(b); found {
				return duplicate, true, nil
			}
		}
		if a.VerificationRequired && u.state.unverified(b, a.Verified) {
			return duplicate, false, protocol.Errorf(protocol.InvalidTxnState, "Record was not part of an ongoing transaction")
		}
		if err := u.add(b); err != nil {
			return duplicate, false, err
		}
	}
	return duplicate, false, nil
}

// openTxns opens the transaction index of the segment that gets the batches if they abort a
// transaction, and returns nil otherwise. Opening it first ensures that a lack of file descriptors
// cannot interrupt the append. The caller must release the handle.
func (u *producerAppend) openTxns(active *segment) (*fileHandle, error) {
	if !slices.ContainsFunc(u.completed, func(t completedTxn) bool { return t.aborted }) {
		return nil, nil
	}
	if !active.txns.exists() {
		defer u.state.noteNames()
	}
	return active.txns.open()
}

// apply applies the changes to the state, once the batches are written to the segment and the log
// ends at logEnd.
func (u *producerAppend) apply(active *segment, logEnd record.Offset) error {
	u.state.apply(u)
	for _, t := range u.completed {
		if err := completeTxn(u.state, active, t); err != nil {
			return err
		}
		if t.aborted {
			active.unsynced.note()
		}
	}
	u.state.setMapEnd(logEnd)
	return nil
}

// completeTxn ends a transaction whose marker is in the segment. An aborted one gets an entry in
// the transaction index.
func completeTxn(state *producerState, s *segment, t completedTxn) error {
	if t.aborted {
		entry := abortedTxn{t.producerID, t.firstOffset, t.lastOffset, state.lastStableAfter(t)}
		if err := s.txns.append(entry); err != nil {
			return fmt.Errorf("transaction index: %w", err)
		}
	}
	state.complete(t)
	return nil
}

// add checks a batch against the state and the batches added before. The batch must be whole; one
// without a producer id is ignored. The errors are protocol codes: INVALID_PRODUCER_EPOCH,
// OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE, TRANSACTION_COORDINATOR_FENCED, and
// INVALID_RECORD for a control record that cannot be read.
func (u *producerAppend) add(b record.Batch) error {
	id := b.ProducerID()
	if id == record.NoProducerID {
		return nil
	}
	if !b.IsControl() {
		return u.addData(u.of(id), b)
	}
	marker, ok, err := b.Control()
	if err != nil {
		return err
	}
	p := u.of(id)
	p.transactional = p.transactional || b.IsTransactional()
	if !ok || marker.Type != record.Commit && marker.Type != record.Abort {
		return nil // compaction has emptied the batch, or the control record is of another type
	}
	return u.addMarker(p, b.ProducerEpoch(), b.BaseOffset(), marker)
}

// of returns the update of a producer, and begins it if necessary.
func (u *producerAppend) of(id int64) *producerUpdate {
	const linearMax = 8
	if len(u.updates) <= linearMax {
		for i := range u.updates {
			if u.updates[i].next.producerID == id {
				return &u.updates[i]
			}
		}
	} else if i, ok := u.byID[id]; ok {
		return &u.updates[i]
	}
	p := producerUpdate{known: noProducer(id)}
	if e := u.state.entries[id]; e != nil {
		p.known = *e
	}
	p.next = p.known
	p.next.n = 0
	u.updates = append(u.updates, p)
	if len(u.updates) > linearMax {
		if u.byID == nil {
			u.byID = map[int64]int{}
		}
		if len(u.byID) == 0 {
			for i := range u.updates {
				u.byID[u.updates[i].next.producerID] = i
			}
		}
		u.byID[id] = len(u.updates) - 1
	}
	return &u.updates[len(u.updates)-1]
}

func (u *producerAppend) addData(p *producerUpdate, b record.Batch) error {
	first, last, epoch := b.BaseOffset(), b.LastOffset(), b.ProducerEpoch()
	if err := u.checkEpoch(p, epoch, first); err != nil {
		return err
	}
	if u.origin == record.FromClient {
		if err := u.checkSequence(p, epoch, b.BaseSequence(), first); err != nil {
			return err
		}
	}
	open := p.next.txnFirstOffset >= 0
	if open && !b.IsTransactional() {
		return protocol.Errorf(protocol.InvalidTxnState,
			"Expected transactional write from producer %d at offset (offset=%d, segment=[-1:-1]) in partition %s",
			p.next.producerID, first, u.partition())
	}
	p.next.setEpoch(epoch)
	p.next.addBatch(producerBatch{
		lastSequence: b.LastSequence(), offsetDelta: int32(last - first), lastOffset: last, timestamp: b.MaxTimestamp(),
	})
	p.next.lastTimestamp = b.MaxTimestamp()
	if b.IsTransactional() {
		p.transactional = true
		if !open {
			p.next.txnFirstOffset = first
			u.started = append(u.started, openTxn{producerID: p.next.producerID, firstOffset: first, lastOffset: -1})
		}
	}
	return nil
}

// addMarker ends the producer's transaction. A marker without a transaction is legal (KAFKA-10702)
// and completes none.
func (u *producerAppend) addMarker(p *producerUpdate, epoch int16, offset record.Offset, m record.Control) error {
	if err := u.checkEpoch(p, epoch, offset); err != nil {
		return err
	}
	if m.CoordinatorEpoch < p.next.coordinatorEpoch {
		if u.origin != record.FromReplication {
			return protocol.Errorf(protocol.TransactionCoordinatorFenced,
				"Invalid coordinator epoch for producerId %d at offset %d in partition %s: %d (zombie), %d (current)",
				p.next.producerID, offset, u.partition(), m.CoordinatorEpoch, p.next.coordinatorEpoch)
		}
		u.state.log.Infof("Detected invalid coordinator epoch for producerId %d at offset %d in partition %s: %d is older than previously known coordinator epoch %d",
			p.next.producerID, offset, u.partition(), m.CoordinatorEpoch, p.next.coordinatorEpoch)
	}
	if p.next.txnFirstOffset >= 0 {
		u.completed = append(u.completed, completedTxn{
			producerID: p.next.producerID, firstOffset: p.next.txnFirstOffset, lastOffset: offset,
			aborted: m.Type == record.Abort,
		})
	}
	p.next.setEpoch(epoch)
	p.next.coordinatorEpoch = m.CoordinatorEpoch
	p.next.lastTimestamp = m.TimestampMs
	p.next.txnFirstOffset = -1
	return nil
}

// checkEpoch rejects a producer that a newer epoch has fenced. A follower accepts whatever its
// leader has accepted.
func (u *producerAppend) checkEpoch(p *producerUpdate, epoch int16, offset record.Offset) error {
	if epoch >= p.next.epoch {
		return nil
	}
	err := protocol.Errorf(protocol.InvalidProducerEpoch,
		"Epoch of producer %d at offset %d in %s is %d, which is smaller than the last seen epoch %d",
		p.next.producerID, offset, u.partition(), epoch, p.next.epoch)
	if u.origin == record.FromReplication {
		u.state.log.Warn(err)
		return nil
	}
	return err
}

// checkSequence rejects a client's batch that does not follow the last one.
func (u *producerAppend) checkSequence(p *producerUpdate, epoch int16, first int32, offset record.Offset) error {
	id := p.next.producerID
	// The last batch of a producer that is known in this epoch decides alone: the lowest sequence that
	// was verified may be that of a late duplicate of an earlier transaction.
	known := epoch == p.next.epoch && p.known.epoch != record.NoProducerEpoch
	if v := u.state.verifications[id]; v != nil && !known && first > v.lowestSequence {
		return protocol.Errorf(protocol.OutOfOrderSequenceNumber,
			"Out of order sequence number for producer %d at offset %d in partition %s: %d (incoming seq. number), %d (earliest seen sequence)",
			id, offset, u.partition(), first, v.lowestSequence)
	}
	if epoch != p.next.epoch {
		if first == 0 || p.next.epoch == record.NoProducerEpoch {
			return nil
		}
		return protocol.Errorf(protocol.OutOfOrderSequenceNumber,
			"Invalid sequence number for new epoch of producer %dat offset %d in partition %s: %d (request epoch), %d (seq. number), %d (current producer epoch)",
			id, offset, u.partition(), epoch, first, p.next.epoch)
	}
	last := int32(record.NoSequence)
	switch {
	case p.next.n > 0:
		last = p.next.lastSequence()
	case epoch == p.known.epoch:
		last = p.known.lastSequence()
	}
	// A producer that was not known when the append began (all its records may have been deleted)
	// may start with any sequence.
	if p.known.epoch == record.NoProducerEpoch || follows(last, first) {
		return nil
	}
	return protocol.Errorf(protocol.OutOfOrderSequenceNumber,
		"Out of order sequence number for producer %d at offset %d in partition %s: %d (incoming seq. number), %d (current end sequence number)",
		id, offset, u.partition(), first, last)
}

// follows reports whether a batch may begin with sequence next after one that ended with last.
func follows(last, next int32) bool {
	return int64(next) == int64(last)+1 || next == 0 && last == maxSequence
}

func (u *producerAppend) partition() string { return currentDirName(u.state.tp) }
