package tools

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// arguments is the command line of a tool whose Java counterpart uses argparse4j. It has the same
// error texts and exit codes.
type arguments struct {
	env      *Env
	name     string
	about    string
	declared []*argument
	oneOf    []*argument // exactly one of them must be given
	byName   map[string]*argument
}

// argument is an option of such a tool.
type argument struct {
	name     string
	metavar  string // "" for a switch
	doc      string
	required bool
	kind     string   // "Integer", "Long", "Double", or "" for text
	choices  []string // nil: any value
	many     bool     // takes all arguments up to the next option
	values   []string
}

func newArguments(env *Env, name, about string) *arguments {
	return &arguments{env: env, name: name, about: about, byName: map[string]*argument{}}
}

func (a *arguments) add(arg argument) *argument {
	a.declared = append(a.declared, &arg)
	a.byName[arg.name] = &arg
	return &arg
}

func (p *argument) given() bool { return p.values != nil }

// or returns the last value, or def if there is none.
func (p *argument) or(def string) string {
	if n := len(p.values); n > 0 {
		return p.values[n-1]
	}
	return def
}

// number returns the value as a number, or def if there is none. parse has checked the value.
func (p *argument) number(def int64) int64 {
	if n, err := strconv.ParseInt(p.or(""), 10, 64); err == nil {
		return n
	}
	return def
}

// run parses the command line and calls f if it is valid. It returns the exit code, which is 0 if
// only the help or the version was printed.
func (a *arguments) run(args []string, f func() error) int {
	if len(args) == 0 {
		a.help()
		return 0
	}
	done, err := a.parse(args)
	if done {
		return 0
	}
	if err == nil {
		err = f()
	}
	if refused, ok := err.(badArgument); ok {
		a.env.complainf("%s\n%s: error: %s", a.usage(), a.name, refused)
		return 1
	}
	if err != nil {
		a.env.uncaught(err)
		return 1
	}
	return 0
}

// badArgument is an error in the command line. It is printed with the usage.
type badArgument string

func (e badArgument) Error() string { return string(e) }

// parse reads the arguments. done reports that it has printed the help or the version.
func (a *arguments) parse(args []string) (done bool, err error) {
	var exclusive *argument
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		switch name {
		case "-h", "--help":
			a.help()
			return true, nil
		case "--version":
			a.env.println(Version)
			return true, nil
		}
		arg := a.byName[name]
		if arg == nil {
			return false, badArgument(fmt.Sprintf("unrecognized arguments: '%s'", args[i]))
		}
		if slices.Contains(a.oneOf, arg) {
			if exclusive != nil && exclusive != arg {
				return false, badArgument(fmt.Sprintf("argument %s: not allowed with argument %s", arg.name, exclusive.name))
			}
			exclusive = arg
		}
		if arg.metavar == "" {
			arg.values = []string{"true"}
			continue
		}
		values := []string{value}
		if !joined {
			values = nil
			for i+1 < len(args) && a.isValue(args[i+1]) && (arg.many || values == nil) {
				i++
				values = append(values, args[i])
			}
		}
		if values == nil {
			if arg.many {
				return false, badArgument(fmt.Sprintf("argument %s: expected at least one argument", arg.name))
			}
			return false, badArgument(fmt.Sprintf("argument %s: expected one argument", arg.name))
		}
		if err := arg.check(values[0]); err != nil {
			return false, err
		}
		arg.values = values
	}
	for _, arg := range a.declared {
		if arg.required && !arg.given() {
			return false, badArgument(fmt.Sprintf("argument %s is required", arg.name))
		}
	}
	if a.oneOf != nil && exclusive == nil {
		return false, badArgument("one of the arguments " + strings.Join(argumentNames(a.oneOf), " ") + " is required")
	}
	return false, nil
}

// isValue reports whether text is a value and not an option. A negative number is a value.
func (a *arguments) isValue(text string) bool {
	if !strings.HasPrefix(text, "-") || text == "-" {
		return true
	}
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

func (p *argument) check(value string) error {
	if bits := map[string]int{"Integer": 32, "Long": 64}[p.kind]; bits != 0 {
		if _, err := strconv.ParseInt(value, 10, bits); err != nil {
			return badArgument(fmt.Sprintf("argument %s: could not convert '%s' to %s (For input string: %q)", p.name, value, p.kind, value))
		}
	}
	if _, err := strconv.ParseFloat(value, 64); p.kind == "Double" && err != nil {
		return badArgument(fmt.Sprintf("argument %s: could not convert '%s' to Double (For input string: %q)", p.name, value, value))
	}
	if p.choices != nil && !slices.Contains(p.choices, value) {
		return badArgument(fmt.Sprintf("argument %s: invalid choice: '%s' (choose from {%s})", p.name, value, strings.Join(p.choices, ",")))
	}
	return nil
}

func argumentNames(args []*argument) []string {
	names := make([]string, len(args))
	for i, arg := range args {
		names[i] = arg.name
	}
	return names
}

func (p *argument) form() string {
	switch {
	case p.metavar == "":
		return p.name
	case p.many:
		return fmt.Sprintf("%s %s [%s ...]", p.name, p.metavar, p.metavar)
	}
	return p.name + " " + p.metavar
}

func (a *arguments) usage() string {
	parts := []string{"[-h]"}
	var group []string
	for _, arg := range a.declared {
		switch {
		case slices.Contains(a.oneOf, arg):
			group = append(group, arg.form())
		case arg.required:
			parts = append(parts, arg.form())
		default:
			parts = append(parts, "["+arg.form()+"]")
		}
	}
	if group != nil {
		parts = append(parts, "("+strings.Join(group, " | ")+")")
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

func (a *arguments) help() {
	a.env.printf("%s\n\n%s\n\noptional arguments:\n", a.usage(), strings.Join(wrap(a.about, 75, ""), "\n"))
	row := func(form, doc string) {
		lines := wrap(doc, 50, "")
		if len(form) > 22 {
			a.env.printf("  %s\n", form)
			form = ""
		} else {
			a.env.printf("  %-22s %s\n", form, lines[0])
			lines = lines[1:]
		}
		for _, line := range lines {
			a.env.printf("%25s%s\n", "", line)
		}
	}
	row("-h, --help", "show this help message and exit")
	for _, arg := range a.declared {
		row(arg.form(), arg.doc)
	}
}
