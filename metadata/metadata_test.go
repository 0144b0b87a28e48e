package metadata

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func partitionState(topic string, partition, leader, epoch int32) kmsg.UpdateMetadataRequestTopicPartition {
	s := kmsg.NewUpdateMetadataRequestTopicPartition()
	s.Topic, s.Partition, s.Leader, s.LeaderEpoch = topic, partition, leader, epoch
	s.ISR, s.Replicas = []int32{leader}, []int32{leader, leader + 1}
	return s
}

func update(topic string, id TopicID, states ...kmsg.UpdateMetadataRequestTopicPartition) *kmsg.UpdateMetadataRequest {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version = 8
	req.ControllerID = 1
	if topic != "" {
		t := kmsg.NewUpdateMetadataRequestTopicState()
		t.Topic, t.TopicID, t.PartitionStates = topic, id, states
		req.TopicStates = append(req.TopicStates, t)
	}
	return req
}

func withBroker(req *kmsg.UpdateMetadataRequest, id int32, listener string) *kmsg.UpdateMetadataRequest {
	b := kmsg.NewUpdateMetadataRequestLiveBroker()
	b.ID = id
	e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
	e.Host, e.Port, e.ListenerName = "h", 9092, listener
	b.Endpoints = append(b.Endpoints, e)
	req.LiveBrokers = append(req.LiveBrokers, b)
	return req
}

func TestNewCacheKnowsNothing(t *testing.T) {
	s := NewCache().Snapshot()
	if s.ControllerID != NoBroker || len(s.Brokers) != 0 || s.Partition("t", 0) != nil {
		t.Errorf("%+v", s)
	}
}

// Requests before v5 cannot have topic ids, so they do not change a known id. Requests of v5 and v6
// remove it. A topic that is created again does not get the id of the deleted one.
func TestTheIDOfATopicOutlivesRequestsThatCannotHaveIDs(t *testing.T) {
	id := TopicID{9}
	for version, want := range map[int16]TopicID{0: id, 4: id, 5: {}, 6: {}, 7: {7}} {
		c := NewCache()
		c.Apply(update("t", id, partitionState("", 0, 1, 1)))
		again := func(leader int32) {
			req := update("t", want, partitionState("t", 0, leader, 2))
			if version < 5 {
				req.PartitionStates, req.TopicStates = req.TopicStates[0].PartitionStates, nil
			}
			req.Version = version
			c.Apply(req)
		}
		again(2)
		s := c.Snapshot()
		if got := s.Topics["t"].ID; got != want || s.Partition("t", 0).Leader != 2 || (s.Names[id] == "t") != (want == id) {
			t.Errorf("after v%d: id %x, names %v", version, got, s.Names)
		}
		if version < 5 {
			again(int32(LeaderDuringDelete))
			again(1)
			if got := c.Snapshot().Topics["t"].ID; got != (TopicID{}) {
				t.Errorf("v%d: a topic created again has the id %x", version, got)
			}
		}
	}
}

func TestUpdateReplacesListedPartitionsAndKeepsOthers(t *testing.T) {
	c := NewCache()
	id := TopicID{9}
	c.Apply(update("t", id, partitionState("", 0, 1, 1), partitionState("", 1, 1, 1)))
	before := c.Snapshot()
	c.Apply(update("t", id, partitionState("", 1, 2, 5)))
	s := c.Snapshot()
	if p := s.Partition("t", 0); p == nil || p.Leader != 1 {
		t.Errorf("partition 0 %+v", p)
	}
	if p := s.Partition("t", 1); p == nil || p.Leader != 2 || p.LeaderEpoch != 5 || !slices.Equal(p.Replicas, []BrokerID{2, 3}) {
		t.Errorf("partition 1 %+v", p)
	}
	if p := before.Partition("t", 1); p.Leader != 1 {
		t.Error("an old snapshot was changed")
	}
	if s.Names[id] != "t" || s.Topics["t"].ID != id {
		t.Error("the topic id and name do not map to each other")
	}
}

// An update without partitions does not change the maps of topics, and one that changes no topic's
// id does not change the names. They are not copied for each of many updates.
func TestUnchangedMapsAreShared(t *testing.T) {
	same := func(a, b any) bool { return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() }
	c := NewCache()
	c.Apply(update("t", TopicID{1}, partitionState("t", 0, 1, 1), partitionState("t", 1, 1, 1)))
	first := c.Snapshot()
	c.Apply(withBroker(update("", TopicID{}), 1, "PLAINTEXT"))
	brokers := c.Snapshot()
	if !same(first.Topics, brokers.Topics) || !same(first.Names, brokers.Names) {
		t.Error("an update of the brokers copied the topics")
	}
	c.Apply(update("t", TopicID{1}, partitionState("t", 0, 2, 2)))
	leader := c.Snapshot()
	if same(brokers.Topics, leader.Topics) || !same(brokers.Names, leader.Names) || first.Partition("t", 0).Leader != 1 || leader.Partition("t", 0).Leader != 2 {
		t.Errorf("after an update of a leader: %+v, before %+v", leader.Topics["t"], first.Topics["t"])
	}
	c.Apply(update("t", TopicID{2}, partitionState("t", 0, 2, 2)))
	if now := c.Snapshot().Names; len(now) != 1 || now[TopicID{2}] != "t" || leader.Names[TopicID{1}] != "t" {
		t.Errorf("after a change of id: %v, before %v", now, leader.Names)
	}
	c.Apply(update("t", TopicID{2}, partitionState("t", 0, int32(LeaderDuringDelete), 0), partitionState("t", 1, int32(LeaderDuringDelete), 0)))
	if s := c.Snapshot(); len(s.Names) != 0 || len(s.Topics) != 0 {
		t.Errorf("after deletion of the topic: %v and %v", s.Names, s.Topics)
	}
}

func TestUpdateAlwaysReplacesBrokersAndController(t *testing.T) {
	c := NewCache()
	c.Apply(withBroker(withBroker(update("", TopicID{}), 1, "PLAINTEXT"), 2, "PLAINTEXT"))
	next := withBroker(update("", TopicID{}), 2, "SSL")
	next.ControllerID = -1
	c.Apply(next)
	s := c.Snapshot()
	if len(s.Brokers) != 1 || s.Brokers[2].Endpoints["SSL"].Port != 9092 || s.ControllerID != NoBroker {
		t.Errorf("%+v", s)
	}
}

func TestLeaderMinusTwoRemovesPartitionsAndTheEmptyTopic(t *testing.T) {
	c := NewCache()
	id := TopicID{3}
	c.Apply(update("t", id, partitionState("", 0, 1, 1), partitionState("", 1, 1, 1)))
	deleted := c.Apply(update("t", id, partitionState("", 0, int32(LeaderDuringDelete), 1)))
	if !slices.Equal(deleted, []TopicPartition{{"t", 0}}) || c.Snapshot().Partition("t", 1) == nil {
		t.Errorf("deleted %v", deleted)
	}
	deleted = c.Apply(update("t", id, partitionState("", 1, int32(LeaderDuringDelete), 1), partitionState("", 7, int32(LeaderDuringDelete), 1)))
	if !slices.Equal(deleted, []TopicPartition{{"t", 1}}) {
		t.Errorf("deleted %v, want the partition that was known", deleted)
	}
	if s := c.Snapshot(); s.Topics["t"] != nil || s.Names[id] != "" {
		t.Errorf("the topic or its id is left: %+v", s)
	}
}

func TestZeroTopicIDDropsTheKnownOne(t *testing.T) {
	c := NewCache()
	c.Apply(update("t", TopicID{3}, partitionState("", 0, 1, 1)))
	c.Apply(update("t", TopicID{}, partitionState("", 0, 1, 1)))
	if s := c.Snapshot(); s.Topics["t"].ID != (TopicID{}) || len(s.Names) != 0 {
		t.Errorf("%+v", s.Names)
	}
}

func TestUngroupedPartitionsOfOldVersions(t *testing.T) {
	c := NewCache()
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version = 0
	req.PartitionStates = []kmsg.UpdateMetadataRequestTopicPartition{partitionState("a", 0, 1, 0), partitionState("b", 2, 1, 0)}
	b := kmsg.NewUpdateMetadataRequestLiveBroker()
	b.ID, b.Host, b.Port = 4, "old", 9
	req.LiveBrokers = append(req.LiveBrokers, b)
	c.Apply(req)
	s := c.Snapshot()
	if s.Partition("a", 0) == nil || s.Partition("b", 2) == nil {
		t.Errorf("%+v", s.Topics)
	}
	if e := s.Brokers[4].Endpoints["PLAINTEXT"]; e.Host != "old" || e.Port != 9 {
		t.Errorf("endpoint %+v", e)
	}
}

func TestEndpointsWithoutAListenerNameAreNamedAfterTheProtocol(t *testing.T) {
	c := NewCache()
	req := withBroker(update("", TopicID{}), 1, "")
	req.LiveBrokers[0].Endpoints[0].SecurityProtocol = 3
	c.Apply(req)
	if _, has := c.Snapshot().Brokers[1].Endpoints["SASL_SSL"]; !has {
		t.Errorf("%+v", c.Snapshot().Brokers[1])
	}
}

func TestASnapshotIsCompleteOnceAControllerHasSentPartitions(t *testing.T) {
	c := NewCache()
	check := func(what string, heard, complete bool) {
		t.Helper()
		if s := c.Snapshot(); s.Heard != heard || s.Complete != complete {
			t.Errorf("%s: heard %t, complete %t", what, s.Heard, s.Complete)
		}
	}
	check("at the start", false, false)
	c.Apply(withBroker(update("", TopicID{}), 1, "A")) // the first request of a new controller
	check("after the brokers", true, false)
	c.Apply(update("gone", TopicID{1}, partitionState("", 0, int32(LeaderDuringDelete), 0)))
	check("after a deleted partition", true, false)
	c.Apply(update("t", TopicID{1}, partitionState("", 0, 1, 1)))
	check("after a partition", true, true)
	c.Apply(withBroker(update("", TopicID{}), 1, "A"))
	check("after brokers only", true, true)
	c.Doubt()
	check("after a lost session", false, false)
	c.Confirm() // by a caller that has waited since before
	check("after a lost session, confirmed late", false, false)
	if s := c.Snapshot(); s.Partition("t", 0) == nil || s.Brokers[1] == nil {
		t.Errorf("the known state was lost: %+v", s)
	}
	c.Apply(withBroker(update("", TopicID{}), 1, "A"))
	c.Confirm()
	check("when there is no partition to send", true, true)
}

func TestAwaitEndsOnAMatchingSnapshotATimeoutOrACancelledContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache()
		complete := func(s *Snapshot) bool { return s.Complete }
		began := time.Now()
		if c.Await(context.Background(), time.Second, complete) || time.Since(began) != time.Second {
			t.Errorf("without an update: after %v", time.Since(began))
		}
		go func() {
			time.Sleep(100 * time.Millisecond)
			c.Apply(withBroker(update("", TopicID{}), 1, "A"))
			time.Sleep(100 * time.Millisecond)
			c.Apply(update("t", TopicID{1}, partitionState("", 0, 1, 1)))
		}()
		began = time.Now()
		if !c.Await(context.Background(), time.Second, complete) || time.Since(began) != 200*time.Millisecond {
			t.Errorf("with the second update: after %v", time.Since(began))
		}
		c.Doubt()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		began = time.Now()
		if c.Await(ctx, time.Second, complete) || time.Since(began) != 10*time.Millisecond {
			t.Errorf("with a context that ends: after %v", time.Since(began))
		}
	})
}

func TestChangedClosesOnlyWithTheNextUpdate(t *testing.T) {
	c := NewCache()
	first := c.Changed()
	select {
	case <-first:
		t.Fatal("closed before any update")
	default:
	}
	c.Apply(update("", TopicID{}))
	select {
	case <-first:
	default:
		t.Error("not closed by an update")
	}
	if second := c.Changed(); second == first {
		t.Error("the same channel again")
	}
}

func TestEveryNegativeControllerIsNone(t *testing.T) {
	c := NewCache()
	req := withBroker(update("", TopicID{}), 1, "A")
	req.ControllerID = -3
	c.Apply(req)
	if id := c.Snapshot().ControllerID; id != NoBroker {
		t.Errorf("controller %d", id)
	}
	req.ControllerID = 0
	c.Apply(req)
	if id := c.Snapshot().ControllerID; id != 0 {
		t.Errorf("controller %d", id)
	}
}

func TestOnlyVersion0HasABrokerAddressOutsideOfTheEndpoints(t *testing.T) {
	c := NewCache()
	c.Apply(withBroker(update("", TopicID{}), 1, "A"))
	if endpoints := c.Snapshot().Brokers[1].Endpoints; len(endpoints) != 1 || endpoints["A"].Host != "h" {
		t.Errorf("%v", endpoints)
	}
}

// Topics that swap their ids in one update are both known by their new ids, in whichever order they
// are processed.
func TestTopicsMaySwapTheirIDs(t *testing.T) {
	c := NewCache()
	a, b := TopicID{1}, TopicID{2}
	for range 30 {
		req := update("a", a, partitionState("", 0, 1, 1))
		req.TopicStates = append(req.TopicStates, update("b", b, partitionState("", 0, 1, 1)).TopicStates...)
		c.Apply(req)
		if s := c.Snapshot(); len(s.Names) != 2 || s.Names[a] != "a" || s.Names[b] != "b" {
			t.Fatalf("%v, want %v for a and %v for b", s.Names, a, b)
		}
		a, b = b, a
	}
}

// An update copies each topic once, however many of its partitions the update lists, and the map of
// names once, however many ids it changes.
func TestAnUpdateCopiesEachTopicAndTheNamesOnce(t *testing.T) {
	const many = 2000
	states := make([]kmsg.UpdateMetadataRequestTopicPartition, many)
	for i := range states {
		states[i] = partitionState("t", int32(i), 1, 1)
	}
	ungrouped := update("", TopicID{})
	ungrouped.Version, ungrouped.PartitionStates = 4, states
	topics := func(generation byte) *kmsg.UpdateMetadataRequest {
		req := update("", TopicID{})
		for i := range many {
			id := TopicID{generation, byte(i >> 8), byte(i)}
			req.TopicStates = append(req.TopicStates, update(fmt.Sprintf("t%d", i), id, partitionState("", 0, 1, 1)).TopicStates...)
		}
		return req
	}
	for what, requests := range map[string][2]*kmsg.UpdateMetadataRequest{
		"partitions":           {update("t", TopicID{1}, states...), update("t", TopicID{1}, states...)},
		"ungrouped partitions": {ungrouped, ungrouped},
		"topics with new ids":  {topics(1), topics(2)},
	} {
		c := NewCache()
		c.Apply(requests[0])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c.Apply(requests[1])
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > many*2000 {
			t.Errorf("%d bytes were allocated for %d %s", took, many, what)
		}
	}
}

// Nearly all calls of Await return at once. They need no timer.
func TestAwaitAllocatesNothingIfItReturnsAtOnce(t *testing.T) {
	c := NewCache()
	ctx := context.Background()
	always := func(*Snapshot) bool { return true }
	if n := testing.AllocsPerRun(10, func() { c.Await(ctx, time.Minute, always) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEndpointsOfEveryProtocolHaveItsName(t *testing.T) {
	for id, want := range []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"} {
		c := NewCache()
		req := withBroker(update("", TopicID{}), 1, "")
		req.LiveBrokers[0].Endpoints[0].SecurityProtocol = int16(id)
		c.Apply(req)
		if e := c.Snapshot().Brokers[1].Endpoints[want]; e.Listener != want || e.SecurityProtocol != int16(id) {
			t.Errorf("protocol %d: %v", id, c.Snapshot().Brokers[1].Endpoints)
		}
	}
}
