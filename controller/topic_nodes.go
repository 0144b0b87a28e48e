package controller

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/zkstore"
)

// topicNodes reads and watches the znodes of topics, and gives ids to topics without one.
type topicNodes struct {
	topicIDs bool                    // topics without an id get one (since IBP 2.8-IV0)
	draw     func() (TopicID, error) // Config.NewTopicID
	c        *controllerContext
	store    interface {
		topicStore
		stateStore
		watchStore
	}
	agenda Agenda
	log    kafkalog.Prefixed
}

// read watches topics, reads their znodes and adopts their ids and assignments. It returns the
// partitions in order. A topic without an id gets the id that known returns, or a new one if that
// is zero and inter.broker.protocol.version supports topic ids. An existing id is kept with any
// version.
func (tn *topicNodes) read(ctx context.Context, names []string, known func(topic string) TopicID) ([]TopicPartition, error) {
	for _, name := range names {
		changed := func() { tn.agenda.Put(partitionModifications{name}) }
		tn.store.WatchNode(zkstore.TopicPath(name), zkstore.NodeWatch{Changed: changed})
	}
	nodes, err := tn.store.TopicNodes(ctx, names)
	if err != nil {
		return nil, err
	}
	// Assign all ids before adding any topic to the context. If an error came in between, the next
	// topicChange would not treat the added topics as new, and they would stay without partitions.
	for _, name := range sortedKeys(nodes) {
		node := nodes[name]
		if len(node.Partitions) == 0 {
			tn.log.Errorf("Topic %s has no partitions: the data of %s is empty or invalid; correct it, or delete the topic", name, zkstore.TopicPath(name))
			delete(nodes, name)
			continue
		}
		if known != nil {
			err = tn.restoreID(ctx, &node, known(name))
		}
		if err == nil {
			err = tn.ensureID(ctx, &node)
		}
		if err != nil {
			return nil, err
		}
		nodes[name] = node
	}
	var tps []TopicPartition
	for _, name := range sortedKeys(nodes) {
		node := nodes[name]
		tn.c.setTopicID(name, node.ID)
		for _, index := range sortedKeys(node.Partitions) {
			tp := TopicPartition{Topic: name, Partition: index}
			tn.c.setAssignment(tp, node.Partitions[index])
			tps = append(tps, tp)
		}
	}
	return tps, nil
}

func (tn *topicNodes) unwatch(names ...string) {
	for _, name := range names {
		tn.store.UnwatchNode(zkstore.TopicPath(name))
	}
}

func (tn *topicNodes) ensureID(ctx context.Context, node *zkstore.TopicNode) error {
	if !tn.topicIDs || node.ID != (TopicID{}) {
		return nil
	}
	id, err := tn.newID()
	if err != nil {
		return err
	}
	node.ID = id
	_, err = tn.store.SetTopic(ctx, tn.c.fence(), *node)
	return err
}

// restoreID writes the known id of a topic back into a znode without an id, which means that a tool
// that does not support topic ids has rewritten the znode. With a new id, the replicas would refuse
// all requests for the topic, since they have the old id in partition.metadata. If no partition has
// a state in ZooKeeper yet, the topic is a new one with the name of a deleted topic, which had the
// known id; its znode is left as it is.
func (tn *topicNodes) restoreID(ctx context.Context, node *zkstore.TopicNode, id TopicID) error {
	if id == (TopicID{}) || node.ID != (TopicID{}) {
		return nil
	}
	var tps []TopicPartition
	for _, index := range sortedKeys(node.Partitions) {
		tps = append(tps, TopicPartition{Topic: node.Name, Partition: index})
	}
	states, err := tn.store.PartitionStates(ctx, tps)
	if err != nil || len(states) == 0 {
		return err
	}
	node.ID = id
	tn.log.Warnf("Topic %s has lost its id because a tool rewrote %s without it. Restoring the id %s",
		node.Name, zkstore.TopicPath(node.Name), javatext.UUID(id))
	err = tn.store.RestoreTopic(ctx, tn.c.fence(), *node)
	if errors.Is(err, zkstore.ErrBadVersion) || errors.Is(err, zkstore.ErrNoNode) {
		return nil // the znode changed in the meantime, for which an event follows
	}
	return err
}

// adoptID adopts the id of a topic that has none in the controller's state, because its znode was
// invalid until now. If the znode has no id either, it gets one. A known id is kept.
func (tn *topicNodes) adoptID(ctx context.Context, node *zkstore.TopicNode) error {
	if tn.c.topicID(node.Name) != (TopicID{}) {
		return nil
	}
	if err := tn.ensureID(ctx, node); err != nil {
		return err
	}
	tn.c.setTopicID(node.Name, node.ID)
	return nil
}

// refusePartitions removes partitions that were added to the znode of a topic being deleted
// (KAFKA-6612). Otherwise the deletion would never end.
func (tn *topicNodes) refusePartitions(ctx context.Context, node zkstore.TopicNode, added []int32) error {
	if len(added) == 0 {
		tn.log.Infof("Ignoring partition change during topic deletion as no new partitions are added")
		return nil
	}
	tn.log.Warnf("Skipping adding partitions %s for topic %s since it is currently being deleted", javatext.Join(added, ","), node.Name)
	tn.log.Infof("Restoring the partition replica assignment for topic %s", node.Name)
	_, err := tn.store.SetTopic(ctx, tn.c.fence(), tn.c.topicNode(node.Name))
	return err
}

// newID returns a random version 4 UUID whose text does not begin with '-', since tools would parse
// such an id as an option.
func (tn *topicNodes) newID() (TopicID, error) {
	draw := tn.draw
	if draw == nil {
		draw = randomTopicID
	}
	for {
		id, err := draw()
		if err != nil || javatext.UUID(id)[0] != '-' {
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
