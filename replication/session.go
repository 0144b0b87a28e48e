package replication

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Fetch session ids and epochs with a meaning of their own (KIP-227).
const (
	noSessionID         int32 = 0
	initialSessionEpoch int32 = 0  // a full fetch that asks for a session
	finalSessionEpoch   int32 = -1 // a full fetch without one
)

// nextSessionEpoch is the epoch after e: 0 and -1 are reserved, so it wraps to 1.
func nextSessionEpoch(e int32) int32 {
	switch {
	case e < 0:
		return finalSessionEpoch
	case e == 1<<31-1:
		return 1
	}
	return e + 1
}

// sessionKey identifies a partition within a session: by topic id where the
// session uses ids (topic is empty then), else by name.
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

// sessionPartition is a partition that a session remembers: what the client
// last asked and what it was last told.
//
// It is active or at rest. A partition comes to rest when it was answered and has
// nothing more for the client: the client is at its end, without an error, and,
// if it is a follower, in sync. Rounds leave partitions at rest out. What
// happens to its Partition, a new ask, and what concerns the whole session make
// it active again.
type sessionPartition struct {
	asked PartitionAsk
	// sentHighWatermark is -1 after an error, so that the partition is sent
	// again once it is well.
	sentHighWatermark int64
	sentLogStart      int64

	order     uint64 // in which partitions are read and answered
	place     int    // in the Fetch of the session's latest round; only while active
	active    bool   // in fetchSession.active
	forgotten bool   // no longer in the session
	// partition is what change observes; nil while it is not hosted.
	partition *Partition
	change    changeEntry[sessionPartition]
	reads     int64     // rounds.reads when the partition came to rest
	presence  *presence // nil unless the session is a follower's
}

// presenceOf is the presence of p, which may be nil.
func (p *sessionPartition) presenceOf() *presence {
	if p == nil {
		return nil
	}
	return p.presence
}

// sessionReader is what answers depend on besides what is asked of a partition.
type sessionReader struct {
	version   int16
	replica   int32
	epoch     int64 // the follower's broker epoch
	committed bool
	client    ClientInfo
	// redirected: a replica selector decides where the client reads, by the
	// brokers that live.
	redirected bool
}

// sessionRounds is what partitions at rest have of their session's rounds. It is
// apart from the session so that a follower's progress does not keep that alive.
type sessionRounds struct {
	ms    atomic.Int64 // when the latest request came
	reads atomic.Int64 // how often the session's partitions were read
}

// fetchSession is one incremental fetch session. The cache's shard lock guards
// it.
type fetchSession struct {
	id         int32
	epoch      int32 // the epoch the next request must carry
	byID       bool  // topics by id (Fetch v13+)
	privileged bool  // of a follower
	createdMs  int64
	usedMs     int64
	// sizeAtUse is the number of partitions at the last use. Eviction compares it.
	sizeAtUse int
	counted   int // partitions that are in the count of all sessions
	// evictableByAll, evictableByPrivileged: whether a newcomer of the kind may
	// take this session's place. Both are found out at each use.
	evictableByAll        bool
	evictableByPrivileged bool

	closed bool // evicted, or closed by the client

	partitions map[sessionKey]*sessionPartition
	// active are the partitions that the next round reads, in order after list.
	active []*sessionPartition
	// lastOrder is the greatest order given. Partitions that returned records move
	// to the end, so that a limit on the answer's size starves none.
	lastOrder uint64
	// changes are the partitions to which something happened; it has its own lock.
	changes changeSet[sessionPartition]
	// reader and cluster are those that the partitions at rest were read for and
	// admitted under.
	reader  sessionReader
	cluster *metadata.Snapshot
	rounds  *sessionRounds
	find    func(topic string, partition int32) *Partition // hosted; nil: none is
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

// add remembers a partition that is not in the session.
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

// activate has the next round read the partition.
func (s *fetchSession) activate(p *sessionPartition) {
	if p.active {
		return
	}
	s.endRest(p)
	p.active = true
	s.active = append(s.active, p)
}

// rest leaves the partition out of rounds; the caller takes it out of active.
func (s *fetchSession) rest(p *sessionPartition) {
	p.active = false
	p.reads = s.rounds.reads.Load()
	if p.presence != nil {
		p.presence.until.Store(stillPresent)
	}
}

// endRest settles what the rounds that left the partition out were to it.
func (s *fetchSession) endRest(p *sessionPartition) {
	s.countReads(p)
	if p.presence != nil {
		p.presence.until.Store(s.rounds.ms.Load())
	}
}

// countReads counts the reads that a partition at rest was spared: its topic's
// traffic has them as if they had been made.
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

// update takes an incremental request: new and changed partitions, and those to
// forget.
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

// forget ends what the session does for a partition; list drops it from active.
func (s *fetchSession) forget(p *sessionPartition) {
	if !p.active {
		s.endRest(p)
	}
	p.change.unwatch()
	p.forgotten = true
}

// begin prepares a round at nowMs: it activates the partitions that have to be
// looked at again.
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
	// What was activated was present up to the round before.
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

// listOne appends an active partition. Its Partition is observed from now on, so
// that nothing is missed that happens after it is read.
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

// woken adds to the partitions of the round under way those to which something
// happened, and marks those among them that were there as changed.
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

// close ends the session's observing; the caller has taken it out of the cache.
// Whoever is parked answers with what there is.
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

// answer decides which results an incremental answer carries, by setting
// Omitted on the others, remembers what was told, and lets partitions rest that
// have no more to tell.
func (s *fetchSession) answer(results []PartitionFetch) {
	for i := range results {
		f := &results[i]
		p := f.member
		if p == nil || p.forgotten {
			continue // forgotten by a later request; the epoch check saw to that
		}
		f.Omitted = !p.told(f)
		if f.RecordBytes() > 0 {
			s.toEnd(p)
		}
		if p.active && p.partition != nil && p.partition == f.partition && f.exhausted() && !s.closed {
			s.rest(p)
		}
	}
	s.active = slices.DeleteFunc(s.active, func(p *sessionPartition) bool { return !p.active })
}

// told reports whether the result has news for the client, and remembers it. The
// last stable offset alone is no news.
func (p *sessionPartition) told(f *PartitionFetch) bool {
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
