package zkconsumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/monedula/monedula/record"
)

// ErrClosed is what Poll answers once the consumer was closed.
var ErrClosed = errors.New("zkconsumer: closed")

// Record is one record as it was read.
type Record struct {
	Topic         string
	Partition     int32
	Offset        int64
	Timestamp     int64                // ms; -1: none
	TimestampType record.TimestampType // NoTimestampType where there is none
	Key, Value    []byte               // nil: null
	Headers       []record.Header
}

// position is how far a partition was read, from one claim to its release.
type position struct {
	tp     TopicPartition
	stream *Stream

	fetch int64 // the next offset to fetch; below 0: to be reset. Its fetcher's, or the leader finder's

	// Guarded by stream.mu.
	consumed int64 // the next offset to hand out, what a commit writes; below 0: nobody knows yet
	queued   int   // chunks in stream.queue

	written int64 // what was last committed; the consumer goroutine's
}

// chunk is what one fetch brought of a partition.
type chunk struct {
	from    *position
	records []Record
	next    int64 // the offset after all that was fetched
	err     error // a fetch that no later one will do better than
}

// batch is what Poll has handed out and its caller may be working on.
type batch struct {
	from *position
	next int64         // what is consumed once it is done
	done chan struct{} // closed then
}

// Stream hands out the records of the partitions of one thread. One goroutine
// at a time may use it.
type Stream struct {
	thread thread
	room   func() // called when a chunk was taken, without locks; set before use

	mu     sync.Mutex // guards what follows
	queue  []*chunk
	out    *batch
	ready  chan struct{} // has a token when there may be something to hand out
	closed bool
}

func newStream(t thread) *Stream { return &Stream{thread: t, ready: make(chan struct{}, 1)} }

// Poll waits for records and returns at most max of one partition, all that are
// there where max is 0. They count as consumed, and may be committed, when Poll
// is called again, or Commit or Close. Errors: the context's, ErrClosed, a record
// too large for Config.FetchMessageMax.
func (s *Stream) Poll(ctx context.Context, max int) ([]Record, error) {
	s.settle()
	for {
		records, more, err := s.take(max)
		if more {
			s.room()
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

// settle notes that what was handed out is done with.
func (s *Stream) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.out; b != nil {
		b.from.consumed = b.next
		close(b.done)
		s.out = nil
	}
}

// take hands out what is in the queue; more says that there is room for more.
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
			return nil, more, c.err // and again, until the fetch size is raised
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
		if len(records) == 0 { // only what consumers never see
			c.from.consumed = next
			continue
		}
		s.out = &batch{from: c.from, next: next, done: make(chan struct{})}
		return records, more, nil
	}
}

// add queues what was fetched.
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

// hasRoom says whether a partition may have one more chunk.
func (s *Stream) hasRoom(p *position, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.queued < most
}

// clear drops what was not handed out yet, and returns what tells that the last
// batch is done; nil: nothing is out.
func (s *Stream) clear() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
	if s.out == nil {
		return nil
	}
	return s.out.done
}

// handBack clears the stream and waits for what is out, up to limit.
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

// close ends the stream: Poll answers ErrClosed.
func (s *Stream) close() {
	s.mu.Lock()
	s.closed, s.queue = true, nil
	s.mu.Unlock()
	s.wake()
}

// consumedOf is how far a partition was consumed.
func (s *Stream) consumedOf(p *position) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.consumed
}

// reset moves a partition whose records are out of range, or that was never read.
func (s *Stream) reset(p *position, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.consumed = offset
}
