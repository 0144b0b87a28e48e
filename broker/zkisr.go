package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/zkstore"
)

// isrStore writes in-sync replicas to ZooKeeper for leaders below IBP 2.7-IV2.
type isrStore struct {
	brokerID metadata.BrokerID
	store    *zkstore.Store
}

var _ replication.ISRStore = isrStore{}

// WriteISR implements replication.ISRStore. The state keeps the epoch of the controller that chose
// the leader.
func (s isrStore) WriteISR(ctx context.Context, c replication.ISRChange) (metadata.PartitionEpoch, error) {
	version, err := s.store.SetLeadersState(ctx, c.Partition, zkstore.PartitionState{ControllerEpoch: c.ControllerEpoch,
		Leader: s.brokerID, LeaderEpoch: c.LeaderEpoch, ISR: c.ISR, Version: zkstore.Version(c.PartitionEpoch)})
	if errors.Is(err, zkstore.ErrBadVersion) || errors.Is(err, zkstore.ErrNoNode) {
		return 0, fmt.Errorf("%w: %w", protocol.InvalidUpdateVersion, err)
	}
	return metadata.PartitionEpoch(version), err
}

// NotifyISRChange implements replication.ISRStore.
func (s isrStore) NotifyISRChange(ctx context.Context, partitions []replication.TopicPartition) error {
	return s.store.NotifyISRChange(ctx, partitions)
}
