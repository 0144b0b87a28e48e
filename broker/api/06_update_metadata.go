package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// UpdateMetadata is how the controller tells this broker about the cluster.
//
// Versions 0 to 8. v5 broker epoch and topics grouped; v6 flexible; v7 topic ids.
// deleted, if not nil, is told of partitions whose topic is being deleted.
func UpdateMetadata(replicas *replication.Manager, deleted func([]metadata.TopicPartition)) Handler {
	return Typed(protocol.UpdateMetadata, 0, 8, func(c *Call, req *kmsg.UpdateMetadataRequest) (kmsg.Response, error) {
		if !c.AllowsCluster(kmsg.ACLOperationClusterAction) {
			return nil, protocol.ClusterAuthorizationFailed
		}
		resp, gone := replicas.UpdateMetadata(req, c.CorrelationID)
		if len(gone) > 0 && deleted != nil {
			deleted(gone)
		}
		return resp, nil
	})
}
