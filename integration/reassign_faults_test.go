package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
)

// everyBroker returns a condition that metadata satisfies if it names all members.
func everyBroker(c *cluster) func(*kmsg.MetadataResponse) bool {
	return func(resp *kmsg.MetadataResponse) bool { return len(resp.Brokers) == len(c.members) }
}

// moveRow assigns the roles of a move: the controller, the leader of the partition, which keeps its
// replica, and the destination, which gets a replica. The controller is the follower and loses its
// replica.
type moveRow struct{ controller, leader, destination int32 }

// A running reassignment can be canceled, even when its destination is dead. It survives the death
// of the controller, obeys its throttle, and never leaves the partition without a leader, whichever
// of our brokers and the real one takes which role.
func TestReassignmentsCanBeCancelledAndNeverGetStuck(t *testing.T) {
	rows := []moveRow{{1, 3, 2}}
	if testkit.FullMatrices() {
		rows = []moveRow{{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}}
	}
	c := newCluster(t, []string{"zookeeper.session.timeout.ms=6000", "replica.lag.time.max.ms=1500",
		"controlled.shutdown.retry.backoff.ms=500", "auto.leader.rebalance.enable=false"}, "ours", "3.9.1", "ours")
	pinInternalTopics(c)
	for i, row := range rows {
		name := fmt.Sprintf("controller %s, leader %s, destination %s", c.member(row.controller), c.member(row.leader), c.member(row.destination))
		if !t.Run(name, func(t *testing.T) { playMove(t, c, row, fmt.Sprint("move-", i)) }) {
			t.Fatalf("the cluster is not used for more tests after %q failed", name)
		}
	}
}

func playMove(t *testing.T, c *cluster, row moveRow, topic string) {
	whole := c.t
	c.t, c.tree.t = t, t
	defer func() { c.t, c.tree.t = whole, whole }()
	phase := timedLog(t)
	controller, destination := c.member(row.controller), c.member(row.destination)

	c.makeController(controller)
	before, after := []int32{row.leader, row.controller}, []int32{row.leader, row.destination}
	c.createTopic(topic, [][]int32{before}, "min.insync.replicas=1")
	c.awaitInSync(topic, 1, before...)
	led := watchLeadership(t, c.zookeeper, topic)
	l := c.startLoad(t, topic, 1, 250)
	l.awaitProgress(30 * time.Second)
	m := &partitionMover{c: c, topic: topic, server: c.member(row.leader).address(),
		file: testkit.WriteFile(t, "move.json", fmt.Sprintf(`{"version":1,"partitions":[{"topic":"%s","partition":0,"replicas":[%d,%d]}]}`, topic, after[0], after[1]))}

	destination.process().Signal(sigStop)
	m.start()
	m.refusesAnother()
	m.cancel(before)
	destination.process().Signal(sigCont)
	c.awaitInSync(topic, 1, before...)
	m.awaitDeleted(destination)
	l.awaitProgress(30 * time.Second)
	phase("canceled midway")

	destination.process().Signal(sigStop)
	m.start()
	destination.process().Kill()
	c.tree.awaitGone(fmt.Sprintf("/brokers/ids/%d", destination.id), 30*time.Second)
	m.mustPrint("is still in progress.", "--verify", "--reassignment-json-file", m.file, "--preserve-throttles")
	l.awaitProgress(30 * time.Second)
	m.cancel(before)
	c.awaitInSync(topic, 1, before...)
	c.restart(destination)
	c.awaitMetadata("all brokers", everyBroker(c))
	m.awaitNoLog(destination)
	phase("canceled while its destination was dead")

	destination.process().Signal(sigStop)
	m.start()
	destination.process().Kill()
	c.tree.awaitGone(fmt.Sprintf("/brokers/ids/%d", destination.id), 30*time.Second)
	controller.process().Kill()
	testkit.Eventually(t, 60*time.Second, "another controller", func() bool { id := c.controllerID(); return id >= 0 && id != controller.id })
	m.mustPrint("is still in progress.", "--verify", "--reassignment-json-file", m.file, "--preserve-throttles")
	l.awaitProgress(30 * time.Second)
	c.restart(destination)
	m.awaitDone(after)
	l.awaitProgress(30 * time.Second)
	c.restart(controller) // it keeps its log of the partition, as with a real controller: no request asked it to delete the log
	c.awaitMetadata("all brokers", everyBroker(c))
	phase("completed after its destination and the controller died")

	playThrottledMove(c, row, topic+"-big")
	phase("throttled, canceled, throttled less and completed")

	l.stop()
	led.stop(t)
	l.verify(c.member(row.leader).address())
	c.awaitIdentical(topic, 1, c.member(row.leader), destination)
	c.checkHealthy()
}

// playThrottledMove moves 4 MB slowly enough to cancel the move, and speeds up a second move with a
// higher throttle.
func playThrottledMove(c *cluster, row moveRow, topic string) {
	c.t.Helper()
	c.createTopic(topic, [][]int32{{row.leader}})
	client, err := kgo.NewClient(c.patient(kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	for range 100 {
		if err := client.ProduceSync(background(), &kgo.Record{Value: make([]byte, 40_000)}).FirstErr(); err != nil {
			c.t.Fatal(err)
		}
	}
	m := &partitionMover{c: c, topic: topic, server: c.member(row.leader).address(),
		file: testkit.WriteFile(c.t, "big.json", fmt.Sprintf(`{"version":1,"partitions":[{"topic":"%s","partition":0,"replicas":[%d]}]}`, topic, row.destination))}
	const slow, fast = "50000", "50000000"

	m.mustPrint("The inter-broker throttle limit was set to "+slow+" B/s", "--execute", "--reassignment-json-file", m.file, "--throttle", slow)
	m.throttled(row, slow)
	m.mustPrint("is still in progress.", "--verify", "--reassignment-json-file", m.file)
	m.throttled(row, slow)
	m.mustPrint("Successfully cancelled partition reassignment for: "+topic+"-0", "--cancel", "--reassignment-json-file", m.file)
	m.awaitReplicas([]int32{row.leader})
	m.throttled(row, "")

	m.mustPrint("The inter-broker throttle limit was set to "+slow+" B/s", "--execute", "--reassignment-json-file", m.file, "--throttle", slow)
	m.mustPrint("is still in progress.", "--verify", "--reassignment-json-file", m.file)
	m.mustPrint("The inter-broker throttle limit was set to "+fast+" B/s", "--execute", "--reassignment-json-file", m.file, "--throttle", fast, "--additional")
	m.throttled(row, fast)
	m.awaitDone([]int32{row.destination})
	m.mustPrint("Clearing topic-level throttles on topic "+topic, "--verify", "--reassignment-json-file", m.file)
	m.throttled(row, "")
}

// throttled waits until the leader and the destination have this throttle and the topic names its
// throttled replicas; with "", until neither is set.
func (m *partitionMover) throttled(row moveRow, rate string) {
	m.c.t.Helper()
	describe := func(entity ...string) string {
		return must(m.c.t, "kafka-configs", append([]string{"--bootstrap-server", m.server, "--describe"}, entity...)...)
	}
	var said string
	holds := func() bool {
		said = describe("--topic", m.topic)
		if named := strings.Contains(said, fmt.Sprintf("  leader.replication.throttled.replicas=0:%d ", row.leader)) &&
			strings.Contains(said, fmt.Sprintf("  follower.replication.throttled.replicas=0:%d ", row.destination)); named != (rate != "") {
			return false
		}
		for _, id := range []int32{row.leader, row.destination} {
			said = describe("--broker", fmt.Sprint(id))
			set := strings.Contains(said, "  leader.replication.throttled.rate="+rate+" ") && strings.Contains(said, "  follower.replication.throttled.rate="+rate+" ")
			if rate == "" && strings.Contains(said, "throttled.rate") || rate != "" && !set {
				return false
			}
		}
		return true
	}
	if !within(10*time.Second, holds) {
		m.c.t.Fatalf("the throttle is not %q; the last description was\n%s", rate, said)
	}
}

// partitionMover moves a partition with kafka-reassign-partitions.sh.
type partitionMover struct {
	c                   *cluster
	topic, server, file string
}

// mustPrint runs the tool and requires that it succeeds and prints text on stdout.
func (m *partitionMover) mustPrint(text string, args ...string) {
	m.c.t.Helper()
	out, errs, code := run(m.c.t, "kafka-reassign-partitions", append([]string{"--bootstrap-server", m.server}, args...)...)
	if code != 0 || !strings.Contains(out, text) {
		m.c.t.Fatalf("%s: exit code %d, no %q in\n%s%s", strings.Join(args, " "), code, text, out, errs)
	}
}

// start starts the reassignment and waits until it runs.
func (m *partitionMover) start() {
	m.c.t.Helper()
	m.mustPrint("Successfully started partition reassignment for "+m.topic+"-0", "--execute", "--reassignment-json-file", m.file)
	m.mustPrint(m.topic+"-0: replicas: ", "--list")
}

// refusesAnother requires that a second reassignment is refused.
func (m *partitionMover) refusesAnother() {
	m.c.t.Helper()
	out, _, code := run(m.c.t, "kafka-reassign-partitions", "--bootstrap-server", m.server, "--execute", "--reassignment-json-file", m.file)
	if code != 1 || !strings.HasPrefix(out, "Cannot execute because there is an existing partition assignment.") {
		m.c.t.Errorf("a second reassignment: exit code %d\n%s", code, out)
	}
}

// cancel cancels the reassignment and waits until the partition is as before.
func (m *partitionMover) cancel(before []int32) {
	m.c.t.Helper()
	m.mustPrint("Successfully cancelled partition reassignment for: "+m.topic+"-0", "--cancel", "--reassignment-json-file", m.file, "--preserve-throttles")
	m.awaitReplicas(before)
	m.mustPrint("No partition reassignments found.", "--list")
}

func (m *partitionMover) awaitDone(after []int32) {
	m.c.t.Helper()
	m.awaitReplicas(after)
	m.c.awaitInSync(m.topic, 1, after...)
	m.mustPrint("Reassignment of partition "+m.topic+"-0 is completed.", "--verify", "--reassignment-json-file", m.file, "--preserve-throttles")
}

// awaitReplicas waits until the partition has exactly these replicas and no reassignment.
func (m *partitionMover) awaitReplicas(want []int32) {
	m.c.t.Helper()
	var data string
	testkit.Eventually(m.c.t, 60*time.Second, fmt.Sprintf("%s-0 on %v alone", m.topic, want), func() bool {
		data, _ = m.c.tree.get("/brokers/topics/" + m.topic)
		var node struct {
			Partitions map[string][]int32 `json:"partitions"`
			Adding     map[string][]int32 `json:"adding_replicas"`
			Removing   map[string][]int32 `json:"removing_replicas"`
		}
		if err := json.Unmarshal([]byte(data), &node); err != nil {
			m.c.t.Fatalf("/brokers/topics/%s: %v", m.topic, err)
		}
		return slices.Equal(node.Partitions["0"], want) && len(node.Adding["0"])+len(node.Removing["0"]) == 0
	})
}

// awaitDeleted waits until a broker has created a log of the partition and deleted it again. A
// missing log alone proves nothing: the broker may not have created it yet.
func (m *partitionMover) awaitDeleted(from *member) {
	m.c.t.Helper()
	testkit.Eventually(m.c.t, 60*time.Second, fmt.Sprintf("a deleted log of %s-0 on %s", m.topic, from), func() bool {
		found, err := filepath.Glob(fmt.Sprintf("%s/%s-0.*-delete", from.dir, m.topic))
		return err == nil && len(found) > 0
	})
	m.awaitNoLog(from)
}

// awaitNoLog waits until a broker has no log of the partition.
func (m *partitionMover) awaitNoLog(from *member) {
	m.c.t.Helper()
	testkit.Eventually(m.c.t, 60*time.Second, fmt.Sprintf("no log of %s-0 on %s", m.topic, from), func() bool {
		_, err := os.Stat(fmt.Sprintf("%s/%s-0", from.dir, m.topic))
		return os.IsNotExist(err)
	})
}

// leadership continuously checks in ZooKeeper that a partition has a leader.
type leadership struct {
	end, ended chan struct{}
	without    []string // states without a leader
}

func watchLeadership(t *testing.T, zookeeper, topic string) *leadership {
	t.Helper()
	tree := openTree(t, zookeeper)
	l := &leadership{end: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			data, _, err := tree.conn.Get(tree.path("/brokers/topics/" + topic + "/partitions/0/state"))
			var s partitionState
			if err == nil && (json.Unmarshal(data, &s) != nil || s.Leader < 0) {
				l.without = append(l.without, string(data))
			}
			select {
			case <-l.end:
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() {
		select {
		case <-l.end:
		default:
			close(l.end)
		}
	})
	return l
}

func (l *leadership) stop(t *testing.T) {
	t.Helper()
	close(l.end)
	<-l.ended
	if len(l.without) > 0 {
		t.Errorf("the partition was without a leader %d times; first: %s", len(l.without), l.without[0])
	}
}
