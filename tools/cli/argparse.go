package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Arguments is the command line of a tool whose Java counterpart uses argparse4j. It has the same
// error messages and exit codes.
type Arguments struct {
	env      *Env
	name     string
	about    string
	declared []*Argument
	OneOf    []*Argument // exactly one of them must be given
	byName   map[string]*Argument
	commands []*Command
	chosen   *Command // by the command line; nil: none yet

	output   *Argument // --output; nil: none
	document io.Writer // gets the JSON document; nil: text is wanted
}

// Argument is an option of such a tool.
type Argument struct {
	Name     string
	Metavar  string // "" for a switch
	Doc      string
	Required bool
	Kind     string   // "Short", "Integer", "Long", "Double", or "" for text
	Choices  []string // nil: any value
	Many     bool     // takes all arguments up to the next option
	Values   []string
	own      bool // not one of Kafka's: the usage of errors leaves it out
}

// NewArguments returns the command line of the tool name. about is the first line of its help.
func NewArguments(env *Env, name, about string) *Arguments {
	return &Arguments{env: env, name: name, about: about, byName: map[string]*Argument{}}
}

// Add declares an argument.
func (a *Arguments) Add(arg Argument) *Argument {
	a.declared = append(a.declared, &arg)
	a.byName[arg.Name] = &arg
	return &arg
}

// Given reports whether the argument was on the command line.
func (p *Argument) Given() bool { return p.Values != nil }

// Or returns the last value, or def if there is none.
func (p *Argument) Or(def string) string {
	if n := len(p.Values); n > 0 {
		return p.Values[n-1]
	}
	return def
}

// Number returns the value as a number, or def if there is none. parse has checked the value.
func (p *Argument) Number(def int64) int64 {
	if n, err := strconv.ParseInt(p.Or(""), 10, 64); err == nil {
		return n
	}
	return def
}

// Run parses the command line and calls f if it is valid. It returns the exit code, which is 0 if
// only the help or the version was printed.
func (a *Arguments) Run(args []string, f func() error) int {
	if a.declareOptions("") {
		return 0
	}
	if len(args) == 0 && a.commands == nil {
		a.help()
		return 0
	}
	done, err := a.parse(args)
	if done {
		return 0
	}
	if err == nil {
		err = a.complete()
	}
	if err == nil {
		a.checkOutput()
		if a.chosen != nil {
			a.chosen.checkOutput()
		}
		err = f()
	}
	if refused, ok := err.(BadArgument); ok {
		a.env.Complainf("%s\n%s: error: %s", a.usage(), a.name, refused)
		return 1
	}
	if refused, ok := err.(badCommand); ok {
		a.env.Complainf("%s\n%s: error: %s", refused.usage, a.name, refused.reason)
		return 1
	}
	if err != nil {
		a.env.Uncaught(err)
		return 1
	}
	return 0
}

// BadArgument is an error in the command line. It is printed with the usage.
type BadArgument string

func (e BadArgument) Error() string { return string(e) }

// parse reads the arguments. done reports that it has printed the help or the version.
func (a *Arguments) parse(args []string) (done bool, err error) {
	var exclusive *Argument
	for i := 0; i < len(args) && a.chosen == nil; i++ {
		name, value, joined := strings.Cut(args[i], "=")
		switch {
		case name == "-h" || name == "--help":
			a.help()
			return true, nil
		case name == "--version" || name == "-v" && a.commands != nil:
			a.env.Println(Version)
			return true, nil
		case a.commands != nil && !strings.HasPrefix(name, "-"):
			if done, err := a.parseCommand(args[i:]); done || err != nil {
				return done, err
			}
			continue
		}
		arg := a.byName[name]
		if arg == nil {
			return false, BadArgument(fmt.Sprintf("unrecognized arguments: '%s'", args[i]))
		}
		if slices.Contains(a.OneOf, arg) {
			if exclusive != nil && exclusive != arg {
				return false, BadArgument(fmt.Sprintf("argument %s: not allowed with argument %s", arg.Name, exclusive.Name))
			}
			exclusive = arg
		}
		if arg.Metavar == "" {
			arg.Values = []string{"true"}
			continue
		}
		values := []string{value}
		if !joined {
			values = nil
			for i+1 < len(args) && a.isValue(args[i+1]) && (arg.Many || values == nil) {
				i++
				values = append(values, args[i])
			}
		}
		if values == nil {
			if arg.Many {
				return false, BadArgument(fmt.Sprintf("argument %s: expected at least one argument", arg.Name))
			}
			return false, BadArgument(fmt.Sprintf("argument %s: expected one argument", arg.Name))
		}
		if err := arg.check(values[0]); err != nil {
			return false, err
		}
		arg.Values = values
	}
	return false, nil
}

// complete returns an error if an argument is missing.
func (a *Arguments) complete() error {
	if a.commands != nil && a.chosen == nil {
		return BadArgument("too few arguments")
	}
	for _, arg := range a.declared {
		if arg.Required && !arg.Given() {
			return BadArgument(fmt.Sprintf("argument %s is required", arg.Name))
		}
	}
	if a.OneOf != nil && !slices.ContainsFunc(a.OneOf, (*Argument).Given) {
		return BadArgument("one of the arguments " + strings.Join(argumentNames(a.OneOf), " ") + " is required")
	}
	if a.chosen != nil {
		return a.chosen.refused(a.chosen.complete())
	}
	return nil
}

// isValue reports whether text is a value and not an option. A negative number is a value.
func (a *Arguments) isValue(text string) bool {
	if !strings.HasPrefix(text, "-") || text == "-" {
		return true
	}
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

func (p *Argument) check(value string) error {
	if bits := map[string]int{"Short": 16, "Integer": 32, "Long": 64}[p.Kind]; bits != 0 {
		_, err := strconv.ParseInt(value, 10, bits)
		if p.Kind == "Short" && errors.Is(err, strconv.ErrRange) {
			return BadArgument(fmt.Sprintf("argument %s: could not convert '%s' to Short (Value out of range. Value:%q Radix:10)", p.Name, value, value))
		}
		if err != nil {
			return BadArgument(fmt.Sprintf("argument %s: could not convert '%s' to %s (For input string: %q)", p.Name, value, p.Kind, value))
		}
	}
	if _, err := strconv.ParseFloat(value, 64); p.Kind == "Double" && err != nil {
		return BadArgument(fmt.Sprintf("argument %s: could not convert '%s' to Double (For input string: %q)", p.Name, value, value))
	}
	if p.Choices != nil && !slices.Contains(p.Choices, value) {
		return BadArgument(fmt.Sprintf("argument %s: invalid choice: '%s' (choose from {%s})", p.Name, value, strings.Join(p.Choices, ",")))
	}
	return nil
}

func argumentNames(args []*Argument) []string {
	names := make([]string, len(args))
	for i, arg := range args {
		names[i] = arg.Name
	}
	return names
}

func (p *Argument) form() string {
	switch {
	case p.Metavar == "":
		return p.Name
	case p.Many:
		return fmt.Sprintf("%s %s [%s ...]", p.Name, p.Metavar, p.Metavar)
	}
	return p.Name + " " + p.Metavar
}

func (a *Arguments) usage() string {
	parts := []string{"[-h]"}
	var group []string
	for _, arg := range a.declared {
		switch {
		case arg.own:
		case slices.Contains(a.OneOf, arg):
			group = append(group, arg.form())
		case arg.Required:
			parts = append(parts, arg.form())
		default:
			parts = append(parts, "["+arg.form()+"]")
		}
	}
	if group != nil {
		parts = append(parts, "("+strings.Join(group, " | ")+")")
	}
	if a.commands != nil {
		parts = append(parts, "COMMAND ...")
	}
	head := "usage: " + a.name
	var b strings.Builder
	b.WriteString(head)
	column := len(head)
	for _, part := range parts {
		if column+1+len(part) > 76 && column > len(head) {
			b.WriteString("\n" + strings.Repeat(" ", len(head)))
			column = len(head)
		}
		b.WriteString(" " + part)
		column += 1 + len(part)
	}
	return b.String()
}

func (a *Arguments) help() {
	a.env.Printf("%s\n\n%s\n\noptional arguments:\n", a.usage(), strings.Join(wrap(a.about, 75, ""), "\n"))
	row := func(form, doc string) {
		lines := wrap(doc, 50, "")
		if len(form) > 22 {
			a.env.Printf("  %s\n", form)
			form = ""
		} else {
			a.env.Printf("  %-22s %s\n", form, lines[0])
			lines = lines[1:]
		}
		for _, line := range lines {
			a.env.Printf("%25s%s\n", "", line)
		}
	}
	row("-h, --help", "show this help message and exit")
	for _, arg := range a.declared {
		row(arg.form(), arg.Doc)
	}
	if a.commands != nil {
		a.env.Println("\ncommands:")
	}
	for _, c := range a.commands {
		row("  "+c.name, c.about)
	}
}
