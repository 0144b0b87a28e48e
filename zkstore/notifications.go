package zkstore

import (
	"context"
	"sort"

	"github.com/monedula/monedula/metadata"
)

// notifications has the operations on the sequential nodes through which brokers notify the
// controller: leaders with an old inter.broker.protocol.version of changes to their in-sync
// replicas, and brokers of failed log directories.
type notifications struct{ nodes nodes }

// ISRChanges returns the sorted names of the isr_change nodes and arms the children watch on
// ISRChangesPath.
func (ns notifications) ISRChanges(ctx context.Context) (nodes []string, err error) {
	return ns.notifications(ctx, ISRChangesPath, isrChangePrefix)
}

// ISRChangePartitions returns the sorted partitions in the nodes, without duplicates. It ignores
// invalid nodes.
func (ns notifications) ISRChangePartitions(ctx context.Context, nodes []string) ([]TopicPartition, error) {
	seen := map[TopicPartition]bool{}
	err := ns.readNotifications(ctx, ISRChangesPath, nodes, func(data []byte) error {
		tps, err := decodePartitions(data)
		for _, tp := range tps {
			seen[tp] = true
		}
		return err
	})
	return sortedPartitions(seen), err
}

// DeleteISRChanges deletes the nodes.
func (ns notifications) DeleteISRChanges(ctx context.Context, f Fence, nodes []string) error {
	return ns.nodes.removeAll(ctx, f, pathsBelow(ISRChangesPath, nodes))
}

// NotifyISRChange creates an isr_change node (before IBP 2.7-IV2).
func (ns notifications) NotifyISRChange(ctx context.Context, tps []TopicPartition) error {
	return ns.nodes.CreateSequential(ctx, ISRChangesPath+"/"+isrChangePrefix, encodePartitions(tps))
}

// LogDirEvents returns the sorted names of the log_dir_event nodes and arms the children watch on
// LogDirEventsPath.
func (ns notifications) LogDirEvents(ctx context.Context) (nodes []string, err error) {
	return ns.notifications(ctx, LogDirEventsPath, logDirEventPrefix)
}

// LogDirEventBrokers returns the sorted broker ids in the nodes, without duplicates. It ignores
// invalid nodes.
func (ns notifications) LogDirEventBrokers(ctx context.Context, nodes []string) ([]metadata.BrokerID, error) {
	seen := map[metadata.BrokerID]bool{}
	err := ns.readNotifications(ctx, LogDirEventsPath, nodes, func(data []byte) error {
		broker, err := decodeLogDirEvent(data)
		if err == nil {
			seen[broker] = true
		}
		return err
	})
	brokers := make([]metadata.BrokerID, 0, len(seen))
	for broker := range seen {
		brokers = append(brokers, broker)
	}
	sort.Slice(brokers, func(i, j int) bool { return brokers[i] < brokers[j] })
	return brokers, err
}

// DeleteLogDirEvents deletes the nodes.
func (ns notifications) DeleteLogDirEvents(ctx context.Context, f Fence, nodes []string) error {
	return ns.nodes.removeAll(ctx, f, pathsBelow(LogDirEventsPath, nodes))
}

// NotifyLogDirFailure creates a log_dir_event node for the broker.
func (ns notifications) NotifyLogDirFailure(ctx context.Context, broker metadata.BrokerID) error {
	return ns.nodes.CreateSequential(ctx, LogDirEventsPath+"/"+logDirEventPrefix, encodeLogDirEvent(broker))
}

// notifications returns the names of the sequential nodes below path, in order.
func (ns notifications) notifications(ctx context.Context, path, prefix string) ([]string, error) {
	names, err := ns.nodes.SortedChildren(ctx, path, true)
	kept := names[:0]
	for _, name := range names {
		if _, ok := notificationNumber(name, prefix); ok {
			kept = append(kept, name)
		}
	}
	return kept, err
}

func (ns notifications) readNotifications(ctx context.Context, path string, names []string, take func(data []byte) error) error {
	paths := pathsBelow(path, names)
	nodes, found, err := ns.nodes.ReadMany(ctx, paths)
	if err != nil {
		return err
	}
	for i, n := range nodes {
		if !found[i] {
			continue
		}
		if err := take(n.Data); err != nil {
			ns.nodes.log.WithError(err).Warnf("Ignoring the notification %s, which cannot be decoded", paths[i])
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
