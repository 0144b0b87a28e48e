// Package record knows record batches as bytes: the header in place, CRC,
// codecs, iteration, the leader's validation, and conversion between formats.
//
// A log, and the records field of a Produce or Fetch, is a set: entries one
// after the other. An entry is a v2 batch, or a message of the older formats
// v0 and v1, whose compressed form is a message that wraps others. All of them
// are a Batch here.
package record

import "fmt"

// Sizes and positions common to the formats (Kafka's message format).
const (
	LogOverhead     = 12 // offset and size, bytes
	HeaderSize      = 61 // v2 batch header, LogOverhead included, bytes
	MagicPosition   = 16
	MinHeaderPeek   = 17 // bytes needed to know the magic
	NoTimestamp     = int64(-1)
	NoProducerID    = int64(-1)
	NoProducerEpoch = int16(-1)
	NoSequence      = int32(-1)
	NoLeaderEpoch   = int32(-1)
	NoOffset        = int64(-1)
	CurrentMagic    = int8(2)
)

// Codec is a compression type as attributes number it.
type Codec int8

// The codecs of Kafka. Zstd exists in v2 only.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// String is Kafka's name of the codec, such as "gzip".
func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	default:
		return fmt.Sprintf("unknown(%d)", int8(c))
	}
}

// CodecOf is the codec of a name as a producer's compression.type has it.
func CodecOf(name string) (Codec, bool) {
	for c := None; c <= Zstd; c++ {
		if c.String() == name {
			return c, true
		}
	}
	return None, false
}

// TimestampType as attribute bit 3 has it.
type TimestampType int8

// The timestamp types. NoTimestampType is that of v0, which has no timestamps.
const (
	NoTimestampType TimestampType = iota - 1
	CreateTime
	LogAppendTime
)

// String is Kafka's name of the type, such as "CreateTime".
func (t TimestampType) String() string {
	switch t {
	case CreateTime:
		return "CreateTime"
	case LogAppendTime:
		return "LogAppendTime"
	default:
		return "NoTimestampType"
	}
}

// Header is one record header. Keys are UTF-8; a nil value is null.
type Header struct {
	Key   []byte
	Value []byte
}

// Record is one record of a batch. Where Each hands it out, its slices alias
// the (decompressed) bytes and hold until the visit returns.
type Record struct {
	Offset    int64
	Timestamp int64 // ms; NoTimestamp for v0
	Sequence  int32
	Key       []byte   // nil: null
	Value     []byte   // nil: null
	Headers   []Header // none before v2
	CRC       uint32   // the message's own checksum; v0 and v1 only
}
