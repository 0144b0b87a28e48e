package tools

import "fmt"

// ServerClass is the class whose main method starts a broker.
const ServerClass = "kafka.Kafka"

// classes maps the Java classes behind the scripts of Kafka 0.8 to 3.9 to the tools that replace
// them. Documents and scripts start these classes with kafka-run-class.sh.
var classes = map[string]Tool{
	"kafka.admin.BrokerApiVersionsCommand":                       brokerAPIVersionsTool,
	"kafka.tools.ClusterTool":                                    clusterTool,
	"org.apache.kafka.tools.ClusterTool":                         clusterTool,
	"kafka.admin.ConfigCommand":                                  configsTool,
	"kafka.tools.ConsoleConsumer":                                consoleConsumerTool,
	"org.apache.kafka.tools.consumer.ConsoleConsumer":            consoleConsumerTool,
	"kafka.tools.ConsoleProducer":                                consoleProducerTool,
	"kafka.admin.ConsumerGroupCommand":                           consumerGroupsTool,
	"org.apache.kafka.tools.consumer.group.ConsumerGroupCommand": consumerGroupsTool,
	"kafka.tools.ConsumerPerformance":                            consumerPerfTool,
	"org.apache.kafka.tools.ConsumerPerformance":                 consumerPerfTool,
	"kafka.admin.DeleteRecordsCommand":                           deleteRecordsTool,
	"org.apache.kafka.tools.DeleteRecordsCommand":                deleteRecordsTool,
	"kafka.tools.DumpLogSegments":                                dumpLogTool,
	"kafka.tools.GetOffsetShell":                                 getOffsetsTool,
	"org.apache.kafka.tools.GetOffsetShell":                      getOffsetsTool,
	"kafka.admin.LeaderElectionCommand":                          leaderElectionTool,
	"org.apache.kafka.tools.LeaderElectionCommand":               leaderElectionTool,
	"kafka.admin.LogDirsCommand":                                 logDirsTool,
	"org.apache.kafka.tools.LogDirsCommand":                      logDirsTool,
	"kafka.admin.PreferredReplicaLeaderElectionCommand":          preferredElectionTool,
	"kafka.tools.ProducerPerformance":                            producerPerfTool,
	"org.apache.kafka.tools.ProducerPerformance":                 producerPerfTool,
	"kafka.admin.ReassignPartitionsCommand":                      reassignTool,
	"org.apache.kafka.tools.reassign.ReassignPartitionsCommand":  reassignTool,
	"kafka.tools.ReplicaVerificationTool":                        replicaVerificationTool,
	"org.apache.kafka.tools.ReplicaVerificationTool":             replicaVerificationTool,
	"kafka.admin.TopicCommand":                                   topicsTool,
	"org.apache.kafka.tools.TopicCommand":                        topicsTool,
	"org.apache.kafka.tools.VerifiableConsumer":                  verifiableConsumerTool,
	"org.apache.kafka.tools.VerifiableProducer":                  verifiableProducerTool,
}

// OfClass returns the tool that replaces a Java class.
func OfClass(class string) (tool Tool, found bool) {
	tool, found = classes[class]
	return tool, found
}

// UnknownClass returns the text that a JVM prints for a class that it cannot find.
func UnknownClass(class string) string {
	return fmt.Sprintf("Error: Could not find or load main class %s\nCaused by: java.lang.ClassNotFoundException: %s", class, class)
}
