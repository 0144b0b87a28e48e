package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/network"
)

// Access decides who may do what: the authorizer.
type Access interface {
	// Allows says whether the peer may do op on the resource of that name.
	Allows(peer *network.Peer, op kmsg.ACLOperation, resource kmsg.ACLResourceType, name string) bool
}

// AllowAll is a broker without an authorizer.
type AllowAll struct{}

// Allows returns true.
func (AllowAll) Allows(*network.Peer, kmsg.ACLOperation, kmsg.ACLResourceType, string) bool { return true }

// clusterResource is the name of the one resource of type cluster.
const clusterResource = "kafka-cluster"
