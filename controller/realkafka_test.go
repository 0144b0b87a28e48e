package controller

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/zkstore"
)

// TestRealBrokersObeyThisController has two brokers of Apache Kafka take all
// their orders from this controller: they host a topic, are produced to, elect
// each other's successors, change in-sync sets by AlterPartition, move a replica,
// shut down in order and delete.
func TestRealBrokersObeyThisController(t *testing.T) {
	ctx := context.Background()
	connect := testkit.ZooKeeper(t)
	b := startWireBroker(t, connect, 0)
	testkit.Eventually(t, 10*time.Second, "broker 0 is elected", b.controller.IsActive)
	kafka := testkit.RealKafka(t, "3.9.1")
	real := map[int32]*testkit.RealBroker{}
	started := make(chan *testkit.RealBroker, 2)
	for _, id := range []int{1, 2} {
		go func() {
			started <- kafka.Broker(t, id, connect, "", "zookeeper.session.timeout.ms=6000", "controlled.shutdown.retry.backoff.ms=200")
		}()
	}
	for range 2 {
		broker := <-started
		real[int32(broker.ID)] = broker
	}
	defer func() {
		if t.Failed() {
			t.Logf("the controller's log:\n%s\nbroker 1:\n%s", last(b.log.String(), 60), last(real[1].Output(), 60))
		}
	}()
	state := func(partition int32) zkstore.PartitionState {
		states, err := b.store.PartitionStates(ctx, []TopicPartition{tp("orders", partition)})
		if err != nil {
			t.Fatal(err)
		}
		return states[tp("orders", partition)]
	}
	awaitState := func(what string, partition, leader int32, isr string) {
		t.Helper()
		testkit.Eventually(t, 30*time.Second, fmt.Sprintf("%s: leader %d, in sync %s; it is %s", what, leader, isr, stateText(state(partition))), func() bool {
			s := state(partition)
			return s.Leader == leader && sortedText(s.ISR) == isr
		})
	}

	if err := b.store.CreateTopic(ctx, topicNode("orders", replicas(1, 2), replicas(2, 1))); err != nil {
		t.Fatal(err)
	}
	awaitState("creation", 0, 1, "1,2")
	produce := func(to *testkit.RealBroker, lines string) {
		t.Helper()
		if _, errs, code := kafka.RunWithInput(t, lines, "kafka.tools.ConsoleProducer", "--bootstrap-server", to.Address(), "--topic", "orders", "--sync",
			"--producer-property", "acks=all"); code != 0 || strings.Contains(errs, "ERROR") {
			t.Fatalf("produce: exit %d\n%s", code, errs)
		}
	}
	produce(real[1], "a\nb\nc\nd\n") // with an idempotent producer: its id comes from this controller
	if start := producerIDBlocks(t, b); !strings.Contains(start, `"block_start"`) {
		t.Errorf("producer id block: %s", start)
	}

	real[2].Kill()
	awaitState("a leader was killed", 1, 1, "1")
	real[2].Start()
	awaitState("it is back and in sync, by AlterPartition", 1, 1, "1,2")
	awaitState("it is back and in sync, by AlterPartition", 0, 1, "1,2")

	if !real[1].Stop(30 * time.Second) {
		t.Error("controlled shutdown took too long")
	}
	if !b.received("ControlledShutdown") && !strings.Contains(b.log.String(), "Shutting down broker 1") {
		t.Error("no controlled shutdown was asked for")
	}
	awaitState("a leader left in order", 0, 2, "2")
	real[1].Start()
	awaitState("it is back", 0, 2, "1,2")

	elected := make(chan map[TopicPartition]ElectionResult, 1)
	b.controller.ElectLeaders([]TopicPartition{tp("orders", 0)}, ElectPreferred, func(r map[TopicPartition]ElectionResult, _ error) { elected <- r })
	if result := (<-elected)[tp("orders", 0)]; result.Err != nil || result.Leader != 1 {
		t.Errorf("preferred election: %+v", result)
	}

	// The replica on broker 2 goes, and comes back: each copies through AlterPartition.
	for _, target := range [][]int32{{1}, {2, 1}} {
		done := make(chan error, 1)
		b.controller.AlterPartitionReassignments(map[TopicPartition][]int32{tp("orders", 0): target}, func(r map[TopicPartition]error, err error) {
			done <- r[tp("orders", 0)]
		})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		awaitState(fmt.Sprintf("reassigned to %v", target), 0, 1, sortedText(target))
		testkit.Eventually(t, 20*time.Second, "the reassignment ends", func() bool {
			running := make(chan int, 1)
			b.controller.ListPartitionReassignments(nil, func(r map[TopicPartition]zkstore.Assignment, _ error) { running <- len(r) })
			return <-running == 0
		})
	}

	out, errs, code := kafka.Run(t, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", real[1].Address(), "--describe", "--topic", "orders")
	if code != 0 || !strings.Contains(out, "Replicas: 2,1") || !strings.Contains(out, "PartitionCount: 2") {
		t.Errorf("describe: exit %d\n%s\n%s", code, out, errs)
	}
	if err := b.store.CreateTopicDeletion(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 20*time.Second, "the topic is deleted", func() bool {
		exists, err := b.store.TopicExists(ctx, "orders")
		return err == nil && !exists
	})
	for id, broker := range real {
		if log := broker.Output(); strings.Contains(log, "ERROR") && !strings.Contains(log, "Exiting Kafka") {
			for _, line := range strings.Split(log, "\n") {
				if strings.Contains(line, "ERROR") {
					t.Logf("broker %d: %s", id, line)
				}
			}
		}
	}
}

func producerIDBlocks(t *testing.T, b *wireBroker) string {
	return nodes(t, b.store, "/latest_producer_id_block")["/latest_producer_id_block"]
}

func sortedText(ids []int32) string {
	set := map[int32]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return joinIDs(sortedKeys(set))
}

// last are the last lines of a log.
func last(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
