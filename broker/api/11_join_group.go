package api

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/protocol"
)

// JoinGroup adds a member to a group. The response is delayed until the other members have joined.
//
// Versions 0 to 9. v0 has no rebalance timeout. From v4 on, a dynamic member without an id gets one
// and must join again with it (KIP-394). v5 adds static members, v6 is flexible, v7 adds the
// protocol's type, v8 a reason, v9 static leaders that may skip the assignment.
func JoinGroup(groups *group.Coordinator, settings Settings) Handler {
	h := Handler{Key: protocol.JoinGroup, Min: 0, Max: 9, Fail: completed(failJoinGroup)}
	return Typed(h, func(c *Call, req *kmsg.JoinGroupRequest) (kmsg.Response, error) {
		if err := checkInstance(req.InstanceID, settings); err != nil {
			return nil, err
		}
		if err := c.requireGroup(kmsg.ACLOperationRead, req.Group); err != nil {
			return nil, err
		}
		join := group.JoinRequest{
			MemberID: req.MemberID, InstanceID: req.InstanceID, IDFirst: req.Version >= 4 && req.InstanceID == nil, MaySkipAssignment: req.Version >= 9,
			ClientID: c.ClientIDOrEmpty(), ClientHost: "/" + c.Peer.Host(),
			RebalanceTimeoutMs: req.RebalanceTimeoutMillis, SessionTimeoutMs: req.SessionTimeoutMillis,
			ProtocolType: req.ProtocolType, Reason: valueOrEmpty(req.Reason),
		}
		if req.Version == 0 {
			join.RebalanceTimeoutMs = req.SessionTimeoutMillis
		}
		for _, p := range req.Protocols {
			join.Protocols = append(join.Protocols, group.Protocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)})
		}
		return answerJoin(req.Version, groups.Join(req.Group, join, c.Done)), nil
	})
}

// failJoinGroup sets the protocol, which is not nullable before v7.
func failJoinGroup(_ *kmsg.JoinGroupRequest, resp *kmsg.JoinGroupResponse, _ error) {
	if resp.Version < 7 {
		resp.Protocol = new(string)
	}
}

func answerJoin(version int16, r group.JoinResult) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.ErrorCode, resp.Generation, resp.ProtocolType, resp.Protocol = int16(r.Err), r.Generation, r.ProtocolType, r.Protocol
	resp.LeaderID, resp.SkipAssignment, resp.MemberID = r.Leader, r.SkipAssignment, r.MemberID
	if version < 7 && resp.Protocol == nil {
		resp.Protocol = new(string)
	}
	if version >= 7 && resp.Protocol != nil && *resp.Protocol == "" {
		resp.Protocol = nil
	}
	for _, m := range r.Members {
		member := kmsg.NewJoinGroupResponseMember()
		member.MemberID, member.InstanceID, member.ProtocolMetadata = m.ID, m.InstanceID, m.Metadata
		resp.Members = append(resp.Members, member)
	}
	return resp
}
