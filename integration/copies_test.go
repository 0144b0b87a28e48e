package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

const copyPartitions = 3

// copyRun is a cluster with an application that copies the numbers of the topic "in" to "out" in
// transactions. The transactional ids of the application begin with its group.
type copyRun struct {
	*exactlyOnce
	group     string
	start     func() *testkit.Process // starts one more instance of the application
	instances []*testkit.Process
	feed      *numberFeed
	results   *committedReader
}

// copyFault is something that happens to the application or to its brokers.
type copyFault struct {
	name   string
	strike func()
}

func newCopyRun(t *testing.T, group string, kinds ...string) *copyRun {
	t.Helper()
	c := &copyRun{exactlyOnce: newExactlyOnce(t, kinds, group, map[string]int32{"in": copyPartitions, "out": copyPartitions}), group: group}
	c.feed = startNumberFeed(t, c.patient(), []string{"in"}, 100)
	c.results = readCommittedTopics(t, c.patient(), "out")
	return c
}

func (c *copyRun) startInstance() { c.instances = append(c.instances, c.start()) }

// killInstance kills the oldest instance and starts another one.
func (c *copyRun) killInstance() {
	c.t.Helper()
	c.instances[0].Kill()
	c.instances = c.instances[1:]
	c.startInstance()
}

// faults returns the faults that every application has to survive.
func (c *copyRun) faults() []copyFault {
	return []copyFault{
		{"kill -9 of the transaction coordinator", func() { c.killBroker(c.transactionCoordinator()) }},
		{"kill -9 of an instance", c.killInstance},
		{"a move of all coordinators", func() { c.moveCoordinators() }},
		{"kill -9 of an instance and of the transaction coordinator", func() {
			m := c.transactionCoordinator()
			m.process().Kill()
			c.killInstance()
			c.restart(m)
		}},
		{"a leader of the copies stopped cleanly", func() { c.stopBroker(c.leaderOf("out", 0)) }},
		{"the transaction coordinator asleep for longer than its session", func() { c.pauseBroker(c.transactionCoordinator()) }},
		{"kill -9 of the controller", func() { c.killBroker(c.controller()) }},
		{"kill -9 of each broker in turn", func() {
			for _, m := range c.members {
				c.killBroker(m)
				c.awaitAllInSync()
			}
		}},
	}
}

// play lets the faults strike one after the other, stops the application, and compares the copies
// with the input.
func (c *copyRun) play(faults []copyFault) {
	log := timedLog(c.t)
	c.awaitProgress()
	for _, fault := range faults {
		fault.strike()
		c.awaitProgress()
		c.awaitAllInSync()
		log("%s: %d inputs, %d copies", fault.name, c.feed.count(), c.results.count())
	}
	n := c.feed.stop()
	c.results.await(c.t, n)
	// Flink commits its offsets after its transactions, and may stop before.
	within(time.Minute, func() bool { return committedOffsets(c.t, c.members[0].address(), c.group, "in") == int64(n) })
	for _, p := range c.instances {
		if !p.Stop(2*time.Minute) || !strings.Contains(p.Output(), "stopped ") {
			c.t.Errorf("%s did not stop:\n%s", p.Name, ending(p.Output()))
		}
	}
	c.check("the reader during the faults", c.results)
	for _, m := range c.members {
		c.checkLogs(m, n)
		if sum := committedOffsets(c.t, m.address(), c.group, "in"); sum != int64(n) {
			c.t.Errorf("%s: the application has committed %d of %d offsets", m, sum, n)
		}
		if openTransaction(c.t, m, c.prefix) {
			c.t.Errorf("%s: the application has left an open transaction", m)
		}
	}
	c.awaitSameBytes("out", copyPartitions, c.members...)
	c.checkHealthy()
	log("verified %d copies", n)
}

// awaitProgress waits until the next inputs have been copied, enough to have some in each partition.
func (c *copyRun) awaitProgress() {
	c.t.Helper()
	id := c.feed.count()
	testkit.Eventually(c.t, 4*time.Minute, fmt.Sprintf("the copies of the inputs from %d", id), func() bool {
		checkRunning(c.t, c.instances...)
		return c.results.hasNumbers("out", id, id+20)
	})
}

// check compares the copies with the input: each number once.
func (c *copyRun) check(who string, r *committedReader) {
	c.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	differ := 0
	for id := range c.feed.count() {
		want := []string{fmt.Sprintf("copy of %d", id)}
		if difference := firstDifference(r.values["out"][fmt.Sprint(id)], want); difference != "" {
			if differ++; differ <= 3 {
				c.t.Errorf("%s: number %d: %s", who, id, difference)
			}
		}
	}
	if r.total != c.feed.count() || differ > 3 {
		c.t.Errorf("%s: %d records, want %d; %d numbers differ", who, r.total, c.feed.count(), differ)
	}
}

// checkLogs reads the copies from a broker. Those of one partition of the input must be in its order
// in each partition.
func (c *copyRun) checkLogs(m *member, n int) {
	c.t.Helper()
	position := map[string][2]int{} // the partition and the index in it of each input
	for p, records := range readCommittedRecords(c.t, m, "in", copyPartitions) {
		for i, r := range records {
			position[string(r.Key)] = [2]int{p, i}
		}
	}
	r := &committedReader{values: map[string]map[string][]string{"out": {}}}
	for p, records := range readCommittedRecords(c.t, m, "out", copyPartitions) {
		latest := [copyPartitions]int{-1, -1, -1}
		for _, record := range records {
			r.add(record)
			from, at := position[string(record.Key)][0], position[string(record.Key)][1]
			if at <= latest[from] {
				c.t.Errorf("out-%d of %s has record %d of in-%d after record %d", p, m, at, from, latest[from])
			}
			latest[from] = at
		}
	}
	c.check("a reader of "+m.String(), r)
}
