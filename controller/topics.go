package controller

import (
	"slices"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/zkstore"
)

// topicChange notifies that the children of /brokers/topics changed.
type topicChange struct{}

func (topicChange) String() string { return "TopicChange" }

func (topicChange) process(m *Machine) error {
	if !m.Active() {
		return nil
	}
	names, err := m.store.Topics(m.ctx)
	if err != nil {
		return err
	}
	added, known := m.c.newTopics(names)
	var deleted []string
	if known < len(m.c.topics) {
		sorted := slices.Sorted(slices.Values(names))
		for _, name := range m.c.sortedTopics() {
			if _, listed := slices.BinarySearch(sorted, name); !listed {
				deleted = append(deleted, name)
			}
		}
	}
	tps, err := m.topicNodes.read(m.ctx, added, nil) // a known id may be that of a deleted topic with the same name
	if err != nil {
		return err
	}
	for _, name := range added {
		m.c.addTopic(name)
	}
	for _, name := range deleted {
		m.c.removeTopic(name)
	}
	m.c.list(names)
	m.log.Infof("New topics: [%s], deleted topics: [%s], new partition replica assignment [%s]",
		javatext.ImmutableSet(added, javatext.StringHash), javatext.MutableSet(deleted, javatext.StringHash), javatext.Join(tps, ","))
	return m.createPartitions(tps)
}

// createPartitions brings new partitions and their replicas from NonExistent to Online.
func (m *Machine) createPartitions(tps []TopicPartition) error {
	if len(tps) == 0 {
		return nil
	}
	m.log.Infof("New partition creation callback for %s", javatext.Join(tps, ","))
	m.partitions.enter(tps, newPartition)
	m.replicas.enter(m.c.replicasOfPartitions(tps), newReplica)
	if _, err := m.partitions.bringOnline(m.ctx, tps, electOffline); err != nil {
		return err
	}
	m.replicas.enter(m.c.replicasOfPartitions(tps), onlineReplica)
	return nil
}

// partitionModifications notifies that the data of a topic's znode changed.
type partitionModifications struct{ topic string }

func (partitionModifications) String() string { return "PartitionModifications" }

// process adopts added partitions and restores a lost id. It ignores changes to known partitions;
// the next write of the znode overwrites them.
func (e partitionModifications) process(m *Machine) error {
	if !m.Active() {
		return nil
	}
	nodes, err := m.store.TopicNodes(m.ctx, []string{e.topic})
	if err != nil {
		return err
	}
	node, exists := nodes[e.topic]
	if !exists || m.c.topics[e.topic] == nil {
		return nil // topicChange handles it
	}
	if !m.c.queuedForDeletion(e.topic) {
		if err := m.topicNodes.restoreID(m.ctx, &node, m.c.topicID(e.topic)); err != nil {
			return err
		}
	}
	added := map[int32]zkstore.Assignment{}
	for index, a := range node.Partitions {
		if len(m.c.assignment(TopicPartition{Topic: e.topic, Partition: index}).Replicas) == 0 {
			added[index] = a
		}
	}
	if m.c.queuedForDeletion(e.topic) {
		return m.topicNodes.refusePartitions(m.ctx, node, sortedKeys(added))
	}
	if len(added) == 0 {
		return nil
	}
	if err := m.topicNodes.adoptID(m.ctx, &node); err != nil {
		return err
	}
	m.log.Infof("New partitions to be added %s to topic %s", javatext.Join(sortedKeys(added), ","), e.topic)
	var tps []TopicPartition
	for _, index := range sortedKeys(added) {
		tp := TopicPartition{Topic: e.topic, Partition: index}
		m.c.setAssignment(tp, added[index])
		tps = append(tps, tp)
	}
	return m.createPartitions(tps)
}
