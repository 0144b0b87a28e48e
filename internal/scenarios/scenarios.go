// Package scenarios runs text scenarios of a state machine: files of commands,
// each with what the machine printed because of it.
package scenarios

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write what scenarios print into their files; review the diff")

// Files runs every file that matches the pattern as a subtest. In a file a
// command is followed by a line ----, what it printed, and an empty line; other
// empty lines and those that begin with # stay as they are. machine starts a
// fresh state machine and returns what carries out one command.
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
				t.Errorf("%s: what happened differs from the file (run with -rewrite and look at the diff):\n%s", file, firstDifference(string(text), got))
			}
		})
	}
}

// replay carries out the commands of a scenario and returns it with what they
// print now.
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
