package storage

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

// overflowed is the state of a disk on which the first segment of partition0 spans more than 2^31
// offsets, as compaction by old brokers could leave it (KAFKA-6264).
type overflowed struct {
	mem     *vfs.Mem
	written map[record.Offset]string // "key=value" of each record that is not aborted
	table   map[string]string
	end     record.Offset
}

// overflowBases are the base offsets of the segments into which the overflowed segment must be
// split, and of the one after it.
var overflowBases = []record.Offset{0, 1<<31 + 4, 1<<33 + 2, 1<<33 + 3}

// newOverflowed builds the state. With clean set, the broker was shut down cleanly. Otherwise it has
// no checkpoint of its recovery point, so it recovers the whole log.
func newOverflowed(t *testing.T, clean bool) *overflowed {
	t.Helper()
	o := &overflowed{mem: vfs.NewMem(), written: map[record.Offset]string{}}
	c := cleanCrashTopic()
	h := start(t, o.mem, func(m *ManagerConfig) { m.Defaults = c })
	l := h.log(t, c)
	add := func(at record.Offset, producer int64, pairs ...string) {
		t.Helper()
		options := record.Defaults()
		options.BaseOffset, options.LeaderEpoch = at, 0
		if producer > 0 {
			options.ProducerID, options.ProducerEpoch, options.BaseSequence, options.Transactional = producer, 0, 0, true
		}
		b := record.NewBuilder(options)
		for i := 0; i < len(pairs); i += 2 {
			noError(t, b.Append(1000, []byte(pairs[i]), []byte(pairs[i+1])))
			if producer <= 0 {
				o.written[at+record.Offset(i/2)] = pairs[i] + "=" + pairs[i+1]
			}
		}
		set, err := b.Build()
		noError(t, err)
		_, err = l.AppendAsFollower(set, 0)
		noError(t, err)
	}
	add(3, 0, "a", "1", "b", "1", "c", "1")
	add(6, 7, "a", "aborted")
	marker := record.Defaults()
	marker.ProducerID, marker.ProducerEpoch, marker.BaseOffset, marker.LeaderEpoch = 7, 0, 1<<31+4, 0
	set, err := record.EndTxnMarker(marker, record.Abort, 1, 1000)
	noError(t, err)
	_, err = l.AppendAsFollower(set, 0)
	noError(t, err)
	add(1<<31+5, 0, "a", "2", "d", "1")
	add(1<<33+2, 0, "b", "2")
	roll(t, l)
	add(1<<33+4, 0, "e", "1")
	roll(t, l)
	add(1<<33+5, 0, "last", "1")
	o.end = 1<<33 + 6
	o.table = map[string]string{"a": "2", "b": "2", "c": "1", "d": "1", "e": "1", "last": "1"}
	noError(t, h.Close())
	for _, base := range overflowBases[1:3] {
		for _, suffix := range segmentSuffixes {
			moved := fileContent(t, o.mem, segmentName(base, suffix))
			if moved == "absent" {
				continue
			}
			if suffix == logSuffix || suffix == txnIndexSuffix {
				edit(t, withFile(t, o.mem, segmentName(0, suffix)), segmentName(0, suffix), func(b []byte) []byte {
					return append([]byte(strings.TrimPrefix(string(b), "absent")), moved...)
				})
			}
			noError(t, o.mem.Remove(segmentName(base, suffix)))
		}
	}
	if !clean {
		noError(t, o.mem.Remove("/data/"+cleanShutdownFile))
		noError(t, o.mem.Remove("/data/"+recoveryPointFile))
	}
	for _, dir := range []string{"/data", "/data/t-0"} {
		syncAll(t, o.mem, dir)
	}
	return o
}

// syncAll makes a directory and the files in it durable.
func syncAll(t *testing.T, fsys vfs.FS, dir string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	noError(t, err)
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		f, err := fsys.OpenFile(dir+"/"+e.Name(), os.O_RDWR, 0)
		noError(t, err)
		noError(t, errors.Join(f.Sync(), f.Close()))
	}
	noError(t, fsys.SyncDir(dir))
}

// look compares a log with what was written.
func (o *overflowed) look(l *Log) error {
	f, err := serve(l)
	if err != nil {
		return err
	}
	if f.LogEnd != o.end || f.LogStart != 0 {
		return fmt.Errorf("the log has [%d, %d), want [0, %d)", f.LogStart, f.LogEnd, o.end)
	}
	found := map[string]string{}
	last := record.NoOffset
	for _, b := range f.batches {
		if b.BaseOffset() <= last {
			return fmt.Errorf("the batch at %d follows offset %d", b.BaseOffset(), last)
		}
		last = b.LastOffset()
		if b.IsControl() || b.IsTransactional() {
			continue
		}
		if err := b.Each(func(r *record.Record) error {
			if have := fmt.Sprintf("%s=%s", r.Key, r.Value); have != o.written[r.Offset] {
				return fmt.Errorf("record %d is %s", r.Offset, have)
			}
			found[string(r.Key)] = string(r.Value)
			return nil
		}); err != nil {
			return err
		}
	}
	if !maps.Equal(found, o.table) {
		return fmt.Errorf("the latest values are %v", found)
	}
	return checkFound(l, &f)
}

// aborted returns an error unless the aborted transaction at offset 6 is gone, or reported.
func (o *overflowed) aborted(l *Log) error {
	f, err := serve(l)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(f.batches, func(b record.Batch) bool { return b.IsTransactional() && !b.IsControl() }) {
		return nil
	}
	data, err := l.Read(Read{Offset: 6, MaxBytes: 1, MinOneMessage: true, AbortedWanted: true})
	if err != nil {
		return err
	}
	data.Release()
	if !slices.Contains(data.Aborted, AbortedTxn{7, 6}) {
		return fmt.Errorf("the aborted transactions are %v", data.Aborted)
	}
	return nil
}

func basesOf(l *Log) (bases []record.Offset) {
	v := l.positions.load()
	for _, s := range v.segments {
		bases = append(bases, s.base)
	}
	return bases
}

// The first step splits the segment, the next one cleans the log. Nothing is lost in between.
func TestACleaningSplitsASegmentWithOffsetsTooFarApart(t *testing.T) {
	o := newOverflowed(t, true)
	h := start(t, o.mem, func(m *ManagerConfig) { m.Defaults = cleanCrashTopic() })
	l := h.Log(partition0)
	l.SetHighWatermark(o.end)
	if bases := basesOf(l); len(bases) != 3 {
		t.Fatalf("the log has segments %v", bases)
	}
	modified, err := l.positions.v.segments[0].modified()
	noError(t, err)
	thread := h.thread()
	if !thread.step() {
		t.Errorf("the first step does nothing:\n%s", h.lines)
	}
	if bases := basesOf(l); !slices.Equal(bases[:4], overflowBases) {
		t.Errorf("after the split the log has segments %v", bases)
	}
	for _, s := range l.positions.v.segments[:3] {
		if ms, err := s.modified(); err != nil || ms != modified {
			t.Errorf("%v was modified at %d instead of %d: %v", s, ms, modified, err)
		}
	}
	if err := errors.Join(o.look(l), o.aborted(l)); err != nil {
		t.Errorf("after the split: %v", err)
	}
	wantEqual(t, "checkpoint after the split", l.dir.checkpoints.offset(cleanerOffsetFile, partition0), -1)
	wantEqual(t, "cleanings", h.cleanAll(t), 1)
	wantEqual(t, "checkpoint after the cleaning", l.dir.checkpoints.offset(cleanerOffsetFile, partition0), 1<<33+5)
	if err := o.look(l); err != nil {
		t.Errorf("after the cleaning: %v", err)
	}
	for range 2 {
		h.restart(t)
		l = h.Log(partition0)
		if err := o.look(l); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	}
	wantEqual(t, "uncleanable logs", len(h.cleaner.uncleanable), 0)
}

// The segment was cleaned before, so the cleaning finds the torn end only when it splits the segment.
func TestAnOverflowedSegmentWithATornEndIsLeftAsItIs(t *testing.T) {
	o := newOverflowed(t, true)
	h := start(t, o.mem, func(m *ManagerConfig) { m.Defaults = cleanCrashTopic() })
	l := h.Log(partition0)
	l.SetHighWatermark(o.end)
	v := l.positions.load()
	s := v.segments[0]
	l.markClean(v.segments[1].base, v.truncations)
	f, err := s.log.acquire()
	noError(t, err)
	noError(t, f.Truncate(s.size.Load()-10))
	s.size.Add(-10)
	f.release()
	if n := h.cleanAll(t); n != 0 || !strings.Contains(h.CleanerStatus().Uncleanable["/data"].Reasons[partition0], "the last batch is incomplete") {
		t.Errorf("%d cleanings of a damaged log: %+v", n, h.CleanerStatus())
	}
	if now := l.positions.load(); !slices.Contains(now.segments, s) || len(leftovers(t, l)) > 0 {
		t.Errorf("the segment was replaced, or %v are left", leftovers(t, l))
	}
}

// The overflowed segment can be cleaned as it is if nothing remains of what is out of reach.
func TestNoSegmentIsSplitForRecordsThatAreDropped(t *testing.T) {
	c := cleanCrashTopic()
	o := newOverflowed(t, true)
	h := start(t, o.mem, func(m *ManagerConfig) { m.Defaults = c })
	l := h.Log(partition0)
	for _, key := range []string{"a", "b", "d"} {
		putAt := l.Offsets().LogEnd
		options := record.Defaults()
		options.BaseOffset, options.LeaderEpoch = putAt, 0
		_, err := l.AppendAsFollower(batch(t, options, rec{key, "3", 1000}), 0)
		noError(t, err)
	}
	roll(t, l)
	l.SetHighWatermark(l.Offsets().LogEnd)
	for range 3 { // the marker stays until its delete horizon
		h.cleanAll(t)
		h.clock.advance(2 * 1000 * 1000 * 1000)
		put(t, l, "last", "2")
		roll(t, l)
	}
	h.cleanAll(t)
	if got := table(t, l); got["a"] != "3" || got["c"] != "1" {
		t.Errorf("the latest values are %v", got)
	}
}

// The machine stops before each operation of the split and the cleaning, and of a start that splits,
// and again during the recovery. Nothing is lost, and nothing returns.
func TestACrashDuringASplitLosesNothing(t *testing.T) {
	stride, seeds := 7, uint64(1)
	if testkit.FullMatrices() {
		stride, seeds = 1, 6
	}
	for name, clean := range map[string]bool{"of a cleaning": true, "of a start": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOverflowed(t, clean)
				for n := 1; !t.Failed(); n += stride {
					if !o.crash(t, n, seeds) {
						return
					}
				}
			})
		})
	}
}

// splitAndClean starts a broker and cleans until nothing is due.
func splitAndClean(fsys vfs.FS) (*Manager, error) {
	m, lines, err := crashManager(fsys, cleanCrashTopic())
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, lines)
	}
	l := m.Log(partition0)
	l.SetHighWatermark(l.Offsets().LogEnd)
	h := &cleanHistory{m: m, l: l}
	if err := h.clean(); err != nil {
		return m, fmt.Errorf("%w\n%s", err, lines)
	}
	return m, nil
}

// crash stops the machine before the n-th operation, and reports whether there was one.
func (o *overflowed) crash(t *testing.T, n int, seeds uint64) bool {
	c := &crashingFS{mem: o.mem.CrashClone(vfs.Everything, 0), stopAt: n}
	m, err := splitAndClean(c.fs())
	if m != nil {
		quiesce(m)
	}
	if !c.stopped {
		noError(t, err)
		noError(t, o.look(m.Log(partition0)))
		return false
	}
	for how, image := range images(c.mem, seeds) {
		where := fmt.Sprintf("operation %d (%s %s), %s", n, c.last.Kind, c.last.Name, how)
		for inner := 1 + n%5; ; inner += 11 {
			again := &crashingFS{mem: image.CrashClone(vfs.Everything, 0), stopAt: inner}
			if m, _, err := crashManager(again.fs(), cleanCrashTopic()); err == nil {
				quiesce(m)
			}
			if !again.stopped {
				break
			}
			for how, second := range images(again.mem, 1) {
				if err := o.lookAt(second); err != nil {
					t.Errorf("%s, then operation %d (%s %s) of the start, %s: %v", where, inner, again.last.Kind, again.last.Name, how, err)
					return false
				}
			}
		}
		if err := o.lookAt(image); err != nil {
			t.Errorf("%s: %v", where, err)
			return false
		}
	}
	return true
}

// lookAt starts on a state of the disk, compares the log, cleans it, and compares it again.
func (o *overflowed) lookAt(image *vfs.Mem) error {
	m, lines, err := crashManager(image, cleanCrashTopic())
	if err != nil {
		return fmt.Errorf("start: %w\n%s", err, lines)
	}
	l := m.Log(partition0)
	err = o.look(l)
	quiesce(m)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, lines)
	}
	m, err = splitAndClean(image.CrashClone(vfs.Everything, 0))
	if err != nil {
		return fmt.Errorf("cleaning again: %w", err)
	}
	defer quiesce(m)
	if err := o.look(m.Log(partition0)); err != nil {
		return fmt.Errorf("after another cleaning: %w", err)
	}
	return nil
}
