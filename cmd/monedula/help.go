package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/monedula/monedula/internal/spelling"
	"github.com/monedula/monedula/tools"
	"github.com/monedula/monedula/tools/cli"
)

// programs returns all programs of the binary by subject, in the order of the help.
func programs() []tools.Subject {
	subjects := tools.Subjects()
	for i := range subjects {
		if subjects[i].Title == tools.Servers {
			subjects[i].Tools = append([]cli.Tool{devTool, serverTool, zooKeeperTool}, subjects[i].Tools...)
		}
	}
	return append(subjects, tools.Subject{Title: "Shells", Tools: []cli.Tool{completionTool()}})
}

// names returns the names of all programs, in the order of the help.
func names() (all []string) {
	for _, subject := range programs() {
		for _, program := range subject.Tools {
			all = append(all, program.Name)
		}
	}
	return all
}

// find returns the program with this name. For a program of Kafka that this binary does not have, it
// returns one that prints what replaces it.
func find(name string) (cli.Tool, bool) {
	for _, subject := range programs() {
		if i := slices.IndexFunc(subject.Tools, func(t cli.Tool) bool { return t.Name == name }); i >= 0 {
			return subject.Tools[i], true
		}
	}
	return tools.Replaced(name)
}

const usage = `Monedula is the classic, ZooKeeper-based Apache Kafka broker and its tools in one program.

usage: monedula PROGRAM [OPTIONS]
       monedula help PROGRAM
       monedula --version

The scripts bin/PROGRAM.sh run the same programs. These exist:
`

// printPrograms prints the list of all programs.
func printPrograms(to io.Writer) {
	width := 0
	for _, name := range names() {
		width = max(width, len(name))
	}
	fmt.Fprint(to, usage)
	for _, subject := range programs() {
		fmt.Fprintf(to, "\n%s\n", subject.Title)
		for _, program := range subject.Tools {
			fmt.Fprintf(to, "  %-*s  %s\n", width, program.Name, program.Summary)
		}
	}
}

// help prints the help of the programs that args name, or the list of all programs.
func help(env *cli.Env, args []string) int {
	if len(args) == 0 {
		printPrograms(env.Stdout)
		return 0
	}
	// Some programs print their help to stderr, as Kafka's do. Here it is what was asked for.
	all := &cli.Env{Stdin: env.Stdin, Stdout: env.Stdout, Stderr: env.Stdout}
	for _, name := range args {
		program, found := find(name)
		if !found {
			return unknownProgram(env, name)
		}
		if code := program.Run(all, []string{"--help"}); code != 0 {
			return code
		}
	}
	return 0
}

// unknownProgram reports that no program has this name. It returns the exit code.
func unknownProgram(env *cli.Env, name string) int {
	known := append(names(), tools.ReplacedNames()...)
	meant := ""
	for _, spelled := range []string{strings.TrimSuffix(name, ".sh"), "kafka-" + strings.TrimSuffix(name, ".sh")} {
		if meant == "" {
			meant = spelling.Nearest(spelled, known)
		}
	}
	question := ""
	if meant != "" {
		question = fmt.Sprintf("; did you mean %q?", meant)
	}
	env.Complainf("monedula: there is no program %q%s\nmonedula --help lists all programs.", name, question)
	return 1
}

// version returns the line of --version.
func version() string {
	line := "Monedula " + cli.Release + ", compatible with Apache Kafka " + cli.Version
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return line
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if commit := settings["vcs.revision"]; commit != "" {
		line += " (commit " + commit[:min(12, len(commit))]
		if date, _, ok := strings.Cut(settings["vcs.time"], "T"); ok {
			line += " of " + date
		}
		if settings["vcs.modified"] == "true" {
			line += ", with changes"
		}
		line += ")"
	}
	return line
}
