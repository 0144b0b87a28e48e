//go:build !race

package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// requestTopics is the number of topics per request in BenchmarkTopics.
const requestTopics = 100

// BenchmarkTopics creates, configures and deletes many topics on a broker with a ZooKeeper, a
// hundred per request. It reports, per topic and step, the elapsed time, the broker's own processor
// time, and the number of requests to ZooKeeper.
func BenchmarkTopics(b *testing.B) {
	for _, count := range []int{1000, 2000, 4000, 8000, 16000, 32000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			for b.Loop() {
				s := newServedAlone(b)
				for _, step := range []struct {
					what    string
					request func(names []string) kmsg.Request
				}{{"created", createRequest}, {"configured", configureRequest}, {"deleted", deleteRequest}} {
					began, busy, asked := time.Now(), processorTime(), s.metrics.zookeeper.latency.Count()
					for from := 0; from < count; from += requestTopics {
						names := make([]string, min(requestTopics, count-from))
						for i := range names {
							names[i] = fmt.Sprintf("topic-with-a-name-%06d", from+i)
						}
						s.must(step.request(names))
					}
					if step.what == "deleted" {
						gone := func(m *metadata.Snapshot) bool { return len(m.Topics) == 2 }
						if !s.cache.Await(b.Context(), 10*time.Minute, gone) {
							b.Fatal("not all topics were deleted")
						}
					}
					b.ReportMetric(float64(time.Since(began).Microseconds())/float64(count), "µs/"+step.what)
					b.ReportMetric(float64((processorTime()-busy).Microseconds())/float64(count), "own-µs/"+step.what)
					b.ReportMetric(float64(s.metrics.zookeeper.latency.Count()-asked)/float64(count), "zk/"+step.what)
				}
				s.stop()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// must sends a request and fails if its answer has an error.
func (s *servedAlone) must(req kmsg.Request) {
	s.t.Helper()
	version := int16(0)
	for _, a := range s.registry.Advertised() {
		if int16(a.Key) == req.Key() {
			version = a.Max
		}
	}
	req.SetVersion(version)
	resp := req.ResponseKind()
	resp.SetVersion(version)
	if err := resp.ReadFrom(s.answer(protocol.APIKey(req.Key()), version, protocol.AppendRequest(nil, req))); err != nil {
		s.t.Fatal(err)
	}
	var codes []int16
	switch r := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		for _, t := range r.Topics {
			codes = append(codes, t.ErrorCode)
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, t := range r.Resources {
			codes = append(codes, t.ErrorCode)
		}
	case *kmsg.DeleteTopicsResponse:
		for _, t := range r.Topics {
			codes = append(codes, t.ErrorCode)
		}
	}
	if len(codes) == 0 {
		s.t.Fatalf("%+v", resp)
	}
	for i, code := range codes {
		if code != 0 {
			s.t.Fatalf("%d of %T: %v", i, resp, protocol.ErrorCode(code))
		}
	}
}

func createRequest(names []string) kmsg.Request {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 120_000
	for _, name := range names {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, 1, 1
		req.Topics = append(req.Topics, t)
	}
	return req
}

func configureRequest(names []string) kmsg.Request {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	value := "3600000"
	for _, name := range names {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
		r.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &value}}
		req.Resources = append(req.Resources, r)
	}
	return req
}

func deleteRequest(names []string) kmsg.Request {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 120_000
	for _, name := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	return req
}
