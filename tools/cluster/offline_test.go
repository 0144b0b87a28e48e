package cluster

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// Command lines that the real tool refuses must be refused with the same text, without a connection.
func TestClusterRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(Tool,
		toolreplay.Case{Name: "offline-unknown-command", Args: "nosuch --bootstrap-server {B}", Alone: true},
		toolreplay.Case{Name: "offline-no-broker", Args: "cluster-id", Alone: true},
		toolreplay.Case{Name: "offline-no-arguments", Args: "", Alone: true},
		toolreplay.Case{Name: "offline-no-id", Args: "unregister --bootstrap-server {B}", Alone: true},
		toolreplay.Case{Name: "offline-id-without-value", Args: "unregister --bootstrap-server {B} --id", Alone: true},
		toolreplay.Case{Name: "offline-unknown-option", Args: "cluster-id --bootstrap-server {B} --nosuch", Alone: true},
		toolreplay.Case{Name: "offline-unknown-argument", Args: "cluster-id --bootstrap-server {B} nosuch", Alone: true},
		toolreplay.Case{Name: "offline-broker-without-value", Args: "cluster-id --bootstrap-server", Alone: true},
		toolreplay.Case{Name: "offline-short-option-without-value", Args: "cluster-id -b", Alone: true},
		toolreplay.Case{Name: "offline-broker-without-port", Args: "cluster-id --bootstrap-server nothing", Alone: true},
		toolreplay.Case{Name: "offline-config-missing", Args: "cluster-id --bootstrap-server {B} --config {F}/nosuch", Alone: true},
		toolreplay.Case{Name: "offline-two-servers", Args: "cluster-id --bootstrap-server {B} --bootstrap-controller {B}", Alone: true},
		toolreplay.Case{Name: "offline-id-not-a-number", Args: "unregister --id x --bootstrap-server {B}", Alone: true},
	)})
}

// As above, for kafka-broker-api-versions.
func TestAPIVersionsRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(APIVersionsTool,
		toolreplay.Case{Name: "offline-versions-no-broker", Args: ""},
		toolreplay.Case{Name: "offline-versions-unknown-option", Args: "--bootstrap-server {B} --nosuch"},
		toolreplay.Case{Name: "offline-versions-broker-without-port", Args: "--bootstrap-server nothing"},
		toolreplay.Case{Name: "offline-versions-broker-without-value", Args: "--bootstrap-server"},
		toolreplay.Case{Name: "offline-versions-version", Args: "--version"},
		toolreplay.Case{Name: "offline-versions-config-missing", Args: "--bootstrap-server {B} --command-config {F}/nosuch"},
	)})
}
