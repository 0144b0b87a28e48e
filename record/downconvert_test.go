package record

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/monedula/monedula/protocol"
)

func TestDownConversionKeepsOffsetsKeysAndValues(t *testing.T) {
	for codec := None; codec <= LZ4; codec++ {
		o := batchOf(2, codec)
		o.BaseOffset = 50
		set := made(t, o, 10)
		for _, magic := range []int8{0, 1} {
			out, err := DownConvert(set, magic, 0)
			if err != nil {
				t.Fatal(err)
			}
			want := records(t, set)
			for i := range want {
				want[i].Headers = nil
				if magic == 0 {
					want[i].Timestamp = NoTimestamp
				}
			}
			if got := records(t, out); !equalRecords(got, want) {
				t.Errorf("%s to v%d: %+v", codec, magic, got)
			}
			if b := Batch(out); b.Magic() != magic || b.Codec() != codec {
				t.Errorf("%s: v%d, %s", codec, b.Magic(), b.Codec())
			}
		}
	}
}

func TestDownConversionDropsWhatOldConsumersCannotSkip(t *testing.T) {
	o := Defaults()
	o.BaseOffset = 10
	plain := made(t, o, 5) // offsets 10-14
	o.BaseOffset, o.Codec = 15, Gzip
	packed := made(t, o, 5) // offsets 15-19
	p := Defaults()
	p.BaseOffset, p.ProducerID, p.ProducerEpoch = 20, 1, 0
	marker, err := EndTxnMarker(p, Commit, 0, nowMs)
	if err != nil {
		t.Fatal(err)
	}
	empty := EmptyBatch(p, 25, nowMs)
	o.Magic, o.BaseOffset = 1, 30
	old := made(t, o, 2)

	out, err := DownConvert(slices.Concat(plain, packed, marker, empty, old, plain[:20]), 1, 12)
	if err != nil {
		t.Fatal(err)
	}
	var offsets []Offset
	for _, r := range records(t, out) {
		offsets = append(offsets, r.Offset)
	}
	if !slices.Equal(offsets, []Offset{12, 13, 14, 15, 16, 17, 18, 19, 30, 31}) {
		t.Errorf("%v", offsets)
	}
	if !bytes.HasSuffix(out, old) {
		t.Error("a batch that needed no conversion was changed")
	}
	out, err = DownConvert(packed, 1, 18)
	if all := records(t, out); err != nil || len(all) != 5 {
		t.Errorf("a compressed batch must stay complete: %d records, %v", len(all), err)
	}
	if out, err := DownConvert(marker, 0, 0); err != nil || len(out) != 0 {
		t.Errorf("only a marker: %x, %v", out, err)
	}
}

// As Kafka writes it, offsets inside a v1 wrapper count from its first record. They do not count
// from the base offset of the batch, whose record compaction may have removed, nor from 0, from
// which the distance to a high offset does not fit.
func TestDownConvertedInnerOffsetsCountFromTheFirstRecord(t *testing.T) {
	o := Defaults()
	o.BaseOffset = 1 << 40
	want := []Offset{o.BaseOffset + 3, o.BaseOffset + 4, o.BaseOffset + 9}
	for codec := None; codec <= LZ4; codec++ {
		o.Codec = codec
		builder := NewBuilder(o)
		for _, offset := range want {
			if err := builder.AppendAt(offset, nowMs, []byte("k"), []byte("v")); err != nil {
				t.Fatal(err)
			}
		}
		set, err := builder.Build()
		if err != nil {
			t.Fatal(err)
		}
		for _, magic := range []int8{0, 1} {
			out, err := DownConvert(set, magic, 0)
			if err != nil {
				t.Errorf("%s to v%d: %v", codec, magic, err)
				continue
			}
			var got []Offset
			for _, r := range records(t, out) {
				got = append(got, r.Offset)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s to v%d: offsets %v, want %v", codec, magic, got, want)
			}
			if magic == 0 || codec == None {
				continue
			}
			_, value, _ := legacyKeyValue(out[LogOverhead:], magic)
			inner, err := unpack(codec, value, magic)
			if err != nil {
				t.Fatal(err)
			}
			var relative []Offset
			for len(inner) > 0 {
				b, rest, err := Next(inner)
				if err != nil || b == nil {
					t.Fatalf("%x, %v", []byte(b), err)
				}
				relative, inner = append(relative, b.BaseOffset()), rest
			}
			if !slices.Equal(relative, []Offset{0, 1, 6}) {
				t.Errorf("%s to v%d: relative offsets %v", codec, magic, relative)
			}
		}
	}
}

func TestDownConversionKeepsAppendTime(t *testing.T) {
	for _, codec := range []Codec{None, LZ4} {
		set := made(t, batchOf(2, codec), 4)
		Batch(set).SetMaxTimestamp(LogAppendTime, nowMs+77)
		out, err := DownConvert(set, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records(t, out) {
			if r.Timestamp != nowMs+77 || Batch(out).TimestampType() != LogAppendTime {
				t.Errorf("%s: %+v", codec, r)
			}
		}
	}
}

func TestDownConversionOfZstdIsRefused(t *testing.T) {
	before := made(t, batchOf(2, None), 2)
	out, err := DownConvert(slices.Concat(before, made(t, batchOf(2, Zstd), 2)), 1, 0)
	if protocol.CodeOf(err) != protocol.UnsupportedCompressionType || err.Error() != "Down-conversion of zstandard-compressed batches is not supported" {
		t.Errorf("%v", err)
	}
	if got := records(t, out); len(got) != 2 {
		t.Errorf("%d records before it", len(got))
	}
}

func TestDownConversionOfGoldenLogs(t *testing.T) {
	for _, b := range goldenBatches(t, "clean") {
		if b.Codec() == Zstd {
			continue
		}
		for _, magic := range []int8{0, 1} {
			out, err := DownConvert(b, magic, 0)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if !b.IsControl() {
				want = len(records(t, b))
			}
			if got := records(t, out); len(got) != want {
				t.Errorf("%d records at %d, want %d", len(got), b.BaseOffset(), want)
			}
		}
	}
}

func TestOverflowLooksLikeAnIncompleteMessage(t *testing.T) {
	for _, size := range []int{1, 12, 13, 60, 61, 500} {
		out := AppendOverflow([]byte("before"), size)[6:]
		if len(out) != max(size, LogOverhead) || int64(binary.BigEndian.Uint64(out)) != -1 {
			t.Errorf("%d: %x", size, out)
		}
		if b, _, err := Next(out); b != nil || err != nil {
			t.Errorf("%d: %x, %v", size, []byte(b), err)
		}
	}
}

// The sizes are those of responses of a real broker.
func TestDownConversionHasTheSizeAskedForOrOfTheFirstBatch(t *testing.T) {
	o := batchOf(2, None)
	plain := made(t, o, 100)
	o.BaseOffset, o.Codec = 100, Gzip
	set := slices.Concat(plain, made(t, o, 100))
	whole, err := DownConvert(set, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	first, err := DownConvert(plain, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 100, len(plain), len(first) - 1, len(first), len(first) + 1, len(whole) - 1, len(whole), len(whole) + 1, len(whole) + 500} {
		out, err := DownConvertSized(set, 1, 0, size)
		if err != nil || len(out) != max(size, len(first)) {
			t.Errorf("size %d: %d bytes, %v", size, len(out), err)
		}
		common := min(len(out), len(whole))
		if !bytes.Equal(out[:common], whole[:common]) {
			t.Errorf("size %d: other bytes", size)
		}
		if filled := out[common:]; len(filled) > 12 {
			if b, _, err := Next(filled); b != nil || err != nil {
				t.Errorf("size %d: filled with %x", size, filled)
			}
		}
	}
	p := Defaults()
	p.ProducerID, p.ProducerEpoch = 1, 0
	marker, err := EndTxnMarker(p, Commit, 0, nowMs)
	if err != nil {
		t.Fatal(err)
	}
	out, err := DownConvertSized(slices.Concat(marker, plain), 1, 0, 10)
	if err != nil || !bytes.Equal(out, first) {
		t.Errorf("a marker before: %d bytes, %v", len(out), err)
	}
	for _, empty := range [][]byte{marker, nil} {
		out, err := DownConvertSized(empty, 1, 0, 1000)
		if err != nil || !bytes.Equal(out, AppendOverflow(nil, LogOverhead)) {
			t.Errorf("nothing to convert: %x, %v", out, err)
		}
	}
	o.Codec = Zstd
	zstd := made(t, o, 3)
	if _, err := DownConvertSized(zstd, 1, 0, 1000); protocol.CodeOf(err) != protocol.UnsupportedCompressionType {
		t.Errorf("zstd at first: %v", err)
	}
	out, err = DownConvertSized(slices.Concat(plain, zstd), 1, 0, len(first)+100)
	if err != nil || len(out) != len(first)+100 {
		t.Errorf("zstd after it: %d bytes, %v", len(out), err)
	}
}
