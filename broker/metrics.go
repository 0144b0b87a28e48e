package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
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

// brokerMetrics are a broker's metrics. Metrics whose values other packages hold are collected at
// every scrape (metrics_collect.go). Events are counted as they happen by requestMetrics and
// zookeeperMetrics.
type brokerMetrics struct {
	registry  *metrics.Registry
	state     atomic.Int32 // a brokerState
	requests  *requestMetrics
	zookeeper *zookeeperMetrics
}

func newBrokerMetrics() *brokerMetrics {
	r := metrics.NewRegistry()
	m := &brokerMetrics{registry: r, requests: newRequestMetrics(r), zookeeper: newZooKeeperMetrics(r)}
	server := metrics.Name{Group: "kafka.server", Type: "KafkaServer"}
	r.Gauge(named(server, "BrokerState"), func() float64 { return float64(m.state.Load()) })
	r.Gauge(named(server, "yammer-metrics-count"), func() float64 { return float64(r.Len()) })
	metrics.CollectProcess(r)
	return m
}

func (m *brokerMetrics) become(s brokerState) { m.state.Store(int32(s)) }

// named returns the name of one of several metrics of an MBean type.
func named(of metrics.Name, name string) metrics.Name {
	of.Name = name
	return of
}

// serveMetrics serves metrics at monedula.metrics.listener, if that is set. It runs from the first
// step of the start, so a long recovery can be watched, to the last step of the stop.
func (b *Broker) serveMetrics(context.Context) error {
	address := b.cfg.MetricsListener()
	if address == "" {
		return nil
	}
	socket, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("metrics cannot be served at %s; change monedula.metrics.listener or free the address: %w", address, err)
	}
	pages := http.NewServeMux()
	pages.Handle("GET /metrics", b.metrics.registry.Handler())
	server := &http.Server{Handler: pages, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10}
	log := kafkalog.For(b.logger, "kafka.server.KafkaServer")
	log.Infof("Serving metrics at http://%s/metrics", socket.Addr())
	b.wg.Go(func() {
		if err := server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			log.WithError(err).Error("The metrics server failed")
		}
	})
	b.onStop(func() { _ = server.Close() })
	return nil
}
