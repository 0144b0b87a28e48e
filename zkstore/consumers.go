package zkstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/zkstore/zkclient"
)

// The ZooKeeper-based consumers of Kafka 0.8 to 1.1 have their data below /consumers/G: the members
// below ids and the owners of partitions below owners, both ephemeral, and committed offsets below
// offsets.

// The values of ConsumerRegistration.Pattern.
const (
	SubscribeStatic    = "static"     // the keys of Subscription are topics
	SubscribeWhitelist = "white_list" // the only key is a regular expression of topics to read
	SubscribeBlacklist = "black_list" // the only key is a regular expression of topics not to read
)

// ConsumerRegistration is the content of /consumers/G/ids/C.
type ConsumerRegistration struct {
	Pattern      string         // SubscribeStatic, SubscribeWhitelist or SubscribeBlacklist
	Subscription map[string]int // number of streams by topic or pattern
	Timestamp    int64          // in ms; set by reads, written as given
}

func encodeConsumer(r ConsumerRegistration) []byte {
	var w objectWriter
	w.key("version").int(1)
	w.key("subscription").object(func(w *objectWriter) {
		for _, name := range sortedKeys(r.Subscription) {
			w.key(name).int(int64(r.Subscription[name]))
		}
	})
	w.key("pattern").string(r.Pattern)
	w.key("timestamp").string(strconv.FormatInt(r.Timestamp, 10))
	return w.bytes()
}

// decodeConsumer decodes registrations of all releases from 0.8 to 1.1. The timestamp, which has no
// use, may be missing, a number or a string.
func decodeConsumer(data []byte) (r ConsumerRegistration, err error) {
	o, err := parseObject(data)
	if err != nil {
		return r, err
	}
	if r.Pattern, err = get[string](o, "pattern"); err != nil {
		return r, err
	}
	if r.Subscription, err = get[map[string]int](o, "subscription"); err != nil {
		return r, err
	}
	for name, streams := range r.Subscription {
		if streams < 1 {
			return r, fmt.Errorf("%w: %d streams for %q", ErrInvalidNode, streams, name)
		}
	}
	var text string
	if json.Unmarshal(o["timestamp"], &text) == nil {
		r.Timestamp, _ = strconv.ParseInt(text, 10, 64)
	} else {
		_ = json.Unmarshal(o["timestamp"], &r.Timestamp)
	}
	return r, nil
}

func consumerGroupPath(group string) string { return consumersPath + "/" + group }

// ConsumerIDsPath returns /consumers/G/ids, whose children are the members of the group.
func ConsumerIDsPath(group string) string { return consumerGroupPath(group) + "/ids" }

func consumerIDPath(group, id string) string { return ConsumerIDsPath(group) + "/" + id }

func consumerOffsetsPath(group string) string { return consumerGroupPath(group) + "/offsets" }

func consumerOwnerPath(group string, tp TopicPartition) string {
	return consumerGroupPath(group) + "/owners/" + tp.Topic + "/" + strconv.Itoa(int(tp.Partition))
}

// consumers has the operations on the groups of these consumers.
type consumers struct{ nodes nodes }

// RegisterConsumer creates the ephemeral node of a member, and its parents with empty data, as the
// Java consumer does. It returns ErrNodeExists if the node belongs to another session.
func (c consumers) RegisterConsumer(ctx context.Context, group, id string, r ConsumerRegistration) error {
	ctx, _, err := c.nodes.Bind(ctx)
	if err != nil {
		return err
	}
	for _, parent := range []string{consumersPath, consumerGroupPath(group), ConsumerIDsPath(group)} {
		if err := c.nodes.Create(ctx, parent, []byte{}); err != nil && !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
	return c.nodes.CreateEphemeral(ctx, consumerIDPath(group, id), encodeConsumer(r))
}

// Consumers returns the sorted ids of the members of a group and arms the children watch on
// ConsumerIDsPath.
func (c consumers) Consumers(ctx context.Context, group string) ([]string, error) {
	return c.nodes.SortedChildren(ctx, ConsumerIDsPath(group), true)
}

// Consumer reads one member's registration. It returns ErrNoNode if there is none.
func (c consumers) Consumer(ctx context.Context, group, id string) (ConsumerRegistration, error) {
	path := consumerIDPath(group, id)
	n, err := c.nodes.ReadUnwatched(ctx, path)
	if err != nil {
		return ConsumerRegistration{}, err
	}
	r, err := decodeConsumer(n.Data)
	return r, invalid(path, err)
}

// ClaimPartition makes owner (a member's id, a dash and the number of its stream) the owner of a
// partition until the session ends. It returns ErrNodeExists if another session owns the partition.
func (c consumers) ClaimPartition(ctx context.Context, group string, tp TopicPartition, owner string) error {
	ctx, _, err := c.nodes.Bind(ctx)
	if err != nil {
		return err
	}
	path := consumerOwnerPath(group, tp)
	for {
		err := c.nodes.CreateEphemeral(ctx, path, []byte(owner))
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := c.nodes.EnsurePath(ctx, zkclient.ParentPath(path)); err != nil {
			return err
		}
	}
}

// ReleasePartition releases a partition that the caller has claimed in the session that ctx is
// bound to. A missing node is not an error.
func (c consumers) ReleasePartition(ctx context.Context, group string, tp TopicPartition) error {
	return c.nodes.Remove(ctx, consumerOwnerPath(group, tp))
}

// AwaitPartitionReleased waits with a separate watch until the partition has no owner. It returns
// the context's error if ctx is done first.
func (c consumers) AwaitPartitionReleased(ctx context.Context, group string, tp TopicPartition) error {
	return c.nodes.AwaitGone(ctx, consumerOwnerPath(group, tp))
}

// ConsumerGroups returns the sorted names of the groups that have a node. There are none if no such
// consumer has ever run.
func (c consumers) ConsumerGroups(ctx context.Context) ([]string, error) {
	return c.childrenIfAny(ctx, consumersPath)
}

// childrenIfAny returns the sorted children of a node, none if the node does not exist.
func (c consumers) childrenIfAny(ctx context.Context, path string) ([]string, error) {
	names, err := c.nodes.SortedChildren(ctx, path, false)
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	return names, err
}

// ConsumerOffsetPartitions returns the partitions for which a group has committed offsets to
// ZooKeeper, by topic and number. Nodes whose name is not a number are left out.
func (c consumers) ConsumerOffsetPartitions(ctx context.Context, group string) ([]TopicPartition, error) {
	topics, err := c.childrenIfAny(ctx, consumerOffsetsPath(group))
	if err != nil {
		return nil, err
	}
	var all []TopicPartition
	for _, topic := range topics {
		names, err := c.childrenIfAny(ctx, consumerOffsetsPath(group)+"/"+topic)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if n, err := strconv.ParseInt(name, 10, 32); err == nil && n >= 0 {
				all = append(all, TopicPartition{Topic: topic, Partition: int32(n)})
			}
		}
	}
	slices.SortFunc(all, func(a, b TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all, nil
}

// ConsumerOffsets reads the offsets that a group has committed for the partitions. Partitions whose
// node is missing, empty or invalid are missing in the result.
func (c consumers) ConsumerOffsets(ctx context.Context, group string, tps []TopicPartition) (map[TopicPartition]record.Offset, error) {
	paths := make([]string, len(tps))
	for i, tp := range tps {
		paths[i] = consumerOffsetPath(group, tp)
	}
	nodes, found, err := c.nodes.ReadMany(ctx, paths)
	if err != nil {
		return nil, err
	}
	offsets := make(map[TopicPartition]record.Offset, len(tps))
	for i, tp := range tps {
		if !found[i] {
			continue
		}
		if n, err := decodeNumber(nodes[i].Data, 64); err == nil {
			offsets[tp] = record.Offset(n)
		}
	}
	return offsets, nil
}

// HasConsumerOffsets reports whether the group has ever committed offsets to ZooKeeper.
func (c consumers) HasConsumerOffsets(ctx context.Context, group string) (bool, error) {
	return c.nodes.Exists(ctx, consumerOffsetsPath(group))
}

// DeleteConsumerGroup deletes /consumers/G and all nodes below it.
func (c consumers) DeleteConsumerGroup(ctx context.Context, group string) error {
	return c.nodes.removeTree(ctx, NoFence(), consumerGroupPath(group))
}

// ConsumerOffset reads /consumers/G/offsets/T/P. known is false if the node is missing or empty.
func (c consumers) ConsumerOffset(ctx context.Context, group string, tp TopicPartition) (offset record.Offset, known bool, err error) {
	path := consumerOffsetPath(group, tp)
	n, err := c.nodes.ReadUnwatched(ctx, path)
	if errors.Is(err, ErrNoNode) || err == nil && len(n.Data) == 0 {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	number, err := decodeNumber(n.Data, 64)
	return record.Offset(number), err == nil, invalid(path, err)
}

// SetConsumerOffset writes /consumers/G/offsets/T/P, for OffsetCommit version 0.
func (c consumers) SetConsumerOffset(ctx context.Context, group string, tp TopicPartition, offset record.Offset) error {
	return c.nodes.SetOrCreate(ctx, consumerOffsetPath(group, tp), encodeOffset(offset))
}

func encodeOffset(offset record.Offset) []byte { return strconv.AppendInt(nil, int64(offset), 10) }
