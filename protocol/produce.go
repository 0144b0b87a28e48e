package protocol

import "fmt"

// maxProduceVersion is the highest version of Produce that the codec supports.
const maxProduceVersion = 11

// ProduceRequest is a Produce request of any version. It is made for reuse: ReadFrom uses the
// slices of the previous call, and a topic name that is unchanged costs no allocation.
type ProduceRequest struct {
	Version         int16
	TransactionalID *string // v3+, else nil
	Acks            int16   // 0, 1 or -1 (all); the handler must refuse other values
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
	// Records aliases the request's body. It is nil if the client sent null.
	Records []byte
}

// ReadFrom parses a request's body. Records alias body, which must not change until they are
// appended. Bytes after the request are ignored, as in Kafka. If it fails the caller must close the
// connection.
func (p *ProduceRequest) ReadFrom(version int16, body []byte) error {
	if version < 0 || version > maxProduceVersion {
		return fmt.Errorf("%s v%d: %w", Produce, version, ErrUnsupportedVersion)
	}
	p.Version = version
	compact := Produce.Flexible(version)
	r := newReader(body)
	if version >= 3 {
		p.TransactionalID = r.nullableString(compact, p.TransactionalID)
	} else {
		p.TransactionalID = nil
	}
	p.Acks = r.int16()
	p.TimeoutMs = r.int32()
	p.Topics = entries(&r, compact, 3, p.Topics)
	for i := range p.Topics {
		p.Topics[i].readFrom(&r, compact)
	}
	if compact {
		r.skipTags()
	}
	if r.err != nil {
		p.Clear()
		return fmt.Errorf("%s v%d of %d bytes: %w", Produce, version, len(body), r.err)
	}
	return nil
}

func (t *ProduceTopic) readFrom(r *reader, compact bool) {
	t.Topic = r.string(compact, t.Topic)
	t.Partitions = entries(r, compact, 5, t.Partitions)
	for i := range t.Partitions {
		t.Partitions[i] = ProducePartition{Partition: r.int32(), Records: r.nullableBytes(compact)}
		if compact {
			r.skipTags()
		}
	}
	if compact {
		r.skipTags()
	}
}

// resize returns s with length n. Previous entries of s, up to its capacity, keep their content.
func resize[E any](s []E, n int) []E {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]E, n-cap(s))...)
}

// ErrorResponse returns the answer to a request that fails as a whole, with the code of err on
// every partition. With acks=0 it returns false: the connection must be closed instead.
func (p *ProduceRequest) ErrorResponse(err error, throttleMs int32) (*ProduceResponse, bool) {
	if p.Acks == 0 {
		return nil, false
	}
	resp := &ProduceResponse{Version: p.Version, ThrottleMs: throttleMs}
	for i := range p.Topics {
		topic := ProduceTopicResponse{Topic: p.Topics[i].Topic}
		for _, partition := range p.Topics[i].Partitions {
			topic.Partitions = append(topic.Partitions, ProduceFailure(partition.Partition, err))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp, true
}

// Clear drops all references to the body, so that a pooled ProduceRequest does not keep it alive.
// The slices are kept for reuse.
func (p *ProduceRequest) Clear() {
	topics := p.Topics[:cap(p.Topics)]
	for i := range topics {
		clear(topics[i].Partitions[:cap(topics[i].Partitions)])
	}
	p.Topics = p.Topics[:0]
}

// ProduceResponse answers a ProduceRequest.
type ProduceResponse struct {
	Version       int16
	Topics        []ProduceTopicResponse
	ThrottleMs    int32          // v1+
	NodeEndpoints []NodeEndpoint // v10+ (KIP-951): the endpoints of the leaders in CurrentLeader
}

// ProduceTopicResponse is one topic of a ProduceResponse.
type ProduceTopicResponse struct {
	Topic      string
	Partitions []ProducePartitionResponse
}

// ProducePartitionResponse is the result for one partition's records.
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

// RecordError is a record, by its index in the batch, for which the broker refused the batch, and
// the reason (KIP-467).
type RecordError struct {
	BatchIndex int32
	Message    *string
}

// LeaderIDEpoch is a partition's leader and its epoch. -1 means unknown in either field.
type LeaderIDEpoch struct {
	LeaderID    int32
	LeaderEpoch int32
}

// NodeEndpoint is the address of a leader, for clients that do not know it yet.
type NodeEndpoint struct {
	NodeID int32
	Host   string
	Port   int32
	Rack   *string
}

// ProduceFailure returns the answer for a partition whose records were refused with err: its code,
// its message if it has one of its own, and -1 for all offsets.
func ProduceFailure(partition int32, err error) ProducePartitionResponse {
	return ProducePartitionResponse{Partition: partition, ErrorCode: CodeOf(err), ErrorMessage: SpecificMessage(err),
		BaseOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1}
}

// AppendTo appends the response's body, without fields that its version does not have.
func (p *ProduceResponse) AppendTo(dst []byte) []byte {
	compact := Produce.Flexible(p.Version)
	dst = appendLength(dst, len(p.Topics), compact)
	for i := range p.Topics {
		t := &p.Topics[i]
		dst = appendString(dst, t.Topic, compact)
		dst = appendLength(dst, len(t.Partitions), compact)
		for j := range t.Partitions {
			dst = t.Partitions[j].appendTo(dst, p.Version, compact)
		}
		if compact {
			dst = append(dst, 0)
		}
	}
	if p.Version >= 1 {
		dst = appendInt32(dst, p.ThrottleMs)
	}
	if compact {
		if p.Version >= 10 && len(p.NodeEndpoints) > 0 {
			dst = appendNodeEndpoints(append(dst, 1), p.NodeEndpoints)
		} else {
			dst = append(dst, 0)
		}
	}
	return dst
}

func (p *ProducePartitionResponse) appendTo(dst []byte, version int16, compact bool) []byte {
	dst = appendInt32(dst, p.Partition)
	dst = appendInt16(dst, int16(p.ErrorCode))
	dst = appendInt64(dst, p.BaseOffset)
	if version >= 2 {
		dst = appendInt64(dst, p.LogAppendTimeMs)
	}
	if version >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	if version >= 8 {
		dst = appendLength(dst, len(p.RecordErrors), compact)
		for _, e := range p.RecordErrors {
			dst = appendInt32(dst, e.BatchIndex)
			dst = appendNullableString(dst, e.Message, compact)
			if compact {
				dst = append(dst, 0)
			}
		}
		dst = appendNullableString(dst, p.ErrorMessage, compact)
	}
	if compact {
		if version >= 10 && p.CurrentLeader.known() {
			dst = p.CurrentLeader.appendTag(append(dst, 1), 0)
		} else {
			dst = append(dst, 0)
		}
	}
	return dst
}

// known reports whether l must be sent. Kafka leaves out a tagged field with its default value.
func (l *LeaderIDEpoch) known() bool {
	return l != nil && (l.LeaderID != -1 || l.LeaderEpoch != -1)
}

func (l *LeaderIDEpoch) appendTag(dst []byte, tag byte) []byte {
	dst = append(dst, tag, 4+4+1)
	dst = appendInt32(dst, l.LeaderID)
	dst = appendInt32(dst, l.LeaderEpoch)
	return append(dst, 0)
}

// appendNodeEndpoints appends the endpoints of an answer, which are its tagged field 0.
func appendNodeEndpoints(dst []byte, nodes []NodeEndpoint) []byte {
	field := appendLength(nil, len(nodes), true)
	for i := range nodes {
		field = appendInt32(field, nodes[i].NodeID)
		field = appendString(field, nodes[i].Host, true)
		field = appendInt32(field, nodes[i].Port)
		field = appendNullableString(field, nodes[i].Rack, true)
		field = append(field, 0)
	}
	dst = append(dst, 0)
	dst = appendUvarint(dst, uint32(len(field)))
	return append(dst, field...)
}
