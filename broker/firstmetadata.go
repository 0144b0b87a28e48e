package broker

import (
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// announceTime is how long the broker waits, after a controller's first UpdateMetadata request, for
// the controller to announce partitions. Then it checks whether there are any.
const announceTime = 30 * time.Second

// confirmMetadata marks the metadata as complete when the controller has no partition to announce:
// at once if ZooKeeper has no topic, otherwise after each pause without an announcement if no
// partition has a state in ZooKeeper. Without it a broker in a cluster without partitions would
// keep its clients retrying. If a partition has a state, its announcement will follow: the
// controller, or a LeaderAndIsr request ahead of it in this broker's queue, may be slow. It runs
// until the broker stops.
func (b *Broker) confirmMetadata(pause time.Duration) {
	const forever = 1 << 62
	settled := func(s *metadata.Snapshot) bool { return s.Complete || !s.Heard }
	for b.ctx.Err() == nil && b.cache.Await(b.ctx, forever, func(s *metadata.Snapshot) bool { return s.Heard && !s.Complete }) {
		names, err := b.store.TopicNames(b.ctx)
		if err == nil && len(names) == 0 || !b.cache.Await(b.ctx, pause, settled) && b.noPartitionHasState() {
			b.cache.Confirm()
		}
	}
}

// noPartitionHasState reports whether no partition has a state in ZooKeeper, except those of topics
// that are being deleted. It returns false if ZooKeeper cannot be read.
func (b *Broker) noPartitionHasState() bool {
	names, err := b.store.TopicNames(b.ctx)
	if err != nil {
		return false
	}
	for _, name := range names {
		deleted, err := b.store.TopicMarkedForDeletion(b.ctx, name)
		if deleted {
			continue
		}
		nodes, nodeErr := b.store.TopicNodes(b.ctx, []string{name})
		if err != nil || nodeErr != nil {
			return false
		}
		var tps []zkstore.TopicPartition
		for index := range nodes[name].Partitions {
			tps = append(tps, zkstore.TopicPartition{Topic: name, Partition: index})
		}
		if states, err := b.store.PartitionStates(b.ctx, tps); err != nil || len(states) > 0 {
			return false
		}
	}
	return true
}
