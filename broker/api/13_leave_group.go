package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/protocol"
)

// LeaveGroup removes members from a group.
//
// Versions 0 to 5. v0 to v2 remove one member, whose code is that of the whole answer. v3 removes
// several, v4 is flexible, v5 adds reasons.
func LeaveGroup(groups *group.Coordinator) Handler {
	h := Handler{Key: protocol.LeaveGroup, Min: 0, Max: 5}
	return Typed(h, func(c *Call, req *kmsg.LeaveGroupRequest) (kmsg.Response, error) {
		if err := c.requireGroup(kmsg.ACLOperationRead, req.Group); err != nil {
			return nil, err
		}
		leaving := []group.Leaving{{MemberID: req.MemberID}}
		if req.Version >= 3 {
			leaving = leaving[:0]
			for _, m := range req.Members {
				leaving = append(leaving, group.Leaving{MemberID: m.MemberID, InstanceID: m.InstanceID, Reason: m.Reason})
			}
		}
		resp := kmsg.NewPtrLeaveGroupResponse()
		codes, code := groups.Leave(req.Group, leaving)
		if resp.ErrorCode = int16(code); code != protocol.None {
			return resp, nil
		}
		if req.Version < 3 {
			resp.ErrorCode = int16(codes[0])
			return resp, nil
		}
		for i, l := range leaving {
			m := kmsg.NewLeaveGroupResponseMember()
			m.MemberID, m.InstanceID, m.ErrorCode = l.MemberID, l.InstanceID, int16(codes[i])
			resp.Members = append(resp.Members, m)
		}
		return resp, nil
	})
}
