package controller

import (
	"slices"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

func TestRequestVersionsFollowTheProtocolVersion(t *testing.T) {
	for _, c := range []struct {
		ibp                                       string
		leaderAndISR, stopReplica, updateMetadata int16
	}{
		{"0.8.2", 0, 0, 0}, {"0.9.0", 0, 0, 1}, {"0.10.0-IV0", 0, 0, 1}, {"0.10.0-IV1", 0, 0, 2}, {"0.10.0", 0, 0, 2},
		{"0.10.1-IV2", 0, 0, 2}, {"0.10.2-IV0", 0, 0, 3}, {"0.10.2", 0, 0, 3}, {"0.11.0-IV2", 0, 0, 3}, {"1.0-IV0", 1, 0, 4}, {"1.0", 1, 0, 4},
		{"2.1-IV2", 1, 0, 4}, {"2.2-IV0", 2, 1, 5}, {"2.3", 2, 1, 5}, {"2.4-IV0", 3, 1, 5}, {"2.4-IV1", 4, 2, 6}, {"2.4", 4, 2, 6}, {"2.5-IV0", 4, 2, 6},
		{"2.6-IV0", 4, 3, 6}, {"2.7-IV2", 4, 3, 6}, {"2.8-IV0", 4, 3, 6}, {"2.8-IV1", 5, 3, 7}, {"2.8", 5, 3, 7}, {"2.8.2", 5, 3, 7}, {"3.0-IV1", 5, 3, 7},
		{"3.1-IV0", 5, 3, 7}, {"3.2-IV0", 6, 3, 7}, {"3.3-IV3", 6, 3, 7}, {"3.4-IV0", 7, 4, 8}, {"3.5", 7, 4, 8}, {"3.6-IV2", 7, 4, 8},
		{"3.7-IV4", 7, 4, 8}, {"3.8", 7, 4, 8}, {"3.9-IV0", 7, 4, 8}, {"3.9", 7, 4, 8},
	} {
		p, err := settings.ParseIBP(c.ibp)
		if err != nil {
			t.Fatal(err)
		}
		v := versionsOf(p)
		if v.leaderAndISR != c.leaderAndISR || v.stopReplica != c.stopReplica || v.updateMetadata != c.updateMetadata {
			t.Errorf("%s: LeaderAndIsr %d, StopReplica %d, UpdateMetadata %d; want %d, %d, %d", c.ibp,
				v.leaderAndISR, v.stopReplica, v.updateMetadata, c.leaderAndISR, c.stopReplica, c.updateMetadata)
		}
	}
	for _, bad := range []string{"", "3", "x.y", "3.9-IVx", "-1.2"} {
		if _, err := settings.ParseIBP(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestAbilitiesFollowTheProtocolVersion(t *testing.T) {
	for ibp, want := range map[string][4]bool{ // topic ids, AlterPartition, recovery, features
		"2.6-IV0": {}, "2.7-IV0": {false, false, false, true}, "2.7-IV1": {false, false, false, true}, "2.7-IV2": {false, true, false, true},
		"2.8-IV0": {true, true, false, true}, "3.1": {true, true, false, true}, "3.2-IV0": {true, true, true, true}, "3.9": {true, true, true, true},
	} {
		p, _ := settings.ParseIBP(ibp)
		v := versionsOf(p)
		if got := [4]bool{v.topicIDs, v.alterPartition, v.recovery, v.features}; got != want {
			t.Errorf("%s: %v, want %v", ibp, got, want)
		}
	}
}

func TestElect(t *testing.T) {
	in := func(ids ...metadata.BrokerID) func(metadata.BrokerID) bool {
		return func(id metadata.BrokerID) bool { return slices.Contains(ids, id) }
	}
	state := func(leader metadata.BrokerID, isr ...metadata.BrokerID) zkstore.PartitionState {
		return zkstore.PartitionState{Leader: leader, LeaderEpoch: 3, ISR: isr, Version: 8}
	}
	for _, c := range []struct {
		name       string
		s          strategy
		b          ballot
		leader     metadata.BrokerID
		isr        []metadata.BrokerID
		recipients []metadata.BrokerID
		recovering bool
		ok         bool
	}{
		{"offline: the first assigned replica that is live and in sync", electOffline,
			ballot{assignment: replicas(1, 2, 3), state: state(1, 1, 3, 2), online: in(2, 3)}, 2, []metadata.BrokerID{3, 2}, []metadata.BrokerID{2, 3}, false, true},
		{"offline: no live replica is in sync", electOffline,
			ballot{assignment: replicas(1, 2, 3), state: state(1, 1), online: in(2, 3)}, metadata.NoBroker, nil, nil, false, false},
		{"offline: unclean, recovering if the protocol version supports it", electOffline,
			ballot{assignment: replicas(1, 2, 3), state: state(1, 1), online: in(2, 3), allowUnclean: true, recovery: true}, 2, []metadata.BrokerID{2}, []metadata.BrokerID{2, 3}, true, true},
		{"offline: unclean with an old protocol version", electOfflineUnclean,
			ballot{assignment: replicas(1, 2, 3), state: state(1, 1), online: in(3), allowUnclean: true}, 3, []metadata.BrokerID{3}, []metadata.BrokerID{3}, false, true},
		{"offline: unclean is allowed but not needed", electOfflineUnclean,
			ballot{assignment: replicas(1, 2, 3), state: state(1, 1, 3), online: in(2, 3), allowUnclean: true, recovery: true}, 3, []metadata.BrokerID{3}, []metadata.BrokerID{2, 3}, false, true},
		{"offline: unclean, and no replica is live", electOfflineUnclean,
			ballot{assignment: replicas(1), state: state(1, 1), online: in(), allowUnclean: true}, metadata.NoBroker, nil, nil, false, false},
		{"preferred: it is in sync", electPreferred,
			ballot{assignment: replicas(1, 2), state: state(2, 2, 1), online: in(1, 2)}, 1, []metadata.BrokerID{2, 1}, []metadata.BrokerID{1, 2}, false, true},
		{"preferred: it is not in sync", electPreferred,
			ballot{assignment: replicas(1, 2), state: state(2, 2), online: in(1, 2)}, metadata.NoBroker, nil, nil, false, false},
		{"preferred: it is in sync but not live", electPreferred,
			ballot{assignment: replicas(1, 2), state: state(2, 2, 1), online: in(2)}, metadata.NoBroker, nil, nil, false, false},
		{"preferred: no replica is assigned", electPreferred,
			ballot{assignment: replicas(), state: state(2, 2), online: in(2)}, metadata.NoBroker, nil, nil, false, false},
		{"reassign: the first of the target, not of all replicas", electReassign,
			ballot{assignment: zkstore.Assignment{Replicas: []metadata.BrokerID{3, 4, 1}, Adding: []metadata.BrokerID{3, 4}, Removing: []metadata.BrokerID{1}}, state: state(1, 1, 3, 4), online: in(1, 4)},
			4, []metadata.BrokerID{1, 3, 4}, []metadata.BrokerID{3, 4}, false, true},
		{"controlled shutdown: the leaving broker is sent the state without it", electControlledShutdown,
			ballot{assignment: replicas(1, 2, 3), state: state(1, 1, 2, 3), onlineOrLeaving: in(1, 3), leaving: in(1)}, 3, []metadata.BrokerID{2, 3}, []metadata.BrokerID{1, 3}, false, true},
		{"controlled shutdown: no other replica is in sync", electControlledShutdown,
			ballot{assignment: replicas(1, 2), state: state(1, 1), onlineOrLeaving: in(1, 2), leaving: in(1)}, metadata.NoBroker, nil, nil, false, false},
	} {
		next, recipients, ok := electLeader(c.s, c.b)
		if ok != c.ok {
			t.Errorf("%s: %t", c.name, ok)
			continue
		}
		if !ok {
			continue
		}
		if next.Leader != c.leader || !slices.Equal(next.ISR, c.isr) || !slices.Equal(recipients, c.recipients) || next.Recovering != c.recovering {
			t.Errorf("%s: leader %d isr %v recovering %t to %v; want %d %v %t to %v", c.name, next.Leader, next.ISR, next.Recovering, recipients, c.leader, c.isr, c.recovering, c.recipients)
		}
		if next.LeaderEpoch != 4 || next.Version != 8 {
			t.Errorf("%s: epoch %d, version %d", c.name, next.LeaderEpoch, next.Version)
		}
	}
}

func TestReassignTo(t *testing.T) {
	start := replicas(1, 2, 3)
	first := reassignTo(start, []metadata.BrokerID{4, 2})
	if got, want := assignmentText(first), "ReplicaAssignment(replicas=4,2,1,3, addingReplicas=4, removingReplicas=1,3)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := targetReplicas(first); !slices.Equal(got, []metadata.BrokerID{4, 2}) {
		t.Errorf("target %v", got)
	}
	if got := originReplicas(first); !slices.Equal(got, []metadata.BrokerID{2, 1, 3}) {
		t.Errorf("origin %v", got)
	}
	second := reassignTo(first, []metadata.BrokerID{5, 1}) // replaces the first while it is in progress
	if got, want := assignmentText(second), "ReplicaAssignment(replicas=5,1,2,3, addingReplicas=5, removingReplicas=2,3)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	back, ok := planReassignment(second, nil, true)
	if !ok || beingReassigned(reassignTo(back, targetReplicas(back))) && len(back.Adding) > 0 {
		t.Errorf("canceled: %s", assignmentText(back))
	}
	if got := targetReplicas(back); !slices.Equal(got, []metadata.BrokerID{1, 2, 3}) {
		t.Errorf("back to %v", got)
	}
	if !caughtUp(reassignTo(start, []metadata.BrokerID{3, 2, 1}), nil) {
		t.Error("a mere change of the order waits for replicas")
	}
	if caughtUp(first, []metadata.BrokerID{1, 2, 3}) || !caughtUp(first, []metadata.BrokerID{2, 4}) {
		t.Error("all target replicas and no others must be in sync")
	}
}

// All other transitions are illegal.
func TestLegalTransitions(t *testing.T) {
	partitions := map[partitionState]string{newPartition: "n", onlinePartition: "NOF", offlinePartition: "NOF", nonExistentPartition: "F"}
	letters := map[partitionState]string{nonExistentPartition: "n", newPartition: "N", onlinePartition: "O", offlinePartition: "F"}
	for to, from := range partitions {
		got := ""
		for _, s := range to.predecessors() {
			got += letters[s]
		}
		if got != from {
			t.Errorf("%s from %q, want %q", to, got, from)
		}
	}
	replicaStates := map[replicaState]int{nonExistentReplica: 1, newReplica: 1, onlineReplica: 4, offlineReplica: 4,
		replicaDeletionStarted: 1, replicaDeletionSuccessful: 1, replicaDeletionIneligible: 2}
	for to, n := range replicaStates {
		if len(to.predecessors()) != n {
			t.Errorf("%s from %v", to, to.predecessors())
		}
	}
}
