package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/protocol"
)

// DeleteGroups deletes groups that have no members, together with their offsets.
//
// Versions 0 to 2; v2 flexible.
func DeleteGroups(groups *group.Coordinator) Handler {
	h := Handler{Key: protocol.DeleteGroups, Min: 0, Max: 2, PerEntry: true}
	return Typed(h, func(c *Call, req *kmsg.DeleteGroupsRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrDeleteGroupsResponse()
		for _, name := range unique(req.Groups) {
			g := kmsg.NewDeleteGroupsResponseGroup()
			g.Group = name
			if err := c.requireGroup(kmsg.ACLOperationDelete, name); err != nil {
				g.ErrorCode = int16(protocol.CodeOf(err))
			} else {
				g.ErrorCode = int16(groups.Delete(name))
			}
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil
	})
}
