package broker

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/metrics"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// page returns the result of a scrape.
func page(m *brokerMetrics) string {
	var b bytes.Buffer
	m.registry.Write(&b, time.Now())
	return b.String()
}

func wantLines(t *testing.T, page string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("%s is missing in:\n%s", line, page)
		}
	}
}

func request(key protocol.APIKey, version int16) *network.Request {
	return &network.Request{RequestHeader: protocol.RequestHeader{Key: key, Version: version}, Size: 100}
}

func TestRequestTimesAreDividedAsInKafka(t *testing.T) {
	m := newBrokerMetrics()
	r := request(protocol.Fetch, 17)
	r.Label, r.Waited = "FetchFollower", 30*time.Millisecond
	m.requests.observe(r, network.Timing{Serve: 32 * time.Millisecond, Queued: 4 * time.Millisecond, Send: 8 * time.Millisecond})
	m.requests.observe(request(protocol.Metadata, 12), network.Timing{})
	wantLines(t, page(m),
		`kafka_network_requestmetrics_requests_total{request="Fetch",version="17"} 1`,
		`kafka_network_requestmetrics_requests_total{request="FetchFollower",version="17"} 1`,
		`kafka_network_requestmetrics_requests_total{request="Metadata",version="12"} 1`,
		`kafka_network_requestmetrics_totaltimems_sum{request="FetchFollower"} 44`,
		`kafka_network_requestmetrics_localtimems_sum{request="FetchFollower"} 2`,
		`kafka_network_requestmetrics_remotetimems_sum{request="FetchFollower"} 30`,
		`kafka_network_requestmetrics_responsequeuetimems_sum{request="FetchFollower"} 4`,
		`kafka_network_requestmetrics_responsesendtimems_sum{request="FetchFollower"} 8`,
		`kafka_network_requestmetrics_requestbytes_sum{request="Fetch"} 100`,
	)
}

func TestUncleanablePartitionsAreNamed(t *testing.T) {
	m := newBrokerMetrics()
	m.registry.Collect(func(s *metrics.Scrape) {
		collectCleaner(s, storage.CleanerStatus{Uncleanable: map[string]storage.UncleanableLogs{
			"/d": {Partitions: 1, Bytes: 7, Reasons: map[storage.TopicPartition]string{{Topic: "t", Partition: 3}: `a "reason"`}}, "/e": {}}})
	})
	wantLines(t, page(m),
		`kafka_log_logcleanermanager_uncleanable_partitions_count{logDirectory="/d"} 1`,
		`kafka_log_logcleanermanager_uncleanable_partitions_count{logDirectory="/e"} 0`,
		`kafka_log_logcleanermanager_uncleanable_bytes{logDirectory="/d"} 7`,
		`monedula_storage_uncleanable_partition{logDirectory="/d",topic="t",partition="3",reason="a \"reason\""} 1`,
	)
}

func TestUnknownRequestsCreateNoMetrics(t *testing.T) {
	m := newBrokerMetrics()
	before := m.registry.Len()
	for _, r := range []*network.Request{request(-1, 0), request(math.MaxInt16, 0), request(127, 0),
		request(protocol.Produce, -1), request(protocol.Produce, math.MaxInt16)} {
		m.requests.observe(r, network.Timing{})
	}
	if n := m.registry.Len() - before; n != 0 {
		t.Errorf("unknown requests created %d metrics", n)
	}
}

func TestObservingRequestsDoesNotAllocate(t *testing.T) {
	m := newBrokerMetrics()
	r := request(protocol.Fetch, 17)
	r.Label = "FetchConsumer"
	m.requests.observe(r, network.Timing{})
	if n := testing.AllocsPerRun(1000, func() {
		m.requests.observe(r, network.Timing{Serve: time.Millisecond, Send: time.Microsecond})
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestCountingErrorsDoesNotAllocate(t *testing.T) {
	m := newBrokerMetrics()
	m.requests.countErrors(protocol.Produce, protocol.None, 1)
	if n := testing.AllocsPerRun(1000, func() { m.requests.countErrors(protocol.Produce, protocol.None, 3) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
	before := m.registry.Len()
	for _, key := range []protocol.APIKey{-1, 127, math.MaxInt16} {
		m.requests.countErrors(key, protocol.None, 1)
	}
	m.requests.countErrors(protocol.Produce, math.MaxInt16, 1)
	m.requests.countErrors(protocol.Produce, math.MinInt16, 1)
	if n := m.registry.Len() - before; n != 0 {
		t.Errorf("unknown requests and codes created %d metrics", n)
	}
}

func TestEachTimerOfTheControllerMoves(t *testing.T) {
	m := newBrokerMetrics()
	for _, s := range controller.States() {
		m.control.observe(s, 2*time.Millisecond, 3*time.Millisecond)
		if name := s.Timer(); name != "" {
			wantLines(t, page(m), "kafka_controller_controllerstats_"+strings.ToLower(name)+"_count 1",
				"kafka_controller_controllerstats_"+strings.ToLower(name)+"_sum 3")
		}
	}
	wantLines(t, page(m), "kafka_controller_controllereventmanager_eventqueuetimems_count 18")
}

func TestMetricsShowTheZooKeeperSession(t *testing.T) {
	m := newBrokerMetrics()
	for _, event := range []string{"SyncConnected", "Disconnected", "SyncConnected", "Expired"} {
		m.zookeeper.ZooKeeperEvent(event)
	}
	m.zookeeper.ZooKeeperRequest(3 * time.Millisecond)
	wantLines(t, page(m),
		`kafka_server_sessionexpirelistener_zookeepersyncconnects_total 2`,
		`kafka_server_sessionexpirelistener_zookeeperdisconnects_total 1`,
		`kafka_server_sessionexpirelistener_zookeeperexpires_total 1`,
		`kafka_server_sessionexpirelistener_sessionstate{state="CLOSED"} 1`,
		`kafka_server_zookeeperclientmetrics_zookeeperrequestlatencyms_sum 3`,
	)
}

func TestMetricsOfPartitions(t *testing.T) {
	m := newBrokerMetrics()
	m.registry.Collect(func(s *metrics.Scrape) {
		for i, p := range []struct {
			state replication.State
			lag   int64
		}{
			{replication.State{Leading: true, ReplicationFactor: 3, ISR: []metadata.BrokerID{1, 2, 3}, MinISR: 2}, 0},
			{replication.State{Leading: true, ReplicationFactor: 3, ISR: []metadata.BrokerID{1, 2}, MinISR: 2}, 4},
			{replication.State{Leading: true, ReplicationFactor: 3, ISR: []metadata.BrokerID{1}, MinISR: 2}, 0},
			{replication.State{Leading: false, ReplicationFactor: 3}, 5},
		} {
			collectPartition(s, replication.TopicPartition{Topic: "t", Partition: int32(i)}, p.state, p.lag)
		}
	})
	of := func(name string, values ...int) (lines []string) {
		for i, v := range values {
			lines = append(lines, fmt.Sprintf(`kafka_cluster_partition_%s{topic="t",partition="%d"} %d`, name, i, v))
		}
		return lines
	}
	wantLines(t, page(m), slices.Concat(
		of("replicascount", 3, 3, 3, 0),
		of("insyncreplicascount", 3, 2, 1, 0),
		of("underreplicated", 0, 1, 1, 0),
		of("underminisr", 0, 0, 1, 0),
		of("atminisr", 0, 1, 0, 0),
		of("laststableoffsetlag", 0, 4, 0, 5),
	)...)
}

func TestTwoBrokersCountSeparately(t *testing.T) {
	one, two := newBrokerMetrics(), newBrokerMetrics()
	one.requests.observe(request(protocol.Metadata, 12), network.Timing{})
	one.become(stateRunning)
	if p := page(two); strings.Contains(p, "requestmetrics") || !strings.Contains(p, "\nkafka_server_kafkaserver_brokerstate 0\n") {
		t.Errorf("the other broker shows:\n%s", p)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := newBrokerMetrics()
	r := request(protocol.Fetch, 17)
	r.Label = "FetchConsumer"
	for i := range b.N {
		m.requests.observe(r, network.Timing{Serve: time.Duration(i), Send: time.Microsecond})
	}
}
