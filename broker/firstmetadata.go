package broker

import (
	"time"

	"github.com/monedula/monedula/metadata"
)

// announceTime is how long after its first UpdateMetadata a controller has to announce the
// partitions before the broker takes it that none has a leader.
const announceTime = 30 * time.Second

// confirmMetadata completes the metadata when the controller has no partition to announce: at
// once if ZooKeeper has no topic, else after announceTime. Otherwise a broker of a cluster without
// partitions would keep clients waiting for them. It runs until the broker stops.
func (b *Broker) confirmMetadata() {
	const forever = 1 << 62
	settled := func(s *metadata.Snapshot) bool { return s.Complete || !s.Heard }
	for b.cache.Await(b.ctx, forever, func(s *metadata.Snapshot) bool { return s.Heard && !s.Complete }) {
		names, err := b.store.TopicNames(b.ctx)
		if err == nil && len(names) == 0 || !b.cache.Await(b.ctx, announceTime, settled) {
			b.cache.Confirm()
		}
	}
}
