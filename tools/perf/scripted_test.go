package perf

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
)

func play(t *testing.T, c toolreplay.Case, logs *toolreplay.Logs) string {
	t.Helper()
	c.Tidy = testkit.TidyClients
	return toolreplay.Scripted(t, c, map[string]string{"payloads": "alpha\n", "empty": ""}, func(req kmsg.Request) kmsg.Response { return logs.Answer(req) })
}

func TestTheProducerIsMeasured(t *testing.T) {
	const common = "--topic perf --num-records 3 --throughput -1 --producer-props bootstrap.servers={B} linger.ms=20 "
	for _, test := range []struct {
		name, args string
		written    []string // nil: any 3 records
		want       string
	}{
		{"records of a size", common + "--record-size 10", nil, `[out] 3 records sent, * records/sec (* MB/sec), * ms avg latency, * ms max latency, * ms 50th, * ms 95th, * ms 99th, * ms 99.9th.
[err]
[exit] 0
`},
		{"records of a file", common + "--payload-file {F}/payloads", []string{"null=alpha", "null=alpha", "null=alpha"}, `[out] Reading payloads from: */payloads
[out] Number of messages read: 1
[out] 3 records sent, * records/sec (* MB/sec), * ms avg latency, * ms max latency, * ms 50th, * ms 95th, * ms 99th, * ms 99.9th.
[err]
[exit] 0
`},
		{"numbers", common + "--payload-monotonic", []string{"null=0", "null=1", "null=2"}, `[out] 3 records sent, * records/sec (* MB/sec), * ms avg latency, * ms max latency, * ms 50th, * ms 95th, * ms 99th, * ms 99.9th.
[err]
[exit] 0
`},
		{"an empty file", common + "--payload-file {F}/empty", []string{}, `[out] Reading payloads from: */empty
[err] Exception in thread "main" java.lang.IllegalArgumentException: File does not exist or empty file provided.
[exit] 1
`},
		{"a limited rate", "--topic perf --num-records 2 --throughput 1000 --payload-monotonic --producer-props bootstrap.servers={B}", []string{"null=0", "null=1"}, `[out] 2 records sent, * records/sec (* MB/sec), * ms avg latency, * ms max latency, * ms 50th, * ms 95th, * ms 99th, * ms 99.9th.
[err]
[exit] 0
`},
		{"a size that is not a number", common + "--record-size x", []string{}, `[out]
[err] (usage)
[err] producer-performance: error: argument --record-size: could not convert 'x' to Integer (For input string: "x")
[exit] 1
`},
		{"two kinds of payload", common + "--record-size 1 --payload-monotonic", []string{}, `[out]
[err] (usage)
[err] producer-performance: error: argument --payload-monotonic: not allowed with argument --record-size
[exit] 1
`},
		{"metrics", common + "--record-size 10 --print-metrics", nil, `[out] 3 records sent, * records/sec (* MB/sec), * ms avg latency, * ms max latency, * ms 50th, * ms 95th, * ms 99th, * ms 99.9th.
[out]
[out] Metric Name                                                            Value
[out] producer-metrics:record-error-total:{client-id=perf-producer-client} : 0.000
[out] producer-metrics:record-send-total:{client-id=perf-producer-client}  : 3.000
[err]
[exit] 0
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs := toolreplay.NewLogs(t, "perf")
			have := play(t, toolreplay.Case{Tool: ProducerTool, Args: test.args}, logs)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			written := logs.Written("perf")
			slices.Sort(written)
			if test.written == nil && len(written) != 3 || test.written != nil && !slices.Equal(written, test.written) {
				t.Errorf("written %q, want %q", written, test.written)
			}
		})
	}
}

func TestTheConsumerIsMeasured(t *testing.T) {
	for _, test := range []struct{ name, args, want string }{
		{"some records", "--messages 3", `[out] start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
[out] *, *, 0.0000, *, 3, *, *, *, *, *
[err]
[exit] 0
`},
		{"fewer records than wanted", "--messages 9 --timeout 300", `[out] start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
[out] WARNING: Exiting before consuming the expected number of messages: timeout (* ms) exceeded. You can use the --timeout option to increase the timeout.
[out] *, *, 0.0000, *, 3, *, *, *, *, *
[err]
[exit] 0
`},
		{"without the header", "--messages 3 --hide-header", `[out] *, *, 0.0000, *, 3, *, *, *, *, *
[err]
[exit] 0
`},
		{"in detail", "--messages 3 --show-detailed-stats --reporting-interval 100000", `[out] time, threadId, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
[err]
[exit] 0
`},
		{"with a bad date format", "--messages 3 --date-format yyyyQ", `[out] start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
[err] Illegal pattern character 'Q'
[err] java.lang.IllegalArgumentException: Illegal pattern character 'Q'
[exit] 1
`},
		{"with deprecated options", "--messages 3 --threads 2 --num-fetch-threads 1", `[out] WARNING: option [threads] and [num-fetch-threads] have been deprecated and will be ignored by the test
[out] start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
[out] *, *, 0.0000, *, 3, *, *, *, *, *
[err]
[exit] 0
`},
		{"in a group", "--messages 3 --group g", `[out] start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
[out] *, *, 0.0000, *, 3, *, *, *, *, *
[err]
[exit] 0
`},
		{"from the end", "--messages 3 --from-latest --timeout 300", `[out] start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
[out] WARNING: Exiting before consuming the expected number of messages: timeout (* ms) exceeded. You can use the --timeout option to increase the timeout.
[out] *, *, 0.0000, *, 0, *, *, *, *, *
[err]
[exit] 0
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs := toolreplay.NewLogs(t, "perf")
			logs.Append("perf", "k=1", "k=2", "k=3")
			have := play(t, toolreplay.Case{Tool: ConsumerTool, Args: "--bootstrap-server {B} --topic perf " + test.args}, logs)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}
