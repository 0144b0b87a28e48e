package group

import (
	"time"

	"github.com/monedula/monedula/protocol"
)

// Leaving identifies a member in a LeaveGroup request.
type Leaving struct {
	MemberID   string // "" if an administrator removes a static member
	InstanceID *string
	Reason     *string
}

// Leave removes members and returns a code for each. dead is true if the group no longer exists on
// this broker.
func (g *Group) Leave(now time.Time, members []Leaving) (codes []protocol.ErrorCode, dead bool, e *Effects) {
	e = &Effects{}
	if g.state == Dead {
		return nil, true, e
	}
	codes = make([]protocol.ErrorCode, len(members))
	for i, l := range members {
		codes[i] = g.leaveOne(now, l, e)
	}
	return codes, false, e
}

func (g *Group) leaveOne(now time.Time, l Leaving, e *Effects) protocol.ErrorCode {
	id := l.MemberID
	if _, known := g.members.pending[id]; known {
		g.members.remove(id)
		e.infof("Pending member with memberId=%s has left group %s through explicit `LeaveGroup` request", id, g.ID)
		g.tryCompleteJoin(now, e)
		return protocol.None
	}
	if id == "" {
		known := false
		if l.InstanceID != nil {
			id, known = g.members.static[*l.InstanceID]
		}
		if !known {
			return protocol.UnknownMemberID
		}
	} else if code := g.members.check(id, l.InstanceID); code != protocol.None {
		return code
	}
	reason := "not provided"
	if l.Reason != nil {
		reason = *l.Reason
	}
	g.removeAndUpdate(now, g.members.get(id), e, "Removing member %s on LeaveGroup; client reason: %s", id, reason)
	e.infof("Member %s has left group %s through explicit `LeaveGroup`; client reason: %s", id, g.ID, reason)
	return protocol.None
}

// removeAndUpdate removes a member and starts or completes a rebalance without it.
func (g *Group) removeAndUpdate(now time.Time, m *Member, e *Effects, reason string, args ...any) {
	// If the member still waits for an answer it must join again.
	e.answerJoin(g, m, refuseJoin("", protocol.UnknownMemberID))
	e.answerSync(m, refuseSync(protocol.UnknownMemberID))
	g.members.remove(m.ID)
	switch g.state {
	case Stable, CompletingRebalance:
		g.maybePrepareRebalance(now, e, reason, args...)
	case PreparingRebalance:
		g.tryCompleteJoin(now, e)
	}
}

// Heartbeat keeps a member's session alive. It returns REBALANCE_IN_PROGRESS if a rebalance is
// being prepared.
func (g *Group) Heartbeat(now time.Time, memberID string, instanceID *string, generation int32) protocol.ErrorCode {
	if g.state == Dead {
		return protocol.CoordinatorNotAvailable
	}
	if code := g.members.check(memberID, instanceID); code != protocol.None {
		return code
	}
	switch {
	case generation != g.generation:
		return protocol.IllegalGeneration
	case g.state == Empty:
		return protocol.UnknownMemberID
	}
	g.renew(now, g.members.get(memberID))
	if g.state == PreparingRebalance {
		return protocol.RebalanceInProgress
	}
	return protocol.None
}

// Kill makes the group dead, because it was deleted or another broker leads its partition of the
// offsets topic. Parked requests are answered with NOT_COORDINATOR, which makes their members look
// for the coordinator. The group no longer has offsets, and commits that are being appended do not
// count.
func (g *Group) Kill(now time.Time) *Effects {
	e := &Effects{}
	for _, m := range g.members.all() {
		e.answerJoin(g, m, refuseJoin(m.ID, protocol.NotCoordinator))
		e.answerSync(m, refuseSync(protocol.NotCoordinator))
	}
	g.members.forgetUnsynced()
	g.join = nil
	g.offsets = offsets{}
	g.become(Dead, now)
	return e
}
