package testkit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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
		"kafka-transactions":         "org.apache.kafka.tools.TransactionsCommand",
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

// RunTools runs tools of the release one after the other.
func (k *Kafka) RunTools(t testing.TB, commands []ToolCommand) []ToolResult {
	t.Helper()
	runner := k.ToolRunner()
	defer runner.End()
	var all []ToolResult
	for _, c := range commands {
		all = append(all, runner.Run(t, c))
	}
	return all
}

// ToolRunner runs tools of a release one after the other, in one Java process except for those that
// need their own. The process starts with the first tool.
type ToolRunner struct {
	k *Kafka

	mu      sync.Mutex // guards the fields below; held while a tool runs
	cmd     *exec.Cmd  // nil: it does not run
	in      io.WriteCloser
	results *bufio.Reader
	errs    bytes.Buffer
}

// ToolRunner returns a runner. Its process ends after End or with that of the tests.
func (k *Kafka) ToolRunner() *ToolRunner { return &ToolRunner{k: k.Plain()} }

// Run runs a tool. The exit code is -1 if the tool does not end within a minute.
func (r *ToolRunner) Run(t testing.TB, c ToolCommand) ToolResult {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Alone {
		var result ToolResult
		result.Stdout, result.Stderr, result.Code = r.k.RunWithInput(t, c.Stdin, c.Class, c.Args...)
		return result
	}
	if r.cmd == nil {
		if err := r.start(t); err != nil {
			t.Fatal(err)
		}
	}
	var command strings.Builder
	for _, field := range append([]string{c.Class, c.Stdin, c.Until}, c.Args...) {
		command.WriteString(field + "\x1f")
	}
	command.WriteString("\x1e")
	limit := time.AfterFunc(3*time.Minute, func() { _ = r.cmd.Process.Kill() })
	defer limit.Stop()
	_, err := io.WriteString(r.in, command.String())
	var line string
	if err == nil {
		line, err = r.results.ReadString('\n')
	}
	if err != nil {
		r.stop()
		t.Fatalf("the real tools: %s %s: %v\n%s", c.Class, strings.Join(c.Args, " "), err, r.errs.String())
	}
	result, err := parseToolResult(line)
	if err != nil {
		t.Fatal(err)
	}
	if result.Code < 0 { // it still runs and may print into the output of the next tool
		r.stop()
	}
	return result
}

func (r *ToolRunner) start(t testing.TB) (err error) {
	r.cmd = r.k.Command(t, "-Xmx512m", filepath.Join(Root(), "integration/testdata/ToolRunner.java"))
	r.errs.Reset()
	r.cmd.Stderr = &r.errs
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	r.results = bufio.NewReader(out)
	return r.cmd.Start()
}

// End ends the process.
func (r *ToolRunner) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		r.stop()
	}
}

// stop ends the process. The caller must hold mu.
func (r *ToolRunner) stop() {
	r.in.Close()
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// parseToolResult parses a line of ToolRunner.java.
func parseToolResult(line string) (ToolResult, error) {
	malformed := fmt.Errorf("malformed result of the real tools: %q", line)
	fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(fields) != 4 {
		return ToolResult{}, malformed
	}
	code, err := strconv.Atoi(fields[0])
	if err != nil {
		return ToolResult{}, malformed
	}
	stdout, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return ToolResult{}, malformed
	}
	stderr, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return ToolResult{}, malformed
	}
	return ToolResult{string(stdout), string(stderr), code}, nil
}
