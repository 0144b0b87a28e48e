package replication

import (
	"slices"

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
type sessionPartition struct {
	asked PartitionAsk
	// sentHighWatermark is -1 after an error, so that the partition is sent
	// again once it is well.
	sentHighWatermark int64
	sentLogStart      int64

	prev, next *sessionPartition
}

// fetchSession is one incremental fetch session. It is a plain value machine;
// the cache's shard lock guards it.
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

	partitions map[sessionKey]*sessionPartition
	// order is a ring through a sentinel, in which partitions are read and
	// answered: those that returned records move to the end, so that a limit on
	// the answer's size starves none.
	order sessionPartition
}

func newFetchSession(byID, privileged bool, size int) *fetchSession {
	s := &fetchSession{epoch: nextSessionEpoch(initialSessionEpoch), byID: byID, privileged: privileged,
		sizeAtUse: -1, partitions: make(map[sessionKey]*sessionPartition, size)}
	s.order.prev, s.order.next = &s.order, &s.order
	return s
}

func (s *fetchSession) append(p *sessionPartition) {
	p.prev, p.next = s.order.prev, &s.order
	p.prev.next, s.order.prev = p, p
}

func (p *sessionPartition) unlink() {
	p.prev.next, p.next.prev = p.next, p.prev
	p.prev, p.next = nil, nil
}

// add remembers a partition that is not in the session.
func (s *fetchSession) add(f *PartitionFetch) *sessionPartition {
	p := &sessionPartition{asked: f.PartitionAsk, sentHighWatermark: -1, sentLogStart: -1}
	s.partitions[keyOf(f, s.byID)] = p
	s.append(p)
	return p
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
	}
	for _, k := range forgotten {
		if p := s.partitions[k]; p != nil {
			p.unlink()
			delete(s.partitions, k)
		}
	}
}

// list appends all partitions in order. resolve gives the name of a topic id
// that had none so far.
func (s *fetchSession) list(to []PartitionFetch, resolve func(TopicID) string) []PartitionFetch {
	to = slices.Grow(to, len(s.partitions))
	for p := s.order.next; p != &s.order; p = p.next {
		if s.byID && p.asked.Topic == "" {
			p.asked.Topic = resolve(p.asked.TopicID)
		}
		to = append(to, PartitionFetch{PartitionAsk: p.asked})
	}
	return to
}

// answer decides which results an incremental answer carries, by setting
// Omitted on the others, and remembers what was told.
func (s *fetchSession) answer(results []PartitionFetch) {
	for i := range results {
		f := &results[i]
		p := s.partitions[keyOf(f, s.byID)]
		if p == nil {
			continue // forgotten by a later request; the epoch check saw to that
		}
		f.Omitted = !p.told(f)
		if f.RecordBytes() > 0 {
			p.unlink()
			s.append(p)
		}
	}
}

// told says whether the result has news for the client, and remembers it. The
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
