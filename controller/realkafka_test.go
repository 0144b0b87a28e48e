package controller

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/zkstore"
)

// TestRealBrokersObeyThisController runs two brokers of Apache Kafka under this controller: they
// create a topic, get producer ids, replace each other as leaders, change in-sync sets with
// AlterPartition, move a replica, shut down in a controlled way and delete the topic.
func TestRealBrokersObeyThisController(t *testing.T) {
	ctx := context.Background()
	connect := testkit.ZooKeeper(t)
	b := startWireBroker(t, connect, 0)
	testkit.Eventually(t, 10*time.Second, "broker 0 is elected", b.controller.IsActive)
	kafka := testkit.RealKafka(t, "3.9.1")
	real := map[metadata.BrokerID]*testkit.RealBroker{}
	started := make(chan *testkit.RealBroker, 2)
	for _, id := range []int{1, 2} {
		go func() {
			started <- kafka.Broker(t, id, connect, "", "zookeeper.session.timeout.ms=6000", "controlled.shutdown.retry.backoff.ms=200")
		}()
	}
	for range 2 {
		broker := <-started
		real[metadata.BrokerID(broker.ID)] = broker
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
	awaitState := func(what string, partition int32, leader metadata.BrokerID, isr string) {
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
	// The broker takes the producer id from a block that this controller allocated.
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionTimeoutMillis = 60000
	testkit.Eventually(t, 20*time.Second, "broker 1 has producer ids", func() bool {
		resp := ask(t, real[1], init).(*kmsg.InitProducerIDResponse)
		return resp.ErrorCode == 0 && resp.ProducerID >= 0
	})
	if block := nodes(t, b.store, "/latest_producer_id_block")["/latest_producer_id_block"]; !strings.Contains(block, `"block_start"`) {
		t.Errorf("producer id block: %s", block)
	}

	real[2].Kill()
	awaitState("a leader was killed", 1, 1, "1")
	real[2].Start()
	awaitState("it is back and in sync after AlterPartition", 1, 1, "1,2")
	awaitState("it is back and in sync after AlterPartition", 0, 1, "1,2")

	if !real[1].Stop(30 * time.Second) {
		t.Error("controlled shutdown took too long")
	}
	if !b.received("ControlledShutdown") && !strings.Contains(b.log.String(), "Shutting down broker 1") {
		t.Error("the broker did not request a controlled shutdown")
	}
	awaitState("a leader shut down", 0, 2, "2")
	real[1].Start()
	awaitState("it is back", 0, 2, "1,2")

	elected := make(chan map[TopicPartition]ElectionResult, 1)
	b.controller.ElectLeaders([]TopicPartition{tp("orders", 0)}, ElectPreferred, func(r map[TopicPartition]ElectionResult, _ error) { elected <- r })
	if result := (<-elected)[tp("orders", 0)]; result.Err != nil || result.Leader != 1 {
		t.Errorf("preferred election: %+v", result)
	}

	// The replica on broker 2 is removed and added again, which joins the in-sync set with
	// AlterPartition.
	for _, target := range [][]metadata.BrokerID{{1}, {2, 1}} {
		done := make(chan error, 1)
		b.controller.AlterPartitionReassignments(map[TopicPartition][]metadata.BrokerID{tp("orders", 0): target}, func(r map[TopicPartition]error, err error) {
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

	for _, broker := range real {
		resp := ask(t, broker, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse)
		if resp.ControllerID != 0 || len(resp.Brokers) != 3 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 2 || javatext.Join(resp.Topics[0].Partitions[0].Replicas, ",") != "2,1" {
			t.Errorf("metadata of broker %d: %+v", broker.ID, resp)
		}
	}
	if err := b.store.CreateTopicDeletion(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 20*time.Second, "the topic is deleted", func() bool {
		exists, err := b.store.TopicExists(ctx, "orders")
		return err == nil && !exists
	})
	for _, broker := range real {
		testkit.Eventually(t, 10*time.Second, "the topic is removed from the metadata of the brokers", func() bool {
			return len(ask(t, broker, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse).Topics) == 0
		})
	}
}

// ask sends one request to a real broker and returns the response.
func ask(t *testing.T, broker *testkit.RealBroker, req kmsg.Request) kmsg.Response {
	t.Helper()
	link := peerlink.New(peerlink.Config{Address: broker.Address(), ClientID: "test"})
	defer link.Close()
	resp, err := link.Negotiated(context.Background(), req, -1)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func sortedText(ids []metadata.BrokerID) string {
	set := map[metadata.BrokerID]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return javatext.Join(sortedKeys(set), ",")
}

// last returns the last n lines of a log.
func last(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
