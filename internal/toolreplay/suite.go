// Package toolreplay tests the tools without a JVM and without a broker. A tool runs in the process
// of the test against a peer that answers its requests as a real broker answered them once, and
// must print what the real tool printed then.
//
// The recordings are in the folder testdata of each package of tools. To record those of a package
// again, which needs Java, run
//
//	MONEDULA_RECORD=1 go test ./tools/topics
//
// What a real broker cannot be made to answer at will is scripted: Scripted runs a tool against
// answers of the test, for which Cluster and Logs are building blocks.
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

	"github.com/twmb/franz-go/pkg/kmsg"

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

	Prepare []Command // run before the first case when the cases are recorded
}

// Command is a command line of a real tool.
type Command struct {
	Class, Args, Stdin string
}

// ACL is the command that adds an ACL. Without ACLs on a resource, everything is allowed.
func ACL(args string) Command {
	return Command{Class: "kafka.admin.AclCommand", Args: "--bootstrap-server {B} --add " + args}
}

// Real is the command that runs a real tool by the name of its script.
func Real(script, args, stdin string) Command {
	return Command{Class: testkit.RealTools[release][script], Args: args, Stdin: stdin}
}

// Case is a command line of a tool.
type Case struct {
	Name string // of the test and of the recording
	Tool cli.Tool
	// Args are separated by spaces. {B} is the broker, {F} the folder of files, {D} the broker's log
	// directory, {R} an address that refuses connections, and {T} a time limit in ms.
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
		broker = Serve(t, func(req kmsg.Request) kmsg.Response { return r.respond(t, req) }).Address()
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
	places := strings.NewReplacer("{B}", broker, "{F}", folder, "{D}", recordedDir, "{R}", refusing, "{T}", limit)
	for name, text := range s.Files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(places.Replace(text)), 0o644); err != nil {
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

// recordedDir is the log directory of the recorded broker. It is always the same, since paths
// decide the order of some output.
var recordedDir = filepath.Join(os.TempDir(), "toolreplay", "kafka-logs")

// record runs the real tools against one real broker and ours against another one in the same
// state, and writes the recordings.
func (s Suite) record(t *testing.T) {
	kafka := testkit.RealKafka(t, release)
	var outputs []testkit.ToolResult
	s.withBroker(t, func(p *proxy, places *strings.Replacer) {
		var commands []testkit.ToolCommand
		var isCase []bool
		for _, c := range s.Cases {
			for _, before := range c.Before {
				commands, isCase = append(commands, before.real(places)), append(isCase, false)
			}
			real := Command{testkit.RealTools[release][c.Tool.Name], c.Args, c.Stdin}.real(places)
			real.Alone = c.Alone
			commands, isCase = append(commands, real), append(isCase, true)
		}
		for i, result := range kafka.RunTools(t, commands) {
			if isCase[i] {
				outputs = append(outputs, result)
			}
		}
	})
	s.withBroker(t, func(p *proxy, places *strings.Replacer) {
		for i, c := range s.Cases {
			runAll(t, kafka, c.Before, places)
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

func (c Command) real(places *strings.Replacer) testkit.ToolCommand {
	return testkit.ToolCommand{Class: c.Class, Args: Case{Args: c.Args}.args(places), Stdin: c.Stdin}
}

// runAll runs commands of real tools, which must succeed.
func runAll(t *testing.T, kafka *testkit.Kafka, commands []Command, places *strings.Replacer) {
	t.Helper()
	var real []testkit.ToolCommand
	for _, c := range commands {
		real = append(real, c.real(places))
	}
	for i, result := range kafka.RunTools(t, real) {
		if result.Code != 0 {
			t.Fatalf("%s %s: exit code %d\n%s%s", commands[i].Class, commands[i].Args, result.Code, result.Stdout, result.Stderr)
		}
	}
}

// warmUp is the time limit in ms while recording, since Java needs seconds to warm up.
const warmUp = "5000"

// withBroker starts a real broker, prepares it and calls use.
func (s Suite) withBroker(t *testing.T, use func(p *proxy, places *strings.Replacer)) {
	t.Helper()
	if s.Offline {
		use(&proxy{}, s.places(t, refusing, warmUp))
		return
	}
	if err := os.RemoveAll(filepath.Dir(recordedDir)); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(filepath.Dir(recordedDir))
	kafka := testkit.RealKafka(t, release)
	p := newProxy(t)
	port := testkit.FreePort(t)
	p.serve(fmt.Sprintf("127.0.0.1:%d", port))
	broker := kafka.Broker(t, 0, testkit.NewZooKeeper(t).Address(), recordedDir,
		"listeners=PLAINTEXT://"+p.address(), "advertised.listeners=PLAINTEXT://"+p.listener.Addr().String(),
		"num.partitions=1", "auto.leader.rebalance.enable=false",
		"authorizer.class.name=kafka.security.authorizer.AclAuthorizer", "allow.everyone.if.no.acl.found=true",
	)
	defer broker.Kill()
	places := s.places(t, p.listener.Addr().String(), warmUp)
	runAll(t, kafka, s.Prepare, places)
	use(p, places)
}
