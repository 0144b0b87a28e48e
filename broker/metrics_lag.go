package broker

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/lag"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/metrics"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/zkstore"
)

const (
	// lagPatience is how long a scrape waits for the leaders of partitions and for ZooKeeper.
	lagPatience = 2 * time.Second
	// lagFresh is how long a report is reused, for example by a second Prometheus server.
	lagFresh = time.Second
)

// collectLag collects how far consumer groups are behind: on the coordinator of a group, and on the
// controller for groups whose offsets are in ZooKeeper.
func (b *Broker) collectLag() {
	limit := b.cfg.ConsumerLagPartitions()
	if limit == 0 || b.cfg.MetricsListener() == "" {
		return
	}
	cfg := b.dynamic.Current()
	ends := lag.NewEnds(lag.EndsConfig{BrokerID: b.id.brokerID, Listener: cfg.InterBrokerListener(), Metadata: b.cache,
		Local: func(tp lag.TopicPartition) (record.Offset, bool) { return endOf(b.replicas, tp) }, Timeout: lagPatience})
	b.onStop(ends.Close)
	tracker := lag.NewTracker(lag.Config{Limit: int(limit), Ends: ends, Patience: lagPatience, Fresh: lagFresh,
		Sources: []lag.Source{
			func(_ context.Context, limit int) ([]lag.Group, int, error) {
				return coordinatedGroups(b.groups, limit)
			},
			func(ctx context.Context, limit int) ([]lag.Group, int, error) {
				if !b.controller.IsActive() {
					return nil, 0, nil
				}
				return zooKeeperGroups(ctx, b.store, limit)
			},
		}})
	b.metrics.registry.Collect(func(s *metrics.Scrape) { collectLagReport(s, tracker.Report()) })
}

// endOf returns the high watermark of a partition that this broker leads.
func endOf(replicas *replication.Manager, tp lag.TopicPartition) (record.Offset, bool) {
	found, err := replicas.ListOffset(replication.OffsetAsk{ReplicaID: -1, Topic: tp.Topic, Partition: tp.Partition,
		CurrentLeaderEpoch: metadata.NoLeaderEpoch, Timestamp: replication.LatestOffset})
	return found.Offset, err == nil
}

// coordinatedGroups returns the groups that this broker coordinates, by name.
func coordinatedGroups(groups *group.Coordinator, limit int) (all []lag.Group, leftOut int, err error) {
	list, code := groups.List(nil, nil)
	if code != protocol.None && code != protocol.CoordinatorLoadInProgress {
		return nil, 0, nil // the coordinator does not serve requests yet
	}
	slices.SortFunc(list, func(a, b group.Overview) int { return strings.Compare(a.ID, b.ID) })
	for _, g := range list {
		if g.Offsets == 0 {
			continue
		}
		if g.Offsets > limit {
			leftOut += g.Offsets
			continue
		}
		fetched, code := groups.Fetch(g.ID, nil, false)
		if code != protocol.None {
			continue // the group moved to another coordinator
		}
		limit -= len(fetched)
		offsets := make([]lag.Committed, len(fetched))
		for i, f := range fetched {
			offsets[i] = lag.Committed{Partition: f.Partition, Offset: f.Offset.Offset}
		}
		all = append(all, lag.Group{Name: g.ID, Storage: "kafka", Members: g.Members, Offsets: offsets})
	}
	return all, leftOut, nil
}

// zooKeeperGroups returns the groups of consumers that keep their offsets in ZooKeeper, by name.
func zooKeeperGroups(ctx context.Context, store *zkstore.Store, limit int) (all []lag.Group, leftOut int, err error) {
	names, err := store.ConsumerGroups(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		partitions, err := store.ConsumerOffsetPartitions(ctx, name)
		if err != nil {
			return nil, 0, err
		}
		if len(partitions) == 0 {
			continue
		}
		if len(partitions) > limit {
			leftOut += len(partitions)
			continue
		}
		limit -= len(partitions)
		committed, err := store.ConsumerOffsets(ctx, name, partitions)
		if err != nil {
			return nil, 0, err
		}
		members, err := store.Consumers(ctx, name)
		if err != nil {
			return nil, 0, err
		}
		g := lag.Group{Name: name, Storage: "zookeeper", Members: len(members)}
		for _, tp := range partitions {
			if offset, known := committed[tp]; known {
				g.Offsets = append(g.Offsets, lag.Committed{Partition: tp, Offset: offset})
			}
		}
		all = append(all, g)
	}
	return all, leftOut, nil
}

// collectLagReport collects the lag of each group and partition. Kafka has no such metrics on
// brokers.
func collectLagReport(s *metrics.Scrape, r *lag.Report) {
	of := metrics.Name{Group: "monedula", Type: "consumer_group"}
	for _, g := range r.Groups {
		name := of.With("group", g.Name, "storage", g.Storage)
		s.Gauge(named(name, "members"), float64(g.Members))
		for _, p := range g.Partitions {
			name := name.With("topic", p.Partition.Topic, "partition", strconv.Itoa(int(p.Partition.Partition)))
			s.Gauge(named(name, "offset"), float64(p.Committed))
			s.Gauge(named(name, "lag"), float64(p.Records))
			s.Gauge(named(name, "lag_seconds"), p.Time.Seconds())
		}
	}
	for reason, n := range map[string]int{"limit": r.OverLimit, "leader": r.WithoutEnd, "source": r.Failed} {
		s.Gauge(named(of, "left_out").With("reason", reason), float64(n))
	}
}
