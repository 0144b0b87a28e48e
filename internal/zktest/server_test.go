package zktest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

func open(t *testing.T, s *Server, chroot string) *zkstore.Store {
	t.Helper()
	store, err := zkstore.Open(context.Background(), zkstore.Config{Connect: s.Address() + chroot, SessionTimeout: 2 * time.Second, ConnectionTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

func TestAStoreReadsAndWritesNodes(t *testing.T) {
	s := Start(t)
	s.Put(t, "/kafka", "")
	store := open(t, s, "/kafka")
	ctx := context.Background()
	if names, err := store.TopicNames(ctx); err != nil || len(names) != 0 {
		t.Fatalf("topics of an empty tree: %v, %v", names, err)
	}
	s.Put(t, "/kafka/brokers/topics/one", `{"version":2,"partitions":{"0":[1,2]},"adding_replicas":{},"removing_replicas":{}}`)
	names, err := store.TopicNames(ctx)
	if err != nil || !slices.Equal(names, []string{"one"}) {
		t.Fatalf("topics: %v, %v", names, err)
	}
	nodes, err := store.TopicNodes(ctx, names)
	if err != nil || !slices.Equal(nodes["one"].Partitions[0].Replicas, []metadata.BrokerID{1, 2}) {
		t.Errorf("topic: %+v, %v", nodes, err)
	}
	if err := store.CreatePreferredElections(ctx, []zkstore.TopicPartition{{Topic: "one", Partition: 0}}); err != nil {
		t.Fatal(err)
	}
	if err := store.CreatePreferredElections(ctx, nil); !errors.Is(err, zkstore.ErrNodeExists) {
		t.Errorf("a second election: %v", err)
	}
	if data, exists := s.Get("/kafka/admin/preferred_replica_election"); !exists || data != `{"version":1,"partitions":[{"topic":"one","partition":0}]}` {
		t.Errorf("election %q, %t", data, exists)
	}
}

func TestWatchesFireAndSessionsExpire(t *testing.T) {
	s := Start(t)
	s.Put(t, "/brokers/topics", "")
	store := open(t, s, "")
	changed := make(chan struct{}, 100)
	expired := make(chan struct{}, 100)
	store.AddSessionListener(zkstore.SessionListener{Before: func() { expired <- struct{}{} }, After: func() {}})
	store.WatchChildren(zkstore.TopicsPath, func() { changed <- struct{}{} })
	if _, err := store.Topics(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Put(t, "/brokers/topics/one", `{"version":1,"partitions":{}}`)
	await(t, changed, "the watch")
	s.Expire()
	await(t, expired, "the end of the session")
	if names, err := store.TopicNames(context.Background()); err != nil || len(names) != 1 {
		t.Errorf("in the next session: %v, %v", names, err)
	}
}

func await(t *testing.T, event chan struct{}, what string) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(30 * time.Second):
		t.Fatalf("no sign of %s", what)
	}
}

// A client that loses its connection keeps its session and its watches.
func TestAClientContinuesAfterAnInterruption(t *testing.T) {
	s := Start(t)
	s.Put(t, "/brokers/topics", "")
	store, err := zkstore.Open(context.Background(), zkstore.Config{Connect: s.Address(), SessionTimeout: time.Minute, ConnectionTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	changed := make(chan struct{}, 100)
	store.AddSessionListener(zkstore.SessionListener{Before: func() { t.Error("the session ended") }, After: func() {}})
	store.WatchChildren(zkstore.TopicsPath, func() { changed <- struct{}{} })
	if _, err := store.Topics(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.SetDown(true)
	s.Put(t, "/brokers/topics/one", `{"version":1,"partitions":{}}`)
	s.SetDown(false)
	await(t, changed, "a change during the interruption")
	if names, err := store.TopicNames(context.Background()); err != nil || len(names) != 1 {
		t.Errorf("afterwards: %v, %v", names, err)
	}
}
