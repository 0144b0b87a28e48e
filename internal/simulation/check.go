package simulation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/monedula/monedula/internal/txnhistory"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
	zktree "github.com/monedula/monedula/zkserver/tree"
	"github.com/monedula/monedula/zkstore"
)

// checker checks the rules after every event.
type checker struct {
	w       *world
	topic   *settings.Topic // of most topics
	ofData  *settings.Topic // of the topic of transactional producers
	looking bool            // the checker is reading; its reads never fail

	histories map[incarnation]*history
	seen      map[seenKey]seenState
	held      map[replica]record.Offset // see compaction.go
	// The state in ZooKeeper, by place of the partition (see tp):
	ids         [placeCount]zkstore.TopicID // zero if there is no topic
	states      [placeCount]partitionState
	assignments [placeCount]assignment
	briefMarked bool // the topic that comes and goes is marked for deletion
	txns        txnLedger
	controller  *zkConn // the current controller's session
}

// incarnation is the partition at a place during one life of its topic.
type incarnation struct {
	partition int32
	id        zkstore.TopicID
}

// history is what happened to an incarnation.
type history struct {
	place int32
	// committed are the records below the highest high watermark of any replica, by offset. They
	// never change and are the same on all replicas.
	committed []entry
	// acknowledgedTo is the offset up to which records were acknowledged to producers.
	acknowledgedTo record.Offset
	// promised are acknowledged records, by offset, that could not be read when they were
	// acknowledged, because the only in-sync replica's log directory failed in the same moment.
	promised map[record.Offset]string
	leaders  map[metadata.LeaderEpoch]metadata.BrokerID // by epoch
	keyed    keyed
	txns     openTxns // of a partition of transactional producers
}

func newHistory(p int32) *history {
	return &history{place: p, leaders: map[metadata.LeaderEpoch]metadata.BrokerID{},
		txns: openTxns{open: map[int64][]record.Offset{}, fates: map[record.Offset]fate{}, epochs: map[int64]int16{}}}
}

// entry is a record as clients and the checker read it.
type entry struct {
	offset    record.Offset
	name      string // unique among the records of all partitions
	epoch     metadata.LeaderEpoch
	key       string // empty: none
	tombstone bool

	producer      int64 // of a transaction; 0: none
	producerEpoch int16
	marker        txnhistory.Marker
}

func (e entry) String() string { return fmt.Sprintf("%s@%d", e.name, e.epoch) }

// entryOf returns a record of a batch. Its name is its value or, if it is a tombstone, in its only header.
func entryOf(b record.Batch, r *record.Record) entry {
	e := entry{offset: r.Offset, name: string(r.Value), epoch: b.PartitionLeaderEpoch(), key: string(r.Key), tombstone: r.Value == nil}
	if e.tombstone && len(r.Headers) == 1 {
		e.name = string(r.Headers[0].Value)
	}
	if b.IsTransactional() {
		e.producer, e.producerEpoch = b.ProducerID(), b.ProducerEpoch()
	}
	if b.IsControl() {
		e.becomesMarker(r)
	}
	return e
}

type seenKey struct {
	broker metadata.BrokerID
	life   int
	incarnation
}

// seenState is the state of a replica at the last look: the high watermark up to which it was
// compared, its leader epoch, whether it was the leader, and the log's size and directory.
type seenState struct {
	high    record.Offset
	epoch   metadata.LeaderEpoch
	leading bool
	size    int64
	dir     string
}

type partitionState struct {
	ControllerEpoch metadata.ControllerEpoch `json:"controller_epoch"`
	Leader          metadata.BrokerID        `json:"leader"`
	LeaderEpoch     metadata.LeaderEpoch     `json:"leader_epoch"`
	ISR             []metadata.BrokerID      `json:"isr"`
}

func newChecker(w *world) *checker {
	return &checker{w: w, topic: topicConfig(w), ofData: dataConfig(w), txns: newTxnLedger(), histories: map[incarnation]*history{}, seen: map[seenKey]seenState{}, held: map[replica]record.Offset{}}
}

// now returns the history of the current incarnation at a place. It is empty if there is no topic.
func (c *checker) now(p int32) *history {
	if h := c.histories[incarnation{p, c.ids[p]}]; h != nil {
		return h
	}
	return &history{}
}

// of returns the history of the incarnation to which a log belongs.
func (c *checker) of(b *broker, p int32, log *storage.Log) *history {
	h := c.histories[incarnation{p, log.TopicID()}]
	if h == nil {
		c.w.fail("broker %d has partition %d of a topic with the unknown id %x", b.id, p, log.TopicID())
		return &history{}
	}
	return h
}

// wrote checks what a session wrote to ZooKeeper.
func (c *checker) wrote(by *zkConn, ops ...zktree.Op) {
	for _, op := range ops {
		var path string
		var data []byte
		switch op := op.(type) {
		case zktree.Create:
			path, data = op.Path, op.Data
		case zktree.Set:
			path, data = op.Path, op.Data
		}
		if path == zkstore.ControllerEpochPath && len(ops) > 1 {
			c.controller = by
			c.w.say("broker %d is the controller, epoch %s", by.b.id, data)
		}
		c.topicWritten(by, op)
		for _, p := range c.w.places {
			if path == zkstore.PartitionStatePath(tp(p)) {
				c.stateWritten(by, p, data)
			}
		}
	}
}

func (c *checker) stateWritten(by *zkConn, p int32, data []byte) {
	var s partitionState
	if err := json.Unmarshal(data, &s); err != nil {
		c.w.fail("the state of partition %d is written as %q: %v", p, data, err)
		return
	}
	c.w.say("broker %d writes the state of partition %d: %s", by.b.id, p, data)
	was := c.states[p]
	c.states[p] = s
	switch {
	case by != c.controller:
		c.w.fail("broker %d wrote the state of partition %d after it was deposed", by.b.id, p)
	case s.ControllerEpoch < was.ControllerEpoch || s.LeaderEpoch < was.LeaderEpoch:
		c.w.fail("an epoch of partition %d decreased from %+v to %+v", p, was, s)
	case s.LeaderEpoch == was.LeaderEpoch && was.ISR != nil && s.Leader != was.Leader:
		c.w.fail("partition %d has two leaders in epoch %d: %d and %d", p, s.LeaderEpoch, was.Leader, s.Leader)
	case len(s.ISR) == 0 || slices.ContainsFunc(s.ISR, func(id metadata.BrokerID) bool { return id < 0 || id >= brokerCount }):
		c.w.fail("the in-sync replicas of partition %d are %v", p, s.ISR)
	case s.Leader >= 0 && !slices.Contains(s.ISR, s.Leader):
		c.w.fail("the leader %d of partition %d is not in sync: %v", s.Leader, p, s.ISR)
	}
}

// leads checks that a broker which becomes leader has all committed records.
func (c *checker) leads(b *broker, p int32, epoch metadata.LeaderEpoch) {
	log := b.logs.Log(tp(p))
	if log == nil || !b.serves(log) {
		return // it cannot serve anything
	}
	if p == brief && c.briefMarked {
		return // no leader is elected in place of one that has lost unsynced data
	}
	h := c.of(b, p, log)
	if other, known := h.leaders[epoch]; known && other != b.id {
		c.w.fail("partition %d is led by %d and %d in epoch %d", p, other, b.id, epoch)
		return
	}
	h.leaders[epoch] = b.id
	if log.TopicID() != c.ids[p] || epoch != c.states[p].LeaderEpoch || c.states[p].Leader != b.id {
		return // there is a newer leader already
	}
	end := record.Offset(len(h.committed))
	if log.Offsets().LogEnd < end {
		c.w.fail("broker %d leads partition %d in epoch %d with %d records, but %d were committed", b.id, p, epoch, log.Offsets().LogEnd, end)
		return
	}
	c.same(b, h, log, 0, end)
}

// look checks a broker's replicas and compares the records that newly became committed on them. A
// replica that lost unsynced data in a crash is compared, from the beginning of its log, only after
// it has caught up. Until then its checkpoints may exceed its log, and bytes whose truncation was
// not synced may be back.
func (c *checker) look(b *broker) {
	for _, p := range c.w.places {
		if !b.clean(p) {
			continue
		}
		c.inSync(b, p)
		partition, err := b.replicas.Partition(tp(p).Topic, tp(p).Partition)
		if err != nil {
			continue
		}
		log := partition.Log()
		if log == nil || !b.serves(log) {
			continue
		}
		h, key := c.of(b, p, log), seenKey{b.id, b.life, incarnation{p, log.TopicID()}}
		at, state := log.Offsets(), partition.State()
		seen, now := c.seen[key], seenState{at.HighWatermark, state.LeaderEpoch, state.Leading, log.Size(), log.Dir()}
		switch {
		case now.size < seen.size || now.dir != seen.dir:
			c.same(b, h, log, 0, now.high)
		case now.high > seen.high:
			c.same(b, h, log, seen.high, now.high)
		}
		switch {
		case now.high < seen.high && now.leading && seen.leading && now.epoch == seen.epoch:
			c.w.fail("the high watermark of partition %d on its leader %d decreased from %d to %d", p, b.id, seen.high, now.high)
		case now.epoch >= 0 && now.epoch < seen.epoch:
			c.w.fail("the leader epoch of partition %d on broker %d decreased from %d to %d", p, b.id, seen.epoch, now.epoch)
		}
		c.seen[key] = now
		c.holds(b, log)
		c.stable(b, h, log)
		if state.Leading && log.TopicID() == c.ids[p] && state.LeaderEpoch == c.states[p].LeaderEpoch && at.LogEnd < h.acknowledgedTo {
			c.w.fail("broker %d leads partition %d with the log end %d, but %d was acknowledged", b.id, p, at.LogEnd, h.acknowledgedTo)
		}
	}
}

// served checks a response to a follower. A leader must not serve a follower that follows it in
// another epoch, because it could count records that differ from its own.
func (c *checker) served(b *broker, f *replication.Fetch) {
	for i := range f.Partitions {
		asked := &f.Partitions[i]
		partition, err := b.replicas.Partition(asked.Topic, asked.Partition)
		if f.ReplicaID == client || err != nil || asked.Code != protocol.None {
			continue
		}
		if epoch := partition.State().LeaderEpoch; asked.CurrentLeaderEpoch != epoch {
			c.w.fail("broker %d leads %s-%d in epoch %d, and serves broker %d that follows in epoch %d", b.id, asked.Topic, asked.Partition, epoch, f.ReplicaID, asked.CurrentLeaderEpoch)
		}
	}
}

// inSync checks that a replica in the in-sync set has all committed records, because it could be
// elected.
func (c *checker) inSync(b *broker, p int32) {
	if !slices.Contains(c.states[p].ISR, b.id) || p == brief && c.briefMarked {
		return
	}
	log := b.logs.Log(tp(p))
	if log == nil || log.TopicID() != c.ids[p] || !b.serves(log) {
		return // the controller will be notified
	}
	if h := c.now(p); log.Offsets().LogEnd < record.Offset(len(h.committed)) {
		c.w.fail("broker %d is in sync with partition %d, but ends at %d, and %d records are committed", b.id, p, log.Offsets().LogEnd, len(h.committed))
	}
}

// same compares committed records on a broker, from offset from up to, but not including, offset to,
// with those seen before, and adds new ones.
func (c *checker) same(b *broker, h *history, log *storage.Log, from, to record.Offset) {
	p := place(log.TopicPartition())
	records := c.read(log, from, to)
	gaps := c.gapsOf(b, h, log, from)
	for offset := from; offset < to && c.w.err == nil; offset++ {
		n := record.Offset(len(h.committed))
		if len(records) == 0 || records[0].offset > offset {
			if offset >= n {
				c.w.fail("the high watermark of partition %d on broker %d skips offset %d", p, b.id, n)
				return
			}
			gaps.add(h.committed[offset])
			continue
		}
		switch e := records[0]; {
		case offset == n:
			h.commit(c.w, e)
			c.decided(h, e)
			h.kept(c, p, offset)
		case h.committed[offset] != e:
			c.w.fail("offset %d of partition %d is %q on broker %d, but %q was committed", offset, p, e, b.id, h.committed[offset])
			return
		}
		gaps.pass(records[0])
		records = records[1:]
	}
}

// kept checks that a record which was acknowledged before it could be read is the committed one.
func (h *history) kept(c *checker, p int32, offset record.Offset) {
	value, ok := h.promised[offset]
	if !ok {
		return
	}
	delete(h.promised, offset)
	if got := h.committed[offset].name; got != value {
		c.w.fail("%s of partition %d was acknowledged at offset %d, where %s is", value, p, offset, got)
	}
}

// read returns the records from offset from up to, but not including, offset to.
func (c *checker) read(log *storage.Log, from, to record.Offset) (records []entry) {
	c.looking = true
	defer func() { c.looking = false }()
	for offset := from; offset < to; {
		data, err := log.Read(storage.Read{Offset: offset, MaxBytes: 1 << 20, MinOneMessage: true, Bound: storage.UpToLogEnd})
		if err == nil && data.Length == 0 && c.w.cfg.Compaction {
			return records // the caller looks for gaps
		}
		if err != nil || data.Length == 0 {
			c.w.fail("%s cannot be read at %d, below %d: %v", log, offset, to, err)
			return records
		}
		before := offset
		set := make([]byte, data.Length)
		must(data.File.ReadAt(set, data.Position))
		data.Release()
		for batch, err := range record.Batches(set) {
			if err != nil {
				break
			}
			err = batch.Each(func(r *record.Record) error {
				if r.Offset >= offset && r.Offset < to {
					e := entryOf(batch, r)
					c.belongs(log, e)
					records = append(records, e)
					offset = r.Offset + 1
				}
				return nil
			})
			if err != nil {
				c.w.fail("%s holds a bad batch at %d: %v", log, batch.BaseOffset(), err)
			}
			offset = max(offset, batch.NextOffset())
		}
		if offset == before {
			c.w.fail("%s has no readable record at %d, below %d", log, offset, to)
			return records
		}
	}
	return records
}

// readElsewhere reads records that a leader committed just before its log directory failed, and
// which can no longer be read there, from another in-sync replica.
func (c *checker) readElsewhere(p int32, h *history, end record.Offset) {
	if !slices.ContainsFunc(c.w.brokers, func(b *broker) bool { return !b.intact() }) {
		return
	}
	for _, b := range c.w.brokers {
		log := b.logs.Log(tp(p))
		if b.alive && slices.Contains(c.states[p].ISR, b.id) && log != nil && b.serves(log) && log.Offsets().LogEnd >= end {
			from := record.Offset(len(h.committed))
			c.same(b, h, log, from, end)
			return
		}
	}
}

// readable reports whether some in-sync replica of the partition has no failed log directory.
func (c *checker) readable(p int32) bool {
	return slices.ContainsFunc(c.w.brokers, func(b *broker) bool {
		return slices.Contains(c.states[p].ISR, b.id) && b.intact()
	})
}

// belongs checks that a record is in a log of the incarnation for which it was produced; records
// name their incarnation.
func (c *checker) belongs(log *storage.Log, e entry) {
	value := e.name
	if e.marker != txnhistory.NoMarker || isState(place(log.TopicPartition())) {
		return
	}
	name, _, _ := strings.Cut(value, "-")
	if want := nameOf(incarnation{place(log.TopicPartition()), log.TopicID()}); name != want {
		c.w.fail("%s of the topic id %x holds %s, which was produced to another topic", log, log.TopicID(), value)
	}
}

// nameOf returns the prefix of the incarnation's records.
func nameOf(i incarnation) string {
	if i.partition == brief {
		return fmt.Sprintf("%d.%d", i.partition, i.id[len(i.id)-1])
	}
	return fmt.Sprint(i.partition)
}

// acknowledged checks an acknowledgement to a producer.
func (c *checker) acknowledged(p int32, h *history, offset record.Offset, b *batch) {
	c.w.acked++
	end := offset + record.Offset(len(b.values))
	c.w.say("acknowledged: partition %d, %v at %d", p, b.values, offset)
	if end > record.Offset(len(h.committed)) {
		c.readElsewhere(p, h, end)
	}
	if offset >= 0 && end > record.Offset(len(h.committed)) && !c.readable(p) {
		if h.promised == nil {
			h.promised = map[record.Offset]string{}
		}
		for i, value := range b.values {
			h.promised[offset+record.Offset(i)] = value
		}
		return
	}
	if offset < 0 || end > record.Offset(len(h.committed)) {
		c.w.fail("%v of partition %d was acknowledged at %d, but only %d records are committed", b.values, p, offset, len(h.committed))
		return
	}
	for i, value := range b.values {
		if got := h.committed[offset+record.Offset(i)].name; got != value {
			c.w.fail("%s of partition %d was acknowledged at offset %d, where %s is", value, p, offset+record.Offset(i), got)
		}
	}
	h.acknowledgedTo = max(h.acknowledgedTo, end)
}

// final compares the logs at the end: all replicas are the same and have everything that was
// produced, once and in order.
func (c *checker) final() {
	for _, p := range c.w.places {
		if p >= firstData {
			c.finalOfTransactions(p)
			continue
		}
		var want []string
		for _, b := range c.w.producers[p].batches {
			want = append(want, b.values...)
		}
		for _, b := range c.w.brokers {
			log := b.logs.Log(tp(p))
			h := c.of(b, p, log)
			c.same(b, h, log, 0, log.Offsets().LogEnd)
			var got []string
			for _, e := range h.committed {
				got = append(got, e.name)
			}
			if !slices.Equal(got, want) || log.Offsets().LogEnd != record.Offset(len(want)) {
				c.w.fail("partition %d of broker %d holds %v, but %v was produced", p, b.id, got, want)
			}
		}
	}
	for _, consumer := range c.w.consumers {
		c.consumedAll(consumer)
	}
	if c.w.cfg.Transactions {
		c.checkTransactions()
	}
}

// settled reports whether the cluster has recovered: everything is acknowledged and committed, and
// all replicas are in sync and complete. A follower's high watermark may be lower: if the follower
// dropped the response with the newest high watermark, because by then it followed in a new leader
// epoch, the fetch session does not send that high watermark again before there are new records
// (KIP-227; in Kafka too).
func (w *world) settled() bool {
	for _, p := range w.places {
		if !w.produced(p) || len(w.check.states[p].ISR) != brokerCount || !w.check.assignments[p].whole() {
			return false
		}
		for _, b := range w.brokers {
			if b.moving() {
				return false
			}
			log := b.logs.Log(tp(p))
			if len(w.check.now(p).promised) > 0 || log == nil || log.TopicID() != w.check.ids[p] || log.Offsets().LogEnd != record.Offset(len(w.check.now(p).committed)) {
				return false
			}
			if b.id == w.check.states[p].Leader && log.Offsets().HighWatermark != log.Offsets().LogEnd {
				return false
			}
		}
	}
	for _, c := range w.consumers {
		if c.offset < record.Offset(len(w.check.now(c.partition).committed)) {
			return false
		}
	}
	return !w.cfg.Transactions || w.transactionsEnded()
}

// produced reports whether everything that was produced to a partition is acknowledged.
func (w *world) produced(p int32) bool {
	if p >= firstData {
		return true // see transactionsEnded
	}
	producer := w.producers[p]
	if producer == nil || producer.gone || p == brief && (w.check.briefMarked || len(producer.batches) == 0) {
		return false
	}
	producer.ended = true
	return producer.acked == len(producer.batches)
}

// state describes the cluster, for failure messages.
func (w *world) state() string {
	var text strings.Builder
	for _, p := range w.places {
		fmt.Fprintf(&text, "partition %d of %x: %+v, %d committed", p, w.check.ids[p], w.check.states[p], len(w.check.now(p).committed))
		if p < firstData && w.producers[p] != nil {
			producer := w.producers[p]
			fmt.Fprintf(&text, ", %d of %d batches acknowledged", producer.acked, len(producer.batches))
		}
		for _, b := range w.brokers {
			if log := b.logs.Log(tp(p)); b.alive && log != nil {
				fmt.Fprintf(&text, "; broker %d %+v", b.id, log.Offsets())
			}
		}
		text.WriteString("\n")
	}
	for _, c := range w.consumers {
		fmt.Fprintf(&text, "a consumer of partition %d at offset %d of broker %d\n", c.partition, c.offset, c.broker)
	}
	w.stateOfTransactions(&text)
	return text.String()
}
