package admin

import (
	"context"
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// fakeStore plays ZooKeeper with maps. calls lists the writes in order.
type fakeStore struct {
	Store
	topics   map[string]zkstore.TopicNode
	marked   map[string]bool
	configs  map[string]map[string]string // by "type/name"
	racks    map[metadata.BrokerID]*string
	noLeader bool
	calls    []string
}

func newFakeStore() *fakeStore {
	return &fakeStore{topics: map[string]zkstore.TopicNode{}, marked: map[string]bool{}, configs: map[string]map[string]string{}, racks: map[metadata.BrokerID]*string{}}
}

func (s *fakeStore) TopicExists(_ context.Context, name string) (bool, error) {
	_, ok := s.topics[name]
	return ok, nil
}
func (s *fakeStore) TopicNames(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(s.topics)), nil
}
func (s *fakeStore) TopicNodes(_ context.Context, names []string) (map[string]zkstore.TopicNode, error) {
	found := map[string]zkstore.TopicNode{}
	for _, name := range names {
		if n, ok := s.topics[name]; ok {
			n.Partitions = maps.Clone(n.Partitions)
			found[name] = n
		}
	}
	return found, nil
}
func (s *fakeStore) TopicMarkedForDeletion(_ context.Context, name string) (bool, error) {
	return s.marked[name], nil
}
func (s *fakeStore) CreateTopic(_ context.Context, t zkstore.TopicNode) error {
	s.calls = append(s.calls, "create "+t.Name)
	if _, ok := s.topics[t.Name]; ok {
		return zkstore.ErrNodeExists
	}
	s.topics[t.Name] = t
	return nil
}
func (s *fakeStore) SetTopic(_ context.Context, _ zkstore.Fence, t zkstore.TopicNode) (zkstore.Version, error) {
	s.calls = append(s.calls, "set "+t.Name)
	s.topics[t.Name] = t
	return zkstore.Version(1), nil
}
func (s *fakeStore) CreateTopicDeletion(_ context.Context, name string) error {
	s.calls = append(s.calls, "mark "+name)
	if s.marked[name] {
		return zkstore.ErrNodeExists
	}
	s.marked[name] = true
	return nil
}
func (s *fakeStore) BrokerIDs(context.Context) ([]metadata.BrokerID, error) {
	return slices.Sorted(maps.Keys(s.racks)), nil
}
func (s *fakeStore) BrokerNode(_ context.Context, id metadata.BrokerID) (*zkstore.BrokerInfo, int64, error) {
	return &zkstore.BrokerInfo{ID: id, Rack: s.racks[id]}, 1, nil
}
func (s *fakeStore) Config(_ context.Context, t zkstore.EntityType, name string) (map[string]string, error) {
	return maps.Clone(s.configs[string(t)+"/"+name]), nil
}
func (s *fakeStore) SetConfig(_ context.Context, t zkstore.EntityType, name string, config map[string]string) error {
	if s.noLeader {
		return &zkstore.ControllerMovedError{Message: "Cannot set entity configs when there is no controller."}
	}
	s.calls = append(s.calls, "config "+string(t)+"/"+name)
	s.configs[string(t)+"/"+name] = config
	return nil
}
func (s *fakeStore) NotifyConfigChange(_ context.Context, t zkstore.EntityType, name string) error {
	s.calls = append(s.calls, "notify "+string(t)+"/"+name)
	return nil
}

func newAdmin(t *testing.T, store Store) *Admin {
	t.Helper()
	config, err := settings.FromMap(map[string]string{"zookeeper.connect": "z:1", "num.partitions": "2"})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Store: store, Settings: func() *settings.Config { return config }, TopicIDs: true,
		Random: func(int) int { return 0 }, Logger: kafkalog.Discard()})
}

func text(s string) *string { return &s }

func expect(t *testing.T, what string, err error, code protocol.ErrorCode, message string) {
	t.Helper()
	if protocol.CodeOf(err) != code || err != nil && err.Error() != message {
		t.Errorf("%s: %s %v, want %s %s", what, protocol.CodeOf(err), err, code, message)
	}
}

func TestTopicConfigurationIsWrittenBeforeItsPartitions(t *testing.T) {
	store := newFakeStore()
	a := newAdmin(t, store)
	created, err := a.CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: Default, Replicas: Default,
		Configs: []Config{{"retention.ms", text("5")}}}, Change{Brokers: brokers(0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"config topics/t", "create t"}; !reflect.DeepEqual(store.calls, want) {
		t.Errorf("%v, want %v", store.calls, want)
	}
	node := store.topics["t"]
	if node.ID != created.ID || node.ID == (zkstore.TopicNode{}).ID || len(node.Partitions) != 2 ||
		!reflect.DeepEqual(node.Partitions[1].Replicas, []metadata.BrokerID{1}) || store.configs["topics/t"]["retention.ms"] != "5" {
		t.Errorf("%+v %v", node, store.configs)
	}
}

func TestNothingIsWrittenWhenOnlyValidating(t *testing.T) {
	store := newFakeStore()
	created, err := newAdmin(t, store).CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: 3, Replicas: 1},
		Change{Brokers: brokers(0), ValidateOnly: true, Charge: func(int) error { return errors.New("charged") }})
	if err != nil || len(created.Assignment) != 3 || len(store.calls) != 0 {
		t.Errorf("%v %v %v", created, err, store.calls)
	}
}

func TestTopicCreationIsRefusedInKafkasOrder(t *testing.T) {
	store := newFakeStore()
	store.topics["there.is"] = zkstore.TopicNode{Name: "there.is"}
	store.topics["plain"] = zkstore.TopicNode{Name: "plain"}
	store.marked["going"] = true
	a := newAdmin(t, store)
	change := Change{Brokers: brokers(0, 1), Known: func(topic string) bool { return topic == "known" }}
	for _, tc := range []struct {
		topic NewTopic
		code  protocol.ErrorCode
		text  string
	}{
		{NewTopic{Name: "known", Configs: []Config{{"a", nil}}}, protocol.TopicAlreadyExists, "Topic 'known' already exists."},
		{NewTopic{Name: "bad name", Configs: []Config{{"a", nil}, {"b", nil}}}, protocol.InvalidConfig, "Null value not supported for topic configs: a,b"},
		{NewTopic{Name: "bad name", Partitions: 1, Replicas: Default, Assignment: map[int32][]metadata.BrokerID{0: {1}}}, protocol.InvalidRequest,
			"Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same time."},
		{NewTopic{Name: "bad name", Partitions: 0, Replicas: 3}, protocol.InvalidPartitions, "Number of partitions must be larger than 0."},
		{NewTopic{Name: "bad name", Partitions: 1, Replicas: 3}, protocol.InvalidReplicationFactor, "Replication factor: 3 larger than available brokers: 2."},
		{NewTopic{Name: "bad name", Partitions: 1, Replicas: 1}, protocol.InvalidTopicException,
			"Topic name is invalid: 'bad name' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{NewTopic{Name: "going", Partitions: 1, Replicas: 1}, protocol.TopicAlreadyExists, "Topic 'going' is marked for deletion."},
		{NewTopic{Name: "there.is", Partitions: 1, Replicas: 1}, protocol.TopicAlreadyExists, "Topic 'there.is' already exists."},
		{NewTopic{Name: "plain", Partitions: 1, Replicas: 1}, protocol.TopicAlreadyExists, "Topic 'plain' already exists."},
		{NewTopic{Name: "there_is", Partitions: 1, Replicas: 1}, protocol.InvalidTopicException, "Topic 'there_is' collides with existing topics: there.is"},
		{NewTopic{Name: "t", Partitions: Default, Replicas: Default, Assignment: map[int32][]metadata.BrokerID{0: {0}, 1: {0, 1}}}, protocol.InvalidReplicaAssignment,
			"All partitions should have the same number of replicas"},
		{NewTopic{Name: "t", Partitions: Default, Replicas: Default, Assignment: map[int32][]metadata.BrokerID{0: {1, 1}}}, protocol.InvalidReplicaAssignment,
			"Duplicate replica assignment found: HashMap(0 -> ArrayBuffer(1, 1))"},
		{NewTopic{Name: "t", Partitions: Default, Replicas: Default, Assignment: map[int32][]metadata.BrokerID{1: {1}}}, protocol.InvalidReplicaAssignment,
			"partitions should be a consecutive 0-based integer sequence"},
		{NewTopic{Name: "t", Partitions: 1, Replicas: 1, Configs: []Config{{"no.such", text("1")}}}, protocol.InvalidConfig, "Unknown topic config name: no.such"},
		{NewTopic{Name: "t", Partitions: 1, Replicas: 1, Configs: []Config{{"segment.bytes", text("1")}}}, protocol.InvalidConfig,
			"Invalid value 1 for configuration segment.bytes: Value must be at least 14"},
		{NewTopic{Name: "t", Partitions: 1, Replicas: 1, Configs: []Config{{"min.compaction.lag.ms", text("9")}, {"max.compaction.lag.ms", text("8")}}}, protocol.InvalidConfig,
			"conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (8)"},
		{NewTopic{Name: "t", Partitions: 1, Replicas: 1, Configs: []Config{{"remote.storage.enable", text("true")}}}, protocol.InvalidConfig,
			"Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
	} {
		_, err := a.CreateTopic(t.Context(), tc.topic, change)
		expect(t, tc.topic.Name, err, tc.code, tc.text)
	}
	if len(store.calls) > 0 {
		t.Errorf("written: %v", store.calls)
	}
}

// A count takes only four bytes of a request, whatever its value. It must be refused before
// anything of that size is allocated, and before a node that is too large is sent.
func TestCountsTooLargeForANodeAreRefused(t *testing.T) {
	store := newFakeStore()
	existingTopic(store)
	a := newAdmin(t, store)
	two := brokers(0, 1)
	create := func(n NewTopic, placed *int) error {
		_, err := a.CreateTopic(t.Context(), n, Change{Brokers: two, ValidateOnly: true, Placed: placed})
		return err
	}
	add := func(n NewPartitions, placed *int) error {
		_, err := a.CreatePartitions(t.Context(), n, Change{Brokers: two, ValidateOnly: true, Placed: placed})
		return err
	}
	wide := make([]metadata.BrokerID, 200_000)
	for i := range wide {
		wide[i] = metadata.BrokerID(i)
	}
	for what, refuse := range map[string]func() error{
		"huge count":          func() error { return create(NewTopic{Name: "n", Partitions: math.MaxInt32, Replicas: 1}, nil) },
		"huge addition":       func() error { return add(NewPartitions{Topic: "t", Count: math.MaxInt32}, nil) },
		"too many for a node": func() error { return create(NewTopic{Name: "n", Partitions: 100_000, Replicas: 2}, nil) },
		"too many to add":     func() error { return add(NewPartitions{Topic: "t", Count: 100_000}, nil) },
		"long lists": func() error {
			return create(NewTopic{Name: "n", Partitions: Default, Replicas: Default, Assignment: map[int32][]metadata.BrokerID{0: wide}}, nil)
		},
		"many topics": func() error {
			placed := placedMax - 50_000
			if err := create(NewTopic{Name: "n", Partitions: 50_000, Replicas: 1}, &placed); err != nil {
				return nil
			}
			return add(NewPartitions{Topic: "t", Count: 50_000}, &placed)
		},
	} {
		if err := refuse(); protocol.CodeOf(err) != protocol.InvalidPartitions {
			t.Errorf("%s: %v", what, err)
		}
	}
	expect(t, "what fits", create(NewTopic{Name: "n", Partitions: 50_000, Replicas: 2}, new(int)), protocol.None, "")
	expect(t, "long value", a.SetTopicConfig(t.Context(), "t", map[string]string{"leader.replication.throttled.replicas": strings.Repeat("0:0,", 1<<18) + "0:0"}, Change{}),
		protocol.InvalidConfig, "The configuration of topics 't' takes 1048646 bytes in ZooKeeper; a node can have at most 1047552.")
	if len(store.calls) > 0 {
		t.Errorf("written: %v", store.calls)
	}
}

// A node that has exactly the maximum size is written.
func TestNodesOfTheMaximumSizeFit(t *testing.T) {
	topic := func(size int) zkstore.TopicNode {
		node := zkstore.TopicNode{Name: "t", Partitions: map[int32]zkstore.Assignment{0: {Replicas: []metadata.BrokerID{0}}}}
		missing := size - zkstore.TopicNodeBytes(node)
		list := make([]metadata.BrokerID, 1+missing/2) // each further id takes two bytes
		if missing%2 == 1 {
			list[0] = 10
		}
		node.Partitions[0] = zkstore.Assignment{Replicas: list}
		return node
	}
	config := func(size int) map[string]string {
		empty := zkstore.ConfigBytes(map[string]string{"k": ""})
		return map[string]string{"k": strings.Repeat("v", size-empty)}
	}
	for size, fits := range map[int]bool{zkstore.NodeBytesMax: true, zkstore.NodeBytesMax + 1: false} {
		if node := topic(size); zkstore.TopicNodeBytes(node) != size || (checkStored(node) == nil) != fits {
			t.Errorf("a topic of %d bytes, want %d: %v", zkstore.TopicNodeBytes(node), size, checkStored(node))
		}
		err := newAdmin(t, newFakeStore()).setConfig(t.Context(), zkstore.EntityTopics, "t", config(size))
		if n := zkstore.ConfigBytes(config(size)); n != size || (err == nil) != fits {
			t.Errorf("a configuration of %d bytes, want %d: %v", n, size, err)
		}
	}
}

func TestUnknownBrokersMayBeAssignedAtCreation(t *testing.T) {
	store := newFakeStore()
	_, err := newAdmin(t, store).CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: Default, Replicas: Default,
		Assignment: map[int32][]metadata.BrokerID{0: {77, 78}}}, Change{Brokers: brokers(0)})
	if err != nil || !reflect.DeepEqual(store.topics["t"].Partitions[0].Replicas, []metadata.BrokerID{77, 78}) {
		t.Errorf("%v %v", err, store.topics)
	}
}

func TestLosingTheRaceForATopicReportsThatItExists(t *testing.T) {
	store := newFakeStore()
	a := newAdmin(t, racingStore{store})
	_, err := a.CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: 1, Replicas: 1}, Change{Brokers: brokers(0)})
	expect(t, "race", err, protocol.TopicAlreadyExists, "Topic 't' already exists.")
}

type racingStore struct{ *fakeStore }

func (racingStore) CreateTopic(context.Context, zkstore.TopicNode) error {
	return zkstore.ErrNodeExists
}

func TestConfigurationsCannotBeWrittenWithoutAController(t *testing.T) {
	store := newFakeStore()
	store.noLeader = true
	_, err := newAdmin(t, store).CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: 1, Replicas: 1}, Change{Brokers: brokers(0)})
	expect(t, "no controller", err, protocol.StaleControllerEpoch, "Cannot set entity configs when there is no controller.")
}

func TestQuotaRefusesBeforeAnythingIsWritten(t *testing.T) {
	store := newFakeStore()
	charged := 0
	_, err := newAdmin(t, store).CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: 3, Replicas: 1},
		Change{Brokers: brokers(0), Charge: func(n int) error { charged = n; return protocol.ThrottlingQuotaExceeded }})
	if protocol.CodeOf(err) != protocol.ThrottlingQuotaExceeded || charged != 3 || len(store.calls) > 0 {
		t.Errorf("%v %d %v", err, charged, store.calls)
	}
}

func TestDeletingMarksTheTopicOnce(t *testing.T) {
	store := newFakeStore()
	store.topics["t"] = zkstore.TopicNode{}
	a := newAdmin(t, store)
	for range 2 {
		if err := a.DeleteTopic(t.Context(), "t"); err != nil {
			t.Error(err)
		}
	}
	expect(t, "absent", a.DeleteTopic(t.Context(), "u"), protocol.UnknownTopicOrPartition, "Topic `u` to delete does not exist")
}

func existingTopic(store *fakeStore) {
	store.racks = map[metadata.BrokerID]*string{0: nil, 1: nil, 1001: nil}
	store.topics["t"] = zkstore.TopicNode{Name: "t", Partitions: map[int32]zkstore.Assignment{
		0: {Replicas: []metadata.BrokerID{1001, 1}}, 1: {Replicas: []metadata.BrokerID{1, 0}}, 2: {Replicas: []metadata.BrokerID{0, 1001}}, 3: {Replicas: []metadata.BrokerID{1001, 0}}}}
	store.topics["moving"] = zkstore.TopicNode{Name: "moving", Partitions: map[int32]zkstore.Assignment{
		0: {Replicas: []metadata.BrokerID{1, 0}, Adding: []metadata.BrokerID{0}}}}
}

func TestNewPartitionsContinueThePattern(t *testing.T) {
	store := newFakeStore()
	existingTopic(store)
	a := newAdmin(t, store)
	all, err := a.Brokers(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreatePartitions(t.Context(), NewPartitions{Topic: "t", Count: 6}, Change{Brokers: all}); err != nil {
		t.Fatal(err)
	}
	got := store.topics["t"].Partitions
	if len(got) != 6 || !reflect.DeepEqual(got[4].Replicas, []metadata.BrokerID{0, 1}) || !reflect.DeepEqual(got[5].Replicas, []metadata.BrokerID{1, 1001}) {
		t.Errorf("%v", got)
	}
}

func TestNewPartitionsAreRefusedInKafkasOrder(t *testing.T) {
	store := newFakeStore()
	existingTopic(store)
	a := newAdmin(t, store)
	change := Change{Brokers: brokers(0, 1, 1001)}
	for _, tc := range []struct {
		wish NewPartitions
		code protocol.ErrorCode
		text string
	}{
		{NewPartitions{Topic: "none", Count: 1}, protocol.UnknownTopicOrPartition, "The topic 'none' does not exist."},
		{NewPartitions{Topic: "moving", Count: 1}, protocol.ReassignmentInProgress, "A partition reassignment is in progress for the topic 'moving'."},
		{NewPartitions{Topic: "t", Count: 2}, protocol.InvalidPartitions, "Topic currently has 4 partitions, which is higher than the requested 2."},
		{NewPartitions{Topic: "t", Count: 4}, protocol.InvalidPartitions, "Topic already has 4 partitions."},
		{NewPartitions{Topic: "t", Count: 5, Assignment: [][]metadata.BrokerID{{7, 0}, {8, 9}}}, protocol.InvalidReplicaAssignment, "Unknown broker(s) in replica assignment: 7, 8, 9."},
		{NewPartitions{Topic: "t", Count: 6, Assignment: [][]metadata.BrokerID{{7, 0}, {8, 7}}}, protocol.InvalidReplicaAssignment, "Unknown broker(s) in replica assignment: 7, 8."},
		{NewPartitions{Topic: "t", Count: 6, Assignment: [][]metadata.BrokerID{{0, 1}}}, protocol.InvalidReplicaAssignment, "Increasing the number of partitions by 2 but 1 assignments provided."},
		{NewPartitions{Topic: "t", Count: 5, Assignment: [][]metadata.BrokerID{{}}}, protocol.InvalidReplicaAssignment, "Cannot have replication factor of 0 for partition id 4."},
		{NewPartitions{Topic: "t", Count: 5, Assignment: [][]metadata.BrokerID{{1, 1}}}, protocol.InvalidReplicaAssignment, "Duplicate brokers not allowed in replica assignment: 1, 1 for partition id 4."},
		{NewPartitions{Topic: "t", Count: 6, Assignment: [][]metadata.BrokerID{{1}, {0, 1, 1001}}}, protocol.InvalidReplicaAssignment,
			"Inconsistent replication factor between partitions, partition 0 has 2 while partitions [4, 5] have replication factors [1, 3], respectively."},
	} {
		_, err := a.CreatePartitions(t.Context(), tc.wish, change)
		expect(t, tc.wish.Topic, err, tc.code, tc.text)
	}
	if len(store.calls) > 0 {
		t.Errorf("written: %v", store.calls)
	}
}

// Even for the longest lists that fit in a request, the time is linear in their length. Quadratic
// work would take hours.
func TestLongListsTakeLinearTime(t *testing.T) {
	const many = 1 << 19
	ids, texts := make([]metadata.BrokerID, many), make([]string, many)
	for i := range ids {
		ids[i], texts[i] = metadata.BrokerID(i), strconv.Itoa(i)
	}
	if err := checkCountAndBrokers([][]metadata.BrokerID{ids, ids}, 2, brokers(0, 1)); protocol.CodeOf(err) != protocol.InvalidReplicaAssignment {
		t.Errorf("%v", protocol.CodeOf(err))
	}
	if hasDuplicates(ids) || !hasDuplicates(append(ids, 7)) {
		t.Error("duplicates are not found")
	}
	const key = "leader.replication.throttled.replicas"
	list := strings.Join(texts, ",")
	for _, op := range []Operation{Append, Subtract} {
		config, err := Alter(map[string]string{key: list}, []Alteration{{key, op, list}}, settings.TopicKey)
		if want := map[Operation]string{Append: list, Subtract: ""}[op]; err != nil || config[key] != want {
			t.Errorf("operation %d: %d bytes, %v", op, len(config[key]), err)
		}
	}
}

func TestBrokersMustAllHaveRacksOrNone(t *testing.T) {
	store := newFakeStore()
	store.racks = map[metadata.BrokerID]*string{0: text("a"), 1: nil}
	a := newAdmin(t, store)
	if _, err := a.Brokers(t.Context(), false); err == nil || !strings.HasPrefix(err.Error(), "Not all brokers have rack information.") {
		t.Errorf("%v", err)
	}
	if all, err := a.Brokers(t.Context(), true); err != nil || len(all) != 2 || all[0].Rack != nil {
		t.Errorf("%v %v", all, err)
	}
}

func TestTopicConfigIsWrittenAndThenAnnounced(t *testing.T) {
	store := newFakeStore()
	existingTopic(store)
	a := newAdmin(t, store)
	if err := a.SetTopicConfig(t.Context(), "t", map[string]string{"retention.ms": "1"}, Change{}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"config topics/t", "notify topics/t"}; !reflect.DeepEqual(store.calls, want) {
		t.Errorf("%v, want %v", store.calls, want)
	}
	known := Change{Known: func(string) bool { return true }}
	expect(t, "unknown to the broker", a.SetTopicConfig(t.Context(), "t", nil, Change{Known: func(string) bool { return false }}),
		protocol.UnknownTopicOrPartition, "The topic 't' does not exist.")
	expect(t, "unknown to ZooKeeper", a.SetTopicConfig(t.Context(), "u", nil, known), protocol.UnknownTopicOrPartition, "Topic 'u' does not exist.")
	expect(t, "default", a.SetTopicConfig(t.Context(), "", nil, known), protocol.InvalidRequest, "Default topic resources are not allowed.")
	expect(t, "value", a.SetTopicConfig(t.Context(), "t", map[string]string{"cleanup.policy": "burn"}, known), protocol.InvalidConfig,
		"Invalid config value for resource ConfigResource(type=TOPIC, name='t'): Invalid value burn for configuration cleanup.policy: String must be one of: compact, delete")
	expect(t, "name", a.SetTopicConfig(t.Context(), "t", map[string]string{"no.such": "1"}, known), protocol.InvalidConfig, "Unknown topic config name: no.such")
}

func TestAlterations(t *testing.T) {
	for _, tc := range []struct {
		before     map[string]string
		alteration Alteration
		want       map[string]string
	}{
		{nil, Alteration{"retention.ms", Set, "5"}, map[string]string{"retention.ms": "5"}},
		{map[string]string{"retention.ms": "5"}, Alteration{"retention.ms", Delete, ""}, map[string]string{}},
		{nil, Alteration{"cleanup.policy", Append, "compact,delete"}, map[string]string{"cleanup.policy": "delete,compact"}},
		{map[string]string{"cleanup.policy": "compact"}, Alteration{"cleanup.policy", Append, "delete"}, map[string]string{"cleanup.policy": "compact,delete"}},
		{map[string]string{"cleanup.policy": "compact,delete"}, Alteration{"cleanup.policy", Subtract, "compact"}, map[string]string{"cleanup.policy": "delete"}},
		{map[string]string{"cleanup.policy": "compact"}, Alteration{"cleanup.policy", Append, ","}, map[string]string{"cleanup.policy": "compact"}},
		{map[string]string{"cleanup.policy": "compact"}, Alteration{"cleanup.policy", Append, "delete,,"}, map[string]string{"cleanup.policy": "compact,delete"}},
		{nil, Alteration{"leader.replication.throttled.replicas", Append, "0:1"}, map[string]string{"leader.replication.throttled.replicas": "0:1"}},
		{map[string]string{"leader.replication.throttled.replicas": "0:1"}, Alteration{"leader.replication.throttled.replicas", Subtract, "0:1"},
			map[string]string{"leader.replication.throttled.replicas": ""}},
	} {
		got, err := Alter(tc.before, []Alteration{tc.alteration}, settings.TopicKey)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%+v on %v: %v %v, want %v", tc.alteration, tc.before, got, err, tc.want)
		}
	}
	_, err := Alter(nil, []Alteration{{"retention.ms", Append, "1"}}, settings.TopicKey)
	expect(t, "no list", err, protocol.InvalidConfig, "Config value append is not allowed for config key: retention.ms")
	if _, err := Alter(nil, []Alteration{{"no.such", Append, "1"}}, settings.TopicKey); protocol.CodeOf(err) != protocol.UnknownServerError {
		t.Errorf("unknown key: %v", err)
	}
}

func TestBrokerConfigIsWrittenForOneOrAll(t *testing.T) {
	store := newFakeStore()
	a := newAdmin(t, store)
	dynamic := settings.NewDynamic(a.Settings())
	for broker, entity := range map[string]string{"": "brokers/<default>", "0": "brokers/0"} {
		values := map[string]string{"log.retention.ms": "7", "leader.replication.throttled.rate": "2000"}
		if err := ValidateBrokerConfig(broker, values, dynamic); err != nil {
			t.Fatal(err)
		}
		if err := a.SetBrokerConfig(t.Context(), broker, values, dynamic); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(store.configs[entity], values) || !slices.Contains(store.calls, "notify "+entity) {
			t.Errorf("%s: %v %v", entity, store.configs, store.calls)
		}
		got, err := a.BrokerOverrides(t.Context(), broker, dynamic)
		if err != nil || !reflect.DeepEqual(got, values) {
			t.Errorf("read back %v %v", got, err)
		}
	}
	expect(t, "static", ValidateBrokerConfig("0", map[string]string{"broker.id": "1"}, dynamic), protocol.InvalidRequest,
		"Cannot update these configs dynamically: Set(broker.id)")
}

func TestATopicWithADotButNoCollisionIsCreated(t *testing.T) {
	store := newFakeStore()
	store.topics["c_d"] = zkstore.TopicNode{Name: "c_d"}
	a := newAdmin(t, store)
	for _, name := range []string{"a.b", "c.e", "x_y"} {
		if _, err := a.CreateTopic(t.Context(), NewTopic{Name: name, Partitions: 1, Replicas: 1}, Change{Brokers: brokers(0)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(store.topics) != 4 {
		t.Errorf("topics now: %v", store.topics)
	}
}

func TestTopicsHaveNoIDBelowTheProtocolVersionThatAddsThem(t *testing.T) {
	store := newFakeStore()
	config, err := settings.FromMap(map[string]string{"zookeeper.connect": "z:1"})
	if err != nil {
		t.Fatal(err)
	}
	// Options.Random is not set, so rand.IntN chooses where the placement starts.
	a := New(Options{Store: store, Settings: func() *settings.Config { return config }, Logger: kafkalog.Discard()})
	created, err := a.CreateTopic(t.Context(), NewTopic{Name: "t", Partitions: 2, Replicas: 1}, Change{Brokers: brokers(0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if none := (zkstore.TopicNode{}).ID; created.ID != none || store.topics["t"].ID != none {
		t.Errorf("the topic has the id %x, %x in ZooKeeper", created.ID, store.topics["t"].ID)
	}
}

func TestAConfigurationThatCannotBeWrittenIsNotAnnounced(t *testing.T) {
	store := newFakeStore()
	store.noLeader = true
	store.topics["t"] = zkstore.TopicNode{Name: "t"}
	err := newAdmin(t, store).SetTopicConfig(t.Context(), "t", map[string]string{"retention.ms": "5"}, Change{Known: func(string) bool { return true }})
	expect(t, "topic configuration", err, protocol.StaleControllerEpoch, "Cannot set entity configs when there is no controller.")
	if len(store.calls) != 0 {
		t.Errorf("%v", store.calls)
	}
}

// awayStore plays a ZooKeeper that does not answer.
type awayStore struct{ Store }

var errAway = errors.New("ZooKeeper is unavailable")

func (awayStore) TopicExists(context.Context, string) (bool, error) { return false, errAway }
func (awayStore) Config(context.Context, zkstore.EntityType, string) (map[string]string, error) {
	return nil, errAway
}

// perBrokerConfigs records whether it was called for a single broker.
type perBrokerConfigs struct {
	BrokerConfigs
	perBroker []bool
}

func (c *perBrokerConfigs) FromStored(stored map[string]string, perBroker bool) (map[string]string, []string) {
	c.perBroker = append(c.perBroker, perBroker)
	return stored, nil
}

func (c *perBrokerConfigs) Validate(_ map[string]string, perBroker bool) error {
	c.perBroker = append(c.perBroker, perBroker)
	return nil
}

func (c *perBrokerConfigs) ToStored(values map[string]string, perBroker bool) (map[string]string, error) {
	c.perBroker = append(c.perBroker, perBroker)
	return values, nil
}

func TestReadErrorsAreNotTakenForMissingData(t *testing.T) {
	a := newAdmin(t, awayStore{})
	if err := a.DeleteTopic(t.Context(), "t"); !errors.Is(err, errAway) {
		t.Errorf("DeleteTopic: %v", err)
	}
	if _, err := a.BrokerOverrides(t.Context(), "1", &perBrokerConfigs{}); !errors.Is(err, errAway) {
		t.Errorf("BrokerOverrides: %v", err)
	}
}

func TestOverridesOfOneBrokerAreDistinguishedFromThoseOfAll(t *testing.T) {
	configs := &perBrokerConfigs{}
	a := newAdmin(t, newFakeStore())
	for _, broker := range []string{"1", ""} {
		if _, err := a.BrokerOverrides(t.Context(), broker, configs); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(configs.perBroker, []bool{true, false}) {
		t.Errorf("%v", configs.perBroker)
	}
}

// Some keys cannot be set for all brokers at once, only for each broker by itself.
func TestChangesOfOneBrokerAreDistinguishedFromThoseOfAll(t *testing.T) {
	for broker, perBroker := range map[string]bool{"1": true, "": false} {
		configs := &perBrokerConfigs{}
		if err := ValidateBrokerConfig(broker, nil, configs); err != nil {
			t.Fatal(err)
		}
		if err := newAdmin(t, newFakeStore()).SetBrokerConfig(t.Context(), broker, nil, configs); err != nil {
			t.Fatal(err)
		}
		if want := []bool{perBroker, perBroker}; !slices.Equal(configs.perBroker, want) {
			t.Errorf("broker %q: %v, want %v", broker, configs.perBroker, want)
		}
	}
}
