package admin

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// failingStore plays a ZooKeeper whose call number failsAt, counted from 1, fails and does nothing.
type failingStore struct {
	*fakeStore
	failsAt, calls int
}

func (s *failingStore) fails() error {
	if s.calls++; s.calls == s.failsAt {
		return errAway
	}
	return nil
}

func (s *failingStore) TopicExists(ctx context.Context, name string) (bool, error) {
	if err := s.fails(); err != nil {
		return false, err
	}
	return s.fakeStore.TopicExists(ctx, name)
}

func (s *failingStore) TopicNames(ctx context.Context) ([]string, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.fakeStore.TopicNames(ctx)
}

func (s *failingStore) TopicNodes(ctx context.Context, names []string) (map[string]zkstore.TopicNode, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.fakeStore.TopicNodes(ctx, names)
}

func (s *failingStore) TopicMarkedForDeletion(ctx context.Context, name string) (bool, error) {
	if err := s.fails(); err != nil {
		return false, err
	}
	return s.fakeStore.TopicMarkedForDeletion(ctx, name)
}

func (s *failingStore) CreateTopic(ctx context.Context, node zkstore.TopicNode) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.fakeStore.CreateTopic(ctx, node)
}

func (s *failingStore) SetTopic(ctx context.Context, f zkstore.Fence, node zkstore.TopicNode) (zkstore.Version, error) {
	if err := s.fails(); err != nil {
		return 0, err
	}
	return s.fakeStore.SetTopic(ctx, f, node)
}

func (s *failingStore) CreateTopicDeletion(ctx context.Context, name string) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.fakeStore.CreateTopicDeletion(ctx, name)
}

func (s *failingStore) BrokerIDs(ctx context.Context) ([]metadata.BrokerID, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.fakeStore.BrokerIDs(ctx)
}

func (s *failingStore) BrokerNode(ctx context.Context, id metadata.BrokerID) (*zkstore.BrokerInfo, int64, error) {
	if err := s.fails(); err != nil {
		return nil, 0, err
	}
	return s.fakeStore.BrokerNode(ctx, id)
}

func (s *failingStore) Config(ctx context.Context, kind zkstore.EntityType, name string) (map[string]string, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.fakeStore.Config(ctx, kind, name)
}

func (s *failingStore) SetConfig(ctx context.Context, kind zkstore.EntityType, name string, config map[string]string) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.fakeStore.SetConfig(ctx, kind, name, config)
}

func (s *failingStore) NotifyConfigChange(ctx context.Context, kind zkstore.EntityType, name string) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.fakeStore.NotifyConfigChange(ctx, kind, name)
}

// Whichever call to ZooKeeper fails, the operation returns that error and does nothing after it.
func TestEveryErrorOfZooKeeperEndsTheOperation(t *testing.T) {
	for name, operation := range map[string]func(*Admin) error{
		"create a topic": func(a *Admin) error {
			_, err := a.CreateTopic(t.Context(), NewTopic{Name: "a.b", Partitions: 1, Replicas: 1}, Change{Brokers: brokers(0)})
			return err
		},
		"create partitions": func(a *Admin) error {
			_, err := a.CreatePartitions(t.Context(), NewPartitions{Topic: "t", Count: 6}, Change{Brokers: brokers(0, 1, 1001)})
			return err
		},
		"delete a topic": func(a *Admin) error { return a.DeleteTopic(t.Context(), "t") },
		"read a deletion mark": func(a *Admin) error {
			_, err := a.MarkedForDeletion(t.Context(), "t")
			return err
		},
		"list brokers": func(a *Admin) error {
			_, err := a.Brokers(t.Context(), false)
			return err
		},
		"configure a topic": func(a *Admin) error {
			return a.SetTopicConfig(t.Context(), "t", map[string]string{"retention.ms": "5"}, Change{})
		},
		"read a topic's configuration": func(a *Admin) error {
			_, err := a.TopicOverrides(t.Context(), "t")
			return err
		},
		"configure a broker": func(a *Admin) error {
			return a.SetBrokerConfig(t.Context(), "1", map[string]string{"num.io.threads": "9"}, settings.NewDynamic(a.Settings()))
		},
		"read a broker's configuration": func(a *Admin) error {
			_, err := a.BrokerOverrides(t.Context(), "1", settings.NewDynamic(a.Settings()))
			return err
		},
	} {
		for n := 1; ; n++ {
			store := &failingStore{fakeStore: newFakeStore(), failsAt: n}
			existingTopic(store.fakeStore)
			err := operation(newAdmin(t, store))
			if store.calls < n {
				if err != nil || n == 1 {
					t.Errorf("%s without a failure: %v after %d calls", name, err, store.calls)
				}
				break
			}
			if !errors.Is(err, errAway) || store.calls != n {
				t.Errorf("%s, call %d fails: %v after %d calls", name, n, err, store.calls)
			}
		}
	}
}

// vanishingStore lists a broker that is unregistered before its node is read.
type vanishingStore struct{ *fakeStore }

func (s vanishingStore) BrokerNode(ctx context.Context, id metadata.BrokerID) (*zkstore.BrokerInfo, int64, error) {
	if id == 1 {
		return nil, 0, zkstore.ErrNoNode
	}
	return s.fakeStore.BrokerNode(ctx, id)
}

func TestABrokerThatDisappearsWhileBrokersAreListedIsLeftOut(t *testing.T) {
	store := newFakeStore()
	store.racks = map[metadata.BrokerID]*string{0: text("a"), 1: nil, 2: text("b")}
	if all, err := newAdmin(t, vanishingStore{store}).Brokers(t.Context(), false); err != nil ||
		!reflect.DeepEqual(all, []Broker{{0, text("a")}, {2, text("b")}}) {
		t.Errorf("%v %v", all, err)
	}
}

// uncheckedStore only accepts unchecked writes of configurations, which tools do without a
// controller.
type uncheckedStore struct{ *fakeStore }

func (s uncheckedStore) SetConfigUnchecked(_ context.Context, kind zkstore.EntityType, name string, config map[string]string) error {
	s.configs[string(kind)+"/"+name] = config
	return nil
}

func TestToolsWriteConfigurationsWithoutAController(t *testing.T) {
	store := newFakeStore()
	existingTopic(store)
	store.noLeader = true
	a := New(Options{Store: uncheckedStore{store}, Unchecked: true, Logger: kafkalog.Discard()})
	if err := a.SetTopicConfig(t.Context(), "t", map[string]string{"retention.ms": "5"}, Change{}); err != nil || store.configs["topics/t"]["retention.ms"] != "5" {
		t.Errorf("%v %v", err, store.configs)
	}
}

// A tool does not know any broker's defaults, so counts must be given.
func TestCountsMustBeGivenWithoutABrokersDefaults(t *testing.T) {
	a := New(Options{Store: newFakeStore(), Logger: kafkalog.Discard()})
	create := func(partitions int32, replicas int16) error {
		_, err := a.CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: partitions, Replicas: replicas}, Change{Brokers: brokers(0)})
		return err
	}
	expect(t, "partitions", create(Default, 1), protocol.InvalidPartitions, "Number of partitions must be larger than 0.")
	expect(t, "replicas", create(1, Default), protocol.InvalidReplicationFactor, "Replication factor must be larger than 0.")
	expect(t, "both given", create(1, 1), protocol.None, "")
}

func TestPlacementStartsAtTheRandomIndex(t *testing.T) {
	store := newFakeStore()
	a := New(Options{Store: store, Random: func(n int) int { return n - 1 }, Logger: kafkalog.Discard()})
	created, err := a.CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: 2, Replicas: 3}, Change{Brokers: brokers(0, 1, 2, 3, 4, 5, 6, 7)})
	if err != nil || !reflect.DeepEqual(created.Assignment, map[int32][]metadata.BrokerID{0: {7, 0, 1}, 1: {0, 1, 2}}) {
		t.Errorf("%v %v", created, err)
	}
}

// Partition 0 decides how many replicas a topic has; if it has none, adding partitions fails. The
// placement counts from the broker of its first replica, or from the first broker if all brokers
// have lower ids than that one.
func TestNewPartitionsFollowPartition0(t *testing.T) {
	store := newFakeStore()
	a := newAdmin(t, store)
	add := func(topic string) error {
		_, err := a.CreatePartitions(t.Context(), NewPartitions{Topic: topic, Count: 2}, Change{Brokers: brokers(0, 1, 2)})
		return err
	}
	store.topics["far"] = zkstore.TopicNode{Name: "far", Partitions: map[int32]zkstore.Assignment{0: {Replicas: []metadata.BrokerID{9}}}}
	if err := add("far"); err != nil || !reflect.DeepEqual(store.topics["far"].Partitions[1].Replicas, []metadata.BrokerID{1}) {
		t.Errorf("%v %v", err, store.topics["far"])
	}
	store.topics["last"] = zkstore.TopicNode{Name: "last", Partitions: map[int32]zkstore.Assignment{0: {Replicas: []metadata.BrokerID{2}}}}
	if err := add("last"); err != nil || !reflect.DeepEqual(store.topics["last"].Partitions[1].Replicas, []metadata.BrokerID{0}) {
		t.Errorf("%v %v", err, store.topics["last"])
	}
	store.topics["empty"] = zkstore.TopicNode{Name: "empty", Partitions: map[int32]zkstore.Assignment{0: {}}}
	expect(t, "no replicas", add("empty"), protocol.InvalidReplicationFactor, "Replication factor must be larger than 0.")
	store.topics["odd"] = zkstore.TopicNode{Name: "odd", Partitions: map[int32]zkstore.Assignment{1: {Replicas: []metadata.BrokerID{0}}}}
	if _, err := a.CreatePartitions(t.Context(), NewPartitions{Topic: "odd", Count: 3}, Change{Brokers: brokers(0)}); err == nil ||
		!strings.Contains(err.Error(), "partition id 0 is missing") {
		t.Errorf("%v", err)
	}
}

func TestNewPartitionsAreChargedOrOnlyValidated(t *testing.T) {
	store := newFakeStore()
	existingTopic(store)
	a := newAdmin(t, store)
	charged := 0
	refuse := Change{Brokers: brokers(0, 1, 1001), Charge: func(n int) error { charged += n; return protocol.ThrottlingQuotaExceeded }}
	if _, err := a.CreatePartitions(t.Context(), NewPartitions{Topic: "t", Count: 7}, refuse); protocol.CodeOf(err) != protocol.ThrottlingQuotaExceeded || charged != 3 {
		t.Errorf("%v, charged %d", err, charged)
	}
	refuse.ValidateOnly = true
	if n, err := a.CreatePartitions(t.Context(), NewPartitions{Topic: "t", Count: 7}, refuse); n != 7 || err != nil || charged != 3 {
		t.Errorf("%d %v, charged %d", n, err, charged)
	}
	if err := a.SetTopicConfig(t.Context(), "t", map[string]string{"retention.ms": "5"}, Change{ValidateOnly: true}); err != nil {
		t.Error(err)
	}
	if len(store.calls) != 0 {
		t.Errorf("written: %v", store.calls)
	}
}
