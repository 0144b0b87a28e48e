package storage

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage/clean"
)

// errCleaningAborted ends a cleaning whose log was closed, deleted, moved or changed, or whose
// Manager is closing. What was replaced before stays.
var errCleaningAborted = errors.New("the cleaning was aborted")

// errSegmentSplit ends a cleaning that had to split a segment. The next one begins again.
var errSegmentSplit = errors.New("a segment was split")

// cleanChunk is the number of bytes after which a cleaning checks whether it must stop.
const cleanChunk = 64 << 10

// keysAtOnce is the number of keys that a cleaning puts into its map at once.
const keysAtOnce = 512

// cleaning is one cleaning of a log. It runs in one goroutine.
type cleaning struct {
	l      *Log
	config *settings.Topic
	plan   clean.Plan
	now    int64 // ms
	// pause is called with the number of bytes that were read or written. It waits as the I/O limit
	// demands, and returns an error if the cleaning must stop.
	pause   func(bytes int) error
	offsets *clean.OffsetMap
	chunk   int // bytes per write
	log     kafkalog.Prefixed

	view   view       // when the cleaning began
	left   []*segment // those to be cleaned that were not replaced yet
	txns   bool       // what is dropped depends on markers, which are below the high watermark of view
	filter clean.Filter
	keys   []clean.Key // to be put into the map
	out    []byte      // cleaned batches that are not written yet
	unpaid int         // bytes since the last call of pause
	stats  cleaningStats
}

// run cleans the log, and returns the offset up to which it is clean.
func (c *cleaning) run() (end record.Offset, err error) {
	c.view = c.l.positions.load()
	c.left = c.segmentsBelow(0, c.plan.FirstUncleanable)
	c.keys = make([]clean.Key, 0, keysAtOnce)
	c.log.Infof("Beginning cleaning of log %s", c.l.name)
	end, err = c.clean()
	if err != nil && !errors.Is(err, errSegmentSplit) && c.changed() {
		err = errCleaningAborted
	}
	return end, err
}

// changed reports whether the log was closed, cut, or lost segments that are being cleaned. That
// alone explains any error.
func (c *cleaning) changed() bool {
	c.l.mu.Lock() // waits for a change in progress
	defer c.l.mu.Unlock()
	return c.cut() || c.l.check() != nil || len(c.left) > 0 && c.l.holds(c.left) != nil
}

// cut reports whether the log was truncated since the cleaning began.
func (c *cleaning) cut() bool {
	v := c.l.positions.load()
	return v.truncations != c.view.truncations
}

func (c *cleaning) clean() (record.Offset, error) {
	began := time.Now()
	legacyHorizon, err := c.legacyHorizon()
	if err != nil {
		return 0, err
	}
	c.log.Infof("Building offset map for %s...", c.l.name)
	if err := c.buildMap(); err != nil {
		return 0, err
	}
	end := c.offsets.Latest() + 1
	c.stats.indexing = time.Since(began)
	sources := c.segmentsBelow(0, end)
	if err := c.announce(legacyHorizon); err != nil {
		return 0, err
	}
	states, err := groupingOf(sources)
	if err != nil {
		return 0, err
	}
	c.filter = clean.Filter{Map: c.offsets, Txns: clean.NewTransactions(), UpperBound: c.plan.FirstUncleanable,
		Now: c.now, DeleteRetentionMs: c.config.DeleteRetentionMs}
	limits := clean.Limits{SegmentBytes: int64(c.config.SegmentBytes), IndexBytes: int64(c.config.SegmentIndexBytes)}
	for _, g := range clean.Groups(states, limits, c.plan.FirstUncleanable) {
		err := c.cleanGroup(sources[g[0]:g[1]], legacyHorizon)
		var overflow *overflowError
		if errors.As(err, &overflow) {
			c.log.Infof("Caught segment overflow error during cleaning: %v", err)
			if err = c.split(overflow.segment); err == nil {
				err = errSegmentSplit
			}
		}
		if err != nil {
			return 0, err
		}
		c.left = c.left[g[1]-g[0]:]
	}
	c.stats.total = time.Since(began)
	c.stats.utilization = c.offsets.Utilization()
	c.stats.read, c.stats.written = c.filter.BytesRead, c.filter.BytesKept
	c.stats.messagesRead, c.stats.messagesKept, c.stats.invalid = c.filter.MessagesRead, c.filter.MessagesKept, c.filter.InvalidMessages
	return end, nil
}

// groupingOf returns what the grouping of segments needs to know.
func groupingOf(segments []*segment) ([]clean.Segment, error) {
	all := make([]clean.Segment, len(segments))
	for i, s := range segments {
		entries, err := s.index.entries()
		if err != nil {
			return nil, err
		}
		times, err := s.times.entries()
		if err != nil {
			return nil, err
		}
		all[i] = clean.Segment{Base: s.base, Size: s.size.Load(),
			OffsetIndexSize: int64(entries) * offsetEntrySize, TimeIndexSize: int64(times) * timeEntrySize}
	}
	return all, nil
}

// segmentsBelow returns the segments from the one that holds offset from on that begin below end.
func (c *cleaning) segmentsBelow(from, end record.Offset) []*segment {
	first := max(c.view.floor(from), 0)
	n := first
	for n < len(c.view.segments)-1 && c.view.segments[n].base < end {
		n++
	}
	return c.view.segments[first:n]
}

// after returns the base of the segment after s, which is not the active one.
func (c *cleaning) after(s *segment) record.Offset {
	return c.view.segments[c.view.floor(s.base)+1].base
}

// legacyHorizon returns the modification time up to which tombstones of the old formats, which have
// no delete horizon, are dropped from a segment; 0 if nothing was cleaned before.
func (c *cleaning) legacyHorizon() (int64, error) {
	last := c.view.floor(c.plan.FirstDirty - 1)
	if last < 0 {
		return 0, nil
	}
	ms, err := c.view.segments[last].modified()
	return ms - c.config.DeleteRetentionMs, err
}

func (c *cleaning) announce(legacyHorizon int64) error {
	cleanable := int64(0)
	if n := len(c.left); n > 0 {
		var err error
		if cleanable, err = c.left[n-1].modified(); err != nil {
			return err
		}
	}
	c.log.Infof("Cleaning log %s (cleaning prior to %s, discarding tombstones prior to upper bound deletion horizon %s)...",
		c.l.name, javaDate(cleanable), javaDate(legacyHorizon))
	return nil
}

// buildMap reads the dirty part into the offset map, as far as the map can take it.
func (c *cleaning) buildMap() error {
	start, end := c.plan.FirstDirty, c.plan.FirstUncleanable
	dirty := c.segmentsBelow(start, end)
	c.log.Infof("Building offset map for log %s for %d segments in offset range [%d, %d).", c.l.name, len(dirty), start, end)
	txns := clean.NewTransactions()
	aborted, err := c.aborted(start, end)
	if err != nil {
		return err
	}
	txns.Add(aborted)
	for i, s := range dirty {
		next := end
		if i+1 < len(dirty) {
			next = dirty[i+1].base
		}
		full, err := c.mapSegment(s, start, txns)
		if err != nil {
			return err
		}
		if full {
			c.log.Debugf("Offset map is full, %d segments fully mapped, segment with base offset %d is partially mapped", i, s.base)
			break
		}
		c.offsets.SetLatest(next - 1) // also if the segment ends with a gap
	}
	c.log.Infof("Offset map for log %s complete.", c.l.name)
	return nil
}

// mapSegment puts the keys of a segment from offset start on into the map, and reports whether the
// map became full.
func (c *cleaning) mapSegment(s *segment, start record.Offset, txns *clean.Transactions) (full bool, err error) {
	from, err := s.index.lookup(start)
	if err != nil {
		return false, err
	}
	err = c.scan(s, int64(from.position), func(b record.Batch) error {
		c.stats.mapBytes += int64(len(b))
		aborted, err := txns.Read(b)
		if err != nil {
			return err
		}
		c.txns = c.txns || b.IsTransactional()
		if !b.IsControl() && !aborted {
			if err := b.Each(func(r *record.Record) error {
				if r.Key != nil && r.Offset >= start {
					c.keys = append(c.keys, c.offsets.Key(r.Key, r.Offset))
				}
				if len(c.keys) < cap(c.keys) {
					return nil
				}
				return c.putKeys()
			}); err != nil {
				return err
			}
			if err := c.putKeys(); err != nil {
				return err
			}
		}
		if b.LastOffset() >= start {
			c.offsets.SetLatest(b.LastOffset())
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return true, nil
	}
	return false, err
}

// putKeys puts the collected keys into the map. It returns errStop if the map is full.
func (c *cleaning) putKeys() error {
	keys := c.keys
	c.keys = c.keys[:0]
	if !c.offsets.Put(keys) {
		return errStop
	}
	return nil
}

// scan calls visit with every batch of a segment from a position on. A batch that is damaged or
// incomplete is an error that wraps protocol.CorruptMessage: what follows it could not be kept.
func (c *cleaning) scan(s *segment, from int64, visit func(record.Batch) error) error {
	p, err := s.pin()
	if err != nil {
		return err
	}
	defer p.release()
	end := s.size.Load()
	var scan batchScan
	scan.begin(p.handle, from, end, true, &c.l.env.buffers)
	defer scan.close()
	for {
		b, at, err := scan.next()
		if err == nil && b == nil {
			if at == end {
				return c.settle()
			}
			err = protocol.Errorf(protocol.CorruptMessage, "the last batch is incomplete")
		}
		if err == nil {
			err = b.Validate()
		}
		if err == nil {
			err = visit(b)
		}
		if err == nil {
			err = c.charge(len(b))
		}
		if err == errStop {
			return err
		}
		if err != nil {
			return fmt.Errorf("log segment %s at position %d: %w", s.log.name(), at, err)
		}
	}
}

// charge counts bytes that were read or written, and pauses after each chunk.
func (c *cleaning) charge(n int) error {
	if c.unpaid += n; c.unpaid < cleanChunk {
		return nil
	}
	return c.settle()
}

func (c *cleaning) settle() error {
	n := c.unpaid
	c.unpaid = 0
	if err := c.pause(n); err != nil {
		return err
	}
	if c.cut() || c.l.moving.Load() {
		return errCleaningAborted
	}
	return c.l.check()
}

// aborted returns the aborted transactions with data in [from, upTo).
func (c *cleaning) aborted(from, upTo record.Offset) ([]clean.AbortedTxn, error) {
	var found []clean.AbortedTxn
	for _, s := range c.view.segments[max(c.view.floor(from), 0):] {
		all, err := s.txns.all()
		if err != nil {
			return nil, err
		}
		for _, t := range all {
			if t.lastOffset >= c.view.LogStart && t.firstOffset < upTo {
				found = append(found, clean.AbortedTxn{ProducerID: t.producerID, FirstOffset: t.firstOffset,
					LastOffset: t.lastOffset, LastStableOffset: t.lastStableOffset})
			}
			if t.lastStableOffset >= upTo {
				return found, nil
			}
		}
	}
	return found, nil
}

// cleanGroup replaces segments with one that holds what remains of them. If the disk may not have
// enough space for both, the error wraps ErrDiskLow.
func (c *cleaning) cleanGroup(sources []*segment, legacyHorizon int64) error {
	size := int64(0)
	for _, s := range sources {
		size += s.size.Load()
	}
	if err := c.l.dir.reserveAll(record.FromReplication, size); err != nil {
		return err
	}
	cleaned, err := c.l.createCleaned(sources[0].base)
	if err != nil {
		return err
	}
	return c.replace(c.fill(cleaned, sources, legacyHorizon), []*segment{cleaned}, sources)
}

// replace replaces sources with cleaned segments. It discards them if filling them failed with an
// error, which it then returns, or if they cannot replace the sources.
func (c *cleaning) replace(filled error, cleaned, sources []*segment) error {
	err := filled
	if err == nil {
		err = c.complete(cleaned, sources[len(sources)-1])
	}
	if err == nil {
		c.log.Infof("Swapping in cleaned segment(s) %s for segment(s) List(%s) in log %v", segmentList(cleaned), segmentList(sources), c.l)
		err = c.l.replaceSegments(cleaned, sources)
	}
	v := c.l.positions.load()
	if err != nil && len(cleaned) > 0 && !slices.Contains(v.segments, cleaned[0]) {
		c.out = c.out[:0]
		c.l.discardCleaned(cleaned)
	}
	return err
}

// fill filters the sources into the cleaned segment.
func (c *cleaning) fill(cleaned *segment, sources []*segment, legacyHorizon int64) error {
	c.filter.Producers = c.l.activeProducers()
	c.filter.Txns.Retained = func(t clean.AbortedTxn) error {
		return cleaned.txns.append(abortedTxn{t.ProducerID, t.FirstOffset, t.LastOffset, t.LastStableOffset})
	}
	for _, s := range sources {
		aborted, err := c.aborted(s.base, c.after(s))
		if err != nil {
			return err
		}
		c.filter.Txns.Add(aborted)
		modified, err := s.modified()
		if err != nil {
			return err
		}
		c.filter.KeepLegacyTombstones = modified > legacyHorizon
		which := "discarding"
		if c.filter.KeepLegacyTombstones {
			which = "retaining"
		}
		c.log.Infof("Cleaning %v in log %s into %d with an upper bound deletion horizon %d computed from the segment last modified time of %d,%s deletes.",
			s, c.l.name, cleaned.base, legacyHorizon, modified, which)
		if err := c.scan(s, 0, func(b record.Batch) error { return c.add(cleaned, s, b) }); err != nil {
			return err
		}
	}
	return c.write(cleaned)
}

// add filters a batch of a source.
func (c *cleaning) add(cleaned, source *segment, b record.Batch) (err error) {
	before := len(c.out)
	if c.out, err = c.filter.Add(c.out, b); err != nil {
		return err
	}
	n := len(c.out) - before
	if n > 0 && outOfReach(cleaned.base, b) {
		return &overflowError{source}
	}
	if n > len(b) && n > int(c.config.MaxMessageBytes) {
		c.log.Warnf("Record batch from %s with last offset %d exceeded max record batch size %d after cleaning (new size is %d). "+
			"Consumers with version earlier than 0.10.1.0 may need to increase their fetch sizes.", c.l.name, b.LastOffset(), c.config.MaxMessageBytes, n)
	}
	if len(c.out) < c.chunk {
		return nil
	}
	return c.write(cleaned)
}

// write writes the batches that were filtered.
func (c *cleaning) write(cleaned *segment) error {
	if len(c.out) == 0 {
		return nil
	}
	if size := cleaned.size.Load() + int64(len(c.out)); size > math.MaxInt32 {
		return fmt.Errorf("the cleaned segment would have %d bytes, more than a segment may have", size)
	}
	n := len(c.out)
	if err := cleaned.append(c.out, c.config); err != nil {
		return err
	}
	if c.out = c.out[:0]; cap(c.out) > 4*wholeChunk {
		c.out = nil // a very large batch
	}
	return c.charge(n)
}

// complete makes cleaned segments durable, with the modification time of the last source, and the
// recovery point as it is before the log can depend on them. Recovery checks only what was appended,
// so no cleaned segment may lie above the checkpointed recovery point. The records because of which
// earlier ones were dropped become durable too, with the markers of their transactions, and a producer
// snapshot after the cleaned segments.
func (c *cleaning) complete(cleaned []*segment, last *segment) error {
	modified, err := last.modified()
	if err != nil {
		return err
	}
	l := c.l
	for _, s := range cleaned {
		if err := s.finish(); err != nil {
			return err
		}
		if err := s.sync(); err != nil {
			return err
		}
		if err := l.env.fs.Chtimes(s.log.name(), time.UnixMilli(modified)); err != nil {
			return err
		}
	}
	end := max(c.after(last), c.offsets.Latest()+1)
	if c.txns {
		end = max(end, c.view.HighWatermark)
	}
	if l.RecoveryPoint() < end {
		if err := l.flush(end, false); err != nil {
			return err
		}
	}
	if err := l.settleSnapshots(c.after(last)); err != nil {
		return err
	}
	if l.dir.checkpoints.offset(recoveryPointFile, l.tp) < end {
		l.dir.checkpoints.writeRecoveryPoints()
	}
	return l.check()
}

// activeProducers returns the producers whose last batches a cleaning must keep.
func (l *Log) activeProducers() map[int64]clean.Producer {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[int64]clean.Producer, len(l.producers.entries))
	for id, e := range l.producers.entries {
		p := clean.Producer{LastOffset: record.NoOffset, Epoch: e.epoch}
		if b, ok := e.lastBatch(); ok {
			p.LastOffset = b.lastOffset
		}
		all[id] = p
	}
	return all
}
