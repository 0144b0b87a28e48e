package record

import (
	"errors"
	"io"
	"sync"

	"github.com/monedula/monedula/protocol"
)

// Decompressors and compressors are kept in pools for the whole process: they
// hold tables and windows, never data that outlives a use.

// decompressor reads the payload of one batch as a stream. Its own memory is
// bounded whatever the payload claims.
type decompressor interface {
	// reset begins a payload. magic is the batch's: lz4 in v0 differs.
	reset(payload []byte, magic int8) error
	// Read fills p as io.Reader does. Every error but io.EOF means that the
	// payload is damaged.
	Read(p []byte) (int, error)
	// release drops the payload and returns the decompressor to its pool.
	release()
}

// compressor writes the payload of one batch to an outBuffer.
type compressor interface {
	reset(out *outBuffer, magic int8)
	Write(p []byte) (int, error)
	// finish writes what is buffered and the end of the stream.
	finish() error
	release()
}

var decompressors = [Zstd + 1]sync.Pool{
	Gzip:   {New: func() any { return new(gzipDecompressor) }},
	Snappy: {New: func() any { return new(snappyDecompressor) }},
	LZ4:    {New: func() any { return new(lz4Decompressor) }},
	Zstd:   {New: func() any { return new(zstdDecompressor) }},
}

// openDecompressor begins the payload of a batch. The error is that of
// undecompressable.
func openDecompressor(codec Codec, payload []byte, magic int8) (decompressor, error) {
	if codec <= None || codec > Zstd {
		return nil, unknownCodec(codec)
	}
	d := decompressors[codec].Get().(decompressor)
	if err := d.reset(payload, magic); err != nil {
		d.release()
		return nil, undecompressable(err)
	}
	return d, nil
}

// undecompressable is how Kafka answers a payload its codec refuses.
func undecompressable(err error) error {
	return protocol.Errorf(protocol.UnknownServerError, "Failed to decompress record stream: %v", err)
}

// openCompressor begins a payload into out.
func openCompressor(codec Codec, level int, out *outBuffer, magic int8) (compressor, error) {
	var c compressor
	switch codec {
	case Gzip:
		c = gzipCompressorOf(level)
	case Snappy:
		c = snappyCompressors.Get().(*snappyCompressor)
	case LZ4:
		c = lz4CompressorOf(level)
	case Zstd:
		c = zstdCompressorOf(level)
	default:
		return nil, unknownCodec(codec)
	}
	c.reset(out, magic)
	return c, nil
}

// errOutputTooLarge ends the writing into an outBuffer beyond its limit.
// errVarintTooLong is a record's length that does not end; Kafka has no code for it.
var errVarintTooLong = protocol.Errorf(protocol.UnknownServerError, "Varint is too long, the most significant bit in the 5th byte is set")

var errOutputTooLarge = errors.New("the output is larger than its limit")

// outBuffer is a growing slice that a compressor writes to.
type outBuffer struct {
	b     []byte
	limit int // bytes; 0: none
}

func (o *outBuffer) Write(p []byte) (int, error) {
	if o.limit > 0 && len(o.b)+len(p) > o.limit {
		return 0, errOutputTooLarge
	}
	o.b = append(o.b, p...)
	return len(p), nil
}

// readFull is io.ReadFull of a decompressor without its interface conversion.
func readFull(d decompressor, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = d.Read(p[n:])
		n += m
	}
	if n == len(p) {
		return n, nil
	}
	if err == io.EOF && n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
