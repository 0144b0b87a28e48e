package protocol

// ProduceRequest is a Produce request of any version. It is made for reuse: a
// second ReadFrom keeps the slices of the first, and topic names that are the
// same again cost no allocation.
type ProduceRequest struct {
	Version         int16
	TransactionalID *string // v3+, else nil
	Acks            int16   // 0, 1 or -1 (all); others are for the handler to refuse
	TimeoutMs       int32
	Topics          []ProduceTopic
}

// ProduceTopic is one topic of a ProduceRequest.
type ProduceTopic struct {
	Topic      string
	Partitions []ProducePartition
}

// ProducePartition is one partition of a ProduceTopic.
type ProducePartition struct {
	Partition int32
	// Records aliases the request's body; nil where the client sent null.
	Records []byte
}

// ReadFrom parses a request's body. Records are not copied, so body has to
// stay until they are appended. Bytes after the request are ignored, as Kafka
// does. The error of a malformed body costs the sender its connection.
func (p *ProduceRequest) ReadFrom(version int16, body []byte) error { panic("unwritten") }

// Clear drops what aliases the body, so that a pooled ProduceRequest does not
// hold it; the slices stay.
func (p *ProduceRequest) Clear() { panic("unwritten") }

// ProduceResponse answers a ProduceRequest.
type ProduceResponse struct {
	Version       int16
	Topics        []ProduceTopicResponse
	ThrottleMs    int32          // v1+
	NodeEndpoints []NodeEndpoint // v10+ (KIP-951): the leaders named in CurrentLeader
}

// ProduceTopicResponse is one topic of a ProduceResponse.
type ProduceTopicResponse struct {
	Topic      string
	Partitions []ProducePartitionResponse
}

// ProducePartitionResponse is what became of one partition's records.
type ProducePartitionResponse struct {
	Partition       int32
	ErrorCode       ErrorCode
	BaseOffset      int64          // -1 on error
	LogAppendTimeMs int64          // v2+; -1 unless the topic uses LogAppendTime
	LogStartOffset  int64          // v5+; -1 on error
	RecordErrors    []RecordError  // v8+: the records for which the batch was refused
	ErrorMessage    *string        // v8+
	CurrentLeader   *LeaderIDEpoch // v10+, with NOT_LEADER_OR_FOLLOWER; nil: not sent
}

// RecordError is the reason why one record, by its index in the batch, made
// the broker refuse the batch (KIP-467).
type RecordError struct {
	BatchIndex int32
	Message    *string
}

// LeaderIDEpoch names a partition's leader; -1 means unknown in either field.
type LeaderIDEpoch struct {
	LeaderID    int32
	LeaderEpoch int32
}

// NodeEndpoint tells a client how to reach a leader that it does not know yet.
type NodeEndpoint struct {
	NodeID int32
	Host   string
	Port   int32
	Rack   *string
}

// ProduceFailure returns the answer for a partition whose records were refused
// with err: its code, the message where err carries one of its own, and -1 for
// all offsets.
func ProduceFailure(partition int32, err error) ProducePartitionResponse { panic("unwritten") }

// AppendTo appends the response's body. Fields that its version does not have
// are left out.
func (p *ProduceResponse) AppendTo(dst []byte) []byte { panic("unwritten") }
