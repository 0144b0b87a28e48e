package broker

import (
	"context"
	"time"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metrics"
)

// controllerMetrics measure the events of the controller, on every broker.
type controllerMetrics struct {
	queued *metrics.Histogram
	timers map[controller.State]*metrics.Histogram // of the states that have one; read only
}

func controllerStat(name string) metrics.Name {
	return metrics.Name{Group: "kafka.controller", Type: "ControllerStats", Name: name}
}

func newControllerMetrics(r *metrics.Registry) *controllerMetrics {
	m := &controllerMetrics{timers: map[controller.State]*metrics.Histogram{},
		queued: r.Durations(metrics.Name{Group: "kafka.controller", Type: "ControllerEventManager", Name: "EventQueueTimeMs"})}
	for _, s := range controller.States() {
		if name := s.Timer(); name != "" {
			m.timers[s] = r.Durations(controllerStat(name))
		}
	}
	return m
}

// observe implements controller.Config.Observe.
func (m *controllerMetrics) observe(s controller.State, queued, took time.Duration) {
	m.queued.UpdateDuration(queued)
	if timer := m.timers[s]; timer != nil {
		timer.UpdateDuration(took)
	}
}

// controllerPatience is how long a scrape waits for the controller, which answers between two
// events. After that, the controller's metrics are omitted.
const controllerPatience = 2 * time.Second

// zkMigrationState is the value of ZkMigrationState on a broker with ZooKeeper that does not migrate
// to KRaft (ZkMigrationState.ZK).
const zkMigrationState = 4

// collectController collects the metrics of the controller.
func (m *brokerMetrics) collectController(c *controller.Controller) {
	m.registry.Collect(func(s *metrics.Scrape) {
		s.Gauge(metrics.Name{Group: "kafka.controller", Type: "ControllerEventManager", Name: "EventQueueSize"}, float64(c.QueueSize()))
		s.Gauge(metrics.Name{Group: "kafka.controller", Type: "ControllerChannelManager", Name: "TotalQueueSize"}, float64(c.UnsentRequests()))
		name := metrics.Name{Group: "kafka.controller", Type: "KafkaController"}
		s.Gauge(named(name, "ControllerState"), float64(c.State()))
		s.Gauge(named(name, "ZkMigrationState"), zkMigrationState)
		ctx, cancel := context.WithTimeout(context.Background(), controllerPatience)
		defer cancel()
		stats, err := c.Stats(ctx)
		if err != nil {
			return
		}
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
		s.Counter(controllerStat("UncleanLeaderElectionsPerSec"), float64(stats.UncleanElections))
	})
}
