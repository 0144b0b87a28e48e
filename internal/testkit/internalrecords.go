package testkit

import "github.com/twmb/franz-go/pkg/kmsg"

// SendInternalRecords sends the kinds of records that internal topics contain, deletions and unknown
// ones included: those of the offsets topic to topic "offsets", those of the transaction state topic
// to topic "transactions".
func SendInternalRecords(send func(topic string, key, value []byte)) {
	offsetKey := kmsg.OffsetCommitKey{Version: 1, Group: "g", Topic: "a\"b", Partition: 3}
	groupKey := kmsg.GroupMetadataKey{Version: 2, Group: "g"}
	offset := kmsg.OffsetCommitValue{Version: 3, Offset: 42, LeaderEpoch: 5, Metadata: "m", CommitTimestamp: 1600000000000}
	older := kmsg.OffsetCommitValue{Version: 1, Offset: 41, Metadata: "", CommitTimestamp: 1600000000000, ExpireTimestamp: 1600000005000}
	send("offsets", offsetKey.AppendTo(nil), offset.AppendTo(nil))
	send("offsets", offsetKey.AppendTo(nil), older.AppendTo(nil))
	send("offsets", offsetKey.AppendTo(nil), nil)
	subscription := kmsg.ConsumerMemberMetadata{Version: 1, Topics: []string{"t"}}
	group := kmsg.GroupMetadataValue{Version: 3, ProtocolType: "consumer", Generation: 7, Protocol: kmsg.StringPtr("range"), Leader: kmsg.StringPtr("m-1"), CurrentStateTimestamp: 1600000000000,
		Members: []kmsg.GroupMetadataValueMember{{MemberID: "m-1", InstanceID: kmsg.StringPtr("i"), ClientID: "c", ClientHost: "/127.0.0.1", RebalanceTimeoutMillis: 300000,
			SessionTimeoutMillis: 45000, Subscription: subscription.AppendTo(nil), Assignment: []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}}}
	send("offsets", groupKey.AppendTo(nil), group.AppendTo(nil))
	empty := kmsg.GroupMetadataValue{Version: 3, ProtocolType: "consumer", Generation: 8, CurrentStateTimestamp: 1600000000000}
	send("offsets", groupKey.AppendTo(nil), empty.AppendTo(nil))
	send("offsets", groupKey.AppendTo(nil), nil)
	send("offsets", nil, []byte{0, 9, 1})

	txnKey := kmsg.TxnMetadataKey{TransactionalID: "tx-1"}
	for state := range int8(5) {
		txn := kmsg.TxnMetadataValue{ProducerID: 9, ProducerEpoch: 2, TimeoutMillis: 60000, State: kmsg.TransactionState(state), LastUpdateTimestamp: 1600000000000, StartTimestamp: -1}
		if state > 0 {
			txn.Topics = []kmsg.TxnMetadataValueTopic{{Topic: "t", Partitions: []int32{4}}}
		}
		send("transactions", txnKey.AppendTo(nil), txn.AppendTo(nil))
	}
	send("transactions", txnKey.AppendTo(nil), nil)
	send("transactions", []byte{0, 7, 1}, nil)
}
