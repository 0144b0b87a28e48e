package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/monedula/monedula/protocol"
)

// slowSources open sources that decompress any payload to content, one byte in each call. From the
// source with number damaged on, counted from 1, they fail after cut bytes.
type slowSources struct {
	content      []byte
	damaged, cut int
	opened       int
	released     int
}

var errDamaged = errors.New("damaged")

type slowSource struct {
	all     *slowSources
	content []byte
	end     error
}

func (s *slowSource) reset([]byte, int8) error {
	s.all.opened++
	s.content, s.end = s.all.content, io.EOF
	if s.all.opened >= s.all.damaged {
		s.content, s.end = s.content[:s.all.cut], errDamaged
	}
	return nil
}

func (s *slowSource) Read(p []byte) (n int, err error) {
	if len(s.content) == 0 {
		return 0, s.end
	}
	n = copy(p[:1], s.content)
	s.content = s.content[n:]
	return n, nil
}

func (s *slowSource) release() { s.all.released++ }

// replaceGzip calls f while gzip payloads are decompressed by the sources. Windows have the usual
// size.
func (s *slowSources) replaceGzip(t *testing.T, f func()) {
	t.Helper()
	s.opened, s.released = 0, 0
	dropWindows()
	usual := decompressors[Gzip].New
	decompressors[Gzip] = sync.Pool{New: func() any { return &slowSource{all: s} }}
	defer func() { decompressors[Gzip] = sync.Pool{New: usual} }()
	if f(); s.opened == 0 || s.opened != s.released {
		t.Errorf("%d decompressors were opened, %d released", s.opened, s.released)
	}
}

// gzipBatch returns a gzip batch of a record with a value of the size between two small ones, with
// timestamps far apart, and its decompressed payload.
func gzipBatch(t *testing.T, magic int8, size int) (set Batch, content []byte) {
	b := NewBuilder(batchOf(magic, None))
	for i, value := range [][]byte{[]byte("first"), bytes.Repeat([]byte("v"), size), []byte("last")} {
		if err := b.Append(nowMs+int64(i)<<40, []byte("key"), value); err != nil {
			t.Fatal(err)
		}
	}
	plain, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if magic == 2 {
		return repack(t, Gzip, plain[HeaderSize:], 3), plain[HeaderSize:]
	}
	return wrap(t, magic, Gzip, plain, 2), plain
}

// A record is read and skipped in the same way however few bytes the codec returns at a time.
func TestPayloadsAreReadInPiecesOfAnySize(t *testing.T) {
	for magic := range int8(3) {
		for _, size := range []int{10, windowSize + 100} {
			set, content := gzipBatch(t, magic, size)
			want := records(t, set)
			sources := &slowSources{content: content, damaged: 100}
			sources.replaceGzip(t, func() {
				if got := records(t, set); !equalRecords(got, want) {
					t.Errorf("v%d, %d bytes: %d records differ", magic, size, len(got))
				}
			})
			sources.replaceGzip(t, func() {
				i := 0
				err := set.EachTimestamp(func(offset Offset, ts int64) error {
					if offset != want[i].Offset || ts != want[i].Timestamp {
						t.Errorf("v%d, %d bytes: offset %d at %d, want %d at %d", magic, size, offset, ts, want[i].Offset, want[i].Timestamp)
					}
					i++
					return nil
				})
				if err != nil || i != len(want) {
					t.Errorf("v%d, %d bytes: %d records, %v", magic, size, i, err)
				}
			})
		}
	}
}

// A payload that cannot be decompressed is reported as such wherever the damage is.
func TestDamageOfACompressedPayloadIsReportedWhereverItIs(t *testing.T) {
	want := undecompressable(errDamaged)
	for magic := range int8(3) {
		for _, size := range []int{10, windowSize + 100} {
			set, content := gzipBatch(t, magic, size)
			damaged := 1
			if magic < 2 {
				damaged = 2 // the first pass only finds the last offset
			}
			for _, cut := range slices.Concat(upTo(60), []int{windowSize, windowSize + 1}, fromEnd(content, 60)) {
				if cut > len(content) {
					continue
				}
				for name, each := range map[string]func() error{
					"read":    func() error { return set.Each(func(*Record) error { return nil }) },
					"skipped": func() error { return set.EachTimestamp(func(Offset, int64) error { return nil }) },
				} {
					sources := &slowSources{content: content, damaged: damaged, cut: cut}
					sources.replaceGzip(t, func() {
						if err := each(); fmt.Sprint(err) != fmt.Sprint(want) {
							t.Errorf("v%d, %d bytes, %s: damage after %d of %d bytes: %v", magic, size, name, cut, len(content), err)
						}
					})
				}
			}
		}
	}
}

// fromEnd returns the last n positions of b, and its end.
func fromEnd(b []byte, n int) (positions []int) {
	for at := max(len(b)-n, 0); at <= len(b); at++ {
		positions = append(positions, at)
	}
	return positions
}

// A wrapper that turns out to have no messages gives its decompressor back once. In the pool twice,
// it would serve two batches at the same time.
func TestADecompressorIsReleasedOnce(t *testing.T) {
	set, _ := gzipBatch(t, 1, 10)
	(&slowSources{damaged: 100}).replaceGzip(t, func() {
		if err := set.Each(func(*Record) error { return nil }); protocol.CodeOf(err) != protocol.InvalidRecord {
			t.Error(err)
		}
	})
}

func TestAWindowThatALargeRecordMadeGrowIsNotKept(t *testing.T) {
	for _, size := range []int{windowSize, 2 * pooledBufferMax} {
		set, _ := gzipBatch(t, 2, size)
		it := openIterator(set, true)
		for more := true; more; {
			var err error
			if more, err = it.next(); err != nil {
				t.Fatal(err)
			}
		}
		it.close()
		if len(it.window) > pooledBufferMax || size <= windowSize && len(it.window) == 0 {
			t.Errorf("after a record of %d bytes the window has %d", size, len(it.window))
		}
	}
}

// A stream that has permission for a large window of its codec needs no second one for a large
// record. Otherwise streams could wait for each other.
func TestALargeWindowAndALargeRecordNeedOnePermission(t *testing.T) {
	b := NewBuilder(batchOf(2, None))
	if err := b.Append(nowMs, nil, make([]byte, 2*recordSizeUnshared)); err != nil {
		t.Fatal(err)
	}
	plain, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	var payload bytes.Buffer
	e, err := zstd.NewWriter(&payload, zstd.WithWindowSize(32<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(plain[HeaderSize:]); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	held := 0
	err = Batch(repackRaw(Zstd, payload.Bytes(), 1)).Each(func(*Record) error {
		held = len(largeStreams)
		return nil
	})
	if err != nil || held != 1 || len(largeStreams) != 0 {
		t.Errorf("%d permissions, %d afterwards, %v", held, len(largeStreams), err)
	}
}
