package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

// listen opens a socket on loopback.
func (b *dataBroker) listen() int {
	b.t.Helper()
	server, err := network.NewServer(network.Config{NodeID: b.id, Log: kafkalog.Discard(),
		Listeners: []network.Listener{{Name: "PLAINTEXT", Host: "127.0.0.1"}}})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := server.Bind(); err != nil {
		b.t.Fatal(err)
	}
	server.Start(b.registry)
	b.server = server
	return server.Addr("PLAINTEXT").(*net.TCPAddr).Port
}

// pair is two brokers on sockets.
func pair(t testing.TB, change func(*replication.Options)) (one, two *dataBroker, ports map[int32]int) {
	one, two = newDataBroker(t, 1, vfs.NewMem(), change), newDataBroker(t, 2, vfs.NewMem(), change)
	ports = map[int32]int{1: one.listen(), 2: two.listen()}
	one.know(ports)
	two.know(ports)
	return one, two, ports
}

func (b *dataBroker) log() *storage.Log {
	return b.logs.Log(storage.TopicPartition{Topic: dataTopic})
}

// contents is all bytes of the log of partition 0. There may be several
// segments: a log that is cut while somebody reads it goes on in another one.
func (b *dataBroker) contents() []byte {
	b.t.Helper()
	var all []byte
	for next := b.log().Offsets().LogStart; ; {
		set := b.piece(next)
		if len(set) == 0 {
			return all
		}
		all = append(all, set...)
		for len(set) > 0 {
			batch, rest, err := record.Next(set)
			if err != nil || batch == nil {
				b.t.Fatalf("half a batch in the log: %v", err)
			}
			next, set = batch.NextOffset(), rest
		}
	}
}

// piece is what one segment has from an offset on. A log that is cut meanwhile
// may have less.
func (b *dataBroker) piece(offset int64) []byte {
	b.t.Helper()
	data, err := b.log().Read(storage.Read{Offset: offset, MaxBytes: 1 << 20, MinOneMessage: true})
	if errors.Is(err, protocol.OffsetOutOfRange) {
		return nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	defer data.Release()
	set := make([]byte, data.Length)
	if data.Length > 0 {
		if n, err := data.File.ReadAt(set, data.Position); n < len(set) {
			if err != io.EOF {
				b.t.Fatal(err)
			}
			return nil
		}
	}
	return set
}

func comesAbout(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(testPatience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s did not come about", what)
		}
	}
}

func (b *dataBroker) put(acks int16, values ...string) protocol.ErrorCode {
	b.t.Helper()
	resp := ask[*kmsg.ProduceResponse](b, produceRequest(9, acks, dataTopic, 0, recordSet(b.t, 2, values...)))
	return protocol.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// ibp makes brokers talk among themselves as at that inter.broker.protocol.version;
// below 2.7-IV1 OffsetForLeaderEpoch comes before the first fetch.
func ibp(version string) func(*replication.Options) {
	return func(o *replication.Options) { o.PeerVersions = replication.PeerVersionsOf(settings.MustIBP(version)) }
}

func TestFollowerReplicatesByteForByte(t *testing.T) {
	for _, version := range []string{"3.9", "2.8", "2.6", "1.0"} {
		t.Run(version, func(t *testing.T) {
			one, two, _ := pair(t, ibp(version))
			one.role(1, 1, []int32{1, 2}, 1, 2)
			two.role(1, 1, []int32{1, 2}, 1, 2)
			for i := range 20 {
				if code := one.put(-1, fmt.Sprint("value ", i)); code != protocol.None {
					t.Fatalf("acks=-1: %s", code)
				}
			}
			comesAbout(t, "the follower's high watermark", func() bool { return two.log().Offsets().HighWatermark == 20 })
			if !bytes.Equal(one.contents(), two.contents()) {
				t.Error("the logs differ")
			}
		})
	}
}

func TestFollowerOutOfSyncComesBack(t *testing.T) {
	one, two, _ := pair(t, nil)
	one.role(1, 1, []int32{1, 2}, 1)
	for range 10 {
		one.put(-1, "alone")
	}
	two.role(1, 1, []int32{1, 2}, 1)
	comesAbout(t, "the follower's return", func() bool {
		p, err := one.replicas.Partition(dataTopic, 0)
		return err == nil && len(p.State().ISR) == 2
	})
	if code := one.put(-1, "together"); code != protocol.None {
		t.Errorf("acks=-1: %s", code)
	}
	if end := two.log().Offsets().LogEnd; end != 11 {
		t.Errorf("acknowledged by all, but the follower ends at %d", end)
	}
}

func TestDivergentTailIsCutWhenTheLeaderChanges(t *testing.T) {
	for _, version := range []string{"3.9", "2.6"} {
		t.Run(version, func(t *testing.T) {
			one, two, _ := pair(t, ibp(version))
			one.role(1, 1, []int32{1, 2}, 1, 2)
			two.role(1, 1, []int32{1, 2}, 1, 2)
			if code := one.put(-1, "common"); code != protocol.None {
				t.Fatal(code)
			}
			comesAbout(t, "the follower's high watermark", func() bool { return two.log().Offsets().HighWatermark == 1 })
			// Two leads from epoch 2 on; one does not know and still takes records.
			two.role(2, 2, []int32{1, 2}, 2)
			one.put(1, "lost 1", "lost 2", "lost 3")
			two.put(-1, "kept")
			one.role(2, 2, []int32{1, 2}, 2)
			comesAbout(t, "equal logs", func() bool {
				return one.log().Offsets().HighWatermark == 2 && bytes.Equal(one.contents(), two.contents())
			})
			if got := values(t, one.contents()); !slices.Equal(got, []string{"common", "kept"}) {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestFollowerOutOfRangeStartsAtTheLeadersLogStart(t *testing.T) {
	one, two, _ := pair(t, nil)
	one.role(1, 1, []int32{1, 2}, 1)
	for range 5 {
		one.put(1, "old")
	}
	del := kmsg.NewPtrDeleteRecordsRequest()
	del.Version, del.TimeoutMillis = 2, 100
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = dataTopic
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = 4
	topic.Partitions = append(topic.Partitions, p)
	del.Topics = append(del.Topics, topic)
	ask[*kmsg.DeleteRecordsResponse](one, del)
	two.role(1, 1, []int32{1, 2}, 1)
	comesAbout(t, "the follower's log", func() bool {
		at := two.log().Offsets()
		return at.LogStart == 4 && at.LogEnd == 5
	})
}

func TestFollowerGoesOnAfterTheLeaderComesBack(t *testing.T) {
	one, two, ports := pair(t, nil)
	one.role(1, 1, []int32{1, 2}, 1, 2)
	two.role(1, 1, []int32{1, 2}, 1, 2)
	if code := one.put(-1, "before"); code != protocol.None {
		t.Fatal(code)
	}
	fs := one.fs
	one.stop()
	again := newDataBroker(t, 1, fs, nil)
	ports[1] = again.listen()
	again.know(ports)
	two.know(ports)
	again.role(1, 2, []int32{1, 2}, 1, 2)
	two.role(1, 2, []int32{1, 2}, 1, 2)
	if code := again.put(-1, "after"); code != protocol.None {
		t.Fatal(code)
	}
	if got := values(t, two.contents()); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("the follower has %v", got)
	}
}

func TestPitfallReplication05_NewEpochWhileAnAnswerIsUnderWay(t *testing.T) {
	one, two, _ := pair(t, ibp("2.6"))
	one.role(1, 1, []int32{1, 2}, 1, 2)
	two.role(1, 1, []int32{1, 2}, 1, 2)
	for epoch := int32(2); epoch < 40; epoch++ {
		one.role(1, epoch, []int32{1, 2}, 1, 2)
		two.role(1, epoch, []int32{1, 2}, 1, 2)
		if epoch%5 == 0 {
			if code := one.put(-1, "v"); code != protocol.None {
				t.Fatalf("epoch %d: %s", epoch, code)
			}
		}
	}
	if c := two.replicas.Counts(); c.FetcherFailed != 0 {
		t.Errorf("%d partitions failed: an answer of an old epoch fenced a new one", c.FetcherFailed)
	}
}
