package record

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// gzipDecompressor reads consecutive gzip members. Like Java's GZIPInputStream it ignores bytes
// after the last member that are not a member.
type gzipDecompressor struct {
	payload bytes.Reader
	gzip    *gzip.Reader
}

func (d *gzipDecompressor) reset(payload []byte, _ int8) error {
	d.payload.Reset(payload)
	return d.nextMember()
}

func (d *gzipDecompressor) nextMember() (err error) {
	if d.gzip == nil {
		d.gzip = new(gzip.Reader)
	}
	if err = d.gzip.Reset(&d.payload); err == nil {
		d.gzip.Multistream(false)
	}
	return err
}

func (d *gzipDecompressor) Read(p []byte) (int, error) {
	for {
		n, err := d.gzip.Read(p)
		if n > 0 && err == io.EOF {
			return n, nil
		}
		if n > 0 || err != io.EOF {
			return n, err
		}
		if d.payload.Len() == 0 || d.nextMember() != nil {
			d.payload.Reset(nil)
			return 0, io.EOF
		}
	}
}

func (d *gzipDecompressor) release() {
	d.payload.Reset(nil)
	decompressors[Gzip].Put(d)
}

type gzipCompressor struct {
	*gzip.Writer
	pool *sync.Pool
}

// gzipCompressors has one pool for each level from -1 (the default) to 9.
var gzipCompressors [gzip.BestCompression + 2]sync.Pool

func gzipCompressorOf(level int) compressor {
	if level < gzip.DefaultCompression || level > gzip.BestCompression {
		level = gzip.DefaultCompression
	}
	pool := &gzipCompressors[level+1]
	if c, ok := pool.Get().(*gzipCompressor); ok {
		return c
	}
	w, _ := gzip.NewWriterLevel(nil, level) // fails only for a level out of range
	return &gzipCompressor{Writer: w, pool: pool}
}

// reset starts a member whose header has no modification time, like that of Java.
func (c *gzipCompressor) reset(out *outBuffer, _ int8) {
	c.Writer.Reset(out)
	c.Writer.ModTime = time.Unix(0, 0)
}

func (c *gzipCompressor) finish() error { return c.Writer.Close() }

func (c *gzipCompressor) release() {
	c.Writer.Reset(io.Discard)
	c.pool.Put(c)
}
