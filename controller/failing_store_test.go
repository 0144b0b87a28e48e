package controller

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/zkstore"
)

// The test of this file plays the commands of the scenarios again, and fails one operation of the
// store each time.

// storeCall is an operation of the store, as called while a scenario was played.
type storeCall struct {
	file   string
	number int // of the operation in its scenario
	op     string
	fenced bool
	event  int
	path   []string // the calls from the event to the operation, outermost first
	rest   []int    // the number of operations of the event after the return from the call path[i]
	lines  int      // the number of lines that the event printed later
}

func (c *storeCall) String() string {
	return fmt.Sprintf("%s/%d %s in %s", c.file, c.number, c.op, strings.Join(c.path, " > "))
}

// storeFailure is an error that fails a storeCall.
type storeFailure struct {
	name  string
	cause error // nil for an error that does not end the event
}

var storeFailures = []storeFailure{{"lost", nil}, {"expired", zkstore.ErrSessionExpired}, {"moved", zkstore.ErrControllerMoved}}

// An error of the store is never ignored: the log has it. After an error that ends the event, no
// further operation of the store begins, no request is sent, and no caller's request succeeds.
func TestAFailedOperationOfTheStoreIsNotIgnored(t *testing.T) {
	commands := scenarioCommands(t)
	calls := coveringCalls(t, commands)
	for _, failure := range storeFailures {
		t.Run(failure.name, func(t *testing.T) {
			for _, call := range calls {
				if failure.cause != zkstore.ErrControllerMoved || call.fenced {
					failCall(t, commands[call.file], call, failure)
				}
			}
		})
	}
}

// scenarioCommands returns the commands of each scenario.
func scenarioCommands(t *testing.T) map[string][]string {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	commands := map[string][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if line == "----" {
				commands[file] = append(commands[file], lines[i-1])
			}
		}
	}
	return commands
}

// coveringCalls plays all scenarios and returns a selection of their calls of the store: for each
// place of the code from which the store is called, directly or not, the call after which the event
// has the most work left once that place is reached again.
func coveringCalls(t *testing.T, commands map[string][]string) []*storeCall {
	best := map[string]*storeCall{}
	rest := map[string]int{}
	for _, file := range slices.Sorted(maps.Keys(commands)) {
		for _, call := range recordCalls(t, file, commands[file]) {
			for level := range call.path {
				place := fmt.Sprint(call.path[:level+1], level == len(call.path)-1)
				if after := 1 + 100*call.rest[level] + call.lines; after > rest[place] {
					best[place], rest[place] = call, after
				}
			}
		}
	}
	selected := map[*storeCall]bool{}
	for _, call := range best {
		selected[call] = true
	}
	return slices.SortedFunc(maps.Keys(selected), func(a, b *storeCall) int { return strings.Compare(a.String(), b.String()) })
}

func recordCalls(t *testing.T, file string, commands []string) []*storeCall {
	var calls []*storeCall
	events, first := 0, 0
	var lines []int // printed before each call of the event
	s := &scenario{t: t}
	commands = s.prepare(commands)
	s.h.store.intercept = func(op string, fenced bool) error {
		path := callPath()
		calls = append(calls, &storeCall{file: file, number: len(calls), op: op, fenced: fenced, event: events, path: path, rest: make([]int, len(path))})
		lines = append(lines, len(s.h.lines))
		return nil
	}
	s.h.stepped = func(Event) {
		of := calls[first:]
		for i, call := range of {
			call.lines = len(s.h.lines) - lines[i]
			for level := range call.path {
				for _, later := range of[i+1:] {
					if len(later.path) <= level || !slices.Equal(later.path[:level+1], call.path[:level+1]) {
						call.rest[level]++
					}
				}
			}
		}
		events, first, lines = events+1, len(calls), nil
	}
	s.play(commands...)
	return calls
}

// prepare creates the harness for a scenario, which its first command may configure. It returns the
// other commands.
func (s *scenario) prepare(commands []string) []string {
	if first := strings.Fields(commands[0]); first[0] == "config" {
		s.do(first)
		return commands[1:]
	}
	s.h = newHarness(s.t, nil)
	return commands
}

// callPath returns the calls from Machine.Step to the store, outermost first.
func callPath() []string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var path []string
	for {
		frame, more := frames.Next()
		name := frame.Function[strings.LastIndexByte(frame.Function, '/')+1:]
		if strings.HasSuffix(name, ".Step") || !more {
			break
		}
		if !strings.HasSuffix(frame.File, "_test.go") {
			path = append(path, fmt.Sprintf("%s:%d", strings.TrimPrefix(name, "controller."), frame.Line))
		}
	}
	slices.Reverse(path)
	return path
}

func failCall(t *testing.T, commands []string, call *storeCall, failure storeFailure) {
	var later []string // operations of the event after the failure
	failed, done := false, false
	text := fmt.Sprintf("operation %d failed", call.number)
	lines, logged := 0, 0
	s := &scenario{t: t}
	commands = s.prepare(commands)
	store, calls := s.h.store, 0
	store.intercept = func(op string, fenced bool) error {
		calls++
		if failed {
			later = append(later, op)
		}
		if calls != call.number+1 {
			return nil
		}
		failed, lines, logged = true, len(s.h.lines), s.h.log.Len()
		switch failure.cause {
		case zkstore.ErrSessionExpired:
			store.expired = true
		case zkstore.ErrControllerMoved:
			store.epochVersion++
			store.controller = &zkstore.ControllerNode{ID: 99}
		case nil:
			return fmt.Errorf("%s", text)
		}
		return fmt.Errorf("%s: %w", text, failure.cause)
	}
	s.h.stepped = func(Event) {
		if failed && !done {
			done = true
			checkFailedEvent(t, s.h, call, failure, later, s.h.lines[lines:], s.h.log.String()[logged:], text)
			checkKnownStates(t, s.h, call)
		}
	}
	for _, command := range commands {
		if s.run(strings.Fields(command)); done {
			return
		}
	}
	t.Errorf("%s: not called again", call)
}

func checkFailedEvent(t *testing.T, h *harness, call *storeCall, failure storeFailure, later, lines []string, log, text string) {
	lost := failure.cause == zkstore.ErrControllerMoved && strings.Contains(log, "was elected as controller instead of")
	if !strings.Contains(log, text) && !lost {
		t.Errorf("%s: the log does not have the error:\n%s", call, log)
	}
	if failure.cause == nil {
		return
	}
	for _, op := range later {
		if op != "Controller" { // whether this broker is still the controller
			t.Errorf("%s: later in the event: %s", call, op)
		}
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "answer") || strings.Contains(line, "NONE") {
			t.Errorf("%s: later in the event: %s", call, line)
		}
	}
	if failure.cause == zkstore.ErrControllerMoved && h.m.Active() {
		t.Errorf("%s: still active", call)
	}
}

// checkKnownStates checks that the controller does not take a state for written that ZooKeeper does
// not have.
func checkKnownStates(t *testing.T, h *harness, call *storeCall) {
	h.m.c.each(func(tp TopicPartition, p *partitionContext) {
		stored, exists := h.store.states[tp]
		if known := p.leadership; known != nil && (!exists || known.Version > stored.Version ||
			known.Version == stored.Version && stateLine(tp, *known) != stateLine(tp, stored)) {
			t.Errorf("%s: the controller has the state %s, ZooKeeper %s", call, stateLine(tp, *known), stateLine(tp, stored))
		}
	})
}
