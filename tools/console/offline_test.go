package console

import (
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// Command lines that the real producer refuses must be refused with the same text, without a connection.
func TestConsoleProducerRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(ProducerTool,
		toolreplay.Case{Name: "offline-producer-no-topic", Args: "--bootstrap-server {B}"},
		toolreplay.Case{Name: "offline-producer-no-broker", Args: "--topic one"},
		toolreplay.Case{Name: "offline-producer-no-arguments", Args: ""},
		toolreplay.Case{Name: "offline-producer-unknown-option", Args: "--bootstrap-server {B} --topic one --nosuch"},
		toolreplay.Case{Name: "offline-producer-missing-argument", Args: "--bootstrap-server {B} --topic"},
		toolreplay.Case{Name: "offline-producer-batch-size-not-a-number", Args: "--bootstrap-server {B} --topic one --batch-size many"},
		toolreplay.Case{Name: "offline-producer-timeout-not-a-number", Args: "--bootstrap-server {B} --topic one --timeout x"},
		toolreplay.Case{Name: "offline-producer-unknown-codec", Args: "--bootstrap-server {B} --topic one --compression-codec nosuch"},
		toolreplay.Case{Name: "offline-producer-broker-without-port", Args: "--bootstrap-server nothing --topic one"},
		toolreplay.Case{Name: "offline-producer-config-missing", Args: "--bootstrap-server {B} --topic one --producer.config {F}/nosuch"},
		toolreplay.Case{Name: "offline-producer-unknown-reader", Args: "--bootstrap-server {B} --topic one --line-reader nosuch.Reader", Tidy: withoutReason},
		toolreplay.Case{Name: "offline-producer-version", Args: "--version"},
	)})
}

// Command lines that the real consumer refuses must be refused with the same text, without a connection.
func TestConsoleConsumerRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(ConsumerTool,
		toolreplay.Case{Name: "offline-consumer-no-topic", Args: "--bootstrap-server {B}"},
		toolreplay.Case{Name: "offline-consumer-no-broker", Args: "--topic one"},
		toolreplay.Case{Name: "offline-consumer-no-arguments", Args: ""},
		toolreplay.Case{Name: "offline-consumer-topic-and-include", Args: "--bootstrap-server {B} --topic one --include o.*"},
		toolreplay.Case{Name: "offline-consumer-unknown-option", Args: "--bootstrap-server {B} --topic one --nosuch"},
		toolreplay.Case{Name: "offline-consumer-missing-argument", Args: "--bootstrap-server {B} --topic"},
		toolreplay.Case{Name: "offline-consumer-offset-without-partition", Args: "--bootstrap-server {B} --topic one --offset 3"},
		toolreplay.Case{Name: "offline-consumer-unknown-offset", Args: "--bootstrap-server {B} --topic one --partition 0 --offset nosuch"},
		toolreplay.Case{Name: "offline-consumer-negative-offset", Args: "--bootstrap-server {B} --topic one --partition 0 --offset -7"},
		toolreplay.Case{Name: "offline-consumer-partition-without-topic", Args: "--bootstrap-server {B} --include o.* --partition 0"},
		toolreplay.Case{Name: "offline-consumer-partition-not-a-number", Args: "--bootstrap-server {B} --topic one --partition many"},
		toolreplay.Case{Name: "offline-consumer-partition-and-group", Args: "--bootstrap-server {B} --topic one --partition 0 --offset 0 --group g1"},
		toolreplay.Case{Name: "offline-consumer-beginning-and-offset", Args: "--bootstrap-server {B} --topic one --partition 0 --from-beginning --offset 2"},
		toolreplay.Case{Name: "offline-consumer-beginning-and-reset", Args: "--bootstrap-server {B} --topic one --from-beginning --consumer-property auto.offset.reset=latest"},
		toolreplay.Case{Name: "offline-consumer-max-messages-not-a-number", Args: "--bootstrap-server {B} --topic one --max-messages x"},
		toolreplay.Case{Name: "offline-consumer-timeout-not-a-number", Args: "--bootstrap-server {B} --topic one --timeout-ms x"},
		toolreplay.Case{Name: "offline-consumer-two-groups", Args: "--bootstrap-server {B} --topic one --group a --consumer-property group.id=b"},
		toolreplay.Case{Name: "offline-consumer-unknown-formatter", Args: "--bootstrap-server {B} --topic one --formatter nosuch"},
		toolreplay.Case{Name: "offline-consumer-config-missing", Args: "--bootstrap-server {B} --topic one --consumer.config {F}/nosuch"},
		toolreplay.Case{Name: "offline-consumer-formatter-config-missing", Args: "--bootstrap-server {B} --topic one --formatter-config {F}/nosuch"},
		toolreplay.Case{Name: "offline-consumer-invalid-pattern", Args: "--bootstrap-server {B} --include o("},
		toolreplay.Case{Name: "offline-consumer-unclosed-class", Args: "--bootstrap-server {B} --include o[a"},
		toolreplay.Case{Name: "offline-consumer-version", Args: "--version"},
	)})
}

// withoutReason removes why we cannot load a class; Kafka's tool could.
func withoutReason(text string) string {
	return strings.ReplaceAll(text, " (custom line readers are Java classes, which this program cannot load)", "")
}
