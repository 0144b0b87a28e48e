package zkshell

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// command is a command that makes requests.
type command struct {
	name    string
	usage   string // after the name
	options string // their names; a colon marks those with an argument
	least   int    // arguments that it needs, its name included
	run     func(sh *shell, l *commandLine) error

	ignoresAll bool   // options and arguments are not read
	oneOf      bool   // only one of the options is allowed
	missing    string // the error if there is no option; empty: none is needed
}

// usageText returns the name and what follows it.
func (c *command) usageText() string { return c.name + " " + c.usage }

// commands returns all commands that make requests.
func commands() []command {
	return slices.Concat(nodeCommands, aclCommands, quotaCommands, watchCommands, ensembleCommands)
}

// ownCommands are the commands of the shell itself.
var ownCommands = map[string]string{"connect": "host:port", "history": "", "redo": "cmdno", "printwatches": "on|off", "quit": ""}

const (
	exitInvalid   = 1   // the exit code of a command that failed
	exitUnknown   = 127 // the exit code of an unknown command
	historyLength = 10  // lines that history shows before the current one
)

// malformed returns the error of a command that cannot be run as it is.
func malformed(text string) error { return commandError{text, exitInvalid} }

// usageLines returns a line for each command.
func usageLines() string {
	lines := []string{}
	for name, usage := range ownCommands {
		lines = append(lines, "\t"+name+" "+usage+"\n")
	}
	for _, c := range commands() {
		lines = append(lines, "\t"+c.usageText()+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// names returns the names of all commands, sorted.
func names() []string {
	var all []string
	for name := range ownCommands {
		all = append(all, name)
	}
	for _, c := range commands() {
		all = append(all, c.name)
	}
	slices.Sort(all)
	return all
}

// dispatch runs a command.
func (sh *shell) dispatch(args []string) error {
	all := commands()
	at := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if _, own := ownCommands[args[0]]; !own && at < 0 {
		sh.complain(sh.usage + "\n" + strings.TrimSuffix(usageLines(), "\n"))
		return commandError{"Command not found: Command not found " + args[0], exitUnknown}
	}
	if err := sh.runOwn(args); err != nil || sh.ended {
		return err
	}
	if !sh.session.alive() {
		sh.println("Not connected")
		return nil
	}
	if at < 0 {
		return nil
	}
	return sh.runCommand(&all[at], args)
}

func (sh *shell) runCommand(c *command, args []string) error {
	l := &commandLine{args: args}
	if !c.ignoresAll {
		var err error
		if l, err = parseOptions(c, args); err != nil {
			return malformed(err.Error())
		}
	}
	if len(l.args) < c.least {
		return malformed(c.usageText())
	}
	err := c.run(sh, l)
	if f, is := err.(failure); is {
		return commandError{failureText(f), exitInvalid}
	}
	return err
}

// runOwn runs a command of the shell itself.
func (sh *shell) runOwn(args []string) error {
	switch args[0] {
	case "quit":
		sh.session.close()
		sh.ended = true
	case "redo":
		if len(args) >= 2 {
			return sh.redo(args[1])
		}
	case "history":
		sh.printHistory()
	case "printwatches":
		sh.printwatches(args)
	case "connect":
		to := sh.server
		if len(args) >= 2 {
			to = args[1]
		}
		if err := sh.connect(to); err != nil {
			return err
		}
		if sh.interactive() {
			sh.session.begin()
		}
	}
	return nil
}

func (sh *shell) printHistory() {
	if len(sh.history) == 0 { // the command is an argument of the program
		sh.println("0 - null")
	}
	for i := max(0, len(sh.history)-1-historyLength); i < len(sh.history); i++ {
		sh.println(fmt.Sprintf("%d - %s", i, sh.history[i]))
	}
}

func (sh *shell) printwatches(args []string) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(args) > 1 {
		sh.printWatches = args[1] == "on"
		return
	}
	state := "off"
	if sh.printWatches {
		state = "on"
	}
	fmt.Fprintf(sh.out, "printwatches is %s\n", state)
}

// redo runs an earlier line again. The history has that line at the number of redo then.
func (sh *shell) redo(number string) error {
	n, err := strconv.ParseInt(number, 0, 32)
	if err != nil {
		return notANumber(number)
	}
	now := len(sh.history) - 1
	if n < 0 || int(n) >= now {
		return malformed("Command index out of range")
	}
	line := sh.history[n]
	sh.last = splitLine(line)
	if sh.last[0] == "redo" {
		return malformed("No redoing redos")
	}
	sh.history[now] = line
	return sh.execute(sh.last)
}

// failureText returns what the shell prints for the error of a request.
func failureText(f failure) string {
	heads := map[code]string{noNode: "Node does not exist: ", noChildrenForEphemerals: "Ephemerals cannot have children: ", nodeExists: "Node already exists: ",
		notEmpty: "Node not empty: ", notReadOnly: "Not a read-only call: ", invalidACL: "Acl is not valid : ", noAuth: "Insufficient permission : ",
		badArguments: "Arguments are not valid : ", badVersion: "version No is not valid : "}
	switch head, special := heads[f.code]; {
	case special && f.path == "":
		return head + "null"
	case special:
		return head + f.path
	case f.code == reconfigInProgress:
		return "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)"
	case f.code == newConfigNoQuorum:
		return "No quorum of new config is connected and up-to-date with the leader of last commmitted config - try invoking reconfiguration after new servers are connected and synced"
	}
	return f.Error()
}

// checkPath returns the error of an invalid path.
func checkPath(path string) error {
	if reason := invalidPath(path); reason != "" {
		return malformed(reason)
	}
	return nil
}

// number32 parses a number of Java's type int. A text that is not one ends the shell, as it does
// Apache's.
func number32(text string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, notANumber(text)
	}
	return int32(n), nil
}

// version returns the argument of the option v, or the number that stands for any version.
func (l *commandLine) version() (int32, error) {
	if text, given := l.values["v"]; given {
		return number32(text)
	}
	return anyVersion, nil
}

const anyVersion = -1
