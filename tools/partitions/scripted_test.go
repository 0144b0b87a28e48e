package partitions

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/protocol"
)

// scripted is a cluster with topics t and u. One partition has no leader.
type scripted struct {
	toolreplay.Cluster
	offsets  map[string][]int64                          // the end offsets of partitions
	errors   map[string]protocol.ErrorCode               // of topics, in responses about partitions
	dirs     map[int32][]kmsg.DescribeLogDirsResponseDir // by broker
	electing int                                         // number of Metadata responses without leaders
}

func newScripted() *scripted {
	return &scripted{
		Cluster: toolreplay.Cluster{Brokers: []int32{0, 1}, Topics: map[string][]toolreplay.Partition{
			"t":                  {{Leader: 0, Replicas: []int32{0, 1}, ISR: []int32{0, 1}}, {Leader: 1, Replicas: []int32{1, 0}, ISR: []int32{1}}},
			"u":                  {{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}, {Leader: -1, Replicas: []int32{1}}},
			"__consumer_offsets": {{Leader: 0, Replicas: []int32{0}, ISR: []int32{0}}},
		}},
		offsets: map[string][]int64{"t": {5, 7}, "u": {3, 0}, "__consumer_offsets": {9}},
		errors:  map[string]protocol.ErrorCode{},
		dirs:    map[int32][]kmsg.DescribeLogDirsResponseDir{},
	}
}

func (s *scripted) answer(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		resp := s.Metadata(req)
		if s.electing > 0 && len(resp.Topics) > 0 {
			s.electing--
			for _, topic := range resp.Topics {
				for i := range topic.Partitions {
					topic.Partitions[i].Leader = -1
				}
			}
		}
		return resp
	case *kmsg.ListOffsetsRequest:
		resp := kmsg.NewPtrListOffsetsResponse()
		for _, t := range req.Topics {
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic = t.Topic
			for _, wanted := range t.Partitions {
				p := kmsg.NewListOffsetsResponseTopicPartition()
				p.Partition, p.ErrorCode, p.Offset = wanted.Partition, int16(s.errors[t.Topic]), s.offsets[t.Topic][wanted.Partition]
				switch wanted.Timestamp {
				case -2:
					p.Offset = 0
				case 5000:
					p.Offset = -1 // no record at or after this time
				}
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	case *kmsg.DeleteRecordsRequest:
		resp := kmsg.NewPtrDeleteRecordsResponse()
		for _, t := range req.Topics {
			topic := kmsg.NewDeleteRecordsResponseTopic()
			topic.Topic = t.Topic
			for _, wanted := range t.Partitions {
				p := kmsg.NewDeleteRecordsResponseTopicPartition()
				p.Partition, p.ErrorCode, p.LowWatermark = wanted.Partition, int16(s.errors[t.Topic]), wanted.Offset
				if wanted.Offset == -1 {
					p.LowWatermark = s.offsets[t.Topic][wanted.Partition]
				}
				if wanted.Offset > s.offsets[t.Topic][wanted.Partition] {
					p.ErrorCode = int16(protocol.OffsetOutOfRange)
				}
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	}
	return nil
}

func TestOffsetsOfPartitionsArePrinted(t *testing.T) {
	for _, test := range []struct {
		name, args string
		prepare    func(s *scripted)
		want       string
	}{
		{"all topics", "", nil, `[out] __consumer_offsets:0:9
[out] t:0:5
[out] t:1:7
[out] u:0:3
[err] Skip getting offsets for topic-partition u-1 due to error: There is no leader for this topic-partition as we are in the middle of a leadership election.
[exit] 0
`},
		{"without internal topics", "--exclude-internal-topics", nil, `[out] t:0:5
[out] t:1:7
[out] u:0:3
[err] Skip getting offsets for topic-partition u-1 due to error: There is no leader for this topic-partition as we are in the middle of a leadership election.
[exit] 0
`},
		{"one topic", "--topic t", nil, `[out] t:0:5
[out] t:1:7
[err]
[exit] 0
`},
		{"a pattern", "--topic t|u --partitions 0", nil, `[out] t:0:5
[out] u:0:3
[err]
[exit] 0
`},
		{"several partitions", "--topic t --partitions 0,1", nil, `[out] t:0:5
[out] t:1:7
[err]
[exit] 0
`},
		{"patterns of partitions", "--topic-partitions t:1,u:0", nil, `[out] t:1:7
[out] u:0:3
[err]
[exit] 0
`},
		{"a range of partitions", "--topic-partitions .*:0-1", nil, `[out] __consumer_offsets:0:9
[out] t:0:5
[out] u:0:3
[err]
[exit] 0
`},
		{"an open range of partitions", "--topic-partitions t:1-", nil, `[out] t:1:7
[err]
[exit] 0
`},
		{"a range up to a partition", "--topic-partitions t:-1", nil, `[out] t:0:5
[err]
[exit] 0
`},
		{"partitions of all topics", "--topic-partitions :0", nil, `[out] __consumer_offsets:0:9
[out] t:0:5
[out] u:0:3
[err]
[exit] 0
`},
		{"an unknown topic", "--topic nosuch", nil, `[out]
[err] Error occurred: Could not match any topic-partitions with the specified filters
[exit] 1
`},
		{"an unknown partition", "--topic-partitions t:7", nil, `[out]
[err] Error occurred: Could not match any topic-partitions with the specified filters
[exit] 1
`},
		{"the earliest offsets", "--topic t --time earliest", nil, `[out] t:0:0
[out] t:1:0
[err]
[exit] 0
`},
		{"the earliest offsets by number", "--topic t --time -2", nil, `[out] t:0:0
[out] t:1:0
[err]
[exit] 0
`},
		{"a time without records", "--topic t --time 5000", nil, `[out]
[err]
[exit] 0
`},
		{"a partition without a leader", "--topic u", nil, `[out] u:0:3
[err] Skip getting offsets for topic-partition u-1 due to error: There is no leader for this topic-partition as we are in the middle of a leadership election.
[exit] 0
`},
		{"a leader that has moved", "--topic t --partitions 0", func(s *scripted) { s.errors["t"] = protocol.NotLeaderOrFollower }, `[out]
[err] Skip getting offsets for topic-partition t-0 due to error: For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.
[exit] 0
`},
		{"a topic that may not be read", "--topic t --partitions 0", func(s *scripted) { s.errors["t"] = protocol.TopicAuthorizationFailed }, `[out]
[err] Skip getting offsets for topic-partition t-0 due to error: Topic authorization failed.
[exit] 0
`},
		{"no topics", "", func(s *scripted) { s.Topics = nil }, `[out]
[err] Error occurred: Could not match any topic-partitions with the specified filters
[exit] 1
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted()
			if test.prepare != nil {
				test.prepare(s)
			}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: GetOffsetsTool, Args: "--bootstrap-server {B} " + test.args}, nil, s.answer)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}

func TestRecordsAreDeletedByTheLeaders(t *testing.T) {
	for _, test := range []struct {
		name, json string
		prepare    func(s *scripted)
		want       string
	}{
		{"one partition", `{"partitions":[{"topic":"t","partition":0,"offset":3}]}`, nil, `[out] Executing records delete operation
[out] Records delete operation completed:
[out] partition: t-0	low_watermark: 3
[err]
[exit] 0
`},
		{"partitions of two leaders", `{"partitions":[{"topic":"t","partition":0,"offset":3},{"topic":"t","partition":1,"offset":-1},{"topic":"u","partition":0,"offset":0}],"version":1}`, nil, `[out] Executing records delete operation
[out] Records delete operation completed:
[out] partition: t-1	low_watermark: 7
[out] partition: t-0	low_watermark: 3
[out] partition: u-0	low_watermark: 0
[err]
[exit] 0
`},
		{"no partitions", `{"partitions":[]}`, nil, `[out] Executing records delete operation
[out] Records delete operation completed:
[err]
[exit] 0
`},
		{"an offset beyond the end", `{"partitions":[{"topic":"t","partition":0,"offset":99}]}`, nil, `[out] Executing records delete operation
[out] Records delete operation completed:
[out] partition: t-0	error: org.apache.kafka.common.errors.OffsetOutOfRangeException: The requested offset is not within the range of offsets maintained by the server.
[err] * ERROR [AdminClient clientId=*] DeleteRecords request for topic partition t-0 failed due to an unexpected error OFFSET_OUT_OF_RANGE (org.apache.kafka.clients.admin.internals.DeleteRecordsHandler)
[exit] 0
`},
		{"an unknown topic", `{"partitions":[{"topic":"nosuch","partition":0,"offset":1},{"topic":"t","partition":0,"offset":1}]}`, nil, `[out] Executing records delete operation
[out] Records delete operation completed:
[out] partition: t-0	low_watermark: 1
[out] partition: nosuch-0	error: org.apache.kafka.common.errors.TimeoutException: *
[err]
[exit] 0
`},
		{"a leader that is elected later", `{"partitions":[{"topic":"t","partition":0,"offset":2}]}`, func(s *scripted) { s.electing = 1 }, `[out] Executing records delete operation
[out] Records delete operation completed:
[out] partition: t-0	low_watermark: 2
[err]
[exit] 0
`},
		{"a partition without a leader", `{"partitions":[{"topic":"u","partition":1,"offset":2}]}`, nil, `[out] Executing records delete operation
[out] Records delete operation completed:
[out] partition: u-1	error: org.apache.kafka.common.errors.TimeoutException: *
[err]
[exit] 0
`},
		{"a topic that may not be changed", `{"partitions":[{"topic":"t","partition":0,"offset":2}]}`, func(s *scripted) { s.errors["t"] = protocol.TopicAuthorizationFailed }, `[out] Executing records delete operation
[out] Records delete operation completed:
[out] partition: t-0	error: org.apache.kafka.common.errors.TopicAuthorizationException: Topic authorization failed.
[err] * ERROR [AdminClient clientId=*] DeleteRecords request for topic partition t-0 failed due to an error TOPIC_AUTHORIZATION_FAILED (org.apache.kafka.clients.admin.internals.DeleteRecordsHandler)
[exit] 0
`},
		{"a policy violation", `{"partitions":[{"topic":"t","partition":1,"offset":2}]}`, func(s *scripted) { s.errors["t"] = protocol.PolicyViolation }, `[out] Executing records delete operation
[out] Records delete operation completed:
[out] partition: t-1	error: org.apache.kafka.common.errors.PolicyViolationException: Request parameters do not satisfy the configured policy.
[err] * ERROR [AdminClient clientId=*] DeleteRecords request for topic partition t-1 failed due to an unexpected error POLICY_VIOLATION (org.apache.kafka.clients.admin.internals.DeleteRecordsHandler)
[exit] 0
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted()
			if test.prepare != nil {
				test.prepare(s)
			}
			files := map[string]string{"offsets.json": test.json, "short.properties": "default.api.timeout.ms={T}\nrequest.timeout.ms=250\n"}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: DeleteRecordsTool, Args: "--bootstrap-server {B} --offset-json-file {F}/offsets.json --command-config {F}/short.properties"}, files, s.answer)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}

// dirWith returns a directory with the given replicas, written as topic-partition:size:lag, and with
// a + for a future replica.
func dirWith(path string, code protocol.ErrorCode, replicas ...string) kmsg.DescribeLogDirsResponseDir {
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.ErrorCode = path, int16(code)
	for _, text := range replicas {
		fields := strings.Split(strings.TrimPrefix(text, "+"), ":")
		topic := kmsg.NewDescribeLogDirsResponseDirTopic()
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		topic.Topic = fields[0][:1]
		p.Partition, p.Size, p.OffsetLag, p.IsFuture = int32(fields[0][2]-'0'), int64(len(fields[1])), int64(len(fields[2])), text[0] == '+'
		topic.Partitions = append(topic.Partitions, p)
		dir.Topics = append(dir.Topics, topic)
	}
	return dir
}

func TestLogDirectoriesArePrintedAsJSON(t *testing.T) {
	dirs := func(s *scripted) {
		s.dirs[0] = []kmsg.DescribeLogDirsResponseDir{dirWith("/a", 0, "t-0:xxx:", "u-0:x:"), dirWith("/b", 0, "+t-0:xx:yyy")}
		s.dirs[1] = []kmsg.DescribeLogDirsResponseDir{dirWith("/c", protocol.KafkaStorageError), dirWith("/d", 0, "t-1::")}
	}
	for _, test := range []struct {
		name, args string
		prepare    func(s *scripted)
		refused    protocol.ErrorCode
		want       string
	}{
		{"all brokers", "", dirs, 0, `[out] Querying brokers for log directories information
[out] Received log directory information from brokers 0,1
[out] {"brokers":[{"broker":0,"logDirs":[{"partitions":[{"partition":"t-0","size":3,"offsetLag":0,"isFuture":false},{"partition":"u-0","size":1,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/a"},{"partitions":[{"partition":"t-0","size":2,"offsetLag":3,"isFuture":true}],"error":null,"logDir":"/b"}]},{"broker":1,"logDirs":[{"partitions":[],"error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/c"},{"partitions":[{"partition":"t-1","size":0,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/d"}]}],"version":1}
[err]
[exit] 0
`},
		{"one broker", "--broker-list 1", dirs, 0, `[out] Querying brokers for log directories information
[out] Received log directory information from brokers 1
[out] {"brokers":[{"broker":1,"logDirs":[{"partitions":[],"error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/c"},{"partitions":[{"partition":"t-1","size":0,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/d"}]}],"version":1}
[err]
[exit] 0
`},
		{"some topics", "--topic-list t,nosuch", dirs, 0, `[out] Querying brokers for log directories information
[out] Received log directory information from brokers 0,1
[out] {"brokers":[{"broker":0,"logDirs":[{"partitions":[{"partition":"t-0","size":3,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/a"},{"partitions":[{"partition":"t-0","size":2,"offsetLag":3,"isFuture":true}],"error":null,"logDir":"/b"}]},{"broker":1,"logDirs":[{"partitions":[],"error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/c"},{"partitions":[{"partition":"t-1","size":0,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/d"}]}],"version":1}
[err]
[exit] 0
`},
		{"a broker and a topic", "--broker-list 0 --topic-list u", dirs, 0, `[out] Querying brokers for log directories information
[out] Received log directory information from brokers 0
[out] {"brokers":[{"broker":0,"logDirs":[{"partitions":[{"partition":"u-0","size":1,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/a"},{"partitions":[],"error":null,"logDir":"/b"}]}],"version":1}
[err]
[exit] 0
`},
		{"a broker twice", "--broker-list 1,1", dirs, 0, `[out] Querying brokers for log directories information
[out] Received log directory information from brokers 1
[out] {"brokers":[{"broker":1,"logDirs":[{"partitions":[],"error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/c"},{"partitions":[{"partition":"t-1","size":0,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/d"}]}],"version":1}
[err]
[exit] 0
`},
		{"an unknown broker", "--broker-list 0,7,8", dirs, 0, `[out]
[err] ERROR: The given brokers do not exist from --broker-list: 7,8. Current existent brokers: 0,1
[exit] 1
`},
		{"no broker id", "--broker-list x", dirs, 0, `[out]
[err] For input string: "x"
[err] java.lang.NumberFormatException: For input string: "x"
[err]
[exit] 1
`},
		{"no directories", "--broker-list 0", nil, 0, `[out] Querying brokers for log directories information
[out] Received log directory information from brokers 0
[out] {"brokers":[{"broker":0,"logDirs":[]}],"version":1}
[err]
[exit] 0
`},
		{"a refused request", "", dirs, protocol.ClusterAuthorizationFailed, `[out] Querying brokers for log directories information
[err] org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[err]
[exit] 1
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted()
			if test.prepare != nil {
				test.prepare(s)
			}
			asked := int32(0) // the tool asks the brokers in order, and all have the peer's address
			order := []int32{0, 1}
			if strings.HasPrefix(test.args, "--broker-list 1") {
				order = []int32{1}
			}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: LogDirsTool, Args: "--bootstrap-server {B} --describe " + test.args}, nil, func(req kmsg.Request) kmsg.Response {
				if _, is := req.(*kmsg.DescribeLogDirsRequest); is {
					resp := kmsg.NewPtrDescribeLogDirsResponse()
					resp.ErrorCode, resp.Dirs = int16(test.refused), s.dirs[order[asked]]
					asked++
					return resp
				}
				return s.answer(req)
			})
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}

func TestPatternsOfPartitionsSelectLikeInJava(t *testing.T) {
	for _, test := range []struct{ pattern, selected string }{
		{"t", "t-0 t-1 t-2 t-3"},
		{"t:1", "t-1"},
		{"t:1-3", "t-1 t-2"},
		{"t:2-", "t-2 t-3"},
		{"t:-2", "t-0 t-1"},
		{"t:", "t-0 t-1 t-2 t-3"},
		{":3", "t-3 u-3"},
		{"", "t-0 t-1 t-2 t-3 u-0 u-1 u-2 u-3"},
		{".*:0,u:3", "t-0 u-0 u-3"},
		{"t|u:0", "t-0 u-0"},
		{"x", ""},
	} {
		selected, err := topicPartitionPatterns(test.pattern)
		if err != nil {
			t.Errorf("%s: %v", test.pattern, err)
			continue
		}
		var have []string
		for _, topic := range []string{"t", "u"} {
			for p := range int32(4) {
				if selected(topic, p) {
					have = append(have, topic+"-"+string('0'+rune(p)))
				}
			}
		}
		if text := strings.Join(have, " "); text != test.selected {
			t.Errorf("%s selects %s, want %s", test.pattern, text, test.selected)
		}
	}
	for _, bad := range []string{"t:x", "t:1-2-3", "t(:1", "a:b:c"} {
		if _, err := topicPartitionPatterns(bad); err == nil || !strings.Contains(err.Error(), "Invalid rule specification: "+bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
