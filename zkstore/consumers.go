package zkstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

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

// ConsumerRegistration is /consumers/G/ids/C.
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

// RegisterConsumer creates the ephemeral node of a member, and its parents with empty data, as the
// Java consumer does. It returns ErrNodeExists if the node belongs to another session.
func (s *Store) RegisterConsumer(ctx context.Context, group, id string, r ConsumerRegistration) error {
	ctx, _, err := s.Bind(ctx)
	if err != nil {
		return err
	}
	for _, parent := range []string{consumersPath, consumerGroupPath(group), ConsumerIDsPath(group)} {
		if err := s.Create(ctx, parent, []byte{}); err != nil && !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
	return s.CreateEphemeral(ctx, consumerIDPath(group, id), encodeConsumer(r))
}

// Consumers returns the sorted ids of the members of a group and arms the children watch on
// ConsumerIDsPath.
func (s *Store) Consumers(ctx context.Context, group string) ([]string, error) {
	return s.SortedChildren(ctx, ConsumerIDsPath(group), true)
}

// Consumer reads one member's registration. It returns ErrNoNode if there is none.
func (s *Store) Consumer(ctx context.Context, group, id string) (ConsumerRegistration, error) {
	path := consumerIDPath(group, id)
	n, err := s.ReadUnwatched(ctx, path)
	if err != nil {
		return ConsumerRegistration{}, err
	}
	r, err := decodeConsumer(n.Data)
	return r, invalid(path, err)
}

// ClaimPartition makes owner (a member's id, a dash and the number of its stream) the owner of a
// partition until the session ends. It returns ErrNodeExists if another session owns the partition.
func (s *Store) ClaimPartition(ctx context.Context, group string, tp TopicPartition, owner string) error {
	ctx, _, err := s.Bind(ctx)
	if err != nil {
		return err
	}
	path := consumerOwnerPath(group, tp)
	for {
		err := s.CreateEphemeral(ctx, path, []byte(owner))
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := s.EnsurePath(ctx, zkclient.ParentPath(path)); err != nil {
			return err
		}
	}
}

// ReleasePartition releases a partition that the caller has claimed in the session that ctx is
// bound to. A missing node is not an error.
func (s *Store) ReleasePartition(ctx context.Context, group string, tp TopicPartition) error {
	return s.Remove(ctx, consumerOwnerPath(group, tp))
}

// AwaitPartitionReleased waits with a separate watch until the partition has no owner. It returns
// the context's error if ctx is done first.
func (s *Store) AwaitPartitionReleased(ctx context.Context, group string, tp TopicPartition) error {
	return s.AwaitGone(ctx, consumerOwnerPath(group, tp))
}

// HasConsumerOffsets reports whether the group has ever committed offsets to ZooKeeper.
func (s *Store) HasConsumerOffsets(ctx context.Context, group string) (bool, error) {
	return s.Exists(ctx, consumerOffsetsPath(group))
}

// DeleteConsumerGroup deletes /consumers/G and all nodes below it.
func (s *Store) DeleteConsumerGroup(ctx context.Context, group string) error {
	return s.removeTree(ctx, NoFence(), consumerGroupPath(group))
}
