package replication

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

// twins are two brokers that undergo the same events. The sessions of the second leave no partition
// out of a round, so it notices everything. The first must give the same responses.
type twins struct {
	t     *testing.T
	r     *rand.Rand
	both  [2]*hostOfMany
	parts []twinPartition
	known map[int32]bool // live brokers
	all   []*twinReader
	looks [2]int // number of partitions looked at
	steps []string
}

// twinPartition is the controller's view of a partition.
type twinPartition struct {
	epoch  metadata.LeaderEpoch
	leader int32
	gone   bool // deleted
	hidden bool // not in the metadata
	open   bool // a transaction is open
	seq    int32
}

// twinReader is a client with one fetch session on each twin.
type twinReader struct {
	name      string
	replica   metadata.BrokerID
	committed bool
	rack      string
	id        [2]int32
	epoch     int32
	asked     map[int32]PartitionAsk
	offsets   []record.Offset
	fetch     [2]*Fetch
	parked    [2]*Parked
}

const twinPartitions = 8

func newTwins(t *testing.T, seed uint64) *twins {
	w := &twins{t: t, r: rand.New(rand.NewPCG(seed, 1)), parts: make([]twinPartition, twinPartitions), known: map[int32]bool{ourID: true, 2: true, 3: true}}
	for i := range w.both {
		w.both[i] = newHostOfMany(t, 0, ourID, func(o *Options) {
			if seed%2 == 0 {
				rack := "east"
				o.SelectorClass, o.Rack = RackAwareSelector, &rack
			}
		})
	}
	w.updateMetadata()
	for p := range int32(twinPartitions) {
		w.role(p, ourID, 2, 3)
	}
	for _, x := range []*twinReader{{name: "follower 2", replica: 2}, {name: "follower 3", replica: 3}, {name: "consumer", replica: -1},
		{name: "committed consumer", replica: -1, committed: true, rack: "west"}} {
		x.asked, x.offsets = map[int32]PartitionAsk{}, make([]record.Offset, twinPartitions)
		w.all = append(w.all, x)
	}
	return w
}

func (w *twins) each(f func(b *hostOfMany)) {
	for _, b := range w.both {
		f(b)
	}
}

func (w *twins) updateMetadata() {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 8, 1, 1, -1
	for id := range w.known {
		live := kmsg.NewUpdateMetadataRequestLiveBroker()
		rack := "west"
		live.ID, live.Rack = id, &rack
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.Host, e.Port, e.ListenerName = "h", 9092, "PLAINTEXT"
		live.Endpoints = append(live.Endpoints, e)
		req.LiveBrokers = append(req.LiveBrokers, live)
	}
	topic := kmsg.NewUpdateMetadataRequestTopicState()
	topic.Topic, topic.TopicID = testTopic, testTopicID
	for i, p := range w.parts {
		s := kmsg.NewUpdateMetadataRequestTopicPartition()
		s.Partition, s.Leader, s.Replicas, s.ISR = int32(i), p.leader, []int32{ourID, 2, 3}, []int32{ourID, 2, 3}
		if p.hidden {
			s.Leader = -2
		}
		topic.PartitionStates = append(topic.PartitionStates, s)
	}
	req.TopicStates = append(req.TopicStates, topic)
	w.each(func(b *hostOfMany) { b.UpdateMetadata(req, 1) })
}

// role starts a new leader epoch; isr are the in-sync replicas besides the leader.
func (w *twins) role(p, leader int32, isr ...int32) {
	x := &w.parts[p]
	x.epoch++
	x.leader, x.gone = leader, false
	if x.epoch > 1 && leader == ourID {
		x.open = false
	}
	w.each(func(b *hostOfMany) {
		takeRoles(w.t, b.Manager, roleOf(p, leader, int32(x.epoch), []int32{ourID, 2, 3}, append([]int32{leader}, isr...)...))
	})
}

// partition calls f with a partition of each twin, if it is hosted and healthy.
func (w *twins) partition(p int32, f func(b *hostOfMany, p *Partition)) {
	w.each(func(b *hostOfMany) {
		if x := b.hosted.get(testTopic, p); x != nil && x.Log() != nil {
			f(b, x)
		}
	})
}

func (w *twins) append(p int32) {
	x := &w.parts[p]
	if x.leader != ourID {
		w.replicate(p)
		return
	}
	acks := int16(1)
	options := func(*record.Options) {}
	if w.r.IntN(4) == 0 {
		options = func(o *record.Options) {
			o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = 7, 0, x.seq, true
		}
	}
	n := 1 + w.r.IntN(3)
	set := batch(w.t, n, options)
	w.partition(p, func(b *hostOfMany, p *Partition) {
		a, err := p.append(storage.Append{Records: bytes.Clone(set), Origin: record.FromClient, BatchRequired: true}, acks, b.clock)
		if err == nil {
			p.wakeAppended(a)
			if b == w.both[0] && len(set) > 0 && a.LastOffset >= a.FirstOffset {
				if first, _, _ := record.Next(set); first.ProducerID() == 7 {
					x.open, x.seq = true, x.seq+int32(n)
				}
			}
		}
	})
}

func (w *twins) endTransaction(p int32) {
	x := &w.parts[p]
	kind := record.Commit
	if w.r.IntN(2) == 0 {
		kind = record.Abort
	}
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch = 7, 0
	marker, err := record.EndTxnMarker(o, kind, 0, w.both[0].clock.UnixMilli())
	if err != nil {
		w.t.Fatal(err)
	}
	x.open = false
	w.partition(p, func(b *hostOfMany, p *Partition) { _, _ = p.AppendAsLeader(bytes.Clone(marker), nil, 1) })
}

// replicate copies records from the leader, as a fetcher does.
func (w *twins) replicate(p int32) {
	x := &w.parts[p]
	n, high := 1+w.r.IntN(3), record.Offset(w.r.IntN(40))
	truncate := w.r.IntN(4) == 0
	w.partition(p, func(b *hostOfMany, p *Partition) {
		if truncate {
			_ = p.truncate(max(0, p.log.Offsets().HighWatermark, p.log.Offsets().LogEnd-2), x.epoch)
		}
		end := p.log.Offsets().LogEnd
		set := batch(w.t, n, func(o *record.Options) { o.BaseOffset, o.LeaderEpoch = end, x.epoch })
		if done, err := p.appendFetched(set, end, x.epoch, high, 0); err == nil {
			p.waits.wake(done.events)
		}
	})
}

// happen performs one random event and returns its description.
func (w *twins) happen() string {
	p := int32(w.r.IntN(twinPartitions))
	x := &w.parts[p]
	switch n := w.r.IntN(100); {
	case n < 40:
		w.append(p)
		return fmt.Sprint("append to ", p)
	case n < 45:
		w.endTransaction(p)
		return fmt.Sprint("end the transaction in ", p)
	case n < 52:
		w.role(p, ourID, [][]int32{{2, 3}, {2}, {3}, {}}[w.r.IntN(4)]...)
		return fmt.Sprintf("lead %d in epoch %d", p, x.epoch)
	case n < 55:
		w.role(p, 2, 1, 3)
		return fmt.Sprintf("follow in %d in epoch %d", p, x.epoch)
	case n < 62:
		offset, byClient := record.Offset(w.r.IntN(30)), w.r.IntN(2) == 0
		w.partition(p, func(b *hostOfMany, p *Partition) {
			if !byClient || !p.State().Leading {
				_ = p.log.IncrementLogStart(min(offset, p.log.Offsets().HighWatermark)) // as retention does
			} else if _, _, err := p.deleteRecords(min(offset, p.log.Offsets().HighWatermark)); err == nil {
				p.waits.wake(lowWatermarkMoved)
			}
		})
		return fmt.Sprintf("raise the log start of %d", p)
	case n < 66:
		id := int32(2 + w.r.IntN(2))
		if w.known[id] {
			delete(w.known, id)
		} else {
			w.known[id] = true
		}
		w.updateMetadata()
		return fmt.Sprintf("broker %d comes or goes", id)
	case n < 69:
		x.hidden = !x.hidden
		w.updateMetadata()
		return fmt.Sprintf("%d is hidden: %t", p, x.hidden)
	case n < 72:
		if x.gone {
			w.role(p, ourID, 2, 3)
			return fmt.Sprint("create again ", p)
		}
		x.gone, x.open, x.seq = true, false, 0
		req := kmsg.NewPtrStopReplicaRequest()
		req.Version, req.ControllerEpoch, req.BrokerEpoch = 3, 1, -1
		topic := kmsg.NewStopReplicaRequestTopic()
		topic.Topic = testTopic
		s := kmsg.NewStopReplicaRequestTopicPartitionState()
		s.Partition, s.LeaderEpoch, s.Delete = p, int32(metadata.EpochDuringDelete), true
		topic.PartitionStates = append(topic.PartitionStates, s)
		req.Topics = append(req.Topics, topic)
		w.each(func(b *hostOfMany) { b.StopReplica(req, 1) })
		return fmt.Sprint("delete ", p)
	case n < 73 && w.r.IntN(5) == 0:
		w.each(func(b *hostOfMany) {
			if b.hosted.get(testTopic, p) != nil {
				b.markOffline(TopicPartition{Topic: testTopic, Partition: p})
			}
		})
		return fmt.Sprint("offline ", p)
	case n < 82:
		by := time.Duration(w.r.IntN(25000)) * time.Millisecond
		w.each(func(b *hostOfMany) { b.clock = b.clock.Add(by) })
		return fmt.Sprint("time passes ", by)
	case n < 86:
		w.each(func(b *hostOfMany) { b.ShrinkISRs() })
		return "shrink"
	case n < 96:
		refuse := w.r.IntN(4) == 0
		w.each(func(b *hostOfMany) {
			if b.isr.open() == 0 {
				return
			}
			if refuse {
				b.isr.answer(ISRAnswer{Err: protocol.IneligibleReplica})
			} else {
				b.isr.grant()
			}
		})
		return "answer a change of the in-sync replicas"
	default:
		limit, list := NoQuota, ""
		if w.r.IntN(2) == 0 {
			limit, list = 10, "*"
		}
		c, err := testSettings(w.t).Topic(map[string]string{"leader.replication.throttled.replicas": list})
		if err != nil {
			w.t.Fatal(err)
		}
		w.each(func(b *hostOfMany) {
			b.SetRates(Rates{Leader: limit, Follower: NoQuota, Moves: NoQuota})
			b.configure(c)
		})
		return fmt.Sprint("throttle ", list)
	}
}

func (b *hostOfMany) configure(c *settings.Topic) { b.logs.SetTopicConfig(testTopic, c) }

// begin sends a reader's next request to both twins.
func (w *twins) begin(x *twinReader) {
	if w.r.IntN(40) == 0 {
		x.epoch = 0
	}
	if x.epoch == 0 {
		clear(x.asked)
	}
	var forgotten []int32
	var asks []PartitionAsk
	for p := range int32(twinPartitions) {
		if _, has := x.asked[p]; has && x.epoch > 0 && len(x.asked) > 1 && w.r.IntN(30) == 0 {
			delete(x.asked, p)
			forgotten = append(forgotten, p)
			continue
		}
		ask := PartitionAsk{Topic: testTopic, TopicID: testTopicID, Partition: p, FetchOffset: x.offsets[p], MaxBytes: 1 << 20,
			LogStartOffset: -1, CurrentLeaderEpoch: w.parts[p].epoch, LastFetchedEpoch: -1}
		if w.r.IntN(60) == 0 {
			ask.CurrentLeaderEpoch += metadata.LeaderEpoch(w.r.IntN(3)) - 1
		}
		if w.r.IntN(60) == 0 {
			ask.TopicID[15]++
		}
		if x.replica >= 0 {
			ask.LogStartOffset = min(x.offsets[p], record.Offset(w.r.IntN(2)))
		}
		if w.r.IntN(4) > 0 {
			ask.LastFetchedEpoch = max(1, w.parts[p].epoch-metadata.LeaderEpoch(w.r.IntN(2)))
		}
		old, has := x.asked[p]
		if has && ask != old && w.r.IntN(3) == 0 || !has && len(x.asked) > 1 && w.r.IntN(2) == 0 {
			continue // left out of this request
		}
		if has && w.r.IntN(30) > 0 { // keep the existing request except the offset and the epoch
			old.FetchOffset, old.CurrentLeaderEpoch = ask.FetchOffset, ask.CurrentLeaderEpoch
			ask = old
		}
		if !has || ask != x.asked[p] {
			x.asked[p] = ask
			asks = append(asks, ask)
		}
	}
	replicaEpoch, minBytes := int64(w.r.IntN(30)/29), int32(1+w.r.IntN(4)/3*200)
	var codes [2]protocol.ErrorCode
	var answered [2]bool
	for i, b := range w.both {
		f := b.NewFetch()
		f.Version, f.ReplicaID, f.ReplicaEpoch, f.ReadCommitted = 17, x.replica, replicaEpoch, x.committed
		f.Client = ClientInfo{Listener: "PLAINTEXT", Rack: x.rack}
		f.SessionID, f.SessionEpoch = x.id[i], x.epoch
		f.MinBytes, f.MaxBytes, f.MaxWait = minBytes, 1<<20, time.Hour
		for _, ask := range asks {
			f.Ask(ask)
		}
		for _, p := range forgotten {
			f.Forget(testTopic, testTopicID, p)
		}
		if i == 1 {
			b.leaveNothingOut()
		}
		codes[i] = f.Begin()
		cluster := b.Metadata()
		for j := range f.Partitions {
			if p := &f.Partitions[j]; cluster.Partition(p.Topic, p.Partition) == nil {
				p.Refuse(protocol.UnknownTopicOrPartition)
			}
		}
		x.fetch[i], x.parked[i] = f, nil
		if codes[i] == protocol.None {
			x.parked[i] = f.Park()
		}
		answered[i] = x.parked[i] == nil
	}
	if codes[0] != codes[1] || answered[0] != answered[1] {
		w.fail("%s: codes %v, answered %v", x.name, codes, answered)
	}
	if codes[0] != protocol.None {
		for i := range w.both {
			x.fetch[i].Release()
		}
		x.epoch, x.fetch, x.parked = 0, [2]*Fetch{}, [2]*Parked{}
	}
}

// leaveNothingOut makes the next round of every session read all its partitions.
func (b *hostOfMany) leaveNothingOut() {
	for i := range b.sessions.shards {
		shard := &b.sessions.shards[i]
		shard.mu.Lock()
		for _, session := range shard.sessions {
			for _, p := range session.partitions {
				session.activate(p)
			}
		}
		shard.mu.Unlock()
	}
}

// woken reports whether a reader's parked fetch can be answered.
func (w *twins) woken(x *twinReader) bool {
	if x.parked[0] == nil {
		return true
	}
	var woken [2]bool
	for i := range woken {
		woken[i] = x.parked[i].Woken()
	}
	if woken[0] != woken[1] {
		w.fail("%s: woken %v", x.name, woken)
	}
	return woken[0]
}

// finish compares the responses to a reader's round and applies them.
func (w *twins) finish(x *twinReader) {
	var answers [2][]string
	var codes [2]protocol.ErrorCode
	for i, f := range x.fetch {
		if x.parked[i] != nil {
			f.Unpark(x.parked[i])
		}
		w.looks[i] += len(f.Partitions)
		x.id[i], codes[i] = f.Finish()
		for j := range f.Partitions {
			if p := &f.Partitions[j]; !p.Omitted {
				answers[i] = append(answers[i], fmt.Sprint(p.Partition, p.Code, p.Bare, p.Refused, p.HasDiverged, p.Diverged, p.PreferredReadReplica,
					p.HighWatermark, p.LastStable, p.LogStart, p.Data.Length, p.AbortedListed, len(p.Data.Aborted)))
			}
		}
	}
	if codes[0] != codes[1] || !slices.Equal(answers[0], answers[1]) {
		w.fail("%s is answered\n%s %q\nbut where no partition is left out\n%s %q", x.name, codes[0], answers[0], codes[1], answers[1])
	}
	w.compareWithFullFetch(x)
	f := x.fetch[1]
	for j := range f.Partitions {
		p := &f.Partitions[j]
		switch at := &x.offsets[p.Partition]; {
		case p.HasDiverged:
			*at = record.Offset(max(0, p.Diverged.EndOffset))
		case p.Code == protocol.OffsetOutOfRange:
			if part := w.both[1].hosted.get(testTopic, p.Partition); part != nil && part.Log() != nil {
				*at = part.Log().Offsets().LogStart
			}
		case p.RecordBytes() > 0 && w.r.IntN(5) > 0:
			*at = p.HighWatermark
			if x.committed {
				*at = p.LastStable
			}
			if x.replica >= 0 {
				*at = p.leaderEnd
			}
		}
	}
	for i := range w.both {
		x.fetch[i].Release()
	}
	x.fetch, x.parked = [2]*Fetch{}, [2]*Parked{}
	x.epoch++
	if codes[0] != protocol.None || x.id[0] == noSessionID {
		x.epoch = 0
	}
}

// compareWithFullFetch checks that a consumer's session has left out only partitions for which a
// fetch without a session returns nothing new.
func (w *twins) compareWithFullFetch(x *twinReader) {
	if x.replica >= 0 || x.epoch == 0 || x.parked[0] == nil { // otherwise it was read before the latest events
		return
	}
	returned := map[int32]bool{}
	for i := range x.fetch[0].Partitions {
		returned[x.fetch[0].Partitions[i].Partition] = true
	}
	var left []PartitionAsk
	for p, ask := range x.asked {
		if !returned[p] {
			left = append(left, ask)
		}
	}
	for _, b := range w.both {
		f := b.NewFetch()
		f.Version, f.ReplicaID, f.SessionEpoch, f.ReadCommitted, f.Client = 17, -1, finalSessionEpoch, x.committed, x.fetch[0].Client
		f.MinBytes, f.MaxBytes = 1, 1<<20
		for _, ask := range left {
			f.Ask(ask)
		}
		if code := f.Begin(); code != protocol.None {
			w.fail("a full fetch: %s", code)
		}
		f.Read()
		for i := range f.Partitions {
			if p := &f.Partitions[i]; !p.exhausted() {
				w.fail("%s got nothing for partition %d, but a full fetch finds %s, %d bytes, %+v", x.name, p.Partition, p.Code, p.RecordBytes(), p)
			}
		}
		f.Release()
	}
}

// compare checks that both brokers have the same state.
func (w *twins) compare() {
	var known [2][]string
	for i, b := range w.both {
		all := b.Partitions()
		slices.SortFunc(all, func(a, b *Partition) int { return int(a.id.Partition - b.id.Partition) })
		for _, p := range all {
			text := fmt.Sprint(p.id.Partition, p.State())
			if log := p.Log(); log != nil {
				text += fmt.Sprint(log.Offsets())
			}
			for _, f := range p.followers {
				now := f.current()
				now.presence = nil
				text += fmt.Sprintf(" %d %+v", f.id, now)
			}
			known[i] = append(known[i], text)
		}
		known[i] = append(known[i], fmt.Sprint(b.isr.changes))
	}
	if !slices.Equal(known[0], known[1]) {
		w.fail("the broker knows\n%q\nbut where no partition is left out\n%q", known[0], known[1])
	}
}

func (w *twins) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\nafter %q", fmt.Sprintf(format, args...), w.steps[max(0, len(w.steps)-15):])
}

// open returns the number of pending changes.
func (r *isrRecorder) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending)
}

// A session that leaves partitions out of its rounds must give the same responses as one that reads
// them all, whatever happens, and its leader must know the same about the followers.
func TestSessionsThatSkipPartitionsGiveTheSameResponses(t *testing.T) {
	var looks [2]int
	for seed := range uint64(24) {
		w := newTwins(t, seed)
		for range 400 {
			x := w.all[w.r.IntN(len(w.all))]
			switch {
			case x.fetch[0] == nil:
				w.steps = append(w.steps, x.name+" asks")
				w.begin(x)
			case w.r.IntN(3) == 0 || w.woken(x):
				w.steps = append(w.steps, x.name+" is answered")
				w.finish(x)
			}
			if w.r.IntN(4) == 0 {
				w.steps = append(w.steps, w.happen())
			}
			w.compare()
		}
		for _, x := range w.all {
			if x.fetch[0] != nil {
				w.finish(x)
			}
		}
		var traffic [2]map[string]TrafficCounts
		for i, b := range w.both {
			_, traffic[i] = b.Traffic()
			looks[i] += w.looks[i]
		}
		if !reflect.DeepEqual(traffic[0], traffic[1]) {
			t.Errorf("seed %d: traffic %+v, but %+v if no partition is left out", seed, traffic[0], traffic[1])
		}
	}
	if looks[0] >= looks[1]*9/10 {
		t.Errorf("%d partitions were looked at, of %d in the sessions", looks[0], looks[1])
	}
	t.Logf("%d partitions were looked at, of %d in the sessions", looks[0], looks[1])
}
