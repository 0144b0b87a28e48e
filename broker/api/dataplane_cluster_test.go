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

// listen starts a server on loopback and returns its port.
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

// pair returns two brokers with servers that know each other.
func pair(t testing.TB, change func(*replication.Options)) (one, two *dataBroker, ports map[int32]int) {
	one, two = newDataBroker(t, 1, vfs.NewMem(), change), newDataBroker(t, 2, vfs.NewMem(), change)
	ports = map[int32]int{1: one.listen(), 2: two.listen()}
	one.announce(ports)
	two.announce(ports)
	return one, two, ports
}

func (b *dataBroker) log() *storage.Log {
	return b.logs.Log(storage.TopicPartition{Topic: dataTopic})
}

// contents returns all bytes of the log of partition 0. The log may have several segments, because
// a log that is truncated while it is read continues in a new one.
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
				b.t.Fatalf("a partial batch in the log: %v", err)
			}
			next, set = batch.NextOffset(), rest
		}
	}
}

// piece returns the bytes of one segment from an offset on. It returns none if the log is truncated
// at the same time.
func (b *dataBroker) piece(offset record.Offset) []byte {
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

// eventually waits until holds returns true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(testPatience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func (b *dataBroker) put(acks int16, values ...string) protocol.ErrorCode {
	b.t.Helper()
	resp := ask[*kmsg.ProduceResponse](b, produceRequest(9, acks, dataTopic, 0, recordSet(b.t, 2, values...)))
	return protocol.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// ibp sets the brokers' inter.broker.protocol.version. Below 2.7-IV1 a follower sends
// OffsetForLeaderEpoch before its first fetch.
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
			eventually(t, "the follower's high watermark", func() bool { return two.log().Offsets().HighWatermark == 20 })
			if !bytes.Equal(one.contents(), two.contents()) {
				t.Error("the logs differ")
			}
		})
	}
}

func TestFollowerOutOfSyncRejoinsTheISR(t *testing.T) {
	one, two, _ := pair(t, nil)
	one.role(1, 1, []int32{1, 2}, 1)
	for range 10 {
		one.put(-1, "alone")
	}
	two.role(1, 1, []int32{1, 2}, 1)
	eventually(t, "the follower's return", func() bool {
		p, err := one.replicas.Partition(dataTopic, 0)
		return err == nil && len(p.State().ISR) == 2
	})
	if code := one.put(-1, "together"); code != protocol.None {
		t.Errorf("acks=-1: %s", code)
	}
	if end := two.log().Offsets().LogEnd; end != 11 {
		t.Errorf("the record is acknowledged by both, but the follower's log ends at %d, want 11", end)
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
			eventually(t, "the follower's high watermark", func() bool { return two.log().Offsets().HighWatermark == 1 })
			// Two leads from epoch 2 on; one does not know yet and still accepts records.
			two.role(2, 2, []int32{1, 2}, 2)
			one.put(1, "lost 1", "lost 2", "lost 3")
			two.put(-1, "kept")
			one.role(2, 2, []int32{1, 2}, 2)
			eventually(t, "equal logs", func() bool {
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
	eventually(t, "the follower's log", func() bool {
		at := two.log().Offsets()
		return at.LogStart == 4 && at.LogEnd == 5
	})
}

func TestFollowerContinuesAfterTheLeaderRestarts(t *testing.T) {
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
	again.announce(ports)
	two.announce(ports)
	again.role(1, 2, []int32{1, 2}, 1, 2)
	two.role(1, 2, []int32{1, 2}, 1, 2)
	if code := again.put(-1, "after"); code != protocol.None {
		t.Fatal(code)
	}
	if got := values(t, two.contents()); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("the follower has %v", got)
	}
}

func TestPitfallReplication05_ANewEpochDuringARequestFailsNoPartition(t *testing.T) {
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
		t.Errorf("%d partitions failed: an answer of an old epoch was applied to a new one", c.FetcherFailed)
	}
}
