package perf

import (
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
)

// The tool must refuse what the real one refuses, with the same output and without a connection.
func TestProducerPerfRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(ProducerTool,
		toolreplay.Case{Name: "producer-no-size", Args: "--topic perf --num-records 10 --throughput -1 --producer-props bootstrap.servers={B}", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-no-props", Args: "--topic perf --num-records 10 --throughput -1 --record-size 10", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-no-throughput", Args: "--topic perf --num-records 10", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-throughput-not-a-number", Args: "--topic perf --num-records 10 --throughput fast --record-size 10", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-size-and-file", Args: "--topic perf --num-records 10 --throughput -1 --record-size 10 --payload-file x --producer-props bootstrap.servers={B}", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-props-without-value", Args: "--topic perf --num-records 10 --throughput -1 --record-size 10 --producer-props bootstrap.servers={B} acks", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-no-bootstrap", Args: "--topic perf --num-records 10 --throughput -1 --record-size 10 --producer-props acks=1", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-config-missing", Args: "--topic perf --num-records 10 --throughput -1 --record-size 10 --producer.config {F}/nosuch", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-payload-missing", Args: "--topic perf --num-records 3 --payload-file {F}/nosuch --throughput -1 --producer-props bootstrap.servers={B}", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-unknown-option", Args: "--nosuch", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "producer-no-arguments", Args: "", Tidy: testkit.TidyClients},
	)})
}

// As above, for kafka-consumer-perf-test.
func TestConsumerPerfRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(ConsumerTool,
		toolreplay.Case{Name: "consumer-interval-zero", Args: "--bootstrap-server {B} --topic perf --messages 1 --reporting-interval 0", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "consumer-config-missing", Args: "--bootstrap-server {B} --topic perf --messages 1 --consumer.config {F}/nosuch", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "consumer-no-messages", Args: "--bootstrap-server {B} --topic perf", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "consumer-no-broker", Args: "--topic perf --messages 1", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "consumer-unknown-option", Args: "--bootstrap-server {B} --messages 1 --nosuch", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "consumer-no-topic", Args: "--bootstrap-server {B} --messages 1", Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "consumer-version", Args: "--version", Tidy: testkit.TidyClients},
	)})
}
