package network

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// lookahead is how much each connection reads at once while it waits: enough
// for the size and the whole of most small requests. It is all the memory that
// a waiting connection holds besides its goroutine.
const lookahead = 512

// firstStep is the first buffer of a large frame when memory is not promised to
// it; it grows fourfold each time the peer has filled it.
const firstStep = 16 << 10

// unfilledLimit bounds the memory that is given to announced frames before
// their bytes are there, over all connections of a server.
const unfilledLimit = 32 << 20

// frameError is a frame that no Kafka client sends; it costs the connection.
type frameError struct{ text string }

func (e *frameError) Error() string { return e.text }

// promises counts the bytes of buffers that were handed out for announced but
// not yet received frames.
type promises struct{ bytes atomic.Int64 }

// take reserves n bytes, or says no.
func (p *promises) take(n int) bool {
	if p.bytes.Add(int64(n)) > unfilledLimit {
		p.bytes.Add(-int64(n))
		return false
	}
	return true
}

func (p *promises) giveBack(n int) { p.bytes.Add(-int64(n)) }

// frameReader takes frames off a connection. A claimed size is not memory: a
// frame's buffer is only allocated whole while the promises of all connections
// are small, else it grows as bytes arrive.
type frameReader struct {
	conn     net.Conn
	limit    int // the largest frame
	buffers  *Buffers
	promises *promises
	progress func() // called whenever bytes arrived

	// small[start:end] was read and not yet used.
	small      [lookahead]byte
	start, end int
	// pooled is the last frame's buffer, if it was not part of small.
	pooled []byte
}

// next returns the next frame without its size field; it is valid until
// release. io.EOF means that the peer closed the connection between frames.
func (r *frameReader) next() ([]byte, error) {
	if err := r.buffer(4); err != nil {
		if r.end > r.start && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(r.small[r.start:])))
	switch {
	case size < 0:
		return nil, &frameError{fmt.Sprintf("Invalid receive (size = %d)", size)}
	case size > r.limit:
		return nil, &frameError{fmt.Sprintf("Invalid receive (size = %d larger than %d)", size, r.limit)}
	case size <= lookahead-4:
		if err := r.buffer(4 + size); err != nil {
			return nil, unexpected(err)
		}
		frame := r.small[r.start+4 : r.start+4+size : r.start+4+size]
		r.start += 4 + size
		return frame, nil
	}
	r.start += 4
	frame, err := r.large(size)
	return frame, unexpected(err)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// release ends the use of the last frame.
func (r *frameReader) release() {
	if r.pooled != nil {
		r.buffers.Put(r.pooled)
		r.pooled = nil
		return
	}
	poison(r.small[:r.start])
}

// buffer reads until small holds n bytes from start on.
func (r *frameReader) buffer(n int) error {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.start+n > len(r.small) {
		r.end = copy(r.small[:], r.small[r.start:r.end])
		r.start = 0
	}
	for r.end-r.start < n {
		m, err := r.conn.Read(r.small[r.end:])
		r.end += m
		if m > 0 {
			r.progress()
		} else if err != nil {
			return err
		}
	}
	return nil
}

// large reads a frame that does not fit into small into a pooled buffer.
func (r *frameReader) large(size int) ([]byte, error) {
	step := size
	if r.promises.take(size) {
		defer r.promises.giveBack(size)
	} else {
		step = min(size, firstStep)
	}
	buf := r.buffers.Get(step)
	n := copy(buf, r.small[r.start:r.end])
	r.start += n
	for n < size {
		if n == len(buf) {
			larger := r.buffers.Get(min(size, 4*len(buf)))
			copy(larger, buf)
			r.buffers.Put(buf)
			buf = larger
		}
		m, err := r.conn.Read(buf[n:])
		n += m
		if m > 0 {
			r.progress()
		} else if err != nil {
			r.buffers.Put(buf)
			return nil, err
		}
	}
	r.pooled = buf
	return buf[:size:size], nil
}
