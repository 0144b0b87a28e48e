package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// The tests TestPitfallControllerNN cover faults that real Kafka had to fix. NN is the number of
// the fault in the project's list of such faults.

// busyCluster returns a cluster of brokers 0, 1 and 2 with a topic of two partitions and a second
// topic.
func busyCluster(t testing.TB) (*harness, *scenario) {
	h := started(t, nil, 0, 1, 2)
	s := &scenario{t: t, h: h}
	s.play("topic t 0=0,1 1=1,2", "topic doomed 0=1,2", "answer")
	h.take()
	return h, s
}

func (s *scenario) play(commands ...string) {
	for _, command := range commands {
		s.run(strings.Fields(command))
	}
}

func TestPitfallController01_AZombieWritesNothing(t *testing.T) {
	commands := []string{
		"kill 1", "bounce 1", "topic new 0=0 noid", "topic t 2=0,1", "delete doomed", "delete unknown",
		"reassign t-0=2,0", "zkreassign t-0=2,0", "elect preferred t-0", "zkelect t-0", "shutdown 1",
		"alter 0 t-0 epoch=0 version=0 isr=0", "isrchange t-0", "logdir 1", "zkreassign nope-0=1",
	}
	for _, command := range commands {
		t.Run(command, func(t *testing.T) {
			h, s := busyCluster(t)
			// Another broker was elected while this one was paused; its watch has not fired yet.
			h.store.epoch++
			h.store.epochVersion++
			h.store.controller = &zkstore.ControllerNode{ID: 7}
			before := maps.Clone(h.store.states)
			if command == "elect preferred t-0" { // otherwise there is nothing to write
				h.store.states[tp("t", 0)] = zkstore.PartitionState{Leader: 1, LeaderEpoch: 1, ISR: []metadata.BrokerID{0, 1}}
				h.m.c.partition(tp("t", 0)).leadership.Leader = 1
				before = maps.Clone(h.store.states)
			}
			if command == "zkelect t-0" {
				h.m.c.partition(tp("t", 0)).leadership.Leader = 1
			}
			s.play(command)
			for _, line := range h.lines {
				if strings.HasPrefix(line, "zk ") {
					t.Errorf("wrote: %s", line)
				}
			}
			if h.m.Active() {
				t.Error("still active")
			}
			if !maps.EqualFunc(before, h.store.states, func(a, b zkstore.PartitionState) bool { return stateText(a) == stateText(b) }) {
				t.Error("states changed")
			}
		})
	}
}

func TestPitfallController03_ABouncedBrokerGetsAllRequestsWithItsNewEpoch(t *testing.T) {
	h, s := busyCluster(t)
	old := h.store.brokers[1].Epoch
	s.play("bounce 1")
	fresh := h.store.brokers[1].Epoch
	if fresh <= old {
		t.Fatal("the broker epoch has not increased")
	}
	log := h.take()
	for _, want := range []string{
		"peer 1 removed", "peer 1 added", // requests for the earlier registration are dropped
		fmt.Sprintf("LeaderAndIsr v7 -> 1 be=%d", fresh), fmt.Sprintf("UpdateMetadata v8 -> 1 be=%d", fresh),
		"zk set t-0 v1 leader=0 epoch=1 isr=0", // removed from the in-sync set, since it may have lost data
	} {
		if !strings.Contains(log, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(log, fmt.Sprintf("-> 1 be=%d", old)) {
		t.Error("a request has the old broker epoch")
	}
}

func TestPitfallController07_EventsReadZooKeeperWhenTheyAreProcessed(t *testing.T) {
	h, _ := busyCluster(t)
	h.store.unregister(1) // queues BrokerChange
	h.store.register(1, "")
	h.store.unregister(1)
	h.store.register(2, "")
	h.run()
	if h.m.c.registered(1) {
		t.Error("broker 1 is unregistered, but counts as registered")
	}
	if got, want := h.m.c.brokers[2].Epoch, h.store.brokers[2].Epoch; got != want {
		t.Errorf("broker 2 has epoch %d, want %d", got, want)
	}
	// The read armed the watch again.
	h.store.register(1, "")
	h.run()
	if !h.m.c.registered(1) {
		t.Error("the change after the read was lost")
	}
}

func TestPitfallController08_BrokersGetTheLiveBrokersBeforeTheLeaders(t *testing.T) {
	h, s := busyCluster(t)
	s.play("kill 2", "answer")
	h.take()
	s.play("restart")
	first := map[string]int{}
	for i, line := range h.lines {
		for _, id := range []string{"0", "1"} {
			for _, kind := range []string{"UpdateMetadata", "LeaderAndIsr"} {
				if key := kind + id; strings.HasPrefix(line, kind) && strings.Contains(line, "-> "+id+" ") {
					if _, seen := first[key]; !seen {
						first[key] = i
					}
				}
			}
		}
	}
	for _, id := range []string{"0", "1"} {
		update, updateSent := first["UpdateMetadata"+id]
		leader, leaderSent := first["LeaderAndIsr"+id]
		if !updateSent || !leaderSent || update > leader {
			t.Errorf("broker %s: UpdateMetadata at %d, LeaderAndIsr at %d", id, update, leader)
		}
	}
	if got := h.m.c.replicaState(replicaID{tp("t", 1), 2}); got != offlineReplica {
		t.Errorf("the replica on the failed broker is %s at the start of the term", got)
	}
}

func TestPitfallController09_ABrokerThatShutsDownIsSentItsNewLeaders(t *testing.T) {
	h, s := busyCluster(t)
	s.play("shutdown 0")
	if !h.contains("LeaderAndIsr v7 -> 0") || h.leadership(tp("t", 0)) != "t-0 v1 leader=1 epoch=1 isr=1" {
		t.Errorf("%s\n%s", h.leadership(tp("t", 0)), h.take())
	}
}

func TestPitfallController11_StopReplicaCarriesTheLeaderEpoch(t *testing.T) {
	h, s := busyCluster(t)
	s.play("reassign t-0=2,0", "answer", "reassign t-0=cancel", "answer")
	if log := h.take(); !strings.Contains(log, "t-0 epoch=1 delete") {
		t.Errorf("the canceled replica is not deleted with the leader epoch that it was sent:\n%s", log)
	}
	s.play("delete doomed")
	if log := h.take(); !strings.Contains(log, "doomed-0 epoch=-2 delete") {
		t.Errorf("the deletion of a topic does not have the sentinel epoch:\n%s", log)
	}
}

func TestPitfallController12_AReassignmentIsInZooKeeperBeforeItIsInMemory(t *testing.T) {
	h, s := busyCluster(t)
	h.store.fail["SetTopic"] = fmt.Errorf("ZooKeeper failed")
	s.play("reassign t-0=2,0")
	if a := h.m.c.assignment(tp("t", 0)); beingReassigned(a) || h.m.c.reassigning[tp("t", 0)] {
		t.Errorf("in memory, but not in ZooKeeper: %s", assignmentText(a))
	}
	if !h.contains("t-0 UNKNOWN_SERVER_ERROR") {
		t.Errorf("answer: %s", h.take())
	}
	h.take()
	s.play("reassign t-0=2,0")
	// KAFKA-9212: memory has the new leader epoch. KAFKA-10314: only the added replica is new.
	if got, want := stateText(*h.m.c.leadership(tp("t", 0))), stateText(h.store.states[tp("t", 0)]); got != want {
		t.Errorf("memory has %s, ZooKeeper %s", got, want)
	}
	if news := strings.Count(strings.Join(h.lines, "\n"), " new"); news != 2 {
		t.Errorf("%d replicas are marked as new, want only the added one, in two requests:\n%s", news, h.take())
	}
}

func TestPitfallController13_ARepeatedAlterPartitionSucceeds(t *testing.T) {
	current := zkstore.PartitionState{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{1, 2}, Version: 9}
	live := func(id metadata.BrokerID) bool { return id != 3 }
	for _, c := range []struct {
		name      string
		wanted    zkstore.PartitionState
		version   int16
		code      protocol.ErrorCode
		unchanged bool
	}{
		{"the answer was lost", zkstore.PartitionState{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{1, 2}, Version: 8}, 3, protocol.None, true},
		{"a set in another order is a different set", zkstore.PartitionState{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{2, 1}, Version: 8}, 3, protocol.InvalidUpdateVersion, false},
		{"this controller is stale, by partition epoch", zkstore.PartitionState{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{1, 2}, Version: 10}, 3, protocol.NotController, false},
		{"this controller is stale, by leader epoch", zkstore.PartitionState{Leader: 1, LeaderEpoch: 6, ISR: []metadata.BrokerID{1}, Version: 9}, 3, protocol.NotController, false},
		{"an old leader", zkstore.PartitionState{Leader: 1, LeaderEpoch: 4, ISR: []metadata.BrokerID{1, 2}, Version: 9}, 3, protocol.FencedLeaderEpoch, false},
		{"a member that is not live", zkstore.PartitionState{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{1, 3}, Version: 9}, 2, protocol.IneligibleReplica, false},
		{"the same, with an old request version", zkstore.PartitionState{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{1, 3}, Version: 9}, 1, protocol.OperationNotAttempted, false},
		{"the same, from a leader of 2.8, which gives up after an error", zkstore.PartitionState{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{1, 3}, Version: 9}, 0, protocol.None, true},
		{"recovered does not become recovering", zkstore.PartitionState{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{1}, Recovering: true, Version: 9}, 3, protocol.InvalidRequest, false},
		{"a shrink", zkstore.PartitionState{Leader: 1, LeaderEpoch: 5, ISR: []metadata.BrokerID{1}, Version: 9}, 3, protocol.None, false},
	} {
		code, unchanged := checkAlteration(current, c.wanted, live, c.version)
		if code != c.code || unchanged != c.unchanged {
			t.Errorf("%s: %s, unchanged %t; want %s, %t", c.name, code, unchanged, c.code, c.unchanged)
		}
	}
}

func TestPitfallController14_BrokersAreNotifiedOfTheFailureOfABrokerWithoutPartitions(t *testing.T) {
	h, s := busyCluster(t)
	s.play("broker 3", "answer", "kill 2", "answer")
	h.take()
	s.play("kill 3") // while another broker is offline too and its elections fail
	for _, id := range []metadata.BrokerID{0, 1} {
		if !h.contains(fmt.Sprintf("UpdateMetadata v8 -> %d be=%d ce=1 brokers=0,1", id, h.store.brokers[id].Epoch)) {
			t.Errorf("broker %d was not notified:\n%s", id, strings.Join(h.lines, "\n"))
		}
	}
}

func TestPitfallController15_ATopicIDIsNeverReplaced(t *testing.T) {
	h := started(t, func(c *Config) { c.IBP = "2.7" }, 0, 1, 2)
	s := &scenario{t: t, h: h}
	s.play("topic t 0=0,1", "topic old noid 0=0", "answer") // t has an id from a time with a later protocol version
	id := h.store.topics["t"].ID
	s.play("reassign t-0=2,0", "topic t 1=0,1", "answer")
	if got := h.store.topics["t"].ID; got != id {
		t.Errorf("id %x became %x", id, got)
	}
	if got := h.store.topics["old"].ID; got != (TopicID{}) {
		t.Errorf("with protocol version 2.7 a topic got the id %x", got)
	}
	h.cfg.IBP = "3.9"
	s.play("restart")
	if h.store.topics["t"].ID != id || h.store.topics["old"].ID == (TopicID{}) {
		t.Errorf("after the upgrade: %x and %x", h.store.topics["t"].ID, h.store.topics["old"].ID)
	}
}

func TestATopicIDThatAToolDropsIsRestoredAtOnce(t *testing.T) {
	for _, ibp := range []string{"3.9", "2.7"} {
		h := started(t, func(c *Config) { c.IBP = ibp }, 0, 1, 2)
		s := &scenario{t: t, h: h}
		s.play("topic t 0=0,1", "answer")
		id := h.store.topics["t"].ID
		h.take()
		s.play("topic t noid 0=0,1", "answer")
		if got := h.store.topics["t"].ID; got != id || id == (TopicID{}) {
			t.Errorf("IBP %s: id %x became %x", ibp, id, got)
		}
		if h.contains("LeaderAndIsr") || h.contains("UpdateMetadata") {
			t.Errorf("IBP %s: brokers were sent requests:\n%s", ibp, h.take())
		}
		s.play("topic t noid 0=0,1 1=1,2", "answer") // this is how the tool of 2.8 adds a partition
		if got := h.store.topics["t"]; got.ID != id || len(got.Partitions) != 2 || len(h.store.states) != 2 {
			t.Errorf("IBP %s: after a partition was added: %+v", ibp, got)
		}
	}
}

// If a tool without support for topic ids deletes a topic and creates it again while there is no
// controller, the new topic must not get the id that the broker knows.
func TestATopicCreatedAgainWithoutAControllerGetsANewID(t *testing.T) {
	known := map[string]TopicID{}
	h := started(t, func(c *Config) { c.KnownTopicID = func(topic string) TopicID { return known[topic] } }, 0, 1, 2)
	s := &scenario{t: t, h: h}
	s.play("topic t 0=0,1", "answer")
	node := h.store.topics["t"]
	known["t"], node.ID = node.ID, TopicID{}
	h.store.topics["t"] = node
	clear(h.store.states) // tools do not create states
	s.play("restart", "answer")
	if got := h.store.topics["t"].ID; got == (TopicID{}) || got == known["t"] {
		t.Errorf("the topic has the id %x, and the deleted one had %x", got, known["t"])
	}
}

func TestANewControllerKeepsTheTopicIDThatItsBrokerKnows(t *testing.T) {
	known := map[string]TopicID{}
	h := started(t, func(c *Config) { c.KnownTopicID = func(topic string) TopicID { return known[topic] } }, 0, 1, 2)
	s := &scenario{t: t, h: h}
	s.play("topic t 0=0,1", "topic u 0=0,1", "answer")
	id := h.store.topics["t"].ID
	known["t"], known["late"] = id, id
	for _, name := range []string{"t", "u"} { // while there is no controller
		node := h.store.topics[name]
		node.ID = TopicID{}
		h.store.topics[name] = node
	}
	s.play("restart", "answer")
	if got := h.store.topics["t"].ID; got != id {
		t.Errorf("id %x became %x", id, got)
	}
	if got := h.store.topics["u"].ID; got == (TopicID{}) || got == id {
		t.Errorf("a topic with an unknown id got the id %x", got)
	}
	// A topic that is created while there is a controller is a new one, even if its name was used
	// before.
	s.play("topic late noid 0=0,1", "answer")
	if got := h.store.topics["late"].ID; got == (TopicID{}) || got == id {
		t.Errorf("a new topic got the id %x", got)
	}
}

func TestPitfallController16_ATopicCreatedAgainAtOnceIsNoticed(t *testing.T) {
	h, s := busyCluster(t)
	s.play("delete doomed", "answer")
	h.take()
	// A client creates the topic again between the deletion of the nodes and the next event.
	s.play("topic doomed 0=0,1")
	if h.leadership(tp("doomed", 0)) != "doomed-0 v0 leader=0 epoch=0 isr=0,1" {
		t.Errorf("%s\n%s", h.leadership(tp("doomed", 0)), h.take())
	}
	if _, watched := h.store.nodes[zkstore.TopicPath("doomed")]; !watched {
		t.Error("the new topic is not watched")
	}
}

func TestPitfallController20_OneRequestPerBrokerNotPerPartition(t *testing.T) {
	h := started(t, nil, 0, 1, 2)
	var assignments []zkstore.Assignment
	for i := range metadata.BrokerID(300) {
		assignments = append(assignments, replicas(i%3, (i+1)%3, (i+2)%3))
	}
	h.store.putTopic(topicNode("many", assignments...))
	h.run()
	h.answer()
	h.take()
	h.store.unregister(1)
	h.run()
	sent := map[string]int{}
	for _, line := range h.lines {
		if kind, _, ok := strings.Cut(line, " v"); ok && strings.Contains(line, "->") {
			sent[kind]++
		}
	}
	// Each of two brokers gets one for the elections and one for the changes of in-sync sets.
	if sent["LeaderAndIsr"] != 4 || sent["UpdateMetadata"] != 4 {
		t.Errorf("sent %v", sent)
	}
}

func TestPitfallController21_EnablingUncleanElectionTakesEffectAtOnce(t *testing.T) {
	for _, how := range []string{"unclean", "unclean t"} {
		h, s := busyCluster(t)
		s.play("alter 1 t-1 epoch=0 version=0 isr=1", "kill 1")
		if got := h.store.states[tp("t", 1)].Leader; got != metadata.NoBroker {
			t.Fatalf("leader %d is out of sync", got)
		}
		s.play(how)
		if got := h.leadership(tp("t", 1)); got != "t-1 v3 leader=2 epoch=2 isr=2 recovering" {
			t.Errorf("%s: %s", how, got)
		}
	}
}

func TestAnAnswerFromAnEarlierTermIsIgnored(t *testing.T) {
	h, s := busyCluster(t)
	s.play("restart")
	resp := kmsg.NewPtrLeaderAndISRResponse()
	topic := kmsg.NewLeaderAndISRResponseTopic()
	topic.TopicID = h.store.topics["t"].ID
	p := kmsg.NewLeaderAndISRResponseTopicPartition()
	p.ErrorCode = int16(protocol.KafkaStorageError)
	topic.Partitions = append(topic.Partitions, p)
	resp.Topics = append(resp.Topics, topic)
	h.put(leaderAndISRAnswered{1, 0, resp})
	if !h.m.c.replicaOnline(0, tp("t", 0)) {
		t.Error("an answer to a request of epoch 1 changed the state in epoch 2")
	}
	h.put(leaderAndISRAnswered{2, 0, resp})
	if h.m.c.replicaOnline(0, tp("t", 0)) {
		t.Error("an answer to a request of this term was ignored")
	}
}

// deletingTopic returns a controller that has begun to delete the topic doomed, whose one partition
// has replicas on the brokers 0 and 1. The requests to the brokers are not answered yet.
func deletingTopic(t *testing.T) *harness {
	t.Helper()
	h := started(t, nil, 0, 1)
	h.store.putTopic(zkstore.TopicNode{Name: "doomed", Partitions: map[int32]zkstore.Assignment{0: replicas(0, 1)}})
	h.run()
	h.answer()
	h.store.markDeletion("doomed")
	h.run()
	return h
}

// Brokers are sent requests to stop a topic's replicas before those to delete them. Only answers to
// the latter mean that the data is deleted.
func TestAnswersToStopsWithoutDeletionDoNotCountAsDeletions(t *testing.T) {
	h := deletingTopic(t)
	deletes := func(p pending) bool {
		req, ok := p.req.(*kmsg.StopReplicaRequest)
		return ok && slices.ContainsFunc(req.Topics, func(t kmsg.StopReplicaRequestTopic) bool {
			return slices.ContainsFunc(t.PartitionStates, func(s kmsg.StopReplicaRequestTopicPartitionState) bool { return s.Delete })
		})
	}
	stops := 0
	for _, id := range []metadata.BrokerID{0, 1} {
		for _, p := range h.queues[id] {
			if deletes(p) {
				break
			}
			if _, ok := p.req.(*kmsg.StopReplicaRequest); ok {
				stops++
			}
			if p.answered != nil {
				p.answered(h.respond(id, p.req))
			}
		}
	}
	h.run()
	if stops != 2 || h.store.topics["doomed"].Name == "" {
		t.Fatalf("the topic was deleted after answers to %d requests without deletion: %v", stops, h.take())
	}
	h.answer()
	if h.store.topics["doomed"].Name != "" {
		t.Error("the topic still exists after its replicas were deleted")
	}
}

// An error of a whole response counts for all partitions that it lists, whatever their own codes are.
func TestARefusedStopReplicaRequestDeletesNothing(t *testing.T) {
	h := deletingTopic(t)
	for _, id := range []metadata.BrokerID{0, 1} {
		for _, p := range h.queues[id] {
			if p.answered == nil {
				continue
			}
			resp := h.respond(id, p.req)
			if stopped, ok := resp.(*kmsg.StopReplicaResponse); ok {
				stopped.ErrorCode = int16(protocol.StaleControllerEpoch)
			}
			p.answered(resp)
		}
	}
	h.run()
	if h.store.topics["doomed"].Name == "" {
		t.Errorf("the topic was deleted although both brokers refused: %v", h.take())
	}
}

func TestABrokerWithoutTheListenerDoesNotAffectOtherBrokers(t *testing.T) {
	h := started(t, nil, 0)
	h.store.brokers[5] = zkstore.BrokerInfo{ID: 5, Epoch: 500}
	h.store.register(1, "")
	h.run()
	if h.m.c.registered(5) || !h.m.c.registered(1) {
		t.Errorf("registered: %v", h.m.c.registeredIDs())
	}
	if !strings.Contains(h.log.String(), "Ignoring registration of broker 5: it advertises no listener PLAINTEXT") {
		t.Error("the log does not give the reason")
	}
}

func TestAFailedFailoverEndsTheTerm(t *testing.T) {
	for _, operation := range []string{"Brokers", "Topics", "TopicNodes", "PartitionStates", "TopicDeletions", "LogDirEvents", "ISRChanges", "Arm", "PartitionReassignments", "PreferredElections"} {
		h := newHarness(t, nil)
		h.store.register(0, "")
		h.store.reassignments = map[TopicPartition][]metadata.BrokerID{{Topic: "t"}: {0}}
		h.store.putTopic(topicNode("t", replicas(0)))
		h.store.fail[operation] = fmt.Errorf("failed")
		h.put(Startup{}) // it deletes /controller, is notified of that, and waits a second before the next election
		if !h.contains("zk delete /controller") {
			t.Errorf("%s failed: /controller was not deleted", operation)
		}
		if h.m.Active() || h.store.controller != nil {
			t.Errorf("%s failed: the broker was elected again at once", operation)
		}
		h.fire()
		if !h.m.Active() || h.m.c.epoch != 2 {
			t.Errorf("%s failed: active %t, epoch %d after the second election", operation, h.m.Active(), h.m.c.epoch)
		}
	}
}

func TestFinalizedFeaturesFollowTheProtocolVersion(t *testing.T) {
	for ibp, want := range map[string]string{
		"2.6": "v1 enabled=false", "2.7-IV0": "v1 enabled=true", "3.2": "v1 enabled=true", "3.3-IV0": "v2 enabled=true", "3.9": "v2 enabled=true",
	} {
		h := newHarness(t, func(c *Config) { c.IBP = ibp })
		h.put(Startup{})
		if !h.contains("zk create /feature " + want) {
			t.Errorf("%s: %s", ibp, h.take())
		}
	}
	h := newHarness(t, nil) // the node of an older broker is rewritten
	h.store.feature = &zkstore.FeatureNode{JSONVersion: 1, Enabled: true}
	h.put(Startup{})
	if !h.contains("zk set /feature v2 enabled=true") {
		t.Error(h.take())
	}
}

func TestUpdateFeaturesReturnsKafkasErrors(t *testing.T) {
	h := started(t, func(c *Config) { c.SupportedFeatures = map[string]zkstore.FeatureRange{"f": {Min: 1, Max: 3}} }, 0)
	b := h.store.brokers[0]
	b.Features = map[string]zkstore.FeatureRange{"f": {Min: 1, Max: 2}}
	h.m.c.brokers[0] = b
	update := func(updates ...FeatureUpdate) (results map[string]error) {
		h.put(updateFeatures{updates: updates, done: func(r map[string]error, err error) {
			if err != nil {
				t.Error(err)
			}
			results = r
		}})
		return results
	}
	for _, c := range []struct {
		update FeatureUpdate
		want   string
	}{
		{FeatureUpdate{"", 1, UpgradeOnly}, "Feature name can not be empty."},
		{FeatureUpdate{"f", 1, 0}, "Received unknown upgrade type."},
		{FeatureUpdate{"g", 1, UpgradeOnly}, "Could not apply finalized feature update because the provided feature is not supported."},
		{FeatureUpdate{"f", 0, UpgradeOnly}, "Can not provide versionLevel: 0 less than 1 without setting the SAFE downgradeType in the request."},
		{FeatureUpdate{"f", 0, SafeDowngrade}, "Can not delete non-existing finalized feature."},
		{FeatureUpdate{"f", 3, UpgradeOnly}, "Could not apply finalized feature update because brokers were found to have incompatible versions for the feature."},
		{FeatureUpdate{"f", 2, UpgradeOnly}, ""},
		{FeatureUpdate{"f", 2, UpgradeOnly}, "Can not upgrade a finalized feature from existing versionLevel:2 to the same value."},
		{FeatureUpdate{"f", 1, UpgradeOnly}, "Can not downgrade finalized feature from existing versionLevel:2 to provided versionLevel:1 without setting the downgradeType to SAFE in the request."},
		{FeatureUpdate{"f", 3, SafeDowngrade}, "When the downgradeType is set to SAFE in the request, the provided versionLevel:3 can not be greater than existing versionLevel:2."},
		{FeatureUpdate{"f", 1, SafeDowngrade}, ""},
		{FeatureUpdate{"f", 0, SafeDowngrade}, ""},
	} {
		got := ""
		if err := update(c.update)[c.update.Feature]; err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.update, got, c.want)
		}
	}
	if len(h.store.feature.Features) != 0 {
		t.Errorf("left: %v", h.store.feature.Features)
	}
}

func TestStatsMatchTheStateOfTheController(t *testing.T) {
	h, s := busyCluster(t)
	s.play("alter 1 t-1 epoch=0 version=0 isr=1", "kill 1", "answer", "kill 2", "answer", "delete doomed", "answer")
	got := h.m.stats()
	want := Stats{ActiveControllers: 1, OfflinePartitions: 1, PreferredReplicaImbalance: 1, Topics: 2, Partitions: 3,
		TopicsToDelete: 1, ReplicasToDelete: 2, TopicsIneligibleToDelete: 1, ReplicasIneligible: 2, ActiveBrokers: 1}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if ids := h.m.c.liveIDs(); !slices.Equal(ids, []metadata.BrokerID{0}) {
		t.Errorf("live: %v", ids)
	}
}
