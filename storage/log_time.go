package storage

import (
	"errors"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// TimestampedOffset is the result of an offset lookup. Offset and Timestamp are -1 if nothing was
// found, LeaderEpoch is -1 if it is not known.
type TimestampedOffset struct {
	Timestamp   int64
	Offset      record.Offset
	LeaderEpoch metadata.LeaderEpoch
}

var notFound = TimestampedOffset{record.NoTimestamp, -1, metadata.NoLeaderEpoch}

// errStop ends an iteration over records early.
var errStop = errors.New("found")

// errUnpublished ends a search for a record of an append that is still in progress.
var errUnpublished = errors.New("the append is not published yet")

// EarliestOffset returns the log start with its leader epoch, as ListOffsets -2 reports it; the
// timestamp is -1.
func (l *Log) EarliestOffset() TimestampedOffset {
	found := TimestampedOffset{record.NoTimestamp, l.Offsets().LogStart, metadata.NoLeaderEpoch}
	if e, ok := l.epochs.earliest(); ok && e.startOffset <= found.Offset {
		found.LeaderEpoch = e.epoch
	}
	return found
}

// LatestOffset returns the bound's offset with the latest leader epoch, as ListOffsets -1 reports
// it; the timestamp is -1.
func (l *Log) LatestOffset(bound Bound) TimestampedOffset {
	return TimestampedOffset{record.NoTimestamp, l.Offsets().Bound(bound), l.LeaderEpoch()}
}

// OffsetForTime finds the first record at or after timestamp ts (ms). Only the log end bounds the
// search: the caller must drop a result at or above its own bound.
func (l *Log) OffsetForTime(ts int64) (TimestampedOffset, error) {
	return l.lookUp(func(v *view) (TimestampedOffset, error) {
		for i, s := range v.segments {
			largest, _, err := s.largestTimestamp()
			if err != nil {
				return notFound, err
			}
			if largest < ts {
				continue
			}
			found, err := v.findInSegment(i, func(p *pin) (TimestampedOffset, error) {
				return s.findTimestamp(p.handle, ts, v.LogStart, v.end(i))
			})
			if err != nil || found.Offset >= 0 {
				return found, err
			}
			// The largest timestamp was the file's modification time, because the time index is
			// lost or no record has a timestamp.
		}
		return notFound, nil
	})
}

// OffsetOfMaxTimestamp finds the first record with the largest timestamp.
func (l *Log) OffsetOfMaxTimestamp() (TimestampedOffset, error) {
	return l.lookUp(func(v *view) (TimestampedOffset, error) {
		newest, at := timestampOffset{timestamp: record.NoTimestamp}, -1
		for i, s := range v.segments {
			stamp, err := s.largest()
			if err != nil {
				return notFound, err
			}
			if stamp.timestamp > newest.timestamp {
				newest, at = stamp, i
			}
		}
		switch {
		case at < 0:
			return notFound, nil
		case newest.offset >= v.LogEnd:
			return notFound, errUnpublished
		}
		return v.findInSegment(at, func(p *pin) (TimestampedOffset, error) {
			return v.segments[at].findLargest(p, newest, v.end(at))
		})
	})
}

// findLargest finds the first record with the segment's largest timestamp. As in Kafka, there is none
// if a cleaning has emptied the batch.
func (s *segment) findLargest(p *pin, stamp timestampOffset, end int64) (TimestampedOffset, error) {
	from, err := s.index.lookup(stamp.offset)
	if err != nil {
		return notFound, err
	}
	var scan batchScan
	scan.begin(p.handle, int64(from.position), end, true, &s.env.buffers)
	defer scan.close()
	for {
		b, _, err := scan.next()
		if err != nil || b == nil {
			return notFound, err
		}
		if b.MaxTimestamp() != stamp.timestamp {
			continue
		}
		found := notFound
		err = b.EachTimestamp(func(offset record.Offset, ms int64) error {
			if ms == stamp.timestamp {
				found = TimestampedOffset{ms, offset, b.PartitionLeaderEpoch()}
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			return notFound, err
		}
		return found, nil
	}
}

// findInSegment runs a search on segment i while it is pinned.
func (v *view) findInSegment(i int, search func(*pin) (TimestampedOffset, error)) (TimestampedOffset, error) {
	p, err := v.pin(v.segments[i])
	if err != nil {
		return notFound, err
	}
	defer p.release()
	return search(&p)
}

// lookUp runs a search on a view of the log, and repeats it if the log was cut in the meantime or
// the search was ahead of the view.
func (l *Log) lookUp(search func(*view) (TimestampedOffset, error)) (TimestampedOffset, error) {
	for {
		if err := l.check(); err != nil {
			return notFound, err
		}
		v := l.positions.load()
		found, err := search(&v)
		if err == nil {
			return found, nil
		}
		if err == errUnpublished {
			l.mu.Lock() // waits until the append has ended
			l.mu.Unlock()
			if now := l.positions.load(); now.LogEnd == v.LogEnd && now.truncations == v.truncations {
				return notFound, nil // it failed
			}
			continue
		}
		if !l.changedSince(&v) {
			return notFound, l.ioError("Error while fetching offset by timestamp for %s in dir %s", err)
		}
	}
}

// LegacyOffsetsBefore answers ListOffsets v0. It returns at most max base offsets of segments (and
// the log end), newest first, of segments last modified at or before ts; ts -1 and -2 stand for
// latest and earliest. A negative max is UNKNOWN_SERVER_ERROR, as in Kafka.
func (l *Log) LegacyOffsetsBefore(ts int64, max int) ([]record.Offset, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	if max < 0 {
		return nil, protocol.Errorf(protocol.UnknownServerError, "The number of requested offsets is negative: %d", max)
	}
	entries, err := l.segmentTimes()
	if err != nil {
		return nil, l.ioError("Error while fetching offsets before a time for %s in dir %s", err)
	}
	start := len(entries) - 1
	switch ts {
	case latestTimestamp:
	case earliestTimestamp:
		start = 0
	default:
		for start >= 0 && entries[start].timestamp > ts {
			start--
		}
	}
	var offsets []record.Offset
	for ; start >= 0 && len(offsets) < max; start-- {
		offsets = append(offsets, entries[start].offset)
	}
	return offsets, nil
}

const (
	latestTimestamp   = -1
	earliestTimestamp = -2
)

// segmentTimes is like view.segmentTimes, and reads again if segments have left the log meanwhile.
func (l *Log) segmentTimes() ([]timestampOffset, error) {
	for {
		v := l.positions.load()
		entries, err := v.segmentTimes(l.env.now())
		if err == nil || l.check() != nil || !l.changedSince(&v) {
			return entries, err
		}
	}
}

// segmentTimes returns the segments' first offsets with their modification times, followed by the
// log end with the time now (ms) unless the last segment is empty.
func (v *view) segmentTimes(now int64) ([]timestampOffset, error) {
	entries := make([]timestampOffset, 0, len(v.segments)+1)
	for _, s := range v.segments {
		ms, err := s.modified()
		if err != nil {
			return nil, err
		}
		entries = append(entries, timestampOffset{ms, max(s.base, v.LogStart)})
	}
	if v.endPosition > 0 {
		entries = append(entries, timestampOffset{now, v.LogEnd})
	}
	return entries, nil
}
