package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// DescribeAcls answers SECURITY_DISABLED, since no authorizer is configured.
//
// Versions 0 to 3.
func DescribeAcls() Handler {
	h := Handler{Key: protocol.DescribeAcls, Min: 0, Max: 3}
	return Typed(h, func(c *Call, req *kmsg.DescribeACLsRequest) (kmsg.Response, error) {
		if err := checkACL("filter", req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType); err != nil {
			return nil, err
		}
		if err := c.requireCluster(kmsg.ACLOperationDescribe); err != nil {
			return nil, err
		}
		return nil, protocol.Errorf(protocol.SecurityDisabled, "No Authorizer is configured on the broker")
	})
}
