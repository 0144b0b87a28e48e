package clean

import "github.com/monedula/monedula/record"

// Producer is what a log knows of an active producer.
type Producer struct {
	LastOffset record.Offset // of its last data batch, record.NoOffset for none
	Epoch      int16
}

// Filter decides what a cleaning keeps of each batch, and counts it. Batches must be added in the
// order of the log.
type Filter struct {
	Map  *OffsetMap
	Txns *Transactions
	// Producers holds the active producers of the log. The last batch of each keeps its header,
	// since it holds the producer's last sequence number or epoch.
	Producers map[int64]Producer
	// UpperBound is the first offset that is not cleaned. A batch that ends there keeps its header,
	// so that the end of the cleaned part stays known.
	UpperBound record.Offset
	// Now is the time of the cleaning, and DeleteRetentionMs the topic's delete.retention.ms.
	Now, DeleteRetentionMs int64
	// KeepLegacyTombstones is set while tombstones of v0 and v1, which have no delete horizon, are
	// too new to be dropped.
	KeepLegacyTombstones bool

	// Figures of the batches added so far.
	MessagesRead, MessagesKept, InvalidMessages int64
	BytesRead, BytesKept                        int64

	compactor record.Compactor
	keeper    keeper
}

// Add appends to dst what remains of a batch, which must be whole and valid. Errors are those of
// record.Compactor and of Txns.Retained.
func (f *Filter) Add(dst []byte, b record.Batch) (out []byte, err error) {
	droppable, err := f.Txns.Read(b)
	if err != nil {
		return dst, err
	}
	horizon, hasHorizon := b.DeleteHorizonMs()
	due := hasHorizon && horizon <= f.Now
	r := record.Retention{
		Discard:          droppable && (!b.IsControl() || due),
		KeepEmpty:        f.lastOfProducer(b) || b.NextOffset() == f.UpperBound,
		MarkerOfEmptyTxn: droppable && b.IsControl(),
	}
	keepTombstones := !due
	if b.Magic() < 2 {
		keepTombstones = f.KeepLegacyTombstones
	}
	f.keeper.begin(f.Map, b.IsControl(), keepTombstones)
	f.compactor.DeleteHorizonMs = f.Now + f.DeleteRetentionMs
	out, done, err := f.compactor.Compact(dst, b, r, &f.keeper)
	if err != nil {
		return dst, err
	}
	f.BytesRead += int64(len(b))
	f.BytesKept += int64(len(out) - len(dst))
	f.InvalidMessages += f.keeper.invalid
	f.MessagesRead += int64(done.Read)
	f.MessagesKept += int64(done.Kept)
	return out, nil
}

// lastOfProducer reports whether the batch holds the state of an active producer: its last data
// batch or, if it has none, a marker of its epoch.
func (f *Filter) lastOfProducer(b record.Batch) bool {
	if !b.HasProducerID() {
		return false
	}
	p, active := f.Producers[b.ProducerID()]
	switch {
	case !active:
		return false
	case p.LastOffset >= 0:
		return b.LastOffset() == p.LastOffset
	}
	return b.IsControl() && b.ProducerEpoch() == p.Epoch
}
