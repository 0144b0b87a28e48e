package replication

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

const (
	// sessionShards is the number of parts into which the cache is split by session id, so that
	// fetches of different sessions do not contend for one lock (Kafka 3.8+).
	sessionShards = 8
	sessionIDSpan = math.MaxInt32 / sessionShards
	// sessionIdleMs: a session that was not used for this time may be replaced by any session. A
	// session created less than this time ago may be replaced only by a follower's.
	sessionIdleMs = 2 * 60 * 1000
	// consumerPartitions and sessionPartitions bound the number of partitions in all sessions,
	// about 300 bytes each. Above the first bound no session is created for a consumer, above the
	// second none for a follower. Clients can name any number of partitions; without a session
	// their fetches are full ones.
	consumerPartitions = 1 << 20
	sessionPartitions  = 1 << 22
)

// SessionCache holds the incremental fetch sessions of a broker. It is safe for concurrent use.
type SessionCache struct {
	shards [sessionShards]sessionShard
	turn   atomic.Uint32 // selects the shard for the next new session
}

// sessionTotals holds counts over all shards.
type sessionTotals struct {
	evictions  atomic.Int64
	partitions atomic.Int64 // number of partitions in all sessions
	// consumerMax and max are consumerPartitions and sessionPartitions.
	consumerMax, max int64
}

// fits reports whether a session may be created or grow if that makes a total of partitions.
func (t *sessionTotals) fits(partitions int64, privileged bool) bool {
	if privileged {
		return partitions <= t.max
	}
	return partitions <= t.consumerMax
}

// sessionShard holds the sessions whose ids are in one range. To find the session to evict it looks
// at all of them; there are at most slots.
type sessionShard struct {
	slots  int
	first  int32 // smallest session id
	last   int32 // one after the largest session id
	totals *sessionTotals
	find   func(topic string, partition int32) *Partition

	mu       sync.Mutex // guards sessions and everything in them
	sessions map[int32]*fetchSession
}

// newSessionCache returns a cache for the given number of sessions
// (max.incremental.fetch.session.cache.slots). find returns a hosted partition, or nil.
func newSessionCache(slots int, find func(topic string, partition int32) *Partition) *SessionCache {
	c := &SessionCache{}
	totals := &sessionTotals{consumerMax: consumerPartitions, max: sessionPartitions}
	for i := range c.shards {
		c.shards[i] = sessionShard{
			slots: slots / sessionShards, totals: totals, find: find,
			first: max(1, int32(i)*sessionIDSpan), last: int32(i+1) * sessionIDSpan,
			sessions: map[int32]*fetchSession{},
		}
	}
	return c
}

// Sessions returns the number of sessions and of the partitions in them.
func (c *SessionCache) Sessions() (sessions, partitions int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		sessions += len(s.sessions)
		for _, session := range s.sessions {
			partitions += session.sizeAtUse
		}
		s.mu.Unlock()
	}
	return sessions, partitions
}

// settleReads updates the traffic of the topics. Sessions count the reads that they were spared
// only when a partition is read again.
func (c *SessionCache) settleReads() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, session := range s.sessions {
			session.settleReads()
		}
		s.mu.Unlock()
	}
}

// Evictions returns the number of evicted sessions.
func (c *SessionCache) Evictions() int64 { return c.shards[0].totals.evictions.Load() }

// shardOf returns the shard of a session id, or nil if no shard assigns that id.
func (c *SessionCache) shardOf(id int32) *sessionShard {
	if id <= 0 || id/sessionIDSpan >= sessionShards {
		return nil
	}
	return &c.shards[id/sessionIDSpan]
}

// sessionUse is the part of a fetch that depends on its session. The zero value is a fetch without
// a session.
type sessionUse struct {
	kind  sessionKind
	id    int32
	epoch int32 // of the request
	byID  bool
	shard *sessionShard
	// session is the session of an incremental fetch. It serves the fetch even if it has been
	// evicted in the meantime. The lock of shard guards it.
	session *fetchSession
	// resting is the number of partitions that the session leaves out of this round.
	resting int
	listed  int // number of partitions listed at the start of the round
}

type sessionKind int8

const (
	sessionless sessionKind = iota
	sessionWanted
	sessionIncremental
)

// sessionRequest is what a fetch asks of its session.
type sessionRequest struct {
	id, epoch  int32
	byID       bool // partitions are named by topic id
	partitions []PartitionFetch
	forgotten  []sessionKey
	places     map[sessionKey]int // scratch space to find duplicates
}

// begin resolves the session of a fetch and returns the partitions to read, in order. A code other
// than None is the response to the whole request.
func (c *SessionCache) begin(r sessionRequest, reader sessionReader, cluster *metadata.Snapshot, now time.Time) (sessionUse, []PartitionFetch, protocol.ErrorCode) {
	use := sessionUse{id: r.id, epoch: r.epoch, byID: r.byID, shard: c.shardOf(r.id)}
	if r.epoch == initialSessionEpoch || r.epoch == finalSessionEpoch {
		if use.shard != nil {
			use.shard.drop(r.id)
		}
		use.id = noSessionID
		if r.epoch == initialSessionEpoch {
			use.kind = sessionWanted
			use.shard = &c.shards[c.turn.Add(1)%sessionShards]
		}
		return use, withoutDuplicates(r.partitions, r.byID, r.places), protocol.None
	}
	if use.shard == nil {
		return use, r.partitions, protocol.FetchSessionIDNotFound
	}
	return use.shard.resume(use, r, reader, cluster, now.UnixMilli())
}

func (s *sessionShard) drop(id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.sessions[id]; session != nil {
		s.removeLocked(session)
	}
}

func (s *sessionShard) removeLocked(session *fetchSession) {
	delete(s.sessions, session.id)
	s.totals.partitions.Add(int64(-session.counted))
	session.counted = 0
	session.close()
}

// countLocked updates the count of a session's partitions and reports whether the session may stay.
// It may not if it has grown beyond the bound on all partitions.
func (s *sessionShard) countLocked(session *fetchSession) bool {
	grown := len(session.partitions) - session.counted
	session.counted += grown
	return s.totals.fits(s.totals.partitions.Add(int64(grown)), session.privileged) || grown <= 0
}

// resume applies an incremental request to its session.
func (s *sessionShard) resume(use sessionUse, r sessionRequest, reader sessionReader, cluster *metadata.Snapshot, nowMs int64) (sessionUse, []PartitionFetch, protocol.ErrorCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	partitions := r.partitions
	session := s.sessions[use.id]
	switch {
	case session == nil:
		return use, partitions, protocol.FetchSessionIDNotFound
	case session.epoch != use.epoch:
		return use, partitions, protocol.InvalidFetchSessionEpoch
	case session.byID != use.byID:
		return use, partitions, protocol.FetchSessionTopicIDError
	}
	session.update(partitions, r.forgotten)
	if len(session.partitions) == 0 {
		s.removeLocked(session)
		use.id = noSessionID
		return use, partitions, protocol.None
	}
	if !s.countLocked(session) {
		s.removeLocked(session)
		return use, partitions, protocol.FetchSessionIDNotFound
	}
	session.touch(nowMs)
	session.epoch = nextSessionEpoch(session.epoch)
	use.kind, use.session = sessionIncremental, session
	session.begin(reader, cluster, nowMs)
	partitions = session.list(partitions[:0])
	use.listed = len(partitions)
	use.resting = len(session.partitions) - use.listed
	return use, partitions, protocol.None
}

// finish turns the results into the session's response: it creates the requested session, or omits
// from an incremental response what the client knows. It returns the session id of the response. A
// code other than None replaces the whole response.
func (u *sessionUse) finish(results []PartitionFetch, privileged bool, now time.Time) (int32, protocol.ErrorCode) {
	switch u.kind {
	case sessionWanted:
		return u.shard.create(results, u.byID, privileged, now.UnixMilli()), protocol.None
	case sessionIncremental:
		return u.id, u.answer(results)
	default:
		return noSessionID, protocol.None
	}
}

// answer omits from results what the session's client knows. If a later request has advanced the
// epoch in the meantime, this request is a duplicate and fails.
func (u *sessionUse) answer(results []PartitionFetch) protocol.ErrorCode {
	u.shard.mu.Lock()
	defer u.shard.mu.Unlock()
	if u.session.epoch != nextSessionEpoch(u.epoch) {
		return protocol.InvalidFetchSessionEpoch
	}
	u.session.answer(results)
	return protocol.None
}

// park notifies w of events in interest of all partitions of the session, including those at rest.
func (u *sessionUse) park(w *waiter, interest event) { u.session.changes.park(w, interest) }

// woken appends to partitions those with events since they were listed, and marks those already
// listed as changed. ended reports that the session is closed or used by a later request, so no
// more events follow.
func (u *sessionUse) woken(partitions []PartitionFetch, cluster *metadata.Snapshot) (all []PartitionFetch, ended bool) {
	u.shard.mu.Lock()
	defer u.shard.mu.Unlock()
	if u.session.closed || u.session.epoch != nextSessionEpoch(u.epoch) {
		return partitions, true
	}
	return u.session.woken(partitions, cluster), false
}

// create creates a session from the results of a full fetch and returns its id. It returns 0 if
// there is no free slot and none can be freed.
func (s *sessionShard) create(results []PartitionFetch, byID, privileged bool, nowMs int64) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.totals.fits(s.totals.partitions.Load()+int64(len(results)), privileged) {
		return noSessionID
	}
	if len(s.sessions) >= s.slots && !s.evictLocked(privileged, len(results), nowMs) {
		return noSessionID
	}
	session := newFetchSession(byID, privileged, len(results), s.find)
	session.createdMs = nowMs
	for i := range results {
		p := session.add(&results[i])
		p.sentHighWatermark, p.sentLogStart = results[i].HighWatermark, results[i].LogStart
	}
	for session.id == noSessionID || s.sessions[session.id] != nil {
		session.id = s.first + rand.Int32N(s.last-s.first)
	}
	s.sessions[session.id] = session
	s.countLocked(session)
	session.touch(nowMs)
	return session.id
}

// touch records a use.
func (s *fetchSession) touch(nowMs int64) {
	s.usedMs = nowMs
	s.sizeAtUse = len(s.partitions)
	s.old = nowMs-s.createdMs > sessionIdleMs
}

// evictLocked frees a slot for a new session with size partitions. It evicts the session idle for
// longest, if that has been long enough. Otherwise it evicts the least valuable session that the
// new one may replace, if the new one is worth more.
func (s *sessionShard) evictLocked(privileged bool, size int, nowMs int64) bool {
	var idlest, least *fetchSession
	for _, session := range s.sessions {
		if idlest == nil || session.usedMs < idlest.usedMs || session.usedMs == idlest.usedMs && session.id < idlest.id {
			idlest = session
		}
		if session.old || privileged && !session.privileged {
			if least == nil || compareWorth(session.privileged, session.sizeAtUse, session.id, least) < 0 {
				least = session
			}
		}
	}
	switch {
	case idlest == nil:
		return false
	case nowMs-idlest.usedMs > sessionIdleMs:
		s.removeLocked(idlest)
	case least == nil || compareWorth(privileged, size, 0, least) < 0:
		return false
	default:
		s.removeLocked(least)
	}
	s.totals.evictions.Add(1)
	return true
}

// compareWorth orders sessions by their value: followers' above consumers', then more partitions
// above fewer, then by id. A new session has id 0, so it never replaces its equal.
func compareWorth(privileged bool, size int, id int32, other *fetchSession) int {
	switch {
	case privileged != other.privileged:
		if privileged {
			return 1
		}
		return -1
	case size != other.sizeAtUse:
		return size - other.sizeAtUse
	}
	return int(id) - int(other.id)
}

// withoutDuplicates removes partitions that a request names twice: the last one counts, at the
// position of the first. It changes partitions in place. places is scratch space.
func withoutDuplicates(partitions []PartitionFetch, byID bool, places map[sessionKey]int) []PartitionFetch {
	if len(partitions) < 2 {
		return partitions
	}
	clear(places)
	kept := partitions[:0]
	for i := range partitions {
		k := keyOf(&partitions[i], byID)
		if at, known := places[k]; known {
			kept[at] = partitions[i]
			continue
		}
		places[k] = len(kept)
		kept = append(kept, partitions[i])
	}
	return kept
}
