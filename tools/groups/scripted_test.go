package groups

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/client"
)

// scripted is a cluster with topics t and u and some groups.
type scripted struct {
	toolreplay.Cluster
	groups   map[string]*scriptedGroup
	failures map[protocol.APIKey][]protocol.ErrorCode // the next responses to a key have these errors
	old      bool                                     // brokers are so old that ListGroups reports no states
}

type scriptedGroup struct {
	state, protocolType, assignor string
	members                       []scriptedMember
	committed                     map[client.TopicPartition]int64
	partial                       protocol.ErrorCode // the error of its partitions in commits and deletions
}

type scriptedMember struct {
	id, instance string
	owned        []client.TopicPartition
}

func newScripted() *scripted {
	tp := func(topic string, n int32) client.TopicPartition {
		return client.TopicPartition{Topic: topic, Partition: n}
	}
	return &scripted{
		Cluster: toolreplay.Cluster{Brokers: []int32{0}, Topics: map[string][]toolreplay.Partition{
			"t": {{Leader: 0, Replicas: []int32{0}, ISR: []int32{0}}, {Leader: 0, Replicas: []int32{0}, ISR: []int32{0}}},
			"u": {{Leader: 0, Replicas: []int32{0}, ISR: []int32{0}}},
		}},
		groups: map[string]*scriptedGroup{
			"idle": {state: "Empty", protocolType: "consumer", committed: map[client.TopicPartition]int64{tp("t", 0): 3, tp("t", 1): 10, tp("u", 0): 1}},
			"live": {state: "Stable", protocolType: "consumer", assignor: "range", members: []scriptedMember{
				{"m1", "", []client.TopicPartition{tp("t", 0)}}, {"m2", "static", []client.TopicPartition{tp("t", 1), tp("u", 0)}}, {"m3", "", nil}},
				committed: map[client.TopicPartition]int64{tp("t", 0): 10}},
			"joining": {state: "PreparingRebalance", protocolType: "consumer", members: []scriptedMember{{"m4", "", nil}}, committed: map[client.TopicPartition]int64{}},
			"dead":    {state: "Dead", protocolType: "", committed: map[client.TopicPartition]int64{}},
			"workers": {state: "Stable", protocolType: "connect", committed: map[client.TopicPartition]int64{}},
		},
		failures: map[protocol.APIKey][]protocol.ErrorCode{},
	}
}

func (s *scripted) failure(key int16) protocol.ErrorCode {
	queue := s.failures[protocol.APIKey(key)]
	if len(queue) == 0 {
		return protocol.None
	}
	s.failures[protocol.APIKey(key)] = queue[1:]
	return queue[0]
}

func (s *scripted) answer(req kmsg.Request) kmsg.Response {
	code := int16(s.failure(req.Key()))
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		return s.Metadata(req)
	case *kmsg.FindCoordinatorRequest:
		resp := kmsg.NewPtrFindCoordinatorResponse()
		resp.ErrorCode = code
		for _, name := range req.CoordinatorKeys {
			c := kmsg.NewFindCoordinatorResponseCoordinator()
			c.Key, c.ErrorCode = name, code
			resp.Coordinators = append(resp.Coordinators, c)
		}
		return resp
	case *kmsg.ListGroupsRequest:
		return s.list(req, code)
	case *kmsg.DescribeGroupsRequest:
		resp := kmsg.NewPtrDescribeGroupsResponse()
		for _, name := range req.Groups {
			resp.Groups = append(resp.Groups, s.describe(name, code))
		}
		return resp
	case *kmsg.OffsetFetchRequest:
		return s.offsetFetch(req, code)
	case *kmsg.OffsetCommitRequest:
		return s.offsetCommit(req, code)
	case *kmsg.OffsetDeleteRequest:
		return s.offsetDelete(req, code)
	case *kmsg.DeleteGroupsRequest:
		resp := kmsg.NewPtrDeleteGroupsResponse()
		for _, name := range req.Groups {
			g := kmsg.NewDeleteGroupsResponseGroup()
			g.Group, g.ErrorCode = name, code
			switch found := s.groups[name]; {
			case code != 0:
			case found == nil:
				g.ErrorCode = int16(protocol.GroupIDNotFound)
			case len(found.members) > 0:
				g.ErrorCode = int16(protocol.NonEmptyGroup)
			default:
				delete(s.groups, name)
			}
			resp.Groups = append(resp.Groups, g)
		}
		return resp
	case *kmsg.ListOffsetsRequest:
		return s.listOffsets(req, code)
	}
	return nil
}

func (s *scripted) list(req *kmsg.ListGroupsRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrListGroupsResponse()
	resp.ErrorCode = code
	for _, name := range []string{"workers", "live", "idle", "joining", "dead"} {
		found := s.groups[name]
		if found == nil || len(req.StatesFilter) > 0 && !slices.ContainsFunc(req.StatesFilter, func(state string) bool { return strings.EqualFold(state, found.state) }) {
			continue
		}
		g := kmsg.NewListGroupsResponseGroup()
		g.Group, g.ProtocolType, g.GroupState, g.GroupType = name, found.protocolType, found.state, "classic"
		if s.old {
			g.GroupState, g.GroupType = "", ""
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

func (s *scripted) describe(name string, code int16) kmsg.DescribeGroupsResponseGroup {
	g := kmsg.NewDescribeGroupsResponseGroup()
	g.Group, g.ErrorCode, g.State = name, code, "Dead"
	found := s.groups[name]
	if code != 0 || found == nil {
		return g
	}
	g.State, g.ProtocolType, g.Protocol = found.state, found.protocolType, found.assignor
	for _, m := range found.members {
		one := kmsg.NewDescribeGroupsResponseGroupMember()
		one.MemberID, one.ClientID, one.ClientHost = m.id, "client-"+m.id, "/10.0.0.1"
		if m.instance != "" {
			one.InstanceID = &m.instance
		}
		assignment := kmsg.NewConsumerMemberAssignment()
		for _, tp := range m.owned {
			t := kmsg.NewConsumerMemberAssignmentTopic()
			t.Topic, t.Partitions = tp.Topic, []int32{tp.Partition}
			assignment.Topics = append(assignment.Topics, t)
		}
		one.MemberAssignment = assignment.AppendTo(nil)
		g.Members = append(g.Members, one)
	}
	return g
}

func (s *scripted) offsetFetch(req *kmsg.OffsetFetchRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrOffsetFetchResponse()
	for _, wanted := range req.Groups {
		g := kmsg.NewOffsetFetchResponseGroup()
		g.Group, g.ErrorCode = wanted.Group, code
		if found := s.groups[wanted.Group]; found != nil {
			for _, tp := range client.SortedPartitions(found.committed) {
				t := kmsg.NewOffsetFetchResponseGroupTopic()
				p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
				t.Topic, p.Partition, p.Offset, p.ErrorCode = tp.Topic, tp.Partition, found.committed[tp], int16(found.partial)
				t.Partitions = append(t.Partitions, p)
				g.Topics = append(g.Topics, t)
			}
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

func (s *scripted) offsetCommit(req *kmsg.OffsetCommitRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrOffsetCommitResponse()
	for _, wanted := range req.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic = wanted.Topic
		for _, w := range wanted.Partitions {
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = w.Partition, code
			found := s.groups[req.Group]
			switch {
			case code != 0:
			case found != nil && len(found.members) > 0:
				p.ErrorCode = int16(protocol.UnknownMemberID)
			case found != nil && found.partial != 0:
				p.ErrorCode = int16(found.partial)
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (s *scripted) offsetDelete(req *kmsg.OffsetDeleteRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrOffsetDeleteResponse()
	resp.ErrorCode = code
	found := s.groups[req.Group]
	if found == nil && code == 0 {
		resp.ErrorCode = int16(protocol.GroupIDNotFound)
	}
	for _, wanted := range req.Topics {
		t := kmsg.NewOffsetDeleteResponseTopic()
		t.Topic = wanted.Topic
		for _, w := range wanted.Partitions {
			p := kmsg.NewOffsetDeleteResponseTopicPartition()
			p.Partition = w.Partition
			if found != nil && len(found.members) > 0 {
				p.ErrorCode = int16(protocol.GroupSubscribedToTopic)
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// Partition n of a topic has the offsets from n to 10 + n. The record at time 5000 has offset 5.
func (s *scripted) listOffsets(req *kmsg.ListOffsetsRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrListOffsetsResponse()
	for _, wanted := range req.Topics {
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = wanted.Topic
		for _, w := range wanted.Partitions {
			p := kmsg.NewListOffsetsResponseTopicPartition()
			p.Partition, p.ErrorCode, p.Offset = w.Partition, code, int64(w.Partition)+10
			switch {
			case w.Timestamp == -2:
				p.Offset = int64(w.Partition)
			case w.Timestamp >= 0 && w.Timestamp <= 5000:
				p.Offset = 5
			case w.Timestamp > 5000:
				p.Offset = -1
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func fail(key protocol.APIKey, codes ...protocol.ErrorCode) func(s *scripted) {
	return func(s *scripted) { s.failures[key] = codes }
}

// partial makes the partitions of group idle fail.
func partial(code protocol.ErrorCode) func(s *scripted) {
	return func(s *scripted) { s.groups["idle"].partial = code }
}

var files = map[string]string{
	"one.csv":   "t,0,4\nt,1,99\n",
	"many.csv":  "idle,t,0,4\nlive,u,0,2\n",
	"bad.csv":   "t,zero,4\n",
	"short.csv": "t\n",
}

const coordinatorRefused = "[out] Error: Executing consumer group command failed due to org.apache.kafka.common.errors.GroupAuthorizationException: FindCoordinator request for groupId `CoordinatorKey(idValue='idle', type=GROUP)` failed due to authorization failure\n" +
	"[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupAuthorizationException: FindCoordinator request for groupId `CoordinatorKey(idValue='idle', type=GROUP)` failed due to authorization failure\n" +
	"[exit] 0\n"

func TestGroupsAreManagedLikeByTheRealTool(t *testing.T) {
	for _, test := range []struct {
		name, args string
		prepare    func(s *scripted)
		want       string
	}{
		{"list", "--list", nil, `[out] dead
[out] idle
[out] joining
[out] live
[err]
[exit] 0
`},
		{"list with states", "--list --state", nil, `[out] GROUP                     STATE
[out] dead                      Dead
[out] idle                      Empty
[out] joining                   PreparingRebalance
[out] live                      Stable
[err]
[exit] 0
`},
		{"list by state", "--list --state stable", nil, `[out] GROUP                     STATE
[out] live                      Stable
[err]
[exit] 0
`},
		{"list by states", "--list --state Empty,Dead", nil, `[out] GROUP                     STATE
[out] dead                      Dead
[out] idle                      Empty
[err]
[exit] 0
`},
		{"list by type", "--list --type classic", nil, `[out] GROUP                     TYPE
[out] dead                      Classic
[out] idle                      Classic
[out] joining                   Classic
[out] live                      Classic
[err]
[exit] 0
`},
		{"list with states of old brokers", "--list --state", func(s *scripted) { s.old = true }, `[out] GROUP                     STATE
[out] dead                      Unknown
[out] idle                      Unknown
[out] joining                   Unknown
[out] live                      Unknown
[err]
[exit] 0
`},
		{"list while a coordinator loads", "--list", fail(protocol.ListGroups, protocol.CoordinatorLoadInProgress, protocol.CoordinatorNotAvailable), `[out] dead
[out] idle
[out] joining
[out] live
[err]
[exit] 0
`},
		{"list is refused", "--list", fail(protocol.ListGroups, protocol.ClusterAuthorizationFailed), `[out] Error: Executing consumer group command failed due to java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Error listing groups on * (id: 0 rack: null)
[err] java.lang.RuntimeException: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.ClusterAuthorizationException: Error listing groups on * (id: 0 rack: null)
[exit] 0
`},
		{"no groups", "--list", func(s *scripted) { s.groups = nil }, `[out]
[err]
[exit] 0
`},

		{"describe", "--describe --group idle", nil, `[out] GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID
[out] idle            t               0          3               10              7               -               -               -
[out] idle            t               1          10              11              1               -               -               -
[out] idle            u               0          1               10              9               -               -               -
[err] Consumer group 'idle' has no active members.
[exit] 0
`},
		{"describe members", "--describe --group live --members", nil, `[out] GROUP           CONSUMER-ID     GROUP-INSTANCE-ID HOST            CLIENT-ID       #PARTITIONS
[out] live            m1                                /10.0.0.1       client-m1       1
[out] live            m2              static            /10.0.0.1       client-m2       2
[out] live            m3                                /10.0.0.1       client-m3       0
[err]
[exit] 0
`},
		{"describe members in full", "--describe --group live --members --verbose", nil, `[out] GROUP           CONSUMER-ID     GROUP-INSTANCE-ID HOST            CLIENT-ID       #PARTITIONS     ASSIGNMENT
[out] live            m1                                /10.0.0.1       client-m1       1               (0)
[out] live            m2              static            /10.0.0.1       client-m2       2               (1), (0)
[out] live            m3                                /10.0.0.1       client-m3       0               -
[err]
[exit] 0
`},
		{"describe the state", "--describe --group live --state", nil, `[out] GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS
[out] live                      *  (0)      range                Stable          3
[err]
[exit] 0
`},
		{"describe live offsets", "--describe --group live --offsets", nil, `[out] GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID
[out] live            t               0          10              10              0               m1              /10.0.0.1       client-m1
[out] live            t               1          -               11              -               m2              /10.0.0.1       client-m2
[out] live            u               0          -               10              -               m2              /10.0.0.1       client-m2
[err]
[exit] 0
`},
		{"describe a joining group", "--describe --group joining", nil, `[out]
[err] Warning: Consumer group 'joining' is rebalancing.
[exit] 0
`},
		{"describe a joining group's members", "--describe --group joining --members", nil, `[out] GROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS
[out] joining         m4              /10.0.0.1       client-m4       0
[err] Warning: Consumer group 'joining' is rebalancing.
[exit] 0
`},
		{"describe several groups", "--describe --group idle --group live", nil, `[out] GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID
[out] GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID
[out] idle            t               0          3               10              7               -               -               -
[out] idle            t               1          10              11              1               -               -               -
[out] idle            u               0          1               10              9               -               -               -
[out] live            t               0          10              10              0               m1              /10.0.0.1       client-m1
[out] live            t               1          -               11              -               m2              /10.0.0.1       client-m2
[out] live            u               0          -               10              -               m2              /10.0.0.1       client-m2
[err] Consumer group 'idle' has no active members.
[exit] 0
`},
		{"describe all states", "--describe --all-groups --state", nil, `[out] Error: Consumer group 'dead' does not exist.
[out] GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS
[out] GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS
[out] GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS
[out] idle                      *  (0)                           Empty           0
[out] joining                   *  (0)                           PreparingRebalance 1
[out] live                      *  (0)      range                Stable          3
[err] Consumer group 'idle' has no active members.
[err] Warning: Consumer group 'joining' is rebalancing.
[exit] 0
`},
		{"describe an unknown group", "--describe --group nosuch", nil, `[out] Error: Consumer group 'nosuch' does not exist.
[err]
[exit] 0
`},
		{"describe an unknown group's state", "--describe --group nosuch --state", nil, `[out] Error: Consumer group 'nosuch' does not exist.
[err]
[exit] 0
`},
		{"describe another kind of group", "--describe --group workers", nil, `[out] Error: Executing consumer group command failed due to java.lang.IllegalArgumentException: GroupId workers is not a consumer group (connect).
[err] java.util.concurrent.ExecutionException: java.lang.IllegalArgumentException: GroupId workers is not a consumer group (connect).
[exit] 0
`},
		{"describe a dead group", "--describe --group dead", nil, `[out] Error: Consumer group 'dead' does not exist.
[err]
[exit] 0
`},
		{"describe is refused", "--describe --group idle", fail(protocol.DescribeGroups, protocol.GroupAuthorizationFailed), `[out] Error: Executing consumer group command failed due to org.apache.kafka.common.errors.GroupAuthorizationException: Group authorization failed.
[err] java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupAuthorizationException: Group authorization failed.
[exit] 0
`},
		{"describe after the coordinator moved", "--describe --group idle --state", fail(protocol.DescribeGroups, protocol.NotCoordinator), `[out] GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS
[out] idle                      *  (0)                           Empty           0
[err] Consumer group 'idle' has no active members.
[exit] 0
`},
		{"describe without a coordinator yet", "--describe --group idle --state", fail(protocol.FindCoordinator, protocol.CoordinatorNotAvailable), `[out] GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS
[out] idle                      *  (0)                           Empty           0
[err] Consumer group 'idle' has no active members.
[exit] 0
`},
		{"no permission to find the coordinator", "--describe --group idle", fail(protocol.FindCoordinator, protocol.GroupAuthorizationFailed), coordinatorRefused},
		{"offsets with unstable transactions", "--describe --group idle", partial(protocol.UnstableOffsetCommit), `[out]
[err] * WARN [AdminClient clientId=*] Skipping return offset for t-0 due to error UNSTABLE_OFFSET_COMMIT. (org.apache.kafka.clients.admin.internals.ListConsumerGroupOffsetsHandler)
[err] * WARN [AdminClient clientId=*] Skipping return offset for t-1 due to error UNSTABLE_OFFSET_COMMIT. (org.apache.kafka.clients.admin.internals.ListConsumerGroupOffsetsHandler)
[err] * WARN [AdminClient clientId=*] Skipping return offset for u-0 due to error UNSTABLE_OFFSET_COMMIT. (org.apache.kafka.clients.admin.internals.ListConsumerGroupOffsetsHandler)
[err] Consumer group 'idle' has no active members.
[exit] 0
`},

		{"reset to the start", "--reset-offsets --group idle --topic t --to-earliest --dry-run", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          0
[out] idle                           t                              1          1
[err]
[exit] 0
`},
		{"reset to the end", "--reset-offsets --group idle --topic t --to-latest --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          10
[out] idle                           t                              1          11
[err]
[exit] 0
`},
		{"reset without a choice", "--reset-offsets --group idle --topic t --to-latest", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          10
[out] idle                           t                              1          11
[err] WARN: No action will be performed as the --execute option is missing.In a future major release, the default behavior of this command will be to prompt the user before executing the reset rather than doing a dry run. You should add the --dry-run option explicitly if you are scripting this command and want to keep the current default behavior without prompting.
[exit] 0
`},
		{"reset one partition", "--reset-offsets --group idle --topic t:1 --to-latest --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              1          11
[err]
[exit] 0
`},
		{"reset all topics", "--reset-offsets --group idle --all-topics --to-earliest --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          0
[out] idle                           t                              1          1
[out] idle                           u                              0          0
[err]
[exit] 0
`},
		{"reset to an offset", "--reset-offsets --group idle --topic t --to-offset 5 --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          5
[out] idle                           t                              1          5
[err]
[exit] 0
`},
		{"reset to an offset beyond the end", "--reset-offsets --group idle --topic t --to-offset 99 --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          10
[out] idle                           t                              1          11
[err] * WARN New offset (99) is higher than latest offset for topic partition t-0. Value will be set to 10 (org.apache.kafka.tools.consumer.group.ConsumerGroupCommand)
[err] * WARN New offset (99) is higher than latest offset for topic partition t-1. Value will be set to 11 (org.apache.kafka.tools.consumer.group.ConsumerGroupCommand)
[exit] 0
`},
		{"reset to an offset before the start", "--reset-offsets --group idle --topic t:1 --to-offset 0 --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              1          1
[err] * WARN New offset (0) is lower than earliest offset for topic partition t-1. Value will be set to 1 (org.apache.kafka.tools.consumer.group.ConsumerGroupCommand)
[exit] 0
`},
		{"reset to the current offset", "--reset-offsets --group idle --all-topics --to-current --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          3
[out] idle                           t                              1          10
[out] idle                           u                              0          1
[err]
[exit] 0
`},
		{"shift forward", "--reset-offsets --group idle --topic t:0 --shift-by 2 --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          5
[err]
[exit] 0
`},
		{"shift backward", "--reset-offsets --group idle --topic t:0 --shift-by -99 --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          0
[err] * WARN New offset (-96) is lower than earliest offset for topic partition t-0. Value will be set to 0 (org.apache.kafka.tools.consumer.group.ConsumerGroupCommand)
[exit] 0
`},
		{"shift without offsets", "--reset-offsets --group new --topic t:0 --shift-by 1 --execute", nil, `[out]
[err] (usage table)
[err] Cannot shift offset for partition t-0 since there is no current committed offset
[exit] 1
`},
		{"reset to a time", "--reset-offsets --group idle --topic t --to-datetime 1970-01-01T00:00:05.000 --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          5
[out] idle                           t                              1          5
[err]
[exit] 0
`},
		{"reset to a late time", "--reset-offsets --group idle --topic t --to-datetime 2040-01-01T00:00:00.000 --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] Warn: Partition 0 from topic t is empty. Falling back to latest known offset.
[out] Warn: Partition 1 from topic t is empty. Falling back to latest known offset.
[out] idle                           t                              0          10
[out] idle                           t                              1          11
[err]
[exit] 0
`},
		{"reset by a duration", "--reset-offsets --group idle --topic t --by-duration P30000D --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          10
[out] idle                           t                              1          11
[err]
[exit] 0
`},
		{"reset from a file", "--reset-offsets --group idle --from-file {F}/one.csv --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          4
[out] idle                           t                              1          11
[err] * WARN New offset (99) is higher than latest offset for topic partition t-1. Value will be set to 11 (org.apache.kafka.tools.consumer.group.ConsumerGroupCommand)
[exit] 0
`},
		{"reset several groups from a file", "--reset-offsets --group idle --group live --from-file {F}/many.csv --dry-run", nil, `[out] Error: Assignments can only be reset if the group 'live' is inactive, but the current state is Stable.
[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          4
[err]
[exit] 0
`},
		{"reset from a bad file", "--reset-offsets --group idle --from-file {F}/bad.csv --dry-run", nil, `[out] Error: Executing consumer group command failed due to java.io.IOException: The reset plan: line 1: "zero" is not a partition
[err] java.lang.RuntimeException: java.io.IOException: The reset plan: line 1: "zero" is not a partition
[exit] 0
`},
		{"reset from a short file", "--reset-offsets --group idle --from-file {F}/short.csv --dry-run", nil, `[out] Error: Executing consumer group command failed due to java.io.IOException: The reset plan: line 1 has 1 fields; want topic,partition,offset for one group or group,topic,partition,offset
[err] java.lang.RuntimeException: java.io.IOException: The reset plan: line 1 has 1 fields; want topic,partition,offset for one group or group,topic,partition,offset
[exit] 0
`},
		{"export", "--reset-offsets --group idle --all-topics --to-latest --export --dry-run", nil, `[out] t,0,10
[out] t,1,11
[out] u,0,10
[err]
[exit] 0
`},
		{"export several groups", "--reset-offsets --group idle --group new --topic t --to-latest --export --dry-run", nil, `[out] idle,t,0,10
[out] idle,t,1,11
[out] new,t,0,10
[out] new,t,1,11
[err]
[exit] 0
`},
		{"reset a group with members", "--reset-offsets --group live --topic t --to-latest --execute", nil, `[out] Error: Assignments can only be reset if the group 'live' is inactive, but the current state is Stable.
[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[err]
[exit] 0
`},
		{"reset a new group", "--reset-offsets --group new --topic t --to-latest --execute", nil, `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] new                            t                              0          10
[out] new                            t                              1          11
[err]
[exit] 0
`},
		{"reset an unknown topic", "--reset-offsets --group idle --topic nosuch --to-latest --dry-run", nil, `[out] Error: Executing consumer group command failed due to java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.
[err] java.lang.RuntimeException: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.
[exit] 0
`},
		{"reset an unknown partition", "--reset-offsets --group idle --topic t:9 --to-latest --dry-run", nil, `[out] Error: Executing consumer group command failed due to java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TimeoutException: Call(callName=listOffsets(api=METADATA), *, *, *) * * attempt(s)
[err] java.lang.RuntimeException: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TimeoutException: Call(callName=listOffsets(api=METADATA), *, *, *) * * attempt(s)
[exit] 0
`},
		{"reset is refused", "--reset-offsets --group idle --topic t:0 --to-latest --execute", fail(protocol.OffsetCommit, protocol.GroupAuthorizationFailed), `[out] Error: Executing consumer group command failed due to java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupAuthorizationException: Failed altering consumer group offsets for the following partitions: [t-0]
[err] java.lang.RuntimeException: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupAuthorizationException: Failed altering consumer group offsets for the following partitions: [t-0]
[exit] 0
`},
		{"reset of a topic is refused", "--reset-offsets --group idle --topic t:0 --to-latest --execute", partial(protocol.TopicAuthorizationFailed), `[out] Error: Executing consumer group command failed due to java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TopicAuthorizationException: Failed altering consumer group offsets for the following partitions: [t-0]
[err] java.lang.RuntimeException: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TopicAuthorizationException: Failed altering consumer group offsets for the following partitions: [t-0]
[exit] 0
`},
		{"reset after the coordinator moved", "--reset-offsets --group idle --topic t:0 --to-latest --execute", fail(protocol.OffsetCommit, protocol.NotCoordinator), `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          10
[err]
[exit] 0
`},
		{"reset without the right to list offsets", "--reset-offsets --group idle --topic t:0 --to-latest --execute", fail(protocol.ListOffsets, protocol.TopicAuthorizationFailed), `[out] Error: Executing consumer group command failed due to java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TopicAuthorizationException: Topic authorization failed.
[err] * ERROR [AdminClient clientId=*] ListOffsets request for topic partition t-0 failed due to an unexpected error TOPIC_AUTHORIZATION_FAILED (org.apache.kafka.clients.admin.internals.ListOffsetsHandler)
[err] java.lang.RuntimeException: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TopicAuthorizationException: Topic authorization failed.
[exit] 0
`},
		{"reset after a leader moved", "--reset-offsets --group idle --topic t:0 --to-latest --execute", fail(protocol.ListOffsets, protocol.NotLeaderOrFollower), `[out] GROUP                          TOPIC                          PARTITION  NEW-OFFSET
[out] idle                           t                              0          10
[err]
[exit] 0
`},

		{"delete offsets", "--delete-offsets --group idle --topic t", nil, `[out] Request succeed for deleting offsets with topic t group idle
[out] TOPIC                          PARTITION       STATUS
[out] t                              0               Successful
[out] t                              1               Successful
[err]
[exit] 0
`},
		{"delete offsets of partitions", "--delete-offsets --group idle --topic t:0 --topic u", nil, `[out] Request succeed for deleting offsets with topic t:0, u group idle
[out] TOPIC                          PARTITION       STATUS
[out] t                              0               Successful
[out] u                              0               Successful
[err]
[exit] 0
`},
		{"delete offsets of an unknown topic", "--delete-offsets --group idle --topic nosuch", nil, `[out] Request succeed for deleting offsets with topic nosuch group idle
[out] TOPIC                          PARTITION       STATUS
[out] nosuch                         Not Provided    Error: :org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.
[err]
[exit] 0
`},
		{"delete offsets of an unknown partition", "--delete-offsets --group idle --topic nosuch:0", nil, `[out] Request succeed for deleting offsets with topic nosuch:0 group idle
[out] TOPIC                          PARTITION       STATUS
[out] nosuch                         0               Successful
[err]
[exit] 0
`},
		{"delete offsets of a subscribed topic", "--delete-offsets --group live --topic t", nil, `[out] Error: Encounter some partition level error, see the follow-up details:
[out] TOPIC                          PARTITION       STATUS
[out] t                              0               Error: :org.apache.kafka.common.errors.GroupSubscribedToTopicException: Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.
[out] t                              1               Error: :org.apache.kafka.common.errors.GroupSubscribedToTopicException: Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.
[err]
[exit] 0
`},
		{"delete offsets of an unknown group", "--delete-offsets --group nosuch --topic t", nil, `[out] Error: 'nosuch' does not exist.
[out] TOPIC                          PARTITION       STATUS
[out] t                              0               Error: :org.apache.kafka.common.errors.GroupIdNotFoundException: The group id does not exist.
[out] t                              1               Error: :org.apache.kafka.common.errors.GroupIdNotFoundException: The group id does not exist.
[err]
[exit] 0
`},
		{"delete offsets is refused", "--delete-offsets --group idle --topic t", fail(protocol.OffsetDelete, protocol.GroupAuthorizationFailed), `[out] Error: Access to 'idle' is not authorized.
[out] TOPIC                          PARTITION       STATUS
[out] t                              0               Error: :org.apache.kafka.common.errors.GroupAuthorizationException: Group authorization failed.
[out] t                              1               Error: :org.apache.kafka.common.errors.GroupAuthorizationException: Group authorization failed.
[err]
[exit] 0
`},
		{"delete offsets while the coordinator loads", "--delete-offsets --group idle --topic u", fail(protocol.OffsetDelete, protocol.CoordinatorLoadInProgress), `[out] Request succeed for deleting offsets with topic u group idle
[out] TOPIC                          PARTITION       STATUS
[out] u                              0               Successful
[err]
[exit] 0
`},

		{"delete", "--delete --group idle", nil, `[out] Deletion of requested consumer groups ('idle') was successful.
[err]
[exit] 0
`},
		{"delete all", "--delete --all-groups", nil, `[out] * Group 'joining' could not be deleted due to: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupNotEmptyException: The group is not empty.
[out] * Group 'live' could not be deleted due to: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupNotEmptyException: The group is not empty.
[out] Error: Deletion of some consumer groups failed:
[out] These consumer groups were deleted successfully: 'dead', 'idle'
[err]
[exit] 0
`},
		{"delete a group with members", "--delete --group live", nil, `[out] * Group 'live' could not be deleted due to: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupNotEmptyException: The group is not empty.
[out] Error: Deletion of some consumer groups failed:
[err]
[exit] 0
`},
		{"delete some", "--delete --group live --group idle", nil, `[out] * Group 'live' could not be deleted due to: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupNotEmptyException: The group is not empty.
[out] Error: Deletion of some consumer groups failed:
[out] These consumer groups were deleted successfully: 'idle'
[err]
[exit] 0
`},
		{"delete an unknown group", "--delete --group nosuch", nil, `[out] * Group 'nosuch' could not be deleted due to: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupIdNotFoundException: The group id does not exist.
[out] Error: Deletion of some consumer groups failed:
[err]
[exit] 0
`},
		{"delete is refused", "--delete --group idle", fail(protocol.DeleteGroups, protocol.GroupAuthorizationFailed), `[out] * Group 'idle' could not be deleted due to: java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.GroupAuthorizationException: Group authorization failed.
[out] Error: Deletion of some consumer groups failed:
[err]
[exit] 0
`},
		{"delete after the coordinator moved", "--delete --group idle", fail(protocol.DeleteGroups, protocol.NotCoordinator), `[out] Deletion of requested consumer groups ('idle') was successful.
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
			args := "--bootstrap-server {B} --timeout 20000 "
			if test.name == "reset an unknown partition" { // the tool waits for it
				args = "--bootstrap-server {B} --timeout 300 "
			}
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: args + test.args, Tidy: testkit.TidyGroups}, files, s.answer)
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}
