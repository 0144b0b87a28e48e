package perf

import (
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
)

// What the producer writes is what the consumer reads. Records of a size have random contents, so
// scripted tests have those.
func TestThePerformanceTestsPrintWhatTheRealOnesPrint(t *testing.T) {
	const (
		produce = "--topic perf --num-records 3 --throughput -1 --producer-props bootstrap.servers={B} linger.ms=500 "
		consume = "--bootstrap-server {B} --topic perf "
	)
	cases := []toolreplay.Case{
		{Name: "produce-file", Tool: ProducerTool, Args: produce + "--payload-file {F}/payloads"},
		{Name: "produce-numbers", Tool: ProducerTool, Args: produce + "--payload-monotonic"},
		{Name: "produce-delimited", Tool: ProducerTool, Args: produce + "--payload-file {F}/delimited --payload-delimiter ,"},
		{Name: "produce-with-config", Tool: ProducerTool, Args: "--topic perf --num-records 3 --throughput -1 --producer.config {F}/producer.properties --payload-monotonic"},
		{Name: "produce-at-a-rate", Tool: ProducerTool, Args: "--topic perf --num-records 1 --throughput 1000.5 --payload-monotonic --producer-props bootstrap.servers={B}"},
		{Name: "produce-in-a-transaction", Tool: ProducerTool, Args: produce + "--payload-monotonic --transactional-id tx --transaction-duration-ms 60000"},
		{Name: "produce-empty-file", Tool: ProducerTool, Args: produce + "--payload-file {F}/empty"},
		{Name: "produce-invalid-topic", Tool: ProducerTool, Args: "--topic bad%topic --num-records 1 --throughput -1 --payload-monotonic --producer-props bootstrap.servers={B} max.block.ms={T}"},
		{Name: "produce-size-not-a-number", Tool: ProducerTool, Args: produce + "--record-size x"},
		{Name: "produce-two-kinds", Tool: ProducerTool, Args: produce + "--record-size 1 --payload-monotonic"},

		{Name: "consume", Tool: ConsumerTool, Args: consume + "--messages 16 --timeout 60000"},
		{Name: "consume-group", Tool: ConsumerTool, Args: consume + "--messages 16 --timeout 60000 --group g"},
		{Name: "consume-too-many", Tool: ConsumerTool, Args: consume + "--messages 99 --timeout {T}"},
		{Name: "consume-without-header", Tool: ConsumerTool, Args: consume + "--messages 16 --timeout 60000 --hide-header"},
		{Name: "consume-in-detail", Tool: ConsumerTool, Args: consume + "--messages 16 --timeout 60000 --show-detailed-stats --reporting-interval 100000"},
		{Name: "consume-deprecated-options", Tool: ConsumerTool, Args: "--broker-list {B} --topic perf --messages 16 --timeout 60000 --threads 2 --num-fetch-threads 1"},
		{Name: "consume-from-latest", Tool: ConsumerTool, Args: consume + "--messages 3 --from-latest --timeout {T}"},
		{Name: "consume-date-format", Tool: ConsumerTool, Args: consume + "--messages 16 --timeout 60000 --date-format yyyyQ"},

		{Name: "produce-not-allowed", Tool: ProducerTool, Args: produce + "--payload-monotonic", Before: []toolreplay.Command{
			toolreplay.ACL("--topic perf --operation All --deny-principal User:ANONYMOUS"),
		}},
		{Name: "consume-not-allowed", Tool: ConsumerTool, Args: consume + "--messages 3 --timeout {T}"},
		{Name: "consume-read-not-allowed", Tool: ConsumerTool, Args: "--bootstrap-server {B} --topic third --messages 3 --timeout {T}", Before: []toolreplay.Command{
			toolreplay.ACL("--topic third --operation Describe --allow-principal User:ANONYMOUS"),
		}},
		{Name: "consume-group-not-allowed", Tool: ConsumerTool, Args: "--bootstrap-server {B} --topic other --messages 3 --group g --timeout {T}", Before: []toolreplay.Command{
			toolreplay.ACL("--group g --operation All --deny-principal User:ANONYMOUS"),
		}},
	}
	for i := range cases {
		cases[i].Tidy = testkit.TidyClients
	}
	toolreplay.Run(t, toolreplay.Suite{
		Files: map[string]string{"payloads": "alpha\n", "delimited": "bravo,bravo", "empty": "", "producer.properties": "bootstrap.servers={B}\nlinger.ms=500\n"},
		Prepare: []toolreplay.Command{
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic perf --partitions 1", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic other --partitions 1", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic third --partitions 1", ""),
			// These create the internal topics, so no case waits for them.
			toolreplay.Real("kafka-producer-perf-test", "--topic other --num-records 1 --throughput -1 --payload-monotonic --transactional-id warm --transaction-duration-ms 1000 --producer-props bootstrap.servers={B}", ""),
			toolreplay.Real("kafka-consumer-groups", "--bootstrap-server {B} --timeout 60000 --reset-offsets --group warm --topic other --to-earliest --execute", ""),
		},
		Cases: cases,
	})
}
