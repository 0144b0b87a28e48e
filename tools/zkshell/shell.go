// Package zkshell is a command-line client of ZooKeeper with the commands, output and exit codes of
// Apache ZooKeeper's shell: bin/zkCli.sh, and bin/zookeeper-shell.sh of Kafka.
//
//	shell.go        the program: one command, or commands from standard input
//	terminal.go     editing, history and completion on a terminal
//	commandline.go  arguments and options
//	commands.go     the table of commands
//	nodes.go, acl.go, quota.go, watch.go, ensemble.go  the commands
//	session.go      a session: requests, events, connect strings and paths
//	connection.go   its connections
//	watches.go      its watches
//	codes.go        errors of requests
//
// Apache's texts are its contract with scripts; testdata has transcripts of the real shell.
package zkshell

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/magiconair/properties"

	"github.com/monedula/monedula/tools/cli"
)

// Tool is the shell with the name of ZooKeeper's script.
var Tool = cli.Tool{Name: "zkCli", Summary: "Reads and changes nodes of ZooKeeper.",
	Run: func(env *cli.Env, args []string) int { return run(env, args, zooKeeperUsage) }}

// KafkaTool is the shell with the name of Kafka's script. It takes the same arguments, and a file with
// settings for TLS.
var KafkaTool = cli.Tool{Name: "zookeeper-shell", Summary: "Reads and changes nodes of ZooKeeper, with the options of Kafka's script.",
	Run: func(env *cli.Env, args []string) int { return run(env, args, kafkaUsage) }}

// The first lines of the list of commands.
const (
	zooKeeperUsage = "ZooKeeper -server host:port -client-configuration properties-file cmd args"
	kafkaUsage     = "ZooKeeper -server host:port [-zk-tls-config-file <file>] cmd args"
)

const help = `zkCli.sh [-server host:port[,host:port...][/path]] [-timeout ms] [-r] [-waitforconnection] [command [arguments]]
Runs a command of ZooKeeper's command-line client, or without a command those from standard input.
  -server HOSTS       ZooKeeper servers; a path after them becomes the root (default: localhost:2181)
  -timeout MS         the session timeout (default: 30000)
  -r                  also use a server that has lost its ensemble, for reading
  -waitforconnection  run the command only after the session has been established
Commands:`

// shell is a running program.
type shell struct {
	env      *cli.Env
	settings settings
	session  *session
	server   string // the connect string, for the prompt
	usage    string // the first line of the list of commands

	history []string // the lines, by number
	last    []string // the latest command
	code    int      // the exit code
	ended   bool

	mu           sync.Mutex // guards the fields below and output
	out, errs    io.Writer
	printWatches bool
	up           chan struct{} // closed at the first connection; nil: not awaited
}

// commandError is the error of a command. The shell prints it and continues.
type commandError struct {
	text string
	exit int // the exit code
}

func (e commandError) Error() string { return e.text }

// run runs the shell and returns the exit code.
func run(env *cli.Env, args []string, usage string) int {
	if env.Declare(cli.Declared{Name: "-server", Takes: true, Doc: "ZooKeeper servers: host:port,host:port/chroot."},
		cli.Declared{Name: "-timeout", Takes: true, Doc: "The session timeout in ms."},
		cli.Declared{Name: "-r", Doc: "Also use a server that has lost its ensemble, for reading."},
		cli.Declared{Name: "-waitforconnection", Doc: "Run the command only after the session has been established."}) {
		return 0
	}
	if len(args) > 0 {
		switch args[0] {
		case "-h", "-help", "--help":
			env.Println(help)
			env.Printf("%s", usageLines())
			return 0
		case "--version":
			env.Println(cli.Version)
			return 0
		}
	}
	wanted, err := parseSettings(args)
	sh := &shell{env: env, settings: wanted, usage: usage, out: env.Stdout, errs: env.Stderr, printWatches: true}
	var bad configurationError
	if wrong, is := err.(commandError); is {
		sh.complain(wrong.text)
		err = nil
	}
	if err == nil {
		err = sh.start()
	}
	switch {
	case errors.As(err, &bad):
		env.Complainf("%s", bad.Error())
		return exitConfiguration
	case err != nil:
		env.Uncaught(err)
		return 1
	}
	return sh.code
}

func (sh *shell) start() error {
	if err := checkTLS(sh.settings.tlsFile); err != nil {
		return err
	}
	sh.println("Connecting to " + sh.settings.server)
	if err := checkConfiguration(sh.settings.configuration); err != nil {
		return err
	}
	if err := sh.connect(sh.settings.server); err != nil {
		return err
	}
	defer func() { sh.session.abandon() }()
	if !sh.interactive() {
		return sh.execute(sh.settings.command)
	}
	sh.println("Welcome to ZooKeeper!")
	if t := newTerminal(sh); t != nil {
		sh.println("JLine support is enabled")
		sh.session.begin()
		return t.run()
	}
	sh.println("JLine support is disabled")
	sh.session.begin()
	lines := bufio.NewReader(sh.env.Stdin)
	for !sh.ended {
		line, err := lines.ReadString('\n')
		if line == "" && err != nil {
			return nil
		}
		if err := sh.line(trimEnd(line)); err != nil {
			return err
		}
	}
	return nil
}

// interactive reports whether the commands come from standard input.
func (sh *shell) interactive() bool { return len(sh.settings.command) == 0 }

// trimEnd removes the end of a line.
func trimEnd(line string) string {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}

// configurationError is the error of a file with a client configuration.
type configurationError struct{ error }

const exitConfiguration = 2 // the exit code of a configurationError

// checkConfiguration refuses a client configuration that asks for what the shell cannot do. The name
// of the file may be empty.
func checkConfiguration(file string) error {
	if file == "" {
		return nil
	}
	p, err := readProperties(file)
	switch {
	case err != nil:
		if whole, absErr := filepath.Abs(file); absErr == nil {
			file = whole
		}
		return configurationError{fmt.Errorf("org.apache.zookeeper.server.quorum.QuorumPeerConfig$ConfigException: Error while processing %s", file)}
	case p.GetBool("zookeeper.client.secure", false):
		return configurationError{fmt.Errorf("%s: zookeeper.client.secure is true, but %s", file, noTLS)}
	}
	return nil
}

// checkTLS refuses the file of the option -zk-tls-config-file if it asks for TLS. The name may be
// empty.
func checkTLS(file string) error {
	if file == "" {
		return nil
	}
	p, err := readProperties(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return cli.NewJavaError("java.nio.file.NoSuchFileException", file)
	case err != nil:
		return err
	case p.GetBool("zookeeper.ssl.client.enable", false):
		return cli.IllegalArgument(fmt.Sprintf("%s: zookeeper.ssl.client.enable is true, but %s", file, noTLS))
	}
	return nil
}

const noTLS = "this shell has no TLS: connect to a port of ZooKeeper without TLS, or use zkCli.sh of Apache ZooKeeper"

func readProperties(file string) (*properties.Properties, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	return loader.LoadBytes(text)
}

// connect ends the session and starts one with other servers.
func (sh *shell) connect(servers string) error {
	if sh.session != nil && sh.session.alive() {
		sh.session.close()
	}
	sh.server = servers
	timeout, err := strconv.ParseInt(sh.settings.timeout, 10, 32)
	if err != nil {
		return notANumber(sh.settings.timeout)
	}
	to, err := parseTarget(servers)
	if err != nil {
		return cli.IllegalArgument(err.Error())
	}
	log := sh.env.Logger("org.apache.zookeeper.ClientCnxn")
	sh.session = newSession(to, int32(timeout), sh.settings.readOnly, sh.happened, log.Warnf)
	if !sh.settings.wait {
		return nil
	}
	up := make(chan struct{})
	sh.mu.Lock()
	sh.up = up
	sh.mu.Unlock()
	sh.session.begin()
	select {
	case <-up:
		return nil
	case <-time.After(time.Duration(timeout) * time.Millisecond):
		sh.session.close()
		return cli.JavaError{Class: "java.io.IOException", Text: "org.apache.zookeeper.KeeperException$ConnectionLossException: " + failure{code: connectionLoss}.Error()}
	}
}

// notANumber returns the exception of Java's parser of numbers.
func notANumber(text string) error {
	return cli.JavaError{Class: "java.lang.NumberFormatException", Text: fmt.Sprintf("For input string: %q", text)}
}

// happened prints an event. The session calls it.
func (sh *shell) happened(e event) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.printWatches {
		fmt.Fprintf(sh.out, "\nWATCHER::\n\n%s\n", e)
	}
	if sh.up != nil && e.state == "SyncConnected" {
		close(sh.up)
		sh.up = nil
	}
}

func (sh *shell) println(text string) { sh.print(text + "\n") }

func (sh *shell) print(text string) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	_, _ = io.WriteString(sh.out, text)
}

// complain prints a line to stderr.
func (sh *shell) complain(text string) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	fmt.Fprintln(sh.errs, text)
}

// prompt returns the prompt of the next line.
func (sh *shell) prompt() string {
	return fmt.Sprintf("[zk: %s(%s) %d] ", sh.server, sh.session.State(), len(sh.history))
}

// line runs a line. The error ends the shell.
func (sh *shell) line(line string) error {
	if line == "" {
		return nil
	}
	if args := splitLine(line); len(args) > 0 { // otherwise the latest command runs again, as in Apache's shell
		sh.last = args
	}
	number := len(sh.history)
	sh.history = append(sh.history, line)
	err := sh.execute(sh.last)
	sh.history = sh.history[:number+1]
	return err
}

// execute runs a command and prints its error. An error that it returns ends the shell.
func (sh *shell) execute(args []string) error {
	err := sh.dispatch(args)
	var failed commandError
	switch {
	case sh.ended: // quit keeps the exit code of the command before
	case err == nil:
		sh.code = 0
	case errors.As(err, &failed):
		sh.code = failed.exit
		sh.complain(failed.text)
	default:
		return err
	}
	return nil
}
