package groups

import (
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
)

// If the real tool refuses a command line or finds no broker, ours must print the same output.
func TestGroupsRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(Tool,
		toolreplay.Case{Name: "offline-state-with-members", Args: "--bootstrap-server {B} --describe --group idle --state --members", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-describe-without-group", Args: "--bootstrap-server {B} --describe", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-list-with-members", Args: "--bootstrap-server {B} --list --members", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-reset-with-state", Args: "--bootstrap-server {B} --reset-offsets --state --group idle", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-no-action", Args: "--bootstrap-server {B}", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-no-broker", Args: "--describe --group idle", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-no-arguments", Args: "", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-unknown-option", Args: "--bootstrap-server {B} --nosuch", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-timeout-not-a-number", Args: "--bootstrap-server {B} --timeout x --list", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-list-with-group", Args: "--bootstrap-server {B} --list --group idle", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-list-with-topic", Args: "--bootstrap-server {B} --list --topic lag", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-group-without-name", Args: "--bootstrap-server {B} --group", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-broker-without-port", Args: "--bootstrap-server bad --list", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-command-config-missing", Args: "--bootstrap-server {B} --command-config {F}/nosuch --list", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-version", Args: "--bootstrap-server {B} --version", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-reset-dry-run-and-execute", Args: "--bootstrap-server {B} --reset-offsets --group idle --all-topics --to-latest --dry-run --execute", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-reset-without-group", Args: "--bootstrap-server {B} --reset-offsets --all-topics --to-earliest --dry-run", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-reset-two-targets", Args: "--bootstrap-server {B} --reset-offsets --group idle --to-latest --to-earliest --all-topics --dry-run", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-delete-without-group", Args: "--bootstrap-server {B} --delete", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-delete-with-topic", Args: "--bootstrap-server {B} --delete --group live --topic lag", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-delete-all-and-one", Args: "--bootstrap-server {B} --delete --group live --all-groups", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-delete-offsets-without-topic", Args: "--bootstrap-server {B} --delete-offsets --group new", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-delete-offsets-without-group", Args: "--bootstrap-server {B} --delete-offsets --topic lag", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-list-unknown-state", Args: "--bootstrap-server {B} --list --state nosuch", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "offline-list-unknown-type", Args: "--bootstrap-server {B} --list --type nosuch", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "refused-list", Args: "--bootstrap-server {R} --list --timeout {T}", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "refused-describe", Args: "--bootstrap-server {R} --describe --group idle --timeout {T}", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "refused-delete", Args: "--bootstrap-server {R} --delete --group idle --timeout {T}", Tidy: testkit.TidyGroups},
		toolreplay.Case{Name: "refused-reset", Args: "--bootstrap-server {R} --reset-offsets --group idle --topic lag --to-latest --dry-run --timeout {T}", Tidy: testkit.TidyGroups},
	)})
}
