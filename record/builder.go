package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Options are the header fields of a batch to build.
type Options struct {
	Magic         int8
	Codec         Codec
	Level         int // DefaultLevel, or a level of the codec as in compression.<codec>.level
	TimestampType TimestampType
	LogAppendTime int64 // ms, if TimestampType is LogAppendTime
	BaseOffset    Offset
	LeaderEpoch   metadata.LeaderEpoch
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	Transactional bool
	Control       bool
	// HasDeleteHorizon and DeleteHorizonMs are set by compaction (KIP-534).
	HasDeleteHorizon bool
	DeleteHorizonMs  int64
}

// DefaultLevel stands for the default level of the codec.
const DefaultLevel = math.MinInt32

// Defaults returns the options of an uncompressed v2 batch as a producer without idempotence sends
// it.
func Defaults() Options {
	return Options{Magic: CurrentMagic, Level: DefaultLevel, TimestampType: CreateTime, LogAppendTime: NoTimestamp,
		LeaderEpoch: metadata.NoLeaderEpoch, ProducerID: NoProducerID, ProducerEpoch: NoProducerEpoch, BaseSequence: NoSequence}
}

// validate returns an error for options that the format cannot express.
func (o Options) validate() error {
	if o.Magic < 0 || o.Magic > CurrentMagic {
		return fmt.Errorf("invalid magic %d", o.Magic)
	}
	if o.Magic < 2 {
		switch {
		case o.Transactional:
			return fmt.Errorf("transactional records are not supported for magic %d", o.Magic)
		case o.Control:
			return fmt.Errorf("control records are not supported for magic %d", o.Magic)
		case o.Codec == Zstd:
			return fmt.Errorf("zStandard compression is not supported for magic %d", o.Magic)
		case o.HasDeleteHorizon:
			return fmt.Errorf("delete horizon timestamp is not supported for magic %d", o.Magic)
		case o.ProducerID != NoProducerID:
			return fmt.Errorf("idempotent messages are not supported for magic %d", o.Magic)
		}
	}
	if o.Transactional && o.ProducerID == NoProducerID {
		return errors.New("cannot write transactional messages without a valid producer ID")
	}
	if o.ProducerID != NoProducerID {
		if o.ProducerEpoch == NoProducerEpoch {
			return errors.New("invalid negative producer epoch")
		}
		if o.BaseSequence < 0 && !o.Control {
			return errors.New("invalid negative sequence number used")
		}
	}
	return nil
}

// Builder builds one v2 batch, or v0/v1 messages, from records. Tools, tests, internal topics and
// conversion use it. It is not safe for concurrent use. After an error all later calls return that
// error.
type Builder struct {
	o          Options
	out        outBuffer
	start      int        // start of the batch in out.b
	compressor compressor // nil without compression
	scratch    []byte     // encoded form of the current record
	headers    []byte     // encoded headers of the current record
	err        error

	count         int
	bytes         int // size of the records before compression
	lastOffset    Offset
	baseTimestamp int64
	maxTimestamp  int64
	offsetOfMax   Offset // offset of the first record that has maxTimestamp

	entrySizeMax int // bytes; 0: no limit
	setSizeMax   int // bytes, for v0/v1 without compression; 0: no limit

	stored bool // the records come from a log, which may hold what the checks of an append refuse
}

// NewBuilder returns a builder for one batch.
func NewBuilder(o Options) *Builder { return newBuilder(nil, o) }

// newBuilder returns a builder that appends its batch to dst.
func newBuilder(dst []byte, o Options) *Builder {
	b := new(Builder)
	b.reset(dst, o)
	return b
}

// reset makes the builder append another batch to dst. It keeps the memory of the last one's
// records.
func (b *Builder) reset(dst []byte, o Options) {
	*b = Builder{o: o, start: len(dst), lastOffset: o.BaseOffset - 1, maxTimestamp: NoTimestamp, offsetOfMax: NoOffset,
		err: o.validate(), scratch: b.scratch, headers: b.headers}
	b.out.b = append(dst, make([]byte, b.headSize())...)
	if o.HasDeleteHorizon {
		b.baseTimestamp = o.DeleteHorizonMs
	}
	if b.err == nil && o.Codec != None {
		b.compressor, b.err = openCompressor(o.Codec, o.Level, &b.out, o.Magic)
	}
}

// headSize returns the size of the header of a batch, or of the part of a wrapper before its value.
func (b *Builder) headSize() int {
	switch {
	case b.o.Magic >= 2:
		return HeaderSize
	case b.o.Codec != None:
		return MinSize(b.o.Magic)
	default:
		return 0
	}
}

// Append adds a record at the offset after the last one.
func (b *Builder) Append(timestampMs int64, key, value []byte, headers ...Header) error {
	return b.AppendAt(b.lastOffset+1, timestampMs, key, value, headers...)
}

// AppendAt adds a record at an offset, which must be above the last one. The timestamp must not be
// negative, except for NoTimestamp.
func (b *Builder) AppendAt(offset Offset, timestampMs int64, key, value []byte, headers ...Header) error {
	if len(headers) == 0 {
		return b.appendEncoded(offset, timestampMs, key, value, noHeaders)
	}
	b.headers = appendVarint(b.headers[:0], int32(len(headers)))
	for _, h := range headers {
		b.headers = appendVarint(b.headers, int32(len(h.Key)))
		b.headers = append(b.headers, h.Key...)
		b.headers = appendNullable(b.headers, h.Value)
	}
	return b.appendEncoded(offset, timestampMs, key, value, b.headers)
}

// appendEncoded is like AppendAt. The headers are encoded as in v2, including their count.
func (b *Builder) appendEncoded(offset Offset, timestamp int64, key, value, headers []byte) error {
	if b.err == nil {
		b.err = b.check(offset, timestamp, headers)
	}
	if b.err != nil {
		return b.err
	}
	if b.count == 0 && !b.o.HasDeleteHorizon {
		b.baseTimestamp = timestamp
	}
	into := b.scratch[:0]
	if b.compressor == nil {
		into = b.out.b
	}
	before := len(into)
	if b.o.Magic >= 2 {
		into = b.appendV2(into, offset, timestamp, key, value, headers)
	} else {
		if b.o.TimestampType == LogAppendTime {
			timestamp = b.o.LogAppendTime
		}
		into = b.appendLegacy(into, offset, timestamp, key, value)
	}
	written := len(into) - before
	b.bytes += written
	b.count++
	b.lastOffset = offset
	if b.o.Magic > 0 && timestamp > b.maxTimestamp {
		b.maxTimestamp, b.offsetOfMax = timestamp, offset
	}
	if b.compressor == nil {
		b.out.b = into
		b.err = b.checkSizes(written)
		return b.err
	}
	b.scratch = into
	_, err := b.compressor.Write(into)
	b.err = b.sizeError(err)
	return b.err
}

func (b *Builder) check(offset Offset, timestamp int64, headers []byte) error {
	switch {
	case offset <= b.lastOffset:
		return fmt.Errorf("illegal offset %d following previous offset %d (offsets must increase)", offset, b.lastOffset)
	case timestamp < 0 && timestamp != NoTimestamp && !b.stored:
		return fmt.Errorf("invalid negative timestamp %d", timestamp)
	case b.o.Magic < 2 && len(headers) > 1:
		return fmt.Errorf("magic v%d does not support record headers", b.o.Magic)
	case offset-b.o.BaseOffset > math.MaxInt32:
		return fmt.Errorf("maximum offset delta exceeded, base offset: %d, last offset: %d", b.o.BaseOffset, offset)
	}
	return nil
}

func (b *Builder) checkSizes(written int) error {
	size := len(b.out.b) - b.start
	if b.o.Magic < 2 {
		if b.setSizeMax > 0 && size > b.setSizeMax {
			return protocol.Errorf(protocol.RecordListTooLarge,
				"Message batch size is over %d bytes after conversion, which is the maximum configured segment size.", b.setSizeMax)
		}
		size = written
	}
	if b.entrySizeMax > 0 && size > b.entrySizeMax {
		return b.sizeError(errOutputTooLarge)
	}
	return nil
}

func (b *Builder) sizeError(err error) error {
	if errors.Is(err, errOutputTooLarge) {
		return protocol.Errorf(protocol.MessageTooLarge,
			"Message batch size exceeds the maximum configured size of %d after conversion.", b.entrySizeMax)
	}
	return err
}

func (b *Builder) appendV2(dst []byte, offset Offset, timestamp int64, key, value, headers []byte) []byte {
	timestampDelta, offsetDelta := timestamp-b.baseTimestamp, int32(offset-b.o.BaseOffset)
	size := 1 + sizeOfVarlong(timestampDelta) + sizeOfVarint(offsetDelta) + sizeOfNullable(key) + sizeOfNullable(value) + len(headers)
	dst = appendVarint(slices.Grow(dst, varintBytesMax+size), int32(size))
	dst = append(dst, 0)
	dst = appendVarlong(dst, timestampDelta)
	dst = appendVarint(dst, offsetDelta)
	dst = appendNullable(dst, key)
	dst = appendNullable(dst, value)
	return append(dst, headers...)
}

func sizeOfNullable(b []byte) int {
	if b == nil {
		return 1
	}
	return sizeOfVarint(int32(len(b))) + len(b)
}

func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return appendVarint(dst, -1)
	}
	return append(appendVarint(dst, int32(len(b))), b...)
}

// appendLegacy appends a message, either alone or inside a wrapper.
func (b *Builder) appendLegacy(dst []byte, offset Offset, timestamp int64, key, value []byte) []byte {
	if b.o.Magic == 1 && b.o.Codec != None {
		offset -= b.o.BaseOffset
	}
	size := MinSize(b.o.Magic) - LogOverhead + len(key) + len(value)
	dst = binary.BigEndian.AppendUint64(dst, uint64(offset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(size))
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, byte(b.o.Magic), b.legacyAttributes(None))
	if b.o.Magic == 1 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(timestamp))
	}
	dst = appendSized(dst, key)
	dst = appendSized(dst, value)
	binary.BigEndian.PutUint32(dst[start:], crc32.ChecksumIEEE(dst[start+4:]))
	return dst
}

func (b *Builder) legacyAttributes(codec Codec) byte {
	attributes := byte(codec)
	if b.o.Magic == 1 && b.o.TimestampType == LogAppendTime {
		attributes |= timestampTypeBit
	}
	return attributes
}

// appendSized appends an int32 size, -1 for null, and the bytes.
func appendSized(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 0xff, 0xff, 0xff, 0xff)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}

// OverrideLastOffset makes offset the last offset of the batch, although the batch has no record at
// that offset: compaction keeps the offset range of a batch. Call it after the last record and
// before Build. It is for v2 only.
func (b *Builder) OverrideLastOffset(offset Offset) { b.lastOffset = max(b.lastOffset, offset) }

// Size returns the size of the batch in bytes before compression, header included.
func (b *Builder) Size() int { return b.headSize() + b.bytes }

// Build completes the batch and returns it. For magic 0 and 1 without compression it returns one
// entry per record, and without records nil. The caller owns the bytes.
func (b *Builder) Build() ([]byte, error) {
	if b.compressor != nil {
		if b.err == nil {
			b.err = b.sizeError(b.compressor.finish())
		}
		b.compressor.release()
		b.compressor = nil
		if b.err == nil {
			b.err = b.checkFinal()
		}
	}
	if b.err != nil {
		return nil, b.err
	}
	b.err = errors.New("the batch has already been built")
	if b.count == 0 {
		return b.out.b[:b.start], nil
	}
	entry := Batch(b.out.b[b.start:])
	switch {
	case b.o.Magic >= 2:
		b.writeHeader(entry)
	case b.o.Codec != None:
		b.writeWrapper(entry)
	}
	return b.out.b, nil
}

func (b *Builder) checkFinal() error {
	if b.entrySizeMax > 0 && len(b.out.b)-b.start > b.entrySizeMax {
		return b.sizeError(errOutputTooLarge)
	}
	return nil
}

// discard releases the compressor of a builder whose batch is not needed.
func (b *Builder) discard() {
	if b.compressor != nil {
		b.compressor.release()
		b.compressor = nil
	}
}

func (b *Builder) writeHeader(h Batch) {
	maxTimestamp := b.maxTimestamp
	if b.o.TimestampType == LogAppendTime {
		maxTimestamp = b.o.LogAppendTime
	}
	writeHeader(h, b.o, int32(b.lastOffset-b.o.BaseOffset), b.baseTimestamp, maxTimestamp, int32(b.count))
}

// writeHeader writes the v2 header of the batch h, which already contains the records.
func writeHeader(h Batch, o Options, lastOffsetDelta int32, baseTimestamp, maxTimestamp int64, count int32) {
	attributes := withTimestampType(int16(o.Codec), o.TimestampType)
	for _, flag := range [...]struct {
		set bool
		bit int16
	}{{o.Transactional, transactionalBit}, {o.Control, controlBit}, {o.HasDeleteHorizon, deleteHorizonBit}} {
		if flag.set {
			attributes |= flag.bit
		}
	}
	h.putInt64(offsetAt, int64(o.BaseOffset))
	h.putInt32(sizeAt, int32(len(h)-LogOverhead))
	h.putInt32(leaderEpochAt, int32(o.LeaderEpoch))
	h[MagicPosition] = byte(o.Magic)
	binary.BigEndian.PutUint16(h[attributesAt:], uint16(attributes))
	h.putInt32(lastOffsetDeltaAt, lastOffsetDelta)
	h.putInt64(baseTimestampAt, baseTimestamp)
	h.putInt64(maxTimestampAt, maxTimestamp)
	h.putInt64(producerIDAt, o.ProducerID)
	binary.BigEndian.PutUint16(h[producerEpochAt:], uint16(o.ProducerEpoch))
	h.putInt32(baseSequenceAt, o.BaseSequence)
	h.putInt32(countAt, count)
	binary.BigEndian.PutUint32(h[crcAt:], h.computeCRC())
}

// writeWrapper writes the part before the value of the wrapper h, which already contains the value.
func (b *Builder) writeWrapper(h Batch) {
	valueSize := len(h) - MinSize(b.o.Magic)
	h.putInt64(offsetAt, int64(b.lastOffset))
	h.putInt32(sizeAt, int32(len(h)-LogOverhead))
	h[MagicPosition] = byte(b.o.Magic)
	h[legacyAttributesAt] = b.legacyAttributes(b.o.Codec)
	if b.o.Magic == 1 {
		timestamp := b.maxTimestamp
		if b.o.TimestampType == LogAppendTime {
			timestamp = b.o.LogAppendTime
		}
		h.putInt64(legacyTimestampAt, timestamp)
	}
	at := legacyKeySizeAt(b.o.Magic)
	h.putInt32(at, -1)
	h.putInt32(at+4, int32(valueSize))
	binary.BigEndian.PutUint32(h[legacyCRCAt:], h.computeCRC())
}

// EmptyBatch returns a v2 batch without records that spans the offsets from o.BaseOffset to
// lastOffset. Compaction keeps such a batch for the state of its producer.
func EmptyBatch(o Options, lastOffset Offset, maxTimestamp int64) Batch {
	h := make(Batch, HeaderSize)
	o.Magic, o.Codec, o.HasDeleteHorizon = CurrentMagic, None, false
	writeHeader(h, o, int32(lastOffset-o.BaseOffset), NoTimestamp, maxTimestamp, 0)
	return h
}
