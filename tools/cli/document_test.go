package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestJSONOutputHasStdoutForItself(t *testing.T) {
	for args, want := range map[string]struct{ out, errs, failure string }{
		"--list":                      {"message\ntext\n", "", ""},
		"--list --output json":        {"{\"name\":\"<a>\"}\n", "message\n", ""},
		"--list --output=json":        {"{\"name\":\"<a>\"}\n", "message\n", ""},
		"--list --output xml":         {"", "", "Cannot parse argument 'xml' of option output; it can be: json"},
		"--output json":               {"", "", "Option(s) [output] are unavailable given other options on the command line"},
		"--list --outp json":          {"", "", "outp is not a recognized option"},
		"--o":                         {"message\ntext\n", "", ""}, // --offsets
		"--list --output json --list": {"{\"name\":\"<a>\"}\n", "message\n", ""},
	} {
		var out, errs bytes.Buffer
		o := NewOptions(&Env{Stdout: &out, Stderr: &errs}, "kafka-test", "A tool for tests.")
		list := o.Toggle("list", "List.")
		o.Toggle("offsets", "Describe the offsets.")
		o.Output(list)
		failure := ""
		if err := o.Parse(strings.Fields(args)); err != nil {
			failure = err.Error()
			if !errors.As(err, new(BadOption)) {
				t.Errorf("%s: %v", args, err)
			}
		} else {
			o.Env.Println("message")
			if o.WantsDocument() {
				o.PrintDocument(struct {
					Name string `json:"name"`
				}{"<a>"})
			} else {
				o.Env.Println("text")
			}
		}
		if out.String() != want.out || errs.String() != want.errs || failure != want.failure {
			t.Errorf("%s: %q, %q, %q, want %q", args, out.String(), errs.String(), failure, want)
		}
	}
}

func TestJSONOutputOfACommand(t *testing.T) {
	run := func(args ...string) (out, errs string, code int) {
		var stdout, stderr bytes.Buffer
		a := NewArguments(&Env{Stdout: &stdout, Stderr: &stderr}, "kafka-test", "A tool for tests.")
		c := a.Command("list", "Lists.")
		c.Output()
		code = a.Run(args, func() error {
			a.env.Println("message")
			if c.WantsDocument() {
				c.PrintDocument([]int{1})
			}
			return nil
		})
		return stdout.String(), stderr.String(), code
	}
	if out, errs, code := run("list", "--output", "json"); out != "[1]\n" || errs != "message\n" || code != 0 {
		t.Errorf("%q, %q, %d", out, errs, code)
	}
	if out, errs, code := run("list"); out != "message\n" || errs != "" || code != 0 {
		t.Errorf("%q, %q, %d", out, errs, code)
	}
	// The usage of an error is that of Kafka's tool.
	if out, errs, code := run("list", "--output", "xml"); out != "" || code != 1 ||
		errs != "usage: kafka-test list [-h]\nkafka-test: error: argument --output: invalid choice: 'xml' (choose from {json})\n" {
		t.Errorf("%q, %q, %d", out, errs, code)
	}
}
