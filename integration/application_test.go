package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// application is a cluster with an application that processes the numbers of a feed in transactions.
type application struct {
	*exactlyOnce
	start     func() *testkit.Process // starts one more instance
	instances []*testkit.Process
	feed      *numberFeed
	results   *committedReader
	output    string        // the topic with one result for each number
	patience  time.Duration // how long the first results after a fault may take
}

// applicationFault is something that happens to an application or to its brokers.
type applicationFault struct {
	name   string
	strike func()
}

func (a *application) String() string {
	return fmt.Sprintf("%d inputs, %d results", a.feed.count(), a.results.count())
}

func (a *application) startInstance() { a.instances = append(a.instances, a.start()) }

// killInstance kills the oldest instance and starts another one.
func (a *application) killInstance() {
	a.t.Helper()
	a.instances[0].Kill()
	a.instances = a.instances[1:]
	a.startInstance()
}

// killInstanceAndCoordinator kills an instance, and with it the broker that is to abort its
// transactions.
func (a *application) killInstanceAndCoordinator() {
	a.t.Helper()
	m := a.transactionCoordinator()
	m.process().Kill()
	a.killInstance()
	a.restart(m)
}

// faults returns the faults that every application has to survive.
func (a *application) faults() []applicationFault {
	return []applicationFault{
		{"kill -9 of the transaction coordinator", func() { a.killBroker(a.transactionCoordinator()) }},
		{"kill -9 of an instance", a.killInstance},
		{"a move of all coordinators", a.moveCoordinators},
		{"kill -9 of an instance and of the transaction coordinator", a.killInstanceAndCoordinator},
		{"a leader of the results stopped cleanly", func() { a.stopBroker(a.leaderOf(a.output, 0)) }},
		{"the transaction coordinator asleep for longer than its session", func() { a.pauseBroker(a.transactionCoordinator()) }},
		{"kill -9 of the controller", func() { a.killBroker(a.controller()) }},
		{"kill -9 of each broker in turn", func() {
			for _, m := range a.members {
				a.killBroker(m)
				a.awaitAllInSync()
			}
		}},
	}
}

// survive lets the faults strike one after the other.
func (a *application) survive(faults []applicationFault, log func(string, ...any)) {
	a.t.Helper()
	for _, fault := range faults {
		fault.strike()
		a.awaitProgress()
		a.awaitAllInSync()
		log("%s: %s", fault.name, a)
	}
}

// awaitProgress waits until the next inputs have been processed, enough to have some in each
// partition.
func (a *application) awaitProgress() {
	a.t.Helper()
	id := a.feed.count()
	testkit.Eventually(a.t, a.patience, fmt.Sprintf("the results of the inputs from %d", id), func() bool {
		checkRunning(a.t, a.instances...)
		return a.results.hasNumbers(a.output, id, id+20)
	})
}

// stopInstances stops all instances. Each must end with a line that contains the text.
func (a *application) stopInstances(limit time.Duration, text string) {
	a.t.Helper()
	for _, p := range a.instances {
		if !p.Stop(limit) || !strings.Contains(p.Output(), text) {
			a.t.Errorf("%s did not stop:\n%s", p.Name, ending(p.Output()))
		}
	}
}

// compare compares what has been read with the values that each key of each topic must have.
func (r *committedReader) compare(t testing.TB, who string, want map[string]map[string][]string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, topic := range slices.Sorted(maps.Keys(want)) {
		differ := 0
		keys := maps.Clone(want[topic])
		maps.Copy(keys, r.values[topic])
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if difference := firstDifference(r.values[topic][key], want[topic][key]); difference != "" {
				if differ++; differ <= 3 {
					t.Errorf("%s: %s of key %s: %s", who, topic, key, difference)
				}
			}
		}
		if differ > 3 {
			t.Errorf("%s: %s: %d keys differ", who, topic, differ)
		}
	}
}
