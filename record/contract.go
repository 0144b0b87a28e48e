package record

import "github.com/monedula/monedula/protocol"

// Each calls visit for every record of the batch (the whole batch), decompressing
// as a stream through a pooled, bounded decompressor. It stops at visit's first
// error and returns it. A batch that does not parse gives an error that wraps
// protocol.InvalidRecord (protocol.CorruptMessage for a bad inner checksum), one
// that does not decompress protocol.UnknownServerError, as Kafka answers.
func (b Batch) Each(visit func(*Record) error) error { panic("unwritten") }

// EachTimestamp is Each for those who want to know only where records are and
// when they were made: keys, values and headers are skipped over.
func (b Batch) EachTimestamp(visit func(offset, timestampMs int64) error) error { panic("unwritten") }

// Target says what the leader's log wants of an append, and what time it is.
type Target struct {
	TopicPartition     string        // as messages name it: topic-partition
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
	MaxBatchSize       int  // max.message.bytes for rebuilt batches; 0: no limit
	ZstdAllowed        bool // false (IBP below 2.1): zstd is UNSUPPORTED_COMPRESSION_TYPE
}

// Validated is the result of ValidateAndAssign.
type Validated struct {
	// Bytes is what to append: the input slice stamped in place (without an
	// incomplete entry at its end), or a rebuilt set.
	Bytes                []byte
	Rebuilt              bool
	LastOffset           int64
	MaxTimestamp         int64
	OffsetOfMaxTimestamp int64 // of the first record that has it; LastOffset for LogAppendTime
	LogAppendTime        int64 // NoTimestamp for CreateTime
	Records              int   // records in the set
	Converted            int   // records that were rebuilt, as Kafka's metrics count conversions
}

// RecordError names one refused record by its index in the batch.
type RecordError struct {
	Index   int32
	Message string
}

// InvalidRecords is the error of a set that was refused for its records; it
// wraps Code. It is the only error of ValidateAndAssign whose message and list
// Kafka sends to the client (Produce v8 and later).
type InvalidRecords struct {
	Code    protocol.ErrorCode
	Message string
	Errors  []RecordError
}

func (e *InvalidRecords) Error() string { return e.Message }
func (e *InvalidRecords) Unwrap() error { return e.Code }

// ValidateAndAssign checks a client's set record by record without allocating,
// gives it offsets, leader epoch and timestamps in place, and rebuilds it only
// where codec or format must change (the batch-level checks that come before
// are CheckAppend's).
func ValidateAndAssign(set []byte, t Target) (Validated, error) { panic("unwritten") }

// DownConvert rewrites the batches of set (whole, v0-v2) to magic 0 or 1 for an
// old consumer that asked from firstOffset.
func DownConvert(set []byte, magic int8, firstOffset int64) ([]byte, error) { panic("unwritten") }

// AppendOverflow appends size bytes (at least LogOverhead) that an old consumer
// takes for an incomplete message, to fill what an answer promised.
func AppendOverflow(dst []byte, size int) []byte { panic("unwritten") }

// Options are the fields of a batch that are not its records.
type Options struct {
	Magic         int8
	Codec         Codec
	Level         int // DefaultLevel, or as compression.<codec>.level
	TimestampType TimestampType
	LogAppendTime int64 // ms, where TimestampType is LogAppendTime
	BaseOffset    int64
	LeaderEpoch   int32
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	Transactional bool
	Control       bool
	// HasDeleteHorizon and DeleteHorizonMs are for compaction (KIP-534).
	HasDeleteHorizon bool
	DeleteHorizonMs  int64
}

// DefaultLevel asks for a codec's own default level.
const DefaultLevel = -1 << 31

// Defaults are the options of a plain, uncompressed v2 batch as a producer
// without idempotence sends it.
func Defaults() Options {
	return Options{Magic: CurrentMagic, Level: DefaultLevel, TimestampType: CreateTime, LogAppendTime: NoTimestamp,
		LeaderEpoch: NoLeaderEpoch, ProducerID: NoProducerID, ProducerEpoch: NoProducerEpoch, BaseSequence: NoSequence}
}

// Builder writes one v2 batch, or v0/v1 messages, from records: for tools,
// tests, internal topics and conversion. It is not safe for concurrent use.
type Builder struct{ _ int }

// NewBuilder returns a builder for one batch.
func NewBuilder(o Options) *Builder { panic("unwritten") }

// Append adds a record at the offset after the last one.
func (b *Builder) Append(timestampMs int64, key, value []byte, headers ...Header) error {
	panic("unwritten")
}

// AppendAt adds a record at an offset, which must be above the last one.
func (b *Builder) AppendAt(offset, timestampMs int64, key, value []byte, headers ...Header) error {
	panic("unwritten")
}

// Count is how many records were added.
func (b *Builder) Count() int { panic("unwritten") }

// Size is how many bytes the records take before compression, header included.
func (b *Builder) Size() int { panic("unwritten") }

// Build ends the batch and returns it (for magic 0 and 1 without a codec: one
// entry per record); nil without records. The bytes are the caller's.
func (b *Builder) Build() ([]byte, error) { panic("unwritten") }
