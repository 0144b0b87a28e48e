package record

// Retention is the part of a compaction's decision that concerns a batch as a whole.
type Retention struct {
	// Discard drops all records of the batch.
	Discard bool
	// KeepEmpty keeps the header of a v2 batch that loses all its records, for the state of its
	// producer or for the end of the log.
	KeepEmpty bool
	// MarkerOfEmptyTxn reports that the batch is the marker of a transaction without remaining
	// records. The marker, like a tombstone, gets a delete horizon (KIP-534).
	MarkerOfEmptyTxn bool
}

// Compacted describes what compaction did with a batch.
type Compacted struct {
	Read, Kept int  // records
	Rewritten  bool // the batch was rebuilt or emptied
}

// Keeper decides which records of a batch remain. It sees many of them before it decides, so that it
// can look them up together.
type Keeper interface {
	// See is called with each record of the batch in order. It must not retain the record.
	See(*Record)
	// Keep sets the bits of those records that remain of the ones seen since the last call: bit n%64
	// of kept[n/64] for record n of these. All bits are 0 before.
	Keep(kept []uint64)
}

// seenAtOnce is the number of records that a Keeper sees before it decides; a multiple of 64.
const seenAtOnce = 512

// Compactor rewrites batches for the compaction of a log. It reuses its memory, and is not safe for
// concurrent use.
type Compactor struct {
	// DeleteHorizonMs is the delete horizon for batches that get one: now + delete.retention.ms.
	DeleteHorizonMs int64

	kept    []uint64     // a bit for each record of the batch
	seen    []seenRecord // those that the Keeper has not decided about yet
	builder Builder
}

// seenRecord is what a Compactor remembers of a record.
type seenRecord struct {
	offset    Offset
	tombstone bool
	foreign   bool // it has another format than its wrapper (KAFKA-4298)
}

// Compact appends to dst what remains of the batch: the batch unchanged, a batch rebuilt with the
// records that the keeper keeps, an empty batch, or nothing. Rebuilt batches have the offsets, codec,
// producer and leader epoch of the original. A v2 batch with a tombstone gets a delete horizon. The
// batch must be whole and its checksum valid. Errors are those of Batch.Each, and those of a batch
// whose offsets do not increase.
func (c *Compactor) Compact(dst []byte, b Batch, r Retention, keeper Keeper) (out []byte, done Compacted, err error) {
	if r.Discard {
		if !r.KeepEmpty || b.Magic() < 2 {
			return dst, done, nil
		}
		done.Read = int(b.Count())
		return emptied(dst, b, done)
	}
	first, same, tombstones, err := c.sieve(b, keeper, &done)
	switch {
	case err != nil:
		return dst, done, err
	case done.Kept == 0 && r.KeepEmpty && b.Magic() >= 2:
		return emptied(dst, b, done)
	case done.Kept == 0:
		return dst, done, nil
	}
	newHorizon := b.Magic() >= 2 && !b.HasDeleteHorizon() && (tombstones || r.MarkerOfEmptyTxn)
	if same && done.Kept == done.Read && !newHorizon {
		return append(dst, b...), done, nil
	}
	out, err = c.rebuild(dst, b, first, newHorizon)
	done.Rewritten = true
	return out, done, err
}

// sieve asks the keeper about every record and remembers the answers. first is the offset of the first
// record kept. same is false if the batch must be rebuilt although it loses nothing: a wrapper with
// messages of another format.
func (c *Compactor) sieve(b Batch, keeper Keeper, done *Compacted) (first Offset, same, tombstones bool, err error) {
	it := openIterator(b, true)
	defer it.close()
	c.kept, c.seen, same = c.kept[:0], c.seen[:0], true
	decide := func() {
		words := len(c.kept)
		c.kept = append(c.kept, noneKept[:(len(c.seen)+63)/64]...)
		keeper.Keep(c.kept[words:])
		for n, r := range c.seen {
			if !c.keeps(done.Read + n) {
				continue
			}
			if done.Kept == 0 {
				first = r.offset
			}
			done.Kept++
			tombstones, same = tombstones || r.tombstone, same && !r.foreign
		}
		done.Read += len(c.seen)
		c.seen = c.seen[:0]
	}
	for {
		more, err := it.next()
		if !more {
			if len(c.seen) > 0 {
				decide()
			}
			return first, same, tombstones, err
		}
		c.seen = append(c.seen, seenRecord{it.rec.Offset, it.rec.Value == nil, it.magic < 2 && it.legacy.magic != it.magic})
		keeper.See(&it.rec)
		if len(c.seen) == seenAtOnce {
			decide()
		}
	}
}

var noneKept [seenAtOnce / 64]uint64

func (c *Compactor) keeps(n int) bool { return c.kept[n/64]&(1<<(n%64)) != 0 }

// rebuild appends a batch with the records that sieve kept.
func (c *Compactor) rebuild(dst []byte, b Batch, first Offset, newHorizon bool) ([]byte, error) {
	o := optionsLike(b)
	if b.Magic() < 2 {
		o.BaseOffset = first
	}
	if newHorizon {
		o.HasDeleteHorizon, o.DeleteHorizonMs = true, c.DeleteHorizonMs
	}
	c.builder.reset(dst, o)
	c.builder.stored = true
	if err := c.copyKept(b); err != nil {
		c.builder.discard()
		return dst, err
	}
	if b.Magic() >= 2 {
		c.builder.OverrideLastOffset(b.LastOffset())
	}
	return c.builder.Build()
}

func (c *Compactor) copyKept(b Batch) error {
	it := openIterator(b, true)
	defer it.close()
	for n := 0; ; n++ {
		more, err := it.next()
		if err != nil || !more {
			return err
		}
		if !c.keeps(n) {
			continue
		}
		if err := c.builder.copyRecord(it, it.rec.Offset); err != nil {
			return err
		}
	}
}

// emptied appends the header of a batch that has lost all its records.
func emptied(dst []byte, b Batch, done Compacted) ([]byte, Compacted, error) {
	done.Kept, done.Rewritten = 0, true
	return append(dst, EmptyBatch(optionsLike(b), b.LastOffset(), b.MaxTimestamp())...), done, nil
}

// optionsLike returns the options with which a batch like b is built.
func optionsLike(b Batch) Options {
	o := Options{
		Magic: b.Magic(), Codec: b.Codec(), Level: DefaultLevel, TimestampType: b.TimestampType(), LogAppendTime: NoTimestamp,
		BaseOffset: b.BaseOffset(), LeaderEpoch: b.PartitionLeaderEpoch(), ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(),
		BaseSequence: b.BaseSequence(), Transactional: b.IsTransactional(), Control: b.IsControl(),
	}
	if o.TimestampType == LogAppendTime {
		o.LogAppendTime = b.MaxTimestamp()
	}
	o.DeleteHorizonMs, o.HasDeleteHorizon = b.DeleteHorizonMs()
	return o
}
