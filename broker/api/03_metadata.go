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

// TopicCreator creates topics that a client asks for and that do not exist;
// *AutoTopics does.
type TopicCreator interface {
	// Enabled is auto.create.topics.enable.
	Enabled() bool
	// Create returns the code that each topic is answered with.
	Create(ctx context.Context, topics []string) map[string]protocol.ErrorCode
}

// TopicLister lists the topics in ZooKeeper; *zkstore.Store does.
type TopicLister interface {
	TopicNames(ctx context.Context) ([]string, error)
}

// MetadataOf answers with brokers, topics and partitions as the controller last
// sent them to this broker, with the addresses of the listener the request came
// in on.
//
// Topics that no controller has announced yet are waited for, for a second at
// most. While it is not known whether they exist they are LEADER_NOT_AVAILABLE,
// which makes clients try again, and none is created; requests for all topics
// list those in stored then, which has another second to answer.
//
// Versions 0 to 12. v0 asks for all topics by an empty list and wants no dead
// brokers in partitions, v1 asks by null, v4 may forbid auto-creation, v8
// brings authorized operations, v10 topic ids, v12 asks by id.
func MetadataOf(cache Metadata, creator TopicCreator, stored TopicLister, clusterID string) Handler {
	return Typed(protocol.Metadata, 0, 12, func(c *Call, req *kmsg.MetadataRequest) (kmsg.Response, error) {
		m := &metadataCall{Call: c, req: req, creator: creator, stored: stored}
		cache.Await(c.Context(), informedWait, m.informed)
		m.snapshot = cache.Snapshot()
		return m.answer(clusterID)
	})
}

// metadataCall is one Metadata request while it is answered.
type metadataCall struct {
	*Call
	req      *kmsg.MetadataRequest
	snapshot *metadata.Snapshot
	creator  TopicCreator
	stored   TopicLister
	topics   []kmsg.MetadataResponseTopic
	byID     bool // topics are asked for by id; set by wanted
}

// informed reports whether the snapshot has all that is asked for, or would have it
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
	resp.ControllerID = m.snapshot.ControllerID
	resp.Topics = m.topics
	resp.AuthorizedOperations = noOperations
	if m.Version >= 8 && m.Version <= 10 && m.req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = m.clusterOperations()
	}
	return resp, nil
}

// checkNames refuses the whole request where a version before 12 asks by id.
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

// wanted returns the names asked for, each once. As soon as there is one id,
// names do not count. Unknown ids are answered at once.
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

// addTopics answers named topics in Kafka's order: first those that exist, then
// the missing and the created ones, then those that the peer may not create, then
// those that it may not see.
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

// addAbsent answers topics that the metadata lacks.
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

// addUnannounced adds, to an answer about all topics, those in ZooKeeper that no
// controller has announced yet. The store itself waits for ZooKeeper without end.
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

// addHidden hides topics that the peer may not see from lists of all, and the
// names of those it asks for by id.
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

// creates reports whether topics that do not exist are to be created.
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

// add appends an answer; the topics that come with an error have no operations.
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
	t.IsInternal = admin.IsInternal(name)
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
	answer.Partition, answer.LeaderEpoch = index, p.LeaderEpoch
	answer.Replicas, answer.ISR = m.aliveIfOld(p.Replicas), m.aliveIfOld(p.ISR)
	answer.OfflineReplicas = p.Offline
	answer.Leader = p.Leader
	switch {
	case !m.reachable(p.Leader):
		answer.Leader = -1
		answer.ErrorCode = int16(protocol.LeaderNotAvailable)
		if m.snapshot.Brokers[p.Leader] != nil && m.Version >= 6 {
			answer.ErrorCode = int16(protocol.ListenerNotFound)
		}
	case len(answer.Replicas) < len(p.Replicas) || len(answer.ISR) < len(p.ISR):
		answer.ErrorCode = int16(protocol.ReplicaNotAvailable)
	}
	return answer
}

// aliveIfOld leaves dead brokers out for version 0.
func (m *metadataCall) aliveIfOld(ids []int32) []int32 {
	if m.Version > 0 {
		return ids
	}
	var alive []int32
	for _, id := range ids {
		if m.reachable(id) {
			alive = append(alive, id)
		}
	}
	return alive
}

// reachable says whether a broker lives and has the listener of the request.
func (m *metadataCall) reachable(id int32) bool {
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
		broker.NodeID, broker.Host, broker.Port, broker.Rack = b.id, b.host, b.port, b.rack
		list = append(list, broker)
	}
	return list
}

// brokerNode is a broker with its address on one listener.
type brokerNode struct {
	id   int32
	host string
	port int32
	rack *string
}

// reachableBrokers returns the live brokers that have the listener, by id.
func reachableBrokers(s *metadata.Snapshot, listener string) []brokerNode {
	var list []brokerNode
	for _, id := range slices.Sorted(maps.Keys(s.Brokers)) {
		b := s.Brokers[id]
		if e, ok := b.Endpoints[listener]; ok {
			list = append(list, brokerNode{id, e.Host, e.Port, b.Rack})
		}
	}
	return list
}

// unique returns the elements, each once, in their order; it is never nil.
func unique[T comparable](list []T) []T {
	seen := map[T]bool{}
	out := make([]T, 0, len(list))
	for _, e := range list {
		if !seen[e] {
			seen[e] = true
			out = append(out, e)
		}
	}
	return out
}
