package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/network"
)

// Access decides who may do what: the authorizer. Partitions at rest in a fetch
// session are not asked about again in every round: an authorizer whose answers
// change has to end the sessions of those concerned.
type Access interface {
	// Allows says whether the peer may do op on the resource of that name.
	Allows(peer *network.Peer, op kmsg.ACLOperation, resource kmsg.ACLResourceType, name string) bool
	// AllowsAny says whether the peer may do op on some resource of the type.
	AllowsAny(peer *network.Peer, op kmsg.ACLOperation, resource kmsg.ACLResourceType) bool
}

// AllowAll is a broker without an authorizer.
type AllowAll struct{}

// Allows returns true.
func (AllowAll) Allows(*network.Peer, kmsg.ACLOperation, kmsg.ACLResourceType, string) bool {
	return true
}

// AllowsAny returns true.
func (AllowAll) AllowsAny(*network.Peer, kmsg.ACLOperation, kmsg.ACLResourceType) bool { return true }

// clusterResource is the name of the one resource of type cluster.
const clusterResource = "kafka-cluster"

// noOperations is what answers say where authorized operations were not asked for.
const noOperations = -2147483648

// supportedOperations are the operations that make sense on a type of resource.
var supportedOperations = map[kmsg.ACLResourceType][]kmsg.ACLOperation{
	kmsg.ACLResourceTypeTopic: {kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate, kmsg.ACLOperationDescribe,
		kmsg.ACLOperationDelete, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs},
	kmsg.ACLResourceTypeGroup: {kmsg.ACLOperationRead, kmsg.ACLOperationDescribe, kmsg.ACLOperationDelete},
	kmsg.ACLResourceTypeCluster: {kmsg.ACLOperationCreate, kmsg.ACLOperationClusterAction, kmsg.ACLOperationDescribeConfigs,
		kmsg.ACLOperationAlterConfigs, kmsg.ACLOperationIdempotentWrite, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe},
}

// authorizedOperations returns what the peer may do on a resource, a bit for
// each operation's number.
func (c *Call) authorizedOperations(resource kmsg.ACLResourceType, name string) int32 {
	var bits int32
	for _, op := range supportedOperations[resource] {
		if c.Allows(op, resource, name) {
			bits |= 1 << op
		}
	}
	return bits
}

// clusterOperations is authorizedOperations on the cluster: none for a peer
// that may not describe it.
func (c *Call) clusterOperations() int32 {
	if !c.AllowsCluster(kmsg.ACLOperationDescribe) {
		return 0
	}
	return c.authorizedOperations(kmsg.ACLResourceTypeCluster, clusterResource)
}
