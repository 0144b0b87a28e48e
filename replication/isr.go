package replication

import "slices"

// inSync is the in-sync replicas of a partition we lead: the set the controller
// confirmed and, while an answer is due, the set we asked for. It is immutable;
// a change makes a new one.
//
// Between asking and the answer nobody knows which of the two the controller
// has. Whatever could lose data therefore uses the larger: maximal decides how
// far the high watermark may go, committed decides all else (KIP-497).
type inSync struct {
	committed []int32
	// proposed is nil unless a change is pending. Then it differs from committed
	// by exactly the members added or removed.
	proposed []int32
	maximal  []int32
	// The members of committed and of maximal.
	inCommitted, inMaximal members
}

// members is a set of broker ids, sorted. Whether a broker is in it takes little
// time however long a list a request has brought.
type members []int32

func membersOf(ids []int32) members {
	set := slices.Clone(ids)
	slices.Sort(set)
	return slices.Compact(set)
}

func (m members) has(id int32) bool {
	_, found := slices.BinarySearch(m, id)
	return found
}

// notLeading is what a partition has that this broker does not lead.
var notLeading = committedISR(nil)

func committedISR(isr []int32) *inSync {
	in := membersOf(isr)
	return &inSync{committed: isr, maximal: isr, inCommitted: in, inMaximal: in}
}

// pending says whether an answer from the controller is due.
func (s *inSync) pending() bool { return s.proposed != nil }

// expand returns the state after asking to add id, which is not a member.
func (s *inSync) expand(id int32) *inSync {
	larger := append(slices.Clone(s.committed), id)
	return &inSync{committed: s.committed, proposed: larger, maximal: larger, inCommitted: s.inCommitted, inMaximal: membersOf(larger)}
}

// shrink returns the state after asking to remove ids: the removed still count
// for the high watermark until the controller has agreed.
func (s *inSync) shrink(ids []int32) *inSync {
	smaller, removed := make([]int32, 0, len(s.committed)), membersOf(ids)
	for _, id := range s.committed {
		if !removed.has(id) {
			smaller = append(smaller, id)
		}
	}
	return &inSync{committed: s.committed, proposed: smaller, maximal: s.committed, inCommitted: s.inCommitted, inMaximal: s.inCommitted}
}

// keepsUpLocked reports whether a follower is in sync and no change of the in-sync
// replicas is under way: then its fetches decide nothing. The caller must hold mu
// (shared is enough).
func (p *Partition) keepsUpLocked(follower int32) bool {
	return !p.isr.pending() && p.isr.inCommitted.has(follower)
}

// mayJoin says whether a follower at logEnd may be added to the in-sync
// replicas: it has all that is committed and all that came before this leader
// (KAFKA-7128: a high watermark that lags behind the epoch's start hides
// records that were acknowledged under the last leader).
func mayJoin(logEnd, highWatermark, epochStart int64) bool {
	return logEnd >= highWatermark && logEnd >= epochStart
}

// outOfSync lists the members of isr, other than the leader itself, that are not
// caught up. A member without progress is out of sync: it is no assigned
// replica any more.
func outOfSync(isr []int32, leader int32, followers followers, leaderEnd, nowMs, lagMaxMs int64) []int32 {
	var out []int32
	for _, id := range isr {
		if id == leader {
			continue
		}
		if p := followers.of(id); p == nil || !p.caughtUp(leaderEnd, nowMs, lagMaxMs) {
			out = append(out, id)
		}
	}
	return out
}

// effectiveMinISR is min.insync.replicas, capped at the number of replicas
// (Kafka 3.7+).
func effectiveMinISR(configured int32, replicas int) int {
	return min(int(configured), replicas)
}
