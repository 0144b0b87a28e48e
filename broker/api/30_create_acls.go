package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// CreateAcls answers SECURITY_DISABLED, since no authorizer is configured.
//
// Versions 0 to 3.
func CreateAcls() Handler {
	return Typed(protocol.CreateAcls, 0, 3, func(c *Call, req *kmsg.CreateACLsRequest) (kmsg.Response, error) {
		for _, e := range req.Creations {
			if err := checkACL("entry", e.ResourceType, e.ResourcePatternType, e.Operation, e.PermissionType); err != nil {
				return nil, err
			}
		}
		return nil, alterACLs(c)
	})
}

// alterACLs returns the error of every request that changes access lists.
func alterACLs(c *Call) error {
	if err := c.requireCluster(kmsg.ACLOperationAlter); err != nil {
		return err
	}
	return protocol.Errorf(protocol.SecurityDisabled, "No Authorizer is configured.")
}
