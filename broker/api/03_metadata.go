package api

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// TopicCreator creates missing topics that a client asks for. It is implemented by *AutoTopics.
type TopicCreator interface {
	// Enabled returns auto.create.topics.enable.
	Enabled() bool
	// Create creates the topics and returns the code to answer for each of them.
	Create(ctx context.Context, topics []string) map[string]protocol.ErrorCode
}

// TopicLister lists the topics in ZooKeeper. It is implemented by *zkstore.Store.
type TopicLister interface {
	TopicNames(ctx context.Context) ([]string, error)
}

// MetadataOf answers with brokers, topics and partitions as the controller last sent them to this
// broker. The brokers' addresses are those of the listener that received the request. It is not
// called Metadata, as the pattern of the other constructors would have it, because an interface has
// that name.
//
// A request waits for at most a second for topics that no controller has announced yet. If it is
// still unknown whether they exist, they are LEADER_NOT_AVAILABLE, which makes clients try again,
// and no topic is created. The answer to a request for all topics then also lists the topics that
// stored returns within another second.
//
// Versions 0 to 12. v0 asks for all topics with an empty list and wants no dead brokers in
// partitions, v1 asks for all with null, v4 may forbid auto-creation, v8 adds authorized
// operations, v10 topic ids, v12 asks by id.
func MetadataOf(cache Metadata, creator TopicCreator, stored TopicLister, clusterID string) Handler {
	h := Handler{Key: protocol.Metadata, Min: 0, Max: 12, PerEntry: true, Fail: completed(failMetadata)}
	return Typed(h, func(c *Call, req *kmsg.MetadataRequest) (kmsg.Response, error) {
		m := &metadataCall{Call: c, req: req, creator: creator, stored: stored}
		cache.Await(c.Context(), informedWait, m.informed)
		m.snapshot = cache.Snapshot()
		return m.answer(clusterID)
	})
}

// failMetadata answers a null name with an empty one.
func failMetadata(_ *kmsg.MetadataRequest, resp *kmsg.MetadataResponse, _ error) {
	for i := range resp.Topics {
		if resp.Topics[i].Topic == nil {
			resp.Topics[i].Topic = new(string)
		}
	}
}

// metadataCall is the state of one Metadata request.
type metadataCall struct {
	*Call
	req      *kmsg.MetadataRequest
	snapshot *metadata.Snapshot
	creator  TopicCreator
	stored   TopicLister
	topics   []kmsg.MetadataResponseTopic
	byID     bool // the request names topics by id; set by wanted
}

// informed reports whether the snapshot has every topic that the request names, or would have it
// if it existed.
func (m *metadataCall) informed(s *metadata.Snapshot) bool {
	if s.Complete {
		return true
	}
	for _, t := range m.req.Topics {
		if _, known := s.Names[t.TopicID]; !known && (t.Topic == nil || s.Topics[*t.Topic] == nil) {
			return false
		}
	}
	return len(s.Topics) > 0
}

func (m *metadataCall) answer(clusterID string) (kmsg.Response, error) {
	if err := m.checkNames(); err != nil {
		return nil, err
	}
	names, err := m.wanted()
	if err != nil {
		return nil, err
	}
	m.addTopics(names)
	if m.all() && !m.snapshot.Complete {
		if err := m.addUnannounced(); err != nil {
			return nil, err
		}
	}
	resp := kmsg.NewPtrMetadataResponse()
	resp.Brokers = m.brokers()
	resp.ClusterID = &clusterID
	resp.ControllerID = int32(m.snapshot.ControllerID)
	resp.Topics = m.topics
	resp.AuthorizedOperations = noOperations
	if m.Version >= 8 && m.Version <= 10 && m.req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = m.clusterOperations()
	}
	return resp, nil
}

// checkNames refuses the whole request if a version before 12 asks by id.
func (m *metadataCall) checkNames() error {
	if m.Version >= 12 {
		return nil
	}
	for _, t := range m.req.Topics {
		if t.Topic == nil {
			return protocol.Errorf(protocol.InvalidRequest, "Topic name can not be null for version %d", m.Version)
		}
		if t.TopicID != (metadata.TopicID{}) {
			return protocol.Errorf(protocol.InvalidRequest, "Topic IDs are not supported in requests for version %d", m.Version)
		}
	}
	return nil
}

func (m *metadataCall) all() bool {
	return m.req.Topics == nil || m.Version == 0 && len(m.req.Topics) == 0
}

var errNullTopic = errors.New("a topic has neither a name nor an id")

// wanted returns the names of the topics to answer, without duplicates. If the request has an id,
// its names are ignored. wanted adds the answers for unknown ids itself.
func (m *metadataCall) wanted() ([]string, error) {
	if m.all() {
		return slices.Sorted(maps.Keys(m.snapshot.Topics)), nil
	}
	var names []string
	var ids []metadata.TopicID
	for _, t := range m.req.Topics {
		switch {
		case t.TopicID != (metadata.TopicID{}):
			ids = append(ids, t.TopicID)
		case t.Topic != nil:
			names = append(names, *t.Topic)
		}
	}
	m.byID = len(ids) > 0
	if !m.byID {
		if len(names) < len(m.req.Topics) {
			return nil, errNullTopic
		}
		return unique(names), nil
	}
	names = nil
	for _, id := range unique(ids) {
		if name, ok := m.snapshot.Names[id]; ok {
			names = append(names, name)
			continue
		}
		t := failedTopic("", missing(m.snapshot, protocol.UnknownTopicID, protocol.LeaderNotAvailable))
		t.Topic, t.TopicID = nil, id
		m.add(t)
	}
	return names, nil
}

// addTopics adds the named topics in Kafka's order: existing topics, then missing and created ones,
// then those that the peer is not allowed to create, then those that it is not allowed to see.
func (m *metadataCall) addTopics(names []string) {
	var absent, hidden []string
	for _, name := range names {
		topic := m.snapshot.Topics[name]
		switch {
		case !m.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeTopic, name):
			hidden = append(hidden, name)
		case topic == nil:
			absent = append(absent, name)
		default:
			m.add(m.describe(topic))
		}
	}
	m.addAbsent(absent)
	m.addHidden(hidden)
}

// addAbsent adds topics that are missing in the metadata, and creates them if the request may.
func (m *metadataCall) addAbsent(names []string) {
	switch {
	case len(names) == 0:
	case m.creates():
		m.createAll(names)
	default:
		for _, name := range names {
			code := missing(m.snapshot, protocol.UnknownTopicOrPartition, protocol.LeaderNotAvailable)
			if err := admin.ValidateTopicName(name); err != nil {
				code = protocol.CodeOf(err)
			}
			m.add(failedTopic(name, code))
		}
	}
}

// addUnannounced adds the topics in ZooKeeper that no controller has announced yet to an answer
// about all topics. It sets a deadline because the store waits for ZooKeeper without one.
func (m *metadataCall) addUnannounced() error {
	ctx, cancel := context.WithTimeout(m.Context(), informedWait)
	defer cancel()
	names, err := m.stored.TopicNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if m.snapshot.Topics[name] == nil && m.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeTopic, name) {
			m.add(failedTopic(name, protocol.LeaderNotAvailable))
		}
	}
	return nil
}

// addHidden adds topics that the peer is not allowed to see. They are left out of a list of all
// topics. If the request asks by id, they are added without their names.
func (m *metadataCall) addHidden(names []string) {
	if m.all() {
		return
	}
	for _, name := range names {
		t := failedTopic(name, protocol.TopicAuthorizationFailed)
		t.IsInternal = false
		if m.byID {
			t.Topic, t.TopicID = nil, m.snapshot.Topics[name].ID
		}
		m.add(t)
	}
}

// creates reports whether the request creates topics that do not exist.
func (m *metadataCall) creates() bool {
	return m.snapshot.Complete && m.creator.Enabled() && !m.all() && (m.Version < 4 || m.req.AllowAutoTopicCreation)
}

func (m *metadataCall) createAll(absent []string) {
	var refused []string
	if !m.AllowsCluster(kmsg.ACLOperationCreate) {
		absent = slices.DeleteFunc(absent, func(name string) bool {
			if m.Allows(kmsg.ACLOperationCreate, kmsg.ACLResourceTypeTopic, name) {
				return false
			}
			refused = append(refused, name)
			return true
		})
	}
	if len(absent) > 0 {
		codes := m.creator.Create(m.Context(), absent)
		for _, name := range absent {
			m.add(failedTopic(name, codes[name]))
		}
	}
	for _, name := range refused {
		m.add(failedTopic(name, protocol.TopicAuthorizationFailed))
	}
}

// add appends an answer, with authorized operations if the request wants them and the peer may see
// the topic.
func (m *metadataCall) add(t kmsg.MetadataResponseTopic) {
	if m.Version >= 8 && m.req.IncludeTopicAuthorizedOperations && t.Topic != nil &&
		protocol.ErrorCode(t.ErrorCode) != protocol.TopicAuthorizationFailed {
		t.AuthorizedOperations = m.authorizedOperations(kmsg.ACLResourceTypeTopic, *t.Topic)
	}
	m.topics = append(m.topics, t)
}

func failedTopic(name string, code protocol.ErrorCode) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.Topic, t.ErrorCode = &name, int16(code)
	t.IsInternal = metadata.IsInternal(name)
	t.AuthorizedOperations = noOperations
	return t
}

func (m *metadataCall) describe(topic *metadata.Topic) kmsg.MetadataResponseTopic {
	t := failedTopic(topic.Name, protocol.None)
	t.TopicID = topic.ID
	t.Partitions = make([]kmsg.MetadataResponseTopicPartition, 0, len(topic.Partitions))
	for _, index := range slices.Sorted(maps.Keys(topic.Partitions)) {
		t.Partitions = append(t.Partitions, m.partition(index, topic.Partitions[index]))
	}
	return t
}

func (m *metadataCall) partition(index int32, p *metadata.Partition) kmsg.MetadataResponseTopicPartition {
	answer := kmsg.NewMetadataResponseTopicPartition()
	answer.Partition, answer.LeaderEpoch = index, int32(p.LeaderEpoch)
	answer.Replicas, answer.ISR = metadata.Int32s(m.aliveIfOld(p.Replicas)), metadata.Int32s(m.aliveIfOld(p.ISR))
	answer.OfflineReplicas = metadata.Int32s(p.Offline)
	answer.Leader = int32(p.Leader)
	switch {
	case !m.reachable(p.Leader):
		answer.Leader = int32(metadata.NoBroker)
		answer.ErrorCode = int16(protocol.LeaderNotAvailable)
		if m.snapshot.Brokers[p.Leader] != nil && m.Version >= 6 {
			answer.ErrorCode = int16(protocol.ListenerNotFound)
		}
	case len(answer.Replicas) < len(p.Replicas) || len(answer.ISR) < len(p.ISR):
		answer.ErrorCode = int16(protocol.ReplicaNotAvailable)
	}
	return answer
}

// aliveIfOld returns ids, without the dead brokers for version 0.
func (m *metadataCall) aliveIfOld(ids []metadata.BrokerID) []metadata.BrokerID {
	if m.Version > 0 {
		return ids
	}
	var alive []metadata.BrokerID
	for _, id := range ids {
		if m.reachable(id) {
			alive = append(alive, id)
		}
	}
	return alive
}

// reachable reports whether a broker is alive and has the request's listener.
func (m *metadataCall) reachable(id metadata.BrokerID) bool {
	b := m.snapshot.Brokers[id]
	if b == nil {
		return false
	}
	_, ok := b.Endpoints[m.Peer.Listener]
	return ok
}

func (m *metadataCall) brokers() []kmsg.MetadataResponseBroker {
	var list []kmsg.MetadataResponseBroker
	for _, b := range reachableBrokers(m.snapshot, m.Peer.Listener) {
		broker := kmsg.NewMetadataResponseBroker()
		broker.NodeID, broker.Host, broker.Port, broker.Rack = int32(b.id), b.host, b.port, b.rack
		list = append(list, broker)
	}
	return list
}
