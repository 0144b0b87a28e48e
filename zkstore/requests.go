package zkstore

import (
	"context"
	"errors"
	"sort"
	"strconv"
)

// Requests and notifications to the controller through ZooKeeper: from leaders with an old
// inter.broker.protocol.version, from brokers with a failed log directory, and from old tools.

// ISRChanges returns the sorted names of the isr_change nodes and arms the children watch on
// ISRChangesPath.
func (s *Store) ISRChanges(ctx context.Context) (nodes []string, err error) {
	return s.notifications(ctx, ISRChangesPath, isrChangePrefix)
}

// ISRChangePartitions returns the sorted partitions in the nodes, without duplicates. It ignores
// invalid nodes.
func (s *Store) ISRChangePartitions(ctx context.Context, nodes []string) ([]TopicPartition, error) {
	seen := map[TopicPartition]bool{}
	err := s.readNotifications(ctx, ISRChangesPath, nodes, func(data []byte) error {
		tps, err := decodePartitions(data)
		for _, tp := range tps {
			seen[tp] = true
		}
		return err
	})
	return sortedPartitions(seen), err
}

// DeleteISRChanges deletes the nodes.
func (s *Store) DeleteISRChanges(ctx context.Context, f Fence, nodes []string) error {
	return s.removeAll(ctx, f, pathsBelow(ISRChangesPath, nodes))
}

// NotifyISRChange creates an isr_change node (before IBP 2.7-IV2).
func (s *Store) NotifyISRChange(ctx context.Context, tps []TopicPartition) error {
	return s.CreateSequential(ctx, ISRChangesPath+"/"+isrChangePrefix, encodePartitions(tps))
}

// LogDirEvents returns the sorted names of the log_dir_event nodes and arms the children watch on
// LogDirEventsPath.
func (s *Store) LogDirEvents(ctx context.Context) (nodes []string, err error) {
	return s.notifications(ctx, LogDirEventsPath, logDirEventPrefix)
}

// LogDirEventBrokers returns the sorted broker ids in the nodes, without duplicates. It ignores
// invalid nodes.
func (s *Store) LogDirEventBrokers(ctx context.Context, nodes []string) ([]int32, error) {
	seen := map[int32]bool{}
	err := s.readNotifications(ctx, LogDirEventsPath, nodes, func(data []byte) error {
		broker, err := decodeLogDirEvent(data)
		if err == nil {
			seen[broker] = true
		}
		return err
	})
	brokers := make([]int32, 0, len(seen))
	for broker := range seen {
		brokers = append(brokers, broker)
	}
	sort.Slice(brokers, func(i, j int) bool { return brokers[i] < brokers[j] })
	return brokers, err
}

// DeleteLogDirEvents deletes the nodes.
func (s *Store) DeleteLogDirEvents(ctx context.Context, f Fence, nodes []string) error {
	return s.removeAll(ctx, f, pathsBelow(LogDirEventsPath, nodes))
}

// NotifyLogDirFailure creates a log_dir_event node for the broker.
func (s *Store) NotifyLogDirFailure(ctx context.Context, broker int32) error {
	return s.CreateSequential(ctx, LogDirEventsPath+"/"+logDirEventPrefix, encodeLogDirEvent(broker))
}

// notifications returns the names of the sequential nodes below path, in order.
func (s *Store) notifications(ctx context.Context, path, prefix string) ([]string, error) {
	names, err := s.SortedChildren(ctx, path, true)
	kept := names[:0]
	for _, name := range names {
		if _, ok := notificationNumber(name, prefix); ok {
			kept = append(kept, name)
		}
	}
	return kept, err
}

func (s *Store) readNotifications(ctx context.Context, path string, names []string, take func(data []byte) error) error {
	paths := pathsBelow(path, names)
	nodes, found, err := s.ReadMany(ctx, paths)
	if err != nil {
		return err
	}
	for i, n := range nodes {
		if !found[i] {
			continue
		}
		if err := take(n.Data); err != nil {
			s.kafkaLog.WithError(err).Warnf("Ignoring the notification %s, which cannot be decoded", paths[i])
		}
	}
	return nil
}

func pathsBelow(path string, names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = path + "/" + name
	}
	return paths
}

// PartitionReassignments reads /admin/reassign_partitions and arms a NodeWatch on
// ReassignPartitionsPath, whether the node exists or not. It returns nil if the node is missing or
// invalid.
func (s *Store) PartitionReassignments(ctx context.Context) (map[TopicPartition][]int32, error) {
	n, err := s.ReadOrArm(ctx, ReassignPartitionsPath)
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := decodeReassignments(n.Data)
	if err != nil {
		s.kafkaLog.WithError(err).Warn("Ignoring partition reassignment due to invalid json")
		return nil, nil
	}
	return r, nil
}

// CreatePartitionReassignments creates /admin/reassign_partitions as a tool does. It returns
// ErrNodeExists if the node exists.
func (s *Store) CreatePartitionReassignments(ctx context.Context, r map[TopicPartition][]int32) error {
	return s.CreateRecursive(ctx, ReassignPartitionsPath, encodeReassignments(r))
}

// SetPartitionReassignments writes /admin/reassign_partitions, or deletes it if r is empty.
func (s *Store) SetPartitionReassignments(ctx context.Context, f Fence, r map[TopicPartition][]int32) error {
	if len(r) == 0 {
		return s.removeFenced(ctx, f, ReassignPartitionsPath)
	}
	data := encodeReassignments(r)
	_, err := s.apply(ctx, f, "write", ReassignPartitionsPath, s.SetOp(ReassignPartitionsPath, data, AnyVersion))
	if errors.Is(err, ErrNoNode) {
		_, err = s.apply(ctx, f, "create", ReassignPartitionsPath, s.CreateOp(ReassignPartitionsPath, data, 0))
	}
	return err
}

// PreferredElections reads /admin/preferred_replica_election and arms a NodeWatch on
// PreferredElectionPath, whether the node exists or not. It returns nil if the node is missing or
// invalid.
func (s *Store) PreferredElections(ctx context.Context) ([]TopicPartition, error) {
	n, err := s.ReadOrArm(ctx, PreferredElectionPath)
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tps, err := decodePartitions(n.Data)
	if err != nil {
		s.kafkaLog.WithError(err).Warnf("Ignoring %s due to invalid json", PreferredElectionPath)
		return nil, nil
	}
	return tps, nil
}

// CreatePreferredElections creates /admin/preferred_replica_election as a tool does. It returns
// ErrNodeExists if the node exists.
func (s *Store) CreatePreferredElections(ctx context.Context, tps []TopicPartition) error {
	return s.CreateRecursive(ctx, PreferredElectionPath, encodePartitions(tps))
}

// DeletePreferredElections deletes /admin/preferred_replica_election. A missing node is not an
// error.
func (s *Store) DeletePreferredElections(ctx context.Context, f Fence) error {
	return s.removeFenced(ctx, f, PreferredElectionPath)
}

func encodeOffset(offset int64) []byte { return strconv.AppendInt(nil, offset, 10) }
