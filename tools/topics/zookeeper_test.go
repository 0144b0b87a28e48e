package topics

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/internal/zktest"
	"github.com/monedula/monedula/metadata"
)

// inZooKeeper returns a server with two brokers and the topics t, two partitions, and u, which is
// being deleted.
func inZooKeeper(t *testing.T) *zktest.Server {
	t.Helper()
	s := zktest.Start(t)
	for id, rack := range map[string]string{"0": "east", "1": "west"} {
		s.Put(t, "/brokers/ids/"+id, `{"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},"endpoints":["PLAINTEXT://127.0.0.1:9092"],"rack":"`+rack+`","jmx_port":-1,"host":"127.0.0.1","timestamp":"1","port":9092,"version":5,"features":{}}`)
	}
	s.Put(t, "/brokers/topics/t", `{"removing_replicas":{},"partitions":{"0":[0,1],"1":[1,0]},"topic_id":"AAAAAAAAAAAAAAAAAAAAAQ","adding_replicas":{},"version":3}`)
	s.Put(t, "/brokers/topics/t/partitions/0/state", `{"controller_epoch":1,"leader":0,"version":1,"leader_epoch":0,"isr":[0,1]}`)
	s.Put(t, "/brokers/topics/t/partitions/1/state", `{"controller_epoch":1,"leader":-1,"version":1,"leader_epoch":0,"isr":[1]}`)
	s.Put(t, "/brokers/topics/u", `{"version":1,"partitions":{"0":[0]}}`)
	s.Put(t, "/config/topics/t", `{"version":1,"config":{"retention.ms":"1000"}}`)
	s.Put(t, "/config/topics/u", `{"version":1,"config":{}}`)
	s.Put(t, "/config/changes", "")
	s.Put(t, "/admin/delete_topics/u", "")
	return s
}

// The expected output is that of the tool of 2.8.
func TestTopicsAreManagedInZooKeeper(t *testing.T) {
	for _, test := range []struct {
		name, args, want string
		nodes            map[string]string // afterwards; "-": none
	}{
		{"list", "--list", `[out] t
[out] u - marked for deletion
[err]
[exit] 0
`, nil},
		{"describe", "--describe", `[out] Topic: t	*	PartitionCount: 2	ReplicationFactor: 2	Configs: retention.ms=1000
[out] 	Topic: t	Partition: 0	Leader: 0	Replicas: 0,1	Isr: 0,1
[out] 	Topic: t	Partition: 1	Leader: none	Replicas: 1,0	Isr: 1
[out] Topic: u	PartitionCount: 1	ReplicationFactor: 1	Configs: 	MarkedForDeletion: true
[out] 	Topic: u	Partition: 0	Leader: none	Replicas: 0	Isr: 	MarkedForDeletion: true
[err]
[exit] 0
`, nil},
		{"describe one", "--describe --topic t", `[out] Topic: t	*	PartitionCount: 2	ReplicationFactor: 2	Configs: retention.ms=1000
[out] 	Topic: t	Partition: 0	Leader: 0	Replicas: 0,1	Isr: 0,1
[out] 	Topic: t	Partition: 1	Leader: none	Replicas: 1,0	Isr: 1
[err]
[exit] 0
`, nil},
		{"describe a missing topic", "--describe --topic nosuch", `[out] Error while executing topic command : Topic 'nosuch' does not exist as expected
[err] * ERROR java.lang.IllegalArgumentException: Topic 'nosuch' does not exist as expected
[err]  (kafka.admin.TopicCommand$)
[exit] 1
`, nil},
		{"describe a missing topic if it exists", "--describe --topic nosuch --if-exists", `[out]
[err]
[exit] 0
`, nil},
		{"describe unavailable partitions", "--describe --unavailable-partitions", `[out] 	Topic: t	Partition: 1	Leader: none	Replicas: 1,0	Isr: 1
[out] 	Topic: u	Partition: 0	Leader: none	Replicas: 0	Isr: 	MarkedForDeletion: true
[err]
[exit] 0
`, nil},
		{"describe under-replicated partitions", "--describe --under-replicated-partitions", `[out] 	Topic: t	Partition: 1	Leader: none	Replicas: 1,0	Isr: 1
[out] 	Topic: u	Partition: 0	Leader: none	Replicas: 0	Isr: 	MarkedForDeletion: true
[err]
[exit] 0
`, nil},
		{"describe topics with overrides", "--describe --topics-with-overrides", `[out] Topic: t	*	PartitionCount: 2	ReplicationFactor: 2	Configs: retention.ms=1000
[err]
[exit] 0
`, nil},
		{"create with an assignment", "--create --topic n --replica-assignment 0:1,1:0 --config flush.ms=5", `[out] Created topic n.
[err]
[exit] 0
`, map[string]string{"/config/topics/n": `{"version":1,"config":{"flush.ms":"5"}}`}},
		{"create", "--create --topic n --partitions 1 --replication-factor 2", `[out] Created topic n.
[err]
[exit] 0
`, map[string]string{"/config/topics/n": `{"version":1,"config":{}}`}},
		{"create an existing topic", "--create --topic t --partitions 1 --replication-factor 1", `[out] Error while executing topic command : Topic 't' already exists.
[err] * ERROR org.apache.kafka.common.errors.TopicExistsException: Topic 't' already exists.
[err]  (kafka.admin.TopicCommand$)
[exit] 1
`, nil},
		{"create if it does not exist", "--create --topic t --partitions 1 --replication-factor 1 --if-not-exists", `[out]
[err]
[exit] 0
`, nil},
		{"create with too many replicas", "--create --topic n --partitions 1 --replication-factor 3", `[out] Error while executing topic command : Replication factor: 3 larger than available brokers: 2.
[err] * ERROR org.apache.kafka.common.errors.InvalidReplicationFactorException: Replication factor: 3 larger than available brokers: 2.
[err]  (kafka.admin.TopicCommand$)
[exit] 1
`, map[string]string{"/brokers/topics/n": "-"}},
		{"create with an invalid name", "--create --topic a/b --partitions 1 --replication-factor 1", `[out] Error while executing topic command : Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'
[err] * ERROR org.apache.kafka.common.errors.InvalidTopicException: Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'
[err]  (kafka.admin.TopicCommand$)
[exit] 1
`, nil},
		{"create with an invalid configuration", "--create --topic n --partitions 1 --replication-factor 1 --config segment.bytes=1", `[out] Error while executing topic command : Invalid value 1 for configuration segment.bytes: Value must be at least 14
[err] * ERROR org.apache.kafka.common.config.ConfigException: Invalid value 1 for configuration segment.bytes: Value must be at least 14
[err]  (kafka.admin.TopicCommand$)
[exit] 1
`, map[string]string{"/brokers/topics/n": "-"}},
		{"create without partitions", "--create --topic n", `[out]
[err] Missing required argument "[partitions]"
[err] (usage table)
[exit] 1
`, nil},
		{"create with a period", "--create --topic a.b --partitions 1 --replication-factor 1", `[out] WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.
[out] Created topic a.b.
[err]
[exit] 0
`, nil},
		{"add partitions", "--alter --topic t --partitions 3", `[out] WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of the messages will be affected
[out] Adding partitions succeeded!
[err]
[exit] 0
`, nil},
		{"add partitions with an assignment", "--alter --topic t --partitions 3 --replica-assignment 0:1,1:0,1:0", `[out] WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of the messages will be affected
[out] Adding partitions succeeded!
[err]
[exit] 0
`, map[string]string{
			"/brokers/topics/t": `{"partitions":{"0":[0,1],"1":[1,0],"2":[1,0]},"topic_id":"AAAAAAAAAAAAAAAAAAAAAQ","adding_replicas":{},"removing_replicas":{},"version":3}`}},
		{"remove partitions", "--alter --topic t --partitions 1", `[out] WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of the messages will be affected
[out] Error while executing topic command : Topic currently has 2 partitions, which is higher than the requested 1.
[err] * ERROR org.apache.kafka.common.errors.InvalidPartitionsException: Topic currently has 2 partitions, which is higher than the requested 1.
[err]  (kafka.admin.TopicCommand$)
[exit] 1
`, nil},
		{"set a configuration", "--alter --topic t --config flush.ms=5", `[out] WARNING: Altering topic configuration from this script has been deprecated and may be removed in future releases.
[out]          Going forward, please use kafka-configs.sh for this functionality
[out] Updated config for topic t.
[err]
[exit] 0
`, map[string]string{"/config/topics/t": `{"version":1,"config":{"flush.ms":"5","retention.ms":"1000"}}`}},
		{"remove a configuration", "--alter --topic t --delete-config retention.ms", `[out] WARNING: Altering topic configuration from this script has been deprecated and may be removed in future releases.
[out]          Going forward, please use kafka-configs.sh for this functionality
[out] Updated config for topic t.
[err]
[exit] 0
`, map[string]string{"/config/topics/t": `{"version":1,"config":{}}`}},
		{"alter a missing topic", "--alter --topic nosuch --partitions 3", `[out] Error while executing topic command : Topic 'nosuch' does not exist as expected
[err] * ERROR java.lang.IllegalArgumentException: Topic 'nosuch' does not exist as expected
[err]  (kafka.admin.TopicCommand$)
[exit] 1
`, nil},
		{"delete", "--delete --topic t", `[out] Topic t is marked for deletion.
[out] Note: This will have no impact if delete.topic.enable is not set to true.
[err]
[exit] 0
`, map[string]string{"/admin/delete_topics/t": ""}},
		{"delete again", "--delete --topic u", `[out] Topic u is already marked for deletion.
[err]
[exit] 0
`, map[string]string{"/admin/delete_topics/u": ""}},
		{"delete a missing topic", "--delete --topic nosuch", `[out] Error while executing topic command : Topic 'nosuch' does not exist as expected
[err] * ERROR java.lang.IllegalArgumentException: Topic 'nosuch' does not exist as expected
[err]  (kafka.admin.TopicCommand$)
[exit] 1
`, map[string]string{"/admin/delete_topics/nosuch": "-"}},
		{"delete a missing topic if it exists", "--delete --topic nosuch --if-exists", `[out]
[err]
[exit] 0
`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			zookeeper := inZooKeeper(t)
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: "--zookeeper " + zookeeper.Address() + " " + test.args}, nil, func(kmsg.Request) kmsg.Response { return nil })
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			for path, want := range test.nodes {
				node, exists := zookeeper.Get(path)
				if exists != (want != "-") || exists && node != want {
					t.Errorf("%s is %q, %t, want %s", path, node, exists, want)
				}
			}
		})
	}
}

func TestAssignmentsAreParsed(t *testing.T) {
	for text, want := range map[string]string{
		"0":           "[[0]]",
		"0:1,1:0":     "[[0 1] [1 0]]",
		" 0 : 1 ,2:3": "[[0 1] [2 3]]",
		"0:0":         "Partition replica lists may not contain duplicate entries: 0",
		"0:1,2":       "Partition 1 has different replication factor: [2]",
		"0,x":         `For input string: "x"`,
		"":            `For input string: ""`,
	} {
		lists, err := parseAssignment(text)
		have := strings.TrimSpace(formatted(lists))
		if err != nil {
			have = err.Error()
		}
		if have != want {
			t.Errorf("%q: %s, want %s", text, have, want)
		}
	}
}

func formatted(lists [][]metadata.BrokerID) string { return fmt.Sprint(lists) }
