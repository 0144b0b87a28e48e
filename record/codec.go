package record

import (
	"errors"
	"sync"

	"github.com/monedula/monedula/protocol"
)

// Decompressors and compressors are kept in pools that the whole process shares. They hold tables
// and windows, but no data after their use ends.

// decompressor reads the payload of one batch as a stream. Its own memory is bounded whatever the
// payload claims.
type decompressor interface {
	// reset starts a payload. magic is that of the batch, because lz4 differs in v0.
	reset(payload []byte, magic int8) error
	// Read fills p like an io.Reader. Every error except io.EOF means that the payload is damaged.
	Read(p []byte) (int, error)
	// release drops the payload and returns the decompressor to its pool.
	release()
}

// compressor compresses the payload of one batch into an outBuffer.
type compressor interface {
	reset(out *outBuffer, magic int8)
	Write(p []byte) (int, error)
	// finish writes the buffered bytes and the end of the stream.
	finish() error
	release()
}

var decompressors = [lastCodec + 1]sync.Pool{
	Gzip:   {New: func() any { return new(gzipDecompressor) }},
	Snappy: {New: func() any { return new(snappyDecompressor) }},
	LZ4:    {New: func() any { return new(lz4Decompressor) }},
	Zstd:   {New: func() any { return new(zstdDecompressor) }},
}

// openDecompressor starts decompressing the payload of a batch. Errors are those of
// undecompressable and unknownCodec.
func openDecompressor(codec Codec, payload []byte, magic int8) (decompressor, error) {
	if codec <= None || codec > lastCodec {
		return nil, unknownCodec(codec)
	}
	d := decompressors[codec].Get().(decompressor)
	if err := d.reset(payload, magic); err != nil {
		d.release()
		return nil, undecompressable(err)
	}
	return d, nil
}

// undecompressable returns the error with which Kafka responds to a payload that its codec rejects.
func undecompressable(err error) error {
	return protocol.Errorf(protocol.UnknownServerError, "Failed to decompress record stream: %v", err)
}

// openCompressor starts compressing a payload into out.
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

// errVarintTooLong is the error for a record whose length is a varint that is too long. Kafka has
// no error code for it.
var errVarintTooLong = protocol.Errorf(protocol.UnknownServerError, "Varint is too long, the most significant bit in the 5th byte is set")

// errOutputTooLarge is returned by an outBuffer for output beyond its limit.
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
