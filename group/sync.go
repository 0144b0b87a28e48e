package group

import (
	"time"

	"github.com/monedula/monedula/protocol"
)

// SyncRequest is a SyncGroup request.
type SyncRequest struct {
	MemberID     string
	InstanceID   *string
	Generation   int32
	ProtocolType *string           // nil before v5
	Protocol     *string           // nil before v5
	Assignments  map[string][]byte // from the leader, by member id; owned by the group from now on
}

// SyncResult is the answer to a SyncGroup request.
type SyncResult struct {
	Err          protocol.ErrorCode
	ProtocolType *string // nil with errors
	Protocol     *string // nil with errors
	Assignment   []byte
}

func refuseSync(code protocol.ErrorCode) SyncResult { return SyncResult{Err: code} }

// Sync handles a SyncGroup request. The answer, which the caller must send to the channel to, is in
// the effects of this step or of a later one. The leader's assignment is stored before any member
// is answered.
func (g *Group) Sync(now time.Time, req SyncRequest, to chan<- SyncResult) *Effects {
	e := &Effects{}
	if code := g.checkSync(&req); code != protocol.None {
		e.Syncs = append(e.Syncs, SyncAnswer{to, refuseSync(code)})
		return e
	}
	m := g.members.get(req.MemberID)
	g.members.synced(m)
	if g.state == Stable {
		e.Syncs = append(e.Syncs, SyncAnswer{to, g.assigned(m)})
		g.renew(now, m)
		return e
	}
	// A repeated request replaces the first one.
	e.answerSync(m, refuseSync(protocol.RebalanceInProgress))
	m.sync = to
	if g.members.leader == m.ID {
		e.infof("Assignment received from leader %s for group %s for generation %d. The group has %d members, %d of which are static.",
			m.ID, g.ID, g.generation, g.members.size, len(g.members.static))
		e.Store = g.storeAssignment(req.Assignments, e)
	}
	return e
}

func (g *Group) checkSync(req *SyncRequest) protocol.ErrorCode {
	if g.state == Dead {
		return protocol.CoordinatorNotAvailable
	}
	if code := g.members.check(req.MemberID, req.InstanceID); code != protocol.None {
		return code
	}
	switch {
	case req.Generation != g.generation:
		return protocol.IllegalGeneration
	case req.ProtocolType != nil && *req.ProtocolType != g.protocolType,
		req.Protocol != nil && (g.protocol == nil || *req.Protocol != *g.protocol):
		return protocol.InconsistentGroupProtocol
	case g.state == Empty:
		return protocol.UnknownMemberID
	case g.state == PreparingRebalance:
		return protocol.RebalanceInProgress
	}
	return protocol.None
}

func (g *Group) assigned(m *Member) SyncResult {
	return SyncResult{ProtocolType: g.protocolTypeOrNil(), Protocol: g.protocol, Assignment: m.assignment}
}

// storeAssignment returns the record of the generation with the leader's assignment. Members that
// the leader left out get an empty one.
func (g *Group) storeAssignment(assignments map[string][]byte, e *Effects) *Store {
	s := g.store(assignment)
	s.assignments = make([][]byte, g.members.size)
	var forgotten []string
	for i, m := range g.members.all() {
		given, found := assignments[m.ID]
		if !found {
			forgotten = append(forgotten, m.ID)
		}
		s.assignments[i] = given
	}
	if len(forgotten) > 0 {
		e.warnf("Setting empty assignments for members %v of %s for generation %d", forgotten, g.ID, g.generation)
	}
	return s
}

// assignmentStored answers all members with their assignments. If the assignments could not be
// stored, it answers with the error and begins another rebalance. It ignores assignments of an
// earlier rebalance.
func (g *Group) assignmentStored(now time.Time, s *Store, code protocol.ErrorCode, e *Effects) {
	if g.state != CompletingRebalance || g.generation != s.generation {
		return
	}
	if code != protocol.None {
		g.dropAssignments(now, e, code)
		g.maybePrepareRebalance(now, e, "Error %s when storing group assignment during SyncGroup (member: %s)", code.Name(), g.members.leader)
		return
	}
	byID := make(map[string][]byte, len(s.members))
	for i, id := range s.members {
		byID[id] = s.assignments[i]
	}
	g.become(Stable, now)
	for _, m := range g.members.all() {
		m.assignment = byID[m.ID]
		g.answerSync(now, m, g.assigned(m), e)
	}
}

// purpose is the reason for storing a group's record.
type purpose int8

const (
	assignment   purpose = iota // the leader's SyncGroup
	emptyGroup                  // the last member has left
	staticMember                // a static member has a new id
)

// Store is a record of the group to append.
type Store struct {
	purpose     purpose
	generation  int32
	members     []string // the ids of the members when the record was made
	assignments [][]byte // of each element of members
	replaced    *replaced
}

func (g *Group) store(why purpose) *Store {
	s := &Store{purpose: why, generation: g.generation, members: make([]string, g.members.size), assignments: make([][]byte, g.members.size)}
	for i, m := range g.members.all() {
		s.members[i], s.assignments[i] = m.ID, m.assignment
	}
	return s
}

// Stored handles the outcome of storing a record: None, or the code for the members.
func (g *Group) Stored(now time.Time, s *Store, code protocol.ErrorCode) *Effects {
	e := &Effects{}
	if g.state == Dead {
		return e // all members have been answered
	}
	switch s.purpose {
	case assignment:
		g.assignmentStored(now, s, code, e)
	case staticMember:
		g.staticStored(now, s, code, e)
	case emptyGroup:
		if code != protocol.None {
			// After a change of coordinators the previous generation may exist again; its
			// members then time out.
			e.warnf("Failed to write empty metadata for group %s: %s", g.ID, code.Message())
		}
	}
	g.tryCompleteJoin(now, e)
	return e
}
