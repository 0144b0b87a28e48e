package zkstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-zookeeper/zk"
)

// The consumers of Kafka 0.8 to 1.1 that work over ZooKeeper live below
// /consumers/G: members under ids, who reads a partition under owners (both
// ephemeral), committed offsets under offsets.

// How a ConsumerRegistration names what it reads.
const (
	SubscribeStatic    = "static"     // Subscription has topics
	SubscribeWhitelist = "white_list" // its one key is a regular expression of topics to read
	SubscribeBlacklist = "black_list" // ... of topics not to read
)

// ConsumerRegistration is /consumers/G/ids/C.
type ConsumerRegistration struct {
	Pattern      string         // SubscribeStatic, SubscribeWhitelist or SubscribeBlacklist
	Subscription map[string]int // topic or pattern -> how many streams read it
	Timestamp    int64          // ms; set by reads, written as given
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

// decodeConsumer takes what any release from 0.8 to 1.1 wrote; the timestamp,
// which nobody needs, may be missing, a number or a text.
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

// ConsumerIDsPath is /consumers/G/ids; its children are the members.
func ConsumerIDsPath(group string) string { return consumerGroupPath(group) + "/ids" }

func consumerIDPath(group, id string) string { return ConsumerIDsPath(group) + "/" + id }

func consumerOffsetsPath(group string) string { return consumerGroupPath(group) + "/offsets" }

func consumerOwnerPath(group string, tp TopicPartition) string {
	return consumerGroupPath(group) + "/owners/" + tp.Topic + "/" + strconv.Itoa(int(tp.Partition))
}

// RegisterConsumer creates the ephemeral node of a member, and its parents as
// the Java consumer does: with empty data. ErrNodeExists where the node is
// another session's.
func (s *Store) RegisterConsumer(ctx context.Context, group, id string, r ConsumerRegistration) error {
	ctx, _, err := s.bind(ctx)
	if err != nil {
		return err
	}
	for _, parent := range []string{consumersPath, consumerGroupPath(group), ConsumerIDsPath(group)} {
		if err := s.create(ctx, parent, []byte{}); err != nil && !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
	return s.createEphemeral(ctx, consumerIDPath(group, id), encodeConsumer(r))
}

// Consumers lists the members of a group, sorted, and arms the children watch
// on ConsumerIDsPath.
func (s *Store) Consumers(ctx context.Context, group string) ([]string, error) {
	return s.sortedChildren(ctx, ConsumerIDsPath(group), true)
}

// Consumer reads one member's registration; ErrNoNode where it is gone.
func (s *Store) Consumer(ctx context.Context, group, id string) (ConsumerRegistration, error) {
	path := consumerIDPath(group, id)
	n, err := s.readUnwatched(ctx, path)
	if err != nil {
		return ConsumerRegistration{}, err
	}
	r, err := decodeConsumer(n.data)
	return r, invalid(path, err)
}

// ClaimPartition makes owner (a member's id, a dash and the number of its
// stream) the owner of a partition as long as the session lasts. ErrNodeExists
// while another session owns it.
func (s *Store) ClaimPartition(ctx context.Context, group string, tp TopicPartition, owner string) error {
	ctx, _, err := s.bind(ctx)
	if err != nil {
		return err
	}
	path := consumerOwnerPath(group, tp)
	for {
		err := s.createEphemeral(ctx, path, []byte(owner))
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := s.ensurePath(ctx, parentPath(path)); err != nil {
			return err
		}
	}
}

// ReleasePartition gives up a partition that the caller has claimed in the
// session that ctx is bound to; an absent node is no error.
func (s *Store) ReleasePartition(ctx context.Context, group string, tp TopicPartition) error {
	return s.remove(ctx, consumerOwnerPath(group, tp))
}

// AwaitPartitionReleased returns nil once nobody owns the partition, woken by a
// watch of its own; else the context's error.
func (s *Store) AwaitPartitionReleased(ctx context.Context, group string, tp TopicPartition) error {
	return s.awaitGone(ctx, consumerOwnerPath(group, tp))
}

// HasConsumerOffsets says whether the group has ever committed here.
func (s *Store) HasConsumerOffsets(ctx context.Context, group string) (bool, error) {
	return s.exists(ctx, consumerOffsetsPath(group))
}

// DeleteConsumerGroup deletes /consumers/G with all below it.
func (s *Store) DeleteConsumerGroup(ctx context.Context, group string) error {
	return s.removeTree(ctx, NoFence(), consumerGroupPath(group))
}

// createEphemeral creates an ephemeral node. One of this session is what it
// asked for: the answer to an earlier try was lost.
func (s *Store) createEphemeral(ctx context.Context, path string, data []byte) error {
	sess, err := s.session(ctx)
	if err != nil {
		return err
	}
	for {
		_, err := s.do(ctx, "create", path, len(path)+len(data), func(c Conn) error {
			_, err := c.Create(s.full(path), data, zk.FlagEphemeral, s.acl(path))
			return err
		})
		if !errors.Is(err, ErrNodeExists) {
			return err
		}
		n, readErr := s.readUnwatched(ctx, path)
		switch {
		case errors.Is(readErr, ErrNoNode): // gone since
			continue
		case readErr != nil:
			return readErr
		case n.stat.EphemeralOwner == sess.sessionID() && string(n.data) == string(data):
			return nil
		}
		return err
	}
}
