package metrics

import (
	"bytes"
	"io"
	"math"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/golden"
)

var bytesIn = Name{Group: "kafka.server", Type: "BrokerTopicMetrics", Name: "BytesInPerSec"}

func TestNamesAreThoseOfARealBroker(t *testing.T) {
	mbeans := string(golden.Read(t, "mbeans-zk-3.9.1.txt"))
	for _, c := range []struct {
		name    Name
		mbean   string // as in the list of a real broker, with tag values replaced by *
		kind    kind
		exposed string
	}{
		{bytesIn, "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec | Count", counterKind, "kafka_server_brokertopicmetrics_bytesin_total"},
		{Name{Group: "kafka.server", Type: "ReplicaManager", Name: "UnderReplicatedPartitions"},
			"kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions | Value", gaugeKind, "kafka_server_replicamanager_underreplicatedpartitions"},
		{Name{Group: "kafka.controller", Type: "KafkaController", Name: "ActiveControllerCount"},
			"kafka.controller:type=KafkaController,name=ActiveControllerCount | Value", gaugeKind, "kafka_controller_kafkacontroller_activecontrollercount"},
		{Name{Group: "kafka.network", Type: "RequestMetrics", Name: "TotalTimeMs"}.With("request", "*"),
			"kafka.network:type=RequestMetrics,name=TotalTimeMs,request=*| Count", summaryKind, "kafka_network_requestmetrics_totaltimems"},
		{Name{Group: "kafka.network", Type: "RequestMetrics", Name: "RequestsPerSec"}.With("request", "*", "version", "*"),
			"kafka.network:type=RequestMetrics,name=RequestsPerSec,request=*,version=*| Count", counterKind, "kafka_network_requestmetrics_requests_total"},
		{Name{Group: "kafka.log", Type: "Log", Name: "LogEndOffset"}.With("topic", "*", "partition", "*"),
			"kafka.log:type=Log,name=LogEndOffset,topic=*,partition=*| Value", gaugeKind, "kafka_log_log_logendoffset"},
		{Name{Group: "kafka.server", Type: "KafkaServer", Name: "linux-disk-read-bytes"},
			"kafka.server:type=KafkaServer,name=linux-disk-read-bytes | Value", gaugeKind, "kafka_server_kafkaserver_linux_disk_read_bytes"},
		{Name{Group: "kafka.utils", Type: "Throttler", Name: "cleaner-io"},
			"kafka.utils:type=Throttler,name=cleaner-io | Count", counterKind, "kafka_utils_throttler_cleaner_io_count"},
		{Name{Group: "kafka.server", Type: "socket-server-metrics", Attribute: "connection-creation-total"},
			"", counterKind, "kafka_server_socket_server_metrics_connection_creation_total"},
	} {
		got := strings.ReplaceAll(c.name.MBean(), `"\*"`, "*")
		if want, _, _ := strings.Cut(c.mbean, "|"); c.mbean != "" && got != strings.TrimSpace(want) {
			t.Errorf("MBean is %s, want %s", got, want)
		}
		if !strings.Contains(mbeans, "\n"+c.mbean) && c.mbean != "" {
			t.Errorf("no real broker has %s", c.mbean)
		}
		if got := c.name.family().exposed(c.kind); got != c.exposed {
			t.Errorf("%s is exposed as %s, want %s", c.name.MBean(), got, c.exposed)
		}
	}
}

func TestTagValuesAreQuotedAsInJMX(t *testing.T) {
	n := Name{Group: "kafka.log", Type: "LogManager", Name: "LogDirectoryOffline"}
	for value, want := range map[string]string{
		"my-topic.1": "my-topic.1",
		"/var/kafka": `"/var/kafka"`,
		"a,b":        `"a,b"`,
		`a"b`:        `"a\"b"`,
	} {
		if got := n.With("logDirectory", value).MBean(); got != "kafka.log:type=LogManager,name=LogDirectoryOffline,logDirectory="+want {
			t.Errorf("%s: %s", value, got)
		}
	}
}

func TestExposition(t *testing.T) {
	r := NewRegistry()
	r.Counter(bytesIn).Inc(1_000_000)
	r.Gauge(Name{Group: "kafka.server", Type: "KafkaServer", Name: "BrokerState"}, func() float64 { return 3 })
	times := r.Durations(Name{Group: "kafka.network", Type: "RequestMetrics", Name: "LocalTimeMs"}.With("request", "Produce"))
	for range 4 {
		times.UpdateDuration(1500 * time.Microsecond)
	}
	r.Collect(func(s *Scrape) {
		s.Counter(bytesIn.With("topic", "t2"), 5)
		s.Counter(bytesIn.With("topic", "t1"), 7)
		s.Gauge(Name{Group: "kafka.log", Type: "LogManager", Name: "LogDirectoryOffline"}.With("logDirectory", `C:\"x"`), 0)
	})
	const want = `# HELP kafka_log_logmanager_logdirectoryoffline kafka.log:type=LogManager,name=LogDirectoryOffline
# TYPE kafka_log_logmanager_logdirectoryoffline gauge
kafka_log_logmanager_logdirectoryoffline{logDirectory="C:\\\"x\""} 0
# HELP kafka_network_requestmetrics_localtimems kafka.network:type=RequestMetrics,name=LocalTimeMs
# TYPE kafka_network_requestmetrics_localtimems summary
kafka_network_requestmetrics_localtimems{request="Produce",quantile="0.50"} 1.5
kafka_network_requestmetrics_localtimems{request="Produce",quantile="0.75"} 1.5
kafka_network_requestmetrics_localtimems{request="Produce",quantile="0.95"} 1.5
kafka_network_requestmetrics_localtimems{request="Produce",quantile="0.98"} 1.5
kafka_network_requestmetrics_localtimems{request="Produce",quantile="0.99"} 1.5
kafka_network_requestmetrics_localtimems{request="Produce",quantile="0.999"} 1.5
kafka_network_requestmetrics_localtimems_sum{request="Produce"} 6
kafka_network_requestmetrics_localtimems_count{request="Produce"} 4
# HELP kafka_server_brokertopicmetrics_bytesin_total kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec
# TYPE kafka_server_brokertopicmetrics_bytesin_total counter
kafka_server_brokertopicmetrics_bytesin_total 1000000
kafka_server_brokertopicmetrics_bytesin_total{topic="t1"} 7
kafka_server_brokertopicmetrics_bytesin_total{topic="t2"} 5
# HELP kafka_server_kafkaserver_brokerstate kafka.server:type=KafkaServer,name=BrokerState
# TYPE kafka_server_kafkaserver_brokerstate gauge
kafka_server_kafkaserver_brokerstate 3
`
	answer := httptest.NewRecorder()
	r.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if got := answer.Body.String(); got != want {
		t.Errorf("exposition:\n%s\nwant:\n%s", got, want)
	}
	if got := answer.Header().Get("Content-Type"); got != ContentType {
		t.Errorf("Content-Type is %s", got)
	}
}

func TestOneNameIsOneMetric(t *testing.T) {
	r, other := NewRegistry(), NewRegistry()
	r.Counter(bytesIn).Inc(1)
	r.Counter(bytesIn).Inc(2)
	if n := r.Counter(bytesIn).Count(); n != 3 {
		t.Errorf("counted %d, want 3", n)
	}
	if n := other.Counter(bytesIn).Count(); n != 0 {
		t.Errorf("another registry's counter has %d", n)
	}
	if r.Len() != 1 {
		t.Errorf("%d metrics, want 1", r.Len())
	}
}

func TestBucketsCoverAllNumbersInOrder(t *testing.T) {
	last := -1
	for _, v := range []int64{0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 20, 1000, 1 << 40, math.MaxInt64} {
		i := bucketOf(v)
		if i < last || i >= buckets {
			t.Fatalf("%d is in bucket %d of %d, after %d", v, i, buckets, last)
		}
		last = i
		if start, end := bucketStart(i), bucketStart(i+1); float64(v) < start || float64(v) > end {
			t.Errorf("%d is in the bucket from %g to %g", v, start, end)
		}
	}
	if bucketOf(math.MaxInt64) != buckets-1 || bucketOf(-1) != 0 {
		t.Errorf("the ends are in buckets %d and %d", bucketOf(math.MaxInt64), bucketOf(-1))
	}
}

func TestPercentilesAreAccurate(t *testing.T) {
	h := newHistogram(bytesIn, 1)
	for v := int64(1); v <= 10000; v++ {
		h.Update(v)
	}
	for _, p := range []float64{0.5, 0.75, 0.95, 0.99, 0.999} {
		if got, want := h.Percentile(p), p*10000; math.Abs(got-want) > want/8 {
			t.Errorf("percentile %g is %g, want about %g", p, got, want)
		}
	}
	if h.Count() != 10000 || h.Min() != 1 || h.Max() != 10000 || h.Sum() != 50005000 || h.Mean() != 5000.5 {
		t.Errorf("count %d, min %d, max %d, sum %d, mean %g", h.Count(), h.Min(), h.Max(), h.Sum(), h.Mean())
	}
	if got := h.StdDev(); math.Abs(got-2886.75) > 100 {
		t.Errorf("standard deviation %g, want about 2886.75", got)
	}
}

func TestAnEmptyHistogramIsZero(t *testing.T) {
	h := newHistogram(bytesIn, 1)
	if h.Percentile(0.99) != 0 || h.Min() != 0 || h.Max() != 0 || h.Mean() != 0 || h.StdDev() != 0 {
		t.Error("a statistic of an empty histogram is not 0")
	}
}

func TestPercentilesForgetOldNumbers(t *testing.T) {
	h := newHistogram(bytesIn, 1)
	now := time.Unix(0, 0)
	median := func(passed time.Duration) float64 {
		now = now.Add(passed)
		return h.recent(h.all(), now).percentile(0.5, 0, math.MaxFloat64)
	}
	for range 100 {
		h.Update(1_000_000)
	}
	if got := median(0); got < 800_000 {
		t.Errorf("median %g at the first scrape", got)
	}
	for range 10 {
		h.Update(1000)
	}
	if got := median(window); got > 2000 {
		t.Errorf("median %g, want that of the numbers since the last scrape, 1000", got)
	}
	median(window)
	if got := median(window); got < 800_000 {
		t.Errorf("median %g after a minute without numbers, want that of all numbers", got)
	}
}

func TestUpdatesDoNotAllocate(t *testing.T) {
	r := NewRegistry()
	c, h := r.Counter(bytesIn), r.Sizes(Name{Group: "kafka.network", Type: "RequestMetrics", Name: "RequestBytes"})
	v := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		v += 997
		c.Inc(1)
		h.Update(v)
		h.UpdateDuration(time.Duration(v))
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestConcurrentUpdatesAndScrapesLoseNothing(t *testing.T) {
	r := NewRegistry()
	const goroutines, each = 8, 2000
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			c, h := r.Counter(bytesIn), r.Durations(Name{Group: "g", Type: "h"})
			for i := range each {
				c.Inc(1)
				h.Update(int64(i))
			}
		})
	}
	all.Go(func() {
		for i := range 20 {
			r.Collect(func(s *Scrape) { s.Gauge(Name{Group: "g", Type: "x"}, 1) })
			r.Write(io.Discard, time.Unix(int64(i)*100, 0))
		}
	})
	all.Wait()
	h := r.Durations(Name{Group: "g", Type: "h"})
	if n := r.Counter(bytesIn).Count(); n != goroutines*each || h.Count() != n || h.Max() != each-1 || h.Min() != 0 {
		t.Errorf("counted %d, distribution of %d from %d to %d", n, h.Count(), h.Min(), h.Max())
	}
}

func TestProcessMetrics(t *testing.T) {
	r := NewRegistry()
	CollectProcess(r)
	var page bytes.Buffer
	r.Write(&page, time.Now())
	for _, want := range []string{"process_start_time_seconds ", "process_resident_memory_bytes ", "process_open_fds ",
		"process_cpu_seconds_total ", "go_goroutines ", "go_memstats_heap_alloc_bytes ", "go_gc_cycles_total "} {
		if !strings.Contains(page.String(), "\n"+want) {
			t.Errorf("%s is missing:\n%s", want, page.String())
		}
	}
}

func BenchmarkHistogramUpdate(b *testing.B) {
	h := newHistogram(bytesIn, 1)
	for i := range b.N {
		h.Update(int64(i))
	}
}

func TestARateCoversTheLastMinuteOrTwo(t *testing.T) {
	var r Rate
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		seconds int
		count   int64
		want    float64
	}{
		{0, 500, 0}, // the count before the first call does not matter
		{30, 560, 2},
		{60, 620, 2},
		{90, 620, 120.0 / 90},
		{120, 680, 1}, // since second 60
		{181, 3, 0},   // begins again
		{191, 13, 1},
	} {
		if got := r.PerSecond(c.count, start.Add(time.Duration(c.seconds)*time.Second)); got != c.want {
			t.Errorf("after %d s: %g, want %g", c.seconds, got, c.want)
		}
	}
}
