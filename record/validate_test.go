package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/monedula/monedula/protocol"
)

const nowMs = int64(1_700_000_000_000)

// plainTarget returns the target of a v2 topic with default settings whose log ends at 1000.
func plainTarget() Target {
	return Target{TopicPartition: "t-0", Magic: 2, KeepCodec: true, TimestampType: CreateTime, TimestampBeforeMax: math.MaxInt64,
		TimestampAfterMax: math.MaxInt64, LeaderEpoch: 6, FirstOffset: 1000, NowMs: nowMs, MaxBatchSize: 1 << 20, ZstdAllowed: true}
}

// made returns a set of n records with increasing timestamps, except that the middle record is the
// newest.
func made(t testing.TB, o Options, n int) []byte {
	t.Helper()
	b := NewBuilder(o)
	for i := range n {
		ts := nowMs - 1000 + int64(i)
		if i == n/2 {
			ts = nowMs + 5
		}
		var headers []Header
		if o.Magic >= 2 {
			headers = []Header{{[]byte("h"), []byte("v")}, {[]byte("null"), nil}}
		}
		if err := b.Append(ts, []byte(fmt.Sprintf("key-%d", i)), bytes.Repeat([]byte("value "), i), headers...); err != nil {
			t.Fatal(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func batchOf(magic int8, codec Codec) Options {
	o := Defaults()
	o.Magic, o.Codec = magic, codec
	return o
}

// validateAndAssign is like ValidateAndAssign, but also takes a set that CheckAppend would refuse.
func validateAndAssign(set []byte, t Target) (Validated, error) {
	checked := newChecked()
	for b, err := range Batches(set) {
		if err != nil {
			return Validated{}, err
		}
		checked.note(b)
		checked.ValidBytes += len(b)
	}
	return ValidateAndAssign(set, checked, t)
}

// resum updates the checksums of a set that a test changed.
func resum(set []byte) []byte {
	for rest := set; len(rest) > 0; {
		b, tail, _ := Next(rest)
		at := crcAt
		if b.Magic() < 2 {
			at = legacyCRCAt
		}
		binary.BigEndian.PutUint32(b[at:], b.computeCRC())
		rest = tail
	}
	return set
}

func TestValidationInPlaceChangesOnlyTheHeaders(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		for _, magic := range []int8{1, 2} {
			if codec == Zstd && magic == 1 {
				continue
			}
			set := made(t, batchOf(magic, codec), 20)
			before := bytes.Clone(set)
			target := plainTarget()
			target.Magic = magic
			got, err := validateAndAssign(set, target)
			if err != nil {
				t.Fatalf("v%d %s: %v", magic, codec, err)
			}
			want := Validated{Bytes: set, LastOffset: 1019, MaxTimestamp: nowMs + 5, OffsetOfMaxTimestamp: 1010, LogAppendTime: NoTimestamp, Records: 20}
			if !reflect.DeepEqual(got, want) || &got.Bytes[0] != &set[0] {
				t.Errorf("v%d %s: %+v", magic, codec, got)
			}
			after := records(t, set)
			for i, r := range records(t, before) {
				r.Offset += 1000
				if !equalRecord(r, after[i]) {
					t.Errorf("v%d %s: record %d is %+v", magic, codec, i, after[i])
				}
			}
			if b := Batch(set); magic == 2 && (b.PartitionLeaderEpoch() != 6 || b.BaseOffset() != 1000 || b.TimestampType() != CreateTime) {
				t.Errorf("%s: header %x", codec, set[:HeaderSize])
			}
		}
	}
}

func TestAWrongMaxTimestampIsCorrected(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		set := made(t, batchOf(2, codec), 9)
		Batch(set).SetMaxTimestamp(CreateTime, 1<<40)
		got, err := validateAndAssign(set, plainTarget())
		if err != nil || got.MaxTimestamp != nowMs+5 || Batch(set).MaxTimestamp() != nowMs+5 || Batch(set).Validate() != nil {
			t.Errorf("%s: %+v, %v", codec, got, err)
		}
	}
}

func TestLogAppendTimeChangesOnlyTheHeader(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		set := made(t, batchOf(2, codec), 9)
		payload := bytes.Clone(set[HeaderSize:])
		target := plainTarget()
		target.TimestampType, target.TimestampBeforeMax, target.TimestampAfterMax = LogAppendTime, 0, 0
		got, err := validateAndAssign(set, target)
		if err != nil || got.Rebuilt || got.MaxTimestamp != nowMs || got.LogAppendTime != nowMs || got.OffsetOfMaxTimestamp != 1008 {
			t.Errorf("%s: %+v, %v", codec, got, err)
		}
		if b := Batch(set); b.TimestampType() != LogAppendTime || b.MaxTimestamp() != nowMs || !bytes.Equal(payload, set[HeaderSize:]) {
			t.Errorf("%s: header %x", codec, set[:HeaderSize])
		}
		for _, r := range records(t, set) {
			if r.Timestamp != nowMs {
				t.Errorf("%s: record at %d", codec, r.Timestamp)
			}
		}
	}
}

func TestASetIsRebuiltForAnotherCodec(t *testing.T) {
	for from := None; from <= Zstd; from++ {
		for to := None; to <= Zstd; to++ {
			o := batchOf(2, from)
			o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = 7, 2, 30, true
			set := made(t, o, 20)
			want := records(t, set)
			target := plainTarget()
			target.KeepCodec, target.Codec = false, to
			target.Level = map[Codec]int{Gzip: 1, LZ4: 12, Zstd: -5}
			got, err := validateAndAssign(set, target)
			if err != nil {
				t.Fatalf("%s to %s: %v", from, to, err)
			}
			if got.Rebuilt != (from != to) || (got.Converted == 20) != got.Rebuilt || got.Records != 20 || got.LastOffset != 1019 ||
				got.MaxTimestamp != nowMs+5 || got.OffsetOfMaxTimestamp != 1010 {
				t.Errorf("%s to %s: %+v", from, to, got)
			}
			b := Batch(got.Bytes)
			if b.Codec() != to || b.ProducerID() != 7 || b.ProducerEpoch() != 2 || b.BaseSequence() != 30 || !b.IsTransactional() ||
				b.PartitionLeaderEpoch() != 6 || b.BaseOffset() != 1000 || b.MaxTimestamp() != nowMs+5 {
				t.Errorf("%s to %s: header %x", from, to, got.Bytes[:HeaderSize])
			}
			after := records(t, got.Bytes)
			for i, r := range want {
				r.Offset += 1000
				if !equalRecord(r, after[i]) {
					t.Errorf("%s to %s: record %d is %+v", from, to, i, after[i])
				}
			}
		}
	}
}

func TestASetIsConvertedBetweenFormats(t *testing.T) {
	for _, c := range []struct {
		from, to int8
		codec    Codec
	}{{0, 1, None}, {0, 1, Gzip}, {0, 1, LZ4}, {0, 2, None}, {0, 2, Snappy}, {1, 2, None}, {1, 2, LZ4}, {1, 0, None}, {1, 0, LZ4},
		{0, 0, None}, {0, 0, LZ4}, {0, 0, Gzip}} {
		set := made(t, batchOf(c.from, c.codec), 12)
		want := records(t, set)
		target := plainTarget()
		target.Magic = c.to
		got, err := validateAndAssign(set, target)
		if err != nil {
			t.Fatalf("v%d to v%d %s: %v", c.from, c.to, c.codec, err)
		}
		inPlace := c.from == c.to && c.codec == None
		if got.Rebuilt == inPlace || got.LastOffset != 1011 || got.Records != 12 || Batch(got.Bytes).Magic() != c.to || Batch(got.Bytes).Codec() != c.codec {
			t.Errorf("v%d to v%d %s: %+v", c.from, c.to, c.codec, got)
		}
		maxTimestamp := nowMs + 5
		if c.from == 0 || c.to == 0 {
			maxTimestamp = NoTimestamp
		}
		if got.MaxTimestamp != maxTimestamp {
			t.Errorf("v%d to v%d %s: max timestamp %d", c.from, c.to, c.codec, got.MaxTimestamp)
		}
		for i, r := range records(t, got.Bytes) {
			w := want[i]
			w.Offset = 1000 + Offset(i)
			if c.to == 0 {
				w.Timestamp = NoTimestamp
			}
			if !equalRecord(r, w) {
				t.Errorf("v%d to v%d %s: record %d is %+v, not %+v", c.from, c.to, c.codec, i, r, w)
			}
		}
	}
}

func TestLogAppendTimeInOldFormats(t *testing.T) {
	for _, codec := range []Codec{None, Gzip} {
		for _, from := range []int8{0, 1} {
			set := made(t, batchOf(from, codec), 5)
			target := plainTarget()
			target.Magic, target.TimestampType = 1, LogAppendTime
			got, err := validateAndAssign(set, target)
			if err != nil || got.MaxTimestamp != nowMs || got.OffsetOfMaxTimestamp != 1004 {
				t.Fatalf("%s: %+v, %v", codec, got, err)
			}
			for _, r := range records(t, got.Bytes) {
				if r.Timestamp != nowMs {
					t.Errorf("%s from v%d: timestamp %d", codec, from, r.Timestamp)
				}
			}
			if typ := Batch(got.Bytes).TimestampType(); typ != LogAppendTime {
				t.Errorf("%s from v%d: %s", codec, from, typ)
			}
		}
	}
}

func TestUncompressedOldMessagesBecomeOneWrapper(t *testing.T) {
	set := made(t, batchOf(1, None), 5)
	target := plainTarget()
	target.Magic, target.KeepCodec, target.Codec = 1, false, Gzip
	got, err := validateAndAssign(set, target)
	if err != nil || !got.Rebuilt || Batch(got.Bytes).Size() != len(got.Bytes) || Batch(got.Bytes).LastOffset() != 1004 {
		t.Fatalf("%+v, %v", got, err)
	}
	if all := records(t, got.Bytes); len(all) != 5 || all[0].Offset != 1000 || all[4].Offset != 1004 {
		t.Errorf("%+v", all)
	}
}

func TestAnIncompleteEntryAtTheEndIsDropped(t *testing.T) {
	set := made(t, batchOf(2, None), 3)
	for _, tail := range []int{1, 11, 16, 40} {
		got, err := validateAndAssign(append(bytes.Clone(set), set[:tail]...), plainTarget())
		if err != nil || len(got.Bytes) != len(set) || got.LastOffset != 1002 {
			t.Errorf("tail of %d: %+v, %v", tail, got, err)
		}
	}
}

func TestV1WrappersWithBrokenInnerOffsetsAreRebuilt(t *testing.T) {
	o := batchOf(1, Gzip)
	b := NewBuilder(o)
	for _, offset := range []Offset{0, 3, 4} {
		if err := b.AppendAt(offset, nowMs, []byte("k"), nil); err != nil {
			t.Fatal(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	target := plainTarget()
	target.Magic = 1
	got, err := validateAndAssign(set, target)
	if err != nil || !got.Rebuilt || got.LastOffset != 1002 {
		t.Fatalf("%+v, %v", got, err)
	}
	if all := records(t, got.Bytes); all[0].Offset != 1000 || all[1].Offset != 1001 || all[2].Offset != 1002 {
		t.Errorf("%+v", all)
	}
	// Some versions of librdkafka write wrappers with the offset 0.
	set = made(t, o, 5)
	Batch(set).SetLastOffset(0)
	if got, err := validateAndAssign(set, target); err != nil || got.Rebuilt || got.LastOffset != 1004 || Batch(set).LastOffset() != 1004 {
		t.Errorf("wrapper offset 0: %+v, %v", got, err)
	}
	set = made(t, o, 5)
	Batch(set).SetLastOffset(3)
	if _, err := validateAndAssign(set, target); !errors.Is(err, protocol.InvalidRecord) ||
		!strings.Contains(err.Error(), "wrapper offset '3' is less than the last inner message offset '4' and it is not zero.") {
		t.Errorf("wrapper offset 3: %v", err)
	}
}

func TestV2BatchesWithBrokenInnerOffsetsAreRefused(t *testing.T) {
	b := NewBuilder(batchOf(2, Gzip))
	for _, offset := range []Offset{0, 2} {
		if err := b.AppendAt(offset, nowMs, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	Batch(set).putInt32(lastOffsetDeltaAt, 1) // the number of records
	set = resum(set)
	if _, err := validateAndAssign(bytes.Clone(set), plainTarget()); protocol.CodeOf(err) != protocol.UnknownServerError {
		t.Errorf("%v", err)
	}
	target := plainTarget()
	target.KeepCodec, target.Codec = false, LZ4
	if got, err := validateAndAssign(set, target); err != nil || got.LastOffset != 1001 || records(t, got.Bytes)[1].Offset != 1001 {
		t.Errorf("a batch that is rebuilt anyway: %+v, %v", got, err)
	}
}

func TestMarkersAreNeverCompressed(t *testing.T) {
	o := Defaults()
	o.ProducerID, o.ProducerEpoch = 5, 0
	set, err := EndTxnMarker(o, Commit, 3, nowMs)
	if err != nil {
		t.Fatal(err)
	}
	target := plainTarget()
	target.Origin, target.KeepCodec, target.Codec = FromCoordinator, false, LZ4
	got, err := validateAndAssign(set, target)
	if err != nil || got.Rebuilt || got.LastOffset != 1000 || Batch(got.Bytes).Codec() != None || !Batch(got.Bytes).IsControl() {
		t.Errorf("%+v, %v", got, err)
	}
}

// one returns a set with a single record, changed by change.
func one(t testing.TB, change func(Batch)) []byte {
	t.Helper()
	set := made(t, batchOf(2, None), 1)
	change(Batch(set))
	return resum(set)
}

func TestEveryRuleOfValidation(t *testing.T) {
	marker := func() []byte {
		o := Defaults()
		o.ProducerID, o.ProducerEpoch = 5, 0
		m, err := EndTxnMarker(o, Commit, 0, nowMs)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	idempotent := func(codec Codec) []byte {
		o := batchOf(2, codec)
		o.ProducerID, o.ProducerEpoch, o.BaseSequence = 9, 0, 0
		return made(t, o, 2)
	}
	legacyNested := func() []byte {
		inner := made(t, batchOf(1, Gzip), 2)
		return resum(wrap(t, 1, Gzip, inner, 0))
	}
	twice := func(o Options) []byte { return append(made(t, o, 1), made(t, o, 1)...) }
	for _, c := range []struct {
		name   string
		set    []byte
		target func(*Target)
		code   protocol.ErrorCode
		text   string
	}{
		{"no batch", nil, nil, protocol.InvalidRecord, "Record batch has no batches at all"},
		{"two v2 batches", twice(batchOf(2, None)), nil, protocol.InvalidRecord, "Compressed outer record has more than one batch"},
		{"two wrappers", twice(batchOf(1, Gzip)), func(t *Target) { t.Magic = 1 }, protocol.InvalidRecord, "Compressed outer record has more than one batch"},
		{"mixed magic", append(made(t, batchOf(1, None), 1), made(t, batchOf(0, None), 1)...), func(t *Target) { t.Magic = 1 }, protocol.InvalidRecord,
			"Batch magic 0 is not the same as the first batch's magic byte 1 in topic partition t-0"},
		{"negative range", one(t, func(b Batch) { b.putInt32(lastOffsetDeltaAt, -1) }), nil, protocol.InvalidRecord,
			"Batch has an invalid offset range: [0, -1] in topic partition t-0"},
		{"count of zero", one(t, func(b Batch) { b.putInt32(countAt, 0) }), nil, protocol.InvalidRecord,
			"Invalid reported count for record batch: 0 in topic partition t-0"},
		{"count and range differ", one(t, func(b Batch) { b.putInt32(countAt, 2) }), nil, protocol.InvalidRecord,
			"Inconsistent batch offset range [0, 0] and count of records 2 in topic partition t-0"},
		{"control from a client", marker(), nil, protocol.InvalidRecord, "Clients are not allowed to write control records in topic partition t-0"},
		{"no sequence", one(t, func(b Batch) { b.putInt64(producerIDAt, 9) }), nil, protocol.InvalidRecord,
			"Invalid sequence number -1 in record batch with producerId 9 in topic partition t-0"},
		{"transaction to v1", one(t, func(b Batch) { b[attributesAt+1] |= transactionalBit }), func(t *Target) { t.Magic = 1 },
			protocol.UnsupportedForMessageFormat, "Transactional records cannot be used with magic version 1"},
		{"idempotence to v1", idempotent(None), func(t *Target) { t.Magic = 1 }, protocol.UnsupportedForMessageFormat,
			"Idempotent records cannot be used with magic version 1"},
		{"headers to v1", made(t, batchOf(2, None), 1), func(t *Target) { t.Magic = 1 }, protocol.UnknownServerError, "magic v1 does not support record headers"},
		{"zstd below IBP 2.1", made(t, batchOf(2, Zstd), 1), func(t *Target) { t.ZstdAllowed = false }, protocol.UnsupportedCompressionType,
			"Produce requests to inter.broker.protocol.version < 2.1 broker are not allowed to use ZStandard compression"},
		{"too large once rebuilt", made(t, batchOf(2, Gzip), 100), func(t *Target) { t.KeepCodec, t.Codec, t.MaxBatchSize = false, None, 5000 },
			protocol.MessageTooLarge, "exceeds the maximum configured size of 5000"},
		{"too large once recompressed", made(t, batchOf(2, Gzip), 100), func(t *Target) { t.KeepCodec, t.Codec, t.MaxBatchSize = false, Snappy, 600 },
			protocol.MessageTooLarge, "exceeds the maximum configured size of 600"},
		{"a set that is too large once decompressed", made(t, batchOf(1, Gzip), 100), func(t *Target) { t.Magic, t.KeepCodec, t.Codec, t.MaxSetSize = 1, false, None, 5000 },
			protocol.RecordListTooLarge, "over 5000 bytes"},
		{"nested compression", legacyNested(), func(t *Target) { t.Magic = 1 }, protocol.InvalidRecord, "Inner messages must not be compressed"},
		{"null wrapper", resum(wrap(t, 1, Gzip, nil, 0)), func(t *Target) { t.Magic = 1 }, protocol.InvalidRecord,
			"Found invalid compressed record set with null value (magic = 1)"},
		{"empty wrapper", resum(wrap(t, 1, LZ4, []byte{}, 0)), func(t *Target) { t.Magic = 1 }, protocol.InvalidRecord,
			"Found invalid compressed record set with no inner records"},
		{"zstd wrapper", resum(wrap(t, 1, Zstd, []byte{}, 0)), func(t *Target) { t.Magic = 1 }, protocol.InvalidRecord,
			"Invalid wrapper compressionType found in legacy deep record iterator 1"},
	} {
		target := plainTarget()
		if c.target != nil {
			c.target(&target)
		}
		_, err := validateAndAssign(c.set, target)
		if !errors.Is(err, c.code) && protocol.CodeOf(err) != c.code || err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v (%s), want %s: %s", c.name, err, protocol.CodeOf(err), c.code, c.text)
		}
		if refused := (*InvalidRecords)(nil); errors.As(err, &refused) {
			t.Errorf("%s: reported as record errors, which clients see", c.name)
		}
	}
}

func TestRefusedRecordsAreListed(t *testing.T) {
	keyless := func(o Options) []byte {
		b := NewBuilder(o)
		for i := range 5 {
			var key []byte
			if i%2 == 0 {
				key = []byte("k")
			}
			if err := b.Append(nowMs, key, []byte("v")); err != nil {
				t.Fatal(err)
			}
		}
		set, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	missing := "Compacted topic cannot accept message without key in topic partition t-0"
	for _, codec := range []Codec{None, Gzip, Zstd} {
		target := plainTarget()
		target.Compacted = true
		_, err := validateAndAssign(keyless(batchOf(2, codec)), target)
		want := &InvalidRecords{Code: protocol.InvalidRecord, Errors: []RecordError{{1, missing}, {3, missing}}, flaws: Flaws{MissingKey: 2},
			Message: "One or more records have been rejected due to 2 record errors in total, and only showing the first three errors at most: " +
				"[RecordError(batchIndex=1, message='" + missing + "'), RecordError(batchIndex=3, message='" + missing + "')]"}
		if !reflect.DeepEqual(err, error(want)) {
			t.Errorf("%s: %#v", codec, err)
		}
		if !errors.Is(err, protocol.InvalidRecord) {
			t.Errorf("%s: code %s", codec, protocol.CodeOf(err))
		}
	}
}

func TestTimestampsOutOfRangeAreRefused(t *testing.T) {
	build := func(codec Codec, timestamps ...int64) []byte {
		b := NewBuilder(batchOf(2, codec))
		for _, ts := range timestamps {
			if err := b.Append(ts, []byte("k"), nil); err != nil {
				t.Fatal(err)
			}
		}
		set, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	target := plainTarget()
	target.TimestampBeforeMax, target.TimestampAfterMax, target.Compacted = 100, 50, true
	for codec := None; codec <= Zstd; codec++ {
		if _, err := validateAndAssign(build(codec, nowMs-100, nowMs+50, NoTimestamp), target); err != nil {
			t.Errorf("%s: timestamps at the bounds: %v", codec, err)
		}
		_, err := validateAndAssign(build(codec, nowMs-101, nowMs, nowMs+51), target)
		text := func(ts int64, offset int) string {
			return fmt.Sprintf("Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]", ts, offset, nowMs-100, nowMs+50)
		}
		want := &InvalidRecords{Code: protocol.InvalidTimestamp, Message: "One or more records have been rejected due to invalid timestamp",
			Errors: []RecordError{{0, text(nowMs-101, 0)}, {2, text(nowMs+51, 2)}}}
		if !reflect.DeepEqual(err, error(want)) {
			t.Errorf("%s: %#v", codec, err)
		}
	}
	// A client's batch that has the attribute for LogAppendTime.
	flagged := func(codec Codec, ts int64) []byte {
		set := made(t, batchOf(2, codec), 1)
		Batch(set).SetMaxTimestamp(LogAppendTime, ts)
		return set
	}
	appendTime := plainTarget()
	appendTime.TimestampType = LogAppendTime
	for codec, shown := range map[Codec]string{
		None: "DefaultRecord(offset=0, timestamp=5, key=5 bytes, value=0 bytes)",
		Gzip: "PartialDefaultRecord(offset=0, timestamp=5, key=5 bytes, value=0 bytes)",
	} {
		_, err := validateAndAssign(flagged(codec, 5), appendTime)
		want := &InvalidRecords{Code: protocol.InvalidTimestamp, Message: "One or more records have been rejected due to invalid timestamp",
			Errors: []RecordError{{0, "Invalid timestamp type in message " + shown + ". Producer should not set timestamp type to LogAppendTime."}}}
		if !reflect.DeepEqual(err, error(want)) {
			t.Errorf("%s: %#v", codec, err)
		}
	}
	// The messages in a compressed v1 message have its timestamp type, whatever their attributes are.
	wrapper := made(t, batchOf(1, Gzip), 1)
	Batch(wrapper).SetMaxTimestamp(LogAppendTime, 5)
	appendTime.Magic = 1
	var invalid *InvalidRecords
	if _, err := validateAndAssign(wrapper, appendTime); !errors.As(err, &invalid) || !strings.Contains(fmt.Sprint(invalid.Errors), ", LogAppendTime=5, ") {
		t.Errorf("a compressed v1 message: %#v", err)
	}
	set := flagged(None, nowMs)
	if got, err := validateAndAssign(set, plainTarget()); err != nil || got.MaxTimestamp != nowMs || Batch(set).TimestampType() != CreateTime {
		t.Errorf("a CreateTime topic must accept the batch and clear the flag: %+v, %v", got, err)
	}
	if _, err := validateAndAssign(flagged(None, NoTimestamp), plainTarget()); !errors.Is(err, protocol.InvalidTimestamp) {
		t.Errorf("append time without a time: %v", err)
	}
}

func TestTheListOfRefusedRecordsIsBounded(t *testing.T) {
	b := NewBuilder(batchOf(2, Zstd))
	for range recordErrorsMax + 500 {
		if err := b.Append(1, []byte("k"), nil); err != nil {
			t.Fatal(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	target := plainTarget()
	target.TimestampBeforeMax = 10
	_, err = validateAndAssign(set, target)
	var refused *InvalidRecords
	if !errors.As(err, &refused) || len(refused.Errors) != recordErrorsMax || refused.Code != protocol.InvalidTimestamp {
		t.Errorf("%v", err)
	}
}

// A single timestamp out of range decides the error code of the whole set, even if later records
// break another rule or the list is full.
func TestOneRefusedTimestampDecidesTheCode(t *testing.T) {
	const total = recordErrorsMax + 3
	for name, c := range map[string]struct {
		late int32 // index of the record with the timestamp
		code protocol.ErrorCode
		text string
	}{
		"the first":                 {0, protocol.InvalidTimestamp, "due to invalid timestamp"},
		"the last of the list":      {recordErrorsMax - 1, protocol.InvalidTimestamp, "due to invalid timestamp"},
		"the first beyond the list": {recordErrorsMax, protocol.InvalidTimestamp, "due to invalid timestamp"},
		"the last":                  {total - 1, protocol.InvalidTimestamp, "due to invalid timestamp"},
		"none":                      {-1, protocol.InvalidRecord, fmt.Sprintf("due to %d record errors in total", total)},
	} {
		var r refusals
		for i := range int32(total) {
			code := protocol.InvalidRecord
			if i == c.late {
				code = protocol.InvalidTimestamp
			}
			r.add(i, code, "why")
		}
		if err := r.err(); protocol.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %s, %v", name, protocol.CodeOf(err), err)
		}
	}
}

// poolsKeep reports whether a sync.Pool returns what was put into it. Under the race detector a
// pool drops items on purpose.
func poolsKeep() bool {
	var pool sync.Pool
	for range 100 {
		pool.Put(new(int))
		if pool.Get() == nil {
			return false
		}
	}
	return true
}

func TestInPlaceValidationDoesNotAllocate(t *testing.T) {
	allowed := 0.0
	if !poolsKeep() {
		allowed = 20 // for a new iterator and a new decompressor; far fewer than one per record
	}
	for codec := None; codec <= Zstd; codec++ {
		set := made(t, batchOf(2, codec), 200)
		original := bytes.Clone(set)
		target := plainTarget()
		allocations := testing.AllocsPerRun(50, func() {
			copy(set, original)
			if _, err := validateAndAssign(set, target); err != nil {
				t.Fatal(err)
			}
			if _, err := CheckAppend(set, Check{Origin: FromReplication, LeaderEpoch: 9, TopicPartition: "t-0"}); err != nil {
				t.Fatal(err)
			}
		})
		if allocations > allowed {
			t.Errorf("%s: %.0f allocations per set of 200 records", codec, allocations)
		}
	}
}

// v0 messages have no timestamp, not even with LogAppendTime.
func TestTheOldestMessagesHaveNoTimestamp(t *testing.T) {
	target := plainTarget()
	target.Magic, target.TimestampType = 0, LogAppendTime
	got, err := validateAndAssign(made(t, batchOf(0, None), 3), target)
	if err != nil || got.MaxTimestamp != NoTimestamp || got.OffsetOfMaxTimestamp != NoOffset || got.LogAppendTime != nowMs {
		t.Errorf("%+v, %v", got, err)
	}
}
