package record

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Positions inside an entry that are the same for every magic.
const (
	offsetAt = 0
	sizeAt   = 8
)

// Positions in the v2 header.
const (
	leaderEpochAt     = 12
	crcAt             = 17
	attributesAt      = 21 // the checksum covers everything from here
	lastOffsetDeltaAt = 23
	baseTimestampAt   = 27
	maxTimestampAt    = 35
	producerIDAt      = 43
	producerEpochAt   = 51
	baseSequenceAt    = 53
	countAt           = 57
)

// Bits of the attributes. v0 and v1 have only the codec and the timestamp type.
const (
	codecMask         = 0x07
	timestampTypeBit  = 0x08
	transactionalBit  = 0x10
	controlBit        = 0x20
	deleteHorizonBit  = 0x40
	attributesInUse   = 0x7f
	legacyAttributes  = codecMask | timestampTypeBit
	legacyMagicOffset = MagicPosition // the legacy checksum covers everything from here
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is one entry of a log: a v2 batch, or a v0/v1 message (possibly a compressed wrapper).
// Validate, SetMaxTimestamp and the methods that visit records need the whole entry. All others
// need only the header: the first HeaderSize bytes, or the whole entry if it is shorter. A Batch
// that did not come from Next must have at least MinSize bytes.
type Batch []byte

// EntrySize returns the total size of an entry in bytes (LogOverhead included) and its magic, which
// it reads from the first MinHeaderPeek bytes. A size below the minimum or a magic above 2 is an
// error that wraps protocol.CorruptMessage.
func EntrySize(head []byte) (size int, magic int8, err error) {
	body := int32(binary.BigEndian.Uint32(head[sizeAt:]))
	if body < legacyOverheadV0 {
		return 0, 0, sizeBelowMinimum(body)
	}
	magic = int8(head[MagicPosition])
	if magic < 0 || magic > CurrentMagic {
		return 0, 0, protocol.Errorf(protocol.CorruptMessage, "Invalid magic found in record: %d", magic)
	}
	size = LogOverhead + int(body)
	if size < MinSize(magic) {
		return 0, 0, belowOverhead(size, magic)
	}
	return size, magic, nil
}

// MinSize returns the smallest size in bytes of an entry with the magic, LogOverhead included.
func MinSize(magic int8) int {
	switch magic {
	case 0:
		return LogOverhead + legacyOverheadV0
	case 1:
		return LogOverhead + legacyOverheadV1
	default:
		return HeaderSize
	}
}

// Next splits the first complete entry off a set of entries. It returns (nil, nil, nil) if only an
// incomplete entry is left. A size below the minimum or a magic above 2 is an error that wraps
// protocol.CorruptMessage.
func Next(set []byte) (b Batch, rest []byte, err error) {
	if len(set) < LogOverhead {
		return nil, nil, nil
	}
	if body := int32(binary.BigEndian.Uint32(set[sizeAt:])); body < legacyOverheadV0 {
		return nil, nil, sizeBelowMinimum(body)
	}
	if len(set) < MinHeaderPeek {
		return nil, nil, nil
	}
	size, _, err := EntrySize(set)
	if err != nil || len(set) < size {
		return nil, nil, err
	}
	return Batch(set[:size:size]), set[size:], nil
}

func sizeBelowMinimum(body int32) error {
	return protocol.Errorf(protocol.CorruptMessage,
		"Record size %d is less than the minimum record overhead (%d)", body, legacyOverheadV0)
}

func belowOverhead(size int, magic int8) error {
	if magic < 2 {
		return protocol.Errorf(protocol.CorruptMessage,
			"Record size %d is less than the minimum record overhead (%d)", size-LogOverhead, MinSize(magic)-LogOverhead)
	}
	return protocol.Errorf(protocol.CorruptMessage,
		"Record batch is corrupt (the size %d is smaller than the minimum allowed overhead %d)", size, HeaderSize)
}

func (b Batch) int32At(at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
func (b Batch) int64At(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }

func (b Batch) putInt32(at int, v int32) { binary.BigEndian.PutUint32(b[at:], uint32(v)) }
func (b Batch) putInt64(at int, v int64) { binary.BigEndian.PutUint64(b[at:], uint64(v)) }

// Magic returns the version of the format: 0, 1 or 2.
func (b Batch) Magic() int8 { return int8(b[MagicPosition]) }

// Size returns the size in bytes that the header claims, LogOverhead included.
func (b Batch) Size() int { return LogOverhead + int(b.int32At(sizeAt)) }

// BaseOffset returns the offset of the first record ever written to the batch, even if compaction
// has removed the record. For v0 and v1 it is the offset field of the entry: the message's own
// offset or, for a wrapper, the offset of its last message.
func (b Batch) BaseOffset() Offset { return Offset(b.int64At(offsetAt)) }

// LastOffset returns the offset of the last record ever written to the batch.
func (b Batch) LastOffset() Offset {
	if b.Magic() < 2 {
		return b.BaseOffset()
	}
	return b.BaseOffset() + Offset(b.lastOffsetDelta())
}

// NextOffset returns the offset that follows the batch.
func (b Batch) NextOffset() Offset { return b.LastOffset() + 1 }

func (b Batch) lastOffsetDelta() int32 { return b.int32At(lastOffsetDeltaAt) }

// PartitionLeaderEpoch returns the epoch of the leader that appended the batch, NoLeaderEpoch for
// v0 and v1.
func (b Batch) PartitionLeaderEpoch() metadata.LeaderEpoch {
	if b.Magic() < 2 {
		return metadata.NoLeaderEpoch
	}
	return metadata.LeaderEpoch(b.int32At(leaderEpochAt))
}

// CRC returns the stored checksum: CRC-32C for v2, CRC-32 (IEEE) for v0 and v1.
func (b Batch) CRC() uint32 {
	if b.Magic() < 2 {
		return binary.BigEndian.Uint32(b[legacyCRCAt:])
	}
	return binary.BigEndian.Uint32(b[crcAt:])
}

// Attributes returns the attribute bits as stored.
func (b Batch) Attributes() int16 {
	if b.Magic() < 2 {
		return int16(b[legacyAttributesAt])
	}
	return int16(binary.BigEndian.Uint16(b[attributesAt:]))
}

// Codec returns the compression of the records, as a number that may belong to no codec.
func (b Batch) Codec() Codec { return Codec(b.Attributes() & codecMask) }

// TimestampType returns the type of the timestamps, NoTimestampType for v0.
func (b Batch) TimestampType() TimestampType {
	switch {
	case b.Magic() == 0:
		return NoTimestampType
	case b.Attributes()&timestampTypeBit != 0:
		return LogAppendTime
	default:
		return CreateTime
	}
}

// BaseTimestamp returns the time in ms that the records' timestamps are relative to or, if
// HasDeleteHorizon, the delete horizon. For v1 it is the timestamp of the message or wrapper, for
// v0 NoTimestamp.
func (b Batch) BaseTimestamp() int64 {
	if b.Magic() < 2 {
		return b.MaxTimestamp()
	}
	return b.int64At(baseTimestampAt)
}

// MaxTimestamp returns the largest timestamp of the records in ms, or the time of the append if
// TimestampType is LogAppendTime. It is NoTimestamp for v0.
func (b Batch) MaxTimestamp() int64 {
	switch b.Magic() {
	case 0:
		return NoTimestamp
	case 1:
		return b.int64At(legacyTimestampAt)
	default:
		return b.int64At(maxTimestampAt)
	}
}

// ProducerID returns the id of the producer, NoProducerID for v0 and v1 and if the producer was not
// idempotent.
func (b Batch) ProducerID() int64 {
	if b.Magic() < 2 {
		return NoProducerID
	}
	return b.int64At(producerIDAt)
}

// HasProducerID reports whether the batch came from an idempotent producer.
func (b Batch) HasProducerID() bool { return b.ProducerID() > NoProducerID }

// ProducerEpoch returns the epoch of the producer, NoProducerEpoch without a producer id.
func (b Batch) ProducerEpoch() int16 {
	if b.Magic() < 2 {
		return NoProducerEpoch
	}
	return int16(binary.BigEndian.Uint16(b[producerEpochAt:]))
}

// BaseSequence returns the sequence number of the first record, NoSequence without a producer id
// and for control batches.
func (b Batch) BaseSequence() int32 {
	if b.Magic() < 2 {
		return NoSequence
	}
	return b.int32At(baseSequenceAt)
}

// LastSequence returns the sequence number of the last record.
func (b Batch) LastSequence() int32 {
	base := b.BaseSequence()
	if base == NoSequence {
		return NoSequence
	}
	return IncrementSequence(base, b.lastOffsetDelta())
}

// IncrementSequence adds n to a sequence number. The sequence number 0 follows the largest int32.
func IncrementSequence(sequence, n int32) int32 {
	if sequence > math.MaxInt32-n {
		return n - (math.MaxInt32 - sequence) - 1
	}
	return sequence + n
}

// Count returns the number of records that the batch holds now, 0 for a batch that compaction
// emptied. It is -1 for a v0 or v1 wrapper, whose header has no count.
func (b Batch) Count() int32 {
	if b.Magic() < 2 {
		if b.Codec() != None {
			return -1
		}
		return 1
	}
	return b.int32At(countAt)
}

// IsTransactional reports whether the batch belongs to a transaction.
func (b Batch) IsTransactional() bool { return b.Magic() >= 2 && b.Attributes()&transactionalBit != 0 }

// IsControl reports whether the batch holds a control record, which consumers do not see.
func (b Batch) IsControl() bool { return b.Magic() >= 2 && b.Attributes()&controlBit != 0 }

// HasDeleteHorizon reports whether compaction has set the time after which it may remove the
// batch's tombstones or marker (KIP-534).
func (b Batch) HasDeleteHorizon() bool {
	return b.Magic() >= 2 && b.Attributes()&deleteHorizonBit != 0
}

// DeleteHorizonMs returns the delete horizon, and false if the batch has none.
func (b Batch) DeleteHorizonMs() (int64, bool) {
	if !b.HasDeleteHorizon() {
		return 0, false
	}
	return b.BaseTimestamp(), true
}

// Validate checks the size in the header against the number of bytes, and the checksum. It serves
// readers: the recovery of a log, consumers and dumps. Appends use CheckAppend instead. The error
// wraps protocol.CorruptMessage.
func (b Batch) Validate() error {
	if len(b) < MinHeaderPeek {
		return protocol.Errorf(protocol.CorruptMessage, "Record batch is corrupt (only %d bytes are present)", len(b))
	}
	size, _, err := EntrySize(b)
	if err != nil {
		return err
	}
	if size != len(b) {
		return protocol.Errorf(protocol.CorruptMessage,
			"Record batch is corrupt (its size is %d but %d bytes are present)", size, len(b))
	}
	if stored, computed := b.CRC(), b.computeCRC(); stored != computed {
		return protocol.Errorf(protocol.CorruptMessage,
			"Record is corrupt (stored crc = %d, computed crc = %d)", stored, computed)
	}
	return nil
}

// computeCRC computes the checksum of the whole entry.
func (b Batch) computeCRC() uint32 {
	if b.Magic() < 2 {
		return crc32.ChecksumIEEE(b[legacyMagicOffset:])
	}
	return crc32.Checksum(b[attributesAt:], castagnoli)
}

// SetLastOffset moves the batch so that its last offset is the given one. The checksum does not
// cover offsets.
func (b Batch) SetLastOffset(offset Offset) {
	if b.Magic() >= 2 {
		offset -= Offset(b.lastOffsetDelta())
	}
	b.putInt64(offsetAt, int64(offset))
}

// SetPartitionLeaderEpoch sets the leader epoch, which the checksum does not cover. It does nothing
// for v0 and v1, which have no leader epoch.
func (b Batch) SetPartitionLeaderEpoch(epoch metadata.LeaderEpoch) {
	if b.Magic() >= 2 {
		b.putInt32(leaderEpochAt, int32(epoch))
	}
}

// SetMaxTimestamp sets the timestamp type and the maximum timestamp (ms) in the header, and updates
// the checksum if they changed. It does nothing for v0, which has neither. It needs the whole
// entry.
func (b Batch) SetMaxTimestamp(typ TimestampType, timestamp int64) {
	if b.Magic() == 0 || b.TimestampType() == typ && b.MaxTimestamp() == timestamp {
		return
	}
	if b.Magic() == 1 {
		b[legacyAttributesAt] = byte(withTimestampType(int16(b[legacyAttributesAt])&legacyAttributes, typ))
		b.putInt64(legacyTimestampAt, timestamp)
		binary.BigEndian.PutUint32(b[legacyCRCAt:], b.computeCRC())
		return
	}
	attributes := withTimestampType(b.Attributes()&attributesInUse, typ)
	binary.BigEndian.PutUint16(b[attributesAt:], uint16(attributes))
	b.putInt64(maxTimestampAt, timestamp)
	binary.BigEndian.PutUint32(b[crcAt:], b.computeCRC())
}

func withTimestampType(attributes int16, typ TimestampType) int16 {
	if typ == LogAppendTime {
		return attributes | timestampTypeBit
	}
	return attributes &^ timestampTypeBit
}
