package simulation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/txnhistory"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/transaction"
)

// The rules of transactions on the simulated brokers. After every step:
//
//   - The last stable offset of a replica is the first offset of its undecided transactions.
//   - A marker follows a stored decision of its producer, with its epoch.
//   - No epoch of a producer decreases in a partition.
//   - A consumer with read_committed gets the records of committed transactions, all of them and
//     nothing else.
//   - A producer that a newer one has fenced gets no request answered without an error.
//   - What a coordinator has loaded is what its log contains.
//
// At the end all transactions are decided, no request waits, and internal/txnhistory checks the
// history.

// markerRetention is delete.retention.ms of the topic of transactional producers. It is longer than
// that of other topics: a replica that was away for longer keeps transactions open whose markers it has
// missed, as in Kafka.
const markerRetention = 7 * time.Second

// dataConfig returns the configuration of the topic of transactional producers.
func dataConfig(w *world) *settings.Topic {
	if !w.cfg.Compaction {
		return topicConfig(w)
	}
	extra := map[string]string{"delete.retention.ms": fmt.Sprint(markerRetention.Milliseconds())}
	for key, value := range compacted {
		if extra[key] == "" {
			extra[key] = value
		}
	}
	return topicConfigWith(w, extra)
}

// fate is what became of a committed record.
type fate int8

const (
	undecided fate = iota
	shown          // it is not transactional, or its transaction was committed
	hidden         // its transaction was aborted
	ofMarker       // it is a marker
)

// openTxns are the transactions of a partition.
type openTxns struct {
	open   map[int64][]record.Offset // by producer, the records of the undecided transaction
	fates  map[record.Offset]fate    // of transactional records
	epochs map[int64]int16           // by producer, the epoch of its last record or marker
	// slow is set when a replica missed a marker that was removed in the meantime. It may keep the
	// transaction open, so the partition is no longer checked.
	slow bool
}

// becomesMarker completes the entry of a control record.
func (e *entry) becomesMarker(r *record.Record) {
	e.key, e.tombstone = "", false
	kind, err := record.ParseControlKey(r.Key)
	switch {
	case err == nil && kind == record.Commit:
		e.marker = txnhistory.CommitMarker
	case err == nil && kind == record.Abort:
		e.marker = txnhistory.AbortMarker
	}
	e.name = fmt.Sprintf("%s of %d.%d", e.marker, e.producer, e.producerEpoch)
}

// fate returns what became of a committed record.
func (h *history) fate(e entry) fate {
	switch {
	case e.marker != txnhistory.NoMarker:
		return ofMarker
	case e.producer == 0:
		return shown
	}
	return h.txns.fates[e.offset]
}

// decidedFate returns what becomes of a committed record: that of an undecided transaction is known
// once the decision is stored. A restarted replica may have acted on a marker that is not committed.
func (c *checker) decidedFate(h *history, e entry) fate {
	fate := h.fate(e)
	if fate != undecided {
		return fate
	}
	switch d := c.txns.latest[e.producer]; d.state {
	case transaction.PrepareCommit, transaction.CompleteCommit:
		if d.epoch == e.producerEpoch {
			return shown
		}
	case transaction.PrepareAbort, transaction.CompleteAbort:
		return hidden
	}
	return undecided
}

// superseded reports whether a later record with the key is shown, or will be.
func (c *checker) superseded(h *history, e entry) bool {
	return slices.ContainsFunc(h.committed[e.offset+1:], func(later entry) bool { return later.key == e.key && c.decidedFate(h, later) == shown })
}

// commitTransactional adds a transactional record or a marker that was committed.
func (h *history) commitTransactional(e entry) {
	t := &h.txns
	if e.marker == txnhistory.NoMarker {
		t.open[e.producer] = append(t.open[e.producer], e.offset)
		return
	}
	for _, offset := range t.open[e.producer] {
		if t.fates[offset] = hidden; e.marker == txnhistory.CommitMarker {
			t.fates[offset] = shown
			h.keyed.shows(h.committed[offset])
		}
	}
	delete(t.open, e.producer)
}

// stable checks the last stable offset of a replica that knows all committed records.
func (c *checker) stable(b *broker, h *history, log *storage.Log) {
	at := log.Offsets()
	if !isData(h.place) || h.txns.slow || at.HighWatermark != record.Offset(len(h.committed)) {
		return
	}
	want := at.HighWatermark
	for _, open := range h.txns.open {
		want = min(want, open[0])
	}
	if at.LastStable != want && (at.LastStable < want || at.LastStable > c.unreplicated(h, log)) {
		c.w.fail("the last stable offset of partition %d on broker %d is %d, but must be %d", h.place, b.id, at.LastStable, want)
	}
}

// unreplicated returns the last stable offset of a replica if the markers above the high watermark
// counted. A replica that was restarted counts them, as in Kafka: a snapshot of its producers has no
// transactions that have a marker.
func (c *checker) unreplicated(h *history, log *storage.Log) record.Offset {
	at, marked := log.Offsets(), map[int64]bool{}
	for _, e := range c.read(log, at.HighWatermark, at.LogEnd) {
		marked[e.producer] = marked[e.producer] || e.marker != txnhistory.NoMarker
	}
	last := at.HighWatermark
	for producer, open := range h.txns.open {
		if !marked[producer] {
			last = min(last, open[0])
		}
	}
	return last
}

// txnLedger is what is known of transactional ids.
type txnLedger struct {
	latest map[int64]decision // by producer, from the committed records of __transaction_state
	newest map[string]fence   // by transactional id
}

// fence is the newest initialized producer of a transactional id.
type fence struct {
	of    transaction.ProducerIDAndEpoch
	since time.Duration
}

func newTxnLedger() txnLedger {
	return txnLedger{latest: map[int64]decision{}, newest: map[string]fence{}}
}

// decided takes a committed record of __transaction_state, and checks one of a data partition.
func (c *checker) decided(h *history, e entry) {
	switch {
	case isState(h.place):
		v := c.stateValue(e)
		c.txns.latest[v.ProducerID] = decision{transaction.State(v.State), v.ProducerEpoch}
		c.w.say("stored in partition %d: %q is %s, producer %d, epoch %d", h.place, e.key, transaction.State(v.State), v.ProducerID, v.ProducerEpoch)
		return
	case e.producer == 0:
		return
	case e.producerEpoch < h.txns.epochs[e.producer]:
		c.w.fail("partition %d has %s of epoch %d at %d, after epoch %d of the producer", h.place, e, e.producerEpoch, e.offset, h.txns.epochs[e.producer])
	}
	h.txns.epochs[e.producer] = e.producerEpoch
	if e.marker == txnhistory.NoMarker || slices.ContainsFunc(c.w.brokers, func(b *broker) bool { return !b.intact() }) {
		return // a decision whose only log fails may not be seen
	}
	d := c.txns.latest[e.producer]
	committed := d.state == transaction.PrepareCommit || d.state == transaction.CompleteCommit
	aborted := d.state == transaction.PrepareAbort || d.state == transaction.CompleteAbort
	if commits := e.marker == txnhistory.CommitMarker; d.epoch != e.producerEpoch || commits && !committed || !commits && !aborted {
		c.w.fail("partition %d has the %s at %d, but the producer's state is %s in epoch %d", h.place, e, e.offset, d.state, d.epoch)
	}
}

func (c *checker) stateValue(e entry) (v kmsg.TxnMetadataValue) {
	if err := v.ReadFrom([]byte(e.name)); err != nil {
		c.w.fail("the record of %q at %d of the coordinator does not parse: %v", e.key, e.offset, err)
	}
	return v
}

// initialized takes a producer that was initialized.
func (c *checker) initialized(m *txnProducer) {
	was := c.txns.newest[m.id]
	if newer(m.of, was.of) {
		c.txns.newest[m.id] = fence{m.of, c.w.now}
	}
}

func newer(a, b transaction.ProducerIDAndEpoch) bool {
	return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Epoch, b.Epoch)) > 0
}

// notFenced checks a request that a producer sent first at the given time, and that was answered
// without an error.
func (c *checker) notFenced(m *txnProducer, asked time.Duration, req kmsg.Request) {
	if _, init := req.(*kmsg.InitProducerIDRequest); init {
		return
	}
	if f := c.txns.newest[m.id]; f.since < asked && newer(f.of, m.of) {
		c.w.fail("producer %d of %s, %+v, got no error for %s, though %+v has fenced it", m.instance, m.id, m.of, protocol.APIKey(req.Key()), f.of)
	}
}

// stateOf returns the partition of __transaction_state with the transactional id.
func (w *world) stateOf(id string) int32 { return coordinator.HashPartition(id, w.states) }

// loaded compares what a coordinator has just loaded with its log, of the ids that it was loading.
func (c *checker) loaded(b *broker, loading []string) {
	for _, id := range loading {
		got, code := b.txns.Describe(id)
		partition, err := b.replicas.Partition(metadata.TransactionStateTopic, c.w.stateOf(id))
		if err == nil && partition.Log() != nil && b.intact() && (code == protocol.None || code == protocol.TransactionalIDNotFound) {
			c.loadedID(b, id, partition.Log(), got, code == protocol.None)
		}
	}
}

func (c *checker) loadedID(b *broker, id string, log *storage.Log, got transaction.Description, exists bool) {
	at := log.Offsets()
	var last *entry
	for _, e := range c.read(log, at.LogStart, at.LogEnd) {
		if found, _, _, err := transaction.ParseKey([]byte(e.key)); err == nil && found == id {
			last = &e
		}
	}
	if last == nil || !exists {
		if exists != (last != nil) {
			c.w.fail("broker %d has loaded %s: %t, %+v, but its log has %v", b.id, id, exists, got, last)
		}
		return
	}
	v := c.stateValue(*last)
	partitions := 0
	for _, t := range v.Topics {
		partitions += len(t.Partitions)
	}
	if got.ProducerID != v.ProducerID || got.Epoch != v.ProducerEpoch || got.State != transaction.State(v.State) || len(got.Partitions) != partitions {
		c.w.fail("broker %d has loaded %s as %+v, but its log has %+v at %d", b.id, id, got, v, last.offset)
	}
}

// addMarker takes a committed marker that a replica lacks. It may be removed only after all records
// of its transaction.
func (g *gaps) addMarker(e entry) {
	if e.offset >= g.held {
		g.h.txns.slow = true
	}
	if offset, present := g.open[e.producer]; present && !g.h.txns.slow {
		g.c.w.fail("broker %d lacks the %s at %d of partition %d, but has a record of its transaction at %d", g.b.id, e, e.offset, g.p, offset)
	}
	delete(g.open, e.producer)
}

// skips is what a consumer with read_committed skips of a response.
type skips struct {
	aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction // by first offset
	open    map[int64]bool                                       // the producers whose transaction it skips
}

func abortedOf(listed []kmsg.FetchResponseTopicPartitionAbortedTransaction) *skips {
	slices.SortFunc(listed, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	return &skips{listed, map[int64]bool{}}
}

// of reports whether the next batch belongs to an aborted transaction.
func (s *skips) of(b record.Batch) bool {
	for len(s.aborted) > 0 && s.aborted[0].FirstOffset <= int64(b.LastOffset()) {
		s.open[s.aborted[0].ProducerID] = true
		s.aborted = s.aborted[1:]
	}
	if !b.IsTransactional() {
		return false
	}
	if c, ok, err := b.Control(); b.IsControl() && ok && err == nil && c.Type == record.Abort {
		delete(s.open, b.ProducerID())
		return false
	}
	return s.open[b.ProducerID()]
}

// visible checks whether a consumer with read_committed returns a record, which it does unless aborted.
func (k *checker) visible(c *consumer, e entry, aborted bool) bool {
	h := k.now(c.partition)
	fate := k.decidedFate(h, e)
	switch {
	case fate == ofMarker:
		return false
	case h.txns.slow:
	case fate == undecided:
		k.w.fail("a consumer of partition %d received %s at offset %d by broker %d, and its transaction is not decided", c.partition, e, e.offset, c.broker)
	case (fate == hidden) != aborted:
		k.w.fail("a consumer of partition %d received %s at offset %d by broker %d as aborted: %t", c.partition, e, e.offset, c.broker, aborted)
	}
	return !aborted
}

// transactionsEnded reports whether all transactions have ended and no request waits.
func (w *world) transactionsEnded() bool {
	if len(w.clients) == 0 || slices.ContainsFunc(w.clients, func(m *txnProducer) bool { return !m.done }) || slices.ContainsFunc(w.brokers, (*broker).waits) {
		return false
	}
	for p := firstState; p < firstState+w.states; p++ {
		for _, id := range clientIDs {
			if last := w.check.lastState(p, id); last != transaction.Empty && last != transaction.CompleteCommit && last != transaction.CompleteAbort {
				return false
			}
		}
	}
	for p := firstData; p < firstState; p++ {
		h := w.check.now(p)
		if len(h.txns.open) > 0 && !h.txns.slow {
			return false
		}
	}
	return true
}

// lastState returns the state of a transactional id in the committed records of a partition of
// __transaction_state; Empty if there are none.
func (c *checker) lastState(p int32, id string) transaction.State {
	h := c.now(p)
	for _, e := range slices.Backward(h.committed) {
		if found, _, _, err := transaction.ParseKey([]byte(e.key)); err == nil && found == id {
			return transaction.State(c.stateValue(e).State)
		}
	}
	return transaction.Empty
}

// finalOfTransactions compares the replicas of a partition at the end.
func (c *checker) finalOfTransactions(p int32) {
	for _, b := range c.w.brokers {
		log := b.logs.Log(tp(p))
		h := c.of(b, p, log)
		c.same(b, h, log, 0, log.Offsets().LogEnd)
		if log.Offsets().LogEnd != record.Offset(len(h.committed)) {
			c.w.fail("partition %d of broker %d ends at %d, but %d records are committed", p, b.id, log.Offsets().LogEnd, len(h.committed))
		}
	}
}

// checkTransactions checks the history of all transactions.
func (c *checker) checkTransactions() {
	h := &c.w.txns
	h.Logs = map[txnhistory.Partition][]txnhistory.Entry{}
	for p := firstData; p < firstState; p++ {
		of := c.now(p)
		if of.txns.slow {
			c.w.say("the history is not checked: a replica of partition %d missed a marker", p)
			return
		}
		at := txnhistory.Partition{Topic: dataName, Index: tp(p).Partition}
		for _, e := range of.committed {
			entry := txnhistory.Entry{Offset: int64(e.offset), Producer: e.producer, Epoch: e.producerEpoch, Marker: e.marker, Time: epoch.Add(of.keyed.since[e.offset])}
			if e.marker == txnhistory.NoMarker {
				entry.Value = e.name
			}
			h.Logs[at] = append(h.Logs[at], entry)
		}
	}
	if report := txnhistory.Check(h); len(report.Violations()) > 0 {
		c.w.fail("%v", report)
	}
}

// stateOfTransactions describes the transactions, for failure messages.
func (w *world) stateOfTransactions(text *strings.Builder) {
	for _, m := range w.clients {
		if !m.done {
			fmt.Fprintf(text, "producer %d of %s, %+v, is not done\n", m.instance, m.id, m.of)
		}
	}
	for _, b := range w.brokers {
		for _, id := range clientIDs {
			if b.alive && b.txns != nil {
				d, code := b.txns.Describe(id)
				fmt.Fprintf(text, "%s on broker %d: %s, %+v, a request waits: %t\n", id, b.id, code.Name(), d, b.waits())
			}
		}
	}
}
