package zkstore

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

func TestConfigsAreWrittenOnlyIfThereIsAController(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	config := map[string]string{"cleanup.policy": "compact"}
	var moved *ControllerMovedError
	err := s.SetConfig(ctx, EntityTopics, "t", config)
	if !errors.Is(err, ErrControllerMoved) || !errors.As(err, &moved) ||
		moved.Message != "Cannot set entity configs for topics t when there is no controller." {
		t.Errorf("without a controller: %v", err)
	}
	must(t, s.SetConfigUnchecked(ctx, EntityUsers, "bob/clients/c", config))
	must(t, s.nodes.CreateRecursive(ctx, ControllerPath, []byte(`{"version":2,"brokerid":3000,"timestamp":"1","kraftControllerEpoch":9}`)))
	if err := s.SetConfig(ctx, EntityTopics, "t", config); !errors.Is(err, ErrControllerMoved) {
		t.Errorf("under a KRaft controller: %v", err)
	}
	must(t, s.nodes.Remove(ctx, ControllerPath))
	_, err = s.Elect(ctx, 1)
	must(t, err)
	for range 2 { // the first call creates the node, the second sets it
		must(t, s.SetConfig(ctx, EntityTopics, "t", config))
	}
	have, err := s.Config(ctx, EntityTopics, "t")
	if err != nil || !reflect.DeepEqual(have, config) {
		t.Errorf("config %v, %v", have, err)
	}
	if none, err := s.Config(ctx, EntityTopics, "none"); err != nil || len(none) != 0 {
		t.Errorf("missing config %v, %v", none, err)
	}
	if many, unreadable, err := s.Configs(ctx, EntityTopics, []string{"t", "none"}); err != nil || len(unreadable) != 0 || len(many) != 2 || len(many["none"]) != 0 {
		t.Errorf("many %v, %v", many, err)
	}
	if n, err := s.nodes.ReadUnwatched(ctx, EntityPath(EntityUsers, "bob")); err != nil || n.Data != nil {
		t.Errorf("node between entities: %q, %v", n.Data, err)
	}
	if entities, err := s.UserClientEntities(ctx, "bob"); err != nil || !reflect.DeepEqual(entities, []string{"bob/clients/c"}) {
		t.Errorf("entities %v, %v", entities, err)
	}
	must(t, s.DeleteConfig(ctx, EntityUsers, "bob"))
	if entities, err := s.ConfigEntities(ctx, EntityUsers); err != nil || len(entities) != 0 {
		t.Errorf("entities %v, %v", entities, err)
	}
}

func TestConfigChangesAreReadInOrderAndPurgedByAge(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	rung := make(chan struct{}, 10)
	s.WatchChildren(ConfigChangesPath, func() { rung <- struct{}{} })
	changes, _, err := s.ConfigChanges(ctx, -1)
	if err != nil || len(changes) != 0 {
		t.Fatalf("%v, %v", changes, err)
	}
	must(t, s.NotifyConfigChange(ctx, EntityTopics, "a"))
	<-rung
	must(t, s.nodes.Create(ctx, ConfigChangesPath+"/"+configChangePrefix+"0000000001", []byte("not json")))
	must(t, s.nodes.Create(ctx, ConfigChangesPath+"/foreign", nil))
	must(t, s.nodes.Create(ctx, ConfigChangesPath+"/"+configChangePrefix+"0000000007", encodeConfigChange("users/bob/clients/c1")))
	changes, all, err := s.ConfigChanges(ctx, -1)
	if err != nil || len(changes) != 3 || len(all) != 4 {
		t.Fatalf("%+v, %v, %v", changes, all, err)
	}
	if changes[0].Path != "topics/a" || changes[0].Number != 0 || changes[1].Err == nil || changes[2].Path != "users/bob/clients/c1" {
		t.Errorf("%+v", changes)
	}
	if later, _, err := s.ConfigChanges(ctx, 1); err != nil || len(later) != 1 || later[0].Number != 7 {
		t.Errorf("with a number above 1: %+v, %v", later, err)
	}
	must(t, s.PurgeConfigChanges(ctx, all, changes[0].Created))
	if _, left, _ := s.ConfigChanges(ctx, -1); len(left) != 4 {
		t.Errorf("%v left, want all: none is older", left)
	}
	must(t, s.PurgeConfigChanges(ctx, append(all, "gone"), changes[2].Created+1))
	if _, left, _ := s.ConfigChanges(ctx, -1); len(left) != 0 {
		t.Errorf("%v left, want none", left)
	}
}

// If the parent of notifications can neither be found nor created, the error is that of its creation.
func TestANotificationNeedsItsParent(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.NotifyConfigChange(ctx, EntityTopics, "a")) // creates it
	must(t, s.nodes.removeTree(ctx, NoFence(), "/config"))
	must(t, s.nodes.CreateEphemeral(ctx, "/config", nil))
	if err := s.NotifyConfigChange(ctx, EntityTopics, "a"); !errors.Is(err, zk.ErrNoChildrenForEphemerals) {
		t.Errorf("%v", err)
	}
}

// Each broker purges after each change, so a purge must read little more than the nodes that it
// deletes.
func TestPurgingReadsNoNotificationsThatStay(t *testing.T) {
	seen := &counter{}
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t), func(c *Config) { c.Observer = seen })
	must(t, s.CreateStartupPaths(ctx))
	const count = 100
	for range count {
		must(t, s.NotifyConfigChange(ctx, EntityTopics, "a"))
	}
	changes, all, err := s.ConfigChanges(ctx, -1)
	must(t, err)
	before := seen.answered()
	must(t, s.PurgeConfigChanges(ctx, all, changes[0].Created))
	if n := seen.answered() - before; n > 5 {
		t.Errorf("purging none of %d notifications took %d requests", count, n)
	}
	must(t, s.PurgeConfigChanges(ctx, all, changes[count-1].Created+1))
	if _, left, _ := s.ConfigChanges(ctx, -1); len(left) != 0 {
		t.Errorf("%d left, want none", len(left))
	}
}

func TestRequestsToTheControllerAreWrittenReadAndDeleted(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	must(t, s.CreateStartupPaths(ctx))
	epoch, err := s.Elect(ctx, 1)
	must(t, err)
	tps := []TopicPartition{{Topic: "a", Partition: 1}, {Topic: "b"}}

	must(t, s.NotifyISRChange(ctx, tps))
	must(t, s.NotifyISRChange(ctx, tps[:1]))
	must(t, s.nodes.CreateSequential(ctx, ISRChangesPath+"/"+isrChangePrefix, []byte("not json")))
	nodes, err := s.ISRChanges(ctx)
	if err != nil || len(nodes) != 3 {
		t.Fatalf("%v, %v", nodes, err)
	}
	if have, err := s.ISRChangePartitions(ctx, append(nodes, "isr_change_0000000099")); err != nil || !reflect.DeepEqual(have, tps) {
		t.Errorf("%v, %v", have, err)
	}
	must(t, s.DeleteISRChanges(ctx, epoch.Fence(), append(nodes, "isr_change_0000000099")))
	if nodes, _ = s.ISRChanges(ctx); len(nodes) != 0 {
		t.Errorf("left %v", nodes)
	}

	for _, broker := range []metadata.BrokerID{7, 3, 7} {
		must(t, s.NotifyLogDirFailure(ctx, broker))
	}
	nodes, err = s.LogDirEvents(ctx)
	must(t, err)
	if brokers, err := s.LogDirEventBrokers(ctx, nodes); err != nil || !reflect.DeepEqual(brokers, []metadata.BrokerID{3, 7}) {
		t.Errorf("%v, %v", brokers, err)
	}
	must(t, s.DeleteLogDirEvents(ctx, epoch.Fence(), nodes))

	created := make(chan struct{}, 1)
	s.WatchNode(ReassignPartitionsPath, NodeWatch{Created: func() { created <- struct{}{} }})
	if r, err := s.PartitionReassignments(ctx); err != nil || r != nil {
		t.Errorf("%v, %v", r, err)
	}
	r := map[TopicPartition][]metadata.BrokerID{tps[0]: {2, 1}, tps[1]: {1}}
	must(t, s.CreatePartitionReassignments(ctx, r))
	<-created
	if have, err := s.PartitionReassignments(ctx); err != nil || !reflect.DeepEqual(have, r) {
		t.Errorf("%v, %v", have, err)
	}
	delete(r, tps[0])
	must(t, s.SetPartitionReassignments(ctx, epoch.Fence(), r))
	must(t, s.SetPartitionReassignments(ctx, epoch.Fence(), nil))
	if have, err := s.PartitionReassignments(ctx); err != nil || have != nil {
		t.Errorf("%v, %v", have, err)
	}

	must(t, s.CreatePreferredElections(ctx, tps))
	if have, err := s.PreferredElections(ctx); err != nil || !reflect.DeepEqual(have, tps) {
		t.Errorf("%v, %v", have, err)
	}
	must(t, s.DeletePreferredElections(ctx, epoch.Fence()))
	must(t, s.DeletePreferredElections(ctx, epoch.Fence()))

	must(t, s.CreateTopicDeletion(ctx, "a"))
	if names, err := s.TopicDeletions(ctx); err != nil || !reflect.DeepEqual(names, []string{"a"}) {
		t.Errorf("%v, %v", names, err)
	}
	must(t, s.RemoveTopicDeletions(ctx, epoch.Fence(), []string{"a", "none"}))

	if _, known, err := s.ConsumerOffset(ctx, "g", tps[0]); known || err != nil {
		t.Errorf("unknown offset: %t, %v", known, err)
	}
	for _, offset := range []record.Offset{42, 43} {
		must(t, s.SetConsumerOffset(ctx, "g", tps[0], offset))
		if have, known, err := s.ConsumerOffset(ctx, "g", tps[0]); have != offset || !known || err != nil {
			t.Errorf("offset %d, %t, %v", have, known, err)
		}
	}
}

func TestFeatureNodeIsWatchedBeforeItExists(t *testing.T) {
	ctx, s := background(t), openStore(t, testkit.ZooKeeper(t))
	created, changed := make(chan struct{}, 1), make(chan struct{}, 1)
	s.WatchNode(FeaturePath, NodeWatch{Created: func() { created <- struct{}{} }, Changed: func() { changed <- struct{}{} }})
	if _, err := s.Feature(ctx); !errors.Is(err, ErrNoNode) {
		t.Fatalf("%v", err)
	}
	must(t, s.CreateFeature(ctx, FeatureNode{JSONVersion: 2, Enabled: true}))
	<-created
	f, err := s.Feature(ctx)
	if err != nil || !f.Enabled || f.Version != 0 {
		t.Errorf("%+v, %v", f, err)
	}
	if v, err := s.SetFeature(ctx, FeatureNode{JSONVersion: 2}); err != nil || v != 1 {
		t.Errorf("version %d, %v", v, err)
	}
	<-changed
	must(t, s.nodes.SetOrCreate(ctx, FeaturePath, []byte("nonsense")))
	if _, err := s.Feature(ctx); !errors.Is(err, ErrInvalidNode) || !strings.Contains(err.Error(), FeaturePath) {
		t.Errorf("undecodable: %v", err)
	}
}

func TestTheOldestConfigChangeHasTheSmallestNumber(t *testing.T) {
	for _, c := range []struct {
		nodes  []string
		oldest int64
		any    bool
	}{
		{[]string{"config_change_0000000007", "config_change_0000000003", "other_0000000001", "config_change_0000000005"}, 3, true},
		{[]string{"config_change_0000000000", "config_change_0000000003"}, 0, true},
		{[]string{"other_0000000001", "config_change_x"}, 0, false},
		{nil, 0, false},
	} {
		if oldest, any := OldestConfigChange(c.nodes); oldest != c.oldest || any != c.any {
			t.Errorf("%v: %d, %v", c.nodes, oldest, any)
		}
	}
}
