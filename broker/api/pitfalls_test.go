package api_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
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
)

// These tests reproduce faults that Kafka's replication once had, with the servers, handlers,
// fetchers and logs of production. The tests act as the controller and as some of the peers.

// restarted stops the broker and starts it again with its directory but without the checkpoint of
// the high watermark, as after a crash soon after the high watermark advanced.
func (b *dataBroker) restarted(ports map[int32]int, change func(*replication.Options)) *dataBroker {
	b.t.Helper()
	b.stop()
	f, err := b.fs.OpenFile("/data/replication-offset-checkpoint", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("0\n0\n"), 0); err != nil {
		b.t.Fatal(err)
	}
	f.Close()
	again := newDataBroker(b.t, b.id, b.fs, change)
	ports[b.id] = again.listen()
	again.announce(ports)
	return again
}

// A follower restarts with a stale high watermark and its leader dies, before or after the follower
// has fetched from it. The follower keeps the records that both acknowledged (KIP-101).
func TestPitfallReplication01_ARestartedFollowerLosesNothingWhenItsLeaderDies(t *testing.T) {
	for _, version := range []string{"3.9", "2.6", "1.0"} {
		for _, fetched := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, fetched from the leader %t", version, fetched), func(t *testing.T) {
				one, two, ports := pair(t, ibp(version))
				one.role(1, 1, []int32{1, 2}, 1, 2)
				two.role(1, 1, []int32{1, 2}, 1, 2)
				for i := range 3 {
					if code := one.put(-1, fmt.Sprint("v", i)); code != protocol.None {
						t.Fatal(code)
					}
				}
				want := one.contents()
				two = two.restarted(ports, ibp(version))
				if fetched {
					two.role(1, 2, []int32{1, 2}, 1, 2)
					one.role(1, 2, []int32{1, 2}, 1, 2)
					eventually(t, "the follower's high watermark", func() bool { return two.log().Offsets().HighWatermark == 3 })
				} else {
					two.role(1, 2, []int32{1, 2}, 1, 2) // one does not know epoch 2 and refuses fetches
				}
				one.stop()
				two.role(2, 3, []int32{1, 2}, 2)
				if !bytes.Equal(two.contents(), want) {
					t.Errorf("the follower lost acknowledged records: it has %q", values(t, two.contents()))
				}
			})
		}
	}
}

// After two leader changes in quick succession each broker has records of an epoch that the other
// does not know. The follower truncates until the logs agree (KIP-279).
func TestPitfallReplication02_TailsOfTwoFastLeaderChangesAreCut(t *testing.T) {
	for _, version := range []string{"3.9", "2.6"} {
		t.Run(version, func(t *testing.T) {
			one, two, _ := pair(t, ibp(version))
			one.role(1, 1, []int32{1, 2}, 1, 2)
			two.role(1, 1, []int32{1, 2}, 1, 2)
			if code := one.put(-1, "a"); code != protocol.None {
				t.Fatal(code)
			}
			eventually(t, "the follower's record", func() bool { return two.log().Offsets().LogEnd == 1 })
			two.role(2, 2, []int32{1, 2}, 2) // one does not know and still leads
			two.put(1, "x")
			two.put(1, "y")
			one.put(1, "b")
			one.role(1, 3, []int32{1, 2}, 1) // two does not know
			one.put(1, "c")
			one.role(1, 4, []int32{1, 2}, 1)
			two.role(1, 4, []int32{1, 2}, 1)
			eventually(t, "equal logs", func() bool { return bytes.Equal(one.contents(), two.contents()) })
			if got := values(t, two.contents()); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("%q", got)
			}
		})
	}
}

// fetchedBy sends the fetch of a follower for partition 0.
func (b *dataBroker) fetchedBy(id int32, offset record.Offset) protocol.ErrorCode {
	b.t.Helper()
	req := fetchRequest(12, offset)
	req.ReplicaID = id
	p := ask[*kmsg.FetchResponse](b, req).Topics[0].Partitions[0]
	return protocol.ErrorCode(p.ErrorCode)
}

func (b *dataBroker) isr() []int32 {
	b.t.Helper()
	p, err := b.replicas.Partition(dataTopic, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return metadata.Int32s(slices.Sorted(slices.Values(p.State().ISR)))
}

// three returns the first of three brokers. The test sends the requests of the other two.
func three(t *testing.T, change func(*replication.Options)) *dataBroker {
	b := newDataBroker(t, 1, vfs.NewMem(), change)
	b.announce(map[int32]int{1: 9092, 2: 9092, 3: 9092})
	return b
}

// The high watermark of a new leader is behind what its predecessor acknowledged. A follower that
// has reached it but not the start of the epoch may lack acknowledged records, so it does not join
// the ISR (KAFKA-7128).
func TestPitfallReplication06_AFollowerBelowTheEpochStartDoesNotJoin(t *testing.T) {
	b := three(t, nil)
	b.role(1, 1, []int32{1, 2, 3}, 1, 3)
	for range 3 {
		b.put(1, "v")
	}
	b.role(1, 2, []int32{1, 2, 3}, 1, 3) // the epoch starts at 3
	if high := b.log().Offsets().HighWatermark; high != 0 {
		t.Fatalf("the high watermark is %d", high)
	}
	for offset := range record.Offset(3) {
		b.fetchedBy(2, offset)
		if got := b.isr(); !slices.Equal(got, []int32{1, 3}) {
			t.Fatalf("at offset %d the in-sync replicas are %v", offset, got)
		}
	}
	b.fetchedBy(2, 3)
	eventually(t, "the follower to join", func() bool { return slices.Equal(b.isr(), []int32{1, 2, 3}) })
}

// A follower that has all records stays in sync regardless of when it last fetched. A follower that
// lacks some is removed (KAFKA-7152).
func TestPitfallReplication07_AnIdleFollowerAtTheLogEndIsNotRemoved(t *testing.T) {
	b := three(t, func(o *replication.Options) { o.LagMax = 2 * time.Millisecond })
	b.role(1, 1, []int32{1, 2}, 1, 2)
	b.put(1, "v")
	b.fetchedBy(2, 0)
	b.fetchedBy(2, 1)
	eventually(t, "the follower to be in sync", func() bool { return slices.Equal(b.isr(), []int32{1, 2}) })
	for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
		b.replicas.ShrinkISRs()
		if got := b.isr(); !slices.Equal(got, []int32{1, 2}) {
			t.Fatalf("an idle follower was removed: %v", got)
		}
	}
	b.put(1, "w")
	eventually(t, "the removal of the lagging follower", func() bool {
		b.replicas.ShrinkISRs()
		return slices.Equal(b.isr(), []int32{1})
	})
}

// fakeLeader answers every fetch with OFFSET_OUT_OF_RANGE, and requests for offsets with what the
// test passes to answers and ends.
type fakeLeader struct {
	port    int
	asked   atomic.Int32 // ListOffsets requests so far
	answers chan kmsg.ListOffsetsResponseTopicPartition
	ends    chan kmsg.OffsetForLeaderEpochResponseTopicPartition
	mu      sync.Mutex
	epochs  []int32 // the current leader epochs in ListOffsets and OffsetForLeaderEpoch requests
}

func newFakeLeader(t *testing.T) *fakeLeader {
	t.Helper()
	f := &fakeLeader{answers: make(chan kmsg.ListOffsetsResponseTopicPartition), ends: make(chan kmsg.OffsetForLeaderEpochResponseTopicPartition)}
	r := api.NewRegistry(nil, kafkalog.Discard())
	r.Register(
		api.Typed(api.Handler{Key: protocol.Fetch, Min: 0, Max: 17}, func(_ *api.Call, req *kmsg.FetchRequest) (kmsg.Response, error) {
			resp := req.ResponseKind().(*kmsg.FetchResponse)
			for _, asked := range req.Topics {
				topic := kmsg.NewFetchResponseTopic()
				topic.Topic, topic.TopicID = asked.Topic, asked.TopicID
				for _, p := range asked.Partitions {
					a := kmsg.NewFetchResponseTopicPartition()
					a.Partition, a.ErrorCode = p.Partition, int16(protocol.OffsetOutOfRange)
					topic.Partitions = append(topic.Partitions, a)
				}
				resp.Topics = append(resp.Topics, topic)
			}
			return resp, nil
		}),
		api.Typed(api.Handler{Key: protocol.OffsetForLeaderEpoch, Min: 0, Max: 4}, func(c *api.Call, req *kmsg.OffsetForLeaderEpochRequest) (kmsg.Response, error) {
			resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
			f.mu.Lock()
			f.epochs = append(f.epochs, req.Topics[0].Partitions[0].CurrentLeaderEpoch)
			f.mu.Unlock()
			topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
			topic.Topic = req.Topics[0].Topic
			select {
			case a := <-f.ends:
				topic.Partitions = append(topic.Partitions, a)
			case <-c.Done:
			}
			resp.Topics = append(resp.Topics, topic)
			return resp, nil
		}),
		api.Typed(api.Handler{Key: protocol.ListOffsets, Min: 0, Max: 9}, func(c *api.Call, req *kmsg.ListOffsetsRequest) (kmsg.Response, error) {
			resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
			f.mu.Lock()
			f.epochs = append(f.epochs, req.Topics[0].Partitions[0].CurrentLeaderEpoch)
			f.mu.Unlock()
			f.asked.Add(1)
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic = req.Topics[0].Topic
			select {
			case a := <-f.answers:
				topic.Partitions = append(topic.Partitions, a)
			case <-c.Done:
			}
			resp.Topics = append(resp.Topics, topic)
			return resp, nil
		}))
	server, err := network.NewServer(network.Config{NodeID: 1, Log: kafkalog.Discard(), Listeners: []network.Listener{{Name: "PLAINTEXT", Host: "127.0.0.1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Bind(); err != nil {
		t.Fatal(err)
	}
	server.Start(r)
	t.Cleanup(func() { _ = server.Shutdown(t.Context()) })
	f.port = server.Addr("PLAINTEXT").(*net.TCPAddr).Port
	return f
}

// answer answers the waiting ListOffsets request, or the next one.
func (f *fakeLeader) answer(t *testing.T, code protocol.ErrorCode, offset record.Offset, epoch int32) {
	t.Helper()
	a := kmsg.NewListOffsetsResponseTopicPartition()
	a.ErrorCode, a.Offset, a.LeaderEpoch = int16(code), int64(offset), epoch
	select {
	case f.answers <- a:
	case <-time.After(testPatience):
		t.Fatal("the follower does not send ListOffsets")
	}
}

// The leadership moves while a follower that was out of range asks for offsets. Answers of an
// earlier epoch, or from a broker that no longer leads, leave its log unchanged (KAFKA-2143).
func TestPitfallReplication12_AnOutOfRangeCheckOfAnEarlierEpochCutsNothing(t *testing.T) {
	leader := newFakeLeader(t)
	two := newDataBroker(t, 2, vfs.NewMem(), nil)
	two.announce(map[int32]int{1: leader.port, 2: 9092})
	two.role(2, 1, []int32{1, 2}, 2)
	two.put(1, "a", "b")
	want := two.contents()
	untouched := func(when string) {
		t.Helper()
		if !bytes.Equal(two.contents(), want) {
			t.Errorf("%s the log has %q", when, values(t, two.contents()))
		}
	}
	two.role(1, 2, []int32{1, 2}, 1)
	for i, code := range []protocol.ErrorCode{protocol.NotLeaderOrFollower, protocol.FencedLeaderEpoch, protocol.UnknownLeaderEpoch} {
		leader.answer(t, code, 0, -1)
		eventually(t, "the next request", func() bool { return leader.asked.Load() >= int32(i+2) })
		untouched("after " + code.Name())
	}
	// A request of epoch 2 is under way when epoch 3 begins.
	two.role(1, 3, []int32{1, 2}, 1)
	leader.answer(t, protocol.None, 0, 2) // the latest offset is 0, which would cut everything
	leader.answer(t, protocol.None, 0, 2) // the earliest offset is 0 too
	eventually(t, "a request in epoch 3", func() bool {
		leader.mu.Lock()
		defer leader.mu.Unlock()
		return slices.Contains(leader.epochs, 3)
	})
	untouched("after the answers of epoch 2")
	leader.answer(t, protocol.FencedLeaderEpoch, 0, -1)
	two.role(2, 4, []int32{1, 2}, 2)
	untouched("at the end")
	leader.mu.Lock()
	defer leader.mu.Unlock()
	for _, epoch := range leader.epochs {
		if epoch < 2 || epoch > 3 {
			t.Errorf("a request has epoch %d", epoch)
		}
	}
}

// awaitEpoch waits until the follower has sent a request with the epoch.
func (f *fakeLeader) awaitEpoch(t *testing.T, epoch int32) {
	t.Helper()
	eventually(t, fmt.Sprint("a request in epoch ", epoch), func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Contains(f.epochs, epoch)
	})
}

// A request for the end offset of an epoch is under way when the next epoch begins. Neither its
// offset nor its error is applied in the new epoch (KAFKA-7786).
func TestPitfallReplication05_AnAnswerOfAnEarlierEpochIsDropped(t *testing.T) {
	leader := newFakeLeader(t)
	two := newDataBroker(t, 2, vfs.NewMem(), ibp("2.6"))
	two.announce(map[int32]int{1: leader.port, 2: 9092})
	two.role(2, 1, []int32{1, 2}, 2)
	two.put(1, "a", "b")
	want := two.contents()
	two.role(1, 2, []int32{1, 2}, 1)
	leader.awaitEpoch(t, 2)
	two.role(1, 3, []int32{1, 2}, 1)
	fenced := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	fenced.ErrorCode = int16(protocol.FencedLeaderEpoch)
	leader.ends <- fenced
	leader.awaitEpoch(t, 3)
	two.role(1, 4, []int32{1, 2}, 1)
	a := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	a.LeaderEpoch, a.EndOffset = 1, 0 // an answer of epoch 3 that would cut everything
	leader.ends <- a
	leader.awaitEpoch(t, 4)
	if c := two.replicas.Counts(); c.FetcherFailed != 0 {
		t.Error("an answer of an earlier epoch fenced the partition")
	}
	if !bytes.Equal(two.contents(), want) {
		t.Errorf("an answer of an earlier epoch cut the log to %q", values(t, two.contents()))
	}
	a.EndOffset = 2
	leader.ends <- a
	two.role(2, 5, []int32{1, 2}, 2)
}

// A follower that fetches at the log end while records are appended is never out of range, so it
// never truncates its log to start again (KAFKA-2477).
func TestPitfallReplication11_AFollowerDuringManyAppendsIsNeverOutOfRange(t *testing.T) {
	one, two, _ := pair(t, nil)
	one.role(1, 1, []int32{1, 2}, 1, 2)
	two.role(1, 1, []int32{1, 2}, 1, 2)
	const writers, each = 4, 150
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				resp := one.serve(protocol.Produce, 9, produceRequest(9, 1, dataTopic, 0, recordSet(t, 2, fmt.Sprint(w, "-", i))).AppendTo(nil), "writer")
				if resp.Release != nil {
					resp.Release()
				}
			}
		})
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { // fetches at the log end as broker 3, which has no replica
		for {
			select {
			case <-stop:
				return
			default:
			}
			if code := one.fetchedBy(3, one.log().Offsets().LogEnd); code != protocol.NotLeaderOrFollower {
				t.Errorf("a fetch at the log end: %s", code)
				return
			}
		}
	})
	wg.Wait()
	close(stop)
	reader.Wait()
	eventually(t, "all records at the follower", func() bool { return two.log().Offsets().LogEnd == writers*each })
	if c := two.replicas.Counts(); c.FetcherFailed != 0 {
		t.Error("the follower failed")
	}
	if !bytes.Equal(one.contents(), two.contents()) {
		t.Error("the logs differ")
	}
}

// More clients open fetch sessions than there are slots. Sessions in use are kept: a client that
// comes late is answered without a session and evicts no other (KAFKA-9137).
func TestPitfallReplication21_SessionsInUseAreNotEvicted(t *testing.T) {
	b := newDataBroker(t, 1, vfs.NewMem(), func(o *replication.Options) { o.FetchSessions = 8 })
	b.announce(map[int32]int{1: 9092})
	b.role(1, 0, []int32{1}, 1)
	fetch := func(id, epoch int32) *kmsg.FetchResponse {
		t.Helper()
		req := fetchRequest(12, 0)
		req.SessionID, req.SessionEpoch = id, epoch
		if epoch > 0 {
			req.Topics = nil
		}
		return ask[*kmsg.FetchResponse](b, req)
	}
	var ids []int32
	refused := 0
	for range 40 {
		if id := fetch(0, 0).SessionID; id != 0 {
			ids = append(ids, id)
		} else {
			refused++
		}
	}
	if len(ids) == 0 || len(ids) > 8 || refused < 32 {
		t.Fatalf("%d sessions in 8 slots, %d clients without a session", len(ids), refused)
	}
	for epoch := int32(1); epoch <= 5; epoch++ {
		for i := range ids {
			id := ids[len(ids)-1-i]
			if epoch%2 == 0 {
				id = ids[i]
			}
			if resp := fetch(id, epoch); resp.ErrorCode != 0 || resp.SessionID != id {
				t.Fatalf("session %d in epoch %d: error %d, session %d", id, epoch, resp.ErrorCode, resp.SessionID)
			}
			fetch(0, 0) // a new client
		}
	}
}
