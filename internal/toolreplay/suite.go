// Package toolreplay tests the tools without a JVM and without a broker. A tool runs in the process
// of the test against a peer that answers its requests as a real broker once did, and must print
// what the real tool printed then.
//
// The recordings are in the folder testdata of each package of tools. To record those of a package
// again, which needs Java, run
//
//	MONEDULA_RECORD=1 go test ./tools/topics
//
// What a real broker cannot be made to answer at will is scripted: Scripted runs a tool against
// answers of the test, for which Cluster and Logs are building blocks. With MONEDULA_REAL=1 it runs
// the real tool instead.
//
// Files: suite.go has the cases; recording.go matches requests with recorded ones, and message.go
// writes both as text; recorder.go records; peer.go serves; script.go and logs.go are for scripts.
package toolreplay

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/tools/cli"
)

// Suite is a series of command lines. They run one after the other when they are recorded, so each
// finds what those before it left behind.
type Suite struct {
	Cases []Case
	// Offline is set if all cases end before they reach a broker. Nothing listens at {B} then.
	Offline bool
	Files   map[string]string // the files in {F}; their text has the same placeholders as Args

	Brokers int // how many brokers there are; 0: one
	// Properties are lines for server.properties of the recorded brokers, with {D} and {E} for
	// directories of the broker itself.
	Properties []string

	Prepare []Command // run before the first case when the cases are recorded
	// Fill fills the broker at an address through a client; it runs after Prepare. What it starts
	// may run until the test ends. nil: nothing.
	Fill func(t testing.TB, broker string)
}

// Command is a command line of a real tool.
type Command struct {
	Class, Args, Stdin string
	Until              string // the command is repeated until its stdout contains this text
}

// ACL returns the command that adds an ACL. Without ACLs on a resource, everything is allowed.
func ACL(args string) Command {
	return Command{Class: "kafka.admin.AclCommand", Args: "--bootstrap-server {B} --add " + args}
}

// Real returns the command that runs a real tool by the name of its script.
func Real(script, args, stdin string) Command {
	return Command{Class: testkit.RealTools[release][script], Args: args, Stdin: stdin}
}

// Case is a command line of a tool.
type Case struct {
	Name string // of the test and of the recording
	Tool cli.Tool
	// Args are separated by spaces. {B} is the broker, {F} the folder of files, {D} the broker's log
	// directory, {E} another one, {R} an address that refuses connections, and {T} a time limit in ms.
	Args  string
	Stdin string
	// Tidy removes from the output of either side what differs from run to run, or as
	// docs/deviations.md says; nil: nothing.
	Tidy   func(text string) string
	Alone  bool      // the real tool needs its own process
	Before []Command // run before the case when it is recorded
}

// Of sets the tool of cases that have none.
func Of(tool cli.Tool, cases ...Case) []Case {
	for i := range cases {
		if cases[i].Tool.Run == nil {
			cases[i].Tool = tool
		}
	}
	return cases
}

// Run checks that each case prints what the real tool printed. With MONEDULA_RECORD=1 it records
// them.
func Run(t *testing.T, s Suite) {
	if os.Getenv("MONEDULA_RECORD") != "" {
		s.record(t)
		return
	}
	for _, c := range s.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			s.replay(t, c)
		})
	}
}

func (s Suite) replay(t *testing.T, c Case) {
	r, err := readRecording(c.Name)
	if err != nil {
		t.Fatal(err)
	}
	if r.command != c.command() {
		t.Fatalf("the recording is that of another command: %s", r.command)
	}
	broker := refusing
	if !s.Offline {
		broker = r.serve(t, max(1, s.Brokers))
	}
	places := s.places(t, broker, "300")
	if have := c.run(places).Masked(c.Tidy); have != r.output {
		t.Errorf("%s\n--- ours\n%s--- the real tool\n%s", r.command, have, r.output)
	}
	for _, request := range r.unused() {
		t.Errorf("a recorded request was not sent: %s", request)
	}
}

func (c Case) command() string { return strings.TrimSpace(c.Tool.Name + " " + c.Args) }

// places writes the files and returns the values of the placeholders.
func (s Suite) places(t *testing.T, broker, limit string) *strings.Replacer {
	t.Helper()
	folder := t.TempDir()
	places := strings.NewReplacer("{B}", broker, "{F}", folder, "{D}", recordedDir(0), "{E}", secondDir(0), "{R}", refusing, "{T}", limit)
	for name, text := range s.Files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(places.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return places
}

func (c Case) args(places *strings.Replacer) []string {
	var args []string
	for _, arg := range strings.Fields(c.Args) {
		args = append(args, places.Replace(arg))
	}
	return args
}

// run runs our tool.
func (c Case) run(places *strings.Replacer) testkit.ToolResult {
	var out, errs bytes.Buffer
	code := c.Tool.Run(&cli.Env{Stdin: strings.NewReader(c.Stdin), Stdout: &out, Stderr: &errs}, c.args(places))
	return testkit.ToolResult{Stdout: out.String(), Stderr: errs.String(), Code: code}
}

const release = "3.9.1"

// refusing is an address at which nothing listens.
const refusing = "127.0.0.1:1"

// recordedDirs is the folder of the recorded brokers' log directories. It is always the same, since
// paths decide the order of some output.
const recordedDirs = "/tmp/toolreplay"

// recordedDir returns the log directory of a recorded broker.
func recordedDir(broker int) string {
	if broker == 0 {
		return filepath.Join(recordedDirs, "kafka-logs")
	}
	return filepath.Join(recordedDirs, fmt.Sprintf("kafka-logs-%d", broker))
}

// secondDir returns another log directory of the broker.
func secondDir(broker int) string { return recordedDir(broker) + "-second" }

// record runs the real tools against real brokers and ours against others in the same state, and
// writes the recordings.
func (s Suite) record(t *testing.T) {
	real := testkit.RealKafka(t, release).ToolRunner()
	defer real.End()
	var outputs []testkit.ToolResult
	s.withBrokers(t, real, func(p proxies, places *strings.Replacer) {
		for _, c := range s.Cases {
			runAll(t, real, c.Before, places)
			outputs = append(outputs, c.runReal(t, real, places))
		}
	})
	s.withBrokers(t, real, func(p proxies, places *strings.Replacer) {
		for i, c := range s.Cases {
			runAll(t, real, c.Before, places)
			if outputs[i].Code < 0 {
				t.Errorf("%s: the real tool did not end in time", c.command())
				continue
			}
			r := &recording{command: c.command(), output: outputs[i].Masked(c.Tidy)}
			p.record(r)
			have := c.run(places).Masked(c.Tidy)
			p.record(nil)
			if have != r.output {
				t.Errorf("%s\n--- ours\n%s--- the real tool\n%s", r.command, have, r.output)
			}
			if err := r.write(c.Name); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// runReal runs the real tool.
func (c Case) runReal(t testing.TB, real *testkit.ToolRunner, places *strings.Replacer) testkit.ToolResult {
	t.Helper()
	return real.Run(t, testkit.ToolCommand{Class: testkit.RealTools[release][c.Tool.Name], Args: c.args(places), Stdin: c.Stdin, Alone: c.Alone})
}

// runAll runs commands of real tools, which must succeed.
func runAll(t testing.TB, real *testkit.ToolRunner, commands []Command, places *strings.Replacer) {
	t.Helper()
	for _, c := range commands {
		result := real.Run(t, testkit.ToolCommand{Class: c.Class, Args: Case{Args: c.Args}.args(places), Stdin: c.Stdin, Until: c.Until})
		if result.Code != 0 {
			t.Fatalf("%s %s: exit code %d\n%s%s", c.Class, c.Args, result.Code, result.Stdout, result.Stderr)
		}
	}
}

// warmUp is the time limit in ms while recording, since Java needs seconds to warm up.
const warmUp = "5000"

// withBrokers starts real brokers, prepares them and calls use.
func (s Suite) withBrokers(t *testing.T, real *testkit.ToolRunner, use func(p proxies, places *strings.Replacer)) {
	t.Helper()
	if s.Offline {
		use(nil, s.places(t, refusing, warmUp))
		return
	}
	if err := os.RemoveAll(recordedDirs); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(recordedDirs)
	kafka, zookeeper := testkit.RealKafka(t, release), testkit.NewZooKeeper(t).Address()
	var all proxies
	for id := range max(1, s.Brokers) {
		p := newProxy(t, int32(id))
		port := testkit.FreePort(t)
		p.serve(fmt.Sprintf("127.0.0.1:%d", port))
		properties := []string{
			"listeners=PLAINTEXT://" + p.address(), "advertised.listeners=PLAINTEXT://" + p.listener.Addr().String(),
			"num.partitions=1", "auto.leader.rebalance.enable=false",
			"authorizer.class.name=kafka.security.authorizer.AclAuthorizer", "allow.everyone.if.no.acl.found=true",
		}
		for _, line := range s.Properties {
			properties = append(properties, strings.NewReplacer("{D}", recordedDir(id), "{E}", secondDir(id)).Replace(line))
		}
		broker := kafka.Broker(t, id, zookeeper, recordedDir(id), properties...)
		defer broker.Kill()
		all = append(all, p)
	}
	first := all[0].listener.Addr().String()
	places := s.places(t, first, warmUp)
	runAll(t, real, s.Prepare, places)
	if s.Fill != nil {
		s.Fill(t, first)
	}
	use(all, places)
}
