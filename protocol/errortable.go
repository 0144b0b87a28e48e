package protocol

// ErrorCode is the number in a Kafka answer for the outcome of a request or of a part of it. It
// implements error, so packages below broker/api return codes and the handlers only write them into
// the answer. The zero value None means success and is never returned as an error.
type ErrorCode int16

// The codes of Apache Kafka 3.9, under Kafka's names.
const (
	UnknownServerError                 ErrorCode = -1
	None                               ErrorCode = 0
	OffsetOutOfRange                   ErrorCode = 1
	CorruptMessage                     ErrorCode = 2
	UnknownTopicOrPartition            ErrorCode = 3
	InvalidFetchSize                   ErrorCode = 4
	LeaderNotAvailable                 ErrorCode = 5
	NotLeaderOrFollower                ErrorCode = 6
	RequestTimedOut                    ErrorCode = 7
	BrokerNotAvailable                 ErrorCode = 8
	ReplicaNotAvailable                ErrorCode = 9
	MessageTooLarge                    ErrorCode = 10
	StaleControllerEpoch               ErrorCode = 11
	OffsetMetadataTooLarge             ErrorCode = 12
	NetworkException                   ErrorCode = 13
	CoordinatorLoadInProgress          ErrorCode = 14
	CoordinatorNotAvailable            ErrorCode = 15
	NotCoordinator                     ErrorCode = 16
	InvalidTopicException              ErrorCode = 17
	RecordListTooLarge                 ErrorCode = 18
	NotEnoughReplicas                  ErrorCode = 19
	NotEnoughReplicasAfterAppend       ErrorCode = 20
	InvalidRequiredAcks                ErrorCode = 21
	IllegalGeneration                  ErrorCode = 22
	InconsistentGroupProtocol          ErrorCode = 23
	InvalidGroupID                     ErrorCode = 24
	UnknownMemberID                    ErrorCode = 25
	InvalidSessionTimeout              ErrorCode = 26
	RebalanceInProgress                ErrorCode = 27
	InvalidCommitOffsetSize            ErrorCode = 28
	TopicAuthorizationFailed           ErrorCode = 29
	GroupAuthorizationFailed           ErrorCode = 30
	ClusterAuthorizationFailed         ErrorCode = 31
	InvalidTimestamp                   ErrorCode = 32
	UnsupportedSASLMechanism           ErrorCode = 33
	IllegalSASLState                   ErrorCode = 34
	UnsupportedVersion                 ErrorCode = 35
	TopicAlreadyExists                 ErrorCode = 36
	InvalidPartitions                  ErrorCode = 37
	InvalidReplicationFactor           ErrorCode = 38
	InvalidReplicaAssignment           ErrorCode = 39
	InvalidConfig                      ErrorCode = 40
	NotController                      ErrorCode = 41
	InvalidRequest                     ErrorCode = 42
	UnsupportedForMessageFormat        ErrorCode = 43
	PolicyViolation                    ErrorCode = 44
	OutOfOrderSequenceNumber           ErrorCode = 45
	DuplicateSequenceNumber            ErrorCode = 46
	InvalidProducerEpoch               ErrorCode = 47
	InvalidTxnState                    ErrorCode = 48
	InvalidProducerIDMapping           ErrorCode = 49
	InvalidTransactionTimeout          ErrorCode = 50
	ConcurrentTransactions             ErrorCode = 51
	TransactionCoordinatorFenced       ErrorCode = 52
	TransactionalIDAuthorizationFailed ErrorCode = 53
	SecurityDisabled                   ErrorCode = 54
	OperationNotAttempted              ErrorCode = 55
	KafkaStorageError                  ErrorCode = 56
	LogDirNotFound                     ErrorCode = 57
	SASLAuthenticationFailed           ErrorCode = 58
	UnknownProducerID                  ErrorCode = 59
	ReassignmentInProgress             ErrorCode = 60
	DelegationTokenAuthDisabled        ErrorCode = 61
	DelegationTokenNotFound            ErrorCode = 62
	DelegationTokenOwnerMismatch       ErrorCode = 63
	DelegationTokenRequestNotAllowed   ErrorCode = 64
	DelegationTokenAuthorizationFailed ErrorCode = 65
	DelegationTokenExpired             ErrorCode = 66
	InvalidPrincipalType               ErrorCode = 67
	NonEmptyGroup                      ErrorCode = 68
	GroupIDNotFound                    ErrorCode = 69
	FetchSessionIDNotFound             ErrorCode = 70
	InvalidFetchSessionEpoch           ErrorCode = 71
	ListenerNotFound                   ErrorCode = 72
	TopicDeletionDisabled              ErrorCode = 73
	FencedLeaderEpoch                  ErrorCode = 74
	UnknownLeaderEpoch                 ErrorCode = 75
	UnsupportedCompressionType         ErrorCode = 76
	StaleBrokerEpoch                   ErrorCode = 77
	OffsetNotAvailable                 ErrorCode = 78
	MemberIDRequired                   ErrorCode = 79
	PreferredLeaderNotAvailable        ErrorCode = 80
	GroupMaxSizeReached                ErrorCode = 81
	FencedInstanceID                   ErrorCode = 82
	EligibleLeadersNotAvailable        ErrorCode = 83
	ElectionNotNeeded                  ErrorCode = 84
	NoReassignmentInProgress           ErrorCode = 85
	GroupSubscribedToTopic             ErrorCode = 86
	InvalidRecord                      ErrorCode = 87
	UnstableOffsetCommit               ErrorCode = 88
	ThrottlingQuotaExceeded            ErrorCode = 89
	ProducerFenced                     ErrorCode = 90
	ResourceNotFound                   ErrorCode = 91
	DuplicateResource                  ErrorCode = 92
	UnacceptableCredential             ErrorCode = 93
	InconsistentVoterSet               ErrorCode = 94
	InvalidUpdateVersion               ErrorCode = 95
	FeatureUpdateFailed                ErrorCode = 96
	PrincipalDeserializationFailure    ErrorCode = 97
	SnapshotNotFound                   ErrorCode = 98
	PositionOutOfRange                 ErrorCode = 99
	UnknownTopicID                     ErrorCode = 100
	DuplicateBrokerRegistration        ErrorCode = 101
	BrokerIDNotRegistered              ErrorCode = 102
	InconsistentTopicID                ErrorCode = 103
	InconsistentClusterID              ErrorCode = 104
	TransactionalIDNotFound            ErrorCode = 105
	FetchSessionTopicIDError           ErrorCode = 106
	IneligibleReplica                  ErrorCode = 107
	NewLeaderElected                   ErrorCode = 108
	OffsetMovedToTieredStorage         ErrorCode = 109
	FencedMemberEpoch                  ErrorCode = 110
	UnreleasedInstanceID               ErrorCode = 111
	UnsupportedAssignor                ErrorCode = 112
	StaleMemberEpoch                   ErrorCode = 113
	MismatchedEndpointType             ErrorCode = 114
	UnsupportedEndpointType            ErrorCode = 115
	UnknownControllerID                ErrorCode = 116
	UnknownSubscriptionID              ErrorCode = 117
	TelemetryTooLarge                  ErrorCode = 118
	InvalidRegistration                ErrorCode = 119
	TransactionAbortable               ErrorCode = 120
	InvalidRecordState                 ErrorCode = 121
	ShareSessionNotFound               ErrorCode = 122
	InvalidShareSessionEpoch           ErrorCode = 123
	FencedStateEpoch                   ErrorCode = 124
	InvalidVoterKey                    ErrorCode = 125
	DuplicateVoter                     ErrorCode = 126
	VoterNotFound                      ErrorCode = 127
)

// errorText has Kafka's names and message for a code: the constant's name, which tools print, the
// Java exception, which clients print, and the default text of error_message fields.
type errorText struct {
	name, exception, message string
	retriable                bool
}

var errorTexts = map[ErrorCode]errorText{
	UnknownServerError:                 {"UNKNOWN_SERVER_ERROR", "UnknownServerException", "The server experienced an unexpected error when processing the request.", false},
	None:                               {"NONE", "", "", false},
	OffsetOutOfRange:                   {"OFFSET_OUT_OF_RANGE", "OffsetOutOfRangeException", "The requested offset is not within the range of offsets maintained by the server.", false},
	CorruptMessage:                     {"CORRUPT_MESSAGE", "CorruptRecordException", "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt.", true},
	UnknownTopicOrPartition:            {"UNKNOWN_TOPIC_OR_PARTITION", "UnknownTopicOrPartitionException", "This server does not host this topic-partition.", true},
	InvalidFetchSize:                   {"INVALID_FETCH_SIZE", "InvalidFetchSizeException", "The requested fetch size is invalid.", false},
	LeaderNotAvailable:                 {"LEADER_NOT_AVAILABLE", "LeaderNotAvailableException", "There is no leader for this topic-partition as we are in the middle of a leadership election.", true},
	NotLeaderOrFollower:                {"NOT_LEADER_OR_FOLLOWER", "NotLeaderOrFollowerException", "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.", true},
	RequestTimedOut:                    {"REQUEST_TIMED_OUT", "TimeoutException", "The request timed out.", true},
	BrokerNotAvailable:                 {"BROKER_NOT_AVAILABLE", "BrokerNotAvailableException", "The broker is not available.", false},
	ReplicaNotAvailable:                {"REPLICA_NOT_AVAILABLE", "ReplicaNotAvailableException", "The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.", true},
	MessageTooLarge:                    {"MESSAGE_TOO_LARGE", "RecordTooLargeException", "The request included a message larger than the max message size the server will accept.", false},
	StaleControllerEpoch:               {"STALE_CONTROLLER_EPOCH", "ControllerMovedException", "The controller moved to another broker.", false},
	OffsetMetadataTooLarge:             {"OFFSET_METADATA_TOO_LARGE", "OffsetMetadataTooLarge", "The metadata field of the offset request was too large.", false},
	NetworkException:                   {"NETWORK_EXCEPTION", "NetworkException", "The server disconnected before a response was received.", true},
	CoordinatorLoadInProgress:          {"COORDINATOR_LOAD_IN_PROGRESS", "CoordinatorLoadInProgressException", "The coordinator is loading and hence can't process requests.", true},
	CoordinatorNotAvailable:            {"COORDINATOR_NOT_AVAILABLE", "CoordinatorNotAvailableException", "The coordinator is not available.", true},
	NotCoordinator:                     {"NOT_COORDINATOR", "NotCoordinatorException", "This is not the correct coordinator.", true},
	InvalidTopicException:              {"INVALID_TOPIC_EXCEPTION", "InvalidTopicException", "The request attempted to perform an operation on an invalid topic.", false},
	RecordListTooLarge:                 {"RECORD_LIST_TOO_LARGE", "RecordBatchTooLargeException", "The request included message batch larger than the configured segment size on the server.", false},
	NotEnoughReplicas:                  {"NOT_ENOUGH_REPLICAS", "NotEnoughReplicasException", "Messages are rejected since there are fewer in-sync replicas than required.", true},
	NotEnoughReplicasAfterAppend:       {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", "NotEnoughReplicasAfterAppendException", "Messages are written to the log, but to fewer in-sync replicas than required.", true},
	InvalidRequiredAcks:                {"INVALID_REQUIRED_ACKS", "InvalidRequiredAcksException", "Produce request specified an invalid value for required acks.", false},
	IllegalGeneration:                  {"ILLEGAL_GENERATION", "IllegalGenerationException", "Specified group generation id is not valid.", false},
	InconsistentGroupProtocol:          {"INCONSISTENT_GROUP_PROTOCOL", "InconsistentGroupProtocolException", "The group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list.", false},
	InvalidGroupID:                     {"INVALID_GROUP_ID", "InvalidGroupIdException", "The configured groupId is invalid.", false},
	UnknownMemberID:                    {"UNKNOWN_MEMBER_ID", "UnknownMemberIdException", "The coordinator is not aware of this member.", false},
	InvalidSessionTimeout:              {"INVALID_SESSION_TIMEOUT", "InvalidSessionTimeoutException", "The session timeout is not within the range allowed by the broker (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms).", false},
	RebalanceInProgress:                {"REBALANCE_IN_PROGRESS", "RebalanceInProgressException", "The group is rebalancing, so a rejoin is needed.", false},
	InvalidCommitOffsetSize:            {"INVALID_COMMIT_OFFSET_SIZE", "InvalidCommitOffsetSizeException", "The committing offset data size is not valid.", false},
	TopicAuthorizationFailed:           {"TOPIC_AUTHORIZATION_FAILED", "TopicAuthorizationException", "Topic authorization failed.", false},
	GroupAuthorizationFailed:           {"GROUP_AUTHORIZATION_FAILED", "GroupAuthorizationException", "Group authorization failed.", false},
	ClusterAuthorizationFailed:         {"CLUSTER_AUTHORIZATION_FAILED", "ClusterAuthorizationException", "Cluster authorization failed.", false},
	InvalidTimestamp:                   {"INVALID_TIMESTAMP", "InvalidTimestampException", "The timestamp of the message is out of acceptable range.", false},
	UnsupportedSASLMechanism:           {"UNSUPPORTED_SASL_MECHANISM", "UnsupportedSaslMechanismException", "The broker does not support the requested SASL mechanism.", false},
	IllegalSASLState:                   {"ILLEGAL_SASL_STATE", "IllegalSaslStateException", "Request is not valid given the current SASL state.", false},
	UnsupportedVersion:                 {"UNSUPPORTED_VERSION", "UnsupportedVersionException", "The version of API is not supported.", false},
	TopicAlreadyExists:                 {"TOPIC_ALREADY_EXISTS", "TopicExistsException", "Topic with this name already exists.", false},
	InvalidPartitions:                  {"INVALID_PARTITIONS", "InvalidPartitionsException", "Number of partitions is below 1.", false},
	InvalidReplicationFactor:           {"INVALID_REPLICATION_FACTOR", "InvalidReplicationFactorException", "Replication factor is below 1 or larger than the number of available brokers.", false},
	InvalidReplicaAssignment:           {"INVALID_REPLICA_ASSIGNMENT", "InvalidReplicaAssignmentException", "Replica assignment is invalid.", false},
	InvalidConfig:                      {"INVALID_CONFIG", "InvalidConfigurationException", "Configuration is invalid.", false},
	NotController:                      {"NOT_CONTROLLER", "NotControllerException", "This is not the correct controller for this cluster.", true},
	InvalidRequest:                     {"INVALID_REQUEST", "InvalidRequestException", "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.", false},
	UnsupportedForMessageFormat:        {"UNSUPPORTED_FOR_MESSAGE_FORMAT", "UnsupportedForMessageFormatException", "The message format version on the broker does not support the request.", false},
	PolicyViolation:                    {"POLICY_VIOLATION", "PolicyViolationException", "Request parameters do not satisfy the configured policy.", false},
	OutOfOrderSequenceNumber:           {"OUT_OF_ORDER_SEQUENCE_NUMBER", "OutOfOrderSequenceException", "The broker received an out of order sequence number.", false},
	DuplicateSequenceNumber:            {"DUPLICATE_SEQUENCE_NUMBER", "DuplicateSequenceException", "The broker received a duplicate sequence number.", false},
	InvalidProducerEpoch:               {"INVALID_PRODUCER_EPOCH", "InvalidProducerEpochException", "Producer attempted to produce with an old epoch.", false},
	InvalidTxnState:                    {"INVALID_TXN_STATE", "InvalidTxnStateException", "The producer attempted a transactional operation in an invalid state.", false},
	InvalidProducerIDMapping:           {"INVALID_PRODUCER_ID_MAPPING", "InvalidPidMappingException", "The producer attempted to use a producer id which is not currently assigned to its transactional id.", false},
	InvalidTransactionTimeout:          {"INVALID_TRANSACTION_TIMEOUT", "InvalidTxnTimeoutException", "The transaction timeout is larger than the maximum value allowed by the broker (as configured by transaction.max.timeout.ms).", false},
	ConcurrentTransactions:             {"CONCURRENT_TRANSACTIONS", "ConcurrentTransactionsException", "The producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing.", true},
	TransactionCoordinatorFenced:       {"TRANSACTION_COORDINATOR_FENCED", "TransactionCoordinatorFencedException", "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer.", false},
	TransactionalIDAuthorizationFailed: {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "TransactionalIdAuthorizationException", "Transactional Id authorization failed.", false},
	SecurityDisabled:                   {"SECURITY_DISABLED", "SecurityDisabledException", "Security features are disabled.", false},
	OperationNotAttempted:              {"OPERATION_NOT_ATTEMPTED", "OperationNotAttemptedException", "The broker did not attempt to execute this operation. This may happen for batched RPCs where some operations in the batch failed, causing the broker to respond without trying the rest.", false},
	KafkaStorageError:                  {"KAFKA_STORAGE_ERROR", "KafkaStorageException", "Disk error when trying to access log file on the disk.", true},
	LogDirNotFound:                     {"LOG_DIR_NOT_FOUND", "LogDirNotFoundException", "The user-specified log directory is not found in the broker config.", false},
	SASLAuthenticationFailed:           {"SASL_AUTHENTICATION_FAILED", "SaslAuthenticationException", "SASL Authentication failed.", false},
	UnknownProducerID:                  {"UNKNOWN_PRODUCER_ID", "UnknownProducerIdException", "This exception is raised by the broker if it could not locate the producer metadata associated with the producerId in question. This could happen if, for instance, the producer's records were deleted because their retention time had elapsed. Once the last records of the producerId are removed, the producer's metadata is removed from the broker, and future appends by the producer will return this exception.", false},
	ReassignmentInProgress:             {"REASSIGNMENT_IN_PROGRESS", "ReassignmentInProgressException", "A partition reassignment is in progress.", false},
	DelegationTokenAuthDisabled:        {"DELEGATION_TOKEN_AUTH_DISABLED", "DelegationTokenDisabledException", "Delegation Token feature is not enabled.", false},
	DelegationTokenNotFound:            {"DELEGATION_TOKEN_NOT_FOUND", "DelegationTokenNotFoundException", "Delegation Token is not found on server.", false},
	DelegationTokenOwnerMismatch:       {"DELEGATION_TOKEN_OWNER_MISMATCH", "DelegationTokenOwnerMismatchException", "Specified Principal is not valid Owner/Renewer.", false},
	DelegationTokenRequestNotAllowed:   {"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "UnsupportedByAuthenticationException", "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token authenticated channels.", false},
	DelegationTokenAuthorizationFailed: {"DELEGATION_TOKEN_AUTHORIZATION_FAILED", "DelegationTokenAuthorizationException", "Delegation Token authorization failed.", false},
	DelegationTokenExpired:             {"DELEGATION_TOKEN_EXPIRED", "DelegationTokenExpiredException", "Delegation Token is expired.", false},
	InvalidPrincipalType:               {"INVALID_PRINCIPAL_TYPE", "InvalidPrincipalTypeException", "Supplied principalType is not supported.", false},
	NonEmptyGroup:                      {"NON_EMPTY_GROUP", "GroupNotEmptyException", "The group is not empty.", false},
	GroupIDNotFound:                    {"GROUP_ID_NOT_FOUND", "GroupIdNotFoundException", "The group id does not exist.", false},
	FetchSessionIDNotFound:             {"FETCH_SESSION_ID_NOT_FOUND", "FetchSessionIdNotFoundException", "The fetch session ID was not found.", true},
	InvalidFetchSessionEpoch:           {"INVALID_FETCH_SESSION_EPOCH", "InvalidFetchSessionEpochException", "The fetch session epoch is invalid.", true},
	ListenerNotFound:                   {"LISTENER_NOT_FOUND", "ListenerNotFoundException", "There is no listener on the leader broker that matches the listener on which metadata request was processed.", true},
	TopicDeletionDisabled:              {"TOPIC_DELETION_DISABLED", "TopicDeletionDisabledException", "Topic deletion is disabled.", false},
	FencedLeaderEpoch:                  {"FENCED_LEADER_EPOCH", "FencedLeaderEpochException", "The leader epoch in the request is older than the epoch on the broker.", true},
	UnknownLeaderEpoch:                 {"UNKNOWN_LEADER_EPOCH", "UnknownLeaderEpochException", "The leader epoch in the request is newer than the epoch on the broker.", true},
	UnsupportedCompressionType:         {"UNSUPPORTED_COMPRESSION_TYPE", "UnsupportedCompressionTypeException", "The requesting client does not support the compression type of given partition.", false},
	StaleBrokerEpoch:                   {"STALE_BROKER_EPOCH", "StaleBrokerEpochException", "Broker epoch has changed.", false},
	OffsetNotAvailable:                 {"OFFSET_NOT_AVAILABLE", "OffsetNotAvailableException", "The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.", true},
	MemberIDRequired:                   {"MEMBER_ID_REQUIRED", "MemberIdRequiredException", "The group member needs to have a valid member id before actually entering a consumer group.", false},
	PreferredLeaderNotAvailable:        {"PREFERRED_LEADER_NOT_AVAILABLE", "PreferredLeaderNotAvailableException", "The preferred leader was not available.", true},
	GroupMaxSizeReached:                {"GROUP_MAX_SIZE_REACHED", "GroupMaxSizeReachedException", "The consumer group has reached its max size.", false},
	FencedInstanceID:                   {"FENCED_INSTANCE_ID", "FencedInstanceIdException", "The broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id.", false},
	EligibleLeadersNotAvailable:        {"ELIGIBLE_LEADERS_NOT_AVAILABLE", "EligibleLeadersNotAvailableException", "Eligible topic partition leaders are not available.", true},
	ElectionNotNeeded:                  {"ELECTION_NOT_NEEDED", "ElectionNotNeededException", "Leader election not needed for topic partition.", true},
	NoReassignmentInProgress:           {"NO_REASSIGNMENT_IN_PROGRESS", "NoReassignmentInProgressException", "No partition reassignment is in progress.", false},
	GroupSubscribedToTopic:             {"GROUP_SUBSCRIBED_TO_TOPIC", "GroupSubscribedToTopicException", "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.", false},
	InvalidRecord:                      {"INVALID_RECORD", "org.apache.kafka.common.InvalidRecordException", "This record has failed the validation on broker and hence will be rejected.", false},
	UnstableOffsetCommit:               {"UNSTABLE_OFFSET_COMMIT", "UnstableOffsetCommitException", "There are unstable offsets that need to be cleared.", true},
	ThrottlingQuotaExceeded:            {"THROTTLING_QUOTA_EXCEEDED", "ThrottlingQuotaExceededException", "The throttling quota has been exceeded.", true},
	ProducerFenced:                     {"PRODUCER_FENCED", "ProducerFencedException", "There is a newer producer with the same transactionalId which fences the current one.", false},
	ResourceNotFound:                   {"RESOURCE_NOT_FOUND", "ResourceNotFoundException", "A request illegally referred to a resource that does not exist.", false},
	DuplicateResource:                  {"DUPLICATE_RESOURCE", "DuplicateResourceException", "A request illegally referred to the same resource twice.", false},
	UnacceptableCredential:             {"UNACCEPTABLE_CREDENTIAL", "UnacceptableCredentialException", "Requested credential would not meet criteria for acceptability.", false},
	InconsistentVoterSet:               {"INCONSISTENT_VOTER_SET", "InconsistentVoterSetException", "Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters.", false},
	InvalidUpdateVersion:               {"INVALID_UPDATE_VERSION", "InvalidUpdateVersionException", "The given update version was invalid.", false},
	FeatureUpdateFailed:                {"FEATURE_UPDATE_FAILED", "FeatureUpdateFailedException", "Unable to update finalized features due to an unexpected server error.", false},
	PrincipalDeserializationFailure:    {"PRINCIPAL_DESERIALIZATION_FAILURE", "PrincipalDeserializationException", "Request principal deserialization failed during forwarding. This indicates an internal error on the broker cluster security setup.", false},
	SnapshotNotFound:                   {"SNAPSHOT_NOT_FOUND", "SnapshotNotFoundException", "Requested snapshot was not found.", false},
	PositionOutOfRange:                 {"POSITION_OUT_OF_RANGE", "PositionOutOfRangeException", "Requested position is not greater than or equal to zero, and less than the size of the snapshot.", false},
	UnknownTopicID:                     {"UNKNOWN_TOPIC_ID", "UnknownTopicIdException", "This server does not host this topic ID.", true},
	DuplicateBrokerRegistration:        {"DUPLICATE_BROKER_REGISTRATION", "DuplicateBrokerRegistrationException", "This broker ID is already in use.", false},
	BrokerIDNotRegistered:              {"BROKER_ID_NOT_REGISTERED", "BrokerIdNotRegisteredException", "The given broker ID was not registered.", false},
	InconsistentTopicID:                {"INCONSISTENT_TOPIC_ID", "InconsistentTopicIdException", "The log's topic ID did not match the topic ID in the request.", true},
	InconsistentClusterID:              {"INCONSISTENT_CLUSTER_ID", "InconsistentClusterIdException", "The clusterId in the request does not match that found on the server.", false},
	TransactionalIDNotFound:            {"TRANSACTIONAL_ID_NOT_FOUND", "TransactionalIdNotFoundException", "The transactionalId could not be found.", false},
	FetchSessionTopicIDError:           {"FETCH_SESSION_TOPIC_ID_ERROR", "FetchSessionTopicIdException", "The fetch session encountered inconsistent topic ID usage.", true},
	IneligibleReplica:                  {"INELIGIBLE_REPLICA", "IneligibleReplicaException", "The new ISR contains at least one ineligible replica.", false},
	NewLeaderElected:                   {"NEW_LEADER_ELECTED", "NewLeaderElectedException", "The AlterPartition request successfully updated the partition state but the leader has changed.", false},
	OffsetMovedToTieredStorage:         {"OFFSET_MOVED_TO_TIERED_STORAGE", "OffsetMovedToTieredStorageException", "The requested offset is moved to tiered storage.", false},
	FencedMemberEpoch:                  {"FENCED_MEMBER_EPOCH", "FencedMemberEpochException", "The member epoch is fenced by the group coordinator. The member must abandon all its partitions and rejoin.", false},
	UnreleasedInstanceID:               {"UNRELEASED_INSTANCE_ID", "UnreleasedInstanceIdException", "The instance ID is still used by another member in the consumer group. That member must leave first.", false},
	UnsupportedAssignor:                {"UNSUPPORTED_ASSIGNOR", "UnsupportedAssignorException", "The assignor or its version range is not supported by the consumer group.", false},
	StaleMemberEpoch:                   {"STALE_MEMBER_EPOCH", "StaleMemberEpochException", "The member epoch is stale. The member must retry after receiving its updated member epoch via the ConsumerGroupHeartbeat API.", false},
	MismatchedEndpointType:             {"MISMATCHED_ENDPOINT_TYPE", "MismatchedEndpointTypeException", "The request was sent to an endpoint of the wrong type.", false},
	UnsupportedEndpointType:            {"UNSUPPORTED_ENDPOINT_TYPE", "UnsupportedEndpointTypeException", "This endpoint type is not supported yet.", false},
	UnknownControllerID:                {"UNKNOWN_CONTROLLER_ID", "UnknownControllerIdException", "This controller ID is not known.", false},
	UnknownSubscriptionID:              {"UNKNOWN_SUBSCRIPTION_ID", "UnknownSubscriptionIdException", "Client sent a push telemetry request with an invalid or outdated subscription ID.", false},
	TelemetryTooLarge:                  {"TELEMETRY_TOO_LARGE", "TelemetryTooLargeException", "Client sent a push telemetry request larger than the maximum size the broker will accept.", false},
	InvalidRegistration:                {"INVALID_REGISTRATION", "InvalidRegistrationException", "The controller has considered the broker registration to be invalid.", false},
	TransactionAbortable:               {"TRANSACTION_ABORTABLE", "TransactionAbortableException", "The server encountered an error with the transaction. The client can abort the transaction to continue using this transactional ID.", false},
	InvalidRecordState:                 {"INVALID_RECORD_STATE", "InvalidRecordStateException", "The record state is invalid. The acknowledgement of delivery could not be completed.", false},
	ShareSessionNotFound:               {"SHARE_SESSION_NOT_FOUND", "ShareSessionNotFoundException", "The share session was not found.", true},
	InvalidShareSessionEpoch:           {"INVALID_SHARE_SESSION_EPOCH", "InvalidShareSessionEpochException", "The share session epoch is invalid.", true},
	FencedStateEpoch:                   {"FENCED_STATE_EPOCH", "FencedStateEpochException", "The share coordinator rejected the request because the share-group state epoch did not match.", false},
	InvalidVoterKey:                    {"INVALID_VOTER_KEY", "InvalidVoterKeyException", "The voter key doesn't match the receiving replica's key.", false},
	DuplicateVoter:                     {"DUPLICATE_VOTER", "DuplicateVoterException", "The voter is already part of the set of voters.", false},
	VoterNotFound:                      {"VOTER_NOT_FOUND", "VoterNotFoundException", "The voter is not part of the set of voters.", false},
}
