package storage

import (
	"fmt"
	"io"
	"sync"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// translate returns the position and size of the first batch whose last offset is at or above
// offset and that starts before position end. size is 0 if there is none.
func (s *segment) translate(file io.ReaderAt, offset record.Offset, end int64) (at, size int64, err error) {
	if at, size, ok := s.tail.find(offset); ok && at < end {
		return at, size, nil
	}
	from, err := s.index.lookup(offset)
	if err != nil {
		return 0, 0, err
	}
	var scan batchScan
	scan.begin(file, int64(from.position), end, false, &s.env.buffers)
	defer scan.close()
	for {
		b, at, err := scan.next()
		if err != nil || b == nil {
			return at, 0, err
		}
		if b.LastOffset() >= offset {
			return at, sizeOf(b), nil
		}
	}
}

// nextOffset returns the offset after the last batch, base if there is none. An index whose last
// entry is not a batch in the .log is an error that wraps protocol.CorruptMessage.
func (s *segment) nextOffset() (record.Offset, error) {
	f, err := s.log.acquire()
	if err != nil {
		return 0, err
	}
	defer f.release()
	from, err := s.index.last()
	if err != nil {
		return 0, err
	}
	next := s.base
	var scan batchScan
	scan.begin(f, int64(from.position), s.size.Load(), false, &s.env.buffers)
	defer scan.close()
	for {
		b, _, err := scan.next()
		if err == nil && b == nil && from.position != 0 && next <= from.offset {
			err = fmt.Errorf("the last entry of index %s, offset %d at position %d, is not a batch of the segment: %w",
				s.index.file.name(), from.offset, from.position, protocol.CorruptMessage)
		}
		if err != nil || b == nil {
			return next, err
		}
		next = b.NextOffset()
	}
}

// firstTimestamp returns the largest timestamp of the segment's first batch; ok is false if the
// segment is empty.
func (s *segment) firstTimestamp() (ms int64, ok bool, err error) {
	if s.hasFirstStamp || s.size.Load() == 0 {
		return s.firstStamp, s.hasFirstStamp, nil
	}
	f, err := s.log.acquire()
	if err != nil {
		return 0, false, err
	}
	defer f.release()
	var scan batchScan
	scan.begin(f, 0, s.size.Load(), false, &s.env.buffers)
	defer scan.close()
	b, _, err := scan.next()
	if err != nil || b == nil {
		return 0, false, err
	}
	s.firstStamp, s.hasFirstStamp = b.MaxTimestamp(), true
	return s.firstStamp, true, nil
}

// findTimestamp returns the first record with a timestamp at or above ts and an offset at or above
// start, in batches that start before position end. Its Offset is -1 if there is none.
func (s *segment) findTimestamp(file io.ReaderAt, ts int64, start record.Offset, end int64) (TimestampedOffset, error) {
	indexed, err := s.times.lookup(ts)
	if err != nil {
		return notFound, err
	}
	from, err := s.index.lookup(max(indexed.offset, start))
	if err != nil {
		return notFound, err
	}
	var scan batchScan
	scan.begin(file, int64(from.position), end, true, &s.env.buffers)
	defer scan.close()
	for {
		b, _, err := scan.next()
		if err != nil || b == nil {
			return notFound, err
		}
		if b.MaxTimestamp() < ts || b.LastOffset() < start {
			continue
		}
		found := notFound
		err = b.EachTimestamp(func(offset record.Offset, timestamp int64) error {
			if timestamp >= ts && offset >= start {
				found = TimestampedOffset{timestamp, offset, b.PartitionLeaderEpoch()}
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			return notFound, err
		}
		if found.Offset >= 0 {
			return found, nil
		}
	}
}

// batchTail holds the positions of the last batches written to a segment, so that readers at the
// end of a log find their position without the index or the file. It is empty if nothing was
// appended since the segment was opened.
type batchTail struct {
	mu      sync.Mutex // guards the fields below
	batches []tailBatch
	next    int // the index of the oldest batch, which add replaces next once the ring is full
}

const tailLength = 32

type tailBatch struct {
	base, last record.Offset
	at, size   int64
}

func (t *batchTail) add(b tailBatch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.batches == nil {
		t.batches = make([]tailBatch, 0, tailLength)
	}
	if len(t.batches) < tailLength {
		t.batches = append(t.batches, b)
		return
	}
	t.batches[t.next] = b
	t.next = (t.next + 1) % tailLength
}

// clear removes all entries and frees their memory.
func (t *batchTail) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches, t.next = nil, 0
}

// find returns the first batch whose last offset is at or above offset; ok is false if the tail
// does not reach back far enough, or has no such batch.
func (t *batchTail) find(offset record.Offset) (at, size int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.batches)
	for i := 1; i <= n; i++ {
		b := &t.batches[(t.next-i+n)%n]
		if b.last < offset {
			return at, size, size != 0
		}
		at, size = b.at, b.size
		// An earlier batch may be the first unless offset is in this one, or this one is the first
		// of the file.
		if b.base <= offset || at == 0 {
			return at, size, true
		}
	}
	return 0, 0, false
}
