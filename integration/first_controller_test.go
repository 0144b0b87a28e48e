package integration

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/protocol"
)

// sendTo sends a request with the given version and returns the response.
func sendTo[R kmsg.Response](t testing.TB, address string, version int16, req kmsg.Request) R {
	t.Helper()
	req.SetVersion(version)
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	resp, err := link(t, address).Do(ctx, req)
	if err != nil {
		t.Fatalf("%T v%d: %v", req, version, err)
	}
	return resp.(R)
}

// metadataOf builds a Metadata request for topics that lets the broker create them.
func metadataOf(topics ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	for _, topic := range topics {
		asked := kmsg.NewMetadataRequestTopic()
		asked.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, asked)
	}
	return req
}

// answersAboutATopic returns the error codes in the responses to requests about partition 0 of an
// existing topic. The Metadata request also names a topic that does not exist.
func answersAboutATopic(t testing.TB, address, topic string, id [16]byte) map[string]protocol.ErrorCode {
	t.Helper()
	codes := map[string]protocol.ErrorCode{}
	for _, rt := range sendTo[*kmsg.MetadataResponse](t, address, 12, metadataOf(topic, "missing")).Topics {
		codes["Metadata of "+*rt.Topic] = protocol.ErrorCode(rt.ErrorCode)
	}
	group := kmsg.NewPtrFindCoordinatorRequest()
	group.CoordinatorKey = "g"
	codes["FindCoordinator"] = protocol.ErrorCode(sendTo[*kmsg.FindCoordinatorResponse](t, address, 3, group).ErrorCode)
	offsets := kmsg.NewPtrListOffsetsRequest()
	offsets.ReplicaID = -1
	offsets.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{CurrentLeaderEpoch: -1, Timestamp: -1}}}}
	codes["ListOffsets"] = protocol.ErrorCode(sendTo[*kmsg.ListOffsetsResponse](t, address, 7, offsets).Topics[0].Partitions[0].ErrorCode)
	fetch := kmsg.NewPtrFetchRequest()
	fetch.ReplicaID, fetch.MaxBytes, fetch.SessionEpoch = -1, 1<<20, -1
	fetch.Topics = []kmsg.FetchRequestTopic{{Topic: topic, TopicID: id, Partitions: []kmsg.FetchRequestTopicPartition{kmsg.NewFetchRequestTopicPartition()}}}
	codes["Fetch by name"] = protocol.ErrorCode(sendTo[*kmsg.FetchResponse](t, address, 12, fetch).Topics[0].Partitions[0].ErrorCode)
	codes["Fetch by id"] = protocol.ErrorCode(sendTo[*kmsg.FetchResponse](t, address, 13, fetch).Topics[0].Partitions[0].ErrorCode)
	epochs := kmsg.NewPtrOffsetForLeaderEpochRequest()
	epochs.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{kmsg.NewOffsetForLeaderEpochRequestTopicPartition()}}}
	codes["OffsetForLeaderEpoch"] = protocol.ErrorCode(sendTo[*kmsg.OffsetForLeaderEpochResponse](t, address, 4, epochs).Topics[0].Partitions[0].ErrorCode)
	return codes
}

// A node at /controller that belongs to no broker prevents every broker from becoming controller.
func TestABrokerWithoutAControllerLetsItsClientsRetry(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("present", 1)
	id := sendTo[*kmsg.MetadataResponse](t, b.address(), 12, metadataOf("present")).Topics[0].TopicID
	b.stop()
	tree := openTree(t, b.zookeeper)
	tree.create("/controller", []byte(`{"version":2,"brokerid":99,"timestamp":"1","kraftControllerEpoch":-1}`))
	b.start()
	codes := answersAboutATopic(t, b.address(), "present", id)
	for what, want := range map[string]protocol.ErrorCode{
		"Metadata of present": protocol.LeaderNotAvailable, "Metadata of missing": protocol.LeaderNotAvailable,
		"FindCoordinator": protocol.CoordinatorNotAvailable, "ListOffsets": protocol.NotLeaderOrFollower,
		"Fetch by name": protocol.NotLeaderOrFollower, "Fetch by id": protocol.NotLeaderOrFollower,
		"OffsetForLeaderEpoch": protocol.NotLeaderOrFollower,
	} {
		if codes[what] != want {
			t.Errorf("%s: %s, want %s", what, codes[what].Name(), want.Name())
		}
	}
	all := sendTo[*kmsg.MetadataResponse](t, b.address(), 12, kmsg.NewPtrMetadataRequest())
	if len(all.Brokers) != 0 || len(all.Topics) != 1 || *all.Topics[0].Topic != "present" || protocol.ErrorCode(all.Topics[0].ErrorCode) != protocol.LeaderNotAvailable {
		t.Errorf("Metadata of all topics: %+v", all)
	}
	if topics, _, err := tree.conn.Children(tree.path("/brokers/topics")); err != nil || !slices.Equal(topics, []string{"present"}) {
		t.Errorf("topics in ZooKeeper: %v, %v", topics, err)
	}
	if err := tree.conn.Delete(tree.path("/controller"), -1); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, time.Minute, "the topic to be served", func() bool {
		topic := sendTo[*kmsg.MetadataResponse](t, b.address(), 12, metadataOf("present")).Topics[0]
		return topic.ErrorCode == 0 && topic.Partitions[0].Leader == 0
	})
	if code := sendTo[*kmsg.FetchResponse](t, b.address(), 13, fetchByID(id)).Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Errorf("Fetch by id of a served topic: %d", code)
	}
}

func fetchByID(id [16]byte) *kmsg.FetchRequest {
	fetch := kmsg.NewPtrFetchRequest()
	fetch.ReplicaID, fetch.MaxBytes, fetch.SessionEpoch = -1, 1<<20, -1
	fetch.Topics = []kmsg.FetchRequestTopic{{TopicID: id, Partitions: []kmsg.FetchRequestTopicPartition{kmsg.NewFetchRequestTopicPartition()}}}
	return fetch
}

// Producers that create their topics may connect while the broker starts. None may fail, however
// early it connects.
func TestKcatCreatesTopicsWhileTheBrokerStarts(t *testing.T) {
	b := newBroker(t, options{})
	for i := range 16 {
		b.launch()
		if !within(time.Minute, func() bool {
			conn, err := net.Dial("tcp", b.address())
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		}) {
			t.Fatalf("start %d: the broker does not listen", i)
		}
		topic := fmt.Sprintf("early-%d", i)
		_, errs, code := testkit.Run(t, 60*time.Second, "a\n", exec.Command("kcat", "-P", "-b", b.address(), "-t", topic))
		if code != 0 {
			t.Fatalf("start %d: exit code %d\n%s", i, code, errs)
		}
		if err := b.AwaitOutput(startedLine, 60*time.Second); err != nil {
			t.Fatal(err)
		}
		if got := b.consume(topic, 1); !slices.Equal(got, []string{"a"}) {
			t.Fatalf("start %d: read %q", i, got)
		}
		b.stop()
	}
}

// Two of three brokers, one of them the controller, are killed and started again, twice. Because of
// the ZooKeeper sessions of the killed brokers, the cluster has no controller for several seconds,
// during which a restarted broker knows no topics. A producer that gives up on records of missing
// topics, as franz-go's does after five answers, must not lose any.
func TestAnIdempotentProducerSurvivesBrokersThatStartWithoutAController(t *testing.T) {
	c := newCluster(t, []string{"auto.create.topics.enable=false", "min.insync.replicas=1", "zookeeper.session.timeout.ms=6000"}, "ours", "ours", "ours")
	c.createTopic("kept", [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}})
	client, err := kgo.NewClient(kgo.SeedBrokers(c.addresses()...), kgo.MetadataMinAge(50*time.Millisecond), kgo.ProducerLinger(time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.DialTimeout(2*time.Second), kgo.RequestTimeoutOverhead(3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, stop := context.WithCancel(background())
	var producing sync.WaitGroup
	var sent, acknowledged atomic.Int64
	var mu sync.Mutex
	failures := map[string]int{}
	producing.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			sent.Add(1)
			client.Produce(background(), &kgo.Record{Topic: "kept", Value: []byte("v")}, func(_ *kgo.Record, err error) {
				if err == nil {
					acknowledged.Add(1)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				failures[err.Error()]++
			})
		}
	})
	unknownIDs := func(m *member) int { return strings.Count(m.process().Output(), "UNKNOWN_TOPIC_ID") }
	whileCreating := map[*testkit.Process]int{}
	for _, m := range c.members {
		whileCreating[m.process()] = unknownIDs(m)
	}
	for range 2 {
		before := acknowledged.Load()
		testkit.Eventually(t, time.Minute, "records to be acknowledged", func() bool { return acknowledged.Load() > before+100 })
		first := c.controller()
		var second *member
		for _, m := range c.members {
			if m != first {
				second = m
				break
			}
		}
		second.process().Kill()
		first.process().Kill()
		second.ours.launch()
		first.ours.launch()
		for _, m := range []*member{second, first} {
			if err := m.ours.AwaitOutput(startedLine, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		c.awaitInSync("kept", 3, 1, 2, 3)
	}
	stop()
	producing.Wait()
	if err := client.Flush(background()); err != nil {
		t.Error(err)
	}
	if len(failures) > 0 || sent.Load() != acknowledged.Load() {
		t.Errorf("%d sent, %d acknowledged, failures %v", sent.Load(), acknowledged.Load(), failures)
	}
	t.Logf("%d records sent and acknowledged", sent.Load())
	for _, m := range c.members {
		if n := unknownIDs(m) - whileCreating[m.process()]; n > 0 {
			t.Errorf("%s logged UNKNOWN_TOPIC_ID %d times", m, n)
		}
	}
}
