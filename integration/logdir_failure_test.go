package integration

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/protocol"
)

// One of two log directories of a broker fails, for every combination of kinds of controller and
// broker. The partitions in the directory fail over, those in the other directory stay, and the
// resulting states are the same as with real brokers only.
func TestAFailedLogDirectoryFailsOverAsWithRealBrokers(t *testing.T) {
	extra := append(mixedCluster{protocol: "3.9"}.properties(), "replica.high.watermark.checkpoint.interval.ms=500")
	c := &cluster{t: t, zookeeper: testkit.ZooKeeper(t)}
	c.tree = openTree(t, c.zookeeper)
	for i, kind := range []string{"3.9.1", "3.9.1", "ours", "ours"} {
		m := &member{t: t, id: int32(i + 1), kind: kind}
		m.dir = filepath.Join(t.TempDir(), "a") + "," + filepath.Join(t.TempDir(), "b")
		if kind == "ours" {
			m.ours = &broker{t: t, id: i + 1, port: testkit.FreePort(t), dir: m.dir, zookeeper: c.zookeeper, logs: t.TempDir()}
			m.ours.document(extra)
			m.ours.start()
		} else {
			m.real = testkit.RealKafka(t, kind).Broker(t, i+1, c.zookeeper, m.dir, extra...)
		}
		c.members = append(c.members, m)
	}
	c.checkAtEnd()
	real1, real2, ours1, ours2 := c.members[0], c.members[1], c.members[2], c.members[3]
	control := map[string]string{} // the effect on each kind of partition, as first seen
	for i, row := range []struct{ controller, victim *member }{{real1, real2}, {real1, ours1}, {ours1, real1}, {ours1, ours2}} {
		began := time.Now()
		got := c.failLogDir(fmt.Sprintf("dirs%d", i), row.controller, row.victim)
		for kind, effect := range got {
			if _, known := control[kind]; !known {
				control[kind] = effect
			}
			if effect != control[kind] {
				t.Errorf("controller %s, victim %s: %s: %s, want %s", row.controller, row.victim, kind, effect, control[kind])
			}
		}
		t.Logf("controller %s, victim %s: %.1f s", row.controller, row.victim, time.Since(began).Seconds())
	}
	for _, kind := range slices.Sorted(maps.Keys(control)) {
		t.Logf("%s: %s", kind, control[kind])
	}
}

func TestABrokerWithoutLogDirectoriesExitsWhileZooKeeperIsAway(t *testing.T) {
	keeper, m := testkit.NewZooKeeper(t), mount(t, "16m")
	b := newBroker(t, options{dir: filepath.Join(m.path, "kafka-logs"), zookeeper: keeper.Address() + "/k", extra: []string{unchecked}})
	b.startIn(m)
	b.createTopic("a", 1)
	b.produce("a", "1")
	keeper.Kill()
	m.do("cat /dev/zero > " + m.path + "/fill 2>/dev/null; true")
	testkit.Run(t, 90*time.Second, strings.Repeat("x", 100_000)+"\n", script("kafka-console-producer", append(b.bootstrap(), "--topic", "a", "--sync", "--timeout", "0",
		"--producer-property", "delivery.timeout.ms=3000", "--request-timeout-ms", "2000")...))
	b.endsWith("all log dirs", "no space left on device")
}

// failLogDir makes the first log directory of a broker fail and repairs it. It returns the effect on
// each kind of partition and the answers of the broker, in terms that do not depend on which broker
// it was. Chance decides which partitions are in the directory, so a kind may be missing.
func (c *cluster) failLogDir(topic string, controller, victim *member) map[string]string {
	c.t.Helper()
	const partitions = 8
	others := c.others(victim)
	a, b := others[0].id, others[1].id
	name := map[int32]string{victim.id: "victim", a: "a", b: "b", -1: "none"}
	c.makeController(controller)
	c.createTopic(topic, slices.Concat(slices.Repeat([][]int32{{victim.id, a, b}}, partitions/2), slices.Repeat([][]int32{{a, victim.id, b}}, partitions/2)), "min.insync.replicas=2")
	c.awaitInSync(topic, partitions, victim.id, a, b)
	c.produceToAll(topic, partitions)
	dir, _, _ := strings.Cut(victim.dir, ",")
	lost := partitionsIn(c.t, dir, topic, partitions)
	if len(lost) == 0 || len(lost) == partitions {
		c.t.Fatalf("partitions %v of %s are in the first of the two directories of %s: want some, but not all", lost, topic, victim)
	}
	before := map[int32]partitionState{}
	for p := range int32(partitions) {
		before[p], _ = c.state(topic, p)
	}
	events := c.tree.stat("/log_dir_event_notification").Cversion

	breakDir(c.t, dir)
	c.produceToAll(topic, partitions) // moves high watermarks, which must then be checkpointed
	c.awaitFailedOver(victim, topic, lost...)
	testkit.Eventually(c.t, 30*time.Second, "the notification to be created and deleted", func() bool {
		s := c.tree.stat("/log_dir_event_notification")
		return s.Cversion == events+2 && s.NumChildren == 0
	})
	c.awaitMetadata("the offline replicas of "+topic, func(resp *kmsg.MetadataResponse) bool {
		for _, rt := range resp.Topics {
			for _, p := range rt.Partitions {
				if *rt.Topic == topic && slices.Contains(p.OfflineReplicas, victim.id) != slices.Contains(lost, p.Partition) {
					return false
				}
			}
		}
		return true
	})
	seen := map[string]string{}
	for _, led := range []bool{true, false} { // the first partition of each kind, if there is one
		for _, gone := range []bool{true, false} {
			for p := range int32(partitions) {
				if slices.Contains(lost, p) != gone || (before[p].Leader == victim.id) != led {
					continue
				}
				s, _ := c.state(topic, p)
				var isr []string
				for _, id := range s.ISR {
					isr = append(isr, name[id])
				}
				slices.Sort(isr) // a replica that fell behind for a moment is last
				seen[fmt.Sprintf("led by the victim %v, in the directory %v", led, gone)] =
					fmt.Sprintf("leader %s, in sync %v, leader epoch +%d", name[s.Leader], isr, s.Epoch-before[p].Epoch)
				break
			}
		}
	}
	for i, dir := range strings.Split(victim.dir, ",") {
		seen[fmt.Sprintf("DescribeLogDirs of directory %d", i)] = fmt.Sprint(logDirError(c.t, victim, dir))
	}
	seen["Fetch of a partition in the directory"] = fmt.Sprint(fetchError(c.t, victim, topic, lost[0]))
	c.produceToAll(topic, partitions)
	select {
	case <-victim.process().Ended():
		c.t.Fatalf("%s exited:\n%s", victim, ending(victim.process().Output()))
	default:
	}

	victim.stop()
	repairDir(c.t, dir)
	c.restart(victim)
	c.awaitInSync(topic, partitions, victim.id, a, b)
	c.awaitSameBytes(topic, partitions, victim, c.member(a), c.member(b))
	return seen
}

// produceToAll produces to every partition with acks=all.
func (c *cluster) produceToAll(topic string, partitions int32) {
	c.t.Helper()
	client, err := kgo.NewClient(c.patient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()))...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	var records []*kgo.Record
	for p := range partitions {
		for range 10 {
			records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: bytes.Repeat([]byte("x"), 100)})
		}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		c.t.Fatalf("produce to %s: %v", topic, err)
	}
}

// logDirError returns the error that DescribeLogDirs reports for a directory.
func logDirError(t testing.TB, m *member, dir string) error {
	t.Helper()
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Version = 4
	resp, err := link(t, m.address()).Do(background(), req)
	if err != nil {
		t.Fatalf("DescribeLogDirs of %s: %v", m, err)
	}
	for _, d := range resp.(*kmsg.DescribeLogDirsResponse).Dirs {
		if d.Dir == dir {
			return errorName(d.ErrorCode)
		}
	}
	t.Fatalf("DescribeLogDirs of %s does not list %s", m, dir)
	return nil
}

// fetchError returns the error that a consumer gets when it fetches from a partition.
func fetchError(t testing.TB, m *member, topic string, partition int32) error {
	t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MaxBytes = 11, -1, 1<<20
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = partition, 1<<20, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := link(t, m.address()).Do(background(), req)
	if err != nil {
		t.Fatalf("Fetch from %s: %v", m, err)
	}
	return errorName(resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode)
}

func errorName(code int16) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("%v", protocol.ErrorCode(code))
}
