package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/transaction"
)

// ListTransactions lists the transactional ids that this broker coordinates and that the peer may
// describe (KIP-664).
//
// Versions 0 and 1. v1 adds the filter by duration (KIP-994).
func ListTransactions(txns Transactions) Handler {
	h := Handler{Key: protocol.ListTransactions, Min: 0, Max: 1}
	return Typed(h, func(c *Call, req *kmsg.ListTransactionsRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrListTransactionsResponse()
		f, unknown := listFilter(req)
		list, code := txns.List(f)
		resp.ErrorCode = int16(code)
		if code != protocol.None {
			return resp, nil
		}
		resp.UnknownStateFilters = unknown
		for _, listed := range list {
			if !c.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeTransactionalId, listed.ID) {
				continue
			}
			state := kmsg.NewListTransactionsResponseTransactionState()
			state.TransactionalID, state.ProducerID, state.TransactionState = listed.ID, listed.ProducerID, listed.State.String()
			resp.TransactionStates = append(resp.TransactionStates, state)
		}
		return resp, nil
	})
}

// listFilter returns the filter of a request and the names that are not those of states.
func listFilter(req *kmsg.ListTransactionsRequest) (f transaction.Filter, unknown []string) {
	f.DurationMs = req.DurationFilterMillis
	for _, id := range req.ProducerIDFilters {
		if f.ProducerIDs == nil {
			f.ProducerIDs = map[int64]bool{}
		}
		f.ProducerIDs[id] = true
	}
	for _, name := range unique(req.StateFilters) {
		if f.States == nil {
			f.States = map[transaction.State]bool{}
		}
		if state, known := transaction.StateNamed(name); known {
			f.States[state] = true
		} else {
			unknown = append(unknown, name)
		}
	}
	return f, unknown
}
