package storage

import (
	"io"
	"sync"

	"github.com/monedula/monedula/record"
)

const (
	headerChunk = 4 << 10   // read at once while looking at headers
	wholeChunk  = 256 << 10 // read at once while checking whole batches
)

// scanBuffers keeps the buffers of batch scans.
type scanBuffers struct{ headers, whole sync.Pool }

func (p *scanBuffers) get(whole bool) *[]byte {
	pool, size := &p.headers, headerChunk
	if whole {
		pool, size = &p.whole, wholeChunk
	}
	if b, ok := pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, size)
	return &b
}

func (p *scanBuffers) put(b *[]byte) {
	switch cap(*b) {
	case headerChunk:
		p.headers.Put(b)
	case wholeChunk:
		p.whole.Put(b)
	}
}

// batchScan walks the batches of a run of a segment file. It is used on the
// stack: begin, next until the end, close.
type batchScan struct {
	file    io.ReaderAt
	at      int64 // where the next batch starts
	end     int64
	whole   bool // each batch is wanted whole, not only its header
	buffers *scanBuffers
	pooled  *[]byte
	buf     []byte // *pooled, or a larger one made for a large batch
	start   int64  // file position of buf[0]
	have    int    // bytes of buf that are filled
}

func (s *batchScan) begin(file io.ReaderAt, from, end int64, whole bool, buffers *scanBuffers) {
	*s = batchScan{file: file, at: from, end: end, whole: whole, buffers: buffers, start: from}
	s.pooled = buffers.get(whole)
	s.buf = *s.pooled
}

func (s *batchScan) close() {
	if s.pooled != nil {
		s.buffers.put(s.pooled)
		s.pooled, s.buf = nil, nil
	}
}

// next returns the next batch and where it starts. The batch is whole, or at
// least its header, and holds until the following call. At the end, and where
// the last batch is incomplete, it is nil. A size or magic that cannot be is an
// error that wraps protocol.CorruptMessage; any other error is of the file.
func (s *batchScan) next() (b record.Batch, at int64, err error) {
	at = s.at
	if s.end-at <= record.MinHeaderPeek {
		return nil, at, nil
	}
	peek, err := s.peek(record.MinHeaderPeek)
	if err != nil {
		return nil, at, err
	}
	total, magic, err := record.EntrySize(peek)
	if err != nil || int64(total) > s.end-at {
		return nil, at, err
	}
	wanted := total
	if !s.whole {
		// Enough for every method that reads the header only.
		wanted = min(total, record.MinSize(magic))
	}
	b, err = s.peek(wanted)
	if err != nil {
		return nil, at, err
	}
	s.at += int64(total)
	return b, at, nil
}

// wholeAt returns the whole batch of which next returned the header at a position.
func (s *batchScan) wholeAt(at, size int64) (record.Batch, error) {
	next := s.at
	s.at = at
	b, err := s.peek(int(size))
	s.at = next
	return b, err
}

// peek returns n bytes at s.at, reading when they are not in the buffer.
func (s *batchScan) peek(n int) ([]byte, error) {
	if off := s.at - s.start; off >= 0 && off+int64(n) <= int64(s.have) {
		return s.buf[off : off+int64(n)], nil
	}
	if n > len(s.buf) {
		s.buf = make([]byte, n)
	}
	// Headers that lie further apart than the chunk are cheaper read alone,
	// but the chunk is one page: reading it costs the same call.
	want := min(int64(len(s.buf)), s.end-s.at)
	got, err := s.file.ReadAt(s.buf[:want], s.at)
	s.start, s.have = s.at, got
	if got < n {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		s.have = 0
		return nil, err
	}
	return s.buf[:n], nil
}

// sizeOf is the whole size of the batch whose header b holds.
func sizeOf(b record.Batch) int64 { return int64(b.Size()) }
