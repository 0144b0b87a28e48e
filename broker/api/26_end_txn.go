package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/transaction"
)

// EndTxn commits or aborts a producer's transaction. It is answered when the decision is stored;
// consumers see it when the markers are written.
//
// Versions 0 to 4. v2 adds PRODUCER_FENCED, v3 is flexible, v4 adds TRANSACTION_ABORTABLE.
func EndTxn(txns Transactions) Handler {
	h := Handler{Key: protocol.EndTxn, Min: 0, Max: 4}
	return Typed(h, func(c *Call, req *kmsg.EndTxnRequest) (kmsg.Response, error) {
		if err := c.requireTransactionalID(kmsg.ACLOperationWrite, req.TransactionalID); err != nil {
			return nil, err
		}
		code := txns.EndTxn(c.Context(), req.TransactionalID, transaction.ProducerIDAndEpoch{ID: req.ProducerID, Epoch: req.ProducerEpoch}, req.Commit)
		resp := kmsg.NewPtrEndTxnResponse()
		resp.ErrorCode = int16(sinceProducerFenced(code, req.Version, 2))
		return resp, nil
	})
}
