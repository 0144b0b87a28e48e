package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/protocol"
)

// DescribeGroups returns the state and the members of groups. A group that does not exist is Dead.
//
// Versions 0 to 5. v3 adds authorized operations, v4 static members, v5 is flexible.
func DescribeGroups(groups *group.Coordinator) Handler {
	h := Handler{Key: protocol.DescribeGroups, Min: 0, Max: 5, PerEntry: true}
	return Typed(h, func(c *Call, req *kmsg.DescribeGroupsRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrDescribeGroupsResponse()
		for _, name := range unique(req.Groups) {
			g := describeGroup(c, groups, name)
			if req.Version >= 3 && req.IncludeAuthorizedOperations && g.ErrorCode == 0 {
				g.AuthorizedOperations = c.authorizedOperations(kmsg.ACLResourceTypeGroup, name)
			}
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil
	})
}

func describeGroup(c *Call, groups *group.Coordinator, name string) kmsg.DescribeGroupsResponseGroup {
	g := kmsg.NewDescribeGroupsResponseGroup()
	g.Group, g.AuthorizedOperations = name, noOperations
	if !c.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeGroup, name) {
		g.ErrorCode = int16(protocol.GroupAuthorizationFailed)
		return g
	}
	d, code := groups.Describe(name)
	g.ErrorCode, g.State, g.ProtocolType, g.Protocol = int16(code), d.State, d.ProtocolType, d.Protocol
	for _, m := range d.Members {
		member := kmsg.NewDescribeGroupsResponseGroupMember()
		member.MemberID, member.InstanceID, member.ClientID, member.ClientHost = m.ID, m.InstanceID, m.ClientID, m.ClientHost
		member.ProtocolMetadata, member.MemberAssignment = m.Metadata, m.Assignment
		g.Members = append(g.Members, member)
	}
	return g
}
