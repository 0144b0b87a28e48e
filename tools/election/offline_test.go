package election

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// files are the files of the command lines.
var files = map[string]string{
	"noparts.json":     `{"version":1}`,
	"empty.json":       ``,
	"broken.json":      `{"partitions":[`,
	"elect.json":       `{"partitions":[{"topic":"placed","partition":0},{"topic":"placed","partition":1}]}`,
	"electtwice.json":  `{"partitions":[{"topic":"placed","partition":0},{"topic":"placed","partition":0}]}`,
	"electnosuch.json": `{"partitions":[{"topic":"nosuch","partition":0},{"topic":"placed","partition":0}]}`,
	"short.properties": "default.api.timeout.ms={T}\nrequest.timeout.ms=250\n",
}

// If the real tool refuses a command line or finds no broker, ours must print the same output.
func TestLeaderElectionRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Files: files, Cases: toolreplay.Of(LeaderTool,
		toolreplay.Case{Name: "offline-duplicates", Args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/electtwice.json"},
		toolreplay.Case{Name: "offline-broken-file", Args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/broken.json"},
		toolreplay.Case{Name: "offline-no-partitions", Args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/noparts.json"},
		toolreplay.Case{Name: "offline-absent-file", Args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/absent.json"},
		toolreplay.Case{Name: "offline-empty-file", Args: "--bootstrap-server {B} --election-type preferred --path-to-json-file {F}/empty.json"},
		toolreplay.Case{Name: "offline-unknown-type", Args: "--bootstrap-server {B} --election-type best --all-topic-partitions"},
		toolreplay.Case{Name: "offline-no-scope", Args: "--bootstrap-server {B} --election-type preferred"},
		toolreplay.Case{Name: "offline-topic-without-partition", Args: "--bootstrap-server {B} --election-type preferred --topic placed"},
		toolreplay.Case{Name: "offline-all-and-partition", Args: "--bootstrap-server {B} --election-type preferred --all-topic-partitions --partition 0"},
		toolreplay.Case{Name: "offline-all-and-topic", Args: "--bootstrap-server {B} --election-type preferred --all-topic-partitions --topic placed --partition 0"},
		toolreplay.Case{Name: "offline-partition-not-a-number", Args: "--bootstrap-server {B} --election-type preferred --topic placed --partition zero"},
		toolreplay.Case{Name: "offline-no-broker", Args: "--election-type preferred --all-topic-partitions"},
		toolreplay.Case{Name: "offline-no-type", Args: "--all-topic-partitions"},
		toolreplay.Case{Name: "offline-unknown-option", Args: "--bootstrap-server {B} --nosuch"},
		toolreplay.Case{Name: "offline-no-arguments", Args: ""},
		toolreplay.Case{Name: "offline-version", Args: "--version"},
	)})
}
