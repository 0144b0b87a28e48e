// Package server implements kafka-server-stop.
package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/monedula/monedula/tools/cli"
)

// StopTool is kafka-server-stop.
var StopTool = cli.Tool{
	Name:    "kafka-server-stop",
	Summary: "Stops the brokers of this program that run on this machine.",
	Run:     runServerStop,
}

// StartCommand is the subcommand that runs a broker. runServerStop finds running brokers by this
// name.
const StartCommand = "kafka-server-start"

// DevCommand is the subcommand that runs ZooKeeper and brokers in one process. runServerStop stops it
// too, unless it is given a properties file.
const DevCommand = "dev"

// ZooKeeperStartCommand is the subcommand that runs the embedded ZooKeeper server.
const ZooKeeperStartCommand = "zookeeper-server-start"

// runServerStop sends SIGTERM (or $SIGNAL) to our brokers: to all of them, or to the one that was
// started with the given properties file. It does not wait for them to exit.
func runServerStop(env *cli.Env, args []string) int {
	if env.Declare() {
		return 0
	}
	wanted := ""
	for _, arg := range args {
		switch {
		case arg == "-h" || arg == "--help":
			env.Println("USAGE: kafka-server-stop.sh [server.properties]")
			return 0
		case arg == "--version":
			env.Println(cli.Version)
			return 0
		case strings.HasPrefix(arg, "-"):
			continue // --process-role and --node-id have no meaning here
		}
		path, err := canonical(arg)
		if err != nil {
			env.Complainf("kafka-server-stop: the properties file %s cannot be found: %v", arg, err)
			return 1
		}
		wanted = path
	}
	signal := syscall.SIGTERM
	if name := os.Getenv("SIGNAL"); name == "KILL" || name == "9" {
		signal = syscall.SIGKILL
	} else if name == "INT" || name == "2" {
		signal = syscall.SIGINT
	}
	stopped := 0
	for _, b := range runningBrokers() {
		if wanted != "" && b.file != wanted {
			continue
		}
		if err := syscall.Kill(b.pid, signal); err != nil {
			env.Complainf("kafka-server-stop: process %d cannot be stopped: %v", b.pid, err)
			return 1
		}
		stopped++
	}
	if stopped == 0 {
		env.Println("No kafka server to stop")
		return 1
	}
	return 0
}

type runningBroker struct {
	pid  int
	file string // its properties file, with all symbolic links resolved; "": it has none
}

// runningBrokers finds the brokers of this program in the process table.
func runningBrokers() []runningBroker {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var brokers []runningBroker
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		args := strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
		if len(args) < 2 || filepath.Base(args[0]) != "monedula" {
			continue
		}
		if args[1] == DevCommand {
			brokers = append(brokers, runningBroker{pid, ""})
		}
		if len(args) < 3 || args[1] != StartCommand {
			continue
		}
		file := args[2]
		if !filepath.IsAbs(file) {
			if cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd")); err == nil {
				file = filepath.Join(cwd, file)
			}
		}
		if resolved, err := filepath.EvalSymlinks(file); err == nil {
			file = resolved
		}
		brokers = append(brokers, runningBroker{pid, file})
	}
	return brokers
}

func canonical(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}
