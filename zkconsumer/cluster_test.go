package zkconsumer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/internal/zktest"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// cluster is a broker and a ZooKeeper server in the process of the test. Other brokers have the
// address of the first.
type cluster struct {
	t         *testing.T
	zookeeper *zktest.Server
	peer      *toolreplay.Peer

	mu        sync.Mutex // guards the fields below
	logs      map[TopicPartition]*log
	committed map[TopicPartition]record.Offset
	failures  map[protocol.APIKey][]protocol.ErrorCode // the next responses to a key have these errors
	asked     map[protocol.APIKey]int                  // number of requests
}

// log is the log of a partition.
type log struct {
	start  record.Offset
	values []string // from start on
	leader int32
	damage bool // the next batch has a wrong checksum
}

func (l *log) end() record.Offset { return l.start + record.Offset(len(l.values)) }

// newCluster starts a cluster whose topics have the given numbers of partitions.
func newCluster(t *testing.T, topics map[string]int32) *cluster {
	t.Helper()
	c := &cluster{t: t, zookeeper: zktest.Start(t), logs: map[TopicPartition]*log{}, committed: map[TopicPartition]record.Offset{},
		failures: map[protocol.APIKey][]protocol.ErrorCode{}, asked: map[protocol.APIKey]int{}}
	c.peer = toolreplay.Serve(t, c.answer)
	c.zookeeper.Put(t, "/consumers", "")
	c.registerBroker()
	for name, partitions := range topics {
		c.createTopic(name, partitions)
	}
	return c
}

func (c *cluster) registerBroker() {
	host, port, _ := strings.Cut(c.peer.Address(), ":")
	c.zookeeper.Put(c.t, "/brokers/ids/0", fmt.Sprintf(`{"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},"endpoints":["PLAINTEXT://%s:%s"],"jmx_port":-1,"host":"%s","timestamp":"1","port":%s,"version":4}`, host, port, host, port))
}

// createTopic creates a topic, or adds partitions to it.
func (c *cluster) createTopic(name string, partitions int32) {
	c.t.Helper()
	c.mu.Lock()
	var lists []string
	for n := range partitions {
		lists = append(lists, fmt.Sprintf(`"%d":[0]`, n))
		tp := TopicPartition{Topic: name, Partition: n}
		if c.logs[tp] == nil {
			c.logs[tp] = &log{}
		}
	}
	c.mu.Unlock()
	c.zookeeper.Put(c.t, "/brokers/topics/"+name, `{"version":1,"partitions":{`+strings.Join(lists, ",")+`}}`)
}

// write appends records to a partition.
func (c *cluster) write(topic string, partition int32, values ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.logs[TopicPartition{Topic: topic, Partition: partition}]
	l.values = append(l.values, values...)
}

// change changes the log of a partition.
func (c *cluster) change(topic string, partition int32, change func(l *log)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.logs[TopicPartition{Topic: topic, Partition: partition}])
}

// fail makes the next responses to a key carry errors.
func (c *cluster) fail(key protocol.APIKey, codes ...protocol.ErrorCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures[key] = append(c.failures[key], codes...)
}

// requests returns how often a key was requested.
func (c *cluster) requests(key protocol.APIKey) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[key]
}

func (c *cluster) offset(topic string, partition int32) record.Offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	if offset, found := c.committed[TopicPartition{Topic: topic, Partition: partition}]; found {
		return offset
	}
	return -1
}

// answer answers like a broker.
func (c *cluster) answer(req kmsg.Request) kmsg.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := protocol.APIKey(req.Key())
	c.asked[key]++
	var code protocol.ErrorCode
	if queue := c.failures[key]; len(queue) > 0 {
		code, c.failures[key] = queue[0], queue[1:]
	}
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		return c.metadata(req)
	case *kmsg.ListOffsetsRequest:
		return c.listOffsets(req, code)
	case *kmsg.FetchRequest:
		return c.fetch(req, code)
	case *kmsg.FindCoordinatorRequest:
		resp := kmsg.NewPtrFindCoordinatorResponse()
		resp.ErrorCode = int16(code)
		return resp
	case *kmsg.OffsetFetchRequest:
		return c.offsetFetch(req, code)
	case *kmsg.OffsetCommitRequest:
		return c.offsetCommit(req, code)
	}
	c.t.Errorf("an unexpected request: %T", req)
	return nil
}

func (c *cluster) metadata(req *kmsg.MetadataRequest) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	resp.Brokers = append(resp.Brokers, kmsg.NewMetadataResponseBroker())
	for _, wanted := range req.Topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = wanted.Topic
		for tp, l := range c.logs {
			if tp.Topic == *wanted.Topic {
				p := kmsg.NewMetadataResponseTopicPartition()
				p.Partition, p.Leader = tp.Partition, l.leader
				topic.Partitions = append(topic.Partitions, p)
			}
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (c *cluster) listOffsets(req *kmsg.ListOffsetsRequest, code protocol.ErrorCode) kmsg.Response {
	resp := kmsg.NewPtrListOffsetsResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, wanted := range t.Partitions {
			l := c.logs[TopicPartition{Topic: t.Topic, Partition: wanted.Partition}]
			p := kmsg.NewListOffsetsResponseTopicPartition()
			p.Partition, p.ErrorCode, p.OldStyleOffsets = wanted.Partition, int16(code), []int64{int64(l.end())}
			if wanted.Timestamp == -2 {
				p.OldStyleOffsets = []int64{int64(l.start)}
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (c *cluster) fetch(req *kmsg.FetchRequest, code protocol.ErrorCode) kmsg.Response {
	resp := kmsg.NewPtrFetchResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = t.Topic
		for _, wanted := range t.Partitions {
			l := c.logs[TopicPartition{Topic: t.Topic, Partition: wanted.Partition}]
			p := kmsg.NewFetchResponseTopicPartition()
			p.Partition, p.ErrorCode = wanted.Partition, int16(code)
			switch {
			case code != protocol.None:
			case record.Offset(wanted.FetchOffset) < l.start || record.Offset(wanted.FetchOffset) > l.end():
				p.ErrorCode = int16(protocol.OffsetOutOfRange)
			default:
				p.RecordBatches = c.batch(l, record.Offset(wanted.FetchOffset), int(wanted.PartitionMaxBytes))
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// batch returns the records of a log from an offset on. Like an old broker, it cuts them off at the
// limit.
func (c *cluster) batch(l *log, from record.Offset, limit int) []byte {
	values := l.values[from-l.start:]
	if len(values) == 0 {
		return nil
	}
	o := record.Defaults()
	o.BaseOffset = from
	b := record.NewBuilder(o)
	for i, value := range values {
		if err := b.Append(int64(1000+i), []byte("key"), []byte(value), record.Header{Key: []byte("h"), Value: []byte("v")}); err != nil {
			c.t.Error(err)
		}
	}
	raw, err := b.Build()
	if err != nil {
		c.t.Error(err)
	}
	raw = slices.Clone(raw)
	if l.damage {
		raw[len(raw)-1] ^= 1
		l.damage = false
	}
	return raw[:min(len(raw), limit)]
}

func (c *cluster) offsetFetch(req *kmsg.OffsetFetchRequest, code protocol.ErrorCode) kmsg.Response {
	resp := kmsg.NewPtrOffsetFetchResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = t.Topic
		for _, n := range t.Partitions {
			p := kmsg.NewOffsetFetchResponseTopicPartition()
			p.Partition, p.Offset, p.ErrorCode = n, -1, int16(code)
			if offset, found := c.committed[TopicPartition{Topic: t.Topic, Partition: n}]; found {
				p.Offset = int64(offset)
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (c *cluster) offsetCommit(req *kmsg.OffsetCommitRequest, code protocol.ErrorCode) kmsg.Response {
	resp := kmsg.NewPtrOffsetCommitResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic = t.Topic
		for _, wanted := range t.Partitions {
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = wanted.Partition, int16(code)
			if code == protocol.None {
				c.committed[TopicPartition{Topic: t.Topic, Partition: wanted.Partition}] = record.Offset(wanted.Offset)
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// limit is how long a test waits for what must happen.
const limit = 30 * time.Second

// config returns a configuration with short pauses, which reads from the start of the topics.
func (c *cluster) config(topics map[string]int) Config {
	return Config{Zookeeper: c.zookeeper.Address(), Group: "g", Topics: topics, OffsetReset: Smallest, FetchWait: time.Millisecond, LeaderBackoff: 5 * time.Millisecond,
		RebalanceBackoff: 50 * time.Millisecond, RebalanceRetries: 50, CommitBackoff: 5 * time.Millisecond, SessionTimeout: 10 * time.Second}
}

// open opens a member, which is closed at the end of the test.
func (c *cluster) open(cfg Config) *Consumer {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	member, err := Open(ctx, cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(member.Close)
	return member
}

// read reads n records of a stream as "topic-partition@offset=value".
func (c *cluster) read(s *Stream, n int) []string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var all []string
	for len(all) < n {
		records, err := s.Poll(ctx, n-len(all))
		if err != nil {
			c.t.Fatalf("%v after %q", err, all)
		}
		for _, r := range records {
			all = append(all, fmt.Sprintf("%s-%d@%d=%s", r.Topic, r.Partition, r.Offset, r.Value))
		}
	}
	return all
}

// stored returns the offset that a group has committed to ZooKeeper.
func (c *cluster) stored(group, topic string, partition int32) string {
	data, _ := c.zookeeper.Get(fmt.Sprintf("/consumers/%s/offsets/%s/%d", group, topic, partition))
	return data
}

// eventually waits until a condition holds.
func (c *cluster) eventually(what string, condition func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			c.t.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
}
