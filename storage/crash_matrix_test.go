package storage

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// The proof that a crash loses nothing durable: a history of appends, rolls,
// flushes, truncations, retention, orderly stops and starts is run again and
// again, stopped each time before one more operation that changes the disk. What
// a crash at that point may leave is opened, checked against what the history
// knows, and used further; the opening is stopped in turn at its operations.

// crashMatrixEnv set to "full" runs every combination, for make test-all.
const crashMatrixEnv = "MONEDULA_CRASH_MATRIX"

var errCrashed = errors.New("the machine has stopped")

// crashingFS lets operations pass until the one with the number stopAt that
// changes the disk, and none from there on.
type crashingFS struct {
	mem    *vfs.Mem
	stopAt int // 0: never

	mu      sync.Mutex // guards below
	changes int
	stopped bool
	last    vfs.Op // that was refused
}

func (c *crashingFS) fs() vfs.FS {
	return vfs.Intercept(c.mem, func(op vfs.Op) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if op.Kind.Changes() && !c.stopped {
			c.changes++
			if c.changes == c.stopAt {
				c.stopped, c.last = true, op
			}
		}
		if c.stopped && op.Kind != vfs.OpClose {
			return errCrashed
		}
		return nil
	})
}

// history is what was done to a log, and so what may be found after a crash.
type history struct {
	ever     map[int64][]string // every value that was ever written at an offset
	now      map[int64]string   // what is there if nothing is lost
	base     map[int64]int64    // of the batch that holds an offset
	gaps     map[int64]bool     // offsets without a record, by truncation into a batch
	rising   bool               // there was no truncation yet
	logStart int64              // not above it may the log begin
	logEnd   int64
	durable  int64 // below it all is durable, whatever the checkpoint says
	limit    int64 // a truncation that may be under way begins here
	serial   int
}

func newHistory() *history {
	return &history{ever: map[int64][]string{}, now: map[int64]string{}, base: map[int64]int64{}, gaps: map[int64]bool{}, rising: true, limit: 1 << 62}
}

// crashRun runs the history on one file system.
type crashRun struct {
	*history
	m     *Manager
	l     *Log
	fsys  vfs.FS
	topic *settings.Topic
	epoch int32
	// sequences by producer id
	sequences map[int64]int32
}

const controlValue = "control"

func crashTopic() *settings.Topic {
	c := testTopic()
	c.SegmentBytes, c.IndexIntervalBytes, c.SegmentIndexBytes, c.FileDeleteDelayMs = 700, 250, 120, 5
	return c
}

// crashManager opens and loads a Manager; where that fails it is taken apart.
func crashManager(fsys vfs.FS, c *settings.Topic) (*Manager, *lineBuffer, error) {
	lines := &lineBuffer{}
	m, err := NewManager(ManagerConfig{FS: fsys, Dirs: []string{"/data"}, Log: kafkalog.New(lines), BrokerID: 7, ClusterID: "cluster",
		Defaults: c, Options: crashOptions()})
	if err != nil {
		return nil, lines, err
	}
	if err := m.Load(); err != nil {
		quiesce(m)
		return nil, lines, err
	}
	return m, lines, nil
}

func crashOptions() Options {
	o := DefaultOptions()
	o.ProducerExpirationMs = 1 << 50
	return o
}

// quiesce ends the background work of a Manager that will not be closed.
func quiesce(m *Manager) {
	m.env.schedule.close()
	m.tasks.wait()
	for _, d := range m.dirs {
		d.background.wait()
	}
	synctest.Wait()
}

// settle lets all background work happen.
func settle() {
	time.Sleep(20 * time.Millisecond)
	synctest.Wait()
}

func (r *crashRun) open() error {
	m, _, err := crashManager(r.fsys, r.topic)
	if err != nil {
		return err
	}
	r.m = m
	r.l, err = m.GetOrCreate(partition0, metadata.TopicID{1}, r.topic, true)
	settle()
	return err
}

func (r *crashRun) stop() error {
	if err := r.m.Close(); err != nil {
		return err
	}
	if len(r.m.offlineDirs()) > 0 {
		return errCrashed
	}
	r.durable = r.logEnd
	return nil
}

// write appends one batch and notes it.
func (r *crashRun) write(b []byte, origin record.Origin, values ...string) error {
	for i, v := range values {
		at := r.logEnd + int64(i)
		r.ever[at] = append(slices.Clip(r.ever[at]), v)
	}
	info, err := r.l.AppendAsLeader(Append{Records: b, LeaderEpoch: r.epoch, Origin: origin, BatchRequired: true})
	if err != nil {
		return err
	}
	if info.FirstOffset != r.logEnd {
		return fmt.Errorf("appended at %d, not %d", info.FirstOffset, r.logEnd)
	}
	for i, v := range values {
		r.now[r.logEnd+int64(i)] = v
		r.base[r.logEnd+int64(i)] = r.logEnd
	}
	r.logEnd += int64(len(values))
	r.l.SetHighWatermark(r.logEnd)
	settle()
	return nil
}

// data appends a batch of n records of a producer (-1: none).
func (r *crashRun) data(producer int64, n int, transactional bool) func() error {
	return func() error {
		o := record.Defaults()
		if producer >= 0 {
			o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = producer, 0, r.sequences[producer], transactional
		}
		b := record.NewBuilder(o)
		var values []string
		for range n {
			r.serial++
			v := fmt.Sprintf("record %d %s", r.serial, strings.Repeat(".", 40))
			values = append(values, v)
			if err := b.Append(time.Now().UnixMilli(), nil, []byte(v)); err != nil {
				return err
			}
		}
		set, err := b.Build()
		if err != nil {
			return err
		}
		if err := r.write(set, record.FromClient, values...); err != nil {
			return err
		}
		r.sequences[producer] += int32(n)
		return nil
	}
}

func (r *crashRun) marker(producer int64, kind record.ControlType) func() error {
	return func() error {
		o := record.Defaults()
		o.ProducerID, o.ProducerEpoch = producer, 0
		set, err := record.EndTxnMarker(o, kind, 1, time.Now().UnixMilli())
		if err != nil {
			return err
		}
		return r.write(set, record.FromCoordinator, controlValue)
	}
}

func (r *crashRun) flush() error {
	if err := r.l.Flush(); err != nil {
		return err
	}
	r.durable = r.logEnd
	return nil
}

func (r *crashRun) checkpoint() error {
	r.m.eachDir(r.m.checkpointRecoveryPoints)
	r.m.eachDir(r.m.checkpointLogStarts)
	return r.l.check()
}

func (r *crashRun) newEpoch() error {
	r.epoch++
	return r.l.AssignEpochStart(r.epoch, r.logEnd)
}

func (r *crashRun) roll() error {
	err := r.l.Roll()
	settle()
	return err
}

func (r *crashRun) deleteRecords(offset int64) func() error {
	return func() error {
		r.logStart = offset
		err := r.l.IncrementLogStart(offset)
		settle()
		return err
	}
}

// retain keeps about the given bytes.
func (r *crashRun) retain(bytes int64) func() error {
	return func() error {
		c := *r.topic
		c.RetentionBytes = bytes
		r.l.SetConfig(&c)
		r.logStart = r.logEnd // as far as it may go, until it is known
		_, err := r.l.DeleteOldSegments()
		if err == nil {
			r.logStart = r.l.Offsets().LogStart
		}
		settle()
		return err
	}
}

// truncate cuts the log so that it ends at the offset `back` below its end. The
// batch that holds the offset goes as a whole.
func (r *crashRun) truncate(back int64) func() error {
	return func() error {
		to := r.logEnd - back
		from := r.base[to]
		r.rising = false
		r.limit, r.durable, r.logStart = from, min(r.durable, from), min(r.logStart, to)
		for at := from; at < to; at++ {
			r.gaps[at] = true
		}
		if err := r.cut(to, func() error { _, err := r.l.TruncateTo(to); return err }); err != nil {
			return err
		}
		r.logEnd, r.limit = to, 1<<62
		return nil
	}
}

// restartAt drops everything and goes on at an offset `ahead` above the end.
func (r *crashRun) restartAt(ahead int64) func() error {
	return func() error {
		to := r.logEnd + ahead
		r.rising = false
		r.limit, r.durable, r.logStart = 0, 0, to
		if err := r.cut(0, func() error { return r.l.TruncateFullyAndStartAt(to, -1) }); err != nil {
			return err
		}
		r.logEnd, r.limit = to, 1<<62
		return nil
	}
}

// cut does a truncation and forgets what was at from and above.
func (r *crashRun) cut(from int64, truncate func() error) error {
	if err := truncate(); err != nil {
		return err
	}
	maps.DeleteFunc(r.now, func(at int64, _ string) bool { return at >= from || r.gaps[at] })
	clear(r.sequences)
	for _, p := range r.l.Producers() {
		r.sequences[p.ProducerID] = p.LastSequence + 1
	}
	settle()
	return nil
}

// script is the history. Names of steps stand in failures.
func (r *crashRun) script() []crashStep {
	const plain, first, second = -1, 1, 2
	return []crashStep{
		{"start", r.open}, {"epoch", r.newEpoch},
		{"append", r.data(plain, 1, false)}, {"append idempotent", r.data(first, 2, false)},
		{"append transactional", r.data(second, 1, true)}, {"append idempotent", r.data(first, 1, false)},
		{"commit", r.marker(second, record.Commit)}, {"flush", r.flush}, {"checkpoint", r.checkpoint},
		{"append idempotent", r.data(first, 3, false)}, {"append transactional", r.data(second, 1, true)},
		{"epoch", r.newEpoch}, {"append", r.data(plain, 2, false)}, {"abort", r.marker(second, record.Abort)},
		{"append", r.data(plain, 1, false)}, {"append", r.data(first, 1, false)}, {"checkpoint", r.checkpoint},
		{"delete records", r.deleteRecords(6)}, {"retention", r.retain(-1)}, {"checkpoint", r.checkpoint},
		{"stop", r.stop}, {"start", r.open},
		{"append", r.data(first, 2, false)}, {"roll", r.roll}, {"append transactional", r.data(second, 2, true)},
		{"truncate", r.truncate(1)}, {"epoch", r.newEpoch}, {"append", r.data(plain, 1, false)},
		{"truncate", r.truncate(3)}, {"append", r.data(first, 1, false)}, {"append", r.data(plain, 2, false)}, {"flush", r.flush},
		{"checkpoint", r.checkpoint}, {"truncate", r.truncate(3)}, {"append", r.data(plain, 3, false)},
		{"append", r.data(plain, 4, false)}, {"append", r.data(plain, 4, false)}, {"checkpoint", r.checkpoint},
		{"retention", r.retain(900)}, {"append", r.data(first, 1, false)}, {"stop", r.stop}, {"start", r.open},
		{"restart elsewhere", r.restartAt(10)}, {"epoch", r.newEpoch}, {"append", r.data(first, 2, false)},
		{"checkpoint", r.checkpoint}, {"stop", r.stop},
	}
}

type crashStep struct {
	name string
	do   func() error
}

// crashPoint is where a run of the history was stopped.
type crashPoint struct {
	*history
	where string
	mem   *vfs.Mem // as the last operation left it
	ended bool     // the history ran to its end
}

// runHistory runs the history until the operation stopAt.
func runHistory(t *testing.T, stopAt int) crashPoint {
	t.Helper()
	c := &crashingFS{mem: vfs.NewMem(), stopAt: stopAt}
	r := &crashRun{history: newHistory(), fsys: c.fs(), topic: crashTopic(), epoch: -1, sequences: map[int64]int32{}}
	point := crashPoint{history: r.history, mem: c.mem}
	for _, step := range r.script() {
		if err := step.do(); err != nil {
			if !c.stopped {
				t.Fatalf("%s: %v", step.name, err)
			}
			point.where = step.name
			break
		}
		if c.stopped { // in the background of a step
			point.where = "after " + step.name
			break
		}
	}
	if r.m != nil {
		quiesce(r.m)
	}
	point.ended = !c.stopped
	point.where = fmt.Sprintf("operation %d (%s, %s %s)", c.changes, point.where, c.last.Kind, c.last.Name)
	return point
}

// found is what a log serves.
type found struct {
	Offsets
	values  map[int64]string
	batches []record.Batch
}

// serve reads the whole log, as replicas do, and checks every batch.
func serve(l *Log) (found, error) {
	f := found{Offsets: l.Offsets(), values: map[int64]string{}}
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
			return f, fmt.Errorf("nothing at %d, but the log ends at %d", next, f.LogEnd)
		}
		for len(set) > 0 {
			var b record.Batch
			if b, set, err = record.Next(set); err != nil || b == nil {
				return f, fmt.Errorf("half a batch at %d: %v", next, err)
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

// look opens what a crash left and returns what is wrong with it.
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
	err = p.judge(m, min(max(points[partition0], p.durable), p.limit))
	if err == nil && further {
		err = p.goOn(m, image)
	}
	if err != nil {
		return fmt.Errorf("%w (recovery point %d)\n%s", err, points[partition0], lines)
	}
	return nil
}

// judge compares what is served with what must be: everything below the floor.
func (p *crashPoint) judge(m *Manager, floor int64) error {
	if len(m.offlineDirs()) > 0 {
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
	return errors.Join(p.judgeRecords(&f, floor), judgeLookups(l, &f), p.judgeProducers(l, &f), p.judgeAborted(l, &f), p.judgeEpochs(l, &f))
}

// judgeLookups finds every batch by its last offset and by its timestamp.
func judgeLookups(l *Log, f *found) error {
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
			return fmt.Errorf("the first record at or after %d is at %d, not %d: %v", b.MaxTimestamp(), want, got.Offset, err)
		}
	}
	return nil
}

func (p *crashPoint) judgeRecords(f *found, floor int64) error {
	if f.LogStart > p.logStart {
		return fmt.Errorf("the log starts at %d, above %d", f.LogStart, p.logStart)
	}
	if p.ended && f.LogEnd != p.logEnd {
		return fmt.Errorf("the log ends at %d instead of %d after an orderly stop", f.LogEnd, p.logEnd)
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

// replayed is the producer state after all batches that are served.
func (f *found) replayed() (*producerState, []completedTxn, error) {
	mem := vfs.NewMem()
	s, err := openProducerState(mem, "/", partition0, 1<<50, kafkalog.For(kafkalog.Discard(), ""))
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

func (p *crashPoint) judgeProducers(l *Log, f *found) error {
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

func (p *crashPoint) judgeAborted(l *Log, f *found) error {
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

// judgeEpochs wants an entry for every epoch in the log, at or before its first
// batch. After a truncation the log may, by a crash, have got back batches of
// an epoch that was cut off, as in Kafka.
func (p *crashPoint) judgeEpochs(l *Log, f *found) error {
	if latest, ok := l.epochs.latest(); ok && latest.startOffset > f.LogEnd {
		return fmt.Errorf("epoch %d begins at %d, behind the log's end %d", latest.epoch, latest.startOffset, f.LogEnd)
	}
	if !p.rising {
		return nil
	}
	for _, b := range f.batches {
		if b.BaseOffset() < p.logStart {
			continue // deleted, but the checkpoint of the log start was not yet written
		}
		if got := l.epochs.epochForOffset(b.BaseOffset()); got != b.PartitionLeaderEpoch() {
			return fmt.Errorf("offset %d was written in epoch %d, the cache %v says %d", b.BaseOffset(), b.PartitionLeaderEpoch(), l.epochs, got)
		}
	}
	return nil
}

// goOn appends, stops in order, and starts again: what was served is still
// there, and one record more.
func (p *crashPoint) goOn(m *Manager, image *vfs.Mem) error {
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
		return fmt.Errorf("after an orderly stop: %w", err)
	}
	before.values[before.LogEnd] = "one more"
	if !maps.Equal(before.values, after.values) {
		return fmt.Errorf("before an orderly stop %v, after it %v", before.values, after.values)
	}
	return nil
}

// images are the ways a crash may go.
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

// crashAgain stops the recovery of a crash at its operations, every step-th.
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
	seeds, stride, again, inner := uint64(6), 1, 7, 5
	if os.Getenv(crashMatrixEnv) == "full" {
		seeds, again, inner = 20, 1, 1
	}
	for n := 1; ; n += stride {
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
			t.Logf("stopped at each of %d operations", n-1)
			return
		}
	}
}
