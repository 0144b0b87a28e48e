package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/testkit"
)

// toolLine is one command line for our script and for the real tool. Each of the two runs against
// its own cluster of our brokers, so the effects of the lines accumulate in the same way on both
// sides.
type toolLine struct {
	script string // without .sh
	args   string // separated by spaces; {B} is the broker, {Z} ZooKeeper, {L} a log file, {F} a folder, {D} and {E} the broker's log directories
	stdin  string
	more   bool // only with MONEDULA_TEST_ALL
	alone  bool // the real tool needs its own process, since it ends the process
	// tidy, if set, removes from the output of either side the differences listed in
	// docs/deviations.md.
	tidy  func(text string) string
	until string // the line is repeated until its stdout contains this text; not with alone
}

var toolLines = []toolLine{
	{script: "kafka-topics", args: "--bootstrap-server {B} --version"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic t1 --partitions 3 --replication-factor 1"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic my.topic_x --partitions 1 --replication-factor 1 --config retention.ms=1000000 --config cleanup.policy=compact"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic t1"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic t1 --if-not-exists"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic my_topic.x"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic bad%topic"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic rf9 --replication-factor 9"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic badcfg --config no.such=1"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic badcfg --config segment.bytes=1"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic badcfg --config segment.bytes", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic zero --partitions 0"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic ra --replica-assignment 0,0"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic rb --replica-assignment 0:0", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic rc --replica-assignment 0,5", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic rd --replica-assignment 0 --partitions 2", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --list"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --list --topic t.*", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --topic t1"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --topic my.topic_x"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --topic nosuch"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --topic nosuch --if-exists", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --under-replicated-partitions"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --unavailable-partitions", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --describe --topics-with-overrides", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --alter --topic my.topic_x --partitions 4"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --alter --topic my.topic_x --partitions 2"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --alter --topic nosuch --partitions 2"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --alter --topic t1", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --alter --topic t1 --config retention.ms=1", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --delete --topic ra"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --delete --topic nosuch"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --delete --topic nosuch --if-exists"},
	{script: "kafka-topics", args: "--list"},
	{script: "kafka-topics", args: "--bootstrap-server {B}"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --list --delete", more: true},
	{script: "kafka-topics", args: "--bootstrap-server {B} --list --nosuch"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --list --topic t1 --partitions 2", more: true},
	{script: "kafka-topics", args: "--help", more: true},

	{script: "kafka-console-producer", args: "--bootstrap-server {B} --topic one", stdin: "a\nb\nc\n"},
	{script: "kafka-console-producer", args: "--bootstrap-server {B} --topic one --property parse.key=true --property key.separator=:", stdin: "k1:v1\nk2:v2\n"},
	{script: "kafka-console-producer", args: "--bootstrap-server {B} --topic one --property parse.key=true --property key.separator=:", stdin: "nokey\n"},
	{script: "kafka-console-producer", args: "--bootstrap-server {B} --topic one --property parse.key=true --property parse.headers=true --property key.separator=:", stdin: "h1:a,h2:b\tk:val\n"},
	{script: "kafka-console-producer", args: "--broker-list {B} --topic one --compression-codec", stdin: "x\n"},
	{script: "kafka-console-producer", args: "--bootstrap-server {B} --topic one --compression-codec nosuch", stdin: "x\n"},
	{script: "kafka-console-producer", args: "--bootstrap-server {B} --topic one --request-required-acks 1 --producer-property linger.ms=0", stdin: "y\n"},
	{script: "kafka-console-producer", args: "--bootstrap-server {B}"},
	{script: "kafka-console-producer", args: "--topic one"},
	{script: "kafka-console-producer", args: "--bootstrap-server {B} --topic one --nosuch"},
	{script: "kafka-console-producer", args: "--bootstrap-server {B} --topic one --batch-size many", more: true},

	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --partition 0 --offset earliest --max-messages 3"},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --partition 0 --offset 3 --max-messages 4 --property print.key=true --property print.timestamp=true --property print.partition=true --property print.offset=true --property print.headers=true"},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --partition 0 --offset 1 --timeout-ms 1500"},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --partition 0 --offset earliest --max-messages 2 --property key.separator=| --property print.key=true --property print.value=false", more: true},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --partition 0 --offset earliest --max-messages 2 --formatter org.apache.kafka.tools.consumer.NoOpMessageFormatter"},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --partition 0 --offset nosuch"},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --offset 3"},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --partition 0 --offset 0 --group g1"},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B}"},
	{script: "kafka-console-consumer", args: "--topic one"},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --partition 0 --from-beginning --offset 2", more: true},

	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic one"},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic t1 --time earliest"},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic one --time -3"},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic-partitions t1:0,t1:2,one:0 --time -1"},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic nosuch"},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic one --time nosuch"},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic t.* --partitions 0,1", more: true},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic-partitions t1:1-3", more: true},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --topic-partitions t1:x", more: true},
	{script: "kafka-get-offsets", args: "--topic one"},
	{script: "kafka-get-offsets", args: "--bootstrap-server {B} --nosuch"},
	{script: "kafka-topics", args: "--bootstrap-server {B} --create --topic a --partitions many", more: true},
	{script: "kafka-console-consumer", args: "--bootstrap-server {B} --topic one --partition many", more: true},
	{script: "kafka-console-producer", args: "--bootstrap-server {B} --topic", more: true},

	{script: "kafka-dump-log", args: "--files {L} --print-data-log"},
	{script: "kafka-dump-log", args: "--files {L}"},
	{script: "kafka-dump-log", args: "--files {L} --deep-iteration --value-decoder-class org.apache.kafka.tools.api.StringDecoder", more: true},
	{script: "kafka-dump-log", args: "--files {L} --max-message-size 10", more: true},
	{script: "kafka-dump-log", args: ""},
	{script: "kafka-dump-log", args: "--files {F}/nosuch.log", more: true},

	{script: "kafka-cluster", args: "cluster-id --bootstrap-server {B}"},
	{script: "kafka-cluster", args: "unregister --id 9 --bootstrap-server {B}"},
	{script: "kafka-cluster", args: "nosuch --bootstrap-server {B}", alone: true, more: true},
	{script: "kafka-cluster", args: "cluster-id", alone: true, more: true},
	{script: "kafka-cluster", args: "", alone: true},
}

var zookeeperToolLines = []toolLine{
	{script: "kafka-topics", args: "--zookeeper {Z} --create --topic t1 --partitions 3 --replication-factor 1"},
	{script: "kafka-topics", args: "--zookeeper {Z} --create --topic t2 --partitions 1 --replication-factor 1 --config retention.ms=1000"},
	{script: "kafka-topics", args: "--zookeeper {Z} --create --topic a.b_c --partitions 1 --replication-factor 1"},
	{script: "kafka-topics", args: "--zookeeper {Z} --create --topic t1 --partitions 3 --replication-factor 1"},
	{script: "kafka-topics", args: "--zookeeper {Z} --create --topic t3"},
	{script: "kafka-topics", args: "--zookeeper {Z} --create --topic t3 --partitions 1 --replication-factor 5"},
	{script: "kafka-topics", args: "--zookeeper {Z} --list"},
	{script: "kafka-topics", args: "--zookeeper {Z} --describe"},
	{script: "kafka-topics", args: "--zookeeper {Z} --describe --topic nosuch"},
	{script: "kafka-topics", args: "--zookeeper {Z} --alter --topic t2 --partitions 2"},
	{script: "kafka-topics", args: "--zookeeper {Z} --alter --topic t2 --config retention.ms=2000"},
	{script: "kafka-topics", args: "--zookeeper {Z} --alter --topic t2 --delete-config retention.ms", more: true},
	{script: "kafka-topics", args: "--zookeeper {Z} --alter --topic nosuch --partitions 3", more: true},
	{script: "kafka-topics", args: "--zookeeper {Z} --delete --topic t2"},
	{script: "kafka-topics", args: "--zookeeper {Z} --delete --topic nosuch"},
	{script: "kafka-topics", args: "--zookeeper {Z} --delete --topic nosuch --if-exists", more: true},
}

func TestOurToolsPrintWhatTheRealOnesPrint(t *testing.T) {
	compareTools(t, "3.9.1", toolLines, toolSetting{})
}

func TestOurTopicToolOverZooKeeperPrintsWhatTheRealOnePrints(t *testing.T) {
	compareTools(t, "2.8.2", zookeeperToolLines, toolSetting{})
}

// toolSetting is what the lines of a comparison need in addition to one broker.
type toolSetting struct {
	brokers int                     // number of brokers; 0: one
	twoDirs bool                    // each broker has two log directories
	files   map[string]string       // files in {F}; their text has the same placeholders as the lines
	prepare func(brokers []*broker) // creates the same state on either side; nil: nothing
}

// compareTools runs the lines with our scripts and with the real tools, each against our brokers in
// the same state, and compares the results.
func compareTools(t *testing.T, release string, lines []toolLine, setting toolSetting) {
	t.Helper()
	if !testkit.FullMatrices() {
		var short []toolLine
		for _, line := range lines {
			if !line.more {
				short = append(short, line)
			}
		}
		lines = short
	}
	logFile := golden.Path(t, "logdir-3.9.1/clean/codec-gzip-0/00000000000000000000.log")
	var clusters [2][]*broker
	var commands [2][][]string // script or class, then arguments
	for i := range clusters {
		clusters[i] = startToolCluster(t, max(1, setting.brokers), setting.twoDirs)
		b := clusters[i][0]
		must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "one", "--replica-assignment", "0")...)
		awaitLeaders(t, b, "one")
		if setting.prepare != nil {
			setting.prepare(clusters[i])
		}
		folder := t.TempDir()
		places := strings.NewReplacer("{B}", b.address(), "{Z}", b.zookeeper, "{L}", logFile, "{F}", folder, "{D}", b.dir, "{E}", b.dir+"-2")
		for name, text := range setting.files {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(places.Replace(text)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, line := range lines {
			command := []string{line.script}
			if i == 1 {
				command[0] = testkit.RealTools[release][line.script]
			}
			for _, arg := range strings.Fields(line.args) {
				command = append(command, places.Replace(arg))
			}
			commands[i] = append(commands[i], command)
		}
	}
	var forReal []testkit.ToolCommand
	for i, line := range lines {
		forReal = append(forReal, testkit.ToolCommand{Class: commands[1][i][0], Args: commands[1][i][1:], Stdin: line.stdin, Until: line.until, Alone: line.alone})
	}
	real := testkit.RealKafka(t, release).RunTools(t, forReal)
	for i, line := range lines {
		ours := testkit.ToolResult{}
		within(30*time.Second, func() bool {
			ours.Stdout, ours.Stderr, ours.Code = testkit.Run(t, 90*time.Second, line.stdin, script(line.script, commands[0][i][1:]...))
			return strings.Contains(ours.Stdout, line.until)
		})
		if line.args == "--help" { // printing help on request succeeds: docs/deviations.md
			if real[i].Code != 1 {
				t.Errorf("%s --help of the real tool exits with code %d", line.script, real[i].Code)
			}
			real[i].Code = 0
		}
		if slices.Contains(strings.Fields(line.args), noBroker) { // docs/deviations.md
			ours.Stderr = withoutAttempts(t, line.script, ours.Stderr)
		}
		have, want := ours.Masked(line.tidy), real[i].Masked(line.tidy)
		if have != want {
			t.Errorf("%s %s\n--- ours\n%s--- real\n%s", line.script, line.args, have, want)
		}
	}
	for _, cluster := range clusters {
		for _, b := range cluster {
			b.unharmed()
		}
	}
}

// noBroker is an address that refuses connections.
const noBroker = "127.0.0.1:1"

// withoutAttempts removes from the errors of a tool the line that it prints in addition to Kafka's, which
// names the address that refused it. It must print that line once.
func withoutAttempts(t testing.TB, tool, errors string) string {
	t.Helper()
	attempts := regexp.MustCompile(`(?m)^Tried without success: 127\.0\.0\.1:1( \(\d+ times\))?: connection refused by 127\.0\.0\.1:1\.\n`)
	if n := len(attempts.FindAllString(errors, -1)); n != 1 {
		t.Errorf("%s names the address that refuses it %d times:\n%s", tool, n, errors)
	}
	return attempts.ReplaceAllString(errors, "")
}

// startToolCluster starts brokers 0 to n-1 on a new ZooKeeper chroot.
func startToolCluster(t *testing.T, n int, twoDirs bool) []*broker {
	t.Helper()
	var cluster []*broker
	zookeeper := ""
	for id := range n {
		o := options{id: id, zookeeper: zookeeper, extra: []string{"num.partitions=1", "auto.leader.rebalance.enable=false"}}
		if twoDirs {
			o.dir = filepath.Join(t.TempDir(), "kafka-logs")
			o.omit, o.extra = map[string]bool{"log.dirs": true}, append(o.extra, "log.dirs="+o.dir+","+o.dir+"-2")
		}
		b := startBroker(t, o)
		zookeeper = b.zookeeper
		cluster = append(cluster, b)
	}
	return cluster
}

// awaitLeaders waits until the topic has a leader, without writing to it.
func awaitLeaders(t testing.TB, b *broker, topic string) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, "a leader of "+topic, func() bool {
		out, _, code := run(t, "kafka-get-offsets", append(b.bootstrap(), "--topic", topic)...)
		return code == 0 && strings.Contains(out, topic+":0:0")
	})
}
