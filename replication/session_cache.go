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
	// sessionShards: the cache is split by session id so that fetches of
	// different sessions do not meet at one lock (Kafka 3.8+).
	sessionShards = 8
	sessionIDSpan = math.MaxInt32 / sessionShards
	// sessionIdleMs: a session not used for so long may always be replaced, one
	// that was made less long ago only by a follower's.
	sessionIdleMs = 2 * 60 * 1000
	// consumerPartitions and sessionPartitions bound the partitions that all
	// sessions remember (about 300 bytes each): up to the first, consumers' sessions
	// are made; up to the second, followers'. Any client can claim any number of
	// partitions, and without a session its fetches are full ones.
	consumerPartitions = 1 << 20
	sessionPartitions  = 1 << 22
)

// SessionCache holds the incremental fetch sessions of a broker. Safe for
// concurrent use.
type SessionCache struct {
	shards [sessionShards]sessionShard
	turn   atomic.Uint32 // the shard for the next new session
}

// sessionTotals is what the shards count together.
type sessionTotals struct {
	evictions  atomic.Int64
	partitions atomic.Int64 // that all sessions remember
	// consumerMax and max are consumerPartitions and sessionPartitions.
	consumerMax, max int64
}

// fits reports whether a session may be made or grow to a total of partitions.
func (t *sessionTotals) fits(partitions int64, privileged bool) bool {
	if privileged {
		return partitions <= t.max
	}
	return partitions <= t.consumerMax
}

// sessionShard is the sessions whose ids lie in one range. Which one has to go
// for a new one is found by looking at all of them: there are at most slots.
type sessionShard struct {
	slots  int
	first  int32 // least session id
	last   int32 // greatest, exclusive
	totals *sessionTotals
	find   func(topic string, partition int32) *Partition

	mu       sync.Mutex // guards sessions and all in them
	sessions map[int32]*fetchSession
}

// newSessionCache returns a cache for a number of sessions
// (max.incremental.fetch.session.cache.slots). find returns a hosted partition,
// nil for others.
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

// Sessions is the number of sessions and of the partitions in them.
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

// settleReads brings the topics' traffic up to date: sessions count the reads
// that they were spared when a partition is read again.
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

// Evictions counts the sessions that had to make room.
func (c *SessionCache) Evictions() int64 { return c.shards[0].totals.evictions.Load() }

// shardOf is nil for an id that no shard gives out.
func (c *SessionCache) shardOf(id int32) *sessionShard {
	if id <= 0 || id/sessionIDSpan >= sessionShards {
		return nil
	}
	return &c.shards[id/sessionIDSpan]
}

// sessionUse is the part of a fetch that its session decides. The zero value
// is a fetch without a session.
type sessionUse struct {
	kind  sessionKind
	id    int32
	epoch int32 // of the request
	byID  bool
	shard *sessionShard
	// session is the one of an incremental fetch. It answers even if it was
	// evicted meanwhile; shard's lock guards it.
	session *fetchSession
	// resting is how many partitions the session leaves out of this round.
	resting int
	listed  int // how many were in it at its beginning
}

type sessionKind int8

const (
	sessionless sessionKind = iota
	sessionWanted
	sessionIncremental
)

// begin resolves the session of a fetch: on return partitions is all that has
// to be read, in order. A code other than None answers the whole request.
func (c *SessionCache) begin(id, epoch int32, byID bool, partitions []PartitionFetch, forgotten []sessionKey,
	places map[sessionKey]int, reader sessionReader, cluster *metadata.Snapshot, now time.Time) (sessionUse, []PartitionFetch, protocol.ErrorCode) {
	use := sessionUse{id: id, epoch: epoch, byID: byID, shard: c.shardOf(id)}
	if epoch == initialSessionEpoch || epoch == finalSessionEpoch {
		if use.shard != nil {
			use.shard.drop(id)
		}
		use.id = noSessionID
		if epoch == initialSessionEpoch {
			use.kind = sessionWanted
			use.shard = &c.shards[c.turn.Add(1)%sessionShards]
		}
		return use, withoutDuplicates(partitions, byID, places), protocol.None
	}
	if use.shard == nil {
		return use, partitions, protocol.FetchSessionIDNotFound
	}
	return use.shard.resume(use, partitions, forgotten, reader, cluster, now.UnixMilli())
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

// countLocked counts a session's partitions and reports whether it may stay: one
// that has grown beyond the bound on all may not.
func (s *sessionShard) countLocked(session *fetchSession) bool {
	grown := len(session.partitions) - session.counted
	session.counted += grown
	return s.totals.fits(s.totals.partitions.Add(int64(grown)), session.privileged) || grown <= 0
}

// resume takes an incremental request into its session.
func (s *sessionShard) resume(use sessionUse, partitions []PartitionFetch, forgotten []sessionKey,
	reader sessionReader, cluster *metadata.Snapshot, nowMs int64) (sessionUse, []PartitionFetch, protocol.ErrorCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.sessions[use.id]
	switch {
	case session == nil:
		return use, partitions, protocol.FetchSessionIDNotFound
	case session.epoch != use.epoch:
		return use, partitions, protocol.InvalidFetchSessionEpoch
	case session.byID != use.byID:
		return use, partitions, protocol.FetchSessionTopicIDError
	}
	session.update(partitions, forgotten)
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

// finish turns the results into the session's answer: it makes the wanted
// session, or omits from an incremental answer what is no news. It returns the
// session id to answer with; a code other than None replaces the whole answer.
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

// answer omits from results what the session's client knows. A request that
// overtook this one has moved the epoch on: this one is a duplicate then.
func (u *sessionUse) answer(results []PartitionFetch) protocol.ErrorCode {
	u.shard.mu.Lock()
	defer u.shard.mu.Unlock()
	if u.session.epoch != nextSessionEpoch(u.epoch) {
		return protocol.InvalidFetchSessionEpoch
	}
	u.session.answer(results)
	return protocol.None
}

// park has w notified of events in interest of all partitions of the session,
// those at rest too.
func (u *sessionUse) park(w *waiter, interest event) { u.session.changes.park(w, interest) }

// woken adds to partitions those that something happened to since they were
// listed, and marks those that were there as changed. ended: the session is
// closed or a later request has taken it over, so that no more will come.
func (u *sessionUse) woken(partitions []PartitionFetch, cluster *metadata.Snapshot) (all []PartitionFetch, ended bool) {
	u.shard.mu.Lock()
	defer u.shard.mu.Unlock()
	if u.session.closed || u.session.epoch != nextSessionEpoch(u.epoch) {
		return partitions, true
	}
	return u.session.woken(partitions, cluster), false
}

// create makes a session of a full fetch's results, if there is or can be made
// room for it; else it returns 0.
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

// touch notes a use, with what that says about who may take the session's place.
func (s *fetchSession) touch(nowMs int64) {
	s.usedMs = nowMs
	s.sizeAtUse = len(s.partitions)
	old := nowMs-s.createdMs > sessionIdleMs
	s.evictableByAll = old
	s.evictableByPrivileged = old || !s.privileged
}

// evictLocked makes room for a newcomer with so many partitions: the session
// idle for longest goes if that was long enough; else the least valuable one
// that the newcomer may replace, if the newcomer is worth more.
func (s *sessionShard) evictLocked(privileged bool, size int, nowMs int64) bool {
	var idlest, least *fetchSession
	for _, session := range s.sessions {
		if idlest == nil || session.usedMs < idlest.usedMs || session.usedMs == idlest.usedMs && session.id < idlest.id {
			idlest = session
		}
		if session.evictableByAll || privileged && session.evictableByPrivileged {
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

// compareWorth orders sessions by what they are worth keeping: followers'
// before consumers', then more partitions before fewer; the id breaks ties, and
// a newcomer (id 0) so never replaces its equal.
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

// withoutDuplicates drops partitions that a request names twice: the last
// counts, at the place of the first. It changes partitions in place; places is
// scratch.
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
