package checkconfig

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monedula/monedula/tools/cli"
)

// runWith runs the program in a directory with the files.
func runWith(t *testing.T, files map[string]string, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.WriteFile(filepath.Clean(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	code = Tool.Run(&cli.Env{Stdout: &stdout, Stderr: &stderr}, args)
	return code, stdout.String(), stderr.String()
}

const sound = "zookeeper.connect=zoo1:2181\nbroker.id=1\nlog.dirs=/var/lib/kafka\nlisteners=PLAINTEXT://kafka1:9092\n"

func TestTheExitCodeReportsErrorsOnly(t *testing.T) {
	for _, test := range []struct {
		name, text string
		code       int
		out        string
	}{
		{"nothing", sound, 0, "no errors, no warnings, no remarks\n"},
		{"a remark", sound + "delete.topic.enable=false\n", 0, `a.properties:5: remark: topics cannot be deleted (delete.topic.enable=false) [no-deletion]

no errors, no warnings, 1 remark
`},
		{"a warning", sound + "num.partition=3\n", 0, `a.properties:5: warning: The configuration num.partition is not known and has no effect; did you mean num.partitions? [unknown-key]
    remedy: Write num.partitions=3, or remove the line.

no errors, 1 warning, no remarks
`},
		{"an error", sound + "num.partitions=three\n", 1, `a.properties:5: error: Invalid value three for configuration num.partitions: Not a number of type INT (accepted: [1,...]) [not-a-number]
    remedy: Write a number, without a unit, quotes or a comment after it.

a.properties: a broker does not start with it
1 error, no warnings, no remarks
`},
	} {
		code, out, errs := runWith(t, map[string]string{"a.properties": test.text}, "a.properties")
		if code != test.code || out != test.out || errs != "" {
			t.Errorf("%s: exit code %d\n%s%s", test.name, code, out, errs)
		}
	}
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	code, out, _ := runWith(t, nil, "missing.properties")
	if want := "missing.properties: error: the file cannot be read: open missing.properties: no such file or directory [unreadable]\n"; code != 1 || !strings.HasPrefix(out, want) {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestTheOutputIsJSONOnRequest(t *testing.T) {
	code, out, errs := runWith(t, map[string]string{"a": sound, "b": sound}, "--output", "json", "--brokers", "3", "a", "b")
	var r struct {
		Files    []string
		Refused  []string
		Errors   int
		Findings []struct {
			Severity, Code, File, Remedy string
			Line                         int
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 || errs != "" {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	if len(r.Files) != 2 || len(r.Refused) != 0 || r.Errors != 3 || r.Findings[0].Code != "same-id" || r.Findings[0].File != "b" || r.Findings[0].Line != 2 {
		t.Errorf("output\n%s", out)
	}
}

func TestBadOptionsAreExplained(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", "Name at least one properties file."},
		{"--output yaml a", `"yaml" is not a format of --output; write text or json.`},
		{"--brokers many a", "Cannot parse argument 'many' of option brokers"},
		{"--nosuch a", "nosuch is not a recognized option"},
	} {
		code, out, errs := runWith(t, nil, strings.Fields(test.args)...)
		if code != 1 || out != "" || !strings.HasPrefix(errs, test.want+"\n") {
			t.Errorf("%s: exit code %d\n%s%s", test.args, code, out, errs)
		}
	}
	if code, _, errs := runWith(t, nil, "--help"); code != 0 || !strings.Contains(errs, "--brokers") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}
