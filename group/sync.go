package group

import (
	"time"

	"github.com/monedula/monedula/protocol"
)

// SyncRequest is a SyncGroup.
type SyncRequest struct {
	MemberID     string
	InstanceID   *string
	Generation   int32
	ProtocolType *string           // nil: not told (before v5)
	Protocol     *string           // the same
	Assignments  map[string][]byte // by member id; from the leader. Kept by the group
}

// SyncResult answers a SyncGroup.
type SyncResult struct {
	Err          protocol.ErrorCode
	ProtocolType *string // nil with errors
	Protocol     *string // nil with errors
	Assignment   []byte
}

func refuseSync(code protocol.ErrorCode) SyncResult { return SyncResult{Err: code} }

// Sync takes a SyncGroup; the answer goes to the channel now or later. The
// leader's is stored before anybody is answered.
func (g *Group) Sync(now time.Time, req SyncRequest, to chan<- SyncResult) *Effects {
	e := &Effects{}
	if code := g.checkSync(&req); code != protocol.None {
		e.Syncs = append(e.Syncs, SyncAnswer{to, refuseSync(code)})
		return e
	}
	m := g.member(req.MemberID)
	g.synced(m)
	if g.state == Stable {
		e.Syncs = append(e.Syncs, SyncAnswer{to, g.assigned(m)})
		g.renew(now, m)
		return e
	}
	// A request that comes again takes the place of the first.
	e.answerSync(m, refuseSync(protocol.RebalanceInProgress))
	m.sync = to
	if g.leader == m.ID {
		e.infof("Assignment received from leader %s for group %s for generation %d. The group has %d members, %d of which are static.",
			m.ID, g.ID, g.generation, g.members.size, len(g.static))
		e.Store = g.storeAssignment(req.Assignments, e)
	}
	return e
}

func (g *Group) checkSync(req *SyncRequest) protocol.ErrorCode {
	if g.state == Dead {
		return protocol.CoordinatorNotAvailable
	}
	if code := g.checkMember(req.MemberID, req.InstanceID); code != protocol.None {
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

// storeAssignment is the record of the generation with what the leader
// assigned; members that it forgot get nothing.
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

// assignmentStored gives everybody its assignment, or, where it could not be
// stored, the error, and begins anew. Where another rebalance has begun, the
// assignment is of no use any more.
func (g *Group) assignmentStored(now time.Time, s *Store, code protocol.ErrorCode, e *Effects) {
	if g.state != CompletingRebalance || g.generation != s.generation {
		return
	}
	if code != protocol.None {
		g.dropAssignments(now, e, code)
		g.maybePrepareRebalance(now, e, "Error %s when storing group assignment during SyncGroup (member: %s)", code.Name(), g.leader)
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

// purpose is what a group's record is stored for.
type purpose int8

const (
	assignment   purpose = iota // the leader's SyncGroup
	emptyGroup                  // the last member is gone
	staticMember                // a static member has a new id
)

// Store is a record of the group to be appended.
type Store struct {
	purpose     purpose
	generation  int32
	members     []string // ids, as the group had them
	assignments [][]byte // by the same index
	replaced    *replaced
}

func (g *Group) store(why purpose) *Store {
	s := &Store{purpose: why, generation: g.generation, members: make([]string, g.members.size), assignments: make([][]byte, g.members.size)}
	for i, m := range g.members.all() {
		s.members[i], s.assignments[i] = m.ID, m.assignment
	}
	return s
}

// Stored takes what became of a record: the code of StoreError.
func (g *Group) Stored(now time.Time, s *Store, code protocol.ErrorCode) *Effects {
	e := &Effects{}
	if g.state == Dead {
		return e // everybody has been told
	}
	switch s.purpose {
	case assignment:
		g.assignmentStored(now, s, code, e)
	case staticMember:
		g.staticStored(now, s, code, e)
	case emptyGroup:
		if code != protocol.None {
			// The generation before may come back after a change of coordinators;
			// its members then time out.
			e.warnf("Failed to write empty metadata for group %s: %s", g.ID, code.Message())
		}
	}
	g.tryCompleteJoin(now, e)
	return e
}
