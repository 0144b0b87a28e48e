package group

import (
	"fmt"
	"time"

	"github.com/monedula/monedula/protocol"
)

// joinTimer is the deadline of a rebalance.
type joinTimer struct {
	at       time.Time
	initial  bool          // the initial delay of an empty group, which does not end early
	left     time.Duration // by how much an initial delay may still be extended; otherwise 0
	newcomer bool          // a member joined during an initial delay of generation 0
}

func (g *Group) maybePrepareRebalance(now time.Time, e *Effects, reason string, args ...any) {
	switch g.state {
	case Stable, CompletingRebalance, Empty:
		g.prepareRebalance(now, e, reason, args...)
	}
}

// prepareRebalance begins a rebalance, which waits for the members to join.
func (g *Group) prepareRebalance(now time.Time, e *Effects, reason string, args ...any) {
	if g.state == CompletingRebalance {
		g.dropAssignments(now, e, protocol.RebalanceInProgress)
	}
	g.members.forgetUnsynced()
	timeout := g.members.rebalanceTimeout()
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

// topicPlaceholder in a line stands for the group's partition of the offsets topic, which a Group
// does not know.
const topicPlaceholder = "{partition}"

// tryCompleteJoin completes a rebalance that is being prepared if all members have joined, or if
// its initial delay has passed.
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
	if g.members.allJoined() {
		g.completeJoin(now, e)
	}
}

// joinTimeout handles the end of the time to join.
func (g *Group) joinTimeout(now time.Time, e *Effects) {
	if j := g.join; j.newcomer && j.left != 0 {
		// A member has joined and others may follow. All delays together do not exceed the first
		// member's rebalance timeout.
		delay := min(g.rules.InitialDelay, j.left)
		*j = joinTimer{at: g.arm(now.Add(delay)), initial: true, left: max(j.left-delay, 0)}
		return
	}
	g.completeJoin(now, e)
}

// completeJoin drops the dynamic members that have not joined and begins the next generation with
// the others.
func (g *Group) completeJoin(now time.Time, e *Effects) {
	g.dropAbsent(e)
	if !g.leaderJoined(e) && g.members.size > 0 {
		// The group only has static members, none of which has joined: wait until one joins or
		// their sessions expire.
		e.Lines = append(e.Lines, Line{Failure, fmt.Sprintf("Group %s could not complete rebalance because no members rejoined", g.ID)})
		g.join = &joinTimer{at: g.arm(now.Add(max(g.members.rebalanceTimeout(), time.Millisecond)))}
		return
	}
	g.generation++
	g.join = nil
	g.offsets.newGeneration()
	g.members.forgetUnsynced()
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
	g.protocol = g.members.selectProtocol()
	g.subscribed = g.subscriptions(e)
	g.become(CompletingRebalance, now)
	e.infof("Stabilized group %s generation %d (%s) with %d members", g.ID, g.generation, topicPlaceholder, g.members.size)
	for _, m := range g.members.all() {
		e.answerJoin(g, m, g.joined(m))
		m.isNew = false
		g.renew(now, m)
	}
	g.members.awaitSync(g.arm(now.Add(g.members.rebalanceTimeout())))
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
		m := g.members.get(id)
		e.answerSync(m, refuseSync(protocol.UnknownMemberID))
		g.members.remove(id)
	}
}

// leaderJoined makes a member that has joined the leader, if the current leader has not. It reports
// whether a member has joined.
func (g *Group) leaderJoined(e *Effects) bool {
	if leader := g.members.get(g.members.leader); leader != nil && leader.join != nil {
		return true
	}
	for _, m := range g.members.all() {
		if m.join != nil {
			e.infof("Group leader %s failed to join before rebalance timeout, while new leader %s was elected.", g.members.leader, m.ID)
			g.members.leader = m.ID
			return true
		}
	}
	return false
}

// dropAssignments removes all assignments and answers parked SyncGroup requests with code.
func (g *Group) dropAssignments(now time.Time, e *Effects, code protocol.ErrorCode) {
	for _, m := range g.members.all() {
		m.assignment = nil
		g.answerSync(now, m, refuseSync(code), e)
	}
}
