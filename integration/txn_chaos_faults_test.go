package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/internal/testkit"
)

// faults returns every fault that a round can choose. recover undoes what a strike leaves behind.
// Those that take more than a few seconds are left out of short runs.
func (c *txnChaos) faults(short bool) []fault {
	all := []fault{
		{"the coordinator of a transactional id moves", calm, c.moveCoordinator},

		{"a coordinator is killed", process, func() { c.kill(c.someCoordinator()) }},
		{"a broker is killed", process, func() { c.kill(c.any()) }},
		{"a coordinator sleeps for less than its session", process, func() { c.sleep(c.someCoordinator(), 2*time.Second) }},

		{"the link to a coordinator is cut", links, func() { c.cutLane(c.someCoordinator()) }},
		{"the link to a broker is cut", links, func() { c.cutLane(c.any()) }},
		{"the links to all brokers are slow and lossy", links, func() {
			for _, lane := range c.lanes {
				lane.Impair(100*time.Millisecond, 0.02)
			}
		}},
		{"a broker does not hear another", links, func() { m := c.any(); c.cutOneWay(m, c.others(m)[c.random.IntN(2)]) }},
		{"a broker does not hear the others", links, func() { m := c.any(); c.cutOneWay(m, c.others(m)...) }},
		{"a coordinator is not heard by another broker", links, func() { m := c.someCoordinator(); c.cutOneWay(c.others(m)[c.random.IntN(2)], m) }},
		{"the answers to EndTxn are lost", links, c.loseAnswers(kmsg.EndTxn)},
		{"the answers to AddPartitionsToTxn and AddOffsetsToTxn are lost", links, c.loseAnswers(kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn)},
		{"the answers to InitProducerId are lost", links, c.loseAnswers(kmsg.InitProducerID)},
		{"the answers to WriteTxnMarkers are lost", links, c.loseAnswers(kmsg.WriteTxnMarkers)},
		{"the answers to Produce and TxnOffsetCommit are lost", links, c.loseAnswers(kmsg.Produce, kmsg.TxnOffsetCommit)},
	}
	if short {
		return all
	}
	return append(all, []fault{
		{"two brokers are killed", process, func() { m := c.any(); c.kill(m, c.others(m)[c.random.IntN(2)]) }},
		{"all brokers are killed", process, func() { c.kill(c.members...) }},
		{"a broker stops cleanly", process, func() { m := c.any(); m.stop(); c.down = append(c.down, m) }},
		{"a coordinator sleeps for longer than its session", process, func() { m := c.someCoordinator(); c.sleep(m, 0); c.awaitUnregistered(m) }},

		{"one of a broker's two log directories fails", disks, func() { c.breakDir(c.any()) }},
		{"one of a coordinator's two log directories fails", disks, func() { c.breakDir(c.someCoordinator()) }},

		{"a coordinator is cut off from ZooKeeper", keepers, func() { m := c.someCoordinator(); c.keeperLanes[m].Cut(true); c.awaitUnregistered(m) }},
		{"a coordinator does not hear ZooKeeper", keepers, func() { c.holdKeeper(c.someCoordinator(), testkit.Answers) }},
		{"a broker is not heard by ZooKeeper", keepers, func() { c.holdKeeper(c.any(), testkit.Requests) }},
		{"all brokers are cut off from ZooKeeper", keepers, func() {
			for _, m := range c.members {
				c.keeperLanes[m].Cut(true)
			}
			c.awaitUnregistered(c.members...)
		}},
	}...)
}

// strikeFor injects faults for some time, one or two at a time. After each round it undoes them, and
// waits until all replicas are in sync and all clients make progress.
func (c *txnChaos) strikeFor(duration time.Duration) {
	c.t.Helper()
	d := newFaultDeck(c.random, c.faults(duration < time.Minute))
	for end := time.Now().Add(duration); time.Now().Before(end); {
		began := time.Now()
		round, what := d.draw()
		for i, f := range round {
			if i > 0 {
				c.wait(time.Second)
			}
			f.strike()
		}
		c.wait(4 * time.Second)
		c.recover()
		c.awaitInSync("load", clusterPartitions, c.ids()...)
		c.awaitProgress(time.Minute)
		c.t.Logf("%s %s: %.1f s", began.Format(time.TimeOnly), what, time.Since(began).Seconds())
	}
	d.report(c.t)
}

// recover heals links, resumes and restarts brokers, and repairs log directories. A broker with a failed
// one is killed first.
func (c *txnChaos) recover() {
	c.t.Helper()
	for _, m := range c.members {
		for _, lane := range []*testkit.Lane{c.lanes[m], c.keeperLanes[m]} {
			lane.Cut(false)
			lane.Impair(0, 0)
			lane.LoseAnswers()
		}
	}
	for _, m := range c.asleep {
		m.process().Signal(sigCont)
	}
	for m, dir := range c.broken {
		c.kill(m)
		repairDir(c.t, dir)
	}
	for _, m := range c.down {
		c.restart(m)
	}
	c.asleep, c.down = nil, nil
	clear(c.broken)
}

// wait waits for a random time below the given maximum.
func (c *txnChaos) wait(most time.Duration) {
	<-time.After(time.Duration(c.random.Int64N(int64(most))))
}

func (c *txnChaos) any() *member { return c.members[c.random.IntN(len(c.members))] }

func (c *txnChaos) someID() string {
	ids := slices.Concat(txnAppenders, txnCopiers)
	return ids[c.random.IntN(len(ids))]
}

// someCoordinator returns the coordinator of a transactional id, or any broker if it has none now.
func (c *txnChaos) someCoordinator() *member {
	c.t.Helper()
	s, _ := c.state("__transaction_state", coordinator.HashPartition(c.someID(), txnStatePartitions))
	if s.Leader < 1 {
		return c.any()
	}
	return c.member(s.Leader)
}

func (c *txnChaos) moveCoordinator() {
	partition := coordinator.HashPartition(c.someID(), txnStatePartitions)
	order := c.random.Perm(3)
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign("__transaction_state", partition, []int32{c.members[order[0]].id, c.members[order[1]].id, c.members[order[2]].id})
		admin := kadm.NewClient(client)
		if _, err := admin.AlterPartitionAssignments(ctx, req); err != nil {
			return err
		}
		var set kadm.TopicsSet
		set.Add("__transaction_state", partition)
		_, err := admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
		return err
	})
}

func (c *txnChaos) kill(victims ...*member) {
	for _, m := range victims {
		m.process().Kill()
	}
	c.down = append(c.down, victims...)
}

// sleep pauses a broker until the end of the round, and waits.
func (c *txnChaos) sleep(m *member, d time.Duration) {
	m.process().Signal(sigStop)
	c.asleep = append(c.asleep, m)
	<-time.After(d)
}

func (c *txnChaos) cutLane(m *member) {
	c.lanes[m].Cut(true)
	<-time.After(1500 * time.Millisecond)
}

// cutOneWay holds everything that other brokers send to one: their requests, and their answers to its
// requests.
func (c *txnChaos) cutOneWay(to *member, from ...*member) {
	c.lanes[to].Hold(testkit.Requests, func(clientID string) bool {
		return slices.ContainsFunc(from, func(m *member) bool { return m.isClient(clientID) })
	})
	for _, m := range from {
		c.lanes[m].Hold(testkit.Answers, to.isClient)
	}
	<-time.After(1500 * time.Millisecond)
}

// isClient reports whether requests with the client id are those of this broker.
func (m *member) isClient(clientID string) bool {
	return clientID == fmt.Sprint(m.id) || strings.HasPrefix(clientID, fmt.Sprintf("broker-%d-", m.id))
}

// loseAnswers returns a fault in which all answers to requests of some kinds are lost.
func (c *txnChaos) loseAnswers(kinds ...kmsg.Key) func() {
	return func() {
		var keys []int16
		for _, k := range kinds {
			keys = append(keys, k.Int16())
		}
		for _, lane := range c.lanes {
			lane.LoseAnswers(keys...)
		}
		<-time.After(1500 * time.Millisecond)
	}
}

// breakDir makes a log directory of a broker fail, and waits until the broker has lost it.
func (c *txnChaos) breakDir(m *member) {
	c.t.Helper()
	dir := c.dirs[m][c.random.IntN(2)]
	affected := partitionsIn(c.t, dir, "load", clusterPartitions)
	breakDir(c.t, dir)
	c.broken[m] = dir
	within(10*time.Second, func() bool {
		return !slices.ContainsFunc(affected, func(p int32) bool {
			s, _ := c.state("load", p)
			return slices.Contains(s.ISR, m.id)
		})
	})
}

// holdKeeper cuts one direction between a broker and ZooKeeper until the broker's session is over.
func (c *txnChaos) holdKeeper(m *member, way testkit.Way) {
	c.keeperLanes[m].Hold(way, func(string) bool { return true })
	c.awaitUnregistered(m)
}

// awaitUnregistered waits until the sessions of brokers with ZooKeeper are over.
func (c *txnChaos) awaitUnregistered(members ...*member) {
	within(10*time.Second, func() bool {
		return !slices.ContainsFunc(members, func(m *member) bool {
			_, exists := c.tree.get(fmt.Sprintf("/brokers/ids/%d", m.id))
			return exists
		})
	})
}
