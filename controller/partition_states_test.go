package controller

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

func TestANewPartitionIsLedByItsFirstLiveReplica(t *testing.T) {
	p := newParts(t, 1, 2)
	lonely, led := tp("t", 0), tp("t", 1)
	p.c.setAssignment(led, replicas(0, 1, 2))
	p.c.setAssignment(lonely, replicas(0))
	for _, state := range []partitionState{newPartition, onlinePartition} {
		outcomes, err := p.movePartitions([]TopicPartition{lonely, led}, state)
		if err != nil {
			t.Fatal(err)
		}
		if failure := outcomes[lonely].err; state == onlinePartition && !errors.Is(failure, errStateChange) || outcomes[led].err != nil {
			t.Errorf("%s: outcomes %+v", state, outcomes)
		}
	}
	if a, b := p.c.partition(lonely).state, p.c.partition(led).state; a != newPartition || b != onlinePartition {
		t.Errorf("the partition without live replicas is %s, the other one %s", a, b)
	}
	want := `zk create t-1 v0 leader=1 epoch=0 isr=1,2
LeaderAndIsr v7 -> 1 be=101 ce=1 leaders=1
  t-1 leader=1 epoch=0 isr=1,2 v0 replicas=0,1,2 new
LeaderAndIsr v7 -> 2 be=102 ce=1 leaders=1
  t-1 leader=1 epoch=0 isr=1,2 v0 replicas=0,1,2 new
UpdateMetadata v8 -> 1 be=101 ce=1 brokers=1,2
  t-1 leader=1 epoch=0 isr=1,2 v0 replicas=0,1,2 offline=0
UpdateMetadata v8 -> 2 be=102 ce=1 brokers=1,2
  t-1 leader=1 epoch=0 isr=1,2 v0 replicas=0,1,2 offline=0`
	if got := p.take(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// An election does not use a state that has changed in ZooKeeper since it was read.
func TestAnElectionIsRepeatedOnAChangedState(t *testing.T) {
	p := newParts(t, 0, 1, 2)
	p.create("t", replicas(0, 1, 2))
	at := tp("t", 0)
	now := p.store.states[at]
	now.ISR = []metadata.BrokerID{0, 2} // broker 1 left the in-sync set; the context does not know it
	p.store.putState(at, now)
	p.fail(0)
	outcomes, err := p.movePartitions([]TopicPartition{at}, onlinePartition)
	if err != nil || outcomes[at].err != nil {
		t.Fatal(outcomes, err)
	}
	if got, want := p.leadership(at), "t-0 v3 leader=2 epoch=1 isr=2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := stateText(*p.c.leadership(at)), stateText(p.store.states[at]); got != want {
		t.Errorf("the context has %s, ZooKeeper %s", got, want)
	}
}

// Each pair of states is tried, and exactly the legal changes take place. The others send nothing
// and are logged. Changes to Online need ZooKeeper and are tested elsewhere.
func TestPartitionsEnterOnlyLegalStates(t *testing.T) {
	states := []partitionState{nonExistentPartition, newPartition, onlinePartition, offlinePartition}
	legal := map[partitionState][]partitionState{
		newPartition:         {nonExistentPartition},
		offlinePartition:     {newPartition, onlinePartition, offlinePartition},
		nonExistentPartition: {offlinePartition},
	}
	for to, predecessors := range legal {
		for _, from := range states {
			p := newParts(t, 0)
			p.create("t", replicas(0))
			at := tp("t", 0)
			p.c.partition(at).state = from
			if _, err := p.movePartitions([]TopicPartition{at}, to); err != nil {
				t.Fatal(err)
			}
			allowed := slices.Contains(predecessors, from)
			now, logged := p.c.partition(at).state, strings.Contains(p.log.String(), "failed to change state for partition t-0")
			if allowed && (now != to || logged) || !allowed && (now != from || !logged) || p.take() != "" {
				t.Errorf("%s to %s, legal %t: the state is %s, logged as failed: %t", from, to, allowed, now, logged)
			}
		}
	}
}

// Only the topic's configuration, or else the default, allows a leader that is out of sync. Such
// elections are counted.
func TestUncleanElectionsAreAllowedByTopicAndCounted(t *testing.T) {
	for _, c := range []struct {
		byDefault     bool
		topic         string // the topic's own setting, "" if none
		leader, count int64
	}{
		{false, "", -1, 0}, {true, "", 1, 1}, {true, "false", -1, 0}, {false, "true", 1, 1},
	} {
		p := newParts(t, 0, 1)
		p.create("t", replicas(0, 1))
		at := tp("t", 0)
		p.store.putState(at, zkstore.PartitionState{ControllerEpoch: 1, Leader: 0, ISR: []metadata.BrokerID{0}})
		p.c.setLeadership(at, p.store.states[at])
		p.partitions.unclean = c.byDefault
		if c.topic != "" {
			p.store.configs["t"] = map[string]string{uncleanElectionKey: c.topic}
		}
		p.fail(0)
		outcomes, err := p.movePartitions([]TopicPartition{at}, onlinePartition)
		if err != nil {
			t.Fatal(err)
		}
		leader := int64(metadata.NoBroker)
		if o := outcomes[at]; o.err == nil {
			leader = int64(o.state.Leader)
		}
		if leader != c.leader || p.partitions.uncleanElections != c.count {
			t.Errorf("%+v: leader %d, %d unclean elections", c, leader, p.partitions.uncleanElections)
		}
	}
}

// After a failover, partitions of topics to be deleted get no leaders.
func TestFirstStatesOfPartitionsFollowTheirLeaders(t *testing.T) {
	p := newParts(t, 0, 1)
	p.create("online", replicas(1))
	p.create("offline", replicas(7, 0))
	p.create("deleted", replicas(7, 0))
	p.c.deletionQueue.add("deleted")
	p.c.setAssignment(tp("new", 0), replicas(0))
	if err := p.partitions.start(p.ctx); err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]partitionState{"online": onlinePartition, "offline": onlinePartition, "deleted": offlinePartition, "new": onlinePartition} {
		if got := p.c.partition(tp(topic, 0)).state; got != want {
			t.Errorf("%s: %s, want %s", topic, got, want)
		}
	}
	if got, want := p.leadership(tp("offline", 0)), "offline-0 v2 leader=0 epoch=1 isr=0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
