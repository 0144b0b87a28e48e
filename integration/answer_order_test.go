package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/protocol"
)

// Some clients match results to requests by position, e.g. sarama's DescribeTopics.
func TestMetadataKeepsTheOrderOfARealBroker(t *testing.T) {
	ours := startBroker(t, options{extra: []string{"auto.create.topics.enable=false"}})
	real := testkit.RealKafka(t, "3.9.1").Broker(t, 0, testkit.ZooKeeper(t), "", "auto.create.topics.enable=false")
	for _, topic := range []string{"one", "two"} {
		ours.createTopic(topic, 1)
		createOn(t, real.Address(), topic)
	}
	for version := int16(0); version <= 12; version++ {
		ask := func(address string, byID bool) []string {
			req := metadataOf("missing", "one", "absent", "two")
			if byID {
				known := sendTo[*kmsg.MetadataResponse](t, address, 12, metadataOf("one", "two")).Topics
				req.Topics = []kmsg.MetadataRequestTopic{{TopicID: [16]byte{1}}, {TopicID: known[0].TopicID}, {TopicID: [16]byte{2}}, {TopicID: known[1].TopicID}}
			}
			var lines []string
			for _, rt := range sendTo[*kmsg.MetadataResponse](t, address, version, req).Topics {
				lines = append(lines, fmt.Sprintf("%s %s", nameOr(rt.Topic, fmt.Sprint(rt.TopicID[0])), protocol.ErrorCode(rt.ErrorCode).Name()))
			}
			return lines
		}
		if got, want := ask(ours.address(), false), ask(real.Address(), false); !slices.Equal(got, want) {
			t.Errorf("v%d: %q, a real broker: %q", version, got, want)
		}
		if version == 12 {
			if got, want := ask(ours.address(), true), ask(real.Address(), true); !slices.Equal(got, want) {
				t.Errorf("by id: %q, a real broker: %q", got, want)
			}
		}
	}
}

// If the names of a request collide, only one topic is created: the one that Kafka reaches first
// when it iterates over its hash table.
func TestCollidingNamesInOneRequestAreCreatedAsOnARealBroker(t *testing.T) {
	ours := startBroker(t, options{})
	real := testkit.RealKafka(t, "3.9.1").Broker(t, 0, testkit.ZooKeeper(t), "")
	createOn(t, real.Address(), "ready")
	for i, names := range [][]string{{"a.b", "a_b"}, {"c_d", "c.d"}, {"x.y.z", "x_y_z", "x.y_z"}, {"orders.eu", "orders_eu"}, {"q_r", "other", "q.r", "more"}} {
		results := map[string][]string{}
		for which, address := range map[string]string{"ours": ours.address(), "real": real.Address()} {
			req := kmsg.NewPtrCreateTopicsRequest()
			req.TimeoutMillis = 10000
			for _, name := range names {
				rt := kmsg.NewCreateTopicsRequestTopic()
				rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 1, 1
				req.Topics = append(req.Topics, rt)
			}
			for _, rt := range sendTo[*kmsg.CreateTopicsResponse](t, address, 7, req).Topics {
				results[which] = append(results[which], rt.Topic+" "+protocol.ErrorCode(rt.ErrorCode).Name())
			}
		}
		if !slices.Equal(results["ours"], results["real"]) {
			t.Errorf("request %d: %q, a real broker: %q", i, results["ours"], results["real"])
		}
	}
}

func nameOr(name *string, other string) string {
	if name == nil {
		return other
	}
	return *name
}

// createOn creates a topic with one partition on a real broker.
func createOn(t testing.TB, address, topic string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 30000
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, 1, 1
	req.Topics = append(req.Topics, rt)
	var code protocol.ErrorCode
	if !within(time.Minute, func() bool { // at first it knows of no broker
		code = protocol.ErrorCode(sendTo[*kmsg.CreateTopicsResponse](t, address, 7, req).Topics[0].ErrorCode)
		return code != protocol.InvalidReplicationFactor
	}) || code != protocol.None {
		t.Fatalf("create %s: %s", topic, code.Name())
	}
}
