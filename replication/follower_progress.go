package replication

import (
	"sort"
	"sync/atomic"
)

// unknownOffset stands for a position that no fetch has told yet.
const unknownOffset int64 = -1

// progress is what a leader knows of one follower, from the follower's
// fetches. Times are milliseconds. It is a plain value: the functions below
// decide, Partition holds it.
type progress struct {
	logStart int64 // the follower's log start offset
	logEnd   int64 // the offset of its last fetch

	// leaderEndAtLastFetch is the leader's log end offset when the last fetch
	// came; it never falls within an epoch.
	leaderEndAtLastFetch int64
	lastFetchMs          int64
	// lastCaughtUpMs is the latest known time at which the follower had all that
	// the leader had. It never falls but by reset.
	lastCaughtUpMs int64
	// brokerEpoch is what the fetch claimed (v15+), else -1. With ZooKeeper it
	// is recorded and not judged.
	brokerEpoch int64
	// presence is of the fetch session whose rounds leave the partition out while
	// nothing changes; nil for none. See current.
	presence *presence
}

// stillPresent is presence.until while the session's rounds count.
const stillPresent int64 = -1

// presence is when a follower's fetch session last fetched a partition without
// anything to tell: each of the session's rounds is a fetch at the log's end of
// every partition that it leaves out.
type presence struct {
	rounds *atomic.Int64 // the time of the session's latest round in ms
	until  atomic.Int64  // ms, or stillPresent
}

func (x *presence) last() int64 {
	for {
		if ms := x.until.Load(); ms != stillPresent {
			return ms
		}
		ms := x.rounds.Load()
		if x.until.Load() == stillPresent {
			return ms
		}
	}
}

// current returns the progress with the fetches that a session did not have to
// repeat.
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

// followers are the assigned replicas of a partition but the leader, each with
// its progress, sorted by id.
type followers []follower

type follower struct {
	id int32 // of the broker
	progress
}

// of returns a follower's progress, which may be changed; nil: there is no such
// follower. It reads ids only, so that a caller who does not look into the
// progress needs no lock of it.
func (f followers) of(id int32) *progress {
	i := sort.Search(len(f), func(i int) bool { return f[i].id >= id })
	if i == len(f) || f[i].id != id {
		return nil
	}
	return &f[i].progress
}

// fetched returns the progress after a fetch at offset at nowMs, when the
// leader's log ended at leaderEnd. A follower that asks for what the leader had
// at its previous fetch was caught up at that earlier time: so one that is
// always a small step behind a busy leader stays in sync.
func (p progress) fetched(offset, logStart, leaderEnd, nowMs, brokerEpoch int64) progress {
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

// newEpoch returns the progress at the start of a leader epoch. A broker that
// led before (again) keeps the known positions.
func (p progress) newEpoch(nowMs, leaderEnd int64, again, inISR bool) progress {
	var since int64
	if inISR {
		since = nowMs
	}
	if !again {
		return progress{
			logStart: unknownOffset, logEnd: unknownOffset, leaderEndAtLastFetch: unknownOffset,
			lastCaughtUpMs: since, brokerEpoch: -1,
		}
	}
	p.leaderEndAtLastFetch = leaderEnd
	p.lastFetchMs = since
	p.lastCaughtUpMs = since
	p.presence = nil
	return p
}

// caughtUp says whether a follower counts as in sync: it has everything
// (however long ago it fetched, KAFKA-7152), or had within lagMaxMs.
func (p progress) caughtUp(leaderEnd, nowMs, lagMaxMs int64) bool {
	return p.logEnd == leaderEnd || nowMs-p.current().lastCaughtUpMs <= lagMaxMs
}
