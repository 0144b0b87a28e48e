package simulation

import (
	"cmp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/txnhistory"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/transaction"
)

// txnRules checks transactions after every step:
//
//   - The last stable offset of a partition is the first offset of its undecided transactions.
//   - A marker is written only after its outcome is stored, with the epoch that is stored.
//   - No epoch that took effect decreases.
//
// At the end internal/txnhistory checks the history.
type txnRules struct {
	l       *ledger
	open    []map[int64]record.Offset // by partition and producer, the first offset of its transaction
	latest  map[int64]decision        // by producer
	epochs  map[int64]int16           // by producer, the last epoch that took effect
	commits int
}

// decision is the last record of a producer that is replicated.
type decision struct {
	state transaction.State
	epoch int16
}

// replicated takes a record of the coordinator that is replicated. It takes effect if the coordinator
// knows, or when the next one loads it.
func (k *txnRules) replicated(c storedChange, known bool) {
	value := c.change.AppendValue(nil)
	v := k.parse(value)
	k.l.say("%s is stored as %s, producer %d, epoch %d, known %t", c.txn.ID, transaction.State(v.State), v.ProducerID, v.ProducerEpoch, known)
	if known {
		k.effective(value)
	}
	k.latest[v.ProducerID] = decision{transaction.State(v.State), v.ProducerEpoch}
	if transaction.State(v.State) == transaction.CompleteCommit {
		k.commits++
	}
}

func (k *txnRules) parse(value []byte) (v kmsg.TxnMetadataValue) {
	if err := v.ReadFrom(value); err != nil {
		k.l.fail("a value of the coordinator does not parse: %v", err)
	}
	return v
}

// effective takes the value of a record that takes effect.
func (k *txnRules) effective(value []byte) {
	v := k.parse(value)
	if was, known := k.epochs[v.ProducerID]; known && v.ProducerEpoch < was {
		k.l.fail("the epoch of producer %d decreased from %d to %d", v.ProducerID, was, v.ProducerEpoch)
	}
	k.epochs[v.ProducerID] = v.ProducerEpoch
}

// wrote takes a record of a producer that a partition has.
func (k *txnRules) wrote(p int32, producer int64, offset record.Offset) {
	if _, open := k.open[p][producer]; !open {
		k.open[p][producer] = offset
	}
}

// ended takes a marker that a partition has.
func (k *txnRules) ended(p int32, m *transaction.Markers) {
	delete(k.open[p], m.ProducerID)
	d := k.latest[m.ProducerID]
	committed := d.state == transaction.PrepareCommit || d.state == transaction.CompleteCommit
	aborted := d.state == transaction.PrepareAbort || d.state == transaction.CompleteAbort
	if d.epoch != m.Epoch || m.Commit && !committed || !m.Commit && !aborted {
		k.l.fail("partition %d got a marker (%v) of producer %d, whose state is %s in epoch %d", p, m, m.ProducerID, d.state, d.epoch)
	}
}

// look checks the last stable offsets.
func (k *txnRules) look() {
	for p, log := range k.l.data {
		at := log.Offsets()
		want := at.HighWatermark
		for _, first := range k.open[p] {
			want = min(want, first)
		}
		if at.LastStable != want {
			k.l.fail("the last stable offset of partition %d is %d, but must be %d", p, at.LastStable, want)
		}
	}
}

// final checks the history.
func (k *txnRules) final() {
	h := &k.l.history
	h.Logs = map[txnhistory.Partition][]txnhistory.Entry{}
	committed := txnhistory.Reading{Reader: "read_committed", Committed: true, Complete: true, Records: map[txnhistory.Partition][]txnhistory.Entry{}}
	for p, log := range k.l.data {
		at := txnhistory.Partition{Topic: txnTopic, Index: int32(p)}
		h.Logs[at], committed.Records[at] = k.read(log)
	}
	h.Readings = append(h.Readings, committed)
	if report := txnhistory.Check(h); len(report.Violations()) > 0 {
		k.l.fail("%v", report)
	}
}

// read returns all of a log, and what a consumer with read_committed makes of it.
func (k *txnRules) read(log *storage.Log) (all, committed []txnhistory.Entry) {
	data, err := log.Read(storage.Read{MaxBytes: 1 << 30, Bound: storage.UpToLastStable, AbortedWanted: true})
	if err != nil || data.Length == 0 {
		return nil, nil
	}
	defer data.Release()
	set := make([]byte, data.Length)
	must(data.File.ReadAt(set, data.Position))
	aborted, skipped := slices.Clone(data.Aborted), map[int64]bool{}
	slices.SortFunc(aborted, func(a, b storage.AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	for b, err := range record.Batches(set) {
		if err != nil {
			k.l.fail("%s: %v", log, err)
			break
		}
		for len(aborted) > 0 && aborted[0].FirstOffset <= b.LastOffset() {
			skipped[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		e := txnhistory.Entry{Offset: int64(b.BaseOffset()), Producer: b.ProducerID(), Epoch: b.ProducerEpoch(), Time: time.UnixMilli(b.MaxTimestamp())}
		if c, control, err := b.Control(); control && err == nil {
			e.Marker = txnhistory.CommitMarker
			if c.Type == record.Abort {
				e.Marker = txnhistory.AbortMarker
				delete(skipped, e.Producer)
			}
			all = append(all, e)
			continue
		}
		err = b.Each(func(r *record.Record) error {
			e.Value = string(r.Value)
			return nil
		})
		if err != nil {
			k.l.fail("%s: %v", log, err)
		}
		all = append(all, e)
		if !skipped[e.Producer] {
			committed = append(committed, e)
		}
	}
	return all, committed
}
