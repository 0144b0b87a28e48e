package election

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/internal/zktest"
	"github.com/monedula/monedula/protocol"
)

// elections answers like a controller. results are the errors of partitions, by topic-partition.
type elections struct {
	results map[string]protocol.ErrorCode
	whole   []protocol.ErrorCode // errors of the next responses as a whole
	asked   []string
}

func (e *elections) answer(req kmsg.Request) kmsg.Response {
	cluster := toolreplay.Cluster{Brokers: []int32{0, 1}}
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		return cluster.Metadata(req)
	case *kmsg.ElectLeadersRequest:
		resp := kmsg.NewPtrElectLeadersResponse()
		if len(e.whole) > 0 {
			resp.ErrorCode, e.whole = int16(e.whole[0]), e.whole[1:]
			return resp
		}
		kind := map[int8]string{0: "preferred", 1: "unclean"}[req.ElectionType]
		if req.Topics == nil {
			e.asked = append(e.asked, kind+" all")
		}
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				e.asked = append(e.asked, kind+" "+t.Topic+"-"+string('0'+rune(p)))
			}
		}
		for name, code := range e.results {
			topic := kmsg.NewElectLeadersResponseTopic()
			topic.Topic = name[:len(name)-2]
			p := kmsg.NewElectLeadersResponseTopicPartition()
			p.Partition, p.ErrorCode = int32(name[len(name)-1]-'0'), int16(code)
			if code == protocol.PreferredLeaderNotAvailable {
				p.ErrorMessage = kmsg.StringPtr("The preferred leader is not available.")
			}
			topic.Partitions = append(topic.Partitions, p)
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	}
	return nil
}

var scriptedFiles = map[string]string{
	"elect.json":       `{"partitions":[{"topic":"t","partition":0},{"topic":"t","partition":1}]}`,
	"electtwice.json":  `{"partitions":[{"topic":"t","partition":0},{"topic":"t","partition":0}]}`,
	"electnosuch.json": `{"partitions":[{"topic":"nosuch","partition":0},{"topic":"t","partition":0}]}`,
	"broken.json":      `{"partitions":[`,
}

func TestLeadersAreElectedLikeByTheRealTool(t *testing.T) {
	const done, unneeded = protocol.None, protocol.ElectionNotNeeded
	for _, test := range []struct {
		name, args string
		answers    elections
		asked      string
		want       string
	}{
		{"one partition", "--election-type preferred --topic t --partition 0", elections{results: map[string]protocol.ErrorCode{"t-0": done}}, "preferred t-0", `[out] Successfully completed leader election (PREFERRED) for partitions t-0
[err]
[exit] 0
`},
		{"a partition with its preferred leader", "--election-type preferred --topic t --partition 0", elections{results: map[string]protocol.ErrorCode{"t-0": unneeded}}, "preferred t-0", `[out] Valid replica already elected for partitions t-0
[err]
[exit] 0
`},
		{"an unavailable replica", "--election-type preferred --topic t --partition 0", elections{results: map[string]protocol.ErrorCode{"t-0": protocol.PreferredLeaderNotAvailable}}, "preferred t-0", `[out] Error completing leader election (PREFERRED) for partition: t-0: org.apache.kafka.common.errors.PreferredLeaderNotAvailableException: The preferred leader is not available.
[err] 1 replica(s) could not be elected
[err] org.apache.kafka.server.common.AdminCommandFailedException: 1 replica(s) could not be elected
[err] 	Suppressed: org.apache.kafka.common.errors.PreferredLeaderNotAvailableException: The preferred leader is not available.
[err]
[exit] 1
`},
		{"partitions of a file", "--election-type PREFERRED --path-to-json-file {F}/elect.json", elections{results: map[string]protocol.ErrorCode{"t-0": done, "t-1": unneeded}}, "preferred t-0; preferred t-1", `[out] Successfully completed leader election (PREFERRED) for partitions t-0
[out] Valid replica already elected for partitions t-1
[err]
[exit] 0
`},
		{"all partitions", "--election-type preferred --all-topic-partitions", elections{results: map[string]protocol.ErrorCode{"t-0": done, "t-1": done, "u-0": done}}, "preferred all", `[out] Successfully completed leader election (PREFERRED) for partitions t-1, t-0, u-0
[err]
[exit] 0
`},
		{"nothing to elect", "--election-type preferred --all-topic-partitions", elections{}, "preferred all", `[out]
[err]
[exit] 0
`},
		{"an unclean election", "--election-type unclean --topic t --partition 1", elections{results: map[string]protocol.ErrorCode{"t-1": protocol.EligibleLeadersNotAvailable}}, "unclean t-1", `[out] Error completing leader election (UNCLEAN) for partition: t-1: org.apache.kafka.common.errors.EligibleLeadersNotAvailableException: Eligible topic partition leaders are not available.
[err] 1 replica(s) could not be elected
[err] org.apache.kafka.server.common.AdminCommandFailedException: 1 replica(s) could not be elected
[err] 	Suppressed: org.apache.kafka.common.errors.EligibleLeadersNotAvailableException: Eligible topic partition leaders are not available.
[err]
[exit] 1
`},
		{"an unknown topic", "--election-type preferred --path-to-json-file {F}/electnosuch.json", elections{results: map[string]protocol.ErrorCode{"t-0": done, "nosuch-0": protocol.UnknownTopicOrPartition}}, "preferred nosuch-0; preferred t-0", `[out] Successfully completed leader election (PREFERRED) for partitions t-0
[out] Error completing leader election (PREFERRED) for partition: nosuch-0: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.
[err] 1 replica(s) could not be elected
[err] org.apache.kafka.server.common.AdminCommandFailedException: 1 replica(s) could not be elected
[err] 	Suppressed: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.
[err]
[exit] 1
`},
		{"several failures", "--election-type preferred --all-topic-partitions", elections{results: map[string]protocol.ErrorCode{"t-0": protocol.PreferredLeaderNotAvailable, "t-1": protocol.UnknownServerError, "u-0": done}}, "preferred all", `[out] Successfully completed leader election (PREFERRED) for partitions u-0
[out] Error completing leader election (PREFERRED) for partition: t-1: org.apache.kafka.common.errors.UnknownServerException: The server experienced an unexpected error when processing the request.
[out] Error completing leader election (PREFERRED) for partition: t-0: org.apache.kafka.common.errors.PreferredLeaderNotAvailableException: The preferred leader is not available.
[err] 2 replica(s) could not be elected
[err] org.apache.kafka.server.common.AdminCommandFailedException: 2 replica(s) could not be elected
[err] 	Suppressed: org.apache.kafka.common.errors.UnknownServerException: The server experienced an unexpected error when processing the request.
[err] 	Suppressed: org.apache.kafka.common.errors.PreferredLeaderNotAvailableException: The preferred leader is not available.
[err]
[exit] 1
`},
		{"a moved controller", "--election-type preferred --topic t --partition 0", elections{whole: []protocol.ErrorCode{protocol.NotController}, results: map[string]protocol.ErrorCode{"t-0": done}}, "preferred t-0", `[out] Successfully completed leader election (PREFERRED) for partitions t-0
[err]
[exit] 0
`},
		{"no permission to elect", "--election-type preferred --topic t --partition 0", elections{whole: []protocol.ErrorCode{protocol.ClusterAuthorizationFailed}}, "", `[out] Not authorized to perform leader election
[err] Not authorized to perform leader election
[err] org.apache.kafka.server.common.AdminCommandFailedException: Not authorized to perform leader election
[err]
[exit] 1
`},
		{"another error", "--election-type preferred --topic t --partition 0", elections{whole: []protocol.ErrorCode{protocol.InvalidRequest}}, "", `[out]
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.InvalidRequestException: This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.
[err] java.lang.RuntimeException: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.InvalidRequestException: This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.
[err]
[exit] 1
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: LeaderTool, Args: "--bootstrap-server {B} " + test.args}, scriptedFiles, test.answers.answer)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			if asked := strings.Join(test.answers.asked, "; "); asked != test.asked {
				t.Errorf("asked %q, want %q", asked, test.asked)
			}
		})
	}
}

func TestTheToolOf28PrintsOtherTexts(t *testing.T) {
	const done, unneeded = protocol.None, protocol.ElectionNotNeeded
	for _, test := range []struct {
		name, args string
		answers    elections
		want       string
	}{
		{"partitions of a file", "--bootstrap-server {B} --path-to-json-file {F}/elect.json", elections{results: map[string]protocol.ErrorCode{"t-0": done, "t-1": unneeded}}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[out] Successfully completed preferred leader election for partitions t-0
[out] Preferred replica already elected for partitions t-0
[err]
[exit] 0
`},
		{"all partitions", "--bootstrap-server {B}", elections{results: map[string]protocol.ErrorCode{"t-0": done}}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[out] Successfully completed preferred leader election for partitions t-0
[err]
[exit] 0
`},
		{"a failure", "--bootstrap-server {B} --path-to-json-file {F}/electnosuch.json", elections{results: map[string]protocol.ErrorCode{"t-0": done, "nosuch-0": protocol.UnknownTopicOrPartition}}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[out] Successfully completed preferred leader election for partitions t-0
[out] Error completing preferred leader election for partition: nosuch-0: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.
[err] Exception in thread "main" kafka.common.AdminCommandFailedException: 1 preferred replica(s) could not be elected
[err] 	Suppressed: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.
[exit] 1
`},
		{"no permission to elect", "--bootstrap-server {B}", elections{whole: []protocol.ErrorCode{protocol.ClusterAuthorizationFailed}}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[out] Not authorized to perform leader election
[err] Exception in thread "main" kafka.common.AdminCommandFailedException: Not authorized to perform leader election
[exit] 1
`},
		{"another error", "--bootstrap-server {B}", elections{whole: []protocol.ErrorCode{protocol.InvalidRequest}}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] Exception in thread "main" java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.InvalidRequestException: This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.
[exit] 1
`},
		{"duplicates", "--bootstrap-server {B} --path-to-json-file {F}/electtwice.json", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] Exception in thread "main" kafka.admin.AdminOperationException: Preferred replica election data contains duplicate partitions: t-0
[exit] 1
`},
		{"a broken file", "--bootstrap-server {B} --path-to-json-file {F}/broken.json", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] Exception in thread "main" kafka.admin.AdminOperationException: Preferred replica election data is empty
[exit] 1
`},
		{"a missing file", "--bootstrap-server {B} --path-to-json-file {F}/absent.json", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] Exception in thread "main" java.io.IOException: Unable to read file */absent.json
[exit] 1
`},
		{"two servers", "--bootstrap-server {B} --zookeeper {R}", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] Exactly one of '[bootstrap-server]' or '[zookeeper]' must be provided
[err] (usage table)
[exit] 1
`},
		{"no server", "--path-to-json-file {F}/elect.json", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] Exactly one of '[bootstrap-server]' or '[zookeeper]' must be provided
[err] (usage table)
[exit] 1
`},
		{"a configuration without a broker", "--zookeeper {R} --admin.config {F}/absent", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] Exception in thread "main" joptsimple.UnavailableOptionException: Option(s) [admin.config] are unavailable given other options on the command line
[exit] 1
`},
		{"an unknown option", "--bootstrap-server {B} --nosuch", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] Exception in thread "main" joptsimple.UnrecognizedOptionException: nosuch is not a recognized option
[exit] 1
`},
		{"an option twice", "--bootstrap-server {B} --bootstrap-server {B}", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] Exception in thread "main" joptsimple.MultipleArgumentsForOptionException: Found multiple arguments for option bootstrap-server, but you asked for only one
[exit] 1
`},
		{"no arguments", "", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[err] This tool helps to causes leadership for each partition to be transferred back to the 'preferred replica', it can be used to balance leadership among the servers.
[err] (usage table)
[exit] 1
`},
		{"the version", "--version", elections{}, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[out] 3.9.1
[err]
[exit] 0
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: PreferredTool, Args: test.args}, scriptedFiles, test.answers.answer)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}

// With --zookeeper, the tool of 2.8 asks the controller by a node.
func TestElectionsAreRequestedInZooKeeper(t *testing.T) {
	const path = "/admin/preferred_replica_election"
	for _, test := range []struct {
		name, args, before string
		node               string // the node afterwards
		want               string
	}{
		{"partitions of a file", "--path-to-json-file {F}/elect.json", "", `{"version":1,"partitions":[{"topic":"t","partition":0},{"topic":"t","partition":1}]}`, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Created preferred replica election path with t-0,t-1
[out] Successfully started preferred replica election for partitions Set(t-0, t-1)
[err]
[exit] 0
`},
		{"all partitions in ZooKeeper", "", "", `{"version":1,"partitions":[{"topic":"t","partition":0},{"topic":"t","partition":1},{"topic":"u","partition":0}]}`, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Created preferred replica election path with t-0,t-1,u-0
[out] Successfully started preferred replica election for partitions Set(t-0, t-1, u-0)
[err]
[exit] 0
`},
		{"an unknown partition", "--path-to-json-file {F}/electnosuch.json", "", `{"version":1,"partitions":[{"topic":"t","partition":0}]}`, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[out] Created preferred replica election path with t-0
[out] Successfully started preferred replica election for partitions Set(t-0)
[out] Skipping preferred replica leader election for partition nosuch-0 since it doesn't exist.
[err]
[exit] 0
`},
		{"a running election", "--path-to-json-file {F}/elect.json", `{"version":1,"partitions":[{"topic":"u","partition":0}]}`, `{"version":1,"partitions":[{"topic":"u","partition":0}]}`, `[out] This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405
[out] Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.
[out] Use --bootstrap-server instead to specify a broker to connect to.
[err] Exception in thread "main" kafka.common.AdminCommandFailedException: Admin command failed
[exit] 1
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			zookeeper := zktest.Start(t)
			zookeeper.Put(t, "/brokers/topics/t", `{"version":1,"partitions":{"0":[0,1],"1":[1,0]}}`)
			zookeeper.Put(t, "/brokers/topics/u", `{"version":1,"partitions":{"0":[0]}}`)
			zookeeper.Put(t, "/admin", "")
			if test.before != "" {
				zookeeper.Put(t, path, test.before)
			}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: PreferredTool, Args: "--zookeeper " + zookeeper.Address() + " " + test.args}, scriptedFiles, func(kmsg.Request) kmsg.Response { return nil })
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
			if node, _ := zookeeper.Get(path); node != test.node {
				t.Errorf("the node is %s, want %s", node, test.node)
			}
		})
	}
}
