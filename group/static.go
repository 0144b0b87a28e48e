package group

import (
	"time"

	"github.com/monedula/monedula/protocol"
)

// replaced is the state of a static member before it returned with a new id. It is restored if the
// change cannot be stored.
type replaced struct {
	member             *Member
	oldID, newID       string
	protocols          []Protocol
	rebalance, session int32
	leaderBefore       string
	maySkip            bool
}

// replaceStatic gives a static member that has returned a new id. Requests still parked under the
// old id are fenced. A stable group whose protocol does not change continues without a rebalance
// once the new id is stored (KIP-345).
func (g *Group) replaceStatic(now time.Time, req *JoinRequest, m *Member, to chan<- JoinResult, e *Effects) {
	was := &replaced{member: m, oldID: m.ID, newID: req.NewMemberID, protocols: m.protocols,
		rebalance: m.RebalanceTimeoutMs, session: m.SessionTimeoutMs, leaderBefore: g.members.leader, maySkip: req.MaySkipAssignment}
	e.answerJoin(g, m, refuseJoin(m.ID, protocol.FencedInstanceID))
	e.answerSync(m, refuseSync(protocol.FencedInstanceID))
	g.members.rename(m, req.NewMemberID)
	g.members.offer(m, req.Protocols, req.RebalanceTimeoutMs, req.SessionTimeoutMs)
	g.members.park(m, to)
	g.renew(now, m)
	switch g.state {
	case Stable:
		if g.protocol != nil && *g.protocol == *g.members.selectProtocol() {
			e.infof("Static member which joins during Stable stage and doesn't affect selectProtocol will not trigger rebalance.")
			e.Store = g.store(staticMember)
			e.Store.replaced = was
			return
		}
		g.maybePrepareRebalance(now, e, "Group's selectedProtocol will change because static member %s with instance id %s joined with change of protocol; client reason: %s",
			m.ID, *m.InstanceID, req.Reason)
	case CompletingRebalance:
		// The leader may already have made an assignment for the old id.
		g.prepareRebalance(now, e, "Updating metadata for static member %s with instance id %s; client reason: %s", m.ID, *m.InstanceID, req.Reason)
	}
}

// staticStored answers a static member whose new id is stored. If storing it failed, the
// replacement is undone.
func (g *Group) staticStored(now time.Time, s *Store, code protocol.ErrorCode, e *Effects) {
	was := s.replaced
	m := g.members.get(was.newID)
	if m == nil || m != was.member {
		return
	}
	if code != protocol.None {
		e.warnf("Failed to persist metadata for group %s: %s", g.ID, code.Message())
		e.answerJoin(g, m, JoinResult{Err: code, Generation: g.generation, ProtocolType: g.protocolTypeOrNil(), Protocol: g.protocol, Leader: was.leaderBefore})
		g.members.offer(m, was.protocols, was.rebalance, was.session)
		g.members.rename(m, was.oldID)
		g.renew(now, m)
		return
	}
	if g.state != Stable || g.generation != s.generation {
		return // the rebalance that has begun in the meantime answers
	}
	r := g.joined(m)
	if was.maySkip {
		r.SkipAssignment = g.members.leader == m.ID
	} else {
		// Before v9 a leader that has returned must not learn that it is the leader: it would
		// send an assignment, which a stable group ignores.
		r.Leader, r.Members = was.leaderBefore, nil
	}
	e.answerJoin(g, m, r)
	g.renew(now, m)
}
