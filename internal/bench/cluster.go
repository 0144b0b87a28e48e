package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/zkstore"
)

// clusterSize is the number of brokers in a cluster, and of replicas of a partition.
const clusterSize = 3

// clusterProperties are the properties of a cluster's brokers, on both sides. Leaders move only
// when a measurement moves them, not on a timer.
var clusterProperties = []string{
	"default.replication.factor=3",
	"min.insync.replicas=2",
	"offsets.topic.replication.factor=3",
	"auto.leader.rebalance.enable=false",
}

// cluster holds the three brokers of one side.
type cluster struct {
	*side
	brokers []*broker
	store   *zkstore.Store // for looking at the cluster's znodes
	wide    string         // the topic with many partitions, once it exists
}

// newCluster starts a cluster and waits until all its brokers are registered and serving.
func (b *bench) newCluster(ctx context.Context, s *side, extra ...string) (*cluster, error) {
	chroot := b.newChroot()
	c := &cluster{side: s}
	for id := range clusterSize {
		br, err := b.newClusterBroker(s, chroot, id, append(clusterProperties, extra...)...)
		if err != nil {
			return nil, errors.Join(err, c.remove())
		}
		br.replicas = clusterSize
		c.brokers = append(c.brokers, br)
		if err := br.start(); err != nil {
			return nil, errors.Join(err, c.remove())
		}
	}
	err := c.produceEverywhere(ctx, c.brokers, "ready", 1, true)
	if err == nil {
		c.store, err = zkstore.Open(ctx, zkstore.Config{Connect: b.zookeeper.Address() + chroot, Name: "bench", Logger: silent()})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: the cluster did not start: %w; its last output:\n%s", s.name, err, lastLines(c.brokers[0].proc.Output(), 15)), c.remove())
	}
	return c, nil
}

// remove kills the brokers and deletes their directories.
func (c *cluster) remove() error {
	for _, br := range c.brokers {
		br.remove()
	}
	if c.store != nil {
		c.store.Close()
	}
	return nil
}

// warmCluster returns the side's cluster that stays up for all measurements on a warm cluster. The
// first call starts both sides' clusters and puts them under load, one after the other.
func (b *bench) warmCluster(ctx context.Context, s *side) (*cluster, error) {
	if c := b.clusters[s]; c != nil {
		return c, nil
	}
	b.report.note("Clusters: three brokers per side, replication factor %d, min.insync.replicas 2; both sides were under load for %v each beforehand and stay up; while one side is measured, the other is idle.", clusterSize, b.sizes.warmUp)
	b.coolBrokers()
	for _, each := range b.sides() {
		c, err := b.newCluster(ctx, each)
		if err != nil {
			return nil, err
		}
		b.clusters[each] = c
		b.progress("  %s: cluster is up, warming for %v", each.name, b.sizes.warmUp)
		if err := b.warmUpCluster(ctx, c); err != nil {
			return nil, err
		}
	}
	return b.clusters[s], nil
}

func (b *bench) warmUpCluster(ctx context.Context, c *cluster) error {
	for until := time.Now().Add(b.sizes.warmUp); time.Now().Before(until); {
		for _, s := range b.sizes.shapes() {
			s.bytes /= 8
			topic := b.newTopic("warm")
			if err := createTopic(ctx, c.brokers[0], topic, loadPartitions); err != nil {
				return err
			}
			if err := c.produceEverywhere(ctx, c.brokers, topic, loadPartitions, true); err != nil {
				return err
			}
			if _, err := produce(ctx, c.brokers[0], topic, s, &batchMeter{}); err != nil {
				return err
			}
			if err := deleteTopic(ctx, c.brokers[0], topic); err != nil {
				return err
			}
		}
	}
	return nil
}

// wideTopic returns the cluster's topic with many partitions, which the first call creates. Every
// broker leads a third of the partitions, and all replicas are in sync.
func (b *bench) wideTopic(ctx context.Context, c *cluster) (string, error) {
	if c.wide == "" {
		c.wide = b.newTopic("wide")
		if err := createTopic(ctx, c.brokers[0], c.wide, b.sizes.partitions); err != nil {
			return "", err
		}
	}
	return c.wide, c.settle(ctx, c.wide, b.sizes.partitions)
}

// settle waits until all replicas of a topic are in sync, and makes the preferred replicas leaders.
func (c *cluster) settle(ctx context.Context, topic string, partitions int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, fmt.Errorf("%s: after 3 minutes not all replicas of %s are in sync", c.name, topic))
	defer cancel()
	if err := c.awaitView(ctx, c.brokers, topic, partitions, 100*time.Millisecond, inSync(clusterSize)); err != nil {
		return err
	}
	client, err := newClient(c.brokers[0])
	if err != nil {
		return err
	}
	defer client.Close()
	request := kmsg.NewPtrElectLeadersRequest()
	request.TimeoutMillis = 60_000
	if _, err := request.RequestWith(ctx, client); err != nil {
		return err
	}
	return c.awaitView(ctx, c.brokers, topic, partitions, 100*time.Millisecond, preferred)
}

// keepDeleted makes the brokers keep deleted logs on disk for longer than any run.
func (c *cluster) keepDeleted(ctx context.Context) error {
	delay := strconv.FormatInt((24 * time.Hour).Milliseconds(), 10)
	return configured{kind: kmsg.ConfigResourceTypeBroker}.set(ctx, c.brokers[0], "log.segment.delete.delay.ms", delay)
}

// controller returns the broker that is the controller.
func (c *cluster) controller(ctx context.Context) (*broker, error) {
	node, exists, err := c.store.Controller(ctx)
	if err != nil || !exists {
		return nil, fmt.Errorf("%s: no controller: %w", c.name, err)
	}
	return c.brokers[node.ID], nil
}

// others returns all brokers but one.
func (c *cluster) others(gone *broker) []*broker {
	var rest []*broker
	for _, br := range c.brokers {
		if br != gone {
			rest = append(rest, br)
		}
	}
	return rest
}

// stopCleanly sends SIGTERM and returns how long the process took to end.
func (br *broker) stopCleanly(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	br.proc.Signal(syscall.SIGTERM)
	select {
	case <-br.proc.Ended():
		return time.Since(begin), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}
