package doctor

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/findings"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings/check"
	"github.com/monedula/monedula/zkstore"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the table of docs/troubleshooting.md with the current findings; review the diff")

// provoked are the commonest failures: what a user sees, the code of the finding, and what provokes
// it. The table of docs/troubleshooting.md has a row for each.
var provoked = []struct {
	symptom, code string
	provoke       func(t *testing.T) []findings.Finding
}{
	// The broker does not start, or a setting has no effect.
	{"The broker does not start: `Missing required configuration`", "no-zookeeper", file("broker.id=1\nlisteners=PLAINTEXT://kafka1:9092\nlog.dirs=/data\n")},
	{"The broker does not start with a configuration for Kafka 4 or KRaft", "kraft", file("process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@kafka1:9093\n")},
	{"The broker does not start: `Not a number of type`", "not-a-number", with("log.segment.bytes=1GB")},
	{"The broker does not start, or a directory has a strange name: quotes", "quoted", with(`log.dirs="/data/kafka"`)},
	{"The broker does not start, or a value is strange: a comment", "inline-comment", with("broker.rack=east # next to the door")},
	{"The broker does not start, or a value is strange: `${...}`", "placeholder", with("broker.rack=${RACK}")},
	{"The broker does not start: `nonroutable meta-address 0.0.0.0`", "advertised-wildcard", with("listeners=PLAINTEXT://0.0.0.0:9092")},
	{"The broker does not start: `No security protocol defined for listener`", "listener-without-protocol", with("listeners=INTERNAL://kafka1:9092")},
	{"The broker does not start: `inter.broker.listener.name must be`", "inter-broker-listener", with("listeners=INTERNAL://kafka1:9092\nlistener.security.protocol.map=INTERNAL:PLAINTEXT")},
	{"The broker does not start: `listener names must be equal to or a subset`", "advertised-names",
		with("listeners=PLAINTEXT://:9092,INTERNAL://:9093\nadvertised.listeners=PLAINTEXT://kafka1:9092,EXTERNAL://kafka1:9094\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT")},
	{"The broker does not start: `Configured broker.id` or `is already registered`", "same-id", both("broker.id=1", "broker.id=1")},
	{"The broker does not start: `Failed to acquire lock on file .lock`", "same-directory", both("broker.id=1\nlisteners=PLAINTEXT://kafka1:9092", "broker.id=2\nlisteners=PLAINTEXT://kafka1:9093")},
	{"A setting has no effect: a typing error", "unknown-key", with("log.retention.hour=24")},
	{"A setting has no effect: the key of a topic", "topic-key", with("retention.ms=86400000")},
	{"Topics are gone, or brokers do not see one another", "chroot-in-list", with("zookeeper.connect=zoo1:2181/kafka,zoo2:2181/kafka")},
	{"All data is gone after a restart of the machine", "temporary-directory", with("log.dirs=/tmp/kafka-logs")},
	{"Records disappear after some minutes", "unlikely-value", with("log.retention.ms=168")},
	{"Producers with acks=all fail: `NOT_ENOUGH_REPLICAS`", "min-isr", with("min.insync.replicas=2\ndefault.replication.factor=1")},
	{"Consumers with a group never start: `COORDINATOR_NOT_AVAILABLE`", "min-isr-offsets", with("min.insync.replicas=2\noffsets.topic.replication.factor=1")},
	// A client does not connect.
	{"`UnknownHostException`, `No resolvable bootstrap urls`", "unknown-host", cluster(func(s *scripted) { delete(s.hosts, "kafka1") })},
	{"`Connection to node -1 could not be established`", "connection-refused", cluster(func(s *scripted) { s.failures["kafka1:9092"] = syscall.ECONNREFUSED })},
	{"Clients wait, then time out", "no-answer", cluster(func(s *scripted) { s.failures["kafka1:9092"] = os.ErrDeadlineExceeded })},
	{"`Bootstrap broker disconnected` again and again; `Invalid receive (size = 352518912` in the log of a client", "tls-listener",
		cluster(func(s *scripted) { s.servers["kafka1:9092"] = saying("\x15\x03\x03\x00\x02\x02\x46") })},
	{"`Bootstrap broker disconnected`; `Unexpected Kafka request of type METADATA during SASL handshake` in the log of the broker", "sasl-listener", cluster(func(s *scripted) { s.brokers[0].sasl = true })},
	{"`Invalid receive (size = 1213486160`", "http-port", cluster(func(s *scripted) { s.servers["kafka1:9092"] = saying("HTTP/1.1 400 Bad Request\r\n\r\n") })},
	{"`Bootstrap broker zoo1:2181 disconnected`", "zookeeper-port", cluster(func(s *scripted) { s.servers["kafka1:9092"] = zooKeeper })},
	{"The first connection works, then `Connection to node 2 could not be established`", "advertised-unreachable", cluster(func(s *scripted) { s.brokers[1].address = "9f8e7d:9092" })},
	{"The first connection works, then `Connection to node 1 (localhost/127.0.0.1:9092) could not be established`", "advertised-loopback", with("listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://localhost:9092")},
	// The cluster does not work.
	{"Topics are not created, leaders not elected", "no-controller", cluster(func(s *scripted) { s.controller = -1 })},
	{"`LEADER_NOT_AVAILABLE`", "offline-partitions", cluster(func(s *scripted) { s.topics["orders"][0] = partition(0, -1, "4", "4") })},
	{"`NOT_ENOUGH_REPLICAS` after a broker failed", "under-min-isr", cluster(func(s *scripted) {
		s.minISR["orders"] = "2"
		s.topics["orders"][0] = partition(0, 1, "1 4", "1")
	})},
	{"`UnderReplicatedPartitions` is not 0", "under-replicated", cluster(func(s *scripted) { s.topics["orders"][0] = partition(0, 1, "1 4", "1") })},
	{"Consumers with a group never start on a single broker", "internal-topic", func(t *testing.T) []findings.Finding {
		s := one()
		delete(s.topics, "__consumer_offsets")
		s.brokers[0].configs["offsets.topic.replication.factor"] = "3"
		return s.found(t)
	}},
	{"`KAFKA_STORAGE_ERROR`", "offline-directory", cluster(func(s *scripted) { s.brokers[0].dirs[0].ErrorCode = int16(protocol.KafkaStorageError) })},
	{"Producers are refused although all brokers run; `No space left on device`", "disk-full", cluster(func(s *scripted) { s.brokers[0].dirs = []kmsg.DescribeLogDirsResponseDir{dir("/data", 0, 0)} })},
	{"Timestamps, retention or searches by time are wrong", "clock-skew", zooKeeperFacts{connect: "zoo1:2181", controller: 2, registered: threeRegistered,
		skews: map[metadata.BrokerID]time.Duration{1: 0, 2: 0, 3: time.Hour}}.found},
	{"`monedula doctor` or a tool with `--zookeeper` sees no broker", "zookeeper-chroot", zooKeeperFacts{connect: "zoo1:2181", controller: 2}.found},
	{"`Session expired`; ZooKeeper runs but does not answer", "zookeeper-no-quorum", zooKeeperFacts{connect: "zoo1:2181", controller: 2, registered: threeRegistered,
		servers: []zooKeeperServer{parseSrvr("zoo1:2181", "This ZooKeeper instance is not currently serving requests\n", nil)}}.found},
	// A group does not work.
	{"A group reads nothing and rebalances without an end", "group-rebalancing", group(scriptedGroup{states: []string{stateStable}, members: []string{"a b", "a c"}}, [3]int64{})},
	{"The lag of a group grows, but no consumer reports an error", "group-stuck", group(scriptedGroup{states: []string{stateStable}, members: []string{"a"}, committed: map[string]int64{"orders": 60}}, [3]int64{0, 100, 100})},
	{"The lag of a group grows after a change of the application", "group-stopped", group(scriptedGroup{states: []string{stateEmpty}, committed: map[string]int64{"orders": 60}}, [3]int64{0, 100, 100})},
	{"`Fetch position is out of range`; records are missing", "offset-lost", group(scriptedGroup{states: []string{stateEmpty}, committed: map[string]int64{"orders": 10}}, [3]int64{50, 100, 100})},
	{"Consumers with read_committed stop at an offset", "hanging-transaction", func(t *testing.T) []findings.Finding { return transactional(false).found(t) }},
}

// sound are the settings that a file of with has unless it sets them.
var sound = []string{"zookeeper.connect=zoo1:2181,zoo2:2181,zoo3:2181", "broker.id=1", "log.dirs=/data", "listeners=PLAINTEXT://kafka1:9092"}

// completed returns lines with those of sound whose keys they do not set.
func completed(lines string) []byte {
	for _, line := range sound {
		key, _, _ := strings.Cut(line, "=")
		if !strings.Contains("\n"+lines, "\n"+key+"=") {
			lines += "\n" + line
		}
	}
	return []byte(lines + "\n")
}

// file checks a properties file, with a file that has only these lines besides sound ones.
func file(text string) func(*testing.T) []findings.Finding {
	return func(*testing.T) []findings.Finding {
		list, _ := check.Files([]check.File{{Name: "server.properties", Data: []byte(text)}}, 0)
		return list
	}
}

func with(lines string) func(*testing.T) []findings.Finding { return file(string(completed(lines))) }

// both checks the files of two brokers.
func both(first, second string) func(*testing.T) []findings.Finding {
	return func(*testing.T) []findings.Finding {
		list, _ := check.Files([]check.File{{Name: "server-1.properties", Data: completed(first)}, {Name: "server-2.properties", Data: completed(second)}}, 3)
		return list
	}
}

// cluster examines a cluster of three brokers after a change.
func cluster(change func(*scripted)) func(*testing.T) []findings.Finding {
	return func(t *testing.T) []findings.Finding {
		s := three()
		change(s)
		return s.found(t)
	}
}

func group(g scriptedGroup, orders [3]int64) func(*testing.T) []findings.Finding {
	return func(t *testing.T) []findings.Finding {
		s := grouped(g)
		s.offsets["orders"] = orders
		return s.found(t)
	}
}

// found examines the cluster in virtual time and returns the findings.
func (s *scripted) found(t *testing.T) (list []findings.Finding) {
	synctest.Test(t, func(t *testing.T) {
		e := &examination{network: s.network(), timeout: 5 * time.Second, watch: 3 * time.Second, bootstrap: []string{"kafka1:9092"}}
		defer e.close()
		e.connect(context.Background())
		e.examineBrokers(context.Background())
		e.examineCluster(context.Background())
		e.diagnose()
		list = e.found
	})
	return list
}

var threeRegistered = map[metadata.BrokerID]zkstore.BrokerInfo{1: {}, 2: {}, 3: {}}

func (z zooKeeperFacts) found(*testing.T) []findings.Finding {
	e := &examination{zk: z}
	e.diagnoseZooKeeper()
	return e.found
}

const (
	guide      = "../../docs/troubleshooting.md"
	tableBegin = "<!-- findings -->\n"
	tableEnd   = "<!-- end -->\n"
)

func TestTheCommonestFailuresAreExplainedInTheGuide(t *testing.T) {
	var table strings.Builder
	table.WriteString(tableBegin + "| what you see | what it is | what to do |\n|---|---|---|\n")
	for _, p := range provoked {
		list := p.provoke(t)
		i := slices.IndexFunc(list, func(f findings.Finding) bool { return f.Code == p.code })
		if i < 0 {
			t.Errorf("%s is not found: %s", p.code, headlines(list))
			continue
		}
		f := list[i]
		fmt.Fprintf(&table, "| %s | `%s`: %s | %s |\n", p.symptom, f.Code, cell(subject(f)+sentence(f.Text)+" "+f.Cause), cell(f.Remedy))
	}
	table.WriteString(tableEnd)
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no table", guide)
	}
	got := before + table.String() + after
	if *rewrite {
		if err := os.WriteFile(guide, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != string(text) {
		t.Errorf("%s differs from what the programs print (run with -rewrite and review the diff):\n%s", guide, table.String())
	}
	if len(provoked) < 30 {
		t.Errorf("only %d failures are explained", len(provoked))
	}
}

// subject returns what the finding is about, unless it is a file.
func subject(f findings.Finding) string {
	if f.Subject == "" {
		return ""
	}
	return f.Subject + ": "
}

func sentence(text string) string {
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// cell escapes the marks of Markdown and the bars between cells.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "_", `\_`, "*", `\*`, "\n", " ").Replace(strings.TrimSpace(text))
}
