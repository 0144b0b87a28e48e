// Package record handles record batches as bytes: it reads and changes headers in place, checks
// checksums, compresses and decompresses, iterates over records, validates appends for the leader,
// and converts between formats.
//
// A log, and the records field of a Produce or Fetch, is a set: a sequence of entries. An entry is
// a v2 batch, or a message of the older formats v0 and v1. A compressed message of the older
// formats wraps other messages. The type of an entry is always Batch.
package record

import (
	"fmt"
	"slices"
)

// Offset is the position of a record in the log of its partition. Offsets of records are not
// negative.
type Offset int64

// NoOffset means that there is no such record, or that its offset is unknown.
const NoOffset Offset = -1

// Sizes, positions and special values common to the formats (Kafka's message format).
const (
	LogOverhead     = 12 // size of the offset and size fields in bytes
	HeaderSize      = 61 // size of a v2 batch header in bytes, LogOverhead included
	MagicPosition   = 16
	MinHeaderPeek   = 17 // bytes needed to read the magic
	NoTimestamp     = int64(-1)
	NoProducerID    = int64(-1)
	NoProducerEpoch = int16(-1)
	NoSequence      = int32(-1)
	CurrentMagic    = int8(2)
)

// Codec is a compression type as numbered in the attributes.
type Codec int8

// The codecs of Kafka. Zstd exists only in v2.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// lastCodec is the codec with the highest number.
const lastCodec = Zstd

// codecNames holds Kafka's names of the codecs.
var codecNames = [lastCodec + 1]string{None: "none", Gzip: "gzip", Snappy: "snappy", LZ4: "lz4", Zstd: "zstd"}

// String returns Kafka's name of the codec, such as "gzip".
func (c Codec) String() string {
	if c < None || c > lastCodec {
		return fmt.Sprintf("unknown(%d)", int8(c))
	}
	return codecNames[c]
}

// CodecOf returns the codec with the given name, as in a producer's compression.type.
func CodecOf(name string) (Codec, bool) {
	if i := slices.Index(codecNames[:], name); i >= 0 {
		return Codec(i), true
	}
	return None, false
}

// TimestampType is the meaning of a timestamp, as in bit 3 of the attributes.
type TimestampType int8

// The timestamp types. NoTimestampType is the type of v0, which has no timestamps.
const (
	NoTimestampType TimestampType = iota - 1
	CreateTime
	LogAppendTime
)

// String returns Kafka's name of the type, such as "CreateTime".
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

// Header is a record header. Keys are UTF-8; a nil value is null.
type Header struct {
	Key   []byte
	Value []byte
}

// Record is one record of a batch. The slices of a record that Each passes to a visit function
// alias the (decompressed) bytes and are valid until that function returns.
type Record struct {
	Offset    Offset
	Timestamp int64 // ms; NoTimestamp for v0
	Sequence  int32
	Key       []byte   // nil: null
	Value     []byte   // nil: null
	Headers   []Header // none before v2
	CRC       uint32   // checksum of the message; v0 and v1 only
}
