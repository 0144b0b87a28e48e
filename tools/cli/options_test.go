package cli

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// commandLine is a tool's command line for tests.
type commandLine struct {
	*Options
	out, errs                                    bytes.Buffer
	topic, topics, count, size, verbose, timeout *Option
}

func newCommandLine() *commandLine {
	c := &commandLine{}
	c.Options = NewOptions(&Env{Stdout: &c.out, Stderr: &c.errs}, "kafka-test", "A tool for tests.")
	c.topic = c.Value("topic", "String: name", "The topic.")
	c.topics = c.Value("topics-to-skip", "String: names", "Topics to skip.")
	c.count = c.Value("count", "Integer: n", "How many.")
	c.size = c.Value("size", "Long: bytes", "How large.")
	c.verbose = c.Toggle("verbose", "Print more.")
	c.timeout = c.MaybeValue("timeout", "Long: ms", "A time limit in ms.")
	return c
}

func TestOptionsAreParsedLikeByJoptsimple(t *testing.T) {
	for _, test := range []struct {
		args, topic string
		count       int64
		verbose     bool
		rest        string
	}{
		{"--topic a", "a", 7, false, ""},
		{"-topic a", "a", 7, false, ""},
		{"--topic=a", "a", 7, false, ""},
		{"--topic=a=b", "a=b", 7, false, ""},
		{"--topic=", "", 7, false, ""},
		{"--topic -1", "-1", 7, false, ""},
		{"--topic --verbose", "--verbose", 7, false, ""},
		{"--topic a --topic b", "b", 7, false, ""},
		{"--count 3 --verbose", "", 3, true, ""},
		{"--cou 3 --verb", "", 3, true, ""},
		{"--v", "", 7, true, ""}, // also a prefix of --version, which is not unique
		{"a --topic b c", "b", 7, false, "a c"},
		{"--topic b -- --verbose", "b", 7, false, "--verbose"},
		{"-", "", 7, false, "-"},
	} {
		c := newCommandLine()
		err := c.Parse(strings.Fields(test.args))
		if test.args == "--v" {
			var bad BadOption
			if !errors.As(err, &bad) || bad.Text != "v is not a recognized option" {
				t.Errorf("%s: %v", test.args, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		count, err := c.Number(c.count, 7)
		if err != nil || c.topic.Or("") != test.topic || count != test.count || c.verbose.Given() != test.verbose || strings.Join(c.args, " ") != test.rest {
			t.Errorf("%s: topic %q, count %d, verbose %t, rest %q, %v", test.args, c.topic.Or(""), count, c.verbose.Given(), c.args, err)
		}
	}
}

func TestBadOptionsHaveTheTextsOfJoptsimple(t *testing.T) {
	for args, want := range map[string]BadOption{
		"--nosuch":             {"nosuch is not a recognized option", "UnrecognizedOptionException"},
		"--nosuch=1":           {"nosuch is not a recognized option", "UnrecognizedOptionException"},
		"--t a":                {"t is not a recognized option", "UnrecognizedOptionException"},
		"--topic":              {"Option topic requires an argument", "OptionMissingRequiredArgumentException"},
		"--verbose --topi":     {"topi is not a recognized option", "UnrecognizedOptionException"},
		"--count x --check":    {"check is not a recognized option", "UnrecognizedOptionException"},
		"--verbose extra --no": {"no is not a recognized option", "UnrecognizedOptionException"},
	} {
		var bad BadOption
		if err := newCommandLine().Parse(strings.Fields(args)); !errors.As(err, &bad) || bad != want {
			t.Errorf("%s: %+v, want %+v", args, err, want)
		}
	}
	c := newCommandLine()
	c.Exact = true
	var bad BadOption
	if err := c.Parse([]string{"--verb"}); !errors.As(err, &bad) || JavaClass(err) != "joptsimple.UnrecognizedOptionException" {
		t.Errorf("an abbreviation was accepted: %v", err)
	}
}

func TestOptionalArgumentsMayBeMissing(t *testing.T) {
	for args, want := range map[string][]string{
		"--timeout":           {""},
		"--timeout 5":         {"5"},
		"--timeout=5":         {"5"},
		"--timeout --verbose": {""},
		"--timeout=":          {""},
		"--timeout 1 --timeo": {"1", ""},
	} {
		c := newCommandLine()
		if err := c.Parse(strings.Fields(args)); err != nil || !slices.Equal(c.timeout.Values(), want) {
			t.Errorf("%s: %q, %v, want %q", args, c.timeout.Values(), err, want)
		}
	}
}

func TestTheOrderOfOptionsIsKept(t *testing.T) {
	c := newCommandLine()
	if err := c.Parse(strings.Fields("--verbose --topic a --count 1 --topic b")); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, opt := range c.InOrder {
		names = append(names, opt.Name)
	}
	if !slices.Equal(names, []string{"verbose", "topic", "count", "topic"}) || !slices.Equal(c.topic.Values(), []string{"a", "b"}) {
		t.Errorf("%q, topics %q", names, c.topic.Values())
	}
}

func TestRulesAboutOptionsHaveKafkasTexts(t *testing.T) {
	for _, test := range []struct {
		args  string
		check func(c *commandLine) error
		want  string
	}{
		{"", func(c *commandLine) error { return c.Require(c.topic, c.count) }, `Missing required argument "[topic]"`},
		{"--topic a", func(c *commandLine) error { return c.Require(c.topic, c.count) }, `Missing required argument "[count]"`},
		{"--topic a --count 1", func(c *commandLine) error { return c.Require(c.topic, c.count) }, ""},
		{"--topic a --verbose", func(c *commandLine) error { return c.Exclude(c.topic, c.count, c.verbose) }, `Option "[topic]" can't be used with option "[verbose]"`},
		{"--verbose --count 1", func(c *commandLine) error { return c.Exclude(c.topic, c.count, c.verbose) }, ""},
		{"--topic a --topic b", func(c *commandLine) error { return c.CheckSingle() }, "Found multiple arguments for option topic, but you asked for only one"},
		{"--topic a --topic b", func(c *commandLine) error { return c.CheckSingle(c.topic) }, ""},
		{"--count x", func(c *commandLine) error { return c.CheckNumbers() }, "Cannot parse argument 'x' of option count"},
		{"--count 3000000000", func(c *commandLine) error { return c.CheckNumbers() }, "Cannot parse argument '3000000000' of option count"},
		{"--size 3000000000 --topic x", func(c *commandLine) error { return c.CheckNumbers() }, ""},
		{"--size 1.5", func(c *commandLine) error { _, err := c.Number(c.size, 0); return err }, "Cannot parse argument '1.5' of option size"},
	} {
		c := newCommandLine()
		if err := c.Parse(strings.Fields(test.args)); err != nil {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		have := ""
		if err := test.check(c); err != nil {
			have = err.Error()
		}
		if have != test.want {
			t.Errorf("%s: %q, want %q", test.args, have, test.want)
		}
	}
}

func TestAnOptionMayNeedAnother(t *testing.T) {
	for args, want := range map[string]string{
		"--verbose":             "Option(s) [verbose] are unavailable given other options on the command line",
		"--verbose --timeout 1": "Option(s) [verbose, timeout] are unavailable given other options on the command line",
		"--verbose --topic a":   "",
		"":                      "",
	} {
		c := newCommandLine()
		c.verbose.OnlyWith(c.topic, c.count)
		c.timeout.OnlyWith(c.topic)
		have := ""
		if err := c.Parse(strings.Fields(args)); err != nil {
			have = err.Error()
		}
		if have != want {
			t.Errorf("%s: %q, want %q", args, have, want)
		}
	}
}

const usageTableText = `Option                                   Description
------                                   -----------
--count <Integer: n>                     How many.
--help                                   Print usage information.
--size <Long: bytes>                     How large.
--timeout [Long: ms]                     A time limit in ms.
--topic <String: name>                   The topic.
--topics-to-skip <String: names>         Topics to skip.
--verbose                                Print more.
--version                                Display Kafka version.
`

func TestHelpAndVersionEndTheTool(t *testing.T) {
	c := newCommandLine()
	if err := c.Parse([]string{"--help"}); !errors.Is(err, ErrDone) || c.errs.String() != "A tool for tests.\n"+usageTableText || c.Fail(err) != 0 {
		t.Errorf("%v, %s", err, c.errs.String())
	}
	c = newCommandLine()
	if err := c.Parse([]string{"--topic", "a", "--version"}); !errors.Is(err, ErrDone) || c.out.String() != Version+"\n" {
		t.Errorf("%v, %q", err, c.out.String())
	}
}

func TestFailuresArePrintedAsTheToolRequires(t *testing.T) {
	usage, bad, other := UsageError{"Use it well."}, BadOption{"x is bad", "SomeException"}, errors.New("it failed")
	for _, test := range []struct {
		name string
		fail func(o *Options) int
		want string
	}{
		{"a usage error", func(o *Options) int { return o.Fail(usage) }, "Use it well.\n" + usageTableText},
		{"a bad option", func(o *Options) int { return o.Fail(bad) }, "x is bad\n"},
		{"another error", func(o *Options) int { return o.Fail(other) }, "it failed\n"},
		{"an uncaught bad option", func(o *Options) int { return o.FailUncaught(bad) }, "Exception in thread \"main\" joptsimple.SomeException: x is bad\n"},
		{"an uncaught other error", func(o *Options) int { return o.FailUncaught(other) }, "it failed\n"},
		{"a bad option of a tool that prints usage", func(o *Options) int { return o.FailParsing(bad) }, "x is bad\n" + usageTableText},
	} {
		c := newCommandLine()
		if code := test.fail(c.Options); code != 1 || c.errs.String() != test.want {
			t.Errorf("%s: exit code %d\n%s", test.name, code, c.errs.String())
		}
	}
}

func TestLongTextsAreWrappedInTheTableOfOptions(t *testing.T) {
	var errs bytes.Buffer
	o := NewOptions(&Env{Stderr: &errs}, "kafka-test", "")
	o.Value("a-very-long-option", "String: with a long description of its argument", "A text that is longer than a line of the column.\nA second paragraph.")
	o.PrintUsage(&errs)
	want := `--a-very-long-option <String: with a     A text that is longer than a line of
  long description of its argument>        the column.
                                         A second paragraph.
`
	if !strings.Contains(errs.String(), want) {
		t.Errorf("%s\nwant\n%s", errs.String(), want)
	}
}
