package zkstore

import (
	"context"
	"errors"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore/zkclient"
)

// adminRequests has the operations on the nodes through which old tools ask the controller to
// reassign partitions and to elect preferred leaders.
type adminRequests struct{ nodes nodes }

// PartitionReassignments reads /admin/reassign_partitions and arms a NodeWatch on
// ReassignPartitionsPath, whether the node exists or not. It returns nil if the node is missing or
// invalid.
func (a adminRequests) PartitionReassignments(ctx context.Context) (map[TopicPartition][]metadata.BrokerID, error) {
	n, err := a.nodes.ReadOrArm(ctx, ReassignPartitionsPath)
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := decodeReassignments(n.Data)
	if err != nil {
		a.nodes.log.WithError(err).Warn("Ignoring partition reassignment due to invalid json")
		return nil, nil
	}
	return r, nil
}

// CreatePartitionReassignments creates /admin/reassign_partitions as a tool does. It returns
// ErrNodeExists if the node exists.
func (a adminRequests) CreatePartitionReassignments(ctx context.Context, r map[TopicPartition][]metadata.BrokerID) error {
	return a.nodes.CreateRecursive(ctx, ReassignPartitionsPath, encodeReassignments(r))
}

// SetPartitionReassignments writes /admin/reassign_partitions, or deletes it if r is empty.
func (a adminRequests) SetPartitionReassignments(ctx context.Context, f Fence, r map[TopicPartition][]metadata.BrokerID) error {
	if len(r) == 0 {
		return a.nodes.removeFenced(ctx, f, ReassignPartitionsPath)
	}
	data := encodeReassignments(r)
	_, err := a.nodes.apply(ctx, f, "write", zkclient.SetOp(ReassignPartitionsPath, data, AnyVersion))
	if errors.Is(err, ErrNoNode) {
		_, err = a.nodes.apply(ctx, f, "create", zkclient.CreateOp(ReassignPartitionsPath, data))
	}
	return err
}

// PreferredElections reads /admin/preferred_replica_election and arms a NodeWatch on
// PreferredElectionPath, whether the node exists or not. It returns nil if the node is missing or
// invalid.
func (a adminRequests) PreferredElections(ctx context.Context) ([]TopicPartition, error) {
	n, err := a.nodes.ReadOrArm(ctx, PreferredElectionPath)
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tps, err := decodePartitions(n.Data)
	if err != nil {
		a.nodes.log.WithError(err).Warnf("Ignoring %s due to invalid json", PreferredElectionPath)
		return nil, nil
	}
	return tps, nil
}

// CreatePreferredElections creates /admin/preferred_replica_election as a tool does. It returns
// ErrNodeExists if the node exists.
func (a adminRequests) CreatePreferredElections(ctx context.Context, tps []TopicPartition) error {
	return a.nodes.CreateRecursive(ctx, PreferredElectionPath, encodePartitions(tps))
}

// DeletePreferredElections deletes /admin/preferred_replica_election. A missing node is not an
// error.
func (a adminRequests) DeletePreferredElections(ctx context.Context, f Fence) error {
	return a.nodes.removeFenced(ctx, f, PreferredElectionPath)
}
