package storage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// cleanCrashTopic returns a compacted topic with tiny segments.
func cleanCrashTopic() *settings.Topic {
	c := crashTopic()
	c.CleanupCompact, c.CleanupDelete, c.DeleteRetentionMs = true, false, 1000
	return c
}

// keyedRecord is a record as it was written.
type keyedRecord struct {
	key, value string // a control record has no key; an empty value is a tombstone
	aborted    bool
	producer   int64
	marker     bool
}

// cleanHistory is a compacted log that is written and cleaned, and what was written.
type cleanHistory struct {
	m       *Manager
	l       *Log
	written []keyedRecord // by offset
	durable record.Offset // everything below it is durable
	epoch   metadata.LeaderEpoch
	next    map[int64]int32 // sequences by producer
}

func (h *cleanHistory) thread() *cleanerThread {
	return &cleanerThread{c: h.m.cleaner, generation: h.m.cleaner.generation.Load(), options: h.m.cleaner.options.Load()}
}

// clean cleans until nothing is due.
func (h *cleanHistory) clean() error {
	for thread := h.thread(); thread.step(); {
	}
	settle()
	return h.l.check()
}

// append appends a batch of records key=value of a producer, -1 for none.
func (h *cleanHistory) append(producer int64, txn, aborted bool, pairs ...string) error {
	o := record.Defaults()
	if producer >= 0 {
		o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = producer, 0, h.next[producer], txn
		h.next[producer] += int32(len(pairs) / 2)
	}
	b := record.NewBuilder(o)
	for i := 0; i < len(pairs); i += 2 {
		value := []byte(pairs[i+1])
		if pairs[i+1] == "" {
			value = nil
		}
		if err := b.Append(time.Now().UnixMilli(), []byte(pairs[i]), value); err != nil {
			return err
		}
		h.written = append(h.written, keyedRecord{key: pairs[i], value: pairs[i+1], aborted: aborted, producer: producer})
	}
	set, err := b.Build()
	if err != nil {
		return err
	}
	return h.put(set)
}

func (h *cleanHistory) marker(producer int64, typ record.ControlType) error {
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch = producer, 0
	set, err := record.EndTxnMarker(o, typ, 1, time.Now().UnixMilli())
	if err != nil {
		return err
	}
	h.written = append(h.written, keyedRecord{producer: producer, marker: true})
	return h.put(set)
}

func (h *cleanHistory) put(set []byte) error {
	_, err := h.l.AppendAsLeader(Append{Records: set, LeaderEpoch: h.epoch, Origin: record.FromCoordinator})
	h.l.SetHighWatermark(h.l.Offsets().LogEnd)
	return err
}

// write appends batches of each kind. round makes their values differ.
func (h *cleanHistory) write(round, batches int) error {
	for i := range batches {
		value := fmt.Sprintf("%d/%d %s", round, i, strings.Repeat(".", 30))
		a, b := fmt.Sprint("key ", i%5), fmt.Sprint("key ", (i+round)%9)
		var err error
		switch i % 7 {
		case 0:
			err = h.append(-1, false, false, a, value, b, value)
		case 1:
			err = h.append(1, false, false, b, value)
		case 2:
			err = h.append(2, true, true, a, "aborted "+value, b, "")
		case 3:
			err = h.append(3, true, false, a, value)
		case 4:
			err = h.marker(2, record.Abort)
		case 5:
			err = h.append(-1, false, false, b, "")
		case 6:
			err = h.marker(3, record.Commit)
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(h.append(-1, false, false, "last", fmt.Sprint(round)), h.l.Roll()); err != nil {
		return err
	}
	settle()
	h.epoch++
	return nil
}

// settleAll makes everything durable.
func (h *cleanHistory) settleAll() error {
	if err := h.l.Flush(); err != nil {
		return err
	}
	h.m.eachDir((*logDir).checkpoint)
	h.durable = h.l.Offsets().LogEnd
	return h.l.check()
}

// flush makes all records durable, but does not checkpoint the recovery point.
func (h *cleanHistory) flush() error {
	h.durable = h.l.Offsets().LogEnd
	return h.l.Flush()
}

// runCleanHistory writes and cleans a log. The machine stops before the n-th operation of the
// cleanings that changes the disk.
func runCleanHistory(c *crashingFS, n int) (*cleanHistory, error) {
	m, _, err := crashManager(c.fs(), cleanCrashTopic())
	if err != nil {
		return nil, err
	}
	h := &cleanHistory{m: m, next: map[int64]int32{}}
	if h.l, err = m.GetOrCreate(partition0, metadata.TopicID{1}, cleanCrashTopic(), true); err != nil {
		return h, err
	}
	clean := func() error {
		c.mu.Lock()
		before := c.changes
		c.stopAt = before + n
		c.mu.Unlock()
		err := h.clean()
		c.mu.Lock()
		defer c.mu.Unlock()
		n -= c.changes - before
		c.stopAt = 0
		return err
	}
	for _, step := range []func() error{
		func() error { return h.write(1, 28) }, h.settleAll, clean,
		func() error { return h.write(2, 14) }, h.flush, clean,
		func() error { time.Sleep(2 * time.Second); return h.write(3, 7) }, h.settleAll, clean,
	} {
		if err := step(); err != nil {
			return h, err
		}
	}
	return h, nil
}

// table returns the latest value of each key below an offset.
func (h *cleanHistory) table(end record.Offset) map[string]string {
	t := map[string]string{}
	for _, r := range h.written[:end] {
		switch {
		case r.key == "" || r.aborted:
		case r.value == "":
			delete(t, r.key)
		default:
			t[r.key] = r.value
		}
	}
	return t
}

// look compares a log with what was written: the latest values of all keys, and nothing that was
// not written there.
func (h *cleanHistory) look(m *Manager, floor record.Offset) error {
	if len(m.dirs.offlinePaths()) > 0 {
		return errors.New("the directory is offline")
	}
	l := m.Log(partition0)
	if l == nil {
		return errors.New("the log is gone")
	}
	f, err := serve(l)
	if err != nil {
		return err
	}
	if f.LogEnd < floor || f.LogStart != 0 {
		return fmt.Errorf("the log has [%d, %d), want at least [0, %d)", f.LogStart, f.LogEnd, floor)
	}
	found := map[string]string{}
	for _, b := range f.batches {
		if err := b.Each(func(r *record.Record) error {
			want := h.written[r.Offset]
			if !b.IsControl() && (string(r.Key) != want.key || string(r.Value) != want.value) {
				return fmt.Errorf("record %d is %q=%q instead of %q=%q", r.Offset, r.Key, r.Value, want.key, want.value)
			}
			switch {
			case b.IsControl():
			case want.aborted:
				return h.isAborted(l, r.Offset, f.LogEnd)
			case r.Value == nil:
				delete(found, want.key)
			default:
				found[want.key] = want.value
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if want := h.table(f.LogEnd); !maps.Equal(found, want) {
		return fmt.Errorf("up to %d the latest values are %v instead of %v", f.LogEnd, found, want)
	}
	return checkFound(l, &f)
}

// isAborted returns an error unless a read_committed reader is given the aborted transaction of the
// record, or the log ends before the marker of the transaction.
func (h *cleanHistory) isAborted(l *Log, offset, end record.Offset) error {
	producer := h.written[offset].producer
	if !slices.ContainsFunc(h.written[offset:end], func(r keyedRecord) bool { return r.marker && r.producer == producer }) {
		return nil
	}
	data, err := l.Read(Read{Offset: offset, MaxBytes: 1, MinOneMessage: true, AbortedWanted: true})
	if err != nil {
		return err
	}
	data.Release()
	if !slices.ContainsFunc(data.Aborted, func(a AbortedTxn) bool { return a.ProducerID == producer && a.FirstOffset <= offset }) {
		return fmt.Errorf("the aborted record %d of producer %d is not reported: %v", offset, producer, data.Aborted)
	}
	return nil
}

// checkFound finds every batch by its offsets.
func checkFound(l *Log, f *found) error {
	for _, b := range f.batches {
		for _, at := range []record.Offset{b.BaseOffset(), b.LastOffset()} {
			data, err := l.Read(Read{Offset: at, MaxBytes: 1, MinOneMessage: true})
			if err != nil {
				return err
			}
			head := make([]byte, record.HeaderSize)
			_, err = data.File.ReadAt(head, data.Position)
			data.Release()
			if err != nil || record.Batch(head).BaseOffset() != b.BaseOffset() {
				return fmt.Errorf("a read at %d begins with the batch at %d: %v", at, record.Batch(head).BaseOffset(), err)
			}
		}
	}
	return nil
}

// lookAt opens the state that a crash left, and checks it. With further it also cleans, stops and
// starts again.
func (h *cleanHistory) lookAt(image *vfs.Mem, floor record.Offset, further bool) error {
	m, lines, err := crashManager(image, cleanCrashTopic())
	if err != nil {
		return fmt.Errorf("start: %w\n%s", err, lines)
	}
	defer quiesce(m)
	if err := h.look(m, floor); err != nil {
		return fmt.Errorf("%w\n%s", err, lines)
	}
	if entries, err := image.ReadDir(m.Log(partition0).Path()); err == nil {
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), cleanedSuffix) || strings.HasSuffix(e.Name(), swapSuffix) {
				return fmt.Errorf("%s is left", e.Name())
			}
		}
	}
	if !further {
		return nil
	}
	l := m.Log(partition0)
	l.SetHighWatermark(l.Offsets().LogEnd)
	again := &cleanHistory{m: m, l: l}
	if err := again.clean(); err != nil {
		return err
	}
	if err := h.look(m, floor); err != nil {
		return fmt.Errorf("after another cleaning: %w", err)
	}
	if err := m.Close(); err != nil {
		return err
	}
	last, _, err := crashManager(image, cleanCrashTopic())
	if err != nil {
		return err
	}
	defer quiesce(last)
	return h.look(last, floor)
}

// The machine stops before each operation of three cleanings that changes the disk, and then before
// operations of the recovery. Wherever that is, the latest value of each key remains.
func TestACrashDuringACleaningLosesNoLatestValue(t *testing.T) {
	seeds, inner, stride := uint64(1), 50, 7
	if testkit.FullMatrices() {
		seeds, inner, stride = 4, 9, 1
	}
	const workers = 2
	for first := 1; first <= workers; first++ {
		t.Run(fmt.Sprint("from ", first), func(t *testing.T) {
			t.Parallel()
			for n := first; !t.Failed() && crashCleaning(t, n, seeds, inner); n += workers * stride {
			}
		})
	}
}

// crashCleaning stops the machine before operation n, and reports whether there was one. It stops
// the recovery at each inner-th operation.
func crashCleaning(t *testing.T, n int, seeds uint64, inner int) (stopped bool) {
	synctest.Test(t, func(t *testing.T) {
		c := &crashingFS{mem: vfs.NewMem()}
		h, err := runCleanHistory(c, n)
		quiesce(h.m)
		if stopped = c.stopped; !stopped && err != nil {
			t.Fatal(err)
		}
		where := fmt.Sprintf("operation %d (%s %s)", n, c.last.Kind, c.last.Name)
		for how, image := range images(c.mem, seeds) {
			h.crashAgain(t, where+", "+how, image, 1+n%inner, inner)
			if err := h.lookAt(image, h.durable, n%2 == 0); err != nil {
				t.Errorf("%s, %s: %v", where, how, err)
				return
			}
		}
	})
	return stopped
}

// crashAgain stops the recovery of an image at each step-th of its operations.
func (h *cleanHistory) crashAgain(t *testing.T, where string, image *vfs.Mem, from, step int) {
	for n := from; !t.Failed(); n += step {
		c := &crashingFS{mem: image.CrashClone(vfs.Everything, 0), stopAt: n}
		if m, _, err := crashManager(c.fs(), cleanCrashTopic()); err == nil {
			quiesce(m)
		}
		if !c.stopped {
			return
		}
		for how, second := range images(c.mem, 1) {
			if err := h.lookAt(second, h.durable, false); err != nil {
				t.Errorf("%s, then operation %d (%s %s) of the recovery, %s: %v", where, n, c.last.Kind, c.last.Name, how, err)
				return
			}
		}
	}
}
