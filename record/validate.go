package record

import (
	"fmt"
	"strings"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Target describes what the leader's log requires of an append, and has the time of the append.
type Target struct {
	TopicPartition     string        // as in messages: topic-partition
	Magic              int8          // always 2 from IBP 3.0 on
	Codec              Codec         // the codec to use unless KeepCodec is set
	KeepCodec          bool          // compression.type=producer
	Level              map[Codec]int // compression.*.level; the default level if absent
	TimestampType      TimestampType
	TimestampBeforeMax int64 // ms
	TimestampAfterMax  int64 // ms
	Compacted          bool  // records with a null key are refused
	Origin             Origin
	LeaderEpoch        metadata.LeaderEpoch
	FirstOffset        Offset // the log end offset
	NowMs              int64
	MaxBatchSize       int  // max.message.bytes, checked for rebuilt batches; 0: no limit
	MaxSetSize         int  // segment.bytes, limits the size after conversion to v0/v1; 0: no limit
	ZstdAllowed        bool // false (IBP below 2.1): zstd is refused with UNSUPPORTED_COMPRESSION_TYPE
}

// Validated is the result of ValidateAndAssign.
type Validated struct {
	// Bytes is the set to append: either the input slice, changed in place and without an
	// incomplete entry at its end, or a rebuilt set.
	Bytes                []byte
	Rebuilt              bool
	LastOffset           Offset
	MaxTimestamp         int64
	OffsetOfMaxTimestamp Offset // of the first record that has MaxTimestamp; LastOffset for LogAppendTime
	LogAppendTime        int64  // NoTimestamp for CreateTime
	Records              int    // records in the set
	Converted            int    // number of rebuilt records, which Kafka's metrics count as conversions
	ConversionTime       time.Duration
}

// RecordError describes one refused record by its index in the batch.
type RecordError struct {
	Index   int32
	Message string
}

// recordErrorsMax limits the length of InvalidRecords.Errors. The message counts all errors.
const recordErrorsMax = 10_000

// InvalidRecords is the error for a set that was refused because of its records; it wraps Code. It
// is the only error of ValidateAndAssign whose message and list Kafka sends to the client (Produce
// v8 and later).
type InvalidRecords struct {
	Code    protocol.ErrorCode
	Message string
	Errors  []RecordError // at most the first 10,000
	flaws   Flaws
}

func (e *InvalidRecords) Error() string { return e.Message }

// Unwrap returns e.Code, so that errors.Is(err, code) is true.
func (e *InvalidRecords) Unwrap() error { return e.Code }

// ValidateAndAssign checks a set record by record without allocating, and assigns offsets, leader
// epoch and timestamps in place. storage calls it after CheckAppend when a leader appends;
// followers do not need it. It rebuilds the set only if the codec or the format must change.
// checked is the result of CheckAppend for the set. A compressed batch is read as a stream, so
// memory does not grow with its decompressed size. A rebuilt set is limited by MaxBatchSize,
// MaxSetSize and 100 MiB for a single record.
//
// Errors: *InvalidRecords (InvalidRecord or InvalidTimestamp) for records that break the topic's
// rules; InvalidRecord for inconsistent batches; CorruptMessage for a wrong inner checksum;
// UnsupportedForMessageFormat, UnsupportedCompressionType, MessageTooLarge and RecordListTooLarge;
// UnknownServerError for a payload that cannot be decompressed. After an error the caller must drop
// the set, which may be partly changed.
func ValidateAndAssign(set []byte, checked Checked, t Target) (Validated, error) {
	v := validator{Target: t, set: set[:checked.ValidBytes], source: checked.Codec, target: t.Codec,
		consecutive: true, maxTimestamp: NoTimestamp, indexOfMax: -1}
	if t.KeepCodec {
		v.target = v.source
	}
	if err := v.checkNumber(checked.Batches); err != nil {
		return Validated{}, err
	}
	if v.target == Zstd && !t.ZstdAllowed {
		return Validated{}, protocol.Errorf(protocol.UnsupportedCompressionType, "Produce requests to "+
			"inter.broker.protocol.version < 2.1 broker are not allowed to use ZStandard compression")
	}
	// Uncompressed entries of the right format keep their bytes and get their offsets one by one.
	uncompressed := v.source == None && v.target == None
	each := uncompressed && checked.Magic == v.Magic
	if err := v.checkAll(each); err != nil {
		return Validated{}, err
	}
	switch {
	case each:
		return v.result(v.set), nil
	case uncompressed:
		return v.timedRebuild()
	case v.keepsPayload() && v.consecutive:
		v.assign(v.first, v.maxTimestamp)
		return v.result(v.set), nil
	case v.keepsPayload() && v.Magic >= 2:
		// Kafka cannot rebuild a batch that it planned to keep.
		return Validated{}, because(WrongOffset, protocol.Errorf(protocol.UnknownServerError,
			"The offsets of the records in the batch do not count up from 0 in topic partition %s", v.TopicPartition))
	default:
		return v.timedRebuild()
	}
}

// timedRebuild is like rebuild and measures how long it takes.
func (v *validator) timedRebuild() (Validated, error) {
	began := time.Now()
	r, err := v.rebuild()
	r.ConversionTime = time.Since(began)
	return r, err
}

// validator is the state of one call of ValidateAndAssign.
type validator struct {
	Target
	set    []byte // complete entries only
	first  Batch
	source Codec
	target Codec

	// Found in the records visited so far:
	records        int
	consecutive    bool // inner offsets are 0, 1, 2... (of v1 and later)
	maxTimestamp   int64
	indexOfMax     int // index of the first record that has maxTimestamp; -1: none
	batchTimestamp int64
}

// checkNumber checks the number of batches, and finds the first one.
func (v *validator) checkNumber(batches int) (err error) {
	if batches == 0 {
		return invalidRecord("Record batch has no batches at all")
	}
	if v.first, err = First(v.set); err != nil {
		return err
	}
	if (v.first.Magic() >= 2 || v.source != None) && batches > 1 {
		return invalidRecord("Compressed outer record has more than one batch")
	}
	return nil
}

// keepsPayload reports whether a set that is compressed, or must be, can keep its payload, provided
// that its inner offsets are consecutive.
func (v *validator) keepsPayload() bool {
	if v.source == None && v.first.IsControl() {
		return true // markers are not compressed
	}
	return v.source == v.target && v.first.Magic() == v.Magic && v.Magic != 0
}

// checkAll checks every batch and its records and, if assign is set, assigns the offsets of the
// batch.
func (v *validator) checkAll(assign bool) error {
	for b, err := range Batches(v.set) {
		if err != nil {
			return err
		}
		if err := v.checkBatch(b); err != nil {
			return err
		}
		if err := v.checkRecords(b); err != nil {
			return err
		}
		if assign {
			v.assign(b, v.batchTimestamp)
		}
	}
	return nil
}

// assign sets the offsets, leader epoch and timestamps of the batch that was checked last.
func (v *validator) assign(b Batch, maxTimestamp int64) {
	b.SetLastOffset(v.FirstOffset + Offset(v.records) - 1)
	b.SetPartitionLeaderEpoch(v.LeaderEpoch)
	if v.TimestampType == LogAppendTime {
		maxTimestamp = v.NowMs
	}
	b.SetMaxTimestamp(v.TimestampType, maxTimestamp)
}

// result returns the result for a set whose records kept their bytes.
func (v *validator) result(set []byte) Validated {
	r := Validated{Bytes: set, LastOffset: v.FirstOffset + Offset(v.records) - 1, Records: v.records,
		MaxTimestamp: v.maxTimestamp, OffsetOfMaxTimestamp: NoOffset, LogAppendTime: NoTimestamp}
	if v.indexOfMax >= 0 {
		r.OffsetOfMaxTimestamp = v.FirstOffset + Offset(v.indexOfMax)
	}
	if v.TimestampType == LogAppendTime {
		r.LogAppendTime = v.NowMs
		if v.Magic > 0 {
			r.MaxTimestamp, r.OffsetOfMaxTimestamp = v.NowMs, r.LastOffset
		}
	}
	return r
}

// checkBatch checks the header of a batch.
func (v *validator) checkBatch(b Batch) error {
	if v.first.Magic() != b.Magic() {
		return because(WrongMagic, invalidRecord("Batch magic %d is not the same as the first batch's magic byte %d in topic partition %s",
			b.Magic(), v.first.Magic(), v.TopicPartition))
	}
	if v.Origin == FromClient {
		if err := v.checkClientBatch(b); err != nil {
			return err
		}
	}
	if v.Magic < 2 && b.IsTransactional() {
		return protocol.Errorf(protocol.UnsupportedForMessageFormat,
			"Transactional records cannot be used with magic version %d", v.Magic)
	}
	if v.Magic < 2 && b.HasProducerID() {
		return protocol.Errorf(protocol.UnsupportedForMessageFormat,
			"Idempotent records cannot be used with magic version %d", v.Magic)
	}
	return nil
}

func (v *validator) checkClientBatch(b Batch) error {
	if b.Magic() >= 2 {
		fromOffsets := int64(b.LastOffset() - b.BaseOffset() + 1)
		if fromOffsets <= 0 {
			return because(WrongOffset, invalidRecord("Batch has an invalid offset range: [%d, %d] in topic partition %s",
				b.BaseOffset(), b.LastOffset(), v.TopicPartition))
		}
		count := int64(b.Count())
		if count <= 0 {
			return because(WrongOffset, invalidRecord("Invalid reported count for record batch: %d in topic partition %s", count, v.TopicPartition))
		}
		if fromOffsets != count {
			return because(WrongOffset, invalidRecord("Inconsistent batch offset range [%d, %d] and count of records %d in topic partition %s",
				b.BaseOffset(), b.LastOffset(), count, v.TopicPartition))
		}
	}
	if b.IsControl() {
		return because(WrongOffset, invalidRecord("Clients are not allowed to write control records in topic partition %s", v.TopicPartition))
	}
	if b.HasProducerID() && b.BaseSequence() < 0 {
		return because(WrongOffset, invalidRecord("Invalid sequence number %d in record batch with producerId %d in topic partition %s",
			b.BaseSequence(), b.ProducerID(), v.TopicPartition))
	}
	return nil
}

// checkRecords checks every record of a batch.
func (v *validator) checkRecords(b Batch) error {
	it := openIterator(b, false)
	defer it.close()
	it.brief = v.source != None && v.keepsPayload()
	var refused refusals
	createTime, flagged := v.TimestampType == CreateTime, b.TimestampType() == LogAppendTime
	v.batchTimestamp = NoTimestamp
	for index := int32(0); ; index++ {
		more, err := it.next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		ts := it.rec.Timestamp
		switch {
		case it.magic < 2 && it.legacy.magic != it.magic:
			v.refuseMagic(&refused, index, it)
		case v.Compacted && it.keySize < 0:
			refused.flaws[MissingKey]++
			refused.add(index, protocol.InvalidRecord,
				"Compacted topic cannot accept message without key in topic partition "+v.TopicPartition)
		case createTime && ts != NoTimestamp:
			if age := v.NowMs - ts; age > v.TimestampBeforeMax || -age > v.TimestampAfterMax {
				v.refuseTimestamp(&refused, index, it)
			}
		case flagged:
			v.refuseTimestampType(&refused, index, it)
		}
		if ts > v.batchTimestamp {
			v.batchTimestamp = ts
			if ts > v.maxTimestamp {
				v.maxTimestamp, v.indexOfMax = ts, v.records
			}
		}
		if it.rec.Offset != Offset(v.records) {
			v.consecutive = false
		}
		v.records++
	}
	return refused.err()
}

func (v *validator) refuseMagic(r *refusals, index int32, it *iterator) {
	r.flaws[WrongMagic]++
	r.add(index, protocol.InvalidRecord, fmt.Sprintf("Record %s's magic does not match outer magic %d in topic partition %s",
		it.describe(), it.magic, v.TopicPartition))
}

func (v *validator) refuseTimestamp(r *refusals, index int32, it *iterator) {
	if r.full(protocol.InvalidTimestamp) {
		return
	}
	r.add(index, protocol.InvalidTimestamp, fmt.Sprintf(
		"Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]",
		it.rec.Timestamp, it.rec.Offset, v.NowMs-v.TimestampBeforeMax, v.NowMs+v.TimestampAfterMax))
}

func (v *validator) refuseTimestampType(r *refusals, index int32, it *iterator) {
	if r.full(protocol.InvalidTimestamp) {
		return
	}
	r.add(index, protocol.InvalidTimestamp, "Invalid timestamp type in message "+it.describe()+
		". Producer should not set timestamp type to LogAppendTime.")
}

// refusals collects errors for the records that break a rule.
type refusals struct {
	errors    []RecordError
	total     int
	timestamp bool // at least one was refused for its timestamp
	flaws     Flaws
}

// full reports whether the list of errors is full. If so, it counts the refusal, whose message is
// not kept.
func (r *refusals) full(code protocol.ErrorCode) bool {
	if len(r.errors) < recordErrorsMax {
		return false
	}
	r.total++
	r.timestamp = r.timestamp || code == protocol.InvalidTimestamp
	return true
}

func (r *refusals) add(index int32, code protocol.ErrorCode, message string) {
	if r.full(code) {
		return
	}
	r.total++
	r.timestamp = r.timestamp || code == protocol.InvalidTimestamp
	r.errors = append(r.errors, RecordError{Index: index, Message: message})
}

// err returns the error for the refused records, or nil if there are none.
func (r *refusals) err() error {
	if r.total == 0 {
		return nil
	}
	if r.timestamp {
		return &InvalidRecords{Code: protocol.InvalidTimestamp, Errors: r.errors, flaws: r.flaws,
			Message: "One or more records have been rejected due to invalid timestamp"}
	}
	var shown strings.Builder
	for i, e := range r.errors[:min(3, len(r.errors))] {
		if i > 0 {
			shown.WriteString(", ")
		}
		fmt.Fprintf(&shown, "RecordError(batchIndex=%d, message='%s')", e.Index, e.Message)
	}
	return &InvalidRecords{Code: protocol.InvalidRecord, Errors: r.errors, flaws: r.flaws,
		Message: fmt.Sprintf("One or more records have been rejected due to %d record errors in total, "+
			"and only showing the first three errors at most: [%s]", r.total, shown.String())}
}
