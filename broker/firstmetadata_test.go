package broker

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// requests counts the requests of a store to ZooKeeper.
type requests struct{ n atomic.Int64 }

func (r *requests) ZooKeeperEvent(string)          {}
func (r *requests) ZooKeeperRequest(time.Duration) { r.n.Add(1) }

// However long a controller takes to announce the partitions, or this broker to apply an earlier
// LeaderAndIsr, topics that have leaders are not reported as missing. If no partition has a state,
// there is nothing to wait for.
func TestMetadataIsNotTakenForCompleteWhilePartitionsAreToBeAnnounced(t *testing.T) {
	var asked requests
	open := func(o zkstore.Observer, connect string) *zkstore.Store {
		store, err := zkstore.Open(t.Context(), zkstore.Config{Connect: connect, CreateChroot: true, Observer: o, Logger: kafkalog.Discard()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		return store
	}
	connect := testkit.ZooKeeper(t)
	tree := open(nil, connect)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(tree.CreateStartupPaths(t.Context()))
	states := map[zkstore.TopicPartition]zkstore.PartitionState{}
	for _, topic := range []string{"announced", "deleted", "leaderless"} {
		must(tree.CreateTopic(t.Context(), zkstore.TopicNode{Name: topic, Partitions: map[int32]zkstore.Assignment{0: {Replicas: []metadata.BrokerID{1}}}}))
		if topic != "leaderless" {
			states[zkstore.TopicPartition{Topic: topic}] = zkstore.PartitionState{Leader: 1, ISR: []metadata.BrokerID{1}}
		}
	}
	if failed, err := tree.CreatePartitionStates(t.Context(), zkstore.NoFence(), states); err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	must(tree.CreateTopicDeletion(t.Context(), "deleted"))

	b := &Broker{ctx: t.Context(), cache: metadata.NewCache(), store: open(&asked, connect)}
	b.cache.Apply(updateFrom(1, 1))
	before := asked.n.Load()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.confirmMetadata(time.Millisecond)
	}()
	testkit.Eventually(t, 20*time.Second, "several checks for partitions", func() bool { return asked.n.Load() > before+40 })
	if b.cache.Snapshot().Complete {
		t.Error("the metadata counts as complete although a partition has a leader")
	}
	must(tree.DeleteTopic(t.Context(), zkstore.NoFence(), "announced"))
	testkit.Eventually(t, 20*time.Second, "the metadata to be complete", func() bool { return b.cache.Snapshot().Complete })
	t.Cleanup(func() { <-ended })
}

// A broker that is stopped before the controller has announced partitions must not wait for them.
func TestMetadataIsNotConfirmedOnceTheBrokerStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &Broker{ctx: ctx, cache: metadata.NewCache()} // without a store, so it must not ask ZooKeeper either
	b.cache.Apply(updateFrom(1, 1))
	b.confirmMetadata(time.Millisecond)
	if b.cache.Snapshot().Complete {
		t.Error("the metadata counts as complete")
	}
}
