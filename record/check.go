package record

import (
	"fmt"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Origin is the source of an append.
type Origin int8

// The sources of an append.
const (
	FromClient Origin = iota
	FromCoordinator
	FromReplication
)

// Check configures CheckAppend.
type Check struct {
	Origin           Origin
	TopicPartition   string               // as in messages: topic-partition
	MaxBatchSize     int                  // max.message.bytes; does not apply to FromReplication
	LeaderEpoch      metadata.LeaderEpoch // epoch of this leader, or of the follower's fetch
	RequireMonotonic bool                 // offsets are kept as given, so they must increase
}

// Checked is the result of CheckAppend. Without any batch ValidBytes is 0.
type Checked struct {
	// FirstOffset is the base offset of the first batch. It is NoOffset if that batch is v0 or v1:
	// the first offset inside a wrapper is unknown without decompressing it.
	FirstOffset Offset
	// LastOffsetOfFirstBatch is used in place of FirstOffset if that is unknown.
	LastOffsetOfFirstBatch Offset
	LastOffset             Offset
	MaxTimestamp           int64
	// OffsetOfMaxTimestamp is the last offset of the first batch that has MaxTimestamp, or NoOffset
	// without timestamps.
	OffsetOfMaxTimestamp Offset
	LastLeaderEpoch      metadata.LeaderEpoch // metadata.NoLeaderEpoch if the last batch has none
	Magic                int8                 // of all batches, or MixedMagic
	Codec                Codec                // codec of the last compressed batch, or None
	Batches              int
	ValidBytes           int // total size of the complete batches to append
	// SkippedBatches is the number of batches that a follower must not append: the first batch
	// whose leader epoch is above Check.LeaderEpoch and all batches after it (KAFKA-18723). They
	// follow ValidBytes.
	SkippedBatches int
	Monotonic      bool
}

// MixedMagic is the Checked.Magic of batches that differ, or of none.
const MixedMagic int8 = -1

func newChecked() Checked {
	return Checked{FirstOffset: NoOffset, LastOffsetOfFirstBatch: NoOffset, LastOffset: NoOffset,
		MaxTimestamp: NoTimestamp, OffsetOfMaxTimestamp: NoOffset, LastLeaderEpoch: metadata.NoLeaderEpoch, Magic: MixedMagic, Monotonic: true}
}

// FirstOrLastOffsetOfFirstBatch returns the best estimate of the start of the set that is possible
// without decompressing a wrapper.
func (c Checked) FirstOrLastOffsetOfFirstBatch() Offset {
	if c.FirstOffset != NoOffset {
		return c.FirstOffset
	}
	return c.LastOffsetOfFirstBatch
}

// OffsetsOutOfOrder is the error for a set whose offsets do not increase although they are kept as
// given.
type OffsetsOutOfOrder struct{ TopicPartition string }

func (e *OffsetsOutOfOrder) Error() string {
	return fmt.Sprintf("Out of order offsets found in append to %s", e.TopicPartition)
}

// CheckAppend checks the headers of the batches of a set: sizes, base offset, checksums and, with
// RequireMonotonic, offsets. storage starts each append with it, as leader and as follower. It does
// not read the records; for a leader, ValidateAndAssign does that afterwards. The protocol code of
// the error is InvalidRecord (the base offset of a client's batch is not 0), MessageTooLarge,
// CorruptMessage or UnknownServerError (a codec that Kafka does not have, or OffsetsOutOfOrder).
func CheckAppend(set []byte, c Check) (Checked, error) {
	found := newChecked()
	for b, err := range Batches(set) {
		if err != nil {
			return found, err
		}
		if b.Magic() >= 2 && c.Origin == FromClient && b.BaseOffset() != 0 {
			return found, protocol.Errorf(protocol.InvalidRecord,
				"The baseOffset of the record batch in the append to %s should be 0, but it is %d", c.TopicPartition, b.BaseOffset())
		}
		if found.SkippedBatches > 0 || c.Origin == FromReplication && b.PartitionLeaderEpoch() > c.LeaderEpoch {
			found.SkippedBatches++
			continue
		}
		found.note(b)
		if err := c.checkBatch(b); err != nil {
			return found, err
		}
		found.ValidBytes += len(b)
	}
	if c.RequireMonotonic && !found.Monotonic {
		return found, &OffsetsOutOfOrder{TopicPartition: c.TopicPartition}
	}
	return found, nil
}

func (c Check) checkBatch(b Batch) error {
	if c.Origin != FromReplication && len(b) > c.MaxBatchSize {
		return protocol.Errorf(protocol.MessageTooLarge,
			"The record batch size in the append to %s is %d bytes which exceeds the maximum configured value of %d.",
			c.TopicPartition, len(b), c.MaxBatchSize)
	}
	if b.CRC() != b.computeCRC() {
		return because(WrongChecksum, protocol.Errorf(protocol.CorruptMessage,
			"Record is corrupt (stored crc = %d) in topic partition %s.", b.CRC(), c.TopicPartition))
	}
	if b.Codec() > lastCodec {
		return unknownCodec(b.Codec())
	}
	return nil
}

// note adds the header of the next batch to the summary. It leaves ValidBytes to its caller.
func (c *Checked) note(b Batch) {
	last := b.LastOffset()
	if c.Batches == 0 {
		if b.Magic() >= 2 {
			c.FirstOffset = b.BaseOffset()
		}
		c.LastOffsetOfFirstBatch = last
		c.Magic = b.Magic()
	}
	if b.Magic() != c.Magic {
		c.Magic = MixedMagic
	}
	if c.LastOffset >= last {
		c.Monotonic = false
	}
	c.LastOffset = last
	c.LastLeaderEpoch = b.PartitionLeaderEpoch()
	if ts := b.MaxTimestamp(); ts > c.MaxTimestamp {
		c.MaxTimestamp, c.OffsetOfMaxTimestamp = ts, last
	}
	if codec := b.Codec(); codec != None {
		c.Codec = codec
	}
	c.Batches++
}

// CheckProduce checks what a Produce request of the given version holds for one partition: version
// 3 and later must have exactly one v2 batch, and zstd is allowed only from version 7. Older
// versions are not checked. replication calls it before any log is touched; the append then checks
// the batch itself (CheckAppend). The code of the error is InvalidRecord,
// UnsupportedCompressionType, CorruptMessage or UnknownServerError.
func CheckProduce(set []byte, version int16) error {
	if version < 3 {
		return nil
	}
	b, rest, err := Next(set)
	if err != nil {
		return err
	}
	if b == nil {
		return protocol.Errorf(protocol.InvalidRecord,
			"Produce requests with version %d must have at least one record batch per partition", version)
	}
	if b.Magic() != 2 {
		return protocol.Errorf(protocol.InvalidRecord,
			"Produce requests with version %d are only allowed to contain record batches with magic version 2", version)
	}
	if version < 7 && b.Codec() > lastCodec {
		return unknownCodec(b.Codec())
	}
	if version < 7 && b.Codec() == Zstd {
		return protocol.Errorf(protocol.UnsupportedCompressionType,
			"Produce requests with version %d are not allowed to use ZStandard compression", version)
	}
	if more, _, err := Next(rest); err != nil {
		return err
	} else if more != nil {
		return protocol.Errorf(protocol.InvalidRecord,
			"Produce requests with version %d are only allowed to contain exactly one record batch per partition", version)
	}
	return nil
}

func unknownCodec(c Codec) error {
	return protocol.Errorf(protocol.UnknownServerError, "Unknown compression type id: %d", int8(c))
}
