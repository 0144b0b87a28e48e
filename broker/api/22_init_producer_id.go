package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// ProducerIDs allocates producer ids. It is implemented by *producerids.Manager.
type ProducerIDs interface {
	Next(ctx context.Context) (int64, error)
}

// InitProducerId returns a new producer id for an idempotent producer. Transactional producers are
// refused with COORDINATOR_NOT_AVAILABLE, which makes them try again.
//
// Versions 0 to 5. v3 adds the id and epoch that a producer already has.
func InitProducerId(ids ProducerIDs, config Settings) Handler {
	h := Handler{Key: protocol.InitProducerId, Min: 0, Max: 5, Unthrottled: true, Fail: completed(failInitProducerId)}
	return Typed(h, func(c *Call, req *kmsg.InitProducerIDRequest) (kmsg.Response, error) {
		if err := authorizeProducer(c, req); err != nil {
			return nil, err
		}
		if (req.ProducerID == noProducerID) != (req.ProducerEpoch == noProducerEpoch) {
			return nil, protocol.InvalidRequest
		}
		resp := kmsg.NewPtrInitProducerIDResponse()
		if err := checkTransactional(req, config); err != nil {
			resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = int16(protocol.CodeOf(err)), noProducerID, noProducerEpoch
			return resp, nil
		}
		id, err := ids.Next(c.Context())
		if err != nil {
			resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = int16(protocol.CodeOf(err)), noProducerID, noProducerEpoch
			return resp, nil
		}
		resp.ProducerID = id
		return resp, nil
	})
}

func failInitProducerId(_ *kmsg.InitProducerIDRequest, resp *kmsg.InitProducerIDResponse, _ error) {
	resp.ProducerID, resp.ProducerEpoch = noProducerID, noProducerEpoch
}

const (
	noProducerID    = -1
	noProducerEpoch = -1
)

func authorizeProducer(c *Call, req *kmsg.InitProducerIDRequest) error {
	switch {
	case req.TransactionalID != nil:
		if !c.Allows(kmsg.ACLOperationWrite, kmsg.ACLResourceTypeTransactionalId, *req.TransactionalID) {
			return protocol.TransactionalIDAuthorizationFailed
		}
	case !c.AllowsCluster(kmsg.ACLOperationIdempotentWrite) && !c.access.AllowsAny(c.Peer, kmsg.ACLOperationWrite, kmsg.ACLResourceTypeTopic):
		return protocol.ClusterAuthorizationFailed
	}
	return nil
}

// checkTransactional refuses transactional producers, after Kafka's checks in Kafka's order.
func checkTransactional(req *kmsg.InitProducerIDRequest, config Settings) error {
	switch {
	case req.TransactionalID == nil:
		return nil
	case *req.TransactionalID == "":
		return protocol.InvalidRequest
	case req.TransactionTimeoutMillis <= 0 || req.TransactionTimeoutMillis > settings.TransactionMaxTimeoutMs.Of(config.Current()):
		return protocol.InvalidTransactionTimeout
	}
	return protocol.CoordinatorNotAvailable
}
