package zkstore

import (
	"bytes"
	"context"
	"errors"

	"github.com/monedula/monedula/zkstore/zkclient"
)

// partitions has the operations on the states of partitions.
type partitions struct{ nodes nodes }

// PartitionStates reads several states and arms registered NodeWatches on their PartitionStatePath.
// It omits partitions whose node is missing or invalid.
func (p partitions) PartitionStates(ctx context.Context, tps []TopicPartition) (map[TopicPartition]PartitionState, error) {
	paths := make([]string, len(tps))
	for i, tp := range tps {
		paths[i] = PartitionStatePath(tp)
	}
	nodes, found, err := p.nodes.ReadMany(ctx, paths)
	if err != nil {
		return nil, err
	}
	states := make(map[TopicPartition]PartitionState, len(tps))
	for i, tp := range tps {
		if !found[i] {
			continue
		}
		state, err := decodePartitionState(nodes[i].Data)
		if err != nil {
			p.nodes.log.WithError(err).Warnf("Ignoring the state of partition %s-%d: %s cannot be decoded", tp.Topic, tp.Partition, paths[i])
			continue
		}
		state.Version, state.Zxid = nodes[i].Version(), nodes[i].Stat.Mzxid
		states[tp] = state
	}
	return states, nil
}

// SetLeadersState writes a partition's state as its leader does before IBP 2.7-IV2: if the node has
// the version state.Version, and without a fence. It returns ErrBadVersion if the node has another
// version, unless the node already has the data to write, because an answer was lost or another
// client wrote the same.
func (p partitions) SetLeadersState(ctx context.Context, tp TopicPartition, state PartitionState) (Version, error) {
	path, data := PartitionStatePath(tp), encodePartitionState(state)
	version, err := p.nodes.Set(ctx, path, data, state.Version)
	if !errors.Is(err, ErrBadVersion) {
		return version, err
	}
	if n, readErr := p.nodes.ReadUnwatched(ctx, path); readErr == nil && bytes.Equal(n.Data, data) {
		return n.Version(), nil
	}
	return 0, err
}

// CreatePartitionStates creates the partitions/P and state nodes. The created state nodes have
// version 0. failed has the errors of the partitions whose state was not created, such as
// ErrNodeExists. err is set if the whole operation failed, for example with ErrControllerMoved,
// ErrSessionExpired or ErrClosed; it is then unknown which states were created.
func (p partitions) CreatePartitionStates(ctx context.Context, f Fence, states map[TopicPartition]PartitionState) (failed map[TopicPartition]error, err error) {
	ctx, _, err = p.nodes.Bind(ctx)
	if err != nil {
		return nil, err
	}
	tps := sortedPartitions(states)
	var parents, partitions, leaves []zkclient.Op
	for i, tp := range tps {
		if i == 0 || tps[i-1].Topic != tp.Topic {
			path := partitionsPath(tp.Topic)
			parents = append(parents, zkclient.CreateOp(path, nil))
		}
		path := partitionPath(tp)
		partitions = append(partitions, zkclient.CreateOp(path, nil))
		path = PartitionStatePath(tp)
		leaves = append(leaves, zkclient.CreateOp(path, encodePartitionState(states[tp])))
	}
	// A parent that cannot be created makes the creation of its state fail, with a suitable error.
	for _, writes := range [][]zkclient.Op{parents, partitions} {
		if _, err := p.nodes.bulk(ctx, f, "create", writes); err != nil {
			return nil, err
		}
	}
	outcomes, err := p.nodes.bulk(ctx, f, "create", leaves)
	if err != nil {
		return nil, err
	}
	failed = map[TopicPartition]error{}
	for i, o := range outcomes {
		if o.err != nil {
			failed[tps[i]] = o.err
		}
	}
	return failed, nil
}

// SetPartitionStates writes each state if the node still has the state's Version. written has the
// new versions. failed has the errors of the other partitions, such as ErrBadVersion or ErrNoNode.
// err is as for CreatePartitionStates.
func (p partitions) SetPartitionStates(ctx context.Context, f Fence, states map[TopicPartition]PartitionState) (written map[TopicPartition]Version, failed map[TopicPartition]error, err error) {
	tps := sortedPartitions(states)
	writes := make([]zkclient.Op, len(tps))
	for i, tp := range tps {
		path := PartitionStatePath(tp)
		writes[i] = zkclient.SetOp(path, encodePartitionState(states[tp]), states[tp].Version)
	}
	outcomes, err := p.nodes.bulk(ctx, f, "write", writes)
	if err != nil {
		return nil, nil, err
	}
	written, failed = map[TopicPartition]Version{}, map[TopicPartition]error{}
	for i, tp := range tps {
		if outcomes[i].err != nil {
			failed[tp] = outcomes[i].err
		} else {
			written[tp] = outcomes[i].version
		}
	}
	return written, failed, nil
}
