package dump

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/tools/cli"
)

// runTool runs a tool in this process and returns its output and exit code.
func runTool(t *testing.T, tool cli.Tool, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = tool.Run(&cli.Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs}, args)
	return out.String(), errs.String(), code
}

// The dumps of the golden log directories must match those of the real tool.
func TestDumpsMatchTheRealTool(t *testing.T) {
	dirs := golden.Path(t, "logdir-3.9.1")
	compared := 0
	for _, tree := range []string{"clean", "crash", "oldformat"} {
		dumps := filepath.Join(dirs, tree+".dump")
		err := filepath.WalkDir(dumps, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".txt") {
				return err
			}
			rel, _ := filepath.Rel(dumps, strings.TrimSuffix(path, ".txt"))
			want, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			compared++
			t.Run(tree+"/"+rel, func(t *testing.T) { compareDump(t, filepath.Join(dirs, tree), rel, string(want)) })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if compared < 100 {
		t.Errorf("only %d dumps found", compared)
	}
}

// compareDump runs our tool like the README of the golden files describes for the real one: in the
// directory of the log, with stdout and stderr combined.
func compareDump(t *testing.T, dir, file, want string) {
	t.Chdir(dir)
	runs := [][]string{{"--files", file}}
	switch filepath.Ext(file) {
	case ".log":
		runs[0] = append(runs[0], "--print-data-log", "--deep-iteration")
		if strings.HasPrefix(file, "__consumer_offsets") {
			runs[0] = append(runs[0], "--offsets-decoder")
		} else if strings.HasPrefix(file, "__transaction_state") {
			runs[0] = append(runs[0], "--transaction-log-decoder")
		}
	case ".index", ".timeindex":
		runs = append(runs, []string{"--files", file, "--verify-index-only"})
	}
	var got strings.Builder
	for i, args := range runs {
		if i > 0 {
			got.WriteString("--- with --verify-index-only ---\n")
		}
		out, errs, code := runTool(t, Tool, "", args...)
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
		got.WriteString(out + strings.ReplaceAll(errs, dir+"/", ""))
	}
	if g := got.String(); g != want {
		t.Errorf("got\n%s\nwant\n%s", firstDifference(g, want), firstDifference(want, g))
	}
}

func firstDifference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return a[max(0, i-200):min(len(a), i+200)]
}
