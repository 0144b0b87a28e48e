package controller

import (
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

func TestAnOfflineReplicaIsStoppedAndLeavesTheInSyncSet(t *testing.T) {
	p := newParts(t, 0, 1, 2)
	p.create("t", replicas(0, 1, 2))
	if err := p.moveReplicas([]replicaID{{tp("t", 0), 0}}, offlineReplica); err != nil {
		t.Fatal(err)
	}
	want := `zk set t-0 v2 leader=-1 epoch=1 isr=1,2
LeaderAndIsr v7 -> 1 be=102 ce=1 leaders=
  t-0 leader=-1 epoch=1 isr=1,2 v2 replicas=0,1,2
LeaderAndIsr v7 -> 2 be=103 ce=1 leaders=
  t-0 leader=-1 epoch=1 isr=1,2 v2 replicas=0,1,2
UpdateMetadata v8 -> 0 be=101 ce=1 brokers=0,1,2
  t-0 leader=-1 epoch=1 isr=1,2 v2 replicas=0,1,2
UpdateMetadata v8 -> 1 be=102 ce=1 brokers=0,1,2
  t-0 leader=-1 epoch=1 isr=1,2 v2 replicas=0,1,2
UpdateMetadata v8 -> 2 be=103 ce=1 brokers=0,1,2
  t-0 leader=-1 epoch=1 isr=1,2 v2 replicas=0,1,2
StopReplica v4 -> 0 be=101 ce=1
  t-0 epoch=0`
	if got := p.take(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := p.c.replicaState(replicaID{tp("t", 0), 0}); got != offlineReplica {
		t.Errorf("the replica is %s", got)
	}
}

// A replica stays in its state if its in-sync set cannot be changed. Other replicas are not
// affected.
func TestAReplicaInASetOfALaterControllerStays(t *testing.T) {
	p := newParts(t, 0, 1)
	p.create("t", replicas(0, 1), replicas(0, 1))
	foreign, own := tp("t", 0), tp("t", 1)
	p.store.putState(foreign, zkstore.PartitionState{ControllerEpoch: 2, Leader: 0, ISR: []metadata.BrokerID{0, 1}})
	before := p.leadership(foreign)
	if err := p.moveReplicas([]replicaID{{foreign, 1}, {own, 1}}, offlineReplica); err != nil {
		t.Fatal(err)
	}
	if a, b := p.c.replicaState(replicaID{foreign, 1}), p.c.replicaState(replicaID{own, 1}); a != onlineReplica || b != offlineReplica {
		t.Errorf("the replica in the other controller's set is %s, the other one %s", a, b)
	}
	if got, want := p.leadership(foreign)+" "+p.leadership(own), before+" t-1 v2 leader=0 epoch=1 isr=0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A replica whose partition has no state in ZooKeeper stays in its state, which is an error unless
// the topic is being deleted.
func TestAReplicaWithoutAStateInZooKeeperStays(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		p := newParts(t, 0, 1)
		p.create("t", replicas(0, 1))
		r := replicaID{tp("t", 0), 1}
		delete(p.store.states, r.TopicPartition)
		p.c.partition(r.TopicPartition).leadership.ISR = []metadata.BrokerID{0} // so the state is read
		if deleted {
			p.c.deletionQueue.add("t")
		}
		if err := p.moveReplicas([]replicaID{r}, offlineReplica); err != nil {
			t.Fatal(err)
		}
		text := "Failed to change state of replica 1 for partition t-0 since the leader and isr path in zookeeper is empty"
		if logged := strings.Contains(p.log.String(), text); logged == deleted || p.c.replicaState(r) != onlineReplica {
			t.Errorf("topic being deleted %t: logged %t, state %s", deleted, logged, p.c.replicaState(r))
		}
	}
}

// A replica is sent the request to delete its data after it was stopped, and leaves the assignment
// last.
func TestADeletedReplicaLeavesTheAssignment(t *testing.T) {
	p := newParts(t, 0, 1)
	p.create("t", replicas(0, 1))
	r := replicaID{tp("t", 0), 1}
	for _, c := range []struct {
		to       replicaState
		requests string
	}{
		{offlineReplica, "zk set t-0 v2 leader=0 epoch=1 isr=0, LeaderAndIsr 0, UpdateMetadata 0, UpdateMetadata 1, StopReplica 1"},
		{replicaDeletionStarted, "StopReplica 1"}, {replicaDeletionSuccessful, ""}, {nonExistentReplica, ""},
	} {
		if assigned := p.c.assignment(r.TopicPartition).Replicas; !slices.Equal(assigned, []metadata.BrokerID{0, 1}) {
			t.Errorf("before %s the replicas are %v", c.to, assigned)
		}
		if err := p.moveReplicas([]replicaID{r}, c.to); err != nil {
			t.Fatal(err)
		}
		if got := p.requests(); got != c.requests || p.c.replicaState(r) != c.to {
			t.Errorf("%s: state %s, requests %q, want %q", c.to, p.c.replicaState(r), got, c.requests)
		}
	}
	if assigned := p.c.assignment(r.TopicPartition).Replicas; !slices.Equal(assigned, []metadata.BrokerID{0}) {
		t.Errorf("the replicas are %v", assigned)
	}
}

// Each pair of states is tried, and exactly the legal changes take place. The others send nothing
// and are logged.
func TestReplicasEnterOnlyLegalStates(t *testing.T) {
	legal := map[replicaState][]replicaState{
		newReplica:                {nonExistentReplica},
		onlineReplica:             {newReplica, onlineReplica, offlineReplica, replicaDeletionIneligible},
		offlineReplica:            {newReplica, onlineReplica, offlineReplica, replicaDeletionIneligible},
		replicaDeletionStarted:    {offlineReplica},
		replicaDeletionSuccessful: {replicaDeletionStarted},
		replicaDeletionIneligible: {offlineReplica, replicaDeletionStarted},
		nonExistentReplica:        {replicaDeletionSuccessful},
	}
	for to, predecessors := range legal {
		for from := range legal {
			p := newParts(t, 0, 1)
			p.create("t", replicas(0, 1))
			r := replicaID{tp("t", 0), 1}
			p.c.setReplicaState(r, from)
			if err := p.moveReplicas([]replicaID{r}, to); err != nil {
				t.Fatal(err)
			}
			allowed := slices.Contains(predecessors, from)
			now, logged := p.c.replicaState(r), strings.Contains(p.log.String(), "failed")
			if allowed && (now != to || logged) || !allowed && (now != from || !logged || p.take() != "") {
				t.Errorf("%s to %s, legal %t: the state is %s, logged as failed: %t", from, to, allowed, now, logged)
			}
		}
	}
}
