package simulation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/zkserver/tree"
	"github.com/monedula/monedula/zkstore"
)

// checker knows what must hold and looks after every event.
type checker struct {
	w     *world
	topic *settings.Topic

	// committed are the records below any replica's high watermark, by partition
	// and offset. They are the same everywhere and for ever.
	committed [partitionCount][]string
	// acknowledged is the offset up to which producers were told.
	acknowledgedTo [partitionCount]int64
	seen           map[seenKey]seenState
	leaders        map[leaderKey]int32
	states         [partitionCount]partitionState // as in ZooKeeper
	assignments    [partitionCount]assignment     // the same
	controller     *zkConn                        // whose term it is
}

type seenKey struct {
	broker    int32
	life      int
	partition int32
}

// seenState is a replica's state at the last look: the high watermark up to
// which it was compared, and the epoch it led in, -1 for a follower.
type seenState struct {
	high int64
	led  int32
}

type leaderKey struct{ partition, epoch int32 }

type partitionState struct {
	ControllerEpoch int32   `json:"controller_epoch"`
	Leader          int32   `json:"leader"`
	LeaderEpoch     int32   `json:"leader_epoch"`
	ISR             []int32 `json:"isr"`
}

func newChecker(w *world) *checker {
	return &checker{w: w, topic: topicConfig(), seen: map[seenKey]seenState{}, leaders: map[leaderKey]int32{}}
}

func tp(partition int32) replication.TopicPartition {
	return replication.TopicPartition{Topic: topicName, Partition: partition}
}

// wrote judges what a session wrote to ZooKeeper.
func (c *checker) wrote(by *zkConn, ops ...tree.Op) {
	for _, op := range ops {
		var path string
		var data []byte
		switch op := op.(type) {
		case tree.Create:
			path, data = op.Path, op.Data
		case tree.Set:
			path, data = op.Path, op.Data
		default:
			continue
		}
		if path == zkstore.ControllerEpochPath && len(ops) > 1 {
			c.controller = by
			c.w.say("broker %d is the controller, epoch %s", by.b.id, data)
		}
		if path == zkstore.TopicPath(topicName) {
			c.assigned(data)
		}
		for p := range int32(partitionCount) {
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
		c.w.fail("an epoch of partition %d went back from %+v to %+v", p, was, s)
	case s.LeaderEpoch == was.LeaderEpoch && was.ISR != nil && s.Leader != was.Leader:
		c.w.fail("partition %d has two leaders in epoch %d: %d and %d", p, s.LeaderEpoch, was.Leader, s.Leader)
	case len(s.ISR) == 0 || slices.ContainsFunc(s.ISR, func(id int32) bool { return id < 0 || id >= brokerCount }):
		c.w.fail("the in-sync replicas of partition %d are %v", p, s.ISR)
	case s.Leader >= 0 && !slices.Contains(s.ISR, s.Leader):
		c.w.fail("the leader %d of partition %d is not in sync: %v", s.Leader, p, s.ISR)
	}
}

// leads judges a broker that starts to lead: it has all that was committed.
func (c *checker) leads(b *broker, p, epoch int32) {
	if other, known := c.leaders[leaderKey{p, epoch}]; known && other != b.id {
		c.w.fail("partition %d is led by %d and %d in epoch %d", p, other, b.id, epoch)
		return
	}
	c.leaders[leaderKey{p, epoch}] = b.id
	if epoch != c.states[p].LeaderEpoch || c.states[p].Leader != b.id {
		return // it has been succeeded already
	}
	log := b.logs.Log(tp(p))
	records := c.read(log, 0, log.Offsets().LogEnd)
	if len(records) < len(c.committed[p]) {
		c.w.fail("broker %d leads partition %d in epoch %d with %d records, but %d were committed", b.id, p, epoch, len(records), len(c.committed[p]))
		return
	}
	c.same(b, p, 0, records[:len(c.committed[p])])
}

// look compares what has newly become committed on the broker. A replica that
// lost unsynced data in a crash is looked at, from its log's beginning, when it
// has caught up: until then its checkpoints say more than its log holds, and bytes
// that were truncated but not synced may be back.
func (c *checker) look(b *broker) {
	for p := range int32(partitionCount) {
		if !b.clean(p) {
			continue
		}
		partition, err := b.replicas.Partition(topicName, p)
		if err != nil {
			continue
		}
		log := partition.Log()
		if log == nil {
			continue
		}
		key := seenKey{b.id, b.life, p}
		at, state := log.Offsets(), partition.State()
		seen, now := c.seen[key], seenState{at.HighWatermark, -1}
		if state.Leading {
			now.led = state.LeaderEpoch
		}
		switch {
		case now.high > seen.high:
			c.same(b, p, seen.high, c.read(log, seen.high, now.high))
		case now.high < seen.high && now.led >= 0 && now.led == seen.led:
			c.w.fail("the high watermark of partition %d on its leader %d went back from %d to %d", p, b.id, seen.high, now.high)
		}
		c.seen[key] = now
		if state.Leading && state.LeaderEpoch == c.states[p].LeaderEpoch && at.LogEnd < c.acknowledgedTo[p] {
			c.w.fail("broker %d leads partition %d with the log end %d, but %d was acknowledged", b.id, p, at.LogEnd, c.acknowledgedTo[p])
		}
	}
}

// same compares records that a broker holds for committed with those that
// others do, and adds new ones.
func (c *checker) same(b *broker, p int32, from int64, records []string) {
	for i, value := range records {
		offset := from + int64(i)
		switch n := int64(len(c.committed[p])); {
		case offset == n:
			c.committed[p] = append(c.committed[p], value)
		case offset > n:
			c.w.fail("the high watermark of partition %d on broker %d leaves out offset %d", p, b.id, n)
			return
		case c.committed[p][offset] != value:
			c.w.fail("offset %d of partition %d is %q on broker %d, but %q was committed", offset, p, value, b.id, c.committed[p][offset])
			return
		}
	}
}

// read lists the values of records below to, from an offset on.
func (c *checker) read(log *storage.Log, from, to int64) (values []string) {
	for offset := from; offset < to; {
		data, err := log.Read(storage.Read{Offset: offset, MaxBytes: 1 << 20, MinOneMessage: true, Bound: storage.UpToLogEnd})
		if err != nil || data.Length == 0 {
			c.w.fail("%s cannot be read at %d, below %d: %v", log, offset, to, err)
			return values
		}
		before := offset
		set := make([]byte, data.Length)
		must(data.File.ReadAt(set, data.Position))
		data.Release()
		for {
			batch, rest, err := record.Next(set)
			if err != nil || batch == nil {
				break
			}
			err = batch.Each(func(r *record.Record) error {
				if r.Offset >= offset && r.Offset < to {
					values = append(values, fmt.Sprintf("%s@%d", r.Value, batch.PartitionLeaderEpoch()))
				}
				return nil
			})
			if err != nil {
				c.w.fail("%s holds a bad batch at %d: %v", log, batch.BaseOffset(), err)
			}
			offset, set = max(offset, batch.NextOffset()), rest
		}
		if offset == before {
			c.w.fail("%s has nothing that can be read at %d, below %d", log, offset, to)
			return values
		}
	}
	return values
}

// acknowledged judges what a producer was told.
func (c *checker) acknowledged(p int32, offset int64, b *batch) {
	end := offset + int64(len(b.values))
	c.w.say("acknowledged: partition %d, %v at %d", p, b.values, offset)
	if offset < 0 || end > int64(len(c.committed[p])) {
		c.w.fail("%v of partition %d was acknowledged at %d, but only %d records are committed", b.values, p, offset, len(c.committed[p]))
		return
	}
	for i, value := range b.values {
		if got, _, _ := strings.Cut(c.committed[p][offset+int64(i)], "@"); got != value {
			c.w.fail("%s of partition %d was acknowledged at offset %d, where %s is", value, p, offset+int64(i), got)
		}
	}
	c.acknowledgedTo[p] = max(c.acknowledgedTo[p], end)
}

// final compares the logs at the end: all replicas have the same, and in it is
// all that was produced, once and in order.
func (c *checker) final() {
	for p := range int32(partitionCount) {
		var want []string
		for _, b := range c.w.producers[p].batches {
			want = append(want, b.values...)
		}
		for _, b := range c.w.brokers {
			log := b.logs.Log(tp(p))
			records := c.read(log, 0, log.Offsets().LogEnd)
			c.same(b, p, 0, records)
			var got []string
			for _, r := range records {
				value, _, _ := strings.Cut(r, "@")
				got = append(got, value)
			}
			if !slices.Equal(got, want) {
				c.w.fail("partition %d of broker %d holds %v, but %v was produced", p, b.id, got, want)
			}
		}
	}
}

// settled says whether all has recovered: everything is acknowledged and
// committed, and all replicas are in sync and have all. A follower may know of a
// lower high watermark: where it gave up an answer that told the newest, since
// its leader had a new epoch, the fetch session does not tell it again before
// there are new records (KIP-227; in Kafka too).
func (w *world) settled() bool {
	for p := range int32(partitionCount) {
		producer := w.producers[p]
		producer.ended = true
		if producer.acked < len(producer.batches) || len(w.check.states[p].ISR) != brokerCount || !w.check.assignments[p].whole() {
			return false
		}
		for _, b := range w.brokers {
			log := b.logs.Log(tp(p))
			if log == nil || log.Offsets().LogEnd != int64(len(w.check.committed[p])) {
				return false
			}
			if b.id == w.check.states[p].Leader && log.Offsets().HighWatermark != log.Offsets().LogEnd {
				return false
			}
		}
	}
	return true
}

// state is what the cluster looks like, for a report.
func (w *world) state() string {
	var text strings.Builder
	for p := range int32(partitionCount) {
		fmt.Fprintf(&text, "partition %d: %+v, %d committed, %d of %d batches acknowledged", p, w.check.states[p], len(w.check.committed[p]),
			w.producers[p].acked, len(w.producers[p].batches))
		for _, b := range w.brokers {
			if log := b.logs.Log(tp(p)); b.alive && log != nil {
				fmt.Fprintf(&text, "; broker %d %+v", b.id, log.Offsets())
			}
		}
		text.WriteString("\n")
	}
	return text.String()
}
