package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// StopReplica stops replicas of this broker and may delete them, as the controller decides.
//
// Versions 0 to 4. v1 adds the broker epoch, v2 is flexible, v3 adds leader epochs and decides
// about deletion for each partition. A peer without permission gets an answer that has only the
// code.
func StopReplica(replicas *replication.Manager) Handler {
	return Typed(protocol.StopReplica, 0, 4, func(c *Call, req *kmsg.StopReplicaRequest) (kmsg.Response, error) {
		if !c.AllowsCluster(kmsg.ACLOperationClusterAction) {
			return nil, protocol.ClusterAuthorizationFailed
		}
		return replicas.StopReplica(req, c.CorrelationID), nil
	})
}
