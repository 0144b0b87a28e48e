package api

import (
	"context"
	"errors"
	"net"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// caller sends requests to handlers like a client, with encoded requests and answers.
type caller struct {
	t        testing.TB
	registry *Registry
	peer     network.Peer
}

func newCaller(t testing.TB, access Access, handlers ...Handler) *caller {
	c := &caller{t: t, registry: NewRegistry(access, kafkalog.Discard()),
		peer: network.Peer{ID: "test", Listener: "PLAINTEXT", Addr: &net.TCPAddr{}, Principal: "User:ANONYMOUS"}}
	c.registry.Register(handlers...)
	return c
}

func (c *caller) send(key protocol.APIKey, version int16, body []byte) network.Response {
	return c.registry.Serve(&network.Request{Peer: &c.peer, Body: body,
		RequestHeader: protocol.RequestHeader{Key: key, Version: version, CorrelationID: 7}})
}

// call sends req at the version and decodes the answer.
func call[R kmsg.Response](c *caller, version int16, req kmsg.Request) R {
	c.t.Helper()
	req.SetVersion(version)
	key := protocol.APIKey(req.Key())
	resp := c.send(key, version, protocol.AppendRequest(nil, req))
	if resp.Close {
		c.t.Fatalf("%s v%d closed the connection: %v", key, version, resp.Err)
	}
	id, body, err := protocol.ParseResponseHeader(resp.Runs[0].Bytes, key, version)
	if err != nil || id != 7 {
		c.t.Fatalf("%s v%d: correlation id %d, %v", key, version, id, err)
	}
	answer := req.ResponseKind()
	answer.SetVersion(version)
	if err := answer.ReadFrom(body); err != nil {
		c.t.Fatalf("%s v%d: %v", key, version, err)
	}
	return answer.(R)
}

// deny is an authorizer that refuses the listed operations.
type deny []kmsg.ACLOperation

func (d deny) Allows(_ *network.Peer, op kmsg.ACLOperation, _ kmsg.ACLResourceType, _ string) bool {
	return !slices.Contains(d, op)
}

func (d deny) AllowsAny(p *network.Peer, op kmsg.ACLOperation, r kmsg.ACLResourceType) bool {
	return d.Allows(p, op, r, "")
}

func dynamicOf(t testing.TB, extra map[string]string) *settings.Dynamic {
	t.Helper()
	values := map[string]string{"zookeeper.connect": "z:1"}
	for k, v := range extra {
		values[k] = v
	}
	config, err := settings.FromMap(values)
	if err != nil {
		t.Fatal(err)
	}
	return settings.NewDynamic(config)
}

// announce applies an UpdateMetadata request with brokers 0 and 1 (which has no PLAINTEXT
// listener), controller 0, and topics with the given numbers of partitions, which broker 0 leads.
func announce(cache *metadata.Cache, topics map[string]int) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	rack := "r0"
	for id, listener := range []string{"PLAINTEXT", "OTHER"} {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		b.ID, b.Rack = int32(id), &rack
		b.Endpoints = []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{{Host: "h", Port: 9092 + int32(id), ListenerName: listener}}
		req.LiveBrokers = append(req.LiveBrokers, b)
	}
	for name, partitions := range topics {
		state := kmsg.UpdateMetadataRequestTopicState{Topic: name, TopicID: idOf(name)}
		for p := range int32(partitions) {
			state.PartitionStates = append(state.PartitionStates, kmsg.UpdateMetadataRequestTopicPartition{
				Partition: p, Leader: 0, LeaderEpoch: 3, Replicas: []int32{0}, ISR: []int32{0}})
		}
		req.TopicStates = append(req.TopicStates, state)
	}
	cache.Apply(req)
}

func idOf(name string) metadata.TopicID {
	var id metadata.TopicID
	copy(id[:], name)
	return id
}

func forget(cache *metadata.Cache, topic string) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.TopicStates = []kmsg.UpdateMetadataRequestTopicState{{Topic: topic,
		PartitionStates: []kmsg.UpdateMetadataRequestTopicPartition{{Partition: 0, Leader: -2}}}}
	cache.Apply(req)
}

// fakeAdmin records its calls.
type fakeAdmin struct {
	created, deleted []string
	partitions       []admin.NewPartitions
	overrides        map[string]string
	wrote            map[string]string
	err              error
	marked           bool
	during           func() // called in CreateTopic
}

func (f *fakeAdmin) CreateTopic(_ context.Context, t admin.NewTopic, change admin.Change) (*admin.CreatedTopic, error) {
	if f.during != nil {
		f.during()
	}
	if f.err != nil {
		return nil, f.err
	}
	if !change.ValidateOnly {
		f.created = append(f.created, t.Name)
	}
	return &admin.CreatedTopic{ID: idOf(t.Name), Assignment: map[int32][]metadata.BrokerID{0: {0}}, Overrides: map[string]string{"retention.ms": "5"}}, nil
}
func (f *fakeAdmin) DeleteTopic(_ context.Context, name string) error {
	f.deleted = append(f.deleted, name)
	return f.err
}
func (f *fakeAdmin) Brokers(context.Context, bool) ([]admin.Broker, error) { return nil, nil }
func (f *fakeAdmin) CreatePartitions(_ context.Context, n admin.NewPartitions, _ admin.Change) (int32, error) {
	f.partitions = append(f.partitions, n)
	return n.Count, f.err
}
func (f *fakeAdmin) MarkedForDeletion(context.Context, string) (bool, error) { return f.marked, nil }
func (f *fakeAdmin) TopicOverrides(context.Context, string) (map[string]string, error) {
	return f.overrides, f.err
}
func (f *fakeAdmin) SetTopicConfig(_ context.Context, _ string, overrides map[string]string, change admin.Change) error {
	if !change.ValidateOnly {
		f.wrote = overrides
	}
	return f.err
}
func (f *fakeAdmin) BrokerOverrides(context.Context, string, admin.BrokerConfigs) (map[string]string, error) {
	return f.overrides, f.err
}
func (f *fakeAdmin) SetBrokerConfig(_ context.Context, _ string, values map[string]string, _ admin.BrokerConfigs) error {
	f.wrote = values
	return f.err
}

// fakeController returns the results and errors that are set in it.
type fakeController struct {
	inactive   bool
	err        error
	elected    map[controller.TopicPartition]controller.ElectionResult
	asked      any
	reassigned map[controller.TopicPartition]error
}

func (f *fakeController) IsActive() bool { return !f.inactive }
func (f *fakeController) ControlledShutdown(broker metadata.BrokerID, epoch int64, done func([]controller.TopicPartition, error)) {
	f.asked = [2]int64{int64(broker), epoch}
	go done([]controller.TopicPartition{{Topic: "t", Partition: 2}}, f.err)
}
func (f *fakeController) AlterPartition(req *kmsg.AlterPartitionRequest, done func(*kmsg.AlterPartitionResponse)) {
	resp := kmsg.NewPtrAlterPartitionResponse()
	resp.Version, resp.ErrorCode = req.Version, int16(protocol.StaleBrokerEpoch)
	go done(resp)
}
func (f *fakeController) AllocateProducerIDs(_ metadata.BrokerID, _ int64, done func(int64, int32, error)) {
	go done(4000, 1000, f.err)
}
func (f *fakeController) ElectLeaders(partitions []controller.TopicPartition, kind controller.ElectionType, done func(map[controller.TopicPartition]controller.ElectionResult, error)) {
	f.asked = partitions
	go done(f.elected, f.err)
}
func (f *fakeController) AlterPartitionReassignments(targets map[controller.TopicPartition][]metadata.BrokerID, done func(map[controller.TopicPartition]error, error)) {
	f.asked = targets
	go done(f.reassigned, f.err)
}
func (f *fakeController) ListPartitionReassignments(partitions []controller.TopicPartition, done func(map[controller.TopicPartition]zkstore.Assignment, error)) {
	f.asked = partitions
	go done(map[controller.TopicPartition]zkstore.Assignment{{Topic: "t"}: {Replicas: []metadata.BrokerID{0, 1}, Adding: []metadata.BrokerID{1}, Removing: []metadata.BrokerID{0}}}, f.err)
}
func (f *fakeController) UpdateFeatures(updates []controller.FeatureUpdate, _ bool, _ time.Duration, done func(map[string]error, error)) {
	f.asked = updates
	results := map[string]error{}
	for _, u := range updates {
		results[u.Feature] = protocol.Errorf(protocol.InvalidRequest, "no such feature")
	}
	go done(results, f.err)
}

func TestUnknownKeysAndVersionsCloseTheConnection(t *testing.T) {
	c := newCaller(t, nil, SaslHandshake())
	for _, tc := range []struct {
		key     protocol.APIKey
		version int16
	}{{protocol.SaslHandshake, 2}, {protocol.SaslHandshake, -1}, {protocol.Metadata, 1}} {
		if resp := c.send(tc.key, tc.version, nil); !resp.Close || resp.Err == nil || len(resp.Runs) > 0 {
			t.Errorf("%s v%d: %+v", tc.key, tc.version, resp)
		}
	}
	if resp := c.send(protocol.SaslHandshake, 0, []byte{0, 9, 'x'}); !resp.Close {
		t.Errorf("a truncated body: %+v", resp)
	}
	if resp := c.send(protocol.SaslHandshake, 0, []byte{0, 1, 'x', 0, 0, 0}); resp.Close {
		t.Errorf("bytes after the body: %+v", resp)
	}
}

func TestApiVersionsListsWhatIsRegistered(t *testing.T) {
	c := newCaller(t, nil, SaslHandshake(), DescribeAcls())
	c.registry.Register(ApiVersions(c.registry, func() int64 { return 4 }))
	for v := int16(0); v <= 4; v++ {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "a-client", "1.0.x"
		resp := call[*kmsg.ApiVersionsResponse](c, v, req)
		var got [][3]int16
		for _, k := range resp.ApiKeys {
			got = append(got, [3]int16{k.ApiKey, k.MinVersion, k.MaxVersion})
		}
		if want := [][3]int16{{17, 0, 1}, {18, 0, 4}, {29, 0, 3}}; resp.ErrorCode != 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("v%d: %d %v", v, resp.ErrorCode, got)
		}
		if v >= 3 && (resp.FinalizedFeaturesEpoch != 4 || c.peer.SoftwareName != "a-client" || c.peer.SoftwareVersion != "1.0.x") {
			t.Errorf("v%d: %+v %+v", v, resp, c.peer)
		}
	}
	for _, name := range []string{"", "a!", "-a", "a.", "ä"} {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = name, "1"
		resp := call[*kmsg.ApiVersionsResponse](c, 3, req)
		if protocol.ErrorCode(resp.ErrorCode) != protocol.InvalidRequest || len(resp.ApiKeys) != 0 || resp.FinalizedFeaturesEpoch != -1 {
			t.Errorf("%q: %+v", name, resp)
		}
	}
	want := []byte{0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4}
	if resp := c.send(protocol.ApiVersions, 99, []byte{0xff, 0xff}); resp.Close || !slices.Equal(resp.Runs[0].Bytes, want) {
		t.Errorf("v99: %+v, want %v", resp, want)
	}
}

func names(topics ...string) []kmsg.MetadataRequestTopic {
	list := []kmsg.MetadataRequestTopic{}
	for _, name := range topics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		list = append(list, topic)
	}
	return list
}

func TestMetadataInEveryVersion(t *testing.T) {
	cache := metadata.NewCache()
	announce(cache, map[string]int{"t": 2, "__consumer_offsets": 1})
	c := newCaller(t, nil, MetadataOf(cache, NewAutoTopics(&fakeAdmin{}, cache, dynamicOf(t, map[string]string{"auto.create.topics.enable": "false"}), kafkalog.Discard()), storedTopics{}, "cluster"))
	for v := int16(0); v <= 12; v++ {
		all := kmsg.NewPtrMetadataRequest()
		all.IncludeTopicAuthorizedOperations, all.IncludeClusterAuthorizedOperations = true, true
		if v == 0 {
			all.Topics = names()
		}
		resp := call[*kmsg.MetadataResponse](c, v, all)
		if len(resp.Brokers) != 1 || resp.Brokers[0].Port != 9092 || len(resp.Topics) != 2 || len(resp.Topics[1].Partitions) != 2 {
			t.Fatalf("v%d: %+v", v, resp)
		}
		if v >= 1 && (resp.ControllerID != 0 || !resp.Topics[0].IsInternal || resp.Topics[1].IsInternal) {
			t.Errorf("v%d: %+v", v, resp)
		}
		if v >= 2 && *resp.ClusterID != "cluster" {
			t.Errorf("v%d: %+v", v, resp)
		}
		if v >= 7 && resp.Topics[1].Partitions[0].LeaderEpoch != 3 {
			t.Errorf("v%d: %+v", v, resp)
		}
		if v >= 8 && resp.Topics[1].AuthorizedOperations != 0b110111111000&^(1<<9) {
			t.Errorf("v%d: operations %b", v, resp.Topics[1].AuthorizedOperations)
		}
		if v >= 10 && resp.Topics[1].TopicID != idOf("t") {
			t.Errorf("v%d: %+v", v, resp)
		}
		some := kmsg.NewPtrMetadataRequest()
		some.Topics = names("t", "none", "bad name", "t")
		codes := map[string]protocol.ErrorCode{}
		for _, topic := range call[*kmsg.MetadataResponse](c, v, some).Topics {
			codes[*topic.Topic] = protocol.ErrorCode(topic.ErrorCode)
		}
		want := map[string]protocol.ErrorCode{"t": 0, "none": protocol.UnknownTopicOrPartition, "bad name": protocol.InvalidTopicException}
		if !reflect.DeepEqual(codes, want) {
			t.Errorf("v%d: %v", v, codes)
		}
	}
	none := kmsg.NewPtrMetadataRequest()
	none.Topics = names()
	if resp := call[*kmsg.MetadataResponse](c, 1, none); len(resp.Topics) != 0 {
		t.Errorf("an empty list from v1 on: %+v", resp.Topics)
	}
}

func TestMetadataByID(t *testing.T) {
	cache := metadata.NewCache()
	announce(cache, map[string]int{"t": 1})
	c := newCaller(t, nil, MetadataOf(cache, NewAutoTopics(&fakeAdmin{}, cache, dynamicOf(t, nil), kafkalog.Discard()), storedTopics{}, "c"))
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{TopicID: idOf("t")}, {TopicID: idOf("u")}}
	resp := call[*kmsg.MetadataResponse](c, 12, req)
	if len(resp.Topics) != 2 || protocol.ErrorCode(resp.Topics[0].ErrorCode) != protocol.UnknownTopicID || resp.Topics[0].Topic != nil ||
		*resp.Topics[1].Topic != "t" {
		t.Errorf("%+v", resp.Topics)
	}
	resp = call[*kmsg.MetadataResponse](c, 11, req)
	if len(resp.Topics) != 2 || protocol.ErrorCode(resp.Topics[0].ErrorCode) != protocol.InvalidRequest || len(resp.Brokers) != 0 || resp.ControllerID != -1 {
		t.Errorf("by id before v12: %+v", resp)
	}
}

func TestMetadataErrorsOfPartitions(t *testing.T) {
	cache := metadata.NewCache()
	announce(cache, nil)
	req := kmsg.NewPtrUpdateMetadataRequest()
	for _, b := range []int32{0, 1} {
		req.LiveBrokers = append(req.LiveBrokers, kmsg.UpdateMetadataRequestLiveBroker{ID: b, Endpoints: []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{
			{Host: "h", Port: 1, ListenerName: []string{"PLAINTEXT", "OTHER"}[b]}}})
	}
	req.TopicStates = []kmsg.UpdateMetadataRequestTopicState{{Topic: "t", PartitionStates: []kmsg.UpdateMetadataRequestTopicPartition{
		{Partition: 0, Leader: -1, LeaderEpoch: 8, Replicas: []int32{5}, ISR: []int32{5}, OfflineReplicas: []int32{5}},
		{Partition: 1, Leader: 1, Replicas: []int32{1}, ISR: []int32{1}},
		{Partition: 2, Leader: 0, Replicas: []int32{0, 5}, ISR: []int32{0}},
	}}}
	cache.Apply(req)
	c := newCaller(t, nil, MetadataOf(cache, NewAutoTopics(&fakeAdmin{}, cache, dynamicOf(t, nil), kafkalog.Discard()), storedTopics{}, "c"))
	for v, want := range map[int16][3]protocol.ErrorCode{
		0: {protocol.LeaderNotAvailable, protocol.LeaderNotAvailable, protocol.ReplicaNotAvailable},
		5: {protocol.LeaderNotAvailable, protocol.LeaderNotAvailable, protocol.None},
		6: {protocol.LeaderNotAvailable, protocol.ListenerNotFound, protocol.None},
	} {
		all := kmsg.NewPtrMetadataRequest()
		partitions := call[*kmsg.MetadataResponse](c, v, all).Topics[0].Partitions
		for i := range 3 {
			if protocol.ErrorCode(partitions[i].ErrorCode) != want[i] {
				t.Errorf("v%d partition %d: %+v, want %s", v, i, partitions[i], want[i])
			}
		}
		if partitions[0].Leader != -1 || partitions[1].Leader != -1 || (len(partitions[2].Replicas) == 1) != (v == 0) {
			t.Errorf("v%d: %+v", v, partitions)
		}
	}
}

func TestMetadataCreatesTopics(t *testing.T) {
	cache := metadata.NewCache()
	announce(cache, map[string]int{"t": 1})
	writer := &fakeAdmin{}
	auto := NewAutoTopics(writer, cache, dynamicOf(t, nil), kafkalog.Discard())
	c := newCaller(t, nil, MetadataOf(cache, auto, storedTopics{}, "c"))
	ask := func(version int16, allow bool) kmsg.MetadataResponseTopic {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics, req.AllowAutoTopicCreation = names("new"), allow
		return call[*kmsg.MetadataResponse](c, version, req).Topics[0]
	}
	if topic := ask(4, false); protocol.ErrorCode(topic.ErrorCode) != protocol.UnknownTopicOrPartition || len(writer.created) != 0 {
		t.Errorf("%+v %v", topic, writer.created)
	}
	if topic := ask(12, true); protocol.ErrorCode(topic.ErrorCode) != protocol.LeaderNotAvailable || len(topic.Partitions) != 0 || !slices.Equal(writer.created, []string{"new"}) {
		t.Errorf("%+v %v", topic, writer.created)
	}
	writer.err = protocol.Errorf(protocol.InvalidReplicationFactor, "too many")
	if topic := ask(1, false); protocol.ErrorCode(topic.ErrorCode) != protocol.InvalidReplicationFactor {
		t.Errorf("%+v", topic)
	}
	writer.err = nil
	writer.during = func() {
		writer.during = nil
		if topic := ask(1, true); protocol.ErrorCode(topic.ErrorCode) != protocol.UnknownTopicOrPartition {
			t.Errorf("while it is being created: %+v", topic)
		}
	}
	ask(1, true)
}

func TestMetadataHidesTopicsThatThePeerMayNotSee(t *testing.T) {
	cache := metadata.NewCache()
	announce(cache, map[string]int{"t": 1})
	auto := NewAutoTopics(&fakeAdmin{}, cache, dynamicOf(t, nil), kafkalog.Discard())
	c := newCaller(t, deny{kmsg.ACLOperationDescribe}, MetadataOf(cache, auto, storedTopics{}, "c"))
	if resp := call[*kmsg.MetadataResponse](c, 9, kmsg.NewPtrMetadataRequest()); len(resp.Topics) != 0 {
		t.Errorf("%+v", resp.Topics)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics, req.AllowAutoTopicCreation = names("t", "none"), true
	for _, topic := range call[*kmsg.MetadataResponse](c, 9, req).Topics {
		if protocol.ErrorCode(topic.ErrorCode) != protocol.TopicAuthorizationFailed {
			t.Errorf("%+v", topic)
		}
	}
	c = newCaller(t, deny{kmsg.ACLOperationCreate}, MetadataOf(cache, auto, storedTopics{}, "c"))
	if topics := call[*kmsg.MetadataResponse](c, 9, req).Topics; protocol.ErrorCode(topics[1].ErrorCode) != protocol.TopicAuthorizationFailed ||
		*topics[1].Topic != "none" || topics[0].ErrorCode != 0 {
		t.Errorf("%+v", topics)
	}
}

func createRequest(timeout int32, topics ...string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = timeout
	for _, name := range topics {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
		req.Topics = append(req.Topics, topic)
	}
	return req
}

func TestCreateTopicsWaitsForLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := metadata.NewCache()
		announce(cache, nil)
		c := newCaller(t, nil, CreateTopics(&fakeController{}, &fakeAdmin{}, cache, dynamicOf(t, nil)))
		for v := int16(0); v <= 7; v++ {
			start := time.Now()
			topic := call[*kmsg.CreateTopicsResponse](c, v, createRequest(500, "t")).Topics[0]
			if protocol.ErrorCode(topic.ErrorCode) != protocol.RequestTimedOut || time.Since(start) != 500*time.Millisecond || len(topic.Configs) != 0 {
				t.Errorf("v%d without leaders: %+v after %v", v, topic, time.Since(start))
			}
			start = time.Now()
			topic = call[*kmsg.CreateTopicsResponse](c, v, createRequest(0, "t")).Topics[0]
			if protocol.ErrorCode(topic.ErrorCode) != protocol.RequestTimedOut || time.Since(start) != 0 {
				t.Errorf("v%d without a timeout: %+v after %v", v, topic, time.Since(start))
			}
		}
		go func() {
			time.Sleep(100 * time.Millisecond)
			announce(cache, map[string]int{"t": 1})
		}()
		start := time.Now()
		topic := call[*kmsg.CreateTopicsResponse](c, 7, createRequest(500, "t")).Topics[0]
		if topic.ErrorCode != 0 || time.Since(start) != 100*time.Millisecond || topic.NumPartitions != 1 || topic.ReplicationFactor != 1 ||
			topic.TopicID != idOf("t") || len(topic.Configs) != len(settings.TopicKeys()) {
			t.Errorf("%+v after %v", topic, time.Since(start))
		}
	})
}

func TestCreateTopicsRefusals(t *testing.T) {
	cache := metadata.NewCache()
	announce(cache, nil)
	writer := &fakeAdmin{}
	c := newCaller(t, nil, CreateTopics(&fakeController{}, writer, cache, dynamicOf(t, nil)))
	topics := call[*kmsg.CreateTopicsResponse](c, 7, createRequest(0, "twice", "__cluster_metadata", "twice")).Topics
	for i, text := range []string{"Found multiple entries for this topic.", "Creation of internal topic __cluster_metadata is prohibited.", "Found multiple entries for this topic."} {
		if protocol.ErrorCode(topics[i].ErrorCode) != protocol.InvalidRequest || *topics[i].ErrorMessage != text || topics[i].NumPartitions != -1 {
			t.Errorf("%+v", topics[i])
		}
	}
	writer.err = errors.New("ZooKeeper is unavailable")
	if topic := call[*kmsg.CreateTopicsResponse](c, 7, createRequest(0, "t")).Topics[0]; protocol.ErrorCode(topic.ErrorCode) != protocol.UnknownServerError || topic.ErrorMessage != nil {
		t.Errorf("%+v", topic)
	}
	c = newCaller(t, deny{kmsg.ACLOperationCreate}, CreateTopics(&fakeController{}, writer, cache, dynamicOf(t, nil)))
	if topic := call[*kmsg.CreateTopicsResponse](c, 7, createRequest(0, "t")).Topics[0]; protocol.ErrorCode(topic.ErrorCode) != protocol.TopicAuthorizationFailed || *topic.ErrorMessage != "Authorization failed." {
		t.Errorf("%+v", topic)
	}
	c = newCaller(t, deny{kmsg.ACLOperationDescribeConfigs}, CreateTopics(&fakeController{}, &fakeAdmin{}, cache, dynamicOf(t, nil)))
	req := createRequest(0, "t")
	req.ValidateOnly = true
	if topic := call[*kmsg.CreateTopicsResponse](c, 7, req).Topics[0]; topic.ErrorCode != 0 || topic.NumPartitions != -1 || protocol.ErrorCode(topic.ConfigErrorCode) != protocol.TopicAuthorizationFailed {
		t.Errorf("%+v", topic)
	}
	c = newCaller(t, nil, CreateTopics(&fakeController{inactive: true}, writer, cache, dynamicOf(t, nil)))
	for _, topic := range call[*kmsg.CreateTopicsResponse](c, 7, createRequest(0, "t", "t")).Topics {
		if protocol.ErrorCode(topic.ErrorCode) != protocol.NotController || topic.ErrorMessage != nil {
			t.Errorf("%+v", topic)
		}
	}
}

func TestDeleteTopicsWaitsUntilTheyAreDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := metadata.NewCache()
		announce(cache, map[string]int{"t": 1})
		deleter := &fakeAdmin{}
		c := newCaller(t, nil, DeleteTopics(&fakeController{}, deleter, cache, dynamicOf(t, nil)))
		for v := int16(0); v <= 6; v++ {
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.TimeoutMillis = 300
			req.TopicNames = []string{"t", "none"}
			req.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: idOf("t")}, {Topic: kmsg.StringPtr("none")}}
			start := time.Now()
			topics := call[*kmsg.DeleteTopicsResponse](c, v, req).Topics
			if protocol.ErrorCode(topics[0].ErrorCode) != protocol.RequestTimedOut || *topics[0].Topic != "t" ||
				protocol.ErrorCode(topics[1].ErrorCode) != protocol.UnknownTopicOrPartition || time.Since(start) != 300*time.Millisecond {
				t.Errorf("v%d: %+v after %v", v, topics, time.Since(start))
			}
		}
		go func() {
			time.Sleep(time.Millisecond)
			forget(cache, "t")
		}()
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis, req.TopicNames = 300, []string{"t"}
		if topics := call[*kmsg.DeleteTopicsResponse](c, 5, req).Topics; topics[0].ErrorCode != 0 {
			t.Errorf("%+v", topics)
		}
	})
}

func TestDeleteTopicsRefusals(t *testing.T) {
	cache := metadata.NewCache()
	announce(cache, map[string]int{"t": 1})
	ask := func(c *caller, version int16, topic kmsg.DeleteTopicsRequestTopic) kmsg.DeleteTopicsResponseTopic {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TopicNames, req.Topics, req.TimeoutMillis = []string{"t"}, []kmsg.DeleteTopicsRequestTopic{topic}, 0
		return call[*kmsg.DeleteTopicsResponse](c, version, req).Topics[0]
	}
	byName, byID := kmsg.DeleteTopicsRequestTopic{Topic: kmsg.StringPtr("t")}, kmsg.DeleteTopicsRequestTopic{TopicID: idOf("t")}
	off := dynamicOf(t, map[string]string{"delete.topic.enable": "false"})
	for _, tc := range []struct {
		name    string
		access  Access
		status  ControllerStatus
		config  *settings.Dynamic
		version int16
		topic   kmsg.DeleteTopicsRequestTopic
		code    protocol.ErrorCode
	}{
		{"not the controller", nil, &fakeController{inactive: true}, off, 6, byName, protocol.NotController},
		{"disabled", nil, &fakeController{}, off, 3, byName, protocol.TopicDeletionDisabled},
		{"disabled, old client", nil, &fakeController{}, off, 2, byName, protocol.InvalidRequest},
		{"unknown id", nil, &fakeController{}, dynamicOf(t, nil), 6, kmsg.DeleteTopicsRequestTopic{TopicID: idOf("u")}, protocol.UnknownTopicID},
		{"name and id", nil, &fakeController{}, dynamicOf(t, nil), 6, kmsg.DeleteTopicsRequestTopic{TopicID: idOf("t"), Topic: kmsg.StringPtr("t")}, protocol.InvalidRequest},
		{"hidden", deny{kmsg.ACLOperationDescribe}, &fakeController{}, dynamicOf(t, nil), 6, byID, protocol.TopicAuthorizationFailed},
		{"forbidden", deny{kmsg.ACLOperationDelete}, &fakeController{}, dynamicOf(t, nil), 6, byName, protocol.TopicAuthorizationFailed},
		{"no timeout", nil, &fakeController{}, dynamicOf(t, nil), 6, byName, protocol.RequestTimedOut},
	} {
		c := newCaller(t, tc.access, DeleteTopics(tc.status, &fakeAdmin{}, cache, tc.config))
		topic := ask(c, tc.version, tc.topic)
		if protocol.ErrorCode(topic.ErrorCode) != tc.code {
			t.Errorf("%s: %s, want %s", tc.name, protocol.ErrorCode(topic.ErrorCode), tc.code)
		}
		if tc.name == "hidden" && topic.Topic != nil {
			t.Error("the answer has the name of a hidden topic")
		}
	}
}

func TestCreatePartitionsInEveryVersion(t *testing.T) {
	cache := metadata.NewCache()
	announce(cache, map[string]int{"t": 3})
	writer := &fakeAdmin{}
	c := newCaller(t, nil, CreatePartitions(&fakeController{}, writer, cache))
	for v := int16(0); v <= 3; v++ {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.TimeoutMillis = 1
		req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 3, Assignment: []kmsg.CreatePartitionsRequestTopicAssignment{{Replicas: []int32{1}}}},
			{Topic: "u", Count: 2}, {Topic: "twice"}, {Topic: "twice"}}
		topics := call[*kmsg.CreatePartitionsResponse](c, v, req).Topics
		if len(topics) != 3 || topics[0].ErrorCode != 0 || protocol.ErrorCode(topics[1].ErrorCode) != protocol.RequestTimedOut ||
			protocol.ErrorCode(topics[2].ErrorCode) != protocol.InvalidRequest || *topics[2].ErrorMessage != "Duplicate topic in request." {
			t.Errorf("v%d: %+v", v, topics)
		}
	}
	if !reflect.DeepEqual(writer.partitions[0].Assignment, [][]metadata.BrokerID{{1}}) || writer.partitions[1].Assignment != nil {
		t.Errorf("%+v", writer.partitions)
	}
	one := kmsg.NewPtrCreatePartitionsRequest()
	one.TimeoutMillis = 0
	one.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 3}}
	for _, tc := range []struct {
		status *fakeController
		access Access
		marked bool
		code   protocol.ErrorCode
	}{
		{&fakeController{inactive: true}, nil, false, protocol.NotController},
		{&fakeController{}, deny{kmsg.ACLOperationAlter}, false, protocol.TopicAuthorizationFailed},
		{&fakeController{}, nil, true, protocol.InvalidTopicException},
		{&fakeController{}, nil, false, protocol.RequestTimedOut},
	} {
		c := newCaller(t, tc.access, CreatePartitions(tc.status, &fakeAdmin{marked: tc.marked}, cache))
		if topic := call[*kmsg.CreatePartitionsResponse](c, 3, one).Topics[0]; protocol.ErrorCode(topic.ErrorCode) != tc.code {
			t.Errorf("%+v, want %s", topic, tc.code)
		}
	}
}
