package group

import (
	"fmt"
	"time"

	"github.com/monedula/monedula/protocol"
)

func (g *Group) maybePrepareRebalance(now time.Time, e *Effects, reason string, args ...any) {
	switch g.state {
	case Stable, CompletingRebalance, Empty:
		g.prepareRebalance(now, e, reason, args...)
	}
}

// prepareRebalance begins a rebalance: from now on members are awaited.
func (g *Group) prepareRebalance(now time.Time, e *Effects, reason string, args ...any) {
	if g.state == CompletingRebalance {
		g.dropAssignments(now, e, protocol.RebalanceInProgress)
	}
	g.forgetUnsynced()
	timeout := g.rebalanceTimeout()
	if g.state == Empty {
		g.join = &joinTimer{at: g.arm(now.Add(g.rules.InitialDelay)), initial: true, left: max(timeout-g.rules.InitialDelay, 0)}
	} else {
		g.join = &joinTimer{at: g.arm(now.Add(timeout))}
	}
	g.become(PreparingRebalance, now)
	e.infof("Preparing to rebalance group %s in state %s with old generation %d (%s) (reason: %s)",
		g.ID, g.state, g.generation, topicPlaceholder, fmt.Sprintf(reason, args...))
	g.tryCompleteJoin(now, e)
}

// topicPlaceholder stands in lines for the group's partition of the offsets
// topic, which a group does not know.
const topicPlaceholder = "{partition}"

// tryCompleteJoin ends the rebalance's waiting where everybody is there, or an
// initial delay of 0 is over.
func (g *Group) tryCompleteJoin(now time.Time, e *Effects) {
	if g.state != PreparingRebalance {
		return
	}
	if g.join.initial {
		if !now.Before(g.join.at) {
			g.joinTimeout(now, e)
		}
		return
	}
	if int(g.parked) == g.members.size && len(g.pending) == 0 {
		g.completeJoin(now, e)
	}
}

// joinTimeout: the time to join is over.
func (g *Group) joinTimeout(now time.Time, e *Effects) {
	if j := g.join; j.initial && j.newcomer && j.left != 0 {
		// Somebody came: others may follow. In total not longer than the first
		// member's rebalance timeout.
		delay := min(g.rules.InitialDelay, j.left)
		*j = joinTimer{at: g.arm(now.Add(delay)), initial: true, left: max(j.left-delay, 0)}
		return
	}
	g.completeJoin(now, e)
}

// completeJoin drops the dynamic members that did not come and begins the next
// generation with the others.
func (g *Group) completeJoin(now time.Time, e *Effects) {
	g.dropAbsent(e)
	if !g.leaderJoined(e) && g.members.size > 0 {
		// Only static members, none of which is there: wait until they come or
		// their sessions end.
		e.Lines = append(e.Lines, Line{Failure, fmt.Sprintf("Group %s could not complete rebalance because no members rejoined", g.ID)})
		g.join = &joinTimer{at: g.arm(now.Add(max(g.rebalanceTimeout(), time.Millisecond)))}
		return
	}
	g.generation++
	g.join = nil
	g.offsets.newGeneration()
	g.forgetUnsynced()
	if g.members.size == 0 {
		g.protocol, g.subscribed = nil, nil
		if g.protocolType == consumerProtocol {
			g.subscribed = []string{}
		}
		g.become(Empty, now)
		e.infof("Group %s with generation %d is now empty (%s)", g.ID, g.generation, topicPlaceholder)
		e.Store = g.store(emptyGroup)
		return
	}
	g.protocol = g.selectProtocol()
	g.subscribed = g.subscriptions(e)
	g.become(CompletingRebalance, now)
	e.infof("Stabilized group %s generation %d (%s) with %d members", g.ID, g.generation, topicPlaceholder, g.members.size)
	for _, m := range g.members.all() {
		e.answerJoin(g, m, g.joined(m))
		m.isNew = false
		g.renew(now, m)
		m.unsynced = true
	}
	g.unsynced = int32(g.members.size)
	g.syncBy = g.arm(now.Add(g.rebalanceTimeout()))
}

func (g *Group) dropAbsent(e *Effects) {
	var absent []string
	for _, m := range g.members.all() {
		if m.join == nil && m.InstanceID == nil {
			absent = append(absent, m.ID)
		}
	}
	if len(absent) == 0 {
		return
	}
	e.infof("Group %s removed dynamic members who haven't joined: %v", g.ID, absent)
	for _, id := range absent {
		m := g.member(id)
		e.answerSync(m, refuseSync(protocol.UnknownMemberID))
		g.remove(id)
	}
}

// leaderJoined says whether the leader is one that has joined, after choosing
// another where it has not.
func (g *Group) leaderJoined(e *Effects) bool {
	if leader := g.member(g.leader); leader != nil && leader.join != nil {
		return true
	}
	for _, m := range g.members.all() {
		if m.join != nil {
			e.infof("Group leader %s failed to join before rebalance timeout, while new leader %s was elected.", g.leader, m.ID)
			g.leader = m.ID
			return true
		}
	}
	return false
}

// dropAssignments answers parked SyncGroups with an error; the assignments are
// void.
func (g *Group) dropAssignments(now time.Time, e *Effects, code protocol.ErrorCode) {
	for _, m := range g.members.all() {
		m.assignment = nil
		g.answerSync(now, m, refuseSync(code), e)
	}
}
