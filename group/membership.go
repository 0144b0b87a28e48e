package group

import (
	"time"

	"github.com/google/uuid"

	"github.com/monedula/monedula/protocol"
)

// Join handles a JoinGroup request. It may wait for the group's other members. If done is closed
// the wait ends, and the result must not be sent.
func (c *Coordinator) Join(group string, req JoinRequest, done <-chan struct{}) JoinResult {
	e, code := c.lookup(group, false)
	if code != protocol.None {
		return refuseJoin(req.MemberID, code)
	}
	if req.SessionTimeoutMs < c.opts.MinSessionMs || req.SessionTimeoutMs > c.opts.MaxSessionMs {
		return refuseJoin(req.MemberID, protocol.InvalidSessionTimeout)
	}
	if req.MemberID != "" {
		if e == nil {
			return refuseJoin(req.MemberID, protocol.UnknownMemberID)
		}
	} else {
		if e = c.findOrCreate(group); e == nil {
			return refuseJoin("", protocol.NotCoordinator)
		}
		req.NewMemberID = newMemberID(&req)
	}
	slot := make(chan JoinResult, 1)
	c.step(e, func(g *Group, now time.Time) *Effects { return g.Join(now, req, slot) })
	select {
	case r := <-slot:
		return r
	case <-done:
		return refuseJoin(req.MemberID, protocol.CoordinatorNotAvailable)
	}
}

// newMemberID returns a new member id in Kafka's format.
func newMemberID(req *JoinRequest) string {
	name := req.ClientID
	if req.InstanceID != nil {
		name = *req.InstanceID
	}
	return name + "-" + uuid.NewString()
}

// Sync handles a SyncGroup request. It may wait for the SyncGroup request of the group's leader, or
// until done is closed.
func (c *Coordinator) Sync(group string, req SyncRequest, done <-chan struct{}) SyncResult {
	e, code := c.lookup(group, false)
	switch code {
	case protocol.None:
	case protocol.CoordinatorLoadInProgress:
		// The rebalance of the member is lost, so it must join again.
		return refuseSync(protocol.RebalanceInProgress)
	default:
		return refuseSync(code)
	}
	if e == nil {
		return refuseSync(protocol.UnknownMemberID)
	}
	slot := make(chan SyncResult, 1)
	c.step(e, func(g *Group, now time.Time) *Effects { return g.Sync(now, req, slot) })
	select {
	case r := <-slot:
		return r
	case <-done:
		return refuseSync(protocol.CoordinatorNotAvailable)
	}
}

// Heartbeat handles a Heartbeat request.
func (c *Coordinator) Heartbeat(group, memberID string, instanceID *string, generation int32) protocol.ErrorCode {
	e, code := c.lookup(group, false)
	switch code {
	case protocol.None:
	case protocol.CoordinatorLoadInProgress:
		return protocol.None // the group is not known yet, so the member may continue
	default:
		return code
	}
	if e == nil {
		return protocol.UnknownMemberID
	}
	c.lock(e)
	defer c.unlock(e)
	code = e.group.Heartbeat(time.Now(), memberID, instanceID, generation)
	c.arm(e)
	return code
}

// Leave handles a LeaveGroup request. It returns a code for each member, or one for the whole
// request.
func (c *Coordinator) Leave(group string, members []Leaving) (codes []protocol.ErrorCode, code protocol.ErrorCode) {
	e, code := c.lookup(group, false)
	if code != protocol.None {
		return nil, code
	}
	if e == nil {
		codes = make([]protocol.ErrorCode, len(members))
		for i := range codes {
			codes[i] = protocol.UnknownMemberID
		}
		return codes, protocol.None
	}
	dead := false
	c.step(e, func(g *Group, now time.Time) (effects *Effects) {
		codes, dead, effects = g.Leave(now, members)
		return effects
	})
	if dead {
		return nil, protocol.CoordinatorNotAvailable
	}
	return codes, protocol.None
}
