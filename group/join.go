package group

import (
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/protocol"
)

// JoinRequest is a JoinGroup request.
type JoinRequest struct {
	MemberID   string // "" for a member that has none yet
	InstanceID *string
	// NewMemberID is the id for a member without one.
	NewMemberID string
	// IDFirst is set if a dynamic member without an id is only given one, with which it must join
	// in a second request (v4+, KIP-394).
	IDFirst bool
	// MaySkipAssignment is set if the response has a field that makes a returning static leader
	// skip the assignment (v9+).
	MaySkipAssignment  bool
	ClientID           string
	ClientHost         string
	RebalanceTimeoutMs int32
	SessionTimeoutMs   int32
	ProtocolType       string
	Protocols          []Protocol // owned by the group from now on
	Reason             string     // "" if none is given
}

// JoinResult is the answer to a JoinGroup request.
type JoinResult struct {
	Err            protocol.ErrorCode
	MemberID       string
	Generation     int32   // -1 with most errors
	ProtocolType   *string // nil with errors
	Protocol       *string // nil with errors
	Leader         string
	SkipAssignment bool
	Members        []JoinedMember // only for the leader
}

// JoinedMember is a member in the answer to the leader.
type JoinedMember struct {
	ID         string
	InstanceID *string
	Metadata   []byte
}

func refuseJoin(memberID string, code protocol.ErrorCode) JoinResult {
	return JoinResult{Err: code, MemberID: memberID, Generation: -1}
}

// Join handles a JoinGroup request. The answer, which the caller must send to the channel to, is in
// the effects of this step or of a later one.
func (g *Group) Join(now time.Time, req JoinRequest, to chan<- JoinResult) *Effects {
	e := &Effects{}
	if req.Reason == "" {
		req.Reason = "not provided"
	}
	if refused, ok := g.joinStep(now, &req, to, e); !ok {
		e.Joins = append(e.Joins, JoinAnswer{to, refused})
	}
	g.tryCompleteJoin(now, e)
	return e
}

// joinStep applies the request, or returns its refusal and false.
func (g *Group) joinStep(now time.Time, req *JoinRequest, to chan<- JoinResult, e *Effects) (refused JoinResult, ok bool) {
	if !g.accepts(req.MemberID) {
		g.members.remove(req.MemberID)
		return refuseJoin("", protocol.GroupMaxSizeReached), false
	}
	switch {
	case g.state == Dead:
		return refuseJoin(req.MemberID, protocol.CoordinatorNotAvailable), false
	case !g.supports(req.ProtocolType, req.Protocols):
		return refuseJoin(req.MemberID, protocol.InconsistentGroupProtocol), false
	case req.MemberID == "":
		return g.joinNew(now, req, to, e)
	}
	if _, known := g.members.pending[req.MemberID]; known {
		g.addAndRebalance(now, req, req.MemberID, to, e)
		return JoinResult{}, true
	}
	if code := g.members.check(req.MemberID, req.InstanceID); code != protocol.None {
		return refuseJoin(req.MemberID, code), false
	}
	return g.rejoin(now, req, to, e)
}

// accepts reports whether the group may have the member within its maximum size. While a rebalance
// is being prepared only the parked members are counted, so if the limit was lowered the members
// that join last are dropped.
func (g *Group) accepts(memberID string) bool {
	switch m := g.members.get(memberID); g.state {
	case PreparingRebalance:
		return m != nil && m.join != nil || int(g.members.parked) < g.rules.MaxSize
	case CompletingRebalance, Stable:
		return m != nil || g.members.size < g.rules.MaxSize
	}
	return true
}

// joinNew handles the request of a member without an id.
func (g *Group) joinNew(now time.Time, req *JoinRequest, to chan<- JoinResult, e *Effects) (refused JoinResult, ok bool) {
	id := req.NewMemberID
	if req.InstanceID != nil {
		if old, known := g.members.static[*req.InstanceID]; known {
			e.infof("Static member with groupInstanceId=%s and unknown member id joins group %s in %s state. Replacing previously mapped member %s with this groupInstanceId.",
				*req.InstanceID, g.ID, g.state, old)
			g.replaceStatic(now, req, g.members.get(old), to, e)
			return JoinResult{}, true
		}
		e.infof("Static member with groupInstanceId=%s and unknown member id joins group %s in %s state. Created a new member id %s for this member and add to the group.",
			*req.InstanceID, g.ID, g.state, id)
		g.addAndRebalance(now, req, id, to, e)
		return JoinResult{}, true
	}
	if req.IDFirst {
		e.infof("Dynamic member with unknown member id joins group %s in %s state. Created a new member id %s and request the member to rejoin with this id.",
			g.ID, g.state, id)
		g.members.await(id, g.arm(now.Add(millis(req.SessionTimeoutMs))))
		return refuseJoin(id, protocol.MemberIDRequired), false
	}
	e.infof("Dynamic Member with unknown member id joins group %s in %s state. Created a new member id %s for this member and add to the group.",
		g.ID, g.state, id)
	g.addAndRebalance(now, req, id, to, e)
	return JoinResult{}, true
}

// addAndRebalance adds a member and parks its request until the rebalance ends.
func (g *Group) addAndRebalance(now time.Time, req *JoinRequest, id string, to chan<- JoinResult, e *Effects) {
	if g.state == PreparingRebalance && g.generation == 0 {
		g.join.newcomer = true
	}
	if g.members.size == 0 {
		g.protocolType = req.ProtocolType
	}
	m := &Member{ID: id, InstanceID: req.InstanceID, ClientID: req.ClientID, ClientHost: req.ClientHost,
		RebalanceTimeoutMs: req.RebalanceTimeoutMs, SessionTimeoutMs: req.SessionTimeoutMs,
		protocols: req.Protocols, join: to, isNew: true}
	if req.MemberID != "" { // a pending id, which no static member has
		m.InstanceID = nil
	}
	g.members.add(m)
	m.expires = g.arm(now.Add(newMemberTimeout))
	g.maybePrepareRebalance(now, e, "Adding new member %s with group instance id %s; client reason: %s", id, optional(m.InstanceID), req.Reason)
}

// rejoin handles the request of a member of the group.
func (g *Group) rejoin(now time.Time, req *JoinRequest, to chan<- JoinResult, e *Effects) (refused JoinResult, ok bool) {
	m := g.members.get(req.MemberID)
	switch g.state {
	case PreparingRebalance:
		g.update(m, req, to, e)
		return JoinResult{}, true
	case CompletingRebalance:
		if m.offers(req.Protocols) {
			// It has not received the answer to its first request.
			return g.joined(m), false
		}
		g.update(m, req, to, e)
		g.maybePrepareRebalance(now, e, "Updating metadata for member %s during %s; client reason: %s", m.ID, g.state, req.Reason)
		return JoinResult{}, true
	case Stable:
		leads := g.members.leader == m.ID
		if !leads && m.offers(req.Protocols) {
			return g.joined(m), false
		}
		what := "Updating metadata for member %s during %s; client reason: %s"
		if leads { // the leader may have seen changes of partitions
			what = "Leader %s re-joining group during %s; client reason: %s"
		}
		g.update(m, req, to, e)
		g.maybePrepareRebalance(now, e, what, m.ID, g.state, req.Reason)
		return JoinResult{}, true
	}
	e.warnf("Attempt to add rejoining member %s of group %s in unexpected group state %s", m.ID, g.ID, g.state)
	return refuseJoin(m.ID, protocol.UnknownMemberID), false
}

// update takes the protocols and timeouts of a member that joins again and parks its request. An
// earlier request that is still parked is answered with REBALANCE_IN_PROGRESS; Kafka never answers
// it.
func (g *Group) update(m *Member, req *JoinRequest, to chan<- JoinResult, e *Effects) {
	g.members.offer(m, req.Protocols, req.RebalanceTimeoutMs, req.SessionTimeoutMs)
	e.answerJoin(g, m, refuseJoin(m.ID, protocol.RebalanceInProgress))
	g.members.park(m, to)
}

// joined returns the member's answer for the current generation.
func (g *Group) joined(m *Member) JoinResult {
	r := JoinResult{MemberID: m.ID, Generation: g.generation, ProtocolType: g.protocolTypeOrNil(), Protocol: g.protocol, Leader: g.members.leader}
	if g.members.leader == m.ID {
		r.Members = g.members.joined(*g.protocol)
	}
	return r
}

func (g *Group) protocolTypeOrNil() *string {
	if !g.hasProtocolType() {
		return nil
	}
	t := g.protocolType
	return &t
}

// optional formats s like a Scala Option, as in Kafka's log lines.
func optional(s *string) string {
	if s == nil {
		return javatext.None
	}
	return javatext.Some(*s)
}
