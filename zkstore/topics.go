package zkstore

import (
	"context"
	"errors"

	"github.com/monedula/monedula/zkstore/zkclient"
)

// topics has the operations on topics, their deletion included.
type topics struct{ nodes nodes }

// Topics returns the topics in ZooKeeper's order and arms the children watch on TopicsPath. In this
// order, two successive lists hardly differ except for created and deleted topics.
func (ts topics) Topics(ctx context.Context) ([]string, error) {
	return ts.nodes.Children(ctx, TopicsPath, true)
}

// TopicNames returns the sorted topics. It arms no watch.
func (ts topics) TopicNames(ctx context.Context) ([]string, error) {
	return ts.nodes.SortedChildren(ctx, TopicsPath, false)
}

// TopicExists reports whether /brokers/topics/name exists, and arms a NodeWatch on TopicPath(name)
// if one is registered.
func (ts topics) TopicExists(ctx context.Context, name string) (bool, error) {
	return ts.nodes.Exists(ctx, TopicPath(name))
}

// TopicNode reads one topic and arms a NodeWatch on TopicPath(name). It returns ErrNoNode if the
// topic does not exist.
func (ts topics) TopicNode(ctx context.Context, name string) (TopicNode, error) {
	n, err := ts.nodes.Read(ctx, TopicPath(name))
	if err != nil {
		return TopicNode{}, err
	}
	t, err := decodeTopic(name, n.Data)
	t.Version = n.Version()
	return t, invalid(TopicPath(name), err)
}

// TopicNodes reads several topics and arms their NodeWatches. It omits missing topics. A topic
// whose node is invalid has no partitions.
func (ts topics) TopicNodes(ctx context.Context, names []string) (map[string]TopicNode, error) {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = TopicPath(name)
	}
	nodes, found, err := ts.nodes.ReadMany(ctx, paths)
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
			ts.nodes.log.WithError(err).Warnf("Ignoring the partitions of topic %s: %s cannot be decoded", name, paths[i])
			t.Partitions = map[int32]Assignment{}
		}
		t.Version = nodes[i].Version()
		topics[name] = t
	}
	return topics, nil
}

// CreateTopic creates /brokers/topics/T. It returns ErrNodeExists if the topic exists.
func (ts topics) CreateTopic(ctx context.Context, t TopicNode) error {
	return ts.nodes.CreateRecursive(ctx, TopicPath(t.Name), encodeTopic(t))
}

// SetTopic overwrites /brokers/topics/T, whatever its version. An admin tool that adds partitions
// passes NoFence.
func (ts topics) SetTopic(ctx context.Context, f Fence, t TopicNode) (Version, error) {
	path := TopicPath(t.Name)
	return ts.nodes.apply(ctx, f, "write", zkclient.SetOp(path, encodeTopic(t), AnyVersion))
}

// RestoreTopic overwrites /brokers/topics/T if it still has the version t.Version. It returns
// ErrBadVersion or ErrNoNode if the node was written or deleted since t was read.
func (ts topics) RestoreTopic(ctx context.Context, f Fence, t TopicNode) error {
	path := TopicPath(t.Name)
	_, err := ts.nodes.apply(ctx, f, "write", zkclient.SetOp(path, encodeTopic(t), t.Version))
	return err
}

// DeleteTopic deletes the topic's configuration, all nodes below the topic's node, and last the
// node and its deletion mark in one transaction. No client can therefore create the topic again
// before all its nodes are deleted, and a controller that takes over never finds the mark of the
// deleted topic next to a new topic, which it would delete too. Missing nodes are not an error.
func (ts topics) DeleteTopic(ctx context.Context, f Fence, name string) error {
	ctx, _, err := ts.nodes.Bind(ctx)
	if err != nil {
		return err
	}
	if err := ts.nodes.removeTree(ctx, f, EntityPath(EntityTopics, name)); err != nil {
		return err
	}
	if err := ts.removePartitions(ctx, f, name); err != nil {
		return err
	}
	exists, err := ts.nodes.Exists(ctx, TopicPath(name))
	if err != nil {
		return err
	}
	marked, err := ts.TopicMarkedForDeletion(ctx, name)
	switch {
	case err != nil:
		return err
	case exists && marked:
		return ts.nodes.removeTree(ctx, f, TopicPath(name), topicDeletionPath(name))
	case exists:
		return ts.nodes.removeTree(ctx, f, TopicPath(name))
	default:
		return ts.nodes.removeFenced(ctx, f, topicDeletionPath(name))
	}
}

// removePartitions deletes the nodes that each partition has, without listing the children of each
// partition. It leaves any other nodes to removeTree.
func (ts topics) removePartitions(ctx context.Context, f Fence, topic string) error {
	below := partitionsPath(topic)
	names, err := ts.nodes.Children(ctx, below, false)
	if err != nil {
		return err
	}
	states, partitions := make([]string, len(names)), make([]string, len(names))
	for i, name := range names {
		partitions[i] = joinPath(below, name)
		states[i] = joinPath(partitions[i], "state")
	}
	for _, level := range [][]string{states, partitions} {
		if err := ts.nodes.removeAll(ctx, f, level); err != nil && !errors.Is(err, zkclient.ErrNotEmpty) {
			return err
		}
	}
	return nil
}

// TopicDeletions returns the sorted topics marked for deletion and arms the children watch on
// DeleteTopicsPath.
func (ts topics) TopicDeletions(ctx context.Context) ([]string, error) {
	return ts.nodes.SortedChildren(ctx, DeleteTopicsPath, true)
}

// TopicMarkedForDeletion reports whether the topic is marked for deletion.
func (ts topics) TopicMarkedForDeletion(ctx context.Context, name string) (bool, error) {
	return ts.nodes.Exists(ctx, topicDeletionPath(name))
}

// CreateTopicDeletion marks the topic for deletion. It returns ErrNodeExists if it is marked
// already.
func (ts topics) CreateTopicDeletion(ctx context.Context, name string) error {
	return ts.nodes.CreateRecursive(ctx, topicDeletionPath(name), nil)
}

// RemoveTopicDeletions deletes the deletion marks of topics. Missing marks are not an error.
func (ts topics) RemoveTopicDeletions(ctx context.Context, f Fence, names []string) error {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = topicDeletionPath(name)
	}
	return ts.nodes.removeAll(ctx, f, paths)
}
