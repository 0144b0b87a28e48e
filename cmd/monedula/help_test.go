package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/monedula/monedula/tools/cli"
)

// runIn runs the binary's main function.
func runIn(args ...string) (out, errs string, code int) {
	var stdout, stderr bytes.Buffer
	code = run(&cli.Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr}, args)
	return stdout.String(), stderr.String(), code
}

func TestTheListOfProgramsIsPrintedWhereItWasAskedFor(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		out, errs, code := runIn(args...)
		if code != 0 || errs != "" {
			t.Errorf("%q: exit code %d, %s", args, code, errs)
		}
		for _, name := range names() {
			if !strings.Contains(out, "\n  "+name+" ") {
				t.Errorf("%q: no line begins with %s", args, name)
			}
		}
		for line := range strings.Lines(out) {
			if len(strings.TrimSuffix(line, "\n")) > 120 {
				t.Errorf("%q: a line is too long: %s", args, line)
			}
		}
	}
	out, errs, code := runIn()
	if code != 1 || out != "" || !strings.Contains(errs, "usage: monedula PROGRAM") {
		t.Errorf("without arguments: exit code %d, %q", code, out)
	}
}

// times are the dates in the lines of a logger.
var times = regexp.MustCompile(`(?m)^\[.*?\] `)

func TestEveryProgramHasHelpAndAVersion(t *testing.T) {
	for _, name := range names() {
		out, errs, code := runIn("help", name)
		if code != 0 || errs != "" || strings.TrimSpace(out) == "" {
			t.Errorf("help %s: exit code %d, %q, %q", name, code, out, errs)
		}
		helped, errs, code := runIn(name, "--help")
		if code != 0 || times.ReplaceAllString(helped+errs, "") != times.ReplaceAllString(out, "") {
			t.Errorf("%s --help: exit code %d, not the same text as that of help", name, code)
		}
		out, errs, code = runIn(name, "--version")
		if code != 0 || !strings.HasSuffix(out, cli.Version+"\n") { // some print that they are deprecated first
			t.Errorf("%s --version: exit code %d, %q, %q", name, code, out, errs)
		}
	}
	out, _, code := runIn("--version")
	if code != 0 || !strings.HasPrefix(out, "Monedula "+cli.Release+", compatible with Apache Kafka 3.9.1") || strings.Count(out, "\n") != 1 {
		t.Errorf("--version: exit code %d, %q", code, out)
	}
}

func TestTheNearestNameIsSuggestedForAMistypedProgram(t *testing.T) {
	for name, want := range map[string]string{
		"kafka-topic":            `there is no program "kafka-topic"; did you mean "kafka-topics"?`,
		"topics":                 `did you mean "kafka-topics"?`,
		"kafka-topics.sh":        `did you mean "kafka-topics"?`,
		"kafak-console-producer": `did you mean "kafka-console-producer"?`,
		"dve":                    `did you mean "dev"?`,
		"frobnicate":             "there is no program \"frobnicate\"\n",
	} {
		for _, args := range [][]string{{name}, {name, "--help"}, {"help", name}} {
			out, errs, code := runIn(args...)
			if code != 1 || out != "" || !strings.Contains(errs, want) || !strings.Contains(errs, "monedula --help lists all programs") {
				t.Errorf("%q: exit code %d, %q, want %q", args, code, errs, want)
			}
		}
	}
}

// A script of Kafka runs the program with its name, and every program with such a name has a script.
func TestProgramsAndScriptsBelongTogether(t *testing.T) {
	for _, c := range completions() {
		if c.script == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join("..", "..", "bin", c.script)); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	scripts, err := filepath.Glob("../../bin/kafka-*.sh")
	if err != nil || len(scripts) < 20 {
		t.Fatalf("%d scripts: %v", len(scripts), err)
	}
	for _, path := range scripts {
		name := strings.TrimSuffix(filepath.Base(path), ".sh")
		if _, found := find(name); !found && name != "kafka-run-class" {
			t.Errorf("no program belongs to %s", path)
		}
	}
}
