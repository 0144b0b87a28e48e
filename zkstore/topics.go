package zkstore

import (
	"bytes"
	"context"
	"errors"

	"github.com/go-zookeeper/zk"
)

// Topics returns the topics in ZooKeeper's order and arms the children watch on TopicsPath. In this
// order, two successive lists hardly differ except for created and deleted topics.
func (s *Store) Topics(ctx context.Context) ([]string, error) {
	return s.Children(ctx, TopicsPath, true)
}

// TopicNames returns the sorted topics. It arms no watch.
func (s *Store) TopicNames(ctx context.Context) ([]string, error) {
	return s.SortedChildren(ctx, TopicsPath, false)
}

// TopicExists reports whether /brokers/topics/name exists, and arms a NodeWatch on TopicPath(name)
// if one is registered.
func (s *Store) TopicExists(ctx context.Context, name string) (bool, error) {
	return s.Exists(ctx, TopicPath(name))
}

// TopicNode reads one topic and arms a NodeWatch on TopicPath(name). It returns ErrNoNode if the
// topic does not exist.
func (s *Store) TopicNode(ctx context.Context, name string) (TopicNode, error) {
	n, err := s.Read(ctx, TopicPath(name))
	if err != nil {
		return TopicNode{}, err
	}
	t, err := decodeTopic(name, n.Data)
	t.Version = n.Version()
	return t, invalid(TopicPath(name), err)
}

// TopicNodes reads several topics and arms their NodeWatches. It omits missing topics. A topic
// whose node is invalid has no partitions.
func (s *Store) TopicNodes(ctx context.Context, names []string) (map[string]TopicNode, error) {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = TopicPath(name)
	}
	nodes, found, err := s.ReadMany(ctx, paths)
	if err != nil {
		return nil, err
	}
	topics := make(map[string]TopicNode, len(names))
	for i, name := range names {
		if !found[i] {
			continue
		}
		t, err := decodeTopic(name, nodes[i].Data)
		if err != nil {
			s.kafkaLog.WithError(err).Warnf("Ignoring the partitions of topic %s: %s cannot be decoded", name, paths[i])
			t.Partitions = map[int32]Assignment{}
		}
		t.Version = nodes[i].Version()
		topics[name] = t
	}
	return topics, nil
}

// CreateTopic creates /brokers/topics/T. It returns ErrNodeExists if the topic exists.
func (s *Store) CreateTopic(ctx context.Context, t TopicNode) error {
	return s.CreateRecursive(ctx, TopicPath(t.Name), encodeTopic(t))
}

// SetTopic overwrites /brokers/topics/T, whatever its version. An admin tool that adds partitions
// passes NoFence.
func (s *Store) SetTopic(ctx context.Context, f Fence, t TopicNode) (Version, error) {
	path := TopicPath(t.Name)
	return s.apply(ctx, f, "write", path, s.SetOp(path, encodeTopic(t), AnyVersion))
}

// RestoreTopic overwrites /brokers/topics/T if it still has the version t.Version. It returns
// ErrBadVersion or ErrNoNode if the node was written or deleted since t was read.
func (s *Store) RestoreTopic(ctx context.Context, f Fence, t TopicNode) error {
	path := TopicPath(t.Name)
	_, err := s.apply(ctx, f, "write", path, s.SetOp(path, encodeTopic(t), t.Version))
	return err
}

// PartitionStates reads several states and arms registered NodeWatches on their PartitionStatePath.
// It omits partitions whose node is missing or invalid.
func (s *Store) PartitionStates(ctx context.Context, tps []TopicPartition) (map[TopicPartition]PartitionState, error) {
	paths := make([]string, len(tps))
	for i, tp := range tps {
		paths[i] = PartitionStatePath(tp)
	}
	nodes, found, err := s.ReadMany(ctx, paths)
	if err != nil {
		return nil, err
	}
	states := make(map[TopicPartition]PartitionState, len(tps))
	for i, tp := range tps {
		if !found[i] {
			continue
		}
		state, err := decodePartitionState(nodes[i].Data)
		if err != nil {
			s.kafkaLog.WithError(err).Warnf("Ignoring the state of partition %s-%d: %s cannot be decoded", tp.Topic, tp.Partition, paths[i])
			continue
		}
		state.Version, state.Zxid = nodes[i].Version(), nodes[i].Stat.Mzxid
		states[tp] = state
	}
	return states, nil
}

// SetLeadersState writes a partition's state as its leader does before IBP 2.7-IV2: if the node has
// the version state.Version, and without a fence. It returns ErrBadVersion if the node has another
// version, unless the node already has the data to write, because an answer was lost or another
// client wrote the same.
func (s *Store) SetLeadersState(ctx context.Context, tp TopicPartition, state PartitionState) (Version, error) {
	path, data := PartitionStatePath(tp), encodePartitionState(state)
	version, err := s.Set(ctx, path, data, state.Version)
	if !errors.Is(err, ErrBadVersion) {
		return version, err
	}
	if n, readErr := s.ReadUnwatched(ctx, path); readErr == nil && bytes.Equal(n.Data, data) {
		return n.Version(), nil
	}
	return 0, err
}

// CreatePartitionStates creates the partitions/P and state nodes. The created state nodes have
// version 0. failed has the errors of the partitions whose state was not created, such as
// ErrNodeExists. err is set if the whole operation failed, for example with ErrControllerMoved,
// ErrSessionExpired or ErrClosed; it is then unknown which states were created.
func (s *Store) CreatePartitionStates(ctx context.Context, f Fence, states map[TopicPartition]PartitionState) (failed map[TopicPartition]error, err error) {
	ctx, _, err = s.Bind(ctx)
	if err != nil {
		return nil, err
	}
	tps := sortedPartitions(states)
	var parents, partitions, leaves []write
	for i, tp := range tps {
		if i == 0 || tps[i-1].Topic != tp.Topic {
			path := partitionsPath(tp.Topic)
			parents = append(parents, write{path, s.CreateOp(path, nil, 0)})
		}
		path := partitionPath(tp)
		partitions = append(partitions, write{path, s.CreateOp(path, nil, 0)})
		path = PartitionStatePath(tp)
		leaves = append(leaves, write{path, s.CreateOp(path, encodePartitionState(states[tp]), 0)})
	}
	// A parent that cannot be created makes the creation of its state fail, with a suitable error.
	for _, writes := range [][]write{parents, partitions} {
		if _, err := s.bulk(ctx, f, "create", writes); err != nil {
			return nil, err
		}
	}
	outcomes, err := s.bulk(ctx, f, "create", leaves)
	if err != nil {
		return nil, err
	}
	failed = map[TopicPartition]error{}
	for i, o := range outcomes {
		if o.err != nil {
			failed[tps[i]] = o.err
		}
	}
	return failed, nil
}

// SetPartitionStates writes each state if the node still has the state's Version. written has the
// new versions. failed has the errors of the other partitions, such as ErrBadVersion or ErrNoNode.
// err is as for CreatePartitionStates.
func (s *Store) SetPartitionStates(ctx context.Context, f Fence, states map[TopicPartition]PartitionState) (written map[TopicPartition]Version, failed map[TopicPartition]error, err error) {
	tps := sortedPartitions(states)
	writes := make([]write, len(tps))
	for i, tp := range tps {
		path := PartitionStatePath(tp)
		writes[i] = write{path, s.SetOp(path, encodePartitionState(states[tp]), states[tp].Version)}
	}
	outcomes, err := s.bulk(ctx, f, "write", writes)
	if err != nil {
		return nil, nil, err
	}
	written, failed = map[TopicPartition]Version{}, map[TopicPartition]error{}
	for i, tp := range tps {
		if outcomes[i].err != nil {
			failed[tp] = outcomes[i].err
		} else {
			written[tp] = outcomes[i].version
		}
	}
	return written, failed, nil
}

// DeleteTopic deletes the topic's configuration, all nodes below the topic's node, and last the
// node and its deletion mark in one transaction. No client can therefore create the topic again
// before all its nodes are deleted, and a controller that takes over never finds the mark of the
// deleted topic next to a new topic, which it would delete too. Missing nodes are not an error.
func (s *Store) DeleteTopic(ctx context.Context, f Fence, name string) error {
	ctx, _, err := s.Bind(ctx)
	if err != nil {
		return err
	}
	if err := s.removeTree(ctx, f, EntityPath(EntityTopics, name)); err != nil {
		return err
	}
	if err := s.removePartitions(ctx, f, name); err != nil {
		return err
	}
	exists, err := s.Exists(ctx, TopicPath(name))
	if err != nil {
		return err
	}
	marked, err := s.TopicMarkedForDeletion(ctx, name)
	switch {
	case err != nil:
		return err
	case exists && marked:
		return s.removeTree(ctx, f, TopicPath(name), topicDeletionPath(name))
	case exists:
		return s.removeTree(ctx, f, TopicPath(name))
	default:
		return s.removeFenced(ctx, f, topicDeletionPath(name))
	}
}

// removePartitions deletes the nodes that each partition has, without listing the children of each
// partition. It leaves any other nodes to removeTree.
func (s *Store) removePartitions(ctx context.Context, f Fence, topic string) error {
	below := partitionsPath(topic)
	names, err := s.Children(ctx, below, false)
	if err != nil {
		return err
	}
	states, partitions := make([]string, len(names)), make([]string, len(names))
	for i, name := range names {
		partitions[i] = joinPath(below, name)
		states[i] = joinPath(partitions[i], "state")
	}
	for _, level := range [][]string{states, partitions} {
		if err := s.removeAll(ctx, f, level); err != nil && !errors.Is(err, zk.ErrNotEmpty) {
			return err
		}
	}
	return nil
}

// TopicDeletions returns the sorted topics marked for deletion and arms the children watch on
// DeleteTopicsPath.
func (s *Store) TopicDeletions(ctx context.Context) ([]string, error) {
	return s.SortedChildren(ctx, DeleteTopicsPath, true)
}

// TopicMarkedForDeletion reports whether the topic is marked for deletion.
func (s *Store) TopicMarkedForDeletion(ctx context.Context, name string) (bool, error) {
	return s.Exists(ctx, topicDeletionPath(name))
}

// CreateTopicDeletion marks the topic for deletion. It returns ErrNodeExists if it is marked
// already.
func (s *Store) CreateTopicDeletion(ctx context.Context, name string) error {
	return s.CreateRecursive(ctx, topicDeletionPath(name), nil)
}

// RemoveTopicDeletions deletes the deletion marks of topics. Missing marks are not an error.
func (s *Store) RemoveTopicDeletions(ctx context.Context, f Fence, names []string) error {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = topicDeletionPath(name)
	}
	return s.removeAll(ctx, f, paths)
}

// ConsumerOffset reads /consumers/G/offsets/T/P. known is false if the node is missing or empty.
func (s *Store) ConsumerOffset(ctx context.Context, group string, tp TopicPartition) (offset int64, known bool, err error) {
	path := consumerOffsetPath(group, tp)
	n, err := s.ReadUnwatched(ctx, path)
	if errors.Is(err, ErrNoNode) || err == nil && len(n.Data) == 0 {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	offset, err = decodeNumber(n.Data, 64)
	return offset, err == nil, invalid(path, err)
}

// SetConsumerOffset writes /consumers/G/offsets/T/P, for OffsetCommit version 0.
func (s *Store) SetConsumerOffset(ctx context.Context, group string, tp TopicPartition, offset int64) error {
	return s.SetOrCreate(ctx, consumerOffsetPath(group, tp), encodeOffset(offset))
}
