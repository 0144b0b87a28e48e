package client

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

// open returns an admin client of a peer with the given answers.
func open(t *testing.T, timeout time.Duration, answer func(req kmsg.Request) kmsg.Response) (*Admin, *bytes.Buffer) {
	t.Helper()
	var errs bytes.Buffer
	admin, err := NewAdmin(&cli.Env{Stderr: &errs}, "adminclient-1", toolreplay.Serve(t, answer).Address(), "", timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	return admin, &errs
}

var twoBrokers = toolreplay.Cluster{Brokers: []int32{1, 0}, Topics: map[string][]toolreplay.Partition{
	"t": {{Leader: 0, Replicas: []int32{0}}, {Leader: 1, Replicas: []int32{1}}}}, Hidden: map[string]protocol.ErrorCode{"secret": protocol.TopicAuthorizationFailed}}

// metadataOr answers Metadata requests, and others with the responses of a function.
func metadataOr(answer func(req kmsg.Request) kmsg.Response) func(req kmsg.Request) kmsg.Response {
	return func(req kmsg.Request) kmsg.Response {
		if m, is := req.(*kmsg.MetadataRequest); is {
			return twoBrokers.Metadata(m)
		}
		return answer(req)
	}
}

func listing(codes ...protocol.ErrorCode) (answer func(req kmsg.Request) kmsg.Response, asked *int) {
	asked = new(int)
	return metadataOr(func(req kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrListPartitionReassignmentsResponse()
		resp.ErrorCode = int16(codes[min(*asked, len(codes)-1)])
		*asked++
		topic := kmsg.NewListPartitionReassignmentsResponseTopic()
		topic.Topic = "t"
		p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		p.Replicas, p.AddingReplicas, p.RemovingReplicas = []int32{0, 1}, []int32{1}, []int32{0}
		topic.Partitions = append(topic.Partitions, p)
		resp.Topics = append(resp.Topics, topic)
		return resp
	}), asked
}

func TestACallIsRepeatedUntilTheControllerAnswers(t *testing.T) {
	answer, asked := listing(protocol.NotController, protocol.NotController, protocol.None)
	admin, _ := open(t, 20*time.Second, answer)
	running, err := admin.Reassignments([]TopicPartition{{Topic: "t", Partition: 0}})
	if err != nil || *asked != 3 || !slices.Equal(running[TopicPartition{Topic: "t"}].Adding, []metadata.BrokerID{1}) {
		t.Errorf("%v, %v after %d requests", running, err, *asked)
	}
}

func TestPermanentErrorsEndACall(t *testing.T) {
	answer, asked := listing(protocol.ClusterAuthorizationFailed)
	admin, _ := open(t, 20*time.Second, answer)
	if _, err := admin.Reassignments(nil); protocol.CodeOf(err) != protocol.ClusterAuthorizationFailed || *asked != 1 {
		t.Errorf("%v after %d requests", err, *asked)
	}
}

func TestACallEndsAtItsTimeLimit(t *testing.T) {
	answer, _ := listing(protocol.NotController)
	admin, _ := open(t, 300*time.Millisecond, answer)
	_, err := admin.Reassignments(nil)
	if err == nil || err.Error() != "Timed out waiting for a node assignment. Call: listPartitionReassignments" || !cli.IsTimeout(err) {
		t.Errorf("error %v", err)
	}
}

// A request that a broker does not answer in time has another text.
func TestACallThatIsNotAnsweredHasItsOwnText(t *testing.T) {
	silence := make(chan struct{})
	defer close(silence)
	admin, _ := open(t, 300*time.Millisecond, metadataOr(func(kmsg.Request) kmsg.Response {
		<-silence
		return nil
	}))
	_, err := admin.Reassignments(nil)
	if err == nil || !strings.HasPrefix(err.Error(), "Call(callName=listPartitionReassignments, deadlineMs=") || !strings.HasSuffix(err.Error(), "after 1 attempt(s)") || !cli.IsTimeout(err) {
		t.Errorf("error %v", err)
	}
}

func TestAClientConnectsWithWarningsUntilABrokerAnswers(t *testing.T) {
	var errs bytes.Buffer
	admin, err := NewAdmin(&cli.Env{Stderr: &errs}, "adminclient-1", "127.0.0.1:1,127.0.0.1:2", "", 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	_, err = admin.Nodes()
	var none NoNodeError
	if !errors.As(err, &none) || none.Call != "listNodes" || cli.JavaClass(err) != "org.apache.kafka.common.errors.TimeoutException" {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(errs.String(), "WARN [AdminClient clientId=adminclient-1] Connection to node -1 (/127.0.0.1:1) could not be established. Node may not be available. (org.apache.kafka.clients.NetworkClient)") {
		t.Errorf("%s", errs.String())
	}
}

func TestBrokersAndTopicsAreListed(t *testing.T) {
	admin, _ := open(t, 20*time.Second, metadataOr(func(kmsg.Request) kmsg.Response { return nil }))
	nodes, err := admin.Nodes()
	if err != nil || len(nodes) != 2 || nodes[0].NodeID != 0 || nodes[1].NodeID != 1 {
		t.Errorf("%v, %v", nodes, err)
	}
	var unknown []string
	found, err := admin.Topics([]string{"t", "nosuch"}, func(name string) error {
		unknown = append(unknown, name)
		return nil
	})
	if err != nil || len(found["t"]) != 2 || !slices.Equal(unknown, []string{"nosuch"}) {
		t.Errorf("%v, %v, unknown %v", found, err, unknown)
	}
	stop := errors.New("stop")
	if _, err := admin.Topics([]string{"nosuch"}, func(string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
	if _, err := admin.Topics([]string{"secret"}, func(string) error { return nil }); protocol.CodeOf(err) != protocol.TopicAuthorizationFailed {
		t.Errorf("error %v", err)
	}
	if found, err := admin.Topics(nil, nil); err != nil || len(found) != 0 {
		t.Errorf("no topics: %v, %v", found, err)
	}
	partitions, failed := admin.PartitionsOf([]string{"t", "secret"})
	if len(partitions["t"]) != 2 || protocol.CodeOf(failed["secret"]) != protocol.TopicAuthorizationFailed {
		t.Errorf("%v, %v", partitions, failed)
	}
}

func TestChangesGoToTheBrokersThatTheyConcern(t *testing.T) {
	var sizes []int
	admin, _ := open(t, 20*time.Second, metadataOr(func(req kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
		resources := req.(*kmsg.IncrementalAlterConfigsRequest).Resources
		sizes = append(sizes, len(resources))
		for _, r := range resources {
			one := kmsg.NewIncrementalAlterConfigsResponseResource()
			if r.ResourceName == "refused" {
				one.ErrorCode, one.ErrorMessage = int16(protocol.InvalidConfig), kmsg.StringPtr("no")
			}
			resp.Resources = append(resp.Resources, one)
		}
		return resp
	}))
	topic := func(name string) Resource { return Resource{Kind: kmsg.ConfigResourceTypeTopic, Name: name} }
	changes := func(Resource) []ConfigChange { return []ConfigChange{Setting("a", "b")} }
	if err := admin.ChangeConfigs([]Resource{topic("t"), topic("u")}, changes); err != nil || !slices.Equal(sizes, []int{2}) {
		t.Errorf("%v, sizes of requests %v", err, sizes)
	}
	if err := admin.ChangeConfigs([]Resource{topic("refused")}, changes); err == nil || err.Error() != "no" || protocol.CodeOf(err) != protocol.InvalidConfig {
		t.Errorf("error %v", err)
	}
	for name, own := range map[string]bool{"0": true, "": false} {
		if _, is := (Resource{Kind: kmsg.ConfigResourceTypeBroker, Name: name}).broker(); is != own {
			t.Errorf("broker %q: %t", name, is)
		}
	}
}

func TestOffsetsAreListedFromTheLeaders(t *testing.T) {
	attempts := map[int32]int{}
	admin, errs := open(t, 20*time.Second, metadataOr(func(req kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrListOffsetsResponse()
		for _, t := range req.(*kmsg.ListOffsetsRequest).Topics {
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic = t.Topic
			for _, wanted := range t.Partitions {
				p := kmsg.NewListOffsetsResponseTopicPartition()
				p.Partition, p.Offset = wanted.Partition, 10+int64(wanted.Partition)
				if attempts[wanted.Partition]++; wanted.Partition == 1 && attempts[1] == 1 {
					p.ErrorCode = int16(protocol.NotLeaderOrFollower)
				}
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	}))
	both := []TopicPartition{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}}
	offsets, err := admin.Offsets(both, LatestOffset)
	if err != nil || offsets[both[0]] != 10 || offsets[both[1]] != 11 || attempts[1] != 2 || attempts[0] != 1 {
		t.Errorf("%v, %v, attempts %v", offsets, err, attempts)
	}
	for topic, want := range map[string]string{
		"nosuch": "Failed to fetch metadata for partition nosuch-0 because metadata for topic `nosuch` could not be found",
		"secret": "Failed to fetch metadata for partition secret-0 due to topic authorization failure",
	} {
		if _, err := admin.Offsets([]TopicPartition{{Topic: topic}}, LatestOffset); err == nil || err.Error() != want {
			t.Errorf("%s: %v", topic, err)
		}
	}
	if !strings.Contains(errs.String(), "ERROR [AdminClient clientId=adminclient-1] Received unknown topic error for topic nosuch") {
		t.Errorf("%s", errs.String())
	}
}

func TestAnAdminClientReadsItsConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.properties")
	if err := os.WriteFile(path, []byte("default.api.timeout.ms=1234\nclient.id=me\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	admin, err := NewAdmin(&cli.Env{}, "adminclient-1", "host:9092", path, time.Minute)
	if err != nil || admin.Timeout != 1234*time.Millisecond || admin.ID != "me" {
		t.Errorf("%+v, %v", admin, err)
	}
	for _, test := range []struct{ servers, config, class, text string }{
		{"nothing", "", "org.apache.kafka.common.KafkaException", "Failed to create new KafkaAdminClient"},
		{"", "", "org.apache.kafka.common.KafkaException", "Failed to create new KafkaAdminClient"},
		{"host:9092", path + "x", "java.nio.file.NoSuchFileException", path + "x"},
	} {
		_, err := NewAdmin(&cli.Env{}, "adminclient-1", test.servers, test.config, time.Minute)
		if err == nil || cli.JavaClass(err) != test.class || err.Error() != test.text {
			t.Errorf("%q: %v", test.servers, err)
		}
	}
}

func TestServersAreParsed(t *testing.T) {
	for list, want := range map[string]string{"a:1": "a:1", " a:1 , b:2,": "a:1 b:2", "[::1]:9092": "[::1]:9092"} {
		servers, err := ParseBootstrap(list)
		if have := strings.Join(servers, " "); err != nil || have != want {
			t.Errorf("%q: %s, %v", list, have, err)
		}
	}
	for list, want := range map[string]string{"": "No resolvable bootstrap urls given in bootstrap.servers", " , ": "No resolvable bootstrap urls given in bootstrap.servers", "a:1,b": "Invalid url in bootstrap.servers: b"} {
		if _, err := ParseBootstrap(list); err == nil || err.Error() != want {
			t.Errorf("%q: %v", list, err)
		}
	}
}

func TestPartitionsAreSortedJoinedAndCompared(t *testing.T) {
	all := map[TopicPartition]bool{{Topic: "b", Partition: 0}: true, {Topic: "a", Partition: 10}: true, {Topic: "a", Partition: 2}: true}
	if have := javatext.Join(SortedPartitions(all), ", "); have != "a-2, a-10, b-0" {
		t.Error(have)
	}
	if have := Distinct([]int{3, 1, 3, 2, 1}); !slices.Equal(have, []int{3, 1, 2}) {
		t.Error(have)
	}
	if have := Duplicates([]int32{5, 1, 5, 17, 17, 5}, javatext.IntHash); !slices.Equal(have, []int32{17, 5}) {
		t.Error(have)
	}
	if have := ByTopic(SortedPartitions(all)); !slices.Equal(have["a"], []int32{2, 10}) || !slices.Equal(have["b"], []int32{0}) {
		t.Error(have)
	}
}

func TestTopicListsAreParsedLikeInKafka(t *testing.T) {
	for list, topics := range map[string][2]string{"a,b": {"a", "ab"}, " 'a.*' ": {"abc", "ba"}, `"a|b"`: {"b", "c"}, "a b": {"ab", "a"}} {
		re, err := IncludeList(list)
		if err != nil || !re.MatchString(topics[0]) || re.MatchString(topics[1]) {
			t.Errorf("%q: %v, %v", list, re, err)
		}
	}
	if _, err := IncludeList("a("); err == nil || err.Error() != "a( is an invalid regex." || cli.JavaClass(err) != "java.lang.RuntimeException" {
		t.Errorf("error %v", err)
	}
}

func TestARateIsKept(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, rate := range []float64{-1, 0, 1e-9} { // with the context done, none of them waits
		(&Throttle{PerSecond: rate, Began: time.Now()}).Wait(ctx, 1)
	}
	began := time.Now()
	limited := &Throttle{PerSecond: 100, Began: began}
	limited.Wait(context.Background(), 5)
	if waited := time.Since(began); waited < 45*time.Millisecond {
		t.Errorf("the fifth record of 100 in a second came after %v", waited)
	}
}
