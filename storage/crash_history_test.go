package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

var errCrashed = errors.New("the machine has stopped")

// crashingFS performs operations until the stopAt-th one that changes the disk, and refuses that
// one and all later ones.
type crashingFS struct {
	mem    *vfs.Mem
	stopAt int // 0: never

	mu      sync.Mutex // guards the fields below
	changes int
	stopped bool
	last    vfs.Op // the operation refused first
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

// history is what was done to a log, which determines what may be found after a crash.
type history struct {
	ever     map[record.Offset][]string      // every value ever written at an offset
	now      map[record.Offset]string        // the value at an offset if nothing is lost
	base     map[record.Offset]record.Offset // base offset of the batch that holds an offset
	gaps     map[record.Offset]bool          // offsets without a record because a truncation cut into a batch
	rising   bool                            // there was no truncation yet
	logStart record.Offset                   // the log may not begin above it
	logEnd   record.Offset
	durable  record.Offset // everything below it is durable, whatever the checkpoint holds
	limit    record.Offset // where a truncation in progress begins
	serial   int
}

func newHistory() *history {
	return &history{ever: map[record.Offset][]string{}, now: map[record.Offset]string{}, base: map[record.Offset]record.Offset{}, gaps: map[record.Offset]bool{}, rising: true, limit: 1 << 62}
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

// crashManager opens and loads a Manager. If that fails, it ends the Manager's background work.
func crashManager(fsys vfs.FS, c *settings.Topic) (*Manager, *lineBuffer, error) {
	lines := &lineBuffer{}
	m, err := NewManager(ManagerConfig{FS: fsys, Dirs: []string{"/data"}, Log: kafkalog.New(lines), BrokerID: 7, ClusterID: "cluster",
		Defaults: c, Options: crashOptions()})
	if err != nil {
		return nil, lines, err
	}
	if err := m.Load(context.Background()); err != nil {
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
	if len(r.m.dirs.offlinePaths()) > 0 {
		return errCrashed
	}
	r.durable = r.logEnd
	return nil
}

// write appends one batch and records it in the history.
func (r *crashRun) write(b []byte, origin record.Origin, values ...string) error {
	for i, v := range values {
		at := r.logEnd + record.Offset(i)
		r.ever[at] = append(slices.Clip(r.ever[at]), v)
	}
	info, err := r.l.AppendAsLeader(Append{Records: b, LeaderEpoch: metadata.LeaderEpoch(r.epoch), Origin: origin, BatchRequired: true})
	if err != nil {
		return err
	}
	if info.FirstOffset != r.logEnd {
		return fmt.Errorf("appended at %d, not %d", info.FirstOffset, r.logEnd)
	}
	for i, v := range values {
		r.now[r.logEnd+record.Offset(i)] = v
		r.base[r.logEnd+record.Offset(i)] = r.logEnd
	}
	r.logEnd += record.Offset(len(values))
	r.l.SetHighWatermark(r.logEnd)
	settle()
	return nil
}

// data appends a batch of n records of a producer (-1 for none).
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
	r.m.eachDir(func(d *logDir) { d.checkpoints.writeRecoveryPoints() })
	r.m.eachDir(func(d *logDir) { d.checkpoints.writeLogStarts() })
	return r.l.check()
}

func (r *crashRun) newEpoch() error {
	r.epoch++
	return r.l.AssignEpochStart(metadata.LeaderEpoch(r.epoch), r.logEnd)
}

func (r *crashRun) roll() error {
	err := r.l.Roll()
	settle()
	return err
}

func (r *crashRun) deleteRecords(offset record.Offset) func() error {
	return func() error {
		r.logStart = offset
		err := r.l.IncrementLogStart(offset)
		settle()
		return err
	}
}

// retain applies retention that keeps about the given number of bytes.
func (r *crashRun) retain(bytes int64) func() error {
	return func() error {
		c := *r.topic
		c.RetentionBytes = bytes
		r.l.SetConfig(&c)
		r.logStart = r.logEnd // the highest possible value, until the result is known
		_, err := r.l.DeleteOldSegments()
		if err == nil {
			r.logStart = r.l.Offsets().LogStart
		}
		settle()
		return err
	}
}

// truncate cuts the log so that it ends at the offset `back` below its end. The batch that holds
// the offset is removed as a whole.
func (r *crashRun) truncate(back record.Offset) func() error {
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

// restartAt drops everything and continues at an offset `ahead` above the end.
func (r *crashRun) restartAt(ahead record.Offset) func() error {
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

// cut runs a truncation and forgets everything from offset from on.
func (r *crashRun) cut(from record.Offset, truncate func() error) error {
	if err := truncate(); err != nil {
		return err
	}
	maps.DeleteFunc(r.now, func(at record.Offset, _ string) bool { return at >= from || r.gaps[at] })
	clear(r.sequences)
	for _, p := range r.l.Producers() {
		r.sequences[p.ProducerID] = p.LastSequence + 1
	}
	settle()
	return nil
}

// script returns the steps of the history. Failures print their names.
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
		{"restart at another offset", r.restartAt(10)}, {"epoch", r.newEpoch}, {"append", r.data(first, 2, false)},
		{"checkpoint", r.checkpoint}, {"stop", r.stop},
	}
}

type crashStep struct {
	name string
	do   func() error
}

// crashPoint is the state in which a run of the history was stopped.
type crashPoint struct {
	*history
	where string
	mem   *vfs.Mem // in the state that the last operation left
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
		if c.stopped { // in the background work of a step
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
