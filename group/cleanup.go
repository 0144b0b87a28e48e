package group

import (
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// Clean removes expired offsets, and the groups without members that have no offsets left.
func (c *Coordinator) Clean() {
	began := time.Now()
	retention := c.opts.Retention.Milliseconds()
	n := c.removeOffsets(func(g *Group) []TopicPartition { return g.ExpireOffsets(began.UnixMilli(), retention) })
	c.counts.expired.Add(int64(n))
	if n > 0 {
		c.metaInfof("Removed %d expired offsets in %d milliseconds.", n, time.Since(began).Milliseconds())
	}
}

// deletion is an element of a group's list of deletions of partitions that it has not handled yet.
type deletion struct {
	partitions []TopicPartition
	removed    *atomic.Int64 // counts the removed offsets of all groups
	next       *deletion
}

// PartitionsDeleted removes the offsets of deleted partitions. It does not wait for any group: a
// group removes them when it is locked next, at the latest by the goroutine that PartitionsDeleted
// starts.
func (c *Coordinator) PartitionsDeleted(partitions []TopicPartition) {
	removed := &atomic.Int64{}
	groups, _ := c.rt.All()
	for _, e := range groups {
		d := &deletion{partitions: partitions, removed: removed}
		for d.next = e.deleted.Load(); !e.deleted.CompareAndSwap(d.next, d); {
			d.next = e.deleted.Load()
		}
	}
	c.rt.Go(func() {
		c.removeOffsets(func(*Group) []TopicPartition { return nil })
		c.infof("Removed %d offsets associated with deleted partitions: %v.", removed.Load(), partitions)
	})
}

// removeDeleted removes the offsets that PartitionsDeleted has left to the group. The caller must
// hold e.mu.
func (c *Coordinator) removeDeleted(e *entry) {
	for d := e.deleted.Swap(nil); d != nil; d = d.next {
		if e.group.state == Dead {
			continue
		}
		gone := e.group.offsets.remove(d.partitions)
		d.removed.Add(int64(len(gone)))
		c.bury(e, gone)
	}
}

// removeOffsets calls choose for every group, which removes offsets from it and returns their
// partitions. It removes groups without members that have no offsets left. It returns the number of
// removed offsets.
func (c *Coordinator) removeOffsets(choose func(*Group) []TopicPartition) int {
	n := 0
	groups, _ := c.rt.All()
	for _, e := range groups {
		c.lock(e)
		if e.group.state != Dead {
			removed := choose(e.group)
			n += len(removed)
			if e.group.DieIfIdle(time.Now()) {
				c.metaInfof("Group %s transitioned to Dead in generation %d", e.group.ID, e.group.generation)
			}
			c.bury(e, removed)
		}
		c.unlock(e)
	}
	return n
}

// tombstoneBytes is the approximate maximum size of a batch of tombstones.
const tombstoneBytes = 256 << 10

// bury appends tombstones for removed offsets. If the group is dead it also appends one for the
// group and forgets it. It does not wait for replicas: if a tombstone is lost, the next leader
// removes the offset again. The caller must hold e.mu.
func (c *Coordinator) bury(e *entry, removed []TopicPartition) {
	g := e.group
	var keys [][]byte
	for _, p := range removed {
		keys = append(keys, appendOffsetKey(nil, g.ID, p))
	}
	if g.state == Dead {
		c.rt.Remove(g.ID, e)
		if g.generation > 0 { // otherwise it has no record
			keys = append(keys, appendGroupKey(nil, g.ID))
		}
	}
	if err := c.appendTombstones(e.partition, keys); err != nil {
		c.logMeta.Errorf("[GroupMetadataManager brokerId=%d] Failed to append %d tombstones to %s-%d for expired/deleted offsets and/or metadata for group %s: %v",
			c.opts.BrokerID, len(keys), metadata.GroupOffsetsTopic, e.partition, g.ID, err)
	}
}

func (c *Coordinator) appendTombstones(partition int32, keys [][]byte) error {
	now := time.Now().UnixMilli()
	for len(keys) > 0 {
		o := record.Defaults()
		o.Codec = c.opts.Codec
		b := record.NewBuilder(o)
		for len(keys) > 0 && b.Size() < tombstoneBytes {
			if err := b.Append(now, keys[0], nil); err != nil {
				return err
			}
			keys = keys[1:]
		}
		batch, err := b.Build()
		if err != nil {
			return err
		}
		if _, err := c.topic.Append(partition, batch, nil, 0); err != nil {
			return err
		}
	}
	return nil
}
