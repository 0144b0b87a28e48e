package replication

import (
	"slices"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// inSync holds the in-sync replicas of a partition that this broker leads: the set that the
// controller confirmed and, while a response is outstanding, the requested set. It is immutable; a
// change creates a new one.
//
// While a response is outstanding, the leader does not know which of the two sets the controller
// has. Decisions that could lose data therefore use the larger one: maximal bounds the high
// watermark, committed decides everything else (KIP-497).
type inSync struct {
	committed []metadata.BrokerID
	// proposed is nil unless a change is pending. Then it differs from committed by exactly the
	// members to add or remove.
	proposed []metadata.BrokerID
	maximal  []metadata.BrokerID
	// The members of committed and of maximal, sorted.
	inCommitted, inMaximal members
}

// members is a sorted set of broker ids. Lookups are fast no matter how long the list in a request
// was.
type members []metadata.BrokerID

func membersOf(ids []metadata.BrokerID) members {
	set := slices.Clone(ids)
	slices.Sort(set)
	return slices.Compact(set)
}

func (m members) has(id metadata.BrokerID) bool {
	_, found := slices.BinarySearch(m, id)
	return found
}

// notLeading is the state of a partition that this broker does not lead.
var notLeading = committedISR(nil)

func committedISR(isr []metadata.BrokerID) *inSync {
	in := membersOf(isr)
	return &inSync{committed: isr, maximal: isr, inCommitted: in, inMaximal: in}
}

// pending reports whether a response from the controller is outstanding.
func (s *inSync) pending() bool { return s.proposed != nil }

// with returns the state after a request to add id, which is not a member.
func (s *inSync) with(id metadata.BrokerID) *inSync {
	larger := append(slices.Clone(s.committed), id)
	return &inSync{committed: s.committed, proposed: larger, maximal: larger, inCommitted: s.inCommitted, inMaximal: membersOf(larger)}
}

// without returns the state after a request to remove ids. They count toward the high watermark
// until the controller has agreed.
func (s *inSync) without(ids []metadata.BrokerID) *inSync {
	smaller, removed := make([]metadata.BrokerID, 0, len(s.committed)), membersOf(ids)
	for _, id := range s.committed {
		if !removed.has(id) {
			smaller = append(smaller, id)
		}
	}
	return &inSync{committed: s.committed, proposed: smaller, maximal: s.committed, inCommitted: s.inCommitted, inMaximal: s.inCommitted}
}

// keepsUpLocked reports whether a follower is in sync and no change of the in-sync replicas is
// pending, so its fetches cannot change them. The caller must hold mu; shared is enough.
func (p *Partition) keepsUpLocked(follower metadata.BrokerID) bool {
	return !p.isr.pending() && p.isr.inCommitted.has(follower)
}

// mayJoin reports whether a follower with the given log end may join the in-sync replicas. It must
// have all committed records and all records from before this leader's epoch. The high watermark
// may lag behind the start of the epoch and then hides records that were acknowledged under the
// previous leader (KAFKA-7128).
func mayJoin(logEnd, highWatermark, epochStart record.Offset) bool {
	return logEnd >= highWatermark && logEnd >= epochStart
}

// outOfSync returns the members of isr, except the leader, that are not at the leader's end and
// were last caught up before sinceMs. A member without progress is out of sync because it is no
// longer an assigned replica.
func outOfSync(isr []metadata.BrokerID, leader metadata.BrokerID, followers followers, leaderEnd record.Offset, sinceMs int64) []metadata.BrokerID {
	var out []metadata.BrokerID
	for _, id := range isr {
		if id == leader {
			continue
		}
		if p := followers.of(id); p == nil || !p.caughtUp(leaderEnd, sinceMs) {
			out = append(out, id)
		}
	}
	return out
}

// effectiveMinISR returns min.insync.replicas, capped at the number of replicas (Kafka 3.7+).
func effectiveMinISR(configured int32, replicas int) int {
	return min(int(configured), replicas)
}
