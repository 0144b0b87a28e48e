package verifiable

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

func play(t *testing.T, c toolreplay.Case, logs *toolreplay.Logs) string {
	t.Helper()
	c.Tidy, c.Alone = testkit.TidyClients, true
	files := map[string]string{"linger.properties": "linger.ms=50\n"}
	return toolreplay.Scripted(t, c, files, func(req kmsg.Request) kmsg.Response { return logs.Answer(req) })
}

func TestTheProducerReportsEveryRecord(t *testing.T) {
	for _, test := range []struct {
		name, args string
		codes      []protocol.ErrorCode
		written    []string
		want       string
	}{
		{"some records", "--max-messages 3", nil, []string{"null=0", "null=1", "null=2"}, `[out] {"timestamp":*,"name":"startup_complete"}
[out] {"timestamp":*,"name":"producer_send_success","key":null,"value":"0","offset":0,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"producer_send_success","key":null,"value":"1","offset":1,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"producer_send_success","key":null,"value":"2","offset":2,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"tool_data","sent":3,"acked":3,"target_throughput":-1,"avg_throughput":*}
[err]
[exit] 0
`},
		{"a prefix", "--max-messages 2 --value-prefix 7", nil, []string{"null=7.0", "null=7.1"}, `[out] {"timestamp":*,"name":"startup_complete"}
[out] {"timestamp":*,"name":"producer_send_success","key":null,"value":"7.0","offset":0,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"producer_send_success","key":null,"value":"7.1","offset":1,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"tool_data","sent":2,"acked":2,"target_throughput":-1,"avg_throughput":*}
[err]
[exit] 0
`},
		{"repeating keys", "--max-messages 3 --repeating-keys 2", nil, []string{"0=0", "1=1", "0=2"}, `[out] {"timestamp":*,"name":"startup_complete"}
[out] {"timestamp":*,"name":"producer_send_success","key":"0","value":"0","offset":0,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"producer_send_success","key":"1","value":"1","offset":1,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"producer_send_success","key":"0","value":"2","offset":2,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"tool_data","sent":3,"acked":3,"target_throughput":-1,"avg_throughput":*}
[err]
[exit] 0
`},
		{"a rate", "--max-messages 2 --throughput 1000", nil, []string{"null=0", "null=1"}, `[out] {"timestamp":*,"name":"startup_complete"}
[out] {"timestamp":*,"name":"producer_send_success","key":null,"value":"0","offset":0,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"producer_send_success","key":null,"value":"1","offset":1,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"tool_data","sent":2,"acked":2,"target_throughput":1000,"avg_throughput":*}
[err]
[exit] 0
`},
		{"acknowledgement of the leader", "--max-messages 1 --acks 1", nil, []string{"null=0"}, `[out] {"timestamp":*,"name":"startup_complete"}
[out] {"timestamp":*,"name":"producer_send_success","key":null,"value":"0","offset":0,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"tool_data","sent":1,"acked":1,"target_throughput":-1,"avg_throughput":*}
[err]
[exit] 0
`},
		{"a given time", "--max-messages 1 --message-create-time 1000", nil, []string{"null=0"}, `[out] {"timestamp":*,"name":"startup_complete"}
[out] {"timestamp":*,"name":"producer_send_success","key":null,"value":"0","offset":0,"topic":"one","partition":0}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"tool_data","sent":1,"acked":1,"target_throughput":-1,"avg_throughput":*}
[err]
[exit] 0
`},
		{"no permission to write", "--max-messages 1", []protocol.ErrorCode{protocol.TopicAuthorizationFailed}, nil, `[out] {"timestamp":*,"name":"startup_complete"}
[out] {"timestamp":*,"name":"producer_send_error","topic":"one","key":null,"value":"0","exception":"class org.apache.kafka.common.errors.TopicAuthorizationException","message":"Not authorized to access topics: [one]"}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"tool_data","sent":1,"acked":0,"target_throughput":-1,"avg_throughput":*}
[err]
[exit] 0
`},
		{"no topic", "--max-messages 1 --topic", nil, nil, `[out]
[err] (usage)
[err] verifiable-producer: error: argument --topic: expected one argument
[exit] 1
`},
		{"too many acknowledgements", "--max-messages 1 --acks 5", nil, nil, `[out]
[err] (usage)
[err] verifiable-producer: error: argument --acks: invalid choice: '5' (choose from {0,1,-1})
[exit] 1
`},
		{"an invalid number", "--max-messages many", nil, nil, `[out]
[err] (usage)
[err] verifiable-producer: error: argument --max-messages: could not convert 'many' to Integer (For input string: "many")
[exit] 1
`},
		{"an unknown option", "--nosuch", nil, nil, `[out]
[err] (usage)
[err] verifiable-producer: error: unrecognized arguments: '--nosuch'
[exit] 1
`},
		{"a missing configuration", "--max-messages 1 --producer.config {F}/nosuch", nil, nil, `[out]
[err] (usage)
[err] verifiable-producer: error: */nosuch
[exit] 1
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs := toolreplay.NewLogs(t, "one")
			logs.Fail(protocol.Produce, test.codes...)
			have := play(t, toolreplay.Case{Tool: ProducerTool, Args: "--bootstrap-server {B} --topic one --producer.config {F}/linger.properties " + test.args}, logs)
			have = elapsed.ReplaceAllString(have, "")
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			if written := logs.Written("one"); !slices.Equal(written, test.written) {
				t.Errorf("written %q, want %q", written, test.written)
			}
		})
	}
}

// elapsed is a line of standard error with a duration.
var elapsed = regexp.MustCompile(`\d+ ms`)

func TestTheConsumerReportsWhatItReads(t *testing.T) {
	for _, test := range []struct {
		name, args string
		committed  record.Offset
		want       string
	}{
		{"some records", "--max-messages 3", 3, `[err]
[exit] 0
[out] {"timestamp":*,"name":"offsets_committed","offsets":[{"topic":"one","partition":0,"offset":3}],"success":true}
[out] {"timestamp":*,"name":"partitions_assigned","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"partitions_revoked","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"records_consumed","count":3,"partitions":[{"topic":"one","partition":0,"count":3,"minOffset":0,"maxOffset":2}]}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"startup_complete"}
`},
		{"every record", "--max-messages 2 --verbose", 2, `[err]
[exit] 0
[out] {"timestamp":*,"name":"offsets_committed","offsets":[{"topic":"one","partition":0,"offset":2}],"success":true}
[out] {"timestamp":*,"name":"partitions_assigned","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"partitions_revoked","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"record_data","key":"k","value":"1","topic":"one","partition":0,"offset":0}
[out] {"timestamp":*,"name":"record_data","key":"k","value":"2","topic":"one","partition":0,"offset":1}
[out] {"timestamp":*,"name":"records_consumed","count":3,"partitions":[{"topic":"one","partition":0,"count":2,"minOffset":0,"maxOffset":1}]}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"startup_complete"}
`},
		{"automatic commits", "--max-messages 3 --enable-autocommit", 3, `[err]
[exit] 0
[out] {"timestamp":*,"name":"partitions_assigned","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"partitions_revoked","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"records_consumed","count":3,"partitions":[{"topic":"one","partition":0,"count":3,"minOffset":0,"maxOffset":2}]}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"startup_complete"}
`},
		{"a static member", "--max-messages 3 --group-instance-id i", 3, `[err]
[exit] 0
[out] {"timestamp":*,"name":"offsets_committed","offsets":[{"topic":"one","partition":0,"offset":3}],"success":true}
[out] {"timestamp":*,"name":"partitions_assigned","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"partitions_revoked","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"records_consumed","count":3,"partitions":[{"topic":"one","partition":0,"count":3,"minOffset":0,"maxOffset":2}]}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"startup_complete"}
`},
		{"another assignor", "--max-messages 3 --assignment-strategy org.apache.kafka.clients.consumer.RoundRobinAssignor", 3, `[err]
[exit] 0
[out] {"timestamp":*,"name":"offsets_committed","offsets":[{"topic":"one","partition":0,"offset":3}],"success":true}
[out] {"timestamp":*,"name":"partitions_assigned","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"partitions_revoked","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"records_consumed","count":3,"partitions":[{"topic":"one","partition":0,"count":3,"minOffset":0,"maxOffset":2}]}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"startup_complete"}
`},
		{"no offset and no policy", "--max-messages 3 --reset-policy none", -1, `[err] * ERROR Error during processing, terminating consumer process:  (org.apache.kafka.tools.VerifiableConsumer)
[err] org.apache.kafka.clients.consumer.NoOffsetForPartitionException: Undefined offset with no reset policy for partitions: [one-0]
[exit] 0
[out] {"timestamp":*,"name":"partitions_assigned","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"partitions_revoked","partitions":[{"topic":"one","partition":0}]}
[out] {"timestamp":*,"name":"shutdown_complete"}
[out] {"timestamp":*,"name":"startup_complete"}
`},
		{"an unknown policy", "--max-messages 3 --reset-policy never", -1, `[err] Exception in thread "main" org.apache.kafka.common.config.ConfigException: Invalid value never for configuration auto.offset.reset: String must be one of: latest, earliest, none
[exit] 1
[out]
`},
		{"an invalid number", "--max-messages many", -1, `[err] (usage)
[err] verifiable-consumer: error: argument --max-messages: could not convert 'many' to Integer (For input string: "many")
[exit] 1
[out]
`},
		{"an unknown option", "--nosuch", -1, `[err] (usage)
[err] verifiable-consumer: error: unrecognized arguments: '--nosuch'
[exit] 1
[out]
`},
		{"a missing configuration", "--max-messages 1 --consumer.config {F}/nosuch", -1, `[err] (usage)
[err] verifiable-consumer: error: */nosuch
[exit] 1
[out]
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs := toolreplay.NewLogs(t, "one")
			logs.Append("one", "k=1", "k=2", "k=3")
			have := play(t, toolreplay.Case{Tool: ConsumerTool, Args: "--bootstrap-server {B} --topic one --group-id g " + test.args}, logs)
			// The first rebalance and the start are reported in any order.
			lines := strings.Split(strings.TrimSuffix(have, "\n"), "\n")
			slices.Sort(lines)
			if have = strings.Join(lines, "\n") + "\n"; have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			if offset := logs.Committed("g", "one"); offset != test.committed {
				t.Errorf("offset %d is committed, want %d", offset, test.committed)
			}
		})
	}
}
