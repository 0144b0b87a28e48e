package controller

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/monedula/monedula/zkstore"
)

// readTopics watches topics, reads their znodes and adopts their ids and assignments. It returns
// the partitions in order. A topic without an id gets the id that known returns, or a new one if
// that is zero and inter.broker.protocol.version supports topic ids. An existing id is kept with
// any version.
func (m *Machine) readTopics(names []string, known func(topic string) TopicID) ([]TopicPartition, error) {
	for _, name := range names {
		changed := func() { m.agenda.Put(partitionModifications{name}) }
		m.store.WatchNode(zkstore.TopicPath(name), zkstore.NodeWatch{Changed: changed})
	}
	nodes, err := m.store.TopicNodes(m.ctx, names)
	if err != nil {
		return nil, err
	}
	// Assign all ids before adding any topic to the context. If an error came in between, the next
	// topicChange would not treat the added topics as new, and they would stay without partitions.
	for _, name := range sortedKeys(nodes) {
		node := nodes[name]
		if len(node.Partitions) == 0 {
			m.log.Errorf("Topic %s has no partitions: the data of %s is empty or invalid; correct it, or delete the topic", name, zkstore.TopicPath(name))
			delete(nodes, name)
			continue
		}
		if known != nil {
			err = m.restoreTopicID(&node, known(name))
		}
		if err == nil {
			err = m.ensureTopicID(&node)
		}
		if err != nil {
			return nil, err
		}
		nodes[name] = node
	}
	var tps []TopicPartition
	for _, name := range sortedKeys(nodes) {
		node := nodes[name]
		m.c.setTopicID(name, node.ID)
		for _, index := range sortedKeys(node.Partitions) {
			tp := TopicPartition{Topic: name, Partition: index}
			m.c.setAssignment(tp, node.Partitions[index])
			tps = append(tps, tp)
		}
	}
	return tps, nil
}

func (m *Machine) unwatchTopics(names ...string) {
	for _, name := range names {
		m.store.UnwatchNode(zkstore.TopicPath(name))
	}
}

func (m *Machine) ensureTopicID(node *zkstore.TopicNode) error {
	if !m.versions.topicIDs || node.ID != (TopicID{}) {
		return nil
	}
	id, err := m.newTopicID()
	if err != nil {
		return err
	}
	node.ID = id
	_, err = m.store.SetTopic(m.ctx, m.c.fence(), *node)
	return err
}

// restoreTopicID writes the known id of a topic back into a znode without an id, which means that a
// tool that does not support topic ids has rewritten the znode. With a new id, the replicas would
// refuse all requests for the topic, since they have the old id in partition.metadata. If no
// partition has a state in ZooKeeper yet, the topic is a new one with the name of a deleted topic,
// which had the known id; its znode is left as it is.
func (m *Machine) restoreTopicID(node *zkstore.TopicNode, id TopicID) error {
	if id == (TopicID{}) || node.ID != (TopicID{}) {
		return nil
	}
	var tps []TopicPartition
	for _, index := range sortedKeys(node.Partitions) {
		tps = append(tps, TopicPartition{Topic: node.Name, Partition: index})
	}
	states, err := m.store.PartitionStates(m.ctx, tps)
	if err != nil || len(states) == 0 {
		return err
	}
	node.ID = id
	m.log.Warnf("Topic %s has lost its id because a tool rewrote %s without it. Restoring the id %s",
		node.Name, zkstore.TopicPath(node.Name), base64.RawURLEncoding.EncodeToString(id[:]))
	err = m.store.RestoreTopic(m.ctx, m.c.fence(), *node)
	if errors.Is(err, zkstore.ErrBadVersion) || errors.Is(err, zkstore.ErrNoNode) {
		return nil // the znode changed in the meantime, for which an event follows
	}
	return err
}

// newTopicID returns a random version 4 UUID whose text does not begin with '-', since tools would
// parse such an id as an option.
func (m *Machine) newTopicID() (TopicID, error) {
	draw := m.cfg.NewTopicID
	if draw == nil {
		draw = randomTopicID
	}
	for {
		id, err := draw()
		if err != nil || base64.RawURLEncoding.EncodeToString(id[:])[0] != '-' {
			return id, err
		}
	}
}

func randomTopicID() (TopicID, error) {
	var id TopicID
	_, err := rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id, err
}

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
	tps, err := m.readTopics(added, nil) // a known id may be that of a deleted topic with the same name
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
		scalaList("Set", added), scalaList("HashSet", deleted), joinPartitions(tps))
	return m.createPartitions(tps)
}

// createPartitions brings new partitions and their replicas from NonExistent to Online.
func (m *Machine) createPartitions(tps []TopicPartition) error {
	if len(tps) == 0 {
		return nil
	}
	m.log.Infof("New partition creation callback for %s", joinPartitions(tps))
	if _, err := m.partitions.move(m.ctx, tps, newPartition, electOffline); err != nil {
		return err
	}
	if err := m.replicas.move(m.ctx, m.c.replicasOfPartitions(tps), newReplica); err != nil {
		return err
	}
	if _, err := m.partitions.move(m.ctx, tps, onlinePartition, electOffline); err != nil {
		return err
	}
	return m.replicas.move(m.ctx, m.c.replicasOfPartitions(tps), onlineReplica)
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
		if err := m.restoreTopicID(&node, m.c.topicID(e.topic)); err != nil {
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
		return m.refusePartitions(node, sortedKeys(added))
	}
	if len(added) == 0 {
		return nil
	}
	if err := m.adoptTopicID(&node); err != nil {
		return err
	}
	m.log.Infof("New partitions to be added %s to topic %s", joinIDs(sortedKeys(added)), e.topic)
	var tps []TopicPartition
	for _, index := range sortedKeys(added) {
		tp := TopicPartition{Topic: e.topic, Partition: index}
		m.c.setAssignment(tp, added[index])
		tps = append(tps, tp)
	}
	return m.createPartitions(tps)
}

// adoptTopicID adopts the id of a topic that has none in the controller's state, because its znode
// was invalid until now. If the znode has no id either, it gets one. A known id is kept.
func (m *Machine) adoptTopicID(node *zkstore.TopicNode) error {
	if m.c.topicID(node.Name) != (TopicID{}) {
		return nil
	}
	if err := m.ensureTopicID(node); err != nil {
		return err
	}
	m.c.setTopicID(node.Name, node.ID)
	return nil
}

// refusePartitions removes partitions that were added to the znode of a topic being deleted
// (KAFKA-6612). Otherwise the deletion would never end.
func (m *Machine) refusePartitions(node zkstore.TopicNode, added []int32) error {
	if len(added) == 0 {
		m.log.Infof("Ignoring partition change during topic deletion as no new partitions are added")
		return nil
	}
	m.log.Warnf("Skipping adding partitions %s for topic %s since it is currently being deleted", joinIDs(added), node.Name)
	m.log.Infof("Restoring the partition replica assignment for topic %s", node.Name)
	_, err := m.store.SetTopic(m.ctx, m.c.fence(), m.c.topicNode(node.Name))
	return err
}
