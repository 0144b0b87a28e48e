package storage

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// Random histories of a follower's log over several runs of a broker. A run ends with a kill of the
// process, a power failure or a clean shutdown, possibly in the middle of an operation. Background
// work is done late, out of order, or never. After each run the log is compared with what the
// history allows: its records, leader epochs, lookups by time, transactions, last stable offset and
// the checkpoints.

var (
	crashSeeds = flag.Int("crash.seeds", 0, "number of random histories, 0 for the default")
	crashFirst = flag.Int("crash.first", 0, "seed of the first random history")
)

func TestRandomHistoriesSurviveCrashes(t *testing.T) {
	runRandomHistories(t, 200, false)
}

// runRandomHistories runs a number of histories, which full matrices and the flag replace.
func runRandomHistories(t *testing.T, seeds int, compacted bool) {
	if testkit.FullMatrices() {
		seeds = 20_000
	}
	if *crashSeeds > 0 {
		seeds = *crashSeeds
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(seeds) && !t.Failed(); i = next.Add(1) - 1 {
				runRandomHistory(t, uint64(*crashFirst)+uint64(i), compacted)
				if (i+1)%1000 == 0 {
					t.Logf("%d of %d histories", i+1, seeds)
				}
			}
		})
	}
	wg.Wait()
}

func runRandomHistory(t *testing.T, seed uint64, compacted bool) {
	h := &randomHistory{t: t, r: rand.New(rand.NewPCG(seed, 1)), disk: &crashingFS{mem: vfs.NewMem()}, compacted: compacted}
	h.forget()
	err := h.begin()
	for range 1 + h.r.IntN(3) {
		if err == nil {
			err = h.run()
		}
	}
	if err != nil {
		t.Errorf("seed %d: %v\n%s\n%s", seed, err, strings.Join(h.steps, "\n"), h.lines)
	}
}

// loggedBatch is a batch that was appended or found.
type loggedBatch struct {
	base, last record.Offset
	epoch      metadata.LeaderEpoch
	stamp      int64
	values     []string // by offset; of a compacted log "key=value", and empty where no record remains
	producer   int64
	txn        bool
	marker     bool
	aborts     bool  // only for a marker
	number     int32 // of the transaction; see crash_transactions_test.go
}

// randomHistory is one log and its history.
type randomHistory struct {
	t     *testing.T
	r     *rand.Rand
	disk  *crashingFS
	steps []string // printed with a failure

	m     *Manager
	l     *Log
	lines *lineBuffer
	later []func() // background work that is due

	batches  []loggedBatch              // the content of the log if nothing is lost
	ever     map[record.Offset][]string // the values ever appended at an offset
	kept     record.Offset              // a kill of the process loses nothing below it
	durable  record.Offset              // a power failure loses nothing below it
	limit    record.Offset              // where a truncation in progress begins
	start    record.Offset              // the highest log start that may be found
	oldStart record.Offset              // the same after a power failure
	deleted  record.Offset              // epochs and transactions below it may be unknown, because a log start there was lost
	high     record.Offset              // the highest high watermark that may be found
	open     map[int64]bool             // producers with an open transaction
	txns     transactionsEver
	epoch    metadata.LeaderEpoch
	stamp    int64
	serial   int
	topics   byte // number of topics with this name so far

	compacted bool
	cleaned   record.Offset // the high watermark of the last cleaning
	cleaning  bool          // one is in progress
}

const noLimit = record.Offset(1) << 62

func (h *randomHistory) note(f string, a ...any) { h.steps = append(h.steps, fmt.Sprintf(f, a...)) }

// forget begins the history of a new topic.
func (h *randomHistory) forget() {
	h.batches, h.ever, h.open, h.txns = nil, map[record.Offset][]string{}, map[int64]bool{}, newTransactionsEver()
	h.kept, h.durable, h.limit, h.start, h.oldStart, h.deleted, h.high, h.epoch = 0, 0, noLimit, 0, 0, 0, 0, 0
	h.cleaned = 0
	h.topics++
}

// begin starts a broker on the current state of the disk.
func (h *randomHistory) begin() error {
	c := testTopic()
	c.SegmentBytes, c.IndexIntervalBytes, c.SegmentIndexBytes, c.FileDeleteDelayMs = 1400, 200, 4096, 5
	if h.compacted {
		c.CleanupCompact, c.CleanupDelete = true, false
		c.DeleteRetentionMs = int64(h.r.IntN(2)) * 86400000
	}
	h.lines, h.later = &lineBuffer{}, nil
	m, err := NewManager(ManagerConfig{FS: h.disk.fs(), Dirs: []string{"/data"}, Log: kafkalog.New(h.lines), BrokerID: 7, ClusterID: "cluster",
		Defaults: c, Options: crashOptions(), Later: func(_ time.Duration, f func()) { h.later = append(h.later, f) }})
	if err != nil {
		return err
	}
	if err := m.Load(h.t.Context()); err != nil {
		return err
	}
	h.m = m
	return h.create()
}

func (h *randomHistory) create() error {
	l, err := h.m.GetOrCreate(partition0, metadata.TopicID{}, h.m.defaults.Load(), true)
	if err == nil {
		h.l = l
	}
	return err
}

func (h *randomHistory) end() record.Offset { return h.l.Offsets().LogEnd }

// run starts the broker, runs random operations until it ends, and checks what it left.
func (h *randomHistory) run() error {
	if h.r.IntN(2) == 0 {
		h.disk.stopAt = h.disk.changes + 1 + h.r.IntN(300)
	}
	for range 10 + h.r.IntN(60) {
		if err := h.once(); err != nil {
			return err
		}
		if h.disk.stopped {
			h.note("stopped at %s %s", h.disk.last.Kind, h.disk.last.Name)
			return h.restart()
		}
	}
	if err := h.look(h.kept, true); err != nil {
		return fmt.Errorf("during the run: %w", err)
	}
	if h.r.IntN(4) == 0 {
		h.note("clean shutdown")
		if err := h.m.Close(); err != nil {
			return err
		}
		if !h.disk.stopped {
			h.durable, h.oldStart = h.kept, h.start
		}
	}
	return h.restart()
}

// once runs one random operation. It returns nil if the operation stops the machine.
func (h *randomHistory) once() error {
	h.kept = h.end()
	err := h.step()
	if h.disk.stopped {
		return nil
	}
	if err == nil {
		err = h.l.check()
	}
	h.kept, h.limit = h.end(), noLimit
	return err
}

// restart ends the run and begins the next one.
func (h *randomHistory) restart() error {
	survival := vfs.Survival(h.r.IntN(3))
	floor := h.durable
	if p := h.l.RecoveryPoint(); p > h.l.Offsets().LogStart {
		floor = max(floor, p)
	}
	floor = min(floor, h.limit)
	if len(h.batches) == 0 && h.disk.stopped {
		h.kept, floor = 0, 0 // the segment of an empty log may have just been replaced
	}
	if survival == vfs.Everything {
		floor = h.kept
	} else {
		h.start = max(h.start, h.oldStart)
	}
	h.note("crash %d: %+v, recovery point %d, floor %d, start %d", survival, h.l.Offsets(), h.l.RecoveryPoint(), floor, h.start)
	whole := survival == vfs.Everything && !h.disk.stopped
	h.disk = &crashingFS{mem: h.disk.mem.CrashClone(survival, h.r.Uint64())}
	if err := h.begin(); err != nil {
		return err
	}
	if err := h.look(floor, whole); err != nil {
		return fmt.Errorf("after the crash: %w", err)
	}
	return h.accept(survival)
}

// accept makes the log that was found the state with which the next run begins.
func (h *randomHistory) accept(survival vfs.Survival) error {
	found, err := h.found()
	if err != nil {
		return err
	}
	h.batches = found
	h.txns.found(found)
	h.limit, h.durable = noLimit, min(h.durable, h.end())
	h.start = h.l.Offsets().LogStart
	h.oldStart = max(h.oldStart, h.start)
	if survival != vfs.Everything {
		h.oldStart = h.start
	}
	h.high, h.cleaned = min(h.high, h.end()), min(h.cleaned, h.end())
	if n := len(found); n > 0 {
		h.epoch = max(h.epoch, found[n-1].epoch)
	}
	h.noteOpen()
	return nil
}

// noteOpen reads the open transactions, which may begin below the log start, from the log.
func (h *randomHistory) noteOpen() {
	h.open = map[int64]bool{}
	for _, p := range h.l.Producers() {
		if h.open[p.ProducerID] = p.CurrentTxnFirstOffset >= 0; h.open[p.ProducerID] {
			h.txns.reopen(p.ProducerID, h.batches)
		}
	}
}

func (h *randomHistory) step() error {
	kinds := 44
	if h.compacted && !h.cleaning {
		kinds = 56
	}
	switch k := h.r.IntN(kinds); {
	case k >= 44:
		return h.clean()
	case k < 18:
		return h.append()
	case k < 22:
		return h.background()
	case k < 24:
		h.note("flush")
		if err := h.l.Flush(); err != nil {
			return err
		}
		h.durable, h.oldStart = h.end(), h.start
	case k < 26:
		h.note("checkpoint")
		h.m.eachDir((*logDir).checkpoint)
	case k < 30:
		return h.truncate()
	case k < 34:
		h.epoch += metadata.LeaderEpoch(1 + h.r.IntN(2))
	case k < 36:
		h.note("roll")
		return h.l.Roll()
	case k < 40:
		return h.replicate()
	case k < 42:
		h.note("checkpoint of high watermarks, %d", h.l.Offsets().HighWatermark)
		h.high = max(h.high, h.l.Offsets().HighWatermark)
		return h.m.CheckpointHighWatermarks("/data", []*Log{h.l})
	case k < 43:
		return h.truncateFully()
	default:
		return h.deleteTopic()
	}
	return nil
}

// background does one piece of the due work, not always the oldest.
func (h *randomHistory) background() error {
	if n := len(h.later); n > 0 {
		i := h.r.IntN(n)
		h.note("background %d of %d", i, n)
		f := h.later[i]
		h.later = slices.Delete(h.later, i, i+1)
		f()
	}
	return nil
}

// append appends one or two batches as a follower does.
func (h *randomHistory) append() error {
	var set []byte
	var added []loggedBatch
	at := h.end()
	for range 1 + h.r.IntN(2) {
		b, encoded, err := h.batch(at)
		if err != nil {
			return err
		}
		for i, v := range b.values {
			h.ever[b.base+record.Offset(i)] = append(h.ever[b.base+record.Offset(i)], v)
		}
		set, added, at = append(set, encoded...), append(added, b), b.last+1
	}
	h.note("append %d-%d in epoch %d", added[0].base, at-1, h.epoch)
	if _, err := h.l.AppendAsFollower(set, h.epoch); err != nil {
		return err
	}
	h.batches = append(h.batches, added...)
	return nil
}

// batch returns a batch: plain, idempotent, transactional or a marker.
func (h *randomHistory) batch(at record.Offset) (loggedBatch, record.Batch, error) {
	h.stamp += int64(h.r.IntN(3))
	b := loggedBatch{base: at, epoch: h.epoch, stamp: h.stamp, producer: -1}
	o := record.Defaults()
	kind, id := h.r.IntN(6), int64(1+h.r.IntN(2))
	if kind >= 2 {
		b.producer, o.ProducerID, o.ProducerEpoch = id, id, 0
	}
	if b.marker = kind >= 4 && h.open[id]; b.marker {
		b.txn, b.aborts = true, kind == 4
		how := record.Commit
		if b.aborts {
			how = record.Abort
		}
		delete(h.open, id)
		b.values, b.last = []string{controlValue}, at
		b.number = h.txns.end(b)
		encoded, err := record.EndTxnMarker(o, how, b.number, b.stamp)
		return b, stamped(encoded, b), err
	}
	if kind >= 2 {
		b.txn = kind == 3 || h.open[id]
		o.BaseSequence, o.Transactional = 0, b.txn
		if b.txn {
			if !h.open[id] {
				h.txns.begin(id, at)
			}
			h.open[id] = true
			b.number = h.txns.current[id]
			o.BaseSequence = b.number
		}
	}
	var records []rec
	for range 1 + h.r.IntN(4) {
		h.serial++
		v := fmt.Sprintf("%d %s", h.serial, strings.Repeat(".", h.r.IntN(120)))
		if h.compacted {
			key := fmt.Sprint("key ", h.r.IntN(6))
			if h.r.IntN(6) == 0 {
				v = ""
			}
			b.values = append(b.values, key+"="+v)
			records = append(records, rec{key, v, b.stamp})
			continue
		}
		b.values = append(b.values, v)
		records = append(records, rec{"", v, b.stamp})
	}
	b.last = at + record.Offset(len(records)) - 1
	if h.compacted {
		encoded, err := keyedBatch(o, records)
		return b, stamped(encoded, b), err
	}
	return b, stamped(batch(h.t, o, records...), b), nil
}

// stamped sets the offsets and the epoch of a batch.
func stamped(encoded record.Batch, b loggedBatch) record.Batch {
	encoded.SetLastOffset(b.last)
	encoded.SetPartitionLeaderEpoch(b.epoch)
	return encoded
}

// truncate truncates to the end of a batch and continues in a later epoch, or in one between that
// the new leader knows.
func (h *randomHistory) truncate() error {
	n := len(h.batches)
	if n == 0 {
		return nil
	}
	keep, to := n-h.r.IntN(min(n, 5)+1), h.end()
	if keep < n {
		to = h.batches[keep].base
	}
	if to < h.l.Offsets().LogStart || to < h.cleaned {
		return nil // the latter are below the high watermark
	}
	h.note("truncate to %d", to)
	h.durable, h.kept, h.limit = min(h.durable, to), min(h.kept, to), to
	if h.serial%2 == 0 {
		h.m.ExpectTruncations(map[TopicPartition]record.Offset{partition0: to})
	}
	if _, err := h.l.TruncateTo(to); err != nil {
		return err
	}
	h.high = min(h.high, to)
	h.batches = slices.Clone(h.batches[:keep])
	h.noteOpen()
	last := metadata.LeaderEpoch(0)
	if keep > 0 {
		last = h.batches[keep-1].epoch
	}
	h.epoch = last + metadata.LeaderEpoch(h.r.IntN(3))
	return nil
}

// truncateFully restarts the log at another offset, as a follower outside its leader's range does.
func (h *randomHistory) truncateFully() error {
	to := max(h.end()+record.Offset(h.r.IntN(30))-20, 0)
	h.note("truncate fully and start at %d", to)
	h.oldStart = max(h.oldStart, h.start)
	h.durable, h.kept, h.limit, h.start = 0, 0, 0, max(h.start, to)
	if err := h.l.TruncateFullyAndStartAt(to, -1); err != nil {
		return err
	}
	h.batches, h.start, h.high = nil, to, min(h.high, to)
	h.oldStart = max(h.oldStart, to)
	h.noteOpen()
	return nil
}

// replicate moves the high watermark to the end and sometimes raises the log start.
func (h *randomHistory) replicate() error {
	h.l.SetHighWatermark(h.end())
	n := len(h.batches)
	if n <= 6 || h.r.IntN(2) == 0 {
		return nil
	}
	to := h.batches[n-5].base
	if to <= h.l.Offsets().LogStart {
		return nil
	}
	h.note("log start %d", to)
	h.start = max(h.start, to)
	h.oldStart = max(h.oldStart, h.start)
	if err := h.l.IncrementLogStart(to); err != nil {
		return err
	}
	_, err := h.l.DeleteOldSegments()
	return err
}

// deleteTopic deletes the log and creates one of the same name.
func (h *randomHistory) deleteTopic() error {
	h.note("delete the topic")
	h.durable, h.kept, h.limit = 0, 0, 0
	if errs := h.m.DeleteAll([]TopicPartition{partition0}); errs[0] != nil || h.disk.stopped {
		return errs[0]
	}
	h.forget()
	h.limit = 0
	return h.create()
}

// found reads the whole log.
func (h *randomHistory) found() ([]loggedBatch, error) {
	f, err := serve(h.l)
	if err != nil && !(h.compacted && errors.Is(err, errNoData)) { // see loader.lost
		return nil, err
	}
	var found []loggedBatch
	for _, b := range f.batches {
		g := loggedBatch{base: b.BaseOffset(), last: b.LastOffset(), epoch: b.PartitionLeaderEpoch(), stamp: b.MaxTimestamp(),
			producer: b.ProducerID(), txn: b.IsTransactional(), marker: b.IsControl()}
		if g.marker {
			c, ok, err := b.Control()
			if err != nil {
				return nil, err
			}
			g.aborts, g.number = ok && c.Type == record.Abort, c.CoordinatorEpoch
		} else if g.txn {
			g.number = b.BaseSequence()
		}
		if h.compacted && !g.marker {
			if g.values, err = keyedValues(b); err != nil {
				return nil, err
			}
		} else {
			for at := g.base; at <= g.last; at++ {
				g.values = append(g.values, f.values[at])
			}
		}
		found = append(found, g)
	}
	return found, nil
}

// look compares the log with what the history allows. Everything below the floor must be present;
// if whole is set, nothing may be lost.
func (h *randomHistory) look(floor record.Offset, whole bool) error {
	found, err := h.found()
	if err != nil {
		return err
	}
	return errors.Join(h.lookAtRecords(found, floor, whole), h.lookAtKeys(found, floor), h.lookAtEpochs(found), h.lookAtTimes(found),
		h.lookAtTransactions(found, floor), h.lookAtHighWatermark())
}

func (h *randomHistory) lookAtRecords(found []loggedBatch, floor record.Offset, whole bool) error {
	o := h.l.Offsets()
	switch {
	case o.LogEnd < floor || whole && o.LogEnd != floor:
		return fmt.Errorf("the log ends at %d, want %d (whole: %v)", o.LogEnd, floor, whole)
	case o.LogStart > h.start:
		return fmt.Errorf("the log starts at %d, above %d", o.LogStart, h.start)
	}
	next := o.LogStart
	for _, f := range found {
		if f.base > next && !h.compacted {
			return fmt.Errorf("no data from %d to %d in %+v", next, f.base, o)
		}
		next = f.last + 1
		for i, v := range f.values {
			if (!h.compacted || v != "") && !slices.Contains(h.ever[f.base+record.Offset(i)], v) {
				return fmt.Errorf("record %d is %.10q, which was never appended there", f.base+record.Offset(i), v)
			}
		}
	}
	for _, b := range h.batches {
		if b.last >= floor || b.base < o.LogStart || h.compacted {
			continue
		}
		i := slices.IndexFunc(found, func(f loggedBatch) bool { return f.base == b.base })
		if i < 0 || !slices.Equal(found[i].values, b.values) || found[i].epoch != b.epoch {
			return fmt.Errorf("the batch %d-%d of epoch %d is lost below %d", b.base, b.last, b.epoch, floor)
		}
	}
	return nil
}

// lookAtEpochs requires each batch's epoch in the cache, and no epoch without a batch. A power
// failure may bring batches of a truncated epoch back after newer ones, at offsets where nothing is
// durable. Then the cache has the epoch of the last batches, as it does when they are appended. A
// follower asks its leader for the end of that epoch, and so truncates both.
func (h *randomHistory) lookAtEpochs(found []loggedBatch) error {
	cache, start := h.l.epochs, h.l.Offsets().LogStart
	h.deleted = max(h.deleted, h.start, h.oldStart)
	lowest, wentBack := metadata.LeaderEpoch(math.MaxInt32), metadata.LeaderEpoch(math.MaxInt32)
	for _, f := range slices.Backward(found) {
		if f.epoch > lowest {
			wentBack = lowest
		}
		if lowest = min(lowest, f.epoch); f.epoch >= wentBack {
			continue
		}
		if first, ok := cache.earliest(); f.base < h.deleted && (!ok || f.base < first.startOffset) {
			continue // the log start was raised, but the new one was lost
		}
		if got := cache.epochForOffset(f.base); got != f.epoch {
			return fmt.Errorf("batch %d-%d has epoch %d, but the cache has %d: %v; %v", f.base, f.last, f.epoch, got, cache.list(), epochsOf(found))
		}
	}
	for _, e := range cache.list() {
		if !h.compacted && e.startOffset > start && !slices.ContainsFunc(found, func(f loggedBatch) bool { return f.epoch == e.epoch }) {
			return fmt.Errorf("no batch has epoch %d, which begins at %d: %v", e.epoch, e.startOffset, cache.list())
		}
	}
	return nil
}

// lookAtTimes requires that lookups by time find the first records at or after the times of all
// batches, also of those that a cleaning has emptied, and a record with the largest timestamp.
func (h *randomHistory) lookAtTimes(found []loggedBatch) error {
	start := h.l.Offsets().LogStart
	largest, err := h.l.OffsetOfMaxTimestamp()
	if err != nil {
		return err
	}
	newest, emptied, with := int64(-1), int64(-1), map[record.Offset]int64{}
	for _, f := range found {
		newest = max(newest, f.stamp)
		if !slices.ContainsFunc(f.values, func(v string) bool { return v != "" }) {
			emptied = max(emptied, f.stamp)
		}
		for i, v := range f.values {
			if v != "" {
				with[f.base+record.Offset(i)] = f.stamp
			}
		}
	}
	stamp, has := with[largest.Offset]
	if right := has && stamp == newest && largest.Timestamp == newest || largest == notFound && emptied == newest; start == 0 && !right {
		return fmt.Errorf("the largest timestamp is %d, of offset %d, want %d", largest.Timestamp, largest.Offset, newest)
	}
	for _, f := range found {
		want := record.Offset(-1)
		for _, g := range found {
			for i, v := range g.values {
				if at := g.base + record.Offset(i); want < 0 && g.stamp >= f.stamp && at >= start && v != "" {
					want = at
				}
			}
		}
		if got, err := h.l.OffsetForTime(f.stamp); err != nil || got.Offset != want {
			return fmt.Errorf("the first record at or after %d is at %d, want %d: %v", f.stamp, got.Offset, want, err)
		}
	}
	return nil
}

// lookAtTransactions compares what consumers and the transaction indexes say with the transactions of
// the history and, if the log has all of its batches, the open transactions too.
func (h *randomHistory) lookAtTransactions(found []loggedBatch, floor record.Offset) error {
	o := h.l.Offsets()
	h.l.SetHighWatermark(o.LogEnd)
	txns := h.txns.in(found, floor)
	if err := errors.Join(h.lookAsConsumer(txns), h.lookAtTransactionIndex(txns)); err != nil {
		return err
	}
	switch {
	case o.LogStart != 0 || h.deleted > 0:
		return nil
	case h.compacted:
		return h.lookAtOpenProducers(found, txns)
	}
	return h.lookAtTransactionsInBatches(found)
}

// lookAtTransactionsInBatches compares open and aborted transactions with those in the batches of a
// log that has lost none.
func (h *randomHistory) lookAtTransactionsInBatches(found []loggedBatch) error {
	o := h.l.Offsets()
	open := map[int64]record.Offset{}
	var aborted []AbortedTxn
	for _, f := range found {
		first, is := open[f.producer]
		switch {
		case f.marker && is && f.aborts:
			aborted = append(aborted, AbortedTxn{f.producer, first})
			fallthrough
		case f.marker:
			delete(open, f.producer)
		case f.txn && !is:
			open[f.producer] = f.base
		}
	}
	for _, p := range h.l.Producers() {
		first, is := open[p.ProducerID]
		if !is {
			first = -1
		}
		if p.CurrentTxnFirstOffset != first {
			return fmt.Errorf("the transaction of producer %d begins at %d, want %d", p.ProducerID, p.CurrentTxnFirstOffset, first)
		}
	}
	stable := o.LogEnd
	for _, first := range open {
		stable = min(stable, first)
	}
	if got := h.l.Offsets().LastStable; got != stable {
		return fmt.Errorf("the last stable offset is %d, want %d", got, stable)
	}
	var have []AbortedTxn
	v := h.l.positions.load()
	for _, s := range v.segments {
		all, err := s.txns.all()
		if err != nil {
			return err
		}
		for _, a := range all {
			have = append(have, AbortedTxn{a.producerID, a.firstOffset})
		}
	}
	if !slices.Equal(have, aborted) {
		return fmt.Errorf("the aborted transactions are %v, want %v", have, aborted)
	}
	return nil
}

// lookAtHighWatermark requires that the checkpoint has no high watermark of lost records.
func (h *randomHistory) lookAtHighWatermark() error {
	highs, err := h.m.ReadHighWatermarks("/data")
	if err != nil || highs[partition0] > h.high {
		return fmt.Errorf("the checkpoint's high watermark is %d, want at most %d: %v", highs[partition0], h.high, err)
	}
	return nil
}

// epochsOf formats batches with their epochs for messages.
func epochsOf(found []loggedBatch) (text string) {
	for _, f := range found {
		text += fmt.Sprintf(" %d-%d:%d", f.base, f.last, f.epoch)
	}
	return text
}
