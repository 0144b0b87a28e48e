package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
)

// groupLines are command lines of kafka-consumer-groups, for brokers with the topics and groups
// that prepareGroups creates.
var groupLines = groupToolLines(
	"--bootstrap-server {B} --list",
	"--bootstrap-server {B} --list --state",
	"--bootstrap-server {B} --list --state stable,Empty",
	"--bootstrap-server {B} --list --type classic --state Stable",
	"--bootstrap-server {B} --list --state nosuch",
	"+ --bootstrap-server {B} --list --type nosuch",
	"--bootstrap-server {B} --describe --group idle",
	"--bootstrap-server {B} --describe --group live --offsets",
	"--bootstrap-server {B} --describe --group live --members --verbose",
	"--bootstrap-server {B} --describe --group live --state",
	"--bootstrap-server {B} --describe --group fixed",
	"--bootstrap-server {B} --describe --group fixed --members",
	"--bootstrap-server {B} --describe --all-groups",
	"--bootstrap-server {B} --describe --all-groups --members --verbose",
	"--bootstrap-server {B} --describe --all-groups --state",
	"--bootstrap-server {B} --describe --group nosuch",
	"+ --bootstrap-server {B} --describe --group nosuch --members",
	"+ --bootstrap-server {B} --describe --group nosuch --state",
	"--bootstrap-server {B} --describe --group workers",
	"+ --bootstrap-server {B} --describe --group idle --state Stable",
	"--bootstrap-server {B} --describe --group idle --state --members",
	"--bootstrap-server {B} --describe",
	"--bootstrap-server {B} --list --members",
	"+ --bootstrap-server {B} --reset-offsets --state --group idle",
	"--bootstrap-server {B}",
	"+ --describe --group idle",
	"--bootstrap-server {B} --nosuch",
	"--bootstrap-server {B} --timeout x --list",
	"+ --bootstrap-server {B} --list --group idle",
	"+ --bootstrap-server {B} --list --topic lag",
	"+ --bootstrap-server {B} --group",
	"+ --bootstrap-server bad --list",
	"--bootstrap-server {B} --command-config {F}/nosuch --list",
	"+ --bootstrap-server {B} --version",

	"--bootstrap-server {B} --reset-offsets --group idle --topic lag --to-earliest",
	"--bootstrap-server {B} --reset-offsets --group idle --all-topics --to-earliest --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --all-topics --to-latest --export --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --group new --topic lag --to-latest --export --dry-run",
	"--bootstrap-server {B} --reset-offsets --all-groups --topic lag:1 --to-latest --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --topic lag:0 --topic other --to-current --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --topic lag --to-offset 2 --execute",
	"--bootstrap-server {B} --describe --group idle",
	"--bootstrap-server {B} --reset-offsets --group idle --topic lag:0,1 --to-offset 99 --execute",
	"+ --bootstrap-server {B} --reset-offsets --group idle --topic lag --to-offset -5 --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --topic lag --shift-by -1 --execute",
	"+ --bootstrap-server {B} --reset-offsets --group idle --topic lag --shift-by 2 --dry-run",
	"+ --bootstrap-server {B} --reset-offsets --group new --topic lag:0 --shift-by 2 --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --topic lag --to-datetime 2020-09-13T12:26:42.000 --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --topic lag --to-datetime 2020-09-13T14:26:41.000+02:00 --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --topic lag --to-datetime 2040-01-01T00:00:00.000Z --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --topic lag --to-datetime yesterday --dry-run",
	"+ --bootstrap-server {B} --reset-offsets --group idle --topic lag --to-datetime 2020-13-01T00:00:00.000 --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --topic lag --by-duration P20000DT1H --execute",
	"+ --bootstrap-server {B} --reset-offsets --group idle --topic lag --by-duration 1h --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --from-file {F}/plan --execute",
	"--bootstrap-server {B} --reset-offsets --group other --from-file {F}/plans --dry-run",
	"+ --bootstrap-server {B} --reset-offsets --group idle --from-file {F}/nosuch --dry-run",
	"--bootstrap-server {B} --reset-offsets --group new --topic lag --to-latest --execute",
	"--bootstrap-server {B} --describe --group new",
	"--bootstrap-server {B} --reset-offsets --group live --topic lag --to-latest --execute",
	"--bootstrap-server {B} --reset-offsets --group idle --topic nosuch --to-latest --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle --topic nosuch:0 --to-latest --dry-run",
	"+ --bootstrap-server {B} --reset-offsets --group idle --topic lag:x --to-latest --dry-run",
	"+ --bootstrap-server {B} --reset-offsets --group idle --topic lag:0 --to-offset x --dry-run",
	"--bootstrap-server {B} --reset-offsets --group idle",
	"--bootstrap-server {B} --reset-offsets --group idle --all-topics --dry-run",
	"+ --bootstrap-server {B} --reset-offsets --group idle --all-topics --dry-run --execute",
	"+ --bootstrap-server {B} --reset-offsets --all-topics --to-earliest --dry-run",
	"+ --bootstrap-server {B} --reset-offsets --group idle --to-latest --to-earliest --all-topics --dry-run",

	"--bootstrap-server {B} --delete-offsets --group idle --topic other:0",
	"--bootstrap-server {B} --delete-offsets --group idle --topic lag --topic other",
	"--bootstrap-server {B} --delete-offsets --group idle --topic nosuch",
	"--bootstrap-server {B} --delete-offsets --group new --topic nosuch:0",
	"--bootstrap-server {B} --delete-offsets --group live --topic lag",
	"--bootstrap-server {B} --delete-offsets --group nosuch --topic lag",
	"+ --bootstrap-server {B} --delete-offsets --group new --topic lag:1:2",
	"+ --bootstrap-server {B} --delete-offsets --group new",
	"--bootstrap-server {B} --delete --group live --group nosuch",
	"--bootstrap-server {B} --delete --group live --group new",
	"--bootstrap-server {B} --delete --group second",
	"--bootstrap-server {B} --delete --group second",
	"+ --bootstrap-server {B} --delete",
	"+ --bootstrap-server {B} --delete --group live --topic lag",
	"+ --bootstrap-server {B} --delete --group live --all-groups",

	"--bootstrap-server 127.0.0.1:1 --list --timeout 300",
	"--bootstrap-server 127.0.0.1:1 --describe --group idle --timeout 300",
	"+ --bootstrap-server 127.0.0.1:1 --delete --group idle --timeout 300",
	"+ --bootstrap-server 127.0.0.1:1 --reset-offsets --group idle --topic lag --to-latest --dry-run --timeout 300",
)

// groupToolLines makes tool lines of arguments. Those that begin with "+ " run only with
// MONEDULA_TEST_ALL.
func groupToolLines(lines ...string) []toolLine {
	var all []toolLine
	for _, args := range lines {
		args, more := strings.CutPrefix(args, "+ ")
		if !strings.Contains(args, "--timeout") { // in a cold JVM the real tool sometimes needs longer than its default of 5 s
			args = strings.Replace(args, "--bootstrap-server {B}", "--bootstrap-server {B} --timeout 30000", 1)
		}
		all = append(all, toolLine{script: "kafka-consumer-groups", args: args, more: more, tidy: testkit.TidyGroups})
	}
	return all
}

func TestOurGroupToolPrintsWhatTheRealOnePrints(t *testing.T) {
	compareTools(t, "3.9.1", groupLines, toolSetting{
		files:   map[string]string{"plan": "lag,0,1\nlag,1,99\n", "plans": "idle,lag,0,1\nnew,other,0,3\n"},
		prepare: func(brokers []*broker) { prepareGroups(t, brokers[0]) },
	})
}

// prepareGroups fills two topics and creates groups: idle and second without members, live with two
// members, fixed with a static member, and workers, which has another protocol type.
func prepareGroups(t *testing.T, b *broker) {
	t.Helper()
	b.createTopic("lag", 3, "retention.ms=-1")
	b.createTopic("other", 2, "retention.ms=-1")
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for partition, n := range []int{5, 3, 0} {
		for i := range n { // one record per second, from 2020-09-13T12:26:40Z
			r := &kgo.Record{Topic: "lag", Partition: int32(partition), Value: []byte{'x'}, Timestamp: time.Unix(1600000000+int64(i), 0)}
			if err := client.ProduceSync(background(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	admin := kadm.NewClient(client)
	for group, committed := range map[string]map[string]map[int32]int64{
		"idle":   {"lag": {0: 4, 1: 0}, "other": {0: 0, 1: 0}},
		"second": {"lag": {2: 0}},
		"live":   {"lag": {0: 1}, "other": {1: 0}},
	} {
		offsets := kadm.Offsets{}
		for topic, partitions := range committed {
			for partition, offset := range partitions {
				offsets.AddOffset(topic, partition, offset, -1)
			}
		}
		if err := admin.CommitAllOffsets(background(), group, offsets); err != nil {
			t.Fatal(err)
		}
	}
	still := []kgo.Opt{kgo.DisableAutoCommit(), kgo.SessionTimeout(4 * time.Minute), kgo.Balancers(kgo.RangeBalancer())}
	first := newMember(t, b, "live", "lag", append(still, kgo.ClientID("client-a"))...)
	testkit.Eventually(t, 20*time.Second, "a member to own all", func() bool { return share(3, 3, first) })
	second := newMember(t, b, "live", "lag", append(still, kgo.ClientID("a-client-of-a-rather-long-name"))...)
	testkit.Eventually(t, 20*time.Second, "two members to share", func() bool { return share(3, 1, first, second) })
	static := newMember(t, b, "fixed", "other", append(still, kgo.ClientID("c"), kgo.InstanceID("instance-1"))...)
	testkit.Eventually(t, 20*time.Second, "a static member to own all", func() bool { return share(2, 2, static) })
	joinAsWorker(t, b, "workers")
}

// joinAsWorker creates a group whose protocol type is not "consumer".
func joinAsWorker(t *testing.T, b *broker, group string) {
	t.Helper()
	l := link(t, b.address())
	join := kmsg.NewPtrJoinGroupRequest()
	join.SetVersion(3)
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = group, "connect", 240000, 60000
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "default"}}
	answer, err := l.Do(background(), join)
	if err != nil {
		t.Fatal(err)
	}
	joined := answer.(*kmsg.JoinGroupResponse)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.SetVersion(2)
	sync.Group, sync.Generation, sync.MemberID = group, joined.Generation, joined.MemberID
	if answer, err = l.Do(background(), sync); err != nil || joined.ErrorCode != 0 || answer.(*kmsg.SyncGroupResponse).ErrorCode != 0 {
		t.Fatalf("the worker did not join: %v, %v, %v", joined, answer, err)
	}
}

// The tables of 3.9.1 lack line breaks. Ours have them, as those of older and newer releases do.
func TestEveryRowOfTheGroupToolsTablesHasItsOwnLine(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("lag", 2)
	b.produce("lag", "a")
	reset := append(b.bootstrap(), "--reset-offsets", "--group", "g", "--topic", "lag", "--to-earliest")
	want := fmt.Sprintf("\n%-30s %-30s %-10s %-15s\n%-30s %-30s %-10s %-15s\n%-30s %-30s %-10s %-15s\n",
		"GROUP", "TOPIC", "PARTITION", "NEW-OFFSET", "g", "lag", "0", "0", "g", "lag", "1", "0")
	if out := must(t, "kafka-consumer-groups", append(reset, "--execute")...); out != want {
		t.Errorf("reset:\n%q\nwant\n%q", out, want)
	}
	out := must(t, "kafka-consumer-groups", append(b.bootstrap(), "--describe", "--group", "g")...)
	if lines := strings.Split(out, "\n"); len(lines) != 5 || lines[0] != "" || lines[4] != "" || !strings.HasPrefix(lines[2], "g               lag             0          0 ") {
		t.Errorf("describe:\n%s", out)
	}
	want = fmt.Sprintf("Request succeed for deleting offsets with topic lag group g\n\n%-30s %-15s %-15s\n%-30s %-15s %-15s\n%-30s %-15s %-15s\n",
		"TOPIC", "PARTITION", "STATUS", "lag", "0", "Successful", "lag", "1", "Successful")
	if out := must(t, "kafka-consumer-groups", append(b.bootstrap(), "--delete-offsets", "--group", "g", "--topic", "lag")...); out != want {
		t.Errorf("delete-offsets:\n%q\nwant\n%q", out, want)
	}
}
