package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// ShutdownPreparer moves leadership away from a broker that shuts down. It is implemented by
// *controller.Controller.
type ShutdownPreparer interface {
	ControlledShutdown(broker metadata.BrokerID, brokerEpoch int64, done func(remaining []controller.TopicPartition, err error))
}

// ControlledShutdown moves leadership away from a broker that shuts down. Only the controller
// serves it.
//
// Versions 0 to 3. v2 adds the broker's epoch.
func ControlledShutdown(preparer ShutdownPreparer) Handler {
	h := Handler{Key: protocol.ControlledShutdown, Min: 0, Max: 3, Sender: Brokers}
	return Typed(h, func(c *Call, req *kmsg.ControlledShutdownRequest) (kmsg.Response, error) {
		if err := c.requireCluster(kmsg.ACLOperationClusterAction); err != nil {
			return nil, err
		}
		remaining, refused, err := outcome(c.Context(), func(done func([]controller.TopicPartition, error)) {
			preparer.ControlledShutdown(metadata.BrokerID(req.BrokerID), req.BrokerEpoch, done)
		})
		if err != nil {
			return nil, err
		}
		if refused != nil {
			return nil, refused
		}
		resp := kmsg.NewPtrControlledShutdownResponse()
		for _, tp := range remaining {
			p := kmsg.NewControlledShutdownResponsePartitionsRemaining()
			p.Topic, p.Partition = tp.Topic, tp.Partition
			resp.PartitionsRemaining = append(resp.PartitionsRemaining, p)
		}
		return resp, nil
	})
}
