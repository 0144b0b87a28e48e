package integration

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// The tutorials in testdata/tutorials, whose README describes their format, work as written: with
// our tools only, and with Kafka's own console consumer.
func TestTheTutorialsWorkWordForWord(t *testing.T) {
	files, err := filepath.Glob("testdata/tutorials/*.txt")
	if err != nil || len(files) != 5 {
		t.Fatalf("%d tutorials, want 5: %v", len(files), err)
	}
	kinds := map[string]*testkit.Kafka{"ours": nil, "java": testkit.RealKafka(t, "3.9.1")}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for kind, real := range kinds {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"-"+kind, func(t *testing.T) {
				t.Parallel()
				newTutorial(t, real, string(text)).play()
			})
		}
	}
}

// tutorial is a tutorial with the terminals of its reader.
type tutorial struct {
	t         *testing.T
	real      *testkit.Kafka // whose console consumer is used; nil: ours
	brokers   []*broker
	places    *strings.Replacer
	lines     []string
	terminals map[string]*terminal
}

// terminal is a terminal in which a command keeps running.
type terminal struct {
	*testkit.Process
	keyboard io.WriteCloser
	claimed  []string // the printed lines that the tutorial has already matched
}

// newTutorial starts three brokers if the text refers to the third one, otherwise one broker.
func newTutorial(t *testing.T, real *testkit.Kafka, text string) *tutorial {
	u := &tutorial{t: t, real: real, lines: strings.Split(text, "\n"), terminals: map[string]*terminal{}}
	var places []string
	zookeeper := ""
	n := 1
	if strings.Contains(text, "localhost:9094") {
		n = 3
	}
	for id := range n {
		b := startBroker(t, options{id: id, zookeeper: zookeeper, extra: []string{fmt.Sprintf("offsets.topic.replication.factor=%d", n)}})
		zookeeper = b.zookeeper
		u.brokers = append(u.brokers, b)
		places = append(places, fmt.Sprintf("localhost:%d", 9092+id), b.address())
	}
	u.places = strings.NewReplacer(append(places, "localhost:2181", zookeeper)...)
	return u
}

// typed matches a line about a terminal: its number, the kind of the line, and the text.
var typed = regexp.MustCompile(`^(\d*)([$>]|\^C|\|) ?(.*)$`)

func (u *tutorial) play() {
	for len(u.lines) > 0 {
		line := u.next()
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "! "):
			u.event(line[2:])
		case strings.HasPrefix(line, "any| "):
			u.await("any", line[5:])
		default:
			m := typed.FindStringSubmatch(line)
			if m == nil {
				u.t.Fatalf("cannot interpret the line %q", line)
			}
			switch terminal, what, rest := m[1], m[2], m[3]; {
			case what == "$" && terminal == "":
				u.runToEnd(rest)
			case what == "$":
				u.begin(terminal, rest)
			case what == ">":
				if _, err := io.WriteString(u.terminals[terminal].keyboard, rest+"\n"); err != nil {
					u.t.Fatalf("typing %q: %v", rest, err)
				}
			case what == "|":
				u.await(terminal, rest)
			default:
				u.interrupt(terminal)
			}
		}
	}
}

func (u *tutorial) next() string {
	line := u.lines[0]
	u.lines = u.lines[1:]
	return line
}

// command returns the process for a command line of the tutorial.
func (u *tutorial) command(line string) *exec.Cmd {
	u.t.Helper()
	words := strings.Fields(u.places.Replace(line))
	if u.real != nil && words[0] == "bin/kafka-console-consumer.sh" && !slices.Contains(words, "--zookeeper") {
		return u.real.Command(u.t, "-Xmx128m", "org.apache.kafka.tools.consumer.ConsoleConsumer", words[1:]...)
	}
	return exec.Command(filepath.Join(testkit.Root(), words[0]), words[1:]...)
}

// runToEnd runs a command and compares its output with the lines up to the next command. A command
// without input is repeated for up to ten seconds, as a reader would do, since a cluster needs a
// moment to apply a change.
func (u *tutorial) runToEnd(line string) {
	u.t.Helper()
	var input, want []string
	fails := ""
	for len(u.lines) > 0 && !strings.HasPrefix(u.lines[0], "#") && !strings.HasPrefix(u.lines[0], "any| ") {
		if m := typed.FindStringSubmatch(u.lines[0]); m != nil && (m[1] != "" || m[2] == "$") {
			break
		}
		if text, ok := strings.CutPrefix(u.lines[0], "! "); ok {
			if fails, ok = strings.CutPrefix(text, "fails saying "); !ok {
				break
			}
			u.next()
			continue
		}
		if text, ok := strings.CutPrefix(u.lines[0], "> "); ok {
			input = append(input, text+"\n")
		} else {
			want = append(want, u.lines[0])
		}
		u.next()
	}
	for len(want) > 0 && want[len(want)-1] == "" {
		want = want[:len(want)-1]
	}
	wanted := glob(strings.Join(want, "\n"))
	limit := time.Now().Add(10 * time.Second)
	for {
		out, errs, code := testkit.Run(u.t, 60*time.Second, strings.Join(input, ""), u.command(line))
		failed := code != 0 && strings.Contains(out+errs, fails)
		if wanted.MatchString(strings.TrimRight(out, "\n")) && failed == (fails != "") && (code == 0 || failed) {
			return
		}
		if len(input) > 0 || time.Now().After(limit) {
			u.t.Fatalf("%s\nexit code %d, printed\n%s%s\nwanted\n%s", line, code, out, errs, strings.Join(want, "\n"))
		}
	}
}

// glob returns a pattern that matches text, in which * stands for any part of a line.
func glob(text string) *regexp.Regexp {
	return regexp.MustCompile(`\A` + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, `[^\n]*`) + `\z`)
}

// begin starts a command that keeps running.
func (u *tutorial) begin(name, line string) {
	u.t.Helper()
	cmd := u.command(line)
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		u.t.Fatal(err)
	}
	p, err := testkit.Start(line, cmd)
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(p.Kill)
	u.terminals[name] = &terminal{Process: p, keyboard: keyboard}
}

// printed returns the lines that match and that the tutorial has not matched yet.
func (term *terminal) printed(pattern *regexp.Regexp) []string {
	claimed := slices.Clone(term.claimed)
	var found []string
	for _, line := range strings.Split(term.Output(), "\n") {
		if i := slices.Index(claimed, line); i >= 0 {
			claimed = slices.Delete(claimed, i, i+1)
		} else if pattern.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// await waits until a terminal, or any one of them, has printed a line.
func (u *tutorial) await(name, text string) {
	u.t.Helper()
	pattern := glob(text)
	limit := time.Now().Add(45 * time.Second)
	for {
		prints := 0
		for n, term := range u.terminals {
			if found := term.printed(pattern); len(found) > 0 && (name == "any" || name == n) {
				term.claimed = append(term.claimed, found[0])
				prints += len(found)
			}
		}
		if prints > 1 && name == "any" {
			u.t.Fatalf("%q was printed %d times\n%s", text, prints, u.screens())
		}
		if prints > 0 {
			return
		}
		if time.Now().After(limit) {
			u.t.Fatalf("terminal %s does not print %q\n%s", name, text, u.screens())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// screens returns the contents of all terminals.
func (u *tutorial) screens() string {
	var b strings.Builder
	for name, term := range u.terminals {
		fmt.Fprintf(&b, "--- terminal %s\n%s\n", name, ending(term.Output()))
	}
	return b.String()
}

// interrupt sends Ctrl-C to a terminal.
func (u *tutorial) interrupt(name string) {
	u.t.Helper()
	term := u.terminals[name]
	term.Signal(syscall.SIGINT)
	select {
	case <-term.Ended():
	case <-time.After(30 * time.Second):
		u.t.Fatalf("terminal %s does not end on Ctrl-C\n%s", name, u.screens())
	}
	// Output that the tutorial does not show would confuse a reader. Only warnings and a consumer's
	// number of messages are allowed.
	for _, line := range term.printed(regexp.MustCompile(`.`)) {
		counted := fmt.Sprintf("Processed a total of %d messages", len(term.claimed))
		if line != counted && !strings.Contains(line, "] WARN ") && !strings.Contains(line, " is deprecated ") {
			u.t.Errorf("terminal %s also shows %q\n%s", name, line, ending(term.Output()))
		}
	}
}

// event performs a step that is not typed.
func (u *tutorial) event(what string) {
	u.t.Helper()
	var group, topic string
	var members int
	if _, err := fmt.Sscanf(what, "kill leader of %s", &topic); err == nil {
		leader := regexp.MustCompile(`Leader: (\d+)`).FindStringSubmatch(must(u.t, "kafka-topics", append(u.brokers[0].bootstrap(), "--describe", "--topic", topic)...))
		for _, b := range u.brokers {
			if leader != nil && fmt.Sprint(b.id) == leader[1] {
				b.Kill()
				return
			}
		}
		u.t.Fatalf("no known broker leads %s: %v", topic, leader)
	}
	if what == "all terminals have printed something" {
		for name, term := range u.terminals {
			if len(term.claimed) == 0 {
				u.t.Errorf("terminal %s has printed nothing\n%s", name, u.screens())
			}
		}
		return
	}
	if _, err := fmt.Sscanf(what, "wait until %s has %d members of %s", &group, &members, &topic); err != nil {
		u.t.Fatalf("cannot interpret the event %q", what)
	}
	testkit.Eventually(u.t, 45*time.Second, what, func() bool {
		out, _, _ := run(u.t, "kafka-consumer-groups", append(u.brokers[0].bootstrap(), "--describe", "--group", group)...)
		owners, committed := map[string]bool{}, true // a member has a position once it has committed
		for _, line := range strings.Split(out, "\n") {
			if f := strings.Fields(line); len(f) > 8 && f[1] == topic && f[6] != "-" {
				owners[f[6]] = true
				committed = committed && f[3] != "-"
			}
		}
		return len(owners) == members && committed
	})
}
