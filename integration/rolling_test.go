package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// A cluster of real brokers is replaced by our brokers, one at a time, on the same directories and
// ports, and then by real ones again, while a producer writes and groups read. The offsets topic
// moves along, nothing is lost, and no committed offset goes back.
func TestARealClusterBecomesOursAndRealAgainUnderLoad(t *testing.T) {
	moves := []struct{ release, protocol string }{{"3.9.1", "3.9"}}
	all := testkit.FullMatrices()
	if all {
		moves = append(moves, struct{ release, protocol string }{"2.8.2", "2.8"})
	}
	for _, move := range moves {
		t.Run(move.release, func(t *testing.T) {
			extra := append(mixedCluster{protocol: move.protocol}.properties(), offsetsProperties...)
			g := startGroupsUnderLoad(t, 200, extra, move.release, move.release, move.release)
			c := g.cluster
			c.createTopic("__transaction_state", [][]int32{{1}}, "cleanup.policy=compact") // none of our brokers coordinates it
			watch := watchLeaders(t, c.addresses()...)
			for range 2 {
				g.franz(t, "coop", kgo.Balancers(kgo.CooperativeStickyBalancer()))
				g.join("kafka-go", newGoReader(t, c.addresses(), "kafka-go", "load"))
			}
			static := g.franz(t, "static", kgo.InstanceID("0"))
			if all {
				g.languages(t, "languages")
			} else {
				g.join("languages", g.kcat(t, "languages"))
			}
			g.awaitMembers("coop", 2)
			g.awaitMembers("kafka-go", 2)
			g.awaitProgress("the start")
			for _, kind := range []string{"ours", move.release} {
				for _, m := range c.members {
					began := time.Now()
					m.stop()
					c.startAs(m, kind, extra)
					if !strings.Contains(m.process().Output(), "since clean shutdown file was found") {
						t.Errorf("%s did not recognize its directory as cleanly shut down", m)
					}
					c.awaitInSync("load", clusterPartitions, c.ids()...)
					c.awaitInSync("__consumer_offsets", offsetsPartitions, c.ids()...)
					t.Logf("%s after %.1f s", m, time.Since(began).Seconds())
					g.awaitProgress("the move of " + m.String())
				}
				if kind == "ours" { // a member leaves and joins while all brokers are ours
					static.leave()
					static = g.franz(t, "static", kgo.InstanceID("0"))
					g.awaitMembers("static", 1)
				}
			}
			g.awaitMembers("coop", 2)
			g.awaitMembers("kafka-go", 2)
			g.finish(t)
			watch.stop(t)
			c.checkHealthy()
			for _, m := range c.members {
				g.load.verify(m.address())
			}
			c.awaitIdentical("load", clusterPartitions, c.members...)
			c.compareDumps()
		})
	}
}

// A cluster of real brokers is replaced by our brokers, one at a time, and then by real ones again,
// while a real Kafka Streams application with exactly_once_v2 runs on it. Once all brokers are of one
// kind, the coordinators move and one broker is killed. Each input is processed once.
func TestARealClusterBecomesOursAndRealAgainUnderStreams(t *testing.T) {
	log := timedLog(t)
	const session = "zookeeper.session.timeout.ms=18000" // so slow starts of real brokers do not expire it
	properties := append(slices.Clone(exactlyOnceProperties), session)
	s := startStreams(t, log, []string{"3.9.1", "3.9.1", "3.9.1"}, session)
	for _, kind := range []string{"ours", "3.9.1"} {
		for _, m := range s.members {
			m.stop()
			s.startAs(m, kind, properties)
			s.awaitAllInSync()
			s.awaitProgress()
			log("%s: %s", m, s)
		}
		s.moveCoordinators()
		s.killBroker(s.transactionCoordinator())
		s.awaitAllInSync()
		s.awaitProgress()
		log("all brokers are %s: %s", kind, s)
	}
	s.finish(t, log)
}

// startAs starts a stopped member as another kind of broker, on the same directory and port.
func (c *cluster) startAs(m *member, kind string, extra []string) {
	c.t.Helper()
	m.earlierOutput += m.process().Output() + "\n"
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
