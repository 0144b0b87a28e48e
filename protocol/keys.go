package protocol

import "strconv"

// APIKey is the number of a request type.
type APIKey int16

// The request types that a broker of Apache Kafka 3.9 with ZooKeeper knows, under Kafka's names.
const (
	Produce                      APIKey = 0
	Fetch                        APIKey = 1
	ListOffsets                  APIKey = 2
	Metadata                     APIKey = 3
	LeaderAndIsr                 APIKey = 4
	StopReplica                  APIKey = 5
	UpdateMetadata               APIKey = 6
	ControlledShutdown           APIKey = 7
	OffsetCommit                 APIKey = 8
	OffsetFetch                  APIKey = 9
	FindCoordinator              APIKey = 10
	JoinGroup                    APIKey = 11
	Heartbeat                    APIKey = 12
	LeaveGroup                   APIKey = 13
	SyncGroup                    APIKey = 14
	DescribeGroups               APIKey = 15
	ListGroups                   APIKey = 16
	SaslHandshake                APIKey = 17
	ApiVersions                  APIKey = 18
	CreateTopics                 APIKey = 19
	DeleteTopics                 APIKey = 20
	DeleteRecords                APIKey = 21
	InitProducerId               APIKey = 22
	OffsetForLeaderEpoch         APIKey = 23
	AddPartitionsToTxn           APIKey = 24
	AddOffsetsToTxn              APIKey = 25
	EndTxn                       APIKey = 26
	WriteTxnMarkers              APIKey = 27
	TxnOffsetCommit              APIKey = 28
	DescribeAcls                 APIKey = 29
	CreateAcls                   APIKey = 30
	DeleteAcls                   APIKey = 31
	DescribeConfigs              APIKey = 32
	AlterConfigs                 APIKey = 33
	AlterReplicaLogDirs          APIKey = 34
	DescribeLogDirs              APIKey = 35
	SaslAuthenticate             APIKey = 36
	CreatePartitions             APIKey = 37
	CreateDelegationToken        APIKey = 38
	RenewDelegationToken         APIKey = 39
	ExpireDelegationToken        APIKey = 40
	DescribeDelegationToken      APIKey = 41
	DeleteGroups                 APIKey = 42
	ElectLeaders                 APIKey = 43
	IncrementalAlterConfigs      APIKey = 44
	AlterPartitionReassignments  APIKey = 45
	ListPartitionReassignments   APIKey = 46
	OffsetDelete                 APIKey = 47
	DescribeClientQuotas         APIKey = 48
	AlterClientQuotas            APIKey = 49
	DescribeUserScramCredentials APIKey = 50
	AlterUserScramCredentials    APIKey = 51
	AlterPartition               APIKey = 56
	UpdateFeatures               APIKey = 57
	Envelope                     APIKey = 58
	DescribeCluster              APIKey = 60
	DescribeProducers            APIKey = 61
	DescribeTransactions         APIKey = 65
	ListTransactions             APIKey = 66
	AllocateProducerIds          APIKey = 67
	ConsumerGroupHeartbeat       APIKey = 68
	ConsumerGroupDescribe        APIKey = 69
)

// neverFlexible is the flexibleFrom of APIs without tagged fields in any version.
const neverFlexible int16 = 1<<15 - 1

// apiText has Kafka's names of a key, the one in tools and metrics and the constant in log lines,
// and the first version with tagged fields.
type apiText struct {
	name, constant string
	flexibleFrom   int16
}

var apiTexts = map[APIKey]apiText{
	Produce:                      {"Produce", "PRODUCE", 9},
	Fetch:                        {"Fetch", "FETCH", 12},
	ListOffsets:                  {"ListOffsets", "LIST_OFFSETS", 6},
	Metadata:                     {"Metadata", "METADATA", 9},
	LeaderAndIsr:                 {"LeaderAndIsr", "LEADER_AND_ISR", 4},
	StopReplica:                  {"StopReplica", "STOP_REPLICA", 2},
	UpdateMetadata:               {"UpdateMetadata", "UPDATE_METADATA", 6},
	ControlledShutdown:           {"ControlledShutdown", "CONTROLLED_SHUTDOWN", 3},
	OffsetCommit:                 {"OffsetCommit", "OFFSET_COMMIT", 8},
	OffsetFetch:                  {"OffsetFetch", "OFFSET_FETCH", 6},
	FindCoordinator:              {"FindCoordinator", "FIND_COORDINATOR", 3},
	JoinGroup:                    {"JoinGroup", "JOIN_GROUP", 6},
	Heartbeat:                    {"Heartbeat", "HEARTBEAT", 4},
	LeaveGroup:                   {"LeaveGroup", "LEAVE_GROUP", 4},
	SyncGroup:                    {"SyncGroup", "SYNC_GROUP", 4},
	DescribeGroups:               {"DescribeGroups", "DESCRIBE_GROUPS", 5},
	ListGroups:                   {"ListGroups", "LIST_GROUPS", 3},
	SaslHandshake:                {"SaslHandshake", "SASL_HANDSHAKE", neverFlexible},
	ApiVersions:                  {"ApiVersions", "API_VERSIONS", 3},
	CreateTopics:                 {"CreateTopics", "CREATE_TOPICS", 5},
	DeleteTopics:                 {"DeleteTopics", "DELETE_TOPICS", 4},
	DeleteRecords:                {"DeleteRecords", "DELETE_RECORDS", 2},
	InitProducerId:               {"InitProducerId", "INIT_PRODUCER_ID", 2},
	OffsetForLeaderEpoch:         {"OffsetForLeaderEpoch", "OFFSET_FOR_LEADER_EPOCH", 4},
	AddPartitionsToTxn:           {"AddPartitionsToTxn", "ADD_PARTITIONS_TO_TXN", 3},
	AddOffsetsToTxn:              {"AddOffsetsToTxn", "ADD_OFFSETS_TO_TXN", 3},
	EndTxn:                       {"EndTxn", "END_TXN", 3},
	WriteTxnMarkers:              {"WriteTxnMarkers", "WRITE_TXN_MARKERS", 1},
	TxnOffsetCommit:              {"TxnOffsetCommit", "TXN_OFFSET_COMMIT", 3},
	DescribeAcls:                 {"DescribeAcls", "DESCRIBE_ACLS", 2},
	CreateAcls:                   {"CreateAcls", "CREATE_ACLS", 2},
	DeleteAcls:                   {"DeleteAcls", "DELETE_ACLS", 2},
	DescribeConfigs:              {"DescribeConfigs", "DESCRIBE_CONFIGS", 4},
	AlterConfigs:                 {"AlterConfigs", "ALTER_CONFIGS", 2},
	AlterReplicaLogDirs:          {"AlterReplicaLogDirs", "ALTER_REPLICA_LOG_DIRS", 2},
	DescribeLogDirs:              {"DescribeLogDirs", "DESCRIBE_LOG_DIRS", 2},
	SaslAuthenticate:             {"SaslAuthenticate", "SASL_AUTHENTICATE", 2},
	CreatePartitions:             {"CreatePartitions", "CREATE_PARTITIONS", 2},
	CreateDelegationToken:        {"CreateDelegationToken", "CREATE_DELEGATION_TOKEN", 2},
	RenewDelegationToken:         {"RenewDelegationToken", "RENEW_DELEGATION_TOKEN", 2},
	ExpireDelegationToken:        {"ExpireDelegationToken", "EXPIRE_DELEGATION_TOKEN", 2},
	DescribeDelegationToken:      {"DescribeDelegationToken", "DESCRIBE_DELEGATION_TOKEN", 2},
	DeleteGroups:                 {"DeleteGroups", "DELETE_GROUPS", 2},
	ElectLeaders:                 {"ElectLeaders", "ELECT_LEADERS", 2},
	IncrementalAlterConfigs:      {"IncrementalAlterConfigs", "INCREMENTAL_ALTER_CONFIGS", 1},
	AlterPartitionReassignments:  {"AlterPartitionReassignments", "ALTER_PARTITION_REASSIGNMENTS", 0},
	ListPartitionReassignments:   {"ListPartitionReassignments", "LIST_PARTITION_REASSIGNMENTS", 0},
	OffsetDelete:                 {"OffsetDelete", "OFFSET_DELETE", neverFlexible},
	DescribeClientQuotas:         {"DescribeClientQuotas", "DESCRIBE_CLIENT_QUOTAS", 1},
	AlterClientQuotas:            {"AlterClientQuotas", "ALTER_CLIENT_QUOTAS", 1},
	DescribeUserScramCredentials: {"DescribeUserScramCredentials", "DESCRIBE_USER_SCRAM_CREDENTIALS", 0},
	AlterUserScramCredentials:    {"AlterUserScramCredentials", "ALTER_USER_SCRAM_CREDENTIALS", 0},
	AlterPartition:               {"AlterPartition", "ALTER_PARTITION", 0},
	UpdateFeatures:               {"UpdateFeatures", "UPDATE_FEATURES", 0},
	Envelope:                     {"Envelope", "ENVELOPE", 0},
	DescribeCluster:              {"DescribeCluster", "DESCRIBE_CLUSTER", 0},
	DescribeProducers:            {"DescribeProducers", "DESCRIBE_PRODUCERS", 0},
	DescribeTransactions:         {"DescribeTransactions", "DESCRIBE_TRANSACTIONS", 0},
	ListTransactions:             {"ListTransactions", "LIST_TRANSACTIONS", 0},
	AllocateProducerIds:          {"AllocateProducerIds", "ALLOCATE_PRODUCER_IDS", 0},
	ConsumerGroupHeartbeat:       {"ConsumerGroupHeartbeat", "CONSUMER_GROUP_HEARTBEAT", 0},
	ConsumerGroupDescribe:        {"ConsumerGroupDescribe", "CONSUMER_GROUP_DESCRIBE", 0},
}

// Known reports whether a Kafka broker with ZooKeeper knows the key. The registry of handlers
// decides which keys and versions are served.
func (k APIKey) Known() bool {
	_, ok := apiTexts[k]
	return ok
}

// String returns the name in tools and metrics, such as LeaderAndIsr, or the number of an unknown
// key.
func (k APIKey) String() string {
	if t, ok := apiTexts[k]; ok {
		return t.name
	}
	return strconv.Itoa(int(k))
}

// ConstantName returns the name in Kafka's log lines, such as LEADER_AND_ISR, or the number of an
// unknown key.
func (k APIKey) ConstantName() string {
	if t, ok := apiTexts[k]; ok {
		return t.constant
	}
	return strconv.Itoa(int(k))
}

// Flexible reports whether messages of the version have tagged fields (KIP-482).
func (k APIKey) Flexible(version int16) bool {
	t, ok := apiTexts[k]
	return ok && version >= t.flexibleFrom
}

// RequestHeaderVersion returns the header version of a request: 0 for ControlledShutdown v0, which
// has no client id, 2 for flexible versions, else 1.
func (k APIKey) RequestHeaderVersion(version int16) int16 {
	switch {
	case k == ControlledShutdown && version == 0:
		return 0
	case k.Flexible(version):
		return 2
	}
	return 1
}

// ResponseHeaderVersion returns the header version of a response: 1 for flexible versions, else 0.
// It is always 0 for ApiVersions, to let a client read the answer to a version that the broker does
// not know.
func (k APIKey) ResponseHeaderVersion(version int16) int16 {
	if k != ApiVersions && k.Flexible(version) {
		return 1
	}
	return 0
}
