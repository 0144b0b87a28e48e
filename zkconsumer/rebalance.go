package zkconsumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/zkstore"
)

// RebalanceFailedError reports that a member could not claim its share within rebalance.max.retries
// attempts, because other members did not release their partitions.
type RebalanceFailedError struct {
	ID      string
	Retries int
	Cause   error // error of the last attempt; nil: a partition was still owned by another member
}

func (e *RebalanceFailedError) Error() string {
	return fmt.Sprintf("%s can't rebalance after %d retries", e.ID, e.Retries)
}

// Unwrap returns the cause of the last attempt.
func (e *RebalanceFailedError) Unwrap() error { return e.Cause }

// rebalance claims the member's share and retries while other members own parts of it. An attempt
// counts only if the full backoff has passed: if the owner releases the partition earlier, the next
// attempt starts immediately.
func (c *Consumer) rebalance() error {
	var cause error
	for try := 0; try < c.cfg.RebalanceRetries; {
		if c.closing() {
			return ErrClosed
		}
		c.say("begin rebalancing consumer %s try #%d", c.id, try)
		busy, err := c.try()
		c.say("end rebalancing consumer %s try #%d", c.id, try)
		if err == nil && busy == nil {
			return nil
		}
		cause = err
		if err != nil {
			c.log.WithError(err).Infof("[%s], exception during rebalance ", c.id)
		}
		if errors.Is(err, zkstore.ErrSessionExpired) || errors.Is(err, zkstore.ErrClosed) || c.base.Err() != nil {
			return err // the member must first register in the next session
		}
		c.say("Rebalancing attempt failed. Clearing the cache before the next rebalancing operation is triggered")
		c.stopReading(handBackLimit)
		if !c.awaitRelease(busy) {
			try++
		}
	}
	return &RebalanceFailedError{c.id, c.cfg.RebalanceRetries, cause}
}

// awaitRelease waits for the backoff between two attempts. It returns true as soon as the partition
// busy is released.
func (c *Consumer) awaitRelease(busy *TopicPartition) bool {
	timer := time.NewTimer(c.cfg.RebalanceBackoff)
	defer timer.Stop()
	ctx, cancel := context.WithCancel(c.session)
	defer cancel()
	released := make(chan struct{})
	if busy != nil {
		go func() {
			if c.store.AwaitPartitionReleased(ctx, c.cfg.Group, *busy) == nil {
				close(released)
			}
		}()
	}
	select {
	case <-released:
		return true
	case <-timer.C:
	case <-c.done:
	case <-c.base.Done():
	}
	return false
}

// try makes one attempt to claim the share. busy is a partition of the share that another member
// owns, or nil.
func (c *Consumer) try() (busy *TopicPartition, err error) {
	ctx := c.session
	ids, err := c.store.BrokerIDs(ctx)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		c.log.Warnf("[%s], no brokers found when trying to rebalance.", c.id)
		return nil, c.awaitBrokers(ctx)
	}
	g, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	share := c.share(g)
	if c.has(share) {
		return nil, nil
	}
	c.stopReading(handBackLimit)
	if !c.cfg.NoAutoCommit {
		c.say("Committing all offsets after clearing the fetcher queues")
		if err := c.commit(); err != nil {
			c.log.WithError(err).Warnf("[%s], could not commit the consumed offsets; their records will be read again", c.id)
		}
	}
	if err := c.release(ctx); err != nil {
		return nil, err
	}
	return c.claim(ctx, share)
}

// awaitBrokers schedules a rebalance as soon as a broker is registered.
func (c *Consumer) awaitBrokers(ctx context.Context) error {
	if !c.noBrokers {
		c.noBrokers = true
		c.store.WatchChildren(zkstore.BrokerIDsPath, func() { c.need(due{rebalance: true}) })
	}
	brokers, err := c.store.Brokers(ctx) // arms the watch
	if err == nil && len(brokers) > 0 {
		c.need(due{rebalance: true})
	}
	return err
}

// look reads the state of the group and its topics and arms the watches on them.
func (c *Consumer) look(ctx context.Context) (group, error) {
	g := group{topics: map[string]map[string]int{}}
	members, err := c.store.Consumers(ctx, c.cfg.Group)
	if err != nil {
		return g, err
	}
	if !slices.Contains(members, c.id) {
		return g, fmt.Errorf("the registration of %s is missing", c.id)
	}
	all, err := c.store.Topics(ctx)
	if err != nil {
		return g, err
	}
	slices.Sort(all)
	read := map[string]bool{}
	for _, member := range members {
		r, err := c.store.Consumer(ctx, c.cfg.Group, member)
		if errors.Is(err, zkstore.ErrNoNode) {
			continue // gone in the meantime; the watch triggers a new rebalance
		}
		if err != nil {
			return g, err
		}
		s, err := subscriptionOf(r, !c.cfg.WithInternal)
		if err != nil {
			return g, fmt.Errorf("the subscription of %s: %w", member, err)
		}
		g.topics[member] = s.of(all)
		for topic := range g.topics[member] {
			read[topic] = true
		}
	}
	c.topics = sortedTopics(c.mine.of(all))
	if err := c.watchTopics(ctx); err != nil {
		return g, err
	}
	nodes, err := c.store.TopicNodes(ctx, names(read))
	if err != nil {
		return g, err
	}
	g.partitions = map[string][]int32{}
	for topic, node := range nodes {
		for p := range node.Partitions {
			g.partitions[topic] = append(g.partitions[topic], p)
		}
		slices.Sort(g.partitions[topic])
	}
	return g, nil
}

func sortedTopics(topics map[string]int) []string {
	var list []string
	for t := range topics {
		list = append(list, t)
	}
	sort.Strings(list)
	return list
}

// watchTopics watches the member's topics, to notice new partitions and the creation of topics that
// its subscription names.
func (c *Consumer) watchTopics(ctx context.Context) error {
	changed := func() { c.need(due{rebalance: true}) }
	for _, topic := range c.topics {
		path := zkstore.TopicPath(topic)
		if !c.watched[topic] {
			c.watched[topic] = true
			c.store.WatchNode(path, zkstore.NodeWatch{Created: changed, Changed: changed, Deleted: changed})
		}
		if c.mine.pattern == nil {
			if _, err := c.store.Arm(ctx, path); err != nil {
				return err
			}
		}
	}
	for topic := range c.watched {
		if !slices.Contains(c.topics, topic) {
			delete(c.watched, topic)
			c.store.UnwatchNode(zkstore.TopicPath(topic))
		}
	}
	return nil
}

// topicsChanged reports whether the pattern now selects other topics.
func (c *Consumer) topicsChanged() (bool, error) {
	all, err := c.store.Topics(c.session)
	return err == nil && !slices.Equal(sortedTopics(c.mine.of(all)), c.topics), err
}

// share returns the partitions that the member is to read, with their streams.
func (c *Consumer) share(g group) map[TopicPartition]*Stream {
	owners := g.assign(c.cfg.Assignor, c.id)
	c.logAssignment(g, owners)
	share := map[TopicPartition]*Stream{}
	for tp, t := range owners {
		if t.member == c.id {
			share[tp] = c.streams[t.number]
		}
	}
	return share
}

// logAssignment logs the assignment like Kafka's assignors.
func (c *Consumer) logAssignment(g group, owners map[TopicPartition]thread) {
	name := "kafka.consumer.RangeAssignor"
	if c.cfg.Assignor == RoundRobinAssignor {
		name = "kafka.consumer.RoundRobinAssignor"
	}
	log := kafkalog.For(c.cfg.Logger, name)
	claims := map[string]map[thread]bool{}
	for tp, t := range owners {
		if claims[tp.Topic] == nil {
			claims[tp.Topic] = map[thread]bool{}
		}
		claims[tp.Topic][t] = true
	}
	for _, topic := range sortedTopics(g.topics[c.id]) {
		readers := g.readers(topic)
		log.Infof("Consumer %s rebalancing the following partitions: %v for topic %s with consumers: %s", c.id, g.partitions[topic], topic, javatext.Collection("List", readers))
		for _, t := range readers {
			if !claims[topic][t] && c.cfg.Assignor == RangeAssignor {
				log.Warnf("No broker partitions consumed by consumer thread %s for topic %s", t, topic)
			}
		}
	}
}

// has reports whether the member already reads exactly this share.
func (c *Consumer) has(share map[TopicPartition]*Stream) bool {
	c.mu.Lock()
	reading := c.fetching != nil && c.fetching.ctx.Err() == nil
	c.mu.Unlock()
	if !reading || len(share) != len(c.owned) {
		return false
	}
	for tp, s := range share {
		if c.owned[tp] == nil || c.owned[tp].stream != s {
			return false
		}
	}
	return true
}

// claim makes the member the owner of its share and starts reading. If another member owns a part
// of it, claim releases everything.
func (c *Consumer) claim(ctx context.Context, share map[TopicPartition]*Stream) (busy *TopicPartition, err error) {
	tps := make([]TopicPartition, 0, len(share))
	for tp := range share {
		tps = append(tps, tp)
	}
	sort.Slice(tps, func(i, j int) bool {
		a, b := tps[i], tps[j]
		return a.Topic < b.Topic || a.Topic == b.Topic && a.Partition < b.Partition
	})
	for _, tp := range tps {
		err := c.store.ClaimPartition(ctx, c.cfg.Group, tp, share[tp].thread.String())
		switch {
		case err == nil:
			c.say("%s successfully owned partition %d for topic %s", share[tp].thread, tp.Partition, tp.Topic)
			c.owned[tp] = &position{tp: tp, stream: share[tp]}
			continue
		case errors.Is(err, zkstore.ErrNodeExists):
			c.say("waiting for the partition ownership to be deleted: %d for topic %s", tp.Partition, tp.Topic)
			return &tp, c.release(ctx)
		}
		return nil, errors.Join(err, c.release(ctx))
	}
	// The member owns the partitions, so no other member can commit: continue from the committed
	// offsets.
	offsets, err := c.offsets.fetch(ctx, tps)
	if err != nil {
		return nil, errors.Join(err, c.release(ctx))
	}
	positions := make([]*position, 0, len(tps))
	for _, tp := range tps {
		offset, known := offsets[tp]
		if !known {
			offset = -1
		}
		p := c.owned[tp]
		p.fetch, p.consumed, p.written = offset, offset, offset
		positions = append(positions, p)
	}
	c.startReading(positions, tps)
	return nil, nil
}

func (c *Consumer) startReading(positions []*position, tps []TopicPartition) {
	var texts []string
	for _, p := range positions {
		texts = append(texts, fmt.Sprintf("%s:%d: fetched offset = %d: consumed offset = %d", p.tp.Topic, p.tp.Partition, p.fetch, p.written))
	}
	c.say("Consumer %s selected partitions : %s", c.id, strings.Join(texts, ","))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = tps
	c.fetching = startFetching(&c.cfg, c.store, c.id, positions)
}

// stopReading stops the fetchers and clears the streams. For each stream, it waits up to limit
// until the records that were handed out are processed. It does not release owned partitions.
func (c *Consumer) stopReading(limit time.Duration) {
	c.mu.Lock()
	f := c.fetching
	c.mu.Unlock()
	if f == nil {
		return
	}
	f.stop()
	for _, s := range c.streams {
		s.handBack(limit)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fetching, c.shown = nil, nil
}

// release releases the partitions that the member owns. Those that could not be released are still
// owned.
func (c *Consumer) release(ctx context.Context) error {
	c.say("Releasing partition ownership")
	for tp := range c.owned {
		if err := c.store.ReleasePartition(ctx, c.cfg.Group, tp); err != nil {
			return err
		}
		delete(c.owned, tp)
	}
	return nil
}

// forgetOwned forgets the partitions that were owned in an expired session.
func (c *Consumer) forgetOwned() { clear(c.owned) }

// commit commits the consumed offsets of owned partitions that have changed. It is bound to the
// session in which the partitions are owned.
func (c *Consumer) commit() error {
	changed := map[TopicPartition]record.Offset{}
	for tp, p := range c.owned {
		if consumed := p.stream.consumedOf(p); consumed >= 0 && consumed != p.written {
			changed[tp] = consumed
		}
	}
	if len(changed) == 0 {
		return nil
	}
	written, err := c.offsets.commit(c.session, changed)
	for _, tp := range written {
		c.owned[tp].written = changed[tp]
	}
	return err
}
