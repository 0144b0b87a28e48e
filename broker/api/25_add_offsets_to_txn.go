package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/transaction"
)

// AddOffsetsToTxn adds a group's partition of the offsets topic to a producer's transaction, so that
// TxnOffsetCommit may commit offsets in it.
//
// Versions 0 to 4. v2 adds PRODUCER_FENCED, v3 is flexible, v4 adds TRANSACTION_ABORTABLE.
func AddOffsetsToTxn(txns Transactions, groupPartition func(group string) int32) Handler {
	h := Handler{Key: protocol.AddOffsetsToTxn, Min: 0, Max: 4}
	return Typed(h, func(c *Call, req *kmsg.AddOffsetsToTxnRequest) (kmsg.Response, error) {
		if err := c.requireTransactionalID(kmsg.ACLOperationWrite, req.TransactionalID); err != nil {
			return nil, err
		}
		if err := c.requireGroup(kmsg.ACLOperationRead, req.Group); err != nil {
			return nil, err
		}
		code := txns.AddPartitions(c.Context(), req.TransactionalID, transaction.ProducerIDAndEpoch{ID: req.ProducerID, Epoch: req.ProducerEpoch},
			[]transaction.TopicPartition{{Topic: metadata.GroupOffsetsTopic, Partition: groupPartition(req.Group)}})
		resp := kmsg.NewPtrAddOffsetsToTxnResponse()
		resp.ErrorCode = int16(sinceProducerFenced(code, req.Version, 2))
		return resp, nil
	})
}
