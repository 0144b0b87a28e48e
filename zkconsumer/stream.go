package zkconsumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/monedula/monedula/record"
)

// ErrClosed is returned by Poll and Commit after the consumer has been closed.
var ErrClosed = errors.New("zkconsumer: closed")

// Record is a record that was read.
type Record struct {
	Topic         string
	Partition     int32
	Offset        record.Offset
	Timestamp     int64                // ms since 1970; -1: none
	TimestampType record.TimestampType // NoTimestampType if there is none
	Key, Value    []byte               // nil: null
	Headers       []record.Header
}

// position is the read position of a partition, from its claim to its release.
type position struct {
	tp     TopicPartition
	stream *Stream

	fetch record.Offset // next offset to fetch; below 0: must be reset. Used by its fetcher, or while it has none by findLeaders

	// Guarded by stream.mu.
	consumed record.Offset // next offset to hand out, which a commit writes; below 0: unknown
	queued   int           // number of its chunks in stream.queue

	written record.Offset // last committed offset; used by the consumer goroutine only
}

// chunk holds the records of a partition from one fetch.
type chunk struct {
	from    *position
	records []Record
	next    record.Offset // the offset after the fetched records
	err     error         // a permanent error, which another fetch would not resolve
}

// batch describes the records that Poll has handed out and that its caller may still be processing.
type batch struct {
	from *position
	next record.Offset // consumed offset once the batch is processed
	done chan struct{} // closed once the batch is processed
}

// Stream hands out the records of the partitions of one thread. It must not be used by several
// goroutines at the same time.
type Stream struct {
	thread thread
	taken  func() // called without locks after a chunk was taken; set before use

	mu     sync.Mutex // guards the fields below
	queue  []*chunk
	out    *batch
	ready  chan struct{} // has a token when there may be something to hand out
	closed bool
}

func newStream(t thread) *Stream { return &Stream{thread: t, ready: make(chan struct{}, 1)} }

// Poll waits for records and returns at most max records of one partition, or a whole chunk if max
// is 0. The records count as consumed, and may be committed, once Poll is called again or Commit or
// Close is called. It returns the error of the context, ErrClosed, or an error for a record larger
// than Config.FetchMessageMax.
func (s *Stream) Poll(ctx context.Context, max int) ([]Record, error) {
	s.settle()
	for {
		records, more, err := s.take(max)
		if more {
			s.taken()
		}
		if len(records) > 0 || err != nil {
			return records, err
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// settle marks the records that were handed out as consumed.
func (s *Stream) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.out; b != nil {
		b.from.consumed = b.next
		close(b.done)
		s.out = nil
	}
}

// take returns records from the queue. more reports that the queue accepts another chunk.
func (s *Stream) take(max int) (records []Record, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			return nil, more, ErrClosed
		}
		if len(s.queue) == 0 {
			return nil, more, nil
		}
		c := s.queue[0]
		if c.err != nil {
			return nil, more, c.err // also returned by the next call, until the fetch size is increased
		}
		next := c.next
		if max > 0 && len(c.records) > max {
			records, c.records = c.records[:max], c.records[max:]
			next = c.records[0].Offset
		} else {
			records = c.records
			s.queue = s.queue[1:]
			c.from.queued--
			more = true
		}
		if len(records) == 0 { // only records that consumers do not see
			c.from.consumed = next
			continue
		}
		s.out = &batch{from: c.from, next: next, done: make(chan struct{})}
		return records, more, nil
	}
}

// add queues a fetched chunk.
func (s *Stream) add(c *chunk) {
	s.mu.Lock()
	c.from.queued++
	s.queue = append(s.queue, c)
	s.mu.Unlock()
	s.wake()
}

func (s *Stream) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// accepts reports whether the partition has fewer than most queued chunks.
func (s *Stream) accepts(p *position, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.queued < most
}

// clear drops the queued records. It returns a channel that is closed once the batch that was
// handed out is processed, or nil if there is none.
func (s *Stream) clear() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
	if s.out == nil {
		return nil
	}
	return s.out.done
}

// handBack clears the stream and waits up to limit for the batch that was handed out.
func (s *Stream) handBack(limit time.Duration) {
	done := s.clear()
	if done == nil {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// close ends the stream. Poll returns ErrClosed from then on.
func (s *Stream) close() {
	s.mu.Lock()
	s.closed, s.queue = true, nil
	s.mu.Unlock()
	s.wake()
}

// consumedOf returns the consumed offset of a partition.
func (s *Stream) consumedOf(p *position) record.Offset {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.consumed
}

// reset sets the position of a partition that was never read or whose offset is out of range.
func (s *Stream) reset(p *position, offset record.Offset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.consumed = offset
}
