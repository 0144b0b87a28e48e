package transactions

import (
	"regexp"
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// Command lines that the real tool refuses must be refused with the same text, without a connection.
func TestTransactionsRefusesWhatTheRealToolRefuses(t *testing.T) {
	const server = "--bootstrap-server {B} "
	cases := toolreplay.Of(Tool,
		toolreplay.Case{Name: "offline-no-arguments", Args: ""},
		toolreplay.Case{Name: "offline-no-command", Args: server},
		toolreplay.Case{Name: "offline-no-broker", Args: "list"},
		toolreplay.Case{Name: "offline-broker-after-command", Args: "list --bootstrap-server {B}"},
		toolreplay.Case{Name: "offline-unknown-command", Args: server + "nosuch"},
		toolreplay.Case{Name: "offline-force-terminate", Args: server + "forceTerminateTransaction"},
		toolreplay.Case{Name: "offline-unknown-option", Args: server + "list --nosuch"},
		toolreplay.Case{Name: "offline-unknown-argument", Args: server + "list nosuch"},
		toolreplay.Case{Name: "offline-duration-not-a-number", Args: server + "list --duration-filter long"},
		toolreplay.Case{Name: "offline-duration-without-value", Args: server + "list --duration-filter"},
		toolreplay.Case{Name: "offline-describe-no-id", Args: server + "describe"},
		toolreplay.Case{Name: "offline-describe-no-id-and-no-broker", Args: "describe"},
		toolreplay.Case{Name: "offline-producers-no-topic", Args: server + "describe-producers --partition 1"},
		toolreplay.Case{Name: "offline-producers-no-partition", Args: server + "describe-producers --topic t"},
		toolreplay.Case{Name: "offline-partition-not-a-number", Args: server + "abort --topic t --partition x"},
		toolreplay.Case{Name: "offline-epoch-too-large", Args: server + "abort --topic t --partition 0 --producer-id 1 --producer-epoch 40000"},
		toolreplay.Case{Name: "offline-config-missing", Args: server + "--command-config {F}/nosuch list"},
		toolreplay.Case{Name: "offline-broker-without-port", Args: "--bootstrap-server nothing list"},
		toolreplay.Case{Name: "offline-version", Args: "--version"},
		toolreplay.Case{Name: "offline-version-short", Args: "-v"},
	)
	for i := range cases {
		cases[i].Alone, cases[i].Tidy = true, func(text string) string { return commit.ReplaceAllString(text, "") }
	}
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: cases})
}

// commit is what the real tool prints after its version, which is that of another program.
var commit = regexp.MustCompile(` \(Commit:\w+\)`)
