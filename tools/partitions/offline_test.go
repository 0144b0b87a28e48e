package partitions

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// files are the files of the command lines.
var files = map[string]string{
	"delete.json":      `{"partitions":[{"topic":"one","partition":0,"offset":1}],"version":1}`,
	"all.json":         `{"partitions":[{"topic":"one","partition":0,"offset":-1}]}`,
	"nosuch.json":      `{"partitions":[{"topic":"one","partition":0,"offset":2},{"topic":"one","partition":7,"offset":1},{"topic":"nosuch","partition":0,"offset":1}]}`,
	"far.json":         `{"partitions":[{"topic":"one","partition":0,"offset":99}]}`,
	"twice.json":       `{"partitions":[{"topic":"one","partition":0,"offset":1},{"topic":"one","partition":0,"offset":2}]}`,
	"field.json":       `{"partitions":[{"topic":"one","partition":0}]}`,
	"version.json":     `{"partitions":[],"version":2}`,
	"noparts.json":     `{"version":1}`,
	"empty.json":       ``,
	"broken.json":      `{"partitions":[`,
	"none.json":        `{"partitions":[]}`,
	"short.properties": "default.api.timeout.ms={T}\nrequest.timeout.ms=250\n",
}

// If the real tool refuses a command line or finds no broker, ours must print the same output.
func TestDeleteRecordsRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Files: files, Cases: toolreplay.Of(DeleteRecordsTool,
		toolreplay.Case{Name: "delete-records-twice", Args: "--bootstrap-server {B} --offset-json-file {F}/twice.json"},
		toolreplay.Case{Name: "delete-records-field", Args: "--bootstrap-server {B} --offset-json-file {F}/field.json"},
		toolreplay.Case{Name: "delete-records-version", Args: "--bootstrap-server {B} --offset-json-file {F}/version.json"},
		toolreplay.Case{Name: "delete-records-no-partitions", Args: "--bootstrap-server {B} --offset-json-file {F}/noparts.json"},
		toolreplay.Case{Name: "delete-records-empty", Args: "--bootstrap-server {B} --offset-json-file {F}/empty.json"},
		toolreplay.Case{Name: "delete-records-broken", Args: "--bootstrap-server {B} --offset-json-file {F}/broken.json"},
		toolreplay.Case{Name: "delete-records-absent", Args: "--bootstrap-server {B} --offset-json-file {F}/absent.json"},
		toolreplay.Case{Name: "delete-records-without-file", Args: "--bootstrap-server {B}"},
		toolreplay.Case{Name: "delete-records-unknown-option", Args: "--bootstrap-server {B} --nosuch"},
		toolreplay.Case{Name: "delete-records-tool-version", Args: "--version"},
		toolreplay.Case{Name: "delete-records-no-arguments", Args: ""},
	)})
}

// As above, for kafka-log-dirs.
func TestLogDirsRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Files: files, Cases: toolreplay.Of(LogDirsTool,
		toolreplay.Case{Name: "log-dirs-without-describe", Args: "--bootstrap-server {B}"},
		toolreplay.Case{Name: "log-dirs-without-broker", Args: "--describe"},
		toolreplay.Case{Name: "log-dirs-unknown-option", Args: "--bootstrap-server {B} --nosuch"},
		toolreplay.Case{Name: "log-dirs-no-arguments", Args: ""},
		toolreplay.Case{Name: "log-dirs-config-missing", Args: "--bootstrap-server {B} --describe --command-config {F}/nosuch"},
		toolreplay.Case{Name: "log-dirs-version", Args: "--version"},
	)})
}

// As above, for kafka-get-offsets.
func TestGetOffsetsRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(GetOffsetsTool,
		toolreplay.Case{Name: "get-offsets-no-broker", Args: "--topic one"},
		toolreplay.Case{Name: "get-offsets-unknown-option", Args: "--bootstrap-server {B} --nosuch"},
		toolreplay.Case{Name: "get-offsets-time-invalid", Args: "--bootstrap-server {B} --topic one --time nosuch"},
		toolreplay.Case{Name: "get-offsets-partition-pattern", Args: "--bootstrap-server {B} --topic-partitions t1:x"},
		toolreplay.Case{Name: "get-offsets-partitions-not-numbers", Args: "--bootstrap-server {B} --topic one --partitions a"},
		toolreplay.Case{Name: "get-offsets-patterns-and-topic", Args: "--bootstrap-server {B} --topic-partitions t1:0 --topic t1"},
		toolreplay.Case{Name: "get-offsets-no-arguments", Args: ""},
		toolreplay.Case{Name: "get-offsets-version", Args: "--version"},
	)})
}

// As above, for kafka-replica-verification.
func TestReplicaVerificationRefusesWhatTheRealToolRefuses(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(ReplicaVerificationTool,
		toolreplay.Case{Name: "replica-verification-no-arguments", Args: ""},
		toolreplay.Case{Name: "replica-verification-without-brokers", Args: "--topics-include .*"},
		toolreplay.Case{Name: "replica-verification-broker-without-port", Args: "--broker-list nothing"},
		toolreplay.Case{Name: "replica-verification-unknown-option", Args: "--broker-list {B} --nosuch"},
		toolreplay.Case{Name: "replica-verification-two-filters", Args: "--broker-list {B} --topics-include one --topic-white-list one"},
		toolreplay.Case{Name: "replica-verification-version", Args: "--version"},
	)})
}

// A client that cannot be created must be reported with the real tool's words.
func TestClientsThatCannotStartAreReportedLikeByTheRealTool(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{Offline: true, Cases: toolreplay.Of(GetOffsetsTool,
		toolreplay.Case{Name: "get-offsets-broker-without-port", Args: "--bootstrap-server nothing --topic one"},
		toolreplay.Case{Name: "get-offsets-command-config-missing", Args: "--bootstrap-server {B} --topic one --command-config {F}/nosuch"},
	)})
}
