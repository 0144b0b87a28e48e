package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/monedula/monedula/record"
)

const timeEntrySize = 12

// timestampOffset is an entry of a time index: the largest timestamp (ms) seen
// so far in the segment, and an offset up to which there is no newer one.
type timestampOffset struct {
	timestamp int64
	offset    int64
}

// timeIndex finds the place of a timestamp in a segment. An entry (12 bytes,
// big endian) is the largest timestamp (ms) seen so far in the segment and,
// relative to the base offset, an offset up to which there is no newer one.
// Timestamps strictly increase, offsets never decrease. The last slot is kept
// for the entry that a roll or close forces. See indexFile for who may call
// what when.
type timeIndex struct{ indexFile }

// newTimeIndex makes the index of the segment with the base offset known; it
// touches no file yet.
func newTimeIndex(file *cachedFile, base int64, maxSize int32) *timeIndex {
	x := &timeIndex{newIndexFile(file, base, timeEntrySize, maxSize)}
	x.reserve = 1
	return x
}

func (x *timeIndex) decode(e []byte) timestampOffset {
	be := binary.BigEndian
	return timestampOffset{int64(be.Uint64(e)), x.base + int64(int32(be.Uint32(e[8:])))}
}

// isFull says that only the reserved slot, or none, is left.
func (x *timeIndex) isFull() (bool, error) {
	s, err := x.load()
	return err == nil && s.count >= x.maxEntries-1, err
}

// maybeAppend adds an entry where the timestamp is newer than the last one, and
// otherwise does nothing. With force (on roll and close) the reserved slot is
// used too, and where even that is taken the entry is left out. errInvalidOffset
// when timestamp or offset go backwards, errIndexFull when there is no slot.
func (x *timeIndex) maybeAppend(timestamp, offset int64, force bool) error {
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

// lookup returns the entry with the greatest timestamp at or below the target,
// {-1, base} when there is none.
func (x *timeIndex) lookup(target int64) (timestampOffset, error) {
	e, n, err := x.find(func(e []byte) bool { return x.decode(e).timestamp <= target })
	if err != nil || n < 0 {
		return timestampOffset{record.NoTimestamp, x.base}, err
	}
	return x.decode(e), nil
}

// last returns the last entry, {-1, base} when there is none.
func (x *timeIndex) last() (timestampOffset, error) {
	s, err := x.load()
	if err != nil || s.count == 0 {
		return timestampOffset{record.NoTimestamp, x.base}, err
	}
	return x.decode(s.lastEntry), nil
}

// truncateTo drops the entries with offset and above.
func (x *timeIndex) truncateTo(offset int64) error {
	_, n, err := x.find(func(e []byte) bool { return x.decode(e).offset < offset })
	if err != nil {
		return err
	}
	return x.truncateEntries(n + 1)
}

// sanityCheck looks for damage that can be seen without the log: errCorruptIndex.
func (x *timeIndex) sanityCheck() error {
	s, err := x.load()
	if err != nil {
		return err
	}
	if s.count > 0 {
		var e [timeEntrySize]byte
		if err := x.entryAt(0, e[:]); err != nil {
			return err
		}
		first, last := x.decode(e[:]), x.decode(s.lastEntry)
		if last.timestamp < first.timestamp || last.offset < x.base {
			return fmt.Errorf("%w: %s ends with timestamp %d at offset %d, before its first timestamp %d or base offset %d",
				errCorruptIndex, x.file.name(), last.timestamp, last.offset, first.timestamp, x.base)
		}
	}
	return x.checkLength()
}
