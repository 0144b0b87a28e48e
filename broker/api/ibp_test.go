package api

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// Below 0.11 requests about transactions are refused as a whole. Otherwise each gets an answer of its
// own.
func TestTransactionsNeedAnInterBrokerProtocolThatHasThem(t *testing.T) {
	for ibp, refused := range map[string]bool{"0.10.2-IV0": true, "0.11.0-IV0": false, "3.9": false} {
		txns := newInstantTransactions()
		p := txns.begin("tx")
		cache := metadata.NewCache()
		announce(cache, map[string]int{"t": 2})
		c := newCaller(t, nil, Since("0.11.0-IV0", settings.MustIBP(ibp), EndTxn(txns), AddPartitionsToTxn(txns, cache),
			AddOffsetsToTxn(txns, func(string) int32 { return 0 }))...)
		check := func(what string, code int16, allowed protocol.ErrorCode) {
			t.Helper()
			want := allowed
			if refused {
				want = protocol.UnsupportedVersion
			}
			if protocol.ErrorCode(code) != want {
				t.Errorf("%s: %s: code %d, want %s", ibp, what, code, want.Name())
			}
		}
		end := kmsg.NewPtrEndTxnRequest()
		end.TransactionalID, end.ProducerID, end.ProducerEpoch = "tx", p.ID, p.Epoch
		check("EndTxn", call[*kmsg.EndTxnResponse](c, 3, end).ErrorCode, protocol.InvalidTxnState)
		offsets := kmsg.NewPtrAddOffsetsToTxnRequest()
		offsets.TransactionalID, offsets.Group, offsets.ProducerID, offsets.ProducerEpoch = "tx", "g", p.ID, p.Epoch
		check("AddOffsetsToTxn", call[*kmsg.AddOffsetsToTxnResponse](c, 3, offsets).ErrorCode, protocol.None)
		add := kmsg.NewPtrAddPartitionsToTxnRequest()
		add.TransactionalID, add.ProducerID, add.ProducerEpoch = "tx", p.ID, p.Epoch
		add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "t", Partitions: []int32{0, 1}}}
		for _, p := range call[*kmsg.AddPartitionsToTxnResponse](c, 3, add).Topics[0].Partitions {
			check("AddPartitionsToTxn v3", p.ErrorCode, protocol.None)
		}
		if refused {
			add.Transactions = []kmsg.AddPartitionsToTxnRequestTransaction{{TransactionalID: "tx"}}
			check("AddPartitionsToTxn v4", call[*kmsg.AddPartitionsToTxnResponse](c, 4, add).ErrorCode, protocol.None)
			c.registry.Register(Since("0.11.0-IV0", settings.MustIBP(ibp), TxnOffsetCommit(nil, cache), WriteTxnMarkers(nil, nil, nil))...)
			check("TxnOffsetCommit", call[*kmsg.TxnOffsetCommitResponse](c, 3, txnOffsets()).Topics[0].Partitions[0].ErrorCode, protocol.None)
			check("WriteTxnMarkers", call[*kmsg.WriteTxnMarkersResponse](c, 1, txnMarkers()).Markers[0].Topics[0].Partitions[0].ErrorCode, protocol.None)
		}
	}
}

func txnOffsets() *kmsg.TxnOffsetCommitRequest {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: make([]kmsg.TxnOffsetCommitRequestTopicPartition, 1)}}
	return req
}

func txnMarkers() *kmsg.WriteTxnMarkersRequest {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = []kmsg.WriteTxnMarkersRequestMarker{{Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "t", Partitions: []int32{0}}}}}
	return req
}
