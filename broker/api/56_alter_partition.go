package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// PartitionAlterer changes in-sync sets. It is implemented by *controller.Controller.
type PartitionAlterer interface {
	ControllerStatus
	AlterPartition(req *kmsg.AlterPartitionRequest, done func(*kmsg.AlterPartitionResponse))
}

// AlterPartition changes in-sync sets at the request of the partitions' leaders. Only the
// controller does it.
//
// Versions 0 to 3. v2 names topics by id, v3 adds the brokers' epochs.
func AlterPartition(alterer PartitionAlterer) Handler {
	h := Handler{Key: protocol.AlterPartition, Min: 0, Max: 3, Sender: Brokers}
	return Typed(h, func(c *Call, req *kmsg.AlterPartitionRequest) (kmsg.Response, error) {
		if err := c.requireCluster(kmsg.ACLOperationClusterAction); err != nil {
			return nil, err
		}
		if !alterer.IsActive() {
			return nil, protocol.NotController
		}
		resp, err := callback(c.Context(), func(done func(*kmsg.AlterPartitionResponse)) { alterer.AlterPartition(req, done) })
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}
