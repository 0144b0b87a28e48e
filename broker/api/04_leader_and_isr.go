package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// LeaderAndIsr is how the controller gives this broker its roles.
//
// Versions 0 to 7, by the controller's inter.broker.protocol.version. v2 broker
// epoch; v4 flexible; v5 topic ids; v6 leader recovery state.
func LeaderAndIsr(replicas *replication.Manager) Handler {
	return Typed(protocol.LeaderAndIsr, 0, 7, func(c *Call, req *kmsg.LeaderAndISRRequest) (kmsg.Response, error) {
		if !c.AllowsCluster(kmsg.ACLOperationClusterAction) {
			return nil, protocol.ClusterAuthorizationFailed
		}
		return replicas.BecomeLeaderOrFollower(req, c.CorrelationID), nil
	})
}
