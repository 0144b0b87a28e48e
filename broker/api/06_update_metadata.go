package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// UpdateMetadata updates what this broker knows about the cluster, as the controller sends it.
// deleted, if not nil, is called with the partitions of topics that are being deleted.
//
// Versions 0 to 8. v5 adds the broker epoch and groups partitions by topic, v6 is flexible, v7
// adds topic ids.
func UpdateMetadata(replicas *replication.Manager, deleted func([]metadata.TopicPartition)) Handler {
	h := Handler{Key: protocol.UpdateMetadata, Min: 0, Max: 8, Sender: Controller}
	return Typed(h, func(c *Call, req *kmsg.UpdateMetadataRequest) (kmsg.Response, error) {
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
