package configs

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// The tool must refuse what the real one refuses, with the same output and without a connection.
func TestConfigsRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Files: map[string]string{"short.properties": "default.api.timeout.ms={T}\nrequest.timeout.ms=250\n"}, Cases: toolreplay.Of(Tool,
		toolreplay.Case{Name: "no-arguments", Args: ""},
		toolreplay.Case{Name: "no-action", Args: "--bootstrap-server {B}"},
		toolreplay.Case{Name: "two-actions", Args: "--bootstrap-server {B} --describe --alter"},
		toolreplay.Case{Name: "no-entity-type", Args: "--bootstrap-server {B} --describe"},
		toolreplay.Case{Name: "describe-with-add", Args: "--bootstrap-server {B} --describe --topic one --add-config a=b"},
		toolreplay.Case{Name: "unknown-entity-type", Args: "--bootstrap-server {B} --describe --entity-type nosuch"},
		toolreplay.Case{Name: "entity-type-twice", Args: "--bootstrap-server {B} --describe --entity-type topics --entity-type topics"},
		toolreplay.Case{Name: "entity-types-apart", Args: "--bootstrap-server {B} --describe --entity-type topics --entity-type users"},
		toolreplay.Case{Name: "entity-type-and-topic", Args: "--bootstrap-server {B} --describe --entity-type topics --topic one"},
		toolreplay.Case{Name: "alter-without-name", Args: "--bootstrap-server {B} --alter --entity-type topics --add-config a=b"},
		toolreplay.Case{Name: "alter-users-without-name", Args: "--bootstrap-server {B} --alter --entity-type users --add-config a=b"},
		toolreplay.Case{Name: "alter-without-change", Args: "--bootstrap-server {B} --alter --topic one"},
		toolreplay.Case{Name: "add-config-and-file", Args: "--bootstrap-server {B} --alter --topic one --add-config a=b --add-config-file f"},
		toolreplay.Case{Name: "add-config-twice", Args: "--bootstrap-server {B} --alter --topic one --add-config a=b --add-config c=d"},
		toolreplay.Case{Name: "no-server", Args: "--describe --entity-type topics"},
		toolreplay.Case{Name: "no-server-for-users", Args: "--describe --entity-type users"},
		toolreplay.Case{Name: "unknown-option", Args: "--bootstrap-server {B} --nosuch"},
		toolreplay.Case{Name: "abbreviated-option", Args: "--bootstrap-serve {B} --describe --topic one"},
		toolreplay.Case{Name: "command-config-missing", Args: "--bootstrap-server {B} --topic one --describe --command-config {F}/nosuch.properties"},
		toolreplay.Case{Name: "connection-refused", Args: "--bootstrap-server {R} --topic one --describe --command-config {F}/short.properties"},
		toolreplay.Case{Name: "broker-without-port", Args: "--bootstrap-server nothing --topic one --describe"},
		toolreplay.Case{Name: "version", Args: "--version"},
		toolreplay.Case{Name: "broker-not-a-number", Args: "--bootstrap-server {B} --broker zero --describe"},
		toolreplay.Case{Name: "loggers-describe-without-broker", Args: "--bootstrap-server {B} --entity-type broker-loggers --describe"},
		toolreplay.Case{Name: "ip-unresolvable", Args: "--bootstrap-server {B} --ip no.such.host.invalid --describe"},
		toolreplay.Case{Name: "topic-add-without-value", Args: "--bootstrap-server {B} --topic one --alter --add-config segment.bytes"},
		toolreplay.Case{Name: "topic-add-invalid-key", Args: "--bootstrap-server {B} --topic one --alter --add-config segment!bytes=1"},
		toolreplay.Case{Name: "topic-add-missing-file", Args: "--bootstrap-server {B} --topic one --alter --add-config-file {F}/nosuch.properties"},
		toolreplay.Case{Name: "offline-names-without-types", Args: "--bootstrap-server {B} --describe --entity-name one"},
		toolreplay.Case{Name: "offline-type-without-value", Args: "--bootstrap-server {B} --describe --entity-type"},
		toolreplay.Case{Name: "offline-describe-with-delete", Args: "--bootstrap-server {B} --describe --topic one --delete-config a"},
		toolreplay.Case{Name: "offline-two-servers", Args: "--bootstrap-server {B} --bootstrap-controller {B} --describe --topic one"},
		toolreplay.Case{Name: "offline-all-with-zookeeper", Args: "--zookeeper {R} --describe --entity-type users --all"},
		toolreplay.Case{Name: "offline-logger-not-a-number", Args: "--bootstrap-server {B} --broker-logger x --describe"},
		toolreplay.Case{Name: "offline-alter-ips-without-name", Args: "--bootstrap-server {B} --alter --entity-type ips --add-config a=b"},
		toolreplay.Case{Name: "offline-alter-brackets", Args: "--bootstrap-server {B} --alter --topic one --add-config a=[b,c"},
		toolreplay.Case{Name: "offline-users-clients-one-name", Args: "--bootstrap-server {B} --alter --entity-type users --entity-type clients --entity-name a --add-config producer_byte_rate=1"},
	)})
}
