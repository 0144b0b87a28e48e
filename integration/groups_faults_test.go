package integration

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// reader is a member of a group, in any client language.
type reader interface {
	values() []string // the values read so far
	stop()            // leaves the group and then stops
}

func (m *consumerMember) values() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for record := range m.seen {
		_, value, _ := strings.Cut(record, ":")
		all = append(all, value)
	}
	return all
}

func (m *consumerMember) stop() { m.leave() }

// processReader is a client of another language that prints the values it reads.
type processReader struct{ *testkit.Process }

var loadValue = regexp.MustCompile(`(?m)^\d+/\d+/x*$`)

func (p processReader) values() []string { return loadValue.FindAllString(p.Output(), -1) }
func (p processReader) stop()            { p.Stop(20 * time.Second) }

func startReader(t testing.TB, name string, cmd *exec.Cmd) processReader {
	t.Helper()
	p, err := testkit.Start(name, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s: %s", name, loadValue.ReplaceAllString(ending(p.Output()), "."))
		}
	})
	return processReader{p}
}

// goReader is a member run by kafka-go.
type goReader struct {
	r    *kafka.Reader
	end  context.CancelFunc
	done chan struct{}
	mu   sync.Mutex
	read []string // guarded by mu
}

func newGoReader(t testing.TB, seeds []string, group, topic string) *goReader {
	t.Helper()
	ctx, cancel := context.WithCancel(background())
	g := &goReader{end: cancel, done: make(chan struct{}), r: kafka.NewReader(kafka.ReaderConfig{Brokers: seeds, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
		GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}}, MaxWait: 100 * time.Millisecond, CommitInterval: 200 * time.Millisecond,
		HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 10 * time.Second, JoinGroupBackoff: 200 * time.Millisecond})}
	go func() {
		defer close(g.done)
		for ctx.Err() == nil {
			m, err := g.r.ReadMessage(ctx)
			if err != nil {
				continue
			}
			g.mu.Lock()
			g.read = append(g.read, string(m.Value))
			g.mu.Unlock()
		}
	}()
	t.Cleanup(func() { cancel(); g.r.Close() })
	return g
}

func (g *goReader) values() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.read)
}

func (g *goReader) stop() {
	g.end()
	<-g.done
	g.r.Close()
}

// groupsUnderLoad is a cluster with a topic "load" that groups of all kinds of clients read while
// it is written.
type groupsUnderLoad struct {
	*cluster
	load    *load
	readers map[string][]reader // by group, including those that have left
	admin   *kadm.Client
}

const offsetsPartitions = 4

// offsetsProperties place the offsets topic on all three brokers.
var offsetsProperties = []string{"offsets.topic.replication.factor=3", fmt.Sprint("offsets.topic.num.partitions=", offsetsPartitions), "group.initial.rebalance.delay.ms=0"}

func startGroupsUnderLoad(t *testing.T, perSecond int, extra []string, kinds ...string) *groupsUnderLoad {
	c := newCluster(t, extra, kinds...)
	replicas := [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 3, 2}}
	c.createTopic("load", replicas, "min.insync.replicas=2", "segment.bytes=1048576")
	c.awaitInSync("load", clusterPartitions, c.ids()...)
	client, err := kgo.NewClient(c.patient()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	g := &groupsUnderLoad{cluster: c, readers: map[string][]reader{}, admin: kadm.NewClient(client)}
	g.load = c.startLoad(t, "load", clusterPartitions, perSecond)
	return g
}

func (g *groupsUnderLoad) join(group string, r reader) {
	g.readers[group] = append(g.readers[group], r)
}

// franz adds a franz-go member.
func (g *groupsUnderLoad) franz(t *testing.T, group string, opts ...kgo.Opt) *consumerMember {
	m := newMemberAt(t, g.addresses(), group, "load", g.patient(append([]kgo.Opt{kgo.SessionTimeout(10 * time.Second)}, opts...)...)...)
	g.join(group, m)
	return m
}

// languages adds one member of each language whose subscriptions the others understand; all support
// "range". kafka-go is left out: its subscription lacks a field of its version, and kafka-python
// fails on it as the group's leader.
func (g *groupsUnderLoad) languages(t *testing.T, group string) (kcat processReader) {
	seeds := strings.Join(g.addresses(), ",")
	kcat = g.kcat(t, group)
	g.join(group, kcat)
	g.join(group, startReader(t, "kafka-python", exec.Command(filepath.Join(cached(t, "python-kafka-3.0.12"), "bin/python"),
		filepath.Join(testkit.Root(), "integration/testdata/group_member.py"), seeds, "load", group)))
	g.join(group, startReader(t, "Java", testkit.RealKafka(t, "3.9.1").Command(t, "-Xmx256m", "org.apache.kafka.tools.consumer.ConsoleConsumer",
		"--bootstrap-server", seeds, "--topic", "load", "--group", group, "--from-beginning", "--consumer-property", "auto.commit.interval.ms=500",
		"--consumer-property", "session.timeout.ms=10000", "--consumer-property", "metadata.max.age.ms=2000")))
	return kcat
}

func (g *groupsUnderLoad) kcat(t *testing.T, group string) processReader {
	return startReader(t, "kcat", exec.Command("kcat", "-G", group, "-b", strings.Join(g.addresses(), ","), "-X", "partition.assignment.strategy=range",
		"-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=10000", "-X", "auto.commit.interval.ms=500", "-u", "-q", "-f", "%s\n", "load"))
}

// lag returns the number of records of the topic that the group has not committed, or -1 if no
// broker answers now.
func (g *groupsUnderLoad) lag(group string) int64 {
	ctx, cancel := context.WithTimeout(background(), 10*time.Second)
	defer cancel()
	offsets, err := g.admin.FetchOffsets(ctx, group)
	if err != nil || offsets.Error() != nil {
		return -1
	}
	ends, err := g.admin.ListEndOffsets(ctx, "load")
	if err != nil || ends.Error() != nil {
		return -1
	}
	behind := int64(0)
	ends.Each(func(end kadm.ListedOffset) {
		at, _ := offsets.Lookup("load", end.Partition)
		behind += end.Offset - max(0, at.At)
	})
	return behind
}

// awaitMembers waits until the group is stable with the given number of members, which read all
// partitions.
func (g *groupsUnderLoad) awaitMembers(group string, members int) {
	g.t.Helper()
	var last string
	if !within(2*time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(background(), 10*time.Second)
		defer cancel()
		described, err := g.admin.DescribeGroups(ctx, group)
		if err != nil || described.Error() != nil {
			last = fmt.Sprint(err)
			return false
		}
		d := described[group]
		last = fmt.Sprintf("%s with %d members", d.State, len(d.Members))
		owned := map[int32]bool{}
		for _, m := range d.Members {
			if a, ok := m.Assigned.AsConsumer(); ok {
				for _, topic := range a.Topics {
					for _, p := range topic.Partitions {
						owned[p] = true
					}
				}
			}
		}
		return d.State == "Stable" && len(d.Members) == members && len(owned) == clusterPartitions
	}) {
		g.t.Fatalf("group %s did not become stable with %d members: %s", group, members, last)
	}
}

// awaitProgress waits until the load and every group make progress.
func (g *groupsUnderLoad) awaitProgress(what string) {
	g.t.Helper()
	began := time.Now()
	g.load.awaitProgress(time.Minute)
	for _, group := range slices.Sorted(maps.Keys(g.readers)) {
		before := 0
		for _, r := range g.readers[group] {
			before += len(r.values())
		}
		testkit.Eventually(g.t, 2*time.Minute, fmt.Sprintf("group %s to read more after %s", group, what), func() bool {
			now := 0
			for _, r := range g.readers[group] {
				now += len(r.values())
			}
			return now > before+clusterPartitions*loadInFlight
		})
	}
	g.t.Logf("%s: all made progress %.1f s later; %s", what, time.Since(began).Seconds(), g.load)
}

// coordinator returns the broker that coordinates a group.
func (g *groupsUnderLoad) coordinator(group string) *member {
	g.t.Helper()
	var found *member
	testkit.Eventually(g.t, time.Minute, "a coordinator of "+group, func() bool {
		ctx, cancel := context.WithTimeout(background(), 5*time.Second)
		defer cancel()
		for _, f := range g.admin.FindGroupCoordinators(ctx, group) {
			if f.Err == nil {
				found = g.member(f.NodeID)
			}
		}
		return found != nil
	})
	return found
}

// finish ends the load and waits until every group has committed all of it. It checks that every
// group has read every record, and that the offsets topic has a valid history.
func (g *groupsUnderLoad) finish(t *testing.T) {
	t.Helper()
	g.load.stop()
	groups := slices.Sorted(maps.Keys(g.readers))
	for _, group := range groups {
		testkit.Eventually(t, 2*time.Minute, "group "+group+" to commit all", func() bool { return g.lag(group) == 0 })
		read := map[string]bool{}
		for _, r := range g.readers[group] {
			for _, value := range r.values() {
				read[value] = true
			}
		}
		lost := 0
		for p := range int32(clusterPartitions) {
			for n, s := range g.load.sends[p] {
				if s.outcome == acknowledged && !read[valueOf(p, n)] {
					if lost++; lost < 5 {
						t.Errorf("group %s: no member has read %d/%d, offset %d", group, p, n, s.offset)
					}
				}
			}
		}
		if lost > 0 {
			t.Errorf("group %s: %d records were read by no member", group, lost)
		}
	}
	for _, group := range groups {
		for _, r := range g.readers[group] {
			r.stop()
		}
	}
	checkGroups(t, offsetsPartitions, groups, g.addresses()...)
}

// Groups of clients in five languages, of cooperative members and of static members keep reading
// while members and coordinators are killed and all brokers are restarted. Every record is read, no
// partition has two owners in one generation, and no committed offset goes back.
func TestGroupsSurviveFailuresOfMembersAndBrokers(t *testing.T) {
	all := testkit.FullMatrices()
	g := startGroupsUnderLoad(t, 100, append(quick, offsetsProperties...), "ours", "ours", "ours")
	cooperative := []kgo.Opt{kgo.Balancers(kgo.CooperativeStickyBalancer())}
	coop := []*consumerMember{g.franz(t, "coop", cooperative...), g.franz(t, "coop", cooperative...), g.franz(t, "coop", cooperative...)}
	static := []*consumerMember{g.franz(t, "static", kgo.InstanceID("0"), kgo.Balancers(kgo.RangeBalancer())), g.franz(t, "static", kgo.InstanceID("1"), kgo.Balancers(kgo.RangeBalancer()))}
	for range 2 {
		g.join("kafka-go", newGoReader(t, g.addresses(), "kafka-go", "load"))
	}
	kcat := g.languages(t, "languages")
	g.awaitMembers("coop", 3)
	g.awaitMembers("static", 2)
	g.awaitMembers("kafka-go", 2)
	g.awaitMembers("languages", 3)
	g.awaitProgress("the start")

	for i, m := range coop { // a rolling restart of members
		m.leave()
		coop[i] = g.franz(t, "coop", cooperative...)
		g.awaitMembers("coop", 3)
	}
	for i, m := range static {
		m.leave()
		static[i] = g.franz(t, "static", kgo.InstanceID(fmt.Sprint(i)), kgo.Balancers(kgo.RangeBalancer()))
		g.awaitMembers("static", 2)
	}
	kcat.Kill()
	g.awaitProgress("a rolling restart of members and a kill of one")
	g.awaitMembers("languages", 2)

	m := g.coordinator("languages")
	g.killAndRestart(m)
	g.awaitInSync("load", clusterPartitions, g.ids()...)
	g.awaitProgress("the kill of a coordinator")
	if all {
		g.killAndRestart(g.coordinator("static"))
		g.awaitInSync("load", clusterPartitions, g.ids()...)
		g.awaitProgress("the kill of another")
		g.sleepThroughSession(g.coordinator("coop"))
		g.awaitInSync("load", clusterPartitions, g.ids()...)
		g.awaitProgress("a paused coordinator")
	}
	for _, m := range g.members {
		g.stopAndRestart(m)
		g.awaitInSync("load", clusterPartitions, g.ids()...)
		if all {
			g.awaitProgress("the restart of " + m.String())
		}
	}
	g.awaitProgress("a rolling restart of brokers")
	g.awaitMembers("coop", 3)
	g.awaitMembers("static", 2)
	g.awaitMembers("kafka-go", 2)
	g.awaitMembers("languages", 2)
	g.finish(t)
}

// A hundred members that join at once share a hundred partitions, one each, and leave at once.
func TestAHundredMembersJoinAtOnce(t *testing.T) {
	const n = 100
	b := startBroker(t, options{extra: []string{"offsets.topic.num.partitions=1"}})
	b.createTopic("hundred", n)
	fill(t, b, "hundred", 0, 5*n)
	began := time.Now()
	var members []*consumerMember
	for range n {
		members = append(members, newMember(t, b, "hundred", "hundred", kgo.Balancers(kgo.RangeBalancer()), kgo.HeartbeatInterval(time.Second), kgo.SessionTimeout(30*time.Second), kgo.MetadataMinAge(time.Second)))
	}
	testkit.Eventually(t, 2*time.Minute, "a hundred members to own one partition each", func() bool { return share(n, 1, members...) })
	t.Logf("stable after %.1f s", time.Since(began).Seconds())
	testkit.Eventually(t, time.Minute, "every record to be committed", func() bool { return committedOffsets(t, b.address(), "hundred", "hundred") == 5*n })
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(m.leave)
	}
	wg.Wait()
	checkGroups(t, 1, []string{"hundred"}, b.address())
}
