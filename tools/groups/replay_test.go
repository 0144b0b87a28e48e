package groups

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
)

func TestGroupsPrintsWhatTheRealToolPrints(t *testing.T) {
	const (
		server = "--bootstrap-server {B} --timeout 30000 "
		reset  = server + "--reset-offsets --group idle "
	)
	cases := toolreplay.Of(Tool,
		toolreplay.Case{Name: "list", Args: server + "--list"},
		toolreplay.Case{Name: "list-states", Args: server + "--list --state"},
		toolreplay.Case{Name: "list-in-states", Args: server + "--list --state stable,Empty"},
		toolreplay.Case{Name: "list-types", Args: server + "--list --type"},
		toolreplay.Case{Name: "list-classic", Args: server + "--list --type classic --state Stable"},
		toolreplay.Case{Name: "describe", Args: server + "--describe --group idle"},
		toolreplay.Case{Name: "describe-offsets", Args: server + "--describe --group live --offsets"},
		toolreplay.Case{Name: "describe-offsets-verbose", Args: server + "--describe --group live --offsets --verbose"},
		toolreplay.Case{Name: "describe-members", Args: server + "--describe --group live --members"},
		toolreplay.Case{Name: "describe-members-verbose", Args: server + "--describe --group live --members --verbose"},
		toolreplay.Case{Name: "describe-state", Args: server + "--describe --group live --state"},
		toolreplay.Case{Name: "describe-static-member", Args: server + "--describe --group fixed"},
		toolreplay.Case{Name: "describe-static-members", Args: server + "--describe --group fixed --members"},
		toolreplay.Case{Name: "describe-without-members", Args: server + "--describe --group idle --members --verbose"},
		toolreplay.Case{Name: "describe-empty-state", Args: server + "--describe --group idle --state"},
		toolreplay.Case{Name: "describe-all", Args: server + "--describe --all-groups"},
		toolreplay.Case{Name: "describe-all-members", Args: server + "--describe --all-groups --members"},
		toolreplay.Case{Name: "describe-all-states", Args: server + "--describe --all-groups --state"},
		toolreplay.Case{Name: "describe-other-type", Args: server + "--describe --group workers"},
		toolreplay.Case{Name: "describe-missing", Args: server + "--describe --group nosuch"},
		toolreplay.Case{Name: "describe-missing-members", Args: server + "--describe --group nosuch --members"},
		toolreplay.Case{Name: "describe-missing-state", Args: server + "--describe --group nosuch --state"},

		toolreplay.Case{Name: "reset-to-earliest", Args: reset + "--topic lag --to-earliest"},
		toolreplay.Case{Name: "reset-all-topics", Args: reset + "--all-topics --to-earliest --dry-run"},
		toolreplay.Case{Name: "reset-export", Args: reset + "--all-topics --to-latest --export --dry-run"},
		toolreplay.Case{Name: "reset-export-two-groups", Args: reset + "--group new --topic lag --to-latest --export --dry-run"},
		toolreplay.Case{Name: "reset-all-groups", Args: server + "--reset-offsets --all-groups --topic lag:1 --to-latest --dry-run"},
		toolreplay.Case{Name: "reset-to-current", Args: reset + "--topic lag:0 --topic other --to-current --dry-run"},
		toolreplay.Case{Name: "reset-to-offset", Args: reset + "--topic lag --to-offset 2 --execute"},
		toolreplay.Case{Name: "describe-after-reset", Args: server + "--describe --group idle"},
		toolreplay.Case{Name: "reset-beyond-the-end", Args: reset + "--topic lag:0,1 --to-offset 99 --execute"},
		toolreplay.Case{Name: "reset-before-the-start", Args: reset + "--topic lag --to-offset -5 --dry-run"},
		toolreplay.Case{Name: "reset-shift-back", Args: reset + "--topic lag --shift-by -1 --execute"},
		toolreplay.Case{Name: "reset-shift-ahead", Args: reset + "--topic lag --shift-by 2 --dry-run"},
		toolreplay.Case{Name: "reset-shift-without-offset", Args: server + "--reset-offsets --group new --topic lag:0 --shift-by 2 --dry-run"},
		toolreplay.Case{Name: "reset-to-early-time", Args: reset + "--topic lag --to-datetime 2020-09-13T12:26:42.000 --dry-run"},
		toolreplay.Case{Name: "reset-to-time-in-zone", Args: reset + "--topic lag --to-datetime 2020-09-13T14:26:41.000+02:00 --dry-run"},
		toolreplay.Case{Name: "reset-to-late-time", Args: reset + "--topic lag --to-datetime 2040-01-01T00:00:00.001Z --dry-run"},
		toolreplay.Case{Name: "reset-to-no-time", Args: reset + "--topic lag --to-datetime yesterday --dry-run"},
		toolreplay.Case{Name: "reset-to-month-13", Args: reset + "--topic lag --to-datetime 2020-13-01T00:00:00.000 --dry-run"},
		toolreplay.Case{Name: "reset-by-duration", Args: reset + "--topic lag --by-duration PT0S --execute"},
		toolreplay.Case{Name: "reset-by-no-duration", Args: reset + "--topic lag --by-duration 1h --dry-run"},
		toolreplay.Case{Name: "reset-from-file", Args: reset + "--from-file {F}/plan --execute"},
		toolreplay.Case{Name: "reset-groups-from-file", Args: reset + "--group other --from-file {F}/plans --dry-run"},
		toolreplay.Case{Name: "reset-from-absent-file", Args: reset + "--from-file {F}/nosuch --dry-run"},
		toolreplay.Case{Name: "reset-new-group", Args: server + "--reset-offsets --group new --topic lag --to-latest --execute"},
		toolreplay.Case{Name: "describe-new-group", Args: server + "--describe --group new"},
		toolreplay.Case{Name: "reset-live-group", Args: server + "--reset-offsets --group live --topic lag --to-latest --execute"},
		toolreplay.Case{Name: "reset-missing-topic", Args: reset + "--topic nosuch --to-latest --dry-run"},
		toolreplay.Case{Name: "reset-partition-of-missing-topic", Args: reset + "--topic nosuch:0 --to-latest --dry-run"},
		toolreplay.Case{Name: "reset-partition-not-a-number", Args: reset + "--topic lag:x --to-latest --dry-run"},
		toolreplay.Case{Name: "reset-to-offset-not-a-number", Args: reset + "--topic lag:0 --to-offset x --dry-run"},
		toolreplay.Case{Name: "reset-without-scope", Args: server + "--reset-offsets --group idle"},
		toolreplay.Case{Name: "reset-without-target", Args: reset + "--all-topics --dry-run"},

		toolreplay.Case{Name: "delete-offsets", Args: server + "--delete-offsets --group idle --topic other:0"},
		toolreplay.Case{Name: "delete-offsets-of-topics", Args: server + "--delete-offsets --group idle --topic lag --topic other"},
		toolreplay.Case{Name: "delete-offsets-missing-topic", Args: server + "--delete-offsets --group idle --topic nosuch"},
		toolreplay.Case{Name: "delete-offsets-missing-partition", Args: server + "--delete-offsets --group new --topic nosuch:0"},
		toolreplay.Case{Name: "delete-offsets-subscribed", Args: server + "--delete-offsets --group live --topic lag"},
		toolreplay.Case{Name: "delete-offsets-missing-group", Args: server + "--delete-offsets --group nosuch --topic lag"},
		toolreplay.Case{Name: "delete-offsets-invalid-topic", Args: server + "--delete-offsets --group new --topic lag:1:2"},
		toolreplay.Case{Name: "delete-live-and-missing", Args: server + "--delete --group live --group nosuch"},
		toolreplay.Case{Name: "delete-live-and-idle", Args: server + "--delete --group live --group new"},
		toolreplay.Case{Name: "delete", Args: server + "--delete --group second"},
		toolreplay.Case{Name: "delete-missing", Args: server + "--delete --group second"},

		toolreplay.Case{Name: "describe-not-allowed", Args: server + "--describe --group idle", Before: []toolreplay.Command{
			toolreplay.ACL("--group idle --operation All --deny-principal User:ANONYMOUS"),
		}},
		toolreplay.Case{Name: "delete-not-allowed", Args: server + "--delete --group idle"},
		toolreplay.Case{Name: "reset-not-allowed", Args: reset + "--topic lag --to-latest --execute"},
		toolreplay.Case{Name: "delete-offsets-not-allowed", Args: server + "--delete-offsets --group idle --topic lag"},
	)
	for i := range cases {
		cases[i].Tidy = testkit.TidyGroups
	}
	toolreplay.Run(t, toolreplay.Suite{
		Files: map[string]string{"plan": "lag,0,1\nlag,1,99\n", "plans": "idle,lag,0,1\nnew,other,0,3\n"},
		Prepare: []toolreplay.Command{
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic lag --partitions 3 --config retention.ms=-1", ""),
			toolreplay.Real("kafka-topics", "--bootstrap-server {B} --create --topic other --partitions 2", ""),
		},
		Fill:  fillGroups,
		Cases: cases,
	})
}

// fillGroups writes records and creates groups: idle and second without members, live with a member
// and fixed with a static one, and workers, which has another protocol type.
func fillGroups(t testing.TB, broker string) {
	t.Helper()
	client := newClient(t, broker, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for partition, n := range []int{5, 3, 0} {
		for i := range n { // one record per second, from 2020-09-13T12:26:40Z
			r := &kgo.Record{Topic: "lag", Partition: int32(partition), Value: []byte{'x'}, Timestamp: time.Unix(1600000000+int64(i), 0)}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	commit(t, client, "idle", "lag", 4, 0)
	commit(t, client, "idle", "other", 0, 0)
	commit(t, client, "second", "lag", 0)
	commit(t, client, "live", "lag", 1)
	join(t, broker, "live", "lag", kgo.ClientID("a-client-of-a-rather-long-name"))
	join(t, broker, "fixed", "other", kgo.ClientID("c"), kgo.InstanceID("instance-1"))
	joinAsWorker(t, client, "workers")
}

func newClient(t testing.TB, broker string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(broker))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// commit commits the offsets of a topic's first partitions.
func commit(t testing.TB, client *kgo.Client, group, topic string, offsets ...int64) {
	t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = group
	one := kmsg.NewOffsetCommitRequestTopic()
	one.Topic = topic
	for i, offset := range offsets {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = int32(i), offset
		one.Partitions = append(one.Partitions, p)
	}
	req.Topics = append(req.Topics, one)
	resp, err := req.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range resp.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
}

// join adds a member to a group and waits until it has partitions.
func join(t testing.TB, broker, group, topic string, options ...kgo.Opt) {
	t.Helper()
	assigned := make(chan struct{}, 1)
	newClient(t, broker, append(options, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(4*time.Minute), kgo.Balancers(kgo.RangeBalancer()),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { assigned <- struct{}{} }))...)
	<-assigned
}

// joinAsWorker creates a group whose protocol type is not "consumer".
func joinAsWorker(t testing.TB, client *kgo.Client, group string) {
	t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = group, "connect", 240000, 60000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "default"}}
	for range 2 { // the first response assigns the id of the member
		resp, err := req.RequestWith(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		if req.MemberID = resp.MemberID; resp.ErrorCode == 0 {
			sync := kmsg.NewPtrSyncGroupRequest()
			sync.Group, sync.Generation, sync.MemberID, sync.ProtocolType, sync.Protocol = group, resp.Generation, resp.MemberID, resp.ProtocolType, resp.Protocol
			synced, err := sync.RequestWith(t.Context(), client)
			if err != nil || synced.ErrorCode != 0 {
				t.Fatal(synced, err)
			}
			return
		}
	}
	t.Fatal("the worker did not join")
}
