package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// ProducerIDAllocator allocates blocks of producer ids. It is implemented by
// *controller.Controller.
type ProducerIDAllocator interface {
	ControllerStatus
	AllocateProducerIDs(broker metadata.BrokerID, brokerEpoch int64, done func(start int64, count int32, err error))
}

// AllocateProducerIds allocates a block of producer ids for a broker. Only the controller serves
// it.
//
// Version 0.
func AllocateProducerIds(allocator ProducerIDAllocator) Handler {
	type block struct {
		start int64
		count int32
		err   error
	}
	h := Handler{Key: protocol.AllocateProducerIds, Min: 0, Max: 0, Sender: Brokers}
	return Typed(h, func(c *Call, req *kmsg.AllocateProducerIDsRequest) (kmsg.Response, error) {
		if err := c.requireCluster(kmsg.ACLOperationClusterAction); err != nil {
			return nil, err
		}
		if !allocator.IsActive() {
			return nil, protocol.NotController
		}
		b, err := callback(c.Context(), func(done func(block)) {
			allocator.AllocateProducerIDs(metadata.BrokerID(req.BrokerID), req.BrokerEpoch, func(start int64, count int32, err error) {
				done(block{start, count, err})
			})
		})
		if err != nil {
			return nil, err
		}
		resp := kmsg.NewPtrAllocateProducerIDsResponse()
		resp.ErrorCode, resp.ProducerIDStart, resp.ProducerIDLen = int16(protocol.CodeOf(b.err)), b.start, b.count
		return resp, nil
	})
}
