package protocol

import (
	"strconv"
	"strings"
	"unicode"
)

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

// apiText has Kafka's name of a key in tools and metrics, and the first version with tagged fields.
type apiText struct {
	name         string
	flexibleFrom int16
}

var apiTexts = map[APIKey]apiText{
	Produce:                      {"Produce", 9},
	Fetch:                        {"Fetch", 12},
	ListOffsets:                  {"ListOffsets", 6},
	Metadata:                     {"Metadata", 9},
	LeaderAndIsr:                 {"LeaderAndIsr", 4},
	StopReplica:                  {"StopReplica", 2},
	UpdateMetadata:               {"UpdateMetadata", 6},
	ControlledShutdown:           {"ControlledShutdown", 3},
	OffsetCommit:                 {"OffsetCommit", 8},
	OffsetFetch:                  {"OffsetFetch", 6},
	FindCoordinator:              {"FindCoordinator", 3},
	JoinGroup:                    {"JoinGroup", 6},
	Heartbeat:                    {"Heartbeat", 4},
	LeaveGroup:                   {"LeaveGroup", 4},
	SyncGroup:                    {"SyncGroup", 4},
	DescribeGroups:               {"DescribeGroups", 5},
	ListGroups:                   {"ListGroups", 3},
	SaslHandshake:                {"SaslHandshake", neverFlexible},
	ApiVersions:                  {"ApiVersions", 3},
	CreateTopics:                 {"CreateTopics", 5},
	DeleteTopics:                 {"DeleteTopics", 4},
	DeleteRecords:                {"DeleteRecords", 2},
	InitProducerId:               {"InitProducerId", 2},
	OffsetForLeaderEpoch:         {"OffsetForLeaderEpoch", 4},
	AddPartitionsToTxn:           {"AddPartitionsToTxn", 3},
	AddOffsetsToTxn:              {"AddOffsetsToTxn", 3},
	EndTxn:                       {"EndTxn", 3},
	WriteTxnMarkers:              {"WriteTxnMarkers", 1},
	TxnOffsetCommit:              {"TxnOffsetCommit", 3},
	DescribeAcls:                 {"DescribeAcls", 2},
	CreateAcls:                   {"CreateAcls", 2},
	DeleteAcls:                   {"DeleteAcls", 2},
	DescribeConfigs:              {"DescribeConfigs", 4},
	AlterConfigs:                 {"AlterConfigs", 2},
	AlterReplicaLogDirs:          {"AlterReplicaLogDirs", 2},
	DescribeLogDirs:              {"DescribeLogDirs", 2},
	SaslAuthenticate:             {"SaslAuthenticate", 2},
	CreatePartitions:             {"CreatePartitions", 2},
	CreateDelegationToken:        {"CreateDelegationToken", 2},
	RenewDelegationToken:         {"RenewDelegationToken", 2},
	ExpireDelegationToken:        {"ExpireDelegationToken", 2},
	DescribeDelegationToken:      {"DescribeDelegationToken", 2},
	DeleteGroups:                 {"DeleteGroups", 2},
	ElectLeaders:                 {"ElectLeaders", 2},
	IncrementalAlterConfigs:      {"IncrementalAlterConfigs", 1},
	AlterPartitionReassignments:  {"AlterPartitionReassignments", 0},
	ListPartitionReassignments:   {"ListPartitionReassignments", 0},
	OffsetDelete:                 {"OffsetDelete", neverFlexible},
	DescribeClientQuotas:         {"DescribeClientQuotas", 1},
	AlterClientQuotas:            {"AlterClientQuotas", 1},
	DescribeUserScramCredentials: {"DescribeUserScramCredentials", 0},
	AlterUserScramCredentials:    {"AlterUserScramCredentials", 0},
	AlterPartition:               {"AlterPartition", 0},
	UpdateFeatures:               {"UpdateFeatures", 0},
	Envelope:                     {"Envelope", 0},
	DescribeCluster:              {"DescribeCluster", 0},
	DescribeProducers:            {"DescribeProducers", 0},
	DescribeTransactions:         {"DescribeTransactions", 0},
	ListTransactions:             {"ListTransactions", 0},
	AllocateProducerIds:          {"AllocateProducerIds", 0},
	ConsumerGroupHeartbeat:       {"ConsumerGroupHeartbeat", 0},
	ConsumerGroupDescribe:        {"ConsumerGroupDescribe", 0},
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
	var constant strings.Builder
	for i, c := range k.String() {
		if i > 0 && unicode.IsUpper(c) {
			constant.WriteByte('_')
		}
		constant.WriteRune(unicode.ToUpper(c))
	}
	return constant.String()
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
