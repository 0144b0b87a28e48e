package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/protocol"
)

// Heartbeat keeps a member's session alive and informs the member of rebalances.
//
// Versions 0 to 4. v3 adds static members, v4 is flexible.
func Heartbeat(groups *group.Coordinator, settings Settings) Handler {
	h := Handler{Key: protocol.Heartbeat, Min: 0, Max: 4}
	return Typed(h, func(c *Call, req *kmsg.HeartbeatRequest) (kmsg.Response, error) {
		if err := checkInstance(req.InstanceID, settings); err != nil {
			return nil, err
		}
		if err := c.requireGroup(kmsg.ACLOperationRead, req.Group); err != nil {
			return nil, err
		}
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = int16(groups.Heartbeat(req.Group, req.MemberID, req.InstanceID, req.Generation))
		return resp, nil
	})
}
