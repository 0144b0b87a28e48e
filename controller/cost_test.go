package controller

import (
	"math/rand"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// manyIDs returns half a million different broker ids, which fit into 2 MB of a request.
func manyIDs() []metadata.BrokerID {
	ids := make([]metadata.BrokerID, 1<<19)
	for i := range ids {
		ids[i] = metadata.BrokerID(i)
	}
	return ids
}

// The work of the event goroutine for the longest possible replica list depends only on the number
// of brokers. Work that is quadratic in the length of the list would take hours here.
func TestLongReplicaListsDoNotBlockTheController(t *testing.T) {
	h := newHarness(t, nil)
	for _, id := range []metadata.BrokerID{0, 1, 2} {
		h.store.register(id, "")
	}
	h.store.putTopic(topicNode("t", replicas(0, 1)))
	h.put(Startup{})
	h.answer()
	twice := append(manyIDs(), 7)
	existing, unknown := TopicPartition{Topic: "t"}, TopicPartition{Topic: "none"}
	for name, target := range map[string][]metadata.BrokerID{"different": manyIDs(), "repeated": twice, "negative": append(manyIDs(), -1)} {
		answered := false
		Requests{h}.AlterPartitionReassignments(map[TopicPartition][]metadata.BrokerID{existing: target, unknown: target}, func(results map[TopicPartition]error, err error) {
			answered = err == nil && len(results) == 2
			for tp, err := range results {
				if protocol.CodeOf(err) != protocol.InvalidReplicaAssignment {
					t.Errorf("%s ids for %s: %v", name, tp, protocol.CodeOf(err))
				}
				if message := protocol.MessageOf(err); len(*message) < len(target) {
					t.Errorf("%s ids for %s: the message lacks the list: %.100s", name, tp, *message)
				}
			}
		})
		h.run()
		if !answered {
			t.Errorf("%s ids: not answered", name)
		}
	}
	before := len(h.log.String())
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 1, 0, h.m.c.brokers[0].Epoch
	state := *h.m.c.leadership(existing)
	for _, isr := range [][]metadata.BrokerID{manyIDs(), make([]metadata.BrokerID, 1<<19)} {
		p := kmsg.NewAlterPartitionRequestTopicPartition()
		p.LeaderEpoch, p.PartitionEpoch, p.NewISR = int32(state.LeaderEpoch), int32(state.Version), metadata.Int32s(isr)
		req.Topics = []kmsg.AlterPartitionRequestTopic{{Topic: "t", Partitions: []kmsg.AlterPartitionRequestTopicPartition{p}}}
		code := protocol.None
		Requests{h}.AlterPartition(req, func(resp *kmsg.AlterPartitionResponse) {
			code = protocol.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
		})
		h.run()
		if code != protocol.OperationNotAttempted {
			t.Errorf("an in-sync set of half a million: %s", code)
		}
	}
	if logged := len(h.log.String()) - before; logged > 1<<14 {
		t.Errorf("%d bytes were logged about invalid in-sync sets", logged)
	}
	if now := *h.m.c.leadership(existing); !sameState(now, state) {
		t.Errorf("the state changed from %s to %s", stateText(state), stateText(now))
	}
}

// The event goroutine refuses such a list without computing what it would add.
func TestTheReplicasOfALongListAreNotComputed(t *testing.T) {
	target, live := manyIDs(), []metadata.BrokerID{0, 1, 2}
	var err error
	if n := testing.AllocsPerRun(1, func() { err = checkTargetBrokers(replicas(0, 1), target, live) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
	if protocol.CodeOf(err) != protocol.InvalidReplicaAssignment {
		t.Errorf("%v", err)
	}
}

func sameState(a, b zkstore.PartitionState) bool { return stateText(a) == stateText(b) }

// The log names only some of the unknown partitions of a request, not millions.
func TestElectionsOfUnknownPartitionsAreLoggedBriefly(t *testing.T) {
	h := newHarness(t, nil)
	h.store.register(0, "")
	h.put(Startup{})
	h.log.Reset()
	var unknown []TopicPartition
	for i := range int32(100_000) {
		unknown = append(unknown, TopicPartition{Topic: "none", Partition: i})
	}
	found := 0
	Requests{h}.ElectLeaders(unknown, ElectPreferred, func(results map[TopicPartition]ElectionResult, _ error) { found = len(results) })
	h.run()
	if found != len(unknown) || h.log.Len() > 1<<16 {
		t.Errorf("%d of %d partitions were answered, %d bytes were logged", found, len(unknown), h.log.Len())
	}
}

// The time for one more topic is proportional to the number of topics, since ZooKeeper lists all of
// them. It must not grow quadratically. The test compares the shortest of several measurements,
// because the others depend on the load of the machine.
func TestTheCostOfOneMoreTopicGrowsLinearly(t *testing.T) {
	const few, many = 500, 4000
	small, large := topicCluster(t), topicCluster(t)
	small.createTopics(0, few, few)
	large.createTopics(0, many, many)
	least := [2]time.Duration{time.Hour, time.Hour}
	for i := range 25 {
		for j, h := range []*harness{small, large} {
			start := time.Now()
			h.createTopics(many+i, many+i+1, 1)
			least[j] = min(least[j], time.Since(start))
		}
	}
	if ratio := float64(least[1]) / float64(least[0]); ratio > 3*many/few {
		t.Errorf("with %d times as many topics, one more topic costs %.1f times as much", many/few, ratio)
	}
}

// newTopics, which compares the list with the last one, finds the same topics as a lookup of all
// names, whatever the order of the list and whichever topics are created and deleted.
func TestNewTopicsReturnsTheUnknownTopics(t *testing.T) {
	for seed := range int64(200) {
		r := rand.New(rand.NewSource(seed))
		c := newControllerContext()
		var list []string
		for range 40 {
			for range r.Intn(12) { // deletions by the controller itself
				if i := r.Intn(len(list) + 1); i < len(list) && r.Intn(2) == 0 {
					c.removeTopic(list[i])
					if r.Intn(3) > 0 {
						list = slices.Delete(list, i, i+1)
					} // else the topic was created again
				}
			}
			for range r.Intn(30) {
				switch name := manyTopic(r.Intn(200)); {
				case slices.Contains(list, name):
				default:
					list = slices.Insert(list, r.Intn(len(list)+1), name)
				}
			}
			if r.Intn(10) == 0 { // as when a hash table grows
				r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			}
			var want []string
			for _, name := range list {
				if c.topics[name] == nil {
					want = append(want, name)
				}
			}
			slices.Sort(want)
			added, known := c.newTopics(slices.Clone(list))
			if !slices.Equal(added, want) || known != len(list)-len(want) {
				t.Fatalf("seed %d: %d known topics and new topics %q, want %d and %q", seed, known, added, len(list)-len(want), want)
			}
			for _, name := range added {
				c.addTopic(name)
			}
			for _, name := range slices.Clone(c.sortedTopics()) {
				if !slices.Contains(list, name) {
					c.removeTopic(name)
				}
			}
			c.list(slices.Clone(list))
		}
	}
}

// The work for an answer about one topic does not depend on the number of topics to be deleted.
func TestADeletionCostsTheSameHoweverManyAreQueued(t *testing.T) {
	allocations := func(count int) uint64 {
		h := topicCluster(t)
		h.createTopics(0, count, count)
		for i := range count {
			h.store.markDeletion(manyTopic(i))
			h.run()
		}
		h.lines = nil
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for len(h.m.c.topics) > count-5 {
			for id := range h.queues {
				first := h.queues[id][0]
				h.queues[id] = h.queues[id][1:]
				if first.answered != nil {
					first.answered(h.respond(id, first.req))
				}
				h.run()
			}
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	if few, many := allocations(100), allocations(800); many > 2*few {
		t.Errorf("five deletions make %d allocations with 100 queued topics and %d with 800", few, many)
	}
}
