package controller

import (
	"math/rand"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Whatever the order of operations, all other sets are subsets of the queued topics, and a removed
// topic is in no set.
func TestTheSetsOfADeletionQueueAreSubsetsOfTheQueuedTopics(t *testing.T) {
	topics := []string{"a", "b", "c"}
	for seed := range int64(100) {
		r := rand.New(rand.NewSource(seed))
		q := newDeletionQueue()
		for range 50 {
			topic := topics[r.Intn(len(topics))]
			was := q.queued[topic]
			switch r.Intn(4) {
			case 0:
				q.add(topic)
				if !q.queued[topic] || !was && !q.due[topic] {
					t.Fatalf("seed %d: an added topic is not queued or not due: %+v", seed, q)
				}
			case 1:
				if halted := q.halt(topic); (len(halted) == 1) != was || q.ineligible[topic] != was {
					t.Fatalf("seed %d: halted %v: %+v", seed, halted, q)
				}
			case 2:
				if resumed := q.resume(topic); resumed != was || q.due[topic] != was || q.ineligible[topic] {
					t.Fatalf("seed %d: resumed %t: %+v", seed, resumed, q)
				}
			case 3:
				q.remove(topic)
				if q.queued[topic] {
					t.Fatalf("seed %d: %s is still queued", seed, topic)
				}
			}
			for _, set := range []map[string]bool{q.due, q.started, q.ineligible} {
				for topic := range set {
					if !q.queued[topic] {
						t.Fatalf("seed %d: %s is not queued: %+v", seed, topic, q)
					}
				}
			}
		}
	}
}

func TestATopicIsDeletedOnceAllReplicasHaveDeletedTheirData(t *testing.T) {
	p := newParts(t, 0, 1)
	p.create("t", replicas(0, 1))
	p.store.deletions["t"] = true
	p.c.deletionQueue.add("t")
	if err := p.deletions.resume(p.ctx); err != nil {
		t.Fatal(err)
	}
	// The brokers first forget the partition, then the replicas are stopped, then they are deleted.
	want := "UpdateMetadata 0, UpdateMetadata 1, " +
		"zk set t-0 v2 leader=-1 epoch=1 isr=1, zk set t-0 v3 leader=-1 epoch=2 isr=1, StopReplica 0, StopReplica 1, " +
		"StopReplica 0, StopReplica 1"
	if got := p.requests(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	at := tp("t", 0)
	for _, id := range []metadata.BrokerID{0, 1} {
		if _, exists := p.store.topics["t"]; !exists {
			t.Errorf("the topic is deleted before broker %d has answered", id)
		}
		if err := p.deletions.complete(p.ctx, []replicaID{{at, id}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, exists := p.store.topics["t"]; exists || p.c.topics["t"] != nil || p.c.deletionQueue.queued["t"] || len(p.store.deletions) > 0 {
		t.Errorf("the topic still exists: in ZooKeeper %t, in the context %v, queue %+v", exists, p.c.topics["t"], p.c.deletionQueue)
	}
}

// A replica on an offline broker, or one that cannot delete its data, halts the deletion until the
// topic is resumed.
func TestAHaltedDeletionContinuesWhenItIsResumed(t *testing.T) {
	p := newParts(t, 0, 1)
	p.create("t", replicas(0, 1, 2))
	at := tp("t", 0)
	p.c.setReplicaState(replicaID{at, 2}, offlineReplica)
	p.c.deletionQueue.add("t")
	steps := []struct {
		name string
		do   func() error
		want string // the queue after the step
	}{
		{"the first round", func() error { return p.deletions.resume(p.ctx) }, "ineligible"},
		{"a replica is deleted", func() error { return p.deletions.complete(p.ctx, []replicaID{{at, 0}}) }, "ineligible"},
		{"a replica fails", func() error { return p.deletions.fail(p.ctx, []replicaID{{at, 1}}) }, "ineligible"},
		{"the broker returns", func() error {
			p.store.register(2, "")
			p.c.brokers[2], p.queues[2] = p.store.brokers[2], []pending{}
			return p.deletions.resumeTopics(p.ctx, "t")
		}, "started"},
		{"both are deleted", func() error { return p.deletions.complete(p.ctx, []replicaID{{at, 1}, {at, 2}}) }, "deleted"},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(step.name, err)
		}
		got := "deleted"
		switch q := p.c.deletionQueue; {
		case q.ineligible["t"]:
			got = "ineligible"
		case q.started["t"]:
			got = "started"
		case q.queued["t"]:
			got = "queued"
		}
		if got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
}

func TestMarksAreRemovedIfDeletionsAreDisabled(t *testing.T) {
	p := newParts(t, 0)
	p.create("t", replicas(0))
	p.deletions.enabled = false
	p.store.deletions["t"] = true
	if err := p.deletions.start(p.ctx, []string{"t"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.deletions.resume(p.ctx); err != nil {
		t.Fatal(err)
	}
	if len(p.store.deletions) > 0 || p.c.queuedForDeletion("t") || p.requests() != "zk delete /admin/delete_topics/t" {
		t.Errorf("marks %v, queue %+v", p.store.deletions, p.c.deletionQueue)
	}
}

// An error of ZooKeeper leaves the topic due, so the next pass tries again.
func TestAFailedPassLeavesTheTopicDue(t *testing.T) {
	p := newParts(t, 0)
	p.create("t", replicas(0))
	p.c.deletionQueue.add("t")
	p.c.setReplicaState(replicaID{tp("t", 0), 0}, replicaDeletionSuccessful)
	p.store.fail["DeleteTopic"] = protocol.UnknownServerError
	if err := p.deletions.resume(p.ctx); err == nil || !p.c.deletionQueue.due["t"] {
		t.Errorf("error %v, queue %+v", err, p.c.deletionQueue)
	}
	if err := p.deletions.resume(p.ctx); err != nil || p.c.topics["t"] != nil {
		t.Errorf("the second pass: %v, topic %v", err, p.c.topics["t"])
	}
}
