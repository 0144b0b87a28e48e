package toolreplay

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/topics"
)

// Every message must be the same after it has been written as text and read again.
func TestMessagesSurviveBeingWrittenAsText(t *testing.T) {
	metadata := kmsg.NewPtrMetadataResponse()
	metadata.Version = 12
	broker := kmsg.NewMetadataResponseBroker()
	broker.NodeID, broker.Host, broker.Port, broker.Rack = 1, "host", 9092, kmsg.StringPtr("east")
	metadata.Brokers = append(metadata.Brokers, broker)
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic, topic.TopicID = kmsg.StringPtr("t"), [16]byte{1, 2, 3}
	partition := kmsg.NewMetadataResponseTopicPartition()
	partition.LeaderEpoch, partition.Replicas, partition.ISR = 0, []int32{1, 2}, []int32{}
	topic.Partitions = append(topic.Partitions, partition)
	metadata.Topics = append(metadata.Topics, topic)

	fetch := kmsg.NewPtrFetchResponse()
	fetch.Version = 12
	topicData := kmsg.NewFetchResponseTopic()
	data := kmsg.NewFetchResponseTopicPartition()
	data.RecordBatches, data.HighWatermark = []byte{0, 255, 7}, 1<<62+1 // too large for a float
	topicData.Partitions = append(topicData.Partitions, data)
	fetch.Topics = append(fetch.Topics, topicData)

	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version, create.TimeoutMillis, create.ValidateOnly = 7, 0, true
	all := []interface {
		AppendTo([]byte) []byte
	}{metadata, fetch, create}
	copies := []interface {
		AppendTo([]byte) []byte
	}{&kmsg.MetadataResponse{Version: 12}, &kmsg.FetchResponse{Version: 12}, &kmsg.CreateTopicsRequest{Version: 7}}
	for i, message := range all {
		text := messageText(message)
		if err := parseMessage(text, copies[i]); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if !bytes.Equal(copies[i].AppendTo(nil), message.AppendTo(nil)) {
			t.Errorf("%s became %s", text, messageText(copies[i]))
		}
		if strings.Contains(text, "\n") {
			t.Errorf("more than one line: %s", text)
		}
	}
}

func TestDamagedMessagesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"Brokers":1}`:                      "Brokers",
		`{"NoSuchField":1}`:                  "no field",
		`{"Brokers":[{"Port":"many"}]}`:      "Port",
		`{"Topics":[{"TopicID":"xyz"}]}`:     "TopicID",
		`{"Topics":[{"Topic":{"a":"b"}}]}`:   "Topic",
		`{`:                                  "EOF",
		`{"Brokers":[{"Port":99999999999}]}`: "Port",
	} {
		if err := parseMessage(text, kmsg.NewPtrMetadataResponse()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// cluster answers as a broker with a topic, which a request deletes.
func cluster() func(req kmsg.Request) kmsg.Response {
	deleted := false
	return func(req kmsg.Request) kmsg.Response {
		switch req := req.(type) {
		case *kmsg.MetadataRequest:
			resp := kmsg.NewPtrMetadataResponse()
			broker := kmsg.NewMetadataResponseBroker()
			resp.Brokers, resp.ControllerID = append(resp.Brokers, broker), 0
			if !deleted && req.Topics == nil {
				topic := kmsg.NewMetadataResponseTopic()
				topic.Topic = kmsg.StringPtr("old")
				resp.Topics = append(resp.Topics, topic)
			}
			return resp
		case *kmsg.DeleteTopicsRequest:
			deleted = true
			resp := kmsg.NewPtrDeleteTopicsResponse()
			topic := kmsg.NewDeleteTopicsResponseTopic()
			topic.Topic = kmsg.StringPtr("old")
			resp.Topics = append(resp.Topics, topic)
			return resp
		}
		return nil
	}
}

// What a proxy records must be replayed so that the tool prints the same, and a peer must notice
// requests that were not recorded and requests that are missing.
func TestARecordingIsReplayed(t *testing.T) {
	t.Chdir(t.TempDir())
	p := newProxy(t, 0)
	broker := Serve(t, cluster())
	broker.named = func(int32) (string, int32) { return hostAndPort(p.listener.Addr()) } // connections pass the proxy
	p.serve(broker.Address())
	for _, c := range []Case{
		{Name: "list", Tool: topics.Tool, Args: "--bootstrap-server {B} --list"},
		{Name: "delete", Tool: topics.Tool, Args: "--bootstrap-server {B} --delete --topic old"},
		{Name: "list again", Tool: topics.Tool, Args: "--bootstrap-server {B} --list"},
	} {
		r := &recording{command: c.command()}
		p.record(r)
		recorded := c.run(strings.NewReplacer("{B}", p.listener.Addr().String()))
		p.record(nil)
		r.output = recorded.Masked(nil)
		if err := r.write(c.Name); err != nil {
			t.Fatal(err)
		}
		Suite{}.replay(t, c)
	}
	r, err := readRecording("delete")
	if err != nil {
		t.Fatal(err)
	}
	if left := strings.Join(r.unused(), "\n"); !strings.HasPrefix(left, "DeleteTopics v") || strings.Contains(left, "\n") {
		t.Errorf("unused requests: %s", left)
	}
	silent := &quiet{TB: t}
	req := kmsg.NewPtrDeleteTopicsRequest()
	if resp := r.respond(silent, 0, req); resp != nil || silent.errors != 1 {
		t.Errorf("the response to a request that was not recorded is %v; errors: %d", resp, silent.errors)
	}
}

// quiet is a test that counts errors.
type quiet struct {
	testing.TB
	errors int
}

func (q *quiet) Errorf(string, ...any) { q.errors++ }

// The responses to equal requests must be used in their order, and the last one must be repeated.
func TestEqualRequestsGetTheRecordedResponsesInOrder(t *testing.T) {
	r := &recording{}
	for _, controller := range []int32{-1, 0} {
		resp := kmsg.NewPtrMetadataResponse()
		resp.ControllerID = controller
		r.add(0, kmsg.NewPtrMetadataRequest(), resp)
	}
	for _, e := range r.exchanges {
		e.wanted = identity(kmsg.NewPtrMetadataRequest())
	}
	for i, want := range []int32{-1, 0, 0, 0} {
		resp := r.respond(t, 0, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse)
		if resp.ControllerID != want {
			t.Errorf("response %d names the controller %d, want %d", i, resp.ControllerID, want)
		}
	}
}

// Requests must be equal whatever the order of their lists, the time that is left and their salt
// are, but not if their content differs.
func TestEqualRequestsAreRecognised(t *testing.T) {
	request := func(timeout int32, names ...string) kmsg.Request {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis = timeout
		for _, name := range names {
			topic := kmsg.NewDeleteTopicsRequestTopic()
			topic.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, topic)
		}
		return req
	}
	first := identity(request(1, "a", "b"))
	if other := identity(request(2, "b", "a")); other != first {
		t.Errorf("%s and %s differ", first, other)
	}
	if other := identity(request(1, "a", "c")); other == first {
		t.Errorf("%s is the identity of two requests", first)
	}
	salted := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	plain := identity(salted)
	change := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	change.Name, change.Salt = "alice", []byte{1}
	salted.Upsertions = append(salted.Upsertions, change)
	if one := identity(salted); one == plain || strings.Contains(one, "Salt") {
		t.Errorf("identity %s", one)
	}
}

func TestThePeerOffersTheVersionsOfARealBroker(t *testing.T) {
	highest := map[protocol.APIKey]int16{}
	for _, api := range realVersions(t) {
		highest[protocol.APIKey(api.ApiKey)] = api.MaxVersion
	}
	for key, want := range map[protocol.APIKey]int16{protocol.Produce: 11, protocol.Fetch: 17, protocol.Metadata: 12, protocol.CreateTopics: 7} {
		if highest[key] != want {
			t.Errorf("version %d of API %d, want %d", highest[key], key, want)
		}
	}
	if _, offered := highest[55]; offered {
		t.Error("DescribeQuorum is offered")
	}
}

// A response must be that of the broker that was asked, or, if it was not asked while recording,
// that of another one. Brokers must be known after a recording was written and read.
func TestEachBrokerAnswersWhatItAnswered(t *testing.T) {
	t.Chdir(t.TempDir())
	written := &recording{}
	for broker, controller := range []int32{7, 8} {
		resp := kmsg.NewPtrMetadataResponse()
		resp.ControllerID = controller
		written.add(int32(broker), kmsg.NewPtrMetadataRequest(), resp)
	}
	if err := written.write("two"); err != nil {
		t.Fatal(err)
	}
	r, err := readRecording("two")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ broker, want int32 }{{1, 8}, {0, 7}, {1, 8}, {2, 8}} {
		resp := r.respond(t, test.broker, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse)
		if resp.ControllerID != test.want {
			t.Errorf("broker %d names the controller %d, want %d", test.broker, resp.ControllerID, test.want)
		}
	}
}

// A group with a random name must get the recorded response, with its own name.
func TestARandomGroupIsRecognised(t *testing.T) {
	find := func(group string) *kmsg.FindCoordinatorRequest {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version, req.CoordinatorKeys = 4, []string{group}
		return req
	}
	resp := kmsg.NewPtrFindCoordinatorResponse()
	resp.Version = 4
	coordinator := kmsg.NewFindCoordinatorResponseCoordinator()
	coordinator.Key = "perf-consumer-12"
	resp.Coordinators = append(resp.Coordinators, coordinator)
	r := &recording{}
	r.add(0, find("perf-consumer-12"), resp)
	r.exchanges[0].wanted = identity(find("perf-consumer-12"))
	if found := r.respond(t, 0, find("perf-consumer-345")).(*kmsg.FindCoordinatorResponse); found.Coordinators[0].Key != "perf-consumer-345" {
		t.Errorf("the response is for %s", found.Coordinators[0].Key)
	}
}

// Recent times must be equal, others must not.
func TestRecentTimesAreEqual(t *testing.T) {
	at := func(time int64) string {
		req := kmsg.NewPtrListOffsetsRequest()
		topic := kmsg.NewListOffsetsRequestTopic()
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Timestamp = time
		topic.Partitions = append(topic.Partitions, partition)
		req.Topics = append(req.Topics, topic)
		return identity(req)
	}
	if at(recent+1) != at(recent+2) {
		t.Error("recent times differ")
	}
	if at(1000) == at(1001) || at(-1) == at(-2) || at(future+1) == at(future+2) {
		t.Error("other times are equal")
	}
}
