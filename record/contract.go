// Package record knows record batches as bytes: the header in place, CRC,
// codecs, iteration, the leader's validation, and conversion between formats.
package record

import "github.com/monedula/monedula/protocol"

// Sizes and positions common to the formats (reference: Kafka message format).
const (
	LogOverhead     = 12 // offset and size
	HeaderSize      = 61 // v2 batch header, LogOverhead included
	MagicPosition   = 16
	MinHeaderPeek   = 17 // bytes needed to know the magic
	NoTimestamp     = int64(-1)
	NoProducerID    = int64(-1)
	NoProducerEpoch = int16(-1)
	NoSequence      = int32(-1)
	NoLeaderEpoch   = int32(-1)
	CurrentMagic    = int8(2)
)

// Codec is a compression type as attributes number it.
type Codec int8

const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// TimestampType as attribute bit 3 has it.
type TimestampType int8

const (
	CreateTime TimestampType = iota
	LogAppendTime
)

// Batch is one entry of a log: a v2 batch, or a v0/v1 message (possibly a
// compressed wrapper). Methods that need only the header work on a prefix of
// HeaderSize bytes (all methods but Validate and the records).
type Batch []byte

// Every method below is implemented in batch.go for all three magics.
//   Magic() int8; Size() int (LogOverhead + length field)
//   BaseOffset() int64 (v0/v1: the entry's offset field), LastOffset() int64, NextOffset() int64
//   PartitionLeaderEpoch() int32, CRC() uint32, Attributes() int16, Codec() Codec, TimestampType()
//   BaseTimestamp(), MaxTimestamp() int64, ProducerID() int64, ProducerEpoch() int16
//   BaseSequence(), LastSequence() int32, Count() int32 (-1 for a v0/v1 wrapper: unknown)
//   IsTransactional(), IsControl(), HasDeleteHorizon() bool, DeleteHorizonMs() (int64, bool)
//   Validate() error: size and CRC; an error that wraps protocol.CorruptMessage
//   SetLastOffset(int64), SetPartitionLeaderEpoch(int32), SetMaxTimestamp(TimestampType, int64): in place, CRC kept right

// Next splits the first whole entry off a set of entries. An incomplete entry
// at the end gives (nil, nil, nil); a size below the minimum or a magic above 2
// an error that wraps protocol.CorruptMessage.
func Next(set []byte) (b Batch, rest []byte, err error) { panic("unwritten") }

// Header is one record header (name, nullable value).
type Header struct {
	Key   string
	Value []byte
}

// Record is one record of a batch; its slices alias the (decompressed) bytes
// and hold until the iteration's next step.
type Record struct {
	Offset    int64
	Timestamp int64
	Sequence  int32
	Key       []byte // nil: null
	Value     []byte // nil: null
	Headers   []Header
}

// Each calls visit for every record of the batch, decompressing as a stream
// through a pooled, bounded decompressor. It stops at visit's first error. A
// batch that does not parse gives an error that wraps protocol.InvalidRecord
// (or protocol.CorruptMessage for a bad inner CRC).
func (b Batch) Each(visit func(*Record) error) error { panic("unwritten") }

// Origin says who appends.
type Origin int8

const (
	FromClient Origin = iota
	FromCoordinator
	FromReplication
)

// Target says what the leader's log wants of an append, and what time it is.
type Target struct {
	Magic              int8          // always 2 from IBP 3.0 on
	Codec              Codec         // used unless KeepCodec
	KeepCodec          bool          // compression.type=producer
	Level              map[Codec]int // compression.*.level; absent: the default
	TimestampType      TimestampType
	TimestampBeforeMax int64 // ms
	TimestampAfterMax  int64 // ms
	Compacted          bool  // a null key is refused
	Origin             Origin
	LeaderEpoch        int32
	FirstOffset        int64 // the log end offset
	NowMs              int64
	ZstdAllowed        bool // false: a zstd batch is UNSUPPORTED_COMPRESSION_TYPE
}

// Validated is the result of ValidateAndAssign.
type Validated struct {
	// Bytes is what to append: the input slice stamped in place, or a rebuilt set.
	Bytes                []byte
	Rebuilt              bool
	LastOffset           int64
	MaxTimestamp         int64
	OffsetOfMaxTimestamp int64
	LogAppendTime        int64 // NoTimestamp for CreateTime
	Records              int   // records in the set
	Converted            int   // records whose format was converted
}

// RecordError names one refused record by its index in the batch.
type RecordError struct {
	Index   int32
	Message string
}

// InvalidRecords is the error of a set that was refused for its records; it
// wraps Code.
type InvalidRecords struct {
	Code    protocol.ErrorCode
	Message string
	Errors  []RecordError
}

func (e *InvalidRecords) Error() string { return e.Message }
func (e *InvalidRecords) Unwrap() error { return e.Code }

// ValidateAndAssign checks a client's set record by record without allocating,
// gives it offsets, leader epoch and timestamps in place, and rebuilds it only
// where codec or format must change (storage reference 2.6, steps 2-7; the
// batch-level checks of step 1 are CheckAppend's).
func ValidateAndAssign(set []byte, t Target) (Validated, error) { panic("unwritten") }

// DownConvert rewrites the batches of set (whole, v0-v2) to magic 0 or 1 for an
// old consumer that asked from firstOffset (storage reference 2.7).
func DownConvert(set []byte, magic int8, firstOffset int64) ([]byte, error) { panic("unwritten") }

// Builder writes one v2 batch, or v0/v1 messages, from records: for tools,
// tests and internal topics.
type Builder struct{ _ int }
