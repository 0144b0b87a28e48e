package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/record"
)

// Leaders and in-sync replicas as each broker reports them, and whether records are acknowledged on
// all partitions. The probes use no client library.

// clusterInterval is the pause between two probes when a time is measured.
const clusterInterval = 10 * time.Millisecond

// view reports whether a partition has the expected state.
type view func(p *kmsg.MetadataResponseTopicPartition) bool

// inSync: there is a leader, and the given number of replicas is in sync.
func inSync(replicas int) view {
	return func(p *kmsg.MetadataResponseTopicPartition) bool {
		return p.Leader >= 0 && len(p.ISR) == replicas
	}
}

// preferred: the first replica is the leader.
func preferred(p *kmsg.MetadataResponseTopicPartition) bool { return p.Leader == p.Replicas[0] }

// without: there is a leader, and the broker is no longer in sync.
func without(broker int) view {
	return func(p *kmsg.MetadataResponseTopicPartition) bool {
		return p.Leader >= 0 && p.Leader != int32(broker) && !slices.Contains(p.ISR, int32(broker))
	}
}

// awaitView waits until each of the brokers reports the expected state of every partition.
func (c *cluster) awaitView(ctx context.Context, brokers []*broker, topic string, partitions int, interval time.Duration, wanted view) error {
	for _, br := range brokers {
		if err := awaitViewOf(ctx, br, topic, partitions, interval, wanted); err != nil {
			return err
		}
	}
	return nil
}

func awaitViewOf(ctx context.Context, br *broker, topic string, partitions int, interval time.Duration, wanted view) error {
	var conn net.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for {
		err := error(nil)
		if conn == nil {
			conn, err = br.dial(ctx)
		}
		var state map[int32]kmsg.MetadataResponseTopicPartition
		if err == nil {
			if state, err = topicState(conn, topic); err != nil {
				conn.Close()
				conn = nil
			}
		}
		as := 0
		for _, p := range state {
			if p.ErrorCode == 0 && wanted(&p) {
				as++
			}
		}
		if as >= partitions {
			return nil
		}
		if cause := pause(ctx, interval); cause != nil {
			return fmt.Errorf("%s: %d of %d partitions of %s have the expected state on broker %d: %w", br.name, as, partitions, topic, br.id, errors.Join(cause, err))
		}
	}
}

// topicState asks a broker for a topic's metadata. The request creates the topic if the broker is
// configured for that.
func topicState(conn net.Conn, topic string) (map[int32]kmsg.MetadataResponseTopicPartition, error) {
	request := kmsg.NewPtrMetadataRequest()
	request.Version = 5
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &topic
	request.Topics = append(request.Topics, asked)
	request.AllowAutoTopicCreation = true
	response := request.ResponseKind().(*kmsg.MetadataResponse)
	if err := exchange(conn, request, response); err != nil {
		return nil, err
	}
	state := map[int32]kmsg.MetadataResponseTopicPartition{}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			state[p.Partition] = p
		}
	}
	return state, nil
}

// produceEverywhere waits until one record is acknowledged by all in-sync replicas on every
// partition. Each record is sent to the leader that the first of the brokers names. whole requires
// all replicas to be in sync.
func (c *cluster) produceEverywhere(ctx context.Context, brokers []*broker, topic string, partitions int, whole bool) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	wanted := inSync(clusterSize)
	if !whole {
		wanted = func(p *kmsg.MetadataResponseTopicPartition) bool { return p.Leader >= 0 }
	}
	pending := map[int32]bool{}
	for p := range partitions {
		pending[int32(p)] = true
	}
	for {
		if err := awaitViewOf(ctx, brokers[0], topic, partitions, clusterInterval, wanted); err != nil {
			return err
		}
		err := c.produceToLeaders(ctx, brokers[0], topic, pending)
		if len(pending) == 0 {
			return nil
		}
		if cause := pause(ctx, clusterInterval); cause != nil {
			return fmt.Errorf("%s: no record was acknowledged on %d partitions of %s: %w", c.name, len(pending), topic, errors.Join(cause, err))
		}
	}
}

// produceToLeaders sends one record to each pending partition and removes from pending those that
// acknowledged it.
func (c *cluster) produceToLeaders(ctx context.Context, asked *broker, topic string, pending map[int32]bool) error {
	conn, err := asked.dial(ctx)
	if err != nil {
		return err
	}
	state, err := topicState(conn, topic)
	conn.Close()
	if err != nil {
		return err
	}
	byLeader := map[int32][]int32{}
	for p := range pending {
		if at := state[p]; at.Leader >= 0 {
			byLeader[at.Leader] = append(byLeader[at.Leader], p)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	for leader, partitions := range byLeader {
		wg.Go(func() {
			acknowledged, err := c.produceTo(ctx, c.brokers[leader], topic, partitions)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			for _, p := range acknowledged {
				delete(pending, p)
			}
		})
	}
	wg.Wait()
	return failed
}

func (c *cluster) produceTo(ctx context.Context, leader *broker, topic string, partitions []int32) ([]int32, error) {
	conn, err := leader.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return produceEach(conn, topic, partitions)
}

// produceEach sends one record to each partition with acks=all and returns the partitions that
// acknowledged it.
func produceEach(conn net.Conn, topic string, partitions []int32) (acknowledged []int32, err error) {
	builder := record.NewBuilder(record.Defaults())
	if err := builder.Append(time.Now().UnixMilli(), nil, []byte("probe")); err != nil {
		return nil, err
	}
	batch, err := builder.Build()
	if err != nil {
		return nil, err
	}
	request := kmsg.NewPtrProduceRequest()
	request.Version, request.Acks, request.TimeoutMillis = 7, -1, int32(probePatience.Milliseconds())
	sent := kmsg.NewProduceRequestTopic()
	sent.Topic = topic
	for _, p := range partitions {
		one := kmsg.NewProduceRequestTopicPartition()
		one.Partition, one.Records = p, batch
		sent.Partitions = append(sent.Partitions, one)
	}
	request.Topics = append(request.Topics, sent)
	response := request.ResponseKind().(*kmsg.ProduceResponse)
	if err := exchange(conn, request, response); err != nil {
		return nil, err
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				acknowledged = append(acknowledged, p.Partition)
			}
		}
	}
	return acknowledged, nil
}

// silent returns a logger for packages whose log lines are not needed.
func silent() *logrus.Logger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}
