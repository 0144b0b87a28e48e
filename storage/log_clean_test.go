package storage

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// compactedTopic returns a compacted topic with small segments.
func compactedTopic() *settings.Topic {
	c := testTopic()
	c.CleanupCompact, c.CleanupDelete = true, false
	c.SegmentBytes, c.IndexIntervalBytes = 1000, 200
	return c
}

// put appends a record with a key, one batch each. An empty value is a tombstone.
func put(t testing.TB, l *Log, key, value string) {
	t.Helper()
	putWith(t, l, record.Defaults(), key, value)
}

func putWith(t testing.TB, l *Log, o record.Options, key, value string) {
	t.Helper()
	b := record.NewBuilder(o)
	v := []byte(value)
	if value == "" {
		v = nil
	}
	if err := b.Append(l.env.now(), []byte(key), v); err != nil {
		t.Fatal(err)
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendAsLeader(Append{Records: set, Origin: record.FromCoordinator}); err != nil {
		t.Fatal(err)
	}
	l.SetHighWatermark(l.Offsets().LogEnd)
}

// thread returns a cleaner thread that tests drive themselves.
func (h *host) thread() *cleanerThread {
	return &cleanerThread{c: h.cleaner, generation: h.cleaner.generation.Load(), options: h.cleaner.options.Load()}
}

// cleanAll cleans until nothing is due, and returns the number of cleanings.
func (h *host) cleanAll(t testing.TB) (n int) {
	t.Helper()
	for thread := h.thread(); thread.step(); n++ {
		if n > 100 {
			t.Fatal("the log does not become clean")
		}
	}
	return n
}

// table returns the latest value of each key, as a consumer of the whole log builds it.
func table(t testing.TB, l *Log) map[string]string {
	t.Helper()
	values := map[string]string{}
	eachBatch(t, l, func(b record.Batch) {
		if b.IsControl() {
			return
		}
		if err := b.Each(func(r *record.Record) error {
			if r.Value == nil {
				delete(values, string(r.Key))
			} else {
				values[string(r.Key)] = string(r.Value)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	return values
}

// eachBatch calls f with every batch of a log.
func eachBatch(t testing.TB, l *Log, f func(record.Batch)) {
	t.Helper()
	for from, end := l.Offsets().LogStart, l.Offsets().LogEnd; from < end; {
		set := readBytes(t, l, Read{Offset: from, MaxBytes: 1 << 20, MinOneMessage: true})
		next := from
		for b, err := range record.Batches(set) {
			if err == nil {
				err = b.Validate()
			}
			if err != nil {
				t.Fatal(err)
			}
			f(b)
			next = b.NextOffset()
		}
		if next == from {
			return
		}
		from = next
	}
}

func offsetsOf(t testing.TB, l *Log) (offsets []record.Offset) {
	t.Helper()
	eachBatch(t, l, func(b record.Batch) {
		if err := b.EachTimestamp(func(offset record.Offset, _ int64) error {
			offsets = append(offsets, offset)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	return offsets
}

func TestCompactionKeepsTheLatestValueOfEachKey(t *testing.T) {
	dir := t.TempDir()
	h := start(t, vfs.OS(), func(c *ManagerConfig) { c.Dirs, c.Defaults = []string{dir}, compactedTopic() })
	l := h.log(t, compactedTopic())
	for i := range 100 {
		put(t, l, fmt.Sprint("key ", i%7), fmt.Sprint("value ", i))
	}
	before, size := table(t, l), l.Size()
	active := l.positions.active().base
	if n := h.cleanAll(t); n != 1 {
		t.Errorf("%d cleanings", n)
	}
	if after := table(t, l); !maps.Equal(before, after) {
		t.Errorf("after the cleaning %v, before it %v", after, before)
	}
	if l.Size() >= size/2 {
		t.Errorf("%d bytes, before the cleaning %d", l.Size(), size)
	}
	if got := l.dir.checkpoints.offset(cleanerOffsetFile, partition0); got != active {
		t.Errorf("the checkpoint is %d instead of %d", got, active)
	}
	file, err := os.ReadFile(dir + "/" + cleanerOffsetFile)
	if want := fmt.Sprintf("0\n1\nt 0 %d\n", active); err != nil || string(file) != want {
		t.Errorf("checkpoint %q, want %q: %v", file, want, err)
	}
	for _, line := range []string{"Beginning cleaning of log t-0", fmt.Sprintf("Log cleaner thread 0 cleaned log t-0 (dirty section = [0, %d])", active)} {
		if !strings.Contains(h.lines.String(), line) {
			t.Errorf("no line %q in\n%s", line, h.lines)
		}
	}
	offsets := offsetsOf(t, l)
	h.restart(t)
	l = h.Log(partition0)
	if again := offsetsOf(t, l); !slices.Equal(again, offsets) || !maps.Equal(table(t, l), before) {
		t.Errorf("after a restart %v %v, before it %v %v", again, table(t, l), offsets, before)
	}
	if n := h.cleanAll(t); n != 0 {
		t.Errorf("%d cleanings of a clean log", n)
	}
}

func TestATombstoneSurvivesUntilItsDeleteHorizon(t *testing.T) {
	c := compactedTopic()
	c.DeleteRetentionMs = 1000
	l, h := newLog(t, c)
	h.clock.set(time.UnixMilli(1700000000000))
	put(t, l, "gone", "value")
	put(t, l, "kept", "value")
	put(t, l, "gone", "")
	roll(t, l)
	h.cleanAll(t)
	if got := offsetsOf(t, l); !slices.Equal(got, []record.Offset{1, 2}) {
		t.Fatalf("the first cleaning keeps %v", got)
	}
	h.clock.advance(999 * time.Millisecond)
	put(t, l, "more", "value")
	roll(t, l)
	h.cleanAll(t)
	if got := offsetsOf(t, l); !slices.Equal(got, []record.Offset{1, 2, 3}) {
		t.Fatalf("before the horizon a cleaning keeps %v", got)
	}
	h.clock.advance(time.Millisecond)
	put(t, l, "more", "value 2")
	roll(t, l)
	h.cleanAll(t)
	if got := offsetsOf(t, l); !slices.Equal(got, []record.Offset{1, 4}) {
		t.Fatalf("after the horizon a cleaning keeps %v", got)
	}
}

// roll begins another segment.
func roll(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Roll(); err != nil {
		t.Fatal(err)
	}
}
