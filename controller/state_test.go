package controller

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/golden"
)

// idleEvents are the types of events that Kafka does not measure.
var idleEvents = map[string]bool{"allocateProducerIDs": true, "statsRequest": true}

// Each type with a method process is an event. All of them must be named in stateOf, except those
// that Kafka does not measure.
func TestEachEventHasTheStateOfKafka(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	events, measured := map[string]bool{}, map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if fn.Name.Name == "process" && fn.Recv != nil {
				events[fn.Recv.List[0].Type.(*ast.Ident).Name] = true
			}
			if fn.Name.Name != "stateOf" {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if c, ok := n.(*ast.CaseClause); ok {
					for _, e := range c.List {
						measured[e.(*ast.Ident).Name] = true
					}
				}
				return true
			})
		}
	}
	if len(events) < 20 {
		t.Fatalf("only %d events found", len(events))
	}
	for name := range events {
		if measured[name] == idleEvents[name] {
			t.Errorf("%s: in stateOf: %t, measured by Kafka: %t", name, measured[name], !idleEvents[name])
		}
	}
	mbeans := string(golden.Read(t, "mbeans-zk-3.9.1.txt"))
	for _, s := range States() {
		if s.Timer() != "" && !strings.Contains(mbeans, "type=ControllerStats,name="+s.Timer()+" ") {
			t.Errorf("no real broker has the timer %s", s.Timer())
		}
	}
	for line := range strings.Lines(mbeans) {
		_, name, ok := strings.Cut(line, "type=ControllerStats,name=")
		if name, _, _ = strings.Cut(name, " "); !ok || !strings.HasSuffix(name, "RateAndTimeMs") {
			continue
		}
		found := false
		for _, s := range States() {
			found = found || s.Timer() == name
		}
		if !found {
			t.Errorf("no state has the timer %s", name)
		}
	}
}

func TestEventsAreObservedWithTheirTimeInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type observed struct {
			state        State
			queued, took time.Duration
		}
		var mu sync.Mutex // guards all
		var all []observed
		store := newFakeStore(func(string, ...any) {})
		c, err := New(Config{BrokerID: 0, InterBrokerListener: "PLAINTEXT", IBP: "3.9", Dial: refuse,
			Observe: func(s State, queued, took time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, observed{s, queued, took})
			}}, store)
		if err != nil {
			t.Fatal(err)
		}
		c.Start()
		synctest.Wait()
		all = nil
		busy := make(chan struct{})
		c.queue.Put(probe{run: func() { <-busy }})
		c.queue.Put(topicChange{})
		synctest.Wait()
		if c.QueueSize() != 1 || c.State() != Idle {
			t.Errorf("%d events in the queue, state %d", c.QueueSize(), c.State())
		}
		time.AfterFunc(3*time.Second, func() { close(busy) })
		c.queue.Put(statsRequest{func(Stats) {}})
		<-busy
		synctest.Wait()
		c.Stop()
		if len(all) != 3 || all[0].state != Idle || all[0].took < 3*time.Second || all[1].state != TopicChanging || all[1].queued < 3*time.Second ||
			all[2].state != ShuttingDown {
			t.Errorf("observed %+v", all)
		}
	})
}
