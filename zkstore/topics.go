package zkstore

import (
	"bytes"
	"context"
	"errors"
	"sort"

	"github.com/go-zookeeper/zk"
)

// Topics lists the topics in ZooKeeper's order, in which two lists differ by little more than
// the topics that came and went between them, and arms the children watch on TopicsPath.
func (s *Store) Topics(ctx context.Context) ([]string, error) {
	return s.children(ctx, TopicsPath, true)
}

// TopicNames lists the topics, sorted, and arms nothing.
func (s *Store) TopicNames(ctx context.Context) ([]string, error) {
	return s.sortedChildren(ctx, TopicsPath, false)
}

func (s *Store) sortedChildren(ctx context.Context, path string, arm bool) ([]string, error) {
	names, err := s.children(ctx, path, arm)
	sort.Strings(names)
	return names, err
}

// TopicExists looks for /brokers/topics/name and arms a NodeWatch on
// TopicPath(name) only if one is registered.
func (s *Store) TopicExists(ctx context.Context, name string) (bool, error) {
	return s.exists(ctx, TopicPath(name))
}

// TopicNode reads one topic; ErrNoNode. Arms a NodeWatch on TopicPath(name).
func (s *Store) TopicNode(ctx context.Context, name string) (TopicNode, error) {
	n, err := s.read(ctx, TopicPath(name))
	if err != nil {
		return TopicNode{}, err
	}
	t, err := decodeTopic(name, n.data)
	t.Version = n.stat.Version
	return t, invalid(TopicPath(name), err)
}

// TopicNodes reads many topics, and arms their NodeWatches; absent topics are
// left out, one that cannot be decoded has no partitions.
func (s *Store) TopicNodes(ctx context.Context, names []string) (map[string]TopicNode, error) {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = TopicPath(name)
	}
	nodes, found, err := s.readMany(ctx, paths)
	if err != nil {
		return nil, err
	}
	topics := make(map[string]TopicNode, len(names))
	for i, name := range names {
		if !found[i] {
			continue
		}
		t, err := decodeTopic(name, nodes[i].data)
		if err != nil {
			s.kafkaLog.WithError(err).Warnf("Ignoring the partitions of topic %s: %s cannot be decoded", name, paths[i])
			t.Partitions = map[int32]Assignment{}
		}
		t.Version = nodes[i].stat.Version
		topics[name] = t
	}
	return topics, nil
}

// CreateTopic creates /brokers/topics/T; ErrNodeExists.
func (s *Store) CreateTopic(ctx context.Context, t TopicNode) error {
	return s.createRecursive(ctx, TopicPath(t.Name), encodeTopic(t))
}

// SetTopic overwrites /brokers/topics/T whatever its version; an admin tool
// that adds partitions passes NoFence.
func (s *Store) SetTopic(ctx context.Context, f Fence, t TopicNode) (Version, error) {
	path := TopicPath(t.Name)
	stat, err := s.apply(ctx, f, "write", path, s.setOp(path, encodeTopic(t), AnyVersion))
	return stat.Version, err
}

// RestoreTopic overwrites /brokers/topics/T if it still has t's version;
// ErrBadVersion or ErrNoNode if it was written or deleted since t was read.
func (s *Store) RestoreTopic(ctx context.Context, f Fence, t TopicNode) error {
	path := TopicPath(t.Name)
	_, err := s.apply(ctx, f, "write", path, s.setOp(path, encodeTopic(t), t.Version))
	return err
}

// PartitionStates reads many states; partitions whose node is absent or cannot
// be decoded are left out. Arms registered NodeWatches on PartitionStatePath.
func (s *Store) PartitionStates(ctx context.Context, tps []TopicPartition) (map[TopicPartition]PartitionState, error) {
	paths := make([]string, len(tps))
	for i, tp := range tps {
		paths[i] = PartitionStatePath(tp)
	}
	nodes, found, err := s.readMany(ctx, paths)
	if err != nil {
		return nil, err
	}
	states := make(map[TopicPartition]PartitionState, len(tps))
	for i, tp := range tps {
		if !found[i] {
			continue
		}
		state, err := decodePartitionState(nodes[i].data)
		if err != nil {
			s.kafkaLog.WithError(err).Warnf("Ignoring the state of partition %s-%d: %s cannot be decoded", tp.Topic, tp.Partition, paths[i])
			continue
		}
		state.Version, state.Zxid = nodes[i].stat.Version, nodes[i].stat.Mzxid
		states[tp] = state
	}
	return states, nil
}

// SetLeadersState writes a partition's state as the leader itself does it before
// IBP 2.7-IV2: where the node has the state's version, fenced by no controller
// epoch. ErrBadVersion where it has another, unless it shows what was to be
// written: an answer was lost, or somebody else wrote the same.
func (s *Store) SetLeadersState(ctx context.Context, tp TopicPartition, state PartitionState) (Version, error) {
	path, data := PartitionStatePath(tp), encodePartitionState(state)
	stat, err := s.set(ctx, path, data, state.Version)
	if !errors.Is(err, ErrBadVersion) {
		return stat.Version, err
	}
	if n, readErr := s.readUnwatched(ctx, path); readErr == nil && bytes.Equal(n.data, data) {
		return n.stat.Version, nil
	}
	return 0, err
}

// CreatePartitionStates creates the partitions/P and state nodes. failed says
// per partition why its state was not created (ErrNodeExists); err is set where
// nothing can be said: ErrControllerMoved, ErrSessionExpired, ErrClosed.
// The other partitions have version 0.
func (s *Store) CreatePartitionStates(ctx context.Context, f Fence, states map[TopicPartition]PartitionState) (failed map[TopicPartition]error, err error) {
	ctx, _, err = s.bind(ctx)
	if err != nil {
		return nil, err
	}
	tps := sortedPartitions(states)
	var parents, partitions, leaves []write
	for i, tp := range tps {
		if i == 0 || tps[i-1].Topic != tp.Topic {
			path := partitionsPath(tp.Topic)
			parents = append(parents, write{path, s.createOp(path, nil, 0)})
		}
		path := partitionPath(tp)
		partitions = append(partitions, write{path, s.createOp(path, nil, 0)})
		path = PartitionStatePath(tp)
		leaves = append(leaves, write{path, s.createOp(path, encodePartitionState(states[tp]), 0)})
	}
	// Where a parent cannot be created its state says why.
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

// SetPartitionStates sets each state where the node still has the state's
// Version. written has the new versions; failed says why the others were not
// set (ErrBadVersion, ErrNoNode); err as for CreatePartitionStates.
func (s *Store) SetPartitionStates(ctx context.Context, f Fence, states map[TopicPartition]PartitionState) (written map[TopicPartition]Version, failed map[TopicPartition]error, err error) {
	tps := sortedPartitions(states)
	writes := make([]write, len(tps))
	for i, tp := range tps {
		path := PartitionStatePath(tp)
		writes[i] = write{path, s.setOp(path, encodePartitionState(states[tp]), states[tp].Version)}
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
			written[tp] = outcomes[i].stat.Version
		}
	}
	return written, failed, nil
}

// DeleteTopic deletes the topic's configuration, all below its node, and last the
// node and its deletion mark in one transaction: nobody can create the topic anew
// before all is gone, and who takes over in the midst of it never finds the mark
// beside a new topic, which would go, too. Absent nodes are no error.
func (s *Store) DeleteTopic(ctx context.Context, f Fence, name string) error {
	ctx, _, err := s.bind(ctx)
	if err != nil {
		return err
	}
	if err := s.removeTree(ctx, f, EntityPath(EntityTopics, name)); err != nil {
		return err
	}
	if err := s.removePartitions(ctx, f, name); err != nil {
		return err
	}
	exists, err := s.exists(ctx, TopicPath(name))
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

// removePartitions deletes the nodes that every partition has, without looking
// below each of them; what else there may be is left to removeTree.
func (s *Store) removePartitions(ctx context.Context, f Fence, topic string) error {
	below := partitionsPath(topic)
	names, err := s.children(ctx, below, false)
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

// TopicDeletions lists the topics marked for deletion and arms the children
// watch on DeleteTopicsPath.
func (s *Store) TopicDeletions(ctx context.Context) ([]string, error) {
	return s.sortedChildren(ctx, DeleteTopicsPath, true)
}

// TopicMarkedForDeletion says whether the topic is marked for deletion.
func (s *Store) TopicMarkedForDeletion(ctx context.Context, name string) (bool, error) {
	return s.exists(ctx, topicDeletionPath(name))
}

// CreateTopicDeletion marks the topic for deletion; ErrNodeExists.
func (s *Store) CreateTopicDeletion(ctx context.Context, name string) error {
	return s.createRecursive(ctx, topicDeletionPath(name), nil)
}

// RemoveTopicDeletions removes marks; absent ones are no error.
func (s *Store) RemoveTopicDeletions(ctx context.Context, f Fence, names []string) error {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = topicDeletionPath(name)
	}
	return s.removeAll(ctx, f, paths)
}

// ConsumerOffset reads /consumers/G/offsets/T/P; known is false where absent.
func (s *Store) ConsumerOffset(ctx context.Context, group string, tp TopicPartition) (offset int64, known bool, err error) {
	path := consumerOffsetPath(group, tp)
	n, err := s.readUnwatched(ctx, path)
	if errors.Is(err, ErrNoNode) || err == nil && len(n.data) == 0 {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	offset, err = decodeNumber(n.data, 64)
	return offset, err == nil, invalid(path, err)
}

// SetConsumerOffset writes it, for OffsetCommit version 0.
func (s *Store) SetConsumerOffset(ctx context.Context, group string, tp TopicPartition, offset int64) error {
	return s.setOrCreate(ctx, consumerOffsetPath(group, tp), encodeOffset(offset))
}

// setOrCreate writes a node whatever its version, creating it and its parents
// where they are absent.
func (s *Store) setOrCreate(ctx context.Context, path string, data []byte) error {
	for {
		_, err := s.set(ctx, path, data, AnyVersion)
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := s.createRecursive(ctx, path, data); !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
}
