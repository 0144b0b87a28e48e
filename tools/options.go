package tools

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

// options is the command line of a tool. It parses like Kafka's joptsimple: long options with one
// or two dashes, "--name value" or "--name=value", unambiguous prefixes of names and repeated
// options, with the same error texts.
type options struct {
	env     *Env
	flags   *pflag.FlagSet
	order   []*option
	byName  map[string]*option
	summary string
	args    []string  // positional arguments, set by parse
	exact   bool      // prefixes of names are not accepted
	given   []*option // every option in the order of the command line, set by parse
}

type option struct {
	name     string
	arg      string // description of the argument for the usage table; "" for a switch
	optional bool   // the argument is optional
	doc      string
	multi    *[]string
	flag     *bool
	with     []*option // only allowed together with one of these; nil: always allowed
}

// onlyWith makes the option available only together with one of the others.
func (p *option) onlyWith(others ...*option) *option {
	p.with = others
	return p
}

func newOptions(env *Env, name, summary string) *options {
	o := &options{env: env, flags: pflag.NewFlagSet(name, pflag.ContinueOnError), byName: map[string]*option{}, summary: summary}
	o.flags.SetOutput(io.Discard)
	o.flags.SortFlags = true
	o.flags.Usage = func() {}
	o.toggle("help", "Print usage information.")
	o.toggle("version", "Display Kafka version.")
	return o
}

func (o *options) add(opt *option) *option {
	o.order = append(o.order, opt)
	o.byName[opt.name] = opt
	return opt
}

// toggle declares an option without an argument.
func (o *options) toggle(name, doc string) *option {
	return o.add(&option{name: name, doc: doc, flag: o.flags.Bool(name, false, doc)})
}

// value declares an option with an argument. It may be given several times.
func (o *options) value(name, arg, doc string) *option {
	return o.add(&option{name: name, arg: arg, doc: doc, multi: o.flags.StringArray(name, nil, doc)})
}

// maybeValue declares an option with an optional argument.
func (o *options) maybeValue(name, arg, doc string) *option {
	opt := o.value(name, arg, doc)
	opt.optional = true
	return opt
}

// given reports whether the option was on the command line.
func (p *option) given() bool {
	if p.flag != nil {
		return *p.flag
	}
	return len(*p.multi) > 0
}

// values returns every argument given, in order.
func (p *option) values() []string { return *p.multi }

// or returns the last argument, or def if the option was not given.
func (p *option) or(def string) string {
	if n := len(*p.multi); n > 0 {
		return (*p.multi)[n-1]
	}
	return def
}

// usageError ends a tool with an error text and the usage table, exit code 1.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// badOption is returned for a command line that the parser itself rejects.
type badOption struct{ text, class string }

func (e badOption) Error() string { return e.text }

func (e badOption) javaClass() string { return "joptsimple." + e.class }

// errDone ends a tool with exit code 0 after it has printed its help or version.
var errDone = errors.New("done")

// parse reads the arguments. Errors: badOption, errDone.
func (o *options) parse(args []string) error {
	normal, err := o.normalise(args)
	if err != nil {
		return err
	}
	if err := o.flags.Parse(normal); err != nil {
		return badOption{text: err.Error(), class: "OptionException"}
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
	if o.byName["help"].given() {
		o.env.complainf("%s", o.summary)
		o.printUsage(o.env.Stderr)
		return errDone
	}
	if o.byName["version"].given() {
		o.env.println(Version)
		return errDone
	}
	return nil
}

// checkAvailable rejects options that are only allowed together with others that were not given.
func (o *options) checkAvailable() error {
	var useless []string
	for _, opt := range o.order {
		if opt.with != nil && opt.given() && !slices.ContainsFunc(opt.with, (*option).given) {
			useless = append(useless, opt.name)
		}
	}
	if useless == nil {
		return nil
	}
	return badOption{fmt.Sprintf("Option(s) [%s] are unavailable given other options on the command line", strings.Join(useless, ", ")), "UnavailableOptionException"}
}

// checkNumbers rejects arguments that do not have the type shown in the usage table.
func (o *options) checkNumbers() error {
	for _, opt := range o.order {
		if opt.multi == nil {
			continue
		}
		kind, _, _ := strings.Cut(opt.arg, ":")
		bits := map[string]int{"Integer": 32, "Long": 64}[kind]
		for _, v := range *opt.multi {
			if _, err := strconv.ParseInt(v, 10, bits); bits != 0 && err != nil {
				return badOption{text: fmt.Sprintf("Cannot parse argument '%s' of option %s", v, opt.name), class: "OptionArgumentConversionException"}
			}
		}
	}
	return nil
}

// optionalMark precedes the value of an option with an optional argument. Without it, the flag
// library would reject an empty value.
const optionalMark = "\x00"

// normalise turns every option into --fullname=argument.
func (o *options) normalise(args []string) ([]string, error) {
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
		o.given = append(o.given, opt)
		if opt.flag != nil {
			out = append(out, "--"+opt.name)
			continue
		}
		if !hasValue {
			next := i+1 < len(args) && (!opt.optional || !strings.HasPrefix(args[i+1], "-"))
			switch {
			case next:
				i++
				value = args[i]
			case !opt.optional:
				return nil, badOption{fmt.Sprintf("Option %s requires an argument", opt.name), "OptionMissingRequiredArgumentException"}
			}
		}
		if opt.optional {
			value = optionalMark + value
		}
		out = append(out, "--"+opt.name+"="+value)
	}
	return out, nil
}

// find returns the option with this name, or the only option whose name starts with it.
func (o *options) find(name string) (*option, error) {
	if opt := o.byName[name]; opt != nil {
		return opt, nil
	}
	var found *option
	for _, opt := range o.order {
		if name != "" && !o.exact && strings.HasPrefix(opt.name, name) {
			if found != nil {
				return nil, badOption{name + " is not a recognized option", "UnrecognizedOptionException"}
			}
			found = opt
		}
	}
	if found == nil {
		return nil, badOption{name + " is not a recognized option", "UnrecognizedOptionException"}
	}
	return found, nil
}

// checkSingle rejects options that were given more than once, except for those in but.
func (o *options) checkSingle(but ...*option) error {
	for _, opt := range o.order {
		if opt.multi != nil && len(*opt.multi) > 1 && !slices.Contains(but, opt) {
			return badOption{fmt.Sprintf("Found multiple arguments for option %s, but you asked for only one", opt.name), "MultipleArgumentsForOptionException"}
		}
	}
	return nil
}

// require returns an error for the first of the options that was not given.
func (o *options) require(needed ...*option) error {
	for _, opt := range needed {
		if !opt.given() {
			return usageError{fmt.Sprintf("Missing required argument \"[%s]\"", opt.name)}
		}
	}
	return nil
}

// exclude returns an error if opt was given together with one of the others.
func (o *options) exclude(opt *option, others ...*option) error {
	if !opt.given() {
		return nil
	}
	for _, other := range others {
		if other.given() {
			return usageError{fmt.Sprintf("Option \"[%s]\" can't be used with option \"[%s]\"", opt.name, other.name)}
		}
	}
	return nil
}

// number returns the option's argument as a number.
func (o *options) number(opt *option, def int64) (int64, error) {
	if !opt.given() {
		return def, nil
	}
	n, err := strconv.ParseInt(opt.or(""), 10, 64)
	if err != nil {
		return 0, badOption{fmt.Sprintf("Cannot parse argument '%s' of option %s", opt.or(""), opt.name), "OptionArgumentConversionException"}
	}
	return n, nil
}

// fail prints err as Kafka's tools do and returns the exit code.
func (o *options) fail(err error) int {
	var usage usageError
	switch {
	case errors.Is(err, errDone):
		return 0
	case errors.As(err, &usage):
		o.env.complainf("%s", usage.text)
		o.printUsage(o.env.Stderr)
	default:
		o.env.complainf("%s", err)
	}
	return 1
}

// failUncaught is like fail, but for tools whose Java counterpart does not catch the exceptions of
// its parser.
func (o *options) failUncaught(err error) int {
	var bad badOption
	if errors.As(err, &bad) {
		o.env.complainf("Exception in thread \"main\" joptsimple.%s: %s", bad.class, bad.text)
		return 1
	}
	return o.fail(err)
}

// printUsage prints the table of options in two columns, 80 characters wide.
func (o *options) printUsage(to io.Writer) {
	rows := make([]*option, 0, len(o.order))
	rows = append(rows, o.order...)
	sort.Slice(rows, func(i, j int) bool { return rows[i].name < rows[j].name })
	const left, right = 40, 38
	fmt.Fprintf(to, "%-*s %s\n%-*s %s\n", left, "Option", "Description", left, "------", "-----------")
	for _, opt := range rows {
		head := "--" + opt.name
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

// failParsing prints the error of the parser with the usage table.
func (o *options) failParsing(err error) int {
	var bad badOption
	if errors.As(err, &bad) {
		return o.fail(usageError{bad.text})
	}
	return o.fail(err)
}
