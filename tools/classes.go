package tools

import (
	"fmt"

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
	"github.com/monedula/monedula/tools/topics"
	"github.com/monedula/monedula/tools/transactions"
	"github.com/monedula/monedula/tools/verifiable"
	"github.com/monedula/monedula/tools/zkshell"
)

// ServerClass is the class whose main method starts a broker.
const ServerClass = "kafka.Kafka"

// ZooKeeperServerClass is the class whose main method starts a ZooKeeper server.
const ZooKeeperServerClass = "org.apache.zookeeper.server.quorum.QuorumPeerMain"

// classes maps the Java classes behind the scripts of Kafka 0.8 to 3.9 to the tools that replace
// them. Documents and scripts start these classes with kafka-run-class.sh.
var classes = map[string]cli.Tool{
	"kafka.admin.BrokerApiVersionsCommand":                       cluster.APIVersionsTool,
	"kafka.tools.ClusterTool":                                    cluster.Tool,
	"org.apache.kafka.tools.ClusterTool":                         cluster.Tool,
	"kafka.admin.ConfigCommand":                                  configs.Tool,
	"kafka.tools.ConsoleConsumer":                                console.ConsumerTool,
	"org.apache.kafka.tools.consumer.ConsoleConsumer":            console.ConsumerTool,
	"kafka.tools.ConsoleProducer":                                console.ProducerTool,
	"kafka.admin.ConsumerGroupCommand":                           groups.Tool,
	"org.apache.kafka.tools.consumer.group.ConsumerGroupCommand": groups.Tool,
	"kafka.tools.ConsumerPerformance":                            perf.ConsumerTool,
	"org.apache.kafka.tools.ConsumerPerformance":                 perf.ConsumerTool,
	"kafka.admin.DeleteRecordsCommand":                           partitions.DeleteRecordsTool,
	"org.apache.kafka.tools.DeleteRecordsCommand":                partitions.DeleteRecordsTool,
	"kafka.tools.DumpLogSegments":                                dump.Tool,
	"kafka.tools.GetOffsetShell":                                 partitions.GetOffsetsTool,
	"org.apache.kafka.tools.GetOffsetShell":                      partitions.GetOffsetsTool,
	"kafka.admin.LeaderElectionCommand":                          election.LeaderTool,
	"org.apache.kafka.tools.LeaderElectionCommand":               election.LeaderTool,
	"kafka.admin.LogDirsCommand":                                 partitions.LogDirsTool,
	"org.apache.kafka.tools.LogDirsCommand":                      partitions.LogDirsTool,
	"kafka.admin.PreferredReplicaLeaderElectionCommand":          election.PreferredTool,
	"kafka.tools.ProducerPerformance":                            perf.ProducerTool,
	"org.apache.kafka.tools.ProducerPerformance":                 perf.ProducerTool,
	"kafka.admin.ReassignPartitionsCommand":                      reassign.Tool,
	"org.apache.kafka.tools.reassign.ReassignPartitionsCommand":  reassign.Tool,
	"kafka.tools.ReplicaVerificationTool":                        partitions.ReplicaVerificationTool,
	"org.apache.kafka.tools.ReplicaVerificationTool":             partitions.ReplicaVerificationTool,
	"kafka.admin.TopicCommand":                                   topics.Tool,
	"org.apache.kafka.tools.TopicCommand":                        topics.Tool,
	"org.apache.kafka.tools.TransactionsCommand":                 transactions.Tool,
	"org.apache.kafka.tools.VerifiableConsumer":                  verifiable.ConsumerTool,
	"org.apache.kafka.tools.VerifiableProducer":                  verifiable.ProducerTool,
	"org.apache.zookeeper.ZooKeeperMain":                         zkshell.Tool,
	"org.apache.zookeeper.ZooKeeperMainWithTlsSupportForKafka":   zkshell.KafkaTool,
}

// OfClass returns the tool that replaces a Java class. For the class of a program that Monedula does
// not have, the tool prints what replaces the program.
func OfClass(class string) (tool cli.Tool, found bool) {
	if tool, found = classes[class]; found {
		return tool, true
	}
	return replacedClass(class)
}

// UnknownClass returns the text that a JVM prints for a class that it cannot find.
func UnknownClass(class string) string {
	return fmt.Sprintf("Error: Could not find or load main class %s\nCaused by: java.lang.ClassNotFoundException: %s", class, class)
}
