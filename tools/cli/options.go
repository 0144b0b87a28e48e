package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Options is the command line of a tool. It parses like Kafka's joptsimple: long options with one
// or two dashes, "--name value" or "--name=value", unambiguous prefixes of names and repeated
// Options, with the same error messages.
type Options struct {
	Env     *Env
	flags   *pflag.FlagSet
	order   []*Option
	byName  map[string]*Option
	Summary string
	args    []string  // positional arguments, set by parse
	Exact   bool      // prefixes of names are not accepted
	InOrder []*Option // every option in the order of the command line, set by parse

	output   *Option   // --output; nil: none
	document io.Writer // gets the JSON document; nil: text is wanted
}

// Option is an option of a command line.
type Option struct {
	Name     string
	arg      string // description of the argument for the usage table; "" for a switch
	optional bool   // the argument is optional
	doc      string
	multi    *[]string
	flag     *bool
	with     []*Option // only allowed together with one of these; nil: always allowed
	choices  []string  // the accepted arguments; nil: not known here

	spelledOut bool // prefixes of its name are not accepted
}

// OnlyWith makes the option available only together with one of the others.
func (p *Option) OnlyWith(others ...*Option) *Option {
	p.with = others
	return p
}

// NewOptions returns the command line of the tool name, with the options --help and --version. summary is
// the first line of the help.
func NewOptions(env *Env, name, summary string) *Options {
	o := &Options{Env: env, flags: pflag.NewFlagSet(name, pflag.ContinueOnError), byName: map[string]*Option{}, Summary: summary}
	o.flags.SetOutput(io.Discard)
	o.flags.SortFlags = true
	o.flags.Usage = func() {}
	o.Toggle("help", "Print usage information.")
	o.Toggle("version", "Display Kafka version.")
	return o
}

func (o *Options) add(opt *Option) *Option {
	o.order = append(o.order, opt)
	o.byName[opt.Name] = opt
	return opt
}

// Toggle declares an option without an argument.
func (o *Options) Toggle(name, doc string) *Option {
	return o.add(&Option{Name: name, doc: doc, flag: o.flags.Bool(name, false, doc)})
}

// Value declares an option with an argument. It may be given several times.
func (o *Options) Value(name, arg, doc string) *Option {
	return o.add(&Option{Name: name, arg: arg, doc: doc, multi: o.flags.StringArray(name, nil, doc)})
}

// MaybeValue declares an option with an optional argument.
func (o *Options) MaybeValue(name, arg, doc string) *Option {
	opt := o.Value(name, arg, doc)
	opt.optional = true
	return opt
}

// Given reports whether the option was on the command line.
func (p *Option) Given() bool {
	if p.flag != nil {
		return *p.flag
	}
	return len(*p.multi) > 0
}

// Values returns every argument given, in order.
func (p *Option) Values() []string { return *p.multi }

// Or returns the last argument, or def if the option was not given.
func (p *Option) Or(def string) string {
	if n := len(*p.multi); n > 0 {
		return (*p.multi)[n-1]
	}
	return def
}

// UsageError ends a tool with an error text and the usage table, exit code 1.
type UsageError struct{ Text string }

func (e UsageError) Error() string { return e.Text }

// BadOption is returned for a command line that the parser itself rejects.
type BadOption struct{ Text, Class string }

func (e BadOption) Error() string { return e.Text }

// JavaClass returns the class of the exception in joptsimple.
func (e BadOption) JavaClass() string { return "joptsimple." + e.Class }

// ErrDone ends a tool with exit code 0 after it has printed its help or version.
var ErrDone = errors.New("done")

// Parse reads the arguments. Errors: BadOption, ErrDone.
func (o *Options) Parse(args []string) error {
	if o.declareOptions() {
		return ErrDone
	}
	normal, err := o.normalise(args)
	if err != nil {
		return err
	}
	if err := o.flags.Parse(normal); err != nil {
		return BadOption{Text: err.Error(), Class: "OptionException"}
	}
	for _, opt := range o.order {
		if opt.optional && opt.multi != nil {
			for i, v := range *opt.multi {
				(*opt.multi)[i] = strings.TrimPrefix(v, optionalMark)
			}
		}
	}
	o.args = o.flags.Args()
	if err := o.checkAvailable(); err != nil {
		return err
	}
	if o.byName["help"].Given() {
		o.Env.Complainf("%s", o.Summary)
		o.PrintUsage(o.Env.Stderr)
		return ErrDone
	}
	if o.byName["version"].Given() {
		o.Env.Println(Version)
		return ErrDone
	}
	return o.checkOutput()
}

// Args returns the arguments that are not options, after Parse.
func (o *Options) Args() []string { return o.args }

// checkAvailable rejects options that are only allowed together with others that were not given.
func (o *Options) checkAvailable() error {
	var useless []string
	for _, opt := range o.order {
		if opt.with != nil && opt.Given() && !slices.ContainsFunc(opt.with, (*Option).Given) {
			useless = append(useless, opt.Name)
		}
	}
	if useless == nil {
		return nil
	}
	return BadOption{fmt.Sprintf("Option(s) [%s] are unavailable given other options on the command line", strings.Join(useless, ", ")), "UnavailableOptionException"}
}

// CheckNumbers rejects arguments that do not have the type shown in the usage table.
func (o *Options) CheckNumbers() error {
	for _, opt := range o.order {
		if opt.multi == nil {
			continue
		}
		kind, _, _ := strings.Cut(opt.arg, ":")
		bits := map[string]int{"Integer": 32, "Long": 64}[kind]
		for _, v := range *opt.multi {
			if _, err := strconv.ParseInt(v, 10, bits); bits != 0 && err != nil {
				return BadOption{Text: fmt.Sprintf("Cannot parse argument '%s' of option %s", v, opt.Name), Class: "OptionArgumentConversionException"}
			}
		}
	}
	return nil
}

// optionalMark precedes the value of an option with an optional argument. Without it, the flag
// library would reject an empty value.
const optionalMark = "\x00"

// normalise turns every option into --fullname=argument.
func (o *Options) normalise(args []string) ([]string, error) {
	var out []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...), nil
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			out = append(out, arg)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		opt, err := o.find(name)
		if err != nil {
			return nil, err
		}
		o.InOrder = append(o.InOrder, opt)
		if opt.flag != nil {
			out = append(out, "--"+opt.Name)
			continue
		}
		if !hasValue {
			next := i+1 < len(args) && (!opt.optional || !strings.HasPrefix(args[i+1], "-"))
			switch {
			case next:
				i++
				value = args[i]
			case !opt.optional:
				return nil, BadOption{fmt.Sprintf("Option %s requires an argument", opt.Name), "OptionMissingRequiredArgumentException"}
			}
		}
		if opt.optional {
			value = optionalMark + value
		}
		out = append(out, "--"+opt.Name+"="+value)
	}
	return out, nil
}

// find returns the option with this name, or the only option whose name starts with it.
func (o *Options) find(name string) (*Option, error) {
	if opt := o.byName[name]; opt != nil {
		return opt, nil
	}
	var found *Option
	for _, opt := range o.order {
		if name != "" && !o.Exact && !opt.spelledOut && strings.HasPrefix(opt.Name, name) {
			if found != nil {
				return nil, BadOption{name + " is not a recognized option", "UnrecognizedOptionException"}
			}
			found = opt
		}
	}
	if found == nil {
		return nil, BadOption{name + " is not a recognized option", "UnrecognizedOptionException"}
	}
	return found, nil
}

// CheckSingle rejects options that were given more than once, except for those in but.
func (o *Options) CheckSingle(but ...*Option) error {
	for _, opt := range o.order {
		if opt.multi != nil && len(*opt.multi) > 1 && !slices.Contains(but, opt) {
			return BadOption{fmt.Sprintf("Found multiple arguments for option %s, but you asked for only one", opt.Name), "MultipleArgumentsForOptionException"}
		}
	}
	return nil
}

// Require returns an error for the first of the options that was not given.
func (o *Options) Require(needed ...*Option) error {
	for _, opt := range needed {
		if !opt.Given() {
			return UsageError{fmt.Sprintf("Missing required argument \"[%s]\"", opt.Name)}
		}
	}
	return nil
}

// Exclude returns an error if opt was given together with one of the others.
func (o *Options) Exclude(opt *Option, others ...*Option) error {
	if !opt.Given() {
		return nil
	}
	for _, other := range others {
		if other.Given() {
			return UsageError{fmt.Sprintf("Option \"[%s]\" can't be used with option \"[%s]\"", opt.Name, other.Name)}
		}
	}
	return nil
}

// Number returns the option's argument as a number.
func (o *Options) Number(opt *Option, def int64) (int64, error) {
	if !opt.Given() {
		return def, nil
	}
	n, err := strconv.ParseInt(opt.Or(""), 10, 64)
	if err != nil {
		return 0, BadOption{fmt.Sprintf("Cannot parse argument '%s' of option %s", opt.Or(""), opt.Name), "OptionArgumentConversionException"}
	}
	return n, nil
}

// Fail prints err as Kafka's tools do and returns the exit code.
func (o *Options) Fail(err error) int {
	var usage UsageError
	switch {
	case errors.Is(err, ErrDone):
		return 0
	case errors.As(err, &usage):
		o.Env.Complainf("%s", usage.Text)
		o.PrintUsage(o.Env.Stderr)
	default:
		o.Env.Complainf("%s", err)
	}
	return 1
}

// FailUncaught is like Fail, but for tools whose Java counterpart does not catch the exceptions of
// its parser.
func (o *Options) FailUncaught(err error) int {
	var bad BadOption
	if errors.As(err, &bad) {
		o.Env.Complainf("Exception in thread \"main\" joptsimple.%s: %s", bad.Class, bad.Text)
		return 1
	}
	return o.Fail(err)
}

// PrintUsage prints the table of options in two columns, 80 characters wide.
func (o *Options) PrintUsage(to io.Writer) {
	rows := make([]*Option, 0, len(o.order))
	rows = append(rows, o.order...)
	sort.Slice(rows, func(i, j int) bool { return rows[i].Name < rows[j].Name })
	const left, right = 40, 38
	fmt.Fprintf(to, "%-*s %s\n%-*s %s\n", left, "Option", "Description", left, "------", "-----------")
	for _, opt := range rows {
		head := "--" + opt.Name
		switch {
		case opt.optional:
			head += " [" + opt.arg + "]"
		case opt.arg != "":
			head += " <" + opt.arg + ">"
		}
		names, docs := wrap(head, left-2, "  "), wrap(opt.doc, right, "  ")
		for i := 0; i < max(len(names), len(docs)); i++ {
			fmt.Fprintf(to, "%-*s %s\n", left, at(names, i), at(docs, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// wrap breaks text at spaces into lines of at most width characters. Continuation lines are indented.
func wrap(text string, width int, indent string) []string {
	var lines []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			switch {
			case line == "":
				line = word
			case len(line)+1+len(word) <= width:
				line += " " + word
			default:
				lines = append(lines, line)
				line = indent + word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// FailParsing prints the error of the parser with the usage table.
func (o *Options) FailParsing(err error) int {
	var bad BadOption
	if errors.As(err, &bad) {
		return o.Fail(UsageError{bad.Text})
	}
	return o.Fail(err)
}
