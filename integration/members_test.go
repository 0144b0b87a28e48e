package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
)

// member is one broker of a cluster, ours or a real one.
type member struct {
	t             testing.TB
	id            int32
	kind          string // "ours", or the release of a real one
	dir           string // log.dirs
	ours          *broker
	real          *testkit.RealBroker
	earlierOutput string // the output of its earlier processes
}

func (m *member) process() *testkit.Process {
	if m.ours != nil {
		return m.ours.Process
	}
	return m.real.Process
}

func (m *member) address() string {
	if m.ours != nil {
		return m.ours.address()
	}
	return m.real.Address()
}

func (m *member) String() string { return fmt.Sprintf("broker %d (%s)", m.id, m.kind) }

// stop stops the broker cleanly. Its controlled shutdown sends up to three requests, waits up to 30
// seconds for each, and pauses five seconds in between. It needs all that time if the controller is
// cut off from ZooKeeper.
func (m *member) stop() {
	m.t.Helper()
	if !m.process().Stop(150 * time.Second) {
		m.t.Fatalf("%s did not stop within two and a half minutes of SIGTERM; its output:\n%s", m, ending(m.process().Output()))
	}
}

// cluster is a set of brokers on one ZooKeeper path.
type cluster struct {
	t         testing.TB
	zookeeper string
	tree      *tree
	members   []*member
	dumped    []comparison // compared later, in one run of the dump tool per member
}

// comparison is a partition whose logs were compared on some members.
type comparison struct {
	topic     string
	partition int32
	on        []*member
}

// newCluster starts one broker for each kind, with ids from 1. extra are additional properties of
// all brokers.
func newCluster(t testing.TB, extra []string, kinds ...string) *cluster {
	t.Helper()
	return newClusterOn(t, testkit.ZooKeeper(t), extra, kinds...)
}

// newClusterOn is like newCluster, with the given zookeeper.connect.
func newClusterOn(t testing.TB, zookeeper string, extra []string, kinds ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, zookeeper: zookeeper}
	c.tree = openTree(t, c.zookeeper)
	for i, kind := range kinds {
		c.add(kind, inOneOfTwoRacks(extra, i+1))
	}
	c.checkAtEnd()
	return c
}

// add starts a broker with the next id.
func (c *cluster) add(kind string, extra []string) *member {
	c.t.Helper()
	id := len(c.members) + 1
	m := &member{t: c.t, id: int32(id), kind: kind}
	if kind == "ours" {
		m.ours = documentedBroker(c.t, id, c.zookeeper, extra)
		m.dir = m.ours.dir
		m.ours.start()
	} else {
		m.real = testkit.RealKafka(c.t, kind).Broker(c.t, id, c.zookeeper, "", extra...)
		m.dir = m.real.Dir
	}
	c.members = append(c.members, m)
	return m
}

// checkAtEnd registers a check of the members' output for the end of the test. The output is kept
// if the test fails.
func (c *cluster) checkAtEnd() {
	c.t.Cleanup(func() {
		c.checkSane()
		c.showLogs()
	})
}

// inOneOfTwoRacks replaces {rack} in properties by the broker's rack, "odd" or "even".
func inOneOfTwoRacks(extra []string, id int) []string {
	out := slices.Clone(extra)
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], "{rack}", rackOf(int32(id)))
	}
	return out
}

func rackOf(id int32) string { return []string{"even", "odd"}[id%2] }

// documentedBroker sets up a broker as the documentation describes: it edits the id, the listener,
// the log directory and the ZooKeeper address in a copy of server.properties.
func documentedBroker(t testing.TB, id int, zookeeper string, extra []string) *broker {
	t.Helper()
	b := &broker{t: t, id: id, port: testkit.FreePort(t), dir: filepath.Join(t.TempDir(), fmt.Sprintf("kafka-logs-%d", id)), zookeeper: zookeeper, logs: t.TempDir()}
	b.document(extra)
	return b
}

// document writes a broker's properties as described in the comment of documentedBroker.
func (b *broker) document(extra []string) {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(), "config/server.properties"))
	if err != nil {
		b.t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for start, line := range map[string]string{
		"broker.id=":         fmt.Sprintf("broker.id=%d", b.id),
		"#listeners=":        fmt.Sprintf("listeners=PLAINTEXT://%s:%d", b.host(), b.port),
		"log.dirs=":          "log.dirs=" + b.dir,
		"zookeeper.connect=": "zookeeper.connect=" + b.zookeeper,
	} {
		at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, start) })
		if at < 0 {
			b.t.Fatalf("config/server.properties has no line %s", start)
		}
		lines[at] = line
	}
	b.file = testkit.WriteFile(b.t, fmt.Sprintf("server-%d.properties", b.id), strings.Join(append(lines, extra...), "\n")+"\n")
}

// checkSane fails the test if one of our brokers reported a panic or a data race.
func (c *cluster) checkSane() {
	for _, m := range c.members {
		for _, bad := range []string{"panic: ", "panicked", "DATA RACE"} {
			if at := strings.Index(m.earlierOutput+m.process().Output(), bad); at >= 0 && m.ours != nil {
				said := (m.earlierOutput + m.process().Output())[max(0, at-300):]
				c.t.Errorf("%s printed %q:\n%s", m, bad, said[:min(len(said), 1500)])
			}
		}
	}
}

// showLogs writes the output of the brokers to files if the test failed.
func (c *cluster) showLogs() {
	if !c.t.Failed() {
		return
	}
	dir, err := os.MkdirTemp("", "monedula-failed-")
	if err != nil {
		return
	}
	for _, m := range c.members {
		_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("broker-%d-%s.log", m.id, m.kind)), []byte(m.earlierOutput+m.process().Output()), 0o644)
	}
	c.t.Logf("the output of the brokers is in %s", dir)
}

func ending(s string) string { return s[max(0, len(s)-4000):] }

// timedLog returns a function that logs a line with the time since timedLog was called.
func timedLog(t testing.TB) func(format string, args ...any) {
	began := time.Now()
	return func(format string, args ...any) {
		t.Helper()
		t.Logf("%5.1f s: %s", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
}

func (c *cluster) addresses() []string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.address())
	}
	return all
}

func (c *cluster) member(id int32) *member {
	c.t.Helper()
	for _, m := range c.members {
		if m.id == id {
			return m
		}
	}
	c.t.Fatalf("there is no broker %d", id)
	return nil
}

// others returns all members but one.
func (c *cluster) others(than *member) []*member {
	return slices.DeleteFunc(slices.Clone(c.members), func(m *member) bool { return m == than })
}

// controller waits until there is a controller, and returns it.
func (c *cluster) controller() *member {
	c.t.Helper()
	id := int32(-1)
	testkit.Eventually(c.t, 30*time.Second, "a controller", func() bool {
		id = c.controllerID()
		return id >= 0
	})
	return c.member(id)
}

func (c *cluster) controllerID() int32 {
	data, there := c.tree.get("/controller")
	if !there {
		return -1
	}
	var node struct {
		BrokerID int32 `json:"brokerid"`
	}
	if err := json.Unmarshal([]byte(data), &node); err != nil {
		c.t.Fatalf("/controller: %v", err)
	}
	return node.BrokerID
}

// makeController makes a member win a controller election by pausing the others, for less than
// their sessions last. On a busy machine this may take more than one election. It then waits until
// all members know the new controller.
func (c *cluster) makeController(m *member) {
	c.t.Helper()
	for try := 0; c.controller() != m; try++ {
		if try == 5 {
			c.t.Fatalf("%s did not become the controller in %d elections", m, try)
		}
		c.electAlone(m)
	}
	c.awaitMetadata("the controller "+m.String(), func(resp *kmsg.MetadataResponse) bool {
		return resp.ControllerID == m.id && len(resp.Brokers) == len(c.members)
	})
}

// electAlone starts an election during which all members but one are paused.
func (c *cluster) electAlone(m *member) {
	c.t.Helper()
	for _, other := range c.others(m) {
		other.process().Signal(sigStop)
		defer other.process().Signal(sigCont)
	}
	if err := c.tree.conn.Delete(c.tree.path("/controller"), -1); err != nil {
		c.t.Fatalf("making %s the controller: %v", m, err)
	}
	within(2*time.Second, func() bool { return c.controllerID() == m.id })
}

// awaitMetadata waits until the metadata of every member satisfies a condition.
func (c *cluster) awaitMetadata(what string, holds func(*kmsg.MetadataResponse) bool) {
	c.t.Helper()
	for _, m := range c.members {
		c.awaitMetadataOn(m, what, holds)
	}
}

// awaitMetadataOn waits until the metadata of one member satisfies a condition.
func (c *cluster) awaitMetadataOn(m *member, what string, holds func(*kmsg.MetadataResponse) bool) {
	c.t.Helper()
	l := link(c.t, m.address())
	defer l.Close()
	testkit.Eventually(c.t, 60*time.Second, fmt.Sprintf("%s in the metadata of %s", what, m), func() bool {
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(9)
		resp, err := l.Do(background(), req)
		return err == nil && holds(resp.(*kmsg.MetadataResponse))
	})
}

// partitionState is a partition's state in ZooKeeper.
type partitionState struct {
	Leader int32   `json:"leader"`
	Epoch  int32   `json:"leader_epoch"`
	ISR    []int32 `json:"isr"`
}

func (c *cluster) state(topic string, partition int32) (s partitionState, there bool) {
	c.t.Helper()
	data, there := c.tree.get(fmt.Sprintf("/brokers/topics/%s/partitions/%d/state", topic, partition))
	if there {
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			c.t.Fatalf("state of %s-%d: %v", topic, partition, err)
		}
	}
	return s, there
}

// awaitState waits until a partition's state in ZooKeeper satisfies a condition.
func (c *cluster) awaitState(topic string, partition int32, what string, holds func(partitionState) bool) partitionState {
	c.t.Helper()
	var s partitionState
	if !within(time.Minute, func() (there bool) {
		s, there = c.state(topic, partition)
		return there && holds(s)
	}) {
		c.t.Fatalf("not within a minute: %s of %s-%d; it has %+v", what, topic, partition, s)
	}
	return s
}

// within checks a condition repeatedly until it holds. It returns false if it does not hold within
// limit.
func within(limit time.Duration, condition func() bool) bool {
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}

// awaitInSync waits until exactly these brokers are in sync.
func (c *cluster) awaitInSync(topic string, partitions int32, brokers ...int32) {
	c.t.Helper()
	want := slices.Sorted(slices.Values(brokers))
	for p := range partitions {
		c.awaitState(topic, p, fmt.Sprintf("the in-sync replicas %v", want), func(s partitionState) bool {
			return s.Leader >= 0 && slices.Equal(slices.Sorted(slices.Values(s.ISR)), want)
		})
	}
}

func (c *cluster) ids() []int32 {
	var ids []int32
	for _, m := range c.members {
		ids = append(ids, m.id)
	}
	return ids
}

// admin runs f with a client of the whole cluster.
func (c *cluster) admin(f func(ctx context.Context, client *kgo.Client) error) {
	c.t.Helper()
	client, err := kgo.NewClient(c.patient()...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 60*time.Second)
	defer cancel()
	if err := f(ctx, client); err != nil {
		c.t.Fatal(err)
	}
}

// createTopic creates a topic with the given replicas of each partition, the preferred leader
// first, and waits until every member knows all leaders.
func (c *cluster) createTopic(topic string, replicas [][]int32, configs ...string) {
	c.t.Helper()
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, -1, -1
		for p, r := range replicas {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = int32(p), r
			rt.ReplicaAssignment = append(rt.ReplicaAssignment, a)
		}
		for _, config := range configs {
			key, value, _ := strings.Cut(config, "=")
			rc := kmsg.NewCreateTopicsRequestTopicConfig()
			rc.Name, rc.Value = key, &value
			rt.Configs = append(rt.Configs, rc)
		}
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Topics, req.TimeoutMillis = append(req.Topics, rt), 30000
		resp, err := req.RequestWith(ctx, client)
		if err != nil {
			return fmt.Errorf("create %s: %w", topic, err)
		}
		if code := resp.Topics[0].ErrorCode; code != 0 {
			return fmt.Errorf("create %s: error %d", topic, code)
		}
		return nil
	})
	c.awaitMetadata("the leaders of "+topic, func(resp *kmsg.MetadataResponse) bool {
		for _, rt := range resp.Topics {
			if *rt.Topic == topic && len(rt.Partitions) == len(replicas) {
				return !slices.ContainsFunc(rt.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Leader < 0 })
			}
		}
		return false
	})
}

// reassign moves partition 0 of a topic to other replicas and waits until the move is complete.
func (c *cluster) reassign(topic string, replicas ...int32) {
	c.t.Helper()
	c.admin(func(ctx context.Context, client *kgo.Client) error {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign(topic, 0, replicas)
		resp, err := kadm.NewClient(client).AlterPartitionAssignments(ctx, req)
		if err == nil {
			err = resp.Error()
		}
		if err != nil {
			return fmt.Errorf("reassign %s to %v: %w", topic, replicas, err)
		}
		return nil
	})
	testkit.Eventually(c.t, 60*time.Second, fmt.Sprintf("%s-0 on %v alone", topic, replicas), func() bool {
		data, _ := c.tree.get("/brokers/topics/" + topic)
		var node struct {
			Partitions map[string][]int32 `json:"partitions"`
			Adding     map[string][]int32 `json:"adding_replicas"`
			Removing   map[string][]int32 `json:"removing_replicas"`
		}
		if err := json.Unmarshal([]byte(data), &node); err != nil {
			c.t.Fatalf("/brokers/topics/%s: %v", topic, err)
		}
		return slices.Equal(node.Partitions["0"], replicas) && len(node.Adding["0"])+len(node.Removing["0"]) == 0
	})
}

// restart starts a stopped broker again. A real broker exits if its old registration still exists,
// so restart waits until that is gone.
func (c *cluster) restart(m *member) {
	c.t.Helper()
	m.earlierOutput += m.process().Output() + "\n"
	if m.ours != nil {
		m.ours.start()
		return
	}
	c.tree.awaitGone(fmt.Sprintf("/brokers/ids/%d", m.id), 60*time.Second)
	m.real.Start()
}

// awaitIdentical waits until the logs of a topic have the same bytes on all replicas; segments may
// end at different places. compareDumps later compares their dumps too.
func (c *cluster) awaitIdentical(topic string, partitions int32, on ...*member) {
	c.t.Helper()
	c.awaitSameBytes(topic, partitions, on...)
	for p := range partitions {
		c.dumped = append(c.dumped, comparison{topic, p, on})
	}
}

// awaitSameBytes is like awaitIdentical, but compareDumps does not compare these logs later.
func (c *cluster) awaitSameBytes(topic string, partitions int32, on ...*member) {
	c.t.Helper()
	for p := range partitions {
		var difference string
		if !within(30*time.Second, func() bool {
			first := logBytes(c.t, on[0].dir, topic, p)
			difference = ""
			for _, m := range on[1:] {
				if other := logBytes(c.t, m.dir, topic, p); !bytes.Equal(first, other) {
					difference = fmt.Sprintf("%s has %d bytes, %s has %d; they differ at byte %d", on[0], len(first), m, len(other), differAt(first, other))
				}
			}
			return difference == "" && len(first) > 0
		}) {
			c.t.Errorf("the logs of %s-%d differ: %s", topic, p, difference)
		}
	}
}

func differAt(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// logFiles returns the .log files of a partition in the order of their offsets, from whichever of
// the log directories holds them.
func logFiles(t testing.TB, dirs, topic string, partition int32) []string {
	t.Helper()
	var files []string
	for _, dir := range strings.Split(dirs, ",") {
		found, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("%s-%d", topic, partition), "*.log"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	sort.Slice(files, func(i, j int) bool { return filepath.Base(files[i]) < filepath.Base(files[j]) })
	return files
}

func logBytes(t testing.TB, dir, topic string, partition int32) []byte {
	t.Helper()
	var all []byte
	for _, file := range logFiles(t, dir, topic, partition) {
		data, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// compareDumps dumps every log that awaitIdentical compared, on every member, with the real
// DumpLogSegments, and compares the dumps.
func (c *cluster) compareDumps() {
	c.t.Helper()
	dumps := map[*member]map[string][]string{}
	for _, m := range c.members {
		dumps[m] = c.dump(m)
	}
	for _, d := range c.dumped {
		partition := fmt.Sprintf("%s-%d", d.topic, d.partition)
		first := dumps[d.on[0]][partition]
		if len(first) == 0 {
			c.t.Errorf("the dump of %s of %s is empty", partition, d.on[0])
		}
		for _, m := range d.on[1:] {
			if difference := firstDifference(dumps[m][partition], first); difference != "" {
				c.t.Errorf("the dumps of %s of %s and of %s differ: %s", partition, m, d.on[0], difference)
			}
		}
	}
}

// dump returns the tool's lines for a member's batches and records, by partition, without their
// positions in files.
func (c *cluster) dump(m *member) map[string][]string {
	c.t.Helper()
	var files []string
	for _, d := range c.dumped {
		if slices.Contains(d.on, m) {
			files = append(files, logFiles(c.t, m.dir, d.topic, d.partition)...)
		}
	}
	out, errs, code := testkit.RealKafka(c.t, "3.9.1").Run(c.t, "kafka.tools.DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", strings.Join(files, ","))
	if code != 0 || errs != "" || strings.Contains(out, "isvalid: false") {
		c.t.Errorf("DumpLogSegments of %s: exit code %d\n%s", m, code, errs)
	}
	lines := map[string][]string{}
	partition := ""
	for _, line := range strings.Split(out, "\n") {
		if file, found := strings.CutPrefix(line, "Dumping "); found {
			partition = filepath.Base(filepath.Dir(file))
		}
		if !strings.HasPrefix(line, "baseOffset:") && !strings.HasPrefix(line, "| offset:") {
			continue
		}
		if before, after, found := strings.Cut(line, " position: "); found {
			_, after, _ = strings.Cut(after, " ")
			line = before + " " + after
		}
		lines[partition] = append(lines[partition], line)
	}
	return lines
}

// checkHealthy fails the test if a partition of any topic has no leader or a replica out of sync,
// or if the members disagree about it.
func (c *cluster) checkHealthy() {
	c.t.Helper()
	c.awaitMetadata("no under-replicated partition", func(resp *kmsg.MetadataResponse) bool {
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				s, _ := c.state(*topic.Topic, p.Partition)
				if p.Leader < 0 || p.Leader != s.Leader || p.LeaderEpoch != s.Epoch || len(p.ISR) != len(p.Replicas) || len(s.ISR) != len(p.Replicas) {
					return false
				}
			}
		}
		return true
	})
}
