// Package scenarios runs text scenarios of a state machine: files of commands, each followed by
// what the machine printed in response.
package scenarios

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the scenario files with their current output; review the diff")

// Files runs every file that matches the pattern as a subtest. In a file each command is followed
// by a line ----, the output of the command, and an empty line. Other empty lines and lines that
// begin with # are kept. machine starts a new state machine and returns the function that executes
// one command.
func Files(t *testing.T, pattern string, machine func(t *testing.T) (run func(command string) (printed []string))) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(string(text), machine(t))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(text) {
				t.Errorf("%s: the output differs from the file (run with -rewrite and review the diff):\n%s", file, firstDifference(string(text), got))
			}
		})
	}
}

// Words splits a command, after its first word, into its bare words and its key=value options.
func Words(line string) (bare []string, options map[string]string) {
	options = map[string]string{}
	for _, w := range strings.Fields(line)[1:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			options[k] = v
		} else {
			bare = append(bare, w)
		}
	}
	return bare, options
}

// replay executes the commands of a scenario and returns the scenario with their current output.
func replay(text string, run func(command string) []string) string {
	var out []string
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line == "" || strings.HasPrefix(line, "#") {
			out = append(out, line)
			continue
		}
		out = append(append(out, line, "----"), run(line)...)
		for i+1 < len(lines) && lines[i+1] != "" {
			i++
		}
	}
	return strings.Join(out, "\n") + "\n"
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant:\n%s\ngot:\n%s", i+1, strings.Join(w[min(i, len(w)):min(i+12, len(w))], "\n"), strings.Join(g[min(i, len(g)):min(i+12, len(g))], "\n"))
		}
	}
	return ""
}
