// Command monedula is Kafka's broker and its tools in one binary; the scripts
// in bin/ call it with the name of what to be.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/monedula/monedula/tools"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if len(args) == 0 {
		usage()
		return 1
	}
	// As in a JVM, a reader of the output that goes away ends nothing by itself:
	// writes fail, and the program ends in order or continues without them.
	signal.Ignore(syscall.SIGPIPE)
	switch args[0] {
	case "-h", "--help":
		usage()
		return 0
	case "--version":
		fmt.Println(tools.Version)
		return 0
	case tools.ServerStart:
		return startServer(args[1:])
	case runClass:
		return runByClass(args[1:])
	}
	tool, found := tools.All()[args[0]]
	if !found {
		fmt.Fprintf(os.Stderr, "monedula: there is no program %q\n\n", args[0])
		usage()
		return 1
	}
	return runTool(tool, args[1:])
}

// runClass is the argument before the name of a Java class, in place of a tool's.
const runClass = "run-class"

// runByClass runs what answers for a Java class, as bin/kafka-run-class.sh asks.
func runByClass(args []string) int {
	if len(args) == 0 {
		usage()
		return 1
	}
	class := args[0]
	if class == tools.ServerClass {
		return startServer(args[1:])
	}
	if class == "--version" {
		fmt.Println(tools.Version)
		return 0
	}
	tool, found := tools.OfClass(class)
	if !found {
		fmt.Fprintln(os.Stderr, tools.UnknownClass(class))
		return 1
	}
	return runTool(tool, args[1:])
}

func runTool(tool tools.Tool, args []string) int {
	return tool.Run(&tools.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal:    isTerminal(os.Stdin) && isTerminal(os.Stdout),
		Progress:    isTerminal(os.Stderr),
		Interrupted: interrupted,
	}, args)
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: monedula PROGRAM [ARGUMENTS], where PROGRAM is one of:")
	fmt.Fprintf(os.Stderr, "  %-28s %s\n", tools.ServerStart, "Starts a broker.")
	all := tools.All()
	for _, name := range tools.Names() {
		fmt.Fprintf(os.Stderr, "  %-28s %s\n", name, all[name].Summary)
	}
}

// interrupted is closed at the first SIGINT or SIGTERM; a second one ends the
// process at once.
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
