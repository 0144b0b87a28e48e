package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// The first steps of every tutorial work: create, list, describe, type into the producer, read with
// the consumer, add partitions, delete.
func TestTheTutorialWorksCommandForCommand(t *testing.T) {
	b := startBroker(t, options{})
	if out := must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "test", "--partitions", "1", "--replication-factor", "1")...); out != "Created topic test.\n" {
		t.Errorf("create printed %q", out)
	}
	if out := must(t, "kafka-topics", append(b.bootstrap(), "--list")...); out != "test\n" {
		t.Errorf("list printed %q", out)
	}
	mustWith(t, "This is a message\nThis is another message\n", "kafka-console-producer", "--broker-list", b.address(), "--topic", "test")
	if got := strings.Join(b.consume("test", 2), "|"); got != "This is a message|This is another message" {
		t.Errorf("the consumer printed %q", got)
	}
	out := must(t, "kafka-topics", append(b.bootstrap(), "--describe", "--topic", "test")...)
	if !strings.Contains(out, "PartitionCount: 1\tReplicationFactor: 1\tConfigs: \n\tTopic: test\tPartition: 0\tLeader: 0\tReplicas: 0\tIsr: 0\tElr: N/A\tLastKnownElr: N/A\n") {
		t.Errorf("describe printed %q", out)
	}
	must(t, "kafka-topics", append(b.bootstrap(), "--alter", "--topic", "test", "--partitions", "3")...)
	testkit.Eventually(t, 10*time.Second, "three partitions", func() bool {
		return strings.Contains(must(t, "kafka-topics", append(b.bootstrap(), "--describe", "--topic", "test")...), "PartitionCount: 3")
	})
	must(t, "kafka-topics", append(b.bootstrap(), "--delete", "--topic", "test")...)
	testkit.Eventually(t, 10*time.Second, "the topic to be gone", func() bool {
		return must(t, "kafka-topics", append(b.bootstrap(), "--list")...) == "\n"
	})
}

// The same steps work with the options of old documents, which use ZooKeeper.
func TestTheTutorialWorksOverZooKeeper(t *testing.T) {
	b := startBroker(t, options{})
	zookeeper := []string{"--zookeeper", b.zookeeper}
	if out := must(t, "kafka-topics", append(zookeeper, "--create", "--topic", "test", "--partitions", "2", "--replication-factor", "1")...); out != "Created topic test.\n" {
		t.Errorf("create printed %q", out)
	}
	b.produce("test", "a", "b")
	if got := b.consume("test", 2); len(got) != 2 {
		t.Errorf("the consumer printed %q", got)
	}
	if out := must(t, "kafka-topics", append(zookeeper, "--list")...); out != "test\n" {
		t.Errorf("list printed %q", out)
	}
	out := must(t, "kafka-topics", append(zookeeper, "--describe", "--topic", "test")...)
	if !strings.Contains(out, "\tTopic: test\tPartition: 1\tLeader: 0\tReplicas: 0\tIsr: 0\n") {
		t.Errorf("describe printed %q", out)
	}
	out = must(t, "kafka-topics", append(zookeeper, "--alter", "--topic", "test", "--partitions", "3")...)
	if !strings.HasSuffix(out, "Adding partitions succeeded!\n") {
		t.Errorf("alter printed %q", out)
	}
	out = must(t, "kafka-topics", append(zookeeper, "--delete", "--topic", "test")...)
	if out != "Topic test is marked for deletion.\nNote: This will have no impact if delete.topic.enable is not set to true.\n" {
		t.Errorf("delete printed %q", out)
	}
	testkit.Eventually(t, 10*time.Second, "the topic to be gone", func() bool {
		return must(t, "kafka-topics", append(zookeeper, "--list")...) == ""
	})
}

func TestRecordsSurviveAnOrderlyRestartAndAKill(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("kept", 1)
	b.produce("kept", "1", "2", "3")
	b.stop()
	b.start()
	b.produce("kept", "4")
	b.Kill()
	b.start()
	b.produce("kept", "5")
	if got := strings.Join(b.consume("kept", 5), " "); got != "1 2 3 4 5" {
		t.Errorf("after a stop and a kill the topic holds %q", got)
	}
}
