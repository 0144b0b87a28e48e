package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/protocol"
)

func TestDamagedRecordsAreInvalid(t *testing.T) {
	good := made(t, batchOf(2, None), 3)
	payload := good[HeaderSize:]
	for _, codec := range []Codec{None, Gzip, LZ4, Zstd} {
		rewrite := func(payload []byte) []byte { return repack(t, codec, payload, 3) }
		if _, err := validateAndAssign(rewrite(payload), plainTarget()); err != nil {
			t.Fatalf("%s: the undamaged payload: %v", codec, err)
		}
		for name, damaged := range map[string][]byte{
			"cut":                  payload[:len(payload)-1],
			"one byte more":        append(bytes.Clone(payload), 0),
			"empty":                {},
			"size too small":       replace(payload, 0, payload[0]-2),
			"size too large":       replace(payload, 0, payload[0]+2),
			"negative size":        replace(payload, 0, 1),
			"negative headers":     replaceLast(payload, 1),
			"key beyond the end":   replace(payload, 4, 0x7e),
			"value beyond the end": replace(payload, 10, 0x7e),
		} {
			if _, err := validateAndAssign(rewrite(damaged), plainTarget()); protocol.CodeOf(err) != protocol.InvalidRecord {
				t.Errorf("%s, %s: %v", codec, name, err)
			}
			if err := Batch(rewrite(damaged)).Each(func(*Record) error { return nil }); protocol.CodeOf(err) != protocol.InvalidRecord {
				t.Errorf("%s, %s: Each: %v", codec, name, err)
			}
		}
		// The batch has no bytes after this count that could be read as a header.
		nothing := repack(t, codec, []byte{12, 0, 0, 0, 1, 1, 1}, 1)
		if err := Batch(nothing).Each(func(*Record) error { return nil }); protocol.CodeOf(err) != protocol.InvalidRecord {
			t.Errorf("%s, -1 headers: Each: %v", codec, err)
		}
		if _, err := validateAndAssign(nothing, plainTarget()); protocol.CodeOf(err) != protocol.InvalidRecord {
			t.Errorf("%s, -1 headers: %v", codec, err)
		}
		// Kafka has no error code for a varint that does not end.
		endless := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, payload...)
		if _, err := validateAndAssign(rewrite(endless), plainTarget()); protocol.CodeOf(err) != protocol.UnknownServerError {
			t.Errorf("%s, endless varint: %v", codec, err)
		}
		if err := Batch(rewrite(endless)).Each(func(*Record) error { return nil }); protocol.CodeOf(err) != protocol.UnknownServerError {
			t.Errorf("%s, endless varint: Each: %v", codec, err)
		}
	}
	for codec := Gzip; codec <= Zstd; codec++ {
		set := made(t, batchOf(2, codec), 30)
		for _, damage := range []func([]byte) []byte{
			func(b []byte) []byte { return resize(b[:len(b)-5]) },
			func(b []byte) []byte { b[HeaderSize+1] ^= 0x55; return b },
			func(b []byte) []byte { return resize(b[:HeaderSize+3]) },
		} {
			damaged := resum(damage(bytes.Clone(set)))
			if _, err := validateAndAssign(damaged, plainTarget()); protocol.CodeOf(err) != protocol.UnknownServerError && protocol.CodeOf(err) != protocol.InvalidRecord {
				t.Errorf("%s: %v", codec, err)
			}
		}
	}
}

// Without a check, a negative count would mean a batch with any number of records.
func TestANegativeCountOfRecordsIsInvalid(t *testing.T) {
	payload := made(t, batchOf(2, None), 3)[HeaderSize:]
	for codec := None; codec <= Zstd; codec++ {
		for _, count := range []int32{-1, math.MinInt32} {
			b := Batch(repack(t, codec, payload, 3))
			b.putInt32(countAt, count)
			want := fmt.Sprintf("Found invalid record count %d in magic v2 batch", count)
			for name, err := range map[string]error{
				"Each":          b.Each(func(*Record) error { return nil }),
				"EachTimestamp": b.EachTimestamp(func(Offset, int64) error { return nil }),
			} {
				if protocol.CodeOf(err) != protocol.InvalidRecord || err.Error() != want {
					t.Errorf("%s, %d records: %s: %v", codec, count, name, err)
				}
			}
		}
	}
}

// The fields of a record must fill its body, and its headers must match their count. This also
// applies to a record that is skipped because it is larger than the window.
func TestARecordMustBeAsLongAsItsBody(t *testing.T) {
	record := func(valueSize int, behindValue []byte, inBody ...byte) []byte {
		body := binary.AppendVarint([]byte{0, 0, 0, 1}, int64(valueSize))
		body = append(body, bytes.Repeat([]byte("v"), valueSize)...)
		body = append(append(body, behindValue...), inBody...)
		return append(binary.AppendVarint(nil, int64(len(body))), body...)
	}
	second := []byte{12, 0, 0, 2, 1, 1, 0}
	for _, codec := range []Codec{None, Gzip, Zstd} {
		for _, size := range []int{5, 3 * windowSize} {
			for name, c := range map[string]struct {
				payload []byte
				want    protocol.ErrorCode
				text    string // at the start of the error
			}{
				"sound":                        {append(record(size, []byte{0}), second...), protocol.None, ""},
				"an extra byte":                {append(record(size, []byte{0}, 0), second...), protocol.InvalidRecord, "Invalid record size: expected to read "},
				"the next record in the body":  {record(size, []byte{0}, second...), protocol.InvalidRecord, "Invalid record size: expected to read "},
				"-1 headers and nothing after": {append(record(size, []byte{1}), second...), protocol.InvalidRecord, "Found invalid number of record headers -1"},
				"no count of headers":          {append(record(size, nil), second...), protocol.InvalidRecord, "Found invalid record structure"},
				"a header without a value":     {append(record(size, []byte{2, 2, 'k'}), second...), protocol.InvalidRecord, "Found invalid record structure"},
			} {
				dropWindows()
				if _, err := validateAndAssign(repack(t, codec, c.payload, 2), plainTarget()); protocol.CodeOf(err) != c.want || err != nil && !strings.HasPrefix(err.Error(), c.text) {
					t.Errorf("%s, value of %d bytes, %s: %v", codec, size, name, err)
				}
			}
		}
	}
}

// A record of more than 100 MiB is too large only if it is compressed; otherwise its size is wrong.
func TestRecordsThatClaimTooMuchAreRefused(t *testing.T) {
	payload := append(binary.AppendVarint(nil, recordSizeMax+1), 0, 0, 0)
	for codec, want := range map[Codec]protocol.ErrorCode{None: protocol.InvalidRecord, Gzip: protocol.MessageTooLarge} {
		err := Batch(repack(t, codec, payload, 1)).Each(func(*Record) error { return nil })
		if protocol.CodeOf(err) != want {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

// A large old message is skipped in pieces, but it is known whether it has a key.
func TestALargeOldMessageWithoutAKeyIsRefusedInACompactedTopic(t *testing.T) {
	for magic := range int8(2) {
		for _, key := range [][]byte{nil, {}} {
			b := NewBuilder(batchOf(magic, None))
			if err := b.Append(nowMs, key, bytes.Repeat([]byte("x"), 3*windowSize)); err != nil {
				t.Fatal(err)
			}
			inner, err := b.Build()
			if err != nil {
				t.Fatal(err)
			}
			target := plainTarget()
			target.Magic, target.Compacted = magic, true
			dropWindows()
			if _, err := validateAndAssign(wrap(t, magic, Gzip, inner, 0), target); (protocol.CodeOf(err) == protocol.InvalidRecord) != (key == nil) {
				t.Errorf("v%d, key %q: %v", magic, key, err)
			}
		}
	}
}

// A block that claims a size to which snappy cannot compress so well is refused before memory is
// allocated for it.
func TestSnappyBlocksThatClaimTooMuchAllocateNothing(t *testing.T) {
	payload := append(binary.AppendUvarint(nil, 1<<30), 0, 'x')
	bytes := allocated(func() {
		if _, err := validateAndAssign(repackRaw(Snappy, payload, 1), plainTarget()); err == nil {
			t.Error("no error")
		}
	})
	if bytes > 1<<20 {
		t.Errorf("allocated %d MiB", bytes>>20)
	}
}

// repackRaw returns a batch that claims count records and has payload as its compressed bytes.
func repackRaw(codec Codec, payload []byte, count int32) []byte {
	set := append(make([]byte, HeaderSize), payload...)
	writeHeader(set, batchOf(2, codec), count-1, nowMs, nowMs, count)
	return set
}

func TestInnerChecksumsAreChecked(t *testing.T) {
	for _, magic := range []int8{0, 1} {
		inner := made(t, batchOf(magic, None), 3)
		for _, size := range []int{0, windowSize * 3} {
			if size > 0 {
				b := NewBuilder(batchOf(magic, None))
				if err := b.Append(nowMs, []byte("k"), bytes.Repeat([]byte("v"), size)); err != nil {
					t.Fatal(err)
				}
				inner, _ = b.Build()
			}
			target := plainTarget()
			target.Magic = magic
			dropWindows()
			if _, err := validateAndAssign(wrap(t, magic, Gzip, inner, 0), target); err != nil {
				t.Errorf("v%d: sound: %v", magic, err)
			}
			inner[len(inner)-1] ^= 1
			if _, err := validateAndAssign(wrap(t, magic, Gzip, inner, 0), target); protocol.CodeOf(err) != protocol.CorruptMessage {
				t.Errorf("v%d: damaged: %v", magic, err)
			}
		}
	}
	// An inner message of the other format.
	set := wrap(t, 1, Gzip, made(t, batchOf(0, None), 1), 0)
	target := plainTarget()
	target.Magic = 1
	_, err := validateAndAssign(set, target)
	var refused *InvalidRecords
	if !errors.As(err, &refused) || !strings.Contains(refused.Errors[0].Message, "Record LegacyRecordBatch(offset=0, Record(magic=0, attributes=0, compression=none, crc=") ||
		!strings.HasSuffix(refused.Errors[0].Message, ", key=5 bytes, value=0 bytes))'s magic does not match outer magic 1 in topic partition t-0") {
		t.Errorf("%v", err)
	}
}

// wrap returns a v0 or v1 wrapper around a payload. A nil payload is written as null.
func wrap(t testing.TB, magic int8, codec Codec, payload []byte, lastOffset Offset) []byte {
	t.Helper()
	set := make([]byte, MinSize(magic))
	if payload != nil {
		out := outBuffer{b: set}
		c, err := openCompressor(codec, DefaultLevel, &out, magic)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(payload); err != nil {
			t.Fatal(err)
		}
		if err := c.finish(); err != nil {
			t.Fatal(err)
		}
		c.release()
		set = out.b
	}
	b := &Builder{o: Options{Magic: magic, Codec: codec, TimestampType: CreateTime}, lastOffset: lastOffset, maxTimestamp: nowMs}
	b.writeWrapper(set)
	if payload == nil {
		Batch(set).putInt32(legacyKeySizeAt(magic)+4, -1)
	}
	return set
}

// repack compresses the payload and returns it as a v2 batch of count records.
func repack(t testing.TB, codec Codec, payload []byte, count int32) []byte {
	t.Helper()
	out := outBuffer{b: make([]byte, HeaderSize)}
	if codec == None {
		out.b = append(out.b, payload...)
	} else {
		c, err := openCompressor(codec, DefaultLevel, &out, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer c.release()
		if _, err := c.Write(payload); err != nil {
			t.Fatal(err)
		}
		if err := c.finish(); err != nil {
			t.Fatal(err)
		}
	}
	o := batchOf(2, codec)
	writeHeader(out.b, o, count-1, nowMs, nowMs, count)
	return out.b
}

// resize sets the size field to the number of bytes.
func resize(b []byte) []byte {
	Batch(b).putInt32(sizeAt, int32(len(b)-LogOverhead))
	return b
}

func replace(b []byte, at int, c byte) []byte {
	b = bytes.Clone(b)
	b[at] = c
	return b
}

// replaceLast sets the header count of the last record, which is the last byte of the payload.
func replaceLast(payload []byte, c byte) []byte {
	at := bytes.LastIndex(payload, []byte{4, 2, 'h'})
	return append(bytes.Clone(payload[:at]), append([]byte{c}, payload[at+1:]...)...)
}

// An old-format message that is larger than the window is skipped in pieces if only its timestamp
// is needed.
func TestDamagedLargeOldMessagesAreFound(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		b := NewBuilder(batchOf(1, None))
		if err := b.Append(nowMs, nil, bytes.Repeat([]byte("x"), 3*windowSize)); err != nil {
			t.Fatal(err)
		}
		inner, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if damaged {
			inner[2*windowSize] ^= 1
		}
		wrapper := append(make([]byte, MinSize(1)), pack(t, Gzip, inner, 1)...)
		(&Builder{o: batchOf(1, Gzip), maxTimestamp: nowMs}).writeWrapper(wrapper)
		dropWindows()
		err = Batch(wrapper).EachTimestamp(func(Offset, int64) error { return nil })
		if damaged != (protocol.CodeOf(err) == protocol.CorruptMessage) || !damaged && err != nil {
			t.Errorf("damaged %v: %v", damaged, err)
		}
	}
}

// A message that ends early, or whose key or value reaches beyond its end, has the same result
// whether it is skipped or read.
func TestALargeOldMessageThatEndsEarlyIsSkippedAsItIsRead(t *testing.T) {
	for magic := range int8(2) {
		b := NewBuilder(batchOf(magic, None))
		if err := b.Append(nowMs, []byte("key"), bytes.Repeat([]byte("x"), 3*windowSize)); err != nil {
			t.Fatal(err)
		}
		inner, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		compare := func(what string, payload []byte) error {
			wrapper := append(make([]byte, MinSize(magic)), pack(t, Gzip, payload, magic)...)
			(&Builder{o: batchOf(magic, Gzip), maxTimestamp: nowMs}).writeWrapper(wrapper)
			read, skipped := 0, 0
			want := Batch(wrapper).Each(func(*Record) error { read++; return nil })
			dropWindows()
			got := Batch(wrapper).EachTimestamp(func(Offset, int64) error { skipped++; return nil })
			if fmt.Sprint(got) != fmt.Sprint(want) || read != skipped {
				t.Errorf("v%d, %s: skipped %d, %v; read %d, %v", magic, what, skipped, got, read, want)
			}
			return got
		}
		for _, end := range slices.Concat(upTo(64), []int{windowSize, 2 * windowSize, len(inner) - 1}) {
			compare(fmt.Sprintf("%d bytes", end), inner[:end])
		}
		keyAt := legacyKeySizeAt(magic)
		for what, c := range map[string]struct {
			at       int
			n        int32
			accepted bool
		}{
			"no key, so that its bytes are the size of the value":   {keyAt, -1, false},
			"a key that ends where the size of the value should be": {keyAt, int32(len(inner) - keyAt - 4), false},
			"a key beyond the end":                                  {keyAt, int32(len(inner)), false},
			"a value that ends early":                               {keyAt + 7, 3*windowSize - 1, true},
			"a value beyond the end":                                {keyAt + 7, 3*windowSize + 1, false},
		} {
			damaged := bytes.Clone(inner)
			Batch(damaged).putInt32(c.at, c.n)
			if err := compare(what, append(resum(damaged), inner...)); (err == nil) != c.accepted {
				t.Errorf("v%d, %s: %v", magic, what, err)
			}
		}
	}
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func TestLZ4BlocksAboveTheMaximumOfTheFrameAreRefused(t *testing.T) {
	head := pack(t, LZ4, nil, 2)[:lz4HeaderSize]
	for size, refused := range map[int]bool{lz4BlockSize: false, lz4BlockSize + 1: true} {
		payload := binary.LittleEndian.AppendUint32(bytes.Clone(head), uint32(size)|lz4Stored)
		payload = append(append(payload, make([]byte, size)...), 0, 0, 0, 0)
		if _, err := unpack(LZ4, payload, 2); refused != (err != nil) {
			t.Errorf("a block of %d bytes: %v", size, err)
		}
	}
}
