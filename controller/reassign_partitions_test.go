package controller

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// setISR writes an in-sync set as the leader does, and reads it.
func (p *parts) setISR(at TopicPartition, isr ...metadata.BrokerID) {
	state := p.store.states[at]
	state.ISR = isr
	p.store.putState(at, state)
	p.c.setLeadership(at, p.store.states[at])
	p.take()
}

// The new assignment is in ZooKeeper before the leader epoch is increased. The target becomes the
// assignment only once all its replicas are in sync.
func TestAReassignmentEndsWhenItsTargetIsInSync(t *testing.T) {
	p := newParts(t, 0, 1, 2, 3)
	p.create("t", replicas(0, 1))
	at := tp("t", 0)
	if err := p.reassignments.reassign(p.ctx, at, reassignTo(p.c.assignment(at), []metadata.BrokerID{2, 3})); err != nil {
		t.Fatal(err)
	}
	want := "zk set topic t 0=2,3,0,1(+2,3 -0,1), zk set t-0 v2 leader=0 epoch=1 isr=0,1, LeaderAndIsr 0"
	if got := p.requests(); !strings.HasPrefix(got, want) || !p.c.reassigning[at] {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	p.setISR(at, 0, 1, 2)
	if err := p.reassignments.maybeComplete(p.ctx, at); err != nil {
		t.Fatal(err)
	}
	if got := p.take(); got != "" || !p.c.reassigning[at] {
		t.Errorf("replica 3 is out of sync, but this was sent:\n%s", got)
	}
	p.setISR(at, 0, 1, 2, 3)
	if err := p.reassignments.maybeComplete(p.ctx, at); err != nil {
		t.Fatal(err)
	}
	if got := p.leadership(at); !strings.Contains(got, "leader=2") || !strings.HasSuffix(got, "isr=2,3") {
		t.Errorf("the state is %s", got)
	}
	for _, a := range []zkstore.Assignment{p.c.assignment(at), p.store.topics["t"].Partitions[0]} {
		if got, want := assignmentText(a), assignmentText(replicas(2, 3)); got != want || p.c.reassigning[at] {
			t.Errorf("got %s, want %s; reassigning %t", got, want, p.c.reassigning[at])
		}
	}
	if got := p.requests(); strings.Count(got, "StopReplica 0")+strings.Count(got, "StopReplica 1") != 4 {
		t.Errorf("the old replicas were not stopped and deleted:\n%s", got)
	}
}

// With an old protocol version no request reports the in-sync set, so the state is watched until
// the reassignment ends.
func TestTheStateIsWatchedIfLeadersWriteItThemselves(t *testing.T) {
	p := newParts(t, 0, 1)
	p.create("t", replicas(0))
	at := tp("t", 0)
	p.reassignments.watchISR = true
	if err := p.reassignments.reassign(p.ctx, at, reassignTo(p.c.assignment(at), []metadata.BrokerID{1})); err != nil {
		t.Fatal(err)
	}
	if err := p.reassignments.maybeComplete(p.ctx, at); err != nil { // for the controller's own write; arms the watch again
		t.Fatal(err)
	}
	p.events = nil
	p.setISR(at, 0, 1)
	if len(p.events) != 1 || p.events[0] != (reassignmentISRChange{at}) {
		t.Fatalf("events %v", p.events)
	}
	if err := p.reassignments.maybeComplete(p.ctx, at); err != nil {
		t.Fatal(err)
	}
	if _, watched := p.store.nodes[zkstore.PartitionStatePath(at)]; watched {
		t.Error("the state is still watched")
	}
}

// The results of a request are those of its partitions: one that fails does not affect the others,
// unless no write can succeed.
func TestAFailedReassignmentAffectsOnlyItsPartition(t *testing.T) {
	p := newParts(t, 0, 1, 2)
	p.create("a", replicas(0))
	p.create("b", replicas(0))
	p.create("deleted", replicas(0))
	p.c.deletionQueue.add("deleted")
	plans := map[TopicPartition]zkstore.Assignment{}
	for _, topic := range []string{"a", "b", "deleted", "unknown"} {
		plans[tp(topic, 0)] = reassignTo(replicas(0), []metadata.BrokerID{1})
	}
	p.store.fail["SetTopic"] = errors.New("lost") // for a
	results, err := p.reassignments.reassignAll(p.ctx, plans)
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]protocol.ErrorCode{"a": protocol.UnknownServerError, "b": protocol.None,
		"deleted": protocol.UnknownTopicOrPartition, "unknown": protocol.UnknownTopicOrPartition} {
		if got := results[tp(topic, 0)]; got == nil && want != protocol.None || got != nil && protocol.CodeOf(got) != want {
			t.Errorf("%s: %v, want %s", topic, got, want)
		}
	}
	if ongoing := sortedPartitions(p.c.reassigning); !slices.Equal(ongoing, []TopicPartition{tp("b", 0)}) {
		t.Errorf("ongoing: %v", ongoing)
	}
	p.store.fail["SetTopic"] = zkstore.ErrControllerMoved
	if _, err := p.reassignments.reassignAll(p.ctx, plans); !moved(err) {
		t.Errorf("the error of a deposed controller is %v", err)
	}
}

// Entries of /admin/reassign_partitions that cannot be started are removed. The others stay in the
// node until they are complete, and the node is deleted with the last one.
func TestTheNodeOfOldToolsHasTheOngoingReassignments(t *testing.T) {
	p := newParts(t, 0, 1)
	p.create("t", replicas(0))
	at := tp("t", 0)
	p.store.reassignments = map[TopicPartition][]metadata.BrokerID{at: {1}, tp("unknown", 0): {1}}
	started, err := p.reassignments.processNode(p.ctx)
	if err != nil || len(started) != 1 || !started[at] {
		t.Fatalf("started %v, %v", started, err)
	}
	if left := sortedPartitions(p.store.reassignments); !slices.Equal(left, []TopicPartition{at}) {
		t.Errorf("left in the node: %v", left)
	}
	p.events = nil
	p.setISR(at, 0, 1)
	if err := p.reassignments.maybeComplete(p.ctx, at); err != nil {
		t.Fatal(err)
	}
	if p.store.reassignments != nil || len(p.events) != 1 || p.events[0] != (zkReassignment{}) {
		t.Errorf("left in the node: %v, events %v", p.store.reassignments, p.events)
	}
}
