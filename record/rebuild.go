package record

// rebuild writes the records of a checked set to one new batch with the target's codec and format
// or, for v0 and v1 without compression, to new messages. It takes the producer's fields from the
// first batch.
func (v *validator) rebuild() (Validated, error) {
	o := Options{
		Magic: v.Magic, Codec: v.target, Level: v.level(), TimestampType: v.TimestampType, LogAppendTime: v.NowMs,
		BaseOffset: v.FirstOffset, LeaderEpoch: v.LeaderEpoch, ProducerID: v.first.ProducerID(),
		ProducerEpoch: v.first.ProducerEpoch(), BaseSequence: v.first.BaseSequence(), Transactional: v.first.IsTransactional(),
	}
	dst := make([]byte, 0, len(v.set)+HeaderSize)
	builder := newBuilder(dst, o)
	builder.entrySizeMax, builder.setSizeMax, builder.out.limit = v.MaxBatchSize, v.MaxSetSize, v.MaxBatchSize
	if err := v.copyRecords(builder); err != nil {
		builder.discard()
		return Validated{}, err
	}
	set, err := builder.Build()
	if err != nil {
		return Validated{}, err
	}
	return v.rebuilt(set, builder), nil
}

func (v *validator) level() int {
	if level, ok := v.Level[v.target]; ok {
		return level
	}
	return DefaultLevel
}

func (v *validator) copyRecords(to *Builder) error {
	for b, err := range Batches(v.set) {
		if err != nil {
			return err
		}
		if err := copyBatch(to, b); err != nil {
			return err
		}
	}
	return nil
}

// noHeaders is the v2 encoding of a record's headers if it has none.
var noHeaders = []byte{0}

func copyBatch(to *Builder, b Batch) error {
	it := openIterator(b, true)
	defer it.close()
	for {
		more, err := it.next()
		if err != nil || !more {
			return err
		}
		if err := to.copyRecord(it, to.lastOffset+1); err != nil {
			return err
		}
	}
}

// copyRecord appends the iterator's record at an offset.
func (b *Builder) copyRecord(it *iterator, offset Offset) error {
	headers := noHeaders
	if it.magic >= 2 {
		headers = it.headers
	}
	return b.appendEncoded(offset, it.rec.Timestamp, it.rec.Key, it.rec.Value, headers)
}

func (v *validator) rebuilt(set []byte, b *Builder) Validated {
	r := Validated{Bytes: set, Rebuilt: true, LastOffset: b.lastOffset, Records: b.count, Converted: b.count,
		MaxTimestamp: b.maxTimestamp, OffsetOfMaxTimestamp: b.offsetOfMax, LogAppendTime: NoTimestamp}
	if v.TimestampType == LogAppendTime {
		r.LogAppendTime, r.MaxTimestamp, r.OffsetOfMaxTimestamp = v.NowMs, v.NowMs, b.lastOffset
	}
	return r
}
