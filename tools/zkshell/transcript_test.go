package zkshell

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/zkserver"
)

// A transcript is a file of testdata: command lines, each followed by what the real shell printed.
// All command lines of a file use the same server, which is empty at the start.
//
//	# a comment
//	> LINE           a line for a shell that stays open, with its output on stdout and stderr
//	$ PROGRAM ARGS   a program that runs until it ends: zkCli or zookeeper-shell
//	< LINE           a line for the standard input of that program
//	exit CODE        the exit code of a program
//
// Arguments of programs are separated by spaces; single quotes enclose an argument with spaces. {S} is
// the address of the server, {R} an address that refuses connections, {F} the folder testdata/files.
//
// Events are printed by another thread of the real shell, so they are moved to the end of the output
// of a line. To record all transcripts again with the real shell on a real ZooKeeper, run
//
//	MONEDULA_RECORD=1 go test ./tools/zkshell -run TestTheShellPrintsWhatTheRealOnePrints
const realRelease = "3.9.1" // of Kafka, with the shell of ZooKeeper 3.8.4

// runner runs programs with the shell of one side.
type runner interface {
	// run runs a program until it ends.
	run(t *testing.T, program string, args []string, stdin string) (output string, code int)
	// open starts zkCli without a command and returns its input.
	open(t *testing.T, server string, output io.Writer) io.WriteCloser
}

func TestTheShellPrintsWhatTheRealOnePrints(t *testing.T) {
	for _, name := range transcripts(t) {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("MONEDULA_RECORD") != "" {
				have := play(t, name, realShell{}, testkit.NewZooKeeper(t).Address())
				if err := os.WriteFile(transcriptPath(name), []byte(have), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Parallel()
			compare(t, name, play(t, name, ourShell{}, startServer(t)))
		})
	}
}

// The transcripts must be true for all combinations of both shells and both servers.
func TestBothShellsPrintTheSameOnBothServers(t *testing.T) {
	if os.Getenv("MONEDULA_TEST_ALL") == "" {
		return
	}
	for _, name := range transcripts(t) {
		t.Run(name, func(t *testing.T) {
			compare(t, name, play(t, name, realShell{}, testkit.NewZooKeeper(t).Address()))
			compare(t, name, play(t, name, realShell{}, startServer(t)))
			compare(t, name, play(t, name, ourShell{}, testkit.NewZooKeeper(t).Address()))
		})
	}
}

func compare(t *testing.T, name, have string) {
	t.Helper()
	want, err := os.ReadFile(transcriptPath(name))
	if err != nil {
		t.Fatal(err)
	}
	if have == string(want) {
		return
	}
	haveLines, wantLines := strings.Split(have, "\n"), strings.Split(string(want), "\n")
	command := ""
	for i := range max(len(haveLines), len(wantLines)) {
		h, w := at(haveLines, i), at(wantLines, i)
		if h != w {
			t.Fatalf("%s, line %d, %s: have\n%s\nwant\n%s", transcriptPath(name), i+1, command, strings.Join(haveLines[i:min(i+8, len(haveLines))], "\n"),
				strings.Join(wantLines[i:min(i+8, len(wantLines))], "\n"))
		}
		if strings.HasPrefix(h, "> ") || strings.HasPrefix(h, "$ ") {
			command = h
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end)"
}

func transcriptPath(name string) string { return filepath.Join("testdata", name+".txt") }

func transcripts(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".txt"))
	}
	return names
}

// startServer starts an embedded server whose files are in memory.
func startServer(t *testing.T) (address string) {
	t.Helper()
	c := zkserver.DefaultConfig()
	c.FS, c.DataDir, c.Host, c.Port = vfs.NewMem(), "/data", "127.0.0.1", 0
	c.TickTimeMs, c.MaxSessionTimeoutMs = 500, 60_000
	s, err := zkserver.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s.Address()
}

// kafkaScript is the program that takes the server as its first argument.
const kafkaScript = "zookeeper-shell"

const refusing = "127.0.0.1:1" // nothing listens there

// play runs the command lines of a transcript and returns it with their output.
func play(t *testing.T, name string, r runner, server string) string {
	t.Helper()
	text, err := os.ReadFile(transcriptPath(name))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Abs("testdata/files")
	if err != nil {
		t.Fatal(err)
	}
	places := strings.NewReplacer("{S}", server, "{R}", refusing, "{F}", files)
	back := strings.NewReplacer(server, "{S}", refusing, "{R}", files, "{F}")
	var s *openShell
	var out strings.Builder
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch mark, rest, _ := strings.Cut(line, " "); mark {
		case "#":
			out.WriteString(line + "\n")
		case ">":
			if s == nil {
				s = openOne(t, r, server)
				out.WriteString(back.Replace(tidy(s.until(t, ""))))
			}
			out.WriteString(line + "\n")
			out.WriteString(back.Replace(tidy(s.until(t, places.Replace(rest)))))
		case "$":
			out.WriteString(line + "\n")
			stdin := ""
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "< ") {
				i++
				out.WriteString(lines[i] + "\n")
				stdin += lines[i][2:] + "\n"
			}
			args := splitArguments(rest)
			for i := range args {
				args[i] = places.Replace(args[i])
			}
			output, code := r.run(t, args[0], args[1:], stdin)
			fmt.Fprintf(&out, "%sexit %d\n", back.Replace(tidy(output)), code)
		}
	}
	if s != nil {
		_ = s.in.Close()
	}
	return out.String()
}

// splitArguments splits the arguments of a program.
func splitArguments(line string) (args []string) {
	for _, match := range regexp.MustCompile(`'([^']*)'|\S+`).FindAllStringSubmatch(line, -1) {
		if strings.HasPrefix(match[0], "'") {
			args = append(args, match[1])
		} else {
			args = append(args, match[0])
		}
	}
	return args
}

// openShell is a shell that stays open.
type openShell struct {
	in   io.WriteCloser
	out  *growing
	late time.Duration // how long events may be printed after the answer to a line
}

func openOne(t *testing.T, r runner, server string) *openShell {
	t.Helper()
	out := &growing{changed: make(chan struct{}, 1)}
	s := &openShell{in: r.open(t, server, out), out: out}
	if _, real := r.(realShell); real {
		s.late = 300 * time.Millisecond
	}
	t.Cleanup(func() { _ = s.in.Close() })
	s.out.await(t, "state:SyncConnected type:None")
	return s
}

func (s *openShell) send(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// until sends a line, which may be empty, and returns what is printed until a second line is answered.
func (s *openShell) until(t *testing.T, line string) string {
	t.Helper()
	if line != "" {
		s.send(t, line)
	}
	s.send(t, sentinel)
	s.out.await(t, "printwatches is o")
	if strings.HasPrefix(line, "connect") {
		s.out.await(t, "state:SyncConnected type:None")
	}
	<-time.After(s.late)
	return s.out.take()
}

const sentinel = "printwatches"

var sentinelAnswer = regexp.MustCompile(`printwatches is (on|off)\n`)

// growing is the output of a running program.
type growing struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (g *growing) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.text.Write(b)
	select {
	case g.changed <- struct{}{}:
	default:
	}
	return len(b), nil
}

// await waits for a text.
func (g *growing) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		g.mu.Lock()
		have := g.text.String()
		g.mu.Unlock()
		if strings.Contains(have, text) {
			return
		}
		select {
		case <-g.changed:
		case <-limit:
			t.Fatalf("%q was not printed within a minute, but\n%s", text, have)
		}
	}
}

// take returns and removes the output, without the answer to the sentinel.
func (g *growing) take() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	have := g.text.String()
	g.text.Reset()
	return sentinelAnswer.ReplaceAllString(have, "")
}

// pass removes the output up to the end of a text that it contains.
func (g *growing) pass(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.text.Next(strings.Index(g.text.String(), text) + len(text))
}

var (
	eventText  = regexp.MustCompile(`\nWATCHER::\n\nWatchedEvent [^\n]*\n`)
	logLine    = regexp.MustCompile(`(?m)^(\[\d{4}-[^\n]*\] (WARN|ERROR|INFO) [^\n]*\n(java\.[\w.]+: [^\n]*\n)?|(SLF4J: |log4j:)[^\n]*\n)`)
	stackTrace = regexp.MustCompile(`(?m)^(\tat |Caused by: |\t\.\.\. \d+ more)[^\n]*\n`)
	nodeTime   = regexp.MustCompile(`(?m)^([cm]time = )(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d UTC \d{4}$`)
	build      = regexp.MustCompile(`(?m)^(ZooKeeper CLI version: 3\.8\.4-).*$`)
	sessionID  = regexp.MustCompile(`(?m)^(ephemeralOwner = 0x)[0-9a-f]{2,}$`)
)

// tidy removes what differs from run to run, and moves events to the end.
func tidy(text string) string {
	text = stackTrace.ReplaceAllString(logLine.ReplaceAllString(text, ""), "")
	text = nodeTime.ReplaceAllString(text, "${1}Mon Jan 02 15:04:05 UTC 2006")
	text = build.ReplaceAllString(text, "${1}*")
	text = sessionID.ReplaceAllString(text, "${1}*")
	events := eventText.FindAllString(text, -1)
	text = eventText.ReplaceAllString(text, "") + strings.Join(events, "")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// ourShell runs the shell of this package in the process of the test.
type ourShell struct{}

func (ourShell) run(_ *testing.T, program string, args []string, stdin string) (string, int) {
	tool := Tool
	if program == kafkaScript {
		tool, args = KafkaTool, append([]string{"-server"}, args...)
	}
	var out growing
	code := tool.Run(&cli.Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &out}, args)
	return out.text.String(), code
}

func (ourShell) open(t *testing.T, server string, output io.Writer) io.WriteCloser {
	read, write := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Tool.Run(&cli.Env{Stdin: read, Stdout: output, Stderr: output}, []string{"-server", server})
		_ = read.Close()
	}()
	t.Cleanup(func() {
		_ = write.Close()
		<-ended
	})
	return write
}

// realShell runs Apache ZooKeeper's shell.
type realShell struct{}

// realClasses are the classes of the programs.
var realClasses = map[string]string{"zkCli": "org.apache.zookeeper.ZooKeeperMain", kafkaScript: "org.apache.zookeeper.ZooKeeperMainWithTlsSupportForKafka"}

func realCommand(t *testing.T, program string, args []string, output io.Writer) *exec.Cmd {
	t.Helper()
	if program == kafkaScript {
		args = append([]string{"-server"}, args...)
	}
	cmd := testkit.RealKafka(t, realRelease).Command(t, "-Xmx256m", realClasses[program], args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8")
	cmd.Stdout, cmd.Stderr = output, output
	return cmd
}

func (realShell) run(t *testing.T, program string, args []string, stdin string) (string, int) {
	t.Helper()
	var out growing
	cmd := realCommand(t, program, args, &out)
	cmd.Stdin = strings.NewReader(stdin)
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.text.String(), cmd.ProcessState.ExitCode()
}

func (realShell) open(t *testing.T, server string, output io.Writer) io.WriteCloser {
	t.Helper()
	cmd := realCommand(t, "zkCli", []string{"-server", server}, output)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return in
}

func TestMain(m *testing.M) {
	if err := os.Setenv("TZ", "UTC"); err != nil {
		panic(err)
	}
	time.Local = time.UTC
	testkit.Main(m)
}
