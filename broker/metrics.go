package broker

import (
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/metrics"
)

// brokerState is the value of Kafka's gauge BrokerState.
type brokerState int32

const (
	stateNotRunning         brokerState = 0
	stateStarting           brokerState = 1
	stateRecovery           brokerState = 2
	stateRunning            brokerState = 3
	stateControlledShutdown brokerState = 6
	stateShuttingDown       brokerState = 7
)

// String returns the name of the state in the pages for monitoring.
func (s brokerState) String() string {
	return map[brokerState]string{stateNotRunning: "not running", stateStarting: "starting", stateRecovery: "recovery",
		stateRunning: "running", stateControlledShutdown: "controlled shutdown", stateShuttingDown: "shutting down"}[s]
}

// brokerMetrics are a broker's metrics. Metrics whose values other packages hold are collected at
// every scrape (metrics_collect.go). Events are counted as they happen by requestMetrics and
// zookeeperMetrics.
type brokerMetrics struct {
	registry  *metrics.Registry
	state     atomic.Int32 // a brokerState
	requests  *requestMetrics
	zookeeper *zookeeperMetrics
	control   *controllerMetrics
	flushes   *metrics.Histogram // how long the sync of a segment took
	verified  *metrics.Histogram // how long the verification of a transaction took
	refused   *metrics.Counter   // verifications that the coordinator refused
}

func newBrokerMetrics() *brokerMetrics {
	r := metrics.NewRegistry()
	verifications := metrics.Name{Group: "kafka.server", Type: "AddPartitionsToTxnManager"}
	m := &brokerMetrics{registry: r, requests: newRequestMetrics(r), zookeeper: newZooKeeperMetrics(r), control: newControllerMetrics(r),
		flushes:  r.Durations(metrics.Name{Group: "kafka.log", Type: "LogFlushStats", Name: "LogFlushRateAndTimeMs"}),
		verified: r.Durations(named(verifications, "VerificationTimeMs")),
		refused:  r.Counter(named(verifications, "VerificationFailureRate"))}
	server := metrics.Name{Group: "kafka.server", Type: "KafkaServer"}
	r.Gauge(named(server, "BrokerState"), func() float64 { return float64(m.state.Load()) })
	r.Gauge(named(server, "yammer-metrics-count"), func() float64 { return float64(r.Len()) })
	r.Collect(func(s *metrics.Scrape) {
		if read, written, ok := metrics.DiskBytes(); ok {
			s.Gauge(named(server, "linux-disk-read-bytes"), float64(read))
			s.Gauge(named(server, "linux-disk-write-bytes"), float64(written))
		}
	})
	m.describeApp(time.Now())
	metrics.CollectProcess(r)
	return m
}

func (m *brokerMetrics) become(s brokerState) { m.state.Store(int32(s)) }

// named returns the name of one of several metrics of an MBean type.
func named(of metrics.Name, name string) metrics.Name {
	of.Name = name
	return of
}

// describeApp adds app-info. Its strings are labels, so they can be joined to other metrics.
func (m *brokerMetrics) describeApp(began time.Time) {
	info := func(attribute string) metrics.Name {
		return metrics.Name{Group: "kafka.server", Type: "app-info", Attribute: attribute}
	}
	m.registry.Gauge(info("start-time-ms"), func() float64 { return float64(began.UnixMilli()) })
	m.registry.Gauge(info("version").With("version", Version), func() float64 { return 1 })
	m.registry.Gauge(info("commit-id").With("commit_id", commitID), func() float64 { return 1 })
}

// flushed implements storage.ManagerConfig.Flushed.
func (m *brokerMetrics) flushed(took time.Duration) { m.flushes.UpdateDuration(took) }

// verifiedTransaction implements replication.VerifierConfig.Verified.
func (m *brokerMetrics) verifiedTransaction(took time.Duration, refused bool) {
	m.verified.UpdateDuration(took)
	if refused {
		m.refused.Inc(1)
	}
}
