package storage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

// These tests show that a crash loses nothing durable. A history of appends, rolls, flushes,
// truncations, retention, clean shutdowns and starts is run repeatedly, stopped each time one
// operation that changes the disk later. Each state that a crash at that point may leave is opened,
// checked against the history, and used further; the opening itself is also stopped at its
// operations.

// found is the content that a log serves.
type found struct {
	Offsets
	values  map[record.Offset]string
	batches []record.Batch
}

// errNoData ends a read of a log with a gap at its end.
var errNoData = errors.New("no data")

// serve reads the whole log, as replicas do, and checks every batch.
func serve(l *Log) (found, error) {
	f := found{Offsets: l.Offsets(), values: map[record.Offset]string{}}
	for next := f.LogStart; next < f.LogEnd; {
		data, err := l.Read(Read{Offset: next, MaxBytes: 1 << 20, MinOneMessage: true})
		if err != nil {
			return f, fmt.Errorf("reading at %d: %w", next, err)
		}
		set := make([]byte, data.Length)
		if data.Length > 0 {
			_, err = data.File.ReadAt(set, data.Position)
		}
		data.Release()
		if err != nil {
			return f, err
		}
		if len(set) == 0 {
			return f, fmt.Errorf("%w at %d, but the log ends at %d", errNoData, next, f.LogEnd)
		}
		for len(set) > 0 {
			var b record.Batch
			if b, set, err = record.Next(set); err != nil || b == nil {
				return f, fmt.Errorf("incomplete batch at %d: %v", next, err)
			}
			if err := b.Validate(); err != nil {
				return f, err
			}
			if err := f.note(b); err != nil {
				return f, err
			}
			next = b.NextOffset()
		}
	}
	return f, nil
}

func (f *found) note(b record.Batch) error {
	f.batches = append(f.batches, b)
	return b.Each(func(r *record.Record) error {
		v := string(r.Value)
		if b.IsControl() {
			v = controlValue
		}
		f.values[r.Offset] = v
		return nil
	})
}

// look opens the state that a crash left and returns what is wrong with it.
func (p *crashPoint) look(image *vfs.Mem, further bool) error {
	points, err := readOffsetCheckpoint(image, "/data/"+recoveryPointFile)
	if err != nil {
		return err
	}
	m, lines, err := crashManager(image, crashTopic())
	if err != nil {
		return fmt.Errorf("start: %w\n%s", err, lines)
	}
	defer quiesce(m)
	err = p.check(m, min(max(points[partition0], p.durable), p.limit))
	if err == nil && further {
		err = p.cutPower(m, image)
	}
	if err == nil && further {
		err = p.useFurther(m, image)
	}
	if err != nil {
		return fmt.Errorf("%w (recovery point %d)\n%s", err, points[partition0], lines)
	}
	return nil
}

// check compares what is served with the history. Everything below the floor must be present.
func (p *crashPoint) check(m *Manager, floor record.Offset) error {
	if len(m.dirs.offlinePaths()) > 0 {
		return errors.New("the directory is offline")
	}
	l := m.Log(partition0)
	if l == nil {
		if len(p.now) > 0 && floor > 0 {
			return errors.New("the log is gone")
		}
		return nil
	}
	f, err := serve(l)
	if err != nil {
		return err
	}
	return errors.Join(p.checkRecords(&f, floor), checkLookups(l, &f), p.checkProducers(l, &f), p.checkAborted(l, &f), p.checkEpochs(l, &f))
}

// checkLookups finds every batch by its last offset and by its timestamp.
func checkLookups(l *Log, f *found) error {
	for i, b := range f.batches {
		data, err := l.Read(Read{Offset: b.LastOffset(), MaxBytes: 1, MinOneMessage: true})
		if err != nil {
			return err
		}
		head := make([]byte, record.HeaderSize)
		_, err = data.File.ReadAt(head, data.Position)
		data.Release()
		if err != nil || record.Batch(head).BaseOffset() != b.BaseOffset() {
			return fmt.Errorf("a read at %d begins with the batch at %d: %v", b.LastOffset(), record.Batch(head).BaseOffset(), err)
		}
		want := b.BaseOffset()
		for _, earlier := range f.batches[:i] {
			if earlier.MaxTimestamp() >= b.MaxTimestamp() {
				want = min(want, earlier.BaseOffset())
			}
		}
		if want = max(want, f.LogStart); want > b.BaseOffset() {
			continue
		}
		if got, err := l.OffsetForTime(b.MaxTimestamp()); err != nil || got.Offset != want {
			return fmt.Errorf("the first record at or after %d is at %d, want %d: %v", b.MaxTimestamp(), got.Offset, want, err)
		}
	}
	return nil
}

func (p *crashPoint) checkRecords(f *found, floor record.Offset) error {
	if f.LogStart > p.logStart {
		return fmt.Errorf("the log starts at %d, above %d", f.LogStart, p.logStart)
	}
	if p.ended && f.LogEnd != p.logEnd {
		return fmt.Errorf("the log ends at %d instead of %d after a clean shutdown", f.LogEnd, p.logEnd)
	}
	for at := f.LogStart; at < max(f.LogEnd, floor); at++ {
		v, ok := f.values[at]
		must := at >= p.logStart && at < floor && p.now[at] != ""
		switch {
		case must && v != p.now[at]:
			return fmt.Errorf("offset %d below %d is %q instead of %q", at, floor, v, p.now[at])
		case !ok && at < f.LogEnd && !p.gaps[at]:
			return fmt.Errorf("offset %d is missing in [%d, %d)", at, f.LogStart, f.LogEnd)
		case ok && !slices.Contains(p.ever[at], v):
			return fmt.Errorf("offset %d is %q, which was never written there", at, v)
		}
	}
	return nil
}

// replayed returns the producer state after all batches that are served.
func (f *found) replayed() (*producerState, []completedTxn, error) {
	mem := vfs.NewMem()
	s, err := openProducerState(mem, "/", partition0, expiration(1<<50), kafkalog.For(kafkalog.Discard(), ""))
	if err != nil {
		return nil, nil, err
	}
	var done []completedTxn
	for _, b := range f.batches {
		completed, err := appendTo(s, record.FromReplication, b)
		if err != nil {
			return nil, nil, err
		}
		done = append(done, completed...)
	}
	return s, done, nil
}

func (p *crashPoint) checkProducers(l *Log, f *found) error {
	s, _, err := f.replayed()
	if err != nil {
		return err
	}
	have := map[int64]ProducerStatus{}
	for _, status := range l.Producers() {
		have[status.ProducerID] = status
	}
	for _, want := range s.producers() {
		got := have[want.ProducerID]
		if want.LastSequence < 0 {
			want.LastSequence = got.LastSequence // its batches are below the log start
		}
		if want.CoordinatorEpoch < 0 {
			want.CoordinatorEpoch = got.CoordinatorEpoch
		}
		if got != want {
			return fmt.Errorf("producer %d is %+v instead of %+v", want.ProducerID, got, want)
		}
	}
	return nil
}

func (p *crashPoint) checkAborted(l *Log, f *found) error {
	_, done, err := f.replayed()
	if err != nil {
		return err
	}
	l.SetHighWatermark(f.LogEnd)
	data, err := l.Read(Read{Offset: f.LogStart, MaxBytes: 1, MinOneMessage: true, Bound: UpToLastStable, AbortedWanted: true})
	if err != nil {
		return err
	}
	data.Release()
	for _, t := range done {
		if !t.aborted || t.firstOffset < f.LogStart {
			continue
		}
		data, err := l.Read(Read{Offset: t.firstOffset, MaxBytes: 1 << 20, MinOneMessage: true, Bound: UpToLogEnd, AbortedWanted: true})
		if err != nil {
			return err
		}
		data.Release()
		if !slices.Contains(data.Aborted, AbortedTxn{ProducerID: t.producerID, FirstOffset: t.firstOffset}) {
			return fmt.Errorf("the transaction aborted at %d is not reported: %v", t.lastOffset, data.Aborted)
		}
	}
	return nil
}

// checkEpochs requires an entry for every epoch in the log, at or before its first batch. After a
// truncation, a crash may have brought back batches of an epoch that was cut off, as in Kafka.
func (p *crashPoint) checkEpochs(l *Log, f *found) error {
	if latest, ok := l.epochs.latest(); ok && latest.startOffset > f.LogEnd {
		return fmt.Errorf("epoch %d begins at %d, after the log's end %d", latest.epoch, latest.startOffset, f.LogEnd)
	}
	if !p.rising {
		return nil
	}
	for _, b := range f.batches {
		if b.BaseOffset() < p.logStart {
			continue // deleted, but the checkpoint of the log start was not yet written
		}
		if got := l.epochs.epochForOffset(b.BaseOffset()); got != b.PartitionLeaderEpoch() {
			return fmt.Errorf("offset %d was written in epoch %d, but the cache %v has %d", b.BaseOffset(), b.PartitionLeaderEpoch(), l.epochs, got)
		}
	}
	return nil
}

// cutPower simulates two power failures after a recovery, each of which loses everything that the
// recovered process did not sync: one after the recovery point is checkpointed, and one after a
// flush.
func (p *crashPoint) cutPower(m *Manager, image *vfs.Mem) error {
	l := m.Log(partition0)
	if l == nil {
		return nil
	}
	m.eachDir((*logDir).checkpoint)
	points, err := readOffsetCheckpoint(image, "/data/"+recoveryPointFile)
	if err != nil {
		return err
	}
	first := image.CrashClone(vfs.SyncedOnly, 0)
	if err := l.Flush(); err != nil {
		return err
	}
	m.eachDir((*logDir).checkpoint)
	flushed, err := serve(l)
	if err != nil {
		return err
	}
	second := image.CrashClone(vfs.SyncedOnly, 0)

	after, _, err := crashManager(first, crashTopic())
	if err != nil {
		return err
	}
	defer quiesce(after)
	if err := p.check(after, min(points[partition0], p.limit)); err != nil {
		return fmt.Errorf("after a recovery and a power failure: %w", err)
	}
	last, _, err := crashManager(second, crashTopic())
	if err != nil {
		return err
	}
	defer quiesce(last)
	left, err := serve(last.Log(partition0))
	if err != nil {
		return err
	}
	if !maps.Equal(flushed.values, left.values) {
		return fmt.Errorf("after a recovery, a flush and a power failure %v instead of %v", left.values, flushed.values)
	}
	return nil
}

// useFurther appends a record, shuts down cleanly, and starts again: the log must serve the same
// records and the new one.
func (p *crashPoint) useFurther(m *Manager, image *vfs.Mem) error {
	l := m.Log(partition0)
	if l == nil {
		return nil
	}
	before, err := serve(l)
	if err != nil {
		return err
	}
	b := record.NewBuilder(record.Defaults())
	if err := b.Append(1, nil, []byte("one more")); err != nil {
		return err
	}
	set, err := b.Build()
	if err != nil {
		return err
	}
	if _, err := l.AppendAsLeader(Append{Records: set, LeaderEpoch: 100}); err != nil {
		return err
	}
	if err := m.Close(); err != nil {
		return err
	}
	again, _, err := crashManager(image, crashTopic())
	if err != nil {
		return err
	}
	defer quiesce(again)
	after, err := serve(again.Log(partition0))
	if err != nil {
		return fmt.Errorf("after a clean shutdown: %w", err)
	}
	before.values[before.LogEnd] = "one more"
	if !maps.Equal(before.values, after.values) {
		return fmt.Errorf("before a clean shutdown %v, after it %v", before.values, after.values)
	}
	return nil
}

// images returns the possible states of the disk after a crash.
func images(mem *vfs.Mem, seeds uint64) map[string]*vfs.Mem {
	all := map[string]*vfs.Mem{
		"synced bytes only": mem.CrashClone(vfs.SyncedOnly, 0),
		"everything":        mem.CrashClone(vfs.Everything, 0),
	}
	for seed := range seeds {
		all[fmt.Sprint("seed ", seed)] = mem.CrashClone(vfs.Random, seed)
	}
	return all
}

// crashAgain stops the recovery after a crash at every step-th of its operations.
func (p *crashPoint) crashAgain(t *testing.T, how string, image *vfs.Mem, from, step int) {
	for n := from; ; n += step {
		mem := image.CrashClone(vfs.Everything, 0)
		c := &crashingFS{mem: mem, stopAt: n}
		if m, _, err := crashManager(c.fs(), crashTopic()); err == nil {
			quiesce(m)
		}
		if !c.stopped {
			return
		}
		for name, second := range images(mem, 1) {
			if err := p.look(second, false); err != nil {
				t.Errorf("%s, %s, then at operation %d (%s %s) of the recovery, %s: %v", p.where, how, n, c.last.Kind, c.last.Name, name, err)
				return
			}
		}
	}
}

func TestNothingDurableIsLostWhereverTheMachineStops(t *testing.T) {
	seeds, again, inner := uint64(3), 7, 7
	if testkit.FullMatrices() {
		seeds, again, inner = 20, 1, 1
	}
	const workers = 2
	for first := 1; first <= workers; first++ {
		t.Run(fmt.Sprint("from ", first), func(t *testing.T) {
			t.Parallel()
			stopAtEach(t, first, workers, seeds, again, inner)
		})
	}
}

// stopAtEach stops the history at operation first and at each stride-th operation after it. For
// each again-th of these, it also stops the recovery at each inner-th of its own operations. seeds
// is the number of random images of a crash that are opened.
func stopAtEach(t *testing.T, first, stride int, seeds uint64, again, inner int) {
	for n := first; ; n += stride {
		ended := false
		synctest.Test(t, func(t *testing.T) {
			p := runHistory(t, n)
			ended = p.ended
			for how, image := range images(p.mem, seeds) {
				if n%again == 0 || ended {
					p.crashAgain(t, how, image, 1+n%inner, inner)
				}
				if err := p.look(image, n%3 == 0); err != nil {
					t.Errorf("%s, %s: %v", p.where, how, err)
				}
			}
		})
		if t.Failed() {
			return
		}
		if ended {
			t.Logf("stopped at operations up to %d", n-1)
			return
		}
	}
}
