package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// StopReplica is how the controller ends replicas, for a while or for good.
//
// Versions 0 to 4. v1 broker epoch; v2 flexible; v3 leader epochs, and deletion
// said per partition. Not allowed, the answer is an empty one with the code.
func StopReplica(replicas *replication.Manager) Handler {
	return Typed(protocol.StopReplica, 0, 4, func(c *Call, req *kmsg.StopReplicaRequest) (kmsg.Response, error) {
		if !c.AllowsCluster(kmsg.ACLOperationClusterAction) {
			return nil, protocol.ClusterAuthorizationFailed
		}
		return replicas.StopReplica(req, c.CorrelationID), nil
	})
}
