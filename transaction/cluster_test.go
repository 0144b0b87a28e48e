package transaction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/memnet"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// fakeCluster is a coordinator that leads partition 0, with the brokers to which it sends markers.
type fakeCluster struct {
	t     *testing.T
	topic *topictest.Topic
	cache *metadata.Cache
	c     *Coordinator
	lines *lockedBuffer
	epoch metadata.LeaderEpoch

	mu       sync.Mutex
	brokers  map[string]*fakeBroker // by address
	nextID   int64
	received []string // the markers of each request, in order
}

// fakeBroker answers WriteTxnMarkers requests.
type fakeBroker struct {
	id      int32
	down    bool
	codes   map[TopicPartition][]protocol.ErrorCode // of the next answers; then NONE
	silent  map[TopicPartition]bool                 // left out of the next answer
	holding chan struct{}                           // if not nil, answers wait until it is closed
}

// lockedBuffer is a buffer for log lines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func testOptions() Options {
	return Options{BrokerID: 1, Partitions: 1, Listener: "PLAINTEXT", MaxTimeoutMs: 900_000, IDExpiration: 7 * 24 * time.Hour, AbortInterval: 10 * time.Second,
		RemoveInterval: time.Hour, LoadBuffer: 5 << 20, RequestTimeout: 30 * time.Second, ParallelLoads: 2}
}

// inCluster runs the test with virtual time and a coordinator whose topic t has partitions 0 to 9,
// led by brokers 1 and 2 in turn.
func inCluster(t *testing.T, test func(f *fakeCluster), change ...func(*Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newCluster(t, topictest.New(), change...)
		defer f.c.Stop()
		test(f)
	})
}

func newCluster(t *testing.T, topic *topictest.Topic, change ...func(*Options)) *fakeCluster {
	f := &fakeCluster{t: t, topic: topic, cache: metadata.NewCache(), lines: &lockedBuffer{}, brokers: map[string]*fakeBroker{}, nextID: 1000}
	for _, id := range []int32{1, 2} {
		f.brokers[address(id)] = &fakeBroker{id: id, codes: map[TopicPartition][]protocol.ErrorCode{}}
	}
	f.announce(func(p int32) int32 { return 1 + p%2 }, 1, 2)
	log := kafkalog.Discard()
	log.SetOutput(f.lines)
	log.SetLevel(logrus.InfoLevel)
	o := testOptions()
	for _, change := range change {
		change(&o)
	}
	f.c = NewCoordinator(Config{Options: o, Topic: topic, Metadata: f.cache, Dial: f.dial, Logger: log, NextProducerID: func(context.Context) (int64, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.nextID++
		return f.nextID, nil
	}})
	f.c.Start()
	f.lead()
	return f
}

func address(broker int32) string { return fmt.Sprintf("broker%d:9092", broker) }

// lead makes the coordinator lead partition 0 in the next epoch and waits until it is loaded.
func (f *fakeCluster) lead() {
	f.epoch++
	f.c.BecameLeader(TopicPartition{Topic: metadata.TransactionStateTopic}, f.epoch)
	f.c.rt.AwaitLoaded(0)
}

func (f *fakeCluster) resign() {
	synctest.Wait() // markers that are due have been sent, or have failed
	f.epoch++
	f.c.Resigned(TopicPartition{Topic: metadata.TransactionStateTopic}, f.epoch)
}

// announce sends the coordinator metadata in which the brokers are alive and lead the partitions of t.
func (f *fakeCluster) announce(leader func(partition int32) int32, alive ...int32) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version = 7
	topic := kmsg.NewUpdateMetadataRequestTopicState()
	topic.Topic = "t"
	for p := range int32(10) {
		s := kmsg.NewUpdateMetadataRequestTopicPartition()
		s.Partition, s.Leader = p, leader(p)
		topic.PartitionStates = append(topic.PartitionStates, s)
	}
	req.TopicStates = append(req.TopicStates, topic)
	for _, id := range alive {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		b.ID = id
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.ListenerName, e.Host, e.Port = "PLAINTEXT", fmt.Sprintf("broker%d", id), 9092
		b.Endpoints = append(b.Endpoints, e)
		req.LiveBrokers = append(req.LiveBrokers, b)
	}
	f.cache.Apply(req)
}

func (f *fakeCluster) change(broker int32, do func(*fakeBroker)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(f.brokers[address(broker)])
}

// requests returns the requests since the last call, sorted: they are sent to brokers in parallel.
func (f *fakeCluster) requests() string {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Sorted(slices.Values(f.received))
	f.received = nil
	return strings.Join(all, "; ")
}

// markers is like requests, but names the broker before each marker: markers that become due at the
// same time share a request only if they are all due before it is sent.
func (f *fakeCluster) markers() string {
	var all []string
	for request := range strings.SplitSeq(f.requests(), "; ") {
		to, markers, _ := strings.Cut(request, ": ")
		for marker := range strings.SplitSeq(markers, ", ") {
			all = append(all, to+": "+marker)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

func (f *fakeCluster) dial(_ context.Context, to string) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.brokers[to]
	if b == nil || b.down {
		return nil, errors.New("connection refused")
	}
	return memnet.Answering(func(req kmsg.Request) kmsg.Response { return f.respond(b, req) }), nil
}

// respond answers a request; nil: the connection breaks.
func (f *fakeCluster) respond(b *fakeBroker, req kmsg.Request) kmsg.Response {
	if markers, ok := req.(*kmsg.WriteTxnMarkersRequest); ok {
		return f.write(b, markers)
	}
	versions := kmsg.NewPtrApiVersionsResponse()
	versions.ApiKeys = append(versions.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: 27, MaxVersion: 1})
	return versions
}

// write notes the markers and answers them; nil: the connection breaks.
func (f *fakeCluster) write(b *fakeBroker, req *kmsg.WriteTxnMarkersRequest) kmsg.Response {
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	var texts []string
	f.mu.Lock()
	for _, m := range req.Markers {
		kind := map[bool]string{true: "commit", false: "abort"}[m.Committed]
		answer := kmsg.WriteTxnMarkersResponseMarker{ProducerID: m.ProducerID}
		for _, topic := range m.Topics {
			texts = append(texts, fmt.Sprintf("%s %d/%d %s%v epoch %d", kind, m.ProducerID, m.ProducerEpoch, topic.Topic, topic.Partitions, m.CoordinatorEpoch))
			t := kmsg.WriteTxnMarkersResponseMarkerTopic{Topic: topic.Topic}
			for _, p := range topic.Partitions {
				id := TopicPartition{Topic: topic.Topic, Partition: p}
				if b.silent[id] {
					delete(b.silent, id)
					continue
				}
				code := protocol.None
				if codes := b.codes[id]; len(codes) > 0 {
					code, b.codes[id] = codes[0], codes[1:]
				}
				t.Partitions = append(t.Partitions, kmsg.WriteTxnMarkersResponseMarkerTopicPartition{Partition: p, ErrorCode: int16(code)})
			}
			answer.Topics = append(answer.Topics, t)
		}
		resp.Markers = append(resp.Markers, answer)
	}
	slices.Sort(texts)
	f.received = append(f.received, fmt.Sprintf("to %d: %s", b.id, strings.Join(texts, ", ")))
	holding, down := b.holding, b.down
	f.mu.Unlock()
	if down {
		return nil
	}
	if holding != nil {
		<-holding
	}
	return resp
}

// init initializes the producer of an id.
func (f *fakeCluster) init(id string) ProducerIDAndEpoch {
	f.t.Helper()
	r := f.c.InitProducerID(context.Background(), id, 60_000, nil)
	if r.Code != protocol.None {
		f.t.Fatalf("init of %s: %s", id, r.Code.Name())
	}
	return ProducerIDAndEpoch{r.ProducerID, r.Epoch}
}

func (f *fakeCluster) add(id string, p ProducerIDAndEpoch, partitions ...int32) protocol.ErrorCode {
	var list []TopicPartition
	for _, index := range partitions {
		list = append(list, TopicPartition{Topic: "t", Partition: index})
	}
	return f.c.AddPartitions(context.Background(), id, p, list)
}

func (f *fakeCluster) end(id string, p ProducerIDAndEpoch, commit bool) protocol.ErrorCode {
	return f.c.EndTxn(context.Background(), id, p, commit)
}

// begin begins a transaction with partitions of t.
func (f *fakeCluster) begin(id string, partitions ...int32) ProducerIDAndEpoch {
	f.t.Helper()
	p := f.init(id)
	if code := f.add(id, p, partitions...); code != protocol.None {
		f.t.Fatalf("adding partitions to %s: %s", id, code.Name())
	}
	return p
}

// commit commits a transaction with partitions of t.
func (f *fakeCluster) commit(id string, partitions ...int32) ProducerIDAndEpoch {
	f.t.Helper()
	p := f.begin(id, partitions...)
	if code := f.end(id, p, true); code != protocol.None {
		f.t.Fatalf("commit of %s: %s", id, code.Name())
	}
	return p
}

// state describes an id.
func (f *fakeCluster) state(id string) string {
	synctest.Wait()
	d, code := f.c.Describe(id)
	if code != protocol.None {
		return code.Name()
	}
	return d.State.String()
}

func (f *fakeCluster) expect(what, got, want string) {
	f.t.Helper()
	if got != want {
		f.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// log returns the batches of partition 0.
func (f *fakeCluster) log() []byte {
	f.topic.Lock()
	defer f.topic.Unlock()
	return slices.Clone(f.topic.Logs[0])
}

// failAppends makes appends, or waiting for replicas if replication is set, fail with err; nil:
// succeed.
func (f *fakeCluster) failAppends(err error, replication bool) {
	f.topic.Lock()
	defer f.topic.Unlock()
	if replication {
		f.topic.Replicated = err
	} else {
		f.topic.AppendErr = err
	}
}

// stored returns the states that the records of partition 0 have, by id, in the order of the log.
func (f *fakeCluster) stored() string {
	set := f.log()
	var texts []string
	var parser Parser
	for b, err := range record.Batches(set) {
		if err != nil {
			f.t.Fatal(err)
		}
		if err := b.Each(func(r *record.Record) error {
			id, _, _, err := ParseKey(r.Key)
			if err != nil {
				return err
			}
			if r.Value == nil {
				texts = append(texts, id+"=tombstone")
				return nil
			}
			txn, err := parser.Parse(strings.Clone(id), Home{}, r.Value)
			if err != nil {
				return err
			}
			texts = append(texts, id+"="+txn.State().String())
			return nil
		}); err != nil {
			f.t.Fatal(err)
		}
	}
	return strings.Join(texts, " ")
}
