package integration

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// clientLines are command lines of the verifiable clients and of the performance tests. The first
// ones end with output that only an exiting process prints.
var clientLines = []toolLine{
	{script: "kafka-verifiable-producer", alone: true, args: "--bootstrap-server {B} --topic one --max-messages 3 --value-prefix 7 --repeating-keys 2 --throughput 1000 --message-create-time 4000000000000"},
	{script: "kafka-verifiable-producer", alone: true, args: "--broker-list {B} --topic one --max-messages 2 --acks 1", more: true},
	{script: "kafka-verifiable-producer", alone: true, args: "--bootstrap-server {B} --topic bad%topic --max-messages 1"},
	{script: "kafka-verifiable-producer", alone: true, args: "--topic one"},
	{script: "kafka-verifiable-producer", alone: true, args: "--bootstrap-server {B} --topic one --max-messages many", more: true},
	{script: "kafka-verifiable-producer", alone: true, args: "--bootstrap-server {B} --topic one --acks 5", more: true},
	{script: "kafka-verifiable-producer", alone: true, args: "--bootstrap-server {B} --broker-list {B} --topic one", more: true},
	{script: "kafka-verifiable-producer", alone: true, args: "--bootstrap-server {B} --topic one --producer.config {F}/nosuch", more: true},
	{script: "kafka-verifiable-producer", alone: true, args: "--bootstrap-server {B} --topic one --nosuch", more: true},
	{script: "kafka-verifiable-producer", alone: true, args: "--bootstrap-server {B} --topic", more: true},
	{script: "kafka-verifiable-producer", alone: true, args: "", more: true},
	{script: "kafka-verifiable-consumer", alone: true, args: "--bootstrap-server {B} --topic one --group-id v --max-messages 3 --verbose"},
	{script: "kafka-verifiable-consumer", alone: true, args: "--bootstrap-server {B} --topic one --group-id w --max-messages 2 --enable-autocommit --group-instance-id i", more: true},
	{script: "kafka-verifiable-consumer", alone: true, args: "--bootstrap-server {B} --topic one --group-id none --max-messages 3 --reset-policy none", more: true},
	{script: "kafka-verifiable-consumer", alone: true, args: "--bootstrap-server {B} --topic one", more: true},

	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 2000 --record-size 100 --throughput -1 --producer-props bootstrap.servers={B} acks=1"},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 3 --payload-file {F}/payloads --throughput 1000 --producer-props bootstrap.servers={B}"},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 3 --payload-monotonic --throughput 1000.5 --producer-props bootstrap.servers={B}", more: true},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 3 --payload-file {F}/nosuch --throughput -1 --producer-props bootstrap.servers={B}"},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 10 --throughput -1 --record-size 10"},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 10"},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 10 --throughput fast --record-size 10"},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 10 --throughput -1 --producer-props bootstrap.servers={B}", more: true},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 10 --throughput -1 --record-size 10 --payload-file x --producer-props bootstrap.servers={B}", more: true},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 10 --throughput -1 --record-size 10 --producer-props bootstrap.servers={B} acks"},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 10 --throughput -1 --record-size 10 --producer-props acks=1", more: true},
	{script: "kafka-producer-perf-test", args: "--topic perf --num-records 10 --throughput -1 --record-size 10 --producer.config {F}/nosuch", more: true},

	{script: "kafka-consumer-perf-test", args: "--bootstrap-server {B} --topic perf --messages 2000"},
	{script: "kafka-consumer-perf-test", args: "--bootstrap-server {B} --topic perf --messages 9000 --timeout 1500 --hide-header"},
	{script: "kafka-consumer-perf-test", args: "--broker-list {B} --topic perf --messages 9000 --timeout 1500 --show-detailed-stats --threads 2 --date-format dd.MM.yyyy"},
	{script: "kafka-consumer-perf-test", args: "--bootstrap-server {B} --topic perf --messages many"},
	{script: "kafka-consumer-perf-test", args: "--bootstrap-server {B} --topic perf --messages 1 --reporting-interval x", more: true},
	{script: "kafka-consumer-perf-test", args: "--bootstrap-server {B} --topic perf --messages 1 --reporting-interval 0", more: true},
	{script: "kafka-consumer-perf-test", args: "--bootstrap-server {B} --topic perf --messages 1 --consumer.config {F}/nosuch", more: true},
	{script: "kafka-consumer-perf-test", args: "--bootstrap-server {B} --topic perf"},
	{script: "kafka-consumer-perf-test", args: "--topic perf --messages 1"},
	{script: "kafka-consumer-perf-test", args: "--bootstrap-server {B} --messages 1 --nosuch", more: true},

	{script: "kafka-replica-verification", args: ""},
	{script: "kafka-replica-verification", args: "--topics-include .*", more: true},
	{script: "kafka-replica-verification", args: "--broker-list nothing"},
	{script: "kafka-replica-verification", args: "--broker-list {B} --nosuch"},
	{script: "kafka-replica-verification", args: "--broker-list {B} --topics-include nosuch"},
	{script: "kafka-replica-verification", args: "--broker-list {B} --topics-include one --topic-white-list one", more: true},
	{script: "kafka-replica-verification", args: "--broker-list {B} --topics-include one --time soon", more: true},
	{script: "kafka-replica-verification", args: "--version"},
}

func TestOurClientToolsPrintWhatTheRealOnesPrint(t *testing.T) {
	lines := slices.Clone(clientLines)
	for i := range lines {
		lines[i].tidy = testkit.TidyClients
	}
	compareTools(t, "3.9.1", lines, toolSetting{
		files:   map[string]string{"payloads": "alpha\nbravo\nhotel\n\n"},
		prepare: func(brokers []*broker) { brokers[0].createTopic("perf", 1) },
	})
}

// Both tools run until they are stopped, so each is a process whose output is watched.
func TestOurReplicaVerificationPrintsWhatTheRealOnePrints(t *testing.T) {
	brokers := startToolCluster(t, 2, false)
	b := brokers[0]
	must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "twice", "--replica-assignment", "0:1,1:0")...)
	awaitLeaders(t, b, "twice")
	fillAt(t, []string{b.address()}, "twice", 0, 100)
	args := []string{"--broker-list", b.address(), "--topics-include", "twice", "--time", "-2", "--report-interval-ms", "300", "--max-wait-ms", "100"}
	watched := func(name string, cmd *exec.Cmd) string {
		p, err := testkit.Start(name, cmd)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Kill()
		if err := p.AwaitOutput("among 2 partitions", 60*time.Second); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, line := range strings.Split(p.Output(), "\n") {
			// Everything after the first report is left out.
			if strings.Contains(line, "verification") || strings.Contains(line, "max lag") && !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "max lag") }) {
				lines = append(lines, lagOffset.ReplaceAllString(stampOfLine.ReplaceAllString(line, "*"), "twice-N at offset M"))
			}
		}
		return strings.Join(lines, "\n")
	}
	real := watched("the real tool", testkit.RealKafka(t, "3.9.1").Command(t, "-Xmx128m", testkit.RealTools["3.9.1"]["kafka-replica-verification"], args...))
	ours := watched("ours", script("kafka-replica-verification", args...))
	if ours != real {
		t.Errorf("ours:\n%s\nreal:\n%s", ours, real)
	}
	if !strings.Contains(ours, "max lag is 0 for partition twice-N") {
		t.Errorf("the replicas differ:\n%s", ours)
	}
}

var (
	stampOfLine = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}`)
	lagOffset   = regexp.MustCompile(`twice-\d at offset \d+`)
)
