package controller

import (
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// electable returns parts with four topics of one partition: the preferred replica of "balanced"
// leads, that of "moved" does not, that of "behind" is out of sync, and "deleted" is to be deleted.
func electable(t *testing.T) (*parts, *electionRequests) {
	p := newParts(t, 0, 1)
	for _, topic := range []string{"balanced", "moved", "behind", "deleted"} {
		p.create(topic, replicas(1, 0))
	}
	for topic, isr := range map[string][]metadata.BrokerID{"moved": {0, 1}, "behind": {0}} {
		at := tp(topic, 0)
		p.store.putState(at, zkstore.PartitionState{ControllerEpoch: 1, Leader: 0, ISR: isr})
		p.c.setLeadership(at, p.store.states[at])
	}
	p.c.deletionQueue.add("deleted")
	return p, &electionRequests{c: p.c, store: p.store, agenda: p.harness, partitions: p.partitions, log: p.partitions.log}
}

// A request for named partitions has a result for each of them. A request for all partitions omits
// those that need no election.
func TestARequestedElectionHasAResultForEachPartition(t *testing.T) {
	want := map[string]ElectionResult{
		"balanced": {1, protocol.ElectionNotNeeded}, "moved": {1, nil}, "behind": {metadata.NoBroker, protocol.PreferredLeaderNotAvailable},
		"deleted": {metadata.NoBroker, protocol.InvalidTopicException}, "unknown": {metadata.NoBroker, protocol.UnknownTopicOrPartition},
	}
	var named []TopicPartition
	for _, topic := range sortedKeys(want) {
		named = append(named, tp(topic, 0))
	}
	for _, partitions := range [][]TopicPartition{named, nil} {
		p, requests := electable(t)
		e := electionRequest{partitions: partitions, type_: ElectPreferred, trigger: adminTriggered}
		tps, err := requests.partitionsOf(p.ctx, e)
		if err != nil {
			t.Fatal(err)
		}
		results, err := requests.run(p.ctx, e, tps)
		if err != nil {
			t.Fatal(err)
		}
		for topic, w := range want {
			got, answered := results[tp(topic, 0)]
			omitted := partitions == nil && (topic == "balanced" || topic == "unknown")
			if answered == omitted || answered && (got.Leader != w.Leader || protocol.CodeOf(got.Err) != protocol.CodeOf(w.Err)) {
				t.Errorf("all partitions: %t: %s: answered %t, leader %d, %v; want %d, %v", partitions == nil, topic, answered, got.Leader, got.Err, w.Leader, w.Err)
			}
		}
	}
}

// The node of an old tool is deleted whatever the results, and read again for what a tool has
// requested in the meantime.
func TestTheNodeOfAnElectionIsDeletedAndReadAgain(t *testing.T) {
	p, requests := electable(t)
	p.store.preferred = []TopicPartition{tp("moved", 0), tp("behind", 0)}
	if err := requests.resumePreferred(p.ctx); err != nil {
		t.Fatal(err)
	}
	if got, want := p.leadership(tp("moved", 0)), "moved-0 v3 leader=1 epoch=1 isr=0,1"; got != want || p.store.preferred != nil {
		t.Errorf("got %s, want %s; left in the node: %v", got, want, p.store.preferred)
	}
	if len(p.events) != 1 {
		t.Fatalf("events %v", p.events)
	}
	e, ok := p.events[0].(electionRequest)
	if !ok || e.trigger != zkTriggered {
		t.Fatalf("event %v", p.events[0])
	}
	if tps, err := requests.partitionsOf(p.ctx, e); err != nil || tps != nil {
		t.Errorf("the node is deleted, but names %v, %v", tps, err)
	}
}
