package storage

import (
	"encoding/binary"
	"fmt"
)

const offsetEntrySize = 8

// offsetIndex finds the place of an offset in a segment's .log file. An entry
// (8 bytes, big endian) is the last offset of a batch, relative to the base
// offset, and the file position of the batch's first byte; offsets strictly
// increase. See indexFile for who may call what when.
type offsetIndex struct{ indexFile }

// newOffsetIndex makes the index of the segment with the base offset known; it
// touches no file yet.
func newOffsetIndex(files *fileCache, path string, base int64, maxSize int32) *offsetIndex {
	return &offsetIndex{newIndexFile(files, path, base, offsetEntrySize, maxSize)}
}

func (x *offsetIndex) decode(e []byte) (offset, position int64) {
	return x.base + int64(int32(binary.BigEndian.Uint32(e))), int64(int32(binary.BigEndian.Uint32(e[4:])))
}

// append adds an entry; errIndexFull, errInvalidOffset (not above the last
// one) and errIndexOverflow leave the index as it is.
func (x *offsetIndex) append(offset, position int64) error {
	s, err := x.load()
	if err != nil {
		return err
	}
	if s.count > 0 {
		if last, _ := x.decode(s.lastEntry); offset <= last {
			return fmt.Errorf("%w: offset %d after %d in %s", errInvalidOffset, offset, last, x.path())
		}
	}
	relative, err := x.relative(offset)
	if err != nil {
		return err
	}
	var e [offsetEntrySize]byte
	binary.BigEndian.PutUint32(e[:], relative)
	binary.BigEndian.PutUint32(e[4:], uint32(position))
	return x.add(e[:])
}

// lookup returns the file position of the entry with the greatest offset at
// or below the target, 0 when there is none: a scan from there meets the
// target.
func (x *offsetIndex) lookup(target int64) (position int64, err error) {
	e, n, err := x.find(func(e []byte) bool { o, _ := x.decode(e); return o <= target })
	if err != nil || n < 0 {
		return 0, err
	}
	_, position = x.decode(e)
	return position, nil
}

// upperBound returns the offset of the entry with the smallest position at or
// above the given one; ok is false when there is none.
func (x *offsetIndex) upperBound(position int64) (offset int64, ok bool, err error) {
	for {
		s, err := x.load()
		if err != nil {
			return 0, false, err
		}
		_, n, err := x.search(s, func(e []byte) bool { _, p := x.decode(e); return p < position })
		if err != nil {
			return 0, false, err
		}
		var e [offsetEntrySize]byte
		if n+1 < s.count {
			if err := x.entryAt(n+1, e[:]); err != nil {
				return 0, false, err
			}
		}
		if x.state.Load().truncations != s.truncations {
			continue
		}
		offset, _ = x.decode(e[:])
		return offset, n+1 < s.count, nil
	}
}

// last returns the last entry, {base, 0} when there is none.
func (x *offsetIndex) last() (offset, position int64, err error) {
	s, err := x.load()
	if err != nil || s.count == 0 {
		return x.base, 0, err
	}
	offset, position = x.decode(s.lastEntry)
	return offset, position, nil
}

// lastOffset is the last entry's offset, base when there is none.
func (x *offsetIndex) lastOffset() (int64, error) {
	offset, _, err := x.last()
	return offset, err
}

// truncateTo drops the entries with offset and above.
func (x *offsetIndex) truncateTo(offset int64) error {
	_, n, err := x.find(func(e []byte) bool { o, _ := x.decode(e); return o < offset })
	if err != nil {
		return err
	}
	return x.indexFile.truncateTo(n + 1)
}

// sanityCheck looks for damage that can be seen without the log: errCorruptIndex.
func (x *offsetIndex) sanityCheck() error {
	offset, _, err := x.last()
	if err != nil {
		return err
	}
	if x.entries() > 0 && offset < x.base {
		return fmt.Errorf("%w: %s ends at offset %d, below its base offset %d", errCorruptIndex, x.path(), offset, x.base)
	}
	return x.checkLength()
}
