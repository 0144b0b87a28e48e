package reassign

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/internal/zktest"
	"github.com/monedula/monedula/protocol"
)

// scripted is a controller and three brokers. Topic "placed" has two partitions.
type scripted struct {
	toolreplay.Cluster
	running  map[string]string // the reassignments that run: "placed-0" -> "replicas/adding/removing"
	dirs     []string          // the log directories of all replicas: "placed-0 /a", or "placed-0 +/b" for a future one
	failures map[protocol.APIKey]protocol.ErrorCode
	refused  map[string]protocol.ErrorCode // of partitions, in reassignments and moves
	asked    []string
}

func newScripted() *scripted {
	return &scripted{
		Cluster: toolreplay.Cluster{Brokers: []int32{0, 1, 2}, Topics: map[string][]toolreplay.Partition{
			"placed": {{Leader: 0, Replicas: []int32{0}, ISR: []int32{0}}, {Leader: 0, Replicas: []int32{0}, ISR: []int32{0}}},
		}},
		running: map[string]string{}, failures: map[protocol.APIKey]protocol.ErrorCode{}, refused: map[string]protocol.ErrorCode{},
		dirs: []string{"placed-0 /a", "placed-1 /a"},
	}
}

func idsOf(text string) []int32 {
	ids := []int32{}
	for _, c := range text {
		ids = append(ids, int32(c-'0'))
	}
	return ids
}

func (s *scripted) answer(req kmsg.Request) kmsg.Response {
	code := s.failures[protocol.APIKey(req.Key())]
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		return s.Metadata(req)
	case *kmsg.ListPartitionReassignmentsRequest:
		resp := kmsg.NewPtrListPartitionReassignmentsResponse()
		resp.ErrorCode = int16(code)
		for name, text := range s.running {
			topic := kmsg.NewListPartitionReassignmentsResponseTopic()
			topic.Topic = name[:len(name)-2]
			p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			parts := strings.Split(text, "/")
			p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas = int32(name[len(name)-1]-'0'), idsOf(parts[0]), idsOf(parts[1]), idsOf(parts[2])
			topic.Partitions = append(topic.Partitions, p)
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	case *kmsg.AlterPartitionAssignmentsRequest:
		resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
		resp.ErrorCode = int16(code)
		for _, t := range req.Topics {
			topic := kmsg.NewAlterPartitionAssignmentsResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				name := fmt.Sprintf("%s-%d", t.Topic, p.Partition)
				wish := "cancel"
				if p.Replicas != nil {
					wish = fmt.Sprint(p.Replicas)
				}
				s.asked = append(s.asked, name+" "+wish)
				one := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, int16(s.refused[name])
				topic.Partitions = append(topic.Partitions, one)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	case *kmsg.IncrementalAlterConfigsRequest:
		resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
		for _, r := range req.Resources {
			for _, c := range r.Configs {
				value := ""
				if c.Value != nil {
					value = "=" + *c.Value
				}
				s.asked = append(s.asked, fmt.Sprintf("%v %s %v %s%s", r.ResourceType, r.ResourceName, c.Op, c.Name, value))
			}
			one := kmsg.NewIncrementalAlterConfigsResponseResource()
			one.ResourceType, one.ResourceName, one.ErrorCode = r.ResourceType, r.ResourceName, int16(code)
			resp.Resources = append(resp.Resources, one)
		}
		return resp
	case *kmsg.DescribeLogDirsRequest:
		resp := kmsg.NewPtrDescribeLogDirsResponse()
		for _, text := range s.dirs {
			name, path, _ := strings.Cut(text, " ")
			asked := slices.ContainsFunc(req.Topics, func(t kmsg.DescribeLogDirsRequestTopic) bool {
				return t.Topic == name[:len(name)-2] && slices.Contains(t.Partitions, int32(name[len(name)-1]-'0'))
			})
			if req.Topics != nil && !asked {
				continue
			}
			dir := kmsg.NewDescribeLogDirsResponseDir()
			dir.Dir, dir.ErrorCode = strings.TrimPrefix(path, "+"), int16(code)
			topic := kmsg.NewDescribeLogDirsResponseDirTopic()
			topic.Topic = name[:len(name)-2]
			p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
			p.Partition, p.IsFuture = int32(name[len(name)-1]-'0'), path[0] == '+'
			topic.Partitions = append(topic.Partitions, p)
			dir.Topics = append(dir.Topics, topic)
			resp.Dirs = append(resp.Dirs, dir)
		}
		return resp
	case *kmsg.AlterReplicaLogDirsRequest:
		resp := kmsg.NewPtrAlterReplicaLogDirsResponse()
		for _, d := range req.Dirs {
			for _, t := range d.Topics {
				topic := kmsg.NewAlterReplicaLogDirsResponseTopic()
				topic.Topic = t.Topic
				for _, n := range t.Partitions {
					name := fmt.Sprintf("%s-%d", t.Topic, n)
					s.asked = append(s.asked, name+" to "+d.Dir)
					p := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
					p.Partition, p.ErrorCode = n, int16(s.refused[name])
					topic.Partitions = append(topic.Partitions, p)
				}
				resp.Topics = append(resp.Topics, topic)
			}
		}
		return resp
	}
	return nil
}

func fail(key protocol.APIKey, code protocol.ErrorCode) func(s *scripted) {
	return func(s *scripted) { s.failures[key] = code }
}

func refuse(partition string, code protocol.ErrorCode) func(s *scripted) {
	return func(s *scripted) { s.refused[partition] = code }
}

func running(partition, text string) func(s *scripted) {
	return func(s *scripted) { s.running[partition] = text }
}

func dirs(all ...string) func(s *scripted) { return func(s *scripted) { s.dirs = all } }

var scriptedFiles = map[string]string{
	"to1.json":      `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[1]}]}`,
	"both.json":     `{"partitions":[{"topic":"placed","partition":0,"replicas":[1,0]},{"topic":"placed","partition":1,"replicas":[2]}]}`,
	"same.json":     `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0]}]}`,
	"dir.json":      `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["/b"]}]}`,
	"samedir.json":  `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["/a"]}]}`,
	"nosuch.json":   `{"version":1,"partitions":[{"topic":"nosuch","partition":0,"replicas":[0]}]}`,
	"noparts.json":  `{"version":1,"partitions":[{"topic":"placed","partition":7,"replicas":[0]}]}`,
	"nobroker.json": `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[7]}]}`,
	"negative.json": `{"version":1,"partitions":[{"topic":"placed","partition":-1,"replicas":[0]}]}`,
	"topics.json":   `{"version":1,"topics":[{"topic":"placed"}]}`,
	"notopics.json": `{"version":1,"topics":[{"topic":"nosuch"}]}`,
}

func TestPartitionsAreReassignedLikeByTheRealTool(t *testing.T) {
	const execute, verify, cancel = "--execute --reassignment-json-file {F}/", "--verify --reassignment-json-file {F}/", "--cancel --reassignment-json-file {F}/"
	for _, test := range []struct {
		name, args string
		prepare    func(s *scripted)
		asked      string
		want       string
	}{
		{"no reassignments", "--list", nil, "", `[out] No partition reassignments found.
[err]
[exit] 0
`},
		{"list", "--list", running("placed-1", "120/12/0"), "", `[out] Current partition reassignments:
[out] placed-1: replicas: 1,2,0. adding: 1,2. removing: 0.
[err]
[exit] 0
`},
		{"list is refused", "--list", fail(protocol.ListPartitionReassignments, protocol.ClusterAuthorizationFailed), "", `[out] Error: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[out] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[out]
[err]
[exit] 1
`},

		{"generate for one broker", "--generate --topics-to-move-json-file {F}/topics.json --broker-list 2", nil, "", `[out] Current partition replica assignment
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]},{"topic":"placed","partition":1,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Proposed partition reassignment configuration
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[2],"log_dirs":["any"]},{"topic":"placed","partition":1,"replicas":[2],"log_dirs":["any"]}]}
[err]
[exit] 0
`},
		{"generate for an unknown topic", "--generate --topics-to-move-json-file {F}/notopics.json --broker-list 1", nil, "", `[out] Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Topic nosuch not found.
[out] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Topic nosuch not found.
[out]
[err]
[exit] 1
`},
		{"generate for an unknown broker", "--generate --topics-to-move-json-file {F}/topics.json --broker-list 7", nil, "", `[out] Error: Replication factor: 1 larger than available brokers: 0.
[out] org.apache.kafka.common.errors.InvalidReplicationFactorException: Replication factor: 1 larger than available brokers: 0.
[out]
[err]
[exit] 1
`},
		{"generate with some racks", "--generate --topics-to-move-json-file {F}/topics.json --broker-list 0,1", func(s *scripted) { s.Racks = map[int32]string{0: "east"} }, "", `[out] Error: Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.
[out] org.apache.kafka.server.common.AdminOperationException: Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.
[out]
[err]
[exit] 1
`},
		{"generate without racks", "--generate --topics-to-move-json-file {F}/topics.json --broker-list 1 --disable-rack-aware", func(s *scripted) { s.Racks = map[int32]string{0: "east"} }, "", `[out] Current partition replica assignment
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]},{"topic":"placed","partition":1,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Proposed partition reassignment configuration
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[1],"log_dirs":["any"]},{"topic":"placed","partition":1,"replicas":[1],"log_dirs":["any"]}]}
[err]
[exit] 0
`},

		{"execute", execute + "to1.json", nil, "placed-0 [1]", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Successfully started partition reassignment for placed-0
[err]
[exit] 0
`},
		{"execute for several partitions", execute + "both.json", nil, "placed-0 [1 0]; placed-1 [2]", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]},{"topic":"placed","partition":1,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Successfully started partition reassignments for placed-0,placed-1
[err]
[exit] 0
`},
		{"execute with a throttle", execute + "to1.json --throttle 1000", nil, "BROKER 0 SET follower.replication.throttled.rate=1000; BROKER 0 SET leader.replication.throttled.rate=1000; BROKER 1 SET follower.replication.throttled.rate=1000; BROKER 1 SET leader.replication.throttled.rate=1000; TOPIC placed SET follower.replication.throttled.replicas=0:1; TOPIC placed SET leader.replication.throttled.replicas=0:0; placed-0 [1]", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.
[out] The inter-broker throttle limit was set to 1000 B/s
[out] Successfully started partition reassignment for placed-0
[err]
[exit] 0
`},
		{"execute while others run", execute + "to1.json", running("placed-1", "10/1/0"), "", `[out] Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the throttle by resubmitting the current reassignment.
[err]
[exit] 1
`},
		{"execute in addition", execute + "to1.json --additional", running("placed-1", "10/1/0"), "placed-0 [1]", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Successfully started partition reassignment for placed-0
[err]
[exit] 0
`},
		{"execute in addition with a throttle", execute + "to1.json --additional --throttle 7", running("placed-1", "10/1/0"), "BROKER 0 SET follower.replication.throttled.rate=7; BROKER 0 SET leader.replication.throttled.rate=7; BROKER 1 SET follower.replication.throttled.rate=7; BROKER 1 SET leader.replication.throttled.rate=7; TOPIC placed SET follower.replication.throttled.replicas=0:1,1:1; TOPIC placed SET leader.replication.throttled.replicas=0:0,1:0; placed-0 [1]", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.
[out] The inter-broker throttle limit was set to 7 B/s
[out] Successfully started partition reassignment for placed-0
[err]
[exit] 0
`},
		{"execute for an unknown topic", execute + "nosuch.json", nil, "", `[out] Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Topic nosuch not found.
[out] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Topic nosuch not found.
[out]
[err]
[exit] 1
`},
		{"execute for an unknown partition", execute + "noparts.json", nil, "", `[out] Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Unable to find partition: placed-7
[out] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Unable to find partition: placed-7
[out]
[err]
[exit] 1
`},
		{"execute for an unknown broker", execute + "nobroker.json", nil, "", `[out] Error: Unknown broker id 7
[out] org.apache.kafka.server.common.AdminCommandFailedException: Unknown broker id 7
[out]
[err]
[exit] 1
`},
		{"execute for a negative partition", execute + "negative.json", nil, "", `[out] Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Unable to find partition: placed--1
[out] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Unable to find partition: placed--1
[out]
[err]
[exit] 1
`},
		{"a partition is refused", execute + "both.json", refuse("placed-1", protocol.InvalidReplicaAssignment), "placed-0 [1 0]; placed-1 [2]", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]},{"topic":"placed","partition":1,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Error reassigning partition(s):
[out] placed-1: Replica assignment is invalid.
[err]
[exit] 1
`},
		{"all partitions are refused", execute + "to1.json", fail(protocol.AlterPartitionReassignments, protocol.ClusterAuthorizationFailed), "placed-0 [1]", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Error reassigning partition(s):
[out] placed-0: Cluster authorization failed.
[err]
[exit] 1
`},
		{"a throttle is refused", execute + "to1.json --throttle 1000", fail(protocol.IncrementalAlterConfigs, protocol.ClusterAuthorizationFailed), "TOPIC placed SET follower.replication.throttled.replicas=0:1; TOPIC placed SET leader.replication.throttled.replicas=0:0", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.
[out] Error: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[out] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Cluster authorization failed.
[out]
[err]
[exit] 1
`},
		{"move to a directory", execute + "dir.json --timeout 200", dirs("placed-0 /a"), "placed-0 [0]; placed-0 to /b", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Successfully started partition reassignment for placed-0
[out] Successfully started moving log directory to /b for replica placed-0 with broker 0
[err]
[exit] 0
`},
		{"move to a directory with a throttle", execute + "dir.json --replica-alter-log-dirs-throttle 5", dirs("placed-0 /a", "placed-0 +/b"), "BROKER 0 SET replica.alter.log.dirs.io.max.bytes.per.second=5; placed-0 [0]; placed-0 to /b", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.
[out] The replica-alter-dir throttle limit was set to 5 B/s
[out] Successfully started partition reassignment for placed-0
[out] Successfully started moving log directory to /b for replica placed-0 with broker 0
[err]
[exit] 0
`},
		{"move to an offline directory", execute + "dir.json", refuse("placed-0", protocol.KafkaStorageError), "placed-0 [0]", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Error reassigning partition(s):
[out] placed-0: Disk error when trying to access log file on the disk.
[err]
[exit] 1
`},
		{"move to an unknown directory", execute + "dir.json --timeout 200", refuse("placed-0", protocol.LogDirNotFound), "placed-0 [0]", `[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Error reassigning partition(s):
[out] placed-0: The user-specified log directory is not found in the broker config.
[err]
[exit] 1
`},

		{"verify what has happened", verify + "same.json", nil, "BROKER 0 DELETE follower.replication.throttled.rate; BROKER 0 DELETE leader.replication.throttled.rate; BROKER 0 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 1 DELETE follower.replication.throttled.rate; BROKER 1 DELETE leader.replication.throttled.rate; BROKER 1 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 2 DELETE follower.replication.throttled.rate; BROKER 2 DELETE leader.replication.throttled.rate; BROKER 2 DELETE replica.alter.log.dirs.io.max.bytes.per.second; TOPIC placed DELETE follower.replication.throttled.replicas; TOPIC placed DELETE leader.replication.throttled.replicas", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out]
[out] Clearing broker-level throttles on brokers 0,1,2
[out] Clearing topic-level throttles on topic placed
[err]
[exit] 0
`},
		{"verify what has not happened", verify + "to1.json", nil, "BROKER 0 DELETE follower.replication.throttled.rate; BROKER 0 DELETE leader.replication.throttled.rate; BROKER 0 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 1 DELETE follower.replication.throttled.rate; BROKER 1 DELETE leader.replication.throttled.rate; BROKER 1 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 2 DELETE follower.replication.throttled.rate; BROKER 2 DELETE leader.replication.throttled.rate; BROKER 2 DELETE replica.alter.log.dirs.io.max.bytes.per.second; TOPIC placed DELETE follower.replication.throttled.replicas; TOPIC placed DELETE leader.replication.throttled.replicas", `[out] Status of partition reassignment:
[out] There is no active reassignment of partition placed-0, but replica set is 0 rather than 1.
[out]
[out] Clearing broker-level throttles on brokers 0,1,2
[out] Clearing topic-level throttles on topic placed
[err]
[exit] 0
`},
		{"verify what is happening", verify + "to1.json", running("placed-0", "10/1/0"), "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is still in progress.
[out]
[err]
[exit] 0
`},
		{"verify while others run", verify + "same.json", running("placed-1", "10/1/0"), "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out]
[err]
[exit] 0
`},
		{"verify and keep the throttles", verify + "same.json --preserve-throttles", nil, "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out]
[err]
[exit] 0
`},
		{"verify an unknown topic", verify + "nosuch.json", nil, "BROKER 0 DELETE follower.replication.throttled.rate; BROKER 0 DELETE leader.replication.throttled.rate; BROKER 0 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 1 DELETE follower.replication.throttled.rate; BROKER 1 DELETE leader.replication.throttled.rate; BROKER 1 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 2 DELETE follower.replication.throttled.rate; BROKER 2 DELETE leader.replication.throttled.rate; BROKER 2 DELETE replica.alter.log.dirs.io.max.bytes.per.second; TOPIC nosuch DELETE follower.replication.throttled.replicas; TOPIC nosuch DELETE leader.replication.throttled.replicas", `[out] Status of partition reassignment:
[out] There is no active reassignment of partition nosuch-0, but replica set is  rather than 0.
[out]
[out] Clearing broker-level throttles on brokers 0,1,2
[out] Clearing topic-level throttles on topic nosuch
[err]
[exit] 0
`},
		{"verify a move that has ended", verify + "samedir.json --preserve-throttles", nil, "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out] Reassignment of replica placed-0-0 completed successfully.
[err]
[exit] 0
`},
		{"verify a move that runs", verify + "dir.json", dirs("placed-0 /a", "placed-0 +/b"), "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out] Reassignment of replica placed-0-0 is still in progress.
[err]
[exit] 0
`},
		{"verify a move to elsewhere", verify + "dir.json", dirs("placed-0 /a", "placed-0 +/c"), "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out] Partition placed-0 on broker 0 is being moved to log dir /c instead of /b.
[err]
[exit] 0
`},
		{"verify a move that was not started", verify + "dir.json --preserve-throttles", nil, "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out] Partition placed-0 on broker 0 is not being moved from log dir /a to /b.
[err]
[exit] 0
`},
		{"verify a replica that is nowhere", verify + "dir.json --preserve-throttles", dirs("placed-1 /a"), "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out] Partition placed-0 is not found in any live log dir on broker 0. There is likely an offline log directory on the broker.
[err]
[exit] 0
`},
		{"verify with an offline directory", verify + "dir.json --preserve-throttles", fail(protocol.DescribeLogDirs, protocol.KafkaStorageError), "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out] Partition placed-0 is not found in any live log dir on broker 0. There is likely an offline log directory on the broker.
[err]
[exit] 0
`},
		{"verify is refused", verify + "dir.json --preserve-throttles", fail(protocol.DescribeLogDirs, protocol.ClusterAuthorizationFailed), "", `[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is completed.
[out] Error: java.lang.IllegalStateException: The error org.apache.kafka.common.errors.ClusterAuthorizationException for log directory /a in the response from broker 0 is illegal
[out] java.util.concurrent.ExecutionException: java.lang.IllegalStateException: The error org.apache.kafka.common.errors.ClusterAuthorizationException for log directory /a in the response from broker 0 is illegal
[out]
[err]
[exit] 1
`},

		{"cancel", cancel + "to1.json", running("placed-0", "10/1/0"), "BROKER 0 DELETE follower.replication.throttled.rate; BROKER 0 DELETE leader.replication.throttled.rate; BROKER 0 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 1 DELETE follower.replication.throttled.rate; BROKER 1 DELETE leader.replication.throttled.rate; BROKER 1 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 2 DELETE follower.replication.throttled.rate; BROKER 2 DELETE leader.replication.throttled.rate; BROKER 2 DELETE replica.alter.log.dirs.io.max.bytes.per.second; TOPIC placed DELETE follower.replication.throttled.replicas; TOPIC placed DELETE leader.replication.throttled.replicas; placed-0 cancel", `[out] Successfully cancelled partition reassignment for: placed-0
[out] None of the specified partition moves are active.Clearing broker-level throttles on brokers 0,1,2
[out] Clearing topic-level throttles on topic placed
[err]
[exit] 0
`},
		{"cancel what does not run", cancel + "to1.json", nil, "BROKER 0 DELETE follower.replication.throttled.rate; BROKER 0 DELETE leader.replication.throttled.rate; BROKER 0 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 1 DELETE follower.replication.throttled.rate; BROKER 1 DELETE leader.replication.throttled.rate; BROKER 1 DELETE replica.alter.log.dirs.io.max.bytes.per.second; BROKER 2 DELETE follower.replication.throttled.rate; BROKER 2 DELETE leader.replication.throttled.rate; BROKER 2 DELETE replica.alter.log.dirs.io.max.bytes.per.second; TOPIC placed DELETE follower.replication.throttled.replicas; TOPIC placed DELETE leader.replication.throttled.replicas", `[out] None of the specified partition reassignments are active.
[out] None of the specified partition moves are active.Clearing broker-level throttles on brokers 0,1,2
[out] Clearing topic-level throttles on topic placed
[err]
[exit] 0
`},
		{"cancel and keep the throttles", cancel + "to1.json --preserve-throttles", running("placed-0", "10/1/0"), "placed-0 cancel", `[out] Successfully cancelled partition reassignment for: placed-0
[out] None of the specified partition moves are active.
[err]
[exit] 0
`},
		{"cancel is refused", cancel + "to1.json", func(s *scripted) {
			s.running["placed-0"], s.refused["placed-0"] = "10/1/0", protocol.NoReassignmentInProgress
		}, "placed-0 cancel", `[out] Error cancelling partition reassignment for:
[out] placed-0: No partition reassignment is in progress.
[err]
[exit] 1
`},
		{"cancel a move", cancel + "dir.json --preserve-throttles", dirs("placed-0 /a", "placed-0 +/b"), "placed-0 to /a", `[out] None of the specified partition reassignments are active.
[out] Successfully started moving log directory to /a for replica placed-0 with broker 0
[err]
[exit] 0
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted()
			if test.prepare != nil {
				test.prepare(s)
			}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: "--bootstrap-server {B} " + test.args}, scriptedFiles, s.answer)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			slices.Sort(s.asked)
			if asked := strings.Join(slices.Compact(s.asked), "; "); asked != test.asked {
				t.Errorf("asked %q, want %q", asked, test.asked)
			}
		})
	}
}

// With --zookeeper, the tool of 2.8 asks the controller by a node.
func TestReassignmentsAreRequestedInZooKeeper(t *testing.T) {
	const path = "/admin/reassign_partitions"
	for _, test := range []struct {
		name, args, before string
		node               string // the node afterwards; "": none
		want               string
	}{
		{"generate", "--generate --topics-to-move-json-file {F}/topics.json --broker-list 1", "", "", `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Current partition replica assignment
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]},{"topic":"placed","partition":1,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Proposed partition reassignment configuration
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[1],"log_dirs":["any"]},{"topic":"placed","partition":1,"replicas":[1],"log_dirs":["any"]}]}
[err]
[exit] 0
`},
		{"execute", "--execute --reassignment-json-file {F}/to1.json", "", "{\"version\":1,\"partitions\":[{\"topic\":\"placed\",\"partition\":0,\"replicas\":[1]}]}", `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Successfully started partition reassignment for placed-0
[err]
[exit] 0
`},
		{"execute with a throttle", "--execute --reassignment-json-file {F}/to1.json --throttle 1000", "", "{\"version\":1,\"partitions\":[{\"topic\":\"placed\",\"partition\":0,\"replicas\":[1]}]}", `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Current partition replica assignment
[out]
[out] {"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[0],"log_dirs":["any"]}]}
[out]
[out] Save this to use as the --reassignment-json-file option during rollback
[out] Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.
[out] The inter-broker throttle limit was set to 1000 B/s
[out] Successfully started partition reassignment for placed-0
[err]
[exit] 0
`},
		{"execute while one runs", "--execute --reassignment-json-file {F}/to1.json", `{"version":1,"partitions":[{"topic":"placed","partition":1,"replicas":[1]}]}`, `{"version":1,"partitions":[{"topic":"placed","partition":1,"replicas":[1]}]}`, `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the throttle by resubmitting the current reassignment.
[err]
[exit] 1
`},
		{"execute for an unknown topic", "--execute --reassignment-json-file {F}/nosuch.json", "", "", `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Error: The proposed assignment contains non-existent partitions: List(nosuch-0)
[out] kafka.common.AdminCommandFailedException: The proposed assignment contains non-existent partitions: List(nosuch-0)
[out]
[err]
[exit] 1
`},
		{"execute for an unknown partition", "--execute --reassignment-json-file {F}/noparts.json", "", "", `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Error: The proposed assignment contains non-existent partitions: List(placed-7)
[out] kafka.common.AdminCommandFailedException: The proposed assignment contains non-existent partitions: List(placed-7)
[out]
[err]
[exit] 1
`},
		{"execute for an unknown broker", "--execute --reassignment-json-file {F}/nobroker.json", "", "", `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Error: The proposed assignment contains non-existent brokerIDs: 7
[out] kafka.common.AdminCommandFailedException: The proposed assignment contains non-existent brokerIDs: 7
[out]
[err]
[exit] 1
`},
		{"verify what has happened", "--verify --reassignment-json-file {F}/same.json", "", "", `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Warning: because you are using the deprecated --zookeeper option, the results may be incomplete.  Use --bootstrap-server instead for more accurate results.
[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is complete.
[out] Clearing broker-level throttles on brokers 0,1
[out] Clearing topic-level throttles on topic placed
[err]
[exit] 0
`},
		{"verify what has not happened", "--verify --reassignment-json-file {F}/to1.json", "", "", `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Warning: because you are using the deprecated --zookeeper option, the results may be incomplete.  Use --bootstrap-server instead for more accurate results.
[out] Status of partition reassignment:
[out] There is no active reassignment of partition placed-0, but replica set is 0 rather than 1.
[out] Clearing broker-level throttles on brokers 0,1
[out] Clearing topic-level throttles on topic placed
[err]
[exit] 0
`},
		{"verify what is happening", "--verify --reassignment-json-file {F}/to1.json", `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[1]}]}`, `{"version":1,"partitions":[{"topic":"placed","partition":0,"replicas":[1]}]}`, `[out] Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.
[out] Warning: because you are using the deprecated --zookeeper option, the results may be incomplete.  Use --bootstrap-server instead for more accurate results.
[out] Status of partition reassignment:
[out] Reassignment of partition placed-0 is still in progress.
[err]
[exit] 0
`},
		{"an option of newer releases", "--execute --reassignment-json-file {F}/to1.json --additional", "", "", `[out]
[err] Exception in thread "main" java.lang.RuntimeException: You must specify --bootstrap-server when using "[additional]"
[exit] 1
`},
		{"cancel", "--cancel --reassignment-json-file {F}/to1.json", "", "", `[out]
[err] Option "[zookeeper]" can't be used with action "[cancel]"
[err] (usage table)
[exit] 1
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			zookeeper := zktest.Start(t)
			for _, id := range []string{"0", "1"} {
				zookeeper.Put(t, "/brokers/ids/"+id, `{"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},"endpoints":["PLAINTEXT://127.0.0.1:9092"],"jmx_port":-1,"host":"127.0.0.1","timestamp":"1","port":9092,"version":4}`)
			}
			zookeeper.Put(t, "/brokers/topics/placed", `{"version":1,"partitions":{"0":[0],"1":[0]}}`)
			for _, empty := range []string{"/admin", "/config/changes", "/config/brokers", "/config/topics"} {
				zookeeper.Put(t, empty, "")
			}
			if test.before != "" {
				zookeeper.Put(t, path, test.before)
			}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: "--zookeeper " + zookeeper.Address() + " " + test.args}, scriptedFiles, func(kmsg.Request) kmsg.Response { return nil })
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			if node, _ := zookeeper.Get(path); node != test.node {
				t.Errorf("asked %q, want %q", node, test.node)
			}
		})
	}
}
