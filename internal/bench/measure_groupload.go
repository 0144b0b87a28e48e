package main

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
)

// loadGroup is the group whose partition of the offsets topic is loaded.
const loadGroup = "much-committed"

// commitsAtOnce is the number of offsets in one request while the partition is filled.
const commitsAtOnce = 20

// measureGroupLoad moves the leadership of a partition of the offsets topic with very many commits
// from broker to broker, and measures how long it takes until the new coordinator answers for its
// groups.
func measureGroupLoad(ctx context.Context, b *bench) error {
	row := b.report.metric(fmt.Sprintf("groups: load of an offsets partition with %d commits, from the election to the first answer", b.sizes.loadedCommits), "s", groupGoal)
	filled := map[*side]int{} // number of rounds done
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		c, err := b.warmCluster(ctx, s)
		if err != nil {
			return err
		}
		if filled[s] == 0 {
			if err := b.fillOffsets(ctx, c); err != nil {
				return err
			}
		}
		filled[s]++
		index := offsetsPartition(loadGroup)
		leader, err := c.leaderOf(ctx, metadata.GroupOffsetsTopic, index)
		if err != nil {
			return err
		}
		next := c.brokers[(leader.id+1)%clusterSize]
		begin, err := c.moveLeader(ctx, metadata.GroupOffsetsTopic, index, next)
		if err != nil {
			return err
		}
		if err := awaitOffsets(ctx, next, loadGroup); err != nil {
			return err
		}
		row.add(s, time.Since(begin).Seconds())
		b.progress("  %s: loaded in %.2f s", s.name, last(row.samples[s.name]))
		return nil
	})
}

// fillOffsets makes the commits.
func (b *bench) fillOffsets(ctx context.Context, c *cluster) error {
	topic := b.newTopic("committed")
	if err := createTopic(ctx, c.brokers[0], topic, commitsAtOnce); err != nil {
		return err
	}
	if err := c.produceEverywhere(ctx, c.brokers, topic, commitsAtOnce, true); err != nil {
		return err
	}
	if err := eachClient(ctx, c.brokers[0], 1, func(conn net.Conn, _ int) error {
		return awaitCoordinator(conn, ofGroups, loadGroup)
	}); err != nil {
		return err
	}
	leader, err := c.leaderOf(ctx, metadata.GroupOffsetsTopic, offsetsPartition(loadGroup))
	if err != nil {
		return err
	}
	begin := time.Now()
	var made atomic.Int64
	err = eachClient(ctx, leader, commitClients, func(conn net.Conn, _ int) error {
		for {
			at := made.Add(commitsAtOnce)
			if at > int64(b.sizes.loadedCommits) {
				return nil
			}
			if err := commitOffsets(conn, loadGroup, topic, commitsAtOnce, at); err != nil {
				return err
			}
		}
	})
	b.progress("  %s: committed %d offsets in %.1f s", c.name, b.sizes.loadedCommits, time.Since(begin).Seconds())
	return err
}

// offsetsPartition returns the partition with a group's commits: the Java hash of the group id
// modulo the 50 partitions of the offsets topic.
func offsetsPartition(group string) int32 { return javatext.Abs(javatext.StringHash(group)) % 50 }

// leaderOf waits until a partition has a leader and returns it.
func (c *cluster) leaderOf(ctx context.Context, topic string, partition int32) (*broker, error) {
	var leader int32
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := awaitViewOf(ctx, c.brokers[0], topic, 1, clusterInterval, func(p *kmsg.MetadataResponseTopicPartition) bool {
		if p.Partition != partition || p.Leader < 0 || len(p.ISR) < clusterSize {
			return false
		}
		leader = p.Leader
		return true
	})
	if err != nil {
		return nil, err
	}
	return c.brokers[leader], nil
}

// moveLeader makes a broker the preferred leader and requests its election. It returns the time of
// the request.
func (c *cluster) moveLeader(ctx context.Context, topic string, partition int32, to *broker) (time.Time, error) {
	client, err := newClient(c.brokers[0])
	if err != nil {
		return time.Time{}, err
	}
	defer client.Close()
	order := []int32{int32(to.id)}
	for _, other := range c.others(to) {
		order = append(order, int32(other.id))
	}
	reassign := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	reassign.TimeoutMillis = 60_000
	one := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	one.Topic = topic
	at := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	at.Partition, at.Replicas = partition, order
	one.Partitions = append(one.Partitions, at)
	reassign.Topics = append(reassign.Topics, one)
	answer, err := reassign.RequestWith(ctx, client)
	if err != nil {
		return time.Time{}, err
	}
	if answer.ErrorCode != 0 || answer.Topics[0].Partitions[0].ErrorCode != 0 {
		return time.Time{}, fmt.Errorf("%s: reassigning %s-%d answers error %d", c.name, topic, partition, answer.Topics[0].Partitions[0].ErrorCode)
	}
	if err := awaitViewOf(ctx, to, topic, 1, clusterInterval, func(p *kmsg.MetadataResponseTopicPartition) bool {
		return p.Partition == partition && p.Replicas[0] == int32(to.id)
	}); err != nil {
		return time.Time{}, err
	}
	elect := kmsg.NewPtrElectLeadersRequest()
	elect.TimeoutMillis = 60_000
	wanted := kmsg.NewElectLeadersRequestTopic()
	wanted.Topic, wanted.Partitions = topic, []int32{partition}
	elect.Topics = append(elect.Topics, wanted)
	begin := time.Now()
	elected, err := elect.RequestWith(ctx, client)
	if err != nil {
		return time.Time{}, err
	}
	if elected.ErrorCode != 0 {
		return time.Time{}, fmt.Errorf("%s: electing a leader of %s-%d answers error %d", c.name, topic, partition, elected.ErrorCode)
	}
	return begin, nil
}

// awaitOffsets waits until a broker returns a group's offsets.
func awaitOffsets(ctx context.Context, br *broker, group string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	return eachClient(ctx, br, 1, func(conn net.Conn, _ int) error {
		request := kmsg.NewPtrOffsetFetchRequest()
		request.Version, request.Group = 5, group
		for begin := time.Now(); ; {
			response := request.ResponseKind().(*kmsg.OffsetFetchResponse)
			if err := exchange(conn, request, response); err != nil {
				return err
			}
			switch {
			case passing(response.ErrorCode, begin):
			case response.ErrorCode != codeNone:
				return fmt.Errorf("fetching the offsets of group %s answers error %d", group, response.ErrorCode)
			case len(response.Topics) == 0:
				return fmt.Errorf("group %s has no offsets after the load", group)
			default:
				return nil
			}
			if err := pause(ctx, clusterInterval/2); err != nil {
				return err
			}
		}
	})
}
