package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/monedula/monedula/record"
)

const timeEntrySize = 12

// timeIndex finds the place of a timestamp in a segment. An entry (12 bytes,
// big endian) is the largest timestamp (ms) seen so far in the segment and,
// relative to the base offset, an offset up to which there is no newer one.
// Timestamps strictly increase, offsets never decrease. The last slot is kept
// for the entry that a roll or close forces. See indexFile for who may call
// what when.
type timeIndex struct{ indexFile }

// newTimeIndex makes the index of the segment with the base offset known; it
// touches no file yet.
func newTimeIndex(files *fileCache, path string, base int64, maxSize int32) *timeIndex {
	return &timeIndex{newIndexFile(files, path, base, timeEntrySize, maxSize)}
}

func (x *timeIndex) decode(e []byte) (timestamp, offset int64) {
	return int64(binary.BigEndian.Uint64(e)), x.base + int64(int32(binary.BigEndian.Uint32(e[8:])))
}

// full says that only the reserved slot, or none, is left.
func (x *timeIndex) full() bool { return x.entries() >= x.maxEntries-1 }

// append adds an entry where the timestamp is newer than the last one, and
// otherwise does nothing. With force (on roll and close) the reserved slot is
// used too, and where even that is taken the entry is left out: Kafka grows no
// index for it either. errInvalidOffset when timestamp or offset go backwards.
func (x *timeIndex) append(timestamp, offset int64, force bool) error {
	s, err := x.load()
	if err != nil {
		return err
	}
	if !force && x.full() {
		return fmt.Errorf("%w: %s has %d entries", errIndexFull, x.path(), s.count)
	}
	lastTimestamp, lastOffset := record.NoTimestamp, x.base
	if s.count > 0 {
		lastTimestamp, lastOffset = x.decode(s.lastEntry)
		if offset < lastOffset || timestamp < lastTimestamp {
			return fmt.Errorf("%w: timestamp %d at offset %d after %d at %d in %s",
				errInvalidOffset, timestamp, offset, lastTimestamp, lastOffset, x.path())
		}
	}
	if timestamp <= lastTimestamp || s.count >= x.maxEntries {
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
func (x *timeIndex) lookup(target int64) (timestamp, offset int64, err error) {
	e, n, err := x.find(func(e []byte) bool { t, _ := x.decode(e); return t <= target })
	if err != nil || n < 0 {
		return record.NoTimestamp, x.base, err
	}
	timestamp, offset = x.decode(e)
	return timestamp, offset, nil
}

// last returns the last entry, {-1, base} when there is none.
func (x *timeIndex) last() (timestamp, offset int64, err error) {
	s, err := x.load()
	if err != nil || s.count == 0 {
		return record.NoTimestamp, x.base, err
	}
	timestamp, offset = x.decode(s.lastEntry)
	return timestamp, offset, nil
}

// truncateTo drops the entries with offset and above.
func (x *timeIndex) truncateTo(offset int64) error {
	_, n, err := x.find(func(e []byte) bool { _, o := x.decode(e); return o < offset })
	if err != nil {
		return err
	}
	return x.indexFile.truncateTo(n + 1)
}

// sanityCheck looks for damage that can be seen without the log: errCorruptIndex.
func (x *timeIndex) sanityCheck() error {
	timestamp, offset, err := x.last()
	if err != nil {
		return err
	}
	if x.entries() > 0 {
		var e [timeEntrySize]byte
		if err := x.entryAt(0, e[:]); err != nil {
			return err
		}
		if first, _ := x.decode(e[:]); timestamp < first || offset < x.base {
			return fmt.Errorf("%w: %s ends with timestamp %d at offset %d, before its first timestamp %d or base offset %d",
				errCorruptIndex, x.path(), timestamp, offset, first, x.base)
		}
	}
	return x.checkLength()
}
