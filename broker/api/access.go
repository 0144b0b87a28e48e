package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/network"
)

// Access is the authorizer. An incremental fetch does not check partitions that its session keeps
// unchanged, so an authorizer whose answers change must end the fetch sessions of the peers
// concerned.
type Access interface {
	// Allows reports whether the peer may do op on the resource with that name.
	Allows(peer *network.Peer, op kmsg.ACLOperation, resource kmsg.ACLResourceType, name string) bool
	// AllowsAny reports whether the peer may do op on at least one resource of the type.
	AllowsAny(peer *network.Peer, op kmsg.ACLOperation, resource kmsg.ACLResourceType) bool
}

// AllowAll is the Access of a broker without an authorizer: it allows everything.
type AllowAll struct{}

// Allows returns true.
func (AllowAll) Allows(*network.Peer, kmsg.ACLOperation, kmsg.ACLResourceType, string) bool {
	return true
}

// AllowsAny returns true.
func (AllowAll) AllowsAny(*network.Peer, kmsg.ACLOperation, kmsg.ACLResourceType) bool { return true }

// clusterResource is the name of the only resource of type cluster.
const clusterResource = "kafka-cluster"

// noOperations is the value of authorized operations if the request did not ask for them.
const noOperations = -2147483648

// supportedOperations lists the operations that apply to each type of resource.
var supportedOperations = map[kmsg.ACLResourceType][]kmsg.ACLOperation{
	kmsg.ACLResourceTypeTopic: {kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate, kmsg.ACLOperationDescribe,
		kmsg.ACLOperationDelete, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs},
	kmsg.ACLResourceTypeGroup: {kmsg.ACLOperationRead, kmsg.ACLOperationDescribe, kmsg.ACLOperationDelete},
	kmsg.ACLResourceTypeCluster: {kmsg.ACLOperationCreate, kmsg.ACLOperationClusterAction, kmsg.ACLOperationDescribeConfigs,
		kmsg.ACLOperationAlterConfigs, kmsg.ACLOperationIdempotentWrite, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe},
}

// authorizedOperations returns the operations that the peer may do on a resource, as a bit set by
// the operations' numbers.
func (c *Call) authorizedOperations(resource kmsg.ACLResourceType, name string) int32 {
	var bits int32
	for _, op := range supportedOperations[resource] {
		if c.Allows(op, resource, name) {
			bits |= 1 << op
		}
	}
	return bits
}

// clusterOperations returns the operations that the peer is allowed on the cluster: none if it is
// not allowed to describe the cluster.
func (c *Call) clusterOperations() int32 {
	if !c.AllowsCluster(kmsg.ACLOperationDescribe) {
		return 0
	}
	return c.authorizedOperations(kmsg.ACLResourceTypeCluster, clusterResource)
}
