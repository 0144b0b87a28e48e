package zkshell

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/monedula/monedula/tools/cli"
)

// words matches the arguments of a line: up to the next space, or between quotes.
var words = regexp.MustCompile(`\s*([^"']\S*|"[^"]*"|'[^']*')\s*`)

// splitLine returns the arguments of a line without their quotes.
func splitLine(line string) []string {
	var args []string
	for _, match := range words.FindAllStringSubmatch(line, -1) {
		word := match[1]
		if n := len(word); n >= 2 && (word[0] == '"' || word[0] == '\'') && word[n-1] == word[0] {
			word = word[1 : n-1]
		}
		args = append(args, word)
	}
	return args
}

// commandLine is a parsed command.
type commandLine struct {
	args   []string          // the name of the command and its arguments without options
	values map[string]string // of the options that were given; empty for those without argument
}

func (l *commandLine) has(option string) bool {
	_, given := l.values[option]
	return given
}

// parseError is the error of a command line that commons-cli, the parser of Apache ZooKeeper's shell,
// rejects.
type parseError struct{ class, text string }

func (e parseError) Error() string { return "org.apache.commons.cli." + e.class + ": " + e.text }

// parseOptions separates the options of a command from its arguments, as commons-cli does: options may
// be anywhere, letters of several options may follow one dash, and an argument may follow its option
// directly.
func parseOptions(c *command, args []string) (*commandLine, error) {
	hasArgument := map[string]bool{} // by name, with an entry for each option
	for name := range strings.FieldsSeq(c.options) {
		name, argument := strings.CutSuffix(name, ":")
		hasArgument[name] = argument
	}
	l := &commandLine{values: map[string]string{}}
	selected := ""
	for rest := args; len(rest) > 0; {
		arg := rest[0]
		rest = rest[1:]
		if arg == "--" {
			l.args = append(l.args, rest...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			l.args = append(l.args, arg)
			continue
		}
		names, attached := burst(hasArgument, arg)
		if names == nil {
			return nil, parseError{"UnrecognizedOptionException", "Unrecognized option: " + arg}
		}
		for _, name := range names {
			if c.oneOf && selected != "" && selected != name {
				return nil, parseError{"AlreadySelectedException", fmt.Sprintf("The option '%s' was specified but an option from this group has already been selected: '%s'", name, selected)}
			}
			selected = name
			l.values[name] = ""
		}
		switch last := names[len(names)-1]; {
		case !hasArgument[last]:
		case attached != "":
			l.values[last] = attached
		case len(rest) == 0 || isOption(hasArgument, rest[0]):
			return nil, parseError{"MissingArgumentException", "Missing argument for option: " + last}
		default:
			l.values[last] = strings.Trim(rest[0], `"`)
			rest = rest[1:]
		}
	}
	if c.missing != "" && selected == "" {
		return nil, parseError{"MissingOptionException", c.missing}
	}
	return l, nil
}

func isOption(known map[string]bool, arg string) bool {
	_, is := known[strings.TrimLeft(arg, "-")]
	return is && strings.HasPrefix(arg, "-")
}

// burst returns the options that follow a dash, and the argument that follows the last of them
// directly. names is nil if there is an unknown option.
func burst(hasArgument map[string]bool, arg string) (names []string, attached string) {
	name := strings.TrimLeft(arg, "-")
	if _, known := hasArgument[name]; known {
		return []string{name}, ""
	}
	if name, value, found := strings.Cut(name, "="); found && hasArgument[name] {
		return []string{name}, value
	}
	if strings.HasPrefix(arg, "--") {
		return nil, ""
	}
	for i, letter := range name {
		argument, known := hasArgument[string(letter)]
		if !known {
			return nil, ""
		}
		names = append(names, string(letter))
		if argument {
			return names, name[i+1:]
		}
	}
	return names, ""
}

// settings are the options before the command.
type settings struct {
	server        string
	timeout       string
	readOnly      bool
	configuration string // a file of Apache's shell; empty: none
	tlsFile       string // a file of Kafka's shell; empty: none
	wait          bool   // for the connection, before the command
	command       []string
}

// parseSettings parses the arguments of the program. Unknown options are ignored. After a
// commandError, the options before the wrong one are valid.
func parseSettings(args []string) (s settings, err error) {
	s = settings{server: "localhost:2181", timeout: "30000"}
	for i := 0; i < len(args); i++ {
		value := map[string]*string{"-server": &s.server, "-timeout": &s.timeout, "-client-configuration": &s.configuration, "-zk-tls-config-file": &s.tlsFile}[args[i]]
		switch {
		case value == &s.tlsFile && i+1 == len(args):
			return s, cli.IllegalArgument("Error: no filename provided with option " + args[i])
		case value != nil && i+1 == len(args):
			return s, malformed("Error: no argument found for option " + args[i])
		case value != nil:
			i++
			*value = args[i]
		case args[i] == "-r":
			s.readOnly = true
		case args[i] == "-waitforconnection":
			s.wait = true
		case !strings.HasPrefix(args[i], "-"):
			s.command = args[i:]
			return s, nil
		}
	}
	return s, nil
}
