package api_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/broker/api"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

const (
	dataTopic    = "orders"
	testPatience = 20 * time.Second
)

var dataTopicID = metadata.TopicID{0x0d, 1}

// dataBroker is the data plane of a broker: logs in memory, replica manager, handlers and, after
// listen, a server. Tests send the controller's requests.
type dataBroker struct {
	t        testing.TB
	id       int32
	fs       vfs.FS
	logs     *storage.Manager
	replicas *replication.Manager
	registry *api.Registry
	server   *network.Server
	config   *settings.Config
}

// grantISR accepts every change of in-sync replicas, as the controller would.
type grantISR struct{ wait sync.WaitGroup }

func (g *grantISR) Submit(c replication.ISRChange, done func(replication.ISRAnswer)) bool {
	g.wait.Go(func() {
		done(replication.ISRAnswer{LeaderEpoch: c.LeaderEpoch, ISR: c.ISR, PartitionEpoch: c.PartitionEpoch + 1})
	})
	return true
}

func (b *dataBroker) TopicConfig(string) (*settings.Topic, error) { return b.config.Topic(nil) }

func newDataBroker(t testing.TB, id int32, fs vfs.FS, change func(*replication.Options)) *dataBroker {
	t.Helper()
	config, err := settings.FromMap(map[string]string{"broker.id": strconv.Itoa(int(id)), "zookeeper.connect": "unused:2181", "log.dirs": "/data"})
	if err != nil {
		t.Fatal(err)
	}
	b := &dataBroker{t: t, id: id, fs: fs, config: config}
	if err := fs.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	defaults, err := config.Topic(nil)
	if err != nil {
		t.Fatal(err)
	}
	b.logs, err = storage.NewManager(storage.ManagerConfig{FS: fs, Dirs: []string{"/data"}, Log: kafkalog.Discard(),
		BrokerID: metadata.BrokerID(id), ClusterID: "cluster-of-the-test-22", Defaults: defaults, Options: storage.DefaultOptions()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.logs.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	options := replication.OptionsOf(config)
	options.FetchWait, options.FetchBackoff = 100*time.Millisecond, 20*time.Millisecond
	if change != nil {
		change(&options)
	}
	isr := &grantISR{}
	b.replicas = replication.NewManager(replication.Config{Options: options, Logs: b.logs, Metadata: metadata.NewCache(),
		Topics: b, ISR: isr, BrokerEpoch: func() int64 { return 1 }, Logger: kafkalog.Discard()})
	b.registry = api.NewRegistry(nil, kafkalog.Discard())
	b.registry.Register(api.Produce(b.replicas), api.Fetch(b.replicas), api.ListOffsets(b.replicas), api.LeaderAndIsr(b.replicas),
		api.StopReplica(b.replicas), api.UpdateMetadata(b.replicas, nil), api.DeleteRecords(b.replicas),
		api.OffsetForLeaderEpoch(b.replicas), api.DescribeLogDirs(b.replicas),
		api.DescribeProducers(b.replicas, func(name string) error {
			if name == "" {
				return protocol.InvalidTopicException
			}
			return nil
		}))
	t.Cleanup(func() { b.stop(); isr.wait.Wait() })
	return b
}

func (b *dataBroker) stop() {
	if b.logs == nil {
		return
	}
	if b.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), testPatience)
		defer cancel()
		if err := b.server.Shutdown(ctx); err != nil {
			b.t.Errorf("broker %d: %v", b.id, err)
		}
	}
	b.replicas.Close()
	if err := b.logs.Close(); err != nil {
		b.t.Errorf("broker %d: %v", b.id, err)
	}
	b.logs = nil
}

// serve passes one request to the handlers and waits for the answer if it is deferred.
func (b *dataBroker) serve(key protocol.APIKey, version int16, body []byte, clientID string) network.Response {
	resp := b.registry.Serve(&network.Request{
		RequestHeader: protocol.RequestHeader{Key: key, Version: version, CorrelationID: 77, ClientID: &clientID},
		Body:          body, Size: len(body), Received: time.Now(), Done: make(chan struct{}),
		Peer: &network.Peer{ID: "test", Listener: "PLAINTEXT", Principal: "User:ANONYMOUS"},
	})
	if resp.Deferred != nil {
		resp = resp.Deferred()
	}
	return resp
}

// bodyOf returns the bytes of an answer without its header and releases the answer.
func bodyOf(t testing.TB, key protocol.APIKey, version int16, resp network.Response) []byte {
	t.Helper()
	var all []byte
	for _, run := range resp.Runs {
		if run.File == nil {
			all = append(all, run.Bytes...)
			continue
		}
		part := make([]byte, run.Length)
		if _, err := run.File.ReadAt(part, run.Position); err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
	}
	if resp.Release != nil {
		resp.Release()
	}
	id, body, err := protocol.ParseResponseHeader(all, key, version)
	if err != nil || id != 77 {
		t.Fatalf("answer's header: correlation id %d, %v", id, err)
	}
	return body
}

// ask sends a kmsg request at the version set in it and decodes the answer.
func ask[R kmsg.Response](b *dataBroker, req kmsg.Request) R {
	b.t.Helper()
	key := protocol.APIKey(req.Key())
	resp := b.serve(key, req.GetVersion(), protocol.AppendRequest(nil, req), "test")
	answer := req.ResponseKind()
	answer.SetVersion(req.GetVersion())
	body := bodyOf(b.t, key, req.GetVersion(), resp)
	if err := answer.ReadFrom(body); err != nil {
		b.t.Fatalf("%s v%d: the answer does not decode: %v (%x)", key, req.GetVersion(), err, body)
	}
	if again := answer.AppendTo(nil); !bytes.Equal(again, body) {
		b.t.Errorf("%s v%d: the answer differs from its own decoding encoded again:\n%x\n%x", key, req.GetVersion(), body, again)
	}
	return answer.(R)
}

// announce sends the broker an UpdateMetadata request with the brokers' ports and two partitions.
func (b *dataBroker) announce(ports map[int32]int) { b.announcePartitions(ports, 2, 1) }

// announcePartitions is like announce, for a number of partitions. All have the same replicas, and
// the first replica leads.
func (b *dataBroker) announcePartitions(ports map[int32]int, partitions int32, replicas ...int32) {
	b.t.Helper()
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 8, 1, 1, -1
	for id, port := range ports {
		live := kmsg.NewUpdateMetadataRequestLiveBroker()
		live.ID = id
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.Host, e.Port, e.ListenerName = "127.0.0.1", int32(port), "PLAINTEXT"
		live.Endpoints = append(live.Endpoints, e)
		req.LiveBrokers = append(req.LiveBrokers, live)
	}
	topic := kmsg.NewUpdateMetadataRequestTopicState()
	topic.Topic, topic.TopicID = dataTopic, dataTopicID
	for i := range partitions {
		s := kmsg.NewUpdateMetadataRequestTopicPartition()
		s.Partition, s.Leader, s.Replicas, s.ISR = i, replicas[0], replicas, replicas
		topic.PartitionStates = append(topic.PartitionStates, s)
	}
	req.TopicStates = append(req.TopicStates, topic)
	if resp := ask[*kmsg.UpdateMetadataResponse](b, req); resp.ErrorCode != 0 {
		b.t.Fatalf("UpdateMetadata: %d", resp.ErrorCode)
	}
}

// role makes the broker leader or follower of partition 0.
func (b *dataBroker) role(leader, epoch int32, replicas []int32, isr ...int32) {
	b.t.Helper()
	b.roles(1, leader, epoch, replicas, isr...)
}

// roles makes the broker leader or follower of a number of partitions.
func (b *dataBroker) roles(partitions, leader, epoch int32, replicas []int32, isr ...int32) {
	b.t.Helper()
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 7, 1, 1, -1
	topic := kmsg.NewLeaderAndISRRequestTopicState()
	topic.Topic, topic.TopicID = dataTopic, dataTopicID
	for i := range partitions {
		s := kmsg.NewLeaderAndISRRequestTopicPartition()
		s.Partition, s.ControllerEpoch, s.Leader, s.LeaderEpoch, s.ZKVersion, s.IsNew = i, 1, leader, epoch, epoch*10, true
		s.Replicas, s.ISR = replicas, isr
		topic.PartitionStates = append(topic.PartitionStates, s)
	}
	req.TopicStates = append(req.TopicStates, topic)
	resp := ask[*kmsg.LeaderAndISRResponse](b, req)
	if resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		b.t.Fatalf("broker %d: LeaderAndIsr: %+v", b.id, resp)
	}
}

// dataAlone returns a broker that is the only replica of partition 0.
func dataAlone(t testing.TB) *dataBroker {
	b := newDataBroker(t, 1, vfs.NewMem(), nil)
	b.announce(map[int32]int{1: 9092})
	b.role(1, 0, []int32{1}, 1)
	return b
}

func recordSet(t testing.TB, magic int8, values ...string) []byte {
	t.Helper()
	o := record.Defaults()
	o.Magic = magic
	w := record.NewBuilder(o)
	for _, v := range values {
		if err := w.Append(time.Now().UnixMilli(), []byte("k"), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	set, err := w.Build()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func produceRequest(version, acks int16, topic string, partition int32, set []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, acks, int32(testPatience.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, set
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func fetchRequest(version int16, offset record.Offset) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = version, -1, 0, 1, 1<<20, -1
	req.IsolationLevel = 0
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = dataTopic, dataTopicID
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = int64(offset), 1<<20, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// values returns the values of all records of a record set.
func values(t testing.TB, set []byte) []string {
	t.Helper()
	var found []string
	for {
		b, rest, err := record.Next(set)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return found
		}
		if err := b.Each(func(r *record.Record) error { found = append(found, string(r.Value)); return nil }); err != nil {
			t.Fatal(err)
		}
		set = rest
	}
}

func TestProduceAndFetchInEveryVersion(t *testing.T) {
	b := dataAlone(t)
	var written []string
	for version := int16(0); version <= 11; version++ {
		magic := int8(2)
		switch {
		case version < 2:
			magic = 0
		case version < 3:
			magic = 1
		}
		value := fmt.Sprintf("by v%d", version)
		resp := ask[*kmsg.ProduceResponse](b, produceRequest(version, -1, dataTopic, 0, recordSet(t, magic, value)))
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.BaseOffset != int64(version) {
			t.Errorf("produce v%d: %+v", version, p)
		}
		written = append(written, value)
	}
	for version := int16(0); version <= 17; version++ {
		resp := ask[*kmsg.FetchResponse](b, fetchRequest(version, 0))
		if len(resp.Topics) != 1 {
			t.Fatalf("fetch v%d: %+v", version, resp)
		}
		p := resp.Topics[0].Partitions[0]
		if got := values(t, p.RecordBatches); !slices.Equal(got, written) || p.HighWatermark != 12 || p.ErrorCode != 0 {
			t.Errorf("fetch v%d: %v, high watermark %d, %s", version, got, p.HighWatermark, protocol.ErrorCode(p.ErrorCode))
		}
		if version >= 5 && p.LogStartOffset != 0 || version >= 4 && (p.LastStableOffset != 12 || p.AbortedTransactions != nil) {
			t.Errorf("fetch v%d: log start %d, last stable %d, aborted %v", version, p.LogStartOffset, p.LastStableOffset, p.AbortedTransactions)
		}
		if version >= 13 && (resp.Topics[0].TopicID != dataTopicID || resp.Topics[0].Topic != "") {
			t.Errorf("fetch v%d names %q %x", version, resp.Topics[0].Topic, resp.Topics[0].TopicID)
		}
	}
}

func TestProduceRefusals(t *testing.T) {
	b := dataAlone(t)
	good := recordSet(t, 2, "v")
	transactional := func() []byte {
		o := record.Defaults()
		o.Transactional, o.ProducerID, o.ProducerEpoch, o.BaseSequence = true, 9, 0, 0
		w := record.NewBuilder(o)
		if err := w.Append(1, nil, []byte("v")); err != nil {
			t.Fatal(err)
		}
		set, err := w.Build()
		if err != nil {
			t.Fatal(err)
		}
		return set
	}()
	for _, c := range []struct {
		name string
		req  *kmsg.ProduceRequest
		want protocol.ErrorCode
	}{
		{"unknown topic", produceRequest(9, 1, "nowhere", 0, good), protocol.UnknownTopicOrPartition},
		{"unknown partition", produceRequest(9, 1, dataTopic, 44, good), protocol.UnknownTopicOrPartition},
		{"led by another broker", produceRequest(10, 1, dataTopic, 1, good), protocol.NotLeaderOrFollower},
		{"null records", produceRequest(9, 1, dataTopic, 0, nil), protocol.InvalidRecord},
		{"old format", produceRequest(9, 1, dataTopic, 0, recordSet(t, 1, "v")), protocol.InvalidRecord},
		{"bad acks", produceRequest(9, 7, dataTopic, 0, good), protocol.InvalidRequiredAcks},
		{"transactional without an id", produceRequest(9, -1, dataTopic, 0, transactional), protocol.TransactionalIDAuthorizationFailed},
	} {
		p := ask[*kmsg.ProduceResponse](b, c.req).Topics[0].Partitions[0]
		if got := protocol.ErrorCode(p.ErrorCode); got != c.want || p.BaseOffset != -1 {
			t.Errorf("%s: %s at %d, want %s", c.name, got, p.BaseOffset, c.want)
		}
		if c.want == protocol.NotLeaderOrFollower && p.CurrentLeader.LeaderID != 1 {
			t.Errorf("%s: leader %d", c.name, p.CurrentLeader.LeaderID)
		}
	}
}

func TestProduceWithoutAcksIsNotAnsweredAndAnErrorClosesTheConnection(t *testing.T) {
	b := dataAlone(t)
	send := func(topic string) network.Response {
		req := produceRequest(9, 0, topic, 0, recordSet(t, 2, "v"))
		return b.serve(protocol.Produce, 9, protocol.AppendRequest(nil, req), "test")
	}
	if resp := send(dataTopic); !resp.NoAnswer || resp.Close || len(resp.Runs) != 0 {
		t.Errorf("%+v", resp)
	}
	if resp := send("nowhere"); !resp.Close || len(resp.Runs) != 0 {
		t.Errorf("after an error: %+v", resp)
	}
}

func TestFetchRefusals(t *testing.T) {
	b := dataAlone(t)
	for _, c := range []struct {
		name    string
		version int16
		change  func(*kmsg.FetchRequest)
		want    protocol.ErrorCode
		refused bool
	}{
		{"unknown topic", 12, func(r *kmsg.FetchRequest) { r.Topics[0].Topic = "nowhere" }, protocol.UnknownTopicOrPartition, true},
		{"unknown topic id", 13, func(r *kmsg.FetchRequest) { r.Topics[0].TopicID = [16]byte{9} }, protocol.UnknownTopicID, true},
		{"led by another broker", 16, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].Partition = 1 }, protocol.NotLeaderOrFollower, false},
		{"old epoch", 16, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].CurrentLeaderEpoch = 4 }, protocol.UnknownLeaderEpoch, false},
		{"out of range", 12, func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].FetchOffset = 5 }, protocol.OffsetOutOfRange, false},
	} {
		req := fetchRequest(c.version, 0)
		c.change(req)
		p := ask[*kmsg.FetchResponse](b, req).Topics[0].Partitions[0]
		if got := protocol.ErrorCode(p.ErrorCode); got != c.want || p.HighWatermark != -1 || p.LastStableOffset != -1 || p.LogStartOffset != -1 {
			t.Errorf("%s: %s, %+v", c.name, got, p)
		}
		// As real Kafka does: if a partition is refused before it is read, its records are null
		// and its transactions empty; if the read fails, it is the other way round.
		if refused := c.refused; (p.RecordBatches == nil) != refused || (p.AbortedTransactions == nil) == refused {
			t.Errorf("%s: records %v, aborted %v", c.name, p.RecordBatches, p.AbortedTransactions)
		}
	}
	req := fetchRequest(12, 0)
	req.SessionID, req.SessionEpoch = 55, 3
	if resp := ask[*kmsg.FetchResponse](b, req); protocol.ErrorCode(resp.ErrorCode) != protocol.FetchSessionIDNotFound || len(resp.Topics) != 0 || resp.SessionID != 0 {
		t.Errorf("unknown session: %+v", resp)
	}
}

func TestFetchSessionOverTheWire(t *testing.T) {
	b := dataAlone(t)
	ask[*kmsg.ProduceResponse](b, produceRequest(9, 1, dataTopic, 0, recordSet(t, 2, "one")))
	req := fetchRequest(12, 0)
	req.SessionEpoch = 0
	first := ask[*kmsg.FetchResponse](b, req)
	if first.SessionID == 0 || len(first.Topics) != 1 {
		t.Fatalf("%+v", first)
	}
	next := fetchRequest(12, 1)
	next.SessionID, next.SessionEpoch = first.SessionID, 1
	if resp := ask[*kmsg.FetchResponse](b, next); resp.SessionID != first.SessionID || len(resp.Topics) != 0 {
		t.Errorf("without new records: %+v", resp)
	}
	ask[*kmsg.ProduceResponse](b, produceRequest(9, 1, dataTopic, 0, recordSet(t, 2, "two")))
	quiet := fetchRequest(12, 0)
	quiet.Topics = nil
	quiet.SessionID, quiet.SessionEpoch = first.SessionID, 2
	resp := ask[*kmsg.FetchResponse](b, quiet)
	if len(resp.Topics) != 1 || !slices.Equal(values(t, resp.Topics[0].Partitions[0].RecordBatches), []string{"two"}) {
		t.Errorf("with new records: %+v", resp)
	}
}

func TestListOffsetsInEveryVersion(t *testing.T) {
	b := dataAlone(t)
	ask[*kmsg.ProduceResponse](b, produceRequest(9, 1, dataTopic, 0, recordSet(t, 2, "a", "b", "c")))
	for version := int16(0); version <= 9; version++ {
		req := kmsg.NewPtrListOffsetsRequest()
		req.Version, req.ReplicaID = version, -1
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = dataTopic
		for _, partition := range []int32{0, 1, 0, 7} {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp, p.MaxNumOffsets, p.CurrentLeaderEpoch = partition, -1, 1, -1
			topic.Partitions = append(topic.Partitions, p)
		}
		if version > 0 {
			topic.Partitions = topic.Partitions[:3]
		}
		req.Topics = append(req.Topics, topic)
		got := ask[*kmsg.ListOffsetsResponse](b, req).Topics[0].Partitions
		switch {
		case version == 0:
			if !slices.Equal(got[0].OldStyleOffsets, []int64{3}) || got[1].ErrorCode != 6 || got[3].ErrorCode != 3 {
				t.Errorf("v0: %+v", got)
			}
		case protocol.ErrorCode(got[0].ErrorCode) != protocol.InvalidRequest || got[0].ErrorCode != got[2].ErrorCode || protocol.ErrorCode(got[1].ErrorCode) != protocol.NotLeaderOrFollower:
			t.Errorf("v%d: a partition named twice: %+v", version, got)
		}
		req.Topics[0].Partitions = req.Topics[0].Partitions[:1]
		if got = ask[*kmsg.ListOffsetsResponse](b, req).Topics[0].Partitions; version > 0 && (got[0].Offset != 3 || got[0].Timestamp != -1 || got[0].ErrorCode != 0) {
			t.Errorf("v%d: %+v", version, got)
		}
	}
}

func TestOtherLookupsInEveryVersion(t *testing.T) {
	b := dataAlone(t)
	ask[*kmsg.ProduceResponse](b, produceRequest(9, 1, dataTopic, 0, recordSet(t, 2, "a", "b", "c")))
	for version := int16(0); version <= 4; version++ {
		epochs := kmsg.NewPtrOffsetForLeaderEpochRequest()
		epochs.Version, epochs.ReplicaID = version, -1
		topic := kmsg.NewOffsetForLeaderEpochRequestTopic()
		topic.Topic = dataTopic
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.CurrentLeaderEpoch, p.LeaderEpoch = -1, 0
		topic.Partitions = append(topic.Partitions, p)
		epochs.Topics = append(epochs.Topics, topic)
		if got := ask[*kmsg.OffsetForLeaderEpochResponse](b, epochs).Topics[0].Partitions[0]; got.EndOffset != 3 || got.ErrorCode != 0 || version >= 1 && got.LeaderEpoch != 0 {
			t.Errorf("OffsetForLeaderEpoch v%d: %+v", version, got)
		}
		dirs := kmsg.NewPtrDescribeLogDirsRequest()
		dirs.Version = version
		got := ask[*kmsg.DescribeLogDirsResponse](b, dirs)
		if len(got.Dirs) != 1 || got.Dirs[0].Dir != "/data" || len(got.Dirs[0].Topics) != 1 || got.Dirs[0].Topics[0].Partitions[0].Size == 0 {
			t.Errorf("DescribeLogDirs v%d: %+v", version, got)
		}
		dirs.Topics = []kmsg.DescribeLogDirsRequestTopic{}
		if got := ask[*kmsg.DescribeLogDirsResponse](b, dirs); len(got.Dirs) != 1 || len(got.Dirs[0].Topics) != 0 {
			t.Errorf("DescribeLogDirs v%d of no topics: %+v", version, got)
		}
	}
	producers := kmsg.NewPtrDescribeProducersRequest()
	for _, name := range []string{dataTopic, "", "nowhere"} {
		topic := kmsg.NewDescribeProducersRequestTopic()
		topic.Topic, topic.Partitions = name, []int32{0}
		producers.Topics = append(producers.Topics, topic)
	}
	described := ask[*kmsg.DescribeProducersResponse](b, producers)
	for i, want := range []protocol.ErrorCode{protocol.None, protocol.InvalidTopicException, protocol.UnknownTopicOrPartition} {
		if got := protocol.ErrorCode(described.Topics[i].Partitions[0].ErrorCode); got != want {
			t.Errorf("DescribeProducers of %q: %s, want %s", described.Topics[i].Topic, got, want)
		}
	}
}

func TestDeleteRecordsInEveryVersion(t *testing.T) {
	b := dataAlone(t)
	ask[*kmsg.ProduceResponse](b, produceRequest(9, 1, dataTopic, 0, recordSet(t, 2, "a", "b", "c")))
	for version := int16(0); version <= 2; version++ {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.Version, req.TimeoutMillis = version, 1000
		topic := kmsg.NewDeleteRecordsRequestTopic()
		topic.Topic = dataTopic
		for _, partition := range []int32{0, 1, 9} {
			p := kmsg.NewDeleteRecordsRequestTopicPartition()
			p.Partition, p.Offset = partition, int64(version)+1
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
		got := ask[*kmsg.DeleteRecordsResponse](b, req).Topics[0].Partitions
		if got[0].ErrorCode != 0 || got[0].LowWatermark != int64(version)+1 || got[1].ErrorCode != 6 || got[2].ErrorCode != 3 || got[2].LowWatermark != -1 {
			t.Errorf("v%d: %+v", version, got)
		}
	}
}

func TestMalformedHotRequestsCloseTheConnection(t *testing.T) {
	b := dataAlone(t)
	for _, key := range []protocol.APIKey{protocol.Produce, protocol.Fetch} {
		for _, body := range [][]byte{{}, {0, 1}, bytes.Repeat([]byte{0xff}, 40)} {
			resp := b.serve(key, 9, body, "test")
			if !resp.Close && resp.Err == nil {
				t.Errorf("%s %x: %+v", key, body, resp)
			}
		}
	}
}
