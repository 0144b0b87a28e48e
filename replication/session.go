package replication

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// Fetch session ids and epochs with a special meaning (KIP-227).
const (
	noSessionID         int32 = 0
	initialSessionEpoch int32 = 0  // full fetch that asks for a session
	finalSessionEpoch   int32 = -1 // full fetch that does not ask for a session
)

// nextSessionEpoch returns the epoch after e. It wraps to 1 because 0 and -1 are reserved.
func nextSessionEpoch(e int32) int32 {
	switch {
	case e < 0:
		return finalSessionEpoch
	case e == 1<<31-1:
		return 1
	}
	return e + 1
}

// sessionKey identifies a partition within a session: by topic id, with an empty topic, if the
// session uses ids; otherwise by name.
type sessionKey struct {
	topic     string
	id        TopicID
	partition int32
}

func keyOf(f *PartitionFetch, byID bool) sessionKey {
	if byID {
		return sessionKey{id: f.TopicID, partition: f.Partition}
	}
	return sessionKey{topic: f.Topic, partition: f.Partition}
}

// sessionPartition is a partition of a session: what the client requested last and what it was sent
// last.
//
// It is active or at rest. A partition comes to rest when it was answered and there is nothing more
// to send: the client is at the end of what it may read, there is no error and, if the client is a
// follower, it is in sync. Rounds leave partitions at rest out. Events of the Partition, a new
// request, and changes that concern the whole session make it active again.
type sessionPartition struct {
	asked PartitionAsk
	// sentHighWatermark is -1 after an error, so the partition is sent again once the error is
	// gone.
	sentHighWatermark record.Offset
	sentLogStart      record.Offset

	order     uint64 // position in the order of reading and answering
	place     int    // index in the Fetch of the session's latest round; valid only while active
	active    bool   // in fetchSession.active
	forgotten bool   // no longer in the session
	// partition is the Partition that change observes; nil while it is not hosted.
	partition *Partition
	change    changeEntry[sessionPartition]
	reads     int64     // rounds.reads when the partition came to rest
	presence  *presence // nil unless the session belongs to a follower
}

// presenceOf returns the presence of p, which may be nil.
func (p *sessionPartition) presenceOf() *presence {
	if p == nil {
		return nil
	}
	return p.presence
}

// sessionReader is what a response depends on besides the requested partitions.
type sessionReader struct {
	version       int16
	replica       metadata.BrokerID
	epoch         int64 // the follower's broker epoch
	readCommitted bool
	client        ClientInfo
	// redirected: a replica selector decides where the client reads, depending on the live brokers.
	redirected bool
}

// sessionRounds holds the data about a session's rounds that its partitions at rest share. It is
// separate from the session so that a follower's progress does not keep the session in memory.
type sessionRounds struct {
	ms    atomic.Int64 // time of the latest request
	reads atomic.Int64 // number of reads of the session's partitions
}

// fetchSession is one incremental fetch session. The lock of the cache's shard guards it.
type fetchSession struct {
	id         int32
	epoch      int32 // epoch that the next request must carry
	byID       bool  // topics by id (Fetch v13+)
	privileged bool  // of a follower
	createdMs  int64
	usedMs     int64
	// sizeAtUse is the number of partitions at the last use. Eviction compares it.
	sizeAtUse int
	counted   int // partitions included in the count for all sessions
	// old: at the last use it had existed for over sessionIdleMs, so any new session may replace
	// it. One of a follower may replace a consumer's before that.
	old bool

	closed bool // evicted, or closed by the client

	partitions map[sessionKey]*sessionPartition
	// active are the partitions that the next round reads; in order after list.
	active []*sessionPartition
	// lastOrder is the largest order assigned. Partitions that returned records move to the end, so
	// a limit on the response size starves none.
	lastOrder uint64
	// changes are the partitions with events; it has its own lock.
	changes changeSet[sessionPartition]
	// reader and cluster are those for which the partitions at rest were read and admitted.
	reader  sessionReader
	cluster *metadata.Snapshot
	rounds  *sessionRounds
	find    func(topic string, partition int32) *Partition // returns a hosted partition, or nil
}

func newFetchSession(byID, privileged bool, size int, find func(string, int32) *Partition) *fetchSession {
	return &fetchSession{epoch: nextSessionEpoch(initialSessionEpoch), byID: byID, privileged: privileged,
		sizeAtUse: -1, partitions: make(map[sessionKey]*sessionPartition, size), active: make([]*sessionPartition, 0, size),
		rounds: &sessionRounds{}, find: find}
}

// toEnd puts a partition at the end of the order.
func (s *fetchSession) toEnd(p *sessionPartition) {
	s.lastOrder++
	p.order = s.lastOrder
}

// add adds a partition that is not in the session.
func (s *fetchSession) add(f *PartitionFetch) *sessionPartition {
	p := &sessionPartition{asked: f.PartitionAsk, sentHighWatermark: -1, sentLogStart: -1, active: true}
	p.change.owner, p.change.set = p, &s.changes
	if s.privileged {
		p.presence = &presence{rounds: &s.rounds.ms}
	}
	s.toEnd(p)
	s.partitions[keyOf(f, s.byID)] = p
	s.active = append(s.active, p)
	return p
}

// activate makes the next round read the partition.
func (s *fetchSession) activate(p *sessionPartition) {
	if p.active {
		return
	}
	s.endRest(p)
	p.active = true
	s.active = append(s.active, p)
}

// rest leaves the partition out of rounds. The caller must remove it from active.
func (s *fetchSession) rest(p *sessionPartition) {
	p.active = false
	p.reads = s.rounds.reads.Load()
	if p.presence != nil {
		p.presence.until.Store(stillPresent)
	}
}

// endRest accounts for the rounds that left the partition out.
func (s *fetchSession) endRest(p *sessionPartition) {
	s.countReads(p)
	if p.presence != nil {
		p.presence.until.Store(s.rounds.ms.Load())
	}
}

// countReads adds the reads that a partition at rest was spared to the counts of its topic, as if
// they had been made.
func (s *fetchSession) countReads(p *sessionPartition) {
	reads := s.rounds.reads.Load()
	p.partition.traffic.fetchRequests.Add(reads - p.reads)
	p.reads = reads
}

// settleReads counts the reads that all partitions at rest were spared.
func (s *fetchSession) settleReads() {
	for _, p := range s.partitions {
		if !p.active {
			s.countReads(p)
		}
	}
}

// update applies an incremental request: new and changed partitions, and partitions to forget.
func (s *fetchSession) update(partitions []PartitionFetch, forgotten []sessionKey) {
	for i := range partitions {
		f := &partitions[i]
		p := s.partitions[keyOf(f, s.byID)]
		if p == nil {
			s.add(f)
			continue
		}
		topic := p.asked.Topic
		p.asked = f.PartitionAsk
		if s.byID && p.asked.Topic == "" {
			p.asked.Topic = topic
		}
		s.activate(p)
	}
	for _, k := range forgotten {
		if p := s.partitions[k]; p != nil {
			s.forget(p)
			delete(s.partitions, k)
		}
	}
}

// forget ends the session's work for a partition; list removes it from active.
func (s *fetchSession) forget(p *sessionPartition) {
	if !p.active {
		s.endRest(p)
	}
	p.change.unwatch()
	p.forgotten = true
}

// begin prepares a round at nowMs: it activates the partitions that must be read again.
func (s *fetchSession) begin(reader sessionReader, cluster *metadata.Snapshot, nowMs int64) {
	switch {
	case reader != s.reader || cluster != s.cluster && reader.redirected:
		for _, p := range s.partitions {
			s.activate(p)
		}
	case cluster != s.cluster:
		for _, p := range s.partitions {
			if !p.active && cluster.Partition(p.asked.Topic, p.asked.Partition) == nil {
				s.activate(p)
			}
		}
	}
	s.reader, s.cluster = reader, cluster
	for p := s.changes.take(); p != nil; p = s.changes.take() {
		if !p.forgotten {
			s.activate(p)
		}
	}
	// Only now: partitions just activated were present up to the previous round.
	s.rounds.ms.Store(nowMs)
}

// list appends the active partitions in order.
func (s *fetchSession) list(to []PartitionFetch) []PartitionFetch {
	s.active = slices.DeleteFunc(s.active, func(p *sessionPartition) bool { return p.forgotten })
	slices.SortFunc(s.active, func(a, b *sessionPartition) int { return cmp.Compare(a.order, b.order) })
	to = slices.Grow(to, len(s.active))
	for _, p := range s.active {
		to = s.listOne(to, p)
	}
	return to
}

// listOne appends an active partition. It observes the Partition from now on, so no event after the
// read is missed.
func (s *fetchSession) listOne(to []PartitionFetch, p *sessionPartition) []PartitionFetch {
	if s.byID && p.asked.Topic == "" {
		p.asked.Topic = s.cluster.Names[p.asked.TopicID]
	}
	if p.partition == nil || p.partition.gone.Load() {
		p.change.unwatch()
		if p.partition = s.find(p.asked.Topic, p.asked.Partition); p.partition != nil {
			p.change.watch(&p.partition.waits)
		}
	}
	p.place = len(to)
	return append(to, PartitionFetch{PartitionAsk: p.asked, member: p, order: p.order, partition: p.partition})
}

// woken appends partitions with events to those of the current round, and marks as changed those
// among them that were already listed.
func (s *fetchSession) woken(to []PartitionFetch, cluster *metadata.Snapshot) []PartitionFetch {
	if s.reader.redirected && cluster != s.cluster {
		for _, p := range s.partitions {
			if !p.active {
				s.activate(p)
				to = s.listOne(to, p)
			}
		}
	}
	for p := s.changes.take(); p != nil; p = s.changes.take() {
		switch {
		case p.forgotten:
		case p.active:
			to[p.place].changed = true
		default:
			s.activate(p)
			to = s.listOne(to, p)
			to[p.place].changed = true
		}
	}
	return to
}

// close stops observing the partitions. The caller must have removed the session from the cache. A
// parked request is answered with what is available.
func (s *fetchSession) close() {
	s.closed = true
	for _, p := range s.partitions {
		if !p.active {
			s.endRest(p)
		}
		p.change.unwatch()
	}
	s.changes.notify()
}

// answer decides which results an incremental response contains and sets Omitted on the others. It
// remembers what was sent and lets partitions with nothing more to send rest.
func (s *fetchSession) answer(results []PartitionFetch) {
	for i := range results {
		f := &results[i]
		p := f.member
		if p == nil || p.forgotten {
			continue // forgotten by a later request; the epoch check rejects this response
		}
		f.Omitted = !p.noteSent(f)
		if f.RecordBytes() > 0 {
			s.toEnd(p)
		}
		if p.active && p.partition != nil && p.partition == f.partition && f.exhausted() && !s.closed {
			s.rest(p)
		}
	}
	s.active = slices.DeleteFunc(s.active, func(p *sessionPartition) bool { return !p.active })
}

// noteSent reports whether the result has anything that the client has not been sent yet, and
// remembers it as sent. A change of the last stable offset alone does not count.
func (p *sessionPartition) noteSent(f *PartitionFetch) bool {
	news := f.RecordBytes() > 0 || f.PreferredReadReplica >= 0 || f.HasDiverged || f.Code != protocol.None
	if p.sentHighWatermark != f.HighWatermark {
		p.sentHighWatermark = f.HighWatermark
		news = true
	}
	if p.sentLogStart != f.LogStart {
		p.sentLogStart = f.LogStart
		news = true
	}
	if f.Code != protocol.None {
		p.sentHighWatermark = -1
	}
	return news
}
