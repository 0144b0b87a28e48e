package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
)

// serveMonitoring serves the pages for monitoring at monedula.metrics.listener, if that is set. It
// runs from the first step of the start, so a long recovery can be watched, to the last step of the
// stop.
func (b *Broker) serveMonitoring(context.Context) error {
	address := b.cfg.MetricsListener()
	if address == "" {
		return nil
	}
	socket, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("metrics cannot be served at %s; change monedula.metrics.listener or free the address: %w", address, err)
	}
	server := &http.Server{Handler: b.monitoringPages(), ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
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

// monitoringPages returns the pages: metrics, liveness, readiness and, if enabled, profiles.
func (b *Broker) monitoringPages() http.Handler {
	pages := http.NewServeMux()
	pages.Handle("GET /metrics", b.metrics.registry.Handler())
	for _, path := range []string{"/live", "/healthz"} {
		pages.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { b.health.live().write(w) })
	}
	pages.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { b.health.ready().write(w) })
	if b.cfg.PprofEnabled() {
		pages.HandleFunc("GET /debug/pprof/", pprof.Index)
		pages.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		pages.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		pages.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		pages.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return pages
}
