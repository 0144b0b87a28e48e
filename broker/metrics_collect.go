package broker

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/monedula/monedula/broker/api"
	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/metrics"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
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
		s.Counter(attribute("response-total"), float64(stats.Responses))
		s.Counter(attribute("connection-close-total"), float64(stats.Accepted-stats.Connections))
		s.Gauge(expired, float64(stats.ClosedIdle-stats.ClosedIdleControlPlane))
		s.Gauge(named(expired, "ControlPlaneExpiredConnectionsKilledCount"), float64(stats.ClosedIdleControlPlane))
		for listener, counts := range server.SoftwareCounts() {
			for software, n := range counts {
				s.Gauge(attribute("connections").With("clientSoftwareName", software.Name, "clientSoftwareVersion", software.Version,
					"listener", listener, "networkProcessor", "0"), float64(n))
			}
		}
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
		// A group that prepares or completes a rebalance waits for its members. A session timeout
		// runs for each member.
		rebalancing := int64(states["PreparingRebalance"] + states["CompletingRebalance"])
		collectPurgatory(s, "Rebalance", rebalancing, rebalancing)
		collectPurgatory(s, "Heartbeat", int64(stats.Members), int64(stats.Members))
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
		collectLink(s, "txn-marker-channel-metrics", nil, stats.Markers)
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

// collectLink collects what connections to other brokers did, under the attributes of Kafka's
// selectors.
func collectLink(s *metrics.Scrape, typ string, tags []metrics.Tag, c peerlink.TrafficCounts) {
	attribute := func(name string) metrics.Name {
		return metrics.Name{Group: "kafka.server", Type: typ, Attribute: name, Tags: tags}
	}
	s.Gauge(attribute("connection-count"), float64(c.Connections-c.Closed))
	s.Counter(attribute("connection-creation-total"), float64(c.Connections))
	s.Counter(attribute("connection-close-total"), float64(c.Closed))
	s.Counter(attribute("request-total"), float64(c.Requests))
	s.Counter(attribute("response-total"), float64(c.Responses))
	s.Counter(attribute("outgoing-byte-total"), float64(c.BytesOut))
	s.Counter(attribute("incoming-byte-total"), float64(c.BytesIn))
}

// collectLinks collects what the connections to the controller and to the coordinators of
// transactions did, and the controller that this broker knows.
func (m *brokerMetrics) collectLinks(b *Broker) {
	id := []metrics.Tag{{Key: "BrokerId", Value: strconv.Itoa(int(b.id.brokerID))}}
	m.registry.Collect(func(s *metrics.Scrape) {
		collectLink(s, "alter-partition-metrics", id, b.toController.traffic.Counts())
		collectLink(s, "AddPartitionsManager-channel-metrics", nil, b.verifier.Traffic().Counts())
		s.Gauge(metrics.Name{Group: "kafka.server", Type: "MetadataLoader", Name: "CurrentControllerId"}, float64(b.cache.Snapshot().ControllerID))
	})
}

// collectForwarding collects what the connection did on which this broker asks the controller for
// producer ids.
func (m *brokerMetrics) collectForwarding(id metadata.BrokerID, link *controllerLink) {
	tags := []metrics.Tag{{Key: "BrokerId", Value: strconv.Itoa(int(id))}}
	m.registry.Collect(func(s *metrics.Scrape) { collectLink(s, "forwarding-metrics", tags, link.traffic.Counts()) })
}

// collectWaits collects the requests that wait for the metadata.
func (m *brokerMetrics) collectWaits(waits *api.Waits) {
	m.registry.Collect(func(s *metrics.Scrape) {
		topics, elections := waits.Counts()
		collectPurgatory(s, "topic", topics, topics)
		collectPurgatory(s, "ElectLeader", elections, elections)
	})
}
