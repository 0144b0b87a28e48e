package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// DeleteAcls answers SECURITY_DISABLED, since no authorizer is configured.
//
// Versions 0 to 3.
func DeleteAcls() Handler {
	return Typed(protocol.DeleteAcls, 0, 3, func(c *Call, req *kmsg.DeleteACLsRequest) (kmsg.Response, error) {
		for _, f := range req.Filters {
			if err := checkACL("filter", f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType); err != nil {
				return nil, err
			}
		}
		return nil, alterACLs(c)
	})
}
