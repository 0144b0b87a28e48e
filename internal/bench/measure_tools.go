package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// toolRun is a command whose wall time is measured.
type toolRun struct {
	tool
	name  string
	stdin string
	args  func(br *broker, round int) []string // each call gets a different round
}

// toolTopic is the small topic that the tools use.
const toolTopic = "tools"

func toolRuns() []toolRun {
	at := func(br *broker, args ...string) []string {
		return append([]string{"--bootstrap-server", br.address()}, args...)
	}
	topics := tool{script: "kafka-topics.sh", class: "org.apache.kafka.tools.TopicCommand", heap: "-Xmx256M"}
	groups := tool{script: "kafka-consumer-groups.sh", class: "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", heap: "-Xmx256M"}
	return []toolRun{
		{tool: topics, name: "kafka-topics --list",
			args: func(br *broker, _ int) []string { return at(br, "--list") }},
		{tool: topics, name: "kafka-topics --describe",
			args: func(br *broker, _ int) []string { return at(br, "--describe", "--topic", toolTopic) }},
		{tool: topics, name: "kafka-topics --create",
			args: func(br *broker, round int) []string {
				return at(br, "--create", "--topic", fmt.Sprintf("%s-%d", toolTopic, round), "--partitions", "1", "--replication-factor", "1")
			}},
		{tool: tool{script: "kafka-console-producer.sh", class: "kafka.tools.ConsoleProducer", heap: "-Xmx512M"},
			name: "kafka-console-producer, one line", stdin: "one line\n",
			args: func(br *broker, _ int) []string { return at(br, "--topic", toolTopic) }},
		{tool: tool{script: "kafka-console-consumer.sh", class: "org.apache.kafka.tools.consumer.ConsoleConsumer", heap: "-Xmx512M"},
			name: "kafka-console-consumer --max-messages 1",
			args: func(br *broker, _ int) []string {
				return at(br, "--topic", toolTopic, "--partition", "0", "--offset", "earliest", "--max-messages", "1")
			}},
		{tool: tool{script: "kafka-get-offsets.sh", class: "org.apache.kafka.tools.GetOffsetShell", heap: "-Xmx256M"},
			name: "kafka-get-offsets",
			args: func(br *broker, _ int) []string { return at(br, "--topic", toolTopic) }},
		{tool: tool{script: "kafka-dump-log.sh", class: "kafka.tools.DumpLogSegments", heap: "-Xmx256M"},
			name: "kafka-dump-log, a small segment",
			args: func(br *broker, _ int) []string {
				return []string{"--print-data-log", "--files", filepath.Join(br.dir, toolTopic+"-0", "00000000000000000000.log")}
			}},
		{tool: tool{script: "kafka-broker-api-versions.sh", class: "kafka.admin.BrokerApiVersionsCommand", heap: "-Xmx256M"},
			name: "kafka-broker-api-versions",
			args: func(br *broker, _ int) []string { return at(br) }},
		{tool: tool{script: "kafka-configs.sh", class: "kafka.admin.ConfigCommand", heap: "-Xmx256M"},
			name: "kafka-configs --describe --all",
			args: func(br *broker, _ int) []string { return at(br, "--describe", "--all", "--topic", toolTopic) }},
		{tool: tool{script: "kafka-reassign-partitions.sh", class: "org.apache.kafka.tools.reassign.ReassignPartitionsCommand", heap: "-Xmx256M"},
			name: "kafka-reassign-partitions --list",
			args: func(br *broker, _ int) []string { return at(br, "--list") }},
		{tool: tool{script: "kafka-leader-election.sh", class: "org.apache.kafka.tools.LeaderElectionCommand", heap: "-Xmx256M"},
			name: "kafka-leader-election",
			args: func(br *broker, _ int) []string {
				return at(br, "--election-type", "preferred", "--topic", toolTopic, "--partition", "0")
			}},
		{tool: tool{script: "kafka-log-dirs.sh", class: "org.apache.kafka.tools.LogDirsCommand", heap: "-Xmx256M"},
			name: "kafka-log-dirs --describe",
			args: func(br *broker, _ int) []string { return at(br, "--describe") }},
		{tool: tool{script: "kafka-cluster.sh", class: "org.apache.kafka.tools.ClusterTool", heap: "-Xmx256M"},
			name: "kafka-cluster cluster-id",
			args: func(br *broker, _ int) []string { return append([]string{"cluster-id"}, at(br)...) }},
		{tool: groups, name: "kafka-consumer-groups --reset-offsets --execute",
			args: func(br *broker, _ int) []string {
				return at(br, "--reset-offsets", "--group", toolTopic, "--topic", toolTopic, "--to-latest", "--execute")
			}},
		{tool: groups, name: "kafka-consumer-groups --describe",
			args: func(br *broker, _ int) []string { return at(br, "--describe", "--group", toolTopic) }},
	}
}

// measureTools measures the wall time of each side's own tools against its own warm broker. Ours
// run more often, because theirs take a second or two each.
func measureTools(ctx context.Context, b *bench) error {
	b.report.note("Tools: wall time from the start of the process to its end; median of %d for ours, of %d for the original's, which is run without its scripts.", b.sizes.rounds*b.sizes.toolRepeats, b.sizes.rounds)
	runs, ready := toolRuns(), map[*side]bool{}
	failed := map[string]error{} // by side and tool; a failed tool is not tried again
	err := b.alternate(ctx, func(ctx context.Context, s *side) error {
		br, err := b.warm(ctx, s)
		if err != nil {
			return err
		}
		if !ready[s] {
			if err := produceOnce(ctx, br, toolTopic, 1); err != nil {
				return err
			}
			ready[s] = true
		}
		repeats := 1
		if s == b.ours {
			repeats = b.sizes.toolRepeats
		}
		for _, run := range runs {
			if failed[s.name+run.name] == nil {
				failed[s.name+run.name] = b.repeatTool(ctx, br, run, repeats)
			}
		}
		b.progress("  %s: done", s.name)
		return nil
	})
	return errors.Join(append(slices.Collect(maps.Values(failed)), err)...)
}

// repeatTool runs a tool repeatedly and keeps each wall time.
func (b *bench) repeatTool(ctx context.Context, br *broker, run toolRun, times int) error {
	row := b.report.metric(run.name, "ms", goal{below: 50})
	for range times {
		b.toolRounds++
		took, err := run.once(ctx, br, b.toolRounds)
		if err != nil {
			return err
		}
		row.add(br.side, milliseconds(took))
	}
	return nil
}

// once runs the tool and waits for it to end.
func (t toolRun) once(ctx context.Context, br *broker, round int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := br.side.tool(ctx, t.tool, t.args(br, round)...)
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(t.stdin), &output, &output
	begin := time.Now()
	err := cmd.Run()
	took := time.Since(begin)
	if err != nil {
		return 0, fmt.Errorf("%s: %s: %w; its last output:\n%s", br.name, t.name, err, lastLines(output.String(), 15))
	}
	return took, nil
}
