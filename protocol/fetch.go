package protocol

import (
	"fmt"
	"math"
)

// maxFetchVersion is the highest version of Fetch that the codec supports.
const maxFetchVersion = 17

// FetchRequest is a Fetch request of any version. Fields that the version does not have are set to
// Kafka's defaults. Like ProduceRequest it is made for reuse. It does not alias the body.
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
	Forgotten      []ForgottenTopic // v7+: partitions to remove from the session
	RackID         string           // v11+
}

// FetchTopic is one topic of a FetchRequest. It has a name up to v12 and an id from v13 on.
type FetchTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []FetchPartition
}

// FetchPartition is one partition of a FetchTopic.
type FetchPartition struct {
	Partition          int32
	CurrentLeaderEpoch int32 // v9+; -1: do not check the epoch
	FetchOffset        int64
	LastFetchedEpoch   int32 // v12+; -1: do not check for divergence
	LogStartOffset     int64 // v5+: the follower's log start offset, else -1
	MaxBytes           int32
	DirectoryID        [16]byte // v17+ tag
}

// ForgottenTopic has partitions of one topic to remove from the fetch session.
type ForgottenTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []int32
}

// ReadFrom parses a request's body. Bytes after the request are ignored, as in Kafka. If it fails
// the caller must close the connection.
func (f *FetchRequest) ReadFrom(version int16, body []byte) error {
	if version < 0 || version > maxFetchVersion {
		return fmt.Errorf("%s v%d: %w", Fetch, version, ErrUnsupportedVersion)
	}
	compact := Fetch.Flexible(version)
	r := newReader(body)
	f.setDefaults(version)
	if version <= 14 {
		f.ReplicaID = r.int32()
	}
	f.MaxWaitMs = r.int32()
	f.MinBytes = r.int32()
	if version >= 3 {
		f.MaxBytes = r.int32()
	}
	if version >= 4 {
		f.IsolationLevel = r.int8()
	}
	if version >= 7 {
		f.SessionID = r.int32()
		f.SessionEpoch = r.int32()
	}
	f.Topics = entries(&r, compact, 3, f.Topics)
	for i := range f.Topics {
		f.Topics[i].readFrom(&r, version, compact)
	}
	if version >= 7 {
		f.Forgotten = entries(&r, compact, 3, f.Forgotten)
		for i := range f.Forgotten {
			f.Forgotten[i].readFrom(&r, version, compact)
		}
	}
	if version >= 11 {
		f.RackID = r.string(compact, f.RackID)
	} else {
		f.RackID = ""
	}
	if compact {
		f.readTags(&r)
	}
	if r.err != nil {
		return fmt.Errorf("%s v%d of %d bytes: %w", Fetch, version, len(body), r.err)
	}
	return nil
}

// setDefaults sets the fields that some versions lack to Kafka's defaults. It keeps Topics and
// RackID for reuse.
func (f *FetchRequest) setDefaults(version int16) {
	f.Version = version
	f.ClusterID = nil
	f.ReplicaID = -1
	f.ReplicaEpoch = -1
	f.MaxBytes = math.MaxInt32
	f.IsolationLevel = 0
	f.SessionID = 0
	f.SessionEpoch = -1
	f.Forgotten = f.Forgotten[:0]
}

func (f *FetchRequest) readTags(r *reader) {
	r.tags(func(tag uint32, field *reader) {
		switch {
		case tag == 0:
			f.ClusterID = field.nullableString(true, nil)
		case tag == 1 && f.Version >= 15:
			f.ReplicaID = field.int32()
			f.ReplicaEpoch = field.int64()
			field.skipTags()
		}
	})
}

func (t *FetchTopic) readFrom(r *reader, version int16, compact bool) {
	t.Topic, t.TopicID = readTopic(r, version, compact, t.Topic)
	t.Partitions = entries(r, compact, 16, t.Partitions)
	for i := range t.Partitions {
		t.Partitions[i] = readFetchPartition(r, version, compact)
	}
	if compact {
		r.skipTags()
	}
}

func (t *ForgottenTopic) readFrom(r *reader, version int16, compact bool) {
	t.Topic, t.TopicID = readTopic(r, version, compact, t.Topic)
	t.Partitions = entries(r, compact, 4, t.Partitions)
	for i := range t.Partitions {
		t.Partitions[i] = r.int32()
	}
	if compact {
		r.skipTags()
	}
}

// readTopic reads the name or, from v13 on, the id of a topic. old is as for reader.string.
func readTopic(r *reader, version int16, compact bool, old string) (name string, id [16]byte) {
	if version >= 13 {
		return "", r.uuid()
	}
	return r.string(compact, old), id
}

func readFetchPartition(r *reader, version int16, compact bool) FetchPartition {
	p := FetchPartition{CurrentLeaderEpoch: -1, LastFetchedEpoch: -1, LogStartOffset: -1}
	p.Partition = r.int32()
	if version >= 9 {
		p.CurrentLeaderEpoch = r.int32()
	}
	p.FetchOffset = r.int64()
	if version >= 12 {
		p.LastFetchedEpoch = r.int32()
	}
	if version >= 5 {
		p.LogStartOffset = r.int64()
	}
	p.MaxBytes = r.int32()
	if compact {
		r.tags(func(tag uint32, field *reader) {
			if tag == 0 && version >= 17 {
				p.DirectoryID = field.uuid()
			}
		})
	}
	return p
}

// ErrorResponse returns the answer to a request that fails as a whole. It has the code of err at
// the top level and, up to v12, also on every partition, since older clients do not look at the top
// level.
func (f *FetchRequest) ErrorResponse(err error, throttleMs int32) *FetchResponse {
	code := CodeOf(err)
	resp := &FetchResponse{Version: f.Version, ThrottleMs: throttleMs, ErrorCode: code, SessionID: f.SessionID}
	if f.Version >= 13 {
		return resp
	}
	for i := range f.Topics {
		topic := FetchTopicResponse{Topic: f.Topics[i].Topic}
		for _, p := range f.Topics[i].Partitions {
			topic.Partitions = append(topic.Partitions, NewFetchPartitionResponse(p.Partition, code))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// FetchResponse is a Fetch response without the records. The caller splices the records in, so they
// can be sent from the file to the socket.
type FetchResponse struct {
	Version       int16
	ThrottleMs    int32     // v1+
	ErrorCode     ErrorCode // v7+
	SessionID     int32     // v7+
	Topics        []FetchTopicResponse
	NodeEndpoints []NodeEndpoint // v16+: the endpoints of the leaders in CurrentLeader
}

// FetchTopicResponse is one topic of a FetchResponse. It has a name up to v12 and an id from v13
// on.
type FetchTopicResponse struct {
	Topic      string
	TopicID    [16]byte
	Partitions []FetchPartitionResponse
}

// FetchPartitionResponse is one partition of a FetchTopicResponse. Use NewFetchPartitionResponse to
// make one, since zero is a valid value of every number in it.
type FetchPartitionResponse struct {
	Partition        int32
	ErrorCode        ErrorCode
	HighWatermark    int64
	LastStableOffset int64 // v4+
	LogStartOffset   int64 // v5+
	// Aborted (v4+) lists the transactions that a read_committed consumer must skip. nil is
	// written as null, which Kafka sends for read_uncommitted.
	Aborted              []AbortedTransaction
	PreferredReadReplica int32           // v11+; -1: fetch from this broker
	DivergingEpoch       *EpochEndOffset // v12+; nil: not sent
	CurrentLeader        *LeaderIDEpoch  // v12+; nil: not sent
	SnapshotID           *EpochEndOffset // v12+; nil: not sent (only KRaft uses it)
	// RecordsSize is the size of the records in bytes; -1 means null.
	RecordsSize int32
}

// NewFetchPartitionResponse returns the answer for a partition that was refused before it was read.
// As in Kafka, the offsets and the preferred replica are -1, the aborted transactions are empty and
// the records null. (If the read itself fails, the transactions are null and the records empty:
// RecordsSize 0.)
func NewFetchPartitionResponse(partition int32, code ErrorCode) FetchPartitionResponse {
	return FetchPartitionResponse{Partition: partition, ErrorCode: code,
		HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, PreferredReadReplica: -1,
		Aborted: []AbortedTransaction{}, RecordsSize: -1}
}

// AbortedTransaction is a transaction that a read_committed consumer must skip.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}

// EpochEndOffset is a leader epoch and its end offset.
type EpochEndOffset struct {
	Epoch     int32
	EndOffset int64
}

// AppendTo appends the answer without its records to dst. For every partition with RecordsSize > 0,
// in order, it appends to cuts the index in dst at which the partition's records belong: the bytes
// before the first cut are sent first, then the first partition's records, and so on.
func (f *FetchResponse) AppendTo(dst []byte, cuts []int) ([]byte, []int) {
	compact := Fetch.Flexible(f.Version)
	if f.Version >= 1 {
		dst = appendInt32(dst, f.ThrottleMs)
	}
	if f.Version >= 7 {
		dst = appendInt16(dst, int16(f.ErrorCode))
		dst = appendInt32(dst, f.SessionID)
	}
	dst = appendLength(dst, len(f.Topics), compact)
	for i := range f.Topics {
		t := &f.Topics[i]
		if f.Version >= 13 {
			dst = append(dst, t.TopicID[:]...)
		} else {
			dst = appendString(dst, t.Topic, compact)
		}
		dst = appendLength(dst, len(t.Partitions), compact)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			dst = p.appendHead(dst, f.Version, compact)
			if p.RecordsSize > 0 {
				cuts = append(cuts, len(dst))
			}
			if compact {
				dst = p.appendTags(dst)
			}
		}
		if compact {
			dst = append(dst, 0)
		}
	}
	if compact {
		if f.Version >= 16 && len(f.NodeEndpoints) > 0 {
			dst = appendNodeEndpoints(append(dst, 1), f.NodeEndpoints)
		} else {
			dst = append(dst, 0)
		}
	}
	return dst, cuts
}

// appendHead appends the fields before a partition's records, including the records' length.
func (p *FetchPartitionResponse) appendHead(dst []byte, version int16, compact bool) []byte {
	dst = appendInt32(dst, p.Partition)
	dst = appendInt16(dst, int16(p.ErrorCode))
	dst = appendInt64(dst, p.HighWatermark)
	if version >= 4 {
		dst = appendInt64(dst, p.LastStableOffset)
	}
	if version >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	if version >= 4 {
		dst = p.appendAborted(dst, compact)
	}
	if version >= 11 {
		dst = appendInt32(dst, p.PreferredReadReplica)
	}
	return appendLength(dst, int(p.RecordsSize), compact)
}

func (p *FetchPartitionResponse) appendAborted(dst []byte, compact bool) []byte {
	if p.Aborted == nil {
		return appendLength(dst, -1, compact)
	}
	dst = appendLength(dst, len(p.Aborted), compact)
	for _, a := range p.Aborted {
		dst = appendInt64(dst, a.ProducerID)
		dst = appendInt64(dst, a.FirstOffset)
		if compact {
			dst = append(dst, 0)
		}
	}
	return dst
}

// appendTags appends the tagged fields after a partition's records, in flexible versions.
func (p *FetchPartitionResponse) appendTags(dst []byte) []byte {
	count := len(dst)
	dst = append(dst, 0)
	if p.DivergingEpoch.known() {
		dst[count]++
		dst = append(dst, 0, 4+8+1)
		dst = appendInt32(dst, p.DivergingEpoch.Epoch)
		dst = appendInt64(dst, p.DivergingEpoch.EndOffset)
		dst = append(dst, 0)
	}
	if p.CurrentLeader.known() {
		dst[count]++
		dst = p.CurrentLeader.appendTag(dst, 1)
	}
	if p.SnapshotID.known() {
		dst[count]++
		dst = append(dst, 2, 8+4+1)
		dst = appendInt64(dst, p.SnapshotID.EndOffset)
		dst = appendInt32(dst, p.SnapshotID.Epoch)
		dst = append(dst, 0)
	}
	return dst
}

// known reports whether e must be sent. Kafka leaves out a tagged field with its default value.
func (e *EpochEndOffset) known() bool {
	return e != nil && (e.Epoch != -1 || e.EndOffset != -1)
}
