package record

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// zstdWindowSmall covers what clients send at all but the highest levels.
	zstdWindowSmall = 8 << 20
	// zstdWindowMax is the largest window that the reference decoder, and therefore Kafka, accepts.
	zstdWindowMax = 128 << 20
	// zstdWindowWritten is ample for a batch and keeps encoders small.
	zstdWindowWritten = 1 << 20
)

// zstdDecompressor reads one or more zstd frames.
type zstdDecompressor struct {
	payload  bytes.Reader
	whole    []byte
	small    *zstd.Decoder
	large    *zstd.Decoder // nil unless the payload needs a large window
	produced int64         // bytes returned by Read for this payload
	memory   *largeMemory  // of the stream that reads, otherwise &own
	own      largeMemory
}

func newZstdDecoder(window uint64) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window), zstd.WithDecodeBuffersBelow(0))
}

func (d *zstdDecompressor) reset(payload []byte, _ int8) (err error) {
	d.whole, d.produced, d.memory = payload, 0, &d.own
	d.payload.Reset(payload)
	if d.small == nil {
		if d.small, err = newZstdDecoder(zstdWindowSmall); err != nil {
			return err
		}
	}
	return d.small.Reset(&d.payload)
}

func (d *zstdDecompressor) Read(p []byte) (int, error) {
	decoder := d.small
	if d.large != nil {
		decoder = d.large
	}
	n, err := decoder.Read(p)
	d.produced += int64(n)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) && d.large == nil {
		if n > 0 {
			return n, nil
		}
		if err := d.enlarge(); err != nil {
			return 0, err
		}
		return d.Read(p)
	}
	return n, err
}

// enlarge starts the payload again with a decoder that accepts every window, and skips the bytes
// already read. Such a decoder allocates the whole window, whatever the size of the payload.
func (d *zstdDecompressor) enlarge() (err error) {
	d.memory.acquire()
	if d.large, err = newZstdDecoder(zstdWindowMax); err != nil {
		return err
	}
	d.payload.Reset(d.whole)
	if err = d.large.Reset(&d.payload); err == nil {
		_, err = io.CopyN(io.Discard, readerOnly{d.large}, d.produced)
	}
	return err
}

// readerOnly hides WriteTo, with which io.CopyN would read too far.
type readerOnly struct{ io.Reader }

func (d *zstdDecompressor) release() {
	d.payload.Reset(nil)
	d.whole = nil
	if d.large != nil {
		d.large.Close()
		d.large = nil
	}
	d.own.release()
	d.memory = nil
	if d.small != nil {
		_ = d.small.Reset(nil) // drops the payload; the error only says that there is no input now
	}
	decompressors[Zstd].Put(d)
}

type zstdCompressor struct {
	*zstd.Encoder
	pool *sync.Pool
}

// zstdCompressors has one pool for each level of the library.
var zstdCompressors [zstd.SpeedBestCompression + 1]sync.Pool

// zstdDefaultLevel is the default level of Kafka and of the reference encoder.
const zstdDefaultLevel = 3

func zstdCompressorOf(level int) compressor {
	if level == DefaultLevel {
		level = zstdDefaultLevel
	}
	speed := zstd.EncoderLevelFromZstd(level)
	pool := &zstdCompressors[speed]
	if c, ok := pool.Get().(*zstdCompressor); ok {
		return c
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(zstdWindowWritten), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic("record: the options of the zstd encoder contradict each other: " + err.Error())
	}
	return &zstdCompressor{Encoder: e, pool: pool}
}

func (c *zstdCompressor) reset(out *outBuffer, _ int8) { c.Encoder.Reset(out) }
func (c *zstdCompressor) finish() error                { return c.Encoder.Close() }

func (c *zstdCompressor) release() {
	c.Encoder.Reset(nil)
	c.pool.Put(c)
}
