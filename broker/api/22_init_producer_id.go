package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/transaction"
)

// ProducerIDs allocates producer ids. It is implemented by *producerids.Manager.
type ProducerIDs interface {
	Next(ctx context.Context) (int64, error)
}

// InitProducerId returns a new producer id for an idempotent producer. A transactional producer gets
// the producer id of its transactional id and the next epoch, which fences former producers.
//
// Versions 0 to 5. v3 adds the id and epoch that a producer already has (KIP-360), v4
// PRODUCER_FENCED.
func InitProducerId(ids ProducerIDs, txns Transactions) Handler {
	h := Handler{Key: protocol.InitProducerId, Min: 0, Max: 5, Unthrottled: true, Fail: completed(failInitProducerId)}
	return Typed(h, func(c *Call, req *kmsg.InitProducerIDRequest) (kmsg.Response, error) {
		if err := authorizeProducer(c, req); err != nil {
			return nil, err
		}
		if (req.ProducerID == noProducerID) != (req.ProducerEpoch == noProducerEpoch) {
			return nil, protocol.InvalidRequest
		}
		resp := kmsg.NewPtrInitProducerIDResponse()
		result := initProducer(c, req, ids, txns)
		resp.ErrorCode = int16(sinceProducerFenced(result.Code, req.Version, 4))
		resp.ProducerID, resp.ProducerEpoch = result.ProducerID, result.Epoch
		return resp, nil
	})
}

func initProducer(c *Call, req *kmsg.InitProducerIDRequest, ids ProducerIDs, txns Transactions) transaction.Result {
	if req.TransactionalID == nil {
		id, err := ids.Next(c.Context())
		if err != nil {
			return transaction.Refused(protocol.CodeOf(err))
		}
		return transaction.Result{ProducerID: id}
	}
	var expected *transaction.ProducerIDAndEpoch
	if req.ProducerID != noProducerID {
		expected = &transaction.ProducerIDAndEpoch{ID: req.ProducerID, Epoch: req.ProducerEpoch}
	}
	return txns.InitProducerID(c.Context(), *req.TransactionalID, req.TransactionTimeoutMillis, expected)
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
		return c.requireTransactionalID(kmsg.ACLOperationWrite, *req.TransactionalID)
	case !c.AllowsCluster(kmsg.ACLOperationIdempotentWrite) && !c.access.AllowsAny(c.Peer, kmsg.ACLOperationWrite, kmsg.ACLResourceTypeTopic):
		return protocol.ClusterAuthorizationFailed
	}
	return nil
}
