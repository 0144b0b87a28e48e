package client

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// answering returns a dialer option. On its connections, requests get the response that answer
// returns, or none if it returns nil.
func answering(t *testing.T, answer func(req kmsg.Request) kmsg.Response) kgo.Opt {
	serve := func(conn net.Conn) {
		defer conn.Close()
		for {
			var size [4]byte
			if _, err := io.ReadFull(conn, size[:]); err != nil {
				return
			}
			frame := make([]byte, binary.BigEndian.Uint32(size[:]))
			if _, err := io.ReadFull(conn, frame); err != nil {
				return
			}
			header, body, err := protocol.ParseRequestHeader(frame)
			if err != nil {
				t.Error(err)
				return
			}
			req, err := protocol.DecodeRequest(header.Key, header.Version, body)
			if err != nil {
				t.Error(err)
				return
			}
			resp := answer(req)
			if resp == nil {
				return
			}
			resp.SetVersion(header.Version)
			out := protocol.AppendResponse(make([]byte, 4), header.CorrelationID, resp)
			binary.BigEndian.PutUint32(out, uint32(len(out)-4))
			if _, err := conn.Write(out); err != nil {
				return
			}
		}
	}
	return kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go serve(far)
		return near, nil
	})
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
		kgo.MetadataMinAge(metadataPause), answering(t, func(req kmsg.Request) kmsg.Response {
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
