package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/monedula/monedula/protocol"
)

// Positions in a v0 or v1 entry. A wrapper is an entry with a codec and a null key, whose value
// consists of compressed entries of the same format. Its offset is that of its last inner entry. The
// offsets of inner entries are absolute in v0 and count from 0 in v1.
const (
	legacyCRCAt        = 12
	legacyAttributesAt = 17
	legacyTimestampAt  = 18 // v1
	legacyKeySizeAtV0  = 18
	legacyKeySizeAtV1  = 26
	legacyOverheadV0   = 14 // crc, magic, attributes, key size, value size
	legacyOverheadV1   = 22 // those of v0 and the timestamp
)

// legacyState is the position of an iterator inside a v0 or v1 entry.
type legacyState struct {
	wrapper    bool
	done       bool // the only record of an entry that is not a wrapper was read
	codec      Codec
	payload    []byte
	baseOffset Offset // added to the inner offsets of v1

	// Fields of the current message:
	magic      int8
	attributes byte
	crc        uint32
	timestamp  int64 // as stored
}

func (it *iterator) openLegacy() error {
	b := it.batch
	it.legacy = legacyState{codec: b.Codec(), wrapper: b.Codec() != None}
	it.rec.Sequence, it.rec.Headers = NoSequence, it.rec.Headers[:0]
	it.overBytes(nil)
	if !it.legacy.wrapper {
		return nil
	}
	if it.legacy.codec == Zstd {
		return invalidRecord("Invalid wrapper compressionType found in legacy deep record iterator %d", it.magic)
	}
	_, value, ok := legacyKeyValue(b[LogOverhead:], it.magic)
	if !ok {
		return badStructure()
	}
	if value == nil {
		return invalidRecord("Found invalid compressed record set with null value (magic = %d)", it.magic)
	}
	it.legacy.payload = value
	if err := it.findBaseOffset(); err != nil {
		return err
	}
	return it.overCompressed(it.legacy.codec, it.legacy.payload, it.magic)
}

// findBaseOffset decompresses the wrapper once to find its last inner offset, because the offset of
// a v1 wrapper is that of its last message.
func (it *iterator) findBaseOffset() error {
	if err := it.overCompressed(it.legacy.codec, it.legacy.payload, it.magic); err != nil {
		return err
	}
	last, count := Offset(0), 0
	for {
		offset, size, more, err := it.nextInner()
		if err == nil && more {
			more, err = it.discard(size, nil)
		}
		if err != nil {
			return err
		}
		if !more {
			break
		}
		last = offset
		count++
	}
	it.stream.close()
	if count == 0 {
		return invalidRecord("Found invalid compressed record set with no inner records")
	}
	if it.magic == 0 {
		return nil
	}
	// Some versions of librdkafka write an offset of 0. In that case the records' offsets count
	// from 0.
	if wrapper := it.batch.LastOffset(); wrapper != 0 {
		if wrapper < last {
			return invalidRecord("Found invalid wrapper offset in compressed v1 message set, wrapper offset '%d' is less than "+
				"the last inner message offset '%d' and it is not zero.", wrapper, last)
		}
		it.legacy.baseOffset = wrapper - last
	}
	return nil
}

// nextInner reads the offset and the size of the next inner entry. An incomplete entry ends the
// wrapper.
func (it *iterator) nextInner() (offset Offset, size int, more bool, err error) {
	got, err := it.fill(LogOverhead)
	if err != nil || got < LogOverhead {
		return 0, 0, false, err
	}
	head := it.data[it.pos:]
	offset = Offset(binary.BigEndian.Uint64(head))
	size = int(int32(binary.BigEndian.Uint32(head[sizeAt:])))
	if size < legacyOverheadV0 {
		return 0, 0, false, protocol.Errorf(protocol.CorruptMessage,
			"Record size is less than the minimum record overhead (%d)", legacyOverheadV0)
	}
	it.pos += LogOverhead
	return offset, size, true, nil
}

func (it *iterator) nextLegacy() (bool, error) {
	if !it.legacy.wrapper {
		if it.legacy.done {
			return false, nil
		}
		it.legacy.done = true
		return true, it.parseLegacy(it.batch.BaseOffset(), it.batch[LogOverhead:])
	}
	offset, size, more, err := it.nextInner()
	if err != nil || !more {
		return false, err
	}
	if size > len(it.data) && !it.wanted {
		return it.skipLegacy(offset, size)
	}
	got, err := it.grow(size)
	if err != nil || got < size {
		return false, err
	}
	body := it.data[it.pos : it.pos+size]
	it.pos += size
	if crc := crc32.ChecksumIEEE(body[4:]); crc != binary.BigEndian.Uint32(body) {
		return false, innerCorrupt(binary.BigEndian.Uint32(body), crc)
	}
	return true, it.parseLegacy(offset, body)
}

// parseLegacy parses a message without its LogOverhead.
func (it *iterator) parseLegacy(offset Offset, body []byte) error {
	if err := it.legacyHeader(offset, body); err != nil {
		return err
	}
	key, value, ok := legacyKeyValue(body, it.legacy.magic)
	if !ok {
		return badStructure()
	}
	it.keySize, it.valueSize = nullableSize(key), nullableSize(value)
	if it.wanted {
		it.rec.Key, it.rec.Value = key, value
	}
	return nil
}

// legacyHeader parses the fields before the key. body must have at least the overhead of v0.
func (it *iterator) legacyHeader(offset Offset, body []byte) error {
	l := &it.legacy
	l.crc = binary.BigEndian.Uint32(body)
	l.magic = int8(body[MagicPosition-LogOverhead])
	l.attributes = body[legacyAttributesAt-LogOverhead]
	l.timestamp = NoTimestamp
	if l.magic != 0 {
		if len(body) < legacyOverheadV1 {
			return badStructure()
		}
		l.timestamp = int64(binary.BigEndian.Uint64(body[legacyTimestampAt-LogOverhead:]))
	}
	it.rec.Offset, it.rec.Timestamp, it.rec.CRC = offset, l.timestamp, l.crc
	if !l.wrapper {
		return nil
	}
	if it.magic == 1 {
		it.rec.Offset += l.baseOffset
	}
	if l.magic == 1 && it.batch.TimestampType() == LogAppendTime {
		it.rec.Timestamp = it.batch.MaxTimestamp()
	}
	if l.attributes&codecMask != 0 {
		return invalidRecord("Inner messages must not be compressed")
	}
	return nil
}

// skipLegacy is like parseLegacy, for an inner message that is larger than the window and whose
// content is not needed. It reads through the message without keeping it and checks its checksum.
func (it *iterator) skipLegacy(offset Offset, size int) (bool, error) {
	if got, err := it.fill(legacyOverheadV1); err != nil || got < legacyOverheadV1 {
		return false, err
	}
	head := it.data[it.pos : it.pos+legacyOverheadV1]
	if err := it.legacyHeader(offset, head); err != nil {
		return false, err
	}
	stored, crc := it.legacy.crc, uint32(0)
	sum := func(b []byte) { crc = crc32.Update(crc, crc32.IEEETable, b) }
	keySizeAt := legacyKeySizeAt(it.legacy.magic) - LogOverhead
	it.pos += 4
	skip := func(n int) (bool, error) { return it.discard(n, sum) }
	if ok, err := skip(keySizeAt - 4); err != nil || !ok {
		return false, err
	}
	left := size - keySizeAt
	var sizes [2]int
	for i := range sizes {
		got, err := it.fill(4)
		if err != nil || got < 4 {
			return false, err
		}
		n := int(int32(binary.BigEndian.Uint32(it.data[it.pos:])))
		if left -= 4 + max(n, 0); left < (1-i)*4 {
			return false, badStructure()
		}
		if ok, err := skip(4 + max(n, 0)); err != nil || !ok {
			return false, err
		}
		sizes[i] = max(n, -1)
	}
	if ok, err := skip(left); err != nil || !ok {
		return false, err
	}
	if crc != stored {
		return false, innerCorrupt(stored, crc)
	}
	it.keySize, it.valueSize = sizes[0], sizes[1]
	return true, nil
}

func innerCorrupt(stored, computed uint32) error {
	return because(WrongChecksum, protocol.Errorf(protocol.CorruptMessage, "Record is corrupt (stored crc = %d, computed crc = %d)", stored, computed))
}

func legacyKeySizeAt(magic int8) int {
	if magic == 0 {
		return legacyKeySizeAtV0
	}
	return legacyKeySizeAtV1
}

// legacyKeyValue returns the key and the value of a message without its LogOverhead.
func legacyKeyValue(body []byte, magic int8) (key, value []byte, ok bool) {
	key, rest, ok := sizedBytes(body[legacyKeySizeAt(magic)-LogOverhead:])
	if !ok {
		return nil, nil, false
	}
	value, _, ok = sizedBytes(rest)
	return key, value, ok
}

// sizedBytes reads an int32 size, negative for null, and that many bytes.
func sizedBytes(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	b = b[4:]
	if n < 0 {
		return nil, b, true
	}
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

func nullableSize(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

func (it *iterator) describeLegacy() string {
	l := &it.legacy
	timestamp := ""
	if l.magic > 0 {
		typ := CreateTime
		if l.attributes&timestampTypeBit != 0 {
			typ = LogAppendTime
		}
		if l.wrapper && l.magic == 1 {
			typ = it.batch.TimestampType()
		}
		timestamp = fmt.Sprintf(", %s=%d", typ, it.rec.Timestamp)
	}
	return fmt.Sprintf("LegacyRecordBatch(offset=%d, Record(magic=%d, attributes=%d, compression=%s, crc=%d%s, key=%d bytes, value=%d bytes))",
		it.rec.Offset, l.magic, l.attributes, Codec(l.attributes&codecMask),
		l.crc, timestamp, max(it.keySize, 0), max(it.valueSize, 0))
}
