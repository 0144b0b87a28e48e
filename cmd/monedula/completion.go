package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/monedula/monedula/tools/cli"
)

// completionTool prints a script for a shell. It is a function because the script names all programs,
// this one included.
func completionTool() cli.Tool {
	return cli.Tool{Name: "completion", Summary: "Prints a script that completes command lines in bash, zsh or fish.", Run: printCompletion}
}

const completionUsage = `USAGE: monedula completion bash|zsh|fish

Prints a script that completes the programs of monedula and their options, also for Kafka's scripts
such as bin/kafka-topics.sh. To complete in every new shell, add a line to a file:

  bash  ~/.bashrc                   source <(monedula completion bash)
  zsh   ~/.zshrc, after compinit    source <(monedula completion zsh)
  fish  ~/.config/fish/config.fish  monedula completion fish | source`

func printCompletion(env *cli.Env, args []string) int {
	shells := map[string]func(io.Writer, []completed){"bash": completeInBash, "zsh": completeInZsh, "fish": completeInFish}
	if env.Declare(cli.Declared{Command: "bash", Doc: "Print the script for bash."}, cli.Declared{Command: "zsh", Doc: "Print the script for zsh."},
		cli.Declared{Command: "fish", Doc: "Print the script for fish."}) {
		return 0
	}
	switch {
	case len(args) == 1 && (args[0] == "-h" || args[0] == "--help"):
		env.Println(completionUsage)
		return 0
	case len(args) == 1 && args[0] == "--version":
		env.Println(cli.Version)
		return 0
	case len(args) != 1 || shells[args[0]] == nil:
		env.Complainf("%s", completionUsage)
		return 1
	}
	shells[args[0]](env.Stdout, completions())
	return 0
}

// completed is a program as the scripts complete it.
type completed struct {
	cli.Tool
	script   string // its script in bin; "": it has none
	options  []cli.Declared
	commands []cli.Declared // their names are in Command
}

// of returns the options of a command of the program; "" stands for the program itself.
func (c completed) of(command string) []cli.Declared {
	return slices.DeleteFunc(slices.Clone(c.options), func(d cli.Declared) bool { return d.Command != command })
}

// completions returns all programs with their options.
func completions() (all []completed) {
	for _, subject := range programs() {
		for _, program := range subject.Tools {
			c := completed{Tool: program}
			if strings.HasPrefix(program.Name, "kafka-") || strings.HasPrefix(program.Name, "zookeeper-") {
				c.script = program.Name + ".sh"
			}
			for _, d := range cli.DeclaredOptions(program) {
				d.Doc, _, _ = strings.Cut(strings.TrimSuffix(d.Doc, "."), ". ")
				if d.Name == "" {
					c.commands = append(c.commands, d)
				} else {
					c.options = append(c.options, d)
				}
			}
			all = append(all, c)
		}
	}
	return all
}

// overall are the words in place of a program.
var overall = []cli.Declared{{Name: "help", Doc: "Print the help of a program"}, {Name: "--help", Doc: "List all programs"}, {Name: "--version", Doc: "Print the version"}}

// spaced joins the results of text with spaces and leaves out empty ones.
func spaced[T any](items []T, text func(T) string) string {
	var texts []string
	for _, item := range items {
		if t := text(item); t != "" {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, " ")
}

func nameOf(d cli.Declared) string    { return d.Name }
func commandOf(d cli.Declared) string { return d.Command }
func programOf(c completed) string    { return c.Name }
func scriptOf(c completed) string     { return c.script }

// takingArgument returns the name of an option that takes an argument, and "" for others.
func takingArgument(d cli.Declared) string {
	if d.Takes {
		return d.Name
	}
	return ""
}

// quoted quotes text for bash and zsh.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

const bashScript = `# Completes the command lines of monedula and of Kafka's scripts in bash. Printed by: monedula completion bash

_monedula() {
  local word=${COMP_WORDS[COMP_CWORD]} before=$((COMP_CWORD - 1)) program=${COMP_WORDS[0]##*/} first=1 command= i
  local words= commands= takes= previous
  # Bash splits --option=value at the equals sign.
  [ "$word" != = ] || word=
  [ "${COMP_WORDS[before]}" != = ] || before=$((before - 1))
  previous=${COMP_WORDS[before]}
  program=${program%%.sh}
  if [ "$program" = monedula ]; then
    if [ "$COMP_CWORD" = 1 ]; then
      COMPREPLY=($(compgen -W %s -- "$word"))
      return
    fi
    program=${COMP_WORDS[1]} first=2
  fi
  case $program in
%s  esac
  for ((i = first; i < COMP_CWORD; i++)); do
    [[ " $commands " != *" ${COMP_WORDS[i]} "* ]] || command=${COMP_WORDS[i]}
  done
  case "$program $command" in
%s  esac
  case "$program $command $previous" in
%s    *) [[ " $takes " != *" $previous "* ]] || return 0 ;; # a file, by default
  esac
  [ -n "$command" ] || words="$words $commands"
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _monedula %s
`

func completeInBash(to io.Writer, all []completed) {
	var commands, options, choices strings.Builder
	for _, c := range all {
		if len(c.commands) > 0 {
			fmt.Fprintf(&commands, "    %s) commands=%s ;;\n", c.Name, quoted(spaced(c.commands, commandOf)))
		}
		for _, command := range append([]cli.Declared{{}}, c.commands...) {
			key := c.Name + " " + command.Command
			declared := c.of(command.Command)
			fmt.Fprintf(&options, "    %s) words=%s takes=%s ;;\n", quoted(key), quoted(spaced(declared, nameOf)), quoted(spaced(declared, takingArgument)))
			for _, d := range declared {
				if d.Choices != nil {
					fmt.Fprintf(&choices, "    %s) words=%s commands= ;;\n", quoted(key+" "+d.Name), quoted(strings.Join(d.Choices, " ")))
				}
			}
		}
	}
	fmt.Fprintf(&commands, "    help) commands=%s ;;\n", quoted(spaced(all, programOf)))
	fmt.Fprintf(to, bashScript, quoted(spaced(all, programOf)+" "+spaced(overall, nameOf)), commands.String(), options.String(), choices.String(),
		"monedula "+spaced(all, scriptOf))
}

const zshScript = `#compdef monedula %[1]s
# Completes the command lines of monedula and of Kafka's scripts in zsh. Printed by: monedula completion zsh

_monedula() {
  local program=${words[1]:t} previous=${words[CURRENT-1]} command= word
  local -a programs=(
%[2]s  ) commands=() options=() takes=()
  integer first=2
  program=${program%%.sh}
  if [[ $program == monedula ]]; then
    if (( CURRENT == 2 )); then
      programs+=(%[3]s)
      _describe program programs
      return
    fi
    program=$words[2] first=3
  fi
  case $program in
    help) commands=($programs) ;;
%[4]s  esac
  for word in ${words[first,CURRENT-1]}; do
    [[ -z ${commands[(r)$word:*]} ]] || command=$word
  done
  case "$program $command" in
%[5]s  esac
  case "$program $command $previous" in
%[6]s    *)
      if (( ${takes[(I)$previous]} )); then
        _files
        return
      fi ;;
  esac
  [[ -n $command ]] || (( ! $#commands )) || _describe command commands
  _describe -o option options
}
if [[ $funcstack[1] == _monedula ]]; then
  _monedula "$@"
else
  compdef _monedula monedula %[1]s
fi
`

func completeInZsh(to io.Writer, all []completed) {
	var programs, commands, options, choices strings.Builder
	described := func(d cli.Declared) string { return quoted(d.Name + d.Command + ":" + d.Doc) }
	for _, c := range all {
		fmt.Fprintf(&programs, "    %s\n", quoted(c.Name+":"+strings.TrimSuffix(c.Summary, ".")))
		if len(c.commands) > 0 {
			fmt.Fprintf(&commands, "    %s) commands=(%s) ;;\n", c.Name, spaced(c.commands, described))
		}
		for _, command := range append([]cli.Declared{{}}, c.commands...) {
			key := c.Name + " " + command.Command
			declared := c.of(command.Command)
			option := func(d cli.Declared) string { return quoted(d.Name + ":" + d.Doc) }
			fmt.Fprintf(&options, "    %s) options=(%s) takes=(%s) ;;\n", quoted(key), spaced(declared, option), spaced(declared, takingArgument))
			for _, d := range declared {
				if d.Choices != nil {
					fmt.Fprintf(&choices, "    %s) compadd %s; return ;;\n", quoted(key+" "+d.Name), strings.Join(d.Choices, " "))
				}
			}
		}
	}
	fmt.Fprintf(to, zshScript, spaced(all, scriptOf), programs.String(), spaced(overall, described), commands.String(), options.String(), choices.String())
}

const fishHead = `# Completes the command lines of monedula and of Kafka's scripts in fish. Printed by: monedula completion fish

function __monedula_program # NAME: reports whether the command line runs this program
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test "$words[2]" = $argv[1]
end

function __monedula_first # reports whether the program is to be completed
    test (count (commandline -opc)) -eq 1
end

`

func completeInFish(to io.Writer, all []completed) {
	quoted := func(text string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
	}
	fmt.Fprint(to, fishHead)
	for _, c := range append(slices.Clone(all), completed{Tool: cli.Tool{Name: "help", Summary: "Print the help of a program"}}) {
		fmt.Fprintf(to, "complete -c monedula -f -n __monedula_first -a %s -d %s\n", c.Name, quoted(strings.TrimSuffix(c.Summary, ".")))
	}
	fmt.Fprintf(to, "complete -c monedula -n __monedula_first -l help -d 'List all programs'\ncomplete -c monedula -n __monedula_first -l version -d 'Print the version'\n")
	fmt.Fprintf(to, "complete -c monedula -f -n '__monedula_program help' -a %s\n", quoted(spaced(all, programOf)))
	for _, c := range all {
		fishProgram(to, c, "monedula", "__monedula_program "+c.Name, quoted)
		if c.script != "" {
			fishProgram(to, c, c.script, "", quoted)
		}
	}
}

// fishProgram completes the options and commands of a program. condition is when a command line of
// the executable runs it; "": always.
func fishProgram(to io.Writer, c completed, executable, condition string, quoted func(string) string) {
	line := func(d cli.Declared, conditions ...string) {
		fmt.Fprintf(to, "complete -c %s", executable)
		if conditions = slices.DeleteFunc(conditions, func(s string) bool { return s == "" }); len(conditions) > 0 {
			fmt.Fprintf(to, " -n %s", quoted(strings.Join(conditions, "; and ")))
		}
		kind, name := "-l", strings.TrimPrefix(d.Name, "--")
		if strings.HasPrefix(name, "-") { // such as -server
			kind, name = "-o", name[1:]
		}
		switch {
		case d.Name == "":
			fmt.Fprintf(to, " -f -a %s", d.Command)
		case d.Choices != nil:
			fmt.Fprintf(to, " %s %s -x -a %s", kind, name, quoted(strings.Join(d.Choices, " ")))
		case d.Takes:
			fmt.Fprintf(to, " %s %s -r", kind, name)
		default:
			fmt.Fprintf(to, " %s %s", kind, name)
		}
		fmt.Fprintf(to, " -d %s\n", quoted(d.Doc))
	}
	none := ""
	if len(c.commands) > 0 {
		none = "not __fish_seen_subcommand_from " + spaced(c.commands, commandOf)
	}
	for _, d := range c.of("") {
		line(d, condition, none)
	}
	for _, d := range c.commands {
		line(d, condition, none)
		for _, option := range c.of(d.Command) {
			line(option, condition, "__fish_seen_subcommand_from "+d.Command)
		}
	}
}
