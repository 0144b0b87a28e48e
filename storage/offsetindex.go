package storage

import (
	"encoding/binary"
	"fmt"
	"github.com/monedula/monedula/record"
)

const offsetEntrySize = 8

// offsetPosition is an entry of an offset index: the last offset of a batch
// and the file position of the batch's first byte.
type offsetPosition struct {
	offset   record.Offset
	position int32
}

// offsetIndex finds the position of an offset in a segment's .log file. An entry (8 bytes, big
// endian) holds the last offset of a batch, relative to the base offset, and the file position of
// the batch's first byte; offsets strictly increase. See indexFile for the rules of concurrent use.
type offsetIndex struct{ indexFile }

// newOffsetIndex returns the index of the segment with the given base offset, without opening its
// file.
func newOffsetIndex(file *cachedFile, base record.Offset, maxSize int32) *offsetIndex {
	return &offsetIndex{newIndexFile(file, base, offsetEntrySize, maxSize)}
}

func (x *offsetIndex) decode(e []byte) offsetPosition {
	be := binary.BigEndian
	return offsetPosition{x.base + record.Offset(int32(be.Uint32(e))), int32(be.Uint32(e[4:]))}
}

// append adds an entry. On errIndexFull, errInvalidOffset (the offset is not above the last one)
// and errIndexOverflow the index is unchanged.
func (x *offsetIndex) append(offset record.Offset, position int32) error {
	s, err := x.load()
	if err != nil {
		return err
	}
	if s.count > 0 {
		if last := x.decode(s.lastEntry).offset; offset <= last {
			return fmt.Errorf("%w: offset %d after %d in %s", errInvalidOffset, offset, last, x.file.name())
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

// lookup returns the entry with the greatest offset at or below the target, {base, 0} if there is
// none. A scan from its position finds the target.
func (x *offsetIndex) lookup(target record.Offset) (offsetPosition, error) {
	e, n, err := x.find(func(e []byte) bool { return x.decode(e).offset <= target })
	if err != nil || n < 0 {
		return offsetPosition{offset: x.base}, err
	}
	return x.decode(e), nil
}

// upperBound returns the entry with the smallest position at or above the given one; ok is false if
// there is none.
func (x *offsetIndex) upperBound(position int64) (e offsetPosition, ok bool, err error) {
	for {
		s, err := x.load()
		if err != nil {
			return offsetPosition{}, false, err
		}
		_, n, err := x.search(s, func(e []byte) bool { return int64(x.decode(e).position) < position })
		var next [offsetEntrySize]byte
		if err == nil && n+1 < s.count {
			err = x.entryAt(n+1, next[:])
		}
		if x.state.Load().truncations != s.truncations {
			continue
		}
		if err != nil || n+1 == s.count {
			return offsetPosition{}, false, err
		}
		return x.decode(next[:]), true, nil
	}
}

// last returns the last entry, {base, 0} if there is none.
func (x *offsetIndex) last() (offsetPosition, error) {
	s, err := x.load()
	if err != nil || s.count == 0 {
		return offsetPosition{offset: x.base}, err
	}
	return x.decode(s.lastEntry), nil
}

// truncateTo drops the entries at or above offset.
func (x *offsetIndex) truncateTo(offset record.Offset) error {
	_, n, err := x.find(func(e []byte) bool { return x.decode(e).offset < offset })
	if err != nil {
		return err
	}
	return x.truncateEntries(n + 1)
}
