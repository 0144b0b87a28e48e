// Package tools holds the command-line programs behind bin/: one file a tool,
// each with Kafka's options, output lines and exit codes.
package tools

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
)

// Version is the release of Apache Kafka whose tools these answer like; it is
// what --version prints.
const Version = "3.9.1"

// Env is what a tool sees of the world.
type Env struct {
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	Terminal bool // stdin is a terminal: prompts are shown
	Progress bool // stderr is a terminal: long work shows how far it is
	// Interrupted returns a channel that is closed when the user asks to stop
	// (Ctrl-C, SIGTERM). Only tools that end in order call it (untilSignal): from
	// then on the first signal does not end the process. nil: nobody will ask.
	Interrupted func() <-chan struct{}
}

// Tool is one program.
type Tool struct {
	Name    string // the script's name without .sh
	Summary string // one line
	// Run runs the program with its arguments and returns the exit code.
	Run func(env *Env, args []string) int
}

// All returns the tools by name.
func All() map[string]Tool {
	all := map[string]Tool{}
	for _, t := range []Tool{
		topicsTool, consoleProducerTool, consoleConsumerTool, getOffsetsTool,
		dumpLogTool, brokerAPIVersionsTool, clusterTool, serverStopTool,
		configsTool, reassignTool, leaderElectionTool, preferredElectionTool, deleteRecordsTool, logDirsTool,
		consumerGroupsTool, verifiableProducerTool, verifiableConsumerTool,
		producerPerfTool, consumerPerfTool, replicaVerificationTool,
	} {
		all[t.Name] = t
	}
	return all
}

// Names returns the names of all tools, sorted.
func Names() []string {
	var names []string
	for name := range All() {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (e *Env) printf(format string, args ...any)    { fmt.Fprintf(e.Stdout, format, args...) }
func (e *Env) println(args ...any)                  { fmt.Fprintln(e.Stdout, args...) }
func (e *Env) complainf(format string, args ...any) { fmt.Fprintf(e.Stderr, format+"\n", args...) }

// logger prints warnings and errors on stderr in Kafka's pattern, as the tools'
// logging of the original does.
func (e *Env) logger(name string) *logrus.Entry {
	l := kafkalog.New(e.Stderr)
	l.SetLevel(logrus.WarnLevel)
	return kafkalog.For(l, name)
}

// exception prints an error as the original prints a Java exception that ended
// the program: class, colon, text.
func exception(class, text string) string {
	if text == "" {
		return class
	}
	return class + ": " + text
}

// asException is err with the text that Java prints for it.
func asException(err error) error { return errors.New(exception(javaClass(err), err.Error())) }

// millis is a number of milliseconds as a duration, or the longest one.
func millis(ms int64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}
