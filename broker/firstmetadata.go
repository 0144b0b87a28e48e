package broker

import (
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// announceTime is how long after its first UpdateMetadata a controller has to announce the
// partitions before the broker looks whether there is one to announce.
const announceTime = 30 * time.Second

// confirmMetadata completes the metadata when the controller has no partition to announce: at
// once if ZooKeeper has no topic, else after each pause in which none was announced, if no
// partition has a state. Otherwise a broker of a cluster without partitions would keep clients
// waiting for them. A state means that they come: the controller, or a LeaderAndIsr before them
// in this broker's queue, may be slow. It runs until the broker stops.
func (b *Broker) confirmMetadata(pause time.Duration) {
	const forever = 1 << 62
	settled := func(s *metadata.Snapshot) bool { return s.Complete || !s.Heard }
	for b.cache.Await(b.ctx, forever, func(s *metadata.Snapshot) bool { return s.Heard && !s.Complete }) {
		names, err := b.store.TopicNames(b.ctx)
		if err == nil && len(names) == 0 || !b.cache.Await(b.ctx, pause, settled) && b.noPartitionHasState() {
			b.cache.Confirm()
		}
	}
}

// noPartitionHasState reports whether ZooKeeper is known to have no partition's state, but for
// topics that are being deleted.
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
