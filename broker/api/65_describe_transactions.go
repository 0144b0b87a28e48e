package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// DescribeTransactions returns the states of transactional ids (KIP-664). Topics that the peer may
// not describe are left out.
//
// Version 0.
func DescribeTransactions(txns Transactions) Handler {
	h := Handler{Key: protocol.DescribeTransactions, Min: 0, Max: 0, PerEntry: true, Fail: completed(failDescribeTransactions)}
	return Typed(h, func(c *Call, req *kmsg.DescribeTransactionsRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrDescribeTransactionsResponse()
		for _, id := range req.TransactionalIDs {
			resp.TransactionStates = append(resp.TransactionStates, describeTransaction(c, txns, id))
		}
		return resp, nil
	})
}

func failDescribeTransactions(req *kmsg.DescribeTransactionsRequest, resp *kmsg.DescribeTransactionsResponse, err error) {
	for _, id := range req.TransactionalIDs {
		state := kmsg.NewDescribeTransactionsResponseTransactionState()
		state.TransactionalID, state.ErrorCode = id, int16(protocol.CodeOf(err))
		resp.TransactionStates = append(resp.TransactionStates, state)
	}
}

func describeTransaction(c *Call, txns Transactions, id string) kmsg.DescribeTransactionsResponseTransactionState {
	state := kmsg.NewDescribeTransactionsResponseTransactionState()
	state.TransactionalID = id
	if err := c.requireTransactionalID(kmsg.ACLOperationDescribe, id); err != nil {
		state.ErrorCode = int16(protocol.CodeOf(err))
		return state
	}
	d, code := txns.Describe(id)
	state.ErrorCode = int16(code)
	if code != protocol.None {
		return state
	}
	state.State, state.TimeoutMillis, state.StartTimestamp = d.State.String(), d.TimeoutMs, d.StartMs
	state.ProducerID, state.ProducerEpoch = d.ProducerID, d.Epoch
	topics := places[string]{}
	for _, p := range d.Partitions {
		if _, known := topics[p.Topic]; !known && !c.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeTopic, p.Topic) {
			continue
		}
		topic := entryOf(&state.Topics, topics, p.Topic)
		topic.Topic = p.Topic
		topic.Partitions = append(topic.Partitions, p.Partition)
	}
	return state
}
