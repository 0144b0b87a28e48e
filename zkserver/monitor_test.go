package zkserver

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/zkserver/jute"
)

func TestMonitoredValuesMove(t *testing.T) {
	s := startMem(t, nil)
	c := connectRaw(t, s.Address())
	c.create("/a", 0)
	c.must(jute.OpGetData, &jute.PathWatchRequest{Path: "/a", Watch: true}, nil)
	c.must(jute.OpSetData, &jute.SetDataRequest{Path: "/a", Version: -1}, nil)
	// The values of a response are counted after it was sent.
	for _, want := range []string{`zk_cnt_updatelatency\t3\n`, `zk_cnt_readlatency\t1\n`, `zk_cnt_node_changed_watch_count\t1\n`, `zk_sum_node_changed_watch_count\t1\n`,
		`zk_connection_request_count\t1\n`, `zk_cnt_fsynctime\t[123]\n`, `zk_sum_sync_processor_batch_size\t3\n`, `zk_bytes_received_count\t[1-9]\d+\n`, `zk_response_bytes\t[1-9]\d+\n`,
		`zk_watch_bytes\t[1-9]\d+\n`, `zk_uptime\t[1-9]\d*\n`, `zk_max_client_response_size\t[1-9]\d+\n`, `zk_cnt_dbinittime\t1\n`} {
		testkit.Eventually(t, 10*time.Second, "mntr to match "+want, func() bool {
			return regexp.MustCompile(want).MatchString(say(t, s.Address(), "mntr"))
		})
	}
}

// compareMonitored compares the names in mntr with those of a real server. The embedded one has those
// that mean something for a server without peers, threads and caches; newest reports whether the real
// one is the newest release.
func compareMonitored(t *testing.T, real, ours string, newest bool) {
	t.Helper()
	names := func(address string) (names []string) {
		for _, m := range regexp.MustCompile(`(?m)^(zk_\w+)\t`).FindAllStringSubmatch(say(t, address, "mntr"), -1) {
			names = append(names, m[1])
		}
		return names
	}
	// What has no meaning here: peers, the queues between the threads of a server, caches of
	// responses, read-only and TLS connections, the JVM, values for each namespace.
	meaningless := regexp.MustCompile(`_(per_namespace|learner_\w+|om_\w+|prep_\w+|close_session_prep_time|\w*commit\w*|\w*commitproc\w*|\w*session_queues?\w*|sync_proc\w+|` +
		`proposal\w*|\w*propagation\w*|quorum\w*|ack_latency|follower_sync_time|observer_sync_time|election_time|\w*unavailable_time|looking_count|diff_count|snap_count|inflight_\w+|` +
		`response_packet\w*|dead_watchers\w*|add_dead_watcher_stall_time|ensemble_auth\w*|\w*revalidate_count|stale_re\w+|request_throttle\w*|throttled_ops|netty\w*|\w*handshake\w*|` +
		`insecure_admin_count|cnxn_closed\w*|skip_\w+|socket_closing_time|requests_not_forwarded\w*|jvm_pause\w*|digest_mismatches_count|quit_leading\w*|outstanding_changes\w*|` +
		`restore_\w+|snapshot_rate_limited_count|startup_\w+_load_time|connection_token_deficit|connection_drop_probability|local_sessions|non_mtls\w+|unrecoverable_error_count|` +
		`sessionless_connections_expired|\w*final_proc_time\w*|local_write\w*|server_write\w*|session_queues_drained|concurrent\w*|time_waiting\w*|write_batch\w*|observer\w*|learners|leader_uptime|` +
		`synced\w*|pending_syncs|tls_\w+)(_ms)?$`)
	theirs, have := names(real), names(ours)
	for _, name := range have {
		if newest && !slices.Contains(theirs, name) {
			t.Errorf("mntr of Apache ZooKeeper has no %s", name)
		}
	}
	for _, name := range theirs {
		if !slices.Contains(have, name) && !meaningless.MatchString(name) {
			t.Errorf("mntr has no %s", name)
		}
	}
}
