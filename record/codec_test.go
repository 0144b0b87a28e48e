package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/monedula/monedula/protocol"
)

// unpack decompresses a payload to its end.
func unpack(codec Codec, payload []byte, magic int8) ([]byte, error) {
	d, err := openDecompressor(codec, payload, magic)
	if err != nil {
		return nil, err
	}
	defer d.release()
	var out []byte
	buf := make([]byte, 1000)
	for {
		n, err := d.Read(buf)
		out = append(out, buf[:n]...)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func pack(t testing.TB, codec Codec, data []byte, magic int8) []byte {
	t.Helper()
	var out outBuffer
	c, err := openCompressor(codec, DefaultLevel, &out, magic)
	if err != nil {
		t.Fatal(err)
	}
	defer c.release()
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	return out.b
}

func mustUnpack(t *testing.T, codec Codec, payload []byte, magic int8, want string) {
	t.Helper()
	got, err := unpack(codec, payload, magic)
	if err != nil || string(got) != want {
		t.Errorf("%s: %.60q (%d bytes), %v; want %.60q (%d bytes)", codec, got, len(got), err, want, len(want))
	}
}

func mustRefuse(t *testing.T, codec Codec, name string, payload []byte) {
	t.Helper()
	if got, err := unpack(codec, payload, 2); err == nil {
		t.Errorf("%s, %s: read as %.60q", codec, name, got)
	}
}

func TestIncompressibleDataReadsBack(t *testing.T) {
	noise := make([]byte, 300_000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for codec := Gzip; codec <= Zstd; codec++ {
		for _, size := range []int{1, xerialBlockSize, xerialBlockSize + 1, lz4BlockSize, lz4BlockSize + 1, len(noise)} {
			got, err := unpack(codec, pack(t, codec, noise[:size], 2), 2)
			if err != nil || !bytes.Equal(got, noise[:size]) {
				t.Errorf("%s, %d bytes: %d bytes, %v", codec, size, len(got), err)
			}
		}
	}
}

func TestConcatenatedStreams(t *testing.T) {
	for _, codec := range []Codec{Gzip, Snappy, Zstd} {
		mustUnpack(t, codec, slices.Concat(pack(t, codec, []byte("one "), 2), pack(t, codec, []byte("two"), 2)), 2, "one two")
	}
	// Only the first frame of lz4 is read, and bytes after a gzip member that are not a member are
	// ignored, as in Java.
	mustUnpack(t, LZ4, slices.Concat(pack(t, LZ4, []byte("one"), 2), pack(t, LZ4, []byte("two"), 2)), 2, "one")
	mustUnpack(t, Gzip, append(pack(t, Gzip, []byte("one"), 2), "rubbish"...), 2, "one")
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}
	mustUnpack(t, Zstd, slices.Concat(pack(t, Zstd, []byte("one"), 2), skippable, pack(t, Zstd, []byte("two"), 2)), 2, "onetwo")
}

func TestSnappyFramings(t *testing.T) {
	long := strings.Repeat("snappy ", 20_000)
	raw := s2.EncodeSnappy(nil, []byte(long))
	mustUnpack(t, Snappy, raw, 2, long)
	mustUnpack(t, Snappy, s2.EncodeSnappy(nil, []byte("x")), 2, "x")
	framed := pack(t, Snappy, []byte("framed"), 2)
	mustUnpack(t, Snappy, append(bytes.Clone(framed), 0, 0), 2, "framed")          // an incomplete length at the end
	mustUnpack(t, Snappy, append(bytes.Clone(framed), framed[:9]...), 2, "framed") // an incomplete header at the end
	mustUnpack(t, Snappy, framed[:xerialHeaderSize], 2, "")
	mustRefuse(t, Snappy, "empty", nil)
	mustRefuse(t, Snappy, "version 0", append(append(bytes.Clone(framed[:8]), 0, 0, 0, 0), framed[12:]...))
	mustRefuse(t, Snappy, "magic damaged in a second header", slices.Concat(framed, framed[:4], []byte("...."), framed[8:]))
	mustRefuse(t, Snappy, "block cut", framed[:len(framed)-1])
	mustRefuse(t, Snappy, "negative length", append(bytes.Clone(framed[:xerialHeaderSize]), 0xff, 0, 0, 0, 1))
	mustRefuse(t, Snappy, "length beyond the end", append(bytes.Clone(framed[:xerialHeaderSize]), 0, 0, 1, 0, 1))
	mustRefuse(t, Snappy, "wrong raw length", append(binary.AppendUvarint(nil, 1<<31), 0, 'x'))
	mustRefuse(t, Snappy, "an extension of snappy", s2.EncodeBetter(nil, bytes.Repeat([]byte("abcdefgh"), 10_000)))
}

func TestLZ4Framings(t *testing.T) {
	for _, magic := range []int8{0, 1, 2} {
		packed := pack(t, LZ4, []byte("some text"), magic)
		mustUnpack(t, LZ4, packed, magic, "some text")
		if _, err := unpack(LZ4, packed, 2); (err == nil) != (magic > 0) {
			t.Errorf("the header checksum of magic %d, read as of magic 2: %v", magic, err)
		}
		mustUnpack(t, LZ4, packed, 0, "some text")
	}
	if v0, v2 := pack(t, LZ4, nil, 0), pack(t, LZ4, nil, 2); v0[6] != 0x1a || v2[6] != 0x82 {
		t.Errorf("header checksums %x and %x, Kafka writes 1a and 82", v0[6], v2[6])
	}
	frame := func(flags, descriptor byte, extra []byte, blocks ...byte) []byte {
		b := append([]byte{4, 0x22, 0x4d, 0x18, flags, descriptor}, extra...)
		return append(append(b, byte(xxh32(b[4:])>>8)), blocks...)
	}
	end := []byte{0, 0, 0, 0}
	stored := append([]byte{3, 0, 0, 0x80}, "abc"...)
	mustUnpack(t, LZ4, frame(0x60, 0x40, nil, slices.Concat(stored, end)...), 2, "abc")
	mustUnpack(t, LZ4, frame(0x60, 0x70, nil, slices.Concat(stored, end)...), 2, "abc")
	mustUnpack(t, LZ4, frame(0x68, 0x40, make([]byte, 8), slices.Concat(stored, end)...), 2, "abc") // content size
	mustUnpack(t, LZ4, frame(0x64, 0x40, nil, slices.Concat(stored, end, []byte{1, 2, 3, 4})...), 2, "abc")
	sum := binary.LittleEndian.AppendUint32(nil, xxh32([]byte("abc")))
	mustUnpack(t, LZ4, frame(0x70, 0x40, nil, slices.Concat(stored, sum, end)...), 2, "abc") // block checksum
	mustRefuse(t, LZ4, "wrong block checksum", frame(0x70, 0x40, nil, slices.Concat(stored, []byte{1, 2, 3, 4}, end)...))
	mustRefuse(t, LZ4, "no block checksum", frame(0x70, 0x40, nil, stored...))
	mustRefuse(t, LZ4, "dependent blocks", frame(0x40, 0x40, nil, slices.Concat(stored, end)...))
	mustRefuse(t, LZ4, "reserved flag", frame(0x61, 0x40, nil, end...))
	mustRefuse(t, LZ4, "version 0", frame(0x20, 0x40, nil, end...))
	mustRefuse(t, LZ4, "block size 3", frame(0x60, 0x30, nil, end...))
	mustRefuse(t, LZ4, "no end mark", frame(0x60, 0x40, nil, stored...))
	mustRefuse(t, LZ4, "no content checksum", frame(0x64, 0x40, nil, end...))
	mustRefuse(t, LZ4, "block above the maximum", frame(0x60, 0x40, nil, 1, 0, 1, 0x80))
	mustRefuse(t, LZ4, "block cut", frame(0x60, 0x40, nil, 3, 0, 0, 0x80, 'a'))
	mustRefuse(t, LZ4, "other magic", []byte("rubbish, not lz4"))
	mustRefuse(t, LZ4, "empty", nil)
	mustRefuse(t, LZ4, "header checksum", func() []byte { b := frame(0x60, 0x40, nil, end...); b[6]++; return b }())
}

// Kafka's Lz4BlockOutputStream.FLG and BD accept exactly these flags and block descriptors.
func TestLZ4FrameHeadersAreAcceptedAsInKafka(t *testing.T) {
	for b := range 256 {
		for _, c := range []struct {
			what  string
			at    int
			sound bool
		}{
			{"flags", 4, b&0xe3 == 0x60}, // version 1, independent blocks, no reserved bit
			{"block descriptor", 5, b == 0x40 || b == 0x50 || b == 0x60 || b == 0x70},
		} {
			payload := []byte{4, 0x22, 0x4d, 0x18, 0x60, 0x40}
			payload[c.at] = byte(b)
			if payload[4]&lz4ContentSize != 0 {
				payload = append(payload, make([]byte, 8)...)
			}
			payload = append(payload, byte(xxh32(payload[4:])>>8))
			payload = append(payload, make([]byte, 8)...) // the end mark, and a content checksum or nothing
			if _, err := unpack(LZ4, payload, 2); c.sound != (err == nil) {
				t.Errorf("%s %#x: %v", c.what, b, err)
			}
		}
	}
}

func TestXXH32(t *testing.T) {
	for _, c := range []struct {
		in   string
		want uint32
	}{{"", 0x02cc5d05}, {"a", 0x550d7456}, {"abc", 0x32d153ff}, {"Nobody inspects the spammish repetition", 0xe2293b2f}} {
		if got := xxh32([]byte(c.in)); got != c.want {
			t.Errorf("xxh32(%q) = %#x, want %#x", c.in, got, c.want)
		}
	}
}

func TestZstdWindows(t *testing.T) {
	text := strings.Repeat("a window that is large ", 100_000)
	encode := func(window int) []byte {
		var b bytes.Buffer
		e, err := zstd.NewWriter(&b, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	mustUnpack(t, Zstd, encode(32<<20), 2, text)
	mustUnpack(t, Zstd, slices.Concat(encode(1<<20), encode(16<<20)), 2, text+text)
	mustRefuse(t, Zstd, "a window above the limit", []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x90, 1, 0, 0})
	if len(largeStreams) > 0 {
		t.Error("a large window was not released")
	}
	var got []byte
	for range 3 { // more often than largeStreams has places
		out, err := unpack(Zstd, encode(32<<20), 2)
		if err != nil {
			t.Fatal(err)
		}
		got = out
	}
	if string(got) != text {
		t.Error("text differs")
	}
}

func TestUnknownCodecsAreRefused(t *testing.T) {
	for _, codec := range []Codec{None, 5, 7} {
		if _, err := openDecompressor(codec, nil, 2); protocol.CodeOf(err) != protocol.UnknownServerError {
			t.Errorf("%s: %v", codec, err)
		}
	}
	if c, ok := CodecOf("lz4"); c != LZ4 || !ok {
		t.Error("CodecOf does not know lz4")
	}
	if _, ok := CodecOf("producer"); ok {
		t.Error("CodecOf returned a codec for producer")
	}
}

// zeros compresses head and size zero bytes without holding them. It leaves space for a v2 header.
func zeros(t testing.TB, codec Codec, head []byte, size int) []byte {
	t.Helper()
	out := outBuffer{b: make([]byte, HeaderSize)}
	c, err := openCompressor(codec, DefaultLevel, &out, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.release()
	if _, err := c.Write(head); err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for ; size > 0; size -= len(block) {
		if _, err := c.Write(block[:min(size, len(block))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	return out.b
}

// bomb returns a v2 batch with one record whose value has size zero bytes.
func bomb(t testing.TB, codec Codec, size int) []byte {
	t.Helper()
	body := appendVarint([]byte{0, 0, 0, 1}, int32(size)) // attributes, timestamp, offset, null key
	head := append(appendVarint(nil, int32(len(body)+size+1)), body...)
	set := zeros(t, codec, head, size+1) // the last byte is the count of headers, 0
	writeHeader(set, batchOf(2, codec), 0, nowMs, nowMs, 1)
	return set
}

// allocated runs f and returns how many bytes it allocated, which is an upper bound for the growth
// of memory.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestCompressionBombsDoNotGrowMemory(t *testing.T) {
	const size = 128 << 20
	for codec := Gzip; codec <= Zstd; codec++ {
		set := bomb(t, codec, size)
		if len(set) > size/15 {
			t.Fatalf("%s: a bomb of %d bytes", codec, len(set))
		}
		target := plainTarget()
		bytes := allocated(func() {
			got, err := validateAndAssign(set, target)
			if err != nil || got.Records != 1 || got.Rebuilt {
				t.Errorf("%s: %+v, %v", codec, got, err)
			}
		})
		if bytes > 16<<20 {
			t.Errorf("%s: validation allocated %d MiB for a record of %d MiB", codec, bytes>>20, size>>20)
		}
		if err := Batch(set).EachTimestamp(func(Offset, int64) error { return nil }); err != nil {
			t.Errorf("%s: %v", codec, err)
		}
		target.KeepCodec, target.Codec = false, Zstd
		if codec == Zstd {
			target.Codec = LZ4
		}
		bytes = allocated(func() {
			if _, err := validateAndAssign(set, target); protocol.CodeOf(err) != protocol.MessageTooLarge {
				t.Errorf("%s: recompression: %v", codec, err)
			}
		})
		if bytes > 16<<20 {
			t.Errorf("%s: recompression allocated %d MiB", codec, bytes>>20)
		}
		if err := Batch(set).Each(func(*Record) error { return nil }); protocol.CodeOf(err) != protocol.MessageTooLarge {
			t.Errorf("%s: Each: %v", codec, err)
		}
	}
}

func TestManySmallRecordsOfABombDoNotGrowMemory(t *testing.T) {
	// Each record has 7 bytes: size, attributes, two deltas, null key, empty value, no headers.
	const count = 3 << 20
	out := outBuffer{b: make([]byte, HeaderSize)}
	c, err := openCompressor(Zstd, DefaultLevel, &out, 2)
	if err != nil {
		t.Fatal(err)
	}
	one := bytes.Repeat([]byte{12, 0, 0, 0, 1, 0, 0}, 1<<10)
	for range count >> 10 {
		if _, err := c.Write(one); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(c.finish()); err != nil {
		t.Fatal(err)
	}
	c.release()
	writeHeader(out.b, batchOf(2, Zstd), count-1, nowMs, nowMs, count)
	target := plainTarget()
	target.KeepCodec, target.Codec = false, None
	bytes := allocated(func() {
		if _, err := validateAndAssign(out.b, target); protocol.CodeOf(err) != protocol.MessageTooLarge {
			t.Errorf("%v", err)
		}
	})
	if bytes > 16<<20 {
		t.Errorf("allocated %d MiB", bytes>>20)
	}
}

// dropWindows drops the windows of earlier iterations. One that a large record has made grow is large
// enough for the next record, which then is not skipped in pieces.
func dropWindows() { iterators = sync.Pool{New: iterators.New} }

func TestRecordsLargerThanTheWindowAreRead(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 3*windowSize/16)
	for codec := None; codec <= Zstd; codec++ {
		b := NewBuilder(batchOf(2, codec))
		var want []Record
		for i, r := range []Record{{Key: []byte("small")}, {Key: big, Value: big, Headers: []Header{{[]byte("h"), big}, {big, nil}}}, {Value: big}, {Key: big[:windowSize-20]}} {
			r.Offset, r.Timestamp, r.Sequence = Offset(i), nowMs+int64(i), NoSequence
			want = append(want, r)
			if err := b.Append(r.Timestamp, r.Key, r.Value, r.Headers...); err != nil {
				t.Fatal(err)
			}
		}
		set, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if got := records(t, set); !equalRecords(got, want) {
			t.Errorf("%s: records differ", codec)
		}
		var offsets []Offset
		var timestamps []int64
		dropWindows()
		err = Batch(set).EachTimestamp(func(offset Offset, ts int64) error {
			offsets, timestamps = append(offsets, offset), append(timestamps, ts)
			return nil
		})
		if err != nil || !slices.Equal(offsets, []Offset{0, 1, 2, 3}) || timestamps[3] != nowMs+3 {
			t.Errorf("%s: %v, %v, %v", codec, offsets, timestamps, err)
		}
		target := plainTarget()
		target.Compacted = true
		_, err = validateAndAssign(set, target)
		var refused *InvalidRecords
		if !errors.As(err, &refused) || len(refused.Errors) != 1 || refused.Errors[0].Index != 2 {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

func TestDamagedLargeRecordsAreInvalid(t *testing.T) {
	value := bytes.Repeat([]byte("x"), 2*windowSize)
	record := func(change func(sizes []int32)) []byte {
		// key size, value size, header count, header key size, header value size
		sizes := []int32{-1, int32(len(value)), 1, 1, int32(len(value))}
		change(sizes)
		body := appendVarint([]byte{0, 0, 0}, sizes[0])
		body = append(appendVarint(body, sizes[1]), value...)
		body = appendVarint(body, sizes[2])
		body = append(appendVarint(body, sizes[3]), 'h')
		body = append(appendVarint(body, sizes[4]), value...)
		return append(appendVarint(nil, int32(len(body))), body...)
	}
	validate := func(payload []byte) error {
		dropWindows()
		_, err := validateAndAssign(repack(t, Gzip, payload, 1), plainTarget())
		return err
	}
	// read returns the error of a record that is read whole.
	read := func(payload []byte) error {
		return Batch(repack(t, Gzip, payload, 1)).Each(func(*Record) error { return nil })
	}
	if err := validate(record(func([]int32) {})); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]int32){
		"key beyond the end":      func(s []int32) { s[0] = 1 << 30 },
		"value beyond the end":    func(s []int32) { s[1] = 1 << 20 },
		"negative header count":   func(s []int32) { s[2] = -1 },
		"too many headers":        func(s []int32) { s[2] = 1 << 29 },
		"one header too many":     func(s []int32) { s[2] = 2 },
		"one header too few":      func(s []int32) { s[2] = 0 },
		"negative header key":     func(s []int32) { s[3] = -1 },
		"header beyond the end":   func(s []int32) { s[4]++ },
		"header short of the end": func(s []int32) { s[4]-- },
	} {
		err := validate(record(change))
		if whole := read(record(change)); protocol.CodeOf(err) != protocol.InvalidRecord || err.Error() != fmt.Sprint(whole) {
			t.Errorf("%s: %v, and %v if the record is read whole", name, err, whole)
		}
	}
	// A field that reaches into the next record ends the batch, although the payload has its bytes.
	next := record(func([]int32) {})
	for name, size := range map[string]int{"key": 0, "value": 1, "header key": 3, "header value": 4} {
		damaged := record(func(s []int32) { s[size] = int32(2*len(value) + 100) })
		if err := validate(append(damaged, next...)); err == nil || err.Error() != "Found invalid record structure" {
			t.Errorf("a %s that reaches into the next record: %v", name, err)
		}
	}
	whole := record(func([]int32) {})
	for _, cut := range []int{1, 2, len(whole) / 2, len(whole) - 1} {
		if err := validate(whole[:cut]); protocol.CodeOf(err) != protocol.InvalidRecord {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

func TestGzipHeadersHaveNoModificationTime(t *testing.T) {
	for range 2 { // a new one, and one from the pool
		payload := pack(t, Gzip, []byte("text"), 2)
		if !bytes.Equal(payload[:8], []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0}) {
			t.Errorf("gzip header % x", payload[:10])
		}
	}
}

// However many payloads are read at once, only a few of them hold a large record or a large window.
func TestOnlyAFewStreamsHoldLargeRecordsAtOnce(t *testing.T) {
	o := batchOf(2, Gzip)
	b := NewBuilder(o)
	if err := b.Append(nowMs, nil, make([]byte, 2*recordSizeUnshared)); err != nil {
		t.Fatal(err)
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		largeStreams = make(chan struct{}, 2) // a channel of this synctest bubble
		entered, proceed := 0, make(chan struct{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range 5 {
			wg.Go(func() {
				err := Batch(set).Each(func(*Record) error {
					mu.Lock()
					entered++
					mu.Unlock()
					<-proceed
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		for step := range 5 {
			synctest.Wait()
			if want := min(step+2, 5); entered != want {
				t.Errorf("%d streams hold a large record after %d ended, want %d", entered, step, want)
			}
			proceed <- struct{}{}
		}
		wg.Wait()
	})
	largeStreams = make(chan struct{}, 2)
}

// A compressor fails when its output reaches the limit, not after it has written everything.
func TestOutputStopsAtItsLimit(t *testing.T) {
	o := outBuffer{limit: 4}
	for _, c := range []struct {
		p    string
		want error
	}{{"abc", nil}, {"de", errOutputTooLarge}, {"f", nil}, {"g", errOutputTooLarge}} {
		if _, err := o.Write([]byte(c.p)); err != c.want {
			t.Errorf("writing %q after %q: %v, want %v", c.p, o.b, err, c.want)
		}
	}
	if string(o.b) != "abcf" {
		t.Errorf("%q was written", o.b)
	}
}
