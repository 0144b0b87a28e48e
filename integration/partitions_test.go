package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// TestTenThousandIdlePartitionsNeedNoGoroutines checks a design rule: a partition needs no
// goroutine while it is not used.
func TestTenThousandIdlePartitionsNeedNoGoroutines(t *testing.T) {
	const topics, partitions, most = 10, 1000, 200
	metricsPort := testkit.FreePort(t)
	b := startBroker(t, options{extra: []string{fmt.Sprintf("monedula.metrics.listener=127.0.0.1:%d", metricsPort)}})
	for i := range topics {
		b.createTopic(fmt.Sprintf("idle-%d", i), partitions)
	}
	var goroutines float64
	testkit.Eventually(t, time.Minute, fmt.Sprintf("%d partitions and fewer than %d goroutines", topics*partitions, most), func() bool {
		series := scrape(t, metricsPort)
		goroutines = series["go_goroutines"]
		return series["kafka_server_replicamanager_partitioncount"] == topics*partitions && goroutines > 0 && goroutines < most
	})
	t.Logf("%.0f goroutines", goroutines)
}
