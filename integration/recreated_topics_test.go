package integration

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// Tools that are running when their topic is deleted and created again continue with the new topic.
// Consumers read it from its first record, and producers lose no record.
func TestToolsContinueWithATopicCreatedAgain(t *testing.T) {
	b := startBroker(t, options{extra: []string{"auto.create.topics.enable=false", "log.segment.delete.delay.ms=0"}})
	b.createTopic("again", 1)
	start := func(name string, args ...string) *testkit.Process {
		t.Helper()
		p, err := testkit.Start(name, script(name, append(b.bootstrap(), args...)...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		return p
	}
	readers := map[string]*testkit.Process{
		"no group":   start("kafka-console-consumer", "--topic", "again", "--from-beginning"),
		"a group":    start("kafka-console-consumer", "--topic", "again", "--from-beginning", "--group", "g"),
		"a pattern":  start("kafka-console-consumer", "--include", "aga.n|other", "--from-beginning", "--consumer-property", "metadata.max.age.ms=1000"),
		"both":       start("kafka-console-consumer", "--include", "aga.n|other", "--from-beginning", "--group", "p", "--consumer-property", "metadata.max.age.ms=1000"),
		"partition":  start("kafka-console-consumer", "--topic", "again", "--partition", "0", "--from-beginning"),
		"verifiable": start("kafka-verifiable-consumer", "--topic", "again", "--group-id", "v", "--verbose"),
	}
	perfRead := start("kafka-consumer-perf-test", "--topic", "again", "--group", "perf", "--messages", "1000000", "--timeout", "120000", "--show-detailed-stats", "--reporting-interval", "1")
	verifiable := start("kafka-verifiable-producer", "--topic", "again", "--throughput", "50", "--value-prefix", "7")
	perf, err := testkit.Start("kafka-producer-perf-test", script("kafka-producer-perf-test", "--topic", "again", "--num-records", "400", "--throughput", "50",
		"--record-size", "10", "--producer-props", "bootstrap.servers="+b.address()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(perf.Kill)
	stdin, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer typed.Close()
	console := script("kafka-console-producer", append(b.bootstrap(), "--topic", "again")...)
	console.Stdin = stdin
	producer, err := testkit.Start("kafka-console-producer", console)
	if err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	t.Cleanup(producer.Kill)
	var lines []string
	send := func(what string) {
		for i := range 20 {
			line := fmt.Sprintf("%s-%02d.", what, i)
			lines = append(lines, line)
			if _, err := io.WriteString(typed, line+"\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := func(what string) {
		t.Helper()
		for name, reader := range readers {
			if err := reader.AwaitOutput(what, 90*time.Second); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	send("before")
	seen("before-19.")
	await := func(what, text string, p *testkit.Process) {
		t.Helper()
		if err := p.AwaitOutput(text, 90*time.Second); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	await("the verifiable producer", `"producer_send_success"`, verifiable)
	testkit.Eventually(t, 60*time.Second, "the performance test to have read", func() bool { return strings.Count(perfRead.Output(), "\n") > 1 })

	must(t, "kafka-topics", append(b.bootstrap(), "--delete", "--topic", "again")...)
	testkit.Eventually(t, 60*time.Second, "the topic to be gone", func() bool {
		return !strings.Contains(must(t, "kafka-topics", append(b.bootstrap(), "--list")...), "again")
	})
	send("meanwhile")
	testkit.Eventually(t, 60*time.Second, "the topic to be created again", func() bool { // the old node may still exist for a moment
		_, _, code := run(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "again", "--partitions", "1", "--replication-factor", "1")...)
		return code == 0
	})
	send("after")
	read := strings.Count(perfRead.Output(), "\n")
	seen("after-19.")
	for name, reader := range readers {
		for _, line := range lines {
			if n := strings.Count(reader.Output(), line); n != 1 {
				t.Errorf("%s: %q was read %d times", name, line, n)
			}
		}
	}
	if err := typed.Close(); err != nil {
		t.Fatal(err)
	}
	<-producer.Ended()
	if code := producer.ExitCode(); code != 0 || strings.Contains(producer.Output(), "ERROR") {
		t.Errorf("the console producer: exit code %d\n%s", code, producer.Output())
	}
	acked := strings.Count(verifiable.Output(), `"producer_send_success"`)
	testkit.Eventually(t, 60*time.Second, "the verifiable producer to continue", func() bool {
		return strings.Count(verifiable.Output(), `"producer_send_success"`) > acked+20
	})
	if strings.Contains(verifiable.Output(), "producer_send_error") {
		t.Errorf("the verifiable producer lost records:\n%s", verifiable.Output())
	}
	testkit.Eventually(t, 60*time.Second, "the performance test to read more", func() bool { return strings.Count(perfRead.Output(), "\n") > read })
	<-perf.Ended()
	if !strings.Contains(perf.Output(), "400 records sent") || strings.Contains(perf.Output(), "Exception") {
		t.Errorf("the producer performance test failed:\n%s", perf.Output())
	}
}

// Consumers find new partitions and topics within metadata.max.age.ms, and a pattern does not match
// internal topics.
func TestConsumersFindNewPartitionsAndTopicsButSkipInternalTopics(t *testing.T) {
	b := startBroker(t, options{extra: []string{"offsets.topic.num.partitions=2"}})
	b.createTopic("grow", 1)
	b.produce("grow", "first.")
	must(t, "kafka-console-consumer", append(b.bootstrap(), "--topic", "grow", "--group", "makes-offsets", "--from-beginning", "--max-messages", "1")...)
	readers := map[string]*testkit.Process{}
	for name, args := range map[string][]string{
		"no group": {"--topic", "grow"}, "a group": {"--topic", "grow", "--group", "g"},
		"a pattern": {"--include", "gro.*|__consumer_offsets"}, "a pattern in a group": {"--include", "gro.*|__consumer_offsets", "--group", "p"},
	} {
		p, err := testkit.Start(name, script("kafka-console-consumer", append(append(b.bootstrap(), args...), "--from-beginning",
			"--consumer-property", "metadata.max.age.ms=500", "--property", "print.partition=true")...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		readers[name] = p
	}
	seen := func(name, what string) {
		t.Helper()
		if err := readers[name].AwaitOutput(what, 60*time.Second); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for name := range readers {
		seen(name, "Partition:0\tfirst.")
	}
	must(t, "kafka-topics", append(b.bootstrap(), "--alter", "--topic", "grow", "--partitions", "3")...)
	var keyed strings.Builder
	for i := range 60 {
		fmt.Fprintf(&keyed, "%d:later%d.\n", i, i)
	}
	mustWith(t, keyed.String(), "kafka-console-producer", append(b.bootstrap(), "--topic", "grow", "--property", "parse.key=true", "--property", "key.separator=:")...)
	b.createTopic("groom", 1)
	b.produce("groom", "another topic.")
	for name := range readers {
		for i := range 60 {
			seen(name, fmt.Sprintf("later%d.", i))
		}
		if strings.HasPrefix(name, "a pattern") {
			seen(name, "another topic.")
		}
		out := readers[name].Output()
		if !strings.Contains(out, "Partition:1\t") || !strings.Contains(out, "Partition:2\t") {
			t.Errorf("%s: not all partitions were read", name)
		}
		for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
			if !strings.HasSuffix(line, ".") {
				t.Errorf("%s printed %q", name, line)
			}
		}
	}
}
