package integration

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// consumerMember is a franz-go member of a group that polls until it is closed or killed. It
// commits every record that it has read.
type consumerMember struct {
	client *kgo.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	owned  map[int32]bool
	seen   map[string]int
	gained int // number of partitions assigned so far
	lost   int // number of partitions revoked or lost so far
}

func newMember(t *testing.T, b *broker, group, topic string, opts ...kgo.Opt) *consumerMember {
	t.Helper()
	return newMemberAt(t, []string{b.address()}, group, topic, opts...)
}

func newMemberAt(t *testing.T, seeds []string, group, topic string, opts ...kgo.Opt) *consumerMember {
	t.Helper()
	m := &consumerMember{done: make(chan struct{}), owned: map[int32]bool{}, seen: map[string]int{}}
	note := func(own bool, parts map[string][]int32) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, p := range parts[topic] {
			if own {
				m.owned[p] = true
				m.gained++
			} else {
				delete(m.owned, p)
				m.lost++
			}
		}
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(seeds...), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.HeartbeatInterval(200 * time.Millisecond), kgo.SessionTimeout(6 * time.Second),
		kgo.AutoCommitInterval(100 * time.Millisecond), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { note(true, p) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { note(false, p) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { note(false, p) }),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(background())
	m.client, m.cancel = client, cancel
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			fetches := client.PollFetches(ctx)
			m.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) { m.seen[fmt.Sprintf("%d:%s", r.Partition, r.Value)]++ })
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() { m.cancel(); client.CloseAllowingRebalance() })
	return m
}

// leave stops the member, which leaves the group.
func (m *consumerMember) leave() {
	m.cancel()
	<-m.done
	m.client.Close()
}

func (m *consumerMember) partitions() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.owned))
}

func (m *consumerMember) records() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.seen)
}

// share reports whether the members own all n partitions, each partition once, and each member owns
// at least least of them.
func share(n, least int, members ...*consumerMember) bool {
	var all []int32
	for _, m := range members {
		p := m.partitions()
		if len(p) < least {
			return false
		}
		all = append(all, p...)
	}
	slices.Sort(all)
	return len(all) == n && len(slices.Compact(all)) == n
}

func fill(t *testing.T, b *broker, topic string, from, n int) {
	t.Helper()
	fillAt(t, []string{b.address()}, topic, from, n)
}

// fillAt produces n records with the values r<from>, r<from+1>, ... over all partitions.
func fillAt(t *testing.T, seeds []string, topic string, from, n int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	for i := from; i < from+n; i++ {
		client.Produce(ctx, kgo.StringRecord(fmt.Sprint("r", i)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// committedOffsets returns the sum of the group's committed offsets of the topic, or -1 if they
// cannot be fetched.
func committedOffsets(t testing.TB, address, group, topic string) (sum int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	offsets, err := kadm.NewClient(client).FetchOffsets(ctx, group)
	if err != nil {
		return -1
	}
	for _, o := range offsets[topic] {
		if o.At > 0 {
			sum += o.At
		}
	}
	return sum
}

func TestMembersShareAndTakeOverPartitions(t *testing.T) {
	b := startBroker(t, options{})
	for _, c := range []struct {
		name     string
		balancer kgo.GroupBalancer
	}{{"eager", kgo.RangeBalancer()}, {"cooperative", kgo.CooperativeStickyBalancer()}} {
		t.Run(c.name, func(t *testing.T) {
			topic := "share-" + c.name
			b.createTopic(topic, 6)
			fill(t, b, topic, 0, 300)
			one := newMember(t, b, c.name, topic, kgo.Balancers(c.balancer))
			testkit.Eventually(t, 20*time.Second, "one member to own all", func() bool { return share(6, 6, one) })
			two := newMember(t, b, c.name, topic, kgo.Balancers(c.balancer))
			testkit.Eventually(t, 20*time.Second, "two members to share", func() bool { return share(6, 3, one, two) })
			if c.name == "cooperative" && one.gained != 6 {
				t.Errorf("the first member was assigned %d partitions, want the 6 that were new to it", one.gained)
			}
			three := newMember(t, b, c.name, topic, kgo.Balancers(c.balancer))
			testkit.Eventually(t, 20*time.Second, "three members to share", func() bool { return share(6, 2, one, two, three) })
			two.leave()
			testkit.Eventually(t, 20*time.Second, "the two that are left to share", func() bool { return share(6, 3, one, three) })
			fill(t, b, topic, 300, 300)
			testkit.Eventually(t, 20*time.Second, "every record to be committed", func() bool { return committedOffsets(t, b.address(), c.name, topic) == 600 })
			one.leave()
			three.leave()
			late := newMember(t, b, c.name, topic, kgo.Balancers(c.balancer))
			testkit.Eventually(t, 20*time.Second, "a late member to own all", func() bool { return share(6, 6, late) })
			fill(t, b, topic, 600, 6)
			testkit.Eventually(t, 20*time.Second, "the late member to read the new records", func() bool { return late.records() == 6 })
		})
	}
}

func TestAStaticMemberThatComesBackKeepsItsPartitions(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("static", 4)
	one := newMember(t, b, "static", "static", kgo.InstanceID("one"), kgo.Balancers(kgo.RangeBalancer()))
	two := newMember(t, b, "static", "static", kgo.InstanceID("two"), kgo.Balancers(kgo.RangeBalancer()))
	testkit.Eventually(t, 20*time.Second, "two members to share", func() bool { return share(4, 2, one, two) })
	_, generation := two.client.GroupMetadata()
	one.leave() // a static member sends no LeaveGroup
	again := newMember(t, b, "static", "static", kgo.InstanceID("one"), kgo.Balancers(kgo.RangeBalancer()))
	testkit.Eventually(t, 20*time.Second, "the member to be back", func() bool { return share(4, 2, again, two) })
	if _, now := two.client.GroupMetadata(); now != generation {
		t.Errorf("generation %d became %d: it rebalanced", generation, now)
	}
}

func TestAKilledMemberIsRemovedAfterItsSession(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("killed", 4)
	fill(t, b, "killed", 0, 40)
	one := newMember(t, b, "killed", "killed", kgo.Balancers(kgo.RangeBalancer()))
	victim := exec.Command("kcat", "-G", "killed", "-b", b.address(), "-X", "session.timeout.ms=6000", "-X", "auto.offset.reset=earliest",
		"-X", "partition.assignment.strategy=range", "-q", "killed")
	p, err := testkit.Start("kcat", victim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	testkit.Eventually(t, 30*time.Second, "kcat to share", func() bool { return len(one.partitions()) == 2 })
	p.Kill()
	testkit.Eventually(t, 30*time.Second, "the other member to own all", func() bool { return share(4, 4, one) })
}

func TestOffsetsAndGroupsOutliveTheBroker(t *testing.T) {
	for _, how := range []string{"stopped", "killed"} {
		t.Run(how, func(t *testing.T) {
			b := startBroker(t, options{})
			b.createTopic("kept", 3)
			fill(t, b, "kept", 0, 90)
			m := newMember(t, b, "kept", "kept")
			testkit.Eventually(t, 20*time.Second, "every record to be committed", func() bool { return committedOffsets(t, b.address(), "kept", "kept") == 90 })
			_, generation := m.client.GroupMetadata()
			if how == "stopped" {
				b.stop()
			} else {
				b.Kill()
			}
			b.start()
			testkit.Eventually(t, 20*time.Second, "the offsets to be loaded", func() bool { return committedOffsets(t, b.address(), "kept", "kept") == 90 })
			fill(t, b, "kept", 90, 30)
			testkit.Eventually(t, 20*time.Second, "the member to continue", func() bool { return committedOffsets(t, b.address(), "kept", "kept") == 120 })
			if _, now := m.client.GroupMetadata(); now != generation {
				t.Logf("generation %d became %d", generation, now)
			}
			if m.records() != 120 {
				t.Errorf("%d records, want 120", m.records())
			}
		})
	}
}

func TestKcatReadsInAGroup(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("kcat-group", 3)
	fill(t, b, "kcat-group", 0, 60)
	read := func() []string {
		out, errs, code := testkit.Run(t, 60*time.Second, "", exec.Command("kcat", "-G", "kcat-group", "-b", b.address(), "-X", "auto.offset.reset=earliest", "-e", "-q", "-f", "%p:%s\n", "kcat-group"))
		if code != 0 {
			t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
		}
		return strings.Fields(out)
	}
	if got := read(); len(got) != 60 {
		t.Errorf("read %d records, want 60", len(got))
	}
	fill(t, b, "kcat-group", 60, 9)
	if got := read(); len(got) != 9 {
		t.Errorf("read %d records, want the 9 new ones", len(got))
	}
}

func TestKafkaPythonReadsInAGroup(t *testing.T) {
	b := startBroker(t, options{})
	for i, c := range []struct{ venv, version string }{
		{"python-kafka-2.0.2", ""}, {"python-kafka-2.0.2", "0.9"}, {"python-kafka-2.0.2", "0.10"}, {"python-kafka-3.0.12", ""},
	} {
		t.Run(c.venv+c.version, func(t *testing.T) {
			topic := fmt.Sprint("python-", i)
			b.createTopic(topic, 3)
			fill(t, b, topic, 0, 60)
			args := []string{filepath.Join(testkit.Root(), "integration/testdata/subscribe.py"), b.address(), topic, topic, "60"}
			if c.version != "" {
				args = append(args, c.version)
			}
			out, errs, code := testkit.Run(t, 60*time.Second, "", exec.Command(filepath.Join(cached(t, c.venv), "bin/python"), args...))
			if code != 0 || !strings.Contains(out, "ok 60") {
				t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
			}
			if got := committedOffsets(t, b.address(), topic, topic); got != 60 {
				t.Errorf("committed %d, want 60", got)
			}
		})
	}
}

// Kafka's console consumer subscribes to the topic if it is used as in the tutorials.
func TestTheRealConsoleConsumerSubscribes(t *testing.T) {
	b := startBroker(t, options{})
	real := testkit.RealKafka(t, "3.9.1")
	b.createTopic("java-group", 3)
	fill(t, b, "java-group", 0, 30)
	out, errs, code := real.Run(t, "org.apache.kafka.tools.consumer.ConsoleConsumer", append(b.bootstrap(), "--topic", "java-group", "--from-beginning", "--max-messages", "30")...)
	if code != 0 || strings.Count(out, "\n") != 30 || strings.Contains(errs, "ERROR") {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	for n, more := range []int{30, 6} {
		if n > 0 {
			fill(t, b, "java-group", 30, more)
		}
		out, errs, code = real.Run(t, "org.apache.kafka.tools.consumer.ConsoleConsumer", append(b.bootstrap(), "--topic", "java-group", "--group", "java",
			"--from-beginning", "--max-messages", fmt.Sprint(more))...)
		if code != 0 || strings.Count(out, "\n") != more || strings.Contains(errs, "ERROR") {
			t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
		}
	}
	out, errs, code = real.Run(t, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", append(b.bootstrap(), "--describe", "--group", "java")...)
	if code != 0 || strings.Count(out, "java-group") != 3 {
		t.Errorf("describe: exit code %d\n%s\n%s", code, out, errs)
	}
}

// Our console consumer continues where the group's last consumer stopped: after a number of
// messages, after a time without messages, and after a signal.
func TestOurConsoleConsumerReadsInAGroup(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("console", 3)
	fill(t, b, "console", 0, 30)
	seen := map[string]bool{}
	read := func(n int, args ...string) {
		t.Helper()
		out := must(t, "kafka-console-consumer", append(append(b.bootstrap(), "--topic", "console", "--group", "console"), args...)...)
		lines := strings.Fields(out)
		if len(lines) != n {
			t.Errorf("%v: %d lines, want %d", args, len(lines), n)
		}
		for _, l := range lines {
			if seen[l] {
				t.Errorf("%v: %s was printed twice", args, l)
			}
			seen[l] = true
		}
	}
	read(7, "--from-beginning", "--max-messages", "7")
	read(23, "--from-beginning", "--timeout-ms", "4000")
	fill(t, b, "console", 30, 9)
	read(9, "--timeout-ms", "4000")
	if got := committedOffsets(t, b.address(), "console", "console"); got != 39 {
		t.Errorf("committed %d, want 39", got)
	}
	// Without --from-beginning a new group starts at the end. When the consumer is stopped by a
	// signal, it has committed what it printed.
	p, err := testkit.Start("console consumer", script("kafka-console-consumer", append(b.bootstrap(), "--include", "conso.*", "--group", "late")...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	sent := 39
	testkit.Eventually(t, 30*time.Second, "the late consumer to print", func() bool {
		fill(t, b, "console", sent, 3)
		sent += 3
		return strings.Contains(p.Output(), "r")
	})
	if !p.Stop(20*time.Second) || strings.Contains(p.Output(), "r38") {
		t.Errorf("it did not stop, or printed records from before its start:\n%s", p.Output())
	}
	printed := strings.Count(p.Output(), "\nr")
	if strings.HasPrefix(p.Output(), "r") {
		printed++
	}
	if got := committedOffsets(t, b.address(), "late", "console"); got < int64(printed) {
		t.Errorf("committed %d, printed %d", got, printed)
	}
}

// Members in three languages share the partitions of one group.
func TestGroupsOfMixedLanguages(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("mixed", 6)
	one := newMember(t, b, "mixed", "mixed", kgo.Balancers(kgo.RangeBalancer()))
	testkit.Eventually(t, 20*time.Second, "one member to own all", func() bool { return share(6, 6, one) })
	kcat, err := testkit.Start("kcat", exec.Command("kcat", "-G", "mixed", "-b", b.address(), "-X", "partition.assignment.strategy=range", "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000", "-u", "-q", "-f", "%p:%s\n", "mixed"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kcat.Kill)
	testkit.Eventually(t, 30*time.Second, "kcat to share", func() bool { return share(3, 3, one) })
	java, err := testkit.Start("java", testkit.RealKafka(t, "3.9.1").Command(t, "-Xmx256m", "org.apache.kafka.tools.consumer.ConsoleConsumer",
		append(b.bootstrap(), "--topic", "mixed", "--group", "mixed", "--from-beginning", "--property", "print.partition=true")...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(java.Kill)
	testkit.Eventually(t, 60*time.Second, "the Java consumer to share", func() bool { return share(2, 2, one) })
	fill(t, b, "mixed", 0, 60)
	testkit.Eventually(t, 30*time.Second, "every record to be read once", func() bool {
		return one.records() > 0 && one.records()+strings.Count(kcat.Output(), ":r")+strings.Count(java.Output(), "Partition:") == 60
	})
	kcat.Kill()
	java.Stop(20 * time.Second)
	testkit.Eventually(t, 60*time.Second, "the last member to own all", func() bool { return share(6, 6, one) })
}

// The coordinator's metrics count the group's members, commits and loads.
func TestMetricsOfGroups(t *testing.T) {
	port := testkit.FreePort(t)
	b := startBroker(t, options{extra: []string{fmt.Sprintf("monedula.metrics.listener=127.0.0.1:%d", port)}})
	b.createTopic("measured", 3)
	fill(t, b, "measured", 0, 30)
	m := newMember(t, b, "measured", "measured")
	testkit.Eventually(t, 20*time.Second, "every record to be committed", func() bool { return committedOffsets(t, b.address(), "measured", "measured") == 30 })
	coordinator := "kafka_server_group_coordinator_metrics_"
	manager := "kafka_coordinator_group_groupmetadatamanager_"
	got := scrape(t, port)
	for series, want := range map[string]float64{manager + "numgroups": 1, manager + "numgroupsstable": 1, manager + "numoffsets": 3, coordinator + "group_completed_rebalance_count": 1,
		coordinator + "offset_deletion_count": 0, coordinator + "offset_expiration_count": 0} {
		if value, there := got[series]; !there || value != want {
			t.Errorf("%s is %v, want %v", series, value, want)
		}
	}
	if n := got[coordinator+"offset_commit_count"]; n < 3 {
		t.Errorf("%v offset commits", n)
	}
	if most, average := got[coordinator+"partition_load_time_max"], got[coordinator+"partition_load_time_avg"]; !(most >= 0) || !(average >= 0 && average <= most+1) {
		t.Errorf("loads took at most %v and on average %v", most, average)
	}
	m.leave()
	testkit.Eventually(t, 10*time.Second, "the group to be empty", func() bool { return scrape(t, port)[manager+"numgroupsempty"] == 1 })
	must(t, "kafka-topics", append(b.bootstrap(), "--delete", "--topic", "measured")...)
	testkit.Eventually(t, 10*time.Second, "the topic's offsets to go", func() bool { return scrape(t, port)[manager+"numoffsets"] == 0 })
}
