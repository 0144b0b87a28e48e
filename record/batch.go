package record

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/monedula/monedula/protocol"
)

// Positions inside an entry that hold for every magic.
const (
	offsetAt = 0
	sizeAt   = 8
)

// Positions of the v2 header.
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

// Bits of the attributes. v0 and v1 have the first two groups only.
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

// Batch is one entry of a log: a v2 batch, or a v0/v1 message (possibly a
// compressed wrapper). Methods that need only the header work on a prefix of
// HeaderSize bytes, or on the whole entry where it is shorter: all but
// Validate, SetMaxTimestamp and those that visit records. A Batch that did not
// come from Next must be at least as long as MinSize says for its magic.
type Batch []byte

// EntrySize reads the first MinHeaderPeek bytes of an entry: its whole size in
// bytes (LogOverhead included) and its magic. A size below the minimum or a
// magic above 2 is an error that wraps protocol.CorruptMessage.
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

// MinSize is the least size in bytes of an entry of the magic, LogOverhead
// included.
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

// Next splits the first whole entry off a set of entries. An incomplete entry
// at the end gives (nil, nil, nil); a size below the minimum or a magic above 2
// an error that wraps protocol.CorruptMessage.
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

// Magic is the version of the format: 0, 1 or 2.
func (b Batch) Magic() int8 { return int8(b[MagicPosition]) }

// Size is the size in bytes that the header claims, LogOverhead included.
func (b Batch) Size() int { return LogOverhead + int(b.int32At(sizeAt)) }

// BaseOffset is the offset of the first record ever written into the batch
// (compaction may have removed it). For v0 and v1 it is the entry's offset
// field: the message's own, or that of a wrapper's last message.
func (b Batch) BaseOffset() int64 { return b.int64At(offsetAt) }

// LastOffset is the offset of the last record ever written into the batch.
func (b Batch) LastOffset() int64 {
	if b.Magic() < 2 {
		return b.int64At(offsetAt)
	}
	return b.int64At(offsetAt) + int64(b.lastOffsetDelta())
}

// NextOffset is the offset that follows the batch.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

func (b Batch) lastOffsetDelta() int32 { return b.int32At(lastOffsetDeltaAt) }

// PartitionLeaderEpoch is the epoch of the leader that appended the batch;
// NoLeaderEpoch for v0 and v1.
func (b Batch) PartitionLeaderEpoch() int32 {
	if b.Magic() < 2 {
		return NoLeaderEpoch
	}
	return b.int32At(leaderEpochAt)
}

// CRC is the stored checksum: CRC-32C for v2, CRC-32 (IEEE) before.
func (b Batch) CRC() uint32 {
	if b.Magic() < 2 {
		return binary.BigEndian.Uint32(b[legacyCRCAt:])
	}
	return binary.BigEndian.Uint32(b[crcAt:])
}

// Attributes are the attribute bits as they are stored.
func (b Batch) Attributes() int16 {
	if b.Magic() < 2 {
		return int16(b[legacyAttributesAt])
	}
	return int16(binary.BigEndian.Uint16(b[attributesAt:]))
}

// Codec is the compression of the records; above Zstd it is unknown to Kafka.
func (b Batch) Codec() Codec { return Codec(b.Attributes() & codecMask) }

// TimestampType is NoTimestampType for v0.
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

// BaseTimestamp is what the records' timestamps are relative to, ms; where
// HasDeleteHorizon it is the horizon. For v1 it is the message's (a wrapper's)
// timestamp, for v0 NoTimestamp.
func (b Batch) BaseTimestamp() int64 {
	if b.Magic() < 2 {
		return b.MaxTimestamp()
	}
	return b.int64At(baseTimestampAt)
}

// MaxTimestamp is the largest timestamp of the records, or the time of the
// append where TimestampType is LogAppendTime, ms; NoTimestamp for v0.
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

// ProducerID is NoProducerID for v0 and v1 and where the producer is not
// idempotent.
func (b Batch) ProducerID() int64 {
	if b.Magic() < 2 {
		return NoProducerID
	}
	return b.int64At(producerIDAt)
}

// HasProducerID says whether the batch came from an idempotent producer.
func (b Batch) HasProducerID() bool { return b.ProducerID() > NoProducerID }

// ProducerEpoch is NoProducerEpoch where there is no producer id.
func (b Batch) ProducerEpoch() int16 {
	if b.Magic() < 2 {
		return NoProducerEpoch
	}
	return int16(binary.BigEndian.Uint16(b[producerEpochAt:]))
}

// BaseSequence is the sequence number of the first record; NoSequence without
// a producer id and for control batches.
func (b Batch) BaseSequence() int32 {
	if b.Magic() < 2 {
		return NoSequence
	}
	return b.int32At(baseSequenceAt)
}

// LastSequence is the sequence number of the last record.
func (b Batch) LastSequence() int32 {
	base := b.BaseSequence()
	if base == NoSequence {
		return NoSequence
	}
	return IncrementSequence(base, b.lastOffsetDelta())
}

// IncrementSequence adds n to a sequence number: after the largest int32 comes 0.
func IncrementSequence(sequence, n int32) int32 {
	if sequence > math.MaxInt32-n {
		return n - (math.MaxInt32 - sequence) - 1
	}
	return sequence + n
}

// Count is how many records the batch holds now; -1 for a v0 or v1 wrapper,
// which does not say. It is 0 for a batch that compaction emptied.
func (b Batch) Count() int32 {
	if b.Magic() < 2 {
		if b.Codec() != None {
			return -1
		}
		return 1
	}
	return b.int32At(countAt)
}

// IsTransactional says whether the batch belongs to a transaction.
func (b Batch) IsTransactional() bool { return b.Magic() >= 2 && b.Attributes()&transactionalBit != 0 }

// IsControl says whether the batch holds a control record, which consumers
// never see.
func (b Batch) IsControl() bool { return b.Magic() >= 2 && b.Attributes()&controlBit != 0 }

// HasDeleteHorizon says whether compaction has set the time from which the
// batch's tombstones or marker may go (KIP-534).
func (b Batch) HasDeleteHorizon() bool {
	return b.Magic() >= 2 && b.Attributes()&deleteHorizonBit != 0
}

// DeleteHorizonMs is that time, where there is one.
func (b Batch) DeleteHorizonMs() (int64, bool) {
	if !b.HasDeleteHorizon() {
		return 0, false
	}
	return b.BaseTimestamp(), true
}

// Validate checks the size against the bytes and the checksum over them. The
// error wraps protocol.CorruptMessage.
func (b Batch) Validate() error {
	if len(b) < MinHeaderPeek {
		return protocol.Errorf(protocol.CorruptMessage, "Record batch is corrupt (only %d bytes of it are there)", len(b))
	}
	size, _, err := EntrySize(b)
	if err != nil {
		return err
	}
	if size != len(b) {
		return protocol.Errorf(protocol.CorruptMessage,
			"Record batch is corrupt (its size is %d but %d bytes of it are there)", size, len(b))
	}
	if stored, computed := b.CRC(), b.computeCRC(); stored != computed {
		return protocol.Errorf(protocol.CorruptMessage,
			"Record is corrupt (stored crc = %d, computed crc = %d)", stored, computed)
	}
	return nil
}

// computeCRC needs the whole entry.
func (b Batch) computeCRC() uint32 {
	if b.Magic() < 2 {
		return crc32.ChecksumIEEE(b[legacyMagicOffset:])
	}
	return crc32.Checksum(b[attributesAt:], castagnoli)
}

// SetLastOffset moves the batch so that offset is its last. The checksum does
// not cover offsets.
func (b Batch) SetLastOffset(offset int64) {
	if b.Magic() >= 2 {
		offset -= int64(b.lastOffsetDelta())
	}
	b.putInt64(offsetAt, offset)
}

// SetPartitionLeaderEpoch stamps the epoch, which the checksum does not cover.
// v0 and v1 have none: nothing happens.
func (b Batch) SetPartitionLeaderEpoch(epoch int32) {
	if b.Magic() >= 2 {
		b.putInt32(leaderEpochAt, epoch)
	}
}

// SetMaxTimestamp sets type and timestamp (ms) of the header, and computes the
// checksum anew where they changed. v0 has neither: nothing happens. It needs
// the whole entry.
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
