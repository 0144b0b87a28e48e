// Command monedula contains the broker and the tools of Kafka in one binary. The scripts in bin/
// run it with the name of the program as the first argument.
//
//	main.go        chooses the program
//	help.go        the list of all programs, their help, and the version
//	completion.go  scripts that complete command lines in bash, zsh and fish
//	dev.go         monedula dev; devservers.go runs its servers
//	server.go      kafka-server-start
//	zookeeper.go   zookeeper-server-start
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/monedula/monedula/tools"
	"github.com/monedula/monedula/tools/cli"
)

func main() {
	// As in a JVM, a closed output does not end the process: writes fail, and the program handles
	// that or continues without them.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(&cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal:    isTerminal(os.Stdin) && isTerminal(os.Stdout),
		Progress:    isTerminal(os.Stderr),
		Watched:     isTerminal(os.Stdout),
		Interrupted: interrupted,
	}, os.Args[1:]))
}

// run runs the program that the first argument names and returns the exit code.
func run(env *cli.Env, args []string) int {
	if len(args) == 0 {
		printPrograms(env.Stderr)
		return 1
	}
	switch args[0] {
	case "-h", "--help", "help":
		return help(env, args[1:])
	case "--version":
		env.Println(version())
		return 0
	case runClass:
		return runByClass(env, args[1:])
	}
	program, found := find(args[0])
	if !found {
		return unknownProgram(env, args[0])
	}
	return program.RunExplained(env, args[1:])
}

// runClass is the argument that precedes a Java class name, in place of a program's name.
const runClass = "run-class"

// runByClass runs the program that replaces a Java class, for bin/kafka-run-class.sh.
func runByClass(env *cli.Env, args []string) int {
	if len(args) == 0 {
		printPrograms(env.Stderr)
		return 1
	}
	class := args[0]
	switch class {
	case tools.ServerClass:
		return serverTool.Run(env, args[1:])
	case tools.ZooKeeperServerClass:
		return zooKeeperTool.Run(env, args[1:])
	}
	if class == "--version" {
		env.Println(cli.Version)
		return 0
	}
	tool, found := tools.OfClass(class)
	if !found {
		fmt.Fprintln(env.Stderr, tools.UnknownClass(class))
		return 1
	}
	return tool.RunExplained(env, args[1:])
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
