package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/monedula/monedula/record"
)

const timeEntrySize = 12

// timestampOffset is an entry of a time index: the largest timestamp (ms) so far in the segment,
// and an offset up to which no timestamp is larger.
type timestampOffset struct {
	timestamp int64
	offset    record.Offset
}

// timeIndex finds the position of a timestamp in a segment. An entry (12 bytes, big endian) holds
// the largest timestamp (ms) so far in the segment and, relative to the base offset, an offset up
// to which no timestamp is larger. Timestamps strictly increase, offsets never decrease. The last
// slot is reserved for the entry that a roll or close forces. See indexFile for the rules of
// concurrent use.
type timeIndex struct{ indexFile }

// newTimeIndex returns the index of the segment with the given base offset, without opening its
// file.
func newTimeIndex(file *cachedFile, base record.Offset, maxSize int32) *timeIndex {
	x := &timeIndex{newIndexFile(file, base, timeEntrySize, maxSize)}
	x.reserve = 1
	return x
}

func (x *timeIndex) decode(e []byte) timestampOffset {
	be := binary.BigEndian
	return timestampOffset{int64(be.Uint64(e)), x.base + record.Offset(int32(be.Uint32(e[8:])))}
}

// isFull reports whether at most the reserved slot is left.
func (x *timeIndex) isFull() (bool, error) {
	s, err := x.load()
	return err == nil && s.count >= x.maxEntries-1, err
}

// maybeAppend adds an entry if the timestamp is newer than the last one, and otherwise does
// nothing. With force (on roll and close) it also uses the reserved slot, and leaves the entry out
// if that is taken too. The error is errInvalidOffset if the timestamp or the offset goes
// backwards, errIndexFull if no slot is left.
func (x *timeIndex) maybeAppend(timestamp int64, offset record.Offset, force bool) error {
	s, err := x.load()
	if err != nil {
		return err
	}
	if !force && s.count >= x.maxEntries-1 {
		return fmt.Errorf("%w: %s has %d entries", errIndexFull, x.file.name(), s.count)
	}
	last := timestampOffset{record.NoTimestamp, x.base}
	if s.count > 0 {
		last = x.decode(s.lastEntry)
		if offset < last.offset || timestamp < last.timestamp {
			return fmt.Errorf("%w: timestamp %d at offset %d after %d at %d in %s",
				errInvalidOffset, timestamp, offset, last.timestamp, last.offset, x.file.name())
		}
	}
	if timestamp <= last.timestamp || s.count >= x.maxEntries {
		return nil
	}
	relative, err := x.relative(offset)
	if err != nil {
		return err
	}
	var e [timeEntrySize]byte
	binary.BigEndian.PutUint64(e[:], uint64(timestamp))
	binary.BigEndian.PutUint32(e[8:], relative)
	return x.add(e[:])
}

// lookup returns the entry with the greatest timestamp at or below the target, {-1, base} if there
// is none.
func (x *timeIndex) lookup(target int64) (timestampOffset, error) {
	e, n, err := x.find(func(e []byte) bool { return x.decode(e).timestamp <= target })
	if err != nil || n < 0 {
		return timestampOffset{record.NoTimestamp, x.base}, err
	}
	return x.decode(e), nil
}

// last returns the last entry, {-1, base} if there is none.
func (x *timeIndex) last() (timestampOffset, error) {
	s, err := x.load()
	if err != nil || s.count == 0 {
		return timestampOffset{record.NoTimestamp, x.base}, err
	}
	return x.decode(s.lastEntry), nil
}

// truncateTo drops the entries at or above offset.
func (x *timeIndex) truncateTo(offset record.Offset) error {
	_, n, err := x.find(func(e []byte) bool { return x.decode(e).offset < offset })
	if err != nil {
		return err
	}
	return x.truncateEntries(n + 1)
}
