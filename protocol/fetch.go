package protocol

// FetchRequest is a Fetch request of any version, with Kafka's defaults for
// what the version does not have. It is made for reuse, as ProduceRequest is,
// and aliases nothing of the body.
type FetchRequest struct {
	Version        int16
	ClusterID      *string // v12+ tag; only KRaft controllers send it
	ReplicaID      int32   // the follower's broker id; -1 for a consumer (v15+: from the replica state tag)
	ReplicaEpoch   int64   // v15+: the follower's broker epoch, else -1
	MaxWaitMs      int32
	MinBytes       int32
	MaxBytes       int32 // v3+, else 0x7fffffff
	IsolationLevel int8  // v4+: 0 read_uncommitted, 1 read_committed
	SessionID      int32 // v7+, else 0
	SessionEpoch   int32 // v7+, else -1: no session
	Topics         []FetchTopic
	Forgotten      []ForgottenTopic // v7+: partitions to take out of the session
	RackID         string           // v11+
}

// FetchTopic is one topic of a FetchRequest: by name up to v12, by id from v13 on.
type FetchTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []FetchPartition
}

// FetchPartition is one partition of a FetchTopic.
type FetchPartition struct {
	Partition          int32
	CurrentLeaderEpoch int32 // v9+, else -1: do not check
	FetchOffset        int64
	LastFetchedEpoch   int32 // v12+, else -1: do not look for divergence
	LogStartOffset     int64 // v5+, a follower's; else -1
	MaxBytes           int32
	DirectoryID        [16]byte // v17+ tag
}

// ForgottenTopic names partitions that leave the fetch session.
type ForgottenTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []int32
}

// ReadFrom parses a request's body. Bytes after the request are ignored, as
// Kafka does. The error of a malformed body costs the sender its connection.
func (f *FetchRequest) ReadFrom(version int16, body []byte) error { panic("unwritten") }

// FetchResponse is the head of a Fetch answer: everything but the records,
// which the caller splices in, so that they can go from file to socket.
type FetchResponse struct {
	Version       int16
	ThrottleMs    int32     // v1+
	ErrorCode     ErrorCode // v7+
	SessionID     int32     // v7+
	Topics        []FetchTopicResponse
	NodeEndpoints []NodeEndpoint // v16+: the leaders named in CurrentLeader
}

// FetchTopicResponse is one topic of a FetchResponse: by name up to v12, by id
// from v13 on.
type FetchTopicResponse struct {
	Topic      string
	TopicID    [16]byte
	Partitions []FetchPartitionResponse
}

// FetchPartitionResponse is one partition of a FetchTopicResponse. Zero is a
// meaningful value of all its numbers: see NewFetchPartitionResponse.
type FetchPartitionResponse struct {
	Partition        int32
	ErrorCode        ErrorCode
	HighWatermark    int64
	LastStableOffset int64 // v4+
	LogStartOffset   int64 // v5+
	// Aborted (v4+) lists what a read_committed consumer must skip; nil is
	// written as null, which Kafka does for read_uncommitted.
	Aborted              []AbortedTransaction
	PreferredReadReplica int32           // v11+; -1: stay here
	DivergingEpoch       *EpochEndOffset // v12+; nil: not sent
	CurrentLeader        *LeaderIDEpoch  // v12+; nil: not sent
	SnapshotID           *EpochEndOffset // v12+; nil: not sent (only KRaft uses it)
	// RecordsSize is how many bytes of records follow: 0 none, -1 null.
	RecordsSize int32
}

// NewFetchPartitionResponse returns the answer for a partition without data:
// offsets and preferred replica -1, no records.
func NewFetchPartitionResponse(partition int32, code ErrorCode) FetchPartitionResponse {
	return FetchPartitionResponse{Partition: partition, ErrorCode: code,
		HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, PreferredReadReplica: -1}
}

// AbortedTransaction is a transaction that a read_committed consumer skips.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}

// EpochEndOffset is a leader epoch and the offset where it ends.
type EpochEndOffset struct {
	Epoch     int32
	EndOffset int64
}

// AppendTo appends the answer without its records to dst. For every partition
// with RecordsSize > 0, in order, it appends to cuts the length that dst has
// where that partition's records belong: the bytes before the first cut are
// the first run, then come the first partition's records, and so on.
func (f *FetchResponse) AppendTo(dst []byte, cuts []int) ([]byte, []int) { panic("unwritten") }
