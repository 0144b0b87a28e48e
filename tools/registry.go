// Package tools lists the command-line programs behind bin/. They have the options, output lines and
// exit codes of Kafka's tools. Each family of programs has a package of its own below this one.
package tools

import (
	"sort"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/cluster"
	"github.com/monedula/monedula/tools/configs"
	"github.com/monedula/monedula/tools/console"
	"github.com/monedula/monedula/tools/dump"
	"github.com/monedula/monedula/tools/election"
	"github.com/monedula/monedula/tools/groups"
	"github.com/monedula/monedula/tools/partitions"
	"github.com/monedula/monedula/tools/perf"
	"github.com/monedula/monedula/tools/reassign"
	"github.com/monedula/monedula/tools/server"
	"github.com/monedula/monedula/tools/topics"
	"github.com/monedula/monedula/tools/transactions"
	"github.com/monedula/monedula/tools/verifiable"
)

// All returns all tools, keyed by name.
func All() map[string]cli.Tool {
	all := map[string]cli.Tool{}
	for _, t := range []cli.Tool{
		topics.Tool, console.ProducerTool, console.ConsumerTool, partitions.GetOffsetsTool,
		dump.Tool, cluster.APIVersionsTool, cluster.Tool, server.StopTool,
		configs.Tool, reassign.Tool, election.LeaderTool, election.PreferredTool, partitions.DeleteRecordsTool, partitions.LogDirsTool,
		groups.Tool, verifiable.ProducerTool, verifiable.ConsumerTool,
		perf.ProducerTool, perf.ConsumerTool, partitions.ReplicaVerificationTool, transactions.Tool,
	} {
		all[t.Name] = t
	}
	return all
}

// Names returns the names of all tools, sorted.
func Names() []string {
	var names []string
	for name := range All() {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
