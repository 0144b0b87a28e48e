package integration

import (
	"fmt"
	"testing"
	"time"
)

const copyPartitions = 3

// copyRun is an application that copies the numbers of the topic "in" to "out". Its transactional ids
// begin with its group.
type copyRun struct {
	*application
	group string
}

func newCopyRun(t *testing.T, group string, kinds ...string) *copyRun {
	t.Helper()
	e := newExactlyOnce(t, kinds, group, map[string]int32{"in": copyPartitions, "out": copyPartitions})
	return &copyRun{group: group, application: &application{
		exactlyOnce: e,
		feed:        startNumberFeed(t, e.patient(), []string{"in"}, 100),
		results:     readCommittedTopics(t, e.patient(), "out"),
		output:      "out",
		patience:    4 * time.Minute,
	}}
}

// play lets the faults strike one after the other, stops the application, and compares the copies
// with the input.
func (c *copyRun) play(faults []applicationFault) {
	log := timedLog(c.t)
	c.awaitProgress()
	c.survive(faults, log)
	n := c.feed.stop()
	c.results.await(c.t, n)
	// Flink commits its offsets after its transactions, and may stop before.
	within(time.Minute, func() bool { return committedOffsets(c.t, c.members[0].address(), c.group, "in") == int64(n) })
	c.stopInstances(2*time.Minute, "stopped ")
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

// check compares the copies with the input: each number once.
func (c *copyRun) check(who string, r *committedReader) {
	c.t.Helper()
	want := map[string]map[string][]string{"out": {}}
	for id := range c.feed.count() {
		want["out"][fmt.Sprint(id)] = []string{fmt.Sprintf("copy of %d", id)}
	}
	r.compare(c.t, who, want)
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
