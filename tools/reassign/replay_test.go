package reassign

import (
	"regexp"
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// Topic "placed" has two partitions on broker 0. Reassignments that are in progress end too early
// to be listed or canceled; scripted tests have those.
func TestReassignPrintsWhatTheRealToolPrints(t *testing.T) {
	const (
		server   = "--bootstrap-server {B} "
		generate = server + "--generate --topics-to-move-json-file {F}/"
		execute  = server + "--execute --reassignment-json-file {F}/"
		verify   = server + "--verify --reassignment-json-file {F}/"
		cancel   = server + "--cancel --reassignment-json-file {F}/"
	)
	// moved waits until a reassignment is complete.
	moved := func(file, text string) toolreplay.Command {
		c := toolreplay.Real("kafka-reassign-partitions", verify+file+" --preserve-throttles", "")
		c.Until = text
		return c
	}
	all := map[string]string{
		"second.json":     `{"version":1,"partitions":[{"topic":"placed","partition":1,"replicas":[0],"log_dirs":["{E}"]}]}`,
		"hidden.json":     `{"version":1,"topics":[{"topic":"hidden"}]}`,
		"movehidden.json": `{"version":1,"partitions":[{"topic":"hidden","partition":0,"replicas":[1]}]}`,
	}
	for name, text := range files {
		all[name] = text
	}
	cases := toolreplay.Of(Tool,
		toolreplay.Case{Name: "generate", Args: generate + "topics.json --broker-list 1"},
		toolreplay.Case{Name: "generate-missing-topic", Args: generate + "notopics.json --broker-list 1"},
		toolreplay.Case{Name: "generate-missing-broker", Args: generate + "topics.json --broker-list 7 --disable-rack-aware"},
		toolreplay.Case{Name: "list-none", Args: server + "--list"},
		toolreplay.Case{Name: "execute-throttled", Args: execute + "to1.json --throttle 1000000"},
		toolreplay.Case{Name: "verify-and-keep-throttles", Args: verify + "to1.json --preserve-throttles", Before: []toolreplay.Command{moved("to1.json", "is completed.")}},
		toolreplay.Case{Name: "verify", Args: verify + "to1.json"},
		toolreplay.Case{Name: "verify-other-replicas", Args: verify + "to0.json"},
		toolreplay.Case{Name: "execute", Args: execute + "to0.json --timeout 5000"},
		toolreplay.Case{Name: "cancel-none", Args: cancel + "to0.json", Before: []toolreplay.Command{moved("to0.json", "placed-0 is completed.")}},
		toolreplay.Case{Name: "execute-log-dir", Args: execute + "second.json"},
		toolreplay.Case{Name: "verify-log-dir", Args: verify + "second.json --preserve-throttles", Before: []toolreplay.Command{moved("second.json", "completed successfully")}},
		toolreplay.Case{Name: "execute-log-dir-throttled", Args: execute + "first.json --replica-alter-log-dirs-throttle 1000000"},
		toolreplay.Case{Name: "verify-other-log-dir", Args: verify + "second.json --preserve-throttles", Before: []toolreplay.Command{moved("first.json", "completed successfully")}},
		toolreplay.Case{Name: "cancel-log-dir", Args: cancel + "first.json"},
		toolreplay.Case{Name: "execute-missing-log-dir", Args: execute + "otherdir.json"},
		toolreplay.Case{Name: "verify-missing-log-dir", Args: verify + "otherdir.json"},
		toolreplay.Case{Name: "verify-missing-topic", Args: verify + "nosuch.json"},
		toolreplay.Case{Name: "verify-missing-partition", Args: verify + "noparts.json"},
		toolreplay.Case{Name: "verify-next-partition", Args: verify + "edge.json"},
		toolreplay.Case{Name: "verify-none", Args: verify + "none.json"},
		toolreplay.Case{Name: "execute-missing-topic", Args: execute + "nosuch.json"},
		toolreplay.Case{Name: "execute-missing-partition", Args: execute + "noparts.json"},
		toolreplay.Case{Name: "execute-missing-broker", Args: execute + "nobroker.json"},
		toolreplay.Case{Name: "cancel-missing-topic", Args: cancel + "nosuch.json"},
		toolreplay.Case{Name: "execute-not-allowed", Args: execute + "to1.json", Before: []toolreplay.Command{
			toolreplay.ACL("--topic hidden --operation All --deny-principal User:ANONYMOUS"),
			toolreplay.ACL("--cluster --operation ClusterAction --allow-principal User:ANONYMOUS"),
		}},
		toolreplay.Case{Name: "list-not-allowed", Args: server + "--list"},
		toolreplay.Case{Name: "cancel-not-allowed", Args: cancel + "to1.json"},
		toolreplay.Case{Name: "verify-not-allowed", Args: verify + "to1.json --preserve-throttles"},
		toolreplay.Case{Name: "generate-not-allowed", Args: generate + "hidden.json --broker-list 1"},
		toolreplay.Case{Name: "verify-hidden", Args: verify + "movehidden.json --preserve-throttles"},
	)
	for i := range cases {
		cases[i].Tidy = withoutRequest
	}
	toolreplay.Run(t, toolreplay.Suite{
		Brokers:    2,
		Properties: []string{"log.dirs={D},{E}"},
		Files:      all,
		Prepare: []toolreplay.Command{
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic placed --replica-assignment 0,0", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic hidden --replica-assignment 0", ""),
		},
		Cases: cases,
	})
}

// withoutRequest removes what a broker says about a request that it does not allow.
func withoutRequest(text string) string { return refusedRequest.ReplaceAllString(text, "Request *") }

var refusedRequest = regexp.MustCompile(`Request Request\(.*?envelope=None\)`)
