package lag

import (
	"context"
	"errors"
	"maps"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/memnet"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// cluster is the metadata of brokers 1 to 3 with the topic t, whose partitions 0 to 2 they lead.
// Partition 3 has no leader.
func cluster() *metadata.Cache {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version = 8
	for id := int32(1); id <= 3; id++ {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		b.ID = id
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.Host, e.Port, e.ListenerName = "broker", id, "PLAINTEXT"
		b.Endpoints = append(b.Endpoints, e)
		req.LiveBrokers = append(req.LiveBrokers, b)
	}
	topic := kmsg.NewUpdateMetadataRequestTopicState()
	topic.Topic = "t"
	for i, leader := range []int32{1, 2, 3, -1} {
		p := kmsg.NewUpdateMetadataRequestTopicPartition()
		p.Partition, p.Leader = int32(i), leader
		topic.PartitionStates = append(topic.PartitionStates, p)
	}
	req.TopicStates = append(req.TopicStates, topic)
	cache := metadata.NewCache()
	cache.Apply(req)
	return cache
}

// leaders are brokers that answer ListOffsets.
type leaders map[string]func(*kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse

func (l leaders) dial(ctx context.Context, address string) (net.Conn, error) {
	answer := l[address]
	if answer == nil {
		return nil, errors.New("refused")
	}
	return memnet.Answering(func(req kmsg.Request) kmsg.Response {
		if list, ok := req.(*kmsg.ListOffsetsRequest); ok {
			return answer(list)
		}
		resp := kmsg.NewPtrApiVersionsResponse()
		resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: int16(protocol.ListOffsets), MaxVersion: listOffsetsMax})
		return resp
	}), nil
}

// endsOf answers a request with an end for each partition, or NOT_LEADER_OR_FOLLOWER.
func endsOf(known map[int32]int64) func(*kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	return func(req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range req.Topics {
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				answer := kmsg.NewListOffsetsResponseTopicPartition()
				answer.Partition = p.Partition
				if end, ok := known[p.Partition]; ok && p.Timestamp == -1 && req.ReplicaID == -1 {
					answer.Offset = end
				} else {
					answer.ErrorCode = int16(protocol.NotLeaderOrFollower)
				}
				topic.Partitions = append(topic.Partitions, answer)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	}
}

func TestEndsComeFromTheLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brokers := leaders{"broker:2": endsOf(map[int32]int64{1: 70})}
		e := NewEnds(EndsConfig{BrokerID: 1, Listener: "PLAINTEXT", Metadata: cluster(), Dial: brokers.dial, Timeout: time.Minute,
			Local: func(p TopicPartition) (record.Offset, bool) { return 30, p == tp("t", 0) }})
		defer e.Close()
		asked := []TopicPartition{tp("t", 0), tp("t", 1), tp("t", 2), tp("t", 3), tp("unknown", 0)}
		want := map[TopicPartition]record.Offset{tp("t", 0): 30, tp("t", 1): 70}
		if got := e.Ends(t.Context(), asked); !maps.Equal(got, want) {
			t.Errorf("ends %v, want %v", got, want)
		}
		brokers["broker:3"] = endsOf(map[int32]int64{2: 9})
		want[tp("t", 2)] = 9
		if got := e.Ends(t.Context(), asked); !maps.Equal(got, want) {
			t.Errorf("ends %v, want %v", got, want)
		}
		if got := e.Ends(t.Context(), asked[:1]); len(got) != 1 || len(e.links) != 0 {
			t.Errorf("ends %v, %d links are kept that were not used", got, len(e.links))
		}
	})
}

func TestALeaderThatDoesNotAnswerIsNotAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		defer close(never)
		brokers := leaders{"broker:2": endsOf(map[int32]int64{1: 70}),
			"broker:3": func(req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
				<-never
				return kmsg.NewPtrListOffsetsResponse()
			}}
		e := NewEnds(EndsConfig{BrokerID: 1, Listener: "PLAINTEXT", Metadata: cluster(), Dial: brokers.dial, Timeout: time.Minute,
			Local: func(TopicPartition) (record.Offset, bool) { return 0, false }})
		defer e.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		got := e.Ends(ctx, []TopicPartition{tp("t", 1), tp("t", 2)})
		if took := time.Since(began); took != 2*time.Second || len(got) != 1 || got[tp("t", 1)] != 70 {
			t.Errorf("ends %v after %v", got, took)
		}
	})
}

func TestAfterCloseOnlyLocalEndsAreKnown(t *testing.T) {
	e := NewEnds(EndsConfig{BrokerID: 1, Listener: "PLAINTEXT", Metadata: cluster(),
		Local: func(p TopicPartition) (record.Offset, bool) { return 30, p == tp("t", 0) }})
	e.Close()
	if got := e.Ends(t.Context(), []TopicPartition{tp("t", 0), tp("t", 1)}); len(got) != 1 {
		t.Errorf("ends %v", got)
	}
}
