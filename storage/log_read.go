package storage

import (
	"math"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// Read returns a part of the log that starts with the batch holding r.Offset. An offset outside
// [LogStart, LogEnd] is OFFSET_OUT_OF_RANGE (Data.Offsets is filled in that case too). The data is
// empty if the offset is at or above the bound.
func (l *Log) Read(r Read) (Data, error) {
	for {
		v := l.positions.load()
		data, err := l.read(&v, r)
		if err == nil {
			return data, nil
		}
		data.Release()
		// A segment that was removed, cut or closed during this read is not a disk error. Read
		// again from the log's current state.
		if !l.changedSince(&v) {
			return Data{Offsets: v.Offsets}, l.ioError("Exception while reading from %s in dir %s", err)
		}
	}
}

// changedSince reports whether, after v was taken, segments left the log, were cut, were replaced, or
// moved to another directory.
func (l *Log) changedSince(v *view) bool {
	l.mu.Lock() // waits for a change in progress
	l.mu.Unlock()
	now := l.positions.load()
	return now.truncations != v.truncations || now.moves != v.moves || now.replacements != v.replacements || now.segments[0] != v.segments[0]
}

func (l *Log) read(v *view, r Read) (Data, error) {
	data := Data{Offsets: v.Offsets}
	if err := l.check(); err != nil {
		return data, err
	}
	if r.Offset < v.LogStart {
		return data, protocol.Errorf(protocol.OffsetOutOfRange,
			"Received request for offset %d for partition %s, but we only have log segments starting from offset: %d.", r.Offset, l.name, v.LogStart)
	}
	i := v.floor(r.Offset)
	if r.Offset > v.LogEnd || i < 0 {
		return data, protocol.Errorf(protocol.OffsetOutOfRange,
			"Received request for offset %d for partition %s, but we only have log segments upto %d.", r.Offset, l.name, v.LogEnd)
	}
	bound := v.Bound(r.Bound)
	if r.Offset >= bound {
		return data, nil
	}
	boundSegment := v.floor(bound)
	for ; i < len(v.segments) && i <= boundSegment; i++ {
		found, err := v.readSegment(i, boundSegment, r, &data)
		if found || err != nil {
			return data, err
		}
	}
	return data, nil
}

// readSegment reads from segment i, which is at or before the one that holds the bound. found is
// false if the segment has no batch at or above r.Offset.
func (v *view) readSegment(i, boundSegment int, r Read, data *Data) (found bool, err error) {
	s := v.segments[i]
	p, err := v.pin(s)
	if err != nil {
		return false, err
	}
	data.pin = p
	end := v.end(i)
	at, size, err := s.translate(p.handle, r.Offset, end)
	if err != nil || size == 0 {
		data.Release()
		return false, err
	}
	if i == boundSegment && v.Bound(r.Bound) < v.LogEnd {
		// A batch that reaches the bound is not readable: the data ends at its position.
		boundAt, boundSize, err := s.translate(p.handle, v.Bound(r.Bound), end)
		if err != nil {
			data.Release()
			return false, err
		}
		if boundSize != 0 {
			end = boundAt
		}
	}
	data.BoundInNewerSegment = i < boundSegment
	length := int64(max(r.MaxBytes, 0))
	data.FirstBatchIncomplete = length < size
	if r.MinOneMessage && length < size {
		length, data.FirstBatchIncomplete = size, false
	}
	length = min(length, end-at, math.MaxInt32)
	if length <= 0 {
		data.Release()
		return true, nil
	}
	data.File, data.Position, data.Length = p.handle.File, at, int32(length)
	if r.AbortedWanted {
		data.Aborted, err = v.abortedTxns(i, r.Offset, at, length)
	}
	return true, err
}

// abortedTxns returns the aborted transactions that a reader of length bytes from position at of
// segment i must know of. The list may hold more than needed.
func (v *view) abortedTxns(i int, offset record.Offset, at, length int64) ([]AbortedTxn, error) {
	upper := v.LogEnd
	if i+1 < len(v.segments) {
		upper = v.segments[i+1].base
	}
	if e, ok, err := v.segments[i].index.upperBound(at + length); err != nil {
		return nil, err
	} else if ok {
		upper = e.offset
	}
	aborted := []AbortedTxn{}
	for _, s := range v.segments[i:] {
		var complete bool
		var err error
		aborted, complete, err = s.txns.collect(aborted, offset, upper)
		if complete || err != nil {
			return aborted, err
		}
	}
	return aborted, nil
}

// Available returns the number of bytes between offset and the bound, 0 if offset is at or above
// it. newerSegment reports whether the bound is in a later segment than offset; bytes then counts
// only up to the end of offset's segment.
func (l *Log) Available(offset record.Offset, bound Bound) (bytes int64, newerSegment bool, err error) {
	data, err := l.Read(Read{Offset: offset, MaxBytes: math.MaxInt32, Bound: bound})
	defer data.Release()
	return int64(data.Length), data.BoundInNewerSegment, err
}
