package simulation

import (
	"context"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/txnhistory"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/transaction"
)

// Transactions have a simulation of their own. It uses the state machine and the records of package
// transaction, and the logs of package storage with their verification, markers and last stable
// offset. Instead of replicas it has one log for each partition; that of __transaction_state behaves
// as a replicated one: a record is stored after a while, and a move of the coordinator keeps some of
// the records that are not. Requests are delayed and lost, coordinators move and continue for a
// while without knowing, producers crash or are replaced while they continue.

const (
	txnPartitions = 3
	txnTimeout    = 3 * time.Second
	txnTopic      = "txn"
)

// txnIDs are the transactional ids.
var txnIDs = []string{"a", "b", "c"}

// ledger is the simulated cluster of transactions.
type ledger struct {
	*world
	logs  *storage.Manager
	data  []*storage.Log
	state *storage.Log
	term  *term // of the current coordinator
	// stored are the appends to state that are not replicated yet, in order.
	stored []storedChange

	producerIDs int64
	members     []*member // all producers that there were
	history     txnhistory.History
	check       txnRules
}

// term is a term of a coordinator.
type term struct {
	l       *ledger
	home    transaction.Home
	loaded  bool
	ended   bool // it knows that it is over
	txns    map[string]*transaction.Transaction
	waiting []waiter
}

// waiter is a request that waits for a record.
type waiter struct {
	to    chan<- transaction.Result
	reply func(transaction.Result)
}

// storedChange is a change whose record is in the log, but not replicated.
type storedChange struct {
	term   *term
	txn    *transaction.Transaction
	change *transaction.Transition
	offset record.Offset
	// outcome is what the coordinator is given when the record is replicated: sometimes that it waited
	// for too long.
	outcome protocol.ErrorCode
}

// RunTransactions simulates transactions with one seed.
func RunTransactions(cfg Config) Result {
	if cfg.Chaos == 0 {
		cfg.Chaos = 15 * time.Second
	}
	w := &world{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 0x74786e))}
	l := &ledger{world: w, producerIDs: 1000}
	l.check = txnRules{l: l, latest: map[int64]decision{}, epochs: map[int64]int16{}}
	for range txnPartitions {
		l.check.open = append(l.check.open, map[int64]record.Offset{})
	}
	l.run()
	return Result{Err: w.err, Events: w.count, Acked: l.check.commits, Faults: w.faults}
}

func (l *ledger) run() {
	defer func() {
		if reason := recover(); reason != nil {
			l.fail("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	l.open()
	l.move()
	for _, id := range txnIDs {
		l.join(id)
	}
	l.chaotic = true
	l.later(time.Second, l.disturb)
	l.later(500*time.Millisecond, l.abortTimedOut)
	l.runUntil(l.cfg.Chaos)
	l.say("no more faults")
	l.chaotic = false
	for end := l.now + settling; l.err == nil && l.now < end; {
		l.runUntil(l.now + 500*time.Millisecond)
		if l.quiet() {
			l.check.final()
			return
		}
	}
	l.fail("transactions did not end within %v", settling)
}

// open creates the logs.
func (l *ledger) open() {
	o := storage.DefaultOptions()
	o.DiskLowWatermark = 0
	topic := topicConfig(l.world)
	l.logs = must(storage.NewManager(storage.ManagerConfig{FS: vfs.NewMem(), Dirs: []string{dataDir}, Log: kafkalog.Discard(), ClusterID: "simulated-cluster-0001",
		Defaults: topic, Now: l.clock, Later: l.after, UniqueID: l.uniqueID, Options: o}))
	if err := l.logs.Load(context.Background()); err != nil {
		panic(err)
	}
	create := func(p metadata.TopicPartition) *storage.Log {
		return must(l.logs.GetOrCreate(p, metadata.TopicID{1}, topic, true))
	}
	l.state = create(metadata.TopicPartition{Topic: metadata.TransactionStateTopic})
	for p := range int32(txnPartitions) {
		l.data = append(l.data, create(metadata.TopicPartition{Topic: txnTopic, Partition: p}))
	}
}

// later schedules an event after which the rules are checked.
func (l *ledger) later(d time.Duration, run func()) {
	l.after(d, func() {
		run()
		l.check.look()
	})
}

// ask carries a request and its answer over the network. got is called once, with answered false if
// there was no answer in time. A late request arrives even after that.
func ask[R any](l *ledger, longest time.Duration, serve func(reply func(R)), got func(r R, answered bool)) {
	done := false
	finish := func(r R, answered bool) {
		if !done {
			done = true
			got(r, answered)
		}
	}
	l.later(requestTimeout, func() {
		var none R
		finish(none, false)
	})
	way := func() time.Duration {
		if l.chaotic && l.chance(30) {
			return l.between(0, longest)
		}
		return l.between(200*time.Microsecond, 8*time.Millisecond)
	}
	if l.chaotic && l.chance(60) {
		return // lost
	}
	l.later(way(), func() {
		serve(func(r R) {
			if l.chaotic && l.chance(60) {
				return
			}
			l.later(way(), func() { finish(r, true) })
		})
	})
}

// disturb injects a fault and schedules the next one.
func (l *ledger) disturb() {
	if !l.chaotic {
		return
	}
	l.faults++
	if l.chance(2) {
		l.move()
	} else {
		l.replace(txnIDs[l.random.IntN(len(txnIDs))])
	}
	l.later(l.between(100*time.Millisecond, 2*time.Second), l.disturb)
}

// move begins the term of another coordinator. The one before continues for a while. Of its records
// that are not replicated, the new leader has the first ones.
func (l *ledger) move() {
	old := l.term
	l.term = &term{l: l, home: transaction.Home{Epoch: 0}, txns: map[string]*transaction.Transaction{}}
	if old != nil {
		l.term.home.Epoch = old.home.Epoch + 1
	}
	l.say("a coordinator begins epoch %d", l.term.home.Epoch)
	pending := l.stored
	l.stored = nil
	keep := l.random.IntN(len(pending) + 1)
	for i, c := range pending {
		if i < keep {
			l.check.replicated(c, false)
		} else if i == keep {
			must(l.state.TruncateTo(c.offset))
		}
		l.later(l.between(0, 500*time.Millisecond), func() { c.term.appended(c, protocol.NotLeaderOrFollower) })
	}
	l.state.SetHighWatermark(l.state.Offsets().LogEnd)
	if old != nil {
		l.later(l.between(0, 500*time.Millisecond), old.end)
	}
	next := l.term
	l.later(l.between(0, 200*time.Millisecond), next.load)
}

// end makes a coordinator drop everything.
func (t *term) end() {
	t.ended = true
	for _, w := range t.waiting {
		w.reply(transaction.Refused(protocol.NotCoordinator))
	}
	t.waiting = nil
}

// load reads the log, and continues the transactions that are decided.
func (t *term) load() {
	if t.ended || t != t.l.term {
		return
	}
	var parser transaction.Parser
	latest := map[string][]byte{}
	err := coordinator.Read(t.l.state, 1<<16, func() bool { return true }, func(int) {}, func(b record.Batch) {
		err := b.Each(func(r *record.Record) error {
			id, _, _, err := transaction.ParseKey(r.Key)
			if err == nil {
				id = string([]byte(id))
				var txn transaction.Transaction
				txn, err = parser.Parse(id, t.home, r.Value)
				t.txns[id] = &txn
				latest[id] = slices.Clone(r.Value)
			}
			return err
		})
		if err != nil {
			t.l.fail("the record at offset %d of the coordinator does not parse: %v", b.BaseOffset(), err)
		}
	})
	if err != nil {
		t.l.fail("the coordinator's log does not load: %v", err)
	}
	t.loaded = true
	for _, value := range latest {
		t.l.check.effective(value)
	}
	for _, id := range slices.Sorted(maps.Keys(t.txns)) {
		t.step(id, func(txn *transaction.Transaction, now time.Time) *transaction.Effects { return txn.Loaded(now) })
	}
}

// refusal returns the code with which the coordinator refuses a request now, or None.
func (t *term) refusal() protocol.ErrorCode {
	switch {
	case t.ended:
		return protocol.NotCoordinator
	case !t.loaded:
		return protocol.CoordinatorLoadInProgress
	}
	return protocol.None
}

// step makes a step of a transactional id.
func (t *term) step(id string, do func(*transaction.Transaction, time.Time) *transaction.Effects) {
	txn := t.txns[id]
	t.carryOut(txn, do(txn, t.l.clock()))
}

// carryOut carries out the effects of a step.
func (t *term) carryOut(txn *transaction.Transaction, e *transaction.Effects) {
	if e == nil {
		return
	}
	if e.Append != nil {
		if change := e.Append; e.Retry {
			t.l.later(100*time.Millisecond, func() { t.append(txn, change) })
		} else {
			t.append(txn, change)
		}
	}
	for _, a := range e.Answers {
		if i := slices.IndexFunc(t.waiting, func(w waiter) bool { return w.to == a.To }); i >= 0 {
			w := t.waiting[i]
			t.waiting = slices.Delete(t.waiting, i, i+1)
			w.reply(a.Result)
		}
	}
	if e.Markers != nil {
		for _, p := range e.Markers.Partitions {
			t.sendMarker(txn, e.Markers, p)
		}
	}
}

// append appends the record of a change. A coordinator whose term is over gets no record stored.
func (t *term) append(txn *transaction.Transaction, change *transaction.Transition) {
	l := t.l
	c := storedChange{term: t, txn: txn, change: change}
	if t.ended {
		return
	}
	if t != l.term {
		l.later(l.between(0, requestTimeout), func() { t.appended(c, protocol.NotLeaderOrFollower) })
		return
	}
	if l.chaotic && l.chance(40) {
		l.later(0, func() { t.appended(c, protocol.NotEnoughReplicas) })
		return
	}
	if l.chaotic && l.chance(40) {
		c.outcome = protocol.RequestTimedOut
	}
	b := record.NewBuilder(record.Defaults())
	if err := b.Append(l.clock().UnixMilli(), txn.AppendKey(nil), change.AppendValue(nil)); err != nil {
		panic(err)
	}
	info := must(l.state.AppendAsLeader(storage.Append{Records: must(b.Build()), LeaderEpoch: t.home.Epoch, Origin: record.FromCoordinator}))
	c.offset = info.FirstOffset
	l.stored = append(l.stored, c)
	l.later(l.between(0, 20*time.Millisecond), func() { l.replicate(c.offset) })
}

// replicate replicates the records up to an offset.
func (l *ledger) replicate(upTo record.Offset) {
	for len(l.stored) > 0 && l.stored[0].offset <= upTo {
		c := l.stored[0]
		l.stored = l.stored[1:]
		l.state.SetHighWatermark(c.offset + 1)
		l.check.replicated(c, c.outcome == protocol.None)
		c.term.appended(c, c.outcome)
	}
}

func (t *term) appended(c storedChange, code protocol.ErrorCode) {
	if !t.ended {
		t.carryOut(c.txn, c.txn.Appended(t.l.clock(), c.change, code))
	}
}

// sendMarker sends a marker until its outcome is known. It never arrives after it was repeated:
// without KIP-890 part 2 a marker that does may end the next transaction of its producer.
func (t *term) sendMarker(txn *transaction.Transaction, m *transaction.Markers, p metadata.TopicPartition) {
	ask(t.l, requestTimeout/2, func(reply func(protocol.ErrorCode)) { reply(t.l.writeMarker(p.Partition, m)) },
		func(code protocol.ErrorCode, answered bool) {
			switch outcome := transaction.OutcomeOf(code); {
			case t.ended:
			case !answered || outcome == transaction.MarkerRetried:
				t.l.later(100*time.Millisecond, func() {
					if !t.ended {
						t.sendMarker(txn, m, p)
					}
				})
			case outcome == transaction.MarkerWritten:
				t.carryOut(txn, txn.MarkersWritten(m, []metadata.TopicPartition{p}))
			default:
				txn.MarkersAbandoned(m)
			}
		})
}

// writeMarker writes a marker as the leader of a partition does.
func (l *ledger) writeMarker(p int32, m *transaction.Markers) protocol.ErrorCode {
	kind := record.Abort
	if m.Commit {
		kind = record.Commit
	}
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch = m.ProducerID, m.Epoch
	batch := must(record.EndTxnMarker(o, kind, int32(m.CoordinatorEpoch), l.clock().UnixMilli()))
	_, err := l.data[p].AppendAsLeader(storage.Append{Records: batch, LeaderEpoch: 0, Origin: record.FromCoordinator})
	if err == nil {
		l.say("partition %d has the marker of producer %d, epoch %d, commit %t", p, m.ProducerID, m.Epoch, m.Commit)
		l.check.ended(p, m)
		l.data[p].SetHighWatermark(l.data[p].Offsets().LogEnd)
	}
	return protocol.CodeOf(err)
}

// batchOf is a batch with one record of a transactional producer.
type batchOf struct {
	id       string
	of       transaction.ProducerIDAndEpoch
	sequence int32
	value    string
}

// produced is the answer to a batch.
type produced struct {
	code   protocol.ErrorCode
	offset record.Offset
}

// write appends the next record of a producer as the leader of a partition does. It asks the
// coordinator whether the transaction has the partition, if none is open there (KIP-890).
func (l *ledger) write(p int32, b batchOf, reply func(produced)) {
	guard := l.data[p].VerifyTransaction(b.of.ID, b.sequence, b.of.Epoch)
	if guard == nil {
		reply(l.append(p, b, nil))
		return
	}
	ask(l, requestTimeout/2, func(reply func(protocol.ErrorCode)) { reply(l.term.verify(b.id, b.of, p)) },
		func(code protocol.ErrorCode, answered bool) {
			switch {
			case !answered || retriable(code):
				reply(produced{code: protocol.NotEnoughReplicas})
			case code != protocol.None:
				reply(produced{code: code})
			default:
				reply(l.append(p, b, guard))
			}
		})
}

func (l *ledger) append(p int32, b batchOf, guard *storage.Verification) produced {
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = b.of.ID, b.of.Epoch, b.sequence, true
	builder := record.NewBuilder(o)
	if err := builder.Append(l.clock().UnixMilli(), nil, []byte(b.value)); err != nil {
		panic(err)
	}
	info, err := l.data[p].AppendAsLeader(storage.Append{Records: must(builder.Build()), LeaderEpoch: 0, Origin: record.FromClient, BatchRequired: true,
		VerificationRequired: true, Verified: guard})
	if err != nil {
		return produced{code: protocol.CodeOf(err)}
	}
	if !info.Duplicate {
		l.say("partition %d has %s at %d", p, b.value, info.FirstOffset)
		l.check.wrote(p, b.of.ID, info.FirstOffset)
		l.data[p].SetHighWatermark(l.data[p].Offsets().LogEnd)
	}
	return produced{offset: info.FirstOffset}
}

// verify answers a leader.
func (t *term) verify(id string, of transaction.ProducerIDAndEpoch, p int32) protocol.ErrorCode {
	if code := t.refusal(); code != protocol.None {
		return code
	}
	txn := t.txns[id]
	if txn == nil {
		return protocol.InvalidProducerIDMapping
	}
	return txn.Verify(of, metadata.TopicPartition{Topic: txnTopic, Partition: p})
}

// request makes a step of a transactional id that answers a request.
func (t *term) request(id string, reply func(transaction.Result), do func(*transaction.Transaction, time.Time, chan<- transaction.Result) *transaction.Effects) {
	code := t.refusal()
	if code == protocol.None && t.txns[id] == nil {
		code = protocol.InvalidProducerIDMapping
	}
	if code != protocol.None {
		reply(transaction.Refused(code))
		return
	}
	to := make(chan transaction.Result, 1)
	t.waiting = append(t.waiting, waiter{to, reply})
	t.step(id, func(txn *transaction.Transaction, now time.Time) *transaction.Effects { return do(txn, now, to) })
}

// know makes sure that a transactional id exists.
func (t *term) know(id string) {
	if t.refusal() == protocol.None && t.txns[id] == nil {
		t.l.producerIDs++
		t.txns[id] = transaction.New(id, t.home, t.l.producerIDs, int32(txnTimeout.Milliseconds()), t.l.clock())
	}
}

// quiet reports whether nothing is in progress.
func (l *ledger) quiet() bool {
	if !l.term.loaded || len(l.stored) > 0 {
		return false
	}
	for _, m := range l.members {
		if !m.done {
			return false
		}
	}
	for _, txn := range l.term.txns {
		if s := txn.State(); txn.Pending() || s == transaction.Ongoing || s == transaction.PrepareCommit || s == transaction.PrepareAbort {
			return false
		}
	}
	return !slices.ContainsFunc(l.data, func(log *storage.Log) bool { return log.Offsets().LastStable < log.Offsets().LogEnd })
}

// abortTimedOut aborts transactions that are open for too long.
func (l *ledger) abortTimedOut() {
	if t := l.term; t.refusal() == protocol.None {
		for _, id := range slices.Sorted(maps.Keys(t.txns)) {
			t.step(id, func(txn *transaction.Transaction, now time.Time) *transaction.Effects {
				return txn.AbortIfTimedOut(now)
			})
		}
	}
	l.later(500*time.Millisecond, l.abortTimedOut)
}
