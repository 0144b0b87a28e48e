// Command monedula contains the broker and the tools of Kafka in one binary. The scripts in bin/
// run it with the name of the program as the first argument.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/monedula/monedula/tools"
	"github.com/monedula/monedula/tools/checkconfig"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/doctor"
	"github.com/monedula/monedula/tools/server"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if len(args) == 0 {
		usage()
		return 1
	}
	// As in a JVM, a closed output does not end the process: writes fail, and the program handles
	// that or continues without them.
	signal.Ignore(syscall.SIGPIPE)
	switch args[0] {
	case "-h", "--help":
		usage()
		return 0
	case "--version":
		fmt.Println(cli.Version)
		return 0
	case server.StartCommand:
		return startServer(args[1:])
	case server.ZooKeeperStartCommand:
		return startZooKeeper(args[1:])
	case server.UncleanableTool.Name:
		return runTool(server.UncleanableTool, args[1:])
	case checkconfig.Tool.Name:
		return runTool(checkconfig.Tool, args[1:])
	case doctor.Tool.Name:
		return runTool(doctor.Tool, args[1:])
	case runClass:
		return runByClass(args[1:])
	}
	tool, found := tools.All()[args[0]]
	if !found {
		tool, found = tools.Replaced(args[0])
	}
	if !found {
		fmt.Fprintf(os.Stderr, "monedula: unknown program %q\n\n", args[0])
		usage()
		return 1
	}
	return runTool(tool, args[1:])
}

// runClass is the argument that precedes a Java class name, in place of a tool's name.
const runClass = "run-class"

// runByClass runs the program that replaces a Java class, for bin/kafka-run-class.sh.
func runByClass(args []string) int {
	if len(args) == 0 {
		usage()
		return 1
	}
	class := args[0]
	switch class {
	case tools.ServerClass:
		return startServer(args[1:])
	case tools.ZooKeeperServerClass:
		return startZooKeeper(args[1:])
	}
	if class == "--version" {
		fmt.Println(cli.Version)
		return 0
	}
	tool, found := tools.OfClass(class)
	if !found {
		fmt.Fprintln(os.Stderr, tools.UnknownClass(class))
		return 1
	}
	return runTool(tool, args[1:])
}

func runTool(tool cli.Tool, args []string) int {
	return tool.RunExplained(&cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal:    isTerminal(os.Stdin) && isTerminal(os.Stdout),
		Progress:    isTerminal(os.Stderr),
		Interrupted: interrupted,
	}, args)
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: monedula PROGRAM [ARGUMENTS], where PROGRAM is one of:")
	fmt.Fprintf(os.Stderr, "  %-28s %s\n", server.StartCommand, "Starts a broker.")
	fmt.Fprintf(os.Stderr, "  %-28s %s\n", server.ZooKeeperStartCommand, "Starts an embedded ZooKeeper server of one node.")
	fmt.Fprintf(os.Stderr, "  %-28s %s\n", server.UncleanableTool.Name, server.UncleanableTool.Summary)
	fmt.Fprintf(os.Stderr, "  %-28s %s\n", checkconfig.Tool.Name, checkconfig.Tool.Summary)
	fmt.Fprintf(os.Stderr, "  %-28s %s\n", doctor.Tool.Name, doctor.Tool.Summary)
	all := tools.All()
	for _, name := range tools.Names() {
		fmt.Fprintf(os.Stderr, "  %-28s %s\n", name, all[name].Summary)
	}
}

// interrupted returns a channel that is closed at the first SIGINT or SIGTERM. A second signal ends
// the process immediately.
func interrupted() <-chan struct{} {
	signals, closed := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		close(closed)
		signal.Stop(signals)
	}()
	return closed
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
