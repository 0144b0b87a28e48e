package testkit

import (
	"encoding/base64"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RealTools are the classes of the real tools, by release and script.
var RealTools = map[string]map[string]string{
	"3.9.1": {
		"kafka-topics":               "org.apache.kafka.tools.TopicCommand",
		"kafka-console-producer":     "kafka.tools.ConsoleProducer",
		"kafka-console-consumer":     "org.apache.kafka.tools.consumer.ConsoleConsumer",
		"kafka-get-offsets":          "org.apache.kafka.tools.GetOffsetShell",
		"kafka-dump-log":             "kafka.tools.DumpLogSegments",
		"kafka-broker-api-versions":  "kafka.admin.BrokerApiVersionsCommand",
		"kafka-cluster":              "org.apache.kafka.tools.ClusterTool",
		"kafka-verifiable-producer":  "org.apache.kafka.tools.VerifiableProducer",
		"kafka-verifiable-consumer":  "org.apache.kafka.tools.VerifiableConsumer",
		"kafka-producer-perf-test":   "org.apache.kafka.tools.ProducerPerformance",
		"kafka-consumer-perf-test":   "org.apache.kafka.tools.ConsumerPerformance",
		"kafka-replica-verification": "org.apache.kafka.tools.ReplicaVerificationTool",
		"kafka-consumer-groups":      "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
		"kafka-configs":              "kafka.admin.ConfigCommand",
		"kafka-reassign-partitions":  "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
		"kafka-leader-election":      "org.apache.kafka.tools.LeaderElectionCommand",
		"kafka-delete-records":       "org.apache.kafka.tools.DeleteRecordsCommand",
		"kafka-log-dirs":             "org.apache.kafka.tools.LogDirsCommand",
	},
	"2.8.2": {
		"kafka-topics":                     "kafka.admin.TopicCommand",
		"kafka-configs":                    "kafka.admin.ConfigCommand",
		"kafka-reassign-partitions":        "kafka.admin.ReassignPartitionsCommand",
		"kafka-preferred-replica-election": "kafka.admin.PreferredReplicaLeaderElectionCommand",
	},
}

// ToolCommand is a command line for a real tool.
type ToolCommand struct {
	Class string
	Args  []string
	Stdin string
	Until string // the command is repeated until its stdout contains this text; not with Alone
	Alone bool   // the tool needs its own process, since it ends the process
}

// RunTools runs tools of the release one after the other, in one Java process except for those that
// need their own.
func (k *Kafka) RunTools(t testing.TB, commands []ToolCommand) []ToolResult {
	t.Helper()
	var together []ToolCommand
	for _, c := range commands {
		if !c.Alone {
			together = append(together, c)
		}
	}
	results := k.runTogether(t, together)
	all := make([]ToolResult, len(commands))
	for i, c := range commands {
		if !c.Alone {
			all[i], results = results[0], results[1:]
			continue
		}
		all[i].Stdout, all[i].Stderr, all[i].Code = k.Plain().RunWithInput(t, c.Stdin, c.Class, c.Args...)
	}
	return all
}

func (k *Kafka) runTogether(t testing.TB, commands []ToolCommand) []ToolResult {
	t.Helper()
	if len(commands) == 0 {
		return nil
	}
	var input strings.Builder
	for _, c := range commands {
		for _, field := range append([]string{c.Class, c.Stdin, c.Until}, c.Args...) {
			input.WriteString(field + "\x1f")
		}
		input.WriteString("\x1e")
	}
	cmd := k.Plain().Command(t, "-Xmx512m", filepath.Join(Root(), "integration/testdata/ToolRunner.java"))
	out, errs, code := Run(t, 8*time.Minute, input.String(), cmd)
	results := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(results) != len(commands) {
		t.Fatalf("the real tools: exit code %d, %d results of %d\n%s\n%s", code, len(results), len(commands), out, errs)
	}
	var all []ToolResult
	for _, result := range results {
		fields := strings.Split(result, " ")
		if len(fields) != 4 {
			t.Fatalf("malformed result of the real tools: %q", result)
		}
		code, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		stdout, _ := base64.StdEncoding.DecodeString(fields[1])
		stderr, _ := base64.StdEncoding.DecodeString(fields[2])
		all = append(all, ToolResult{string(stdout), string(stderr), code})
	}
	return all
}
