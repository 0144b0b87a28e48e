package integration

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/testkit"
)

// scrapePage returns the page of a broker's metrics.
func scrapePage(t testing.TB, port int) string {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%s, Content-Type %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// scrape returns a broker's metrics by series: name and labels as they are printed.
func scrape(t testing.TB, port int) map[string]float64 {
	t.Helper()
	series := map[string]float64{}
	typed := map[string]bool{}
	for line := range strings.Lines(scrapePage(t, port)) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			if typed[name] {
				t.Errorf("%s is described twice", name)
			}
			typed[name] = true
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, twice := series[line[:at]]; twice {
			t.Errorf("%s occurs twice", line[:at])
		}
		series[line[:at]] = value
	}
	return series
}

func TestMetricsHaveTheNamesOfARealBrokerAndOfTheManual(t *testing.T) {
	port := testkit.FreePort(t)
	b := startBroker(t, options{extra: []string{fmt.Sprintf("monedula.metrics.listener=127.0.0.1:%d", port)}})
	b.createTopic("named", 1)
	b.produce("named", "a")
	b.consume("named", 1)
	var page string
	testkit.Eventually(t, 10*time.Second, "the requests to be measured", func() bool {
		page = scrapePage(t, port)
		return strings.Contains(page, `request="FetchConsumer"`)
	})
	real := "\n" + string(golden.Read(t, "mbeans-zk-3.9.1.txt"))
	found := 0
	for line := range strings.Lines(page) {
		help, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "# HELP kafka_")
		if !ok {
			continue
		}
		_, bean, _ := strings.Cut(help, " ")
		bean, attribute, _ := strings.Cut(bean, " ")
		known := strings.Contains(real, "\n"+bean+" ") || strings.Contains(real, "\n"+bean+",")
		if !known {
			t.Errorf("a real broker has no metric %s %s", bean, attribute)
		}
		found++
	}
	if found < 50 {
		t.Errorf("only %d of Kafka's metrics exist", found)
	}
	var manual []byte
	for _, name := range []string{"monitoring.md", "operations.md"} {
		text, err := os.ReadFile(filepath.Join(testkit.Root(), "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		manual = append(manual, text...)
	}
	// The page is that of one broker that has loaded its logs and can clean them, so it lacks the
	// metrics of followed partitions, of recovery and of uncleanable partitions. No group has to have
	// committed offsets by now.
	absent := regexp.MustCompile("torecover|consumerlag|fetcherstats|consumer_group|uncleanable_partition$")
	for _, m := range regexp.MustCompile("`((?:kafka|monedula|process|go)_[a-z_]+[a-z])[`{]").FindAllStringSubmatch(string(manual), -1) {
		if !strings.Contains(page, "# TYPE "+m[1]+" ") && !absent.MatchString(m[1]) {
			t.Errorf("docs/monitoring.md or docs/operations.md names %s, which does not exist", m[1])
		}
	}
}

func TestMetricsCountWhatTheBrokerDoes(t *testing.T) {
	port := testkit.FreePort(t)
	b := startBroker(t, options{extra: []string{fmt.Sprintf("monedula.metrics.listener=127.0.0.1:%d", port)}})
	b.createTopic("counted", 2)
	b.createTopic("quiet", 1)
	const n = 25
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("record %d", i))
	}
	b.produce("counted", lines...)
	if got := b.consume("counted", n); len(got) != n {
		t.Fatalf("consumed %d records, want %d", len(got), n)
	}
	var got map[string]float64
	testkit.Eventually(t, 10*time.Second, "the consumer's requests to be counted", func() bool {
		got = scrape(t, port)
		return got[`kafka_server_brokertopicmetrics_bytesout_total{topic="counted"}`] > 0 &&
			got[`kafka_network_requestmetrics_totaltimems_count{request="FetchConsumer"}`] > 0
	})
	for series, want := range map[string]float64{
		`kafka_server_brokertopicmetrics_messagesin_total`:                                n,
		`kafka_server_brokertopicmetrics_messagesin_total{topic="counted"}`:               n,
		`kafka_server_brokertopicmetrics_messagesin_total{topic="quiet"}`:                 0,
		`kafka_server_replicamanager_partitioncount`:                                      3,
		`kafka_server_replicamanager_leadercount`:                                         3,
		`kafka_server_replicamanager_underreplicatedpartitions`:                           0,
		`kafka_server_replicamanager_underminisrpartitioncount`:                           0,
		`kafka_server_replicamanager_atminisrpartitioncount`:                              3,
		`kafka_server_replicamanager_offlinereplicacount`:                                 0,
		`kafka_server_replicamanager_isrshrinks_total`:                                    0,
		`kafka_controller_kafkacontroller_activecontrollercount`:                          1,
		`kafka_controller_kafkacontroller_offlinepartitionscount`:                         0,
		`kafka_controller_kafkacontroller_globaltopiccount`:                               2,
		`kafka_controller_kafkacontroller_globalpartitioncount`:                           3,
		`kafka_controller_kafkacontroller_activebrokercount`:                              1,
		`kafka_server_kafkaserver_brokerstate`:                                            3,
		`kafka_log_logmanager_offlinelogdirectorycount`:                                   0,
		`kafka_log_log_numlogsegments{topic="quiet",partition="0"}`:                       1,
		`kafka_log_log_logstartoffset{topic="counted",partition="1"}`:                     0,
		`kafka_cluster_partition_insyncreplicascount{topic="quiet",partition="0"}`:        1,
		`kafka_cluster_partition_underreplicated{topic="quiet",partition="0"}`:            0,
		`kafka_server_sessionexpirelistener_sessionstate{state="CONNECTED"}`:              1,
		`kafka_network_requestmetrics_totaltimems_count{request="CreateTopics"}`:          2,
		fmt.Sprintf(`kafka_log_logmanager_logdirectoryoffline{logDirectory="%s"}`, b.dir): 0,
	} {
		if is, there := got[series]; !there || is != want {
			t.Errorf("%s is %g (exists: %t), want %g", series, is, there, want)
		}
	}
	inLogs := func(metric string) float64 {
		return got[metric+`{topic="counted",partition="0"}`] + got[metric+`{topic="counted",partition="1"}`]
	}
	if ends := inLogs("kafka_log_log_logendoffset"); ends != n {
		t.Errorf("the log end offsets add up to %g, want %d", ends, n)
	}
	if in, size := got[`kafka_server_brokertopicmetrics_bytesin_total{topic="counted"}`], inLogs("kafka_log_log_size"); in != size {
		t.Errorf("%g bytes in, %g in the logs", in, size)
	}
	requests := 0.0
	for series, value := range got {
		if strings.HasPrefix(series, `kafka_network_requestmetrics_requests_total{request="Produce",version=`) {
			requests += value
		}
	}
	if in := got[`kafka_network_requestmetrics_totaltimems_count{request="Produce"}`]; requests == 0 || in != requests {
		t.Errorf("%g Produce requests by version, %g with a measured time", requests, in)
	}
	for _, series := range []string{
		`kafka_server_sessionexpirelistener_zookeepersyncconnects_total`,
		`kafka_server_zookeeperclientmetrics_zookeeperrequestlatencyms_count`,
		`kafka_network_requestmetrics_localtimems{request="Produce",quantile="0.99"}`,
		`kafka_network_requestmetrics_requestbytes_sum{request="Produce"}`,
		`kafka_server_socket_server_metrics_connection_creation_total`,
		`process_resident_memory_bytes`, `go_goroutines`,
	} {
		if got[series] <= 0 {
			t.Errorf("%s is %g", series, got[series])
		}
	}
	if _, there := got[`kafka_server_socket_server_metrics_connection_count{listener="PLAINTEXT",networkProcessor="0"}`]; !there {
		t.Error("connections are not counted")
	}
}

func TestMetricsAreServedOnlyWhenAskedFor(t *testing.T) {
	b := startBroker(t, options{})
	if strings.Contains(b.Output(), "Serving metrics") || strings.Contains(b.Output(), "monedula.metrics") {
		t.Errorf("metrics are served without being configured:\n%s", b.Output())
	}
}

func TestMetricsListenerInUsePreventsStartup(t *testing.T) {
	taken := startBroker(t, options{})
	b := newBroker(t, options{id: 1, extra: []string{"monedula.metrics.listener=" + taken.address()}})
	b.failsToStart("metrics cannot be served at "+taken.address(), "monedula.metrics.listener", "address already in use")
}

func TestMetricsOfACluster(t *testing.T) {
	zookeeper := testkit.ZooKeeper(t)
	var brokers []*broker
	var ports []int
	for id := 1; id <= 2; id++ {
		port := testkit.FreePort(t)
		ports = append(ports, port)
		brokers = append(brokers, startBroker(t, options{id: id, zookeeper: zookeeper,
			extra: []string{fmt.Sprintf("monedula.metrics.listener=127.0.0.1:%d", port)}}))
	}
	must(t, "kafka-topics", append(brokers[0].bootstrap(), "--create", "--topic", "copied", "--replica-assignment", "1:2")...)
	brokers[0].produce("copied", "a", "b", "c")
	const lag = `kafka_server_fetcherlagmetrics_consumerlag{clientId="ReplicaFetcherThread-0-1",topic="copied",partition="0"}`
	testkit.Eventually(t, 20*time.Second, "the follower to have all records", func() bool {
		follower := scrape(t, ports[1])
		behind, there := follower[lag]
		return there && behind == 0 && follower[`kafka_log_log_logendoffset{topic="copied",partition="0"}`] == 3
	})
	leader, follower := scrape(t, ports[0]), scrape(t, ports[1])
	out, in := leader[`kafka_server_brokertopicmetrics_replicationbytesout_total`], follower[`kafka_server_brokertopicmetrics_replicationbytesin_total`]
	if size := leader[`kafka_log_log_size{topic="copied",partition="0"}`]; in != size || out < size {
		t.Errorf("%g bytes replicated out and %g in, the log has %g", out, in, size)
	}
	if n := follower[`kafka_server_brokertopicmetrics_messagesin_total`]; n != 0 {
		t.Errorf("the follower counted %g messages from clients", n)
	}
	const active = `kafka_controller_kafkacontroller_activecontrollercount`
	if leader[active]+follower[active] != 1 {
		t.Errorf("%g and %g active controllers", leader[active], follower[active])
	}
	if leader[`kafka_network_requestmetrics_totaltimems_count{request="FetchFollower"}`] == 0 {
		t.Error("the follower's fetches are not measured separately")
	}

	brokers[1].Kill()
	testkit.Eventually(t, 60*time.Second, "the leader to report the missing follower", func() bool {
		got := scrape(t, ports[0])
		return got[`kafka_server_replicamanager_underreplicatedpartitions`] == 1 &&
			got[`kafka_cluster_partition_insyncreplicascount{topic="copied",partition="0"}`] == 1
	})
}
