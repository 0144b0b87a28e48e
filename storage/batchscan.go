package storage

import (
	"fmt"
	"io"
	"sync"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

const (
	headerChunk = 4 << 10   // bytes per read for batch headers
	wholeChunk  = 256 << 10 // bytes per read for whole batches
)

// scanBuffers pools the buffers of batch scans.
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

// batchScan iterates over the batches in a range of a segment file. It is used as a local variable:
// call begin, then next until the end, then close.
type batchScan struct {
	file    io.ReaderAt
	at      int64 // where the next batch starts
	end     int64
	whole   bool // return whole batches, not only their headers
	buffers *scanBuffers
	pooled  *[]byte
	buf     []byte // *pooled, or a larger one allocated for a large batch
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

// next returns the next batch and its position. The batch is whole, or at least its header, and is
// valid until the next call. It is nil at the end, and if the last batch is incomplete. An
// impossible size or magic, or a negative position, which only a damaged index has, is an error that
// wraps protocol.CorruptMessage; any other error comes from the file.
func (s *batchScan) next() (b record.Batch, at int64, err error) {
	at = s.at
	if at < 0 {
		return nil, at, fmt.Errorf("the index has position %d: %w", at, protocol.CorruptMessage)
	}
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
		// This is enough for every method that reads only the header.
		wanted = min(total, record.MinSize(magic))
	}
	b, err = s.peek(wanted)
	if err != nil {
		return nil, at, err
	}
	s.at += int64(total)
	return b, at, nil
}

// wholeAt returns the whole batch at position at, whose header next has returned.
func (s *batchScan) wholeAt(at, size int64) (record.Batch, error) {
	next := s.at
	s.at = at
	b, err := s.peek(int(size))
	s.at = next
	return b, err
}

// peek returns n bytes at s.at, and reads them if they are not in the buffer.
func (s *batchScan) peek(n int) ([]byte, error) {
	if off := s.at - s.start; off >= 0 && off+int64(n) <= int64(s.have) {
		return s.buf[off : off+int64(n)], nil
	}
	if n > len(s.buf) {
		s.buf = make([]byte, n)
	}
	// If headers lie further apart than the chunk, reading each header alone would fetch fewer
	// bytes. But the chunk is one page, so reading it costs the same call.
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

// sizeOf returns the full size of the batch whose header b holds.
func sizeOf(b record.Batch) int64 { return int64(b.Size()) }
