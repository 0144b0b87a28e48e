package cli

import (
	"io"
	"strings"
)

// Declared is an option of a program, as the completion of command lines needs it.
type Declared struct {
	Command string // whose option it is, in a program with commands; "": of the program
	Name    string // with its dashes; "": the entry is the command itself, or another fixed word
	Takes   bool   // takes an argument
	Choices []string
	Doc     string
}

// DeclaredOptions returns the options of a program, in the order of their declaration. It begins to
// run the program, which ends when it has declared them.
func DeclaredOptions(t Tool) []Declared {
	var found []Declared
	t.Run(&Env{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, declare: func(d Declared) { found = append(found, d) }}, []string{"--help"})
	return found
}

// Declare reports the options of a program that parses its arguments itself. If it returns true, the
// program must end: it was started only for them.
func (e *Env) Declare(options ...Declared) bool {
	if e.declare == nil {
		return false
	}
	for _, d := range append(options, Declared{Name: "--help", Doc: "Print usage information."}, Declared{Name: "--version", Doc: "Display Kafka version."}) {
		e.declare(d)
	}
	return true
}

// declareOptions reports the declared options. It returns true if that is all that is wanted.
func (o *Options) declareOptions() bool {
	if o.Env.declare == nil {
		return false
	}
	for _, opt := range o.order {
		o.Env.declare(Declared{Name: "--" + opt.Name, Takes: opt.flag == nil, Choices: opt.choices, Doc: opt.doc})
	}
	return true
}

// declareOptions reports the declared arguments, and those of the commands. It returns true if that
// is all that is wanted.
func (a *Arguments) declareOptions(command string) bool {
	if a.env.declare == nil {
		return false
	}
	a.env.declare(Declared{Command: command, Name: "--help", Doc: "show this help message and exit"})
	if command == "" {
		a.env.declare(Declared{Name: "--version", Doc: "Display Kafka version."})
	}
	for _, arg := range a.declared {
		a.env.declare(Declared{Command: command, Name: arg.Name, Takes: arg.Metavar != "", Choices: arg.Choices, Doc: arg.Doc})
	}
	for _, c := range a.commands {
		a.env.declare(Declared{Command: c.name, Doc: c.about})
		c.declareOptions(c.name)
	}
	return true
}
