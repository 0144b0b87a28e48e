package console

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
)

// What the producer writes to topic one is what the consumer reads.
func TestTheConsolePrintsWhatTheRealOnePrints(t *testing.T) {
	const (
		produce = "--bootstrap-server {B} --topic one "
		keyed   = produce + "--property parse.key=true --property key.separator=: "
		consume = "--bootstrap-server {B} --topic one "
		all     = consume + "--partition 0 --offset earliest --max-messages 14 --timeout-ms 10000 "
		kept    = "--bootstrap-server {B} --topic kept --partition 0 --offset earliest --max-messages 3 --timeout-ms 10000 "
		decode  = "--property value.deserializer=org.apache.kafka.common.serialization."
	)
	cases := []toolreplay.Case{
		{Name: "produce", Tool: ProducerTool, Args: produce, Stdin: "a\nb\n"},
		{Name: "produce-without-end-of-line", Tool: ProducerTool, Args: produce, Stdin: "c"},
		{Name: "produce-empty-lines", Tool: ProducerTool, Args: produce, Stdin: "\n\n"},
		{Name: "produce-nothing", Tool: ProducerTool, Args: produce},
		{Name: "produce-keys", Tool: ProducerTool, Args: keyed, Stdin: "k1:v1\nk2:v:2\n"},
		{Name: "produce-missing-key", Tool: ProducerTool, Args: keyed, Stdin: "nokey\n"},
		{Name: "produce-missing-key-ignored", Tool: ProducerTool, Args: keyed + "--property ignore.error=true", Stdin: "nokey\nk:v\n"},
		{Name: "produce-headers", Tool: ProducerTool, Args: produce + "--property parse.headers=true", Stdin: "h:x,i:y\tv\n"},
		{Name: "produce-headers-and-keys", Tool: ProducerTool, Stdin: "h=x;i=y|k/v\n",
			Args: produce + "--property parse.headers=true --property parse.key=true --property headers.delimiter=| --property headers.separator=; --property headers.key.separator== --property key.separator=/"},
		{Name: "produce-missing-headers", Tool: ProducerTool, Args: produce + "--property parse.headers=true", Stdin: "v\n"},
		{Name: "produce-header-without-value", Tool: ProducerTool, Args: produce + "--property parse.headers=true", Stdin: "h\tv\n"},
		{Name: "produce-equal-separators", Tool: ProducerTool, Args: keyed + "--property parse.headers=true --property headers.delimiter=:", Stdin: "v\n"},
		{Name: "produce-null", Tool: ProducerTool, Args: produce + "--property null.marker=NULL", Stdin: "NULL\n"},
		{Name: "produce-compressed", Tool: ProducerTool, Args: produce + "--compression-codec gzip --request-required-acks 1", Stdin: "gzip\n"},
		{Name: "produce-synchronously", Tool: ProducerTool, Args: "--broker-list {B} --topic one --sync", Stdin: "s\n"},
		{Name: "produce-reader-config", Tool: ProducerTool, Args: produce + "--reader-config {F}/reader.properties", Stdin: "c:v\n"},
		{Name: "produce-producer-config", Tool: ProducerTool, Args: produce + "--producer.config {F}/producer.properties --producer-property acks=1", Stdin: "p\n"},
		{Name: "produce-invalid-acks", Tool: ProducerTool, Args: produce + "--request-required-acks 5", Stdin: "a\n"},
		{Name: "produce-invalid-topic", Tool: ProducerTool, Args: "--bootstrap-server {B} --topic bad%topic", Stdin: "a\n"},
		{Name: "produce-too-large", Tool: ProducerTool, Args: "--bootstrap-server {B} --topic small", Stdin: strings.Repeat("x", 200) + "\n"},

		{Name: "consume", Tool: ConsumerTool, Args: all},
		{Name: "consume-some", Tool: ConsumerTool, Args: consume + "--from-beginning --max-messages 2"},
		{Name: "consume-from-offset", Tool: ConsumerTool, Args: consume + "--partition 0 --offset 2 --max-messages 1"},
		{Name: "consume-until-timeout", Tool: ConsumerTool, Args: consume + "--partition 0 --offset 12 --timeout-ms {T}"},
		{Name: "consume-from-the-end", Tool: ConsumerTool, Args: consume + "--partition 0 --offset latest --timeout-ms {T}"},
		{Name: "consume-beyond-the-end", Tool: ConsumerTool, Args: consume + "--partition 0 --offset 99 --max-messages 1 --timeout-ms 10000 --consumer-property auto.offset.reset=earliest"},
		{Name: "consume-keys", Tool: ConsumerTool, Args: all + "--property print.key=true"},
		{Name: "consume-everything", Tool: ConsumerTool,
			Args: all + "--property print.key=true --property print.timestamp=true --property print.partition=true --property print.offset=true --property print.headers=true"},
		{Name: "consume-keys-only", Tool: ConsumerTool, Args: all + "--property print.key=true --property print.value=false"},
		{Name: "consume-separators", Tool: ConsumerTool,
			Args: all + "--property print.key=true --property print.headers=true --property key.separator=| --property line.separator=; --property headers.separator=& --property null.literal=nil"},
		{Name: "consume-formatter-config", Tool: ConsumerTool, Args: all + "--formatter-config {F}/formatter.properties"},
		{Name: "consume-unknown-property", Tool: ConsumerTool, Args: all + "--property nosuch=1 --property print.key=maybe"},
		{Name: "consume-silently", Tool: ConsumerTool, Args: all + "--formatter org.apache.kafka.tools.consumer.NoOpMessageFormatter"},
		{Name: "consume-old-formatter", Tool: ConsumerTool, Args: all + "--formatter kafka.tools.DefaultMessageFormatter"},
		{Name: "consume-with-events", Tool: ConsumerTool, Args: all + "--enable-systest-events"},
		{Name: "consume-integers", Tool: ConsumerTool, Args: kept + decode + "IntegerDeserializer"},
		{Name: "consume-longs", Tool: ConsumerTool, Args: kept + decode + "LongDeserializer"},
		{Name: "consume-longs-skip", Tool: ConsumerTool, Args: kept + "--skip-message-on-error " + decode + "LongDeserializer"},
		{Name: "consume-shorts", Tool: ConsumerTool, Args: kept + decode + "ShortDeserializer"},
		{Name: "consume-floats", Tool: ConsumerTool, Args: kept + "--skip-message-on-error " + decode + "FloatDeserializer"},
		{Name: "consume-booleans", Tool: ConsumerTool, Args: kept + decode + "BooleanDeserializer"},
		{Name: "consume-bytes", Tool: ConsumerTool, Args: kept + decode + "BytesDeserializer"},
		{Name: "consume-byte-arrays", Tool: ConsumerTool, Args: kept + "--property print.key=true --property key.deserializer=org.apache.kafka.common.serialization.BytesDeserializer"},
		{Name: "consume-uuids", Tool: ConsumerTool, Args: all + decode + "UUIDDeserializer"},
		{Name: "consume-keys-as-doubles", Tool: ConsumerTool, Args: kept + "--property print.key=true --key-deserializer org.apache.kafka.common.serialization.DoubleDeserializer"},
		{Name: "consume-unknown-deserializer", Tool: ConsumerTool, Args: all + "--property value.deserializer=nosuch.Deserializer"},
		{Name: "consume-committed", Tool: ConsumerTool, Args: "--bootstrap-server {B} --topic txn --partition 0 --offset earliest --isolation-level read_committed --timeout-ms {T}"},
		{Name: "consume-uncommitted", Tool: ConsumerTool, Args: "--bootstrap-server {B} --topic txn --partition 0 --offset earliest --timeout-ms {T}"},
		{Name: "consume-group", Tool: ConsumerTool, Args: consume + "--group g --from-beginning --max-messages 2"},
		{Name: "consume-group-continued", Tool: ConsumerTool, Args: "--bootstrap-server {B} --include on.* --group g --max-messages 2"},
		{Name: "consume-without-offset", Tool: ConsumerTool, Args: consume + "--group none --timeout-ms 10000 --consumer-property auto.offset.reset=none"},
		{Name: "consume-consumer-config", Tool: ConsumerTool, Args: consume + "--consumer.config {F}/consumer.properties --max-messages 1"},
		{Name: "consume-missing-partition", Tool: ConsumerTool, Args: consume + "--partition 7 --offset earliest --timeout-ms {T}"},
		{Name: "consume-invalid-topic", Tool: ConsumerTool, Args: "--bootstrap-server {B} --topic bad%topic --from-beginning --timeout-ms 10000"},
	}
	for _, class := range []string{offsetsFormatterClass, groupFormatterClass, oldOffsetsFormatterClass, oldGroupFormatterClass} {
		cases = append(cases, toolreplay.Case{Name: "format-" + class[strings.LastIndexAny(class, ".")+1:], Tool: ConsumerTool, Tidy: lineForEach,
			Args: "--bootstrap-server {B} --topic offsets --partition 0 --offset earliest --max-messages 7 --timeout-ms 20000 --formatter " + class})
	}
	for _, class := range []string{transactionFormatterClass, oldTransactionFormatterClass} {
		cases = append(cases, toolreplay.Case{Name: "format-" + class[strings.LastIndexAny(class, ".")+1:], Tool: ConsumerTool, Tidy: lineForEach,
			Args: "--bootstrap-server {B} --topic transactions --partition 0 --offset earliest --max-messages 7 --timeout-ms 20000 --formatter " + class})
	}
	for i := range cases {
		if cases[i].Tidy == nil {
			cases[i].Tidy = withoutGroup
		}
	}
	cases = append(cases,
		toolreplay.Case{Name: "produce-not-allowed", Tool: ProducerTool, Args: produce, Stdin: "a\n", Before: []toolreplay.Command{
			toolreplay.ACL("--topic one --operation All --deny-principal User:ANONYMOUS"),
			toolreplay.ACL("--group g --operation All --deny-principal User:ANONYMOUS"),
		}},
		toolreplay.Case{Name: "produce-synchronously-not-allowed", Tool: ProducerTool, Args: produce + "--sync", Stdin: "a\n"},
		toolreplay.Case{Name: "consume-not-allowed", Tool: ConsumerTool, Args: consume + "--partition 0 --offset earliest --timeout-ms 10000", Tidy: withoutGroup},
		toolreplay.Case{Name: "consume-group-not-allowed", Tool: ConsumerTool, Args: "--bootstrap-server {B} --topic small --group g --timeout-ms 10000"},
	)
	toolreplay.Run(t, toolreplay.Suite{
		Files: map[string]string{
			"reader.properties":    "parse.key=true\nkey.separator=:\n",
			"producer.properties":  "client.id=me\nlinger.ms=100\n",
			"formatter.properties": "print.key=true\nprint.offset=true\n",
			"consumer.properties":  "auto.offset.reset=earliest\n",
		},
		Prepare: []toolreplay.Command{
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic one --partitions 1", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic small --partitions 1 --config max.message.bytes=100", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic kept --partitions 1 --config retention.ms=-1", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic txn --partitions 1 --config retention.ms=-1", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic offsets --partitions 1 --config retention.ms=-1", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic transactions --partitions 1 --config retention.ms=-1", ""),
			// This creates the topic of offsets, so no case waits for it.
			toolreplay.Real("kafka-consumer-groups", "--bootstrap-server {B} --timeout 60000 --reset-offsets --group warm --topic one --to-earliest --execute", ""),
		},
		Fill:  fillTopics,
		Cases: cases,
	})
}

// lineForEach puts every JSON object on its own line, since 3.9.1 omits some line breaks.
func lineForEach(text string) string {
	return strings.TrimSuffix(strings.ReplaceAll(text, "}{\"key\"", "}\n{\"key\""), "\n")
}

// withoutGroup removes the group that the real consumer joins if it is given none.
func withoutGroup(text string) string { return randomGroup.ReplaceAllString(text, "") }

var randomGroup = regexp.MustCompile(`, groupId=console-consumer-\d+`)

// fillTopics writes numbers to topic kept, a committed and an aborted transaction to topic txn, and
// to the topics offsets and transactions what the internal topics contain.
func fillTopics(t testing.TB, broker string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.TransactionalID("tx"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	send := func(topic string, key, value []byte) {
		t.Helper()
		r := &kgo.Record{Topic: topic, Key: key, Value: value, Timestamp: time.UnixMilli(1600000000000)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	transaction := func(end kgo.TransactionEndTry, write func()) {
		t.Helper()
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		write()
		if err := client.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	transaction(kgo.TryAbort, func() { send("txn", nil, []byte("aborted")) })
	transaction(kgo.TryCommit, func() {
		send("txn", nil, []byte("committed"))
		send("kept", []byte{0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18}, []byte{0, 0, 0, 1})
		send("kept", nil, []byte{0, 0, 0, 0, 0, 0, 0, 2})
		send("kept", []byte{1}, nil)
		testkit.SendInternalRecords(send)
	})
}
