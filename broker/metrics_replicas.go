package broker

import (
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/monedula/monedula/metrics"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
)

// collectReplicas collects the metrics of replicas, partitions, topics and fetch sessions.
func (m *brokerMetrics) collectReplicas(replicas *replication.Manager, config *settings.Dynamic) {
	rates := newFetchRates()
	var moves metrics.Rate
	m.registry.Collect(func(s *metrics.Scrape) {
		collectReplicaManager(s, replicas)
		collectFetchers(s, replicas, rates)
		collectMoves(s, replicas.MoveStats(), &moves)
		collectProducers(s, replicas, ms(config.Current(), settings.TransactionMaxTimeoutMs))
		collectRejections(s, replicas.Meters().Rejections())
		collectParked(s, replicas.Meters())
		all, topics := replicas.Traffic()
		collectTraffic(s, nil, all)
		s.Counter(topicMetric("ReplicationBytesInPerSec"), float64(all.ReplicationBytesIn))
		s.Counter(topicMetric("ReplicationBytesOutPerSec"), float64(all.ReplicationBytesOut))
		s.Counter(topicMetric("ReassignmentBytesInPerSec"), float64(all.ReassignmentBytesIn))
		s.Counter(topicMetric("ReassignmentBytesOutPerSec"), float64(all.ReassignmentBytesOut))
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
	s.Gauge(named(fetcherManagerMetric, "FailedPartitionsCount"), float64(c.FetcherFailed))
	leader, _, _ := replicas.ThrottledRates()
	s.Gauge(metrics.Name{Group: "kafka.server", Type: "LeaderReplication", Attribute: "byte-rate"}, leader)
}

var fetcherManagerMetric = metrics.Name{Group: "kafka.server", Type: "ReplicaFetcherManager"}.With("clientId", "Replica")

// fetchRates computes the rates of requests of fetchers, which come and go.
type fetchRates struct {
	mu   sync.Mutex // guards byID
	byID map[string]*metrics.Rate
}

func newFetchRates() *fetchRates { return &fetchRates{byID: map[string]*metrics.Rate{}} }

// least returns the lowest rate of requests per second of all fetchers, 0 without fetchers.
func (r *fetchRates) least(fetchers []replication.FetcherStats, now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	rates := make(map[string]*metrics.Rate, len(fetchers))
	least := 0.0
	for i, f := range fetchers {
		rate := r.byID[f.ClientID]
		if rate == nil {
			rate = new(metrics.Rate)
		}
		rates[f.ClientID] = rate
		if n := rate.PerSecond(f.Requests, now); i == 0 || n < least {
			least = n
		}
	}
	r.byID = rates
	return least
}

// collectFetchers collects the metrics of the fetchers that follow leaders. No fetcher dies, so
// DeadThreadCount is always 0.
func collectFetchers(s *metrics.Scrape, replicas *replication.Manager, rates *fetchRates) {
	fetchers := replicas.FetcherStats()
	s.Gauge(named(fetcherManagerMetric, "MaxLag"), float64(collectFollowers(s, replicas.FollowerLags())))
	s.Gauge(named(fetcherManagerMetric, "MinFetchRate"), rates.least(fetchers, time.Now()))
	s.Gauge(named(fetcherManagerMetric, "DeadThreadCount"), 0)
	for _, f := range fetchers {
		host, port, err := net.SplitHostPort(f.Address)
		if err != nil {
			continue // the leader's address is not known yet
		}
		name := metrics.Name{Group: "kafka.server", Type: "FetcherStats"}.With("clientId", f.ClientID, "brokerHost", host, "brokerPort", port)
		s.Counter(named(name, "RequestsPerSec"), float64(f.Requests))
		s.Counter(named(name, "BytesPerSec"), float64(f.Bytes))
	}
}

// collectMoves collects the metrics of moves between log directories.
func collectMoves(s *metrics.Scrape, moves replication.MoveStats, rate *metrics.Rate) {
	name := metrics.Name{Group: "kafka.server", Type: "ReplicaAlterLogDirsManager"}.With("clientId", "ReplicaAlterLogDirs")
	s.Gauge(named(name, "MaxLag"), float64(moves.MaxLag))
	s.Gauge(named(name, "FailedPartitionsCount"), float64(moves.Failed))
	s.Gauge(named(name, "MinFetchRate"), rate.PerSecond(moves.Steps, time.Now()))
	s.Gauge(named(name, "DeadThreadCount"), 0)
}

// collectProducers collects how many producers the logs remember and how many partitions have a
// transaction that should have ended, given transaction.max.timeout.ms.
func collectProducers(s *metrics.Scrape, replicas *replication.Manager, maxTimeout time.Duration) {
	manager := metrics.Name{Group: "kafka.server", Type: "ReplicaManager"}
	producers, late := replicas.ProducerCounts(maxTimeout)
	s.Gauge(named(manager, "ProducerIdCount"), float64(producers))
	s.Gauge(named(manager, "PartitionsWithLateTransactionsCount"), float64(late))
}

// collectRejections collects the meters of refused records, which exist for all topics together.
func collectRejections(s *metrics.Scrape, flaws record.Flaws) {
	for flaw, name := range map[record.Flaw]string{
		record.WrongMagic: "InvalidMagicNumberRecordsPerSec", record.WrongChecksum: "InvalidMessageCrcRecordsPerSec",
		record.WrongOffset: "InvalidOffsetOrSequenceRecordsPerSec", record.MissingKey: "NoKeyCompactedTopicRecordsPerSec",
	} {
		s.Counter(topicMetric(name), float64(flaws[flaw]))
	}
}

// collectParked collects the purgatories of produces, fetches and deletions of records.
func collectParked(s *metrics.Scrape, meters *replication.Meters) {
	for name, n := range meters.Parked() {
		collectPurgatory(s, name, n.Requests, n.Watches)
	}
	consumers, followers := meters.ExpiredFetches()
	expires := metrics.Name{Group: "kafka.server", Type: "DelayedFetchMetrics", Name: "ExpiresPerSec"}
	s.Counter(expires.With("fetcherType", "consumer"), float64(consumers))
	s.Counter(expires.With("fetcherType", "follower"), float64(followers))
}

// collectPurgatory collects the number of operations that wait, and the number of events for which
// they are registered.
func collectPurgatory(s *metrics.Scrape, operation string, waiting, watches int64) {
	name := metrics.Name{Group: "kafka.server", Type: "DelayedOperationPurgatory"}.With("delayedOperation", operation)
	s.Gauge(named(name, "NumDelayedOperations"), float64(waiting))
	s.Gauge(named(name, "PurgatorySize"), float64(watches))
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
		{"ProduceMessageConversionsPerSec", c.ProduceConversions},
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
