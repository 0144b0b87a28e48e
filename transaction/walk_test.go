package transaction

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
)

// walker takes random steps of one transactional id as several producers, a slow log, a sender of
// markers and a change of the coordinator would, and checks after each step what must always hold.
type walker struct {
	t    *testing.T
	r    *rand.Rand
	now  time.Time
	home Home
	ids  int64
	txn  *Transaction

	log         []*Transition // all records that are in the log, acknowledged or not
	outstanding *Transition   // being appended
	landed      bool          // outstanding is in the log
	markers     *Markers
	unmarked    []TopicPartition // of markers

	waiting   map[chan<- Result]request
	producers []ProducerIDAndEpoch       // that clients have got
	added     map[int64][]TopicPartition // acknowledged, by start of their transaction
	epochs    map[int64]int16            // the last that took effect, by producer id
	decisions map[int64]bool             // by start of a transaction: the markers committed
	promised  map[int64]bool             // by start of a transaction: the answer that a client got
	steps     []func() string
}

type request struct {
	kind       string
	producer   ProducerIDAndEpoch
	partitions []TopicPartition
	commit     bool
	start      int64
}

func TestRandomStepsKeepWhatIsPromised(t *testing.T) {
	const seeds = 100
	reached := map[State]int{}
	for seed := range seeds {
		w := &walker{t: t, r: rand.New(rand.NewPCG(uint64(seed), 1)), now: time.UnixMilli(1_000_000), home: Home{Partition: 1, Epoch: 5}, ids: 100,
			waiting: map[chan<- Result]request{}, epochs: map[int64]int16{}, added: map[int64][]TopicPartition{}, decisions: map[int64]bool{}, promised: map[int64]bool{}}
		for range 400 {
			w.now = w.now.Add(time.Duration(1+w.r.IntN(20)) * time.Millisecond)
			w.step()
			if t.Failed() {
				for _, s := range w.steps[max(0, len(w.steps)-25):] {
					t.Log(s())
				}
				t.Fatalf("seed %d", seed)
			}
			if w.txn != nil {
				reached[w.txn.State()]++
			}
		}
	}
	for s := Empty; s <= CompleteAbort; s++ {
		if reached[s] == 0 {
			t.Errorf("no step was in state %s", s)
		}
	}
}

func (w *walker) failf(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf(format, args...)
}

func (w *walker) note(format string, args ...any) {
	now := w.now.UnixMilli()
	w.steps = append(w.steps, func() string { return fmt.Sprintf("%d ", now) + fmt.Sprintf(format, args...) })
}

// producer returns one that a client has, mostly the newest.
func (w *walker) producer() ProducerIDAndEpoch {
	switch n := len(w.producers); {
	case n == 0:
		return ProducerIDAndEpoch{100, 0}
	case w.r.IntN(8) == 0:
		return ProducerIDAndEpoch{w.producers[w.r.IntN(n)].ID, int16(w.r.IntN(5))}
	case w.r.IntN(5) == 0:
		return w.producers[w.r.IntN(n)]
	default:
		return w.producers[n-1]
	}
}

func (w *walker) partitions() (all []TopicPartition) {
	for range w.r.IntN(3) {
		all = append(all, TopicPartition{Topic: string(rune('t' + w.r.IntN(2))), Partition: int32(w.r.IntN(3))})
	}
	return all
}

func (w *walker) ask(q request) chan<- Result {
	to := make(chan Result, 1)
	w.waiting[to] = q
	return to
}

func (w *walker) step() {
	if w.txn == nil {
		w.initialize()
		return
	}
	switch w.r.IntN(16) {
	case 0:
		w.initialize()
	case 1, 2, 3:
		q := request{kind: "add", producer: w.producer(), partitions: w.partitions()}
		w.note("%+v", q)
		w.effects(w.txn.AddPartitions(w.now, q.producer, slices.Clone(q.partitions), w.ask(q)))
	case 4, 5:
		q := request{kind: "end", producer: w.producer(), commit: w.r.IntN(2) == 0, start: w.txn.startMs}
		w.note("%+v", q)
		w.effects(w.txn.EndTxn(w.now, q.producer, q.commit, w.ask(q)))
	case 6, 7, 8, 9, 10:
		w.store()
	case 11, 12, 13:
		w.mark()
	case 14:
		w.note("the timeout")
		w.effects(w.txn.AbortIfTimedOut(w.now))
	case 15:
		w.rare()
	}
}

// rare takes steps that a coordinator takes rarely.
func (w *walker) rare() {
	switch w.r.IntN(4) {
	case 0:
		w.load()
	case 1:
		if w.markers != nil && w.r.IntN(3) == 0 {
			w.note("the markers are abandoned")
			w.txn.MarkersAbandoned(w.markers)
			w.markers = nil
		}
	case 2:
		w.note("expiry")
		w.effects(w.txn.ExpireIfIdle(w.now, 100*time.Millisecond))
	case 3:
		if w.txn.pending == nil && w.txn.state.idle() && w.r.IntN(3) == 0 && w.txn.epoch >= 0 && !exhausted(w.txn.epoch) {
			w.note("many epochs later")
			w.txn.epoch = lastEpoch - 2 + int16(w.r.IntN(2)) - 1
		}
	}
}

func (w *walker) initialize() {
	q := request{kind: "init"}
	req := InitRequest{TimeoutMs: int32(50 + w.r.IntN(1000)), NewProducerID: noProducerID}
	if w.r.IntN(2) == 0 && len(w.producers) > 0 {
		q.producer = w.producer()
		req.Expected = &q.producer
	}
	if w.txn == nil {
		w.ids++
		w.txn = New("tx", w.home, w.ids, req.TimeoutMs, w.now)
	}
	w.note("%+v", q)
	to := w.ask(q)
	e := w.txn.InitProducerID(w.now, req, to)
	if e.NeedProducerID {
		w.ids++
		req.NewProducerID = w.ids
		e = w.txn.InitProducerID(w.now, req, to)
	}
	w.effects(e)
}

// store lets the outstanding append succeed, fail, or fail after the record is in the log.
func (w *walker) store() {
	tr := w.outstanding
	if tr == nil {
		return
	}
	codes := []protocol.ErrorCode{protocol.None, protocol.None, protocol.None, protocol.None, protocol.NotEnoughReplicas, protocol.RequestTimedOut}
	code := codes[w.r.IntN(len(codes))]
	if code != protocol.NotEnoughReplicas && !w.landed {
		w.log = append(w.log, tr)
	}
	w.outstanding, w.landed = nil, false
	w.note("%s is stored: %s", tr.state, code.Name())
	if code == protocol.None {
		w.stored(tr)
	}
	w.effects(w.txn.Appended(w.now, tr, code))
}

// stored checks a record that takes effect against the record before.
func (w *walker) stored(tr *Transition) {
	if highest := w.epochs[tr.producerID]; tr.epoch < highest && !tr.Tombstone() {
		w.failf("the epoch decreases from %d to %d", highest, tr.epoch)
	}
	w.epochs[tr.producerID] = tr.epoch
	if tr.state == PrepareCommit || tr.state == PrepareAbort {
		for _, p := range w.added[tr.startMs] {
			if !slices.Contains(tr.partitions, p) {
				w.failf("%s of %v lacks the added partition %v", tr.state, tr.partitions, p)
			}
		}
	}
}

func (w *walker) mark() {
	if w.markers == nil {
		return
	}
	var done []TopicPartition
	for _, p := range w.markers.Partitions {
		if w.r.IntN(2) == 0 {
			done = append(done, p)
			w.unmarked = slices.DeleteFunc(w.unmarked, func(u TopicPartition) bool { return u == p })
		}
	}
	w.note("markers of %v", done)
	w.effects(w.txn.MarkersWritten(w.markers, done))
}

// load continues with the last record of the log on another coordinator. Requests that wait get no
// answer there; an append that was on its way may have landed.
func (w *walker) load() {
	if w.outstanding != nil && !w.landed && w.r.IntN(2) == 0 {
		w.log = append(w.log, w.outstanding)
	}
	w.outstanding, w.landed, w.markers, w.unmarked = nil, false, nil, nil
	clear(w.waiting)
	w.home.Epoch++
	if len(w.log) == 0 || w.log[len(w.log)-1].Tombstone() {
		w.note("load of nothing")
		w.txn = nil
		return
	}
	last := w.log[len(w.log)-1]
	w.note("load of %s", last.state)
	txn, err := new(Parser).Parse("tx", w.home, last.AppendValue(nil))
	if err != nil {
		w.t.Fatal(err)
	}
	w.txn = &txn
	w.effects(txn.Loaded(w.now))
}

func (w *walker) effects(e *Effects) {
	if e == nil {
		return
	}
	if e.Append != nil {
		w.append(e.Append, e.Retry)
	}
	if e.Markers != nil {
		w.send(e.Markers)
	}
	for _, a := range e.Answers {
		w.answered(a)
	}
	if e.Remove {
		w.txn = nil
	}
}

func (w *walker) append(tr *Transition, again bool) {
	w.note("append %s", tr)
	if w.outstanding != nil {
		w.failf("%s is appended while %s is outstanding", tr.state, w.outstanding.state)
	}
	if w.txn.pending != tr {
		w.failf("%s is appended but not pending", tr.state)
	}
	if !tr.state.follows(w.txn.state) {
		w.failf("%s is appended after %s", tr.state, w.txn.state)
	}
	switch tr.state {
	case CompleteCommit, CompleteAbort:
		last := w.log[len(w.log)-1]
		if len(w.unmarked) > 0 {
			w.failf("%s is appended without markers of %v", tr.state, w.unmarked)
		}
		if !again && last.state.completed() != tr.state {
			w.failf("%s is appended after the record %s", tr.state, last.state)
		}
		w.markers = nil
	case Ongoing:
		if tr.startMs < 0 {
			w.failf("a transaction has no start")
		}
	case Empty:
		if len(tr.partitions) > 0 || tr.startMs != -1 {
			w.failf("%s", tr)
		}
	}
	w.outstanding = tr
	if w.r.IntN(3) == 0 { // in the log before it is replicated
		w.log, w.landed = append(w.log, tr), true
	}
}

// send checks that a transaction has one outcome, also if another coordinator sends markers again.
func (w *walker) send(m *Markers) {
	w.note("markers %+v", *m)
	if w.markers != nil {
		w.failf("markers %v are sent while those of %v are", m.Partitions, w.markers.Partitions)
	}
	w.markers, w.unmarked = m, slices.Clone(m.Partitions)
	start := w.txn.startMs
	if commit, known := w.decisions[start]; known && commit != m.Commit {
		w.failf("the transaction begun at %d is torn", start)
	}
	w.decisions[start] = m.Commit
	if commit, known := w.promised[start]; known && commit != m.Commit {
		w.failf("the transaction begun at %d was answered with commit=%t", start, commit)
	}
	if m.CoordinatorEpoch != w.home.Epoch {
		w.failf("markers have coordinator epoch %d, not %d", m.CoordinatorEpoch, w.home.Epoch)
	}
}

func (w *walker) answered(a Answer) {
	q, waits := w.waiting[a.To]
	if !waits {
		w.failf("%+v is an answer to no request", a.Result)
	}
	delete(w.waiting, a.To)
	w.note("answer to %s: %+v", q.kind, a.Result)
	if a.Result.Code != protocol.None {
		if a.Result.ProducerID != noProducerID || a.Result.Epoch != noEpoch {
			w.failf("an error has a producer: %+v", a.Result)
		}
		return
	}
	switch q.kind {
	case "init":
		p := ProducerIDAndEpoch{a.Result.ProducerID, a.Result.Epoch}
		if p.Epoch == lastEpoch || p.ID < 0 || p.Epoch < 0 {
			w.failf("a client gets %+v", p)
		}
		if q.producer != (ProducerIDAndEpoch{}) && p == q.producer {
			w.failf("a client keeps its epoch %+v", p)
		}
		w.producers = append(w.producers, p)
	case "add":
		w.added[w.txn.startMs] = append(w.added[w.txn.startMs], q.partitions...)
		for _, p := range q.partitions {
			if !w.txn.has(p) || w.txn.state != Ongoing {
				w.failf("%v was added, but is not in the %s transaction", p, w.txn.state)
			}
		}
	case "end":
		if commit, known := w.decisions[q.start]; known && commit != q.commit {
			w.failf("commit=%t is answered for a transaction with commit=%t", q.commit, commit)
		}
		w.promised[q.start] = q.commit
	}
}
