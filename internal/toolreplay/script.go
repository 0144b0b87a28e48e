package toolreplay

import (
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/protocol"
)

// Scripted runs a command line against a peer with the given answers, for what a real broker cannot
// be made to answer at will. It calls answer for one request at a time, and returns the output of
// the tool like a recording does, without spaces at the ends of lines.
//
// With MONEDULA_REAL=1 it runs the real tool instead: a test that fails then has a wrong
// expectation, or answers that do not suffice for Kafka's client.
func Scripted(t *testing.T, c Case, files map[string]string, answer func(req kmsg.Request) kmsg.Response) string {
	t.Helper()
	var mu sync.Mutex
	real := os.Getenv("MONEDULA_REAL") != ""
	peer := Serve(t, func(req kmsg.Request) kmsg.Response {
		mu.Lock()
		defer mu.Unlock()
		resp := answer(req)
		if resp == nil && real {
			resp = answerKafkasClient(req, answer)
		}
		if resp == nil && real {
			t.Logf("the script does not answer %s v%d", kmsg.NameForKey(req.Key()), req.GetVersion())
		}
		return resp
	})
	var result testkit.ToolResult
	if !real {
		result = c.run(Suite{Files: files}.places(t, peer.Address(), "300"))
	} else {
		result = c.runReal(t, sharedRunner(t), Suite{Files: files}.places(t, peer.Address(), warmUp))
	}
	return trailing.ReplaceAllString(result.Masked(c.Tidy), "")
}

// answerKafkasClient answers requests that only Kafka's client sends: one for the cluster, from the
// metadata of the script, and one for new groups, which a broker without KRaft does not support.
// The client then sends DescribeGroups.
func answerKafkasClient(req kmsg.Request, answer func(req kmsg.Request) kmsg.Response) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.DescribeClusterRequest:
		ask := kmsg.NewPtrMetadataRequest()
		ask.Version, ask.Topics = 12, []kmsg.MetadataRequestTopic{}
		metadata, ok := answer(ask).(*kmsg.MetadataResponse)
		if !ok {
			return nil
		}
		resp := kmsg.NewPtrDescribeClusterResponse()
		resp.ClusterID, resp.ControllerID = "scripted", metadata.ControllerID
		for _, b := range metadata.Brokers {
			one := kmsg.NewDescribeClusterResponseBroker()
			one.NodeID, one.Rack = b.NodeID, b.Rack
			resp.Brokers = append(resp.Brokers, one)
		}
		return resp
	case *kmsg.ConsumerGroupDescribeRequest:
		resp := kmsg.NewPtrConsumerGroupDescribeResponse()
		for _, id := range req.Groups {
			group := kmsg.NewConsumerGroupDescribeResponseGroup()
			group.Group, group.ErrorCode = id, int16(protocol.UnsupportedVersion)
			resp.Groups = append(resp.Groups, group)
		}
		return resp
	}
	return nil
}

var shared struct {
	sync.Mutex
	runner *testkit.ToolRunner // nil until it is needed
}

// sharedRunner returns the runner of all scripts.
func sharedRunner(t testing.TB) *testkit.ToolRunner {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.runner == nil {
		shared.runner = testkit.RealKafka(t, release).ToolRunner()
	}
	return shared.runner
}

var trailing = regexp.MustCompile(`(?m) +$`)

// Partition is a partition of a scripted cluster.
type Partition struct {
	Leader        int32 // -1: none
	Replicas, ISR []int32
}

// Cluster is what a scripted cluster answers to Metadata requests. Its controller is broker 0.
type Cluster struct {
	Brokers []int32
	Racks   map[int32]string
	Topics  map[string][]Partition
	Hidden  map[string]protocol.ErrorCode // topics that have an error
}

// Metadata answers a request. Topics that do not exist have the error of a broker that creates no
// topics.
func (c Cluster) Metadata(req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	resp := kmsg.NewPtrMetadataResponse()
	resp.ClusterID, resp.ControllerID = kmsg.StringPtr("scripted"), 0
	for _, id := range c.Brokers {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID = id
		if rack, set := c.Racks[id]; set {
			b.Rack = &rack
		}
		resp.Brokers = append(resp.Brokers, b)
	}
	var names []string
	for _, t := range req.Topics {
		names = append(names, *t.Topic)
	}
	if req.Topics == nil {
		for name := range c.Topics {
			names = append(names, name)
		}
	}
	for _, name := range names {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = kmsg.StringPtr(name)
		partitions, exists := c.Topics[name]
		switch {
		case c.Hidden[name] != protocol.None:
			topic.ErrorCode = int16(c.Hidden[name])
		case !exists:
			topic.ErrorCode = int16(protocol.UnknownTopicOrPartition)
		}
		topic.IsInternal = strings.HasPrefix(name, "__")
		for i, p := range partitions {
			one := kmsg.NewMetadataResponseTopicPartition()
			one.Partition, one.Leader, one.Replicas, one.ISR = int32(i), p.Leader, p.Replicas, p.ISR
			if p.Leader < 0 {
				one.ErrorCode = int16(protocol.LeaderNotAvailable)
			}
			topic.Partitions = append(topic.Partitions, one)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
