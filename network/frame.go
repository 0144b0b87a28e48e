package network

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// lookahead is how many bytes a waiting connection reads at once, enough for the size field and the
// whole of most small requests. Apart from its goroutine, a waiting connection holds no other
// memory.
const lookahead = 512

// firstStep is the size of the first buffer of a large frame if its full size cannot be reserved.
// Each time the peer has filled the buffer, it grows fourfold.
const firstStep = 16 << 10

// unfilledLimit limits the memory reserved for announced frames before their bytes arrive, over all
// connections of a server.
const unfilledLimit = 32 << 20

// frameError is the error for a frame that no Kafka client sends. It closes the connection.
type frameError struct{ text string }

func (e *frameError) Error() string { return e.text }

// reservations counts the bytes of buffers for frames that have been announced but not yet
// received.
type reservations struct{ bytes atomic.Int64 }

// take reserves n bytes and reports whether the limit allowed it.
func (r *reservations) take(n int) bool {
	if r.bytes.Add(int64(n)) > unfilledLimit {
		r.bytes.Add(-int64(n))
		return false
	}
	return true
}

func (r *reservations) release(n int) { r.bytes.Add(-int64(n)) }

// frameReader reads frames from a connection. It does not trust an announced size: the buffer of a
// frame is allocated at full size only while the reservations of all connections are small.
// Otherwise it grows as bytes arrive.
type frameReader struct {
	conn     net.Conn
	limit    int // size of the largest accepted frame
	buffers  *Buffers
	reserved *reservations
	progress func() // called whenever bytes have arrived

	// small[start:end] has been read but not used.
	small      [lookahead]byte
	start, end int
	// pooled is the buffer of the last frame, unless the frame was in small.
	pooled []byte
}

// next returns the next frame without its size field. The frame is valid until release. The error
// io.EOF means that the peer closed the connection between frames.
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

// buffer reads until small holds n bytes, counted from start.
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
	if r.reserved.take(size) {
		defer r.reserved.release(size)
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
