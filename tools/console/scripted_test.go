package console

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/protocol"
)

func TestTheProducerSendsLines(t *testing.T) {
	const keyed = "--property parse.key=true --property key.separator=: "
	for _, test := range []struct {
		name, args, stdin string
		codes             []protocol.ErrorCode // of Produce responses
		written           []string
		want              string
	}{
		{"lines", "", "a\nb\n", nil, []string{"null=a", "null=b"}, `[out]
[err]
[exit] 0
`},
		{"a last line without a newline", "", "a\nb", nil, []string{"null=a", "null=b"}, `[out]
[err]
[exit] 0
`},
		{"empty lines", "", "\n\n", nil, []string{"null=", "null="}, `[out]
[err]
[exit] 0
`},
		{"no lines", "", "", nil, nil, `[out]
[err]
[exit] 0
`},
		{"keys", keyed, "k1:v1\nk2:v:2\n", nil, []string{"k1=v1", "k2=v:2"}, `[out]
[err]
[exit] 0
`},
		{"a missing key", keyed, "nokey\n", nil, nil, `[out]
[err] org.apache.kafka.common.KafkaException: No key separator found on line number 1: 'nokey'
[exit] 1
`},
		{"missing keys that are ignored", keyed + "--property ignore.error=true", "nokey\nk:v\n", nil, []string{"null=nokey", "k=v"}, `[out]
[err]
[exit] 0
`},
		{"headers", "--property parse.headers=true", "h1:a,h2:b\tv\n", nil, []string{"null=v[h1:a][h2:b]"}, `[out]
[err]
[exit] 0
`},
		{"headers and keys", keyed + "--property parse.headers=true", "h:x\tk:v\n", nil, []string{"k=v[h:x]"}, `[out]
[err]
[exit] 0
`},
		{"null values", "--property null.marker=NULL", "NULL\na\n", nil, []string{"null=null", "null=a"}, `[out]
[err]
[exit] 0
`},
		{"one acknowledgement", "--request-required-acks 1", "a\n", nil, []string{"null=a"}, `[out]
[err]
[exit] 0
`},
		{"compression", "--compression-codec gzip", "a\n", nil, []string{"null=a"}, `[out]
[err]
[exit] 0
`},
		{"synchronous sends", "--sync", "a\n", nil, []string{"null=a"}, `[out]
[err]
[exit] 0
`},
		{"no permission to write", "", "a\n", []protocol.ErrorCode{protocol.TopicAuthorizationFailed}, nil, `[out]
[err] * ERROR Error when sending message to topic one with key: null, value: 1 bytes with error: (org.apache.kafka.clients.producer.internals.ErrorLoggingCallback)
[err] org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [one]
[exit] 0
`},
		{"a record that is too large", "", "a\n", []protocol.ErrorCode{protocol.MessageTooLarge}, nil, `[out]
[err] * ERROR Error when sending message to topic one with key: null, value: 1 bytes with error: (org.apache.kafka.clients.producer.internals.ErrorLoggingCallback)
[err] org.apache.kafka.common.errors.RecordTooLargeException: The request included a message larger than the max message size the server will accept.
[exit] 0
`},
		{"a leader that has moved", "", "a\n", []protocol.ErrorCode{protocol.NotLeaderOrFollower}, []string{"null=a"}, `[out]
[err]
[exit] 0
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs := toolreplay.NewLogs(t, "one")
			logs.Fail(protocol.Produce, test.codes...)
			have := play(t, toolreplay.Case{Tool: ProducerTool, Args: "--bootstrap-server {B} --topic one " + test.args, Stdin: test.stdin}, logs)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			if written := logs.Written("one"); !slices.Equal(written, test.written) {
				t.Errorf("written %q, want %q", written, test.written)
			}
		})
	}
}

func play(t *testing.T, c toolreplay.Case, logs *toolreplay.Logs) string {
	t.Helper()
	return toolreplay.Scripted(t, c, nil, func(req kmsg.Request) kmsg.Response { return logs.Answer(req) })
}

func TestTheConsumerPrintsRecords(t *testing.T) {
	const all = "--partition 0 --offset earliest --max-messages 3 "
	for _, test := range []struct {
		name, args string
		key        protocol.APIKey // the next responses to it have codes
		codes      []protocol.ErrorCode
		want       string
	}{
		{"values", all, 0, nil, `[out] v1
[out] v2
[out] v3
[err] Processed a total of 3 messages
[exit] 0
`},
		{"some values", "--partition 0 --offset earliest --max-messages 2", 0, nil, `[out] v1
[out] v2
[err] Processed a total of 2 messages
[exit] 0
`},
		{"from an offset", "--partition 0 --offset 2 --max-messages 1", 0, nil, `[out] v3
[err] Processed a total of 1 messages
[exit] 0
`},
		{"until no more records come", "--partition 0 --offset 1 --timeout-ms 300", 0, nil, `[out] v2
[out] v3
[err] * ERROR Error processing message, terminating consumer process:  (org.apache.kafka.tools.consumer.ConsoleConsumer)
[err] org.apache.kafka.common.errors.TimeoutException
[err] Processed a total of 2 messages
[exit] 0
`},
		{"from the end", "--partition 0 --timeout-ms 300", 0, nil, `[out]
[err] * ERROR Error processing message, terminating consumer process:  (org.apache.kafka.tools.consumer.ConsoleConsumer)
[err] org.apache.kafka.common.errors.TimeoutException
[err] Processed a total of 0 messages
[exit] 0
`},
		{"without a partition", "--from-beginning --max-messages 3", 0, nil, `[out] v1
[out] v2
[out] v3
[err] Processed a total of 3 messages
[exit] 0
`},
		{"keys", all + "--property print.key=true", 0, nil, `[out] k1	v1
[out] k2	v2
[out] k3	v3
[err] Processed a total of 3 messages
[exit] 0
`},
		{"everything", all + "--property print.key=true --property print.timestamp=true --property print.partition=true --property print.offset=true --property print.headers=true", 0, nil, `[out] *	Partition:0	Offset:0	NO_HEADERS	k1	v1
[out] *	Partition:0	Offset:1	NO_HEADERS	k2	v2
[out] *	Partition:0	Offset:2	NO_HEADERS	k3	v3
[err] Processed a total of 3 messages
[exit] 0
`},
		{"keys only", all + "--property print.key=true --property print.value=false", 0, nil, `[out] k1
[out] k2
[out] k3
[err] Processed a total of 3 messages
[exit] 0
`},
		{"another separator", all + "--property print.key=true --property key.separator=| --property line.separator=;", 0, nil, `[out] k1|v1;k2|v2;k3|v3;
[err] Processed a total of 3 messages
[exit] 0
`},
		{"nothing", all + "--formatter org.apache.kafka.tools.consumer.NoOpMessageFormatter", 0, nil, `[out]
[err] Processed a total of 3 messages
[exit] 0
`},
		{"an old name of the formatter", all + "--formatter kafka.tools.DefaultMessageFormatter", 0, nil, `[out] v1
[out] v2
[out] v3
[err] WARNING: kafka.tools.DefaultMessageFormatter is deprecated and will be removed in the next major release. Please use org.apache.kafka.tools.consumer.DefaultMessageFormatter instead
[err] Processed a total of 3 messages
[exit] 0
`},
		{"invalid numbers", all + "--property value.deserializer=org.apache.kafka.common.serialization.IntegerDeserializer", 0, nil, `[out]
[err] Processed a total of 1 messages
[err] * ERROR Unknown error when running consumer:  (org.apache.kafka.tools.consumer.ConsoleConsumer)
[err] org.apache.kafka.common.errors.SerializationException: Size of data received by IntegerDeserializer is not 4
[exit] 1
`},
		{"invalid numbers are skipped", all + "--skip-message-on-error --property value.deserializer=org.apache.kafka.common.serialization.IntegerDeserializer", 0, nil, `[out]
[err] * ERROR Error processing message, skipping this message:  (org.apache.kafka.tools.consumer.ConsoleConsumer)
[err] org.apache.kafka.common.errors.SerializationException: Size of data received by IntegerDeserializer is not 4
[err] * ERROR Error processing message, skipping this message:  (org.apache.kafka.tools.consumer.ConsoleConsumer)
[err] org.apache.kafka.common.errors.SerializationException: Size of data received by IntegerDeserializer is not 4
[err] * ERROR Error processing message, skipping this message:  (org.apache.kafka.tools.consumer.ConsoleConsumer)
[err] org.apache.kafka.common.errors.SerializationException: Size of data received by IntegerDeserializer is not 4
[err] Processed a total of 3 messages
[exit] 0
`},
		{"an unknown deserializer", all + "--property value.deserializer=nosuch.Deserializer", 0, nil, `[out] v1
[out] v2
[out] v3
[err] * ERROR Unable to instantiate a deserializer from nosuch.Deserializer (org.apache.kafka.tools.consumer.DefaultMessageFormatter)
[err] java.lang.ClassNotFoundException: nosuch.Deserializer
[err] Processed a total of 3 messages
[exit] 0
`},
		{"lifecycle events", all + "--enable-systest-events", 0, nil, `[out] v1
[out] v2
[out] v3
[out] shutdown_complete
[err] Processed a total of 3 messages
[exit] 0
`},
		{"an offset beyond the end", "--partition 0 --offset 99 --max-messages 3 --consumer-property auto.offset.reset=earliest", 0, nil, `[out] v1
[out] v2
[out] v3
[err] Processed a total of 3 messages
[exit] 0
`},
		{"no permission to read", all, protocol.Fetch, []protocol.ErrorCode{protocol.TopicAuthorizationFailed}, `[out]
[err] * WARN [Consumer clientId=console-consumer] Not authorized to read from partition one-0. (org.apache.kafka.clients.consumer.internals.FetchCollector)
[err] * ERROR Error processing message, terminating consumer process:  (org.apache.kafka.tools.consumer.ConsoleConsumer)
[err] org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [one]
[err] Processed a total of 0 messages
[exit] 0
`},
		{"a leader that has moved", all, protocol.Fetch, []protocol.ErrorCode{protocol.NotLeaderOrFollower}, `[out] v1
[out] v2
[out] v3
[err] Processed a total of 3 messages
[exit] 0
`},
		{"no offset and no policy", "--timeout-ms 300 --consumer-property auto.offset.reset=none", 0, nil, `[out]
[err] * ERROR Error processing message, terminating consumer process:  (org.apache.kafka.tools.consumer.ConsoleConsumer)
[err] org.apache.kafka.clients.consumer.NoOffsetForPartitionException: Undefined offset with no reset policy for partitions: [one-0]
[err] Processed a total of 0 messages
[exit] 0
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs := toolreplay.NewLogs(t, "one")
			logs.Append("one", "k1=v1", "k2=v2", "k3=v3")
			logs.Fail(test.key, test.codes...)
			have := play(t, toolreplay.Case{Tool: ConsumerTool, Args: "--bootstrap-server {B} --topic one " + test.args}, logs)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}

// A member commits what it has printed, and the next member continues there.
func TestTheConsumerReadsInAGroup(t *testing.T) {
	logs := toolreplay.NewLogs(t, "one")
	logs.Append("one", "k1=v1", "k2=v2", "k3=v3")
	read := func(args string) string {
		return play(t, toolreplay.Case{Tool: ConsumerTool, Args: "--bootstrap-server {B} --group g " + args}, logs)
	}
	if have := read("--topic one --from-beginning --max-messages 2"); have != "[out] v1\n[out] v2\n[err] Processed a total of 2 messages\n[exit] 0\n" {
		t.Errorf("%s", have)
	}
	if offset := logs.Committed("g", "one"); offset != 2 {
		t.Errorf("offset %d is committed, want 2", offset)
	}
	if have := read("--include o.* --max-messages 1"); have != "[out] v3\n[err] Processed a total of 1 messages\n[exit] 0\n" {
		t.Errorf("%s", have)
	}
	if have := read("--topic one --timeout-ms 300 --consumer-property enable.auto.commit=false"); !strings.Contains(have, "Processed a total of 0 messages") || logs.Committed("g", "one") != 3 {
		t.Errorf("%s, offset %d", have, logs.Committed("g", "one"))
	}
	logs.Fail(protocol.JoinGroup, protocol.GroupAuthorizationFailed)
	if have := read("--topic one --max-messages 1"); !strings.Contains(have, "GroupAuthorizationException") || !strings.Contains(have, "[exit] 0") {
		t.Errorf("%s", have)
	}
}
