package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// CreateAcls answers SECURITY_DISABLED, since no authorizer is configured.
//
// Versions 0 to 3.
func CreateAcls() Handler {
	h := Handler{Key: protocol.CreateAcls, Min: 0, Max: 3, PerEntry: true, Fail: completed(failCreateAcls)}
	return Typed(h, func(c *Call, req *kmsg.CreateACLsRequest) (kmsg.Response, error) {
		for _, e := range req.Creations {
			if err := checkACL("entry", e.ResourceType, e.ResourcePatternType, e.Operation, e.PermissionType); err != nil {
				return nil, err
			}
		}
		return nil, alterACLs(c)
	})
}

func failCreateAcls(req *kmsg.CreateACLsRequest, resp *kmsg.CreateACLsResponse, err error) {
	for range req.Creations {
		result := kmsg.NewCreateACLsResponseResult()
		result.ErrorCode, result.ErrorMessage = codeAndMessage(err)
		resp.Results = append(resp.Results, result)
	}
}
