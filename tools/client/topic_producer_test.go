package client

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/memnet"
	"github.com/monedula/monedula/protocol"
)

// answering returns a dialer option for connections on which requests get the response that answer
// returns.
func answering(answer func(kmsg.Request) kmsg.Response) kgo.Opt {
	return kgo.Dialer(func(context.Context, string, string) (net.Conn, error) { return memnet.Answering(answer), nil })
}

// flushLog closes flushed once the client has flushed for the first time.
type flushLog struct {
	flushed chan struct{}
	once    atomic.Bool
}

func (*flushLog) Level() kgo.LogLevel { return kgo.LogLevelDebug }

func (l *flushLog) Log(_ kgo.LogLevel, text string, _ ...any) {
	if text == "flushed" && l.once.CompareAndSwap(false, true) {
		close(l.flushed)
	}
}

// A flush that starts while returned records are waiting for their topic must end only when they
// have been sent, even if another goroutine hands them to the client again.
func TestFlushWaitsForResentRecords(t *testing.T) {
	synctest.Test(t, flushWhileRecordsReturn)
}

func flushWhileRecordsReturn(t *testing.T) {
	log := &flushLog{flushed: make(chan struct{})}
	var exists atomic.Bool
	written := make(chan struct{})
	client, err := kgo.NewClient(kgo.SeedBrokers("broker:9092"), kgo.WithLogger(log), kgo.DisableIdempotentWrite(), kgo.UnknownTopicRetries(0),
		kgo.MetadataMinAge(metadataPause), answering(func(req kmsg.Request) kmsg.Response {
			switch req := req.(type) {
			case *kmsg.ApiVersionsRequest:
				resp := kmsg.NewPtrApiVersionsResponse()
				for key, most := range map[kmsg.Key]int16{kmsg.Produce: 9, kmsg.Metadata: 9, kmsg.ApiVersions: 3} {
					resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: int16(key), MaxVersion: most})
				}
				return resp
			case *kmsg.MetadataRequest:
				resp := kmsg.NewPtrMetadataResponse()
				resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: 1, Host: "broker", Port: 9092})
				for _, asked := range req.Topics {
					topic := kmsg.NewMetadataResponseTopic()
					topic.Topic = asked.Topic
					if exists.Load() {
						topic.Partitions = []kmsg.MetadataResponseTopicPartition{{Leader: 1}}
					} else {
						topic.ErrorCode = int16(protocol.UnknownTopicOrPartition)
					}
					resp.Topics = append(resp.Topics, topic)
				}
				return resp
			case *kmsg.ProduceRequest:
				<-written
				resp := kmsg.NewPtrProduceResponse()
				resp.Topics = []kmsg.ProduceResponseTopic{{Topic: "t", Partitions: []kmsg.ProduceResponseTopicPartition{{}}}}
				return resp
			}
			t.Errorf("%T", req)
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	flushed := make(chan error, 1)
	var acknowledged atomic.Bool
	p := &TopicProducer{Client: client}
	p.Await = func(context.Context) error {
		go func() { flushed <- p.Flush(context.Background()) }()
		<-log.flushed // the client does not hold the record at this moment
		exists.Store(true)
		return nil
	}
	p.Produce(context.Background(), &kgo.Record{Topic: "t", Value: []byte("v")}, func(_ *kgo.Record, err error) {
		acknowledged.Store(err == nil)
	})
	synctest.Wait()
	if len(flushed) > 0 {
		t.Error("the flush ended while the record was still in flight")
	}
	close(written)
	if err := <-flushed; err != nil || !acknowledged.Load() {
		t.Errorf("the flush ended with %v, acknowledged: %v", err, acknowledged.Load())
	}
}
