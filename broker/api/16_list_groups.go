package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/protocol"
)

// ListGroups lists the groups that this broker coordinates.
//
// Versions 0 to 5. v3 is flexible, v4 adds states, v5 types.
func ListGroups(groups *group.Coordinator) Handler {
	h := Handler{Key: protocol.ListGroups, Min: 0, Max: 5}
	return Typed(h, func(c *Call, req *kmsg.ListGroupsRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrListGroupsResponse()
		list, code := groups.List(req.StatesFilter, req.TypesFilter)
		resp.ErrorCode = int16(code)
		all := c.AllowsCluster(kmsg.ACLOperationDescribe)
		for _, o := range list {
			if !all && !c.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeGroup, o.ID) {
				continue
			}
			g := kmsg.NewListGroupsResponseGroup()
			g.Group, g.ProtocolType, g.GroupState, g.GroupType = o.ID, o.ProtocolType, o.State, o.Type
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil
	})
}
