package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// completedLines are command lines of which the last word is to be completed, and words that are offered.
var completedLines = []struct {
	line string
	want []string
	not  string // must not be offered
}{
	{"monedula kafka-top", []string{"kafka-topics"}, "kafka-configs"},
	{"monedula kafka-topics --un", []string{"--unavailable-partitions", "--under-replicated-partitions", "--under-min-isr-partitions"}, "--topic"},
	{"monedula dev --bro", []string{"--brokers"}, "--port"},
	{"monedula help kafka-lo", []string{"kafka-log-dirs"}, "kafka-topics"},
	{"monedula completion f", []string{"fish"}, "zsh"},
	{"monedula kafka-topics --list --output js", []string{"json"}, "--list"},
	{"kafka-topics.sh --bootstrap-server localhost:9092 --desc", []string{"--describe"}, "--delete"},
	{"bin/kafka-consumer-groups.sh --reset-o", []string{"--reset-offsets"}, "--delete-offsets"},
	{"bin/kafka-transactions.sh --bootstrap-server localhost:9092 find", []string{"find-hanging"}, "list"},
	{"kafka-transactions.sh find-hanging --max-t", []string{"--max-transaction-timeout"}, "--transactional-id"},
	{"monedula kafka-transactions describe --tr", []string{"--transactional-id"}, "--topic"},
	{"kafka-dump-log.sh --files comp", []string{"completion_test.go"}, "--files"},
}

// completionScript returns the path of a file with the script for a shell.
func completionScript(t *testing.T, shell string) string {
	t.Helper()
	out, errs, code := testkit.Run(t, time.Minute, "", exec.Command(filepath.Join(testkit.Root(), "monedula"), "completion", shell))
	if code != 0 || errs != "" {
		t.Fatalf("completion %s: exit code %d, %s", shell, code, errs)
	}
	return testkit.WriteFile(t, "monedula."+shell, out)
}

// shellOutput runs a program of a shell in the folder of this test, which has no startup files.
func shellOutput(t *testing.T, shell, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Fatalf("%s is missing; install it with: sudo apt-get install %s", shell, shell)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb", "PROGRAM="+program)
	out, errs, code := testkit.Run(t, time.Minute, program, cmd)
	if code != 0 || errs != "" {
		t.Fatalf("%s: exit code %d\n%s\n%s", shell, code, out, errs)
	}
	return out
}

func checkCompleted(t *testing.T, offered func(line string) []string) {
	t.Helper()
	for _, c := range completedLines {
		words := offered(c.line)
		for _, want := range c.want {
			if !slices.Contains(words, want) {
				t.Errorf("%q: %s is not offered, but %q", c.line, want, words)
			}
		}
		if slices.Contains(words, c.not) {
			t.Errorf("%q: %s is offered: %q", c.line, c.not, words)
		}
	}
}

func TestBashCompletesProgramsAndOptions(t *testing.T) {
	file := completionScript(t, "bash")
	var program strings.Builder
	program.WriteString("source " + file + "\n")
	for _, c := range completedLines {
		// Readline calls the function that is registered for the command's name, and completes file
		// names if it offers nothing.
		program.WriteString(`COMP_LINE='` + c.line + `' COMP_WORDS=(` + c.line + `) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
name=${COMP_WORDS[0]##*/}
[ "$(complete -p "$name")" = "complete -o default -F _monedula $name" ] || echo "$name is not registered" >&2
_monedula
[ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
echo "${COMPREPLY[*]}"
`)
	}
	lines := strings.Split(shellOutput(t, "bash", program.String(), "--norc", "--noprofile", "-u"), "\n")
	i := -1
	checkCompleted(t, func(string) []string {
		i++
		return strings.Fields(lines[i])
	})
}

func TestFishCompletesProgramsAndOptions(t *testing.T) {
	file := completionScript(t, "fish")
	checkCompleted(t, func(line string) (words []string) {
		out := shellOutput(t, "fish", "", "--no-config", "-c", "source "+file+"; complete -C '"+line+"'")
		for candidate := range strings.Lines(out) {
			word, _, _ := strings.Cut(strings.TrimSuffix(candidate, "\n"), "\t")
			words = append(words, word)
		}
		return words
	})
}

// zshSession completes lines in an interactive zsh. Its last commands replace compadd, by which
// completions are offered, with a function that also prints what matches.
const zshSession = `
zmodload zsh/zpty || exit 1
zpty z zsh -f -i
zpty -w z "PS1= PROMPT= RPROMPT=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source $FILE"
zpty -w z 'compadd() { local -a found; builtin compadd -O found "$@"; print -r -- "<$found>"; builtin compadd "$@"; }'
zpty -w z 'done-key() { BUFFER=; print "END"; zle reset-prompt; }; zle -N done-key; bindkey "^I" list-choices; bindkey "^X" done-key; print READY'
while zpty -r z line; do [[ $line == READY* ]] && break; done
while read -r line; do
  zpty -w -n z "$line"$'\t\x18'
  while zpty -r z got; do
    print -r -- "$got"
    [[ $got == *END* ]] && break
  done
done
exit 0
`

func TestZshCompletesProgramsAndOptions(t *testing.T) {
	file := completionScript(t, "zsh")
	var lines strings.Builder
	for _, c := range completedLines {
		lines.WriteString(c.line + "\n")
	}
	out := shellOutput(t, "zsh", lines.String(), "-f", "-c", strings.ReplaceAll(zshSession, "$FILE", file))
	answers := strings.Split(out, "END")
	if len(answers) <= len(completedLines) {
		t.Fatalf("%d answers to %d lines:\n%s", len(answers)-1, len(completedLines), out)
	}
	i := -1
	checkCompleted(t, func(string) (words []string) {
		i++
		for _, part := range strings.Split(answers[i], "<")[1:] {
			found, _, _ := strings.Cut(part, ">")
			words = append(words, strings.Fields(found)...)
		}
		return words
	})
}
