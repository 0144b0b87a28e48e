package zkserver

import (
	"fmt"
	"math"
	"strings"

	"github.com/monedula/monedula/zkserver/tree"
)

// stats are the counters of the server, which the machine owns. Times are in milliseconds.
type stats struct {
	received, sent           int64 // packets
	receivedBytes            int64
	eventBytes               int64
	connects                 int64 // requests to open or continue a session
	dropped                  int64 // connections that ended
	rejected                 int64 // connections beyond maxClientCnxns
	oversized                int64 // frames beyond jute.maxbuffer
	expired                  int64 // sessions
	authFailed               int64
	responses                summary // bytes of each
	latency                  summary
	reads, updates           distribution // latencies
	syncs, batches           summary      // of the log; transactions in each
	snapshots                summary      // times
	failedSnapshots          int64
	started, replayed        summary // time to read the files, transactions in them; one value each
	created, deleted         summary // watchers of a fired event
	changed, childrenChanged summary
}

// summary is the distribution of a value without its percentiles.
type summary struct{ count, sum, min, max, last int64 }

func (s *summary) add(value int64) {
	if s.count == 0 {
		s.min, s.max = math.MaxInt64, math.MinInt64
	}
	s.count++
	s.sum += value
	s.min, s.max, s.last = min(s.min, value), max(s.max, value), value
}

func (s *summary) average() float64 {
	if s.count == 0 {
		return 0
	}
	return float64(s.sum) / float64(s.count)
}

// distribution is a summary of a value in milliseconds, with percentiles.
type distribution struct {
	summary
	buckets [1001]int64 // by value; the last one is of all larger values
}

func (d *distribution) add(ms int64) {
	d.summary.add(ms)
	d.buckets[min(max(ms, 0), int64(len(d.buckets)-1))]++
}

// percentile returns the value that a share of all values do not exceed, such as 0.99.
func (d *distribution) percentile(share float64) int64 {
	below, wanted := int64(0), int64(math.Ceil(share*float64(d.count)))
	for value, n := range d.buckets {
		if below += n; n > 0 && below >= wanted {
			return int64(value)
		}
	}
	return 0
}

// countFired counts the watchers of each event.
func (s *stats) countFired(events []tree.Event) {
	if len(events) == 0 {
		return
	}
	type change struct {
		what tree.EventType
		path string
	}
	watchers := map[change]int64{}
	for _, e := range events {
		watchers[change{e.Type, e.Path}]++
	}
	of := map[tree.EventType]*summary{tree.NodeCreated: &s.created, tree.NodeDeleted: &s.deleted, tree.NodeDataChanged: &s.changed, tree.NodeChildrenChanged: &s.childrenChanged}
	for c, n := range watchers {
		if to := of[c.what]; to != nil {
			to.add(n)
		}
	}
}

// monitor writes the values of mntr.
type monitor struct{ out *strings.Builder }

func (o monitor) value(name string, value any) { fmt.Fprintf(o.out, "zk_%s\t%v\n", name, value) }

func (o monitor) summary(name string, s *summary) {
	o.value("avg_"+name, decimal(s.average()))
	o.value("min_"+name, s.min)
	o.value("max_"+name, s.max)
	o.value("cnt_"+name, s.count)
	o.value("sum_"+name, s.sum)
}

func (o monitor) distribution(name string, d *distribution) {
	o.summary(name, &d.summary)
	o.value("p50_"+name, d.percentile(0.5))
	o.value("p95_"+name, d.percentile(0.95))
	o.value("p99_"+name, d.percentile(0.99))
	o.value("p999_"+name, d.percentile(0.999))
}

// mntr writes the values of Apache ZooKeeper that have a meaning for this server.
func (m *machine) mntr(out *strings.Builder) {
	o, s, size := monitor{out}, &m.stats, m.tree.Size()
	o.value("version", m.config.Version)
	o.value("server_state", "standalone")
	files, mostFiles := openFiles()
	for _, v := range []struct {
		name  string
		value any
	}{
		{"avg_latency", decimal(s.latency.average())}, {"max_latency", s.latency.max}, {"min_latency", s.latency.min},
		{"packets_received", s.received}, {"packets_sent", s.sent}, {"num_alive_connections", len(m.clients)},
		{"outstanding_requests", m.outstanding()}, {"uptime", m.aliveMs}, {"znode_count", m.nodeCount()}, {"watch_count", m.tree.WatchCount()},
		{"ephemerals_count", size.Ephemerals}, {"approximate_data_size", size.DataBytes}, {"global_sessions", len(m.tree.Sessions())},
		{"open_file_descriptor_count", files}, {"max_file_descriptor_count", mostFiles},
		{"last_client_response_size", s.responses.last}, {"max_client_response_size", s.responses.max}, {"min_client_response_size", s.responses.min},
		{"auth_failed_count", s.authFailed}, {"connection_request_count", s.connects}, {"connection_drop_count", s.dropped},
		{"connection_rejected", s.rejected}, {"large_requests_rejected", s.oversized}, {"stale_sessions_expired", s.expired},
		{"bytes_received_count", s.receivedBytes}, {"response_bytes", s.responses.sum}, {"watch_bytes", s.eventBytes},
		{"snapshot_error_count", s.failedSnapshots},
	} {
		o.value(v.name, v.value)
	}
	o.distribution("readlatency", &s.reads)
	o.distribution("updatelatency", &s.updates)
	o.summary("fsynctime", &s.syncs)
	o.summary("sync_processor_batch_size", &s.batches)
	o.summary("snapshottime", &s.snapshots)
	o.summary("dbinittime", &s.started)
	o.summary("startup_txns_loaded", &s.replayed)
	o.summary("node_created_watch_count", &s.created)
	o.summary("node_deleted_watch_count", &s.deleted)
	o.summary("node_changed_watch_count", &s.changed)
	o.summary("node_children_watch_count", &s.childrenChanged)
}
