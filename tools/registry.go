// Package tools lists the command-line programs behind bin/. They have the options, output lines and
// exit codes of Kafka's tools and of ZooKeeper's shell. Each family of programs has a package of its
// own below this one.
package tools

import (
	"github.com/monedula/monedula/tools/checkconfig"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/cluster"
	"github.com/monedula/monedula/tools/configs"
	"github.com/monedula/monedula/tools/console"
	"github.com/monedula/monedula/tools/doctor"
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
	"github.com/monedula/monedula/tools/zkshell"
)

// Subject is a heading of the help, with the programs below it.
type Subject struct {
	Title string
	Tools []cli.Tool
}

// Servers is the title of the subject to which the binary adds the programs that run servers.
const Servers = "Servers"

// Subjects returns all tools by subject, in the order of the help. A new tool is added here.
func Subjects() []Subject {
	return []Subject{
		{Servers, []cli.Tool{server.StopTool}},
		{"Topics and partitions", []cli.Tool{
			topics.Tool, partitions.GetOffsetsTool, partitions.DeleteRecordsTool, reassign.Tool, election.LeaderTool, election.PreferredTool,
			partitions.ReplicaVerificationTool,
		}},
		{"Producers and consumers", []cli.Tool{console.ProducerTool, console.ConsumerTool, groups.Tool, transactions.Tool}},
		{"Clusters and configuration", []cli.Tool{configs.Tool, cluster.APIVersionsTool, cluster.Tool, checkconfig.Tool, doctor.Tool}},
		{"ZooKeeper", []cli.Tool{zkshell.Tool, zkshell.KafkaTool}},
		{"Logs on disk", []cli.Tool{partitions.LogDirsTool, dump.Tool, server.UncleanableTool}},
		{"Performance and tests", []cli.Tool{perf.ProducerTool, perf.ConsumerTool, verifiable.ProducerTool, verifiable.ConsumerTool}},
	}
}
