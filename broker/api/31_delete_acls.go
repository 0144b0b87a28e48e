package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// DeleteAcls answers SECURITY_DISABLED, since no authorizer is configured.
//
// Versions 0 to 3.
func DeleteAcls() Handler {
	h := Handler{Key: protocol.DeleteAcls, Min: 0, Max: 3, PerEntry: true, Fail: completed(failDeleteAcls)}
	return Typed(h, func(c *Call, req *kmsg.DeleteACLsRequest) (kmsg.Response, error) {
		for _, f := range req.Filters {
			if err := checkACL("filter", f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType); err != nil {
				return nil, err
			}
		}
		return nil, alterACLs(c)
	})
}

func failDeleteAcls(req *kmsg.DeleteACLsRequest, resp *kmsg.DeleteACLsResponse, err error) {
	for range req.Filters {
		result := kmsg.NewDeleteACLsResponseResult()
		result.ErrorCode, result.ErrorMessage = codeAndMessage(err)
		resp.Results = append(resp.Results, result)
	}
}
