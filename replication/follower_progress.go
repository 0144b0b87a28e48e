package replication

import (
	"sort"
	"sync/atomic"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// progress is a leader's knowledge of one follower, taken from the follower's fetches. Times are
// milliseconds. It is a plain value: the functions below decide, and Partition stores it.
type progress struct {
	logStart record.Offset // the follower's log start offset; record.NoOffset before its first fetch
	logEnd   record.Offset // offset of its last fetch; record.NoOffset before it

	// leaderEndAtLastFetch is the leader's log end offset when the last fetch arrived. It never
	// decreases within an epoch.
	leaderEndAtLastFetch record.Offset
	lastFetchMs          int64
	// lastCaughtUpMs is the latest known time at which the follower had everything that the leader
	// had. Only a reset decreases it.
	lastCaughtUpMs int64
	// brokerEpoch is the epoch that the fetch claimed (v15+), or -1. With ZooKeeper it is recorded
	// but not checked.
	brokerEpoch int64
	// presence belongs to the fetch session whose rounds leave the partition out while nothing
	// changes; nil without such a session. See current.
	presence *presence
}

// stillPresent is the value of presence.until while the session's rounds count.
const stillPresent int64 = -1

// presence is the time at which a follower's fetch session last fetched a partition without
// receiving anything. Each round of the session counts as a fetch at the log end of every partition
// that the round leaves out.
type presence struct {
	rounds *atomic.Int64 // time of the session's latest round in ms
	until  atomic.Int64  // ms, or stillPresent
}

func (p *presence) last() int64 {
	for {
		if ms := p.until.Load(); ms != stillPresent {
			return ms
		}
		ms := p.rounds.Load()
		if p.until.Load() == stillPresent {
			return ms
		}
	}
}

// current returns the progress including the fetches that the session did not have to repeat.
func (p progress) current() progress {
	if p.presence == nil {
		return p
	}
	if ms := p.presence.last(); ms > p.lastFetchMs {
		if p.logEnd >= p.leaderEndAtLastFetch {
			p.lastCaughtUpMs = max(p.lastCaughtUpMs, ms)
		}
		p.lastFetchMs = ms
	}
	return p
}

// followers holds the progress of a partition's assigned replicas except the leader, sorted by id.
type followers []follower

type follower struct {
	id metadata.BrokerID // broker id
	progress
}

// of returns a follower's progress, which the caller may change, or nil if there is no such
// follower. It reads only ids, so a caller that does not look into the progress need not hold its
// lock.
func (f followers) of(id metadata.BrokerID) *progress {
	i := sort.Search(len(f), func(i int) bool { return f[i].id >= id })
	if i == len(f) || f[i].id != id {
		return nil
	}
	return &f[i].progress
}

// fetched returns the progress after a fetch at offset at time nowMs, when the leader's log ended
// at leaderEnd. A follower that asks for the offset where the leader's log ended at its previous
// fetch was caught up at the time of that fetch. So a follower that is always one small step behind
// a busy leader stays in sync.
func (p progress) fetched(offset, logStart, leaderEnd record.Offset, nowMs, brokerEpoch int64) progress {
	p = p.current()
	switch {
	case offset >= leaderEnd:
		p.lastCaughtUpMs = max(p.lastCaughtUpMs, nowMs)
	case offset >= p.leaderEndAtLastFetch:
		p.lastCaughtUpMs = max(p.lastCaughtUpMs, p.lastFetchMs)
	}
	p.logStart, p.logEnd = logStart, offset
	p.leaderEndAtLastFetch = max(p.leaderEndAtLastFetch, leaderEnd)
	p.lastFetchMs = nowMs
	p.brokerEpoch = brokerEpoch
	return p
}

// newEpoch returns the progress at the start of a leader epoch. If the broker led in the epoch before
// it (again), the known positions stay.
func (p progress) newEpoch(nowMs int64, leaderEnd record.Offset, again, inISR bool) progress {
	var since int64
	if inISR {
		since = nowMs
	}
	if !again {
		return progress{
			logStart: record.NoOffset, logEnd: record.NoOffset, leaderEndAtLastFetch: record.NoOffset,
			lastCaughtUpMs: since, brokerEpoch: -1,
		}
	}
	p.leaderEndAtLastFetch = leaderEnd
	p.lastFetchMs = since
	p.lastCaughtUpMs = since
	p.presence = nil
	return p
}

// caughtUp reports whether a follower counts as in sync: it has everything, however long ago it
// fetched (KAFKA-7152), or it had everything at sinceMs or later.
func (p progress) caughtUp(leaderEnd record.Offset, sinceMs int64) bool {
	return p.logEnd == leaderEnd || p.current().lastCaughtUpMs >= sinceMs
}
