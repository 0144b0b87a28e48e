package toolreplay

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// Logs is a scripted broker for producers, consumers and groups of one member. Its topics have one
// partition.
type Logs struct {
	t testing.TB

	mu        sync.Mutex // guards the fields below
	records   map[string][]record.Record
	committed map[string]record.Offset // "group topic" -> offset
	failures  map[protocol.APIKey][]protocol.ErrorCode
}

// NewLogs returns a broker with empty topics.
func NewLogs(t testing.TB, topics ...string) *Logs {
	l := &Logs{t: t, records: map[string][]record.Record{}, committed: map[string]record.Offset{}, failures: map[protocol.APIKey][]protocol.ErrorCode{}}
	for _, name := range topics {
		l.records[name] = []record.Record{}
	}
	return l
}

// Append adds records with a key and a value, written as key=value, and consecutive timestamps.
func (l *Logs) Append(topic string, pairs ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		n := record.Offset(len(l.records[topic]))
		l.records[topic] = append(l.records[topic], record.Record{Offset: n, Timestamp: int64(1600000000000 + n), Key: []byte(key), Value: []byte(value)})
	}
}

// Fail makes the next responses to a key carry errors.
func (l *Logs) Fail(key protocol.APIKey, codes ...protocol.ErrorCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures[key] = append(l.failures[key], codes...)
}

// Written returns the records of a topic as key=value, followed by the headers in brackets. A
// missing key or value is written as the word null.
func (l *Logs) Written(topic string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, r := range l.records[topic] {
		text := orNull(r.Key) + "=" + orNull(r.Value)
		for _, h := range r.Headers {
			text += fmt.Sprintf("[%s:%s]", h.Key, h.Value)
		}
		all = append(all, text)
	}
	return all
}

func orNull(b []byte) string {
	if b == nil {
		return "null"
	}
	return string(b)
}

// Committed returns the committed offset of a group, or -1.
func (l *Logs) Committed(group, topic string) record.Offset {
	l.mu.Lock()
	defer l.mu.Unlock()
	if offset, found := l.committed[group+" "+topic]; found {
		return offset
	}
	return -1
}

func topicID(name string) (id [16]byte) {
	sum := sha256.Sum256([]byte(name))
	copy(id[:], sum[:])
	return id
}

func (l *Logs) named(id [16]byte) string {
	for name := range l.records {
		if topicID(name) == id {
			return name
		}
	}
	return ""
}

// Answer answers a request.
func (l *Logs) Answer(req kmsg.Request) kmsg.Response {
	if fetch, is := req.(*kmsg.FetchRequest); is {
		resp, empty := l.fetch(fetch)
		if empty {
			select {
			case <-l.t.Context().Done():
			case <-time.After(repeatedFetchPause):
			}
		}
		return resp
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	code := int16(l.failure(req.Key()))
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		return l.metadata(req, code)
	case *kmsg.InitProducerIDRequest:
		resp := kmsg.NewPtrInitProducerIDResponse()
		resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = code, 1, 0
		return resp
	case *kmsg.ProduceRequest:
		return l.produce(req, code)
	case *kmsg.ListOffsetsRequest:
		resp := kmsg.NewPtrListOffsetsResponse()
		for _, t := range req.Topics {
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic = t.Topic
			for _, wanted := range t.Partitions {
				p := kmsg.NewListOffsetsResponseTopicPartition()
				p.Partition, p.ErrorCode, p.Offset = wanted.Partition, code, int64(len(l.records[t.Topic]))
				if wanted.Timestamp == -2 {
					p.Offset = 0
				}
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	}
	return l.answerMember(req, code)
}

func (l *Logs) failure(key int16) protocol.ErrorCode {
	queue := l.failures[protocol.APIKey(key)]
	if len(queue) == 0 {
		return protocol.None
	}
	l.failures[protocol.APIKey(key)] = queue[1:]
	return queue[0]
}

func (l *Logs) metadata(req *kmsg.MetadataRequest, code int16) kmsg.Response {
	cluster := Cluster{Brokers: []int32{0}, Topics: map[string][]Partition{}}
	for name := range l.records {
		cluster.Topics[name] = []Partition{{Leader: 0, Replicas: []int32{0}, ISR: []int32{0}}}
	}
	byID := slices.Clone(req.Topics)
	for i, t := range byID {
		if t.Topic == nil {
			byID[i].Topic = kmsg.StringPtr(l.named(t.TopicID))
		}
	}
	named := *req
	named.Topics = byID
	resp := cluster.Metadata(&named)
	for i := range resp.Topics {
		if resp.Topics[i].TopicID = topicID(*resp.Topics[i].Topic); code != 0 {
			resp.Topics[i].ErrorCode = code
		}
	}
	return resp
}

func (l *Logs) produce(req *kmsg.ProduceRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrProduceResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			one := kmsg.NewProduceResponseTopicPartition()
			one.Partition, one.ErrorCode, one.BaseOffset = p.Partition, code, int64(len(l.records[t.Topic]))
			for set := p.Records; len(set) > 0 && code == 0; {
				batch, rest, err := record.Next(set)
				if err == nil {
					err = batch.Each(func(r *record.Record) error {
						kept := *r
						kept.Offset = record.Offset(len(l.records[t.Topic]))
						kept.Key, kept.Value = slices.Clone(r.Key), slices.Clone(r.Value)
						kept.Headers = nil
						for _, h := range r.Headers {
							kept.Headers = append(kept.Headers, record.Header{Key: slices.Clone(h.Key), Value: slices.Clone(h.Value)})
						}
						l.records[t.Topic] = append(l.records[t.Topic], kept)
						return nil
					})
				}
				if err != nil {
					l.t.Errorf("an unreadable batch: %v", err)
					break
				}
				set = rest
			}
			topic.Partitions = append(topic.Partitions, one)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// fetch also reports whether the response has no records.
func (l *Logs) fetch(req *kmsg.FetchRequest) (resp kmsg.Response, empty bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	code := int16(l.failure(req.Key()))
	answer, empty := kmsg.NewPtrFetchResponse(), code == 0
	for _, t := range req.Topics {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		name := t.Topic
		if name == "" {
			name = l.named(t.TopicID)
		}
		for _, wanted := range t.Partitions {
			p := kmsg.NewFetchResponseTopicPartition()
			p.Partition, p.ErrorCode = wanted.Partition, code
			end := int64(len(l.records[name]))
			p.HighWatermark, p.LastStableOffset = end, end
			switch {
			case code != 0:
			case wanted.FetchOffset > end:
				p.ErrorCode, empty = int16(protocol.OffsetOutOfRange), false
			case wanted.FetchOffset < end:
				p.RecordBatches, empty = l.batch(l.records[name][wanted.FetchOffset:]), false
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		answer.Topics = append(answer.Topics, topic)
	}
	return answer, empty
}

func (l *Logs) batch(records []record.Record) []byte {
	o := record.Defaults()
	o.BaseOffset = records[0].Offset
	b := record.NewBuilder(o)
	for _, r := range records {
		if err := b.Append(r.Timestamp, r.Key, r.Value, r.Headers...); err != nil {
			l.t.Error(err)
		}
	}
	raw, err := b.Build()
	if err != nil {
		l.t.Error(err)
	}
	return slices.Clone(raw)
}

// answerMember answers the requests of a group's only member.
func (l *Logs) answerMember(req kmsg.Request, code int16) kmsg.Response {
	const member = "member-1"
	switch req := req.(type) {
	case *kmsg.FindCoordinatorRequest:
		resp := kmsg.NewPtrFindCoordinatorResponse()
		resp.ErrorCode = code
		for _, key := range req.CoordinatorKeys {
			c := kmsg.NewFindCoordinatorResponseCoordinator()
			c.Key, c.ErrorCode = key, code
			resp.Coordinators = append(resp.Coordinators, c)
		}
		return resp
	case *kmsg.JoinGroupRequest:
		resp := kmsg.NewPtrJoinGroupResponse()
		resp.ErrorCode, resp.Generation, resp.MemberID, resp.LeaderID = code, 1, member, member
		if len(req.Protocols) > 0 {
			resp.ProtocolType, resp.Protocol = kmsg.StringPtr("consumer"), &req.Protocols[0].Name
			one := kmsg.NewJoinGroupResponseMember()
			one.MemberID, one.ProtocolMetadata = member, req.Protocols[0].Metadata
			resp.Members = append(resp.Members, one)
		}
		return resp
	case *kmsg.SyncGroupRequest:
		resp := kmsg.NewPtrSyncGroupResponse()
		resp.ErrorCode, resp.ProtocolType, resp.Protocol = code, req.ProtocolType, req.Protocol
		for _, a := range req.GroupAssignment {
			resp.MemberAssignment = a.MemberAssignment
		}
		return resp
	case *kmsg.HeartbeatRequest:
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = code
		return resp
	case *kmsg.LeaveGroupRequest:
		resp := kmsg.NewPtrLeaveGroupResponse()
		for _, m := range req.Members {
			one := kmsg.NewLeaveGroupResponseMember()
			one.MemberID, one.InstanceID = m.MemberID, m.InstanceID
			resp.Members = append(resp.Members, one)
		}
		return resp
	case *kmsg.OffsetFetchRequest:
		resp := kmsg.NewPtrOffsetFetchResponse()
		for _, g := range req.Groups {
			group := kmsg.NewOffsetFetchResponseGroup()
			group.Group, group.ErrorCode = g.Group, code
			for _, t := range g.Topics {
				topic := kmsg.NewOffsetFetchResponseGroupTopic()
				topic.Topic = t.Topic
				p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
				p.Offset = -1
				if offset, found := l.committed[g.Group+" "+t.Topic]; found {
					p.Offset = int64(offset)
				}
				topic.Partitions = append(topic.Partitions, p)
				group.Topics = append(group.Topics, topic)
			}
			resp.Groups = append(resp.Groups, group)
		}
		return resp
	case *kmsg.OffsetCommitRequest:
		resp := kmsg.NewPtrOffsetCommitResponse()
		for _, t := range req.Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				one := kmsg.NewOffsetCommitResponseTopicPartition()
				if one.ErrorCode = code; code == 0 {
					l.committed[req.Group+" "+t.Topic] = record.Offset(p.Offset)
				}
				topic.Partitions = append(topic.Partitions, one)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	}
	l.t.Errorf("an unexpected request: %T", req)
	return nil
}
