package topics

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// The tool must refuse what the real one refuses, with the same output and without a connection.
func TestTopicsRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(Tool,
		toolreplay.Case{Name: "offline-no-action", Args: "--bootstrap-server {B}"},
		toolreplay.Case{Name: "offline-no-arguments", Args: ""},
		toolreplay.Case{Name: "offline-no-broker", Args: "--list"},
		toolreplay.Case{Name: "offline-two-actions", Args: "--bootstrap-server {B} --create --list --topic t"},
		toolreplay.Case{Name: "offline-describe-if-exists", Args: "--bootstrap-server {B} --describe --if-exists"},
		toolreplay.Case{Name: "offline-create-without-topic", Args: "--bootstrap-server {B} --create"},
		toolreplay.Case{Name: "offline-delete-without-topic", Args: "--bootstrap-server {B} --delete"},
		toolreplay.Case{Name: "offline-alter-without-topic", Args: "--bootstrap-server {B} --alter --partitions 2"},
		toolreplay.Case{Name: "offline-alter-with-config", Args: "--bootstrap-server {B} --alter --topic t --config a=b"},
		toolreplay.Case{Name: "offline-alter-without-partitions", Args: "--bootstrap-server {B} --alter --topic t"},
		toolreplay.Case{Name: "offline-list-with-replication-factor", Args: "--bootstrap-server {B} --list --replication-factor 1"},
		toolreplay.Case{Name: "offline-list-with-if-exists", Args: "--bootstrap-server {B} --list --if-exists"},
		toolreplay.Case{Name: "offline-delete-with-config", Args: "--bootstrap-server {B} --delete --topic t --config a=b"},
		toolreplay.Case{Name: "offline-describe-with-if-not-exists", Args: "--bootstrap-server {B} --describe --if-not-exists"},
		toolreplay.Case{Name: "offline-create-with-if-exists", Args: "--bootstrap-server {B} --create --topic t --if-exists"},
		toolreplay.Case{Name: "offline-create-under-replicated", Args: "--bootstrap-server {B} --create --topic t --under-replicated-partitions"},
		toolreplay.Case{Name: "offline-assignment-and-factor", Args: "--bootstrap-server {B} --create --topic t --replica-assignment 0 --replication-factor 1"},
		toolreplay.Case{Name: "offline-unknown-option", Args: "--nosuch"},
		toolreplay.Case{Name: "offline-ambiguous-option", Args: "--bootstrap-server {B} --de"},
		toolreplay.Case{Name: "offline-missing-argument", Args: "--bootstrap-server"},
		toolreplay.Case{Name: "offline-partitions-not-a-number", Args: "--bootstrap-server {B} --create --topic t --partitions x"},
		toolreplay.Case{Name: "offline-factor-not-a-number", Args: "--bootstrap-server {B} --create --topic t --replication-factor x"},
		toolreplay.Case{Name: "offline-config-twice-equals", Args: "--bootstrap-server {B} --create --topic t --config a=b=c"},
		toolreplay.Case{Name: "offline-config-not-a-number", Args: "--bootstrap-server {B} --create --topic t --config retention.ms=soon"},
		toolreplay.Case{Name: "offline-config-out-of-range", Args: "--bootstrap-server {B} --create --topic t --config max.message.bytes=-1"},
		toolreplay.Case{Name: "offline-config-invalid-value", Args: "--bootstrap-server {B} --create --topic t --config compression.type=best"},
		toolreplay.Case{Name: "offline-config-unknown", Args: "--bootstrap-server {B} --create --topic t --config nosuch=1"},
		toolreplay.Case{Name: "offline-version", Args: "--version"},
	)})
}

// A client that cannot be created must be reported with the real tool's words.
func TestClientsThatCannotStartAreReportedLikeByTheRealTool(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(Tool,
		toolreplay.Case{Name: "offline-broker-without-port", Args: "--bootstrap-server nothing --list"},
		toolreplay.Case{Name: "offline-command-config-missing", Args: "--bootstrap-server {B} --list --command-config {F}/nosuch"},
	)})
}
