package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// Parts that the handlers of access lists share.

// checkACL refuses an entry or filter of access lists that has an UNKNOWN element, as Kafka does
// when it parses the request.
func checkACL(what string, resource kmsg.ACLResourceType, pattern kmsg.ACLResourcePatternType, op kmsg.ACLOperation, permission kmsg.ACLPermissionType) error {
	if resource == kmsg.ACLResourceTypeUnknown || pattern == kmsg.ACLResourcePatternTypeUnknown ||
		op == kmsg.ACLOperationUnknown || permission == kmsg.ACLPermissionTypeUnknown {
		return &unreadable{"the " + what + " of an access list contains UNKNOWN elements"}
	}
	return nil
}

// alterACLs returns the error of every request that changes access lists.
func alterACLs(c *Call) error {
	if err := c.requireCluster(kmsg.ACLOperationAlter); err != nil {
		return err
	}
	return protocol.Errorf(protocol.SecurityDisabled, "No Authorizer is configured.")
}
