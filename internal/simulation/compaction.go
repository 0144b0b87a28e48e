package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/txnhistory"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// Topics may be compacted. The cleaner of each broker runs while everything else happens, and the
// broker may crash at each of its changes of files. Each replica is cleaned at other times. After
// every step:
//
//   - A replica lacks only records that a later committed record of their key replaced, and
//     tombstones that are older than delete.retention.ms. What it has is at the committed offset.
//   - A record that was replaced by a tombstone does not return when the tombstone has gone.
//   - A replica lacks no record of an undecided transaction, and a marker only after
//     delete.retention.ms and without records of its transaction.

// deleteRetention is short, so that tombstones go during a run. A replica or a consumer that was away
// for longer may have missed them.
const deleteRetention = 2 * time.Second

// compacted is the configuration of compacted topics.
var compacted = map[string]string{"cleanup.policy": "compact", "segment.bytes": "600", "min.cleanable.dirty.ratio": "0.1",
	"delete.retention.ms": fmt.Sprint(deleteRetention.Milliseconds())}

// keyCount is the number of keys of a partition.
const keyCount = 6

// key returns a key for a new record.
func (w *world) key() []byte { return fmt.Appendf(nil, "k%d", w.random.IntN(keyCount)) }

// cleanOften makes a broker clean all the time, with a pause after each segment. In one of two seeds
// not all keys fit into the cleaner's map.
func (w *world) cleanOften(o *storage.Options) {
	o.InitialDelay, o.FlushCheck = 500*time.Millisecond, time.Hour
	o.RetentionCheck, o.RecoveryPointCheckpoint, o.LogStartCheckpoint = 2*time.Second, time.Second, 2*time.Second
	o.Cleaner.Backoff, o.Cleaner.IOBytesPerSecond = 300*time.Millisecond, 50_000
	if w.cfg.Seed%2 == 0 {
		o.Cleaner.DedupeBytes = 24 * keyCount
	}
}

// sleep lets other events happen while the broker's cleaner waits.
func (b *broker) sleep(d time.Duration) {
	life := b.life
	if b.w.err == nil {
		b.w.runUntil(b.w.now + d)
	}
	for b.life == life && b.paused() && b.w.err == nil {
		b.w.runUntil(b.pausedUntil)
	}
}

// crashed reports whether the life of the broker is over, in which case an operation on files has no
// effect. Now and then it crashes the broker just before the cleaner changes a file or a move renames
// a directory.
func (b *broker) crashed(life int, op vfs.Op) bool {
	if b.life != life {
		return true
	}
	w := b.w
	odds := 0
	switch {
	case w.cfg.Compaction && op.Kind.Changes() && ofCleaner(op.Name):
		odds = 200
	case w.cfg.LogMoves && ofMove(op):
		odds = 15
	case w.cfg.LogMoves && op.Kind == vfs.OpSyncDir && slices.Contains(w.dataDirs(), op.Name):
		odds = 300
	}
	if odds == 0 || !w.chaotic || b.stopping || !w.chance(odds) {
		return false
	}
	if slices.Contains(b.dirty[:], true) || !w.clean() {
		return false
	}
	w.faults++
	w.say("broker %d is about to %s %s", b.id, op.Kind, op.Name)
	if w.chance(2) && b.intact() && w.othersHaveAll(b) {
		b.loseUnsynced()
	} else {
		b.die()
	}
	return true
}

// ofCleaner reports whether the cleaner changes the file with the name.
func ofCleaner(name string) bool {
	for _, part := range []string{".cleaned", ".swap", ".deleted", "cleaner-offset-checkpoint"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// keyed is what the keys of an incarnation's committed records were.
type keyed struct {
	since  []time.Duration          // by offset, when the record was committed
	latest map[string]record.Offset // by key
	// outlived are keys whose tombstone went before some replica had it, so that replica may have
	// the record before the tombstone for longer.
	outlived map[string]bool
}

// commit adds the next committed record.
func (h *history) commit(w *world, e entry) {
	h.committed = append(h.committed, e)
	k := &h.keyed
	if k.latest == nil {
		k.latest, k.outlived = map[string]record.Offset{}, map[string]bool{}
	}
	k.since = append(k.since, w.now)
	if e.producer != 0 {
		h.commitTransactional(e)
		return
	}
	k.shows(e)
}

// shows takes a record that readers see.
func (k *keyed) shows(e entry) {
	if e.offset >= k.latest[e.key] {
		k.latest[e.key] = e.offset
		delete(k.outlived, e.key)
	}
}

// mayLack reports whether a replica of a compacted topic may lack the committed record or marker.
func (h *history) mayLack(w *world, offset record.Offset) bool {
	if offset >= record.Offset(len(h.committed)) {
		return false
	}
	e := h.committed[offset]
	switch fate := w.check.decidedFate(h, e); {
	case fate == hidden:
		return true
	case fate == ofMarker:
		return h.retained(w, offset)
	case fate == undecided:
		return w.check.superseded(h, e)
	}
	return h.keyed.latest[e.key] > offset || e.tombstone && h.retained(w, offset) || e.producer != 0 && w.check.superseded(h, e)
}

// retained reports whether the record is older than delete.retention.ms.
func (h *history) retained(w *world, offset record.Offset) bool {
	retention := deleteRetention
	if isData(h.place) {
		retention = markerRetention
	}
	return w.now >= h.keyed.since[offset].Truncate(time.Millisecond)+retention
}

// matches reports whether the records are the committed ones, as far as they must exist.
func (h *history) matches(w *world, records []entry) bool {
	for _, want := range h.committed {
		switch {
		case len(records) > 0 && records[0] == want:
			records = records[1:]
		case !w.cfg.Compaction || !h.mayLack(w, want.offset):
			return false
		}
	}
	return len(records) == 0
}

// replica is one broker's replica of an incarnation.
type replica struct {
	broker metadata.BrokerID
	incarnation
}

func replicaOf(b *broker, log *storage.Log) replica {
	return replica{b.id, incarnation{place(log.TopicPartition()), log.TopicID()}}
}

// holds remembers up to which offset a replica had all committed records when it was looked at. It
// may have been deleted and begun again since.
func (c *checker) holds(b *broker, log *storage.Log) {
	r, at := replicaOf(b, log), log.Offsets()
	if at.LogEnd < c.held[r] {
		c.held[r] = 0
	}
	c.held[r] = max(c.held[r], at.HighWatermark)
}

// gaps checks the committed records that a replica lacks.
type gaps struct {
	c       *checker
	b       *broker
	p       int32
	h       *history
	held    record.Offset
	present map[string]record.Offset // by key, a record that the replica has; nil: not all are known
	open    map[int64]record.Offset  // by producer, a record that the replica has of the current transaction; nil with present
}

// gapsOf begins a comparison of a replica's records from an offset on.
func (c *checker) gapsOf(b *broker, h *history, log *storage.Log, from record.Offset) *gaps {
	p := place(log.TopicPartition())
	g := &gaps{c: c, b: b, p: p, h: h, held: c.held[replicaOf(b, log)]}
	if log.Offsets().LogEnd < g.held {
		g.held = 0
	}
	if from == 0 {
		g.present, g.open = map[string]record.Offset{}, map[int64]record.Offset{}
	}
	return g
}

// pass takes a record or a marker that the replica has.
func (g *gaps) pass(e entry) {
	if g.present == nil {
		return
	}
	switch {
	case e.marker != txnhistory.NoMarker:
		delete(g.open, e.producer)
		return
	case e.producer != 0:
		g.open[e.producer] = e.offset
	}
	if g.h.fate(e) == shown {
		g.present[e.key] = e.offset
	}
}

// add takes a committed record that the replica lacks.
func (g *gaps) add(e entry) {
	w := g.c.w
	if !w.cfg.Compaction || !g.h.mayLack(w, e.offset) {
		w.fail("broker %d lacks offset %d of partition %d, where %s of the key %q was committed", g.b.id, e.offset, g.p, e, e.key)
		return
	}
	switch g.h.fate(e) {
	case ofMarker:
		g.addMarker(e)
		return
	case hidden, undecided:
		return
	}
	if g.h.keyed.latest[e.key] > e.offset {
		return
	}
	if e.offset >= g.held { // it began again or was away
		g.h.keyed.outlived[e.key] = true
	}
	if old, present := g.present[e.key]; present && !g.h.keyed.outlived[e.key] {
		w.fail("broker %d has %s of the key %q in partition %d again, without the tombstone %s", g.b.id, g.h.committed[old], e.key, g.p, e)
	}
}

// consumedAll checks that a consumer that has read all records knows the latest of each key.
func (c *checker) consumedAll(consumer *consumer) {
	if !c.w.cfg.Compaction {
		return
	}
	h := c.now(consumer.partition)
	for key, offset := range h.keyed.latest {
		got, known := consumer.latest[key]
		if want := h.committed[offset]; got != want && (known || !want.tombstone) && !h.keyed.outlived[key] {
			c.w.fail("a consumer of partition %d has %s as the latest record of the key %q, but %s was committed", consumer.partition, got, key, want)
		}
	}
}
