package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// headOf runs a script with its output piped into "head -n 1". It returns that line, the script's
// stderr, and its own exit code.
func headOf(t *testing.T, name string, args ...string) (line, stderr string, code int) {
	t.Helper()
	cmd := script(name, args...)
	piped := exec.Command("bash", append([]string{"-c", `"$0" "$@" | head -n 1; exit "${PIPESTATUS[0]}"`, cmd.Path}, args...)...)
	return testkit.Run(t, 60*time.Second, "", piped)
}

// If the reader of a tool's output goes away, the tool exits cleanly with code 0, and a consumer
// leaves its group.
func TestToolsExitCleanlyWhenTheirOutputIsNotRead(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("long", 1)
	var lines strings.Builder
	for i := range 30000 {
		fmt.Fprintf(&lines, "a line that is one of many: %d\n", i)
	}
	mustWith(t, lines.String(), "kafka-console-producer", append(b.bootstrap(), "--topic", "long")...)
	segment := filepath.Join(b.dir, "long-0", "00000000000000000000.log")

	for _, c := range []struct {
		name, group    string
		args           []string
		line, complain string
	}{
		{name: "kafka-console-consumer", args: append(b.bootstrap(), "--topic", "long", "--from-beginning"),
			line: "a line that is one of many: 0", complain: "Unable to write to standard out, closing consumer.\nProcessed a total of "},
		{name: "kafka-console-consumer", group: "console", args: append(b.bootstrap(), "--topic", "long", "--from-beginning", "--group", "console"),
			line: "a line that is one of many: 0", complain: "Unable to write to standard out, closing consumer.\nProcessed a total of "},
		{name: "kafka-console-consumer", args: []string{"--zookeeper", b.zookeeper, "--topic", "long", "--from-beginning"},
			line: "a line that is one of many: 0", complain: "Unable to write to standard out, closing consumer.\nProcessed a total of "},
		{name: "kafka-verifiable-consumer", group: "verified", args: append(b.bootstrap(), "--topic", "long", "--group-id", "verified", "--verbose"),
			line: `"name":"startup_complete"`},
		{name: "kafka-consumer-perf-test", group: "perf", args: append(b.bootstrap(), "--topic", "long", "--group", "perf", "--messages", "9000000", "--timeout", "60000",
			"--show-detailed-stats", "--reporting-interval", "1"), line: "time, threadId, "},
		{name: "kafka-replica-verification", args: []string{"--broker-list", b.address(), "--topics-include", "long", "--report-interval-ms", "1", "--max-wait-ms", "10"},
			line: "verification process is started", complain: "This tool is deprecated"},
		{name: "kafka-dump-log", args: []string{"--files", segment, "--print-data-log"}, line: "Dumping " + segment},
		{name: "kafka-topics", args: append(b.bootstrap(), "--describe"), line: "Topic: "},
		{name: "kafka-configs", args: append(b.bootstrap(), "--describe", "--all", "--entity-type", "brokers", "--entity-name", "0"), line: "All configs for broker 0 are:"},
		{name: "kafka-broker-api-versions", args: b.bootstrap(), line: b.address()},
		{name: "kafka-verifiable-producer", args: append(b.bootstrap(), "--topic", "long", "--max-messages", "2000"), line: `"name":"startup_complete"`},
	} {
		t.Run(c.name+" "+c.group, func(t *testing.T) {
			line, stderr, code := headOf(t, c.name, c.args...)
			if code != 0 || !strings.Contains(line, c.line) || !strings.Contains(stderr, c.complain) || c.complain == "" && stderr != "" {
				t.Errorf("exit code %d\nstdout: %s\nstderr: %s", code, line, stderr)
			}
			if c.group == "" {
				return
			}
			members, _, _ := run(t, "kafka-consumer-groups", append(b.bootstrap(), "--describe", "--members", "--group", c.group)...)
			if strings.Contains(members, c.group) {
				t.Errorf("the group still has members:\n%s", members)
			}
		})
	}
}

// A broker continues to serve and to log when the reader of its output has gone.
func TestABrokerOutlivesTheReaderOfItsOutput(t *testing.T) {
	b := newBroker(t, options{})
	cmd := exec.Command("bash", "-c", `exec "$0" "$@" > >(head -n 1)`, script("kafka-server-start").Path, b.file)
	cmd.Env = append(os.Environ(), "LOG_DIR="+b.logs)
	var err error
	if b.Process, err = testkit.Start("a broker whose output is not read", cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Kill)
	testkit.Eventually(t, 60*time.Second, "the line of a started broker in server.log", func() bool {
		log, _ := os.ReadFile(filepath.Join(b.logs, "server.log"))
		return strings.Contains(string(log), startedLine)
	})
	b.createTopic("t", 1)
	b.produce("t", "still here")
	if got := b.consume("t", 1); got[0] != "still here" {
		t.Errorf("read %q", got)
	}
	b.stop()
	log, err := os.ReadFile(filepath.Join(b.logs, "server.log"))
	if err != nil || !strings.Contains(string(log), "shut down completed") {
		t.Errorf("server.log: %v\n%s", err, log)
	}
}
