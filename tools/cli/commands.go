package cli

import (
	"fmt"
	"strings"
)

// Command is a command of a tool, with options of its own. On the command line the options of the
// tool come first, then the command, then its options.
type Command struct {
	*Arguments
	name string // on the command line
}

// Command declares a command. Its Run must not be called: Arguments.Run of the tool parses it, and
// Chosen returns it.
func (a *Arguments) Command(name, about string) *Command {
	full := a.name
	for _, arg := range a.declared {
		if arg.Required {
			full += " " + arg.form()
		}
	}
	c := &Command{NewArguments(a.env, full+" "+name, about), name}
	a.commands = append(a.commands, c)
	return c
}

// Chosen returns the command on the command line.
func (a *Arguments) Chosen() *Command { return a.chosen }

// parseCommand reads a command and its options. done reports that it has printed the help.
func (a *Arguments) parseCommand(args []string) (done bool, err error) {
	var names []string
	for _, c := range a.commands {
		if c.name == args[0] {
			a.chosen = c
			done, err = c.parse(args[1:])
			return done, c.refused(err)
		}
		names = append(names, "'"+c.name+"'")
	}
	return false, BadArgument(fmt.Sprintf("invalid choice: '%s' (choose from %s)", args[0], strings.Join(names, ", ")))
}

// badCommand is an error in the options of a command, which is printed with the usage of the command.
type badCommand struct{ usage, reason string }

func (e badCommand) Error() string { return e.reason }

// refused returns err as an error in the options of c.
func (c *Command) refused(err error) error {
	if err == nil {
		return nil
	}
	return badCommand{c.usage(), err.Error()}
}
