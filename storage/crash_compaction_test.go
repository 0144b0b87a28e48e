package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage/clean"
)

// Random histories of compacted logs: in addition to what other histories do, the log is cleaned, in
// part with a map that is too small, and changes while it is cleaned. The latest value of each key
// remains, nothing else returns, and the checkpoint is true.
func TestRandomHistoriesOfCompactedLogsSurviveCrashes(t *testing.T) {
	runRandomHistories(t, 100, true)
}

// keyedBatch encodes records. An empty value is a tombstone.
func keyedBatch(o record.Options, records []rec) (record.Batch, error) {
	b := record.NewBuilder(o)
	for _, r := range records {
		value := []byte(r.value)
		if len(value) == 0 {
			value = nil
		}
		if err := b.Append(r.timestamp, []byte(r.key), value); err != nil {
			return nil, err
		}
	}
	set, err := b.Build()
	return set, err
}

// keyedValues returns loggedBatch.values of a batch of a compacted log.
func keyedValues(b record.Batch) ([]string, error) {
	values := make([]string, b.LastOffset()-b.BaseOffset()+1)
	err := b.Each(func(r *record.Record) error {
		values[r.Offset-b.BaseOffset()] = fmt.Sprintf("%s=%s", r.Key, r.Value)
		return nil
	})
	return values, err
}

// clean cleans the log as a thread does, or with changes of the log at its pauses.
func (h *randomHistory) clean() error {
	l, c := h.l, h.m.cleaner
	l.SetHighWatermark(h.end())
	h.cleaned = max(h.cleaned, h.end()) // markers above the last stable offset count too
	if h.r.IntN(2) == 0 {
		h.note("clean up to %d", h.cleaned)
		thread := &cleanerThread{c: c, generation: c.generation.Load(), options: c.options.Load()}
		thread.step()
		return h.uncleanable()
	}
	now := h.m.env.now()
	p, ok := c.plan(l, now)
	if !ok || p.CleanableBytes == 0 {
		return nil
	}
	h.note("clean [%d, %d) with changes", p.FirstDirty, p.FirstUncleanable)
	var failed error
	run := cleaning{l: l, config: l.Config(), plan: p, now: now, chunk: wholeChunk, log: kafkalog.WithPrefix(h.m.config.Log, "kafka.log.LogCleaner", ""),
		offsets: clean.NewOffsetMap(int64(2+h.r.IntN(20))*24, 0.9),
		pause: func(int) error {
			if h.r.IntN(4) == 0 && failed == nil && !h.disk.stopped {
				h.cleaning = true
				failed = h.once()
				h.cleaning = false
			}
			return failed
		}}
	end, err := run.run()
	switch {
	case failed != nil:
		return failed
	case errors.Is(err, errCleaningAborted):
		h.note("the cleaning was aborted")
		return nil
	case err != nil:
		return err
	}
	h.note("cleaned up to %d", end)
	l.markClean(end, run.view.truncations)
	return nil
}

// uncleanable returns why the log could not be cleaned, if that is so.
func (h *randomHistory) uncleanable() error {
	for l, s := range h.m.cleaner.uncleanable {
		if l.check() == nil {
			return fmt.Errorf("the log could not be cleaned: %w", s.cause)
		}
	}
	return nil
}

// latestRecord is the last record of a key.
type latestRecord struct {
	offset record.Offset
	value  string // empty for a tombstone
}

// eachKeyed calls f with the records of batches from the last to the first, without those of aborted
// transactions and, unless open is set, of transactions without a marker.
func eachKeyed(batches []loggedBatch, open bool, f func(key string, r latestRecord)) {
	markers := map[int64]loggedBatch{}
	for _, b := range slices.Backward(batches) {
		if b.marker {
			markers[b.producer] = b
			continue
		}
		if m, ended := markers[b.producer]; b.txn && (m.aborts || !ended && !open) {
			continue
		}
		for i, v := range slices.Backward(b.values) {
			if key, value, ok := strings.Cut(v, "="); ok {
				f(key, latestRecord{b.base + record.Offset(i), value})
			}
		}
	}
}

// latestOf returns the last records of all keys below an offset.
func latestOf(batches []loggedBatch, open bool, below record.Offset) map[string]latestRecord {
	latest := map[string]latestRecord{}
	eachKeyed(batches, open, func(key string, r latestRecord) {
		if _, later := latest[key]; !later && r.offset < below {
			latest[key] = r
		}
	})
	return latest
}

// lookAtKeys requires that below the floor the latest value of each key remains, if no later one
// exists, that no deleted value has returned, that open transactions are whole, and that the cleaned
// part has no key twice.
func (h *randomHistory) lookAtKeys(found []loggedBatch, floor record.Offset) error {
	if !h.compacted {
		return nil
	}
	start := h.l.Offsets().LogStart
	want, have, settled := latestOf(h.batches, false, floor), latestOf(found, true, noLimit), latestOf(found, false, floor)
	for key, w := range want {
		g, ok := have[key]
		switch {
		case w.offset < start, !ok && w.value == "":
		case !ok, g.offset < w.offset:
			return fmt.Errorf("the latest record of %s below %d, at %d (%.10q), is lost; the last one is at %d (%.10q)", key, floor, w.offset, w.value, g.offset, g.value)
		case g.offset == w.offset && g.value != w.value:
			return fmt.Errorf("the latest record of %s, at %d, is %.10q instead of %.10q", key, w.offset, g.value, w.value)
		}
	}
	known := latestOf(h.batches, true, floor) // a marker may have been written by an append that failed
	for key, g := range settled {
		if _, ok := known[key]; !ok {
			return fmt.Errorf("%s at %d (%.10q) is back", key, g.offset, g.value)
		}
	}
	return errors.Join(h.lookAtOpenTransactions(found, floor), h.lookAtCleanerCheckpoint(found))
}

func (h *randomHistory) lookAtOpenTransactions(found []loggedBatch, floor record.Offset) error {
	ended := map[int64]bool{}
	for _, b := range slices.Backward(h.batches) {
		switch {
		case b.marker:
			ended[b.producer] = true
		case b.txn && !ended[b.producer] && b.last < floor && b.base >= h.l.Offsets().LogStart:
			if !slices.ContainsFunc(found, func(f loggedBatch) bool { return f.base == b.base && slices.Equal(f.values, b.values) }) {
				return fmt.Errorf("the batch %d-%d of an open transaction is lost", b.base, b.last)
			}
		}
	}
	return nil
}

func (h *randomHistory) lookAtCleanerCheckpoint(found []loggedBatch) error {
	end := h.l.Offsets().LogEnd
	file, err := readOffsetCheckpoint(h.disk.mem, "/data/"+cleanerOffsetFile)
	if err != nil {
		return err
	}
	for _, clean := range []record.Offset{h.l.dir.checkpoints.offset(cleanerOffsetFile, partition0), file[partition0]} {
		if clean > end {
			return fmt.Errorf("the log counts as clean up to %d, but ends at %d", clean, end)
		}
		later := map[string]record.Offset{}
		eachKeyed(found, false, func(key string, r latestRecord) {
			if r.offset >= clean || r.offset < h.l.Offsets().LogStart {
				return
			}
			if at, ok := later[key]; ok {
				err = fmt.Errorf("the log counts as clean up to %d, but has %s at %d and %d", clean, key, r.offset, at)
			}
			later[key] = r.offset
		})
	}
	return err
}
