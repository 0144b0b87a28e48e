package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// A cluster of real brokers becomes one of ours, a broker at a time, on the
// directories and ports of the former, and real again, while a producer writes.
func TestARealClusterBecomesOursAndRealAgainUnderLoad(t *testing.T) {
	moves := []struct{ release, protocol string }{{"3.9.1", "3.9"}}
	if os.Getenv("MONEDULA_TEST_ALL") != "" {
		moves = append(moves, struct{ release, protocol string }{"2.8.2", "2.8"})
	}
	for _, move := range moves {
		t.Run(move.release, func(t *testing.T) {
			extra := mixedCluster{protocol: move.protocol}.properties()
			c := newCluster(t, extra, move.release, move.release, move.release)
			pinInternalTopics(c)
			c.createTopic("load", [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 3, 2}}, "min.insync.replicas=2", "segment.bytes=1048576")
			c.awaitInSync("load", clusterPartitions, c.ids()...)
			watch := watchLeaders(t, c.addresses()...)
			l := startLoad(t, "load", clusterPartitions, 200, c.addresses()...)
			l.awaitProgress(30 * time.Second)
			for _, kind := range []string{"ours", move.release} {
				for _, m := range c.members {
					began := time.Now()
					m.stop()
					c.startAs(m, kind, extra)
					if !strings.Contains(m.process().Output(), "since clean shutdown file was found") {
						t.Errorf("%s did not take its directory for one that was stopped in order", m)
					}
					c.awaitInSync("load", clusterPartitions, c.ids()...)
					l.awaitProgress(30 * time.Second)
					t.Logf("%s: %.1f s; %s", m, time.Since(began).Seconds(), l)
				}
			}
			l.stop()
			watch.stop(t)
			c.checkHealthy()
			for _, m := range c.members {
				l.verify(m.address())
			}
			c.awaitIdentical("load", clusterPartitions, c.members...)
			c.compareDumps()
		})
	}
}

// startAs starts a stopped member as another kind of broker, on its directory
// and port.
func (c *cluster) startAs(m *member, kind string, extra []string) {
	c.t.Helper()
	m.past += m.process().Output() + "\n"
	port := 0
	if m.ours != nil {
		port = m.ours.port
	} else {
		port = m.real.Port
	}
	m.kind, m.ours, m.real = kind, nil, nil
	c.tree.awaitGone(fmt.Sprintf("/brokers/ids/%d", m.id), 60*time.Second)
	if kind == "ours" {
		m.ours = startBroker(c.t, options{id: int(m.id), dir: m.dir, zookeeper: c.zookeeper, port: port,
			extra: extra, omit: map[string]bool{"zookeeper.session.timeout.ms": true}})
		return
	}
	m.real = testkit.RealKafka(c.t, kind).Broker(c.t, int(m.id), c.zookeeper, m.dir,
		append([]string{fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", port)}, extra...)...)
	m.real.Port = port
}
