package cli

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// perfLine is a command line with one argument of every kind.
type perfLine struct {
	*Arguments
	out, errs                               bytes.Buffer
	topic, count, rate, acks, size, file, v *Argument
	props                                   *Argument
}

func newPerfLine() *perfLine {
	p := &perfLine{}
	p.Arguments = NewArguments(&Env{Stdout: &p.out, Stderr: &p.errs}, "perf-test", "Measures something.")
	p.topic = p.Add(Argument{Name: "--topic", Metavar: "TOPIC", Doc: "The topic.", Required: true})
	p.count = p.Add(Argument{Name: "--count", Metavar: "N", Doc: "How many.", Kind: "Integer"})
	p.rate = p.Add(Argument{Name: "--rate", Metavar: "RATE", Doc: "How fast.", Kind: "Double"})
	p.acks = p.Add(Argument{Name: "--acks", Metavar: "ACKS", Doc: "The acknowledgements.", Choices: []string{"0", "1", "-1"}})
	p.size = p.Add(Argument{Name: "--size", Metavar: "SIZE", Doc: "The size.", Kind: "Long"})
	p.file = p.Add(Argument{Name: "--file", Metavar: "FILE", Doc: "The file."})
	p.v = p.Add(Argument{Name: "--verbose", Doc: "Print more."})
	p.props = p.Add(Argument{Name: "--props", Metavar: "PROP=VALUE", Doc: "Properties of the client, which may be several, each with its own value.", Many: true})
	p.OneOf = []*Argument{p.size, p.file}
	return p
}

func TestArgumentsAreParsedLikeByArgparse4j(t *testing.T) {
	p := newPerfLine()
	code := p.Run(strings.Fields("--topic t --rate=-1.5 --acks -1 --size 10 --count -3 --props a=b c=d --verbose"), func() error { return nil })
	if code != 0 || p.topic.Or("") != "t" || p.rate.Or("") != "-1.5" || p.acks.Or("") != "-1" || p.size.Number(0) != 10 || p.count.Number(0) != -3 ||
		!p.v.Given() || !slices.Equal(p.props.Values, []string{"a=b", "c=d"}) || p.file.Given() || p.file.Or("none") != "none" || p.file.Number(4) != 4 {
		t.Errorf("exit code %d, %s", code, p.errs.String())
	}
}

const perfUsage = `usage: perf-test [-h] --topic TOPIC [--count N] [--rate RATE] [--acks ACKS]
                 [--verbose] [--props PROP=VALUE [PROP=VALUE ...]]
                 (--size SIZE | --file FILE)
`

func TestBadArgumentsHaveTheTextsOfArgparse4j(t *testing.T) {
	for args, want := range map[string]string{
		"--topic":                               "argument --topic: expected one argument",
		"--topic --verbose":                     "argument --topic: expected one argument",
		"--topic t":                             "one of the arguments --size --file is required",
		"--size 1":                              "argument --topic is required",
		"--topic t --size 1 --file f":           "argument --file: not allowed with argument --size",
		"--topic t --size x":                    `argument --size: could not convert 'x' to Long (For input string: "x")`,
		"--topic t --size 1 --count 5000000000": `argument --count: could not convert '5000000000' to Integer (For input string: "5000000000")`,
		"--topic t --size 1 --rate fast":        `argument --rate: could not convert 'fast' to Double (For input string: "fast")`,
		"--topic t --size 1 --acks 2":           "argument --acks: invalid choice: '2' (choose from {0,1,-1})",
		"--topic t --size 1 --props":            "argument --props: expected at least one argument",
		"--topic t --size 1 extra":              "unrecognized arguments: 'extra'",
		"--topic t --nosuch=1":                  "unrecognized arguments: '--nosuch=1'",
	} {
		p := newPerfLine()
		code := p.Run(strings.Fields(args), func() error {
			t.Errorf("%s: the tool ran", args)
			return nil
		})
		if have := p.errs.String(); code != 1 || have != perfUsage+"perf-test: error: "+want+"\n" {
			t.Errorf("%s: exit code %d\n%s", args, code, have)
		}
	}
}

func TestFailuresOfTheToolAreUncaughtExceptions(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{BadArgument("argument --x: odd"), perfUsage + "perf-test: error: argument --x: odd\n"},
		{NewJavaError("java.io.IOException", "no space"), "Exception in thread \"main\" java.io.IOException: no space\n"},
		{errors.New("it failed"), "Exception in thread \"main\" org.apache.kafka.common.errors.UnknownServerException: it failed\n"},
	} {
		p := newPerfLine()
		if code := p.Run(strings.Fields("--topic t --size 1"), func() error { return test.err }); code != 1 || p.errs.String() != test.want {
			t.Errorf("exit code %d\n%s", code, p.errs.String())
		}
	}
}

func TestTheHelpListsTheArguments(t *testing.T) {
	const want = perfUsage + `
Measures something.

optional arguments:
  -h, --help             show this help message and exit
  --topic TOPIC          The topic.
  --count N              How many.
  --rate RATE            How fast.
  --acks ACKS            The acknowledgements.
  --size SIZE            The size.
  --file FILE            The file.
  --verbose              Print more.
  --props PROP=VALUE [PROP=VALUE ...]
                         Properties of the client, which may be several,
                         each with its own value.
`
	for _, args := range [][]string{nil, {"-h"}, {"--topic", "t", "--help"}} {
		p := newPerfLine()
		if code := p.Run(args, func() error { return errors.New("the tool ran") }); code != 0 || p.out.String() != want {
			t.Errorf("%q: exit code %d\n%s", args, code, p.out.String())
		}
	}
	p := newPerfLine()
	if code := p.Run([]string{"--version"}, func() error { return errors.New("the tool ran") }); code != 0 || p.out.String() != Version+"\n" {
		t.Errorf("exit code %d, %q", code, p.out.String())
	}
}

func TestCommandsHaveOptionsOfTheirOwn(t *testing.T) {
	const toolUsage = "usage: tool [-h] --server S COMMAND ...\n"
	const listUsage = "usage: tool --server S list [-h] [--epoch N]\n"
	for _, test := range []struct {
		args      string
		code      int
		out, errs string
	}{
		{"--server x list", 0, "list of x in epoch 7\n", ""},
		{"--server x list --epoch -2", 0, "list of x in epoch -2\n", ""},
		{"--server x show --id i", 0, "show of x\n", ""},
		{"", 1, "", toolUsage + "tool: error: too few arguments\n"},
		{"--server x", 1, "", toolUsage + "tool: error: too few arguments\n"},
		{"list", 1, "", toolUsage + "tool: error: argument --server is required\n"},
		{"--server x nosuch", 1, "", toolUsage + "tool: error: invalid choice: 'nosuch' (choose from 'list', 'show')\n"},
		{"--server x show", 1, "", "usage: tool --server S show [-h] --id ID\ntool: error: argument --id is required\n"},
		{"--server x list --epoch 40000", 1, "", listUsage + "tool: error: argument --epoch: could not convert '40000' to Short (Value out of range. Value:\"40000\" Radix:10)\n"},
		{"show", 1, "", toolUsage + "tool: error: argument --server is required\n"},
		{"--server x list --epoch x", 1, "", listUsage + "tool: error: argument --epoch: could not convert 'x' to Short (For input string: \"x\")\n"},
		{"list --server x", 1, "", listUsage + "tool: error: unrecognized arguments: '--server'\n"},
		{"--server x list extra", 1, "", listUsage + "tool: error: unrecognized arguments: 'extra'\n"},
		{"-v", 0, Version + "\n", ""},
		{"list -h", 0, listUsage + "\nLists.\n\noptional arguments:\n  -h, --help             show this help message and exit\n  --epoch N              The epoch.\n", ""},
		{"--help", 0, toolUsage + "\nA tool.\n\noptional arguments:\n  -h, --help             show this help message and exit\n  --server S             The server.\n\ncommands:\n    list                 Lists.\n    show                 Shows.\n", ""},
	} {
		var out, errs bytes.Buffer
		env := &Env{Stdout: &out, Stderr: &errs}
		a := NewArguments(env, "tool", "A tool.")
		server := a.Add(Argument{Name: "--server", Metavar: "S", Doc: "The server.", Required: true})
		list, show := a.Command("list", "Lists."), a.Command("show", "Shows.")
		epoch := list.Add(Argument{Name: "--epoch", Metavar: "N", Kind: "Short", Doc: "The epoch."})
		show.Add(Argument{Name: "--id", Metavar: "ID", Required: true, Doc: "The id."})
		code := a.Run(strings.Fields(test.args), func() error {
			if a.Chosen() == list {
				env.Printf("list of %s in epoch %d\n", server.Or(""), epoch.Number(7))
			} else {
				env.Printf("show of %s\n", server.Or(""))
			}
			return nil
		})
		if code != test.code || out.String() != test.out || errs.String() != test.errs {
			t.Errorf("%s: exit code %d\n%s%s", test.args, code, out.String(), errs.String())
		}
	}
}
