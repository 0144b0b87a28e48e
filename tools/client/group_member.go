package client

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

// GroupConfig describes how a consumer participates in a consumer group.
type GroupConfig struct {
	ID         string
	AutoCommit bool // enable.auto.commit
	isolation  int8 // from isolation.level: 1 for read_committed
	Options    []kgo.Opt
}

// GroupOf reads the group's settings from consumer properties, named as in the Java consumer. It
// returns nil if there is no group.
func GroupOf(props map[string]string) (*GroupConfig, error) {
	id := props["group.id"]
	if id == "" {
		return nil, nil
	}
	r := &propertyReader{props: props}
	isolation := int8(0)
	if props["isolation.level"] == "read_committed" {
		isolation = 1
	}
	g := &GroupConfig{ID: id, AutoCommit: r.yes("enable.auto.commit", true), isolation: isolation}
	g.Options = []kgo.Opt{
		kgo.ConsumerGroup(id),
		kgo.Balancers(r.balancers()...),
		kgo.SessionTimeout(cli.Millis(r.number("session.timeout.ms", 45000, 0))),
		kgo.HeartbeatInterval(cli.Millis(r.number("heartbeat.interval.ms", 3000, 0))),
		kgo.RebalanceTimeout(cli.Millis(r.number("max.poll.interval.ms", 300000, 1))),
	}
	interval := cli.Millis(r.number("auto.commit.interval.ms", 5000, 0))
	if g.AutoCommit {
		g.Options = append(g.Options, kgo.AutoCommitMarks(), kgo.AutoCommitInterval(max(interval, 100*time.Millisecond)))
	} else {
		g.Options = append(g.Options, kgo.DisableAutoCommit())
	}
	if instance := props["group.instance.id"]; instance != "" {
		g.Options = append(g.Options, kgo.InstanceID(instance))
	}
	return g, r.err
}

// CommitStarts makes a member commit its start position for partitions without a committed offset,
// like the Java consumer, even if it has read nothing. The next member then gets what was written
// in between. client is called once the member has joined. reset is the start or the end.
func (g *GroupConfig) CommitStarts(client func() *kgo.Client, reset kgo.Offset) kgo.Opt {
	return kgo.AdjustFetchOffsetsFn(func(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
		begin, err := beginnings(ctx, client(), offsets, reset.EpochOffset().Offset, g.isolation)
		if err != nil || len(begin) == 0 {
			return offsets, nil // the client retries by itself
		}
		for topic, partitions := range begin {
			for n, o := range partitions {
				offsets[topic][n] = kgo.NewOffset().At(o.Offset)
			}
		}
		if g.AutoCommit {
			client().CommitOffsetsSync(ctx, begin, nil) // may fail during a rebalance; if so, the next commit includes it
		}
		return offsets, nil
	})
}

// beginnings asks the leaders for the first offset (special = -2) or the next offset (-1) of the
// partitions in offsets that have no offset yet.
func beginnings(ctx context.Context, client *kgo.Client, offsets map[string]map[int32]kgo.Offset, special int64, isolation int8) (map[string]map[int32]kgo.EpochOffset, error) {
	var unknown []TopicPartition
	for topic, partitions := range offsets {
		for n, offset := range partitions {
			if offset.EpochOffset().Offset < 0 {
				unknown = append(unknown, TopicPartition{Topic: topic, Partition: n})
			}
		}
	}
	if len(unknown) == 0 {
		return nil, nil
	}
	request := ListOffsetsRequest(unknown, special)
	request.IsolationLevel = isolation
	found := map[string]map[int32]kgo.EpochOffset{}
	for _, shard := range client.RequestSharded(ctx, request) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					continue
				}
				if found[t.Topic] == nil {
					found[t.Topic] = map[int32]kgo.EpochOffset{}
				}
				found[t.Topic][p.Partition] = kgo.EpochOffset{Epoch: p.LeaderEpoch, Offset: p.Offset}
			}
		}
	}
	return found, nil
}

// GroupContinues reports whether a member of a group continues after a poll returned err.
func GroupContinues(err error) bool {
	if session := (*kgo.ErrGroupSession)(nil); errors.As(err, &session) {
		code := protocol.CodeOf(FromKgo(session.Err))
		return code == protocol.UnknownServerError || code.Retriable() ||
			code == protocol.UnknownMemberID || code == protocol.IllegalGeneration || code == protocol.RebalanceInProgress
	}
	return FetchContinues(err)
}
