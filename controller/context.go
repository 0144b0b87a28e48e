package controller

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// replicaID names one replica of a partition.
type replicaID struct {
	TopicPartition
	Broker metadata.BrokerID
}

// String returns the replica as Kafka's PartitionAndReplica does.
func (r replicaID) String() string {
	return fmt.Sprintf("[Topic=%s,Partition=%d,Replica=%d]", r.Topic, r.Partition, r.Broker)
}

// controllerContext is the state of the controller during its term. Only the Machine's goroutine
// uses it. It is a copy of ZooKeeper's data that may be stale: a decision about a partition is
// written only if ZooKeeper still has the version of the state on which the decision is based.
type controllerContext struct {
	epoch        metadata.ControllerEpoch // controller epoch of the current term; 0 outside a term
	epochVersion zkstore.Version          // of /controller_epoch; the fence of all writes

	// brokers are the registered brokers with their epochs. A broker that announced its shutdown is
	// also in shuttingDown and does not count as live.
	brokers      map[metadata.BrokerID]zkstore.BrokerInfo
	shuttingDown map[metadata.BrokerID]bool
	// offlineReplicas has, for each broker, the partitions that it could not serve because of a
	// failed log directory.
	offlineReplicas map[metadata.BrokerID]map[TopicPartition]bool

	topics map[string]*topicContext // all children of /brokers/topics
	sorted []string                 // the sorted names of topics; nil if topics changed since
	names  map[TopicID]string
	// listed is the last list of topics from ZooKeeper, in its order. unlisted has the topics of
	// listed that are no longer in topics.
	listed   []string
	unlisted map[string]bool

	reassigning map[TopicPartition]bool // partitions with an ongoing reassignment

	deletionQueue deletionQueue
}

type topicContext struct {
	id         TopicID // zero if none
	partitions map[int32]*partitionContext
	sorted     []int32 // the sorted keys of partitions; nil if a partition was added since
}

type partitionContext struct {
	assignment zkstore.Assignment
	leadership *zkstore.PartitionState // as last read or written; nil if unknown
	state      partitionState
	replicas   map[metadata.BrokerID]replicaState // a replica without an entry is NonExistent
}

func newControllerContext() *controllerContext {
	return &controllerContext{
		brokers:         map[metadata.BrokerID]zkstore.BrokerInfo{},
		shuttingDown:    map[metadata.BrokerID]bool{},
		offlineReplicas: map[metadata.BrokerID]map[TopicPartition]bool{},
		topics:          map[string]*topicContext{},
		unlisted:        map[string]bool{},
		names:           map[TopicID]string{},
		reassigning:     map[TopicPartition]bool{},
		deletionQueue:   newDeletionQueue(),
	}
}

// reset empties the state at the end of a term.
func (c *controllerContext) reset() { *c = *newControllerContext() }

func (c *controllerContext) fence() zkstore.Fence {
	return zkstore.Fence{EpochVersion: c.epochVersion}
}

// ---- Brokers

// registered reports whether the broker is live or shutting down.
func (c *controllerContext) registered(id metadata.BrokerID) bool {
	_, ok := c.brokers[id]
	return ok
}

func (c *controllerContext) live(id metadata.BrokerID) bool {
	return c.registered(id) && !c.shuttingDown[id]
}

func (c *controllerContext) registeredIDs() []metadata.BrokerID { return sortedKeys(c.brokers) }

func (c *controllerContext) liveIDs() []metadata.BrokerID {
	return slices.DeleteFunc(c.registeredIDs(), func(id metadata.BrokerID) bool { return c.shuttingDown[id] })
}

// replicaOnline reports whether the broker is live and can serve the partition.
func (c *controllerContext) replicaOnline(id metadata.BrokerID, tp TopicPartition) bool {
	return c.live(id) && !c.offlineReplicas[id][tp]
}

// setServed records whether the broker of a replica can serve it.
func (c *controllerContext) setServed(r replicaID, served bool) {
	if served {
		delete(c.offlineReplicas[r.Broker], r.TopicPartition)
		return
	}
	if c.offlineReplicas[r.Broker] == nil {
		c.offlineReplicas[r.Broker] = map[TopicPartition]bool{}
	}
	c.offlineReplicas[r.Broker][r.TopicPartition] = true
}

// replicaOnlineOrLeaving is like replicaOnline, but also returns true for a broker that is shutting
// down.
func (c *controllerContext) replicaOnlineOrLeaving(id metadata.BrokerID, tp TopicPartition) bool {
	return c.registered(id) && !c.offlineReplicas[id][tp]
}

// ---- Topics and partitions

func (c *controllerContext) addTopic(name string) *topicContext {
	t := c.topics[name]
	if t == nil {
		t = &topicContext{partitions: map[int32]*partitionContext{}}
		c.topics[name] = t
		c.sorted = nil
	}
	return t
}

func (c *controllerContext) setTopicID(name string, id TopicID) {
	if id == (TopicID{}) {
		return
	}
	c.addTopic(name).id = id
	c.names[id] = name
}

// topicID returns the id of a topic, zero if it has none.
func (c *controllerContext) topicID(name string) TopicID {
	if t := c.topics[name]; t != nil {
		return t.id
	}
	return TopicID{}
}

// removeTopic removes a topic from all of the controller's state.
func (c *controllerContext) removeTopic(name string) {
	if t := c.topics[name]; t != nil {
		delete(c.names, t.id)
		for index := range t.partitions {
			tp := TopicPartition{Topic: name, Partition: index}
			delete(c.reassigning, tp)
			for _, offline := range c.offlineReplicas {
				delete(offline, tp)
			}
		}
		delete(c.topics, name)
		c.sorted, c.unlisted[name] = nil, true
	}
	c.deletionQueue.remove(name)
}

// newTopics returns the unknown names, sorted, and the number of known ones.
//
// ZooKeeper keeps the order of a list of children, so most names are in the same order as in the
// last list. Comparing the two lists is far cheaper than looking up or sorting tens of thousands of
// names for each created topic. newTopics looks up only names that are not in the expected
// position.
func (c *controllerContext) newTopics(names []string) (added []string, known int) {
	const gone = 8 // if more topics in a row were deleted, the rest of the names are looked up
	at := 0
	for _, name := range names {
		if at < len(c.listed) && c.listed[at] == name && !c.unlisted[name] {
			at++
			known++
			continue
		}
		if c.topics[name] == nil {
			added = append(added, name)
		} else {
			known++
		}
		for next := at; next < min(at+gone, len(c.listed)); next++ {
			if c.listed[next] == name {
				at = next + 1
				break
			}
		}
	}
	slices.Sort(added)
	return added, known
}

// list stores names, all of which are known topics, as the last list from ZooKeeper.
func (c *controllerContext) list(names []string) {
	c.listed = names
	clear(c.unlisted)
}

// sortedTopics returns the sorted names of all topics. The caller must not modify the slice.
func (c *controllerContext) sortedTopics() []string {
	if c.sorted == nil {
		c.sorted = sortedKeys(c.topics)
	}
	return c.sorted
}

// partition returns nil if the partition is not known.
func (c *controllerContext) partition(tp TopicPartition) *partitionContext {
	if t := c.topics[tp.Topic]; t != nil {
		return t.partitions[tp.Partition]
	}
	return nil
}

// assignment returns an empty assignment if the partition is not known.
func (c *controllerContext) assignment(tp TopicPartition) zkstore.Assignment {
	if p := c.partition(tp); p != nil {
		return p.assignment
	}
	return zkstore.Assignment{}
}

// setAssignment sets the assignment of a partition, which it adds if it is not known.
func (c *controllerContext) setAssignment(tp TopicPartition, a zkstore.Assignment) {
	t := c.addTopic(tp.Topic)
	if p := t.partitions[tp.Partition]; p != nil {
		p.assignment = a
		return
	}
	t.partitions[tp.Partition] = &partitionContext{assignment: a, replicas: map[metadata.BrokerID]replicaState{}}
	t.sorted = nil
}

// topicNode returns the topic's znode according to the context.
func (c *controllerContext) topicNode(topic string) zkstore.TopicNode {
	node := zkstore.TopicNode{Name: topic, ID: c.topicID(topic), Partitions: map[int32]zkstore.Assignment{}}
	c.eachOf(topic, func(tp TopicPartition, p *partitionContext) { node.Partitions[tp.Partition] = p.assignment })
	return node
}

// leadership returns the state of a partition as last read or written, nil if unknown.
func (c *controllerContext) leadership(tp TopicPartition) *zkstore.PartitionState {
	if p := c.partition(tp); p != nil {
		return p.leadership
	}
	return nil
}

// setLeadership stores a state that was read from or written to ZooKeeper. It ignores partitions
// that are not known.
func (c *controllerContext) setLeadership(tp TopicPartition, s zkstore.PartitionState) {
	if p := c.partition(tp); p != nil {
		p.leadership = &s
	}
}

// queuedForDeletion reports whether the topic is to be deleted.
func (c *controllerContext) queuedForDeletion(topic string) bool {
	return c.deletionQueue.queued[topic]
}

// stopEpoch returns the leader epoch for a StopReplica request about the partition.
func (c *controllerContext) stopEpoch(tp TopicPartition) metadata.LeaderEpoch {
	if c.queuedForDeletion(tp.Topic) {
		return metadata.EpochDuringDelete
	}
	if s := c.leadership(tp); s != nil {
		return s.LeaderEpoch
	}
	return metadata.NoLeaderEpoch
}

// each calls f for every partition, in order.
func (c *controllerContext) each(f func(tp TopicPartition, p *partitionContext)) {
	for _, name := range c.sortedTopics() {
		c.eachOf(name, f)
	}
}

// eachOf calls f for every partition of a topic, in order.
func (c *controllerContext) eachOf(topic string, f func(tp TopicPartition, p *partitionContext)) {
	t := c.topics[topic]
	if t == nil {
		return
	}
	if t.sorted == nil {
		t.sorted = sortedKeys(t.partitions)
	}
	for _, index := range t.sorted {
		f(TopicPartition{Topic: topic, Partition: index}, t.partitions[index])
	}
}

// partitionsWhere returns the partitions for which keep returns true, in order.
func (c *controllerContext) partitionsWhere(keep func(tp TopicPartition, p *partitionContext) bool) []TopicPartition {
	var tps []TopicPartition
	c.each(func(tp TopicPartition, p *partitionContext) {
		if keep(tp, p) {
			tps = append(tps, tp)
		}
	})
	return tps
}

func (c *controllerContext) partitionsOf(topics []string) []TopicPartition {
	var tps []TopicPartition
	for _, topic := range topics {
		c.eachOf(topic, func(tp TopicPartition, _ *partitionContext) { tps = append(tps, tp) })
	}
	return tps
}

// partitionsWithLeadership returns the partitions whose state a new broker must be sent: those with
// a known leadership, except of topics to be deleted.
func (c *controllerContext) partitionsWithLeadership() []TopicPartition {
	return c.partitionsWhere(func(tp TopicPartition, p *partitionContext) bool {
		return p.leadership != nil && !c.queuedForDeletion(tp.Topic)
	})
}

// partitionsWithOfflineLeader returns the partitions whose leader is not online, except those of
// topics to be deleted.
func (c *controllerContext) partitionsWithOfflineLeader() []TopicPartition {
	return c.partitionsWhere(func(tp TopicPartition, p *partitionContext) bool {
		return p.leadership != nil && !c.queuedForDeletion(tp.Topic) && !c.replicaOnline(p.leadership.Leader, tp)
	})
}

// ---- Replicas

// replicasWhere returns the replicas for which keep returns true, in order.
func (c *controllerContext) replicasWhere(keep func(r replicaID) bool) []replicaID {
	var replicas []replicaID
	c.each(func(tp TopicPartition, p *partitionContext) {
		for _, id := range p.assignment.Replicas {
			if r := (replicaID{tp, id}); keep(r) {
				replicas = append(replicas, r)
			}
		}
	})
	return replicas
}

func (c *controllerContext) replicasOnBrokers(ids ...metadata.BrokerID) []replicaID {
	return c.replicasWhere(func(r replicaID) bool { return slices.Contains(ids, r.Broker) })
}

func (c *controllerContext) replicasOfTopic(topic string) []replicaID {
	var replicas []replicaID
	c.eachOf(topic, func(tp TopicPartition, p *partitionContext) {
		replicas = append(replicas, replicasOf(tp, p.assignment.Replicas)...)
	})
	return replicas
}

func (c *controllerContext) replicasOfPartitions(tps []TopicPartition) []replicaID {
	var replicas []replicaID
	for _, tp := range tps {
		replicas = append(replicas, replicasOf(tp, c.assignment(tp).Replicas)...)
	}
	return replicas
}

func (c *controllerContext) replicasInState(topic string, s replicaState) []replicaID {
	return slices.DeleteFunc(c.replicasOfTopic(topic), func(r replicaID) bool { return c.replicaState(r) != s })
}

// allReplicasIn reports whether all replicas of a topic are in state s; true if it has no replicas.
func (c *controllerContext) allReplicasIn(topic string, s replicaState) bool {
	return len(c.replicasInState(topic, s)) == len(c.replicasOfTopic(topic))
}

func (c *controllerContext) anyReplicaIn(topic string, s replicaState) bool {
	return len(c.replicasInState(topic, s)) > 0
}

func (c *controllerContext) replicaState(r replicaID) replicaState {
	if p := c.partition(r.TopicPartition); p != nil {
		return p.replicas[r.Broker]
	}
	return nonExistentReplica
}

func (c *controllerContext) setReplicaState(r replicaID, s replicaState) {
	p := c.partition(r.TopicPartition)
	switch {
	case p == nil:
	case s == nonExistentReplica:
		delete(p.replicas, r.Broker)
	default:
		p.replicas[r.Broker] = s
	}
}

func replicasOf(tp TopicPartition, ids []metadata.BrokerID) []replicaID {
	replicas := make([]replicaID, len(ids))
	for i, id := range ids {
		replicas[i] = replicaID{tp, id}
	}
	return replicas
}

// ---- Order: the same input always gives the same output.

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func comparePartitions(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

func sortedPartitions[V any](m map[TopicPartition]V) []TopicPartition {
	tps := make([]TopicPartition, 0, len(m))
	for tp := range m {
		tps = append(tps, tp)
	}
	slices.SortFunc(tps, comparePartitions)
	return tps
}
