package tools

import (
	"slices"

	"github.com/monedula/monedula/tools/cli"
)

// replacement describes a program of Kafka that Monedula does not have.
type replacement struct {
	script  string
	classes []string
	instead string // why the program is missing, and what to use
}

const (
	fromKafka = "It is a Java program and works with Monedula's brokers unchanged: run it from a release of Apache Kafka."
	onlyKRaft = "It is for clusters without ZooKeeper (KRaft)."
)

// replacements lists the scripts of Kafka 3.9's bin for which this binary has no program.
var replacements = []replacement{
	{"connect-distributed", []string{"org.apache.kafka.connect.cli.ConnectDistributed"}, "Kafka Connect runs connectors written in Java. " + fromKafka},
	{"connect-standalone", []string{"org.apache.kafka.connect.cli.ConnectStandalone"}, "Kafka Connect runs connectors written in Java. " + fromKafka},
	{"connect-mirror-maker", []string{"org.apache.kafka.connect.mirror.MirrorMaker"}, "MirrorMaker 2 is part of Kafka Connect. " + fromKafka},
	{"connect-plugin-path", []string{"org.apache.kafka.tools.ConnectPluginPath"}, "It changes plugins of Kafka Connect, which are written in Java. Run it from a release of Apache Kafka."},
	{"kafka-acls", []string{"kafka.admin.AclCommand"}, "Monedula has no access control yet, so there are no ACLs. Restrict the addresses of listeners, or use a firewall."},
	{"kafka-client-metrics", []string{"org.apache.kafka.tools.ClientMetricsCommand"}, onlyKRaft + " Monitor clients through their own metrics."},
	{"kafka-delegation-tokens", []string{"kafka.admin.DelegationTokenCommand", "org.apache.kafka.tools.DelegationTokenCommand"}, "Monedula has no authentication yet, so there are no delegation tokens."},
	{"kafka-e2e-latency", []string{"kafka.tools.EndToEndLatency", "org.apache.kafka.tools.EndToEndLatency"}, fromKafka + " kafka-producer-perf-test.sh measures the latency of acknowledgements."},
	{"kafka-features", []string{"org.apache.kafka.tools.FeatureCommand"}, "A cluster with ZooKeeper has no features to describe or to change. Set inter.broker.protocol.version in server.properties."},
	{"kafka-jmx", []string{"kafka.tools.JmxTool", "org.apache.kafka.tools.JmxTool"}, "There is no JVM to ask. Set monedula.metrics.listener and read /metrics, which has Kafka's metrics in the format of Prometheus."},
	{"kafka-metadata-quorum", []string{"org.apache.kafka.tools.MetadataQuorumCommand"}, onlyKRaft + " Use zookeeper-shell.sh HOST:PORT get /controller for the controller, and kafka-topics.sh --describe for partitions."},
	{"kafka-metadata-shell", []string{"org.apache.kafka.shell.MetadataShell"}, onlyKRaft + " Use zookeeper-shell.sh HOST:PORT to look at the metadata."},
	{"kafka-mirror-maker", []string{"kafka.tools.MirrorMaker"}, "MirrorMaker 1 is deprecated in Kafka 3.9 and absent from 4.0; MirrorMaker 2 replaces it (connect-mirror-maker.sh). " + fromKafka},
	{"kafka-storage", []string{"kafka.tools.StorageTool"}, onlyKRaft + " A broker with ZooKeeper formats its log directories when it starts, and its cluster id comes from ZooKeeper: zookeeper-shell.sh HOST:PORT get /cluster/id."},
	{"kafka-streams-application-reset", []string{"kafka.tools.StreamsResetter", "org.apache.kafka.tools.StreamsResetter"}, fromKafka + " Without it, reset the offsets of the application with kafka-consumer-groups.sh --reset-offsets, and delete its internal topics with kafka-topics.sh --delete."},
	{"trogdor", []string{"org.apache.kafka.trogdor.agent.Agent", "org.apache.kafka.trogdor.agent.AgentClient", "org.apache.kafka.trogdor.coordinator.Coordinator", "org.apache.kafka.trogdor.coordinator.CoordinatorClient"},
		"Trogdor is the test framework of Kafka's developers. Use kafka-producer-perf-test.sh and kafka-consumer-perf-test.sh to load a cluster."},
	{"zookeeper-security-migration", []string{"kafka.admin.ZkSecurityMigrator"}, "Monedula's znodes have no ACLs yet (zookeeper.set.acl). Change ACLs with setAcl in zookeeper-shell.sh."},
}

// ReplacedNames returns the names of Kafka's programs that this binary does not have.
func ReplacedNames() (names []string) {
	for _, r := range replacements {
		names = append(names, r.script)
	}
	return names
}

// Replaced returns a program that prints what replaces the program of this name, for the programs of
// Kafka that this binary does not have. Its exit code is 1 unless help or the version was asked for.
func Replaced(name string) (cli.Tool, bool) {
	i := slices.IndexFunc(replacements, func(r replacement) bool { return r.script == name })
	if i < 0 {
		return cli.Tool{}, false
	}
	return replacements[i].tool(), true
}

// replacedClass is like Replaced for the class of a program.
func replacedClass(class string) (cli.Tool, bool) {
	i := slices.IndexFunc(replacements, func(r replacement) bool { return slices.Contains(r.classes, class) })
	if i < 0 {
		return cli.Tool{}, false
	}
	return replacements[i].tool(), true
}

func (r replacement) tool() cli.Tool {
	text := r.script + ".sh is not part of Monedula. " + r.instead
	return cli.Tool{Name: r.script, Summary: "Prints what replaces this program.", Run: func(env *cli.Env, args []string) int {
		switch {
		case slices.Contains(args, "--version"):
			env.Println(cli.Version)
			return 0
		case slices.Contains(args, "--help"), slices.Contains(args, "-h"):
			env.Println(text)
			return 0
		}
		env.Complainf("%s", text)
		return 1
	}}
}
