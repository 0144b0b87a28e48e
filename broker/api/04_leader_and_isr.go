package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// LeaderAndIsr makes this broker leader or follower of partitions, as the controller decides.
//
// Versions 0 to 7; the controller's inter.broker.protocol.version selects one. v2 adds the broker
// epoch, v4 is flexible, v5 adds topic ids, v6 the leader recovery state.
func LeaderAndIsr(replicas *replication.Manager) Handler {
	return Typed(protocol.LeaderAndIsr, 0, 7, func(c *Call, req *kmsg.LeaderAndISRRequest) (kmsg.Response, error) {
		if !c.AllowsCluster(kmsg.ACLOperationClusterAction) {
			return nil, protocol.ClusterAuthorizationFailed
		}
		return replicas.BecomeLeaderOrFollower(req, c.CorrelationID), nil
	})
}
