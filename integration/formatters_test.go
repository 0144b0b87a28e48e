package integration

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// formatterLines read topics with the same contents as the internal topics.
var formatterLines = func() (lines []toolLine) {
	for topic, classes := range map[string][]string{
		"offsets": {
			"org.apache.kafka.tools.consumer.OffsetsMessageFormatter", "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter",
			"kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter", "kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter",
		},
		"transactions": {"org.apache.kafka.tools.consumer.TransactionLogMessageFormatter", "kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter"},
	} {
		for _, class := range classes {
			lines = append(lines, toolLine{script: "kafka-console-consumer", tidy: lineForEach,
				args: "--bootstrap-server {B} --topic " + topic + " --partition 0 --offset earliest --max-messages 7 --timeout-ms 20000 --formatter " + class})
		}
	}
	return lines
}()

// lineForEach puts every JSON object on its own line, since 3.9.1 omits some line breaks.
func lineForEach(text string) string {
	return strings.TrimSuffix(strings.ReplaceAll(text, "}{\"key\"", "}\n{\"key\""), "\n")
}

func TestOurFormattersOfInternalTopicsPrintWhatTheRealOnesPrint(t *testing.T) {
	compareTools(t, "3.9.1", formatterLines, toolSetting{prepare: func(brokers []*broker) { fillLikeInternalTopics(t, brokers[0]) }})
}

func fillLikeInternalTopics(t *testing.T, b *broker) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	b.createTopic("offsets", 1)
	b.createTopic("transactions", 1)
	send := func(topic string, key, value []byte) {
		if err := client.ProduceSync(background(), &kgo.Record{Topic: topic, Key: key, Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	offsetKey := kmsg.OffsetCommitKey{Version: 1, Group: "g", Topic: "a\"b", Partition: 3}
	groupKey := kmsg.GroupMetadataKey{Version: 2, Group: "g"}
	offset := kmsg.OffsetCommitValue{Version: 3, Offset: 42, LeaderEpoch: 5, Metadata: "m", CommitTimestamp: 1600000000000}
	older := kmsg.OffsetCommitValue{Version: 1, Offset: 41, Metadata: "", CommitTimestamp: 1600000000000, ExpireTimestamp: 1600000005000}
	send("offsets", offsetKey.AppendTo(nil), offset.AppendTo(nil))
	send("offsets", offsetKey.AppendTo(nil), older.AppendTo(nil))
	send("offsets", offsetKey.AppendTo(nil), nil)
	subscription := kmsg.ConsumerMemberMetadata{Version: 1, Topics: []string{"t"}}
	group := kmsg.GroupMetadataValue{Version: 3, ProtocolType: "consumer", Generation: 7, Protocol: kmsg.StringPtr("range"), Leader: kmsg.StringPtr("m-1"), CurrentStateTimestamp: 1600000000000,
		Members: []kmsg.GroupMetadataValueMember{{MemberID: "m-1", InstanceID: kmsg.StringPtr("i"), ClientID: "c", ClientHost: "/127.0.0.1", RebalanceTimeoutMillis: 300000, SessionTimeoutMillis: 45000, Subscription: subscription.AppendTo(nil), Assignment: []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}}}
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
