package tools

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/tools/cli"
)

// others are the scripts of Kafka's bin that are not the script of a tool.
var others = []string{"kafka-run-class", "kafka-server-start", "zookeeper-server-start", "zookeeper-server-stop", "zookeeper-shell"}

// kafkasScripts returns the lines of testdata/bin-3.9.txt.
func kafkasScripts(t *testing.T) (files []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/bin-3.9.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			files = append(files, line)
		}
	}
	return files
}

// Each script of Kafka 3.9's bin runs a tool, or prints what replaces it.
func TestEveryScriptOfKafkaExistsOrNamesItsReplacement(t *testing.T) {
	var replaced []string
	for _, file := range kafkasScripts(t) {
		if strings.HasPrefix(file, "windows/") {
			if _, err := os.Stat("../bin/windows/README.md"); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		name := strings.TrimSuffix(file, ".sh")
		text, err := os.ReadFile(filepath.Join("../bin", file))
		if err != nil {
			t.Error(err)
			continue
		}
		if info, err := os.Stat(filepath.Join("../bin", file)); err != nil || info.Mode()&0o111 != 0o111 {
			t.Errorf("bin/%s is not executable", file)
		}
		if slices.Contains(others, name) {
			continue
		}
		if call := `monedula" ` + name + ` "$@"`; !strings.Contains(string(text), call) {
			t.Errorf("bin/%s does not contain %s", file, call)
		}
		isTool := slices.Contains(kafkas(), name)
		_, isReplaced := Replaced(name)
		if isTool == isReplaced {
			t.Errorf("%s: a tool: %v, replaced: %v", name, isTool, isReplaced)
		}
		if isReplaced {
			replaced = append(replaced, name)
		}
	}
	slices.Sort(replaced)
	if names := slices.Sorted(slices.Values(ReplacedNames())); !slices.Equal(names, replaced) {
		t.Errorf("replaced are %v, want the scripts of Kafka that have no tool: %v", names, replaced)
	}
}

func TestReplacedProgramsPrintWhatToUse(t *testing.T) {
	for _, r := range replacements {
		for _, class := range r.classes {
			tool, found := OfClass(class)
			if !found || tool.Name != r.script {
				t.Errorf("%s is the class of %q, want %q", class, tool.Name, r.script)
			}
		}
		tool, _ := Replaced(r.script)
		for _, c := range []struct {
			args     []string
			code     int
			out, err string
		}{
			{[]string{"--bootstrap-server", "localhost:9092"}, 1, "", r.script + ".sh is not part of Monedula. " + r.instead + "\n"},
			{nil, 1, "", r.script + ".sh is not part of Monedula. " + r.instead + "\n"},
			{[]string{"--help"}, 0, r.script + ".sh is not part of Monedula. " + r.instead + "\n", ""},
			{[]string{"--version"}, 0, cli.Version + "\n", ""},
		} {
			var out, errs bytes.Buffer
			code := tool.Run(&cli.Env{Stdout: &out, Stderr: &errs}, c.args)
			if code != c.code || out.String() != c.out || errs.String() != c.err {
				t.Errorf("%s %v: exit code %d\n%s%s", r.script, c.args, code, out.String(), errs.String())
			}
		}
	}
}

// The scripts that these texts name exist.
func TestReplacementsNameScriptsThatExist(t *testing.T) {
	files := kafkasScripts(t)
	for _, r := range replacements {
		for word := range strings.FieldsSeq(r.instead) {
			word = strings.Trim(word, ".,;:()")
			if strings.HasSuffix(word, ".sh") && !slices.Contains(files, word) {
				t.Errorf("%s names %s, which does not exist", r.script, word)
			}
		}
	}
}

// Every script of bin is valid for the shell that runs it.
func TestScriptsAreValidForTheirShell(t *testing.T) {
	files, err := filepath.Glob("../bin/*.sh")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shell := "sh"
		if strings.HasPrefix(string(text), "#!/usr/bin/env bash\n") {
			shell = "bash"
		}
		if out, err := exec.Command(shell, "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}
