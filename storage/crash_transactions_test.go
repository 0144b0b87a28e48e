package storage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/monedula/monedula/record"
)

// transactionsEver has all transactions that a random history has begun in a topic. Each has a number,
// which its batches have as their first sequence number and its marker as the epoch of its
// coordinator. So the transaction of a batch is known even if its marker was cleaned away.
type transactionsEver struct {
	current map[int64]int32 // the last transaction of each producer
	first   map[int32]record.Offset
	owner   map[int32]int64
	ends    map[int32]transactionEnd // of the last marker that was appended
}

type transactionEnd struct {
	at     record.Offset
	aborts bool
}

func newTransactionsEver() transactionsEver {
	return transactionsEver{map[int64]int32{}, map[int32]record.Offset{}, map[int32]int64{}, map[int32]transactionEnd{}}
}

// begin begins a transaction of a producer at an offset.
func (e *transactionsEver) begin(producer int64, at record.Offset) {
	n := int32(len(e.owner) + 1)
	e.current[producer], e.first[n], e.owner[n] = n, at, producer
}

// end remembers the marker of a producer's transaction, and returns the transaction's number.
func (e *transactionsEver) end(marker loggedBatch) int32 {
	n := e.current[marker.producer]
	e.ends[n] = transactionEnd{marker.base, marker.aborts}
	return n
}

// reopen finds the open transaction of a producer, whose marker was lost, in the batches of the log.
func (e *transactionsEver) reopen(producer int64, batches []loggedBatch) {
	for _, b := range slices.Backward(batches) {
		if b.producer == producer && b.txn {
			if !b.marker {
				delete(e.ends, b.number)
				e.current[producer] = b.number
				return
			}
			break
		}
	}
	e.begin(producer, -1) // below the log start
}

// found remembers the markers of a log that was found.
func (e *transactionsEver) found(batches []loggedBatch) {
	for _, b := range batches {
		if b.marker && len(b.values) > 0 && b.values[0] != "" {
			e.ends[b.number] = transactionEnd{b.base, b.aborts}
		}
	}
}

// outcome of a transaction.
type outcome int8

const (
	undecided outcome = iota
	committed
	aborted
	uncertain // a marker was cleaned away or lost
)

// transactionsFound has the transactions of a history as the log that was found shows them.
type transactionsFound struct {
	*transactionsEver
	ends  map[int32]transactionEnd
	found map[int32]bool // the markers that are in the log
	floor record.Offset  // a marker below it that is not in the log was cleaned away
}

func (e *transactionsEver) in(batches []loggedBatch, floor record.Offset) *transactionsFound {
	f := &transactionsFound{e, maps.Clone(e.ends), map[int32]bool{}, floor}
	for _, b := range batches {
		if b.marker && b.values[0] != "" {
			f.ends[b.number], f.found[b.number] = transactionEnd{b.base, b.aborts}, true
		}
	}
	return f
}

func (f *transactionsFound) outcome(number int32) outcome {
	end, ended := f.ends[number]
	switch {
	case !ended:
		return undecided
	case !f.found[number] && end.at >= f.floor:
		return uncertain
	case end.aborts:
		return aborted
	}
	return committed
}

// known reports whether all batches of a transaction are at or above the offset.
func (e *transactionsEver) known(n int32, from record.Offset) bool {
	first, ok := e.first[n]
	return ok && first >= from
}

// aborted reports whether an entry of a transaction index is an aborted transaction. It may begin later
// than the transaction, whose first batches a cleaning has removed, if a crash lost the producer snapshot.
func (f *transactionsFound) aborted(a abortedTxn) bool {
	for n, end := range f.ends {
		if end.aborts && end.at == a.lastOffset && f.owner[n] == a.producerID && f.first[n] <= a.firstOffset {
			return true
		}
	}
	return false
}

// lookAtOpenProducers requires that exactly the producers with undecided transactions
// have open ones, and that the last stable offset is the first offset of those.
func (h *randomHistory) lookAtOpenProducers(found []loggedBatch, txns *transactionsFound) error {
	open, stable := map[int64]record.Offset{}, h.l.Offsets().LogEnd
	for _, b := range found {
		if _, is := open[b.producer]; b.txn && !b.marker && !is {
			switch txns.outcome(b.number) {
			case undecided:
				open[b.producer], stable = b.base, min(stable, b.base)
			case uncertain:
				return nil
			}
		}
	}
	for _, p := range h.l.Producers() {
		first, is := open[p.ProducerID]
		if !is {
			first = -1
		}
		if p.CurrentTxnFirstOffset != first {
			return fmt.Errorf("the transaction of producer %d begins at %d, want %d", p.ProducerID, p.CurrentTxnFirstOffset, first)
		}
		delete(open, p.ProducerID)
	}
	if len(open) > 0 {
		return fmt.Errorf("the producers of open transactions are unknown: %v", open)
	}
	if got := h.l.Offsets().LastStable; got != stable {
		return fmt.Errorf("the last stable offset is %d, want %d", got, stable)
	}
	return nil
}

// lookAsConsumer reads the log as a consumer with read_committed does, and requires that it gets the
// records of committed transactions and no others. It leaves out those that the log start has cut.
func (h *randomHistory) lookAsConsumer(txns *transactionsFound) error {
	o := h.l.Offsets()
	from := max(h.deleted, o.LogStart)
	for next := o.LogStart; next < o.LastStable; {
		set, dropped, err := h.fetchCommitted(next)
		if err != nil || len(set) == 0 {
			return err
		}
		dropping := map[int64]bool{}
		for b, err := range record.Batches(set) {
			if err != nil {
				return err
			}
			next = b.NextOffset()
			for len(dropped) > 0 && dropped[0].FirstOffset <= b.LastOffset() {
				dropping[dropped[0].ProducerID] = true
				dropped = dropped[1:]
			}
			if b.IsControl() {
				if c, ok, err := b.Control(); err != nil {
					return err
				} else if ok && c.Type == record.Abort {
					delete(dropping, b.ProducerID())
				}
				continue
			}
			n := b.BaseSequence()
			if !b.IsTransactional() || b.Count() == 0 || !txns.known(n, from) {
				continue
			}
			if want := txns.outcome(n); want != uncertain && (want == committed) == dropping[b.ProducerID()] {
				return fmt.Errorf("a consumer with read_committed drops the batch at %d: %t, but its transaction is %s", b.BaseOffset(), dropping[b.ProducerID()], want)
			}
		}
	}
	return nil
}

func (o outcome) String() string {
	return [...]string{"undecided", "committed", "aborted", "uncertain"}[o]
}

// fetchCommitted reads at an offset, and returns the aborted transactions that a consumer gets with
// the batches, in the order of their first offsets.
func (h *randomHistory) fetchCommitted(at record.Offset) (set []byte, dropped []AbortedTxn, err error) {
	data, err := h.l.Read(Read{Offset: at, MaxBytes: 700, MinOneMessage: true, Bound: UpToLastStable, AbortedWanted: true})
	if err != nil {
		return nil, nil, err
	}
	defer data.Release()
	set = make([]byte, data.Length)
	if data.Length > 0 {
		_, err = data.File.ReadAt(set, data.Position)
	}
	slices.SortStableFunc(data.Aborted, func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	return set, data.Aborted, err
}

// lookAtTransactionIndex requires that each entry of the transaction indexes is an aborted
// transaction.
func (h *randomHistory) lookAtTransactionIndex(txns *transactionsFound) error {
	v := h.l.positions.load()
	from := max(h.deleted, v.LogStart)
	for _, s := range v.segments {
		all, err := s.txns.all()
		if err != nil {
			return err
		}
		for _, a := range all {
			if a.firstOffset >= from && !txns.aborted(a) {
				return fmt.Errorf("the transaction index has %+v, which is no aborted transaction", a)
			}
		}
	}
	return nil
}
