package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// twoTopics returns a controller in its second term, with two equal topics that broker 0 leads.
func twoTopics(t *testing.T) (h *harness, a, b TopicPartition) {
	h = started(t, nil, 0, 1, 2)
	s := &scenario{t: t, h: h}
	s.play("topic a 0=0,1", "topic b 0=0,1", "answer", "restart", "answer")
	if h.m.c.epoch != 2 {
		t.Fatalf("epoch %d, want 2", h.m.c.epoch)
	}
	return h, TopicPartition{Topic: "a"}, TopicPartition{Topic: "b"}
}

// Partitions of a topic that is to be deleted do not count toward the balance of leaders and get no
// leaders. Other partitions get leaders in the current term.
func TestATopicThatIsToBeDeletedGetsNoLeaders(t *testing.T) {
	h, a, b := twoTopics(t)
	h.m.c.deletionQueue.queued["a"] = true
	for _, tp := range []TopicPartition{a, b} {
		state := h.store.states[tp]
		state.Leader = 1
		h.store.putState(tp, state)
		h.m.c.setLeadership(tp, h.store.states[tp])
	}
	if moved := unbalancedLeaders(h.m.c, 10); len(moved[0]) != 1 || moved[0][0] != b {
		t.Errorf("unbalanced: %v, want the partition of b", moved)
	}
	for _, tp := range []TopicPartition{a, b} {
		h.m.c.partition(tp).state = offlinePartition
	}
	outcomes, err := h.m.partitions.triggerOnline(h.m.ctx, func(string) bool { return true })
	if _, ofA := outcomes[a]; err != nil || ofA || outcomes[b].err != nil || len(outcomes) != 1 {
		t.Errorf("elections: %+v, %v", outcomes, err)
	}
	if was, now := h.store.states[a], h.store.states[b]; was.ControllerEpoch != 1 || now.ControllerEpoch != 2 || now.LeaderEpoch != was.LeaderEpoch+1 {
		t.Errorf("states: a %s, b %s", stateText(was), stateText(now))
	}
}

func TestAPartitionComesOnlineOnlyFromALegalState(t *testing.T) {
	h, a, _ := twoTopics(t)
	h.m.c.partition(a).state = nonExistentPartition
	before := h.store.states[a]
	if outcomes, err := h.m.partitions.bringOnline(h.m.ctx, []TopicPartition{a}, electOffline); err != nil || len(outcomes) != 0 {
		t.Errorf("outcomes %+v, %v", outcomes, err)
	}
	if now := h.store.states[a]; !sameState(now, before) || h.m.c.partition(a).state != nonExistentPartition {
		t.Errorf("the state changed from %s to %s", stateText(before), stateText(now))
	}
}

// Only elections for offline partitions may elect a replica out of sync. Other elections therefore
// do not read configurations, and do not fail if they cannot be read.
func TestOnlyElectionsOfOfflinePartitionsReadConfigurations(t *testing.T) {
	h, a, _ := twoTopics(t)
	offline := map[TopicPartition]zkstore.PartitionState{a: {Leader: metadata.NoBroker, ISR: []metadata.BrokerID{7}}}
	for _, s := range []strategy{electPreferred, electReassign, electControlledShutdown} {
		h.store.fail["Configs"] = errors.New("lost")
		if allowed, err := h.m.partitions.uncleanAllowed(h.m.ctx, offline, s); err != nil || len(allowed) != 0 || h.store.fail["Configs"] == nil {
			t.Errorf("strategy %v: %v, %v", s, allowed, err)
		}
	}
	if _, err := h.m.partitions.uncleanAllowed(h.m.ctx, offline, electOffline); err == nil {
		t.Error("the configuration was not read for an offline partition")
	}
}

// An answer about deleted replicas counts only in the term in which the request was sent.
func TestADeletionFromAnEarlierTermIsIgnored(t *testing.T) {
	h, a, _ := twoTopics(t)
	h.m.c.deletionQueue.queued["a"], h.m.c.deletionQueue.started["a"] = true, true
	resp := kmsg.NewPtrStopReplicaResponse()
	p := kmsg.NewStopReplicaResponsePartition()
	p.Topic = "a"
	resp.Partitions = append(resp.Partitions, p)
	for _, id := range []metadata.BrokerID{0, 1} {
		h.m.c.setReplicaState(replicaID{a, id}, replicaDeletionStarted)
	}
	h.put(stopReplicaAnswered{1, 1, map[TopicPartition]bool{a: true}, resp})
	if h.m.c.anyReplicaIn("a", replicaDeletionSuccessful) {
		t.Error("an answer to a request of the first term counts in the second")
	}
	h.put(stopReplicaAnswered{2, 1, map[TopicPartition]bool{a: true}, resp})
	if !h.m.c.anyReplicaIn("a", replicaDeletionSuccessful) {
		t.Error("an answer to a request of this term does not count")
	}
}

// A replica whose log directory failed may lead again once the broker can serve it.
func TestAReplicaIsOnlineAgainOnceItsDirectoryIsRepaired(t *testing.T) {
	h, a, _ := twoTopics(t)
	answer := func(code protocol.ErrorCode) {
		resp := kmsg.NewPtrLeaderAndISRResponse()
		p := kmsg.NewLeaderAndISRResponseTopicPartition()
		p.Topic, p.ErrorCode = "a", int16(code)
		resp.Partitions = append(resp.Partitions, p)
		h.put(leaderAndISRAnswered{2, 1, resp})
	}
	answer(protocol.KafkaStorageError)
	if h.m.c.replicaOnline(1, a) {
		t.Error("a replica in a failed directory is online")
	}
	answer(protocol.None)
	if !h.m.c.replicaOnline(1, a) {
		t.Error("a replica in a repaired directory is offline")
	}
}

func TestABrokerStartsNoElectionWhileThereIsAController(t *testing.T) {
	h := newHarness(t, nil)
	h.store.register(0, "")
	h.store.stealController(1)
	h.store.fail["Elect"] = errors.New("must not be called")
	h.put(Startup{})
	if h.store.fail["Elect"] == nil || h.m.Active() {
		t.Error("started an election while another broker is the controller")
	}
}

// If the failover panics, /controller does not name the broker any longer.
func TestAPanicDuringAFailoverEndsTheTerm(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.KnownTopicID = func(string) TopicID { panic("no such thing") } })
	h.store.register(0, "")
	h.store.topics["t"] = topicNode("t", replicas(0))
	h.put(Startup{})
	if h.m.Active() || h.store.controller != nil {
		t.Errorf("active %t, /controller %v", h.m.Active(), h.store.controller)
	}
}

// A deletion waits for the reassignments of its topic, and no reassignment of a topic to be deleted
// starts.
func TestDeletionsAndReassignmentsOfATopicExcludeEachOther(t *testing.T) {
	h, a, b := twoTopics(t)
	h.m.c.reassigning[a] = true
	for _, topic := range []string{"a", "b"} {
		h.store.markDeletion(topic)
	}
	h.run()
	if h.m.c.deletionQueue.started["a"] || !h.m.c.deletionQueue.started["b"] {
		t.Errorf("started deletions: %v, want that of b", h.m.c.deletionQueue.started)
	}
	h.take()
	results, err := h.m.reassignments.reassignAll(h.m.ctx, map[TopicPartition]zkstore.Assignment{b: replicas(1, 2)})
	if err != nil || protocol.CodeOf(results[b]) != protocol.UnknownTopicOrPartition || h.take() != "" || h.m.c.reassigning[b] {
		t.Errorf("a reassignment during a deletion: %v, %v", results, err)
	}
}

// The controller watches the znodes of exactly the registered brokers and the topics. After its term
// it watches only /controller.
func TestOnlyKnownBrokersAndTopicsAreWatched(t *testing.T) {
	h, s := busyCluster(t)
	brokerAndTopicNodes := func() string {
		var paths []string
		for _, path := range sortedKeys(h.store.nodes) {
			if name, ok := strings.CutPrefix(path, "/brokers/"); ok {
				paths = append(paths, name)
			}
		}
		return strings.Join(paths, " ")
	}
	for _, c := range []struct{ command, want string }{
		{"answer", "ids/0 ids/1 ids/2 topics/doomed topics/t"},
		{"kill 1", "ids/0 ids/2 topics/doomed topics/t"},
		{"bounce 2", "ids/0 ids/2 topics/doomed topics/t"},
		{"broker 1", "ids/0 ids/1 ids/2 topics/doomed topics/t"},
		{"delete doomed", "ids/0 ids/1 ids/2 topics/doomed topics/t"},
		{"answer", "ids/0 ids/1 ids/2 topics/t"},
		{"steal 7", ""},
	} {
		if s.play(c.command); brokerAndTopicNodes() != c.want {
			t.Errorf("%s: %s, want %s", c.command, brokerAndTopicNodes(), c.want)
		}
	}
	if others := sortedKeys(h.store.nodes); !slices.Equal(others, []string{zkstore.ControllerPath}) || len(h.store.children) > 0 {
		t.Errorf("after the term: nodes %v, children of %v", others, sortedKeys(h.store.children))
	}
}

// The state of a term is not used in the next one.
func TestTheStateOfATermEndsWithIt(t *testing.T) {
	h, _, _ := twoTopics(t)
	h.store.stealController(1)
	h.run()
	if len(h.m.c.topics) != 0 || len(h.m.c.brokers) != 0 || h.m.c.epoch != 0 {
		t.Errorf("%d topics, %d brokers, epoch %d", len(h.m.c.topics), len(h.m.c.brokers), h.m.c.epoch)
	}
}

// A new controller continues the reassignments, deletions and preferred elections of the former
// one.
func TestAFailoverResumesTheRequestsToTheFormerController(t *testing.T) {
	h := started(t, nil, 0, 1, 2)
	s := &scenario{t: t, h: h}
	s.play("topic reassigned 0=0,1", "topic deleted 0=0,1", "topic elected 0=1,0", "answer",
		"state elected-0 leader=0 isr=0,1")
	h.store.reassignments = map[TopicPartition][]metadata.BrokerID{{Topic: "reassigned"}: {1, 2}}
	h.store.preferred = []TopicPartition{{Topic: "elected"}}
	h.store.deletions["deleted"] = true
	s.play("restart")
	if a := h.store.topics["reassigned"].Partitions[0]; !slices.Equal(targetReplicas(a), []metadata.BrokerID{1, 2}) {
		t.Errorf("the reassignment was not started: %s", assignmentText(a))
	}
	if !h.m.c.deletionQueue.started["deleted"] {
		t.Error("the deletion was not started")
	}
	if state := h.store.states[TopicPartition{Topic: "elected"}]; state.Leader != 1 || h.store.preferred != nil {
		t.Errorf("the leader is %d, want 1; remaining request: %v", state.Leader, h.store.preferred)
	}
}

// An error after which no write can succeed ends the event. Any other error is the outcome of its
// partition.
func TestErrorsThatPreventAllWritesEndTheEvent(t *testing.T) {
	h, a, _ := twoTopics(t)
	for _, c := range []struct {
		err error
		all bool
	}{
		{zkstore.ErrControllerMoved, true}, {zkstore.ErrSessionExpired, true}, {zkstore.ErrClosed, true},
		{context.Canceled, true}, {context.DeadlineExceeded, true},
		{zkstore.ErrNodeExists, false}, {zkstore.ErrInvalidNode, false}, {errors.New("other"), false},
	} {
		h.store.fail["SetPartitionStates"] = fmt.Errorf("write: %w", c.err)
		outcomes, err := h.m.partitions.bringOnline(h.m.ctx, []TopicPartition{a}, electOffline)
		if c.all && !errors.Is(err, c.err) || !c.all && (err != nil || !errors.Is(outcomes[a].err, c.err)) {
			t.Errorf("%v: outcome %v, error of the event %v", c.err, outcomes[a].err, err)
		}
	}
}
