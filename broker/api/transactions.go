package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/transaction"
)

// Parts that the handlers of transactions share.

// Transactions coordinates transactions. It is implemented by *transaction.Coordinator.
type Transactions interface {
	InitProducerID(ctx context.Context, id string, timeoutMs int32, expected *transaction.ProducerIDAndEpoch) transaction.Result
	// AddPartitions adds partitions to the producer's transaction. It keeps the slice.
	AddPartitions(ctx context.Context, id string, producer transaction.ProducerIDAndEpoch, partitions []transaction.TopicPartition) protocol.ErrorCode
	// Verify returns a code for each partition: None if it belongs to the producer's transaction.
	Verify(id string, producer transaction.ProducerIDAndEpoch, partitions []transaction.TopicPartition) []protocol.ErrorCode
	EndTxn(ctx context.Context, id string, producer transaction.ProducerIDAndEpoch, commit bool) protocol.ErrorCode
	Describe(id string) (transaction.Description, protocol.ErrorCode)
	List(f transaction.Filter) ([]transaction.Listed, protocol.ErrorCode)
}

// sinceProducerFenced replaces PRODUCER_FENCED in answers of versions before first, whose clients do
// not know it (KIP-588).
func sinceProducerFenced(code protocol.ErrorCode, version, first int16) protocol.ErrorCode {
	if code == protocol.ProducerFenced && version < first {
		return protocol.InvalidProducerEpoch
	}
	return code
}

// requireTransactionalID returns TRANSACTIONAL_ID_AUTHORIZATION_FAILED unless the peer may do op on
// the transactional id.
func (c *Call) requireTransactionalID(op kmsg.ACLOperation, id string) error {
	if c.Allows(op, kmsg.ACLResourceTypeTransactionalId, id) {
		return nil
	}
	return protocol.TransactionalIDAuthorizationFailed
}
