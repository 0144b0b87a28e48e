package broker

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/metrics"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/transaction"
)

// The values that other packages hold are collected at every scrape. Each part of the broker is
// registered here once it has been created.

func (m *brokerMetrics) collectClusterID(id string) {
	name := metrics.Name{Group: "kafka.server", Type: "KafkaServer", Name: "ClusterId"}
	// A string in JMX. As a label it can be joined to other metrics.
	m.registry.Gauge(name.With("cluster_id", id), func() float64 { return 1 })
}

// collectServer collects the metrics of connections. Kafka has them per network thread. This broker
// has no such threads, so networkProcessor is always 0.
func (m *brokerMetrics) collectServer(server *network.Server) {
	socket := metrics.Name{Group: "kafka.server", Type: "socket-server-metrics"}
	attribute := func(name string) metrics.Name {
		n := socket
		n.Attribute = name
		return n
	}
	expired := metrics.Name{Group: "kafka.network", Type: "SocketServer", Name: "ExpiredConnectionsKilledCount"}
	m.registry.Collect(func(s *metrics.Scrape) {
		for listener, n := range server.ConnectionCounts() {
			s.Gauge(attribute("connection-count").With("listener", listener, "networkProcessor", "0"), float64(n))
		}
		stats := server.Stats()
		s.Counter(attribute("connection-creation-total"), float64(stats.Accepted))
		s.Counter(attribute("incoming-byte-total"), float64(stats.BytesIn))
		s.Counter(attribute("outgoing-byte-total"), float64(stats.BytesOut))
		s.Counter(attribute("request-total"), float64(stats.Requests))
		s.Gauge(expired, float64(stats.ClosedIdle))
		s.Counter(metrics.Name{Group: "monedula", Type: "network", Name: "bad_frames"}, float64(stats.BadFrames))
		s.Counter(metrics.Name{Group: "monedula", Type: "network", Name: "handler_panics"}, float64(stats.Panics))
		s.Counter(metrics.Name{Group: "monedula", Type: "network", Name: "refused_connections"}, float64(stats.RefusedPerIP))
	})
}

// refusedOrigins are the labels of the origins of appends.
var refusedOrigins = [...]string{record.FromClient: "client", record.FromReplication: "replication", record.FromCoordinator: "coordinator"}

// collectLogs collects the metrics of the log directories and, while it runs, of log recovery.
func (m *brokerMetrics) collectLogs(logs *storage.Manager) {
	manager := metrics.Name{Group: "kafka.log", Type: "LogManager"}
	space := metrics.Name{Group: "monedula", Type: "storage"}
	m.registry.Collect(func(s *metrics.Scrape) {
		offline := 0
		for _, d := range logs.Dirs() {
			failed := 0.0
			if !d.Online {
				failed = 1
				offline++
			}
			s.Gauge(named(manager, "LogDirectoryOffline").With("logDirectory", d.Path), failed)
			s.Gauge(named(space, "log_dir_usable_bytes").With("logDirectory", d.Path), float64(d.Usable))
			for origin, name := range refusedOrigins {
				refused := 0.0
				if slices.Contains(d.Refuses, record.Origin(origin)) {
					refused = 1
				}
				s.Gauge(named(space, "log_dir_refuses_appends").With("logDirectory", d.Path, "origin", name), refused)
			}
		}
		s.Gauge(named(manager, "OfflineLogDirectoryCount"), float64(offline))
		for dir, left := range logs.RecoveryProgress() {
			s.Gauge(named(manager, "remainingLogsToRecover").With("dir", dir), float64(left.Logs))
			s.Gauge(named(manager, "remainingSegmentsToRecover").With("dir", dir), float64(left.Segments))
		}
		for _, l := range logs.Logs() {
			collectLog(s, l)
		}
		collectCleaner(s, logs.CleanerStatus())
	})
}

// collectCleaner collects the metrics of the compaction of logs. No thread dies, so DeadThreadCount
// is always 0.
func collectCleaner(s *metrics.Scrape, c storage.CleanerStatus) {
	cleaner := metrics.Name{Group: "kafka.log", Type: "LogCleaner"}
	s.Gauge(named(cleaner, "cleaner-recopy-percent"), float64(c.RecopyPercent))
	s.Gauge(named(cleaner, "max-buffer-utilization-percent"), float64(c.MaxBufferUtilization))
	s.Gauge(named(cleaner, "max-clean-time-secs"), float64(c.MaxCleanSeconds))
	s.Gauge(named(cleaner, "max-compaction-delay-secs"), float64(c.MaxCompactionDelaySec))
	s.Gauge(named(cleaner, "DeadThreadCount"), 0)
	s.Counter(metrics.Name{Group: "kafka.utils", Type: "Throttler", Name: "cleaner-io"}, float64(c.IOBytes))
	manager := metrics.Name{Group: "kafka.log", Type: "LogCleanerManager"}
	s.Gauge(named(manager, "max-dirty-percent"), float64(c.MaxDirtyPercent))
	s.Gauge(named(manager, "time-since-last-run-ms"), float64(c.SinceLastRunMs))
	for dir, n := range c.Uncleanable {
		s.Gauge(named(manager, "uncleanable-partitions-count").With("logDirectory", dir), float64(n.Partitions))
		s.Gauge(named(manager, "uncleanable-bytes").With("logDirectory", dir), float64(n.Bytes))
		for tp, reason := range n.Reasons {
			name := metrics.Name{Group: "monedula", Type: "storage", Name: "uncleanable_partition"}
			s.Gauge(name.With("logDirectory", dir, "topic", tp.Topic, "partition", strconv.Itoa(int(tp.Partition)), "reason", reason), 1)
		}
	}
}

func collectLog(s *metrics.Scrape, l *storage.Log) {
	tp, at := l.TopicPartition(), l.Offsets()
	name := metrics.Name{Group: "kafka.log", Type: "Log"}.With("topic", tp.Topic, "partition", strconv.Itoa(int(tp.Partition)))
	s.Gauge(named(name, "Size"), float64(l.Size()))
	s.Gauge(named(name, "LogStartOffset"), float64(at.LogStart))
	s.Gauge(named(name, "LogEndOffset"), float64(at.LogEnd))
	s.Gauge(named(name, "NumLogSegments"), float64(l.SegmentCount()))
}

// collectReplicas collects the metrics of replicas, partitions, topics and fetch sessions.
func (m *brokerMetrics) collectReplicas(replicas *replication.Manager) {
	m.registry.Collect(func(s *metrics.Scrape) {
		collectReplicaManager(s, replicas)
		all, topics := replicas.Traffic()
		collectTraffic(s, nil, all)
		s.Counter(topicMetric("ReplicationBytesInPerSec"), float64(all.ReplicationBytesIn))
		s.Counter(topicMetric("ReplicationBytesOutPerSec"), float64(all.ReplicationBytesOut))
		for topic, counts := range topics {
			collectTraffic(s, []metrics.Tag{{Key: "topic", Value: topic}}, counts)
		}
		for _, p := range replicas.Partitions() {
			collectPartition(s, p.ID(), p.State(), lastStableLag(p))
		}
		collectSessions(s, replicas.Sessions())
	})
}

func collectReplicaManager(s *metrics.Scrape, replicas *replication.Manager) {
	manager := metrics.Name{Group: "kafka.server", Type: "ReplicaManager"}
	c := replicas.Counts()
	s.Gauge(named(manager, "PartitionCount"), float64(c.Partitions))
	s.Gauge(named(manager, "LeaderCount"), float64(c.Leaders))
	s.Gauge(named(manager, "OfflineReplicaCount"), float64(c.Offline))
	s.Gauge(named(manager, "UnderReplicatedPartitions"), float64(c.UnderReplicated))
	s.Gauge(named(manager, "UnderMinIsrPartitionCount"), float64(c.UnderMinISR))
	s.Gauge(named(manager, "AtMinIsrPartitionCount"), float64(c.AtMinISR))
	s.Gauge(named(manager, "ReassigningPartitions"), float64(c.Reassigning))
	changes := replicas.ISRCounts()
	s.Counter(named(manager, "IsrShrinksPerSec"), float64(changes.Shrinks))
	s.Counter(named(manager, "IsrExpandsPerSec"), float64(changes.Expands))
	s.Counter(named(manager, "FailedIsrUpdatesPerSec"), float64(changes.Failed))
	fetchers := metrics.Name{Group: "kafka.server", Type: "ReplicaFetcherManager"}.With("clientId", "Replica")
	s.Gauge(named(fetchers, "MaxLag"), float64(collectFollowers(s, replicas.FollowerLags())))
	s.Gauge(named(fetchers, "FailedPartitionsCount"), float64(c.FetcherFailed))
}

// collectFollowers collects the lag of each partition that this broker follows, and returns the
// greatest lag.
func collectFollowers(s *metrics.Scrape, lags []replication.FollowerLag) int64 {
	name := metrics.Name{Group: "kafka.server", Type: "FetcherLagMetrics", Name: "ConsumerLag"}
	most := int64(0)
	for _, l := range lags {
		s.Gauge(name.With("clientId", l.ClientID, "topic", l.Partition.Topic, "partition", strconv.Itoa(int(l.Partition.Partition))), float64(l.Lag))
		most = max(most, l.Lag)
	}
	return most
}

func topicMetric(name string) metrics.Name {
	return metrics.Name{Group: "kafka.server", Type: "BrokerTopicMetrics", Name: name}
}

// collectTraffic collects the meters that exist for every topic and for all topics together.
func collectTraffic(s *metrics.Scrape, tags []metrics.Tag, c replication.TrafficCounts) {
	for _, m := range [...]struct {
		name  string
		count int64
	}{
		{"MessagesInPerSec", c.MessagesIn},
		{"BytesInPerSec", c.BytesIn},
		{"BytesOutPerSec", c.BytesOut},
		{"BytesRejectedPerSec", c.BytesRejected},
		{"TotalProduceRequestsPerSec", c.ProduceRequests},
		{"TotalFetchRequestsPerSec", c.FetchRequests},
		{"FailedProduceRequestsPerSec", c.FailedProduceRequests},
		{"FailedFetchRequestsPerSec", c.FailedFetchRequests},
		{"FetchMessageConversionsPerSec", c.FetchConversions},
	} {
		name := topicMetric(m.name)
		name.Tags = tags
		s.Counter(name, float64(m.count))
	}
}

// collectPartition collects kafka.cluster:type=Partition. As in Kafka, followers have these metrics
// too, but all of them except the lag are 0.
func collectPartition(s *metrics.Scrape, id replication.TopicPartition, state replication.State, lag int64) {
	name := metrics.Name{Group: "kafka.cluster", Type: "Partition"}.With("topic", id.Topic, "partition", strconv.Itoa(int(id.Partition)))
	count := func(of string, n int) { s.Gauge(named(name, of), float64(n)) }
	replicas := 0
	if state.Leading {
		replicas = state.ReplicationFactor
	}
	count("ReplicasCount", replicas)
	count("InSyncReplicasCount", len(state.ISR))
	count("UnderReplicated", oneIf(state.UnderReplicated()))
	count("UnderMinIsr", oneIf(state.UnderMinISR()))
	count("AtMinIsr", oneIf(state.AtMinISR()))
	s.Gauge(named(name, "LastStableOffsetLag"), float64(lag))
}

// lastStableLag returns the number of offsets from a replica's last stable offset to its high
// watermark.
func lastStableLag(p *replication.Partition) int64 {
	l := p.Log()
	if l == nil {
		return 0
	}
	at := l.Offsets()
	return int64(at.HighWatermark - at.LastStable)
}

func oneIf(is bool) int {
	if is {
		return 1
	}
	return 0
}

func collectSessions(s *metrics.Scrape, cache *replication.SessionCache) {
	name := metrics.Name{Group: "kafka.server", Type: "FetchSessionCache"}
	sessions, partitions := cache.Sessions()
	s.Gauge(named(name, "NumIncrementalFetchSessions"), float64(sessions))
	s.Gauge(named(name, "NumIncrementalFetchPartitionsCached"), float64(partitions))
	s.Counter(named(name, "IncrementalFetchSessionEvictionsPerSec"), float64(cache.Evictions()))
}

// collectGroups collects the metrics of the groups that this broker coordinates.
func (m *brokerMetrics) collectGroups(groups *group.Coordinator) {
	m.registry.Collect(func(s *metrics.Scrape) {
		list, code := groups.List(nil, nil)
		if code != protocol.None && code != protocol.CoordinatorLoadInProgress {
			return
		}
		states := map[string]int{}
		for _, g := range list {
			states[g.State]++
		}
		manager := metrics.Name{Group: "kafka.coordinator.group", Type: "GroupMetadataManager"}
		s.Gauge(named(manager, "NumGroups"), float64(len(list)))
		for _, state := range [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"} {
			s.Gauge(named(manager, "NumGroups"+state), float64(states[state]))
		}
		stats := groups.Stats()
		s.Gauge(named(manager, "NumOffsets"), float64(stats.Offsets))
		coordinator := func(attribute string, n float64) {
			s.Gauge(metrics.Name{Group: "kafka.server", Type: "group-coordinator-metrics", Attribute: attribute}, n)
		}
		coordinator("offset-commit-count", float64(stats.Commits))
		coordinator("offset-expiration-count", float64(stats.Expired))
		coordinator("offset-deletion-count", float64(stats.Deleted))
		coordinator("group-completed-rebalance-count", float64(stats.Rebalances))
		collectLoads(s, "group-coordinator-metrics", stats.Loads, stats.LoadMax, stats.LoadAvg)
	})
}

// collectTransactions collects the metrics of the transaction coordinator.
func (m *brokerMetrics) collectTransactions(transactions *transaction.Coordinator) {
	m.registry.Collect(func(s *metrics.Scrape) {
		stats := transactions.Stats()
		markers := metrics.Name{Group: "kafka.coordinator.transaction", Type: "TransactionMarkerChannelManager"}
		s.Gauge(named(markers, "UnknownDestinationQueueSize"), float64(stats.UnknownDestinations))
		s.Gauge(named(markers, "LogAppendRetryQueueSize"), float64(stats.LogAppendRetries))
		collectLoads(s, "transaction-coordinator-metrics", stats.Loads, stats.LoadMax, stats.LoadAvg)
	})
}

// collectLoads collects how long the partitions of a coordinator took to load.
func collectLoads(s *metrics.Scrape, coordinator string, loads int, most, average time.Duration) {
	mostMs, averageMs := math.NaN(), math.NaN() // as in Kafka if nothing was loaded recently
	if loads > 0 {
		mostMs, averageMs = float64(most.Milliseconds()), float64(average.Microseconds())/1000
	}
	s.Gauge(metrics.Name{Group: "kafka.server", Type: coordinator, Attribute: "partition-load-time-max"}, mostMs)
	s.Gauge(metrics.Name{Group: "kafka.server", Type: coordinator, Attribute: "partition-load-time-avg"}, averageMs)
}

// controllerPatience is how long a scrape waits for the controller, which answers between two
// events. After that, the controller's metrics are omitted.
const controllerPatience = 2 * time.Second

func (m *brokerMetrics) collectController(c *controller.Controller) {
	m.registry.Collect(func(s *metrics.Scrape) {
		ctx, cancel := context.WithTimeout(context.Background(), controllerPatience)
		defer cancel()
		stats, err := c.Stats(ctx)
		if err != nil {
			return
		}
		name := metrics.Name{Group: "kafka.controller", Type: "KafkaController"}
		for of, n := range map[string]int{
			"ActiveControllerCount": stats.ActiveControllers, "OfflinePartitionsCount": stats.OfflinePartitions,
			"PreferredReplicaImbalanceCount": stats.PreferredReplicaImbalance,
			"GlobalTopicCount":               stats.Topics, "GlobalPartitionCount": stats.Partitions,
			"TopicsToDeleteCount": stats.TopicsToDelete, "ReplicasToDeleteCount": stats.ReplicasToDelete,
			"TopicsIneligibleToDeleteCount": stats.TopicsIneligibleToDelete, "ReplicasIneligibleToDeleteCount": stats.ReplicasIneligible,
			"ActiveBrokerCount": stats.ActiveBrokers, "FencedBrokerCount": stats.FencedBrokers,
		} {
			s.Gauge(named(name, of), float64(n))
		}
		s.Counter(metrics.Name{Group: "kafka.controller", Type: "ControllerStats", Name: "UncleanLeaderElectionsPerSec"}, float64(stats.UncleanElections))
	})
}
