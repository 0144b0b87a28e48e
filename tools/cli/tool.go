// Package cli contains the parts that the command lines of all tools share: options and help, error
// messages and exit codes, signals, and output in the formats of Java.
package cli

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
)

// Version is the release of Apache Kafka whose tools these programs replace. It is printed by
// --version.
const Version = "3.9.1"

// Env is the environment of a tool.
type Env struct {
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	Terminal bool // stdin is a terminal: prompts are shown
	Progress bool // stderr is a terminal: long operations show their progress
	Watched  bool // stdout is a terminal: what a tool prints shows its progress by itself
	// Interrupted returns a channel that is closed when the user asks the tool to stop (Ctrl-C,
	// SIGTERM). Once it has been called, the first signal no longer ends the process, so only tools
	// that shut down cleanly call it, through UntilSignal. nil: no interruption.
	Interrupted func() <-chan struct{}

	attempts attempts       // see RunExplained
	declare  func(Declared) // see DeclaredOptions; nil: the tool runs
}

// Tool is one program.
type Tool struct {
	Name    string // the script's name without .sh
	Summary string // one line
	// Run runs the program with its arguments and returns the exit code.
	Run func(env *Env, args []string) int
}

// Printf prints to stdout.
func (e *Env) Printf(format string, args ...any) { fmt.Fprintf(e.Stdout, format, args...) }

// Println prints a line to stdout.
func (e *Env) Println(args ...any) { fmt.Fprintln(e.Stdout, args...) }

// Complainf prints a line to stderr.
func (e *Env) Complainf(format string, args ...any) { fmt.Fprintf(e.Stderr, format+"\n", args...) }

// Logger returns a logger that prints warnings and errors to stderr in the format of Kafka's tools.
func (e *Env) Logger(name string) *logrus.Entry {
	l := kafkalog.New(e.Stderr)
	l.SetLevel(logrus.WarnLevel)
	return kafkalog.For(l, name)
}

// Millis converts milliseconds to a duration. It returns the longest one if ms does not fit.
func Millis(ms int64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}
