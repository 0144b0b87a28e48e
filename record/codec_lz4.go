package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pierrec/lz4/v4"
)

// The LZ4 frame format, limited to what Kafka writes and reads.
const (
	lz4Magic         = 0x184d2204 // little-endian
	lz4Version       = 1 << 6
	lz4VersionMask   = 3 << 6
	lz4Independent   = 1 << 5
	lz4BlockChecksum = 1 << 4
	lz4ContentSize   = 1 << 3
	lz4ContentSum    = 1 << 2
	lz4ReservedFlags = 3
	lz4BlockSizeID   = 4 // 64 KiB blocks
	lz4BlockSize     = 64 << 10
	lz4Stored        = 1 << 31 // the block is not compressed

	lz4HeaderSize = 7 // magic, flags, block descriptor, header checksum
)

var (
	errLZ4Short      = errors.New("lz4: the stream ended prematurely")
	errLZ4Magic      = errors.New("lz4: invalid magic bytes")
	errLZ4Descriptor = errors.New("lz4: the frame descriptor is damaged")
	errLZ4Block      = errors.New("lz4: block checksum mismatch")
)

// lz4Decompressor reads one LZ4 frame as Kafka does: only independent blocks are supported, block
// checksums are verified, and content size, content checksum and everything after the end mark are
// ignored. In v0 batches the header checksum is not checked, because Kafka computed it wrongly
// (KAFKA-3160).
type lz4Decompressor struct {
	payload   []byte // unread payload
	flags     byte
	blockSize int // maximum size of a block in this frame
	done      bool
	buf       []byte
	block     []byte // unread part of the current block
}

func (d *lz4Decompressor) reset(payload []byte, magic int8) error {
	d.block, d.done = nil, false
	if len(payload) < lz4HeaderSize {
		return errLZ4Short
	}
	if binary.LittleEndian.Uint32(payload) != lz4Magic {
		return errLZ4Magic
	}
	flags, descriptor := payload[4], payload[5]
	if flags&lz4ReservedFlags != 0 || flags&lz4VersionMask != lz4Version {
		return fmt.Errorf("lz4: unsupported frame flags %#x", flags)
	}
	if flags&lz4Independent == 0 {
		return errors.New("lz4: dependent block streams are unsupported")
	}
	id := descriptor >> 4
	if descriptor&0x0f != 0 || id < 4 || id > 7 {
		return fmt.Errorf("lz4: invalid block descriptor %#x", descriptor)
	}
	end := 6 // end of the descriptor
	if flags&lz4ContentSize != 0 {
		end += 8
	}
	if len(payload) <= end {
		return errLZ4Short
	}
	if magic != 0 && payload[end] != byte(xxh32(payload[4:end])>>8) {
		return errLZ4Descriptor
	}
	d.flags, d.blockSize = flags, 1<<(8+2*id)
	d.payload = payload[end+1:]
	return nil
}

func (d *lz4Decompressor) Read(p []byte) (int, error) {
	for len(d.block) == 0 {
		if d.done {
			return 0, io.EOF
		}
		if err := d.nextBlock(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.block)
	d.block = d.block[n:]
	return n, nil
}

func (d *lz4Decompressor) nextBlock() error {
	if len(d.payload) < 4 {
		return errLZ4Short
	}
	head := binary.LittleEndian.Uint32(d.payload)
	d.payload = d.payload[4:]
	size := int(head &^ lz4Stored)
	if size == 0 {
		d.done = true
		if d.flags&lz4ContentSum != 0 && len(d.payload) < 4 {
			return errLZ4Short
		}
		return nil
	}
	if size > d.blockSize {
		return fmt.Errorf("lz4: block size %d exceeded max: %d", size, d.blockSize)
	}
	if len(d.payload) < size {
		return errLZ4Short
	}
	src := d.payload[:size]
	d.payload = d.payload[size:]
	if err := d.checkBlock(src); err != nil {
		return err
	}
	if head&lz4Stored != 0 {
		d.block = src
		return nil
	}
	if cap(d.buf) < d.blockSize {
		d.buf = make([]byte, d.blockSize)
	}
	n, err := lz4.UncompressBlock(src, d.buf[:d.blockSize])
	if err != nil {
		return err
	}
	d.block = d.buf[:n]
	return nil
}

func (d *lz4Decompressor) checkBlock(src []byte) error {
	if d.flags&lz4BlockChecksum == 0 {
		return nil
	}
	if len(d.payload) < 4 {
		return errLZ4Short
	}
	sum := binary.LittleEndian.Uint32(d.payload)
	d.payload = d.payload[4:]
	if sum != xxh32(src) {
		return errLZ4Block
	}
	return nil
}

func (d *lz4Decompressor) release() {
	d.payload, d.block = nil, nil
	if cap(d.buf) > pooledBufferMax {
		d.buf = nil
	}
	decompressors[LZ4].Put(d)
}

// lz4DefaultLevel is the level at which Kafka uses the fast compressor. Every other level is the
// depth of the high compressor.
const lz4DefaultLevel = 9

// lz4CompressorMaxLevel is the largest depth of the library. Kafka's levels go up to 17.
const lz4CompressorMaxLevel = 9

// lz4Compressors has one pool for the fast compressor (0) and one for each depth.
var lz4Compressors [lz4CompressorMaxLevel + 1]sync.Pool

type lz4Compressor struct {
	pool    *sync.Pool
	fast    lz4.Compressor
	high    *lz4.CompressorHC // nil: fast
	out     *outBuffer
	block   []byte // input not yet encoded
	encoded []byte
}

func lz4CompressorOf(level int) compressor {
	depth := 0
	if level != DefaultLevel && level != lz4DefaultLevel {
		depth = max(1, min(level, lz4CompressorMaxLevel))
	}
	pool := &lz4Compressors[depth]
	if c, ok := pool.Get().(*lz4Compressor); ok {
		return c
	}
	c := &lz4Compressor{pool: pool, block: make([]byte, 0, lz4BlockSize), encoded: make([]byte, lz4.CompressBlockBound(lz4BlockSize))}
	if depth > 0 {
		c.high = &lz4.CompressorHC{Level: lz4.CompressionLevel(1 << (8 + depth))}
	}
	return c
}

func (c *lz4Compressor) reset(out *outBuffer, magic int8) {
	c.out, c.block = out, c.block[:0]
	start := len(out.b)
	out.b = binary.LittleEndian.AppendUint32(out.b, lz4Magic)
	out.b = append(out.b, lz4Version|lz4Independent, lz4BlockSizeID<<4)
	summed := out.b[start+4:]
	if magic == 0 {
		summed = out.b[start:]
	}
	out.b = append(out.b, byte(xxh32(summed)>>8))
}

func (c *lz4Compressor) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if len(c.block) == lz4BlockSize {
			if err := c.flush(); err != nil {
				return 0, err
			}
		}
		n := min(len(rest), lz4BlockSize-len(c.block))
		c.block = append(c.block, rest[:n]...)
		rest = rest[n:]
	}
	return len(p), nil
}

func (c *lz4Compressor) flush() error {
	if len(c.block) == 0 {
		return nil
	}
	encoded, head := c.block, uint32(len(c.block))|lz4Stored
	if n, err := c.compress(); err == nil && n > 0 && n < len(c.block) {
		encoded, head = c.encoded[:n], uint32(n)
	}
	c.out.b = binary.LittleEndian.AppendUint32(c.out.b, head)
	_, err := c.out.Write(encoded)
	c.block = c.block[:0]
	return err
}

func (c *lz4Compressor) compress() (int, error) {
	if c.high != nil {
		return c.high.CompressBlock(c.block, c.encoded)
	}
	return c.fast.CompressBlock(c.block, c.encoded)
}

func (c *lz4Compressor) finish() error {
	if err := c.flush(); err != nil {
		return err
	}
	c.out.b = append(c.out.b, 0, 0, 0, 0)
	return nil
}

func (c *lz4Compressor) release() {
	c.out = nil
	c.pool.Put(c)
}
