package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
)

// The framing of Java's snappy streams ("xerial"): a header of 16 bytes, which may be repeated
// between blocks, and blocks that consist of a big-endian length and raw snappy data.
const (
	xerialHeaderSize = 16
	xerialBlockSize  = 32 << 10 // bytes of input per block, as Kafka writes
	xerialVersion    = 1
)

var xerialMagic = [8]byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

// snappyRatioMax is an upper bound of the expansion of raw snappy, in which 3 bytes can stand for
// at most 64. A block that claims more is damaged; no memory is allocated for it.
const snappyRatioMax = 22

var (
	errSnappyEmpty = errors.New("snappy: cannot decompress an empty stream")
	errSnappyBlock = errors.New("snappy: damaged block")
)

// snappyDecompressor reads a xerial stream, or one raw block without framing.
type snappyDecompressor struct {
	payload []byte // unread payload
	raw     bool   // the payload is one raw block
	buf     []byte // buffer of the decompressed block
	block   []byte // unread part of the decompressed block
}

func (d *snappyDecompressor) reset(payload []byte, _ int8) error {
	d.payload, d.block = payload, nil
	if len(payload) == 0 {
		return errSnappyEmpty
	}
	framed, err := isXerial(payload)
	if err != nil {
		return err
	}
	d.raw = !framed
	return nil
}

// isXerial reports whether b begins with a xerial header.
func isXerial(b []byte) (bool, error) {
	if len(b) < xerialHeaderSize || [8]byte(b) != xerialMagic {
		return false, nil
	}
	if version := int32(binary.BigEndian.Uint32(b[8:])); version < xerialVersion {
		return false, fmt.Errorf("snappy: incompatible version %d", version)
	}
	return true, nil
}

func (d *snappyDecompressor) Read(p []byte) (int, error) {
	for len(d.block) == 0 {
		if err := d.nextBlock(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.block)
	d.block = d.block[n:]
	return n, nil
}

func (d *snappyDecompressor) nextBlock() error {
	if d.raw {
		src := d.payload
		if len(src) == 0 {
			return io.EOF
		}
		d.payload = nil
		return d.decode(src)
	}
	for len(d.payload) >= 4 && [4]byte(d.payload) == [4]byte(xerialMagic[:4]) {
		if len(d.payload) < xerialHeaderSize {
			return io.EOF
		}
		if framed, err := isXerial(d.payload); err != nil || !framed {
			return errSnappyBlock
		}
		d.payload = d.payload[xerialHeaderSize:]
	}
	if len(d.payload) < 4 {
		return io.EOF
	}
	size := int32(binary.BigEndian.Uint32(d.payload))
	if size < 0 || int(size) > len(d.payload)-4 {
		return errSnappyBlock
	}
	src := d.payload[4 : 4+size]
	d.payload = d.payload[4+size:]
	return d.decode(src)
}

// decode decompresses one raw block.
func (d *snappyDecompressor) decode(src []byte) error {
	size, err := s2.DecodedLen(src)
	if err != nil {
		return err
	}
	if size > snappyRatioMax*len(src) || !isPlainSnappy(src) {
		return errSnappyBlock
	}
	if cap(d.buf) < size {
		d.buf = make([]byte, max(size, xerialBlockSize))
	}
	d.block, err = s2.Decode(d.buf[:cap(d.buf)], src)
	return err
}

// isPlainSnappy reports whether the elements of a raw block are plain snappy. The decoder also
// accepts an extension (a copy at distance 0) that Kafka's clients could not read.
func isPlainSnappy(src []byte) bool {
	_, i := binary.Uvarint(src)
	if i <= 0 {
		return false
	}
	for i < len(src) {
		tag := src[i]
		switch tag & 3 {
		case 0:
			n := int(tag >> 2)
			i++
			if n >= 60 {
				extra := n - 59
				if i+extra > len(src) {
					return false
				}
				n = 0
				for k := extra - 1; k >= 0; k-- {
					n = n<<8 | int(src[i+k])
				}
				i += extra
			}
			if n >= len(src)-i {
				return false
			}
			i += n + 1
		case 1:
			if i+1 >= len(src) || tag&0xe0 == 0 && src[i+1] == 0 {
				return false
			}
			i += 2
		case 2:
			i += 3
		case 3:
			i += 5
		}
	}
	return i == len(src)
}

func (d *snappyDecompressor) release() {
	d.payload, d.block = nil, nil
	if cap(d.buf) > pooledBufferMax {
		d.buf = nil
	}
	decompressors[Snappy].Put(d)
}

// pooledBufferMax is the size in bytes of the largest buffer that a codec keeps while it is pooled.
const pooledBufferMax = 1 << 20

var snappyCompressors = sync.Pool{New: func() any {
	return &snappyCompressor{block: make([]byte, 0, xerialBlockSize), encoded: make([]byte, s2.MaxEncodedLen(xerialBlockSize))}
}}

type snappyCompressor struct {
	out     *outBuffer
	block   []byte // input not yet encoded
	encoded []byte
}

func (c *snappyCompressor) reset(out *outBuffer, _ int8) {
	c.out, c.block = out, c.block[:0]
	out.b = append(out.b, xerialMagic[:]...)
	out.b = binary.BigEndian.AppendUint32(out.b, xerialVersion)
	out.b = binary.BigEndian.AppendUint32(out.b, xerialVersion) // the oldest compatible version
}

func (c *snappyCompressor) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), xerialBlockSize-len(c.block))
		c.block = append(c.block, rest[:n]...)
		rest = rest[n:]
		if len(c.block) == xerialBlockSize {
			if err := c.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

func (c *snappyCompressor) flush() error {
	if len(c.block) == 0 {
		return nil
	}
	encoded := s2.EncodeSnappy(c.encoded, c.block)
	c.block = c.block[:0]
	c.out.b = slices.Grow(c.out.b, 4+len(encoded))
	c.out.b = binary.BigEndian.AppendUint32(c.out.b, uint32(len(encoded)))
	_, err := c.out.Write(encoded)
	return err
}

func (c *snappyCompressor) finish() error { return c.flush() }

func (c *snappyCompressor) release() {
	c.out = nil
	snappyCompressors.Put(c)
}
