package api

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/protocol"
)

// SyncGroup returns the assignment that the group's leader made for a member. The response is
// delayed until the leader's own request arrives, which contains the assignments.
//
// Versions 0 to 5. v3 adds static members, v4 is flexible, v5 requires the protocol's type and
// name.
func SyncGroup(groups *group.Coordinator, settings Settings) Handler {
	h := Handler{Key: protocol.SyncGroup, Min: 0, Max: 5}
	return Typed(h, func(c *Call, req *kmsg.SyncGroupRequest) (kmsg.Response, error) {
		if err := checkInstance(req.InstanceID, settings); err != nil {
			return nil, err
		}
		if req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) {
			return nil, protocol.InconsistentGroupProtocol
		}
		if err := c.requireGroup(kmsg.ACLOperationRead, req.Group); err != nil {
			return nil, err
		}
		sync := group.SyncRequest{MemberID: req.MemberID, InstanceID: req.InstanceID, Generation: req.Generation,
			ProtocolType: req.ProtocolType, Protocol: req.Protocol, Assignments: make(map[string][]byte, len(req.GroupAssignment))}
		for _, a := range req.GroupAssignment {
			sync.Assignments[a.MemberID] = bytes.Clone(a.MemberAssignment)
		}
		r := groups.Sync(req.Group, sync, c.Done)
		resp := kmsg.NewPtrSyncGroupResponse()
		resp.ErrorCode, resp.ProtocolType, resp.Protocol, resp.MemberAssignment = int16(r.Err), r.ProtocolType, r.Protocol, r.Assignment
		return resp, nil
	})
}
