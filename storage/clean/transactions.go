package clean

import (
	"cmp"
	"slices"

	"github.com/monedula/monedula/record"
)

// Transactions follows the transactions of a log while a cleaning reads its batches in order. It
// finds the data of aborted transactions, which is dropped, and the markers whose transaction has no
// data left.
type Transactions struct {
	// Retained is called with an aborted transaction of which a batch was read when its marker is
	// reached; the entry belongs to the transaction index of the output. It may be nil.
	Retained func(AbortedTxn) error

	pending   []AbortedTxn // not begun, in order of first offset
	aborted   map[int64]*openAborted
	committed map[int64]struct{} // producers with data of a transaction that was not aborted
}

// openAborted is an aborted transaction whose marker has not been read yet.
type openAborted struct {
	txn  AbortedTxn
	seen bool // a batch of it was read
}

// NewTransactions returns the state before the first batch.
func NewTransactions() *Transactions {
	return &Transactions{aborted: map[int64]*openAborted{}, committed: map[int64]struct{}{}}
}

// Add adds aborted transactions of the part of the log that is read next. It may be called with the
// same transaction again.
func (t *Transactions) Add(aborted []AbortedTxn) {
	t.pending = append(t.pending, aborted...)
	slices.SortStableFunc(t.pending, func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
}

// begin begins the aborted transactions up to an offset.
func (t *Transactions) begin(upTo record.Offset) {
	n := 0
	for ; n < len(t.pending) && t.pending[n].FirstOffset <= upTo; n++ {
		if txn := t.pending[n]; t.aborted[txn.ProducerID] == nil {
			t.aborted[txn.ProducerID] = &openAborted{txn: txn}
		}
	}
	t.pending = slices.Delete(t.pending, 0, n)
}

// Read takes the next batch of the log, which must be whole. It reports whether the batch may be
// dropped: data of an aborted transaction, or a marker whose transaction has no data left.
func (t *Transactions) Read(b record.Batch) (droppable bool, err error) {
	t.begin(b.LastOffset())
	if b.IsControl() {
		return t.readMarker(b)
	}
	if !b.IsTransactional() {
		return false, nil
	}
	if open := t.aborted[b.ProducerID()]; open != nil {
		open.seen = true
		return true, nil
	}
	t.committed[b.ProducerID()] = struct{}{}
	return false, nil
}

func (t *Transactions) readMarker(b record.Batch) (droppable bool, err error) {
	marker, ok, err := b.Control()
	if err != nil || !ok {
		return true, err // an earlier cleaning has emptied the batch
	}
	id := b.ProducerID()
	switch marker.Type {
	case record.Abort:
		open := t.aborted[id]
		delete(t.aborted, id)
		if open == nil || !open.seen {
			return true, nil
		}
		if t.Retained != nil {
			err = t.Retained(open.txn)
		}
		return false, err
	case record.Commit:
		_, data := t.committed[id]
		delete(t.committed, id)
		return !data, nil
	}
	return false, nil
}
