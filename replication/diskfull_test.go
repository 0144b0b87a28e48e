package replication

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/storage"
)

// sizedFS reports volumes of a terabyte, one for each log directory. Their low watermark is 1 GiB.
type sizedFS struct {
	vfs.FS
	free, otherFree atomic.Int64 // of testDir, otherDir
}

func (f *sizedFS) Usage(name string) (total, usable int64, err error) {
	if strings.HasPrefix(name, otherDir) {
		return 1 << 40, f.otherFree.Load(), nil
	}
	return 1 << 40, f.free.Load(), nil
}

const plenty, little, almostNothing = 1 << 39, 900 << 20, 400 << 20

// sizedBroker returns a broker with two log directories on such volumes. It must be used with
// virtual time.
func sizedBroker(t *testing.T) (*testBroker, *sizedFS) {
	t.Helper()
	fs := &sizedFS{FS: vfs.NewMem()}
	fs.free.Store(plenty)
	fs.otherFree.Store(plenty)
	b := newTestBrokerOn(t, fs, []string{testDir, otherDir})
	b.logs.Start()
	return b, fs
}

// measured waits until the free space has been measured again.
func measured() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func TestOnAFullDiskClientsAreRefusedAndOtherRequestsContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, fs := sizedBroker(t)
		var lines bytes.Buffer
		b.log = kafkalog.For(kafkalog.New(&lines), "kafka.server.ReplicaManager")
		b.know(ourID)
		p := b.lead(0, []int32{ourID}, ourID)
		if code := b.control(roleOf(1, ourID, 0, []int32{ourID}, ourID)); code != protocol.None {
			t.Fatal(code)
		}
		b.mustProduce(3)
		fs.free.Store(little)
		measured()
		inOther := b.NewProduce() // in the other directory
		inOther.Version, inOther.Acks = 9, 1
		inOther.Add(testTopic, 1, batch(t, 1))
		inOther.Append()
		wantCode(t, "produce to the other disk", inOther.Partitions[0].Err, protocol.None)
		for _, acks := range []int16{-1, 0, 1} {
			part := &b.produce(acks, 1).Partitions[0]
			wantCode(t, "produce", part.Err, protocol.NotEnoughReplicas)
			if !errors.Is(part.Err, storage.ErrDiskLow) {
				t.Errorf("error %v", part.Err)
			}
			answer := part.Answer()
			if answer.ErrorMessage == nil || !strings.HasPrefix(*answer.ErrorMessage, "Log directory /data has too little free space.") ||
				answer.BaseOffset != -1 {
				t.Errorf("answer %+v", answer)
			}
		}
		if lines.Len() > 0 {
			t.Errorf("each refusal is logged:\n%s", &lines)
		}
		if _, err := p.AppendAsLeader(batch(t, 1), nil, 1); err != nil {
			t.Errorf("a coordinator's records are refused: %v", err)
		}
		if got := len(offsets(t, &b.fetch(0).Partitions[0])); got != 4 {
			t.Errorf("%d records can be read", got)
		}
		deletions := []PartitionDelete{{Topic: testTopic, Offset: 2}}
		b.DeleteRecords(deletions, waitTime, nil)
		if deletions[0].Err != nil || p.Log().Offsets().LogStart != 2 {
			t.Errorf("DeleteRecords: %+v", deletions[0])
		}
		fs.free.Store(plenty)
		measured()
		b.mustProduce(1)
		b.stop()
	})
}

// A follower whose disk is almost full asks for no records, refuses those that come nevertheless,
// and appends again when there is space. Meanwhile it adopts the log start of its leader, which may
// free the disk.
func TestOnAFullDiskAFollowerPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, fs := sizedBroker(t)
		l := playLeaderOf(b)
		l.nextFetch().send(batch(t, 1, at(0, 3)), 1)
		fs.free.Store(little)
		fs.otherFree.Store(little)
		measured()
		l.nextFetch().send(batch(t, 1, at(1, 3)), 2) // only clients are refused yet
		fs.free.Store(almostNothing)
		fs.otherFree.Store(almostNothing)
		measured()
		for i, set := range [][]byte{nil, batch(t, 1, at(2, 3))} { // the log start is also adopted from the second
			r := l.nextFetch()
			if limit := r.Topics[0].Partitions[0].PartitionMaxBytes; limit != 0 {
				t.Errorf("asks for %d bytes", limit)
			}
			r.answer(func(p *kmsg.FetchResponseTopicPartition) {
				p.RecordBatches, p.HighWatermark, p.LogStartOffset = set, 2, int64(i)+1
			})
			l.pauses()
		}
		if got := l.partition().Log().Offsets(); got.LogEnd != 2 || got.LogStart != 2 {
			t.Errorf("%+v, want offsets 2 to 2", got)
		}
		fs.free.Store(plenty)
		fs.otherFree.Store(plenty)
		measured()
		l.nextFetch().send(batch(t, 1, at(2, 3)), 3)
		if l.logEnd() != 3 || l.highWatermark() != 3 {
			t.Errorf("log end %d, high watermark %d, want 3", l.logEnd(), l.highWatermark())
		}
		for _, line := range l.logged() {
			if strings.HasPrefix(line, "ERROR") || strings.HasPrefix(line, "WARN") {
				t.Error(line)
			}
		}
		b.stop()
	})
}

// A move to another directory waits until that directory has space.
func TestAMoveToAFullDiskWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, fs := sizedBroker(t)
		b.know(ourID)
		b.lead(0, []int32{ourID}, ourID)
		from, to := b.partition().Log().Dir(), otherDir
		if from == otherDir {
			to = testDir
		}
		b.mustProduce(5)
		fs.free.Store(little)
		fs.otherFree.Store(little)
		measured()
		if err := b.AlterLogDir(partition0, to); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		future := b.logs.FutureLog(partition0)
		if future == nil || future.Offsets().LogEnd != 0 {
			t.Fatalf("the move did not wait: %v", future)
		}
		fs.free.Store(plenty)
		fs.otherFree.Store(plenty)
		b.moved(to)
		b.stop()
	})
}
