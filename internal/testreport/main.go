// Command testreport runs go test. It prints one line per package and the output of failed tests,
// and appends the time of every test to a file. With -summary it prints the ten slowest tests and
// the numbers of passed and failed tests.
//
//	testreport RESULTS -- GO-TEST-ARGUMENTS
//	testreport -summary RESULTS
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
)

type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "-summary" {
		os.Exit(summary(os.Args[2], os.Stdout))
	}
	if len(os.Args) < 4 || os.Args[2] != "--" {
		fmt.Fprintln(os.Stderr, "usage: testreport RESULTS -- GO-TEST-ARGUMENTS | testreport -summary RESULTS")
		os.Exit(2)
	}
	os.Exit(run(os.Args[1], os.Args[3:]))
}

func run(results string, args []string) int {
	keep, err := os.OpenFile(results, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer keep.Close()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	report(out, os.Stdout, keep)
	if err := cmd.Wait(); err != nil {
		return 1
	}
	return 0
}

// report copies package results and the output of failed tests to out, and writes the end of each
// test to keep as a line of JSON.
func report(in io.Reader, out, keep io.Writer) {
	output := map[string]*strings.Builder{} // by package and test
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if e.Action == "build-output" || e.Test == "" && isResult(e.Output) {
				fmt.Fprint(out, e.Output)
				continue
			}
			b := output[key]
			if b == nil {
				b = &strings.Builder{}
				output[key] = b
			}
			b.WriteString(e.Output)
		case "fail":
			if b := output[key]; b != nil {
				fmt.Fprint(out, b.String())
			}
			if e.Test == "" {
				unfinished(e.Package, output, out, keep)
			}
			fallthrough
		case "pass", "skip":
			delete(output, key)
			if e.Test != "" {
				line, _ := json.Marshal(e)
				fmt.Fprintf(keep, "%s\n", line)
			}
		}
	}
}

// unfinished reports the tests of a failed package that never ended, as after a timeout or a panic,
// and counts them as failed.
func unfinished(pkg string, output map[string]*strings.Builder, out, keep io.Writer) {
	for key, b := range output {
		test, ok := strings.CutPrefix(key, pkg+" ")
		if !ok || test == "" {
			continue
		}
		fmt.Fprint(out, b.String())
		line, _ := json.Marshal(event{Action: "fail", Package: pkg, Test: test})
		fmt.Fprintf(keep, "%s\n", line)
		delete(output, key)
	}
}

// isResult reports whether a line is the last line of a package.
func isResult(line string) bool {
	return strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "FAIL\t") || strings.HasPrefix(line, "?  ") || strings.HasPrefix(line, "panic:")
}

func summary(results string, out io.Writer) int {
	f, err := os.Open(results)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer f.Close()
	var tests []event
	passed, failed, skipped := 0, 0, 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch e.Action {
		case "pass":
			passed++
		case "fail":
			failed++
		case "skip":
			skipped++
		}
		if !strings.Contains(e.Test, "/") {
			tests = append(tests, e)
		}
	}
	sort.Slice(tests, func(i, j int) bool { return tests[i].Elapsed > tests[j].Elapsed })
	fmt.Fprintln(out, "The slowest ten:")
	for _, e := range tests[:min(10, len(tests))] {
		fmt.Fprintf(out, "%8.2fs  %s %s\n", e.Elapsed, e.Package, e.Test)
	}
	if skipped > 0 {
		fmt.Fprintf(out, "%d tests were skipped; every test must run\n", skipped)
		failed += skipped
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return 1
	}
	return 0
}
