package group

import (
	"time"

	"github.com/google/uuid"

	"github.com/monedula/monedula/protocol"
)

// Join answers a JoinGroup; it may wait for the group's other members. done
// ends the wait: the result is not meant to be sent then.
func (c *Coordinator) Join(group string, req JoinRequest, done <-chan struct{}) JoinResult {
	if code := c.checkGroup(group, false); code != protocol.None {
		return refuseJoin(req.MemberID, code)
	}
	if req.SessionTimeoutMs < c.opts.MinSessionMs || req.SessionTimeoutMs > c.opts.MaxSessionMs {
		return refuseJoin(req.MemberID, protocol.InvalidSessionTimeout)
	}
	var e *entry
	if req.MemberID != "" {
		if e = c.find(group); e == nil {
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

// newMemberID is a member's id as Kafka makes it.
func newMemberID(req *JoinRequest) string {
	name := req.ClientID
	if req.InstanceID != nil {
		name = *req.InstanceID
	}
	return name + "-" + uuid.NewString()
}

// Sync answers a SyncGroup; it may wait for the leader's.
func (c *Coordinator) Sync(group string, req SyncRequest, done <-chan struct{}) SyncResult {
	switch code := c.checkGroup(group, false); code {
	case protocol.None:
	case protocol.CoordinatorLoadInProgress:
		// The rebalance that the member was in is lost: it joins anew.
		return refuseSync(protocol.RebalanceInProgress)
	default:
		return refuseSync(code)
	}
	e := c.find(group)
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

// Heartbeat answers a Heartbeat.
func (c *Coordinator) Heartbeat(group, memberID string, instanceID *string, generation int32) protocol.ErrorCode {
	switch code := c.checkGroup(group, false); code {
	case protocol.None:
	case protocol.CoordinatorLoadInProgress:
		return protocol.None // nothing is known yet; the member shall just go on
	default:
		return code
	}
	e := c.find(group)
	if e == nil {
		return protocol.UnknownMemberID
	}
	c.lock(e)
	defer c.unlock(e)
	code := e.group.Heartbeat(time.Now(), memberID, instanceID, generation)
	c.arm(e)
	return code
}

// Leave answers a LeaveGroup: code for the whole, or one for each member.
func (c *Coordinator) Leave(group string, members []Leaving) (codes []protocol.ErrorCode, code protocol.ErrorCode) {
	if code := c.checkGroup(group, false); code != protocol.None {
		return nil, code
	}
	e := c.find(group)
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
