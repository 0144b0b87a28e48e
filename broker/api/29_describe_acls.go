package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// DescribeAcls tells that there is no authorizer, and so no access lists.
//
// Versions 0 to 3.
func DescribeAcls() Handler {
	return Typed(protocol.DescribeAcls, 0, 3, func(c *Call, _ *kmsg.DescribeACLsRequest) (kmsg.Response, error) {
		if err := c.requireCluster(kmsg.ACLOperationDescribe); err != nil {
			return nil, err
		}
		return nil, protocol.Errorf(protocol.SecurityDisabled, "No Authorizer is configured on the broker")
	})
}
