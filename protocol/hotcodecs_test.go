package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestProduceRequestReadsWhatKmsgReads(t *testing.T) {
	var p ProduceRequest // reused for all vectors, as the broker does
	for _, v := range wireVectors(t) {
		if v.key != Produce || v.response || v.version > maxProduceVersion {
			continue
		}
		req, err := DecodeRequest(v.key, v.version, v.body)
		must(t, err)
		want := req.(*kmsg.ProduceRequest)
		must(t, p.ReadFrom(v.version, append(v.body[:len(v.body):len(v.body)], 9)))
		if p.Version != v.version || p.Acks != want.Acks || p.TimeoutMs != want.TimeoutMillis ||
			!reflect.DeepEqual(p.TransactionalID, want.TransactionID) || len(p.Topics) != len(want.Topics) {
			t.Fatalf("line %d: got %+v, want %+v", v.line, p, want)
		}
		for i, wt := range want.Topics {
			if p.Topics[i].Topic != wt.Topic || len(p.Topics[i].Partitions) != len(wt.Partitions) {
				t.Fatalf("line %d: got %+v, want %+v", v.line, p.Topics[i], wt)
			}
			for j, wp := range wt.Partitions {
				g := p.Topics[i].Partitions[j]
				if g.Partition != wp.Partition || !bytes.Equal(g.Records, wp.Records) || (g.Records == nil) != (wp.Records == nil) {
					t.Fatalf("line %d: got %+v, want %+v", v.line, g, wp)
				}
			}
		}
	}
}

func TestProduceRecordsAreNotCopied(t *testing.T) {
	body := produceBody(t, 9, make([]byte, 1<<20))
	var p ProduceRequest
	must(t, p.ReadFrom(9, body))
	records := p.Topics[0].Partitions[0].Records
	body[bytes.Index(body, make([]byte, 1<<20))] = 7
	if len(records) != 1<<20 || records[0] != 7 {
		t.Fatal("records are a copy")
	}
	if n := testing.AllocsPerRun(20, func() { must(t, p.ReadFrom(9, body)) }); n > 0 {
		t.Fatalf("a reused request allocates %v times", n)
	}
	p.Clear()
	if records = p.Topics[:1][0].Partitions[:1][0].Records; records != nil {
		t.Fatal("a cleared request still holds the body")
	}
}

func produceBody(t testing.TB, version int16, records []byte) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(version)
	req.Acks = -1
	id := "tx"
	req.TransactionID = &id
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "orders"
	partition := kmsg.NewProduceRequestTopicPartition()
	partition.Records = records
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	return AppendRequest(nil, req)
}

func TestFetchRequestReadsWhatKmsgReads(t *testing.T) {
	var f FetchRequest
	for _, v := range wireVectors(t) {
		if v.key != Fetch || v.response || v.version > maxFetchVersion {
			continue
		}
		req, err := DecodeRequest(v.key, v.version, v.body)
		must(t, err)
		w := req.(*kmsg.FetchRequest)
		must(t, f.ReadFrom(v.version, append(v.body[:len(v.body):len(v.body)], 9)))
		want := FetchRequest{Version: v.version, ClusterID: w.ClusterID, ReplicaID: w.ReplicaID, ReplicaEpoch: -1,
			MaxWaitMs: w.MaxWaitMillis, MinBytes: w.MinBytes, MaxBytes: w.MaxBytes, IsolationLevel: w.IsolationLevel,
			SessionID: w.SessionID, SessionEpoch: w.SessionEpoch, RackID: w.Rack, Topics: []FetchTopic{}, Forgotten: []ForgottenTopic{}}
		if v.version >= 15 {
			want.ReplicaID, want.ReplicaEpoch = w.ReplicaState.ID, w.ReplicaState.Epoch
		}
		for _, wt := range w.Topics {
			topic := FetchTopic{Topic: wt.Topic, TopicID: wt.TopicID, Partitions: []FetchPartition{}}
			for _, p := range wt.Partitions {
				topic.Partitions = append(topic.Partitions, FetchPartition{Partition: p.Partition, CurrentLeaderEpoch: p.CurrentLeaderEpoch,
					FetchOffset: p.FetchOffset, LastFetchedEpoch: p.LastFetchedEpoch, LogStartOffset: p.LogStartOffset,
					MaxBytes: p.PartitionMaxBytes, DirectoryID: p.ReplicaDirectoryID})
			}
			want.Topics = append(want.Topics, topic)
		}
		for _, wt := range w.ForgottenTopics {
			want.Forgotten = append(want.Forgotten, ForgottenTopic{Topic: wt.Topic, TopicID: wt.TopicID, Partitions: append([]int32{}, wt.Partitions...)})
		}
		got := f
		if len(got.Forgotten) == 0 {
			got.Forgotten = []ForgottenTopic{}
		}
		if len(got.Topics) == 0 {
			got.Topics = []FetchTopic{}
		}
		if !reflect.DeepEqual(normal(got), normal(want)) {
			t.Fatalf("line %d: v%d\n got %+v\nwant %+v", v.line, v.version, got, want)
		}
	}
}

// normal replaces empty lists by nil, since a reused request does not distinguish them.
func normal(f FetchRequest) FetchRequest {
	for i := range f.Topics {
		if len(f.Topics[i].Partitions) == 0 {
			f.Topics[i].Partitions = nil
		}
	}
	for i := range f.Forgotten {
		if len(f.Forgotten[i].Partitions) == 0 {
			f.Forgotten[i].Partitions = nil
		}
	}
	return f
}

func TestAReusedFetchRequestAllocatesNothing(t *testing.T) {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(12)
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "orders"
	topic.Partitions = append(topic.Partitions, kmsg.NewFetchRequestTopicPartition(), kmsg.NewFetchRequestTopicPartition())
	req.Topics = append(req.Topics, topic)
	body := AppendRequest(nil, req)
	var f FetchRequest
	must(t, f.ReadFrom(12, body))
	if n := testing.AllocsPerRun(20, func() { must(t, f.ReadFrom(12, body)) }); n > 0 {
		t.Fatalf("a reused request allocates %v times", n)
	}
}

// taggedFetch returns the body of a Fetch request with a tagged field of the request or, if
// ofPartition is set, of a partition.
func taggedFetch(version int16, ofPartition bool, tag uint32, content []byte) []byte {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(version)
	partition := kmsg.NewFetchRequestTopicPartition()
	if ofPartition {
		partition.UnknownTags.Set(tag, content)
	} else {
		req.UnknownTags.Set(tag, content)
	}
	topic := kmsg.NewFetchRequestTopic()
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	return AppendRequest(nil, req)
}

// A version skips the tagged fields that only later versions have, whatever they contain.
func TestTaggedFieldsOfLaterVersionsAreSkipped(t *testing.T) {
	for _, c := range []struct {
		ofPartition bool
		tag         uint32
		last        int16 // version that does not have the field
	}{{true, 0, 16}, {true, 1, 17}, {false, 1, 14}, {false, 2, 17}} {
		for version := int16(12); version <= c.last; version++ {
			for _, size := range []int{1, 20} {
				var f FetchRequest
				err := f.ReadFrom(version, taggedFetch(version, c.ofPartition, c.tag, bytes.Repeat([]byte{1}, size)))
				if err != nil || f.Topics[0].Partitions[0].DirectoryID != [16]byte{} || f.ReplicaEpoch != -1 {
					t.Errorf("v%d, tag %d with %d bytes: %+v, %v", version, c.tag, size, f, err)
				}
			}
		}
	}
}

func TestTaggedFieldsThatEndEarlyAreRefused(t *testing.T) {
	for _, c := range []struct {
		ofPartition bool
		tag         uint32
		sound       []byte
	}{
		{true, 0, bytes.Repeat([]byte{1}, 16)},             // directory id
		{false, 0, []byte{2, 'c'}},                         // cluster id
		{false, 1, append(bytes.Repeat([]byte{1}, 12), 0)}, // replica id and epoch
	} {
		if err := new(FetchRequest).ReadFrom(17, taggedFetch(17, c.ofPartition, c.tag, c.sound)); err != nil {
			t.Errorf("tag %d: %v", c.tag, err)
		}
		for n := range c.sound {
			if new(FetchRequest).ReadFrom(17, taggedFetch(17, c.ofPartition, c.tag, c.sound[:n])) == nil {
				t.Errorf("%d of the %d bytes of tag %d are accepted", n, len(c.sound), c.tag)
			}
		}
	}
}

func TestHotDecodersRefuseTruncatedRequests(t *testing.T) {
	for _, v := range wireVectors(t) {
		if v.response || (v.key != Produce && v.key != Fetch) {
			continue
		}
		for n := range v.body {
			var err error
			if v.key == Produce {
				err = new(ProduceRequest).ReadFrom(v.version, v.body[:n:n])
			} else {
				err = new(FetchRequest).ReadFrom(v.version, v.body[:n:n])
			}
			if err == nil {
				t.Fatalf("line %d: %s v%d accepts %d of %d bytes", v.line, v.key, v.version, n, len(v.body))
			}
		}
	}
}

func TestFalseArrayLengthsCostNoMemory(t *testing.T) {
	body := []byte{0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0}
	if n := testing.AllocsPerRun(5, func() {
		if new(ProduceRequest).ReadFrom(0, body) == nil {
			t.Fatal("accepted")
		}
	}); n > 10 {
		t.Fatalf("%v allocations", n)
	}
	nullTopics := []byte{0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff}
	if new(ProduceRequest).ReadFrom(0, nullTopics) == nil {
		t.Fatal("null topics are accepted")
	}
}

func TestARequestOfManyTinyEntriesIsRefused(t *testing.T) {
	body := make([]byte, 10+6*(maxEntries+1))
	binary.BigEndian.PutUint32(body[6:], maxEntries+1)
	if err := new(ProduceRequest).ReadFrom(0, body); !errors.Is(err, errTooMany) {
		t.Fatalf("error %v", err)
	}
	binary.BigEndian.PutUint32(body[6:], maxEntries)
	if err := new(ProduceRequest).ReadFrom(0, body); err != nil {
		t.Fatal(err)
	}
}

// The bound on entries applies to all arrays of a message together.
func TestEntriesOfAllArraysCountTogether(t *testing.T) {
	const topic, partition = 2 + 4, 4 + 4 // bytes: an empty name and a count; an index and null
	body := make([]byte, 10+2*topic+partition*maxEntries)
	fill := func(first, second uint32) {
		binary.BigEndian.PutUint32(body[6:], 2)
		binary.BigEndian.PutUint32(body[10+2:], first)
		binary.BigEndian.PutUint32(body[10+topic+partition*first+2:], second)
	}
	fill(maxEntries/2, maxEntries/2-1)
	if err := new(ProduceRequest).ReadFrom(0, body); !errors.Is(err, errTooMany) {
		t.Errorf("one entry too many: %v", err)
	}
	clear(body)
	fill(maxEntries/2, maxEntries/2-2)
	if err := new(ProduceRequest).ReadFrom(0, body); err != nil {
		t.Errorf("as many entries as allowed: %v", err)
	}
}

// A message of very many entries of three bytes, each of which would become a struct, is refused.
func TestEntriesTakeNoMoreThanEightTimesTheirBytes(t *testing.T) {
	for _, size := range []int{1 << 19, 1 << 20, 2 << 20} {
		produce, fetch := []byte{0, 0, 1, 0, 0, 0, 0}, make([]byte, 21)
		for _, c := range []struct {
			what string
			head []byte
			read func(body []byte) error
		}{
			{"Produce v9", produce, func(body []byte) error { return new(ProduceRequest).ReadFrom(9, body) }},
			{"Fetch v12", fetch, func(body []byte) error { return new(FetchRequest).ReadFrom(12, body) }},
		} {
			body := append(bytes.Clone(c.head), binary.AppendUvarint(nil, uint64((size-len(c.head)-8)/3+1))...)
			for len(body) < size-2 {
				body = append(body, 1, 1, 0)
			}
			body = append(body, 1, 1, 0)
			var err error
			took := allocatedBy(func() { err = c.read(body) })
			if err == nil || took > 8*uint64(size) {
				t.Errorf("%s of %d bytes takes %d bytes of memory, %v", c.what, size, took, err)
			}
		}
	}
}

func TestProduceResponseWritesKafkasBytes(t *testing.T) {
	n := 0
	for _, v := range wireVectors(t) {
		if v.key != Produce || !v.response || v.version > maxProduceVersion {
			continue
		}
		resp := kmsg.NewPtrProduceResponse()
		resp.SetVersion(v.version)
		must(t, resp.ReadFrom(v.body))
		p := ProduceResponse{Version: v.version, ThrottleMs: resp.ThrottleMillis}
		for _, kt := range resp.Topics {
			topic := ProduceTopicResponse{Topic: kt.Topic}
			for _, kp := range kt.Partitions {
				leader := LeaderIDEpoch(struct{ LeaderID, LeaderEpoch int32 }{kp.CurrentLeader.LeaderID, kp.CurrentLeader.LeaderEpoch})
				partition := ProducePartitionResponse{Partition: kp.Partition, ErrorCode: ErrorCode(kp.ErrorCode), BaseOffset: kp.BaseOffset,
					LogAppendTimeMs: kp.LogAppendTime, LogStartOffset: kp.LogStartOffset, ErrorMessage: kp.ErrorMessage, CurrentLeader: &leader}
				for _, e := range kp.ErrorRecords {
					partition.RecordErrors = append(partition.RecordErrors, RecordError{e.RelativeOffset, e.ErrorMessage})
				}
				topic.Partitions = append(topic.Partitions, partition)
			}
			p.Topics = append(p.Topics, topic)
		}
		for _, b := range resp.Brokers {
			p.NodeEndpoints = append(p.NodeEndpoints, NodeEndpoint{b.NodeID, b.Host, b.Port, b.Rack})
		}
		if got := p.AppendTo(nil); !bytes.Equal(got, v.body) {
			t.Errorf("line %d: v%d\n got %x\nwant %x", v.line, v.version, got, v.body)
		}
		n++
	}
	if n < 60 {
		t.Fatalf("only %d responses checked", n)
	}
}

// A leader of which only the id or only the epoch is known is sent too.
func TestACurrentLeaderIsLeftOutOnlyIfNothingIsKnown(t *testing.T) {
	for _, leader := range []LeaderIDEpoch{{-1, -1}, {3, -1}, {-1, 3}, {3, 3}} {
		want := kmsg.NewPtrProduceResponse()
		want.SetVersion(10)
		partition := kmsg.NewProduceResponseTopicPartition()
		partition.CurrentLeader.LeaderID, partition.CurrentLeader.LeaderEpoch = leader.LeaderID, leader.LeaderEpoch
		topic := kmsg.NewProduceResponseTopic()
		topic.Partitions = append(topic.Partitions, partition)
		want.Topics = append(want.Topics, topic)
		got := ProduceResponse{Version: 10, Topics: []ProduceTopicResponse{{Partitions: []ProducePartitionResponse{
			{LogAppendTimeMs: partition.LogAppendTime, LogStartOffset: partition.LogStartOffset, CurrentLeader: &leader}}}}}
		if got, want := got.AppendTo(nil), want.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("%+v: %x, want %x", leader, got, want)
		}
	}
}

// Versions without the leader and its address do not get them.
func TestEarlierVersionsGetNoLeaders(t *testing.T) {
	leader, at := &LeaderIDEpoch{3, 4}, []NodeEndpoint{{NodeID: 3, Host: "h", Port: 9092}}
	for version := range int16(maxProduceVersion + 1) {
		without := ProduceResponse{Version: version, Topics: []ProduceTopicResponse{{Partitions: []ProducePartitionResponse{{}}}}}
		with := ProduceResponse{Version: version, NodeEndpoints: at,
			Topics: []ProduceTopicResponse{{Partitions: []ProducePartitionResponse{{CurrentLeader: leader}}}}}
		if got, want := with.AppendTo(nil), without.AppendTo(nil); bytes.Equal(got, want) != (version < 10) {
			t.Errorf("Produce v%d: %x with a leader, %x without", version, got, want)
		}
	}
	for version := range int16(maxFetchVersion + 1) {
		without, with := FetchResponse{Version: version}, FetchResponse{Version: version, NodeEndpoints: at}
		got, _ := with.AppendTo(nil, nil)
		want, _ := without.AppendTo(nil, nil)
		if bytes.Equal(got, want) != (version < 16) {
			t.Errorf("Fetch v%d: %x with a node, %x without", version, got, want)
		}
	}
}

func TestFetchResponseWritesKafkasBytesAroundTheRecords(t *testing.T) {
	n := 0
	for _, v := range wireVectors(t) {
		if v.key != Fetch || !v.response || v.version > maxFetchVersion {
			continue
		}
		resp := kmsg.NewPtrFetchResponse()
		resp.SetVersion(v.version)
		must(t, resp.ReadFrom(v.body))
		f, records := fetchResponseOf(resp)
		head, cuts := f.AppendTo([]byte("head"), nil)
		if len(cuts) != len(records) {
			t.Fatalf("line %d: %d cuts for %d partitions with records", v.line, len(cuts), len(records))
		}
		var got []byte
		from := 4
		for i, cut := range cuts {
			got = append(append(got, head[from:cut]...), records[i]...)
			from = cut
		}
		if got = append(got, head[from:]...); !bytes.Equal(got, v.body) {
			t.Errorf("line %d: v%d\n got %x\nwant %x", v.line, v.version, got, v.body)
		}
		n++
	}
	if n < 90 {
		t.Fatalf("only %d responses checked", n)
	}
}

func fetchResponseOf(resp *kmsg.FetchResponse) (f FetchResponse, records [][]byte) {
	f = FetchResponse{Version: resp.Version, ThrottleMs: resp.ThrottleMillis, ErrorCode: ErrorCode(resp.ErrorCode), SessionID: resp.SessionID}
	for _, kt := range resp.Topics {
		topic := FetchTopicResponse{Topic: kt.Topic, TopicID: kt.TopicID}
		for _, kp := range kt.Partitions {
			p := FetchPartitionResponse{Partition: kp.Partition, ErrorCode: ErrorCode(kp.ErrorCode), HighWatermark: kp.HighWatermark,
				LastStableOffset: kp.LastStableOffset, LogStartOffset: kp.LogStartOffset, PreferredReadReplica: kp.PreferredReadReplica,
				DivergingEpoch: &EpochEndOffset{kp.DivergingEpoch.Epoch, kp.DivergingEpoch.EndOffset},
				CurrentLeader:  &LeaderIDEpoch{kp.CurrentLeader.LeaderID, kp.CurrentLeader.LeaderEpoch},
				SnapshotID:     &EpochEndOffset{kp.SnapshotID.Epoch, kp.SnapshotID.EndOffset}, RecordsSize: int32(len(kp.RecordBatches))}
			if kp.RecordBatches == nil {
				p.RecordsSize = -1
			}
			if kp.AbortedTransactions != nil {
				p.Aborted = []AbortedTransaction{}
			}
			for _, a := range kp.AbortedTransactions {
				p.Aborted = append(p.Aborted, AbortedTransaction{a.ProducerID, a.FirstOffset})
			}
			if p.RecordsSize > 0 {
				records = append(records, kp.RecordBatches)
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		f.Topics = append(f.Topics, topic)
	}
	for _, b := range resp.Brokers {
		f.NodeEndpoints = append(f.NodeEndpoints, NodeEndpoint{b.NodeID, b.Host, b.Port, b.Rack})
	}
	return f, records
}
