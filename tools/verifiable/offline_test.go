package verifiable

import (
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
)

// Command lines that the real producer refuses must be refused with the same text, without a connection.
func TestVerifiableProducerRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(ProducerTool,
		toolreplay.Case{Name: "offline-producer-no-broker", Args: "--topic one", Alone: true, Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "offline-producer-max-not-a-number", Args: "--bootstrap-server {B} --topic one --max-messages many", Alone: true, Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "offline-producer-acks-out-of-range", Args: "--bootstrap-server {B} --topic one --acks 5", Alone: true, Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "offline-producer-two-brokers", Args: "--bootstrap-server {B} --broker-list {B} --topic one", Alone: true, Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "offline-producer-config-missing", Args: "--bootstrap-server {B} --topic one --producer.config {F}/nosuch", Alone: true, Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "offline-producer-unknown-option", Args: "--bootstrap-server {B} --topic one --nosuch", Alone: true, Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "offline-producer-missing-argument", Args: "--bootstrap-server {B} --topic", Alone: true, Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "offline-producer-no-arguments", Args: "", Alone: true, Tidy: testkit.TidyClients},
	)})
}

// As above, for the consumer.
func TestVerifiableConsumerRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(ConsumerTool,
		toolreplay.Case{Name: "offline-consumer-no-group", Args: "--bootstrap-server {B} --topic one", Alone: true, Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "offline-consumer-unknown-reset", Args: "--bootstrap-server {B} --topic one --group-id g --reset-policy never", Alone: true, Tidy: testkit.TidyClients},
		toolreplay.Case{Name: "offline-consumer-max-not-a-number", Args: "--bootstrap-server {B} --topic one --group-id g --max-messages x", Alone: true, Tidy: testkit.TidyClients},
	)})
}
