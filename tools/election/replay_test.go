package election

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

// The preferred leader of topic "placed" is broker 1, its leader is broker 0.
func TestLeaderElectionPrintsWhatTheRealToolPrints(t *testing.T) {
	const (
		preferred = "--bootstrap-server {B} --election-type preferred "
		unclean   = "--bootstrap-server {B} --election-type unclean "
	)
	toolreplay.Run(t, toolreplay.Suite{
		Brokers: 2,
		Files: map[string]string{
			"reorder.json": `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[1,0]},{"topic":"placed","partition":1,"replicas":[1,0]},{"topic":"placed","partition":2,"replicas":[1,0]}]}`,
			"elect.json":   `{"partitions":[{"topic":"placed","partition":0},{"topic":"placed","partition":1}]}`,
			"nosuch.json":  `{"partitions":[{"topic":"nosuch","partition":0},{"topic":"placed","partition":0}]}`,
			"none.json":    `{"partitions":[]}`,
		},
		Prepare: []toolreplay.Command{
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic placed --replica-assignment 0:1,0:1,0:1", ""),
			toolreplay.Real("kafka-reassign-partitions", "--bootstrap-server {B} --execute --reassignment-json-file {F}/reorder.json", ""),
		},
		Cases: toolreplay.Of(LeaderTool,
			toolreplay.Case{Name: "partition", Args: preferred + "--topic placed --partition 0"},
			toolreplay.Case{Name: "partition-again", Args: preferred + "--topic placed --partition 0"},
			toolreplay.Case{Name: "from-file", Args: "--bootstrap-server {B} --election-type PREFERRED --path-to-json-file {F}/elect.json"},
			toolreplay.Case{Name: "all", Args: preferred + "--all-topic-partitions"},
			toolreplay.Case{Name: "all-again", Args: preferred + "--all-topic-partitions"},
			toolreplay.Case{Name: "from-empty-file", Args: preferred + "--path-to-json-file {F}/none.json"},
			toolreplay.Case{Name: "missing-topic", Args: preferred + "--topic nosuch --partition 0"},
			toolreplay.Case{Name: "missing-partition", Args: preferred + "--topic placed --partition 7"},
			toolreplay.Case{Name: "missing-topic-in-file", Args: preferred + "--path-to-json-file {F}/nosuch.json"},
			toolreplay.Case{Name: "unclean", Args: unclean + "--topic placed --partition 0"},
			toolreplay.Case{Name: "unclean-all", Args: unclean + "--all-topic-partitions"},
			toolreplay.Case{Name: "unclean-missing", Args: unclean + "--topic nosuch --partition 0"},
			toolreplay.Case{Name: "not-allowed", Args: preferred + "--topic placed --partition 0", Before: []toolreplay.Command{
				toolreplay.ACL("--cluster --operation ClusterAction --allow-principal User:ANONYMOUS"),
			}},
			toolreplay.Case{Name: "all-not-allowed", Args: preferred + "--all-topic-partitions"},
		),
	})
}
